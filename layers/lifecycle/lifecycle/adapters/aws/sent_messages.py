"""The ``MESSAGE#<channel>#<key>`` items: which messages were sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from lifecycle.adapters.aws.session import client
from lifecycle.messages.ports import Claim
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from lifecycle.messages.compose import Message

# Longer than the function's time-out, shorter than Lambda waits before it repeats an event:
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
CLAIMED: Final = timedelta(seconds=50)
# Longer than any event is delivered late, and than an operation's record is kept. What is compared
# by value has no end: after it, the same value would be sent again.
_KEPT: Final = timedelta(days=90)


class SentMessages:
    """The ``Sent`` port on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        self._table = table_name

    @property
    def _api(self) -> DynamoDBClient:
        api: DynamoDBClient = client("dynamodb")
        return api

    def claim(self, channel: str, message: Message, now: datetime) -> Claim:
        """Claim a message by one conditional write.

        ``about`` of the item is what the last message that was sent was about, in milliseconds,
        ``value`` its value, ``state`` its state.
        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
        """
        if message.value:
            new, given = "#value <> :value", {":value": {"S": message.value}}
        else:
            new, given = "about < :before", {":before": {"N": str(_before(message))}}
        wanted = ""
        if message.after_another_state:
            wanted = " AND attribute_exists(#state) AND #state <> :state"
            given |= {":state": {"S": message.state}}
        try:
            self._api.update_item(
                TableName=self._table,
                Key=_key(channel, message),
                UpdateExpression="SET claimedUntil = :until"
                + (" REMOVE #ttl" if message.value else ", #ttl = :ttl"),
                ConditionExpression=f"(attribute_not_exists(about) OR {new}) AND "
                f"(attribute_not_exists(claimedUntil) OR claimedUntil < :now){wanted}",
                ExpressionAttributeNames={"#ttl": "ttl"}
                | ({"#value": "value"} if message.value else {})
                | ({"#state": "state"} if wanted else {}),
                ExpressionAttributeValues={
                    **given,
                    ":until": {"N": str(_milliseconds(now + CLAIMED))},
                    ":now": {"N": str(_milliseconds(now))},
                }
                | ({} if message.value else {":ttl": {"N": str(epoch(now + _KEPT))}}),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._api.exceptions.ConditionalCheckFailedException as refused:
            return _refused(cast("Any", refused.response).get("Item", {}), message, now)
        return Claim.CLAIMED

    def sent(self, channel: str, message: Message) -> None:
        """Record that a claimed message was sent."""
        self._api.update_item(
            TableName=self._table,
            Key=_key(channel, message),
            UpdateExpression="SET about = :about, #value = :value, #state = :state "
            "REMOVE claimedUntil",
            ExpressionAttributeNames={"#value": "value", "#state": "state"},
            ExpressionAttributeValues={
                ":about": {"N": str(_milliseconds(message.about))},
                ":value": {"S": message.value},
                ":state": {"S": message.state},
            },
        )

    def release(self, channel: str, message: Message) -> None:
        """Give a claim back."""
        self._api.update_item(
            TableName=self._table,
            Key=_key(channel, message),
            UpdateExpression="REMOVE claimedUntil",
        )


def _refused(item: Mapping[str, Any], message: Message, now: datetime) -> Claim:
    """Return why the item, empty for none, did not allow a claim."""
    if not item:
        # Without that condition, only an item that is gone by now can have refused.
        return Claim.NOT_NEEDED if message.after_another_state else Claim.HELD
    if "about" in item:
        if message.value:
            new = item["value"]["S"] != message.value
        else:
            new = int(item["about"]["N"]) < _before(message)
        if not new:
            return Claim.NOT_NEEDED
    held = "claimedUntil" in item and int(item["claimedUntil"]["N"]) >= _milliseconds(now)
    return Claim.HELD if held else Claim.NOT_NEEDED


def _before(message: Message) -> int:
    return _milliseconds(message.about - message.apart)


def _key(channel: str, message: Message) -> dict[str, Any]:
    return {"pk": {"S": f"MESSAGE#{channel}#{message.key}"}}


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
