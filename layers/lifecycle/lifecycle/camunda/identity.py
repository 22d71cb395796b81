"""Identity providers of OpenID Connect: what they publish, and tokens of clients of theirs.

A token is read here without any trust, to compare what it contains with what Camunda expects; only
Camunda verifies it. Sources: OpenID Connect Discovery 1.0 (section 3), RFC 6749 (sections 2.3.1,
4.4 and 5), RFC 7517, RFC 7519.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

from lifecycle.camunda.credentials import Token
from lifecycle.errors import IdentityProviderUnreachable, TokenRefused

WELL_KNOWN: Final = "/.well-known/openid-configuration"
# What Camunda verifies (camunda/camunda 8.9 and 8.10, ``JWSKeySelectorFactory``).
ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"})
# The curves of ES256, ES384 and ES512 (RFC 7518, section 3.4).
_CURVES: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_RSA: Final = ("RS256", "RS384", "RS512")
# A token is renewed so many seconds before it expires, or at half of its time if that is short.
_EARLY: Final = 60
# RFC 6749 lets a server omit the time: such a token is kept for one look only.
_UNKNOWN: Final = 30
_LONGEST_KEPT: Final = 12 * 3600
_ERROR: Final = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,80}")
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Client:
    """A confidential client that gets tokens for itself; its secret is at ``secret_arn``.

    ``cluster`` is the cluster's name, to which the secret has to belong.
    """

    token_url: str
    client_id: str
    secret_arn: str
    cluster: str
    scope: str = ""
    audience: str = ""

    def form(self) -> bytes:
        """Return the body of the request (RFC 6749, section 4.4.2).

        ``audience`` is what several providers call the API that a token is for.
        """
        fields = {
            "grant_type": "client_credentials",
            "scope": self.scope,
            "audience": self.audience,
        }
        return urlencode({name: value for name, value in fields.items() if value}).encode()

    def authorization(self, secret: str) -> str:
        """Return the header of ``client_secret_basic`` (RFC 6749, section 2.3.1).

        A space is ``%20``: those who decode forms read it like ``+``, and some providers, such as
        those made with Authlib, decode percent signs alone.
        """
        pair = f"{_quoted(self.client_id)}:{_quoted(secret)}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class Issued:
    """A token that was issued, and for how many seconds it may be kept."""

    token: Token
    keep: float


@dataclass(frozen=True, slots=True)
class Discovery:
    """A provider's configuration document; empty where it names nothing."""

    issuer: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    jwks_uri: str = ""
    end_session_endpoint: str = ""
    grant_types: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys with which a provider signs: how many, and the algorithms that they are for."""

    count: int
    algorithms: frozenset[str] = field(default_factory=frozenset)


def _quoted(text: str) -> str:
    return quote(text, safe="")


def discovery_url(issuer: str) -> str:
    """Return the address of an issuer's document (OpenID Connect Discovery 1.0, section 4.1)."""
    return f"{issuer.rstrip('/')}{WELL_KNOWN}"


def read_token(url: str, status: int, document: object, secret: str) -> Issued:
    """Read what a token endpoint answered (RFC 6749, section 5).

    Raises ``TokenRefused`` for an error of the client or the request, and
    ``IdentityProviderUnreachable`` for anything that is no answer of a token endpoint. Of a
    response only the error is repeated, and nothing that contains ``secret``.
    """
    answer = document if isinstance(document, Mapping) else {}
    if 400 <= status < 500 and status not in {404, 405, 408, 429}:
        raise TokenRefused(f"{url} answered HTTP {status}: {_error(answer, secret)}.")
    if status != 200:
        raise IdentityProviderUnreachable(
            f"{url} answered HTTP {status}; expected is a token (redirects are not followed)."
        )
    value, kind = answer.get("access_token"), answer.get("token_type")
    if not isinstance(value, str) or not value or not isinstance(kind, str):
        raise IdentityProviderUnreachable(f"{url} answered HTTP 200 without an access token.")
    if kind.lower() != "bearer" or not re.fullmatch(r"[\x21-\x7e]+", value):
        raise IdentityProviderUnreachable(f"{url} issued a token that is no bearer token.")
    return Issued(Token(value), _keep(answer.get("expires_in")))


def _keep(expires_in: object) -> float:
    try:
        seconds = float(expires_in) if isinstance(expires_in, int | float | str) else _UNKNOWN
    except OverflowError:
        seconds = _LONGEST_KEPT * 2
    except ValueError:
        seconds = _UNKNOWN
    if math.isnan(seconds):
        seconds = _UNKNOWN
    return min(max(seconds - _EARLY, seconds / 2, 0), _LONGEST_KEPT)


def _error(answer: Mapping[str, Any], secret: str) -> str:
    found = [
        one if name == "error" else one[:_LONGEST]
        for name in ("error", "error_description")
        if isinstance(one := answer.get(name), str)
        and (name != "error" or _ERROR.fullmatch(one))
        and secret not in one
        and _quoted(secret) not in one
    ]
    return ": ".join(" ".join(one.split()) for one in found).rstrip(".") or "no reason given"


def read_discovery(url: str, status: int, document: object) -> Discovery:
    """Read a configuration document. Raises ``IdentityProviderUnreachable``."""
    answer = _document(url, status, document, "a document of OpenID Connect")
    issuer = answer.get("issuer")
    if not isinstance(issuer, str) or not issuer:
        raise IdentityProviderUnreachable(f"{url} names no issuer.")
    return Discovery(
        issuer=issuer,
        authorization_endpoint=_text(answer, "authorization_endpoint"),
        token_endpoint=_text(answer, "token_endpoint"),
        jwks_uri=_text(answer, "jwks_uri"),
        end_session_endpoint=_text(answer, "end_session_endpoint"),
        grant_types=_texts(answer, "grant_types_supported"),
        claims=_texts(answer, "claims_supported"),
    )


def read_keys(url: str, status: int, document: object) -> Keys:
    """Read a set of keys (RFC 7517, section 5). Raises ``IdentityProviderUnreachable``."""
    listed = _document(url, status, document, "a set of keys").get("keys")
    if not isinstance(listed, list):
        raise IdentityProviderUnreachable(f"{url} has no list of keys.")
    signing = [one for one in listed if isinstance(one, Mapping) and one.get("use", "sig") == "sig"]
    return Keys(len(signing), frozenset(name for one in signing for name in _algorithms(one)))


def _algorithms(key: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a key is for: what it names, or what its kind allows (RFC 7517, section 4.4)."""
    named = key.get("alg")
    if isinstance(named, str):
        return (named,)
    if key.get("kty") == "RSA":
        return _RSA
    curve = key.get("crv")
    known = key.get("kty") == "EC" and isinstance(curve, str) and curve in _CURVES
    return (_CURVES[str(curve)],) if known else ()


def _document(url: str, status: int, document: object, what: str) -> Mapping[str, Any]:
    if status != 200:
        raise IdentityProviderUnreachable(
            f"{url} answered HTTP {status}; expected is {what} (redirects are not followed)."
        )
    if not isinstance(document, Mapping):
        raise IdentityProviderUnreachable(f"{url} answered with something that is not {what}.")
    return document


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    return value if isinstance(value, str) else ""


def _texts(answer: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = answer.get(name)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def unverified(token: Token) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Return header and claims of a token without trust; None for one that is no signed JWT."""
    parts = token.value.split(".")
    if len(parts) != 3 or not all(parts):
        return None
    found = [_part(one) for one in parts[:2]]
    header, claims = found
    return None if header is None or claims is None else (header, claims)


def _part(text: str) -> Mapping[str, Any] | None:
    try:
        value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
