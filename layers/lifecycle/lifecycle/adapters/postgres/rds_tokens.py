"""RDS IAM tokens, signed with the credentials of the function's own role; no call is made."""

from __future__ import annotations

from lifecycle.adapters.aws.session import client
from lifecycle.camunda.credentials import Credentials


class RdsTokens:
    """The ``DatabaseTokens`` port."""

    def sign(self, endpoint: str, port: int, user: str) -> Credentials:
        """Sign a token; RDS takes it for 15 minutes, at login only.

        https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.html
        """
        token = client("rds").generate_db_auth_token(
            DBHostname=endpoint, Port=port, DBUsername=user
        )
        return Credentials(user, token)
