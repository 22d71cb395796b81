"""The version of Camunda that an image holds, by its tag."""

from __future__ import annotations

import re
from typing import Final

_TAG: Final = re.compile(r":(\d+)\.(\d+)\.(\d+)(?:@|$)")


def version_of(image: str) -> tuple[int, ...]:
    """Give (major, minor, patch) of an image's tag; empty where the tag is no version."""
    found = _TAG.search(image)
    return tuple(map(int, found.groups())) if found else ()


def makes_schema_alone(version: tuple[int, ...]) -> bool:
    """Tell whether one broker has to make the database's schema before others may start.

    Brokers of 8.10 that start at once on an empty database can take a half-made schema for that
    of 8.9, and then never export. Of an unknown version it is not known that they do not.
    Source: https://github.com/camunda/camunda/issues/62581
    """
    return not version or version >= (8, 10)
