"""What clusters have left behind: found by tags, and judged."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from lifecycle.adapters.aws import session as aws
from lifecycle.adapters.aws.kept_things import AwsKeptThings
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.lifetimes import PresentDatabase
from lifecycle.cluster.stack import Stack
from lifecycle.kept.discovery import (
    BACKUP_BUCKET,
    KeptSnapshot,
    Left,
    Tagged,
    left_behind,
    thing_of,
    way_back,
)
from lifecycle.kept.manifests import StoredBackup
from moto import mock_aws

from tests.support.api import ApiWorld
from tests.support.world import OUTPUTS, World
from tests.unit.test_kept_manifests import document, key

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
OURS = {"camunda:control-plane": "control", "camunda:cluster": "old"}
BUCKET = "control-old-backupbucket-1"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/k-1"
ENABLED = {KEY: "Enabled"}


def arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:eu-central-1:123456789012:{rest}"


def bucket(name: str = BUCKET, **tags: str) -> Tagged:
    return Tagged(f"arn:aws:s3:::{name}", {**OURS, **tags})


def snapshot(
    minutes: int = -5, name: str = "pair", *, status: str = "available", cluster: str = "old"
) -> KeptSnapshot:
    at = AT + timedelta(minutes=minutes)
    return KeptSnapshot(name, status, at, "16.8", KEY, {**OURS, "camunda:cluster": cluster})


def taken_of(one: KeptSnapshot, database: str, created: int) -> KeptSnapshot:
    """A snapshot of a database that was created so many minutes after noon."""
    return replace(one, database=database, created=AT + timedelta(minutes=created))


def backup(
    number: int = 100, state: str = "COMPLETED", checkpoint: str = "2026-01-01T12:00:00.123456789Z"
) -> StoredBackup:
    """Its last partition was written a minute after its checkpoint."""
    written = "2026-01-01T12:01:00Z"
    return StoredBackup(number, state, written, 3, "8.9.16", checkpoint=checkpoint)


def left(*things: Tagged, snapshots: tuple[KeptSnapshot, ...] = (snapshot(),)) -> Left:
    (found,) = left_behind(things or (bucket(),), snapshots, ())
    return found


class TestFound:
    @pytest.mark.parametrize(
        ("found", "kind", "identifier"),
        [
            (
                "arn:aws:s3:::control-old-backupbucket-1",
                BACKUP_BUCKET,
                "control-old-backupbucket-1",
            ),
            (
                "arn:aws:s3:::control-old-nodeidbucket-1",
                "bucket with the leases of broker ids",
                "control-old-nodeidbucket-1",
            ),
            ("arn:aws:s3:::control-old-other", "bucket", "control-old-other"),
            (
                arn("elasticfilesystem", "file-system/fs-0a1b"),
                "file system with the brokers' data",
                "fs-0a1b",
            ),
            (KEY, "key", "k-1"),
            (arn("secretsmanager", "secret:AdminUser-a1b2c3"), "secret", "AdminUser-a1b2c3"),
            (arn("logs", "log-group:broker:logs"), "log group", "broker:logs"),
            (arn("logs", "log-group:broker-logs:*"), "log group", "broker-logs"),
            (arn("cognito-idp", "userpool/eu-central-1_A"), "user pool", "eu-central-1_A"),
        ],
    )
    def test_what_holds_data_is_named(self, found: str, kind: str, identifier: str) -> None:
        thing = thing_of(Tagged(found, OURS))
        assert thing is not None
        assert (thing.kind, thing.id, thing.arn) == (kind, identifier, found)

    @pytest.mark.parametrize(
        "found", [arn("ecs", "task-definition/x:1"), arn("kms", "alias/x"), "arn:aws", ""]
    )
    def test_anything_else_is_left_out(self, found: str) -> None:
        assert thing_of(Tagged(found, OURS)) is None

    def test_the_name_in_the_template_counts_before_that_of_the_bucket(self) -> None:
        """CloudFormation cuts long names."""
        logical = {"aws:cloudformation:logical-id": "BackupBucket"}
        thing = thing_of(bucket("a-long-name-that-was-cut-1", **logical))
        assert thing is not None
        assert thing.kind == BACKUP_BUCKET

    def test_clusters_with_a_stack_and_what_names_none_are_left_out(self) -> None:
        others = {"camunda:control-plane": "control"}
        found = left_behind(
            [bucket(), Tagged("arn:aws:s3:::x", others), bucket(**{"camunda:cluster": "lives"})],
            [snapshot(cluster="third")],
            ["lives"],
        )
        assert [(one.cluster, len(one.things), len(one.snapshots)) for one in found] == [
            ("old", 1, 0),
            ("third", 0, 1),
        ]


class TestWayBack:
    def test_a_snapshot_from_before_a_complete_backup_is_one(self) -> None:
        found = way_back(left(), {BUCKET: [backup()]}, ENABLED)
        assert found.why == ""
        assert found.as_document() == {
            "bucket": BUCKET,
            "backup": 100,
            "at": "2026-01-01T12:00:00.123Z",
            "partitions": 3,
            "version": "8.9.16",
            "snapshot": "pair",
            "snapshotAt": "2026-01-01T11:55:00.000Z",
            "engineVersion": "16.8",
        }

    def test_the_newest_that_fits_counts(self) -> None:
        """The final snapshot is newer than the brokers' last backup: they would lack its end."""
        taken = (snapshot(-60, "older"), snapshot(-5, "pair"), snapshot(5, "final"))
        found = way_back(left(snapshots=taken), {BUCKET: [backup(), backup(99)]}, ENABLED)
        assert found.snapshot is not None
        assert found.snapshot.name == "pair"

    @pytest.mark.parametrize(
        ("snapshots", "backups", "keys", "why"),
        [
            ((snapshot(),), [backup(state="INCOMPLETE")], ENABLED, "no complete backup is in"),
            ((snapshot(),), [backup(checkpoint="soon")], ENABLED, "no complete backup is in"),
            ((snapshot(),), [], ENABLED, f"no complete backup is in {BUCKET}"),
            ((), [backup()], ENABLED, "no snapshot of the database is available"),
            ((snapshot(status="creating"),), [backup()], ENABLED, "no snapshot of the database"),
            (
                (snapshot(),),
                [backup()],
                {KEY: "PendingDeletion"},
                f"available: its key {KEY} is PendingDeletion",
            ),
            ((snapshot(),), [backup()], {}, f"its key {KEY} is unknown"),
            (
                (snapshot(5),),
                [backup()],
                ENABLED,
                r"newer .the oldest of \S+12:05:00.000Z. than the brokers' newest \S+ of \S+12:00",
            ),
        ],
    )
    def test_what_is_missing_is_named(
        self,
        snapshots: tuple[KeptSnapshot, ...],
        backups: list[StoredBackup],
        keys: dict[str, str],
        why: str,
    ) -> None:
        found = way_back(left(snapshots=snapshots), {BUCKET: backups}, keys)
        assert found.as_document() is None
        assert re.search(why, found.why)

    def test_the_checkpoint_counts_and_not_when_the_backup_was_written(self) -> None:
        taken = (snapshot(0),)
        late = KeptSnapshot("late", "available", AT + timedelta(seconds=30), "16.8", KEY, {**OURS})
        assert way_back(left(snapshots=taken), {BUCKET: [backup()]}, ENABLED).why == ""
        found = way_back(left(snapshots=(late,)), {BUCKET: [backup()]}, ENABLED)
        assert found.as_document() is None

    def test_a_snapshot_of_an_earlier_cluster_of_the_name_is_no_pair(self) -> None:
        earlier = taken_of(snapshot(-60, "earlier"), "first", -600)
        final = taken_of(snapshot(5, "final"), "second", -30)
        found = way_back(left(snapshots=(earlier, final)), {BUCKET: [backup()]}, ENABLED)
        assert found.as_document() is None
        assert "no snapshot is of the database that the brokers had" in found.why
        pair = taken_of(snapshot(-5, "pair"), "second", -30)
        found = way_back(left(snapshots=(earlier, pair, final)), {BUCKET: [backup()]}, ENABLED)
        assert found.snapshot is not None
        assert found.snapshot.name == "pair"

    def test_a_database_that_is_younger_than_every_backup_needs_a_persons_choice(self) -> None:
        """It was restored just before: the newest backup may be what that left behind."""
        former = taken_of(snapshot(-5, "former"), "first", -600)
        final = taken_of(snapshot(20, "final"), "second", 10)
        found = way_back(left(snapshots=(former, final)), {BUCKET: [backup()]}, ENABLED)
        assert found.as_document() is None
        assert "created at 2026-01-01T12:10:" in found.why

    def test_a_copy_of_a_restore_is_not_of_when_it_was_taken(self) -> None:
        copied = snapshot(-5, "copy")
        copied = replace(copied, tags={**copied.tags, "camunda:purpose": "restore"})
        found = way_back(left(snapshots=(copied,)), {BUCKET: [backup()]}, ENABLED)
        assert found.as_document() is None

    def test_of_a_cluster_that_was_restored_only_its_present_database_counts(self) -> None:
        """No snapshot of it shows when it was created: the one that it was made of does."""
        origin = taken_of(snapshot(-60, "origin"), "first", -600)
        later = taken_of(snapshot(-5, "later"), "first", -600)
        present = PresentDatabase("second", "origin")
        everything = left(snapshots=(origin, later))
        found = way_back(everything, {BUCKET: [backup()]}, ENABLED, present)
        assert found.snapshot is not None
        assert found.snapshot.name == "origin"

    def test_without_a_bucket_there_is_none(self) -> None:
        other = left(Tagged(KEY, OURS))
        assert way_back(other, {}, ENABLED).why == ("no bucket with the brokers' backups is left")


class TestApi:
    @pytest.fixture
    def api(self) -> ApiWorld:
        api = ApiWorld()
        api.world.kept.resources = [bucket(), Tagged(KEY, OURS)]
        api.world.kept.taken = [snapshot()]
        for partition in (1, 2, 3):
            api.world.backup_buckets.write(
                BUCKET, key(partition), json.dumps(document(partition)).encode()
            )
        return api

    def test_what_is_left_is_listed(self, api: ApiWorld) -> None:
        (line,) = api.ask("GET", "/kept").document["kept"]
        assert line["cluster"] == "old"
        assert [one["kind"] for one in line["things"]] == [BACKUP_BUCKET, "key"]

    def test_what_can_be_made_of_it_is_shown(self, api: ApiWorld) -> None:
        answer = api.ask("GET", "/kept/{name}", name="old")
        assert answer.status == 200
        assert answer.document["restorable"]["snapshot"] == "pair"
        assert [one["state"] for one in answer.document["backups"]] == ["COMPLETED"]

    def test_no_key_is_read_for_a_snapshot_that_is_not_encrypted(self, api: ApiWorld) -> None:
        api.world.kept.taken = [replace(snapshot(), key="")]
        api.world.kept.keys = {"": "ParamValidationError"}
        answer = api.ask("GET", "/kept/{name}", name="old")
        assert answer.document["restorable"]["snapshot"] == "pair"

    def test_a_cluster_that_lives_is_not_listed(self, api: ApiWorld) -> None:
        api.world.stacks.stacks["control-old"] = Stack(
            "control-old", "arn:stack", "UPDATE_COMPLETE", tags=OURS
        )
        assert api.ask("GET", "/kept").document["kept"] == []
        answer = api.ask("GET", "/kept/{name}", name="old")
        assert (answer.status, answer.document["error"]) == (404, "ClusterNotFound")

    def test_a_bucket_that_cannot_be_read_is_named(self, api: ApiWorld) -> None:
        api.world.backup_buckets.write(BUCKET, key(1, 200), b'"nothing"')
        answer = api.ask("GET", "/kept/{name}", name="old")
        assert answer.document["restorable"] is None
        assert "manifest that cannot be read" in answer.document["why"]

    def test_another_query_is_refused(self, api: ApiWorld) -> None:
        assert api.ask("GET", "/kept", query={"cluster": "old"}).status == 400
        assert api.ask("GET", "/kept/{name}", name="Old").status == 400


@pytest.fixture
def account() -> Iterator[None]:
    aws.client.cache_clear()
    with mock_aws():
        yield
    aws.client.cache_clear()


def test_an_account_is_searched_by_the_tag(account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    del account
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3: Any = boto3.client("s3", region_name="us-east-1")
    for name, plane in ((BUCKET, "control"), ("another", "other")):
        s3.create_bucket(Bucket=name)
        tags = [
            {"Key": "camunda:control-plane", "Value": plane},
            {"Key": "camunda:cluster", "Value": "old"},
        ]
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
    kms: Any = boto3.client("kms", region_name="us-east-1")
    made = kms.create_key(
        Tags=[
            {"TagKey": "camunda:control-plane", "TagValue": "control"},
            {"TagKey": "camunda:cluster", "TagValue": "old"},
        ]
    )["KeyMetadata"]["Arn"]
    things = AwsKeptThings()
    found = things.tagged("control")
    assert {one.arn for one in found} == {f"arn:aws:s3:::{BUCKET}", made}
    assert found[0].tags == OURS
    assert things.key_state(made) == "Enabled"
    kms.schedule_key_deletion(KeyId=made.rpartition("/")[2])
    assert things.key_state(made) == "PendingDeletion"
    assert things.key_state(f"{made[:-4]}0000") == "NotFoundException"


def test_snapshots_of_others_are_left_out(account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    del account
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    rds: Any = boto3.client("rds", region_name="us-east-1")
    rds.create_db_cluster(
        DBClusterIdentifier="db",
        Engine="aurora-postgresql",
        MasterUsername="admin",
        MasterUserPassword="a-password",
    )
    for name, plane in (("ours", "control"), ("theirs", "other")):
        rds.create_db_cluster_snapshot(
            DBClusterIdentifier="db",
            DBClusterSnapshotIdentifier=name,
            Tags=[
                {"Key": "camunda:control-plane", "Value": plane},
                {"Key": "camunda:cluster", "Value": "old"},
            ],
        )
    (one,) = AwsKeptThings().snapshots("control")
    assert (one.name, one.status, one.tags) == ("ours", "available", OURS)
    assert one.at is not None
    assert one.at.tzinfo is not None


class TestBeforeATeardown:
    def plan(self, world: World, **outputs: str) -> Any:
        world.stacks.stacks["control-demo"] = Stack(
            "control-demo",
            "arn:stack",
            "UPDATE_COMPLETE",
            tags={**OURS, "camunda:cluster": "demo"},
            outputs=ClusterOutputs({**OUTPUTS, **outputs}),
        )
        found = world.teardown_planner.plan({"clusterName": "demo", "dryRun": True})
        return found["plan"]

    def test_the_backups_of_the_cluster_are_judged(self) -> None:
        world = World()
        mine = taken_of(snapshot(cluster="demo"), "db-1", -600)
        world.kept.taken = [mine, snapshot(-1, "theirs")]
        for partition in (1, 2, 3):
            text = json.dumps(document(partition)).encode()
            world.backup_buckets.write("backups", key(partition), text)
        plan = self.plan(world, BackupBucketName="backups", DatabaseClusterId="db-1")
        assert plan["wayBack"]["restorable"]["snapshot"] == "pair"
        assert "can be made of it again as of 2026-01-01T12:00:00.000Z" in plan["text"]
        # Of an earlier cluster of the name:
        other = self.plan(world, BackupBucketName="backups", DatabaseClusterId="db-2")
        assert other["wayBack"]["restorable"] is None

    def test_a_cluster_without_backups_has_no_way_back(self) -> None:
        plan = self.plan(World())
        assert plan["wayBack"] == {
            "restorable": None,
            "why": "no bucket with the brokers' backups is left",
        }
