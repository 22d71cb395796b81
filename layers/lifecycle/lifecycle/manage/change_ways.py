"""Open the management API for a limited time, or close it: look, change, look again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.management_access import OPEN_UNTIL
from lifecycle.cluster.names import TAG_CLUSTER, TAG_CONTROL_PLANE
from lifecycle.cluster.polling import SHORTEST, Wait
from lifecycle.errors import ManagementNotServed, ManageRefused, StackNotUsable
from lifecycle.manage.close_ways import cancel_ends, close_door, schedule_name
from lifecycle.manage.decisions import PATIENCE, decide_opening, refuse_opening
from lifecycle.manage.request import Action
from lifecycle.operation.steps import WAY_CHANGED
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.management_access import ManagementAccess
    from lifecycle.manage.decisions import Opening
    from lifecycle.manage.ports import ClosingSchedules, ManagementDoor
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.services.ports import BrokerTasks

WARNING: Final = (
    "The management API has no authentication: every client that reaches it can read everything "
    "and delete all data."
)


@dataclass(frozen=True, slots=True)
class WayChanger:
    """The use case and its ports; ``vpc_cidr`` is let in where a request names no range."""

    door: ManagementDoor
    tasks: BrokerTasks
    schedules: ClosingSchedules
    journal: Journal
    control_stack: str
    vpc_cidr: str

    def change(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        *,
        request: Mapping[str, Any],
        memory: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Take the next step; repeating it is harmless.

        ``request`` is the validated one, ``memory`` what the last look returned, empty at first.
        Returns ``status`` ``DONE`` with ``managementAccess`` for the report, or ``WAITING`` with
        ``wait`` (seconds) and ``memory``. Raises ``ManageRefused`` before anything is opened, and
        ``ManagementNotServed`` when no broker answers through the load balancer; then it is closed.
        """
        seen = self.door.look(cluster)
        if seen is None:
            raise StackNotUsable(
                f"Cluster {operation.cluster} has no web load balancer any more.",
                next_step="Check the stack's resources; provision the cluster again.",
            )
        if request["action"] == Action.CLOSE:
            return self._close(operation, cluster, seen)
        return self._open(operation, cluster, seen, request, memory)

    def _open(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        seen: ManagementAccess,
        request: Mapping[str, Any],
        memory: Mapping[str, Any],
    ) -> dict[str, Any]:
        now = self.journal.clock.now()
        end = _end(operation, int(request["minutes"]))
        cidrs = tuple(request["cidrs"]) or (self.vpc_cidr,)
        refuse_opening(seen, end, now, cidrs=cidrs)
        service = self.tasks.observe(cluster.ecs_cluster, cluster.orchestration_service)
        addresses = [task.address for task in service.running]
        if not addresses:
            raise ManageRefused("No broker runs, so that there is nothing to forward to.")
        until = _written(end)
        decision = decide_opening(seen, cidrs=cidrs, until=until, addresses=addresses)
        self.journal.look(operation, WAY_CHANGED, decision.reason)
        if not decision.settled:
            self.journal.change(operation, "it opened the management API")
            self._apply(operation, seen, decision, end)
            # The next look shows whether all of it is there; nothing is taken on trust.
            return _waiting(SHORTEST, {})
        if decision.serves:
            return {
                "status": "DONE",
                "managementAccess": _opened(seen, cidrs, end, operation.cluster),
            }
        wait = Wait.at(until, epoch(now), Wait.read(memory.get("waited")))
        if wait.lasted(PATIENCE, epoch(now)):
            close_door(self.door, self.schedules, cluster, operation.cluster)
            raise ManagementNotServed(
                f"No broker was healthy behind port 9600 of the load balancer for "
                f"{PATIENCE // 60} minutes ({decision.reason}); it was closed again."
            )
        return _waiting(SHORTEST, {"waited": wait.as_state()})

    def _apply(
        self, operation: Operation, seen: ManagementAccess, decision: Opening, end: datetime
    ) -> None:
        """Bring about what is missing; the schedule that closes it comes first."""
        until = _written(end)
        name = schedule_name(operation.cluster, end)
        self.schedules.once(name, at=end, payload={"cluster": operation.cluster})
        tags = {
            TAG_CONTROL_PLANE: self.control_stack,
            TAG_CLUSTER: operation.cluster,
            OPEN_UNTIL: until,
        }
        if decision.deregister:
            self.door.deregister(seen, decision.deregister)
        if decision.register:
            self.door.register(seen, decision.register)
        if decision.revoke:
            self.door.revoke(seen, decision.revoke)
        if decision.mark:
            kept = tuple(rule for rule in seen.rules if rule.rule_id not in decision.revoke)
            self.door.mark(replace(seen, rules=kept), until)
            # The former end has no part any more; its schedule would find nothing to close.
            cancel_ends(self.schedules, operation.cluster, set(seen.ends) - {until})
        if decision.allow:
            self.door.allow(seen, decision.allow, tags)
        if decision.listen:
            self.door.listen(seen, tags)

    def _close(
        self, operation: Operation, cluster: ClusterOutputs, seen: ManagementAccess
    ) -> dict[str, Any]:
        reason = "closing what is open" if seen.opened else "nothing is open"
        self.journal.look(operation, WAY_CHANGED, reason)
        if seen.opened or (seen.targets and not seen.permanent):
            self.journal.change(operation, "it closed the management API")
            close_door(self.door, self.schedules, cluster, operation.cluster)
        return {"status": "DONE", "managementAccess": {"open": False, "wasOpen": seen.opened}}


def _end(operation: Operation, minutes: int) -> datetime:
    """The minutes count from the start of the execution, so that a retry moves no end."""
    return datetime.fromisoformat(operation.started_at).replace(microsecond=0) + timedelta(
        minutes=minutes
    )


def _written(end: datetime) -> str:
    return f"{end:%Y-%m-%dT%H:%M:%SZ}"


def _waiting(seconds: int, memory: Mapping[str, Any]) -> dict[str, Any]:
    return {"status": "WAITING", "wait": seconds, "memory": dict(memory)}


def _opened(
    seen: ManagementAccess, cidrs: tuple[str, ...], end: datetime, cluster: str
) -> dict[str, Any]:
    return {
        "open": True,
        "url": seen.url,
        "until": _written(end),
        "from": list(cidrs),
        "warning": WARNING,
        "close": f"DELETE /clusters/{cluster}/management-access closes it before its end",
    }
