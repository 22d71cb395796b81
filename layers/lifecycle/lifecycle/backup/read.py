"""List the backups of a cluster; changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lifecycle.backup.listing import backups_document, ids_of_pairs
from lifecycle.backup.take import look_at_brokers
from lifecycle.cluster.find import find_cluster
from lifecycle.cluster.former_data import FORMER_DAYS, former_lines
from lifecycle.cluster.names import tags
from lifecycle.cluster.prices import backup_cost
from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.backup.ports import (
        BackupSizes,
        DatabaseBackups,
        DatabaseSeen,
        RestoreDecisions,
    )
    from lifecycle.camunda.backups import BackupsSeen
    from lifecycle.camunda.ports import Probe
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.ports import ClusterStacks, FormerData
    from lifecycle.cluster.slots import Limiter
    from lifecycle.cluster.stack import Stack

# S3 and RDS bill by 2^30 bytes a month.
_GB: Final = Decimal(2**30)


@dataclass(frozen=True, slots=True)
class BackupReader:
    """The use case and its ports.

    ``limiter``: how many of its calls query brokers at once. ``translate`` makes one of our errors
    of one that an AWS client raised, None of any other.
    """

    stacks: ClusterStacks
    probe: Probe
    limiter: Limiter
    databases: DatabaseBackups
    sizes: BackupSizes
    former: FormerData
    restores: RestoreDecisions
    region: str
    control_stack: str
    translate: Callable[[Exception], LifecycleError | None]

    def read(self, cluster: str) -> dict[str, Any]:
        """Return what ``backups_document`` shows, with ``cost`` and ``unreachable``.

        What cannot be read is named in ``unreachable`` beside what can. Raises ``ClusterNotFound``.
        """
        stack = find_cluster(self.stacks, self.control_stack, cluster)
        outputs = stack.outputs
        silent: list[dict[str, str]] = []
        database = self._database(cluster, outputs, silent)
        # A pair is listed however many backups the schedule has made since.
        brokers = self._brokers(outputs, ids_of_pairs(database), silent)
        return {
            "cluster": cluster,
            **backups_document(brokers, database, self._refusals(stack, brokers, database, silent)),
            "former": self._former(stack, database, silent),
            "cost": self._cost(outputs, silent),
            "unreachable": silent,
        }

    def _brokers(
        self, outputs: ClusterOutputs, pairs: frozenset[int], silent: list[dict[str, str]]
    ) -> BackupsSeen | None:
        with self.limiter.slot() as free:
            if not free:
                reason = f"{self.limiter.most} requests query brokers now; repeat it later"
                silent.append({"part": "brokers", "reason": reason})
                return None
            found = self._queried(
                "brokers", silent, lambda: look_at_brokers(self.probe, outputs, also=pairs)
            )
        seen, problem = found or (None, "")
        if problem:
            silent.append({"part": "brokers", "reason": problem})
        elif seen is not None and not seen.enabled:
            reason = "the brokers have no store for backups"
            silent.append({"part": "brokers", "reason": reason})
        return seen

    def _database(
        self, cluster: str, outputs: ClusterOutputs, silent: list[dict[str, str]]
    ) -> DatabaseSeen | None:
        identifier = outputs.get("DatabaseClusterId", "")
        if not identifier:
            silent.append({"part": "database", "reason": "the stack names no database"})
            return None
        marks = tags(self.control_stack, cluster)
        found = self._queried("database", silent, lambda: self.databases.look(identifier, marks))
        if found is not None and not found.status:
            silent.append({"part": "database", "reason": "there is no such Aurora cluster"})
        return found

    def _refusals(
        self,
        stack: Stack,
        brokers: BackupsSeen | None,
        database: DatabaseSeen | None,
        silent: list[dict[str, str]],
    ) -> Mapping[int, str] | None:
        """Return why a restore would refuse backups, None where the database is not known."""
        if brokers is None or database is None:
            return None
        return self._queried(
            "databases to restore from", silent, lambda: self.restores.refusals(stack, brokers)
        )

    def _former(
        self, stack: Stack, present: DatabaseSeen | None, silent: list[dict[str, str]]
    ) -> list[dict[str, Any]]:
        """Return the databases that restores have replaced, with their bytes where they are known.

        A cluster that was never restored has none, and is not searched for them.
        """
        outputs = stack.outputs
        if outputs.get("DataGeneration", "1") == "1":
            return []
        beside = self._queried(
            "former databases",
            silent,
            lambda: self.former.databases(outputs.cluster_name, outputs.database),
        )
        created = present.created if present is not None else None
        days = int(stack.parameters.get("FormerDataDays", FORMER_DAYS))
        return [
            {**line, "bytes": self._queried("size", silent, partial(self.sizes.volume, one.name))}
            for one, line in former_lines(beside or (), created, days)
        ]

    def _cost(self, outputs: ClusterOutputs, silent: list[dict[str, str]]) -> dict[str, Any]:
        """Return the bytes that CloudWatch shows, null where it shows none, and what they cost."""
        bucket, database = outputs.get("BackupBucketName"), outputs.get("DatabaseClusterId")
        of_bucket = (
            self._queried("size of the backup bucket", silent, lambda: self.sizes.bucket(bucket))
            if bucket
            else None
        )
        of_database = (
            self._queried("backups of Aurora", silent, lambda: self.sizes.database(database))
            if database
            else None
        )
        monthly = backup_cost(
            brokers_gb=Decimal(of_bucket or 0) / _GB,
            database_gb=Decimal(of_database or 0) / _GB,
            region=self.region,
        ).as_dict()
        if of_bucket is None or of_database is None:
            # A sum that lacks a part is no sum.
            monthly["total"] = None
        return {"bucketBytes": of_bucket, "databaseBytes": of_database, "monthly": monthly}

    def _queried[T](
        self, part: str, silent: list[dict[str, str]], query: Callable[[], T]
    ) -> T | None:
        try:
            return query()
        except Exception as error:
            known = error if isinstance(error, LifecycleError) else self.translate(error)
            if known is None:
                raise
            silent.append({"part": part, "reason": known.message})
            return None
