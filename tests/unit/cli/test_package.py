"""The package of the command line: its version, its imports, and what is generated of it."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import lifecycle
import pytest
from camunda_ecs import __version__
from camunda_ecs.app import app
from camunda_ecs.rights import ORDER, right
from typer.main import get_command
from typer.testing import CliRunner

from tests.support.command_line import DOCUMENT
from tools import generate_cli
from tools.generate_cli import ROOT

PACKAGE = ROOT / "cli" / "src" / "camunda_ecs"
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
ALLOWED = {"botocore", "camunda_ecs", "rich", "typer", "yaml", *sys.stdlib_module_names}


def test_the_version_is_the_release() -> None:
    assert __version__ == lifecycle.__version__
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.stdout) == (0, f"camunda-ecs {__version__}\n")


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_it_imports_what_its_wheel_requires_and_nothing_of_the_layers(path: Path) -> None:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
    assert found <= ALLOWED


def test_what_is_generated_is_that_of_the_code() -> None:
    text = generate_cli.VERSION.read_text()
    assert generate_cli.version(text) == text, "run `make generate`"
    assert generate_cli.version('__version__ = "0.0.1"') == f'__version__ = "{__version__}"'
    text = generate_cli.PAGE.read_text()
    assert generate_cli.page(text) == text, "run `make generate`"
    assert generate_cli.MANUAL.read_text() == generate_cli.manual(), "run `make generate`"
    assert generate_cli.RIGHTS.read_text() == generate_cli.rights(), "run `make generate`"
    assert generate_cli.SIZES.read_text() == generate_cli.sizes(), "run `make generate`"
    for path, text in generate_cli.prices().items():
        assert path.read_text() == text, "change it in the layer and run `make generate`"


def test_the_reference_and_the_manual_page_have_every_command() -> None:
    text, manual = generate_cli.reference(), generate_cli.manual()
    for name, one in COMMANDS.items():
        assert f"`camunda-ecs {name}`" in text
        assert f".SS {name}".replace("-", "\\-") in manual
        assert one.help, name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_its_target(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"])
    assert shown.exit_code == 0
    # This one sends nothing.
    assert ("--api-url" in shown.stdout) == (name != "cost")
    assert "--output" in shown.stdout


DOCUMENTS = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "cli" / "README.md"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_exist_with_their_options(path: Path) -> None:
    text = path.read_text().partition(generate_cli.BEGIN)[0]
    # Up to the end of the line, of inline code, of a pipe or of a comment.
    found = re.findall(r"(?<![\w/-])camunda-ecs ([^`\n|#;)]+)", text)
    for words in (line.split() for line in found if line[0] not in "{$"):
        if words[0].startswith("--"):
            assert words[0] in {"--help", "--version", "--install-completion"}, words
            continue
        assert words[0] in COMMANDS, words
        parameters = COMMANDS[words[0]].params
        known = {name for one in parameters for name in (*one.opts, *one.secondary_opts)}
        used = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
        assert used <= known | {"--help"}, words


def test_completion_is_typers_own() -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert "--install-completion" in shown.stdout
    assert "--show-completion" in shown.stdout


def test_every_route_is_in_a_ready_policy() -> None:
    for template, methods in DOCUMENT["paths"].items():
        path = template.replace("{name}", "demo").replace("{id}", "demo.scale.x")
        for method in methods:
            pattern, having = right(method.upper(), path)
            assert having, f"{method} {template}"
            assert having == list(ORDER)[ORDER.index(having[0]) :]
            assert pattern


def test_the_least_right_is_named() -> None:
    assert right("PUT", "/clusters/demo/brokers")[0] == "PUT/clusters/*/brokers"
    assert right("PUT", "/clusters/demo") == ("PUT/clusters/*", ["administrator"])
    assert right("PATCH", "/clusters") == ("PATCH/clusters", [])


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("health", "health --fresh --cluster two"),
        ("plan", "plan --brokers 4 --cluster two"),
        ("scale", "scale --brokers 4 --cluster two"),
    ],
)
def test_make_runs_the_command_for_the_cluster_that_it_is_given(verb: str, words: str) -> None:
    found = subprocess.run(  # noqa: S603 - nothing is run: -n prints
        ["make", "-n", verb, "CLUSTER=two", "N=4"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [one for one in found.stdout.splitlines() if "camunda-ecs" in one]
    assert " ".join(line.split()) == f".venv/bin/camunda-ecs {words}"


def test_the_requirements_of_the_wheel_are_pinned_for_this_repository() -> None:
    project = tomllib.loads((ROOT / "cli" / "pyproject.toml").read_text())["project"]
    names = {one.partition(">")[0] for one in project["dependencies"]}
    assert names == {"botocore", "pyyaml", "rich", "typer"}
    pinned = (ROOT / "requirements" / "local.txt").read_text()
    assert [name for name in names if f"\n{name}==" not in pinned] == []


def test_the_package_has_the_licence_of_the_repository() -> None:
    assert (ROOT / "cli" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_rights_are_data_of_the_package() -> None:
    assert set(json.loads(generate_cli.RIGHTS.read_text())) == set(ORDER)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("restart", "for a review by another principal"),
        ("rotate", "for a review by another principal"),
        ("open-management", "for a review by another principal"),
        ("restore", "Only show the plan. With --to or --backup another principal may review it."),
        ("rehearse", "Only show the plan."),
        ("delete-former-data", "Only list what would be deleted and what is kept."),
    ],
)
def test_a_dry_run_is_for_what_its_help_has(name: str, text: str) -> None:
    (option,) = [one for one in COMMANDS[name].params if one.name == "dry_run"]
    shown = str(option.help)
    assert text in shown
    assert ("review" in shown) == any(one.name == "approves" for one in COMMANDS[name].params)
