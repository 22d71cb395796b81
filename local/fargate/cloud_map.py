"""Cloud Map services that ECS makes for the names of Service Connect.

One for each discovery name, in the namespace of the configuration, with an instance for each task
that runs: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceConnectService.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.aws.emulator import servicediscovery
from local.aws.strict import service_connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.aws.strict.service_connect import Configuration
    from local.fargate.task import Task


def name_endpoints(configuration: Configuration) -> dict[str, str]:
    """Make sure of a Cloud Map service for each discovery name. Gives their ARNs by name.

    None in a namespace that is not there.
    """
    namespace = _namespace(configuration)
    if not namespace:
        return {}
    found = _in_namespace(namespace)
    for name in service_connect.discovery_names(configuration):
        if name not in found:
            given = {"Name": name, "NamespaceId": namespace}
            made = json.loads(servicediscovery.create_service(given)[2])["Service"]
            found[name] = servicediscovery.services[made["Id"]]
    return {name: found[name]["Arn"] for name in service_connect.discovery_names(configuration)}


def register(task: Task) -> None:
    """Make a running task an instance of each of its names."""
    for identifier in _services_of(task):
        servicediscovery.register_instance(
            {
                "ServiceId": identifier,
                "InstanceId": task.id,
                "Attributes": {"AWS_INSTANCE_IPV4": task.address},
            }
        )


def deregister(task: Task) -> None:
    """Forget a task that stops."""
    for identifier in _services_of(task):
        servicediscovery.deregister_instance({"ServiceId": identifier, "InstanceId": task.id})


def _services_of(task: Task) -> Iterator[str]:
    found = _in_namespace(_namespace(task.connect))
    for name in service_connect.discovery_names(task.connect):
        if name in found:
            yield found[name]["Id"]


def _namespace(configuration: Configuration) -> str:
    """Id of the namespace that a configuration names, by its ARN or its name."""
    named = str(configuration.get("namespace", ""))
    for identifier, namespace in servicediscovery.namespaces.items():
        if named in (namespace["Arn"], namespace["Name"]):
            return str(identifier)
    return ""


def _in_namespace(namespace: str) -> dict[str, Any]:
    return {
        one["Name"]: one
        for one in servicediscovery.services.values()
        if one["NamespaceId"] == namespace
    }
