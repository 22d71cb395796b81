"""The cluster's state in a file that its broker processes share."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lifecycle.adapters.management_simulation import SimulatedCluster


class SharedCluster:
    """A `SimulatedCluster` that several processes change, one at a time."""

    def __init__(self, directory: Path, create: Callable[[], SimulatedCluster]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._state = directory / "cluster.json"
        self._lock = directory / "cluster.lock"
        self._create = create

    @contextmanager
    def open(self) -> Iterator[SimulatedCluster]:
        """Hold the cluster alone; what was changed is written when the block ends."""
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self._state.read_text() if self._state.exists() else ""
            cluster = SimulatedCluster.from_json(json.loads(before)) if before else self._create()
            yield cluster
            after = json.dumps(cluster.to_json())
            if after != before:
                # A process that is killed while it writes must not leave half a state.
                draft = self._state.with_suffix(f".{os.getpid()}")
                draft.write_text(after)
                draft.replace(self._state)
