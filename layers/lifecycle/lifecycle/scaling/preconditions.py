"""Preconditions of scaling: named checks, each with a remedy. The list in the docs is this one."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.camunda.topology import ClusterConfiguration, formation
from lifecycle.cluster.checks import Check, Result
from lifecycle.errors import ScalingRefused
from lifecycle.scaling.partition_memory import does_not_fit
from lifecycle.services.autoscaling import check_brokers
from lifecycle.services.brokers import (
    BrokersSeen,
    active_partitions,
    half_done_places,
    has_gap,
    held_partitions,
    incomplete_change,
    left_unfinished,
    orphaned_tasks,
    tasks_of_brokers,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.camunda.topology import Topology
    from lifecycle.scaling.decision import Observed
    from lifecycle.services.autoscaling import ScalableTarget
    from lifecycle.services.brokers import BrokerService


@dataclass(frozen=True, slots=True)
class ScalingContext:
    """What else matters: the stack and the quota.

    ``vcpu_each`` is what one broker takes; limit and use are those of Fargate On-Demand in this
    region, ``None`` where they could not be read. ``autoscaled`` are the scalable targets that are
    the brokers' service.
    """

    stack_status: str
    vcpu_each: float = 0.0
    vcpu_limit: float | None = None
    vcpu_used: float | None = None
    autoscaled: tuple[ScalableTarget, ...] = ()


@dataclass(frozen=True, slots=True)
class Precondition:
    """A check by name: what must be true, and what to do when it is not."""

    name: str
    demand: str
    remedy: str


# Camunda plans no BROKER_ADD for a broker that it knows, but removes one that holds no partition.
JOINING_IS_REMOVED: Final = (
    "A broker that is JOINING is removed by a request for the number of brokers below it, once the "
    "counts agree."
)

PRECONDITIONS: Final[tuple[Precondition, ...]] = (
    Precondition(
        "stack at rest",
        "CloudFormation is not changing the cluster's stack",
        "Wait until the stack's update has ended, or complete it.",
    ),
    Precondition(
        "no deployment in progress",
        "the brokers' service has exactly one deployment, and it is complete",
        "Wait until the deployment is complete; a failed one needs a new deployment first.",
    ),
    Precondition(
        "no autoscaling",
        "Application Auto Scaling does not change the count of the brokers' service",
        "Deregister the scalable target, or suspend all of its scaling.",
    ),
    Precondition(
        "count covers the replication factor",
        "there are at least as many brokers as copies of each partition",
        "Request at least as many brokers as the replication factor.",
    ),
    Precondition(
        "one zone and one physical tenant",
        "the brokers have numbers (no zones of 8.10), and there is one physical tenant: with "
        "several, Camunda does not report here which change is in progress",
        "Scale such a cluster with Camunda's own API, zone by zone and tenant by tenant.",
    ),
    Precondition(
        "broker ids without a gap",
        "the brokers are 0, 1, 2 … without a hole below the request (and not named by zones)",
        "Request the number of brokers below the hole, which removes those above it; if that is "
        "below the replication factor, add the missing broker with Camunda's API first.",
    ),
    Precondition(
        "no other cluster change",
        "Camunda has no change in progress except one that leads to the requested brokers",
        "Wait until that change has ended, or request the number of brokers that it leads to: "
        "the operation then provides its tasks and follows it. This product never cancels it.",
    ),
    Precondition(
        "no other change of partitions",
        "Camunda is not adding a different number of partitions",
        "Wait until that change has ended, or request the number of partitions that it leads to: "
        "the operation then follows it. This product never cancels it.",
    ),
    Precondition(
        "no half-done change",
        "Camunda's plan completes everything that a cancelled change left JOINING or LEAVING",
        "Request the number of brokers that the cancelled change led to, or the current number "
        f"of brokers first: one of them completes it. {JOINING_IS_REMOVED}",
    ),
    Precondition(
        "every partition takes requests",
        "no cancelled change left partitions incomplete",
        "Request the current number of partitions, or the one that the cancelled change led to: "
        "that completes it.",
    ),
    Precondition(
        "counts agree",
        "the service's desired count is the current or the requested number of brokers",
        "Request the current number of brokers first: it aligns both.",
    ),
    Precondition(
        "Camunda accepts the administrator's user",
        "the user of the secret `AdminUserSecretArn`, or the health client of the identity "
        "provider, can read the topology (no 401 or 403)",
        "Put the user's current name and password, or the client's secret, into the secret named.",
    ),
    Precondition(
        "every broker runs",
        "each broker of the configuration is in the topology at the address of a running task "
        "(the configuration lists a dead one as ACTIVE forever)",
        "Restore the broker named: check its task and its log.",
    ),
    Precondition(
        "partitions healthy",
        "each partition has one leader and all its replicas, all healthy",
        "Restore the broker named, or wait until its replica has caught up.",
    ),
    Precondition(
        "one version",
        "all brokers run one version: no rolling update is incomplete",
        "Complete the rolling update first.",
    ),
    Precondition(
        "version can scale",
        "Camunda's S3 node-id provider of this version can scale; that of the 8.9.0 alphas cannot",
        "Provision a new cluster with a released version: alphas cannot be updated.",
    ),
    Precondition(
        "Camunda accepts the plan",
        "Camunda's dry run accepts exactly this change",
        "Fix the problem that Camunda reports.",
    ),
    Precondition(
        "every copy is kept",
        "in Camunda's plan each partition has as many copies as the replication factor",
        "Camunda's own factor was lowered, for example by a forced removal: once all brokers run, "
        "restore it in Camunda's cluster scaling (`partitions.replicationFactor`) (runbook, "
        '"Camunda\'s management API").',
    ),
    Precondition(
        "every broker gets a partition",
        "below Camunda 8.10, no broker is without a partition in Camunda's plan: up to 8.9 such "
        "a broker is never ready, since 8.9.0 it is not alive either, and ECS replaces its task "
        "repeatedly; from 8.10 on it costs as much as the others and does no work",
        "Request fewer brokers (partitions + replication factor - 1 is the maximum at which each "
        "holds one), or add partitions first.",
    ),
    Precondition(
        "partitions only grow",
        "there are no more partitions than requested",
        "Request the current number or more: Camunda never removes a partition.",
    ),
    Precondition(
        "version can add partitions",
        "all brokers run Camunda 8.8 or later",
        "Update Camunda first.",
    ),
    Precondition(
        "memory for the partitions",
        "a broker's memory is sufficient for the new number of partitions (RocksDB: 32 MiB each "
        "of its memory fraction; up to 8.9, without a fraction set, 512 MiB each in half of the "
        "memory)",
        "Provision more BrokerMemory first, or request fewer partitions. Partitions of an "
        "adopted cluster must be added with Camunda's API: the memory of its brokers is unknown "
        "here.",
    ),
    Precondition(
        "no backup in progress",
        "the latest backup of the primary storage has ended (Camunda takes none while partitions "
        "are added)",
        "Wait until the backup is COMPLETED; if it stays INCOMPLETE, wait for the next scheduled "
        "one or delete it with Camunda's API.",
    ),
    Precondition(
        "Fargate quota",
        "the region's Fargate vCPU quota has room for the new brokers",
        "Request a higher quota (Service Quotas, Fargate On-Demand vCPU resource count).",
    ),
)
_BY_NAME: Final = {one.name: one for one in PRECONDITIONS}

_AT_REST: Final = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)


def preconditions(
    *,
    service: BrokerService,
    brokers: BrokersSeen,
    surroundings: ScalingContext,
    requested: int,
    partitions: int,
    replication_factor: int,
    out: bool,
    begun: bool,
) -> tuple[Check, ...]:
    """Check everything that must be true before a change begins.

    ``out`` requires room for more brokers; ``begun`` is true once the count was raised for this
    change, which may make the deployment look unfinished.
    """
    configuration = brokers.configuration
    if configuration is None:
        return (failed("every broker runs", "; ".join(brokers.problems)),)
    if brokers.refused:
        return (failed("Camunda accepts the administrator's user", brokers.refused),)
    if configuration.unsupported:
        return (unsupported(configuration),)
    checks = [
        _stack(surroundings),
        _deployment(service, begun=begun),
        _autoscaling(surroundings, service),
        _replication(requested, replication_factor),
        _ids(configuration, requested),
        _half_done(brokers, configuration, replication_factor),
        _active(configuration),
        _runs(service, brokers, configuration),
        _partitions(brokers, partitions, replication_factor),
        _one_version(brokers),
        _version(brokers),
        _plan(brokers),
        _copies(brokers, partitions, replication_factor),
        _idle(brokers, configuration, partitions, replication_factor),
    ]
    if out:
        checks.append(_quota(surroundings, requested - service.desired))
    return tuple(checks)


def partition_preconditions(
    observed: Observed, *, requested: int, active: int
) -> tuple[Check, ...]:
    """Check everything that must be true before partitions are added.

    ``active`` partitions take requests now; what a cancelled change left beyond them is finished
    by this one, so it need not be well.
    """
    brokers, service, factor = observed.brokers, observed.service, observed.replication_factor
    configuration = brokers.configuration
    if configuration is None:
        return (failed("every broker runs", "; ".join(brokers.problems)),)
    if brokers.refused:
        return (failed("Camunda accepts the administrator's user", brokers.refused),)
    if configuration.unsupported:
        return (unsupported(configuration),)
    checks = [
        _stack(observed.surroundings),
        _deployment(service, begun=False),
        _autoscaling(observed.surroundings, service),
        _ids(configuration, len(configuration.members)),
        _half_done(brokers, configuration, factor),
        _runs(service, brokers, configuration),
        _partitions(brokers, active, factor),
        _one_version(brokers),
        _version(brokers),
        _adds_partitions(brokers),
        _plan(brokers),
        _copies(brokers, requested, factor),
        _memory(observed, requested),
        _no_backup(brokers),
    ]
    return tuple(checks)


def refusal_text(checks: Sequence[Check]) -> str:
    """Name every failed check with what was seen and its remedy; empty when none failed."""
    bad = [check for check in checks if check.result is Result.FAIL]
    return "; ".join(f"{check.name}: {check.seen} → {check.remedy}" for check in bad)


def failed(name: str, seen: str) -> Check:
    """Return a precondition that is not met, with its remedy."""
    return Check(name, Result.FAIL, seen, _BY_NAME[name].remedy)


def unsupported(configuration: ClusterConfiguration) -> Check:
    """Return the check of a cluster that no decision here understands."""
    return failed("one zone and one physical tenant", configuration.unsupported)


def refusal(name: str, seen: str) -> ScalingRefused:
    """Make the refusal for one check."""
    return ScalingRefused(refusal_text([failed(name, seen)]))


def _passed(name: str, seen: str) -> Check:
    return Check(name, Result.PASS, seen)


def _stack(surroundings: ScalingContext) -> Check:
    name, status = "stack at rest", surroundings.stack_status
    return _passed(name, status) if status in _AT_REST else failed(name, f"it is in {status}")


def _autoscaling(surroundings: ScalingContext, service: BrokerService) -> Check:
    return check_brokers("no autoscaling", surroundings.autoscaled, service.name)


def _deployment(service: BrokerService, *, begun: bool) -> Check:
    name = "no deployment in progress"
    states = [one.rollout_state for one in service.deployments]
    if len(states) != 1:
        return failed(name, f"{len(states)} deployments of {service.name}")
    if states[0] == "FAILED":
        return failed(name, f"the last deployment of {service.name} has failed")
    if states[0] == "IN_PROGRESS" and not begun:
        return failed(name, f"a deployment of {service.name} is in progress")
    return _passed(name, "one deployment")


def _replication(requested: int, factor: int) -> Check:
    name = "count covers the replication factor"
    seen = f"{requested} brokers, replication factor {factor}"
    return _passed(name, seen) if requested >= factor else failed(name, seen)


def _ids(configuration: ClusterConfiguration, requested: int) -> Check:
    name, ids = "broker ids without a gap", ", ".join(map(str, configuration.broker_ids))
    return failed(name, ids) if has_gap(configuration, requested) else _passed(name, ids)


def _half_done(brokers: BrokersSeen, configuration: ClusterConfiguration, factor: int) -> Check:
    name, left = "no half-done change", left_unfinished(configuration, brokers.plan, factor)
    return failed(name, "; ".join(left)) if left else _passed(name, "none")


def _active(configuration: ClusterConfiguration) -> Check:
    name = "every partition takes requests"
    held, active = held_partitions(configuration), active_partitions(configuration)
    routing = configuration.routing
    seen = f"{active} of {held} partitions take requests"
    if active < held or (routing is not None and not routing.settled):
        return failed(name, seen)
    return _passed(name, seen)


def _runs(
    service: BrokerService, brokers: BrokersSeen, configuration: ClusterConfiguration
) -> Check:
    name = "every broker runs"
    found = tasks_of_brokers(service, brokers.topology)
    away = [str(node) for node in configuration.broker_ids if node not in found]
    if not away:
        return _passed(name, f"{len(found)} brokers in running tasks")
    seen = f"broker {', '.join(away)} is not at the address of a running task"
    outside = orphaned_tasks(service, brokers.topology, configuration.broker_ids)
    return failed(name, f"{seen}; {outside}" if outside else seen)


def _partitions(brokers: BrokersSeen, partitions: int, factor: int) -> Check:
    name = "partitions healthy"
    configuration = brokers.configuration
    formed = formation(
        None,
        brokers.topology,
        brokers=0,
        partitions=partitions,
        replication_factor=factor,
        incomplete_change=half_done_places(configuration, factor)
        if configuration is not None
        else (),
    )
    if formed.formed:
        return _passed(name, f"{partitions} partitions, {factor} replicas each")
    return failed(name, "; ".join([*brokers.problems, *formed.problems]))


def _versions(brokers: BrokersSeen) -> list[str]:
    topology = brokers.topology
    return sorted({one.version for one in topology.brokers}) if topology is not None else []


def _one_version(brokers: BrokersSeen) -> Check:
    name, versions = "one version", _versions(brokers)
    seen = ", ".join(versions) or "not known"
    return failed(name, seen) if len(versions) > 1 else _passed(name, seen)


def _version(brokers: BrokersSeen) -> Check:
    name, versions = "version can scale", _versions(brokers)
    # camunda/camunda#45812, #47335. Versions before 8.9 have no such provider: their ids are fixed.
    unable = [one for one in versions if re.match(r"8\.9\.0-alpha\d", one)]
    return failed(name, unable[0]) if unable else _passed(name, ", ".join(versions))


def _plan(brokers: BrokersSeen) -> Check:
    name = "Camunda accepts the plan"
    if brokers.plan is not None:
        return _passed(name, f"{len(brokers.plan.operations)} operations")
    return failed(name, brokers.plan_refused or "; ".join(brokers.problems) or "no dry run")


def _copies(brokers: BrokersSeen, partitions: int, factor: int) -> Check:
    name = "every copy is kept"
    if brokers.plan is None:
        return _passed(name, "no plan")
    planned = Counter(
        replica.partition for member in brokers.plan.expected for replica in member.partitions
    )
    short = [
        f"partition {partition} would have {planned[partition]} of {factor}"
        for partition in range(1, partitions + 1)
        if planned[partition] < factor
    ]
    return failed(name, "; ".join(short)) if short else _passed(name, f"{factor} of each partition")


def idle_is_ready(topology: Topology | None) -> bool:
    """Return whether a broker without partitions gets ready: from 8.10 on.

    False where a version is not known: such a broker would be lost work at best. Sources:
    https://github.com/camunda/camunda/pull/48759 (liveness includes readiness since 8.9.0) and
    ``BrokerHealthCheckService`` of 8.9 (a flag that the first Raft role sets) and of 8.10.
    """
    versions = [one.version for one in topology.brokers] if topology is not None else []
    return bool(versions) and all(_minor(version) >= (8, 10) for version in versions)


def _minor(version: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)\.", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _idle(
    brokers: BrokersSeen, configuration: ClusterConfiguration, partitions: int, factor: int
) -> Check:
    name = "every broker gets a partition"
    expected = brokers.plan.expected if brokers.plan is not None else ()
    idle = [str(member.id) for member in expected if not member.partitions]
    if not idle:
        return _passed(name, f"{len(expected)} brokers" if expected else "no plan")
    versions = ", ".join(_versions(brokers)) or "an unknown version"
    held = max([partitions, *(one.partition for m in expected for one in m.partitions)])
    seen = f"broker {', '.join(idle)} would hold none of the {held} partitions, on {versions}"
    # What was begun with Camunda's API and cancelled can only be finished, then reduced.
    if idle_is_ready(brokers.topology) or incomplete_change(configuration, factor):
        return Check(name, Result.WARN, seen, _BY_NAME[name].remedy)
    return failed(name, seen)


def _adds_partitions(brokers: BrokersSeen) -> Check:
    name, versions = "version can add partitions", _versions(brokers)
    seen = ", ".join(versions) or "not known"
    able = bool(versions) and all(_minor(one) >= (8, 8) for one in versions)
    return _passed(name, seen) if able else failed(name, seen)


def _memory(observed: Observed, requested: int) -> Check:
    name = "memory for the partitions"
    versions = _versions(observed.brokers)
    fraction = bool(versions) and all(_minor(one) >= (8, 10) for one in versions)
    why = does_not_fit(observed.parameters, requested, fraction=fraction)
    return failed(name, why) if why else _passed(name, f"{requested} partitions fit")


def _no_backup(brokers: BrokersSeen) -> Check:
    name, seen = "no backup in progress", brokers.backups
    if seen is None:
        return failed(name, "; ".join(brokers.problems) or "the backups could not be read")
    if seen.newest in _UNFINISHED_BACKUP:
        return failed(name, f"the latest one is {seen.newest}")
    return _passed(name, seen.newest or "none is known")


_UNFINISHED_BACKUP: Final = frozenset({"IN_PROGRESS", "INCOMPLETE"})


def _quota(surroundings: ScalingContext, more: int) -> Check:
    name = "Fargate quota"
    need = surroundings.vcpu_each * max(0, more)
    limit, used = surroundings.vcpu_limit, surroundings.vcpu_used
    if limit is None:
        return Check(name, Result.WARN, "the quota could not be read", _BY_NAME[name].remedy)
    free = limit - (used or 0.0)
    seen = f"{need:g} vCPU more, {free:g} of {limit:g} free"
    if used is None:
        seen += " at most (current usage is unknown)"
    return _passed(name, seen) if need <= free else failed(name, seen)
