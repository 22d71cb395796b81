"""One release: the code, the package, the control plane's output, logs, requests and reports."""

from __future__ import annotations

import io
import json
import re
import tomllib
from typing import TYPE_CHECKING

import pytest
from lifecycle import __version__, observability
from lifecycle.adapters.aws import session

from local.config import REPOSITORY
from tests.support.world import World, operation
from tools.generate_parameters import load_template

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger


def test_each_place_that_names_the_release_names_the_same() -> None:
    package = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    control = load_template(REPOSITORY / "template.yaml")
    assert package["project"]["version"] == __version__
    assert control["Outputs"]["Release"]["Value"] == __version__


def test_the_changelog_goes_up_to_the_release() -> None:
    headings = re.findall(r"^## (.+)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased" or headings[0].startswith(f"{__version__} - ")


def test_log_lines_name_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    logger: Logger = observability.logger
    monkeypatch.setattr(logger.registered_handler, "stream", written)
    logger.warning("a line")
    assert json.loads(written.getvalue())["release"] == __version__


def test_requests_to_aws_name_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    config = session.client("sts", attempts=1).meta.config
    assert config.user_agent_extra == f"camunda-ecs-lifecycle/{__version__}"


def test_the_report_of_an_operation_names_the_release() -> None:
    world = World()
    world.journal.begin(operation())
    report = world.finisher.succeed(operation(), request={}, outcome={})
    assert report["release"] == __version__
