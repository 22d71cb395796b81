"""What a rotation request may contain. The same validation for API, console and events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations
from typing import Final

from lifecycle.cluster.names import CLUSTER_NAME_RULE, is_cluster_name
from lifecycle.cluster.owned_secrets import Purpose
from lifecycle.cluster.validation import Problem, invalid
from lifecycle.operation import approval
from lifecycle.operation.approval import Reviewed, read_review
from lifecycle.operation.idempotency import canonical

ROTATION_FIELDS: Final = ("clusterName", "secrets", approval.DRY_RUN, approval.FIELD)


class Secret(StrEnum):
    """What can be rotated, in the order in which it is."""

    ADMIN = "admin"
    DATABASE = "database"
    CONNECTORS = "connectors"


# The output of the cluster's stack that names each secret.
OUTPUTS: Final[Mapping[Secret, str]] = {
    Secret.ADMIN: "AdminUserSecretArn",
    Secret.DATABASE: "DatabaseAdminSecretArn",
    Secret.CONNECTORS: "ConnectorsUserSecretArn",
}
PURPOSES: Final[Mapping[Secret, Purpose]] = {
    Secret.ADMIN: Purpose.CAMUNDA_USER,
    Secret.DATABASE: Purpose.DATABASE_ADMIN,
    Secret.CONNECTORS: Purpose.CAMUNDA_USER,
}
_ALLOWED: Final = "a list of one or more of admin, connectors, database, each once"


@dataclass(frozen=True, slots=True)
class RotationRequest:
    """A rotation request after validation; ``secrets`` in the order in which they are rotated."""

    cluster: str
    secrets: tuple[Secret, ...]
    dry_run: bool = False
    approves: str = ""


def read_rotation_request(raw: object) -> RotationRequest:
    """Validate the input: ``{"clusterName": "demo", "secrets": ["admin"]}``.

    Without ``secrets`` all are rotated, with ``"dryRun": true`` none. Raises ``InvalidRequest``
    that lists every problem.
    """
    if not isinstance(raw, Mapping):
        raise invalid([Problem("(input)", raw, "a JSON object with clusterName")])
    problems = [
        Problem(
            str(name) or "(empty name)",
            raw[name],
            f"nothing: the fields are {', '.join(ROTATION_FIELDS)}",
        )
        for name in raw
        if name not in ROTATION_FIELDS
    ]
    cluster = raw.get("clusterName")
    if not is_cluster_name(cluster):
        problems.append(Problem("clusterName", cluster, CLUSTER_NAME_RULE))
    given = raw.get("secrets", list(Secret))
    if not _is_selection(given):
        problems.append(Problem("secrets", given, _ALLOWED))
    dry_run, approves, wrong = read_review(raw)
    problems += wrong
    if problems:
        raise invalid(problems)
    secrets = tuple(one for one in Secret if one in given)
    return RotationRequest(str(cluster), secrets, dry_run, approves)


def reviewed_rotation(cluster: str, secrets: Iterable[str], approves: str) -> Reviewed:
    """Return what has to be reviewed before a rotation: a dry run of the same secrets."""
    dry = {"clusterName": cluster, approval.DRY_RUN: True}
    named = set(secrets)
    requests = [canonical({**dry, "secrets": list(one)}) for one in permutations(sorted(named))]
    if named == set(Secret):
        requests.append(canonical(dry))
    return Reviewed(cluster, approves, "rotate", requests)


def _is_selection(given: object) -> bool:
    if not isinstance(given, list) or not given:
        return False
    named = [one for one in given if isinstance(one, str) and one in set(Secret)]
    return len(named) == len(given) == len(set(named))
