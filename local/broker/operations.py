"""What both clients' APIs do with a gateway: deploy, start, work on jobs, publish."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING, Any

from local.broker import bpmn
from local.broker.engine import message_partition, partition_of
from local.broker.gateway_port import OutcomeUnknown, PartitionUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.broker.gateway_port import Gateway

type Json = dict[str, Any]

_POLL_SECONDS = 0.1
_KEPT_SECONDS = 5.0
_INTENTS = {
    "deploy": "CREATE",
    "create_instance": "CREATE",
    "cancel_instance": "CANCEL",
    "activate_jobs": "ACTIVATE",
    "complete_job": "COMPLETE",
    "fail_job": "FAIL",
    "throw_error": "THROW_ERROR",
    "update_job": "UPDATE",
    "publish_message": "PUBLISH",
    "correlate_message": "CORRELATE",
    "resolve_incident": "RESOLVE",
    "put_user": "CREATE",
    "delete_user": "DELETE",
    "add_member": "ADD_ENTITY",
    "remove_member": "REMOVE_ENTITY",
    "put_entity": "CREATE",
    "create_authorization": "CREATE",
    "delete_authorization": "DELETE",
}
"""Camunda's names of the commands, as they stand in the words of a rejection."""


class CommandRejected(Exception):
    """The engine rejected a command: NOT_FOUND, INVALID_ARGUMENT, INVALID_STATE, ALREADY_EXISTS."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


async def send(gateway: Gateway, partition: int, command: Json, seconds: float = 10.0) -> Json:
    """Send a command. Raises CommandRejected beside what the gateway raises."""
    result = await gateway.send(partition, command, seconds)
    if "error" in result:
        code, intent = result["error"]["code"], _INTENTS.get(command["kind"], "UNKNOWN")
        text = f"Command '{intent}' rejected with code '{code}': {result['error']['message']}"
        raise CommandRejected(code, text)
    return dict(result["ok"])


async def deploy(gateway: Gateway, resources: Iterable[tuple[str, bytes]]) -> Json:
    """Deploy resources; gives the deployment's key and its processes.

    Answers when partition 1 has them; its outbox brings them to the others a moment later. So does
    Camunda: `DeploymentCreateProcessor` writes its response before it distributes the command.
    """
    processes = []
    for name, content in resources:
        try:
            found = bpmn.parse(content)
        except bpmn.InvalidProcess as error:
            text = (
                "Command 'CREATE' rejected with code 'INVALID_ARGUMENT': Expected to deploy new "
                f"resources, but encountered the following errors: '{name}': {error}"
            )
            raise CommandRejected("INVALID_ARGUMENT", text) from error
        digest = hashlib.sha256(content).hexdigest()
        processes += [{**one, "resource": name, "digest": digest} for one in found]
    partitions = gateway.active_partitions()
    command = {"kind": "deploy", "processes": processes, "partitions": partitions}
    return await send(gateway, 1, command)


async def create_instance(gateway: Gateway, command: Json, seconds: float = 0) -> Json:
    """Start an instance on the next partition; with `seconds`, wait as long for its end.

    Then `variables` are those at its end. Raises OutcomeUnknown when it does not end in time.
    """
    command = {"kind": "create_instance", **command}
    if not seconds:
        return await send(gateway, gateway.next_partition(), command) | {"variables": {}}
    give_up = time.monotonic() + seconds
    command["awaitUntil"] = int((time.time() + seconds + _KEPT_SECONDS) * 1000)
    created = await send(gateway, gateway.next_partition(), command)
    key = created["processInstanceKey"]
    while time.monotonic() < give_up:
        result = await by_key(gateway, "take_result", key)
        if result["state"] == "COMPLETED":
            return created | {"variables": result["variables"]}
        if result["state"] == "CANCELED":
            raise CommandRejected(
                "INVALID_STATE", f"The process instance {key} was terminated before its end"
            )
        await asyncio.sleep(_POLL_SECONDS)
    raise OutcomeUnknown(f"instance {key} did not complete within {seconds:g} s")


async def by_key(gateway: Gateway, kind: str, key: int, **fields: Any) -> Json:
    """Send a command to the partition that made a key."""
    partition = partition_of(key)
    if partition not in gateway.active_partitions():
        raise CommandRejected("NOT_FOUND", f"Expected to find {key}, but no such key was found")
    return await send(gateway, partition, {"kind": kind, "key": key, **fields})


async def publish(gateway: Gateway, command: Json, kind: str = "publish_message") -> Json:
    """Publish (or `correlate_message`) on the partition of the correlation key."""
    partition = message_partition(command["correlationKey"], gateway.message_partitions())
    return await send(gateway, partition, {"kind": kind, **command})


async def activate(gateway: Gateway, command: Json, seconds: float, turn: int = 0) -> list[Json]:
    """Activate jobs on all partitions, waiting up to so many seconds for the first.

    Partitions that cannot be reached are left out; raises PartitionUnavailable if none can be.
    """
    give_up = time.monotonic() + seconds
    while True:
        found: list[Json] = []
        failures = 0
        active = gateway.active_partitions()
        for place in range(len(active)):
            partition = active[(turn + place) % len(active)]
            wanted = {"kind": "activate_jobs", **command, "max": command["max"] - len(found)}
            try:
                found += (await send(gateway, partition, wanted))["jobs"]
            except (PartitionUnavailable, OutcomeUnknown):
                failures += 1
            if len(found) >= command["max"]:
                break
        if failures == len(active):
            raise PartitionUnavailable("no partition can be reached")
        if found or time.monotonic() >= give_up:
            return found
        await asyncio.sleep(_POLL_SECONDS)
