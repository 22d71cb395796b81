"""RDS restores what a key encrypts only while KMS lets that key be used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import kms
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

USABLE: Final = "Enabled"
MANAGED: Final = "alias/aws/rds"
"""Of the key that AWS manages, for what is encrypted without a key of the account."""
CODE: Final = "KMSKeyNotAccessibleFault"


def key_of(given: str, *, encrypted: bool) -> str:
    """Give the ARN that RDS shows for a cluster; empty for one that is not encrypted.

    `given` is what the request or the template names: an ARN, an id or an alias. What names no key
    is returned as it is.
    """
    if not given and not encrypted:
        return ""
    found = kms.resolve_key(given or MANAGED)
    if found is None and not given:
        found = _make_managed()
    return str(found["Arn"]) if found else given


def state_of(key: str) -> str:
    """Give the state of a key, empty for one that there is not."""
    found = kms.resolve_key(key)
    return str(found["KeyState"]) if found else ""


def refusal(keys: Mapping[str, str]) -> str:
    """Why RDS restores nothing, by the states of the keys that it needs; empty if it does."""
    for key, state in keys.items():
        if key and state != USABLE:
            return (
                f"Specified KMS key [{key}] does not exist, is not enabled or you do not have"
                " permissions to access it."
            )
    return ""


def _make_managed() -> dict[str, Any]:
    _, _, body = kms.create_key(
        {"Description": "Default key that protects my RDS database volumes"}
    )
    identifier = json.loads(body)["KeyMetadata"]["KeyId"]
    kms.create_alias({"AliasName": MANAGED, "TargetKeyId": identifier})
    found: dict[str, Any] = kms.resolve_key(identifier)
    found["KeyManager"] = "AWS"
    return found


RULE: Final = Rule(
    name="database-keys",
    does="A cluster is encrypted with the key that its request names, or with one that AWS manages,"
    " and its snapshots with the same. Where that key, or the one of the new cluster, is disabled,"
    " pending deletion or gone, a restore ends with `KMSKeyNotAccessibleFault`.",
    source="https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBClusterFromSnapshot.html",
    caught="a restore stopped the brokers before CloudFormation could not read the snapshot.",
)
