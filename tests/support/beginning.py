"""The function that every changing machine calls first, on a world in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.operation.approval import SecondApprover

from tests.support.definitions import load_handler

if TYPE_CHECKING:
    from tests.support.definitions import Function


def approver(world: Any) -> SecondApprover:
    """The rule of two people, for the machines in ``two_people_for`` of a world."""
    return SecondApprover(
        operations=world.table,
        executions=world.executions,
        clock=world.clock,
        machines=getattr(world, "two_people_for", frozenset()),
        personal_sessions=("AWSReservedSSO_*",),
    )


def begin_operation(world: Any) -> Function:
    """Load the function; the world is any that has a table, executions, a clock and a journal."""
    return load_handler(
        "begin_operation",
        journal=lambda: world.journal,
        announcer=lambda: world.announcer,
        second_approver=lambda: approver(world),
    )
