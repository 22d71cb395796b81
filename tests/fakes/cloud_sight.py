"""In-memory fake of what AWS says of a cluster's parts: fields that a test sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


def _running(count: int) -> dict[str, Any]:
    return {
        "exists": True,
        "desired": count,
        "running": count,
        "pending": 0,
        "deployments": [
            {"status": "PRIMARY", "rollout": "COMPLETED", "reason": "", "startedAt": None}
        ],
    }


def _healthy(count: int) -> list[dict[str, Any]]:
    return [
        {"address": f"10.0.0.{10 + number}", "state": "healthy", "reason": ""}
        for number in range(count)
    ]


@dataclass
class FakeSight:
    """A cluster of three brokers and one connectors task, all well; ``errors`` by method name.

    Aurora can be restored to ``restorable``; where that is None, to five minutes before ``now``.
    """

    brokers: dict[str, Any] = field(default_factory=lambda: _running(3))
    connectors: dict[str, Any] = field(default_factory=lambda: _running(1))
    running: list[dict[str, Any]] = field(default_factory=list)
    held: list[dict[str, Any]] = field(default_factory=list)
    stopped: list[dict[str, Any]] = field(default_factory=list)
    scaled: list[dict[str, Any]] = field(default_factory=list)
    groups: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    status: str = "available"
    restorable: str | None = None
    earliest: str | None = "2025-11-01T00:00:00+00:00"
    created: str | None = "2025-01-01T00:00:00+00:00"
    days: int | None = 35
    now: datetime | None = None
    zones: dict[str, str] = field(default_factory=lambda: {"a": "available", "b": "available"})
    lost: dict[str, str] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    ends: str = "2027-01-01T00:00:00+00:00"
    access: dict[str, Any] = field(
        default_factory=lambda: {
            "opened": False,
            "until": None,
            "sources": [],
            "permanent": False,
        }
    )
    former_databases: list[dict[str, Any]] = field(default_factory=list)
    errors: dict[str, Exception] = field(default_factory=dict)

    def services(self, ecs_cluster: str, brokers: str, connectors: str) -> dict[str, Any]:
        """Both services."""
        del ecs_cluster, brokers, connectors
        self._fail("services")
        return {"brokers": self.brokers, "connectors": self.connectors}

    def tasks(self, ecs_cluster: str, service: str) -> list[dict[str, Any]]:
        """Tasks that start or run."""
        del ecs_cluster, service
        self._fail("tasks")
        return self.running

    def protected(self, ecs_cluster: str, brokers: str, connectors: str) -> list[dict[str, Any]]:
        """Tasks that are protected."""
        del ecs_cluster, brokers, connectors
        self._fail("protected")
        return self.held

    def stops(self, ecs_cluster: str, brokers: str, connectors: str) -> list[dict[str, Any]]:
        """Tasks that stopped."""
        del ecs_cluster, brokers, connectors
        self._fail("stops")
        return self.stopped

    def autoscaling(self, ecs_cluster: str, brokers: str, connectors: str) -> list[dict[str, Any]]:
        """What scales by itself."""
        del ecs_cluster, brokers, connectors
        self._fail("autoscaling")
        return self.scaled

    def targets(self, target_group: str) -> list[dict[str, Any]]:
        """Targets of a group."""
        self._fail("targets")
        wanted = self.connectors if target_group == "arn:connectors" else self.brokers
        return self.groups.get(target_group, _healthy(wanted["running"]))

    def database(self, cluster: str) -> dict[str, Any]:
        """Status of the database."""
        del cluster
        self._fail("database")
        restorable = self.restorable
        if restorable is None and self.now is not None:
            restorable = (self.now - timedelta(minutes=5)).isoformat()
        return {
            "status": self.status,
            "restorable": restorable,
            "earliest": self.earliest,
            "created": self.created,
            "days": self.days,
        }

    def mounts(self, file_system: str) -> list[dict[str, Any]]:
        """Mount targets."""
        del file_system
        self._fail("mounts")
        return [{"zone": zone, "state": state} for zone, state in self.zones.items()]

    def former(self, cluster: str, present: str) -> list[dict[str, Any]]:
        """Databases beside the present one."""
        del cluster, present
        self._fail("former")
        return self.former_databases

    def secrets(self, arns: Mapping[str, str]) -> list[dict[str, Any]]:
        """Secrets."""
        self._fail("secrets")
        return [
            {"name": name, "problem": self.lost.get(name, ""), "since": self.made.get(name)}
            for name in arns
        ]

    def management(self, cluster: object) -> dict[str, Any]:
        """What is open to the management API."""
        del cluster
        self._fail("management")
        return self.access

    def certificate(self, arn: str) -> dict[str, Any]:
        """Certificate."""
        del arn
        self._fail("certificate")
        return {"status": "ISSUED", "notAfter": self.ends}

    def _fail(self, method: str) -> None:
        if method in self.errors:
            raise self.errors[method]
