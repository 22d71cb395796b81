"""In-memory fake of the way to the management API at one web load balancer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle.cluster.management_access import OPEN_UNTIL, Listener, ManagementAccess, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from lifecycle.cluster.contract import ClusterOutputs

CLOSED = ManagementAccess(
    balancer="arn:balancer",
    dns_name="internal-demo.example",
    scheme="internal",
    security_groups=("sg-web",),
    target_group="arn:management",
)


@dataclass
class FakeManagementDoor:
    """``now`` is what is there; ``gone`` that there is no load balancer any more.

    Targets are healthy as soon as a listener forwards to them, if ``serves``; before that they are
    unused. ``between`` is called before each change, with its name.
    """

    now: ManagementAccess = CLOSED
    gone: bool = False
    serves: bool = True
    changes: list[str] = field(default_factory=list)
    between: Callable[[str], None] = lambda _: None
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def look(self, cluster: ClusterOutputs) -> ManagementAccess | None:
        """What there is."""
        if self.gone:
            return None
        state = "unused"
        if self.now.listener is not None:
            state = "healthy" if self.serves else "unhealthy"
        permanent = cluster.get("ManagementListener") == "true"
        return replace(
            self.now, targets=dict.fromkeys(self.now.targets, state), permanent=permanent
        )

    def _change(self, name: str) -> None:
        self.between(name)
        self.changes.append(name)

    def register(self, access: ManagementAccess, addresses: Collection[str]) -> None:
        """Register targets."""
        del access
        self._change("register")
        targets = {**self.now.targets, **dict.fromkeys(addresses, "unused")}
        self.now = replace(self.now, targets=targets)

    def deregister(self, access: ManagementAccess, addresses: Collection[str]) -> None:
        """Deregister targets."""
        del access
        self._change("deregister")
        left = {one: state for one, state in self.now.targets.items() if one not in addresses}
        self.now = replace(self.now, targets=left)

    def allow(
        self, access: ManagementAccess, cidrs: Collection[str], tags: Mapping[str, str]
    ) -> None:
        """Add rules."""
        del access
        self._change("allow")
        there = {rule.source for rule in self.now.rules}
        new = [
            Rule(f"sgr-{next(self.numbers)}", cidr, tags[OPEN_UNTIL])
            for cidr in cidrs
            if cidr not in there
        ]
        self.now = replace(self.now, rules=(*self.now.rules, *new))

    def revoke(self, access: ManagementAccess, rule_ids: Collection[str]) -> None:
        """Remove rules."""
        del access
        self._change("revoke")
        left = tuple(rule for rule in self.now.rules if rule.rule_id not in rule_ids)
        self.now = replace(self.now, rules=left)

    def listen(self, access: ManagementAccess, tags: Mapping[str, str]) -> None:
        """Add the listener; one that is there stays as it is."""
        del access
        self._change("listen")
        if self.now.listener is None:
            self.now = replace(self.now, listener=Listener("arn:listener", tags[OPEN_UNTIL]))

    def stop_listening(self, listener: str) -> None:
        """Remove the listener."""
        self._change("stop")
        if self.now.listener is not None and self.now.listener.arn == listener:
            self.now = replace(self.now, listener=None)

    def mark(self, access: ManagementAccess, until: str) -> None:
        """Give what is open another end."""
        self._change("mark")
        kept = {rule.rule_id for rule in access.rules}
        rules = tuple(
            replace(rule, until=until) if rule.rule_id in kept else rule for rule in self.now.rules
        )
        listener = self.now.listener
        if listener is not None and listener.until is not None:
            listener = replace(listener, until=until)
        self.now = replace(self.now, rules=rules, listener=listener)
