"""Amazon RDS. Sources: its API reference, ModifyDBCluster and DescribeDBClusterSnapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.adapters.aws.session import client, error_message
from lifecycle.errors import AwsUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_rds import RDSClient


class RdsDatabases:
    """The ``Databases`` port on RDS."""

    @property
    def _api(self) -> RDSClient:
        api: RDSClient = client("rds")
        return api

    def protect(self, identifier: str, *, on: bool) -> None:
        """Turn deletion protection on or off."""
        try:
            self._api.modify_db_cluster(
                DBClusterIdentifier=identifier, DeletionProtection=on, ApplyImmediately=True
            )
        except self._api.exceptions.DBClusterNotFoundFault:
            return
        except self._api.exceptions.InvalidDBClusterStateFault as error:
            # Being created, backed up or changed: it takes a change again soon.
            raise AwsUnavailable(
                f"Aurora cluster {identifier} takes no change now: {error_message(error)}"
            ) from error

    def snapshots(self, identifier: str) -> Sequence[str]:
        """Return the names of the manual snapshots, oldest first."""
        pages = self._api.get_paginator("describe_db_cluster_snapshots").paginate(
            DBClusterIdentifier=identifier, SnapshotType="manual"
        )
        found = [one for page in pages for one in page["DBClusterSnapshots"]]
        found.sort(key=lambda one: str(one.get("SnapshotCreateTime", "")))
        return [one["DBClusterSnapshotIdentifier"] for one in found]
