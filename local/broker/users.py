"""Who may use the clients' APIs: users of the environment, and those of the users API.

Basic authentication (`camunda.security.authentication.method=basic`, the default). Passwords of the
users API are kept as scrypt hashes, replicated with partition 1.
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

_NAMED = re.compile(r"CAMUNDA_SECURITY_INITIALIZATION_USERS_(\d+)_USERNAME")
_UNPROTECTED = "CAMUNDA_SECURITY_AUTHENTICATION_UNPROTECTEDAPI"
_REMEMBERED_SECONDS = 2.0


class Users:
    """Users of the environment, and those that a gateway knows."""

    def __init__(self, environment: Mapping[str, str], gateway: Gateway) -> None:
        self._gateway = gateway
        self._open = environment.get(_UNPROTECTED, "false") == "true"
        self._configured: dict[str, Json] = {}
        for variable in environment:
            if found := _NAMED.fullmatch(variable):
                prefix = f"CAMUNDA_SECURITY_INITIALIZATION_USERS_{found[1]}_"
                self._configured[environment[variable]] = {
                    "username": environment[variable],
                    "name": environment.get(f"{prefix}NAME", ""),
                    "email": environment.get(f"{prefix}EMAIL", ""),
                    "password": hash_password(environment.get(f"{prefix}PASSWORD", "")),
                }
        self._verified: dict[bytes, tuple[str, float]] = {}

    async def all(self) -> dict[str, Json]:
        """Give all users by name; those of the users API are read from partition 1."""
        result = await self._gateway.send(1, {"kind": "list_users"})
        return self._configured | {one["username"]: one for one in result["ok"]["users"]}

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

    async def _proves(self, name: str, password: str) -> bool:
        known = self._configured.get(name)
        if known is not None and verify(password, known["password"]):
            return True
        try:
            known = (await self.all()).get(name)
        except (PartitionUnavailable, OutcomeUnknown):
            return False
        return known is not None and verify(password, known["password"])


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
