"""The artifact bucket: templates under their digest, reports of operations."""

from __future__ import annotations

from lifecycle.adapters.aws import client


class S3Artifacts:
    """The ``Artifacts`` port on S3."""

    def __init__(self, bucket: str, region: str) -> None:
        self._bucket = bucket
        self._region = region

    def put(self, key: str, body: bytes, content_type: str) -> None:
        """Store an object."""
        client("s3").put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)

    def url(self, key: str) -> str:
        """Address of an object as CloudFormation takes it for a template."""
        return f"https://{self._bucket}.s3.{self._region}.amazonaws.com/{key}"
