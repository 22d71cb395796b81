"""Requirements of this machine, checked before anything is started."""

from __future__ import annotations

import platform
import shutil
from typing import TYPE_CHECKING

from local import identity
from local.config import AWS_PORT, CONSOLE_PORT, LocalConfig
from local.names import bindable_port
from local.postgres.distribution import NoPostgresError, distribution
from local.processes import listeners

if TYPE_CHECKING:
    from collections.abc import Sequence

_GIBIBYTE = 1024**3
# Built functions and layers, twice, packages of the Lambda runtime and the databases' data.
_DISK = 1 * _GIBIBYTE
_BROKER_PORTS = (8080, 9600, 26500, 26501)


class NotPossibleError(Exception):
    """This machine lacks something; each line of the message names it and the remedy."""


def check(config: LocalConfig) -> None:
    """Raise NotPossibleError with everything that is in the way, one line each."""
    problems = [*_platform(), *_postgres(), *_disk(config), *_ports(config)]
    if problems:
        raise NotPossibleError("\n".join(problems))


def _platform() -> list[str]:
    problems = []
    if platform.system() != "Linux":
        problems.append(
            f"Linux is required, this is {platform.system()}: every task has its own loopback"
            " address."
        )
    if platform.machine() != "x86_64":
        problems.append(
            f"x86_64 is required, this is {platform.machine()}: the function layers are built"
            " for the architecture in the template."
        )
    return problems


def _postgres() -> list[str]:
    try:
        distribution()
    except NoPostgresError as error:
        return [str(error)]
    return []


def _disk(config: LocalConfig) -> list[str]:
    config.cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(config.cache).free
    if free >= _DISK:
        return []
    return [
        (
            f"{free / _GIBIBYTE:.1f} GiB are free in {config.cache}, {_DISK / _GIBIBYTE:.0f} are"
            f" required: free some space, or set CAMUNDA_LIFECYCLE_CACHE to another directory."
        )
    ]


def _ports(config: LocalConfig) -> list[str]:
    wanted: Sequence[tuple[str, int]] = (
        (config.aws_address, AWS_PORT),
        (config.console_address, CONSOLE_PORT),
        (config.database_address, 5432),
        (config.identity_address, identity.PORT),
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
                f"Port {port} of {address} is in use{by}: stop that process, or set BLOCK=127.<n>"
                f" for another instance of this project."
            )
    return problems
