"""The bucket behind a distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.adapters.aws.session import client, error_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.console.files import File


class S3Website:
    """The ``Website`` port on S3, for buckets without versions."""

    def keys(self, bucket: str) -> list[str]:
        """List the keys of all objects; a bucket that does not exist has none."""
        api = client("s3")
        try:
            pages = api.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            return [one["Key"] for page in pages for one in page.get("Contents", ())]
        except api.exceptions.ClientError as error:
            if error_code(error) == "NoSuchBucket":
                return []
            raise

    def put(self, bucket: str, file: File) -> None:
        """Write an object with its headers."""
        client("s3").put_object(
            Bucket=bucket,
            Key=file.key,
            Body=file.body,
            ContentType=file.content_type,
            CacheControl=file.cache_control,
        )

    def remove(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete objects, which are few: only a release writes them."""
        for key in keys:
            client("s3").delete_object(Bucket=bucket, Key=key)
