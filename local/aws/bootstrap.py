"""First thing a Lambda worker runs, in place of `/var/runtime/bootstrap`.

It belongs to the environment, as Lambda's own bootstrap does; handlers know nothing of it. It runs
in a bare Python (`-I -S`): nothing is importable but the standard library, what the Lambda runtime
brings, the function's layers and its code, in Lambda's order.

Standard library only: the project's own packages are not on the path here.
"""

from __future__ import annotations

import errno
import json
import socket
import sys
from pathlib import Path
from typing import Any

_own_getaddrinfo = socket.getaddrinfo


def main() -> None:
    """Take the settings, one JSON document in the arguments, and hand over to Lambda's client."""
    settings = json.loads(sys.argv[1])
    sys.path[:0] = settings["path"]
    if settings["names"]:
        socket.getaddrinfo = _vpc_resolver(Path(settings["names"]))
    else:
        sys.addaudithook(_refuse_vpc(settings["block"], settings["open"]))
    # Imported only now: it must come from the Lambda runtime's own directory.
    from awslambdaric.__main__ import main as run

    run(["bootstrap", settings["handler"]])


def _vpc_resolver(names: Path) -> Any:
    """Resolve Cloud Map, load balancer and database names; everything else as usual."""

    def resolve(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        try:
            content = json.loads(names.read_text())
        except FileNotFoundError:
            content = {"hosts": {}, "ports": {}}
        key = str(name or "").lower().rstrip(".")
        mapped = content["ports"].get(f"{key}:{port}")
        if mapped:
            address, _, actual = mapped.rpartition(":")
            return _own_getaddrinfo(address, int(actual), *rest, **options)
        addresses = content["hosts"].get(key)
        if not addresses:
            return _own_getaddrinfo(host, port, *rest, **options)
        return [
            entry
            for address in addresses
            for entry in _own_getaddrinfo(address, port, *rest, **options)
        ]

    return resolve


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
