"""A namespace stays while services are in it, and those of Service Connect stay for a while."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import ecs, provisioners
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from local.aws.strict import Strictness

NAME: Final = "namespace-in-use"
CLEANING_SECONDS: Final = 10.0
"""How long ECS takes to remove its Cloud Map services after a service is gone; minutes on AWS."""
_KINDS: Final = (
    "AWS::ServiceDiscovery::HttpNamespace",
    "AWS::ServiceDiscovery::PrivateDnsNamespace",
)


@dataclass
class Namespaces:
    """Which namespaces ECS still has services of Service Connect in."""

    clock: Callable[[], float] = time.monotonic
    gone_at: dict[str, float] = field(default_factory=dict)
    """When each service was first seen to be gone, by its ARN."""

    def refusal(self, namespace: str, services: Iterable[Mapping[str, Any]]) -> str:
        """Why a namespace cannot be deleted; empty if it can."""
        for service in services:
            connect = service.get("_service_connect") or {}
            if namespace not in str(connect.get("namespace", "")):
                continue
            arn, now = str(service["serviceArn"]), self.clock()
            gone = service["status"] == "INACTIVE"
            if gone and now - self.gone_at.setdefault(arn, now) >= CLEANING_SECONDS:
                continue
            return (
                f"Namespace {namespace} can't be deleted because it contains one or more"
                " services. (Service: ServiceDiscovery, Error Code: ResourceInUse)"
            )
        return ""


def install(strictness: Strictness) -> None:
    """Ask before CloudFormation deletes a namespace."""
    namespaces = Namespaces()
    for kind in _KINDS:
        handlers = provisioners.RESOURCE_HANDLERS[kind]
        handlers["delete"] = _asked(handlers["delete"], namespaces, strictness)


def _asked(own: Any, namespaces: Namespaces, strictness: Strictness) -> Any:
    def delete(physical_id: str, properties: Any) -> None:
        refused = namespaces.refusal(physical_id, list(ecs.services.values()))
        if refused and strictness.on(NAME):
            raise ValueError(refused)
        own(physical_id, properties)

    return delete


RULE: Final = Rule(
    name=NAME,
    does="A Cloud Map namespace cannot be deleted while services are in it; ECS removes those that"
    " it made for Service Connect some time after its own service is gone.",
    source="https://docs.aws.amazon.com/cloud-map/latest/api/API_DeleteNamespace.html",
    caught="a teardown that comes to the namespace before ECS is done ends in DELETE_FAILED.",
    install=install,
)
