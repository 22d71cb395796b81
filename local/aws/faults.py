"""Transient faults of AWS: calls of our functions are throttled, fail, or lose their responses.

Off unless the instance's file of faults exists: ``{"seed": 1, "share": 0.2}``. Then that share of
the calls that sessions of roles make (functions, that is; never a person's credentials) is answered
like this, in the protocol of the request: throttled, failed before anything was done, or failed
after everything was done. The file is read anew for each call, so that it can come and go.
"""

from __future__ import annotations

import json
import logging
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import sts

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

type Receive = Callable[[], Awaitable[dict[str, Any]]]
type Send = Callable[[dict[str, Any]], Awaitable[None]]
type App = Callable[[Any, Receive, Send], Awaitable[None]]

_SIGNED: Final = re.compile(rb"Credential=([^/,]+)/[^/]+/[^/]+/([^/]+)/aws4_request")
_CODES: Final = {
    "s3": ("SlowDown", 503),
    "ec2": ("RequestLimitExceeded", 503),
    "dynamodb": ("ProvisionedThroughputExceededException", 400),
    "lambda": ("TooManyRequestsException", 429),
}

# Its errors are binary (CBOR); only a quota's use is read there.
_SPARED: Final = frozenset({"monitoring"})


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and an error code; ``done`` when the call was carried out nevertheless."""

    status: int
    code: str
    done: bool = False


class Faults:
    """An ASGI application in front of the emulator."""

    def __init__(self, app: App, file: Path) -> None:
        self._app = app
        self._file = file
        self._random: tuple[str, random.Random] | None = None

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Inject a fault, or let the emulator answer."""
        headers: dict[bytes, bytes] = {}
        if scope["type"] == "http" and self._file.exists():
            headers = {bytes(name).lower(): bytes(value) for name, value in scope["headers"]}
        service = self._of_a_function(headers)
        answer = self._decide(service) if service else None
        if answer is None:
            await self._app(scope, receive, send)
            return
        if answer.done:
            await self._app(scope, receive, _nowhere)
        else:
            # A connection that is answered before its request was read is closed.
            while (await receive()).get("more_body"):
                pass
        logger.info("bad moment: %s, %d %s", service, answer.status, answer.code)
        kind, body = _told(answer, service, headers.get(b"content-type", b""))
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [(b"content-type", kind), (b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body})

    @staticmethod
    def _of_a_function(headers: dict[bytes, bytes]) -> str:
        """Service that a function's call is signed for; empty when it is no function's."""
        signed = _SIGNED.search(headers.get(b"authorization", b""))
        if signed is None or not _is_role(signed[1].decode()):
            return ""
        return signed[2].decode()

    def _decide(self, service: str) -> Answer | None:
        try:
            text = self._file.read_text()
        except FileNotFoundError:
            return None
        given = json.loads(text)
        if self._random is None or self._random[0] != text:
            self._random = text, random.Random(given["seed"])  # noqa: S311 - a test repeats it
        chance = self._random[1]
        if service in _SPARED or chance.random() >= given["share"]:
            return None
        code, status = _CODES.get(service, ("ThrottlingException", 400))
        return chance.choice(
            [
                Answer(status, code),
                Answer(500, "InternalFailure"),
                Answer(500, "InternalFailure", done=True),
            ]
        )


def _is_role(access_key_id: str) -> bool:
    session = sts.sessions.get(access_key_id) or {}
    # Brokers are not ours: Camunda's clients have retries of their own.
    task = session.get("OpenedFor") == "ecs-tasks.amazonaws.com"
    return ":assumed-role/" in str(session.get("Arn", "")) and not task


async def _nowhere(message: dict[str, Any]) -> None:
    del message


def _told(answer: Answer, service: str, kind: bytes) -> tuple[bytes, bytes]:
    """Content type and body of an error, as the protocol of the request has it."""
    told = "The local AWS is temporarily unavailable."
    error = f"<Error><Code>{answer.code}</Code><Message>{told}</Message>"
    if service == "s3":
        return b"application/xml", f"{error}<RequestId>0</RequestId></Error>".encode()
    if service == "ec2":
        text = f"<Response><Errors>{error}</Error></Errors><RequestID>0</RequestID></Response>"
        return b"text/xml", text.encode()
    if kind.startswith(b"application/x-www-form-urlencoded"):
        text = f"<ErrorResponse>{error}</Error><RequestId>0</RequestId></ErrorResponse>"
        return b"text/xml", text.encode()
    body = {"__type": answer.code, "message": told, "Message": told}
    return b"application/x-amz-json-1.0", json.dumps(body).encode()
