"""The contents of a versioned bucket at one instant, from the list of its versions."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """A version of an object, or (``deleted``) a delete marker; ``size`` in bytes.

    ``modified`` is exact to the second, as S3 lists it.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
    """

    key: str
    version: str
    size: int
    modified: datetime
    latest: bool = False
    deleted: bool = False


def as_of(versions: Iterable[ObjectVersion], instant: datetime) -> Iterator[ObjectVersion]:
    """Give the objects that a bucket had at an instant, in the order of their keys.

    ``versions`` come in that order, too. What was written or deleted after the instant does not
    count, so that the contents fit each other however long the copy of them takes.
    """
    for _, group in itertools.groupby(versions, key=lambda one: one.key):
        former = [one for one in group if one.modified <= instant]
        # Of two in one second the latest one; otherwise a marker follows the version it deletes.
        newest = max(former, key=lambda one: (one.modified, one.latest, one.deleted), default=None)
        if newest is not None and not newest.deleted:
            yield newest
