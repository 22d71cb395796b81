"""Amazon RDS. Sources: its API reference, at the actions that are named, and botocore's model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lifecycle.adapters.aws.session import client, error_message
from lifecycle.backup.ports import DatabaseSeen, SnapshotSeen
from lifecycle.errors import AwsUnavailable, BackupRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

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


class RdsBackups:
    """The ``DatabaseBackups`` port on RDS."""

    @property
    def _api(self) -> RDSClient:
        api: RDSClient = client("rds")
        return api

    def look(self, identifier: str, tags: Mapping[str, str]) -> DatabaseSeen:
        """Return the cluster (DescribeDBClusters) and its snapshots (DescribeDBClusterSnapshots).

        Of a cluster that is gone, its manual snapshots are there all the same.

        Snapshots of both types, without ``SnapshotType``: automated and manual ones; and all manual
        ones of the account and region that have these tags.
        """
        try:
            found = self._api.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"]
        except self._api.exceptions.DBClusterNotFoundFault:
            found = []
        paginator = self._api.get_paginator("describe_db_cluster_snapshots")
        own = paginator.paginate(DBClusterIdentifier=identifier)
        manual = paginator.paginate(SnapshotType="manual")
        snapshots = [_snapshot(one) for page in own for one in page["DBClusterSnapshots"]]
        snapshots += [
            replace(found_, former=True)
            for found_ in (_snapshot(one) for page in manual for one in page["DBClusterSnapshots"])
            if found_.tags.items() >= tags.items()
            if found_.name not in {one.name for one in snapshots}
        ]
        snapshots.sort(key=lambda one: str(one.at or ""), reverse=True)
        if not found:
            return DatabaseSeen("", snapshots=tuple(snapshots))
        return DatabaseSeen(
            status=found[0]["Status"],
            earliest=found[0].get("EarliestRestorableTime"),
            latest=found[0].get("LatestRestorableTime"),
            snapshots=tuple(snapshots),
            created=found[0].get("ClusterCreateTime"),
        )

    def snapshot(self, identifier: str, name: str, tags: Mapping[str, str]) -> None:
        """Begin a manual snapshot (CreateDBClusterSnapshot); the same name changes nothing."""
        api = self._api
        try:
            api.create_db_cluster_snapshot(
                DBClusterIdentifier=identifier,
                DBClusterSnapshotIdentifier=name,
                Tags=_tags(tags),
            )
        except api.exceptions.DBClusterSnapshotAlreadyExistsFault:
            return
        except api.exceptions.InvalidDBClusterStateFault as error:
            raise AwsUnavailable(
                f"Aurora cluster {identifier} takes no snapshot now: {error_message(error)}"
            ) from error
        except (
            api.exceptions.SnapshotQuotaExceededFault,
            api.exceptions.DBClusterNotFoundFault,
        ) as error:
            raise BackupRefused(
                f"RDS takes no snapshot of Aurora cluster {identifier}: {error_message(error)}",
                next_step="Delete manual snapshots that are not needed any more, or raise the "
                "quota of manual DB cluster snapshots, then start the same request again.",
            ) from error

    def tag(self, snapshot: SnapshotSeen, tags: Mapping[str, str]) -> None:
        """Add tags to a snapshot (AddTagsToResource)."""
        self._api.add_tags_to_resource(ResourceName=snapshot.arn, Tags=_tags(tags))

    def delete(self, name: str) -> None:
        """Delete a manual snapshot (DeleteDBClusterSnapshot); one that is gone stays so."""
        try:
            self._api.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=name)
        except self._api.exceptions.DBClusterSnapshotNotFoundFault:
            return
        except self._api.exceptions.InvalidDBClusterSnapshotStateFault as error:
            raise AwsUnavailable(
                f"Snapshot {name} cannot be deleted now: {error_message(error)}"
            ) from error


def _snapshot(one: Any) -> SnapshotSeen:
    return SnapshotSeen(
        name=one["DBClusterSnapshotIdentifier"],
        status=one.get("Status", ""),
        at=one.get("SnapshotCreateTime"),
        manual=one.get("SnapshotType") == "manual",
        tags={tag["Key"]: tag["Value"] for tag in one.get("TagList", [])},
        size=int(one.get("AllocatedStorage", 0)),
        arn=one.get("DBClusterSnapshotArn", ""),
        # Of the database, not of the snapshot:
        # https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBClusterSnapshot.html
        created=one.get("ClusterCreateTime"),
    )


def _tags(tags: Mapping[str, str]) -> Any:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
