"""Which of the backups that a list shows a restore into their cluster would refuse, and why.

The decision is the restore's own, taken for each of them as if it was named.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from lifecycle.camunda.backups import COMPLETED
from lifecycle.cluster.lifetimes import NEVER
from lifecycle.errors import RestoreRefused
from lifecycle.restore.facts import MARGIN, Checkpoint, DatabaseFound, Window
from lifecycle.restore.history import in_use
from lifecycle.restore.present import is_continuous, present_of
from lifecycle.restore.ranges import ranges_of
from lifecycle.restore.request import RestoreRequest
from lifecycle.restore.target import choose
from lifecycle.services.images import read_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.camunda.backups import BackupsSeen, PrimaryBackup
    from lifecycle.cluster.stack import Stack
    from lifecycle.restore.facts import Present, Range
    from lifecycle.restore.ports import RestoredDatabases

_ALWAYS: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ListedRestores:
    """The ``RestoreDecisions`` port of lists; it only reads."""

    databases: RestoredDatabases

    def refusals(self, stack: Stack, seen: BackupsSeen) -> Mapping[int, str]:
        """Return why a restore would refuse complete backups, by id; it takes all others.

        Raises ``StackNotUsable``.
        """
        there = ranges_of(seen)
        present = present_of(stack)
        judge = _Judge(
            replace(present, partitions=max(present.partitions, there.partitions)),
            there.ranges,
            self.databases.found(stack.outputs.cluster_name),
            is_continuous(stack.outputs),
        )
        found = {
            one.id: judge.why_not(as_listed(one, one.at, present))
            for one in seen.backups
            if one.state == COMPLETED and one.at is not None
        }
        return {backup: why for backup, why in found.items() if why}


def as_listed(one: PrimaryBackup, at: datetime, present: Present) -> Checkpoint:
    """Return a complete backup that brokers list as a restore chooses it.

    They may not return its version, which its manifests have: nothing is held against it then.
    """
    version = read_version(one.version) if one.version else present.version
    return Checkpoint(one.id, at, len(one.parts), version)


@dataclass(frozen=True, slots=True)
class _Judge:
    present: Present
    ranges: Sequence[Range]
    database: DatabaseFound
    continuous: bool

    def why_not(self, one: Checkpoint) -> str:
        """Return why a backup would be refused; empty where it is restored."""
        why = self._refusal(one, self.database)
        if not why:
            return ""
        whole = DatabaseFound(windows=(Window(self.present.database, NEVER, _ALWAYS),))
        if anyway := self._refusal(one, whole):
            return anyway
        at = one.at - MARGIN
        windows = in_use(self.database, self.present, one).windows
        mine = [window for window in windows if window.database == self.present.database]
        if any(window.earliest <= at and window.latest <= at for window in mine):
            return "Aurora can be restored to it in some minutes, and no snapshot belongs to it"
        if all(at < window.earliest for window in windows):
            return (
                "the database can be restored to no time before it, and no snapshot belongs to it"
            )
        return why

    def _refusal(self, one: Checkpoint, database: DatabaseFound) -> str:
        request = RestoreRequest(self.present.stack, backup=one.backup)
        try:
            choose(
                request,
                self.present,
                [one],
                self.ranges,
                database,
                now=one.at,
                continuous=self.continuous,
            )
        except RestoreRefused as error:
            return error.message.rstrip(".")
        return ""
