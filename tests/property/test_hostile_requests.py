"""No request makes the API fail, whatever a client sends: each is done, or refused and short.

Bodies are built from the documented ones, with hostile values put into them; the budget is fixed,
and hypothesis keeps what it found as examples in its database.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lifecycle.api.routes import ROUTES
from lifecycle.backup.request import read_backup_request
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.freeze import read_reason
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.cluster.stack import Stack
from lifecycle.cluster.validation import MOST_PROBLEMS
from lifecycle.errors import InvalidRequest
from lifecycle.manage.request import read_manage_request
from lifecycle.operation.record import Execution
from lifecycle.provisioning.request import read_plan_request, read_provision_request
from lifecycle.rehearsal.request import read_rehearsal_request
from lifecycle.restart.request import read_restart_request
from lifecycle.restore.request import read_restore_request
from lifecycle.rotation.request import read_rotation_request
from lifecycle.scaling.request import read_scale_request
from lifecycle.teardown.decisions import read_teardown_request

from tests.support.api import ApiWorld
from tests.support.world import CONTROL, OUTPUTS

pytestmark = pytest.mark.property

LONGEST_ANSWER = 64 * 1024
BODIES: dict[str, Any] = {
    "freezeCluster": {"reason": "audit until Friday"},
    "provisionCluster": {"parameters": {"Brokers": 3}, "tags": {"team": "a"}, "settings": {}},
    "tearDownCluster": {"confirm": "demo", "dryRun": True},
    "scaleBrokers": {"count": 4},
    "scalePartitions": {"partitions": 6},
    "restartService": {"service": "brokers", "broker": 1},
    "rotateSecrets": {"secrets": ["admin", "connectors"]},
    "openManagement": {"minutes": 60, "cidrs": ["10.1.0.0/16"]},
    "closeManagement": {"dryRun": True},
    "restoreCluster": {"confirm": "demo", "to": "2026-11-30T08:00:00Z"},
    "rehearseRestore": {"dryRun": True},
    "takeBackup": {"dryRun": True},
    "deleteBackup": {"confirm": "demo", "dryRun": True},
    "deleteFormerData": {"confirm": "demo", "acceptNoFinalSnapshot": True},
    "planChange": {"provision": {"parameters": {"Brokers": 3}, "replace": ["FileSystem"]}},
}
DEEP = "[" * 1500 + "]" * 1500
DEEP_OBJECT = '{"a":' * 1500 + "1" + "}" * 1500
# Pieces of JSON text: put as they are, so that the parser meets them too.
PIECES = st.sampled_from(
    [
        "1e999",
        "-1e999",
        "NaN",
        "Infinity",
        "1" * 5000,
        '"' + "1" * 5000 + '"',
        '"' + "x" * 30_000 + '"',
        "-0.0",
        "4.0",
        "1e2",
        DEEP,
        DEEP_OBJECT,
        '{"a": 1, "a": 2}',
        '"\\ud800"',
        '"\\u0000"',
        "null",
        "true",
        "[]",
        "{}",
        '""',
        '{"": 1}',
    ]
) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
).map(json.dumps)


def put(body: Any, piece: str, at: int, *, added: bool) -> str:
    """JSON text of a body with one value, or one more field, given as text."""
    marks: list[Any] = []

    def marked(value: Any) -> Any:
        if isinstance(value, dict):
            found = {key: marked(one) for key, one in value.items()}
            if added:
                marks.append(f"MARK{len(marks)}")
                found["extra"] = marks[-1]
            return found
        if isinstance(value, list):
            return [marked(one) for one in value]
        if added:
            return value
        marks.append((f"MARK{len(marks)}", value))
        return marks[-1][0]

    text = json.dumps(marked(body))
    chosen = at % len(marks)
    for number, mark in enumerate(marks):
        name, value = mark if isinstance(mark, tuple) else (mark, None)
        text = text.replace(f'"{name}"', piece if number == chosen else json.dumps(value), 1)
    return text


def world() -> ApiWorld:
    api = ApiWorld()
    api.world.stacks.stacks[f"{CONTROL}-demo"] = Stack(
        f"{CONTROL}-demo",
        "arn:stack/demo",
        "CREATE_COMPLETE",
        outputs=ClusterOutputs({**OUTPUTS, "ClusterName": "demo"}),
        tags={"camunda:control-plane": CONTROL, "camunda:cluster": "demo"},
    )
    report = json.dumps({"cluster": "demo", "verdict": "HEALTHY"})
    api.checks.result = Execution("arn:x", "SUCCEEDED", "", output=report)
    return api


def answered(api: ApiWorld, route: Any, **event: Any) -> dict[str, Any]:
    names = {"name": "demo"} if "{name}" in route.resource else {}
    given = {
        "httpMethod": route.method,
        "resource": route.resource,
        "pathParameters": names or None,
        "queryStringParameters": None,
        "headers": {"Content-Type": "application/json"},
        "body": None,
        "isBase64Encoded": False,
        "requestContext": {"requestId": "r-1", "identity": {"userArn": "arn:a"}, "path": "/v1"},
        **event,
    }
    answer: dict[str, Any] = api.api.answer(given)
    assert answer["statusCode"] < 500, answer["body"][:500]
    assert len(answer["body"]) <= LONGEST_ANSWER
    json.loads(answer["body"])
    return answer


STARTING = [route for route in ROUTES if route.name in BODIES]


@settings(max_examples=400, suppress_health_check=[HealthCheck.data_too_large])
@given(st.sampled_from(STARTING), PIECES, st.integers(0, 9), st.booleans())
def test_no_value_in_a_body_makes_the_api_fail(
    route: Any, piece: str, at: int, added: bool
) -> None:
    answered(world(), route, body=put(BODIES[route.name], piece, at, added=added))


@example(b"")
@example(b"\xff\xfe{}")
@example('{"count": 4}'.encode("utf-16"))
@example(b"\xef\xbb\xbf{}")
@example(DEEP.encode())
@example(DEEP_OBJECT.encode())
@example(b'{"count": 4, "count": 5}')
@example(json.dumps({f"field{n}": n for n in range(5000)}).encode())
@example(json.dumps({f"{n}" + "x" * 1000: "y" * 1000 for n in range(30)}).encode())
@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_no_text_as_a_body_makes_the_api_fail(data: bytes) -> None:
    for route in STARTING:
        body = base64.b64encode(data).decode()
        answered(world(), route, body=body, isBase64Encoded=True)


@example("x" * 2048)
@example("demo.scale." + "k" * 2048)
@example("demo." + "v" * 60 + ".k")
@example("..")
@example("true")
@settings(max_examples=200)
@given(st.text(max_size=100))
def test_no_id_or_name_makes_the_api_fail(text: str) -> None:
    api = world()
    by_name = {route.name: route for route in ROUTES}
    answer = answered(api, by_name["readOperation"], pathParameters={"id": text})
    assert answer["statusCode"] == 404
    for name in ("readCluster", "readHealth", "scaleBrokers"):
        answered(api, by_name[name], pathParameters={"name": text}, body='{"count": 4}')
    for query in ({"cluster": text}, {"fresh": text, "cluster": "demo"}):
        answered(api, by_name["listOperations"], queryStringParameters=query)
        answered(api, by_name["readHealth"], queryStringParameters=query)
    headers = {"Idempotency-Key": text, "Content-Type": text}
    answered(api, by_name["scaleBrokers"], headers=headers, body='{"count": 4}')


def acting(raw: object, action: str) -> object:
    return {"action": action, **raw} if isinstance(raw, dict) else raw


READERS: dict[str, Callable[[object], object]] = {
    "provisionCluster": lambda raw: read_provision_request(raw, cluster_parameters()),
    "tearDownCluster": read_teardown_request,
    "scaleBrokers": read_scale_request,
    "scalePartitions": read_scale_request,
    "restartService": read_restart_request,
    "rotateSecrets": read_rotation_request,
    "openManagement": lambda raw: read_manage_request(acting(raw, "open-management")),
    "closeManagement": lambda raw: read_manage_request(acting(raw, "close-management")),
    "restoreCluster": read_restore_request,
    "rehearseRestore": read_rehearsal_request,
    "takeBackup": lambda raw: read_backup_request(acting(raw, "take")),
    "deleteBackup": lambda raw: read_backup_request(acting(raw, "delete")),
    "deleteFormerData": lambda raw: read_backup_request(acting(raw, "delete-former-data")),
    "planChange": lambda raw: read_plan_request(raw, cluster_parameters()),
    "freezeCluster": lambda raw: read_reason(raw) if isinstance(raw, dict) else None,
}


@settings(max_examples=400, suppress_health_check=[HealthCheck.data_too_large])
@given(st.sampled_from(sorted(READERS)), PIECES, st.integers(0, 9), st.booleans())
def test_no_input_of_the_console_is_an_unexpected_error(
    name: str, piece: str, at: int, added: bool
) -> None:
    """Step Functions hands any JSON to the function that validates it."""
    text = put({"clusterName": "demo", **BODIES[name]}, piece, at, added=added)
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        return
    problems: tuple[dict[str, str], ...] = ()
    message = ""
    try:
        READERS[name](raw)
    except InvalidRequest as error:
        problems, message = error.problems, error.message
    assert len(message.encode()) < LONGEST_ANSWER
    assert len(problems) <= MOST_PROBLEMS
