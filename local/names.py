"""Name resolution inside the VPC.

One JSON file, replaced atomically, holds every name the emulated AWS hands out: Cloud Map names,
load balancers, the database. Lambda workers read it through a `getaddrinfo` hook; everything that
is not in it resolves as usual.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

# Added to a port that an unprivileged user may not bind.
UNPRIVILEGED_OFFSET = 10_000


class _Content(TypedDict):
    hosts: dict[str, list[str]]
    ports: dict[str, str]
    blocked: list[str]


@dataclass(frozen=True)
class Names:
    """The names file at `path`. Safe to use from several threads and processes."""

    path: Path

    def set(self, name: str, addresses: Iterable[str]) -> None:
        """Let `name` resolve to all of `addresses`; none at all is the same as `remove`."""
        found = sorted(set(addresses))

        def change(content: _Content) -> None:
            if found:
                content["hosts"][name.lower()] = found
            else:
                content["hosts"].pop(name.lower(), None)

        self._change(change)

    def remove(self, name: str) -> None:
        """Forget `name` and its ports."""
        prefix = f"{name.lower()}:"

        def change(content: _Content) -> None:
            content["hosts"].pop(name.lower(), None)
            for key in [key for key in content["ports"] if key.startswith(prefix)]:
                del content["ports"][key]

        self._change(change)

    def map_port(self, name: str, port: int, address: str, actual_port: int) -> None:
        """Send connections to `name:port` to `address:actual_port`."""

        def change(content: _Content) -> None:
            content["ports"][f"{name.lower()}:{port}"] = f"{address}:{actual_port}"

        self._change(change)

    def block(self, address: str, port: int) -> None:
        """Let nothing through to a port, as a security group without a rule for it does."""
        self._change(lambda content: content["blocked"].append(f"{address}:{port}"))

    def unblock(self, address: str, port: int) -> None:
        """Let connections through again."""
        blocked = f"{address}:{port}"

        def let_through(content: _Content) -> None:
            content["blocked"] = [one for one in content["blocked"] if one != blocked]

        self._change(let_through)

    def lookup(self, name: str) -> tuple[str, ...]:
        """Every address registered for `name`; empty if there is none."""
        return tuple(self._read()["hosts"].get(name.lower(), ()))

    def resolve(self, name: str, port: int) -> tuple[tuple[str, int], ...]:
        """Where a connection to `name:port` goes: (address, port) pairs, empty if unknown."""
        content = self._read()
        mapped = content["ports"].get(f"{name.lower()}:{port}")
        if mapped:
            address, _, actual = mapped.rpartition(":")
            return ((address, int(actual)),)
        return tuple((address, port) for address in content["hosts"].get(name.lower(), ()))

    def reach(self, name: str, port: int) -> tuple[tuple[str, int], ...]:
        """The same, and for a name that is not of the VPC what the machine makes of it."""
        return self.resolve(name, port) or ((name, port),)

    def clear(self) -> None:
        """Forget everything."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> _Content:
        try:
            content: _Content = json.loads(self.path.read_text())
        except FileNotFoundError:
            return {"hosts": {}, "ports": {}, "blocked": []}
        return content

    def _change(self, change: Callable[[_Content], None]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            content = self._read()
            change(content)
            replace_json(self.path, content)


def replace_json(path: Path, content: object) -> None:
    """Write `content` as JSON so that readers see the old or the new file, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    # Some of these files hold keys.
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    temporary.replace(path)


def bindable_port(address: str, port: int) -> int:
    """Give `port`, or `port` + 10000 where this user may not bind it.

    Raises OSError (EADDRINUSE) if something already listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except PermissionError:
            return port + UNPRIVILEGED_OFFSET
    return port
