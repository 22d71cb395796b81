"""What restores have left: which databases and buckets, since when, and how they are deleted."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from lifecycle.adapters.aws import session as aws
from lifecycle.adapters.aws.former_data import AwsFormerData
from lifecycle.cluster.former_data import (
    DatabaseBeside,
    final_snapshot,
    former_lines,
    in_the_way,
    replaced_at,
)
from lifecycle.errors import AwsUnavailable, FormerDataNotDeleted
from lifecycle.kept.discovery import Tagged, leases_of
from moto import mock_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_rds.type_defs import TagTypeDef

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
OURS: list[TagTypeDef] = [
    {"Key": "camunda:control-plane", "Value": "control"},
    {"Key": "camunda:cluster", "Value": "demo"},
]


def beside(name: str, days: int | None, **more: object) -> DatabaseBeside:
    created = None if days is None else NOW - days * DAY
    return DatabaseBeside(name, "available", created, **more)  # type: ignore[arg-type]


def test_a_former_database_was_replaced_when_the_next_one_was_created() -> None:
    first, second = beside("a", 90), beside("b", 40)
    copy = beside("copy", 60, copy=True)
    everything = [first, second, copy]
    assert replaced_at(first, everything, NOW - DAY) == NOW - 40 * DAY
    assert replaced_at(second, everything, NOW - DAY) == NOW - DAY
    assert replaced_at(second, everything, None) is None
    assert replaced_at(beside("c", None), everything, NOW) is None


def test_what_is_kept_is_listed_with_when_it_counts_as_expired() -> None:
    former, copy = beside("a", 90), beside("copy", 60, copy=True)
    ((one, line),) = former_lines([former, copy], NOW - 40 * DAY, 30)
    assert one is former
    assert line == {
        "name": "a",
        "status": "available",
        "createdAt": "2026-09-01T12:00:00.000Z",
        "replacedAt": "2026-10-21T12:00:00.000Z",
        "expiresAt": "2026-11-20T12:00:00.000Z",
    }
    ((_, unknown),) = former_lines([former], None, 30)
    assert (unknown["replacedAt"], unknown["expiresAt"]) == (None, None)


def test_what_somebody_works_with_and_what_rds_cannot_delete_is_in_the_way() -> None:
    assert in_the_way([beside("a", 1), DatabaseBeside("b", "deleting", None)]) == ""
    assert in_the_way([beside("a", 1, instances=2)]) == "database a has 2 instances"
    assert in_the_way([DatabaseBeside("b", "stopped", None)]) == "database b is stopped"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsFormerData]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        aws.client.cache_clear()
        rds = boto3.client("rds", region_name="eu-central-1")
        clusters: dict[str, list[TagTypeDef]] = {
            "control-demo-now": OURS,
            "control-demo-former": OURS,
            "control-demo-staging": [*OURS, {"Key": "camunda:purpose", "Value": "restore"}],
            "control-other": [OURS[0], {"Key": "camunda:cluster", "Value": "other"}],
            "another": [],
        }
        for name, tags in clusters.items():
            rds.create_db_cluster(
                DBClusterIdentifier=name,
                Engine="aurora-postgresql",
                MasterUsername="camunda_admin",
                MasterUserPassword="not-secret-1",
                DeletionProtection=name == "control-demo-former",
                Tags=tags,
            )
        yield AwsFormerData("control")
        aws.client.cache_clear()


def _names() -> set[str]:
    found = boto3.client("rds", region_name="eu-central-1").describe_db_clusters()
    return {one["DBClusterIdentifier"] for one in found["DBClusters"]}


def test_databases_are_found_by_their_tags_but_not_the_present_one(account: AwsFormerData) -> None:
    found = {one.name: one for one in account.databases("demo", "control-demo-now")}
    assert set(found) == {"control-demo-former", "control-demo-staging"}
    assert found["control-demo-staging"].copy
    assert not found["control-demo-former"].copy
    assert found["control-demo-former"].created is not None


@given(
    database=st.from_regex(r"[a-z](-?[a-z0-9]){0,62}", fullmatch=True).filter(
        lambda name: len(name) <= 63
    ),
    operation=st.text(min_size=1),
)
def test_the_name_of_a_final_snapshot_is_one_that_rds_takes(database: str, operation: str) -> None:
    """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBClusterSnapshot.html."""
    name = final_snapshot(database, operation)
    assert re.fullmatch(r"(?=.{1,63}$)[a-z](-?[a-z0-9])*", name), name
    assert name != final_snapshot(database, f"{operation}x")
    assert name == final_snapshot(database, operation)


def test_final_snapshots_of_names_that_are_cut_differ() -> None:
    stem = "control-demo-" + "x" * 44
    assert len({final_snapshot(f"{stem}-{end:05}", "demo.backup.1") for end in range(500)}) == 500


def test_a_protected_database_is_deleted_with_a_final_snapshot(account: AwsFormerData) -> None:
    account.delete_database("control-demo-former", cluster="demo", snapshot="control-demo-final")
    assert "control-demo-former" not in _names()
    found = boto3.client("rds", region_name="eu-central-1").describe_db_cluster_snapshots()
    names = {one["DBClusterSnapshotIdentifier"] for one in found["DBClusterSnapshots"]}
    assert "control-demo-final" in names


def _is_protected(name: str) -> bool:
    found = boto3.client("rds", region_name="eu-central-1").describe_db_clusters(
        DBClusterIdentifier=name
    )
    return found["DBClusters"][0]["DeletionProtection"]


def test_a_deletion_whose_final_snapshot_is_over_the_quota_keeps_its_protection(
    account: AwsFormerData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_RDS_SNAPSHOT_LIMIT", "0")
    with pytest.raises(FormerDataNotDeleted) as caught:
        account.delete_database("control-demo-former", cluster="demo", snapshot="a-final-1")
    assert "control-demo-former was not deleted" in caught.value.message
    assert "SnapshotQuotaExceeded" in caught.value.message
    assert "protection is on again" in caught.value.message
    assert "quota of manual DB cluster snapshots" in caught.value.next_step
    assert _is_protected("control-demo-former")


def test_a_deletion_whose_final_snapshot_is_there_already_keeps_its_protection(
    account: AwsFormerData,
) -> None:
    boto3.client("rds", region_name="eu-central-1").create_db_cluster_snapshot(
        DBClusterIdentifier="control-demo-former", DBClusterSnapshotIdentifier="a-final-1"
    )
    with pytest.raises(FormerDataNotDeleted, match="a-final-1") as caught:
        account.delete_database("control-demo-former", cluster="demo", snapshot="a-final-1")
    assert "another name" in caught.value.next_step
    assert _is_protected("control-demo-former")
    # An attempt before, whose deletion RDS was too busy for, has lifted it.
    boto3.client("rds", region_name="eu-central-1").modify_db_cluster(
        DBClusterIdentifier="control-demo-former", DeletionProtection=False
    )
    with pytest.raises(FormerDataNotDeleted) as caught:
        account.delete_database("control-demo-former", cluster="demo", snapshot="a-final-1")
    assert "protection is on again" in caught.value.message
    assert _is_protected("control-demo-former")


class Refusing:
    """RDS that refuses the deletion of a protected database, and perhaps its protection."""

    def __init__(self, code: str, *, protects: bool = True, deleting: bool = False) -> None:
        self.code, self.protects, self.deleting = code, protects, deleting
        self.protection: list[bool] = []
        self.asked = 0

    def describe_db_clusters(self, **_: object) -> dict[str, object]:
        status = "deleting" if self.deleting and self.asked else "available"
        one = {"DBClusterIdentifier": "a", "Status": status, "DeletionProtection": True}
        return {"DBClusters": [{**one, "TagList": OURS}]}

    def modify_db_cluster(self, **given: bool) -> None:
        if given["DeletionProtection"] and not self.protects:
            raise ClientError({"Error": {"Code": "Throttling"}}, "ModifyDBCluster")
        self.protection.append(given["DeletionProtection"])

    def delete_db_cluster(self, **_: object) -> None:
        self.asked += 1
        raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, "DeleteDBCluster")


@pytest.mark.parametrize(
    ("rds", "error", "protection"),
    [
        (Refusing("KMSKeyNotAccessibleFault"), FormerDataNotDeleted, [False, True]),
        (Refusing("SnapshotQuotaExceeded", protects=False), FormerDataNotDeleted, [False]),
        (Refusing("AccessDenied"), ClientError, [False, True]),
        # Each change of the protection would make RDS busy for a while.
        (Refusing("InvalidDBClusterStateFault"), AwsUnavailable, [False]),
        (Refusing("DBClusterNotFoundFault"), None, [False]),
        # A repetition of the call, whose first response was lost.
        (Refusing("DBClusterSnapshotAlreadyExistsFault", deleting=True), None, [False]),
    ],
    ids=lambda one: getattr(one, "code", ""),
)
def test_what_rds_refuses_is_translated(
    monkeypatch: pytest.MonkeyPatch,
    rds: Refusing,
    error: type[Exception] | None,
    protection: list[bool],
) -> None:
    monkeypatch.setattr("lifecycle.adapters.aws.former_data.client", lambda _: rds)
    words = "its deletion protection is off" if not rds.protects else ""
    with contextlib.nullcontext() if error is None else pytest.raises(error, match=words):
        AwsFormerData("control").delete_database("a", cluster="demo", snapshot="a-final-1")
    assert rds.protection == protection


def test_only_what_has_the_clusters_tags_is_deleted(account: AwsFormerData) -> None:
    before = _names()
    for name in ("another", "control-other", "not-there"):
        account.delete_database(name, cluster="demo", snapshot="")
    assert _names() == before


def test_a_database_with_instances_is_left_alone(account: AwsFormerData) -> None:
    boto3.client("rds", region_name="eu-central-1").create_db_instance(
        DBInstanceIdentifier="one",
        DBClusterIdentifier="control-demo-former",
        DBInstanceClass="db.r6g.large",
        Engine="aurora-postgresql",
    )
    account.delete_database("control-demo-former", cluster="demo", snapshot="")
    assert "control-demo-former" in _names()


def test_buckets_of_former_leases_are_those_of_the_stack_itself() -> None:
    """A stack of the same name that was torn down has kept its bucket."""

    def tagged(name: str, logical: str, stack: str = "arn:stack:2") -> Tagged:
        tags = {
            "aws:cloudformation:stack-id": stack,
            "aws:cloudformation:logical-id": logical,
        }
        return Tagged(f"arn:aws:s3:::{name}", tags if stack else {})

    found = [
        tagged("now", "NodeIdBucket"),
        tagged("former", "NodeIdBucket"),
        tagged("backups", "BackupBucket"),
        tagged("of-an-earlier-stack", "NodeIdBucket", "arn:stack:1"),
        tagged("nodeidbucket-without-tags", "", ""),
    ]
    assert leases_of(found, "arn:stack:2", {"now"}) == ["former"]


def test_a_bucket_that_is_gone_stays_so(account: AwsFormerData) -> None:
    boto3.client("s3", region_name="eu-central-1").create_bucket(
        Bucket="control-demo-former",
        CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
    )
    assert account.leases("demo", "arn:stack:2", set()) == []
    account.delete_bucket("control-demo-former")
    account.delete_bucket("control-demo-former")
