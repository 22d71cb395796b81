"""What a scale request may contain. The same validation for API, console and plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.names import CLUSTER_NAME_RULE, is_cluster_name
from lifecycle.cluster.validation import Problem, invalid
from lifecycle.operation import approval
from lifecycle.operation.approval import Reviewed, read_approves
from lifecycle.operation.idempotency import canonical
from lifecycle.preflight.backup_gate import ACCEPT, read_waiver
from lifecycle.provisioning.request import read_goal

if TYPE_CHECKING:
    from lifecycle.services.images import Version

SCALE_FIELDS: Final = ("clusterName", "count", "partitions", approval.FIELD, ACCEPT)


@dataclass(frozen=True, slots=True)
class ScaleRequest:
    """A scale request after validation: ``count`` brokers or so many partitions, the other 0.

    ``approves`` is the operation of the plan that another principal made; empty for none.
    ``accept_no_backup``: it goes on where no backup is fresh.
    """

    cluster: str
    count: int
    partitions: int = 0
    approves: str = ""
    accept_no_backup: bool = False


def read_scale_request(raw: object) -> ScaleRequest:
    """Validate the input of the scale machine: ``{"clusterName": "demo", "count": 4}``.

    Or ``{"clusterName": "demo", "partitions": 6}``. Raises ``InvalidRequest`` that lists every
    problem.
    """
    if not isinstance(raw, Mapping):
        raise invalid([Problem("(input)", raw, "a JSON object with clusterName and count")])
    problems = [
        Problem(
            str(name) or "(empty name)",
            raw[name],
            f"nothing: the fields are clusterName, count or partitions, approves and {ACCEPT}",
        )
        for name in raw
        if name not in SCALE_FIELDS
    ]
    cluster = raw.get("clusterName")
    if not is_cluster_name(cluster):
        problems.append(Problem("clusterName", cluster, CLUSTER_NAME_RULE))
    approves, unreadable = read_approves(raw)
    accepted, unclear = read_waiver(raw)
    goal, wrong = read_goal(raw, "")
    if problems or wrong or unreadable or unclear:
        raise invalid([*problems, *wrong, *unreadable, *unclear])
    return ScaleRequest(str(cluster), goal.count, goal.partitions, approves, accepted)


def reviewed_scaling(cluster: str, count: int, partitions: int, approves: str) -> Reviewed:
    """Return what has to be reviewed before brokers or partitions are scaled."""
    goal = {"partitions": partitions} if partitions else {"count": count}
    return Reviewed(
        cluster, approves, "plan", (canonical({"clusterName": cluster, "scale": goal}),)
    )


def refuse_below(count: int, factor: int) -> None:
    """Refuse fewer brokers than the replication factor; 0 where no count is requested.

    Raises ``InvalidRequest``.
    """
    if 0 < count < factor:
        allowed = f"at least {factor}, the replication factor: each partition has {factor} copies"
        raise invalid([Problem("count", count, allowed)])


def refuse_idle(count: int, *, partitions: int, factor: int, version: Version | None) -> None:
    """Refuse brokers that would hold no partition, where such a broker never becomes ready.

    ``version`` None is not known; nothing is refused then: the machine queries the brokers.
    See ``request._idle_brokers``. Raises ``InvalidRequest``.
    """
    most = partitions + factor - 1
    if count <= most or version is None or version >= (8, 10, 0):
        return
    shown = ".".join(map(str, version))
    allowed = (
        f"at most {most} ({partitions} partitions + replication factor {factor} - 1) on {shown}: "
        "one more would hold no partition, and a broker without a partition never becomes ready "
        "before 8.10"
    )
    raise invalid([Problem("count", count, allowed)])
