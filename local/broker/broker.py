"""One broker: its life from waiting for a node id to leaving the cluster, and its part in it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
import uuid
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from local.broker import changes, directories, health, memory, runtime_backups
from local.broker.configuration import Configuration, Refusal
from local.broker.engine import message_partition
from local.broker.exporting import EVERY_SECONDS as EXPORTING_SECONDS
from local.broker.exporting import Exporting
from local.broker.files import read_json, write_json
from local.broker.forwarded import followed
from local.broker.gateway_port import OutcomeUnknown, PartitionUnavailable
from local.broker.members import EXCHANGE_SECONDS, Members, Peer
from local.broker.node_ids import Lease, LeaseLost, NodeIds
from local.broker.replica import ADDRESSES, Group, Replica, group_node, newest_generation
from local.broker.wire import INTERNAL_PORT, PeerSilent, PeerUnreachable, Wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import grpc.aio

    from local.broker.backups import Backups
    from local.broker.issuer import Issuer
    from local.broker.secondary_storage import SecondaryStorage
    from local.broker.settings import Settings

type Json = dict[str, Any]

MANAGEMENT_PORT = 9600
REST_PORT = 8080
GRPC_PORT = 26500
COORDINATOR_SECONDS = 10.0
# Camunda's `ClusterConfigurationRequestTopics`.
_SUBJECTS = {
    "patch": "topology-cluster-patch",
    "set_brokers": "topology-member-scale",
    "add_broker": "topology-member-add",
    "remove_broker": "topology-member-remove",
    "join_partition": "topology-partition-join",
    "leave_partition": "topology-partition-leave",
    "cancel": "topology-change-cancel",
}
_STEP_SECONDS = 0.1
_TICK_SECONDS = 0.5
_SCHEDULE_SECONDS = 1.0
_CLEANUP_SECONDS = 10.0
_ALONE_SECONDS = 0.6
_FENCE_SECONDS = 120.0
_FENCE_POLL_SECONDS = 1.0


class Broker:
    """A broker of the cluster that its environment describes."""

    def __init__(
        self,
        settings: Settings,
        node_ids: NodeIds,
        storage: SecondaryStorage,
        backups: Backups | None,
        resolve: Callable[[str], Sequence[str]],
        *,
        issuer: Issuer | None = None,
    ) -> None:
        self.settings = settings
        self._issuer = issuer
        self.node_ids = node_ids
        self.storage = storage
        self.backups = backups
        self._resolve = resolve
        self._stopping = threading.Event()
        self.replicas: dict[int, Replica] = {}
        self.configuration: Configuration | None = None
        self.exporting = Exporting(self)
        self.healthy_once: set[int] = set()
        self.ready_once = False
        self.started = False
        self._turn = 0
        self._delivering = asyncio.Lock()
        self._held_until = 0.0
        self.cleaned = time.time()
        self.checkpoint_due = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._grpc: grpc.aio.Server | None = None
        self._told: dict[str, list[int]] = {}
        """Stamp of the configuration that each address has from this broker."""
        self.lease: Lease
        self.members: Members
        self.wire: Wire
        self.directory: Path

    # Life

    def run(self) -> int:
        """Take part in the cluster until SIGTERM; give the exit code of the process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        self.node_ids.initialise()
        lease = self.node_ids.acquire(self._stopping)
        if lease is None:
            return 0
        self.lease = lease
        self.log(f"Acquired node id {lease.node_id} with version {lease.version}")
        # For people and tests on this machine: ECS does not know node ids.
        Path("node-id").write_text(str(lease.node_id))
        threading.Thread(target=self._renew, name="lease", daemon=True).start()
        code = asyncio.run(self._live())
        self.node_ids.release()
        return code

    @property
    def node_id(self) -> int:
        """Node id of this broker."""
        return self.lease.node_id

    @property
    def version(self) -> str:
        """Camunda's version that this broker performs."""
        return self.settings.version

    @property
    def recovering(self) -> bool:
        """Whether this broker is in recovery mode, and runs no partition."""
        own = self._document().members.get(self.node_id)
        return own is not None and own.state == "RECOVERING"

    @property
    def stopping(self) -> bool:
        """Whether the broker leaves the cluster."""
        return self._stopping.is_set()

    def log(self, line: str) -> None:
        """Print a line of the broker's log."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        print(f"[{stamp}.{int(time.time() * 1000) % 1000:03d}] {line}", flush=True)

    def end(self, line: str, code: int) -> None:
        """End the process at once, as Camunda does where it must not go on."""
        self.log(line)
        sys.stdout.flush()
        os._exit(code)

    def _renew(self) -> None:
        every = self.settings.lease_seconds / 3
        while not self._stopping.wait(every):
            members = getattr(self, "members", None)
            peers = members.live() if members else {}
            try:
                self.node_ids.renew({node: peer.lease_version for node, peer in peers.items()})
            except LeaseLost as error:
                self.log(
                    f"Failed to renew the lease: process is going to shut down immediately. {error}"
                )
                self.end("NodeIdProvider terminating the process", 1)

    async def _live(self) -> int:
        settings = self.settings
        self.members = Members(
            Peer(
                self.node_id,
                settings.address,
                int(time.time() * 1000),
                settings.version,
                self.lease.version,
            )
        )
        self.wire = Wire(settings.address)
        for name in ("exchange", "coordinate", "command", "group", "exporting", "backup"):
            self.wire.on(name, getattr(self, f"_on_{name}"))
        await self.wire.start()
        self._repeat(EXCHANGE_SECONDS, self._exchange)
        try:
            await self._fence()
            self.directory = directories.prepare(settings.data, self.node_id, self.lease.version)
            await self._find_configuration()
            if not self.recovering:
                self.start_replicas()
            if self.replicas:
                memory.die_if_exceeded(settings)
            self.exporting.start()
            self._repeat(EXPORTING_SECONDS, self.exporting.turn)
            await self._serve()
            self.started = True
            self._repeat(_STEP_SECONDS, lambda: changes.go_on(self))
            self._repeat(_TICK_SECONDS, self._tick)
            self._repeat(_STEP_SECONDS, self._deliver)
            self._repeat(_SCHEDULE_SECONDS, lambda: runtime_backups.keep_schedule(self))
            self._repeat(_CLEANUP_SECONDS, lambda: runtime_backups.keep_retention(self))
            self.log("Broker is ready to take part")
            while not self._stopping.is_set():
                await asyncio.sleep(0.1)
                self._note_health()
                if self._expelled():
                    self.end(
                        "Shutting down the broker. Please restart the broker to use the new "
                        "topology.",
                        1,
                    )
        except StopWaitingError:
            return 0
        finally:
            await self._leave()
        return 0

    async def _leave(self) -> None:
        self._stopping.set()
        for replica in self.replicas.values():
            if replica.leads:
                replica.hand_over()
        await asyncio.sleep(0.2 if any(one.leads for one in self.replicas.values()) else 0)
        with suppress(Exception):
            await self._exchange()
        for task in self._tasks:
            task.cancel()
        if self._grpc is not None:
            await self._grpc.stop(0.2)
        await self.wire.stop()
        for replica in self.replicas.values():
            await asyncio.to_thread(replica.stop)
        self.log("Broker stopped")

    async def _fence(self) -> None:
        """Wait until all others know this version of the node, unless it was left in good order."""
        if self.lease.previous == "graceful":
            return
        give_up = time.monotonic() + _FENCE_SECONDS
        while not await asyncio.to_thread(self.node_ids.others_know):
            if self._stopping.is_set():
                raise StopWaitingError
            if time.monotonic() > give_up:
                self.end("The members of the cluster do not know this version of the node", 1)
            await asyncio.sleep(_FENCE_POLL_SECONDS)

    async def _find_configuration(self) -> None:
        """Take the configuration from the directory, from others, or make the first one.

        Only the lowest node makes one (Camunda's StaticInitializer), when it knows no member that
        has one. Nothing listens for clients before.
        """
        stored = read_json(self.directory / "topology.json")
        if stored is not None:
            self._adopt(Configuration.from_json(stored))
        alone_since = time.monotonic()
        while self.configuration is None:
            if self._stopping.is_set():
                raise StopWaitingError
            if self.node_id == 0 and time.monotonic() - alone_since > _ALONE_SECONDS:
                settings = self.settings
                self._adopt(
                    Configuration(
                        settings.cluster_size,
                        settings.partitions,
                        settings.replication_factor,
                        dialect=settings.dialect,
                        cluster_id=str(uuid.uuid4()),
                    )
                )
                return
            await asyncio.sleep(0.05)

    def start_replicas(self) -> None:
        """Start what this broker has of its partitions; those that are started stay."""
        document = self._document()
        own = document.members.get(self.node_id)
        for partition, held in (own.partitions if own else {}).items():
            directory = self.partition_directory(partition)
            generation = newest_generation(directory)
            known = generation or document.generations.get(partition, 1)
            if partition in self.replicas or (held.state == "JOINING" and not generation):
                continue
            group = Group(known, tuple(document.replicas(partition)))
            self.start_replica(partition, group, self.rank(partition, held.priority))

    async def _serve(self) -> None:
        # The applications import the broker's parts: here, so that waiting for an id costs little.
        from local.broker import (
            access,
            grpc_gateway,
            identity,
            management,
            recovery,
            rest,
            sessions,
            users,
        )

        environment = self.settings.environment
        known = users.Users(environment, self, self._issuer)
        persists = identity.sessions_persist(environment)
        kept = sessions.Sessions(self.storage if persists else sessions.Memory())
        logins = access.Access(known, kept, self._issuer)
        self._grpc = await grpc_gateway.serve(self, known, self.settings.address, GRPC_PORT)
        for app, port in (
            (management.management_app(self), MANAGEMENT_PORT),
            (rest.rest_app(self, known, recovery.routes(self), logins), REST_PORT),
        ):
            server = _Server(
                uvicorn.Config(
                    followed(app, self.settings.environment) if port == REST_PORT else app,
                    # Of the headers, `followed` decides.
                    proxy_headers=False,
                    host=self.settings.address,
                    port=port,
                    log_level="warning",
                    access_log=False,
                    lifespan="off",
                    http="httptools",
                    loop="asyncio",
                )
            )
            task = asyncio.create_task(server.serve())
            self._tasks.append(task)
            while not server.started:
                if task.done():
                    raise OSError(f"{self.settings.address}:{port} cannot be bound")
                await asyncio.sleep(0.01)

    def _repeat(self, every: float, action: Callable[[], Awaitable[None]]) -> None:
        async def loop() -> None:
            while True:
                try:
                    await action()
                except Exception as error:  # noqa: BLE001
                    # One turn that fails does not end the broker; the next one tries again.
                    self.log(f"{type(error).__name__}: {error}")
                await asyncio.sleep(every)

        self._tasks.append(asyncio.create_task(loop()))

    # Members and configuration

    def _document(self) -> Configuration:
        if self.configuration is None:
            raise Refusal(502, "The cluster configuration is not known yet")
        return self.configuration

    def _adopt(self, document: Configuration) -> None:
        if self.configuration is None or document.stamp > self.configuration.stamp:
            self.configuration = document
            self._keep()

    def _keep(self) -> None:
        if self.configuration is not None and hasattr(self, "directory"):
            write_json(self.directory / "topology.json", self.configuration.to_json())

    async def write[T](self, change: Callable[[Configuration], T]) -> T:
        """Change the configuration, keep it, and pass it on."""
        result = change(self._document())
        self._keep()
        await self._exchange()
        return result

    async def _exchange(self) -> None:
        self.members.beat(health.partitions_seen(self))
        live = self.members.live()
        ADDRESSES.update(
            {group_node(n, 0).partition(":")[0]: peer.address for n, peer in live.items()}
        )
        addresses = {peer.address for peer in live.values()}
        if len(live) == 1 or self.configuration is None:
            addresses |= set(self._contacts())
        addresses.discard(self.settings.address)
        stamp = self._stamp()
        payload: Json = {"peers": self.members.tell(), "stamp": stamp, "document": None}
        if any(self._told.get(one) != stamp for one in addresses):
            payload["document"] = self.configuration and self.configuration.to_json()
        asked = list(addresses)
        answers = await asyncio.gather(
            *(self.wire.call(one, "exchange", payload, 1.0) for one in asked),
            return_exceptions=True,
        )
        self._told = {}
        for address, answer in zip(asked, answers, strict=True):
            if isinstance(answer, dict):
                self._told[address] = stamp
                self._hear(answer)
        await self.wire.forget(addresses)

    async def _on_exchange(self, payload: Json) -> Json:
        self._hear(payload)
        newer = self._stamp() > payload["stamp"]
        document = self.configuration.to_json() if self.configuration and newer else None
        return {"peers": self.members.tell(), "document": document}

    def _stamp(self) -> list[int]:
        return list(self.configuration.stamp) if self.configuration else []

    def _hear(self, payload: Json) -> None:
        self.members.hear(payload["peers"])
        if payload["document"]:
            self._adopt(Configuration.from_json(payload["document"]))

    def _contacts(self) -> list[str]:
        found: list[str] = []
        for point in self.settings.contact_points:
            host, _, port = point.rpartition(":")
            if int(port) == INTERNAL_PORT:
                found += self._resolve(host)
        return found

    def _expelled(self) -> bool:
        """Whether a forced change removed this broker while it lives."""
        document = self.configuration
        return bool(
            document and self.replicas and self.node_id not in document.members and self.started
        )

    def exporter_state(self, partition: int) -> str:
        """Give the state of the exporter of this broker's replica of a partition."""
        own = self._document().members.get(self.node_id)
        held = own.partitions.get(partition) if own else None
        return held.exporter if held else "ENABLED"

    async def await_change(self, change_id: int, seconds: float) -> bool:
        """Wait until a change is over; whether it was in time, and not cancelled."""
        give_up = time.monotonic() + seconds
        while (last := self._document().last) is None or last.id < change_id:
            if time.monotonic() > give_up:
                return False
            await asyncio.sleep(_STEP_SECONDS)
        return last.status == "COMPLETED"

    async def coordinate(self, name: str, arguments: Json, seconds: float | None = None) -> Any:
        """Let the coordinator answer a request. Raises Refusal as the endpoint would answer."""
        document = self._document()
        forced = bool(arguments.get("force"))
        retained = document.retained(arguments["body"]) if forced else set(document.members)
        coordinator = min(retained or document.members)
        subject = _SUBJECTS.get(name, "topology-query")
        peer = self.members.live().get(coordinator)
        if peer is None:
            raise Refusal(
                502,
                f"Expected to send a message with subject '{subject}' to member "
                f"'{coordinator}', but member is not known. Known members are "
                f"'{sorted(self.members.live())}'.",
            )
        payload = {"name": name, "arguments": arguments}
        if coordinator == self.node_id:
            return await self._on_coordinate(payload)
        try:
            return await self.wire.call(
                peer.address, "coordinate", payload, seconds or COORDINATOR_SECONDS
            )
        except PeerUnreachable as error:
            raise Refusal(
                502,
                f"Failed to connect channel for address {peer.address}:{INTERNAL_PORT} "
                "(resolved: null) : Connection refused",
            ) from error
        except PeerSilent as error:
            raise Refusal(
                504,
                f"Request {subject} to {peer.address}:{INTERNAL_PORT} timed out in PT10S",
            ) from error

    async def _on_coordinate(self, payload: Json) -> Any:
        name, arguments = payload["name"], payload["arguments"]
        document = self._document()
        if name in ("describe", "changes", "exporters", "restore_status"):
            return getattr(document, name)()
        answer = getattr(document, name)(now=time.time(), **arguments)
        if not arguments.get("dry_run"):
            await self.write(lambda _: None)
        return answer

    # Partitions

    def partition_directory(self, partition: int) -> Path:
        """Directory of what this broker has of a partition."""
        return directories.partition(self.directory, partition)

    def rank(self, partition: int, priority: int) -> int:
        """Place of a replica among its partition's by priority: 0 is to lead."""
        held = self._document().replicas(partition)
        return sum(one.priority > priority for node, one in held.items() if node != self.node_id)

    def start_replica(self, partition: int, group: Group, rank: int) -> None:
        """Start this broker's replica of a partition."""
        self.replicas[partition] = Replica(
            partition,
            self.node_id,
            address=self.settings.address,
            directory=self.partition_directory(partition),
            group=group,
            rank=rank,
        )

    async def stop_replicas(self) -> None:
        """Stop all replicas of this broker; their data stays."""
        while self.replicas:
            _, replica = self.replicas.popitem()
            await asyncio.to_thread(replica.stop)

    async def drop_replica(self, partition: int) -> None:
        """Stop this broker's replica of a partition and delete its data."""
        replica = self.replicas.pop(partition)
        await asyncio.to_thread(replica.delete)

    async def ask(self, node: int, name: str, payload: Json, seconds: float = 15.0) -> Any:
        """Call a broker by its node id, this one too. Raises PeerUnreachable if it is not live."""
        if node == self.node_id:
            return await getattr(self, f"_on_{name}")(payload)
        peer = self.members.live().get(node)
        if peer is None:
            raise PeerUnreachable(f"broker {node} is not known")
        return await self.wire.call(peer.address, name, payload, seconds)

    async def ask_leader(self, partition: int, payload: Json) -> Any:
        """Call the leader of a partition about its group. Raises PartitionUnavailable."""
        return await self.ask(self.leader(partition), "group", {"partition": partition, **payload})

    def leader(self, partition: int) -> int:
        """Give the node id of a partition's leader. Raises PartitionUnavailable."""
        leader = self.members.leader(partition)
        if leader is None:
            raise PartitionUnavailable(
                f"Expected to handle gRPC request, but partition {partition} has no leader"
            )
        return leader.node_id

    async def _on_group(self, payload: Json) -> Any:
        partition = payload["partition"]
        replica = self.replicas.get(partition)
        if replica is None:
            raise PartitionUnavailable(f"broker {self.node_id} has no replica of {partition}")
        match payload["op"]:
            case "group":
                return {
                    "generation": replica.generation,
                    "members": sorted(replica.members()),
                    "seed": read_json(replica.directory / "seed.json"),
                }
            case "halt" if replica.generation > payload["generation"]:
                return {"generation": replica.generation}
            case "halt":
                last = await asyncio.to_thread(replica.halt)
                return {"generation": replica.generation, "last": list(last)}
            case "final":
                return {"seed": await asyncio.to_thread(replica.final)}
            case "snapshot":
                return {"seed": replica.snapshot(), "generation": replica.generation}
            case "add":
                await replica.add(payload["node"])
                return {"last": replica.last}
            case "remove":
                await replica.remove(payload["node"])
            case "hand_over":
                replica.hand_over(payload.get("node"))
            case "reform" if replica.generation < payload["generation"]:
                await asyncio.to_thread(replica.stop)
                group = Group(payload["generation"], tuple(payload["members"]), payload["seed"])
                rank = payload["members"].index(self.node_id)
                self.start_replica(partition, group, rank)
        return None

    async def _on_command(self, payload: Json) -> Json:
        replica = self.replicas.get(payload["partition"])
        if replica is None:
            raise PartitionUnavailable(
                f"broker {self.node_id} has no replica of {payload['partition']}"
            )
        command = {**payload["command"], "now": int(time.time() * 1000)}
        known = replica.engine.answer(command) if replica.leads else None
        if known is not None:
            return known
        return await replica.submit(command, payload["seconds"])

    async def _tick(self) -> None:
        """Expire jobs and messages, and note the members of the groups."""
        for replica in list(self.replicas.values()):
            replica.keep(self._document().replicas(replica.partition))
            replica.remember_members()
            if replica.leads and replica.engine.due(int(time.time() * 1000)):
                with suppress(PartitionUnavailable, OutcomeUnknown):
                    await self._on_command(
                        {"partition": replica.partition, "command": {"kind": "tick"}, "seconds": 5}
                    )

    async def hold(self, seconds: float) -> None:
        """Deliver nothing for so long; what was under way is done when this returns."""
        self._held_until = time.monotonic() + seconds
        async with self._delivering:
            return

    async def _deliver(self) -> None:
        async with self._delivering:
            await self._deliver_all()

    async def _deliver_all(self) -> None:
        """Bring to other partitions what a led partition has for them, at least once, in order."""
        for partition, replica in list(self.replicas.items()):
            blocked: set[int] = set()
            for number, entry in (
                list(replica.engine.data["outbox"].items()) if replica.leads else ()
            ):
                command = {**entry["command"], "source": [partition, int(number)]}
                target = entry["partition"] or message_partition(
                    command["correlationKey"], self.message_partitions()
                )
                if target in blocked:
                    continue
                if time.monotonic() < self._held_until:
                    return
                try:
                    await self.send(target, command)
                    await self.send(partition, {"kind": "outbox_ack", "id": number})
                except (PartitionUnavailable, OutcomeUnknown):
                    blocked.add(target)

    def _note_health(self) -> None:
        for partition, replica in self.replicas.items():
            if partition not in self.healthy_once and replica.has_leader:
                self.healthy_once.add(partition)
        self.ready_once = self.ready_once or health.ready(self)

    # Client requests: the gateway's port

    async def send(self, partition: int, command: Json, timeout: float = 10.0) -> Json:
        """Let the leader of a partition replicate a command; see gateway_port.Gateway."""
        payload = {"partition": partition, "command": command, "seconds": timeout}
        try:
            result: Json = await self.ask(self.leader(partition), "command", payload, timeout + 1)
        except PeerUnreachable as error:
            raise PartitionUnavailable(str(error)) from error
        except PeerSilent as error:
            raise OutcomeUnknown(str(error)) from error
        return result

    def active_partitions(self) -> list[int]:
        """Give the partitions that get new instances."""
        document = self._document()
        handling = document.routing()["requestHandling"]
        added = handling.get("additionalActivePartitions", [])
        return [*range(1, document.partitions + 1), *added]

    def message_partitions(self) -> int:
        """Give the number of partitions over which messages are spread."""
        return int(self._document().routing()["messageCorrelation"]["partitionCount"])

    def next_partition(self) -> int:
        """Give the next partition that has a leader, in turn. Raises PartitionUnavailable."""
        active = self.active_partitions()
        for _ in active:
            self._turn += 1
            partition = active[self._turn % len(active)]
            if self.members.leader(partition):
                return partition
        raise PartitionUnavailable("no partition has a leader")

    def topology(self) -> Json:
        """Give the body of `GET /v2/topology`."""
        return health.topology(self)

    def healthy(self) -> bool:
        """Whether a partition has a healthy leader."""
        return any(self.members.leader(one) for one in self.active_partitions())

    async def search(self, what: str, query: Json) -> Json:
        """Search the secondary storage. Raises StorageUnavailable."""
        result: Json = await asyncio.to_thread(self.storage.search, what, query)
        return result

    async def _on_exporting(self, payload: Json) -> Any:
        return await self.exporting.answer(payload)

    async def _on_backup(self, payload: Json) -> Any:
        return await runtime_backups.take_part(self, payload)


class StopWaitingError(Exception):
    """SIGTERM came while the broker waited for its start."""


class _Server(uvicorn.Server):
    """A server that leaves signals to the broker."""

    def capture_signals(self) -> Any:
        return nullcontext()
