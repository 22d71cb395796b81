"""The two dashboards: what they show exists, fits its axis, and belongs to this control plane.

The form of a body:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

from __future__ import annotations

import json
import re
from itertools import groupby
from typing import Any, Final

import pytest
from lifecycle.adapters.aws.metrics import DIMENSIONS, NAMESPACE
from lifecycle.cluster.backups import overdue
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.health.measure import UNITS

from tests.support.nested import flattened
from tests.unit.templates.resolver import resolve

CONTROL = flattened()["Resources"]
GRID: Final = 24
_LB, _TARGETS = ("LoadBalancer",), ("TargetGroup", "LoadBalancer")
# Unit and dimensions of AWS's metrics, as the services' guides list them:
# AmazonECS/latest/developerguide/available-metrics.html
# elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
# elasticloadbalancing/latest/network/load-balancer-cloudwatch-metrics.html
# efs/latest/ug/efs-metrics.html
# AmazonRDS/latest/AuroraUserGuide/Aurora.AuroraMonitoring.Metrics.html and ….dimensions.html
# step-functions/latest/dg/procedure-cw-metrics.html
# AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
AWS: Final = {
    ("AWS/ECS", "CPUUtilization"): ("Percent", ("ClusterName", "ServiceName")),
    ("AWS/ECS", "MemoryUtilization"): ("Percent", ("ClusterName", "ServiceName")),
    ("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count"): ("Count", _LB),
    ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count"): ("Count", _LB),
    ("AWS/ApplicationELB", "TargetResponseTime"): ("Seconds", _LB),
    ("AWS/ApplicationELB", "HealthyHostCount"): ("Count", _TARGETS),
    ("AWS/NetworkELB", "HealthyHostCount"): ("Count", _TARGETS),
    ("AWS/NetworkELB", "ActiveFlowCount"): ("Count", _LB),
    ("AWS/NetworkELB", "TCP_Target_Reset_Count"): ("Count", _LB),
    ("AWS/NetworkELB", "TCP_ELB_Reset_Count"): ("Count", _LB),
    ("AWS/NetworkELB", "ProcessedBytes"): ("Bytes", _LB),
    ("AWS/EFS", "StorageBytes"): ("Bytes", ("FileSystemId", "StorageClass")),
    ("AWS/EFS", "MeteredIOBytes"): ("Bytes", ("FileSystemId",)),
    ("AWS/EFS", "PermittedThroughput"): ("Bytes/Second", ("FileSystemId",)),
    ("AWS/EFS", "PercentIOLimit"): ("Percent", ("FileSystemId",)),
    ("AWS/RDS", "CPUUtilization"): ("Percent", ("DBClusterIdentifier",)),
    ("AWS/RDS", "DatabaseConnections"): ("Count", ("DBClusterIdentifier",)),
    ("AWS/RDS", "CommitLatency"): ("Milliseconds", ("DBClusterIdentifier",)),
    ("AWS/RDS", "VolumeBytesUsed"): ("Bytes", ("DBClusterIdentifier",)),
    ("AWS/RDS", "FreeLocalStorage"): ("Bytes", ("DBClusterIdentifier",)),
    ("AWS/States", "ExecutionsSucceeded"): ("Count", ("StateMachineArn",)),
    ("AWS/States", "ExecutionsFailed"): ("Count", ("StateMachineArn",)),
    ("AWS/States", "ExecutionsTimedOut"): ("Count", ("StateMachineArn",)),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): ("Count", ("QueueName",)),
}
SEARCH: Final = re.compile(
    r"SEARCH\('\{CamundaLifecycle,ControlPlane,Cluster\} ControlPlane=\"control\""
    r" MetricName=\"(\w+)\"', '(Maximum|Sum)', 300\)"
)
# What a unit is called on its axis; counts are called by what is counted.
LABELS: Final = {
    "Percent": {"percent"},
    "Seconds": {"seconds"},
    "Milliseconds": {"milliseconds"},
    "Bytes": {"bytes"},
    "Bytes/Second": {"bytes per second"},
}


def fleet() -> dict[str, Any]:
    text = CONTROL["FleetDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    if isinstance(text, list):
        text = text[0]
    named = re.sub(r"\$\{(AWS::StackName|ControlStack)\}", "control", text)
    return dict(json.loads(re.sub(r"\$\{([^}]*)\}", r"\1", named)))


def cluster(**parameters: str) -> dict[str, Any]:
    found = resolve("cluster", HealthDashboard="true", **parameters)
    return dict(json.loads(found.properties("ClusterDashboard")["DashboardBody"]))


BODIES: Final = {"fleet": fleet(), "cluster": cluster()}
WIDGETS: Final = [
    pytest.param(widget, id=f"{name} {widget['properties'].get('title', widget['type'])}")
    for name, body in BODIES.items()
    for widget in body["widgets"]
]
GRAPHS: Final = [one for one in WIDGETS if one.values[0]["type"] == "metric"]  # type: ignore[index]


def rows(widget: dict[str, Any]) -> list[tuple[list[str], dict[str, Any]]]:
    """The metrics of a widget with their shorthand written out, and their options."""
    found: list[tuple[list[str], dict[str, Any]]] = []
    before: list[str] = []
    for given in widget["properties"]["metrics"]:
        options = given[-1] if isinstance(given[-1], dict) else {}
        names = [one for one in given if not isinstance(one, dict)]
        if "..." in names:
            last = names[names.index("...") + 1 :]
            names = before[: len(before) - len(last)] + last
        names = [before[place] if one == "." else one for place, one in enumerate(names)]
        before = names or before
        found.append((names, options))
    return found


def unit(names: list[str], options: dict[str, Any], units: dict[str, str]) -> str:
    """The unit of a metric, or of the few forms of an expression that are used here."""
    if names:
        space, name = names[:2]
        return UNITS[name] if space == NAMESPACE else AWS[space, name][0]
    text = options["expression"]
    if found := SEARCH.fullmatch(text):
        return UNITS[found[1]]
    if rate := re.fullmatch(r"(\w+) / PERIOD\(\1\)", text):
        return f"{units[rate[1]]}/Second"
    difference = re.fullmatch(r"(\w+) - (\w+)", text)
    assert difference is not None, text
    assert units[difference[1]] == units[difference[2]]
    return units[difference[1]]


def shown(widget: dict[str, Any]) -> list[str]:
    """Units of what a widget shows."""
    units: dict[str, str] = {}
    found = []
    for names, options in rows(widget):
        one = unit(names, options, units)
        units[options.get("id", "")] = one
        if options.get("visible", True):
            found.append(one)
    return found


@pytest.mark.parametrize("name", BODIES)
def test_rows_of_widgets_fill_the_grid(name: str) -> None:
    widgets = BODIES[name]["widgets"]
    below = 0
    for top, row in groupby(widgets, key=lambda one: one["y"]):
        placed = sorted(row, key=lambda one: one["x"])
        assert top == below
        across = 0
        for one in placed:
            assert one["x"] == across
            across += one["width"]
        assert across == GRID
        assert len({one["height"] for one in placed}) == 1
        below = top + placed[0]["height"]


@pytest.mark.parametrize("widget", GRAPHS)
def test_every_metric_exists_with_these_dimensions(widget: dict[str, Any]) -> None:
    for names, options in rows(widget):
        if not names:
            assert options["expression"]
            continue
        space, name, *dimensions = names
        if space == NAMESPACE:
            assert name in UNITS
            assert dimensions == [DIMENSIONS[0], "control", DIMENSIONS[1], "control-demo"]
        else:
            assert tuple(dimensions[::2]) == AWS[space, name][1]


@pytest.mark.parametrize("widget", GRAPHS)
def test_an_axis_has_one_unit_and_its_name(widget: dict[str, Any]) -> None:
    units = shown(widget)
    assert len(set(units)) == 1, units
    if widget["properties"]["view"] != "timeSeries":
        return
    assert set(widget["properties"]["yAxis"]) == {"left"}
    axis = widget["properties"]["yAxis"]["left"]
    assert axis["min"] == 0
    assert axis["showUnits"] is False
    if units[0] in LABELS:
        assert axis["label"] in LABELS[units[0]]
    else:
        assert axis["label"] not in set().union(*LABELS.values())
    assert ("max" in axis) == (units[0] == "Percent" or axis["label"] == "verdict")


@pytest.mark.parametrize("widget", GRAPHS)
def test_every_widget_has_a_title_a_region_a_statistic_and_a_period(widget: dict[str, Any]) -> None:
    found = widget["properties"]
    assert found["title"]
    assert found["region"]
    # EFS publishes its size every 15 minutes.
    assert found["period"] == (900 if found["title"] == "EFS: size" else 300)
    assert re.fullmatch(r"Maximum|Minimum|Average|Sum|p99", found["stat"])
    ids = [options["id"] for _, options in rows(widget) if "id" in options]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch("[a-z][A-Za-z0-9_]*", one) for one in ids)


def test_all_that_is_measured_of_a_cluster_is_shown() -> None:
    named = {names[1] for one in GRAPHS for names, _ in rows(one.values[0]) if names}  # type: ignore[arg-type]
    searched = set(re.findall(r'MetricName=\\"(\w+)', json.dumps(BODIES["fleet"])))
    assert set(UNITS) - named == {"CheckSeconds"}
    assert searched <= set(UNITS)
    assert {"Verdict", "Findings", "UnknownSources", "CheckSeconds"} <= searched


def test_the_fleet_is_that_of_its_control_plane() -> None:
    expressions = [
        options["expression"]
        for widget in BODIES["fleet"]["widgets"]
        if widget["type"] == "metric"
        for _, options in rows(widget)
        if "expression" in options
    ]
    assert len(expressions) == 9
    assert all(SEARCH.fullmatch(one) for one in expressions), expressions


def alarm_widget(body: dict[str, Any]) -> list[str]:
    (found,) = (one for one in body["widgets"] if one["type"] == "alarm")
    return list(found["properties"]["alarms"])


def test_alarms_of_the_health_checks_are_shown() -> None:
    alarms = {
        name for name, resource in CONTROL.items() if resource["Type"] == "AWS::CloudWatch::Alarm"
    }
    assert set(alarm_widget(BODIES["fleet"])) == {f"{name}.Arn" for name in alarms}


def test_alarms_of_a_cluster_are_shown() -> None:
    alarms = resolve("cluster").of_type("AWS::CloudWatch::Alarm")
    assert set(alarm_widget(BODIES["cluster"])) == {f"att({name}.Arn)" for name in alarms}


def annotated(body: dict[str, Any], space: str, metric: str) -> set[float]:
    """Values of the lines in the widgets that show a metric."""
    return {
        float(line["value"])
        for widget in body["widgets"]
        if widget["type"] == "metric" and "annotations" in widget["properties"]
        if any(names[:2] == [space, metric] for names, _ in rows(widget))
        for line in widget["properties"]["annotations"]["horizontal"]
    }


@pytest.mark.parametrize("connections", ["300", "120"])
def test_thresholds_of_alarms_are_drawn(connections: str) -> None:
    given = {"DatabaseConnectionsAlarm": connections}
    body = cluster(**given)
    alarms = resolve("cluster", **given).of_type("AWS::CloudWatch::Alarm")
    for name, alarm in alarms.items():
        # Of how many checks there were nothing is drawn, and a verdict above 0 is degraded.
        if name == "NoChecksAlarm":
            continue
        drawn = annotated(body, alarm["Namespace"], alarm["MetricName"])
        assert float(alarm["Threshold"]) in drawn, name
    assert annotated(body, NAMESPACE, "Verdict") == {1, 2}


def test_a_line_shows_when_a_backup_is_old() -> None:
    allowed = cluster_parameters()["BackupSchedule"]["allowedValues"]
    assert isinstance(allowed, list)
    for schedule in allowed:
        drawn = annotated(cluster(BackupSchedule=schedule), NAMESPACE, "BrokerBackupAge")
        assert drawn == {overdue(schedule).total_seconds()}, schedule


@pytest.mark.parametrize("name", BODIES)
def test_people_are_led_on(name: str) -> None:
    (text,) = (
        one["properties"]["markdown"] for one in BODIES[name]["widgets"] if one["type"] == "text"
    )
    assert "docs/runbook.md" in text
    assert "/health" in text
    fleet_name = CONTROL["FleetDashboard"]["Properties"]["DashboardName"]["Fn::Sub"]
    linked = re.sub(r"\$\{(AWS::StackName|ControlStack)\}", "control", fleet_name)
    if name == "cluster":
        assert f"(#dashboards:name={linked})" in text
