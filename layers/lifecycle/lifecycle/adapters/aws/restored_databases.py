"""Aurora's restores. Sources: the API references of the actions that are called.

https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBClusterToPointInTime.html
https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBClusterSnapshot.html
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws.session import client, error_code, error_message
from lifecycle.backup.decisions import TAG_BACKUP, TAG_PURPOSE
from lifecycle.cluster.former_data import COPY
from lifecycle.cluster.names import TAG_CLUSTER, TAG_CONTROL_PLANE, TAG_GENERATION
from lifecycle.errors import AwsUnavailable, RestoreRefused
from lifecycle.restore.facts import DatabaseFound, SnapshotFound, Window
from lifecycle.restore.ports import Thing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from mypy_boto3_rds import RDSClient

    from lifecycle.camunda.credentials import Credentials

# What is gone in a while: the cluster is being created, backed up or changed.
_BUSY: Final = frozenset({"InvalidDBClusterStateFault", "InvalidDBClusterSnapshotStateFault"})
_THERE: Final = frozenset({"DBClusterAlreadyExistsFault", "DBClusterSnapshotAlreadyExistsFault"})


class RdsRestoredDatabases:
    """The ``RestoredDatabases`` port on RDS."""

    def __init__(self, control_stack: str) -> None:
        self._control_stack = control_stack

    @property
    def _api(self) -> RDSClient:
        api: RDSClient = client("rds")
        return api

    def found(self, cluster: str) -> DatabaseFound:
        """Return what a cluster's database can be restored from, by the tags of all there are.

        A former database that was kept has them too, and so has every snapshot (CopyTagsToSnapshot,
        or given by who took it). A copy that a restore made is no source.
        """
        ours = {TAG_CONTROL_PLANE: self._control_stack, TAG_CLUSTER: cluster}
        databases = self._api.get_paginator("describe_db_clusters").paginate()
        snapshots = self._api.get_paginator("describe_db_cluster_snapshots").paginate(
            SnapshotType="manual"
        )
        return DatabaseFound(
            windows=tuple(
                Window(
                    one["DBClusterIdentifier"],
                    one["EarliestRestorableTime"],
                    one["LatestRestorableTime"],
                    one.get("ClusterCreateTime"),
                    one.get("KmsKeyId", ""),
                    one.get("EngineVersion", ""),
                    _number(_tags(one), TAG_GENERATION),
                )
                for page in databases
                for one in page["DBClusters"]
                if _has(one, ours)
                and _tags(one).get(TAG_PURPOSE) != COPY
                and one.get("EarliestRestorableTime")
                and one.get("LatestRestorableTime")
            ),
            snapshots=tuple(
                SnapshotFound(
                    one["DBClusterSnapshotIdentifier"],
                    one["SnapshotCreateTime"],
                    _number(_tags(one), TAG_BACKUP),
                    one.get("DBClusterIdentifier", ""),
                    one.get("ClusterCreateTime"),
                    copied=_tags(one).get(TAG_PURPOSE) == COPY,
                    key=one.get("KmsKeyId", ""),
                    engine=one.get("EngineVersion", ""),
                    generation=_number(_tags(one), TAG_GENERATION),
                )
                for page in snapshots
                for one in page["DBClusterSnapshots"]
                if _has(one, ours) and one["Status"] == "available"
            ),
        )

    def database(self, name: str) -> Thing:
        """Return an Aurora cluster of that name."""
        try:
            found = self._api.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
        except self._api.exceptions.DBClusterNotFoundFault:
            return Thing("", {})
        pending: Any = found.get("PendingModifiedValues") or {}
        return Thing(found["Status"], _tags(found), settled=not pending.get("MasterUserPassword"))

    def snapshot(self, name: str) -> Thing:
        """Return a manual snapshot of that name."""
        try:
            found = self._api.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=name)
        except self._api.exceptions.DBClusterSnapshotNotFoundFault:
            return Thing("", {})
        one = found["DBClusterSnapshots"][0]
        return Thing(one["Status"], _tags(one))

    def restore_to(self, name: str, *, source: str, at: datetime, tags: Mapping[str, str]) -> None:
        """Begin to restore a database to a moment, in the network and with the key of its source.

        Without instances, nothing connects to it; a snapshot of it can be taken.
        """
        with _refused(f"database {source} could not be restored to {at.isoformat()}"):
            found = self._api.describe_db_clusters(DBClusterIdentifier=source)["DBClusters"][0]
            self._api.restore_db_cluster_to_point_in_time(
                DBClusterIdentifier=name,
                SourceDBClusterIdentifier=source,
                RestoreToTime=at,
                DBSubnetGroupName=found["DBSubnetGroup"],
                VpcSecurityGroupIds=[
                    one["VpcSecurityGroupId"] for one in found["VpcSecurityGroups"]
                ],
                Port=found["Port"],
                KmsKeyId=found["KmsKeyId"],
                CopyTagsToSnapshot=True,
                DeletionProtection=False,
                Tags=_list(tags),
            )

    def take(self, name: str, *, of: str, tags: Mapping[str, str]) -> None:
        """Begin a snapshot of a database."""
        with _refused(f"snapshot {name} of {of} could not be taken"):
            self._api.create_db_cluster_snapshot(
                DBClusterSnapshotIdentifier=name, DBClusterIdentifier=of, Tags=_list(tags)
            )

    def remove(self, name: str, *, tags: Mapping[str, str]) -> None:
        """Delete a copy without a final snapshot."""
        found = self.database(name)
        if not found.exists:
            return
        if not tags.items() <= found.tags.items():
            raise RestoreRefused(
                f"Database {name} does not have the tags of this restore; it is left alone."
            )
        with _refused(f"database {name} could not be deleted"):
            self._api.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)

    def set_password(self, name: str, admin: Credentials) -> None:
        """Set the administrator's password."""
        with _refused(f"the administrator's password of {name} could not be set"):
            self._api.modify_db_cluster(
                DBClusterIdentifier=name,
                MasterUserPassword=admin.password,
                ApplyImmediately=True,
            )


@contextlib.contextmanager
def _refused(what: str) -> Iterator[None]:
    """Let pass what is there already; tell what RDS takes later from what it takes never.

    The latter are all errors of botocore's model of RDS, whose codes are not all named alike
    (``SnapshotQuotaExceeded``, ``DBClusterParameterGroupNotFound``), and ``Invalid…`` of
    parameters, which the model lacks. Everything else, as throttling, is raised as it is.
    """
    api = client("rds")
    try:
        yield
    except api.exceptions.ClientError as error:
        code = error_code(error)
        if code in _THERE:
            return
        if code in _BUSY:
            raise AwsUnavailable(f"RDS is busy: {what}: {error_message(error)}") from error
        modelled = {shape.error_code for shape in api.meta.service_model.error_shapes}
        if code in modelled or code.startswith("Invalid"):
            raise RestoreRefused(f"RDS: {what}: {code}, {error_message(error)}") from error
        raise


def _tags(found: Any) -> dict[str, str]:
    return {one["Key"]: one.get("Value", "") for one in found.get("TagList", ())}


def _has(found: Any, tags: Mapping[str, str]) -> bool:
    return tags.items() <= _tags(found).items()


def _number(tags: Mapping[str, str], name: str) -> int:
    given = tags.get(name, "")
    return int(given) if given.isdecimal() else 0


def _list(tags: Mapping[str, str]) -> Any:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
