"""Buckets with backups. Sources: Amazon S3's API reference, and boto3's managed copy.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html takes objects of up to 5 GiB;
larger ones are copied in parts (``UploadPartCopy``), which the managed copy does:
https://boto3.amazonaws.com/v1/documentation/api/latest/reference/services/s3/client/copy.html
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws.session import client, error_code
from lifecycle.errors import BackupsNotCopied
from lifecycle.kept.manifests import PREFIX, newest_keys, read_manifest
from lifecycle.kept.objects import ObjectVersion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lifecycle.kept.manifests import Manifest

_AT_ONCE: Final = 8
_GONE: Final = frozenset({"NoSuchBucket", "NoSuchKey", "NoSuchVersion", "404"})


class S3BackupBuckets:
    """The ``BackupBuckets`` port on S3."""

    def tags(self, bucket: str) -> Mapping[str, str]:
        """Return the tags of a bucket."""
        api = client("s3")
        try:
            found = api.get_bucket_tagging(Bucket=bucket)["TagSet"]
        except api.exceptions.ClientError as error:
            if error_code(error) == "NoSuchTagSet":
                return {}
            raise _named(error, f"bucket {bucket}") from error
        return {one["Key"]: one["Value"] for one in found}

    def holds_anything(self, bucket: str) -> bool:
        """Return whether a bucket has an object now."""
        return bool(client("s3").list_objects_v2(Bucket=bucket, MaxKeys=1).get("Contents"))

    def versions(self, bucket: str, after: str) -> Iterator[ObjectVersion]:
        """List versions and delete markers, which S3 returns in two lists a page."""
        api = client("s3")
        page: dict[str, Any] = {"KeyMarker": after} if after else {}
        while True:
            try:
                found = api.list_object_versions(Bucket=bucket, **page)
            except api.exceptions.ClientError as error:
                raise _named(error, f"bucket {bucket}") from error
            listed = [_version(one) for one in found.get("Versions", ())]
            listed += [_version(one, deleted=True) for one in found.get("DeleteMarkers", ())]
            # S3 sorts by UTF-8, which is the order of code points.
            listed.sort(key=lambda one: one.key)
            yield from (one for one in listed if one.key > after)
            if not found.get("IsTruncated"):
                return
            page = {
                "KeyMarker": found["NextKeyMarker"],
                "VersionIdMarker": found["NextVersionIdMarker"],
            }

    def sizes(self, bucket: str, after: str, last: str) -> Mapping[str, int]:
        """List the objects of a range of keys."""
        pages = (
            client("s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=bucket, **({"StartAfter": after} if after else {}))
        )
        found: dict[str, int] = {}
        for page in pages:
            for one in page.get("Contents", ()):
                if one["Key"] > last:
                    return found
                found[one["Key"]] = one["Size"]
        return found

    def read(self, bucket: str, key: str) -> bytes | None:
        """Read an object."""
        api = client("s3")
        try:
            body: bytes = api.get_object(Bucket=bucket, Key=key)["Body"].read()
        except api.exceptions.NoSuchKey:
            return None
        return body

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object."""
        client("s3").put_object(
            Bucket=bucket, Key=key, Body=content, ContentType="application/json"
        )

    def manifests(self, bucket: str, most: int) -> Sequence[Manifest]:
        """Read the manifests of the newest backups; one that is deleted meanwhile is left out."""
        api = client("s3")
        try:
            pages = api.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX)
            keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
        except api.exceptions.ClientError as error:
            raise _named(error, f"bucket {bucket}") from error
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = [pool.submit(self.read, bucket, one) for one in newest_keys(keys, most)]
        contents = [one.result() for one in found]
        return [read_manifest(json.loads(one)) for one in contents if one is not None]

    def copy(self, source: str, versions: Sequence[ObjectVersion], target: str) -> None:
        """Copy versions, several at once; what one of them raises is raised when all have ended."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            done = [pool.submit(self._copy, source, one, target) for one in versions]
        for one in done:
            one.result()

    def _copy(self, source: str, one: ObjectVersion, target: str) -> None:
        api = client("s3")
        try:
            api.copy(
                {"Bucket": source, "Key": one.key, "VersionId": one.version},
                target,
                one.key,
                # Without it S3 copies the object's tags, which needs rights of its own.
                ExtraArgs={"TaggingDirective": "REPLACE"},
            )
        except api.exceptions.ClientError as error:
            raise _named(error, f"object {one.key} of bucket {source}") from error


def _version(one: Mapping[str, Any], *, deleted: bool = False) -> ObjectVersion:
    return ObjectVersion(
        key=one["Key"],
        version=one["VersionId"],
        size=int(one.get("Size", 0)),
        modified=one["LastModified"],
        latest=one["IsLatest"],
        deleted=deleted,
    )


def _named(error: Exception, what: str) -> Exception:
    """Return what to raise for an error of S3: ours where what was read is gone."""
    if error_code(error) in _GONE:
        return BackupsNotCopied(f"S3 has no {what}: it was deleted.")
    return error
