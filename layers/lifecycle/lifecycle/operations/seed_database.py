"""Seed Aurora's IAM user: make the role what the brokers need, then prove it by a real login."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifecycle.core.seed import Login, SeedReport, SeedTarget, Step, plan_seed
from lifecycle.errors import DatabaseChangedMeanwhile, DatabaseNotReady, DatabaseRefused

if TYPE_CHECKING:
    from lifecycle.ports import Database, DatabaseLogins

_ATTEMPTS: Final = 5


def seed(target: SeedTarget, *, database: Database, logins: DatabaseLogins) -> SeedReport:
    """Make ``target.user`` able to log in by IAM token and own tables, and prove that it can.

    Repeating is harmless: what is in place is left alone. Any number of seeds may run at once.

    Raises ``DatabaseNotReady`` and ``DatabaseUnreachable`` (nothing is wrong yet: try again later),
    ``DatabaseAuthenticationFailed``, ``DatabaseTlsFailed``, ``MissingRdsIam``, ``DatabaseRefused``
    and ``SecretUnreadable``.
    """
    admin = logins.admin(target.admin_secret_arn)
    steps = _converge(target, database, admin)
    proof = database.prove(logins.iam(target.endpoint, target.port, target.user))
    return SeedReport(target=target, steps=steps, proof=proof)


def _converge(target: SeedTarget, database: Database, admin: Login) -> tuple[Step, ...]:
    for _ in range(_ATTEMPTS):
        try:
            return _apply_missing(target, database, admin)
        except DatabaseChangedMeanwhile:
            # Rolled back; what the other one did is there now, so look again.
            continue
    raise DatabaseNotReady(
        f"Something else kept changing the role {target.user!r} or its grants; "
        f"{_ATTEMPTS} attempts were rolled back.",
        next_step="Find out what else manages its roles, then run the same input again.",
    )


def _apply_missing(target: SeedTarget, database: Database, admin: Login) -> tuple[Step, ...]:
    with database.administration(admin) as roles:
        steps = plan_seed(target.user, admin.user, roles.read(target.user))
        for step in steps:
            roles.apply(step, target.user)
        # PostgreSQL answers a GRANT by someone without the right to grant with a mere warning.
        without_effect = plan_seed(target.user, admin.user, roles.read(target.user))
        if without_effect:
            raise DatabaseRefused(
                f"The admin {admin.user!r} may not do everything that {target.user!r} needs; "
                f"without effect: {', '.join(without_effect)}. Everything was rolled back.",
                next_step=(
                    f"Make {admin.user!r} owner of database {target.database!r} "
                    "and a member of rds_superuser, then run the same input again."
                ),
            )
    return steps
