"""Facts of a health check, read from the results of two functions.

Each side returns ``{"answers": {source: …}, "problems": {source: reason}}``. A source without an
answer, or with one of another shape, becomes ``Unknown`` with the reason: it is never omitted,
because an omitted source would look healthy. ``None`` is a part that a cluster does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.camunda.backup_ranges import Span
from lifecycle.camunda.backups import BackupRange
from lifecycle.camunda.gateways import read_gateways
from lifecycle.camunda.json_reader import flag, integer, items, mapping, moment, objects, text
from lifecycle.camunda.meters import read_meters
from lifecycle.camunda.partitions import BackupStatus, BrokerStatus, read_brokers
from lifecycle.camunda.topology import read_configuration, read_topology
from lifecycle.cluster.checks import TargetHealth
from lifecycle.cluster.former_data import DatabaseBeside
from lifecycle.errors import InvalidResponse
from lifecycle.tables import unpacked

if TYPE_CHECKING:
    from datetime import datetime

    from lifecycle.camunda.gateways import Gateways
    from lifecycle.camunda.meters import BrokerMeters
    from lifecycle.camunda.topology import ClusterConfiguration, Topology
    from lifecycle.cluster.contract import ClusterOutputs

SECRETS: Final = (
    *("AdminUserSecretArn", "ConnectorsUserSecretArn", "DatabaseAdminSecretArn"),
    "OidcHealthSecretArn",
)
# Passwords that Camunda does not accept with an identity provider.
UNUSED_WITH_OIDC: Final = frozenset({"AdminUserSecretArn", "ConnectorsUserSecretArn"})
# Each source and the outputs that a cluster has when it has that part; of a|b one is enough.
INSIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "configuration": ("DiscoveryName",),
    "topology": ("DiscoveryName",),
    "exporting": ("DiscoveryName",),
    "gateways": ("DiscoveryName",),
    "leases": ("NodeIdBucketName",),
    "backups": ("ContinuousBackup",),
    "identity": ("Authentication", "OidcIssuer"),
    "token": ("Authentication", "OidcHealthSecretArn"),
    "login": ("DatabaseEndpoint", "DatabasePort", "DatabaseName", "DatabaseUser"),
}
OUTSIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "services": ("EcsClusterName", "OrchestrationServiceName"),
    "tasks": ("EcsClusterName", "OrchestrationServiceName"),
    "stops": ("EcsClusterName", "OrchestrationServiceName"),
    "protected": ("EcsClusterName", "OrchestrationServiceName"),
    "autoscaling": ("EcsClusterName", "OrchestrationServiceName"),
    "rest": ("RestTargetGroupArn",),
    "grpc": ("GrpcTargetGroupArn",),
    "connectors": ("ConnectorsTargetGroupArn",),
    "database": ("DatabaseClusterId",),
    "former": ("DatabaseClusterId", "FormerDataDays"),
    "files": ("FileSystemId",),
    "secrets": ("AdminUserSecretArn|OidcHealthSecretArn",),
    "certificate": ("CertificateArn",),
    "management": ("ManagementTargetGroupArn", "RestTargetGroupArn"),
}
# What is measured and decides nothing: unknown, it has no data point, and no finding either.
MEASURED: Final[Mapping[str, tuple[str, ...]]] = {"meters": ("DiscoveryName", "DetailedMetrics")}
# Outputs that switch a part on only by their value.
_OFF: Final = {
    "Authentication": "basic",
    "ContinuousBackup": "false",
    "DetailedMetrics": "false",
}


def sources(table: Mapping[str, tuple[str, ...]], outputs: ClusterOutputs) -> tuple[str, ...]:
    """Return the sources of a cluster with these outputs."""

    def has(name: str) -> bool:
        return bool(outputs.get(name)) and outputs[name] != _OFF.get(name)

    return tuple(
        source
        for source, needed in table.items()
        if all(any(map(has, one.split("|"))) for one in needed)
    )


@dataclass(frozen=True, slots=True)
class Unknown:
    """A source without a usable answer, and why; ``error`` is the name of our error, if any."""

    why: str
    error: str = ""


type Answer[T] = T | Unknown | None


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    """One deployment of a service; ``started_at`` is when it was made."""

    status: str
    rollout: str
    reason: str
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """An ECS service; ``exists`` is false for one that is gone or inactive.

    ``differences`` are lines, one for each difference from its definition; ``uncompared`` is why
    they could not be determined, and empty otherwise.
    """

    exists: bool
    desired: int
    running: int
    pending: int
    deployments: tuple[DeploymentStatus, ...]
    differences: tuple[str, ...]
    uncompared: str

    @property
    def rolling(self) -> DeploymentStatus | None:
        """Return the deployment in progress, if there is one."""
        return next((one for one in self.deployments if one.rollout == "IN_PROGRESS"), None)


@dataclass(frozen=True, slots=True)
class ServicesStatus:
    """Both services of a cluster."""

    brokers: ServiceStatus
    connectors: ServiceStatus


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """A task of the brokers' service that ECS starts or runs.

    ``health`` is what ECS makes of its container's health check, such as ``HEALTHY``
    (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html). ``collector`` is the
    status of the container that collects its metrics, empty without one.
    """

    task_id: str
    address: str
    status: str
    started_at: datetime | None
    health: str = ""
    collector: str = ""


@dataclass(frozen=True, slots=True)
class ProtectedTask:
    """A task of either service whose task protection expires at ``until``."""

    task_id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class TaskStop:
    """A task that stopped on its own or failed, not one that was stopped by a request."""

    service: str
    task_id: str
    stopped_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class AutoscalingTarget:
    """A scalable target that changes a desired count automatically, within ``bounds``."""

    service: str
    bounds: str
    resource: str


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """Aurora's status, and what its continuous backups can restore; None is what is not known.

    ``earliest`` and ``restorable`` are the first and the last moment (``EarliestRestorableTime``,
    ``LatestRestorableTime``), ``created`` is when the DB cluster was created, also by a restore
    (``ClusterCreateTime``), ``days`` how long backups are kept (``BackupRetentionPeriod``).
    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBCluster.html
    """

    status: str
    restorable: datetime | None = None
    earliest: datetime | None = None
    created: datetime | None = None
    days: int | None = None

    @property
    def span(self) -> Span | None:
        """Return the moments to which it can be restored; None where they are not known."""
        if self.earliest is None or self.restorable is None:
            return None
        return Span(self.earliest, self.restorable)


@dataclass(frozen=True, slots=True)
class MountTarget:
    """An EFS mount target: its availability zone and state."""

    zone: str
    state: str


@dataclass(frozen=True, slots=True)
class SecretStatus:
    """A secret by the name of its output; ``problem`` is empty when it is there.

    ``since`` is when its present value was made, None where it is not there.
    """

    name: str
    problem: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """The load balancers' certificate."""

    status: str
    not_after: datetime | None


@dataclass(frozen=True, slots=True)
class ManagementStatus:
    """What ``manage`` opened: the latest end, None where no end can be read, and for which ranges.

    ``permanent`` shows that the stack opens the management API without an end.
    """

    opened: bool
    until: datetime | None
    sources: tuple[str, ...]
    permanent: bool


@dataclass(frozen=True, slots=True)
class LeaseStatus:
    """Lease of a node id: the holder, empty for none, and until when it holds."""

    node: int
    task: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class LeasesStatus:
    """Leases of the broker ids; ``used`` is false where brokers have fixed ids."""

    used: bool
    leases: tuple[LeaseStatus, ...]


@dataclass(frozen=True, slots=True)
class LoginResult:
    """A login as the IAM user: name of the error, empty when it worked, and what was seen."""

    error: str
    seen: str
    granted: bool


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """What an identity provider publishes; ``algorithms`` are those of its keys for signatures.

    ``keys_problem`` is why the keys could not be read, and empty otherwise.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    algorithms: frozenset[str]
    keys_problem: str


@dataclass(frozen=True, slots=True)
class StackStatus:
    """The cluster's stack; ``frozen`` is why the cluster is frozen, and empty if it is not."""

    status: str
    reason: str
    frozen: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Results of all sources of one check."""

    outputs: ClusterOutputs
    stack: StackStatus
    configuration: Answer[ClusterConfiguration]
    topology: Answer[Topology]
    exporting: Answer[tuple[BrokerStatus, ...]]
    gateways: Answer[Gateways]
    leases: Answer[LeasesStatus]
    backups: Answer[BackupStatus]
    identity: Answer[ProviderStatus]
    token: Answer[bool]
    login: Answer[LoginResult]
    services: Answer[ServicesStatus]
    tasks: Answer[tuple[TaskStatus, ...]]
    stops: Answer[tuple[TaskStop, ...]]
    protected: Answer[tuple[ProtectedTask, ...]]
    autoscaling: Answer[tuple[AutoscalingTarget, ...]]
    rest: Answer[tuple[TargetHealth, ...]]
    grpc: Answer[tuple[TargetHealth, ...]]
    connectors: Answer[tuple[TargetHealth, ...]]
    database: Answer[DatabaseStatus]
    former: Answer[tuple[DatabaseBeside, ...]]
    files: Answer[tuple[MountTarget, ...]]
    secrets: Answer[tuple[SecretStatus, ...]]
    certificate: Answer[CertificateStatus]
    management: Answer[ManagementStatus]
    meters: Answer[tuple[BrokerMeters, ...]]

    @property
    def ready(self) -> bool:
        """Return whether the stack has the outputs that identify a cluster."""
        return self.outputs.complete

    @property
    def unknown(self) -> dict[str, str]:
        """Return the sources without a usable answer, with the reasons."""
        return {
            name: answer.why
            for name in (*INSIDE, *OUTSIDE)
            if isinstance(answer := getattr(self, name), Unknown)
        }


def seen[T](answer: Answer[T]) -> T | None:
    """Return the answer of a source; None for one that is unknown or that a cluster lacks."""
    return None if isinstance(answer, Unknown) else answer


def read_facts(
    outputs: ClusterOutputs, stack: StackStatus, inside: object, outside: object
) -> Facts:
    """Read the results of both functions; never raises, whatever they are."""
    has = {name for table in (INSIDE, OUTSIDE, MEASURED) for name in sources(table, outputs)}

    def answer[T](side: object, name: str, read: Callable[[object], T]) -> Answer[T]:
        return _answer(side, name, read) if name in has else None

    return Facts(
        outputs=outputs,
        stack=stack,
        configuration=answer(inside, "configuration", read_configuration),
        topology=answer(inside, "topology", read_topology),
        exporting=answer(inside, "exporting", read_brokers),
        gateways=answer(inside, "gateways", read_gateways),
        leases=answer(inside, "leases", _leases),
        backups=answer(inside, "backups", _backups),
        identity=answer(inside, "identity", _identity),
        token=answer(inside, "token", lambda value: flag(mapping(value, "the token"), "accepted")),
        login=answer(inside, "login", _login),
        services=answer(outside, "services", _services),
        tasks=answer(outside, "tasks", _tasks),
        stops=answer(outside, "stops", _stops),
        protected=answer(outside, "protected", _protected),
        autoscaling=answer(outside, "autoscaling", _autoscaling),
        rest=answer(outside, "rest", _targets),
        grpc=answer(outside, "grpc", _targets),
        connectors=answer(outside, "connectors", _targets),
        database=answer(outside, "database", _database),
        former=answer(outside, "former", _former),
        files=answer(outside, "files", _files),
        secrets=answer(outside, "secrets", _secrets),
        certificate=answer(outside, "certificate", _certificate),
        management=answer(outside, "management", _management),
        meters=answer(inside, "meters", read_meters),
    )


def _answer[T](side: object, name: str, read: Callable[[object], T]) -> Answer[T]:
    try:
        results = mapping(side, "the answer")
        problems, answers = results.get("problems"), results.get("answers")
        if isinstance(problems, Mapping) and name in problems:
            errors = results.get("errors")
            error = errors.get(name, "") if isinstance(errors, Mapping) else ""
            return Unknown(str(problems[name])[:400], str(error))
        given = mapping(answers, "answers")
        if name not in given:
            return Unknown("it gave no answer")
        return read(unpacked(given[name]))
    except InvalidResponse as error:
        return Unknown(error.message)


def _leases(value: object) -> LeasesStatus:
    answer = mapping(value, "the leases")
    return LeasesStatus(
        used=flag(answer, "used"),
        leases=tuple(
            LeaseStatus(integer(one, "node"), text(one, "task"), moment(one, "until"))
            for one in objects(answer.get("leases"), "leases")
        ),
    )


def _backups(value: object) -> BackupStatus:
    answer = mapping(value, "the backups")
    return BackupStatus(
        supported=flag(answer, "supported"),
        enabled=flag(answer, "enabled"),
        latest={
            integer(one, "partition"): moment(one, "at")
            for one in objects(answer.get("latest"), "latest")
        },
        # A function of an earlier release reads none.
        ranges=None
        if answer.get("ranges") is None
        else tuple(map(_range, objects(answer["ranges"], "ranges"))),
        left_out=integer(answer, "leftOut") if "leftOut" in answer else 0,
    )


def _range(one: Mapping[str, object]) -> BackupRange:
    start, end = moment(one, "start"), moment(one, "end")
    if start is None or end is None:
        raise InvalidResponse("A range of backups has no end.")
    return BackupRange(integer(one, "partition"), start, end)


def _login(value: object) -> LoginResult:
    answer = mapping(value, "the login")
    return LoginResult(text(answer, "error"), text(answer, "seen"), flag(answer, "granted"))


def _identity(value: object) -> ProviderStatus:
    answer = mapping(value, "the identity provider")
    return ProviderStatus(
        issuer=text(answer, "issuer"),
        authorization_endpoint=text(answer, "authorizationEndpoint"),
        token_endpoint=text(answer, "tokenEndpoint"),
        algorithms=frozenset(str(one) for one in items(answer.get("algorithms"), "algorithms")),
        keys_problem=text(answer, "keysProblem"),
    )


def _services(value: object) -> ServicesStatus:
    answer = mapping(value, "the services")
    return ServicesStatus(_service(answer.get("brokers")), _service(answer.get("connectors")))


def _service(value: object) -> ServiceStatus:
    one = mapping(value, "a service")
    return ServiceStatus(
        exists=flag(one, "exists"),
        desired=integer(one, "desired"),
        running=integer(one, "running"),
        pending=integer(one, "pending"),
        deployments=tuple(
            DeploymentStatus(
                text(each, "status"),
                text(each, "rollout"),
                text(each, "reason"),
                moment(each, "startedAt"),
            )
            for each in objects(one.get("deployments"), "deployments")
        ),
        differences=tuple(str(line) for line in items(one.get("differences"), "differences")),
        uncompared=text(one, "uncompared"),
    )


def _tasks(value: object) -> tuple[TaskStatus, ...]:
    return tuple(
        TaskStatus(
            task_id=text(one, "task"),
            address=text(one, "address"),
            status=text(one, "status"),
            started_at=moment(one, "startedAt"),
            health=str(one.get("health") or ""),
            collector=str(one.get("collector") or ""),
        )
        for one in objects(value, "tasks")
    )


def _protected(value: object) -> tuple[ProtectedTask, ...]:
    return tuple(
        ProtectedTask(text(one, "task"), until)
        for one in objects(value, "protected")
        if (until := moment(one, "until")) is not None
    )


def _stops(value: object) -> tuple[TaskStop, ...]:
    found = []
    for one in objects(value, "stops"):
        at = moment(one, "at")
        if at is None:
            raise InvalidResponse("A stopped task has no time.")
        found.append(TaskStop(text(one, "service"), text(one, "task"), at, text(one, "reason")))
    return tuple(found)


def _autoscaling(value: object) -> tuple[AutoscalingTarget, ...]:
    return tuple(
        AutoscalingTarget(text(one, "service"), text(one, "bounds"), text(one, "resource"))
        for one in objects(value, "autoscaling")
    )


def _targets(value: object) -> tuple[TargetHealth, ...]:
    return tuple(
        TargetHealth(text(one, "address"), text(one, "state"), text(one, "reason"))
        for one in objects(value, "targets")
    )


def _database(value: object) -> DatabaseStatus:
    one = mapping(value, "the database")
    return DatabaseStatus(
        text(one, "status"),
        moment(one, "restorable"),
        moment(one, "earliest"),
        moment(one, "created"),
        None if one.get("days") is None else integer(one, "days"),
    )


def _former(value: object) -> tuple[DatabaseBeside, ...]:
    return tuple(
        DatabaseBeside(
            text(one, "name"),
            text(one, "status"),
            moment(one, "created"),
            copy=flag(one, "copy"),
        )
        for one in objects(value, "former databases")
    )


def _files(value: object) -> tuple[MountTarget, ...]:
    return tuple(
        MountTarget(text(one, "zone"), text(one, "state")) for one in objects(value, "mounts")
    )


def _secrets(value: object) -> tuple[SecretStatus, ...]:
    return tuple(
        SecretStatus(text(one, "name"), text(one, "problem"), moment(one, "since"))
        for one in objects(value, "secrets")
    )


def _management(value: object) -> ManagementStatus:
    one = mapping(value, "the management access")
    return ManagementStatus(
        opened=flag(one, "opened"),
        until=moment(one, "until"),
        sources=tuple(str(source) for source in items(one.get("sources"), "sources")),
        permanent=flag(one, "permanent"),
    )


def _certificate(value: object) -> CertificateStatus:
    one = mapping(value, "the certificate")
    return CertificateStatus(text(one, "status"), moment(one, "notAfter"))
