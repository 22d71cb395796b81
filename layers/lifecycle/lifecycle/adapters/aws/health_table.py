"""The ``HEALTH#<cluster>`` item: the last check of each cluster, and the owner of its lock."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lifecycle.adapters.aws.dynamodb import read_freeze, read_lock, read_rehearsal, read_scaling
from lifecycle.adapters.aws.session import client
from lifecycle.health.verdict import as_document, read_document, stamp

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from lifecycle.cluster.freeze import Freeze
    from lifecycle.health.verdict import Record
    from lifecycle.operation.model import Lock
    from lifecycle.operation.rehearsal_note import RehearsalNote
    from lifecycle.operation.scaling_note import ScalingNote


class HealthTable:
    """The ``HealthRecords`` port on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        self._table = table_name

    @property
    def _api(self) -> DynamoDBClient:
        api: DynamoDBClient = client("dynamodb")
        return api

    def find(self, cluster: str) -> Record | None:
        """Read the last check of a cluster."""
        item = self._item(f"HEALTH#{cluster}")
        return read_document(item["document"]["S"]) if item else None

    def write(self, record: Record, before: Record | None) -> bool:
        """Write a check if the last one is still ``before``; return whether it was written.

        What cannot be read, because another version wrote it, is overwritten as long as it is
        what it was: else no check of the cluster would ever be written again.
        """
        condition = "attribute_not_exists(pk)"
        given: dict[str, Any] = {}
        if before is not None:
            condition = "checkedAt = :before AND checkedAt < :now"
            given = {
                ":before": {"S": stamp(before.checked_at)},
                ":now": {"S": stamp(record.checked_at)},
            }
        else:
            unreadable = self._item(f"HEALTH#{record.cluster}").get("document")
            if unreadable is not None:
                if read_document(unreadable["S"]) is not None:
                    return False
                condition = "document = :unreadable"
                given = {":unreadable": unreadable}
        values: dict[str, Any] = {"ExpressionAttributeValues": given} if given else {}
        try:
            self._api.put_item(
                TableName=self._table,
                Item={
                    "pk": {"S": f"HEALTH#{record.cluster}"},
                    "checkedAt": {"S": stamp(record.checked_at)},
                    "verdict": {"S": record.verdict},
                    "document": {"S": as_document(record)},
                },
                ConditionExpression=condition,
                **values,
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def delivered(self, cluster: str, decided_at: datetime) -> None:
        """Record that the notification decided then was delivered; no-op for any other one."""
        record = self.find(cluster)
        if record is None or record.undelivered != decided_at:
            return
        document = as_document(replace(record, undelivered=None))
        try:
            self._api.update_item(
                TableName=self._table,
                Key={"pk": {"S": f"HEALTH#{cluster}"}},
                UpdateExpression="SET document = :document",
                ConditionExpression="checkedAt = :at",
                ExpressionAttributeValues={
                    ":document": {"S": document},
                    ":at": {"S": stamp(record.checked_at)},
                },
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            # A newer check wrote the record; the notification is delivered twice rather than never.
            return

    def holder(self, ecs_cluster: str) -> Lock | None:
        """Return the lock of an ECS cluster; None for one that is not locked."""
        item = self._item(f"LOCK#{ecs_cluster}")
        return read_lock(item) if item else None

    def frozen(self, ecs_cluster: str) -> Freeze | None:
        """Return the freeze of an ECS cluster; None for one that is not frozen."""
        item = self._item(f"FREEZE#{ecs_cluster}")
        return read_freeze(item) if item else None

    def scaling(self, cluster: str) -> ScalingNote | None:
        """Return the note of the last scaling of the cluster."""
        item = self._item(f"SCALING#{cluster}")
        return read_scaling(item) if item else None

    def rehearsal(self, cluster: str) -> RehearsalNote | None:
        """Return what the last rehearsal of the cluster left."""
        item = self._item(f"REHEARSAL#{cluster}")
        return read_rehearsal(item) if item else None

    def _item(self, key: str) -> dict[str, Any]:
        found = self._api.get_item(
            TableName=self._table, Key={"pk": {"S": key}}, ConsistentRead=True
        )
        return found.get("Item", {})
