"""Ports of this room: the database, the user pool and the leases of node ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from lifecycle.camunda.credentials import Credentials
    from lifecycle.cluster.owned_secrets import Purpose
    from lifecycle.provisioning.seed import Proof, RoleFacts, Step


class DatabaseRoles(Protocol):
    """Roles and grants of one database, inside one transaction of its admin."""

    def read(self, user: str) -> RoleFacts:
        """Read a user from the catalogs, whether it exists or not."""
        ...

    def apply(self, step: Step, user: str) -> None:
        """Take one step. Raises ``DatabaseConcurrentModification``, ``DatabaseRefused``."""
        ...


class Database(Protocol):
    """One PostgreSQL database, spoken to over verified TLS only.

    All methods raise ``DatabaseNotReady``, ``DatabaseUnreachable``, ``DatabaseTlsFailed`` and
    ``DatabaseAuthenticationFailed``, ``DatabaseRefused`` for what repeating will not change.
    """

    def administration(self, login: Credentials) -> AbstractContextManager[DatabaseRoles]:
        """Hold the seeds' common lock and a transaction, committed when the block ends well."""
        ...

    def prove(self, login: Credentials) -> Proof:
        """Log in, create a table in schema ``public`` and drop it."""
        ...

    def check(self, login: Credentials) -> Sequence[str]:
        """Log in and name the privileges that are missing; changes nothing."""
        ...

    def schema_made(self, login: Credentials) -> bool:
        """Log in and return whether Camunda's schema is complete and its lock free."""
        ...


class DatabaseTokens(Protocol):
    """IAM tokens that stand for a database user's password."""

    def sign(self, endpoint: str, port: int, user: str) -> Credentials:
        """Sign a token; RDS takes it for 15 minutes, at login only."""
        ...


class UserPools(Protocol):
    """User pools that clusters' stacks made."""

    def client_secret(self, pool: str, client_id: str) -> str:
        """Read a client's secret. Raises ``UserPoolUnusable``."""
        ...


class ClientSecretStore(Protocol):
    """Secrets with the client secrets of one cluster."""

    def store(self, secret_arn: str, cluster: str, purpose: Purpose, value: str) -> bool:
        """Store a client's secret unless it is there; return whether it was written.

        Raises ``SecretRefused`` for a secret that is not the cluster's by its tags.
        """
        ...


class NodeIdLeases(Protocol):
    """Leases of node ids: one object per id that a cluster has ever had at the same time."""

    def acquirable(self, bucket: str) -> int:
        """Number of node ids that a broker may take: the members; 0 before the first start."""
        ...

    def restored(self, bucket: str) -> int:
        """Return how many nodes the restore application has restored, 0 without a restore."""
        ...
