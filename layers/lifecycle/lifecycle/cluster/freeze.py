"""A frozen cluster: every machine that would change it rejects its requests.

A freeze stands in the table, where its own route of the API sets and lifts it. A tag on the stack
freezes as well; it needs the right to update the stack.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.names import CLUSTER_NAME_RULE, is_cluster_name
from lifecycle.cluster.validation import Problem, invalid
from lifecycle.errors import ClusterFrozen

if TYPE_CHECKING:
    from collections.abc import Mapping

TAG_FROZEN: Final = "camunda:frozen"
REASON_PATTERN: Final = (
    r"[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,198}[^\s\x00-\x1f\x7f-\x9f])?"
)
REASON_RULE: Final = "1 to 200 characters on one line, without spaces at its ends"


@dataclass(frozen=True, slots=True)
class Freeze:
    """A freeze in the table: why, since when (ISO 8601), and by whom (ARN; empty if unknown)."""

    reason: str
    since: str
    by: str = ""

    def document(self) -> dict[str, Any]:
        """Return the freeze as the API returns it."""
        return {**asdict(self), "by": self.by or None}


def read_reason(raw: Mapping[str, object]) -> str:
    """Read a request to freeze: ``{"clusterName": "demo", "reason": "…"}``.

    Raises ``InvalidRequest`` that names every wrong field.
    """
    problems = [
        Problem(str(name) or "(empty name)", raw[name], "nothing: the field is reason")
        for name in raw
        if name not in {"clusterName", "reason"}
    ]
    if not is_cluster_name(raw.get("clusterName")):
        problems.append(Problem("clusterName", raw.get("clusterName"), CLUSTER_NAME_RULE))
    reason = raw.get("reason")
    if not isinstance(reason, str) or not re.fullmatch(REASON_PATTERN, reason):
        problems.append(Problem("reason", reason, REASON_RULE))
    if problems:
        raise invalid(problems)
    return str(reason)


def frozen_because(tags: Mapping[str, str], freeze: Freeze | None = None) -> str | None:
    """Return the reason for which a cluster is frozen; None when it is not.

    The freeze in the table goes before the tag, whose value is its reason.
    """
    if freeze is not None:
        return freeze.reason
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


def refuse_freeze(ecs_cluster: str, freeze: Freeze | None) -> None:
    """Raise ``ClusterFrozen`` for an ECS cluster with a freeze in the table; as for the tag."""
    if freeze is not None:
        by = freeze.by or "an unknown principal"
        raise ClusterFrozen(
            f"ECS cluster {ecs_cluster} is frozen since {freeze.since} by {by}: {freeze.reason}. "
            "Nothing was changed.",
            next_step="Once the reason no longer applies, lift the freeze "
            "(DELETE /clusters/NAME/freeze), then start again.",
        )
