"""The emulator's private names are used in one module, and that module's tables are true."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from local.aws import emulator
from local.aws.emulator import EmulatorChangedError, Names

LOCAL = Path(emulator.__file__).resolve().parents[1]
TABLES = {name: table for name, table in vars(emulator).items() if isinstance(table, Names)}
PRIVATE = sorted((table, name) for table in TABLES for name in TABLES[table].private)


def sources() -> list[Path]:
    return [path for path in sorted(LOCAL.rglob("*.py")) if path.name != "emulator.py"]


@pytest.mark.parametrize(("table", "name"), PRIVATE)
def test_the_installed_emulator_has_the_name(table: str, name: str) -> None:
    assert hasattr(importlib.import_module(TABLES[table].module), f"_{name}")


@pytest.mark.parametrize(("table", "name"), PRIVATE)
def test_a_listed_name_is_used(table: str, name: str) -> None:
    aliases = rf"(?:{table}|engine)"
    used = re.compile(rf"\b{aliases}\.{name}\b")
    assert any(used.search(path.read_text()) for path in sources())


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(LOCAL)))
def test_nobody_else_imports_the_emulator(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not [name for name in names if name.split(".")[0] == "ministack"]


def test_replacing_what_is_not_there_is_refused() -> None:
    with pytest.raises(EmulatorChangedError, match="has no no_such_name"):
        TABLES["ecs"].no_such_name = None
