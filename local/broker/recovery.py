"""The cluster's mode and the restore in place, from 8.10 on: `/v2/mode` and `/v2/restore`.

Shapes: `cluster.yaml` of camunda/camunda and `camunda-orchestration-sdk` 10.0.1; docs 8.10,
operational-guides/backup-restore/rdbms/rdbms-restore-api.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.broker.configuration import Refusal
from local.broker.operations import CommandRejected
from local.broker.restore import RestoreRefused, Sources, Target, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

    from local.broker.broker import Broker
    from local.broker.rest import Rest

type Json = dict[str, Any]

_NAMES = {
    "ENTER_RECOVERY": "ModeChangeOperation",
    "EXIT_RECOVERY": "ModeChangeOperation",
    "AWAIT_MODE_CHANGE": "AwaitModeChangeOperation",
    "PARTITION_PRE_RESTORE": "PartitionPreRestoreOperation",
    "PARTITION_RESTORE": "PartitionRestoreOperation",
    "UPDATE_INCARNATION_NUMBER": "UpdateIncarnationNumberOperation",
}


class Recovery:
    """Endpoints of one broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def mode(self, request: Request) -> Response:
        """`PATCH /v2/mode?mode=RECOVERING|PROCESSING[&dryRun=true]`: 200 when it is accepted."""
        mode = request.query_params.get("mode", "")
        if mode not in {"RECOVERING", "PROCESSING"}:
            raise CommandRejected("INVALID_ARGUMENT", f"The mode '{mode}' is not a cluster mode")
        arguments = {"mode": mode, "dry_run": _dry_run(request)}
        answer = await self._broker.coordinate("mode", arguments)
        operations = [
            {"operation": _NAMES[one["operation"]], "mode": mode}
            for one in answer["plannedChanges"]
        ]
        return JSONResponse(_planned(answer, operations))

    async def restore(self, request: Request) -> Response:
        """`POST /v2/restore[?dryRun=true]`: from a backup by id, or the one that fits."""
        wanted, dry_run = _wanted(await request.body()), _dry_run(request)
        backup = await self._choose(wanted)
        arguments = {"backup": backup, "dry_run": dry_run}
        answer = await self._broker.coordinate("restore", arguments)
        operations = [_operation(one, backup) for one in answer["plannedChanges"]]
        return JSONResponse(_planned(answer, operations), 202)

    async def status(self, _: Request) -> Response:
        """`GET /v2/restore`."""
        found = await self._broker.coordinate("restore_status", {})
        if found is None:
            raise CommandRejected("NOT_FOUND", "No restore is currently in progress")
        return JSONResponse(found)

    async def _choose(self, wanted: Wanted) -> int:
        broker = self._broker
        document = broker.configuration
        if document is None:
            raise Refusal(502, "The cluster configuration is not known yet")
        document.require_recovery()
        target = Target(
            broker.version, document.partitions, document.replication_factor, exact=True
        )
        sources = Sources(broker.backups, broker.storage)
        try:
            return (await asyncio.to_thread(sources.choose, wanted, target)).id
        except RestoreRefused as error:
            raise CommandRejected("INVALID_ARGUMENT", str(error)) from error


def routes(broker: Broker) -> Callable[[Rest], Sequence[Route]] | None:
    """Give the routes for users; None before 8.10."""
    if broker.settings.dialect != "8.10":
        return None
    api = Recovery(broker)
    return lambda rest: [
        Route("/v2/mode", rest.secured(api.mode), methods=["PATCH"]),
        Route("/v2/restore", rest.secured(api.restore), methods=["POST"]),
        Route("/v2/restore", rest.secured(api.status), methods=["GET"]),
    ]


def _wanted(text: bytes) -> Wanted:
    try:
        body = json.loads(text) if text else {}
        ids = tuple(int(one) for one in body.pop("backupIds", None) or ())
    except (ValueError, TypeError, AttributeError) as error:
        raise CommandRejected("INVALID_ARGUMENT", "Request property cannot be parsed") from error
    if body:
        raise HTTPException(
            501, f"The local broker does not perform a restore by {', '.join(sorted(body))}"
        )
    return Wanted(ids)


def _dry_run(request: Request) -> bool:
    return request.query_params.get("dryRun", "false") == "true"


def _operation(step: Json, backup: int) -> Json:
    shown: Json = {"operation": _NAMES[step["operation"]], "brokerId": str(step["brokerId"])}
    if "partitionId" in step:
        shown["partitionId"] = step["partitionId"]
    if step["operation"] == "PARTITION_RESTORE":
        shown["backupIds"] = [backup]
    if shown["operation"].endswith("ModeChangeOperation"):
        shown["mode"] = "PROCESSING"
    return shown


def _planned(answer: Json, operations: list[Json]) -> Json:
    group = {"physicalTenantId": "default", "operations": operations}
    return {"changeId": str(answer["changeId"]), "plannedChanges": [group] if operations else []}
