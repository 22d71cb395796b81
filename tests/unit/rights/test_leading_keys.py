"""Which keys of the table a function may touch, held against the keys that the adapters write."""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any
from unittest import mock

import pytest
from lifecycle.adapters.aws import dynamodb
from lifecycle.adapters.aws.dynamodb import DynamoTable
from lifecycle.operation.model import Lock, Operation
from lifecycle.operation.record import Stored

from local.aws.strict.leading_keys import leading_keys
from tests.unit.rights.statements import TEMPLATES, content, of, statements

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "dynamodb:LeadingKeys"
# They name an item, so IAM knows its key. A request that names none is not restricted at all.
OF_AN_ITEM = {
    f"dynamodb:{one}Item" for one in ("Get", "Put", "Update", "Delete", "BatchGet", "BatchWrite")
}
OF_PLANS = ("RenderPlan", "FailPlan", "PlanScale", "PlanTeardown")
# As the API names executions, and as the console does.
NAMES = ("demo.plan.k", "6f1f6f3a-4d3e-4b5e-9c55-0d7d3c1f2a10")


def patterns(function: str) -> list[str]:
    """Keys that the function's statements with a condition on them allow."""
    return [
        pattern
        for statement in of(function)
        for pattern in statement.content.get("Condition", {})
        .get("ForAllValues:StringLike", {})
        .get(KEY, [])
    ]


def keys(act: Any) -> set[str]:
    """Partition keys of every request that ``act`` makes on a table."""
    api = mock.MagicMock()
    api.get_item.return_value = {}
    api.exceptions.ConditionalCheckFailedException = KeyError
    declared = content()["Resources"]["Table"]["Properties"]
    with mock.patch.object(dynamodb, "client", return_value=api):
        act(DynamoTable("table"))
    return {
        key for call in api.method_calls for key in leading_keys(call.kwargs, lambda _: declared)
    }


def operation(name: str, machine: str) -> Operation:
    return Operation(name, f"arn:aws:states:::execution:{name}", "demo", machine, "now")


def recorded(name: str, machine: str) -> set[str]:
    """Keys of an operation's record, as its machine's functions read and write it."""
    one = operation(name, machine)

    def act(table: DynamoTable) -> None:
        table.find(one.operation_id, machine)
        table.begin(one, now=NOW)
        table.progress(one, step="a step", detail="", now=NOW)
        table.end(one, result="SUCCEEDED", report=Stored("key", "v1", "abc"), now=NOW)

    return keys(act)


def allowed(function: str, found: set[str]) -> set[str]:
    return {key for key in found if any(fnmatchcase(key, one) for one in patterns(function))}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("function", OF_PLANS)
def test_a_plans_functions_reach_its_record_whatever_the_execution_is_called(
    function: str, name: str
) -> None:
    found = recorded(name, "plan")
    assert len(found) == 1
    assert allowed(function, found) == found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("function", OF_PLANS)
def test_a_plans_functions_reach_neither_a_lock_nor_another_machines_record(
    function: str, name: str
) -> None:
    lock = keys(lambda table: table.take(Lock("demo", "arn", name, 1)))
    others = lock.union(
        *(
            recorded(name, one)
            for one in (
                "provision",
                "scale",
                "restart",
                "rotate",
                "manage",
                "backup",
                "restore",
                "teardown",
            )
        )
    )
    assert len(others) == 9
    assert allowed(function, others) == set()


def test_whoever_may_delete_an_empty_stack_takes_its_lock_and_nothing_else() -> None:
    lock = keys(lambda table: table.take(Lock("demo", "discard:x", "x", 1)))
    assert allowed("DiscardPlan", lock) == lock
    assert allowed("DiscardPlan", recorded("x", "plan") | recorded("x", "scale")) == set()


def test_a_condition_on_keys_stands_only_where_a_request_has_keys() -> None:
    conditioned = {
        function: [one for one in of(function) if KEY in str(one.content)]
        for function in (*OF_PLANS, "DiscardPlan", "JudgeHealth")
    }
    assert all(conditioned.values())
    for template in TEMPLATES:
        for statement in statements(template):
            if KEY in str(statement.content):
                assert set(statement.actions) <= OF_AN_ITEM, str(statement)
