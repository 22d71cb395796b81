"""Which version of Camunda an image is of: given by its tag, or by the parameter beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PARAMETER: Final = "CamundaVersion"
BROKERS: Final = "OrchestrationImage"
CONNECTORS: Final = "ConnectorsImage"
IMAGES: Final = (BROKERS, CONNECTORS)
COLLECTOR: Final = "CollectorImage"
"""Of AWS, not of Camunda: a whole reference, and of no version that the brokers have."""
_RELEASED: Final = re.compile(r"(8)\.(9|[1-9][0-9])\.(0|[1-9][0-9]*)")
# 8.9.0-alpha3, 8.10.0-rc1, 8.10-SNAPSHOT: what Camunda calls its pre-releases.
_PRE_RELEASE: Final = re.compile(r"(?i)\d+\.\d+(\.\d+)?-?(alpha|beta|rc|snapshot)")

type Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions of the brokers and of the connectors; None where unknown."""

    brokers: Version | None
    connectors: Version | None


def tag_of(image: str) -> str:
    """Return the tag of an image's reference; empty without one.

    https://github.com/distribution/reference: ``[host[:port]/]path[:tag][@digest]``.
    """
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2]


def is_pre_release(image: str) -> bool:
    """Whether the tag names a pre-release, from which Camunda cannot be upgraded."""
    return _PRE_RELEASE.match(tag_of(image)) is not None


def read_version(text: str) -> Version | None:
    """Read a released version from 8.9 on, such as ``8.9.22``; None for anything else."""
    found = _RELEASED.fullmatch(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def versions(parameters: Mapping[str, str]) -> Versions:
    """Return the versions of a cluster with these parameters.

    A tag that is a version is the version. Else the brokers are of ``CamundaVersion``, and the
    connectors of the brokers' minor, whose patch is unknown: 0.
    """
    given = read_version(parameters.get(PARAMETER, ""))
    brokers = read_version(tag_of(parameters.get(BROKERS, ""))) or given
    connectors = read_version(tag_of(parameters.get(CONNECTORS, "")))
    if connectors is None and brokers is not None:
        connectors = (*brokers[:2], 0)
    return Versions(brokers, connectors)


def makes_schema_alone(version: Version | None) -> bool:
    """Return whether one broker has to make the database's schema before others may start.

    Brokers of 8.10 that start at once on an empty database can take a half-made schema for that
    of 8.9, and then never export. Of an unknown version it is not known that they do not.
    Source: https://github.com/camunda/camunda/issues/62581
    """
    return version is None or version >= (8, 10, 0)


def shown(version: Version | None) -> str:
    """Return a version as people write it."""
    return ".".join(map(str, version)) if version else "unknown"
