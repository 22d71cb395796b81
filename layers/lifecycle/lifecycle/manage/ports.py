"""Ports of this room: the way to the management API, and the schedules that close it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.management_access import ManagementAccess


class ManagementDoor(Protocol):
    """Listener, rules and targets of the management API at one cluster's web load balancer.

    Every call may be repeated: what is there already, or gone, stays so.
    """

    def look(self, cluster: ClusterOutputs) -> ManagementAccess | None:
        """Return what there is; None where the load balancer or a target group is gone."""
        ...

    def register(self, access: ManagementAccess, addresses: Collection[str]) -> None:
        """Register addresses of brokers as targets."""
        ...

    def deregister(self, access: ManagementAccess, addresses: Collection[str]) -> None:
        """Deregister targets."""
        ...

    def allow(
        self, access: ManagementAccess, cidrs: Collection[str], tags: Mapping[str, str]
    ) -> None:
        """Let ranges in to the port, by rules with these tags."""
        ...

    def revoke(self, access: ManagementAccess, rule_ids: Collection[str]) -> None:
        """Remove rules."""
        ...

    def listen(self, access: ManagementAccess, tags: Mapping[str, str]) -> None:
        """Create the listener with these tags. Raises ``ManageRefused`` where the port is taken."""
        ...

    def stop_listening(self, listener: str) -> None:
        """Delete the listener of that ARN."""
        ...

    def mark(self, access: ManagementAccess, until: str) -> None:
        """Write another end into the tag of everything that is open."""
        ...


class ClosingSchedules(Protocol):
    """One-time schedules that call the function which closes ways in."""

    def once(self, name: str, *, at: datetime, payload: Mapping[str, str]) -> None:
        """Call it once at that time; the same name again changes nothing."""
        ...

    def cancel(self, name: str) -> None:
        """Delete a schedule; one that is gone stays so."""
        ...
