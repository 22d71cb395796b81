"""Whether the policy of a key leaves its use to IAM, as far as its text shows.

The judgement covers only what is certain: the roles of a new cluster do not exist yet, so that no
statement can name them, and they may use the key only where the policy delegates to the account's
IAM.
https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What CloudFormation's role and the tasks' need of the key, for Aurora, EFS, S3 and Secrets
# Manager; each of these uses it with the rights of its caller. No log group is encrypted with it.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Overview.Encryption.Keys.html
# https://docs.aws.amazon.com/efs/latest/ug/encryption-at-rest.html
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
# https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
NEEDED: Final = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
)
# Grants for Aurora and EFS, and their data keys: CloudFormation's role requests these, no task.
OF_THE_DEPLOYMENT_ROLE: Final = frozenset(
    {"kms:CreateGrant", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext"}
)


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """Whether IAM decides about what a cluster needs of a key; None where its text leaves it open.

    ``why`` is the reason.
    """

    iam_decides: bool | None
    why: str


def judge(document: str, account: str) -> KeyPolicy:
    """Judge a key policy (JSON) of a key that ``account`` owns; never raises."""
    try:
        statements = _statements(document)
    except (ValueError, TypeError, AttributeError, KeyError):
        return KeyPolicy(None, "its form is unknown")
    open_questions: list[str] = []
    granted: list[str] = []
    named: list[str] = []
    for statement in statements:
        if statement["Effect"] != "Allow":
            open_questions.append("it denies something")
        elif {"NotPrincipal", "NotAction", "NotResource"} & statement.keys():
            open_questions.append("it names what it is not about")
        elif not (who := _reached(statement["Principal"], account)):
            named += _listed(statement["Action"])
        elif who:
            if who == "*":
                open_questions.append("it allows every principal that meets its conditions")
            elif statement.get("Condition") or _listed(statement["Resource"]) != ["*"]:
                open_questions.append("it allows IAM policies only under conditions")
            else:
                granted += _listed(statement["Action"])
    missing = [one for one in NEEDED if not _covers(granted, one)]
    if open_questions and (missing or "it denies something" in open_questions):
        return KeyPolicy(None, " and ".join(dict.fromkeys(open_questions)))
    if (
        missing
        and set(missing) <= OF_THE_DEPLOYMENT_ROLE
        and all(_covers(named, one) for one in missing)
    ):
        # That role is there before any cluster, so that a policy may name it.
        return KeyPolicy(None, f"it allows principals that it names to use {', '.join(missing)}")
    if missing:
        return KeyPolicy(
            False, (f"it does not allow the account's IAM policies to grant {', '.join(missing)}")
        )
    return KeyPolicy(True, "it allows the account's IAM policies to grant access")


def _statements(document: str) -> list[Mapping[str, Any]]:
    """Statements, each with the members that every one of them has; raises where one lacks any."""
    found = json.loads(document)["Statement"]
    listed = [found] if isinstance(found, dict) else list(found)
    for one in listed:
        for member in ("Principal", "Action", "Resource"):
            if member not in one and f"Not{member}" not in one:
                raise ValueError(member)
        if one["Effect"] not in {"Allow", "Deny"}:
            raise ValueError(one["Effect"])
        if not isinstance(one.get("Principal", "*"), str | dict):
            raise TypeError(one["Principal"])
    return listed


def _reached(principal: Any, account: str) -> str:
    """``account`` or ``*`` where a principal stands for that, else empty.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    named = ["*"] if principal == "*" else _listed(principal.get("AWS", []))
    if "*" in named:
        return "*"
    whole = [one for one in named if one == account or one.endswith(f":iam::{account}:root")]
    return account if whole else ""


def _covers(granted: Iterable[str], needed: str) -> bool:
    """Whether an action, or a pattern with ``*`` and ``?``, stands for ``needed``."""
    return any(fnmatchcase(needed.lower(), one.lower().replace("[", "[[]")) for one in granted)


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(one) for one in value]
