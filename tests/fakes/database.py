"""In-memory fake of `database.py` and `database_tokens.py`."""

from __future__ import annotations

import copy
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lifecycle.camunda.credentials import Credentials
from lifecycle.errors import (
    DatabaseAuthenticationFailed,
    DatabaseConcurrentModification,
    DatabaseNotReady,
    DatabaseRefused,
    DatabaseTlsFailed,
    IamLoginRefused,
)
from lifecycle.provisioning.seed import Proof, RoleFacts, SeedTarget, Step

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class FakeDatabase:
    """A database server with one database; tests set the fields to stage a situation."""

    target: SeedTarget
    admin: Credentials
    roles: dict[str, RoleFacts] = field(default_factory=dict)
    rds_iam_exists: bool = True
    running: bool = True
    certificate_trusted: bool = True
    admin_may_grant: bool = True
    races: int = 0
    """How many transactions fail because somebody else changed the same roles."""
    tables: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def administration(self, login: Credentials) -> Iterator[_MemoryRoles]:
        """Hold the seeds' common lock and a transaction, committed when the block ends well."""
        self._answer()
        if login != self.admin:
            raise DatabaseAuthenticationFailed(f"Refused the login of {login.username!r}.")
        with self._lock:
            before = copy.copy(self.roles)
            try:
                yield _MemoryRoles(self)
            except BaseException:
                self.roles = before
                raise

    def prove(self, login: Credentials) -> Proof:
        """Log in, create a table in schema ``public`` and drop it."""
        self._answer()
        facts = self.roles.get(login.username)
        known = facts is not None and facts.can_login and facts.in_rds_iam
        if facts is None or not known or login.password != FakeDatabaseTokens.TOKEN:
            raise IamLoginRefused(f"Refused the token of {login.username!r}.")
        if not facts.schema_granted:
            raise DatabaseRefused("permission denied for schema public")
        return Proof(logged_in_as=login.username, server_version="memory")

    def check(self, login: Credentials) -> tuple[str, ...]:
        """Log in and name the privileges that are missing."""
        self._answer()
        facts = self.roles.get(login.username)
        known = facts is not None and facts.can_login and facts.in_rds_iam
        if facts is None or not known or login.password != FakeDatabaseTokens.TOKEN:
            raise IamLoginRefused(f"Refused the token of {login.username!r}.")
        return () if facts.schema_granted else ("USAGE on public", "CREATE on public")

    def schema_made(self, login: Credentials) -> bool:
        """Log in and tell whether Camunda's schema is complete and its lock free."""
        self.check(login)
        return "exporter_position" in self.tables

    def _answer(self) -> None:
        if not self.running:
            raise DatabaseNotReady("Connection refused.")
        if not self.certificate_trusted:
            raise DatabaseTlsFailed("certificate verify failed")


class _MemoryRoles:
    def __init__(self, database: FakeDatabase) -> None:
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
            raise DatabaseConcurrentModification("tuple concurrently updated")
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


class FakeDatabaseTokens:
    """The same token for everybody."""

    TOKEN = "signed"

    def sign(self, endpoint: str, port: int, user: str) -> Credentials:
        """Sign a token."""
        del endpoint, port
        return Credentials(user, self.TOKEN)
