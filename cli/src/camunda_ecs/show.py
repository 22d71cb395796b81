"""How documents of the API are shown to people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from camunda_ecs.api import Answer
from camunda_ecs.ends import Code
from camunda_ecs.rights import right

STYLES: Final = {
    "HEALTHY": "bold green",
    "PROVISIONING": "bold cyan",
    "DEGRADED": "bold yellow",
    "DOWN": "bold red",
    "UNKNOWN": "bold magenta",
    "INFO": "dim",
    "PASS": "green",
    "WARN": "yellow",
    "FAIL": "bold red",
    "SUCCEEDED": "green",
    "RUNNING": "cyan",
    "FAILED": "bold red",
    "TIMED_OUT": "bold red",
    "ABORTED": "yellow",
}
VERDICTS: Final = {"HEALTHY": Code.DONE, "DEGRADED": Code.DEGRADED, "DOWN": Code.DOWN}
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(value: object, absent: str = "-") -> str:
    """Return a value as text that cannot control a terminal."""
    return absent if value is None else _CONTROL.sub("�", str(value))


def _styled(value: object) -> Text:
    return Text(plain(value), style=STYLES.get(str(value), ""))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def fields(rows: Mapping[str, object]) -> Table:
    """Return names and values in two columns."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value if isinstance(value, Text) else plain(value))
    return table


def clusters(lines: Sequence[Mapping[str, Any]]) -> Table:
    """Return the clusters of a control plane, one a line."""
    table = _table(
        *("cluster", "verdict", "stack", "brokers", "version", "operation", "frozen", "USD/month")
    )
    for one in lines:
        brokers = one.get("brokers") or {}
        table.add_row(
            plain(one.get("name")),
            _styled(one.get("verdict")),
            plain(one.get("status")),
            f"{plain(brokers.get('joined'))} of {plain(brokers.get('declared'))}",
            plain(one.get("version")),
            plain(_operation_id(one.get("operation"))),
            plain(one.get("frozen")),
            plain(one.get("monthlyCost")),
        )
    return table


def _operation_id(operation: Any) -> object:
    return operation.get("operationId") if isinstance(operation, Mapping) else operation


def _counted(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{plain(number)} {name}" for name, number in counts.items())


def cluster(found: Mapping[str, Any]) -> Iterator[Table | Text]:
    """Show a cluster: its parts, then the topology."""
    last, change = found.get("lastOperation"), found.get("pendingChange")
    waiting = "none"
    if change is not None:
        done = f"{change['done']} of {change['planned']}"
        waiting = f"{done}, next {plain(change['next'], 'nothing')}"
    yield fields(
        {
            "cluster": found["name"],
            "stack": f"{plain(found['stack'])} {plain(found['status'])}",
            **({"reason": found["statusReason"]} if found.get("statusReason") else {}),
            "brokers": _counted(found["brokers"]),
            "connectors": _counted(found["connectors"]),
            "REST, web": found["restUrl"],
            "gRPC": found["grpcEndpoint"],
            "frozen": plain(found["frozen"], "no"),
            "pending change": waiting,
            "last operation": "none"
            if last is None
            else f"{plain(last['operationId'])} {plain(last['status'])}",
        }
    )
    for one in found.get("topology") or ():
        yield Text(plain(broker_line(one)))
    for one in found.get("unreachable") or ():
        yield Text(f"{plain(one['part'])} did not respond: {plain(one['reason'])}", style="yellow")


def state(found: Mapping[str, Any]) -> str:
    """Return what a cluster is at present, on one line."""
    frozen = f"frozen: {found['frozen']}" if found.get("frozen") else "not frozen"
    return plain(f"stack {found['status']}, brokers {_counted(found['brokers'])}, {frozen}")


def broker_line(row: Mapping[str, Any]) -> str:
    """Return a broker of the topology with its partitions on one line."""
    held = row.get("partitions") or {}
    order = sorted(held.items(), key=lambda one: int(one[0]))
    partitions = ", ".join(f"{number} {str(one['role']).lower()}" for number, one in order)
    return f"broker {row['broker']} ({row.get('host')}): {partitions or 'no partition'}"


def health(report: Mapping[str, Any]) -> Iterator[Text]:
    """Show a health report: the verdict, then findings as they come, worst first."""
    verdict = report["verdict"]
    head = Text.assemble(plain(report["cluster"]), " is ", (verdict, STYLES.get(verdict, "")))
    age = "" if report.get("fresh") else f", {report['ageSeconds']} s ago"
    head.append(f"   checked {report['checkedAt']}{age}, in {report['seconds']:.1f} s", "dim")
    yield head
    for one in report["findings"]:
        severity = one["severity"]
        yield Text.assemble((f"{severity:9}", STYLES.get(severity, "")), one["code"])
        yield Text(plain(f"          {one['title']}: {one['seen']}"))
        if severity == "INFO":
            if one.get("explainedBy"):
                yield Text(plain(f"          explained by: {one['explainedBy']}"), "dim")
            continue
        yield Text(plain(f"          expected: {one['expected']}"), "dim")
        yield Text(plain(f"          do: {one['remedy']} ({one['runbook']})"))
        if one.get("transient"):
            yield Text(plain(f"          {one['transient']}"), "dim")


def operations(lines: Sequence[Mapping[str, Any]]) -> Table:
    """Return operations, one a line, as they come: newest first."""
    table = _table("operation", "status", "started", "ended", "by")
    for one in lines:
        table.add_row(
            plain(one["operationId"]),
            _styled(one["status"]),
            plain(one["startedAt"]),
            plain(one["endedAt"]),
            plain(one["startedBy"]),
        )
    return table


def operation(found: Mapping[str, Any]) -> Iterator[Table | Text]:
    """Show a whole operation: who, when, its steps and its end."""
    progress = found["progress"]
    planned = progress["planned"]
    yield fields(
        {
            "operation": found["operationId"],
            "cluster": found["cluster"],
            "status": _styled(found["status"]),
            "started": f"{plain(found['startedAt'])} by {plain(found['startedBy'], 'unknown')}",
            "ended": found["endedAt"],
            "steps": f"{progress['done']}" + (f" of {planned}" if planned is not None else ""),
            "step": progress["step"],
            "detail": progress["detail"],
            "report": found.get("reportKey"),
        }
    )
    for one in progress["timeline"]:
        yield Text(f"{plain(one['at'])}  {plain(one['step'])}", style="dim")
    yield from end(found)


def end(found: Mapping[str, Any]) -> Iterator[Text]:
    """Show how an operation ended: its checks and topology, or its error with the next step."""
    status = found["status"]
    error = found.get("error")
    if error:
        yield Text(plain(f"{error['name']}: {error['cause']}"), style="bold red")
        if error.get("currentState"):
            yield Text(plain(f"  state: {error['currentState']}"))
        yield Text(plain(f"  next step: {error['nextStep']}"))
        return
    if status != "SUCCEEDED":
        return
    yield Text(plain(headline(found)), style="bold green")
    result = found.get("result")
    seen = result.get("verification") if isinstance(result, Mapping) else None
    if not isinstance(seen, Mapping):
        return
    for check in seen.get("checks") or ():
        outcome = str(check["result"])
        yield Text.assemble(
            (f"{outcome:5}", STYLES.get(outcome, "")), plain(f"{check['name']}: {check['seen']}")
        )
    for row in seen.get("topology") or ():
        yield Text(plain(f"      {broker_line(row)}"))


def headline(found: Mapping[str, Any]) -> str:
    """Return what an operation that succeeded did, in one line."""
    result = found.get("result")
    seen = result.get("verification") if isinstance(result, Mapping) else None
    done = f"{found['cluster']}: {found['kind']} succeeded"
    if isinstance(seen, Mapping) and isinstance(seen.get("unit"), str):
        counted = seen.get(seen["unit"])
        if isinstance(counted, Mapping) and {"before", "after"} <= counted.keys():
            done = f"{found['cluster']}: {counted['before']} → {counted['after']} {seen['unit']}"
    return done


_COSTS: Final = {
    "controlPlane": "control plane",
    "cluster": "cluster",
    "monitoring": "monitoring of the cluster",
}


def cost(found: Mapping[str, Any]) -> Iterator[Table | Text]:
    """Show what is paid per month: each part, the total or what it lacks, and what usage adds."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("of")
    table.add_column("part")
    table.add_column(f"{found['currency']}/month", justify="right")
    for name, title in _COSTS.items():
        for part, amount in found[name]["items"].items():
            table.add_row(title, part, amount)
    total = "not known" if found["total"] is None else found["total"]
    table.add_row("total", f"before usage, in {plain(found['region'])}", total, style="bold")
    yield table
    for one in found["missing"]:
        yield Text(plain(one), style="bold red")
    if found["asOf"]:
        yield Text(f"List prices of {found['asOf']}, not those of today.", style="dim")
    yield Text(f"Usage adds: {found['notIncluded']}.", style="dim")


def problem(answer: Answer, method: str, path: str) -> list[str]:
    """Return a refusal as lines: what, each field, what to do next, and the missing right."""
    found = answer.document if isinstance(answer.document, Mapping) else {}
    name = found.get("error") or found.get("title") or f"HTTP {answer.status}"
    detail = found.get("detail") or found.get("message")
    lines = [f"{name}: {detail}" if detail else f"{name} (HTTP {answer.status})"]
    lines += [
        f"  {one['field']}: given {one['given']}; allowed: {one['allowed']}"
        for one in found.get("errors") or ()
    ]
    if answer.status == 403 and "error" not in found:
        lines += missing_right(method, path)
    if found.get("nextStep"):
        lines.append(f"  next step: {found['nextStep']}")
    for field, label in (("operationId", "operation"), ("requestId", "request id")):
        if found.get(field):
            lines.append(f"  {label}: {found[field]}")
    return [plain(line) for line in lines]


def missing_right(method: str, path: str) -> list[str]:
    """Return which right a refused request needs, and who has it."""
    pattern, having = right(method, path)
    lines = [f"  request: {method} {path}", f"  right: execute-api:Invoke on …/{pattern}"]
    if having:
        lines.append(f"  ready policies that have it: {', '.join(having)} (docs/policies)")
    lines.append(
        "  Also refused: a wrong or expired signature, an address outside of ApiAllowedCidrs, an "
        "API without this route."
    )
    return lines
