"""The local PostgreSQL itself: where it can run, and what is left when everything is killed."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from local.component import Instance
from local.config import LocalConfig
from local.postgres.component import Cluster, PostgresComponent
from local.postgres.distribution import copied, distribution
from local.postgres.server import DatabaseStartFailed, Server
from tests.support.blocks import block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration

CLUSTER = Cluster(
    identifier="demo",
    resource_id="cluster-DEMO",
    status="available",
    endpoint="demo.cluster-abc.eu-central-1.rds.amazonaws.com",
    reader_endpoint="demo.cluster-ro-abc.eu-central-1.rds.amazonaws.com",
    port=5432,
    database="camunda",
    admin='the "admin"',
    password="it's",
    iam_enabled=True,
)


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not condition():
        time.sleep(0.02)
    return condition()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    found = Instance.of(LocalConfig(tmp_path / "instance", block("database")))
    yield found
    assert found.processes.survivors() == []


def make_server(instance: Instance, directory: Path) -> Server:
    return Server(
        "postgres-test",
        distribution=directory,
        processes=instance.processes,
        log=instance.config.logs / "postgres-test.log",
    )


def test_it_runs_from_a_directory_that_only_its_user_can_enter(
    instance: Instance, tmp_path: Path
) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    server = make_server(instance, copied(distribution(), private / "postgres"))
    try:
        server.create(admin="admin", password="secret", database="camunda")
        with server.connect("camunda") as connection:
            owner = connection.execute(
                "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'camunda'"
            ).fetchone()
        assert owner == ("admin",)
    finally:
        server.remove()
    assert not server.scratch.exists()


def test_data_outlives_a_stop(instance: Instance) -> None:
    server = make_server(instance, distribution())
    try:
        server.create(admin="admin", password="secret", database="camunda")
        # A client that stays does not hold up the stop.
        with server.connect("camunda") as client:
            client.execute("CREATE TABLE kept ()")
            began = time.monotonic()
            server.stop()
            assert time.monotonic() - began < 5
            with pytest.raises(psycopg.OperationalError):
                client.execute("SELECT 1")
        with pytest.raises(ConnectionError):
            server.account("admin")
        server.start()
        with server.connect("camunda") as client:
            assert client.execute("SELECT * FROM kept").fetchall() == []
    finally:
        server.remove()


def test_a_server_that_cannot_start_says_where_to_look(instance: Instance) -> None:
    server = make_server(instance, distribution())
    try:
        server.create(admin="admin", password="secret", database="camunda")
        server.stop()
        (server.scratch / "data" / "PG_VERSION").write_text("9.6\n")
        with pytest.raises(DatabaseStartFailed, match=r"postgres-test\.log"):
            server.start()
    finally:
        server.remove()


def test_only_its_own_users_can_reach_the_socket(instance: Instance) -> None:
    server = make_server(instance, distribution())
    try:
        server.create(admin="admin", password="secret", database="camunda")
        assert server.socket.exists()
        assert server.scratch.stat().st_mode & 0o077 == 0
    finally:
        server.remove()


def test_the_component_follows_status_and_deletion(instance: Instance) -> None:
    clusters = [CLUSTER]
    component = PostgresComponent(instance, lambda: list(clusters))
    component.start()

    def reachable(name: str) -> bool:
        return instance.names.lookup(name) == (instance.config.database_address,)

    def servers() -> int:
        return len(instance.processes.survivors())

    try:
        assert eventually(lambda: reachable(CLUSTER.endpoint), 30)
        assert reachable(CLUSTER.reader_endpoint)
        clusters[:] = [replace(CLUSTER, status="stopped")]
        assert eventually(lambda: servers() == 0)
        assert reachable(CLUSTER.endpoint)  # as on AWS: the name stays, nobody answers
        clusters[:] = [CLUSTER]
        assert eventually(lambda: servers() == 1)
        clusters.clear()
        assert eventually(lambda: servers() == 0 and not reachable(CLUSTER.endpoint))
    finally:
        component.stop()


def test_a_database_is_served_on_its_own_port_and_only_where_it_is_let_in(
    instance: Instance,
) -> None:
    clusters = [replace(CLUSTER, port=3306, let_in=False)]
    component = PostgresComponent(instance, lambda: list(clusters))
    component.start()
    address = instance.config.database_address

    def served(port: int) -> bool:
        try:
            socket.create_connection((address, port), 1).close()
        except ConnectionRefusedError:
            return False
        return True

    try:
        blocked = f"{address}:3306"
        assert eventually(
            lambda: instance.names.path.exists() and blocked in instance.names.path.read_text(), 30
        )
        assert not served(3306)
        clusters.clear()
        assert eventually(lambda: not instance.processes.survivors())
        clusters[:] = [replace(CLUSTER, port=3306)]
        assert eventually(lambda: served(3306), 30)
        assert blocked not in instance.names.path.read_text()
    finally:
        component.stop()


def test_what_a_killed_instance_left_is_removed_by_the_next(instance: Instance) -> None:
    scratch = Path("/tmp") / f"camunda-pg-left-{threading.get_native_id()}"  # noqa: S108
    (scratch / "data").mkdir(parents=True)
    link = instance.config.database_ca.with_name("cluster-LEFT")
    link.parent.mkdir(parents=True)
    link.symlink_to(scratch)
    component = PostgresComponent(instance)
    component.start()
    component.stop()
    assert not scratch.exists()
    assert not link.is_symlink()


def test_an_address_that_is_taken_is_named_with_the_way_out(instance: Instance) -> None:
    with socket.create_server((instance.config.database_address, 5432)):
        component = PostgresComponent(instance)
        with pytest.raises(OSError, match=r"\.0\.3:5432 .* in use.*make down"):
            component.start()
        component.stop()
