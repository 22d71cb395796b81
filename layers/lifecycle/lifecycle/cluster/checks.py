"""A check: PASS, WARN, FAIL or SKIP, with what was seen and the remedy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence


class Result(StrEnum):
    """Result of one check."""

    PASS = "PASS"  # noqa: S105 - a result, not a password
    WARN = "WARN"
    FAIL = "FAIL"
    SKIP = "SKIP"
    """Nothing was read yet, and what was seen says why; not the result of a whole report."""


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """One target of a load balancer. ``reason`` is AWS's code, empty when healthy."""

    address: str
    state: str
    reason: str = ""


# What brokers are behind, and the output of the stack that names it.
BROKER_TARGET_GROUPS: Final = {"REST": "RestTargetGroupArn", "gRPC": "GrpcTargetGroupArn"}


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report; ``remedy`` is empty when nothing is to be done."""

    name: str
    result: Result
    seen: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the line as JSON."""
        return {key: str(value) for key, value in asdict(self).items()}


# A certificate that ends earlier is a warning, also of the health check.
SHORTEST_DAYS: Final = 14


def overall(checks: Sequence[Check]) -> Result:
    """Return the worst result of all."""
    results = {check.result for check in checks}
    for worst in (Result.FAIL, Result.WARN):
        if worst in results:
            return worst
    return Result.PASS
