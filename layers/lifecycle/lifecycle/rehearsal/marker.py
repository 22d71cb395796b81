"""A waiting process instance on each partition, planted before a backup and found after a restore.

Totals show that the secondary storage came back. A marker shows that the brokers' own data did: its
instance waits for a message, which only a partition that still has the instance and its
subscription can give it. Nothing of a user's is started or ended by it.

A message reaches one instance of a process (https://docs.camunda.io/docs/components/concepts/messages/),
so that each marker has a correlation key of its own, in its variable ``marker``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.checks import Check, Result
from lifecycle.tables import listed
from lifecycle.verification.process_instances import Probed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lifecycle.rehearsal.ports import Mark

NAME: Final = "markers"
PROCESS_ID: Final = "camunda-lifecycle-marker"
MESSAGE: Final = "camunda-lifecycle-marker"
VARIABLE: Final = "marker"
_PROCESS: Final = f"""<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
    id="{PROCESS_ID}-definitions" targetNamespace="http://bpmn.io/schema/bpmn">
  <bpmn:message id="continue" name="{MESSAGE}">
    <bpmn:extensionElements>
      <zeebe:subscription correlationKey="={VARIABLE}"/>
    </bpmn:extensionElements>
  </bpmn:message>
  <bpmn:process id="{PROCESS_ID}" name="Marker of a backup by camunda-ecs-lifecycle"
      isExecutable="true">
    <bpmn:startEvent id="start"><bpmn:outgoing>waits</bpmn:outgoing></bpmn:startEvent>
    <bpmn:sequenceFlow id="waits" sourceRef="start" targetRef="wait"/>
    <bpmn:intermediateCatchEvent id="wait">
      <bpmn:incoming>waits</bpmn:incoming>
      <bpmn:outgoing>ends</bpmn:outgoing>
      <bpmn:messageEventDefinition messageRef="continue"/>
    </bpmn:intermediateCatchEvent>
    <bpmn:sequenceFlow id="ends" sourceRef="wait" targetRef="end"/>
    <bpmn:endEvent id="end"><bpmn:incoming>ends</bpmn:incoming></bpmn:endEvent>
  </bpmn:process>
</bpmn:definitions>
"""
PROCESS: Final = Probed(PROCESS_ID, f"{PROCESS_ID}.bpmn", _PROCESS.encode())


def variables(marker: str, attempt: int) -> Mapping[str, object]:
    """Return the variables of one instance; ``marker`` names the rehearsal."""
    return {VARIABLE: f"{marker}/{attempt}"}


@dataclass(frozen=True, slots=True)
class Found:
    """What a copy has of the markers ``wanted`` (keys): all of them by number.

    ``waiting`` were found with their variable and waited; ``ended`` are those of them that are over
    since: nothing but their message ends them. ``problem``: what went wrong last.
    """

    wanted: tuple[int, ...]
    waiting: frozenset[int] = frozenset()
    ended: frozenset[int] = frozenset()
    problem: str = ""

    @property
    def complete(self) -> bool:
        """Whether each marker was found and has gone on."""
        return bool(self.wanted) and self.ended >= set(self.wanted)

    def as_state(self) -> dict[str, Any]:
        """Return it as a state machine carries it; keys are text, as they have 64 bits."""
        return {
            "wanted": [str(one) for one in self.wanted],
            "waiting": [str(one) for one in sorted(self.waiting)],
            "ended": [str(one) for one in sorted(self.ended)],
            "problem": self.problem[:500],
        }


def read_found(state: Mapping[str, Any]) -> Found:
    """Read what ``as_state`` gave."""

    def keys(name: str) -> frozenset[int]:
        return frozenset(int(one) for one in state.get(name, ()))

    return Found(
        tuple(sorted(keys("wanted"))),
        keys("waiting"),
        keys("ended"),
        str(state.get("problem", "")),
    )


def is_markers(mark: Mark, marker: str) -> bool:
    """Whether an instance has the variable that this marker was planted with."""
    try:
        value = json.loads(mark.value)
    except ValueError:
        return False
    return isinstance(value, str) and value.rpartition("/")[0] == marker


def check_markers(found: Found) -> Check:
    """Judge what the last look at a copy left."""
    lost = sorted(set(found.wanted) - found.waiting)
    stuck = sorted(found.waiting - found.ended)
    problem = f": {found.problem}" if found.problem else ""
    if found.complete:
        return Check(
            NAME,
            Result.PASS,
            f"each of {len(found.wanted)} process instances that were planted before the backup is "
            "in the copy, and went on after its message",
        )
    if not found.wanted:
        return Check(
            NAME,
            Result.WARN,
            "no marker was planted before this backup: whether process instances go on is unknown",
            "Rehearse a backup that the rehearsal itself takes.",
        )
    if lost:
        return Check(
            NAME,
            Result.FAIL,
            f"a search in the copy does not find process instances {_keys(lost)}, which were "
            f"planted before the backup{problem}",
            "Do not rely on this backup. Compare the instant of the database with the backup's, "
            "and check the log of the copy's brokers.",
        )
    return Check(
        NAME,
        Result.FAIL,
        f"process instances {_keys(stuck)} are in the copy's database but did not go on after "
        f"their message{problem}",
        "Do not rely on this backup: the brokers lack what the database has. Check the log of the "
        "copy's brokers.",
    )


def _keys(keys: Iterable[int]) -> str:
    return listed(list(keys))
