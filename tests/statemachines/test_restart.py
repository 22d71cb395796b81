"""The restart machine's real definition, on brokers and tasks in memory that really move."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.cluster.freeze import TAG_FROZEN
from lifecycle.errors import AwsUnavailable

from tests.statemachines.engine import Control, run
from tests.support.rolling import VERIFIED, RollingWorld, restart_functions

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.definitions import Function, Result

FUNCTIONS = tuple(restart_functions(RollingWorld()))


class Restart:
    """The restart machine on a running cluster in memory; every wait lets its time pass."""

    definition = "restart"

    def __init__(self, monkeypatch: pytest.MonkeyPatch, brokers: int = 3) -> None:
        self.world = RollingWorld(brokers)
        self.monkeypatch = monkeypatch
        self.control = Control()
        self.on_wait: Callable[[], None] = lambda: None
        self.verification: dict[str, Any] = dict(VERIFIED)
        self.functions = restart_functions(self.world, lambda: self.verification)

    def run(self, number: int = 1, *, late: int = 0, **asked: Any) -> Result:
        """Run it; ``late`` is by how many seconds the clock of ECS is behind Step Functions'."""
        at = self.world.clock.now() + timedelta(seconds=late)

        def started(name: str) -> Function:
            """The execution starts when the clock of this world says, not the engine's."""

            def called(event: dict[str, Any]) -> Any:
                if "operation" in event:
                    event["operation"]["startedAt"] = at.isoformat()
                # Looked up at each call: a function that is killed once is well the next time.
                return self.functions[name](event)

            return called

        def waited(seconds: int) -> None:
            self.world.pass_seconds(seconds)
            self.on_wait()

        return run(
            "restart",
            {name: started(name) for name in self.functions},
            {"clusterName": "demo", "service": "brokers", **asked},
            monkeypatch=self.monkeypatch,
            on_wait=waited,
            name=f"demo.restart.{number}",
            control=self.control,
        )


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Restart:
    return Restart(monkeypatch)


def test_all_brokers_in_turn(machine: Restart) -> None:
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert machine.world.tasks.replaced == [2, 1, 0]
    assert machine.world.whole
    assert result.output["result"] == "SUCCEEDED"
    assert result.output["timeline"][0]["step"] == "Service is restarted"
    assert machine.world.table.locks == {}


def test_a_dry_run_changes_nothing(machine: Restart) -> None:
    result = machine.run(service="brokers", broker=1, dryRun=True)
    assert result.status == "SUCCEEDED", result.cause
    assert result.calls == ["ValidateRestart"]
    assert (result.output["dryRun"], result.output["broker"]) == (True, 1)
    assert machine.world.tasks.deployed == 1
    assert machine.world.table.locks == {}


def test_one_broker(machine: Restart) -> None:
    result = machine.run(broker=1)
    assert result.status == "SUCCEEDED", result.cause
    assert machine.world.tasks.replaced == []
    assert machine.world.running == [0, 1, 2]


def test_connectors(machine: Restart) -> None:
    machine.on_wait = lambda: machine.world.services.settle("connectors")
    result = machine.run(service="connectors")
    assert result.status == "SUCCEEDED", result.cause
    assert machine.world.tasks.deployed == 1


def test_asked_again_it_restarts_again(machine: Restart) -> None:
    machine.run()
    machine.world.pass_seconds(60)
    assert machine.run(2).status == "SUCCEEDED"
    assert machine.world.tasks.replaced == [2, 1, 0, 2, 1, 0]


@pytest.mark.parametrize(
    ("asked", "deployments", "brokers"),
    [({}, 1, 3), ({"broker": 2}, 0, 1), ({"service": "connectors"}, 1, 0)],
)
def test_a_clock_that_is_behind_restarts_nothing_twice(
    machine: Restart, asked: dict[str, Any], deployments: int, brokers: int
) -> None:
    world = machine.world
    machine.on_wait = lambda: world.services.settle("connectors")
    result = machine.run(late=86_400, **asked)
    assert result.status == "SUCCEEDED", result.cause
    assert world.services.deployed == 1 + deployments
    assert world.tasks.started == 3 + brokers


def test_a_wrong_field_changes_nothing(machine: Restart) -> None:
    result = machine.run(broker="all")
    assert (result.status, result.error) == ("FAILED", "InvalidRequest")
    assert "broker: given" in result.cause
    assert result.calls == ["ValidateRestart"]


def test_a_frozen_cluster_is_refused(machine: Restart) -> None:
    assert machine.world.stacks.stack is not None
    machine.world.stacks.stack.tags[TAG_FROZEN] = "year end"  # type: ignore[index]
    assert machine.run().error == "ClusterFrozen"
    assert machine.world.tasks.deployed == 1


def test_a_second_operation_is_refused(machine: Restart) -> None:
    outcome: list[Result] = []

    def second() -> None:
        if not outcome:
            outcome.append(machine.run(2, broker=0))

    machine.on_wait = second
    assert machine.run().status == "SUCCEEDED"
    assert outcome[0].error == "ClusterBusy"


@pytest.mark.parametrize("broker", [None, 2])
@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
def test_a_step_whose_answer_is_lost_is_taken_once(
    machine: Restart, broker: int | None, after: bool
) -> None:
    real, seen = machine.functions["RestartService"], 0

    def dying(event: dict[str, Any]) -> Any:
        nonlocal seen
        seen += 1
        if seen % 2 and not after:
            raise AwsUnavailable("before")
        answer = real(event)
        if seen % 2 and after:
            raise AwsUnavailable("after")
        return answer

    machine.functions["RestartService"] = dying
    asked = {} if broker is None else {"broker": broker}
    result = machine.run(**asked)
    assert result.status == "SUCCEEDED", result.cause
    assert machine.world.tasks.deployed == (2 if broker is None else 1)
    assert machine.world.tasks.started == (6 if broker is None else 4)
    assert machine.world.whole


def test_a_refusal_frees_the_cluster_and_says_what_is_true(machine: Restart) -> None:
    result = machine.run(broker=7)
    assert (result.status, result.error) == ("FAILED", "RestartRefused")
    assert "There is no broker 7" in result.cause
    assert "Stack control-demo is in UPDATE_COMPLETE" in json.loads(result.cause)["currentState"]
    assert machine.world.table.locks == {}


def test_a_failed_check_fails_it(machine: Restart) -> None:
    machine.verification = {**VERIFIED, "result": "FAIL", "failure": "gRPC: nothing answered"}
    result = machine.run(broker=0)
    assert (result.status, result.error) == ("FAILED", "VerificationFailed")
    assert machine.world.table.locks == {}
