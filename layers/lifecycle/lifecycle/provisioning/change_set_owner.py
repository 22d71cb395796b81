"""Which operation made a change set: its description names it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lifecycle.errors import ChangeSetRefused

if TYPE_CHECKING:
    from lifecycle.cluster.stack import ChangeSet


_DESCRIPTION: Final = re.compile(r"plan sha256:([0-9a-f]{64}) made (\S+) by (\S+)")


# Of a change set that a provision machine makes and executes in one go.
_SETTLES: Final = re.compile(r"settle by operation (\S+)")


def settles(operation_id: str) -> str:
    """Description of the change set that an operation makes without a plan."""
    return f"settle by operation {operation_id}"


def is_made_by(found: ChangeSet, operation_id: str) -> bool:
    """Whether a change set's description names this operation as its creator."""
    plan = _DESCRIPTION.fullmatch(found.description)
    settle = _SETTLES.fullmatch(found.description)
    made_by = plan[3] if plan else settle[1] if settle else None
    return made_by == operation_id


def refuse_foreign(found: ChangeSet, operation_id: str) -> None:
    """Raise ``ChangeSetRefused`` for a change set that is there and not this operation's."""
    if found.status != "GONE" and not is_made_by(found, operation_id):
        raise ChangeSetRefused(
            f"The change set {found.name} was not created by operation {operation_id}: its "
            f"description is {found.description!r}.",
            next_step="Nothing was changed, and that change set was left unchanged. Find out who "
            "created it; start again with another operation name.",
        )
