"""A version of a secret is made once: its token is its identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import secretsmanager
from local.aws.strict import Rule

if TYPE_CHECKING:
    from local.aws.strict import Strictness

_SHORTEST: Final = 32
_LONGEST: Final = 64


def install(_strictness: Strictness) -> None:
    """Check PutSecretValue, and let its stages leave the versions that had them."""
    secretsmanager.put_secret_value = _as_on_aws(secretsmanager.put_secret_value)


def _as_on_aws(own: Any) -> Any:
    def put(data: dict[str, Any]) -> Any:
        token = data.get("ClientRequestToken")
        _, secret = secretsmanager.resolve(data.get("SecretId"))
        if token is not None and not _SHORTEST <= len(token) <= _LONGEST:
            return secretsmanager.error_response_json(
                "InvalidParameterException",
                "ClientRequestToken must be 32-64 characters long.",
                400,
            )
        if secret is not None and token in secret["Versions"]:
            version = secret["Versions"][token]
            same = all(
                version.get(name) == data.get(name) for name in ("SecretString", "SecretBinary")
            )
            if not same:
                return secretsmanager.error_response_json(
                    "ResourceExistsException",
                    "You can't use ClientRequestToken "
                    f"{token} because that value is already in use for a version of secret "
                    f"{secret['ARN']}.",
                    400,
                )
            return secretsmanager.json_response(
                {
                    "ARN": secret["ARN"],
                    "Name": secret["Name"],
                    "VersionId": token,
                    "VersionStages": list(version["Stages"]),
                }
            )
        if secret is not None:
            # A stage is on one version: the new one takes it.
            for stage in data.get("VersionStages") or ():
                if stage != "AWSCURRENT":
                    secretsmanager.remove_stage_everywhere(secret, stage)
        return own(data)

    return put


RULE: Final = Rule(
    name="secret-versions",
    does="PutSecretValue with the token of a version that is there returns that version for the"
    " same value and `ResourceExistsException` for another one; a token has 32 to 64 characters,"
    " and a stage leaves the version that had it.",
    source="https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html",
    caught="nothing yet: a rotation makes its value once, under a token of its operation.",
    install=install,
)
