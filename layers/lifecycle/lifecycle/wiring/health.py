"""Which adapter stands behind which port: health."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from lifecycle.settings import Settings
from lifecycle.wiring.common import SystemClock, settings
from lifecycle.wiring.login import logins, watched_identity_provider
from lifecycle.wiring.provisioning import service_definitions

if TYPE_CHECKING:
    from lifecycle.health.collect_aws import HealthObserver
    from lifecycle.health.collect_in_vpc import HealthProber
    from lifecycle.health.evaluate import HealthJudge
    from lifecycle.health.locate import ClusterLocator

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


def cluster_locator() -> ClusterLocator:
    """The cluster that a check is about."""
    from lifecycle.adapters.aws.cloudformation import CloudFormationStacks
    from lifecycle.health.locate import ClusterLocator

    return ClusterLocator(
        stacks=CloudFormationStacks(settings().deployment_role_arn),
        control_stack=settings().control_stack,
    )


@functools.cache
def health_observer() -> HealthObserver:
    """The outside of a health check."""
    from lifecycle.adapters.aws.health_sources import AwsHealthSources
    from lifecycle.health.collect_aws import HealthObserver

    return HealthObserver(
        cloud=AwsHealthSources(settings().control_stack), definitions=service_definitions
    )


def health_prober() -> HealthProber:
    """The inside of a health check; needs the layer with psycopg."""
    import os

    from lifecycle.adapters.camunda.http_client import Timeouts
    from lifecycle.adapters.camunda.management import HttpManagement
    from lifecycle.adapters.camunda.node_id_leases import S3Leases
    from lifecycle.adapters.postgres.database import PostgresDatabase
    from lifecycle.adapters.postgres.rds_tokens import RdsTokens
    from lifecycle.health.collect_in_vpc import HealthProber

    networks = (os.environ["VPC_CIDR"],)
    # A broker that hangs must not use up the time of those that do not.
    timeouts = Timeouts(connect=1.0, read=2.0)
    return HealthProber(
        management=lambda name: HttpManagement(
            name, networks=networks, timeouts=timeouts, budget_seconds=4.5
        ),
        logins=logins(watched_identity_provider()),
        provider=watched_identity_provider(),
        database=lambda target: PostgresDatabase(target, connect_timeout=4),
        tokens=RdsTokens(),
        leases=S3Leases(),
    )


def health_judge() -> HealthJudge:
    """The verdict of a health check, and the events of its changes."""
    import time

    from lifecycle.adapters.aws.eventbridge import EventBridgeEvents
    from lifecycle.adapters.aws.health_table import HealthTable
    from lifecycle.adapters.aws.metrics import EmbeddedMetrics
    from lifecycle.health.evaluate import HealthJudge

    return HealthJudge(
        records=HealthTable(settings().table_name),
        events=EventBridgeEvents(Settings.from_env(None, "EVENT_BUS").event_bus),
        metrics=EmbeddedMetrics(time.time, settings().control_stack),
        clock=SystemClock(),
        control_stack=settings().control_stack,
    )
