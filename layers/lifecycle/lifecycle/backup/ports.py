"""Ports of this room: Aurora's snapshots, and the function that changes backups inside the VPC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from lifecycle.camunda.backups import BackupsSeen
    from lifecycle.cluster.stack import Stack


@dataclass(frozen=True, slots=True)
class SnapshotSeen:
    """A snapshot of an Aurora cluster: ``status`` is RDS's, ``at`` None until it is taken.

    ``former`` is true for one of another database than the present one, ``created`` is when the
    database that it was taken of was created, None where RDS does not show it.

    ``manual`` is false for those that Aurora takes and deletes by itself. ``size`` is what RDS
    returns as its allocated storage, in GiB.
    """

    name: str
    status: str
    at: datetime | None
    manual: bool
    tags: Mapping[str, str]
    size: int = 0
    arn: str = ""
    former: bool = False
    created: datetime | None = None

    @property
    def available(self) -> bool:
        """Whether it can be restored."""
        return self.status == "available" and self.at is not None


@dataclass(frozen=True, slots=True)
class DatabaseSeen:
    """An Aurora cluster: RDS's status, its snapshots, and the time to which it can be restored.

    ``earliest``, ``latest`` and ``created`` (when it was created) are None where RDS returns none;
    ``status`` is empty where there is no such cluster.
    """

    status: str
    earliest: datetime | None = None
    latest: datetime | None = None
    snapshots: tuple[SnapshotSeen, ...] = ()
    created: datetime | None = None


class DatabaseBackups(Protocol):
    """Snapshots and continuous backup of Aurora clusters."""

    def look(self, identifier: str, tags: Mapping[str, str]) -> DatabaseSeen:
        """Return the cluster of that identifier, and its snapshots, the newest first.

        Also manual ones with all of these tags, whatever database they were taken of: a restore
        gives a cluster another one. So they may be of an earlier cluster of the name.
        """
        ...

    def snapshot(self, identifier: str, name: str, tags: Mapping[str, str]) -> None:
        """Begin a manual snapshot with these tags; the same name again changes nothing.

        Raises ``BackupRefused`` where RDS rejects it for good, and ``AwsUnavailable`` while the
        cluster takes none.
        """
        ...

    def tag(self, snapshot: SnapshotSeen, tags: Mapping[str, str]) -> None:
        """Add tags to a snapshot."""
        ...

    def delete(self, name: str) -> None:
        """Delete a manual snapshot; one that is gone stays so."""
        ...


class BackupChanges(Protocol):
    """The function inside the VPC that has the brokers take or delete a backup."""

    def query(
        self, question: str, cluster: Mapping[str, str], **arguments: object
    ) -> Mapping[str, Any]:
        """Return the answer to ``take`` or ``delete``; see ``BackupChanger``."""
        ...


class RestoreDecisions(Protocol):
    """What a restore into a cluster decides of the backups that its brokers list."""

    def refusals(self, stack: Stack, seen: BackupsSeen) -> Mapping[int, str]:
        """Return why it would refuse complete backups, by id; it takes all others."""
        ...


class BackupSizes(Protocol):
    """How much storage backups use, as CloudWatch shows it; None where it shows nothing yet."""

    def bucket(self, name: str) -> int | None:
        """Return the bytes of a bucket at the last daily measurement."""
        ...

    def database(self, identifier: str) -> int | None:
        """Return the bytes of an Aurora cluster's backups that are billed."""
        ...

    def volume(self, identifier: str) -> int | None:
        """Return the bytes of an Aurora cluster's own storage."""
        ...
