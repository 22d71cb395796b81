"""The probe's question ``scaling``: all that a decision about scaling rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.camunda.payloads import (
    configuration_payload,
    planned_change_payload,
    topology_payload,
)
from lifecycle.camunda.read_topology import query_topology
from lifecycle.camunda.topology import ReadinessState
from lifecycle.errors import (
    ChangeInProgress,
    CredentialsRefused,
    LifecycleError,
    ManagementRefused,
    SecretRefused,
    TokenRefused,
)
from lifecycle.services.brokers import holders

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lifecycle.camunda.ports import ManagementApi
    from lifecycle.camunda.topology import ClusterConfiguration, PlannedChange, Topology
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.ports import Logins


@dataclass(frozen=True, slots=True)
class ScalingProber:
    """The use case and its ports."""

    management: Callable[[str], ManagementApi]
    logins: Logins

    def query(
        self, cluster: ClusterOutputs, *, brokers: int, partitions: int, backup: int
    ) -> dict[str, Any]:
        """Return what Camunda answers, in its own shapes.

        ``brokers`` are requested, or ``partitions`` unless they are 0; ``backup`` is the id of one
        that was taken, 0 for none. Keys: ``configuration``,
        ``topology``, ``plan`` (null where they could not be read, ``plan`` also while a change is
        under way), ``refused`` and ``planRefused`` (Camunda's words),
        ``readiness`` (address, state, detail of the
        brokers that hold partitions, up to the first that is not ready), ``backups`` (null unless
        partitions are requested) and ``problems``. What cannot be queried is part of the answer,
        never an exception, and hides nothing else.
        """
        api = self.management(cluster.discovery_name)
        answer: dict[str, Any] = {
            "configuration": None,
            "topology": None,
            "plan": None,
            "refused": "",
            "planRefused": "",
            "readiness": [],
            "backups": None,
            "problems": [],
        }
        topology: Topology | None = None
        try:
            topology = query_topology(api, self.logins.of(cluster))
            answer["topology"] = topology_payload(topology)
        except LifecycleError as error:
            answer["problems"].append(error.message.rstrip("."))
            if isinstance(error, CredentialsRefused | SecretRefused | TokenRefused):
                answer["refused"] = error.message.rstrip(".")
        try:
            configuration = api.configuration()
            answer["configuration"] = configuration_payload(configuration)
            if configuration.pending_change is None:
                if topology is not None:
                    answer["readiness"] = self._readiness(api, configuration, topology)
                if partitions:
                    answer |= self._plan(lambda: api.plan_partitions(partitions))
                    answer["backups"] = self._backups(api, backup)
                else:
                    answer |= self._plan(lambda: api.plan_brokers(brokers))
        except LifecycleError as error:
            answer["problems"].append(error.message.rstrip("."))
        return answer

    @staticmethod
    def _backups(api: ManagementApi, requested: int) -> dict[str, Any]:
        seen = api.backups()
        return {
            "enabled": seen.supported and seen.enabled,
            "covered": sorted(seen.latest),
            "newest": api.backup_state(seen.newest) if seen.newest else "",
            "requested": api.backup_state(requested) if requested else "",
        }

    @staticmethod
    def _plan(query: Callable[[], PlannedChange]) -> dict[str, Any]:
        try:
            return {"plan": planned_change_payload(query())}
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
