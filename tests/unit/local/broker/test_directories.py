"""A node's directories: copied from version to version, whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local.broker.directories import MARKER, prepare

pytestmark = pytest.mark.unit


def written(directory: Path, text: str) -> None:
    (directory / "raft").mkdir(exist_ok=True)
    (directory / "raft" / "journal").write_text(text)


def test_each_version_begins_with_what_the_one_before_had(tmp_path: Path) -> None:
    first = prepare(tmp_path, 2, 1)
    assert first == tmp_path / "node-2" / "v1"
    written(first, "one")

    second = prepare(tmp_path, 2, 2)

    assert (second / "raft" / "journal").read_text() == "one"
    written(second, "two")
    assert (first / "raft" / "journal").read_text() == "one", "the older one is left as it was"


def test_only_the_newest_are_retained(tmp_path: Path) -> None:
    for version in range(1, 6):
        written(prepare(tmp_path, 0, version), str(version))
    assert {one.name for one in (tmp_path / "node-0").iterdir()} == {"v4", "v5"}


def test_a_copy_that_broke_off_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(prepare(tmp_path, 0, 1), "one")

    def broken(source: Path, target: Path, **_: object) -> None:
        target.mkdir()
        (target / "half").write_text("")
        raise OSError("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copytree", broken)
        with pytest.raises(OSError, match="the disk is gone"):
            prepare(tmp_path, 0, 2)
    assert not (tmp_path / "node-0" / "v2" / MARKER).exists()

    again = prepare(tmp_path, 0, 2)
    assert not (again / "half").exists()
    assert (again / "raft" / "journal").read_text() == "one"


def test_an_invalid_directory_is_no_source_and_is_removed(tmp_path: Path) -> None:
    written(prepare(tmp_path, 0, 1), "one")
    invalid = tmp_path / "node-0" / "v2"
    invalid.mkdir()
    written(invalid, "half of it")

    third = prepare(tmp_path, 0, 3)

    assert (third / "raft" / "journal").read_text() == "one"
    assert not invalid.exists()


def test_a_version_is_prepared_once(tmp_path: Path) -> None:
    prepare(tmp_path, 0, 1)
    with pytest.raises(FileExistsError, match="not be initialized"):
        prepare(tmp_path, 0, 1)
