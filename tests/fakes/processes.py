"""The in-memory fake of the REST API for processes: partitions in turn, and what they exported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.camunda.credentials import Credentials
from lifecycle.errors import (
    CredentialsRefused,
    LifecycleError,
    ManagementRefused,
    ManagementUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Collection

KEY_BITS = 51


@dataclass
class FakeProcesses:
    """A gateway before its partitions; tests stop leaders and exporters.

    ``silent`` are partitions without a leader, which the gateway passes over; ``paused`` those that
    export nothing. ``distributed`` counts the requests after which the other partitions have what
    partition 1 deployed. ``takes`` are turns that other clients take between two of ours.
    ``deployments`` counts what was asked, ``resources`` are what it made.
    ``errors`` are raised by the next calls to create, one each; ``refused`` by every call.
    """

    partitions: int = 3
    silent: set[int] = field(default_factory=set)
    paused: set[int] = field(default_factory=set)
    distributed: int = 0
    takes: int = 0
    errors: list[LifecycleError] = field(default_factory=list)
    refused: bool = False
    unsearchable: str = ""
    deployments: int = 0
    resources: list[tuple[str, bytes]] = field(default_factory=list)
    instances: list[int] = field(default_factory=list)
    exported: set[int] = field(default_factory=set)
    _turn: int = 0

    def deploy(self, resource: str, content: bytes, credentials: Credentials) -> None:
        """Deploy one resource; the same again changes nothing."""
        self._admit(credentials)
        if 1 in self.silent:
            raise ManagementUnavailable("No broker could answer: HTTP 503: partition 1.")
        self.deployments += 1
        if (resource, content) not in self.resources:
            self.resources.append((resource, content))

    def create_instance(self, process_id: str, credentials: Credentials) -> int:
        """Create an instance on the next partition that has a leader."""
        self._admit(credentials)
        if self.errors:
            raise self.errors.pop(0)
        served = [one for one in range(1, self.partitions + 1) if one not in self.silent]
        if not served:
            raise ManagementUnavailable("No broker could answer: HTTP 503: no leader.")
        partition = served[self._turn % len(served)]
        self._turn += 1 + self.takes
        if partition != 1 and self.distributed:
            self.distributed -= 1
            raise ManagementRefused(f"HTTP 404: no process {process_id} on partition {partition}.")
        key = (partition << KEY_BITS) + len(self.instances) + 1
        self.instances.append(key)
        return key

    def found_instances(self, keys: Collection[int], credentials: Credentials) -> frozenset[int]:
        """Give what was exported before; then export what may be: a search is never at once."""
        self._admit(credentials)
        if self.unsearchable:
            raise ManagementUnavailable(self.unsearchable)
        found = frozenset(self.exported & set(keys))
        self.exported |= {one for one in self.instances if one >> KEY_BITS not in self.paused}
        return found

    def _admit(self, credentials: Credentials) -> None:
        if self.refused:
            raise CredentialsRefused(f"HTTP 401: {credentials.username} is not known.")
