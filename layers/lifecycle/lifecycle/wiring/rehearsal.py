"""Which adapter stands behind which port: rehearsals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.wiring.common import SystemClock, journal, probe, settings, stacks
from lifecycle.wiring.login import logins

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.rehearsal.conduct import Conductor
    from lifecycle.rehearsal.probe import RehearsalProber
    from lifecycle.rehearsal.validate_rehearsal import RehearsalValidator

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


def rehearsal_prober() -> RehearsalProber:
    """Queries about markers and totals, inside the VPC."""
    import os
    import time

    from lifecycle.adapters.camunda.http_client import Timeouts
    from lifecycle.adapters.camunda.processes import HttpProcesses
    from lifecycle.rehearsal.probe import RehearsalProber

    networks = (os.environ["VPC_CIDR"],)
    # A total of a large table takes the database longer than an instance by its key.
    timeouts = Timeouts(connect=2.0, read=15.0)
    return RehearsalProber(
        processes=lambda name: HttpProcesses(
            name, networks=networks, timeouts=timeouts, budget_seconds=6.0
        ),
        logins=logins(),
        monotonic=time.monotonic,
    )


def plant_markers(
    cluster: ClusterOutputs, *, marker: str, known: Mapping[str, Any]
) -> dict[str, Any]:
    """Plant a marker on each partition, as far as one look gets; see ``InstanceProber.query``."""
    from dataclasses import replace

    from lifecycle.rehearsal.marker import PROCESS, variables
    from lifecycle.wiring.api import instance_prober

    planter = replace(
        instance_prober(), process=PROCESS, variables=lambda attempt: variables(marker, attempt)
    )
    return planter.query(cluster, known=known)


def rehearsal_validator() -> RehearsalValidator:
    """Validation and plan of a rehearsal."""
    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.rehearsal.validate_rehearsal import RehearsalValidator

    return RehearsalValidator(
        stacks=stacks(),
        services=EcsServices(),
        locks=DynamoTable(settings().table_name),
        clock=SystemClock(),
        control_stack=settings().control_stack,
    )


def conductor(function_arn: str) -> Conductor:
    """Rehearsals, in the function of that ARN, which starts operations."""
    from lifecycle.cluster.names import stack_name
    from lifecycle.rehearsal.conduct import Conductor
    from lifecycle.wiring.api import operation_starter

    def named(raw: Mapping[str, object]) -> str:
        # Its machine validates it; an ECS cluster that is provisioned has its stack's name.
        return stack_name(settings().control_stack, str(raw["clusterName"]))

    return Conductor(
        stacks=stacks(),
        probe=probe,
        # What changes only a trial needs no review: operation/approval.py.
        starter=operation_starter(
            function_arn, dict.fromkeys(("backup", "restore", "teardown"), named), reviews=False
        ),
        journal=journal(),
        control_stack=settings().control_stack,
    )
