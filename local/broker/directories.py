"""A node's data: `<data>/node-<i>/v<k>`, one directory a lease, copied from the one before.

`VersionedNodeIdBasedDataDirectoryProvider` of camunda/camunda: a directory counts once its marker
is written, which is the last thing that is done to it.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MARKER = "directory-initialized.json"
RETAINED = 2
_VERSION = re.compile(r"v(\d+)")


def prepare(data: Path, node_id: int, version: int, retained: int = RETAINED) -> Path:
    """Give the directory of this version, filled from the newest valid one before it.

    Repeating it after a crash at any moment is harmless. Older versions are removed but for
    `retained` ones, invalid ones all.
    """
    node = data / f"node-{node_id}"
    target = node / f"v{version}"
    node.mkdir(parents=True, exist_ok=True)
    if not _valid(target):
        shutil.rmtree(target, ignore_errors=True)
        before = max((one for one in _versions(node) if one < version), default=None)
        source = None if before is None else node / f"v{before}"
        if source is None:
            print(f"Initializing data directory {target}", flush=True)
            target.mkdir()
        else:
            print(f"Initializing data directory {target} by copying from {source}", flush=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(MARKER))
        marker = {
            "initializedAt": int(time.time() * 1000),
            "initializedFrom": before,
        }
        aside = target / f"{MARKER}.tmp"
        aside.write_text(json.dumps(marker))
        aside.rename(target / MARKER)
    kept = sorted(_versions(node))[-retained:]
    for one in node.iterdir():
        found = _VERSION.fullmatch(one.name)
        if found and int(found[1]) not in kept:
            shutil.rmtree(one, ignore_errors=True)
    return target


def _versions(node: Path) -> list[int]:
    found = ((_VERSION.fullmatch(one.name), one) for one in node.iterdir())
    return [int(match[1]) for match, one in found if match and _valid(one)]


def _valid(directory: Path) -> bool:
    return (directory / MARKER).exists()
