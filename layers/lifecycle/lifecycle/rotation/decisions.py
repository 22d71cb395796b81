"""Rotating one secret: what is seen, what follows, and why.

A value goes through the stages of Secrets Manager: it is made as AWSPENDING, applied, proved by a
login, becomes AWSCURRENT, and the rotation is over when the former value is refused. What is there
decides, not what was done: a rotation that was interrupted anywhere is continued with the value
that it made, and no second one is made beside it.

Camunda's administrator and Aurora's change their own password. The connectors do not: Camunda has
one password for a user, so that running connectors would be refused from the change until they are
replaced. Their two users take turns. The next one gets the new password and all that the present
one may do, the connectors are replaced by tasks that log in as it, and only then the former user
gets a random password that is not stored. AWS calls this the alternating users strategy:
https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotation-strategy.html
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from lifecycle.errors import RotationFailed, RotationRefused
from lifecycle.rotation.request import Secret

# Seconds without progress. Camunda exports a change of a user before a login can show it.
PATIENCE: Final = 5 * 60
_SECOND: Final = "-b"
_SYSTEM: Final = {
    Secret.ADMIN: "Camunda",
    Secret.CONNECTORS: "Camunda",
    Secret.DATABASE: "Aurora",
}


class RotationAction(StrEnum):
    """What is done next."""

    CREATE = "CREATE"
    APPLY = "APPLY"
    GRANT = "GRANT"
    PROMOTE = "PROMOTE"
    RESTART = "RESTART"
    RETIRE = "RETIRE"
    WAIT = "WAIT"
    DONE = "DONE"


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a secret, and whether a login with its value is accepted."""

    version_id: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class RotationObserved:
    """Everything that one decision about one secret rests on.

    ``current``, ``pending`` and ``previous`` are the versions with these stages; a former value
    that equals the present one is no former one. ``target`` is the id of the version that this
    operation rotates to, empty before it is chosen; ``applied``, ``restarted`` and ``retired`` are
    what it has done for this secret. ``lacking`` are the memberships that the next user of the
    connectors lacks, ``own`` is the number of authorizations that the present one has of its own.
    """

    secret: Secret
    current: Version
    pending: Version | None = None
    previous: Version | None = None
    target: str = ""
    applied: bool = False
    restarted: bool = False
    retired: bool = False
    lacking: tuple[str, ...] = ()
    own: int = 0


@dataclass(frozen=True, slots=True)
class RotationDecision:
    """The next action and why; ``target`` is the version aimed at, empty before it is made.

    ``in_use`` shows that the new value is AWSCURRENT and accepted, so that only the former one is
    left.
    """

    action: RotationAction
    reason: str
    target: str
    in_use: bool = False


def next_user(username: str) -> str:
    """Return the user of the connectors whose turn is next, without end: two take turns."""
    if username.endswith(_SECOND):
        return username.removesuffix(_SECOND)
    return username + _SECOND


def decide_rotation(observed: RotationObserved) -> RotationDecision:
    """Decide the next action towards the target being the only value that is accepted.

    Raises ``RotationRefused`` (this secret was not changed) and ``RotationFailed``.
    """
    if not observed.target:
        return _begin(observed)
    target = _target(observed)
    where = _SYSTEM[observed.secret]

    def decision(action: RotationAction, reason: str) -> RotationDecision:
        in_use = target is observed.current and target.accepted
        return RotationDecision(action, reason, target.version_id, in_use)

    if not target.accepted:
        if observed.applied:
            return decision(RotationAction.WAIT, f"{where} does not accept the new value yet")
        return decision(RotationAction.APPLY, f"{where} gets the new value")
    if observed.lacking:
        missing = ", ".join(observed.lacking[:3])
        return decision(RotationAction.GRANT, f"the next user gets what it lacks: {missing}")
    if target is observed.pending:
        return decision(RotationAction.PROMOTE, f"{where} accepts the new value")
    if not observed.restarted:
        return decision(RotationAction.RESTART, "the tasks that use it are replaced")
    former = observed.previous
    if former is not None and former.accepted:
        if observed.secret is Secret.CONNECTORS and not observed.retired:
            reason = "the former user gets a random password that is not stored"
            return decision(RotationAction.RETIRE, reason)
        return decision(RotationAction.WAIT, f"{where} still accepts the former value")
    return decision(RotationAction.DONE, f"{where} refuses the former value")


def _begin(observed: RotationObserved) -> RotationDecision:
    """Choose the target: what an earlier rotation left behind, or else a new value."""
    if observed.pending is not None:
        return decide_rotation(replace(observed, target=observed.pending.version_id))
    if observed.previous is not None and observed.previous.accepted:
        return decide_rotation(replace(observed, target=observed.current.version_id))
    where = _SYSTEM[observed.secret]
    if not observed.current.accepted:
        raise RotationRefused(
            f"{where} refuses the value that secret {observed.secret} has now (AWSCURRENT), so "
            "nothing can be changed with it."
        )
    if observed.own:
        raise RotationRefused(
            f"The user of the connectors has {observed.own} authorizations of its own, which the "
            "user that takes turns with it would lack.",
            next_step="Give them to the role connectors, or to a group or role of that user, "
            "delete those of the user, then start the same request again.",
        )
    return RotationDecision(RotationAction.CREATE, "a new value is made as AWSPENDING", "")


def _target(observed: RotationObserved) -> Version:
    known = [one for one in (observed.pending, observed.current) if one is not None]
    target = next((one for one in known if one.version_id == observed.target), None)
    if target is None:
        raise RotationFailed(
            f"The version that secret {observed.secret} was rotated to is neither AWSPENDING nor "
            "AWSCURRENT any more: another client moved its stages."
        )
    if observed.previous is not None:
        known.append(observed.previous)
    # The connectors' users are changed by the administrator, the others by themselves.
    by_itself = observed.secret is not Secret.CONNECTORS
    if by_itself and not observed.applied and not any(one.accepted for one in known):
        raise RotationRefused(
            f"{_SYSTEM[observed.secret]} accepts no value that secret {observed.secret} has or "
            "had, so it cannot be changed with any of them."
        )
    return target
