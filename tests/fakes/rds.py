"""In-memory fakes of what is protected from deletion: Aurora and load balancers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from lifecycle.backup.ports import DatabaseSeen, SnapshotSeen
from lifecycle.errors import AwsUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass
class FakeDatabases:
    """Aurora clusters that are protected, and snapshots by the cluster they were taken of."""

    protected: set[str] = field(default_factory=set)
    taken: dict[str, list[str]] = field(default_factory=dict)

    def protect(self, identifier: str, *, on: bool) -> None:
        """Turn deletion protection on or off."""
        if on:
            self.protected.add(identifier)
        else:
            self.protected.discard(identifier)

    def snapshots(self, identifier: str) -> Sequence[str]:
        """Names of the snapshots."""
        return self.taken.get(identifier, [])


@dataclass
class FakeBalancers:
    """Load balancers that are protected, by ARN."""

    protected: set[str] = field(default_factory=set)

    def unprotect(self, arn: str) -> None:
        """Turn deletion protection off."""
        self.protected.discard(arn)


@dataclass
class FakeDatabaseBackups:
    """One Aurora cluster whose snapshots take ``seconds``, as RDS has it.

    ``status`` is the cluster's; a snapshot is begun only while it is ``available``. ``lag`` is how
    many seconds ago it can be restored to at the latest, None where continuous backup has ended.
    ``ends`` is what a snapshot becomes; ``created`` is when the cluster was, by a restore, too.
    """

    now: Callable[[], datetime]
    identifier: str = "database-1"
    status: str = "available"
    seconds: int = 60
    lag: int | None = 300
    days: int = 7
    ends: str = "available"
    problem: str = ""
    created: datetime = field(default_factory=lambda: datetime.min.replace(tzinfo=UTC))
    taken: dict[str, SnapshotSeen] = field(default_factory=dict)

    def look(self, identifier: str, tags: Mapping[str, str]) -> DatabaseSeen:
        """Return the cluster and its snapshots, the newest first."""
        if self.problem:
            raise AwsUnavailable(self.problem)
        if identifier != self.identifier:
            return DatabaseSeen("")
        now = self.now()
        found = [
            self._seen(one)
            for one in self.taken.values()
            if not one.former or one.tags.items() >= tags.items()
        ]
        return DatabaseSeen(
            status=self.status,
            earliest=max(self.created, now - timedelta(days=self.days)),
            latest=None if self.lag is None else now - timedelta(seconds=self.lag),
            snapshots=tuple(sorted(found, key=lambda one: str(one.at), reverse=True)),
            created=self.created,
        )

    def _seen(self, one: SnapshotSeen) -> SnapshotSeen:
        begun = one.at or datetime.min.replace(tzinfo=UTC)
        if one.status != "creating":
            return one
        if self.now() - begun < timedelta(seconds=self.seconds):
            return one
        return replace(one, status=self.ends)

    def snapshot(self, identifier: str, name: str, tags: Mapping[str, str]) -> None:
        """Begin a manual snapshot; the same name again changes nothing."""
        assert identifier == self.identifier
        if name in self.taken:
            return
        if self.status != "available":
            raise AwsUnavailable(f"Aurora cluster {identifier} takes no snapshot now.")
        self.taken[name] = SnapshotSeen(
            name,
            "creating",
            self.now(),
            manual=True,
            tags=dict(tags),
            size=1,
            arn=f"arn:{name}",
            created=self.created,
        )

    def tag(self, snapshot: SnapshotSeen, tags: Mapping[str, str]) -> None:
        """Add tags to a snapshot."""
        one = self.taken[snapshot.name]
        self.taken[snapshot.name] = replace(one, tags={**one.tags, **tags})

    def delete(self, name: str) -> None:
        """Delete a manual snapshot."""
        self.taken.pop(name, None)


@dataclass
class FakeSizes:
    """Bytes of backups, as CloudWatch shows them."""

    of_bucket: int | None = None
    of_database: int | None = None
    of_volume: int | None = None

    def bucket(self, name: str) -> int | None:
        """Return the bytes of a bucket."""
        del name
        return self.of_bucket

    def database(self, identifier: str) -> int | None:
        """Return the bytes of an Aurora cluster's backups."""
        del identifier
        return self.of_database

    def volume(self, identifier: str) -> int | None:
        """Return the bytes of an Aurora cluster."""
        del identifier
        return self.of_volume
