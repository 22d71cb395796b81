"""Partitions and backups as brokers report them (``/actuator``: partitions, backupRuntime)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.camunda.json_reader import integer, mapping, moment, objects, text
from lifecycle.errors import InvalidResponse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from lifecycle.camunda.backups import BackupRange


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """A partition as one broker reports it."""

    partition: int
    role: str
    phase: str
    processed: int
    exported: int


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """What one broker answered on its management port; ``problem`` when it did not."""

    address: str
    problem: str
    partitions: tuple[PartitionStatus, ...]


@dataclass(frozen=True, slots=True)
class BackupStatus:
    """The latest backup of each partition; ``supported`` is false if Camunda has no status.

    ``newest`` is the id of the newest checkpoint that is a backup, complete or not; 0 for none.
    ``settled`` is the id of the backup that every partition has ended; 0 for none. ``ranges`` are
    the ranges of all partitions, and None where they were not read; ``left_out`` is how many more
    there are (``backup_ranges.thinned``).
    """

    supported: bool
    enabled: bool
    latest: Mapping[int, datetime | None]
    newest: int = 0
    settled: int = 0
    ranges: tuple[BackupRange, ...] | None = None
    left_out: int = 0


def read_partitions(payload: object) -> tuple[PartitionStatus, ...]:
    """Read ``GET /actuator/partitions`` of one broker: an object by partition id.

    Raises ``InvalidResponse``.
    """
    found = []
    for key, value in mapping(payload, "the partitions").items():
        if not (key.isascii() and key.isdigit() and len(key) < 10):
            raise InvalidResponse(f"{key!r} is no partition id.")
        one = mapping(value, f"partition {key}")
        found.append(
            PartitionStatus(
                partition=int(key),
                role=str(one.get("role") or "").upper(),
                phase=str(one.get("exporterPhase") or "").upper(),
                processed=_position(one, "processedPosition"),
                exported=_position(one, "exportedPosition"),
            )
        )
    return tuple(found)


def read_backup_state(payload: object) -> dict[int, datetime | None]:
    """Read ``GET /actuator/backupRuntime/state``: when each partition's latest backup was begun.

    Raises ``InvalidResponse``.
    """
    answer = mapping(payload, "the backup state")
    latest: dict[int, datetime | None] = {}
    for one in objects(answer.get("backupStates") or [], "backupStates"):
        latest[integer(one, "partitionId")] = moment(one, "checkpointTimestamp")
    return latest


def read_newest_backup(payload: object) -> int:
    """Read of the same answer the newest checkpoint that is a backup, complete or not; 0 for none.

    A checkpoint is there as soon as a backup begins, among the ``backupStates`` once it is over.
    Raises ``InvalidResponse``.
    """
    answer = mapping(payload, "the backup state")
    found = [0]
    for part in ("checkpointStates", "backupStates"):
        for one in objects(answer.get(part) or [], part):
            if str(one.get("checkpointType", "")).endswith("BACKUP"):
                found.append(integer(one, "checkpointId"))
    return max(found)


def read_settled_backup(payload: object) -> int:
    """Read of the same answer the newest backup that every partition has ended; 0 for none.

    A partition that has a checkpoint and no backup has ended none. Whether the backup is complete
    is in its own state. Raises ``InvalidResponse``.
    """
    answer = mapping(payload, "the backup state")
    begun, ended = (
        {
            integer(one, "partitionId"): integer(one, "checkpointId")
            for one in objects(answer.get(part) or [], part)
        }
        for part in ("checkpointStates", "backupStates")
    )
    return min(ended.values(), default=0) if begun.keys() <= ended.keys() else 0


def read_backup_id(payload: object) -> int:
    """Read the 202 of ``POST /actuator/backupRuntime``. Raises ``InvalidResponse``."""
    return integer(mapping(payload, "the backup"), "backupId")


def read_state_of_backup(payload: object) -> str:
    """Read the state of ``GET /actuator/backupRuntime/{id}``. Raises ``InvalidResponse``."""
    return text(mapping(payload, "the backup"), "state")


def read_brokers(value: object) -> tuple[BrokerStatus, ...]:
    """Read what each broker answered of its partitions, or why not. Raises ``InvalidResponse``."""
    return tuple(
        BrokerStatus(
            address=text(one, "address"),
            problem=text(one, "problem"),
            partitions=() if text(one, "problem") else read_partitions(one.get("partitions")),
        )
        for one in objects(value, "brokers")
    )


def _position(one: Mapping[str, object], key: str) -> int:
    # Absent on a replica that processes nothing.
    return -1 if one.get(key) is None else integer(one, key)


def partitions_payload(partitions: Sequence[PartitionStatus]) -> dict[str, dict[str, object]]:
    """Return what ``read_partitions`` reads, JSON-serialisable."""
    return {
        str(one.partition): {
            "role": one.role,
            "exporterPhase": one.phase,
            "processedPosition": one.processed,
            "exportedPosition": one.exported,
        }
        for one in partitions
    }
