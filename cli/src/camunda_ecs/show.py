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


def backups(found: Mapping[str, Any]) -> list[Any]:
    """Return the backups of a cluster, one a line, and what can be restored."""
    listed = _table("backup", "state", "at", "partitions", "version", "snapshot", "restorable")
    for one in found["backups"]:
        listed.add_row(
            plain(one["id"]),
            _styled(one["state"]),
            plain(one["at"]),
            plain(one["partitions"]),
            plain(one["version"] or None),
            plain(one["snapshot"]),
            "yes" if one["restorable"] else f"no: {plain(one['why'])}",
        )
    span, cost = found["restorable"], found["cost"]
    rows = {
        "restorable": f"{span['from']} to {span['to']}"
        if span
        else "brokers and database have no time in common yet",
        **({"older": f"{found['more']} more are not listed"} if found["more"] else {}),
        **{
            f"gap of partition {one['partition']}": f"{one['from']} to {one['to']}"
            for one in found["gaps"]
        },
        **{
            f"former database {one['name']}": f"replaced {plain(one['replacedAt'])}, "
            f"{_bytes(one['bytes'])}"
            for one in found.get("former", ())
        },
        "size of the brokers' backups": _bytes(cost["bucketBytes"]),
        "size of the database's": _bytes(cost["databaseBytes"]),
        "cost per month": plain(cost["monthly"].get("total"), "not known"),
        **{f"not read: {one['part']}": one["reason"] for one in found["unreachable"]},
    }
    return [listed, fields(rows)]


def _bytes(size: int | None) -> str:
    return "not known" if size is None else f"{size / 2**30:.2f} GiB"


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
    last = report.get("rehearsal")
    if last:
        took = "not measured" if last["recoverySeconds"] is None else f"{last['recoverySeconds']} s"
        rehearsed = f"last rehearsal {last['result']} at {last['at']}, recovery time {took}"
        yield Text(plain(rehearsed), "dim")
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


def left(found: Mapping[str, Any]) -> Table:
    """Return what a cluster has left, one thing a line."""
    table = _table(plain(found["cluster"]), "id", "at")
    for one in found["things"]:
        table.add_row(plain(one["kind"]), plain(one["id"]), "")
    for one in found["snapshots"]:
        kind = f"snapshot of the database, {one['status']}"
        table.add_row(plain(kind), plain(one["name"]), plain(one["at"]))
    return table


def way_back(found: Mapping[str, Any]) -> Iterator[Table | Text]:
    """Show the backups of a cluster that is gone, and what a new one can be made of."""
    table = _table("backup", "state", "at", "partitions", "version", "why")
    for one in found["backups"]:
        table.add_row(
            plain(one["id"]),
            plain(one["state"]),
            plain(one["at"]),
            plain(one["partitions"]),
            plain(one["version"]),
            plain(one["why"]),
        )
    if found["backups"]:
        yield table
    way = found["restorable"]
    if way is None:
        yield Text(plain(f"No new cluster can be made of it: {found['why']}."), "yellow")
        return
    yield Text(
        plain(
            f"A new cluster can be made of backup {way['backup']} ({way['at']}, "
            f"{way['partitions']} partitions, {way['version']}) and snapshot {way['snapshot']} "
            f"({way['snapshotAt']})."
        )
    )
    if found["why"]:
        yield Text(plain(f"Not read: {found['why']}."), "yellow")


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


def restore_plan(found: Mapping[str, Any]) -> list[Table]:
    """Return what a dry run of a restore shows; nothing for any other operation."""
    result = found.get("result")
    plan = result.get("plan") if isinstance(result, Mapping) and result.get("dryRun") else None
    if found["kind"] != "restore" or not isinstance(plan, Mapping):
        return []
    lost, database = plan["lost"], plan["database"]
    number = plan.get("partitions")
    partitions = f", {number} partitions" if number is not None else ""
    rows = {
        "brokers go to": f"{plan['to']}, backup {plan['backup']}{partitions}",
        "database": f"snapshot {database['snapshot']}"
        if database["source"] is None
        else f"{database['source']} as it was at {database['at']}",
        "is lost": lost["text"],
        **({"is lost, counted": lost["counted"]} if lost.get("counted") else {}),
        **({"is made": plan["creates"]["text"]} if "creates" in plan else {}),
        **({"is copied": plan["copies"]} if "copies" in plan else {}),
        **{
            f"changed since {number}": f"{one['operationId']}, {one['startedAt']}"
            for number, one in enumerate(lost["operations"], 1)
        },
        "stops": plan["stops"],
        "takes": plan["minutes"]["text"],
        "stays": plan["keeps"],
        **{f"warning {number}": one for number, one in enumerate(plan["warnings"], 1)},
    }
    return [fields(rows)]


def rehearsal(found: Mapping[str, Any]) -> list[Table]:
    """Return what a rehearsal would do, or what it showed; nothing for any other operation."""
    result = found.get("result")
    if found["kind"] != "rehearse" or not isinstance(result, Mapping):
        return []
    plan, seen = result.get("plan"), result.get("rehearsal")
    rows: dict[str, object] = {}
    if result.get("dryRun") and isinstance(plan, Mapping):
        rows |= {f"step {number}": one for number, one in enumerate(plan["steps"], 1)}
        rows |= {"brokers take": f"about {plan['minutes']['brokers']} minutes"}
        rows |= {"takes": plan["minutes"]["text"], "costs": plan["cost"]}
        rows |= {f"warning {number}": one for number, one in enumerate(plan["warnings"], 1)}
    elif isinstance(seen, Mapping):
        took = seen.get("recoverySeconds")
        rows |= {"result": seen.get("result", "not known")}
        rows |= {"recovery time": "not measured" if took is None else f"{took} s"}
        rows |= {one["name"]: f"{one['result']}: {one['seen']}" for one in seen.get("checks") or ()}
    return [fields(rows)] if rows else []


def deleted(found: Mapping[str, Any]) -> list[Table]:
    """Return what an operation on backups deleted and what it could not; nothing for another."""
    result = found.get("result")
    if found["kind"] != "backup" or not isinstance(result, Mapping):
        return []
    rows: dict[str, object] = {
        f"deleted {number}": one for number, one in enumerate(result.get("deleted") or (), 1)
    }
    rows |= {"not deleted": result["problem"]} if result.get("problem") else {}
    return [fields(rows)] if rows else []


def former_plan(found: Mapping[str, Any]) -> list[Text]:
    """Return what a dry run of a deletion of former data lists; nothing for any other operation."""
    result = found.get("result")
    plan = result.get("plan") if isinstance(result, Mapping) and result.get("dryRun") else None
    if found["kind"] != "backup" or not isinstance(plan, Mapping):
        return []
    return [Text(plain(line)) for line in str(plan["text"]).splitlines()]


def headline(found: Mapping[str, Any]) -> str:
    """Return what an operation that succeeded did, in one line; a dry run did nothing."""
    result = found.get("result")
    if isinstance(result, Mapping) and result.get("dryRun") is True:
        return f"{found['cluster']}: dry run of {found['kind']} succeeded, nothing was changed"
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
    "backups": "backups",
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
