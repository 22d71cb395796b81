"""Ports of this room: what a cluster has, as its users search it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lifecycle.camunda.credentials import Login


@dataclass(frozen=True, slots=True)
class Mark:
    """A process instance with its state and the value (JSON) of one of its variables.

    ``value`` is empty where a search does not find that variable.
    """

    key: int
    state: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """How many a search finds; ``more``: at least so many, Camunda did not count further."""

    total: int
    more: bool = False


class SearchedProcesses(Protocol):
    """Processes of one cluster, through its REST API, called from inside the VPC.

    Every call may be repeated, and raises ``ManagementUnavailable``, ``ManagementRefused``,
    ``CredentialsRefused``, ``CredentialsWithheld`` or ``InvalidResponse``.
    """

    def marks(self, keys: Collection[int], variable: str, login: Login) -> Sequence[Mark]:
        """Search instances by their keys, each with a variable."""
        ...

    def publish(self, message: str, correlation_key: str, login: Login) -> None:
        """Publish a message that is not kept."""
        ...

    def active(self, process_id: str, login: Login) -> Sequence[int]:
        """Search the instances of a process that run; gives the keys of so many as one page has."""
        ...

    def cancel(self, key: int, login: Login) -> None:
        """Cancel an instance; one that is over is no error."""
        ...

    def count(self, what: str, wanted: Mapping[str, object], login: Login) -> Count:
        """Count what a search (``process-instances``, ``incidents`` …) finds by a filter."""
        ...
