"""Adapters of the health check on AWS's APIs, and the fakes beside them on the same cases."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from lifecycle.adapters.aws import health_sources
from lifecycle.adapters.aws import session as aws
from lifecycle.adapters.aws.ecs_reader import read_stopped
from lifecycle.adapters.aws.health_sources import AwsHealthSources
from lifecycle.adapters.aws.health_table import HealthTable
from lifecycle.adapters.aws.metrics import EmbeddedMetrics
from lifecycle.adapters.aws.sns import SnsMessages
from lifecycle.adapters.camunda.node_id_leases import S3Leases
from lifecycle.errors import InvalidResponse
from lifecycle.health.catalog import Verdict
from lifecycle.health.measure import UNITS
from lifecycle.health.rules import Memory
from lifecycle.health.verdict import Counts, Record, as_document
from lifecycle.services.stops import Cause
from moto import mock_aws

from tests.fakes.health_table import FakeHealth
from tests.support.world import CONTROL

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION: Final = "eu-central-1"
AT = datetime(2026, 1, 1, tzinfo=UTC)
RECORD = Record(
    cluster="demo",
    checked_at=AT,
    verdict=Verdict.DOWN,
    since=AT,
    consecutive=2,
    findings=({"code": "BROKERS_UNREACHABLE"},),
    notified=Verdict.DOWN,
    notified_before=Verdict.HEALTHY,
    notified_at=AT,
    confirmed=(Verdict.DOWN, Verdict.DOWN),
    changes=(AT,),
    undelivered=AT,
    memory=Memory(first_at=AT, change=(7, 2), change_since=AT, exported={1: (5, AT)}),
    seconds=0.5,
    counts=Counts(brokers=3, joined=2, connectors=None),
)

# The record as it was stored before its keys were renamed.
FORMER: Final = (
    as_document(RECORD)
    .replace('"notifiedBefore"', '"announcedBefore"')
    .replace('"notifiedAt"', '"announcedAt"')
    .replace('"notified"', '"announced"')
    .replace('"confirmed"', '"firm"')
)


@pytest.fixture(autouse=True)
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        aws.client.cache_clear()
        yield
    aws.client.cache_clear()


def table() -> HealthTable:
    boto3.client("dynamodb").create_table(
        TableName="table",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    return HealthTable("table")


@pytest.fixture(params=["table", "fake"])
def records(request: pytest.FixtureRequest) -> Any:
    return table() if request.param == "table" else FakeHealth({})


def test_a_record_is_read_as_it_was_written(records: Any) -> None:
    assert records.find("demo") is None
    assert records.write(RECORD, None)
    assert records.find("demo") == RECORD


def test_only_one_of_two_first_checks_is_written(records: Any) -> None:
    assert records.write(RECORD, None)
    assert not records.write(replace(RECORD, checked_at=AT + timedelta(seconds=1)), None)


@pytest.mark.parametrize("left", ['{"format": 2}', "not json", FORMER])
def test_what_another_version_left_does_not_stop_the_checks(records: Any, left: str) -> None:
    if isinstance(records, FakeHealth):
        records.documents["demo"] = left
    else:
        item = {"pk": {"S": "HEALTH#demo"}, "checkedAt": {"S": "9"}, "document": {"S": left}}
        boto3.client("dynamodb").put_item(TableName="table", Item=item)
    assert records.find("demo") is None
    assert records.write(RECORD, None)
    assert records.find("demo") == RECORD
    assert not records.write(replace(RECORD, checked_at=AT + timedelta(seconds=1)), None)


def test_only_one_of_two_that_followed_the_same_check_is_written(records: Any) -> None:
    records.write(RECORD, None)
    first = replace(RECORD, checked_at=AT + timedelta(minutes=5), consecutive=3)
    second = replace(RECORD, checked_at=AT + timedelta(minutes=6), consecutive=3)
    assert records.write(first, RECORD)
    assert not records.write(second, RECORD)
    assert records.find("demo") == first


@pytest.mark.parametrize("seconds", [0, -1])
def test_what_is_not_newer_is_not_written(records: Any, seconds: int) -> None:
    records.write(RECORD, None)
    late = replace(RECORD, checked_at=AT + timedelta(seconds=seconds), consecutive=9)
    assert not records.write(late, RECORD)
    assert records.find("demo") == RECORD


def test_delivery_is_noted_for_the_announcement_it_was_about(records: Any) -> None:
    records.write(RECORD, None)
    records.delivered("demo", AT + timedelta(seconds=1))
    assert records.find("demo") == RECORD
    records.delivered("demo", AT)
    assert records.find("demo") == replace(RECORD, undelivered=None)
    records.delivered("nobody", AT)


def test_who_holds_a_cluster() -> None:
    health = table()
    assert health.holder("control-demo") is None
    boto3.client("dynamodb").put_item(
        TableName="table",
        Item={
            "pk": {"S": "LOCK#control-demo"},
            "ecsCluster": {"S": "control-demo"},
            "owner": {"S": "arn:x"},
            "renewedAt": {"N": "9"},
            "operationId": {"S": "demo.scale.1"},
            "expiresAt": {"N": "17"},
        },
    )
    lock = health.holder("control-demo")
    assert lock is not None
    assert (lock.owner, lock.operation_id, lock.expires_at) == ("arn:x", "demo.scale.1", 17)


def bucket(**objects: str) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="node-ids", CreateBucketConfiguration={"LocationConstraint": REGION})
    for name, body in objects.items():
        s3.put_object(Bucket="node-ids", Key=name, Body=body.encode())


def test_leases_as_camunda_writes_them() -> None:
    held = {"taskId": "t-0", "timestamp": 17, "nodeInstance": {"id": 0, "version": 3}}
    bucket(**{"node-ids-initialized": "", "0.json": json.dumps(held), "1.json": ""})
    assert S3Leases().read("node-ids", [0, 1, 2]) == {
        "used": True,
        # One that was given back and one that is not there are both none.
        "leases": [{"node": 0, "task": "t-0", "until": 17}],
    }


def test_a_bucket_that_no_broker_uses() -> None:
    bucket()
    assert S3Leases().read("node-ids", [0, 1]) == {"used": False, "leases": []}


@pytest.mark.parametrize("body", ["half a docu", '{"taskId": "x"}', "[]", "3"])
def test_a_lease_of_another_shape_is_not_guessed_at(body: str) -> None:
    bucket(**{"node-ids-initialized": "", "0.json": body})
    with pytest.raises(InvalidResponse):
        S3Leases().read("node-ids", [0])


def test_a_secret_that_was_deleted_and_one_that_never_was() -> None:
    api = boto3.client("secretsmanager")
    there = api.create_secret(Name="there", SecretString="{}")["ARN"]
    gone = api.create_secret(Name="gone", SecretString="{}")["ARN"]
    api.delete_secret(SecretId=gone)
    arns = {"There": there, "Gone": gone, "Never": gone.replace("gone", "never")}
    problems = {one["name"]: one["problem"] for one in AwsHealthSources(CONTROL).secrets(arns)}
    assert problems["There"] == ""
    assert problems["Gone"].startswith("it is scheduled for deletion since 20")
    assert problems["Never"] == "it does not exist"


def test_a_secret_is_as_old_as_its_present_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a value that is pending, nor tags or stages, which move LastChangedDate."""
    made = {month: datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3)}

    class Api:
        exceptions = boto3.client("secretsmanager").exceptions

        def describe_secret(self, **_: object) -> dict[str, object]:
            return {"CreatedDate": made[1], "LastChangedDate": datetime(2026, 9, 1, tzinfo=UTC)}

        def list_secret_version_ids(self, **_: object) -> dict[str, object]:
            stages = {1: ["AWSPREVIOUS"], 2: ["AWSCURRENT"], 3: ["AWSPENDING"]}
            return {
                "Versions": [
                    {"VersionId": str(n), "VersionStages": stages[n], "CreatedDate": made[n]}
                    for n in (3, 1, 2)
                ]
            }

    monkeypatch.setattr(health_sources, "client", lambda *_, **__: Api())
    (one,) = AwsHealthSources(CONTROL).secrets({"X": "arn"})
    assert one == {"name": "X", "problem": "", "since": "2026-02-01T00:00:00.000Z"}


def test_aurora_shows_the_moments_to_which_it_can_be_restored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    described: dict[str, object] = {
        "Status": "available",
        "EarliestRestorableTime": datetime(2026, 1, 1, tzinfo=UTC),
        "LatestRestorableTime": datetime(2026, 1, 8, 12, tzinfo=UTC),
        "ClusterCreateTime": datetime(2025, 6, 1, tzinfo=UTC),
        "BackupRetentionPeriod": 7,
    }

    class Api:
        exceptions = boto3.client("rds").exceptions

        def describe_db_clusters(self, **_: object) -> dict[str, object]:
            return {"DBClusters": [described]}

    monkeypatch.setattr(health_sources, "client", lambda *_, **__: Api())
    assert AwsHealthSources(CONTROL).database("aurora") == {
        "status": "available",
        "restorable": "2026-01-08T12:00:00.000Z",
        "earliest": "2026-01-01T00:00:00.000Z",
        "created": "2025-06-01T00:00:00.000Z",
        "days": 7,
    }
    # A cluster that is being created has none yet.
    described.clear()
    described["Status"] = "creating"
    assert AwsHealthSources(CONTROL).database("aurora") == {
        "status": "creating",
        **dict.fromkeys(("restorable", "earliest", "created", "days")),
    }


def test_that_a_secret_is_there_is_asked_again_after_half_an_hour() -> None:
    now = [0.0]
    sight = AwsHealthSources(CONTROL, lambda: now[0])
    api = boto3.client("secretsmanager")
    arn = api.create_secret(Name="x", SecretString="{}")["ARN"]

    def told() -> object:
        return sight.secrets({"X": arn})[0]["problem"]

    assert told() == ""
    api.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    now[0] = 1799
    assert told() == ""
    now[0] = 1801
    assert told() == "it does not exist"


def test_how_a_task_stopped_is_read() -> None:
    containers = [
        {"name": "orchestration-cluster", "exitCode": 137, "reason": "OutOfMemoryError"},
        {"name": "database-ca", "exitCode": 0},
    ]
    read = read_stopped(
        {
            "taskArn": "arn:aws:ecs:eu-west-1:1:task/demo/abc",
            "stoppingAt": datetime(2026, 1, 1, tzinfo=UTC),
            "stopCode": "EssentialContainerExited",
            "stoppedReason": "Essential container exited",
            "containers": containers,
        }
    )
    assert (read.task_id, read.stopped_at) == ("abc", "2026-01-01T00:00:00.000Z")
    assert read.cause is Cause.MEMORY
    assert read.containers == ("orchestration-cluster, exit code 137, OutOfMemoryError",)


@pytest.mark.parametrize(
    ("code", "cause", "containers"),
    [
        # It stopped of its own, and its collector had ended for want of memory long before.
        ("EssentialContainerExited", Cause.EXITED, ("orchestration-cluster, exit code 1",)),
        # It never ran: whatever container has the reason.
        (
            "TaskFailedToStart",
            Cause.IMAGE,
            (
                "collector, exit code 137, CannotPullContainerError",
                "orchestration-cluster, exit code 1",
            ),
        ),
    ],
)  # fmt: skip
def test_a_collector_explains_no_broker_s_end(
    code: str, cause: Cause, containers: tuple[str, ...]
) -> None:
    reason = "OutOfMemoryError" if cause is Cause.EXITED else "CannotPullContainerError"
    read = read_stopped(
        {
            "taskArn": "arn:aws:ecs:eu-west-1:1:task/demo/abc",
            "stoppedAt": datetime(2026, 1, 1, tzinfo=UTC),
            "stopCode": code,
            "stoppedReason": "",
            "containers": [
                {"name": "collector", "exitCode": 137, "reason": reason},
                {"name": "orchestration-cluster", "exitCode": 1},
            ],
        }
    )
    assert read.cause is cause
    assert read.containers == containers


def test_a_collector_s_state_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def task(*containers: tuple[str, str]) -> dict[str, Any]:
        listed = [{"name": name, "lastStatus": status} for name, status in containers]
        return {
            "taskArn": "arn:aws:ecs:eu-west-1:1:task/demo/abc",
            "lastStatus": "RUNNING",
            "containers": listed,
        }

    tasks = [
        task(("collector", "STOPPED"), ("orchestration-cluster", "RUNNING")),
        task(("orchestration-cluster", "RUNNING"), ("collector", "RUNNING")),
        task(("database-ca", "STOPPED"), ("orchestration-cluster", "RUNNING")),
    ]
    sources = AwsHealthSources(CONTROL)
    monkeypatch.setattr(type(sources._ecs), "tasks", lambda *_: tasks)
    found = [one["collector"] for one in sources.tasks("demo", "orchestration-cluster")]
    assert found == ["STOPPED", "RUNNING", ""]


def test_metrics_are_one_line_in_the_embedded_format(capsys: pytest.CaptureFixture[str]) -> None:
    values = dict.fromkeys(UNITS, 1.0)
    now = datetime.now(UTC).timestamp()
    EmbeddedMetrics(lambda: now, "control").emit("control-demo", values, ["BROKER_MISSING"])
    (text,) = capsys.readouterr().out.splitlines()
    line = json.loads(text)
    assert line["_aws"]["Timestamp"] == int(now * 1000)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["ControlPlane", "Cluster"]]
    assert (line["ControlPlane"], line["Cluster"]) == ("control", "control-demo")
    assert {one["Name"]: one["Unit"] for one in directive["Metrics"]} == dict(UNITS)
    assert line["Codes"] == ["BROKER_MISSING"]
    assert {name: line[name] for name in values} == {key: [1.0] for key in values}


def test_a_message_reaches_who_subscribed() -> None:
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    topic = sns.create_topic(Name="people")["TopicArn"]
    queue = sqs.create_queue(QueueName="phone")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    SnsMessages(topic).publish("demo is DOWN", "no broker answers")
    (told,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    body = json.loads(told["Body"])
    assert (body["Subject"], body["Message"]) == ("demo is DOWN", "no broker answers")
