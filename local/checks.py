"""What this machine must offer, asked before anything is started."""

from __future__ import annotations

import platform
import shutil
from typing import TYPE_CHECKING

from local.config import AWS_PORT, LocalConfig
from local.downloads import CAMUNDA, POSTGRES, Download, installed_postgres
from local.names import bindable_port
from local.processes import listeners

if TYPE_CHECKING:
    from collections.abc import Sequence

_GIBIBYTE = 1024**3
# Camunda unpacked, its archive twice, PostgreSQL, packages and brokers' data.
_DISK_FIRST_TIME = 3 * _GIBIBYTE
_DISK = 1 * _GIBIBYTE
_BROKER_PORTS = (8080, 9600, 26500, 26501)


class NotPossibleError(Exception):
    """This machine lacks something; each line says what and what to do."""


def check(config: LocalConfig) -> None:
    """Raise NotPossibleError with everything that is in the way, one line each."""
    problems = [*_platform(), *_maven(config), *_disk(config), *_ports(config)]
    if problems:
        raise NotPossibleError("\n".join(problems))


def _missing(config: LocalConfig) -> list[Download]:
    needed = [POSTGRES] if config.brokers == "fake" else [CAMUNDA, POSTGRES]
    return [one for one in needed if not (config.cache / one.directory).is_dir()]


def _platform() -> list[str]:
    if platform.system() == "Linux":
        return []
    return [
        f"Linux is needed, this is {platform.system()}: every task has its own loopback address."
    ]


def _maven(config: LocalConfig) -> list[str]:
    missing = _missing(config)
    if not missing or shutil.which("mvn"):
        return []
    if missing == [POSTGRES] and installed_postgres() is not None:
        return []
    titles = " and ".join(download.title for download in missing)
    way_out = (
        "or install a PostgreSQL server: apt-get install postgresql"
        if config.brokers == "fake"
        else "or BROKERS=fake to do without Camunda"
    )
    return [f"Maven is missing, which fetches {titles}: apt-get install maven, {way_out}."]


def _disk(config: LocalConfig) -> list[str]:
    config.cache.mkdir(parents=True, exist_ok=True)
    needed = _DISK_FIRST_TIME if _missing(config) else _DISK
    free = shutil.disk_usage(config.cache).free
    if free >= needed:
        return []
    return [
        (
            f"{free / _GIBIBYTE:.1f} GiB are free in {config.cache}, {needed / _GIBIBYTE:.0f} are"
            f" needed: make room, or name another place in CAMUNDA_LIFECYCLE_CACHE."
        )
    ]


def _ports(config: LocalConfig) -> list[str]:
    wanted: Sequence[tuple[str, int]] = (
        (config.aws_address, AWS_PORT),
        (config.database_address, 5432),
        (config.load_balancer_address(0), 80),
        (config.load_balancer_address(1), 26500),
        *((config.task_address(0), port) for port in _BROKER_PORTS),
    )
    problems = []
    for address, port in wanted:
        try:
            bindable_port(address, port)
        except OSError:
            owners = [
                listener.owner()
                for listener in listeners()
                if listener.port == port and listener.address in {address, "0.0.0.0", "::"}  # noqa: S104
            ]
            by = f" by {owners[0]}" if owners else ""
            problems.append(
                f"Port {port} of {address} is taken{by}: stop it, or for another instance of this"
                f" project use BLOCK=127.<n>."
            )
    return problems
