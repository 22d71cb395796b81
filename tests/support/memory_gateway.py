"""A gateway over engines in memory: no replication, no network, a clock that tests move."""

from __future__ import annotations

import json
import operator
import time
from datetime import datetime
from typing import Any

from local.broker.engine import Engine, message_partition
from local.broker.gateway_port import PartitionUnavailable

type Json = dict[str, Any]

USERS = {
    "CAMUNDA_SECURITY_INITIALIZATION_USERS_0_USERNAME": "admin",
    "CAMUNDA_SECURITY_INITIALIZATION_USERS_0_PASSWORD": "secret",
    "CAMUNDA_SECURITY_INITIALIZATION_USERS_0_NAME": "Admin User",
    "CAMUNDA_SECURITY_INITIALIZATION_USERS_0_EMAIL": "admin@example.com",
}
PROCESS = (
    '<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"'
    ' xmlns:zeebe="http://camunda.org/schema/zeebe/1.0">'
    '<bpmn:message id="m" name="go"><bpmn:extensionElements>'
    '<zeebe:subscription correlationKey="=key"/></bpmn:extensionElements></bpmn:message>'
    '<bpmn:process id="{id}" name="Lab" isExecutable="true">'
    '<bpmn:startEvent id="s"/><bpmn:serviceTask id="t"><bpmn:extensionElements>'
    '<zeebe:taskDefinition type="work" retries="2"/><zeebe:taskHeaders>'
    '<zeebe:header key="a" value="b"/></zeebe:taskHeaders></bpmn:extensionElements>'
    "</bpmn:serviceTask>{catch}"
    '<bpmn:endEvent id="e"/><bpmn:sequenceFlow id="f1" sourceRef="s" targetRef="t"/>'
    '<bpmn:sequenceFlow id="f2" sourceRef="t" targetRef="{after}"/></bpmn:process>'
    "</bpmn:definitions>"
)
CATCH = (
    '<bpmn:intermediateCatchEvent id="c"><bpmn:messageEventDefinition messageRef="m"/>'
    '</bpmn:intermediateCatchEvent><bpmn:sequenceFlow id="f3" sourceRef="c" targetRef="e"/>'
)
JOB_ONLY = PROCESS.format(id="work", catch="", after="e")
JOB_AND_MESSAGE = PROCESS.format(id="lab", catch=CATCH, after="c")
_SEARCHED = {
    "process-instances": "PROCESS_INSTANCE",
    "process-definitions": "PROCESS",
    "jobs": "JOB",
    "incidents": "INCIDENT",
    "variables": "VARIABLE",
}


class MemoryGateway:
    """Engines of all partitions; `down` holds those without a leader, `paused` export nothing."""

    def __init__(self, partitions: int = 3, version: str = "8.9.16") -> None:
        self.engines = {one: Engine(one) for one in range(1, partitions + 1)}
        self.version = version
        self.now = int(time.time() * 1000)
        self.down: set[int] = set()
        self.paused: set[int] = set()
        self.exported: list[Json] = []
        self._turn = 0

    async def send(self, partition: int, command: Json, timeout: float = 10.0) -> Json:
        if partition in self.down:
            raise PartitionUnavailable(f"partition {partition} has no leader")
        result = self.apply(partition, command)
        self.deliver()
        return result

    def apply(self, partition: int, command: Json) -> Json:
        """Apply a command as it comes off the wire."""
        text = json.dumps({**command, "now": self.now})
        return dict(json.loads(json.dumps(self.engines[partition].apply(json.loads(text)))))

    def deliver(self) -> None:
        """Bring all outboxes to their partitions, as far as these are up."""
        work = True
        while work:
            work = False
            for partition, engine in self.engines.items():
                for number, entry in list(engine.data["outbox"].items()):
                    command = {**entry["command"], "source": [partition, int(number)]}
                    target = entry["partition"] or message_partition(
                        command["correlationKey"], self.message_partitions()
                    )
                    if target in self.down:
                        continue
                    self.apply(target, command)
                    self.apply(partition, {"kind": "outbox_ack", "id": number})
                    work = True

    def active_partitions(self) -> list[int]:
        return list(self.engines)

    def message_partitions(self) -> int:
        return len(self.engines)

    def next_partition(self) -> int:
        up = [one for one in self.engines if one not in self.down]
        if not up:
            raise PartitionUnavailable("no partition has a leader")
        self._turn += 1
        return up[self._turn % len(up)]

    def topology(self) -> Json:
        newer = self.version.startswith("8.10")
        state = {"state": "active"} if newer else {}
        partitions = [
            {"partitionId": one, "role": "leader", "health": "healthy"} | state
            for one in self.engines
        ]
        broker = {
            "nodeId": 0,
            "host": "127.0.0.1",
            "port": 26501,
            "version": self.version,
            "partitions": partitions,
        }
        return {
            "brokers": [broker | ({"brokerId": "0"} if newer else {})],
            "clusterId": "memory",
            "clusterSize": 1,
            "partitionsCount": len(self.engines),
            "replicationFactor": 1,
            "gatewayVersion": self.version,
            "lastCompletedChangeId": "-1",
        }

    def healthy(self) -> bool:
        return len(self.down) < len(self.engines)

    async def search(self, what: str, query: Json) -> Json:
        """Find the last record of each key that a filter of values, `$in` or moments admits."""
        for partition, engine in self.engines.items():
            if partition in self.paused:
                continue
            records = engine.data["records"]
            self.exported += records
            if records:
                self.apply(partition, {"kind": "exported", "position": records[-1]["position"]})
        found = {
            one["key"]: one["value"] for one in self.exported if one["type"] == _SEARCHED[what]
        }
        wanted = query.get("filter") or {}
        items = [
            one
            for one in found.values()
            if all(_admits(value, one.get(name)) for name, value in wanted.items())
        ]
        return {"items": items, "total": len(items), "end": len(items)}


_COMPARE = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}


def _admits(wanted: Any, value: object) -> bool:
    if not isinstance(wanted, dict):
        return str(value) == str(wanted)
    return all(
        str(value) in map(str, operand)
        if name == "$in"
        else value is not None
        and _COMPARE[name](datetime.fromisoformat(str(value)), datetime.fromisoformat(operand))
        for name, operand in wanted.items()
    )
