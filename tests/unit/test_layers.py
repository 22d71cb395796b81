"""Rooms of the package: imports point downwards only, and decisions reach nothing outside."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers" / "lifecycle" / "lifecycle"
# Bottom up: each room may use those before it, and itself.
ROOMS = (
    *("errors", "times", "tables", "settings", "observability", "certificates"),
    *("pages", "camunda", "cluster", "services", "operation", "preflight", "verification"),
    *("provisioning", "restart", "rotation", "manage", "scaling", "teardown", "backup"),
    *("kept", "restore", "rehearsal", "plans", "health", "messages", "console"),
    *("adapters", "api", "wiring"),
)
# What reaches outside of the process, or reads a clock: adapters and wiring only.
OUTSIDE = {"boto3", "botocore", "psycopg", "socket", "ssl", "time", "subprocess", "urllib.request"}
# Gives each source of an answer its seconds; decides nothing.
WAITS = {"camunda.fan_out"}
CLOCKS = {"now", "utcnow", "today"}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def named(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def room(module: str) -> int:
    return ROOMS.index(module.split(".", maxsplit=1)[0])


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_the_table_of_rooms_names_every_room_in_their_order() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text.partition("| room | holds |")[2].partition("\n\n")[0]
    named_rooms = re.findall(r"`([a-z]+)(?:/[a-z]*)?`", table)
    assert list(dict.fromkeys(named_rooms)) == list(ROOMS)
    adapters = {
        one.name for one in (PACKAGE / "adapters").iterdir() if (one / "__init__.py").exists()
    }
    assert set(re.findall(r"`adapters/([a-z]+)`", table)) == adapters


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_imports_point_downwards_only(path: Path) -> None:
    mine = room(named(path))
    found = [one for one in imported(path) if one.startswith("lifecycle.")]
    ours = [one.removeprefix("lifecycle.") for one in found]
    assert [one for one in ours if room(one) > mine] == []


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if ROOMS.index("pages") <= room(named(path)) < room("adapters")],
    ids=named,
)
def test_rooms_below_the_adapters_reach_nothing_outside_and_read_no_clock(path: Path) -> None:
    allowed = {"time"} if named(path) in WAITS else set()
    outside = {
        one for one in imported(path) if any(f"{one}.".startswith(f"{root}.") for root in OUTSIDE)
    }
    assert outside <= allowed
    calls = [
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        # ``clock.now()`` is the port; ``datetime.now()`` is a clock of its own.
        if node.func.attr in CLOCKS and ast.unparse(node.func.value).endswith(("datetime", "date"))
    ]
    assert calls == []


def test_every_module_is_used_by_a_function() -> None:
    """What only tests use has no place in a layer."""
    found: set[str] = set()
    files = list((ROOT / "functions").glob("*/handler.py"))
    while files:
        path = files.pop()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lifecycle"):
                base = str(node.module)
                for one in (base, *(f"{base}.{alias.name}" for alias in node.names)):
                    module = PACKAGE / (one.removeprefix("lifecycle.").replace(".", "/") + ".py")
                    if module.exists() and one not in found:
                        found.add(one)
                        files.append(module)
    assert {f"lifecycle.{named(path)}" for path in MODULES} - found == set()
