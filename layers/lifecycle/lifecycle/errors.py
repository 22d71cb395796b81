"""Errors that state machines and callers catch by class name. A class name is API.

Each message says what is true; ``next_step`` says what the operator can do.
"""

from __future__ import annotations


class LifecycleError(Exception):
    """Base of every error that this project raises on purpose."""

    default_next_step = "See the runbook: docs/runbook.md."

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        self.message = message
        self.next_step = next_step or self.default_next_step
        super().__init__(f"{message} Next: {self.next_step}")


class InvalidRequest(LifecycleError):
    """The input cannot be accepted; nothing was changed."""

    default_next_step = "Correct the fields named and start again; nothing was changed."

    def __init__(
        self,
        message: str,
        *,
        problems: tuple[dict[str, str], ...] = (),
        next_step: str | None = None,
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.problems = problems


class ClusterBusy(LifecycleError):
    """Another operation holds the cluster."""

    default_next_step = "Wait until that operation ends, then start again."


class LockLost(LifecycleError):
    """The cluster's lock went to another operation while this one ran."""

    default_next_step = "Look at the operation named, then start this one again."


class StackNotUsable(LifecycleError):
    """The stack is in a state that needs a person's decision."""


class ChangeSetRefused(LifecycleError):
    """CloudFormation, or this product's rules, refused the change set; nothing was executed."""


class StackFailed(LifecycleError):
    """A resource of the stack could not be created or updated."""


class DatabaseNotReady(LifecycleError):
    """The database is starting or not reachable yet; trying again is right."""


class DatabaseUnreachable(LifecycleError):
    """No connection to the database within the time allowed."""


class DatabaseAuthenticationFailed(LifecycleError):
    """The database refused the admin or the IAM user."""


class MissingRdsIam(LifecycleError):
    """The server has no ``rds_iam`` role: IAM authentication is not enabled on it."""


class DatabaseRefused(LifecycleError):
    """The database refused a statement for a reason that repeating will not change."""


class ManagementUnavailable(LifecycleError):
    """No broker answered the management API."""


class ManagementRefused(LifecycleError):
    """The management API gave a definite refusal (HTTP 4xx)."""


class ManagementAmbiguous(LifecycleError):
    """A write got no definite answer; what happened must be read, never assumed."""


class StartFailed(LifecycleError):
    """A service could not be started; the message carries the reason that ECS gives."""


class VerificationFailed(LifecycleError):
    """The cluster runs but a check of it failed."""
