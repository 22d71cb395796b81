"""Compose messages: pure functions from what occurred to a subject and a text, or to no message.

Nothing of a request, of an error's message or of a secret is in a text: an event's names, times and
findings only. What does not have the form of an event of this control plane is not sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import lifecycle.errors as known_errors
from lifecycle.cluster.names import is_cluster_name
from lifecycle.errors import InvalidRequest, LifecycleError
from lifecycle.health.catalog import KINDS, Severity, Verdict, rank
from lifecycle.operation.cancel import CANCELLED
from lifecycle.times import written

if TYPE_CHECKING:
    from lifecycle.messages.place import Place

# "less than 100 characters": https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
SUBJECT_MOST: Final = 99
FINDINGS_MOST: Final = 5
# An end that is published again after a crash of the function that publishes it has a later time.
REPEATED: Final = timedelta(minutes=10)
NOTIFY_FROM: Final = {"degraded": Verdict.DEGRADED, "down": Verdict.DOWN}
"""Values of the parameter ``NotifyFrom``: the least verdict of which a message is sent."""

LONG: Final[Mapping[str, timedelta]] = {
    "plan": timedelta(minutes=15),
    "provision": timedelta(minutes=60),
    "scale": timedelta(minutes=120),
    "restart": timedelta(minutes=90),
    "rotate": timedelta(minutes=60),
    "manage": timedelta(minutes=15),
    "backup": timedelta(minutes=90),
    "restore": timedelta(minutes=120),
    "rehearse": timedelta(minutes=240),
    "teardown": timedelta(minutes=60),
}
"""By machine: after this time without an end, counted from the start or the last redrive, a message
is sent once."""

_CUT_SHORT: Final = frozenset({"TIMED_OUT", "ABORTED"})
_ENDS: Final = {
    "FAILED": "failed",
    "PARTIAL": "is partly done: the infrastructure is complete, the services are not",
    "TIMED_OUT": "timed out",
    "ABORTED": "was aborted",
}
# Heading of the runbook, for an end that has no error of this package.
_UNFINISHED: Final = "an-execution-that-was-aborted-or-timed-out"
_REPEAT: Final = (
    "Read the report, then start the same operation again; it resumes where it stopped."
)
_APPROVE: Final = (
    "Read the plan in the report. Another principal than its author applies it within a day "
    "(docs/plans.md, two people)"
)
_FOLLOW: Final = (
    "Read in the report which step it is in and what it waits for. Let it end; before its first "
    "change it can be cancelled (POST /operations/{id}/cancel, camunda-ecs cancel)."
)
_FOLLOW_PLAN: Final = (
    "Read in the report which step it is in and what it waits for. Let it end; a plan changes "
    "nothing."
)
_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:states:[a-z0-9-]+:\d{12}:execution:[A-Za-z0-9_.:-]{1,300}"
)


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    ``key`` and ``about`` (when what it is about occurred) identify it: a message with the same key
    is another one if it is about something more than ``apart`` later. With ``value`` it is another
    one if the value of the last one was different. ``cluster`` is empty for one of all clusters.
    ``state`` is what the message reports its object to be in. With ``after_another_state`` it is
    only for a recipient whose last message with the key reported another state.
    """

    key: str
    about: datetime
    cluster: str
    subject: str
    text: str
    apart: timedelta = timedelta()
    value: str = ""
    state: str = ""
    after_another_state: bool = False


def ended(
    detail: Mapping[str, object], resources: Sequence[object], place: Place
) -> Message | None:
    """Compose the message on *Lifecycle Operation Ended*; None for one that succeeded."""
    result, machine, name = (_name(detail, one) for one in ("result", "machine", "operationId"))
    cluster, at = _cluster(detail), _moment(detail, "endedAt")
    if result not in _ENDS or not machine or not name or not cluster or at is None:
        return None
    error = _name(detail, "error")
    if result == "ABORTED" and error == CANCELLED:
        return _cancelled(detail, resources, place, at)
    entry = error if _is_error(error) else _UNFINISHED if result in _CUT_SHORT else ""
    shown = f" ({error})" if error and error != result else ""
    first = f"{cluster}: {machine} {_ENDS[result].partition(':')[0]}{shown}"
    lines = [
        f"What: {machine} of cluster {cluster} {_ENDS[result]}{shown}.",
        f"Since: {written(at)} (started {_text(detail, 'startedAt')}).",
        f"Do: {_next_step(error)}",
        *_operation_links(place, name, _execution(resources), entry),
    ]
    key = f"ended/{machine}/{name}/{result}"
    return _message(place, key, at, lines, cluster=cluster, first=first, apart=REPEATED)


def _cancelled(
    detail: Mapping[str, object], resources: Sequence[object], place: Place, at: datetime
) -> Message:
    cluster, machine, name = (_name(detail, one) for one in ("cluster", "machine", "operationId"))
    first = f"{cluster}: {machine} was cancelled"
    lines = [
        f"What: {machine} of cluster {cluster} was cancelled before its first change.",
        f"Since: {written(at)} (started {_text(detail, 'startedAt')}).",
        "Do: Nothing. In the cluster, nothing was changed.",
        *_operation_links(place, name, _execution(resources), ""),
    ]
    key = f"ended/{machine}/{name}/ABORTED"
    return _message(place, key, at, lines, cluster=cluster, first=first, apart=REPEATED)


def plan_failed(detail: Mapping[str, object], place: Place) -> Message | None:
    """Compose the message on a plan whose execution did not succeed; None for a rejected request.

    A rejected request is answered to its sender, and the API has no operation of it. ``detail`` is
    that of Step Functions' *Execution Status Change*.
    """
    found = _of_execution(detail)
    status = _name(detail, "status")
    if found is None or status not in _ENDS:
        return None
    cluster, name, arn, at = found
    error = _name(detail, "error")
    if error == InvalidRequest.__name__:
        return None
    shown = f" ({error})" if error else ""
    lines = [
        f"What: a plan of cluster {cluster} {_ENDS[status]}{shown}. Nothing was changed.",
        f"Since: {written(at)}.",
        "Do: Correct what the execution's cause names, then plan again.",
        *_operation_links(place, name, arn, error if _is_error(error) else ""),
    ]
    first = f"{cluster}: plan {_ENDS[status]}{shown}"
    key = f"plan/{name}/{status}"
    return _message(place, key, at, lines, cluster=cluster, first=first, apart=REPEATED)


def awaits_approval(detail: Mapping[str, object], machine: str, place: Place) -> Message | None:
    """Compose the message on a plan that a second principal has to apply.

    ``detail`` is that of Step Functions' *Execution Status Change*, ``machine`` what applies it.
    """
    found = _of_execution(detail)
    if found is None:
        return None
    cluster, name, arn, at = found
    lines = [
        f"What: a plan to {machine} cluster {cluster} waits for a second principal.",
        f"Since: {written(at)}.",
        f"Do: {_APPROVE}, naming {name}.",
        *_operation_links(place, name, arn, ""),
    ]
    first = f"{cluster}: a plan to {machine} waits for approval"
    key = f"approval/{name}"
    return _message(place, key, at, lines, cluster=cluster, first=first, apart=REPEATED)


def still_running(
    place: Place, machine: str, *, name: str, arn: str, cluster: str, started: datetime
) -> Message | None:
    """Compose the message on an execution that runs longer than its machine's time.

    ``started`` is its start or its last redrive.
    """
    minutes = int(LONG[machine].total_seconds() // 60)
    if not _NAME.fullmatch(name) or not is_cluster_name(cluster):
        return None
    lines = [
        f"What: {machine} of cluster {cluster} runs for more than {minutes} minutes.",
        f"Since: {written(started)}.",
        f"Do: {_FOLLOW_PLAN if machine == 'plan' else _FOLLOW}",
        *_operation_links(place, name, arn, ""),
    ]
    first = f"{cluster}: {machine} runs for more than {minutes} minutes"
    key = f"long/{machine}/{name}"
    return _message(place, key, started, lines, cluster=cluster, first=first)


def health(detail: Mapping[str, object], place: Place) -> Message | None:
    """Compose the message on *Cluster Health Changed*; None below the cluster's ``NotifyFrom``.

    A change counts as its worse side: a cluster that is no longer DOWN is news for who wants DOWN.
    HEALTHY is also news for who received another verdict last.
    """
    cluster, at = _cluster(detail), _moment(detail, "changedAt") or _moment(detail, "checkedAt")
    now, before = _verdict(detail, "verdict"), _verdict(detail, "previous")
    if not cluster or at is None or now is None or before is None:
        return None
    least = NOTIFY_FROM.get(_name(detail, "notifyFrom"), Verdict.DEGRADED)
    below = max(rank(now), rank(before)) < rank(least)
    if below and now is not Verdict.HEALTHY:
        return None
    found = _findings(detail)
    matter = sorted((one for one in found if _matters(one)), key=_order)
    expected = len(found) - len(matter)
    if now is Verdict.HEALTHY:
        first = f"{cluster} is HEALTHY again (it was {before})"
        lines = [f"What: cluster {cluster} is HEALTHY again. It was {before}."]
    else:
        unknown = bool(matter) and all(one["severity"] == Severity.UNKNOWN for one in matter)
        word = "UNKNOWN" if unknown and now is Verdict.DEGRADED else str(now)
        first = f"{cluster} is {word}" + (f": {matter[0]['title']}" if matter else "")
        lines = [f"What: cluster {cluster} is {word}. It was {before}."]
    for one in matter[:FINDINGS_MOST]:
        by = f" ({one['explainedBy']})" if one.get("explainedBy") else ""
        lines += [f"- {one['title']}: {one['seen']}{by}.", f"  Do: {one['remedy']}"]
        if one["code"] in KINDS:
            lines.append(f"  Runbook: {place.runbook(one['code'])}")
    if len(matter) > FINDINGS_MOST:
        lines.append(f"- and {len(matter) - FINDINGS_MOST} more")
    if expected:
        lines.append(f"Notes without effect on the verdict: {expected}.")
    lines += [
        f"Since: {_text(detail, 'since')} (confirmed {written(at)}).",
        f"Last check: {place.health(cluster)}",
        f"Dashboard: {place.dashboard()}",
    ]
    if not matter:
        lines.append(f"Runbook: {place.runbook()}")
    message = _message(place, f"health/{cluster}", at, lines, cluster=cluster, first=first)
    return replace(message, state=str(now), after_another_state=below)


def test(at: datetime, channels: str, fingerprint: str, place: Place) -> Message:
    """Compose the test message, one for each value of what identifies address and webhook."""
    lines = [
        f"What: messages of control plane {place.control_stack} arrive here ({channels}).",
        f"Since: {written(at)}.",
        "Do: Nothing. If mail has this message and chat has not, follow the link to the runbook.",
        f"Dashboard: {place.dashboard()}",
        f"Runbook: {place.runbook('ChatUnavailable')}",
    ]
    first = f"{place.control_stack}: test message"
    return _message(place, "test", at, lines, cluster="", first=first, value=fingerprint)


def subject_of(line: str) -> str:
    """Return a line as the subject of a mail: printable ASCII, at most 99 characters."""
    plain = "".join(one if " " <= one <= "~" else "?" for one in line)
    return plain if len(plain) <= SUBJECT_MOST else f"{plain[: SUBJECT_MOST - 3]}..."


def _message(
    place: Place,
    key: str,
    at: datetime,
    lines: Sequence[str],
    *,
    cluster: str,
    first: str,
    apart: timedelta = timedelta(),
    value: str = "",
) -> Message:
    where = f"Control plane {place.control_stack}, account {place.account}, region {place.region}."
    text = "\n".join([*lines, where])
    return Message(key, at, cluster, subject_of(first), text, apart, value)


def _operation_links(place: Place, name: str, arn: str, entry: str) -> list[str]:
    return [
        *([f"Execution: {place.execution(arn)}"] if arn else []),
        f"Report: {place.report(name)}",
        f"Dashboard: {place.dashboard()}",
        f"Runbook: {place.runbook(entry)}",
    ]


def _of_execution(detail: Mapping[str, object]) -> tuple[str, str, str, datetime] | None:
    """Return cluster, name, ARN and end of an execution; None for one without a cluster.

    https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """
    name, arn, stopped = _name(detail, "name"), detail.get("executionArn"), detail.get("stopDate")
    cluster = cluster_of(name, detail.get("input"))
    if not name or not cluster or not isinstance(stopped, int) or not isinstance(arn, str):
        return None
    at = datetime.fromtimestamp(stopped / 1000, UTC)
    return cluster, name, arn if _ARN.fullmatch(arn) else "", at


def cluster_of(name: str, given: object) -> str:
    """Return the cluster of an execution by its input, else by its name; empty for none."""
    found = read_input(given).get("clusterName") or name.partition(".")[0]
    return str(found) if is_cluster_name(found) else ""


def read_input(given: object) -> Mapping[str, object]:
    """Read the input of an execution; nothing for what is no JSON object, or was left out."""
    try:
        found = json.loads(given) if isinstance(given, str) else None
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _is_error(name: str) -> bool:
    kind = getattr(known_errors, name, None) if name else None
    return isinstance(kind, type) and issubclass(kind, LifecycleError)


def _next_step(error: str) -> str:
    if not _is_error(error):
        return _REPEAT
    step: str = getattr(known_errors, error).default_next_step
    return step if step != LifecycleError.default_next_step else _REPEAT


def _execution(resources: Sequence[object]) -> str:
    return next((one for one in resources if isinstance(one, str) and _ARN.fullmatch(one)), "")


def _findings(detail: Mapping[str, object]) -> list[Mapping[str, str]]:
    given = detail.get("findings")
    needed = ("code", "severity", "title", "seen", "remedy")
    return [
        {str(key): str(value) for key, value in one.items()}
        for one in (given if isinstance(given, list) else [])
        if isinstance(one, Mapping) and all(isinstance(one.get(key), str) for key in needed)
    ]


def _matters(one: Mapping[str, str]) -> bool:
    """Whether it is no note, or stops serving, whatever explains it."""
    kind = KINDS.get(one["code"])
    return one["severity"] != Severity.INFO or (kind is not None and kind.severity is Severity.DOWN)


def _order(one: Mapping[str, str]) -> tuple[bool, int]:
    """Unexplained before explained, worse before better."""
    severities = [str(severity) for severity in Severity]
    known = one["severity"] in severities
    return bool(one.get("explainedBy")), -severities.index(one["severity"]) if known else 0


def _cluster(detail: Mapping[str, object]) -> str:
    found = detail.get("cluster")
    return str(found) if is_cluster_name(found) else ""


def _name(detail: Mapping[str, object], key: str) -> str:
    found = detail.get(key)
    return found if isinstance(found, str) and _NAME.fullmatch(found) else ""


def _verdict(detail: Mapping[str, object], key: str) -> Verdict | None:
    try:
        return Verdict(str(detail.get(key)))
    except ValueError:
        return None


def _text(detail: Mapping[str, object], key: str) -> str:
    found = _moment(detail, key)
    return written(found) if found else "at an unknown time"


def _moment(detail: Mapping[str, object], key: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(detail.get(key)))
    except ValueError:
        return None
    return found if found.tzinfo else None
