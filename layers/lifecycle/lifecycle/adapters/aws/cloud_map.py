"""AWS Cloud Map. Sources: its API reference, ListServices and DeleteService.

https://docs.aws.amazon.com/cloud-map/latest/api/API_ListServices.html
https://docs.aws.amazon.com/cloud-map/latest/api/API_DeleteService.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.adapters.aws.session import client
from lifecycle.teardown.discovery import NamedService

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_servicediscovery import ServiceDiscoveryClient


class CloudMapNamespaces:
    """The ``Namespaces`` port on Cloud Map."""

    @property
    def _api(self) -> ServiceDiscoveryClient:
        api: ServiceDiscoveryClient = client("servicediscovery")
        return api

    def services(self, namespace: str) -> Sequence[NamedService]:
        """Return the services in a namespace, by its id."""
        pages = self._api.get_paginator("list_services").paginate(
            Filters=[{"Name": "NAMESPACE_ID", "Values": [namespace], "Condition": "EQ"}]
        )
        return [
            NamedService(one["Id"], one["Name"], one.get("InstanceCount", 0))
            for page in pages
            for one in page["Services"]
        ]

    def delete_service(self, identifier: str) -> bool:
        """Delete a service without instances; False while Cloud Map finds instances in it."""
        try:
            self._api.delete_service(Id=identifier)
        except self._api.exceptions.ServiceNotFound:
            return True
        except self._api.exceptions.ResourceInUse:
            return False
        return True
