"""A client of the REST API: signed requests and their responses."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

if TYPE_CHECKING:
    from botocore.credentials import Credentials


@dataclass(frozen=True)
class Answer:
    """A response, with its duration in seconds."""

    status: int
    headers: dict[str, str]
    document: Any
    seconds: float


@dataclass(frozen=True)
class Client:
    """Calls the API with one identity; without credentials, unsigned."""

    url: str
    region: str
    credentials: Credentials | None

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Answer:
        """Send one request and return the response, also for an error status."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        request = AWSRequest(method, self.url + path, data=data, headers=headers)
        if self.credentials is not None:
            SigV4Auth(self.credentials, "execute-api", self.region).add_auth(request)
        sent = urllib.request.Request(  # noqa: S310
            self.url + path, data=data, headers=dict(request.headers.items()), method=method
        )
        began = time.monotonic()
        try:
            with urllib.request.urlopen(sent, timeout=40) as answer:  # noqa: S310
                status, told, text = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            status, told, text = error.code, error.headers, error.read()
        return Answer(
            status,
            {name.lower(): value for name, value in told.items()},
            json.loads(text),
            time.monotonic() - began,
        )
