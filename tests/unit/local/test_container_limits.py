"""What ECS does not register is not registered here either."""

from __future__ import annotations

from typing import Any

import pytest

from local.aws.shapes import api_parameters
from local.aws.strict.container_limits import refusal
from tests.unit.templates.resolver import resolve
from tests.unit.templates.test_collector import WORKSPACE


def task(*containers: dict[str, Any]) -> dict[str, Any]:
    return {"cpu": "1024", "memory": "2048", "containerDefinitions": list(containers)}


@pytest.mark.parametrize(
    ("containers", "named"),
    [
        ([{"name": "a", "cpu": 1000}, {"name": "b", "cpu": 25}], "cpu of all containers, 1025"),
        ([{"name": "a", "memory": 2049}], "memory of all containers, 2049"),
        ([{"name": "a", "essential": False}], "any essential"),
        (
            [{"name": "a", "restartPolicy": {"enabled": True, "restartAttemptPeriod": 59}}],
            "Invalid restartAttemptPeriod 59 of container a",
        ),
        (
            [{"name": "a", "restartPolicy": {"enabled": True, "restartAttemptPeriod": 1801}}],
            "60 to 1800",
        ),
    ],
)
def test_what_breaks_a_limit(containers: list[dict[str, Any]], named: str) -> None:
    assert named in refusal(task(*containers))


def test_what_fits() -> None:
    assert refusal(task({"name": "a", "memory": 2048, "cpu": 1024}, {"name": "b"})) == ""
    assert refusal(task({"name": "a", "restartPolicy": {"enabled": True}})) == ""
    # A task without a size of its own, as tests register them.
    assert refusal({"containerDefinitions": [{"name": "a", "memory": 512}]}) == ""


@pytest.mark.parametrize("workspace", [WORKSPACE, ""])
def test_a_broker_s_task_fits(workspace: str) -> None:
    made = resolve("cluster", PrometheusWorkspaceArn=workspace)
    definition = made.properties("OrchestrationTaskDefinition")
    assert refusal(api_parameters("ecs", "RegisterTaskDefinition", dict(definition))) == ""
