from __future__ import annotations

from typing import Literal

import boto3
import pytest
from lifecycle.adapters.aws import session as aws
from lifecycle.adapters.aws.cloud_map import CloudMapNamespaces
from lifecycle.adapters.aws.elbv2 import ElbBalancers
from lifecycle.adapters.aws.rds import RdsDatabases
from lifecycle.adapters.aws.retained_data import AwsStorage
from lifecycle.cluster.stack import Stack, StackEvent, StackResource
from lifecycle.provisioning.template import effective_template
from lifecycle.teardown.decisions import (
    StackState,
    absent_plan,
    deletion_policies,
    kept_resources,
    read_teardown_request,
    state_of,
    teardown_plan,
    what_blocks,
)
from moto import mock_aws

from tools.generate_parameters import SHIPPED, TEMPLATE, load_template

OURS = {"camunda:control-plane": "control", "camunda:cluster": "demo"}
PRICES = {
    "currency": "USD",
    "regions": {"here": {"keyMonth": "1", "fileSystemGbMonth": "0.36", "bucketGbMonth": "0.02"}},
}


def stack(status: str = "UPDATE_COMPLETE", tags: dict[str, str] | None = None) -> Stack:
    return Stack("control-demo", "arn:1", status, tags=OURS if tags is None else tags)


class TestPolicies:
    def test_the_yaml_of_before_says_what_the_json_says(self) -> None:
        read = deletion_policies(SHIPPED.read_text())
        assert read["FileSystem"] == "RetainExceptOnCreate"
        assert read["DatabaseCluster"] == "Snapshot"
        assert deletion_policies(TEMPLATE.read_text()) == read

    def test_nothing_of_a_trial_is_kept(self) -> None:
        body = effective_template(SHIPPED.read_bytes(), {"Trial": "true"}, {}).decode()
        assert set(deletion_policies(body).values()) == {"Delete"}

    def test_everything_that_is_kept_has_a_name_a_price_and_a_way_to_delete_it(self) -> None:
        resources = load_template(TEMPLATE)["Resources"]
        contents = [
            StackResource(name, resource["Type"], f"{name}-id")
            for name, resource in resources.items()
        ]
        policies = deletion_policies(TEMPLATE.read_text())
        kept = {one.logical_id for one in kept_resources(contents, policies, {}, region="here")}
        retained = {name for name, policy in policies.items() if policy != "Delete"}
        go_with_theirs = {"NodeIdBucketPolicy", "BackupBucketPolicy", "FirstUser"}
        assert kept == retained - go_with_theirs


class TestCost:
    CONTENTS = (
        StackResource("Files", "AWS::EFS::FileSystem", "fs-1"),
        StackResource("Key", "AWS::KMS::Key", "k-1"),
        StackResource("Bucket", "AWS::S3::Bucket", "b-1"),
        StackResource("Service", "AWS::ECS::Service", "s-1"),
    )
    POLICIES = dict.fromkeys(("Files", "Key", "Bucket"), "RetainExceptOnCreate")

    @pytest.mark.parametrize(
        ("back", "words"),
        [
            (None, ""),
            (
                {"restorable": None, "why": "no complete backup is in b"},
                "No cluster can be made of it again: no complete backup is in b. The final",
            ),
            (
                {
                    "restorable": {
                        "at": "2026-01-01T12:00:00Z",
                        "backup": 100,
                        "snapshot": "pair",
                        "partitions": 3,
                    },
                    "why": "",
                },
                "as of 2026-01-01T12:00:00Z (backup 100, snapshot pair, 3 partitions); what came",
            ),
        ],
    )
    def test_a_way_back_is_told_before(self, back: dict[str, object] | None, words: str) -> None:
        plan = teardown_plan(stack(), self.CONTENTS, self.POLICIES, [], back)
        assert plan["wayBack"] == back
        assert words in plan["text"]
        assert ("can be made of it again" in plan["text"]) is (back is not None)

    def test_sizes_and_prices_make_an_amount(self) -> None:
        sizes = {"Files": 5 * 1024**3, "Bucket": 0}
        kept = kept_resources(self.CONTENTS, self.POLICIES, sizes, region="here", prices=PRICES)
        assert {one.logical_id: str(one.monthly) for one in kept} == {
            "Files": "1.80",
            "Key": "1.00",
            "Bucket": "0.00",
        }
        plan = teardown_plan(stack(), self.CONTENTS, self.POLICIES, kept)
        assert plan["monthlyCost"] == "2.80"
        assert plan["goes"] == {"AWS::ECS::Service": 1}
        assert "aws efs delete-file-system --file-system-id fs-1" in plan["text"]

    @pytest.mark.parametrize(
        ("region", "files", "total", "open_"),
        [
            ("here", 5 * 1024**3, "2.80", []),
            ("here", None, "1.00", ["Files"]),
            ("elsewhere", 1, "0.00", ["Files", "Key", "Bucket"]),
        ],
    )
    def test_what_has_no_size_or_price_is_named_beside_the_sum_of_the_others(
        self, region: str, files: int | None, total: str, open_: list[str]
    ) -> None:
        sizes = {"Files": files, "Bucket": 0}
        kept = kept_resources(self.CONTENTS, self.POLICIES, sizes, region=region, prices=PRICES)
        plan = teardown_plan(stack(), self.CONTENTS, self.POLICIES, kept)
        assert (plan["monthlyCost"], plan["notPriced"]) == (total, open_)
        assert ("at least" in plan["text"]) is bool(open_)
        assert ", ".join(open_) in plan["text"]
        assert "deleted: 1 AWS::ECS::Service" in plan["text"]


def test_what_is_not_there_is_planned_as_nothing() -> None:
    plan = absent_plan("control-demo", "demo")
    assert (plan["stackStatus"], plan["trial"]) == ("ABSENT", False)
    assert (plan["goes"], plan["kept"]) == ({}, [])
    assert (plan["monthlyCost"], plan["notPriced"]) == ("0.00", [])
    assert "camunda:cluster=demo" in plan["text"]


class TestState:
    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            ("CREATE_FAILED", StackState.STANDING),
            ("UPDATE_ROLLBACK_FAILED", StackState.STANDING),
            ("DELETE_FAILED", StackState.STANDING),
            ("REVIEW_IN_PROGRESS", StackState.STANDING),
            ("UPDATE_ROLLBACK_IN_PROGRESS", StackState.BUSY),
            ("DELETE_IN_PROGRESS", StackState.DELETING),
            ("DELETE_COMPLETE", StackState.ABSENT),
        ],
    )
    def test_of_each_status(self, status: str, expected: StackState) -> None:
        assert state_of(stack(status), "control", "demo") is expected

    def test_of_nothing(self) -> None:
        assert state_of(None, "control", "demo") is StackState.ABSENT


def event(logical_id: str, status: str, reason: str = "") -> StackEvent:
    return StackEvent("2026-01-01T00:00:00Z", logical_id, "AWS::S3::Bucket", status, reason)


def test_only_what_failed_last_blocks_and_has_its_remedy() -> None:
    words, remedy = what_blocks(
        [
            event("Healed", "DELETE_FAILED", "not empty"),
            event("Healed", "DELETE_COMPLETE"),
            event("Full", "DELETE_FAILED", "The bucket you tried to delete is not empty"),
            event("control-demo", "DELETE_FAILED", "The following resource(s) failed"),
        ],
        "control-demo",
    )
    assert words == "Full (AWS::S3::Bucket): The bucket you tried to delete is not empty"
    assert remedy == "for Full, empty the bucket, all versions too"


def test_telling_needs_no_confirmation_but_takes_none_that_is_wrong() -> None:
    assert read_teardown_request({"clusterName": "demo", "dryRun": True}).dry_run
    with pytest.raises(Exception, match="confirm"):
        read_teardown_request({"clusterName": "demo", "dryRun": True, "confirm": "other"})


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch) -> Literal["eu-central-1"]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    aws.client.cache_clear()
    return "eu-central-1"


class TestStorage:
    @mock_aws
    def test_a_bucket_is_emptied_of_every_version(self, region: Literal["eu-central-1"]) -> None:
        s3 = boto3.client("s3", region_name=region)
        s3.create_bucket(Bucket="full", CreateBucketConfiguration={"LocationConstraint": region})
        s3.put_bucket_versioning(Bucket="full", VersioningConfiguration={"Status": "Enabled"})
        for _ in range(2):
            s3.put_object(Bucket="full", Key="a", Body=b"12345")
        s3.delete_object(Bucket="full", Key="a")
        storage = AwsStorage()
        assert storage.size(StackResource("B", "AWS::S3::Bucket", "full")) == 10
        assert not storage.empty_bucket("full")
        assert storage.empty_bucket("full")
        s3.delete_bucket(Bucket="full")

    @mock_aws
    def test_a_bucket_that_is_gone_is_empty(self, region: str) -> None:
        assert AwsStorage().empty_bucket(f"nowhere-{region}")

    @mock_aws
    def test_what_cannot_be_measured_has_no_size(self, region: str) -> None:
        storage = AwsStorage()
        for kind in (
            "AWS::S3::Bucket",
            "AWS::EFS::FileSystem",
            "AWS::KMS::Key",
            "AWS::RDS::DBCluster",
        ):
            assert storage.size(StackResource("X", kind, f"nothing-{region}")) is None

    @mock_aws
    def test_file_systems_and_log_groups_are_measured(self, region: str) -> None:
        efs = boto3.client("efs", region_name=region)
        identifier = efs.create_file_system(CreationToken="t")["FileSystemId"]
        boto3.client("logs", region_name=region).create_log_group(logGroupName="/a")
        storage = AwsStorage()
        assert storage.size(StackResource("F", "AWS::EFS::FileSystem", identifier)) is not None
        assert storage.size(StackResource("L", "AWS::Logs::LogGroup", "/a")) == 0


class TestDatabases:
    @mock_aws
    def test_protection_is_lifted_and_snapshots_are_found(self, region: str) -> None:
        rds = boto3.client("rds", region_name=region)
        rds.create_db_cluster(
            DBClusterIdentifier="d",
            Engine="aurora-postgresql",
            MasterUsername="camunda_admin",
            MasterUserPassword="secret-secret",
            DeletionProtection=True,
        )
        databases = RdsDatabases()
        databases.protect("d", on=False)
        found = rds.describe_db_clusters(DBClusterIdentifier="d")["DBClusters"][0]
        assert not found["DeletionProtection"]
        rds.create_db_cluster_snapshot(DBClusterSnapshotIdentifier="s", DBClusterIdentifier="d")
        assert databases.snapshots("d") == ["s"]


class TestBalancers:
    @mock_aws
    def test_protection_is_lifted_and_one_that_is_gone_is_no_error(self, region: str) -> None:
        ec2 = boto3.client("ec2", region_name=region)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=zone)
            for n, zone in enumerate((f"{region}a", f"{region}b"))
        ]
        api = boto3.client("elbv2", region_name=region)
        arn = api.create_load_balancer(
            Name="web", Subnets=[subnet["Subnet"]["SubnetId"] for subnet in subnets]
        )["LoadBalancers"][0]["LoadBalancerArn"]
        key = "deletion_protection.enabled"
        api.modify_load_balancer_attributes(
            LoadBalancerArn=arn, Attributes=[{"Key": key, "Value": "true"}]
        )
        ElbBalancers().unprotect(arn)
        found = api.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        assert {"Key": key, "Value": "false"} in found
        api.delete_load_balancer(LoadBalancerArn=arn)
        ElbBalancers().unprotect(arn)


class TestNamespaces:
    @mock_aws
    def test_services_of_a_namespace_are_listed_and_deleted(self, region: str) -> None:
        api = boto3.client("servicediscovery", region_name=region)
        operation = api.create_http_namespace(Name="a")["OperationId"]
        namespace = api.get_operation(OperationId=operation)["Operation"]["Targets"]["NAMESPACE"]
        api.create_service(Name="rest", NamespaceId=namespace)
        cloud_map = CloudMapNamespaces()
        (found,) = cloud_map.services(namespace)
        assert found.name == "rest"
        assert cloud_map.delete_service(found.identifier)
        assert cloud_map.delete_service(found.identifier)
        assert cloud_map.services(namespace) == []
