"""What a restore takes away, in numbers, queried inside the VPC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.errors import LifecycleError
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from lifecycle.camunda.ports import Probe
    from lifecycle.cluster.contract import ClusterOutputs


@dataclass(frozen=True, slots=True)
class ProbedCounts:
    """The ``LostCounts`` port on the function inside the VPC."""

    probe: Callable[[], Probe]

    def after(self, cluster: ClusterOutputs, since: datetime) -> tuple[Mapping[str, Any], str]:
        """Return what came after a moment by kind, and why not all of it is known."""
        try:
            answer = self.probe().query("after", cluster, since=written(since))
        except LifecycleError as error:
            return {}, error.message.rstrip(".")
        return answer["counts"], str(answer["problem"])
