"""Close ways in whose end has come, by schedule and by looking at every cluster.

It takes no lock. To remove a listener, a rule or a target of the management port disturbs no other
operation: the machines query the brokers inside the VPC, not through this port. With a lock an
operation that runs for hours would keep the port open beyond its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from lifecycle.cluster.find import find_stack
from lifecycle.cluster.management_access import is_over, read_end
from lifecycle.cluster.names import TAG_CLUSTER
from lifecycle.errors import AwsUnavailable, ClusterNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.ports import Clock, ClusterStacks
    from lifecycle.manage.ports import ClosingSchedules, ManagementDoor


@dataclass(frozen=True, slots=True)
class WayCloser:
    """The use case and its ports."""

    stacks: ClusterStacks
    door: ManagementDoor
    schedules: ClosingSchedules
    clock: Clock
    control_stack: str

    def close(self, cluster: str, *, now: bool = False) -> dict[str, Any]:
        """Close what is open of a cluster and whose end has come; with ``now`` whatever its end.

        Returns ``closed``. A cluster that is gone has nothing open.
        """
        try:
            stack = find_stack(self.stacks, self.control_stack, cluster)
        except ClusterNotFound:
            return {"cluster": cluster, "closed": False}
        return {"cluster": cluster, "closed": self._close(stack.outputs, cluster, now=now)}

    def sweep(self) -> dict[str, Any]:
        """Close what is overdue in any cluster of the control plane.

        One cluster that cannot be read keeps no other open: the first error is raised at the end.
        """
        closed, first = [], None
        for stack in self.stacks.of_control_plane(self.control_stack):
            cluster = stack.tags[TAG_CLUSTER]
            try:
                if self._close(stack.outputs, cluster, now=False):
                    closed.append(cluster)
            except Exception as error:  # noqa: BLE001 - raised again once all were looked at
                first = first or error
        if first is not None:
            raise first
        return {"closed": closed}

    def _close(self, outputs: ClusterOutputs, cluster: str, *, now: bool) -> bool:
        if not outputs.complete or outputs.adopted or not outputs.get("ManagementTargetGroupArn"):
            return False
        seen = self.door.look(outputs)
        if seen is None:
            return False
        over = is_over(seen, self.clock.now()) or (now and seen.opened)
        if not (over or seen.forgotten):
            return False
        close_door(self.door, self.schedules, outputs, cluster)
        return True


def schedule_name(cluster: str, end: datetime) -> str:
    """Name of the schedule that closes a cluster's way in at ``end``: at most 64 characters."""
    return f"ways-{cluster}-{end.astimezone(UTC):%Y%m%dT%H%M%S}"


def cancel_ends(schedules: ClosingSchedules, cluster: str, ends: Iterable[str]) -> None:
    """Delete the schedules of ends; an end that cannot be read has none."""
    for end in {at for one in ends if (at := read_end(one)) is not None}:
        schedules.cancel(schedule_name(cluster, end))


def close_door(
    door: ManagementDoor, schedules: ClosingSchedules, outputs: ClusterOutputs, cluster: str
) -> None:
    """Remove listener, rules, targets and schedules, in this order, and look that they are gone.

    Raises ``AwsUnavailable`` where something is still open afterwards: the caller is retried.
    """
    seen = door.look(outputs)
    if seen is None:
        return
    if seen.listener is not None and seen.listener.until is not None:
        door.stop_listening(seen.listener.arn)
    if seen.rules:
        door.revoke(seen, [rule.rule_id for rule in seen.rules])
    # With ManagementListener=true ECS registers the targets, and they stay.
    if seen.targets and not seen.permanent:
        door.deregister(seen, list(seen.targets))
    cancel_ends(schedules, cluster, seen.ends)
    after = door.look(outputs)
    if after is not None and after.opened:
        raise AwsUnavailable(
            f"The management API of cluster {cluster} is still open after it was closed: "
            f"{len(after.ends)} listeners and rules remain."
        )
