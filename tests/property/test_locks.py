"""No two operations act on an ECS cluster at once, and none is blocked for long.

Executions begin, end and are stopped at any time; their functions act, return, or are killed, and
Lambda lets one run on to its deadline when its execution was stopped.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from lifecycle.errors import ClusterBusy, LockLost, OperationEnded
from lifecycle.observability import entry_point
from lifecycle.operation.journal import Journal
from lifecycle.operation.model import FUNCTION_SECONDS, Operation

from tests.fakes.dynamodb import FakeTable
from tests.fakes.stepfunctions import FakeExecutions

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = st.integers(1, 3)
ECS_CLUSTER = "control-demo"


@dataclass
class Clock:
    at: datetime = START

    def now(self) -> datetime:
        return self.at


@dataclass
class Running:
    """A function that acts: for whom, and when Lambda ends it."""

    owner: str
    until: datetime
    token: str


@dataclass
class Context:
    """What Lambda hands to a handler: how long it may run, and which call it is."""

    remaining: float
    aws_request_id: str
    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:r:1:function:function"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.remaining * 1000)


class Killed(BaseException):
    """The function's process is gone: nothing after this line runs."""


@dataclass
class Executions(FakeExecutions):
    others_run: bool = True


class Locks(RuleBasedStateMachine):
    """Operations under two names for one ECS cluster."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.table, self.executions = Clock(), FakeTable(), Executions()
        self.journal = Journal(self.table, self.table, self.executions, self.clock)
        self.acts: list[Running] = []
        self.calls = 0

    def operation(self, number: int) -> Operation:
        name = f"{'demo' if number % 2 else 'alias'}.scale.{number}"
        arn = f"arn:aws:states:r:1:execution:control-scale:{name}"
        return Operation(name, arn, name.partition(".")[0], "scale", "now", ECS_CLUSTER)

    def call(self, number: int, seconds: int, act: Callable[[Operation], None]) -> Running | None:
        """Call a function of an operation; it has begun to act, or was refused."""
        operation = self.operation(number)
        self.calls += 1
        one = Running(
            operation.execution_arn,
            self.clock.at + timedelta(seconds=seconds),
            f"call-{self.calls}",
        )

        @entry_point
        def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
            act(operation)
            self.acts.append(one)
            raise Killed  # it goes on acting; `returns` lets it end as it should

        with contextlib.suppress(ClusterBusy, LockLost, OperationEnded, Killed):
            # Without `operation` in its event the entry point clears nothing, as in a killed one.
            handler({}, Context(seconds, one.token))  # type: ignore[arg-type]
        return one if one in self.acts else None

    @rule(number=NUMBERS, seconds=st.integers(1, FUNCTION_SECONDS))
    def begins(self, number: int, seconds: int) -> None:
        self.call(number, seconds, self.journal.begin)

    @rule(number=NUMBERS, seconds=st.integers(1, FUNCTION_SECONDS))
    def takes_a_step(self, number: int, seconds: int) -> None:
        self.call(number, seconds, lambda one: self.journal.step(one, "Step", "a step"))

    @precondition(lambda self: self.acts)
    @rule(data=st.data())
    def returns(self, data: st.DataObject) -> None:
        """A function that acts comes to its end, and its entry point notes that."""
        one = data.draw(st.sampled_from(self.acts))
        self.acts.remove(one)
        held = self.table.locks.get(ECS_CLUSTER)
        for noted in held.acting if held is not None else ():
            if noted.token == one.token:
                self.table.settle(ECS_CLUSTER, one.owner, noted)

    @precondition(lambda self: self.acts)
    @rule(data=st.data())
    def is_killed(self, data: st.DataObject) -> None:
        """A function's process is gone, and its deadline stays in the lock."""
        self.acts.remove(data.draw(st.sampled_from(self.acts)))

    @rule(number=NUMBERS)
    def is_stopped(self, number: int) -> None:
        self.executions.ended.add(self.operation(number).execution_arn)

    @rule(number=NUMBERS)
    def is_started_again(self, number: int) -> None:
        self.executions.ended.discard(self.operation(number).execution_arn)

    @rule(number=NUMBERS)
    def is_cleaned_up(self, number: int) -> None:
        operation = self.operation(number)
        if operation.execution_arn in self.executions.ended:
            self.journal.give_back(operation)

    @rule(seconds=st.integers(1, FUNCTION_SECONDS))
    def time_passes(self, seconds: int) -> None:
        self.clock.at += timedelta(seconds=seconds)
        # Lambda ends what reaches its time-out.
        self.acts = [one for one in self.acts if one.until > self.clock.at]

    @invariant()
    def one_operation_acts_at_a_time(self) -> None:
        owners = {one.owner for one in self.acts}
        assert len(owners) <= 1, owners

    @invariant()
    def whoever_acts_holds_the_lock(self) -> None:
        held = self.table.locks.get(ECS_CLUSTER)
        for one in self.acts:
            assert held is not None
            assert held.owner == one.owner
            assert any(
                noted.token == one.token and noted.until >= one.until.timestamp()
                for noted in held.acting
            )

    def teardown(self) -> None:
        """What ended blocks nobody for longer than a function may still act."""
        for number in (1, 2, 3):
            self.executions.ended.add(self.operation(number).execution_arn)
        last = max((one.until for one in self.acts), default=self.clock.at)
        held = self.table.locks.get(ECS_CLUSTER)
        noted = max((one.until for one in held.acting), default=0) if held is not None else 0
        now = int(self.clock.at.timestamp())
        assert noted <= now + FUNCTION_SECONDS + 1
        self.clock.at = max(last, datetime.fromtimestamp(noted, UTC), self.clock.at)
        self.acts = []
        self.journal.begin(self.operation(9))


def test_no_two_operations_act_at_once_and_none_is_blocked() -> None:
    run_state_machine_as_test(Locks, settings=settings(max_examples=150, stateful_step_count=30))


def test_the_entry_point_notes_deadline_and_return() -> None:
    world = Locks()
    operation = world.operation(1)
    seen: list[Any] = []

    def handler(outcome: BaseException | None) -> Callable[..., Any]:
        @entry_point
        def run(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
            world.journal.step(operation, "Step", "one")
            world.journal.step(operation, "Step", "two")
            seen.append(world.table.locks[ECS_CLUSTER].acting)
            if outcome is not None:
                raise outcome
            return {}

        return run

    event = {"operation": {"id": operation.operation_id, "cluster": "demo"}}
    now = int(START.timestamp())
    handler(None)(event, Context(20, "a"))
    with contextlib.suppress(ZeroDivisionError):
        handler(ZeroDivisionError())(event, Context(900, "b"))
    assert [sorted((one.token, one.until - now) for one in acting) for acting in seen] == [
        [("a", 21)],
        [("b", FUNCTION_SECONDS + 1)],
    ]
    assert world.table.locks[ECS_CLUSTER].acting == frozenset()
    world.executions.ended.add(operation.execution_arn)
    world.journal.begin(world.operation(2))
    assert world.table.locks[ECS_CLUSTER].owner == world.operation(2).execution_arn


def test_a_return_that_cannot_be_noted_is_no_error_and_the_deadline_holds() -> None:
    world = Locks()
    operation = world.operation(1)

    @entry_point
    def run(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
        world.journal.step(operation, "Step", "one")
        world.table.settle = None  # type: ignore[assignment,method-assign]
        return {"done": True}

    assert run({"operation": {"id": "x"}}, Context(20, "a")) == {"done": True}  # type: ignore[arg-type]
    world.executions.ended.add(operation.execution_arn)
    with contextlib.suppress(ClusterBusy):
        world.journal.begin(world.operation(2))
        raise AssertionError
    world.clock.at += timedelta(seconds=21)
    world.journal.begin(world.operation(2))
