"""What restores have left. Sources: the API references of RDS, S3 and tagging at the named actions.

https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBCluster.html
https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.session import client, error_code, error_message
from lifecycle.cluster.former_data import COPY, DatabaseBeside
from lifecycle.cluster.names import tags
from lifecycle.cluster.owned_secrets import TAG_PURPOSE
from lifecycle.errors import AwsUnavailable, FormerDataNotDeleted
from lifecycle.kept.discovery import Tagged, leases_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mypy_boto3_rds import RDSClient

_GONE: Final = "DBClusterNotFoundFault"
_TAKEN: Final = "DBClusterSnapshotAlreadyExistsFault"
# Being created, backed up or changed: it takes a change again soon.
_BUSY: Final = frozenset({"InvalidDBClusterStateFault", "InvalidDBClusterSnapshotStateFault"})
_NEXT_STEPS: Final[Mapping[str, str]] = {
    "SnapshotQuotaExceeded": (
        "Delete manual snapshots that are not needed any more, or raise the quota of manual DB "
        "cluster snapshots, then start the same request again."
    ),
    _TAKEN: (
        "Start it as a new request, whose final snapshot has another name; delete the snapshot "
        "that has this one if it is not needed."
    ),
    "KMSKeyNotAccessibleFault": "Enable the database's key, then start the same request again.",
}


class AwsFormerData:
    """The ``FormerData`` port on RDS, S3 and Resource Groups Tagging."""

    def __init__(self, control_stack: str) -> None:
        self._control_stack = control_stack

    @property
    def _api(self) -> RDSClient:
        api: RDSClient = client("rds")
        return api

    def databases(self, cluster: str, present: str) -> Sequence[DatabaseBeside]:
        """List all of the account and region (DescribeDBClusters), and keep those with the tags."""
        pages = self._api.get_paginator("describe_db_clusters").paginate()
        return [
            _beside(one)
            for page in pages
            for one in page["DBClusters"]
            if one["DBClusterIdentifier"] != present and self._ours(one, cluster)
        ]

    def leases(self, cluster: str, stack_id: str, present: Collection[str]) -> Sequence[str]:
        """Search by the tags (GetResources), which lists a bucket some minutes after a change."""
        ours = tags(self._control_stack, cluster)
        pages = (
            client("resourcegroupstaggingapi")
            .get_paginator("get_resources")
            .paginate(
                TagFilters=[{"Key": key, "Values": [value]} for key, value in ours.items()],
                ResourceTypeFilters=["s3"],
            )
        )
        tagged = [
            Tagged(one["ResourceARN"], {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())})
            for page in pages
            for one in page["ResourceTagMappingList"]
        ]
        return leases_of(tagged, stack_id, present)

    def delete_bucket(self, name: str) -> None:
        """Delete an empty bucket (DeleteBucket)."""
        api = client("s3")
        try:
            api.delete_bucket(Bucket=name)
        except api.exceptions.ClientError as error:
            if error_code(error) != "NoSuchBucket":
                raise

    def delete_database(self, name: str, *, cluster: str, snapshot: str) -> None:
        """Lift the protection (ModifyDBCluster), then delete (DeleteDBCluster).

        Where RDS refuses the deletion, the protection is set again, also what an attempt before has
        lifted. While RDS takes no change it is not: the next attempt follows soon, and each change
        makes RDS busy for a while.
        """
        api = self._api
        ours = False
        try:
            found = self._found(name)
            if found is None or not self._deletable(found, cluster):
                return
            ours = True
            if found.get("DeletionProtection"):
                api.modify_db_cluster(
                    DBClusterIdentifier=name, DeletionProtection=False, ApplyImmediately=True
                )
            if snapshot:
                api.delete_db_cluster(
                    DBClusterIdentifier=name,
                    SkipFinalSnapshot=False,
                    FinalDBSnapshotIdentifier=snapshot,
                )
            else:
                api.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)
        except ClientError as error:
            code = error_code(error)
            if code == _GONE:
                return
            if code in _BUSY:
                raise AwsUnavailable(
                    f"Aurora cluster {name} takes no change now: {error_message(error)}"
                ) from error
            if code == _TAKEN and not self._deletable(self._found(name) or {}, cluster):
                # A repetition of the call, whose first response was lost, finds its own snapshot.
                return
            again = self._protect(name) if ours else ""
            if code in _NEXT_STEPS:
                raise FormerDataNotDeleted(
                    f"Database {name} was not deleted: RDS refuses it"
                    f"{f' with final snapshot {snapshot}' if snapshot else ''}: {code}, "
                    f"{error_message(error).rstrip('.')}{again}.",
                    next_step=_NEXT_STEPS[code],
                ) from error
            raise

    def _found(self, name: str) -> Any:
        try:
            return self._api.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
        except ClientError as error:
            if error_code(error) == _GONE:
                return None
            raise

    def _deletable(self, found: Any, cluster: str) -> bool:
        if not found or not self._ours(found, cluster):
            return False
        one = _beside(found)
        return not one.stuck and one.status != "deleting"

    def _protect(self, name: str) -> str:
        """Set the protection again; return in words whether that succeeded."""
        try:
            self._api.modify_db_cluster(
                DBClusterIdentifier=name, DeletionProtection=True, ApplyImmediately=True
            )
        except ClientError as error:
            return f"; its deletion protection is off, and RDS did not set it: {error_code(error)}"
        return "; its deletion protection is on again"

    def _ours(self, found: Any, cluster: str) -> bool:
        return tags(self._control_stack, cluster).items() <= _tags(found).items()


def _beside(found: Any) -> DatabaseBeside:
    return DatabaseBeside(
        name=found["DBClusterIdentifier"],
        status=found["Status"],
        created=found.get("ClusterCreateTime"),
        instances=len(found.get("DBClusterMembers", ())),
        copy=_tags(found).get(TAG_PURPOSE) == COPY,
    )


def _tags(found: Any) -> dict[str, str]:
    return {one["Key"]: one.get("Value", "") for one in found.get("TagList", ())}
