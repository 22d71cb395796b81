"""Which program on this machine stands in for a container image."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from local.config import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping

ORCHESTRATION_IMAGES = {"camunda"}
CONNECTORS_IMAGES = {"connectors-bundle", "connectors"}
COLLECTOR_IMAGES = {"aws-otel-collector"}
_KNOWN = ORCHESTRATION_IMAGES | CONNECTORS_IMAGES | COLLECTOR_IMAGES
RESTORE = "/usr/local/camunda/bin/restore"
"""Restore application of the orchestration image."""
SERVICE_CONNECT_VARIABLE = "SERVICE_CONNECT_FILE"
"""Points a Python stand-in to its Service Connect names; see `write_service_connect`."""
VERSION_LABEL = "camunda.version"
"""Label of the cluster's template, from its parameter CamundaVersion."""
ADDRESS_VARIABLE = "TASK_ADDRESS"
"""The address of the network interface, for a container's own command."""


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
    labels: Mapping[str, str]
    """Docker labels; `camunda.version` is the version of an image whose tag is not one."""
    address: str
    memory: int
    """Memory that the container may take, in MiB: its own limit, or the task's memory."""
    credentials: Mapping[str, str]
    """Session of the task's role and the endpoint of the AWS that it belongs to."""
    names_file: Path
    """What stands in for the VPC's name resolution."""
    trust_file: Path
    """Certificate authorities that a container trusts: the image's, and the instance's."""
    home: Path
    """Directory of the task."""
    volumes: Mapping[str, Path]
    """Directory of each mount point, by its path inside the container."""
    service_connect_file: Path
    task: str = ""
    """ARN of the task, which its metadata endpoint gives on AWS."""


@dataclass(frozen=True)
class Launch:
    """A process to start."""

    command: list[str]
    environment: dict[str, str]


def repository(image: str) -> str:
    """Last part of an image's name: `camunda` of `registry/camunda/camunda:8.9.16`."""
    return image.partition("@")[0].rsplit("/", 1)[-1].partition(":")[0]


def launch(start: ContainerStart) -> Launch:
    """Choose by what the container is, not by its name. Raises CannotStartError."""
    name = repository(start.image)
    own = (*start.entry_point, *start.command)
    if name in ORCHESTRATION_IMAGES and any(RESTORE in part for part in own):
        return _restore(start, own)
    if start.entry_point:
        return _script(start)
    if name in ORCHESTRATION_IMAGES:
        return _broker(start)
    if name in CONNECTORS_IMAGES:
        arguments = ["--address", start.address, "--names", str(start.names_file)]
        return _module("local.connectors", arguments, start)
    if name in COLLECTOR_IMAGES:
        arguments = ["--address", start.address, "--task", start.task]
        module = _module("local.collector", arguments, start)
        return Launch(module.command, module.environment | dict(start.credentials))
    raise CannotStartError(
        f"CannotPullContainerError: pull image manifest: {start.image}: not found. On this "
        f"machine only {', '.join(sorted(_KNOWN))} have "
        "a stand-in."
    )


def _broker(start: ContainerStart) -> Launch:
    """Start the local broker with the container's environment as it is.

    Only paths of its mount points are those of this machine. The version is that of the label, or
    the image's tag.
    """
    tag = start.image.partition("@")[0].rpartition(":")[2]
    arguments = {
        "--version": start.labels.get(VERSION_LABEL, tag),
        "--address": start.address,
        "--memory": str(start.memory),
        "--names": str(start.names_file),
    }
    module = _module("local.broker", [part for pair in arguments.items() for part in pair], start)
    return Launch(module.command, module.environment | dict(start.credentials))


def _restore(start: ContainerStart, own: tuple[str, ...]) -> Launch:
    """Run the container's own command; the restore application in it is the local broker's."""
    broker = _broker(start)
    application = [*broker.command, "--restore"]
    if own[0] == RESTORE:
        return Launch([*application, *own[1:]], broker.environment)
    moved = tuple(part.replace(RESTORE, shlex.join(application)) for part in own)
    script = _script(replace(start, entry_point=moved, command=()))
    return Launch(script.command, script.environment | broker.environment)


def _script(start: ContainerStart) -> Launch:
    """Run the container's own command, with its mount points moved to where they are here."""
    executable, *arguments = [_moved(part, start) for part in (*start.entry_point, *start.command)]
    for directory in ("", "/bin", "/usr/bin"):
        found = Path(directory) / executable
        if found.is_absolute() and os.access(found, os.X_OK):
            environment = _environment(start)
            environment[ADDRESS_VARIABLE] = start.address
            return Launch([str(found), *arguments], _bare(start.home) | environment)
    raise CannotStartError(
        f"CannotStartContainerError: exec: {executable}: executable file not found on this machine"
    )


def _module(name: str, arguments: list[str], start: ContainerStart) -> Launch:
    environment = _bare(start.home) | _environment(start)
    environment["PYTHONPATH"] = str(REPOSITORY)
    environment[SERVICE_CONNECT_VARIABLE] = str(start.service_connect_file)
    environment.setdefault("SSL_CERT_FILE", str(start.trust_file))
    return Launch([sys.executable, "-m", name, *arguments], environment)


def _bare(home: Path) -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8"}


def _environment(start: ContainerStart) -> dict[str, str]:
    return {name: _moved(value, start) for name, value in start.environment.items()}


def _moved(text: str, start: ContainerStart) -> str:
    for inside, outside in start.volumes.items():
        text = text.replace(inside, str(outside))
    return text
