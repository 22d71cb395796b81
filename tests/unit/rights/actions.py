"""From operations of boto3 to the IAM actions they need, and what IAM knows of an action."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import botocore.session
import cfnlint.data.AdditionalSpecs
from botocore import xform_name

if TYPE_CHECKING:
    from tests.unit.rights.calls import Operation

# Where the prefix of a service's actions is not the name its requests are signed with.
_PREFIXES = {"cloudwatch": "cloudwatch", "resourcegroupstaggingapi": "tag"}
# Where an action is not called like the operation.
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
_CALLED_OTHERWISE = {
    ("lambda", "Invoke"): {"lambda:InvokeFunction"},
    ("s3", "HeadBucket"): {"s3:ListBucket"},
    ("s3", "HeadObject"): {"s3:GetObject"},
    ("s3", "ListObjectsV2"): {"s3:ListBucket"},
    ("s3", "ListObjectVersions"): {"s3:ListBucketVersions"},
    ("s3", "DeleteObjects"): {"s3:DeleteObject", "s3:DeleteObjectVersion"},
    ("s3", "GetPublicAccessBlock"): {"s3:GetBucketPublicAccessBlock"},
    ("s3", "GetBucketEncryption"): {"s3:GetEncryptionConfiguration"},
    ("s3", "GetBucketLifecycleConfiguration"): {"s3:GetLifecycleConfiguration"},
}
# What an operation needs beside the action that is called like it, as this project uses it.
_BESIDE = {
    # Tags, RoleARN and TemplateURL of the request: CloudFormation acts for the caller.
    ("cloudformation", "CreateChangeSet"): {
        "cloudformation:TagResource",
        "cloudformation:UntagResource",
        "iam:PassRole",
        "s3:GetObjectVersion",
    },
    # Every secret of a cluster is encrypted with the cluster's own key.
    ("secretsmanager", "GetSecretValue"): {"kms:Decrypt"},
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
    ("secretsmanager", "PutSecretValue"): {"kms:Decrypt", "kms:GenerateDataKey"},
    # The topic is encrypted with a key of the control plane.
    ("sns", "Publish"): {"kms:Decrypt", "kms:GenerateDataKey"},
    # The definition names tags.
    ("ecs", "CreateService"): {"ecs:TagResource"},
    # Tags of the request, and the roles of the task definition.
    ("ecs", "RunTask"): {"ecs:TagResource", "iam:PassRole"},
    # Tags of the request; RDS uses the key of the source for its caller.
    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Overview.Encryption.html
    ("rds", "RestoreDBClusterToPointInTime"): {
        "kms:CreateGrant",
        "kms:Decrypt",
        "kms:DescribeKey",
        "rds:AddTagsToResource",
    },
    # The final snapshot, with the tags of the database.
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonrds.html
    ("rds", "DeleteDBCluster"): {"rds:AddTagsToResource", "rds:CreateDBClusterSnapshot"},
    # The target's role.
    ("scheduler", "CreateSchedule"): {"iam:PassRole"},
    ("scheduler", "UpdateSchedule"): {"iam:PassRole"},
}
# Methods of clients that are no operation, or need no right.
_METHODS: dict[Operation, set[str]] = {
    ("rds", "generate_db_auth_token"): {"rds-db:connect"},
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    ("s3", "get_object of a version"): {"s3:GetObjectVersion"},
    # One call, or the parts of one; the buckets of clusters are versioned and encrypted with keys.
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/copy-object.html
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
    ("s3", "copy"): {
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "s3:AbortMultipartUpload",
        "s3:GetObjectVersion",
        "s3:PutObject",
    },
    # Everybody may ask who they are.
    ("sts", "get_caller_identity"): set(),
}


def needed_for(operation: Operation) -> set[str]:
    """Give the IAM actions of one operation; raises for a method that is no operation."""
    service, method = operation
    if operation in _METHODS:
        return _METHODS[operation]
    model = _model(service)
    named = {xform_name(name): name for name in model.operation_names}
    api = service, named[method]
    own = {f"{_PREFIXES.get(service, model.signing_name)}:{named[method]}"}
    return _CALLED_OTHERWISE.get(api, own) | _BESIDE.get(api, set())


@functools.cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


@functools.cache
def _catalogue() -> dict[str, Any]:
    # The service authorization reference as cfn-lint carries it.
    files = resources.files(cfnlint.data.AdditionalSpecs)
    found: dict[str, Any] = json.loads((files / "Policies.json").read_text())
    return found


def exists(action: str) -> bool:
    """Tell whether IAM knows an action (or, for ``x:Describe*``, one that it stands for)."""
    return bool(standing_for(action))


def standing_for(action: str) -> set[str]:
    """Give the actions, in lower case, that an action with or without ``*`` stands for."""
    prefix, _, name = action.lower().partition(":")
    known = _catalogue().get(prefix, {}).get("Actions", {})
    if name.endswith("*"):
        return {f"{prefix}:{one}" for one in known if one.startswith(name[:-1])}
    return {f"{prefix}:{name}"} & {f"{prefix}:{one}" for one in known}


def resource_types(action: str) -> set[str]:
    """Kinds of resources that an action can be scoped to; empty if only ``*`` works."""
    prefix, _, name = action.lower().partition(":")
    return set(_catalogue()[prefix]["Actions"][name].get("Resources", ()))
