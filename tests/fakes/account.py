"""In-memory fake of the account: facts as a test wants them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.preflight.checks import Bucket, Facts, Network, Quota, Subnet
from lifecycle.preflight.service_roles import ServiceRoles

if TYPE_CHECKING:
    from lifecycle.preflight.checks import Need

PLENTY: Final = Quota(limit=100, used=0)
ROOMY: Final = Facts(
    account="123456789012",
    region="eu-central-1",
    vcpu=PLENTY,
    application_balancers=PLENTY,
    network_balancers=PLENTY,
    database_clusters=PLENTY,
    database_instances=PLENTY,
    engine_offered=True,
    class_offered=True,
    network=Network(
        dns_support=True,
        dns_hostnames=True,
        subnets=tuple(Subnet(f"subnet-{n}", f"zone-{n}", 4000, f"nat-{n}") for n in range(3)),
    ),
    bucket=Bucket(private=True, versioned=True),
    ecs_cluster_exists=False,
    service_roles=ServiceRoles(),
    retirement_days=7,
    autoscaled=(),
    control_stacks=("camunda-lifecycle",),
)


@dataclass
class FakeAccount:
    """An account with room for everything, until a test takes it away."""

    found: Facts = ROOMY

    def facts(self, need: Need) -> Facts:
        """Give the facts that the test has set."""
        del need
        return self.found
