"""In-memory fake of the designs of ECS services."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.scaling.adoption import Ingress, ServiceDesign

# As Camunda's Terraform makes it: ports open to the whole VPC, rebalancing left to its default.
BY_TERRAFORM = ServiceDesign(
    groups=("sg-brokers",),
    ingress=(Ingress(9600, 9600, cidr="10.0.0.0/16"), Ingress(8080, 8080, cidr="10.0.0.0/16")),
    cluster_size=3,
    node_ids="s3",
    desired=3,
    minimum_healthy=66,
    maximum=100,
    rebalancing="ENABLED",
)


@dataclass
class FakeServiceDesigns:
    """One design for whatever is asked for."""

    design: ServiceDesign = BY_TERRAFORM

    def read(self, ecs_cluster: str, service: str) -> ServiceDesign:
        """Give the design that the test has set."""
        del ecs_cluster, service
        return self.design
