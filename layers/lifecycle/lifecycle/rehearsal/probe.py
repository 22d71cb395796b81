"""Questions of a rehearsal, asked inside the VPC: markers and totals, a look at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lifecycle.errors import LifecycleError
from lifecycle.rehearsal.marker import (
    MESSAGE,
    PROCESS_ID,
    VARIABLE,
    Found,
    is_markers,
    read_found,
)
from lifecycle.rehearsal.totals import as_state, queries, queries_after, read_counts
from lifecycle.verification.create_instances import LOOK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lifecycle.camunda.credentials import Login
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.ports import Logins
    from lifecycle.rehearsal.ports import SearchedProcesses


@dataclass(frozen=True, slots=True)
class RehearsalProber:
    """The use case with what it needs from outside; ``monotonic`` gives seconds.

    A failure is part of each answer, as ``problem``, never an exception.
    """

    processes: Callable[[str], SearchedProcesses]
    logins: Logins
    monotonic: Callable[[], float]

    def find(
        self, cluster: ClusterOutputs, *, marker: str, keys: Sequence[str], known: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Look for the markers in a copy, and send each that waits its message.

        ``keys`` are the instances that were planted, ``known`` is what the last look returned,
        empty at first. Returns what ``read_found`` reads.
        """
        wanted = tuple(sorted(int(one) for one in keys))
        found = replace(read_found(known), wanted=wanted, problem="")
        try:
            login = self.logins.of(cluster).login()
            return self._find(self.processes(cluster.discovery_name), found, marker, login)
        except LifecycleError as error:
            return replace(found, problem=error.message.rstrip(".")).as_state()

    def _find(
        self, api: SearchedProcesses, found: Found, marker: str, login: Login
    ) -> dict[str, Any]:
        marks = [one for one in api.marks(found.wanted, VARIABLE, login) if is_markers(one, marker)]
        by_state = {
            state: frozenset(one.key for one in marks if one.state == state)
            for state in ("ACTIVE", "COMPLETED")
        }
        # One that was over when it was first seen did not go on here.
        ended = by_state["COMPLETED"] & found.waiting
        for one in marks:
            if one.key in by_state["ACTIVE"]:
                # No time to live: a message that correlates with none is gone, and may be repeated.
                api.publish(MESSAGE, str(json.loads(one.value)), login)
        found = replace(
            found, waiting=found.waiting | by_state["ACTIVE"], ended=found.ended | ended
        )
        return found.as_state()

    def remove(self, cluster: ClusterOutputs) -> dict[str, Any]:
        """Cancel every marker that still waits, of earlier rehearsals too.

        Returns ``left``, the number of those that are left, and ``problem``.
        """
        left = -1
        try:
            login = self.logins.of(cluster).login()
            api = self.processes(cluster.discovery_name)
            keys = api.active(PROCESS_ID, login)
            left = len(keys)
            for key in keys:
                api.cancel(key, login)
        except LifecycleError as error:
            return {"left": left, "problem": error.message.rstrip(".")}
        return {"left": left, "problem": ""}

    def count(
        self, cluster: ClusterOutputs, *, until: str, known: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Count what there was until an instant (ISO 8601), as far as the time of a look allows.

        ``known`` are the ``counts`` that the last look returned, empty at first. Returns
        ``counts``, ``complete`` and ``problem``.
        """
        give_up = self.monotonic() + LOOK_SECONDS
        counts = read_counts(known)
        every = list(queries(datetime.fromisoformat(until)))
        problem = ""
        try:
            login = self.logins.of(cluster).login()
            api = self.processes(cluster.discovery_name)
            for one in every:
                if one.key not in counts:
                    if self.monotonic() >= give_up:
                        break
                    counts[one.key] = api.count(one.what, one.wanted, login)
        except LifecycleError as error:
            problem = error.message.rstrip(".")
        complete = all(one.key in counts for one in every)
        return {"counts": as_state(counts), "complete": complete, "problem": problem}

    def count_after(self, cluster: ClusterOutputs, *, since: str) -> dict[str, Any]:
        """Count what came after an instant (ISO 8601), as far as the time of a look allows.

        Returns ``counts`` by kind (a number, or ``10000+``), what is not counted left out, and
        ``problem``.
        """
        give_up = self.monotonic() + LOOK_SECONDS
        counts = {}
        problem = ""
        try:
            login = self.logins.of(cluster).login()
            api = self.processes(cluster.discovery_name)
            for one in queries_after(datetime.fromisoformat(since)):
                if self.monotonic() >= give_up:
                    problem = "the brokers answer too slowly to count everything"
                    break
                counts[one.kind] = api.count(one.what, one.wanted, login)
        except LifecycleError as error:
            problem = error.message.rstrip(".")
        return {"counts": as_state(counts), "problem": problem}
