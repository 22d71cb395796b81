"""Host names that Route 53's records give to load balancers, in the instance's names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from local.names import Names


@dataclass(frozen=True)
class Place:
    """Where a name leads: its addresses, and ports that are served elsewhere on this machine."""

    addresses: tuple[str, ...]
    ports: Mapping[int, tuple[str, int]] = field(default_factory=dict)


def places(
    records: Iterable[Mapping[str, Any]], balancers: Mapping[str, Place]
) -> dict[str, Place]:
    """Give the place of each name that a record leads to, without the last dot.

    An A record is an alias of a load balancer or has addresses; a CNAME may name a load balancer
    or a name that is here. Wildcards and everything else lead nowhere on this machine.
    """
    known = dict(balancers)
    found: dict[str, Place] = {}
    names: dict[str, str] = {}
    for record in records:
        name = record["Name"].lower().rstrip(".")
        if name.startswith("*"):
            continue
        values = record.get("ResourceRecords", ())
        if record["Type"] == "A" and record.get("AliasTarget"):
            target = record["AliasTarget"]["DNSName"].lower().rstrip(".")
            names[name] = target.removeprefix("dualstack.")
        elif record["Type"] == "A":
            found[name] = Place(tuple(values))
        elif record["Type"] == "CNAME" and values:
            names[name] = values[0].lower().rstrip(".")
    for name in names:
        target, seen = name, {name}
        while (target := names.get(target, target)) not in seen:
            seen.add(target)
        if place := (known | found).get(target):
            found[name] = place
    return found


class Follower:
    """Keeps the names of the records, and no others, current."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._written: dict[str, Place] = {}

    def follow(self, wanted: Mapping[str, Place]) -> None:
        """Write what is new or has changed, and remove what is gone."""
        for name in self._written.keys() | wanted.keys():
            if self._written.get(name) == wanted.get(name):
                continue
            self._names.remove(name)
            if name in wanted:
                self._names.set(name, wanted[name].addresses)
                for port, (address, actual) in wanted[name].ports.items():
                    self._names.map_port(name, port, address, actual)
        self._written = dict(wanted)
