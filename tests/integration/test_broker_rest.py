from __future__ import annotations

import base64
import json
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests
import uvicorn

from local.broker.rest import rest_app
from local.broker.users import Users
from tests.support.memory_gateway import JOB_AND_MESSAGE, JOB_ONLY, USERS, MemoryGateway

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration

type Json = dict[str, Any]

ACTIVATION: Any = {"type": "work", "timeout": 1000, "maxJobsToActivate": 5, "requestTimeout": -1}


class Client(requests.Session):
    """A session whose paths are those of a served gateway."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address
        self.auth = ("admin", "secret")
        self.trust_env = False

    def request(self, method: Any, url: Any, *args: Any, **more: Any) -> requests.Response:
        return super().request(method, self._address + str(url), *args, **more)


@contextmanager
def served(
    gateway: MemoryGateway, more: dict[str, str] | None = None, *, scheme: str = "http"
) -> Iterator[Client]:
    rest = rest_app(gateway, Users({**USERS, **(more or {})}, gateway))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await rest({**scope, "scheme": scheme}, receive, send)

    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        with Client(f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
            yield client
        server.should_exit = True
        thread.join()


@pytest.fixture
def gateway() -> MemoryGateway:
    return MemoryGateway()


@pytest.fixture
def client(gateway: MemoryGateway) -> Iterator[Client]:
    with served(gateway) as client:
        yield client


def basic(user: str, password: str) -> dict[str, str]:
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def deploy(client: Client, text: str = JOB_ONLY, name: str = "lab.bpmn") -> Json:
    answer = client.post("/v2/deployments", files={"resources": (name, text.encode())})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def create(client: Client, process: str, **more: Any) -> Json:
    body: Any = {"processDefinitionId": process, **more}
    answer = client.post("/v2/process-instances", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_strangers_get_the_status_and_the_licence_only(client: Client) -> None:
    client.auth = None
    assert client.get("/v2/status").status_code == 204
    assert client.get("/v2/license").status_code == 200
    for headers in ({}, basic("admin", "wrong"), {"Authorization": "Bearer x"}):
        answer = client.get("/v2/topology", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_form_with_a_password_makes_a_session(client: Client) -> None:
    client.auth = None
    wrong = client.post("/login", data={"username": "admin", "password": "wrong"})
    assert (wrong.status_code, wrong.json()["detail"]) == (401, "Bad credentials")
    assert "camunda-session" not in wrong.cookies

    made = client.post("/login", data={"username": "admin", "password": "secret"})
    assert (made.status_code, made.text) == (204, "")
    flags = made.headers["set-cookie"].lower()
    assert "camunda-session=" in flags
    assert "httponly; path=/; samesite=lax" in flags
    assert "secure" not in flags
    assert client.get("/v2/authentication/me").json()["username"] == "admin"
    assert "admin" in client.get("/operate").text

    write = "/v2/jobs/search"
    refused = client.post(write, json={})
    assert refused.status_code == 401
    assert "Invalid CSRF Token 'null' was found" in refused.json()["detail"]
    token = {"X-CSRF-TOKEN": made.headers["X-CSRF-TOKEN"]}
    assert client.post(write, json={}, headers=token).status_code == 200
    # A password in the header does not replace it: the browser sends the session with it.
    assert client.post(write, json={}, headers=basic("admin", "secret")).status_code == 401

    assert client.post("/logout").status_code == 204
    assert not client.cookies.get("camunda-session")
    assert client.get("/v2/authentication/me").status_code == 401


def test_a_login_gets_another_session_than_the_browser_had(client: Client) -> None:
    client.auth = None
    form = {"username": "admin", "password": "secret"}
    before = client.post("/login", data=form).cookies["camunda-session"]
    assert client.post("/login", data=form).cookies["camunda-session"] != before
    old = {"Cookie": f"camunda-session={before}"}
    client.cookies.clear()
    assert client.get("/v2/authentication/me", headers=old).status_code == 401


def test_the_cookies_of_an_encrypted_connection_are_secure(gateway: MemoryGateway) -> None:
    with served(gateway, scheme="https") as client:
        client.auth = None
        made = client.post("/login", data={"username": "admin", "password": "secret"})
        assert made.headers["set-cookie"].lower().count("; secure") == 2


def test_a_deployment_and_an_instance_have_the_recorded_shapes(client: Client) -> None:
    deployed = deploy(client, JOB_AND_MESSAGE)
    assert deployed["deploymentKey"] == "2251799813685249"
    assert deployed["deployments"][0]["processDefinition"] == {
        "processDefinitionId": "lab",
        "processDefinitionVersion": 1,
        "processDefinitionKey": "2251799813685250",
        "resourceName": "lab.bpmn",
        "tenantId": "<default>",
    }
    created = create(client, "lab", variables={"key": "a"})
    assert created["variables"] == {}
    assert created["processDefinitionKey"] == "2251799813685250"


def test_an_instance_without_a_process_has_the_recorded_problem(client: Client) -> None:
    answer = client.post("/v2/process-instances", json={"bpmnProcessId": "lab"})
    assert answer.status_code == 400
    assert answer.json() == {
        "type": "about:blank",
        "title": "INVALID_ARGUMENT",
        "status": 400,
        "detail": "At least one of [processDefinitionId, processDefinitionKey] is required.",
        "instance": "/v2/process-instances",
    }


def test_what_is_not_linear_is_refused_by_name(client: Client) -> None:
    text = JOB_ONLY.replace("bpmn:serviceTask", "bpmn:userTask")
    answer = client.post("/v2/deployments", files={"resources": ("lab.bpmn", text.encode())})
    assert answer.status_code == 400
    assert "userTask 't' is not supported" in answer.json()["detail"]


def test_another_tenant_than_the_default_one_is_refused(client: Client) -> None:
    deploy(client, JOB_AND_MESSAGE)
    for tenant, status in (("<default>", 200), ("other", 400)):
        body: Any = {"processDefinitionId": "lab", "tenantId": tenant}
        answer = client.post("/v2/process-instances", json=body)
        assert answer.status_code == status, answer.text
    resource = {"resources": ("lab.bpmn", JOB_AND_MESSAGE.encode())}
    refused = client.post("/v2/deployments", files=resource, data={"tenantId": "other"})
    assert refused.status_code == 400
    assert "multi-tenancy is disabled" in refused.json()["detail"]


def test_jobs_of_all_partitions_are_activated_and_finished(client: Client) -> None:
    deploy(client)
    for _ in range(3):
        create(client, "work", variables={"a": 1, "b": 2})
    body = ACTIVATION | {"fetchVariable": ["a"]}
    jobs = client.post("/v2/jobs/activation", json=body).json()["jobs"]
    assert len({int(one["jobKey"]) >> 51 for one in jobs}) == 3
    assert all(one["variables"] == {"a": 1} for one in jobs)
    first, second, third = (f"/v2/jobs/{one['jobKey']}" for one in jobs)
    assert client.post(f"{first}/completion").status_code == 204
    assert client.post(f"{first}/completion", json={}).status_code == 404
    assert client.patch(second, json={"changeset": {"timeout": 5}}).status_code == 204
    assert client.post(f"{second}/failure", json={"retries": 0}).status_code == 204
    assert client.post(f"{second}/completion", json={}).status_code == 409
    assert client.post(f"{third}/error", json={"errorCode": "E"}).status_code == 204
    found = client.post("/v2/incidents/search", json={}).json()
    kinds = {one["errorType"] for one in found["items"]}
    assert kinds == {"JOB_NO_RETRIES", "UNHANDLED_ERROR_EVENT"}
    assert found["page"]["totalItems"] == 2


def test_a_message_is_correlated_or_not_found(client: Client) -> None:
    deploy(client, JOB_AND_MESSAGE)
    key = create(client, "lab", variables={"key": "k"})["processInstanceKey"]
    body = {"name": "go", "correlationKey": "k"}
    assert client.post("/v2/messages/correlation", json=body).status_code == 404
    (job,) = client.post("/v2/jobs/activation", json=ACTIVATION).json()["jobs"]
    client.post(f"/v2/jobs/{job['jobKey']}/completion")
    answer = client.post("/v2/messages/correlation", json=body).json()
    assert answer["processInstanceKey"] == key
    found = client.post(
        "/v2/process-instances/search", json={"filter": {"processInstanceKey": key}}
    ).json()
    assert [one["state"] for one in found["items"]] == ["COMPLETED"]


def test_the_end_of_an_instance_can_be_awaited(client: Client) -> None:
    deploy(client)
    body: Any = {"processDefinitionId": "work", "awaitCompletion": True, "requestTimeout": 50}
    assert client.post("/v2/process-instances", json=body).status_code == 504
    empty = JOB_ONLY.replace('targetRef="t"', 'targetRef="e"').replace('sourceRef="t"', "")
    start = empty.index("<bpmn:serviceTask")
    end = empty.index("</bpmn:serviceTask>") + len("</bpmn:serviceTask>")
    deploy(client, empty[:start] + empty[end:])
    answer = create(client, "work", awaitCompletion=True, variables={"x": 1})
    assert answer["variables"] == {"x": 1}


def test_a_partition_without_a_leader_is_a_503(client: Client, gateway: MemoryGateway) -> None:
    key = int(deploy(client)["deploymentKey"]) + 1
    gateway.down = {1, 2, 3}
    assert client.get("/v2/status").status_code == 503
    assert client.post(f"/v2/process-instances/{key}/cancellation").status_code == 503
    assert client.post("/v2/jobs/activation", json=ACTIVATION).status_code == 503


def exported(gateway: MemoryGateway, name: str) -> None:
    """Let what was changed of a user be exported."""
    user = gateway.engines[1].data["users"][name]
    user["exportedAt"] = user["membershipsAt"] = 0


def test_a_changed_password_counts_once_it_is_exported_and_the_former_one_no_more(
    client: Client, gateway: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.broker.users._REMEMBERED_SECONDS", 0.0)

    def accepted(password: str) -> bool:
        answer = client.get("/v2/authentication/me", auth=("admin", password))
        assert answer.status_code in {200, 401}
        return answer.status_code == 200

    assert client.put("/v2/users/admin", json={"password": "next"}).status_code == 200
    assert (accepted("secret"), accepted("next")) == (True, False)
    exported(gateway, "admin")
    assert (accepted("secret"), accepted("next")) == (False, True)


def test_a_broker_that_starts_changes_no_password_of_a_user_that_is_there(
    client: Client, gateway: MemoryGateway
) -> None:
    assert client.put("/v2/users/admin", json={"password": "next"}).status_code == 200
    exported(gateway, "admin")
    with served(gateway) as started:
        assert started.get("/v2/topology", auth=("admin", "secret")).status_code == 401
        assert started.get("/v2/topology", auth=("admin", "next")).status_code == 200
        assert started.delete("/v2/users/admin", auth=("admin", "next")).status_code == 204
    with served(gateway) as again:
        assert again.get("/v2/topology", auth=("admin", "secret")).status_code == 200


def test_without_authorizations_roles_decide_nothing(gateway: MemoryGateway) -> None:
    settings = {
        "CAMUNDA_SECURITY_INITIALIZATION_DEFAULTROLES_ADMIN_USERS_0": "nobody",
        "CAMUNDA_SECURITY_AUTHORIZATIONS_ENABLED": "false",
    }
    with served(gateway, settings) as client:
        assert client.post("/v2/users/search", json={}).status_code == 200
    with served(MemoryGateway(), {**settings, list(settings)[1]: "true"}) as client:
        assert client.post("/v2/users/search", json={}).status_code == 403


def test_roles_decide_what_a_user_may_do(gateway: MemoryGateway) -> None:
    roles = {
        "CAMUNDA_SECURITY_INITIALIZATION_DEFAULTROLES_ADMIN_USERS_0": "admin",
        "CAMUNDA_SECURITY_INITIALIZATION_DEFAULTROLES_CONNECTORS_USERS_0": "worker",
        "CAMUNDA_SECURITY_INITIALIZATION_USERS_1_USERNAME": "worker",
        "CAMUNDA_SECURITY_INITIALIZATION_USERS_1_PASSWORD": "works",
    }
    with served(gateway, roles) as client:
        worker, other = ("worker", "works"), ("other", "one")
        body = {"username": "other", "password": "one"}
        assert client.post("/v2/users", json=body, auth=worker).status_code == 403
        assert client.post("/v2/users", json=body).status_code == 201
        exported(gateway, "other")
        assert client.get("/v2/authentication/me", auth=other).json()["roles"] == []
        activation = "/v2/jobs/activation"
        assert client.post(activation, json=ACTIVATION, auth=other).status_code == 403
        path = "/v2/roles/connectors/users/other"
        assert client.put(path, auth=worker).status_code == 403
        assert [client.put(path).status_code for _ in range(2)] == [204, 409]
        assert client.put("/v2/roles/nobody/users/other").status_code == 404
        assert client.put("/v2/roles/connectors/users/nobody").status_code == 404
        assert client.post(activation, json=ACTIVATION, auth=other).status_code == 200
        assert client.get("/v2/authentication/me", auth=other).json()["roles"] == []
        exported(gateway, "other")
        assert client.get("/v2/authentication/me", auth=other).json()["roles"] == ["connectors"]


def test_users_are_made_changed_and_deleted(client: Client, gateway: MemoryGateway) -> None:
    body = {"username": "eve", "password": "one", "name": "Eve", "email": "eve@example.com"}
    made = client.post("/v2/users", json=body)
    assert (made.status_code, "password" in made.json()) == (201, False)
    assert client.post("/v2/users", json=body).status_code == 409
    assert "one" not in json.dumps(gateway.engines[1].data["users"])
    assert client.get("/v2/authentication/me", auth=("eve", "one")).status_code == 401
    exported(gateway, "eve")
    me = client.get("/v2/authentication/me", auth=("eve", "one")).json()
    assert (me["username"], me["displayName"]) == ("eve", "Eve")
    changed = client.put("/v2/users/eve", json={"name": "E", "email": "e@example.com"})
    assert changed.json()["name"] == "E"
    assert len(client.post("/v2/users/search", json={}).json()["items"]) == 2
    assert client.delete("/v2/users/eve").status_code == 204
    assert client.get("/v2/users/eve").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v2/signals/broadcast", 501),
        ("POST", "/v2/element-instances/ad-hoc-activities/1/activation", 501),
        ("GET", "/v2/nothing", 404),
        ("POST", "/v2/nothing/search", 404),
        ("GET", "/elsewhere", 404),
        # Of 8.10.
        ("PATCH", "/v2/mode?mode=RECOVERING", 404),
        ("POST", "/v2/restore", 404),
    ],
)
def test_what_is_not_performed_is_refused(
    client: Client, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_pages_are_followed_by_cursors(client: Client) -> None:
    deploy(client)
    create(client, "work")
    page = client.post("/v2/process-instances/search", json={}).json()["page"]
    assert base64.b64decode(page["endCursor"]) == b"1"
    body: Any = {"page": {"after": page["endCursor"]}}
    assert client.post("/v2/process-instances/search", json=body).status_code == 200
    body = {"page": {"after": "?"}}
    assert client.post("/v2/process-instances/search", json=body).status_code == 400


def test_fields_of_8_10_are_there_on_8_10_only() -> None:
    for version, there in (("8.9.16", False), ("8.10.0", True)):
        with served(MemoryGateway(version=version)) as client:
            deploy(client)
            create(client, "work", businessId="b", tags=["t"])
            (job,) = client.post("/v2/jobs/activation", json=ACTIVATION).json()["jobs"]
            assert job["tags"] == ["t"]
            assert ("physicalTenantId" in job, "priority" in job) == (there, there)


def test_the_login_page_answers_anybody_with_html(client: Client) -> None:
    client.auth = None
    answer = client.get("/operate/login")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert client.post("/operate/login").status_code == 405


class Apart(MemoryGateway):
    """Partitions that hear of each other only when a test says so."""

    connected = False

    def deliver(self) -> None:
        if self.connected:
            super().deliver()


def test_a_deployment_is_answered_before_the_other_partitions_have_it() -> None:
    """As Camunda's DeploymentCreateProcessor does: it responds, and then distributes."""
    gateway = Apart()
    with served(gateway) as client:
        deploy(client)
        body: Any = {"processDefinitionId": "work"}
        told = [client.post("/v2/process-instances", json=body).status_code for _ in range(3)]
        assert sorted(told) == [200, 404, 404]
        gateway.connected = True
        gateway.deliver()
        assert {create(client, "work")["processDefinitionVersion"] for _ in range(3)} == {1}
