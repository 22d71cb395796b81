"""The names file, and the resolver that Lambda workers read it with."""

from __future__ import annotations

import errno
import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from local.aws import bootstrap
from local.names import Names, bindable_port, replace_json
from tests.support.blocks import block

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

BLOCK = block("names")


@pytest.fixture
def names(tmp_path: Path) -> Names:
    return Names(tmp_path / "names.json")


def test_all_addresses_of_a_name(names: Names) -> None:
    names.set("Brokers.local", ["127.41.1.11", "127.41.1.10", "127.41.1.11"])
    assert names.lookup("brokers.LOCAL") == ("127.41.1.10", "127.41.1.11")


def test_no_address_is_no_name(names: Names) -> None:
    names.set("brokers.local", ["127.41.1.10"])
    names.set("brokers.local", [])
    assert names.lookup("brokers.local") == ()
    names.remove("never-there.local")


def test_ports_are_mapped_per_name_and_go_with_it(names: Names) -> None:
    names.set("alb.local", ["127.41.0.4"])
    names.map_port("alb.local", 80, "127.41.0.4", 10080)
    assert names.resolve("alb.local", 80) == (("127.41.0.4", 10080),)
    assert names.resolve("alb.local", 9600) == (("127.41.0.4", 9600),)
    names.remove("alb.local")
    assert names.resolve("alb.local", 80) == ()


def test_concurrent_writers_lose_nothing(names: Names) -> None:
    threads = [
        threading.Thread(target=names.set, args=(f"name-{number}.local", ["127.41.1.10"]))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(names.lookup(f"name-{number}.local") for number in range(20))


def test_file_is_replaced_never_half_written(tmp_path: Path) -> None:
    target = tmp_path / "endpoints.json"
    replace_json(target, {"old": True})
    before = target.stat().st_ino
    replace_json(target, {"new": True})
    assert json.loads(target.read_text()) == {"new": True}
    assert target.stat().st_ino != before
    assert [path.name for path in tmp_path.iterdir()] == ["endpoints.json"]


def test_resolver_of_the_worker(names: Names) -> None:
    resolve = bootstrap._vpc_resolver(names.path)
    assert resolve("localhost", 80, socket.AF_INET, socket.SOCK_STREAM)
    names.set("brokers.local", ["127.41.1.10", "127.41.1.11"])
    brokers = resolve("Brokers.local.", 9600, socket.AF_INET, socket.SOCK_STREAM)
    assert [entry[4] for entry in brokers] == [("127.41.1.10", 9600), ("127.41.1.11", 9600)]


def test_connection_of_the_worker_goes_to_the_port_that_could_be_bound(names: Names) -> None:
    names.map_port("alb.local", 80, f"{BLOCK}.0.98", 10080)
    with socket.socket() as listener, socket.socket() as client:
        listener.bind((f"{BLOCK}.0.98", 10080))
        listener.listen()
        bootstrap._to_listener(names.path)(client, (f"{BLOCK}.0.98", 80))
        assert client.getpeername() == (f"{BLOCK}.0.98", 10080)
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        bootstrap._to_listener(names.path)(client, (f"{BLOCK}.0.97", 80))


def test_guard_of_functions_outside_the_vpc() -> None:
    guard = bootstrap._refuse_vpc("127.41", ["127.41.0.1"])
    guard("socket.connect", (None, ("127.41.0.1", 4566)))
    guard("socket.connect", (None, ("127.42.1.10", 9600)))
    for inside in ("127.41.1.10", "127.41.0.3", "127.41.0.4"):
        with pytest.raises(TimeoutError) as refused:
            guard("socket.connect", (None, (inside, 9600)))
        assert refused.value.errno == errno.ETIMEDOUT


def test_port_that_may_be_bound_is_kept() -> None:
    assert bindable_port(f"{BLOCK}.0.99", 8080) == 8080


def test_port_in_use_is_told() -> None:
    with socket.socket() as other:
        other.bind((f"{BLOCK}.0.99", 8080))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            bindable_port(f"{BLOCK}.0.99", 8080)
