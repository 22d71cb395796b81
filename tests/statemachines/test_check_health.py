"""The check machine's definition with the real handlers: a side that fails hides nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.stack import Stack
from lifecycle.errors import AwsUnavailable
from lifecycle.health.collect_aws import HealthObserver
from lifecycle.health.locate import ClusterLocator

from tests.fakes.cloudformation import FakeStacks
from tests.statemachines.engine import run
from tests.support.definitions import ROOT, Function, Result, load_handler
from tests.support.health import HealthWorld, codes
from tests.support.world import CONTROL, DEFINITIONS, TestClock

LIMIT_SECONDS = 25


class Check:
    """The machine on a cluster in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # The engine says when an execution started, by the clock on the wall.
        self.health = HealthWorld(clock=TestClock(datetime.now(UTC)))
        self.health.cloud.now = self.health.clock.now()
        self.monkeypatch = monkeypatch
        health = self.health
        stacks = FakeStacks()
        stacks.stacks["control-demo"] = Stack(
            stack_id="arn:stack:demo",
            name="control-demo",
            status="UPDATE_COMPLETE",
            reason="",
            parameters={},
            outputs=ClusterOutputs(health.outputs),
            tags={"camunda:control-plane": CONTROL, "camunda:cluster": "demo"},
        )
        locator = ClusterLocator(stacks=stacks, control_stack=CONTROL)
        self.functions: dict[str, Function] = {
            "LocateCluster": load_handler("locate_cluster", cluster_locator=lambda: locator),
            "ProbeHealth": load_handler("probe_health", health_prober=lambda: health.prober),
            "ObserveHealth": load_handler(
                "observe_health",
                health_observer=lambda: HealthObserver(health.cloud, lambda: DEFINITIONS),
            ),
            "JudgeHealth": load_handler("judge_health", health_judge=lambda: health.judge),
        }

    def run(self, given: Any = None) -> Result:
        return run(
            "check_health",
            self.functions,
            {"clusterName": "demo"} if given is None else given,
            monkeypatch=self.monkeypatch,
        )

    def fails(self, function: str, error: Exception, times: int = 99) -> None:
        real, left = self.functions[function], [error] * times

        def failing(event: dict[str, Any]) -> Any:
            if left:
                raise left.pop()
            return real(event)

        self.functions[function] = failing


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Check:
    return Check(monkeypatch)


def test_a_cluster_that_is_well(check: Check) -> None:
    result = check.run()
    assert result.status == "SUCCEEDED", result.cause
    assert (result.output["verdict"], result.output["recorded"]) == ("HEALTHY", True)
    assert sorted(result.calls[1:3]) == ["ObserveHealth", "ProbeHealth"]


@pytest.mark.parametrize(
    ("function", "hidden", "seen"),
    [
        ("ProbeHealth", "topology", "connectors"),
        ("ObserveHealth", "services", "topology"),
    ],
)
def test_a_side_that_fails_is_unknown_and_the_other_is_told(
    check: Check, function: str, hidden: str, seen: str
) -> None:
    check.health.simulated.exporting = "PAUSED"
    check.health.cloud.connectors |= {"desired": 0, "running": 0}
    check.fails(function, RuntimeError("out of memory"))
    result = check.run()
    assert result.status == "SUCCEEDED", result.cause
    assert result.output["verdict"] != "HEALTHY"
    told = codes(result.output)
    assert told & {"SOURCE_UNAVAILABLE", "BROKERS_UNREACHABLE"}, hidden
    assert told & {"EXPORTING_PAUSED", "CONNECTORS_STOPPED"}, seen


def test_both_sides_fail(check: Check) -> None:
    for function in ("ProbeHealth", "ObserveHealth"):
        check.fails(function, RuntimeError("no network"))
    result = check.run()
    assert (result.status, result.output["verdict"]) == ("SUCCEEDED", "DOWN")


@pytest.mark.parametrize("given", [{"clusterName": "nobody"}, {"clusterName": 3}, {}, []])
def test_what_cannot_be_checked_fails_by_name(check: Check, given: Any) -> None:
    result = check.run(given)
    assert result.status == "FAILED"
    assert result.error in {"ClusterNotFound", "InvalidRequest"}
    assert result.calls == ["LocateCluster"]
    cause = json.loads(result.cause)
    assert set(cause) == {"cause", "nextStep", "currentState"}
    assert "stackTrace" not in result.cause


def test_a_judge_that_was_throttled_is_asked_again(check: Check) -> None:
    check.fails("JudgeHealth", AwsUnavailable("DynamoDB answered 503"), times=2)
    assert check.run().status == "SUCCEEDED"


def test_a_judge_that_cannot_write_makes_the_execution_fail(check: Check) -> None:
    check.fails("JudgeHealth", AwsUnavailable("DynamoDB answered 503"))
    result = check.run()
    assert result.error == "AwsUnavailable"
    cause = json.loads(result.cause)
    assert cause["cause"] == "DynamoDB answered 503"
    assert cause["nextStep"] == AwsUnavailable.default_next_step
    assert cause["currentState"] == "Nothing was changed, and no result was stored."


def test_it_is_over_within_its_time() -> None:
    """The longest way through, without retries: each task at its limit."""
    machine = yaml.safe_load((ROOT / "statemachines" / "check_health.asl.yaml").read_text())
    assert machine["TimeoutSeconds"] == LIMIT_SECONDS
    states = machine["States"]
    branches = [branch["States"] for branch in states["Observe"]["Branches"]]
    looks = [
        one["TimeoutSeconds"] for branch in branches for one in branch.values() if "Resource" in one
    ]
    judge = states["JudgeHealth"]["TimeoutSeconds"]
    # Locating takes a moment or fails; what is late there must not cost the verdict.
    assert max(looks) + judge <= LIMIT_SECONDS


def test_functions_end_before_their_tasks() -> None:
    from tools.generate_parameters import load_template

    template = load_template(ROOT / "template.yaml")["Resources"]
    text = json.dumps(
        yaml.safe_load((ROOT / "statemachines" / "check_health.asl.yaml").read_text())
    )
    for function in ("LocateCluster", "ProbeHealth", "ObserveHealth", "JudgeHealth"):
        limit = template[function]["Properties"]["Timeout"]
        assert (
            f'"TimeoutSeconds": {limit}, "Arguments": {{"FunctionName": "${{{function}}}"' in text
        )
