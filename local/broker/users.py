"""Who may use the clients' APIs: users of partition 1, which a broker's environment begins.

Basic authentication (`camunda.security.authentication.method=basic`, the default). Passwords are
kept as scrypt hashes, replicated with partition 1. A broker that starts makes the users of its
environment, with its roles, where there are none of that name; one that exists keeps its password,
whatever the environment says (`IdentitySetupInitializer`, `IdentitySetupInitializeProcessor`). A
login is held to what is exported: a changed password counts a second later, and the former one
until then. Without partition 1 a login is held to the users that were read last, as it would be
to the secondary storage.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
from typing import TYPE_CHECKING, Any

from local.broker.gateway_port import OutcomeUnknown, PartitionUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.broker.gateway_port import Gateway

type Json = dict[str, Any]

ADMIN, CONNECTORS = "admin", "connectors"

_NAMED = re.compile(r"CAMUNDA_SECURITY_INITIALIZATION_USERS_(\d+)_USERNAME")
_MEMBER = re.compile(r"CAMUNDA_SECURITY_INITIALIZATION_DEFAULTROLES_([A-Z]+)_USERS_\d+")
_UNPROTECTED = "CAMUNDA_SECURITY_AUTHENTICATION_UNPROTECTEDAPI"
_REMEMBERED_SECONDS = 0.5


class Users:
    """Users that a gateway knows, and those of the environment that it begins with.

    Without roles in the environment, as in tests of the API alone, every user may do everything.
    """

    def __init__(self, environment: Mapping[str, str], gateway: Gateway) -> None:
        self._gateway = gateway
        self._open = environment.get(_UNPROTECTED, "false") == "true"
        self._initial: dict[str, Json] = {}
        members = {
            (environment[variable], found[1].lower())
            for variable in environment
            if (found := _MEMBER.fullmatch(variable))
        }
        self.roles_count = bool(members)
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
        self._initialized = False
        self._last: dict[str, Json] = {}
        self._verified: dict[bytes, tuple[str, float]] = {}

    async def all(self) -> dict[str, Json]:
        """Give all users by name, read from partition 1; those of the environment are there."""
        if not self._initialized:
            for user in self._initial.values():
                # Rejected where there is a user of that name, as ALREADY_EXISTS.
                command = {"kind": "put_user", "user": user, "new": True, "initial": True}
                await self._gateway.send(1, command)
            self._initialized = True
        result = await self._gateway.send(1, {"kind": "list_users"})
        self._last = {one["username"]: one for one in result["ok"]["users"]}
        return self._last

    async def user_of(self, authorization: str) -> str | None:
        """Give the user whom an `Authorization` header proves; None for anything else.

        If the API is unprotected, any client is `anonymous`.
        """
        if self._open:
            return "anonymous"
        if not authorization:
            return None
        digest = hashlib.sha256(authorization.encode()).digest()
        user, until = self._verified.get(digest, ("", 0.0))
        if time.monotonic() < until:
            return user
        scheme, _, encoded = authorization.partition(" ")
        try:
            pair = base64.b64decode(encoded, validate=True).decode()
        except ValueError:
            return None
        name, _, password = pair.partition(":")
        if scheme.lower() != "basic" or not await self._proves(name, password):
            return None
        self._verified[digest] = name, time.monotonic() + _REMEMBERED_SECONDS
        return name

    async def may(self, username: str, *roles: str) -> bool:
        """Whether a user has one of these roles; the administrator may do everything."""
        if self._open or not self.roles_count:
            return True
        held = set((await self._known()).get(username, {}).get("roles", ()))
        return bool(held & {ADMIN, *roles})

    async def _known(self) -> dict[str, Json]:
        try:
            return await self.all()
        except (PartitionUnavailable, OutcomeUnknown):
            return self._last or self._initial

    async def _proves(self, name: str, password: str) -> bool:
        known = (await self._known()).get(name)
        hashed = exported(known, time.time()) if known is not None else ""
        return bool(hashed) and verify(password, hashed)


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
