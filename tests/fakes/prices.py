"""In-memory fake of AWS's Price List API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass
class FakePrices:
    """Prices by region; nothing is known unless the test says so."""

    live: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(
        self, region: str, *, architecture: str, instance_classes: Collection[str]
    ) -> Mapping[str, Any]:
        """Give what is known of the region."""
        del architecture, instance_classes
        return self.live.get(region, {})
