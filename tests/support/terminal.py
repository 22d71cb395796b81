"""A terminal in which commands are executed one after another, as a person types them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# What a command leaves for the next one: its variables, its functions and its directory.
_KEEP = """\
trap 'env -0 >"$__LEFT/environment"; declare -f >"$__LEFT/functions"; pwd >"$__LEFT/directory"' EXIT
if [ -f "$__LEFT/functions" ]; then . "$__LEFT/functions"; fi
"""
_OWN = frozenset({"__LEFT", "_", "SHLVL", "PWD", "OLDPWD"})


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and stdout and stderr as a terminal shows them."""

    command: str
    code: int
    output: str


class Terminal:
    """A directory and exported variables that commands find and change; ``files`` is its own."""

    def __init__(self, files: Path, directory: Path, environment: Mapping[str, str]) -> None:
        self._files = files
        files.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.environment = dict(environment)
        self.ended: list[Ended] = []

    def run(self, command: str, *, typed: str = "", seconds: float = 300) -> Ended:
        """Execute a command with ``bash -e``; ``typed`` is what a person answers.

        A command that takes longer than ``seconds`` is ended with its children.
        """
        process = subprocess.Popen(  # noqa: S603 - the commands of this repository's documents
            ["bash", "-e", "-o", "pipefail", "-c", _KEEP + command],  # noqa: S607
            cwd=self.directory,
            env={**self.environment, "__LEFT": str(self._files)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(typed, timeout=seconds)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            output = process.communicate()[0] + f"\n(not ended after {seconds:.0f} s)"
        ended = Ended(command, process.returncode, output)
        self.ended.append(ended)
        self._take_over()
        return ended

    def _take_over(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            left = (self._files / "environment").read_bytes().decode().split("\0")
            pairs = (one.partition("=") for one in left if one)
            self.environment = {name: value for name, _, value in pairs if name not in _OWN}
            self.directory = Path((self._files / "directory").read_text().rstrip("\n"))

    def transcript(self) -> str:
        """Return what the terminal has shown so far."""
        return "\n".join(f"$ {one.command}\n{one.output}" for one in self.ended)

    def save(self) -> None:
        """Write what it has shown to ``transcript.json`` of its files, for the one who compares."""
        ended = [asdict(one) for one in self.ended]
        (self._files / "transcript.json").write_text(json.dumps(ended, indent=1))
