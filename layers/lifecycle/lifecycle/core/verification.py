"""The verification report: PASS, WARN or FAIL for each thing that a user relies on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final


class Result(StrEnum):
    """Result of one check."""

    PASS = "PASS"  # noqa: S105 - a result, not a password
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """One target of a load balancer. ``reason`` is AWS's code, empty when healthy."""

    address: str
    port: int
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
        """Give the line as JSON."""
        return {key: str(value) for key, value in asdict(self).items()}


_BALANCER: Final = "Look at the target group's health checks and the security groups."
_REFUSED: Final = re.compile(r"\b(?:HTTP|answers) 40[13]\b")
_USER: Final = (
    "Put the present name and password of an administrator of Camunda into the secret of the "
    "output AdminUserSecretArn."
)


def _by_cause(seen: str, otherwise: str) -> str:
    """Give the remedy: where Camunda answers 401 or 403, everything on the way to it is well."""
    return _USER if _REFUSED.search(seen) else otherwise


def check_topology(formation: Mapping[str, Any]) -> Check:
    """Brokers and partitions, asked of the brokers directly."""
    if formation.get("formed"):
        return Check(
            "brokers and partitions",
            Result.PASS,
            f"{formation['brokers']} brokers, {formation['partitions']} partitions, each with one "
            "healthy leader and all replicas",
        )
    problems = "; ".join(formation.get("problems", ())) or "no broker answered"
    return Check(
        "brokers and partitions",
        Result.FAIL,
        problems,
        _by_cause(problems, "Look at the brokers' log group for the first error."),
    )


def check_targets(name: str, targets: Sequence[TargetHealth], expected: int) -> Check:
    """Targets of one load balancer against the number of tasks that should be behind it."""
    healthy = sum(1 for target in targets if target.state == "healthy")
    seen = f"{healthy} of {expected} targets healthy"
    if healthy >= expected:
        return Check(f"{name} targets", Result.PASS, seen)
    reasons = sorted({f"{t.state} {t.reason}".strip() for t in targets if t.state != "healthy"})
    detail = f"{seen} ({', '.join(reasons)})" if reasons else seen
    result = Result.WARN if healthy else Result.FAIL
    return Check(f"{name} targets", result, detail, _BALANCER)


def check_path(name: str, probe: Mapping[str, Any], *, behind: Check, direct: bool) -> Check:
    """Judge a path through a load balancer, asked as a user would ask.

    A path that cannot exist from inside the VPC (an internet-facing address whose allowed ranges
    leave the VPC out, a credential that must not travel in clear) is a warning, as long as the
    targets behind it are healthy and the same question asked directly was answered (``direct``).
    """
    if probe.get("ok"):
        return Check(name, Result.PASS, str(probe.get("seen", "answered")))
    seen = str(probe.get("seen", "no answer"))
    if direct and behind.result is Result.PASS:
        return Check(
            name,
            Result.WARN,
            f"{seen}; its targets are healthy and answer directly",
            "Try the address from where your users are.",
        )
    return Check(name, Result.FAIL, seen, _by_cause(seen, _BALANCER))


def overall(checks: Sequence[Check]) -> Result:
    """Give the worst result of all."""
    results = {check.result for check in checks}
    for worst in (Result.FAIL, Result.WARN):
        if worst in results:
            return worst
    return Result.PASS


def failure(checks: Sequence[Check]) -> str:
    """Say which checks failed and what to do; empty when none did."""
    failed = [c for c in checks if c.result is Result.FAIL]
    if not failed:
        return ""
    listed = "; ".join(f"{c.name}: {c.seen} ({c.remedy})" for c in failed)
    return (
        f"{len(failed)} of {len(checks)} checks failed: {listed} Next: remove the cause and start "
        "the same operation again; it continues from what exists."
    )
