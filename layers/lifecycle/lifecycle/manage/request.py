"""What a request for a way in may contain. The same validation for API, console and events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Final

from lifecycle.cluster.validation import Problem, invalid, read_number
from lifecycle.operation import approval
from lifecycle.operation.action import ACTION, read_action
from lifecycle.operation.approval import Reviewed, read_review
from lifecycle.operation.idempotency import canonical

LEAST_MINUTES: Final = 5
MOST_MINUTES: Final = 480
DEFAULT_MINUTES: Final = 60
MOST_RANGES: Final = 5
# Not routed on the internet: RFC 1918, and RFC 6598, which AWS allows in a VPC as well.
# https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
PRIVATE: Final = tuple(
    IPv4Network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
RANGE_PATTERN: Final = r"^(10|100|172|192)\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}/[0-9]{1,2}$"
"""What private ranges look like; more is checked than a pattern can."""
_RANGES: Final = (
    f"1 to {MOST_RANGES} different private IPv4 ranges such as 10.20.0.0/16, without bits of a "
    f"host, within {', '.join(map(str, PRIVATE))}; without the field the VPC"
)


class Action(StrEnum):
    """What is done to a way in."""

    OPEN = "open-management"
    CLOSE = "close-management"


FIELDS: Final[Mapping[Action, tuple[str, ...]]] = {
    Action.OPEN: ("minutes", "cidrs", approval.DRY_RUN, approval.FIELD),
    Action.CLOSE: (approval.DRY_RUN,),
}


@dataclass(frozen=True, slots=True)
class ManageRequest:
    """A request after validation; ``cidrs`` empty for the VPC, ``minutes`` 0 where none opens."""

    cluster: str
    action: Action
    minutes: int = 0
    cidrs: tuple[str, ...] = ()
    dry_run: bool = False
    approves: str = ""


def read_manage_request(raw: object) -> ManageRequest:
    """Validate the input: ``{"clusterName": "demo", "action": "open-management"}``.

    ``minutes`` (5 to 480, 60 without it) and ``cidrs`` (private ranges, the VPC without it) are for
    opening only. Raises ``InvalidRequest`` that lists every problem.
    """
    request, action, problems = read_action(raw, FIELDS)
    minutes = 0
    cidrs: tuple[str, ...] = ()
    if action is Action.OPEN:
        minutes, wrong = read_number(
            request.get("minutes", DEFAULT_MINUTES), "minutes", MOST_MINUTES, least=LEAST_MINUTES
        )
        problems += wrong
        if "cidrs" in request:
            cidrs, wrong = _read_ranges(request["cidrs"])
            problems += wrong
    dry_run, approves, wrong = read_review(request)
    # What the action has no such field for is named once, above.
    problems += [one for one in wrong if one.field in FIELDS[action]]
    if problems:
        raise invalid(problems)
    return ManageRequest(str(request["clusterName"]), action, minutes, cidrs, dry_run, approves)


def _read_ranges(given: object) -> tuple[tuple[str, ...], list[Problem]]:
    wrong = [Problem("cidrs", given, _RANGES)]
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_RANGES:
        return (), wrong
    found = [_read_range(one) for one in given]
    if None in found or len(set(found)) < len(found):
        return (), wrong
    return tuple(str(one) for one in found), []


def _read_range(given: object) -> IPv4Network | None:
    if not isinstance(given, str) or "/" not in given:
        return None
    try:
        found = IPv4Network(given)
    except ValueError:
        return None
    # As it was given: "10.0.0.0/255.0.0.0" is read, too, and is nothing that AWS takes.
    private = any(found.subnet_of(one) for one in PRIVATE)
    return found if private and str(found) == given else None


def reviewed_management(
    cluster: str, action: str, minutes: int | None, cidrs: tuple[str, ...], approves: str
) -> Reviewed | None:
    """Return what has to be reviewed: a dry run of the same opening; closing needs no review."""
    if action != Action.OPEN:
        return None
    dry = {"clusterName": cluster, ACTION: action, approval.DRY_RUN: True}
    ranges = {"cidrs": list(cidrs)} if cidrs else {}
    lengths: list[dict[str, int]] = [{"minutes": minutes or DEFAULT_MINUTES}]
    if (minutes or DEFAULT_MINUTES) == DEFAULT_MINUTES:
        lengths.append({})
    requests = [canonical({**dry, **ranges, **length}) for length in lengths]
    return Reviewed(cluster, approves, "manage", requests)
