"""Answers a request of API Gateway (Lambda proxy integration, payload 1.0)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle import __version__
from lifecycle.api.accept import chosen
from lifecycle.api.callers import caller_of
from lifecycle.api.etag import HEADER, read_match, refuse_other
from lifecycle.api.paging import (
    cursor_token,
    read_cursor,
    read_limit,
    read_one_of,
    read_token,
    refuse_others,
    token,
)
from lifecycle.api.problems import CONTENT_TYPE, RETRY_SECONDS, problem, unexpected
from lifecycle.api.routes import ROUTES, Route
from lifecycle.api.strict_json import NotJson, parse
from lifecycle.backup.request import BACKUP, BackupAction
from lifecycle.cluster.names import CLUSTER_NAME_RULE, is_cluster_name
from lifecycle.cluster.validation import Problem, invalid
from lifecycle.errors import ClusterBusy, LifecycleError, RequestTooLarge, UnsupportedMediaType
from lifecycle.manage.request import Action
from lifecycle.observability import logger
from lifecycle.operation.action import ACTION
from lifecycle.operation.idempotency import KEY_RULE, is_key, unquoted
from lifecycle.operation.read import Wanted, just_started
from lifecycle.operation.record import RUNNING
from lifecycle.operation.scheduled import SCHEDULED
from lifecycle.operation.steps import STEPS
from lifecycle.pages.plan import plan_page
from lifecycle.plans.read import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.api.clusters import ClusterReader
    from lifecycle.api.freezing import Freezer
    from lifecycle.backup.read import BackupReader
    from lifecycle.health.read import HealthReader
    from lifecycle.kept.read_kept import KeptReader
    from lifecycle.operation.cancel import OperationCanceller
    from lifecycle.operation.read import OperationReader
    from lifecycle.operation.record import Execution, Record
    from lifecycle.operation.report_links import ReportLinker
    from lifecycle.operation.resume import OperationResumer
    from lifecycle.operation.start import OperationStarter
    from lifecycle.plans.read import PlanReader

# Far more than the largest provision request with every parameter; Lambda itself takes 6 MB.
JSON_TYPE: Final = "application/json"
MAX_BODY_BYTES: Final = 64 * 1024
CLUSTERS_QUERY: Final = ("limit", "next")
OPERATIONS_QUERY: Final = ("cluster", "verb", "status", "limit", "next")
STATUSES: Final = (
    "RUNNING",
    "SUCCEEDED",
    "FAILED",
    "TIMED_OUT",
    "ABORTED",
    "PENDING_REDRIVE",
    "NOT_STARTED",
)
"""Of an operation: those of Step Functions, and one that was recorded but never ran."""
PLAN_TYPES: Final = (JSON_TYPE, "text/plain", "text/html")
VERSION_HEADER: Final = "X-Camunda-Ecs-Version"
# The machine takes either; rights rest on the path.
_NOT_HERE: Final = {"scaleBrokers": "partitions", "scalePartitions": "count"}
_ELSEWHERE: Final = {
    "partitions": "not allowed here: PUT /clusters/{name}/partitions adds partitions",
    "count": "not allowed here: PUT /clusters/{name}/brokers scales brokers",
}
# The path names the action, so that rights rest on it; the machine takes either.
_ACTIONS: Final = {
    "openManagement": Action.OPEN,
    "closeManagement": Action.CLOSE,
    "takeBackup": BackupAction.TAKE,
    "deleteBackup": BackupAction.DELETE,
    "deleteFormerData": BackupAction.DELETE_FORMER,
}
# Only a schedule gives its time.
_SCHEDULED: Final = frozenset({"takeBackup", "rehearseRestore"})
_BY_RESOURCE: Final = {(route.method, route.resource): route for route in ROUTES}


@dataclass(frozen=True, slots=True)
class Api:
    """The API with the use cases behind it.

    ``translate`` makes one of our errors of one that an AWS client raised, None of any other.
    """

    starter: OperationStarter
    operations: OperationReader
    clusters: ClusterReader
    backups: BackupReader
    freezer: Freezer
    health: HealthReader
    canceller: OperationCanceller
    resumer: OperationResumer
    plans: PlanReader
    reports: ReportLinker
    kept: KeptReader
    translate: Callable[[Exception], LifecycleError | None]
    control_stack: str

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one request. Every error becomes a problem document; none is raised."""
        context = event.get("requestContext") or {}
        request_id = str(context.get("requestId", ""))
        try:
            return self._route(event, context)
        except Exception as error:  # noqa: BLE001 - the last line before API Gateway
            known = error if isinstance(error, LifecycleError) else self.translate(error)
            if known is None:
                logger.exception("Unexpected error")
                status, document = unexpected(request_id)
            else:
                logger.warning(known.message, extra={"error": type(known).__name__})
                status, document = problem(known, request_id=request_id)
            seconds = known.seconds if isinstance(known, ClusterBusy) else 0
            seconds = RETRY_SECONDS if status in {429, 503} else seconds
            headers = {"Retry-After": str(seconds)} if seconds else {}
            return _response(status, document, content_type=CONTENT_TYPE, headers=headers)

    def _route(self, event: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
        route = _BY_RESOURCE[event["httpMethod"], event["resource"]]
        path = event.get("pathParameters") or {}
        query = event.get("queryStringParameters") or {}
        if route.verb:
            return self._start(route, event, context)
        match route.name:
            case "listClusters":
                return self._clusters(query)
            case "readCluster":
                return self._read(_cluster(path.get("name"), "name"))
            case "readHealth":
                cluster = _cluster(path.get("name"), "name")
                fresh = _flag(query.get("fresh"), "fresh")
                document = self.health.fresh(cluster) if fresh else self.health.last(cluster)
                return _response(200, document)
            case "listBackups":
                return _response(200, self.backups.read(_cluster(path.get("name"), "name")))
            case "freezeCluster" | "thawCluster":
                return _response(200, self._freeze(route, event, context))
            case "listKept" | "readKept":
                refuse_others(query, ())
                return _response(200, self._kept(path.get("name")))
            case "listOperations":
                return self._operations(query)
            case "readPlan":
                return self._plan(str(path.get("id")), _headers(event).get("accept"))
            case "readReport":
                return _response(200, self.reports.links(str(path.get("id"))))
            case "cancelOperation" | "resumeOperation":
                return self._act(route, event, context)
            case _:
                document = self.operations.read(str(path.get("id")))
                return _response(200, document, headers=_retry(document))

    def _caller(self, context: Mapping[str, Any]) -> str:
        return caller_of(context.get("identity") or {}, self.control_stack)

    def _freeze(
        self, route: Route, event: Mapping[str, Any], context: Mapping[str, Any]
    ) -> dict[str, Any]:
        if route.name == "freezeCluster":
            request, _ = _request(event)
            self._condition(event)()
            return self.freezer.freeze(request, self._caller(context))
        cluster = _cluster((event.get("pathParameters") or {}).get("name"), "name")
        self._condition(event)()
        return self.freezer.thaw(cluster, self._caller(context))

    def _kept(self, name: str | None) -> dict[str, Any]:
        if name is None:
            return {"kept": self.kept.all()}
        return self.kept.of(_cluster(name, "name"))

    def _read(self, cluster: str) -> dict[str, Any]:
        # The tag first: what changes meanwhile is then refused rather than overlooked.
        tag = self.clusters.tag(cluster)
        return _response(
            200, self.clusters.read(cluster), headers={"ETag": tag} if tag is not None else {}
        )

    def _condition(self, event: Mapping[str, Any]) -> Callable[[], None]:
        """Return the check of If-Match; it raises ``ClusterChanged``."""
        tags = read_match(_headers(event).get(HEADER.lower()))
        if tags is None:
            return lambda: None
        cluster = str((event.get("pathParameters") or {}).get("name"))
        return lambda: refuse_other(cluster, tags, self.clusters.parts(cluster))

    def _clusters(self, query: Mapping[str, str]) -> dict[str, Any]:
        refuse_others(query, CLUSTERS_QUERY)
        after = read_token(query.get("next"), 1)
        lines, more = self.clusters.page(read_limit(query), after[0] if after else "")
        return _response(200, {"clusters": lines, "next": token(more) if more else None})

    def _operations(self, query: Mapping[str, str]) -> dict[str, Any]:
        refuse_others(query, OPERATIONS_QUERY)
        cluster = _cluster(query["cluster"], "cluster") if "cluster" in query else ""
        which = Wanted(
            cluster, read_one_of(query, "verb", STEPS), read_one_of(query, "status", STATUSES)
        )
        after = read_cursor(query.get("next"), cluster)
        lines, more = self.operations.page(which, limit=read_limit(query), after=after)
        if cluster and not lines and not self.operations.of_cluster(cluster, 1):
            self.clusters.find(cluster)  # what a cluster that is gone did is still reported
        return _response(200, {"operations": lines, "next": cursor_token(more)})

    def _plan(self, operation_id: str, accept: str | None) -> dict[str, Any]:
        kind = chosen(accept, PLAN_TYPES)
        plan = self.plans.read(operation_id)
        match kind:
            case "text/plain":
                return _response(200, as_text(plan), content_type=f"{kind}; charset=utf-8")
            case "text/html":
                return _response(200, plan_page(plan), content_type=f"{kind}; charset=utf-8")
            case _:
                return _response(200, plan)

    def _act(
        self, route: Route, event: Mapping[str, Any], context: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Cancel or resume an operation. It takes no body: an empty object at most."""
        headers = _headers(event)
        body, wrong = _body(event, headers.get("content-type"))
        if HEADER.lower() in headers:
            given = headers[HEADER.lower()]
            raise invalid([Problem(HEADER, given, "nothing: it is for requests on a cluster")])
        if wrong or body != {}:
            raise invalid([Problem("(body)", body, wrong or "nothing, or an empty JSON object")])
        operation_id = str((event.get("pathParameters") or {}).get("id"))
        caller = self._caller(context)
        case = self.canceller.cancel if route.name == "cancelOperation" else self.resumer.resume
        record, execution = case(operation_id, caller)
        logger.info(
            "Operation cancelled" if route.name == "cancelOperation" else "Operation resumed",
            extra={"operation_id": record.operation_id, "caller": caller, "verb": record.machine},
        )
        return self._accepted(route, event, context, record, execution)

    def _accepted(
        self,
        route: Route,
        event: Mapping[str, Any],
        context: Mapping[str, Any],
        record: Record,
        execution: Execution | None,
    ) -> dict[str, Any]:
        document = self.operations.report(record, execution)
        there = f"{_base(route, context)}/operations/{record.operation_id}"
        return _response(202, document, headers={"Location": there, **_retry(document)})

    def _start(
        self, route: Route, event: Mapping[str, Any], context: Mapping[str, Any]
    ) -> dict[str, Any]:
        request, key = _request(event)
        foreign = _NOT_HERE.get(route.name)
        if foreign in request:
            raise invalid([Problem(str(foreign), request[foreign], _ELSEWHERE[foreign])])
        if route.name in _ACTIONS:
            if ACTION in request:
                allowed = "nothing: the route names the action"
                raise invalid([Problem(ACTION, request[ACTION], allowed)])
            request = {**request, ACTION: str(_ACTIONS[route.name])}
        if route.name in _SCHEDULED and SCHEDULED in request:
            allowed = "nothing: only the cluster's schedule gives it"
            raise invalid([Problem(SCHEDULED, request[SCHEDULED], allowed)])
        if route.name == "deleteBackup":
            if BACKUP in request:
                raise invalid([Problem(BACKUP, request[BACKUP], "nothing: the path names it")])
            request = {**request, BACKUP: (event.get("pathParameters") or {}).get("id")}
        caller = self._caller(context)
        record, execution = self.starter.start(
            route.verb, request, key=key, caller=caller, condition=self._condition(event)
        )
        logger.info(
            "Operation accepted",
            extra={"operation_id": record.operation_id, "caller": caller, "verb": route.verb},
        )
        started = execution or just_started(record)
        return self._accepted(route, event, context, record, started)


def _retry(operation: Mapping[str, Any]) -> dict[str, str]:
    """After how many seconds a running operation is worth another look."""
    return {"Retry-After": str(RETRY_SECONDS)} if operation["status"] in RUNNING else {}


def _base(route: Route, context: Mapping[str, Any]) -> str:
    """The path in front of the routes: the stage, or the base path of a custom domain.

    ``requestContext.path`` is the path of the request with it:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
    """
    path = str(context.get("path") or "").rstrip("/")
    # By segments: the path has names as the client encoded them.
    return path.rsplit("/", route.resource.count("/"))[0]


def _headers(event: Mapping[str, Any]) -> dict[str, str]:
    """Headers by their name in lower case."""
    return {name.lower(): value for name, value in (event.get("headers") or {}).items()}


def _cluster(value: object, field: str) -> str:
    if not is_cluster_name(value):
        raise invalid([Problem(field, value, CLUSTER_NAME_RULE)])
    return str(value)


def _flag(value: object, field: str) -> bool:
    if value not in {None, "true", "false"}:
        raise invalid([Problem(field, value, "true or false")])
    return value == "true"


def _request(event: Mapping[str, Any]) -> tuple[dict[str, object], str | None]:
    """Read the machine's input and the idempotency key; every wrong part is named at once."""
    name = (event.get("pathParameters") or {}).get("name")
    headers = _headers(event)
    key = headers.get("idempotency-key")
    key = unquoted(key.strip()) if key is not None else None
    problems = []
    body, wrong = _body(event, headers.get("content-type"))
    if not is_cluster_name(name):
        problems.append(Problem("name", name, CLUSTER_NAME_RULE))
    if key is not None and not is_key(key):
        problems.append(Problem("Idempotency-Key", key, KEY_RULE))
    if wrong or not isinstance(body, dict):
        problems.append(Problem("(body)", body, wrong or "a JSON object"))
    elif "clusterName" in body:
        problems.append(
            Problem("clusterName", body["clusterName"], "nothing: the path names the cluster")
        )
    if problems or not isinstance(body, dict):
        raise invalid(problems)
    return {"clusterName": name, **body}, key


def _body(event: Mapping[str, Any], content_type: str | None) -> tuple[object, str]:
    """Return the value of the body and, for a text that is not accepted, what is allowed.

    Without a body, what is missing is named by its field.
    """
    raw = event.get("body") or ""
    if not raw:
        return {}, ""
    if not _is_json(content_type):
        raise UnsupportedMediaType(
            f"The body is of type {str(content_type)[:80]}; accepted is {JSON_TYPE} in UTF-8."
        )
    try:
        data = base64.b64decode(raw) if event.get("isBase64Encoded") else raw.encode()
    except ValueError:
        return None, "JSON in UTF-8"
    if len(data) > MAX_BODY_BYTES:
        raise RequestTooLarge(
            f"The body has {len(data)} bytes; at most {MAX_BODY_BYTES} are accepted."
        )
    try:
        return parse(data), ""
    except NotJson as error:
        return data[:80].decode(errors="replace"), str(error)


def _is_json(content_type: str | None) -> bool:
    """Whether a media type is JSON; one that is missing is taken for it (RFC 9110, 8.3)."""
    if content_type is None:
        return True
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [one.partition("=")[2].strip('" ') for one in parameters if "charset" in one]
    return kind == JSON_TYPE and all(charset == "utf-8" for charset in charsets)


def _response(
    status: int,
    document: Mapping[str, Any] | str,
    *,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {
            "Content-Type": content_type,
            "Cache-Control": "no-store",
            VERSION_HEADER: __version__,
            **(headers or {}),
        },
        "body": document if isinstance(document, str) else json.dumps(document),
    }
