"""The control plane's table: the lock of each ECS cluster and the record of each operation.

One table, one key ``pk``: ``LOCK#<ECS cluster>``, ``FREEZE#<ECS cluster>``, ``HEALTH#<cluster>``,
``REHEARSAL#<cluster>``, ``SCALING#<cluster>``, ``MESSAGE#<channel>#<key>``,
``TOPOLOGY#<machine>#<operation id>``,
``OPERATION#<machine>#<operation id>``, because two machines may have an execution of one name, and,
so that policies can distinguish them, ``PLAN#<operation id>`` for those of the plan machine.
"""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws.session import client
from lifecycle.cluster.freeze import Freeze
from lifecycle.operation.model import Acting, Lock
from lifecycle.operation.record import LONGEST_WAIT, MOST_WAITS, STAGES, Record, Stored
from lifecycle.operation.rehearsal_note import RehearsalNote, read_note
from lifecycle.operation.scaling_note import ScalingNote
from lifecycle.times import epoch, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from lifecycle.operation.cursor import Cursor
    from lifecycle.operation.model import Operation
    from lifecycle.operation.record import Stage

_OPERATION_DAYS: Final = 90
# A lock that was never taken over, because its cluster is gone, expires automatically.
_LOCK_KEPT_SECONDS: Final = 24 * 3600
# The count that a stopped scaling left stays until it is corrected.
_NOTE_KEPT_SECONDS: Final = 30 * 24 * 3600
# Longer than any interval of rehearsals, and than a cluster is gone before it is brought back.
_REHEARSAL_KEPT_SECONDS: Final = 400 * 24 * 3600
_PLAN: Final = "plan"
# Every operation has it, so that an index lists them all.
_LIST: Final = "OPERATION"
_REPORT: Final = "reportKey, reportVersion, reportSha256"


class DynamoTable:
    """The ``Locks``, ``Freezes``, ``Operations`` and ``Records`` ports on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        self._table = table_name

    @property
    def _api(self) -> DynamoDBClient:
        api: DynamoDBClient = client("dynamodb")
        return api

    def take(self, lock: Lock, *, instead_of: Lock | None = None) -> Lock | None:
        """Take or extend a lock by one conditional write.

        The functions that act are a set of strings, to which each adds its own and from which it
        removes it; DynamoDB removes a set with its last member.
        """
        whole = {
            "owner": {"S": lock.owner},
            "ecsCluster": {"S": lock.ecs_cluster},
            "operationId": {"S": lock.operation_id},
            "expiresAt": {"N": str(lock.expires_at)},
            "renewedAt": {"N": str(lock.renewed_at)},
            "ttl": {"N": str(lock.expires_at + _LOCK_KEPT_SECONDS)},
        }
        update = f"SET {', '.join(f'#{name} = :{name}' for name in whole)}"
        names = {f"#{name}": name for name in whole}
        values: dict[str, Any] = {f":{name}": value for name, value in whole.items()}
        condition = "attribute_not_exists(pk) OR #owner = :owner"
        if instead_of is not None:
            same, theirs = _same_acting(instead_of)
            condition = f"#owner = :them AND #expiresAt = :theirs AND {same}"
            values |= {
                **theirs,
                ":them": {"S": instead_of.owner},
                ":theirs": {"N": str(instead_of.expires_at)},
            }
        if lock.acting:
            update += ", acting = :acting" if instead_of is not None else " ADD acting :acting"
            values[":acting"] = {"SS": _as_texts(lock.acting)}
        elif instead_of is not None:
            update += " REMOVE acting"
        try:
            self._api.update_item(
                TableName=self._table,
                Key={"pk": {"S": f"LOCK#{lock.ecs_cluster}"}},
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._api.exceptions.ConditionalCheckFailedException as error:
            answer: dict[str, Any] = dict(error.response)
            item = answer.get("Item") or self._item(f"LOCK#{lock.ecs_cluster}")
            if not item:  # freed between the write and the read
                return self.take(lock)
            return read_lock(item)
        return None

    def held(self, ecs_cluster: str) -> Lock | None:
        """Return the lock of an ECS cluster with its owner; None for one that is not locked."""
        item = self._item(f"LOCK#{ecs_cluster}")
        return read_lock(item) if item else None

    def settle(self, ecs_cluster: str, owner: str, acting: Acting) -> None:
        """Remove a function from those that act, if ``owner`` still holds the lock."""
        try:
            self._api.update_item(
                TableName=self._table,
                Key={"pk": {"S": f"LOCK#{ecs_cluster}"}},
                UpdateExpression="DELETE acting :one",
                ConditionExpression="#owner = :me",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={
                    ":me": {"S": owner},
                    ":one": {"SS": _as_texts([acting])},
                },
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            return

    def free(self, lock: Lock) -> None:
        """Remove a lock, if its owner and its functions that act are still those that were read."""
        same, values = _same_acting(lock)
        try:
            self._api.delete_item(
                TableName=self._table,
                Key={"pk": {"S": f"LOCK#{lock.ecs_cluster}"}},
                ConditionExpression=f"#owner = :me AND {same}",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={":me": {"S": lock.owner}, **values},
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            return

    def shorten(self, lock: Lock, expires_at: int) -> None:
        """Set an earlier end, on condition that the lock was not renewed or taken since."""
        try:
            self._api.update_item(
                TableName=self._table,
                Key={"pk": {"S": f"LOCK#{lock.ecs_cluster}"}},
                UpdateExpression="SET expiresAt = :until",
                ConditionExpression="#owner = :owner AND expiresAt = :read",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={
                    ":until": {"N": str(expires_at)},
                    ":owner": {"S": lock.owner},
                    ":read": {"N": str(lock.expires_at)},
                },
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            return

    def release(self, ecs_cluster: str, owner: str) -> bool:
        """Give the lock back if ``owner`` holds it."""
        try:
            self._api.delete_item(
                TableName=self._table,
                Key={"pk": {"S": f"LOCK#{ecs_cluster}"}},
                ConditionExpression="#owner = :me",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={":me": {"S": owner}},
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def frozen(self, ecs_cluster: str) -> Freeze | None:
        """Return the freeze of an ECS cluster."""
        item = self._item(f"FREEZE#{ecs_cluster}")
        return read_freeze(item) if item else None

    def freeze(self, ecs_cluster: str, freeze: Freeze) -> Freeze:
        """Write the ``FREEZE`` item of an ECS cluster, unless there is one."""
        written = self._write_once(
            {
                "pk": {"S": f"FREEZE#{ecs_cluster}"},
                "reason": {"S": freeze.reason},
                "since": {"S": freeze.since},
                "by": {"S": freeze.by},
            }
        )
        return freeze if written else self.frozen(ecs_cluster) or freeze

    def thaw(self, ecs_cluster: str) -> None:
        """Remove the ``FREEZE`` item of an ECS cluster."""
        self._api.delete_item(TableName=self._table, Key={"pk": {"S": f"FREEZE#{ecs_cluster}"}})

    def begin(self, operation: Operation, *, now: datetime) -> None:
        """Write the operation's item; writing it again changes nothing."""
        self._write_once(_operation_item(operation, now))

    def claim(
        self, operation: Operation, *, caller: str, request_hash: str, now: datetime
    ) -> Record | None:
        """Write a record with caller and request, unless there is one."""
        item = _operation_item(operation, now)
        item |= {"caller": {"S": caller}, "requestHash": {"S": request_hash}}
        if self._write_once(item):
            return None
        return self.find(operation.operation_id, operation.machine)

    def withdraw(self, operation: Operation, request_hash: str) -> None:
        """Remove the record of an operation that was never started."""
        try:
            self._api.delete_item(
                TableName=self._table,
                Key=_key(operation),
                ConditionExpression="requestHash = :hash",
                ExpressionAttributeValues={":hash": {"S": request_hash}},
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            return

    def find(self, operation_id: str, machine: str) -> Record | None:
        """Read the record of a machine's operation."""
        item = self._item(_record_key(operation_id, machine))
        return _record(item) if item else None

    def of_cluster(self, cluster: str, limit: int) -> list[Record]:
        """Records of a cluster, newest first."""
        return self.page(cluster, limit, None)[0]

    def page(self, cluster: str, limit: int, after: Cursor | None) -> tuple[list[Record], bool]:
        """Records of a cluster or of all, newest first, from an index each."""
        index, name, value = (
            ("by-cluster", "cluster", cluster) if cluster else ("by-start", "list", _LIST)
        )
        start: dict[str, Any] = {}
        if after is not None:
            key = {
                "pk": {"S": _record_key(after.operation_id, after.machine)},
                name: {"S": after.cluster if cluster else _LIST},
                "startedAt": {"S": after.started_at},
            }
            start = {"ExclusiveStartKey": key}
        found = self._api.query(
            TableName=self._table,
            IndexName=index,
            KeyConditionExpression="#name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": {"S": value}},
            ScanIndexForward=False,
            Limit=limit,
            **start,
        )
        return [_record(item) for item in found["Items"]], "LastEvaluatedKey" in found

    def watch_changes(self, operation: Operation) -> None:
        """Mark the record as one whose first change will be noted."""
        self._api.update_item(
            TableName=self._table,
            Key=_key(operation),
            UpdateExpression="SET marksChanges = :yes",
            ExpressionAttributeValues={":yes": {"BOOL": True}},
        )

    def begin_change(self, operation: Operation, *, now: datetime) -> bool:
        """Note the time of the first change, on condition that the operation is not cancelled."""
        try:
            self._api.update_item(
                TableName=self._table,
                Key=_key(operation),
                UpdateExpression="SET changedAt = if_not_exists(changedAt, :now)",
                ConditionExpression="attribute_not_exists(cancelledAt)",
                ExpressionAttributeValues={":now": {"S": written(now)}},
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def cancel(self, operation: Operation, *, by: str, now: datetime) -> Record | None:
        """Note the cancellation, on condition that no change was noted; returns the record."""
        with contextlib.suppress(self._api.exceptions.ConditionalCheckFailedException):
            self._api.update_item(
                TableName=self._table,
                Key=_key(operation),
                UpdateExpression="SET cancelledAt = if_not_exists(cancelledAt, :now), "
                "cancelledBy = if_not_exists(cancelledBy, :by)",
                ConditionExpression="marksChanges = :yes AND attribute_not_exists(changedAt) "
                "AND attribute_not_exists(#result)",
                ExpressionAttributeNames={"#result": "result"},
                ExpressionAttributeValues={
                    ":now": {"S": written(now)},
                    ":by": {"S": by},
                    ":yes": {"BOOL": True},
                },
            )
        return self.find(operation.operation_id, operation.machine)

    def resume(self, record: Record, *, by: str, now: datetime) -> None:
        """Note who let it go on, and remove the end that was read from the record.

        Its first function may have removed that end already; an end of its own stays.
        """
        key, noted = _key(record.operation), "SET resumedBy = :by, resumedAt = :now"
        values = {":by": {"S": by}, ":now": {"S": written(now)}}
        try:
            self._api.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression=f"{noted} REMOVE #result, {_REPORT}, endedAt",
                ConditionExpression="endedAt = :ended",
                ExpressionAttributeNames={"#result": "result"},
                ExpressionAttributeValues=values | {":ended": {"S": record.ended_at}},
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            self._api.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression=noted,
                ExpressionAttributeValues=values,
            )

    def progress(self, operation: Operation, *, step: str, detail: str, now: datetime) -> None:
        """Record the current step of the operation and what it waits for.

        A new step also goes onto the timeline, and with anything new to wait for onto ``waits``, as
        long as few are there. Most calls repeat the last one, so that is tried first. An operation
        that goes on after its end was noted (a redrive) has no result any more.
        """
        at = written(now)
        values: dict[str, Any] = {
            ":step": {"S": step},
            ":detail": {"S": detail},
            ":at": {"S": at},
        }
        entry = {":entry": {"L": [{"M": {"step": {"S": step}, "at": {"S": at}}}]}}
        wait = {"step": {"S": step}, "detail": {"S": detail[:LONGEST_WAIT]}, "at": {"S": at}}
        waited = {":wait": {"L": [{"M": wait}]}, ":none": {"L": []}}
        most = {":most": {"N": str(MOST_WAITS)}}
        waits = ", waits = list_append(if_not_exists(waits, :none), :wait)"
        few = "(attribute_not_exists(waits) OR size(waits) < :most)"
        same, new = "#step = :step", "(attribute_not_exists(#step) OR #step <> :step)"
        stepped = ", timeline = list_append(timeline, :entry)"
        for more, condition, extra in (
            ("", f"{same} AND detail = :detail", {}),
            (f"{stepped}{waits}", f"{new} AND {few}", entry | waited | most),
            (waits, f"{same} AND {few}", waited | most),
            (stepped, new, entry),
        ):
            if self._progressed(operation, more, condition, values | extra):
                return
        self._progressed(operation, "", same, values)

    def _progressed(
        self, operation: Operation, more: str, condition: str, values: Mapping[str, Any]
    ) -> bool:
        """Write the current step with ``more``; returns whether the condition held."""
        try:
            self._api.update_item(
                TableName=self._table,
                Key=_key(operation),
                UpdateExpression="SET #step = :step, detail = :detail, progressAt = :at"
                f"{more} REMOVE #result, {_REPORT}, endedAt",
                ConditionExpression=condition,
                ExpressionAttributeNames={"#step": "step", "#result": "result"},
                ExpressionAttributeValues=dict(values),
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def timeline(self, operation: Operation) -> list[dict[str, str]]:
        """Return the steps so far with the time each began, oldest first."""
        return _timeline(self._item(_record_key(operation.operation_id, operation.machine)))

    def end(self, operation: Operation, *, result: str, report: Stored, now: datetime) -> None:
        """Record the result and the report, also of an operation that never began."""
        item = _operation_item(operation, now)
        whole = {name: value for name, value in item.items() if name != "pk"}
        there = ", ".join(f"#{name} = if_not_exists(#{name}, :{name})" for name in whole)
        self._api.update_item(
            TableName=self._table,
            Key=_key(operation),
            UpdateExpression="SET #result = :result, reportKey = :key, reportVersion = :version, "
            f"reportSha256 = :sha256, endedAt = :at, {there}",
            ExpressionAttributeNames={"#result": "result", **{f"#{name}": name for name in whole}},
            ExpressionAttributeValues={
                ":result": {"S": result},
                ":key": {"S": report.key},
                ":version": {"S": report.version},
                ":sha256": {"S": report.sha256},
                ":at": {"S": written(now)},
                **{f":{name}": value for name, value in whole.items()},
            },
        )

    def note_topology(
        self,
        operation: Operation,
        stage: Stage,
        brokers: Sequence[Mapping[str, Any]],
        *,
        now: datetime,
        keep: bool,
    ) -> None:
        """Write a stage of the ``TOPOLOGY`` item of an operation, with ``keep`` only the first.

        An item of its own, without a cluster: the index of operations has none of it.
        """
        seen = json.dumps({"at": written(now), "brokers": brokers}, separators=(",", ":"))
        value = "if_not_exists(#stage, :seen)" if keep else ":seen"
        self._api.update_item(
            TableName=self._table,
            Key={"pk": {"S": _topology_key(operation)}},
            UpdateExpression=f"SET #stage = {value}, #ttl = :ttl",
            ExpressionAttributeNames={"#stage": stage, "#ttl": "ttl"},
            ExpressionAttributeValues={":seen": {"S": seen}, ":ttl": _operation_ttl(now)},
        )

    def topologies(self, operation: Operation) -> dict[Stage, Mapping[str, Any]]:
        """Return what was left of the brokers, by stage."""
        item = self._item(_topology_key(operation))
        return {stage: json.loads(item[stage]["S"]) for stage in STAGES if stage in item}

    def note_scaling(self, cluster: str, note: ScalingNote) -> None:
        """Write the ``SCALING`` item of a cluster."""
        self._api.put_item(
            TableName=self._table,
            Item={
                "pk": {"S": f"SCALING#{cluster}"},
                "operationId": {"S": note.operation_id},
                "requested": {"N": str(note.requested)},
                "since": {"S": note.since.isoformat()},
                "until": {"S": note.until.isoformat()},
                "stays": {"L": [{"S": task} for task in sorted(note.stays)]},
                "takesAway": {"BOOL": note.takes_away},
                "ttl": {"N": str(epoch(note.until) + _NOTE_KEPT_SECONDS)},
            },
        )

    def scaling(self, cluster: str) -> ScalingNote | None:
        """Return the note of the last scaling of the cluster."""
        item = self._item(f"SCALING#{cluster}")
        return read_scaling(item) if item else None

    def note_rehearsal(self, cluster: str, note: RehearsalNote) -> None:
        """Write the ``REHEARSAL`` item of a cluster, which a teardown leaves."""
        self._api.update_item(
            TableName=self._table,
            Key={"pk": {"S": f"REHEARSAL#{cluster}"}},
            UpdateExpression="SET document = :document, #ttl = :ttl",
            ExpressionAttributeNames={"#ttl": "ttl"},
            ExpressionAttributeValues={
                ":document": {"S": json.dumps(note.as_dict(), separators=(",", ":"))},
                ":ttl": {"N": str(epoch(note.at) + _REHEARSAL_KEPT_SECONDS)},
            },
        )

    def rehearsal(self, cluster: str) -> RehearsalNote | None:
        """Return what the last rehearsal of a cluster left."""
        item = self._item(f"REHEARSAL#{cluster}")
        return read_rehearsal(item) if item else None

    def forget(self, cluster: str) -> None:
        """Remove what is known of a cluster's health."""
        self._api.delete_item(TableName=self._table, Key={"pk": {"S": f"HEALTH#{cluster}"}})

    def _write_once(self, item: dict[str, Any]) -> bool:
        try:
            self._api.put_item(
                TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(pk)"
            )
        except self._api.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _item(self, key: str) -> dict[str, Any]:
        found = self._api.get_item(
            TableName=self._table, Key={"pk": {"S": key}}, ConsistentRead=True
        )
        return found.get("Item", {})


def read_rehearsal(item: Mapping[str, Any]) -> RehearsalNote:
    """Read the ``REHEARSAL`` item of a cluster."""
    return read_note(json.loads(item["document"]["S"]))


def read_scaling(item: Mapping[str, Any]) -> ScalingNote:
    """Read the ``SCALING`` item of a cluster."""
    return ScalingNote(
        operation_id=item["operationId"]["S"],
        requested=int(item["requested"]["N"]),
        since=datetime.fromisoformat(item["since"]["S"]),
        until=datetime.fromisoformat(item["until"]["S"]),
        stays=frozenset(one["S"] for one in item["stays"]["L"]),
        takes_away=item["takesAway"]["BOOL"],
    )


def read_freeze(item: Mapping[str, Any]) -> Freeze:
    """Read the ``FREEZE`` item of an ECS cluster."""
    return Freeze(reason=item["reason"]["S"], since=item["since"]["S"], by=item["by"]["S"])


def read_lock(item: Mapping[str, Any]) -> Lock:
    """Read the item of a lock."""
    return Lock(
        ecs_cluster=item["ecsCluster"]["S"],
        owner=item["owner"]["S"],
        operation_id=item["operationId"]["S"],
        expires_at=int(item["expiresAt"]["N"]),
        renewed_at=int(item["renewedAt"]["N"]),
        acting=frozenset(
            Acting(token, int(until))
            for until, _, token in (
                one.partition(" ") for one in item.get("acting", {}).get("SS", ())
            )
        ),
    )


def _as_texts(acting: Iterable[Acting]) -> list[str]:
    return sorted(f"{one.until} {one.token}" for one in acting)


def _same_acting(lock: Lock) -> tuple[str, dict[str, Any]]:
    """Return the condition that the functions that act are those of a lock that was read."""
    if not lock.acting:
        return "attribute_not_exists(acting)", {}
    return "acting = :read", {":read": {"SS": _as_texts(lock.acting)}}


def _record_key(operation_id: str, machine: str) -> str:
    return f"PLAN#{operation_id}" if machine == _PLAN else f"OPERATION#{machine}#{operation_id}"


def _key(operation: Operation) -> dict[str, Any]:
    return {"pk": {"S": _record_key(operation.operation_id, operation.machine)}}


def _operation_item(operation: Operation, now: datetime) -> dict[str, Any]:
    return {
        **_key(operation),
        "operationId": {"S": operation.operation_id},
        "cluster": {"S": operation.cluster},
        "machine": {"S": operation.machine},
        "executionArn": {"S": operation.execution_arn},
        "startedAt": {"S": operation.started_at},
        "ecsCluster": {"S": operation.ecs_cluster},
        "list": {"S": _LIST},
        "timeline": {"L": []},
        "ttl": _operation_ttl(now),
    }


def _operation_ttl(now: datetime) -> AttributeValueTypeDef:
    return {"N": str(epoch(now + timedelta(days=_OPERATION_DAYS)))}


def _topology_key(operation: Operation) -> str:
    return f"TOPOLOGY#{operation.machine}#{operation.operation_id}"


def _record(item: Mapping[str, Any]) -> Record:
    def text(name: str) -> str:
        return str(item.get(name, {}).get("S", ""))

    return Record(
        operation_id=text("operationId"),
        cluster=text("cluster"),
        machine=text("machine"),
        execution_arn=text("executionArn"),
        started_at=text("startedAt"),
        caller=text("caller"),
        request_hash=text("requestHash"),
        step=text("step"),
        detail=text("detail"),
        timeline=_timeline(item),
        waits=[
            {name: value["S"] for name, value in one["M"].items()}
            for one in item.get("waits", {}).get("L", [])
        ],
        result=text("result"),
        report=Stored(text("reportKey"), text("reportVersion"), text("reportSha256")),
        ended_at=text("endedAt"),
        ecs_cluster=text("ecsCluster"),
        marks_changes=bool(item.get("marksChanges", {}).get("BOOL", False)),
        changed_at=text("changedAt"),
        cancelled_at=text("cancelledAt"),
        cancelled_by=text("cancelledBy"),
        resumed_by=text("resumedBy"),
    )


def _timeline(item: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {"step": entry["M"]["step"]["S"], "at": entry["M"]["at"]["S"]}
        for entry in item.get("timeline", {}).get("L", [])
    ]
