"""Paths through the load balancers, requested over the network; results are text."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from lifecycle.adapters.camunda.endpoints import grpc_answers, http_status
from lifecycle.camunda.paths import PathSeen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.camunda.credentials import Login
    from lifecycle.camunda.paths import SignIn

_HTML = "text/html"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# /operate, /oauth2/authorization/oidc, and one that adds a slash.
_HOPS = 3


class NetworkPaths:
    """The ``Paths`` port on HTTP and TCP. Certificates are verified against ``ca_file``."""

    def __init__(self, ca_file: str | None = None) -> None:
        self._ca_file = ca_file

    def http(
        self,
        url: str,
        *,
        login: Login | None = None,
        networks: Sequence[str] = (),
        balancer: str = "",
    ) -> PathSeen:
        """Send ``GET`` and return whether the response is 200, with the result as text.

        ``balancer`` as for ``http_status``.
        """
        answer = http_status(
            url,
            login=login,
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

    def sign_in(self, url: str, wanted: SignIn) -> PathSeen:
        """Follow redirects within the URL's host and return whether they lead to the provider.

        The provider itself is not requested: what is of interest is where Camunda sends a browser.
        """
        here = url
        for _ in range(_HOPS):
            answer = http_status(here, accept=_HTML, ca_file=self._ca_file)
            host, until = urlsplit(url).hostname, answer.certificate_until
            if answer.status not in _REDIRECTS or not answer.location:
                kind = answer.content_type or "nothing"
                seen = f"{here} answers {answer.status} with {kind}, no redirect to a login"
                return _seen(False, seen, host, until)
            location = urljoin(here, answer.location)
            if _origin(location) != _origin(url):
                fault = wanted.fault(location)
                shown = location.partition("?")[0][:200]
                seen = f"{url} leads to {shown}" + (f": {fault}" if fault else "")
                return _seen(not fault, seen, host, until)
            here = location
        return _seen(False, f"{url} redirects more than {_HOPS} times", host, until)

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


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _seen(ok: bool, seen: str, host: str | None, until: int | None) -> PathSeen:
    return PathSeen(ok, seen) if until is None else PathSeen(ok, seen, host or "", until)
