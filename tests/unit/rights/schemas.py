"""What CloudFormation calls for a resource type: the permissions in the type's own schema.

Source: the resource provider schemas that cfn-lint carries, whose handlers name the IAM actions
that they use. Types older than the schemas have none; theirs are in ``WITHOUT_SCHEMA``.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from cfnlint.decode import decode_str
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from cfnlint.template.transforms._sam import Transform

from tests.unit.rights.actions import exists
from tests.unit.rights.statements import content
from tests.unit.rights.unused import NEVER, NOT_FOR, ONLY_FOR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

REGION = "eu-central-1"
_HANDLERS = ("create", "read", "update", "delete")

# https://docs.aws.amazon.com/cloud-map/latest/dg/cloud-map-api-permissions-ref.html
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCloudMapFullAccess.html
_NAMESPACE = {
    "servicediscovery:DeleteNamespace",
    "servicediscovery:GetNamespace",
    "servicediscovery:GetOperation",
    "servicediscovery:ListTagsForResource",
    "servicediscovery:TagResource",
    "servicediscovery:UntagResource",
}
WITHOUT_SCHEMA: Mapping[str, set[str]] = {
    "AWS::ServiceDiscovery::HttpNamespace": _NAMESPACE
    | {"servicediscovery:CreateHttpNamespace", "servicediscovery:UpdateHttpNamespace"},
    "AWS::ServiceDiscovery::PrivateDnsNamespace": _NAMESPACE
    | {
        "ec2:DescribeRegions",
        "ec2:DescribeVpcs",
        "route53:ChangeResourceRecordSets",
        "route53:CreateHostedZone",
        "route53:DeleteHostedZone",
        "route53:GetHostedZone",
        "route53:ListHostedZonesByName",
        "servicediscovery:CreatePrivateDnsNamespace",
        "servicediscovery:UpdatePrivateDnsNamespace",
    },
    # https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/r53-api-permissions-ref.html
    "AWS::Route53::RecordSet": {
        "route53:ChangeResourceRecordSets",
        "route53:GetChange",
        "route53:GetHostedZone",
        "route53:ListResourceRecordSets",
    },
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-custom-resources-lambda.html
    "Custom::ConsoleFiles": {"lambda:InvokeFunction"},
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
    "AWS::SQS::QueuePolicy": {"sqs:GetQueueAttributes", "sqs:SetQueueAttributes"},
}


@functools.cache
def resources(template: Path) -> Mapping[str, Any]:
    """Give the resources of a template, after the SAM transform where it asks for it."""
    written = content(template)
    if written.get("Transform") == "AWS::Serverless-2016-10-31":
        written = _transformed(template)
    found: Mapping[str, Any] = written["Resources"]
    return found


def _transformed(template: Path) -> Any:
    decoded, problems = decode_str(json.dumps(content(template)))
    assert not problems
    transform = Transform(str(template), decoded, REGION)
    failed = transform.transform_template()
    assert not failed, failed
    return transform.template()


def permissions(resource_type: str) -> set[str]:
    """Give the IAM actions, spelt as IAM spells their service, that making and changing needs."""
    if resource_type in WITHOUT_SCHEMA:
        return WITHOUT_SCHEMA[resource_type]
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, resource_type).schema
    handlers = schema.get("handlers")
    assert handlers, f"{resource_type} has no handlers in its schema: add it to WITHOUT_SCHEMA"
    named = {
        action for name in _HANDLERS for action in handlers.get(name, {}).get("permissions", ())
    } | set((schema.get("tagging") or {}).get("permissions", ()))
    # Some schemas name API operations that are no IAM actions.
    return {_spelt(action) for action in named if exists(action)}


def _spelt(action: str) -> str:
    service, _, name = action.partition(":")
    return f"{service.lower()}:{name}"


def needed(template: Path) -> dict[str, set[str]]:
    """Give the actions that a template's resources need, each with the types that need it."""
    made = resources(template)
    found: dict[str, set[str]] = {}
    for resource_type in {resource["Type"] for resource in made.values()}:
        used = _properties_used(made, resource_type)
        unneeded = {
            action
            for (kind, name), actions in ONLY_FOR.items()
            if kind == resource_type and name not in used
            for action in actions
        } | {action for kind, action in NOT_FOR if kind == resource_type}
        for action in permissions(resource_type) - unneeded - set(NEVER):
            found.setdefault(action, set()).add(resource_type)
    return found


def has_property(resource_type: str, name: str) -> bool:
    """Tell whether a property exists in a type's schema, at any depth."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, resource_type).schema
    return name in set(_keys([schema["properties"], schema.get("definitions", {})]))


def _properties_used(made: Mapping[str, Any], resource_type: str) -> set[str]:
    """Give the names of all properties, at any depth, that resources of a type have."""
    return {
        name
        for resource in made.values()
        if resource["Type"] == resource_type
        for name in _keys(resource.get("Properties", {}))
    }


def _keys(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, item in node.items():
            yield key
            yield from _keys(item)
    elif isinstance(node, list):
        for item in node:
            yield from _keys(item)
