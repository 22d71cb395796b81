"""Have the brokers take or delete a backup, from inside the VPC. The only function that may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.errors import (
    ChangeInProgress,
    LifecycleError,
    ManagementRefused,
)
from lifecycle.operation.model import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.camunda.ports import ManagementApi
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.journal import Journal


@dataclass(frozen=True, slots=True)
class BackupChanger:
    """The use case and its ports.

    ``operation`` is the one whose function invokes this one, as state machines carry it: this one
    holds its cluster, too, since it may act on after the other one has ended. Both methods raise as
    ``Journal.hold`` does.
    """

    management: Callable[[str], ManagementApi]
    journal: Journal

    def take(
        self,
        cluster: ClusterOutputs,
        *,
        operation: Mapping[str, Any],
        above: int,
        own: int,
        continuous: str,
    ) -> dict[str, Any]:
        """Request a backup, unless there is one whose id is higher than ``above``.

        With continuous backups Camunda makes the id and takes none, without them it needs one:
        ``own``. ``continuous`` is ``true``, ``false``, or empty where it is not known.

        Returns ``id`` (0 where none is known) and ``problem``, Camunda's words. What the brokers
        refuse, or whether they did it, is part of the answer: what they list decides.
        """
        self.journal.hold(Operation.from_state(operation), "it requested a backup")
        api = self.management(cluster.discovery_name)
        try:
            there = api.list_backups().newest
            if there > above:
                return {"id": there, "problem": ""}
            if continuous == "false":
                return {"id": api.back_up(own), "problem": ""}
            try:
                return {"id": api.back_up(), "problem": ""}
            except ChangeInProgress:
                raise
            except ManagementRefused:
                if continuous:
                    raise
                return {"id": api.back_up(own), "problem": ""}
        except LifecycleError as error:
            return {"id": 0, "problem": error.message.rstrip(".")}

    def delete(
        self, cluster: ClusterOutputs, *, operation: Mapping[str, Any], backup: int
    ) -> dict[str, Any]:
        """Delete a backup; returns ``deleted`` and ``problem``, Camunda's words."""
        self.journal.hold(Operation.from_state(operation), f"it deleted backup {backup}")
        try:
            self.management(cluster.discovery_name).delete_backup(backup)
        except LifecycleError as error:
            return {"deleted": False, "problem": error.message.rstrip(".")}
        return {"deleted": True, "problem": ""}
