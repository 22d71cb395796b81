"""Whether what the partitions processed reaches the secondary storage.

A broker that is ready and leads a healthy partition may still export nothing, and its log then is
the only place of what was processed. So a leader's exported position has to follow the processed
one before another broker is replaced. Positions are those of ``GET /actuator/partitions``
(https://docs.camunda.io/docs/self-managed/components/orchestration-cluster/zeebe/operations/management-api/).
Under load the exporter is always a little behind: it follows when it reaches what was processed at
an earlier check, or had exported everything at the check before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.camunda.partitions import read_brokers
from lifecycle.errors import InvalidResponse

if TYPE_CHECKING:
    from lifecycle.camunda.partitions import BrokerStatus, PartitionStatus

type Notes = Mapping[str, Sequence[Any]]
"""By partition, as the state machine carries it: the leader's address, and a processed position.

The position is None for a leader that had exported everything it had processed."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What lacks for every leader to have exported (empty: nothing), and notes for the next check.

    A note is the processed position that a leader had not exported when it was first seen behind,
    or that nothing was left to export: one that stops then is found at the check after the next.
    """

    problems: tuple[str, ...]
    notes: dict[str, list[Any]]


def judge_exporting(
    topology: Sequence[Mapping[str, Any]], answer: object, notes: Notes
) -> Exported:
    """Compare each leader's exported position with its processed one, now or as noted.

    ``topology`` has the rows of ``topology_table``, ``answer`` what each broker answered
    (``read_brokers``). What was not read is a problem, never good; so are a phase other than
    ``EXPORTING`` and a leader that exported nothing of what it processed. Never raises.
    """
    try:
        brokers = {one.address: one for one in read_brokers(answer)}
    except InvalidResponse as error:
        return Exported((f"exported positions could not be read: {error.message}",), {})
    leaders = sorted(
        (int(partition), str(row["host"]))
        for row in topology
        for partition, replica in row["partitions"].items()
        if replica["role"] == "leader"
    )
    problems: list[str] = []
    kept: dict[str, list[Any]] = {}
    for partition, address in leaders:
        led, problem = _led(partition, brokers.get(address))
        if led is None:
            problems.append(problem)
        elif led.phase != "EXPORTING":
            phase = led.phase or "not known"
            problems.append(f"exporting of partition {partition} is {phase}, not EXPORTING")
        elif led.exported >= led.processed:
            kept[str(partition)] = [address, None]
        else:
            note = notes.get(str(partition), ())
            before = note[1] if len(note) == 2 and note[0] == address else led.processed
            kept[str(partition)] = [address, led.processed if before is None else int(before)]
            if led.exported < 0 or (before is not None and led.exported < int(before)):
                problems.append(_behind(led))
    return Exported(tuple(problems), kept)


def _led(partition: int, broker: BrokerStatus | None) -> tuple[PartitionStatus | None, str]:
    if broker is None or broker.problem:
        why = broker.problem if broker is not None else "its leader was not queried"
        return None, f"the exported position of partition {partition} could not be read: {why}"
    found = next((one for one in broker.partitions if one.partition == partition), None)
    if found is None or found.role != "LEADER":
        return None, f"{broker.address} does not report that it leads partition {partition}"
    return found, ""


def _behind(led: PartitionStatus) -> str:
    if led.exported < 0:
        return (
            f"partition {led.partition} exported nothing of what it processed "
            f"(position {led.processed}); an exporter that is disabled exports nothing"
        )
    return (
        f"partition {led.partition} exported up to {led.exported}, "
        f"and processed up to {led.processed}"
    )
