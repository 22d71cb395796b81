"""Fargate on one machine: tasks are processes, each with its own loopback address."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.component import Component, Instance


def component(instance: Instance) -> Component:
    """Give the supervisor of `instance`, already in charge of the emulator's ECS."""
    # The emulator must be configured before it is imported.
    from local.fargate.ecs_api import install
    from local.fargate.supervisor import Supervisor

    supervisor = Supervisor(instance)
    install(supervisor)
    return supervisor
