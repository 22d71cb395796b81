"""What CloudFormation needs to make, change and delete the resources of a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from local.aws.resource_rights import KINDS, of_creation, of_deletion, of_update
from local.aws.strict.deployment_role import of_role_deletion, of_role_update
from local.config import ACCOUNT_ID, REGION
from tests.unit.rights.schemas import permissions
from tools.generate_parameters import ROOT, load_template

TAGS = [{"Key": "own", "Value": "yes"}, {"Key": "aws:cloudformation:stack-name", "Value": "s"}]
STACK_TAGS = {"own": "of the stack"}


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{resource}"


def test_every_type_of_a_cluster_is_known() -> None:
    types = {
        one["Type"] for one in load_template(ROOT / "stacks/cluster.yaml")["Resources"].values()
    }
    assert types - KINDS.keys() == {"AWS::IAM::Role"}
    assert KINDS.keys() - types == set()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_actions_are_those_of_the_type_s_schema(kind: str) -> None:
    it = KINDS[kind]
    actions = {it.create, it.delete, it.update, it.tag, *it.by_property.values()} - {""}
    assert actions - permissions(kind) == set()


def test_what_is_created_gets_its_tags_with_the_request() -> None:
    kind = "AWS::EC2::SecurityGroup"
    properties = {"Tags": TAGS, "SecurityGroupEgress": [{}]}
    group, asked = arn("ec2", "security-group/*"), {"aws:RequestTag/own": "yes"}
    assert list(of_creation(kind, "Group", properties, "stack", STACK_TAGS)) == [
        ("ec2:CreateSecurityGroup", group, asked),
        ("ec2:CreateTags", group, asked | {"ec2:CreateAction": "CreateSecurityGroup"}),
        ("ec2:AuthorizeSecurityGroupEgress", group, {"aws:ResourceTag/own": "yes"}),
    ]


def test_what_is_added_to_something_is_authorised_on_that() -> None:
    kind, has = "AWS::ServiceDiscovery::Service", {"aws:ResourceTag/own": "of the stack"}
    action = "servicediscovery:CreateService"
    assert list(of_creation(kind, "Name", {"NamespaceId": "ns-1"}, "stack", STACK_TAGS)) == [
        (action, arn("servicediscovery", "service/*"), {}),
        (action, arn("servicediscovery", "namespace/ns-1"), has),
    ]
    kind, action = "AWS::EFS::AccessPoint", "elasticfilesystem:CreateAccessPoint"
    assert list(of_creation(kind, "Point", {"FileSystemId": "fs-1"}, "stack", STACK_TAGS)) == [
        (action, arn("elasticfilesystem", "file-system/fs-1"), has),
    ]
    kind, rule = "AWS::EC2::SecurityGroupIngress", {"GroupId": "sg-1"}
    group = arn("ec2", "security-group/sg-1")
    assert list(of_creation(kind, "Rule", rule, "stack", STACK_TAGS)) == [
        ("ec2:AuthorizeSecurityGroupIngress", group, has)
    ]
    assert list(of_deletion(kind, "sgr-1", rule, STACK_TAGS)) == [
        ("ec2:RevokeSecurityGroupIngress", group, has)
    ]


def test_a_restored_database_needs_the_snapshot_and_what_the_restore_leaves_out() -> None:
    kind, action = "AWS::RDS::DBCluster", "rds:RestoreDBClusterFromSnapshot"
    cluster, asked = arn("rds", "cluster:stack-own-generated"), {"aws:RequestTag/own": "yes"}
    properties = {"Tags": TAGS, "SnapshotIdentifier": "one"}
    assert list(of_creation(kind, "Own", properties, "stack", STACK_TAGS)) == [
        (action, cluster, asked),
        # A snapshot is of no stack: it has the tags that RDS has for it, here none.
        (action, arn("rds", "cluster-snapshot:one"), asked),
        ("rds:AddTagsToResource", cluster, asked),
        ("rds:ModifyDBCluster", cluster, {"aws:ResourceTag/own": "yes"}),
    ]
    assert {action, "rds:ModifyDBCluster"} <= permissions(kind)
    by_arn = {"SnapshotIdentifier": arn("rds", "cluster-snapshot:two")}
    assert (action, arn("rds", "cluster-snapshot:two"), {}) in list(
        of_creation(kind, "Own", by_arn, "stack", STACK_TAGS)
    )
    assert not [
        right for right in of_creation(kind, "Own", {}, "stack", {}) if "Snapshot" in right[0]
    ]


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("AWS::Logs::LogGroup", arn("logs", "log-group:Stack-Own-generated")),
        ("AWS::RDS::DBCluster", arn("rds", "cluster:stack-own-generated")),
        ("AWS::S3::Bucket", "arn:aws:s3:::stack-own-generated"),
        ("AWS::SecretsManager::Secret", arn("secretsmanager", "secret:Own-generated")),
        ("AWS::KMS::Key", arn("kms", "key/*")),
    ],
)
def test_a_name_is_known_where_cloudformation_makes_it(kind: str, named: str) -> None:
    (made, *_) = of_creation(kind, "Own", {}, "Stack", {})
    assert made == (KINDS[kind].create, named, {})


def test_a_change_needs_what_its_properties_need() -> None:
    kind, name = "AWS::Logs::LogGroup", "stack-Logs-1"
    group, has = arn("logs", f"log-group:{name}"), {"aws:ResourceTag/own": "of the stack"}

    def changed(after: dict[str, Any]) -> list[Any]:
        return list(of_update(kind, name, {"RetentionInDays": 1, "Tags": TAGS}, after, STACK_TAGS))

    assert changed({"RetentionInDays": 1, "Tags": TAGS[:1]}) == []
    assert changed({"RetentionInDays": 7, "Tags": TAGS}) == [
        ("logs:PutRetentionPolicy", group, has)
    ]
    assert changed({"RetentionInDays": 1, "Tags": [{"Key": "own", "Value": "new"}]}) == [
        ("logs:TagResource", group, has | {"aws:RequestTag/own": "new"})
    ]


def test_a_listener_is_made_on_its_balancer_and_deleted_by_itself() -> None:
    kind, balancer, listener = (
        "AWS::ElasticLoadBalancingV2::Listener",
        arn("elasticloadbalancing", "loadbalancer/app/one/1"),
        arn("elasticloadbalancing", "listener/app/one/1/2"),
    )
    properties = {"LoadBalancerArn": balancer}
    (made,) = of_creation(kind, "Listener", properties, "stack", {})
    assert made[:2] == ("elasticloadbalancing:CreateListener", balancer)
    (deleted,) = of_deletion(kind, listener, properties, {})
    assert deleted[:2] == ("elasticloadbalancing:DeleteListener", listener)


def test_an_alias_needs_its_key_too() -> None:
    kind, properties = "AWS::KMS::Alias", {"AliasName": "alias/stack/data", "TargetKeyId": "k"}
    both = [arn("kms", "alias/stack/data"), arn("kms", "key/k")]
    assert [one[1] for one in of_creation(kind, "Alias", properties, "s", {})] == both
    assert [one[1] for one in of_deletion(kind, "alias/stack/data", properties, {})] == both


def test_a_role_is_changed_and_deleted_within_its_boundary() -> None:
    before = {"Policies": [{}], "PermissionsBoundary": "arn:boundary"}
    keys = {"iam:PermissionsBoundary": "arn:boundary"}
    assert list(of_role_update("none", before, before)) == []
    assert list(of_role_update("none", before, before | {"Policies": []})) == [
        ("iam:PutRolePolicy", "none", keys)
    ]
    assert list(of_role_update("none", before, {"Policies": [{}]})) == [
        ("iam:DeleteRolePermissionsBoundary", "none", keys)
    ]
    assert list(of_role_update("none", {"Policies": [{}]}, before)) == [
        ("iam:PutRolePermissionsBoundary", "none", keys)
    ]
    assert list(of_role_deletion("none", before)) == [
        ("iam:DeleteRolePolicy", "none", keys),
        ("iam:DeleteRole", "none", {}),
    ]
