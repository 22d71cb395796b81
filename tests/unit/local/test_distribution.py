"""PostgreSQL: the packaged server, else an installed one, else words that help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.postgres import distribution as module
from local.postgres.distribution import NoPostgresError, distribution

if TYPE_CHECKING:
    from pathlib import Path


def server(directory: Path, script: str) -> Path:
    program = directory / "bin" / "postgres"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return directory


def offered(monkeypatch: pytest.MonkeyPatch, packaged: list[Path], installed: list[Path]) -> None:
    monkeypatch.setattr(module, "packaged", lambda: packaged)
    monkeypatch.setattr(module, "installed", lambda: installed)


RUNS = 'echo "postgres (PostgreSQL) 17.9 (Debian 17.9-1)"'


def test_the_packaged_server_runs_here() -> None:
    (directory,) = module.packaged()
    assert distribution() == directory


def test_an_installed_server_is_the_fall_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = server(tmp_path / "a", "echo 'libfoo.so.1: cannot open shared object' >&2; exit 127")
    old = server(tmp_path / "b", 'echo "postgres (PostgreSQL) 15.18"')
    good = server(tmp_path / "c", RUNS)
    offered(monkeypatch, [broken], [old, good])
    assert distribution() == good


@pytest.mark.parametrize("packaged", [True, False])
def test_without_any_the_message_names_what_was_found_and_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, packaged: bool
) -> None:
    broken = server(tmp_path / "a", "echo 'libfoo.so.1: cannot open shared object' >&2; exit 127")
    offered(monkeypatch, [broken] if packaged else [], [])
    with pytest.raises(NoPostgresError) as refused:
        distribution()
    assert "apt-get install postgresql" in str(refused.value)
    assert ("libfoo.so.1" in str(refused.value)) == packaged


def test_a_server_that_is_not_there_is_no_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offered(monkeypatch, [tmp_path / "nowhere"], [])
    with pytest.raises(NoPostgresError, match="No such file"):
        distribution()
