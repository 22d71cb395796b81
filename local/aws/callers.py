"""Refuses requests that a browser makes for a foreign page, and the emulator's unsigned routes.

A page of any site can make a browser on this machine send requests to loopback addresses, and by
rebinding its own name to such an address even read the answers. Then ``Host`` has that name; for
a request to another origin, ``Origin`` has the page's. Clients of AWS send neither.
https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Origin
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

type Receive = Callable[[], Awaitable[dict[str, Any]]]
type Send = Callable[[dict[str, Any]], Awaitable[None]]
type App = Callable[[Any, Receive, Send], Awaitable[None]]

# Reset, configuration and more, for anybody who reaches the port. What CloudFormation hands out
# to be called without a signature stays: each has a token in its path.
_UNSIGNED: Final = ("/_ministack/", "/_localstack/")
_WITH_TOKEN: Final = ("/_ministack/cfn-response/", "/_ministack/cfn-signal/")


def refusal(headers: Iterable[tuple[bytes, bytes]], path: str, *, address: str, port: int) -> str:
    """Return why a request is refused; empty if it is not.

    ``address`` is the instance's. A name that ends with it (a bucket in front) is no name that a
    DNS server can give an address to.
    """
    given: dict[bytes, list[str]] = {}
    for name, value in headers:
        given.setdefault(name.lower(), []).append(value.decode("latin-1"))
    hosts = given.get(b"host", [])
    if len(hosts) != 1 or not _is_ours(hosts[0], address, port):
        return f"Host {', '.join(hosts) or '(none)'} is refused; allowed is {address}:{port}."
    origin = f"http://{address}:{port}"
    foreign = [one for one in given.get(b"origin", []) if one != origin]
    if foreign:
        return f"Origin {', '.join(foreign)} is refused; allowed is {origin}, or none."
    if path.startswith(_UNSIGNED) and not path.startswith(_WITH_TOKEN):
        return f"{path} is refused: it needs no signature."
    return ""


def _is_ours(host: str, address: str, port: int) -> bool:
    name, _, number = host.partition(":")
    return number in {"", str(port)} and (name == address or name.endswith(f".{address}"))


class Callers:
    """An ASGI application in front of the emulator."""

    def __init__(self, app: App, address: str, port: int) -> None:
        self._app = app
        self._address = address
        self._port = port

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer 403, or let the emulator answer."""
        reason = ""
        if scope["type"] in {"http", "websocket"}:
            reason = refusal(
                scope["headers"], scope["path"], address=self._address, port=self._port
            )
        if not reason:
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
            return
        body = json.dumps({"message": reason}).encode()
        while (await receive()).get("more_body"):
            pass
        await send(
            {
                "type": "http.response.start",
                "status": 403,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"content-length", b"%d" % len(body)),
                ],
            }
        )
        await send({"type": "http.response.body", "body": body})
