"""The facts of an account, read from services that moto knows; the rest is as if denied."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from lifecycle.adapters.aws import account as reading
from lifecycle.adapters.aws.account import AwsAccount
from lifecycle.adapters.aws.session import client
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.errors import AwsRefused
from lifecycle.preflight.checks import RETIREMENT, Engine, Facts, Live, Need, Quota
from lifecycle.preflight.service_roles import SERVICE_ROLES, ServiceRoles
from lifecycle.preflight.way_back import Snapshot
from lifecycle.services.images import Versions
from lifecycle.services.named_secrets import NamedSecret, SecretSeen, Seen
from moto import mock_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-central-1"
DEFAULTS = {name: str(d.get("default", "")) for name, d in cluster_parameters().items()}
NEED = Need.of("control-demo", None, DEFAULTS)
DEPLOYMENT_ROLE = "arn:aws:iam::123456789012:role/camunda/deployment"


def denied(*_: object) -> None:
    raise ClientError(
        {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}, "GetIt"
    )


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for unknown_to_moto in (
        "quota_value",
        "_engine_offered",
        "_class_offered",
        "_may_be_made",
        "_control_stacks",
    ):
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
    account = AwsAccount(
        region=REGION,
        vpc=found[0],
        subnets=(found[1],),
        bucket="artifacts",
        deployment_role=DEPLOYMENT_ROLE,
    )
    return account.facts(need)


def test_the_network_is_read_with_its_way_out(aws: Any) -> None:
    found = vpc(aws)
    network = facts(aws, found).network
    assert network is not None
    assert (network.dns_support, network.dns_hostnames) == (True, True)
    (subnet,) = network.subnets
    assert (subnet.subnet_id, subnet.free, subnet.way_out) == (found[1], 251, "")
    assert subnet.zone_id.startswith("euc1-az")
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
    elsewhere = aws("ec2").create_route_table(VpcId=found[0])["RouteTable"]["RouteTableId"]
    given: dict[str, dict[str, Any]] = {
        "s3": {"VpcEndpointType": "Gateway", "RouteTableIds": [found[2]]},
        "dynamodb": {"VpcEndpointType": "Gateway", "RouteTableIds": [elsewhere]},
        "ecr.api": {"VpcEndpointType": "Interface", "PrivateDnsEnabled": True},
        "logs": {"VpcEndpointType": "Interface", "PrivateDnsEnabled": False},
    }
    for service, settings in given.items():
        aws("ec2").create_vpc_endpoint(
            VpcId=found[0], ServiceName=f"com.amazonaws.{REGION}.{service}", **settings
        )
    network = facts(aws, found).network
    assert network is not None
    assert network.endpoints == {"s3", "ecr.api"}
    assert network.unused_endpoints == {
        "dynamodb": f"not in {found[2]}",
        "logs": "private DNS is off",
    }


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


def test_control_stacks_are_found_by_what_they_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """By an API in the shape of CloudFormation's: moto's needs packages that are not here."""
    pages = [
        {"Exports": [{"Name": export, "ExportingStackId": f"arn:aws:x:y:1:stack/{stack}/0f3a"}]}
        for stack, export in (
            ("control-2", "control-2-DeploymentRoleArn"),
            ("payments", "payments-DeploymentRole"),
            ("other", "named-DeploymentRoleArn"),
            ("camunda-lifecycle", "camunda-lifecycle-DeploymentRoleArn"),
        )
    ]
    paginator = SimpleNamespace(paginate=lambda: pages)
    api = SimpleNamespace(get_paginator={"list_exports": paginator}.__getitem__)
    monkeypatch.setattr(reading, "client", lambda *_, **__: api)
    assert reading._control_stacks() == ["camunda-lifecycle", "control-2"]


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


def test_what_the_database_runs_and_may_become_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Rds:
        def describe_db_clusters(self, **_: Any) -> Any:
            return {"DBClusters": [{"EngineVersion": "17.9"}]}

        def describe_db_engine_versions(self, *, EngineVersion: str, **_: Any) -> Any:  # noqa: N803
            assert EngineVersion == "17.9"
            later = [{"EngineVersion": "17.10"}, {"EngineVersion": "18.3"}]
            return {"DBEngineVersions": [{"ValidUpgradeTarget": later}]}

    monkeypatch.setattr(reading, "client", lambda *_, **__: Rds())
    assert reading._engine("database-1") == Engine("17.9", frozenset({"17.10", "18.3"}))


def test_secrets_and_parameters_are_seen_with_their_tags_and_never_read(aws: Any) -> None:
    tags = [{"Key": "camunda:control-plane", "Value": "control"}]
    secret = aws("secretsmanager").create_secret(Name="mail", SecretString="x", Tags=tags)["ARN"]
    going = aws("secretsmanager").create_secret(Name="old", SecretString="x")["ARN"]
    aws("secretsmanager").delete_secret(SecretId=going)
    for name in ("/team/host", "flat"):
        aws("ssm").put_parameter(Name=name, Value="x", Type="String", Tags=tags)
    parameter = f"arn:aws:ssm:{REGION}:123456789012:parameter"
    arns = [secret, going, secret.replace("mail", "none"), f"{parameter}/team/host"]
    arns += [f"{parameter}/flat", f"{parameter}/team/none", secret.replace(REGION, "us-east-1")]
    arns.append(secret[: -len("-AbCdEf")])
    need = replace(NEED, secrets=tuple(NamedSecret(f"s{n}", arn) for n, arn in enumerate(arns)))
    seen = facts(aws, vpc(aws), need)
    ours = SecretSeen(Seen.THERE, {"camunda:control-plane": "control"})
    gone = SecretSeen(Seen.ABSENT)
    assert seen.secrets == {
        arns[0]: replace(ours, arn=secret),
        arns[1]: SecretSeen(Seen.LEAVING),
        arns[2]: gone,
        arns[3]: ours,
        arns[4]: ours,
        arns[5]: gone,
        arns[7]: replace(ours, arn=secret),
    }


@pytest.mark.parametrize("service", ["secretsmanager:{}:secret:a", "ssm:{}:parameter/a"])
def test_a_secret_that_may_not_be_looked_at_is_told_so(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    class Denying:
        class exceptions:  # noqa: N801 - as boto3 has it
            ResourceNotFoundException = InvalidResourceId = KeyError

        def describe_secret(self, **_: object) -> None:
            denied()

        def list_tags_for_resource(self, **_: object) -> None:
            denied()

    def denying(*_: object, **__: object) -> Any:
        return Denying()

    monkeypatch.setattr(reading, "client", denying)
    arn = f"arn:aws:{service.format(f'{REGION}:123456789012')}"
    assert reading._secret(NamedSecret("x", arn)) == SecretSeen(Seen.DENIED)


def test_the_wait_before_tasks_retire_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ecs:
        def list_account_settings(self, **asked: Any) -> Any:
            assert asked == {"name": "fargateTaskRetirementWaitPeriod", "effectiveSettings": True}
            return {"settings": [{"name": asked["name"], "value": "0"}]}

    monkeypatch.setattr(reading, "client", lambda *_, **__: Ecs())
    assert reading._days_set(RETIREMENT) == 0


def test_before_another_minor_the_newest_available_snapshot_of_this_database_is_read(
    aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of engine versions there is nothing in the mock.
    monkeypatch.setattr(reading, "_engine", lambda _: None)
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


def test_certificate_and_key_are_read_where_they_are_named(aws: Any) -> None:
    found = vpc(aws)
    certificate = aws("acm").request_certificate(DomainName="*.example.com")["CertificateArn"]
    key = aws("kms").create_key()["KeyMetadata"]["Arn"]
    aws("kms").disable_key(KeyId=key.rpartition("/")[2])
    read = facts(aws, found, replace(NEED, certificate_arn=certificate, kms_key_arn=key))
    assert read.https_certificate is not None
    assert read.https_certificate.names == ("*.example.com",)
    assert read.https_certificate.status == "PENDING_VALIDATION"
    assert read.kms_key is not None
    assert (read.kms_key.state, read.kms_key.spec) == ("Disabled", "SYMMETRIC_DEFAULT")
    read = facts(aws, found, replace(NEED, certificate_arn=certificate[:-3] + "000"))
    assert read.https_certificate is not None
    assert read.https_certificate.status == ""


def test_the_policy_of_a_key_is_read_where_one_is_named(aws: Any) -> None:
    found = vpc(aws)
    key = aws("kms").create_key()["KeyMetadata"]["Arn"]
    read = facts(aws, found, replace(NEED, kms_key_arn=key)).kms_key_policy
    assert read is not None
    assert read.iam_decides
    denial = {"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [denial]}
    aws("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    read = facts(aws, found, replace(NEED, kms_key_arn=key)).kms_key_policy
    assert read is not None
    assert read.iam_decides is None
    gone = facts(aws, found, replace(NEED, kms_key_arn=f"{key[:-3]}000"))
    assert gone.kms_key_policy is None
    assert gone.unread["kms_key_policy"]


OF_THE_ORGANIZATION = {"OrganizationsDecisionDetail": {"AllowedByOrganizations": False}}


class TestServiceRoles:
    def found(self, aws: Any) -> ServiceRoles:
        read = facts(aws, vpc(aws)).service_roles
        assert read is not None
        return read

    def test_all_of_them_are_there(self, aws: Any) -> None:
        for role in SERVICE_ROLES.values():
            aws("iam").create_role(RoleName=role, AssumeRolePolicyDocument="{}")
        assert self.found(aws) == ServiceRoles()

    def test_those_that_are_not_there_may_be_made_or_not(
        self, aws: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, *others = SERVICE_ROLES.items()
        aws("iam").create_role(RoleName=first[1], AssumeRolePolicyDocument="{}")
        absent = frozenset(service for service, _ in others)
        monkeypatch.setattr(reading, "_may_be_made", lambda _, service: service == others[0][0])
        assert self.found(aws) == ServiceRoles(absent, absent - {others[0][0]})

    def test_whether_they_may_be_made_is_not_known(self, aws: Any) -> None:
        seen = self.found(aws)
        assert (seen.absent, seen.refused) == (frozenset(SERVICE_ROLES), None)
        assert "not authorized" in seen.unread

    def test_a_role_that_may_not_be_looked_at_is_none_that_is_absent(
        self, aws: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        api = client("iam", attempts=3)
        monkeypatch.setattr(api, "get_role", lambda **_: denied())
        seen = facts(aws, vpc(aws))
        assert seen.service_roles is None
        assert "not authorized" in seen.unread["service_roles"]

    @pytest.mark.parametrize(
        ("decisions", "more", "allowed"),
        [
            (["allowed"], {}, True),
            (["implicitDeny"], {}, False),
            (["explicitDeny"], {}, False),
            (["implicitDeny"], OF_THE_ORGANIZATION, None),
            (["explicitDeny"], {"MissingContextValues": ["aws:RequestedRegion"]}, None),
            ([], {}, None),
        ],
    )
    def test_the_simulator_is_asked_as_the_service_would_be(
        self,
        monkeypatch: pytest.MonkeyPatch,
        decisions: list[str],
        more: dict[str, Any],
        allowed: bool | None,
    ) -> None:
        asked: list[dict[str, Any]] = []

        class Iam:
            def simulate_principal_policy(self, **given: Any) -> Any:
                asked.append(given)
                return {"EvaluationResults": [{"EvalDecision": one, **more} for one in decisions]}

        monkeypatch.setattr(reading, "client", lambda *_, **__: Iam())
        assert reading._may_be_made(DEPLOYMENT_ROLE, "rds.amazonaws.com") is allowed
        (question,) = asked
        assert question["PolicySourceArn"] == DEPLOYMENT_ROLE
        assert question["ResourceArns"] == [
            "arn:aws:iam::123456789012:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS"
        ]
        assert question["ContextEntries"][0]["ContextKeyValues"] == ["rds.amazonaws.com"]
