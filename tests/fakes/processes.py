"""The in-memory fake of the REST API for processes: partitions in turn, and what they exported."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.camunda.credentials import Login
from lifecycle.errors import (
    CredentialsRefused,
    LifecycleError,
    ManagementRefused,
    ManagementUnavailable,
)
from lifecycle.rehearsal.marker import PROCESS_ID as MARKER
from lifecycle.rehearsal.marker import VARIABLE
from lifecycle.rehearsal.ports import Count, Mark

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

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
    states: dict[int, str] = field(default_factory=dict)
    variables: dict[int, dict[str, object]] = field(default_factory=dict)
    processes: dict[int, str] = field(default_factory=dict)
    published: list[str] = field(default_factory=list)
    counts: dict[str, Count] = field(default_factory=dict)
    counted: list[str] = field(default_factory=list)
    _turn: int = 0

    def deploy(self, resource: str, content: bytes, login: Login) -> None:
        """Deploy one resource; the same again changes nothing."""
        self._admit(login)
        if 1 in self.silent:
            raise ManagementUnavailable("No broker could answer: HTTP 503: partition 1.")
        self.deployments += 1
        if (resource, content) not in self.resources:
            self.resources.append((resource, content))

    def create_instance(
        self, process_id: str, login: Login, variables: Mapping[str, object] | None = None
    ) -> int:
        """Create an instance on the next partition that has a leader."""
        self._admit(login)
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
        self.states[key] = "ACTIVE" if process_id == MARKER else "COMPLETED"
        self.variables[key] = dict(variables or {})
        self.processes[key] = process_id
        return key

    def found_instances(self, keys: Collection[int], login: Login) -> frozenset[int]:
        """Give what was exported before; then export what may be: a search is never at once."""
        self._admit(login)
        if self.unsearchable:
            raise ManagementUnavailable(self.unsearchable)
        found = frozenset(self.exported & set(keys))
        self.exported |= {one for one in self.instances if one >> KEY_BITS not in self.paused}
        return found

    def marks(self, keys: Collection[int], variable: str, login: Login) -> Sequence[Mark]:
        """Search instances with a variable, as ``found_instances`` does."""
        return [
            Mark(key, self.states[key], json.dumps(self.variables[key].get(variable, "")))
            for key in sorted(self.found_instances(keys, login))
        ]

    def publish(self, message: str, correlation_key: str, login: Login) -> None:
        """Let the instance go on that waits for a message with that key."""
        self._admit(login)
        self.published.append(f"{message} {correlation_key}")
        for key, state in self.states.items():
            waits = self.variables[key].get(VARIABLE) == correlation_key
            if state == "ACTIVE" and waits and key >> KEY_BITS not in self.silent:
                self.states[key] = "COMPLETED"

    def active(self, process_id: str, login: Login) -> Sequence[int]:
        """Instances that run and were exported."""
        self._admit(login)
        return [
            key
            for key, state in self.states.items()
            if state == "ACTIVE" and self.processes[key] == process_id and key in self.exported
        ]

    def cancel(self, key: int, login: Login) -> None:
        """Cancel an instance that runs."""
        self._admit(login)
        if self.states.get(key) == "ACTIVE":
            self.states[key] = "TERMINATED"

    def count(self, what: str, wanted: Mapping[str, object], login: Login) -> Count:
        """Count by the name of a search; tests give the numbers."""
        self._admit(login)
        if self.unsearchable:
            raise ManagementUnavailable(self.unsearchable)
        self.counted.append(f"{what} {json.dumps(wanted)}")
        return self.counts.get(what, Count(0))

    def _admit(self, login: Login) -> None:
        if self.refused:
            raise CredentialsRefused("HTTP 401: the login is not known.")
