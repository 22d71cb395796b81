"""Copy the backups of one cluster into the backup bucket of another, a bounded part at a time.

Brokers write and delete in their backup bucket: a cluster that is restored from another one's
backups needs a copy of them. The source is only read, also while its brokers back up into it: what
is copied are the versions that the bucket had at one instant. Camunda keeps a backup's contents,
its manifest and the markers of a range in several objects (camunda/camunda,
``zeebe/backup-stores/s3``, ``S3BackupStore``), which fit each other only so.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.names import TAG_CLUSTER, TAG_CONTROL_PLANE
from lifecycle.errors import BackupsNotCopied
from lifecycle.kept.objects import as_of
from lifecycle.operation.steps import BACKUPS_COPIED
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.kept.ports import BackupBuckets
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation

# Which bucket was copied, as of when: Camunda reads only keys of its own pattern.
NOTE: Final = "camunda-lifecycle/copy.json"
# Seconds in which a look begins another part; a part of large objects may take minutes.
LOOK_SECONDS: Final = 60.0
PART: Final = 100
# The first list has to begin after the instant, which is the end of the present second.
WAIT_SECONDS: Final = 2
_DONE: Final = ("until", "objects", "bytes")


@dataclass(frozen=True, slots=True)
class Copied:
    """How far a copy is: ``after`` which key it goes on, what has been copied until there.

    ``until`` is the instant (ISO 8601) whose contents are copied. ``checking``: everything was
    copied, and the second pass compares sizes.
    """

    until: str
    checking: bool = False
    after: str = ""
    objects: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class BackupCopier:
    """The use case and its ports; ``monotonic`` gives seconds."""

    buckets: BackupBuckets
    journal: Journal
    monotonic: Callable[[], float]
    control_stack: str

    def copy(
        self, operation: Operation, *, source: str, target: str, memory: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Copy for a while; ``memory`` is what the last look returned as such, empty at first.

        Returns ``status`` ``WAITING`` with ``wait`` (seconds, 0 where the next look may follow at
        once) and ``memory``, or ``COPIED`` with ``until``, ``objects`` and ``bytes``. Another
        operation with the same buckets goes on with the same instant. Raises ``BackupsNotCopied``.
        """
        if not memory:
            return self._begin(operation, source, target)
        give_up = self.monotonic() + LOOK_SECONDS
        copied = Copied(**memory)
        until = datetime.fromisoformat(copied.until)
        self.journal.step(operation, BACKUPS_COPIED, _words(copied, source))
        versions = as_of(self.buckets.versions(source, copied.after), until)
        # A source may be a copy itself: its note is of its own origin.
        backups = (one for one in versions if one.key != NOTE)
        for part in itertools.batched(backups, PART, strict=False):
            last = part[-1].key
            there = self.buckets.sizes(target, copied.after, last)
            missing = [one for one in part if there.get(one.key) != one.size]
            if missing and copied.checking:
                raise BackupsNotCopied(
                    f"Bucket {target} lacks {len(missing)} of {len(part)} objects that were "
                    f"copied from {source}, the first {missing[0].key}: another writer is active "
                    "in it.",
                    next_step="Find out what deletes or overwrites objects there, then start the "
                    "same request again.",
                )
            self.buckets.copy(source, missing, target)
            copied = replace(
                copied,
                after=last,
                objects=copied.objects + len(part),
                size=copied.size + sum(one.size for one in part),
            )
            if self.monotonic() >= give_up:
                return _waiting(copied)
        if not copied.checking:
            return _waiting(Copied(copied.until, checking=True))
        if not copied.objects:
            raise BackupsNotCopied(
                f"Bucket {source} had no object at {copied.until}: there is no backup in it.",
                next_step="Choose a cluster with a completed backup.",
            )
        self.journal.step(operation, BACKUPS_COPIED, _words(copied, source))
        done = {"until": copied.until, "objects": copied.objects, "bytes": copied.size}
        self._note(target, {"source": source, **done})
        return {"status": "COPIED", **done}

    def _begin(self, operation: Operation, source: str, target: str) -> dict[str, Any]:
        """Check both buckets, and note in the target what is copied into it.

        What was copied completely stays as it is: brokers may have backed up into it since.
        """
        self.journal.look(operation, BACKUPS_COPIED, f"reading {source}")
        owner = self.buckets.tags(source)
        if owner.get(TAG_CONTROL_PLANE) != self.control_stack or not owner.get(TAG_CLUSTER):
            raise _refused(
                f"Bucket {source} has the tag {TAG_CONTROL_PLANE}="
                f"{owner.get(TAG_CONTROL_PLANE, '(none)')}; allowed is {self.control_stack}."
            )
        mine = self.buckets.tags(target)
        wanted = (self.control_stack, operation.cluster)
        if (mine.get(TAG_CONTROL_PLANE), mine.get(TAG_CLUSTER)) != wanted:
            raise _refused(
                f"Bucket {target} is not of cluster {operation.cluster}: its tag {TAG_CLUSTER} is "
                f"{mine.get(TAG_CLUSTER, '(none)')}."
            )
        if source == target:
            raise _refused(f"Source and target are the same bucket, {source}.")
        noted = self.buckets.read(target, NOTE)
        if noted is not None:
            note = json.loads(noted)
            if note["source"] != source:
                raise _refused(
                    f"Bucket {target} holds a copy of {note['source']}, not of {source}."
                )
            if "objects" in note:
                return {"status": "COPIED", **{key: note[key] for key in _DONE}}
            return _waiting(Copied(str(note["until"])))
        if self.buckets.holds_anything(target):
            raise _refused(
                f"Bucket {target} is not empty and holds no copy: brokers have backed up into it."
            )
        # The end of this second, to which S3 lists times; the list begins after it.
        until = written(self.journal.clock.now().replace(microsecond=999_000))
        self.journal.step(operation, BACKUPS_COPIED, f"beginning with {source} as of {until}")
        self._note(target, {"source": source, "until": until})
        return _waiting(Copied(until), WAIT_SECONDS)

    def _note(self, target: str, note: Mapping[str, Any]) -> None:
        self.buckets.write(target, NOTE, json.dumps(note).encode())


def _waiting(copied: Copied, wait: int = 0) -> dict[str, Any]:
    return {"status": "WAITING", "wait": wait, "memory": asdict(copied)}


def _words(copied: Copied, source: str) -> str:
    what = "compared" if copied.checking else "copied"
    size = f"{copied.size / 1024**3:.1f} GiB"
    return f"{copied.objects} objects ({size}) of {source} {what}"


def _refused(why: str) -> BackupsNotCopied:
    return BackupsNotCopied(f"{why} Nothing was copied.")
