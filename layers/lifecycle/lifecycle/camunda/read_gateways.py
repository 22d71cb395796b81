"""Read from every gateway, by its address, the topology as it sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.fan_out import query_all
from lifecycle.camunda.gateways import gateways_payload
from lifecycle.errors import LifecycleError, ManagementUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.camunda.credentials import Login
    from lifecycle.camunda.ports import ManagementApi
    from lifecycle.camunda.topology import Topology

# Seconds for all gateways together, which are queried at the same time.
GATEWAY_SECONDS: Final = 6.0


def query_gateways(
    api: ManagementApi, topology: Topology | None, login: Callable[[], Login]
) -> dict[str, Any]:
    """Return what ``read_gateways`` reads.

    Queried are the brokers of the topology, and all others that the discovery name lists: a broker
    that sees none of the others is not in their topology. One of those that does not respond may be
    starting, and is omitted. Raises ``ManagementUnavailable`` if no broker returned the topology.
    """
    if topology is None:
        raise ManagementUnavailable("No broker showed the topology.")
    user = login()
    members = [one.host for one in topology.brokers if one.host]
    try:
        named = api.addresses()
    except LifecycleError:
        named = ()

    def query_of(address: str) -> Callable[[], Topology]:
        return lambda: api.topology_of(address, user)

    results = query_all(
        {one: query_of(one) for one in dict.fromkeys([*members, *named])}, seconds=GATEWAY_SECONDS
    )
    silent = {one: results.problems[one] for one in members if one in results.problems}
    return gateways_payload(results.answers, silent)
