"""Which Service Connect endpoints a task resolves."""

from __future__ import annotations

from typing import Any

import pytest

from local.aws.strict.service_connect import Endpoint, names, seen

pytestmark = pytest.mark.unit

CLIENT = {"enabled": True, "namespace": "n"}
SERVER = CLIENT | {
    "services": [
        {"portName": "rest", "clientAliases": [{"port": 8080, "dnsName": "brokers"}]},
        {"portName": "grpc", "discoveryName": "brokers-grpc"},
        {"portName": "metrics"},
    ]
}
REST = Endpoint("brokers", "n", created=10, addresses=("127.0.0.1", "127.0.0.2"))


def test_a_service_is_known_by_its_aliases_else_by_how_it_is_discovered() -> None:
    assert names(SERVER) == ("brokers", "brokers-grpc", "metrics")
    assert names(CLIENT) == names(SERVER | {"enabled": False}) == ()


@pytest.mark.parametrize(
    ("configuration", "deployed", "expected"),
    [
        (CLIENT, 10, {"brokers": ["127.0.0.1", "127.0.0.2"]}),
        (CLIENT, 9, {}),
        (CLIENT | {"namespace": "other"}, 10, {}),
        (CLIENT | {"enabled": False}, 10, {}),
        ({}, 10, {}),
    ],
    ids=["deployed after", "deployed before", "another namespace", "off", "none"],
)
def test_a_task_sees_what_was_in_its_namespace_when_it_was_deployed(
    configuration: dict[str, Any], deployed: float, expected: dict[str, list[str]]
) -> None:
    assert seen(configuration, deployed, [REST]) == expected


def test_a_name_of_two_services_has_the_addresses_of_both() -> None:
    other = Endpoint("brokers", "n", created=5, addresses=("127.0.0.3",))
    assert seen(CLIENT, 7, [REST, other]) == {"brokers": ["127.0.0.3"]}
    assert len(seen(CLIENT, 11, [REST, other])["brokers"]) == 3
