"""Check a restore request, choose what is restored and tell it, before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.find import find_own_cluster
from lifecycle.cluster.former_data import FORMER_DAYS
from lifecycle.cluster.trial import is_trial
from lifecycle.restore.engines import refuse_other_engine
from lifecycle.restore.keys import refuse_closed_key
from lifecycle.restore.partitions import partitions_now
from lifecycle.restore.plan import RECORDS, Around, last_restore, measured_by, restore_plan
from lifecycle.restore.ports import RangesSeen
from lifecycle.restore.present import is_continuous, present_of
from lifecycle.restore.request import AGAIN, BACKUP, TO, read_restore_request
from lifecycle.restore.source import MOST_BACKUPS
from lifecycle.restore.target import choose
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.ports import Clock, Stacks
    from lifecycle.kept.ports import KeptThings
    from lifecycle.provisioning.ports import NodeIdLeases
    from lifecycle.restore.facts import Target
    from lifecycle.restore.new_cluster import NewClusterValidator
    from lifecycle.restore.ports import (
        BrokerRanges,
        LostCounts,
        PastOperations,
        RestoredDatabases,
        StoredBackups,
    )
    from lifecycle.restore.request import RestoreRequest
    from lifecycle.services.ports import Services

# Data that the change set replaces; nothing else may be.
REPLACED: Final = ("DatabaseCluster", "NodeIdBucket")
_SCHEDULE: Final = "PT15M"


@dataclass(frozen=True, slots=True)
class RestoreValidator:
    """The use case and its ports; it only reads."""

    stacks: Stacks
    services: Services
    leases: NodeIdLeases
    databases: RestoredDatabases
    backups: StoredBackups
    ranges: BrokerRanges
    counts: LostCounts
    past: PastOperations
    things: KeptThings
    clock: Clock
    control_stack: str
    new_clusters: Callable[[], NewClusterValidator]

    def validate(self, raw: object) -> dict[str, Any]:
        """Validate ``{"clusterName": "demo", "confirm": "demo", "to": "…"}``; change nothing.

        Returns ``cluster``, ``stack``, ``ecsCluster``, the request's own fields, ``target``,
        ``brokers`` (how many are restored), ``resumes`` (whether they run on the restored data
        already), what the stack gets (``restored``: ``parameters``, ``replace``) and the ``plan``,
        as the state machine carries them. Raises ``InvalidRequest`` that names every wrong field,
        ``ClusterNotFound``, ``ClusterFrozen``, ``RestoreRefused``, and ``StackNotUsable`` for a
        cluster that something else made and for a stack that CloudFormation changes.
        """
        request = read_restore_request(raw)
        if request.source:
            return self._new_cluster(request, raw)
        stack = find_own_cluster(self.stacks, self.control_stack, request.cluster)
        outputs = stack.outputs
        found = self.services.describe(outputs.ecs_cluster, outputs.service_names)
        running, connectors = found[0].desired, sum(one.desired for one in found[1:])
        seen = self.ranges.of(outputs) if running else RangesSeen(unread="no broker runs")
        now = self.clock.now()
        records = self.past.of_cluster(request.cluster, RECORDS)
        listed = self.backups.list(
            outputs.backup_bucket,
            until=request.to or now,
            backup=request.backup,
            most=MOST_BACKUPS,
        )
        newest = listed
        if request.to is not None and not seen.partitions:
            newest = self.backups.list(
                outputs.backup_bucket, until=now, backup=None, most=MOST_BACKUPS
            )
        database = self.databases.found(request.cluster)
        present = present_of(stack)
        there = partitions_now(present, seen.partitions, newest, database)
        target = choose(
            request,
            replace(present, partitions=there),
            listed,
            seen.ranges,
            database,
            now=now,
            continuous=is_continuous(outputs),
            last=last_restore(records, running=running > 0),
        )
        refuse_closed_key(target, self.things)
        refuse_other_engine(target, stack.parameters.get("DatabaseEngineVersion", ""))
        brokers = self._brokers(outputs, running, target)
        stopped: tuple[Mapping[str, Any], str] = ({}, "no broker runs")
        counted = self.counts.after(outputs, target.at) if running else stopped
        around = Around(
            now=now,
            records=records,
            schedule=stack.parameters.get("BackupSchedule", _SCHEDULE),
            unread=seen.unread,
            counts=counted[0],
            uncounted=counted[1],
            brokers=brokers,
            running=running,
            connectors=connectors,
            trial=is_trial(stack.parameters),
            rehearsed=measured_by(self.past, request.cluster),
            former_days=int(stack.parameters.get("FormerDataDays", FORMER_DAYS)),
            partitions=outputs.partitions,
            newest=newest,
        )
        given = raw if isinstance(raw, dict) else {}
        return {
            "cluster": request.cluster,
            "stack": stack.name,
            "ecsCluster": outputs.ecs_cluster,
            **{name: given[name] for name in (TO, BACKUP, AGAIN) if name in given},
            "dryRun": request.dry_run,
            "approves": request.approves,
            # Of the stack, only what a restore sets is changed; and the backups are its own.
            "changeSet": "",
            "parameters": {},
            "tags": {},
            "settings": {},
            "creates": False,
            "copies": "",
            "brokers": brokers,
            "resumes": target.changed and running > 0,
            "target": _as_state(target, is_continuous(outputs)),
            "restored": {
                "parameters": {
                    "DatabaseSnapshot": target.snapshot,
                    "DataGeneration": str(target.generation),
                    "RestoredBackup": target.restored,
                    "Brokers": str(brokers),
                    "Partitions": str(target.partitions),
                },
                "replace": [] if target.changed else list(REPLACED),
            },
            "plan": restore_plan(target, request.to, around),
        }

    def _new_cluster(self, request: RestoreRequest, raw: object) -> dict[str, Any]:
        state = self.new_clusters().validate(request)
        given = raw if isinstance(raw, dict) else {}
        return {
            **{name: given[name] for name in (TO, BACKUP) if name in given},
            **{name: one for name, one in state.items() if name != "continuous"},
            "target": _as_state(state["target"], state["continuous"]),
        }

    def _brokers(self, outputs: ClusterOutputs, running: int, target: Target) -> int:
        """Return how many brokers the backup's cluster has: those that may take a node id.

        Once the stack has been changed, its parameter has the number, and the bucket is empty.
        """
        if target.changed:
            return outputs.brokers
        return self.leases.acquirable(outputs.node_id_bucket) or running or outputs.brokers


def _as_state(target: Target, continuous: bool) -> dict[str, Any]:
    """Return the target as the state machine carries it; moments are ISO 8601."""
    return {
        "backup": target.backup,
        "at": written(target.at),
        "snapshot": target.snapshot,
        "source": target.source,
        "databaseAt": written(target.database_at) if target.database_at else "",
        "staging": target.staging,
        "generation": target.generation,
        "changed": target.changed,
        "environment": dict(_environment(target, continuous)),
    }


def _environment(target: Target, continuous: bool) -> Mapping[str, str]:
    """Return the variables with which the image's start script runs the restore application.

    With a time, Camunda compares the database with the backup; by its id it restores a backup
    without that, which is the only way without continuous backups, and for one that a restore left
    behind.
    """
    if continuous and not target.by_id:
        return {"ZEEBE_RESTORE": "true", "ZEEBE_RESTORE_TO_TIMESTAMP": written(target.at)}
    return {"ZEEBE_RESTORE": "true", "ZEEBE_RESTORE_FROM_BACKUP_ID": str(target.backup)}
