"""Login and logout of browsers, and the pages of the web applications, which are empty.

Paths and answers: `WebSecurityConfig` of camunda/camunda (0165bc80), `AuthFailureHandler`,
`OAuth2AuthenticationExceptionHandler`, `WebappRedirectStrategy`, `PostLogoutController`,
`WebComponentAuthorizationCheckFilter`. With passwords every page is open, as its scripts show the
login. With an issuer a page leads there, and back to where the browser wanted to go.
"""

from __future__ import annotations

import asyncio
import html
import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from local.broker import identity, sessions, users
from local.broker.access import Denied, bearer_challenge, is_secure, problem
from local.broker.gateway_port import StorageUnavailable
from local.broker.identity import IssuerUnavailable, Principal, TokenRejected

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request

    from local.broker.access import Access, Visitor
    from local.broker.sessions import Session

type Json = dict[str, Any]
type Endpoint = Callable[[Request], Awaitable[Response]]

_APPLICATIONS = ("operate", "tasklist", "identity", "admin")
_SIGN_IN = "/oauth2/authorization/oidc"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>body{{font:16px system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}}
input,button{{display:block;font:inherit;margin:.25rem 0 1rem;padding:.5rem}}</style></head>
<body><h1>{title}</h1>{content}</body></html>"""
_LOGGED_IN = """<p>Logged in as <strong id="user">{user}</strong>.</p>
<button id="logout">Log out</button><script>
document.getElementById('logout').onclick = async () => {{
  const answer = await fetch('/logout', {{method: 'POST'}});
  location.assign(answer.status === 200 ? (await answer.json()).url : '/');
}};</script>"""
_LOGIN = """<form id="login"><label for="username">User name</label>
<input id="username" name="username" autocomplete="username" required>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">Log in</button><p role="alert" id="problem"></p></form><script>
document.getElementById('login').onsubmit = async (event) => {
  event.preventDefault();
  const body = new URLSearchParams(new FormData(event.target));
  const answer = await fetch('/login', {method: 'POST', body});
  if (answer.status === 204) location.reload();
  else document.getElementById('problem').textContent = 'User name or password is wrong.';
};</script>"""


class Web:
    """Pages and logins of one broker."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def routes(self) -> Sequence[Route]:
        """Give the routes; those of the issuer only with one."""
        found = [
            Route("/", self._guarded(self._root)),
            Route("/logout", self._guarded(self._logout, public=True), methods=["POST"]),
            Route("/post-logout", _begin_anew),
            *(
                Route(path, self._guarded(self._page))
                for name in _APPLICATIONS
                for path in (f"/{name}", f"/{name}/{{rest:path}}")
            ),
        ]
        if self._access.issuer is None:
            return [*found, Route("/login", _answered(self._login), methods=["POST"])]
        return [
            *found,
            Route(_SIGN_IN, _answered(self._sign_in)),
            Route(identity.CALLBACK, _answered(self._callback)),
        ]

    def _guarded(
        self,
        endpoint: Callable[[Request, Visitor], Awaitable[Response]],
        *,
        public: bool = False,
    ) -> Endpoint:
        async def answer(request: Request) -> Response:
            try:
                visitor = await self._access.visitor(request)
            except Denied as denied:
                return denied.response
            if self._access.issuer is not None and visitor.principal is None and not public:
                return await self._entry(request, visitor)
            response = await endpoint(request, visitor)
            self._access.add_csrf(request, response, visitor)
            return response

        return _answered(answer)

    async def _entry(self, request: Request, visitor: Visitor) -> Response:
        """Lead a browser to the login, and remember where it was going; a script gets a 401."""
        if request.headers.get("x-requested-with") == "XMLHttpRequest" or request.method != "GET":
            return bearer_challenge("")
        response = RedirectResponse(_SIGN_IN, 302)
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        session = visitor.session or await self._access.sessions.begin()
        session.login = {**(session.login or {}), "wanted": wanted}
        await self._access.sessions.keep(session)
        _set_session(request, response, session)
        return response

    async def _root(self, _: Request, __: Visitor) -> Response:
        return RedirectResponse("/operate", 302)

    async def _page(self, request: Request, visitor: Visitor) -> Response:
        """Give the page of an application, whose scripts then request a user.

        Camunda's `OperateIndexController` gives it for each address of the application.
        """
        name = request.url.path.split("/")[1]
        forbidden, who = f"/{name}/forbidden", visitor.principal
        title = name.capitalize()
        if request.url.path == forbidden:
            return HTMLResponse(_PAGE.format(title=title, content="<p>No access.</p>"))
        if who is None:
            return HTMLResponse(_PAGE.format(title=title, content=_LOGIN))
        if not await self._access.users.may(who, users.READONLY):
            return RedirectResponse(forbidden, 302)
        content = _LOGGED_IN.format(user=html.escape(who.name))
        return HTMLResponse(_PAGE.format(title=title, content=content))

    # Passwords

    async def _login(self, request: Request) -> Response:
        """`POST /login`: a form with `username` and `password`; 204 and a session, or 401."""
        form = dict(parse_qsl((await request.body()).decode(errors="replace")))
        name = form.get("username", "")
        if not await self._access.users.proves(name, form.get("password", "")):
            return problem(request, 401, "Bad credentials")
        before = await self._access.sessions.find(request.cookies.get(sessions.COOKIE, ""))
        who = asdict(Principal(identity.USER, name))
        session = await self._access.sessions.begin(before, principal=who)
        response = Response(status_code=204)
        _set_session(request, response, session)
        self._access.give_csrf(request, response)
        return response

    # An issuer

    async def _sign_in(self, request: Request) -> Response:
        """`GET /oauth2/authorization/oidc`: to the issuer, with this login's state and nonce."""
        issuer = self._access.issuer
        if issuer is None:
            return problem(request, 404, "No issuer")
        found = await self._access.sessions.find(request.cookies.get(sessions.COOKIE, ""))
        session = found or await self._access.sessions.begin()
        redirect = issuer.settings.redirect_uri.replace("{baseUrl}", base_url(request))
        login = {
            "state": secrets.token_urlsafe(32),
            "nonce": secrets.token_urlsafe(32),
            "redirect": redirect,
        }
        session.login = {**(session.login or {}), **login}
        await self._access.sessions.keep(session)
        url = issuer.authorization_url(redirect, login["state"], login["nonce"])
        response = RedirectResponse(url, 302)
        _set_session(request, response, session)
        return response

    async def _callback(self, request: Request) -> Response:
        """`GET /sso-callback`: back from the issuer, with a code or an error."""
        issuer, query = self._access.issuer, request.query_params
        session = await self._access.sessions.find(request.cookies.get(sessions.COOKIE, ""))
        login = (session.login if session else None) or {}
        state = login.get("state", "")
        if issuer is None or not state or not secrets.compare_digest(query.get("state", ""), state):
            # authorization_request_not_found: the login begins again.
            return RedirectResponse("/", 302)
        if session is not None:
            # A code is redeemed once, also when that fails.
            session.login = {"wanted": login.get("wanted", "/")}
            await self._access.sessions.keep(session)
        if "error" in query:
            return problem(request, 401, f"[{query['error']}] {query.get('error_description', '')}")
        try:
            who, tokens = await asyncio.to_thread(
                issuer.redeem, query.get("code", ""), login["redirect"], login["nonce"]
            )
        except TokenRejected as error:
            return problem(request, 401, str(error))
        except IssuerUnavailable as error:
            return problem(request, 500, f"The issuer is unavailable: {error}")
        made = await self._access.sessions.begin(
            session, principal=asdict(who), tokens=asdict(tokens)
        )
        response = RedirectResponse(_within(login.get("wanted", "/")), 302)
        _set_session(request, response, made)
        return response

    async def _logout(self, request: Request, visitor: Visitor) -> Response:
        """`POST /logout`: 204, or 200 with the URL at which the issuer ends its own login."""
        session, url = visitor.session, ""
        if session is not None:
            if session.tokens and self._access.issuer is not None:
                from local.broker.issuer import Tokens

                tokens = Tokens(**session.tokens)
                url = self._access.issuer.logout_url(tokens, base_url(request))
            await self._access.sessions.drop(session)
        response = JSONResponse({"url": url}) if url else Response(status_code=204)
        for name in (sessions.COOKIE, sessions.CSRF):
            response.delete_cookie(name, secure=is_secure(request))
        return response


async def _begin_anew(_: Request) -> Response:
    """`GET /post-logout`: the issuer sends a browser here after it ended its login."""
    return RedirectResponse("/", 302)


def _answered(endpoint: Endpoint) -> Endpoint:
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except StorageUnavailable as error:
            return problem(request, 503, str(error), "UNAVAILABLE")

    return answer


def base_url(request: Request) -> str:
    """Give scheme and host as the client named them (`{baseUrl}`)."""
    return f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"


def _within(wanted: str) -> str:
    """Give a place of this host only."""
    parts = urlsplit(wanted)
    inside = wanted.startswith("/") and not parts.netloc and not wanted.startswith(("//", "/\\"))
    return wanted if inside else "/"


def _set_session(request: Request, response: Response, session: Session) -> None:
    """Set the cookie as Spring Session's `DefaultCookieSerializer` does: HttpOnly, SameSite=Lax."""
    response.set_cookie(
        sessions.COOKIE, session.id, httponly=True, samesite="lax", secure=is_secure(request)
    )
