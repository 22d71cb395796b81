"""Restoring a node's partitions from backups: the choice of a checkpoint, the application.

`RestoreApp`, `RestoreSolver`, `RestoreStatusManager` and `RestoreNodeIdProviderConfiguration` of
camunda/camunda; docs of 8.9 and 8.10, operational-guides/backup-restore/rdbms. What Camunda
processes again from a log is here the state that the checkpoint had; what it exports again, from
the position of the secondary storage on, are the records of the log.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from local.broker import directories
from local.broker.backups import ranges_of
from local.broker.configuration import Configuration
from local.broker.files import write_json
from local.broker.gateway_port import StorageUnavailable
from local.broker.node_ids import LOST, LeaseLost
from local.broker.ranges import NothingFits, solve
from local.broker.replica import newest_generation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from local.broker.backups import Backups
    from local.broker.node_ids import NodeIds
    from local.broker.secondary_storage import SecondaryStorage
    from local.broker.settings import Settings

type Json = dict[str, Any]
type Manifests = Mapping[int, Sequence[Json]]

POLL_SECONDS = 1.0
"""10 s in Camunda."""
_IGNORED = "lost+found,directory-initialized.json"
_ENVIRONMENT = {
    "--backupId": "ZEEBE_RESTORE_FROM_BACKUP_ID",
    "--from": "ZEEBE_RESTORE_FROM_TIMESTAMP",
    "--to": "ZEEBE_RESTORE_TO_TIMESTAMP",
}


class RestoreRefused(Exception):
    """The restore cannot be done as requested."""


@dataclass(frozen=True)
class Wanted:
    """The requested checkpoint: a backup by id, or the one at a time, or the latest."""

    backup_ids: tuple[int, ...] = ()
    since: datetime | None = None
    to: datetime | None = None

    @property
    def restore_id(self) -> str:
        """The same for the same request, on all nodes."""
        return str(zlib.crc32(repr(self).encode()))


@dataclass(frozen=True)
class Target:
    """The cluster that a backup has to fit; without `exact`, it may be one minor newer."""

    version: str
    partitions: int
    replication_factor: int
    exact: bool = False


def of_environment(environment: Mapping[str, str]) -> list[str]:
    """Give the arguments that the image's start script makes when ZEEBE_RESTORE is true."""
    given = [
        f"{option}={environment[name]}"
        for option, name in _ENVIRONMENT.items()
        if environment.get(name)
    ]
    # With a backup's id, it passes no times on.
    return given[:1] if environment.get(_ENVIRONMENT["--backupId"]) else given


def read(arguments: Sequence[str]) -> Wanted:
    """Read the arguments of bin/restore. Raises RestoreRefused."""
    given: dict[str, str] = {}
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if option not in _ENVIRONMENT or not equals:
            raise RestoreRefused(f"The stand-in does not perform the restore option {argument}")
        given[option] = value
    if "--backupId" in given and len(given) > 1:
        raise RestoreRefused(
            "Cannot specify both --backupId and --from/--to parameters. Choose one approach."
        )
    try:
        wanted = Wanted(
            tuple(int(one) for one in given.get("--backupId", "").split(",") if one),
            datetime.fromisoformat(given["--from"]) if "--from" in given else None,
            datetime.fromisoformat(given["--to"]) if "--to" in given else None,
        )
        reverse = wanted.since and wanted.to and wanted.since > wanted.to
    except (ValueError, TypeError) as error:
        raise RestoreRefused(f"{' '.join(arguments)}: {error}") from error
    if reverse:
        raise RestoreRefused(f"Invalid time range: {' '.join(arguments)}")
    return wanted


def choose(
    wanted: Wanted, found: Manifests, target: Target, positions: Mapping[int, int] | None
) -> int:
    """Give the id of the checkpoint to restore. Raises RestoreRefused.

    `positions` has how far the secondary storage is, by partition. Without it, as with
    `--backupId`, nothing is compared with it, and the newest of the given ones is taken. The choice
    does not depend on what the cluster is: what does not fit it is refused, as by RestoreManager.
    """
    if positions is None:
        backups = {one: found.get(one, ()) for one in wanted.backup_ids}
        chosen = max(backups, default=0)
        problems = {one: unfit(manifests, target) for one, manifests in backups.items()}
    else:
        own = ranges_of(found)
        partitions = range(1, target.partitions + 1)
        try:
            chosen = solve(
                {one: own.get(one, ()) for one in partitions},
                positions,
                since=wanted.since,
                to=wanted.to,
            )
        except NothingFits as error:
            raise RestoreRefused(str(error)) from error
        problems = {chosen: unfit(found[chosen], target)}
    listed = "; ".join(f"{one}: {why}" for one, why in sorted(problems.items()) if why)
    if listed:
        raise RestoreRefused(f"The backup cannot be restored: {listed}")
    return chosen


def unfit(manifests: Sequence[Json], target: Target) -> str:
    """Why a checkpoint cannot be restored into a cluster; empty if it can."""
    if not manifests or manifests[0]["state"] == "DOES_NOT_EXIST":
        return "it does not exist"
    found = {one["partitionId"]: one for one in manifests}
    first = manifests[0]
    factor = first.get("replicationFactor", target.replication_factor)
    if (first["partitionCount"], factor) != (target.partitions, target.replication_factor):
        return (
            f"it has {first['partitionCount']} partitions with replication factor {factor}, the "
            f"cluster {target.partitions} with {target.replication_factor}"
        )
    for partition in range(1, target.partitions + 1):
        one = found.get(partition, {})
        if one.get("state") != "COMPLETED":
            return f"partition {partition} is not complete"
        if not _same_version(one["brokerVersion"], target):
            return f"it is of {one['brokerVersion']}, this is {target.version}"
    return ""


def _same_version(backup: str, target: Target) -> bool:
    if target.exact:
        return backup == target.version
    old, new = ([int(one) for one in each.split(".")[:2]] for each in (backup, target.version))
    return old[0] == new[0] and new[1] - old[1] in (0, 1)


@dataclass(frozen=True)
class Chosen:
    """A checkpoint, and what the secondary storage has: its records are not exported again.

    Without positions it was chosen by id: only its own log, since the backup before it, is there.
    """

    id: int
    positions: Mapping[int, int] | None = None


@dataclass(frozen=True)
class Sources:
    """What a restore reads: the backups in the bucket, the positions of the secondary storage."""

    backups: Backups | None
    storage: SecondaryStorage

    def choose(self, wanted: Wanted, target: Target) -> Chosen:
        """Choose a checkpoint. Raises RestoreRefused."""
        positions = None
        if not wanted.backup_ids:
            partitions = range(1, target.partitions + 1)
            try:
                positions = {one: self.storage.position(one) for one in partitions}
            except StorageUnavailable as error:
                raise RestoreRefused(f"The exporter positions cannot be read: {error}") from error
        store = self._store()
        found = store.manifests() if wanted.backup_ids else store.checkpoints()
        return Chosen(choose(wanted, found, target, positions), positions)

    def read(self, chosen: Chosen, partition: int) -> Json:
        """Give the state with which a partition begins. Raises LookupError for what is not there.

        Its records are those of the log that the secondary storage does not have.
        """
        store = self._store()
        state = store.read(chosen.id, partition)
        records = [
            record
            for one in _logs(store.checkpoints(), chosen, partition)
            for record in store.log(one, partition)
        ]
        return restored(state, chosen, records, (chosen.positions or {}).get(partition, 0))

    def _store(self) -> Backups:
        if self.backups is None:
            raise RestoreRefused("Backup store is not configured")
        return self.backups


def _logs(found: Manifests, chosen: Chosen, partition: int) -> list[int]:
    """Give the checkpoints whose logs are read, in order: a range's, or a backup's own."""
    own = ranges_of(found).get(partition, ())
    path = next(
        (
            [one for one in each.checkpoints if one.id <= chosen.id]
            for each in own
            if any(one.id == chosen.id for one in each.checkpoints)
        ),
        [],
    )
    if not path:
        # No range has what a restore left behind.
        return [chosen.id]
    if chosen.positions is not None:
        return [one.id for one in path]
    before = max((place for place, one in enumerate(path[:-1]) if one.backup), default=-1)
    return [one.id for one in path[before + 1 :]]


def restored(state: Json, chosen: Chosen, log: Sequence[Json], exported: int) -> Json:
    """Give a partition's state as it begins again at a checkpoint.

    `log` has what was exported before the checkpoint; the state's own records were not, then.
    """
    records = [one for one in (*log, *state["records"]) if one["position"] > exported]
    last = log[-1]["position"] if log else 0
    return {
        **state,
        "records": records,
        "exported": exported if records else state["position"],
        # Its own log is in the checkpoint; what follows is in the next one.
        "log": [],
        "segments": [],
        "logged": max(state["logged"], last),
        "checkpoint": chosen.id,
    }


def seed(partition_directory: Path, generation: int, state: Json) -> None:
    """Write a partition's state so that a replica begins with it, as a group of its own."""
    directory = partition_directory / f"generation-{generation}"
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / "seed.json", state)


class Progress:
    """`restore/<id>` in the bucket of the node ids: the nodes that are restored."""

    def __init__(self, s3: Any, bucket: str, restore_id: str) -> None:
        self._s3 = s3
        self._id = restore_id
        self._place = {"Bucket": bucket, "Key": f"restore/{restore_id}"}

    @property
    def name(self) -> str:
        """Name of the object, for display."""
        return f"s3://{self._place['Bucket']}/{self._place['Key']}"

    def nodes(self) -> set[int]:
        """Give the nodes that are restored."""
        return self._read()[0]

    def add(self, *nodes: int) -> set[int]:
        """Add nodes by compare-and-swap, making the object if need be; gives all."""
        while True:
            found, etag = self._read()
            if etag and found.issuperset(nodes):
                return found
            body = {"restoreId": self._id, "restoredNodes": sorted(found | set(nodes))}
            condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
            try:
                self._s3.put_object(**self._place, Body=json.dumps(body).encode(), **condition)
            except ClientError as error:
                if error.response["Error"]["Code"] not in LOST:
                    raise

    def _read(self) -> tuple[set[int], str]:
        try:
            answer = self._s3.get_object(**self._place)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return set(), ""
            raise
        return set(json.loads(answer["Body"].read())["restoredNodes"]), answer["ETag"]


def run(
    settings: Settings,
    wanted: Wanted,
    node_ids: NodeIds,
    progress: Progress,
    sources: Sources,
    *,
    stop: threading.Event,
    poll_seconds: float = POLL_SECONDS,
) -> int:
    """Restore the node whose id is taken, wait for all others; give the exit code."""
    node_ids.initialise()
    lease = node_ids.acquire(stop)
    if lease is None:
        return 1
    print(f"Acquired node id {lease.node_id} with version {lease.version}", flush=True)
    over = threading.Event()

    def renew() -> None:
        while not over.wait(settings.lease_seconds / 3):
            try:
                node_ids.renew({})
            except LeaseLost as error:
                print(f"NodeIdProvider terminating the process: {error}", flush=True)
                os._exit(1)

    threading.Thread(target=renew, name="lease", daemon=True).start()
    try:
        directory = directories.prepare(settings.data, lease.node_id, lease.version)
        restored = progress.add()
        if lease.node_id in restored:
            print(f"Skipping restore: node {lease.node_id} has already been restored", flush=True)
            _verify(settings, lease.node_id, directory, progress)
        else:
            _require_empty(settings, directory)
            target = Target(settings.version, settings.partitions, settings.replication_factor)
            chosen = sources.choose(wanted, target)
            print(f"Starting to restore from backup {chosen.id}", flush=True)
            places = _directories(settings, lease.node_id, directory)
            states = {partition: sources.read(chosen, partition) for partition in places}
            for partition, state in states.items():
                seed(places[partition], 1, state)
            print(f"Successfully restored broker from backup {chosen.id}", flush=True)
            progress.add(lease.node_id)
        while not progress.nodes().issuperset(range(settings.cluster_size)):
            if stop.wait(poll_seconds):
                return 1
    finally:
        over.set()
        node_ids.release()
    print(f"All {settings.cluster_size} nodes have completed restore", flush=True)
    return 0


def _directories(settings: Settings, node_id: int, directory: Path) -> dict[int, Path]:
    document = Configuration(
        settings.cluster_size, settings.partitions, settings.replication_factor
    )
    own = document.members[node_id].partitions if node_id in document.members else {}
    return {one: directories.partition(directory, one) for one in own}


def _verify(settings: Settings, node_id: int, directory: Path, progress: Progress) -> None:
    missing = [
        partition
        for partition, place in _directories(settings, node_id, directory).items()
        if not newest_generation(place)
    ]
    if missing:
        raise RestoreRefused(
            f"Node {node_id} is marked as restored, but {directory} has no data of partitions "
            f"{missing}. Delete {progress.name} and restore again."
        )


def _require_empty(settings: Settings, directory: Path) -> None:
    given = settings.environment.get
    names = (
        given("CAMUNDA_SYSTEM_RESTORE_IGNOREFILESINTARGET")
        or given("ZEEBE_RESTORE_IGNOREFILESINTARGET")
        or _IGNORED
    )
    ignored = {one.strip() for one in names.split(",")}
    if any(one.name not in ignored for one in directory.iterdir()):
        raise RestoreRefused(
            f"Broker's data directory {directory} is not empty. Aborting restore to avoid "
            "overwriting data. Please restart with a clean directory"
        )
