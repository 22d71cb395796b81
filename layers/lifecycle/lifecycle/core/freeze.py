"""A frozen cluster: a tag on its stack makes every machine that would change it refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifecycle.errors import ClusterFrozen

if TYPE_CHECKING:
    from lifecycle.core.stack import Stack

TAG_FROZEN: Final = "camunda:frozen"


def frozen_because(stack: Stack | None) -> str | None:
    """Give the reason for which a cluster is frozen, the tag's value; None when it is not."""
    if stack is None or TAG_FROZEN not in stack.tags:
        return None
    return stack.tags[TAG_FROZEN].strip() or "no reason given"


def refuse_if_frozen(stack: Stack | None) -> None:
    """Raise ``ClusterFrozen`` with the tag's value as the reason.

    To be asked before the first change of an operation, not between two of them: an operation
    that has begun is safer ended than left half-way.
    """
    reason = frozen_because(stack)
    if stack is not None and reason is not None:
        raise ClusterFrozen(f"Stack {stack.name} carries the tag {TAG_FROZEN}: {reason}.")
