"""The management API on port 9600: no authentication, as with Camunda; the network is the guard.

Shapes and refusals are those recorded from 8.6.0; what is newer follows Camunda's OpenAPI files
(`dist/src/main/resources/api/`). What is not performed is refused with 501.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from local.broker import health, metrics, runtime_backups
from local.broker.configuration import BadRequest, Refusal
from local.broker.exporting import PHASES
from local.broker.gateway_port import OutcomeUnknown, PartitionUnavailable
from local.broker.wire import PeerSilent, PeerUnreachable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from local.broker.broker import Broker

type Json = dict[str, Any]
type Endpoint = Callable[[Request], Awaitable[Response]]

CLUSTER = "/actuator/cluster"
# Short paths of older versions (Camunda's `BrokerHealthRoutes`).
_MOVED = {"/health": "status", "/ready": "readiness", "/startup": "startup"}
_CHANGE_SECONDS = 60.0
_BRACES = str.maketrans("", "", "{}")
_REASONS = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
}


class Management:
    """Endpoints of one broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    # Cluster

    async def describe(self, request: Request) -> Response:
        """`GET /actuator/cluster`."""
        self._known_parameters(request)
        return JSONResponse(await self._broker.coordinate("describe", {}))

    async def patch(self, request: Request) -> Response:
        """`PATCH /actuator/cluster`."""
        self._known_parameters(request)
        arguments = {"body": await _body(request), **_flags(request, "dryRun", "force")}
        return await self._change("patch", arguments)

    async def set_brokers(self, request: Request) -> Response:
        """`POST /actuator/cluster/brokers`."""
        arguments: Json = {"body": await _body(request), **_flags(request, "dryRun", "force")}
        factor = request.query_params.get("replicationFactor")
        if factor is not None:
            if not factor.lstrip("-").isdecimal():
                raise BadRequest
            arguments["replication_factor"] = int(factor)
        return await self._change("set_brokers", arguments)

    async def one_broker(self, request: Request) -> Response:
        """`POST` and `DELETE /actuator/cluster/brokers/{id}`."""
        arguments = {"node": _id(request, "broker"), **_flags(request, "dryRun")}
        name = "add_broker" if request.method == "POST" else "remove_broker"
        return await self._change(name, arguments)

    async def one_partition(self, request: Request) -> Response:
        """`POST` and `DELETE /actuator/cluster/brokers/{b}/partitions/{p}`."""
        body = await _body(request, empty=request.method == "DELETE")
        arguments: Json = {
            "node": _id(request, "broker"),
            "partition": _id(request, "partition"),
            **_flags(request, "dryRun"),
        }
        if request.method == "POST":
            return await self._change("join_partition", {**arguments, "body": body})
        return await self._change("leave_partition", arguments)

    async def cancel(self, request: Request) -> Response:
        """`DELETE /actuator/cluster/changes/{id}`."""
        if _flags(request, "dryRun")["dry_run"]:
            return PlainTextResponse("Dry run is not supported for cancelling changes", 501)
        change = request.path_params["change"]
        if not change.lstrip("-").isdecimal():
            raise Refusal(400, "Change id must be a number")
        return JSONResponse(await self._broker.coordinate("cancel", {"change_id": int(change)}))

    async def changes(self, request: Request) -> Response:
        """`GET /actuator/cluster/changes[/{id}]`, from 8.10 on."""
        if self._broker.settings.dialect != "8.10":
            return _spring(request, 405, {"Allow": "DELETE"})
        found = await self._broker.coordinate("changes", {})
        change = request.path_params.get("change")
        if change is None:
            return JSONResponse(found)
        for one in found:
            if str(one["id"]) == change:
                return JSONResponse(one)
        raise Refusal(404, f"Change {change} is not known")

    async def _change(self, name: str, arguments: Json) -> Response:
        arguments["dry_run"] = arguments.pop("dry_run", False)
        return JSONResponse(await self._broker.coordinate(name, arguments), 202)

    def _known_parameters(self, request: Request) -> None:
        unknown = set(request.query_params) - {"dryRun", "force", "physicalTenant"}
        if unknown and self._broker.settings.dialect == "8.10":
            listed = ", ".join(sorted(unknown))
            raise Refusal(400, f"Unsupported query parameter(s): {listed}")

    # What one broker shows and does

    async def links(self, request: Request) -> Response:
        """`GET /actuator`: the endpoints that there are."""
        paths = {route.path for route in request.app.routes if route.path.startswith("/actuator/")}
        found = {"self": "/actuator"} | {
            path.removeprefix("/actuator/").replace("/", "-").translate(_BRACES): path
            for path in (re.sub(r":\w+}", "}", one) for one in sorted(paths))
        }
        base = str(request.base_url).rstrip("/")
        links = {
            name: {"href": base + path, "templated": "{" in path} for name, path in found.items()
        }
        return JSONResponse({"_links": links})

    async def info(self, _: Request) -> Response:
        """`GET /actuator/info`."""
        return JSONResponse({"build": {"group": "io.camunda", "version": self._broker.version}})

    async def moved(self, request: Request) -> Response:
        """Answer an older path with where it is now."""
        return RedirectResponse(f"/actuator/health/{_MOVED[request.url.path]}", 301)

    async def health(self, request: Request) -> Response:
        """`GET /actuator/health[/{group}]`."""
        found = health.answer(self._broker, request.path_params.get("group", ""))
        return Response(status_code=404) if found is None else JSONResponse(found[1], found[0])

    async def partitions(self, request: Request) -> Response:
        """`GET /actuator/partitions[/{id}]`."""
        states = health.partition_states(self._broker)
        partition = request.path_params.get("partition")
        if partition is None:
            return JSONResponse(states)
        if partition not in states:
            return _spring(request, 404)
        return JSONResponse(states[partition])

    async def exporting(self, request: Request) -> Response:
        """`POST /actuator/exporting/{pause|resume}`: always 200, how it went is in the body."""
        verb = request.path_params["verb"]
        soft = request.query_params.get("soft", "false") == "true"
        phase = "soft" if verb == "pause" and soft else verb
        document = self._broker.configuration
        missing = sorted(
            set(document.members if document else ()) - set(self._broker.members.live())
        )
        if missing:
            message = f"Topology is incomplete: brokers {missing} are missing"
            return JSONResponse({"status": 500, "body": {"message": message}})
        try:
            if self._broker.settings.dialect == "8.10":
                return JSONResponse(await self._exporting_change(PHASES[phase]))
            for node in self._broker.members.live():
                await self._broker.ask(node, "exporting", {"phase": phase})
        except (PeerSilent, PeerUnreachable) as error:
            return JSONResponse({"status": 500, "body": {"message": str(error)}})
        return JSONResponse({"status": 204})

    async def _exporting_change(self, state: str) -> Json:
        try:
            answer = await self._broker.coordinate("set_exporting", {"state": state})
        except Refusal as error:
            return {"status": error.status, "body": {"message": error.message}}
        if not await self._broker.await_change(answer["changeId"], _CHANGE_SECONDS):
            return {"status": 500, "body": {"message": "The change takes longer than PT1M"}}
        return {"status": 204}

    async def exporters(self, _: Request) -> Response:
        """`GET /actuator/exporters`."""
        return JSONResponse(await self._broker.coordinate("exporters", {}))

    async def one_exporter(self, request: Request) -> Response:
        """`POST /actuator/exporters/{id}/{enable|disable}` and `DELETE …/{id}`."""
        verb = request.path_params.get("operation", "delete")
        if verb not in {"enable", "disable", "delete"}:
            return _spring(request, 404)
        text = await request.body()
        if text and json.loads(text).get("initializeFrom"):
            raise Refusal(400, "The local broker has no other exporter to initialize from")
        exporter = request.path_params["exporterId"]
        arguments = {"exporter": exporter, "verb": verb, **_flags(request, "dryRun")}
        return await self._change("set_exporter", arguments)

    async def rebalance(self, _: Request) -> Response:
        """`POST /actuator/rebalance`: best effort, always 200."""
        broker = self._broker
        document = broker.configuration
        for partition in range(1, document.partitions + 1) if document else ():
            held = document.replicas(partition) if document else {}
            wanted = max(held, key=lambda node: held[node].priority)
            leader = broker.members.leader(partition)
            if leader is not None and leader.node_id != wanted and wanted in broker.members.live():
                payload = {"partition": partition, "op": "hand_over", "node": wanted}
                try:
                    await broker.ask(leader.node_id, "group", payload)
                except (PartitionUnavailable, PeerSilent, PeerUnreachable) as error:
                    broker.log(f"Partition {partition} keeps its leader: {error}")
        return Response()

    async def flow_control(self, _: Request) -> Response:
        """`GET /actuator/flowControl`: no limits are set here."""
        return JSONResponse({str(one): {} for one in self._broker.replicas})

    async def prometheus(self, request: Request) -> Response:
        """`GET /actuator/prometheus[?includedNames=…]`, a list with commas or the name repeated."""
        given = request.query_params.getlist("includedNames")
        names = {name for one in given for name in one.split(",")} if given else None
        text = metrics.exposition(self._broker, names)
        return PlainTextResponse(text, media_type="text/plain;version=0.0.4")

    async def upgrade_readiness(self, request: Request) -> Response:
        """`GET /actuator/upgradeReadiness`, from 8.10 on."""
        if self._broker.settings.dialect != "8.10":
            return _spring(request, 404)
        ready = health.ready(self._broker)
        state = "MIGRATED" if ready else "UNKNOWN"
        return JSONResponse(
            {
                "upgradeable": ready,
                "physicalTenants": {"default": {"brokerReady": {"state": state, "detail": ""}}},
            }
        )

    async def partition_request(self, _: Request) -> Response:
        """`POST /actuator/cluster/partitions`: Camunda does not implement it either."""
        return PlainTextResponse("Scaling partitions is not supported", 501)

    async def not_performed(self, request: Request) -> Response:
        """What Camunda has and this broker does not."""
        return PlainTextResponse(
            f"The local broker does not perform {request.method} {request.url.path}", 501
        )


def management_app(broker: Broker) -> Starlette:
    """Give the application of port 9600."""
    api = Management(broker)
    routes = [
        Route(CLUSTER, api.describe, methods=["GET"]),
        Route(CLUSTER, api.patch, methods=["PATCH"]),
        Route(f"{CLUSTER}/brokers", api.set_brokers, methods=["POST"]),
        Route(f"{CLUSTER}/brokers/{{broker}}", api.one_broker, methods=["POST", "DELETE"]),
        Route(
            f"{CLUSTER}/brokers/{{broker}}/partitions/{{partition}}",
            api.one_partition,
            methods=["POST", "DELETE"],
        ),
        Route(f"{CLUSTER}/partitions", api.partition_request, methods=["POST"]),
        Route(f"{CLUSTER}/purge", api.not_performed, methods=["POST"]),
        Route(f"{CLUSTER}/routing-state", api.not_performed, methods=["PATCH"]),
        Route(f"{CLUSTER}/changes", api.changes, methods=["GET"]),
        Route(f"{CLUSTER}/changes/{{change}}", api.changes, methods=["GET"]),
        Route(f"{CLUSTER}/changes/{{change}}", api.cancel, methods=["DELETE"]),
        Route("/actuator", api.links),
        Route("/actuator/info", api.info),
        *(Route(path, api.moved) for path in _MOVED),
        Route("/actuator/health", api.health),
        Route("/actuator/health/{group}", api.health),
        Route("/actuator/partitions", api.partitions),
        Route("/actuator/partitions/{partition}", api.partitions),
        Route("/actuator/exporting/{verb:str}", api.exporting, methods=["POST"]),
        Route("/actuator/exporters", api.exporters),
        Route("/actuator/exporters/{exporterId}", api.one_exporter, methods=["DELETE"]),
        Route("/actuator/exporters/{exporterId}/{operation}", api.one_exporter, methods=["POST"]),
        Route("/actuator/rebalance", api.rebalance, methods=["POST"]),
        Route("/actuator/flowControl", api.flow_control),
        Route("/actuator/flowControl", api.not_performed, methods=["POST"]),
        Route("/actuator/prometheus", api.prometheus),
        Route("/actuator/upgradeReadiness", api.upgrade_readiness),
        *runtime_backups.routes(broker),
    ]
    app = Starlette(routes=routes)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(BadRequest, lambda request, _: _spring(request, 400))
    app.add_exception_handler(HTTPException, _http_error)
    for error in (PartitionUnavailable, OutcomeUnknown, PeerSilent, PeerUnreachable):
        app.add_exception_handler(error, lambda _, e: JSONResponse({"message": str(e)}, 502))
    return app


def _refused(_: Request, error: Exception) -> Response:
    refusal = error if isinstance(error, Refusal) else Refusal(500, str(error))
    return JSONResponse({"message": refusal.message}, refusal.status)


def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    # A resource below the endpoint that is not there is a bad operation to Spring's actuator.
    below = request.url.path.startswith(f"{CLUSTER}/")
    if below and status == 404:
        status = 400 if request.method in ("POST", "DELETE") else 405
    return _spring(request, status)


def _spring(request: Request, status: int, headers: dict[str, str] | None = None) -> Response:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    body = {
        "timestamp": now,
        "status": status,
        "error": _REASONS.get(status, ""),
        "path": request.url.path,
    }
    return JSONResponse(body, status, headers)


async def _body(request: Request, *, empty: bool = False) -> Any:
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/json":
        raise HTTPException(415)
    text = await request.body()
    if not text and empty:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise BadRequest from error


def _flags(request: Request, *names: str) -> Json:
    found = {name: request.query_params.get(name, "false") for name in names}
    if any(value not in ("true", "false") for value in found.values()):
        raise BadRequest
    return {{"dryRun": "dry_run"}.get(name, name): value == "true" for name, value in found.items()}


def _id(request: Request, name: str) -> int:
    text = request.path_params[name]
    if not text.lstrip("-").isdecimal():
        raise BadRequest
    return int(text)
