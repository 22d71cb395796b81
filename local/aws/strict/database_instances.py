"""An Aurora cluster is reached through its instances; without one there is only its storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping


def has_instances(cluster: Mapping[str, Any]) -> bool:
    """Whether anything answers at the endpoints of a cluster with this record."""
    return bool(cluster.get("DBClusterMembers"))


RULE: Final = Rule(
    name="database-instances",
    does="A cluster without DB instances accepts no connection: its endpoints lead to instances,"
    " and restoring a cluster makes none. Its storage can be snapshotted and restored from.",
    source="https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.Overview.html",
    caught="nothing yet.",
)
