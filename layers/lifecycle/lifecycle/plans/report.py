"""Render a change set as a plan: changes, impact on data, duration and cost."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster import front_door, ways_in
from lifecycle.cluster.authentication import is_one_way
from lifecycle.cluster.backups import expectation
from lifecycle.cluster.prices import Cost, Size, monthly_cost, not_included
from lifecycle.cluster.stack import DATA_TYPES, RUNNING_TYPES, is_half_made
from lifecycle.cluster.trial import is_trial
from lifecycle.plans.critical_path import START, critical_path
from lifecycle.preflight import backup_gate
from lifecycle.preflight.checks import FRESH_BACKUP, WAY_BACK
from lifecycle.preflight.database_change import VERSION, interruptions
from lifecycle.preflight.way_back import ACCEPT, crosses_minor
from lifecycle.provisioning import identity_provider
from lifecycle.services.definition import BROKERS, CONNECTORS
from lifecycle.services.image_digests import warnings as image_warnings
from lifecycle.services.images import shown, versions
from lifecycle.services.settings import back as settings_back
from lifecycle.services.settings import changes as changes_of_settings
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.cluster.stack import ChangeSet, ResourceChange, Stack
    from lifecycle.plans.fingerprint import Fingerprint, PlanDescription
    from lifecycle.services.settings import Settings

# Typical minutes until one broker, or the connectors, are replaced and all is whole.
_ROLL: Final[Mapping[str, tuple[int, int]]] = {
    BROKERS: (2, 6),
    CONNECTORS: (1, 4),
}
_KEPT: Final[Mapping[str, str]] = {
    "Retain": "the current resource is retained and billed until you delete it",
    "Snapshot": "a snapshot of the current resource is taken before it is deleted",
    "Delete": "the current resource is DELETED with its data",
    "": "retention of the current resource follows its DeletionPolicy / UpdateReplacePolicy",
}


@dataclass(frozen=True, slots=True)
class PlanInput:
    """What a plan is made from.

    ``before`` and ``after`` are all parameters of the cluster, with the template's defaults, before
    and after the change; ``before`` is empty when there is no cluster. ``settings`` are those of
    the services, before and after; ``counts`` are the live desired counts, ``services`` the lines
    of ``service_plan`` and ``rendered`` the definitions that they come from, ``tags`` what changes
    of the stack's tags, ``named`` the data that the plan may replace, ``machine`` the parameters
    that only machines set, ``template`` the stack's as data, ``prices`` a price list, or None for
    the one that is shipped; ``images`` the lines of ``image_lines``.
    """

    cluster: str
    region: str
    stack: Stack | None
    change_set: ChangeSet
    before: Mapping[str, str]
    after: Mapping[str, str]
    counts: Mapping[str, int]
    services: Sequence[Mapping[str, Any]]
    rendered: Mapping[str, Any]
    tags: Sequence[Mapping[str, str | None]]
    settings: tuple[Settings, Settings]
    named: Sequence[str]
    machine: frozenset[str]
    refusal: str
    template: Mapping[str, Any]
    prices: Mapping[str, Any] | None = None
    images: Sequence[Mapping[str, Any]] = ()


def render(
    situation: PlanInput,
    *,
    mark: PlanDescription,
    fingerprint: Fingerprint,
    requested: Mapping[str, str],
    requested_settings: Mapping[str, Any],
    preflight: Mapping[str, Any],
    author: str,
) -> dict[str, Any]:
    """Return the plan as JSON. ``status`` is ``READY``, ``UNCHANGED`` or ``REFUSED``."""
    change_set = situation.change_set
    kind = _kind(situation)
    nothing = change_set.status == "EMPTY" and not _touched(situation)
    status = "REFUSED" if situation.refusal else "UNCHANGED" if nothing else "READY"
    changes = [change_line(change) for change in change_set.changes]
    path = _path(situation)
    parameters = _parameter_changes(situation)
    return {
        "planVersion": 1,
        "status": status,
        "kind": kind,
        "operationId": mark.operation_id,
        "author": author or None,
        "cluster": situation.cluster,
        "stack": change_set.stack,
        "region": situation.region,
        "madeAt": written(mark.made_at),
        "expiresAt": written(mark.expires_at),
        "changeSet": change_set.arn,
        "refusal": situation.refusal or None,
        "counts": _count(changes),
        "changes": changes,
        "parameters": parameters,
        "tags": list(situation.tags),
        "settings": changes_of_settings(*situation.settings),
        "restore": _restore(situation.after),
        "backup": _backup(situation, preflight),
        "data": _data(change_set.changes),
        "services": list(situation.services),
        "rendered": dict(situation.rendered),
        "images": list(situation.images),
        "rolls": _rolls(situation),
        "minutes": list(_minutes(situation, path)),
        "path": path,
        "warnings": _warnings(situation),
        "cost": _costs(situation),
        "stop": _stop(kind),
        "undo": _undo(situation, kind, parameters),
        "preflight": dict(preflight),
        "requested": dict(requested),
        "requestedSettings": dict(requested_settings),
        "replace": list(situation.named),
        "fingerprint": {"sha256": mark.digest, **asdict(fingerprint)},
        "apply": {"clusterName": situation.cluster, "changeSet": change_set.arn},
    }


def summary(plan: Mapping[str, Any], *, key: str, text_key: str) -> dict[str, Any]:
    """Return the plan's outline, small enough for a state machine's state."""
    return {
        "operationId": plan["operationId"],
        "madeAt": plan["madeAt"],
        "status": plan["status"],
        "kind": plan["kind"],
        "changeSet": plan["changeSet"],
        "expiresAt": plan["expiresAt"],
        "counts": plan["counts"],
        # The stored plan and its text name all of it.
        "data": plan["data"][:10],
        "dataCount": len(plan["data"]),
        "images": plan["images"],
        "minutes": plan["minutes"],
        "cost": {when: plan["cost"][when]["total"] for when in ("before", "after")},
        "apply": plan["apply"],
        "planKey": key,
        "textKey": text_key,
    }


def _kind(situation: PlanInput) -> str:
    stack = situation.stack
    if stack is None or stack.status == "REVIEW_IN_PROGRESS":
        return "create"
    return "continue" if is_half_made(stack) or BROKERS not in situation.counts else "update"


def _touched(situation: PlanInput) -> list[Mapping[str, Any]]:
    """Services that become others, by what the plan shows of them."""
    return [line for line in situation.services if line["action"] != "none"]


def change_line(change: ResourceChange) -> dict[str, Any]:
    """Return a change of CloudFormation as the plan lists it."""
    action = change.action.lower()
    if change.action == "Modify":
        action = {"True": "replace", "Conditional": "may replace"}.get(change.replacement, "change")
    return {
        "action": action,
        "resource": change.logical_id,
        "type": change.resource_type,
        "holdsData": change.resource_type in DATA_TYPES,
        "runsBrokers": change.resource_type in RUNNING_TYPES,
        "properties": list(change.properties),
        "policyAction": change.policy_action,
    }


def _count(changes: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    counts = dict.fromkeys(("add", "change", "replace", "may replace", "remove"), 0)
    for change in changes:
        counts[change["action"]] = counts.get(change["action"], 0) + 1
    return counts


def _data(changes: Sequence[ResourceChange]) -> list[str]:
    """What becomes of each thing that holds data and is touched, other than newly made.

    Tags alone are no change of data; they stand with the stack's.
    """
    sentences = []
    for change in changes:
        made = change.action == "Add"
        tagged = set(change.properties) == {"Tags"} and not change.replaces
        if change.resource_type not in DATA_TYPES or made or tagged:
            continue
        name = f"{change.logical_id} ({change.resource_type})"
        kept = _KEPT[change.policy_action.removeprefix("ReplaceAnd")]
        if change.action == "Remove":
            sentences.append(f"{name} is removed from the stack; {kept}.")
        elif change.replaces:
            may = "may be" if change.replacement == "Conditional" else "is"
            sentences.append(f"{name} {may} REPLACED by a new, empty resource; {kept}.")
        else:
            what = ", ".join(change.properties) or "properties"
            sentences.append(f"{name} is changed in place ({what}); its data is kept.")
    return sentences


def _parameter_changes(situation: PlanInput) -> list[dict[str, str | None]]:
    return [
        {"name": name, "from": situation.before.get(name), "to": value}
        for name, value in sorted(situation.after.items())
        if name not in situation.machine and situation.before.get(name) != value
    ]


def _rolls(situation: PlanInput) -> dict[str, int]:
    """How many running tasks of which service have to be replaced."""
    return {line["service"]: line["restarts"] for line in situation.services if line["restarts"]}


def _works(situation: PlanInput) -> list[ResourceChange]:
    """Changes of more than tags, which are set in place at once, on a task definition too.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-ecs-taskdefinition.html
    """
    return [c for c in situation.change_set.changes if set(c.properties) != {"Tags"}]


def _warnings(situation: PlanInput) -> list[str]:
    """What to know before applying the plan.

    Sources: https://docs.camunda.io/docs/self-managed/zeebe-deployment/operations/update-zeebe,
    https://docs.camunda.io/docs/8.9/self-managed/components/orchestration-cluster/core-settings/concepts/version-compatibility/
    """
    found = []
    if _rolls(situation).get(BROKERS):
        found.append(
            "Do not deploy processes while brokers are replaced: the brokers run different "
            "revisions during that time."
        )
    before, after = (versions(one).brokers for one in (situation.before, situation.after))
    if situation.before and before and after and before[:2] != after[:2]:
        found.append(
            f"There is no way back from {shown(after)} to {shown(before)} once a broker runs the "
            "new version: data is migrated forwards only. Applying the plan begins with a "
            "completed backup of the brokers and a snapshot of the database, taken where none "
            f"is younger than {backup_gate.max_age_hours(situation.before)} hours, and is refused "
            f'without both, unless "{ACCEPT}" is true beside changeSet.'
        )
    if _loses_zones(situation.before, situation.after):
        found.append(
            "Aurora has one instance, in one zone. If it fails, the database is unavailable until "
            "Aurora has created a new one, usually within ten minutes; brokers keep running and "
            "export later, and Operate, Tasklist and searches show no new data. With "
            '"DatabaseInstances": 2 a reader takes over within a minute or two.'
        )
    found += front_door.consequences(situation.before, situation.after)
    encrypted = all(front_door.has_certificate(one) for one in (situation.before, situation.after))
    if encrypted and any("SslPolicy" in one.properties for one in situation.change_set.changes):
        found.append(
            "The TLS policy of the load balancers changes: connections that offer none of the "
            "protocols and ciphers of the new one are rejected from then on "
            "(docs/front-door.md). Tasks are not replaced for it."
        )
    found += ways_in.consequences(situation.before, situation.after)
    found += identity_provider.consequences(situation.before, situation.after)
    found += image_warnings(situation.images)
    return found + interruptions(situation.before, situation.after)


def _loses_zones(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Whether Aurora has a single instance from now on; not mentioned for a trial.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Concepts.AuroraHighAvailability.html
    """
    name = "DatabaseInstances"
    return after.get(name) == "1" != before.get(name) and not is_trial(after)


def _path(situation: PlanInput) -> list[dict[str, Any]]:
    """What decides how long applying it takes, one after the other, with typical minutes."""
    worked_on = {change.logical_id for change in _works(situation)}
    links = [
        {"what": link.logical_id, "minutes": [link.least, link.most]}
        for link in critical_path(situation.template, worked_on)
    ]
    if any(line["action"] in {"create", "start"} for line in situation.services):
        links.append({"what": "brokers and connectors start", "minutes": list(START)})
    for service, tasks in _rolls(situation).items():
        one = tasks if service == BROKERS else 1
        least, most = _ROLL[service]
        links.append({"what": f"{service}: {tasks} tasks", "minutes": [one * least, one * most]})
    return links


def _minutes(situation: PlanInput, path: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Typical least and most minutes of applying it."""
    if not situation.change_set.changes and not _touched(situation):
        return (0, 1)
    least, most = (sum(link["minutes"][n] for link in path) for n in (0, 1))
    return max(1, least), max(2, most)


def _costs(situation: PlanInput) -> dict[str, Any]:
    def cost(parameters: Mapping[str, str], *, raised: bool) -> Cost:
        def tasks(service: str, parameter: str) -> int:
            live = situation.counts.get(service, 0)
            # Provisioning raises what stands at zero to the parameters' values.
            return live if live or not raised else int(parameters[parameter])

        size = Size.of(
            parameters,
            brokers=tasks(BROKERS, "Brokers"),
            connectors=int(parameters["Connectors"]),
        )
        return monthly_cost(size, situation.region, situation.prices)

    after = cost(situation.after, raised=True)
    before = (
        cost(situation.before, raised=False).as_dict()
        if situation.before
        else {**after.as_dict(), "total": "0.00", "items": {}, "missing": []}
    )
    return {
        "before": before,
        "after": after.as_dict(),
        "notIncluded": not_included(situation.region, situation.prices),
    }


def _backup(situation: PlanInput, preflight: Mapping[str, Any]) -> str:
    """What has to be there before the first broker is replaced, and what there is now."""
    if not _rolls(situation).get(BROKERS):
        return ""
    step = crosses_minor(situation.before, situation.after)
    seen = next(
        (
            f" Now: {one['seen']}."
            for one in preflight.get("checks", ())
            if one["name"] in {FRESH_BACKUP, WAY_BACK}
        ),
        "",
    )
    hours = backup_gate.max_age_hours(situation.before)
    what = "backup of the brokers" + (" and snapshot of the database" if step else "")
    return (
        f"Before the infrastructure changes and the first broker is replaced, a completed {what} "
        f"younger than {hours} hours ({backup_gate.PARAMETER}) is needed; where there is none, it "
        f"is taken first, and without it nothing is changed.{seen} To go without: "
        f'"{ACCEPT if step else backup_gate.ACCEPT}": true beside changeSet.'
    )


def _restore(parameters: Mapping[str, str]) -> str:
    days = min(
        int(parameters["BackupRetentionDays"]), int(parameters["DatabaseBackupRetentionDays"])
    )
    return expectation(
        parameters["ContinuousBackup"],
        parameters["BackupSchedule"],
        parameters["BackupCheckpointInterval"],
        str(days),
    )


def _stop(kind: str) -> str:
    if kind == "update":
        return (
            "Do not apply it: the plan expires automatically. Once applied, 'Cancel update' in "
            "CloudFormation rolls the stack back; tasks and their counts are not affected."
        )
    return (
        "Do not apply it: the plan expires automatically. Once applied, stop the execution; "
        "CloudFormation completes the current step, existing resources are kept, and applying or "
        "provisioning again resumes from there."
    )


def _undo(situation: PlanInput, kind: str, parameters: Sequence[Mapping[str, str | None]]) -> str:
    if kind != "update":
        confirm = json.dumps({"clusterName": situation.cluster, "confirm": situation.cluster})
        return f"Remove the cluster with the teardown machine: {confirm}"
    # Aurora never goes back to a former version.
    onward = [p["to"] for p in parameters if p["name"] == VERSION]
    stays = (
        {VERSION, *identity_provider.ONE_WAY}
        if is_one_way(situation.before, situation.after)
        else {VERSION}
    )
    former = {
        str(p["name"]): p["from"]
        for p in parameters
        if p["from"] is not None and p["name"] not in stays
    }
    tags = {str(tag["name"]): tag["from"] for tag in situation.tags}
    settings = settings_back(*situation.settings)
    provision = {"parameters": former} | ({"tags": tags} if tags else {})
    provision |= {"settings": settings} if settings else {}
    back = json.dumps({"clusterName": situation.cluster, "provision": provision})
    words = (
        f"Plan and apply the previous values: {back}"
        if former or tags or settings
        else "No parameter can be reverted."
        if onward or len(stays) > 1
        else "No parameter changes: deploy the previous version of the application, plan and apply."
    )
    if onward:
        words += f" Aurora stays at {onward[0]}: to go back, restore a snapshot into a new cluster."
    if len(stays) > 1:
        words += " The login stays oidc: to go back to passwords, provision a new cluster."
    lost = [
        change.logical_id
        for change in situation.change_set.changes
        if change.resource_type in DATA_TYPES and (change.replaces or change.action == "Remove")
    ]
    if lost:
        words += f" The data of {', '.join(lost)} is not restored that way."
    return words
