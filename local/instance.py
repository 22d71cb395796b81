"""Start, find and stop the process that hosts an instance."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from local.config import REPOSITORY, LocalConfig, user_environment
from local.processes import Process, ProcessRecord, listeners, stop_records

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from local.component import Instance

START_SECONDS = 120.0
STOP_SECONDS = 60.0


def served_block(root: Path) -> str:
    """Give the block of the instance that was started in `root`; empty if there is none."""
    try:
        content = json.loads(LocalConfig(root).instance_file.read_text())
    except (FileNotFoundError, ValueError):
        return ""
    host = urlsplit(str(content["endpoint"])).hostname or ""
    return ".".join(host.split(".")[:2])


class InstanceError(Exception):
    """The instance cannot be started; the message names the remedy."""


def running(instance: Instance) -> ProcessRecord | None:
    """Give the process that hosts `instance`, if it runs.

    Raises InstanceError if what runs there has other addresses than `instance`.
    """
    try:
        content = json.loads(instance.config.instance_file.read_text())
    except FileNotFoundError:
        return None
    record = ProcessRecord("aws", content["pid"], content["started"])
    if not record.alive():
        return None
    if content["endpoint"] != instance.config.aws_endpoint:
        raise InstanceError(
            f"the instance in {instance.config.root} serves {content['endpoint']}, not"
            f" {instance.config.aws_endpoint}: leave out BLOCK, or `make down` first"
        )
    return record


def start(
    instance: Instance, *, components: Sequence[str] | None = None, detached: bool = False
) -> Process:
    """Start the host and wait until every component has started.

    `detached`: it goes on when this process ends. Raises InstanceError with the host's last line.
    """
    config = instance.config
    if running(instance):
        raise InstanceError(f"an instance already runs in {config.root}: `make down` stops it")
    config.instance_file.unlink(missing_ok=True)
    instance.names.clear()
    log = config.logs / "aws.log"
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "local.aws", f"--root={config.root}"]
    command += [f"--block={config.block}"]
    if components is not None:
        command.append(f"--components={','.join(components)}")
    host = instance.processes.spawn(
        "aws",
        command,
        environment=user_environment(),
        log=log,
        directory=REPOSITORY,
        detached=detached,
    )
    try:
        _wait_until_ready(instance, host, log)
    except BaseException:
        host.stop(grace=STOP_SECONDS)
        raise
    return host


def _wait_until_ready(instance: Instance, host: Process, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not instance.config.instance_file.exists():
        if host.poll() is not None:
            lines = log.read_text().strip().splitlines() or ["it exited without a message"]
            raise InstanceError(lines[-1])
        if time.monotonic() > deadline:
            raise InstanceError(f"not ready after {START_SECONDS:.0f} s; see {log}")
        time.sleep(0.05)


def stop(instance: Instance) -> list[ProcessRecord]:
    """Stop the host, then any surviving process of the instance; returns what was stopped."""
    host = running(instance)
    if host:
        # It stops its components and their processes itself, in order.
        stop_records([host], STOP_SECONDS)
    stopped = instance.processes.stop_survivors()
    instance.config.instance_file.unlink(missing_ok=True)
    instance.config.endpoints_file.unlink(missing_ok=True)
    instance.names.clear()
    return [host, *stopped] if host else stopped


def leftovers(instance: Instance) -> list[str]:
    """What of `instance` still runs or listens, one line each; empty after a complete stop."""
    config = instance.config
    found = {
        record.pid: f"{record.name} (pid {record.pid})" for record in instance.processes.survivors()
    }
    for listener in listeners():
        if listener.address.startswith(f"{config.block}."):
            found.setdefault(
                listener.pid or 0,
                f"{listener.address}:{listener.port} (pid {listener.pid or 'unknown'})",
            )
    return list(found.values())
