"""Prefix lists and security groups from which clients may come: whether AWS will take them.

Sources: https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html,
https://docs.aws.amazon.com/vpc/latest/userguide/working-with-aws-managed-prefix-lists.html,
https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lifecycle.cluster import ways_in
from lifecycle.cluster.checks import Check, Result
from lifecycle.cluster.front_door import has_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME: Final = "allowed prefix lists and security groups"
# A prefix list counts as its most entries against the rules of a security group.
RULES: Final = 60
# The ranges of the parameters are in a prefix list of five.
_RANGES: Final = 5


@dataclass(frozen=True, slots=True)
class PrefixList:
    """A prefix list: ``IPv4`` or ``IPv6``, and the number of rules that it counts as."""

    family: str
    most: int


@dataclass(frozen=True, slots=True)
class Sources:
    """What there is of the prefix lists and security groups that a cluster names, by id.

    ``groups`` have the VPC of each group.
    """

    lists: Mapping[str, PrefixList] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)


def check_sources(
    parameters: Mapping[str, str], present: Mapping[str, str], found: Sources, vpc: str
) -> Check:
    """Judge what a cluster names. What each port has already, and only keeps, is a warning."""
    lists, groups = ways_in.prefix_lists(parameters), ways_in.security_groups(parameters)
    problems = [*_of_lists(lists, found), *_of_groups(groups, found, vpc)]
    if problems:
        comes = _rules_at(parameters) - _rules_at(present)
        new = {one for _, one in comes}.intersection(one for one, _ in problems)
        return Check(
            NAME,
            Result.FAIL if new else Result.WARN,
            "; ".join(f"{one} {what}" for one, what in problems),
            "Name prefix lists of IPv4 ranges in this region, and security groups of the control "
            "plane's VPC.",
        )
    rules = {way or "web": _rules(parameters, found, way) for way in ("", ways_in.GRPC)}
    rules["web"] += _rules(parameters, found, ways_in.MANAGEMENT)
    many = [f"{number} of {way}" for way, number in rules.items() if number > RULES]
    if many:
        return Check(
            NAME,
            Result.WARN,
            f"rules of a load balancer's security group: {' and '.join(many)}, the default quota "
            f"is {RULES}; a prefix list counts as its most entries",
            "Check the quota 'Inbound or outbound rules per security group' of VPC, or name "
            "smaller prefix lists.",
        )
    return Check(NAME, Result.PASS, f"{', '.join((*lists, *groups))}: there, and of the right kind")


def _of_lists(lists: tuple[str, ...], found: Sources) -> Iterator[tuple[str, str]]:
    for one in lists:
        if one not in found.lists:
            yield one, "is not there"
        elif found.lists[one].family != "IPv4":
            family = found.lists[one].family
            yield one, f"is of {family}, the load balancers have IPv4 addresses"


def _of_groups(groups: tuple[str, ...], found: Sources, vpc: str) -> Iterator[tuple[str, str]]:
    for one in groups:
        if one not in found.groups:
            yield one, "is not there"
        elif found.groups[one] != vpc:
            yield one, f"is of {found.groups[one]}, the load balancers are in {vpc}"


def _rules_at(parameters: Mapping[str, str]) -> set[tuple[str, str]]:
    """Return what each prefix list and security group has a rule for, with its id."""
    ways = ["", ways_in.GRPC]
    if parameters.get(ways_in.LISTENER) == "true":
        ways.append(ways_in.MANAGEMENT)
    rules = {
        (way, one)
        for way in ways
        for kind in (ways_in.PREFIX_LISTS, ways_in.SECURITY_GROUPS)
        for one in ways_in.of_port(parameters, way)[kind]
    }
    encrypted = {("https", one) for way, one in rules if not way}
    return rules | encrypted if has_certificate(parameters) else rules


def _rules(parameters: Mapping[str, str], found: Sources, way: str) -> int:
    if way == ways_in.MANAGEMENT and parameters.get(ways_in.LISTENER) != "true":
        return 0
    sources = ways_in.of_port(parameters, way)
    once = _RANGES + len(sources[ways_in.SECURITY_GROUPS])
    once += sum(found.lists[one].most for one in sources[ways_in.PREFIX_LISTS])
    functions = 0 if way == ways_in.MANAGEMENT else 1
    ports = 2 if not way and has_certificate(parameters) else 1
    return ports * once + functions
