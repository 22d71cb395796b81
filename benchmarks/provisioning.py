"""How long provisioning takes, by a model of its order. `python -m benchmarks.provisioning`

Nothing is measured: there was no account to measure on. The model takes the longest chain of things
that wait for another, with the minutes of `plans/critical_path.py`, which plans show as well. So it
says how three ways of provisioning differ by their order, not how fast AWS is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from lifecycle.plans.critical_path import MINUTES, START, Link, critical_path

from benchmarks.artifacts import write
from local.config import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCES: Final[Mapping[str, str]] = {
    "AWS::EFS::FileSystem": "12 s: github.com/turbot/steampipe-plugin-aws/pull/426",
    "AWS::EFS::MountTarget": "over 60 s: github.com/turbot/steampipe-plugin-aws/pull/426; at times"
    " over 10 minutes: github.com/hashicorp/terraform-provider-aws/issues/15278",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "2 min 54 s:"
    " github.com/DataBiosphere/azul/pull/5780; 2 min 15 s to 3 min 7 s in public logs of Terraform",
    "AWS::RDS::DBCluster": "43 s in a public log of Terraform; CloudFormation not reported",
    "AWS::RDS::DBInstance": "6 min 21 s in a public log of Terraform, of Aurora",
    "AWS::ServiceDiscovery::PrivateDnsNamespace": "112 s made and removed, of a public one:"
    " github.com/hashicorp/terraform-provider-aws/pull/2569",
}
"""What was reported of the types that take minutes. AWS promises nothing."""

REFERENCE: Final = "https://github.com/camunda/camunda-deployment-references"

SEED_TASK: Final = (1, 2)
"""Minutes of a Fargate task that seeds the database, image pulled and waited for: an estimate."""
CHANGE_SET: Final = (1, 2)
"""Minutes of a second change set that hands the services over, made and executed: an estimate."""


@dataclass(frozen=True)
class Node:
    """Something that is made: the CloudFormation type of the same thing, and what it waits for."""

    kind: str
    needs: tuple[str, ...] = ()
    minutes: tuple[int, int] | None = None
    """Where it is no resource."""


TERRAFORM: Final[Mapping[str, Node]] = {
    "VPC and subnets": Node("AWS::EC2::Subnet"),
    "load balancer of the web": Node(
        "AWS::ElasticLoadBalancingV2::LoadBalancer", ("VPC and subnets",)
    ),
    "load balancer of gRPC": Node(
        "AWS::ElasticLoadBalancingV2::LoadBalancer", ("VPC and subnets",)
    ),
    "Aurora cluster": Node("AWS::RDS::DBCluster", ("VPC and subnets",)),
    "Aurora instance": Node("AWS::RDS::DBInstance", ("Aurora cluster",)),
    "seed task": Node("", ("Aurora instance",), SEED_TASK),
    # The whole module of the orchestration cluster depends on the seed task, so that its file
    # system and its namespace wait for the database as well.
    "file system": Node("AWS::EFS::FileSystem", ("seed task",)),
    # The service does not depend on them, but no task starts before it can mount.
    "mount targets": Node("AWS::EFS::MountTarget", ("file system",)),
    "namespace": Node("AWS::ServiceDiscovery::PrivateDnsNamespace", ("seed task",)),
    "brokers and connectors start": Node(
        "",
        ("mount targets", "namespace", "load balancer of the web", "load balancer of gRPC"),
        START,
    ),
}
"""What decides the order of Camunda's Terraform for ECS, of its 119 resources.

Read from aws/containers/ecs-single-region-fargate/terraform/cluster and from the modules that it
uses. Left out is what takes less than a minute, and NAT gateways, for which nothing on the way
waits.
"""


def longest(graph: Mapping[str, Node]) -> tuple[Link, ...]:
    """Give the chain of a graph that takes longest, without what takes less than a minute."""

    @cache
    def chain(name: str) -> tuple[Link, ...]:
        node = graph[name]
        least, most = node.minutes or MINUTES.get(node.kind, (0, 0))
        before = max((chain(one) for one in node.needs), key=_weight, default=())
        return (*before, Link(name, least, most)) if most else before

    return max((chain(name) for name in graph), key=_weight, default=())


def _weight(chain: tuple[Link, ...]) -> tuple[int, int]:
    return sum(link.most for link in chain), sum(link.least for link in chain)


def ways() -> dict[str, tuple[Link, ...]]:
    """Give the chain of each way of provisioning."""
    template: Mapping[str, Any] = json.loads((REPOSITORY / "stacks" / "cluster.json").read_text())
    stack = critical_path(template, template["Resources"])
    start = Link("brokers and connectors start", *START)
    return {
        "Camunda's Terraform": longest(TERRAFORM),
        # At zero in the stack, and raised by a second change set after the database was seeded.
        "services in the stack": (*stack, Link("second change set", *CHANGE_SET), start),
        "services outside of the stack": (*stack, start),
    }


def main() -> None:
    """Work the model out, write."""
    found = ways()
    figures = {
        name: {
            "least": sum(link.least for link in chain),
            "middle": sum(link.least + link.most for link in chain) / 2,
            "most": sum(link.most for link in chain),
            "chain": [[link.logical_id, link.least, link.most] for link in chain],
        }
        for name, chain in found.items()
    }
    table = "A model, not a measurement. Minutes.\n\n"
    table += "| way | least | middle | most | what waits for what |\n|---|---|---|---|---|\n"
    for name, one in figures.items():
        chain = ", ".join(f"{link.logical_id} {link.least}-{link.most}" for link in found[name])
        table += f"| {name} | {one['least']} | {one['middle']:g} | {one['most']} | {chain} |\n"
    table += "\n| takes minutes | least | most | reported |\n|---|---|---|---|\n"
    for kind, (least, most) in MINUTES.items():
        table += f"| {kind} | {least} | {most} | {SOURCES[kind]} |\n"
    table += f"| brokers and connectors start | {START[0]} | {START[1]} | an estimate |\n"
    table += f"| seed task | {SEED_TASK[0]} | {SEED_TASK[1]} | an estimate |\n"
    table += f"| second change set | {CHANGE_SET[0]} | {CHANGE_SET[1]} | an estimate |\n"
    write("provisioning", {"minutes": figures, "reference": REFERENCE}, table, "Worked out")


if __name__ == "__main__":
    main()
