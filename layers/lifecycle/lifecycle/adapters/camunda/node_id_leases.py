"""Leases of the broker ids in S3, as Camunda's node-id provider writes them (8.9 and later).

``<id>.json`` holds ``{"taskId", "timestamp", …}``, the timestamp being the end of the lease in
milliseconds; an empty object is a lease that was given back. ``node-ids-initialized`` is there once
the first broker started.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws.session import client, error_code
from lifecycle.errors import InvalidResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

_MARKER: Final = "node-ids-initialized"
_ABSENT: Final = frozenset({"NoSuchKey", "404"})


class S3Leases:
    """The ``Leases`` port on S3. Each lease is got by its name: listing costs ten times as much."""

    def read(self, bucket: str, nodes: Sequence[int]) -> dict[str, Any]:
        """Return ``used`` and ``leases``: node, task and until (milliseconds), as JSON.

        Raises ``InvalidResponse`` for a lease of another shape.
        """
        used = self._get(bucket, _MARKER) is not None
        leases = [self._lease(bucket, node) for node in nodes] if used else []
        return {"used": used, "leases": [one for one in leases if one is not None]}

    def _lease(self, bucket: str, node: int) -> dict[str, Any] | None:
        body = self._get(bucket, f"{node}.json")
        if not body:
            return None
        try:
            content = json.loads(body)
            return {"node": node, "task": str(content["taskId"]), "until": content["timestamp"]}
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidResponse(f"The lease {node}.json in {bucket} is not readable.") from error

    @staticmethod
    def _get(bucket: str, key: str) -> bytes | None:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - see aws.py

        try:
            found = client("s3", read_timeout=4, attempts=2).get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise
        body: bytes = found["Body"].read()
        return body
