"""Read what an identity provider publishes, and what a token of one client contains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.identity import unverified
from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.camunda.identity import Client
    from lifecycle.camunda.ports import IdentityProvider, Tokens

# A provider may publish anything; what it names is shown to people. No shorter than a parameter
# with which it is compared, and no fewer than providers list.
_LONGEST: Final = 400
_MOST: Final = 100


def query_provider(provider: IdentityProvider, issuer: str) -> dict[str, Any]:
    """Return a provider's document and keys, as JSON.

    Keys: ``issuer``, ``authorizationEndpoint``, ``tokenEndpoint``, ``endSession`` (whether there is
    such an endpoint), ``grants`` (grant types, empty where it lists none), ``claims`` (the same),
    ``keys`` (their number), their ``algorithms``, and ``keysProblem``, why they could not be read.
    Raises ``IdentityProviderUnreachable`` for the document.
    """
    found = provider.discovery(issuer)
    answer: dict[str, Any] = {
        "issuer": found.issuer[:_LONGEST],
        "authorizationEndpoint": found.authorization_endpoint[:_LONGEST],
        "tokenEndpoint": found.token_endpoint[:_LONGEST],
        "endSession": bool(found.end_session_endpoint),
        "grants": _shown(found.grant_types),
        "claims": sorted(_shown(found.claims)),
        "keys": 0,
        "algorithms": [],
        "keysProblem": "",
    }
    try:
        keys = provider.keys(found.jwks_uri)
    except LifecycleError as error:
        return {**answer, "keysProblem": error.message.rstrip(".")}
    return {**answer, "keys": keys.count, "algorithms": _shown(sorted(keys.algorithms))}


def query_token(
    tokens: Tokens, client: Client, *, client_claim: str, username_claim: str
) -> dict[str, Any]:
    """Return what a token of a client contains, as JSON; the token itself is no part of it.

    Keys: ``signed`` (whether it is a signed JWT), ``algorithm``, ``issuer``, ``audiences``,
    ``client`` (value of the claim of that name), ``hasUsername`` (whether it has the claim with a
    user's name) and ``seconds`` (from its issue until it expires; null where it has no such times).
    Raises as ``Tokens.token`` does.
    """
    parts = unverified(tokens.token(client))
    if parts is None:
        return {"signed": False}
    header, claims = parts
    named = claims.get("aud")
    audiences = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    return {
        "signed": True,
        "algorithm": _text(header, "alg"),
        "issuer": _text(claims, "iss"),
        "audiences": _shown([one for one in audiences if isinstance(one, str)]),
        "client": _text(claims, client_claim),
        "hasUsername": isinstance(claims.get(username_claim), str),
        "seconds": _seconds(claims.get("iat"), claims.get("exp")),
    }


def _seconds(issued: object, expires: object) -> int | None:
    if not (isinstance(issued, int | float) and isinstance(expires, int | float)):
        return None
    try:
        return int(expires - issued)
    except (OverflowError, ValueError):
        return None


def _shown(texts: Sequence[str]) -> list[str]:
    return [one[:_LONGEST] for one in texts[:_MOST]]


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return value[:_LONGEST] if isinstance(value, str) else ""
