"""Snapshots of the local Aurora and clusters restored from them: what comes back, to the instant.

The embedded AWS with its database: a stack makes an Aurora cluster with an instance, clients write
to it as its admin, and what they were told is committed is looked for afterwards.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import psycopg
import pytest
from botocore.exceptions import ClientError

from local import instance
from local.aws.strict import iam_login_settles, restorable_time
from local.component import Instance
from local.config import REGION, LocalConfig
from tests.support.blocks import block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = pytest.mark.integration

ADMIN = "camunda_admin"
PASSWORD = "the first one"
TAGS = [{"Key": "camunda:cluster", "Value": "demo"}]


def template(**properties: Any) -> str:
    """One cluster with one instance; what is None is not in the template."""
    given = {
        "Port": 5432,
        "Engine": "aurora-postgresql",
        "DatabaseName": "camunda",
        "MasterUsername": ADMIN,
        "MasterUserPassword": PASSWORD,
        "EnableIAMDatabaseAuthentication": True,
        "StorageEncrypted": True,
        "CopyTagsToSnapshot": True,
        "Tags": TAGS,
    } | properties
    policy = given.pop("UpdateReplacePolicy", "Retain")
    return json.dumps(
        {
            "Resources": {
                "Database": {
                    "Type": "AWS::RDS::DBCluster",
                    "DeletionPolicy": "Snapshot",
                    "UpdateReplacePolicy": policy,
                    "Properties": {name: one for name, one in given.items() if one is not None},
                },
                "Instance": {
                    "Type": "AWS::RDS::DBInstance",
                    "Properties": {
                        "Engine": "aurora-postgresql",
                        "DBInstanceClass": "db.r6g.large",
                        "DBClusterIdentifier": {"Ref": "Database"},
                    },
                },
            },
            "Outputs": {"Cluster": {"Value": {"Ref": "Database"}}},
        }
    )


RESTORED: dict[str, Any] = dict.fromkeys(
    ("MasterUsername", "MasterUserPassword", "StorageEncrypted", "DatabaseName")
)


def own_tags(found: dict[str, Any]) -> list[dict[str, str]]:
    """Tags without those of CloudFormation."""
    return [one for one in found["TagList"] if not one["Key"].startswith("aws:")]


def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


@dataclass
class Aurora:
    """The embedded AWS and what is done to databases in it."""

    here: Instance
    stacks: list[str] = field(default_factory=list)

    @property
    def rds(self) -> Any:
        return self.here.client("rds")

    def cluster(self, identifier: str) -> dict[str, Any]:
        (found,) = self.rds.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"]
        return dict(found)

    def provision(self, **properties: Any) -> str:
        """Make a stack with a database that answers; gives the cluster's identifier."""
        name = f"backups-{uuid.uuid4().hex[:6]}"
        cloudformation = self.here.client("cloudformation")
        cloudformation.create_stack(StackName=name, TemplateBody=template(**properties))
        self.stacks.append(name)
        self.settled(name, "CREATE_COMPLETE")
        identifier = self.output(name)
        eventually(lambda: self.answers(identifier))
        return identifier

    def update(self, stack: str, **properties: Any) -> None:
        ended = self._ended(stack)
        self.here.client("cloudformation").update_stack(
            StackName=stack, TemplateBody=template(**properties)
        )
        eventually(lambda: self._ended(stack) > ended, 60)
        self.settled(stack, "UPDATE_COMPLETE")

    def _ended(self, stack: str) -> int:
        found = [status for name, status, _ in self.events(stack) if name == stack]
        return len([one for one in found if one.endswith(("COMPLETE", "FAILED"))])

    def status(self, stack: str) -> str:
        (found,) = self.here.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return str(found["StackStatus"])

    def settled(self, stack: str, status: str) -> None:
        eventually(lambda: not self.status(stack).endswith("IN_PROGRESS"), 60)
        assert self.status(stack) == status

    def output(self, stack: str) -> str:
        (found,) = self.here.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return str(found["Outputs"][0]["OutputValue"])

    def events(self, stack: str) -> list[tuple[str, str, str]]:
        found = self.here.client("cloudformation").describe_stack_events(StackName=stack)
        return [
            (one["LogicalResourceId"], one["ResourceStatus"], one.get("ResourceStatusReason", ""))
            for one in found["StackEvents"]
        ]

    def connect(
        self, identifier: str, password: str = PASSWORD, user: str = ADMIN
    ) -> psycopg.Connection:
        endpoint = self.cluster(identifier)["Endpoint"]
        addresses = self.here.names.lookup(endpoint)
        if not addresses:
            raise psycopg.OperationalError(f"{endpoint} does not resolve")
        return psycopg.connect(
            host=endpoint,
            hostaddr=addresses[0],
            user=user,
            password=password,
            dbname="camunda",
            sslmode="verify-full",
            sslrootcert=str(self.here.config.database_ca),
            connect_timeout=5,
            autocommit=True,
        )

    def answers(self, identifier: str) -> bool:
        try:
            self.connect(identifier).close()
        except psycopg.OperationalError:
            return False
        return True

    def rows(self, identifier: str, password: str = PASSWORD) -> list[int]:
        with self.connect(identifier, password) as connection:
            found = connection.execute("SELECT n FROM work ORDER BY n").fetchall()
        return [n for (n,) in found]

    def snapshot(self, identifier: str, name: str | None = None, **more: Any) -> str:
        """Take a snapshot and follow it until it is available; gives its name."""
        name = name or f"snapshot-{uuid.uuid4().hex[:8]}"
        self.rds.create_db_cluster_snapshot(
            DBClusterIdentifier=identifier, DBClusterSnapshotIdentifier=name, **more
        )
        eventually(lambda: self.snapshot_of(name)["Status"] == "available")
        return name

    def snapshot_of(self, name: str) -> dict[str, Any]:
        (found,) = self.rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=name)[
            "DBClusterSnapshots"
        ]
        return dict(found)

    def from_snapshot(self, snapshot: str, **more: Any) -> str:
        """Restore a cluster with an instance from a snapshot."""
        identifier = f"from-{uuid.uuid4().hex[:8]}"
        self.rds.restore_db_cluster_from_snapshot(
            DBClusterIdentifier=identifier,
            SnapshotIdentifier=snapshot,
            Engine="aurora-postgresql",
            **more,
        )
        self.with_instance(identifier)
        return identifier

    def to_instant(self, source: str, until: datetime | None, *, instance: bool = True) -> str:
        """Restore a cluster to an instant, once it is restorable; None for the latest."""
        identifier = f"to-{uuid.uuid4().hex[:8]}"
        if until:
            eventually(lambda: self.cluster(source)["LatestRestorableTime"] > until)
        when: dict[str, Any] = (
            {"RestoreToTime": until} if until else {"UseLatestRestorableTime": True}
        )
        self.rds.restore_db_cluster_to_point_in_time(
            DBClusterIdentifier=identifier, SourceDBClusterIdentifier=source, **when
        )
        if instance:
            self.with_instance(identifier)
        return identifier

    def with_instance(self, identifier: str) -> None:
        eventually(lambda: self.cluster(identifier)["Status"] == "available")
        self.rds.create_db_instance(
            DBInstanceIdentifier=f"{identifier}-1",
            DBClusterIdentifier=identifier,
            Engine="aurora-postgresql",
            DBInstanceClass="db.r6g.large",
        )
        eventually(lambda: self.answers(identifier))


class Writer:
    """A client that commits one row after the other and notes when it was told so."""

    def __init__(self, aurora: Aurora, identifier: str) -> None:
        self.acknowledged: dict[int, datetime] = {}
        self.begun: dict[int, datetime] = {}
        self._stop = threading.Event()
        self._connection = aurora.connect(identifier)
        self._connection.execute("CREATE TABLE IF NOT EXISTS work (n int PRIMARY KEY, text text)")
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Writer:
        self._thread.start()
        self.more(20)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._connection.close()

    def more(self, count: int) -> None:
        """Wait until so many more rows are committed."""
        wanted = len(self.acknowledged) + count
        eventually(lambda: len(self.acknowledged) >= wanted)

    def _write(self) -> None:
        n = 0
        while not self._stop.is_set():
            n += 1
            self.begun[n] = datetime.now(UTC)
            self._connection.execute("INSERT INTO work VALUES (%s, %s)", [n, "x" * 1000])
            self.acknowledged[n] = datetime.now(UTC)

    def check(self, rows: Sequence[int], until: datetime) -> None:
        """Everything acknowledged before the instant is there, nothing that was begun after it."""
        tick = timedelta(milliseconds=1)  # the API's times have no more digits
        before = {n for n, at in self.acknowledged.items() if at < until}
        after = {n for n, at in self.begun.items() if at > until + tick}
        assert before, "nothing was written before"
        assert after, "nothing was written after"
        assert before <= set(rows)
        assert not after & set(rows)
        assert list(rows) == list(range(1, len(rows) + 1))


@pytest.fixture(scope="module")
def aurora(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aurora]:
    here = Instance.of(LocalConfig(tmp_path_factory.mktemp("instance"), block("database")))
    host = instance.start(here, components=["postgres"])
    kept = here.config.database_ca.parent
    try:
        yield Aurora(here)
    finally:
        data = [link.readlink() for link in kept.iterdir() if link.is_symlink()]
        host.stop(grace=60)
        assert here.processes.survivors() == []
    # With every server's data and every snapshot's.
    assert data
    assert not [directory for directory in data if directory.exists()]


@pytest.fixture(scope="module")
def source(aurora: Aurora) -> str:
    """A database with rows 1 to 3 that no test changes."""
    identifier = aurora.provision()
    with aurora.connect(identifier) as connection:
        connection.execute("CREATE TABLE work (n int PRIMARY KEY)")
        connection.execute("INSERT INTO work VALUES (1), (2), (3)")
    written = datetime.now(UTC)
    eventually(lambda: aurora.cluster(identifier)["LatestRestorableTime"] >= written)
    return identifier


@contextmanager
def refused(code: str, *words: str) -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code
    assert all(word in error["Message"] for word in words), error["Message"]


def test_a_restore_to_an_instant_has_what_was_committed_before_it_and_nothing_after(
    aurora: Aurora,
) -> None:
    identifier = aurora.provision()
    with Writer(aurora, identifier) as writer:
        until = datetime.now(UTC)
        writer.more(100)
        restored = aurora.to_instant(identifier, until)
        writer.check(aurora.rows(restored), until)
        # Its source goes on meanwhile, and has everything.
        writer.more(20)
    assert aurora.rows(identifier) == sorted(writer.acknowledged)
    was, found = aurora.cluster(identifier), aurora.cluster(restored)
    assert found["Endpoint"] != was["Endpoint"]
    assert found["DbClusterResourceId"] != was["DbClusterResourceId"]
    # And to an instant of its own afterwards, also without any write since.
    with aurora.connect(restored) as connection:
        connection.execute("DELETE FROM work WHERE n <> 1")
    again = aurora.to_instant(restored, datetime.now(UTC))
    assert aurora.rows(again) == [1]
    with refused("InvalidParameterValue", "cannot be restored"):
        aurora.rds.restore_db_cluster_to_point_in_time(
            DBClusterIdentifier="too-early",
            SourceDBClusterIdentifier=restored,
            RestoreToTime=until,
        )


def test_a_snapshot_taken_under_load_is_of_the_time_it_names(aurora: Aurora) -> None:
    identifier = aurora.provision()
    with Writer(aurora, identifier) as writer:
        snapshot = aurora.snapshot(identifier)
        writer.more(50)
        restored = aurora.from_snapshot(snapshot)
    at = aurora.snapshot_of(snapshot)["SnapshotCreateTime"]
    writer.check(aurora.rows(restored), at)


def test_a_snapshot_is_being_created_before_it_is_available(aurora: Aurora, source: str) -> None:
    found = aurora.rds.create_db_cluster_snapshot(
        DBClusterIdentifier=source, DBClusterSnapshotIdentifier="Slow"
    )["DBClusterSnapshot"]
    assert (found["DBClusterSnapshotIdentifier"], found["Status"]) == ("slow", "creating")
    assert found["PercentProgress"] == 0
    with refused("InvalidDBClusterSnapshotStateFault", "slow"):
        aurora.rds.restore_db_cluster_from_snapshot(
            DBClusterIdentifier="x", SnapshotIdentifier="slow", Engine="aurora-postgresql"
        )
    with refused("InvalidDBClusterSnapshotStateFault", "slow"):
        aurora.rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="slow")
    eventually(lambda: aurora.snapshot_of("slow")["Status"] == "available")
    with refused("DBClusterSnapshotAlreadyExistsFault", "slow"):
        aurora.rds.create_db_cluster_snapshot(
            DBClusterIdentifier=source, DBClusterSnapshotIdentifier="slow"
        )
    aurora.rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="slow")
    with refused("DBClusterSnapshotNotFoundFault", "slow"):
        aurora.snapshot_of("slow")


def test_a_deleted_snapshot_s_data_is_deleted(aurora: Aurora, source: str) -> None:
    kept = aurora.here.config.database_ca.with_name("snapshots")
    before = set(kept.iterdir())
    name = aurora.snapshot(source)
    (made,) = set(kept.iterdir()) - before
    aurora.rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=name)
    eventually(lambda: not made.exists())


@pytest.mark.parametrize(
    "name", ["1st", "ends-", "two--hyphens", "under_score", "x" * 64], ids=lambda name: name[:12]
)
def test_a_name_that_rds_does_not_take_is_refused(aurora: Aurora, source: str, name: str) -> None:
    with refused("InvalidParameterValue", name.lower()):
        aurora.rds.create_db_cluster_snapshot(
            DBClusterIdentifier=source, DBClusterSnapshotIdentifier=name
        )


def test_a_snapshot_has_the_tags_of_its_request_or_else_of_its_cluster(
    aurora: Aurora, source: str
) -> None:
    copied = aurora.snapshot(source)
    own = [{"Key": "camunda:purpose", "Value": "backup"}]
    given = aurora.snapshot(source, Tags=own)
    assert aurora.snapshot_of(copied)["TagList"] == TAGS
    assert aurora.snapshot_of(given)["TagList"] == own
    arn = aurora.snapshot_of(given)["DBClusterSnapshotArn"]
    aurora.rds.add_tags_to_resource(ResourceName=arn, Tags=TAGS)
    assert aurora.snapshot_of(given)["TagList"] == own + TAGS
    assert aurora.rds.list_tags_for_resource(ResourceName=arn)["TagList"] == own + TAGS


def test_snapshots_are_listed_by_cluster_type_and_filter(aurora: Aurora, source: str) -> None:
    name = aurora.snapshot(source)

    def listed(**what: Any) -> set[str]:
        found = aurora.rds.describe_db_cluster_snapshots(**what)["DBClusterSnapshots"]
        return {one["DBClusterSnapshotIdentifier"] for one in found}

    def filtered(name: str, value: str) -> dict[str, Any]:
        return {"Filters": [{"Name": name, "Values": [value]}]}

    arn = aurora.cluster(source)["DBClusterArn"]
    assert name in listed() & listed(SnapshotType="manual") & listed(DBClusterIdentifier=source)
    assert name in listed(**filtered("db-cluster-id", source))
    assert name in listed(**filtered("db-cluster-id", arn))
    assert listed(**filtered("db-cluster-snapshot-id", name)) == {name}
    assert listed(SnapshotType="automated") == set()
    assert listed(DBClusterIdentifier="another") == set()
    assert listed(DBClusterIdentifier=source, **filtered("db-cluster-id", "another")) == set()
    by_arn = aurora.snapshot_of(aurora.snapshot_of(name)["DBClusterSnapshotArn"])
    assert by_arn["DBClusterSnapshotIdentifier"] == name
    with refused("InvalidParameterCombination"):
        listed(DBClusterIdentifier=source, DBClusterSnapshotIdentifier=name)


def test_a_restored_cluster_has_of_its_source_what_rds_passes_on(
    aurora: Aurora, source: str
) -> None:
    was = aurora.cluster(source)
    for restored in (
        aurora.from_snapshot(aurora.snapshot(source)),
        aurora.to_instant(source, None),
    ):
        found = aurora.cluster(restored)
        kept = ("Engine", "EngineVersion", "Port", "MasterUsername", "DatabaseName")
        assert {name: found[name] for name in kept} == {name: was[name] for name in kept}
        assert found["StorageEncrypted"] is True
        # Neither of these: the request has to give them.
        assert found["IAMDatabaseAuthenticationEnabled"] is False
        assert found["TagList"] == []
        assert found["CopyTagsToSnapshot"] is False
        assert aurora.rows(restored) == [1, 2, 3]


def test_a_restore_has_the_passwords_of_that_time(aurora: Aurora) -> None:
    identifier = aurora.provision()
    with aurora.connect(identifier) as connection:
        connection.execute("CREATE TABLE work (n int)")
    before = aurora.snapshot(identifier)
    aurora.rds.modify_db_cluster(
        DBClusterIdentifier=identifier, MasterUserPassword="the second one", ApplyImmediately=True
    )
    eventually(lambda: not aurora.answers(identifier))
    assert aurora.rows(identifier, "the second one") == []
    restored = aurora.from_snapshot(before)
    assert aurora.rows(restored) == []
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        aurora.rows(restored, "the second one")
    # As a restored cluster gets the one that its secret has now.
    aurora.rds.modify_db_cluster(
        DBClusterIdentifier=restored, MasterUserPassword="the second one", ApplyImmediately=True
    )
    eventually(lambda: not aurora.answers(restored))
    assert aurora.rows(restored, "the second one") == []


def test_the_password_that_is_set_again_is_that_of_the_admin_again(aurora: Aurora) -> None:
    identifier = aurora.provision()
    with aurora.connect(identifier) as connection:
        connection.execute(f"ALTER ROLE {ADMIN} PASSWORD 'from sql'")
    assert not aurora.answers(identifier)
    aurora.rds.modify_db_cluster(DBClusterIdentifier=identifier, MasterUserPassword=PASSWORD)
    eventually(lambda: aurora.answers(identifier))


def test_without_an_instance_no_connection_is_accepted_and_snapshots_are_taken(
    aurora: Aurora, source: str
) -> None:
    staging = aurora.to_instant(source, None, instance=False)
    eventually(lambda: aurora.cluster(staging)["Status"] == "available")
    assert aurora.here.names.lookup(aurora.cluster(staging)["Endpoint"]) == ()
    snapshot = aurora.snapshot(staging)
    aurora.rds.delete_db_cluster(DBClusterIdentifier=staging, SkipFinalSnapshot=True)
    restored = aurora.from_snapshot(snapshot)
    assert aurora.rows(restored) == [1, 2, 3]
    # It loses its last instance under its clients.
    client = aurora.connect(restored)
    aurora.rds.delete_db_instance(DBInstanceIdentifier=f"{restored}-1", SkipFinalSnapshot=True)
    eventually(lambda: not aurora.here.names.lookup(aurora.cluster(restored)["Endpoint"]))
    with pytest.raises(psycopg.OperationalError):
        client.execute("SELECT 1")
    again = aurora.from_snapshot(aurora.snapshot(restored))
    assert aurora.rows(again) == [1, 2, 3]
    aurora.with_instance(restored)
    assert aurora.rows(restored) == [1, 2, 3]


def test_nothing_is_changed_in_a_cluster_that_is_being_restored(
    aurora: Aurora, source: str
) -> None:
    aurora.rds.restore_db_cluster_to_point_in_time(
        DBClusterIdentifier="early", SourceDBClusterIdentifier=source, UseLatestRestorableTime=True
    )
    acts: tuple[Callable[[], Any], ...] = (
        lambda: aurora.rds.create_db_instance(
            DBInstanceIdentifier="early-1",
            DBClusterIdentifier="early",
            Engine="aurora-postgresql",
            DBInstanceClass="db.r6g.large",
        ),
        lambda: aurora.rds.modify_db_cluster(DBClusterIdentifier="early", Port=5433),
        lambda: aurora.rds.stop_db_cluster(DBClusterIdentifier="early"),
        lambda: aurora.rds.restore_db_cluster_to_point_in_time(
            DBClusterIdentifier="x", SourceDBClusterIdentifier="early", UseLatestRestorableTime=True
        ),
    )
    for act in acts:
        with refused("InvalidDBClusterStateFault", "early", "creating"):
            act()
    with refused("InvalidDBClusterStateFault", "early", "available state"):
        aurora.rds.create_db_cluster_snapshot(
            DBClusterIdentifier="early", DBClusterSnapshotIdentifier="too-early"
        )
    eventually(lambda: aurora.cluster("early")["Status"] == "available")


def test_a_time_that_is_not_restorable_is_refused(aurora: Aurora, source: str) -> None:
    now = datetime.now(UTC)
    earliest = aurora.cluster(source)["EarliestRestorableTime"]

    def restore(**more: Any) -> None:
        aurora.rds.restore_db_cluster_to_point_in_time(
            **{"DBClusterIdentifier": "x", "SourceDBClusterIdentifier": source, **more}
        )

    with refused("InvalidParameterValue", "cannot be restored"):
        restore(RestoreToTime=now + timedelta(hours=1))
    with refused("InvalidParameterValue", "cannot be restored"):
        restore(RestoreToTime=now)  # the latest restorable time is behind
    with refused("InvalidParameterValue", "cannot be restored"):
        restore(RestoreToTime=earliest - timedelta(seconds=1))
    with refused("InvalidParameterCombination"):
        restore()
    with refused("InvalidParameterCombination"):
        restore(RestoreToTime=now, UseLatestRestorableTime=True)
    with refused("InvalidParameterCombination", "copy-on-write"):
        restore(RestoreToTime=now, RestoreType="copy-on-write")
    with refused("DBClusterNotFoundFault", "missing"):
        restore(SourceDBClusterIdentifier="missing", UseLatestRestorableTime=True)
    with refused("DBClusterAlreadyExistsFault", source):
        restore(DBClusterIdentifier=source, UseLatestRestorableTime=True)
    with refused("DBSubnetGroupNotFoundFault", "none"):
        restore(UseLatestRestorableTime=True, DBSubnetGroupName="none")
    with refused("DBClusterAutomatedBackupNotFoundFault"):
        aurora.rds.restore_db_cluster_to_point_in_time(
            DBClusterIdentifier="x",
            SourceDbClusterResourceId="cluster-GONE",
            UseLatestRestorableTime=True,
        )


def test_the_latest_restorable_time_goes_on_without_writes_and_is_behind(
    aurora: Aurora, source: str
) -> None:
    first = aurora.cluster(source)["LatestRestorableTime"]
    eventually(lambda: aurora.cluster(source)["LatestRestorableTime"] > first)
    behind = timedelta(seconds=restorable_time.BEHIND_SECONDS)
    assert aurora.cluster(source)["LatestRestorableTime"] <= datetime.now(UTC) - behind


def test_a_stopped_database_is_restored_from_and_not_snapshotted(aurora: Aurora) -> None:
    identifier = aurora.provision()
    with aurora.connect(identifier) as connection:
        connection.execute("CREATE TABLE work AS SELECT 1 AS n")
    aurora.rds.stop_db_cluster(DBClusterIdentifier=identifier)
    eventually(lambda: not aurora.answers(identifier))
    restored = aurora.to_instant(identifier, datetime.now(UTC))
    assert aurora.rows(restored) == [1]
    with refused("InvalidDBClusterStateFault", identifier, "available state"):
        aurora.snapshot(identifier)


def test_a_database_is_backed_up_by_one_snapshot_at_a_time(aurora: Aurora, source: str) -> None:
    def take(name: str) -> None:
        aurora.rds.create_db_cluster_snapshot(
            DBClusterIdentifier=source, DBClusterSnapshotIdentifier=name
        )

    def second_is_refused() -> bool:
        """Unless the first is complete already, which takes a moment only."""
        first = f"first-{uuid.uuid4().hex[:8]}"
        take(first)
        try:
            take(f"second-{uuid.uuid4().hex[:8]}")
        except aurora.rds.exceptions.InvalidDBClusterStateFault:
            return aurora.answers(source)
        finally:
            eventually(lambda: aurora.cluster(source)["Status"] == "available")
        return False

    eventually(second_is_refused)
    assert aurora.snapshot(source)


def test_the_latest_restorable_time_is_as_far_behind_as_it_is_on_aws(
    aurora: Aurora, source: str
) -> None:
    """Up to five minutes; and RDS restores to before it, not to it."""
    eventually(
        lambda: (
            aurora.cluster(source)["LatestRestorableTime"]
            > aurora.cluster(source)["EarliestRestorableTime"]
        )
    )
    file = aurora.here.config.restorable_file
    file.write_text(json.dumps(300))
    try:
        latest = aurora.cluster(source)["LatestRestorableTime"]
        eventually(lambda: datetime.now(UTC) > latest + timedelta(seconds=6))
        assert aurora.cluster(source)["LatestRestorableTime"] == latest
        with refused("InvalidParameterValue", "cannot be restored"):
            aurora.rds.restore_db_cluster_to_point_in_time(
                DBClusterIdentifier="too-late",
                SourceDBClusterIdentifier=source,
                RestoreToTime=latest,
            )
        aurora.rds.restore_db_cluster_to_point_in_time(
            DBClusterIdentifier="just-before",
            SourceDBClusterIdentifier=source,
            RestoreToTime=latest - timedelta(milliseconds=1),
        )
    finally:
        file.unlink()
    eventually(lambda: aurora.cluster("just-before")["Status"] == "available")


def test_iam_logins_to_a_restored_cluster_need_its_own_resource_id(aurora: Aurora) -> None:
    identifier = aurora.provision()
    with aurora.connect(identifier) as connection:
        connection.execute("CREATE ROLE camunda LOGIN")
        connection.execute("GRANT rds_iam TO camunda")
    was = aurora.cluster(identifier)["DbClusterResourceId"]
    restored = aurora.from_snapshot(
        aurora.snapshot(identifier), EnableIAMDatabaseAuthentication=True
    )
    found = aurora.cluster(restored)

    def login(*resources: str) -> None:
        token = (
            role(aurora, *resources)
            .client("rds")
            .generate_db_auth_token(DBHostname=found["Endpoint"], Port=5432, DBUsername="camunda")
        )
        aurora.connect(restored, token, "camunda").close()

    with pytest.raises(psycopg.OperationalError, match="PAM authentication failed"):
        login(was)
    # Not at once either, although the user has been a member of rds_iam for long.
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > iam_login_settles.SETTLING_SECONDS)
    with pytest.raises(psycopg.OperationalError, match="PAM authentication failed"):
        login(was)
    login(found["DbClusterResourceId"])


def role(aurora: Aurora, *resources: str) -> boto3.session.Session:
    """Assume a new role that may connect to clusters with these resource ids."""
    arns = [f"arn:aws:rds-db:{REGION}:000000000000:dbuser:{one}/*" for one in resources]
    return assumed(aurora, {"Effect": "Allow", "Action": "rds-db:connect", "Resource": arns})


def assumed(aurora: Aurora, *statements: dict[str, Any]) -> boto3.session.Session:
    """Assume a new role with these statements."""
    iam, name = aurora.here.client("iam"), f"backups-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
    made = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy)
    keys = aurora.here.client("sts").assume_role(RoleArn=made["Arn"], RoleSessionName="test")
    return boto3.session.Session(
        aws_access_key_id=keys["Credentials"]["AccessKeyId"],
        aws_secret_access_key=keys["Credentials"]["SecretAccessKey"],
        aws_session_token=keys["Credentials"]["SessionToken"],
        region_name=REGION,
    )


def test_a_snapshot_needs_the_rights_on_the_cluster_and_on_itself(
    aurora: Aurora, source: str
) -> None:
    def client(*statements: dict[str, Any]) -> Any:
        return assumed(aurora, *statements).client(
            "rds", endpoint_url=aurora.here.config.aws_endpoint
        )

    def allow(action: str, resource: str, **condition: Any) -> dict[str, Any]:
        arn = f"arn:aws:rds:{REGION}:000000000000:{resource}"
        return {"Effect": "Allow", "Action": f"rds:{action}", "Resource": arn} | condition

    ours = {"Condition": {"StringEquals": {"aws:ResourceTag/camunda:cluster": "demo"}}}
    tagged = {"Condition": {"StringEquals": {"aws:RequestTag/camunda:cluster": "demo"}}}
    making = [
        allow("CreateDBClusterSnapshot", "cluster:*", **ours),
        allow("CreateDBClusterSnapshot", "cluster-snapshot:right-*", **tagged),
    ]
    tagging = allow("AddTagsToResource", "cluster-snapshot:right-*", **tagged)

    def take(rds: Any, name: str, tags: Any = TAGS) -> None:
        rds.create_db_cluster_snapshot(
            DBClusterIdentifier=source, DBClusterSnapshotIdentifier=name, Tags=tags
        )

    with refused("AccessDenied", "CreateDBClusterSnapshot"):
        take(client(*making[:1], tagging), "right-1")
    with refused("AccessDenied", "CreateDBClusterSnapshot"):
        take(client(*making, tagging), "wrong-1")
    with refused("AccessDenied"):
        take(client(*making), "right-1")
    take(client(*making, tagging), "right-1")
    eventually(lambda: aurora.snapshot_of("right-1")["Status"] == "available")

    untagged = aurora.snapshot(source, Tags=[{"Key": "other", "Value": "one"}])
    deleting = client(allow("DeleteDBClusterSnapshot", "cluster-snapshot:*", **ours))
    with refused("AccessDenied", "DeleteDBClusterSnapshot"):
        deleting.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=untagged)

    def restore(rds: Any) -> None:
        rds.restore_db_cluster_from_snapshot(
            DBClusterIdentifier="restored-1",
            SnapshotIdentifier="right-1",
            Engine="aurora-postgresql",
            Tags=TAGS,
        )

    new = [
        allow("RestoreDBClusterFromSnapshot", "cluster:restored-*", **tagged),
        allow("AddTagsToResource", "cluster:restored-*", **tagged),
    ]
    with refused("AccessDenied", "RestoreDBClusterFromSnapshot"):
        restore(client(*new))
    restore(client(*new, allow("RestoreDBClusterFromSnapshot", "cluster-snapshot:*", **ours)))
    assert aurora.cluster("restored-1")["TagList"] == TAGS
    deleting.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="right-1")


def test_a_final_snapshot_is_restored_when_its_cluster_is_gone(aurora: Aurora) -> None:
    identifier = aurora.provision()
    with Writer(aurora, identifier) as writer:
        pass
    aurora.rds.delete_db_instance(
        DBInstanceIdentifier=aurora.cluster(identifier)["DBClusterMembers"][0][
            "DBInstanceIdentifier"
        ],
        SkipFinalSnapshot=True,
    )
    with refused("InvalidParameterCombination", "FinalDBSnapshotIdentifier"):
        aurora.rds.delete_db_cluster(DBClusterIdentifier=identifier)
    aurora.rds.delete_db_cluster(DBClusterIdentifier=identifier, FinalDBSnapshotIdentifier="final")
    eventually(lambda: aurora.snapshot_of("final")["Status"] == "available")
    with refused("DBClusterNotFoundFault"):
        aurora.cluster(identifier)
    assert aurora.rows(aurora.from_snapshot("final")) == sorted(writer.acknowledged)


def test_a_deleted_stack_leaves_a_snapshot_that_another_is_created_from(aurora: Aurora) -> None:
    identifier = aurora.provision()
    (stack,) = aurora.stacks[-1:]
    with Writer(aurora, identifier) as writer:
        pass
    aurora.here.client("cloudformation").delete_stack(StackName=stack)
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = aurora.rds.describe_db_cluster_snapshots(DBClusterIdentifier=identifier)[
            "DBClusterSnapshots"
        ]
        return bool(found)

    eventually(there)
    with pytest.raises(ClientError, match="does not exist"):
        eventually(lambda: aurora.status(stack) == "", 60)
    there()
    assert [one["Status"] for one in found] == ["available"]
    assert found[0]["TagList"] == TAGS
    snapshot = found[0]["DBClusterSnapshotIdentifier"]
    again = aurora.provision(**RESTORED, SnapshotIdentifier=snapshot)
    assert aurora.rows(again) == sorted(writer.acknowledged)
    assert aurora.cluster(again)["StorageEncrypted"] is True
    assert aurora.cluster(again)["IAMDatabaseAuthenticationEnabled"] is True
    assert own_tags(aurora.cluster(again)) == TAGS


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_another_snapshot_replaces_the_database_of_a_stack(aurora: Aurora, policy: str) -> None:
    identifier = aurora.provision(UpdateReplacePolicy=policy)
    (stack,) = aurora.stacks[-1:]
    with aurora.connect(identifier) as connection:
        connection.execute("CREATE TABLE work AS SELECT 1 AS n")
        snapshot = aurora.snapshot(identifier)
        connection.execute("INSERT INTO work VALUES (2)")
    aurora.update(stack, **RESTORED, SnapshotIdentifier=snapshot, UpdateReplacePolicy=policy)
    restored = aurora.output(stack)
    assert restored != identifier
    eventually(lambda: aurora.answers(restored))
    assert aurora.rows(restored) == [1]
    if policy == "Delete":
        with refused("DBClusterNotFoundFault"):
            aurora.cluster(identifier)
        return
    # The former one is there without an instance, and so are its data.
    assert aurora.cluster(identifier)["DBClusterMembers"] == []
    eventually(lambda: not aurora.answers(identifier))
    aurora.with_instance(identifier)
    assert aurora.rows(identifier) == [1, 2]
    # The same snapshot again restores nothing again.
    with aurora.connect(restored) as connection:
        connection.execute("INSERT INTO work VALUES (3)")
    aurora.update(stack, **RESTORED, SnapshotIdentifier=snapshot, BackupRetentionPeriod=7)
    assert aurora.output(stack) == restored
    assert aurora.rows(restored) == [1, 3]
    assert aurora.cluster(restored)["BackupRetentionPeriod"] == 7


def test_a_protected_database_outlives_its_replacement(aurora: Aurora) -> None:
    identifier = aurora.provision(DeletionProtection=True, UpdateReplacePolicy="Delete")
    (stack,) = aurora.stacks[-1:]
    snapshot = aurora.snapshot(identifier)
    aurora.update(
        stack,
        **RESTORED,
        SnapshotIdentifier=snapshot,
        DeletionProtection=True,
        UpdateReplacePolicy="Delete",
    )
    assert aurora.output(stack) != identifier
    assert aurora.cluster(identifier)["Status"] == "available"
    assert any(
        (name, status) == ("Database", "DELETE_FAILED") and "protected" in reason
        for name, status, reason in aurora.events(stack)
    )


@pytest.mark.parametrize("name", ["MasterUsername", "MasterUserPassword", "StorageEncrypted"])
def test_what_a_snapshot_brings_is_not_specified_beside_it(
    aurora: Aurora, source: str, name: str
) -> None:
    snapshot = aurora.snapshot(source)
    stack = f"beside-{name.lower()}"
    given: dict[str, Any] = {one: None for one in RESTORED if one != name}
    aurora.here.client("cloudformation").create_stack(
        StackName=stack, TemplateBody=template(**given, SnapshotIdentifier=snapshot)
    )
    aurora.settled(stack, "ROLLBACK_COMPLETE")
    assert any(name in reason for _, _, reason in aurora.events(stack))


def test_a_snapshot_that_is_not_there_fails_the_stack(aurora: Aurora) -> None:
    aurora.here.client("cloudformation").create_stack(
        StackName="absent", TemplateBody=template(**RESTORED, SnapshotIdentifier="absent")
    )
    aurora.settled("absent", "ROLLBACK_COMPLETE")
    assert any("absent" in reason for _, _, reason in aurora.events("absent"))
