"""The Orchestration Cluster REST API (v2) on port 8080, as clients of linear processes use it.

Shapes: `rest-api.yaml` of camunda/camunda; keys are strings, errors are problem details. What is
not performed is refused with 501.
"""

from __future__ import annotations

import base64
import json
import re
import time
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.broker import identity, operations, sessions, users
from local.broker.access import Access, Denied, bearer_challenge
from local.broker.access import problem as _plain_problem
from local.broker.configuration import Refusal
from local.broker.engine import memberships
from local.broker.gateway_port import OutcomeUnknown, PartitionUnavailable, StorageUnavailable
from local.broker.operations import CommandRejected
from local.broker.web import Web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request

    from local.broker.gateway_port import Gateway

type Json = dict[str, Any]
type Endpoint = Callable[[Request], Awaitable[Response]]

_TENANT = "<default>"
_AWAIT_SECONDS = 30.0
_STATUS = {
    "NOT_FOUND": 404,
    "INVALID_ARGUMENT": 400,
    "INVALID_STATE": 409,
    "ALREADY_EXISTS": 409,
}
_DEPLOYED = ("processDefinitionId", "processDefinitionVersion", "resourceName")
# First parts of the paths of Camunda's API (camunda-orchestration-sdk 9.0.1 and 10.0.1).
_KNOWN = re.compile(
    r"/v2/("
    r"agent-definitions|agent-instances|audit-logs|authentication|authorizations|backups|"
    r"batch-operation-items|batch-operations|clock|cluster|cluster-variables|conditionals|"
    r"correlated-message-subscriptions|decision-definitions|decision-instances|"
    r"decision-requirements|deployments|documents|element-instances|exporting|expression|"
    r"forms|global-task-listeners|groups|incidents|jobs|license|mapping-rules|"
    r"message-subscriptions|messages|mode|process-definitions|process-instances|resources|"
    r"restore|roles|secrets|setup|signals|status|system|tenants|topology|user-tasks|users|"
    r"variables"
    r")(/.*)?"
)
_NEWER_PATHS = ("backups", "exporting", "mode", "restore")
_ENTITIES = {"roles": "role", "groups": "group", "tenants": "tenant"}
# Members of a role that are no users of this cluster, by their part of the path.
_MEMBERS = {
    "clients": identity.CLIENT,
    "groups": identity.GROUP,
    "mapping-rules": identity.MAPPING_RULE,
}
_OWNERS = ("USER", "CLIENT", "ROLE", "GROUP", "MAPPING_RULE")
_AUTHORIZATION = (
    "ownerId",
    "ownerType",
    "resourceType",
    "resourceId",
    "resourcePropertyName",
    "permissionTypes",
)
_ALL = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SEARCHED = (
    *("process-instances", "process-definitions", "jobs", "incidents", "variables"),
    "user-tasks",
)
# Fields that clients require in every item, null where there is no value.
_ITEMS: dict[str, Json] = {
    "process-instances": {
        "parentProcessInstanceKey": None,
        "parentElementInstanceKey": None,
    },
    "process-definitions": {"hasStartForm": False},
    "jobs": {
        "kind": "BPMN_ELEMENT",
        "listenerEventType": "UNSPECIFIED",
        "deadline": None,
        "deniedReason": None,
        "isDenied": None,
    },
    "incidents": {},
    "variables": {"isTruncated": False},
    "user-tasks": {},
}
_NEWER_ITEMS: dict[str, Json] = {
    "process-instances": {"suspendedDate": None},
    "process-definitions": {"state": "ACTIVE"},
    "jobs": {"priority": 0},
}


def _refuse_tenant(what: str, given: object) -> None:
    """Refuse another tenant than the default one, as Camunda does without multi-tenancy.

    Source: camunda/camunda, MultiTenancyValidator of the REST gateway.
    """
    if given not in {None, _TENANT}:
        raise CommandRejected(
            "INVALID_ARGUMENT",
            f"Expected to handle request {what} with tenant identifier '{given}', but "
            "multi-tenancy is disabled",
        )


class Rest:
    """Endpoints of one broker."""

    def __init__(self, gateway: Gateway, access: Access) -> None:
        self._gateway = gateway
        self._access = access
        self._users = access.users
        self._newer = not gateway.version.startswith("8.9.")
        self._turn = 0

    def open(self, endpoint: Endpoint) -> Endpoint:
        """Let an endpoint answer without authentication."""

        async def answer(request: Request) -> Response:
            try:
                return await endpoint(request)
            except Denied as denied:
                return denied.response
            except Exception as error:  # noqa: BLE001
                return _problem_of(request, error)

        return answer

    def secured(self, endpoint: Endpoint) -> Endpoint:
        """Let an endpoint answer users only."""

        return self._for(endpoint, None)

    def reading(self, endpoint: Endpoint) -> Endpoint:
        """Let an endpoint answer users that may read: those that work, and `readonly-admin`."""
        return self._for(endpoint, (users.CONNECTORS, users.READONLY))

    def working(self, endpoint: Endpoint) -> Endpoint:
        """Let an endpoint answer users that may work on processes: the connectors' among them."""
        return self._for(endpoint, (users.CONNECTORS,))

    def administered(self, endpoint: Endpoint) -> Endpoint:
        """Let an endpoint answer administrators only."""
        return self._for(endpoint, ())

    def _for(self, endpoint: Endpoint, roles: tuple[str, ...] | None) -> Endpoint:
        async def answer(request: Request) -> Response:
            visitor = await self._access.visitor(request)
            who = visitor.principal
            if who is None:
                if self._users.oidc:
                    return bearer_challenge("")
                return _problem(request, 401, "An Authentication object was not found")
            if roles is not None and not await self._users.may(who, *roles):
                return _problem(request, 403, f"Unauthorized to perform {request.method} here")
            request.state.who = who
            response = await endpoint(request)
            self._access.add_csrf(request, response, visitor)
            return response

        return self.open(answer)

    # About the cluster

    async def topology(self, _: Request) -> Response:
        """`GET /v2/topology`."""
        return JSONResponse(self._gateway.topology())

    async def status(self, _: Request) -> Response:
        """`GET /v2/status`: 204 if a partition has a healthy leader."""
        return Response(status_code=204 if self._gateway.healthy() else 503)

    async def license(self, _: Request) -> Response:
        """`GET /v2/license`."""
        return JSONResponse(
            {
                "validLicense": False,
                "licenseType": "unknown",
                "isCommercial": False,
                "expiresAt": None,
            }
        )

    async def me(self, request: Request) -> Response:
        """`GET /v2/authentication/me`."""
        who = request.state.who
        held, user = await self._held(who)
        # Members of a role are members of the default tenant (`IdentitySetupInitializer`).
        tenants = [*([_TENANT] if held["roles"] else []), *held["tenants"]]
        return JSONResponse(
            {
                # A client has no name of a user.
                "username": who.name if who.kind == identity.USER else None,
                "displayName": user.get("name"),
                "email": user.get("email"),
                "authorizedComponents": ["*"],
                "authorizedApplications": ["*"],
                "tenants": [
                    {
                        "tenantId": one,
                        "name": "Default" if one == _TENANT else one,
                        "description": None,
                    }
                    for one in dict.fromkeys(tenants)
                ],
                "groups": held["groups"],
                "roles": held["roles"],
                "salesPlanType": None,
                "c8Links": {},
                "canLogout": True,
            }
        )

    async def _held(self, who: identity.Principal) -> tuple[Json, Json]:
        """Give a principal's memberships, and name and email; with an issuer those of the token."""
        if self._users.oidc:
            held = {
                "roles": await self._users.roles(who),
                "groups": list(who.groups),
                "tenants": [],
            }
            return held, who.claims
        user = (await self._users.all()).get(who.name, {})
        return memberships(user, int(time.time() * 1000)), user

    # Processes

    async def deploy(self, request: Request) -> Response:
        """`POST /v2/deployments`."""
        form = await request.form()
        resources = [
            (str(getattr(one, "filename", "")), await one.read())
            for one in form.getlist("resources")
            if not isinstance(one, str)
        ]
        if not resources:
            raise CommandRejected("INVALID_ARGUMENT", "No resources were given")
        _refuse_tenant("Deploy Resources", form.get("tenantId"))
        deployed = await operations.deploy(self._gateway, resources)
        return JSONResponse(
            {
                "deploymentKey": str(deployed["key"]),
                "tenantId": _TENANT,
                "deployments": [
                    {
                        "processDefinition": {
                            **{name: one[name] for name in _DEPLOYED},
                            "processDefinitionKey": str(one["processDefinitionKey"]),
                            "tenantId": _TENANT,
                        },
                        "decisionDefinition": None,
                        "decisionRequirements": None,
                        "form": None,
                        "resource": None,
                    }
                    for one in deployed["processes"]
                ],
            }
        )

    async def create_instance(self, request: Request) -> Response:
        """`POST /v2/process-instances`."""
        body = await _body(request)
        named = [body.get("processDefinitionId"), body.get("processDefinitionKey")]
        if named.count(None) != 1:
            raise CommandRejected(
                "INVALID_ARGUMENT",
                "At least one of [processDefinitionId, processDefinitionKey] is required."
                if named == [None, None]
                else "Only one of [processDefinitionId, processDefinitionKey] is allowed.",
            )
        _refuse_tenant("Create Process Instance", body.get("tenantId"))
        patience = (body.get("requestTimeout") or _AWAIT_SECONDS * 1000) / 1000
        created = await operations.create_instance(
            self._gateway,
            {
                "id": named[0],
                "key": None if named[1] is None else int(named[1]),
                "version": body.get("processDefinitionVersion"),
                "variables": body.get("variables"),
                "tags": body.get("tags"),
                "businessId": body.get("businessId"),
            },
            patience if body.get("awaitCompletion") else 0,
        )
        return JSONResponse(
            {
                **created,
                "processDefinitionKey": str(created["processDefinitionKey"]),
                "processInstanceKey": str(created["processInstanceKey"]),
                "tenantId": _TENANT,
                "tags": body.get("tags") or [],
                "businessId": body.get("businessId"),
            }
        )

    async def cancel_instance(self, request: Request) -> Response:
        """`POST /v2/process-instances/{key}/cancellation`."""
        await operations.by_key(self._gateway, "cancel_instance", _key(request))
        return Response(status_code=204)

    async def get_one(self, request: Request) -> Response:
        """`GET /v2/process-instances/{key}` and its like."""
        what = request.path_params["what"]
        field = {"process-instances": "processInstanceKey", "jobs": "jobKey"}.get(what)
        if field is None:
            return await self.not_performed(request)
        found = await self._search(what, {"filter": {field: str(_key(request))}})
        if not found["items"]:
            raise CommandRejected("NOT_FOUND", f"No {what} with key {_key(request)} was found")
        return JSONResponse(found["items"][0])

    async def search(self, request: Request) -> Response:
        """`POST /v2/{what}/search`."""
        return JSONResponse(await self._search(request.path_params["what"], await _body(request)))

    async def _search(self, what: str, query: Json) -> Json:
        if what not in _SEARCHED:
            known = _KNOWN.fullmatch(f"/v2/{what}")
            raise HTTPException(501 if known else 404, f"The local broker does not search {what}")
        page = dict(query.get("page") or {})
        try:
            if "after" in page:
                page["from"] = int(base64.b64decode(page.pop("after"), validate=True))
            found = await self._found(what, query | {"page": page})
        except ValueError as error:
            raise CommandRejected("INVALID_ARGUMENT", str(error)) from error
        always = _ITEMS[what] | (_NEWER_ITEMS.get(what, {}) if self._newer else {})
        items = [{**always, **one} for one in found["items"]]
        for one in items:
            # No process here is called by another: each instance is its own root.
            one["rootProcessInstanceKey"] = one.get("processInstanceKey")
        return {
            "items": items,
            "page": {
                "totalItems": found["total"],
                "hasMoreTotalItems": found.get("more", False),
                "startCursor": _cursor(found["end"] - len(items)) if items else None,
                "endCursor": _cursor(found["end"]) if items else None,
            },
        }

    async def _found(self, what: str, query: Json) -> Json:
        if what == "user-tasks":
            # The engine runs no process with one.
            return {"items": [], "total": 0, "end": 0}
        return await self._gateway.search(what, query)

    # Jobs

    async def activate(self, request: Request) -> Response:
        """`POST /v2/jobs/activation`."""
        body = await _body(request)
        for field in ("type", "timeout", "maxJobsToActivate"):
            if not body.get(field):
                raise CommandRejected("INVALID_ARGUMENT", f"No {field} provided")
        self._turn += 1
        waits = body.get("requestTimeout") or 0
        jobs = await operations.activate(
            self._gateway,
            {
                "type": body["type"],
                "max": int(body["maxJobsToActivate"]),
                "timeout": int(body["timeout"]),
                "worker": body.get("worker") or "",
                "fetch": body.get("fetchVariable") or [],
            },
            (10_000 if waits == 0 else max(0, waits)) / 1000,
            self._turn,
        )
        return JSONResponse({"jobs": [self._job(one) for one in jobs]})

    def _job(self, job: Json) -> Json:
        shown = {
            "type": job["type"],
            "processDefinitionId": job["process"],
            "processDefinitionVersion": job["version"],
            "elementId": job["element"],
            "customHeaders": job["headers"],
            "worker": job["worker"],
            "retries": job["retries"],
            "deadline": job["deadline"],
            "variables": job["variables"],
            "tenantId": _TENANT,
            "jobKey": str(job["key"]),
            "processInstanceKey": str(job["instance"]),
            "processDefinitionKey": str(job["definition"]),
            "elementInstanceKey": str(job["elementKey"]),
            "kind": "BPMN_ELEMENT",
            "listenerEventType": "UNSPECIFIED",
            "userTask": None,
            "tags": job["tags"],
            "rootProcessInstanceKey": str(job["instance"]),
        }
        newer = {
            "physicalTenantId": "default",
            "businessId": job["businessId"],
            "priority": 0,
            "jobLeaseToken": None,
        }
        return shown | newer if self._newer else shown

    async def finish_job(self, request: Request) -> Response:
        """`POST /v2/jobs/{key}/completion|failure|error`."""
        body = await _body(request, empty=True)
        key = _key(request)
        match request.path_params["verb"]:
            case "completion":
                await operations.by_key(
                    self._gateway, "complete_job", key, variables=body.get("variables")
                )
            case "failure":
                await operations.by_key(
                    self._gateway,
                    "fail_job",
                    key,
                    retries=body.get("retries") or 0,
                    backOff=body.get("retryBackOff") or 0,
                    message=body.get("errorMessage"),
                    variables=body.get("variables"),
                )
            case "error":
                await operations.by_key(
                    self._gateway,
                    "throw_error",
                    key,
                    code=body.get("errorCode", ""),
                    message=body.get("errorMessage"),
                    variables=body.get("variables"),
                )
            case _:
                raise HTTPException(404)
        return Response(status_code=204)

    async def update_job(self, request: Request) -> Response:
        """`PATCH /v2/jobs/{key}`."""
        changes = (await _body(request)).get("changeset") or {}
        await operations.by_key(
            self._gateway,
            "update_job",
            _key(request),
            retries=changes.get("retries"),
            timeout=changes.get("timeout"),
        )
        return Response(status_code=204)

    async def resolve_incident(self, request: Request) -> Response:
        """`POST /v2/incidents/{key}/resolution`."""
        await operations.by_key(self._gateway, "resolve_incident", _key(request))
        return Response(status_code=204)

    # Messages

    async def message(self, request: Request) -> Response:
        """`POST /v2/messages/publication` and `/correlation`."""
        body = await _body(request)
        if not body.get("name"):
            raise CommandRejected("INVALID_ARGUMENT", "No messageName provided")
        if request.path_params["verb"] not in {"publication", "correlation"}:
            raise HTTPException(404)
        correlates = request.path_params["verb"] == "correlation"
        published = await operations.publish(
            self._gateway,
            {
                "name": body["name"],
                "correlationKey": str(body.get("correlationKey") or ""),
                "ttl": 0 if correlates else int(body.get("timeToLive") or 0),
                "messageId": body.get("messageId"),
                "variables": body.get("variables"),
            },
            "correlate_message" if correlates else "publish_message",
        )
        answer = {"tenantId": _TENANT, "messageKey": str(published["messageKey"])}
        if correlates:
            answer["processInstanceKey"] = str(published["processInstanceKeys"][0])
        return JSONResponse(answer)

    # Users

    async def create_user(self, request: Request) -> Response:
        """`POST /v2/users`."""
        body = await _body(request)
        for field in ("username", "password"):
            if not body.get(field):
                raise CommandRejected("INVALID_ARGUMENT", f"No {field} provided")
        user = {
            "username": body["username"],
            "name": body.get("name") or "",
            "email": body.get("email") or "",
            "password": users.hash_password(body["password"]),
        }
        await operations.send(self._gateway, 1, {"kind": "put_user", "user": user, "new": True})
        return JSONResponse(_without_password(user), 201)

    async def one_user(self, request: Request) -> Response:
        """`GET`, `PUT` and `DELETE /v2/users/{username}`."""
        name = request.path_params["username"]
        if request.method == "DELETE":
            await operations.send(self._gateway, 1, {"kind": "delete_user", "username": name})
            return Response(status_code=204)
        if request.method == "PUT":
            body = await _body(request)
            user = {"username": name} | {f: body[f] for f in ("name", "email") if body.get(f)}
            if body.get("password"):
                user["password"] = users.hash_password(body["password"])
            command = {"kind": "put_user", "user": user}
            return JSONResponse(_without_password(await operations.send(self._gateway, 1, command)))
        known = await self._users.all()
        if name not in known:
            raise CommandRejected("NOT_FOUND", f"User {name} was not found")
        return JSONResponse(_without_password(known[name]))

    async def member(self, request: Request) -> Response:
        """`PUT` and `DELETE /v2/{roles|groups|tenants}/{id}/users/{username}`: 204 without a body.

        409 for what is a member already, 404 for what is none and for what is not there
        (`roles.yaml`, `groups.yaml`, `tenants.yaml` of the API's document). With an issuer any name
        of a user can be a role's member.
        """
        entity = _ENTITIES.get(request.path_params["kind"])
        if entity is None:
            return await self.not_performed(request)
        name, username = request.path_params["id"], request.path_params["username"]
        _check_id(f"{entity}Id", name, tenant=entity == "tenant")
        _check_id("username", username)
        command = {"kind": "add_member", "entity": entity, "id": name, "username": username}
        if entity == "role" and self._users.oidc:
            command["owner"] = identity.USER
        if request.method == "DELETE":
            command["kind"] = "remove_member"
        await operations.send(self._gateway, 1, command)
        return Response(status_code=204)

    async def role_member(self, request: Request) -> Response:
        """`PUT` and `DELETE /v2/roles/{id}/{clients|groups|mapping-rules}/{member}`."""
        owner = _MEMBERS.get(request.path_params["members"])
        if owner is None:
            return await self.not_performed(request)
        role, member = request.path_params["id"], request.path_params["member"]
        _check_id("roleId", role)
        _check_id("memberId", member)
        kind = "remove_member" if request.method == "DELETE" else "add_member"
        command = {"kind": kind, "entity": "role", "id": role, "owner": owner, "username": member}
        await operations.send(self._gateway, 1, command)
        return Response(status_code=204)

    async def groups_are_elsewhere(self, request: Request) -> Response:
        """Refuse the API of groups when tokens have them (`ApiFiltersConfiguration`)."""
        return _problem(
            request,
            403,
            "Groups API is disabled because the application is configured in group claim mode. To "
            "use the Groups API, reconfigure the application to manage group mode removing the "
            "'camunda.security.authentication.oidc.groupsClaim' property.",
        )

    async def users_are_elsewhere(self, request: Request) -> Response:
        """Refuse the API of users with an issuer (`ApiFiltersConfiguration`)."""
        return _problem(
            request,
            403,
            "Users API is disabled because the application is configured in OIDC mode.",
        )

    def creation(self, entity: str) -> Endpoint:
        """Give `POST /v2/roles`, `/v2/groups` or `/v2/tenants`: 201, 409 for one that is there."""

        async def create(request: Request) -> Response:
            body, field = await _body(request), f"{entity}Id"
            for given in (field, "name"):
                if not body.get(given):
                    raise CommandRejected("INVALID_ARGUMENT", f"No {given} provided")
            _check_id(field, body[field])
            command = {
                "kind": "put_entity",
                "entity": entity,
                "id": body[field],
                "name": body["name"],
                "description": body.get("description") or "",
            }
            made = await operations.send(self._gateway, 1, command)
            shown = {field: made["id"], "name": made["name"], "description": made["description"]}
            return JSONResponse(shown, 201)

        return create

    async def create_authorization(self, request: Request) -> Response:
        """`POST /v2/authorizations`: it is kept and found; roles alone decide here."""
        body = await _body(request)
        for field in ("ownerId", "ownerType", "resourceType", "permissionTypes"):
            if not body.get(field):
                raise CommandRejected("INVALID_ARGUMENT", f"No {field} provided")
        if body["ownerType"] not in _OWNERS:
            raise CommandRejected("INVALID_ARGUMENT", f"Unexpected value {body['ownerType']!r}")
        if bool(body.get("resourceId")) == bool(body.get("resourcePropertyName")):
            raise CommandRejected(
                "INVALID_ARGUMENT",
                "Exactly one of [resourceId, resourcePropertyName] is required",
            )
        one = {field: body.get(field) for field in _AUTHORIZATION}
        command = {"kind": "create_authorization", "authorization": one}
        made = await operations.send(self._gateway, 1, command)
        return JSONResponse({"authorizationKey": made["authorizationKey"]}, 201)

    async def delete_authorization(self, request: Request) -> Response:
        """`DELETE /v2/authorizations/{key}`."""
        command = {"kind": "delete_authorization", "key": _key(request)}
        await operations.send(self._gateway, 1, command)
        return Response(status_code=204)

    async def search_authorizations(self, request: Request) -> Response:
        """`POST /v2/authorizations/search`: those of the API, by owner, not those of the roles."""
        query = await _body(request)
        wanted = query.get("filter") or {}
        unknown = sorted(set(wanted) - {"ownerId", "ownerType"})
        if unknown:
            raise HTTPException(501, f"The local broker does not filter by {', '.join(unknown)}")
        if wanted.get("ownerType", "USER") not in _OWNERS:
            raise CommandRejected("INVALID_ARGUMENT", f"Unexpected value {wanted['ownerType']!r}")
        result = await operations.send(self._gateway, 1, {"kind": "list_authorizations"})
        found = [
            one
            for one in result["authorizations"]
            if all(one[field] == value for field, value in wanted.items())
        ]
        limit = int((query.get("page") or {}).get("limit", 100))
        page = {
            "totalItems": len(found),
            "hasMoreTotalItems": False,
            "startCursor": None,
            "endCursor": None,
        }
        return JSONResponse({"items": found[:limit], "page": page})

    async def search_users(self, _: Request) -> Response:
        """`POST /v2/users/search`."""
        found = [_without_password(one) for one in (await self._users.all()).values()]
        page = {
            "totalItems": len(found),
            "hasMoreTotalItems": False,
            "startCursor": None,
            "endCursor": None,
        }
        return JSONResponse({"items": found, "page": page})

    async def not_performed(self, request: Request) -> Response:
        """What Camunda has and this broker does not; 404 for what Camunda does not have either."""
        newer = not self._newer and request.url.path.split("/")[2] in _NEWER_PATHS
        if newer or not _KNOWN.fullmatch(request.url.path):
            raise HTTPException(404, f"No endpoint {request.method} {request.url.path}.")
        return _problem(
            request,
            501,
            f"The local broker does not perform {request.method} {request.url.path}",
        )


def rest_app(
    gateway: Gateway,
    known: users.Users,
    extra: Callable[[Rest], Sequence[Route]] | None = None,
    access: Access | None = None,
) -> Starlette:
    """Give the application of port 8080; `extra` gives further routes.

    `access` has the logins of browsers; without it sessions are kept in memory.
    """
    access = access or Access(known, sessions.Sessions(sessions.Memory()))
    api = Rest(gateway, access)
    secured = api.secured
    groups_are_elsewhere = access.issuer is not None and access.issuer.settings.groups_claim

    def route(
        path: str,
        endpoint: Endpoint,
        *methods: str,
        access: Callable[[Endpoint], Endpoint] = api.working,
    ) -> Route:
        return Route(f"/v2/{path}", access(endpoint), methods=list(methods or ("POST",)))

    return Starlette(
        routes=[
            Route("/v2/status", api.open(api.status)),
            Route("/v2/license", api.open(api.license)),
            *Web(access).routes(),
            route("topology", api.topology, "GET", access=secured),
            # Camunda's `TopologyController` still answers the older path.
            Route("/v1/topology", secured(api.topology)),
            route("authentication/me", api.me, "GET", access=secured),
            route("deployments", api.deploy),
            route("process-instances", api.create_instance),
            route("process-instances/{key}/cancellation", api.cancel_instance),
            route("jobs/activation", api.activate),
            route("messages/{verb}", api.message),
            *(
                route(path, api.users_are_elsewhere, *_ALL, access=secured)
                for path in (("users", "users/{rest:path}") if known.oidc else ())
            ),
            *(
                route(path, api.groups_are_elsewhere, *_ALL, access=secured)
                for path in (("groups", "groups/{rest:path}") if groups_are_elsewhere else ())
            ),
            route("users", api.create_user, access=api.administered),
            route("users/search", api.search_users, access=api.administered),
            route(
                "users/{username}", api.one_user, "GET", "PUT", "DELETE", access=api.administered
            ),
            *(
                route(f"{kind}", api.creation(entity), access=api.administered)
                for kind, entity in _ENTITIES.items()
            ),
            route(
                "{kind}/{id}/users/{username}",
                api.member,
                "PUT",
                "DELETE",
                access=api.administered,
            ),
            route(
                "roles/{id}/{members}/{member}",
                api.role_member,
                "PUT",
                "DELETE",
                access=api.administered,
            ),
            route("authorizations", api.create_authorization, access=api.administered),
            route("authorizations/search", api.search_authorizations, access=api.administered),
            route(
                "authorizations/{key}", api.delete_authorization, "DELETE", access=api.administered
            ),
            route("{what}/search", api.search, access=api.reading),
            route("jobs/{key}/{verb}", api.finish_job),
            route("jobs/{key}", api.update_job, "PATCH"),
            route("incidents/{key}/resolution", api.resolve_incident),
            *(extra(api) if extra else ()),
            route("{what}/{key}", api.get_one, "GET", access=api.reading),
            route("{rest:path}", api.not_performed, *_ALL),
        ],
        exception_handlers={HTTPException: _problem_of},
    )


def _problem_of(request: Request, error: Exception) -> Response:
    match error:
        case CommandRejected():
            return _problem(request, _STATUS[error.code], error.message, error.code)
        case PartitionUnavailable() | StorageUnavailable():
            return _problem(request, 503, str(error), "UNAVAILABLE")
        case OutcomeUnknown():
            return _problem(request, 504, str(error), "DEADLINE_EXCEEDED")
        case Refusal():
            return _problem(request, error.status, error.message)
        case HTTPException():
            return _problem(request, error.status_code, error.detail)
        case _:
            return _problem(request, 500, f"{type(error).__name__}: {error}", "INTERNAL")


def _problem(request: Request, status: int, detail: str, title: str = "") -> Response:
    headers = {"WWW-Authenticate": 'Basic realm="Camunda"'} if status == 401 else {}
    return _plain_problem(request, status, detail, title, headers)


async def _body(request: Request, *, empty: bool = True) -> Json:
    text = await request.body()
    if not text and empty:
        return {}
    try:
        body = json.loads(text)
    except ValueError as error:
        raise CommandRejected("INVALID_ARGUMENT", "Request property cannot be parsed") from error
    if not isinstance(body, dict):
        raise CommandRejected("INVALID_ARGUMENT", "The body is not an object")
    return body


def _cursor(place: int) -> str:
    return base64.b64encode(str(place).encode()).decode()


def _key(request: Request) -> int:
    text = request.path_params["key"]
    if not text.isdecimal():
        raise CommandRejected("INVALID_ARGUMENT", f"The key {text} is not a number")
    return int(text)


def _check_id(field: str, given: object, *, tenant: bool = False) -> None:
    """Refuse an id that Camunda's `IdentifierValidator` refuses."""
    if isinstance(given, str) and (
        re.fullmatch(r"[a-zA-Z0-9_~@.+-]{1,256}", given) or (tenant and given == _TENANT)
    ):
        return
    raise CommandRejected(
        "INVALID_ARGUMENT", f"The provided {field} contains illegal characters: {given}"
    )


def _without_password(user: Json) -> Json:
    return {name: user.get(name, "") for name in ("username", "name", "email")}
