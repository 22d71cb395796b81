"""What RDS, S3 and EFS refuse where backups and restores depend on it, and whose tags are whose.

The embedded AWS without a database: records only, which is enough for what is refused.
"""

from __future__ import annotations

import json
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local import instance
from local.aws.databases import MOST_SNAPSHOTS
from local.component import Instance
from local.config import ACCOUNT_ID, REGION, LocalConfig
from tests.support.blocks import block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration

ENGINE = "aurora-postgresql"
SYSTEM = "aws:cloudformation:"


def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


@contextmanager
def refused(code: str, *words: str) -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code
    assert all(word in error["Message"] for word in words), error["Message"]


@dataclass
class Cloud:
    """The embedded AWS, and stacks in it."""

    here: Instance

    def client(self, service: str) -> Any:
        return self.here.client(service)

    @property
    def rds(self) -> Any:
        return self.client("rds")

    def stack(self, resources: dict[str, Any], status: str = "CREATE_COMPLETE") -> str:
        """Create a stack and return its name."""
        name = f"refused-{uuid.uuid4().hex[:6]}"
        self.client("cloudformation").create_stack(
            StackName=name, TemplateBody=json.dumps({"Resources": resources})
        )
        eventually(lambda: not self.status(name).endswith("IN_PROGRESS"))
        assert self.status(name) == status, self.reasons(name)
        return name

    def described(self, stack: str) -> dict[str, Any]:
        found = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return dict(found[0])

    def status(self, stack: str) -> str:
        return str(self.described(stack)["StackStatus"])

    def reasons(self, stack: str) -> str:
        found = self.client("cloudformation").describe_stack_events(StackName=stack)
        return " ".join(one.get("ResourceStatusReason", "") for one in found["StackEvents"])

    def id_of(self, stack: str, logical: str) -> str:
        found = self.client("cloudformation").describe_stack_resource(
            StackName=stack, LogicalResourceId=logical
        )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def database(self, **more: Any) -> str:
        """Create a database in a stack and return its identifier."""
        return self.id_of(self.stack({"Database": database(**more)}), "Database")

    def cluster(self, identifier: str) -> dict[str, Any]:
        (found,) = self.rds.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"]
        return dict(found)

    def snapshot(self, identifier: str) -> str:
        name = f"snapshot-{uuid.uuid4().hex[:8]}"
        self.rds.create_db_cluster_snapshot(
            DBClusterIdentifier=identifier, DBClusterSnapshotIdentifier=name
        )
        return name

    def from_snapshot(self, snapshot: str, **more: Any) -> dict[str, Any]:
        found = self.rds.restore_db_cluster_from_snapshot(
            DBClusterIdentifier=f"from-{uuid.uuid4().hex[:8]}",
            SnapshotIdentifier=snapshot,
            Engine=ENGINE,
            **more,
        )
        return dict(found["DBCluster"])

    def to_instant(self, source: str, **more: Any) -> dict[str, Any]:
        found = self.rds.restore_db_cluster_to_point_in_time(
            DBClusterIdentifier=f"to-{uuid.uuid4().hex[:8]}",
            SourceDBClusterIdentifier=source,
            UseLatestRestorableTime=True,
            **more,
        )
        return dict(found["DBCluster"])

    def key(self) -> str:
        return str(self.client("kms").create_key()["KeyMetadata"]["Arn"])


def database(**properties: Any) -> dict[str, Any]:
    """Describe a database as a resource of a stack; what is None is not in it."""
    given: dict[str, Any] = {
        "Engine": ENGINE,
        "EngineVersion": "16.8",
        "MasterUsername": "camunda_admin",
        "MasterUserPassword": "the first one",
        "StorageEncrypted": True,
    } | properties
    return {
        "Type": "AWS::RDS::DBCluster",
        "DeletionPolicy": given.pop("DeletionPolicy", "Snapshot"),
        "Properties": {name: one for name, one in given.items() if one is not None},
    }


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    here = Instance.of(LocalConfig(tmp_path_factory.mktemp("instance"), block("refused")))
    host = instance.start(here, components=[])
    try:
        yield Cloud(here)
    finally:
        host.stop(grace=60)


# --- Keys ----------------------------------------------------------------------------------------


def test_a_database_and_its_snapshots_show_the_key_that_encrypts_them(cloud: Cloud) -> None:
    key = cloud.key()
    own = cloud.database(KmsKeyId=key)
    assert cloud.cluster(own)["KmsKeyId"] == key
    assert cloud.from_snapshot(cloud.snapshot(own))["KmsKeyId"] == key
    # Without one of the account it is the one that AWS manages, which can be described.
    managed = cloud.cluster(cloud.database())["KmsKeyId"]
    described = cloud.client("kms").describe_key(KeyId=managed)["KeyMetadata"]
    assert described["KeyState"] == "Enabled"
    assert described["Arn"] == managed


@pytest.mark.parametrize("end", ["disable_key", "schedule_key_deletion"])
def test_nothing_is_restored_while_its_key_cannot_be_used(cloud: Cloud, end: str) -> None:
    kms, key, other = cloud.client("kms"), cloud.key(), cloud.key()
    source = cloud.database(KmsKeyId=key)
    snapshot = cloud.snapshot(source)
    getattr(kms, end)(KeyId=key)
    before = {one["DBClusterIdentifier"] for one in cloud.rds.describe_db_clusters()["DBClusters"]}
    acts: tuple[Callable[[], Any], ...] = (
        lambda: cloud.from_snapshot(snapshot),
        lambda: cloud.from_snapshot(snapshot, KmsKeyId=other),
        lambda: cloud.to_instant(source),
        lambda: cloud.to_instant(source, KmsKeyId=other),
    )
    for act in acts:
        with refused("KMSKeyNotAccessibleFault", key):
            act()
    restored = database(
        MasterUsername=None,
        MasterUserPassword=None,
        StorageEncrypted=None,
        SnapshotIdentifier=snapshot,
    )
    failed = cloud.stack({"Database": restored}, "ROLLBACK_COMPLETE")
    assert key in cloud.reasons(failed)
    after = {one["DBClusterIdentifier"] for one in cloud.rds.describe_db_clusters()["DBClusters"]}
    assert after == before
    if end == "schedule_key_deletion":
        kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    assert cloud.from_snapshot(snapshot, KmsKeyId=other)["KmsKeyId"] == other
    assert cloud.to_instant(source)["KmsKeyId"] == key
    cloud.stack({"Database": restored})


def test_a_key_that_is_not_there_encrypts_nothing(cloud: Cloud) -> None:
    gone = f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/{uuid.uuid4()}"
    with refused("KMSKeyNotAccessibleFault", gone):
        cloud.from_snapshot(cloud.snapshot(cloud.database()), KmsKeyId=gone)
    failed = cloud.stack({"Database": database(KmsKeyId=gone)}, "ROLLBACK_COMPLETE")
    assert gone in cloud.reasons(failed)


# --- Versions and groups -------------------------------------------------------------------------


def test_a_snapshot_is_restored_to_the_default_version_unless_one_is_named(cloud: Cloud) -> None:
    snapshot = cloud.snapshot(cloud.database(EngineVersion="16.8"))
    (default,) = cloud.rds.describe_db_engine_versions(Engine=ENGINE, DefaultOnly=True)[
        "DBEngineVersions"
    ]
    assert cloud.from_snapshot(snapshot)["EngineVersion"] == default["EngineVersion"]
    assert cloud.from_snapshot(snapshot, EngineVersion="16.8")["EngineVersion"] == "16.8"
    assert cloud.to_instant(cloud.database(EngineVersion="16.8"))["EngineVersion"] == "16.8"


def test_a_snapshot_is_never_restored_to_an_earlier_version(cloud: Cloud) -> None:
    snapshot = cloud.snapshot(cloud.database(EngineVersion="17.7"))
    with refused("InvalidParameterCombination", "16.8", "17.7", "earlier"):
        cloud.from_snapshot(snapshot, EngineVersion="16.8")
    restored = database(
        MasterUsername=None,
        MasterUserPassword=None,
        StorageEncrypted=None,
        EngineVersion="16.8",
        SnapshotIdentifier=snapshot,
    )
    assert "earlier" in cloud.reasons(cloud.stack({"Database": restored}, "ROLLBACK_COMPLETE"))


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("DBClusterParameterGroupName", "none", "DBClusterParameterGroupNotFound"),
        (
            "DBClusterParameterGroupName",
            "default.aurora-postgresql17",
            "InvalidParameterCombination",
        ),
        ("DBSubnetGroupName", "none", "DBSubnetGroupNotFoundFault"),
        ("VpcSecurityGroupIds", ["sg-0a1b2c3d4e5f60718"], "InvalidParameterValue"),
    ],
)
def test_groups_that_are_not_there_or_do_not_fit_are_refused(
    cloud: Cloud, name: str, value: Any, code: str
) -> None:
    source = cloud.database(EngineVersion="16.8")
    with refused(code):
        cloud.from_snapshot(cloud.snapshot(source), EngineVersion="16.8", **{name: value})
    with refused(code):
        cloud.to_instant(source, **{name: value})
    failed = cloud.stack({"Database": database(**{name: value})}, "ROLLBACK_COMPLETE")
    assert str(value).strip("[]'") in cloud.reasons(failed)


# --- Snapshots -----------------------------------------------------------------------------------


def test_no_snapshot_is_taken_of_what_is_not_available(cloud: Cloud) -> None:
    stack = cloud.stack({"Database": database()})
    identifier = cloud.id_of(stack, "Database")
    cloud.rds.stop_db_cluster(DBClusterIdentifier=identifier)
    with refused("InvalidDBClusterStateFault", identifier, "available state"):
        cloud.snapshot(identifier)
    # Nor a final one, so that the database stays.
    with refused("InvalidDBClusterStateFault", identifier):
        cloud.rds.delete_db_cluster(
            DBClusterIdentifier=identifier, FinalDBSnapshotIdentifier="the-last"
        )
    cloud.client("cloudformation").delete_stack(StackName=stack)
    eventually(lambda: cloud.status(stack) == "DELETE_FAILED")
    assert cloud.cluster(identifier)["Status"] == "stopped"


def test_a_final_snapshot_counts_against_the_quota(cloud: Cloud) -> None:
    stack = cloud.stack({"Database": database()})
    identifier = cloud.id_of(stack, "Database")
    pages = cloud.rds.get_paginator("describe_db_cluster_snapshots")
    there = sum(len(page["DBClusterSnapshots"]) for page in pages.paginate())
    filled = [cloud.snapshot(identifier) for _ in range(MOST_SNAPSHOTS - there)]
    try:
        with refused("SnapshotQuotaExceeded"):
            cloud.snapshot(identifier)
        with refused("SnapshotQuotaExceeded"):
            cloud.rds.delete_db_cluster(
                DBClusterIdentifier=identifier, FinalDBSnapshotIdentifier="the-last"
            )
        cloud.client("cloudformation").delete_stack(StackName=stack)
        eventually(lambda: cloud.status(stack) == "DELETE_FAILED")
        assert "manual cluster snapshots" in cloud.reasons(stack)
        assert cloud.cluster(identifier)["Status"] == "available"
    finally:
        for name in filled:
            cloud.rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=name)
    cloud.client("cloudformation").delete_stack(StackName=stack)
    with pytest.raises(ClientError, match="does not exist"):
        eventually(lambda: cloud.status(stack) == "")


# --- Tags ----------------------------------------------------------------------------------------

KEPT = {
    "Bucket": {
        "Type": "AWS::S3::Bucket",
        "DeletionPolicy": "Retain",
        "Properties": {"Tags": [{"Key": "team", "Value": "one"}]},
    },
    "Plain": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"},
    "Files": {
        "Type": "AWS::EFS::FileSystem",
        "DeletionPolicy": "Retain",
        "Properties": {"FileSystemTags": [{"Key": "team", "Value": "one"}]},
    },
    "Key": {
        "Type": "AWS::KMS::Key",
        "DeletionPolicy": "Retain",
        "Properties": {
            "KeyPolicy": {"Version": "2012-10-17", "Statement": []},
            "Tags": [{"Key": "team", "Value": "one"}],
        },
    },
    "Database": database(
        DeletionPolicy="Retain",
        CopyTagsToSnapshot=True,
        Tags=[{"Key": "team", "Value": "one"}],
    ),
}


@dataclass(frozen=True)
class Kept:
    """A stack, and what it leaves when it is deleted."""

    name: str
    id: str
    things: dict[str, str]


@pytest.fixture(scope="module")
def kept(cloud: Cloud) -> Kept:
    name = cloud.stack(KEPT)
    found = Kept(
        name,
        cloud.described(name)["StackId"],
        {logical: cloud.id_of(name, logical) for logical in KEPT},
    )
    cloud.client("cloudformation").delete_stack(StackName=name)
    with pytest.raises(ClientError, match="does not exist"):
        eventually(lambda: cloud.status(name) == "")
    return found


def tags_of(cloud: Cloud, kept: Kept, logical: str) -> dict[str, str]:
    """Tags as their service returns them."""
    thing = kept.things[logical]
    found: list[dict[str, str]]
    if logical in {"Bucket", "Plain"}:
        found = cloud.client("s3").get_bucket_tagging(Bucket=thing)["TagSet"]
    elif logical == "Files":
        found = cloud.client("efs").list_tags_for_resource(ResourceId=thing)["Tags"]
    elif logical == "Key":
        listed = cloud.client("kms").list_resource_tags(KeyId=thing)["Tags"]
        found = [{"Key": one["TagKey"], "Value": one["TagValue"]} for one in listed]
    else:
        found = cloud.cluster(thing)["TagList"]
    return {one["Key"]: one["Value"] for one in found}


@pytest.mark.parametrize("logical", ["Bucket", "Plain", "Files", "Database"])
def test_what_a_stack_leaves_shows_of_which_stack_it_was(
    cloud: Cloud, kept: Kept, logical: str
) -> None:
    found = tags_of(cloud, kept, logical)
    own = {"team": "one"} if logical != "Plain" else {}
    assert found == own | {
        f"{SYSTEM}stack-id": kept.id,
        f"{SYSTEM}stack-name": kept.name,
        f"{SYSTEM}logical-id": logical,
    }


@pytest.mark.parametrize("logical", ["Bucket", "Plain", "Files"])
def test_what_a_stack_leaves_is_found_by_the_stack(cloud: Cloud, kept: Kept, logical: str) -> None:
    pages = cloud.client("resourcegroupstaggingapi").get_paginator("get_resources")
    listed = [
        one["ResourceARN"]
        for page in pages.paginate(TagFilters=[{"Key": f"{SYSTEM}stack-id", "Values": [kept.id]}])
        for one in page["ResourceTagMappingList"]
    ]
    assert any(arn.endswith(kept.things[logical]) for arn in listed)


def test_a_key_gets_no_tags_of_the_system_and_a_snapshot_copies_none(
    cloud: Cloud, kept: Kept
) -> None:
    assert tags_of(cloud, kept, "Key") == {"team": "one"}
    name = cloud.snapshot(kept.things["Database"])
    (found,) = cloud.rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=name)[
        "DBClusterSnapshots"
    ]
    assert found["TagList"] == [{"Key": "team", "Value": "one"}]


def test_nobody_sets_or_removes_a_tag_of_the_system(cloud: Cloud, kept: Kept) -> None:
    s3, efs, rds = cloud.client("s3"), cloud.client("efs"), cloud.rds
    bucket, files = kept.things["Bucket"], kept.things["Files"]
    arn = cloud.cluster(kept.things["Database"])["DBClusterArn"]
    before = {logical: tags_of(cloud, kept, logical) for logical in ("Bucket", "Files", "Database")}
    mine = [{"Key": "team", "Value": "two"}]
    false = [{"Key": f"{SYSTEM}stack-id", "Value": "false"}]

    def put(tags: list[dict[str, str]]) -> None:
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})

    with refused("InvalidTag", "removed"):
        put(mine)
    with refused("InvalidTag", "removed"):
        s3.delete_bucket_tagging(Bucket=bucket)
    with refused("InvalidTag"):
        put([*mine, *false])
    with refused("BadRequest", f"{SYSTEM}stack-id"):
        efs.tag_resource(ResourceId=files, Tags=false)
    with refused("BadRequest", f"{SYSTEM}stack-id"):
        efs.untag_resource(ResourceId=files, TagKeys=[f"{SYSTEM}stack-id"])
    with refused("InvalidParameterValue", "reserved"):
        rds.add_tags_to_resource(ResourceName=arn, Tags=false)
    with refused("InvalidParameterValue", "reserved"):
        rds.remove_tags_from_resource(ResourceName=arn, TagKeys=[f"{SYSTEM}stack-id"])
    with refused("InvalidParameterValue", "reserved"):
        rds.create_db_cluster_snapshot(
            DBClusterIdentifier=kept.things["Database"],
            DBClusterSnapshotIdentifier="false-tags",
            Tags=false,
        )
    for logical, tags in before.items():
        assert tags_of(cloud, kept, logical) == tags
    # What is one's own is changed, with those of the system repeated where all are replaced.
    system = {key: one for key, one in before["Bucket"].items() if key.startswith(SYSTEM)}
    put([*mine, *({"Key": key, "Value": one} for key, one in system.items())])
    assert tags_of(cloud, kept, "Bucket") == system | {"team": "two"}
    rds.add_tags_to_resource(ResourceName=arn, Tags=mine)
    assert tags_of(cloud, kept, "Database")["team"] == "two"
