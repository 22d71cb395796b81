"""Sessions of browsers: `camunda-session`, kept by this broker or in the secondary storage.

As `WebSessionRepository` of camunda/camunda and Spring Session do: 30 minutes without a request end
a session; its id changes at the login. Writes of a browser need the CSRF token, whose cookie is
`X-CSRF-TOKEN`: a client sends it masked, as the header of an answer to a GET has it
(`CookieCsrfTokenRepository`, `XorCsrfTokenRequestAttributeHandler`).
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import secrets
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

type Json = dict[str, Any]

COOKIE = "camunda-session"
CSRF = "X-CSRF-TOKEN"
_IDLE_SECONDS = 1800.0
_TOUCH_SECONDS = 10.0


@dataclass
class Session:
    """One session; times are seconds since the epoch.

    `login` is what a login under way has to come back with, `principal` who logged in.
    """

    id: str
    touched: float
    login: Json | None = None
    principal: Json | None = None
    tokens: Json | None = field(default=None, repr=False)

    @property
    def expires(self) -> float:
        """When it ends without another request."""
        return self.touched + _IDLE_SECONDS


class Store(Protocol):
    """Where sessions are kept; each call may raise StorageUnavailable."""

    def session(self, session: str) -> Json | None:
        """Give a session's content."""

    def keep_session(self, session: str, content: Json, expires: float) -> None:
        """Write a session; those that have expired go."""

    def drop_session(self, session: str) -> None:
        """Forget a session."""


class Memory:
    """Sessions of one broker, which end with it."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._kept: dict[str, tuple[Json, float]] = {}

    def session(self, session: str) -> Json | None:
        """Give a session's content."""
        found = self._kept.get(session)
        return found[0] if found else None

    def keep_session(self, session: str, content: Json, expires: float) -> None:
        """Write a session; those that have expired go."""
        self._kept = {k: v for k, v in self._kept.items() if v[1] > self._now()}
        self._kept[session] = content, expires

    def drop_session(self, session: str) -> None:
        """Forget a session."""
        self._kept.pop(session, None)


class Sessions:
    """The sessions of a store."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now

    async def find(self, session: str) -> Session | None:
        """Give a session that has not ended. Raises StorageUnavailable."""
        if not session:
            return None
        content = await asyncio.to_thread(self._store.session, session)
        if content is None:
            return None
        found, now = Session(**content), self._now()
        if now > found.expires:
            await self.drop(found)
            return None
        if now - found.touched > _TOUCH_SECONDS:
            await self.keep(found)
        return found

    async def begin(self, before: Session | None = None, **content: Any) -> Session:
        """Make a session with a new random id; the one before it ends."""
        if before is not None:
            await self.drop(before)
        made = Session(uuid.uuid4().hex, self._now(), **content)
        await self.keep(made)
        return made

    async def keep(self, session: Session) -> None:
        """Write a session as used now."""
        session.touched = self._now()
        await asyncio.to_thread(
            self._store.keep_session, session.id, asdict(session), session.expires
        )

    async def drop(self, session: Session) -> None:
        """End a session."""
        await asyncio.to_thread(self._store.drop_session, session.id)


def csrf_token() -> str:
    """Make a token, the cookie's value."""
    return str(uuid.uuid4())


def masked(token: str) -> str:
    """Give a token as the header of an answer has it: different each time."""
    content = token.encode()
    mask = secrets.token_bytes(len(content))
    mixed = bytes(one ^ other for one, other in zip(mask, content, strict=True))
    return base64.urlsafe_b64encode(mask + mixed).decode()


def matches(sent: str, token: str) -> bool:
    """Whether a header has the token of the cookie, masked."""
    expected = token.encode()
    try:
        content = base64.urlsafe_b64decode(sent.encode())
    except ValueError:
        return False
    if not token or len(content) != 2 * len(expected):
        return False
    mask, mixed = content[: len(expected)], content[len(expected) :]
    found = bytes(one ^ other for one, other in zip(mask, mixed, strict=True))
    return hmac.compare_digest(found, expected)
