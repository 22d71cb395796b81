"""A plan as plain text, to be pasted into a change ticket."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

from lifecycle.services.definition import BROKERS, CONNECTORS, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

_WIDTH: Final = 96
_KIND: Final[Mapping[str, str]] = {
    "create": "creates a new cluster",
    "continue": "completes a cluster whose creation did not finish",
    "update": "updates a running cluster; task counts and broker ids stay",
}
_LOUD: Final = ("remove", "replace", "may replace")
_COUNTED: Final[Mapping[str, str]] = {
    "add": "to add",
    "change": "to change",
    "replace": "to replace",
    "may replace": "that may be replaced",
    "remove": "to remove",
}


def plan_text(plan: Mapping[str, Any]) -> str:
    """Render the plan of ``plans.report.render`` as text that ends with a newline."""
    lines = [
        f"Plan {plan['operationId']}",
        f"Cluster {plan['cluster']}, stack {plan['stack']}, {plan['region']}",
        f"Action: {_KIND[plan['kind']]}",
        (
            f"Created {plan['madeAt']} by "
            f"{plan['author'] or 'unknown (started from the console or a schedule)'}"
        ),
        *([f"Can be applied until {plan['expiresAt']}"] if plan["status"] == "READY" else []),
        f"Fingerprint {plan['fingerprint']['sha256']}",
        "",
    ]
    if plan["refusal"]:
        lines += [*_wrapped("REFUSED: " + plan["refusal"]), ""]
    if plan["status"] == "UNCHANGED":
        lines += ["No changes.", ""]
    lines += [line for text in plan["warnings"] for line in _wrapped("WARNING: " + text)]
    lines += [""] if plan["warnings"] else []
    lines += [*_data(plan), *_services(plan), *_rolls(plan), *_images(plan), *_parameters(plan)]
    lines += [*_settings(plan), *_tags(plan)]
    lines += _changes(plan)
    lines += _checks(plan)
    least, most = plan["minutes"]
    lines += [*_wrapped(f"Expected duration: {least} to {most} minutes{_path(plan)}."), ""]
    lines += [*_cost(plan["cost"]), ""]
    lines += [*_wrapped(plan["restore"]), ""]
    lines += [*_wrapped(plan["backup"]), ""] if plan["backup"] else []
    if plan["status"] == "READY":
        lines += [*_wrapped("To stop: " + plan["stop"]), *_wrapped("To undo: " + plan["undo"])]
        lines += ["", "To apply, start the provision machine with:", _json(plan["apply"])]
    return "\n".join(lines) + "\n"


def _path(plan: Mapping[str, Any]) -> str:
    links = [
        f"{link['what']} {link['minutes'][0]} to {link['minutes'][1]}" for link in plan["path"]
    ]
    return f", in sequence: {', '.join(links)}" if links else ""


def _json(value: Mapping[str, Any]) -> str:
    inner = ", ".join(f'"{key}": "{text}"' for key, text in value.items())
    return f"{{{inner}}}"


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _data(plan: Mapping[str, Any]) -> list[str]:
    if plan["kind"] == "create":
        return ["Data: none yet.", ""]
    if not plan["data"]:
        return ["Data: no stateful resource is affected.", ""]
    lines = [line for sentence in plan["data"] for line in _wrapped(sentence, "  ")]
    return ["Data:", *lines, ""]


def _rolls(plan: Mapping[str, Any]) -> list[str]:
    reasons = {
        BROKERS: "brokers are replaced one at a time, highest id first; the next one follows "
        "when every partition has its leader and all replicas again",
        CONNECTORS: "connectors tasks are replaced, after the brokers",
    }
    lines = [
        line
        for service, tasks in plan["rolls"].items()
        for line in _wrapped(f"{tasks} {reasons[service]}.", "  ")
    ]
    return ["Restarts:", *lines, ""] if lines else []


_ACTIONS: Final[Mapping[str, str]] = {
    "create": "is created",
    "start": "is started from zero",
    "replace tasks": "gets a deployment",
    "change": "is changed in place; no task is replaced",
    "refused": "would need a different service",
}


def _services(plan: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for line in plan["services"]:
        if line["action"] == "none":
            continue
        count = line["count"]
        tasks = f", {count['after']} tasks" if line["action"] in {"create", "start"} else ""
        lines += _wrapped(f"{line['service']} {_ACTIONS[line['action']]}{tasks}", "  ")
        for one in line["differences"]:
            now = " (already so: changed manually or by an earlier operation)"
            text = f"{one['property']}: {shown(one['from'])} -> {shown(one['to'])}"
            lines += _wrapped(text + (now if one["already"] else ""), "    ")
    return ["Services:", *lines, ""] if lines else []


def _images(plan: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for line in plan["images"]:
        lines += _wrapped(f"{line['service']}: {line['image']}", "  ")
        lines += _wrapped(f"is {line['digest'] or 'unknown: ' + line['unknown']}", "    ")
        for one in line["running"]:
            image = f" ({one['image']})" if one["image"] not in {None, line["image"]} else ""
            lines += _wrapped(f"runs {one['digest'] or 'unknown: ' + one['reason']}{image}", "    ")
    return ["Images:", *lines, ""] if lines else []


def _parameters(plan: Mapping[str, Any]) -> list[str]:
    changed = [p for p in plan["parameters"] if p["from"] or p["to"]]
    if not changed:
        return []
    lines = ["Parameters:"]
    for parameter in changed:
        name, before, after = parameter["name"], parameter["from"], parameter["to"]
        arrow = f"{after!r}" if before is None else f"{before!r} -> {after!r}"
        lines += _wrapped(f"{name}: {arrow}", "  ")
    return [*lines, ""]


def _settings(plan: Mapping[str, Any]) -> list[str]:
    if not plan["settings"]:
        return []
    lines = ["Settings of the services:"]
    for one in plan["settings"]:
        before, after = ("none" if one[n] is None else repr(one[n]) for n in ("from", "to"))
        lines += _wrapped(f"{one['name']}: {before} -> {after}", "  ")
    return [*lines, ""]


def _tags(plan: Mapping[str, Any]) -> list[str]:
    if not plan["tags"]:
        return []
    lines = ["Tags:"]
    for tag in plan["tags"]:
        before, after = (repr(tag[which]) if tag[which] else "none" for which in ("from", "to"))
        lines += _wrapped(f"{tag['name']}: {before} -> {after}", "  ")
    return [*lines, ""]


def _changes(plan: Mapping[str, Any]) -> list[str]:
    counts = plan["counts"]
    shown = ", ".join(
        f"{number} {_COUNTED.get(action, action)}" for action, number in counts.items() if number
    )
    lines = [f"Resources: {shown or 'none'}"]
    order = {action: n for n, action in enumerate((*_LOUD, "change", "add"))}
    for change in sorted(
        plan["changes"], key=lambda c: (order.get(c["action"], 0), c["type"], c["resource"])
    ):
        mark = "!" if change["action"] in _LOUD else " "
        what = f" ({', '.join(change['properties'])})" if change["properties"] else ""
        text = f"{mark} {change['action']:11} {change['resource']} {change['type']}{what}"
        lines += _wrapped(text, "  ")
    return [*lines, ""]


def _checks(plan: Mapping[str, Any]) -> list[str]:
    checks = plan["preflight"].get("checks", [])
    notable = [check for check in checks if check["result"] != "PASS"]
    lines = [f"Preflight: {len(checks) - len(notable)} of {len(checks)} checks passed"]
    for check in notable:
        lines += _wrapped(
            f"{check['result']} {check['name']}: {check['seen']} ({check['remedy']})", "  "
        )
    return [*lines, ""]


def _cost(cost: Mapping[str, Any]) -> list[str]:
    after = cost["after"]
    currency, as_of = after["currency"], after["asOf"]
    if as_of is None:
        return [f"Cost per month: {after['missing'][0]}"]
    before = _total(cost["before"])
    lines = [
        f"Fixed cost per month: {before} before, {_total(after)} after",
        f"  {currency}, list prices of {as_of}; after:",
    ]
    lines += [f"  {name}: {amount}" for name, amount in after["items"].items()]
    lines += [f"  {missing}" for missing in after["missing"]]
    return [*lines, *_wrapped(f"Not included: {cost['notIncluded']}.", "  ")]


def _total(cost: Mapping[str, Any]) -> str:
    return cost["total"] if cost["total"] is not None else "no total"
