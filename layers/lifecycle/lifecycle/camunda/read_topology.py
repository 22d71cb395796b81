"""Read the topology as the admin of a cluster, and name the secret if Camunda rejects it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import CredentialsRefused

if TYPE_CHECKING:
    from lifecycle.camunda.ports import ManagementApi, Users
    from lifecycle.camunda.topology import Topology


def query_topology(api: ManagementApi, users: Users, secret: str, cluster: str) -> Topology:
    """Return the topology as the gateways see it.

    ``secret`` is the ARN of the credentials of an administrator of ``cluster``. Raises
    ``CredentialsRefused`` with the secret's name, and as ``Users.credentials`` and
    ``ManagementApi.topology`` do.
    """
    try:
        return api.topology(users.credentials(secret, cluster))
    except CredentialsRefused as error:
        raise CredentialsRefused(
            f"{error.message.rstrip('.')}; Camunda does not take name and password of the secret "
            f"{secret} (output AdminUserSecretArn)."
        ) from error
