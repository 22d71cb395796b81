"""An operation: one execution of a state machine, and the lock it holds on its cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# Longer than any single wait or function between two renewals, short enough that a cluster is
# not blocked for long when nothing could free it.
LOCK_SECONDS: Final = 15 * 60
# The longest time-out of a function that changes something.
FUNCTION_SECONDS: Final = 110


@dataclass(frozen=True, slots=True)
class Operation:
    """Identity of an operation; ``operation_id`` is the execution's name.

    ``ecs_cluster`` is the name of the ECS cluster that it holds; empty for one that only reads.
    """

    operation_id: str
    execution_arn: str
    cluster: str
    machine: str
    started_at: str
    ecs_cluster: str = ""

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Operation:
        """Read the operation as a state machine carries it."""
        return cls(
            operation_id=state["id"],
            execution_arn=state["executionArn"],
            cluster=state["cluster"],
            machine=state["machine"],
            started_at=state["startedAt"],
            ecs_cluster=state.get("ecsCluster", ""),
        )

    def as_state(self) -> dict[str, str]:
        """Return it as a state machine carries it."""
        return {
            "id": self.operation_id,
            "executionArn": self.execution_arn,
            "cluster": self.cluster,
            "machine": self.machine,
            "startedAt": self.started_at,
            "ecsCluster": self.ecs_cluster,
        }


@dataclass(frozen=True, slots=True)
class Acting:
    """A function that acts for the owner of a lock, and by when it has ended (epoch seconds).

    ``token`` identifies its invocation; empty where none is known.
    """

    token: str
    until: int


@dataclass(frozen=True, slots=True)
class Lock:
    """Who holds an ECS cluster, and until when (epoch seconds).

    The ECS cluster is what operations change: two names for it have one lock.
    ``renewed_at`` is when a function of the owner last began a step. ``expires_at`` is until when
    readers treat the owner as busy; an operation that needs the cluster checks the owner.
    ``acting`` are functions that have begun a step and have not returned.
    """

    ecs_cluster: str
    owner: str
    operation_id: str
    expires_at: int
    renewed_at: int = 0
    acting: frozenset[Acting] = frozenset()

    @property
    def is_of_execution(self) -> bool:
        """Whether the owner is an execution; else it is a function, which states its time."""
        return self.owner.startswith("arn:")


def free_from(lock: Lock, *, ended: bool) -> int:
    """When a lock whose owner does not run may be taken over (epoch seconds).

    Its execution may have been stopped while one of its functions ran. Lambda lets that one run to
    its end, and only at its deadline it certainly does nothing more. With ``ended`` the execution
    is known to have ended: without a function that acts, the lock is free at once. Else it may be
    about to start: then a function's longest time is added to the last sign of it.
    """
    until = max((one.until for one in lock.acting), default=0)
    if ended:
        return until
    if not lock.is_of_execution:
        return until or lock.expires_at
    return max(until, lock.renewed_at + FUNCTION_SECONDS)
