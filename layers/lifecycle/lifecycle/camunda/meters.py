"""What a broker measures of its load, read from Prometheus' text format.

Names: camunda/camunda, ``LogStreamMetricsDoc`` (8.7 to 8.10) and ``BackpressureMetricsDoc``;
Micrometer turns the dots into underscores. The format:
https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format

The process backlog is what Camunda's reliability tests measure: the last appended position less the
last processed one. A follower has neither requests nor a backlog of its own, but may still show
what it had as a leader, so only partitions that the broker leads are read.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.camunda.json_reader import integer, number, objects, short, text
from lifecycle.errors import InvalidResponse

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

DROPPED: Final = "zeebe_dropped_request_count_total"
_INFLIGHT: Final = "zeebe_backpressure_inflight_requests_count"
_LIMIT: Final = "zeebe_backpressure_requests_limit"
_APPENDED: Final = "zeebe_log_appender_last_appended_position"
_PROCESSED: Final = "zeebe_stream_processor_last_processed_position"
NAMES: Final = (DROPPED, _INFLIGHT, _LIMIT, _APPENDED, _PROCESSED)
# A position is a Java long; beyond it there is nothing that could be one.
_MOST: Final = 2.0**63
_LONGEST_LINE: Final = 2000
_NAME: Final = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]{0,199}(?![A-Za-z0-9_:])")
_SAMPLE: Final = re.compile(r"(?P<name>\w+)\{(?P<labels>[^{}]*)\} (?P<value>\S+)(?: -?\d+)?")
_PARTITION: Final = re.compile(r'(?:^|,)partition="([1-9]\d{0,8})"(?:,|$)')


@dataclass(frozen=True, slots=True)
class BrokerMeters:
    """What one broker measures; ``problem`` when it was not read. None is what it does not show.

    ``dropped`` are the requests that it dropped since its start because of backpressure;
    ``limit_used`` is the largest share (percent) of the limit of requests in flight, ``backlog``
    the most records not processed yet, of the partitions that it leads.
    """

    address: str
    problem: str
    dropped: int | None = None
    limit_used: float | None = None
    backlog: int | None = None


def read_exposition(content: str, address: str, led: Collection[int]) -> BrokerMeters:
    """Read ``GET /actuator/prometheus`` of one broker that leads the partitions ``led``.

    A value is None unless the broker shows it of every partition it leads. Raises
    ``InvalidResponse`` for a sample of ``NAMES`` that is malformed, or is there twice.
    """
    samples = _samples(content)
    dropped = samples[DROPPED].values()
    used = _of_each(led, samples[_INFLIGHT], samples[_LIMIT])
    behind = _of_each(led, samples[_APPENDED], samples[_PROCESSED])
    shares = [100 * now / limit for now, limit in used if limit > 0]
    return BrokerMeters(
        address=address,
        problem="",
        dropped=int(sum(dropped)) if dropped else None,
        limit_used=round(max(shares), 1) if shares and len(shares) == len(used) else None,
        backlog=max((int(max(end - done, 0)) for end, done in behind), default=None),
    )


def read_meters(value: object) -> tuple[BrokerMeters, ...]:
    """Read what ``meters_payload`` returned of each broker. Raises ``InvalidResponse``."""
    return tuple(
        BrokerMeters(
            address=text(one, "address"),
            problem=text(one, "problem"),
            dropped=_whole(one, "dropped"),
            limit_used=_share(one, "limitUsed"),
            backlog=_whole(one, "backlog"),
        )
        for one in objects(value, "meters")
    )


def meters_payload(meters: BrokerMeters) -> dict[str, object]:
    """Return what ``read_meters`` reads, JSON-serialisable."""
    return {
        "address": meters.address,
        "problem": meters.problem,
        "dropped": meters.dropped,
        "limitUsed": meters.limit_used,
        "backlog": meters.backlog,
    }


def _samples(content: str) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {name: {} for name in NAMES}
    for line in content.split("\n"):
        begins = _NAME.match(line)
        name = begins[0] if begins else ""
        if name not in found:
            continue
        match = _SAMPLE.fullmatch(line.strip()) if len(line) <= _LONGEST_LINE else None
        partition = _PARTITION.search(match["labels"]) if match else None
        if match is None or partition is None:
            raise InvalidResponse(f"The sample {short(line)} is malformed.")
        number_of, value = int(partition[1]), _value(match["value"], line)
        if name == DROPPED and value is not None and value < 0:
            raise InvalidResponse(f"The counter {short(line)} is negative.")
        if number_of in found[name]:
            raise InvalidResponse(f"{name} is there twice for partition {number_of}.")
        if value is not None:
            found[name][number_of] = value
    return found


def _value(given: str, line: str) -> float | None:
    """Return a value; None for NaN, which a gauge without a source has."""
    try:
        value = float(given)
    except ValueError as error:
        raise InvalidResponse(f"The sample {short(line)} has no number.") from error
    if math.isnan(value):
        return None
    # Micrometer's positions begin at -1 or 0.
    if not -1 <= value < _MOST:
        raise InvalidResponse(f"The sample {short(line)} is out of range.")
    return value


def _of_each(
    led: Collection[int], first: Mapping[int, float], second: Mapping[int, float]
) -> list[tuple[float, float]]:
    if not all(one in first and one in second for one in led):
        return []
    return [(first[one], second[one]) for one in led]


def _whole(one: Mapping[str, object], key: str) -> int | None:
    found = None if one.get(key) is None else integer(one, key)
    if found is not None and not 0 <= found < _MOST:
        raise InvalidResponse(f"{key} is out of range: {short(found)}.")
    return found


def _share(one: Mapping[str, object], key: str) -> float | None:
    value = one.get(key)
    found = number(value) if not isinstance(value, float) else value
    if value is not None and (found is None or not 0 <= found < _MOST):
        raise InvalidResponse(f"{key} should be a percentage but is {short(value)}.")
    return None if found is None else float(found)
