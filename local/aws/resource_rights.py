"""What CloudFormation calls for a resource, as far as the local AWS sees it, and on which ARN.

The actions are a part of those in the types' schemas (`handlers.*.permissions`): what makes,
changes, tags and deletes. What CloudFormation only reads is not here. ARNs and condition keys:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import tagging
from local.aws.strict import certificate_validation
from local.config import ACCOUNT_ID, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

type Right = tuple[str, str, Mapping[str, str]]
"""An action, the resource it is authorised on, and the condition keys of the request."""


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{resource}"


_RECORD: Final = "AWS::Route53::RecordSet"
_DATABASE: Final = "AWS::RDS::DBCluster"
_CERTIFICATE: Final = "AWS::CertificateManager::Certificate"
_FILES: Final = _arn("elasticfilesystem", "file-system/{}")
_GROUP: Final = _arn("ec2", "security-group/{}")
_BUCKET: Final = "arn:aws:s3:::{}"
_KEY: Final = _arn("kms", "key/{}")
_ZONE: Final = "arn:aws:route53:::hostedzone/{}"
_POOL: Final = _arn("cognito-idp", "userpool/{}")
_NAMESPACE: Final = _arn("servicediscovery", "namespace/{}")


@dataclass(frozen=True)
class Kind:
    """How the actions on one type of CloudFormation are authorised."""

    arn: str
    """Of the resource, with `{}` for its physical id; `{}` alone where that is an ARN."""
    create: str
    delete: str = ""
    """Empty for what is deleted by nothing of its own: a retained or a replaced configuration."""
    update: str = ""
    """For a change of a property that has no action of its own."""
    tag: str = ""
    """For the tags that it gets as it is made, and for changed ones."""
    by_property: Mapping[str, str] = field(default_factory=dict)
    """Actions that a property needs when it is set and when it changes."""
    name: str = ""
    """Property with its name; without a value, the name begins with stack and logical id."""
    named: bool = False
    """Whether the name is known before it exists; else the service chooses an id."""
    on: tuple[str, str] | None = None
    """A property that names what is there already and is authorised, too, and its ARN."""
    only_on: bool = False
    """Whether creation is authorised on that alone."""
    part: bool = False
    """Whether it has no ARN of its own, so that its change and its deletion are, too."""
    creation_key: str = ""
    """Condition key with the action that creates what is tagged, as `ec2:CreateAction`."""


_BALANCING: Final[Mapping[str, Any]] = {
    "arn": "{}",
    "tag": "elasticloadbalancing:AddTags",
    "creation_key": "elasticloadbalancing:CreateAction",
}
# Parts of a user pool are authorised on it.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncognitouserpools.html
_OF_POOL: Final[Mapping[str, Any]] = {
    "arn": _POOL,
    "on": ("UserPoolId", _POOL),
    "only_on": True,
    "part": True,
}
_RDS: Final[Mapping[str, Any]] = {"tag": "rds:AddTagsToResource", "named": True}

KINDS: Final[Mapping[str, Kind]] = {
    "AWS::CertificateManager::Certificate": Kind(
        arn="{}",
        create="acm:RequestCertificate",
        delete="acm:DeleteCertificate",
        tag="acm:AddTagsToCertificate",
    ),
    "AWS::CloudWatch::Alarm": Kind(
        arn=_arn("cloudwatch", "alarm:{}"),
        create="cloudwatch:PutMetricAlarm",
        update="cloudwatch:PutMetricAlarm",
        delete="cloudwatch:DeleteAlarms",
        tag="cloudwatch:TagResource",
        name="AlarmName",
        named=True,
    ),
    "AWS::CloudWatch::Dashboard": Kind(
        arn=f"arn:aws:cloudwatch::{ACCOUNT_ID}:dashboard/{{}}",
        create="cloudwatch:PutDashboard",
        update="cloudwatch:PutDashboard",
        delete="cloudwatch:DeleteDashboards",
        name="DashboardName",
        named=True,
    ),
    "AWS::Cognito::UserPool": Kind(
        arn=_POOL,
        create="cognito-idp:CreateUserPool",
        update="cognito-idp:UpdateUserPool",
        delete="cognito-idp:DeleteUserPool",
        tag="cognito-idp:TagResource",
    ),
    "AWS::Cognito::UserPoolClient": Kind(
        **_OF_POOL,
        create="cognito-idp:CreateUserPoolClient",
        update="cognito-idp:UpdateUserPoolClient",
        delete="cognito-idp:DeleteUserPoolClient",
    ),
    "AWS::Cognito::UserPoolDomain": Kind(
        **_OF_POOL,
        create="cognito-idp:CreateUserPoolDomain",
        update="cognito-idp:UpdateUserPoolDomain",
        delete="cognito-idp:DeleteUserPoolDomain",
    ),
    "AWS::Cognito::UserPoolResourceServer": Kind(
        **_OF_POOL,
        create="cognito-idp:CreateResourceServer",
        update="cognito-idp:UpdateResourceServer",
        delete="cognito-idp:DeleteResourceServer",
    ),
    "AWS::Cognito::UserPoolUser": Kind(
        **_OF_POOL,
        create="cognito-idp:AdminCreateUser",
        delete="cognito-idp:AdminDeleteUser",
    ),
    "AWS::SNS::Topic": Kind(
        arn=_arn("sns", "{}"),
        create="sns:CreateTopic",
        update="sns:SetTopicAttributes",
        delete="sns:DeleteTopic",
        tag="sns:TagResource",
        name="TopicName",
        named=True,
        by_property={"Subscription": "sns:Subscribe"},
    ),
    "AWS::EC2::PrefixList": Kind(
        arn=_arn("ec2", "prefix-list/{}"),
        create="ec2:CreateManagedPrefixList",
        update="ec2:ModifyManagedPrefixList",
        delete="ec2:DeleteManagedPrefixList",
        tag="ec2:CreateTags",
        creation_key="ec2:CreateAction",
    ),
    "AWS::EC2::SecurityGroup": Kind(
        arn=_GROUP,
        create="ec2:CreateSecurityGroup",
        delete="ec2:DeleteSecurityGroup",
        tag="ec2:CreateTags",
        creation_key="ec2:CreateAction",
        by_property={
            "SecurityGroupEgress": "ec2:AuthorizeSecurityGroupEgress",
            "SecurityGroupIngress": "ec2:AuthorizeSecurityGroupIngress",
        },
    ),
    "AWS::EC2::SecurityGroupEgress": Kind(
        arn=_GROUP,
        create="ec2:AuthorizeSecurityGroupEgress",
        update="ec2:UpdateSecurityGroupRuleDescriptionsEgress",
        delete="ec2:RevokeSecurityGroupEgress",
        on=("GroupId", _GROUP),
        only_on=True,
        part=True,
    ),
    "AWS::EC2::SecurityGroupIngress": Kind(
        arn=_GROUP,
        create="ec2:AuthorizeSecurityGroupIngress",
        update="ec2:UpdateSecurityGroupRuleDescriptionsIngress",
        delete="ec2:RevokeSecurityGroupIngress",
        on=("GroupId", _GROUP),
        only_on=True,
        part=True,
    ),
    "AWS::ECS::Cluster": Kind(
        arn=_arn("ecs", "cluster/{}"),
        create="ecs:CreateCluster",
        update="ecs:UpdateCluster",
        delete="ecs:DeleteCluster",
        tag="ecs:TagResource",
        creation_key="ecs:CreateAction",
    ),
    "AWS::ECS::TaskDefinition": Kind(
        arn="{}",
        create="ecs:RegisterTaskDefinition",
        delete="ecs:DeregisterTaskDefinition",
        tag="ecs:TagResource",
        creation_key="ecs:CreateAction",
    ),
    "AWS::EFS::AccessPoint": Kind(
        arn=_arn("elasticfilesystem", "access-point/{}"),
        create="elasticfilesystem:CreateAccessPoint",
        delete="elasticfilesystem:DeleteAccessPoint",
        on=("FileSystemId", _FILES),
        only_on=True,
    ),
    "AWS::EFS::FileSystem": Kind(
        arn=_FILES,
        create="elasticfilesystem:CreateFileSystem",
        update="elasticfilesystem:UpdateFileSystem",
        delete="elasticfilesystem:DeleteFileSystem",
        tag="elasticfilesystem:TagResource",
        creation_key="elasticfilesystem:CreateAction",
        by_property={
            "BackupPolicy": "elasticfilesystem:PutBackupPolicy",
            "FileSystemPolicy": "elasticfilesystem:PutFileSystemPolicy",
            "LifecyclePolicies": "elasticfilesystem:PutLifecycleConfiguration",
        },
    ),
    "AWS::EFS::MountTarget": Kind(
        arn=_FILES,
        create="elasticfilesystem:CreateMountTarget",
        update="elasticfilesystem:ModifyMountTargetSecurityGroups",
        delete="elasticfilesystem:DeleteMountTarget",
        on=("FileSystemId", _FILES),
        only_on=True,
        part=True,
    ),
    "AWS::ElasticLoadBalancingV2::Listener": Kind(
        **_BALANCING,
        create="elasticloadbalancing:CreateListener",
        update="elasticloadbalancing:ModifyListener",
        delete="elasticloadbalancing:DeleteListener",
        on=("LoadBalancerArn", "{}"),
        only_on=True,
    ),
    "AWS::ElasticLoadBalancingV2::ListenerRule": Kind(
        **_BALANCING,
        create="elasticloadbalancing:CreateRule",
        update="elasticloadbalancing:ModifyRule",
        delete="elasticloadbalancing:DeleteRule",
        on=("ListenerArn", "{}"),
        only_on=True,
    ),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": Kind(
        **_BALANCING,
        create="elasticloadbalancing:CreateLoadBalancer",
        delete="elasticloadbalancing:DeleteLoadBalancer",
        by_property={
            "LoadBalancerAttributes": "elasticloadbalancing:ModifyLoadBalancerAttributes",
        },
    ),
    "AWS::ElasticLoadBalancingV2::TargetGroup": Kind(
        **_BALANCING,
        create="elasticloadbalancing:CreateTargetGroup",
        update="elasticloadbalancing:ModifyTargetGroup",
        delete="elasticloadbalancing:DeleteTargetGroup",
        by_property={
            "TargetGroupAttributes": "elasticloadbalancing:ModifyTargetGroupAttributes",
        },
    ),
    "AWS::KMS::Alias": Kind(
        arn=_arn("kms", "{}"),
        create="kms:CreateAlias",
        update="kms:UpdateAlias",
        delete="kms:DeleteAlias",
        name="AliasName",
        named=True,
        on=("TargetKeyId", _KEY),
    ),
    "AWS::KMS::Key": Kind(
        arn=_KEY,
        create="kms:CreateKey",
        update="kms:PutKeyPolicy",
        delete="kms:ScheduleKeyDeletion",
        tag="kms:TagResource",
        by_property={"EnableKeyRotation": "kms:EnableKeyRotation"},
    ),
    "AWS::Logs::LogGroup": Kind(
        arn=_arn("logs", "log-group:{}"),
        create="logs:CreateLogGroup",
        delete="logs:DeleteLogGroup",
        tag="logs:TagResource",
        name="LogGroupName",
        named=True,
        by_property={
            "KmsKeyId": "logs:AssociateKmsKey",
            "RetentionInDays": "logs:PutRetentionPolicy",
        },
    ),
    "AWS::RDS::DBCluster": Kind(
        **_RDS,
        arn=_arn("rds", "cluster:{}"),
        create="rds:CreateDBCluster",
        update="rds:ModifyDBCluster",
        delete="rds:DeleteDBCluster",
        name="DBClusterIdentifier",
    ),
    "AWS::RDS::DBClusterParameterGroup": Kind(
        **_RDS,
        arn=_arn("rds", "cluster-pg:{}"),
        create="rds:CreateDBClusterParameterGroup",
        delete="rds:DeleteDBClusterParameterGroup",
        name="DBClusterParameterGroupName",
        by_property={"Parameters": "rds:ModifyDBClusterParameterGroup"},
    ),
    "AWS::RDS::DBInstance": Kind(
        **_RDS,
        arn=_arn("rds", "db:{}"),
        create="rds:CreateDBInstance",
        update="rds:ModifyDBInstance",
        delete="rds:DeleteDBInstance",
        name="DBInstanceIdentifier",
        on=("DBClusterIdentifier", _arn("rds", "cluster:{}")),
    ),
    "AWS::RDS::DBSubnetGroup": Kind(
        **_RDS,
        arn=_arn("rds", "subgrp:{}"),
        create="rds:CreateDBSubnetGroup",
        update="rds:ModifyDBSubnetGroup",
        delete="rds:DeleteDBSubnetGroup",
        name="DBSubnetGroupName",
    ),
    "AWS::Route53::RecordSet": Kind(
        arn=_ZONE,
        create="route53:ChangeResourceRecordSets",
        update="route53:ChangeResourceRecordSets",
        delete="route53:ChangeResourceRecordSets",
        on=("HostedZoneId", _ZONE),
        only_on=True,
        part=True,
    ),
    "AWS::S3::Bucket": Kind(
        arn=_BUCKET,
        create="s3:CreateBucket",
        delete="s3:DeleteBucket",
        tag="s3:PutBucketTagging",
        name="BucketName",
        named=True,
        by_property={
            "BucketEncryption": "s3:PutEncryptionConfiguration",
            "LifecycleConfiguration": "s3:PutLifecycleConfiguration",
            "OwnershipControls": "s3:PutBucketOwnershipControls",
            "PublicAccessBlockConfiguration": "s3:PutBucketPublicAccessBlock",
            "VersioningConfiguration": "s3:PutBucketVersioning",
        },
    ),
    "AWS::S3::BucketPolicy": Kind(
        arn=_BUCKET,
        create="s3:PutBucketPolicy",
        update="s3:PutBucketPolicy",
        delete="s3:DeleteBucketPolicy",
        on=("Bucket", _BUCKET),
        only_on=True,
        part=True,
    ),
    "AWS::Scheduler::Schedule": Kind(
        arn=_arn("scheduler", "schedule/default/{}"),
        create="scheduler:CreateSchedule",
        update="scheduler:UpdateSchedule",
        delete="scheduler:DeleteSchedule",
        name="Name",
        named=True,
    ),
    "AWS::SecretsManager::Secret": Kind(
        arn="{}",
        create="secretsmanager:CreateSecret",
        update="secretsmanager:UpdateSecret",
        delete="secretsmanager:DeleteSecret",
        tag="secretsmanager:TagResource",
    ),
    "AWS::ServiceDiscovery::HttpNamespace": Kind(
        arn=_NAMESPACE,
        create="servicediscovery:CreateHttpNamespace",
        update="servicediscovery:UpdateHttpNamespace",
        delete="servicediscovery:DeleteNamespace",
        tag="servicediscovery:TagResource",
    ),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": Kind(
        arn=_NAMESPACE,
        create="servicediscovery:CreatePrivateDnsNamespace",
        update="servicediscovery:UpdatePrivateDnsNamespace",
        delete="servicediscovery:DeleteNamespace",
        tag="servicediscovery:TagResource",
    ),
    "AWS::ServiceDiscovery::Service": Kind(
        arn=_arn("servicediscovery", "service/{}"),
        create="servicediscovery:CreateService",
        update="servicediscovery:UpdateService",
        delete="servicediscovery:DeleteService",
        tag="servicediscovery:TagResource",
        on=("NamespaceId", _NAMESPACE),
    ),
}


def of_creation(
    kind: str, logical_id: str, properties: Mapping[str, Any], stack: str, own: Mapping[str, str]
) -> Iterator[Right]:
    """Give what the creation of a resource needs; `own` are the tags of its stack."""
    if kind == _RECORD:
        yield of_record("CREATE", properties)
        return
    if kind == _CERTIFICATE:
        yield from of_validation(properties)
    it = KINDS[kind]
    if restored := kind == _DATABASE and bool(properties.get("SnapshotIdentifier")):
        it = replace(
            it,
            create="rds:RestoreDBClusterFromSnapshot",
            on=("SnapshotIdentifier", _arn("rds", "cluster-snapshot:{}")),
        )
    arn = _new(kind, logical_id, properties, stack)
    tags = given_tags(properties)
    asked = {f"aws:RequestTag/{name}": value for name, value in tags.items()}
    if not it.only_on:
        yield it.create, arn, asked
    yield from _on_what_is_there(it, it.create, properties, own, asked)
    if it.tag and tags:
        creating = {it.creation_key: it.create.partition(":")[2]} if it.creation_key else {}
        yield it.tag, arn, asked | creating
    # Tagged as it was made, it is one of ours for what follows.
    has = {f"aws:ResourceTag/{name}": value for name, value in tags.items()}
    for name, action in it.by_property.items():
        if properties.get(name):
            yield action, arn, has
    if restored:
        # What a restore does not take; see shouldUpdateAfterCreate in the type's handler.
        yield it.update, arn, has


def of_update(
    kind: str,
    physical_id: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    own: Mapping[str, str],
) -> Iterator[Right]:
    """Give what a change of a resource in place needs."""
    if kind == _RECORD:
        yield of_record("UPSERT", after)
        return
    it = KINDS[kind]
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    if given_tags(before) == given_tags(after):
        changed -= {"Tags"}
    arn = _present(it, physical_id, after)
    has = _has(arn, own)
    if "Tags" in changed and it.tag:
        tags = {f"aws:RequestTag/{name}": value for name, value in given_tags(after).items()}
        yield it.tag, arn, has | tags
    actions = {it.by_property.get(name, it.update) for name in changed - {"Tags"}}
    yield from ((action, arn, has) for action in sorted(actions - {""}))


def of_deletion(
    kind: str, physical_id: str, properties: Mapping[str, Any], own: Mapping[str, str]
) -> Iterator[Right]:
    """Give what the deletion of a resource needs."""
    if kind == _RECORD:
        yield of_record("DELETE", properties)
        return
    it = KINDS[kind]
    arn = _present(it, physical_id, properties)
    if it.delete:
        yield it.delete, arn, _has(arn, own)
        if kind == "AWS::KMS::Alias":
            yield from _on_what_is_there(it, it.delete, properties, own, {})


def of_record(action: str, properties: Mapping[str, Any]) -> Right:
    """Give what a change of one record needs, with the condition keys of its zone.

    https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/specifying-rrset-conditions.html
    """
    keys = {
        "Actions": action,
        "NormalizedRecordNames": str(properties["Name"]).lower().rstrip("."),
        "RecordTypes": str(properties["Type"]),
    }
    change = "route53:ChangeResourceRecordSets"
    zone = f"arn:aws:route53:::hostedzone/{properties['HostedZoneId']}"
    return change, zone, {f"{change}{name}": value for name, value in keys.items()}


def of_validation(properties: Mapping[str, Any]) -> Iterator[Right]:
    """Give what CloudFormation needs to write the records by which ACM validates a certificate."""
    for one in properties.get("DomainValidationOptions") or ():
        if one.get("HostedZoneId"):
            record = certificate_validation.option(one["DomainName"], "DNS")["ResourceRecord"]
            yield of_record("UPSERT", {**record, "HostedZoneId": one["HostedZoneId"]})


def given_tags(properties: Mapping[str, Any]) -> dict[str, str]:
    """Tags of the properties that are given by people; those of CloudFormation itself are not."""
    tags = properties.get("Tags") or properties.get("FileSystemTags") or []
    pairs = tags if isinstance(tags, dict) else {one["Key"]: one["Value"] for one in tags}
    return {key: str(value) for key, value in pairs.items() if not key.startswith("aws:")}


def _new(kind: str, logical_id: str, properties: Mapping[str, Any], stack: str) -> str:
    it = KINDS[kind]
    if kind == "AWS::SecretsManager::Secret":
        # CloudFormation names secrets by their logical ids.
        return _arn("secretsmanager", f"secret:{properties.get('Name') or logical_id}-generated")
    if not it.named:
        return it.arn.format("*")
    name = properties.get(it.name) or f"{stack}-{logical_id}-generated"
    return it.arn.format(name.lower() if ":rds:" in it.arn or it.arn == _BUCKET else name)


def _present(it: Kind, physical_id: str, properties: Mapping[str, Any]) -> str:
    if it.on and it.part:
        return it.arn.format(properties[it.on[0]])
    return physical_id if physical_id.startswith("arn:") else it.arn.format(physical_id)


def _on_what_is_there(
    it: Kind,
    action: str,
    properties: Mapping[str, Any],
    own: Mapping[str, str],
    asked: Mapping[str, str],
) -> Iterator[Right]:
    if it.on and properties.get(it.on[0]):
        named = str(properties[it.on[0]])
        arn = named if named.startswith("arn:") else it.on[1].format(named)
        yield action, arn, {**_has(arn, own), **asked}


def _has(arn: str, own: Mapping[str, str]) -> dict[str, str]:
    """Condition keys of a resource's tags: as its service has them; else those of its stack.

    The emulator shows no tags of security groups, log groups and Cloud Map.
    """
    tags = tagging.resource_tags(arn)
    if ":cluster-snapshot:" in arn:
        # Of no stack: one without tags has none.
        own = {}
    return {f"aws:ResourceTag/{name}": value for name, value in (tags or own).items()}
