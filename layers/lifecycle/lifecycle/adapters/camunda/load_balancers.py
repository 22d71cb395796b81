"""Paths through the load balancers, requested over the network; results are text."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lifecycle.adapters.camunda.endpoints import grpc_answers, http_status
from lifecycle.camunda.paths import PathSeen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.camunda.credentials import Credentials

_HTML = "text/html"


class NetworkPaths:
    """The ``Paths`` port on HTTP and TCP. Certificates are verified against ``ca_file``."""

    def __init__(self, ca_file: str | None = None) -> None:
        self._ca_file = ca_file

    def http(
        self,
        url: str,
        *,
        credentials: Credentials | None = None,
        networks: Sequence[str] = (),
        balancer: str = "",
    ) -> PathSeen:
        """Send ``GET`` and return whether the response is 200, with the result as text.

        ``balancer`` as for ``http_status``.
        """
        answer = http_status(
            url,
            credentials=credentials,
            networks=networks,
            balancer=balancer,
            ca_file=self._ca_file,
        )
        seen = f"{url} answers {answer.status}"
        return _seen(answer.status == 200, seen, urlsplit(url).hostname, answer.certificate_until)

    def page(self, url: str) -> PathSeen:
        """Send ``GET`` as a browser and return whether the response is 200 and HTML."""
        answer = http_status(url, accept=_HTML, ca_file=self._ca_file)
        kind = answer.content_type or "nothing"
        ok = answer.status == 200 and kind == _HTML
        seen = f"{url} answers {answer.status} with {kind}"
        return _seen(ok, seen, urlsplit(url).hostname, answer.certificate_until)

    def grpc(self, host: str, port: int, *, tls: bool, name: str = "") -> PathSeen:
        """Return whether a gRPC server responds, with the result as text.

        With ``tls`` the certificate has to be that of ``name``, by default that of the host.
        """
        answer = grpc_answers(host, port, tls=tls, name=name, ca_file=self._ca_file)
        seen = (
            f"{host}:{port} answers HTTP/2{' over TLS' if tls else ''}"
            if answer.answers
            else f"{host}:{port} accepts a connection but no gRPC server answers"
        )
        return _seen(answer.answers, seen, name or host, answer.certificate_until)


def _seen(ok: bool, seen: str, host: str | None, until: int | None) -> PathSeen:
    return PathSeen(ok, seen) if until is None else PathSeen(ok, seen, host or "", until)
