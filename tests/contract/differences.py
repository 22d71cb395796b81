"""Recorded calls of 8.6.0 that 8.9 answers otherwise: why, where that is written, and how."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.contract.recorded import Call, Json, calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_TRANSFORMER = "camunda/camunda: ScaleRequestTransformer (PRE_SCALING, POST_SCALING; PR #46083)"
_LEASES = "camunda/camunda: S3NodeIdRepository, RepositoryNodeIdProvider (PRs #45932, #46337)"
_HEALTH = "camunda/camunda: HealthConfigurationInitializer (PR #48759, 8.9.0)"
_CALLS = calls()
_PARTITIONS = "camunda/camunda: START_PARTITION_SCALE_UP … AWAIT_RELOCATION in components.yaml"


@dataclass(frozen=True)
class Difference:
    """What changed after 8.6.0; `becomes` makes the answer of 8.9 from the recorded one."""

    reason: str
    source: str
    becomes: Callable[[Json], Json]

    def answer(self, call: Call) -> Json:
        """Give what 8.9 answers to the call, in the short form."""
        return self.becomes(call.answer)


def _without(topology: Json, *nodes: str) -> Json:
    brokers = {node: held for node, held in topology["brokers"].items() if node not in nodes}
    return {**topology, "brokers": brokers}


def _fixed(**answer: Any) -> Callable[[Json], Json]:
    return lambda _: answer


def _with(**more: Any) -> Callable[[Json], Json]:
    return lambda recorded: {**recorded, **more}


def _scaling(recorded: Json) -> Json:
    """Put PRE_SCALING before the steps of a plan and POST_SCALING after them."""
    answer = {**recorded}
    if "end" in answer:
        end = {**answer["end"]}
        members = _aims(end["members"], answer["steps"])
        answer["steps"] = _around(answer["steps"], members)
        if "pending" in end:
            end["pending"] = _pending(end["pending"], members)
        answer["end"] = end
    elif "planned" in answer:
        answer["planned"] = _around(answer["planned"], _aims(answer["current"], answer["planned"]))
    elif "pending" in answer:
        pending = answer["pending"]
        members = _aims(answer["members"], pending["pending"])
        answer["pending"] = _pending(pending, members)
    return answer


def _aims(members: Iterable[str], steps: Iterable[str]) -> list[int]:
    """Give the members that a change aims at."""
    found = {int(line.split()[0]) for line in members}
    for step in steps:
        if at := re.match(r"BROKER_ADD at (-?\d+)", step):
            found.add(int(at[1]))
        elif at := re.match(r"BROKER_REMOVE at (\d+)", step):
            found.discard(int(at[1]))
    return sorted(found)


def _around(steps: list[str], members: list[int]) -> list[str]:
    at = f"at 0 brokers {members}"
    return [f"PRE_SCALING {at}", *steps, f"POST_SCALING {at}"]


def _pending(pending: Json, members: list[int]) -> Json:
    before, *rest = _around([*pending["completed"], *pending["pending"]], members)
    done = len(pending["completed"])
    return {**pending, "completed": [before, *rest[:done]], "pending": rest[done:]}


def _health(recorded: Json) -> Json:
    """Add the node id's part to a health answer, and the group `liveness`."""
    answer = {**recorded}
    if recorded["components"]:
        parts = {**recorded["components"], "nodeIdProviderReady": "UP"}
        answer["components"] = dict(sorted(parts.items()))
    if "groups" in recorded:
        answer["groups"] = sorted([*recorded["groups"], "liveness"])
    return answer


def _new_partition(partition: int, *nodes: int) -> list[str]:
    """Give the steps for a partition on these nodes, by priority."""
    first, *others = (
        f"at {node} partition {partition} priority {len(nodes) - place}"
        for place, node in enumerate(nodes)
    )
    return [f"PARTITION_BOOTSTRAP {first}", *sorted(f"PARTITION_JOIN {one}" for one in others)]


def _growing(*partitions: list[str]) -> list[str]:
    return [
        "START_PARTITION_SCALE_UP at 0",
        *(line for one in partitions for line in one),
        "AWAIT_REDISTRIBUTION at 0",
        "AWAIT_RELOCATION at 0",
    ]


def _grown(recorded: Json) -> Json:
    """Give the steps of 8.8 and later for three partitions more on three brokers."""
    steps = _growing(
        _new_partition(4, 0, 2, 1), _new_partition(5, 1, 0, 2), _new_partition(6, 2, 1, 0)
    )
    return {**recorded, "planned" if "planned" in recorded else "steps": steps}


def _both(_: Json) -> Json:
    """Give the plan for three brokers and three partitions more: that of call 25, and theirs."""
    answer = _scaling(_CALLS[25].answer)
    *steps, last = answer["planned"]
    new = _growing(
        _new_partition(4, 3, 4, 5), _new_partition(5, 4, 5, 0), _new_partition(6, 5, 0, 1)
    )
    expected = [
        "0 ACTIVE v8 1:3 5:1 6:2",
        "1 ACTIVE v4 1:2 2:3 6:1",
        "2 ACTIVE v0 1:1 2:2 3:3",
        "3 ACTIVE v8 2:1 3:2 4:3",
        "4 ACTIVE v8 3:1 4:2 5:3",
        "5 ACTIVE v8 4:1 5:2 6:3",
    ]
    return {**answer, "planned": [*steps, *new, last], "expected": expected}


def _all(numbers: Iterable[int], reason: str, source: str, becomes: Any) -> dict[int, Difference]:
    return {number: Difference(reason, source, becomes) for number in numbers}


DIFFERS: dict[int, Difference] = {
    **_all(
        [
            *(20, 21, 22, 23, 24, 25, 45, 54, 60, 61, 82, 83, 84, 85, 101, 102, 106, 107, 110, 111),
            *(112, 132, 133, 134, 141, 142, 143, 144, 145, 155, 156, 158, 164, 182, 186, 187, 188),
            *(189, 190, 191, 201, 202, 203, 204, 215, 216),
        ],
        "a change of members begins with PRE_SCALING and ends with POST_SCALING",
        _TRANSFORMER,
        _scaling,
    ),
    **_all(
        [3, 4, 97, 98, 131, 152, 163],
        "health has nodeIdProviderReady, and there is a group liveness",
        _HEALTH,
        _health,
    ),
    2: Difference(
        "later versions have other endpoints; the local broker names those that it has",
        "camunda/camunda: dist/src/main/resources/application.properties",
        _fixed(
            status=200,
            links=[
                *("backupRuntime", "backupRuntime-id", "cluster", "cluster-brokers"),
                *("cluster-brokers-broker", "cluster-brokers-broker-partitions-partition"),
                *("cluster-changes", "cluster-changes-change", "cluster-partitions"),
                *("cluster-purge", "cluster-routing-state", "exporters"),
                *("exporters-exporterId", "exporters-exporterId-operation"),
                *("exporting-verb", "flowControl", "health", "health-group", "info"),
                *("partitions", "partitions-partition", "prometheus", "rebalance", "self"),
                "upgradeReadiness",
            ],
        ),
    ),
    8: Difference("another version", "the image's tag", _with(version="8.9.16")),
    14: Difference(
        "/v2/status exists since 8.8",
        "camunda/camunda: rest-api.yaml, GET /status",
        _fixed(status=204),
    ),
    26: Difference("partitions can be scaled since 8.8", _PARTITIONS, _both),
    27: Difference(
        "partitions can be scaled since 8.8", _PARTITIONS, lambda _: _grown(_CALLS[172].answer)
    ),
    28: Difference("partitions can be scaled since 8.8", _PARTITIONS, lambda _: _CALLS[173].answer),
    **_all(
        [172, 174, 175],
        "the steps of more partitions have their names since 8.8",
        _PARTITIONS,
        _grown,
    ),
    105: Difference(
        "a broker beyond the leases waits for one, and is not in the topology",
        _LEASES,
        lambda recorded: _without(recorded, "4", "5"),
    ),
    109: Difference(
        "recorded before the replica on broker 4 was passed on",
        "recording 108: broker 4 has partition 3",
        lambda recorded: {**recorded, "brokers": {**recorded["brokers"], "4": "3:healthy"}},
    ),
    114: Difference(
        "a removed broker loses its lease and exits; 8.6.0 went on",
        _LEASES,
        lambda recorded: _without(recorded, "3", "4", "5"),
    ),
    140: Difference(
        "recorded during the election of a leader of partition 1; the broker has had it",
        "recordings 146 and 160: every partition has a leader",
        _with(led=[1, 2, 3]),
    ),
    177: Difference(
        "recorded before the last replicas were passed on; they are there at the end",
        "recording 181: every broker has all partitions",
        lambda recorded: {**recorded, "brokers": _without(_CALLS[181].answer, "3")["brokers"]},
    ),
    192: Difference(
        "recorded as netty's heartbeat closed the connection; brokers here speak gRPC without one",
        "recording 194: the same call, 504 after 10 s",
        lambda _: _CALLS[194].answer,
    ),
    5: Difference(
        "there is a group liveness",
        _HEALTH,
        _fixed(
            status=200,
            health="UP",
            components={"brokerReady": "UP", "nodeIdProviderReady": "UP"},
        ),
    ),
    **_all(
        [115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128],
        "a removed broker loses its lease and exits; 8.6.0 went on",
        _LEASES,
        _fixed(status=0),
    ),
}
