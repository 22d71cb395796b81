"""Read from every broker, by its address, what it measures of its load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.fan_out import query_all
from lifecycle.camunda.meters import BrokerMeters, meters_payload, read_exposition
from lifecycle.camunda.topology import Role
from lifecycle.errors import ManagementUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.camunda.ports import ManagementApi
    from lifecycle.camunda.topology import Topology

# Seconds for all brokers together, which are queried at the same time.
METERS_SECONDS: Final = 6.0


def query_meters(api: ManagementApi, topology: Topology | None) -> list[dict[str, Any]]:
    """Return what ``read_meters`` reads; a broker that does not answer has a ``problem``.

    Raises ``ManagementUnavailable`` where the topology, which names the leaders, is unknown.
    """
    if topology is None:
        raise ManagementUnavailable("No broker showed the topology.")
    led = {
        one.host: {part.id for part in one.partitions if part.role is Role.LEADER}
        for one in topology.brokers
        if one.host
    }

    def query_of(address: str) -> Callable[[], Any]:
        return lambda: read_exposition(api.meters(address), address, led[address])

    results = query_all({one: query_of(one) for one in led}, seconds=METERS_SECONDS)
    return [
        meters_payload(
            results.answers.get(address) or BrokerMeters(address, results.problems[address])
        )
        for address in led
    ]
