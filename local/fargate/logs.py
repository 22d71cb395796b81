"""The awslogs driver: what a container prints goes to its log group."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.aws.emulator import cloudwatch_logs, responses
from local.config import ACCOUNT_ID, REGION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_EVERY = 0.5
_BATCH = 1000
_LONGEST_LINE = 250_000


class NoLogStreamError(Exception):
    """The log driver cannot create its stream, which keeps the task from starting."""


@dataclass
class _Tail:
    path: Path
    group: str
    stream: str
    offset: int = 0
    ended: bool = False


def awslogs(container: Mapping[str, Any], task_id: str) -> tuple[str, str] | None:
    """Give the log group and stream of a container definition; None for another log driver."""
    configuration = container.get("logConfiguration") or {}
    options = configuration.get("options") or {}
    if configuration.get("logDriver") != "awslogs" or "awslogs-group" not in options:
        return None
    prefix = options.get("awslogs-stream-prefix", "ecs")
    return options["awslogs-group"], f"{prefix}/{container['name']}/{task_id}"


class LogShipper:
    """One thread that follows every container's log file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tails: list[_Tail] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="awslogs", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Send what is left and end."""
        self._stopping.set()
        self._thread.join()

    def follow(self, path: Path, group: str, stream: str) -> None:
        """Send each line of `path`, from its beginning. Raises NoLogStreamError without a group."""
        with responses.request_scope(ACCOUNT_ID, REGION):
            if group not in cloudwatch_logs.log_groups:
                raise NoLogStreamError(
                    "ResourceInitializationError: failed to validate logger args: create stream "
                    "has been retried 1 times: failed to create Cloudwatch log stream: "
                    "ResourceNotFoundException: The specified log group does not exist: "
                    f"{group}"
                )
            cloudwatch_logs.create_log_stream({"logGroupName": group, "logStreamName": stream})
        with self._lock:
            self._tails.append(_Tail(path, group, stream))

    def finish(self, path: Path) -> None:
        """Nothing more will be written to `path`: forget it once it is sent."""
        with self._lock:
            for tail in self._tails:
                if tail.path == path:
                    tail.ended = True

    def _loop(self) -> None:
        while not self._stopping.wait(_EVERY):
            self._ship()
        self._ship()

    def _ship(self) -> None:
        with self._lock:
            tails = list(self._tails)
        for tail in tails:
            # Before reading: what was written until now is all there is.
            ended = tail.ended
            self._send(tail, _new_lines(tail, ended=ended or self._stopping.is_set()))
            if ended:
                with self._lock:
                    self._tails.remove(tail)

    def _send(self, tail: _Tail, lines: list[str]) -> None:
        now = int(time.time() * 1000)
        for first in range(0, len(lines), _BATCH):
            with responses.request_scope(ACCOUNT_ID, REGION):
                # A group that was deleted meanwhile is refused, and the lines stay in the file.
                cloudwatch_logs.put_log_events(
                    {
                        "logGroupName": tail.group,
                        "logStreamName": tail.stream,
                        "logEvents": [
                            {"timestamp": now, "message": line[:_LONGEST_LINE]}
                            for line in lines[first : first + _BATCH]
                        ],
                    }
                )


def _new_lines(tail: _Tail, *, ended: bool) -> list[str]:
    try:
        with tail.path.open("rb") as file:
            file.seek(tail.offset)
            content = file.read()
    except FileNotFoundError:
        return []
    if not ended:
        content = content[: content.rfind(b"\n") + 1]
    tail.offset += len(content)
    return [line for line in content.decode(errors="replace").splitlines() if line]
