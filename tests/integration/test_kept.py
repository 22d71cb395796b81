"""What clusters leave behind on the embedded AWS: found by tags, and copied as of an instant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.adapters.aws import backup_buckets, kept_things
from lifecycle.adapters.aws.backup_buckets import S3BackupBuckets
from lifecycle.adapters.aws.kept_things import AwsKeptThings
from lifecycle.kept.copy_backups import NOTE, BackupCopier
from lifecycle.kept.discovery import BACKUP_BUCKET, left_behind

from local import instance
from local.component import Instance
from local.config import LocalConfig
from tests.support.blocks import block
from tests.support.world import CONTROL, World, operation
from tests.unit.test_kept_manifests import document, key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

pytestmark = pytest.mark.integration

SOURCE, TARGET = "control-old-backupbucket-1", "control-demo-backupbucket-2"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    here = Instance.of(LocalConfig(tmp_path_factory.mktemp("instance"), block("kept")))
    host = instance.start(here, components=[])
    try:
        yield here
    finally:
        host.stop(grace=30)


@pytest.fixture(autouse=True)
def adapters(account: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (backup_buckets, kept_things):
        monkeypatch.setattr(module, "client", account.client)


def make_bucket(s3: Any, name: str, cluster: str) -> None:
    place = {"LocationConstraint": s3.meta.region_name}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=place)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    tags = {"camunda:control-plane": CONTROL, "camunda:cluster": cluster}
    listed = [{"Key": one, "Value": value} for one, value in tags.items()]
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": listed})


def newest(s3: Any, bucket: str) -> datetime:
    found: datetime = max(
        one["LastModified"] for one in s3.list_object_versions(Bucket=bucket)["Versions"]
    )
    return found


def contents(s3: Any, bucket: str) -> dict[str, bytes]:
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", ())
    return {
        one["Key"]: s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in listed
    }


def test_a_bucket_is_copied_as_it_was_at_an_instant(account: Instance) -> None:
    s3 = account.client("s3")
    make_bucket(s3, SOURCE, "old")
    make_bucket(s3, TARGET, "demo")
    for partition in (1, 2, 3):
        text = json.dumps(document(partition)).encode()
        s3.put_object(Bucket=SOURCE, Key=key(partition), Body=text)
    large = b"x" * (9 * 1024**2)
    s3.put_object(Bucket=SOURCE, Key="contents/1/100/0/segments/1", Body=large)
    s3.put_object(Bucket=SOURCE, Key="ranges/1/100-start", Body=b"")
    before = contents(s3, SOURCE)
    world = World()
    world.clock.at = newest(s3, SOURCE)
    instant = world.clock.at.replace(microsecond=999_000)
    # The brokers go on, from the next second on.
    while newest(s3, SOURCE) <= instant:
        s3.put_object(Bucket=SOURCE, Key="manifests/1/200/0/manifest.json", Body=b"{}")
    s3.put_object(Bucket=SOURCE, Key=key(1), Body=b"{}")
    s3.delete_object(Bucket=SOURCE, Key="ranges/1/100-start")
    before |= {
        one["Key"]: b"{}"
        for one in s3.list_object_versions(Bucket=SOURCE, Prefix="manifests/1/200")["Versions"]
        if one["LastModified"] <= instant
    }

    copier = BackupCopier(S3BackupBuckets(), world.journal, lambda: 0.0, CONTROL)
    answer: dict[str, Any] = {"memory": {}}
    while answer.get("status") != "COPIED":
        memory = answer["memory"]
        answer = copier.copy(operation(), source=SOURCE, target=TARGET, memory=memory)
    copied = contents(s3, TARGET)
    assert copied.pop(NOTE)
    assert copied == before
    assert answer["bytes"] == sum(map(len, before.values()))


def test_what_carries_the_tags_is_found(account: Instance) -> None:
    """The emulator's search by tags knows no secrets and no log groups."""
    tags = {"camunda:control-plane": CONTROL, "camunda:cluster": "gone"}
    listed = [{"Key": one, "Value": value} for one, value in tags.items()]
    make_bucket(account.client("s3"), "control-gone-backupbucket-3", "gone")
    made = account.client("kms").create_key(
        Tags=[{"TagKey": one, "TagValue": value} for one, value in tags.items()]
    )["KeyMetadata"]["Arn"]
    account.client("efs").create_file_system(CreationToken="1", Tags=listed)
    things = AwsKeptThings()
    left = {one.cluster: one for one in left_behind(things.tagged(CONTROL), (), ())}["gone"]
    assert sorted(one.kind for one in left.things) == [
        BACKUP_BUCKET,
        "file system with the brokers' data",
        "key",
    ]
    assert left.backup_buckets == ["control-gone-backupbucket-3"]
    assert things.key_state(made) == "Enabled"
    assert things.tagged("another") == []


def test_a_bucket_of_a_stack_has_its_tags(account: Instance) -> None:
    tags = [
        {"Key": "camunda:control-plane", "Value": CONTROL},
        {"Key": "camunda:cluster", "Value": "made"},
    ]
    template = {
        "Resources": {"BackupBucket": {"Type": "AWS::S3::Bucket", "Properties": {"Tags": tags}}}
    }
    cloudformation = account.client("cloudformation")
    cloudformation.create_stack(StackName="control-made", TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="control-made", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    (left,) = [
        one for one in left_behind(AwsKeptThings().tagged(CONTROL), (), ()) if one.cluster == "made"
    ]
    assert [one.kind for one in left.things] == [BACKUP_BUCKET]
    (name,) = left.backup_buckets
    assert S3BackupBuckets().tags(name)["camunda:cluster"] == "made"
