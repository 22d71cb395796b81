"""Preview a scaling: Camunda's own dry run, our checks, the cost; in figures and words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.checks import Check, Result
from lifecycle.cluster.prices import Size, monthly_cost, not_included
from lifecycle.preflight import backup_gate
from lifecycle.scaling import partition_table
from lifecycle.scaling.decision import refused_by_table
from lifecycle.scaling.partitions import refused_by_partitions
from lifecycle.scaling.preconditions import (
    partition_preconditions,
    preconditions,
    refusal_text,
)
from lifecycle.scaling.table import Case, Change, Members, Step, read_case, row_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.camunda.topology import BrokerId, Member
    from lifecycle.scaling.decision import Observed

NO_BACKUP: Final = "None is needed: nothing is moved, or only what began before is completed."
AFTER_PARTITIONS: Final = (
    " Camunda takes none while partitions are added. Another one follows if continuous backup is "
    "enabled: a backup can be restored only into as many partitions as it holds."
)


def _backup(parameters: Mapping[str, str], newest: str) -> str:
    """Return what there has to be before anything moves; ``newest``: what there is now."""
    hours = backup_gate.max_age_hours(parameters)
    return (
        f"A completed backup of the brokers younger than {hours} hours ({backup_gate.PARAMETER}) "
        "is needed before the first change; where there is none, it is taken first, and without "
        f"it nothing is changed. {f'Now: {newest}. ' if newest else ''}To go without: "
        f'"{backup_gate.ACCEPT}": true in the request.'
    )


def plan_scaling(
    observed: Observed,
    *,
    cluster: str,
    requested: int,
    region: str,
    parameters: Mapping[str, str],
    adoption: Sequence[Check] = (),
    prices: Mapping[str, Any] | None = None,
    newest: str = "",
) -> dict[str, Any]:
    """Return the plan as JSON. ``status`` is ``READY``, ``UNCHANGED`` or ``REFUSED``.

    ``parameters`` are those of the cluster's stack; an adopted one has no sizes, so no price.
    ``prices`` is a price list, None for the one that is shipped; ``newest`` describes the newest
    backup of the brokers.
    """
    configuration = observed.brokers.configuration
    case = None
    if configuration is not None:
        case = read_case(
            configuration, observed.service.desired, requested, observed.replication_factor
        )
    checks = _checks(observed, case, requested)
    refused = refusal_text((*checks, *adoption))
    step = None if case is None else row_for(case.change, case.members, case.count).step
    status = "REFUSED" if refused else "UNCHANGED" if step is Step.SETTLE else "READY"
    desired = observed.service.desired
    undo = case.brokers if case is not None else desired
    moves = (
        case is not None
        and case.change is Change.NONE
        and case.members in {Members.FEWER, Members.MORE}
    )
    return {
        **_shared(observed, cluster, region, status, checks=checks, adoption=adoption),
        "unit": "brokers",
        "from": case.brokers if case is not None else None,
        "to": requested,
        "next": None if refused or case is None else _steps(case),
        "cost": cost_of(parameters, desired, requested, region, prices),
        "backup": _backup(parameters, newest) if moves else NO_BACKUP,
        "stop": "Before the change is submitted to Camunda: stop the execution, then request the "
        "current number. After that Camunda's change continues on its own; let it "
        "complete.",
        "undo": f'Scale back: {{"clusterName": "{cluster}", "count": {undo}}}',
        "apply": {"clusterName": cluster, "count": requested},
    }


def plan_partitions(
    observed: Observed,
    *,
    cluster: str,
    requested: int,
    region: str,
    parameters: Mapping[str, str],
    adoption: Sequence[Check] = (),
    prices: Mapping[str, Any] | None = None,
    newest: str = "",
) -> dict[str, Any]:
    """Return the plan of adding partitions; shape and arguments are those of ``plan_scaling``.

    ``from`` and ``to`` are numbers of partitions here, as ``unit`` shows.
    """
    configuration = observed.brokers.configuration
    case = None
    if configuration is not None:
        case = partition_table.read_case(
            configuration, observed.service.desired, requested, observed.replication_factor
        )
    checks = _partition_checks(observed, case, requested)
    refused = refusal_text((*checks, *adoption))
    row = None
    if case is not None:
        row = partition_table.row_for(case.change, case.partitions, case.count)
    moves = (
        case is not None
        and case.change is partition_table.Change.NONE
        and case.partitions is partition_table.Partitions.FEWER
    )
    settled = row is not None and row.step is partition_table.Step.SETTLE
    status = "REFUSED" if refused else "UNCHANGED" if settled else "READY"
    desired = observed.service.desired
    return {
        **_shared(observed, cluster, region, status, checks=checks, adoption=adoption),
        "unit": "partitions",
        "from": case.active if case is not None else None,
        "to": requested,
        "next": None if refused or case is None else _partition_steps(case),
        "cost": cost_of(parameters, desired, desired, region, prices),
        "backup": (_backup(parameters, newest) if moves else NO_BACKUP) + AFTER_PARTITIONS,
        "stop": "Before the change is submitted to Camunda: stop the execution. After that "
        "Camunda's change continues on its own; let it complete.",
        "undo": "Not possible: Camunda never removes a partition. A backup from before the "
        "change can be restored into the previous number.",
        "apply": {"clusterName": cluster, "partitions": requested},
    }


def _shared(
    observed: Observed,
    cluster: str,
    region: str,
    status: str,
    *,
    checks: Sequence[Check],
    adoption: Sequence[Check],
) -> dict[str, Any]:
    """Return what both kinds of plan hold."""
    configuration, planned = observed.brokers.configuration, observed.brokers.plan
    before = _placement(configuration.members) if configuration is not None else {}
    expected = planned.expected if planned is not None else ()
    after = _placement(expected) if planned is not None else before
    return {
        "planVersion": 1,
        "status": status,
        "kind": "scale",
        "cluster": cluster,
        "region": region,
        "refusal": refusal_text((*checks, *adoption)) or None,
        "operations": [str(one) for one in planned.operations] if planned is not None else [],
        "placement": {"before": before, "after": after},
        "moves": _moves(before, after),
        "brokersWithoutPartition": [one.id for one in expected if not one.partitions],
        "checks": [check.as_dict() for check in checks],
        "adoption": [check.as_dict() for check in adoption],
    }


def plan_text(plan: Mapping[str, Any]) -> str:
    """Return the plan as text that can be pasted into a change ticket."""
    cost = plan["cost"]
    what = f"from {plan['from']} to {plan['to']} {plan['unit']}: {plan['status']}"
    author = plan["author"] or "unknown (started from the console or a schedule)"
    lines = [
        f"Scale cluster {plan['cluster']} ({plan['region']}) {what}",
        f"Plan {plan['operationId']}, created {plan['madeAt']} by {author}",
        "",
    ]
    if plan["refusal"]:
        lines += ["Refused:", *(f"- {part}" for part in plan["refusal"].split("; ")), ""]
    lines += [f"{n}. {step}" for n, step in enumerate(plan["next"] or (), start=1)]
    lines += ["", "Camunda's own plan (dry run):"]
    lines += [f"- {operation}" for operation in plan["operations"]] or ["- nothing"]
    lines += ["", "Partitions (brokers before -> after, the first leads):"]
    placed = plan["placement"]
    lines += [
        f"- partition {partition}: {_row(placed['before'].get(partition) or ['none'])} -> "
        f"{_row(brokers)}"
        for partition, brokers in placed["after"].items()
    ]
    if plan["brokersWithoutPartition"]:
        idle = _row(plan["brokersWithoutPartition"])
        lines.append(f"- without a partition afterwards: broker {idle}")
    lines += ["", "Checks:"]
    lines += [f"- {one['result']} {one['name']}: {one['seen']}" for one in plan["checks"]]
    if plan["adoption"]:
        lines += ["", "Adoption (cluster created by another tool):"]
    for one in plan["adoption"]:
        lines.append(f"- {one['result']} {one['name']}: {one['seen']}")
        lines += [f"    {one['remedy']}"] if one["remedy"] else []
    lines += [
        "",
        f"Cost per month before usage: {_money(cost['before'])} -> {_money(cost['after'])}",
        f"Not included: {cost['notIncluded']}.",
        "",
        f"Backup: {plan['backup']}",
    ]
    if plan["status"] == "READY":
        lines += [f"To stop: {plan['stop']}", f"To undo: {plan['undo']}"]
    return "\n".join(lines) + "\n"


def summary(plan: Mapping[str, Any], *, key: str, text_key: str) -> dict[str, Any]:
    """Return the plan's outline, small enough for a state machine's state."""
    return {
        "operationId": plan["operationId"],
        "madeAt": plan["madeAt"],
        "status": plan["status"],
        "kind": plan["kind"],
        "unit": plan["unit"],
        "from": plan["from"],
        "to": plan["to"],
        # The text and the stored plan name all of them.
        "operations": plan["operations"][:50],
        "operationCount": len(plan["operations"]),
        "moves": plan["moves"],
        "brokersWithoutPartition": plan["brokersWithoutPartition"],
        "cost": {when: plan["cost"][when]["total"] for when in ("before", "after")},
        "apply": plan["apply"],
        "planKey": key,
        "textKey": text_key,
    }


def _partition_checks(
    observed: Observed, case: partition_table.Case | None, requested: int
) -> tuple[Check, ...]:
    configuration = observed.brokers.configuration
    active = case.active if case is not None else 0
    checks = partition_preconditions(observed, requested=requested, active=active)
    if case is None or configuration is None:
        return checks
    row = partition_table.row_for(case.change, case.partitions, case.count)
    if row.step is partition_table.Step.REFUSE:
        return (*checks, refused_by_partitions(case, configuration, row))
    if row.step is partition_table.Step.CHANGE:
        return checks
    # Nothing is requested from Camunda, or its change in progress is followed.
    return tuple(
        replace(one, result=Result.WARN) if one.result is Result.FAIL else one for one in checks
    )


def _partition_steps(case: partition_table.Case) -> list[str]:
    step = partition_table.row_for(case.change, case.partitions, case.count).step
    follow = step is partition_table.Step.FOLLOW or case.change is not partition_table.Change.NONE
    steps = []
    if step is partition_table.Step.RAISE:
        steps.append(f"set the desired count to {case.brokers} and wait until the tasks run")
    if follow:
        steps.append("follow the change in progress")
    elif case.partitions is not partition_table.Partitions.REQUESTED:
        steps.append(
            f"request {case.requested} partitions from Camunda and follow its change to the end"
        )
    steps.append("verify that every partition has a leader and all replicas, and accepts requests")
    if case.partitions is not partition_table.Partitions.REQUESTED or follow:
        steps.append("take a backup of all partitions and verify that it completes")
    return steps


def _checks(observed: Observed, case: Case | None, requested: int) -> tuple[Check, ...]:
    configuration = observed.brokers.configuration
    checks = preconditions(
        service=observed.service,
        brokers=observed.brokers,
        surroundings=observed.surroundings,
        requested=requested,
        partitions=observed.partitions,
        replication_factor=observed.replication_factor,
        out=case is not None and case.members is Members.FEWER,
        begun=False,
    )
    if case is None or configuration is None:
        return checks
    row = row_for(case.change, case.members, case.count)
    if row.step is Step.REFUSE:
        return (*checks, refused_by_table(case, configuration, row))
    if case.change is Change.NONE and case.members in (Members.FEWER, Members.MORE):
        return checks
    # What was begun is gone on with, whatever a fresh start would demand; not at any price.
    return tuple(
        replace(one, result=Result.WARN)
        if one.result is Result.FAIL and one.name not in _ALWAYS
        else one
        for one in checks
    )


_ALWAYS: Final = frozenset({"every copy is kept", "no half-done change"})


def _steps(case: Case) -> list[str]:
    change = f"request {case.requested} brokers from Camunda and follow its change to the end"
    verify = "verify that every broker with partitions is ready and the placement is as planned"
    lower = f"protect the {case.requested} remaining tasks, set the desired count to "
    lower += f"{case.requested}, check which tasks stopped, remove the protection"
    raised = f"set the desired count to {case.higher} and wait until the tasks run"
    row = row_for(case.change, case.members, case.count)
    steps: list[str] = []
    if row.step is Step.RAISE:
        steps.append(raised)
    if row.step in (Step.RAISE, Step.CHANGE, Step.FOLLOW) and (
        case.members is not Members.REQUESTED or case.change is Change.THERE
    ):
        steps.append(change if case.change is Change.NONE else "follow the change in progress")
    if max(case.higher, case.desired) > case.requested:
        steps.append(lower)
    return [*steps, verify]


def _placement(members: Sequence[Member]) -> dict[str, list[BrokerId]]:
    """Brokers of each partition, the one with the highest priority first."""
    found: dict[int, list[tuple[int, BrokerId]]] = {}
    for member in members:
        for replica in member.partitions:
            found.setdefault(replica.partition, []).append((-(replica.priority or 0), member.id))
    return {
        str(partition): [node for _, node in sorted(found[partition], key=lambda one: one[0])]
        for partition in sorted(found)
    }


def _moves(
    before: Mapping[str, Sequence[BrokerId]], after: Mapping[str, Sequence[BrokerId]]
) -> list[dict[str, Any]]:
    """Partitions that get or lose a broker; each that gets one copies its data there."""
    moves = []
    for partition in after:
        old, new = before.get(partition, ()), after[partition]
        joins = [node for node in new if node not in old]
        leaves = [node for node in old if node not in new]
        if joins or leaves:
            moves.append({"partition": partition, "joins": joins, "leaves": leaves})
    return moves


def cost_of(
    parameters: Mapping[str, str],
    before: int,
    after: int,
    region: str,
    prices: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the monthly cost with so many brokers before and after, and what it leaves out."""
    excluded = not_included(region, prices)
    try:
        sizes = [
            Size.of(parameters, brokers=count, connectors=int(parameters["Connectors"]))
            for count in (before, after)
        ]
    except (KeyError, ValueError):
        unknown: dict[str, Any] = {
            "total": None,
            "items": {},
            "missing": ["the sizes of the cluster"],
        }
        return {"before": unknown, "after": unknown, "notIncluded": excluded}
    costs = [monthly_cost(size, region, prices).as_dict() for size in sizes]
    return {"before": costs[0], "after": costs[1], "notIncluded": excluded}


def _money(cost: Mapping[str, Any]) -> str:
    if cost["total"] is None:
        return f"not known ({', '.join(cost['missing'])})"
    return f"{cost['total']} {cost['currency']} (prices of {cost['asOf']})"


def _row(brokers: Sequence[BrokerId]) -> str:
    return ", ".join(map(str, brokers))
