"""What is done next for a backup: a pure decision from what was read, with its reason.

A backup that can be restored is a pair. The database is restored to a moment that is not later than
the brokers' backup, because the brokers export again from what the database has: so Aurora's
snapshot is taken first, and the brokers' backup begins when the snapshot is available. Source:
https://docs.camunda.io/docs/8.9/self-managed/operational-guides/backup-restore/rdbms/rdbms-backup/
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.backups import COMPLETED, IN_PROGRESS, INCOMPLETE
from lifecycle.cluster.polling import SHORTEST, Wait, next_wait
from lifecycle.preflight.backup_gate import EXECUTION
from lifecycle.times import epoch, written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from lifecycle.backup.ports import DatabaseSeen, SnapshotSeen
    from lifecycle.camunda.backups import BackupsSeen, PrimaryBackup

# Seconds without progress. A snapshot of a large database takes tens of minutes.
SNAPSHOT_PATIENCE: Final = 60 * 60
BACKUP_PATIENCE: Final = 15 * 60
# What may only look wrong: brokers that do not answer for a moment, a database that is being
# changed or backed up, partitions that are being added.
READ_PATIENCE: Final = 2 * 60
BUSY_PATIENCE: Final = 10 * 60

# A partition that has not reached the checkpoint yet makes the whole INCOMPLETE.
_GOES_ON: Final = frozenset({IN_PROGRESS, INCOMPLETE, "DOES_NOT_EXIST"})

TAG_PURPOSE: Final = "camunda:purpose"
TAG_BACKUP: Final = "camunda:backup"
TAG_OPERATION: Final = "camunda:operation"
PURPOSE: Final = "backup"
# RDS takes 255 characters; 63 is what an identifier of a cluster may have.
_LONGEST_NAME: Final = 63


class Action(StrEnum):
    """What is done next."""

    FRESH = "FRESH"
    """Nothing: there is a backup that is young enough."""
    TAKEN = "TAKEN"
    """Nothing more: the backup of this operation is complete."""
    WAIVED = "WAIVED"
    """Nothing: the caller goes on without one."""
    SNAPSHOT = "SNAPSHOT"
    """Begin the snapshot of the database."""
    BACK_UP = "BACK_UP"
    """Have the brokers begin a backup."""
    WAIT = "WAIT"
    REFUSE = "REFUSE"
    """Nothing was changed, and nothing can be."""
    FAIL = "FAIL"
    """What was begun does not complete."""


@dataclass(frozen=True, slots=True)
class BackupWanted:
    """A request: ``max_age`` in hours, None to take one in any case.

    ``accept_none`` goes on without one. ``snapshot`` also wants a manual snapshot; without it
    Aurora's continuous backup is enough.
    """

    max_age: int | None
    accept_none: bool = False
    snapshot: bool = True


@dataclass(frozen=True, slots=True)
class BackupMemory:
    """What an operation remembers between looks; the state machine carries it.

    ``snapshot`` is the name of its snapshot. ``above`` is the highest id of a backup before it
    requested one, -1 before that; ``requested`` is the id that the brokers returned, 0 for none;
    ``said`` is what they answered if they took none.
    """

    snapshot: str = ""
    above: int = -1
    requested: int = 0
    said: str = ""
    wait: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, state: Mapping[str, Any] | None) -> BackupMemory:
        """Read it as the state machine carries it; nothing at first."""
        return cls(**state) if state else cls()

    def as_state(self) -> dict[str, Any]:
        """Return it as the state machine carries it."""
        return asdict(self)

    @property
    def begun(self) -> bool:
        """Whether the operation has begun anything."""
        return bool(self.snapshot) or self.above >= 0


@dataclass(frozen=True, slots=True)
class BackupObserved:
    """What a decision rests on; None is what could not be read, with the reason beside it.

    ``has_database`` is false for a cluster whose stack names no database: an adopted one.
    ``name`` is that of the snapshot which this operation takes.
    """

    now: datetime
    wanted: BackupWanted
    memory: BackupMemory
    brokers: BackupsSeen | None
    brokers_problem: str = ""
    has_database: bool = True
    database: DatabaseSeen | None = None
    database_problem: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class BackupDecision:
    """What is done next, why, and what is remembered; ``seconds`` until the next look.

    ``backup`` and ``snapshot`` are the pair where there is one.
    """

    action: Action
    reason: str
    memory: BackupMemory
    seconds: int = 0
    backup: PrimaryBackup | None = None
    snapshot: SnapshotSeen | None = None


def snapshot_name(database: str, started: datetime) -> str:
    """Return the name of the snapshot that an operation which began then takes.

    The same operation gets the same name, so that RDS itself rejects a second one.
    """
    suffix = f"-backup-{int(started.timestamp() * 1000)}"
    return database[: _LONGEST_NAME - len(suffix)].rstrip("-") + suffix


def decide_backup(seen: BackupObserved) -> BackupDecision:
    """Return what is done next. It is the same after an interruption: what exists decides."""
    return _Decider(seen).decide()


@dataclass(frozen=True, slots=True)
class _Decider:
    seen: BackupObserved

    def decide(self) -> BackupDecision:
        seen = self.seen
        if not seen.memory.begun:
            fresh, lacks = self._fresh()
            if fresh is not None:
                return fresh
            if seen.wanted.accept_none:
                return self._end(Action.WAIVED, f"acceptNoBackup is true; {lacks}")
        if seen.brokers is None:
            return self._unread("the backups", seen.brokers_problem)
        if not seen.brokers.enabled:
            return self._give_up("the brokers have no store for backups")
        if not seen.has_database and seen.wanted.snapshot:
            return self._give_up(
                "the stack names no database, so that no snapshot of it can be taken"
            )
        if seen.has_database:
            if seen.database is None:
                return self._unread("the database", seen.database_problem)
            if self._needs_snapshot:
                decision = self._snapshot(seen.database, seen.brokers)
                if decision is not None:
                    return decision
        return self._brokers(seen.brokers)

    # A backup that is there already

    @property
    def _oldest(self) -> datetime:
        """The oldest time that is young enough."""
        return self.seen.now - timedelta(hours=self.seen.wanted.max_age or 1)

    def _fresh(self) -> tuple[BackupDecision | None, str]:
        """Return the backup that is young enough, or what is lacking."""
        seen, brokers, database = self.seen, self.seen.brokers, self.seen.database
        if brokers is None:
            return None, f"the backups could not be read: {seen.brokers_problem or 'no answer'}"
        if seen.wanted.max_age is None:
            return None, "a new one is requested"
        found = [
            one
            for one in brokers.backups
            if one.state == COMPLETED and one.at is not None and one.at >= self._oldest
            if len(one.parts) == brokers.partitions
        ]
        within = f"the last {seen.wanted.max_age} hours"
        if not found:
            return None, (
                f"the brokers have no completed backup of all {brokers.partitions} partitions from "
                f"{within}"
            )
        newest = max(found, key=lambda one: one.id)
        if not seen.has_database and not seen.wanted.snapshot:
            reason = f"{_described(newest)}; the stack names no database, which was not checked"
            return self._end(Action.FRESH, reason, newest), ""
        if database is None:
            return None, f"the database could not be read: {seen.database_problem or 'no answer'}"
        if not seen.wanted.snapshot:
            if not self._is_restorable(database):
                return None, f"the database can be restored to no time of {within}"
            # One of what a restore has left behind is listed, too, and younger than the database.
            if not _reaches(database, newest, self._oldest):
                return None, f"the database can be restored to no time before backup {newest.id}"
            return self._end(Action.FRESH, _described(newest), newest), ""
        snapshot = _before(newest, database, self._oldest)
        if snapshot is None:
            return None, f"the database has no available snapshot of {within} before that backup"
        return self._end(Action.FRESH, _described(newest, snapshot), newest, snapshot), ""

    # The database

    def _is_restorable(self, database: DatabaseSeen) -> bool:
        """Whether Aurora's continuous backup reaches a time that is young enough."""
        return database.latest is not None and database.latest >= self._oldest

    @property
    def _needs_snapshot(self) -> bool:
        """Whether one is requested or begun, or Aurora's continuous backup is not enough."""
        seen = self.seen
        if not seen.has_database:
            return False
        return (
            seen.wanted.snapshot
            or bool(seen.memory.snapshot)
            or (seen.database is not None and not self._is_restorable(seen.database))
        )

    def _own(self) -> SnapshotSeen | None:
        database, name = self.seen.database, self.seen.name
        found = database.snapshots if database is not None else ()
        return next((one for one in found if one.manual and one.name == name), None)

    def _snapshot(self, database: DatabaseSeen, brokers: BackupsSeen) -> BackupDecision | None:
        """Return the next step of the snapshot; None when it is available."""
        seen, own = self.seen, self._own()
        kept = replace(seen.memory, snapshot=seen.name)
        if own is not None:
            if own.available:
                return None
            if own.status in _BEING_MADE:
                return self._wait_for(
                    "snapshot",
                    f"snapshot {own.name} is {own.status}",
                    SNAPSHOT_PATIENCE,
                    memory=kept,
                )
            return self._end(Action.FAIL, f"snapshot {own.name} is {own.status}")
        if not database.status:
            return self._give_up("the Aurora cluster that the stack names does not exist")
        if brokers.adding:
            return self._wait_for("adding", _ADDING, BUSY_PATIENCE)
        if database.status != "available":
            return self._wait_for(
                "database", f"the Aurora cluster is {database.status}", BUSY_PATIENCE
            )
        if seen.memory.snapshot:
            # Begun again: RDS rejects a second one of that name.
            return self._wait_for(
                "not listed",
                f"snapshot {seen.name} is not listed yet",
                BUSY_PATIENCE,
                action=Action.SNAPSHOT,
            )
        return BackupDecision(
            Action.SNAPSHOT,
            f"snapshot {seen.name} of the database",
            replace(kept, wait={}),
            SHORTEST,
        )

    # The brokers

    def _brokers(self, brokers: BackupsSeen) -> BackupDecision:
        memory, snapshot = self.seen.memory, self._own() if self._needs_snapshot else None
        if snapshot is not None and self._is_left_behind(brokers, snapshot):
            return self._end(
                Action.FAIL,
                f"snapshot {snapshot.name} is of {written(snapshot.at or self.seen.now)}, from "
                "before the operation was resumed; a backup that begins now needs a later one",
            )
        if memory.above < 0:
            if brokers.adding:
                return self._wait_for("adding", _ADDING, BUSY_PATIENCE)
            # One that the schedule has just begun counts where nothing has to be before it.
            running = {one.id for one in brokers.backups if self._is_running(one)}
            joins = snapshot is None and brokers.newest in running
            above = brokers.newest - 1 if joins else brokers.newest
            # Remembered before it is requested: a request that is repeated then finds its own.
            return BackupDecision(
                Action.WAIT,
                f"backup {brokers.newest} is in progress" if joins else "a backup of the brokers",
                replace(memory, above=above, wait={}),
                1,
            )
        ours = [one for one in brokers.backups if one.id > memory.above and _follows(one, snapshot)]
        if not ours and any(one.id > memory.above for one in brokers.backups):
            # They began before a snapshot that had to be taken again.
            return self._again(brokers, "the backup began before the snapshot")
        if not ours:
            return self._not_listed()
        complete = [one for one in ours if one.state == COMPLETED]
        # The first after the snapshot, however many the schedule has made since.
        first = min(complete, key=lambda one: one.id, default=None)
        backup = first or max(ours, key=lambda one: one.id)
        text, size = f"backup {backup.id} is {backup.state}", brokers.partitions
        if backup.state == COMPLETED and backup.at is not None and len(backup.parts) >= size:
            return self._end(Action.TAKEN, _described(backup, snapshot), backup, snapshot)
        if backup.state == COMPLETED:
            return self._end(
                Action.FAIL,
                f"{text} for {len(backup.parts)} partitions; the cluster has {size}",
            )
        missing = backup.missing() or backup.reason
        if backup.state not in _GOES_ON and not memory.requested and not memory.said:
            # The schedule's: nothing was requested yet.
            return self._again(brokers, text)
        if backup.state not in _GOES_ON:
            return self._end(Action.FAIL, f"{text}: {missing or 'no reason given'}")
        return self._wait_for(
            f"{backup.id}: {backup.ended}",
            f"{text}, {backup.ended} of {size} partitions are {COMPLETED}",
            BACKUP_PATIENCE,
            detail=missing,
        )

    def _is_left_behind(self, brokers: BackupsSeen, snapshot: SnapshotSeen) -> bool:
        """Whether no backup followed a snapshot while the execution could last that took it.

        The brokers keep what they exported since for a time only, so that a backup of days later
        may lack what came after the snapshot.
        """
        if snapshot.at is None:
            return False
        end = snapshot.at + EXECUTION
        above = self.seen.memory.above
        followed = [
            one
            for one in brokers.backups
            if 0 <= above < one.id and one.at is not None and snapshot.at <= one.at <= end
        ]
        return self.seen.now > end and not followed

    def _is_running(self, backup: PrimaryBackup) -> bool:
        """Whether a backup goes on: what lasts longer than anyone waits for never ends."""
        begun = self.seen.now - timedelta(seconds=BACKUP_PATIENCE)
        return backup.state == IN_PROGRESS and backup.at is not None and backup.at > begun

    def _again(self, brokers: BackupsSeen, why: str) -> BackupDecision:
        """Have the brokers take one after all that there are."""
        kept = replace(self.seen.memory, above=brokers.newest, requested=0, said="", wait={})
        return BackupDecision(Action.WAIT, f"{why}; another one is taken", kept, 1)

    def _not_listed(self) -> BackupDecision:
        memory = self.seen.memory
        if memory.requested:
            return self._wait_for(
                "listed", f"backup {memory.requested} is not listed yet", BUSY_PATIENCE
            )
        return self._wait_for(
            "requested",
            "the brokers have not begun a backup" + (f": {memory.said}" if memory.said else ""),
            BUSY_PATIENCE,
            action=Action.BACK_UP,
        )

    # Forms of a decision

    def _unread(self, what: str, problem: str) -> BackupDecision:
        return self._wait_for(
            f"unread {what}",
            f"{what} could not be read: {problem or 'no answer'}",
            BUSY_PATIENCE if self.seen.memory.begun else READ_PATIENCE,
        )

    def _wait_for(
        self,
        mark: str,
        reason: str,
        patience: int,
        *,
        memory: BackupMemory | None = None,
        detail: str = "",
        action: Action = Action.WAIT,
    ) -> BackupDecision:
        """Wait, and do ``action`` meanwhile; end after ``patience`` seconds with the same mark."""
        kept = memory or self.seen.memory
        now = epoch(self.seen.now)
        wait = Wait.at(mark, now, Wait.read(kept.wait))
        kept = replace(kept, wait=wait.as_state())
        if not wait.lasted(patience, now):
            return BackupDecision(action, reason, kept, next_wait(wait.looks, near_end=False))
        text = f"for {patience // 60} minutes {reason}" + (f" ({detail})" if detail else "")
        return BackupDecision(Action.FAIL if kept.begun else Action.REFUSE, text, kept)

    def _give_up(self, reason: str) -> BackupDecision:
        return self._end(Action.FAIL if self.seen.memory.begun else Action.REFUSE, reason)

    def _end(
        self,
        action: Action,
        reason: str,
        backup: PrimaryBackup | None = None,
        snapshot: SnapshotSeen | None = None,
    ) -> BackupDecision:
        return BackupDecision(action, reason, self.seen.memory, 0, backup, snapshot)


_ADDING: Final = "partitions are being added, while which Camunda takes no backup"
# https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBClusterSnapshot.html lists no
# states; those of DB snapshots are creating, copying and available, and failed.
_BEING_MADE: Final = frozenset({"creating", "copying", "pending"})


def _before(backup: PrimaryBackup, database: DatabaseSeen, oldest: datetime) -> SnapshotSeen | None:
    """Return the newest snapshot that a backup can follow, not older than ``oldest``."""
    found = [
        one
        for one in database.snapshots
        if one.available and one.at is not None and backup.at is not None and not one.former
        if oldest <= one.at <= backup.at
    ]
    return max(found, key=lambda one: str(one.at), default=None)


def _reaches(database: DatabaseSeen, backup: PrimaryBackup, oldest: datetime) -> bool:
    """Whether the database can be restored to a time that a backup can follow."""
    if database.earliest is None or backup.at is None:
        return False
    return database.earliest <= backup.at or _before(backup, database, oldest) is not None


def _follows(backup: PrimaryBackup, snapshot: SnapshotSeen | None) -> bool:
    """Whether a backup began after a snapshot; one that no partition has begun will."""
    if snapshot is None or snapshot.at is None or backup.at is None:
        return True
    return backup.at >= snapshot.at


def _described(backup: PrimaryBackup, snapshot: SnapshotSeen | None = None) -> str:
    at = written(backup.at) if backup.at is not None else "an unknown time"
    text = f"backup {backup.id} of {len(backup.parts)} partitions from {at}"
    if snapshot is not None and snapshot.at is not None:
        text += f", after snapshot {snapshot.name} from {written(snapshot.at)}"
    return text
