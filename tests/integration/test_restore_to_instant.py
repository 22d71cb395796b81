"""A cluster goes back to an instant: database of then, brokers brought to fit, nothing twice.

Brokers with continuous backups export into a PostgreSQL. What Aurora's snapshots are on AWS are
copies of the database here; the restore tasks get their variables as by an override of RunTask.
"""

from __future__ import annotations

import shutil
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from local.broker.backups import Backups
from local.config import REGION
from tests.integration.test_database_seed import Aurora, aurora
from tests.support.blocks import block
from tests.support.brokers import Brokers, Leases, brokers
from tests.support.cloud import eventually
from tests.support.ledger import Claims, Item, judge, read
from tests.support.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["aurora"]

pytestmark = pytest.mark.integration

type Json = dict[str, Any]

BLOCK = f"{block('restore')}.100"
TASKS = (0, 1, 2)
DATABASE = "restoring"
BACKUP = "CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP"
RDBMS = "CAMUNDA_DATA_SECONDARYSTORAGE_RDBMS"


class Ours(Leases):
    """Buckets in an instance that runs already."""

    def __init__(self, found: Aurora) -> None:
        self._instance = found.instance
        self.endpoint = found.instance.config.aws_endpoint


class World:
    """The brokers, their database and its copies, and what a client was told in each phase."""

    def __init__(self, aurora: Aurora, cluster: Brokers) -> None:
        self.aurora = aurora
        self.cluster = cluster
        self.claims: dict[str, Claims] = {}

    # The database

    def execute(self, *statements: str) -> None:
        with self.aurora.superuser() as server:
            for one in statements:
                server.execute(one.encode())

    def copy(self, name: str) -> None:
        """Keep the database as it is now; brokers have to connect again."""
        self.execute(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false")
        with self.aurora.superuser() as server:
            ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            server.execute(ends, (DATABASE,))
        assert eventually(lambda: self._copied(name), 10)
        self.execute(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS true")

    def _copied(self, name: str) -> bool:
        try:
            self.execute(f"CREATE DATABASE {name} TEMPLATE {DATABASE}")
        except psycopg.errors.ObjectInUse:
            return False
        return True

    def give(self, name: str) -> None:
        """Give the brokers a copy as their database."""
        self.execute(
            f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)",
            f"CREATE DATABASE {DATABASE} OWNER {DATABASE} TEMPLATE {name}",
        )

    def stored(self) -> dict[Item, list[str]]:
        """What the database has, by item: keys, one for each row."""
        found: dict[Item, list[str]] = {}
        with self.aurora.superuser(DATABASE) as server:
            for did, statement in (
                ("create", "SELECT value ->> 'businessId', key FROM process_instance"),
                ("complete", "SELECT key, key FROM job WHERE state = 'COMPLETED'"),
                ("publish", "SELECT correlationkey, key FROM message"),
            ):
                for value, key in server.execute(_quoted(statement)).fetchall():
                    found.setdefault((did, value), []).append(key)
        return found

    # The backups

    def store(self) -> Backups:
        return Backups(self.aurora.instance.client("s3"), self.cluster.backup_bucket)

    def tail(self) -> list[Json]:
        """First and last backup of each range, without brokers."""
        return [
            {edge: one[edge]["checkpointId"] for edge in ("start", "end")}
            for one in self.store().state()["ranges"]
        ]

    # The brokers

    def work(self, phase: str) -> Claims:
        """Let a client work; gives what was acknowledged, when all of it is exported."""
        log = self.cluster.directory / f"{phase}.jsonl"
        addresses = [f"http://{self.cluster.address(task)}:8080" for task in TASKS]
        with Traffic(log, addresses, workers=8) as client:
            assert client.goes_on(30, more=15)
        self.claims[phase] = claims = Claims.read(log)
        assert claims.counts().keys() == {"create", "complete", "publish"}
        assert eventually(lambda: claims.acknowledged.keys() <= self.stored().keys(), 20)
        return claims

    def backup(self) -> int:
        path = "/actuator/backupRuntime"
        status, answer = self.cluster.ask(0, path, "POST", {})
        assert status == 202, answer
        found: int = answer["backupId"]
        state = f"{path}/{found}"
        assert eventually(lambda: self.cluster.ask(0, state)[1].get("state") == "COMPLETED", 20)
        return found

    def state(self) -> Json:
        found: Json = self.cluster.ask(0, "/actuator/backupRuntime/state")[1]
        return found

    def marker(self) -> datetime:
        """Wait for a checkpoint that is no backup and begins from now on; gives its time."""
        now = datetime.now(UTC)

        def seen() -> list[datetime]:
            told = self.state()["checkpointStates"]
            times = [
                datetime.fromisoformat(one["checkpointTimestamp"])
                for one in told
                if one["checkpointType"] == "MARKER"
            ]
            same = len({one["checkpointId"] for one in told}) == 1
            return times if same and len(times) == 3 and min(times) > now else []

        assert eventually(lambda: bool(seen()), 30), self.cluster.log(0)
        return max(seen())

    def lose(self) -> None:
        """Stop all brokers, and lose their data and leases."""
        for task in list(self.cluster.tasks):
            self.cluster.kill(task, signal.SIGTERM)
        self.clean()

    def clean(self) -> None:
        shutil.rmtree(self.cluster.directory / "data", ignore_errors=True)
        s3 = self.aurora.instance.client("s3")
        for one in s3.list_objects_v2(Bucket=self.cluster.lease_bucket).get("Contents", ()):
            s3.delete_object(Bucket=self.cluster.lease_bucket, Key=one["Key"])

    def restore(self, *tasks: int, **variables: str) -> list[int]:
        """Run the restore of the given brokers at once, or of all; gives their exit codes."""
        given = {"ZEEBE_RESTORE": "true"} | variables
        wanted = tasks or TASKS
        for task in wanted:
            self.cluster.start(task, environment=given)
        return [self.cluster.ended(task) for task in wanted]

    def refused(self, why: str, **variables: str) -> None:
        """Run a restore that is to be refused and changes nothing."""
        before = self.aurora.instance.client("s3").list_objects_v2(
            Bucket=self.cluster.backup_bucket
        )
        assert self.restore(0, **variables) == [1]
        assert why in self.cluster.log(0).rpartition("The restore failed:")[2], self.cluster.log(0)
        after = self.aurora.instance.client("s3").list_objects_v2(Bucket=self.cluster.backup_bucket)
        assert [one["Key"] for one in after["Contents"]] == [
            one["Key"] for one in before["Contents"]
        ]
        self.clean()

    def begin(self, *phases: str) -> None:
        """Start the brokers; these phases are there, each item once, and nothing of the others."""
        for task in TASKS:
            self.cluster.start(task)
        assert eventually(lambda: self.cluster.ready(*TASKS), 40), self.cluster.log(0)
        kept = {item for phase in phases for item in self.claims[phase].acknowledged}
        assert eventually(lambda: kept <= self.stored().keys(), 20)
        gone = {
            item
            for phase, claims in self.claims.items()
            if phase not in phases
            for item in (*claims.acknowledged, *claims.ambiguous)
        } - kept
        assert gone
        stored = self.stored()
        assert gone & stored.keys() == set()
        assert [item for item, keys in stored.items() if len(keys) != 1] == []
        in_files = {
            item
            for replicas in read(self.cluster.directory / "data").values()
            for one in replicas
            for item in (*one.places, *one.settled)
        }
        assert gone & in_files == set()

    def settle(self, *phases: str) -> None:
        """Stop the brokers in good order, and judge what they have."""
        for task in list(self.cluster.tasks):
            self.cluster.kill(task, signal.SIGTERM)
        stored = self.stored()
        for phase in phases:
            found = judge(self.claims[phase], self.cluster.directory / "data", stored)
            assert [*found.lost, *found.doubled] == [], phase


def _quoted(statement: str) -> bytes:
    return statement.replace("correlationkey", '"correlationKey"').encode()


@pytest.fixture
def world(aurora: Aurora, tmp_path: Path) -> Iterator[World]:
    config, outputs = aurora.instance.config, aurora.outputs
    with aurora.superuser() as server:
        server.execute(f"CREATE ROLE {DATABASE} LOGIN IN ROLE rds_iam".encode())
        server.execute(f"CREATE DATABASE {DATABASE} OWNER {DATABASE}".encode())
    options = f"wrapperPlugins=iam&sslmode=verify-full&sslrootcert={config.database_ca}"
    host = outputs["DatabaseEndpoint"]
    url = f"postgresql://{host}:{outputs['DatabasePort']}/{DATABASE}?{options}"
    environment = {
        f"{RDBMS}_URL": f"jdbc:aws-wrapper:{url}",
        f"{RDBMS}_USERNAME": DATABASE,
        "AWS_DEFAULT_REGION": REGION,
        "HOME": str(tmp_path),
        f"{BACKUP}_CONTINUOUS": "true",
        f"{BACKUP}_CHECKPOINTINTERVAL": "PT3S",
    }
    hosts = {host: [config.database_address]}
    with brokers(tmp_path, BLOCK, Ours(aurora), environment=environment, hosts=hosts) as started:
        yield World(aurora, started)


def test_back_to_an_instant_with_everything_before_it_once_and_nothing_after(world: World) -> None:
    world.work("first")
    oldest = world.backup()
    world.work("second")
    world.copy("before_a_gap")
    world.work("gap")
    middle = world.backup()
    world.work("third")
    world.copy("of_then")
    world.work("fourth")
    instant = world.marker()
    world.work("fifth")
    newest = world.backup()
    ranges = world.state()["ranges"]
    assert [(one["start"]["checkpointId"], one["end"]["checkpointId"]) for one in ranges] == [
        (oldest, newest)
    ] * 3
    world.work("lost")
    world.lose()

    # The database is ahead of everything that the brokers can come back to.
    world.refused("ahead of the newest backup")
    world.give("of_then")
    world.refused(
        "it has 3 partitions with replication factor 3, the cluster 2 with 3",
        CAMUNDA_CLUSTER_PARTITIONCOUNT="2",
    )

    # To the latest: the newest backup.
    assert world.restore() == [0, 0, 0], world.cluster.log(0)
    assert f"Successfully restored broker from backup {newest}" in world.cluster.log(1)
    world.begin("first", "second", "gap", "third", "fourth", "fifth")
    world.lose()

    # To an instant between two backups: a checkpoint that is none of them.
    world.give("of_then")
    assert world.restore(ZEEBE_RESTORE_TO_TIMESTAMP=instant.isoformat()) == [0, 0, 0]
    world.begin("first", "second", "gap", "third", "fourth")
    world.work("after")
    again = world.backup()
    world.settle("first", "second", "gap", "third", "fourth", "after")
    for one in world.tail():
        # What the restore left behind is in no range, though its backup is there.
        assert (one["start"], one["end"]) == (oldest, again)

    # A backup that is deleted leaves a gap, in which the database may be.
    world.lose()
    world.store().delete(middle)
    assert [(one["start"], one["end"]) for one in world.tail()] == [
        (oldest, oldest),
        (again, again),
    ] * 3
    world.give("before_a_gap")
    world.refused("the secondary storage is in a gap")
    world.refused("in a gap", ZEEBE_RESTORE_TO_TIMESTAMP=instant.isoformat())
    world.give("of_then")
    assert world.restore() == [0, 0, 0], world.cluster.log(0)
    assert f"Successfully restored broker from backup {again}" in world.cluster.log(2)
    world.begin("first", "second", "gap", "third", "fourth", "after")
