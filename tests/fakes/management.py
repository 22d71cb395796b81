"""The in-memory fake of the management API: a simulated cluster, asked without a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lifecycle.adapters.camunda.management import shortened
from lifecycle.camunda.backups import BackupRange, BackupsSeen, PartOfBackup, PrimaryBackup
from lifecycle.camunda.partitions import BackupStatus, PartitionStatus, read_partitions
from lifecycle.camunda.topology import (
    ClusterConfiguration,
    PlannedChange,
    Readiness,
    ReadinessState,
    Topology,
    read_configuration,
    read_planned_change,
    read_topology,
)
from lifecycle.errors import (
    ChangeInProgress,
    CredentialsRefused,
    ManagementOutcomeUnknown,
    ManagementRefused,
    ManagementUnavailable,
)

from tests.fakes.management_simulation import Refusal, SimulatedCluster

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle.camunda.credentials import Login


def exposition(metrics: dict[str, dict[int, int]]) -> str:
    """Write metrics by partition in Prometheus' text format."""
    lines = [f"# TYPE {name} untyped" for name in metrics]
    for name, values in metrics.items():
        lines += [f'{name}{{partition="{one}"}} {value:.1f}' for one, value in values.items()]
    return "\n".join([*lines, ""])


class InMemoryManagement:
    """A cluster whose brokers are started and stopped, and whose time passes, by command.

    ``credentials`` are those that the topology asks for; ``None`` asks for none. ``taken`` are the
    backups by id: when each was begun and how many partitions it holds; ``backup_seconds`` is what
    one takes, ``None`` where backups are not configured; without ``continuous`` an id has to be
    given; ``starts`` is the moment of second 0 in the list of backups; ``ranges`` are those of each
    partition. ``stuck`` backups never end, ``failed`` ones have. ``dropped`` are the requests
    that a broker dropped, by address, ``in_flight`` those that a partition has, ``behind`` its
    backlog.
    """

    def __init__(
        self,
        cluster: SimulatedCluster,
        *,
        running: Iterable[int] = (),
        credentials: Login | None = None,
        now: float = 0.0,
    ) -> None:
        self._cluster = cluster
        self._credentials = credentials
        self._now = now
        self._started: dict[int, float] = {}
        self._addresses: dict[int, str] = {}
        self.backup_seconds: float | None = 5.0
        self.continuous = True
        self._highest = 0
        self.ranges = 1
        self.starts = datetime.fromtimestamp(0, UTC)
        self.unready: dict[str, tuple[str, ...]] = {}
        self.dropped: dict[str, int] = {}
        self.in_flight: dict[int, int] = {}
        self.behind: dict[int, int] = {}
        self.views: dict[str, dict[str, Any] | Exception] = {}
        self.stuck: set[int] = set()
        self.failed: set[int] = set()
        self.taken: dict[int, tuple[float, int]] = {1: (now - 3600, cluster.partitions)}
        for node in running:
            self.start_broker(node)

    def start_broker(self, node: int, address: str = "") -> None:
        """Start a broker process; it takes part as soon as the cluster lets it."""
        self._started[node] = self._now
        self._addresses[node] = address or f"10.0.0.{10 + node}"
        self.pass_time(0)

    @property
    def now(self) -> float:
        """Present time, in seconds since this began."""
        return self._now

    @property
    def running(self) -> frozenset[int]:
        """Brokers whose processes run, whether they may take part or not."""
        return frozenset(self._started)

    def kill_broker(self, node: int) -> None:
        """Kill a broker process; the others notice after a while."""
        del self._started[node]

    def pass_time(self, seconds: float) -> None:
        """Let time pass, in small pieces, as brokers that are alive would spend it."""
        end = self._now + seconds
        while True:
            for node in sorted(self._started):
                self._cluster.beat(node, self._addresses[node], self._started[node], self._now)
            self._cluster.advance(self._now)
            if self._now >= end:
                return
            self._now = min(end, self._now + self._cluster.step_seconds)

    def addresses(self) -> tuple[str, ...]:
        """Addresses of the processes that run."""
        return tuple(self._addresses[node] for node in sorted(self._started))

    def configuration(self) -> ClusterConfiguration:
        """Read the cluster configuration."""
        self._require_coordinator()
        return read_configuration(self._cluster.configuration())

    def topology(self, login: Login | None = None) -> Topology:
        """Read what the gateways see."""
        self._require_gateway()
        if self._credentials is not None and not self._admits(login):
            raise CredentialsRefused("The topology was refused: HTTP 401: Unauthorized.")
        return read_topology(self._cluster.topology())

    def _admits(self, login: Login | None) -> bool:
        wanted = self._credentials.authorizations() if self._credentials is not None else ()
        return login is not None and bool({*login.authorizations()} & {*wanted})

    def topology_of(self, address: str, login: Login | None = None) -> Topology:
        """Read what one gateway sees: what all do, unless ``views`` say otherwise."""
        if all(self._addresses[node] != address for node in self._serving()):
            raise ManagementUnavailable(f"{address}:8080: Connection refused.")
        view = self.views.get(address)
        if isinstance(view, Exception):
            raise view
        return self.topology(login) if view is None else read_topology(view)

    def readiness(self, address: str) -> Readiness:
        """Ask one broker whether it is ready."""
        for node in self._serving():
            if self._addresses[node] == address:
                if self._cluster.brokers[node].ready:
                    return Readiness(address, ReadinessState.READY, "")
                return Readiness(address, ReadinessState.NOT_READY, "HTTP 503")
        return Readiness(address, ReadinessState.UNREACHABLE, f"{address}: Connection refused")

    def partitions(self, address: str) -> tuple[PartitionStatus, ...]:
        """Read what one broker tells of its own partitions."""
        for node in self._serving():
            if self._addresses[node] == address:
                return read_partitions(self._cluster.partition_states(node))
        raise ManagementUnavailable(f"{address}: Connection refused.")

    def meters(self, address: str) -> str:
        """Expose what one broker measures, a leader of its requests, too."""
        for node in self._serving():
            if self._addresses[node] == address:
                return exposition(self._of_partitions(node, address))
        raise ManagementUnavailable(f"{address}: Connection refused.")

    def _of_partitions(self, node: int, address: str) -> dict[str, dict[int, int]]:
        done = self._cluster.processed
        held = {one["partitionId"]: one["role"] for one in self._cluster.seen_partitions(node)}
        led = [number for number, role in held.items() if role == "leader"]
        return {
            "zeebe_dropped_request_count_total": {
                one: self.dropped.get(address, 0) if one == min(held) else 0 for one in held
            },
            "zeebe_backpressure_inflight_requests_count": {
                one: self.in_flight.get(one, 0) for one in led
            },
            "zeebe_backpressure_requests_limit": dict.fromkeys(led, 100),
            "zeebe_log_appender_last_appended_position": {
                one: done + self.behind.get(one, 0) for one in held
            },
            "zeebe_stream_processor_last_processed_position": dict.fromkeys(held, done),
        }

    def upgrade_readiness(self, address: str) -> tuple[str, ...]:
        """Read what one broker has not ended for the next minor version."""
        if all(self._addresses[node] != address for node in self._serving()):
            raise ManagementUnavailable(f"{address}:9600: Connection refused.")
        return self.unready.get(address, ())

    def backups(self) -> BackupStatus:
        """Read each partition's latest backup: the schedule took one of those covered just now.

        The newest range of a partition begins with the first backup that holds it; each older one
        is of half an hour and ends half an hour before the next.
        """
        self._require_gateway()
        moment = datetime.fromtimestamp(self._now, UTC)
        complete = [b for b in self.taken if self.backup_state(b) == "COMPLETED"]
        covered = max((self.taken[backup][1] for backup in complete), default=0)
        latest: dict[int, datetime | None] = dict.fromkeys(range(1, covered + 1), moment)
        first = {
            one: min(begun for begun, held in (self.taken[b] for b in complete) if one <= held)
            for one in latest
        }
        return BackupStatus(
            supported=True,
            enabled=self.backup_seconds is not None,
            latest=latest,
            newest=max(self.taken, default=0),
            settled=max(complete, default=0),
            ranges=tuple(
                BackupRange(
                    one,
                    datetime.fromtimestamp(begun, UTC) - timedelta(hours=older),
                    datetime.fromtimestamp(begun - 1800, UTC) - timedelta(hours=older - 1)
                    if older
                    else moment,
                )
                for one, begun in first.items()
                for older in reversed(range(self.ranges))
            ),
        )

    def plan_brokers(self, count: int) -> PlannedChange:
        """Ask what scaling would do."""
        self._require_coordinator()
        return read_planned_change(self._patch({"brokers": {"count": count}}, dry_run=True))

    def plan_partitions(self, count: int) -> PlannedChange:
        """Ask what adding partitions would do."""
        self._require_coordinator()
        return read_planned_change(self._patch({"partitions": {"count": count}}, dry_run=True))

    def scale_brokers(self, count: int) -> PlannedChange:
        """Start scaling."""
        return self._send({"brokers": {"count": count}})

    def scale_partitions(self, count: int) -> PlannedChange:
        """Start adding partitions."""
        return self._send({"partitions": {"count": count}})

    def list_backups(self) -> BackupsSeen:
        """Read the backups; a partition's range is from the first complete one to the last."""
        self._require_gateway()
        if self.backup_seconds is None:
            return BackupsSeen(enabled=False)
        found = [self._listed(one) for one in sorted(self.taken, reverse=True)]
        ends = [one for one in found if one.state == "COMPLETED" and one.at is not None]
        partitions = {part.partition for one in ends for part in one.parts}
        ranges = []
        for partition in sorted(partitions):
            times = [
                part.at
                for one in ends
                for part in one.parts
                if part.partition == partition and part.at is not None
            ]
            ranges.append(BackupRange(partition, min(times), max(times)))
        return BackupsSeen(enabled=True, backups=tuple(found), ranges=tuple(ranges))

    def _listed(self, backup: int) -> PrimaryBackup:
        begun, partitions = self.taken[backup]
        state, at = self.backup_state(backup), self.starts + timedelta(seconds=begun)
        parts = tuple(
            PartOfBackup(one, state, at, version="8.9.16") for one in range(1, partitions + 1)
        )
        return PrimaryBackup(backup, state, parts)

    def delete_backup(self, backup: int) -> None:
        """Delete a backup."""
        self._require_gateway()
        self._highest = max([self._highest, *self.taken])
        self.taken.pop(backup, None)

    def back_up(self, backup: int | None = None) -> int:
        """Take a backup, which is complete after ``backup_seconds``.

        With an id only where ``continuous`` is false, as Camunda demands.
        """
        self._require_gateway()
        if self.backup_seconds is None:
            raise ManagementRefused("A broker answered HTTP 400: no backup store.")
        if self.continuous is (backup is not None):
            raise ManagementRefused("A broker answered HTTP 400: the id of the backup.")
        if self._cluster.pending is not None:
            raise ChangeInProgress(
                "A broker answered HTTP 409: Cannot take backup while scaling is in progress."
            )
        # An id is never given again, not even that of a backup that was deleted.
        self._highest = max([self._highest, *self.taken])
        made = self._highest + 1 if backup is None else backup
        if made <= self._highest:
            raise ChangeInProgress("A broker answered HTTP 409: a higher id exists.")
        self.taken[made] = (self._now, self._cluster.partitions)
        return made

    def backup_state(self, backup: int) -> str:
        """Read the state of one backup."""
        self._require_gateway()
        if backup not in self.taken or self.backup_seconds is None:
            return "DOES_NOT_EXIST"
        if backup in self.failed:
            return "FAILED"
        if backup in self.stuck:
            return "IN_PROGRESS"
        begun, _ = self.taken[backup]
        return "COMPLETED" if self._now - begun >= self.backup_seconds else "IN_PROGRESS"

    def _send(self, body: dict[str, Any]) -> PlannedChange:
        self._require_gateway()
        if not self._cluster.coordinator_lives(self._now):
            raise ManagementOutcomeUnknown("A broker answered HTTP 502: broker 0 is not known.")
        return read_planned_change(self._patch(body, dry_run=False))

    def _patch(self, body: dict[str, Any], *, dry_run: bool) -> dict[str, Any]:
        try:
            return self._cluster.patch(body, now=self._now, dry_run=dry_run)
        except Refusal as refusal:
            error = ChangeInProgress if refusal.status == 409 else ManagementRefused
            said = f"HTTP {refusal.status}: {shortened(refusal.message)}"
            raise error(f"A broker answered {said}.") from refusal

    def _serving(self) -> list[int]:
        return [node for node in self._started if node in self._cluster.brokers]

    def _require_gateway(self) -> None:
        if not self._serving():
            raise ManagementUnavailable("No broker could answer: none runs.")

    def _require_coordinator(self) -> None:
        self._require_gateway()
        if not self._cluster.coordinator_lives(self._now):
            raise ManagementUnavailable("No broker could answer: HTTP 502: broker 0 is not known.")
