"""Which backup a restore takes, what it refuses, and how nodes note that they are restored."""

from __future__ import annotations

import io
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from local.broker import settings as reading
from local.broker.gateway_port import StorageUnavailable
from local.broker.node_ids import NodeIds
from local.broker.restore import (
    Chosen,
    Progress,
    RestoreRefused,
    Sources,
    Target,
    Wanted,
    choose,
    of_environment,
    read,
    run,
)
from local.broker.restore import restored as begun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.unit

TARGET = Target("8.9.16", 2, 3)


def backup(minute: int, **changes: Any) -> list[dict[str, Any]]:
    """Backup n is at position 10 n; its log begins after 10 (n - 1)."""
    return [
        {
            "partitionId": partition,
            "state": "COMPLETED",
            "createdAt": f"2026-11-28T07:{minute:02d}:0{partition}Z",
            "brokerVersion": "8.9.16",
            "partitionCount": 2,
            "replicationFactor": 3,
            "checkpointPosition": minute * 10,
            "checkpointType": "SCHEDULED_BACKUP",
            "after": minute * 10 - 10,
            "previous": minute - 1,
            "segments": [],
        }
        | changes
        for partition in (1, 2)
    ]


FOUND = {1: backup(1), 2: backup(2), 3: backup(3)}


@pytest.mark.parametrize("positions", [(30, 25), (28, 28), (20, 15), (6, 9), (0, 0)])
def test_without_arguments_the_latest_is_taken_for_every_position_in_the_range(
    positions: tuple[int, int],
) -> None:
    assert choose(Wanted(), FOUND, TARGET, dict(enumerate(positions, 1))) == 3


@pytest.mark.parametrize(
    ("positions", "why"),
    [((31, 28), "partition 1 .* ahead of the newest"), ((28, 18), "partition 2 .* behind")],
)
def test_a_secondary_storage_that_fits_no_backup_is_told_why(
    positions: tuple[int, int], why: str
) -> None:
    found = {2: FOUND[2][:1] + backup(2, after=20, previous=0)[1:], 3: FOUND[3]}
    with pytest.raises(RestoreRefused, match=why):
        choose(Wanted(), found, TARGET, dict(enumerate(positions, 1)))


def test_the_latest_is_refused_where_it_does_not_fit_the_cluster() -> None:
    """RestoreManager takes no other one for it."""
    found = FOUND | {4: backup(4, partitionCount=3)}
    with pytest.raises(RestoreRefused, match="4: it has 3 partitions"):
        choose(Wanted(), found, TARGET, {1: 30, 2: 30})
    before = read(["--to=2026-11-28T07:03:10Z"])
    assert choose(before, found, TARGET, {1: 30, 2: 30}) == 3


def test_ids_are_taken_without_asking_for_positions() -> None:
    assert choose(read(["--backupId=1,2"]), FOUND, TARGET, None) == 2
    with pytest.raises(RestoreRefused, match="9: it does not exist"):
        choose(read(["--backupId=2,9"]), FOUND, TARGET, None)


def test_times_limit_what_is_chosen() -> None:
    at = {1: 15, 2: 15}
    assert choose(read(["--to=2026-11-28T07:02:20Z"]), FOUND, TARGET, at) == 2
    assert choose(read(["--to=2026-11-28T07:02:50Z"]), FOUND, TARGET, at) == 3, "the closest one"
    assert choose(read(["--to=2026-11-28T07:00:30Z"]), FOUND, TARGET, at) == 2, "not before them"
    assert choose(read(["--from=2026-11-28T07:02:00Z"]), FOUND, TARGET, at) == 3
    with pytest.raises(RestoreRefused, match="the range begins later"):
        choose(read(["--from=2026-11-28T06:00:00Z"]), FOUND, TARGET, at)


def record(position: int) -> dict[str, Any]:
    return {"position": position, "type": "JOB"}


def test_what_the_secondary_storage_lacks_is_exported_again_and_nothing_else() -> None:
    state = {
        "position": 40,
        "exported": 30,
        "records": [record(35), record(38)],
        "log": [],
        "segments": [],
        "logged": 5,
        "checkpoint": 2,
    }
    log = [record(one) for one in (10, 20, 30)]
    found = begun(state, Chosen(3, {1: 20}), log, 20)
    assert [one["position"] for one in found["records"]] == [30, 35, 38]
    assert (found["exported"], found["logged"], found["checkpoint"]) == (20, 30, 3)
    assert (found["log"], found["segments"]) == ([], [])
    whole = begun(state, Chosen(3, {1: 38}), log, 38)
    assert (whole["records"], whole["exported"]) == ([], 40)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"partitionCount": 3}, "3 partitions with replication factor 3, the cluster 2 with 3"),
        ({"replicationFactor": 1}, "2 partitions with replication factor 1"),
        ({"state": "IN_PROGRESS"}, "partition 1 is not complete"),
        ({"brokerVersion": "8.10.0"}, "it is of 8.10.0, this is 8.9.16"),
    ],
)
def test_a_backup_that_does_not_fit_the_cluster_is_refused(
    changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(RestoreRefused, match=why):
        choose(Wanted((4,)), {4: backup(4, **changes)}, TARGET, None)


def test_the_application_may_be_a_minor_newer_but_the_api_is_exact() -> None:
    assert choose(Wanted((1,)), FOUND, Target("8.10.0", 2, 3), None) == 1
    with pytest.raises(RestoreRefused, match="8\\.9\\.16"):
        choose(Wanted((1,)), FOUND, Target("8.9.17", 2, 3, exact=True), None)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--allTenants"], "does not perform the restore option --allTenants"),
        (["--backupId=1", "--to=2026-11-28T07:00:30Z"], "both --backupId and"),
        (["--to=yesterday"], "yesterday"),
        (["--backupId=x"], "x"),
        (["--from=2026-11-28T08:00:00Z", "--to=2026-11-28T07:00:00Z"], "Invalid time range"),
    ],
)
def test_arguments_that_are_not_performed_are_named(arguments: list[str], why: str) -> None:
    with pytest.raises(RestoreRefused, match=why):
        read(arguments)


def test_the_environment_stands_for_arguments() -> None:
    times = {"ZEEBE_RESTORE_FROM_TIMESTAMP": "a", "ZEEBE_RESTORE_TO_TIMESTAMP": "b"}
    assert of_environment(times) == ["--from=a", "--to=b"]
    assert of_environment(times | {"ZEEBE_RESTORE_FROM_BACKUP_ID": "7"}) == ["--backupId=7"]
    assert of_environment({}) == []


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="ids")
        yield client


class OneCallAtATime:
    """An S3 client whose calls come one after the other; nothing is written until all have read.

    moto closes the content of an object that is written while another thread reads it.
    """

    def __init__(self, s3: Any, writers: int) -> None:
        self._s3 = s3
        self._lock = threading.Lock()
        self._all_have_read = threading.Barrier(writers)
        self._first = iter(range(writers))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._s3, name)

        def call(**arguments: Any) -> Any:
            if name == "put_object" and next(self._first, None) is not None:
                self._all_have_read.wait(10)
            with self._lock:
                answer = found(**arguments)
                # What is read later is read from the object itself.
                if "Body" in answer:
                    answer["Body"] = io.BytesIO(answer["Body"].read())
                return answer

        return call if callable(found) else found


def test_nodes_that_note_themselves_at_once_are_all_there(s3: Any) -> None:
    one = OneCallAtATime(s3, 4)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda node: Progress(one, "ids", "77").add(node), range(4)))

    progress = Progress(s3, "ids", "77")
    assert progress.nodes() == {0, 1, 2, 3} == progress.add()
    body = json.loads(s3.get_object(Bucket="ids", Key="restore/77")["Body"].read())
    assert body == {"restoreId": "77", "restoredNodes": [0, 1, 2, 3]}
    assert Progress(s3, "ids", "78").nodes() == set()


class Bucket:
    """Backups as they are read."""

    def manifests(self) -> dict[int, list[dict[str, Any]]]:
        return {7: [backup(7)[0] | {"partitionCount": 1, "replicationFactor": 1}]}

    checkpoints = manifests

    def read(self, backup_id: int, partition: int) -> dict[str, Any]:
        return {"of": [backup_id, partition], "records": [], "position": 70, "logged": 60}

    def log(self, backup_id: int, partition: int) -> list[dict[str, Any]]:
        return [{"position": 65, "of": [backup_id, partition]}]


class NoDatabase:
    def position(self, partition: int) -> int:
        raise StorageUnavailable(f"no database for {partition}")


def restored(s3: Any, data: Path, *arguments: str, **changes: str) -> int:
    """Run the restore application as the only node of a cluster."""
    environment = {
        "CAMUNDA_CLUSTER_NODEIDPROVIDER_TYPE": "s3",
        "CAMUNDA_CLUSTER_NODEIDPROVIDER_S3_BUCKETNAME": "ids",
        "CAMUNDA_DATA_PRIMARYSTORAGE_DIRECTORY": str(data),
    } | changes
    settings = reading.read(environment, version="8.9.16", address="127.0.0.1", memory_mib=0)
    node_ids = NodeIds(
        s3, "ids", cluster_size=settings.cluster_size, lease_seconds=15, task_id="me"
    )
    wanted = read(arguments)
    sources: Any = Sources(Bucket(), NoDatabase())  # type: ignore[arg-type]
    progress = Progress(s3, "ids", wanted.restore_id)
    return run(settings, wanted, node_ids, progress, sources, stop=threading.Event())


def test_a_node_is_restored_once(s3: Any, tmp_path: Path) -> None:
    assert restored(s3, tmp_path, "--backupId=7") == 0
    seed = "raft-partition/partitions/1/generation-1/seed.json"
    state = json.loads((tmp_path / "node-0/v1" / seed).read_text())
    assert (state["of"], state["checkpoint"]) == ([7, 1], 7)
    assert state["records"] == [{"position": 65, "of": [7, 1]}]
    mark = s3.list_objects_v2(Bucket="ids", Prefix="restore/")["Contents"][0]["Key"]
    assert json.loads(s3.get_object(Bucket="ids", Key=mark)["Body"].read())["restoredNodes"] == [0]

    (tmp_path / "node-0/v1" / seed).write_text("worked on")
    assert restored(s3, tmp_path, "--backupId=7") == 0
    assert (tmp_path / "node-0/v2" / seed).read_text() == "worked on"

    shutil.rmtree(tmp_path / "node-0")
    with pytest.raises(RestoreRefused, match=f"no data of partitions .*Delete s3://ids/{mark}"):
        restored(s3, tmp_path, "--backupId=7")


def test_data_that_is_there_is_not_overwritten(s3: Any, tmp_path: Path) -> None:
    restored(s3, tmp_path, "--backupId=7")
    s3.delete_object(Bucket="ids", Key=f"restore/{Wanted((7,)).restore_id}")
    with pytest.raises(RestoreRefused, match="is not empty\\. Aborting restore"):
        restored(s3, tmp_path, "--backupId=7")
    names = "directory-initialized.json, raft-partition"
    assert restored(s3, tmp_path, "--backupId=7", ZEEBE_RESTORE_IGNOREFILESINTARGET=names) == 0


def test_without_positions_nothing_is_chosen(s3: Any, tmp_path: Path) -> None:
    with pytest.raises(RestoreRefused, match="positions cannot be read: no database"):
        restored(s3, tmp_path)
    assert s3.get_object(Bucket="ids", Key="0.json")["Body"].read() == b"", "the lease is released"


def test_the_same_request_has_the_same_id_everywhere() -> None:
    assert read(["--backupId=1,2"]).restore_id == Wanted((1, 2)).restore_id
    assert Wanted((1,)).restore_id != Wanted().restore_id
