"""What a restore request may contain. The same validation for API, console and events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from lifecycle.cluster.names import CLUSTER_NAME_RULE, is_cluster_name
from lifecycle.cluster.validation import Problem, invalid, read_number
from lifecycle.operation import approval
from lifecycle.operation.approval import Reviewed, read_review
from lifecycle.operation.idempotency import canonical
from lifecycle.times import written

TO: Final = "to"
BACKUP: Final = "backup"
AGAIN: Final = "again"
CONFIRM: Final = "confirm"
FROM: Final = "from"
PARAMETERS: Final = "parameters"
FIELDS: Final = (
    *("clusterName", CONFIRM, TO, BACKUP, AGAIN, FROM, PARAMETERS),
    *(approval.DRY_RUN, approval.FIELD),
)
# Camunda's ids are whole numbers of 64 bits.
MOST: Final = 2**63 - 1
TO_PATTERN: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,3})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})$"
)
TO_RULE: Final = "a moment with its time zone, for example 2026-11-30T08:00:00Z"


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """A request after validation; without ``to`` and ``backup`` the newest backup is meant.

    ``source`` is the cluster whose backups a new one is made of, empty where a cluster is restored
    to its own; ``parameters`` are those of the new one, as they were given. ``again``: also where
    the cluster was restored to that backup already, and has worked since.
    """

    cluster: str
    to: datetime | None = None
    backup: int | None = None
    dry_run: bool = False
    approves: str = ""
    source: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)
    again: bool = False


def read_restore_request(raw: object) -> RestoreRequest:
    """Validate the input: ``{"clusterName": "demo", "confirm": "demo", "to": "2026-…Z"}``.

    ``to`` is the moment after which nothing is restored, ``backup`` the id of a backup of the
    brokers; one of them, or none for the newest backup. ``again`` restores a named backup although
    the cluster was restored to it already: what it has done since is lost. ``confirm`` is the
    cluster's name typed again; a dry run needs none. ``from`` names the cluster of whose backups a
    new one is made, with ``parameters`` as in a request for provisioning. Raises ``InvalidRequest``
    that lists every problem.
    """
    if not isinstance(raw, Mapping):
        raise invalid([Problem("(input)", raw, "a JSON object with clusterName and confirm")])
    problems = [
        Problem(
            str(name) or "(empty name)", raw[name], f"nothing: the fields are {', '.join(FIELDS)}"
        )
        for name in raw
        if name not in FIELDS
    ]
    cluster, confirm = raw.get("clusterName"), raw.get(CONFIRM)
    if not is_cluster_name(cluster):
        problems.append(Problem("clusterName", cluster, CLUSTER_NAME_RULE))
    needed = raw.get(approval.DRY_RUN) is not True or CONFIRM in raw
    if needed and (confirm != cluster or not isinstance(confirm, str)):
        allowed = "the cluster's name again, exactly as in clusterName"
        problems.append(Problem(CONFIRM, confirm, allowed))
    to, backup = None, None
    if TO in raw:
        to = _read_moment(raw[TO])
        problems += [] if to is not None else [Problem(TO, raw[TO], TO_RULE)]
    if BACKUP in raw:
        backup, wrong = read_number(raw[BACKUP], BACKUP, MOST)
        problems += wrong
    if TO in raw and BACKUP in raw:
        problems.append(Problem(BACKUP, raw[BACKUP], "nothing beside to: one of them"))
    again = raw.get(AGAIN, False)
    if not isinstance(again, bool):
        problems.append(Problem(AGAIN, again, "true or false"))
    elif AGAIN in raw and (BACKUP not in raw or FROM in raw):
        allowed = "nothing without backup, nor with from: it names what is restored once more"
        problems.append(Problem(AGAIN, again, allowed))
    source, wrong = _read_source(raw)
    problems += wrong
    dry_run, approves, wrong = read_review(raw)
    problems += wrong
    if approves and TO not in raw and BACKUP not in raw:
        allowed = "nothing without to or backup: which backup is the newest changes after a review"
        problems.append(Problem(approval.FIELD, approves, allowed))
    if problems:
        raise invalid(problems)
    return RestoreRequest(
        str(cluster),
        to,
        backup,
        dry_run,
        approves,
        source,
        dict(raw.get(PARAMETERS, {})),
        again is True,
    )


def _read_source(raw: Mapping[object, object]) -> tuple[str, list[Problem]]:
    """Read the cluster whose backups are restored; what its parameters may be is checked later."""
    problems = []
    source, parameters = raw.get(FROM, ""), raw.get(PARAMETERS, {})
    if FROM in raw and not is_cluster_name(source):
        problems.append(Problem(FROM, source, CLUSTER_NAME_RULE))
    if PARAMETERS in raw and FROM not in raw:
        allowed = "nothing without from: only a new cluster gets parameters"
        problems.append(Problem(PARAMETERS, parameters, allowed))
    elif not isinstance(parameters, Mapping):
        problems.append(Problem(PARAMETERS, parameters, "a JSON object"))
    return str(source), problems


def _read_moment(given: object) -> datetime | None:
    if not isinstance(given, str) or not re.fullmatch(TO_PATTERN, given):
        return None
    try:
        return datetime.fromisoformat(given).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def reviewed_restore(
    cluster: str,
    to: str | None,
    backup: int | None,
    approves: str,
    *,
    again: bool = False,
    source: str = "",
    parameters: Mapping[str, object] | None = None,
) -> Reviewed | None:
    """Return what has to be reviewed before a restore: a dry run of it.

    ``to`` is as it was requested, or as the machine carries it; ``source`` and ``parameters`` are
    those of a new cluster.
    """
    dry: dict[str, object] = {"clusterName": cluster, approval.DRY_RUN: True}
    if source:
        dry[FROM] = source
    if parameters:
        dry[PARAMETERS] = dict(parameters)
    moments: list[dict[str, object]] = [{}]
    if to:
        found = _read_moment(to)
        whole = [found.isoformat(timespec="seconds").replace("+00:00", "Z")] if found else []
        texts = dict.fromkeys([to, *([written(found)] if found else []), *whole])
        moments = [{TO: one} for one in texts]
    elif backup is not None:
        # Without again, and with again false, are the same request, too.
        ways: list[dict[str, object]] = [{AGAIN: True}] if again else [{}, {AGAIN: False}]
        moments = [{BACKUP: backup, **way} for way in ways]
    names: tuple[dict[str, object], ...] = ({}, {CONFIRM: cluster})
    # No parameters, and an empty object of them, are the same request.
    empty: tuple[dict[str, object], ...] = ({}, {PARAMETERS: {}}) if source else ({},)
    given = ({},) if parameters else empty
    requests = [
        canonical({**dry, **one, **name, **none})
        for one in moments
        for name in names
        for none in given
    ]
    return Reviewed(cluster, approves, "restore", requests)
