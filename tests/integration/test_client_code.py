"""Client code that is generated from the API's document, at work with the API."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from lifecycle.api.routes import ROUTES

from local.config import REPOSITORY
from tests.support.api import ApiWorld, living
from tools.generate_openapi import TARGET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOOLS = REPOSITORY / ".venv-client" / "bin"
PROGRAM = REPOSITORY / "tests" / "integration" / "client_code" / "program.py"
CREDENTIALS = Credentials("AKIDEXAMPLE", "secret", "token")
REGION = "eu-central-1"
STAGE = "/v1"


class Server(HTTPServer):
    """One thread, as one environment of the function."""

    api: ApiWorld


class Gateway(BaseHTTPRequestHandler):
    """Checks the signature and finds the route, as API Gateway does, and asks the function."""

    server: Server
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        if not signed(self.command, self.path, headers, body) or not url.path.startswith(STAGE):
            refusal = {"type": "about:blank", "title": "Forbidden", "status": 403, "requestId": "r"}
            content = {"Content-Type": "application/problem+json"}
            return self.reply(403, content, json.dumps(refusal).encode())
        resource, path = found_route(self.command, url.path.removeprefix(STAGE))
        query = dict(parse_qsl(url.query))
        answer = self.server.api.ask(
            self.command,
            resource,
            raw_body=body.decode() or None,
            headers=headers,
            query=query or None,
            **path,
        )
        return self.reply(answer.status, answer.headers, answer.text.encode())

    do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - as BaseHTTPRequestHandler has it

    def reply(self, status: int, headers: Any, body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


def signed(method: str, path: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether the signature is that of the request with the known secret.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    given = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/(.+), SignedHeaders=(.+), Signature=(\w+)",
        headers.get("authorization", ""),
    )
    if given is None:
        return False
    names = given[2].split(";")
    request = AWSRequest(method, f"http://{headers['host']}{path}", data=body)
    for name in names:
        request.headers[name] = headers[name]
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(CREDENTIALS, "execute-api", REGION)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    return (
        {"host", "x-amz-date"} <= set(names)
        and given[1] == auth.credential_scope(request)
        and given[3] == auth.signature(text, request)
    )


def found_route(method: str, path: str) -> tuple[str, dict[str, str]]:
    """The route of a request and the variables in its path; a fixed path before one with a name."""
    for route in sorted(ROUTES, key=lambda one: one.resource.count("{")):
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.resource)
        match = re.fullmatch(pattern, path)
        if match and route.method == method:
            return route.resource, {name: unquote(text) for name, text in match.groupdict().items()}
    raise AssertionError(f"no such route: {method} {path}")


@contextmanager
def serving(api: ApiWorld) -> Iterator[str]:
    server = Server(("127.0.0.1", 0), Gateway)
    server.api = api
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{STAGE}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(*command: str | Path, **environment: str) -> str:
    """Run a program of the generator's environment and return what it writes."""
    done = subprocess.run(  # noqa: S603 - our own environment's programs
        [TOOLS / command[0], *command[1:]],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"PATH": f"{TOOLS}:{os.environ['PATH']}", "HOME": os.environ["HOME"], **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package ``camunda_client``; a warning of the generator is an error."""
    assert TOOLS.is_dir(), "run: make client"
    folder = tmp_path_factory.mktemp("client")
    target = folder / "camunda_client"
    settings = ("--meta", "none", "--fail-on-warning")
    run("openapi-python-client", "generate", "--path", TARGET, "--output-path", target, *settings)
    return folder


def test_every_operation_has_a_function_with_types(generated: Path) -> None:
    modules = (generated / "camunda_client" / "api").glob("*/*.py")
    sources = {path.stem: path.read_text() for path in modules}
    names = {re.sub(r"(?<!^)([A-Z])", r"_\1", route.name).lower() for route in ROUTES}
    assert names <= sources.keys()
    assert {name for name in names if re.search(r"body:[^=]*\bAny\b", sources[name])} == set()


def test_a_program_with_the_generated_client_is_well_typed(generated: Path) -> None:
    cache = ("--cache-dir", TOOLS.parent / "mypy-cache")
    # botocore brings no types.
    settings = ("--config-file=", "--strict", "--disable-error-code", "import-untyped")
    run("python", "-m", "mypy", *settings, *cache, PROGRAM, **at(generated))


def test_it_reads_and_changes_and_understands_refusals(generated: Path) -> None:
    api = ApiWorld()
    living(api)
    with serving(api) as url:
        told = json.loads(run("python", PROGRAM, url, **at(generated)))
    assert told["cluster"][0] == "demo"
    assert told["cluster"][2] is None
    status, error, errors = told["refused"]
    assert (status, error) == (400, "InvalidRequest")
    assert [(field, given) for field, given, _ in errors] == [("count", "0")]
    assert told["scaled"] == "demo.scale.four"
    assert told["made"] == "other.provision.made"
    started = [execution.input for execution in api.world.executions.executions.values()]
    scaled, made = (json.loads(text) for text in started)
    assert scaled == {"clusterName": "demo", "count": 4}
    assert made["clusterName"] == "other"
    # Nothing else: an omitted parameter keeps its present value.
    assert made["parameters"] == {"Brokers": 5, "ContinuousBackup": True}


def test_the_stand_in_of_api_gateway_rejects_another_signature(generated: Path) -> None:
    """So that the other case shows that the program signs as AWS requires."""
    api = ApiWorld()
    living(api)
    given = at(generated) | {"AWS_SECRET_ACCESS_KEY": "another"}
    with serving(api) as url, pytest.raises(AssertionError, match="403"):
        run("python", PROGRAM, url, **given)
    assert api.world.executions.executions == {}


def at(generated: Path) -> dict[str, str]:
    """Variables of a program that finds the package and the caller's credentials."""
    return {
        "PYTHONPATH": str(generated),
        "MYPYPATH": str(generated),
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": CREDENTIALS.access_key,
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS.secret_key,
        "AWS_SESSION_TOKEN": str(CREDENTIALS.token),
    }
