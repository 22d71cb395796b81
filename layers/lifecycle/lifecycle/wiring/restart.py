"""Which adapter stands behind which port: restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.wiring.api import operation_starter
from lifecycle.wiring.common import SystemClock, journal, probe, settings, stacks
from lifecycle.wiring.provisioning import broker_replacer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.restart.handle_retirement import RetirementHandler
    from lifecycle.restart.restart_services import ServiceRestarter

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


def service_restarter() -> ServiceRestarter:
    """Restart of brokers and connectors."""
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.adapters.aws.ecs_tasks import EcsBrokerTasks
    from lifecycle.adapters.aws.elbv2 import ElbTargetGroups
    from lifecycle.restart.restart_services import ServiceRestarter

    return ServiceRestarter(
        services=EcsServices(),
        tasks=EcsBrokerTasks(),
        targets=ElbTargetGroups(),
        probe=probe(),
        replacer=broker_replacer(),
        journal=journal(),
    )


def retirement_handler(function_arn: str) -> RetirementHandler:
    """Restarts before Fargate retires tasks, in the function of that ARN, which it schedules."""
    import os

    from lifecycle.adapters.aws.ecs_tasks import EcsBrokerTasks
    from lifecycle.adapters.aws.scheduler import OneTimeSchedules
    from lifecycle.adapters.aws.sns import SnsMessages
    from lifecycle.restart.handle_retirement import RetirementHandler
    from lifecycle.restart.validate_restart import validate_restart

    tasks = EcsBrokerTasks()

    def valid(raw: Mapping[str, object]) -> str:
        request = validate_restart(raw, control_stack=settings().control_stack, stacks=stacks())
        return str(request["ecsCluster"])

    return RetirementHandler(
        stacks=stacks(),
        tasks=tasks,
        service_of=tasks.service_of,
        schedules=OneTimeSchedules(
            group=os.environ["SCHEDULE_GROUP"],
            function_arn=function_arn,
            role_arn=os.environ["SCHEDULER_ROLE_ARN"],
            dead_letters=os.environ["DEAD_LETTERS_ARN"],
        ),
        starter=operation_starter(function_arn, {"restart": valid}),
        messages=SnsMessages(os.environ["TOPIC_ARN"]),
        clock=SystemClock(),
        control_stack=settings().control_stack,
        region=settings().region,
    )
