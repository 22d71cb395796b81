"""First thing a Lambda worker runs, in place of `/var/runtime/bootstrap`.

It belongs to the environment, as Lambda's own bootstrap does; handlers know nothing of it. It runs
in a bare Python (`-I -S`): nothing is importable but the standard library, what the Lambda runtime
brings, the function's layers and its code, in Lambda's order.

Standard library only: the project's own packages are not on the path here.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_own_getaddrinfo = socket.getaddrinfo
_own_connect = socket.socket.connect
_FIRST_UNPRIVILEGED_PORT = 1024


def main() -> None:
    """Take the settings, one JSON document in the arguments, and hand over to Lambda's client."""
    settings = json.loads(sys.argv[1])
    sys.path[:0] = settings["path"]
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname
    socket.getaddrinfo = _endpoint_resolver(endpoint)
    if settings["names"]:
        names = Path(settings["names"])
        socket.getaddrinfo = _vpc_resolver(names)
        socket.socket.connect = _to_listener(names)  # type: ignore[method-assign]
    else:
        sys.addaudithook(_refuse_vpc(settings["block"], settings["open"]))
    # Imported only now: it must come from the Lambda runtime's own directory.
    from awslambdaric.__main__ import main as run

    run(["bootstrap", settings["handler"]])


def _read(names: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(names.read_text())
    except FileNotFoundError:
        return {"hosts": {}, "ports": {}, "blocked": []}
    return content


def _endpoint_resolver(endpoint: str | None) -> Any:
    """Resolve the prefixes that AWS's clients put before an endpoint, as in `sync-states…`."""

    def resolve(host: Any, *rest: Any, **options: Any) -> Any:
        if endpoint and str(host).endswith(f"-{endpoint}"):
            host = endpoint
        return _own_getaddrinfo(host, *rest, **options)

    return resolve


def _vpc_resolver(names: Path) -> Any:
    """Resolve Cloud Map, load balancer and database names; everything else as usual."""

    def resolve(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host or "")
        addresses = _read(names)["hosts"].get(name.lower().rstrip("."), [host])
        return [
            entry
            for address in addresses
            for entry in _own_getaddrinfo(address, port, *rest, **options)
        ]

    return resolve


def _to_listener(names: Path) -> Any:
    """Connect to where a port that this user may not bind is served instead.

    A blocked port gives no answer at all, as behind a security group without a rule for it.
    """

    def connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[1] < _FIRST_UNPRIVILEGED_PORT:
            for name, actual in _read(names)["ports"].items():
                host, _, port = actual.rpartition(":")
                if host == address[0] and name.endswith(f":{address[1]}"):
                    address = (host, int(port))
        if isinstance(address, tuple) and f"{address[0]}:{address[1]}" in _read(names)["blocked"]:
            time.sleep(self.gettimeout() or 0)
            raise TimeoutError(errno.ETIMEDOUT, "nothing came back")
        _own_connect(self, address)

    return connect


def _refuse_vpc(block: str, allowed: list[str]) -> Any:
    """Refuse what a function outside the VPC cannot reach: tasks, load balancers, the database."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "socket.connect" or not isinstance(arguments[1], tuple):
            return
        address = str(arguments[1][0])
        if address.startswith(f"{block}.") and address not in allowed:
            raise TimeoutError(
                errno.ETIMEDOUT,
                f"{address} is inside the VPC and this function has no VpcConfig",
            )

    return hook


if __name__ == "__main__":
    main()
