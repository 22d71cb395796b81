"""What `make generate` writes of the health checks, and what `make health` prints."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lifecycle.health.catalog import Verdict
from lifecycle.health.verdict import read_request

from tests.support.health import HealthWorld
from tools import generate_health
from tools.generate_parameters import ROOT
from tools.health import EXIT, check, lines


def test_the_tables_are_what_the_code_says() -> None:
    text = generate_health.TARGET.read_text()
    assert generate_health.render(text) == text, "run make generate"


def test_inputs_for_the_console_are_accepted() -> None:
    for path in (ROOT / "events").glob("check-health-*.json"):
        if path.stem != "check-health-all":
            assert read_request(json.loads(path.read_text())).cluster == "demo"


class States:
    """Step Functions, with one machine and what it ends with."""

    def __init__(self, answer: dict[str, Any], name: str = "control-check_health") -> None:
        self.answer = answer
        self.arn = f"arn:aws:states:r:1:stateMachine:{name}"

    def get_paginator(self, name: str) -> States:
        assert name == "list_state_machines"
        return self

    def paginate(self) -> list[dict[str, Any]]:
        return [{"stateMachines": [{"stateMachineArn": self.arn}]}]

    def start_sync_execution(self, **given: str) -> dict[str, Any]:
        assert given == {"stateMachineArn": self.arn, "input": '{"clusterName": "demo"}'}
        return self.answer


def test_the_report_is_printed_worst_first() -> None:
    world = HealthWorld()
    world.simulated.exporting = "PAUSED"
    world.database.running, world.cloud.status = False, "stopped"
    states = States({"status": "SUCCEEDED", "output": json.dumps(dict(world.check()))})
    printed = [str(line) for line in lines(check(states, "control", "demo"))]
    assert printed[0].startswith("demo is DOWN   checked 2026-01-01T00:05")
    firsts = [line.split()[0] for line in printed[1:] if not line.startswith(" ")]
    assert firsts == ["DOWN", "DEGRADED", "INFO"]
    assert any("docs/runbook.md#database_down" in line for line in printed)


@pytest.mark.parametrize(
    ("states", "told"),
    [
        (States({}, name="other"), "is the control stack deployed"),
        (
            States({"status": "FAILED", "error": "ClusterNotFound", "cause": "no"}),
            "ClusterNotFound",
        ),
        (States({"status": "TIMED_OUT"}), "TIMED_OUT"),
    ],
)
def test_no_verdict_is_told_as_such(states: States, told: str) -> None:
    with pytest.raises(LookupError, match=told):
        check(states, "control", "demo")


def test_every_verdict_has_an_exit_code() -> None:
    assert set(EXIT) == set(Verdict)
    assert sorted(EXIT.values()) == [0, 1, 2, 3]
