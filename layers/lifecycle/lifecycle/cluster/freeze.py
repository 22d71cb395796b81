"""A frozen cluster: a tag on its stack makes every machine that would change it refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifecycle.errors import ClusterFrozen

if TYPE_CHECKING:
    from collections.abc import Mapping

TAG_FROZEN: Final = "camunda:frozen"


def frozen_because(tags: Mapping[str, str]) -> str | None:
    """Return the reason for which a cluster is frozen, the tag's value; None when it is not."""
    if TAG_FROZEN not in tags:
        return None
    return tags[TAG_FROZEN].strip() or "no reason was given"


def refuse_if_frozen(stack: str, tags: Mapping[str, str]) -> None:
    """Raise ``ClusterFrozen`` with the tag's value as the reason, if the stack carries the tag.

    To be checked before the first change of an operation, not between two of them: an operation
    that has begun is safer completed than left incomplete.
    """
    reason = frozen_because(tags)
    if reason is not None:
        raise ClusterFrozen(
            f"Stack {stack} is frozen by its tag {TAG_FROZEN}: {reason}. Nothing was changed.",
            next_step=f"Once the reason no longer applies, remove the tag {TAG_FROZEN} from the "
            "stack, then start again.",
        )
