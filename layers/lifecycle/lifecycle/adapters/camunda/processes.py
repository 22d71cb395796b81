"""Camunda's Orchestration Cluster REST API (v2, port 8080) for processes, called inside the VPC.

Source: https://docs.camunda.io/docs/8.9/apis-tools/orchestration-cluster-api-rest/orchestration-cluster-api-rest-overview/
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from lifecycle.adapters.camunda import http_client
from lifecycle.adapters.camunda.management import REST_PORT, HttpManagement, read_json
from lifecycle.camunda.json_reader import integer, mapping, objects, text
from lifecycle.rehearsal.ports import Count, Mark

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lifecycle.camunda.credentials import Login

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

    def deploy(self, resource: str, content: bytes, login: Login) -> None:
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
        mapping(read_json(self._read(REST_PORT, request, login)), "the deployment")

    def create_instance(
        self, process_id: str, login: Login, variables: Mapping[str, object] | None = None
    ) -> int:
        """Create an instance of the latest version (``POST /v2/process-instances``): its key."""
        body: dict[str, object] = {"processDefinitionId": process_id, "tenantId": _TENANT}
        if variables:
            body["variables"] = dict(variables)
        answer = self._ask("/v2/process-instances", body, login)
        return integer(mapping(answer, "the process instance"), "processInstanceKey")

    def found_instances(self, keys: Collection[int], login: Login) -> frozenset[int]:
        """Return the instances that a search by keys finds (``POST /v2/process-instances/search``).

        The search reads the secondary storage, so that it is eventually consistent.
        """
        query = {
            "filter": {"processInstanceKey": {"$in": [str(key) for key in sorted(keys)]}},
            "page": {"limit": len(keys)},
        }
        answer = self._search("process-instances", query, login)
        found = {
            integer(one, "processInstanceKey") for one in objects(answer.get("items"), "items")
        }
        return frozenset(found & set(keys))

    def marks(self, keys: Collection[int], variable: str, login: Login) -> Sequence[Mark]:
        """Search instances by keys, and a variable of each (``POST /v2/variables/search``)."""
        wanted = {"processInstanceKey": {"$in": [str(key) for key in sorted(keys)]}}
        page = {"limit": len(keys)}
        instances = self._search("process-instances", {"filter": wanted, "page": page}, login)
        variables = self._search(
            "variables", {"filter": {**wanted, "name": variable}, "page": page}, login
        )
        values = {
            integer(one, "processInstanceKey"): text(one, "value")
            for one in objects(variables.get("items"), "items")
        }
        found = objects(instances.get("items"), "items")
        return [
            Mark(key, text(one, "state"), values.get(key, ""))
            for one in found
            if (key := integer(one, "processInstanceKey")) in keys
        ]

    def publish(self, message: str, correlation_key: str, login: Login) -> None:
        """Publish a message that is not kept (``POST /v2/messages/publication``)."""
        body = {
            "name": message,
            "correlationKey": correlation_key,
            "timeToLive": 0,
            "tenantId": _TENANT,
        }
        mapping(self._ask("/v2/messages/publication", body, login), "the message")

    def active(self, process_id: str, login: Login) -> Sequence[int]:
        """Search the instances of a process that run, a hundred at most."""
        wanted = {"processDefinitionId": process_id, "state": "ACTIVE"}
        answer = self._search("process-instances", {"filter": wanted}, login)
        return [integer(one, "processInstanceKey") for one in objects(answer.get("items"), "items")]

    def cancel(self, key: int, login: Login) -> None:
        """Cancel an instance (``POST …/{key}/cancellation``); 404: it is over."""
        path = f"/v2/process-instances/{key}/cancellation"
        request = http_client.Request("POST", path, b"{}", _JSON)
        self._read(REST_PORT, request, login, accept=(HTTPStatus.NOT_FOUND,))

    def count(self, what: str, wanted: Mapping[str, object], login: Login) -> Count:
        """Read the total of a search (``page`` of its answer)."""
        answer = self._search(what, {"filter": wanted, "page": {"limit": 1}}, login)
        page = mapping(answer.get("page"), "page")
        return Count(integer(page, "totalItems"), page.get("hasMoreTotalItems") is True)

    def _search(self, what: str, query: Mapping[str, object], login: Login) -> Mapping[str, object]:
        return mapping(self._ask(f"/v2/{what}/search", query, login), "the search")

    def _ask(self, path: str, body: Mapping[str, object], login: Login) -> object:
        request = http_client.Request("POST", path, json.dumps(body).encode(), _JSON)
        return read_json(self._read(REST_PORT, request, login))
