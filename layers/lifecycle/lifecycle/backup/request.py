"""What a backup request may contain. The same validation for API, console and events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lifecycle.camunda.json_reader import number
from lifecycle.cluster.validation import Problem, invalid
from lifecycle.operation.action import read_action
from lifecycle.operation.approval import DRY_RUN
from lifecycle.operation.scheduled import SCHEDULED, scheduled_problems

BACKUP: Final = "backup"
CONFIRM: Final = "confirm"
NO_SNAPSHOT: Final = "acceptNoFinalSnapshot"
"""Field of a request whose former databases are deleted without a final snapshot."""
STACK_CREATED: Final = "stackCreatedAt"
"""Field of a validated request: when the cluster's stack was created (ISO 8601)."""
# Camunda's ids are 64-bit integers.
MOST_ID: Final = 2**63 - 1


class BackupAction(StrEnum):
    """What is done."""

    TAKE = "take"
    DELETE = "delete"
    DELETE_FORMER = "delete-former-data"


FIELDS: Final[Mapping[BackupAction, tuple[str, ...]]] = {
    BackupAction.TAKE: (DRY_RUN, SCHEDULED),
    BackupAction.DELETE: (BACKUP, CONFIRM, DRY_RUN),
    BackupAction.DELETE_FORMER: (CONFIRM, DRY_RUN, NO_SNAPSHOT),
}


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """A request after validation; ``backup`` is 0 where none is deleted.

    ``final_snapshot``: whether a former database gets one before it is deleted.
    """

    cluster: str
    action: BackupAction
    backup: int = 0
    dry_run: bool = False
    final_snapshot: bool = True


def read_backup_request(raw: object) -> BackupRequest:
    """Validate the input: ``{"clusterName": "demo", "action": "take"}``.

    A schedule gives ``scheduledAt`` too: what it starts is left out while the cluster is not free.
    To delete, ``backup`` is the id of the brokers' backup, and ``confirm`` the cluster's name typed
    again, which a dry run does not need. What restores have replaced (``delete-former-data``) needs
    ``confirm`` as well; ``acceptNoFinalSnapshot`` true deletes it without a final snapshot. Raises
    ``InvalidRequest`` that lists every problem.
    """
    request, action, problems = read_action(raw, FIELDS)
    cluster = request.get("clusterName")
    dry_run = request.get(DRY_RUN, False)
    if not isinstance(dry_run, bool):
        problems.append(Problem(DRY_RUN, dry_run, "true or false"))
    if action is BackupAction.TAKE:
        problems += scheduled_problems(request)
    backup = 0
    if action is BackupAction.DELETE:
        found = number(request.get(BACKUP))
        if found is None or not 1 <= found <= MOST_ID:
            problems.append(Problem(BACKUP, request.get(BACKUP), "the id of a backup, 1 or higher"))
        else:
            backup = found
    given_up = request.get(NO_SNAPSHOT, False)
    if action is BackupAction.DELETE_FORMER and not isinstance(given_up, bool):
        problems.append(Problem(NO_SNAPSHOT, given_up, "true or false"))
    if action is not BackupAction.TAKE:
        confirm = request.get(CONFIRM)
        if (dry_run is not True or CONFIRM in request) and (
            confirm != cluster or not isinstance(confirm, str)
        ):
            problems.append(
                Problem(CONFIRM, confirm, "the cluster's name again, exactly as in clusterName")
            )
    if problems:
        raise invalid(problems)
    return BackupRequest(
        str(cluster), action, backup, dry_run is True, final_snapshot=given_up is not True
    )
