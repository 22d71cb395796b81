"""Identity providers over https: configuration document, keys, and tokens of clients.

Every certificate is verified against the system's authorities, no redirect is followed, and
nothing of a token or a secret is logged or part of an error.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from lifecycle.adapters.camunda import http_client
from lifecycle.camunda.identity import discovery_url, read_discovery, read_keys, read_token
from lifecycle.errors import IdentityProviderUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.camunda.credentials import Token
    from lifecycle.camunda.identity import Client, Discovery, Issued, Keys
    from lifecycle.camunda.ports import ClientSecrets

_ACCEPT: Final = {"Accept": "application/json"}
_FORM: Final = {**_ACCEPT, "Content-Type": "application/x-www-form-urlencoded"}
_TIMEOUTS: Final = http_client.Timeouts(connect=2.0, read=5.0)
_HTTPS: Final = 443
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
# A token that is rejected is not replaced before it is so old (seconds): providers charge for each.
_FRESH: Final = 300


class HttpIdentityProvider:
    """The ``IdentityProvider`` port on https; ``ca_file`` is for tests (default: the system's).

    ``keep`` are the seconds for which document and keys are kept; what failed is not kept.
    ``budget_seconds`` bounds one request over all addresses: no further one is tried after it.
    """

    def __init__(
        self,
        *,
        timeouts: http_client.Timeouts = _TIMEOUTS,
        budget_seconds: float = 8.0,
        keep: float = 0.0,
        ca_file: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._timeouts = timeouts
        self._budget = budget_seconds
        self._keep = keep
        self._ca_file = ca_file
        self._now = now
        self._documents: dict[str, tuple[float, Discovery]] = {}
        self._keys: dict[str, tuple[float, Keys]] = {}

    def discovery(self, issuer: str) -> Discovery:
        """Read the configuration document of an issuer. Raises ``IdentityProviderUnreachable``."""
        at, kept = self._documents.get(issuer, (0.0, None))
        if kept is not None and 0 <= self._now() - at < self._keep:
            return kept
        url = discovery_url(issuer)
        found = read_discovery(url, *self._get(url))
        self._documents[issuer] = self._now(), found
        return found

    def keys(self, url: str) -> Keys:
        """Read the keys of a provider. Raises ``IdentityProviderUnreachable``."""
        at, kept = self._keys.get(url, (0.0, None))
        if kept is not None and 0 <= self._now() - at < self._keep:
            return kept
        found = read_keys(url, *self._get(url))
        self._keys[url] = self._now(), found
        return found

    def issue(self, client: Client, secret: str) -> Issued:
        """Get a token by client credentials (``client_secret_basic``).

        Raises ``TokenRefused`` and ``IdentityProviderUnreachable``.
        """
        url = client.token_url
        headers = {**_FORM, "Authorization": client.authorization(secret)}
        return read_token(url, *self._exchange(url, "POST", client.form(), headers), secret)

    def _get(self, url: str) -> tuple[int, object]:
        return self._exchange(url, "GET", None, _ACCEPT)

    def _exchange(
        self, url: str, method: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, object]:
        host, port, path = _parts(url)
        tls = ssl.create_default_context(cafile=self._ca_file)
        request = http_client.Request(method, path, body, headers)
        give_up = self._now() + self._budget
        failures: list[str] = []
        try:
            for address in http_client.resolve(host, port):
                if failures and self._now() >= give_up:
                    break
                endpoint = http_client.Endpoint(address, port, host, tls)
                try:
                    answer = http_client.exchange(endpoint, request, self._timeouts)
                except (http_client.NothingSent, http_client.NoAnswer) as error:
                    failures.append(str(error))
                else:
                    return answer.status, _document(answer.body)
        except http_client.NothingSent as error:
            failures.append(str(error))
        except ssl.SSLCertVerificationError as error:
            raise IdentityProviderUnreachable(
                f"The certificate of {host} was refused: {error.verify_message}."
            ) from error
        raise IdentityProviderUnreachable(f"{url} gave no answer: {'; '.join(failures)}.")


class ClientTokens:
    """The ``Tokens`` port: tokens are kept, in this process only, until shortly before they expire.

    ``now`` is the wall clock: a monotonic one may stand still while Lambda freezes the process.
    """

    def __init__(
        self,
        provider: HttpIdentityProvider,
        secrets: ClientSecrets,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._provider = provider
        self._secrets = secrets
        self._now = now
        self._kept: dict[Client, tuple[float, float, Token]] = {}
        self._lock = threading.Lock()

    def token(self, client: Client) -> Token:
        """Return a token.

        Raises ``SecretRefused``, ``SecretUnreadable``, ``TokenRefused`` and
        ``IdentityProviderUnreachable``.
        """
        with self._lock:
            since, until, kept = self._kept.get(client, (0.0, 0.0, None))
            if kept is not None and since <= self._now() < until:
                return kept
            began = self._now()
            secret = self._secrets.secret(client.secret_arn, client.cluster, client.token_url)
            issued = self._provider.issue(client, secret)
            self._kept[client] = began, began + issued.keep, issued.token
            return issued.token

    def forget(self, client: Client) -> bool:
        """Drop the token of a client unless it is young; return whether it was dropped."""
        with self._lock:
            kept = self._kept.get(client)
            if kept is None or 0 <= self._now() - kept[0] < _FRESH:
                return False
            del self._kept[client]
            return True


def _parts(url: str) -> tuple[str, int, str]:
    # A document may name anything; a request line holds only these (RFC 9112, section 3.2).
    if not _VISIBLE.fullmatch(url):
        raise IdentityProviderUnreachable(f"{url!r} is not an https URL.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise IdentityProviderUnreachable(f"{url} is not a URL: {error}.") from error
    if parts.scheme != "https" or not host or parts.username is not None:
        raise IdentityProviderUnreachable(f"{url} is not an https URL without a user.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return host, port or _HTTPS, path


def _document(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
