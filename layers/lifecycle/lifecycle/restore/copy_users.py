"""Give the secrets of a new cluster the passwords that its restored users have.

A restore brings the users back with the passwords of the cluster that was backed up. Brokers create
a user of their configuration only where there is none, so that the new cluster's own passwords open
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.owned_secrets import Purpose, tag_command
from lifecycle.errors import RestoreFailed
from lifecycle.operation.steps import USERS_TAKEN_OVER
from lifecycle.rotation.decisions import next_user

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.restore.ports import UserSecret, UserSecrets

ADMIN: Final = "admin"
CONNECTORS: Final = "connectors"


def password_of(
    username: str, found: Iterable[UserSecret], *, at: datetime, without: Iterable[str]
) -> UserSecret | None:
    """Choose the secret with a user's password at a moment.

    The newest that existed then; those of the new cluster itself (``without``, ARNs) are none.
    A rotation of the connectors' secret puts the other user of two that take turns into it.
    """
    names = {username, next_user(username)} if username == CONNECTORS else {username}
    fitting = [
        one
        for one in found
        if one.username in names and one.created_at <= at and one.arn not in set(without)
    ]
    return max(fitting, key=lambda one: one.created_at, default=None)


@dataclass(frozen=True, slots=True)
class UserCopier:
    """The use case and its ports."""

    secrets: UserSecrets
    journal: Journal
    control_stack: str

    def copy(
        self, operation: Operation, cluster: ClusterOutputs, *, source: str, at: str
    ) -> dict[str, Any]:
        """Copy the passwords of both users; ``at`` is the moment of the backup (ISO 8601).

        Returns ``status`` ``COPIED`` and ``users``, whose passwords were copied: none where an
        identity provider logs users in. Raises ``RestoreFailed`` where the secret of a user is
        gone: without it no login works.
        """
        if cluster.uses_oidc:
            return {"status": "COPIED", "users": []}
        targets = {ADMIN: cluster.admin_user_secret}
        if cluster.connectors:
            targets[CONNECTORS] = cluster.required("ConnectorsUserSecretArn")
        own = {cluster.admin_user_secret, cluster.get("ConnectorsUserSecretArn", "")}
        self.journal.look(operation, USERS_TAKEN_OVER, f"reading the users of {source}")
        found = self.secrets.of_cluster(source)
        chosen: dict[str, UserSecret] = {}
        for username in targets:
            secret = password_of(username, found, at=datetime.fromisoformat(at), without=own)
            if secret is None:
                command = tag_command(
                    "<ARN>",
                    control_stack=self.control_stack,
                    cluster=source,
                    purpose=Purpose.CAMUNDA_USER,
                )
                raise RestoreFailed(
                    f"No secret has the password that user {username} of {source} had on {at}; "
                    f"the restored brokers know no other.",
                    next_step="Put it into a secret as JSON with username and password, restored "
                    "from its deletion if need be, tag it, then start the same request again: "
                    f"{command}",
                )
            chosen[username] = secret
        for username, secret in chosen.items():
            self.journal.step(operation, USERS_TAKEN_OVER, f"password of {username}")
            self.secrets.copy(secret, targets[username], operation.cluster)
        return {"status": "COPIED", "users": sorted(chosen)}
