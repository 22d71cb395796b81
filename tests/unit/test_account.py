"""The facts of an account, read from services that moto knows; the rest is as if denied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from lifecycle.adapters import account as reading
from lifecycle.adapters.account import AwsAccount
from lifecycle.adapters.aws import client
from lifecycle.core.images import Versions
from lifecycle.core.parameters import cluster_parameters
from lifecycle.core.preflight import Facts, Live, Need, Quota
from lifecycle.core.way_back import Snapshot
from lifecycle.errors import AwsRefused
from moto import mock_aws

REGION = "eu-central-1"
DEFAULTS = {name: str(d.get("default", "")) for name, d in cluster_parameters().items()}
NEED = Need.of("control-demo", None, DEFAULTS)


def denied(*_: object) -> None:
    raise ClientError(
        {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}, "GetIt"
    )


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for unknown_to_moto in ("quota_value", "_engine_offered", "_class_offered"):
        monkeypatch.setattr(reading, unknown_to_moto, denied)
    client.cache_clear()
    with mock_aws():
        yield lambda service: boto3.client(service, region_name=REGION)
    client.cache_clear()


def vpc(aws: Any) -> tuple[str, str, str]:
    """A VPC with a private subnet; gives VPC, subnet and route table."""
    ec2 = aws("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    return vpc_id, subnet, table


def facts(aws: Any, found: tuple[str, str, str], need: Need = NEED) -> Facts:
    if not aws("s3").list_buckets()["Buckets"]:
        aws("s3").create_bucket(
            Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
    account = AwsAccount(region=REGION, vpc=found[0], subnets=(found[1],), bucket="artifacts")
    return account.facts(need)


def test_the_network_is_read_with_its_way_out(aws: Any) -> None:
    found = vpc(aws)
    network = facts(aws, found).network
    assert network is not None
    assert (network.dns_support, network.dns_hostnames) == (True, True)
    (subnet,) = network.subnets
    assert (subnet.subnet_id, subnet.free, subnet.way_out) == (found[1], 251, "")
    gateway = aws("ec2").create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    aws("ec2").attach_internet_gateway(InternetGatewayId=gateway, VpcId=found[0])
    aws("ec2").create_route(
        RouteTableId=found[2], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway
    )
    network = facts(aws, found).network
    assert network is not None
    assert network.subnets[0].way_out == gateway


def test_endpoints_are_read_by_the_name_of_their_service(aws: Any) -> None:
    found = vpc(aws)
    for service in ("s3", "ecr.api"):
        aws("ec2").create_vpc_endpoint(
            VpcId=found[0], ServiceName=f"com.amazonaws.{REGION}.{service}"
        )
    network = facts(aws, found).network
    assert network is not None
    assert network.endpoints == {"s3", "ecr.api"}


def test_the_bucket_is_private_and_versioned_only_if_both_are_on(aws: Any) -> None:
    found = vpc(aws)
    bucket = facts(aws, found).bucket
    assert bucket is not None
    assert not bucket.versioned
    aws("s3").put_bucket_versioning(
        Bucket="artifacts", VersioningConfiguration={"Status": "Enabled"}
    )
    on = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    for blocked, private in ((on[:3], False), (on, True)):
        aws("s3").put_public_access_block(
            Bucket="artifacts",
            PublicAccessBlockConfiguration={name: name in blocked for name in on},
        )
        bucket = facts(aws, found).bucket
        assert bucket is not None
        assert (bucket.private, bucket.versioned) == (private, True)


def test_an_ecs_cluster_of_that_name_is_seen(aws: Any) -> None:
    found = vpc(aws)
    assert facts(aws, found).ecs_cluster_exists is False
    aws("ecs").create_cluster(clusterName="control-demo")
    assert facts(aws, found).ecs_cluster_exists is True


def test_what_cannot_be_read_hides_nothing_else(aws: Any) -> None:
    missing = ("vpc-00000000", "subnet-00000000", "")
    seen = facts(aws, missing)
    assert seen.network is None
    assert "vpc-00000000" in seen.unread["network"]
    assert (seen.account, seen.region) == ("123456789012", REGION)
    assert seen.bucket is not None
    for fact in ("vcpu", "database_clusters", "engine_offered", "class_offered"):
        assert getattr(seen, fact) is None
        assert "not authorized" in seen.unread[fact]


def test_a_quota_without_a_value_hides_nothing_else(
    aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_value(service: str, code: str) -> float:
        if service == "fargate":
            return 100.0
        raise AwsRefused(f"Quota {code} of {service} has no value")

    monkeypatch.setattr(reading, "quota_value", no_value)
    seen = facts(aws, vpc(aws))
    assert seen.vcpu == Quota(100.0, 0.0)
    for fact in ("application_balancers", "network_balancers", "database_instances"):
        assert getattr(seen, fact) is None
        assert "has no value" in seen.unread[fact]


LIVING = replace(NEED, creates=False, broker_vcpu=0, connectors_vcpu=0, database_instances=0)


def test_quotas_are_not_asked_for_a_living_cluster_that_keeps_its_size(aws: Any) -> None:
    seen = facts(aws, vpc(aws), LIVING)
    assert (seen.vcpu, seen.live, seen.database_instances) == (None, None, None)
    assert seen.unread.keys().isdisjoint({"vcpu", "live", "database_instances"})
    assert seen.ecs_cluster_exists is None


def test_what_a_living_cluster_needs_more_is_measured_by_its_live_counts(aws: Any) -> None:
    ecs = aws("ecs")
    ecs.create_cluster(clusterName="control-demo")
    ecs.register_task_definition(
        family="any", containerDefinitions=[{"name": "any", "image": "any", "memory": 128}]
    )
    for name, count in (("orchestration-cluster", 6), ("connectors", 2)):
        ecs.create_service(
            cluster="control-demo", serviceName=name, taskDefinition="any", desiredCount=count
        )
    seen = facts(aws, vpc(aws), replace(LIVING, broker_vcpu=4, database_instances=1))
    assert seen.live == Live(brokers=6, connectors=2)
    # moto knows no Service Quotas.
    assert {"vcpu", "database_instances"} <= seen.unread.keys()


def test_before_another_minor_the_newest_available_snapshot_of_this_database_is_read(
    aws: Any,
) -> None:
    rds = aws("rds")
    rds.create_db_cluster(
        DBClusterIdentifier="ours",
        Engine="aurora-postgresql",
        MasterUsername="admin1",
        MasterUserPassword="not-a-real-one",
    )
    rds.create_db_cluster_snapshot(DBClusterIdentifier="ours", DBClusterSnapshotIdentifier="mine")
    need = replace(
        NEED,
        creates=False,
        database="ours",
        versions=Versions((8, 10, 0), (8, 10, 0)),
        present_versions=Versions((8, 9, 16), (8, 9, 16)),
    )
    found = vpc(aws)
    snapshot = facts(aws, found, need).snapshot
    assert snapshot is not None
    assert snapshot.at is not None
    assert snapshot.at.tzinfo is not None
    assert facts(aws, found, replace(need, database="another")).snapshot == Snapshot(None)
    assert facts(aws, found, replace(need, database="")).snapshot == Snapshot(None)
    assert facts(aws, found, replace(need, versions=need.present_versions)).snapshot is None
