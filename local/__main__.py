"""`python -m local up|demo|down|status|env`: the application on this machine.

Environment: KEEP=1, BLOCK=127.<n>, INPUT=<file of events/>.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local.aws.lambda_runtime import RuntimeInstallError
from local.checks import NotPossibleError
from local.commands import Commands, InstancesLostError, LeftBehindError
from local.component import Instance
from local.config import DEFAULT_BLOCK, REPOSITORY, LocalConfig
from local.console import Screen
from local.deploy import DeployError
from local.instance import InstanceError, served_block
from local.postgres.distribution import NoPostgresError
from local.progress import ExecutionFailedError

if TYPE_CHECKING:
    from types import FrameType

_EXPECTED = (
    DeployError,
    ExecutionFailedError,
    InstanceError,
    InstancesLostError,
    LeftBehindError,
    NoPostgresError,
    NotPossibleError,
    RuntimeInstallError,
)
_INTERRUPTED = 130


def main() -> int:
    """Run one command. Returns 1 after an error, shown without traceback, and 130 after Ctrl-C."""
    options = _options()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    root = options.root.resolve()
    config = LocalConfig(root, options.block or served_block(root) or DEFAULT_BLOCK)
    # A shell evaluates what `env` writes to stdout.
    screen = Screen(stderr=options.command == "env")
    commands = Commands(
        Instance.of(config), screen, options.input.resolve(), keep=bool(options.keep)
    )
    try:
        getattr(commands, options.command)()
    except KeyboardInterrupt:
        screen.say("Interrupted.")
        return _INTERRUPTED
    except _EXPECTED as error:
        if options.debug:
            raise
        screen.say(f"Error: {error}")
        return 1
    except Exception as error:
        if options.debug:
            raise
        logs = config.logs
        screen.say(
            f"Error: {type(error).__name__}: {error} (--debug shows the traceback; logs: {logs})"
        )
        return 1
    return 0


def _options() -> argparse.Namespace:
    environment = os.environ
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("command", choices=["up", "demo", "down", "status", "env"])
    parser.add_argument("--root", type=Path, default=REPOSITORY / ".local")
    parser.add_argument("--block", default=environment.get("BLOCK") or "")
    parser.add_argument(
        "--input",
        type=Path,
        default=environment.get("INPUT") or REPOSITORY / "events" / "provision-local.json",
    )
    parser.add_argument("--keep", action="store_true", default=environment.get("KEEP") == "1")
    parser.add_argument("--debug", action="store_true")
    options = parser.parse_args()
    # Defaults of the environment, at which argparse does not look.
    if options.block and not re.fullmatch(r"127\.([1-9]\d?|1\d\d|2[0-4]\d|25[0-4])", options.block):
        parser.error(f"BLOCK is {options.block!r}; 127.1 to 127.254 are allowed")
    if options.command in {"up", "demo"} and not options.input.is_file():
        parser.error(f"INPUT is {str(options.input)!r}; file not found (see events/)")
    return options


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
