"""Whose backups a new cluster is made of: a cluster that runs, or what a teardown has kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.find import find_stack
from lifecycle.cluster.names import TAG_CLUSTER
from lifecycle.cluster.stack import refuse_foreign_services
from lifecycle.errors import ClusterNotFound
from lifecycle.kept.discovery import left_behind
from lifecycle.restore.ports import RangesSeen
from lifecycle.restore.present import created

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from lifecycle.cluster.ports import Stacks
    from lifecycle.kept.ports import KeptThings
    from lifecycle.provisioning.ports import NodeIdLeases
    from lifecycle.restore.facts import Checkpoint, Range
    from lifecycle.restore.ports import BrokerRanges, StoredBackups
    from lifecycle.services.ports import Services

# The newest before the moment: several, because one may be incomplete or have other partitions.
MOST_BACKUPS: Final = 20
# What a restored cluster has as the source has it, unless the request has it otherwise: what
# Camunda requires for a restore, what decides how fast it is, versions that read the backup, where
# the images come from, and what an organisation enforces. A key and a boundary can be shared, and
# names of roles are generated. A rehearsal has no parameters of its own to give any of these.
TAKEN_OVER: Final = (
    *("Brokers", "Partitions", "ReplicationFactor", "ContinuousBackup"),
    *("OrchestrationImage", "ConnectorsImage", "CamundaVersion"),
    *("ImageRegistryPrefix", "RegistryCredentialsArn", "CpuArchitecture"),
    *("KmsKeyArn", "PermissionsBoundaryArn", "IamPath"),
    *("BrokerCpu", "BrokerMemory", "RocksDbMemoryFraction"),
    *("DatabaseEngineVersion", "DatabaseInstanceClass", "DatabaseName", "DatabaseUser"),
    *("BackupSchedule", "BackupCheckpointInterval"),
)


@dataclass(frozen=True, slots=True)
class SourceFound:
    """What there is to restore from.

    ``living``: the cluster has a stack. ``backups`` are the newest with the bucket of each;
    ``ranges`` those of its brokers, none where ``unread`` is why. ``partitions`` is what its stack
    has, ``answered`` what its brokers return, 0 where either is not known; ``newest`` are the
    newest backups until now. ``parameters`` are taken over;
    ``brokers`` is how many had a node id, 0 where that is not known. ``generation``, ``snapshot``,
    ``database`` and ``restored`` are those of the stack, ``since`` when it was created: a cluster
    that was restored has backups and databases that are not of its present data.
    """

    living: bool
    backups: Sequence[tuple[str, Checkpoint]]
    ranges: Sequence[Range] = ()
    unread: str = ""
    partitions: int = 0
    answered: int = 0
    newest: Sequence[Checkpoint] = ()
    parameters: Mapping[str, str] | None = None
    brokers: int = 0
    generation: int = 1
    snapshot: str = ""
    database: str = ""
    restored: str = ""
    since: datetime | None = None

    def bucket_of(self, backup: int, at: datetime) -> str:
        """Return the bucket with a backup of a moment that can be restored, one of several.

        A cluster that was made of another one's backups has them in its bucket, too; where copying
        them was interrupted, not completely.
        """
        return [
            bucket
            for bucket, one in self.backups
            if (one.backup, one.at) == (backup, at) and not one.lacks
        ][-1]


@dataclass(frozen=True, slots=True)
class Sources:
    """The use case and its ports; it only reads."""

    stacks: Stacks
    services: Services
    leases: NodeIdLeases
    backups: StoredBackups
    ranges: BrokerRanges
    things: KeptThings
    control_stack: str

    def find(
        self, cluster: str, *, until: datetime, now: datetime, backup: int | None, without: str
    ) -> SourceFound:
        """Find a cluster's backups until then; ``without`` is the bucket of what they are for.

        Raises ``ClusterNotFound`` where neither a stack nor a bucket is left, and
        ``StackNotUsable`` for a cluster that something else made.
        """
        try:
            stack = find_stack(self.stacks, self.control_stack, cluster)
        except ClusterNotFound:
            return self._kept(cluster, until, backup, without)
        outputs = stack.outputs
        if not outputs.complete or outputs.backup_bucket == without:
            return self._kept(cluster, until, backup, without)
        refuse_foreign_services(stack)
        found = self.services.describe(outputs.ecs_cluster, outputs.service_names)
        running = found[0].desired
        seen = self.ranges.of(outputs) if running else RangesSeen(unread="no broker runs")
        buckets = [outputs.backup_bucket]
        backups = self._listed(buckets, until, backup)
        newest = backups
        if until < now and not seen.partitions:
            newest = self._listed(buckets, now, None)
        return SourceFound(
            living=True,
            backups=backups,
            ranges=seen.ranges,
            unread=seen.unread,
            partitions=outputs.partitions,
            answered=seen.partitions,
            newest=[one for _, one in newest],
            parameters=_taken_over(stack.parameters),
            brokers=self.leases.acquirable(outputs.node_id_bucket) or running or outputs.brokers,
            generation=int(outputs.get("DataGeneration", "1")),
            snapshot=outputs.get("DatabaseSnapshot", ""),
            restored=outputs.get("RestoredBackup", ""),
            database=outputs.database,
            since=created(stack),
        )

    def _kept(self, cluster: str, until: datetime, backup: int | None, without: str) -> SourceFound:
        tagged = [
            one
            for one in self.things.tagged(self.control_stack)
            if one.tags.get(TAG_CLUSTER) == cluster
        ]
        buckets = [
            bucket
            for left in left_behind(tagged, (), living=())
            for bucket in left.backup_buckets
            if bucket != without
        ]
        if not buckets:
            raise ClusterNotFound(
                f"from is {cluster}: there is no such cluster in {self.control_stack}, and none "
                "that was torn down left a bucket with backups.",
                next_step="List what is left (GET /kept) and check the name.",
            )
        backups = self._listed(buckets, until, backup)
        return SourceFound(
            living=False,
            backups=backups,
            unread="the cluster has been torn down",
            newest=[one for _, one in backups],
        )

    def _listed(
        self, buckets: Sequence[str], until: datetime, backup: int | None
    ) -> list[tuple[str, Checkpoint]]:
        return [
            (bucket, one)
            for bucket in buckets
            for one in self.backups.list(bucket, until=until, backup=backup, most=MOST_BACKUPS)
        ]


def _taken_over(parameters: Mapping[str, str]) -> dict[str, str]:
    return {name: parameters[name] for name in TAKEN_OVER if parameters.get(name)}
