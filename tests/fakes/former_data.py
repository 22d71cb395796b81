"""In-memory fake of what restores have left."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle.errors import AwsUnavailable, FormerDataNotDeleted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lifecycle.cluster.former_data import DatabaseBeside


@dataclass
class FakeFormerData:
    """Databases by name, and buckets; ``advance`` lets RDS finish what it has begun.

    ``snapshots`` are the final ones by database, empty for one that went without.
    """

    beside: dict[str, DatabaseBeside] = field(default_factory=dict)
    buckets: list[str] = field(default_factory=list)
    snapshots: dict[str, str] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)
    """Databases that take no change now."""
    refused: dict[str, FormerDataNotDeleted] = field(default_factory=dict)
    """Databases whose deletion RDS refuses, and how."""

    def databases(self, cluster: str, present: str) -> Sequence[DatabaseBeside]:
        """Return them."""
        del cluster
        return [one for one in self.beside.values() if one.name != present]

    def delete_database(self, name: str, *, cluster: str, snapshot: str) -> None:
        """Begin a deletion."""
        del cluster
        one = self.beside.get(name)
        if one is None or one.stuck or one.status == "deleting":
            return
        if name in self.busy:
            raise AwsUnavailable(f"Aurora cluster {name} takes no change now.")
        if name in self.refused:
            raise self.refused[name]
        if snapshot:
            # https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBClusterSnapshot.html
            assert re.fullmatch(r"(?=.{1,63}$)[a-z](-?[a-z0-9])*", snapshot), snapshot
            assert snapshot not in self.snapshots.values()
        self.snapshots[name] = snapshot
        self.beside[name] = replace(one, status="deleting")

    def leases(self, cluster: str, stack_id: str, present: Collection[str]) -> Sequence[str]:
        """Return the buckets."""
        del cluster
        assert stack_id
        return [one for one in self.buckets if one not in present]

    def delete_bucket(self, name: str) -> None:
        """Delete a bucket."""
        self.buckets = [one for one in self.buckets if one != name]

    def advance(self) -> None:
        """Let RDS finish."""
        self.beside = {name: one for name, one in self.beside.items() if one.status != "deleting"}
