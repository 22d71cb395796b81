"""AWS side of a health check: states that AWS reports for a cluster, read outside its VPC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.fan_out import query_all
from lifecycle.health.facts import OUTSIDE, SECRETS, sources
from lifecycle.services.definition import BROKERS, CONNECTORS
from lifecycle.services.state import changed_by_hand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.health.ports import HealthSources
    from lifecycle.services.definition import Definition

SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class HealthObserver:
    """Reads the AWS side of a health check; ``cloud`` are its sources."""

    cloud: HealthSources
    definitions: Callable[[], Mapping[str, Definition]]

    def observe(self, cluster: ClusterOutputs) -> dict[str, Any]:
        """Return ``SourceResults`` as JSON, one for each source of the cluster; never raises.

        ``cluster`` are the outputs of its stack, which determine its sources. A source that does
        not respond within ``SECONDS`` is a problem of its own.
        """
        names = sources(OUTSIDE, cluster)
        ecs = cluster.get("EcsClusterName", "")
        brokers = cluster.get("OrchestrationServiceName", "")
        connectors = cluster.get("ConnectorsServiceName", "")
        secrets = {name: cluster[name] for name in SECRETS if cluster.get(name)}
        every: dict[str, Callable[[], Any]] = {
            "services": lambda: self._services(cluster, ecs, brokers, connectors),
            "tasks": lambda: self.cloud.tasks(ecs, brokers),
            "protected": lambda: self.cloud.protected(ecs, brokers, connectors),
            "stops": lambda: self.cloud.stops(ecs, brokers, connectors),
            "autoscaling": lambda: self.cloud.autoscaling(ecs, brokers, connectors),
            "rest": lambda: self.cloud.targets(cluster.rest_target_group),
            "grpc": lambda: self.cloud.targets(cluster.grpc_target_group),
            "connectors": lambda: self.cloud.targets(cluster.connectors_target_group),
            "database": lambda: self.cloud.database(cluster.database),
            "former": lambda: self.cloud.former(cluster.cluster_name, cluster.database),
            "files": lambda: self.cloud.mounts(cluster.file_system),
            "secrets": lambda: self.cloud.secrets(secrets),
            "certificate": lambda: self.cloud.certificate(cluster.certificate),
            "management": lambda: self.cloud.management(cluster),
        }
        queries = {source: query for source, query in every.items() if source in names}
        return query_all(queries, seconds=SECONDS).as_dict()

    def _services(
        self, cluster: ClusterOutputs, ecs: str, brokers: str, connectors: str
    ) -> dict[str, Any]:
        """Return both services, each with the differences from its definition instead of it."""
        services = self.cloud.services(ecs, brokers, connectors)
        return {
            "brokers": self._compared(cluster, BROKERS, services["brokers"]),
            "connectors": self._compared(cluster, CONNECTORS, services["connectors"]),
        }

    def _compared(
        self, cluster: ClusterOutputs, name: str, service: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Put ``differences`` (lines) beside a service, or ``uncompared``: why there are none.

        Services of an adopted cluster are not made from definitions, so nothing can differ.
        """
        rest = {key: value for key, value in service.items() if key != "definition"}
        live = service.get("definition")
        if cluster.adopted or not service["exists"]:
            return {**rest, "differences": [], "uncompared": ""}
        if not live:
            return {**rest, "differences": [], "uncompared": "ECS described no such service"}
        try:
            found = changed_by_hand(name, live, self.definitions(), cluster)
        except KeyError as error:
            why = f"the stack has no output {error.args[0]}"
            return {**rest, "differences": [], "uncompared": why}
        return {**rest, "differences": [str(one) for one in found], "uncompared": ""}
