"""What an operation leaves behind however it ends: lock, record, report, events."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from jsonschema import Draft202012Validator, FormatChecker
from lifecycle.adapters.aws.eventbridge import EventBridgeEvents
from lifecycle.cluster.stack import Stack
from lifecycle.errors import AwsUnavailable
from lifecycle.operation import events
from lifecycle.operation.model import FUNCTION_SECONDS, Operation
from lifecycle.operation.record import Stored
from moto.events.models import EventPattern

from tests.support.world import OUTPUTS, World, also_acts, operation
from tools.generate_parameters import ROOT, load_template

SCHEMA = json.loads((ROOT / "docs" / "events.schema.json").read_text())
RECORDED = Path(__file__).parents[1] / "fixtures" / "executions"
KINDS = ("failed", "timed_out", "aborted")
CALLER = "arn:aws:sts::123456789012:assumed-role/operators/jane"
OPERATION = Operation(
    operation_id="demo.provision.1",
    execution_arn="arn:aws:states:eu-central-1:123456789012:execution:control-provision:demo.provision.1",
    cluster="demo",
    machine="provision",
    started_at="2026-01-01T00:00:00.000Z",
    ecs_cluster="control-demo",
)


def recorded(kind: str) -> Any:
    """Event of AWS's rule on execution status, in the shape of its documentation."""
    return json.loads((RECORDED / f"{kind}.json").read_text())


def document(event: events.Event) -> dict[str, Any]:
    """Event as a rule's target receives it, as far as we decide."""
    return {
        "source": events.SOURCE,
        "detail-type": event.detail_type,
        "resources": list(event.resources),
        "detail": json.loads(json.dumps(event.detail)),
    }


def validate(event: events.Event) -> None:
    Draft202012Validator(SCHEMA, format_checker=FormatChecker()).validate(document(event))


@pytest.fixture
def world() -> World:
    return World()


def begin(world: World, op: Operation = OPERATION) -> None:
    world.journal.begin(op)
    world.announcer.started(op)
    world.journal.step(op, "CloudFormation builds the infrastructure", "")


REST = ("demo", "scale", "2026-01-01T00:00:00Z", "control-demo")


def has_ended(world: World, op: Operation = OPERATION) -> None:
    """Let an operation begin, and its execution end while a function of it acts."""
    begin(world, op)
    also_acts(world, op)
    world.executions.ended.add(op.execution_arn)


class TestEvents:
    def test_an_operation_tells_its_start_and_its_end(self, world: World) -> None:
        begin(world)
        world.clock.pass_seconds(60)
        report = world.finisher.succeed(OPERATION, request={}, outcome={"outputs": {}})
        started, ended = world.events.sent
        assert started.detail_type == "Lifecycle Operation Started"
        assert ended.detail["result"] == "SUCCEEDED"
        assert ended.detail["error"] is None
        assert ended.detail["reportKey"] == report["reportKey"]
        assert ended.detail["endedAt"] == "2026-01-01T00:01:00.000Z"
        assert ended.resources == (OPERATION.execution_arn,)
        validate(started)
        validate(ended)

    def test_a_failure_tells_its_name_and_none_of_its_words(self, world: World) -> None:
        begin(world)
        error = {"Error": "StackFailed", "Cause": "password=hunter2"}
        world.finisher.fail(OPERATION, request={}, error=error, outcome={})
        ended = world.events.sent[-1]
        assert (ended.detail["result"], ended.detail["error"]) == ("FAILED", "StackFailed")
        assert "hunter2" not in json.dumps(ended.detail)
        validate(ended)

    def test_an_operation_that_ends_in_the_second_it_began_in_has_not_ended_before(
        self, world: World
    ) -> None:
        late = replace(OPERATION, started_at="2026-01-01T00:00:00.400Z")
        world.clock.pass_seconds(0.5)
        begin(world, late)
        world.finisher.succeed(late, request={}, outcome={})
        _, ended = world.events.sent
        times = [str(ended.detail[name]) for name in ("startedAt", "endedAt")]
        assert times == ["2026-01-01T00:00:00.400Z", "2026-01-01T00:00:00.500Z"]

    def test_executions_of_one_name_on_two_machines_keep_their_reports(self, world: World) -> None:
        scale = replace(OPERATION, machine="scale", execution_arn=OPERATION.execution_arn + ":s")
        for one in (OPERATION, scale):
            begin(world, one)
            world.finisher.succeed(one, request={}, outcome={})
        for one in (OPERATION, scale):
            report = json.loads(world.artifacts.objects[world.table.record(one)["reportKey"]])
            assert (report["machine"], report["result"]) == (one.machine, "SUCCEEDED")

    @pytest.mark.parametrize("unread", ["Stack control-demo", "the services"])
    def test_an_end_is_told_though_what_is_true_cannot_be_read(
        self, world: World, monkeypatch: pytest.MonkeyPatch, unread: str
    ) -> None:
        name = "control-demo"
        world.stacks.stacks[name] = Stack(
            stack_id=name, name=name, status="CREATE_COMPLETE", outputs=OUTPUTS, changed_at=""
        )
        begin(world)
        denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Describe")
        source = world.stacks if unread.startswith("Stack") else world.services

        def refuse(*_: object) -> None:
            raise denied

        monkeypatch.setattr(source, "describe", refuse)
        error = {"Error": "AwsRefused", "Cause": "DescribeServices is not allowed."}
        told = world.finisher.fail(OPERATION, request={}, error=error, outcome={})
        assert f"{unread} could not be read (An error occurred (AccessDenied)" in told["cause"]
        assert world.table.record(OPERATION)["result"] == "FAILED"
        assert world.table.locks == {}

    def test_an_end_is_told_though_the_lock_cannot_be_read(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "GetItem")

        begin(world)
        monkeypatch.setattr(world.table, "held", refuse)
        error = {"Error": "StackFailed", "Cause": "no"}
        told = world.finisher.fail(OPERATION, request={}, error=error, outcome={})
        assert "the cluster is possibly free (its lock could not be read" in told["cause"]
        assert world.table.record(OPERATION)["result"] == "FAILED"
        monkeypatch.undo()
        world.executions.ended.add(OPERATION.execution_arn)
        world.cleaner.clean_up(recorded("failed"))
        assert world.table.locks == {}

    def test_an_operation_that_lost_its_cluster_does_not_call_it_free(self, world: World) -> None:
        begin(world)
        world.table.locks["control-demo"] = replace(
            world.table.locks["control-demo"], owner="arn:other", operation_id="demo.scale.7"
        )
        told = world.finisher.fail(
            OPERATION, request={}, error={"Error": "LockLost", "Cause": "no"}, outcome={}
        )
        assert "the cluster is held by operation demo.scale.7, not free" in told["cause"]

    def test_who_asked_is_told_where_it_is_known(self, world: World) -> None:
        now = world.clock.now()
        world.table.claim(OPERATION, caller=CALLER, request_hash="h", now=now)
        begin(world)
        assert world.events.sent[0].detail["principal"] == CALLER
        validate(world.events.sent[0])

    def test_the_schema_refuses_what_it_does_not_describe(self) -> None:
        event = events.started(OPERATION, control_stack="control", principal="")
        surplus = events.Event(event.detail_type, {**event.detail, "input": {}}, event.resources)
        assert not Draft202012Validator(SCHEMA).is_valid(document(surplus))

    def test_a_bus_that_refuses_or_cannot_be_reached_fails_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from botocore.exceptions import EndpointConnectionError

        event = events.started(OPERATION, control_stack="control", principal="")

        class Refusing:
            def put_events(self, **_: Any) -> dict[str, Any]:
                return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "Throttled"}]}

        class Unreachable:
            def put_events(self, **_: Any) -> dict[str, Any]:
                raise EndpointConnectionError(endpoint_url="https://events")

        for api in (Refusing(), Unreachable()):
            monkeypatch.setattr("lifecycle.adapters.aws.eventbridge.client", lambda _, api=api: api)
            EventBridgeEvents("default").send(event)


class TestUnpublishedEnds:
    """PutEvents fails: a bad end is repeated until it is published, and no cluster waits for it."""

    def test_a_failure_is_repeated_until_it_is_published(self, world: World) -> None:
        begin(world)
        error = {"Error": "StackFailed", "Cause": "no"}
        world.events.failing = True
        with pytest.raises(AwsUnavailable):
            world.finisher.fail(OPERATION, request={}, error=error, outcome={})
        assert "result" not in world.table.record(OPERATION)
        assert world.table.locks == {}
        world.events.failing = False
        answer = world.finisher.fail(OPERATION, request={}, error=error, outcome={})
        assert answer["error"] == "StackFailed"
        assert world.events.sent[-1].detail["result"] == "FAILED"
        assert world.table.record(OPERATION)["result"] == "FAILED"

    def test_the_repetition_leaves_the_next_operation_alone(self, world: World) -> None:
        begin(world)
        error = {"Error": "StackFailed", "Cause": "no"}
        world.events.failing = True
        with pytest.raises(AwsUnavailable):
            world.finisher.fail(OPERATION, request={}, error=error, outcome={})
        begin(world, operation(2))
        with pytest.raises(AwsUnavailable):
            world.finisher.fail(OPERATION, request={}, error=error, outcome={})
        world.events.failing = False
        world.finisher.fail(OPERATION, request={}, error=error, outcome={})
        assert world.table.locks["control-demo"].owner == operation(2).execution_arn

    def test_after_the_last_attempt_the_clean_up_ends_it(self, world: World) -> None:
        begin(world)
        world.events.failing = True
        with pytest.raises(AwsUnavailable):
            world.finisher.fail(OPERATION, request={}, error={"Error": "StackFailed"}, outcome={})
        world.executions.ended.add(OPERATION.execution_arn)
        with pytest.raises(AwsUnavailable):
            world.cleaner.clean_up(recorded("failed"))
        assert world.table.locks == {}
        world.events.failing = False
        assert world.cleaner.clean_up(recorded("failed"))["result"] == "FAILED"
        assert world.events.sent[-1].detail["result"] == "FAILED"
        assert world.table.record(OPERATION)["result"] == "FAILED"

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_clean_up_frees_the_cluster_at_once(self, world: World, kind: str) -> None:
        has_ended(world)
        world.events.failing = True
        with pytest.raises(AwsUnavailable):
            world.cleaner.clean_up(recorded(kind))
        soon = world.clock.now().timestamp() + FUNCTION_SECONDS
        assert world.table.locks["control-demo"].expires_at == soon

    def test_work_that_is_done_has_succeeded(self, world: World) -> None:
        begin(world)
        world.events.failing = True
        assert world.finisher.succeed(OPERATION, request={}, outcome={})["result"] == "SUCCEEDED"
        assert world.table.record(OPERATION)["result"] == "SUCCEEDED"
        assert world.table.locks == {}


class TestCleaner:
    @pytest.mark.parametrize("kind", KINDS)
    def test_an_execution_that_could_not_end_its_operation_has_it_ended(
        self, world: World, kind: str
    ) -> None:
        has_ended(world)
        event = recorded(kind)
        answer = world.cleaner.clean_up(event)
        status = event["detail"]["status"]
        assert answer == {"released": True, "cluster": "demo", "result": status}
        soon = world.clock.now().timestamp() + FUNCTION_SECONDS
        assert world.table.locks["control-demo"].expires_at == soon
        record = world.table.record(OPERATION)
        assert record["result"] == status
        report = json.loads(world.artifacts.objects[record["reportKey"]])
        assert report["request"]["clusterName"] == "demo"
        assert "CloudFormation builds the infrastructure" in report["cause"]
        assert report["nextStep"]
        assert "the cluster is free within two minutes" in report["currentState"]
        ended = world.events.sent[-1]
        assert ended.detail["result"] == status
        assert ended.detail["error"] == (event["detail"]["error"] or status)
        validate(ended)

    @pytest.mark.parametrize("kind", KINDS)
    def test_what_ended_by_itself_is_not_ended_again(self, world: World, kind: str) -> None:
        begin(world)
        world.finisher.fail(
            OPERATION, request={}, error={"Error": "StackFailed", "Cause": "why"}, outcome={}
        )
        world.executions.ended.add(OPERATION.execution_arn)
        told = len(world.events.sent)
        answer = world.cleaner.clean_up(recorded(kind))
        assert (answer["released"], answer["result"]) == (False, "FAILED")
        assert len(world.events.sent) == told

    def test_a_lock_that_outlived_its_end_is_freed_all_the_same(self, world: World) -> None:
        has_ended(world)
        now = world.clock.now()
        world.table.end(OPERATION, result="FAILED", report=Stored("key", "v1", "abc"), now=now)
        assert world.cleaner.clean_up(recorded("failed"))["released"]
        soon = world.clock.now().timestamp() + FUNCTION_SECONDS
        assert world.table.locks["control-demo"].expires_at == soon

    def test_a_letter_that_is_replayed_late_holds_nothing(self, world: World) -> None:
        scale = Operation("demo.scale.1", "arn:aws:states:x:1:execution:control-scale:1", *REST)
        has_ended(world, scale)
        world.table.locks.clear()
        event = recorded("aborted")
        event["detail"] |= {
            "name": scale.operation_id,
            "executionArn": scale.execution_arn,
            "stateMachineArn": "arn:aws:states:x:1:stateMachine:control-scale",
        }
        assert world.cleaner.clean_up(event)["result"] == "ABORTED"
        assert world.table.locks == {}

    @pytest.mark.parametrize("kind", KINDS)
    def test_what_never_began_leaves_no_trace(self, world: World, kind: str) -> None:
        assert not world.cleaner.clean_up(recorded(kind))["released"]
        assert world.table.records == {}
        assert world.events.sent == []
        assert world.artifacts.objects == {}

    @pytest.mark.parametrize("kind", KINDS)
    def test_somebody_elses_lock_stays(self, world: World, kind: str) -> None:
        has_ended(world, operation(2))
        assert not world.cleaner.clean_up(recorded(kind))["released"]
        assert world.table.locks["control-demo"].owner == operation(2).execution_arn

    def test_the_same_name_in_another_machine_is_another_operation(self, world: World) -> None:
        other = operation(1)
        assert other.operation_id == OPERATION.operation_id
        has_ended(world, other)
        assert not world.cleaner.clean_up(recorded("aborted"))["released"]
        assert world.table.locks["control-demo"].owner == other.execution_arn
        assert "result" not in world.table.record(other)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_late_event_of_a_redriven_execution_changes_nothing(
        self, world: World, kind: str
    ) -> None:
        has_ended(world)
        world.executions.running.add(OPERATION.execution_arn)
        assert not world.cleaner.clean_up(recorded(kind))["released"]
        assert "control-demo" in world.table.locks

    @pytest.mark.parametrize("kind", KINDS)
    def test_an_event_that_comes_twice_and_late_does_nothing_to_the_next_operation(
        self, world: World, kind: str
    ) -> None:
        has_ended(world)
        world.cleaner.clean_up(recorded(kind))
        world.clock.pass_seconds(FUNCTION_SECONDS)
        has_ended(world, operation(2))
        told = len(world.events.sent)
        ended = dict(world.table.record(OPERATION))
        assert not world.cleaner.clean_up(recorded(kind))["released"]
        assert world.table.locks["control-demo"].owner == operation(2).execution_arn
        assert len(world.events.sent) == told
        assert world.table.record(OPERATION) == ended

    def test_an_operation_that_goes_on_after_its_end_can_be_ended_again(self, world: World) -> None:
        has_ended(world)
        world.cleaner.clean_up(recorded("aborted"))
        world.executions.ended.discard(OPERATION.execution_arn)
        world.journal.step(OPERATION, "Verification", "redriven")
        also_acts(world, OPERATION)
        world.executions.ended.add(OPERATION.execution_arn)
        assert world.cleaner.clean_up(recorded("timed_out"))["result"] == "TIMED_OUT"
        soon = world.clock.now().timestamp() + FUNCTION_SECONDS
        assert world.table.locks["control-demo"].expires_at == soon

    @pytest.mark.parametrize("text", ["", "no json", "[]", '{"clusterName": "BAD NAME"}', None])
    def test_an_input_that_names_no_cluster_is_no_crash(
        self, world: World, text: str | None
    ) -> None:
        event = recorded("aborted")
        event["detail"]["input"] = text
        assert not world.cleaner.clean_up(event)["released"]


class TestRule:
    def pattern(self) -> dict[str, Any]:
        """Pattern of the rule as deployed, with the machines' ARNs in place of their references."""
        rule = load_template(ROOT / "template.yaml")["Resources"]["CleanUpOperation"]
        found: dict[str, Any] = rule["Properties"]["Events"]["OperationEnded"]["Properties"][
            "Pattern"
        ]
        arn = "arn:aws:states:eu-central-1:123456789012:stateMachine:control-"
        machines = [f"{arn}{ref['Ref'].lower()}" for ref in found["detail"]["stateMachineArn"]]
        return {**found, "detail": {**found["detail"], "stateMachineArn": machines}}

    @pytest.mark.parametrize("kind", KINDS)
    def test_each_kind_of_bad_end_calls_the_cleaner(self, kind: str) -> None:
        pattern = EventPattern.load(json.dumps(self.pattern()))
        assert pattern.matches_event(recorded(kind))

    def test_a_good_end_and_a_foreign_machine_do_not(self) -> None:
        pattern = EventPattern.load(json.dumps(self.pattern()))
        good, foreign = recorded("failed"), recorded("failed")
        good["detail"]["status"] = "SUCCEEDED"
        foreign["detail"]["stateMachineArn"] += "-of-somebody-else"
        assert not pattern.matches_event(good)
        assert not pattern.matches_event(foreign)
