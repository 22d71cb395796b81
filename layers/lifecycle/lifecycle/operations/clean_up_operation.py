"""Free a cluster whose operation ended without doing so itself.

A state machine that is aborted or times out runs no Catch. EventBridge tells of it instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lifecycle.core.names import is_cluster_name

if TYPE_CHECKING:
    from lifecycle.operations.journal import Journal


def clean_up(event: Mapping[str, Any], journal: Journal) -> dict[str, Any]:
    """Release the lock of the execution that an EventBridge status event names.

    The event is "Step Functions Execution Status Change" with status FAILED, TIMED_OUT or ABORTED.
    Only the lock that this very execution holds is freed, and only when it does not run: an event
    may arrive late, after a redrive. Harmless when there is none.
    """
    detail = event.get("detail", {})
    execution = str(detail.get("executionArn", ""))
    try:
        given = json.loads(detail.get("input") or "{}")
    except ValueError:
        given = {}
    cluster = given.get("clusterName") if isinstance(given, dict) else None
    if not execution or not is_cluster_name(cluster):
        return {"released": False, "reason": "the event names no cluster"}
    if journal.executions.is_running(execution):
        return {"released": False, "reason": "the execution runs again"}
    return {"released": journal.locks.release(str(cluster), execution), "cluster": cluster}
