"""A provisioned cluster in memory that is restored: its database, leases and brokers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lifecycle.camunda.credentials import Credentials
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.names import tags
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.cluster.stack import ResourceChange
from lifecycle.kept.copy_backups import BackupCopier
from lifecycle.kept.discovery import Tagged
from lifecycle.restore.copy_users import UserCopier
from lifecycle.restore.facts import MARGIN, Checkpoint, SnapshotFound, Window
from lifecycle.restore.new_cluster import NewClusterValidator
from lifecycle.restore.ports import Thing, UserSecret
from lifecycle.restore.restore_brokers import BrokerRestorer
from lifecycle.restore.restore_database import DatabaseRestorer
from lifecycle.restore.source import Sources
from lifecycle.restore.validate_restore import RestoreValidator
from lifecycle.rotation.request import Secret
from lifecycle.rotation.restored_logins import RestoredLogins
from lifecycle.settings import Settings

from tests.fakes.cloudformation import FakeStacks
from tests.fakes.restored_databases import (
    FakeCounts,
    FakeRanges,
    FakeRestoredDatabases,
    FakeRestoreTasks,
    FakeStoredBackups,
    FakeUserSecrets,
)
from tests.fakes.rotation import FakeCamundaUsers, FakeSecretVersions
from tests.support.beginning import begin_operation
from tests.support.definitions import Function, load_handler
from tests.support.world import CONTROL, OUTPUTS, REGISTRIES, RESOURCES, TEMPLATE, World

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

PASSWORD = "now"
QUARTER = timedelta(minutes=15)
OF_RESTORE = {
    "BackupBucketName": "backups",
    "DatabaseAdminSecretArn": "arn:secret:database",
    "ConnectorsUserSecretArn": "arn:secret:connectors",
    "ContinuousBackup": "true",
}


@dataclass
class RestoringStacks(FakeStacks):
    """Stacks whose outputs follow the parameters of a restore, as CloudFormation's would."""

    def finish(self, *, failing: str = "", reason: str = "") -> None:
        """End what runs, with the outputs of the present parameters."""
        if self.running is not None:
            parameters = self.change_sets[self.running[0]].parameters
            self.outputs = outputs_of(parameters)
        super().finish(failing=failing, reason=reason)


def outputs_of(parameters: Mapping[str, str]) -> dict[str, str]:
    """Outputs of a stack with these parameters."""
    generation = parameters.get("DataGeneration", "1")
    found = {
        **OUTPUTS,
        **OF_RESTORE,
        "DatabaseClusterId": f"control-demo-databasecluster-{generation}",
        "DataGeneration": generation,
        "Brokers": parameters.get("Brokers", "3"),
        "Connectors": parameters.get("Connectors", "1"),
    }
    if generation != "1":
        found["NodeIdBucketName"] = f"node-ids-{generation}"
        found["OrchestrationTaskDefinitionArn"] = f"arn:orchestration-cluster:{generation}"
        found["DatabaseSnapshot"] = parameters["DatabaseSnapshot"]
        found["RestoredBackup"] = parameters["RestoredBackup"]
    return found


class Admins:
    """The administrator of the database, as the secret has it now."""

    def credentials(self, secret_arn: str, cluster: str) -> Credentials:
        """Read it."""
        del secret_arn, cluster
        return Credentials("camunda_admin", PASSWORD)


class RestoreWorld(World):
    """A running cluster with backups of the last hours, on generation 1 of its data."""

    def __init__(self) -> None:
        super().__init__(
            stacks=RestoringStacks(
                resources=RESOURCES,
                outputs=outputs_of({}),
                defaults={
                    name: str(declared.get("default", ""))
                    for name, declared in cluster_parameters().items()
                },
                changed_by={
                    "DatabaseSnapshot": [
                        ResourceChange(
                            "Modify",
                            "DatabaseCluster",
                            "AWS::RDS::DBCluster",
                            "True",
                            "ReplaceAndRetain",
                        )
                    ],
                    "DataGeneration": [
                        ResourceChange(
                            "Modify",
                            "NodeIdBucket",
                            "AWS::S3::Bucket",
                            "True",
                            "ReplaceAndRetain",
                        )
                    ],
                },
            )
        )
        self.restored = FakeRestoredDatabases()
        self.restore_tasks = FakeRestoreTasks(nodes=self.leases.nodes)
        self.stored = FakeStoredBackups()
        self.ranges = FakeRanges()
        self.counts = FakeCounts()
        self.secrets = FakeSecretVersions()
        self.users = FakeCamundaUsers(now=lambda: self.clock.now().timestamp())
        for secret, name in ((Secret.ADMIN, "admin"), (Secret.CONNECTORS, "connectors")):
            self.users.add(self.secrets.add(f"arn:secret:{secret}", name), name)
        self.user_secrets = FakeUserSecrets()
        self.backup_buckets.now = self.clock.now

    def with_backups(self) -> None:
        """Give the cluster its history; it has been provisioned."""
        now = self.clock.now()
        database = self.stacks.outputs["DatabaseClusterId"]
        self.restored.windows = [Window(database, now - timedelta(days=7), now)]
        self.restored.databases[database] = Thing("available", {})
        self.restored.contents[database] = now
        self.stored.by_bucket["backups"] = [
            Checkpoint(100 - one, now - one * QUARTER, 3, (8, 9, 22)) for one in range(1, 9)
        ]
        self.leases.by_bucket["node-ids"] = 3

    def with_partitions_added(self, bucket: str = "backups", *, backups: int = 3) -> None:
        """Let the cluster have six partitions since so many backups; its stack has three."""
        self.stored.by_bucket[bucket] = [
            replace(one, partitions=6) if place < backups else one
            for place, one in enumerate(self.stored.by_bucket[bucket])
        ]

    def with_kept(self, cluster: str = "old") -> None:
        """Give the account what a teardown of a cluster has kept."""
        now = self.clock.now()
        ours = tags(CONTROL, cluster)
        bucket = f"control-{cluster}-backupbucket-1"
        self.kept.resources = [Tagged(f"arn:aws:s3:::{bucket}", ours)]
        self.stored.by_bucket[bucket] = [
            Checkpoint(100 - one, now - one * QUARTER, 3, (8, 9, 22)) for one in range(1, 9)
        ]
        self.restored.snapshots["control-old-backup"] = Thing("available", {})
        taken = SnapshotFound("control-old-backup", now - QUARTER - MARGIN, 99)
        self.restored.taken["control-old-backup"] = taken
        self.restored.contents["control-old-backup"] = taken.at
        self.backup_buckets.tagged = {bucket: ours, "backups": tags(CONTROL, "demo")}
        for partition in (1, 2, 3):
            self.backup_buckets.write(bucket, f"manifests/{partition}/99/0/manifest.json", b"{}")
        self.user_secrets.found = [
            UserSecret(f"arn:secret:old-{name}", name, now - timedelta(days=9))
            for name in ("admin", "connectors")
        ]

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass, and AWS work meanwhile."""
        self.clock.pass_seconds(seconds)
        self.restore_tasks.now = int(self.clock.now().timestamp())
        self.stacks.finish()
        self.restored.advance()
        self.restore_tasks.advance()
        for bucket, nodes in self.leases.nodes.items():
            self.leases.by_bucket[bucket] = nodes
        outputs = self.stacks.outputs
        # The stack has made the database of the snapshot that it names.
        name, snapshot = outputs["DatabaseClusterId"], outputs.get("DatabaseSnapshot", "")
        if snapshot and name not in self.restored.databases:
            self.restored.databases[name] = Thing("available", {})
            self.restored.contents[name] = self.restored.contents[snapshot]
            now = self.clock.now()
            self.restored.windows.append(Window(name, now, now, now))
        if any(self.desired.values()):
            self.bring_up()
        else:
            self.bring_down()

    @property
    def validator(self) -> RestoreValidator:
        return RestoreValidator(
            stacks=self.stacks,
            services=self.services,
            leases=self.leases,
            databases=self.restored,
            backups=self.stored,
            ranges=self.ranges,
            counts=self.counts,
            past=self.table,
            things=self.kept,
            clock=self.clock,
            control_stack=CONTROL,
            new_clusters=lambda: self.new_cluster_validator,
        )

    @property
    def new_cluster_validator(self) -> NewClusterValidator:
        return NewClusterValidator(
            stacks=self.stacks,
            services=self.services,
            databases=self.restored,
            past=self.table,
            sources=Sources(
                stacks=self.stacks,
                services=self.services,
                leases=self.leases,
                backups=self.stored,
                ranges=self.ranges,
                things=self.kept,
                control_stack=CONTROL,
            ),
            declarations=cluster_parameters(),
            registries=lambda: REGISTRIES,
            clock=self.clock,
            control_stack=CONTROL,
        )

    @property
    def backup_copier(self) -> BackupCopier:
        return BackupCopier(
            buckets=self.backup_buckets,
            journal=self.journal,
            monotonic=lambda: 0.0,
            control_stack=CONTROL,
        )

    @property
    def user_copier(self) -> UserCopier:
        return UserCopier(secrets=self.user_secrets, journal=self.journal, control_stack=CONTROL)

    @property
    def database_restorer(self) -> DatabaseRestorer:
        return DatabaseRestorer(
            databases=self.restored,
            users=Admins(),
            journal=self.journal,
            control_stack=CONTROL,
        )

    @property
    def logins(self) -> RestoredLogins:
        # Brokers answer while they run.
        self.users.running = self.desired["orchestration-cluster"] > 0
        return RestoredLogins(
            secrets=self.secrets, camunda=lambda _: self.users, journal=self.journal
        )

    @property
    def broker_restorer(self) -> BrokerRestorer:
        return BrokerRestorer(
            services=self.services,
            tasks=self.restore_tasks,
            leases=self.leases,
            journal=self.journal,
            control_stack=CONTROL,
        )

    def moment(self, backup: int) -> datetime:
        """Moment of which the database is once that backup is restored."""
        (found,) = (one for one in self.stored.by_bucket["backups"] if one.backup == backup)
        return found.at - MARGIN

    @property
    def present(self) -> ClusterOutputs:
        return self.stacks.stacks["control-demo"].outputs


SETTINGS = Settings(
    control_stack=CONTROL,
    region="eu-central-1",
    table_name="table",
    artifact_bucket="artifacts",
    deployment_role_arn="arn:role",
    cluster_template="/opt/cluster.json",
)


def restore_functions(world: RestoreWorld, seeds: list[dict[str, Any]]) -> dict[str, Function]:
    """The machine's functions on the world; ``seeds`` records those of the database."""

    def seed(event: dict[str, Any]) -> dict[str, Any]:
        database = event["cluster"]["DatabaseClusterId"]
        assert world.restored.passwords.get(database) == PASSWORD, "the login would be rejected"
        seeds.append(event)
        return {"roles": ["camunda"]}

    stack = {"stack_changer": lambda: world.changer}
    return {
        "ValidateRestore": load_handler(
            "validate_restore", restore_validator=lambda: world.validator
        ),
        "BeginOperation": begin_operation(world),
        "ReadCluster": load_handler("read_cluster", **stack),
        "RestoreDatabase": load_handler(
            "restore_database",
            database_restorer=lambda: world.database_restorer,
            user_copier=lambda: world.user_copier,
        ),
        "PreflightCluster": load_handler("preflight_cluster", preflight=lambda: world.preflight),
        "CopyBackups": load_handler("copy_backups", backup_copier=lambda: world.backup_copier),
        "SeedLogin": lambda _: {},
        "RestoreBrokers": load_handler(
            "restore_brokers", broker_restorer=lambda: world.broker_restorer
        ),
        "PlanStack": load_handler(
            "plan_stack",
            plan_adopter=lambda: world.adopter,
            settings=lambda: SETTINGS,
            cluster_template=lambda: TEMPLATE,
            **stack,
        ),
        "CheckChangeSet": load_handler("check_change_set", **stack),
        "ExecuteChangeSet": load_handler("execute_change_set", **stack),
        "FollowStack": load_handler("follow_stack", **stack),
        "RollBackStack": load_handler("roll_back_stack", **stack),
        "SeedDatabase": seed,
        "RotateSecrets": load_handler("rotate_secrets", restored_logins=lambda: world.logins),
        "StartServices": load_handler("start_services", service_starter=lambda: world.starter),
        "RollServices": load_handler("roll_services"),
        "FollowStart": load_handler("follow_start", start_follower=lambda: world.follower),
        "VerifyCluster": load_handler("verify_cluster", verifier=lambda: world.verifier),
        "FinishOperation": load_handler("finish_operation", finisher=lambda: world.finisher),
    }
