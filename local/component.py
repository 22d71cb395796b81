"""Components of the embedded AWS: load balancers, tasks, the database.

A component is a package `local.<name>` with a function `component(instance) -> Component`. All run
as threads of the one process that also hosts the emulator, so they may read the emulator's own
state, but the API through `Instance.client` is the better window: it is what users see.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from botocore.config import Config

from local.config import REGION, LocalConfig
from local.names import Names
from local.processes import Processes

if TYPE_CHECKING:
    from local.keys import RootKeys


class Component(Protocol):
    """Something that is started after the emulator and stopped before it."""

    def start(self) -> None:
        """Begin; returns at once. Work goes on in threads and child processes."""

    def stop(self) -> None:
        """Stop threads and children; called once, must not raise, waits until they are gone."""


@dataclass(frozen=True)
class Instance:
    """What a component gets: where it lives, how to start children, how to see the emulator."""

    config: LocalConfig
    names: Names
    processes: Processes

    @classmethod
    def of(cls, config: LocalConfig) -> Instance:
        """Give the instance that `config` describes."""
        return cls(config, Names(config.names_file), Processes(config.processes_file))

    def client(self, service: str) -> Any:
        """Give a boto3 client of the emulator, as the account's root.

        Hosts are never prefixed: `StartSyncExecution` and `DiscoverInstances` would otherwise go
        to `sync-127.…` and `data-127.…`, which do not exist.
        """
        # Clients are safe to share between threads, a session is not while it makes one. Each costs
        # as much as a hundred calls.
        with _making:
            return _client(service, self.config.aws_endpoint, self.config.keys)


_making = threading.Lock()


@functools.cache
def _client(service: str, endpoint: str, keys: RootKeys) -> Any:
    return _session(keys).client(
        service,
        endpoint_url=endpoint,
        config=Config(
            inject_host_prefix=False,
            retries={"total_max_attempts": 3, "mode": "standard"},
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=50,
        ),
    )


@functools.cache
def _session(keys: RootKeys) -> Any:
    return boto3.session.Session(
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        region_name=REGION,
    )
