"""Serves a WSGI application over TLS at one address, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable

_START_SECONDS = 10.0


class Server:
    """A server at `address` and `port`, with a certificate and key in PEM.

    `application` gives the application at the first request: until then it costs nothing.
    `directory` keeps both for the TLS library, readable by this user only.
    """

    def __init__(
        self,
        address: str,
        port: int,
        application: Callable[[], Any],
        *,
        certificate: bytes,
        key: bytes,
        directory: Path,
    ) -> None:
        self._address, self._port = address, port
        directory.mkdir(parents=True, exist_ok=True)
        certificate_file, key_file = directory / "server.pem", directory / "server.key"
        certificate_file.write_bytes(certificate)
        key_file.touch(mode=0o600)
        key_file.write_bytes(key)
        self._config = Config()
        self._config.bind = [f"{address}:{port}"]
        self._config.certfile = str(certificate_file)
        self._config.keyfile = str(key_file)
        self._config.loglevel = "WARNING"
        self._config.graceful_timeout = 1.0
        self._application = application
        self._app: Any = None
        self._making = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="identity", daemon=True)

    def start(self) -> None:
        """Listen. Raises OSError if the port is in use."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((self._address, self._port))
        self._thread.start()
        with socket.socket() as client:
            client.settimeout(_START_SECONDS)
            for _ in range(200):
                if client.connect_ex((self._address, self._port)) == 0:
                    return
                self._thread.join(0.02)
        raise OSError(f"{self._address}:{self._port} does not listen")

    def stop(self) -> None:
        """Stop listening and wait until the thread is gone."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join()
        if not self._loop.is_closed():
            self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        serving = serve(self._call, self._config, shutdown_trigger=self._over.wait, mode="wsgi")
        self._loop.run_until_complete(serving)

    def _call(self, environ: Any, start_response: Any) -> Any:
        with self._making:
            if self._app is None:
                self._app = self._application()
        return self._app(environ, start_response)
