"""What brokers keep outside: secondary storage on a real PostgreSQL, backups in a real bucket."""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3
import psycopg
import pytest
from lifecycle.kept.manifests import KEY, read_manifest, stored_backups

from local.authority import Authority
from local.aws.strict import iam_login_settles
from local.broker import secondary_storage
from local.broker.backups import Backups, next_due
from local.broker.gateway_port import StorageUnavailable
from local.broker.restore import Chosen, RestoreRefused, Sources, Target, Wanted
from local.broker.secondary_storage import SecondaryStorage
from local.broker.settings import InvalidSetting
from local.config import REGION
from tests.integration.test_database_seed import Aurora, aurora, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["aurora"]

pytestmark = pytest.mark.integration

type Json = dict[str, Any]

PREFIX = "CAMUNDA_DATA_SECONDARYSTORAGE_RDBMS_"


@dataclass
class World:
    """A database of its own, and an IAM user that may use it."""

    aurora: Aurora
    name: str
    environment: pytest.MonkeyPatch

    def storage(self, **settings: str) -> SecondaryStorage:
        config, outputs = self.aurora.instance.config, self.aurora.outputs
        options = f"wrapperPlugins=iam&sslmode=verify-full&sslrootcert={config.database_ca}"
        host = settings.pop("host", outputs["DatabaseEndpoint"])
        url = f"postgresql://{host}:{outputs['DatabasePort']}/{self.name}?{options}"
        settings = {"URL": f"jdbc:aws-wrapper:{url}", "USERNAME": self.name} | settings
        return SecondaryStorage(
            {f"{PREFIX}{key}": value for key, value in settings.items()},
            lambda _: [config.database_address],
        )

    def sign_as(self, session: boto3.session.Session) -> None:
        keys: Any = session.get_credentials()
        self.environment.setenv("AWS_ACCESS_KEY_ID", keys.access_key)
        self.environment.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_key)
        self.environment.setenv("AWS_SESSION_TOKEN", keys.token)

    def execute(self, statement: str, *values: object, database: str = "") -> list[Any]:
        with self.aurora.superuser(database or self.name) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def disconnect(self) -> None:
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", self.name
        )


@pytest.fixture(scope="module")
def users(aurora: Aurora) -> list[str]:
    """IAM users that may log in: made long enough ago, so that no test waits for its own."""
    names = [f"broker_{uuid.uuid4().hex[:8]}" for _ in range(64)]
    with aurora.superuser() as server:
        for name in names:
            server.execute(f"CREATE ROLE {name} LOGIN IN ROLE rds_iam".encode())
    time.sleep(iam_login_settles.SETTLING_SECONDS)
    return names


@pytest.fixture
def world(aurora: Aurora, users: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    found = World(aurora, users.pop(), monkeypatch)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    found.sign_as(aurora.session)
    found.execute(f"CREATE DATABASE {found.name} OWNER {found.name}", database="camunda")
    yield found
    found.execute(f"DROP DATABASE {found.name} WITH (FORCE)", database="camunda")


def instance(position: int, key: int, **value: Any) -> Json:
    given = {
        "processInstanceKey": str(key),
        "processDefinitionId": "order",
        "processDefinitionKey": "99",
        "processDefinitionVersion": 1,
        "state": "ACTIVE",
        "hasIncident": False,
        "startDate": f"2026-11-28T07:00:00.{key % 1000:03d}Z",
        "endDate": None,
    }
    return {
        "position": position,
        "type": "PROCESS_INSTANCE",
        "intent": "ACTIVE",
        "key": key,
        "timestamp": 1,
        "value": given | value,
    }


def keys(found: Json) -> list[int]:
    return [int(one["processInstanceKey"]) for one in found["items"]]


@pytest.fixture
def storage(world: World) -> SecondaryStorage:
    found = world.storage()
    found.prepare()
    return found


def test_records_come_back_as_they_were_written(storage: SecondaryStorage) -> None:
    record = instance(3, 2251799813685250, tags=["a"], businessId=None)
    storage.write(1, [record])

    found = storage.search("process-instances", {})
    assert found == {"items": [record["value"]], "total": 1, "more": False, "end": 1}
    assert storage.position(1) == 3
    assert storage.position(2) == 0


def test_a_write_that_is_repeated_changes_nothing(storage: SecondaryStorage) -> None:
    storage.write(1, [instance(1, 10), instance(2, 10, state="COMPLETED")])
    storage.write(1, [instance(1, 10), instance(2, 10, state="COMPLETED"), instance(5, 11)])
    storage.write(1, [instance(2, 10)])
    storage.write(1, [])
    # Positions are those of a partition.
    storage.write(2, [instance(1, 12)])

    found = storage.search("process-instances", {"filter": {"state": "ACTIVE"}})
    assert keys(found) == [11, 12]
    assert (storage.position(1), storage.position(2)) == (5, 1)


def test_a_write_is_whole_or_not_at_all(storage: SecondaryStorage, world: World) -> None:
    world.execute("ALTER TABLE process_instance ADD CHECK (key <> '2')")
    with pytest.raises(StorageUnavailable, match="violates check constraint"):
        storage.write(1, [instance(1, 1), instance(2, 2)])

    assert storage.search("process-instances", {})["total"] == 0
    assert storage.position(1) == 0
    storage.write(1, [instance(1, 1)])
    assert storage.position(1) == 1


def test_two_leaders_of_a_partition_take_turns(storage: SecondaryStorage, world: World) -> None:
    other = world.storage()
    records = [instance(one, one % 7, step=one) for one in range(1, 101)]
    threads = [
        threading.Thread(target=lambda one=one: [one.write(1, records[:n]) for n in range(101)])
        for one in (storage, other)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert storage.position(1) == 100
    steps = {one["step"] for one in storage.search("process-instances", {})["items"]}
    assert steps == set(range(94, 101))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [5, 10, 20]),
        ({"processInstanceKey": "10"}, [10]),
        ({"processInstanceKey": 10}, [10]),
        ({"processDefinitionKey": "99"}, [5, 10]),
        ({"processDefinitionVersion": 2}, [20]),
        ({"hasIncident": True}, [20]),
        ({"state": {"$eq": "COMPLETED"}}, [20]),
        ({"state": {"$neq": "COMPLETED"}}, [5, 10]),
        ({"state": {"$in": ["COMPLETED", "TERMINATED"]}}, [20]),
        ({"processInstanceKey": {"$in": ["5", "20"]}}, [5, 20]),
        ({"endDate": {"$exists": True}}, [20]),
        ({"endDate": {"$exists": False}, "state": "ACTIVE"}, [5, 10]),
        ({"startDate": {"$gt": "2026-11-28T07:00:00.005Z"}}, [10, 20]),
        ({"startDate": {"$gte": "2026-11-28T08:00:00.010+01:00"}}, [10, 20]),
        (
            {"startDate": {"$lte": "2026-11-28T07:00:00.010Z", "$gt": "2026-11-28T06:00:00Z"}},
            [5, 10],
        ),
        ({"endDate": {"$lt": "2026-11-28T09:00:00Z"}, "state": "COMPLETED"}, [20]),
        ({"businessId": {"$neq": "b-1"}}, [5, 10]),
        ({"state": None}, [5, 10, 20]),
        ({"processDefinitionId": "x' OR true --"}, []),
        ({"x' OR true --": "1"}, []),
    ],
)
def test_filters(storage: SecondaryStorage, wanted: Json, found: list[int]) -> None:
    over = {"state": "COMPLETED", "endDate": "2026-11-28T08:00:00.000Z", "businessId": "b-1"}
    other = {"processDefinitionKey": "100", "processDefinitionVersion": 2, "hasIncident": True}
    storage.write(1, [instance(1, 20, **over, **other), instance(2, 5), instance(3, 10)])

    answer = storage.search("process-instances", {"filter": wanted})
    assert (keys(answer), answer["total"]) == (found, len(found))


def test_a_key_of_something_else_is_no_filter_for_the_own_key(storage: SecondaryStorage) -> None:
    job = instance(1, 7, jobKey="7", type="work", processDefinitionKey="9") | {"type": "JOB"}
    storage.write(1, [job])

    assert storage.search("jobs", {"filter": {"processDefinitionKey": "7"}})["total"] == 0
    assert storage.search("jobs", {"filter": {"processDefinitionKey": "9"}})["total"] == 1
    assert storage.search("jobs", {"filter": {"jobKey": "7"}})["total"] == 1


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        ([{"field": "processInstanceKey", "order": "DESC"}], [100, 20, 3]),
        ([{"field": "startDate"}], [3, 20, 100]),
        ([{"field": "processDefinitionVersion", "order": "desc"}], [3, 100, 20]),
        ([{"field": "state"}, {"field": "processInstanceKey", "order": "DESC"}], [100, 3, 20]),
    ],
)
def test_sorting(storage: SecondaryStorage, sort: list[Json], found: list[int]) -> None:
    storage.write(
        1,
        [
            instance(1, 3, processDefinitionVersion=10),
            instance(2, 20, processDefinitionVersion=2, state="COMPLETED"),
            instance(3, 100, processDefinitionVersion=9),
        ],
    )
    assert keys(storage.search("process-instances", {"sort": sort})) == found


def test_pages(storage: SecondaryStorage) -> None:
    storage.write(1, [instance(one, one) for one in range(1, 8)])
    seen: list[int] = []
    place = 0
    while True:
        page = {"limit": 3, "from": place}
        found = storage.search("process-instances", {"page": page})
        if not found["items"]:
            break
        assert found["total"] == 7
        seen += keys(found)
        place = found["end"]
    assert seen == list(range(1, 8))


def test_totals_are_counted_up_to_a_limit(
    storage: SecondaryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secondary_storage, "_MOST_COUNTED", 3)
    storage.write(1, [instance(one, one) for one in range(1, 4)])
    found = storage.search("process-instances", {"page": {"limit": 1}})
    assert (len(found["items"]), found["total"], found["more"]) == (1, 3, False)
    storage.write(1, [instance(4, 4)])
    found = storage.search("process-instances", {"page": {"limit": 1}})
    assert (found["total"], found["more"]) == (3, True)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"filter": {"state": {"$like": "A*"}}}, r"\$like"),
        ({"filter": {"$or": [{"state": "ACTIVE"}]}}, r"\$or"),
        ({"filter": {"variables": [{"name": "a", "value": "1"}]}}, "variables"),
        ({"filter": {"state": {"$gt": "A"}}}, r"\$gt"),
        ({"filter": {"startDate": {"$gt": "yesterday"}}}, "startDate 'yesterday' cannot be parsed"),
        ({"filter": {"startDate": {"$gt": "2026-11-28T07:00:00"}}}, "cannot be parsed as a date"),
        ({"sort": [{"order": "ASC"}]}, "no field"),
        ({"sort": [{"field": "state", "order": "UP"}]}, "UP"),
        ({"page": {"before": "x"}}, "before"),
    ],
)
def test_what_is_not_performed_is_named(storage: SecondaryStorage, query: Json, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        storage.search("process-instances", query)


# The schema


def test_brokers_that_start_together_make_one_schema(world: World) -> None:
    failures: list[Exception] = []

    def start() -> None:
        try:
            world.storage().prepare()
        except StorageUnavailable as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert failures == []
    lock = world.execute("SELECT id, locked, lockgranted, lockedby FROM databasechangeloglock")
    assert lock == [(1, False, None, None)]


def test_a_lock_is_waited_for_and_taken_over_when_it_is_stale(world: World) -> None:
    storage = world.storage(DDLLOCKWAITTIMEOUT="PT2S")
    storage.prepare()
    world.execute("DROP TABLE exporter_position")
    world.execute(
        "UPDATE databasechangeloglock SET locked = true, lockgranted = now(), lockedby = 'dead'"
    )
    began = time.monotonic()
    storage.prepare()

    assert 1.5 < time.monotonic() - began < 6
    assert storage.position(1) == 0
    assert world.execute("SELECT locked FROM databasechangeloglock") == [(False,)]


def test_sessions_come_into_a_schema_from_before_them(world: World) -> None:
    storage = world.storage()
    storage.prepare()
    storage.write(1, [instance(1, 10)])
    world.execute("DROP TABLE web_session")
    storage.prepare()
    assert storage.position(1) == 1
    expires = time.time() + 60
    storage.keep_session("a", {"principal": None}, expires)
    storage.keep_session("a", {"principal": {"name": "anna"}}, expires)
    assert storage.session("a") == {"principal": {"name": "anna"}}
    storage.drop_session("a")
    assert storage.session("a") is None
    # Expired ones go with the next that is written.
    storage.keep_session("b", {}, 1)
    storage.keep_session("c", {}, expires)
    assert (storage.session("b"), storage.session("c")) == (None, {})


def test_a_lock_that_is_given_back_is_taken_at_once(world: World) -> None:
    storage = world.storage()
    storage.prepare()
    world.execute("DROP TABLE exporter_position")
    world.execute(
        "UPDATE databasechangeloglock SET locked = true, lockgranted = now(), lockedby = 'other'"
    )
    waiting = threading.Thread(target=storage.prepare)
    waiting.start()
    time.sleep(0.7)
    assert waiting.is_alive()
    world.execute("UPDATE databasechangeloglock SET locked = false")
    waiting.join(5)
    assert not waiting.is_alive()


def test_a_schema_that_is_there_needs_no_lock(world: World) -> None:
    world.storage().prepare()
    world.execute("UPDATE databasechangeloglock SET locked = true, lockgranted = now()")
    began = time.monotonic()
    world.storage().prepare()
    assert time.monotonic() - began < 2


def test_a_broker_that_dies_with_the_lock_leaves_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(connection: psycopg.Connection[Any]) -> None:
        world.disconnect()
        connection.execute("SELECT 1")

    storage = world.storage()
    monkeypatch.setattr(secondary_storage, "_create_tables", die)
    with pytest.raises(StorageUnavailable):
        storage.prepare()
    assert world.execute("SELECT locked FROM databasechangeloglock") == [(True,)]


def test_without_auto_ddl_nothing_is_made(world: World) -> None:
    storage = world.storage(AUTODDL="false")
    storage.prepare()
    with pytest.raises(StorageUnavailable, match="exporter_position"):
        storage.position(1)
    assert world.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


# Login


def test_a_lost_connection_is_named_and_made_again(storage: SecondaryStorage, world: World) -> None:
    storage.write(1, [instance(1, 1)])
    world.disconnect()
    with pytest.raises(StorageUnavailable, match="terminating connection"):
        storage.write(1, [instance(2, 2)])

    storage.write(1, [instance(2, 2)])
    assert storage.position(1) == 2


def broken_grant(world: World) -> None:
    world.execute(f"REVOKE rds_iam FROM {world.name}")


def broken_policy(world: World) -> None:
    world.sign_as(world.aurora.role(user="another"))


def broken_role(world: World) -> None:
    world.execute(f"ALTER ROLE {world.name} NOLOGIN")


@pytest.mark.parametrize("break_login", [broken_grant, broken_policy, broken_role])
def test_a_login_that_is_refused_tells_why_without_the_token(
    storage: SecondaryStorage, world: World, break_login: Callable[[World], None]
) -> None:
    break_login(world)
    assert storage.position(1) == 0, "whoever is in stays in"
    world.disconnect()
    with pytest.raises(StorageUnavailable):
        storage.position(1)
    with pytest.raises(StorageUnavailable) as refused:
        storage.position(1)
    text = str(refused.value)
    assert world.name in text
    assert "X-Amz" not in text
    assert str(refused.value.__cause__).count("X-Amz") == 0


def test_a_privilege_that_is_revoked_is_named(storage: SecondaryStorage, world: World) -> None:
    world.execute(f"REVOKE ALL ON process_instance FROM {world.name}")
    with pytest.raises(StorageUnavailable, match="permission denied for table process_instance"):
        storage.write(1, [instance(1, 1)])
    world.execute(f"GRANT ALL ON process_instance TO {world.name}")
    storage.write(1, [instance(1, 1)])


def test_a_server_that_cannot_prove_its_name_gets_no_token(world: World, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Authority().pem)
    config, outputs = world.aurora.instance.config, world.aurora.outputs
    endpoint = f"{outputs['DatabaseEndpoint']}:{outputs['DatabasePort']}"
    url = f"jdbc:aws-wrapper:postgresql://{endpoint}/{world.name}?sslmode=verify-full&sslrootcert="
    with pytest.raises(StorageUnavailable, match="certificate verify failed"):
        world.storage(URL=f"{url}{other}").position(1)
    with pytest.raises(StorageUnavailable):
        world.storage(host=f"x{outputs['DatabaseEndpoint']}").position(1)
    assert config.database_ca.exists()


def test_without_credentials_the_cause_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        monkeypatch.delenv(f"AWS_{name}")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    with pytest.raises(StorageUnavailable, match="credentials"):
        world.storage().position(1)


def test_a_database_that_is_stopped_is_unavailable_until_it_starts(
    storage: SecondaryStorage, world: World
) -> None:
    rds = world.aurora.instance.client("rds")
    identifier = world.aurora.cluster["DBClusterIdentifier"]

    def answers() -> bool:
        try:
            storage.position(1)
        except StorageUnavailable:
            return False
        return True

    rds.stop_db_cluster(DBClusterIdentifier=identifier)
    eventually(lambda: not answers())
    rds.start_db_cluster(DBClusterIdentifier=identifier)
    eventually(answers, 30)


# Backups


@pytest.fixture
def backups(aurora: Aurora) -> Backups:
    s3, bucket = aurora.instance.client("s3"), f"backups-{uuid.uuid4().hex[:8]}"
    location: Any = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
    return Backups(s3, bucket)


def keep(backups: Backups, backup_id: int, partition: int, **manifest: Any) -> None:
    given = {
        "checkpointPosition": backup_id * 10,
        "createdAt": f"2026-11-28T07:00:{backup_id % 60:02d}Z",
        "brokerVersion": "8.9.16",
        "partitionCount": 2,
        "checkpointType": "MANUAL_BACKUP",
        "after": backup_id * 10 - 10,
        "previous": backup_id - 1,
    }
    content = json.dumps({"of": [backup_id, partition]}).encode()
    log = [{"position": backup_id * 10 - 5}]
    backups.put(backup_id, partition, content, given | manifest, log)


def test_a_backup_is_complete_when_all_partitions_are(backups: Backups) -> None:
    assert backups.status(7) is None
    keep(backups, 7, 2)
    half = backups.status(7)
    assert half is not None
    assert half["state"] == "INCOMPLETE"
    assert half["details"][0] == {"partitionId": 1, "state": "DOES_NOT_EXIST"}

    keep(backups, 7, 1, brokerId=2)
    whole = backups.status(7)
    assert whole is not None
    assert (whole["backupId"], whole["state"]) == (7, "COMPLETED")
    assert whole["details"][0] == {
        "partitionId": 1,
        "state": "COMPLETED",
        "createdAt": "2026-11-28T07:00:07Z",
        "checkpointPosition": 70,
        "brokerId": 2,
        "brokerVersion": "8.9.16",
    }
    assert backups.read(7, 1) == {"of": [7, 1]}


def test_a_partition_that_was_cut_off_is_in_progress_and_not_restored(backups: Backups) -> None:
    class Full:
        def __getattr__(self, name: str) -> Any:
            return getattr(backups._s3, name)

        def put_object(self, **given: Any) -> None:
            if given["Key"].endswith("snapshot.json"):
                raise OSError("the connection broke")
            backups._s3.put_object(**given)

    keep(backups, 7, 1)
    with pytest.raises(OSError, match="broke"):
        keep(Backups(Full(), backups._bucket), 7, 2)

    found = backups.status(7)
    assert found is not None
    assert found["state"] == "IN_PROGRESS"
    with pytest.raises(LookupError, match="partition 2"):
        backups.read(7, 2)


def test_what_was_begun_and_will_not_be_complete_is_failed_with_the_reason(
    backups: Backups,
) -> None:
    class Full:
        def __getattr__(self, name: str) -> Any:
            return getattr(backups._s3, name)

        def put_object(self, **given: Any) -> None:
            if given["Key"].endswith("snapshot.json"):
                raise OSError("the connection broke")
            backups._s3.put_object(**given)

    keep(backups, 7, 1)
    with pytest.raises(OSError, match="broke"):
        keep(Backups(Full(), backups._bucket), 7, 2)
    for partition in (1, 2):
        backups.fail(7, partition, "the leader changed")
    found = backups.status(7)
    assert found is not None
    assert (found["state"], found["failureReason"]) == ("FAILED", "the leader changed")
    assert [one["state"] for one in found["details"]] == ["COMPLETED", "FAILED"]
    keep(backups, 8, 1)
    backups.fail(8, 2, "no leader")
    assert (backups.status(8) or {})["state"] == "INCOMPLETE", "it was never begun"


def test_backups_are_listed_by_prefix_the_newest_first_and_deleted(backups: Backups) -> None:
    for backup_id in (110, 12, 9):
        keep(backups, backup_id, 1, partitionCount=1)

    assert [one["backupId"] for one in backups.matching()] == [110, 12, 9]
    assert [one["backupId"] for one in backups.matching("1")] == [110, 12]
    assert backups.newest() == 110
    backups.delete(110)
    backups.delete(110)
    assert backups.status(110) is None
    assert backups.status(1) is None, "no prefix of an id"
    assert backups.newest() == 12


def places(state: Json) -> list[tuple[int, int, int]]:
    return [
        (one["partitionId"], one["start"]["checkpointId"], one["end"]["checkpointId"])
        for one in state["ranges"]
    ]


def test_the_state_names_the_newest_of_each_partition_and_its_ranges(backups: Backups) -> None:
    assert backups.state() == {"checkpointStates": [], "backupStates": [], "ranges": []}
    for backup_id in (9, 10, 11):
        for partition in (2, 1):
            keep(backups, backup_id, partition)
    for partition in (1, 2):
        keep(backups, 12, partition, checkpointType="MARKER")

    state = backups.state()
    checkpoint = {
        "partitionId": 1,
        "checkpointId": 11,
        "checkpointType": "MANUAL_BACKUP",
        "checkpointTimestamp": "2026-11-28T07:00:11Z",
        "checkpointPosition": 110,
    }
    assert state["checkpointStates"][0]["checkpointId"] == 12
    assert state["checkpointStates"][0]["checkpointType"] == "MARKER"
    assert state["backupStates"][0] == checkpoint | {"firstLogPosition": 100}
    assert places(state) == [(1, 9, 11), (2, 9, 11)]
    start = state["ranges"][0]["start"]
    assert (start["firstLogPosition"], start["checkpointPosition"]) == (80, 90)

    # A marker is no backup: it is not listed, and nothing can be done with it.
    assert [one["backupId"] for one in backups.matching()] == [11, 10, 9]
    assert backups.status(12) is None
    assert (backups.newest(), backups.newest(markers=True)) == (11, 12)


def test_a_backup_that_is_deleted_leaves_a_gap(backups: Backups) -> None:
    for backup_id in (7, 8, 9, 10):
        keep(backups, backup_id, 1, partitionCount=1)
    backups.delete(9)
    assert places(backups.state()) == [(1, 7, 8), (1, 10, 10)]
    backups.delete(7)
    assert places(backups.state()) == [(1, 8, 8), (1, 10, 10)]


def test_markers_go_with_the_backups_that_the_retention_deletes(backups: Backups) -> None:
    for backup_id in (7, 8, 9, 10, 11):
        marker = {"checkpointType": "MARKER"} if backup_id in (8, 10) else {}
        keep(backups, backup_id, 1, partitionCount=1, **marker)
    backups.delete(9)
    backups.delete_markers(9)
    keys = backups._keys("")
    assert {key.split("/")[2] for key in keys} == {"7", "10", "11"}
    with pytest.raises(LookupError):
        backups.read(8, 1)


def test_a_log_is_its_segments_and_what_came_after_them(backups: Backups) -> None:
    keys = [backups.put_segment(1, one, [{"position": one}]) for one in (61, 63)]
    keep(backups, 7, 1, partitionCount=1, segments=keys)
    assert [one["position"] for one in backups.log(7, 1)] == [61, 63, 65]
    backups.delete(7)
    assert backups._keys("") == {}, "segments go with their backup"


def test_names_and_manifests_are_those_of_camundas_store(backups: Backups) -> None:
    keep(backups, 7, 1, brokerId=2)
    keys = backups._keys("")
    assert {key.partition("/")[0] for key in keys} == {"manifests", "contents"}
    document = backups._get("manifests/1/7/2/manifest.json")
    assert document["id"] == {"nodeId": 2, "partitionId": 1, "checkpointId": 7}
    assert document["statusCode"] == "COMPLETED"
    assert document["descriptor"] == {
        "snapshotId": "70",
        "firstLogPosition": 60,
        "numberOfPartitions": 2,
        "checkpointPosition": 70,
        "brokerVersion": "8.9.16",
        "checkpointTimestamp": "2026-11-28T07:00:07Z",
        "checkpointType": "MANUAL_BACKUP",
    }
    keep(backups, 7, 2)
    keep(backups, 8, 1, checkpointType="MARKER")
    found = [key for key in backups._keys("") if KEY.fullmatch(key)]
    (read,) = stored_backups(read_manifest(backups._get(key)) for key in found)
    assert (read.id, read.state, read.why) == (7, "COMPLETED", "")
    assert (read.partitions, read.version, read.kind) == (2, "8.9.16", "MANUAL_BACKUP")


def test_the_position_in_the_database_chooses_the_range(
    backups: Backups, storage: SecondaryStorage
) -> None:
    for backup_id in (7, 8, 9):
        for partition in (1, 2):
            keep(backups, backup_id, partition)
    sources, target = Sources(backups, storage), Target("8.9.16", 2, 3)
    with pytest.raises(RestoreRefused, match=r"partition 1 .* behind the oldest log"):
        sources.choose(Wanted(), target)
    storage.write(1, [instance(71, 5)])
    storage.write(2, [instance(69, 6)])
    assert sources.choose(Wanted(), target) == Chosen(9, {1: 71, 2: 69})
    at = datetime.fromisoformat("2026-11-28T07:00:08Z")
    assert sources.choose(Wanted(to=at), target).id == 8
    storage.write(2, [instance(91, 6)])
    with pytest.raises(RestoreRefused, match=r"partition 2 .* ahead of the newest"):
        sources.choose(Wanted(), target)
    assert sources.choose(Wanted((7, 9)), target) == Chosen(9)


def test_the_next_backup_is_due_a_period_after_the_newest() -> None:
    assert next_due("PT1H", None, 50.0) == 50.0
    assert next_due("PT1H", 10.0, 50.0) == 3610.0
    assert next_due("none", 10.0, 50.0) == float("inf")
    with pytest.raises(InvalidSetting, match="cron"):
        next_due("0 0 * * * *", None, 50.0)
    with pytest.raises(InvalidSetting, match="hourly"):
        next_due("hourly", None, 50.0)
