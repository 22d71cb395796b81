"""An OpenID Connect provider: Authlib's server with a store in memory.

Grants: authorization code (with PKCE, nonce and state), refresh token, client credentials. Access
tokens are JWT as Keycloak's: `aud` has the resource, `azp` the client; `client_id` is only in
tokens of clients, `preferred_username`, `email` and `groups` only in those of users. Secrets and
redirect URIs are compared exactly. Users and clients are those of a file that is read again when
it changes, so that they can be added while the provider runs.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast, override
from urllib.parse import urlsplit

import flask
from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from authlib.oidc.core import AuthorizationCodeMixin, OpenIDCode, UserInfo, UserInfoEndpoint
from authlib.oidc.rpinitiated import EndSessionEndpoint
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

type Json = dict[str, Any]

SCOPES = ("openid", "profile", "email", "offline_access")
ALGORITHM = "RS256"
_CODE_SECONDS = 60
_AUTHENTICATED_BY = ["client_secret_basic", "client_secret_post"]
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Log in</title>
<meta name="viewport" content="width=device-width">
<style>body{font:16px system-ui,sans-serif;max-width:22rem;margin:4rem auto;padding:0 1rem}
label,input,button{display:block;width:100%;box-sizing:border-box;font:inherit}
input,button{margin:.25rem 0 1rem;padding:.5rem}[role=alert]{color:#a00}</style></head><body>
<h1>Log in</h1><p>Identity provider of this machine, for {{ client }}.</p>
{% if problem %}<p role="alert">{{ problem }}</p>{% endif %}
<form method="post"><label for="username">User name</label>
<input id="username" name="username" autocomplete="username" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">Log in</button></form></body></html>"""
_LEFT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Logged out</title></head>
<body><h1>Logged out</h1></body></html>"""


@dataclass(frozen=True)
class User:
    """A person who may log in; `sub` is what tokens have as `sub`."""

    sub: str
    username: str
    password: str = field(repr=False)
    email: str = ""
    groups: tuple[str, ...] = ()

    def get_user_id(self) -> str:
        """Give the subject; Authlib's name."""
        return self.sub

    def claims(self) -> Json:
        """Give the claims beside `sub`."""
        return {
            "preferred_username": self.username,
            "name": self.username,
            "email": self.email,
            "groups": list(self.groups),
        }


@dataclass(frozen=True)
class Client(ClientMixin):  # type: ignore[misc]
    """A confidential client; with redirect URIs it is one for people, otherwise for machines."""

    id: str
    secret: str = field(repr=False)
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    """What `aud` may have; the first one unless the request names another."""

    @override
    def get_client_id(self) -> str:
        return self.id

    @property
    def client_id(self) -> str:
        """Authlib's name of the id."""
        return self.id

    @property
    def client_metadata(self) -> Json:
        """What is registered of the client, in the words of RFC 7591."""
        return {"post_logout_redirect_uris": list(self.post_logout_redirect_uris)}

    @override
    def get_default_redirect_uri(self) -> None:
        return None

    @override
    def get_allowed_scope(self, scope: str) -> str:
        return " ".join(one for one in (scope or "").split() if one in SCOPES)

    @override
    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirect_uris

    @override
    def check_client_secret(self, client_secret: str) -> bool:
        return hmac.compare_digest(self.secret, client_secret)

    @override
    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in _AUTHENTICATED_BY

    @override
    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and bool(self.redirect_uris)

    @override
    def check_grant_type(self, grant_type: str) -> bool:
        of_people = {"authorization_code", "refresh_token"}
        return grant_type in (of_people if self.redirect_uris else {"client_credentials"})


@dataclass(frozen=True)
class _Code(AuthorizationCodeMixin):  # type: ignore[misc]
    code: str
    client_id: str
    user: User
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None
    auth_time: int
    until: float

    @override
    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    @override
    def get_scope(self) -> str:
        return self.scope

    @override
    def get_nonce(self) -> str | None:
        return self.nonce

    @override
    def get_auth_time(self) -> int:
        return self.auth_time

    @override
    def get_acr(self) -> None:
        return None

    @override
    def get_amr(self) -> None:
        return None


@dataclass(frozen=True)
class _Refresh(TokenMixin):  # type: ignore[misc]
    token: str
    client_id: str
    user: User
    scope: str

    @override
    def check_client(self, client: Client) -> bool:
        return client.id == self.client_id

    @override
    def get_scope(self) -> str:
        return self.scope


@dataclass(frozen=True)
class _Access(TokenMixin):  # type: ignore[misc]
    """An access token of this provider that was presented to it."""

    claims: Json
    user: User | None
    client: Client | None
    now: float

    @override
    def get_scope(self) -> str:
        return str(self.claims.get("scope", ""))

    @property
    def scope(self) -> str:
        """Authlib's name of the scope."""
        return self.get_scope()

    @override
    def is_expired(self) -> bool:
        return bool(self.now > self.claims["exp"])

    @override
    def is_revoked(self) -> bool:
        return self.user is None

    @override
    def get_user(self) -> User | None:
        return self.user

    @override
    def get_client(self) -> Client | None:
        return self.client


@dataclass(frozen=True)
class Registered:
    """Users by name and clients by id."""

    users: Mapping[str, User]
    clients: Mapping[str, Client]


class Provider:
    """The provider with issuer `issuer`; `registered` gives the users and clients of now.

    `lifetime` is that of access and ID tokens, in seconds.
    """

    def __init__(
        self, issuer: str, registered: Callable[[], Registered], *, lifetime: int = 300
    ) -> None:
        self.issuer = issuer
        self.lifetime = lifetime
        self._registered = registered
        self._keys = [_new_key()]
        self._codes: dict[str, _Code] = {}
        self._refresh: dict[str, _Refresh] = {}
        self._logins: dict[str, tuple[str, int]] = {}
        self._lock = threading.Lock()
        self.app = _application(self)

    # Keys

    @property
    def key(self) -> RSAKey:
        """The key that signs."""
        return self._keys[-1]

    def rotate(self, *, keep: bool = True) -> None:
        """Sign with a new key; the former ones stay published if they are kept."""
        self._keys = [*(self._keys if keep else ()), _new_key()]

    def keys(self) -> KeySet:
        """Give all keys that are published."""
        return KeySet(list(self._keys))

    def sign(self, claims: Json, *, key: RSAKey | None = None, **header: str) -> str:
        """Sign any claims, for tests of those who verify them."""
        used = key or self.key
        head: Json = {"alg": ALGORITHM, "typ": "JWT", "kid": used.kid, **header}
        return jwt.encode(head, claims, used, [head["alg"]])

    def access_token(self, client: str, user: str = "", **claims: Any) -> str:
        """Give an access token as the token endpoint does; `claims` replace its own."""
        known = self._registered()
        person = known.users[user] if user else None
        content = self.claims(known.clients[client], person, "openid profile")
        return self.sign(content | claims, typ="at+jwt")

    def claims(self, client: Client, user: User | None, scope: str, audience: str = "") -> Json:
        """Give the claims of an access token."""
        now = int(time.time())
        found: Json = {
            "iss": self.issuer,
            "sub": user.sub if user else client.id,
            "aud": [audience or next(iter(client.audiences), client.id)],
            "azp": client.id,
            "iat": now,
            "exp": now + self.lifetime,
            "jti": secrets.token_urlsafe(16),
            "scope": scope,
        }
        return found | (user.claims() if user else {"client_id": client.id})

    # What is registered

    def client(self, client_id: str) -> Client | None:
        """Give a client."""
        return self._registered().clients.get(client_id)

    def user(self, username: str) -> User | None:
        """Give a user by name."""
        return self._registered().users.get(username)

    def user_by_sub(self, sub: str) -> User | None:
        """Give a user by subject."""
        return next((one for one in self._registered().users.values() if one.sub == sub), None)

    # Codes, refresh tokens, logins at the provider itself

    def keep_code(self, code: _Code) -> None:
        """Remember a code."""
        with self._lock:
            self._codes[code.code] = code

    def nonce_is_used(self, nonce: str) -> bool:
        """Whether a code that is not redeemed yet has this nonce."""
        return any(one.nonce == nonce for one in list(self._codes.values()))

    def take_code(self, code: str) -> _Code | None:
        """Give a code once, if it has not expired."""
        with self._lock:
            found = self._codes.pop(code, None)
        return found if found and time.time() < found.until else None

    def keep_refresh(self, token: _Refresh) -> None:
        """Remember a refresh token."""
        with self._lock:
            self._refresh[token.token] = token

    def refresh_token(self, token: str) -> _Refresh | None:
        """Give a refresh token, unless its user has logged out."""
        return self._refresh.get(token)

    def forget_refresh(self, token: str) -> None:
        """Refuse a refresh token from now on: each one counts once."""
        with self._lock:
            self._refresh.pop(token, None)

    def log_in(self, user: User) -> str:
        """Give the id of a session of the provider."""
        session = secrets.token_urlsafe(32)
        self._logins[session] = user.username, int(time.time())
        return session

    def logged_in(self, session: str) -> tuple[User, int] | None:
        """Give who logged in with a session of the provider, and when (epoch seconds)."""
        name, at = self._logins.get(session, ("", 0))
        user = self.user(name)
        return (user, at) if user else None

    def log_out(self, sub: str) -> None:
        """End all that a user has here."""
        user = self.user_by_sub(sub)
        with self._lock:
            for session, (name, _) in list(self._logins.items()):
                if user and name == user.username:
                    del self._logins[session]
            for token, one in list(self._refresh.items()):
                if one.user.sub == sub:
                    del self._refresh[token]

    def presented(self, token: str) -> _Access | None:
        """Verify an access token of this provider; None for any other."""
        try:
            claims = jwt.decode(token, self.keys(), [ALGORITHM]).claims
        except (JoseError, ValueError):
            return None
        client = self.client(str(claims.get("azp", "")))
        return _Access(claims, self.user_by_sub(str(claims["sub"])), client, time.time())

    def discovery(self) -> Json:
        """Give the document of `/.well-known/openid-configuration`."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/logout",
            "scopes_supported": list(SCOPES),
            "response_types_supported": ["code"],
            "grant_types_supported": [
                "authorization_code",
                "refresh_token",
                "client_credentials",
            ],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "token_endpoint_auth_methods_supported": _AUTHENTICATED_BY,
            "code_challenge_methods_supported": ["S256"],
            "claims_supported": ["sub", "preferred_username", "email", "groups", "client_id"],
        }


class _Codes(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = _AUTHENTICATED_BY
    provider: Provider

    def save_authorization_code(self, code: str, request: Any) -> _Code:
        data = request.payload.data
        login = self.provider.logged_in(flask.request.cookies.get("login", ""))
        made = _Code(
            code=code,
            client_id=request.client.id,
            user=request.user,
            redirect_uri=request.payload.redirect_uri,
            scope=request.scope,
            nonce=data.get("nonce"),
            code_challenge=data.get("code_challenge"),
            code_challenge_method=data.get("code_challenge_method"),
            auth_time=login[1] if login else int(time.time()),
            until=time.time() + _CODE_SECONDS,
        )
        self.provider.keep_code(made)
        return made

    def query_authorization_code(self, code: str, client: Client) -> _Code | None:
        found = self.provider.take_code(code)
        return found if found and found.client_id == client.id else None

    def delete_authorization_code(self, authorization_code: _Code) -> None:
        """It was taken when it was read: a second use fails even at the same moment."""

    def authenticate_user(self, authorization_code: _Code) -> User | None:
        return self.provider.user_by_sub(authorization_code.user.sub)


class _Refreshing(grants.RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = _AUTHENTICATED_BY
    INCLUDE_NEW_REFRESH_TOKEN = True
    provider: Provider

    def authenticate_refresh_token(self, refresh_token: str) -> _Refresh | None:
        return self.provider.refresh_token(refresh_token)

    def authenticate_user(self, refresh_token: _Refresh) -> User | None:
        return self.provider.user_by_sub(refresh_token.user.sub)

    def revoke_old_credential(self, refresh_token: _Refresh) -> None:
        self.provider.forget_refresh(refresh_token.token)


class _Machines(grants.ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = _AUTHENTICATED_BY


class _OpenId(OpenIDCode):  # type: ignore[misc]
    def __init__(self, provider: Provider) -> None:
        super().__init__(require_nonce=False)
        self._provider = provider

    def exists_nonce(self, nonce: str, request: Any) -> bool:
        return self._provider.nonce_is_used(nonce)

    def get_client_algorithm(self, client: Client) -> str:
        return ALGORITHM

    def get_encode_header(self, client: Client) -> Json:
        return {"alg": ALGORITHM, "typ": "JWT", "kid": self._provider.key.kid}

    def resolve_client_private_key(self, client: Client) -> RSAKey:
        return self._provider.key

    def get_client_claims(self, client: Client) -> Json:
        now = int(time.time())
        # One string: with a list, an end of session by its ID token names no client.
        return {
            "iss": self._provider.issuer,
            "aud": client.id,
            "iat": now,
            "exp": now + self._provider.lifetime,
        }

    def generate_user_info(self, user: User, scope: str) -> UserInfo:
        return UserInfo(sub=user.sub, **user.claims())


class _Tokens(JWTBearerTokenGenerator):  # type: ignore[misc]
    def __init__(self, provider: Provider) -> None:
        super().__init__(
            provider.issuer,
            refresh_token_generator=lambda **_: secrets.token_urlsafe(32),
            expires_generator=lambda *_: provider.lifetime,
        )
        self._provider = provider

    def access_token_generator(
        self, client: Client, grant_type: str, user: User | None, scope: str
    ) -> str:
        audience = flask.request.form.get("audience", "")
        if audience and audience not in client.audiences:
            allowed = ", ".join(client.audiences) or "none"
            raise InvalidRequestError(f"audience {audience} is not allowed; allowed: {allowed}")
        claims = self._provider.claims(client, user, scope or "", audience)
        return self._provider.sign(claims, typ="at+jwt")


class _Bearer(BearerTokenValidator):  # type: ignore[misc]
    def __init__(self, provider: Provider) -> None:
        super().__init__()
        self._provider = provider

    def authenticate_token(self, token_string: str) -> _Access | None:
        return self._provider.presented(token_string)


class _UserInfo(UserInfoEndpoint):  # type: ignore[misc]
    def generate_user_info(self, user: User, scope: str) -> UserInfo:
        return UserInfo(sub=user.sub, **user.claims())


def _application(provider: Provider) -> flask.Flask:
    app = flask.Flask("local.identity", static_folder=None)
    server = AuthorizationServer(app, query_client=provider.client, save_token=_saver(provider))
    server.register_token_generator("default", _Tokens(provider))
    codes = type("Codes", (_Codes,), {"provider": provider})
    server.register_grant(codes, [_OpenId(provider), CodeChallenge(required=False)])
    server.register_grant(type("Refreshing", (_Refreshing,), {"provider": provider}))
    server.register_grant(_Machines)
    protector = ResourceProtector()
    protector.register_token_validator(_Bearer(provider))
    server.register_endpoint(_UserInfo(resource_protector=protector))

    class EndSession(EndSessionEndpoint):  # type: ignore[misc]
        def get_server_jwks(self) -> KeySet:
            return provider.keys()

        def end_session(self, end_session_request: Any) -> None:
            # Without a hint no user is named: a link of another site must log no user out.
            if end_session_request.id_token_claims:
                provider.log_out(str(end_session_request.id_token_claims["sub"]))

    server.register_endpoint(EndSession)

    @app.get("/.well-known/openid-configuration")
    def discovery() -> Any:
        return provider.discovery()

    @app.get("/jwks")
    def jwks() -> Any:
        return provider.keys().as_dict(private=False)

    @app.route("/authorize", methods=["GET", "POST"])
    def authorize() -> Any:
        try:
            grant = server.get_consent_grant()
        except OAuth2Error as error:
            # To the client only if client and redirect URI are known ones, as Authlib decides.
            return server.handle_error_response(None, error)
        prompt, problem = flask.request.args.get("prompt", ""), ""
        login = provider.logged_in(flask.request.cookies.get("login", ""))
        if flask.request.method == "POST":
            user = _proven(provider, flask.request.form)
            if user is not None:
                answer = cast(
                    "flask.Response",
                    server.create_authorization_response(grant_user=user, grant=grant),
                )
                _remember(answer, provider.log_in(user))
                return answer
            problem = "User name or password is wrong."
        elif login is not None and prompt not in {"login", "select_account"}:
            return server.create_authorization_response(grant_user=login[0], grant=grant)
        page = flask.render_template_string(_PAGE, client=grant.client.id, problem=problem)
        return page, 401 if problem else 200

    @app.post("/token")
    def token() -> Any:
        return server.create_token_response()

    @app.route("/userinfo", methods=["GET", "POST"])
    def userinfo() -> Any:
        return server.create_endpoint_response("userinfo")

    @app.route("/logout", methods=["GET", "POST"])
    def logout() -> Any:
        answer = server.create_endpoint_response("end_session") or flask.make_response(_LEFT)
        answer.delete_cookie("login", secure=True, httponly=True, samesite="Lax")
        return answer

    @app.after_request
    def headers(answer: flask.Response) -> flask.Response:
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        )
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer

    return app


def _saver(provider: Provider) -> Callable[[Json, Any], None]:
    def save(token: Json, request: Any) -> None:
        if "refresh_token" in token and request.user:
            made = _Refresh(
                token["refresh_token"], request.client.id, request.user, token.get("scope", "")
            )
            provider.keep_refresh(made)

    return save


def _proven(provider: Provider, form: Mapping[str, str]) -> User | None:
    user = provider.user(form.get("username", ""))
    given = form.get("password", "").encode()
    expected = user.password.encode() if user else secrets.token_bytes(16)
    return user if hmac.compare_digest(expected, given) else None


def _remember(answer: flask.Response, session: str) -> None:
    answer.set_cookie("login", session, secure=True, httponly=True, samesite="Lax")


def _new_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"use": "sig", "alg": ALGORITHM}, private=True, auto_kid=True)


def parse(document: Json) -> Registered:
    """Read users and clients from a file's content. Raises ValueError, naming the field."""
    unknown = sorted(set(document) - {"users", "clients"})
    if unknown:
        raise ValueError(f"{unknown[0]}; allowed: users, clients")
    users = [_user(one) for one in document.get("users", [])]
    clients = [_client(one) for one in document.get("clients", [])]
    return Registered({one.username: one for one in users}, {one.id: one for one in clients})


def _user(one: Json) -> User:
    made = User(
        sub=str(one.get("sub", "")),
        username=_text(one, "username"),
        password=_text(one, "password"),
        email=str(one.get("email", "")),
        groups=_texts(one, "groups"),
    )
    return made if made.sub else replace(made, sub=made.username)


def _client(one: Json) -> Client:
    made = Client(
        id=_text(one, "clientId"),
        secret=_text(one, "clientSecret"),
        redirect_uris=_texts(one, "redirectUris"),
        post_logout_redirect_uris=_texts(one, "postLogoutRedirectUris"),
        audiences=_texts(one, "audiences"),
    )
    for uri in (*made.redirect_uris, *made.post_logout_redirect_uris):
        parts = urlsplit(uri)
        if parts.scheme != "https" and parts.hostname not in {"localhost", "127.0.0.1"}:
            raise ValueError(
                f"redirectUris of {made.id}: {uri}; allowed: https, or http to localhost"
            )
    return made


def _text(one: Json, name: str) -> str:
    value = one.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name}: a text that is not empty, not {value!r}")
    return value


def _texts(one: Json, name: str) -> tuple[str, ...]:
    value = one.get(name, [])
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise ValueError(f"{name}: a list of texts, not {value!r}")
    return tuple(value)
