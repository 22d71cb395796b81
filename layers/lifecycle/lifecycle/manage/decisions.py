"""What opening and closing the management API takes, from what is there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from lifecycle.errors import ManageRefused

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from lifecycle.cluster.management_access import ManagementAccess

# How long no target may be healthy after opening: two checks of 10 s, and what registering takes.
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
PATIENCE: Final = 3 * 60
# Nothing is opened that would be closed before anybody can use it.
SHORTEST: Final = timedelta(minutes=1)
# A schedule has a precision of 60 s, and Lambda retries.
# https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
OVERDUE: Final = timedelta(minutes=5)
_SERVES: Final = "healthy"


@dataclass(frozen=True, slots=True)
class Opening:
    """What is still to be done to have the port open as it was requested.

    ``register`` and ``deregister`` are addresses, ``allow`` ranges, ``revoke`` ids of rules;
    ``mark`` shows that something open carries another end. ``serves``: a target is healthy.
    """

    register: tuple[str, ...]
    deregister: tuple[str, ...]
    allow: tuple[str, ...]
    revoke: tuple[str, ...]
    listen: bool
    mark: bool
    serves: bool
    reason: str

    @property
    def settled(self) -> bool:
        """Whether nothing is left to change."""
        parts = (self.register, self.deregister, self.allow, self.revoke)
        return not any(parts) and not self.listen and not self.mark


def refuse_opening(
    access: ManagementAccess, until: datetime, now: datetime, *, cidrs: Collection[str]
) -> None:
    """Raise ``ManageRefused`` where the port must not be opened, or is not ours to open."""
    if access.permanent:
        raise ManageRefused(
            "The stack has ManagementListener=true, so that the management API is open without an "
            "end already.",
            next_step=f"Use {access.url}; to open it for a limited time only, provision the "
            "cluster with ManagementListener=false first.",
        )
    if access.scheme != "internal":
        raise ManageRefused(
            f"The web load balancer is {access.scheme}; the management API, which has no "
            "authentication, is opened on an internal one only."
        )
    if len(access.security_groups) != 1:
        raise ManageRefused(
            f"The web load balancer has {len(access.security_groups)} security groups; it was "
            "built with one, to which a rule is added."
        )
    if access.listener is not None and access.listener.until is None:
        raise ManageRefused(
            f"Port 9600 of the web load balancer has a listener that was not opened here "
            f"({access.listener.arn}).",
            next_step="Delete that listener, then start the same request again.",
        )
    if taken := sorted(set(cidrs) & set(access.taken)):
        raise ManageRefused(
            f"Security group {access.security_groups[0]} already lets {', '.join(taken)} in to "
            "port 9600 by a rule that was not made here: it would stay beyond the end.",
            next_step="Remove that rule, or name other ranges; then start again.",
        )
    if until - now < SHORTEST:
        raise ManageRefused(
            f"The end, {until:%Y-%m-%d %H:%M:%S} UTC, has come already: the minutes count from the "
            "start of the operation."
        )


def decide_opening(
    access: ManagementAccess, *, cidrs: Collection[str], until: str, addresses: Collection[str]
) -> Opening:
    """Decide what is missing; ``addresses`` are those of the brokers that run.

    Brokers that were replaced leave addresses behind that another task may get: they go.
    """
    draining = {one for one, state in access.targets.items() if state == "draining"}
    registered = set(access.targets) - draining
    allowed = {rule.source: rule for rule in access.rules}
    healthy = sum(1 for state in access.targets.values() if state == _SERVES)
    listens = access.listener is not None
    return Opening(
        register=tuple(sorted(set(addresses) - registered)),
        deregister=tuple(sorted(registered - set(addresses))),
        allow=tuple(sorted(set(cidrs) - set(allowed))),
        revoke=tuple(
            sorted(rule.rule_id for rule in access.rules if rule.source not in set(cidrs))
        ),
        listen=not listens,
        mark=any(one != until for one in access.ends),
        serves=healthy > 0,
        reason=f"{'a listener' if listens else 'no listener'} on port 9600, "
        f"{len(access.rules)} of our rules, {healthy} of {len(access.targets)} targets healthy",
    )
