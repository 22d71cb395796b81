"""Which program on this machine stands in for a container image."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.config import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping

ORCHESTRATION_IMAGES = {"camunda"}
CONNECTORS_IMAGES = {"connectors-bundle", "connectors"}
SERVICE_CONNECT_VARIABLE = "SERVICE_CONNECT_FILE"
"""Tells a Python stand-in where its Service Connect proxy would be; see `write_service_connect`."""
ADDRESS_VARIABLE = "TASK_ADDRESS"
"""Tells a container's own command which address is its network interface."""


class CannotStartError(Exception):
    """A container cannot be started; the message is what ECS would give as stopped reason."""


@dataclass(frozen=True)
class ContainerStart:
    """What is known of a container at the moment it starts."""

    image: str
    entry_point: tuple[str, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    """Declared variables and secrets, as ECS would hand them over."""
    address: str
    node_id: int | None
    storage: Path
    """Directory of the file system that all tasks of the service share."""
    volumes: Mapping[str, Path]
    """Directory of each mount point, by its path inside the container."""
    service_connect_file: Path


@dataclass(frozen=True)
class Launch:
    """A process to start."""

    command: list[str]
    environment: dict[str, str]
    note: str = ""
    """Line for the container's log that says what is different here."""


def repository(image: str) -> str:
    """Last part of an image's name: `camunda` of `registry/camunda/camunda:8.9.16`."""
    return image.partition("@")[0].rsplit("/", 1)[-1].partition(":")[0]


def takes_node_id(container: Mapping[str, Any]) -> bool:
    """Brokers do: the stand-in for the S3 node-id provider is the supervisor."""
    broker = repository(container["image"]) in ORCHESTRATION_IMAGES
    return broker and bool(container.get("essential", True))


def launch(start: ContainerStart) -> Launch:
    """Choose by what the container is, not by its name. Raises CannotStartError."""
    name = repository(start.image)
    if start.entry_point:
        return _script(start)
    if name in ORCHESTRATION_IMAGES:
        return _fake_broker(start)
    if name in CONNECTORS_IMAGES:
        return _module("local.connectors", ["--address", start.address], start)
    raise CannotStartError(
        f"CannotPullContainerError: pull image manifest: {start.image}: not found. On this "
        f"machine only {', '.join(sorted(ORCHESTRATION_IMAGES | CONNECTORS_IMAGES))} have "
        "a stand-in."
    )


def _fake_broker(start: ContainerStart) -> Launch:
    environment = start.environment
    arguments = {
        "--address": start.address,
        "--node-id": str(_node_id(start)),
        "--cluster-size": environment.get("CAMUNDA_CLUSTER_SIZE", "1"),
        "--partitions": environment.get("CAMUNDA_CLUSTER_PARTITIONCOUNT", "1"),
        "--replication-factor": environment.get("CAMUNDA_CLUSTER_REPLICATIONFACTOR", "1"),
        "--state-dir": str(start.storage / "fake-cluster"),
    }
    flat = [part for pair in arguments.items() for part in pair]
    module = _module("local.fake_broker", flat, start)
    return Launch(module.command, module.environment, f"node id {start.node_id}, fake broker")


def _script(start: ContainerStart) -> Launch:
    """Run the container's own command, with its mount points moved to where they are here."""

    def moved(text: str) -> str:
        for inside, outside in start.volumes.items():
            text = text.replace(inside, str(outside))
        return text

    executable, *arguments = [moved(part) for part in (*start.entry_point, *start.command)]
    for directory in ("", "/bin", "/usr/bin"):
        found = Path(directory) / executable
        if found.is_absolute() and os.access(found, os.X_OK):
            environment = {name: moved(value) for name, value in start.environment.items()}
            environment[ADDRESS_VARIABLE] = start.address
            return Launch([str(found), *arguments], _bare(start.storage) | environment)
    raise CannotStartError(
        f"CannotStartContainerError: exec: {executable}: executable file not found on this machine"
    )


def _module(name: str, arguments: list[str], start: ContainerStart) -> Launch:
    environment = _bare(start.storage) | dict(start.environment)
    environment["PYTHONPATH"] = str(REPOSITORY)
    environment[SERVICE_CONNECT_VARIABLE] = str(start.service_connect_file)
    return Launch([sys.executable, "-m", name, *arguments], environment)


def _bare(home: Path) -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8"}


def _node_id(start: ContainerStart) -> int:
    if start.node_id is None:
        raise CannotStartError("CannotStartContainerError: a broker needs a node id")
    return start.node_id
