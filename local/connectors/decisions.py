"""Decisions of the stand-in for connectors, without I/O.

Names, texts and rules are those of camunda/connectors, as in 8.9 where that is known:
`ZeebeHealthIndicator`, `bundle/default-bundle/…/application.properties`, `HttpJsonFunction`,
`SecretUtil`, `SecretHandler`, `EnvironmentSecretProvider`, `OutboundConnectorExceptionHandler`,
`ConnectorsAutoConfiguration` (8eda0e9).
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

type Json = dict[str, Any]

JOB_TYPE = "io.camunda:http-json:1"
INPUTS = (
    "url", "method", "authentication", "headers", "queryParameters", "skipEncoding",
    "connectionTimeoutInSeconds", "readTimeoutInSeconds", "writeTimeoutInSeconds", "body",
    "storeResponse", "groupSetCookieHeaders",
)  # fmt: skip
"""The variables that the connector reads; it does not see others, nor secrets in them."""
SECRET_PREFIX = "SECRET_"  # noqa: S105
"""`{{secrets.NAME}}` is the variable `SECRET_NAME`; no other variable can be reached."""

# The names of 8.9, 8.8 and of the Spring client before them.
_ADDRESSES = ("CAMUNDA_CLIENT_RESTADDRESS", "CAMUNDA_CLIENT_REST_ADDRESS")
_BRACED = re.compile(r"\{\{\s*secrets\.([^\s{}]+)\s*\}\}")
_BARE = re.compile(r"secrets\.([A-Za-z0-9]+(?:[/._-][A-Za-z0-9]+)*)")
_EXPRESSIONS = ("resultExpression", "errorExpression")
_LONGEST_MESSAGE = 6000
_AUTH = "CAMUNDA_CLIENT_AUTH_"
# EXPIRY_GRACE_PERIOD of Camunda's client for Java.
_GRACE_SECONDS = 30.0


class NotPerformedError(Exception):
    """The task definition needs something that the stand-in does not do."""


class LoginError(Exception):
    """There is no token; the message has the reason and no secret."""


@dataclass(frozen=True)
class Answer:
    """An answer of the orchestration cluster; `problem` is the reason without a usable one."""

    content: Json = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a job ends: the last part of the path to send it to, and what to send."""

    verb: str
    body: Json

    def __str__(self) -> str:
        message = self.body.get("errorMessage")
        return f"failed: {message}" if message else "completed"


def rest_address(environment: Mapping[str, str]) -> str:
    """Where the orchestration cluster's REST API is. Raises NotPerformedError."""
    named = [environment[name] for name in _ADDRESSES if environment.get(name)]
    address = (named or ["http://orchestration-cluster-rest:8080"])[0]
    if urlsplit(address).scheme != "http":
        raise NotPerformedError(f"{_ADDRESSES[0]}={address}: only http is spoken")
    return address


@dataclass(frozen=True)
class ClientCredentials:
    """How a client gets its tokens: the token endpoint, and the form that it takes."""

    token_url: str
    form: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Token:
    """An access token and when it ends, in seconds since the epoch."""

    access: str = field(repr=False)
    expires: float

    def is_valid(self, now: float) -> bool:
        """Whether it is still used: not in the last 30 seconds of its life."""
        return now < self.expires - _GRACE_SECONDS


def client_credentials(environment: Mapping[str, str]) -> ClientCredentials | None:
    """Read how the client gets tokens; None without `oidc`. Raises NotPerformedError.

    The form is that of `OAuthCredentialsProvider` of Camunda's client for Java.
    """
    if environment.get("CAMUNDA_CLIENT_AUTH_METHOD") != "oidc":
        return None
    needed = {part: environment.get(f"{_AUTH}{part}", "") for part in ("CLIENTID", "CLIENTSECRET")}
    token_url = environment.get(f"{_AUTH}TOKENURL", "")
    for part, value in {**needed, "TOKENURL": token_url}.items():
        if not value:
            raise NotPerformedError(f"{_AUTH}{part} is not set; METHOD=oidc needs it")
    if urlsplit(token_url).scheme != "https":
        raise NotPerformedError(f"{_AUTH}TOKENURL={token_url}: allowed is https")
    form = {
        "grant_type": "client_credentials",
        "client_id": needed["CLIENTID"],
        "client_secret": needed["CLIENTSECRET"],
    }
    for part in ("AUDIENCE", "SCOPE"):
        if given := environment.get(f"{_AUTH}{part}"):
            form[part.lower()] = given
    return ClientCredentials(token_url, form)


def token(status: int, document: Json, now: float) -> Token:
    """Read the answer of a token endpoint. Raises LoginError with the issuer's reason."""
    access = document.get("access_token")
    if status == 200 and isinstance(access, str):
        # Without a lifetime it is used once.
        return Token(access, now + float(document.get("expires_in", 0)))
    reason = ": ".join(
        str(document[one]) for one in ("error", "error_description") if document.get(one)
    )
    raise LoginError(f"the token endpoint answers {status}{f', {reason}' if reason else ''}")


def authorization(environment: Mapping[str, str]) -> str:
    """The header that logs in; empty without a user, and with tokens. Raises NotPerformedError."""
    method = environment.get("CAMUNDA_CLIENT_AUTH_METHOD") or "basic"
    if method not in {"basic", "none", "oidc"}:
        raise NotPerformedError(
            f"CAMUNDA_CLIENT_AUTH_METHOD={method}: only basic and oidc are performed"
        )
    user = environment.get("CAMUNDA_CLIENT_AUTH_USERNAME")
    if method != "basic" or not user:
        return ""
    pair = f"{user}:{environment.get('CAMUNDA_CLIENT_AUTH_PASSWORD', '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def health(topology: Answer) -> tuple[int, Json]:
    """Status code and body of readiness, by the last answer to a request for the topology.

    Up with at least one broker and one healthy partition, as `zeebeClient` is; else DOWN, and 503.
    `processDefinitionImport`, the other of the group, is left out: nothing is imported.
    """
    brokers = topology.content.get("brokers", [])
    partitions = [one for broker in brokers for one in broker["partitions"]]
    healthy = any(one["health"] == "healthy" for one in partitions)
    details: Json = (
        {"error": topology.problem}
        if topology.problem
        else {"numBrokers": len(brokers), "anyPartitionHealthy": healthy}
    )
    status = "UP" if healthy else "DOWN"
    component = {"status": status, "details": details}
    body = {"status": status, "components": {"zeebeClient": component}}
    return 200 if status == "UP" else 503, body


def references(variables: Json) -> list[str]:
    """Names of the secrets that variables refer to: `{{secrets.NAME}}`, then `secrets.NAME`."""
    text = json.dumps(variables, ensure_ascii=False)
    return list(dict.fromkeys(_BRACED.findall(text) + _BARE.findall(_BRACED.sub("", text))))


def is_available(secret: str, variables: Collection[str]) -> bool:
    """Whether one of these environment variables is a secret of that name.

    Spring also finds it in capitals, and with `_` for what a variable's name cannot have
    (`SystemEnvironmentPropertySource`).
    """
    name = f"{SECRET_PREFIX}{secret}"
    plain = {name, name.replace(".", "_"), name.replace("-", "_"), re.sub(r"[.-]", "_", name)}
    return any(one in variables or one.upper() in variables for one in plain)


def outcome(job: Json, variables: Collection[str]) -> Outcome:
    """Decide how a job of the REST connector ends; `variables` are the names of secret ones.

    No request is made: the result names who completed the job, and which secrets it would have
    used, by name. A missing one fails the job for good (`ConnectorInputException`: no retries).
    """
    names = references(job["variables"])
    for name in names:
        if not is_available(name, variables):
            return _failure(f"Secret with name '{name}' is not available")
    headers = job["customHeaders"]
    for expression in _EXPRESSIONS:
        if headers.get(expression):
            return _failure(f"The stand-in for connectors does not evaluate {expression}")
    result: Json = {"standIn": True, "secrets": names}
    variable = headers.get("resultVariable")
    return Outcome("completion", {"variables": {variable: result} if variable else result})


def _failure(message: str) -> Outcome:
    return Outcome("failure", {"retries": 0, "errorMessage": message[:_LONGEST_MESSAGE]})
