"""Seed Aurora's IAM user: make the role what the brokers need, then prove it by a real login."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.errors import DatabaseConcurrentModification, DatabaseNotReady, DatabaseRefused
from lifecycle.operation.steps import DATABASE_USER
from lifecycle.provisioning.seed import SeedReport, SeedTarget, Step, plan_seed

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.camunda.credentials import Credentials
    from lifecycle.camunda.ports import Users
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.provisioning.ports import Database, DatabaseTokens

SCHEMA: Final = "The first broker creates the database schema"
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class DatabaseSeeder:
    """The use case and its ports."""

    database: Callable[[SeedTarget], Database]
    users: Users
    tokens: DatabaseTokens
    journal: Journal

    def seed(self, operation: Operation, cluster: ClusterOutputs) -> dict[str, Any]:
        """Make the stack's ``DatabaseUser`` able to log in by IAM token and own tables; prove it.

        Repeating is harmless: what is in place is left alone. Any number of seeds may run at once.

        Returns the report. Raises ``DatabaseNotReady`` and ``DatabaseUnreachable`` (nothing is
        wrong yet: try again later), ``DatabaseAuthenticationFailed``, ``DatabaseTlsFailed``,
        ``MissingRdsIam``, ``DatabaseRefused``, ``SecretRefused`` and ``SecretUnreadable``.
        """
        target = SeedTarget.from_outputs(cluster)
        self.journal.step(operation, DATABASE_USER, f"{target.user} in {target.endpoint}")
        database = self.database(target)
        steps = _converge(
            target, database, self.users.credentials(target.admin_secret_arn, cluster.cluster_name)
        )
        proof = database.prove(self.tokens.sign(target.endpoint, target.port, target.user))
        return SeedReport(target=target, steps=steps, proof=proof).as_dict()

    def check_schema(self, operation: Operation, cluster: ClusterOutputs) -> dict[str, Any]:
        """Return whether the first broker has made the schema: ``made``, and nothing changes it.

        Raises as ``seed`` does.
        """
        target = SeedTarget.from_outputs(cluster)
        login = self.tokens.sign(target.endpoint, target.port, target.user)
        made = self.database(target).schema_made(login)
        self.journal.step(operation, SCHEMA, "made" if made else "the first broker creates it")
        return {"made": made}


def _converge(target: SeedTarget, database: Database, admin: Credentials) -> tuple[Step, ...]:
    for _ in range(_ATTEMPTS):
        try:
            return _apply_missing(target, database, admin)
        except DatabaseConcurrentModification:
            # Rolled back; what the other one did is there now, so look again.
            continue
    raise DatabaseNotReady(
        f"Another client kept changing the role {target.user!r} or its grants; {_ATTEMPTS} "
        "attempts were rolled back.",
        next_step="Find out which other client manages its roles, then run the same input again.",
    )


def _apply_missing(target: SeedTarget, database: Database, admin: Credentials) -> tuple[Step, ...]:
    with database.administration(admin) as roles:
        steps = plan_seed(target.user, admin.username, roles.read(target.user))
        for step in steps:
            roles.apply(step, target.user)
        # PostgreSQL answers a GRANT by someone without the right to grant with a mere warning.
        without_effect = plan_seed(target.user, admin.username, roles.read(target.user))
        if without_effect:
            raise DatabaseRefused(
                f"The admin {admin.username!r} cannot grant everything that {target.user!r} "
                f"needs; without effect: {', '.join(without_effect)}. Everything was rolled back.",
                next_step=(
                    f"Make {admin.username!r} owner of database {target.database!r} "
                    "and a member of rds_superuser, then run the same input again."
                ),
            )
    return steps
