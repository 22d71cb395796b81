"""Load balancers on one machine: a reverse proxy for each ALB, a TCP relay for each NLB."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.component import Component, Instance


def component(instance: Instance) -> Component:
    """Give the load balancers of `instance`."""
    # The emulator must be configured before it is imported.
    from local.proxy.balancers import Balancers

    return Balancers(instance)
