"""What a restart request may contain. The same validation for API, console and events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lifecycle.cluster.names import CLUSTER_NAME_RULE, is_cluster_name
from lifecycle.cluster.validation import MOST_BROKERS, Problem, invalid, read_number
from lifecycle.operation import approval
from lifecycle.operation.approval import Reviewed, read_review
from lifecycle.operation.idempotency import canonical
from lifecycle.preflight.backup_gate import ACCEPT, read_waiver

RESTART_FIELDS: Final = (
    "clusterName",
    "service",
    "broker",
    approval.DRY_RUN,
    approval.FIELD,
    ACCEPT,
)


class RestartedService(StrEnum):
    """What can be restarted."""

    BROKERS = "brokers"
    CONNECTORS = "connectors"


@dataclass(frozen=True, slots=True)
class RestartRequest:
    """A restart request after validation; ``broker`` is None where all are meant.

    ``accept_no_backup``: it goes on where no backup is fresh.
    """

    cluster: str
    service: RestartedService
    broker: int | None = None
    dry_run: bool = False
    approves: str = ""
    accept_no_backup: bool = False


def read_restart_request(raw: object) -> RestartRequest:
    """Validate the input of the restart machine: ``{"clusterName": "demo", "service": "brokers"}``.

    With ``"broker": 2`` only that broker is restarted, with ``"dryRun": true`` nothing. Raises
    ``InvalidRequest`` that lists every problem.
    """
    if not isinstance(raw, Mapping):
        raise invalid([Problem("(input)", raw, "a JSON object with clusterName and service")])
    problems = [
        Problem(
            str(name) or "(empty name)",
            raw[name],
            f"nothing: the fields are {', '.join(RESTART_FIELDS)}",
        )
        for name in raw
        if name not in RESTART_FIELDS
    ]
    cluster, service = raw.get("clusterName"), raw.get("service")
    broker: int | None = None
    if not is_cluster_name(cluster):
        problems.append(Problem("clusterName", cluster, CLUSTER_NAME_RULE))
    if not isinstance(service, str) or service not in set(RestartedService):
        problems.append(Problem("service", service, "brokers or connectors"))
    if "broker" in raw and service == RestartedService.CONNECTORS:
        allowed = "nothing when connectors are restarted"
        problems.append(Problem("broker", raw["broker"], allowed))
    elif "broker" in raw:
        broker, wrong = read_number(raw["broker"], "broker", MOST_BROKERS - 1, least=0)
        problems += wrong
    accepted, wrong = read_waiver(raw)
    if ACCEPT in raw and service == RestartedService.CONNECTORS:
        allowed = "nothing when connectors are restarted: they hold no data"
        wrong = [Problem(ACCEPT, raw[ACCEPT], allowed)]
    problems += wrong
    dry_run, approves, wrong = read_review(raw)
    problems += wrong
    if problems:
        raise invalid(problems)
    return RestartRequest(
        str(cluster), RestartedService(str(service)), broker, dry_run, approves, accepted
    )


def reviewed_restart(
    cluster: str, service: str, broker: int | None, approves: str, *, accepted: bool = False
) -> Reviewed:
    """Return what has to be reviewed before a restart: a dry run of it.

    One that goes without a backup (``accepted``) needs a dry run that does.
    """
    dry = {"clusterName": cluster, "service": service, approval.DRY_RUN: True}
    one = {} if broker is None else {"broker": broker}
    forms: tuple[dict[str, bool], ...] = ({ACCEPT: True},) if accepted else ({}, {ACCEPT: False})
    inputs = tuple(canonical({**dry, **one, **form}) for form in forms)
    return Reviewed(cluster, approves, "restart", inputs)
