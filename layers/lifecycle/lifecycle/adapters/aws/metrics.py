"""CloudWatch metrics in the embedded metric format: a line of the function's own log, no call.

https://docs.aws.amazon.com/powertools/python/latest/core/metrics/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aws_lambda_powertools.metrics import EphemeralMetrics

from lifecycle.health.measure import UNITS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAMESPACE: Final = "CamundaLifecycle"
DIMENSION: Final = "Cluster"


class EmbeddedMetrics:
    """The ``Metrics`` port by Powertools; ``epoch`` gives the seconds since 1970.

    The environment does not name a service (``POWERTOOLS_SERVICE_NAME``): Powertools would make a
    second dimension of it, which no alarm uses.
    """

    def __init__(self, epoch: Callable[[], float]) -> None:
        self._epoch = epoch

    def emit(self, cluster_stack: str, values: Mapping[str, float]) -> None:
        """Write one line with all values of one cluster."""
        metrics = EphemeralMetrics(namespace=NAMESPACE)
        metrics.add_dimension(name=DIMENSION, value=cluster_stack)
        for name, value in values.items():
            metrics.add_metric(name=name, unit=UNITS[name], value=value)
        metrics.set_timestamp(int(self._epoch() * 1000))
        metrics.flush_metrics()
