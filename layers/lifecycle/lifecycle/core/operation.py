"""An operation: one execution of a state machine, and the lock it holds on its cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

# Longer than any single wait or function between two renewals, short enough that a cluster is
# not blocked for long when nobody could free it.
LOCK_SECONDS: Final = 15 * 60


@dataclass(frozen=True, slots=True)
class Operation:
    """Identity of an operation; ``operation_id`` is the execution's name."""

    operation_id: str
    execution_arn: str
    cluster: str
    machine: str
    started_at: str

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Operation:
        """Read the operation as a state machine carries it."""
        return cls(
            operation_id=state["id"],
            execution_arn=state["executionArn"],
            cluster=state["cluster"],
            machine=state["machine"],
            started_at=state["startedAt"],
        )


@dataclass(frozen=True, slots=True)
class Lock:
    """Who holds a cluster, and until when (epoch seconds)."""

    cluster: str
    owner: str
    operation_id: str
    expires_at: int


class LockDecision(StrEnum):
    """What to do about a lock that is in the way."""

    REFUSE = "REFUSE"
    ASK_OWNER = "ASK_OWNER"


def on_foreign_lock(lock: Lock, now: int) -> LockDecision:
    """Decide about somebody else's lock: only an expired one is worth asking its owner about."""
    return LockDecision.ASK_OWNER if lock.expires_at <= now else LockDecision.REFUSE
