"""The deployment role makes and deletes every resource of a cluster, and nobody else's."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import pytest

from local.aws.resource_rights import KINDS, Right, of_creation, of_deletion
from local.config import ACCOUNT_ID, REGION
from tests.support.planes import ACCOUNT, TAG, Resource, Role, decide, plane
from tests.unit.templates.resolver import resolve

PLANE = "camunda-lifecycle"
STACK = f"{PLANE}-demo"


def _resources() -> list[tuple[str, str, dict[str, Any]]]:
    found = resolve("cluster")
    control = re.compile(r"\bcontrol(?=[/_]demo)")
    return [
        (kind, name, json.loads(control.sub(PLANE, json.dumps(properties))))
        for kind in sorted(KINDS)
        for name, properties in found.of_type(kind).items()
    ]


def _physical_id(kind: str, name: str, properties: dict[str, Any]) -> str:
    """As CloudFormation names it, or as its service does."""
    it = KINDS[kind]
    if kind == "AWS::SecretsManager::Secret":
        return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-1A2B3C"
    if it.arn == "{}":
        return f"arn:aws:{it.create.partition(':')[0]}:{REGION}:{ACCOUNT}:any/{name}/1"
    named = properties.get(it.name) or f"{STACK}-{name}-1A2B3C"
    return named.lower() if kind.startswith(("AWS::RDS", "AWS::S3")) else str(named)


def _tagged(kind: str, properties: dict[str, Any], owner: str) -> dict[str, Any]:
    """With the tag that the stack gives its resources, as CloudFormation does for most types."""
    own = [{"Key": TAG, "Value": owner}]
    return properties | {"Tags": own} if KINDS[kind].tag else properties


@functools.cache
def _role() -> Role:
    return plane(PLANE).roles()["ClusterDeploymentRole"]


def _denied(right: Right) -> str:
    action, resource, keys = right
    there = resource.replace(f":{ACCOUNT_ID}:", f":{ACCOUNT}:")
    found = decide(_role(), action, Resource(there), keys)
    return "" if found == "Allow" else f"{action} on {resource} with {keys}: {found}"


RESOURCES = _resources()
EACH = pytest.mark.parametrize(
    ("kind", "name", "properties"), RESOURCES, ids=[name for _, name, _ in RESOURCES]
)


@EACH
def test_it_makes_and_deletes_what_a_cluster_has(
    kind: str, name: str, properties: dict[str, Any]
) -> None:
    own, tags = _tagged(kind, properties, PLANE), {TAG: PLANE}
    if kind == "AWS::S3::BucketPolicy":
        own["Bucket"] = f"{STACK}-bucket"
    made = list(of_creation(kind, name, own, STACK, tags))
    deleted = list(of_deletion(kind, _physical_id(kind, name, own), own, tags))
    assert made
    assert deleted
    assert [one for one in map(_denied, made + deleted) if one] == []


@EACH
def test_what_has_the_tag_of_another_control_plane_it_neither_makes_nor_deletes(
    kind: str, name: str, properties: dict[str, Any]
) -> None:
    own, tags = _tagged(kind, properties, "another"), {TAG: "another"}
    deleted = list(of_deletion(kind, _physical_id(kind, name, own), own, tags))
    assert all(map(_denied, deleted))
    if KINDS[kind].tag:
        assert any(map(_denied, of_creation(kind, name, own, STACK, tags)))


# The id that a plane on paper has for every item of a list.
LISTED = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(("zone", "allowed"), [(LISTED, True), ("Z0A1B2C3D4", False)])
def test_it_names_a_cluster_in_the_zones_of_the_parameter_only(zone: str, allowed: bool) -> None:
    found = resolve("cluster", HostedZoneId=zone, DomainName="demo.example.com")
    changes: list[Right] = []
    for kind in ("AWS::CertificateManager::Certificate", "AWS::Route53::RecordSet"):
        for name, properties in found.of_type(kind).items():
            own, tags = _tagged(kind, dict(properties), PLANE), {TAG: PLANE}
            changes += of_creation(kind, name, own, STACK, tags)
            changes += of_deletion(kind, _physical_id(kind, name, own), own, tags)
    records = [one for one in changes if one[0] == "route53:ChangeResourceRecordSets"]
    assert len(records) == 2 + 2 * 2, "ACM's two, and both names made and deleted"
    assert [bool(_denied(one)) for one in records] == [not allowed] * len(records)
    assert [one for one in changes if one not in records and _denied(one)] == []
