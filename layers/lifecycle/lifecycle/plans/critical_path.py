"""What decides how long CloudFormation takes: the longest chain of resources that wait for another.

CloudFormation works on everything at once that waits for nothing: a reference, or ``DependsOn``
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

MINUTES: Final[Mapping[str, tuple[int, int]]] = {
    "AWS::EFS::FileSystem": (1, 1),
    "AWS::EFS::MountTarget": (1, 3),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": (2, 5),
    "AWS::RDS::DBCluster": (1, 5),
    "AWS::RDS::DBInstance": (6, 12),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": (1, 2),
}
"""Typical minutes, least and most, for a resource of a type; everything else takes less than one.

AWS promises none of them: what operators report, and to be measured on a first account. Reports
are named in ``benchmarks/provisioning.py``.
"""
START: Final = (3, 10)
"""Typical minutes from the first task until every partition has its leader and its replicas."""

_SUBSTITUTED: Final = re.compile(r"\$\{([A-Za-z0-9]+)[.}]")


@dataclass(frozen=True, slots=True)
class Link:
    """One resource of the chain, with the minutes that it takes at least and at most."""

    logical_id: str
    least: int
    most: int


def waits_for(resource: Mapping[str, Any]) -> frozenset[str]:
    """Logical ids that a resource refers to or depends on, and names of parameters among them."""
    named = resource.get("DependsOn") or []
    found = {named} if isinstance(named, str) else set(named)
    found.update(_references(resource.get("Properties", {})))
    return frozenset(found)


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key == "Ref":
                yield str(value)
            elif key == "Fn::GetAtt":
                yield str(value[0] if isinstance(value, list) else value).partition(".")[0]
            elif key == "Fn::Sub":
                text, *more = value if isinstance(value, list) else [value]
                yield from _SUBSTITUTED.findall(text)
                yield from _references(more)
            else:
                yield from _references(value)
    elif isinstance(part, list):
        for one in part:
            yield from _references(one)


def critical_path(template: Mapping[str, Any], worked_on: Collection[str]) -> tuple[Link, ...]:
    """Return the chain that takes longest, of the resources that CloudFormation works on.

    ``template`` is the stack's, as data; ``worked_on`` are the logical ids that a change set adds
    or changes by more than tags. Links that take less than a minute are left out.
    """
    resources: Mapping[str, Any] = template.get("Resources", {})

    @cache
    def longest(name: str) -> tuple[Link, ...]:
        resource = resources[name]
        least, most = MINUTES.get(resource["Type"], (0, 0)) if name in worked_on else (0, 0)
        before = max(
            (longest(other) for other in sorted(waits_for(resource)) if other in resources),
            key=_weight,
            default=(),
        )
        return (*before, Link(name, least, most)) if most else before

    return max((longest(name) for name in sorted(resources)), key=_weight, default=())


def _weight(chain: tuple[Link, ...]) -> tuple[int, int]:
    return sum(link.most for link in chain), sum(link.least for link in chain)
