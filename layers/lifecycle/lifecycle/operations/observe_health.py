"""The outside of a health check: what AWS says of a cluster, asked without entering the VPC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.core.health_facts import OUTSIDE, SECRETS, sources
from lifecycle.operations.ask_sources import ask_all

if TYPE_CHECKING:
    from lifecycle.ports import CloudSight

SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class HealthObserver:
    """The use case with what it needs from outside."""

    cloud: CloudSight

    def look(self, cluster: Mapping[str, str]) -> dict[str, Any]:
        """Ask every source that a cluster with these outputs has; never raises."""
        names = sources(OUTSIDE, cluster)
        ecs = cluster.get("EcsClusterName", "")
        brokers = cluster.get("OrchestrationServiceName", "")
        connectors = cluster.get("ConnectorsServiceName", "")
        secrets = {name: cluster[name] for name in SECRETS if cluster.get(name)}
        every: dict[str, Callable[[], Any]] = {
            "services": lambda: self.cloud.services(ecs, brokers, connectors),
            "tasks": lambda: self.cloud.tasks(ecs, brokers),
            "protected": lambda: self.cloud.protected(ecs, brokers, connectors),
            "stops": lambda: self.cloud.stops(ecs, brokers, connectors),
            "rest": lambda: self.cloud.targets(cluster["RestTargetGroupArn"]),
            "grpc": lambda: self.cloud.targets(cluster["GrpcTargetGroupArn"]),
            "connectors": lambda: self.cloud.targets(cluster["ConnectorsTargetGroupArn"]),
            "database": lambda: self.cloud.database(cluster["DatabaseClusterId"]),
            "files": lambda: self.cloud.mounts(cluster["FileSystemId"]),
            "secrets": lambda: self.cloud.secrets(secrets),
            "certificate": lambda: self.cloud.certificate(cluster["CertificateArn"]),
        }
        asked = {source: ask for source, ask in every.items() if source in names}
        return ask_all(asked, seconds=SECONDS).as_dict()
