"""Cancel before the first change, resume after a stop: what is done and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from lifecycle import __version__
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.freeze import Freeze
from lifecycle.cluster.stack import Stack
from lifecycle.errors import OperationEnded, OperationNotResumable
from lifecycle.operation.model import FUNCTION_SECONDS, Acting
from lifecycle.operation.record import Execution, Stored

from tests.support.api import CALLER, ApiWorld
from tests.support.world import CONTROL, OUTPUTS

if TYPE_CHECKING:
    from lifecycle.operation.model import Operation

    from tests.support.api import Answer

CANCEL, RESUME = "/operations/{id}/cancel", "/operations/{id}/resume"
ECS_CLUSTER = f"{CONTROL}-demo"
BOB = "arn:aws:iam::123456789012:user/bob"
ID = "demo.scale.k"


@pytest.fixture
def api() -> ApiWorld:
    api = ApiWorld()
    api.world.stacks.stacks[ECS_CLUSTER] = Stack(
        ECS_CLUSTER,
        "arn:stack/demo",
        "CREATE_COMPLETE",
        outputs=ClusterOutputs(OUTPUTS),
        tags={"camunda:control-plane": CONTROL, "camunda:cluster": "demo"},
    )
    return api


def scaling(api: ApiWorld, key: str = "k") -> Operation:
    """A scaling that its machine has begun."""
    answer = api.ask("PUT", "/clusters/{name}/brokers", {"count": 4}, key=key, name="demo")
    assert answer.status == 202
    found: Operation = api.world.table.records["scale", f"demo.scale.{key}"]["operation"]
    api.world.journal.begin(found)
    return found


def cancel(api: ApiWorld, operation_id: str = ID, caller: str = CALLER) -> Answer:
    return api.ask("POST", CANCEL, caller=caller, id=operation_id)


def resume(api: ApiWorld, operation_id: str = ID, caller: str = CALLER) -> Answer:
    return api.ask("POST", RESUME, caller=caller, id=operation_id)


def stopped(api: ApiWorld, status: str = "ABORTED") -> Operation:
    """A scaling that was stopped after its first change, and its clean-up."""
    operation = scaling(api)
    api.world.journal.step(operation, "Tasks start", "3 → 4")
    api.finish(ID, status, error="States.Timeout" if status == "TIMED_OUT" else "")
    api.world.table.end(operation, result=status, report=Stored("key"), now=api.world.clock.now())
    return operation


class TestCancelling:
    def test_before_its_first_change_an_operation_is_stopped(self, api: ApiWorld) -> None:
        operation = scaling(api)
        api.world.journal.look(operation, "Observation", "brokers are not ready")
        answer = cancel(api, caller=BOB)
        assert (answer.status, answer.document["status"]) == (202, "ABORTED")
        assert answer.document["cancelledBy"] == BOB
        assert answer.document["changedAt"] is None
        assert answer.headers["location"] == f"/v1/operations/{ID}"
        assert answer.document["error"]["currentState"] == "Nothing in the cluster was changed."
        assert BOB in answer.document["error"]["cause"]

    def test_once_it_has_begun_to_change_something_it_goes_on(self, api: ApiWorld) -> None:
        operation = scaling(api)
        api.world.journal.look(operation, "Observation", "all is well")
        api.world.clock.pass_seconds(5)
        api.world.journal.step(operation, "Tasks start", "3 → 4")
        answer = cancel(api)
        assert (answer.status, answer.document["error"]) == (409, "OperationNotCancellable")
        assert "Tasks start" in answer.document["detail"]
        assert "Observation" not in answer.document["detail"]
        assert api.execution(ID).status == "RUNNING"

    def test_a_function_that_is_about_to_change_something_finds_it_cancelled(
        self, api: ApiWorld
    ) -> None:
        """Also where the stop itself has not come through: nothing is changed any more."""
        operation = scaling(api)
        api.world.table.cancel(operation, by=BOB, now=api.world.clock.now())
        with pytest.raises(OperationEnded, match="cancelled before its first change"):
            api.world.journal.step(operation, "Tasks start", "3 → 4")
        assert api.world.table.record(operation)["step"] is None

    def test_what_has_not_recorded_its_beginning_is_not_known(self, api: ApiWorld) -> None:
        """As of an execution of an earlier version, whose functions mark no change."""
        api.ask("PUT", "/clusters/{name}/brokers", {"count": 4}, key="k", name="demo")
        answer = cancel(api)
        assert (answer.status, answer.document["error"]) == (409, "OperationNotCancellable")
        assert "not known" in answer.document["detail"]
        assert api.execution(ID).status == "RUNNING"

    def test_once_more_is_the_same(self, api: ApiWorld) -> None:
        scaling(api)
        cancel(api, caller=BOB)
        answer = cancel(api)
        assert (answer.status, answer.document["cancelledBy"]) == (202, BOB)

    @pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"])
    def test_what_has_ended_is_refused(self, api: ApiWorld, status: str) -> None:
        scaling(api)
        api.finish(ID, status)
        answer = cancel(api)
        assert (answer.status, answer.document["error"]) == (409, "OperationNotCancellable")
        assert status in answer.document["detail"]

    def test_a_plan_has_nothing_to_cancel(self, api: ApiWorld) -> None:
        api.ask("POST", "/clusters/{name}/plans", {"scale": {"count": 4}}, key="p", name="demo")
        answer = cancel(api, "demo.plan.p")
        assert (answer.status, answer.document["error"]) == (409, "OperationNotCancellable")
        assert api.execution("demo.plan.p").status == "RUNNING"

    def test_an_execution_of_another_machine_under_that_name_is_refused(
        self, api: ApiWorld
    ) -> None:
        """The right to cancel scalings rests on the name in the path."""
        operation = scaling(api)
        record = api.world.table.records.pop(("scale", ID))
        other = replace(operation, machine="teardown")
        api.world.table.records["teardown", ID] = {**record, "operation": other}
        answer = cancel(api)
        assert (answer.status, answer.document["error"]) == (409, "OperationNotCancellable")
        assert "Step Functions" in answer.document["nextStep"]

    def test_an_unknown_operation_is_404(self, api: ApiWorld) -> None:
        assert cancel(api).status == 404
        assert resume(api).status == 404

    def test_a_body_is_refused(self, api: ApiWorld) -> None:
        scaling(api)
        answer = api.ask("POST", CANCEL, {"force": True}, id=ID)
        assert (answer.status, answer.document["errors"][0]["field"]) == (400, "(body)")
        assert api.execution(ID).status == "RUNNING"


class TestResuming:
    @pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT", "FAILED"])
    def test_an_operation_goes_on_with_the_lock_in_its_name(
        self, api: ApiWorld, status: str
    ) -> None:
        operation = stopped(api, status)
        assert api.world.table.locks == {}
        answer = resume(api, caller=BOB)
        assert (answer.status, answer.document["status"]) == (202, "RUNNING")
        assert (answer.document["resumedBy"], answer.document["startedBy"]) == (BOB, CALLER)
        assert (answer.document["endedAt"], answer.document["error"]) == (None, None)
        assert answer.headers["retry-after"] == "5"
        assert api.world.table.locks[ECS_CLUSTER].owner == operation.execution_arn
        assert api.world.executions.redriven == [operation.execution_arn]

    @pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED"])
    def test_what_runs_or_has_succeeded_is_refused(self, api: ApiWorld, status: str) -> None:
        scaling(api)
        if status == "SUCCEEDED":
            api.finish(ID)
        answer = resume(api)
        assert (answer.status, answer.document["error"]) == (409, "OperationNotResumable")

    def test_what_was_cancelled_stays_cancelled(self, api: ApiWorld) -> None:
        operation = scaling(api)
        cancel(api)
        api.world.table.end(
            operation, result="ABORTED", report=Stored("key"), now=api.world.clock.now()
        )
        answer = resume(api)
        assert (answer.status, answer.document["error"]) == (409, "OperationNotResumable")

    def test_an_execution_that_came_to_its_fail_state_would_only_fail_again(
        self, api: ApiWorld
    ) -> None:
        operation = stopped(api, "FAILED")
        api.world.executions.in_fail_state.add(operation.execution_arn)
        answer = resume(api)
        assert (answer.status, answer.document["error"]) == (409, "OperationNotResumable")
        assert "new Idempotency-Key" in answer.document["nextStep"]
        assert api.world.table.locks == {}

    def test_an_end_that_is_not_recorded_yet_is_waited_for(self, api: ApiWorld) -> None:
        scaling(api)
        api.finish(ID, "ABORTED")
        answer = resume(api)
        assert (answer.status, answer.document["error"]) == (409, "OperationNotResumable")
        assert api.world.executions.redriven == []

    def test_a_function_that_may_still_run_is_waited_for(self, api: ApiWorld) -> None:
        operation = stopped(api)
        now = int(api.world.clock.now().timestamp())
        api.world.journal.reserve(operation)
        lock = api.world.table.locks[ECS_CLUSTER]
        acting = frozenset({Acting("one", now + FUNCTION_SECONDS)})
        api.world.table.locks[ECS_CLUSTER] = replace(lock, acting=acting)
        answer = resume(api)
        assert (answer.status, answer.document["error"]) == (409, "ClusterBusy")
        assert answer.headers["retry-after"] == str(FUNCTION_SECONDS)
        api.world.clock.pass_seconds(FUNCTION_SECONDS)
        assert resume(api).status == 202

    def test_another_operation_that_runs_is_named(self, api: ApiWorld) -> None:
        stopped(api)
        api.world.clock.pass_seconds(60)
        scaling(api, "other")
        answer = resume(api)
        assert (answer.status, answer.document["operationId"]) == (409, "demo.scale.other")

    def test_one_that_was_superseded_is_refused_and_leaves_no_lock(self, api: ApiWorld) -> None:
        stopped(api)
        api.world.clock.pass_seconds(60)
        scaling(api, "other")
        api.finish("demo.scale.other")
        answer = resume(api)
        assert (answer.status, answer.document["error"]) == (409, "OperationNotResumable")
        assert "demo.scale.other" in answer.document["detail"]
        assert api.world.table.locks == {}

    def test_a_plan_that_was_made_since_supersedes_nothing(self, api: ApiWorld) -> None:
        stopped(api)
        api.world.clock.pass_seconds(60)
        api.ask("POST", "/clusters/{name}/plans", {"scale": {"count": 4}}, key="p", name="demo")
        assert resume(api).status == 202

    def test_a_frozen_cluster_is_refused(self, api: ApiWorld) -> None:
        stopped(api)
        api.world.table.freeze(ECS_CLUSTER, Freeze("audit", "2026-01-01T00:00:00Z", BOB))
        answer = resume(api)
        assert (answer.status, answer.document["error"]) == (409, "ClusterFrozen")
        assert api.world.table.locks == {}

    def test_a_cluster_frozen_by_its_tag_is_refused(self, api: ApiWorld) -> None:
        stopped(api)
        stack = api.world.stacks.stacks[ECS_CLUSTER]
        api.world.stacks.stacks[ECS_CLUSTER] = replace(
            stack, tags={**stack.tags, "camunda:frozen": "audit"}
        )
        assert resume(api).document["error"] == "ClusterFrozen"

    def test_under_the_rule_of_two_the_author_of_the_plan_may_not_resume(
        self, api: ApiWorld
    ) -> None:
        ann, bob, eve = (f"arn:aws:iam::123456789012:user/{n}" for n in ("ann", "bob", "eve"))
        api.world.two_people_for = frozenset({"scale"})
        api.ask(
            "POST",
            "/clusters/{name}/plans",
            {"scale": {"count": 4}},
            key="p",
            name="demo",
            caller=ann,
        )
        api.finish("demo.plan.p")
        answer = api.ask(
            "PUT",
            "/clusters/{name}/brokers",
            {"count": 4, "approves": "demo.plan.p"},
            key="k",
            name="demo",
            caller=bob,
        )
        assert answer.status == 202
        operation: Operation = api.world.table.records["scale", ID]["operation"]
        api.world.journal.begin(operation)
        api.finish(ID, "ABORTED")
        api.world.table.end(
            operation, result="ABORTED", report=Stored("key"), now=api.world.clock.now()
        )
        answer = resume(api, caller=ann)
        assert (answer.status, answer.document["error"]) == (403, "SecondApproverRequired")
        assert resume(api, caller=eve).status == 202

    def test_under_the_rule_of_two_a_provisioning_in_one_step_is_not_resumed(
        self, api: ApiWorld
    ) -> None:
        api.provision(key="k")
        operation: Operation = api.world.table.records["provision", "demo.provision.k"]["operation"]
        api.world.journal.begin(operation)
        api.finish("demo.provision.k", "ABORTED")
        api.world.table.end(
            operation, result="ABORTED", report=Stored("key"), now=api.world.clock.now()
        )
        api.world.two_people_for = frozenset({"provision"})
        answer = resume(api, "demo.provision.k")
        assert (answer.status, answer.document["error"]) == (403, "SecondApproverRequired")

    def test_two_requests_at_once_leave_the_lock_with_what_runs(self, api: ApiWorld) -> None:
        operation = stopped(api)

        class Faster:
            """Another request redrives it just before this one."""

            def __init__(self, own: object) -> None:
                self.own = own

            def __getattr__(self, name: str) -> object:
                return getattr(self.own, name)

            def redrive(self, arn: str) -> None:
                api.world.executions.redrive(arn)
                raise OperationNotResumable("Step Functions does not redrive it: RUNNING")

            def describe(self, arn: str) -> Execution | None:
                """What Step Functions returns is eventually consistent."""
                found = api.world.executions.describe(arn)
                return replace(found, status="ABORTED") if found is not None else None

        api.between = Faster
        api.world.journal.reserve(operation)
        assert resume(api).status == 409
        assert api.world.table.locks[ECS_CLUSTER].owner == operation.execution_arn

    def test_what_is_read_from_before_the_redrive_is_not_answered(self, api: ApiWorld) -> None:
        stopped(api)

        class Behind:
            """Descriptions are from before the redrive."""

            def __init__(self, own: object) -> None:
                self.own = own

            def __getattr__(self, name: str) -> object:
                return getattr(self.own, name)

            def describe(self, arn: str) -> Execution | None:
                found = api.world.executions.describe(arn)
                return replace(found, status="ABORTED") if found is not None else None

        api.between = Behind
        answer = resume(api)
        assert (answer.status, answer.document["status"]) == (202, "RUNNING")
        assert "retry-after" in answer.headers

    def test_one_that_ended_later_has_changed_the_cluster_since(self, api: ApiWorld) -> None:
        """Although it was claimed earlier: its start had no answer then."""
        earlier = scaling(api, "earlier")
        api.world.table.release(ECS_CLUSTER, earlier.execution_arn)
        api.finish("demo.scale.earlier", "ABORTED")
        stopped(api)
        later = api.world.clock.now() + timedelta(hours=1)
        api.world.table.end(earlier, result="SUCCEEDED", report=Stored("key"), now=later)
        api.world.table.release(ECS_CLUSTER, api.execution(ID).arn)
        answer = resume(api)
        assert (answer.status, answer.document["error"]) == (409, "OperationNotResumable")
        assert "demo.scale.earlier" in answer.document["detail"]

    def test_after_fourteen_days_step_functions_refuses(self, api: ApiWorld) -> None:
        operation = stopped(api)
        api.world.executions.too_old.add(operation.execution_arn)
        answer = resume(api)
        assert (answer.status, answer.document["error"]) == (409, "OperationNotResumable")
        assert api.world.table.locks == {}
        record = api.world.table.find(ID, "scale")
        assert record is not None
        assert (record.result, record.resumed_by) == ("ABORTED", "")

    def test_its_new_end_is_not_wiped_by_the_note_of_the_resumption(self, api: ApiWorld) -> None:
        operation = stopped(api)
        before = api.world.table.find(ID, "scale")
        assert before is not None
        later = api.world.clock.now() + timedelta(seconds=9)
        api.world.table.end(operation, result="FAILED", report=Stored("key"), now=later)
        api.world.table.resume(before, by=BOB, now=later)
        after = api.world.table.find(ID, "scale")
        assert after is not None
        assert (after.result, after.resumed_by) == ("FAILED", BOB)


def test_every_answer_names_the_release(api: ApiWorld) -> None:
    for answer in (api.ask("GET", "/clusters"), api.ask("GET", "/operations/{id}", id="x")):
        assert answer.headers["x-camunda-ecs-version"] == __version__


def test_a_running_operation_says_when_to_look_again(api: ApiWorld) -> None:
    scaling(api)
    assert api.ask("GET", "/operations/{id}", id=ID).headers["retry-after"] == "5"
    api.finish(ID)
    assert "retry-after" not in api.ask("GET", "/operations/{id}", id=ID).headers
