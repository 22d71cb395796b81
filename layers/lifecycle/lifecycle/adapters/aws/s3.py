"""The artifact bucket: templates under their digest, reports of operations."""

from __future__ import annotations

import re

from lifecycle.adapters.aws.session import client, error_code


class S3Artifacts:
    """The ``Artifacts`` port on S3."""

    def __init__(self, bucket: str, region: str) -> None:
        self._bucket = bucket
        self._region = region

    def put(self, key: str, body: bytes, content_type: str) -> None:
        """Store an object."""
        client("s3").put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)

    def get(self, key: str) -> bytes | None:
        """Read an object; None when there is none of that key."""
        api = client("s3")
        try:
            body: bytes = api.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except api.exceptions.ClientError as error:
            if error_code(error) == "NoSuchKey":
                return None
            raise
        return body

    def url(self, key: str) -> str:
        """Address of an object as CloudFormation takes it for a template."""
        return f"https://{self._bucket}.s3.{self._region}.amazonaws.com/{key}"


class S3NodeIdLeases:
    """The ``NodeIdLeases`` port on the node-id bucket.

    Camunda keeps one object ``<node id>.json`` per id, beside a marker. That of a broker that was
    removed stays, with the metadata ``acquirable`` ``false``.
    Source: camunda/camunda, zeebe/dynamic-node-id-provider, S3NodeIdRepository.
    """

    def acquirable(self, bucket: str) -> int:
        """Return the number of node ids that a broker may take."""
        api = client("s3")
        pages = api.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
        heads = (
            api.head_object(Bucket=bucket, Key=key)
            for key in keys
            if re.fullmatch(r"[0-9]+\.json", key)
        )
        return sum(head["Metadata"].get("acquirable", "true") != "false" for head in heads)
