"""What the stand-in for connectors decides."""

from __future__ import annotations

from typing import Any

import pytest

from local.connectors.decisions import (
    Answer,
    LoginError,
    NotPerformedError,
    authorization,
    client_credentials,
    health,
    is_available,
    outcome,
    references,
    rest_address,
    token,
)

pytestmark = pytest.mark.unit

HEALTHY = {"brokers": [{"partitions": [{"health": "unhealthy"}, {"health": "healthy"}]}]}
SICK = {"brokers": [{"partitions": [{"health": "unhealthy"}]}, {"partitions": []}]}


def job(variables: dict[str, Any], **headers: str) -> dict[str, Any]:
    return {"variables": variables, "customHeaders": headers}


@pytest.mark.parametrize(
    ("topology", "code", "details"),
    [
        (Answer(HEALTHY), 200, {"numBrokers": 1, "anyPartitionHealthy": True}),
        (Answer(SICK), 503, {"numBrokers": 2, "anyPartitionHealthy": False}),
        (Answer({"brokers": []}), 503, {"numBrokers": 0, "anyPartitionHealthy": False}),
        (Answer(problem="a:8080 answers 401"), 503, {"error": "a:8080 answers 401"}),
    ],
    ids=["whole", "no healthy partition", "no broker", "no answer"],
)
def test_readiness_is_what_the_topology_says(
    topology: Answer, code: int, details: dict[str, Any]
) -> None:
    status = "UP" if code == 200 else "DOWN"
    component = {"status": status, "details": details}
    body = {"status": status, "components": {"zeebeClient": component}}
    assert health(topology) == (code, body)


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"url": "https://example.com", "body": {"secret": "s"}}, []),
        ({"url": "https://{{secrets.HOST}}/{{ secrets.PATH }}"}, ["HOST", "PATH"]),
        ({"headers": {"Authorization": "Bearer secrets.TOKEN"}}, ["TOKEN"]),
        ({"body": [{"{{secrets.KEY}}": 1}, "secrets.a-b.c, secrets.KEY."]}, ["KEY", "a-b.c"]),
        # The name within braces may be longer than one without.
        ({"body": "{{secrets.LONG:NAME}}"}, ["LONG:NAME"]),
        ({"body": "{{secrets.}} secrets. {secrets.ONE}"}, ["ONE"]),
    ],
)
def test_secrets_are_referred_to_with_braces_and_without(
    variables: dict[str, Any], names: list[str]
) -> None:
    assert references(variables) == names


@pytest.mark.parametrize(
    ("secret", "available"),
    [("TOKEN", True), ("token", True), ("my.api-key", True), ("my-api-key", True),
     ("SECRET_TOKEN", False), ("PATH", False), ("other", False)],
)  # fmt: skip
def test_a_secret_is_a_variable_with_the_prefix(secret: str, available: bool) -> None:
    assert is_available(secret, {"SECRET_TOKEN", "SECRET_MY_API_KEY", "PATH"}) == available


def test_a_job_is_completed_with_the_names_of_its_secrets() -> None:
    used = {"url": "{{secrets.HOST}}", "headers": {"x": "{{secrets.TOKEN}}"}}
    names = {"SECRET_HOST", "SECRET_TOKEN", "SECRET_OTHER"}
    result = {"standIn": True, "secrets": ["HOST", "TOKEN"]}
    completed = outcome(job(used), names)
    assert (completed.verb, completed.body) == ("completion", {"variables": result})
    named = outcome(job(used, resultVariable="answer"), names)
    assert named.body == {"variables": {"answer": result}}


def test_a_job_with_an_unknown_secret_fails_for_good() -> None:
    failed = outcome(job({"a": "{{secrets.HOST}} {{secrets.NONE}}"}), {"SECRET_HOST", "NONE"})
    message = "Secret with name 'NONE' is not available"
    assert (failed.verb, failed.body) == ("failure", {"retries": 0, "errorMessage": message})
    assert str(failed) == f"failed: {message}"


@pytest.mark.parametrize("header", ["resultExpression", "errorExpression"])
def test_what_is_not_evaluated_fails_the_job(header: str) -> None:
    failed = outcome(job({}, **{header: "={a: 1}"}), set())
    assert failed.verb == "failure"
    assert header in failed.body["errorMessage"]


def test_it_logs_in_with_a_password_or_not_at_all() -> None:
    user = {
        "CAMUNDA_CLIENT_AUTH_USERNAME": "connectors",
        "CAMUNDA_CLIENT_AUTH_PASSWORD": "secret",
    }
    method = "CAMUNDA_CLIENT_AUTH_METHOD"
    assert authorization(user) == authorization(user | {method: "basic"})
    assert authorization(user | {method: "basic"}) == "Basic Y29ubmVjdG9yczpzZWNyZXQ="
    assert authorization(user | {method: "none"}) == authorization({}) == ""
    assert authorization(user | {method: "oidc"}) == ""
    with pytest.raises(NotPerformedError, match="AUTH_METHOD=saml"):
        authorization({method: "saml"})


OIDC = {
    "CAMUNDA_CLIENT_AUTH_METHOD": "oidc",
    "CAMUNDA_CLIENT_AUTH_CLIENTID": "connectors",
    "CAMUNDA_CLIENT_AUTH_CLIENTSECRET": "hush",
    "CAMUNDA_CLIENT_AUTH_TOKENURL": "https://issuer/token",
}


def test_the_form_for_a_token_is_that_of_camundas_client() -> None:
    assert client_credentials({}) is None
    found = client_credentials(OIDC | {"CAMUNDA_CLIENT_AUTH_SCOPE": "a b"})
    assert found is not None
    assert found.form == {
        "grant_type": "client_credentials",
        "client_id": "connectors",
        "client_secret": "hush",
        "scope": "a b",
    }
    assert "hush" not in repr(found)
    for name in OIDC:
        if not name.endswith("METHOD"):
            with pytest.raises(NotPerformedError, match=f"{name} is not set"):
                client_credentials(OIDC | {name: ""})
    with pytest.raises(NotPerformedError, match="allowed is https"):
        client_credentials(OIDC | {"CAMUNDA_CLIENT_AUTH_TOKENURL": "http://issuer/token"})


def test_a_token_is_renewed_before_it_ends() -> None:
    found = token(200, {"access_token": "t", "expires_in": 300}, 1000)
    assert (found.is_valid(1269), found.is_valid(1270)) == (True, False)
    assert not token(200, {"access_token": "t"}, 1000).is_valid(1000)


def test_without_a_token_there_is_the_issuers_reason() -> None:
    answer = {"error": "invalid_client", "error_description": "unknown client"}
    with pytest.raises(LoginError, match="401, invalid_client: unknown client"):
        token(401, answer, 0)
    with pytest.raises(LoginError, match=r"answers 200$"):
        token(200, {}, 0)


def test_the_address_is_that_of_the_task_definition() -> None:
    assert rest_address({}) == "http://orchestration-cluster-rest:8080"
    assert rest_address({"CAMUNDA_CLIENT_RESTADDRESS": "http://a:1"}) == "http://a:1"
    with pytest.raises(NotPerformedError, match="only http"):
        rest_address({"CAMUNDA_CLIENT_REST_ADDRESS": "https://a"})
