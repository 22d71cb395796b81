"""What a broker measures, read from Prometheus' text format, whatever a broker sends."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle.camunda.meters import (
    NAMES,
    BrokerMeters,
    meters_payload,
    read_exposition,
    read_meters,
)
from lifecycle.errors import InvalidResponse

DROPPED, INFLIGHT, LIMIT, APPENDED, PROCESSED = NAMES
# As Micrometer's registry writes it; labels in both forms that there were, other names between.
WELL = """\
# HELP zeebe_dropped_request_count_total Number of requests dropped due to backpressure
# TYPE zeebe_dropped_request_count_total counter
zeebe_dropped_request_count_total{partition="1"} 7.0
zeebe_dropped_request_count_total{partition="2",} 2.0
zeebe_backpressure_inflight_requests_count{partition="1"} 5.0
zeebe_backpressure_inflight_requests_count{partition="2"} 40.0 1700000000000
zeebe_backpressure_requests_limit{partition="1"} 100.0
zeebe_backpressure_requests_limit{physicalTenant="default",partition="2"} 50.0
zeebe_log_appender_last_appended_position{partition="1"} 1.2E7
zeebe_log_appender_last_appended_position{partition="2"} 30.0
zeebe_log_appender_last_appended_position{partition="3"} 9000.0
zeebe_stream_processor_last_processed_position{partition="1"} 1.199999E7
zeebe_stream_processor_last_processed_position{partition="2"} 31.0
zeebe_stream_processor_last_processed_position{partition="3"} 1.0
zeebe_stream_processor_latency_seconds_bucket{partition="1",le="+Inf"} 10
jvm_gc_pause_seconds_count{cause="G1 \\"{Evacuation}\\" Pause"} 3
"""


def test_values_are_the_largest_of_the_partitions_that_the_broker_leads() -> None:
    found = read_exposition(WELL, "10.0.0.1", {1, 2})
    assert found == BrokerMeters("10.0.0.1", "", dropped=9, limit_used=80.0, backlog=10)


def test_a_partition_that_it_does_not_lead_has_no_backlog_of_its_own() -> None:
    assert read_exposition(WELL, "10.0.0.1", {2}).backlog == 0


@pytest.mark.parametrize("name", NAMES)
def test_what_is_absent_is_unknown_and_not_zero(name: str) -> None:
    content = "\n".join(line for line in WELL.splitlines() if not line.startswith(name))
    found = read_exposition(content, "10.0.0.1", {1, 2})
    unknown = {
        "dropped": name == DROPPED,
        "limit_used": name in {INFLIGHT, LIMIT},
        "backlog": name in {APPENDED, PROCESSED},
    }
    assert {key: getattr(found, key) is None for key in unknown} == unknown


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_value_that_lacks_one_partition_is_unknown(name: str) -> None:
    content = WELL.replace(f'{name}{{partition="1"}}', f'{name}_other{{partition="1"}}')
    found = read_exposition(content, "10.0.0.1", {1, 2})
    assert (found.limit_used if name in {INFLIGHT, LIMIT} else found.backlog) is None


def test_a_gauge_without_a_source_is_unknown() -> None:
    content = WELL.replace('limit{partition="1"} 100.0', 'limit{partition="1"} NaN')
    assert read_exposition(content, "10.0.0.1", {1, 2}).limit_used is None


def test_a_broker_that_leads_nothing_has_no_load() -> None:
    assert read_exposition(WELL, "10.0.0.1", ()) == BrokerMeters("10.0.0.1", "", dropped=9)


def test_a_limit_of_zero_is_no_share() -> None:
    content = WELL.replace('limit{partition="1"} 100.0', 'limit{partition="1"} 0.0')
    assert read_exposition(content, "10.0.0.1", {1, 2}).limit_used is None


@pytest.mark.parametrize(
    "sample",
    [
        f"{DROPPED} 7.0",
        f"{DROPPED}{{}} 7.0",
        f'{DROPPED}{{partition="0"}} 7.0',
        f'{DROPPED}{{partition="-1"}} 7.0',
        f'{DROPPED}{{partition="1234567890"}} 7.0',
        f'{DROPPED}{{notpartition="1"}} 7.0',
        f'{DROPPED}{{partition="9"}}',
        f'{DROPPED}{{partition="9"}} seven',
        f'{DROPPED}{{partition="9"}} +Inf',
        f'{DROPPED}{{partition="9"}} -1',
        f'{APPENDED}{{partition="9"}} -7',
        f'{DROPPED}{{partition="9"}} 1e300',
        f'{DROPPED}{{partition="9"}} 1 2 3',
        f'{DROPPED}{{partition="9", x="}}"}} 1',
        f'{DROPPED}{{partition="9"}} 1\n{DROPPED}{{partition="9"}} 2',
        f'{DROPPED}{{partition="9",x="{"y" * 5000}"}} 1',
    ],
)
def test_a_malformed_sample_is_refused(sample: str) -> None:
    with pytest.raises(InvalidResponse):
        read_exposition(f"{WELL}{sample}\n", "10.0.0.1", {1, 2})


@pytest.mark.parametrize(
    "content",
    ["", "\n" * 1000, "<html>no</html>", "{" * 1_000_000, "a" * 1_000_000, 'x{y="' * 100_000],
)
def test_other_text_shows_nothing(content: str) -> None:
    found = read_exposition(content, "10.0.0.1", {1, 2})
    assert found == BrokerMeters("10.0.0.1", "")


@given(st.lists(st.sampled_from([*NAMES, *'{}" \n,.=019-eNaI', 'partition="1"', "\u2028", "\x00"])))
def test_any_text_is_read_or_refused(parts: list[str]) -> None:
    try:
        found = read_exposition("".join(parts), "10.0.0.1", {1})
    except InvalidResponse:
        return
    assert found.dropped is None or found.dropped >= 0
    assert found.backlog is None or found.backlog >= 0


def test_what_was_read_travels_as_json() -> None:
    every = [
        read_exposition(WELL, "10.0.0.1", {1, 2}),
        BrokerMeters("10.0.0.2", "no answer within 6 s"),
    ]
    sent = json.loads(json.dumps([meters_payload(one) for one in every]))
    assert read_meters(sent) == tuple(every)


@pytest.mark.parametrize(
    "change",
    [
        {"dropped": "many"},
        {"dropped": -1},
        {"backlog": 1.5},
        {"backlog": 2**64},
        {"limitUsed": "half"},
        {"limitUsed": float("nan")},
        {"limitUsed": float("inf")},
        {"limitUsed": -1},
        {"address": None},
    ],
)
def test_a_payload_of_another_shape_is_refused(change: dict[str, object]) -> None:
    sent = meters_payload(BrokerMeters("10.0.0.1", "", 1, 2.0, 3))
    with pytest.raises(InvalidResponse):
        read_meters([{**sent, **change}])
