"""Node ids as leases in S3: the protocol of `zeebe/dynamic-node-id-provider`, for real.

`S3NodeIdRepository` and `RepositoryNodeIdProvider` of camunda/camunda (PRs #46083, #46337): one
object `N.json` a node, written by compare-and-swap, an empty body for a free one, the version in
the metadata so that it survives a release. A lease is valid while now <= its timestamp (ms).
"""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MARKER = "node-ids-initialized"
_KEY = re.compile(r"(\d+)\.json")
_API_SECONDS = 10
_FIRST_DELAY = 1.0
# What S3 returns for an attempt when another broker was first.
LOST = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}


class LeaseLost(Exception):
    """The lease is not ours any more, or could not be renewed in time."""


@dataclass(frozen=True)
class Lease:
    """A lease that was acquired; ``previous`` is how the holder before it ended."""

    node_id: int
    version: int
    task_id: str
    previous: Literal["graceful", "killed"]


@dataclass(frozen=True)
class _Stored:
    etag: str
    body: dict[str, Any] | None
    metadata: Mapping[str, str]

    @property
    def version(self) -> int:
        return int(self.metadata.get("version") or 0)

    @property
    def acquirable(self) -> bool:
        return self.metadata.get("acquirable", "true") != "false"

    def valid(self, now_ms: float) -> bool:
        return self.body is not None and now_ms <= self.body["timestamp"]


def s3_client() -> Any:
    """Give a client with the task's own credentials, that gives a call up after 10 s."""
    return botocore.session.get_session().create_client(
        "s3",
        config=Config(
            connect_timeout=_API_SECONDS,
            read_timeout=_API_SECONDS,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
        ),
    )


class NodeIds:
    """The leases of one cluster, as one task sees them. Times are seconds since 1970."""

    def __init__(
        self,
        s3: Any,
        bucket: str,
        *,
        cluster_size: int,
        lease_seconds: float,
        task_id: str,
        clock: Callable[[], float] = time.time,
        max_delay: float = 30.0,
    ) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._size = cluster_size
        self._lease_ms = lease_seconds * 1000
        self._task_id = task_id
        self._clock = clock
        self._max_delay = max_delay
        # A renewal that is under way must not cross a release.
        self._turn = threading.Lock()
        self._held: Lease | None = None
        self._etag = ""
        self._until_ms = 0

    def initialise(self) -> None:
        """Create the first leases and the marker, once for all tasks of the cluster."""
        if self._exists(MARKER):
            return
        for node in range(self._size):
            self._create(node)
        self._s3.put_object(Bucket=self._bucket, Key=MARKER, Body=b"")

    def acquire(self, stop: threading.Event) -> Lease | None:
        """Take the first free lease; blocks until there is one, or gives None when stopped."""
        delay = _FIRST_DELAY
        while True:
            for node in range(self._acquirable()):
                lease = self._try(node)
                if lease is not None:
                    return lease
            if stop.wait(min(delay, self._max_delay)):
                return None
            delay *= 2

    def renew(self, known_versions: Mapping[int, int]) -> None:
        """Renew the lease, with the versions of members seen now; a released one stays released.

        Raises LeaseLost: on any failure, and when the clock is past the lease.
        """
        with self._turn:
            held = self._held
            if held is None:
                return
            if self._now() > self._until_ms:
                raise LeaseLost(f"the lease of node {held.node_id} expired before it was renewed")
            try:
                self._write(held, self._etag, known_versions)
            except (BotoCoreError, ClientError) as error:
                self._until_ms = 0
                raise LeaseLost(
                    f"the lease of node {held.node_id} was not renewed: {error}"
                ) from error

    def others_know(self) -> bool:
        """Whether all other valid leases list this node's version among those they know."""
        held, now = self._held, self._now()
        if held is None:
            raise LeaseLost("no lease is held")
        for node in range(self._acquirable()):
            found = self._read(node) if node != held.node_id else None
            if found is None or found.body is None or not found.valid(now):
                continue
            known = found.body["knownVersionMappings"]["mappingsByNodeId"]
            if known.get(str(held.node_id)) != held.version:
                return False
        return True

    def valid(self) -> bool:
        """Whether the lease is valid now."""
        return self._held is not None and self._now() <= self._until_ms

    def release(self) -> None:
        """Free the lease after a stop in good order; a lease that is lost stays as it is."""
        with self._turn:
            held = self._held if self.valid() else None
            self._held, self._until_ms = None, 0
            # One that cannot be released expires.
            with suppress(BotoCoreError, ClientError):
                if held is not None:
                    self._put(held.node_id, b"", self._etag, task_id="", version=held.version)

    def pre_scale(self, count: int) -> None:
        """Make leases for `count` nodes acquirable, creating those that are missing."""
        for node in range(count):
            self._create(node)
            self._mark(node, acquirable=True)

    def post_scale(self, count: int) -> None:
        """Take the leases of nodes from `count` on away: their holders fail to renew."""
        for node in [one for one in self._keys() if one >= count]:
            self._mark(node, acquirable=False)

    # Inside

    def _now(self) -> float:
        return self._clock() * 1000

    def _mark(self, node: int, *, acquirable: bool) -> None:
        """Empty the lease; again when its holder renewed it in between."""
        while (found := self._read(node)) and found.acquirable != acquirable:
            try:
                self._put(
                    node,
                    b"",
                    found.etag,
                    task_id="",
                    version=found.version,
                    acquirable=acquirable,
                )
            except ClientError as error:
                if error.response["Error"]["Code"] not in LOST:
                    raise

    def _try(self, node: int) -> Lease | None:
        found = self._read(node)
        if found is None or found.valid(self._now()) or not found.acquirable:
            return None
        lease = Lease(
            node, found.version + 1, self._task_id, "killed" if found.body else "graceful"
        )
        try:
            self._write(lease, found.etag, {})
        except (BotoCoreError, ClientError) as error:
            # On any error, the next id is tried (`tryAcquireInitialLease`).
            print(f"Failed to acquire the lease of node {node}: {error}", flush=True)
            return None
        self._held = lease
        return lease

    def _write(self, lease: Lease, etag: str, known: Mapping[int, int]) -> None:
        until = int(self._now() + self._lease_ms)
        mappings = {str(node): version for node, version in known.items()}
        body = {
            "taskId": lease.task_id,
            "timestamp": until,
            "nodeInstance": {"id": lease.node_id, "version": lease.version},
            "knownVersionMappings": {
                "mappingsByNodeId": mappings | {str(lease.node_id): lease.version}
            },
        }
        self._etag = self._put(
            lease.node_id,
            json.dumps(body).encode(),
            etag,
            task_id=lease.task_id,
            version=lease.version,
        )
        self._until_ms = until

    def _put(
        self,
        node: int,
        body: bytes,
        etag: str,
        *,
        task_id: str,
        version: int,
        acquirable: bool = True,
    ) -> str:
        answer = self._s3.put_object(
            Bucket=self._bucket,
            Key=f"{node}.json",
            Body=body,
            ContentType="application/json",
            IfMatch=etag,
            Metadata={
                "taskid": task_id,
                "version": str(version),
                "acquirable": str(acquirable).lower(),
            },
        )
        return str(answer["ETag"])

    def _create(self, node: int) -> None:
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=f"{node}.json",
                Body=b"",
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except ClientError as error:
            # Another broker was first, which is as good.
            if error.response["Error"]["Code"] not in LOST:
                raise

    def _exists(self, key: str) -> bool:
        try:
            self._s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True

    def _read(self, node: int) -> _Stored | None:
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=f"{node}.json")
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise
        text = answer["Body"].read()
        return _Stored(
            answer["ETag"], json.loads(text) if text else None, answer.get("Metadata", {})
        )

    def _keys(self) -> list[int]:
        listed = self._s3.list_objects_v2(Bucket=self._bucket).get("Contents", [])
        found = (_KEY.fullmatch(one["Key"]) for one in listed)
        return sorted(int(one[1]) for one in found if one)

    def _acquirable(self) -> int:
        """Number of leases that may be taken: a round looks at that many, from 0 on."""
        heads = (self._read(node) for node in self._keys())
        return sum(found is not None and found.acquirable for found in heads)
