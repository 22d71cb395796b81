"""Verify a cluster as its users would see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.core.verification import (
    Check,
    Result,
    check_path,
    check_targets,
    check_topology,
    failure,
    overall,
)

if TYPE_CHECKING:
    from lifecycle.core.operation import Operation
    from lifecycle.operations.journal import Journal
    from lifecycle.ports import Probe, Services, TargetGroups

STEP: Final = "Verification"


@dataclass(frozen=True, slots=True)
class Verifier:
    """The use case with what it needs from outside."""

    services: Services
    targets: TargetGroups
    probe: Probe
    journal: Journal

    def verify(self, operation: Operation, cluster: Mapping[str, str]) -> dict[str, Any]:
        """Check brokers, load balancers and each path through them.

        Returns ``result`` (PASS, WARN or FAIL), ``checks``, ``failure`` (what failed, in words) and
        the ``topology``.
        """
        self.journal.step(operation, STEP, "asking brokers and load balancers")
        names = (cluster["OrchestrationServiceName"], cluster["ConnectorsServiceName"])
        brokers, connectors = self.services.describe(cluster["EcsClusterName"], names)
        live = {**cluster, "LiveBrokers": str(brokers.desired)}
        direct = self.probe.ask("brokers", live)
        paths = self.probe.ask("paths", live)
        answered = bool(direct["formation"]["formed"])

        rest = check_targets(
            "REST", self.targets.health(cluster["RestTargetGroupArn"]), brokers.desired
        )
        grpc = check_targets(
            "gRPC", self.targets.health(cluster["GrpcTargetGroupArn"]), brokers.desired
        )
        checks: list[Check] = [
            check_topology(direct["formation"]),
            rest,
            check_path(
                "REST through the load balancer", paths["rest"], behind=rest, direct=answered
            ),
            grpc,
            check_path(
                "gRPC through the load balancer", paths["grpc"], behind=grpc, direct=answered
            ),
        ]
        wanted = int(cluster["Connectors"])
        if connectors.desired != wanted:
            told = f"ECS wants {connectors.desired} tasks, the cluster is to have {wanted}"
            checks.append(
                Check("connectors count", Result.FAIL, told, "Start the same operation again.")
            )
        if connectors.desired:
            health = check_targets(
                "connectors",
                self.targets.health(cluster["ConnectorsTargetGroupArn"]),
                connectors.desired,
            )
            checks += [
                health,
                check_path(
                    "connectors through the load balancer",
                    paths["connectors"],
                    behind=health,
                    direct=answered,
                ),
            ]
        result = overall(checks)
        self.journal.step(operation, STEP, str(result))
        return {
            "result": str(result),
            "checks": [check.as_dict() for check in checks],
            "failure": failure(checks),
            "topology": direct.get("topology", []),
        }
