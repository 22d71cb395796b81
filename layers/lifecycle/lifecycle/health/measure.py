"""From facts to metrics: one number for a whole cluster each, with no dimension but its stack.

So a cluster has as many metrics as ``UNITS`` has rows, whatever its size. What is unknown has no
data point: a 0 would look like the best of all values. For the same reason a largest value is
measured only if it is that of every partition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifecycle.camunda.backup_ranges import covered, gaps
from lifecycle.health.catalog import Severity, rank
from lifecycle.health.facts import seen
from lifecycle.health.rules import (
    active_members,
    copies_wanted,
    leaderless_partitions,
    leading,
    partition_count,
    restore_window,
    under_replicated,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from lifecycle.camunda.meters import BrokerMeters
    from lifecycle.health.facts import Facts
    from lifecycle.health.verdict import Record

# Of every check. Units: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
BASIC: Final[Mapping[str, str]] = {
    "Verdict": "None",
    "Findings": "Count",
    "UnknownSources": "Count",
    "CheckSeconds": "Seconds",
}
# Of clusters with DetailedMetrics. Positions are counted in records.
DETAILED: Final[Mapping[str, str]] = {
    "BrokersExpected": "Count",
    "BrokersJoined": "Count",
    "Partitions": "Count",
    "PartitionsWithoutLeader": "Count",
    "PartitionsUnderReplicated": "Count",
    "ProcessingBacklog": "Count",
    "ExportingBacklog": "Count",
    "RequestsDropped": "Count",
    "RequestLimitUsed": "Percent",
    "BrokerBackupAge": "Seconds",
    "DatabaseBackupAge": "Seconds",
    "RestoreWindow": "Seconds",
    "BackupGaps": "Count",
}
UNITS: Final[Mapping[str, str]] = {**BASIC, **DETAILED}


def measurements(record: Record, facts: Facts, before: Record | None) -> dict[str, float]:
    """Return the metrics of a check by name; ``before`` is the record of the check before it."""
    found: dict[str, float | None] = {
        "Verdict": rank(record.notified),
        "Findings": sum(one["severity"] != Severity.INFO for one in record.findings),
        "UnknownSources": len(facts.unknown) if facts.ready else 1,
        "CheckSeconds": record.seconds,
    }
    if facts.outputs.get("DetailedMetrics") == "true":
        found |= _brokers(facts)
        found |= _load(facts, before)
        found |= _ages(facts, record.checked_at)
    return {name: value for name, value in found.items() if value is not None}


def _brokers(facts: Facts) -> dict[str, float | None]:
    topology, members = seen(facts.topology), active_members(facts)
    count, factor = partition_count(facts), copies_wanted(facts)
    found: dict[str, float | None] = {
        "BrokersExpected": None if members is None else len(members),
        "Partitions": count or None,
    }
    if topology is None:
        return found
    alive = {one.node_id for one in topology.brokers}
    if members is not None:
        found["BrokersJoined"] = len(alive.intersection(members))
    if count:
        found["PartitionsWithoutLeader"] = len(leaderless_partitions(topology, count))
    if count and factor:
        found["PartitionsUnderReplicated"] = len(under_replicated(topology, count, factor))
    return found


def _load(facts: Facts, before: Record | None) -> dict[str, float | None]:
    leaders = _leaders(facts)
    meters = {one.address: one for one in seen(facts.meters) or ()}
    had = before.memory.dropped if before is not None else {}
    backlogs = [meters[one].backlog if one in meters else None for one in leaders]
    shares = [meters[one].limit_used if one in meters else None for one in leaders]
    return {
        "ProcessingBacklog": _largest(backlogs),
        "ExportingBacklog": _exporting(facts),
        "RequestsDropped": _dropped(meters, had),
        "RequestLimitUsed": _largest(shares),
    }


def _leaders(facts: Facts) -> set[str]:
    """Return the addresses of all leaders; none where a partition has no leader."""
    topology, count = seen(facts.topology), partition_count(facts)
    if topology is None or not count or leaderless_partitions(topology, count):
        return set()
    return {one.host for one in topology.brokers if any(p.role == "leader" for p in one.partitions)}


def _exporting(facts: Facts) -> float | None:
    """Return the most records that are processed and not exported, of all partitions."""
    every = leading(seen(facts.exporting) or ())
    behind = {one.partition: max(one.processed - one.exported, 0) for one in every}
    wanted = range(1, partition_count(facts) + 1)
    # An absent position is -1 (``partitions.py``).
    if any(one.processed < 0 for one in every):
        return None
    return _largest([behind.get(one) for one in wanted])


def _dropped(meters: Mapping[str, BrokerMeters], had: Mapping[str, int]) -> float | None:
    """Return the requests that were dropped since the check before.

    A counter that is smaller than it was began anew with its broker, as for ``increase`` of
    Prometheus (https://prometheus.io/docs/prometheus/latest/querying/functions/#increase). The
    first count of a broker has nothing to be compared with.
    """
    grown = [
        one.dropped - had[address] if one.dropped >= had[address] else one.dropped
        for address, one in meters.items()
        if one.dropped is not None and address in had
    ]
    return sum(grown) if grown else None


def _ages(facts: Facts, at: datetime) -> dict[str, float | None]:
    backups, database = seen(facts.backups), seen(facts.database)
    latest = backups.latest if backups is not None else {}
    moments = [latest.get(one) for one in range(1, partition_count(facts) + 1)]
    taken = [one for one in moments if one is not None]
    restorable = database.restorable if database is not None else None
    whole = taken and len(taken) == len(moments)
    window = restore_window(facts)
    return {
        "BrokerBackupAge": _age(min(taken), at) if whole else None,
        "DatabaseBackupAge": _age(restorable, at) if restorable is not None else None,
        "RestoreWindow": None if window is None else _age(window.start, window.end),
        "BackupGaps": _gaps(facts),
    }


def _gaps(facts: Facts) -> float | None:
    """Return the gaps in the backups of all partitions; None unless each has ranges."""
    backups = seen(facts.backups)
    if backups is None or not backups.ranges:
        return None
    known = covered(backups.ranges, range(1, partition_count(facts) + 1)) is not None
    return len(gaps(backups.ranges)) + backups.left_out if known else None


def _age(since: datetime, at: datetime) -> float:
    return max((at - since).total_seconds(), 0.0)


def _largest(values: list[float | None] | list[int | None]) -> float | None:
    known = [one for one in values if one is not None]
    return max(known) if known and len(known) == len(values) else None
