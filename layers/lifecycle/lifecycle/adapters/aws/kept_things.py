"""Resources by their tags. Sources: the API references of Resource Groups Tagging, RDS and KMS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.adapters.aws.session import client, error_code
from lifecycle.cluster.names import TAG_CONTROL_PLANE
from lifecycle.kept.discovery import RESOURCE_TYPES, KeptSnapshot, Tagged

if TYPE_CHECKING:
    from collections.abc import Sequence


class AwsKeptThings:
    """The ``KeptThings`` port on AWS."""

    def tagged(self, control_stack: str) -> Sequence[Tagged]:
        """Search by the tag; GetResources lists a resource some minutes after a change.

        https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
        """
        pages = (
            client("resourcegroupstaggingapi")
            .get_paginator("get_resources")
            .paginate(
                TagFilters=[{"Key": TAG_CONTROL_PLANE, "Values": [control_stack]}],
                ResourceTypeFilters=list(RESOURCE_TYPES),
            )
        )
        return [
            Tagged(one["ResourceARN"], {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())})
            for page in pages
            for one in page["ResourceTagMappingList"]
        ]

    def snapshots(self, control_stack: str) -> Sequence[KeptSnapshot]:
        """List the manual snapshots of the account, and keep those with the tag."""
        pages = (
            client("rds")
            .get_paginator("describe_db_cluster_snapshots")
            .paginate(SnapshotType="manual")
        )
        found = [
            KeptSnapshot(
                name=one["DBClusterSnapshotIdentifier"],
                status=one["Status"],
                at=one.get("SnapshotCreateTime"),
                engine_version=one.get("EngineVersion", ""),
                key=one.get("KmsKeyId", ""),
                tags={tag["Key"]: tag["Value"] for tag in one.get("TagList", ())},
                database=one.get("DBClusterIdentifier", ""),
                created=one.get("ClusterCreateTime"),
            )
            for page in pages
            for one in page["DBClusterSnapshots"]
        ]
        return [one for one in found if one.tags.get(TAG_CONTROL_PLANE) == control_stack]

    def key_state(self, key: str) -> str:
        """Describe a key."""
        api = client("kms")
        try:
            state: str = api.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
        except api.exceptions.ClientError as error:
            return error_code(error)
        return state
