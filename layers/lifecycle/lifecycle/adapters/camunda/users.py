"""Users of Camunda's Orchestration Cluster REST API (v2, port 8080), called inside the VPC.

Requests and answers: ``users.yaml``, ``roles.yaml``, ``groups.yaml``, ``tenants.yaml``,
``authorizations.yaml`` and ``authentication.yaml`` of the API's document
(camunda/camunda, zeebe/gateway-protocol/src/main/proto/v2, 8.9 and 8.10). Of an update only what it
names is changed (``UserUpdateProcessor``). The change is answered when it is in the log; a login
reads the secondary storage, which has it about a second later.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from lifecycle.adapters.camunda import http_client
from lifecycle.adapters.camunda.management import REST_PORT, HttpManagement, read_json
from lifecycle.camunda.json_reader import integer, items, mapping, text
from lifecycle.errors import InvalidResponse
from lifecycle.rotation.ports import Account

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.camunda.credentials import Credentials

_ACCEPT: Final = {"Accept": "application/json"}
_JSON: Final = {**_ACCEPT, "Content-Type": "application/json"}
_MEMBERSHIPS: Final = ("roles", "groups", "tenants")


class HttpUsers(HttpManagement):
    """The ``CamundaUsers`` port on HTTP. Each call may be repeated, also if its answer was lost."""

    def account(self, login: Credentials) -> Account | None:
        """Log in and read the own user (``GET /v2/authentication/me``); None for HTTP 401."""
        request = http_client.Request("GET", "/v2/authentication/me", headers=_ACCEPT)
        refused = HTTPStatus.UNAUTHORIZED
        answer = self._read(REST_PORT, request, login, accept=(refused,))
        if answer.status == refused:
            return None
        me = mapping(read_json(answer), "the user")
        return Account(
            text(me, "username"), {kind: frozenset(_names(me, kind)) for kind in _MEMBERSHIPS}
        )

    def set_password(self, login: Credentials, user: Credentials) -> None:
        """Change a user's password (``PUT /v2/users/{username}``), or create the user."""
        absent, exists = HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT
        answer = self._send(
            "PUT", f"/users/{_quoted(user.username)}", {"password": user.password}, login, absent
        )
        if answer.status == absent:
            body = {"username": user.username, "name": user.username, "password": user.password}
            self._send("POST", "/users", body, login, exists)

    def add_member(self, login: Credentials, kind: str, name: str, username: str) -> None:
        """Add a user (``PUT /v2/{kind}/{name}/users/{username}``).

        409: it is one already. 404: there is no such role, group or tenant (any more).
        """
        path = _membership(kind, name, username)
        self._send("PUT", path, None, login, HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND)

    def remove_member(self, login: Credentials, kind: str, name: str, username: str) -> None:
        """Remove a user (``DELETE /v2/{kind}/{name}/users/{username}``).

        404: it is no member itself, or there is no such role, group or tenant (any more).
        """
        self._send("DELETE", _membership(kind, name, username), None, login, HTTPStatus.NOT_FOUND)

    def own_authorizations(self, login: Credentials, username: str) -> int:
        """Count the authorizations whose owner is a user (``POST /v2/authorizations/search``)."""
        query = {"filter": {"ownerType": "USER", "ownerId": username}}
        found = mapping(
            read_json(self._send("POST", "/authorizations/search", query, login)), "the search"
        )
        return integer(mapping(found.get("page"), "page"), "totalItems")

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        login: Credentials,
        *accept: int,
    ) -> http_client.Answer:
        sent = None if body is None else json.dumps(body).encode()
        request = http_client.Request(
            method, f"/v2{path}", sent, _ACCEPT if sent is None else _JSON
        )
        return self._read(REST_PORT, request, login, accept=accept)


def _names(me: Mapping[str, object], kind: str) -> list[str]:
    """Return the names of a user's memberships: texts, or objects of tenants."""
    found = []
    for one in items(me.get(kind), kind):
        name = one.get("tenantId") if isinstance(one, dict) else one
        if not isinstance(name, str):
            raise InvalidResponse(f"{kind} has an entry without a name; no such answer is known.")
        found.append(name)
    return found


def _membership(kind: str, name: str, username: str) -> str:
    return f"/{kind}/{_quoted(name)}/users/{_quoted(username)}"


def _quoted(part: str) -> str:
    return quote(part, safe="")
