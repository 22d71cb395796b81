"""The issuer of tokens, as a broker uses it: discovery, keys, codes, refresh tokens, user info.

As Spring Security does (`ClientRegistrations.fromIssuerLocation`, `NimbusJwtDecoder`,
`OidcIdTokenDecoderFactory`, `OidcUserService`): discovery is read at the start and must name the
issuer exactly; keys are kept for five minutes and read again for an unknown one. Signatures are
joserfc's. Nothing here logs a token or secret.
"""

from __future__ import annotations

import base64
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from local.broker import identity
from local.broker.identity import IssuerUnavailable, TokenRejected
from local.broker.settings import InvalidSetting
from local.https import Unreachable, call

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.broker.identity import OidcSettings, Principal
    from local.https import Resolve

type Json = dict[str, Any]

_KEYS_SECONDS = 300.0
_AGAIN_SECONDS = 1.0
_TYPES = {None, "", "JWT", "at+jwt"}
# `OidcUserService` reads the user info when one of these was granted.
_ABOUT_USERS = {"profile", "email", "address", "phone"}


@dataclass(frozen=True)
class Tokens:
    """What a login has of the issuer. Times are seconds since the epoch."""

    access: str = field(repr=False)
    id: str = field(repr=False)
    refresh: str = field(repr=False)
    expires: float


class Issuer:
    """The issuer that the settings name; made before anything of the broker listens.

    Raises InvalidSetting if its discovery cannot be read or is another's.
    """

    def __init__(
        self,
        settings: OidcSettings,
        resolve: Resolve,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._resolve = resolve
        self._now = now
        self.metadata = self._discover()
        self._keys: KeySet | None = None
        self._read = float("-inf")
        self._lock = threading.Lock()

    def _discover(self) -> Json:
        """Read the first document that is there, where Spring looks for it."""
        issuer = self.settings.issuer
        parts = urlsplit(issuer)
        origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        problem = ""
        for url in (
            f"{issuer.rstrip('/')}/.well-known/openid-configuration",
            f"{origin}/.well-known/openid-configuration{path}",
            f"{origin}/.well-known/oauth-authorization-server{path}",
        ):
            try:
                answer = call("GET", url, resolve=self._resolve)
            except Unreachable as error:
                raise self._wrong(str(error)) from error
            if answer.status == 200:
                found = answer.document()
                break
            problem = f"{url} answers {answer.status}"
            if not 400 <= answer.status < 500:
                raise self._wrong(problem)
        else:
            raise self._wrong(problem)
        if found.get("issuer") != issuer:
            raise self._wrong(
                f'The Issuer "{found.get("issuer")}" provided in the configuration metadata did '
                f'not match the requested issuer "{issuer}"'
            )
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(found.get(name), str):
                raise self._wrong(f"{url} names no {name}")
        return found

    def _wrong(self, reason: str) -> InvalidSetting:
        return InvalidSetting(
            f"Unable to connect to the Identity Provider endpoint `{self.settings.issuer}'. Double "
            "check that it is configured correctly, and if the problem persists, contact your "
            f"external Identity provider. {reason}"
        )

    # Tokens

    def principal(self, token: str) -> Principal:
        """Verify an access token and give who it is about.

        Raises TokenRejected, and IssuerUnavailable if the keys cannot be read.
        """
        claims = self._verified(token, identity.ALGORITHMS)
        identity.check_claims(claims, self.settings, self._now())
        return identity.principal(claims, self.settings)

    def _verified(self, token: str, algorithms: tuple[str, ...]) -> Json:
        try:
            header = jws.extract_compact(token.encode()).headers()
        except (JoseError, ValueError) as error:
            raise TokenRejected("Malformed token") from error
        if header.get("alg") not in algorithms:
            raise TokenRejected("Unsupported algorithm of none or another kind")
        if header.get("typ") not in _TYPES:
            raise TokenRejected("JOSE header typ (type) not allowed")
        key = header.get("kid")
        keys = self._known(key if isinstance(key, str) else None)
        try:
            return dict(jwt.decode(token, keys, list(algorithms)).claims)
        except (JoseError, ValueError) as error:
            raise TokenRejected(
                "Signed JWT rejected: Another algorithm expected, or no matching key(s) found"
            ) from error

    def _known(self, key: str | None) -> KeySet:
        with self._lock:
            age = self._now() - self._read
            names = {one.kid for one in self._keys.keys} if self._keys else set()
            unknown = key is not None and key not in names
            if self._keys is None or age > _KEYS_SECONDS or (unknown and age > _AGAIN_SECONDS):
                self._keys = self._fetch_keys()
                self._read = self._now()
            return self._keys

    def _fetch_keys(self) -> KeySet:
        answer = self._call("GET", self.metadata["jwks_uri"])
        if answer.status != 200:
            raise IssuerUnavailable(f"the keys: {answer.status}")
        # Keys for encryption verify nothing.
        keys = [one for one in answer.document().get("keys", []) if one.get("use", "sig") == "sig"]
        try:
            return KeySet.import_key_set({"keys": keys})
        except (JoseError, ValueError, KeyError) as error:
            raise IssuerUnavailable("the keys cannot be read") from error

    # Login of people

    def authorization_url(self, redirect_uri: str, state: str, nonce: str) -> str:
        """Where a browser logs in; without PKCE, as Spring does for a client with a secret."""
        query = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "scope": " ".join(self.settings.scope),
            "state": state,
            "redirect_uri": redirect_uri,
            "nonce": nonce,
        }
        endpoint = self.metadata["authorization_endpoint"]
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    def redeem(self, code: str, redirect_uri: str, nonce: str) -> tuple[Principal, Tokens]:
        """Exchange a code. Raises TokenRejected and IssuerUnavailable."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        tokens = self._tokens(form)
        claims = self._verified(tokens.id, ("RS256",))
        identity.check_id_token(claims, self.settings, nonce, self._now())
        claims |= self._user_info(tokens.access, claims["sub"])
        return self._who(tokens.access, claims), tokens

    def refresh(self, tokens: Tokens) -> tuple[Principal, Tokens]:
        """Exchange a refresh token, if there is one. Raises TokenRejected, IssuerUnavailable."""
        if not tokens.refresh:
            raise TokenRejected("[client_authorization_required]")
        form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh}
        fresh = self._tokens(form, tokens)
        return self._who(fresh.access, {}), fresh

    def _who(self, access: str, claims: Json) -> Principal:
        """Prefer the access token's claims, if it verifies (`OidcUserAuthenticationConverter`)."""
        try:
            return self.principal(access)
        except TokenRejected:
            return identity.principal(claims, self.settings)

    def _tokens(self, form: dict[str, str], before: Tokens | None = None) -> Tokens:
        answer = self._call("POST", self.metadata["token_endpoint"], form=form)
        found = answer.document()
        if answer.status >= 500:
            raise IssuerUnavailable(f"the token endpoint: {answer.status}")
        if answer.status != 200:
            raise TokenRejected(f"[{found.get('error', 'invalid_token_response')}]")
        access, token = found.get("access_token"), found.get("id_token", before and before.id)
        if not isinstance(access, str) or not isinstance(token, str):
            raise TokenRejected("[invalid_token_response] no access_token or no id_token")
        refresh = found.get("refresh_token", before.refresh if before else "")
        # As `OAuth2AccessTokenResponse` does: without a lifetime it is one second.
        return Tokens(access, token, refresh, self._now() + float(found.get("expires_in", 1)))

    def _user_info(self, access: str, sub: str) -> Json:
        endpoint = self.metadata.get("userinfo_endpoint")
        if not endpoint or not _ABOUT_USERS & set(self.settings.scope):
            return {}
        answer = self._call("GET", endpoint, {"Authorization": f"Bearer {access}"})
        found = answer.document()
        if answer.status != 200:
            raise TokenRejected("[invalid_user_info_response]")
        if found.get("sub") != sub:
            raise TokenRejected("[invalid_user_info_response] another subject")
        return dict(found)

    def has_expired(self, tokens: Tokens) -> bool:
        """Whether the access token ends within the clock skew (`OAuth2RefreshTokenFilter`)."""
        return self._now() + self.settings.clock_skew > tokens.expires

    def logout_url(self, tokens: Tokens, base_url: str) -> str:
        """Where a browser ends its login at the issuer; empty if it has no such place."""
        endpoint = self.metadata.get("end_session_endpoint")
        if not endpoint or not self.settings.idp_logout:
            return ""
        query = {"id_token_hint": tokens.id, "post_logout_redirect_uri": f"{base_url}/post-logout"}
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    def _call(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        form: dict[str, str] | None = None,
    ) -> Any:
        sent = dict(headers or {})
        if form is not None:
            # RFC 6749, 2.3.1: both are encoded as in a form.
            pair = f"{quote(self.settings.client_id, safe='')}:"
            pair += quote(self.settings.client_secret, safe="")
            sent["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        try:
            return call(method, url, resolve=self._resolve, headers=sent, form=form)
        except Unreachable as error:
            raise IssuerUnavailable(str(error)) from error
