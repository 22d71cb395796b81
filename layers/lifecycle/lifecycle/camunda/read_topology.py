"""Read the topology as the admin of a cluster, and name the secret if Camunda rejects it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import CredentialsRefused

if TYPE_CHECKING:
    from lifecycle.camunda.ports import ManagementApi, Users
    from lifecycle.camunda.topology import Topology


def query_topology(api: ManagementApi, users: Users, secret: str) -> Topology:
    """Return the topology as the gateways see it.

    ``secret`` is the ARN of an administrator's credentials. Raises ``CredentialsRefused`` with
    the secret's name, and as ``ManagementApi.topology`` does.
    """
    try:
        return api.topology(users.credentials(secret))
    except CredentialsRefused as error:
        raise CredentialsRefused(
            f"{error.message.rstrip('.')}; Camunda does not take name and password of the secret "
            f"{secret} (output AdminUserSecretArn)."
        ) from error
