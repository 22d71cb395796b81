"""The REST API in memory, for its command line: requests and answers as in docs/openapi.json."""

from __future__ import annotations

import copy
import http.client
import io
import json
import re
import urllib.error
import urllib.parse
from dataclasses import dataclass, field
from email.message import Message
from typing import TYPE_CHECKING, Any

from camunda_ecs.app import app
from camunda_ecs.rights import right
from camunda_ecs.session import World
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from local.config import REPOSITORY
from tools.openapi_texts import TEXTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from typer.testing import Result

URL = "https://abc123.execute-api.eu-central-1.amazonaws.com/v1"
KEY = "0123456789ab"
DOCUMENT: dict[str, Any] = json.loads((REPOSITORY / "docs" / "openapi.json").read_text())
SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=\S+/eu-central-1/execute-api/aws4_request, SignedHeaders=\S+, "
    r"Signature=[0-9a-f]{64}"
)


def filled(name: str, document: dict[str, Any]) -> dict[str, Any]:
    """A document of a schema, in which null stands for what is not given and may be null."""
    required = DOCUMENT["components"]["schemas"][name]["required"]
    return {**dict.fromkeys(required), **document}


def operation(identifier: str = f"demo.scale.{KEY}", **more: Any) -> dict[str, Any]:
    cluster, kind, _ = identifier.split(".")
    given = {
        "operationId": identifier,
        "cluster": cluster,
        "kind": kind,
        "status": "RUNNING",
        "startedAt": "2026-01-01T00:00:00.000Z",
        "endedAt": None,
        "startedBy": "arn:aws:iam::123456789012:user/ada",
        "execution": f"arn:aws:states:eu-central-1:123456789012:execution:c-{kind}:{identifier}",
        "progress": {"done": 1, "planned": 3, "step": None, "detail": None, "timeline": []},
        "result": None,
        "error": None,
        **more,
    }
    return filled("Operation", given)


def at(step: str, detail: str, done: int = 1) -> dict[str, Any]:
    """The progress of an operation in a step."""
    when = {"step": step, "at": "2026-01-01T00:00:01.000Z"}
    return {"done": done, "planned": 3, "step": step, "detail": detail, "timeline": [when]}


SCALED: dict[str, Any] = {
    "operationId": f"demo.scale.{KEY}",
    "cluster": "demo",
    "result": "SUCCEEDED",
    "machine": "scale",
    "verification": {
        "unit": "brokers",
        "brokers": {"before": 3, "after": 4},
        "checks": [
            {"name": "placement", "result": "PASS", "seen": "as Camunda plans it"},
            {"name": "notes", "result": "WARN", "seen": "a survivor"},
        ],
        "topology": [
            {"broker": 0, "host": "10.0.0.1", "partitions": {"1": {"role": "leader"}}},
            {"broker": 3, "host": "10.0.0.4", "partitions": {}},
        ],
    },
}
ERROR = {
    "name": "ScalingRefused",
    "cause": "broker 5 would hold no partition",
    "nextStep": "Request fewer brokers.",
    "currentState": "Validate",
}
CLUSTER: dict[str, Any] = {
    "name": "demo",
    "stack": "camunda-lifecycle-demo",
    "status": "UPDATE_COMPLETE",
    "frozen": None,
    "restUrl": "http://internal-web.eu-central-1.elb.amazonaws.com",
    "grpcEndpoint": "grpc.elb.eu-central-1.amazonaws.com:26500",
    "freeze": None,
    "statusReason": None,
    "brokers": {"declared": 3, "running": 3, "joined": 3},
    "connectors": {"declared": 1, "running": 1},
    "members": [{"broker": 0, "state": "ACTIVE"}],
    "topology": [{"broker": 0, "host": "10.0.0.1", "partitions": {"1": {"role": "LEADER"}}}],
    "pendingChange": {"id": 4, "done": 1, "planned": 6, "next": "PARTITION_JOIN"},
    "lastOperation": None,
    "access": TEXTS["readCluster"].answer["access"],
    "unreachable": [{"part": "metrics", "reason": "timed out"}],
}
FINDING = {
    "code": "DATABASE_DOWN",
    "severity": "DOWN",
    "title": "Aurora is not available",
    "seen": "stopped",
    "expected": "available",
    "remedy": "Start it.",
    "runbook": "docs/runbook.md#database_down",
}
NOTE = {**FINDING, "code": "BROKER_MISSING", "severity": "INFO", "explainedBy": "scale runs"}
HEALTH: dict[str, Any] = {
    "cluster": "demo",
    "verdict": "DOWN",
    "checkedAt": "2026-01-01T00:05:00.000Z",
    "fresh": False,
    "ageSeconds": 20,
    "since": "2026-01-01T00:00:00.000Z",
    "consecutive": 2,
    "notified": "DOWN",
    "notifiedAt": None,
    "findings": [FINDING, NOTE],
    "seconds": 0.4,
    "rehearsal": None,
    "text": "demo is DOWN",
}
BACKUPS: dict[str, Any] = dict(TEXTS["listBackups"].answer)

LINE = {
    "name": "demo",
    "stack": "camunda-lifecycle-demo",
    "status": "UPDATE_COMPLETE",
    "frozen": None,
    "restUrl": None,
    "grpcEndpoint": None,
    "verdict": "DEGRADED",
    "checkedAt": "2026-01-01T00:05:00.000Z",
    "brokers": {"declared": 4, "joined": 3},
    "version": "8.9.1",
    "operation": {"operationId": "demo.scale.x", "execution": "arn:aws:states:…"},
    "monthlyCost": "703.00",
}
PLAN: dict[str, Any] = {
    "status": "READY",
    "kind": "scale",
    "cluster": "demo",
    "operationId": "demo.plan.p1",
    "refusal": None,
    "apply": {"clusterName": "demo", "count": 4},
}
LINE_OF_OPERATION = DOCUMENT["components"]["schemas"]["OperationLine"]["required"]
PLAN_TEXT = "Scale cluster demo (eu-central-1) from 3 to 4 brokers: READY\nPlan demo.plan.p1\n"


def problem(status: int, name: str, **more: Any) -> tuple[int, dict[str, Any]]:
    return status, {
        "type": f"tag:camunda-ecs-lifecycle,2026:{name}",
        "title": name,
        "status": status,
        "detail": f"{name} happened",
        "error": name,
        "nextStep": f"Mend {name}.",
        "requestId": "r-1",
        **more,
    }


@dataclass
class Request:
    """A request as it arrived; ``headers`` by their name in lower case."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


@dataclass
class FakeApi:
    """Answers by route; ``faults`` come first, each once: a status with headers, or an error."""

    policy: str = "administrator"
    cluster: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(CLUSTER))
    health: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(HEALTH))
    plan: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(PLAN))
    # What an operation looks like at each look; the last one stays.
    life: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    faults: list[Any] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    release: str | None = None
    etag: str | None = None
    looks: int = 0

    def open(self, sent: Any, timeout: float) -> Any:
        """Answer as urllib's opener does."""
        assert timeout > 29, "API Gateway answers within 29 seconds"
        parts = urllib.parse.urlsplit(sent.full_url)
        headers = {name.lower(): value for name, value in sent.header_items()}
        request = Request(
            sent.get_method(),
            parts.path.removeprefix("/v1"),
            dict(urllib.parse.parse_qsl(parts.query, strict_parsing=True)) if parts.query else {},
            json.loads(sent.data) if sent.data else None,
            headers,
        )
        self.requests.append(request)
        assert SIGNED.fullmatch(headers["authorization"]), headers
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, BaseException):
            raise fault
        if isinstance(fault, tuple):
            status, more, document = fault
            return self._sent(sent, status, document, more)
        status, document = self._answer(request)
        return self._sent(sent, status, document, {})

    def _sent(self, sent: Any, status: int, document: Any, more: Mapping[str, str]) -> Any:
        headers = Message()
        text = document if isinstance(document, str) else json.dumps(document)
        kind = "text/plain; charset=utf-8" if isinstance(document, str) else "application/json"
        headers["Content-Type"] = "application/problem+json" if status >= 400 else kind
        if self.release:
            headers["X-Camunda-Ecs-Version"] = self.release
        if self.etag and sent.get_method() == "GET":
            headers["ETag"] = self.etag
        for name, value in more.items():
            headers[name] = value
        body = io.BytesIO(text.encode())
        if status >= 400:
            raise urllib.error.HTTPError(sent.full_url, status, "", headers, body)
        return Response(status, headers, body)

    def _answer(self, request: Request) -> tuple[int, Any]:
        route, described = found_route(request)
        if self.policy not in right(request.method, request.path)[1]:
            detail = "User is not authorized to perform: execute-api:Invoke"
            forbidden = {"type": "about:blank", "title": "Forbidden", "detail": detail}
            return 403, {**forbidden, "status": 403, "requestId": "r-403"}
        wrong = wrong_parts(request, described)
        if wrong:
            return problem(400, "InvalidRequest", errors=wrong)
        status, document = self.answers.get(route) or self._usual(route, request)
        if status < 400 and not isinstance(document, str):
            check(document, described["responses"][str(status)])
        elif status >= 400:
            valid({"$ref": "#/components/schemas/Problem"}, document)
        return status, document

    def _usual(self, route: str, request: Request) -> tuple[int, Any]:
        usual: dict[str, Callable[[], tuple[int, Any]]] = {
            "GET /clusters": lambda: (200, {"clusters": [LINE], "next": None}),
            "GET /clusters/{name}": lambda: (200, self.cluster),
            "GET /clusters/{name}/health": lambda: (200, self.health),
            "GET /clusters/{name}/backups": lambda: (200, BACKUPS),
            "GET /kept": lambda: (200, TEXTS["listKept"].answer),
            "GET /kept/{name}": lambda: (200, TEXTS["readKept"].answer),
            "GET /operations": lambda: (200, {"operations": [self.line()], "next": None}),
            "GET /operations/{id}": lambda: (200, self._look()),
            "PUT /clusters/{name}/freeze": lambda: (200, self._freeze("audit")),
            "DELETE /clusters/{name}/freeze": lambda: (200, self._freeze(None)),
            "GET /plans/{id}": lambda: (200, self._plan(request)),
            "POST /operations/{id}/cancel": lambda: (202, self._acted(request, "ABORTED")),
            "POST /operations/{id}/resume": lambda: (202, self._acted(request, "RUNNING")),
        }
        if route in usual:
            return usual[route]()
        verbs = {
            "brokers": "scale",
            "partitions": "scale",
            "plans": "plan",
            "rotation": "rotate",
            "management-access": "manage",
            "backups": "backup",
            "former-data": "backup",
            "restores": "restore",
            "rehearsals": "rehearse",
        }
        last = request.path.rpartition("/")[2]
        verb = {"PUT": "provision", "DELETE": "teardown"}.get(request.method, "restart")
        if last != request.path.split("/")[2]:
            verb = "backup" if "/backups/" in request.path else verbs.get(last, last)
        cluster, key = request.path.split("/")[2], request.headers["idempotency-key"]
        return 202, operation(f"{cluster}.{verb}.{key}")

    def _freeze(self, reason: str | None) -> dict[str, Any]:
        return {"frozen": reason, "freeze": None, "operationId": None}

    def _acted(self, request: Request, status: str) -> dict[str, Any]:
        return operation(request.path.split("/")[2], status=status)

    def _plan(self, request: Request) -> Any:
        return PLAN_TEXT if request.headers["accept"].startswith("text/plain") else self.plan

    def line(self) -> dict[str, Any]:
        whole = self.life[-1] if self.life else operation()
        return {name: whole[name] for name in LINE_OF_OPERATION}

    def _look(self) -> dict[str, Any]:
        found = self.life[min(self.looks, len(self.life) - 1)]
        self.looks += 1
        return found

    def sent(self, method: str) -> list[Request]:
        return [one for one in self.requests if one.method == method]


class Response(io.BytesIO):
    """What urllib gives for a good answer."""

    def __init__(self, status: int, headers: Message, body: io.BytesIO) -> None:
        super().__init__(body.getvalue())
        self.status, self.headers = status, headers


def valid(schema: Mapping[str, Any], document: Any) -> None:
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(document)


def check(document: Any, response: Mapping[str, Any]) -> None:
    valid(response["content"]["application/json"]["schema"], document)


def found_route(request: Request) -> tuple[str, dict[str, Any]]:
    """The route of a request and its description; a fixed path before one with a name in it."""
    for template, methods in sorted(DOCUMENT["paths"].items(), key=lambda one: one[0].count("{")):
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if re.fullmatch(pattern, request.path) and request.method.lower() in methods:
            described: dict[str, Any] = methods[request.method.lower()]
            return f"{request.method} {template}", described
    raise AssertionError(f"no such route: {request.method} {request.path}")


def wrong_parts(request: Request, described: Mapping[str, Any]) -> list[dict[str, str]]:
    """What of a request its description does not allow, as the API lists it."""
    wrong = []
    known = {one["name"]: one for one in described.get("parameters", ())}
    for name, value in request.query.items():
        assert known[name]["in"] == "query"
        schema = known[name]["schema"]
        given = int(value) if schema.get("type") == "integer" else value
        if not Draft202012Validator(schema).is_valid(given):
            wrong.append({"field": name, "given": value, "allowed": str(schema)})
    missing = [
        name
        for name, one in known.items()
        if one["in"] == "query" and one.get("required") and name not in request.query
    ]
    wrong += [{"field": name, "given": "nothing", "allowed": "a value"} for name in missing]
    key = request.headers.get("idempotency-key")
    assert key is None or "Idempotency-Key" in known, "a key for a route that takes none"
    body = described.get("requestBody")
    if body is not None:
        schema = body["content"]["application/json"]["schema"]
        if body.get("required") or request.body is not None:
            whole = {**schema, "components": DOCUMENT["components"]}
            wrong += [
                {
                    "field": ".".join(map(str, error.absolute_path)) or "(body)",
                    "given": str(error.instance),
                    "allowed": str(error.validator_value)[:80],
                }
                for error in Draft202012Validator(whole).iter_errors(request.body)
            ]
    else:
        assert request.body is None, "a body for a route that takes none"
    return wrong


@dataclass
class Shell:
    """A terminal, or none, with the command line in it. ``slept`` are the waits in seconds."""

    api: FakeApi
    on_terminal: bool = False
    slept: list[float] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    interrupted_at: int | None = None
    now: float = 0.0

    def run(self, *words: str, typed: str | None = None, cluster: str | None = "demo") -> Result:
        environment = {
            "CAMUNDA_ECS_API_URL": URL,
            "CAMUNDA_ECS_CLUSTER": cluster,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            "AWS_EC2_METADATA_DISABLED": "true",
            **dict.fromkeys(("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"), None),
            "NO_COLOR": "1",
        }
        world = World(
            sleep=self._sleep,
            clock=lambda: self.now,
            on_terminal=lambda: self.on_terminal,
            browse=self._browse,
            key=lambda: KEY,
            opener=self.api,
        )
        return CliRunner().invoke(app, list(words), input=typed, env=environment, obj=world)

    def _browse(self, url: str) -> bool:
        self.opened.append(url)
        return True

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if self.interrupted_at is not None and len(self.slept) >= self.interrupted_at:
            raise KeyboardInterrupt


def gone(reason: str = "Connection refused") -> Exception:
    return urllib.error.URLError(ConnectionRefusedError(111, reason))


def cut_off() -> Exception:
    return http.client.RemoteDisconnected("Remote end closed connection without response")


def busy(status: int, **headers: str) -> Sequence[Any]:
    document = {"type": "about:blank", "title": "Later", "status": status, "requestId": "r-2"}
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, document
