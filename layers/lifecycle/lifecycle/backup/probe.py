"""The probe's question ``backups``: which backups the brokers have, and what these cover."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lifecycle.camunda.backups import backups_payload
from lifecycle.errors import LifecycleError
from lifecycle.services.brokers import held_partitions, partitions_after

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from lifecycle.camunda.ports import ManagementApi
    from lifecycle.cluster.contract import ClusterOutputs


@dataclass(frozen=True, slots=True)
class BackupProber:
    """The use case and its port."""

    management: Callable[[str], ManagementApi]

    def query(self, cluster: ClusterOutputs, *, also: Collection[int] = ()) -> dict[str, Any]:
        """Return ``seen``, as ``read_backups`` reads it, or null, and ``problem``: why.

        ``also``: ids of backups that are returned with their parts however old they are.
        """
        api = self.management(cluster.discovery_name)
        try:
            configuration = api.configuration()
            held = held_partitions(configuration)
            adding = partitions_after(configuration) is not None
            seen = replace(api.list_backups(), partitions=held, adding=adding)
        except LifecycleError as error:
            return {"seen": None, "problem": error.message.rstrip(".")}
        return {"seen": backups_payload(seen, also=also), "problem": ""}
