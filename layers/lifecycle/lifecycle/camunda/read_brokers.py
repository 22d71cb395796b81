"""Read from every broker, by its address, the state of its own partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.fan_out import query_all
from lifecycle.camunda.partitions import partitions_payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.camunda.ports import ManagementApi
    from lifecycle.camunda.topology import Topology

# Seconds for all brokers together, which are queried at the same time.
BROKER_SECONDS: Final = 6.0


def query_brokers(api: ManagementApi, topology: Topology | None) -> list[dict[str, Any]]:
    """Return what ``read_brokers`` reads; a broker that does not answer has a ``problem``.

    Addresses are those of the topology, else those of the discovery name.
    """
    hosts = [one.host for one in topology.brokers if one.host] if topology else []
    addresses = hosts or list(api.addresses())

    def query_of(address: str) -> Callable[[], Any]:
        return lambda: partitions_payload(api.partitions(address))

    results = query_all({one: query_of(one) for one in addresses}, seconds=BROKER_SECONDS)
    return [
        {
            "address": address,
            "problem": _with(address, results.problems.get(address, "")),
            "partitions": results.answers.get(address),
        }
        for address in addresses
    ]


def _with(address: str, problem: str) -> str:
    return problem if not problem or address in problem else f"{address}: {problem}"
