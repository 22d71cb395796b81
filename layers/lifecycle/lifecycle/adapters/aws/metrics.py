"""CloudWatch metrics in the embedded metric format: a line of the function's own log, no call.

https://docs.aws.amazon.com/powertools/python/latest/core/metrics/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aws_lambda_powertools.metrics import EphemeralMetrics

from lifecycle.health.measure import UNITS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

NAMESPACE: Final = "CamundaLifecycle"
# In this order. Dashboards of several control planes in a region search by the first.
DIMENSIONS: Final = ("ControlPlane", "Cluster")


class EmbeddedMetrics:
    """The ``Metrics`` port by Powertools; ``epoch`` gives the seconds since 1970.

    Every metric has the same two dimensions, the control stack and the stack of the cluster;
    another set of them would be another metric, which is paid for.

    The environment does not name a service (``POWERTOOLS_SERVICE_NAME``): Powertools would make a
    third dimension of it, which no alarm uses.
    """

    def __init__(self, epoch: Callable[[], float], control_stack: str) -> None:
        self._epoch = epoch
        self._control_stack = control_stack

    def emit(
        self, cluster_stack: str, values: Mapping[str, float], findings: Sequence[str]
    ) -> None:
        """Write one line with all values of one cluster; ``Codes`` in it are its findings'.

        Codes are no metric: CloudWatch Logs Insights reads them beside the numbers.
        """
        metrics = EphemeralMetrics(namespace=NAMESPACE)
        stacks = (self._control_stack, cluster_stack)
        for dimension, stack in zip(DIMENSIONS, stacks, strict=True):
            metrics.add_dimension(name=dimension, value=stack)
        for name, value in values.items():
            metrics.add_metric(name=name, unit=UNITS[name], value=value)
        metrics.add_metadata("Codes", list(findings))
        metrics.set_timestamp(int(self._epoch() * 1000))
        metrics.flush_metrics()
