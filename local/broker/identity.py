"""Decisions about logins by OpenID Connect, without I/O: settings, tokens, principals.

Names and rules are those of camunda/camunda: `OidcAuthenticationConfiguration`, `WebSecurityConfig`
(0165bc80), `TokenClaimsConverter`, `OidcPrincipalLoader`, `OidcGroupsLoader`, `AudienceValidator`,
`DefaultMembershipService`. What is not performed is refused at the start, by the setting's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from local.broker.engine import DEFAULT_ROLES
from local.broker.settings import InvalidSetting, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

type Json = dict[str, Any]

USER, CLIENT, GROUP, MAPPING_RULE = "USER", "CLIENT", "GROUP", "MAPPING_RULE"
ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
"""What access tokens may be signed with (`JWSKeySelectorFactory`)."""
CALLBACK = "/sso-callback"
METHOD = "CAMUNDA_SECURITY_AUTHENTICATION_METHOD"
_AUTHENTICATION = "CAMUNDA_SECURITY_AUTHENTICATION_"
_OIDC = f"{_AUTHENTICATION}OIDC_"
_INITIALIZATION = "CAMUNDA_SECURITY_INITIALIZATION_"
_SESSIONS = ("CAMUNDA_PERSISTENT_SESSIONS_ENABLED", "CAMUNDA_SECURITY_SESSION_PERSISTENT_ENABLED")
_OWNERS = {"USERS": USER, "CLIENTS": CLIENT, "GROUPS": GROUP, "MAPPINGRULES": MAPPING_RULE}
_MEMBER = re.compile(rf"{_INITIALIZATION}DEFAULTROLES_([A-Z-]+)_({'|'.join(_OWNERS)})_\d+")
_RULE = re.compile(rf"{_INITIALIZATION}MAPPINGRULES_(\d+)_MAPPINGRULEID")
_PERFORMED = frozenset(
    {
        "CLIENTID",
        "CLIENTSECRET",
        "ISSUERURI",
        "REDIRECTURI",
        "USERNAMECLAIM",
        "CLIENTIDCLAIM",
        "GROUPSCLAIM",
        "AUDIENCES",
        "SCOPE",
        "PREFERUSERNAMECLAIM",
        "IDPLOGOUTENABLED",
        "CLOCKSKEW",
        "IDTOKENALGORITHM",
        "CLIENTAUTHENTICATIONMETHOD",
        "GRANTTYPE",
    }
)
# Performed with one value only, which is the default.
_FIXED = {
    "IDTOKENALGORITHM": "RS256",
    "CLIENTAUTHENTICATIONMETHOD": "client_secret_basic",
    "GRANTTYPE": "authorization_code",
}
_INDEXED = re.compile(r"(AUDIENCES|SCOPE)_\d+")


class TokenRejected(Exception):
    """A token is not accepted; the message has the reason and nothing of the token."""


class IssuerUnavailable(Exception):
    """The issuer does not answer as it should; nothing is known of the token or code."""


@dataclass(frozen=True)
class OidcSettings:
    """What a broker needs to accept an issuer's tokens and to log people in."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str = f"{{baseUrl}}{CALLBACK}"
    username_claim: str = "sub"
    client_id_claim: str = ""
    groups_claim: str = ""
    audiences: tuple[str, ...] = ()
    scope: tuple[str, ...] = ("openid", "profile")
    prefer_username: bool = False
    idp_logout: bool = True
    clock_skew: float = 60.0


@dataclass(frozen=True)
class Rule:
    """A mapping rule: it matches tokens with `value` in the claim `claim`."""

    id: str
    claim: str
    value: str


@dataclass(frozen=True)
class Initial:
    """Members of default roles that the environment names: (role, kind of owner, id), and rules."""

    members: tuple[tuple[str, str, str], ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Principal:
    """Who made a request; `claims` are those of the token, none with a password."""

    kind: str
    name: str
    claims: Json = field(default_factory=dict, repr=False)
    groups: tuple[str, ...] = ()


def sessions_persist(environment: Mapping[str, str]) -> bool:
    """Whether sessions are kept in the secondary storage."""
    return any(environment.get(name, "").lower() == "true" for name in _SESSIONS)


def read(environment: Mapping[str, str], dialect: str) -> OidcSettings | None:
    """Read the settings of the login; None with passwords. Raises InvalidSetting.

    `dialect` is the minor version: from 8.10 on, the path of REDIRECTURI is checked.
    """
    method = environment.get(METHOD, "basic").lower()
    given = {
        name.removeprefix(_OIDC): value
        for name, value in environment.items()
        if name.startswith(_OIDC) and value
    }
    for name in environment:
        if name.startswith(f"{_AUTHENTICATION}PROVIDERS_"):
            raise InvalidSetting(f"{name}: the local broker performs one provider only")
    if method == "basic":
        if given:
            raise InvalidSetting(
                f"{_OIDC}{min(given)}: Oidc configuration is not supported with `BASIC` "
                "authentication method"
            )
        return None
    if method != "oidc":
        raise InvalidSetting(f"{METHOD}={method}; allowed: basic, oidc")
    users = sorted(one for one in environment if one.startswith(f"{_INITIALIZATION}USERS_"))
    if users:
        raise InvalidSetting(
            f"{users[0]}: Creation of initial users is not supported with `OIDC` authentication "
            "method"
        )
    for name, value in given.items():
        if name not in _PERFORMED and not _INDEXED.fullmatch(name):
            raise InvalidSetting(f"{_OIDC}{name}: not performed by the local broker")
        if name in _FIXED and value != _FIXED[name]:
            raise InvalidSetting(f"{_OIDC}{name}={value}: only {_FIXED[name]} is performed")
    for name in ("ISSUERURI", "CLIENTID", "CLIENTSECRET"):
        if name not in given:
            raise InvalidSetting(f"{_OIDC}{name} is not set; METHOD=oidc needs it")
    redirect = given.get("REDIRECTURI", f"{{baseUrl}}{CALLBACK}")
    path = urlsplit(redirect.replace("{baseUrl}", "https://host")).path
    if dialect == "8.10" and path != CALLBACK:
        raise InvalidSetting(
            f"{_OIDC}REDIRECTURI={redirect}: the path {path!r} is not a callback path; "
            f"allowed: {CALLBACK}"
        )
    return OidcSettings(
        issuer=given["ISSUERURI"],
        client_id=given["CLIENTID"],
        client_secret=given["CLIENTSECRET"],
        redirect_uri=redirect,
        username_claim=given.get("USERNAMECLAIM", "sub"),
        client_id_claim=given.get("CLIENTIDCLAIM", ""),
        groups_claim=given.get("GROUPSCLAIM", ""),
        audiences=_listed(given, "AUDIENCES"),
        scope=_listed(given, "SCOPE") or ("openid", "profile"),
        prefer_username=_flag(given, "PREFERUSERNAMECLAIM", default=False),
        idp_logout=_flag(given, "IDPLOGOUTENABLED", default=True),
        clock_skew=seconds(given.get("CLOCKSKEW", "PT60S")),
    )


def initial(environment: Mapping[str, str]) -> Initial:
    """Read who is a member of a default role from the beginning. Raises InvalidSetting."""
    rules = {}
    for name in environment:
        if found := _RULE.fullmatch(name):
            prefix = f"{_INITIALIZATION}MAPPINGRULES_{found[1]}_"
            parts = {
                part: environment.get(prefix + part, "") for part in ("CLAIMNAME", "CLAIMVALUE")
            }
            for part, value in parts.items():
                if not value:
                    raise InvalidSetting(f"{prefix}{part} is not set")
            rule = Rule(environment[name], parts["CLAIMNAME"], parts["CLAIMVALUE"])
            rules[rule.id] = rule
    members = []
    for name, value in environment.items():
        if (found := _MEMBER.fullmatch(name)) and value:
            # Ids of roles are keys of a map, whose dashes Spring cannot recover: they are written.
            role = found[1].lower()
            if role not in DEFAULT_ROLES:
                allowed = ", ".join(DEFAULT_ROLES)
                raise InvalidSetting(f"{name}: no default role; allowed: {allowed}")
            owner = _OWNERS[found[2]]
            if owner == MAPPING_RULE and value not in rules:
                raise InvalidSetting(f"{name}={value}: no rule of that MAPPINGRULEID is set")
            members.append((role, owner, value))
    return Initial(tuple(sorted(members)), tuple(rules.values()))


def check_claims(claims: Json, settings: OidcSettings, now: float) -> None:
    """Hold the claims of an access token to issuer, times and audience. Raises TokenRejected.

    `now` is in seconds since the epoch. The signature is verified already.
    """
    if claims.get("iss") != settings.issuer:
        raise TokenRejected("The iss claim is not valid")
    expires, begins = claims.get("exp"), claims.get("nbf")
    # `JwtTimestampValidator` accepts a token without `exp`; no issuer gives one here.
    if _number(expires, float("-inf")) < now - settings.clock_skew:
        raise TokenRejected(f"Jwt expired at {expires}")
    if begins is not None and _number(begins, float("inf")) > now + settings.clock_skew:
        raise TokenRejected(f"Jwt used before {begins}")
    held = _audiences(claims)
    if settings.audiences and not set(held) & set(settings.audiences):
        raise TokenRejected(
            f"Token audiences are {sorted(held)}, expected at least one of "
            f"{sorted(settings.audiences)}"
        )


def check_id_token(claims: Json, settings: OidcSettings, nonce: str, now: float) -> None:
    """Hold an ID token to what its request was (`OidcIdTokenValidator`). Raises TokenRejected."""
    held = _audiences(claims)
    if claims.get("iss") != settings.issuer:
        raise TokenRejected("The ID Token contains invalid claims: iss")
    if settings.client_id not in held:
        raise TokenRejected("The ID Token contains invalid claims: aud")
    if len(held) > 1 and claims.get("azp") is None:
        raise TokenRejected("The ID Token contains invalid claims: azp")
    if claims.get("azp") not in {None, settings.client_id}:
        raise TokenRejected("The ID Token contains invalid claims: azp")
    if _number(claims.get("exp"), float("-inf")) < now - settings.clock_skew:
        raise TokenRejected("The ID Token contains invalid claims: exp")
    if _number(claims.get("iat"), float("inf")) > now + settings.clock_skew:
        raise TokenRejected("The ID Token contains invalid claims: iat")
    if not claims.get("sub"):
        raise TokenRejected("The ID Token contains invalid claims: sub")
    if claims.get("nonce") != nonce:
        raise TokenRejected("[invalid_nonce]")


def principal(claims: Json, settings: OidcSettings) -> Principal:
    """Decide who a token is about. Raises TokenRejected if the claims name no principal.

    With both claims a token is one of a client, unless the username is preferred.
    """
    username = _named(claims, settings.username_claim)
    client = _named(claims, settings.client_id_claim) if settings.client_id_claim else None
    if username is None and client is None:
        raise TokenRejected(
            f"Neither username claim ({settings.username_claim}) nor clientId claim "
            f"({settings.client_id_claim or None}) could be found in the claims. Please check your "
            "OIDC configuration."
        )
    groups = _groups(claims, settings.groups_claim)
    if username is not None and (settings.prefer_username or client is None):
        return Principal(USER, username, claims, groups)
    return Principal(CLIENT, client or "", claims, groups)


def matching(rules: Iterable[Rule], claims: Json) -> list[str]:
    """Give the ids of the mapping rules that claims match (`MappingRuleMatcher`)."""
    found = []
    for rule in rules:
        value = _read(claims, rule.claim)
        values = value if isinstance(value, list) else [value]
        if any(one is not None and str(one) == rule.value for one in values):
            found.append(rule.id)
    return found


def owners(who: Principal, rules: Iterable[Rule]) -> list[tuple[str, str]]:
    """Give all that a principal is when it comes to roles: itself, its rules and its groups."""
    return [
        (who.kind, who.name),
        *((MAPPING_RULE, one) for one in matching(rules, who.claims)),
        *((GROUP, one) for one in who.groups),
    ]


def _named(claims: Json, path: str) -> str | None:
    value = _read(claims, path)
    if value is None or isinstance(value, str):
        return value
    raise TokenRejected(f"Value for {path} is not a string. Please check your OIDC configuration.")


def _groups(claims: Json, path: str) -> tuple[str, ...]:
    """A single text is one group; anything but texts is refused (`OidcGroupsLoader`)."""
    if not path:
        return ()
    value = _read(claims, path)
    if value is None:
        return ()
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in values):
        raise TokenRejected(
            f"Group's list derived from ({path}) is not a string array. Please check your OIDC "
            "configuration."
        )
    return tuple(dict.fromkeys(values))


def _read(claims: Json, path: str) -> Any:
    """Read a claim by its name, or by a path of names `$.a.b` or `$['a']['b']`."""
    if not path.startswith("$"):
        return claims.get(path)
    found: Any = claims
    for dotted, bracketed in re.findall(r"\.([\w:-]+)|\['([^']+)'\]", path[1:]):
        found = found.get(dotted or bracketed) if isinstance(found, dict) else None
    return found


def _audiences(claims: Json) -> list[str]:
    held = claims.get("aud") or []
    return [held] if isinstance(held, str) else [str(one) for one in held]


def _number(value: object, otherwise: float) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return cast("float", value) if number else otherwise


def _listed(given: Mapping[str, str], name: str) -> tuple[str, ...]:
    indexed = sorted(
        (int(key.rpartition("_")[2]), value)
        for key, value in given.items()
        if key.startswith(f"{name}_") and _INDEXED.fullmatch(key)
    )
    values = [value for _, value in indexed] or given.get(name, "").split(",")
    return tuple(one.strip() for one in values if one.strip())


def _flag(given: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = given.get(name, str(default)).lower()
    if value not in {"true", "false"}:
        raise InvalidSetting(f"{_OIDC}{name}={given[name]}; allowed: true, false")
    return value == "true"
