"""The probe's question ``scaling``: all that a decision about scaling rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.core.brokers import holders
from lifecycle.core.topology import ReadinessState
from lifecycle.core.topology_payload import (
    configuration_payload,
    planned_change_payload,
    topology_payload,
)
from lifecycle.errors import ChangeInProgress, LifecycleError, ManagementRefused

if TYPE_CHECKING:
    from lifecycle.core.topology import ClusterConfiguration, Topology
    from lifecycle.ports import ManagementApi, Users


@dataclass(frozen=True, slots=True)
class ScalingProber:
    """The use case with what it needs from outside."""

    management: Callable[[str], ManagementApi]
    users: Users

    def ask(self, cluster: Mapping[str, str]) -> dict[str, Any]:
        """Answer in Camunda's own shapes.

        ``cluster`` holds the stack's outputs and ``RequestedBrokers``. Keys: ``configuration``,
        ``topology``, ``plan`` (null where they could not be read, ``plan`` also while a change is
        under way), ``planRefused`` (Camunda's words), ``readiness`` (address, state, detail of the
        brokers that hold partitions, up to the first that is not ready) and ``problems``. What
        cannot be asked is part of the answer, never an exception.
        """
        api = self.management(cluster["DiscoveryName"])
        answer: dict[str, Any] = {
            "configuration": None,
            "topology": None,
            "plan": None,
            "planRefused": "",
            "readiness": [],
            "problems": [],
        }
        try:
            topology = api.topology(self.users.credentials(cluster["AdminUserSecretArn"]))
            answer["topology"] = topology_payload(topology)
            configuration = api.configuration()
            answer["configuration"] = configuration_payload(configuration)
            if configuration.pending_change is None:
                answer["readiness"] = self._readiness(api, configuration, topology)
                answer |= self._plan(api, int(cluster["RequestedBrokers"]))
        except LifecycleError as error:
            answer["problems"].append(error.message.rstrip("."))
        return answer

    @staticmethod
    def _plan(api: ManagementApi, count: int) -> dict[str, Any]:
        try:
            return {"plan": planned_change_payload(api.plan_brokers(count))}
        except (ManagementRefused, ChangeInProgress) as error:
            return {"planRefused": error.message}

    @staticmethod
    def _readiness(
        api: ManagementApi, configuration: ClusterConfiguration, topology: Topology
    ) -> Sequence[list[str]]:
        needed = holders(configuration)
        found: list[list[str]] = []
        for address in (one.host for one in topology.brokers if one.node_id in needed):
            one = api.readiness(address)
            found.append([one.address, one.state.value, one.detail])
            if one.state is not ReadinessState.READY:
                # One that does not answer takes its time, and one is enough to wait for.
                break
        return found
