"""Client code that is generated from the API's document, at work with the API."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from lifecycle.api.routes import ROUTES

from local.config import REPOSITORY
from tests.support.api import ApiWorld, living
from tests.support.gateway import CREDENTIALS, REGION, serving
from tools.generate_openapi import TARGET

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = REPOSITORY / ".venv-client" / "bin"
PROGRAM = REPOSITORY / "tests" / "integration" / "client_code" / "program.py"


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
    with serving(api) as upstream:
        told = json.loads(run("python", PROGRAM, upstream.url, **at(generated)))
    assert told["cluster"][0] == "demo"
    assert told["cluster"][2] is None
    status, error, errors = told["refused"]
    assert (status, error) == (400, "InvalidRequest")
    assert [(field, given) for field, given, _ in errors] == [("count", "0")]
    assert told["scaled"] == "demo.scale.four"
    assert told["made"] == "other.provision.made"
    started = [execution.input for execution in api.world.executions.executions.values()]
    scaled, made = (json.loads(text) for text in started)
    assert scaled == {"clusterName": "demo", "count": 4, "acceptNoBackup": False}
    assert made["clusterName"] == "other"
    # Nothing else: an omitted parameter keeps its present value.
    assert made["parameters"] == {"Brokers": 5, "ContinuousBackup": True}


def test_the_stand_in_of_api_gateway_rejects_another_signature(generated: Path) -> None:
    """So that the other case shows that the program signs as AWS requires."""
    api = ApiWorld()
    living(api)
    given = at(generated) | {"AWS_SECRET_ACCESS_KEY": "another"}
    with serving(api) as upstream, pytest.raises(AssertionError, match="403"):
        run("python", PROGRAM, upstream.url, **given)
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
