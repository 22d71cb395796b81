"""Names that a rehearsal makes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from lifecycle.cluster.names import is_cluster_name, is_new_cluster_name
from lifecycle.cluster.trial import is_rehearsal_trial, rehearsal_trial
from lifecycle.errors import SecondApproverRequired
from lifecycle.operation.approval import OF_REHEARSAL, Reviewed
from lifecycle.operation.idempotency import canonical, digest
from lifecycle.operation.record import Execution
from lifecycle.rehearsal.conduct import Memory, Stage
from lifecycle.rehearsal.request import lock_name

from tests.support.api import ApiWorld, living
from tests.support.beginning import approver
from tests.support.rehearsal import TRIAL, RehearsalWorld
from tests.support.world import operation

if TYPE_CHECKING:
    from lifecycle.operation.model import Operation


@pytest.mark.parametrize(
    "cluster", ["ab", "demo", "a-cluster-of-nineteen"[:19], "ten-chars-x", "a--b"]
)
def test_a_trial_has_the_name_of_a_cluster_and_never_its_own(cluster: str) -> None:
    name = rehearsal_trial(cluster)
    assert is_new_cluster_name(name)
    assert is_rehearsal_trial(name)
    assert not is_rehearsal_trial(cluster)
    assert name != cluster
    assert rehearsal_trial(cluster) == name


def test_clusters_with_the_same_beginning_have_trials_of_their_own() -> None:
    assert rehearsal_trial("production-one") != rehearsal_trial("production-two")


def test_the_lock_is_no_clusters() -> None:
    assert not is_cluster_name(lock_name("control-demo").removeprefix("control-"))


def test_what_is_known_is_carried_by_the_machine() -> None:
    memory = Memory(stage=Stage.COMPARE, backup=9, problems=("one",))
    assert Memory.read(memory.as_state()) == memory
    assert Memory.read({}) == Memory()


def test_only_a_schedule_gives_its_time() -> None:
    api = ApiWorld()
    living(api)
    given = {"scheduledAt": "2026-03-07T04:00:00Z"}
    answer = api.ask("POST", "/clusters/{name}/rehearsals", given, key="k", name="demo")
    assert answer.status == 400
    assert [one["field"] for one in answer.document["errors"]] == ["scheduledAt"]
    assert api.ask("POST", "/clusters/{name}/rehearsals", {}, key="k", name="demo").status == 202


class TestReview:
    @staticmethod
    def started(world: RehearsalWorld, cluster: str, machine: str, caller: str) -> Operation:
        """An operation that a caller has started, as the starter records it."""
        arn = f"arn:execution:{cluster}:{machine}"
        one = replace(operation(cluster=cluster), machine=machine, execution_arn=arn)
        text = canonical({"clusterName": cluster, "confirm": cluster})
        at = world.clock.now()
        world.table.claim(one, caller=caller, request_hash=digest(text), now=at)
        world.executions.executions[arn] = Execution(arn, "RUNNING", at.isoformat(), input=text)
        return one

    @pytest.mark.parametrize("machine", ["restore", "teardown"])
    def test_a_rehearsal_changes_its_trial_without_a_review_and_nothing_else(
        self, machine: str
    ) -> None:
        world = RehearsalWorld()
        world.two_people_for = frozenset({"restore", "teardown"})

        def refuse(cluster: str, caller: str) -> None:
            one = self.started(world, cluster, machine, caller)
            approver(world).refuse_unreviewed(one, Reviewed(cluster, "", machine, ()))

        refuse(TRIAL, OF_REHEARSAL)
        with pytest.raises(SecondApproverRequired):
            refuse("demo", OF_REHEARSAL)
        with pytest.raises(SecondApproverRequired):
            refuse(rehearsal_trial("other"), "arn:aws:iam::123456789012:user/one")
