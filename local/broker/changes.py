"""How a broker executes the steps of a cluster change that are its own.

Every step may be executed again: a broker that dies in the middle goes on with it after its start.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.broker.engine import distribution
from local.broker.gateway_port import OutcomeUnknown, PartitionUnavailable
from local.broker.replica import Group
from local.broker.restore import Chosen, Sources, seed
from local.broker.wire import PeerSilent, PeerUnreachable

if TYPE_CHECKING:
    from local.broker.broker import Broker
    from local.broker.configuration import Step

type Json = dict[str, Any]

_CAUGHT_UP_SECONDS = 30.0
_AGAIN = (PartitionUnavailable, OutcomeUnknown, PeerSilent, PeerUnreachable, TimeoutError)


class Stuck(Exception):
    """The step cannot be executed now; it is tried again."""


async def go_on(broker: Broker) -> None:
    """Execute the step that has its turn, if it is this broker's."""
    step = broker.configuration.next_step() if broker.configuration else None
    if broker.configuration is None or step is None or step.broker != broker.node_id:
        return
    if step.begun is None:
        await broker.write(lambda document: document.begin(step, time.time()))
    try:
        await _execute(broker, step)
    except (Stuck, *_AGAIN) as error:
        broker.log(f"{step.operation} {step.partition or ''} waits: {error}")
        return
    current = broker.configuration.next_step()
    if current is step:
        await broker.write(lambda document: document.complete(step, time.time()))


async def _execute(broker: Broker, step: Step) -> None:
    partition = step.partition or 0
    match step.operation:
        case "PRE_SCALING":
            await asyncio.to_thread(broker.node_ids.pre_scale, len(step.brokers))
        case "POST_SCALING":
            await asyncio.to_thread(broker.node_ids.post_scale, len(step.brokers))
        case "PARTITION_JOIN":
            await _join(broker, partition, step.priority or 0)
        case "PARTITION_LEAVE":
            await _leave(broker, partition)
        case "PARTITION_BOOTSTRAP":
            if partition not in broker.replicas:
                broker.start_replica(partition, Group(1, (broker.node_id,)), rank=0)
            await _until(lambda: broker.replicas[partition].leads, "leads its group")
        case "AWAIT_REDISTRIBUTION":
            await _redistribute(broker)
        case "PARTITION_FORCE_RECONFIGURE":
            await _reform(broker, partition, step.brokers)
        case _:
            await _execute_other(broker, step, partition)


async def _execute_other(broker: Broker, step: Step, partition: int) -> None:
    match step.operation:
        case "ENTER_RECOVERY":
            await broker.stop_replicas()
        case "EXIT_RECOVERY":
            broker.exporting.forget()
            broker.start_replicas()
        case "AWAIT_MODE_CHANGE":
            await _until(
                lambda: all(one.has_leader for one in broker.replicas.values()), "has a leader"
            )
        case "EXPORTING_STATE_CHANGE":
            broker.exporting.keep(step.detail)
        case "PARTITION_PRE_RESTORE":
            directory = broker.partition_directory(partition)
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
        case "PARTITION_RESTORE":
            await _restore(broker, partition, int(step.detail))
        case _:
            # Members, priorities and what follows from them are in the document alone.
            return


async def _join(broker: Broker, partition: int, priority: int) -> None:
    """Start a replica with what the leader's group is now, and let the leader take it in."""
    directory = broker.partition_directory(partition)
    joining = directory / "joining"
    if partition not in broker.replicas:
        if directory.exists() and not joining.exists():
            raise Stuck(f"java.lang.IllegalStateException: Partition {partition} already exists")
        told: Json = await broker.ask_leader(partition, {"op": "group"})
        directory.mkdir(parents=True, exist_ok=True)
        joining.touch()
        group = Group(told["generation"], (*told["members"], broker.node_id), told["seed"])
        broker.start_replica(partition, group, broker.rank(partition, priority))
    replica = broker.replicas[partition]
    added: Json = await broker.ask_leader(partition, {"op": "add", "node": broker.node_id})
    # Independent of earlier memberships: the entry that added it now is applied, and all before.
    await _until(lambda: replica.applied >= added["last"] and replica.caught_up, "has caught up")
    replica.remember_members()
    joining.unlink(missing_ok=True)


async def _leave(broker: Broker, partition: int) -> None:
    """Let the group go on without this broker, then delete what it has of the partition."""
    replica = broker.replicas.get(partition)
    if replica is not None:
        if replica.leads:
            if replica.members() == {broker.node_id}:
                raise Stuck(f"no other broker has partition {partition}")
            replica.hand_over()
            raise Stuck("the partition is handed over to another leader")
        await broker.ask_leader(partition, {"op": "remove", "node": broker.node_id})
        await broker.drop_replica(partition)


async def _reform(broker: Broker, partition: int, members: list[int]) -> None:
    """Form the group anew with the retained members, from the most advanced of their journals."""
    generation = broker.configuration.generations.get(partition, 1) if broker.configuration else 1
    ask = {"partition": partition, "generation": generation}
    for node in members:
        # No replica is halted before all can be reached.
        await broker.ask(node, "group", {**ask, "op": "group"})
    told = {node: await broker.ask(node, "group", {**ask, "op": "halt"}) for node in members}
    done = {node: one for node, one in told.items() if one["generation"] > generation}
    if done:
        seed = (await broker.ask(min(done), "group", {**ask, "op": "group"}))["seed"]
    else:
        best = max(members, key=lambda node: tuple(told[node]["last"]))
        seed = (await broker.ask(best, "group", {**ask, "op": "final"}))["seed"]
    for node in members:
        if node not in done:
            await broker.ask(
                node,
                "group",
                {
                    "partition": partition,
                    "op": "reform",
                    "generation": generation + 1,
                    "members": members,
                    "seed": seed,
                },
            )


async def _restore(broker: Broker, partition: int, backup: int) -> None:
    """Begin a group of its own with what a backup has of the partition."""
    change = broker.configuration.pending if broker.configuration else None
    if change is None or broker.backups is None:
        raise Stuck("there is no backup store")
    try:
        # Every record of the range: the exporter passes over what the secondary storage has.
        chosen = Chosen(backup, {partition: 0})
        sources = Sources(broker.backups, broker.storage)
        state = await asyncio.to_thread(sources.read, chosen, partition)
    except (LookupError, BotoCoreError, ClientError) as error:
        raise Stuck(str(error)) from error
    seed(broker.partition_directory(partition), change.id, state)


async def _redistribute(broker: Broker) -> None:
    """Give the new partitions every process that partition 1 has."""
    pending = broker.configuration.pending if broker.configuration else None
    if broker.configuration is None or pending is None:
        return
    told = await broker.ask_leader(1, {"op": "snapshot"})
    for partition in range(broker.configuration.partitions + 1, pending.partitions + 1):
        for command in distribution(told["seed"]):
            await broker.send(partition, command)


async def _until(condition: Any, what: str) -> None:
    give_up = time.monotonic() + _CAUGHT_UP_SECONDS
    while not condition():
        if time.monotonic() > give_up:
            raise Stuck(f"it waits until the replica {what}")
        await asyncio.sleep(0.05)
