"""Backups as a backup bucket holds them, without any broker: from their manifests.

Each broker that backs a partition up writes a manifest, in Camunda 8.9 and later under
``manifests/<partition>/<checkpoint>/<node>/manifest.json``. Source: camunda/camunda,
``zeebe/backup-stores/s3`` (``S3BackupStore.objectPrefixV2``, ``manifest/CompletedBackupManifest``)
and ``zeebe/backup-stores/common`` (``BackupDescriptorImpl``). A broker reports a backup by the
same rules (``BackupRequestHandler``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.errors import InvalidResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX: Final = "manifests/"
KEY: Final = re.compile(r"manifests/([0-9]+)/([0-9]+)/([0-9]+)/manifest\.json")
"""Partition, checkpoint and node."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one broker wrote of one partition; ``partitions`` is 0 where that is not in it.

    ``at`` is when it was created, ``checkpoint`` the time of its checkpoint (ISO 8601).
    """

    backup: int
    partition: int
    node: int
    state: str
    at: str = ""
    partitions: int = 0
    version: str = ""
    position: int = 0
    kind: str = ""
    checkpoint: str = ""


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """A backup of all partitions. ``state`` as brokers show it; ``why`` it is not COMPLETED.

    ``at`` is when its last partition was backed up, ``checkpoint`` the time of the checkpoint of
    its earliest partition (ISO 8601), that of its earliest manifest where none has one.
    """

    id: int
    state: str
    at: str
    partitions: int
    version: str
    kind: str = ""
    why: str = ""
    checkpoint: str = ""

    @property
    def complete(self) -> bool:
        """Whether every partition is in it."""
        return self.state == "COMPLETED"


def newest_keys(keys: Iterable[str], most: int) -> list[str]:
    """Return the keys of manifests of the newest backups, so many backups at most."""
    found = [match for match in map(KEY.fullmatch, keys) if match]
    ids = sorted({int(one[2]) for one in found}, reverse=True)[:most]
    return [one[0] for one in found if int(one[2]) in ids]


def read_manifest(document: object) -> Manifest:
    """Read a manifest. Raises ``InvalidResponse`` for what is none."""
    try:
        if not isinstance(document, dict):
            document = {}
        number, descriptor = document["id"], document.get("descriptor") or {}
        return Manifest(
            backup=int(number["checkpointId"]),
            partition=int(number["partitionId"]),
            node=int(number["nodeId"]),
            # In lower case in S3 (ValidBackupManifest), in upper case in other stores.
            state=str(document["statusCode"]).upper(),
            at=str(document.get("createdAt") or ""),
            partitions=int(descriptor.get("numberOfPartitions") or 0),
            version=str(descriptor.get("brokerVersion") or ""),
            position=int(descriptor.get("checkpointPosition") or 0),
            kind=str(descriptor.get("checkpointType") or ""),
            checkpoint=str(descriptor.get("checkpointTimestamp") or ""),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidResponse(
            f"The bucket has a manifest that cannot be read: {error!r}"
        ) from error


def stored_backups(manifests: Iterable[Manifest]) -> list[StoredBackup]:
    """Put the manifests of each backup together, the newest backup first.

    Several brokers may have written one of the same partition; one that is COMPLETED counts. A
    partition that is missing makes a backup INCOMPLETE: it restores nothing.
    """
    found: dict[int, list[Manifest]] = {}
    for one in manifests:
        found.setdefault(one.backup, []).append(one)
    return [_together(key, found[key]) for key in sorted(found, reverse=True)]


def _together(backup: int, manifests: list[Manifest]) -> StoredBackup:
    states: dict[int, set[str]] = {}
    for one in manifests:
        states.setdefault(one.partition, set()).add(one.state)
    partitions = max(one.partitions for one in manifests)
    versions = sorted({one.version for one in manifests if one.version})
    complete = {number for number, seen in states.items() if "COMPLETED" in seen}
    missing = sorted(set(range(1, partitions + 1)) - states.keys())
    others = {
        number: next(state for state in ("FAILED", "IN_PROGRESS", *seen) if state in seen)
        for number, seen in sorted(states.items())
        if number not in complete
    }
    why = [f"partition {number} is {state}" for number, state in others.items()]
    why += [f"partition {number} is missing" for number in missing]
    if not partitions:
        why.append("no manifest has the number of partitions")
    if len(versions) > 1:
        why.append(f"its partitions are of versions {' and '.join(versions)}")
    if "FAILED" in others.values():
        state = "FAILED"
    elif missing or not partitions:
        state = "INCOMPLETE"
    else:
        state = next(iter(others.values()), "COMPLETED")
    return StoredBackup(
        id=backup,
        state=state,
        at=max(one.at for one in manifests),
        partitions=partitions,
        version=versions[-1] if versions else "",
        kind=max(one.kind for one in manifests),
        why="; ".join(why),
        checkpoint=min(one.checkpoint or one.at for one in manifests),
    )


def as_document(one: StoredBackup) -> Mapping[str, Any]:
    """Return a backup as JSON."""
    return {
        "id": one.id,
        "state": one.state,
        "at": one.at,
        "partitions": one.partitions,
        "version": one.version,
        "kind": one.kind,
        "why": one.why,
    }
