"""How much storage backups use, by CloudWatch's metrics of S3 and Aurora."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from lifecycle.adapters.aws.session import client

# Both are measured once a day; the last measurement may be from the day before yesterday.
_DAYS: Final = 3


class CloudWatchBackupSizes:
    """The ``BackupSizes`` port on CloudWatch."""

    def bucket(self, name: str) -> int | None:
        """Return ``BucketSizeBytes`` of a bucket's standard storage.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
        """
        dimensions = {"BucketName": name, "StorageType": "StandardStorage"}
        return _newest("AWS/S3", "BucketSizeBytes", dimensions)

    def database(self, identifier: str) -> int | None:
        """Return ``TotalBackupStorageBilled``: continuous backups beyond the free part, snapshots.

        https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.AuroraMonitoring.Metrics.html
        """
        dimensions = {"DBClusterIdentifier": identifier}
        return _newest("AWS/RDS", "TotalBackupStorageBilled", dimensions)

    def volume(self, identifier: str) -> int | None:
        """Return ``VolumeBytesUsed``: the storage of an Aurora cluster itself."""
        return _newest("AWS/RDS", "VolumeBytesUsed", {"DBClusterIdentifier": identifier})


def _newest(namespace: str, metric: str, dimensions: dict[str, str]) -> int | None:
    now = datetime.now(UTC)
    points = client("cloudwatch", read_timeout=4, attempts=2).get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - timedelta(days=_DAYS),
        EndTime=now,
        Period=24 * 3600,
        Statistics=["Average"],
    )["Datapoints"]
    newest = max(points, key=lambda one: str(one["Timestamp"]), default=None)
    return None if newest is None else int(newest["Average"])
