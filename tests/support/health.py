"""A cluster of three brokers, well, and everything a health check asks, in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lifecycle.camunda.credentials import Credentials
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.health.collect_aws import HealthObserver
from lifecycle.health.collect_in_vpc import HealthProber
from lifecycle.health.evaluate import HealthJudge
from lifecycle.health.verdict import stamp
from lifecycle.messages import compose
from lifecycle.messages.place import Place
from lifecycle.operation.model import Lock
from lifecycle.operation.scaling_note import ScalingNote
from lifecycle.provisioning.seed import RoleFacts, SeedTarget
from lifecycle.services.definition import BROKERS, CONNECTORS
from lifecycle.tables import unpacked

from tests.fakes.cloud_sight import FakeSight
from tests.fakes.database import FakeDatabase, FakeDatabaseTokens
from tests.fakes.events import FakeEvents
from tests.fakes.health_table import FakeHealth
from tests.fakes.identity import ISSUER, TOKEN_URL, InMemoryProvider, InMemoryTokens, logins
from tests.fakes.leases import FakeLeases
from tests.fakes.management import InMemoryManagement
from tests.fakes.management_simulation import SimulatedCluster
from tests.fakes.metrics import FakeMetrics
from tests.fakes.sns import FakeMessages
from tests.support.world import CONTROL, DEFINITIONS, TestClock, designs
from tests.support.world import OUTPUTS as ALL_OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Mapping

_SEEN = object()
PLACE = Place(CONTROL, "aws", "123456789012", "eu-central-1", "https://api.example/v1")
ADMIN = Credentials("admin", "admin-password")
OUTPUTS = ClusterOutputs(
    {
        **ALL_OUTPUTS,
        "DiscoveryName": "brokers.local",
        "ContinuousBackup": "true",
        "DetailedMetrics": "true",
        "FileSystemId": "fs-1",
        "DatabaseClusterId": "aurora",
        "DatabaseEndpoint": "db.example",
        "DatabasePort": "5432",
        "DatabaseName": "camunda",
        "DatabaseUser": "camunda",
        "DatabaseAdminSecretArn": "arn:secret:database",
        "ConnectorsUserSecretArn": "arn:secret:connectors",
    }
)
SEEDED = RoleFacts(
    rds_iam_exists=True,
    exists=True,
    can_login=True,
    in_rds_iam=True,
    database_granted=True,
    schema_granted=True,
)


class Users:
    """The admin's credentials, whatever the secret's name."""

    def credentials(self, secret_arn: str, cluster: str) -> Credentials:
        del secret_arn, cluster
        return ADMIN


@dataclass
class HealthWorld:
    """The cluster and what stands around it; tests break one thing at a time."""

    clock: TestClock = field(default_factory=TestClock)
    simulated: SimulatedCluster = field(
        default_factory=lambda: SimulatedCluster(
            cluster_size=3, partitions=3, replication_factor=3, dialect="8.9"
        )
    )
    cloud: FakeSight = field(default_factory=FakeSight)
    leases: FakeLeases = field(default_factory=FakeLeases)
    locks: dict[str, Lock] = field(default_factory=dict)
    scalings: dict[str, ScalingNote] = field(default_factory=dict)
    events: FakeEvents = field(default_factory=FakeEvents)
    metrics: FakeMetrics = field(default_factory=FakeMetrics)
    outputs: dict[str, str] = field(default_factory=lambda: dict(OUTPUTS))
    tokens: InMemoryTokens = field(default_factory=InMemoryTokens)
    provider: InMemoryProvider = field(default_factory=InMemoryProvider)
    scheduled: bool = True
    stack: dict[str, str] = field(
        default_factory=lambda: {"status": "UPDATE_COMPLETE", "reason": "", "frozen": ""}
    )

    def __post_init__(self) -> None:
        self.records = FakeHealth(self.locks, self.scalings)
        self.database = FakeDatabase(
            SeedTarget.from_outputs(self.outputs), ADMIN, roles={"camunda": SEEDED}
        )
        self.management = InMemoryManagement(
            self.simulated,
            running=range(3),
            credentials=ADMIN,
            now=self.clock.now().timestamp(),
        )
        self.management.pass_time(10)
        self.cloud.running = [
            {
                "task": f"task-{node}",
                "address": address,
                "status": "RUNNING",
                "startedAt": "2025-12-01T00:00:00+00:00",
            }
            for node, address in enumerate(self.management.addresses())
        ]
        made = designs(self.outputs)
        self.cloud.brokers["definition"] = made[BROKERS]
        self.cloud.connectors["definition"] = made[CONNECTORS]

    @property
    def prober(self) -> HealthProber:
        return HealthProber(
            management=lambda _: self.management,
            logins=logins(Users(), self.tokens),
            provider=self.provider,
            database=lambda _: self.database,
            tokens=FakeDatabaseTokens(),
            leases=self.leases,
        )

    @property
    def judge(self) -> HealthJudge:
        return HealthJudge(
            records=self.records,
            events=self.events,
            metrics=self.metrics,
            clock=self.clock,
            control_stack=CONTROL,
        )

    @property
    def messages(self) -> FakeMessages:
        """The messages on the events that were published."""
        details = [json.loads(json.dumps(one.detail)) for one in self.events.sent]
        found = [compose.health(detail, PLACE) for detail in details]
        return FakeMessages([(one.subject, one.text) for one in found if one is not None])

    def subject(self) -> dict[str, Any]:
        now = stamp(self.clock.now())
        return {
            "cluster": "demo",
            "at": now,
            "began": now,
            "scheduled": self.scheduled,
            "outputs": self.outputs,
            "stack": self.stack,
        }

    def look(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What both functions see now, as objects that a test may change."""
        inside, outside = self.carried()
        return unpacked(inside), outside

    def carried(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What both functions answer now, as the machine carries it."""
        self.cloud.now = self.clock.now()
        observer = HealthObserver(self.cloud, lambda: DEFINITIONS)
        outputs = ClusterOutputs(self.outputs)
        return self.prober.observe(outputs), observer.observe(outputs)

    def check(
        self, inside: object = _SEEN, outside: object = _SEEN, *, minutes: float = 5
    ) -> Mapping[str, Any]:
        """One whole check, ``minutes`` after the one before; sides given replace what is seen."""
        self.clock.at += timedelta(minutes=minutes)
        seen = self.carried()
        return self.judge.judge(
            self.subject(),
            seen[0] if inside is _SEEN else inside,
            seen[1] if outside is _SEEN else outside,
        )

    def hold(self, machine: str, minutes: float = 15) -> None:
        """Let an operation hold the cluster."""
        self.locks["control-demo"] = Lock(
            f"{CONTROL}-demo",
            f"arn:aws:states:r:1:execution:{CONTROL}-{machine}:demo.{machine}.1",
            f"demo.{machine}.1",
            int((self.clock.at + timedelta(minutes=minutes)).timestamp()),
        )


OIDC: dict[str, str] = {
    "Authentication": "oidc",
    "OidcIssuer": ISSUER,
    "OidcTokenUrl": TOKEN_URL,
    "OidcClientId": "camunda",
    "OidcHealthClientId": "health",
    "OidcHealthSecretArn": "arn:aws:secretsmanager:eu-central-1:1:secret:health",
    "OidcClientScope": "",
    "OidcClientAudience": "",
    "OidcAdministrator": "ada",
}


def codes(report: Mapping[str, Any], severity: str = "") -> set[str]:
    """Codes of a report's findings, notes left out unless asked for."""
    return {
        one["code"]
        for one in report["findings"]
        if (one["severity"] == severity if severity else one["severity"] != "INFO")
    }
