from __future__ import annotations

import json
from typing import Any

import pytest

from local.broker import bpmn
from local.broker.engine import Engine, distribution, message_partition, partition_of
from tests.support.memory_gateway import JOB_AND_MESSAGE, JOB_ONLY, MemoryGateway

pytestmark = pytest.mark.unit

type Json = dict[str, Any]

ACTIVATE = {"kind": "activate_jobs", "type": "work", "max": 10, "timeout": 1000, "worker": "w"}


def deploy(cluster: MemoryGateway, text: str, digest: str = "1", start: str | None = None) -> Json:
    processes = [
        {**one, "resource": "lab.bpmn", "digest": digest, "startMessage": start}
        for one in bpmn.parse(text.encode())
    ]
    command = {"kind": "deploy", "processes": processes, "partitions": [*cluster.engines]}
    result = cluster.apply(1, command)["ok"]
    cluster.deliver()
    return dict(result)


def create(cluster: MemoryGateway, process: str, partition: int = 1, **variables: Any) -> int:
    command = {"kind": "create_instance", "id": process, "variables": variables}
    return int(cluster.apply(partition, command)["ok"]["processInstanceKey"])


def jobs(cluster: MemoryGateway, partition: int = 1) -> list[Json]:
    return list(cluster.apply(partition, ACTIVATE)["ok"]["jobs"])


def do(cluster: MemoryGateway, kind: str, partition: int = 1, **fields: Any) -> Json:
    result = cluster.apply(partition, {"kind": kind, **fields})
    cluster.deliver()
    return result


def records(cluster: MemoryGateway, kind: str, partition: int = 1) -> list[str]:
    found = cluster.engines[partition].data["records"]
    return [one["intent"] for one in found if one["type"] == kind]


def test_keys_of_the_first_deployment_are_those_that_were_recorded() -> None:
    cluster = MemoryGateway()
    deployed = deploy(cluster, JOB_ONLY)
    assert deployed["key"] == 2251799813685249
    assert deployed["processes"][0]["processDefinitionKey"] == 2251799813685250
    assert partition_of(create(cluster, "work", 3)) == 3


def test_unchanged_content_keeps_its_keys_and_changed_content_is_a_version() -> None:
    cluster = MemoryGateway()
    first = deploy(cluster, JOB_ONLY)
    assert deploy(cluster, JOB_ONLY) == first
    second = deploy(cluster, JOB_ONLY, "2")
    assert second["key"] != first["key"]
    assert second["processes"][0]["processDefinitionVersion"] == 2


def test_message_partitions_are_camundas() -> None:
    # SubscriptionUtilTest of camunda/camunda hashes like String.hashCode for ASCII.
    assert message_partition("a", 3) == 97 % 3 + 1
    assert message_partition("", 3) == 1
    assert {message_partition(f"item-{one}", 4) for one in range(100)} == {1, 2, 3, 4}


def test_an_instance_runs_through_jobs_and_messages_and_leaves_nothing() -> None:
    cluster = MemoryGateway()
    deploy(cluster, JOB_AND_MESSAGE)
    for partition in cluster.engines:
        create(cluster, "lab", partition, key="k")
        (job,) = jobs(cluster, partition)
        assert (job["headers"], job["retries"], job["variables"]) == ({"a": "b"}, 2, {"key": "k"})
        do(cluster, "complete_job", partition, key=job["key"], variables={"done": True})
    at = message_partition("k", 3)
    message: Any = {"name": "go", "correlationKey": "k", "ttl": 0, "variables": {"x": 1}}
    for partition in cluster.engines:
        # One message reaches one instance of a process.
        found = do(cluster, "publish_message", at, **message)["ok"]["processInstanceKeys"]
        assert [partition_of(one) for one in found] == [partition]
        assert records(cluster, "PROCESS_INSTANCE", partition)[-1] == "COMPLETED"
    for engine in cluster.engines.values():
        for name in ("instances", "jobs", "active", "subscriptions", "messages", "outbox"):
            assert not engine.data[name], name
        assert json.loads(json.dumps(engine.data)) == engine.data


def test_a_kept_message_is_correlated_once_it_is_awaited_and_expires() -> None:
    cluster = MemoryGateway()
    deploy(cluster, JOB_AND_MESSAGE)
    at = message_partition("k", 3)
    message: Any = {"name": "go", "correlationKey": "k", "ttl": 100, "messageId": "1"}
    do(cluster, "publish_message", at, **message)
    again = do(cluster, "publish_message", at, **message)
    assert again["error"]["code"] == "ALREADY_EXISTS"
    instances = [create(cluster, "lab", 1, key="k") for _ in range(2)]
    for job in jobs(cluster):
        do(cluster, "complete_job", key=job["key"])
    assert str(instances[0]) not in cluster.engines[1].data["instances"]
    assert str(instances[1]) in cluster.engines[1].data["instances"]
    assert not cluster.engines[at].due(cluster.now)
    cluster.now += 100
    assert cluster.engines[at].due(cluster.now)
    do(cluster, "tick", at)
    assert not cluster.engines[at].data["messages"]


def test_a_message_for_a_cancelled_instance_reaches_another_one() -> None:
    cluster = MemoryGateway()
    deploy(cluster, JOB_AND_MESSAGE)
    at = message_partition("k", 3)
    first, second = create(cluster, "lab", 1, key="k"), create(cluster, "lab", 1, key="k")
    for job in jobs(cluster):
        do(cluster, "complete_job", key=job["key"])
    cluster.apply(at, {"kind": "publish_message", "name": "go", "correlationKey": "k", "ttl": 9})
    if at != 1:
        cluster.apply(1, {"kind": "cancel_instance", "key": first})
        cluster.deliver()
        assert str(second) not in cluster.engines[1].data["instances"]


def test_cancelling_closes_jobs_subscriptions_and_incidents() -> None:
    cluster = MemoryGateway()
    deploy(cluster, JOB_AND_MESSAGE)
    waits, fails = create(cluster, "lab", key="k"), create(cluster, "lab")
    for job in jobs(cluster):
        do(cluster, "complete_job", key=job["key"])
    assert records(cluster, "INCIDENT") == ["ACTIVE"]
    for key in (waits, fails):
        do(cluster, "cancel_instance", key=key)
    assert records(cluster, "INCIDENT") == ["ACTIVE", "RESOLVED"]
    assert not any(one.data["subscriptions"] for one in cluster.engines.values())
    assert do(cluster, "cancel_instance", key=fails)["error"]["code"] == "NOT_FOUND"
    correlate = {"name": "go", "correlationKey": "k"}
    rejected = do(cluster, "correlate_message", message_partition("k", 3), **correlate)
    assert rejected["error"]["code"] == "NOT_FOUND"


def test_jobs_time_out_back_off_and_end_in_incidents() -> None:
    cluster = MemoryGateway()
    deploy(cluster, JOB_ONLY)
    create(cluster, "work")
    key = jobs(cluster)[0]["key"]
    assert cluster.engines[1].answer(ACTIVATE) == {"ok": {"jobs": []}}
    cluster.now += 1000
    do(cluster, "tick")
    assert [one["key"] for one in jobs(cluster)] == [key]
    do(cluster, "fail_job", key=key, retries=1, backOff=50)
    assert jobs(cluster) == []
    cluster.now += 50
    do(cluster, "tick")
    assert [one["key"] for one in jobs(cluster)] == [key]
    do(cluster, "fail_job", key=key, retries=0, message="broken")
    assert do(cluster, "complete_job", key=key)["error"]["code"] == "INVALID_STATE"
    (incident,) = cluster.engines[1].data["incidents"]
    assert do(cluster, "resolve_incident", key=incident)["error"]["code"] == "INVALID_STATE"
    do(cluster, "update_job", key=key, retries=1)
    assert do(cluster, "resolve_incident", key=incident) == {"ok": {}}
    assert [one["key"] for one in jobs(cluster)] == [key]
    do(cluster, "throw_error", key=key, code="E")
    assert len(cluster.engines[1].data["incidents"]) == 1


def test_a_message_starts_one_instance_of_a_correlation_key_at_a_time() -> None:
    cluster = MemoryGateway(1)
    deploy(cluster, JOB_ONLY, start="order")
    message: Any = {"name": "order", "correlationKey": "k", "ttl": 1000}
    counts = []
    for _ in range(2):
        started = do(cluster, "publish_message", **message)["ok"]["processInstanceKeys"]
        counts.append(len(started))
    assert counts == [1, 0]
    (job,) = jobs(cluster)
    do(cluster, "complete_job", key=job["key"])
    assert len(jobs(cluster)) == 1
    rejected = do(cluster, "create_instance", id="work")
    assert rejected["error"]["code"] == "INVALID_STATE"


def test_what_was_delivered_is_not_applied_twice() -> None:
    cluster = MemoryGateway()
    command = {"kind": "publish_message", "name": "go", "correlationKey": "k", "ttl": 100}
    for _ in range(2):
        cluster.apply(2, {**command, "source": [1, 5]})
    assert sum(map(len, cluster.engines[2].data["messages"].values())) == 1


def test_records_have_positions_of_their_own_and_leave_when_exported() -> None:
    cluster = MemoryGateway(1)
    deploy(cluster, JOB_ONLY)
    create(cluster, "work", a=1, b=2)
    data = cluster.engines[1].data
    positions = [one["position"] for one in data["records"]]
    assert positions == sorted(set(positions))
    do(cluster, "exported", position=positions[1])
    assert [one["position"] for one in data["records"]] == positions[2:]
    assert data["exported"] == positions[1]
    do(cluster, "exported", position=positions[-1])
    assert data["exported"] == data["position"]


def test_what_is_exported_stays_in_the_log_until_a_checkpoint_has_it() -> None:
    cluster = MemoryGateway(1)
    deploy(cluster, JOB_ONLY)
    create(cluster, "work", a=1, b=2)
    data = cluster.engines[1].data
    positions = [one["position"] for one in data["records"]]
    do(cluster, "exported", position=positions[1], keep=True)
    assert [one["position"] for one in data["log"]] == positions[:2]
    assert (data["logged"], data["taken"]) == (0, 0)
    do(cluster, "segment", taken=1, key="first", last=positions[0])
    do(cluster, "segment", taken=1, key="again", last=positions[0])
    assert data["segments"] == [{"key": "first", "last": positions[0]}]
    assert [one["position"] for one in data["log"]] == positions[1:2]

    # More is exported while the checkpoint is put into the bucket.
    do(cluster, "exported", position=positions[2], keep=True)
    confirmed = {"id": 7, "taken": 2, "segments": ["first"], "logged": positions[1]}
    for _ in range(2):
        do(cluster, "checkpoint", **confirmed)
        assert [one["position"] for one in data["log"]] == positions[2:3]
        assert (data["logged"], data["checkpoint"], data["segments"]) == (positions[1], 7, [])

    do(cluster, "exported", position=positions[3])
    assert data["log"] == [], "without continuous backups nothing is kept"
    assert data["logged"] == positions[3]


def test_the_result_of_an_awaited_instance_is_kept_for_its_client() -> None:
    cluster = MemoryGateway(1)
    deploy(cluster, JOB_ONLY)
    command = {"kind": "create_instance", "id": "work", "awaitUntil": cluster.now + 100}
    key = cluster.apply(1, command)["ok"]["processInstanceKey"]
    take = {"kind": "take_result", "key": key}
    assert cluster.engines[1].answer(take) == {"ok": {"state": "ACTIVE"}}
    do(cluster, "complete_job", key=jobs(cluster)[0]["key"], variables={"r": 1})
    assert cluster.engines[1].answer(take) is None
    assert cluster.apply(1, take)["ok"]["variables"] == {"r": 1}
    assert cluster.apply(1, take)["error"]["code"] == "NOT_FOUND"


def test_processes_reach_a_new_partition() -> None:
    cluster = MemoryGateway(1)
    deploy(cluster, JOB_ONLY)
    new = Engine(2)
    for command in distribution(cluster.engines[1].data):
        new.apply({**command, "now": 0})
    assert "ok" in new.apply({"kind": "create_instance", "id": "work", "now": 0})


def test_unknown_commands_and_processes_are_rejected() -> None:
    cluster = MemoryGateway(1)
    assert do(cluster, "dance")["error"]["code"] == "INVALID_ARGUMENT"
    assert do(cluster, "create_instance", id="none")["error"] == {
        "code": "NOT_FOUND",
        "message": "Expected to find process definition with process ID 'none', but none found",
    }
