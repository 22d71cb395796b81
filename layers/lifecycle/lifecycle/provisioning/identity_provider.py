"""How users and clients log in: what a kind of identity provider settles, and what cannot work.

A request leaves open what follows from the kind of its identity provider. It is filled in here,
so that the plan shows it and the stack holds only concrete values. A release that fills in
something else changes no cluster: what a cluster has, and its own kind does not give, was given.

Sources: https://docs.camunda.io/docs/self-managed/components/orchestration-cluster/admin/connect-external-identity-provider
for the order in which Camunda reads the two claims, and that the one it reads first should be in
no token of the other kind; .../helm/configure/authentication-and-authorization/microsoft-entra for
Entra; https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
for ``username`` and ``client_id``, which the access token of a user has, and the absent ``aud``;
.../logout-endpoint.html for a logout that takes no ``post_logout_redirect_uri``;
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminCreateUser.html
for ``Username``: 1 to 128 letters, marks, symbols, digits and punctuation, so no spaces;
https://github.com/amazon-archives/amazon-cognito-identity-js/issues/169 for a pool with ``email``
as an alias, which takes no name that has the format of an address.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.authentication import AUTHENTICATION, BASIC, OIDC, is_one_way, way_in
from lifecycle.cluster.validation import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.services.settings import Settings

PROVIDER: Final = "IdentityProvider"

_GIVEN: Final[Mapping[str, str]] = {
    "OidcClientId": "the client of the web applications, with the redirect URI {callback}",
    "OidcClientSecretArn": "the secret with the client secret of OidcClientId",
    "OidcConnectorsClientId": "the client as which the connectors log in, with client_credentials",
    "OidcConnectorsSecretArn": "the secret with the client secret of OidcConnectorsClientId",
    "OidcHealthClientId": "the client as which the functions log in, with client_credentials",
    "OidcHealthSecretArn": "the secret with the client secret of OidcHealthClientId",
}
_FILLED: Final = (
    "OidcTokenUrl",
    "OidcUsernameClaim",
    "OidcClientIdClaim",
    "OidcPreferUsernameClaim",
    "OidcGroupsClaim",
    "OidcAudiences",
    "OidcScope",
    "OidcIdpLogout",
    "OidcClientScope",
)
# Empty is no choice for these: what is empty is open.
_NEVER_EMPTY: Final = ("OidcTokenUrl", "OidcClientIdClaim")
_POOL: Final = "CognitoUserPool"
_EMAIL: Final = "CognitoAdministratorEmail"
_CREATE: Final = "create"
_FIRST_USER: Final = "administrator"
# Cognito documents no format of addresses, so that no @ is allowed at all.
_USER_NAME: Final = re.compile(r"[^@\s]{1,128}")
_USER_NAME_RULE: Final = (
    f"with {_POOL} {_CREATE}, 1 to 128 characters without @ and spaces: users of the pool have "
    f"names of their own, and Cognito refuses an address, which is {_EMAIL}"
)
# With a user pool of the stack, these are the pool's, which is made after the request.
_OF_THE_POOL: Final = ("OidcIssuer", "OidcTokenUrl", *_GIVEN)
PARAMETERS: Final = (
    AUTHENTICATION,
    PROVIDER,
    _POOL,
    _EMAIL,
    "OidcIssuer",
    "OidcAdministrator",
    "OidcAdministratorGroup",
    "OidcClientAudience",
    *_GIVEN,
    *_FILLED,
)
"""Every parameter of the group Login."""
ONE_WAY: Final = (*PARAMETERS, "DomainName", "CertificateArn", "HostedZoneId")
"""What a change to ``oidc`` sets for good: without a name and its certificate no login works."""

_GUID: Final = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ISSUERS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "keycloak": (
        re.compile(r"https://[^/]+(/[^/]+)*/realms/[^/]+"),
        "https://<host>/realms/<realm>, without a final slash",
    ),
    "entra": (
        re.compile(rf"https://login\.microsoftonline\.com/{_GUID}/v2\.0"),
        "https://login.microsoftonline.com/<tenant id>/v2.0 with the tenant's id, not its name",
    ),
    "cognito": (
        re.compile(
            r"https://cognito-idp\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?"
            r"/(?P=region)_[A-Za-z0-9]+"
        ),
        "https://cognito-idp.<region>.amazonaws.com/<region>_<pool>",
    ),
}


def creates_pool(values: Mapping[str, str]) -> bool:
    """Whether a user pool that is made with the cluster is its identity provider."""
    return values.get(_POOL) == _CREATE and way_in(values) == OIDC


def preset(values: Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, str]:
    """Return what the kind of identity provider gives for each parameter that it fills in.

    ``values`` are all parameters of a cluster. What the kind does not settle has its default.
    """
    issuer, client = values["OidcIssuer"], values["OidcClientId"]
    known = creates_pool(values) or _fits(values[PROVIDER], issuer)
    kind = values[PROVIDER] if known else "generic"
    groups = bool(values["OidcAdministratorGroup"])
    given: dict[str, str] = {}
    match kind:
        case "keycloak":
            given = {
                "OidcTokenUrl": f"{issuer}/protocol/openid-connect/token",
                "OidcUsernameClaim": "preferred_username",
                "OidcClientIdClaim": "client_id",
                "OidcAudiences": client,
            }
        case "entra":
            scope = f"{client}/.default"
            given = {
                "OidcTokenUrl": f"{issuer.removesuffix('/v2.0')}/oauth2/v2.0/token",
                "OidcUsernameClaim": "preferred_username",
                "OidcClientIdClaim": "azp",
                "OidcPreferUsernameClaim": "true",
                "OidcAudiences": client,
                "OidcScope": f"openid,profile,offline_access,{scope}",
                "OidcClientScope": scope,
            }
        case "cognito":
            given = {
                "OidcUsernameClaim": "username",
                "OidcClientIdClaim": "client_id",
                "OidcPreferUsernameClaim": "true",
                "OidcIdpLogout": "false",
            }
    if groups and kind != "generic":
        given["OidcGroupsClaim"] = "cognito:groups" if kind == "cognito" else "groups"
    return {name: given.get(name, defaults[name]) for name in _FILLED}


def filled_in(
    requested: Mapping[str, str], present: Mapping[str, str], defaults: Mapping[str, str]
) -> dict[str, str]:
    """Return the parameters that follow from a request and that it does not name.

    A value that the cluster has, other than its kind of identity provider gives, was given and
    stays. Nothing follows from a request that names no parameter of the login, and what the
    cluster would have anyway is left out.
    """
    was, wanted = {**defaults, **present}, {**defaults, **present, **requested}
    if wanted[AUTHENTICATION] != OIDC or not set(PARAMETERS) & set(requested):
        return {}
    before = preset(was, defaults) if was[AUTHENTICATION] == OIDC else defaults
    pool: dict[str, str] = {}
    if creates_pool(wanted):
        pool = {PROVIDER: "cognito"} if wanted[PROVIDER] == "generic" else {}
        pool = {} if PROVIDER in requested else pool
        if not wanted["OidcAdministrator"]:
            pool["OidcAdministrator"] = _FIRST_USER
        wanted |= pool
    return pool | {
        name: value
        for name, value in preset(wanted, defaults).items()
        if value != wanted[name]
        and (
            (was[name] == before[name] and name not in requested)
            or (name in _NEVER_EMPTY and not wanted[name])
        )
    }


def problems(
    requested: Mapping[str, str],
    present: Mapping[str, str],
    defaults: Mapping[str, str],
    *,
    unfinished: bool = False,
) -> list[Problem]:
    """Return what is wrong with the login of a cluster; ``requested`` includes ``filled_in``.

    ``unfinished``: the cluster's stack never was complete, so that a wrong user can be corrected.
    """
    values = {**defaults, **present, **requested}
    was = {**defaults, **present}[AUTHENTICATION]
    if values[AUTHENTICATION] != OIDC:
        return _left(was) if was == OIDC else _of_another_way(requested, defaults)
    # Of an issuer that its kind cannot have, no claims follow.
    kind = values[PROVIDER]
    known = creates_pool(values) or kind not in _ISSUERS or _fits(kind, values["OidcIssuer"])
    before = {**defaults, **present} if present else {}
    if other := _another_pool(values, before):
        return other
    return [
        *_pool(values, before, unfinished=unfinished),
        *_missing(values),
        *(_claims(values) if known else ()),
        *_clients(values),
    ]


def _another_pool(values: Mapping[str, str], before: Mapping[str, str]) -> list[Problem]:
    """Refuse to leave a pool, or to make one beside the identity provider of a cluster."""
    had = before.get(_POOL, "none")
    if not before or way_in(before) != OIDC or values[_POOL] == had:
        return []
    allowed = (
        f"{had}, which cannot change while {AUTHENTICATION} is {OIDC}: rights in Camunda belong to "
        "the users of the present identity provider; omit it"
    )
    return [_wrong(_POOL, values[_POOL], allowed)]


def _pool(
    values: Mapping[str, str], before: Mapping[str, str], *, unfinished: bool
) -> list[Problem]:
    """What a user pool of the stack needs, what it replaces, and what stays as it was made.

    Of a stack that never was complete, CloudFormation still creates the user; where it has done so
    already, a change set that would replace the user is refused.
    """
    had = before.get(_POOL, "none") == _CREATE and not unfinished
    if not creates_pool(values):
        allowed = f"nothing without {_POOL} {_CREATE}"
        return [_wrong(_EMAIL, values[_EMAIL], allowed)] if values[_EMAIL] else []
    found = []
    if values[PROVIDER] != "cognito":
        found.append(_wrong(PROVIDER, values[PROVIDER], f"cognito with {_POOL} {_CREATE}; omit it"))
    found += [
        _wrong(name, values[name], f"nothing with {_POOL} {_CREATE}: it is the pool's; omit it")
        for name in _OF_THE_POOL
        if values[name]
    ]
    if not values[_EMAIL]:
        allowed = (
            f"with {_POOL} {_CREATE}, the address to which Cognito sends the first password of "
            f"{values['OidcAdministrator'] or _FIRST_USER}"
        )
        found.append(_wrong(_EMAIL, "", allowed))
    if values["OidcUsernameClaim"] != "username":
        allowed = f"username with {_POOL} {_CREATE}: the claim that has the user's name; omit it"
        found.append(_wrong("OidcUsernameClaim", values["OidcUsernameClaim"], allowed))
    if values["OidcClientIdClaim"] not in {"", "client_id"}:
        allowed = f"client_id with {_POOL} {_CREATE}: the claim that has the client's id; omit it"
        found.append(_wrong("OidcClientIdClaim", values["OidcClientIdClaim"], allowed))
    name = values["OidcAdministrator"]
    if name and not (had or _USER_NAME.fullmatch(name)):
        found.append(_wrong("OidcAdministrator", name, _USER_NAME_RULE))
    if had:
        # Each is a property of the pool's first user, whom CloudFormation would make anew.
        found += [
            _wrong(
                one,
                values[one],
                f"{before[one]}, the pool's first user; omit it. Further administrators: create "
                "them in the pool, then give them the role admin in Camunda's Admin",
            )
            for one in (_EMAIL, "OidcAdministrator")
            if values[one] != before[one]
        ]
    return found


def _left(was: str) -> list[Problem]:
    return [
        Problem(
            f"parameters.{AUTHENTICATION}",
            BASIC,
            f"{was}, which a cluster keeps: members of its roles, authorizations and assignees of "
            "its tasks are users of the identity provider, whom basic does not have; omit it, or "
            "provision a new cluster",
        )
    ]


def _of_another_way(requested: Mapping[str, str], defaults: Mapping[str, str]) -> list[Problem]:
    return [
        Problem(
            f"parameters.{name}",
            requested[name],
            f"nothing with {AUTHENTICATION} {BASIC}; request {AUTHENTICATION} {OIDC} with it",
        )
        for name in PARAMETERS
        if name != AUTHENTICATION and requested.get(name, defaults[name]) != defaults[name]
    ]


def _wrong(name: str, value: str, allowed: str) -> Problem:
    return Problem(f"parameters.{name}", value or None, allowed)


def _missing(values: Mapping[str, str]) -> list[Problem]:
    kind, issuer = values[PROVIDER], values["OidcIssuer"]
    callback = f"https://{values['DomainName'] or '<DomainName>'}/sso-callback"
    rule = f"with {AUTHENTICATION} {OIDC}, "
    found: list[Problem] = []
    if not values["DomainName"]:
        found.append(
            _wrong(
                "DomainName",
                "",
                f"{rule}the name of the cluster, with its certificate: identity providers redirect "
                "to https only",
            )
        )
    pool = creates_pool(values)
    if pool:
        pass  # _pool
    elif not _fits(kind, issuer):
        form = _ISSUERS[kind][1] if kind in _ISSUERS else "the issuer in the claim iss of tokens"
        found.append(_wrong("OidcIssuer", issuer, f"{rule}with {kind}: {form}"))
    elif not values["OidcTokenUrl"]:
        where = (
            "https://<domain of the user pool>/oauth2/token"
            if kind == "cognito"
            else "token_endpoint of the discovery document"
        )
        found.append(_wrong("OidcTokenUrl", "", f"{rule}with {kind}: {where}"))
    found += [
        _wrong(name, "", rule + what.format(callback=callback))
        for name, what in _GIVEN.items()
        if not (values[name] or pool)
    ]
    if not (values["OidcAdministrator"] or values["OidcAdministratorGroup"]):
        found.append(
            _wrong(
                "OidcAdministrator",
                "",
                f"{rule}the first administrator, as in the claim {values['OidcUsernameClaim']}, or "
                "an OidcAdministratorGroup: without one, no user could be granted rights",
            )
        )
    return found


def _claims(values: Mapping[str, str]) -> list[Problem]:
    kind = values[PROVIDER]
    found: list[Problem] = []
    user, client = values["OidcUsernameClaim"], values["OidcClientIdClaim"]
    if not client:
        found.append(
            _wrong(
                "OidcClientIdClaim",
                "",
                f"with {AUTHENTICATION} {OIDC}, the claim that holds the id of a client, by which "
                "Camunda recognises connectors and functions",
            )
        )
    if user == client:
        found.append(
            _wrong(
                "OidcClientIdClaim",
                client,
                f"another claim than OidcUsernameClaim ({user}): Camunda distinguishes users and "
                "clients by them",
            )
        )
    if kind == "entra" and user in {"oid", "sub"}:
        found.append(
            _wrong(
                "OidcUsernameClaim",
                user,
                "with entra, a claim that only tokens of users have, such as preferred_username: "
                f"{user} is in those of clients too, which Camunda would take for users",
            )
        )
    theirs = {"entra": "azp", "cognito": "client_id"}.get(kind)
    if client == theirs and values["OidcPreferUsernameClaim"] != "true":
        found.append(
            _wrong(
                "OidcPreferUsernameClaim",
                values["OidcPreferUsernameClaim"],
                f"true with {kind}: {client} is in tokens of users too, whom Camunda would take "
                "for clients",
            )
        )
    if values["OidcAdministratorGroup"] and not values["OidcGroupsClaim"]:
        found.append(
            _wrong(
                "OidcGroupsClaim",
                "",
                "with an OidcAdministratorGroup, the claim in which groups stand",
            )
        )
    return found


def _clients(values: Mapping[str, str]) -> list[Problem]:
    health = values["OidcHealthClientId"]
    return [
        _wrong(
            "OidcHealthClientId",
            health,
            f"another client than {name}: the functions' client is an administrator of Camunda",
        )
        for name in ("OidcClientId", "OidcConnectorsClientId")
        if health and health == values[name]
    ]


def _fits(kind: str, issuer: str) -> bool:
    if kind in _ISSUERS:
        return _ISSUERS[kind][0].fullmatch(issuer) is not None
    return bool(issuer)


_USERS: Final = "CAMUNDA_SECURITY_INITIALIZATION_USERS_"
_OF_OIDC: Final = (
    "CAMUNDA_SECURITY_AUTHENTICATION_OIDC_",
    "CAMUNDA_SECURITY_AUTHENTICATION_PROVIDERS_OIDC_",
)


# Of the names with a parameter of the provider, the one that the template sets with passwords too.
_ALWAYS: Final = "CAMUNDA_SECURITY_INITIALIZATION_DEFAULTROLES_ADMIN_USERS_0"


def owned_with(
    authentication: str, owned: Mapping[str, Mapping[str, Sequence[str]]]
) -> dict[str, dict[str, Sequence[str]]]:
    """Return the names that the template sets with this way to log in.

    ``owned`` are all that it may set, with the parameters that decide their values. With ``basic``
    a request may set those of ``oidc``, such as a group in the role ``admin``.
    """
    return {
        service: {
            name: by
            for name, by in names.items()
            if authentication == OIDC
            or name == _ALWAYS
            or not any(one.startswith("Oidc") for one in by)
        }
        for service, names in owned.items()
    }


def settings_problems(
    authentication: str,
    settings: Settings,
    owned: Mapping[str, Mapping[str, Sequence[str]]],
    path: str,
) -> list[Problem]:
    """Return which settings of a cluster its way to log in does not allow.

    ``settings`` are all that the cluster will have, those of before too; ``owned`` the names that
    the template sets then. With ``oidc`` a broker does not start with initial users, with ``basic``
    not with a setting of an identity provider, by itself or among several (camunda/camunda,
    ``WebSecurityConfig``; later ``BasicAuthBeansConfiguration``).
    """
    found = []
    for service, kinds in settings.items():
        for kind in ("environment", "secrets"):
            for name in kinds.get(kind) or {}:
                if authentication == OIDC and name.startswith(_USERS):
                    why = "a broker with initial users does not start; users are the provider's"
                elif authentication != OIDC and name.startswith(_OF_OIDC):
                    why = "a broker with settings of an identity provider does not start"
                elif authentication == OIDC and name in owned.get(service, {}):
                    why = f"the parameters {', '.join(owned[service][name])} set it"
                else:
                    continue
                field = f"{path}.{service}.{kind}.{name}"
                allowed = f"null, which removes it, with {AUTHENTICATION} {authentication}: {why}"
                found.append(Problem(field, None, allowed))
    return found


_SWITCH: Final = (
    f"{AUTHENTICATION} becomes {OIDC}, and there is no way back. Users with passwords, admin "
    "included, can no longer log in. Administrators are {who} of {issuer}; all others have no "
    "rights until these grant them some."
)
_NEW_POOL: Final = "the user pool of Amazon Cognito that is made with this change"
_MEANWHILE: Final = (
    "Until the last broker is replaced, brokers of both kinds run. Passwords are accepted by the "
    "old ones only, tokens by the new ones only, so that clients and browsers are refused by some "
    "of them, whichever login they use. Connectors use their password until they follow after the "
    "last broker: until then they get ever fewer jobs, which wait, and webhooks may fail. The "
    "other order would cut them off from every broker at once."
)


def consequences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return what a change of the login does to a running cluster, in words.

    ``before`` and ``after`` are all parameters of the cluster; ``before`` is empty without one.
    """
    if not before or way_in(after) != OIDC:
        return []
    if is_one_way(before, after):
        issuer = _NEW_POOL if creates_pool(after) else after["OidcIssuer"]
        return [_SWITCH.format(who=_administrators(after), issuer=issuer), _MEANWHILE]
    found = []
    if before["OidcIssuer"] != after["OidcIssuer"]:
        found.append(
            f"The issuer becomes {after['OidcIssuer']}. Tokens of {before['OidcIssuer']} are "
            "refused by each broker that is replaced, and rights that were granted to users, "
            "groups and clients hold for those that have the same names at the new one."
        )
    if before["DomainName"] != after["DomainName"] and not creates_pool(after):
        found.append(
            f"Logins return to https://{after['DomainName']}/sso-callback: register it, and "
            "/post-logout beside it, at the identity provider before, and remove those of "
            f"{before['DomainName']} when the last broker is replaced."
        )
    renamed = [
        name
        for name in ("OidcUsernameClaim", "OidcClientIdClaim", "OidcGroupsClaim")
        if before[name] != after[name]
    ]
    if renamed:
        found.append(
            f"With another {', '.join(renamed)} the same users, clients or groups have other "
            "names in Camunda, without the rights that were granted to the present ones."
        )
    removed = [
        before[name]
        for name in (
            "OidcAdministrator",
            "OidcAdministratorGroup",
            "OidcHealthClientId",
            "OidcConnectorsClientId",
        )
        if before[name] and before[name] != after[name]
    ]
    if removed:
        found.append(
            f"Camunda adds the new members to its roles and removes none: {', '.join(removed)} "
            "keeps its role until an administrator removes it in Admin."
        )
    return found


def _administrators(values: Mapping[str, str]) -> str:
    user, group = values["OidcAdministrator"], values["OidcAdministratorGroup"]
    named = [f"{user} (claim {values['OidcUsernameClaim']})"] if user else []
    named += [f"group {group} (claim {values['OidcGroupsClaim']})"] if group else []
    return " and ".join(named)
