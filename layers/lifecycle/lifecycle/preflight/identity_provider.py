"""Checks of an identity provider before brokers depend on it.

A broker reads the provider's document when it starts and does not start without it
(Spring Security, ``ClientRegistrations.fromIssuerLocation``, which also compares the issuer), and a
cluster whose administrator cannot log in can grant no rights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.identity import ALGORITHMS, discovery_url
from lifecycle.cluster.checks import Check, Result
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.tables import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROVIDER: Final = "identity provider"
KEYS: Final = "identity provider's keys"
TOKEN: Final = "token of the health client"  # noqa: S105 - the name of a check
# Parameters of a cluster that become outputs of its stack.
_OUTPUTS: Final = (
    *("Authentication", "OidcIssuer", "OidcTokenUrl", "OidcClientId"),
    *("OidcHealthClientId", "OidcHealthSecretArn", "OidcClientScope", "OidcClientAudience"),
)
_SHORTEST: Final = 60
_REACH: Final = (
    "Check OidcIssuer and OidcTokenUrl, that the VPC has a way to the provider on port 443 (NAT "
    "gateway or endpoint), and that a public authority issued its certificate."
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request expects of its identity provider."""

    outputs: ClusterOutputs
    client_claim: str
    username_claim: str
    prefers_username: bool
    audiences: tuple[str, ...]
    logs_out: bool
    created: bool = False
    """Whether the stack makes the identity provider, a user pool of Amazon Cognito."""

    @classmethod
    def of(cls, cluster: str, parameters: Mapping[str, str]) -> Wanted | None:
        """Read the parameters of a cluster; None without an identity provider."""
        if parameters.get("Authentication") != "oidc":
            return None
        values = {name: parameters.get(name, "") for name in _OUTPUTS}
        return cls(
            outputs=ClusterOutputs({**values, "ClusterName": cluster}),
            client_claim=parameters.get("OidcClientIdClaim", ""),
            username_claim=parameters.get("OidcUsernameClaim", ""),
            prefers_username=parameters.get("OidcPreferUsernameClaim") == "true",
            audiences=tuple(
                one.strip() for one in parameters.get("OidcAudiences", "").split(",") if one.strip()
            ),
            logs_out=parameters.get("OidcIdpLogout") == "true",
            created=parameters.get("CognitoUserPool") == "create",
        )


def unread(*, made: bool) -> list[Check]:
    """Return the checks of a user pool that the stack makes: nothing is read before it exists."""
    seen = (
        "the user pool is part of the cluster's stack; the health check reads it"
        if made
        else "the user pool does not exist yet: the stack creates it"
    )
    return [Check(name, Result.SKIP, seen) for name in (PROVIDER, KEYS, TOKEN)]


def check_identity_provider(wanted: Wanted, answer: Mapping[str, Any]) -> list[Check]:
    """Judge what the probe's question ``issuer`` returned."""
    provider = answer.get("provider")
    if provider is None:
        seen = str(answer.get("providerProblem") or "it gave no answer")
        checks = [Check(PROVIDER, Result.FAIL, seen, _REACH)]
    else:
        checks = [_provider(wanted, provider), _keys(provider)]
    token = answer.get("token")
    if token is None:
        seen = str(answer.get("tokenProblem") or "it gave no answer")
        remedy = (
            "Compare OidcHealthClientId, OidcClientScope and OidcClientAudience with the client's "
            "registration, and the secret of OidcHealthSecretArn (its tags, and clientSecret)."
        )
        return [*checks, Check(TOKEN, Result.FAIL, seen, remedy)]
    return [*checks, _token(wanted, token)]


def issuer_faults(wanted: str, provider: Mapping[str, Any]) -> list[str]:
    """Return why brokers cannot use a provider's document; empty if they can."""
    issuer = provider["issuer"]
    faults = []
    if issuer != wanted:
        faults.append(
            f"{discovery_url(wanted)} names the issuer {issuer!r}, expected is {wanted!r} exactly"
        )
    if not provider["authorizationEndpoint"]:
        faults.append("it has no authorization endpoint")
    return faults


def key_faults(provider: Mapping[str, Any]) -> str:
    """Return why no token of a provider can be verified; empty if one can."""
    if provider["keysProblem"]:
        return str(provider["keysProblem"])
    if not ALGORITHMS & {*provider["algorithms"]}:
        found = listed(provider["algorithms"]) if provider["algorithms"] else "none"
        return (
            f"{provider['keys']} keys for signatures, algorithms {found}; Camunda verifies "
            f"{', '.join(sorted(ALGORITHMS))}"
        )
    return ""


def _provider(wanted: Wanted, provider: Mapping[str, Any]) -> Check:
    issuer, url = wanted.outputs.oidc_issuer, wanted.outputs.oidc_token_url
    if faults := issuer_faults(issuer, provider):
        remedy = "Set OidcIssuer to what the document has as issuer, character by character."
        return Check(PROVIDER, Result.FAIL, "; ".join(faults), remedy)
    if provider["tokenEndpoint"] != url:
        # Brokers take it from the document, and send the secret of their client there.
        seen = f"its token endpoint is {provider['tokenEndpoint']!r}, not {url!r}"
        remedy = "Set OidcTokenUrl, and the tag of the functions' secret, to that endpoint."
        return Check(PROVIDER, Result.FAIL, seen, remedy)
    notes, remedies = [], []
    if wanted.logs_out and not provider["endSession"]:
        notes.append("it has no end_session_endpoint, so that a logout ends Camunda's session only")
        remedies.append("Set OidcIdpLogout to false.")
    if provider["grants"] and "client_credentials" not in provider["grants"]:
        notes.append(f"it lists the grant types {', '.join(provider['grants'])} only")
        remedies.append("Allow client_credentials, which connectors and functions log in by.")
    claims: Sequence[str] = provider["claims"]
    absent = [
        one for one in (wanted.username_claim, wanted.client_claim) if one and one not in claims
    ]
    listing = f"; claims_supported does not list {', '.join(absent)}" if claims and absent else ""
    if notes:
        return Check(PROVIDER, Result.WARN, "; ".join(notes) + listing, " ".join(remedies))
    return Check(PROVIDER, Result.PASS, f"{issuer} publishes its endpoints{listing}")


def _keys(provider: Mapping[str, Any]) -> Check:
    if fault := key_faults(provider):
        return Check(KEYS, Result.FAIL, fault, "Let the provider sign tokens with RS256 or ES256.")
    seen = f"{provider['keys']} keys, algorithms {', '.join(provider['algorithms'])}"
    return Check(KEYS, Result.PASS, seen)


def _token(wanted: Wanted, token: Mapping[str, Any]) -> Check:
    """Compare a token's claims with what Camunda reads of them; its signature is Camunda's."""
    client = wanted.outputs.oidc_health_client_id
    if not token.get("signed"):
        return Check(
            TOKEN,
            Result.FAIL,
            "it is no signed JWT, which Camunda requires (opaque tokens do not work)",
            "Let the provider issue access tokens as JWT; some do so only for an audience or a "
            "scope of an API (OidcClientAudience, OidcClientScope).",
        )
    faults, remedies = [], []
    if token["issuer"] != wanted.outputs.oidc_issuer:
        faults.append(f"its issuer is {token['issuer']!r}, not {wanted.outputs.oidc_issuer!r}")
        remedies.append(
            "Use the issuer of the access tokens (Entra: requestedAccessTokenVersion 2)."
        )
    if token["algorithm"] not in ALGORITHMS:
        faults.append(f"it is signed with {token['algorithm'] or 'nothing'}")
        remedies.append(f"Camunda verifies {', '.join(sorted(ALGORITHMS))}.")
    if token["client"] != client:
        claim = wanted.client_claim or "OidcClientIdClaim, which is empty,"
        had = f"has {token['client']!r}" if token["client"] else "is missing"
        faults.append(f"its claim {claim} {had}, expected is {client!r}")
        remedies.append("Set OidcClientIdClaim to the claim that has the client's id.")
    if wanted.prefers_username and token["hasUsername"]:
        faults.append(f"it has the claim {wanted.username_claim} of users")
        remedies.append("Camunda would take the client for a user: OidcPreferUsernameClaim false.")
    if wanted.audiences and not {*wanted.audiences} & {*token["audiences"]}:
        had = ", ".join(token["audiences"]) or "no audience"
        faults.append(f"it is for {had}, expected is one of {', '.join(wanted.audiences)}")
        remedies.append("Add the audience to the client's tokens, or to OidcAudiences.")
    if faults:
        return Check(TOKEN, Result.FAIL, "; ".join(faults), " ".join(remedies))
    seconds = token["seconds"]
    if seconds is None or seconds < _SHORTEST:
        seen = "it has no expiry" if seconds is None else f"it is valid for {seconds} s only"
        return Check(TOKEN, Result.WARN, seen, "Let tokens expire after five minutes to an hour.")
    return Check(TOKEN, Result.PASS, f"client {client}, valid for {seconds} s")
