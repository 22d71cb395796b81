"""VPC side of a health check: brokers, database and leases, queried from inside the VPC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.backup_ranges import thinned
from lifecycle.camunda.fan_out import SourceResults, query_all
from lifecycle.camunda.payloads import configuration_payload, topology_payload
from lifecycle.camunda.read_brokers import query_brokers
from lifecycle.camunda.read_gateways import query_gateways
from lifecycle.camunda.read_identity import query_provider
from lifecycle.camunda.read_meters import query_meters
from lifecycle.camunda.read_topology import query_topology
from lifecycle.errors import LifecycleError
from lifecycle.health.facts import INSIDE, MEASURED, sources
from lifecycle.provisioning.seed import SeedTarget
from lifecycle.tables import packed
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from lifecycle.camunda.partitions import BackupStatus
    from lifecycle.camunda.ports import IdentityProvider, ManagementApi
    from lifecycle.camunda.topology import Topology
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.ports import Logins
    from lifecycle.health.ports import Leases
    from lifecycle.provisioning.ports import Database, DatabaseTokens

# The topology lists the addresses of the rest; the sum stays below the function's time-out.
TOPOLOGY_SECONDS: Final = 7.0
REST_SECONDS: Final = 8.0
# What fits for 200 partitions into what Step Functions carries, beside everything else.
MOST_RANGES: Final = 5


@dataclass(frozen=True, slots=True)
class HealthProber:
    """Reads the VPC side of a health check."""

    management: Callable[[str], ManagementApi]
    logins: Logins
    provider: IdentityProvider
    database: Callable[[SeedTarget], Database]
    tokens: DatabaseTokens
    leases: Leases

    def observe(self, cluster: ClusterOutputs) -> dict[str, Any]:
        """Return ``SourceResults`` as JSON, one for each source of the cluster; never raises.

        ``cluster`` are the outputs of its stack, which determine its sources. ``answers`` are
        packed (``tables.py``).
        """
        names = (*sources(INSIDE, cluster), *sources(MEASURED, cluster))
        results = self._query(names, cluster).as_dict()
        return {**results, "answers": packed(results["answers"])}

    def _query(self, names: Sequence[str], cluster: ClusterOutputs) -> SourceResults:
        if "topology" not in names:
            return self._rest(names, cluster, None)
        api = self.management(cluster.discovery_name)
        topologies: list[Topology] = []

        def topology() -> dict[str, Any]:
            found = query_topology(api, self.logins.of(cluster))
            topologies.append(found)
            return topology_payload(found)

        results = query_all({"topology": topology}, seconds=TOPOLOGY_SECONDS)
        known = topologies[0] if "topology" in results.answers else None
        return results.add(self._rest(names, cluster, known))

    def _rest(
        self, names: Sequence[str], cluster: ClusterOutputs, topology: Topology | None
    ) -> SourceResults:
        name = cluster.get("DiscoveryName", "")
        every: dict[str, Callable[[], Any]] = {
            "configuration": lambda: configuration_payload(self.management(name).configuration()),
            "exporting": lambda: query_brokers(self.management(name), topology),
            "gateways": lambda: query_gateways(
                self.management(name),
                topology,
                lambda: self.logins.of(cluster).login(),
            ),
            "meters": lambda: query_meters(self.management(name), topology),
            "leases": lambda: self.leases.read(cluster.node_id_bucket, _nodes(topology)),
            "backups": lambda: self._backups(self.management(name)),
            "identity": lambda: query_provider(self.provider, cluster.oidc_issuer),
            "token": lambda: self._token(cluster),
            "login": lambda: self._login(cluster),
        }
        return query_all(
            {source: query for source, query in every.items() if source in names},
            seconds=REST_SECONDS,
        )

    @staticmethod
    def _backups(api: ManagementApi) -> dict[str, Any]:
        found = api.backups()
        return {
            "supported": found.supported,
            "enabled": found.enabled,
            "latest": [
                {"partition": partition, "at": written(at) if at else None}
                for partition, at in sorted(found.latest.items())
            ],
            **_ranges(found),
        }

    def _token(self, cluster: ClusterOutputs) -> dict[str, Any]:
        """Read the topology by the token alone: brokers of before take another login as well."""
        api = self.management(cluster.discovery_name)
        query_topology(api, self.logins.of(cluster), newest=True)
        return {"accepted": True}

    def _login(self, cluster: ClusterOutputs) -> dict[str, Any]:
        """Log in as the IAM user. An error of the database is an answer, not a problem."""
        target = SeedTarget.from_outputs(cluster)
        login = self.tokens.sign(target.endpoint, target.port, target.user)
        try:
            missing = self.database(target).check(login)
        except LifecycleError as error:
            return {"error": type(error).__name__, "seen": error.message, "granted": False}
        seen = f"missing: {', '.join(missing)}" if missing else f"{target.user} is logged in"
        return {"error": "", "seen": seen, "granted": not missing}


def _ranges(found: BackupStatus) -> dict[str, Any]:
    """Return a partition's ranges in milliseconds, short enough for every partition to have some.

    ``leftOut`` is how many more there are.
    """
    if found.ranges is None:
        return {"ranges": None, "leftOut": 0}
    ranges = thinned(found.ranges, MOST_RANGES)
    return {
        "ranges": [
            {
                "partition": one.partition,
                "start": _milliseconds(one.start),
                "end": _milliseconds(one.end),
            }
            for one in ranges
        ],
        "leftOut": len(found.ranges) - len(ranges),
    }


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _nodes(topology: Topology | None) -> list[int]:
    brokers = topology.brokers if topology is not None else ()
    return [one.node_id for one in brokers if isinstance(one.node_id, int)]
