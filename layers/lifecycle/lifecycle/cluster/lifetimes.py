"""Which database of a cluster the brokers worked with at a moment.

A restore makes another database beside the former one, and a cluster that was torn down may have
been made again under its name: all of them, and all of their snapshots, have the cluster's tags.
The brokers work with each from its creation until that of the next one. What it has of later is
not what the brokers had.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """When each database was created, by identifier.

    ``present`` is the one that the cluster works with, empty where there is no cluster any more.
    ``shown`` has former ones whose successor is not known any more, so that the creation of the
    next known one does not show until when they were in use: until when something else shows it.
    """

    created: Mapping[str, datetime]
    present: str = ""
    shown: Mapping[str, datetime] = field(default_factory=dict)

    def until(self, database: str, since: datetime | None) -> datetime | None:
        """Return until when the brokers worked with a database; None for until now.

        ``since`` is when it was created, None where RDS does not show it.
        """
        if self.present and database == self.present:
            return None
        now = self.created.get(self.present)
        if now == NEVER or (now is not None and since is not None and since > now):
            # Made after the present one, not by a restore: none that the cluster worked with.
            return NEVER
        later = [
            at for other, at in self.created.items() if other != database and at > (since or NEVER)
        ]
        later += [self.shown[database]] if database in self.shown else []
        return min(later, default=None)

    def began(self, moment: datetime) -> datetime | None:
        """Return when the database was created that was in use at a moment, None if unknown."""
        now = self.created.get(self.present)
        known = [at for at in self.created.values() if NEVER < at <= moment]
        return max((at for at in known if now is None or at <= now), default=None)

    def has(self, database: str, since: datetime | None, at: datetime, moment: datetime) -> bool:
        """Whether a database as it was ``at`` is one that the brokers had at a later moment."""
        end = self.until(database, since)
        return end is None or (at <= end and moment <= end)


@dataclass(frozen=True, slots=True)
class PresentDatabase:
    """The database that a cluster works with, and the snapshot it was restored from, if it was."""

    name: str
    snapshot: str = ""
