"""Which adapter stands behind which port. Plain functions; nothing is made before it is needed."""

from __future__ import annotations

import functools
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from lifecycle.camunda.ports import Probe
    from lifecycle.cluster.ports import Stacks
    from lifecycle.operation.announce import Announcer
    from lifecycle.operation.approval import Reviewed, SecondApprover
    from lifecycle.operation.clean_up import Cleaner
    from lifecycle.operation.finish import Finisher
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.ports import Artifacts
    from lifecycle.services.registries import Registries

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


class SystemClock:
    """The ``Clock`` port on the system's clock."""

    def now(self) -> datetime:
        """Present time, aware, in UTC."""
        return datetime.now(UTC)


@functools.cache
def settings() -> Settings:
    """Read the environment once per process."""
    return Settings.from_env()


def stacks() -> Stacks:
    """CloudFormation."""
    from lifecycle.adapters.aws.cloudformation import CloudFormationStacks

    return CloudFormationStacks(settings().deployment_role_arn)


def registries() -> Registries:
    """Registries from which clusters may run images."""
    from lifecycle.services.registries import Registries

    allowed, account = os.environ["ALLOWED_IMAGE_REGISTRIES"], os.environ["ACCOUNT_ID"]
    return Registries.read(allowed, account, settings().region)


def artifacts() -> Artifacts:
    """Artifact bucket."""
    from lifecycle.adapters.aws.s3 import S3Artifacts

    return S3Artifacts(settings().artifact_bucket, settings().region)


def probe() -> Probe:
    """Function inside the VPC."""
    from lifecycle.adapters.aws.lambda_probe import LambdaProbe

    return LambdaProbe(Settings.from_env(None, "PROBE_FUNCTION").probe_function)


def journal() -> Journal:
    """Locks and records."""
    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.stepfunctions import StepFunctionsExecutions
    from lifecycle.operation.journal import Journal

    table = DynamoTable(settings().table_name)
    return Journal(
        locks=table, operations=table, executions=StepFunctionsExecutions(), clock=SystemClock()
    )


def second_approver() -> SecondApprover:
    """The rule of two people, with the machines that the control stack names."""
    import os

    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.stepfunctions import StepFunctionsExecutions
    from lifecycle.operation.approval import SecondApprover

    def names(variable: str) -> list[str]:
        return [one for one in os.environ.get(variable, "").split(",") if one]

    return SecondApprover(
        operations=DynamoTable(settings().table_name),
        executions=StepFunctionsExecutions(),
        clock=SystemClock(),
        machines=frozenset(names("SECOND_APPROVER_FOR")),
        personal_sessions=tuple(names("PERSONAL_SESSION_ROLES")),
    )


def reviewed(machine: str, request: Mapping[str, Any]) -> Reviewed | None:
    """What a machine's request names as reviewed; None for machines that check it themselves.

    ``request`` is the one that the machine carries, or the one that was sent to the API.
    """
    cluster, approves = str(request["cluster"]), str(request.get("approves", ""))
    match machine:
        case "scale":
            from lifecycle.scaling.request import reviewed_scaling

            count, partitions = (int(request.get(n, 0)) for n in ("count", "partitions"))
            return reviewed_scaling(cluster, count, partitions, approves)
        case _ if request.get("dryRun", False):
            return None
        case "restart":
            from lifecycle.restart.request import reviewed_restart

            broker = request.get("broker")
            one = None if broker is None else int(broker)
            accepted = request.get("acceptNoBackup", False) is True
            return reviewed_restart(
                cluster, str(request["service"]), one, approves, accepted=accepted
            )
        case "rotate":
            from lifecycle.rotation.request import Secret, reviewed_rotation

            return reviewed_rotation(cluster, request.get("secrets", list(Secret)), approves)
        case "manage":
            from lifecycle.manage.request import reviewed_management

            minutes, cidrs = request.get("minutes"), tuple(request.get("cidrs", ()))
            return reviewed_management(cluster, str(request["action"]), minutes, cidrs, approves)
        case "restore":
            from lifecycle.restore.request import reviewed_restore

            return reviewed_restore(
                cluster,
                request.get("to"),
                request.get("backup"),
                approves,
                again=request.get("again", False) is True,
                source=str(request.get("from", "")),
                # The machine carries those of the request beside what follows from them.
                parameters=request.get("asked", request.get("parameters")),
            )
        case "teardown":
            from lifecycle.teardown.decisions import reviewed_teardown

            return reviewed_teardown(cluster, approves)
    return None


def cluster_template() -> bytes:
    """Template of the cluster stack, as it was shipped with the functions."""
    return Path(settings().cluster_template).read_bytes()


def announcer() -> Announcer:
    """Events about the start and end of operations."""
    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.eventbridge import EventBridgeEvents
    from lifecycle.operation.announce import Announcer

    return Announcer(
        events=EventBridgeEvents(Settings.from_env(None, "EVENT_BUS").event_bus),
        operations=DynamoTable(settings().table_name),
        control_stack=settings().control_stack,
    )


def cleaner() -> Cleaner:
    """End of an operation whose execution could not end it."""
    from lifecycle.adapters.aws.ecs_tasks import EcsBrokerTasks
    from lifecycle.operation.clean_up import Cleaner

    return Cleaner(journal=journal(), finisher=finisher(), tasks=EcsBrokerTasks())


def finisher() -> Finisher:
    """End of an operation."""
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.operation.finish import Finisher

    return Finisher(
        stacks=stacks(),
        services=EcsServices(),
        artifacts=artifacts(),
        journal=journal(),
        announcer=announcer(),
        control_stack=settings().control_stack,
    )
