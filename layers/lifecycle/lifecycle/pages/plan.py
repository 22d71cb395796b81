"""The page of a plan: of provisioning, of scaling, of a teardown."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from lifecycle.pages.grid import drawn, of_placement
from lifecycle.pages.look import document
from lifecycle.pages.markup import Child, Html, joined, tag
from lifecycle.pages.parts import (
    as_json,
    bullets,
    checks,
    checks_of,
    chip,
    code,
    command,
    costs,
    differences,
    facts,
    money,
    note,
    paragraph,
    section,
    steps,
    table,
    tiles,
)
from lifecycle.pages.read import at, part, parts, shown, text, values

if TYPE_CHECKING:
    from collections.abc import Mapping

_KINDS: Final[Mapping[str, str]] = {
    "create": "Plan to create",
    "continue": "Plan to complete",
    "update": "Plan to update",
    "scale": "Plan to scale",
}
_STATUS: Final[Mapping[str, str]] = {
    "READY": "It can be applied until it expires, as long as the cluster stays as it was.",
    "UNCHANGED": "Nothing would be changed.",
    "REFUSED": "It cannot be applied.",
}
_LOUD: Final = ("remove", "replace", "may replace", "change", "add")
_SERVICES: Final[Mapping[str, str]] = {
    "create": "is created",
    "start": "is started from zero",
    "replace tasks": "gets a deployment",
    "change": "is changed in place; no task is replaced",
    "refused": "would need a different service",
}


def plan_page(plan: Mapping[str, Any]) -> str:
    """Return the page of a plan as HTML.

    ``plan`` is what ``plans.report.render``, ``scaling.plan.plan_scaling`` or
    ``teardown.decisions.teardown_plan`` returned, as it is stored; any part of it may be absent.
    """
    if "goes" in plan or "kept" in plan:
        return _teardown_page(plan)
    status, cluster = text(plan, "status") or "UNKNOWN", text(plan, "cluster")
    title = f"{_KINDS.get(text(plan, 'kind'), 'Plan for')} {cluster}"
    scaling = text(plan, "kind") == "scale"
    return document(
        f"{title}: {status}",
        header=(tag("h1", f"{title} ", chip(status)), _head(plan)),
        main=(
            _decision(plan),
            *(_of_scaling(plan) if scaling else _of_provisioning(plan)),
            section("Checks", checks("Checks", _checks(plan))),
            section("Adoption", checks("Checks of adoption", parts(plan, "adoption"))),
            section("Cost", costs(part(plan, "cost"))),
            section("Consequences", _consequences(plan)),
            section("Apply", _apply(plan)) if status == "READY" else None,
        ),
        footer=_FOOTER,
    )


def going_and_staying(plan: Mapping[str, Any]) -> Html:
    """Return what a teardown deletes and retains; nothing where there is no such plan."""
    kept, going = parts(plan, "kept"), part(plan, "goes")
    if not plan:
        return Html("")
    return joined(
        (
            facts(
                ("Stack", code(text(plan, "stack"))),
                ("Its state", text(plan, "stackStatus")),
                ("Trial", "yes: its buckets are emptied" if plan.get("trial") is True else None),
            ),
            tag("h3", "Deleted") if going else paragraph("Nothing is deleted."),
            table(
                "Deleted",
                ("Kind of resource", "Number"),
                [(code(kind), shown(number)) for kind, number in going.items()],
                kinds={1: "number"},
            ),
            tag("h3", "Retained") if kept else paragraph("Nothing is retained."),
            table(
                "Retained",
                ("Resource", "Per month", "To delete it"),
                [
                    (
                        (f"{text(one, 'what')} ", code(text(one, "id"))),
                        joined((_monthly(one, text(plan, "currency")),)),
                        code(text(one, "howToDelete")),
                    )
                    for one in kept
                ],
            ),
            paragraph(_retention(plan)) if kept else None,
        )
    )


def _monthly(one: Mapping[str, Any], currency: str) -> str:
    known, price = text(one, "monthlyCost"), text(one, "price")
    return f"{known} {currency} ({price})" if known else price


def _retention(plan: Mapping[str, Any]) -> str:
    total = f"{text(plan, 'monthlyCost')} {text(plan, 'currency')} a month"
    unknown = ", ".join(shown(one) for one in values(plan, "notPriced"))
    if unknown:
        return f"Retention costs at least {total} at the current size; unknown for {unknown}."
    return f"Retention costs {total} at the current size."


def _teardown_page(plan: Mapping[str, Any]) -> str:
    name = text(plan, "cluster") or text(plan, "stack")
    title, status = f"Plan to remove {name}", text(plan, "status")
    return document(
        f"{title}: {status}" if status else title,
        header=(tag("h1", f"{title} ", chip(status) if status else None), _head(plan)),
        main=(
            section("What goes and what stays", going_and_staying(plan)),
            section("Apply", _apply(plan)) if status == "READY" else None,
        ),
        footer=_FOOTER,
    )


def _head(plan: Mapping[str, Any]) -> Html:
    author = text(plan, "author") or "unknown (console or schedule)"
    fingerprint = text(part(plan, "fingerprint"), "sha256")
    return facts(
        ("Plan", code(text(plan, "operationId")) if text(plan, "operationId") else None),
        ("Stack", text(plan, "stack")),
        ("Region", text(plan, "region")),
        ("Created", f"{at(plan.get('madeAt'))} by {author}" if plan.get("madeAt") else None),
        (
            "Can be applied until",
            at(plan.get("expiresAt")) if text(plan, "status") == "READY" else None,
        ),
        ("Fingerprint", code(fingerprint) if fingerprint else None),
    )


def _decision(plan: Mapping[str, Any]) -> Html:
    status, refusal = text(plan, "status"), text(plan, "refusal")
    told = _STATUS.get(status, status or "Its state is not known.")
    if status == "READY" and text(plan, "kind") == "scale":
        told = "Camunda accepts it in a dry run; everything is checked again when it is applied."
    tone = {"READY": "good", "REFUSED": "bad"}.get(status, "info")
    words = [one for one in refusal.split("; ") if one]
    return joined(
        (
            note(
                tone,
                paragraph(tag("strong", told)),
                bullets(words) if len(words) > 1 else paragraph(refusal),
            ),
            [note("warn", paragraph(shown(one))) for one in values(plan, "warnings")],
        )
    )


# --- provisioning ------------------------------------------------------------------------------


def _of_provisioning(plan: Mapping[str, Any]) -> list[Html]:
    return [
        _figures(plan),
        section("Data", _data(plan)),
        section("Services", _services(plan)),
        section("Images", _images(plan)),
        section("Parameters", differences("Parameters", parts(plan, "parameters"))),
        section("Settings of the services", differences("Settings", parts(plan, "settings"))),
        section("Tags", differences("Tags", parts(plan, "tags"))),
        section("Resources", _resources(plan)),
        section("Duration", _duration(plan)),
    ]


def _figures(plan: Mapping[str, Any]) -> Html:
    counts = part(plan, "counts")
    words = ", ".join(f"{shown(n)} {action}" for action, n in counts.items() if n)
    cost = part(plan, "cost")
    both = [money(part(cost, which)) for which in ("before", "after") if part(cost, which)]
    minutes = values(plan, "minutes")
    return tiles(
        ("resources", words or ("none" if counts else "")),
        ("minutes, typically", " to ".join(shown(one) for one in minutes)),
        ("fixed cost per month", " → ".join(both)),
        ("tasks replaced", _tasks(plan)),
    )


def _tasks(plan: Mapping[str, Any]) -> str:
    return ", ".join(f"{shown(n)} {service}" for service, n in part(plan, "rolls").items())


def _data(plan: Mapping[str, Any]) -> Html:
    found = values(plan, "data")
    if found:
        return note("bad" if _loses(plan) else "warn", bullets(shown(one) for one in found))
    none_yet = text(plan, "kind") == "create"
    return paragraph("None yet." if none_yet else "No stateful resource is affected.")


def _loses(plan: Mapping[str, Any]) -> bool:
    return any(
        one.get("holdsData") is True and text(one, "action") in {"remove", "replace", "may replace"}
        for one in parts(plan, "changes")
    )


def _services(plan: Mapping[str, Any]) -> Html:
    lines: list[Html] = []
    for one in parts(plan, "services"):
        action = text(one, "action")
        if action in {"none", ""}:
            continue
        count = text(part(one, "count"), "after")
        tasks = f", {count} tasks" if action in {"create", "start"} and count else ""
        found = parts(one, "differences")
        lines += [
            tag("h3", text(one, "service"), " ", chip(action)),
            paragraph(f"It {_SERVICES.get(action, action)}{tasks}."),
            table(
                f"Differences of {text(one, 'service')}",
                ("Property", "Before", "After", ""),
                [
                    (
                        code(text(line, "property")),
                        code(shown(line.get("from"))),
                        code(shown(line.get("to"))),
                        "already so" if line.get("already") is True else "",
                    )
                    for line in found
                ],
            ),
        ]
    tasks = _tasks(plan)
    rolls = (
        f"Replaced tasks: {tasks}. Brokers are replaced one at a time, highest id first; the next "
        "one follows when every partition has its leader and all replicas again."
        if tasks
        else None
    )
    return joined((lines, paragraph(rolls)))


def _images(plan: Mapping[str, Any]) -> Html:
    rows: list[tuple[Child, ...]] = []
    for one in parts(plan, "images"):
        digest = text(one, "digest") or f"unknown: {text(one, 'unknown')}"
        running = [
            tag("div", code(text(task, "digest") or f"unknown: {text(task, 'reason')}"))
            for task in parts(one, "running")
        ]
        wanted = (code(text(one, "image")), tag("div", code(digest)))
        rows.append((text(one, "service"), running or "nothing", wanted))
    return table("Images", ("Service", "Runs", "Is to run"), rows)


def _resources(plan: Mapping[str, Any]) -> Html:
    order = {action: n for n, action in enumerate(_LOUD)}

    def rank(one: Mapping[str, Any]) -> tuple[int, str, str]:
        return order.get(text(one, "action"), 0), text(one, "type"), text(one, "resource")

    return table(
        "Resources",
        ("Resource", "Action", "Type", "Properties"),
        [
            (
                code(text(one, "resource")),
                (chip(text(one, "action")), " holds data" if one.get("holdsData") is True else ""),
                code(text(one, "type")),
                ", ".join(shown(name) for name in values(one, "properties")),
            )
            for one in sorted(parts(plan, "changes"), key=rank)
        ],
    )


def _duration(plan: Mapping[str, Any]) -> Html:
    return table(
        "What decides the duration, one after the other",
        ("What", "Minutes, typically"),
        [
            (text(one, "what"), " to ".join(shown(each) for each in values(one, "minutes")))
            for one in parts(plan, "path")
        ],
        kinds={1: "number"},
    )


# --- scaling -----------------------------------------------------------------------------------


def _of_scaling(plan: Mapping[str, Any]) -> list[Html]:
    unit = text(plan, "unit") or "brokers"
    placement = part(plan, "placement")
    before, after = part(placement, "before"), part(placement, "after")
    idle = values(plan, "brokersWithoutPartition")
    cost = part(plan, "cost")
    both = [money(part(cost, which)) for which in ("before", "after") if part(cost, which)]
    steps_of_camunda = values(plan, "operations")
    return [
        tiles(
            (unit, f"{shown(plan.get('from'))} → {shown(plan.get('to'))}"),
            ("steps of Camunda's change", str(len(steps_of_camunda))),
            ("fixed cost per month", " → ".join(both)),
        ),
        section(
            "Brokers and partitions",
            drawn(
                [
                    of_placement("Before", before),
                    of_placement("After", after, idle) if after != before or idle else None,
                ]
            ),
            _moves(plan),
            paragraph(
                f"Without a partition afterwards: broker {', '.join(shown(one) for one in idle)}."
                if idle
                else None
            ),
        ),
        section("What is done", steps(shown(one) for one in values(plan, "next"))),
        section("Camunda's own plan (dry run)", steps(shown(one) for one in steps_of_camunda)),
    ]


def _moves(plan: Mapping[str, Any]) -> Html:
    def names(one: Mapping[str, Any], which: str) -> str:
        return ", ".join(shown(broker) for broker in values(one, which)) or "none"

    return table(
        "Partitions that move",
        ("Partition", "Joins broker", "Leaves broker"),
        [
            (text(one, "partition"), names(one, "joins"), names(one, "leaves"))
            for one in parts(plan, "moves")
        ],
    )


# --- both --------------------------------------------------------------------------------------


def _checks(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*checks_of(plan, "preflight"), *parts(plan, "checks")]


def _consequences(plan: Mapping[str, Any]) -> Html:
    applies = text(plan, "status") == "READY"
    return facts(
        ("Restore", text(plan, "restore")),
        ("Backup", text(plan, "backup")),
        ("To stop", text(plan, "stop") if applies else ""),
        ("To undo", text(plan, "undo") if applies else ""),
    )


def _apply(plan: Mapping[str, Any]) -> Html:
    given = part(plan, "apply")
    cluster = text(given, "clusterName") or text(plan, "cluster")
    body = {name: value for name, value in given.items() if name != "clusterName"}
    kind = text(plan, "kind")
    path = f"/{text(plan, 'unit') or 'brokers'}" if kind == "scale" else ""
    machine = {"scale": "ScaleMachine", "teardown": "TeardownMachine"}.get(kind, "ProvisionMachine")
    method = "DELETE" if kind == "teardown" else "PUT"
    return joined(
        (
            paragraph("With the API:"),
            command(f"{method} /clusters/{cluster}{path}\n{as_json(body)}"),
            paragraph(
                "Or start the machine in the output ", code(machine), " of the control stack:"
            ),
            command(
                "aws stepfunctions start-execution --state-machine-arn "
                f"<{machine}> --input {shlex.quote(as_json(given))}"
            ),
            paragraph(
                "Where a second person has to approve: add ",
                code(f'"approves": {as_json(text(plan, "operationId"))}'),
                ".",
            )
            if kind in {"scale", "teardown"}
            else None,
        )
    )


_FOOTER: Final = paragraph(
    "All times are UTC. This page is a rendering of the plan in JSON, which counts."
)
