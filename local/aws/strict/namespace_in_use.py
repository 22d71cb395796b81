"""A namespace stays while services are in it, and a service while instances are in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import responses, servicediscovery
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from local.aws.strict import Strictness


def listed(
    services: Iterable[Mapping[str, Any]],
    instances: Mapping[str, Mapping[str, Any]],
    filters: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """What ListServices shows: the services of the requested namespaces, with instance counts."""
    wanted = [
        {str(value).rsplit("/", 1)[-1] for value in one["Values"]}
        for one in filters
        if one["Name"] == "NAMESPACE_ID"
    ]
    return [
        {**service, "InstanceCount": len(instances.get(service["Id"], {}))}
        for service in services
        if all(service["NamespaceId"] in ids for ids in wanted)
    ]


def refusal(instances: Mapping[str, Any]) -> str:
    """Why a service with these instances cannot be deleted; empty if it can."""
    if not instances:
        return ""
    return "Service contains registered instances; delete the instances before deleting the service"


def install(_: Strictness) -> None:
    """List the requested namespaces, and delete no service with instances."""
    own_list, own_delete = servicediscovery.list_services, servicediscovery.delete_service

    def list_services(data: dict[str, Any]) -> Any:
        status, headers, body = own_list(data)
        found = listed(
            json.loads(body)["Services"], servicediscovery.instances, data.get("Filters") or []
        )
        return status, headers, json.dumps({"Services": found}).encode()

    def delete_service(data: dict[str, Any]) -> Any:
        refused = refusal(servicediscovery.instances.get(data.get("Id"), {}))
        if refused:
            return responses.error_response_json("ResourceInUse", refused, 400)
        return own_delete(data)

    servicediscovery.list_services = list_services
    servicediscovery.delete_service = delete_service


RULE: Final = Rule(
    name="namespace-in-use",
    does="A Cloud Map namespace cannot be deleted while it has services, nor a service while it"
    " has instances. ECS creates a service for each Service Connect name; here they remain, because"
    " AWS does not document when it removes them.",
    source="https://docs.aws.amazon.com/cloud-map/latest/dg/deleting-namespaces.html",
    caught="a teardown that reaches the namespace before ECS has finished ends in DELETE_FAILED.",
    install=install,
)
