"""Today's prices for a plan: those that AWS returns, and the dated list for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.cluster.prices import with_live

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.cluster.ports import Clock, Prices


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
