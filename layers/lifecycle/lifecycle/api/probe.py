"""Query brokers and load balancers from inside the VPC, the only place that reaches them.

Questions: ``brokers`` (whether the brokers form the cluster expected), ``rolling`` (that, and how
far each broker exported), ``backup`` (the newest of the brokers), ``overview`` (what they report
of themselves) and ``paths`` (what a user gets through the load balancers). Every answer is small
and free of secrets. What cannot be queried is part of the answer, never an exception: the
caller decides what it means.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.paths import PathSeen, SignIn
from lifecycle.camunda.read_backup import query_backup
from lifecycle.camunda.read_brokers import query_brokers
from lifecycle.camunda.read_topology import query_topology
from lifecycle.camunda.topology import (
    formation,
    members_table,
    pending_summary,
    topology_table,
)
from lifecycle.errors import LifecycleError, ManagementUnavailable
from lifecycle.services.brokers import held_partitions
from lifecycle.verification.checks import fronts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lifecycle.camunda.ports import IdentityProvider, ManagementApi, Paths
    from lifecycle.camunda.topology import ClusterConfiguration, Topology
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.ports import Logins

# The configuration comes from the management port, the topology from a gateway.
_SOURCES = 2
LOGIN_PAGE: Final = "/operate/login"
SIGN_IN: Final = "/operate"
CALLBACK: Final = "/sso-callback"


@dataclass(frozen=True, slots=True)
class Prober:
    """The use case with what it needs from outside; ``networks`` are the CIDRs of the VPC."""

    management: Callable[[str], ManagementApi]
    paths: Paths
    provider: IdentityProvider
    logins: Logins
    networks: Sequence[str]

    def brokers(self, cluster: ClusterOutputs, *, expected: int) -> dict[str, Any]:
        """Return formation and topology, compared with the number of brokers expected now."""
        return self._formation(self.management(cluster.discovery_name), cluster, expected)[0]

    def rolling(
        self, cluster: ClusterOutputs, *, expected: int, without: int | None = None
    ) -> dict[str, Any]:
        """As ``brokers``; ``exporting`` is what each broker returns of its partitions.

        Empty while the cluster is not formed: then nothing is decided by it. With ``without``, a
        broker that is to be stopped, ``others`` shows whether the cluster is whole but for it.
        """
        api = self.management(cluster.discovery_name)
        answer, topology = self._formation(api, cluster, expected, without)
        formed = answer["formation"]["formed"]
        return {**answer, "exporting": query_brokers(api, topology) if formed else []}

    def _formation(
        self,
        api: ManagementApi,
        cluster: ClusterOutputs,
        expected: int,
        without: int | None = None,
    ) -> tuple[dict[str, Any], Topology | None]:
        problems: list[str] = []
        configuration: ClusterConfiguration | None = None
        topology: Topology | None = None
        unavailable = 0
        try:
            configuration = api.configuration()
        except LifecycleError as error:
            unavailable += isinstance(error, ManagementUnavailable)
            problems.append(f"the cluster configuration: {error.message.rstrip('.')}")
        try:
            topology = query_topology(api, self.logins.of(cluster))
        except LifecycleError as error:
            unavailable += isinstance(error, ManagementUnavailable)
            problems.append(error.message.rstrip("."))
        if unavailable == _SOURCES:
            problems = ["no broker responds yet"]
        # Camunda may have been given more since the bootstrap.
        held = held_partitions(configuration) if configuration is not None else 0
        partitions = max(cluster.partitions, held)

        def judged(stopped: int | None = None) -> dict[str, Any]:
            formed = formation(
                configuration,
                topology,
                brokers=expected,
                partitions=partitions,
                replication_factor=cluster.replication_factor,
                without=stopped,
            )
            # Why nothing could be read explains more than what follows from it.
            return {**asdict(formed), "problems": problems or list(formed.problems)}

        answer: dict[str, Any] = {
            "formation": {**judged(), "brokers": expected, "partitions": partitions},
            "topology": topology_table(topology) if topology is not None else [],
        }
        if without is not None:
            answer["others"] = judged(without)
        return answer, topology

    def overview(self, cluster: ClusterOutputs) -> dict[str, Any]:
        """Members, pending change and topology as Camunda returns them; null if missing."""
        api = self.management(cluster.discovery_name)
        problems: list[str] = []
        configuration: ClusterConfiguration | None = None
        topology: Topology | None = None
        try:
            configuration = api.configuration()
        except LifecycleError as error:
            problems.append(error.message)
        try:
            topology = query_topology(api, self.logins.of(cluster))
        except LifecycleError as error:
            problems.append(error.message)
        return {
            "members": None if configuration is None else members_table(configuration),
            "pendingChange": None if configuration is None else pending_summary(configuration),
            "topology": None if topology is None else topology_table(topology),
            "problems": problems,
        }

    def backup(self, cluster: ClusterOutputs) -> dict[str, Any]:
        """Return the newest backup of the brokers; see ``query_backup``."""
        return query_backup(self.management(cluster.discovery_name))

    def through_load_balancers(self, cluster: ClusterOutputs) -> dict[str, Any]:
        """REST as an admin, the login page, connectors' readiness, gRPC: what was seen of each.

        The login page is Operate's, which responds to everyone: its address is one of the web
        application's own, for which its index page is served (camunda/camunda 8.9,
        ``OperateIndexController``, and ``WebSecurityConfig``: "webapps are accessible without any
        authentication required"). The credentials go to AWS's name of the load balancer, whatever
        the domain name's record points at, which the login page shows; the same holds for gRPC.
        Certificates have to be those of the host in ``RestUrl`` and, if it has a name of its own,
        of that in ``GrpcEndpoint``.
        With an identity provider, REST is requested by a token alone, and the login page's place
        has the redirects that lead a browser to the provider.
        """
        rest = cluster.rest_url
        host, _, port = cluster.grpc_endpoint.rpartition(":")
        front = fronts(cluster)[1]
        native = front.balancer or host

        def topology() -> PathSeen:
            return self.paths.http(
                f"{rest}/v2/topology",
                login=self.logins.of(cluster).newest(),
                networks=self.networks,
                # A domain name is the request's; the load balancer is the stack's.
                balancer=cluster.get("WebLoadBalancerDnsName", ""),
            )

        questions: dict[str, Callable[[], PathSeen]] = {
            "rest": topology,
            "login": lambda: self._login(cluster),
            "connectors": lambda: self.paths.http(f"{rest}/connectors/actuator/health/readiness"),
            "grpc": lambda: self.paths.grpc(native, int(port), tls=front.tls, name=front.domain),
        }
        # At the same time: one that nothing answers takes up to 45 s for its three addresses.
        with ThreadPoolExecutor(len(questions)) as pool:
            return dict(zip(questions, pool.map(self._queried, questions.values()), strict=True))

    def _login(self, cluster: ClusterOutputs) -> PathSeen:
        """Request the login page; with an identity provider, where Camunda sends a browser."""
        rest = cluster.rest_url
        if not cluster.uses_oidc:
            return self.paths.page(f"{rest}{LOGIN_PAGE}")
        published = self.provider.discovery(cluster.oidc_issuer)
        wanted = SignIn(
            published.authorization_endpoint, cluster.oidc_client_id, f"{rest}{CALLBACK}"
        )
        return self.paths.sign_in(f"{rest}{SIGN_IN}", wanted)

    @staticmethod
    def _queried(query: Callable[[], PathSeen]) -> dict[str, Any]:
        try:
            return query().as_dict()
        except LifecycleError as error:
            return PathSeen(ok=False, seen=error.message, error=type(error).__name__).as_dict()
