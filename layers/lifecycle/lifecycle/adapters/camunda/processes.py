"""Camunda's Orchestration Cluster REST API (v2, port 8080) for processes, called inside the VPC.

Source: https://docs.camunda.io/docs/8.9/apis-tools/orchestration-cluster-api-rest/orchestration-cluster-api-rest-overview/
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lifecycle.adapters.camunda import http_client
from lifecycle.adapters.camunda.management import REST_PORT, HttpManagement, read_json
from lifecycle.camunda.json_reader import integer, mapping, objects

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from lifecycle.camunda.credentials import Credentials

# With multi-tenancy a request without a tenant is refused; without it, one for any other than this.
# https://docs.camunda.io/docs/8.9/components/concepts/multi-tenancy/
_TENANT = "<default>"
# No key of a form has it in its content.
_BOUNDARY = "camunda-ecs-lifecycle-6f1d9a52"
_JSON = {"Accept": "application/json", "Content-Type": "application/json"}
_FORM = {**_JSON, "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}


class HttpProcesses(HttpManagement):
    """The ``Processes`` port on HTTP. Each call may be repeated, also where its answer was lost.

    Every call raises ``ManagementUnavailable``, ``ManagementRefused``, ``CredentialsRefused``,
    ``CredentialsWithheld`` or ``InvalidResponse``.
    """

    def addresses(self) -> tuple[str, ...]:
        """Return the brokers' addresses, always in one order: the gateways take turns."""
        return tuple(sorted(super().addresses()))

    def deploy(self, resource: str, content: bytes, credentials: Credentials) -> None:
        """Deploy one BPMN resource (``POST /v2/deployments``); the same bytes change nothing."""
        body = (
            f"--{_BOUNDARY}\r\n"
            'Content-Disposition: form-data; name="tenantId"\r\n\r\n'
            f"{_TENANT}\r\n"
            f"--{_BOUNDARY}\r\n"
            f'Content-Disposition: form-data; name="resources"; filename="{resource}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode() + (content + f"\r\n--{_BOUNDARY}--\r\n".encode())
        request = http_client.Request("POST", "/v2/deployments", body, _FORM)
        mapping(read_json(self._read(REST_PORT, request, credentials)), "the deployment")

    def create_instance(self, process_id: str, credentials: Credentials) -> int:
        """Create an instance of the latest version (``POST /v2/process-instances``): its key."""
        body = {"processDefinitionId": process_id, "tenantId": _TENANT}
        answer = self._ask("/v2/process-instances", body, credentials)
        return integer(mapping(answer, "the process instance"), "processInstanceKey")

    def found_instances(self, keys: Collection[int], credentials: Credentials) -> frozenset[int]:
        """Return the instances that a search by keys finds (``POST /v2/process-instances/search``).

        The search reads the secondary storage, so that it is eventually consistent.
        """
        query = {
            "filter": {"processInstanceKey": {"$in": [str(key) for key in sorted(keys)]}},
            "page": {"limit": len(keys)},
        }
        answer = mapping(
            self._ask("/v2/process-instances/search", query, credentials), "the search"
        )
        found = {
            integer(one, "processInstanceKey") for one in objects(answer.get("items"), "items")
        }
        return frozenset(found & set(keys))

    def _ask(self, path: str, body: Mapping[str, object], credentials: Credentials) -> object:
        request = http_client.Request("POST", path, json.dumps(body).encode(), _JSON)
        return read_json(self._read(REST_PORT, request, credentials))
