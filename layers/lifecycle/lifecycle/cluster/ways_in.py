"""Who may reach a cluster's load balancers: ranges, prefix lists and security groups.

``parameters`` are all that the cluster has or will have, as CloudFormation takes them.
"""

from __future__ import annotations

import ipaddress
from itertools import chain
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.validation import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

RANGES: Final = "AllowedCidrs"
PREFIX_LISTS: Final = "AllowedPrefixLists"
SECURITY_GROUPS: Final = "AllowedSecurityGroups"
_KINDS: Final = (RANGES, PREFIX_LISTS, SECURITY_GROUPS)
GRPC: Final = "Grpc"
MANAGEMENT: Final = "Management"
LISTENER: Final = "ManagementListener"
_PLACED: Final = (PREFIX_LISTS, SECURITY_GROUPS)
_FREE: Final = "-"
"""A place of a list that no item has."""
# What decides who reaches the management port.
_OPENS: Final = {LISTENER, RANGES, *(MANAGEMENT + kind for kind in _KINDS)}
_EVERYWHERE: Final = ipaddress.IPv4Network("0.0.0.0/0")


def listed(parameters: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return the items of a parameter that is a list with commas between."""
    return tuple(one for one in _places(parameters, name) if one != _FREE)


def _places(parameters: Mapping[str, str], name: str) -> tuple[str, ...]:
    items = (one.strip() for one in parameters.get(name, "").split(","))
    return tuple(one for one in items if one)


def arranged(requested: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    """Return the requested prefix lists and security groups with each item where the stack has it.

    The template has a rule for each place. CloudFormation replaces a rule whose source changes, and
    creates the new one first; EC2 rejects a rule that another place still has.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-securitygroupingress.html
    """
    found = {}
    for way in ("", GRPC, MANAGEMENT):
        for kind in _PLACED:
            name = way + kind
            items = listed(requested, name)
            # The same item twice is refused as it was given.
            if name in requested and len(set(items)) == len(items):
                found[name] = _arrange(items, _rules_of(present, way, kind))
    return found


def _arrange(items: Sequence[str], former: Sequence[str]) -> str:
    places = [one if one in items else _FREE for one in former]
    for one in items:
        if one in places:
            continue
        if _FREE in places:
            places[places.index(_FREE)] = one
        else:
            places.append(one)
    while places and places[-1] == _FREE:
        places.pop()
    return ",".join(places)


def _rules_of(parameters: Mapping[str, str], way: str, kind: str) -> tuple[str, ...]:
    """Return which item each place of a port has, as ``stacks/cluster.yaml`` makes the rules."""
    if way == GRPC and not any(listed(parameters, way + one) for one in _KINDS):
        return _places(parameters, kind)
    return _places(parameters, way + kind)


def prefix_lists(parameters: Mapping[str, str]) -> tuple[str, ...]:
    """Return every prefix list that the cluster names, each once."""
    return _all(parameters, PREFIX_LISTS)


def security_groups(parameters: Mapping[str, str]) -> tuple[str, ...]:
    """Return every security group that the cluster names, each once."""
    return _all(parameters, SECURITY_GROUPS)


def _all(parameters: Mapping[str, str], kind: str) -> tuple[str, ...]:
    lists = (listed(parameters, way + kind) for way in ("", GRPC, MANAGEMENT))
    return tuple(dict.fromkeys(chain.from_iterable(lists)))


def of_port(parameters: Mapping[str, str], way: str = "") -> Mapping[str, tuple[str, ...]]:
    """Return who may reach the web (``""``), gRPC or management: kind of source to its items.

    gRPC and management have their own sources if one is set. Without them, gRPC has those of the
    web, management only the ranges of the web.
    """
    own = {kind: listed(parameters, way + kind) for kind in _KINDS}
    if not way or any(own.values()):
        return own
    web = {kind: listed(parameters, kind) for kind in _KINDS}
    return web if way == GRPC else {**own, RANGES: web[RANGES]}


def problems(
    parameters: Mapping[str, str], requested: Mapping[str, str], present: Mapping[str, str]
) -> list[Problem]:
    """Refuse sources that let everyone or no one in, that have no effect, or that cannot be moved.

    ``requested`` are the parameters that the request names, ``arranged``; ``present`` those of the
    cluster's stack, empty before its creation.
    """
    found = [*_repeated(parameters, requested), *_of_management(parameters, requested, present)]
    found += _moved(parameters, present)
    if parameters.get("LoadBalancerScheme") == "internet-facing":
        found += _of_internet(parameters)
    return found


def _repeated(parameters: Mapping[str, str], requested: Mapping[str, str]) -> list[Problem]:
    """AWS rejects the same source twice, of prefix lists and of rules."""
    names = [way + kind for way in ("", GRPC, MANAGEMENT) for kind in _KINDS]
    return [
        Problem(f"parameters.{name}", parameters[name], "each of them once")
        for name in names
        if name in requested and _is_repeated(listed(parameters, name))
    ]


def _is_repeated(items: tuple[str, ...]) -> bool:
    """Whether an item is there twice; a range as well that differs in bits of the host alone."""
    same = [ipaddress.IPv4Network(one, strict=False) if "/" in one else one for one in items]
    return len(set(same)) < len(same)


def _moved(parameters: Mapping[str, str], present: Mapping[str, str]) -> list[Problem]:
    """GRPC that returns to the sources of the web has them where the web has them."""
    found = []
    for kind in _PLACED:
        before, after = (_rules_of(one, GRPC, kind) for one in (present, parameters))
        moved = [
            one
            for one in after
            if one != _FREE and one in before and before.index(one) != after.index(one)
        ]
        if moved:
            name = GRPC + kind
            allowed = (
                f"{','.join(listed(parameters, kind))} here, instead of nothing, which stands for "
                f"them: {', '.join(moved)} would move to another rule, which AWS rejects while the "
                "former one exists"
            )
            found.append(Problem(f"parameters.{name}", parameters.get(name) or None, allowed))
    return found


def _of_management(
    parameters: Mapping[str, str], requested: Mapping[str, str], present: Mapping[str, str]
) -> list[Problem]:
    own = [MANAGEMENT + kind for kind in _KINDS]
    given = [name for name in own if parameters.get(name)]
    if parameters.get(LISTENER) != "true":
        allowed = f"nothing without {LISTENER} true, which opens the port"
        return [
            Problem(f"parameters.{name}", parameters[name], allowed)
            for name in given
            if name in requested
        ]
    ranges = MANAGEMENT + RANGES
    everywhere = _is_everywhere(of_port(parameters, MANAGEMENT)[RANGES])
    if everywhere and any(parameters[name] != present.get(name) for name in _OPENS & {*requested}):
        allowed = "the ranges of those who administer Camunda: the port has no authentication"
        return [Problem(f"parameters.{ranges}", parameters.get(ranges) or None, allowed)]
    web = of_port(parameters)
    if not given and not web[RANGES] and any(web.values()):
        allowed = (
            f"with {LISTENER} true and no {RANGES}, who may reach port 9600, or one of "
            f"{', '.join(own[1:])}"
        )
        return [Problem(f"parameters.{ranges}", None, allowed)]
    return []


def _is_everywhere(ranges: tuple[str, ...]) -> bool:
    networks = [ipaddress.IPv4Network(one, strict=False) for one in ranges]
    return _EVERYWHERE in ipaddress.collapse_addresses(networks)


def _of_internet(parameters: Mapping[str, str]) -> list[Problem]:
    found = []
    for way, of in (("", "it"), (GRPC, "its gRPC")):
        sources = of_port(parameters, way)
        if not sources[RANGES] and not sources[PREFIX_LISTS]:
            allowed = (
                f"with an internet-facing load balancer, the address ranges allowed to reach {of}, "
                f"or {way}{PREFIX_LISTS}"
            )
            found.append(Problem(f"parameters.{way}{RANGES}", None, allowed))
            # Without sources of its own gRPC lacks what the web lacks.
            break
    for way in ("", GRPC):
        name = way + SECURITY_GROUPS
        if parameters.get(name):
            allowed = (
                "nothing with an internet-facing load balancer, which members of security groups "
                "reach from public addresses"
            )
            found.append(Problem(f"parameters.{name}", parameters[name], allowed))
    for cidr in listed(parameters, RANGES):
        try:
            ipaddress.ip_network(cidr)
        except ValueError:
            allowed = "address ranges such as 203.0.113.0/24"
            found.append(Problem(f"parameters.{RANGES}", cidr, allowed))
    return found


def consequences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return who no longer reaches a living cluster after a change; ``before`` is empty without."""
    if not before:
        return []
    found = []
    for way, what in _PORTS:
        now = _sources(after, way)
        gone = {one for one in _sources(before, way) - now if not _within(one, now)}
        if gone:
            found.append(f"No longer admitted to {what}: {', '.join(sorted(gone))}.")
    return found


_PORTS: Final = (
    ("", "REST and the web applications"),
    (GRPC, "gRPC"),
    (MANAGEMENT, "the management API"),
)


def _within(source: str, sources: Collection[str]) -> bool:
    """Whether a source is an address range all of which is within ranges among the others."""
    if "/" not in source:
        return False
    network = ipaddress.IPv4Network(source, strict=False)
    ranges = [ipaddress.IPv4Network(one, strict=False) for one in sources if "/" in one]
    return any(network.subnet_of(one) for one in ipaddress.collapse_addresses(ranges))


def _sources(parameters: Mapping[str, str], way: str) -> set[str]:
    if way == MANAGEMENT and parameters.get(LISTENER) != "true":
        return set()
    sources = set(chain.from_iterable(of_port(parameters, way).values()))
    return sources or {"clients in the VPC"}
