"""Loopback addresses for tests: every purpose of every worker has a block of its own."""

from __future__ import annotations

import os

# Below are those of people's own instances.
_FIRST = 141
_WORKERS = 4
_PURPOSES = (
    "adoption",
    "commands",
    "connectors",
    "contract",
    "database",
    "embedded",
    "faults",
    "fargate",
    "names",
    "proof",
    "proxy",
    "refused",
    "rights",
    "seed",
    "shared",
    "stacks",
    "strict",
    "restore",
    "users",
    "readme",
    "tls",
    "identity",
    "kept",
)


def block(purpose: str) -> str:
    """Two octets that no other purpose and no other worker of this run has."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    assert worker < _WORKERS, f"blocks are set aside for {_WORKERS} workers"
    return f"127.{_FIRST + _PURPOSES.index(purpose) * _WORKERS + worker}"
