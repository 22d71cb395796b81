"""Exporting: the records of the partitions that this broker leads go to secondary storage.

Paused, nothing is exported; soft-paused, it is exported and the position is not kept, so that the
log is not compacted (docs: management API, "exporting"). With continuous backups what is exported
stays in the log until the next checkpoint has it. The phase is kept by each replica and survives
its restart. While the exporter is disabled, records are forgotten without being exported.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.broker.backups import keeps_log
from local.broker.files import read_json, write_json
from local.broker.gateway_port import OutcomeUnknown, PartitionUnavailable, StorageUnavailable

if TYPE_CHECKING:
    from local.broker.broker import Broker

type Json = dict[str, Any]

EVERY_SECONDS = 0.1
_AGAIN_SECONDS = 1.0
_BATCH = 500
SEGMENT_RECORDS = 1000
"""A log that is as long goes to the bucket, half a megabyte."""
PHASES = {"pause": "PAUSED", "soft": "SOFT_PAUSED", "resume": "EXPORTING"}


class Exporting:
    """Phase and position of each partition of this broker, and the exporter `rdbms`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._phases: dict[str, str] = {}
        self._positions: dict[int, int] = {}
        self._problem = ""
        self._prepared = False
        self._keeps_log = keeps_log(broker.settings.environment)

    def start(self) -> None:
        """Read the phases that were left; call `turn` again and again from then on."""
        self._phases = read_json(self._broker.directory / "exporting.json") or {}

    def forget(self) -> None:
        """Forget how far the secondary storage was: it may be another one now."""
        self._positions.clear()

    def phase(self, partition: int) -> str:
        """Give the exporter phase of a partition."""
        return self._phases.get(str(partition), "EXPORTING")

    def position(self, partition: int) -> int:
        """Give the position up to which a partition is exported, as far as this broker knows."""
        replica = self._broker.replicas.get(partition)
        known = replica.engine.data.get("exported", 0) if replica else 0
        return max(int(known), self._positions.get(partition, 0))

    async def answer(self, payload: Json) -> Json:
        """Take over a phase for all partitions of this broker."""
        self.keep(PHASES[payload["phase"]])
        return {"status": 204}

    def keep(self, phase: str) -> None:
        """Keep a phase for all partitions of this broker."""
        self._phases = {str(partition): phase for partition in self._broker.replicas}
        write_json(self._broker.directory / "exporting.json", self._phases)

    async def turn(self) -> None:
        """Export what is there now; the schema is made first, as far as it is to be made."""
        try:
            if not self._prepared:
                await asyncio.to_thread(self._broker.storage.prepare)
                self._prepared = True
            for partition, replica in list(self._broker.replicas.items()):
                if replica.leads and self.phase(partition) != "PAUSED":
                    await self._export(partition)
            self._tell("")
        except StorageUnavailable as error:
            self._tell(f"Secondary storage is not available: {error}")
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _export(self, partition: int) -> None:
        records = self._broker.replicas[partition].engine.data["records"]
        fresh = unexported(records, self._positions.get(partition, 0))
        if fresh:
            if self._broker.exporter_state(partition) != "DISABLED":
                await asyncio.to_thread(self._broker.storage.write, partition, fresh)
            self._positions[partition] = fresh[-1]["position"]
        known = self._positions.get(partition, 0)
        if records and records[0]["position"] <= known and self.phase(partition) == "EXPORTING":
            # If the leader changed, the new one goes on from the position in the storage.
            with suppress(PartitionUnavailable, OutcomeUnknown):
                command = {"kind": "exported", "position": known, "keep": self._keeps_log}
                await self._broker.send(partition, command, 5.0)
                await self._put_segment(partition)

    async def _put_segment(self, partition: int) -> None:
        """Put a long log into the bucket: the next checkpoint has it from there."""
        data, store = self._broker.replicas[partition].engine.data, self._broker.backups
        if store is None or len(data["log"]) < SEGMENT_RECORDS:
            return
        records = list(data["log"])
        taken = data["taken"] + len(records)
        try:
            key = await asyncio.to_thread(store.put_segment, partition, taken, records)
        except (BotoCoreError, ClientError) as error:
            self._broker.log(f"A segment of partition {partition} cannot be put: {error}")
            await asyncio.sleep(_AGAIN_SECONDS)
            return
        last = records[-1]["position"]
        command = {"kind": "segment", "taken": taken, "key": key, "last": last}
        await self._broker.send(partition, command, 5.0)

    def _tell(self, problem: str) -> None:
        if problem != self._problem:
            self._broker.log(problem or "Secondary storage is available")
        self._problem = problem


def unexported(records: list[Json], position: int) -> list[Json]:
    """Give the first records after a position. Those before it stay while exporting soft-pauses."""
    return [one for one in records if one["position"] > position][:_BATCH]
