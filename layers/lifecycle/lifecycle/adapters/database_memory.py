"""In-memory twin of `database.py` and `database_logins.py`, for tests and local development."""

from __future__ import annotations

import copy
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle.core.seed import Login, Proof, RoleFacts, SeedTarget, Step
from lifecycle.errors import (
    DatabaseAuthenticationFailed,
    DatabaseChangedMeanwhile,
    DatabaseNotReady,
    DatabaseRefused,
    DatabaseTlsFailed,
    SecretUnreadable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class MemoryDatabase:
    """A database server with one database; tests set the fields to stage a situation."""

    target: SeedTarget
    admin: Login
    roles: dict[str, RoleFacts] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    """Token that the server takes, by user."""
    rds_iam_exists: bool = True
    running: bool = True
    certificate_trusted: bool = True
    admin_may_grant: bool = True
    races: int = 0
    """How many transactions fail because somebody else changed the same roles."""
    tables: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def administration(self, login: Login) -> Iterator[_MemoryRoles]:
        """Hold the seeds' common lock and a transaction, committed when the block ends well."""
        self._answer()
        if login != self.admin:
            raise DatabaseAuthenticationFailed(f"Refused the login of {login.user!r}.")
        with self._lock:
            before = copy.copy(self.roles)
            try:
                yield _MemoryRoles(self)
            except BaseException:
                self.roles = before
                raise

    def prove(self, login: Login) -> Proof:
        """Log in, create a table in schema ``public`` and drop it."""
        self._answer()
        facts = self.roles.get(login.user)
        known = facts is not None and facts.can_login and facts.in_rds_iam
        if facts is None or not known or self.tokens.get(login.user) != login.password:
            raise DatabaseAuthenticationFailed(f"Refused the login of {login.user!r}.")
        if not facts.schema_granted:
            raise DatabaseRefused("permission denied for schema public")
        return Proof(logged_in_as=login.user, server_version="memory")

    def _answer(self) -> None:
        if not self.running:
            raise DatabaseNotReady("Connection refused.")
        if not self.certificate_trusted:
            raise DatabaseTlsFailed("certificate verify failed")


class _MemoryRoles:
    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    def read(self, user: str) -> RoleFacts:
        """Read what the catalogs say of a user, whether it exists or not."""
        facts = self._database.roles.get(user, RoleFacts(rds_iam_exists=True))
        return replace(facts, rds_iam_exists=self._database.rds_iam_exists)

    def apply(self, step: Step, user: str) -> None:
        """Take one step."""
        database = self._database
        if database.races:
            database.races -= 1
            raise DatabaseChangedMeanwhile("tuple concurrently updated")
        facts = self.read(user)
        match step:
            case Step.CREATE_ROLE:
                facts = replace(facts, exists=True, can_login=True)
            case Step.ALLOW_LOGIN:
                facts = replace(facts, can_login=True)
            case Step.GRANT_RDS_IAM:
                facts = replace(facts, in_rds_iam=True)
            case Step.GRANT_DATABASE:
                facts = replace(facts, database_granted=database.admin_may_grant)
            case Step.GRANT_SCHEMA:
                facts = replace(facts, schema_granted=database.admin_may_grant)
        database.roles[user] = facts


@dataclass
class MemoryDatabaseLogins:
    """Logins out of two dictionaries: admins by secret ARN, tokens by user."""

    admins: dict[str, Login]
    tokens: dict[str, str]

    def admin(self, secret_arn: str) -> Login:
        """Give the admin's login."""
        if secret_arn not in self.admins:
            raise SecretUnreadable(f"The admin secret {secret_arn} could not be read.")
        return self.admins[secret_arn]

    def iam(self, endpoint: str, port: int, user: str) -> Login:
        """Give the user's token."""
        return Login(user=user, password=self.tokens.get(user, "unsigned"))
