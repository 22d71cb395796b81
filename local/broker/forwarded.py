"""The client's own connection, as a load balancer describes it to Camunda's web server.

With `SERVER_FORWARDHEADERSSTRATEGY=native` Spring Boot adds Tomcat's `RemoteIpValve`, which follows
the headers of peers in `server.tomcat.remoteip.internal-proxies` and of no others. Without the
variable nothing is followed, as ECS is no platform that Spring Boot recognises.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

from local.broker.settings import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    type Scope = MutableMapping[str, Any]
    type Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    type Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    type Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_STRATEGY: Final = "SERVER_FORWARDHEADERSSTRATEGY"
# The default of `ServerProperties.Tomcat.Remoteip.internalProxies` (spring-projects/spring-boot),
# which has the ranges of `RemoteIpValve` itself.
_INTERNAL: Final = tuple(
    ipaddress.ip_network(one)
    for one in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
    )
)
_PORTS: Final = {"http": 80, "https": 443}
# `HstsConfig` (camunda/camunda): a year, without subdomains, on encrypted connections only.
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")


def followed(app: Application, environment: Mapping[str, str]) -> Application:
    """Give `app` the scheme, host and client of its clients; HSTS to those of HTTPS.

    Raises InvalidSetting for a strategy that is not performed.
    """
    strategy = environment.get(_STRATEGY, "none").lower()
    if strategy not in {"none", "native"}:
        raise InvalidSetting(f"{_STRATEGY}={strategy}; performed: none, native")

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and strategy == "native":
            scope = {**scope, **seen(scope)}

        async def secured(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and scope.get("scheme") == "https":
                message["headers"] = [*message.get("headers", ()), _HSTS]
            await send(message)

        await app(scope, receive, secured)

    return serve


def seen(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the headers of a trusted peer change of a request; nothing for another peer."""
    client = scope.get("client")
    if not client or not _internal(client[0]):
        return {}
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    changed: dict[str, Any] = {}
    remote = client[0]
    for address in reversed(_listed(headers, "x-forwarded-for")):
        remote = address
        if not _internal(address):
            break
    changed["client"] = (remote, client[1])
    protocols = _listed(headers, "x-forwarded-proto")
    if not protocols:
        return changed
    scheme = "https" if all(one.lower() == "https" for one in protocols) else "http"
    port = _PORTS[scheme]
    given = _listed(headers, "x-forwarded-port")
    if given and given[0].isdigit():
        port = int(given[0])
    host = (headers.get("host") or [""])[0].partition(":")[0]
    shown = host if port == _PORTS[scheme] else f"{host}:{port}"
    kept = [(name, value) for name, value in scope["headers"] if name.lower() != b"host"]
    return changed | {
        "scheme": scheme,
        "server": (host, port),
        "headers": [*kept, (b"host", shown.encode("latin-1"))],
    }


def _listed(headers: Mapping[str, list[str]], name: str) -> list[str]:
    text = ",".join(headers.get(name, ()))
    return [one.strip() for one in text.split(",") if one.strip()]


def _internal(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in _INTERNAL)
