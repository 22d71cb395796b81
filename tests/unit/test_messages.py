"""Messages: which are sent, in which words, to whom, and that each is sent once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from lifecycle.adapters.aws import session as aws
from lifecycle.adapters.aws.sent_messages import CLAIMED, SentMessages
from lifecycle.adapters.aws.sns import SnsTopics
from lifecycle.adapters.aws.stepfunctions import StepFunctionsRunning
from lifecycle.cluster.owned_secrets import Purpose, wrong_tag
from lifecycle.errors import AwsUnavailable, ChatRefused, ChatUnavailable
from lifecycle.messages import compose
from lifecycle.messages.chat import Kind, body_for, kind_of, notification
from lifecycle.messages.compose import Message
from lifecycle.messages.place import Place
from lifecycle.messages.ports import Claim
from lifecycle.messages.send import Sender
from lifecycle.operation.arns import MachineArns
from moto import mock_aws

from tests.support.world import CONTROL, TestClock
from tools.generate_parameters import ROOT

PLACE = Place(
    CONTROL,
    "aws",
    "123456789012",
    "eu-central-1",
    "https://api.example/v1",
    "https://docs.example/runbook.md",
)
ARNS = MachineArns("aws", "eu-central-1", "123456789012", CONTROL)
ARN = ARNS.execution("provision", "demo.provision.1")
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class Recipients:
    """Topics and chat; ``failing`` makes the next ones fail."""

    mails: list[tuple[str, str, str]] = field(default_factory=list)
    posts: list[tuple[str, str]] = field(default_factory=list)
    failing: Exception | None = None
    failing_cluster: Exception | None = None

    def publish(self, subject: str, text: str) -> None:
        if self.failing is not None:
            raise self.failing
        self.mails.append(("", subject, text))

    def publish_to_cluster(self, cluster: str, subject: str, text: str) -> None:
        if self.failing_cluster is not None:
            raise self.failing_cluster
        self.mails.append((cluster, subject, text))

    def post(self, title: str, text: str) -> None:
        if self.failing is not None:
            raise self.failing
        self.posts.append((title, text))


@dataclass
class FakeSent:
    """``Sent`` with the conditions of the conditional writes."""

    items: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def claim(self, channel: str, message: Message, now: datetime) -> Claim:
        item = self.items.setdefault((channel, message.key), {})
        if "about" in item:
            new = (
                item["value"] != message.value
                if message.value
                else item["about"] < message.about - message.apart
            )
            if not new:
                return Claim.NOT_NEEDED
        if "until" in item and item["until"] >= now:
            return Claim.HELD
        if message.after_another_state and item.get("state", message.state) == message.state:
            return Claim.NOT_NEEDED
        item["until"] = now + CLAIMED
        return Claim.CLAIMED

    def sent(self, channel: str, message: Message) -> None:
        item = self.items[channel, message.key]
        item.pop("until")
        item |= {"about": message.about, "value": message.value, "state": message.state}

    def release(self, channel: str, message: Message) -> None:
        self.items[channel, message.key].pop("until")


@dataclass
class Executions:
    """Executions that run, by machine."""

    found: dict[str, list[tuple[str, str, datetime]]] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)

    def running(self, machine_arn: str) -> list[tuple[str, str, datetime]]:
        return self.found.get(machine_arn, [])

    def given(self, execution_arn: str) -> str:
        return self.inputs.get(execution_arn, "")


@dataclass
class World:
    """A sender and what it reaches."""

    recipients: Recipients = field(default_factory=Recipients)
    sent: FakeSent = field(default_factory=FakeSent)
    executions: Executions = field(default_factory=Executions)
    clock: TestClock = field(default_factory=lambda: TestClock(at=AT))
    approved: frozenset[str] = frozenset()
    email: str = "operators@example.com"
    webhook: str = ""

    @property
    def sender(self) -> Sender:
        return Sender(
            topics=self.recipients,
            chat=self.recipients,
            sent=self.sent,
            executions=self.executions,
            clock=self.clock,
            arns=ARNS,
            place=PLACE,
            approved=self.approved,
            email=self.email,
            webhook=self.webhook,
        )

    @property
    def subjects(self) -> list[tuple[str, str]]:
        return [(to, subject) for to, subject, _ in self.recipients.mails]


@pytest.fixture
def world() -> World:
    return World()


def ended(**more: Any) -> dict[str, Any]:
    detail = {
        "version": "1",
        "controlStack": CONTROL,
        "cluster": "demo",
        "machine": "provision",
        "operationId": "demo.provision.1",
        "principal": None,
        "startedAt": "2026-01-01T11:00:00.000Z",
        "endedAt": "2026-01-01T12:00:00.000Z",
        "result": "FAILED",
        "error": "StackNotUsable",
        "reportKey": "operations/demo/provision/demo.provision.1.json",
    }
    return {
        "source": "camunda.ecs.lifecycle",
        "detail-type": "Lifecycle Operation Ended",
        "resources": [ARN],
        "detail": detail | more,
    }


def changed(now: str, before: str, at: str = "2026-01-01T12:00:00.000Z", **more: Any) -> Any:
    detail = {
        "controlStack": CONTROL,
        "cluster": "demo",
        "verdict": now,
        "previous": before,
        "changedAt": at,
        "checkedAt": at,
        "since": at,
        "notifyFrom": "degraded",
        "findings": [],
    }
    return {"detail-type": "Cluster Health Changed", "detail": detail | more}


def executed(machine: str, status: str, given: Any, **more: Any) -> dict[str, Any]:
    name = f"demo.{machine}.1"
    detail = {
        "executionArn": ARNS.execution(machine, name),
        "stateMachineArn": ARNS.machine(machine),
        "name": name,
        "status": status,
        "stopDate": int(AT.timestamp() * 1000),
        "input": json.dumps(given),
    }
    return {"detail-type": "Step Functions Execution Status Change", "detail": detail | more}


def finding(code: str, severity: str, **more: str) -> dict[str, str]:
    return {
        "code": code,
        "severity": severity,
        "title": f"title of {code}",
        "seen": "this was seen",
        "expected": "that",
        "remedy": "do this",
        "runbook": code,
        **more,
    }


# --- operations -----------------------------------------------------------------------------------


def test_a_failed_operation_is_a_message_with_everything_one_needs(world: World) -> None:
    world.sender.occurred(ended())
    ((to, subject, text), (other, _, same)) = world.recipients.mails
    assert (to, other, same) == ("", "demo", text)
    assert subject == "demo: provision failed (StackNotUsable)"
    for line in (
        "What: provision of cluster demo failed (StackNotUsable).",
        "Since: 2026-01-01T12:00:00.000Z (started 2026-01-01T11:00:00.000Z).",
        f"Execution: {PLACE.execution(ARN)}",
        "Report: https://api.example/v1/operations/demo.provision.1",
        "Runbook: https://docs.example/runbook.md#stacknotusable",
        f"Control plane {CONTROL}, account 123456789012, region eu-central-1.",
    ):
        assert line in text.splitlines()
    assert any(line.startswith("Do: ") for line in text.splitlines())


@pytest.mark.parametrize("result", ["FAILED", "PARTIAL", "TIMED_OUT", "ABORTED"])
def test_every_end_but_success_is_told(world: World, result: str) -> None:
    world.sender.occurred(ended(result=result, error=result))
    assert len(world.recipients.mails) == 2
    entry = "an-execution-that-was-aborted-or-timed-out"
    assert (f"#{entry}" in world.recipients.mails[0][2]) == (result in {"TIMED_OUT", "ABORTED"})
    assert f"/runbook/#{entry}" in (ROOT / "docs" / "addresses.txt").read_text().splitlines()


@pytest.mark.parametrize(
    "other",
    [
        {"result": "SUCCEEDED"},
        {"controlStack": "another"},
        {"cluster": "Not A Cluster"},
        {"operationId": "line\nbreak"},
        {"endedAt": "yesterday"},
    ],
)
def test_what_is_no_failure_of_ours_is_not_told(world: World, other: dict[str, str]) -> None:
    assert world.sender.occurred(ended(**other)) == {"sent": []}
    assert world.recipients.mails == []


def test_the_same_end_published_again_is_one_message(world: World) -> None:
    for at in ("12:00:00.000", "12:00:00.000", "12:00:07.000", "11:59:00.000"):
        world.sender.occurred(ended(endedAt=f"2026-01-01T{at}Z"))
    assert len(world.recipients.mails) == 2
    # A redrive that fails again is another end.
    world.sender.occurred(ended(endedAt="2026-01-01T13:00:00.000Z"))
    assert len(world.recipients.mails) == 4


def test_a_channel_that_failed_alone_is_repeated(world: World) -> None:
    world.recipients.failing_cluster = ChatUnavailable("503")
    with pytest.raises(ChatUnavailable):
        world.sender.occurred(ended())
    world.recipients.failing_cluster = None
    assert world.sender.occurred(ended()) == {"sent": ["cluster"]}
    assert [to for to, _ in world.subjects] == ["", "demo"]


# Raised before the first change of an operation, and after it: an operation that applied a plan
# ends with PlanStale where the services would become other ones than planned.
@pytest.mark.parametrize(
    "error",
    ["PlanStale", "ManagementRefused", "CredentialsRefused", "ChangeInProgress", "ClusterFrozen"],
)
def test_an_operation_that_may_have_changed_something_is_not_said_to_have_changed_nothing(
    error: str,
) -> None:
    message = compose.ended(ended(error=error)["detail"], [ARN], PLACE)
    assert message is not None
    assert "Nothing was changed" not in message.text


def test_who_died_while_sending_is_followed_by_the_next_attempt(world: World) -> None:
    message = compose.ended(ended()["detail"], [ARN], PLACE)
    assert message is not None
    assert world.sent.claim("topic", message, world.clock.now()) is Claim.CLAIMED
    with pytest.raises(AwsUnavailable):
        world.sender.occurred(ended())
    assert [to for to, _ in world.subjects] == ["demo"]
    world.clock.at += CLAIMED + timedelta(seconds=1)
    assert world.sender.occurred(ended()) == {"sent": ["topic"]}


def test_a_failed_plan_is_told_and_one_that_succeeded_is_not(world: World) -> None:
    given = {"clusterName": "demo", "provision": {}}
    world.sender.occurred(executed("plan", "SUCCEEDED", given))
    assert world.subjects == []
    world.sender.occurred(executed("plan", "FAILED", given, error="StackNotUsable", cause="secret"))
    assert ("", "demo: plan failed (StackNotUsable)") in world.subjects
    assert "secret" not in json.dumps(world.recipients.mails)


def test_a_rejected_request_for_a_plan_is_reported_to_its_sender_only(world: World) -> None:
    given = {"clusterName": "demo", "provision": {}}
    world.sender.occurred(executed("plan", "FAILED", given, error="InvalidRequest", cause="no"))
    assert world.subjects == []


def test_after_a_cancellation_there_is_nothing_to_do(world: World) -> None:
    world.sender.occurred(ended(result="ABORTED", error="OperationCancelled"))
    _, subject, text = world.recipients.mails[0]
    assert subject == "demo: provision was cancelled"
    assert "What: provision of cluster demo was cancelled before its first change." in text
    assert "Do: Nothing." in text
    assert "Runbook: https://docs.example/runbook.md" in text.splitlines()


@pytest.mark.parametrize(
    ("machine", "given", "approved", "told"),
    [
        ("plan", {"clusterName": "demo", "provision": {}}, {"provision"}, "provision"),
        ("plan", {"clusterName": "demo", "provision": {}}, {"scale"}, ""),
        ("plan", {"clusterName": "demo", "scale": {"count": 4}}, {"scale"}, "scale"),
        ("plan", {"clusterName": "demo", "teardown": {}}, {"teardown"}, "teardown"),
        ("restart", {"clusterName": "demo", "dryRun": True}, {"restart"}, "restart"),
        ("rotate", {"clusterName": "demo", "dryRun": True}, {"rotate"}, "rotate"),
        ("manage", {"clusterName": "demo", "dryRun": True}, {"manage"}, "manage"),
        ("teardown", {"clusterName": "demo", "dryRun": True}, {"teardown"}, "teardown"),
        ("teardown", {"clusterName": "demo"}, {"teardown"}, ""),
    ],
)
def test_a_plan_that_waits_for_a_second_principal_is_told(
    world: World, machine: str, given: dict[str, Any], approved: set[str], told: str
) -> None:
    world.approved = frozenset(approved)
    for _ in range(2):
        world.sender.occurred(executed(machine, "SUCCEEDED", given))
    first = f"demo: a plan to {told} waits for approval"
    assert world.subjects == ([("", first), ("demo", first)] if told else [])


def test_a_plan_that_changes_nothing_waits_for_nobody(world: World) -> None:
    world.approved = frozenset({"provision"})
    given = {"clusterName": "demo", "provision": {}}
    output = json.dumps({"plan": {"status": "UNCHANGED"}})
    world.sender.occurred(executed("plan", "SUCCEEDED", given, output=output))
    assert world.subjects == []


def test_a_long_operation_is_told_once(world: World) -> None:
    world.executions.found[ARNS.machine("scale")] = [
        (ARNS.execution("scale", "by-hand"), "by-hand", AT - timedelta(minutes=119)),
    ]
    world.executions.inputs[ARNS.execution("scale", "by-hand")] = '{"clusterName": "demo"}'
    world.sender.long_running()
    assert world.subjects == []
    for _ in range(3):
        world.clock.at += timedelta(minutes=5)
        world.sender.long_running()
    first = "demo: scale runs for more than 120 minutes"
    assert world.subjects == [("", first), ("demo", first)]


def test_one_broken_topic_does_not_silence_what_runs_elsewhere(world: World) -> None:
    world.recipients.failing_cluster = ChatUnavailable("503")
    for machine in ("provision", "scale"):
        name = f"demo.{machine}.1"
        begun = AT - timedelta(hours=3)
        world.executions.found[ARNS.machine(machine)] = [
            (ARNS.execution(machine, name), name, begun)
        ]
    with pytest.raises(ChatUnavailable):
        world.sender.long_running()
    assert [subject for _, subject in world.subjects] == [
        "demo: provision runs for more than 60 minutes",
        "demo: scale runs for more than 120 minutes",
    ]


@pytest.mark.parametrize("machine", compose.LONG)
def test_what_runs_for_long_is_not_stopped_half_way(world: World, machine: str) -> None:
    name = f"demo.{machine}.1"
    world.executions.found[ARNS.machine(machine)] = [
        (ARNS.execution(machine, name), name, AT - compose.LONG[machine] - timedelta(hours=1))
    ]
    world.sender.long_running()
    (advice,) = [
        line for line in world.recipients.mails[0][2].splitlines() if line.startswith("Do: ")
    ]
    assert "Let it end" in advice
    assert "stopped" not in advice
    # A plan has no first change, and POST …/cancel refuses it.
    assert ("/cancel" in advice) == (machine != "plan")


# --- health ---------------------------------------------------------------------------------------


def test_health_changes_are_told_in_both_directions(world: World) -> None:
    steps = [("DEGRADED", "HEALTHY"), ("DOWN", "DEGRADED"), ("HEALTHY", "DOWN")]
    for minute, (now, before) in enumerate(steps):
        for _ in range(2):
            world.sender.occurred(changed(now, before, f"2026-01-01T12:0{minute}:00.000Z"))
    assert [subject for to, subject in world.subjects if not to] == [
        "demo is DEGRADED",
        "demo is DOWN",
        "demo is HEALTHY again (it was DOWN)",
    ]


@pytest.mark.parametrize(
    ("now", "before", "told"),
    [
        ("DEGRADED", "HEALTHY", False),
        ("HEALTHY", "DEGRADED", False),
        ("DOWN", "DEGRADED", True),
        ("DEGRADED", "DOWN", True),
        ("HEALTHY", "DOWN", True),
    ],
)
def test_a_cluster_may_be_told_of_only_when_it_is_down(
    world: World, now: str, before: str, told: bool
) -> None:
    world.sender.occurred(changed(now, before, notifyFrom="down"))
    assert bool(world.subjects) == told


def test_who_was_told_that_a_cluster_is_down_is_told_that_it_is_healthy(world: World) -> None:
    steps = [
        ("DEGRADED", "HEALTHY"),
        ("HEALTHY", "DEGRADED"),
        ("DOWN", "HEALTHY"),
        ("DEGRADED", "DOWN"),
        ("HEALTHY", "DEGRADED"),
        ("DEGRADED", "HEALTHY"),
        ("HEALTHY", "DEGRADED"),
    ]
    for minute, (now, before) in enumerate(steps):
        at = f"2026-01-01T12:0{minute}:00.000Z"
        world.sender.occurred(changed(now, before, at, notifyFrom="down"))
    assert [subject for to, subject in world.subjects if not to] == [
        "demo is DOWN",
        "demo is DEGRADED",
        "demo is HEALTHY again (it was DEGRADED)",
    ]


def test_a_change_during_another_ones_sending_is_repeated(world: World) -> None:
    first = compose.health(changed("DOWN", "HEALTHY")["detail"], PLACE)
    assert first is not None
    assert world.sent.claim("topic", first, world.clock.now()) is Claim.CLAIMED
    later = changed("HEALTHY", "DOWN", "2026-01-01T12:00:30.000Z")
    with pytest.raises(AwsUnavailable):
        world.sender.occurred(later)
    world.sent.sent("topic", first)
    assert world.sender.occurred(later) == {"sent": ["topic"]}


def test_a_state_that_cannot_be_read_is_called_unknown(world: World) -> None:
    found = [finding("SOURCE_UNAVAILABLE", "UNKNOWN")]
    world.sender.occurred(changed("DEGRADED", "HEALTHY", findings=found))
    assert world.subjects[0][1] == "demo is UNKNOWN: title of SOURCE_UNAVAILABLE"


def test_what_matters_stands_first(world: World) -> None:
    found = [
        *(finding("DEPLOYMENT_RUNNING", "INFO", explainedBy="operation 1") for _ in range(5)),
        finding("BROKERS_UNREACHABLE", "INFO", explainedBy="operation 1"),
        finding("BACKUP_OLD", "DEGRADED"),
    ]
    world.sender.occurred(changed("DEGRADED", "HEALTHY", findings=found))
    lines = world.recipients.mails[0][2].splitlines()
    assert lines[1].startswith("- title of BACKUP_OLD")
    assert lines[3] == "  Runbook: https://docs.example/runbook.md#backup_old"
    assert lines[4].startswith("- title of BROKERS_UNREACHABLE")
    assert "Notes without effect on the verdict: 5." in lines


def test_a_subject_is_one_that_sns_accepts() -> None:
    subject = compose.subject_of("demo is DEGRADED: \N{BLACK STAR}\n" + "x" * 200)
    assert len(subject) == compose.SUBJECT_MOST
    assert subject.isascii()
    assert subject.isprintable()


# --- test message and chat ------------------------------------------------------------------------


def deployed() -> dict[str, Any]:
    return {
        "detail-type": "CloudFormation Stack Status Change",
        "time": "2026-01-01T12:00:00Z",
        "detail": {"stack-id": "arn", "status-details": {"status": "UPDATE_COMPLETE"}},
    }


def test_a_deployment_ends_with_a_test_message_when_an_address_changed(world: World) -> None:
    for email in ("a@example.com", "a@example.com", "b@example.com", "a@example.com", ""):
        world.email = email
        world.sender.occurred(deployed())
    assert world.subjects == [("", f"{CONTROL}: test message")] * 3


def record(text: str, number: int = 1) -> dict[str, Any]:
    sns = {
        "MessageId": f"id-{number}",
        "Timestamp": "2026-01-01T12:00:00.000Z",
        "Subject": "demo is DOWN",
        "Message": text,
    }
    return {"Records": [{"Sns": sns}]}


def test_what_the_topic_delivers_is_posted_once_and_again_only_if_it_failed(world: World) -> None:
    world.recipients.failing = ChatUnavailable("HTTP 503")
    with pytest.raises(ChatUnavailable):
        world.sender.delivered(record("text"))
    world.recipients.failing = None
    for _ in range(3):
        world.sender.delivered(record("text"))
    world.sender.delivered(record("text", 2))
    assert world.recipients.posts == [("demo is DOWN", "text")] * 2
    assert world.recipients.mails == []


def test_an_alarm_is_posted_in_words() -> None:
    alarm = {
        "AlarmName": "control-NoChecks",
        "AlarmDescription": "no health check completed",
        "NewStateValue": "ALARM",
        "NewStateReason": "no datapoints",
        "StateChangeTime": "2026-01-01T12:00:00.000+0000",
        "AWSAccountId": "123456789012",
        "Region": "EU (Frankfurt)",
    }
    title, text = notification({"Subject": "ALARM", "Message": json.dumps(alarm)})
    assert title == "ALARM: alarm control-NoChecks"
    assert text.splitlines()[0] == "no health check completed"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://hooks.slack.com/services/T/B/x", Kind.SLACK),
        ("https://hooks.slack.com:443/services/T/B/x", Kind.SLACK),
        ("https://prod-1.westeurope.logic.azure.com:443/workflows/x?sig=y", Kind.TEAMS),
        ("https://default1.2.environment.api.powerplatform.com:443/x?sig=y", Kind.TEAMS),
        ("https://tenant.webhook.office.com/webhookb2/x", Kind.TEAMS),
    ],
)
def test_webhooks_that_are_called(url: str, kind: Kind) -> None:
    assert kind_of(url) is kind


@pytest.mark.parametrize(
    "url",
    [
        "",
        "no url",
        "http://hooks.slack.com/services/T/B/secret",
        "https://hooks.slack.com.evil.example/secret",
        "https://evilpowerplatform.com/secret",
        "https://evil.example/secret?host=hooks.slack.com",
        "https://hooks.slack.com@evil.example/secret",
        "https://user:secret@hooks.slack.com/secret",
        "https://hooks.slack.com:8443/secret",
        "https://hooks.slack.com:99999999/secret",
        "https://[hooks.slack.com/secret",
        "https://hooks.slack.com/secret\r\nHost: evil.example",
        "https://169.254.169.254/secret",
        '{"url": "https://hooks.slack.com/secret"}',
    ],
)
def test_webhooks_that_are_refused_without_a_word_of_them(url: str) -> None:
    with pytest.raises(ChatRefused) as refused:
        kind_of(url)
    assert "secret" not in str(refused.value).replace("the secret", "").replace("in the secret", "")
    assert "evil" not in str(refused.value)


def test_bodies() -> None:
    slack = json.loads(body_for(Kind.SLACK, "a <b>", "c & d"))
    assert slack["text"] == "*a &lt;b&gt;*\nc &amp; d"
    teams = json.loads(body_for(Kind.TEAMS, "title", "one\ntwo"))
    card = teams["attachments"][0]["content"]
    assert (teams["type"], card["type"]) == ("message", "AdaptiveCard")
    assert [block["text"] for block in card["body"]] == ["title", "one", "two"]
    assert len(body_for(Kind.TEAMS, "t", "x\n" * 100_000)) < 10 * 28 * 1024


def test_a_webhook_belongs_to_the_control_plane_and_to_this_purpose() -> None:
    tags = {"camunda:control-plane": CONTROL, "camunda:purpose": "chat"}
    given: dict[str, Any] = {"control_stack": CONTROL, "cluster": "", "purpose": Purpose.CHAT}
    assert wrong_tag(tags, **given) == ""
    assert "camunda:purpose" in wrong_tag(tags | {"camunda:purpose": "task"}, **given)
    assert "camunda:purpose" in wrong_tag({"camunda:control-plane": CONTROL}, **given)
    assert "camunda:control-plane" in wrong_tag(tags | {"camunda:control-plane": "x"}, **given)
    other = given | {"purpose": Purpose.TASK, "cluster": "demo"}
    assert "camunda:purpose" in wrong_tag(tags, **other)


# --- adapters -------------------------------------------------------------------------------------


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        aws.client.cache_clear()
        yield
    aws.client.cache_clear()


@pytest.mark.parametrize("kind", ["table", "fake"])
@pytest.mark.usefixtures("cloud")
def test_what_was_sent_is_remembered(kind: str) -> None:
    boto3.client("dynamodb").create_table(
        TableName="table",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    sent = SentMessages("table") if kind == "table" else FakeSent()

    def message(minutes: float, value: str = "", apart: float = 0) -> Message:
        at = AT + timedelta(minutes=minutes)
        return Message("key", at, "demo", "subject", "text", timedelta(minutes=apart), value)

    claimed, held, not_needed = Claim.CLAIMED, Claim.HELD, Claim.NOT_NEEDED
    assert sent.claim("topic", message(0), AT) is claimed
    assert sent.claim("topic", message(0), AT) is held
    assert sent.claim("topic", message(1), AT + CLAIMED) is held
    assert sent.claim("cluster", message(0), AT) is claimed
    assert sent.claim("topic", message(0), AT + CLAIMED + timedelta(seconds=1)) is claimed
    sent.release("topic", message(0))
    assert sent.claim("topic", message(0), AT) is claimed
    sent.sent("topic", message(0))
    later = AT + timedelta(hours=1)
    assert sent.claim("topic", message(0), later) is not_needed
    assert sent.claim("topic", message(-1), later) is not_needed
    assert sent.claim("topic", message(9, apart=10), later) is not_needed
    assert sent.claim("topic", message(11, apart=10), later) is claimed
    assert sent.claim("topic", message(0), later) is not_needed
    assert sent.claim("topic", message(12, apart=10), later) is held
    # By value: another one than the last.
    for number, (value, new) in enumerate([("a", True), ("a", False), ("b", True), ("a", True)]):
        moment = later + timedelta(hours=number)
        assert sent.claim("test", message(0, value), moment) is (claimed if new else not_needed)
        if new:
            assert sent.claim("test", message(0, "other"), moment) is held
            sent.sent("test", message(0, value))
    if kind == "table":
        # The last value is compared whenever the next one comes; the other items end.
        items = boto3.client("dynamodb").scan(TableName="table")["Items"]
        assert {item["pk"]["S"] for item in items if "ttl" not in item} == {"MESSAGE#test#key"}
    # By state: only after another one was sent.
    for minute, (state, after, outcome) in enumerate(
        [
            ("HEALTHY", True, not_needed),
            ("DOWN", False, claimed),
            ("HEALTHY", True, claimed),
            ("HEALTHY", True, not_needed),
        ]
    ):
        one = replace(message(minute), state=state, after_another_state=after)
        assert sent.claim("health", one, later) is outcome
        if outcome is claimed:
            assert sent.claim("health", replace(one, about=later), later) is held
            sent.sent("health", one)


@pytest.mark.usefixtures("cloud")
def test_a_redriven_execution_runs_since_its_redrive(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ListExecutions lists it: the first start stays.

    https://docs.aws.amazon.com/step-functions/latest/apireference/API_ExecutionListItem.html
    """
    api = boto3.client("stepfunctions", region_name="eu-central-1")
    monkeypatch.setattr("lifecycle.adapters.aws.stepfunctions.client", lambda _: api)
    common = {"stateMachineArn": ARNS.machine("scale"), "status": "RUNNING", "startDate": AT}
    redriven = AT + timedelta(hours=5)
    items = [
        {**common, "executionArn": f"{ARN}1", "name": "1"},
        {**common, "executionArn": f"{ARN}2", "name": "2", "redriveDate": redriven},
    ]
    with Stubber(api) as stub:
        stub.add_response(
            "list_executions",
            {"executions": items},
            {"stateMachineArn": ARNS.machine("scale"), "statusFilter": "RUNNING"},
        )
        found = StepFunctionsRunning().running(ARNS.machine("scale"))
    assert [(name, at) for _, name, at in found] == [("1", AT), ("2", redriven)]


@pytest.mark.usefixtures("cloud")
def test_a_cluster_without_a_topic_of_its_own_has_no_message() -> None:
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    topics = {name: sns.create_topic(Name=name)["TopicArn"] for name in ("all", "c_two-messages")}
    urls = {}
    for name, arn in topics.items():
        urls[name] = sqs.create_queue(QueueName=name)["QueueUrl"]
        queue = f"arn:aws:sqs:eu-central-1:123456789012:{name}"
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue)
    adapter = SnsTopics(topics["all"], "c")
    adapter.publish_to_cluster("one", "subject", "text")
    adapter.publish_to_cluster("two", "subject", "text")
    found = {
        name: sqs.receive_message(QueueUrl=url).get("Messages", []) for name, url in urls.items()
    }
    assert {name: len(one) for name, one in found.items()} == {"all": 0, "c_two-messages": 1}
