"""Which adapter stands behind which port: api."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from lifecycle.settings import Settings
from lifecycle.wiring.common import (
    SystemClock,
    artifacts,
    journal,
    registries,
    reviewed,
    second_approver,
    settings,
)
from lifecycle.wiring.former_data import former_data
from lifecycle.wiring.kept import kept_reader
from lifecycle.wiring.login import identity_provider, logins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.api.app import Api
    from lifecycle.api.probe import Prober
    from lifecycle.operation.start import OperationStarter, Validator
    from lifecycle.verification.create_instances import InstanceProber

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


def prober() -> Prober:
    """Queries that work only inside the VPC."""
    import os

    from lifecycle.adapters.camunda.load_balancers import NetworkPaths
    from lifecycle.adapters.camunda.management import HttpManagement
    from lifecycle.api.probe import Prober

    networks = (os.environ["VPC_CIDR"],)
    return Prober(
        management=lambda name: HttpManagement(name, networks=networks),
        paths=NetworkPaths(),
        provider=identity_provider(),
        logins=logins(),
        networks=networks,
    )


def instance_prober() -> InstanceProber:
    """The query about process instances, inside the VPC."""
    import os
    import time

    from lifecycle.adapters.camunda.http_client import Timeouts
    from lifecycle.adapters.camunda.management import HttpManagement
    from lifecycle.adapters.camunda.processes import HttpProcesses
    from lifecycle.verification.create_instances import InstanceProber

    networks = (os.environ["VPC_CIDR"],)
    timeouts = Timeouts(connect=2.0, read=5.0)
    return InstanceProber(
        management=lambda name: HttpManagement(name, timeouts=timeouts, budget_seconds=6.0),
        processes=lambda name: HttpProcesses(
            name, networks=networks, timeouts=timeouts, budget_seconds=6.0
        ),
        logins=logins(),
        monotonic=time.monotonic,
    )


def operation_starter(
    function_arn: str, validators: Mapping[str, Validator], *, reviews: bool = True
) -> OperationStarter:
    """Start of operations, in the function of that ARN; without ``reviews`` none is required."""
    import secrets

    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.stepfunctions import StepFunctionsExecutions
    from lifecycle.operation.arns import MachineArns
    from lifecycle.operation.start import OperationStarter

    return OperationStarter(
        machines=StepFunctionsExecutions(),
        records=DynamoTable(settings().table_name),
        journal=journal(),
        arns=MachineArns.beside(function_arn, settings().control_stack),
        validators=validators,
        approve=approve if reviews else lambda *_: None,
        new_key=lambda: f"{SystemClock().now():%Y%m%dT%H%M%S}-{secrets.token_hex(4)}",
    )


def approve(verb: str, request: Mapping[str, object], caller: str) -> None:
    """Refuse a request that another principal has to review first, as its machine would."""
    review = reviewed(verb, {"cluster": request["clusterName"], **request})
    if review is not None:
        second_approver().refuse_request(verb, review, caller)


def approve_again(verb: str, request: Mapping[str, object], caller: str) -> None:
    """Refuse to let go on what a principal could not have started."""
    approve(verb, request, caller)
    if verb == "provision":
        from lifecycle.adapters.aws.cloudformation import CloudFormationStacks
        from lifecycle.plans.approve import ProvisionApproval

        ProvisionApproval(
            CloudFormationStacks(settings().deployment_role_arn),
            second_approver(),
            settings().control_stack,
        ).refuse_request(request, caller)


@functools.cache
def api(function_arn: str) -> Api:
    """The REST API, in the function of that ARN."""
    import os
    import secrets

    from lifecycle.adapters.aws.backup_sizes import CloudWatchBackupSizes
    from lifecycle.adapters.aws.cloudformation import CloudFormationStacks
    from lifecycle.adapters.aws.dynamodb import DynamoTable
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.adapters.aws.health_table import HealthTable
    from lifecycle.adapters.aws.lambda_probe import LambdaProbe
    from lifecycle.adapters.aws.rds import RdsBackups
    from lifecycle.adapters.aws.restored_databases import RdsRestoredDatabases
    from lifecycle.adapters.aws.slots import DynamoSlots
    from lifecycle.adapters.aws.stepfunctions import StepFunctionsExecutions
    from lifecycle.api.app import Api
    from lifecycle.api.clusters import BROKER_READS, ClusterReader
    from lifecycle.api.freezing import Freezer
    from lifecycle.api.validate import StartValidation
    from lifecycle.backup.read import BackupReader
    from lifecycle.cluster.parameters import cluster_parameters
    from lifecycle.cluster.slots import Limiter
    from lifecycle.health.read import HealthReader
    from lifecycle.observability import of_aws
    from lifecycle.operation.arns import MachineArns
    from lifecycle.operation.cancel import OperationCanceller
    from lifecycle.operation.read import OperationReader
    from lifecycle.operation.report_links import ReportLinker
    from lifecycle.operation.resume import OperationResumer
    from lifecycle.plans.read import PlanReader
    from lifecycle.restore.listed import ListedRestores

    control_stack = settings().control_stack
    arns = MachineArns.beside(function_arn, control_stack)
    machines, table = StepFunctionsExecutions(), DynamoTable(settings().table_name)
    cloudformation = CloudFormationStacks(settings().deployment_role_arn)
    operations = OperationReader(machines=machines, records=table, arns=arns)

    def limiter(kind: str, most: int) -> Limiter:
        return Limiter(
            slots=DynamoSlots(settings().table_name, kind),
            clock=SystemClock(),
            new_token=lambda: secrets.token_hex(8),
            most=most,
        )

    # API Gateway answers for us after 29 s; what is known by then must be returned.
    probe = LambdaProbe(
        Settings.from_env(None, "PROBE_FUNCTION").probe_function, read_timeout=15, attempts=1
    )
    return Api(
        starter=operation_starter(
            function_arn,
            StartValidation(
                stacks=cloudformation,
                control_stack=control_stack,
                declarations=cluster_parameters(),
                probe=probe,
                registries=registries(),
            ).by_verb(),
        ),
        operations=operations,
        clusters=ClusterReader(
            stacks=cloudformation,
            services=EcsServices(),
            probe=probe,
            limiter=limiter("READ", BROKER_READS),
            operations=operations,
            freezes=table,
            health=HealthTable(settings().table_name),
            clock=SystemClock(),
            region=settings().region,
            control_stack=control_stack,
            translate=of_aws,
        ),
        backups=BackupReader(
            stacks=cloudformation,
            probe=probe,
            limiter=limiter("READ", BROKER_READS),
            databases=RdsBackups(),
            sizes=CloudWatchBackupSizes(),
            former=former_data(),
            restores=ListedRestores(RdsRestoredDatabases(control_stack)),
            region=settings().region,
            control_stack=control_stack,
            translate=of_aws,
        ),
        freezer=Freezer(
            stacks=cloudformation,
            freezes=table,
            locks=table,
            clock=SystemClock(),
            control_stack=control_stack,
        ),
        health=HealthReader(
            records=HealthTable(settings().table_name),
            checks=machines,
            limiter=limiter("CHECK", int(os.environ["FRESH_HEALTH_CHECKS"])),
            arns=arns,
            clock=SystemClock(),
            seconds=int(os.environ["FRESH_HEALTH_SECONDS"]),
        ),
        canceller=OperationCanceller(
            operations=operations, machines=machines, records=table, clock=SystemClock()
        ),
        resumer=OperationResumer(
            operations=operations,
            machines=machines,
            records=table,
            journal=journal(),
            stacks=cloudformation,
            control_stack=control_stack,
            approve=approve_again,
        ),
        plans=PlanReader(operations=operations, artifacts=artifacts()),
        reports=ReportLinker(operations=operations, artifacts=artifacts(), clock=SystemClock()),
        kept=kept_reader(),
        translate=of_aws,
        control_stack=control_stack,
    )
