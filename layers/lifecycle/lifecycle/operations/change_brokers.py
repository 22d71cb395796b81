"""Send Camunda one cluster change, from inside the VPC. The only function that may."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.core.brokers import direction, half_done, has_gap, leads_to
from lifecycle.core.scaling_checks import refusal
from lifecycle.errors import ChangeInProgress, LifecycleError, ManagementAmbiguous

if TYPE_CHECKING:
    from lifecycle.core.operation import Operation
    from lifecycle.core.topology import ClusterConfiguration
    from lifecycle.operations.journal import Journal
    from lifecycle.ports import ManagementApi

STEP: Final = "Cluster change"
# Longer than Camunda itself waits for its coordinator (10 s): by then a change is there or not.
_SETTLED_AFTER: Final = 15


@dataclass(frozen=True, slots=True)
class BrokerChanger:
    """The use case with what it needs from outside."""

    management: Callable[[str], ManagementApi]
    journal: Journal

    def change(
        self, operation: Operation, cluster: Mapping[str, str], *, count: int
    ) -> dict[str, Any]:
        """Ask for the brokers ``0 … count-1``, unless that is under way or needs nothing.

        Returns ``changeId`` (0 when none is known to have been accepted) and ``wait`` (seconds
        until reading makes sense). Raises ``ManagementRefused``, ``ScalingRefused`` for a
        change that leads elsewhere, ``ManagementUnavailable`` when nothing was sent.
        """
        self.journal.step(operation, STEP, f"asking Camunda for {count} brokers")
        copies = int(cluster["ReplicationFactor"])
        api = self.management(cluster["DiscoveryName"])
        configuration = api.configuration()
        under_way = self._under_way(configuration, count)
        if under_way is not None or _is_there(configuration, count, copies):
            return {"changeId": under_way or 0, "wait": 1}
        try:
            planned = api.scale_brokers(count)
        except ChangeInProgress:
            # Somebody was faster, or an answer that was lost had been a yes.
            return {"changeId": self._under_way(api.configuration(), count) or 0, "wait": 1}
        except ManagementAmbiguous:
            return {"changeId": self._read(api, count) or 0, "wait": _SETTLED_AFTER}
        # The id of an older change stands for "nothing to do".
        return {"changeId": 0 if planned.is_noop else planned.change_id, "wait": 1}

    def _read(self, api: ManagementApi, count: int) -> int | None:
        """Look for a change whose acceptance was not answered; it is never sent again from here."""
        try:
            return self._under_way(api.configuration(), count)
        except LifecycleError:
            return None

    @staticmethod
    def _under_way(configuration: ClusterConfiguration, count: int) -> int | None:
        pending = configuration.pending_change
        if pending is None:
            if has_gap(configuration, count):
                ids = ", ".join(map(str, configuration.broker_ids))
                raise refusal("broker ids without a gap", ids)
            return None
        if leads_to(configuration) != frozenset(range(count)):
            raise refusal(
                "no other cluster change",
                f"change {pending.id} is under way and {direction(configuration)}",
            )
        return pending.id


def _is_there(configuration: ClusterConfiguration, count: int, copies: int) -> bool:
    return configuration.broker_ids == tuple(range(count)) and not half_done(configuration, copies)
