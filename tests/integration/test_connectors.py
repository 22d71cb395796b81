"""The stand-in for connectors, as its task starts it, at work on a local broker."""

from __future__ import annotations

import json
import signal
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests
import uvicorn

from local.broker.rest import rest_app
from local.broker.users import Users
from local.connectors.decisions import JOB_TYPE
from local.fargate.programs import ContainerStart, launch
from local.processes import Processes
from tests.support.blocks import block
from tests.support.brokers import Brokers, Leases, brokers
from tests.support.cloud import eventually
from tests.support.memory_gateway import JOB_ONLY, USERS, MemoryGateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = f"{block('connectors')}.100"
ADMIN = ("admin", "secret")
USER = {"username": "connectors", "password": "of connectors"}
PROCESS = JOB_ONLY.replace('type="work"', f'type="{JOB_TYPE}"')
# What the deployed task definition has, and secrets besides.
ENVIRONMENT = {
    "SERVER_SERVLET_CONTEXT_PATH": "/connectors",
    "CAMUNDA_CLIENT_MODE": "self-managed",
    "CAMUNDA_CLIENT_RESTADDRESS": "http://orchestration-cluster-rest:8080",
    "CAMUNDA_CLIENT_GRPCADDRESS": "http://orchestration-cluster-grpc:26500",
    "CAMUNDA_CLIENT_AUTH_METHOD": "basic",
    "CAMUNDA_CLIENT_AUTH_USERNAME": USER["username"],
    "CAMUNDA_CLIENT_AUTH_PASSWORD": USER["password"],
    "SECRET_TOKEN": "hush-hush",
    "TOKEN_OF_ANOTHER": "hush-too",
}


class StandIn:
    """A running stand-in; its alias resolves to a closed address first, then to the broker."""

    def __init__(
        self,
        home: Path,
        place: int,
        broker: str,
        trust: Path | None = None,
        vpc: Path | None = None,
        /,
        **environment: str,
    ) -> None:
        self.address = f"{BLOCK}.{place}"
        self._log = home / f"connectors-{place}.log"
        names = home / f"names-{place}.json"
        alias = {"orchestration-cluster-rest": [f"{BLOCK}.250", broker]}
        names.write_text(json.dumps(alias))
        start = ContainerStart(
            image="camunda/connectors-bundle:8.9.7",
            labels={},
            entry_point=(),
            command=(),
            environment=ENVIRONMENT | environment,
            address=self.address,
            memory=2048,
            credentials={},
            names_file=vpc or names,
            trust_file=trust or home / "trust.pem",
            home=home,
            volumes={},
            service_connect_file=names,
        )
        program = launch(start)
        self.process = Processes(home / f"processes-{place}.json").spawn(
            f"connectors-{place}",
            program.command,
            environment=program.environment,
            log=self._log,
            directory=home,
        )

    def log(self) -> str:
        return self._log.read_text()

    def answer(self, path: str, method: str = "GET") -> tuple[int, Any]:
        try:
            got = requests.request(method, f"http://{self.address}:8080{path}", timeout=5)
        except OSError:
            return 0, None
        return got.status_code, got.json()

    def ready(self) -> bool:
        return self.answer("/connectors/actuator/health/readiness")[0] == 200

    def not_ready(self, why: str) -> bool:
        status, body = self.answer("/connectors/actuator/health/readiness")
        return status == 503 and why in str(body["components"]["zeebeClient"]["details"])

    def stop(self) -> int:
        """Exit code; that of SIGKILL if it takes longer than it should."""
        return self.process.stop(5)


@contextmanager
def stand_in(
    home: Path,
    place: int,
    broker: str,
    trust: Path | None = None,
    vpc: Path | None = None,
    /,
    **environment: str,
) -> Iterator[StandIn]:
    started = StandIn(home, place, broker, trust, vpc, **environment)
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    leases = Leases(tmp_path_factory.mktemp("leases"), block("connectors"))
    home = tmp_path_factory.mktemp("brokers")
    one = {"size": 1, "partitions": 1, "replication_factor": 1}
    try:
        with brokers(home, BLOCK, leases, **one) as started:
            assert started.ask(0, "/v2/users", "POST", USER, port=8080)[0] == 201
            deploy(f"http://{started.address(0)}:8080")
            assert eventually(lambda: logs_in(started.address(0)), 10)
            yield started
    finally:
        leases.close()


@pytest.fixture(scope="module")
def connectors(cluster: Brokers) -> Iterator[StandIn]:
    with stand_in(cluster.directory, 50, cluster.address(0)) as started:
        assert eventually(started.ready, 10), started.log()
        yield started


def logs_in(address: str) -> bool:
    """Whether the user's password is exported, so that logins show it."""
    login = (USER["username"], USER["password"])
    me = requests.get(f"http://{address}:8080/v2/authentication/me", auth=login, timeout=5)
    return me.status_code == 200


def deploy(url: str) -> None:
    resources = {"resources": ("work.bpmn", PROCESS)}
    answer = requests.post(f"{url}/v2/deployments", files=resources, auth=ADMIN, timeout=5)
    answer.raise_for_status()


def outcome(cluster: Brokers, variables: dict[str, Any]) -> Any:
    """Variables at the end of an instance that begins with these."""
    body = {"processDefinitionId": "work", "variables": variables, "awaitCompletion": True}
    status, created = cluster.ask(0, "/v2/process-instances", "POST", body, port=8080)
    assert status == 200, created
    return created["variables"]


def test_it_logs_in_and_completes_jobs(cluster: Brokers, connectors: StandIn) -> None:
    assert connectors.answer("/connectors/actuator/health") == (
        200,
        {
            "status": "UP",
            "components": {
                "zeebeClient": {
                    "status": "UP",
                    "details": {"numBrokers": 1, "anyPartitionHealthy": True},
                }
            },
        },
    )
    given = {"url": "https://example.com", "headers": {"Authorization": "{{secrets.TOKEN}}"}}
    # The REST connector does not ask for this one.
    given["note"] = "{{secrets.OF_NOBODY}}"
    assert outcome(cluster, given) == {**given, "standIn": True, "secrets": ["TOKEN"]}
    assert "hush" not in connectors.log()
    assert connectors.log().count("orchestration cluster at") == 1


def test_readiness_is_lost_with_the_login_and_comes_back(
    cluster: Brokers, connectors: StandIn
) -> None:
    path = f"/v2/users/{USER['username']}"
    assert cluster.ask(0, path, "PUT", {"password": "changed"}, port=8080)[0] == 200
    assert eventually(lambda: connectors.not_ready(":8080 answers 401"), 10)
    assert connectors.answer("/connectors/actuator/health/liveness")[0] == 200
    assert cluster.ask(0, path, "PUT", {"password": USER["password"]}, port=8080)[0] == 200
    assert eventually(connectors.ready, 10)
    assert outcome(cluster, {})["standIn"]


def test_readiness_is_lost_with_the_cluster_and_comes_back(
    cluster: Brokers, connectors: StandIn
) -> None:
    cluster.kill(0, signal.SIGTERM)
    assert eventually(lambda: connectors.not_ready("refused"), 10)
    cluster.start(0)
    assert eventually(connectors.ready, 40), cluster.log(0)
    assert outcome(cluster, {})["standIn"]


def test_it_is_never_ready_with_a_wrong_password(cluster: Brokers) -> None:
    wrong = {"CAMUNDA_CLIENT_AUTH_PASSWORD": "wrong"}
    with stand_in(cluster.directory, 51, cluster.address(0), **wrong) as refused:
        assert eventually(lambda: refused.not_ready(":8080 answers 401"), 10), refused.log()
        assert eventually(lambda: "not taken: " in refused.log(), 5)
        assert refused.stop() == 0


def test_what_it_has_taken_is_finished_at_sigterm(cluster: Brokers, connectors: StandIn) -> None:
    before = connectors.log().count(": completed")
    for _ in range(30):
        body = {"processDefinitionId": "work"}
        assert cluster.ask(0, "/v2/process-instances", "POST", body, port=8080)[0] == 200
    assert connectors.stop() == 0
    completed = connectors.log().count(": completed") - before
    assert "stops: takes no more jobs" in connectors.log()
    left = {"type": JOB_TYPE, "timeout": 1000, "maxJobsToActivate": 99, "requestTimeout": -1}
    status, found = cluster.ask(0, "/v2/jobs/activation", "POST", left, port=8080)
    assert (status, completed + len(found["jobs"])) == (200, 30)


@contextmanager
def in_memory() -> Iterator[str]:
    """REST of a gateway that can search, without a database."""
    gateway = MemoryGateway()
    app = rest_app(gateway, Users(USERS, gateway))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    with socket.create_server((f"{BLOCK}.99", 8080)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deploy(f"http://{BLOCK}.99:8080")
        yield f"{BLOCK}.99"
        server.should_exit = True
        thread.join()


def test_an_unknown_secret_is_an_incident_and_the_rest_is_refused(tmp_path: Path) -> None:
    as_admin = {
        "CAMUNDA_CLIENT_AUTH_USERNAME": ADMIN[0],
        "CAMUNDA_CLIENT_AUTH_PASSWORD": ADMIN[1],
    }
    with in_memory() as broker, stand_in(tmp_path, 52, broker, **as_admin) as connectors:
        url = f"http://{broker}:8080/v2"
        variables = {"body": "{{secrets.OF_ANOTHER}} {{secrets.TOKEN_OF_ANOTHER}}"}
        body = {"processDefinitionId": "work", "variables": variables}

        def ask(path: str, body: Any) -> Any:
            return requests.post(f"{url}/{path}", json=body, auth=ADMIN, timeout=5).json()

        assert ask("process-instances", body)["processInstanceKey"]
        assert eventually(lambda: bool(ask("incidents/search", {})["items"]), 10), connectors.log()
        (job,), (incident,) = (ask(f"{one}/search", {})["items"] for one in ("jobs", "incidents"))
        assert job["retries"] == 0
        assert incident["errorMessage"] == "Secret with name 'OF_ANOTHER' is not available"
        assert f"job {job['jobKey']}: failed: Secret with name" in connectors.log()

        assert connectors.answer("/")[0] == 404
        assert connectors.answer("/connectorsx")[0] == 404
        assert connectors.answer("/connectors/")[0] == 200
        for method, path in (("GET", "/inbound"), ("POST", "/inbound/hook"), ("PUT", "/other")):
            status, told = connectors.answer(f"/connectors{path}", method)
            assert status == 501
            assert f"does not perform {method} /connectors{path}" in told["message"]


def test_another_kind_of_login_is_refused_at_the_start(tmp_path: Path) -> None:
    other = {"CAMUNDA_CLIENT_AUTH_METHOD": "saml"}
    with stand_in(tmp_path, 53, f"{BLOCK}.250", **other) as refused:
        assert refused.process.wait() == 1
        assert "AUTH_METHOD=saml: only basic and oidc are performed" in refused.log()
