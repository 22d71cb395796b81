"""A node's data: `<data>/node-<i>/v<k>`, one directory a lease, copied from the one before.

`VersionedNodeIdBasedDataDirectoryProvider` of camunda/camunda: a directory counts once its marker
is written, which is the last thing that is done to it, and the first that is taken away.
"""

from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING

from local.broker.files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

MARKER = "directory-initialized.json"
RETAINED = 2
_VERSION = re.compile(r"v(\d+)")


def prepare(
    data: Path, node_id: int, version: int, retained: int = RETAINED, skip: Iterable[str] = ()
) -> Path:
    """Give the directory of this version, filled from the newest valid one before it.

    Files named in `skip` are not copied. What a crash left of it is deleted. After a copy, older
    versions are removed but for `retained` ones, invalid ones all. Raises OSError: when the copy is
    not whole, and FileExistsError when the version was used before, as where the leases were
    emptied and the data was not.
    """
    node = data / f"node-{node_id}"
    target = node / f"v{version}"
    node.mkdir(parents=True, exist_ok=True)
    if _valid(target):
        raise FileExistsError(
            "Expected directory to not be initialized, but found valid init file in directory "
            f"{target}"
        )
    if target.exists():
        print(
            f"Data directory {target} exists but is not initialized; deleting and re-initializing",
            flush=True,
        )
        shutil.rmtree(target)
    before = max((one for one in _versions(node) if one < version), default=None)
    if before is None:
        print(
            f"No valid previous version found for node {node_id}, creating empty directory "
            f"{target}",
            flush=True,
        )
        target.mkdir()
    else:
        source = node / f"v{before}"
        print(f"Initializing data directory {target} by copying from {source}", flush=True)
        left = {MARKER, *skip}
        shutil.copytree(source, target, ignore=lambda _, names: left.intersection(names))
        if _sizes(source, left) != _sizes(target, left):
            raise OSError(f"The copy of {source} in {target} is not the same")
    moment = int(time.time() * 1000)
    write_json(
        target / MARKER, {"initializedAt": moment, "version": version, "initializedFrom": before}
    )
    if before is not None:
        _collect(node, {version, *sorted(_versions(node))[-retained:]})
    return target


def partition(directory: Path, number: int) -> Path:
    """Directory of a partition within a node's."""
    return directory / "raft-partition" / "partitions" / str(number)


def _collect(node: Path, kept: Collection[int]) -> None:
    for one in node.iterdir():
        found = _VERSION.fullmatch(one.name)
        if found and int(found[1]) not in kept:
            # Half deleted, it must not pass for a whole one.
            (one / MARKER).unlink(missing_ok=True)
            shutil.rmtree(one, ignore_errors=True)


def _versions(node: Path) -> list[int]:
    found = ((_VERSION.fullmatch(one.name), one) for one in node.iterdir())
    return [int(match[1]) for match, one in found if match and _valid(one)]


def _valid(directory: Path) -> bool:
    try:
        marker = read_json(directory / MARKER)
    except ValueError:
        return False
    return isinstance(marker, dict) and f"v{marker.get('version')}" == directory.name


def _sizes(directory: Path, left: Collection[str]) -> dict[str, int]:
    return {
        str(one.relative_to(directory)): one.stat().st_size
        for one in directory.rglob("*")
        if one.is_file() and one.name not in left
    }
