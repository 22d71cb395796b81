"""One replica of a partition: a member of the partition's Raft group, with its journal in files.

The group is PySyncObj's. Its nodes are named by node id, not by address, because a broker that
starts again has another address. A group that is formed anew by force is a new generation: every
retained member starts from the same state, taken from the one whose journal is the most advanced.
"""

from __future__ import annotations

import asyncio
import functools
import json
import pickle
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pysyncobj import FAIL_REASON, SyncObj, SyncObjConf, SyncObjConsumer, replicated
from pysyncobj.journal import FileJournal
from pysyncobj.node import TCPNode
from pysyncobj.transport import TCPTransport

from local.broker.engine import Engine
from local.broker.files import read_json, write_json
from local.broker.gateway_port import OutcomeUnknown, PartitionUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

type Json = dict[str, Any]
type Entry = tuple[bytes, int, int]
"""Command, index and term."""

_FIRST_PORT = 26600
_TRIES = 50
# What an entry of the journal begins with when it is a command (`_COMMAND_TYPE` of PySyncObj).
_REGULAR = b"\0"
_NOTHING_DONE = {FAIL_REASON.QUEUE_FULL, FAIL_REASON.MISSING_LEADER}

ADDRESSES: dict[str, str] = {}
"""Present address of each node of this process's groups; membership keeps it."""


class GroupNode(TCPNode):  # type: ignore[misc]
    """A broker in a Raft group, reached where it is now."""

    @property
    def ip(self) -> str | None:
        """Address of the broker, or None while it is unknown."""
        return ADDRESSES.get(self.host)


@dataclass
class _Contact:
    """State that a replica shares with its transport, which runs in its own thread."""

    kept: frozenset[str]
    """Nodes to stay connected to, independent of the journal."""
    committed: int = 0
    """The highest index that a leader has reported as committed."""


def unknown_part(log: Sequence[Entry], message: Json) -> tuple[Json, int]:
    """Take out of a leader's message the entries that a journal has already.

    PySyncObj 0.3.17 deletes everything after `prevLogIdx`, even if the message came twice and
    the entries are acknowledged; Raft deletes from the first one that differs (section 5.3). Gives
    the message to handle, and the index up to which the journal and the message agree where there
    is nothing to add and nothing to delete; 0 otherwise.
    """
    first, last, at = log[0][1], log[-1][1], int(message["prevLogIdx"])
    if not first <= at < last or log[at - first][2] != message["prevLogTerm"]:
        return message, 0
    entries = list(message["entries"])
    while entries and at < last and log[at + 1 - first][2] == entries[0][2]:
        at += 1
        entries.pop(0)
    if entries or at == last:
        term = log[at - first][2]
        return {**message, "prevLogIdx": at, "prevLogTerm": term, "entries": entries}, 0
    kept = {name: message[name] for name in ("type", "term")}
    return {**kept, "commit_index": min(at, message["commit_index"])}, at


class _Transport(TCPTransport):  # type: ignore[misc]
    """Connects a replica to the members in its journal and to those in the configuration.

    The journal of a replica that catches up has members that left and came back. A replica that
    drops its leader over an old entry never receives the newer ones.
    """

    def __init__(
        self, raft: SyncObj, me: TCPNode, others: set[TCPNode], *, contact: _Contact
    ) -> None:
        self._contact = contact
        self._kept: set[TCPNode] = set()  # no members by the journal, and connected all the same
        super().__init__(raft, me, others)

    def addNode(self, node: TCPNode) -> None:  # noqa: N802
        """Connect to a node, once."""
        self._kept.discard(node)
        if node not in self._nodes:
            super().addNode(node)

    def dropNode(self, node: TCPNode) -> None:  # noqa: N802
        """Forget a node, unless it is kept."""
        if node.id in self._contact.kept:
            self._kept.add(node)
        else:
            super().dropNode(node)

    def _connectIfNecessary(self) -> None:  # noqa: N802
        wanted = self._contact.kept - {node.id for node in self._nodes} - {self._selfNode.id}
        for node in map(GroupNode, wanted):
            super().addNode(node)
            self._kept.add(node)
        for node in [one for one in self._kept if one.id not in self._contact.kept]:
            self._kept.discard(node)
            super().dropNode(node)
        super()._connectIfNecessary()

    def _onMessageReceived(self, node: TCPNode, message: Json) -> None:  # noqa: N802
        kind = message["type"]
        if kind in {"next_node_idx", "response_vote"} and node not in self._syncObj.otherNodes:
            # It has no vote, and nothing is sent to it.
            return
        if kind == "append_entries" and message["term"] >= self._syncObj.raftCurrentTerm:
            self._contact.committed = max(self._contact.committed, message["commit_index"])
            if "entries" in message:
                message, agreed = unknown_part(self._syncObj._SyncObj__raftLog, message)
                if agreed:
                    answer = {"next_node_idx": agreed + 1, "reset": False, "success": True}
                    self.send(node, {"type": "next_node_idx", **answer})
        super()._onMessageReceived(node, message)


def group_node(node_id: int, partition: int) -> str:
    """Name of a broker in a partition's group."""
    return f"node-{node_id}:{_FIRST_PORT + partition}"


class _State(SyncObjConsumer):  # type: ignore[misc]
    """The engine as PySyncObj replicates it: one entry of the journal is a batch of commands."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine

    @replicated  # type: ignore[untyped-decorator]
    def apply(self, batch: bytes) -> list[Json]:
        """Apply commands in order."""
        return [self.engine.apply(command) for command in json.loads(batch)]

    def _serialize(self) -> Json:
        return {"engine": json.dumps(self.engine.data)}

    def _deserialize(self, data: Json) -> None:
        self.engine.data = json.loads(data["engine"])


@dataclass(frozen=True)
class Group:
    """What a replica needs to know of its group when it starts."""

    generation: int
    members: tuple[int, ...]
    seed: Json | None = None


class Replica:
    """A started replica; `directory` is the partition's, with one directory a generation."""

    def __init__(
        self,
        partition: int,
        node_id: int,
        *,
        address: str,
        directory: Path,
        group: Group,
        rank: int,
    ) -> None:
        self.partition = partition
        self.node_id = node_id
        self.generation = group.generation
        self.directory = directory / f"generation-{group.generation}"
        self.directory.mkdir(parents=True, exist_ok=True)
        seed = self.directory / "seed.json"
        if group.seed is not None and not seed.exists():
            write_json(seed, group.seed)
        self._members = self.directory / "members.json"
        members = read_json(self._members) or list(group.members)
        self._contact = _Contact(self._names({*members, *group.members}))
        data = read_json(seed)
        self._state = _State(Engine(partition, data))
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Json, asyncio.Future[Json]]] = []
        self._flushing = False
        self._final: Json | None = None
        # The wanted leader's timeout ends first; the others' follow in the order of priority.
        timeout = 0.35 + 0.25 * rank
        self._raft = SyncObj(
            group_node(node_id, partition),
            [group_node(one, partition) for one in members if one != node_id],
            SyncObjConf(
                # A command wakes the group at once; without one it has little to do.
                autoTickPeriod=0.05,
                appendEntriesUseBatch=False,
                appendEntriesPeriod=0.1,
                bindAddress=f"{address}:{_FIRST_PORT + partition}",
                journalFile=str(self.directory / "journal"),
                fullDumpFile=str(self.directory / "snapshot"),
                dynamicMembershipChange=True,
                commandsWaitLeader=False,
                connectionRetryTime=0.2,
                connectionTimeout=2.0,
                leaderFallbackTimeout=1.5,
                raftMinTimeout=timeout,
                raftMaxTimeout=timeout + 0.25,
                logCompactionMinEntries=50_000,
                logCompactionMinTime=86_400,
                useFork=False,
            ),
            consumers=[self._state],
            nodeClass=GroupNode,
            transportClass=functools.partial(_Transport, contact=self._contact),
        )

    @property
    def engine(self) -> Engine:
        """State of the partition on this replica."""
        return self._state.engine

    @property
    def leads(self) -> bool:
        """Whether this replica leads and a majority of the group is connected."""
        return bool(self._raft._isLeader()) and self._raft.hasQuorum

    @property
    def has_leader(self) -> bool:
        """Whether this replica knows a leader that can commit."""
        return self._raft._getLeader() is not None and self._raft.hasQuorum

    @property
    def caught_up(self) -> bool:
        """Whether everything that a leader reported as committed is applied here."""
        told = self._contact.committed
        return self.leads or (self.has_leader and 0 < told <= self.applied)

    @property
    def applied(self) -> int:
        """Index of the last entry that is applied here."""
        return int(self._raft.raftLastApplied)

    @property
    def last(self) -> int:
        """Index of the last entry of the journal, applied or not."""
        return int(self._raft._SyncObj__raftLog[-1][1])

    @property
    def term(self) -> int:
        """Present term of the group, as this replica knows it."""
        return int(self._raft.raftCurrentTerm)

    def halt(self) -> tuple[int, int]:
        """Stop for good; gives term and index of the last entry in the journal.

        By these Raft compares journals: the higher is the more advanced.
        """
        self.stop()
        _, index, term = FileJournal(str(self.directory / "journal"))[-1]
        return term, index

    def final(self) -> Json:
        """Give the state with all entries of the journal, after `halt`.

        Also with those that this replica does not know to be committed: of the most advanced
        journal they may be acknowledged.
        """
        if self._final is not None:
            return self._final
        applied = self._raft.raftLastApplied
        for command, index, _ in FileJournal(str(self.directory / "journal"))[:]:
            if index > applied and command[:1] == _REGULAR:
                _, arguments = pickle.loads(command[1:])  # noqa: S301 (this broker's own journal)
                for one in json.loads(arguments[0]):
                    self.engine.apply(one)
        self._final = self.snapshot()
        return self._final

    def members(self) -> set[int]:
        """Node ids of the group as this replica knows it."""
        nodes = {self._raft.selfNode, *self._raft.otherNodes}
        return {int(node.host.removeprefix("node-")) for node in nodes}

    def keep(self, members: Iterable[int]) -> None:
        """Stay connected to the brokers that the configuration names for the partition."""
        self._contact.kept = self._names(members)

    def _names(self, members: Iterable[int]) -> frozenset[str]:
        return frozenset(group_node(one, self.partition) for one in members)

    def remember_members(self) -> None:
        """Write down who belongs to the group: what a start from these files begins with."""
        if not self.caught_up:
            return
        members = sorted(self.members())
        if read_json(self._members) != members:
            write_json(self._members, members)

    async def submit(self, command: Json, seconds: float) -> Json:
        """Replicate a command; gives the engine's result once a majority has it in its files.

        Raises PartitionUnavailable when nothing was done and OutcomeUnknown when that is not known.
        """
        if not self.leads:
            raise PartitionUnavailable(f"partition {self.partition} has no leader here")
        result: asyncio.Future[Json] = self._loop.create_future()
        self._waiting.append((command, result))
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        try:
            return await asyncio.wait_for(result, seconds)
        except TimeoutError as error:
            raise OutcomeUnknown(
                f"partition {self.partition} did not commit within {seconds:g} s"
            ) from error

    def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        self._flushing = False

        def done(results: list[Json] | None, reason: int) -> None:
            self._loop.call_soon_threadsafe(_settle, batch, results, reason)

        self._state.apply(json.dumps([command for command, _ in batch]).encode(), callback=done)

    async def add(self, node_id: int) -> None:
        """Take a broker into the group. Call it on the leader; repeating it is harmless."""
        if node_id not in self.members():
            await self._change(self._raft.addNodeToCluster, node_id)

    async def remove(self, node_id: int) -> None:
        """Take a broker out of the group. Call it on the leader, which cannot remove itself."""
        if node_id in self.members():
            await self._change(self._raft.removeNodeFromCluster, node_id)

    async def _change(self, change: Any, node_id: int) -> None:
        result: asyncio.Future[int] = self._loop.create_future()

        def done(_: object, reason: int) -> None:
            self._loop.call_soon_threadsafe(_set, result, reason)

        change(GroupNode(group_node(node_id, self.partition)), callback=done)
        reason = await asyncio.wait_for(result, 5)
        if reason != FAIL_REASON.SUCCESS:
            raise PartitionUnavailable(f"the group refused the change of members ({reason})")

    def hand_over(self, node_id: int | None = None) -> None:
        """Let another member lead: a given one, or the most advanced."""
        name = None if node_id is None else group_node(node_id, self.partition)
        self._raft.transferLeadership(name)

    def snapshot(self) -> Json:
        """Give the state as it is, JSON-serialisable."""
        for _ in range(_TRIES):
            try:
                return cast("Json", json.loads(json.dumps(self.engine.data)))
            except RuntimeError:
                # A command was applied meanwhile.
                continue
        raise PartitionUnavailable(f"partition {self.partition} is too busy for a snapshot")

    def stop(self) -> None:
        """Close the group's connections and files."""
        if self._raft.tick_thread_alive():
            self._raft.destroy_synchronous()

    def delete(self) -> None:
        """Stop, and delete what this replica has of the partition."""
        self.stop()
        shutil.rmtree(self.directory.parent, ignore_errors=True)


def newest_generation(directory: Path) -> int:
    """Give the newest generation whose files a broker has of a partition; 0 without any."""
    found = [int(one.name.partition("-")[2]) for one in directory.glob("generation-*")]
    return max(found, default=0)


def _settle(
    batch: Iterable[tuple[Json, asyncio.Future[Json]]], results: list[Json] | None, reason: int
) -> None:
    for place, (_, future) in enumerate(batch):
        if future.done():
            continue
        if reason == FAIL_REASON.SUCCESS and results is not None:
            future.set_result(results[place])
        elif reason in _NOTHING_DONE:
            future.set_exception(PartitionUnavailable(f"the partition has no leader ({reason})"))
        else:
            future.set_exception(OutcomeUnknown(f"the leader changed before the commit ({reason})"))


def _set(future: asyncio.Future[int], value: int) -> None:
    if not future.done():
        future.set_result(value)
