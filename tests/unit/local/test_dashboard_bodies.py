"""The rule about bodies of dashboards, and that it accepts ours."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from local.aws.strict.dashboard_bodies import refusal
from tests.unit.templates.test_dashboards import BODIES

ALARM = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:verdict"
METRIC: dict[str, Any] = {
    "type": "metric",
    "x": 0,
    "y": 0,
    "width": 24,
    "height": 6,
    "properties": {"region": "eu-central-1", "metrics": [["AWS/RDS", "CPUUtilization", "A", "b"]]},
}


def body(**changed: Any) -> str:
    return json.dumps({"widgets": [{**METRIC, **changed}]})


def metric(**changed: Any) -> str:
    return body(properties={**METRIC["properties"], **changed})


@pytest.mark.parametrize("name", BODIES)
def test_our_dashboards_are_accepted(name: str) -> None:
    text = re.sub(r'"(att\()?(\w+)\.Arn\)?"', f'"{ALARM}"', json.dumps(BODIES[name]))
    assert refusal(text) == ""


@pytest.mark.parametrize(
    "given",
    [
        body(),
        body(type="text", properties={"markdown": "# x"}),
        body(type="alarm", properties={"alarms": [ALARM]}),
        metric(metrics=[["...", "x"], [{"expression": "a + b", "id": "c"}]], stat="p99.9"),
        metric(annotations={"horizontal": [{"value": 3}]}, yAxis={"left": {"min": 0}}),
    ],
)
def test_a_body_of_the_documented_form_is_accepted(given: str) -> None:
    assert refusal(given) == ""


@pytest.mark.parametrize(
    "given",
    [
        "{",
        "[]",
        json.dumps({"widgets": {}}),
        json.dumps({"widgets": [METRIC] * 501}),
        json.dumps({"widgets": ["x"]}),
        body(type="metrics"),
        body(x=24),
        body(x=-1),
        body(width=25),
        body(height=0),
        body(y="0"),
        body(properties=None),
        body(type="text", properties={}),
        body(type="alarm", properties={"alarms": []}),
        body(type="alarm", properties={"alarms": ["verdict"]}),
        body(type="alarm", properties={"alarms": [ALARM] * 101}),
        body(properties={"metrics": METRIC["properties"]["metrics"]}),
        metric(metrics=[]),
        metric(metrics=["AWS/RDS"]),
        metric(metrics=[["AWS/RDS"]]),
        metric(metrics=[["AWS/RDS", "CPUUtilization", "A"]]),
        metric(metrics=[["AWS/RDS", "CPUUtilization", {"statistic": "Sum"}]]),
        metric(metrics=[["AWS/RDS", "CPUUtilization", {"expression": "a"}]]),
        metric(metrics=[[{"expression": "a", "id": "A"}]]),
        metric(metrics=[[{"expression": "a", "id": "a"}], [{"expression": "b", "id": "a"}]]),
        metric(view="line"),
        metric(stat="Max"),
        metric(period=90),
        metric(yAxis={"top": {}}),
        metric(yAxis={"left": {"unit": "Count"}}),
        metric(annotations={"horizontal": [{"label": "x"}]}),
    ],
)
def test_another_body_is_refused(given: str) -> None:
    assert refusal(given)
