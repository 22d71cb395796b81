"""CloudWatch metrics in the embedded metric format: a line of the function's own log, no call.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAMESPACE: Final = "CamundaLifecycle"
DIMENSION: Final = "Cluster"
UNITS: Final[Mapping[str, str]] = {
    "Verdict": "None",
    "Findings": "Count",
    "UnknownSources": "Count",
    "CheckSeconds": "Seconds",
}


class EmbeddedMetrics:
    """The ``Metrics`` port on standard output; ``epoch`` gives the seconds since 1970."""

    def __init__(self, epoch: Callable[[], float]) -> None:
        self._epoch = epoch

    def emit(self, cluster_stack: str, values: Mapping[str, float]) -> None:
        """Write one line with all values of one cluster."""
        line = {
            "_aws": {
                "Timestamp": int(self._epoch() * 1000),
                "CloudWatchMetrics": [
                    {
                        "Namespace": NAMESPACE,
                        "Dimensions": [[DIMENSION]],
                        "Metrics": [{"Name": name, "Unit": UNITS[name]} for name in values],
                    }
                ],
            },
            DIMENSION: cluster_stack,
            **values,
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
