"""Outputs of the cluster's stack as they will be once a change set is executed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifecycle.cluster.contract import ClusterOutputs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lifecycle.cluster.stack import ResourceChange

OF_PARAMETERS: Final = frozenset(
    {
        "BrokerGraceSeconds",
        "Brokers",
        "ClusterName",
        "Connectors",
        "EnableExecuteCommand",
        "ManagementListener",
        "OrchestrationImage",
    }
)
"""Outputs that give back the parameter of the same name, of those that services need."""

OF_RESOURCES: Final[Mapping[str, str]] = {
    "BrokerDiscoveryArn": "BrokerDiscovery",
    "BrokerSecurityGroupId": "BrokerSecurityGroup",
    "ConnectorsDiscoveryArn": "ConnectorsDiscovery",
    "ConnectorsSecurityGroupId": "ConnectorsSecurityGroup",
    "ConnectorsTargetGroupArn": "ConnectorsTargetGroup",
    "ConnectorsTaskDefinitionArn": "ConnectorsTaskDefinition",
    "EcsClusterName": "EcsCluster",
    "GrpcTargetGroupArn": "GrpcTargetGroup",
    "ManagementTargetGroupArn": "ManagementTargetGroup",
    "OrchestrationTaskDefinitionArn": "OrchestrationTaskDefinition",
    "RestTargetGroupArn": "RestTargetGroup",
    "ServiceConnectNamespaceArn": "ServiceConnectNamespace",
}
"""Outputs that identify a resource, by its logical id, of those that services need."""


def outputs_after(
    present: Mapping[str, str],
    parameters: Mapping[str, str],
    changes: Iterable[ResourceChange],
) -> ClusterOutputs:
    """Return the outputs after a change set, ``UNKNOWN`` for what CloudFormation makes by it.

    ``present`` are the stack's outputs now, empty while it has none; ``parameters`` all of those
    that the stack will have. Only tags of a task definition change in place; whatever else does
    is a new revision.
    """
    made = {one.logical_id for one in changes if one.action == "Add" or one.replaces}
    after = {**present, **{name: parameters[name] for name in OF_PARAMETERS if name in parameters}}
    for output, resource in OF_RESOURCES.items():
        if output not in present or resource in made:
            after[output] = UNKNOWN
    # The control stack exports them, and refuses to change what a cluster imports.
    after.setdefault("PrivateSubnetIds", UNKNOWN)
    return ClusterOutputs(after)


UNKNOWN: Final = "(known after the change set)"
