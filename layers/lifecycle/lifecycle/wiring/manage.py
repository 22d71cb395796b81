"""Which adapter stands behind which port: ways in for a limited time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.wiring.common import SystemClock, journal, settings

if TYPE_CHECKING:
    from lifecycle.adapters.aws.scheduler import OneTimeSchedules
    from lifecycle.manage.change_ways import WayChanger
    from lifecycle.manage.close_ways import WayCloser

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


def way_changer() -> WayChanger:
    """Opening and closing of ways in, by an operation."""
    import os

    from lifecycle.adapters.aws.ecs_tasks import EcsBrokerTasks
    from lifecycle.adapters.aws.management_door import AwsManagementDoor
    from lifecycle.manage.change_ways import WayChanger

    return WayChanger(
        door=AwsManagementDoor(settings().control_stack),
        tasks=EcsBrokerTasks(),
        schedules=_schedules(os.environ["CLOSING_FUNCTION"]),
        journal=journal(),
        control_stack=settings().control_stack,
        vpc_cidr=os.environ["VPC_CIDR"],
    )


def way_closer(function_arn: str) -> WayCloser:
    """Closing of ways in whose end has come, in the function of that ARN."""
    from lifecycle.adapters.aws.cloudformation import CloudFormationStacks
    from lifecycle.adapters.aws.management_door import AwsManagementDoor
    from lifecycle.manage.close_ways import WayCloser

    return WayCloser(
        stacks=CloudFormationStacks(settings().deployment_role_arn),
        door=AwsManagementDoor(settings().control_stack),
        schedules=_schedules(function_arn),
        clock=SystemClock(),
        control_stack=settings().control_stack,
    )


def _schedules(function_arn: str) -> OneTimeSchedules:
    import os

    from lifecycle.adapters.aws.scheduler import OneTimeSchedules

    return OneTimeSchedules(
        group=os.environ["SCHEDULE_GROUP"],
        function_arn=function_arn,
        role_arn=os.environ["SCHEDULER_ROLE_ARN"],
        dead_letters=os.environ["DEAD_LETTERS_ARN"],
    )
