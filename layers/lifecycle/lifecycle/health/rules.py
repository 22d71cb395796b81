"""From facts to findings: one rule per part of a cluster, each independent of the others.

A deviation that something explains (an operation that holds the cluster, a deployment that ECS
rolls out one task at a time) is reported as a note; ``suppress`` decides that in one place.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from lifecycle.camunda.backup_ranges import covered, gaps, unknown_partitions
from lifecycle.camunda.gateways import disagreements
from lifecycle.camunda.identity import ALGORITHMS
from lifecycle.camunda.topology import (
    ChangeStatus,
    Health,
    MemberState,
    OperationKind,
    ReplicaState,
    Role,
)
from lifecycle.cluster.backups import overdue, rehearsal_overdue
from lifecycle.cluster.checks import SHORTEST_DAYS
from lifecycle.cluster.former_data import replaced_at
from lifecycle.health.catalog import KINDS, Severity, rank
from lifecycle.health.facts import UNUSED_WITH_OIDC, Facts, ServicesStatus, Unknown, seen
from lifecycle.manage.decisions import OVERDUE
from lifecycle.services.brokers import PROTECTION_MINUTES, incomplete_change
from lifecycle.tables import listed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from lifecycle.camunda.backup_ranges import Gap, Span
    from lifecycle.camunda.gateways import Gateways
    from lifecycle.camunda.partitions import BackupStatus, BrokerStatus, PartitionStatus
    from lifecycle.camunda.topology import (
        BrokerId,
        ClusterConfiguration,
        SeenPartition,
        Topology,
    )
    from lifecycle.cluster.checks import TargetHealth
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.health.facts import ServiceStatus
    from lifecycle.operation.rehearsal_note import RehearsalNote
    from lifecycle.operation.scaling_note import ScalingNote

# What a broker may take until it counts, where the stack has none (BrokerGraceSeconds).
GRACE: Final = timedelta(minutes=15)
# A broker lost so often within that time is reported although it comes back each time.
LOSSES: Final = timedelta(hours=2)
LOSSES_MOST: Final = 3
# Gateways that differ for so long differ in two checks; looking twice in a row is not that.
LASTS: Final = timedelta(minutes=1)
# The topology lists a dead broker for a while (15 s by default).
_LINGERS: Final = timedelta(minutes=1)
DEPLOYMENT: Final = timedelta(minutes=30)
STOPS: Final = timedelta(minutes=30)
STOPS_MOST: Final = 3
CHANGE: Final = timedelta(minutes=30)
EXPORT: Final = timedelta(minutes=10)
# The brokers delete expired backups once an hour (retention's clean-up schedule in the template).
CLEANUP: Final = timedelta(hours=1)
# More than that share of the time that is to be restorable is missing.
_MUCH: Final = 1 / 4
LEASE: Final = timedelta(seconds=30)
CERTIFICATE: Final = timedelta(days=SHORTEST_DAYS)
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/accessing-monitoring.html
_SERVING: Final = frozenset(
    {
        "available",
        "backing-up",
        "backtracking",
        "configuring-iam-database-auth",
        "maintenance",
        "modifying",
        "promoting",
        "renaming",
        "resetting-master-credentials",
        "update-iam-db-auth",
        "upgrading",
    }
)
_UNREACHED: Final = frozenset({"DatabaseNotReady", "DatabaseUnreachable"})
# https://docs.camunda.io/docs/self-managed/components/orchestration-cluster/zeebe/operations/management-api/
_GOOD: Final = "EXPORTING"
_PAUSED: Final = frozenset({"PAUSED", "SOFT_PAUSED"})
_BROKER_STARTS: Final = frozenset(
    {
        "BROKER_MISSING",
        "BROKER_UNREACHABLE",
        # Broker 0 is replaced like any other; while it is gone the configuration cannot be read.
        "COORDINATOR_UNREACHABLE",
        # A broker that joins, or leaves, shows less than the others for a while.
        "GATEWAYS_DISAGREE",
        "PARTITION_UNDER_REPLICATED",
        "PARTITION_UNHEALTHY",
        "SERVICE_BELOW_DESIRED_COUNT",
        "TARGETS_UNHEALTHY",
        "LEASE_STALE",
        "VERSION_MIXED",
    }
)
# Restarting the only broker interrupts the cluster, and nothing explains that away.
_RESTARTING: Final = _BROKER_STARTS - {"VERSION_MIXED"}
# Connectors are replaced.
_ROTATING: Final = frozenset({"SERVICE_BELOW_DESIRED_COUNT", "TARGETS_UNHEALTHY"})
_SCALING: Final = frozenset(
    {
        # A backup of the added partitions follows.
        "BACKUP_OTHER_PARTITIONS",
        "BROKER_NOT_ACTIVE",
        "CHANGE_STUCK",
        "DESIRED_COUNT_MISMATCH",
        "GATEWAYS_DISAGREE",
        "LEASE_STALE",
        "PARTITION_UNDER_REPLICATED",
        "PARTITION_UNHEALTHY",
        "SERVICE_CHANGED",
        "SERVICE_BELOW_DESIRED_COUNT",
        "TARGETS_UNHEALTHY",
    }
)
_STARTING: Final = (
    _BROKER_STARTS
    | _SCALING
    | {
        "BROKERS_UNREACHABLE",
        "CONNECTORS_STOPPED",
        "DATABASE_DOWN",
        "DATABASE_GRANTS_MISSING",
        "DATABASE_LOGIN_REFUSED",
        "DATABASE_UNREACHABLE",
        "DEPLOYMENT_FAILED",
        "DEPLOYMENT_SLOW",
        "MANAGEMENT_UNREACHABLE",
        "NO_HEALTHY_TARGET",
        "PARTITION_WITHOUT_LEADER",
        "SERVICE_MISSING",
        "STACK_FAILED",
        "STACK_NOT_READY",
        # Brokers get their identity provider one at a time; the topology is known all the same.
        "TOKEN_NOT_ACCEPTED",
    }
)
# Brokers and connectors are stopped, and their data, leases and database are replaced. What nothing
# of that explains is found all the same: a restore may wait for Aurora for hours while they run.
_RESTORING: Final = _STARTING | {
    "BACKUP_GAP",
    "BACKUP_OLD",
    "DATABASE_CERTIFICATE",
    "EXPORTING_STOPPED",
    "EXPORTING_STUCK",
    "RESTORE_WINDOW_SHORT",
    # Restored data has the passwords of its time until the users get those of the secrets.
    "CREDENTIALS_REFUSED",
    "TASK_CRASH_LOOP",
}
# What Camunda's rule that no backup is taken while partitions are added explains.
_NO_BACKUP: Final = frozenset({"BACKUP_OLD", "BACKUP_OTHER_PARTITIONS"})
_ADDING: Final = frozenset(
    {OperationKind.START_PARTITION_SCALE_UP, OperationKind.PARTITION_BOOTSTRAP}
)
# By the name of our error: why nothing, or only part, could be read as the functions log in.
_LOGIN: Final = {
    "CredentialsRefused": "CREDENTIALS_REFUSED",
    "IdentityProviderUnreachable": "IDENTITY_PROVIDER_UNREACHABLE",
    "TokenRefused": "TOKEN_REFUSED",
}
_TOKEN: Final = {
    **_LOGIN,
    "CredentialsRefused": "TOKEN_NOT_ACCEPTED",
    "SecretRefused": "TOKEN_REFUSED",
    "SecretUnreadable": "TOKEN_REFUSED",
}
# What each machine explains while it holds the cluster.
EXPLAINED: Final[Mapping[str, frozenset[str]]] = {
    "provision": _STARTING,
    "scale": _SCALING,
    "restart": _RESTARTING,
    "rotate": _ROTATING,
    # It changes nothing that a check looks at, but what it opens itself.
    "manage": frozenset(),
    # It changes nothing of the cluster.
    "backup": frozenset(),
    "restore": _RESTORING,
    "teardown": frozenset(KINDS),
}


@dataclass(frozen=True, slots=True)
class Running:
    """The operation that holds the cluster."""

    machine: str
    operation_id: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A broker that is not whole: ``since`` the check that saw it first; ``whole``: the one before.

    Whatever tasks were started for it since: only a check that sees it whole ends it.
    """

    since: datetime
    whole: datetime | None


@dataclass(frozen=True, slots=True)
class Memory:
    """State that a check leaves for the next one to compare with.

    ``change`` is the pending change and its steps done, ``change_since`` when that was first seen.
    ``exported`` is by partition the exported position and since when it has not moved although
    something was processed. ``missing`` are the brokers that are not whole, by id;
    ``topology_at`` is when the topology was last seen; ``lost`` is by id when a broker was missed
    that nothing had taken away. ``differs`` is since when gateways return different values, or
    one of them nothing, by what that is. ``dropped`` are the requests that each broker had dropped
    since its start, by address. ``kept`` is for how many days backups are kept, and since when;
    ``rehearses`` by which schedule restores are rehearsed, and since when.
    """

    first_at: datetime
    change: tuple[int, int] | None = None
    change_since: datetime | None = None
    exported: Mapping[int, tuple[int, datetime]] | None = None
    missing: Mapping[str, Missing] = field(default_factory=dict)
    topology_at: datetime | None = None
    lost: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    differs: Mapping[str, datetime] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    kept: tuple[int, datetime] | None = None
    rehearses: tuple[str, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. ``explained_by`` names what explains it: then it is a note.

    ``transient`` is what is about to end it, such as a task that is starting: it is reported but
    does not alert yet.
    """

    code: str
    severity: Severity
    seen: str
    subject: str = ""
    explained_by: str = ""
    transient: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the finding as JSON, with the table's entry of its code."""
        kind = KINDS[self.code]
        more = {
            "subject": self.subject,
            "explainedBy": self.explained_by,
            "transient": self.transient,
        }
        return {
            "code": self.code,
            "severity": str(self.severity),
            "title": kind.title,
            "seen": self.seen,
            "expected": kind.expected,
            "remedy": kind.remedy,
            "runbook": f"docs/runbook.md#{self.code.lower()}",
            **{name: value for name, value in more.items() if value},
        }


def found(code: str, what: str, subject: str = "") -> Finding:
    """Return a finding of a code, with the severity of the table."""
    return Finding(code, KINDS[code].severity, what, subject)


def remember(
    facts: Facts, at: datetime, before: Memory | None, running: Running | None = None
) -> Memory:
    """Return the state that the next check compares with."""
    memory = before or Memory(first_at=at)
    if seen(facts.topology) is not None:
        memory = _remember_brokers(facts, at, memory, running)
    gateways = seen(facts.gateways)
    if gateways is not None:
        differ = [*disagreements(gateways), *_unresponsive_gateways(facts, gateways)]
        memory = replace(memory, differs={one: memory.differs.get(one, at) for one in differ})
    configuration = seen(facts.configuration)
    if configuration is not None:
        pending = configuration.pending_change
        change = None if pending is None else (pending.id, len(pending.completed))
        since = memory.change_since if change == memory.change else at
        memory = replace(memory, change=change, change_since=since if change else None)
    brokers = seen(facts.exporting)
    if brokers is not None:
        memory = replace(memory, exported=_exported(leading(brokers), at, memory.exported or {}))
    meters = seen(facts.meters)
    if meters is not None:
        # Of one that was not read, what it had: the next difference is that of both intervals.
        had = memory.dropped
        counts = {
            one.address: had.get(one.address) if one.dropped is None else one.dropped
            for one in meters
        }
        memory = replace(
            memory, dropped={name: count for name, count in counts.items() if count is not None}
        )
    memory = replace(memory, rehearses=_rehearses(facts, at, memory.rehearses))
    return replace(memory, kept=_kept(facts, at, memory.kept))


def _rehearses(
    facts: Facts, at: datetime, before: tuple[str, datetime] | None
) -> tuple[str, datetime] | None:
    """Return the schedule of rehearsals, and since when there is it; None without one."""
    schedule = facts.outputs.get("RehearsalSchedule", "")
    if rehearsal_overdue(schedule) is None:
        return None
    return before if before is not None and before[0] == schedule else (schedule, at)


def _kept(
    facts: Facts, at: datetime, before: tuple[int, datetime] | None
) -> tuple[int, datetime] | None:
    """Since when backups are kept for as many days as now: none of before comes back."""
    days = kept_days(facts)
    if days is None or (before is not None and days == before[0]):
        return before
    return days, at if before is None or days > before[0] else before[1]


def _remember_brokers(
    facts: Facts, at: datetime, memory: Memory, running: Running | None
) -> Memory:
    not_whole = {
        name: memory.missing.get(name) or Missing(at, memory.topology_at)
        for name in _not_whole(facts, memory.missing)
    }
    gone = {str(node) for node in _missing(facts)}
    services = seen(facts.services)
    rolls = services is not None and services.brokers.rolling is not None
    lost = {
        name: recent
        for name, times in memory.lost.items()
        if (recent := tuple(one for one in times if at - one < LOSSES))
    }
    # What an operation or a deployment takes away is not lost; what was not whole is lost already.
    if running is None and not rolls and memory.topology_at is not None:
        for name in gone - memory.missing.keys():
            lost[name] = (at, *lost.get(name, ()))[:LOSSES_MOST]
    configuration = seen(facts.configuration)
    if configuration is not None:
        # One that was scaled away is not missed any more.
        members = {str(node) for node in configuration.broker_ids}
        lost = {name: times for name, times in lost.items() if name in members}
    return replace(memory, missing=not_whole, topology_at=at, lost=lost)


def _not_whole(facts: Facts, before: Collection[str]) -> set[str]:
    """Return the members that are not in the topology or lack a replica placed on them.

    Where the configuration is not known: those of the topology's size, and those ``before``.
    """
    topology, configuration = seen(facts.topology), seen(facts.configuration)
    brokers = topology.brokers if topology is not None else ()
    copies = {
        str(each.node_id): {one.id for one in each.partitions if one.is_copy} for each in brokers
    }
    if configuration is not None:
        placed = {
            str(member.id): {
                one.partition for one in member.partitions if one.state is ReplicaState.ACTIVE
            }
            for member in configuration.members
            if member.state is MemberState.ACTIVE and member.id not in _leaving(configuration)
        }
    else:
        placed = {key: set[int]() for key in {*map(str, _missing(facts)), *before}}
        placed |= {str(each.node_id): {one.id for one in each.partitions} for each in brokers}
    return {name for name, held in placed.items() if name not in copies or held - copies[name]}


def _exported(
    leading: Sequence[PartitionStatus], at: datetime, before: Mapping[int, tuple[int, datetime]]
) -> dict[int, tuple[int, datetime]]:
    kept = {}
    for one in leading:
        position, since = before.get(one.partition, (one.exported, at))
        behind = one.exported < one.processed
        kept[one.partition] = (one.exported, since if behind and position == one.exported else at)
    return kept


def findings(
    facts: Facts,
    at: datetime,
    memory: Memory,
    running: Running | None,
    scaling: ScalingNote | None = None,
    *,
    rehearsed: RehearsalNote | None = None,
) -> tuple[Finding, ...]:
    """Return the findings of a check, most important first.

    ``scaling`` and ``rehearsed`` are what the last scaling and the last rehearsal left.

    Ordered by severity; findings that are neither explained nor transient come before those that an
    operation explains, except for what stops a cluster from serving traffic.
    """
    every = [
        *_stack(facts),
        *(_cluster(facts, at, memory, scaling) if facts.ready else ()),
        *(_rehearsals(at, memory, rehearsed) if facts.ready else ()),
    ]
    reported = [suppress(one, facts, at, running, memory) for one in every]
    if running is not None:
        reported.append(
            found("OPERATION_RUNNING", f"{running.machine}: {running.operation_id} is under way")
        )
    return tuple(sorted(reported, key=_matters))


def _matters(one: Finding) -> tuple[object, ...]:
    kind = KINDS[one.code].severity
    expected = bool(one.explained_by) and kind is not Severity.DOWN
    return (
        -rank(one.severity),
        bool(one.transient),
        expected,
        -rank(kind) if one.explained_by else 0,
        one.code,
        one.subject,
    )


def suppress(
    one: Finding, facts: Facts, at: datetime, running: Running | None, memory: Memory
) -> Finding:
    """Turn a deviation that something explains into a note, or mark it as transient.

    A start explains only what is missing for less than the grace, counted from when the broker
    was last whole, however many tasks were started for it since.
    """
    if one.severity is Severity.INFO:
        return one
    if running is not None and one.code in EXPLAINED.get(running.machine, frozenset()):
        explained_by = f"{running.operation_id} is under way"
        return replace(one, severity=Severity.INFO, explained_by=explained_by)
    if one.code in _NO_BACKUP and (change := _adds_partitions(facts)) is not None:
        explained_by = f"Camunda takes no backup while change {change} adds partitions"
        return replace(one, severity=Severity.INFO, explained_by=explained_by)
    services = seen(facts.services)
    if services is None or one.code not in _BROKER_STARTS | {"CONNECTORS_STOPPED"}:
        return one
    service = services.connectors if _is_about_connectors(one) else services.brokers
    rolling = service.rolling
    rolls = rolling is not None and _young(rolling.started_at, at, DEPLOYMENT)
    if rolls and _one_at_a_time(facts) and _missed_for(facts, at, memory) < DEPLOYMENT:
        explained_by = "an ECS deployment replaces one broker at a time"
        return replace(one, severity=Severity.INFO, explained_by=explained_by)
    starting = _starting(facts, at, memory)
    covered = starting and len(_missing(facts)) <= len(starting)
    in_time = _missed_for(facts, at, memory) < _grace(facts)
    if covered and in_time and not _is_about_connectors(one):
        return replace(one, transient=f"task {listed(starting)} is starting")
    return one


def _adds_partitions(facts: Facts) -> int | None:
    """Return the id of the pending change if it adds partitions."""
    configuration = seen(facts.configuration)
    pending = configuration.pending_change if configuration is not None else None
    if pending is None:
        return None
    kinds = {step.kind for step in (*pending.completed, *pending.pending)}
    return pending.id if kinds & _ADDING else None


def _is_about_connectors(one: Finding) -> bool:
    return one.code == "CONNECTORS_STOPPED" or one.subject == "connectors"


def _one_at_a_time(facts: Facts) -> bool:
    return len(_missing(facts)) <= 1


def _grace(facts: Facts) -> timedelta:
    """Return the health-check grace period of a new broker, from the stack."""
    seconds = _number(facts.outputs, "BrokerGraceSeconds")
    return timedelta(seconds=seconds) if seconds else GRACE


def _missed_for(facts: Facts, at: datetime, memory: Memory) -> timedelta:
    """Return the longest time for which a broker that is missing now was not whole."""
    known = [memory.missing.get(str(node)) for node in _missing(facts)]
    return max((at - one.since for one in known if one is not None), default=timedelta())


def _starting(facts: Facts, at: datetime, memory: Memory) -> list[str]:
    """Tasks that are too young to have joined.

    One that ECS has found healthy has joined before, and so has one that is older than the last
    check that saw every broker whole that is missing now: it hangs.
    """
    topology = seen(facts.topology)
    hosts = {one.host for one in topology.brokers} if topology is not None else set()
    known = [memory.missing.get(str(node)) for node in _missing(facts)]
    whole = [one.whole for one in known if one is not None and one.whole is not None]
    oldest = min(whole) - _LINGERS if whole and len(whole) == len(known) else None
    return [
        task.task_id[:8]
        for task in seen(facts.tasks) or ()
        if task.address not in hosts
        and task.health != "HEALTHY"
        and (
            task.started_at is None
            or (
                _young(task.started_at, at, _grace(facts))
                and (oldest is None or task.started_at >= oldest)
            )
        )
    ]


def _young(since: datetime | None, at: datetime, limit: timedelta) -> bool:
    return since is not None and at - since < limit


def _cluster(
    facts: Facts, at: datetime, memory: Memory, scaling: ScalingNote | None
) -> Iterator[Finding]:
    known: set[str] = set()
    for name, why in facts.unknown.items():
        answer = getattr(facts, name)
        error = answer.error if isinstance(answer, Unknown) else ""
        code = (_TOKEN if name == "token" else _LOGIN).get(error, "")
        if code and code not in known:
            known.add(code)
            yield found(code, why.rstrip("."), name)
        elif not code and not _explained_otherwise(facts, name):
            yield found("SOURCE_UNAVAILABLE", f"{name}: {why.rstrip('.')}", name)
    yield from _identity(facts, "IDENTITY_PROVIDER_UNREACHABLE" in known)
    yield from _reachability(facts)
    yield from _gateways(facts, at, memory)
    yield from _members(facts, at, memory, scaling)
    yield from _partitions(facts)
    yield from _change(facts, at, memory)
    yield from _exporting(facts, at, memory)
    yield from _services(facts, at)
    yield from _stops(facts, at, scaling, memory)
    yield from _autoscaling(facts)
    yield from _protection(facts, at)
    yield from _collectors(facts)
    yield from _load_balancers(facts)
    yield from _database(facts)
    yield from _leases(facts, at)
    yield from _backups(facts, at, memory)
    yield from _parts(facts, at)


def _identity(facts: Facts, unreachable: bool) -> Iterator[Finding]:
    """Compare what the identity provider publishes with the stack."""
    provider = seen(facts.identity)
    if provider is None:
        return
    if provider.keys_problem:
        if not unreachable:
            yield found("IDENTITY_PROVIDER_UNREACHABLE", provider.keys_problem, "identity")
    elif not ALGORITHMS & provider.algorithms:
        published = listed(sorted(provider.algorithms)) if provider.algorithms else "none"
        text = f"keys for signatures by {published}; Camunda verifies {listed(sorted(ALGORITHMS))}"
        yield found("ISSUER_DIFFERS", text, "keys")
    for name, published, ours in (
        ("issuer", provider.issuer, facts.outputs.get("OidcIssuer", "")),
        ("token endpoint", provider.token_endpoint, facts.outputs.get("OidcTokenUrl", "")),
    ):
        if published != ours:
            text = f"its {name} is {published!r}, that of the stack {ours!r}"
            yield found("ISSUER_DIFFERS", text, name)


def _stack(facts: Facts) -> Iterator[Finding]:
    status = facts.stack.status
    if not facts.ready:
        yield found("STACK_NOT_READY", f"the stack is in {status} and has no outputs")
    if status.endswith("_IN_PROGRESS"):
        yield found("STACK_CHANGING", f"the stack is in {status}")
    elif status.endswith("FAILED") or status == "ROLLBACK_COMPLETE":
        reason = f": {facts.stack.reason}" if facts.stack.reason else ""
        yield found("STACK_FAILED", f"the stack is in {status}{reason}")
    if facts.stack.frozen:
        yield found("CLUSTER_FROZEN", f"frozen: {facts.stack.frozen}")


# Brokers and partitions


def _wanted(facts: Facts) -> int | None:
    services = seen(facts.services)
    return services.brokers.desired if services is not None else None


def _unreachable(facts: Facts) -> bool:
    """Return whether no broker responded on either port."""
    brokers = seen(facts.exporting) or ()
    return (
        seen(facts.topology) is None
        and seen(facts.configuration) is None
        and all(one.problem for one in brokers)
    )


def _explained_otherwise(facts: Facts, source: str) -> bool:
    """Return whether another finding explains why a source did not respond."""
    if source in {"gateways", "token"}:
        return seen(facts.topology) is None
    if source not in {"topology", "configuration", "exporting", "backups"}:
        return False
    if facts.topology is None:
        return False
    return _unreachable(facts) or (source == "configuration" and seen(facts.topology) is not None)


def _reachability(facts: Facts) -> Iterator[Finding]:
    """Which ports respond: the topology comes from 8080, everything else from 9600."""
    if facts.topology is None:
        return
    brokers = seen(facts.exporting) or ()
    unresponsive = [one for one in brokers if one.problem]
    if _unreachable(facts):
        why = facts.unknown.get("topology", "no answer")
        yield found("BROKERS_UNREACHABLE", f"no broker responds: {why.rstrip('.')}")
        return
    if brokers and len(unresponsive) == len(brokers):
        yield found(
            "MANAGEMENT_UNREACHABLE", f"{len(unresponsive)} brokers: {unresponsive[0].problem}"
        )
        return
    gone = _removed(facts)
    missed = [one.problem for one in unresponsive if one.address not in gone]
    if missed:
        yield found("BROKER_UNREACHABLE", "; ".join(missed[:3]))
    configuration_lost = seen(facts.configuration) is None and seen(facts.topology) is not None
    if configuration_lost and facts.configuration is not None:
        yield found(
            "COORDINATOR_UNREACHABLE",
            f"the configuration cannot be read: {facts.unknown.get('configuration', '')}".rstrip(
                ". "
            ),
        )


def _unresponsive_gateways(facts: Facts, gateways: Gateways) -> dict[str, str]:
    """Return why gateways do not respond whose brokers respond on their management port."""
    brokers = {one.address for one in seen(facts.exporting) or () if not one.problem}
    return {
        f"gateway {address}": why for address, why in gateways.silent.items() if address in brokers
    }


def _gateways(facts: Facts, at: datetime, memory: Memory) -> Iterator[Finding]:
    """Differences between gateways in two checks in a row; brief ones are normal."""
    gateways = seen(facts.gateways)
    if gateways is None:
        return
    if not gateways.views and not gateways.silent:
        yield found("SOURCE_UNAVAILABLE", "the topology was requested from no gateway", "gateways")
    lasts = {about for about, since in memory.differs.items() if at - since >= LASTS}
    differ = [
        f"{about}: {text}" for about, text in disagreements(gateways).items() if about in lasts
    ]
    if differ:
        yield found("GATEWAYS_DISAGREE", listed(differ, 3))
    unresponsive = [
        why for about, why in _unresponsive_gateways(facts, gateways).items() if about in lasts
    ]
    if unresponsive:
        yield found(
            "SOURCE_UNAVAILABLE",
            f"the topology of a gateway: {listed(unresponsive, 3)}",
            "gateways",
        )


def _removed(facts: Facts) -> set[str]:
    """Return the addresses of brokers that are no longer members.

    The topology is gossip: it shows a removed broker for seconds after its task has stopped.
    """
    configuration, topology = seen(facts.configuration), seen(facts.topology)
    if configuration is None or topology is None:
        return set()
    members = set(configuration.broker_ids)
    return {broker.host for broker in topology.brokers if broker.node_id not in members}


def active_members(facts: Facts) -> list[BrokerId] | None:
    """Return the active members that no change removes; None where they are unknown."""
    configuration = seen(facts.configuration)
    if configuration is None:
        return None
    leaving = _leaving(configuration)
    return [
        member.id
        for member in configuration.members
        if member.state is MemberState.ACTIVE and member.id not in leaving
    ]


def _missing(facts: Facts) -> list[BrokerId]:
    """Return active members that are not in the topology; by the count if members are unknown."""
    topology = seen(facts.topology)
    if topology is None:
        return []
    alive = {one.node_id for one in topology.brokers}
    members = active_members(facts)
    if members is not None:
        return [node for node in members if node not in alive]
    size = topology.cluster_size or 0
    return [node for node in range(size) if node not in alive]


def _leaving(configuration: ClusterConfiguration) -> set[BrokerId]:
    pending = configuration.pending_change
    removed = {OperationKind.BROKER_REMOVE, OperationKind.BROKER_FORCE_REMOVE}
    steps = pending.pending if pending is not None else ()
    return {step.broker for step in steps if step.kind in removed and step.broker is not None}


def _members(
    facts: Facts, at: datetime, memory: Memory, scaling: ScalingNote | None
) -> Iterator[Finding]:
    missing = _missing(facts)
    if missing:
        text = f"broker {listed(missing)} is not in the topology"
        minutes = int(_missed_for(facts, at, memory).total_seconds() // 60)
        text += f", unhealthy for {minutes} minutes" if minutes else ""
        yield found("BROKER_MISSING", text)
    unstable = [
        f"{name} ({len(times)} times since {times[-1]:%H:%M} UTC)"
        for name, times in sorted(memory.lost.items())
        if len(times) >= LOSSES_MOST
    ]
    if unstable:
        yield found("BROKER_UNSTABLE", f"broker {listed(unstable)}")
    configuration, topology = seen(facts.configuration), seen(facts.topology)
    if configuration is not None:
        if configuration.unsupported:
            yield found("TOPOLOGY_UNSUPPORTED", configuration.unsupported)
        halves = incomplete_change(configuration, copies_wanted(facts))
        if halves:
            yield found("BROKER_NOT_ACTIVE", f"{listed(halves)}, and no change is under way")
        wanted = _wanted(facts)
        members = len(configuration.members)
        if wanted is not None and wanted != members:
            text = f"the desired count is {wanted}, the cluster has {members} members"
            if scaling is not None and scaling.requested in {wanted, members}:
                text += f"; {scaling.operation_id} was scaling to {scaling.requested}"
            yield found("DESIRED_COUNT_MISMATCH", text)
    if topology is not None:
        versions = Counter(one.version for one in topology.brokers if one.version)
        if len(versions) > 1:
            text = ", ".join(f"{count} on {version}" for version, count in versions.items())
            yield found("VERSION_MIXED", text)


def _partitions(facts: Facts) -> Iterator[Finding]:
    topology = seen(facts.topology)
    if topology is None:
        return
    factor, count = copies_wanted(facts), partition_count(facts)
    for name, number in (("partitions", count), ("replicas", factor)):
        if not number:
            yield found("SOURCE_UNAVAILABLE", f"the number of {name} is unknown", "topology")
    leaderless = leaderless_partitions(topology, count)
    doubled: list[str] = []
    sick: list[str] = []
    for partition in range(1, count + 1):
        replicas = _replicas(topology, partition)
        leaders = [node for node, one in replicas if one.role is Role.LEADER]
        if len(leaders) > 1:
            doubled.append(f"{partition} (brokers {listed(leaders)})")
        sick += [
            f"{partition} on broker {node} ({one})"
            for node, one in replicas
            if not one.is_copy and (partition not in leaderless or one.role is not Role.LEADER)
        ]
    if leaderless:
        yield found(
            "PARTITION_WITHOUT_LEADER", f"{len(leaderless)} of {count}: {listed(leaderless)}"
        )
    if doubled:
        yield found("PARTITION_WITH_TWO_LEADERS", f"partition {listed(doubled)}")
    thin = under_replicated(topology, count, factor)
    if thin:
        lines = [f"{partition} ({copies} of {factor})" for partition, copies in thin.items()]
        yield found("PARTITION_UNDER_REPLICATED", f"partition {listed(lines)}")
    if sick:
        yield found("PARTITION_UNHEALTHY", f"partition {listed(sick)}")
    yield from _spread(topology, count)


def _replicas(topology: Topology, partition: int) -> list[tuple[BrokerId, SeenPartition]]:
    return [
        (broker.node_id, one)
        for broker in topology.brokers
        for one in broker.partitions
        if one.id == partition
    ]


def leaderless_partitions(topology: Topology, count: int) -> list[int]:
    """Return the partitions ``1 … count`` without a healthy leader.

    One whose health is unknown may well lead: it is not good, and not gone either.
    """
    return [
        partition
        for partition in range(1, count + 1)
        if not any(
            one.role is Role.LEADER and one.health in {Health.HEALTHY, Health.UNKNOWN}
            for _, one in _replicas(topology, partition)
        )
    ]


def under_replicated(topology: Topology, count: int, factor: int) -> dict[int, int]:
    """Return the partitions ``1 … count`` with fewer than ``factor`` replicas, and how many."""
    found_copies = {one: len(_replicas(topology, one)) for one in range(1, count + 1)}
    return {one: copies for one, copies in found_copies.items() if copies < factor}


def copies_wanted(facts: Facts) -> int:
    """Return the number of copies of each partition: the stack's, or a larger one; 0: unknown."""
    topology = seen(facts.topology)
    live = (topology.replication_factor or 0) if topology is not None else 0
    return max(_number(facts.outputs, "ReplicationFactor"), live)


def partition_count(facts: Facts) -> int:
    """Return the number of partitions: more than the stack's where some were added; 0: unknown."""
    topology = seen(facts.topology)
    live = (topology.partitions_count or 0) if topology is not None else 0
    return max(_number(facts.outputs, "Partitions"), live)


def _spread(topology: Topology, partitions: int) -> Iterator[Finding]:
    holding = [one for one in topology.brokers if one.partitions]
    if not holding:
        return
    leads = {
        one.node_id: sum(part.role is Role.LEADER for part in one.partitions) for one in holding
    }
    share = math.ceil(partitions / len(holding))
    most = max(leads, key=lambda node: leads[node])
    if leads[most] > share + 1 or (leads[most] > share and 0 in leads.values()):
        yield found(
            "LEADERSHIP_IMBALANCED",
            f"broker {most} leads {leads[most]} of {partitions} partitions, its share is {share}",
        )


def _change(facts: Facts, at: datetime, memory: Memory) -> Iterator[Finding]:
    configuration = seen(facts.configuration)
    if configuration is None:
        return
    last = configuration.last_change
    pending = configuration.pending_change
    if pending is None:
        if last is not None and last.status is ChangeStatus.FAILED:
            yield found("CHANGE_FAILED", f"change {last.id} is FAILED")
        return
    step = pending.pending[0] if pending.pending else None
    total = len(pending.completed) + len(pending.pending)
    text = f"change {pending.id}, {len(pending.completed)} of {total} steps done"
    text += f", next: {step}" if step is not None else ""
    topology = seen(facts.topology)
    alive = {one.node_id for one in topology.brokers} if topology is not None else None
    since = memory.change_since or at
    if step is not None and step.broker is not None and alive and step.broker not in alive:
        yield found("CHANGE_STUCK", f"{text}; broker {step.broker} does not run")
    elif at - since >= CHANGE:
        minutes = int((at - since).total_seconds() // 60)
        yield found("CHANGE_STUCK", f"{text}; no step in {minutes} minutes")
    else:
        yield found("CHANGE_PENDING", text)


def leading(brokers: Sequence[BrokerStatus]) -> list[PartitionStatus]:
    """Return the partitions that brokers report to lead."""
    return [one for broker in brokers for one in broker.partitions if one.role == "LEADER"]


def _exporting(facts: Facts, at: datetime, memory: Memory) -> Iterator[Finding]:
    brokers = seen(facts.exporting)
    if brokers is None:
        return
    leaders = leading(brokers)
    paused = sorted({one.partition for one in leaders if one.phase in _PAUSED})
    if paused:
        yield found("EXPORTING_PAUSED", f"partition {listed(paused)}")
    others = {one.partition: one.phase for one in leaders if one.phase not in {*_PAUSED, _GOOD}}
    stopped = [f"{number} ({phase})" for number, phase in sorted(others.items()) if phase]
    if stopped:
        yield found("EXPORTING_STOPPED", f"partition {listed(stopped)}")
    unreported = sorted(number for number, phase in others.items() if not phase)
    if unreported:
        text = f"no leader reports the exporter phase of partition {listed(unreported)}"
        yield found("SOURCE_UNAVAILABLE", text, "exporting")
    # What a broker leads that does not respond is known from its silence.
    lost = sorted(_led(facts) - {one.partition for one in leaders})
    if lost and not any(one.problem for one in brokers):
        text = f"no broker reports that it leads and exports partition {listed(lost)}"
        yield found("SOURCE_UNAVAILABLE", text, "exporting")
    without = _without_exporter(facts)
    stuck = [
        f"{partition} ({int((at - since).total_seconds() // 60)} minutes)"
        for partition, (_, since) in sorted((memory.exported or {}).items())
        if at - since >= EXPORT and partition not in {*paused, *without}
    ]
    if stuck:
        yield found("EXPORTING_STUCK", f"partition {listed(stuck)}")


def _led(facts: Facts) -> set[int]:
    """Return the partitions that have a leader in the topology."""
    topology = seen(facts.topology)
    brokers = topology.brokers if topology is not None else ()
    return {one.id for each in brokers for one in each.partitions if one.role is Role.LEADER}


def _without_exporter(facts: Facts) -> set[int]:
    """Return the partitions that have no exporter in the configuration at all."""
    configuration = seen(facts.configuration)
    members = configuration.members if configuration is not None else ()
    return {one.partition for each in members for one in each.partitions if not one.exports}


# ECS and load balancers


def _services(facts: Facts, at: datetime) -> Iterator[Finding]:
    services = seen(facts.services)
    if services is None:
        return
    for name, service in (("brokers", services.brokers), ("connectors", services.connectors)):
        if not service.exists:
            yield found("SERVICE_MISSING", f"the service of the {name} does not exist", name)
            continue
        yield from _service(name, service, at)
        yield from _definition(name, service)
    wanted = _number(facts.outputs, "Connectors") if _has_connectors(facts) else 0
    connectors = services.connectors
    if connectors.exists and wanted and not connectors.running:
        yield found(
            "CONNECTORS_STOPPED",
            (f"0 of {wanted} connectors run, desired count {connectors.desired}"),
        )


def _has_connectors(facts: Facts) -> bool:
    return bool(facts.outputs.get("ConnectorsServiceName"))


def _service(name: str, service: ServiceStatus, at: datetime) -> Iterator[Finding]:
    short = service.running < service.desired
    if short and (name == "brokers" or service.running):
        text = f"{name}: {service.running} of {service.desired} tasks run"
        yield found("SERVICE_BELOW_DESIRED_COUNT", text, name)
    failed = [one for one in service.deployments if one.rollout == "FAILED"]
    rolling = service.rolling
    if failed:
        yield found("DEPLOYMENT_FAILED", f"{name}: {failed[0].reason or 'no reason given'}", name)
    elif rolling is not None and _young(rolling.started_at, at, DEPLOYMENT):
        yield found("DEPLOYMENT_RUNNING", f"{name}: a deployment is in progress", name)
    elif rolling is not None:
        yield found("DEPLOYMENT_SLOW", f"{name}: in progress for over half an hour", name)


def _definition(name: str, service: ServiceStatus) -> Iterator[Finding]:
    if service.uncompared:
        text = f"differences of the service of the {name}: {service.uncompared}"
        yield found("SOURCE_UNAVAILABLE", text, f"definition of the {name}")
    if service.differences:
        yield found("SERVICE_CHANGED", f"{name}: {listed(service.differences, 4)}", name)


def _stops(
    facts: Facts, at: datetime, scaling: ScalingNote | None, memory: Memory
) -> Iterator[Finding]:
    every = [one for one in seen(facts.stops) or () if at - one.stopped_at < STOPS]
    left = [
        one.task_id[:8]
        for one in every
        if scaling is not None
        and one.service == "brokers"
        and scaling.stopped(one.task_id, one.stopped_at)
    ]
    if left and scaling is not None:
        yield found("BROKER_LEFT", f"task {listed(left)}, removed by {scaling.operation_id}")
    recent = [one for one in every if one.task_id[:8] not in left]
    for service in sorted({one.service for one in recent}):
        own = sorted((one for one in recent if one.service == service), key=lambda s: s.stopped_at)
        last = own[-1]
        text = f"{service}: {len(own)} in half an hour; last {last.task_id[:8]}: {last.reason}"
        # A service that is whole again got over it, however many there were.
        after = _begun(facts, service, at, scaling)
        lately = [one for one in own if after is None or one.stopped_at > after]
        again = len(lately) >= STOPS_MOST and not _whole(facts, service, at, memory)
        yield found("TASK_CRASH_LOOP" if again else "TASK_REPLACED", text, service)


def _begun(facts: Facts, name: str, at: datetime, scaling: ScalingNote | None) -> datetime | None:
    """When what changes a service now began: why it is not whole since.

    Earlier failures are those of tasks that the deployment replaces, or of brokers that a scaling
    found running again before it began.
    """
    services = seen(facts.services)
    if services is None:
        return None
    service = services.connectors if name == "connectors" else services.brokers
    begun = [service.rolling.started_at] if service.rolling is not None else []
    if name == "brokers" and scaling is not None and scaling.since <= at <= scaling.until:
        begun.append(scaling.since)
    return max((one for one in begun if one is not None), default=None)


def _whole(facts: Facts, name: str, at: datetime, memory: Memory) -> bool:
    services = seen(facts.services)
    if services is None:
        return False
    service = services.connectors if name == "connectors" else services.brokers
    joining = name != "connectors" and bool(_starting(facts, at, memory))
    return service.running >= service.desired and not service.pending and not joining


def _autoscaling(facts: Facts) -> Iterator[Finding]:
    for one in seen(facts.autoscaling) or ():
        brokers = one.service == "brokers"
        code = "BROKERS_AUTOSCALED" if brokers else "CONNECTORS_AUTOSCALED"
        yield found(code, f"{one.bounds} ({one.resource})", one.service)


def _protection(facts: Facts, at: datetime) -> Iterator[Finding]:
    # No operation protects for longer, so nothing of ours takes such protection away again.
    ours = at + timedelta(minutes=PROTECTION_MINUTES + 1)
    held = [one for one in seen(facts.protected) or () if one.until > at]
    for code, tasks in (
        ("TASK_PROTECTION_STALE", [one for one in held if one.until > ours]),
        ("TASK_PROTECTED", [one for one in held if one.until <= ours]),
    ):
        if tasks:
            last = max(one.until for one in tasks)
            names = listed([one.task_id[:8] for one in tasks])
            yield found(code, f"task {names}, until {last:%Y-%m-%d %H:%M} UTC")


def _collectors(facts: Facts) -> Iterator[Finding]:
    """ECS restarts a collector that ran for a minute, so that a stopped one stays stopped."""
    stopped = [
        task.task_id[:8]
        for task in seen(facts.tasks) or ()
        if task.status == "RUNNING" and task.collector == "STOPPED"
    ]
    if stopped:
        yield found("COLLECTOR_STOPPED", f"task {listed(stopped)}")


def _load_balancers(facts: Facts) -> Iterator[Finding]:
    services = seen(facts.services)
    for name in ("rest", "grpc", "connectors"):
        targets: tuple[TargetHealth, ...] | None = seen(getattr(facts, name))
        if targets is None:
            continue
        wanted = _behind(name, services, facts.outputs)
        healthy = sum(one.state == "healthy" for one in targets)
        if healthy >= wanted:
            continue
        reasons = sorted(
            {f"{one.state} {one.reason}".strip() for one in targets if one.state != "healthy"}
        )
        why = f" ({', '.join(reasons)})" if reasons else ""
        text = f"{name}: {healthy} of {wanted} targets healthy{why}"
        down = not healthy and name != "connectors"
        yield found("NO_HEALTHY_TARGET" if down else "TARGETS_UNHEALTHY", text, name)


def _behind(name: str, services: ServicesStatus | None, outputs: ClusterOutputs) -> int:
    if services is None:
        return _number(outputs, "Connectors" if name == "connectors" else "Brokers")
    return services.connectors.desired if name == "connectors" else services.brokers.desired


# Database, node ids, backups and the rest


def _database(facts: Facts) -> Iterator[Finding]:
    database, login = seen(facts.database), seen(facts.login)
    status = database.status if database is not None else None
    serving = status is None or status in _SERVING
    if login is None:
        if not serving:
            yield found("DATABASE_DOWN", f"Aurora is {status}")
        return
    if not login.error:
        if not login.granted:
            yield found("DATABASE_GRANTS_MISSING", login.seen)
        if status is not None and status != "available":
            yield found("DATABASE_BUSY", f"Aurora is {status} and the IAM user can log in")
    elif login.error in _UNREACHED:
        if serving:
            yield found("DATABASE_UNREACHABLE", login.seen)
        else:
            yield found("DATABASE_DOWN", f"Aurora is {status}; {login.seen}")
    elif login.error == "DatabaseTlsFailed":
        yield found("DATABASE_CERTIFICATE", login.seen)
    else:
        yield found("DATABASE_LOGIN_REFUSED", login.seen)


def _leases(facts: Facts, at: datetime) -> Iterator[Finding]:
    leases, topology = seen(facts.leases), seen(facts.topology)
    if leases is None:
        return
    if not leases.used:
        yield found("NODE_ID_LEASES_NOT_IN_USE", "the node-id bucket holds no leases")
        return
    fresh = {
        one.node: one.task
        for one in leases.leases
        if one.task and one.until is not None and one.until >= at - LEASE
    }
    brokers = [one.node_id for one in topology.brokers] if topology is not None else []
    stale = [node for node in brokers if isinstance(node, int) and node not in fresh]
    if stale:
        yield found("LEASE_STALE", f"broker {listed(stale)}")
    shared = [task for task, count in Counter(fresh.values()).items() if count > 1]
    if shared:
        nodes = sorted(node for node, task in fresh.items() if task in shared)
        yield found("LEASE_SHARED", f"node ids {listed(nodes)} belong to one task")


def _backups(facts: Facts, at: datetime, memory: Memory) -> Iterator[Finding]:
    backups = seen(facts.backups)
    if backups is None:
        return
    if not backups.supported:
        yield found("BACKUP_STATUS_UNSUPPORTED", "the brokers have no backup-status endpoint")
        return
    if not backups.enabled:
        yield found("BACKUP_DISABLED", "the brokers report that no backup is configured")
        return
    late, count = overdue(facts.outputs.get("BackupSchedule", "")), partition_count(facts)
    partitions = range(1, count + 1)
    held = {one for one, last in backups.latest.items() if last is not None}
    yield from _ages(backups, partitions, at - late, memory, at)
    yield from _held(held, partitions, at - memory.first_at >= late)
    ranges = backups.ranges or ()
    unclear = unknown_partitions(ranges, sorted(held))
    if unclear:
        text = f"the brokers report no range of the backups of partition {listed(unclear)}"
        yield found("SOURCE_UNAVAILABLE", text, "backup ranges")
    yield from _gaps(gaps(ranges), backups.left_out)
    yield from _window(facts, at, memory, covered(ranges, partitions), late)


def _ages(
    backups: BackupStatus, partitions: range, oldest: datetime, memory: Memory, at: datetime
) -> Iterator[Finding]:
    # A cluster that is watched for less than that need not have one yet.
    late = []
    for partition in partitions:
        last = backups.latest.get(partition)
        if (last or memory.first_at) < oldest:
            hours = f"{_hours(at - last)} old" if last else "none"
            late.append(f"{partition} ({hours})")
    if late:
        yield found("BACKUP_OLD", f"partition {listed(late)}")


def _held(held: Collection[int], partitions: range, settled: bool) -> Iterator[Finding]:
    """Compare the partitions of the newest backups with those of the cluster.

    ``settled`` is false while the first backup may still be under way.
    """
    lacking, more = sorted({*partitions} - {*held}), sorted({*held} - {*partitions})
    if not held or not partitions or not settled or not (lacking or more):
        return
    parts = [f"none of partition {listed(lacking)}"] if lacking else []
    parts += [f"one of partition {listed(more)} too"] if more else []
    yield found(
        "BACKUP_OTHER_PARTITIONS",
        f"the newest backups hold {len(held)} partitions, the cluster has {len(partitions)}: "
        + "; ".join(parts),
    )


def _gaps(every: Sequence[Gap], left_out: int) -> Iterator[Finding]:
    """Note gaps: backups go on after each of them, and nothing closes one.

    What still fails is an old backup, and what is lost of the time to restore a short window.
    """
    if not every:
        return
    lines = [f"{one.partition} ({_utc(one.after)} to {_utc(one.before)})" for one in every]
    more = f"; {left_out} more ranges lie within them" if left_out else ""
    yield found("BACKUP_GAP", f"partition {listed(lines, 4)}{more}")


def restore_window(facts: Facts) -> Span | None:
    """Return the moments to which brokers and database can be restored; None if not known.

    The database must not be newer than the newest backup of the brokers and not older than their
    oldest one, so it is what both have in common, without the gaps within it.
    https://docs.camunda.io/docs/self-managed/operational-guides/backup-restore/rdbms/rdbms-restore/
    """
    backups, database = seen(facts.backups), seen(facts.database)
    if backups is None or database is None or database.span is None:
        return None
    ours = covered(backups.ranges or (), range(1, partition_count(facts) + 1))
    return None if ours is None else ours.within(database.span)


def _window(
    facts: Facts, at: datetime, memory: Memory, ours: Span | None, late: timedelta
) -> Iterator[Finding]:
    """Compare what both backups can restore with what the stack's retention is to allow."""
    database = seen(facts.database)
    if database is None or database.status not in _SERVING:
        return
    theirs = database.span
    if theirs is None:
        text = "RDS reports no moments to which Aurora can be restored"
        yield found("SOURCE_UNAVAILABLE", text, "restore window")
        return
    created = max(memory.first_at, database.created or memory.first_at)
    promised, window, short = kept_days(facts), restore_window(facts), []
    if promised is not None and database.days is not None and database.days < promised:
        short.append(f"Aurora keeps its backups for {database.days} of {promised} days")
    # Aurora can be restored to about five minutes ago, and to no moment before it was created.
    if at - created >= late and at - theirs.end >= late:
        short.append(f"Aurora can be restored to {_utc(theirs.end)} at most")
    if ours is not None and window is not None:
        both = f"the brokers' backups reach from {_span(ours)}, Aurora's from {_span(theirs)}"
        since = max(created, memory.kept[1]) if memory.kept is not None else at
        if window.empty and at - created >= late:
            short.append(f"nothing can be restored: {both}")
        elif promised is not None and not window.empty:
            wanted = max(at - timedelta(days=promised), since)
            missed = window.start - wanted
            if missed > late + CLEANUP and missed > (at - wanted) * _MUCH:
                length = f"{_length(at - window.start)} instead of {_length(at - wanted)}"
                short.append(f"{length} can be restored: {both}")
    if short:
        yield found("RESTORE_WINDOW_SHORT", "; ".join(short))


def kept_days(facts: Facts) -> int | None:
    """Return for how many days both backups are kept; None where the stack does not show it."""
    names = ("BackupRetentionDays", "DatabaseBackupRetentionDays")
    return min(_number(facts.outputs, name) for name in names) or None


def of_this_cluster(note: RehearsalNote | None, memory: Memory) -> RehearsalNote | None:
    """Return the note of a rehearsal of this cluster; None for one of that name before it."""
    return None if note is None or note.at < memory.first_at else note


def _rehearsals(at: datetime, memory: Memory, rehearsed: RehearsalNote | None) -> Iterator[Finding]:
    """Judge the last rehearsal. Without a schedule none is wanted, yet one that failed counts."""
    last = of_this_cluster(rehearsed, memory)
    if last is not None and last.failed:
        why = f": {last.failure.rstrip('.')}" if last.failure else ""
        yield found("REHEARSAL_FAILED", f"{last.operation_id} ended at {_utc(last.at)}{why}")
    if memory.rehearses is None:
        return
    schedule, since = memory.rehearses
    limit = rehearsal_overdue(schedule)
    if limit is None:
        return
    seen_at = f"the last one ended at {_utc(last.at)}" if last is not None else "there was none"
    one = found("REHEARSAL_OLD", f"RehearsalSchedule is {schedule}; {seen_at}")
    if last is not None and at - last.at < limit:
        return
    if at - since < limit:
        # The schedule is new: its first one is still to come, and until then nothing is shown.
        explained_by = f"the schedule is there since {_utc(since)}"
        one = replace(one, severity=Severity.INFO, explained_by=explained_by)
    yield one


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _span(one: Span) -> str:
    return f"{_utc(one.start)} to {_utc(one.end)}"


def _hours(lasts: timedelta) -> str:
    hours = int(lasts.total_seconds() // 3600)
    return f"{hours} hour" if hours == 1 else f"{hours} hours"


def _length(lasts: timedelta) -> str:
    return _hours(lasts) if lasts < timedelta(days=2) else f"{lasts.days} days"


def _parts(facts: Facts, at: datetime) -> Iterator[Finding]:
    mounts = seen(facts.files)
    if mounts is not None:
        broken = [f"{one.zone} {one.state}" for one in mounts if one.state != "available"]
        if broken or not mounts:
            yield found(
                "EFS_MOUNT_TARGET_UNAVAILABLE", listed(broken) or "there is no mount target"
            )
    lost = [f"{one.name}: {one.problem}" for one in seen(facts.secrets) or () if one.problem]
    if lost:
        yield found("SECRET_MISSING", listed(lost))
    yield from _passwords(facts, at)
    yield from _former(facts, at)
    yield from _ways(facts, at)
    certificate = seen(facts.certificate)
    if certificate is not None:
        left = None if certificate.not_after is None else certificate.not_after - at
        if certificate.status != "ISSUED":
            yield found("CERTIFICATE_EXPIRING", f"its status is {certificate.status}")
        elif left is not None and left < CERTIFICATE:
            yield found("CERTIFICATE_EXPIRING", f"{max(left.days, 0)} days left")


def _ways(facts: Facts, at: datetime) -> Iterator[Finding]:
    """Note what is open for a limited time, and report what is open beyond its end."""
    management = seen(facts.management)
    if management is None or not management.opened:
        return
    sources = listed(management.sources) or "no range"
    if management.until is None:
        yield found("MANAGEMENT_OPEN_TOO_LONG", f"its end cannot be read; from {sources}")
    elif at - management.until > OVERDUE:
        until = f"{management.until:%Y-%m-%d %H:%M} UTC"
        yield found("MANAGEMENT_OPEN_TOO_LONG", f"it was to end at {until}; from {sources}")
    else:
        until = f"{management.until:%Y-%m-%d %H:%M} UTC"
        yield found("MANAGEMENT_OPEN", f"until {until}, from {sources}")


def _passwords(facts: Facts, at: datetime) -> Iterator[Finding]:
    """Note the age of every password once one is older than the cluster's ``SecretAgeDays``."""
    limit = _number(facts.outputs, "SecretAgeDays")
    ages = {
        one.name: (at - one.since).days
        for one in seen(facts.secrets) or ()
        if one.since is not None
        and not one.problem
        and not (facts.outputs.uses_oidc and one.name in UNUSED_WITH_OIDC)
    }
    if limit and any(days >= limit for days in ages.values()):
        yield found("SECRET_OLD", listed([f"{name}: {ages[name]} days" for name in ages]))


def _former(facts: Facts, at: datetime) -> Iterator[Finding]:
    """Note what restores have replaced, and report what is kept for longer than was wanted.

    Since when it is not in use is known by the creation of what replaced it.
    """
    beside = seen(facts.former) or ()
    database = seen(facts.database)
    present = database.created if database is not None else None
    days = _number(facts.outputs, "FormerDataDays")
    kept: list[str] = []
    expired: list[str] = []
    for one in beside:
        if one.copy:
            continue
        replaced = replaced_at(one, beside, present)
        if replaced is None:
            kept.append(f"{one.name}, replaced at a time that is not known")
            continue
        age = (at - replaced).days
        (expired if age >= days else kept).append(f"{one.name}, replaced {age} days ago")
    if expired:
        yield found("FORMER_DATA_EXPIRED", listed(expired))
    if kept:
        yield found("FORMER_DATA", listed(kept))


def _number(outputs: Mapping[str, str], name: str) -> int:
    value = str(outputs.get(name, ""))
    return int(value) if value.isascii() and value.isdigit() and len(value) < 7 else 0
