"""What clusters without a stack have left behind, and whether a new one can be made of it.

Retained resources keep their tags, and a final snapshot has those of its database
(``CopyTagsToSnapshot``):
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_Tagging.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle.backup.decisions import TAG_PURPOSE
from lifecycle.cluster.former_data import COPY
from lifecycle.cluster.lifetimes import NEVER, Lifetimes
from lifecycle.cluster.names import TAG_CLUSTER, is_cluster_name
from lifecycle.kept.manifests import StoredBackup, as_document
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from lifecycle.cluster.lifetimes import PresentDatabase

BACKUP_BUCKET: Final = "bucket with the brokers' backups"
LEASES: Final = "bucket with the leases of broker ids"
_BUCKET: Final = "bucket"
_BUCKETS: Final[Mapping[str, str]] = {
    "backupbucket": BACKUP_BUCKET,
    "nodeidbucket": LEASES,
}
# The part of an ARN after the account, by service.
_KINDS: Final[tuple[tuple[str, str, str], ...]] = (
    ("elasticfilesystem", r"file-system/(fs-[0-9a-f]+)", "file system with the brokers' data"),
    ("kms", r"key/([0-9a-zA-Z-]+)", "key"),
    ("secretsmanager", r"secret:(.+)", "secret"),
    ("logs", r"log-group:(.+?)(?::\*)?", "log group"),
    ("cognito-idp", r"userpool/(.+)", "user pool"),
)
RESOURCE_TYPES: Final = (
    "s3",
    "elasticfilesystem:file-system",
    "kms:key",
    "secretsmanager:secret",
    "logs:log-group",
    "cognito-idp:userpool",
)
"""Filters of GetResources; snapshots are read from RDS, which has their times."""
# CloudFormation's own tag, which a retained resource keeps.
_LOGICAL_ID: Final = "aws:cloudformation:logical-id"
_STACK_ID: Final = "aws:cloudformation:stack-id"


@dataclass(frozen=True, slots=True)
class Tagged:
    """A resource by its ARN, with its tags."""

    arn: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KeptSnapshot:
    """A manual snapshot of a database. ``status`` is RDS's; ``at`` None while it is created.

    ``key`` is the ARN of the key that encrypts it, empty for one that is not encrypted.
    ``database`` is the Aurora cluster that it was taken of, and ``created`` when that was created,
    None where RDS does not show it.
    """

    name: str
    status: str
    at: datetime | None
    engine_version: str
    key: str
    tags: Mapping[str, str]
    database: str = ""
    created: datetime | None = None

    @property
    def copied(self) -> bool:
        """Whether a restore took it of a copy: its contents are older than it is."""
        return self.tags.get(TAG_PURPOSE) == COPY


@dataclass(frozen=True, slots=True)
class KeptThing:
    """A retained resource: what it is, and its id as its service takes it."""

    kind: str
    id: str
    arn: str


@dataclass(frozen=True, slots=True)
class Left:
    """What one cluster has left behind."""

    cluster: str
    things: tuple[KeptThing, ...]
    snapshots: tuple[KeptSnapshot, ...]

    @property
    def backup_buckets(self) -> list[str]:
        """Names of the buckets with the brokers' backups: one of each stack that there was."""
        return [one.id for one in self.things if one.kind == BACKUP_BUCKET]


def thing_of(found: Tagged) -> KeptThing | None:
    """Describe a resource by its ARN; None for one that holds no data."""
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
    parts = found.arn.split(":", 5)
    if len(parts) < 6:
        return None
    service, rest = parts[2], parts[5]
    if service == "s3":
        named = found.tags.get(_LOGICAL_ID, rest).lower()
        kind = next((kind for part, kind in _BUCKETS.items() if part in named), _BUCKET)
        return KeptThing(kind, rest, found.arn)
    for name, pattern, kind in _KINDS:
        match = re.fullmatch(pattern, rest) if service == name else None
        if match:
            return KeptThing(kind, match[1], found.arn)
    return None


def leases_of(tagged: Iterable[Tagged], stack_id: str, present: Collection[str]) -> list[str]:
    """Return the names of the buckets with leases that a stack has had, without ``present``.

    By CloudFormation's own tag: a stack of the same name that was deleted has kept its bucket, too.
    """
    found = (thing_of(one) for one in tagged if one.tags.get(_STACK_ID) == stack_id)
    return sorted(one.id for one in found if one and one.kind == LEASES and one.id not in present)


def left_behind(
    tagged: Iterable[Tagged], snapshots: Iterable[KeptSnapshot], living: Iterable[str]
) -> list[Left]:
    """Group by cluster what is tagged, without clusters that have a stack (``living``)."""
    things: dict[str, list[KeptThing]] = {}
    of_databases: dict[str, list[KeptSnapshot]] = {}
    for found in tagged:
        thing = thing_of(found)
        if thing is not None:
            things.setdefault(found.tags.get(TAG_CLUSTER, ""), []).append(thing)
    for one in snapshots:
        of_databases.setdefault(one.tags.get(TAG_CLUSTER, ""), []).append(one)
    names = {name for name in things | of_databases if is_cluster_name(name)} - set(living)
    return [
        Left(
            name,
            tuple(sorted(things.get(name, ()), key=lambda one: (one.kind, one.id))),
            tuple(sorted(of_databases.get(name, ()), key=lambda one: one.name)),
        )
        for name in sorted(names)
    ]


@dataclass(frozen=True, slots=True)
class WayBack:
    """From what a new cluster can be made; ``why`` not, in words, where the rest is None."""

    bucket: str = ""
    backup: StoredBackup | None = None
    snapshot: KeptSnapshot | None = None
    why: str = ""

    def as_document(self) -> dict[str, Any] | None:
        """Return it as JSON; None where there is no way back."""
        at = None if self.backup is None else _moment(self.backup)
        if self.backup is None or at is None or self.snapshot is None or self.snapshot.at is None:
            return None
        return {
            "bucket": self.bucket,
            "backup": self.backup.id,
            "at": written(at),
            "partitions": self.backup.partitions,
            "version": self.backup.version,
            "snapshot": self.snapshot.name,
            "snapshotAt": written(self.snapshot.at),
            "engineVersion": self.snapshot.engine_version,
        }


def lifetimes(left: Left, present: PresentDatabase | None) -> Lifetimes:
    """Return which database the brokers worked with when; ``present`` None for after a teardown.

    Without a snapshot of the present one, only what it was restored from shows when it began; and
    if it never was, every snapshot is of another one.
    """
    own = [one for one in left.snapshots if not one.copied and one.database]
    created = {one.database: one.created for one in own if one.created is not None}
    if present is None:
        return Lifetimes(created)
    if present.name and present.name not in created:
        origin = [one.at for one in left.snapshots if one.name == present.snapshot and one.at]
        created[present.name] = min(origin, default=NEVER)
    return Lifetimes(created, present.name)


def way_back(
    left: Left,
    backups: Mapping[str, Sequence[StoredBackup]],
    keys: Mapping[str, str],
    present: PresentDatabase | None = None,
) -> WayBack:
    """Judge whether a new cluster can be made of what one has left.

    ``backups`` are those in each backup bucket, the newest first; ``keys`` the states of the
    snapshots' keys by ARN, as KMS returns them. A database must not be ahead of the brokers'
    newest backup: they would lack what it has. So the snapshot is one that is not newer than a
    complete backup, of the database that they worked with then: not of an earlier cluster of the
    name, nor of what a restore has replaced. ``present`` is the cluster's database, if it lives.
    Source: https://docs.camunda.io/docs/self-managed/operational-guides/backup-restore/rdbms/rdbms-restore/
    """
    if not left.backup_buckets:
        return WayBack(why="no bucket with the brokers' backups is left")
    complete = [
        (one, bucket)
        for bucket in left.backup_buckets
        for one in backups.get(bucket, ())
        if one.complete and _moment(one) is not None
    ]
    if not complete:
        return WayBack(why=f"no complete backup is in {', '.join(left.backup_buckets)}")
    there = [
        one
        for one in left.snapshots
        if one.status == "available" and one.at is not None and not one.copied
    ]
    ready = [one for one in there if not one.key or keys.get(one.key) == "Enabled"]
    if not ready:
        closed = {one.key: keys.get(one.key, "unknown") for one in there}
        words = ", ".join(f"its key {key} is {state}" for key, state in sorted(closed.items()))
        why = "no snapshot of the database is available"
        return WayBack(why=f"{why}: {words}" if words else why)
    lives = lifetimes(left, present)
    began = max((at for at in lives.created.values() if at > NEVER), default=NEVER)
    last = [(one, bucket) for one, bucket in complete if (_moment(one) or NEVER) >= began]
    if not last:
        return WayBack(
            why=f"the database was created at {written(began)}, after every complete backup of the "
            "brokers: the cluster was restored or made anew then, so that a restore needs backup"
        )
    pairs = [
        (snapshot.at, at, snapshot, backup, bucket)
        for backup, bucket in last
        for snapshot in ready
        if snapshot.at is not None and (at := _moment(backup)) is not None and snapshot.at <= at
        if lives.has(snapshot.database, snapshot.created, snapshot.at, at)
        or (present is not None and snapshot.name == present.snapshot)
    ]
    if not pairs:
        oldest = min(one.at for one in ready if one.at is not None)
        newest = max(at for one, _ in last if (at := _moment(one)) is not None)
        if oldest <= newest:
            return WayBack(
                why="no snapshot is of the database that the brokers had at their newest backup of "
                f"{written(newest)}, and of before it"
            )
        return WayBack(
            why=f"every snapshot of the database is newer (the oldest of {written(oldest)}) than "
            f"the brokers' newest backup of {written(newest)}: the brokers would lack what the "
            "database has"
        )
    _, _, snapshot, backup, bucket = max(pairs, key=lambda one: (one[0], one[1]))
    return WayBack(bucket, backup, snapshot)


def _moment(backup: StoredBackup) -> datetime | None:
    """Return the moment to which a backup restores: that of its checkpoint."""
    try:
        return datetime.fromisoformat(backup.checkpoint or backup.at)
    except ValueError:
        return None


def as_line(left: Left) -> dict[str, Any]:
    """Return what a cluster has left as JSON."""
    return {
        "cluster": left.cluster,
        "things": [{"kind": one.kind, "id": one.id, "arn": one.arn} for one in left.things],
        "snapshots": [
            {
                "name": one.name,
                "status": one.status,
                "at": written(one.at) if one.at is not None else None,
                "engineVersion": one.engine_version,
            }
            for one in left.snapshots
        ],
    }


def as_lines(backups: Iterable[StoredBackup]) -> list[Mapping[str, Any]]:
    """Return backups as JSON."""
    return [as_document(one) for one in backups]
