"""The ``MESSAGE#<channel>#<key>`` items: which messages were sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws.session import client
from lifecycle.times import epoch

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from lifecycle.messages.compose import Message

# Longer than the function's time-out, shorter than Lambda waits before it repeats an event:
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
CLAIMED: Final = timedelta(seconds=50)
# Longer than any event is delivered late, and than an operation's record is kept.
_KEPT: Final = timedelta(days=90)


class SentMessages:
    """The ``Sent`` port on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        self._table = table_name

    @property
    def _api(self) -> DynamoDBClient:
        api: DynamoDBClient = client("dynamodb")
        return api

    def claim(self, channel: str, message: Message, now: datetime) -> bool:
        """Claim a message by one conditional write.

        ``about`` of the item is what the last message that was sent was about, in milliseconds,
        ``value`` its value.
        """
        if message.value:
            new, given = "#value <> :value", {":value": {"S": message.value}}
        else:
            before = _milliseconds(message.about - message.apart)
            new, given = "about < :before", {":before": {"N": str(before)}}
        try:
            self._api.update_item(
                TableName=self._table,
                Key=_key(channel, message),
                UpdateExpression="SET claimedUntil = :until, #ttl = :ttl",
                ConditionExpression=f"(attribute_not_exists(about) OR {new}) AND "
                "(attribute_not_exists(claimedUntil) OR claimedUntil < :now)",
                ExpressionAttributeNames={"#ttl": "ttl"}
                | ({"#value": "value"} if message.value else {}),
                ExpressionAttributeValues={
                    **given,
                    ":until": {"N": str(_milliseconds(now + CLAIMED))},
                    ":now": {"N": str(_milliseconds(now))},
                    ":ttl": {"N": str(epoch(now + _KEPT))},
                },
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def sent(self, channel: str, message: Message) -> None:
        """Record that a claimed message was sent."""
        self._api.update_item(
            TableName=self._table,
            Key=_key(channel, message),
            UpdateExpression="SET about = :about, #value = :value REMOVE claimedUntil",
            ExpressionAttributeNames={"#value": "value"},
            ExpressionAttributeValues={
                ":about": {"N": str(_milliseconds(message.about))},
                ":value": {"S": message.value},
            },
        )

    def release(self, channel: str, message: Message) -> None:
        """Give a claim back."""
        self._api.update_item(
            TableName=self._table,
            Key=_key(channel, message),
            UpdateExpression="REMOVE claimedUntil",
        )


def _key(channel: str, message: Message) -> dict[str, Any]:
    return {"pk": {"S": f"MESSAGE#{channel}#{message.key}"}}


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
