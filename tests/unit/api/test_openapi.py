"""Document and template say what the route table says; every route is signed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from lifecycle.api.problems import STATUS
from lifecycle.api.routes import ROUTES, Route
from lifecycle.cluster.parameters import cluster_parameters
from openapi_spec_validator import validate

from tests.support.api import shut
from tests.support.sam import translated
from tools.generate_openapi import BODIES, TARGET, document, render, results, schemas
from tools.generate_parameters import ROOT, load_template
from tools.openapi_texts import TEXTS

if TYPE_CHECKING:
    from collections.abc import Iterator

ACTIONS = {"freezeCluster", "thawCluster", "cancelOperation", "resumeOperation"}
GATEWAY_VARIABLE = re.compile(r"\$context\.error\.messageString")


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return load_template(ROOT / "template.yaml")


@pytest.fixture(scope="module")
def api(template: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"]["Api"]["Properties"]
    return found


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    return translated()


def test_the_document_is_up_to_date() -> None:
    assert TARGET.read_text(encoding="utf-8") == render(), "run: make generate"


@pytest.mark.parametrize("name", sorted(schemas()))
def test_every_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(schemas()[name])


def test_the_document_is_valid() -> None:
    """https://spec.openapis.org/oas/v3.1.0"""
    validate(document())


@pytest.mark.parametrize("route", ROUTES, ids=lambda one: one.name)
def test_a_route_has_a_tag_a_description_examples_and_its_refusals(route: Route) -> None:
    described = document()["paths"][route.resource][route.method.lower()]
    tags = {tag["name"] for tag in document()["tags"]}
    assert set(described["tags"]) <= tags
    assert described["description"] != described["summary"]
    assert {"400", "403", "429", "default"} <= set(described["responses"])
    (status,) = [one for one in described["responses"] if one.startswith("2")]
    content = described["responses"][status]["content"]["application/json"]
    components = {"components": document()["components"]}
    Draft202012Validator(shut({**content["schema"], **components})).validate(content["example"])
    if "requestBody" in described:
        body = described["requestBody"]["content"]["application/json"]
        Draft202012Validator({**body["schema"], **components}).validate(body["example"])


def test_the_errors_of_the_routes_are_those_that_the_api_returns() -> None:
    named = {error for text in TEXTS.values() for error in text.errors}
    general = {"InvalidRequest", "MachineNotDeployed", "AwsUnavailable", "StartOutcomeUnknown"}
    assert named | general == set(STATUS)


def test_responses_may_grow_and_requests_are_closed() -> None:
    names = ("Operation", "Cluster", "Problem", *results())
    text = json.dumps({name: schemas()[name] for name in names})
    assert '"additionalProperties": false' not in text
    assert schemas()["ClusterParameters"]["additionalProperties"] is False


def test_a_client_sends_no_parameter_that_its_caller_did_not_give() -> None:
    """Generated clients send a ``default``; an omitted parameter keeps its present value."""
    declared = cluster_parameters()
    for name, schema in schemas()["ClusterParameters"]["properties"].items():
        assert "default" not in schema, name
        assert str(declared[name].get("default", "")) in schema["description"], name


def test_each_value_of_an_enum_or_constant_has_the_type_beside_it() -> None:
    """Generators of clients need it: they read neither values of several types nor of none."""
    kinds = {"string": str, "integer": int, "boolean": bool, "null": type(None)}
    for one in nested(document()):
        if "const" in one or isinstance(one.get("enum"), list):
            given = one["type"] if isinstance(one["type"], list) else [one["type"]]
            values = one.get("enum", [one.get("const")])
            assert {type(value) for value in values} == {kinds[kind] for kind in given}, one


def test_every_alternative_of_a_body_has_a_title_of_its_own() -> None:
    titles = [
        one.get("title")
        for body in BODIES.values()
        for one in (*body.get("oneOf", ()), *body.get("anyOf", ()))
    ]
    assert None not in titles
    assert len(set(titles)) == len(titles) > 10


def nested(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document."""
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else value:
        if isinstance(one, dict | list):
            yield from nested(one)


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(document())
    referred = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert referred <= set(schemas())


def test_the_template_has_exactly_these_routes(template: dict[str, Any]) -> None:
    events = template["Resources"]["ServeApi"]["Properties"]["Events"]
    found = {(e["Properties"]["Method"], e["Properties"]["Path"]): n for n, e in events.items()}
    expected = {(r.method, r.resource): r.name[0].upper() + r.name[1:] for r in ROUTES}
    assert found == expected


def test_reading_and_changing_differ_by_method_or_path() -> None:
    """So that IAM on the API's resources is the permission model."""
    changes = {route.name for route in ROUTES if route.verb} | ACTIONS
    assert {route.name for route in ROUTES if route.method != "GET"} == changes
    changing = [(route.method, route.resource) for route in ROUTES if route.name in changes]
    assert len(set(changing)) == len(changing)
    assert {route.verb for route in ROUTES if route.verb} == {
        "provision",
        "teardown",
        "scale",
        "restart",
        "rotate",
        "manage",
        "backup",
        "restore",
        "rehearse",
        "plan",
    }


def test_no_route_is_public_and_none_borrows_the_callers_rights(
    resources: dict[str, Any],
) -> None:
    (rest,) = [
        r["Properties"]["Body"]
        for r in resources.values()
        if r["Type"] == "AWS::ApiGateway::RestApi"
    ]
    methods = [
        method
        for path in rest["paths"].values()
        for verb, method in path.items()
        if verb != "parameters"
    ]
    assert len(methods) == len(ROUTES)
    for method in methods:
        assert method["security"] == [{"AWS_IAM": []}]
        assert "credentials" not in method["x-amazon-apigateway-integration"]
    scheme = rest["components"]["securitySchemes"]["AWS_IAM"]
    assert scheme["x-amazon-apigateway-authtype"] == "awsSigv4"


def test_there_is_one_stage_with_throttling_and_access_logs(resources: dict[str, Any]) -> None:
    (stage,) = [
        r["Properties"] for r in resources.values() if r["Type"] == "AWS::ApiGateway::Stage"
    ]
    setting, *_ = stage["MethodSettings"]
    assert (setting["ResourcePath"], setting["HttpMethod"]) == ("/*", "*")
    assert 0 < setting["ThrottlingRateLimit"] <= setting["ThrottlingBurstLimit"] <= 100
    line = json.loads(stage["AccessLogSetting"]["Format"])
    assert line["caller"] == "$context.identity.userArn"
    # The ARN of a session of an identity pool is the same for every user.
    assert line["user"] == "$context.identity.cognitoAuthenticationProvider"
    assert "\n" not in stage["AccessLogSetting"]["Format"]


def test_the_document_has_the_rate_of_every_route(resources: dict[str, Any]) -> None:
    (stage,) = [
        r["Properties"] for r in resources.values() if r["Type"] == "AWS::ApiGateway::Stage"
    ]
    every, *own = stage["MethodSettings"]
    rates = {
        (one["HttpMethod"], one["ResourcePath"][1:].replace("~1", "/")): (
            one["ThrottlingRateLimit"],
            one["ThrottlingBurstLimit"],
        )
        for one in own
    }
    text = (ROOT / "docs/api.md").read_text()
    (line,) = [
        one
        for one in text.splitlines()
        if "429" in one and "(API Gateway)" in one and "a second" in one
    ]
    whole = every["ThrottlingRateLimit"], every["ThrottlingBurstLimit"]
    assert whole == (20, 40)
    assert "more than 20 requests a second in all (bursts of 40)" in line
    changing = {f"{one.method} {one.resource}" for one in ROUTES if one.method != "GET"}
    assert {f"{verb} {path}" for verb, path in rates if verb != "GET"} == changing
    slow = {key: rate for key, rate in rates.items() if rate == (2, 5)}
    assert {key for key in slow if key[0] == "GET"} == {("GET", "/clusters/{name}/backups")}
    assert "2 (bursts of 5) for `GET` of a cluster's backups and for each route that is not" in line
    assert {path for (_, path), rate in rates.items() if rate == (5, 10)} == {
        "/clusters/{name}",
        "/clusters/{name}/health",
        "/kept/{name}",
        "/operations/{id}/report",
    }
    assert set(rates.values()) == {(2, 5), (5, 10)}
    assert "5 (bursts of 10) for `GET` of a cluster, its health, what one has left or the" in line


def test_what_api_gateway_refuses_itself_is_a_problem_document(api: dict[str, Any]) -> None:
    responses = api["GatewayResponses"]
    statuses = {kind: response.get("StatusCode") for kind, response in responses.items()}
    assert {403, 404, 413, 429, 504} <= set(statuses.values())
    assert {"DEFAULT_4XX", "DEFAULT_5XX"} <= set(statuses)
    problem = Draft202012Validator(schemas()["Problem"])
    for kind, response in responses.items():
        headers = response["ResponseParameters"]["Headers"]
        assert headers["Content-Type"] == "'application/problem+json'", kind
        text = response["ResponseTemplates"]["application/json"]
        filled = json.loads(GATEWAY_VARIABLE.sub('"why"', text))
        problem.validate(filled)
        assert filled.get("status") == statuses[kind]


def test_the_function_ends_before_api_gateway_answers_for_it(template: dict[str, Any]) -> None:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
    assert template["Resources"]["ServeApi"]["Properties"]["Timeout"] < 29
