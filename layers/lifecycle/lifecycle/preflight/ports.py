"""Ports of this room: the account, its region and its network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lifecycle.preflight.checks import Facts, Need


class Account(Protocol):
    """The account with its region and network, read only."""

    def facts(self, need: Need) -> Facts:
        """Read what a change needs; what cannot be read is None in the answer, with the reason."""
        ...
