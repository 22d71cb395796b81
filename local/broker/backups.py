"""Backups in the backup bucket: what each partition had, and a manifest with its state.

Names and manifests are those of `S3BackupStore` of camunda/camunda 8.9:
`manifests/<partition>/<checkpoint>/<node>/manifest.json`, beside `contents/…` with the state and
the log since the checkpoint before; `local` in a manifest is what only this broker needs. The
shapes that are shown are those of `backup-management-api.yaml`. A checkpoint that is no backup
(MARKER) is in Camunda's log only; its state here is below `markers/`.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from local.broker.ranges import MARKER, Checkpoint, Range, ranges
from local.broker.settings import InvalidSetting, seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

type Json = dict[str, Any]

_PREFIX = "CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_"
_MANIFEST = re.compile(r"(manifests|markers)/(\d+)/(\d+)/(\d+)/manifest\.json")
_MANIFESTS = {True: "manifests", False: "markers"}
_SHOWN = (
    "partitionId",
    "state",
    "failureReason",
    "createdAt",
    "checkpointPosition",
    "brokerId",
    "brokerVersion",
)
# The better of two manifests of one partition, of which another broker wrote one.
_STATES = ("FAILED", "IN_PROGRESS", "COMPLETED")


class Backups:
    """The backups of one cluster in a bucket."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._read: dict[str, tuple[str, Json]] = {}
        """Complete manifests by key, with their tag: they do not change."""

    def put(
        self,
        backup_id: int,
        partition: int,
        snapshot: bytes,
        manifest: Json,
        log: Sequence[Json] = (),
    ) -> None:
        """Keep what a partition had; the manifest is COMPLETED when all of it is there.

        `log` has the records since the checkpoint before, beside the segments that the manifest
        names (`segments`).
        """
        flat = {**manifest, "partitionId": partition}
        backup = flat["checkpointType"] != MARKER
        place = f"{partition}/{backup_id}/{flat.get('brokerId', 0)}"
        contents = f"contents/{place}" if backup else f"markers/{place}"
        key = f"{_MANIFESTS[backup]}/{place}/manifest.json"
        self._put(key, _document(backup_id, {**flat, "state": "IN_PROGRESS"}))
        self._s3.put_object(Bucket=self._bucket, Key=f"{contents}/snapshot.json", Body=snapshot)
        self._put(f"{contents}/log.json", list(log))
        self._put(key, _document(backup_id, {**flat, "state": "COMPLETED"}))

    def fail(self, backup_id: int, partition: int, reason: str) -> None:
        """Note that a partition's backup will not be complete, if it was begun.

        As a new leader does with what was in progress before it (camunda/camunda#9260).
        """
        for one in self.manifests().get(backup_id, ()):
            if (one["partitionId"], one["state"]) == (partition, "IN_PROGRESS"):
                key = f"manifests/{partition}/{backup_id}/{one.get('brokerId', 0)}/manifest.json"
                failed = {**one, "state": "FAILED", "failureReason": reason}
                self._put(key, _document(backup_id, failed))

    def put_segment(self, partition: int, number: int, records: Sequence[Json]) -> str:
        """Keep a part of a partition's log for its next checkpoint; gives its key."""
        key = f"segments/{partition}/{number}-{uuid.uuid4().hex}.json"
        self._put(key, list(records))
        return key

    def read(self, checkpoint: int, partition: int) -> Json:
        """Give what a partition had. Raises LookupError when it is not complete."""
        found = self._complete(checkpoint, partition)
        state: Json = self._get(f"{_contents(checkpoint, found)}/snapshot.json")
        return state

    def log(self, checkpoint: int, partition: int) -> list[Json]:
        """Give the records of a checkpoint's log. Raises LookupError when it is not complete."""
        found = self._complete(checkpoint, partition)
        records: list[Json] = []
        for key in (*found["segments"], f"{_contents(checkpoint, found)}/log.json"):
            records += self._get(key)
        return records

    def _complete(self, checkpoint: int, partition: int) -> Json:
        for one in self._all().get(checkpoint, ()):
            if one["partitionId"] == partition and one["state"] == "COMPLETED":
                return one
        raise LookupError(f"backup {checkpoint} of partition {partition} is not complete")

    def manifests(self) -> dict[int, list[Json]]:
        """Give the manifests of all backups, by id."""
        return _backups(self._all())

    def checkpoints(self) -> dict[int, list[Json]]:
        """Give the manifests of all checkpoints, backups or not, by id."""
        return self._all()

    def status(self, backup_id: int) -> Json | None:
        """Give the body of `GET /actuator/backupRuntime/{id}`; None for one that is not there."""
        found = self.manifests().get(backup_id)
        return _shown(backup_id, found) if found else None

    def matching(self, prefix: str = "") -> list[Json]:
        """Give all backups whose id begins so, the newest first."""
        found = self.manifests()
        wanted = [one for one in found if str(one).startswith(prefix)]
        return [_shown(one, found[one]) for one in sorted(wanted, reverse=True)]

    def newest(self, *, markers: bool = False) -> int | None:
        """Give the id of the newest backup, which is its time in ms where it is generated.

        With `markers`, of the newest checkpoint.
        """
        return max(self._ids(markers=markers), default=None)

    def state(self) -> Json:
        """Give the body of `GET /actuator/backupRuntime/state`."""
        found = self._all()
        begun: dict[int, Json] = {}
        newest: dict[int, Json] = {}
        for checkpoint_id, manifests in sorted(found.items()):
            for one in manifests:
                shown = _checkpoint(checkpoint_id, one)
                # The checkpoint is there as soon as the backup begins.
                begun[one["partitionId"]] = shown
                if one["state"] == "COMPLETED" and one["checkpointType"] != MARKER:
                    log = {"firstLogPosition": max(1, one["after"])}
                    newest[one["partitionId"]] = shown | log
        # As BackupEndpoint maps them: a checkpoint has no log, an end of a range no partition.
        return {
            "checkpointStates": [{"partitionId": one, **begun[one]} for one in sorted(begun)],
            "backupStates": [{"partitionId": one, **newest[one]} for one in sorted(newest)],
            "ranges": [
                {
                    "partitionId": partition,
                    "start": self._edge(found, partition, one.start, one.first_log_position),
                    "end": self._edge(found, partition, one.end, one.end.first_log_position),
                }
                for partition, own in sorted(ranges_of(found).items())
                for one in own
            ],
        }

    def _edge(
        self, found: Mapping[int, Sequence[Json]], partition: int, one: Checkpoint, first: int
    ) -> Json:
        manifest = next(each for each in found[one.id] if each["partitionId"] == partition)
        return _checkpoint(one.id, manifest) | {"firstLogPosition": first}

    def delete(self, backup_id: int) -> None:
        """Delete a backup; one that is not there is as good as deleted."""
        self._delete(backup_id, "manifests")

    def delete_markers(self, until: int) -> None:
        """Delete the markers before a backup, which nothing needs any more."""
        for one in self._ids(markers=True) - self._ids(markers=False):
            if one < until:
                self._delete(one, "markers")

    def _delete(self, checkpoint: int, kind: str) -> None:
        segments = {key for one in self._all().get(checkpoint, ()) for key in one["segments"]}
        own = re.compile(rf"({kind}|contents)/\d+/{checkpoint}/.*")
        # Manifests first: what is half deleted is not there.
        keys = [key for part in (kind, "contents") for key in self._keys(f"{part}/")]
        for key in (*filter(own.fullmatch, keys), *sorted(segments)):
            self._s3.delete_object(Bucket=self._bucket, Key=key)

    def _put(self, key: str, content: Any) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=json.dumps(content).encode())

    def _get(self, key: str) -> Any:
        answer = self._s3.get_object(Bucket=self._bucket, Key=key)
        return json.loads(answer["Body"].read())

    def _ids(self, *, markers: bool) -> set[int]:
        prefixes = ("manifests/", "markers/") if markers else ("manifests/",)
        found = (_MANIFEST.fullmatch(key) for one in prefixes for key in self._keys(one))
        return {int(one[3]) for one in found if one}

    def _keys(self, prefix: str) -> dict[str, str]:
        """Give the keys with their tags, in S3's order."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        return {one["Key"]: one["ETag"] for page in pages for one in page.get("Contents", [])}

    def _all(self) -> dict[int, list[Json]]:
        """Give the manifests of all checkpoints, by id; one of each partition, in order."""
        found: dict[int, dict[int, Json]] = {}
        for kind in _MANIFESTS.values():
            for key, tag in self._keys(f"{kind}/").items():
                match = _MANIFEST.fullmatch(key)
                flat = self._manifest(key, tag) if match else None
                if match and flat:
                    own = found.setdefault(int(match[3]), {})
                    known = own.get(flat["partitionId"], flat)
                    own[flat["partitionId"]] = max(
                        known, flat, key=lambda one: _STATES.index(one["state"])
                    )
        return {one: [own[number] for number in sorted(own)] for one, own in found.items()}

    def _manifest(self, key: str, tag: str) -> Json | None:
        known = self._read.get(key)
        if known and known[0] == tag:
            return known[1]
        try:
            flat = _flat(self._get(key))
        except ClientError:
            # It was deleted since it was listed.
            return None
        if flat["state"] == "COMPLETED":
            self._read[key] = (tag, flat)
        return flat


def keeps_log(environment: Mapping[str, str]) -> bool:
    """Whether backups are continuous, so that the log between them is kept."""
    return environment.get(f"{_PREFIX}CONTINUOUS", "false") == "true" and bool(
        environment.get(f"{_PREFIX}S3_BUCKETNAME")
    )


def ranges_of(found: Mapping[int, Sequence[Json]]) -> dict[int, list[Range]]:
    """Give the ranges of each partition of which there is a checkpoint."""
    complete: dict[int, list[Checkpoint]] = {}
    for checkpoint_id, manifests in found.items():
        for one in manifests:
            if one["state"] == "COMPLETED":
                complete.setdefault(one["partitionId"], []).append(
                    Checkpoint(
                        id=checkpoint_id,
                        kind=one["checkpointType"],
                        at=datetime.fromisoformat(one["createdAt"]),
                        position=one["checkpointPosition"],
                        after=one["after"],
                        previous=one["previous"],
                    )
                )
    return {partition: ranges(own) for partition, own in complete.items()}


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


def _backups(found: Mapping[int, list[Json]]) -> dict[int, list[Json]]:
    return {
        one: manifests
        for one, manifests in found.items()
        if manifests[0]["checkpointType"] != MARKER
    }


def _contents(checkpoint: int, flat: Json) -> str:
    kind = "markers" if flat["checkpointType"] == MARKER else "contents"
    return f"{kind}/{flat['partitionId']}/{checkpoint}/{flat.get('brokerId', 0)}"


def _document(checkpoint: int, flat: Json) -> Json:
    """Give a manifest as S3BackupStore writes it."""
    return {
        "id": {
            "nodeId": flat.get("brokerId", 0),
            "partitionId": flat["partitionId"],
            "checkpointId": checkpoint,
        },
        "statusCode": flat["state"],
        "descriptor": {
            "snapshotId": str(flat["checkpointPosition"]),
            "firstLogPosition": max(1, flat.get("after", 0)),
            "numberOfPartitions": flat["partitionCount"],
            "checkpointPosition": flat["checkpointPosition"],
            "brokerVersion": flat["brokerVersion"],
            "checkpointTimestamp": flat["createdAt"],
            "checkpointType": flat["checkpointType"],
        },
        "failureReason": flat.get("failureReason", ""),
        "createdAt": flat["createdAt"],
        "modifiedAt": flat["createdAt"],
        "local": {
            name: flat[name]
            for name in ("brokerId", "replicationFactor", "after", "previous", "segments")
            if name in flat
        },
    }


def _flat(document: Json) -> Json:
    given = document["descriptor"]
    return {
        "partitionId": document["id"]["partitionId"],
        "state": document["statusCode"],
        "failureReason": document["failureReason"],
        "createdAt": document["createdAt"],
        "checkpointPosition": given["checkpointPosition"],
        "checkpointType": given["checkpointType"],
        "brokerVersion": given["brokerVersion"],
        "partitionCount": given["numberOfPartitions"],
        "after": 0,
        "previous": 0,
        "segments": [],
        **document["local"],
    }


def _shown(backup_id: int, manifests: list[Json]) -> Json:
    """Give a backup as it is shown; a partition without manifest makes it incomplete."""
    found = {one["partitionId"]: one for one in manifests}
    # Partition ids are 1 to the number that there was.
    wanted = range(1, manifests[0]["partitionCount"] + 1)
    details = [
        {name: found[one][name] for name in _SHOWN if found[one].get(name) not in {None, ""}}
        if one in found
        else {"partitionId": one, "state": "DOES_NOT_EXIST"}
        for one in wanted
    ]
    states = [one["state"] for one in details]
    state = next(
        (one for one in ("FAILED", "DOES_NOT_EXIST", "IN_PROGRESS") if one in states), "COMPLETED"
    )
    reasons = [str(one["failureReason"]) for one in details if "failureReason" in one]
    return {
        "backupId": backup_id,
        "state": "INCOMPLETE" if state == "DOES_NOT_EXIST" else state,
        **({"failureReason": "; ".join(reasons)} if reasons else {}),
        "details": details,
    }


def _checkpoint(checkpoint: int, manifest: Json) -> Json:
    return {
        "checkpointId": checkpoint,
        "checkpointType": manifest["checkpointType"],
        "checkpointTimestamp": manifest["createdAt"],
        "checkpointPosition": manifest["checkpointPosition"],
    }
