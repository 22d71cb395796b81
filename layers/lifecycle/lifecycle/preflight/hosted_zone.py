"""The hosted zone of a cluster's names: whether ACM can validate them there, and they are free.

CloudFormation waits up to 36 hours for a certificate that ACM cannot validate, and fails on a
record that exists already. Both are found here, before anything changes. Which name servers public
DNS delegates to is not read; the check names those of the zone, to compare with the parent's.
Sources: https://docs.aws.amazon.com/acm/latest/userguide/dns-validation.html,
https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-alias.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.checks import Check, Result
from lifecycle.cluster.front_door import CERTIFICATE, ZONE, ZONES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME: Final = "hosted zone"
# https://docs.aws.amazon.com/acm/latest/userguide/setup-caa.html
AUTHORITIES: Final = frozenset({"amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com"})
# An AAAA record beside the one that the stack creates would lead some clients elsewhere.
_ADDRESSES: Final = frozenset({"A", "AAAA", "CNAME"})
_KEEP_OR_DELETE: Final = (
    f"Delete records of that name first, because the stack creates its own, or omit {ZONE} and "
    f"keep them, with a {CERTIFICATE}."
)
_CRITICAL: Final = 128
_KNOWN_TAGS: Final = frozenset({"issue", "issuewild", "iodef", "issuemail", "issuevmc"})


@dataclass(frozen=True, slots=True)
class Record:
    """A record set of a zone: its name in lower case without the final dot, its type and values.

    An alias has the name that it leads to as its only value.
    """

    name: str
    type: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostedZone:
    """A hosted zone, its ``name`` without the final dot and empty when there is none.

    ``records`` are those of the cluster's names and of every name above them in the zone.
    ``denied``: the control plane may not read it, which it may of those in ``HostedZoneIds``.
    """

    name: str
    private: bool = False
    servers: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()
    denied: bool = False


def upwards(name: str, zone: str) -> Iterator[str]:
    """Return a name of a zone and every name above it, as far as the zone itself."""
    while name == zone or name.endswith(f".{zone}"):
        yield name
        name = name.partition(".")[2]


def check_zone(
    zone_id: str,
    found: HostedZone,
    names: Sequence[str],
    *,
    ours: Sequence[str],
    requests: bool,
    validates: bool,
) -> Check:
    """Judge a zone for the names that a cluster is to have in it.

    ``ours`` are names whose records the cluster's stack holds in this zone already: what is wrong
    with a zone that is only kept is a warning. ``requests``: a certificate is requested for them;
    ``validates``: ACM has not issued it yet, so that it would wait for what is wrong.
    """
    problems = list(_problems(zone_id, found, names, ours, requests=requests))
    if not problems:
        servers = ", ".join(found.servers)
        return Check(
            NAME,
            Result.PASS,
            f"{found.name} is public, {' and '.join(names)} can be created; not checked: that "
            f"public DNS delegates {found.name} to {servers or 'its name servers'}",
        )
    kept = set(names) <= set(ours) and not validates
    bad = Result.WARN if kept else Result.FAIL
    seen, remedies = zip(*problems, strict=True)
    return Check(NAME, bad, "; ".join(seen), " ".join(dict.fromkeys(remedies)))


def _problems(
    zone_id: str,
    found: HostedZone,
    names: Sequence[str],
    ours: Sequence[str],
    *,
    requests: bool,
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong, each with its remedy."""
    choose = f"Set {ZONE} to the public hosted zone of {' and '.join(names)}."
    if found.denied:
        yield (
            f"{zone_id} cannot be read: access is denied",
            f"Add it to {ZONES} of the control stack, which gives the control plane access.",
        )
        return
    if not found.name:
        yield f"{zone_id} is not there", choose
        return
    if found.private:
        yield f"{zone_id} ({found.name}) is private, where ACM validates nothing", choose
        return
    outside = [name for name in names if not list(upwards(name, found.name))]
    if outside:
        yield f"{', '.join(outside)} does not lie in {found.name} ({zone_id})", choose
    for name in names:
        if name in outside:
            continue
        yield from _delegated(found, name)
        if name not in ours:
            yield from _taken(found, name)
        if requests:
            yield from _forbidden(found, name)


def _delegated(zone: HostedZone, name: str) -> Iterator[tuple[str, str]]:
    for one in zone.records:
        if one.type == "NS" and one.name != zone.name and one.name in upwards(name, zone.name):
            yield (
                f"{zone.name} delegates {one.name} to {', '.join(one.values)}",
                f"Set {ZONE} to the hosted zone of {one.name}.",
            )


def _taken(zone: HostedZone, name: str) -> Iterator[tuple[str, str]]:
    for one in zone.records:
        if one.name == name and one.type in _ADDRESSES:
            seen = f"{name} has a record already: {one.type} {', '.join(one.values)}"
            yield seen, _KEEP_OR_DELETE


def _forbidden(zone: HostedZone, name: str) -> Iterator[tuple[str, str]]:
    """The closest CAA records decide which authorities may issue: RFC 8659, section 3."""
    for above in upwards(name, zone.name):
        values = [
            value
            for one in zone.records
            if one.name == above and one.type == "CAA"
            for value in one.values
        ]
        if not values:
            continue
        if not _may_issue(values):
            listed = ", ".join(values)
            seen = f"the CAA records of {above} do not let Amazon issue for {name}: {listed}"
            yield seen, f'Add to the CAA records of {above}: 0 issue "amazon.com".'
        return


def _may_issue(values: Sequence[str]) -> bool:
    """Return whether CAA records let ACM issue; they are ``<flags> <tag> "<value>"``."""
    issuers = []
    for value in values:
        flags, _, rest = value.strip().partition(" ")
        tag, _, text = rest.strip().partition(" ")
        tag = tag.lower()
        if tag == "issue":
            issuers.append(text.strip().strip('"').partition(";")[0].strip().lower().rstrip("."))
        elif tag not in _KNOWN_TAGS and flags.isdecimal() and int(flags) & _CRITICAL:
            return False
    return not issuers or not AUTHORITIES.isdisjoint(issuers)
