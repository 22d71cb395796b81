"""The interpreter stands in for the engine: every scenario of the machines ends alike on both."""

from __future__ import annotations

import inspect
import itertools
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import moto.stepfunctions.parser.asl.component.common.retry.jitter_strategy_decl as jitter
import pytest

from tests.statemachines import test_provision, test_restart, test_scale
from tests.statemachines.engine import run
from tests.support.interpreter import Execution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    from tests.support.definitions import Function, Result

TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+]00:00)?")

pytestmark = pytest.mark.statemachine


# The clean-up after an execution, which none runs in.
NOT_COMPARED = {"test_an_aborted_operation_leaves_no_protection_behind"}


def scenarios(module: ModuleType) -> Iterator[Any]:
    """Every test of a module, with each set of its parameters, and of fixtures one."""
    for name, found in vars(module).items():
        if inspect.isclass(found) and name.startswith("Test"):
            instance = found()
            tests = [getattr(instance, one) for one in vars(found) if one.startswith("test_")]
        elif name.startswith("test_"):
            tests = [found]
        else:
            tests = []
        for test in tests:
            if test.__name__ in NOT_COMPARED:
                continue
            for values in parameters(test):
                label = "-".join(map(str, (test.__qualname__, *values.values())))
                yield pytest.param(module, test, values, id=f"{module.__name__}.{label}"[:120])


def parameters(test: Callable[..., None]) -> Iterator[dict[str, Any]]:
    marks = [one for one in getattr(test, "pytestmark", []) if one.name == "parametrize"]
    columns = []
    for mark in marks:
        names, rows = mark.args
        several = isinstance(names, tuple)
        columns.append(
            [dict(zip(names, row, strict=True)) if several else {names: row} for row in rows]
        )
    for chosen in itertools.product(*columns):
        yield {name: value for one in chosen for name, value in one.items()}


def fixtures(test: Callable[..., None], patch: pytest.MonkeyPatch) -> dict[str, Any]:
    made: dict[str, Callable[[], Any]] = {
        "monkeypatch": lambda: patch,
        "scale": lambda: test_scale.Scale(patch, "8.9"),
        "adding": lambda: test_scale.Scale(patch, "8.10"),
        "machine": lambda: test_restart.Restart(patch),
        "provision": lambda: test_provision.Provision(patch),
    }
    return {name: made[name]() for name in inspect.signature(test).parameters if name in made}


def comparable(result: Result) -> Result:
    """Without times of day, which are those of this machine."""
    hidden = json.loads(TIME.sub("a time", json.dumps(result.output)))
    return replace(result, output=hidden)


def walk(machine: str, functions: Mapping[str, Function], given: Any, **more: Any) -> Result:
    """Run a definition as the engine's ``run`` does."""
    del more["monkeypatch"]
    control = more.pop("control", None)
    if control is not None:
        # An execution is stopped by taking no more steps: such a scenario cannot be compared.
        control.stop = lambda: pytest.fail("name the scenario in NOT_COMPARED")
    # As in the engine, which reads the clock of this machine.
    return Execution(
        machine, functions, given, started_at=datetime.now(UTC).isoformat(), **more
    ).run()


@pytest.mark.parametrize(
    ("module", "test", "values"),
    [one for module in (test_scale, test_restart, test_provision) for one in scenarios(module)],
)
def test_every_scenario_takes_the_same_states_to_the_same_end(
    module: ModuleType, test: Callable[..., None], values: dict[str, Any]
) -> None:
    # The engine takes a random part of each interval of a retry.
    whole = SimpleNamespace(uniform=lambda _least, most: most)
    taken = []
    for runs in (run, walk):
        results: list[Result] = []

        def recorded(*given: Any, **more: Any) -> Result:
            result: Result = runs(*given, **more)  # noqa: B023 - called before the next one
            results.append(result)  # noqa: B023
            return result

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jitter, "random", whole)
            patch.setattr(module, "run", recorded)
            test(**values, **fixtures(test, patch))
        taken.append(results)
    assert taken[0], "the scenario runs no machine: name it in NOT_COMPARED"
    assert [comparable(one) for one in taken[1]] == [comparable(one) for one in taken[0]]
