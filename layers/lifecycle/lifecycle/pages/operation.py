"""The page of an operation, from the report that is stored of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from lifecycle.pages.access import log_in, management
from lifecycle.pages.grid import drawn, of_topology, rows_of
from lifecycle.pages.look import document
from lifecycle.pages.markup import Child, Html, joined, tag
from lifecycle.pages.parts import (
    bullets,
    checks,
    checks_of,
    chip,
    code,
    costs,
    facts,
    flat,
    folded,
    note,
    paragraph,
    section,
    table,
    tiles,
)
from lifecycle.pages.plan import going_and_staying
from lifecycle.pages.read import at, lasted, part, parts, text, values
from lifecycle.pages.timeline import timeline

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERBS: Final[Mapping[str, str]] = {
    "provision": "Provisioning",
    "scale": "Scaling",
    "restart": "Restart",
    "rotate": "Rotation of passwords",
    "manage": "Way in for a limited time",
    "backup": "Backup",
    "restore": "Restore",
    "rehearse": "Rehearsal of a restore",
    "teardown": "Teardown",
}
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
_CONSOLES: Final[Mapping[str, str]] = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
# What a request carries for the machine, or is shown elsewhere.
_OF_MACHINE: Final = frozenset(
    {"cluster", "clusterName", "stack", "ecsCluster", "backup", "needsBackup"}
)
_STAGES: Final = (("before", "Before"), ("during", "During"), ("after", "After"))


def operation_page(report: Mapping[str, Any]) -> str:
    """Return the page of an operation as HTML.

    ``report`` is what ``operation.finish`` stores; any part of it may be absent. The page holds
    what the report holds, and no secret is in it.
    """
    verb = text(report, "machine")
    cluster, result = text(report, "cluster"), text(report, "result") or "UNKNOWN"
    name = _VERBS.get(verb, verb or "Operation")
    dry = part(report, "request").get("dryRun") is True
    name = f"{name} (dry run)" if dry else name
    return document(
        f"{name} of {cluster}: {result}",
        header=(tag("h1", f"{name} of {cluster} ", chip(result)), _head(report)),
        main=(
            _failure(report),
            _figures(report),
            section("Log in", log_in(part(report, "access"))),
            section("Management API", management(part(report, "managementAccess"))),
            section("Backup", _backup(part(report, "backup"))),
            section("Restored", _restored(part(report, "restored"))),
            section("Rehearsal", _rehearsal(part(report, "rehearsal"))),
            section("Compared", checks("Checks", checks_of(report, "rehearsal"))),
            section("Brokers and partitions", _topology(report)),
            section("Steps", timeline(report)),
            section("What was requested", _request(report)),
            section("Passwords", _rotations(report)),
            section("What goes and what stays", going_and_staying(part(report, "plan"))),
            section("Snapshots", bullets(code(one) for one in values(report, "snapshots"))),
            section("Verification", _verification(report)),
            section("Checks before the change", checks("Checks", checks_of(report, "preflight"))),
            section("Cost", costs(part(part(report, "verification"), "cost"))),
            section("Outputs of the stack", _outputs(report)),
            section("More", _links(report)),
        ),
        footer=paragraph(
            "All times are UTC. This page is a rendering of the report in JSON, which counts."
        ),
    )


def _head(report: Mapping[str, Any]) -> Html:
    return facts(
        ("Operation", code(text(report, "operationId")) if text(report, "operationId") else None),
        ("Started by", text(report, "startedBy") or "unknown (console or schedule)"),
        ("From", at(report.get("startedAt"))),
        ("To", at(report.get("endedAt"))),
        ("Duration", lasted(report.get("startedAt"), report.get("endedAt"))),
    )


def _restored(target: Mapping[str, Any]) -> Html:
    """Show to what a restore went; nothing for another operation."""
    if not target.get("backup"):
        return Html("")
    return facts(
        ("To", at(target.get("at"))),
        ("Backup of the brokers", code(text(target, "backup"))),
        ("Snapshot of the database", code(text(target, "snapshot"))),
        ("Database as of", at(target.get("databaseAt")) if target.get("databaseAt") else None),
        ("Number of the data", text(target, "generation")),
    )


def _rehearsal(found: Mapping[str, Any]) -> Html:
    """Show how long it took to make a cluster of the backup; nothing for another operation."""
    if not found.get("trial"):
        return Html("")
    operations, copied = part(found, "operations"), part(found, "copied")
    took = _seconds(found.get("recoverySeconds"))
    return facts(
        ("Result", chip(text(found, "result") or "UNKNOWN")),
        ("Recovery time", took or "not measured: the restore did not come to its end"),
        ("Backup of the brokers", code(text(found, "backup"))),
        ("As of", at(found.get("at")) if found.get("at") else None),
        ("Copied for it", _copied(copied) if copied else None),
        ("Trial", code(text(found, "trial"))),
        *(
            (verb.capitalize(), _child(part(operations, verb)))
            for verb in ("backup", "restore", "teardown")
            if part(operations, verb)
        ),
    )


def _child(one: Mapping[str, Any]) -> Html:
    """Name an operation that a rehearsal started, how it ended, and after how long."""
    took = _seconds(one.get("seconds"))
    return joined(
        (
            code(text(one, "operationId")),
            f" {text(one, 'status')}",
            f" after {took}" if took else None,
        )
    )


def _copied(copied: Mapping[str, Any]) -> str:
    return f"{text(copied, 'objects')} objects of the backup bucket, {text(copied, 'bytes')} bytes"


def _seconds(given: object) -> str:
    return f"{given // 60} min {given % 60} s" if isinstance(given, int) else ""


def _backup(backup: Mapping[str, Any]) -> Html:
    """Show the pair that an operation took or found; nothing where there is none."""
    if not backup.get("id"):
        return paragraph(text(backup, "reason")) if text(backup, "reason") else Html("")
    return facts(
        ("Backup of the brokers", code(text(backup, "id"))),
        ("State", text(backup, "state")),
        ("For this operation", text(backup, "status")),
        ("From", at(backup.get("at"))),
        ("Partitions", text(backup, "partitions")),
        ("Version of the brokers", text(backup, "version")),
        ("Snapshot of the database", code(text(backup, "snapshot") or "none")),
        ("Snapshot from", at(backup.get("snapshotAt")) if backup.get("snapshotAt") else None),
    )


def _failure(report: Mapping[str, Any]) -> Html:
    error = text(report, "error")
    if not error:
        return Html("")
    tone = "warn" if text(report, "result") == "PARTIAL" else "bad"
    return section(
        "Error",
        note(
            tone,
            paragraph(tag("strong", error)),
            paragraph(text(report, "cause")),
        ),
        facts(
            ("Now", text(report, "currentState")),
            ("Next step", text(report, "nextStep")),
        ),
    )


def _figures(report: Mapping[str, Any]) -> Html:
    verification = part(report, "verification")
    found = checks_of(report, "verification") or checks_of(report, "rehearsal")
    passed = sum(text(one, "result") == "PASS" for one in found)

    def counts(unit: str) -> str:
        both = part(verification, unit)
        before, after = text(both, "before"), text(both, "after")
        if before in {after, "-1"}:
            return after
        return f"{before} → {after}" if after else ""

    change = part(verification, "change")
    return tiles(
        ("recovery time", _seconds(part(report, "rehearsal").get("recoverySeconds"))),
        ("brokers", counts("brokers")),
        ("partitions", counts("partitions")),
        ("steps of Camunda's change", text(change, "operations") if change.get("id") else ""),
        ("checks passed", f"{passed} of {len(found)}" if found else ""),
    )


def _topology(report: Mapping[str, Any]) -> Html:
    seen = part(report, "topologies")
    grids = [
        of_topology(f"{title}, {at(part(seen, stage).get('at'))}", rows_of(part(seen, stage)))
        for stage, title in _STAGES
        if part(seen, stage)
    ]
    if not any(grids):
        grids = [of_topology("At the end", parts(part(report, "verification"), "topology"))]
    return drawn(grids)


def _request(report: Mapping[str, Any]) -> Html:
    request = {k: v for k, v in part(report, "request").items() if k not in _OF_MACHINE}
    return table(
        "Request",
        ("Field", "Value"),
        [(code(name), code(value)) for name, value in flat(request)],
    )


def _rotations(report: Mapping[str, Any]) -> Html:
    return table(
        "Rotations",
        ("Secret", "What happened"),
        [
            (
                text(one, "secret"),
                [
                    tag("div", f"{name}: ", code(value))
                    for name, value in flat({k: v for k, v in one.items() if k != "secret"})
                ],
            )
            for one in parts(report, "rotations")
        ],
    )


def _verification(report: Mapping[str, Any]) -> Html:
    verification = part(report, "verification")
    failure = text(verification, "failure")
    return joined(
        (
            note("bad", paragraph(failure)) if failure else None,
            checks("Checks of the verification", checks_of(report, "verification")),
        )
    )


def _outputs(report: Mapping[str, Any]) -> Html:
    outputs = part(report, "outputs")
    rows = [(code(name), code(value)) for name, value in flat(outputs)]
    return folded(f"Show {len(rows)} outputs", table("Outputs", ("Output", "Value"), rows))


def _links(report: Mapping[str, Any]) -> Html:
    cluster, operation_id = text(report, "cluster"), text(report, "operationId")
    plan = text(part(report, "request"), "changeSet") or text(part(report, "request"), "approves")
    return facts(
        ("Execution", _execution(text(part(report, "operation"), "execution_arn"))),
        ("Operation", code(f"GET /operations/{operation_id}") if operation_id else None),
        ("Health", code(f"GET /clusters/{cluster}/health") if cluster else None),
        ("Plan", code(plan) if plan else None),
        ("Report (JSON)", code(text(report, "reportKey")) if text(report, "reportKey") else None),
    )


def _execution(arn: str) -> Child:
    """Link an execution in the console of its partition; another ARN is only named.

    ``arn:<partition>:states:<region>:<account>:execution:<machine>:<name>``:
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html
    """
    if not arn:
        return None
    fields = arn.split(":")
    host = _CONSOLES.get(fields[1]) if len(fields) == 8 and fields[2] == "states" else None
    if host is None:
        return code(arn)
    region, there = quote(fields[3], safe=""), quote(arn, safe=":")
    url = f"https://{host}/states/home?region={region}#/v2/executions/details/{there}"
    return tag("a", arn, href=url, rel="noopener noreferrer")
