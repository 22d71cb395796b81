from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from lifecycle.adapters.aws import session as aws
from lifecycle.adapters.aws.backup_buckets import S3BackupBuckets
from lifecycle.errors import BackupsNotCopied
from lifecycle.kept import copy_backups
from lifecycle.kept.copy_backups import NOTE, BackupCopier
from lifecycle.kept.objects import ObjectVersion, as_of
from moto import mock_aws

from tests.fakes.backup_buckets import FakeBackupBuckets
from tests.support.world import CONTROL, World, operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.client import BaseClient

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
LIVE, TRIAL = "control-live-backupbucket-1", "control-demo-backupbucket-2"
CONTENTS = {
    "contents/1/100/0/segments/a.log": b"a" * 9,
    "manifests/1/100/0/manifest.json": b'{"statusCode":"COMPLETED"}',
    "ranges/1/100-start": b"",
}


def version(
    key: str, second: int, number: str = "1", *, deleted: bool = False, latest: bool = False
) -> ObjectVersion:
    return ObjectVersion(key, number, 1, AT + timedelta(seconds=second), latest, deleted)


class TestAsOf:
    def test_the_newest_version_until_the_instant_counts(self) -> None:
        found = as_of([version("a", 9, "3"), version("a", 5, "2"), version("a", 1, "1")], AT + T5)
        assert [one.version for one in found] == ["2"]

    def test_what_was_deleted_before_is_absent_and_what_was_deleted_later_is_there(self) -> None:
        versions = [
            version("early", 3, "2", deleted=True),
            version("early", 1, "1"),
            version("late", 6, "2", deleted=True),
            version("late", 1, "1"),
            version("new", 6, "1"),
        ]
        assert [one.key for one in as_of(versions, AT + T5)] == ["late"]

    def test_a_marker_of_the_same_second_follows_its_version(self) -> None:
        both = [version("a", 1, "1"), version("a", 1, "2", deleted=True)]
        assert list(as_of(both, AT + T5)) == []
        again = [version("a", 1, "3", latest=True), version("a", 1, "2", deleted=True)]
        assert [one.version for one in as_of(again, AT + T5)] == ["3"]


T5 = timedelta(seconds=5)


@dataclass
class Scene:
    """A live bucket with a backup, an empty one of cluster demo, and a clock."""

    world: World = field(default_factory=World)
    seconds: float = 0.0
    parts: int = 0

    def __post_init__(self) -> None:
        self.world.clock.at = AT
        self.buckets = FakeBackupBuckets(
            now=self.world.clock.now,
            tagged={
                LIVE: {"camunda:control-plane": CONTROL, "camunda:cluster": "live"},
                TRIAL: {"camunda:control-plane": CONTROL, "camunda:cluster": "demo"},
            },
        )
        for key, content in CONTENTS.items():
            self.buckets.write(LIVE, key, content)
        self.buckets.writes.clear()
        self.world.clock.pass_seconds(60)

    def monotonic(self) -> float:
        self.seconds += 1
        return self.seconds

    def copier(self) -> BackupCopier:
        return BackupCopier(self.buckets, self.world.journal, self.monotonic, CONTROL)

    def look(self, memory: dict[str, Any], number: int = 1) -> dict[str, Any]:
        answer = self.copier().copy(operation(number), source=LIVE, target=TRIAL, memory=memory)
        self.world.clock.pass_seconds(answer.get("wait", 0))
        return answer

    def finish(self, answer: dict[str, Any], number: int = 1) -> dict[str, Any]:
        while answer["status"] != "COPIED":
            answer = self.look(answer["memory"], number)
        return answer

    def copied(self) -> dict[str, bytes]:
        found = self.buckets.contents(TRIAL)
        return {key: content for key, content in found.items() if key != NOTE}


@pytest.fixture
def scene() -> Scene:
    return Scene()


class TestCopy:
    def test_everything_is_there_and_the_source_was_only_read(self, scene: Scene) -> None:
        done = scene.finish(scene.look({}))
        assert scene.copied() == CONTENTS
        assert (done["objects"], done["bytes"]) == (3, sum(map(len, CONTENTS.values())))
        assert set(scene.buckets.writes) == {TRIAL}

    def test_what_the_live_cluster_does_meanwhile_does_not_count(self, scene: Scene) -> None:
        begun = scene.look({})
        scene.buckets.delete(LIVE, "ranges/1/100-start")
        scene.buckets.write(LIVE, "ranges/1/200-end", b"")
        scene.buckets.write(LIVE, "manifests/1/100/0/manifest.json", b'{"statusCode":"DELETED"}')
        scene.finish(begun)
        assert scene.copied() == CONTENTS

    def test_what_was_written_in_the_second_of_the_instant_is_listed_after_it(
        self, scene: Scene
    ) -> None:
        first = scene.look({})
        assert first["wait"] >= 1
        assert first["memory"]["until"] == "2026-01-01T12:01:00.999Z"

    def test_a_copy_in_parts_goes_on_where_it_stopped(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(copy_backups, "PART", 1)
        monkeypatch.setattr(copy_backups, "LOOK_SECONDS", 0.5)
        answer, looks = scene.look({}), 1
        while answer["status"] != "COPIED":
            answer, looks = scene.look(answer["memory"]), looks + 1
        assert scene.copied() == CONTENTS
        # The first look, and for each pass one per object and one that finds no more.
        assert looks == 1 + 2 * (len(CONTENTS) + 1)
        assert len(scene.buckets.writes) == len(CONTENTS) + len(("begun", "done"))

    def test_another_operation_goes_on_with_the_same_instant(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(copy_backups, "PART", 1)
        monkeypatch.setattr(copy_backups, "LOOK_SECONDS", 0.5)
        scene.look(scene.look({})["memory"])
        scene.world.clock.pass_seconds(3600)
        scene.buckets.write(LIVE, "manifests/1/200/0/manifest.json", b"{}")
        scene.world.table.locks.clear()
        answer = scene.finish(scene.look({}, 2), 2)
        assert scene.copied() == CONTENTS
        assert answer["until"] == "2026-01-01T12:01:00.999Z"

    def test_a_finished_copy_is_not_copied_over_what_brokers_did_since(self, scene: Scene) -> None:
        done = scene.finish(scene.look({}))
        scene.buckets.delete(TRIAL, "ranges/1/100-start")
        again = scene.look({})
        assert again == done
        assert "ranges/1/100-start" not in scene.copied()

    def test_a_copy_of_a_copy_goes_on_and_is_of_the_bucket_that_was_copied(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The source's note comes first among its keys, and is of the source's own origin."""
        origin = {"source": "control-first-backupbucket-0", "until": "2026-01-01T00:00:00.999Z"}
        scene.buckets.write(LIVE, NOTE, json.dumps({**origin, "objects": 3, "bytes": 9}).encode())
        scene.world.clock.pass_seconds(60)
        monkeypatch.setattr(copy_backups, "PART", 1)
        monkeypatch.setattr(copy_backups, "LOOK_SECONDS", 0.5)
        scene.look(scene.look({})["memory"])
        scene.world.table.locks.clear()
        done = scene.finish(scene.look({}, 2), 2)
        assert scene.copied() == CONTENTS
        assert done["objects"] == len(CONTENTS)
        assert json.loads(scene.buckets.contents(TRIAL)[NOTE])["source"] == LIVE
        assert scene.look({}, 2) == done

    def test_a_copy_without_a_backup_is_refused_as_a_bucket_without_one(self, scene: Scene) -> None:
        scene.buckets.held[LIVE].clear()
        scene.buckets.write(LIVE, NOTE, b'{"source": "another", "until": "2026-01-01T00:00:00Z"}')
        scene.world.clock.pass_seconds(60)
        with pytest.raises(BackupsNotCopied, match="had no object"):
            scene.finish(scene.look({}))

    def test_a_bucket_without_backups_is_refused_by_name(self, scene: Scene) -> None:
        scene.buckets.held[LIVE].clear()
        with pytest.raises(BackupsNotCopied, match=f"{LIVE} had no object at 2026"):
            scene.finish(scene.look({}))

    def test_another_writer_in_the_copy_is_named(self, scene: Scene) -> None:
        answer = scene.look(scene.look({})["memory"])
        assert answer["memory"]["checking"]
        scene.buckets.delete(TRIAL, "ranges/1/100-start")
        with pytest.raises(BackupsNotCopied, match="lacks 1 of 3 objects"):
            scene.finish(answer)

    def test_a_version_that_is_gone_is_named(self, scene: Scene) -> None:
        begun = scene.look({})
        scene.buckets.before_copy = scene.buckets.held[LIVE].clear
        with pytest.raises(BackupsNotCopied, match="object contents/1/100"):
            scene.finish(begun)

    @pytest.mark.parametrize(
        ("source", "target", "words"),
        [
            ("foreign", TRIAL, "allowed is control"),
            (LIVE, LIVE, "is not of cluster demo"),
            (TRIAL, TRIAL, "the same bucket"),
            (LIVE, "foreign", "is not of cluster demo"),
        ],
    )
    def test_only_from_ours_and_only_into_the_clusters_own(
        self, scene: Scene, source: str, target: str, words: str
    ) -> None:
        scene.buckets.tagged["foreign"] = {"camunda:control-plane": "other"}
        with pytest.raises(BackupsNotCopied, match=words):
            scene.copier().copy(operation(), source=source, target=target, memory={})
        assert scene.buckets.writes == []

    def test_a_bucket_with_backups_of_its_own_is_not_written(self, scene: Scene) -> None:
        scene.buckets.write(TRIAL, "manifests/1/7/0/manifest.json", b"{}")
        scene.buckets.writes.clear()
        with pytest.raises(BackupsNotCopied, match="not empty and holds no copy"):
            scene.look({})
        assert scene.buckets.writes == []

    def test_a_copy_of_another_bucket_is_not_continued(self, scene: Scene) -> None:
        scene.buckets.write(TRIAL, NOTE, b'{"source": "another", "until": "2026-01-01T00:00:00Z"}')
        with pytest.raises(BackupsNotCopied, match="copy of another"):
            scene.look({})


@pytest.fixture
def s3() -> Iterator[BaseClient]:
    aws.client.cache_clear()
    with mock_aws():
        api = boto3.client("s3", region_name="us-east-1")
        for bucket in ("source", "target"):
            api.create_bucket(Bucket=bucket)
            api.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        yield api
    aws.client.cache_clear()


class TestAdapter:
    def test_versions_of_the_instant_are_copied(self, s3: Any) -> None:
        for content in (b"old", b"newer"):
            s3.put_object(Bucket="source", Key="b/1", Body=content, Metadata={"kind": "x"})
        s3.put_object(Bucket="source", Key="a/2", Body=b"two", Tagging="a=b")
        s3.delete_object(Bucket="source", Key="a/2")
        buckets = S3BackupBuckets()
        found = list(buckets.versions("source", ""))
        assert [(one.key, one.deleted) for one in found] == [
            ("a/2", False),
            ("a/2", True),
            ("b/1", False),
            ("b/1", False),
        ]
        assert [one.key for one in buckets.versions("source", "a/2")] == ["b/1", "b/1"]
        assert [one.key for one in as_of(found, datetime.now(UTC))] == ["b/1"]
        former = next(one for one in found if one.key == "b/1" and not one.latest)
        buckets.copy("source", [former], "target")
        answer = s3.get_object(Bucket="target", Key="b/1")
        assert (answer["Body"].read(), answer["Metadata"]) == (b"old", {"kind": "x"})
        assert buckets.sizes("target", "", "b/1") == {"b/1": 3}
        assert buckets.sizes("target", "b/1", "c") == {}

    def test_a_large_object_is_copied_in_parts(self, s3: Any) -> None:
        content = b"x" * (9 * 1024**2)
        s3.put_object(Bucket="source", Key="large", Body=content)
        buckets = S3BackupBuckets()
        buckets.copy("source", list(buckets.versions("source", "")), "target")
        copied = s3.get_object(Bucket="target", Key="large")
        assert copied["Body"].read() == content
        assert copied["ETag"].strip('"').endswith("-2"), "two parts"

    def test_what_is_gone_is_named(self, s3: Any) -> None:
        buckets = S3BackupBuckets()
        with pytest.raises(BackupsNotCopied, match="object a of bucket source"):
            buckets.copy("source", [version("a", 0, "none")], "target")
        with pytest.raises(BackupsNotCopied, match="bucket nowhere"):
            list(buckets.versions("nowhere", ""))
        with pytest.raises(BackupsNotCopied, match="bucket nowhere"):
            buckets.tags("nowhere")
        assert s3.list_buckets()["Buckets"]

    def test_tags_and_single_objects(self, s3: Any) -> None:
        buckets = S3BackupBuckets()
        assert buckets.tags("source") == {}
        s3.put_bucket_tagging(
            Bucket="source", Tagging={"TagSet": [{"Key": "camunda:cluster", "Value": "demo"}]}
        )
        assert buckets.tags("source") == {"camunda:cluster": "demo"}
        assert not buckets.holds_anything("target")
        assert buckets.read("target", NOTE) is None
        buckets.write("target", NOTE, b"{}")
        assert buckets.read("target", NOTE) == b"{}"
        assert buckets.holds_anything("target")
