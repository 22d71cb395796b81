"""Verify a cluster as its users would see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.cluster.checks import Check, Result, overall
from lifecycle.cluster.polling import Wait
from lifecycle.operation.steps import VERIFICATION
from lifecycle.times import epoch
from lifecycle.verification.checks import (
    Front,
    check_path,
    check_targets,
    check_topology,
    failure,
    fronts,
)
from lifecycle.verification.process_instances import (
    WAIT_SECONDS,
    check_instances,
    is_over,
    not_checked,
    read_instances,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.camunda.ports import Probe
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.services.ports import Services, TargetGroups


@dataclass(frozen=True, slots=True)
class Verifier:
    """The use case and its ports."""

    services: Services
    targets: TargetGroups
    probe: Probe
    journal: Journal

    def look_at_instances(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        known: Mapping[str, Any],
        *,
        wanted: bool,
    ) -> dict[str, Any]:
        """Look once whether each partition takes a process instance and exports it.

        ``known`` is what the look before returned as ``instances``, empty before the first; not
        ``wanted``, nothing is done. Returns ``instances`` for the next look or for ``verify``, and
        ``wait`` (seconds) as long as another look is needed.
        """
        if not wanted:
            return {"instances": {"skipped": True}}
        now = self._now()
        wait = Wait.at(VERIFICATION, now, Wait.read(known.get("waited")))
        self.journal.step(operation, VERIFICATION, "a process instance on each partition")
        seen = self.probe.query("instances", cluster, known=known.get("seen", {}))
        answer: dict[str, Any] = {"instances": {"waited": wait.as_state(), "seen": seen}}
        if not is_over(read_instances(seen), wait, now):
            answer["wait"] = WAIT_SECONDS
        return answer

    def verify(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        instances: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Check brokers, load balancers and each path through them.

        ``instances`` is what ``look_at_instances`` returned last; None where there was no look, as
        after a restart, which changes no partition.

        Returns ``result`` (PASS, WARN or FAIL), ``checks``, ``failure`` (what failed, in words) and
        the ``topology``.
        """
        self.journal.step(operation, VERIFICATION, "checking brokers and load balancers")
        names = (cluster.orchestration_service, cluster.connectors_service)
        brokers, connectors = self.services.describe(cluster.ecs_cluster, names)
        direct = self.probe.query("brokers", cluster, expected=brokers.desired)
        paths = self.probe.query("paths", cluster)
        answered = bool(direct["formation"]["formed"])

        rest = check_targets(
            "REST", self.targets.health(cluster.rest_target_group), brokers.desired
        )
        grpc = check_targets(
            "gRPC", self.targets.health(cluster.grpc_target_group), brokers.desired
        )
        web, native = fronts(cluster)
        # With an identity provider, a login that leads elsewhere fails for every user.
        required = {"rest", "connectors"} | ({"login"} if cluster.uses_oidc else set())

        def path(name: str, key: str, behind: Check, front: Front) -> Check:
            return check_path(
                f"{name} through the load balancer",
                paths[key],
                behind=behind,
                direct=answered,
                front=front,
                now=self._now(),
                # Pages may be switched off, and DNS lists zones without targets for a while:
                # https://repost.aws/knowledge-center/elb-dns-cross-zone-balance-configuration
                must_answer=key in required,
            )

        checks: list[Check] = [
            check_topology(direct["formation"]),
            *_of_instances(instances),
            rest,
            path("REST", "rest", rest, web),
            path("login page", "login", rest, web),
            grpc,
            path("gRPC", "grpc", grpc, native),
        ]
        wanted = cluster.connectors
        if connectors.desired != wanted:
            seen = f"the desired count is {connectors.desired}, the cluster should have {wanted}"
            checks.append(
                Check("connectors count", Result.FAIL, seen, "Start the same operation again.")
            )
        if connectors.desired:
            health = check_targets(
                "connectors",
                self.targets.health(cluster.connectors_target_group),
                connectors.desired,
            )
            checks += [health, path("connectors", "connectors", health, web)]
        result = overall(checks)
        self.journal.step(operation, VERIFICATION, str(result))
        return {
            "result": str(result),
            "checks": [check.as_dict() for check in checks],
            "failure": failure(checks),
            "topology": direct.get("topology", []),
        }

    def _now(self) -> int:
        return epoch(self.journal.clock.now())


def _of_instances(instances: Mapping[str, Any] | None) -> list[Check]:
    if instances is None:
        return []
    if instances.get("skipped") is True:
        return [not_checked()]
    return [check_instances(read_instances(instances.get("seen", {})))]
