"""The same cases for DynamoDB and Step Functions (in moto) and for their fakes in memory."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from lifecycle.adapters.aws import session as aws
from lifecycle.adapters.aws.dynamodb import DynamoTable
from lifecycle.adapters.aws.slots import DynamoSlots
from lifecycle.adapters.aws.stepfunctions import StepFunctionsExecutions
from lifecycle.cluster.freeze import Freeze
from lifecycle.errors import AwsRefused, MachineNotDeployed, StartOutcomeUnknown
from lifecycle.operation.cursor import Cursor
from lifecycle.operation.model import Acting, Lock, Operation
from lifecycle.operation.record import LONGEST_WAIT, MOST_WAITS, Stored
from lifecycle.operation.rehearsal_note import RehearsalNote, note_of
from lifecycle.operation.scaling_note import ScalingNote
from lifecycle.times import written
from moto import mock_aws

from tests.fakes.dynamodb import FakeTable
from tests.fakes.slots import FakeSlots
from tests.fakes.stepfunctions import FakeExecutions
from tools.generate_parameters import ROOT, load_template

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-central-1"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MACHINE = f"arn:aws:states:{REGION}:123456789012:stateMachine:control-scale"
MISSING = f"arn:aws:states:{REGION}:123456789012:stateMachine:control-none"
# As the console names an execution.
UNNAMED = "18cd9a2d-c73e-4410-89aa-e009a154075a"
EXECUTION = f"{MACHINE.replace(':stateMachine:', ':execution:')}:demo.scale.k"


def op(key: str, minutes: int = 0, cluster: str = "demo") -> Operation:
    name = f"{cluster}.scale.{key}"
    at = (NOW + timedelta(minutes=minutes)).isoformat(timespec="milliseconds")
    return Operation(name, f"arn:e:{name}", cluster, "scale", at, f"control-{cluster}")


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in (
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ):
        monkeypatch.setenv(name, value)
    with mock_aws():
        aws.client.cache_clear()
        yield
    aws.client.cache_clear()


@pytest.fixture(params=["memory", "dynamodb"])
def table(request: pytest.FixtureRequest) -> Any:
    if request.param == "memory":
        return FakeTable()
    request.getfixturevalue("cloud")
    declared = load_template(ROOT / "template.yaml")["Resources"]["Table"]["Properties"]
    kept = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    boto3.client("dynamodb").create_table(
        TableName="table", **{name: declared[name] for name in kept}
    )
    return DynamoTable("table")


@pytest.fixture(params=["memory", "dynamodb"])
def slots(request: pytest.FixtureRequest) -> Any:
    if request.param == "memory":
        return FakeSlots()
    request.getfixturevalue("cloud")
    boto3.client("dynamodb").create_table(
        TableName="table",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    return DynamoSlots("table", "CHECK")


@pytest.fixture(params=["memory", "stepfunctions"])
def executions(request: pytest.FixtureRequest) -> Any:
    if request.param == "memory":
        return FakeExecutions(machines={MACHINE})
    request.getfixturevalue("cloud")
    boto3.client("stepfunctions").create_state_machine(
        name="control-scale", definition="{}", roleArn="arn:aws:iam::123456789012:role/machine"
    )
    return StepFunctionsExecutions()


class TestFreezes:
    def test_the_first_freeze_stands_until_it_is_lifted(self, table: Any) -> None:
        first, second = Freeze("audit", "t1", "arn:ann"), Freeze("upgrade", "t2", "arn:bob")
        assert table.frozen("control-demo") is None
        assert table.freeze("control-demo", first) == first
        assert table.freeze("control-demo", second) == first
        assert table.frozen("control-demo") == first
        assert table.frozen("control-other") is None
        for _ in range(2):
            table.thaw("control-demo")
            assert table.frozen("control-demo") is None
        assert table.freeze("control-demo", second) == second


class TestRecords:
    def test_the_first_claim_is_written_and_any_other_gets_it(self, table: Any) -> None:
        assert table.claim(op("k"), caller="ada", request_hash="h1", now=NOW) is None
        there = table.claim(op("k"), caller="bob", request_hash="h2", now=NOW)
        assert (there.caller, there.request_hash) == ("ada", "h1")
        assert table.find("demo.scale.k", "scale") == there

    def test_the_machine_begins_and_goes_on_in_the_callers_record(self, table: Any) -> None:
        table.claim(op("k"), caller="ada", request_hash="h1", now=NOW)
        table.begin(dataclasses.replace(op("k"), started_at="later"), now=NOW)
        table.progress(op("k"), step="One", detail="a", now=NOW)
        table.progress(op("k"), step="One", detail="b", now=NOW)
        table.progress(op("k"), step="Two", detail="c", now=NOW)
        table.end(op("k"), result="SUCCEEDED", report=Stored("key", "v1", "abc"), now=NOW)
        found = table.find("demo.scale.k", "scale")
        assert (found.caller, found.started_at) == ("ada", op("k").started_at)
        assert [entry["step"] for entry in found.timeline] == ["One", "Two"]
        assert (found.step, found.detail) == ("Two", "c")
        assert (found.result, found.report) == ("SUCCEEDED", Stored("key", "v1", "abc"))
        table.progress(op("k"), step="Three", detail="redriven", now=NOW)
        assert table.find("demo.scale.k", "scale").report == Stored("")

    def test_what_steps_wait_for_is_kept_once_and_in_order(self, table: Any) -> None:
        table.begin(op("k"), now=NOW)
        at = NOW
        for step, detail in (("One", "a"), ("One", "a"), ("One", "b"), ("Two", "b"), ("One", "b")):
            table.progress(op("k"), step=step, detail=detail, now=at)
            at += timedelta(seconds=1)
        found = table.find("demo.scale.k", "scale")
        assert [(one["step"], one["detail"]) for one in found.waits] == [
            ("One", "a"),
            ("One", "b"),
            ("Two", "b"),
            ("One", "b"),
        ]
        assert [one["at"] for one in found.waits] == [
            written(NOW + timedelta(seconds=n)) for n in (0, 2, 3, 4)
        ]
        assert [entry["step"] for entry in found.timeline] == ["One", "Two", "One"]
        assert set(found.timeline[0]) == {"step", "at"}

    def test_of_very_many_waits_the_first_are_kept_and_steps_go_on(self, table: Any) -> None:
        table.begin(op("k"), now=NOW)
        for n in range(MOST_WAITS + 5):
            table.progress(op("k"), step="One", detail=f"{n} " + "x" * 999, now=NOW)
        table.progress(op("k"), step="Two", detail="last", now=NOW)
        found = table.find("demo.scale.k", "scale")
        assert len(found.waits) == MOST_WAITS
        assert {len(one["detail"]) for one in found.waits} == {LONGEST_WAIT}
        assert [entry["step"] for entry in found.timeline] == ["One", "Two"]
        assert (found.step, found.detail) == ("Two", "last")

    def test_what_was_seen_of_brokers_is_kept_by_stage(self, table: Any) -> None:
        assert table.topologies(op("k")) == {}
        first, second = [{"broker": 0, "partitions": {}}], [{"broker": 1, "partitions": {}}]
        for brokers in (first, second):
            table.note_topology(op("k"), "before", brokers, now=NOW, keep=True)
            table.note_topology(op("k"), "after", brokers, now=NOW, keep=False)
        assert table.topologies(op("k")) == {
            "before": {"at": written(NOW), "brokers": first},
            "after": {"at": written(NOW), "brokers": second},
        }
        assert table.topologies(op("other")) == {}
        # It is no operation: the list of a cluster's operations has none of it.
        assert list(table.of_cluster("demo", 10)) == []

    def test_pages_of_one_cluster_and_of_all_go_on_after_the_last(self, table: Any) -> None:
        for minutes, (key, cluster) in enumerate([("a", "demo"), ("b", "other"), ("c", "demo")]):
            table.begin(op(key, minutes, cluster), now=NOW)
        table.take(Lock("control-demo", "arn:me", "id", 1))

        def walk(cluster: str) -> list[list[str]]:
            pages, after = [], None
            while True:
                found, more = table.page(cluster, 1, after)
                pages += [[one.operation_id for one in found]] if found else []
                if not more:
                    return pages
                last = found[-1]
                after = Cursor(last.started_at, last.cluster, last.machine, last.operation_id)

        assert walk("") == [["demo.scale.c"], ["other.scale.b"], ["demo.scale.a"]]
        assert walk("demo") == [["demo.scale.c"], ["demo.scale.a"]]
        assert walk("none") == []

    def test_a_change_and_a_cancellation_exclude_each_other(self, table: Any) -> None:
        first, second = op("first"), op("second")
        for one in (first, second):
            table.begin(one, now=NOW)
            table.watch_changes(one)
        later = NOW + timedelta(seconds=5)
        assert table.begin_change(first, now=NOW)
        assert table.begin_change(first, now=later)
        kept = table.cancel(first, by="ada", now=later)
        assert (kept.changed_at, kept.cancelled_at) == ("2026-01-01T00:00:00.000Z", "")
        cancelled = table.cancel(second, by="ada", now=NOW)
        assert (cancelled.cancelled_by, cancelled.changed_at) == ("ada", "")
        again = table.cancel(second, by="bob", now=later)
        assert (again.cancelled_by, again.cancelled_at) == ("ada", "2026-01-01T00:00:00.000Z")
        assert not table.begin_change(second, now=later)
        assert table.find("demo.scale.second", "scale").changed_at == ""

    def test_what_marks_no_changes_or_has_ended_is_not_cancelled(self, table: Any) -> None:
        silent, ended = op("silent"), op("ended")
        table.begin(silent, now=NOW)
        assert table.cancel(silent, by="ada", now=NOW).cancelled_at == ""
        assert table.cancel(op("none"), by="ada", now=NOW) is None
        table.begin(ended, now=NOW)
        table.watch_changes(ended)
        table.end(ended, result="FAILED", report=Stored("key"), now=NOW)
        assert table.cancel(ended, by="ada", now=NOW).cancelled_at == ""

    def test_what_goes_on_after_its_end_has_none_unless_it_ended_again(self, table: Any) -> None:
        table.begin(op("k"), now=NOW)
        table.end(op("k"), result="ABORTED", report=Stored("key"), now=NOW)
        before = table.find("demo.scale.k", "scale")
        table.resume(before, by="ada", now=NOW)
        resumed = table.find("demo.scale.k", "scale")
        assert (resumed.result, resumed.ended_at, resumed.resumed_by) == ("", "", "ada")
        table.end(op("k"), result="FAILED", report=Stored("key"), now=NOW + timedelta(seconds=9))
        table.resume(before, by="bob", now=NOW)
        found = table.find("demo.scale.k", "scale")
        assert (found.result, found.resumed_by) == ("FAILED", "bob"), "who let it go on is noted"

    def test_a_record_without_a_caller_has_none(self, table: Any) -> None:
        table.begin(op("k"), now=NOW)
        found = table.find("demo.scale.k", "scale")
        assert (found.caller, found.request_hash, found.result) == ("", "", "")

    def test_only_the_request_that_wrote_it_withdraws_it(self, table: Any) -> None:
        table.claim(op("k"), caller="ada", request_hash="h1", now=NOW)
        table.withdraw(op("k"), "h2")
        table.withdraw(op("other"), "h1")
        assert table.find("demo.scale.k", "scale") is not None
        table.withdraw(op("k"), "h1")
        assert table.find("demo.scale.k", "scale") is None

    def test_a_plans_record_is_found_whatever_its_execution_is_called(self, table: Any) -> None:
        plan = dataclasses.replace(op("k"), operation_id=UNNAMED, machine="plan")
        assert table.claim(plan, caller="ada", request_hash="h1", now=NOW) is None
        table.begin(plan, now=NOW)
        table.end(plan, result="SUCCEEDED", report=Stored("key", "v1", "abc"), now=NOW)
        found = table.find(UNNAMED, "plan")
        assert (found.machine, found.caller, found.result) == ("plan", "ada", "SUCCEEDED")
        assert table.find(UNNAMED, "scale") is None
        assert [record.operation_id for record in table.of_cluster("demo", 2)] == [UNNAMED]
        table.withdraw(plan, "h1")
        assert table.find(UNNAMED, "plan") is None

    def test_executions_of_one_name_have_a_record_on_each_machine(self, table: Any) -> None:
        machines = (
            "provision",
            "scale",
            "restart",
            "rotate",
            "manage",
            "backup",
            "restore",
            "teardown",
            "plan",
        )
        for machine in machines:
            one = dataclasses.replace(op("k"), operation_id=UNNAMED, machine=machine)
            table.begin(one, now=NOW)
            table.progress(one, step=f"step of {machine}", detail="", now=NOW)
            table.end(one, result="SUCCEEDED", report=Stored(machine), now=NOW)
        for machine in machines:
            found = table.find(UNNAMED, machine)
            assert (found.step, found.report.key) == (f"step of {machine}", machine)

    def test_an_operation_that_never_began_has_its_end_and_is_listed(self, table: Any) -> None:
        refused = op("k")
        table.end(refused, result="FAILED", report=Stored("key", "v1", "abc"), now=NOW)
        found = table.find(refused.operation_id, refused.machine)
        assert (found.execution_arn, found.result) == (refused.execution_arn, "FAILED")
        assert found.ended_at.endswith("00.000Z")
        assert table.of_cluster("demo", 2) == [found]
        table.progress(refused, step="a step", detail="", now=NOW)
        assert [entry["step"] for entry in table.timeline(refused)] == ["a step"]

    def test_a_clusters_records_come_newest_first_and_without_its_lock(self, table: Any) -> None:
        for minutes, key in enumerate(("a", "b", "c")):
            table.begin(op(key, minutes), now=NOW)
        table.begin(op("d", 9, cluster="other"), now=NOW)
        table.take(Lock("demo", "arn:e", "demo.scale.a", 1))
        found = table.of_cluster("demo", 2)
        assert [record.operation_id for record in found] == ["demo.scale.c", "demo.scale.b"]
        assert table.of_cluster("none", 2) == []


class TestExecutions:
    def test_a_start_runs_with_its_input(self, executions: Any) -> None:
        assert executions.start(MACHINE, "demo.scale.k", '{"count":4}')
        found = executions.describe(EXECUTION)
        assert (found.arn, found.status, found.input) == (EXECUTION, "RUNNING", '{"count":4}')
        assert executions.is_running(EXECUTION)

    def test_the_same_start_again_is_no_error(self, executions: Any) -> None:
        executions.start(MACHINE, "demo.scale.k", '{"count":4}')
        assert executions.start(MACHINE, "demo.scale.k", '{"count":4}')

    def test_a_name_with_another_input_is_taken(self, executions: Any) -> None:
        executions.start(MACHINE, "demo.scale.k", '{"count":4}')
        assert not executions.start(MACHINE, "demo.scale.k", '{"count":5}')

    def test_what_does_not_exist_is_none(self, executions: Any) -> None:
        assert executions.describe(EXECUTION) is None
        assert not executions.is_running(EXECUTION)

    def test_what_is_not_seen_yet_has_not_ended(self, executions: Any) -> None:
        assert not executions.has_ended(EXECUTION)
        executions.start(MACHINE, "demo.scale.k", "{}")
        assert not executions.has_ended(EXECUTION)

    def test_a_machine_that_is_not_there_is_told(self, executions: Any) -> None:
        with pytest.raises(MachineNotDeployed):
            executions.start(MISSING, "demo.none.k", "{}")


class TestLocks:
    def test_a_lock_is_read_as_it_was_taken(self, table: Any) -> None:
        lock = Lock("demo", "arn:e", "demo.scale.a", 1000, 100)
        assert table.held("demo") is None
        assert table.take(lock) is None
        assert table.held("demo") == lock
        renewed = dataclasses.replace(lock, expires_at=1100, renewed_at=200)
        assert table.take(renewed) is None
        foreign = Lock("demo", "arn:f", "demo.scale.b", 2000, 300)
        assert table.take(foreign) == renewed
        assert table.take(foreign, instead_of=lock) == renewed
        assert table.take(foreign, instead_of=renewed) is None
        assert table.held("demo") == foreign
        table.shorten(renewed, 500)
        assert table.held("demo") == foreign, "not the one that was read"
        table.shorten(foreign, 500)
        assert table.held("demo") == dataclasses.replace(foreign, expires_at=500)
        table.release("demo", "arn:f")
        table.shorten(foreign, 400)
        assert table.held("demo") is None

    def test_functions_that_act_are_noted_side_by_side_until_each_returned(
        self, table: Any
    ) -> None:
        first, second = Acting("one", 150), Acting("two", 160)
        lock = Lock("demo", "arn:e", "demo.scale.a", 1000, 100, frozenset({first}))
        assert table.take(lock) is None
        again = dataclasses.replace(lock, acting=frozenset({second}))
        assert table.take(again) is None
        both = dataclasses.replace(lock, acting=frozenset({first, second}))
        assert table.held("demo") == both
        table.settle("demo", "arn:f", first)
        assert table.held("demo") == both, "another owner's"
        table.settle("demo", "arn:e", first)
        table.settle("demo", "arn:e", first)
        assert table.held("demo") == again
        table.settle("demo", "arn:e", second)
        assert table.held("demo") == dataclasses.replace(lock, acting=frozenset())

    def test_a_lock_is_taken_over_or_freed_only_with_the_functions_that_were_read(
        self, table: Any
    ) -> None:
        idle = Lock("demo", "arn:e", "demo.scale.a", 1000, 100)
        acts = dataclasses.replace(idle, acting=frozenset({Acting("one", 150)}))
        foreign = Lock("demo", "arn:f", "demo.scale.b", 2000, 300, frozenset({Acting("x", 310)}))
        table.take(acts)
        assert table.take(foreign, instead_of=idle) == acts, "a function began to act"
        table.free(idle)
        assert table.held("demo") == acts
        assert table.take(foreign, instead_of=acts) is None
        assert table.held("demo") == foreign
        table.settle("demo", "arn:f", Acting("x", 310))
        table.free(foreign)
        assert table.held("demo") is not None, "a function has returned since"
        table.free(dataclasses.replace(foreign, acting=frozenset()))
        assert table.held("demo") is None

    def test_what_a_scaling_leaves_is_read_as_it_was_noted(self, table: Any) -> None:
        assert table.scaling("demo") is None
        note = ScalingNote("demo.scale.a", 3, NOW, NOW, frozenset({"t1", "t2"}))
        table.note_scaling("demo", note)
        assert table.scaling("demo") == note
        later = dataclasses.replace(note, stays=frozenset({"t3"}), takes_away=False)
        table.note_scaling("demo", later.after(table.scaling("demo")))
        found = table.scaling("demo")
        assert (found.stays, found.takes_away) == (frozenset({"t1", "t2", "t3"}), True)
        assert later.after(dataclasses.replace(note, operation_id="demo.scale.b")) == later

    def test_what_a_rehearsal_leaves_is_read_as_it_was_noted(self, table: Any) -> None:
        assert table.rehearsal("demo") is None
        ended = {
            "result": "SUCCEEDED",
            "rehearsal": {"result": "WARN", "recoverySeconds": 720, "copied": {"bytes": 9}},
        }
        note = note_of(ended, "demo.rehearse.a", NOW)
        assert note is not None
        table.note_rehearsal("demo", note)
        assert table.rehearsal("demo") == note
        assert table.rehearsal("other") is None
        later = RehearsalNote("demo.rehearse.b", NOW + timedelta(days=1), "FAIL", "markers")
        table.note_rehearsal("demo", later.after(note))
        found = table.rehearsal("demo")
        assert (found.result, found.failure, found.measured) == ("FAIL", "markers", note.measured)
        # A teardown leaves it: how long a restore takes is wanted most afterwards.
        table.forget("demo")
        assert table.rehearsal("demo") == found
        assert note.after(found) is None, "one that is older replaces nothing"


class TestUncertainty:
    """Which answers of AWS leave it open whether something was started."""

    @pytest.mark.parametrize(
        ("error", "raised"),
        [
            ("AccessDeniedException", AwsRefused),
            ("InvalidExecutionInput", AwsRefused),
            ("ExecutionLimitExceeded", AwsRefused),
            ("ThrottlingException", StartOutcomeUnknown),
            ("InternalServerError", StartOutcomeUnknown),
            ("SomethingNew", StartOutcomeUnknown),
            (ReadTimeoutError(endpoint_url="https://states"), StartOutcomeUnknown),
        ],
    )
    def test_only_a_definite_refusal_is_one(
        self,
        cloud: None,
        monkeypatch: pytest.MonkeyPatch,
        error: str | Exception,
        raised: type[Exception],
    ) -> None:
        del cloud
        failure = (
            ClientError({"Error": {"Code": error, "Message": "no"}}, "StartExecution")
            if isinstance(error, str)
            else error
        )

        def fail(**_: object) -> object:
            raise failure

        monkeypatch.setattr(aws.client("stepfunctions"), "start_execution", fail)
        with pytest.raises(raised):
            StepFunctionsExecutions().start(MACHINE, "demo.scale.k", "{}")


class TestSlots:
    def test_a_slot_has_one_holder_until_it_is_given_back_or_expires(self, slots: Any) -> None:
        assert slots.take(0, "a", now=100, until=130)
        assert not slots.take(0, "b", now=129, until=159)
        assert slots.take(1, "b", now=129, until=159), "another slot"
        assert slots.take(0, "c", now=130, until=160), "it has expired"
        slots.give_back(0, "a")
        assert not slots.take(0, "d", now=131, until=161), "the former holder frees nothing"
        slots.give_back(0, "c")
        slots.give_back(0, "c")
        assert slots.take(0, "d", now=131, until=161)
