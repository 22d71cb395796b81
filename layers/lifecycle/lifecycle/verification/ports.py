"""Ports of this room: process instances of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from lifecycle.camunda.credentials import Login


class Processes(Protocol):
    """Processes of one cluster, through its REST API, called from inside the VPC.

    Every call may be repeated, and raises ``ManagementUnavailable``, ``ManagementRefused``,
    ``CredentialsRefused``, ``CredentialsWithheld`` or ``InvalidResponse``.
    """

    def deploy(self, resource: str, content: bytes, login: Login) -> None:
        """Deploy one BPMN resource; the same bytes again change nothing."""
        ...

    def create_instance(
        self, process_id: str, login: Login, variables: Mapping[str, object] | None = None
    ) -> int:
        """Create an instance of a process's latest version; gives its key."""
        ...

    def found_instances(self, keys: Collection[int], login: Login) -> frozenset[int]:
        """Search instances by their keys; gives those that the secondary storage has."""
        ...
