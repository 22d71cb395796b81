"""Users of Camunda through the client, on the fake and on the local broker's REST API."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import requests
import uvicorn
from lifecycle.adapters.camunda.http_client import Timeouts
from lifecycle.adapters.camunda.management import REST_PORT
from lifecycle.adapters.camunda.users import HttpUsers
from lifecycle.camunda.credentials import Credentials
from lifecycle.errors import (
    CredentialsRefused,
    CredentialsWithheld,
    LifecycleError,
    ManagementRefused,
    ManagementUnavailable,
)

from local.broker.rest import rest_app
from local.broker.users import Users
from tests.fakes.rotation import FakeCamundaUsers
from tests.support.blocks import block
from tests.support.memory_gateway import USERS, MemoryGateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.rotation.ports import CamundaUsers

_BLOCK = block("users")
_numbers = itertools.count(1)
ADMIN = Credentials("admin", "secret")
WORKER = Credentials("connectors", "works")
ENVIRONMENT = {
    **USERS,
    "CAMUNDA_SECURITY_INITIALIZATION_USERS_1_USERNAME": WORKER.username,
    "CAMUNDA_SECURITY_INITIALIZATION_USERS_1_PASSWORD": WORKER.password,
    "CAMUNDA_SECURITY_INITIALIZATION_DEFAULTROLES_ADMIN_USERS_0": "admin",
    "CAMUNDA_SECURITY_INITIALIZATION_DEFAULTROLES_CONNECTORS_USERS_0": "connectors",
}


class Subject(Protocol):
    api: CamundaUsers

    def export(self) -> None:
        """Let what was changed be exported."""

    def create(self, kind: str, name: str) -> None:
        """Create a role, group or tenant."""

    def authorize(self, username: str) -> None:
        """Give a user an authorization of its own."""

    def held(self, kind: str) -> frozenset[str]:
        """Memberships of one kind of the connectors' user, as its login shows them."""


class Fake:
    def __init__(self) -> None:
        self.time = 0.0
        self.memory = FakeCamundaUsers(now=lambda: self.time)
        self.memory.add(ADMIN, "admin")
        self.memory.add(WORKER, "connectors")
        self.api: CamundaUsers = self.memory

    def export(self) -> None:
        self.time += 10

    def create(self, kind: str, name: str) -> None:
        self.memory.known[kind].add(name)

    def authorize(self, username: str) -> None:
        self.memory.own[username] = 1

    def held(self, kind: str) -> frozenset[str]:
        return held(self.api, kind)


class Broker:
    """The local broker's REST API on port 8080 of an address of its own."""

    def __init__(self) -> None:
        self.gateway = MemoryGateway()
        self.address = f"{_BLOCK}.0.{next(_numbers)}"
        app = rest_app(self.gateway, Users(ENVIRONMENT, self.gateway))
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        self._listener = socket.create_server((self.address, REST_PORT))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )
        self._thread.start()
        self.api: CamundaUsers = self.client(self.address)

    def client(self, *addresses: str) -> HttpUsers:
        return HttpUsers(
            "brokers",
            timeouts=Timeouts(connect=0.5, read=2.0),
            resolve=lambda *_: addresses,
        )

    def export(self) -> None:
        for user in self.gateway.engines[1].data["users"].values():
            user["exportedAt"] = user["membershipsAt"] = 0
        # What was verified a moment ago is remembered for half a second.
        time.sleep(0.6)

    def create(self, kind: str, name: str) -> None:
        self.post(kind, {f"{kind.removesuffix('s')}Id": name, "name": name})

    def authorize(self, username: str) -> None:
        self.post(
            "authorizations",
            {
                "ownerId": username,
                "ownerType": "USER",
                "resourceType": "PROCESS_DEFINITION",
                "resourceId": "*",
                "permissionTypes": ["READ_PROCESS_DEFINITION"],
            },
        )

    def post(self, path: str, body: dict[str, Any]) -> None:
        login = (ADMIN.username, ADMIN.password)
        url = f"http://{self.address}:{REST_PORT}/v2/{path}"
        answer = requests.post(url, json=body, auth=login, timeout=5)
        assert answer.status_code == 201, answer.text

    def held(self, kind: str) -> frozenset[str]:
        return held(self.api, kind)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()


def held(api: CamundaUsers, kind: str) -> frozenset[str]:
    account = api.account(WORKER)
    assert account is not None
    return account.memberships[kind]


@pytest.fixture
def broker() -> Iterator[Broker]:
    found = Broker()
    yield found
    found.close()


@pytest.fixture(params=["fake", "broker"])
def subject(request: pytest.FixtureRequest) -> Subject:
    made: Subject = Fake() if request.param == "fake" else request.getfixturevalue("broker")
    return made


def test_a_login_shows_who_it_is(subject: Subject) -> None:
    account = subject.api.account(WORKER)
    assert account is not None
    assert account.username == "connectors"
    assert account.memberships["roles"] == {"connectors"}
    assert subject.api.account(Credentials("connectors", "guessed")) is None
    assert subject.api.account(Credentials("nobody", "works")) is None


def test_a_user_changes_its_own_password(subject: Subject) -> None:
    following = Credentials("admin", "something else")
    subject.api.set_password(ADMIN, following)
    assert subject.api.account(ADMIN) is not None, "until it is exported"
    assert subject.api.account(following) is None
    subject.api.set_password(ADMIN, following)
    subject.export()
    assert subject.api.account(ADMIN) is None
    assert subject.api.account(following) is not None


def test_a_user_that_is_not_there_is_made_and_becomes_a_member(subject: Subject) -> None:
    following = Credentials("connectors-b", "something else")
    subject.api.set_password(ADMIN, following)
    subject.export()
    made = subject.api.account(following)
    assert made is not None
    assert made.memberships["roles"] == frozenset()
    for _ in range(2):
        subject.api.add_member(ADMIN, "roles", "connectors", "connectors-b")
    subject.export()
    made = subject.api.account(following)
    assert made is not None
    assert made.memberships["roles"] == {"connectors"}
    assert subject.api.own_authorizations(ADMIN, "connectors-b") == 0


@pytest.mark.parametrize("kind", ["roles", "groups", "tenants"])
def test_a_user_becomes_a_member_and_stops_being_one(subject: Subject, kind: str) -> None:
    subject.create(kind, "north")
    for _ in range(2):
        subject.api.add_member(ADMIN, kind, "north", "connectors")
    subject.export()
    assert subject.held(kind) >= {"north"}
    for _ in range(2):
        subject.api.remove_member(ADMIN, kind, "north", "connectors")
    subject.export()
    assert "north" not in subject.held(kind)


@pytest.mark.parametrize("kind", ["roles", "groups", "tenants"])
def test_what_is_not_there_any_more_changes_nothing(subject: Subject, kind: str) -> None:
    subject.api.add_member(ADMIN, kind, "nowhere", "connectors")
    subject.api.remove_member(ADMIN, kind, "nowhere", "connectors")
    subject.export()
    assert "nowhere" not in subject.held(kind)


def test_a_membership_is_shown_when_it_is_exported(subject: Subject) -> None:
    subject.create("groups", "workers")
    subject.api.add_member(ADMIN, "groups", "workers", "connectors")
    assert subject.held("groups") == frozenset()
    subject.export()
    assert subject.held("groups") == {"workers"}


def test_members_of_a_role_are_members_of_the_default_tenant(subject: Subject) -> None:
    assert subject.held("tenants") == {"<default>"}
    subject.api.remove_member(ADMIN, "tenants", "<default>", "connectors")
    subject.export()
    assert subject.held("tenants") == {"<default>"}, "it is the role's"


def test_authorizations_of_a_user_are_counted(subject: Subject) -> None:
    subject.authorize("connectors")
    assert subject.api.own_authorizations(ADMIN, "connectors") == 1
    assert subject.api.own_authorizations(ADMIN, "admin") == 0


def test_what_a_broker_does_not_perform_is_refused_and_not_passing(broker: Broker) -> None:
    """HTTP 501: another request of the same kind gets the same answer."""
    with pytest.raises(ManagementRefused, match="HTTP 501"):
        broker.client(broker.address, f"{_BLOCK}.0.250").add_member(ADMIN, "clock", "x", "y")


def test_only_an_administrator_changes_others(subject: Subject) -> None:
    with pytest.raises(LifecycleError):
        subject.api.set_password(WORKER, Credentials("admin", "mine now"))
    with pytest.raises(CredentialsRefused):
        subject.api.set_password(Credentials("admin", "guessed"), WORKER)


def test_another_address_is_tried(broker: Broker) -> None:
    account = broker.client(f"{_BLOCK}.0.250", broker.address).account(ADMIN)
    assert account is not None
    with pytest.raises(ManagementUnavailable):
        broker.client(f"{_BLOCK}.0.250").account(ADMIN)


def test_no_password_leaves_the_vpc() -> None:
    outside = HttpUsers("brokers", resolve=lambda *_: ("192.0.2.1",))
    with pytest.raises(CredentialsWithheld):
        outside.account(ADMIN)
    with pytest.raises(CredentialsWithheld):
        outside.set_password(ADMIN, WORKER)
