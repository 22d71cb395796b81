"""Verification of RDS IAM tokens against the emulator's own IAM, as RDS does against AWS's.

The emulator verifies a token's form, signature and expiry, and evaluates policies; its own gate for
databases knows MySQL only, so the two halves are joined here. Runs inside the emulator's process.
"""

from __future__ import annotations

from dataclasses import dataclass

from local.aws.emulator import iam_evaluator, rds_iam, responses
from local.config import ACCOUNT_ID, REGION


@dataclass(frozen=True)
class IamDatabase:
    """What a token has to be for: one Aurora cluster's endpoint, port and resource id."""

    endpoint: str
    port: int
    resource_id: str

    def refusal(self, user: str, token: str) -> str | None:
        """Reason why `token` does not authenticate `user`; None if it does. Holds no secret.

        The signature must be of a known, live identity, made for this endpoint, port and user at
        most 15 minutes ago, and the identity must be allowed ``rds-db:connect`` on
        ``dbuser:<resource id>/<user>``.
        """
        verified = rds_iam.verify_rds_iam_token(
            token,
            hostname=self.endpoint,
            port=self.port,
            db_user=user,
            region=REGION,
            account_id=ACCOUNT_ID,
        )
        if isinstance(verified, rds_iam.RdsIamTokenError):
            return str(verified.code)
        with responses.request_scope(ACCOUNT_ID, REGION):
            principal = iam_evaluator.resolve_principal(verified.access_key_id, ACCOUNT_ID)
            if isinstance(principal, iam_evaluator.AuthError):
                return "InvalidCredentials"
            if principal.policies is None:
                return None  # the account's root
            decision = iam_evaluator.evaluate(
                iam_evaluator.EvalContext(
                    principal_arn=principal.arn,
                    principal_type=principal.type,
                    principal_account=ACCOUNT_ID,
                    action="rds-db:connect",
                    resource_arn=(
                        f"arn:aws:rds-db:{REGION}:{ACCOUNT_ID}:dbuser:{self.resource_id}/{user}"
                    ),
                    region=REGION,
                    principal_keys=principal.keys,
                ),
                principal.policies,
                *principal.limits,
            ).decision
        return None if decision == "Allow" else f"AccessDenied ({decision})"
