"""The rule that ends an execution whose history is full, and how far the machines are from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from lifecycle.cluster.polling import next_wait
from lifecycle.scaling.decision import next_look

from local.aws.strict.history_size import LIMIT, counted, events_on_aws
from tools.generate_parameters import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

# An answer of AWS, or of a broker, takes its time; the fastest look is not free.
FUNCTION_SECONDS = 1
MACHINES = (
    "plan",
    "provision",
    "scale",
    "restart",
    "rotate",
    "manage",
    "backup",
    "restore",
    "rehearse",
    "teardown",
)


def history(kind: str, times: int) -> dict[str, Any]:
    """An execution to which events of one kind were added."""
    execution: dict[str, Any] = {"stateMachineArn": "arn:none", "events": []}
    add = counted(lambda one, event, _: one["events"].append(event))
    for _ in range(times):
        add(execution, kind)
    return execution


def test_an_execution_may_have_24999_events() -> None:
    assert len(history("WaitStateEntered", LIMIT - 1)["events"]) == LIMIT - 1


def test_its_25000th_event_ends_it() -> None:
    with pytest.raises(Exception, match=r"maximum number of history events \(25000\)"):
        history("WaitStateEntered", LIMIT)


def test_a_task_that_is_scheduled_is_two_events() -> None:
    with pytest.raises(Exception, match="maximum number"):
        history("TaskScheduled", LIMIT // 2)


def test_success_may_be_the_25000th() -> None:
    execution = history("WaitStateEntered", LIMIT - 1)
    counted(lambda one, event, _: one["events"].append(event))(execution, "ExecutionSucceeded")
    assert execution["events"][-1] == "ExecutionSucceeded"


def loops(states: dict[str, Any]) -> Iterator[list[str]]:
    """Every way from a Wait back to it, without the error paths."""

    def onwards(name: str) -> list[str]:
        state = states[name]
        choices = [choice["Next"] for choice in state.get("Choices", [])]
        return [one for one in (state.get("Next"), state.get("Default"), *choices) if one]

    def walk(path: list[str]) -> Iterator[list[str]]:
        for following in onwards(path[-1]):
            if following == path[0]:
                yield path
            elif following not in path:
                yield from walk([*path, following])

    for name, state in states.items():
        if state["Type"] == "Wait":
            yield from walk([name])


def events(path: list[str], states: dict[str, Any]) -> int:
    """Events that one turn of a loop writes."""
    kinds = ["StateEntered", "StateExited"] * len(path)
    for name in path:
        if states[name]["Type"] == "Task":
            kinds += ["TaskScheduled", "TaskSucceeded"]
    return events_on_aws(kinds)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_machine_that_waits_for_one_thing_times_out_before_its_history_is_full(
    machine: str,
) -> None:
    definition = yaml.safe_load((ROOT / "statemachines" / f"{machine}.asl.yaml").read_text())
    states, left = definition["States"], definition["TimeoutSeconds"]
    waiting = [
        path for path in loops(states) if [states[name]["Type"] for name in path].count("Task") == 1
    ]
    assert waiting
    turns = 0
    while left > 0:
        turns += 1
        wait = next_look(turns) if machine == "scale" else next_wait(turns, near_end=True)
        left -= wait + FUNCTION_SECONDS
    assert {path[0] for path in waiting if turns * events(path, states) >= LIMIT} == set()
