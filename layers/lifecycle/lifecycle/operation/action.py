"""Requests whose field ``action`` names what is done; each action has fields of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.names import CLUSTER_NAME_RULE, is_cluster_name
from lifecycle.cluster.validation import Problem, invalid

if TYPE_CHECKING:
    from enum import StrEnum

ACTION: Final = "action"


def read_action[A: StrEnum](
    raw: object, fields: Mapping[A, tuple[str, ...]]
) -> tuple[Mapping[str, Any], A, list[Problem]]:
    """Check ``clusterName`` and ``action``, and that a request has no fields but its action's.

    ``fields`` are those of each action beside these two. Returns the request, its action (the first
    of ``fields`` where it names none) and the problems. Raises ``InvalidRequest`` where it is no
    JSON object.
    """
    if not isinstance(raw, Mapping):
        raise invalid([Problem("(input)", raw, "a JSON object with clusterName and action")])
    problems: list[Problem] = []
    cluster, given = raw.get("clusterName"), raw.get(ACTION)
    if not is_cluster_name(cluster):
        problems.append(Problem("clusterName", cluster, CLUSTER_NAME_RULE))
    action = next((one for one in fields if one == given), None)
    if action is None:
        problems.append(Problem(ACTION, given, " or ".join(fields)))
        action = next(iter(fields))
    known = ("clusterName", ACTION, *fields[action])
    problems += [
        Problem(
            str(name) or "(empty name)",
            raw[name],
            f"nothing: the fields of {action} are {', '.join(known)}",
        )
        for name in raw
        if name not in known
    ]
    return raw, action, problems
