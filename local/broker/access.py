"""Who makes a request of the REST API or a web application: by its header, or by its session.

As the filter chains of camunda/camunda do (`WebSecurityConfig`, `OAuth2RefreshTokenFilter`): a
token or password in the header counts first; a session is only looked for without one. Any write
of a browser that has a session needs the CSRF token.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from local.broker import sessions
from local.broker.identity import IssuerUnavailable, Principal, TokenRejected

if TYPE_CHECKING:
    from starlette.requests import Request

    from local.broker.issuer import Issuer
    from local.broker.sessions import Session, Sessions
    from local.broker.users import Users

type Json = dict[str, Any]

_SAFE = {"GET", "HEAD", "TRACE", "OPTIONS"}
# `CsrfProtectionRequestMatcher`, beside what needs no login at all.
_WITHOUT_CSRF = {"/login", "/logout", "/v2/status", "/v2/license", "/v2/setup/user"}


class Denied(Exception):
    """The request is answered at once."""

    def __init__(self, response: Response) -> None:
        self.response = response
        super().__init__(str(response.status_code))


@dataclass(frozen=True)
class Visitor:
    """Who makes a request, and the session of the browser if there is one."""

    principal: Principal | None
    session: Session | None


class Access:
    """Logins of one broker."""

    def __init__(self, known: Users, kept: Sessions, issuer: Issuer | None = None) -> None:
        self.users = known
        self.sessions = kept
        self.issuer = issuer

    async def visitor(self, request: Request) -> Visitor:
        """Give who makes a request. Raises Denied, and StorageUnavailable of the sessions."""
        session = await self.sessions.find(request.cookies.get(sessions.COOKIE, ""))
        if session is not None:
            self._check_csrf(request)
        header = request.headers.get("authorization", "")
        try:
            who = await self.users.principal_of(header)
            if who is None and session is not None and not header:
                who = await self._of_session(session)
        except TokenRejected as error:
            raise Denied(bearer_challenge(str(error))) from error
        except IssuerUnavailable as error:
            # `AuthenticationServiceException`, which no handler turns into a 401.
            raise Denied(problem(request, 500, f"The issuer is unavailable: {error}")) from error
        if who is None and header and self.users.oidc:
            raise Denied(bearer_challenge(""))
        return Visitor(who, session)

    async def _of_session(self, session: Session) -> Principal | None:
        if session.principal is None:
            return None
        if session.tokens is not None and self.issuer is not None:
            from local.broker.issuer import Tokens

            tokens = Tokens(**session.tokens)
            if self.issuer.has_expired(tokens):
                try:
                    who, fresh = await asyncio.to_thread(self.issuer.refresh, tokens)
                except TokenRejected:
                    await self.sessions.drop(session)
                    return None
                session.principal, session.tokens = asdict(who), asdict(fresh)
                await self.sessions.keep(session)
        return Principal(**session.principal | {"groups": tuple(session.principal["groups"])})

    @staticmethod
    def _check_csrf(request: Request) -> None:
        path = request.url.path
        if request.method in _SAFE or path in _WITHOUT_CSRF or path.startswith("/actuator"):
            return
        token = request.cookies.get(sessions.CSRF, "")
        sent = request.headers.get(sessions.CSRF)
        if not sessions.matches(sent or "", token):
            given = "null" if sent is None else sent
            raise Denied(
                problem(
                    request,
                    401,
                    f"Invalid CSRF Token '{given}' was found on the request parameter '_csrf' or "
                    f"header '{sessions.CSRF}'.",
                )
            )

    def add_csrf(self, request: Request, response: Response, visitor: Visitor) -> None:
        """Give a logged-in browser the token for its writes, with every answer to a GET."""
        if visitor.session is None or visitor.session.principal is None:
            return
        if request.method == "GET" and request.url.path != "/logout":
            self.give_csrf(request, response)

    @staticmethod
    def give_csrf(request: Request, response: Response) -> None:
        """Set the cookie if there is none, and the header."""
        token = request.cookies.get(sessions.CSRF, "")
        if not token:
            token = sessions.csrf_token()
            response.set_cookie(sessions.CSRF, token, secure=is_secure(request))
        response.headers[sessions.CSRF] = sessions.masked(token)


def is_secure(request: Request) -> bool:
    """Whether the client's own connection is encrypted."""
    return request.url.scheme == "https"


def bearer_challenge(reason: str) -> Response:
    """Give the 401 of `BearerTokenAuthenticationEntryPoint`, which has no body."""
    challenge = "Bearer"
    if reason:
        text = reason.replace('"', "'")
        challenge += (
            f' error="invalid_token", error_description="{text}",'
            ' error_uri="https://tools.ietf.org/html/rfc6750#section-3.1"'
        )
    return Response(status_code=401, headers={"WWW-Authenticate": challenge})


TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


def problem(
    request: Request, status: int, detail: str, title: str = "", headers: Json | None = None
) -> Response:
    """Give a problem detail as Camunda does."""
    return JSONResponse(
        {
            "type": "about:blank",
            "title": title or TITLES.get(status, ""),
            "status": status,
            "detail": detail,
            "instance": request.url.path,
        },
        status,
        headers or {},
        media_type="application/problem+json",
    )
