"""The artifact bucket: templates under their digest, reports of operations."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from lifecycle.adapters.aws.session import client, error_code
from lifecycle.operation.record import Stored

if TYPE_CHECKING:
    from datetime import timedelta

_ABSENT: Final = frozenset({"NoSuchKey", "NoSuchVersion", "InvalidArgument"})


class S3Artifacts:
    """The ``Artifacts`` port on S3."""

    def __init__(self, bucket: str, region: str) -> None:
        self._bucket = bucket
        self._region = region

    def put(self, key: str, body: bytes, content_type: str) -> Stored:
        """Store an object; returns the version that S3 gave it."""
        answer = client("s3").put_object(
            Bucket=self._bucket, Key=key, Body=body, ContentType=content_type
        )
        # Absent where the bucket is not versioned, which preflight reports.
        version = str(answer.get("VersionId", ""))
        return Stored(key, version, hashlib.sha256(body).hexdigest())

    def get(self, key: str, version: str) -> bytes | None:
        """Read that version of an object; None when there is none.

        A version that does not exist is ``NoSuchVersion``; an id that no version can have is
        ``InvalidArgument``: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
        """
        api = client("s3")
        try:
            body: bytes = api.get_object(Bucket=self._bucket, Key=key, VersionId=version)[
                "Body"
            ].read()
        except api.exceptions.ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise
        return body

    def url(self, stored: Stored) -> str:
        """Address of a version of an object as CloudFormation takes it for a template.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-console-create-stack.html
        """
        address = f"https://{self._bucket}.s3.{self._region}.amazonaws.com/{stored.key}"
        version = quote(stored.version, safe="")
        return f"{address}?versionId={version}" if version else address

    def link(self, stored: Stored, lasts: timedelta) -> str:
        """Presign a request for a version of an object; it is neither cached nor sent on.

        The link ends earlier where the function's own credentials do. It is of the bucket's Region,
        because the global address redirects for other Regions, to where the signature is not valid.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/ShareObjectPreSignedURL.html
        """
        url: str = client("s3", presigns=True).generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._bucket,
                "Key": stored.key,
                "VersionId": stored.version,
                "ResponseCacheControl": "private, no-store",
            },
            ExpiresIn=int(lasts.total_seconds()),
        )
        return url


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

    def restored(self, bucket: str) -> int:
        """Return how many nodes the restore application has restored; 0 without a restore.

        It keeps one object ``restore/<id>`` with ``restoredNodes`` for each request. Source:
        camunda/camunda, zeebe/dynamic-node-id-provider, RestoreNodeIdProvider.
        """
        api = client("s3")
        pages = api.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="restore/")
        counts = [0]
        for key in (found["Key"] for page in pages for found in page.get("Contents", ())):
            content = json.loads(api.get_object(Bucket=bucket, Key=key)["Body"].read() or b"{}")
            nodes = content.get("restoredNodes", ()) if isinstance(content, dict) else ()
            counts.append(len(set(nodes)) if isinstance(nodes, list) else 0)
        return max(counts)
