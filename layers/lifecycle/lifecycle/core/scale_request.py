"""What a scale request may say. The same validation for API, console and plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lifecycle.core.names import CLUSTER_NAME_RULE, is_cluster_name
from lifecycle.core.request import Problem, invalid

SCALE_FIELDS: Final = ("clusterName", "count")
# As many as the cluster template bootstraps at most.
MOST_BROKERS: Final = 30


@dataclass(frozen=True, slots=True)
class ScaleRequest:
    """A scale request after validation."""

    cluster: str
    count: int


def read_scale_request(raw: object) -> ScaleRequest:
    """Validate the input of the scale machine: ``{"clusterName": "demo", "count": 4}``.

    Raises ``InvalidRequest`` that lists every problem.
    """
    if not isinstance(raw, Mapping):
        raise invalid([Problem("(input)", raw, "a JSON object with clusterName and count")])
    problems = [
        Problem(str(name) or "(empty name)", raw[name], "no such field: clusterName, count")
        for name in raw
        if name not in SCALE_FIELDS
    ]
    cluster, count = raw.get("clusterName"), raw.get("count")
    if not is_cluster_name(cluster):
        problems.append(Problem("clusterName", cluster, CLUSTER_NAME_RULE))
    number = _whole(count)
    if number is None or not 1 <= number <= MOST_BROKERS:
        problems.append(Problem("count", count, f"a whole number from 1 to {MOST_BROKERS}"))
    if problems or number is None:
        raise invalid(problems)
    return ScaleRequest(cluster=str(cluster), count=number)


def _whole(value: object) -> int | None:
    # JSON has one kind of number: 4.0 is 4 wherever a machine has passed it on.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value == value // 1 else None
