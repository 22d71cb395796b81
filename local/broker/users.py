"""Who may use the clients' APIs: users of partition 1, or those whom an issuer's tokens name.

Basic authentication (`camunda.security.authentication.method=basic`, the default). Passwords are
kept as scrypt hashes, replicated with partition 1. A broker that starts makes the users of its
environment, with its roles, where there are none of that name; one that exists keeps its password,
whatever the environment says (`IdentitySetupInitializer`, `IdentitySetupInitializeProcessor`). A
login is held to what is exported: a changed password counts a second later, and the former one
until then. Without partition 1 a login is held to the users that were read last, as it would be
to the secondary storage, or to those of the environment where none were; on restored data to none,
since the secondary storage has users of its time, whatever the environment says.

With `oidc`, bearer tokens of the issuer alone count. Users, clients, groups and mapping rules have
the roles that the environment gave them, or an administrator later: an initial membership that is
not there is added at each start.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from local.broker import identity
from local.broker.gateway_port import OutcomeUnknown, PartitionUnavailable
from local.broker.identity import Principal, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.broker.gateway_port import Gateway

type Json = dict[str, Any]

ADMIN, CONNECTORS, READONLY = "admin", "connectors", "readonly-admin"

_NAMED = re.compile(r"CAMUNDA_SECURITY_INITIALIZATION_USERS_(\d+)_USERNAME")
_MEMBER = re.compile(r"CAMUNDA_SECURITY_INITIALIZATION_DEFAULTROLES_([A-Z]+)_USERS_\d+")
_DIRECTORY = "CAMUNDA_DATA_PRIMARYSTORAGE_DIRECTORY"
_RESTORED = "restored-"
_UNPROTECTED = "CAMUNDA_SECURITY_AUTHENTICATION_UNPROTECTEDAPI"
_AUTHORIZATIONS = "CAMUNDA_SECURITY_AUTHORIZATIONS_ENABLED"
_REMEMBERED_SECONDS = 0.5


class Verifier(Protocol):
    """What verifies tokens; see `local.broker.issuer.Issuer`."""

    def principal(self, token: str) -> Principal:
        """Give who a token is about. Raises TokenRejected and IssuerUnavailable."""


class Users:
    """Users that a gateway knows, and those of the environment that it begins with.

    With an issuer it verifies tokens instead of passwords. Without roles in the environment, as in
    tests of the API alone, every user with a password may do everything, and without authorizations
    every user.
    """

    def __init__(
        self, environment: Mapping[str, str], gateway: Gateway, issuer: Verifier | None = None
    ) -> None:
        self._gateway = gateway
        self._issuer = issuer
        self._initial_owners = identity.initial(environment if issuer else {})
        self._open = environment.get(_UNPROTECTED, "false") == "true"
        self._initial: dict[str, Json] = {}
        members = {
            (environment[variable], found[1].lower())
            for variable in environment
            if (found := _MEMBER.fullmatch(variable))
        }
        self.roles_count = bool(members) or issuer is not None
        if environment.get(_AUTHORIZATIONS, "true").lower() == "false":
            self.roles_count = False
        for variable in environment:
            if found := _NAMED.fullmatch(variable):
                prefix = f"CAMUNDA_SECURITY_INITIALIZATION_USERS_{found[1]}_"
                name = environment[variable]
                self._initial[name] = {
                    "username": name,
                    "name": environment.get(f"{prefix}NAME", ""),
                    "email": environment.get(f"{prefix}EMAIL", ""),
                    "password": hash_password(environment.get(f"{prefix}PASSWORD", "")),
                    "roles": sorted(role for user, role in members if user == name),
                }
        self._unread = {} if _RESTORED in environment.get(_DIRECTORY, "") else self._initial
        self._initialized = False
        self._last: dict[str, Json] = {}
        self._owners: Json = self._initial_document()
        self._verified: dict[bytes, tuple[Principal, float]] = {}

    @property
    def oidc(self) -> bool:
        """Whether an issuer's tokens count, and no passwords."""
        return self._issuer is not None

    async def all(self) -> dict[str, Json]:
        """Give all users by name, read from partition 1; those of the environment are there."""
        await self._initialize()
        result = await self._gateway.send(1, {"kind": "list_users"})
        self._last = {one["username"]: one for one in result["ok"]["users"]}
        return self._last

    async def _initialize(self) -> None:
        if self._initialized:
            return
        for user in self._initial.values():
            # Rejected where there is a user of that name, as ALREADY_EXISTS.
            command = {"kind": "put_user", "user": user, "new": True, "initial": True}
            await self._gateway.send(1, command)
        for rule in self._initial_owners.rules:
            await self._gateway.send(1, {"kind": "put_rule", "rule": asdict(rule)})
        for role, kind, name in self._initial_owners.members:
            command = {
                "kind": "add_member",
                "entity": "role",
                "id": role,
                "owner": kind,
                "username": name,
                "initial": True,
            }
            await self._gateway.send(1, command)
        self._initialized = True

    async def principal_of(self, authorization: str) -> Principal | None:
        """Give whom an `Authorization` header proves; None for a header of another kind, or none.

        If the API is unprotected, any client is `anonymous`. Raises TokenRejected for a token that
        is not accepted, and IssuerUnavailable if that is not known.
        """
        if self._open:
            return Principal(identity.USER, "anonymous")
        scheme, _, given = authorization.partition(" ")
        if self._issuer is not None:
            if scheme.lower() != "bearer" or not given:
                return None
            return await asyncio.to_thread(self._issuer.principal, given)
        digest = hashlib.sha256(authorization.encode()).digest()
        found, until = self._verified.get(digest, (None, 0.0))
        if time.monotonic() < until:
            return found
        try:
            pair = base64.b64decode(given, validate=True).decode()
        except ValueError:
            return None
        name, _, password = pair.partition(":")
        if scheme.lower() != "basic" or not await self.proves(name, password):
            return None
        proven = Principal(identity.USER, name)
        self._verified[digest] = proven, time.monotonic() + _REMEMBERED_SECONDS
        return proven

    async def may(self, who: Principal, *roles: str) -> bool:
        """Whether a principal has one of these roles; the administrator may do everything."""
        if self._open or not self.roles_count:
            return True
        return bool(set(await self.roles(who)) & {ADMIN, *roles})

    async def roles(self, who: Principal) -> list[str]:
        """Give the roles of a principal, by name, mapping rules and groups."""
        held: set[str] = set()
        if who.kind == identity.USER:
            # Memberships of a time with passwords stay.
            held |= set((await self._known()).get(who.name, {}).get("roles", ()))
        if self._issuer is not None:
            document = await self._known_owners()
            rules = [Rule(**one) for one in document["rules"]]
            for kind, name in identity.owners(who, rules):
                held |= set(document["owners"].get(kind, {}).get(name, ()))
        return sorted(held)

    async def proves(self, name: str, password: str) -> bool:
        """Whether a password is a user's; never with an issuer."""
        if self._issuer is not None:
            return False
        known = (await self._known()).get(name)
        hashed = exported(known, time.time()) if known is not None else ""
        return bool(hashed) and verify(password, hashed)

    async def _known(self) -> dict[str, Json]:
        try:
            return await self.all()
        except (PartitionUnavailable, OutcomeUnknown):
            return self._last or self._unread

    async def _known_owners(self) -> Json:
        try:
            await self._initialize()
            result = await self._gateway.send(1, {"kind": "list_owners"})
            self._owners = result["ok"]
        except (PartitionUnavailable, OutcomeUnknown):
            pass
        return self._owners

    def _initial_document(self) -> Json:
        owners: Json = {}
        for role, kind, name in self._initial_owners.members:
            owners.setdefault(kind, {}).setdefault(name, []).append(role)
        return {"owners": owners, "rules": [asdict(one) for one in self._initial_owners.rules]}


def exported(user: Json, now: float) -> str:
    """Give the hash that a login is held to at a time (epoch seconds); empty without one."""
    if now * 1000 >= user.get("exportedAt", 0):
        return str(user["password"])
    return str(user.get("formerPassword") or "")


def hash_password(password: str) -> str:
    """Give salt and scrypt hash of a password."""
    salt = os.urandom(16)
    return f"{salt.hex()}:{_scrypt(password, salt).hex()}"


def verify(password: str, hashed: str) -> bool:
    """Whether a password is the one that was hashed."""
    salt, _, expected = hashed.partition(":")
    return _scrypt(password, bytes.fromhex(salt)).hex() == expected


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**10, r=8, p=1)
