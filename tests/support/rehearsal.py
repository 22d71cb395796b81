"""A running cluster in memory that is rehearsed: what the probe finds in it and in its trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.names import tags
from lifecycle.cluster.stack import Stack
from lifecycle.cluster.trial import rehearsal_trial
from lifecycle.rehearsal.conduct import Conductor
from lifecycle.rehearsal.totals import queries
from lifecycle.rehearsal.validate_rehearsal import RehearsalValidator
from lifecycle.verification.process_instances import KEY_BITS

from tests.fakes.children import FakeChildren
from tests.support.beginning import begin_operation
from tests.support.definitions import Function, load_handler
from tests.support.restore import RestoreWorld, outputs_of
from tests.support.world import CONTROL

if TYPE_CHECKING:
    from collections.abc import Mapping

TRIAL = rehearsal_trial("demo")
AT = "2026-01-01T00:05:00.000Z"
KEYS = {partition: (partition << KEY_BITS) + 1 for partition in (1, 2, 3)}


class RehearsalWorld(RestoreWorld):
    """A cluster, and the operations that a rehearsal starts."""

    def __init__(self) -> None:
        super().__init__()
        self.children = FakeChildren(
            outputs={
                "backup": {"result": "SUCCEEDED", "backup": {"id": 99}},
                "restore": {
                    "result": "SUCCEEDED",
                    "restored": {"at": AT},
                    "copied": {"objects": 12, "bytes": 3456},
                },
            },
            on_end={"restore": self.make_trial, "teardown": self.remove_trial},
        )
        self.found = dict(KEYS)
        """Markers that the trial has."""
        self.totals = {"demo": 7, TRIAL: 7}
        self.left = 0
        self.questions: list[tuple[str, str]] = []
        self.unanswered: set[str] = set()
        self.probe.answers |= {
            "plant markers": self._plant,
            "find markers": self._find,
            "totals": self._count,
            "remove markers": self._remove,
        }

    def make_trial(self) -> None:
        """Let the restore have made its stack."""
        self.stacks.stacks[f"{CONTROL}-{TRIAL}"] = Stack(
            name=f"{CONTROL}-{TRIAL}",
            stack_id="arn:stack:trial",
            status="CREATE_COMPLETE",
            outputs=ClusterOutputs(
                {
                    **outputs_of({}),
                    "ClusterName": TRIAL,
                    "EcsClusterName": f"{CONTROL}-{TRIAL}",
                }
            ),
            tags=tags(CONTROL, TRIAL),
        )

    def remove_trial(self) -> None:
        """Let the teardown have removed it."""
        self.stacks.stacks.pop(f"{CONTROL}-{TRIAL}", None)

    def _asked(self, question: str, cluster: Mapping[str, str]) -> bool:
        self.questions.append((question, cluster["ClusterName"]))
        return question not in self.unanswered

    def _plant(self, cluster: Mapping[str, str], **_: Any) -> dict[str, Any]:
        if not self._asked("plant markers", cluster):
            return {"wanted": 3, "problem": "no leader"}
        return {
            "wanted": 3,
            "deployed": True,
            "attempts": 3,
            "made": {str(one): str(key) for one, key in KEYS.items()},
            "found": sorted(KEYS),
            "problem": "",
        }

    def _find(self, cluster: Mapping[str, str], **given: Any) -> dict[str, Any]:
        self._asked("find markers", cluster)
        assert given["keys"] == sorted(str(one) for one in KEYS.values())
        there = [str(one) for one in self.found.values()]
        return {"wanted": given["keys"], "waiting": there, "ended": there, "problem": ""}

    def _count(self, cluster: Mapping[str, str], **given: Any) -> dict[str, Any]:
        from datetime import datetime

        self._asked("totals", cluster)
        assert given["until"] == AT
        total = self.totals[cluster["ClusterName"]]
        keys = [one.key for one in queries(datetime.fromisoformat(AT))]
        return {"counts": dict.fromkeys(keys, total), "complete": True, "problem": ""}

    def _remove(self, cluster: Mapping[str, str], **_: Any) -> dict[str, Any]:
        self._asked("remove markers", cluster)
        return {"left": self.left, "problem": ""}

    @property
    def rehearsal_validator(self) -> RehearsalValidator:
        return RehearsalValidator(
            stacks=self.stacks,
            services=self.services,
            locks=self.table,
            clock=self.clock,
            control_stack=CONTROL,
        )

    @property
    def conductor(self) -> Conductor:
        return Conductor(
            stacks=self.stacks,
            probe=lambda: self.probe,
            starter=self.children,  # type: ignore[arg-type]
            journal=self.journal,
            control_stack=CONTROL,
        )


def rehearse_functions(world: RehearsalWorld) -> dict[str, Function]:
    """The machine's functions on the world."""
    return {
        "ValidateRehearsal": load_handler(
            "validate_rehearsal", rehearsal_validator=lambda: world.rehearsal_validator
        ),
        "BeginOperation": begin_operation(world),
        "RehearseCluster": load_handler("rehearse_cluster", conductor=lambda _: world.conductor),
        "FinishOperation": load_handler("finish_operation", finisher=lambda: world.finisher),
    }
