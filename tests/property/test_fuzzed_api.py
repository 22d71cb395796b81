"""Requests generated from the OpenAPI document, valid ones and others: no answer is a 5xx.

The budget is fixed and the seeds are kept, so that a failure is met again. What is generated is
what a client makes of the document; `test_hostile_requests.py` has what no client would.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from lifecycle.api.routes import ROUTES
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.names import tags
from lifecycle.cluster.stack import Stack
from lifecycle.operation.record import Execution
from schemathesis import GenerationMode, openapi
from schemathesis.core import NOT_SET

from tests.support.api import CALLER, DOCUMENT, Answer, ApiWorld, as_documented
from tests.support.world import CONTROL, OUTPUTS

if TYPE_CHECKING:
    from schemathesis import Case

pytestmark = pytest.mark.property

# Of each operation and mode; all together take less than half a minute.
EXAMPLES: Final = 30
SCHEMA: Final = openapi.from_dict(DOCUMENT)


def _has_input(method: str, resource: str) -> bool:
    """Whether a request of the operation can be wrong at all."""
    item = DOCUMENT["paths"][resource]
    described = item[method.lower()]
    return bool(
        described.get("requestBody") or described.get("parameters") or item.get("parameters")
    )


CASES: Final = [
    pytest.param(route.method, route.resource, mode, id=f"{route.name}-{mode.value}")
    for route in sorted(ROUTES, key=lambda one: one.name)
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or _has_input(route.method, route.resource)
]


def world() -> ApiWorld:
    """An API in front of the cluster `demo`, which exists; no other does."""
    api = ApiWorld()
    api.world.stacks.stacks[f"{CONTROL}-demo"] = Stack(
        f"{CONTROL}-demo",
        "arn:stack/demo",
        "CREATE_COMPLETE",
        outputs=ClusterOutputs(OUTPUTS),
        tags=tags(CONTROL, "demo"),
    )
    api.checks.result = Execution("arn:x", "FAILED", "", error="ClusterNotFound")
    return api


def event(case: Case[Any], *, known: bool) -> dict[str, Any]:
    """A generated request as API Gateway gives it to the function; ``known``: of `demo`."""
    path = {name: str(value) for name, value in (case.path_parameters or {}).items()}
    if known and "name" in path:
        path["name"] = "demo"
    headers = {name: str(value) for name, value in (case.headers or {}).items()}
    if case.media_type and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = case.media_type
    query = {name: str(value) for name, value in (case.query or {}).items()}
    body = None if case.body is NOT_SET else case.body
    if isinstance(body, bytes):
        body = body.decode(errors="replace")
    elif body is not None:
        body = json.dumps(body)
    return {
        "httpMethod": case.method.upper(),
        "resource": case.path,
        "pathParameters": path or None,
        "queryStringParameters": query or None,
        "headers": headers or None,
        "body": body,
        "isBase64Encoded": False,
        "requestContext": {
            "requestId": "r-1",
            "identity": {"userArn": CALLER},
            "path": f"/v1{case.path}",
        },
    }


@pytest.mark.parametrize(("method", "resource", "mode"), CASES)
def test_no_request_of_the_document_makes_the_api_fail(
    method: str, resource: str, mode: GenerationMode
) -> None:
    operation = SCHEMA[resource][method]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers(case: Case[Any]) -> None:
        for known in (True, False):
            answer = world().api.answer(event(case, known=known))
            assert answer["statusCode"] < 500, answer["body"][:500]
            headers = {key.lower(): value for key, value in answer["headers"].items()}
            is_json = "json" in headers["content-type"]
            document = json.loads(answer["body"]) if is_json else {}
            told = Answer(answer["statusCode"], headers, document, answer["body"])
            as_documented(method, resource, told)

    answers()
