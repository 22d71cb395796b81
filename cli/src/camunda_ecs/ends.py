"""Exit codes, and the error that ends a command with one of them."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """Exit codes of every command."""

    DONE = 0  # done, or healthy
    FAILED = 1  # refused, failed, or not confirmed
    USAGE = 2  # nothing was sent
    DEGRADED = 3
    DOWN = 4
    UNKNOWN = 5  # no verdict, or an outcome that is not known
    INTERRUPTED = 130  # what a shell gives for SIGINT


class Stop(Exception):
    """Ends the command: lines for stderr, the first is the reason, and the exit code."""

    def __init__(self, *lines: str, code: Code = Code.FAILED) -> None:
        super().__init__(*lines)
        self.lines = lines
        self.code = code


def usage(*lines: str) -> Stop:
    """Return the error of a request that cannot be sent as it was given."""
    return Stop(*lines, code=Code.USAGE)
