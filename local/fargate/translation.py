"""From the deployed task definition, which speaks 8.9, to the settings of a Camunda 8.6.0 broker.

Every environment name that the templates set is in one of the tables here: translated, or named as
something that 8.6.0 does not have. A test refuses a name that is in neither. The same tables are
printed in docs/local-broker.md.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

RENAMED = {
    "CAMUNDA_CLUSTER_SIZE": "ZEEBE_BROKER_CLUSTER_CLUSTERSIZE",
    "CAMUNDA_CLUSTER_PARTITIONCOUNT": "ZEEBE_BROKER_CLUSTER_PARTITIONSCOUNT",
    "CAMUNDA_CLUSTER_REPLICATIONFACTOR": "ZEEBE_BROKER_CLUSTER_REPLICATIONFACTOR",
    "SPRING_LIFECYCLE_TIMEOUTPERSHUTDOWNPHASE": "SPRING_LIFECYCLE_TIMEOUTPERSHUTDOWNPHASE",
}
"""Same value under the name that 8.6.0 reads."""

REPLACED = {
    "CAMUNDA_CLUSTER_INITIALCONTACTPOINTS": (
        "the addresses behind the Service Connect alias, and the broker's own"
    ),
    "ZEEBE_BROKER_DATA_DIRECTORY": "the node id's directory on what stands in for EFS",
    "CAMUNDA_DATA_PRIMARYSTORAGE_DIRECTORY": "the node id's directory on what stands in for EFS",
    "CAMUNDA_CLUSTER_NODEIDPROVIDER_TYPE": "the supervisor hands out the lowest free node id",
    "JAVA_TOOL_OPTIONS": "the options of a small footprint",
    "JAVA_OPTS": "the options of a small footprint",
}
"""The setting has an effect, with a value that fits one machine."""

ABSENT = {
    r"CAMUNDA_CLUSTER_NODEIDPROVIDER_\w+": "no S3 node-id provider (8.9)",
    r"CAMUNDA_DATA_SECONDARYSTORAGE_\w+": "no secondary storage setting, no RDBMS (8.8, 8.9)",
    r"SPRING_DATASOURCE_\w+": "no RDBMS (8.9)",
    r"CAMUNDA_DATABASE_\w+": "no secondary storage setting (8.8)",
    r"CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_\w+": "no continuous backups (8.9)",
    r"CAMUNDA_DATA_BACKUP_\w+": "the backup store has other names and is not set up here",
    r"CAMUNDA_SECURITY_\w+": "no users, roles or authentication of its own (8.8)",
    r"SPRING_PROFILES_ACTIVE": "one application, not several in one process (8.8)",
    r"CAMUNDA_OPERATE_\w+": "Operate is not in the broker's process (8.8)",
    r"CAMUNDA_TASKLIST_\w+": "Tasklist is not in the broker's process (8.8)",
    r"CAMUNDA_IDENTITY_\w+": "Identity is not in the broker's process (8.8)",
    r"AWS_\w+": "no AWS client in use",
    r"CAMUNDA_LOG_\w+": "the log keeps 8.6.0's own format",
}
"""Patterns of names that 8.6.0 has no counterpart of, and why."""

# Measured: three brokers with these start on two cores in half a minute and take 1.5 GB together.
_SMALL = {
    "ZEEBE_BROKER_DATA_LOGSEGMENTSIZE": "16MB",
    "ZEEBE_BROKER_EXPERIMENTAL_ROCKSDB_MEMORYLIMIT": "32MB",
    "ZEEBE_BROKER_THREADS_CPUTHREADCOUNT": "1",
    "ZEEBE_BROKER_THREADS_IOTHREADCOUNT": "1",
}
_JVM = (
    "-Xms96m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:MaxMetaspaceSize=192m",
    "-XX:ReservedCodeCacheSize=64m",
    "-Xss512k",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-Dfile.encoding=UTF-8",
    # 8.6.0 was built for Java 21; newer ones ask for these.
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
)
_MAIN_CLASS = "io.camunda.application.StandaloneBroker"


@dataclass(frozen=True)
class Placement:
    """What the supervisor adds to a task definition when it starts a broker."""

    node_id: int
    address: str
    data: Path
    resolve: Callable[[str], Iterable[str]]
    """Addresses behind a Service Connect alias; none for a name that is not one."""


@dataclass(frozen=True)
class Translated:
    """Settings of 8.6.0, and what became of the rest."""

    environment: dict[str, str]
    absent: tuple[str, ...]
    """Names that have no counterpart in 8.6.0."""
    unknown: tuple[str, ...]
    """Names that this module has never heard of: an oversight."""


def translate(environment: Mapping[str, str], placement: Placement) -> Translated:
    """Give 8.6.0's environment for a broker with that task-definition environment."""
    settings = dict(_SMALL)
    settings |= {RENAMED[name]: value for name, value in environment.items() if name in RENAMED}
    address = placement.address
    settings |= {
        "ZEEBE_BROKER_CLUSTER_NODEID": str(placement.node_id),
        "ZEEBE_BROKER_CLUSTER_INITIALCONTACTPOINTS": contact_points(
            environment.get("CAMUNDA_CLUSTER_INITIALCONTACTPOINTS", ""), placement
        ),
        # On Fargate the task has its network interface to itself; here it has one address of many.
        "ZEEBE_BROKER_NETWORK_HOST": address,
        "ZEEBE_BROKER_NETWORK_ADVERTISEDHOST": address,
        "ZEEBE_BROKER_NETWORK_INTERNALAPI_PORT": str(internal_port(address)),
        "ZEEBE_BROKER_GATEWAY_NETWORK_HOST": address,
        "SERVER_ADDRESS": address,
        "MANAGEMENT_SERVER_ADDRESS": address,
        "ZEEBE_BROKER_DATA_DIRECTORY": str(placement.data),
        "CAMUNDA_REST_ENABLED": "true",
    }
    rest = [name for name in environment if name not in RENAMED and name not in REPLACED]
    absent = tuple(name for name in rest if _absent(name))
    return Translated(
        environment=settings,
        absent=absent,
        unknown=tuple(name for name in rest if name not in absent),
    )


def internal_port(address: str) -> int:
    """Give the port of the broker at that address on which brokers speak to each other.

    8.6.0 gossips over UDP on the number of this port, on every address of the machine. On the
    deployed 26502 all brokers here would share one socket: the one that started last would get the
    gossip of all, of other clusters too, and then takes their members for its own.
    """
    network, _, host = address.rpartition(".")
    return 10000 + zlib.crc32(network.encode()) % 64 * 256 + int(host)


def contact_points(value: str, placement: Placement) -> str:
    """Replace each `alias:port` by the addresses behind it, and add the broker's own.

    The proxy that resolves a Service Connect alias in a Fargate task does not exist here.
    """
    aliases = [entry.strip().partition(":")[0] for entry in value.split(",") if entry.strip()]
    addresses = {placement.address, *(one for name in aliases for one in placement.resolve(name))}
    return ",".join(f"{one}:{internal_port(one)}" for one in sorted(addresses))


def command(java: str, distribution: Path) -> list[str]:
    """Command line of an 8.6.0 broker whose distribution was unpacked to that directory."""
    return [
        java,
        *_JVM,
        "-Dapp.name=broker",
        f"-Dbasedir={distribution}",
        f"-Dapp.home={distribution}",
        "-classpath",
        f"{distribution}/config:{distribution}/lib/*",
        _MAIN_CLASS,
    ]


def health_path(path: str) -> str:
    """Path that answers in 8.6.0 for a health path of 8.9.

    `liveness` is 404 in 8.6.0. `startup` comes closest: 200 from the moment the broker runs, also
    while it waits to be added to the cluster, which `readiness` is not.
    """
    return path.replace("/actuator/health/liveness", "/actuator/health/startup")


def _absent(name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in ABSENT)
