"""What a change of Aurora's class, instances or engine version does to a living cluster.

What CloudFormation and RDS do with each property:

- ``DBInstanceClass`` needs "some interruptions": the instance restarts with the new class.
  https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-rds-dbinstance.html
- ``EngineVersion`` of the cluster is changed in place. CloudFormation allows a major version by
  itself, unrequested, and does not take the version back when an update rolls back.
  https://github.com/aws-cloudformation/aws-cloudformation-resource-providers-rds/blob/master/aws-rds-dbcluster/src/main/java/software/amazon/rds/dbcluster/Translator.java
- RDS upgrades to the targets that it names for a version, and never back.
  https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_UpgradeDBInstance.PostgreSQL.html
- A reader that is added interrupts nothing. Where the writer is removed, a reader is promoted.
  https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Concepts.AuroraHighAvailability.html

AWS promises none of the durations. Those with a source are quoted; the others are marked as
typical.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CLASS: Final = "DatabaseInstanceClass"
INSTANCES: Final = "DatabaseInstances"
VERSION: Final = "DatabaseEngineVersion"

_MEANWHILE: Final = (
    "While the database is unavailable, searches and the web applications fail and connectors "
    "wait; processes keep running, and brokers keep unexported records on disk."
)
_MINOR: Final = (
    "Aurora PostgreSQL {before} becomes {after}: every instance restarts. RDS tries to keep the "
    "connections, at the cost of reduced throughput for a few seconds to a minute; otherwise "
    "they are lost and the restart takes minutes. There is no way back to the previous version."
)
_MAJOR: Final = (
    "Aurora PostgreSQL {before} becomes {after}, a major version: every instance is shut down "
    "while RDS upgrades the catalogue, typically for 10 to 60 minutes, longer with more objects. "
    "RDS takes a snapshot first; the only way back is to restore it into a new cluster, and "
    "CloudFormation does not revert the version when the update fails later. Try it on a clone, "
    "change nothing else in the same plan, and run ANALYZE afterwards, since statistics are not "
    "carried over."
)
_CLASS: Final = (
    "Aurora's class changes from {before} to {after}: {which}, typically for 5 to 15 minutes. "
)
_ALONE: Final = "There is no reader to take over, so the database is unavailable during that time."
_TOGETHER: Final = (
    "CloudFormation changes them in one step, so do not count on a reader to take over."
)
_MORE: Final = "Aurora gets {more} more readers, {all} instances in all; without interruption."
_FEWER: Final = (
    "Aurora loses {fewer} of {all} instances, the highest numbers first. If the writer is among "
    "them (possible after a failover), a reader is promoted: connections are lost, typically for "
    "less than a minute."
)
_ONE_LEFT: Final = (
    " With one instance left, Aurora has to create a new one after a failure, which typically "
    "takes less than 10 minutes."
)


class Step(StrEnum):
    """From one engine version to another."""

    NONE = "none"
    MINOR = "a minor version"
    MAJOR = "a major version"
    BACK = "back"


def engine_step(before: str, after: str) -> Step:
    """Return the kind of step from one version to another, such as ``17.9`` to ``18.1``."""
    old, new = _numbers(before), _numbers(after)
    if old == new:
        return Step.NONE
    if new < old:
        return Step.BACK
    return Step.MINOR if new[0] == old[0] else Step.MAJOR


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def interruptions(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Describe what a plan does to the database, a sentence or more for each thing that changes.

    ``before`` are all parameters of the cluster, empty when there is none yet; ``after`` those
    that it will have.
    """
    if not before:
        return []
    warnings = [*_version(before[VERSION], after[VERSION]), *_class(before, after)]
    if warnings:
        warnings.append(_MEANWHILE)
    return warnings + _instances(int(before[INSTANCES]), int(after[INSTANCES]))


def _version(before: str, after: str) -> list[str]:
    words = {Step.MINOR: _MINOR, Step.MAJOR: _MAJOR}.get(engine_step(before, after))
    return [words.format(before=before, after=after)] if words else []


def _class(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    if before[CLASS] == after[CLASS]:
        return []
    kept = min(int(before[INSTANCES]), int(after[INSTANCES]))
    which = "the database instance restarts" if kept == 1 else f"all {kept} instances restart"
    words = _CLASS.format(before=before[CLASS], after=after[CLASS], which=which)
    return [words + (_ALONE if kept == 1 else _TOGETHER)]


def _instances(before: int, after: int) -> list[str]:
    if after > before:
        return [_MORE.format(more=after - before, all=after)]
    if after < before:
        words = _FEWER.format(fewer=before - after, all=before)
        return [words + (_ONE_LEFT if after == 1 else "")]
    return []
