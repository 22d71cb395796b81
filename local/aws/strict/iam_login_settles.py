"""IAM logins to a database are refused until what was granted has reached it."""

from __future__ import annotations

from typing import Final

from local.aws.strict import Rule

NAME: Final = "iam-login-settles"
SETTLING_SECONDS: Final = 2.0
"""Minutes on AWS."""


def settles(member_seconds: float | None) -> bool:
    """Whether a login is refused yet; None for one that has been a member for ever.

    `member_seconds`: since the user became a member of `rds_iam`. On AWS it is the policy that
    settles, and a new cluster's first user has both at the same time.
    """
    return member_seconds is not None and member_seconds < SETTLING_SECONDS


RULE: Final = Rule(
    name=NAME,
    does="IAM logins of a newly authorised user fail with `PAM authentication failed`: changes in"
    " IAM take minutes to reach the database.",
    source="https://github.com/gravitational/teleport/issues/17972",
    caught="seeding verifies the new user by one login; its refusal was reported as a permanent"
    " error and ended provisioning.",
)
