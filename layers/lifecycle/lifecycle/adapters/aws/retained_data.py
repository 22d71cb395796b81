"""What holds data: how much it is, and how a bucket is emptied."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws.session import client, error_code
from lifecycle.errors import AwsRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle.cluster.stack import StackResource

# A listing gives a thousand versions a page; beyond this many pages it would take too long.
_PAGES_TO_MEASURE: Final = 20
_PAGES_TO_EMPTY: Final = 50
_METRIC_HOURS: Final = 3


class AwsStorage:
    """The ``Storage`` port on EFS, S3, CloudWatch Logs and CloudWatch (for Aurora)."""

    def size(self, resource: StackResource) -> int | None:
        """Return the bytes that a resource holds; None if that is unknown."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see aws.py

        measure = _MEASURES.get(resource.resource_type)
        if measure is None:
            return None
        try:
            return measure(resource.physical_id)
        except (BotoCoreError, ClientError):
            # For information only; the caller continues without it.
            return None

    def empty_bucket(self, name: str) -> bool:
        """Delete objects and versions for a while; True when nothing was left."""
        api = client("s3")
        deleted = 0
        try:
            for versions, more in _versions(name, _PAGES_TO_EMPTY):
                if versions:
                    doomed = [
                        {"Key": one["Key"], "VersionId": one["VersionId"]} for one in versions
                    ]
                    answer = api.delete_objects(
                        Bucket=name, Delete={"Objects": doomed, "Quiet": True}
                    )
                    if answer.get("Errors"):
                        raise _not_deleted(name, answer["Errors"])
                    deleted += len(doomed)
                if not more:
                    return deleted == 0
        except api.exceptions.ClientError as error:
            if error_code(error) == "NoSuchBucket":
                return True
            raise
        return False


def _not_deleted(bucket: str, errors: list[Any]) -> AwsRefused:
    first = errors[0]
    return AwsRefused(
        f"S3 refused to delete {len(errors)} objects of bucket {bucket}, "
        f"the first, {first.get('Key')}: {first.get('Code')} {first.get('Message', '')}".rstrip()
    )


def _versions(bucket: str, pages: int) -> Iterator[tuple[list[Any], bool]]:
    """Versions and delete markers by page, and whether more follow."""
    page: dict[str, Any] = {}
    for _ in range(pages):
        found = client("s3").list_object_versions(Bucket=bucket, **page)
        more = bool(found.get("IsTruncated"))
        yield [*found.get("Versions", ()), *found.get("DeleteMarkers", ())], more
        if not more:
            return
        page = {
            "KeyMarker": found["NextKeyMarker"],
            "VersionIdMarker": found["NextVersionIdMarker"],
        }


def _file_system(identifier: str) -> int | None:
    found = client("efs").describe_file_systems(FileSystemId=identifier)["FileSystems"]
    return int(found[0]["SizeInBytes"]["Value"]) if found else None


def _bucket(name: str) -> int | None:
    total, more = 0, False
    for versions, more in _versions(name, _PAGES_TO_MEASURE):  # noqa: B007 - the last one counts
        total += sum(int(one.get("Size", 0)) for one in versions)
    return None if more else total


def _log_group(name: str) -> int | None:
    found = client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return next((int(one["storedBytes"]) for one in found if one["logGroupName"] == name), None)


def _aurora(identifier: str) -> int | None:
    # RDS itself reports no size of an Aurora volume.
    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.AuroraMonitoring.Metrics.html
    now = datetime.now(UTC)
    points = client("cloudwatch").get_metric_statistics(
        Namespace="AWS/RDS",
        MetricName="VolumeBytesUsed",
        Dimensions=[{"Name": "DBClusterIdentifier", "Value": identifier}],
        StartTime=now - timedelta(hours=_METRIC_HOURS),
        EndTime=now,
        Period=300,
        Statistics=["Maximum"],
    )["Datapoints"]
    return int(max(point["Maximum"] for point in points)) if points else None


_MEASURES: Final[dict[str, Callable[[str], int | None]]] = {
    "AWS::EFS::FileSystem": _file_system,
    "AWS::S3::Bucket": _bucket,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::RDS::DBCluster": _aurora,
}
