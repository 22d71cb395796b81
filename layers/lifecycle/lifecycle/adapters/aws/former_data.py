"""What restores have left. Sources: the API references of RDS, S3 and tagging at the named actions.

https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBCluster.html
https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.adapters.aws.session import client, error_code, error_message
from lifecycle.cluster.former_data import COPY, DatabaseBeside
from lifecycle.cluster.names import tags
from lifecycle.cluster.owned_secrets import TAG_PURPOSE
from lifecycle.errors import AwsUnavailable
from lifecycle.kept.discovery import Tagged, leases_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mypy_boto3_rds import RDSClient


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
        """Lift the protection (ModifyDBCluster), then delete (DeleteDBCluster)."""
        api = self._api
        try:
            found: Any = api.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
            one = _beside(found)
            if one.stuck or one.status == "deleting" or not self._ours(found, cluster):
                return
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
        except api.exceptions.DBClusterNotFoundFault:
            return
        except api.exceptions.InvalidDBClusterStateFault as error:
            # Being created, backed up or changed: it takes a change again soon.
            raise AwsUnavailable(
                f"Aurora cluster {name} takes no change now: {error_message(error)}"
            ) from error

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
