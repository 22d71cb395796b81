"""Cognito refuses names of users that are none, and addresses where those are aliases."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import cognito
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness

_MOST: Final = 128
# Categories of Unicode: letters, marks, symbols, numbers, punctuation.
_CATEGORIES: Final = "LMSNP"
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+")


def install(_strictness: Strictness) -> None:
    """Check the name of each user that is created, also by CloudFormation, or signs up."""
    own = cognito.new_user_error

    def error(pool: Mapping[str, Any], username: str, attributes: Mapping[str, str]) -> Any:
        if refused := refusal(username, pool.get("AliasAttributes") or ()):
            return cognito.error_response_json("InvalidParameterException", refused, 400)
        return own(pool, username, attributes)

    cognito.new_user_error = error


def refusal(username: str, aliases: Any) -> str:
    """Why a pool with these aliases takes no user of that name; empty if it does."""
    at = f"Value '{username}' at 'username' failed to satisfy constraint: Member must"
    if len(username) > _MOST:
        return f"1 validation error detected: {at} have length less than or equal to {_MOST}"
    if not all(unicodedata.category(one)[0] in _CATEGORIES for one in username):
        return (
            f"1 validation error detected: {at} satisfy regular expression pattern: "
            r"[\p{L}\p{M}\p{S}\p{N}\p{P}]+"
        )
    if "email" in aliases and _ADDRESS.fullmatch(username):
        return "Username cannot be of email format, since user pool is configured for email alias."
    return ""


RULE: Final = Rule(
    name="user-names",
    does="The name of a user of Cognito has 1 to 128 letters, marks, symbols, digits and"
    " punctuation, no spaces; in a pool with `email` in `AliasAttributes` it must not be an"
    " address.",
    source="https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/"
    "API_AdminCreateUser.html; the address: "
    "https://github.com/amazon-archives/amazon-cognito-identity-js/issues/169",
    caught="`OidcAdministrator` took an address, with which no first user could be created.",
    install=install,
)
