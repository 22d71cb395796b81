"""What stands in for the function that takes backups where a test is about something else."""

from __future__ import annotations

from typing import Any

BACKUP: dict[str, Any] = {
    "id": 7,
    "state": "COMPLETED",
    "at": "2026-01-01T00:00:00Z",
    "snapshot": "",
    "snapshotAt": "",
    "partitions": 3,
    "version": "8.9.22",
    "reason": "backup 7 of 3 partitions",
}


def fresh(event: dict[str, Any]) -> dict[str, Any]:
    """There is a backup that is young enough; a request without any gets as much.

    A provisioning also passes the waiver of a minor step's way back.
    """
    wanted = {"maxAgeHours", "acceptNoBackup", "snapshot"}
    assert set(event["request"]) - {"acceptNoWayBack"} == wanted
    assert event["cluster"]["EcsClusterName"]
    return {"status": "FRESH", "wait": 0, "memory": {}, "backup": BACKUP}
