"""Send Camunda one cluster change, or a backup, from inside the VPC. The only function that may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.errors import (
    ChangeInProgress,
    LifecycleError,
    ManagementOutcomeUnknown,
    ManagementRefused,
)
from lifecycle.operation.steps import CLUSTER_CHANGE
from lifecycle.preflight.backup_gate import refuse_outdated
from lifecycle.scaling.partition_table import unfinished
from lifecycle.scaling.preconditions import refusal
from lifecycle.services.brokers import (
    direction,
    has_gap,
    held_partitions,
    incomplete_change,
    leads_to,
    partitions_after,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.camunda.ports import ManagementApi
    from lifecycle.camunda.topology import ClusterConfiguration, PlannedChange
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation

# Longer than Camunda itself waits for its coordinator (10 s): by then a change is there or not.
_SETTLED_AFTER: Final = 15
NOT_TAKEN: Final = -1


@dataclass(frozen=True, slots=True)
class BrokerChanger:
    """The use case and its ports."""

    management: Callable[[str], ManagementApi]
    journal: Journal

    def change(
        self, operation: Operation, cluster: ClusterOutputs, *, count: int, until: str = ""
    ) -> dict[str, Any]:
        """Request the brokers ``0 … count-1``, unless that is in progress or needs nothing.

        Returns ``changeId`` (0 when none is known to have been accepted) and ``wait`` (seconds
        until reading makes sense). Raises ``ManagementRefused``, ``ScalingRefused`` for a
        change that leads elsewhere, ``ManagementUnavailable`` when nothing was sent, and
        ``BackupOutdated`` for a change that is not there after ``until`` (ISO 8601, empty for at
        any time).
        """
        self.journal.step(operation, CLUSTER_CHANGE, f"requesting {count} brokers from Camunda")
        copies = cluster.replication_factor
        api = self.management(cluster.discovery_name)
        return _sent(
            api,
            under_way=lambda configuration: _brokers_under_way(configuration, count),
            is_there=lambda configuration: _is_there(configuration, count, copies),
            send=self._in_time(until, lambda: api.scale_brokers(count)),
        )

    def add_partitions(
        self, operation: Operation, cluster: ClusterOutputs, *, count: int, until: str = ""
    ) -> dict[str, Any]:
        """Request the partitions ``1 … count`` on the present brokers, unless that is in progress.

        Returns and raises as ``change`` does.
        """
        self.journal.step(operation, CLUSTER_CHANGE, f"requesting {count} partitions from Camunda")
        copies = cluster.replication_factor
        api = self.management(cluster.discovery_name)
        return _sent(
            api,
            under_way=lambda configuration: _partitions_under_way(configuration, count),
            is_there=lambda configuration: (
                held_partitions(configuration) == count and not unfinished(configuration, copies)
            ),
            send=self._in_time(until, lambda: api.scale_partitions(count)),
        )

    def _in_time(
        self, until: str, send: Callable[[], PlannedChange]
    ) -> Callable[[], PlannedChange]:
        def sent() -> PlannedChange:
            refuse_outdated(until, self.journal.clock.now(), "no change was sent to Camunda")
            return send()

        return sent

    def back_up(self, operation: Operation, cluster: ClusterOutputs) -> dict[str, Any]:
        """Let Camunda take a backup of the primary storage.

        Returns ``backupId``, -1 when it did not take one or that is not known: a second one would
        do no harm, but the report then mentions it instead. Raises ``ManagementUnavailable`` when
        nothing was sent.
        """
        self.journal.step(operation, "Verification", "requesting a backup from Camunda")
        try:
            backup = self.management(cluster.discovery_name).back_up()
        except (ManagementRefused, ChangeInProgress, ManagementOutcomeUnknown) as error:
            self.journal.step(operation, "Verification", f"no backup: {error.message}")
            backup = NOT_TAKEN
        return {"changeId": 0, "backupId": backup, "wait": 1}


def _sent(
    api: ManagementApi,
    *,
    under_way: Callable[[ClusterConfiguration], int | None],
    is_there: Callable[[ClusterConfiguration], bool],
    send: Callable[[], PlannedChange],
) -> dict[str, Any]:
    """Read first, send at most once, read again what was not answered."""
    configuration = api.configuration()
    change = under_way(configuration)
    if change is not None or is_there(configuration):
        return _answer(change or 0, 1)
    try:
        planned = send()
    except ChangeInProgress:
        # Another request was faster, or an answer that was lost had been a yes.
        return _answer(under_way(api.configuration()) or 0, 1)
    except ManagementOutcomeUnknown:
        return _answer(_read(api, under_way) or 0, _SETTLED_AFTER)
    # The id of an older change stands for "nothing to do".
    return _answer(0 if planned.is_noop else planned.change_id, 1)


def _answer(change: int, wait: int) -> dict[str, Any]:
    return {"changeId": change, "backupId": 0, "wait": wait}


def _read(
    api: ManagementApi, under_way: Callable[[ClusterConfiguration], int | None]
) -> int | None:
    """Look for a change whose acceptance was not answered; it is never sent again from here."""
    try:
        return under_way(api.configuration())
    except LifecycleError:
        return None


def _brokers_under_way(configuration: ClusterConfiguration, count: int) -> int | None:
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


def _partitions_under_way(configuration: ClusterConfiguration, count: int) -> int | None:
    pending = configuration.pending_change
    if pending is None:
        return None
    same = leads_to(configuration) == frozenset(configuration.broker_ids)
    if not same or partitions_after(configuration) != count:
        raise refusal(
            "no other cluster change" if not same else "no other change of partitions",
            f"change {pending.id} is under way and {direction(configuration)}",
        )
    return pending.id


def _is_there(configuration: ClusterConfiguration, count: int, copies: int) -> bool:
    return configuration.broker_ids == tuple(range(count)) and not incomplete_change(
        configuration, copies
    )
