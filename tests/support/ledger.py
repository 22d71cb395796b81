"""Whether what a cluster acknowledged is still there, by its files and by its secondary storage.

Nothing of the broker is used here: the files are read as what they are, the journals of PySyncObj
0.3.17 (`pysyncobj/journal.py`: a header of 40 bytes with the end of the last record, then records
of size, index, term and command), beside `seed.json` and a snapshot (a gzipped pickle).
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import math
import pickle
import struct
import urllib.request
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

type Json = dict[str, Any]
type Item = tuple[str, str]
"""What was done, and to what: `("create", business value)`, `("complete", job key)`, …"""
type Place = tuple[int, int]
"""Index and term of an entry."""

PARTITION_BITS = 51
_END_OFFSET = 36
_FIRST_RECORD = 40
_REGULAR = 0
_KINDS = {
    "create_instance": ("create", "businessId"),
    "complete_job": ("complete", "key"),
    "publish_message": ("publish", "messageId"),
}


@dataclass
class Claims:
    """What a client was told: items with the keys that the answers gave."""

    acknowledged: dict[Item, str] = field(default_factory=dict)
    ambiguous: set[Item] = field(default_factory=set)
    twice: list[Item] = field(default_factory=list)
    """Acknowledged more than once, though it can be done only once."""

    @staticmethod
    def read(log: Path, until: float = math.inf) -> Claims:
        """Read the log of a client: what it was told before a time."""
        claims = Claims()
        for line in map(json.loads, log.read_text().splitlines()):
            if line["at"] >= until:
                continue
            item = (line["did"], line["key"] if line["did"] == "complete" else line["value"])
            if line["did"] == "deploy":
                continue
            if line["outcome"] == "ambiguous":
                claims.ambiguous.add(item)
            elif line["outcome"] == "acknowledged":
                if item in claims.acknowledged:
                    claims.twice.append(item)
                claims.acknowledged[item] = line["key"]
        claims.ambiguous -= set(claims.acknowledged)
        return claims

    def counts(self) -> dict[str, int]:
        """Acknowledged items by what was done."""
        return dict(Counter(did for did, _ in self.acknowledged))


@dataclass
class Files:
    """What one node has of one partition: the newest generation in its newest directory."""

    node: int
    generation: int
    members: list[int]
    last: Place
    places: dict[Item, list[Place]]
    """Entries of the journal with an item."""
    settled: dict[Item, set[str]]
    """Items in the state with which the journal begins, with the keys of what came of them."""
    exported: bool
    """Whether that state has told something to the secondary storage, which it then forgets."""

    @property
    def age(self) -> tuple[int, int, int]:
        """How far it is: the newest is the highest."""
        return self.generation, self.last[1], self.last[0]

    def times(self, item: Item) -> int:
        """How often an item was done."""
        return len(self.places.get(item, ())) + len(self.settled.get(item, ()))


@dataclass
class Verdict:
    """What became of a client's claims; `counts` is of acknowledged items and of ambiguous ones."""

    counts: dict[str, int]
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    without_majority: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is lost or doubled, and each partition has a majority."""
        return not (self.lost or self.doubled or self.without_majority)

    def __str__(self) -> str:
        parts = [f"acknowledged {self.counts}"]
        for name in ("lost", "doubled", "without_majority"):
            found = getattr(self, name)
            if found:
                parts.append(f"{name.replace('_', ' ')} {len(found)}: {', '.join(found[:8])}")
        return "; ".join(parts)


def judge(
    claims: Claims,
    data: Path,
    stored: dict[Item, list[str]] | None = None,
    alive: set[int] | None = None,
) -> Verdict:
    """Compare claims with the files below the data directory, and with the secondary storage.

    An acknowledged item has to be in the files of a majority of its partition's members, at the
    same place of their journals, once; an ambiguous one may be there once. `stored`, from `search`,
    has for each item the keys that were found, complete up to all that was acknowledged. A majority
    of each partition has to be `alive`, of the nodes that run; without it, by their files.
    """
    verdict = Verdict(claims.counts() | {"ambiguous": len(claims.ambiguous)})
    verdict.doubled += [f"{_shown(item)} acknowledged again" for item in claims.twice]
    partitions = read(data)
    for partition, replicas in sorted(partitions.items()):
        members = _members(replicas)
        held = [
            one.node
            for one in replicas
            if one.node in members and (alive is None or one.node in alive)
        ]
        if 2 * len(held) <= len(members):
            verdict.without_majority.append(
                f"partition {partition}: {held} of its members {members}"
            )
        for item in {item for one in replicas for item in (*one.places, *one.settled)}:
            if item[0] != "complete" and max(one.times(item) for one in replicas) > 1:
                # A second completion of a job is rejected; others are done again.
                verdict.doubled.append(f"{_shown(item)} in partition {partition}")
    seen: dict[Item, set[int]] = defaultdict(set)
    for partition, replicas in partitions.items():
        for one in replicas:
            for item in (*one.places, *one.settled):
                seen[item].add(partition)
    verdict.doubled += [
        f"{_shown(item)} in partitions {sorted(found)}"
        for item, found in seen.items()
        if len(found) > 1
    ]
    for item, key in claims.acknowledged.items():
        partition = int(key) >> PARTITION_BITS
        problem = _missing(item, key, partitions.get(partition, []), stored)
        if problem:
            verdict.lost.append(f"{_shown(item)} of partition {partition}: {problem}")
    if stored is not None:
        _compare(claims, stored, verdict)
    return verdict


def _missing(
    item: Item, key: str, replicas: list[Files], stored: dict[Item, list[str]] | None
) -> str:
    """Why an acknowledged item is not safe; empty if it is."""
    members = _members(replicas)
    present = [one for one in replicas if one.node in members]
    settled = {
        one.node
        for one in present
        # A message's state has no business value, only the key that the answer gave.
        if item in one.settled or (item[0], key) in one.settled
    }
    at: dict[Place, set[int]] = defaultdict(set)
    for one in present:
        for place in one.places.get(item, ()):
            at[place].add(one.node)
    nodes = max((found | settled for found in at.values()), key=len, default=settled)
    if members and 2 * len(nodes) > len(members):
        return ""
    forgotten = any(one.exported for one in present) and not at and not settled
    if forgotten and stored and item in stored:
        return ""
    return f"on {sorted(nodes)} of {members}"


def _members(replicas: list[Files]) -> list[int]:
    return max(replicas, key=lambda one: one.age).members if replicas else []


def _compare(claims: Claims, stored: dict[Item, list[str]], verdict: Verdict) -> None:
    """Compare with the secondary storage, where instances and jobs are searched."""
    for item, key in claims.acknowledged.items():
        if item[0] != "publish" and key not in stored.get(item, ()):
            verdict.lost.append(f"{_shown(item)} is not in the secondary storage")
    verdict.doubled += [
        f"{_shown(item)} in the secondary storage: {keys}"
        for item, keys in stored.items()
        if len(set(keys)) > 1
    ]


def _shown(item: Item) -> str:
    return f"{item[0]} {item[1]}"


# The secondary storage


def search(address: str, user: str, password: str, process_id: str) -> dict[Item, list[str]]:
    """Search instances and completed jobs of a process through REST, page by page."""
    found: dict[Item, list[str]] = defaultdict(list)
    own = {"processDefinitionId": process_id}
    for one in pages(address, user, password, "process-instances", own):
        found["create", one["businessId"]].append(one["processInstanceKey"])
    for one in pages(address, user, password, "jobs", own | {"state": "COMPLETED"}):
        found["complete", one["jobKey"]].append(one["jobKey"])
    return dict(found)


def pages(address: str, user: str, password: str, what: str, wanted: Json) -> Iterator[Json]:
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    page: Json = {"limit": 1000}
    while True:
        request = urllib.request.Request(
            f"{address}/v2/{what}/search",
            data=json.dumps({"filter": wanted, "page": page}).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Basic {encoded}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = json.loads(answer.read())
        yield from found["items"]
        if len(found["items"]) < page["limit"]:
            return
        page["after"] = found["page"]["endCursor"]


# The files


def read(data: Path) -> dict[int, list[Files]]:
    """Read what each node has of each partition in its newest valid directory."""
    partitions: dict[int, list[Files]] = defaultdict(list)
    for node in sorted(data.glob("node-*")):
        versions = [one for one in node.glob("v*") if (one / "directory-initialized.json").exists()]
        if not versions:
            continue
        newest = max(versions, key=lambda one: int(one.name[1:]))
        for directory in newest.glob("raft-partition/partitions/*"):
            generations = [int(one.name[11:]) for one in directory.glob("generation-*")]
            if generations:
                files = _files(int(node.name[5:]), directory, max(generations))
                partitions[int(directory.name)].append(files)
    return dict(partitions)


def _files(node: int, directory: Path, generation: int) -> Files:
    own = directory / f"generation-{generation}"
    journal, snapshot = own / "journal", own / "snapshot"
    places: dict[Item, list[Place]] = defaultdict(list)
    last = (0, 0)
    for index, term, command in entries(journal.read_bytes() if journal.exists() else b""):
        last = (index, term)
        for item in items(command):
            places[item].append(last)
    states = []
    if (own / "seed.json").exists():
        states.append(json.loads((own / "seed.json").read_text()))
    if snapshot.exists():
        found = _Unpickler(io.BytesIO(gzip.decompress(snapshot.read_bytes()))).load()
        states.append(json.loads(found[0][1]["engine"]))
        # What comes first in the journal is in the snapshot already.
        applied = found[1][1]
        places = {
            item: kept
            for item, all_of in places.items()
            if (kept := [place for place in all_of if place[0] > applied])
        }
    settled: dict[Item, set[str]] = defaultdict(set)
    for state in states:
        for item, key in _state_items(state):
            settled[item].add(key)
    members = own / "members.json"
    return Files(
        node,
        generation,
        json.loads(members.read_text()) if members.exists() else [node],
        last,
        dict(places),
        dict(settled),
        any(state["exported"] and len(state["records"]) < state["position"] for state in states),
    )


def entries(journal: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Give index, term and command of each record. Raises ValueError where it is damaged."""
    if len(journal) < _FIRST_RECORD:
        return
    (end,) = struct.unpack_from("<I", journal, _END_OFFSET)
    offset = _FIRST_RECORD
    while offset < end:
        (size,) = struct.unpack_from("<I", journal, offset)
        record = journal[offset + 4 : offset + 4 + size]
        offset += size + 8
        if len(record) < max(size, 16) or journal[offset - 4 : offset] != struct.pack("<I", size):
            raise ValueError(f"the record before byte {offset} is damaged")
        index, term = struct.unpack_from("<QQ", record)
        yield index, term, record[16:]


def items(command: bytes) -> Iterator[Item]:
    """Give what an entry does, of that which a client is told."""
    if command[:1] != bytes([_REGULAR]):
        return
    _, arguments = _Unpickler(io.BytesIO(command[1:])).load()
    for one in json.loads(arguments[0]):
        did, name = _KINDS.get(one["kind"], ("", ""))
        if did and one.get(name):
            yield did, str(one[name])


def _state_items(state: Json) -> Iterable[tuple[Item, str]]:
    """Give what a state shows to have been done, and the keys of what came of it."""
    for instance in state["instances"].values():
        if instance.get("businessId"):
            yield ("create", instance["businessId"]), str(instance["key"])
    for record in state["records"]:
        value, key = record["value"], str(record["key"])
        match record["type"]:
            case "PROCESS_INSTANCE" if value.get("businessId"):
                yield ("create", value["businessId"]), key
            case "JOB" if record["intent"] == "COMPLETED":
                yield ("complete", key), key
            case "MESSAGE":
                yield ("publish", key), key


class _Opaque:
    """Stands for an object of a class that is not needed and not loaded."""

    def __init__(self, *_: object) -> None: ...


class _Unpickler(pickle.Unpickler):
    """Loads plain values only: no class and no function that a file names."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            # How bytes are pickled in protocol 2.
            return lambda text, _: text.encode("latin-1")
        if module == "builtins" and name in {"set", "bytes"}:
            return {"set": set, "bytes": bytes}[name]
        return _Opaque
