"""In-memory fakes of `rotation/ports.py`: secrets with stages, and systems that check passwords."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.camunda.credentials import Credentials
from lifecycle.errors import (
    CredentialsRefused,
    DatabaseAuthenticationFailed,
    ManagementRefused,
    ManagementUnavailable,
)
from lifecycle.rotation.ports import Account, Stages

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.cluster.owned_secrets import Purpose

KINDS = ("roles", "groups", "tenants")


@dataclass
class Kept:
    """One secret: values by version, and the version of each stage."""

    values: dict[str, Credentials]
    stages: dict[str, str]
    rotated: bool = False


@dataclass
class FakeSecretVersions:
    """Secrets Manager."""

    kept: dict[str, Kept] = field(default_factory=dict)
    stale: int = 0
    """How many looks after a change still show the stages from before it."""
    _before: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def add(self, arn: str, username: str) -> Credentials:
        """Add a secret as the template makes it."""
        value = Credentials(username, self.unknown_password())
        self.kept[arn] = Kept({"first": value}, {"AWSCURRENT": "first"})
        return value

    def value(self, arn: str, stage: str = "AWSCURRENT") -> Credentials:
        """The value at a stage."""
        kept = self.kept[arn]
        return kept.values[kept.stages[stage]]

    def pending(self, arn: str) -> str:
        """The id of the version that is AWSPENDING; empty without one."""
        return self.kept[arn].stages.get("AWSPENDING", "")

    def stages(self, secret_arn: str, *, cluster: str, purpose: Purpose) -> Stages:
        """Return which version has which stage; reads no value."""
        del cluster, purpose
        kept = self.kept[secret_arn]
        left, shown = self._before.get(secret_arn, (0, {}))
        self._before[secret_arn] = left - 1, shown
        if left <= 0:
            shown = kept.stages
        current, pending = shown["AWSCURRENT"], shown.get("AWSPENDING", "")
        return Stages(
            current=current,
            pending="" if pending == current else pending,
            previous=shown.get("AWSPREVIOUS", ""),
            rotated=kept.rotated,
        )

    def _changes(self, secret_arn: str) -> dict[str, str]:
        """The stages, of which looks go on to show a copy."""
        stages = self.kept[secret_arn].stages
        self._before[secret_arn] = self.stale, dict(stages)
        return stages

    def read(self, secret_arn: str, version_id: str) -> Credentials:
        """Read one version."""
        return self.kept[secret_arn].values[version_id]

    def create(self, secret_arn: str, username: str, token: str) -> None:
        """Make a version with a new password as AWSPENDING, once for a token."""
        kept = self.kept[secret_arn]
        if token not in kept.values:
            kept.values[token] = Credentials(username, self.unknown_password())
            self._changes(secret_arn)["AWSPENDING"] = token

    def promote(self, secret_arn: str, version_id: str, former: str) -> None:
        """Move AWSCURRENT; from where it is not, AWS moves nothing."""
        if self.kept[secret_arn].stages["AWSCURRENT"] != former:
            return
        stages = self._changes(secret_arn)
        stages |= {"AWSCURRENT": version_id, "AWSPREVIOUS": former}
        stages.pop("AWSPENDING", None)

    def unknown_password(self) -> str:
        """Return a password that was never returned before."""
        return f"password-number-{next(self._numbers):04d}"


@dataclass
class User:
    """A user as the primary storage has it; ``shown`` is the password that logins are held to."""

    password: str
    shown: str = ""
    shown_at: float = 0.0
    memberships: dict[str, set[str]] = field(
        default_factory=lambda: {kind: set() for kind in KINDS}
    )
    former: dict[str, set[str]] = field(default_factory=dict)
    member_at: float = 0.0
    """Until then ``former`` are the memberships that a login shows."""


@dataclass
class FakeCamundaUsers:
    """Users of one cluster; a change is shown ``lag`` seconds later, as the exporter brings it."""

    now: Callable[[], float] = lambda: 0.0
    lag: float = 2.0
    users: dict[str, User] = field(default_factory=dict)
    own: dict[str, int] = field(default_factory=dict)
    running: bool = True
    known: dict[str, set[str]] = field(
        default_factory=lambda: {
            "roles": {"admin", "connectors"},
            "groups": set(),
            "tenants": {"<default>"},
        }
    )
    brought: dict[tuple[str, str], dict[str, set[str]]] = field(default_factory=dict)
    """What members of a group or role are members of by it, beside every role's default tenant."""
    unsupported: bool = False
    """Whether memberships are answered with HTTP 501."""
    deaf: bool = False
    """Whether changes are accepted and never exported."""

    def add(self, user: Credentials, *roles: str) -> None:
        """Add a user as the brokers' environment does."""
        self.users[user.username] = User(user.password, user.password)
        self.users[user.username].memberships["roles"] |= set(roles)

    def accepts(self, login: Credentials) -> bool:
        """Whether a login is accepted now."""
        user = self.users.get(login.username)
        if user is None:
            return False
        if self.now() >= user.shown_at and not self.deaf:
            user.shown = user.password
        return bool(user.shown) and user.shown == login.password

    def account(self, login: Credentials) -> Account | None:
        """Log in; None for a password or user that is refused."""
        self._answer()
        if not self.accepts(login):
            return None
        held = self._shown(self.users[login.username])
        return Account(login.username, {kind: frozenset(names) for kind, names in held.items()})

    def _shown(self, user: User) -> dict[str, set[str]]:
        """Memberships as a login shows them: with those that groups and roles bring along."""
        own = user.former if self.now() < user.member_at else user.memberships
        shown = {kind: set(own[kind]) for kind in KINDS}
        for kind in ("groups", "roles"):
            for name in shown[kind].copy():
                for brought, names in self.brought.get((kind, name), {}).items():
                    shown[brought] |= names
        if shown["roles"]:
            shown["tenants"].add("<default>")
        return shown

    def set_password(self, login: Credentials, user: Credentials) -> None:
        """Give a user a password, and make it where there is none."""
        self._administrator(login)
        known = self.users.setdefault(user.username, User(""))
        if known.password != user.password:
            known.password, known.shown_at = user.password, self.now() + self.lag

    def add_member(self, login: Credentials, kind: str, name: str, username: str) -> None:
        """Make a user a member; of what is not there it becomes none."""
        self._change(login, kind, name, username, add=True)

    def remove_member(self, login: Credentials, kind: str, name: str, username: str) -> None:
        """Remove a user from what it is a member of itself."""
        self._change(login, kind, name, username, add=False)

    def _change(
        self, login: Credentials, kind: str, name: str, username: str, *, add: bool
    ) -> None:
        self._administrator(login)
        if self.unsupported:
            raise ManagementRefused("10.0.0.10 answered HTTP 501: not performed.")
        user = self.users[username]
        if name not in self.known[kind] or (name in user.memberships[kind]) is add:
            return
        shown = user.former if self.now() < user.member_at else user.memberships
        user.former = {one: set(names) for one, names in shown.items()}
        user.member_at = self.now() + self.lag
        if add:
            user.memberships[kind].add(name)
        else:
            user.memberships[kind].remove(name)

    def own_authorizations(self, login: Credentials, username: str) -> int:
        """Return how many authorizations a user has itself."""
        self._administrator(login)
        return self.own.get(username, 0)

    def _administrator(self, login: Credentials) -> None:
        self._answer()
        if not self.accepts(login):
            raise CredentialsRefused("10.0.0.10 answered HTTP 401.")
        if "admin" not in self.users[login.username].memberships["roles"]:
            raise ManagementRefused("10.0.0.10 answered HTTP 403.")

    def _answer(self) -> None:
        if not self.running:
            raise ManagementUnavailable("No broker could answer.")


@dataclass
class FakeDatabaseLogins:
    """Aurora's administrator."""

    admin: Credentials

    def accepts(self, login: Credentials) -> bool:
        """Log in; False for a password that is refused."""
        return login == self.admin

    def set_password(self, login: Credentials, password: str) -> None:
        """Change the password of the user that logs in."""
        if login != self.admin:
            raise DatabaseAuthenticationFailed(f"Refused the login of {login.username!r}.")
        self.admin = Credentials(login.username, password)


@dataclass
class FakeTaskSecrets:
    """Secrets that tasks of any revision get."""

    names: frozenset[str]

    def references(self, revision: str) -> frozenset[str]:
        """Return the ``valueFrom`` of each secret."""
        del revision
        return self.names
