"""The topology as each gateway sees it, and where they differ.

Every broker is a gateway, and each learns of the others by gossip: ``GET /v2/topology`` is
its own view. Right after a change of leader they differ for a moment; when they go on to, the
network between the brokers is split, or one of them is stuck.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.json_reader import integer, items, mapping, objects, text
from lifecycle.camunda.topology import Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.camunda.topology import BrokerId, Topology

# Step Functions carries 256 KiB, and five views of a large cluster are sufficient.
_VIEWS_MOST: Final = 5


@dataclass(frozen=True, slots=True)
class View:
    """Brokers and each partition's leaders, as all of ``gateways`` (addresses) report them."""

    gateways: tuple[str, ...]
    brokers: tuple[str, ...]
    leaders: Mapping[int, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Gateways:
    """Views of the gateways, most common first; ``silent`` are those without a response."""

    views: tuple[View, ...]
    silent: Mapping[str, str]


def gateways_payload(
    topologies: Mapping[str, Topology], silent: Mapping[str, str]
) -> dict[str, Any]:
    """Return what ``read_gateways`` reads, JSON-serialisable: equal views once, five at most."""
    views: list[dict[str, Any]] = []
    for address, topology in sorted(topologies.items()):
        view = _view_payload(topology)
        same = next((one for one in views if one["view"] == view), None)
        if same is None:
            views.append({"view": view, "gateways": [address]})
        else:
            same["gateways"].append(address)
    views.sort(key=lambda one: -len(one["gateways"]))
    return {
        "views": [{"gateways": one["gateways"], **one["view"]} for one in views[:_VIEWS_MOST]],
        "silent": [{"address": one, "problem": why} for one, why in sorted(silent.items())],
    }


def read_gateways(value: object) -> Gateways:
    """Read the view of each gateway. Raises ``InvalidResponse``."""
    answer = mapping(value, "the gateways")
    return Gateways(
        views=tuple(_view(one) for one in objects(answer.get("views"), "views")),
        silent={
            text(one, "address"): text(one, "problem")
            for one in objects(answer.get("silent"), "silent")
        },
    )


def disagreements(gateways: Gateways) -> dict[str, str]:
    """Return differences between views: by their subject, each value and its gateways."""
    views = gateways.views
    found = {"brokers": [", ".join(one.brokers) or "none" for one in views]}
    numbers = [", ".join(map(str, sorted(one.leaders))) or "none" for one in views]
    found["partitions"] = numbers
    for partition in sorted({number for one in views for number in one.leaders}):
        found[f"leader of partition {partition}"] = [
            ", ".join(one.leaders.get(partition, ())) or "none" for one in views
        ]
    return {
        about: "; ".join(
            f"{value} by {', '.join(view.gateways)}"
            for value, view in zip(values, views, strict=True)
        )
        for about, values in found.items()
        if len(set(values)) > 1
    }


def _view_payload(topology: Topology) -> dict[str, Any]:
    leaders: dict[int, list[BrokerId]] = {}
    for broker in topology.brokers:
        for one in broker.partitions:
            lead = leaders.setdefault(one.id, [])
            if one.role is Role.LEADER:
                lead.append(broker.node_id)
    return {
        "brokers": [str(one.node_id) for one in topology.brokers],
        "leaders": [
            {"partition": number, "brokers": [str(one) for one in lead]}
            for number, lead in sorted(leaders.items())
        ],
    }


def _view(one: Mapping[str, object]) -> View:
    return View(
        gateways=_names(one.get("gateways"), "gateways"),
        brokers=_names(one.get("brokers"), "brokers"),
        leaders={
            integer(each, "partition"): _names(each.get("brokers"), "brokers")
            for each in objects(one.get("leaders"), "leaders")
        },
    )


def _names(value: object, where: str) -> tuple[str, ...]:
    names: Sequence[object] = items(value, where)
    return tuple(str(one) for one in names)
