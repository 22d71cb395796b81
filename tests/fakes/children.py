"""In-memory fake of operations that another one starts: each ends at the look that is set."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lifecycle.errors import AwsUnavailable, ClusterBusy
from lifecycle.operation.record import Execution, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.errors import LifecycleError


@dataclass
class FakeChildren:
    """Operations by verb.

    ``ends`` has the status with which one ends, SUCCEEDED by default, ``outputs`` what it returns,
    ``on_end`` what happens then; ``busy`` how many starts find the cluster busy, ``refuses`` what
    a start raises; ``unknown`` how many looks after the first get no response. An operation runs
    for ``looks`` looks.
    """

    ends: dict[str, str] = field(default_factory=dict)
    causes: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    on_end: dict[str, Callable[[], None]] = field(default_factory=dict)
    refuses: dict[str, LifecycleError] = field(default_factory=dict)
    busy: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    looks: int = 2
    requests: dict[str, Mapping[str, object]] = field(default_factory=dict)
    keys: dict[str, set[str]] = field(default_factory=dict)
    callers: set[str] = field(default_factory=set)
    order: list[str] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=dict)

    def forget(self) -> None:
        """Let those that were started be of an earlier request: another one starts its own."""
        self._seen.clear()

    def start(
        self, verb: str, request: Mapping[str, object], *, key: str | None, caller: str
    ) -> tuple[Record, Execution | None]:
        """Start one, or find it."""
        if verb in self.refuses:
            raise self.refuses[verb]
        if self.busy.get(verb, 0) > 0:
            self.busy[verb] -= 1
            raise ClusterBusy("It is held.", operation_id="demo.scale.1")
        if self._seen.get(verb) and self.unknown.get(verb, 0) > 0:
            self.unknown[verb] -= 1
            raise AwsUnavailable("Rate exceeded")
        cluster = str(request["clusterName"])
        name = f"{cluster}.{verb}.{key}"
        arn = f"arn:aws:states:eu-central-1:123456789012:execution:control-{verb}:{name}"
        record = Record(name, cluster, verb, arn, "2026-01-01T00:00:00.000Z")
        self.requests[verb] = request
        self.keys.setdefault(verb, set()).add(str(key))
        self.callers.add(caller)
        seen = self._seen[verb] = self._seen.get(verb, 0) + 1
        if seen == 1:
            self.order.append(verb)
            return record, None
        execution = Execution(arn, "RUNNING", "2026-01-01T00:00:00.000Z")
        if seen <= self.looks:
            return record, execution
        if seen == self.looks + 1 and verb in self.on_end:
            self.on_end[verb]()
        status = self.ends.get(verb, "SUCCEEDED")
        return record, replace(
            execution,
            status=status,
            ended_at="2026-01-01T00:12:00.000Z",
            output=json.dumps(self.outputs.get(verb, {})) if status == "SUCCEEDED" else "",
            error="" if status == "SUCCEEDED" else "RestoreFailed",
            cause=self.causes.get(verb, ""),
        )
