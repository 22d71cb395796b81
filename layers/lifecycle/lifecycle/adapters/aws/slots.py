"""How many calls of one kind run at once: items in the control plane's table.

Key ``<kind>#<number>``. A slot is taken by one conditional write until a time, so that one which
was never given back expires.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifecycle.adapters.aws.session import client

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# TTL deletes the item within days of its last use.
_KEPT_SECONDS: Final = 3600


class DynamoSlots:
    """The ``Slots`` port on DynamoDB."""

    def __init__(self, table_name: str, kind: str) -> None:
        self._table = table_name
        self._kind = kind

    @property
    def _api(self) -> DynamoDBClient:
        api: DynamoDBClient = client("dynamodb")
        return api

    def take(self, number: int, token: str, *, now: int, until: int) -> bool:
        """Take a slot (times in epoch seconds); return whether it was free or had expired."""
        try:
            self._api.put_item(
                TableName=self._table,
                Item={
                    "pk": {"S": f"{self._kind}#{number}"},
                    "token": {"S": token},
                    "expiresAt": {"N": str(until)},
                    "ttl": {"N": str(until + _KEPT_SECONDS)},
                },
                ConditionExpression="attribute_not_exists(pk) OR expiresAt <= :now",
                ExpressionAttributeValues={":now": {"N": str(now)}},
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def give_back(self, number: int, token: str) -> None:
        """Free a slot, if it was not taken by another since."""
        try:
            self._api.delete_item(
                TableName=self._table,
                Key={"pk": {"S": f"{self._kind}#{number}"}},
                ConditionExpression="#token = :token",
                ExpressionAttributeNames={"#token": "token"},
                ExpressionAttributeValues={":token": {"S": token}},
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            return
