"""What Aurora's IAM user must be, and which steps make it so.

The reference's seed is: create the role if missing, with LOGIN; grant ``rds_iam``; all privileges
on the database; USAGE and CREATE on schema ``public``. Here each step is taken only if the catalogs
report that it is missing, and a role that was made for something else is refused, not reshaped.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from lifecycle.errors import DatabaseRefused, InvalidRequest, MissingRdsIam

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_IDENTIFIER_BYTES: Final = 63
_NEEDED: Final = (
    "DatabaseEndpoint",
    "DatabasePort",
    "DatabaseName",
    "DatabaseUser",
    "DatabaseAdminSecretArn",
)


@dataclass(frozen=True, slots=True)
class SeedTarget:
    """The database of one cluster and the user to seed, from the outputs of the cluster stack."""

    endpoint: str
    port: int
    database: str
    user: str
    admin_secret_arn: str

    @classmethod
    def from_outputs(cls, outputs: Mapping[str, Any]) -> SeedTarget:
        """Read the contract's outputs; raises ``InvalidRequest`` naming every wrong one at once."""
        values = {name: str(outputs.get(name) or "") for name in _NEEDED}
        wrong = [f"{name} is missing" for name, value in values.items() if not value]
        port = values["DatabasePort"]
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            wrong.append(f"DatabasePort is {port!r}, must be 1 to 65535")
        for name in ("DatabaseName", "DatabaseUser"):
            if len(values[name].encode()) > _MAX_IDENTIFIER_BYTES or "\0" in values[name]:
                wrong.append(
                    f"{name} is {values[name]!r}, must be at most {_MAX_IDENTIFIER_BYTES} bytes "
                    "without NUL"
                )
        if values["DatabaseUser"].startswith("pg_"):
            wrong.append(
                f"DatabaseUser is {values['DatabaseUser']!r}, PostgreSQL reserves names in pg_"
            )
        if wrong:
            raise InvalidRequest(f"The database cannot be seeded: {'; '.join(wrong)}.")
        return cls(
            endpoint=values["DatabaseEndpoint"],
            port=int(port),
            database=values["DatabaseName"],
            user=values["DatabaseUser"],
            admin_secret_arn=values["DatabaseAdminSecretArn"],
        )


class Step(StrEnum):
    """One thing that the seed changes; the values appear in reports."""

    CREATE_ROLE = "role created"
    ALLOW_LOGIN = "login allowed"
    GRANT_RDS_IAM = "rds_iam granted"
    GRANT_DATABASE = "all privileges on the database granted"
    GRANT_SCHEMA = "usage and create on schema public granted"


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """The user in the catalogs; privileges count when granted to the user itself."""

    rds_iam_exists: bool
    exists: bool = False
    can_login: bool = False
    in_rds_iam: bool = False
    database_granted: bool = False
    schema_granted: bool = False
    elevated: tuple[str, ...] = ()
    """Attributes that an ordinary user does not have, such as ``SUPERUSER``."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a login as the user showed."""

    logged_in_as: str
    server_version: str


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What the seed found, did and proved."""

    target: SeedTarget
    steps: tuple[Step, ...]
    proof: Proof

    def as_dict(self) -> dict[str, Any]:
        """Shape for state output and reports; holds no secret."""
        return {
            "user": self.target.user,
            "database": self.target.database,
            "endpoint": self.target.endpoint,
            "role": "created" if Step.CREATE_ROLE in self.steps else "already there",
            "changes": [step.value for step in self.steps],
            "proof": {
                "loggedInAs": self.proof.logged_in_as,
                "authentication": "IAM token over verified TLS",
                "createdAndDroppedTable": True,
                "serverVersion": self.proof.server_version,
            },
        }


def plan_seed(user: str, admin: str, facts: RoleFacts) -> tuple[Step, ...]:
    """Decide which steps are missing, in the order to take them; empty when all is in place.

    Raises ``MissingRdsIam``, or ``DatabaseRefused`` for a user that must not become the brokers'.
    """
    if user == admin:
        # rds_iam on the admin would end its login by password: no one could administer any more.
        raise DatabaseRefused(
            f"The IAM user {user!r} is the database's admin; nothing was changed.",
            next_step="Choose another DatabaseUser.",
        )
    if not facts.rds_iam_exists:
        raise MissingRdsIam(
            "The server has no role rds_iam, so it accepts no IAM tokens; nothing was changed.",
            next_step=(
                "Enable IAM database authentication on the Aurora cluster "
                "(EnableIAMDatabaseAuthentication), then run the same input again."
            ),
        )
    if facts.elevated:
        raise DatabaseRefused(
            f"The role {user!r} exists with {', '.join(facts.elevated)}: it was created for "
            "another purpose and brokers must not have such privileges; nothing was changed.",
            next_step="Revoke those privileges from the role, or choose another DatabaseUser.",
        )
    missing = {
        Step.CREATE_ROLE: not facts.exists,
        Step.ALLOW_LOGIN: facts.exists and not facts.can_login,
        Step.GRANT_RDS_IAM: not facts.in_rds_iam,
        Step.GRANT_DATABASE: not facts.database_granted,
        Step.GRANT_SCHEMA: not facts.schema_granted,
    }
    return tuple(step for step in Step if missing[step])
