"""What a database can be brought back from: a base, and all WAL that was written after it.

The base is a copy of the data directory while no server runs on it, so that it is consistent by
itself. PostgreSQL's archiver adds WAL to it; segments that are there are never changed, so that a
second archive shares the files of the first one until one of the two is deleted.

https://www.postgresql.org/docs/17/continuous-archiving.html
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

# Of segments and histories of timelines; what the archiver is writing yet is named otherwise.
_ARCHIVED: Final = re.compile(r"[0-9A-F]{24}|[0-9A-F]{8}\.history")

COMMAND: Final = "cp %p ../archive/wal/%f.part && mv ../archive/wal/%f.part ../archive/wal/%f"
"""PostgreSQL's `archive_command`, run in the data directory, which lies beside the archive."""


@dataclass(frozen=True)
class Archive:
    """One directory with a base and its WAL; its files belong to the server's user."""

    directory: Path

    @property
    def base(self) -> Path:
        """Data directory of a server that was shut down."""
        return self.directory / "base"

    @property
    def wal(self) -> Path:
        """Where segments are archived."""
        return self.directory / "wal"

    @property
    def restore_command(self) -> str:
        """PostgreSQL's `restore_command` for a server that is brought forward from the base."""
        return f"cp '{self.wal}/%f' %p"

    def begin(self, data: Path, user: tuple[int, int] | None) -> None:
        """Begin anew from `data`, on which no server runs; what was there before is deleted."""
        self.remove()
        self.directory.mkdir(mode=0o700)
        self.wal.mkdir(mode=0o700)
        copy_tree(data, self.base)
        _give(user, self.directory, self.wal)

    def capture(self, target: Path, data: Path, user: tuple[int, int] | None) -> Archive:
        """Give a second archive in `target` of everything that is on disk now.

        `data` is the server's, with the segments that are not archived yet; it may run.
        """
        found = Archive(target)
        target.mkdir(mode=0o700)
        found.wal.mkdir(mode=0o700)
        copy_tree(self.base, found.base, linked=True)
        # Before the archive, into which they move.
        for segment in _segments(data / "pg_wal"):
            copy = found.wal / segment.name
            try:
                shutil.copyfile(segment, copy)
            except FileNotFoundError:
                copy.unlink(missing_ok=True)
            else:
                _give(user, copy)
        for segment in _segments(self.wal):
            copy = found.wal / segment.name
            copy.unlink(missing_ok=True)
            os.link(segment, copy)
        _give(user, target, found.wal)
        return found

    def remove(self) -> None:
        """Delete it."""
        shutil.rmtree(self.directory, ignore_errors=True)


def copy_tree(source: Path, target: Path, *, linked: bool = False) -> None:
    """Copy with owners and modes; `linked` files are shared, so neither copy may be changed."""
    how = "-al" if linked else "-a"
    subprocess.run(["/bin/cp", how, str(source), str(target)], check=True, capture_output=True)


def _segments(directory: Path) -> list[Path]:
    return [one for one in sorted(directory.iterdir()) if _ARCHIVED.fullmatch(one.name)]


def _give(user: tuple[int, int] | None, *paths: Path) -> None:
    if user:
        for path in paths:
            os.chown(path, *user)
