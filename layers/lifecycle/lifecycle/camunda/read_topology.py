"""Read the topology, and name the login if Camunda rejects it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.errors import CredentialsRefused

if TYPE_CHECKING:
    from lifecycle.camunda.ports import LoginSource, ManagementApi
    from lifecycle.camunda.topology import Topology


def query_topology(api: ManagementApi, source: LoginSource, *, newest: bool = False) -> Topology:
    """Return the topology as the gateways see it.

    With ``newest`` by the login of the method that the stack names, alone. A token that was kept
    and is rejected is replaced once: the provider may have revoked it. Raises
    ``CredentialsRefused`` with the login's name, and as ``LoginSource.login`` and
    ``ManagementApi.topology`` do.
    """

    def topology() -> Topology:
        return api.topology(source.newest() if newest else source.login())

    try:
        try:
            return topology()
        except CredentialsRefused:
            if not source.forget():
                raise
            return topology()
    except CredentialsRefused as error:
        raise CredentialsRefused(
            f"{error.message.rstrip('.')}; Camunda does not take {source.named}."
        ) from error
