"""The front of PostgreSQL: TLS, and RDS's login for IAM users.

The front requests the password of a member of ``rds_iam`` in clear inside TLS and verifies it
as an IAM token; other users are passed on to PostgreSQL's own SCRAM. After
the login, bytes are relayed as they are. One front serves every Aurora cluster of the instance and
knows by the name in the TLS handshake which one is meant.

Protocol: https://www.postgresql.org/docs/17/protocol-message-formats.html
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
import struct
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.postgres.server import Account

logger = logging.getLogger(__name__)

_PROTOCOL_3 = 3
_SSL_REQUEST = 80877103
_GSS_REQUEST = 80877104
_MAX_STARTUP_BYTES = 10_000
_MAX_PASSWORD_BYTES = 70_000
_LOGIN_SECONDS = 30
_CHUNK = 65536
_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Backend:
    """One database server and how its users log in."""

    context: ssl.SSLContext
    socket: Path
    admin: str
    account: Callable[[str], Account | None]
    refusal: Callable[[str, str], str | None]
    """Why a token does not let a user in, or None; see `IamDatabase.refusal`."""
    settles: Callable[[float | None], bool] = lambda _: False
    """Whether a user's membership in ``rds_iam``, so many seconds old, has no effect yet."""


class _LoginRefused(Exception):
    """PostgreSQL's SQLSTATE and words for why a client is not let in."""

    def __init__(self, state: str, message: str) -> None:
        self.state = state
        super().__init__(message)


class Front:
    """Listens on one address for all databases."""

    def __init__(self, address: str, port: int) -> None:
        self._address = address
        self._port = port
        self._backends: dict[str, Backend] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen. Raises OSError with the remedy if the address is in use."""
        listening: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._listen(listening)), name="postgres-front", daemon=True
        )
        self._thread.start()
        listening.result()

    def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._loop is not None and self._thread is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._stopping.set)
            # A client whose TLS never ends is not waited for; the thread is a daemon.
            self._thread.join(_STOP_SECONDS)

    def publish(self, name: str, backend: Backend) -> None:
        """Serve `backend` to clients that request `name`; the first also to those without one."""
        backend.context.sni_callback = self._choose
        self._backends[name.lower()] = backend

    def withdraw(self, name: str) -> None:
        """Serve `name` no longer."""
        self._backends.pop(name.lower(), None)

    async def _listen(self, listening: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            server = await asyncio.start_server(self._serve, self._address, self._port)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            taken = (
                f"{self._address}:{self._port} cannot be used ({reason}). Another instance may be "
                "running: `make down`, or choose another block with BLOCK=127.<n>."
            )
            listening.set_exception(OSError(error.errno, taken))
            return
        listening.set_result(None)
        async with server:
            await self._stopping.wait()
            server.close()
            server.abort_clients()

    def _choose(
        self, tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext
    ) -> ssl.AlertDescription | None:
        backend = self._backends.get((name or "").lower())
        if backend is not None:
            tls.context = backend.context
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_LOGIN_SECONDS):
                upstream = await self._login(reader, writer)
            if upstream is not None:
                await _relay(reader, writer, *upstream)
        except _LoginRefused as refused:
            writer.write(_error_message(refused))
        except (OSError, EOFError, ssl.SSLError) as error:
            logger.debug("connection ended: %s", error)
        finally:
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

    async def _login(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """See a client through TLS and login; gives its connection to PostgreSQL, or None."""
        default = next(iter(self._backends.values()), None)
        if default is None:
            return None
        code, packet = await _read_startup(reader)
        while code in {_GSS_REQUEST, _SSL_REQUEST} and not _encrypted(writer):
            if code == _GSS_REQUEST:
                writer.write(b"N")
            else:
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(default.context)
            code, packet = await _read_startup(reader)
        if code >> 16 != _PROTOCOL_3:
            return None  # also a request to cancel: nothing here sends one
        parameters = _parameters(packet)
        user = parameters.get("user", "")
        peer = writer.get_extra_info("peername")[0]
        where = f'host "{peer}", user "{user}", database "{parameters.get("database", user)}"'
        if not _encrypted(writer):
            # What RDS answers with rds.force_ssl, its default since PostgreSQL 15.
            raise _LoginRefused("28000", f"no pg_hba.conf entry for {where}, no encryption")
        context = writer.get_extra_info("ssl_object").context
        backend = next((b for b in self._backends.values() if b.context is context), default)
        account = await asyncio.to_thread(backend.account, user)
        if account is not None and account.superuser:
            raise _LoginRefused("28000", f"pg_hba.conf rejects connection for {where}")
        if account is not None and account.in_rds_iam and user != backend.admin:
            token = await _ask_password(reader, writer)
            refusal = await asyncio.to_thread(backend.refusal, user, token)
            if refusal is None and backend.settles(account.member_seconds):
                refusal = "NotSettled"
            if refusal is not None:
                logger.info("token for %s refused: %s", user, refusal)
                raise _LoginRefused("28000", f'PAM authentication failed for user "{user}"')
        upstream = await asyncio.open_unix_connection(str(backend.socket))
        upstream[1].write(struct.pack("!I", len(packet) + 4) + packet)
        return upstream


def _encrypted(writer: asyncio.StreamWriter) -> bool:
    return writer.get_extra_info("ssl_object") is not None


async def _read_startup(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read a packet without a type byte: its code, and all of it after the length."""
    (length,) = struct.unpack("!I", await reader.readexactly(4))
    if not 8 <= length <= _MAX_STARTUP_BYTES:
        raise ConnectionError("not a PostgreSQL client")
    packet = await reader.readexactly(length - 4)
    return struct.unpack("!I", packet[:4])[0], packet


def _parameters(packet: bytes) -> dict[str, str]:
    words = packet[4:].decode("utf-8", "replace").split("\0")
    return dict(zip(words[::2], words[1::2], strict=False))


async def _ask_password(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(b"R" + struct.pack("!II", 8, 3))  # AuthenticationCleartextPassword
    await writer.drain()
    kind, length = struct.unpack("!cI", await reader.readexactly(5))
    if kind != b"p" or not 5 <= length <= _MAX_PASSWORD_BYTES:
        raise ConnectionError("no password message")
    return (await reader.readexactly(length - 4)).rstrip(b"\0").decode("utf-8", "replace")


def _error_message(refused: _LoginRefused) -> bytes:
    fields = {"S": "FATAL", "V": "FATAL", "C": refused.state, "M": str(refused)}
    body = b"".join(f"{key}{value}\0".encode() for key, value in fields.items()) + b"\0"
    return b"E" + struct.pack("!I", len(body) + 4) + body


async def _relay(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    upstream_reader: asyncio.StreamReader,
    upstream_writer: asyncio.StreamWriter,
) -> None:
    """Pass bytes both ways until one side ends."""
    directions = [
        asyncio.create_task(_pump(reader, upstream_writer)),
        asyncio.create_task(_pump(upstream_reader, writer)),
    ]
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
        upstream_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
