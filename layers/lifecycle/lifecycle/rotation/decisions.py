"""Rotating one secret: what is seen, what follows, and why.

A value goes through the stages of Secrets Manager: it is made as AWSPENDING, applied, proved by a
login, becomes AWSCURRENT, and the rotation is over when the former value is refused. What is there
decides, not what was done: a rotation that was interrupted anywhere is continued with the value
that it made, and no second one is made beside it.

Camunda's administrator and Aurora's change their own password. The connectors do not: Camunda has
one password for a user, so that running connectors would be refused from the change until they are
replaced. Their two users take turns. The next one gets the new password and the memberships of the
present one, no more and no fewer, the connectors are replaced by tasks that log in as it, and only
then the former user gets a random password that is not stored. AWS calls this the alternating users
strategy:
https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotation-strategy.html
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from lifecycle.errors import RotationRefused
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
    ALIGN = "ALIGN"
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
    what it has done for this secret. Of the connectors, until the next user is in use: ``lacking``
    are the memberships that the next user lacks, ``surplus`` those that only it has, ``own`` the
    users with authorizations of their own ("2 of connectors").
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
    surplus: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


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


# As the cluster's template makes it.
CONNECTORS_USER: Final = "connectors"


def next_user(username: str) -> str:
    """Return the user of the connectors whose turn is next, without end: two take turns."""
    if username.endswith(_SECOND):
        return username.removesuffix(_SECOND)
    return username + _SECOND


def refuse_foreign_user(
    secret: Secret, current: str, pending: str | None, previous: str | None
) -> None:
    """Refuse a secret whose versions name another user than this one's (user names, None: absent).

    The administrator sets the password of the user that a version names: a name that was put there
    would make its writer that user. Raises ``RotationRefused``.
    """
    if secret is Secret.CONNECTORS:
        ours = (CONNECTORS_USER, next_user(CONNECTORS_USER))
        wanted = {"AWSCURRENT": ours, "AWSPENDING": (next_user(current),), "AWSPREVIOUS": ours}
    else:
        wanted = {"AWSPENDING": (current,)}
    named = {"AWSCURRENT": current, "AWSPENDING": pending, "AWSPREVIOUS": previous}
    for stage, allowed in wanted.items():
        user = named[stage]
        if user is not None and user not in allowed:
            raise RotationRefused(
                f"{stage} of secret {secret} names the user {user!r}; allowed is "
                f"{' or '.join(allowed)}. No password was changed.",
                next_step="Find out who wrote that version (CloudTrail, PutSecretValue). Remove "
                f"its stage {stage} or put the right value there, then start the same request "
                "again.",
            )


def decide_rotation(observed: RotationObserved) -> RotationDecision:
    """Decide the next action towards the target being the only value that is accepted.

    Raises ``RotationRefused``: what is in use (AWSCURRENT) was not changed.
    """
    if not observed.target:
        return _begin(observed)
    target = _target(observed)
    if target is None:
        # DescribeSecret is eventually consistent: right after a change it may show what was before.
        reason = (
            f"Secrets Manager shows version {observed.target} neither as AWSPENDING nor as "
            "AWSCURRENT: not yet, or another client moved its stages"
        )
        return RotationDecision(RotationAction.WAIT, reason, observed.target)
    where = _SYSTEM[observed.secret]

    def decision(action: RotationAction, reason: str) -> RotationDecision:
        in_use = target is observed.current and target.accepted
        return RotationDecision(action, reason, target.version_id, in_use)

    if not target.accepted:
        if observed.applied:
            return decision(RotationAction.WAIT, f"{where} does not accept the new value yet")
        return decision(RotationAction.APPLY, f"{where} gets the new value")
    if observed.secret is Secret.CONNECTORS and target is observed.pending:
        _refuse_unequal(observed)
    if observed.lacking or observed.surplus:
        return decision(RotationAction.ALIGN, _alignment(observed))
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
    _refuse_own(observed)
    return RotationDecision(RotationAction.CREATE, "a new value is made as AWSPENDING", "")


def _alignment(observed: RotationObserved) -> str:
    changes = []
    if observed.lacking:
        changes.append(f"gets what it lacks: {_few(observed.lacking)}")
    if observed.surplus:
        changes.append(f"loses what the present one does not have: {_few(observed.surplus)}")
    return f"the next user {', and '.join(changes)}"


def _few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _refuse_unequal(observed: RotationObserved) -> None:
    """Refuse to use the next user where it cannot be known to have the present one's rights."""
    if not observed.current.accepted:
        raise RotationRefused(
            "Camunda refuses the value that secret connectors has now (AWSCURRENT), so the "
            "memberships of the present user, which the next one has to have, are not known."
        )
    _refuse_own(observed)


def _refuse_own(observed: RotationObserved) -> None:
    """Refuse two users of whom one has authorizations: they are of the user and not transferred."""
    if observed.own:
        raise RotationRefused(
            "The users of the connectors take turns and need the same rights, but there are "
            f"authorizations of a user itself: {', '.join(observed.own)}.",
            next_step="Give them to the role connectors, or to a group or role of the user, "
            "delete those of the user, then start the same request again.",
        )


def _target(observed: RotationObserved) -> Version | None:
    """Return the version that is rotated to; None where no stage shows it."""
    known = [one for one in (observed.pending, observed.current) if one is not None]
    target = next((one for one in known if one.version_id == observed.target), None)
    if target is None:
        return None
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
