"""Backups of the primary storage: `/actuator/backupRuntime`, schedules and retention.

A backup is what each partition's leader has, in the backup bucket. Camunda makes those of all
partitions fit by a checkpoint in their logs; here no partition gets anything from another one
meanwhile. With continuous backups the id is generated and none may be given (`BackupEndpoint`,
camunda/camunda), and between the backups there are checkpoints that are none (MARKER), as often as
CHECKPOINTINTERVAL says.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.broker.backups import expired, keeps_log, next_due
from local.broker.configuration import Refusal, instant
from local.broker.gateway_port import OutcomeUnknown, PartitionUnavailable
from local.broker.ranges import MARKER
from local.broker.settings import seconds
from local.broker.wire import PeerSilent, PeerUnreachable

if TYPE_CHECKING:
    from starlette.requests import Request

    from local.broker.backups import Backups
    from local.broker.broker import Broker

type Json = dict[str, Any]

_PREFIX = "CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_"
_CLEANUP = "RETENTION_CLEANUPSCHEDULE"
_HOLD_SECONDS = 10.0
_TRY_AGAIN_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 60.0
_FAILURES = (PartitionUnavailable, OutcomeUnknown, PeerSilent, PeerUnreachable)
_running: set[asyncio.Task[None]] = set()


class RuntimeBackups:
    """The endpoint on one broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        given = broker.settings.environment.get
        self._continuous = given(f"{_PREFIX}CONTINUOUS", "false") == "true"

    @property
    def store(self) -> Backups:
        """Backups in the bucket. Raises Refusal where none is configured."""
        if self._broker.backups is None:
            raise Refusal(400, "Backup store is not configured")
        return self._broker.backups

    async def take(self, request: Request) -> Response:
        """`POST /actuator/backupRuntime`."""
        text = await request.body()
        given = (json.loads(text) if text else {}).get("backupId")
        if self._continuous and given is not None:
            raise Refusal(400, "Cannot take a backup with an id while continuous backups are on")
        if not self._continuous and given is None:
            raise Refusal(400, "A backupId must be given")
        document = self._broker.configuration
        if document and document.pending and document.pending.partitions != document.partitions:
            raise Refusal(409, "Cannot take backup while scaling is in progress")
        backup_id = int(given) if given is not None else int(time.time() * 1000)
        if await asyncio.to_thread(self.store.status, backup_id) is not None:
            raise Refusal(409, f"Backup with id {backup_id} already exists")
        newest = await asyncio.to_thread(self.store.newest, markers=True)
        if newest is not None and backup_id < newest:
            raise Refusal(
                409, f"A backup with id {backup_id} is not newer than the checkpoint {newest}"
            )
        await self.begin(backup_id, "MANUAL_BACKUP")
        return JSONResponse(
            {
                "message": f"A backup with id {backup_id} has been scheduled. Use GET "
                f"actuator/backups/{backup_id} to monitor the status.",
                "backupId": backup_id,
            },
            202,
        )

    async def begin(self, backup_id: int, kind: str) -> None:
        """Begin a backup of every partition. Raises PeerSilent when a broker does not answer."""
        until = time.monotonic() + _HOLD_SECONDS
        await self._hold(_HOLD_SECONDS)
        task = asyncio.create_task(self._all(backup_id, kind, until))
        _running.add(task)
        task.add_done_callback(_running.discard)

    async def _hold(self, during: float) -> None:
        for node in list(self._broker.members.live()):
            # One that is dead delivers nothing.
            with suppress(PeerUnreachable):
                await self._broker.ask(node, "backup", {"hold": during})

    async def _all(self, backup_id: int, kind: str, until: float) -> None:
        # Partition 1 is the last: any process that another one has, it then has too.
        for partition in reversed(self._broker.active_partitions()):
            payload = {"partition": partition, "id": backup_id, "kind": kind}
            try:
                if time.monotonic() > until:
                    raise PartitionUnavailable("the partitions before it took too long")
                await self._broker.ask(self._broker.leader(partition), "backup", payload, 60)
            except _FAILURES as error:
                self._broker.log(f"Backup {backup_id} of partition {partition} failed: {error}")
                with suppress(BotoCoreError, ClientError):
                    await asyncio.to_thread(self.store.fail, backup_id, partition, str(error))
        with suppress(PeerSilent):
            await self._hold(0)

    async def read(self, request: Request) -> Response:
        """`GET /actuator/backupRuntime[/{id}]`: one, those of a prefix, or `state`."""
        given = request.path_params.get("id", "*")
        if given == "state":
            return JSONResponse(await asyncio.to_thread(self.store.state))
        if given.endswith("*"):
            return JSONResponse(await asyncio.to_thread(self.store.matching, given[:-1]))
        found = await asyncio.to_thread(self.store.status, _id(given))
        if found is None:
            raise Refusal(404, f"Backup with id {given} does not exist")
        return JSONResponse(found)

    async def delete(self, request: Request) -> Response:
        """`DELETE /actuator/backupRuntime/{id}`."""
        await asyncio.to_thread(self.store.delete, _id(request.path_params["id"]))
        return Response(status_code=204)


async def keep_schedule(broker: Broker) -> None:
    """Take a backup or a marker when it is due: the first at once, by the coordinator."""
    given = broker.settings.environment.get
    now, store = time.time(), broker.backups
    if store is None or now < broker.checkpoint_due or not _keeps(broker):
        return
    broker.checkpoint_due = now + _TRY_AGAIN_SECONDS
    continuous = keeps_log(broker.settings.environment)
    due = [
        (next_due(given(f"{_PREFIX}{name}") or "none", _seconds(newest), now), kind)
        for name, kind, newest in (
            ("SCHEDULE", "SCHEDULED_BACKUP", await asyncio.to_thread(store.newest)),
            ("CHECKPOINTINTERVAL", MARKER, await asyncio.to_thread(store.newest, markers=True)),
        )
        if kind != MARKER or continuous
    ]
    kinds = [kind for at, kind in due if at <= now]
    if kinds:
        await RuntimeBackups(broker).begin(int(now * 1000), kinds[0])
    else:
        # Another broker may take one by hand meanwhile.
        broker.checkpoint_due = min(now + _LOOK_AGAIN_SECONDS, *(at for at, _ in due))


def _seconds(checkpoint: int | None) -> float | None:
    return None if checkpoint is None else checkpoint / 1000


async def keep_retention(broker: Broker) -> None:
    """Delete the backups that are out of the window, by the coordinator, as often as it is set."""
    given = broker.settings.environment.get
    window, schedule = given(f"{_PREFIX}RETENTION_WINDOW"), given(f"{_PREFIX}{_CLEANUP}", "none")
    now = time.time()
    if not window or broker.backups is None or next_due(schedule, broker.cleaned, now) > now:
        return
    broker.cleaned = now
    if _keeps(broker):
        found = await asyncio.to_thread(broker.backups.manifests)
        for one in expired(found, seconds(window)):
            await asyncio.to_thread(broker.backups.delete, one)
            await asyncio.to_thread(broker.backups.delete_markers, one)
            broker.log(f"Backup {one} is out of the retention window and deleted")


def _keeps(broker: Broker) -> bool:
    """Whether this is the coordinator of a cluster that processes."""
    document = broker.configuration
    return document is not None and document.coordinator() == broker.node_id and broker.healthy()


async def take_part(broker: Broker, payload: Json) -> Json:
    """Hold deliveries, or put what this broker, the leader, has of a partition into the bucket."""
    if "hold" in payload:
        await broker.hold(payload["hold"])
        return {}
    replica = broker.replicas.get(payload["partition"])
    if replica is None or broker.backups is None:
        raise PartitionUnavailable(f"broker {broker.node_id} has no replica to back up")
    # Only the leader can do that, and has all that was acknowledged before when it is done.
    await replica.submit({"kind": "tick", "now": int(time.time() * 1000)}, 5.0)
    snapshot = replica.snapshot()
    # The log since the checkpoint before; what is not exported yet is in the snapshot's records.
    log, segments = snapshot["log"], snapshot["segments"]
    last = log[-1]["position"] if log else segments[-1]["last"] if segments else 0
    document = broker.configuration
    manifest = {
        "brokerId": broker.node_id,
        "checkpointPosition": snapshot["position"],
        # A checkpoint is a record of the log (`CheckpointCreateProcessor`): none after it is older.
        "createdAt": instant(snapshot["time"] / 1000),
        "brokerVersion": broker.version,
        "partitionCount": len(broker.active_partitions()),
        "replicationFactor": document.replication_factor if document else 0,
        "checkpointType": payload["kind"],
        "after": snapshot["logged"],
        "previous": snapshot["checkpoint"],
        "segments": [one["key"] for one in segments],
    }
    content = json.dumps(snapshot | {"log": [], "segments": []}).encode()
    try:
        await asyncio.to_thread(
            broker.backups.put, payload["id"], payload["partition"], content, manifest, log
        )
    except (BotoCoreError, ClientError) as error:
        raise PartitionUnavailable(f"the bucket takes no backup: {error}") from error
    confirmed = {
        "kind": "checkpoint",
        "id": payload["id"],
        "taken": snapshot["taken"] + len(log),
        "segments": manifest["segments"],
        "logged": last,
        "now": int(time.time() * 1000),
    }
    await replica.submit(confirmed, 5.0)
    broker.log(
        f"Checkpoint {payload['id']} ({payload['kind']}) of partition {payload['partition']} at "
        f"position {snapshot['position']}: {len(content)} bytes, {len(log)} records in the log, "
        f"{len(segments)} segments"
    )
    return {}


def routes(broker: Broker) -> list[Route]:
    """Give the endpoint's routes."""
    api = RuntimeBackups(broker)
    path = "/actuator/backupRuntime"
    return [
        Route(path, api.take, methods=["POST"]),
        Route(path, api.read, methods=["GET"]),
        Route(f"{path}/{{id}}", api.read, methods=["GET"]),
        Route(f"{path}/{{id}}", api.delete, methods=["DELETE"]),
    ]


def _id(text: str) -> int:
    if not text.isdecimal():
        raise Refusal(400, f"Backup id {text} is not a number")
    return int(text)
