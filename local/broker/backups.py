"""Backups in the backup bucket: what each partition had, and a manifest that tells its state.

Objects: `backups/<id>/<partition>/manifest.json` and `…/snapshot.json`. The shapes that are shown
are those of `backup-management-api.yaml` (camunda/camunda).
"""

from __future__ import annotations

import json
import re
from typing import Any

from botocore.exceptions import ClientError

type Json = dict[str, Any]

_MANIFEST = re.compile(r"backups/(\d+)/(\d+)/manifest\.json")


class Backups:
    """The backups of one cluster in a bucket."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def put(self, backup_id: int, partition: int, snapshot: bytes, manifest: Json) -> None:
        """Keep what a partition had; the manifest is COMPLETED when all of it is there."""
        place = f"backups/{backup_id}/{partition}"
        head = {**manifest, "partitionId": partition}
        self._put(f"{place}/manifest.json", {**head, "state": "IN_PROGRESS"})
        self._s3.put_object(Bucket=self._bucket, Key=f"{place}/snapshot.json", Body=snapshot)
        self._put(f"{place}/manifest.json", {**head, "state": "COMPLETED"})

    def read(self, backup_id: int, partition: int) -> Json:
        """Give what a partition had. Raises LookupError when it is not complete."""
        found = self.status(backup_id)
        states = {one["partitionId"]: one["state"] for one in found["details"]} if found else {}
        if states.get(partition) != "COMPLETED":
            raise LookupError(f"backup {backup_id} of partition {partition} is not complete")
        key = f"backups/{backup_id}/{partition}/snapshot.json"
        answer = self._s3.get_object(Bucket=self._bucket, Key=key)
        return dict(json.loads(answer["Body"].read()))

    def status(self, backup_id: int) -> Json | None:
        """Give the body of `GET /actuator/backupRuntime/{id}`; None for one that is not there."""
        found = self._manifests(f"backups/{backup_id}/")
        return _shown(backup_id, found[backup_id]) if found else None

    def matching(self, prefix: str = "") -> list[Json]:
        """Give all backups whose id begins so, the newest first."""
        found = self._manifests(f"backups/{prefix}")
        return [_shown(one, found[one]) for one in sorted(found, reverse=True)]

    def newest(self) -> int | None:
        """Give the id of the newest backup, which is its time in ms where it is generated."""
        return max(self._manifests("backups/"), default=None)

    def state(self) -> Json:
        """Give the body of `GET /actuator/backupRuntime/state`: the newest of each partition."""
        newest: dict[int, Json] = {}
        oldest: dict[int, Json] = {}
        for backup_id, manifests in sorted(self._manifests("backups/").items()):
            for one in manifests:
                if one["state"] == "COMPLETED":
                    newest[one["partitionId"]] = _checkpoint(backup_id, one)
                    oldest.setdefault(one["partitionId"], _checkpoint(backup_id, one))
        return {
            "checkpointStates": list(newest.values()),
            "backupStates": list(newest.values()),
            "ranges": [
                {"partitionId": partition, "start": oldest[partition], "end": newest[partition]}
                for partition in newest
            ],
        }

    def delete(self, backup_id: int) -> None:
        """Delete a backup; one that is not there is as good as deleted."""
        for key in self._keys(f"backups/{backup_id}/"):
            self._s3.delete_object(Bucket=self._bucket, Key=key)

    def _put(self, key: str, content: Json) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=json.dumps(content).encode())

    def _keys(self, prefix: str) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        return [one["Key"] for page in pages for one in page.get("Contents", [])]

    def _manifests(self, prefix: str) -> dict[int, list[Json]]:
        found: dict[int, list[Json]] = {}
        for key in self._keys(prefix):
            match = _MANIFEST.fullmatch(key)
            if match:
                try:
                    answer = self._s3.get_object(Bucket=self._bucket, Key=key)
                except ClientError:
                    # It was deleted since it was listed.
                    continue
                found.setdefault(int(match[1]), []).append(json.loads(answer["Body"].read()))
        return found


def _shown(backup_id: int, manifests: list[Json]) -> Json:
    states = {one["state"] for one in manifests}
    expected = manifests[0]["partitionCount"]
    whole = states == {"COMPLETED"} and len(manifests) == expected
    state = "COMPLETED" if whole else "FAILED" if "FAILED" in states else "IN_PROGRESS"
    if states == {"COMPLETED"} and not whole:
        state = "INCOMPLETE"
    return {
        "backupId": backup_id,
        "state": state,
        "details": [
            {
                name: one[name]
                for name in (
                    "partitionId",
                    "state",
                    "createdAt",
                    "checkpointPosition",
                    "brokerVersion",
                )
            }
            for one in sorted(manifests, key=lambda one: int(one["partitionId"]))
        ],
    }


def _checkpoint(backup_id: int, manifest: Json) -> Json:
    return {
        "partitionId": manifest["partitionId"],
        "checkpointId": backup_id,
        "checkpointType": manifest["checkpointType"],
        "checkpointTimestamp": manifest["createdAt"],
        "checkpointPosition": manifest["checkpointPosition"],
        "firstLogPosition": 1,
    }
