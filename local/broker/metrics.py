"""`GET /actuator/prometheus`: the commonly used metrics of Camunda's documentation.

Names: docs, self-managed/operational-guides/monitoring/metrics.md ("Available metrics"), and
camunda/camunda, `LogStreamMetricsDoc`. Nothing is ever dropped here, and no request waits: what is
not processed was refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from local.broker.broker import Broker


# Camunda's AIMDCfg: the limit of requests in flight begins with it.
_LIMIT = 100


def exposition(broker: Broker, included: Collection[str] | None = None) -> str:
    """Give the metrics in Prometheus' text format, only those `included`.

    The registry knows a counter by its name without `_total` (prometheus/client_java,
    MetricMetadata and MultiCollector): with it, nothing is found.
    """
    lines: list[str] = []

    def metric(name: str, kind: str, values: dict[int, float]) -> None:
        known = name.removesuffix("_total") if kind == "counter" else name
        if included is not None and known not in included:
            return
        lines.append(f"# TYPE {name} {kind}")
        for partition, value in sorted(values.items()):
            lines.append(f'{name}{{partition="{partition}"}} {float(value)}')

    replicas = broker.replicas
    metric("atomix_role", "gauge", {p: 3 if one.leads else 1 for p, one in replicas.items()})
    metric("zeebe_health", "gauge", {p: int(one.has_leader) for p, one in replicas.items()})
    leading = [p for p, one in replicas.items() if one.leads]
    metric("zeebe_dropped_request_count_total", "counter", dict.fromkeys(replicas, 0))
    metric("zeebe_backpressure_inflight_requests_count", "gauge", dict.fromkeys(leading, 0))
    metric("zeebe_backpressure_requests_limit", "gauge", dict.fromkeys(leading, _LIMIT))
    metric(
        "zeebe_log_appender_last_appended_position",
        "gauge",
        {p: one.engine.data["position"] for p, one in replicas.items()},
    )
    metric(
        "zeebe_stream_processor_last_processed_position",
        "gauge",
        {p: one.engine.data["position"] for p, one in replicas.items()},
    )
    metric(
        "zeebe_exporter_last_exported_position",
        "gauge",
        {p: broker.exporting.position(p) for p in replicas},
    )
    return "\n".join(lines) + "\n"
