"""The rehearse machine's real definition, on operations in memory."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from camunda_ecs import show
from lifecycle.errors import ClusterNotFound
from lifecycle.operation.approval import OF_REHEARSAL
from rich.console import Console

from tests.statemachines.engine import Control, run
from tests.statemachines.test_provision import Provision
from tests.support.rehearsal import AT, TRIAL, RehearsalWorld, rehearse_functions
from tests.support.world import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.definitions import Result

FUNCTIONS = tuple(rehearse_functions(RehearsalWorld()))


class Rehearse:
    """The rehearse machine on a cluster that was provisioned."""

    definition = "rehearse"

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.control = Control()
        provision = Provision(monkeypatch)
        self.world = RehearsalWorld()
        provision.world = self.world
        provision.functions = provision._functions()
        assert provision.run().status == "SUCCEEDED"
        self.functions = rehearse_functions(self.world)
        self.on_wait: Callable[[int], None] = self.world.clock.pass_seconds

    def run(self, number: int = 1, **asked: Any) -> Result:
        return run(
            "rehearse",
            self.functions,
            {"clusterName": "demo", **asked},
            monkeypatch=self.monkeypatch,
            on_wait=self.on_wait,
            name=f"demo.rehearse.{number}",
            control=self.control,
        )


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Rehearse:
    return Rehearse(monkeypatch)


def results(result: Result) -> dict[str, str]:
    return {one["name"]: one["result"] for one in result.output["rehearsal"]["checks"]}


def test_a_backup_comes_back_and_its_time_is_known(machine: Rehearse) -> None:
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    found = result.output["rehearsal"]
    assert found["result"] == "PASS"
    assert set(results(result).values()) == {"PASS"}
    assert (found["backup"], found["at"], found["recoverySeconds"]) == (99, AT, 720)
    children = machine.world.children
    assert children.order == ["backup", "restore", "teardown"]
    assert children.requests["restore"] == {
        "clusterName": TRIAL,
        "confirm": TRIAL,
        "from": "demo",
        "backup": 99,
        "parameters": {"Trial": True, "AcceptPlaintext": True},
    }
    assert children.requests["teardown"] == {"clusterName": TRIAL, "confirm": TRIAL}
    assert children.callers == {OF_REHEARSAL}
    # A repeated look finds what an earlier one started.
    assert all(len(keys) == 1 for keys in children.keys.values())
    assert machine.world.questions[-1] == ("remove markers", "demo")
    assert machine.world.table.locks == {}


def test_after_partitions_were_added_the_trial_has_all_of_them(machine: Rehearse) -> None:
    """No provisioning since: the stack of the cluster has the number that it was built with."""
    world = machine.world
    assert machine.run().status == "SUCCEEDED"
    asked = world.children.requests["restore"]
    world.with_backups()
    world.with_partitions_added()
    world.ranges.partitions = 6
    found = world.validator.validate(asked)
    assert (found["plan"]["backup"], found["plan"]["partitions"]) == (99, 6)
    assert found["parameters"]["Partitions"] == "6"


def test_a_dry_run_starts_nothing(machine: Rehearse) -> None:
    result = machine.run(dryRun=True)
    assert result.status == "SUCCEEDED", result.cause
    assert result.calls == ["ValidateRehearsal"]
    plan = result.output["plan"]
    assert any(TRIAL in one for one in plan["steps"])
    assert "3 brokers" in plan["cost"]
    assert machine.world.children.order == []


@pytest.mark.parametrize("verb", ["backup", "restore", "teardown"])
def test_what_fails_is_named_and_the_trial_is_removed(machine: Rehearse, verb: str) -> None:
    world = machine.world
    world.children.ends[verb] = "FAILED"
    world.children.causes[verb] = json.dumps({"cause": "no capacity", "nextStep": "wait"})
    if verb == "restore":
        # It failed on the way: its stack is there.
        world.children.on_end[verb] = world.make_trial
    result = machine.run()
    assert (result.status, result.error) == ("FAILED", "RehearsalFailed")
    cause = json.loads(result.cause)
    assert "ended as FAILED: no capacity" in cause["cause"]
    assert "do not rely on the backups" in cause["nextStep"]
    assert world.questions[-1] == ("remove markers", "demo")
    assert ("teardown" in world.children.order) == (verb != "backup")
    assert ("restore" in world.children.order) == (verb != "backup")
    if verb == "teardown":
        assert f"tear {TRIAL} down" in cause["cause"]
    assert world.table.locks == {}


def test_a_restore_that_made_nothing_leaves_nothing_to_remove(machine: Rehearse) -> None:
    machine.world.children.refuses["restore"] = ClusterNotFound("There is no such cluster.")
    assert machine.run().error == "RehearsalFailed"
    assert "teardown" not in machine.world.children.order


def test_a_marker_that_is_lost_fails_the_rehearsal(machine: Rehearse) -> None:
    del machine.world.found[2]
    result = machine.run()
    assert result.error == "RehearsalFailed"
    assert "markers" in json.loads(result.cause)["cause"]
    assert "teardown" in machine.world.children.order


def test_less_in_the_trial_fails_and_more_warns(machine: Rehearse) -> None:
    machine.world.totals[TRIAL] = 9
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert result.output["rehearsal"]["result"] == "WARN"
    machine.world.children.forget()
    machine.world.totals[TRIAL] = 6
    result = machine.run(2)
    assert result.error == "RehearsalFailed"
    assert "the copy has fewer" in json.loads(result.cause)["cause"]


def test_what_the_exporters_bring_later_is_waited_for(machine: Rehearse) -> None:
    world = machine.world
    world.totals[TRIAL] = 6
    counted = [0]
    real = world.probe.answers["totals"]
    assert callable(real)

    def count(cluster: Any, **given: Any) -> Any:
        if cluster["ClusterName"] == TRIAL:
            counted[0] += 1
            world.totals[TRIAL] = 6 if counted[0] < 3 else 7
        return real(cluster, **given)

    world.probe.answers["totals"] = count
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert result.output["rehearsal"]["result"] == "PASS"
    assert counted[0] == 3


def test_without_markers_it_goes_on_and_warns(machine: Rehearse) -> None:
    machine.world.unanswered = {"plant markers"}
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert results(result)["markers"] == "WARN"


def test_a_busy_cluster_is_waited_for(machine: Rehearse) -> None:
    machine.world.children.busy["backup"] = 4
    assert machine.run().status == "SUCCEEDED"
    machine.world.children.forget()
    machine.world.children.busy["backup"] = 10_000
    result = machine.run(2)
    assert result.error == "RehearsalFailed"
    assert "restore" not in machine.world.children.order[3:]


@pytest.mark.parametrize("verb", ["backup", "restore", "teardown"])
def test_an_operation_whose_state_cannot_be_read_is_waited_for(
    machine: Rehearse, verb: str
) -> None:
    machine.world.children.unknown[verb] = 20
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert machine.world.children.order == ["backup", "restore", "teardown"]


@pytest.mark.parametrize("verb", ["backup", "restore", "teardown"])
def test_a_rehearsal_that_was_stopped_starts_nothing(machine: Rehearse, verb: str) -> None:
    """Lambda runs a function on when its execution is stopped."""
    real = machine.functions["RehearseCluster"]

    def stopped(event: dict[str, Any]) -> Any:
        if event["memory"].get("stage") == verb.upper():
            machine.world.executions.ended.add(event["operation"]["executionArn"])
        return real(event)

    machine.functions["RehearseCluster"] = stopped
    assert machine.run().error == "OperationEnded"
    assert verb not in machine.world.children.order


def test_a_stack_that_still_changes_is_waited_for_before_it_is_removed(machine: Rehearse) -> None:
    world, name = machine.world, f"{CONTROL}-{TRIAL}"

    def make() -> None:
        world.make_trial()
        stack = world.stacks.stacks[name]
        world.stacks.stacks[name] = replace(stack, status="CREATE_IN_PROGRESS")

    def removed() -> None:
        assert world.stacks.stacks[name].status == "CREATE_FAILED"
        world.remove_trial()

    waited = [0]

    def wait(seconds: int) -> None:
        world.clock.pass_seconds(seconds)
        if name in world.stacks.stacks:
            waited[0] += 1
        if waited[0] == 5:
            stack = world.stacks.stacks[name]
            world.stacks.stacks[name] = replace(stack, status="CREATE_FAILED")

    world.children.ends["restore"] = "ABORTED"
    world.children.on_end |= {"restore": make, "teardown": removed}
    machine.on_wait = wait
    result = machine.run()
    assert result.error == "RehearsalFailed"
    assert "ended as ABORTED" in json.loads(result.cause)["cause"]
    assert "tear" not in json.loads(result.cause)["cause"]
    assert name not in world.stacks.stacks


def test_a_trial_that_is_left_is_named_before_anything_is_started(machine: Rehearse) -> None:
    machine.world.make_trial()
    result = machine.run()
    assert result.error == "RehearsalRefused"
    assert TRIAL in json.loads(result.cause)["cause"]
    assert machine.world.children.order == []


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"clusterName": "other"}, "ClusterNotFound"),
        ({"clusterName": "Demo"}, "InvalidRequest"),
        ({"dryRun": "yes"}, "InvalidRequest"),
        ({"confirm": "demo"}, "InvalidRequest"),
    ],
)
def test_what_cannot_be_rehearsed_is_refused(
    machine: Rehearse, given: dict[str, Any], error: str
) -> None:
    result = machine.run(**given)
    assert (result.status, result.error) == ("FAILED", error)
    assert result.calls == ["ValidateRehearsal"]


def shown(output: dict[str, Any]) -> str:
    """What the command line shows of a rehearsal that ended so."""
    console = Console(width=2000, record=True, file=io.StringIO())
    for part in show.rehearsal({"kind": "rehearse", "result": output}):
        console.print(part)
    return console.export_text()


def test_the_command_line_shows_the_plan_of_a_dry_run_and_what_a_rehearsal_showed(
    machine: Rehearse,
) -> None:
    planned = machine.run(dryRun=True).output
    plan = planned["plan"]
    for text in (*plan["steps"], plan["minutes"]["text"], plan["cost"], *plan["warnings"]):
        assert text in shown(planned), text
    output = machine.run().output
    seen = output["rehearsal"]
    for text in (
        f"{seen['recoverySeconds']} s",
        *(f"{one['result']}: {one['seen']}" for one in seen["checks"]),
    ):
        assert text in shown(output), text
    assert show.rehearsal({"kind": "restore", "result": output}) == []
