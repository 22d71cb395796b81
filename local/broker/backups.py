"""Backups in the backup bucket: what each partition had, and a manifest with its state.

Objects: `backups/<id>/<partition>/manifest.json` and `…/snapshot.json`. The shapes that are shown
are those of `backup-management-api.yaml` (camunda/camunda).
"""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from local.broker.settings import InvalidSetting, seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

type Json = dict[str, Any]

_MANIFEST = re.compile(r"backups/(\d+)/(\d+)/manifest\.json")
_SHOWN = (
    "partitionId",
    "state",
    "createdAt",
    "checkpointPosition",
    "brokerId",
    "brokerVersion",
)
_START_OF_LOG = 1


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

    def manifests(self) -> dict[int, list[Json]]:
        """Give the manifests of all backups, by id."""
        return self._manifests("backups/")

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
        found = (_MANIFEST.fullmatch(key) for key in self._keys("backups/"))
        return max((int(one[1]) for one in found if one), default=None)

    def state(self) -> Json:
        """Give the body of `GET /actuator/backupRuntime/state`: the newest of each partition."""
        begun: dict[int, Json] = {}
        newest: dict[int, Json] = {}
        oldest: dict[int, Json] = {}
        for backup_id, manifests in sorted(self.manifests().items()):
            for one in manifests:
                begun[one["partitionId"]] = _checkpoint(backup_id, one)
                if one["state"] == "COMPLETED":
                    newest[one["partitionId"]] = _checkpoint(backup_id, one)
                    oldest.setdefault(one["partitionId"], newest[one["partitionId"]])
        # As BackupEndpoint maps them: a checkpoint has no log, an end of a range no partition.
        log = {"firstLogPosition": _START_OF_LOG}
        partitions = sorted(newest)
        return {
            # The checkpoint is there as soon as the backup begins.
            "checkpointStates": [{"partitionId": one, **begun[one]} for one in sorted(begun)],
            "backupStates": [{"partitionId": one, **newest[one], **log} for one in partitions],
            "ranges": [
                {"partitionId": one, "start": oldest[one] | log, "end": newest[one] | log}
                for one in partitions
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


def next_due(schedule: str, newest: float | None, now: float) -> float:
    """Give the time (s since 1970) of the next backup, the first at once.

    `schedule` is a duration like PT1H, after the newest backup, or `none`. Raises InvalidSetting
    for others, cron expressions too.
    """
    if schedule == "none":
        return math.inf
    if len(schedule.split()) > 1:
        raise InvalidSetting(
            f"The backup schedule {schedule} is a cron expression, which is not performed; only "
            "durations like PT1H are"
        )
    every = seconds(schedule)
    return now if newest is None else newest + every


def expired(found: Mapping[int, Sequence[Json]], window: float) -> list[int]:
    """Give the backups that the retention deletes, manual ones too (`BackupRetention`).

    They are more than the window (s) older than the newest complete one, which stays.
    """
    times = {
        one: max(datetime.fromisoformat(each["createdAt"]) for each in manifests)
        for one, manifests in found.items()
    }
    whole = [one for one in found if _shown(one, [*found[one]])["state"] == "COMPLETED"]
    if not whole:
        return []
    newest = max(whole, key=times.__getitem__)
    bound = times[newest] - timedelta(seconds=window)
    return sorted(one for one, time in times.items() if time < bound)


def _shown(backup_id: int, manifests: list[Json]) -> Json:
    """Give a backup as it is shown; a partition without manifest makes it incomplete."""
    found = {one["partitionId"]: one for one in manifests}
    # Partition ids are 1 to the number that there was.
    wanted = range(1, manifests[0]["partitionCount"] + 1)
    details = [
        {name: found[one][name] for name in _SHOWN if name in found[one]}
        if one in found
        else {"partitionId": one, "state": "DOES_NOT_EXIST"}
        for one in wanted
    ]
    states = [one["state"] for one in details]
    state = next(
        (one for one in ("FAILED", "DOES_NOT_EXIST", "IN_PROGRESS") if one in states), "COMPLETED"
    )
    return {
        "backupId": backup_id,
        "state": "INCOMPLETE" if state == "DOES_NOT_EXIST" else state,
        "details": details,
    }


def _checkpoint(backup_id: int, manifest: Json) -> Json:
    return {
        "checkpointId": backup_id,
        "checkpointType": manifest["checkpointType"],
        "checkpointTimestamp": manifest["createdAt"],
        "checkpointPosition": manifest["checkpointPosition"],
    }
