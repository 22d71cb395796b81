"""The checker of what is lost: it finds what it has to find, and nothing else."""

from __future__ import annotations

import gzip
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from pysyncobj.journal import FileJournal

from tests.support.ledger import Claims, entries, items, judge, read

type Json = dict[str, Any]

KEY = str((1 << 51) + 7)
CREATE = {"kind": "create_instance", "businessId": "a"}
COMPLETE = {"kind": "complete_job", "key": int(KEY)}
PUBLISH = {"kind": "publish_message", "messageId": "a"}
EMPTY: Json = {"position": 0, "exported": 0, "instances": {}, "records": []}


def entry(*commands: Json) -> bytes:
    return b"\0" + pickle.dumps((7, (json.dumps(commands).encode(),)), 2)


def line(did: str, outcome: str = "acknowledged", value: str = "a", key: str = KEY) -> Json:
    return {"did": did, "outcome": outcome, "value": value, "key": key, "at": 1.0}


ALL = (line("create"), line("complete"), line("publish"))


class Cluster:
    """Files of three nodes' replicas of partition 1, and a client's log."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log"
        self.log.touch()

    def told(self, *lines: Json) -> Claims:
        self.log.write_text("".join(json.dumps(one) + "\n" for one in lines))
        return Claims.read(self.log)

    def replica(
        self,
        node: int,
        *commands: bytes,
        members: tuple[int, ...] = (0, 1, 2),
        version: int = 1,
        generation: int = 1,
        term: int = 1,
        partition: int = 1,
        seed: Json | None = None,
    ) -> Path:
        home = self.root / f"node-{node}" / f"v{version}"
        directory = home / f"raft-partition/partitions/{partition}/generation-{generation}"
        directory.mkdir(parents=True)
        (home / "directory-initialized.json").write_text("{}")
        (directory / "members.json").write_text(json.dumps(members))
        if seed is not None:
            (directory / "seed.json").write_text(json.dumps(EMPTY | seed))
        journal = FileJournal(str(directory / "journal"))
        for place, command in enumerate((b"\1", *commands), 1):
            journal.add(command, place, term)
        journal._destroy()
        return directory


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def test_what_all_have_is_kept(cluster: Cluster) -> None:
    for node in range(3):
        cluster.replica(node, entry(CREATE, COMPLETE), entry(PUBLISH))
    found = judge(cluster.told(*ALL, line("create", "ambiguous", "b", "")), cluster.root)
    assert found.good, found
    assert found.counts == {"create": 1, "complete": 1, "publish": 1, "ambiguous": 1}


def test_a_majority_is_enough_and_a_minority_is_not(cluster: Cluster) -> None:
    cluster.replica(0, entry(CREATE), entry(COMPLETE))
    cluster.replica(1, entry(CREATE))
    cluster.replica(2)
    found = judge(cluster.told(line("create"), line("complete")), cluster.root)
    assert found.lost == [f"complete {KEY} of partition 1: on [0] of [0, 1, 2]"]


def test_the_same_command_at_other_places_is_no_majority(cluster: Cluster) -> None:
    cluster.replica(0, entry(CREATE))
    cluster.replica(1, entry(CREATE), term=2)
    cluster.replica(2, term=2)
    found = judge(cluster.told(line("create")), cluster.root)
    assert len(found.lost) == 1, found


def test_replicas_whose_files_are_gone_count_against_it(cluster: Cluster) -> None:
    cluster.replica(2, entry(CREATE))
    found = judge(cluster.told(line("create")), cluster.root)
    assert found.without_majority == ["partition 1: [2] of its members [0, 1, 2]"]
    assert found.lost == ["create a of partition 1: on [2] of [0, 1, 2]"]


def test_brokers_that_do_not_run_are_no_majority(cluster: Cluster) -> None:
    for node in range(3):
        cluster.replica(node)
    claims = cluster.told(line("create"))
    assert judge(claims, cluster.root, alive={1, 2}).without_majority == []
    found = judge(claims, cluster.root, alive={2})
    assert found.without_majority == ["partition 1: [2] of its members [0, 1, 2]"]


def test_a_partition_without_any_files_has_lost_everything(cluster: Cluster) -> None:
    found = judge(cluster.told(line("create")), cluster.root)
    assert found.lost == ["create a of partition 1: on [] of []"]


def test_a_replica_that_left_the_group_counts_for_nothing(cluster: Cluster) -> None:
    cluster.replica(0, entry(CREATE), members=(0, 1, 3))
    cluster.replica(1, b"\1", b"\1", term=2, members=(0, 1, 3))
    cluster.replica(2, entry(CREATE))
    cluster.replica(3, members=(0, 1, 3))
    assert len(judge(cluster.told(line("create")), cluster.root).lost) == 1


def test_what_is_there_twice_is_found(cluster: Cluster) -> None:
    for node in range(3):
        cluster.replica(node, entry(CREATE), entry(CREATE))
    ambiguous = judge(cluster.told(line("create", "ambiguous", key="")), cluster.root)
    assert ambiguous.doubled == ["create a in partition 1"]
    assert judge(cluster.told(line("create")), cluster.root).doubled == ["create a in partition 1"]


def test_what_is_in_two_partitions_is_found(cluster: Cluster) -> None:
    for node in range(3):
        cluster.replica(node, entry(CREATE))
        cluster.replica(node, entry(CREATE), partition=2)
    found = judge(cluster.told(line("create")), cluster.root)
    assert found.doubled == ["create a in partitions [1, 2]"]


def test_a_completion_may_be_tried_again_but_is_acknowledged_once(cluster: Cluster) -> None:
    for node in range(3):
        cluster.replica(node, entry(COMPLETE), entry(COMPLETE))
    once = cluster.told(line("complete", "ambiguous"), line("complete"))
    assert judge(once, cluster.root).good
    twice = judge(cluster.told(line("complete"), line("complete")), cluster.root)
    assert twice.doubled == [f"complete {KEY} acknowledged again"]


def test_only_the_newest_directory_and_generation_count(cluster: Cluster) -> None:
    for node in range(3):
        cluster.replica(node, entry(CREATE))
        cluster.replica(node, entry(COMPLETE), version=2)
        cluster.replica(node, version=2, generation=2, partition=1, seed={})
    found = judge(cluster.told(line("create"), line("complete")), cluster.root)
    assert len(found.lost) == 2, found


def test_a_seed_shows_what_was_done_before(cluster: Cluster) -> None:
    key = int(KEY)
    seed = {
        "instances": {KEY: {"key": key, "businessId": "a"}},
        "records": [
            {"type": "PROCESS_INSTANCE", "key": key, "value": {"businessId": "a"}},
            {"type": "JOB", "intent": "COMPLETED", "key": key, "value": {}},
            {"type": "MESSAGE", "key": key, "value": {}},
        ],
    }
    for node in range(3):
        cluster.replica(node, generation=2, seed=seed)
    assert judge(cluster.told(*ALL), cluster.root).good
    seed["instances"] = {"8": {"key": 8, "businessId": "a"}}
    cluster.replica(0, partition=2, seed=seed)
    assert "create a in partition 2" in judge(cluster.told(*ALL), cluster.root).doubled


def test_what_a_seed_forgot_is_in_the_secondary_storage(cluster: Cluster) -> None:
    for node in range(3):
        cluster.replica(node, seed={"position": 9, "exported": 9})
    claims = cluster.told(line("create"))
    assert judge(claims, cluster.root, {("create", "a"): [KEY]}).good
    assert len(judge(claims, cluster.root).lost) == 1


def test_the_secondary_storage_has_everything_once(cluster: Cluster) -> None:
    for node in range(3):
        cluster.replica(node, entry(CREATE, COMPLETE))
    claims = cluster.told(line("create"), line("complete"))
    both = {("create", "a"): [KEY], ("complete", KEY): [KEY]}
    assert judge(claims, cluster.root, both).good
    assert len(judge(claims, cluster.root, {("create", "a"): [KEY]}).lost) == 1
    doubled = judge(claims, cluster.root, both | {("create", "b"): ["1", "2"]}).doubled
    assert doubled == ["create b in the secondary storage: ['1', '2']"]


def test_a_compacted_journal_goes_on_from_its_snapshot(cluster: Cluster) -> None:
    state = EMPTY | {"instances": {KEY: {"key": int(KEY), "businessId": "a"}}}
    for node in range(3):
        directory = cluster.replica(node, entry(CREATE), entry(COMPLETE))
        content = ([{}, {"engine": json.dumps(state)}], (b"", 2, 1), (b"", 1, 1), {Path("x")})
        (directory / "snapshot").write_bytes(gzip.compress(pickle.dumps(content, 2)))
    assert judge(cluster.told(line("create"), line("complete")), cluster.root).good


def test_an_entry_that_was_taken_back_is_not_read(cluster: Cluster) -> None:
    journal = FileJournal(str(cluster.root / "journal"))
    for index, command in enumerate((b"\1", entry(CREATE), entry(PUBLISH)), 1):
        journal.add(command, index, 1)
    journal.deleteEntriesFrom(2)
    journal._destroy()
    found = list(entries((cluster.root / "journal").read_bytes()))
    assert [list(items(command)) for _, _, command in found] == [[], [("create", "a")]]


def test_a_damaged_journal_is_no_journal(cluster: Cluster) -> None:
    directory = cluster.replica(0, entry(CREATE))
    content = bytearray((directory / "journal").read_bytes())
    content[40] += 1
    (directory / "journal").write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        read(cluster.root)


def test_nothing_that_a_file_names_is_run(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "harm"),)

    with pytest.raises(TypeError):
        list(items(b"\0" + pickle.dumps((7, (Harm(),)), 2)))
    assert not (tmp_path / "harm").exists()
