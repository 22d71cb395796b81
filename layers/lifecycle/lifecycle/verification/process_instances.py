"""A process instance on each partition, found again: that the cluster does its work, to its end.

A topology that looks whole shows nothing of a partition that takes no instance, or exports none. So
a process of this product's own is deployed, and instances of it are created until each partition
has made one; a search has to find them then, which reads the secondary storage. The process has
nothing between its start and its end: an instance is completed at once and nothing stays running.

The partition is in a key's upper bits: 13 of them for the partition, 51 for the key
(camunda/camunda, ``io.camunda.zeebe.protocol.Protocol``: ``PARTITION_BITS``, ``KEY_BITS``,
``decodePartitionId``). A gateway gives new instances to partitions in turn
(``RoundRobinDispatchStrategy``), in one turn for all its clients, so that a bounded number of
instances meets every partition that takes any. Where a partition rejects a request or its leader is
not reached, the gateway sends the request to the next one without an error
(``RequestRetryHandler``: PARTITION_LEADER_MISMATCH, RESOURCE_EXHAUSTED, connection errors).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.checks import Check, Result
from lifecycle.tables import listed
from lifecycle.verification.checks import by_cause

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.cluster.polling import Wait

OPTION: Final = "verifyWithProcessInstances"
NAME: Final = "process instances"
PROCESS_ID: Final = "camunda-lifecycle-verification"
RESOURCE: Final = f"{PROCESS_ID}.bpmn"
# Camunda keeps what is the latest version already: the same bytes make no second version.
PROCESS: Final = f"""<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
    id="{PROCESS_ID}-definitions" targetNamespace="http://bpmn.io/schema/bpmn">
  <bpmn:process id="{PROCESS_ID}" name="Verification by camunda-ecs-lifecycle" isExecutable="true">
    <bpmn:startEvent id="start"><bpmn:outgoing>ends</bpmn:outgoing></bpmn:startEvent>
    <bpmn:sequenceFlow id="ends" sourceRef="start" targetRef="end"/>
    <bpmn:endEvent id="end"><bpmn:incoming>ends</bpmn:incoming></bpmn:endEvent>
  </bpmn:process>
</bpmn:definitions>
"""


@dataclass(frozen=True, slots=True)
class Probed:
    """A process of this product's own, with the resource that is deployed for it."""

    process_id: str
    resource: str
    content: bytes


VERIFICATION: Final = Probed(PROCESS_ID, RESOURCE, PROCESS.encode())
KEY_BITS: Final = 51
# Seconds for all of it. An exporter flushes within seconds; one that caught up by now does, too.
PATIENCE_SECONDS: Final = 180
WAIT_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Instances:
    """What is known after some looks; ``made`` are the keys by partition, ``found`` of a search.

    ``wanted`` is the number of partitions that take requests, 0 while it is not known. ``problem``
    is what went wrong last, in words; empty when nothing did.
    """

    wanted: int = 0
    deployed: bool = False
    attempts: int = 0
    made: Mapping[int, int] = field(default_factory=dict)
    found: frozenset[int] = frozenset()
    problem: str = ""

    @property
    def unmade(self) -> list[int]:
        """Partitions on which no instance was made."""
        return [one for one in range(1, self.wanted + 1) if one not in self.made]

    @property
    def unfound(self) -> list[int]:
        """Partitions whose instance no search has found."""
        return sorted(set(self.made) - self.found)

    @property
    def complete(self) -> bool:
        """Whether an instance of each partition was found again."""
        return self.wanted > 0 and not self.unmade and not self.unfound

    @property
    def may_create(self) -> bool:
        """Whether another instance would show something, and may be made.

        Other clients take turns at the gateway as well: beside many of them, the partitions that
        attempts meet are as good as random. After n (ln n + 7) attempts on n partitions, each
        is met but for once in a thousand verifications.
        """
        beside_others = math.ceil(self.wanted * (math.log(self.wanted or 1) + 7))
        return bool(self.unmade) and self.attempts < max(4 * self.wanted + 20, beside_others)

    def as_state(self) -> dict[str, Any]:
        """Return it as the state machine carries it: 7 KiB for 200 partitions."""
        return {
            "wanted": self.wanted,
            "deployed": self.deployed,
            "attempts": self.attempts,
            "made": {str(partition): str(key) for partition, key in self.made.items()},
            "found": sorted(self.found),
            "problem": self.problem[:500],
        }


def partition_of(key: int) -> int:
    """Return the partition that made a key (``Protocol.decodePartitionId``)."""
    return key >> KEY_BITS


def read_instances(state: Mapping[str, Any]) -> Instances:
    """Read what ``as_state`` gave; empty for the first look."""
    return Instances(
        wanted=int(state.get("wanted", 0)),
        deployed=state.get("deployed") is True,
        attempts=int(state.get("attempts", 0)),
        made={int(partition): int(key) for partition, key in state.get("made", {}).items()},
        found=frozenset(int(one) for one in state.get("found", ())),
        problem=str(state.get("problem", "")),
    )


def is_over(seen: Instances, wait: Wait, now: int) -> bool:
    """Whether another look is needless: all were found, or the patience is over (epoch seconds).

    So it is when some partitions took no instance in all attempts and the others' were found.
    """
    if seen.complete or wait.lasted(PATIENCE_SECONDS, now):
        return True
    return seen.deployed and seen.wanted > 0 and not seen.may_create and not seen.unfound


def check_instances(seen: Instances) -> Check:
    """Judge what the last look left."""
    if seen.complete:
        return Check(
            NAME,
            Result.PASS,
            f"each of {seen.wanted} partitions created an instance of {PROCESS_ID} and exported "
            "it: a search found it",
        )
    problem = f": {seen.problem}" if seen.problem else ""
    if not seen.deployed or not seen.wanted:
        return Check(
            NAME,
            Result.FAIL,
            f"the process {PROCESS_ID} could not be deployed{problem}",
            by_cause(problem, "Partition 1 handles deployments: check the brokers' log for it."),
        )
    if seen.may_create and not seen.problem and not seen.unfound:
        return Check(
            NAME,
            Result.WARN,
            f"{_partitions(seen.unmade)} not reached by any of {seen.attempts} attempts, none of "
            "which failed: the gateways' turns went to other clients' requests; every other "
            "partition created an instance and exported it",
            "None, if the partitions have a leader and export according to this report and the "
            "health check; to verify it, start the same operation again while fewer clients are "
            "active.",
        )
    problems, remedies = [], []
    if seen.unmade:
        problems.append(
            f"{_partitions(seen.unmade)} created no instance in {seen.attempts} attempts{problem}"
        )
        remedies.append(
            "A partition without an instance has no leader that the gateways reach, or rejects "
            "requests: check the brokers' log for it."
        )
    if seen.unfound:
        problems.append(
            f"the instance of {_partitions(seen.unfound)} ({PROCESS_ID}, instance "
            f"{seen.made[seen.unfound[0]]}) was not found by a search within {PATIENCE_SECONDS} s"
            + ("" if seen.unmade else problem)
        )
        remedies.append(
            "The records of such a partition are not in the secondary storage: its exporter is "
            "paused, disabled, failing or far behind; check the health check and the brokers' "
            "log for the exporter and the database."
        )
    return Check(NAME, Result.FAIL, "; ".join(problems), by_cause(problem, " ".join(remedies)))


def not_checked() -> Check:
    """Report that the request skips this check: the result is unknown, so no PASS."""
    return Check(
        NAME,
        Result.WARN,
        f"skipped, not checked: {OPTION} is false; whether each partition creates and exports "
        "process instances is unknown",
        f"Start the same operation without {OPTION} to check it.",
    )


def _partitions(numbers: list[int]) -> str:
    return f"partition{'s' if len(numbers) > 1 else ''} {listed(numbers)}"
