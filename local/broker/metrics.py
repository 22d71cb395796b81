"""`GET /actuator/prometheus`: the commonly used metrics of Camunda's documentation.

Names: docs, self-managed/operational-guides/monitoring/metrics.md ("Available metrics").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.broker.broker import Broker


def exposition(broker: Broker) -> str:
    """Give the metrics in Prometheus' text format."""
    lines: list[str] = []

    def metric(name: str, kind: str, values: dict[int, float]) -> None:
        lines.append(f"# TYPE {name} {kind}")
        for partition, value in sorted(values.items()):
            lines.append(f'{name}{{partition="{partition}"}} {value:g}')

    replicas = broker.replicas
    metric("atomix_role", "gauge", {p: 3 if one.leads else 1 for p, one in replicas.items()})
    metric("zeebe_health", "gauge", {p: int(one.has_leader) for p, one in replicas.items()})
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
