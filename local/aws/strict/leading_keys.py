"""DynamoDB passes IAM the partition keys of a request."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import dynamodb, iam_actions
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from local.aws.strict import Strictness

type Tables = Callable[[str], Mapping[str, Any] | None]

_EQUALS: Final = re.compile(r"([#\w.-]+)\s*=\s*(:\w+)")


def install(_strictness: Strictness) -> None:
    """Put the condition key beside those that the emulator derives from a request."""
    iam_actions.dynamodb_service_context = _with_leading_keys(iam_actions.dynamodb_service_context)


def _with_leading_keys(own: Any) -> Any:
    def context(body: bytes) -> dict[str, Any]:
        found: dict[str, Any] = own(body)
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            return found
        keys = leading_keys(request, dynamodb.tables.get)
        # A request without an item, such as Scan, has no such key in its context at all.
        return found | {"dynamodb:LeadingKeys": keys} if keys else found

    return context


def leading_keys(request: Mapping[str, Any], tables: Tables) -> list[str]:
    """Values of the partition key of every item that a request names, in its order."""
    return [key for one in _requests(request) if (key := _leading_key(one, tables)) is not None]


def _requests(request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Requests for one item each, as GetItem, PutItem and Query have them."""
    for member in request.get("TransactItems", []):
        yield from member.values()
    for table, batch in request.get("RequestItems", {}).items():
        if isinstance(batch, list):
            yield from ({"TableName": table, **one} for entry in batch for one in entry.values())
        else:
            yield from ({"TableName": table, "Key": key} for key in batch.get("Keys", []))
    yield request


def _leading_key(request: Mapping[str, Any], tables: Tables) -> str | None:
    table = tables(str(request.get("TableName", "")).rpartition("/")[2])
    if table is None:
        return None
    name = _partition_key(table, request.get("IndexName"))
    item = request.get("Key") or request.get("Item") or _queried(request)
    return next(iter(item[name].values())) if name in item else None


def _partition_key(table: Mapping[str, Any], index: str | None) -> str:
    indexes = [*table.get("GlobalSecondaryIndexes", []), *table.get("LocalSecondaryIndexes", [])]
    schema = next((one for one in indexes if one["IndexName"] == index), table)["KeySchema"]
    return str(next(key["AttributeName"] for key in schema if key["KeyType"] == "HASH"))


def _queried(request: Mapping[str, Any]) -> dict[str, Any]:
    """The values to which a query compares attributes."""
    names = request.get("ExpressionAttributeNames", {})
    values = request.get("ExpressionAttributeValues", {})
    asked = {
        names.get(name, name): values[value]
        for name, value in _EQUALS.findall(request.get("KeyConditionExpression", ""))
        if value in values
    }
    legacy = request.get("KeyConditions", {})
    return asked | {
        name: one["AttributeValueList"][0]
        for name, one in legacy.items()
        if one.get("ComparisonOperator") == "EQ"
    }


RULE: Final = Rule(
    name="leading-keys",
    does="IAM evaluates the partition key of every item that a DynamoDB request names"
    " (`dynamodb:LeadingKeys`). With `ForAllValues` each must be allowed; a request that names"
    " none, such as Scan, is not restricted.",
    source="https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html",
    caught="the functions of the plan machine may write only records of operations whose names"
    " contain `.plan.`; an execution started in the console is named by a UUID.",
    install=install,
)
