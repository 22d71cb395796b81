"""Ports of this room: Aurora's restores, backups in their bucket, tasks that restore brokers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from lifecycle.camunda.credentials import Credentials
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.record import Record
    from lifecycle.operation.rehearsal_note import RehearsalNote
    from lifecycle.restore.facts import Checkpoint, DatabaseFound, Range


@dataclass(frozen=True, slots=True)
class Thing:
    """An Aurora cluster or a snapshot; ``status`` is RDS's, empty where there is none.

    ``settled`` is false while RDS still applies a change, of the password for example.
    """

    status: str
    tags: Mapping[str, str]
    settled: bool = True

    @property
    def exists(self) -> bool:
        """Whether RDS has it."""
        return bool(self.status)


class RestoredDatabases(Protocol):
    """Aurora clusters of one control plane: what they can be restored from, and their copies."""

    def found(self, cluster: str) -> DatabaseFound:
        """Return what a cluster's database can be restored from, former databases included."""
        ...

    def database(self, name: str) -> Thing:
        """Return an Aurora cluster of that name."""
        ...

    def snapshot(self, name: str) -> Thing:
        """Return a manual snapshot of that name."""
        ...

    def restore_to(self, name: str, *, source: str, at: datetime, tags: Mapping[str, str]) -> None:
        """Begin to restore a database to a moment, as another one beside it without instances.

        Network, encryption and port are the source's. One of that name that is there is left alone.
        Raises ``RestoreRefused`` where RDS rejects it for good, ``AwsUnavailable`` for now.
        """
        ...

    def take(self, name: str, *, of: str, tags: Mapping[str, str]) -> None:
        """Begin a snapshot of a database. One of that name is left alone. Raises as above."""
        ...

    def remove(self, name: str, *, tags: Mapping[str, str]) -> None:
        """Delete a copy without a final snapshot; it has to have these tags. Raises as above."""
        ...

    def set_password(self, name: str, admin: Credentials) -> None:
        """Set the administrator's password. Raises as above."""
        ...


@dataclass(frozen=True, slots=True)
class UserSecret:
    """The secret of a user of Camunda: its ARN, who it is for, and when it was created."""

    arn: str
    username: str
    created_at: datetime


class UserSecrets(Protocol):
    """Secrets of the users of Camunda; no value leaves the adapter."""

    def of_cluster(self, cluster: str) -> Sequence[UserSecret]:
        """Return those with the tags of a cluster, whether it has a stack or not.

        Raises ``SecretUnreadable``.
        """
        ...

    def copy(self, source: UserSecret, target: str, cluster: str) -> None:
        """Make the value of a secret that of a secret of a cluster; repeating is harmless.

        Raises ``SecretRefused`` for a target of another cluster or purpose.
        """
        ...


class PastOperations(Protocol):
    """What earlier operations of a cluster left, whether it is there or not."""

    def of_cluster(self, cluster: str, limit: int) -> Sequence[Record]:
        """Return records of operations, newest first; they may lag by a moment."""
        ...

    def rehearsal(self, cluster: str) -> RehearsalNote | None:
        """Return what the last rehearsal left; None when there was none."""
        ...


class StoredBackups(Protocol):
    """Backups of the brokers as they are in their bucket, whether any broker runs or not."""

    def list(
        self, bucket: str, *, until: datetime, backup: int | None, most: int
    ) -> Sequence[Checkpoint]:
        """Return the newest backups until then, at most so many, and the one with that id.

        Of a bucket with no more than so many, all: of later ones, too. Raises ``InvalidResponse``.
        """
        ...


@dataclass(frozen=True, slots=True)
class RestoreTask:
    """A task that restores a broker; ``exit_code`` is the broker's container's, None while it runs.

    ``status`` is ECS's last status, ``created_at`` is epoch seconds, ``reason`` why it stopped.
    """

    task_id: str
    status: str
    created_at: int
    exit_code: int | None = None
    reason: str = ""

    @property
    def stopped(self) -> bool:
        """Whether it ended."""
        return self.status == "STOPPED"


@dataclass(frozen=True, slots=True)
class RangesSeen:
    """What brokers return: the ranges of all partitions, or none and ``unread``, which is why.

    ``partitions`` is how many there are, 0 where that is not known or is being changed. It may be
    known without ranges: partitions that were just added have no backup yet.
    """

    ranges: Sequence[Range] = ()
    unread: str = ""
    partitions: int = 0


class BrokerRanges(Protocol):
    """Times that the brokers can restore without a gap, as they return them."""

    def of(self, cluster: ClusterOutputs) -> RangesSeen:
        """Return the ranges of all partitions and how many there are, as far as it is known."""
        ...


class LostCounts(Protocol):
    """What users started and completed, as Camunda's searches count it."""

    def after(self, cluster: ClusterOutputs, since: datetime) -> tuple[Mapping[str, Any], str]:
        """Return numbers (or ``10000+``) by kind, and why some are not known; empty if all are."""
        ...


class RestoreTasks(Protocol):
    """Tasks of the brokers' own revision that run the restore application and end."""

    def run(
        self,
        cluster: ClusterOutputs,
        *,
        count: int,
        environment: Mapping[str, str],
        started_by: str,
        token: str,
        tags: Mapping[str, str],
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Start so many tasks at once.

        Returns the ids of those that ECS started, and why it did not start others. ``token`` makes
        a repetition of the same call start nothing. Raises ``RestoreFailed`` where ECS rejects it
        for good, ``AwsUnavailable`` for now.
        """
        ...

    def list(
        self, ecs_cluster: str, started_by: str, known: Collection[str]
    ) -> Sequence[RestoreTask]:
        """Return the tasks that were started so and run, and those of ids that are known.

        ECS lists no task that has ended, but still describes it for an hour.
        """
        ...

    def stop(self, ecs_cluster: str, task_id: str, reason: str) -> None:
        """Stop a task; one that has ended is no error."""
        ...
