"""In-memory fakes of what a restore reads and makes: RDS, backups in a bucket, tasks that end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lifecycle.errors import AwsUnavailable, RestoreRefused
from lifecycle.restore.facts import DatabaseFound, SnapshotFound, Window
from lifecycle.restore.ports import RangesSeen, RestoreTask, Thing, UserSecret

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from lifecycle.camunda.credentials import Credentials
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.restore.facts import Checkpoint, Range


@dataclass
class FakeRestoredDatabases:
    """Databases and snapshots by name; ``advance`` lets RDS finish what it has begun.

    ``contents`` are the moment that a database or a snapshot is of; ``passwords`` by database.
    """

    windows: list[Window] = field(default_factory=list)
    databases: dict[str, Thing] = field(default_factory=dict)
    snapshots: dict[str, Thing] = field(default_factory=dict)
    taken: dict[str, SnapshotFound] = field(default_factory=dict)
    contents: dict[str, datetime] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    """Names of copies, as often as one was begun."""
    fails: str = ""
    """Status that a copy gets in place of available."""
    slow: bool = False
    """Copies stay in creation."""

    def found(self, cluster: str) -> DatabaseFound:
        """Return what can be restored."""
        del cluster
        available = [
            one for name, one in self.taken.items() if self.snapshots[name].status == "available"
        ]
        return DatabaseFound(tuple(self.windows), tuple(available))

    def database(self, name: str) -> Thing:
        """Return a database."""
        return self.databases.get(name, Thing("", {}))

    def snapshot(self, name: str) -> Thing:
        """Return a snapshot."""
        return self.snapshots.get(name, Thing("", {}))

    def restore_to(self, name: str, *, source: str, at: datetime, tags: Mapping[str, str]) -> None:
        """Begin a copy."""
        if name in self.databases:
            return
        window = next(one for one in self.windows if one.database == source)
        if not window.earliest <= at < window.latest:
            raise RestoreRefused(f"{at} is not in the window")
        self.databases[name] = Thing("creating", dict(tags))
        self.contents[name] = at
        self.made.append(name)

    def take(self, name: str, *, of: str, tags: Mapping[str, str]) -> None:
        """Begin a snapshot."""
        if name in self.snapshots:
            return
        if self.databases[of].status != "available":
            raise AwsUnavailable(f"{of} is {self.databases[of].status}")
        self.snapshots[name] = Thing("creating", dict(tags))
        self.databases[of] = replace(self.databases[of], status="backing-up")
        self.contents[name] = self.contents[of]
        backup = int(tags.get("camunda:backup", "0"))
        self.taken[name] = SnapshotFound(
            name, self.contents[of], backup, database=of, copied=of in self.made
        )

    def remove(self, name: str, *, tags: Mapping[str, str]) -> None:
        """Delete a copy."""
        found = self.databases.get(name)
        if found is None:
            return
        if not tags.items() <= found.tags.items():
            raise RestoreRefused(f"{name} has other tags")
        self.databases[name] = replace(found, status="deleting")

    def set_password(self, name: str, admin: Credentials) -> None:
        """Set a password; RDS applies it after a while."""
        if self.databases[name].status != "available":
            raise AwsUnavailable(f"{name} is {self.databases[name].status}")
        self.passwords[name] = admin.password
        self.databases[name] = replace(self.databases[name], settled=False)

    def advance(self) -> None:
        """Let RDS finish."""
        for name, one in list(self.databases.items()):
            if one.status == "deleting":
                del self.databases[name]
            elif one.status == "creating":
                if self.slow:
                    continue
                self.databases[name] = replace(one, status=self.fails or "available")
            else:
                self.databases[name] = replace(one, status="available", settled=True)
        for name, one in self.snapshots.items():
            self.snapshots[name] = replace(one, status="available")


@dataclass
class FakeStoredBackups:
    """Backups that the bucket holds, by bucket."""

    by_bucket: dict[str, list[Checkpoint]] = field(default_factory=dict)

    def list(
        self, bucket: str, *, until: datetime, backup: int | None, most: int
    ) -> Sequence[Checkpoint]:
        """Return the newest, and the one with that id; all where there are few."""
        found = sorted(self.by_bucket.get(bucket, []), key=lambda one: one.backup)
        chosen = found
        if len(found) > most:
            chosen = [one for one in found if one.at <= until][-most:]
        return chosen + [one for one in found if one.backup == backup and one not in chosen]


@dataclass
class FakeUserSecrets:
    """Secrets of users; ``copied`` has the source's ARN by the target's."""

    found: list[UserSecret] = field(default_factory=list)
    copied: dict[str, str] = field(default_factory=dict)
    clusters: list[str] = field(default_factory=list)

    def of_cluster(self, cluster: str) -> Sequence[UserSecret]:
        """Return them."""
        self.clusters.append(cluster)
        return self.found

    def copy(self, source: UserSecret, target: str, cluster: str) -> None:
        """Note the copy."""
        del cluster
        self.copied[target] = source.arn


@dataclass
class FakeRanges:
    """What the brokers return of their ranges, and how many partitions they have."""

    ranges: list[Range] = field(default_factory=list)
    problem: str = "no broker answers"
    partitions: int = 0

    def of(self, cluster: ClusterOutputs) -> RangesSeen:
        """Return them."""
        del cluster
        return RangesSeen(self.ranges, "" if self.ranges else self.problem, self.partitions)


@dataclass
class FakeCounts:
    """What the searches count; ``since`` are the moments that were asked for."""

    counts: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    since: list[datetime] = field(default_factory=list)

    def after(self, cluster: ClusterOutputs, since: datetime) -> tuple[Mapping[str, Any], str]:
        """Return them."""
        del cluster
        self.since.append(since)
        return self.counts, self.problem


@dataclass
class FakeRestoreTasks:
    """Tasks that restore: ``advance`` lets them end when as many run as there are nodes.

    ``nodes`` are restored by bucket, as the restore application notes them. ``brokers`` is how many
    nodes there are; ``exits`` are exit codes that the next tasks end with, ``capacity`` how many
    tasks ECS starts now.
    """

    brokers: int = 3
    nodes: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, RestoreTask] = field(default_factory=dict)
    environments: dict[str, Mapping[str, str]] = field(default_factory=dict)
    buckets: dict[str, str] = field(default_factory=dict)
    exits: list[int] = field(default_factory=list)
    tokens: dict[str, list[str]] = field(default_factory=dict)
    most_at_once: int = 0
    capacity: int = 30
    now: int = 0
    hidden: set[str] = field(default_factory=set)
    """Tasks that ECS has started and does not list yet."""
    hides: bool = False
    slow: bool = False
    """Tasks run on without an end."""

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
        """Start tasks, once for a token."""
        del started_by, tags
        if token in self.tokens:
            return self.tokens[token], []
        started = []
        for _ in range(min(count, self.capacity)):
            name = f"restore-{len(self.tasks)}"
            self.tasks[name] = RestoreTask(name, "RUNNING", self.now)
            self.environments[name] = dict(environment)
            self.buckets[name] = cluster["NodeIdBucketName"]
            started.append(name)
        if self.hides:
            self.hidden |= set(started)
        self.tokens[token] = started
        self.most_at_once = max(self.most_at_once, len(self.alive))
        return started, ["Capacity is unavailable at this time."] * (count - len(started))

    @property
    def alive(self) -> list[RestoreTask]:
        """Tasks that run."""
        return [one for one in self.tasks.values() if not one.stopped]

    def list(
        self, ecs_cluster: str, started_by: str, known: Collection[str]
    ) -> Sequence[RestoreTask]:
        """Return those that run, and those that are known."""
        del ecs_cluster, started_by
        return [
            one
            for name, one in self.tasks.items()
            if name not in self.hidden and (not one.stopped or name in known)
        ]

    def stop(self, ecs_cluster: str, task_id: str, reason: str) -> None:
        """Stop a task."""
        del ecs_cluster
        one = self.tasks[task_id]
        self.tasks[task_id] = replace(one, status="STOPPED", exit_code=143, reason=reason)

    def advance(self) -> None:
        """Let tasks end: with what they are to exit with, or all once every node is restored."""
        self.hidden.clear()
        if self.slow:
            return
        for one in self.alive:
            if self.exits:
                self._end(one, self.exits.pop(0))
        running = self.alive
        if not running:
            return
        bucket = self.buckets[running[0].task_id]
        if len(running) >= self.brokers or self.nodes.get(bucket, 0) >= self.brokers:
            self.nodes[bucket] = self.brokers
            for one in running:
                self._end(one, 0)

    def _end(self, one: RestoreTask, code: int) -> None:
        reason = "Essential container in task exited"
        self.tasks[one.task_id] = replace(one, status="STOPPED", exit_code=code, reason=reason)
