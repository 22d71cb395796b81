"""The control plane's table: the lock of each cluster and the record of each operation.

One table, one key ``pk``: ``LOCK#<cluster>``, ``OPERATION#<operation id>``, ``HEALTH#<cluster>``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws import client
from lifecycle.core.operation import Lock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from lifecycle.core.operation import Operation

_OPERATION_DAYS: Final = 90


class DynamoTable:
    """The ``Locks`` and ``Operations`` ports on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        self._table = table_name

    @property
    def _api(self) -> DynamoDBClient:
        api: DynamoDBClient = client("dynamodb")
        return api

    def take(self, lock: Lock, *, now: int, instead_of: Lock | None = None) -> Lock | None:
        """Take or extend a lock by one conditional write."""
        condition = "attribute_not_exists(pk) OR #owner = :me"
        values: dict[str, Any] = {":me": {"S": lock.owner}}
        if instead_of is not None:
            condition += " OR (#owner = :them AND expiresAt = :theirs)"
            values |= {
                ":them": {"S": instead_of.owner},
                ":theirs": {"N": str(instead_of.expires_at)},
            }
        try:
            self._api.put_item(
                TableName=self._table,
                Item={
                    "pk": {"S": f"LOCK#{lock.cluster}"},
                    "cluster": {"S": lock.cluster},
                    "owner": {"S": lock.owner},
                    "operationId": {"S": lock.operation_id},
                    "expiresAt": {"N": str(lock.expires_at)},
                    "renewedAt": {"N": str(now)},
                },
                ConditionExpression=condition,
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._api.exceptions.ConditionalCheckFailedException as error:
            answer: dict[str, Any] = dict(error.response)
            item = answer.get("Item") or self._item(f"LOCK#{lock.cluster}")
            if not item:  # freed between the write and the look
                return self.take(lock, now=now)
            return Lock(
                cluster=lock.cluster,
                owner=item["owner"]["S"],
                operation_id=item["operationId"]["S"],
                expires_at=int(item["expiresAt"]["N"]),
            )
        return None

    def release(self, cluster: str, owner: str) -> bool:
        """Give the lock back if ``owner`` holds it."""
        try:
            self._api.delete_item(
                TableName=self._table,
                Key={"pk": {"S": f"LOCK#{cluster}"}},
                ConditionExpression="#owner = :me",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={":me": {"S": owner}},
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def begin(self, operation: Operation, *, now: datetime) -> None:
        """Write the operation's item; writing it again changes nothing."""
        try:
            self._api.put_item(
                TableName=self._table,
                Item={
                    "pk": {"S": f"OPERATION#{operation.operation_id}"},
                    "operationId": {"S": operation.operation_id},
                    "cluster": {"S": operation.cluster},
                    "machine": {"S": operation.machine},
                    "executionArn": {"S": operation.execution_arn},
                    "startedAt": {"S": operation.started_at},
                    "timeline": {"L": []},
                    "ttl": {"N": str(int((now + timedelta(days=_OPERATION_DAYS)).timestamp()))},
                },
                ConditionExpression="attribute_not_exists(pk)",
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            return

    def progress(self, operation: Operation, *, step: str, detail: str, now: datetime) -> None:
        """Say where the operation is; a new step also goes onto the timeline."""
        key = {"pk": {"S": f"OPERATION#{operation.operation_id}"}}
        at = now.isoformat(timespec="seconds")
        names = {"#step": "step"}
        values: dict[str, Any] = {
            ":step": {"S": step},
            ":detail": {"S": detail},
            ":at": {"S": at},
        }
        update = "SET #step = :step, detail = :detail, progressAt = :at"
        try:
            self._api.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression=f"{update}, timeline = list_append(timeline, :entry)",
                ConditionExpression="attribute_not_exists(#step) OR #step <> :step",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={
                    **values,
                    ":entry": {"L": [{"M": {"step": {"S": step}, "at": {"S": at}}}]},
                },
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            self._api.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression=update,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )

    def timeline(self, operation: Operation) -> list[dict[str, str]]:
        """Steps so far with the time each began, oldest first."""
        item = self._item(f"OPERATION#{operation.operation_id}")
        entries = item.get("timeline", {}).get("L", []) if item else []
        return [{"step": entry["M"]["step"]["S"], "at": entry["M"]["at"]["S"]} for entry in entries]

    def end(self, operation: Operation, *, result: str, report_key: str, now: datetime) -> None:
        """Note the result and where the report lies."""
        self._api.update_item(
            TableName=self._table,
            Key={"pk": {"S": f"OPERATION#{operation.operation_id}"}},
            UpdateExpression="SET #result = :result, reportKey = :key, endedAt = :at",
            ExpressionAttributeNames={"#result": "result"},
            ExpressionAttributeValues={
                ":result": {"S": result},
                ":key": {"S": report_key},
                ":at": {"S": now.isoformat(timespec="seconds")},
            },
        )

    def _item(self, key: str) -> dict[str, Any]:
        found = self._api.get_item(
            TableName=self._table, Key={"pk": {"S": key}}, ConsistentRead=True
        )
        return found.get("Item", {})
