"""Ways in that are open for a limited time, as AWS shows them by the tag that holds their end.

The management API of the brokers has no authentication, so that nothing forwards to it unless a
person opens it. What was opened carries its own end, so that no other record of it is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

OPEN_UNTIL: Final = "camunda:open-until"
"""Tag of a listener and of security group rules that ``manage`` made, and of nothing else."""
PORT: Final = 9600


@dataclass(frozen=True, slots=True)
class Listener:
    """What listens on the management port; ``until`` is None where ``manage`` did not open it."""

    arn: str
    until: str | None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the load balancer's security group that ``manage`` made for one IPv4 range."""

    rule_id: str
    source: str
    until: str


@dataclass(frozen=True, slots=True)
class ManagementAccess:
    """The way to the management API through the web load balancer.

    ``targets`` are the registered addresses with the state that the load balancer reports;
    ``permanent`` shows that the stack itself opens it (ManagementListener). ``taken`` are ranges
    that a rule which ``manage`` did not make lets in to the port already.
    """

    balancer: str
    dns_name: str
    scheme: str
    security_groups: tuple[str, ...]
    target_group: str
    permanent: bool = False
    listener: Listener | None = None
    rules: tuple[Rule, ...] = ()
    targets: Mapping[str, str] = field(default_factory=dict)
    taken: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Where the management API answers while it is open."""
        return f"http://{self.dns_name}:{PORT}"

    @property
    def ends(self) -> tuple[str, ...]:
        """The end that each opened part carries, as it is written."""
        listener = self.listener
        own = () if listener is None or listener.until is None else (listener.until,)
        return (*own, *(rule.until for rule in self.rules))

    @property
    def opened(self) -> bool:
        """Whether anything is open that ``manage`` opened."""
        return bool(self.ends)

    @property
    def forgotten(self) -> bool:
        """Whether targets are left of an opening that stopped before it opened anything.

        An address of a broker that is gone may become that of another task.
        """
        left = any(state != "draining" for state in self.targets.values())
        return left and not self.permanent and not self.opened

    @property
    def end(self) -> datetime | None:
        """The latest end that can be read; None where nothing is open, or no end can be read."""
        return max((at for one in self.ends if (at := read_end(one)) is not None), default=None)


def read_end(text: str) -> datetime | None:
    """Read the value of the tag; None for what is no moment with a time zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if at.tzinfo is None else at.astimezone(UTC)


def is_over(access: ManagementAccess, now: datetime) -> bool:
    """Whether something is open whose end has come; an end that cannot be read has come."""
    return access.opened and (access.end is None or access.end <= now)
