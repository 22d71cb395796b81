"""CloudWatch accepts a dashboard only if its body has the documented form."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import cloudwatch
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.aws.strict import Strictness

_TYPES: Final = {"alarm", "custom", "explorer", "log", "metric", "text"}
_VIEWS: Final = {"bar", "gauge", "pie", "singleValue", "table", "timeSeries"}
_AXES: Final = {"left", "right"}
_AXIS: Final = {"label", "max", "min", "showUnits"}
_OPTIONS: Final = {
    *("accountId", "color", "expression", "id", "label", "period", "region", "stat", "visible"),
    "yAxis",
}
_STAT: Final = re.compile(r"Average|Maximum|Minimum|SampleCount|Sum|p\d{1,2}(\.\d+)?|tm\d+")
_ALARM: Final = re.compile(r"arn:aws[a-z-]*:cloudwatch:[a-z0-9-]+:\d{12}:alarm:.+")
_MOST_WIDGETS, _MOST_ALARMS, _COLUMNS, _MOST_HIGH = 500, 100, 24, 1000
# Namespace and name; with dimensions in pairs the count stays even.
_NAMES: Final = 2


def install(_strictness: Strictness) -> None:
    """Check the body before CloudFormation's dashboard is stored."""
    cloudwatch.cloudformation_put_dashboard = _checked(cloudwatch.cloudformation_put_dashboard)


def _checked(own: Any) -> Any:
    def put(name: str, body: str) -> Any:
        refused = refusal(body)
        if refused:
            raise ValueError(refused)
        return own(name, body)

    return put


def refusal(body: str) -> str:
    """Why CloudWatch does not accept a body; empty if it does."""
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("widgets"), list):
        return "The field DashboardBody must be a valid JSON object"
    widgets = found["widgets"]
    problems = [
        f"/widgets/{number}{problem}"
        for number, widget in enumerate(widgets)
        for problem in _widget(widget if isinstance(widget, dict) else {})
    ]
    if len(widgets) > _MOST_WIDGETS:
        problems.append(f"/widgets: Should not have more than {_MOST_WIDGETS} items")
    if not problems:
        return ""
    listed = "; ".join(problems[:5])
    return f"The dashboard body is invalid, there are {len(problems)} validation errors: {listed}"


def _widget(widget: dict[str, Any]) -> Iterator[str]:
    kind, properties = widget.get("type"), widget.get("properties")
    if kind not in _TYPES:
        yield "/type: Should be equal to one of the allowed values"
    for name, low, high in (
        ("x", 0, _COLUMNS - 1),
        ("y", 0, None),
        ("width", 1, _COLUMNS),
        ("height", 1, _MOST_HIGH),
    ):
        value = widget.get(name, low)
        if type(value) is not int or value < low or (high is not None and value > high):
            yield f"/{name}: Should be a whole number from {low} to {high or 'any'}"
    if not isinstance(properties, dict):
        yield ": Should have required property 'properties'"
    elif kind == "text":
        if not isinstance(properties.get("markdown"), str):
            yield "/properties: Should have required property 'markdown'"
    elif kind == "alarm":
        yield from _alarms(properties)
    elif kind == "metric":
        yield from _metric(properties)


def _alarms(properties: dict[str, Any]) -> Iterator[str]:
    alarms = properties.get("alarms")
    if not isinstance(alarms, list) or not 1 <= len(alarms) <= _MOST_ALARMS:
        yield f"/properties/alarms: Should have 1 to {_MOST_ALARMS} items"
    elif not all(isinstance(one, str) and _ALARM.fullmatch(one) for one in alarms):
        yield "/properties/alarms: Should be ARNs of alarms"


def _metric(properties: dict[str, Any]) -> Iterator[str]:
    if not isinstance(properties.get("region"), str) or not properties["region"]:
        yield "/properties: Should have required property 'region'"
    if properties.get("view", "timeSeries") not in _VIEWS:
        yield "/properties/view: Should be equal to one of the allowed values"
    if not _STAT.fullmatch(str(properties.get("stat", "Average"))):
        yield "/properties/stat: Should be a statistic"
    if not _is_period(properties.get("period", 300)):
        yield "/properties/period: Should be 1, 5, 10, 30 or a multiple of 60"
    axes = properties.get("yAxis", {})
    if not set(axes) <= _AXES or any(not set(one) <= _AXIS for one in axes.values()):
        yield "/properties/yAxis: Should NOT have additional properties"
    for line in properties.get("annotations", {}).get("horizontal", []):
        if not isinstance(line.get("value"), int | float):
            yield "/properties/annotations/horizontal: Should have a number as value"
    metrics = properties.get("metrics")
    if not isinstance(metrics, list) or not metrics:
        if "annotations" not in properties:
            yield "/properties: Should have required property 'metrics'"
        return
    ids: list[str] = []
    for number, row in enumerate(metrics):
        yield from (f"/properties/metrics/{number}{one}" for one in _row(row, ids))


def _row(row: Any, ids: list[str]) -> Iterator[str]:
    if not isinstance(row, list) or not row:
        yield ": Should be an array"
        return
    options = row[-1] if isinstance(row[-1], dict) else {}
    names = [one for one in row if not isinstance(one, dict)]
    if not set(options) <= _OPTIONS:
        yield ": Should NOT have additional properties"
    if not all(isinstance(one, str) and one for one in names):
        yield ": Should be texts"
    if "expression" in options:
        if names:
            yield ": Should have an expression or a metric, not both"
    elif "..." not in names and (len(names) < _NAMES or len(names) % 2):
        yield ": Should have a namespace, a name and pairs of dimensions"
    identity = options.get("id")
    if identity is not None:
        if identity in ids or not re.fullmatch("[a-z][A-Za-z0-9_]*", str(identity)):
            yield "/id: Should be unique and begin with a small letter"
        ids.append(str(identity))


def _is_period(value: Any) -> bool:
    return type(value) is int and value > 0 and (value in {1, 5, 10, 30} or value % 60 == 0)


RULE: Final = Rule(
    name="dashboard-bodies",
    does="A dashboard is refused if its body is not JSON of the documented form: type, place and"
    " size of each widget, region and metrics with dimensions in pairs, ARNs of alarms.",
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/"
    "CloudWatch-Dashboard-Body-Structure.html",
    caught="nothing yet.",
    install=install,
)
