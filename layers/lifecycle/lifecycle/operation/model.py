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


@dataclass(frozen=True, slots=True)
class Lock:
    """Who holds an ECS cluster, and until when (epoch seconds).

    The ECS cluster is what operations change: two names for it have one lock.
    ``renewed_at`` is when a function of the owner last began a step. ``expires_at`` is until when
    readers treat the owner as busy; an operation that needs the cluster checks the owner.
    """

    ecs_cluster: str
    owner: str
    operation_id: str
    expires_at: int
    renewed_at: int = 0


def free_from(lock: Lock) -> int:
    """When the lock of an owner that has ended may be taken over (epoch seconds).

    Its execution may have been stopped while one of its functions ran. Lambda lets that one run to
    its end, and only after its time-out it certainly does nothing more.
    """
    return lock.renewed_at + FUNCTION_SECONDS
