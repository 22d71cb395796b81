"""Sessions of roles: what Lambda and ECS open for functions and tasks."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING

from local.aws.emulator import iam, responses, sts
from local.config import ACCOUNT_ID, REGION

if TYPE_CHECKING:
    from collections.abc import Mapping


def open_session(role_arn: str, service: str, name: str, seconds: float) -> Mapping[str, str]:
    """Open a session of a role for a service, and give its credentials as environment variables.

    The emulator enforces the role's policies on it. Raises PermissionError if the role does not
    trust the service.
    """
    role_name = role_arn.rpartition("/")[2]
    with responses.request_scope(ACCOUNT_ID, REGION):
        role = iam.roles.get(role_name)
    if role is None or service not in json.dumps(role["AssumeRolePolicyDocument"]):
        raise PermissionError(f"the role {role_arn} cannot be assumed by {service}")
    access_key = f"ASIA{secrets.token_hex(8).upper()}"
    secret, token = secrets.token_hex(20), secrets.token_hex(64)
    sts.register_session(
        access_key,
        {
            "Arn": f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role_name}/{name}",
            "UserId": f"{role['RoleId']}:{name}",
            "AccountId": ACCOUNT_ID,
            "PrincipalType": "AssumedRole",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "OpenedFor": service,
            "Expiration": time.time() + seconds,
        },
    )
    return {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": token,
    }
