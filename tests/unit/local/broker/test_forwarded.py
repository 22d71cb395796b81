"""Who the local broker takes its clients for, behind a load balancer and without one."""

from __future__ import annotations

from typing import Any

import pytest

from local.broker.forwarded import followed, seen
from local.broker.settings import InvalidSetting

NATIVE = {"SERVER_FORWARDHEADERSSTRATEGY": "native"}
BALANCER = "10.0.0.9"


def scope(peer: str = BALANCER, **headers: str) -> dict[str, Any]:
    given = {"host": "camunda.test"} | {key.replace("_", "-"): one for key, one in headers.items()}
    return {
        "type": "http",
        "scheme": "http",
        "client": (peer, 4711),
        "headers": [(key.encode(), value.encode()) for key, value in given.items()],
    }


def answered(given: dict[str, Any], environment: dict[str, str]) -> tuple[Any, list[Any]]:
    """The scheme that the application sees, and the headers of its response."""
    schemes: list[str] = []
    sent: list[Any] = []

    async def app(found: Any, _: Any, send: Any) -> None:
        schemes.append(found["scheme"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        raise AssertionError

    async def send(message: Any) -> None:
        sent.extend(message["headers"])

    serving = followed(app, environment)(given, receive, send)
    with pytest.raises(StopIteration):
        serving.send(None)  # type: ignore[attr-defined]
    return schemes[0], sent


HSTS = [(b"strict-transport-security", b"max-age=31536000")]


@pytest.mark.parametrize(
    ("environment", "peer", "protocol", "expected"),
    [
        (NATIVE, BALANCER, "https", ("https", HSTS)),
        (NATIVE, "127.41.0.4", "https", ("https", HSTS)),
        (NATIVE, "100.64.0.1", "HTTPS", ("https", HSTS)),
        (NATIVE, BALANCER, "http", ("http", [])),
        (NATIVE, BALANCER, "https, http", ("http", [])),
        (NATIVE, BALANCER, "", ("http", [])),
        (NATIVE, "203.0.113.7", "https", ("http", [])),
        (NATIVE, "unknown", "https", ("http", [])),
        ({}, BALANCER, "https", ("http", [])),
        ({"SERVER_FORWARDHEADERSSTRATEGY": "none"}, BALANCER, "https", ("http", [])),
    ],
)
def test_the_scheme_is_the_client_s_only_if_the_strategy_follows_a_trusted_peer(
    environment: dict[str, str], peer: str, protocol: str, expected: Any
) -> None:
    assert answered(scope(peer, x_forwarded_proto=protocol), environment) == expected


def test_another_strategy_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="framework; performed: none, native"):
        answered(scope(), {"SERVER_FORWARDHEADERSSTRATEGY": "framework"})


@pytest.mark.parametrize(
    ("port", "host"),
    [("443", "camunda.test"), ("10443", "camunda.test:10443"), ("", "camunda.test")],
)
def test_absolute_urls_have_the_port_of_the_client(port: str, host: str) -> None:
    found = seen(scope(x_forwarded_proto="https", x_forwarded_port=port))
    assert dict(found["headers"])[b"host"] == host.encode()


def test_the_client_is_the_last_address_that_is_no_proxy() -> None:
    found = seen(scope(x_forwarded_for="198.51.100.1, 203.0.113.7, 10.0.0.5"))
    assert found["client"][0] == "203.0.113.7"
    assert seen(scope("203.0.113.8", x_forwarded_for="198.51.100.1")) == {}
