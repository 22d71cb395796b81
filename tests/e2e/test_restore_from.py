"""A new cluster is made of another one's backups: one that runs, and one that was torn down."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.config import CONTROL_STACK
from tests.support.returns import Returns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.component import Instance

CLUSTER = "origin"
SAME: dict[str, Any] = {"Brokers": 2, "Partitions": 2, "ReplicationFactor": 1}


class Origin(Returns):
    """A cluster of whose backups others are made."""

    def kept(self) -> dict[str, Any]:
        """What the API responds with of what the cluster left."""
        found = self.client("cloudformation").describe_stack_resource(
            StackName=CONTROL_STACK, LogicalResourceId="ServeApi"
        )
        event = {
            "httpMethod": "GET",
            "resource": "/kept/{name}",
            "pathParameters": {"name": self.cluster},
            "requestContext": {"requestId": "r-1", "identity": {}},
        }
        answer = self.client("lambda").invoke(
            FunctionName=found["StackResourceDetail"]["PhysicalResourceId"],
            Qualifier="live",
            Payload=json.dumps(event).encode(),
        )
        response = json.loads(answer["Payload"].read())
        assert response.get("statusCode") == 200, response
        return dict(json.loads(response["body"]))


@pytest.fixture(scope="module")
def origin(instance: Instance) -> Iterator[Origin]:
    made = Origin(instance, CLUSTER)
    # Between two backups, its brokers write nothing into their bucket.
    made.provision(**SAME, Connectors=0, BackupSchedule="PT1H", BackupCheckpointInterval="PT1H")
    yield made
    if made.standing(CLUSTER):
        made.done("teardown", confirm=CLUSTER)


def once(there: dict[Any, list[str]], wanted: set[Any]) -> bool:
    """Whether a search finds each thing once."""
    return all(len(there.get(one, ())) == 1 for one in wanted)


@pytest.mark.long  # A rehearsal makes such a copy, too.
def test_a_copy_of_a_cluster_that_runs(origin: Origin, instance: Instance, tmp_path: Path) -> None:
    before = origin.works(tmp_path, 10)
    backup = origin.done("backup", action="take")["backup"]
    after = origin.works(tmp_path, 5) - before
    versions = origin.versions()
    twin = Returns(instance, "twin")
    report = twin.done(
        "restore",
        **{"from": CLUSTER},
        confirm="twin",
        backup=backup["id"],
        parameters={"AcceptPlaintext": True, "Trial": True},
    )
    assert report["restored"]["backup"] == backup["id"]
    there = twin.found()
    assert once(there, before)
    assert not after & set(there)
    # It is another one, and its connectors would call other systems a second time.
    mine, its = origin.outputs(origin.stack), twin.outputs(twin.stack)
    assert mine["BackupBucketName"] != its["BackupBucketName"]
    assert twin.counts("twin")["orchestration-cluster"] == (2, 2)
    assert twin.counts("twin")["connectors"] == (0, 0)
    assert twin.user == origin.user
    assert twin.works(tmp_path, 5)
    # The source works on; what is written into its bucket is none of the copy's.
    assert origin.versions() == versions
    assert origin.works(tmp_path, 5)
    twin.done("teardown", confirm="twin")
    assert not twin.standing("twin")


def test_a_cluster_that_was_torn_down_comes_back(origin: Origin, tmp_path: Path) -> None:
    before = origin.works(tmp_path, 10)
    backup = origin.done("backup", action="take")["backup"]
    after = origin.works(tmp_path, 5) - before
    user, former = origin.user, origin.outputs(origin.stack)
    origin.done("teardown", confirm=CLUSTER)
    way = origin.kept()["restorable"]
    assert (way["backup"], way["snapshot"]) == (backup["id"], backup["snapshot"])
    assert way["bucket"] == former["BackupBucketName"]
    request = {
        "from": CLUSTER,
        "confirm": CLUSTER,
        "backup": way["backup"],
        "parameters": {**SAME, "Connectors": 0, "AcceptPlaintext": True},
    }
    plan = origin.done("restore", **request, dryRun=True)["plan"]
    assert plan["backup"] == backup["id"]
    assert plan["database"]["snapshot"] == backup["snapshot"]
    assert not origin.standing(CLUSTER)
    origin.done("restore", **request)
    there = origin.found()
    assert once(there, before)
    assert not after & set(there)
    outputs = origin.outputs(origin.stack)
    assert outputs["BackupBucketName"] != former["BackupBucketName"]
    assert origin.user == user
    assert origin.works(tmp_path, 5)
    # The same request verifies what it made, and restores nothing again.
    since = set(origin.found())
    origin.done("restore", **request)
    assert since <= set(origin.found())
