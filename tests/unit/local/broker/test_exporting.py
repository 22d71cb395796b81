"""Which records are exported next, and what becomes of those that were."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from local.broker.engine import Engine
from local.broker.exporting import SEGMENT_RECORDS, Exporting, unexported

pytestmark = pytest.mark.unit


def test_records_that_stay_do_not_stop_those_behind_them() -> None:
    records = [{"position": number} for number in range(1, 1201)]
    position, exported = 0, []
    while fresh := unexported(records, position):
        exported += fresh
        position = fresh[-1]["position"]
    assert exported == records


def test_nothing_is_exported_twice() -> None:
    records = [{"position": number} for number in range(1, 4)]
    assert unexported(records, 2) == [{"position": 3}]
    assert unexported(records, 3) == []


class Broker:
    """A broker that leads partition 1 and takes continuous backups."""

    def __init__(self) -> None:
        bucket = "CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_S3_BUCKETNAME"
        continuous = {"CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_CONTINUOUS": "true", bucket: "b"}
        self.settings = SimpleNamespace(environment=continuous)
        self.engine = Engine(1)
        self.replicas = {1: SimpleNamespace(engine=self.engine, leads=True)}
        self.backups = self
        self.segments: list[list[int]] = []
        self.broken = False
        self.storage = SimpleNamespace(write=lambda _partition, _records: None)

    def exporter_state(self, _: int) -> str:
        return "ENABLED"

    def log(self, _: str) -> None:
        """Nothing is shown."""

    async def send(self, _: int, command: dict[str, Any], _timeout: float) -> None:
        self.engine.apply({**command, "now": 0})

    def put_segment(self, _: int, number: int, records: list[dict[str, Any]]) -> str:
        if self.broken:
            raise EndpointConnectionError(endpoint_url="https://s3")
        self.segments.append([one["position"] for one in records])
        return f"segment-{number}"


def exported(broker: Broker, exporting: Exporting, count: int) -> None:
    """Let so many records come and be exported."""
    known = broker.engine.data["position"]
    records = [{"position": known + number} for number in range(1, count + 1)]
    broker.engine.data["records"] += records
    broker.engine.data["position"] += count

    async def go() -> None:
        while broker.engine.data["records"]:
            await exporting._export(1)

    asyncio.run(go())


@pytest.mark.enable_socket
def test_a_long_log_goes_to_the_bucket_once_and_in_order() -> None:
    broker = Broker()
    exporting = Exporting(broker)  # type: ignore[arg-type]
    exported(broker, exporting, SEGMENT_RECORDS - 1)
    assert broker.segments == []
    exported(broker, exporting, SEGMENT_RECORDS + 1)
    data = broker.engine.data
    positions = [one for segment in broker.segments for one in segment]
    positions += [one["position"] for one in data["log"]]
    assert len(positions) == 2 * SEGMENT_RECORDS
    assert positions == sorted(set(positions))
    assert len(data["log"]) < SEGMENT_RECORDS
    assert [one["last"] for one in data["segments"]] == [each[-1] for each in broker.segments]


@pytest.mark.enable_socket
def test_a_log_stays_while_the_bucket_does_not_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.broker.exporting._AGAIN_SECONDS", 0)
    broker = Broker()
    broker.broken = True
    exporting = Exporting(broker)  # type: ignore[arg-type]
    exported(broker, exporting, 2 * SEGMENT_RECORDS)
    assert len(broker.engine.data["log"]) == 2 * SEGMENT_RECORDS
    broker.broken = False
    exported(broker, exporting, 1)
    assert [len(one) for one in broker.segments] == [2 * SEGMENT_RECORDS + 1]
    assert broker.engine.data["log"] == []
