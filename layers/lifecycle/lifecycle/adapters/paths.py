"""Paths through the load balancers, asked over the network and told in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lifecycle.adapters.probes import grpc_answers, http_status

if TYPE_CHECKING:
    from lifecycle.core.credentials import Credentials


class NetworkPaths:
    """The ``Paths`` port on HTTP and TCP."""

    def http(
        self,
        url: str,
        *,
        credentials: Credentials | None = None,
        networks: Sequence[str] = (),
    ) -> tuple[bool, str]:
        """``GET``: whether the answer is 200, and what was seen, in words."""
        status = http_status(url, credentials=credentials, networks=networks).status
        return status == 200, f"{url} answers {status}"

    def grpc(self, host: str, port: int, *, tls: bool) -> tuple[bool, str]:
        """Whether a gRPC server answers, and what was seen, in words."""
        if grpc_answers(host, port, tls=tls):
            return True, f"{host}:{port} answers HTTP/2{' over TLS' if tls else ''}"
        return False, f"{host}:{port} accepts a connection but no gRPC server answers"
