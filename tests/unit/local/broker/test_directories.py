"""Directories of a node's versions: what is copied, what stays, and what a crash leaves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.broker import directories
from local.broker.directories import MARKER, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.unit


def versions(data: Path) -> set[str]:
    return {one.name for one in (data / "node-2").iterdir()}


def filled(data: Path, version: int, text: str) -> Path:
    directory = prepare(data, 2, version)
    (directory / "raft").mkdir(exist_ok=True)
    (directory / "raft" / "journal").write_text(text)
    return directory


def test_the_first_version_is_empty_and_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = prepare(tmp_path, 2, 1)

    assert directory == tmp_path / "node-2" / "v1"
    assert [one.name for one in directory.iterdir()] == [MARKER]
    marker = json.loads((directory / MARKER).read_text())
    assert (marker["version"], marker["initializedFrom"]) == (1, None)
    assert marker["initializedAt"] > 0
    assert "No valid previous version found for node 2, creating" in capsys.readouterr().out


def test_a_version_is_a_copy_of_the_newest_valid_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(tmp_path, 1, "one")
    two = filled(tmp_path, 2, "two")
    (two / "lock").write_text("held")
    (tmp_path / "node-2" / "v4").mkdir()
    (tmp_path / "node-2" / "v4" / "raft").mkdir()
    capsys.readouterr()
    five = prepare(tmp_path, 2, 5, skip=["lock"])

    assert (five / "raft" / "journal").read_text() == "two"
    assert not (five / "lock").exists()
    assert json.loads((five / MARKER).read_text())["initializedFrom"] == 2
    assert versions(tmp_path) == {"v2", "v5"}, "the invalid one and all but two are removed"
    assert capsys.readouterr().out == (
        f"Initializing data directory {five} by copying from {two}\n"
    )


def test_what_a_copy_does_to_the_new_version_leaves_the_old_one_alone(tmp_path: Path) -> None:
    one = filled(tmp_path, 1, "one")
    two = prepare(tmp_path, 2, 2)
    (two / "raft" / "journal").write_text("changed")

    assert (one / "raft" / "journal").read_text() == "one"


def test_a_version_that_was_used_before_is_refused(tmp_path: Path) -> None:
    filled(tmp_path, 1, "of a cluster before")

    with pytest.raises(FileExistsError, match=r"found valid init file in directory .*v1"):
        prepare(tmp_path, 2, 1)
    assert (tmp_path / "node-2" / "v1" / "raft" / "journal").exists()


def test_versions_that_are_higher_do_not_push_the_new_one_out(tmp_path: Path) -> None:
    filled(tmp_path, 7, "seven")
    filled(tmp_path, 8, "eight")
    filled(tmp_path, 1, "one")
    two = prepare(tmp_path, 2, 2)

    assert (two / "raft" / "journal").read_text() == "one"
    assert versions(tmp_path) == {"v2", "v7", "v8"}


@pytest.mark.parametrize("marker", ["", "{", '{"version": 9}', "[]"])
def test_a_marker_that_is_not_whole_or_of_another_version_does_not_count(
    tmp_path: Path, marker: str
) -> None:
    filled(tmp_path, 1, "one")
    filled(tmp_path, 2, "two")
    (tmp_path / "node-2" / "v2" / MARKER).write_text(marker)

    assert (prepare(tmp_path, 2, 3) / "raft" / "journal").read_text() == "one"


class Crash(BaseException):
    """The process is killed here."""


def crashing(original: Callable[..., Any], after: int) -> Callable[..., Any]:
    calls = iter(range(after + 1))

    def call(*args: Any, **kwargs: Any) -> Any:
        if next(calls, None) == after:
            raise Crash
        return original(*args, **kwargs)

    return call


STEPS: list[tuple[Any, str, int]] = [
    (shutil, "copyfile", 0),
    (shutil, "copyfile", 1),
    (shutil, "copystat", 0),
    (directories, "write_json", 0),
    (Path, "unlink", 0),
    (shutil, "rmtree", 0),
]


@pytest.mark.parametrize(("place", "name", "after"), STEPS)
def test_a_crash_at_any_step_is_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, after: int
) -> None:
    for version in (1, 2):
        directory = filled(tmp_path, version, "kept")
        for number in range(3):
            (directory / f"segment-{number}").write_text(str(number))
    with monkeypatch.context() as broken:
        broken.setattr(place, name, crashing(getattr(place, name), after))
        with pytest.raises(Crash):
            prepare(tmp_path, 2, 3)

    four = prepare(tmp_path, 2, 4)

    assert (four / "raft" / "journal").read_text() == "kept"
    assert {one.name for one in four.glob("segment-*")} == {f"segment-{n}" for n in range(3)}
    assert len(versions(tmp_path)) == 2
    assert all((tmp_path / "node-2" / one / MARKER).exists() for one in versions(tmp_path))


def test_a_copy_that_is_left_half_done_is_made_again(tmp_path: Path) -> None:
    filled(tmp_path, 1, "one")
    half = tmp_path / "node-2" / "v2"
    half.mkdir()
    (half / "garbage").write_text("half")

    two = prepare(tmp_path, 2, 2)
    assert not (two / "garbage").exists()
    assert (two / "raft" / "journal").read_text() == "one"


def test_a_copy_that_differs_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path, 1, "one")

    def truncated(_source: str, target: str, **_options: Any) -> None:
        Path(target).write_text("")

    monkeypatch.setattr(shutil, "copyfile", truncated)
    with pytest.raises(OSError, match="not the same"):
        prepare(tmp_path, 2, 2)
    assert not (tmp_path / "node-2" / "v2" / MARKER).exists()
