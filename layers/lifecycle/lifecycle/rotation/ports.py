"""Ports of this room: secrets and their stages, and where their values are logins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.camunda.credentials import Credentials
    from lifecycle.cluster.owned_secrets import Purpose


@dataclass(frozen=True, slots=True)
class Stages:
    """The ids of a secret's versions by stage, empty without one.

    ``rotated`` shows that Secrets Manager rotates the secret by a schedule of its own.
    """

    current: str
    pending: str = ""
    previous: str = ""
    rotated: bool = False


class SecretVersions(Protocol):
    """Versions and stages of secrets; every value is a user's name and password."""

    def stages(self, secret_arn: str, *, cluster: str, purpose: Purpose) -> Stages:
        """Return which version has which stage; reads no value.

        Right after a change it may be what was before. Raises ``SecretRefused`` for a secret whose
        tags name another cluster or purpose: before that is known nothing of a secret is read or
        written.
        """
        ...

    def read(self, secret_arn: str, version_id: str) -> Credentials:
        """Read one version.

        Raises ``SecretUnreadable``, and ``AwsUnavailable`` for a version that is not found yet.
        """
        ...

    def create(self, secret_arn: str, username: str, token: str) -> None:
        """Make a version with a new password as AWSPENDING; ``token`` becomes its id.

        The same token again changes nothing.
        """
        ...

    def promote(self, secret_arn: str, version_id: str, former: str) -> None:
        """Move AWSCURRENT from version ``former``, which becomes AWSPREVIOUS, to a version.

        Moves nothing where ``former`` is not AWSCURRENT any more.
        """
        ...

    def unknown_password(self) -> str:
        """Return a password that is stored nowhere."""
        ...


@dataclass(frozen=True, slots=True)
class Account:
    """Whom Camunda takes a user for: memberships by kind (``roles``, ``groups``, ``tenants``).

    With those that a group or a role brings along, as Camunda shows them.
    """

    username: str
    memberships: Mapping[str, frozenset[str]]


class CamundaUsers(Protocol):
    """Users of one Camunda cluster, from inside the VPC; every call may be repeated.

    Every call raises ``ManagementUnavailable``, ``ManagementRefused``, ``CredentialsRefused``,
    ``CredentialsWithheld`` or ``InvalidResponse``.
    """

    def account(self, login: Credentials) -> Account | None:
        """Log in; None for a password or user that Camunda refuses (401)."""
        ...

    def set_password(self, login: Credentials, user: Credentials) -> None:
        """Give a user a password, and make it where there is none."""
        ...

    def add_member(self, login: Credentials, kind: str, name: str, username: str) -> None:
        """Make a user a member of a role, group or tenant (``kind`` in the plural).

        One that is gone meanwhile is no error: the next login shows who is a member of what.
        """
        ...

    def remove_member(self, login: Credentials, kind: str, name: str, username: str) -> None:
        """Remove a user from a role, group or tenant; one that is no member itself stays so."""
        ...

    def own_authorizations(self, login: Credentials, username: str) -> int:
        """Return how many authorizations a user has itself, beside those of its memberships."""
        ...


class DatabaseLogins(Protocol):
    """The administrator of one database, over verified TLS.

    Every call raises ``DatabaseNotReady``, ``DatabaseUnreachable``, ``DatabaseTlsFailed`` or
    ``DatabaseRefused``.
    """

    def accepts(self, login: Credentials) -> bool:
        """Log in; False for a password that the database refuses."""
        ...

    def set_password(self, login: Credentials, password: str) -> None:
        """Change the password of the user that logs in."""
        ...
