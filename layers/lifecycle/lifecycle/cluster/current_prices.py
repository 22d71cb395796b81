"""Today's prices for a plan: those that AWS returns, and the dated list for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.prices import price_list

if TYPE_CHECKING:
    from lifecycle.cluster.ports import Clock, Prices

# What a cluster's fixed cost is made of.
PRICED: Final = frozenset(
    {
        "fargateVcpuHour",
        "fargateGbHour",
        "auroraInstanceHour",
        "applicationLoadBalancerHour",
        "networkLoadBalancerHour",
        "publicAddressHour",
        "keyMonth",
        "secretMonth",
        "hostedZoneMonth",
        "bucketWrite",
    }
)


def todays_prices(
    prices: Prices, clock: Clock, region: str, *clusters: Mapping[str, str]
) -> Mapping[str, Any]:
    """Return a price list, shaped like ``cluster/prices.json``, for clusters of these parameters.

    A cluster without sizes, an adopted one, needs none.
    """
    sized = [one for one in clusters if one.get("CpuArchitecture")]
    if not sized:
        return with_live({}, region, today="")
    live = prices.of(
        region,
        architecture=sized[-1]["CpuArchitecture"],
        instance_classes={one["DatabaseInstanceClass"] for one in sized},
    )
    return with_live(live, region, today=clock.now().date().isoformat())


def with_live(live: Mapping[str, Any], region: str, *, today: str) -> Mapping[str, Any]:
    """Put prices that AWS gave today (ISO date) over those of the list.

    ``live`` is shaped like a region of the list, and may lack anything. What is taken from the list
    nevertheless is named beside its date in ``asOf``.
    """
    listed = price_list()
    if not live:
        return listed
    # Route 53's prices are the same everywhere.
    anywhere = listed["regions"]["us-east-1"]
    known = listed["regions"].get(region) or {
        name: anywhere[name] for name in ("asOf", "hostedZoneMonth")
    }
    merged: dict[str, Any] = {}
    kept: list[str] = []
    for name in [*known, *(name for name in live if name not in known)]:
        if name == "asOf":
            continue
        if isinstance(live.get(name, known.get(name)), Mapping):
            merged[name] = {**known.get(name, {}), **live.get(name, {})}
        else:
            merged[name] = live.get(name, known.get(name))
        if name in PRICED and name not in live:
            kept.append(name)
    merged["asOf"] = f"{today}, Price List API"
    if kept:
        merged["asOf"] += f"; {', '.join(kept)} of {known.get('asOf')}"
    return {**listed, "regions": {**listed["regions"], region: merged}}
