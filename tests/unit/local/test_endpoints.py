"""What `endpoints.json` has for programs and browsers of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.endpoints import hosts
from local.names import Names

if TYPE_CHECKING:
    from pathlib import Path

NAMED = {"RestUrl": "https://demo.camunda.test", "GrpcEndpoint": "grpc.demo.camunda.test:26500"}
DOOR = {"demo.camunda.test": "127.41.0.5", "grpc.demo.camunda.test": "127.41.0.4"}
ISSUER = {"OidcIssuer": "https://login.camunda.test:8443"}


@pytest.fixture
def names(tmp_path: Path) -> Names:
    found = Names(tmp_path / "names.json")
    for name, address in {**DOOR, "login.camunda.test": "127.41.0.251"}.items():
        found.set(name, [address])
    return found


def test_a_browser_finds_the_cluster_and_where_it_logs_in(names: Names) -> None:
    assert hosts(names, NAMED) == DOOR
    assert hosts(names, NAMED | ISSUER) == DOOR | {"login.camunda.test": "127.41.0.251"}


def test_names_of_elsewhere_are_left_to_dns(names: Names) -> None:
    elsewhere = {"OidcIssuer": "https://login.example.com/realms/camunda"}
    assert hosts(names, NAMED | elsewhere) == DOOR


def test_addresses_in_clear_need_no_name(names: Names) -> None:
    names.set("lb.amazonaws.com", ["127.41.0.6"])
    assert hosts(names, {"RestUrl": "http://lb.amazonaws.com"}) == {}
    assert hosts(names, {}) == {}
