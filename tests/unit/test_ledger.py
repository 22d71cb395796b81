"""The checker of acknowledged work finds what it is there to find."""

from __future__ import annotations

import http.client
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.ledger import Ledger, listening

pytestmark = pytest.mark.unit
INSTANCES = {"a": 100, "b": 200}
JOBS = {100: [101], 200: [201]}


def records(order: str, key: int, positions: Iterator[int]) -> list[dict[str, Any]]:
    process = {"bpmnElementType": "PROCESS"}

    def event(kind: str, intent: str, number: int, **value: Any) -> dict[str, Any]:
        return {
            "partitionId": 1,
            "position": next(positions),
            "recordType": "EVENT",
            "valueType": kind,
            "intent": intent,
            "key": number,
            "value": {"processInstanceKey": key, **value},
        }

    return [
        event("PROCESS_INSTANCE", "ELEMENT_ACTIVATED", key, **process),
        event("VARIABLE", "CREATED", key + 5, name="order", value=json.dumps(order)),
        event("MESSAGE", "PUBLISHED", key + 6, messageId=order),
        event("PROCESS_MESSAGE_SUBSCRIPTION", "CORRELATED", key + 7),
        event("JOB", "COMPLETED", key + 1),
        event("PROCESS_INSTANCE", "ELEMENT_COMPLETED", key, **process),
    ]


def told(*kept: dict[str, Any]) -> bytes:
    return b"".join(b'{"index": {}}\n' + json.dumps(one).encode() + b"\n" for one in kept)


def wrong(ledger: Ledger) -> list[str]:
    return ledger.contradictions(INSTANCES, JOBS, {"a", "b"})


@pytest.fixture
def everything() -> list[dict[str, Any]]:
    positions = itertools.count()
    return [one for order, key in INSTANCES.items() for one in records(order, key, positions)]


def test_what_was_acknowledged_and_done_once_is_well(everything: list[dict[str, Any]]) -> None:
    ledger = Ledger()
    # Exported again, as after a change of leaders.
    ledger.take(told(*everything))
    ledger.take(told(*everything))
    assert wrong(ledger) == []
    assert ledger.caught_up(INSTANCES)


@pytest.mark.parametrize("missing", range(12))
def test_each_record_that_is_missing_is_found(
    everything: list[dict[str, Any]], missing: int
) -> None:
    ledger = Ledger()
    ledger.take(told(*(one for place, one in enumerate(everything) if place != missing)))
    assert len(wrong(ledger)) >= 1


@pytest.mark.parametrize("twice", range(12))
def test_what_was_done_again_is_found(everything: list[dict[str, Any]], twice: int) -> None:
    again = {**everything[twice], "position": 1000}
    if again["valueType"] == "VARIABLE":
        # The same order in another instance.
        again["value"] = {**again["value"], "processInstanceKey": 999}
    ledger = Ledger()
    ledger.take(told(*everything, again))
    assert len(wrong(ledger)) >= 1


def test_a_command_is_not_a_fact(everything: list[dict[str, Any]]) -> None:
    commands = [{**one, "recordType": "COMMAND"} for one in everything]
    ledger = Ledger()
    ledger.take(told(*commands))
    assert not ledger.caught_up(INSTANCES)


@pytest.mark.enable_socket
def test_it_reads_what_an_exporter_sends_in_chunks(everything: list[dict[str, Any]]) -> None:
    body = told(*everything)
    with listening("127.0.0.1") as ledger:
        client = http.client.HTTPConnection(ledger.url.removeprefix("http://"))
        client.request("PUT", "/_index_template/x", b"{}")
        assert json.loads(client.getresponse().read()) == {"acknowledged": True}
        headers = {"Transfer-Encoding": "chunked"}
        parts = iter([body[:50], body[50:]])
        client.request("POST", "/_bulk?x=1", parts, headers, encode_chunked=True)
        assert json.loads(client.getresponse().read())["errors"] is False
        client.close()
        assert wrong(ledger) == []
