"""Backups of the primary storage: `/actuator/backupRuntime`, schedule and retention.

A backup is what each partition's leader has, in the backup bucket. Camunda makes those of all
partitions fit by a checkpoint in their logs; here no partition gets anything from another one
meanwhile. With continuous backups the id is generated and none may be given (`BackupEndpoint`,
camunda/camunda).
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.broker.backups import expired, next_due
from local.broker.configuration import Refusal, instant
from local.broker.gateway_port import OutcomeUnknown, PartitionUnavailable
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
    """Take a backup when the schedule requires one: the first at once, by the coordinator."""
    schedule = broker.settings.environment.get(f"{_PREFIX}SCHEDULE")
    if not schedule or broker.backups is None or not _keeps(broker):
        return
    newest = await asyncio.to_thread(broker.backups.newest)
    now = time.time()
    if next_due(schedule, None if newest is None else newest / 1000, now) <= now:
        await RuntimeBackups(broker).begin(int(now * 1000), "SCHEDULED_BACKUP")


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
    document = broker.configuration
    manifest = {
        "checkpointPosition": snapshot["position"],
        "createdAt": instant(time.time()),
        "brokerVersion": broker.version,
        "partitionCount": len(broker.active_partitions()),
        "replicationFactor": document.replication_factor if document else 0,
        "lastForgotten": snapshot.get("forgotten", 0),
        "checkpointType": payload["kind"],
    }
    await asyncio.to_thread(
        broker.backups.put,
        payload["id"],
        payload["partition"],
        json.dumps(snapshot).encode(),
        manifest,
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
