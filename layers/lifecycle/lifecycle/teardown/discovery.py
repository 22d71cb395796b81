"""What stands between a Cloud Map namespace and its deletion.

Cloud Map refuses to delete a namespace with services in it, and a service with instances in it.
ECS makes a service for each discovery name of Service Connect, and no document states that or when
it deletes them after its own service is gone; so they are neither waited for without an end nor
left to CloudFormation, which gives up and ends in DELETE_FAILED.
https://docs.aws.amazon.com/cloud-map/latest/dg/deleting-namespaces.html
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceConnectService.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from lifecycle.cluster.stack import StackResource

NAMESPACE_TYPES: Final = (
    "AWS::ServiceDiscovery::HttpNamespace",
    "AWS::ServiceDiscovery::PrivateDnsNamespace",
)


@dataclass(frozen=True, slots=True)
class NamedService:
    """A Cloud Map service: its id, its name and how many instances are registered in it."""

    identifier: str
    name: str
    instances: int


@dataclass(frozen=True, slots=True)
class Leftovers:
    """``removable`` has no instance and no owner; ``busy`` still has instances."""

    removable: Sequence[NamedService]
    busy: Sequence[NamedService]


def namespaces_of(contents: Iterable[StackResource]) -> list[str]:
    """Ids of the namespaces that a stack holds."""
    return [one.physical_id for one in contents if one.resource_type in NAMESPACE_TYPES]


def services_of(contents: Iterable[StackResource]) -> frozenset[str]:
    """Ids of the Cloud Map services that a stack holds, which go with it."""
    return frozenset(
        one.physical_id for one in contents if one.resource_type == "AWS::ServiceDiscovery::Service"
    )


def leftovers(services: Iterable[NamedService], owned: Collection[str]) -> Leftovers:
    """Divide the services of a stack's namespace by what has to become of them.

    A service of the stack's own (``owned``, ids) is CloudFormation's to delete, once it is without
    instances. Any other was made beside the stack and goes first.
    """
    found = list(services)
    return Leftovers(
        removable=[one for one in found if not one.instances and one.identifier not in owned],
        busy=[one for one in found if one.instances],
    )
