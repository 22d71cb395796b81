"""Who calls the API, by what API Gateway says of the credentials that signed the request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.names import is_console_role
from lifecycle.operation.approval import OF_POOLS, POOL_USER

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROVIDER: Final = re.compile(rf"(?P<pool>[^,:]+),(?P<user>{POOL_USER})")


def caller_of(identity: Mapping[str, Any], control_stack: str) -> str:
    """Return the principal of a request: an ARN, or a user of the console; empty for none.

    ``identity`` is ``requestContext.identity``. Every session of an identity pool is called
    ``CognitoIdentityCredentials``, so that its ARN does not name the person. For the roles of this
    control plane's console, which trust its identity pool only, the user is
    ``<user pool>:CognitoSignIn:<sub>``, from ``cognitoAuthenticationProvider``. The identity id is
    no name: ``UnlinkIdentity``, which anybody may call with a token of their own, makes the next
    sign-in a new identity.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
    https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_UnlinkIdentity.html
    """
    arn = str(identity.get("userArn") or "")
    role, _, session = arn.rpartition(":assumed-role/")[2].partition("/")
    if session != OF_POOLS or not is_console_role(role, control_stack):
        return arn
    given = _PROVIDER.fullmatch(str(identity.get("cognitoAuthenticationProvider") or ""))
    if given is None or identity.get("cognitoAuthenticationType") != "authenticated":
        return arn
    return given["user"] if given["user"].startswith(f"{given['pool']}:") else arn
