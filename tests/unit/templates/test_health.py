"""Schedule, alarms and dashboards of the health checks, in both templates."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lifecycle.adapters.aws.metrics import DIMENSIONS, NAMESPACE
from lifecycle.health.measure import BASIC
from lifecycle.provisioning.request import read_parameters

from tests.support.nested import flattened
from tests.unit.templates.resolver import resolve, template
from tests.unit.templates.test_adopted import REQUIRED
from tools.generate_parameters import declarations

CONTROL = flattened()["Resources"]
DECLARED = declarations(template("cluster"))
FUNCTIONS = ("LocateCluster", "ProbeHealth", "ObserveHealth", "JudgeHealth")
OURS = ("NoChecksAlarm",)
AWS_OWN = ("DatabaseConnectionsHighAlarm", "DatabaseStorageAlarm", "FilesThrottledAlarm")


def schedule(**parameters: str) -> Any:
    return resolve("cluster", **parameters).properties("HealthCheckSchedule")


@pytest.mark.parametrize(
    ("parameters", "state"),
    [
        ({}, "ENABLED"),
        ({"HealthPaused": "true"}, "DISABLED"),
    ],
)
def test_checks_begin_with_the_cluster_and_can_be_paused(
    parameters: dict[str, str], state: str
) -> None:
    assert schedule(**parameters)["State"] == state
    silent = resolve("cluster", **parameters).properties("NoChecksAlarm")["ActionsEnabled"]
    assert silent is (state == "ENABLED")


def test_missing_checks_are_looked_for_once_the_first_are_counted() -> None:
    cluster = resolve("cluster")
    assert "EcsCluster" in cluster.waits_for("NoChecksAlarm")
    assert "EcsCluster" not in cluster.waits_for("HealthCheckSchedule")


def test_a_check_is_started_by_the_control_planes_role_and_never_lost_silently() -> None:
    target = schedule(HealthSchedule="rate(1 minute)")["Target"]
    assert target["Arn"].endswith("check_health")
    assert target["RoleArn"].endswith("role/camunda/health-schedule")
    assert target["DeadLetterConfig"]["Arn"].endswith(":health")
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
    assert json.loads(target["Input"]) == {
        "clusterName": "demo",
        "scheduledAt": "<aws.scheduler.scheduled-time>",
    }


@pytest.mark.parametrize(
    "given",
    ["rate(1 minute)", "rate(5 minutes)", "rate(1 hour)", "cron(0/10 6-20 ? * MON-FRI *)"],
)
def test_rates_that_are_accepted(given: str) -> None:
    values, problems = read_parameters({"HealthSchedule": given}, DECLARED)
    assert (values, problems) == ({"HealthSchedule": given}, [])


@pytest.mark.parametrize(
    "given",
    [
        "rate(1 minutes)",
        "rate(0 minutes)",
        "rate(5 seconds)",
        "at(2026-01-01T00:00:00)",
        "5 minutes",
    ],
)
def test_rates_that_are_refused(given: str) -> None:
    assert read_parameters({"HealthSchedule": given}, DECLARED)[1]


def test_alarms_look_at_the_metrics_that_are_emitted() -> None:
    cluster = resolve("cluster")
    for name in OURS:
        alarm = cluster.properties(name)
        assert (alarm["Namespace"], alarm["MetricName"]) == (NAMESPACE, "Verdict")
        values = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
        assert values == dict(zip(DIMENSIONS, ("control", "control-demo"), strict=True))
    assert len(BASIC) <= 4


def test_missing_checks_are_an_alarm_and_not_a_verdict() -> None:
    cluster = resolve("cluster")
    silent = cluster.properties("NoChecksAlarm")
    assert silent["TreatMissingData"] == "breaching"
    assert (silent["Statistic"], silent["Threshold"]) == ("SampleCount", 1)
    assert silent["ComparisonOperator"] == "LessThanThreshold"


def test_all_alarms_of_a_cluster_tell_people_when_they_begin_and_end() -> None:
    alarms = resolve(
        "cluster",
    ).of_type("AWS::CloudWatch::Alarm")
    assert sorted(alarms) == sorted((*OURS, *AWS_OWN))
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == alarm["OKActions"], name
        assert ":topic" in str(alarm["AlarmActions"]), name
        assert alarm["ActionsEnabled"] is True, name
        assert alarm["AlarmDescription"].startswith("control-demo: "), name


@pytest.mark.parametrize("stack", ["cluster", "adopted-cluster"])
def test_a_cluster_may_have_an_address_of_its_own(stack: str) -> None:
    """The function finds the topic by its name; the alarms of the cluster publish to it, too."""
    given = {**REQUIRED, "ClusterName": "demo"} if stack != "cluster" else {}
    assert not resolve(stack, **given).of_type("AWS::SNS::Topic")
    named = resolve(stack, **given, NotificationEmail="team@example.com")
    (topic,) = named.of_type("AWS::SNS::Topic").values()
    assert topic["TopicName"] == "control_demo-messages"
    assert topic["Subscription"] == [{"Protocol": "email", "Endpoint": "team@example.com"}]
    assert topic["KmsMasterKeyId"]
    for name, alarm in named.of_type("AWS::CloudWatch::Alarm").items():
        assert len(alarm["AlarmActions"]) == len(alarm["OKActions"]) == 2, name
    assert named.outputs["NotifyFrom"] == "degraded"


def test_a_pause_pauses_the_alarms_too() -> None:
    paused = resolve("cluster", HealthPaused="true")
    for name, alarm in paused.of_type("AWS::CloudWatch::Alarm").items():
        assert alarm["ActionsEnabled"] is False, name


def test_a_dashboard_of_one_cluster_is_made_on_request_only() -> None:
    assert not resolve("cluster").of_type("AWS::CloudWatch::Dashboard")
    made = resolve("cluster", HealthDashboard="true").of_type("AWS::CloudWatch::Dashboard")
    assert list(made) == ["ClusterDashboard"]


def alarm_on(namespace: str, metric: str, of: str) -> Any:
    """The control stack's alarm on a metric of one of its resources."""
    found = [
        resource["Properties"]
        for resource in CONTROL.values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
        and resource["Properties"]["Namespace"] == namespace
        and resource["Properties"]["MetricName"] == metric
        and f'"{of}"' in json.dumps(resource["Properties"]["Dimensions"])
    ]
    assert len(found) == 1, (metric, of)
    return found[0]


@pytest.mark.parametrize(
    ("namespace", "metric", "of"),
    [
        ("AWS/States", "ExecutionsFailed", "CheckHealth"),
        ("AWS/States", "ExecutionsTimedOut", "CheckHealth"),
        ("AWS/States", "ExecutionsFailed", "CheckAllHealth"),
        ("AWS/States", "ExecutionsTimedOut", "CheckAllHealth"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "HealthDeadLetters"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "CleanUpDeadLetters"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "MessageDeadLetters"),
        *(("AWS/Lambda", metric, name) for name in FUNCTIONS for metric in ("Errors", "Throttles")),
    ],
)
def test_what_a_check_cannot_say_of_itself_is_an_alarm(
    namespace: str, metric: str, of: str
) -> None:
    alarm = alarm_on(namespace, metric, of)
    assert alarm["AlarmActions"] == [{"Ref": "Topic"}]
    # Nothing measured is nothing wrong here: checks that are missing have their own alarm.
    assert alarm["TreatMissingData"] == "notBreaching"


def test_alarms_may_publish_to_the_topic() -> None:
    assert CONTROL["Topic"]["Properties"]["KmsMasterKeyId"] == {"Ref": "TopicKey"}
    statements = CONTROL["TopicKey"]["Properties"]["KeyPolicy"]["Statement"]
    (alarms,) = [one for one in statements if "Service" in one["Principal"]]
    assert alarms["Principal"]["Service"] == "cloudwatch.amazonaws.com"
    assert alarms["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert alarms["Condition"]["StringEquals"]["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}


def test_the_check_machine_is_express_and_its_functions_end_in_time() -> None:
    assert CONTROL["CheckHealth"]["Properties"]["Type"] == "EXPRESS"
    assert all(CONTROL[name]["Properties"]["Timeout"] < 25 for name in FUNCTIONS)
    inside = [name for name in FUNCTIONS if "VpcConfig" in CONTROL[name]["Properties"]]
    assert inside == ["ProbeHealth"]


@pytest.mark.parametrize("name", ["HealthCheckSchedule", *OURS])
@pytest.mark.parametrize("paused", ["false", "true"])
def test_an_adopted_cluster_has_the_same_schedule_and_alarms(name: str, paused: str) -> None:
    given = {"HealthPaused": paused, "HealthTimeZone": "Europe/Berlin"}
    ours = resolve("cluster", **given).properties(name)
    theirs = resolve("adopted-cluster", **{**REQUIRED, "ClusterName": "demo"}, **given).properties(
        name
    )
    assert theirs == ours


def test_an_adopted_cluster_has_the_same_parameters_of_checks() -> None:
    ours, theirs = template("cluster")["Parameters"], template("adopted-cluster")["Parameters"]
    messages = {"NotificationEmail", "NotifyFrom"}
    named = {name for name in theirs if name.startswith("Health")} | messages
    of_ours = {name for name in ours if name.startswith("Health")} | messages
    assert named == of_ours - {"HealthDashboard"}
    for name in {*named, "DetailedMetrics"}:
        assert theirs[name] == ours[name], name
