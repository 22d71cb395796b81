"""How long functions run, beside what machines and locks take for granted of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from lifecycle.operation.model import FUNCTION_SECONDS, LOCK_SECONDS

from tools.generate_parameters import ROOT, load_template

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE = load_template(ROOT / "template.yaml")
MACHINES = sorted((ROOT / "statemachines").glob("*.asl.yaml"))


def seconds(function: str) -> int:
    """The time-out of a function."""
    own = TEMPLATE["Resources"][function]["Properties"]
    return int(own.get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"]))


def calls(states: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Each task that calls a function: its name, the function, the task's time-out."""
    for name, state in states.items():
        for branch in state.get("Branches", ()):
            yield from calls(branch["States"])
        if state["Type"] == "Task" and state["Resource"].endswith("lambda:invoke"):
            function = state["Arguments"]["FunctionName"].strip("${}")
            yield name, function, state["TimeoutSeconds"]


@pytest.mark.parametrize("machine", MACHINES, ids=[one.name for one in MACHINES])
def test_a_function_has_ended_when_its_task_gives_up(machine: Any) -> None:
    found = list(calls(yaml.safe_load(machine.read_text())["States"]))
    late = [(name, seconds(function), most) for name, function, most in found]
    assert [one for one in late if one[1] > one[2]] == []


def test_the_lock_of_an_operation_that_ended_waits_for_the_longest_function() -> None:
    functions = [
        name
        for name, one in TEMPLATE["Resources"].items()
        if one["Type"] == "AWS::Serverless::Function"
    ]
    assert max(map(seconds, functions)) == FUNCTION_SECONDS
    assert LOCK_SECONDS > FUNCTION_SECONDS
