"""A client of the REST API: signed requests, retried as its answers allow."""

from __future__ import annotations

import email.utils
import http.client
import json
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote, urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError

from camunda_ecs import __version__
from camunda_ecs.ends import Code, Stop, usage
from camunda_ecs.target import Target

# API Gateway answers within 29 seconds or with 504.
TIMEOUT_SECONDS: Final = 35
# For how long one request is repeated. An operation in progress is followed for longer.
PATIENCE_SECONDS: Final = 60.0
_LONGEST_WAIT: Final = 15.0
_SIZE_LIMIT: Final = 32 * 1024 * 1024
# API Gateway and the function reject with it before anything is done: any request may be repeated.
_THROTTLED: Final = 429
# After these, the request may have been carried out: 503 also comes when AWS could not be reached
# for a later step (docs/api.md, AwsUnavailable).
_UNCERTAIN: Final = frozenset({500, 502, 503, 504})
RELEASE: Final = "x-camunda-ecs-version"


class Lost(Exception):
    """No usable response until patience ran out; the message has the last reason."""


@dataclass(frozen=True)
class Answer:
    """A response; ``document`` is its JSON, or None for another content type.

    ``is_doubtful``: an earlier attempt of the same request, which may have been carried out, came
    before this response.
    """

    status: int
    headers: Mapping[str, str]
    document: Any
    text: str
    is_doubtful: bool = False

    @property
    def is_good(self) -> bool:
        """Whether the request was accepted."""
        return 200 <= self.status < 300

    @property
    def retry_after(self) -> float | None:
        """Seconds of ``Retry-After``, which may also be a date (RFC 9110, 10.2.3)."""
        given = self.headers.get("retry-after", "")
        if given.isdigit():
            return float(given)
        try:
            return max(0.0, email.utils.parsedate_to_datetime(given).timestamp() - time.time())
        except (TypeError, ValueError):
            return None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The API redirects nowhere, and a signature is valid for one host only."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: the response is an error as any other."""
        return


@dataclass
class Api:
    """Calls one API with one identity. Times are injected; ``note`` gets what goes to stderr."""

    target: Target
    note: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    release: str | None = None
    opener: Any = field(default=None, repr=False)

    def get(self, path: str, **options: Any) -> Answer:
        """Read something."""
        return self.send("GET", path, **options)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str | int | None] | None = None,
        key: str | None = None,
        accept: str = "application/json",
        match: str | None = None,
        repeatable: bool = True,
        patience: float = PATIENCE_SECONDS,
    ) -> Answer:
        """Send a request until it has an answer, and return that, also for an error status.

        It is sent again after a lost connection, 429 and 5xx for ``patience`` seconds, waiting as
        ``Retry-After`` has it. A request that is not ``repeatable`` is sent again only after 429,
        which shows that it was not carried out. Raises ``Lost``, and ``Stop`` where it cannot be
        sent: as usage, or as unknown after an attempt that may have been carried out.
        """
        given = {name: str(value) for name, value in (query or {}).items() if value is not None}
        url = self.target.url + path + (f"?{urlencode(given, quote_via=quote)}" if given else "")
        headers = {"Accept": f"{accept}, application/problem+json"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        if match is not None:
            headers["If-Match"] = match
        until = self.clock() + patience
        attempt = 0
        is_doubtful = False
        while True:
            try:
                answer, reason = self._once(method, url, data, headers)
            except Stop as stop:
                if is_doubtful:
                    raise Stop(*stop.lines, code=Code.UNKNOWN) from stop
                raise
            is_uncertain = answer is None or answer.status in _UNCERTAIN
            again = repeatable if answer is None or is_uncertain else answer.status == _THROTTLED
            if answer is not None and answer.status == 500 and "error" in (answer.document or {}):
                again = False  # AWS refused it; the same request has the same end
            wait = min(_LONGEST_WAIT, 2.0**attempt)
            if answer is not None and answer.retry_after is not None:
                wait = answer.retry_after
            if not again or self.clock() + wait > until:
                if answer is None:
                    raise Lost(reason)
                return replace(answer, is_doubtful=is_doubtful)
            is_doubtful = is_doubtful or is_uncertain
            self.note(f"{reason}; sending the same request again in {wait:.0f} s")
            self.sleep(wait)
            attempt += 1

    def _once(
        self, method: str, url: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[Answer | None, str]:
        """Send once; returns the answer if there is one, and what to report of it."""
        request = AWSRequest(method, url, data=data, headers=dict(headers))
        try:
            # Credentials of a role are renewed here.
            frozen = self.target.credentials.get_frozen_credentials()
            SigV4Auth(frozen, "execute-api", self.target.region).add_auth(request)
        except BotoCoreError as error:
            raise usage(f"The AWS credentials cannot be used: {error}") from error
        signed = {**dict(request.headers.items()), "User-Agent": f"camunda-ecs/{__version__}"}
        # Target lets only https pass, and http of this machine.
        sent = urllib.request.Request(url, data=data, headers=signed, method=method)  # noqa: S310
        try:
            with self._connection().open(sent, timeout=TIMEOUT_SECONDS) as found:
                return self._read(found.status, found), f"HTTP {found.status}"
        except urllib.error.HTTPError as error:
            try:
                return self._read(error.code, error), f"HTTP {error.code} of {method} {url}"
            except (OSError, http.client.HTTPException) as lost:
                return None, f"No response from {self.target.url}: {lost}"
        except (OSError, http.client.HTTPException) as error:
            cause = getattr(error, "reason", error)
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise usage(f"The certificate of {self.target.url} is rejected: {cause}") from error
            if isinstance(cause, socket.gaierror):
                cause = f"its name cannot be resolved ({cause.strerror})"
            return None, f"No response from {self.target.url}: {cause or type(error).__name__}"

    def _connection(self) -> Any:
        if self.opener is None:
            # The variable that AWS's own tools read for a proxy's certificate authority.
            context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)
            handlers: list[Any] = [_NoRedirect(), urllib.request.HTTPSHandler(context=context)]
            if self.target.url.startswith("http://"):  # of this machine: no proxy reaches it
                handlers.append(urllib.request.ProxyHandler({}))
            self.opener = urllib.request.build_opener(*handlers)
        return self.opener

    def _read(self, status: int, found: Any) -> Answer:
        body = found.read(_SIZE_LIMIT)
        headers = {name.lower(): value for name, value in found.headers.items()}
        if len(body) < int(headers.get("content-length") or 0):
            # http.client gives what came before the connection broke.
            raise http.client.IncompleteRead(body)
        text = body.decode("utf-8", errors="replace")
        document = None
        if "json" in headers.get("content-type", "application/json"):
            try:
                document = json.loads(text)
            except ValueError:
                document = None
        release = headers.get(RELEASE)
        if release and self.release is None:
            self.release = release
            if release != __version__:
                self.note(f"The API is of release {release}, this command of {__version__}.")
        return Answer(status, headers, document, text)


def segment(text: str) -> str:
    """Return text as one segment of a path."""
    return quote(text, safe="")
