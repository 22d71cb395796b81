"""What a control plane can do to another one of the same account, and to its own audit trail.

Every role of one is held against every resource of the other, with the keys of a request that suit
an attacker best. Names begin alike here, which preflight refuses: the rights must not rest on it.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.authorization import Action, action, standing_for
from tests.support.planes import (
    ACCOUNT,
    TAG,
    Plane,
    Resource,
    Role,
    arn,
    decide,
    plane,
    ready_policy,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAIRS = [
    ("camunda-lifecycle", "camunda-lifecycle-2"),
    ("camunda-lifecycle-2", "camunda-lifecycle"),
    ("camunda", "camunda-lifecycle-2"),
]
# What a role may do to another control plane's resource, because IAM knows no tag of it and its
# name begins alike; each names what makes up for that.
HARMLESS = {
    "logs:getlogevents": "its streams have no tags; preflight refuses names that begin alike",
    "kms:enablekeyrotation": "rotation takes nothing from anybody",
    # SECURITY.md, One control plane beside another, lists these.
    "rds-db:connect": "security groups admit the own functions only",
    "servicediscovery:deleteservice": "Cloud Map deletes no service that has instances",
    "route53:changeresourcerecordsets": "only by templates, and planners pass none but ours",
    "route53:deletehostedzone": "as above",
    "ec2:deletenetworkinterface": "as above, and none that is attached",
    "ec2:modifynetworkinterfaceattribute": "as above",
    "ec2:createnetworkinterface": "creates",
    "servicediscovery:createservice": "creates",
    "route53:gethostedzone": "reads names",
    "servicediscovery:getoperation": "reads names",
    "servicediscovery:getservice": "reads names",
    "servicediscovery:getserviceattributes": "reads names",
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _actions(role: Role) -> list[str]:
    """Every action that some statement allows, written out."""
    return sorted(
        {
            one
            for statement in role.statements()
            if statement["Effect"] == "Allow"
            for pattern in _listed(statement["Action"])
            for one in standing_for(pattern)
        }
    )


def _is_of(resource: Resource, known: Action) -> bool:
    """Whether the action can name the resource."""
    stream = ":log-stream:" in resource.arn
    return any(
        one.pattern != "*"
        and fnmatchcase(resource.arn, one.pattern)
        and stream == (one.name == "log-stream")
        for one in known.types
    )


def _keys(attacker: Plane, resource: Resource) -> Iterator[Mapping[str, Any]]:
    """Keys of requests that suit an attacker: his own tag, his boundary, whatever he can choose."""
    boundary = attacker.arn_of("TaskBoundary")
    common = {
        "aws:RequestTag/" + TAG: attacker.name,
        "aws:TagKeys": ["name"],
        "iam:PermissionsBoundary": boundary,
        "iam:PolicyARN": arn("iam", "policy/camunda/mine", region=""),
        "iam:AWSServiceName": "ecs.amazonaws.com",
        "kms:GrantIsForAWSResource": "true",
        "kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com",
        "ecs:cluster": resource.arn,
        "cloudformation:RoleArn": attacker.arn_of("ClusterDeploymentRole"),
        "cloudformation:TemplateUrl": (
            f"https://{attacker.arn_of('ArtifactBucket').removeprefix('arn:aws:s3:::')}"
            ".s3.eu-central-1.amazonaws.com/templates/1.json"
        ),
        "cloudformation:CreateAction": "CreateChangeSet",
        "dynamodb:LeadingKeys": ["LOCK#demo"],
        "aws:ResourceAccount": ACCOUNT,
        "aws:CalledVia": ["cloudformation.amazonaws.com"],
    }
    for service in ("ecs-tasks", "cloudformation", "scheduler", "lambda", "states", "apigateway"):
        yield common | {"iam:PassedToService": f"{service}.amazonaws.com"}


def allowed(attacker: Plane, role: Role, resources: list[Resource]) -> set[tuple[str, str]]:
    """What a role may do to these resources: actions in lower case, with the resource."""
    found = set()
    for name in _actions(role):
        known = action(name)
        for resource in resources:
            if not _is_of(resource, known):
                continue
            contexts = list(_keys(attacker, resource))
            if name != "iam:passrole":
                contexts = contexts[:1]
            if any(decide(role, name, resource, keys) == "Allow" for keys in contexts):
                found.add((name, resource.arn))
    return found


@pytest.mark.parametrize(("own", "other"), PAIRS)
def test_no_role_reads_changes_or_deletes_what_another_control_plane_has(
    own: str, other: str
) -> None:
    attacker, victim = plane(own), plane(other)
    resources = [*victim.cluster(), *victim.own(), *victim.audit_trail()]
    found = {
        (name, one, resource)
        for name, role in attacker.roles().items()
        for one, resource in allowed(attacker, role, resources)
        if one not in HARMLESS
    }
    assert sorted(found) == []


# Of these IAM knows no tags, so that a boundary lets a role reach them by name, if the deployer
# gives it policies for them (SECURITY.md, The deployer).
WITHOUT_TAGS = (
    ":dashboard/",
    ":alias/",
    ":schedule/",
    ":log-stream:",
    ":execution:",
    *(one.partition(":123456789012")[2] or one for one in plane("c2").without_tags()),
)


@pytest.mark.parametrize("boundary", ["FunctionBoundary", "MachineBoundary", "DeploymentBoundary"])
def test_no_boundary_lets_a_role_reach_another_control_plane(boundary: str) -> None:
    """Whatever policies the deployer gives it."""
    attacker, victim = plane("camunda-lifecycle"), plane("camunda-lifecycle-2")
    most = attacker.policy(boundary)
    path = "role/camunda/any"
    role = Role(boundary, arn("iam", path, region=""), attacker.tags, [most], most)
    resources = [*victim.cluster(), *victim.own(), *victim.audit_trail()]
    found = {
        (one, resource)
        for one, resource in allowed(attacker, role, resources)
        if one not in HARMLESS and not any(kind in resource for kind in WITHOUT_TAGS)
    }
    assert sorted(found) == []


@pytest.mark.parametrize("name", ["camunda-lifecycle", "c2"])
def test_no_role_deletes_or_changes_its_own_audit_trail(name: str) -> None:
    own = plane(name)
    added = {
        "s3:getobject",
        "s3:getobjectversion",
        "s3:putobject",
        "s3:listbucket",
        "s3:getbucketpublicaccessblock",
        "s3:getbucketversioning",
    }
    for role in own.roles().values():
        found = {one for one, _ in allowed(own, role, own.audit_trail())}
        assert found <= added, (role.name, found - added)


@pytest.mark.parametrize("one", ["s3:DeleteObjectVersion", "s3:PutLifecycleConfiguration"])
def test_the_bucket_itself_refuses_roles_of_control_planes(one: str) -> None:
    """Whatever policy a role is given later."""
    own = plane("camunda-lifecycle")
    everything = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    role = own.roles()["EmptyBucketsRole"]
    unbound = Role(role.name, role.arn, role.tags, [everything])
    _, report = own.audit_trail()
    assert decide(unbound, one, report) == "Deny"
    other = Role(role.name, role.arn, {TAG: "camunda-lifecycle-2"}, [everything])
    assert decide(other, "s3:GetObject", report) == "Deny"
    person = Role("administrator", role.arn, {}, [everything])
    assert decide(person, "s3:GetObject", report) == "Allow"


def test_the_roles_reach_what_is_theirs() -> None:
    """The same comparison finds what is allowed: otherwise it would show nothing."""
    own = plane("camunda-lifecycle")
    roles = own.roles()
    resources = own.cluster()
    for role, wanted in {
        "EmptyBucketsRole": {"s3:deleteobjectversion", "s3:listbucketversions"},
        "DeleteStackRole": {"cloudformation:deletestack", "rds:modifydbcluster"},
        "StopClusterRole": {"ecs:updateservice", "ecs:deleteservice"},
        "RestartServiceRole": {"ecs:stoptask", "ecs:updatetaskprotection"},
        "PlanStackRole": {"cloudformation:createchangeset", "iam:passrole"},
        "StartServicesRole": {"iam:passrole", "ecs:updateservice", "ecs:tagresource"},
        "ClusterDeploymentRole": {
            "kms:putkeypolicy",
            "rds:modifydbcluster",
            "ec2:authorizesecuritygroupingress",
            "iam:putrolepolicy",
            "iam:updateassumerolepolicy",
            "s3:putbucketpolicy",
            "elasticloadbalancing:createlistener",
            "elasticfilesystem:createmounttarget",
            "scheduler:updateschedule",
            "cloudwatch:deletealarms",
            "cloudwatch:putdashboard",
            "kms:createalias",
            "servicediscovery:createservice",
        },
    }.items():
        found = {one for one, _ in allowed(own, roles[role], [*resources, *own.own()])}
        assert wanted <= found, (role, wanted - found)


def _deployment() -> tuple[Plane, Role]:
    own = plane("camunda-lifecycle")
    return own, own.roles()["ClusterDeploymentRole"]


OTHERS = [
    (arn("secretsmanager", "secret:prod/payments-a1b2c3"), "secretsmanager:TagResource"),
    (arn("ec2", "security-group/sg-9"), "ec2:CreateTags"),
    (arn("elasticloadbalancing", "loadbalancer/app/x/9"), "elasticloadbalancing:AddTags"),
    (arn("ecs", "cluster/payments"), "ecs:TagResource"),
    (arn("elasticfilesystem", "file-system/fs-9"), "elasticfilesystem:TagResource"),
    (arn("rds", "cluster:payments"), "rds:AddTagsToResource"),
    (arn("logs", "log-group:payments"), "logs:TagResource"),
    (arn("cloudwatch", "alarm:payments"), "cloudwatch:TagResource"),
    (arn("iam", "role/payments", region=""), "iam:TagRole"),
    ("arn:aws:s3:::payments", "s3:PutBucketTagging"),
]


@pytest.mark.parametrize(("resource", "tagging"), OTHERS)
def test_a_resource_of_others_never_gets_our_tag(resource: str, tagging: str) -> None:
    own, role = _deployment()
    keys = {"aws:RequestTag/" + TAG: own.name, "aws:TagKeys": [TAG]}
    for tags in ({}, {"team": "payments"}, {TAG: "camunda-lifecycle-2"}):
        assert decide(role, tagging, Resource(resource, tags), keys) != "Allow", tags


def test_a_key_of_others_in_use_never_gets_our_tag() -> None:
    own, role = _deployment()
    key = Resource(arn("kms", "key/9"))
    keys = {"aws:RequestTag/" + TAG: own.name, "aws:TagKeys": [TAG]}
    in_use = keys | {"kms:ResourceAliases": ["alias/payments"]}
    assert decide(role, "kms:TagResource", key, in_use) != "Allow"
    assert decide(role, "kms:TagResource", key, keys) == "Allow", "a new key"


def test_the_policy_of_a_key_of_others_in_use_is_never_changed() -> None:
    _, role = _deployment()
    key, action = Resource(arn("kms", "key/9")), "kms:PutKeyPolicy"
    assert decide(role, action, key, {"kms:ResourceAliases": ["alias/payments"]}) != "Allow"
    assert decide(role, action, key, {}) == "Allow", "a new key"
    other = Resource(key.arn, {TAG: "camunda-lifecycle-2"})
    assert decide(role, action, other, {}) != "Allow"


@pytest.mark.parametrize(
    ("tagging", "key", "created"),
    [
        ("ec2:CreateTags", "ec2:CreateAction", "CreateSecurityGroup"),
        ("elasticloadbalancing:AddTags", "elasticloadbalancing:CreateAction", "CreateRule"),
        ("ecs:TagResource", "ecs:CreateAction", "RegisterTaskDefinition"),
        ("elasticfilesystem:TagResource", "elasticfilesystem:CreateAction", "CreateFileSystem"),
    ],
)
def test_a_new_resource_gets_our_tag_and_no_other_control_planes(
    tagging: str, key: str, created: str
) -> None:
    own, role = _deployment()
    new = Resource("*")
    ours = {"aws:RequestTag/" + TAG: own.name, "aws:TagKeys": [TAG], key: created}
    assert decide(role, tagging, new, ours) == "Allow"
    theirs = ours | {"aws:RequestTag/" + TAG: "camunda-lifecycle-2"}
    assert decide(role, tagging, new, theirs) == "Deny"


UNTAGGING = [
    "ec2:DeleteTags",
    "ecs:UntagResource",
    "elasticfilesystem:UntagResource",
    "elasticloadbalancing:RemoveTags",
    "kms:UntagResource",
    "logs:UntagResource",
    "rds:RemoveTagsFromResource",
    "secretsmanager:UntagResource",
    "servicediscovery:UntagResource",
]


@pytest.mark.parametrize("untagging", UNTAGGING)
@pytest.mark.parametrize("removed", [TAG, "camunda:cluster"])
def test_our_tags_stay(untagging: str, removed: str) -> None:
    own, role = _deployment()
    ours = Resource("*", own.tags)
    assert decide(role, untagging, ours, {"aws:TagKeys": ["name", removed]}) == "Deny"
    assert decide(role, untagging, ours, {"aws:TagKeys": ["name"]}) == "Allow"


@pytest.mark.parametrize("function", ["StartServicesRole", "RollServicesRole"])
def test_a_function_never_takes_our_tags_from_a_service_nor_gives_another_value(
    function: str,
) -> None:
    own = plane("camunda-lifecycle")
    role = own.roles()[function]
    service = Resource(arn("ecs", "service/camunda-lifecycle-demo/connectors"), own.tags)
    assert decide(role, "ecs:UntagResource", service, {"aws:TagKeys": ["name"]}) == "Allow"
    assert decide(role, "ecs:UntagResource", service, {"aws:TagKeys": ["name", TAG]}) != "Allow"
    other = {"aws:RequestTag/" + TAG: "camunda-lifecycle-2"}
    assert decide(role, "ecs:TagResource", service, other) != "Allow"
    untagged = Resource(service.arn)
    mine = {"aws:RequestTag/" + TAG: own.name}
    assert decide(role, "ecs:TagResource", untagged, mine) != "Allow"


UNTAGGED = [
    ("kms:ScheduleKeyDeletion", arn("kms", "key/9")),
    ("rds:ModifyDBCluster", arn("rds", "cluster:payments")),
    ("rds:ModifyDBInstance", arn("rds", "db:payments")),
    ("rds:CreateDBInstance", arn("rds", "cluster:payments")),
    ("ec2:AuthorizeSecurityGroupIngress", arn("ec2", "security-group/sg-9")),
    ("ec2:RevokeSecurityGroupEgress", arn("ec2", "security-group/sg-9")),
    ("iam:UpdateAssumeRolePolicy", arn("iam", "role/camunda/other/x", region="")),
    ("iam:DeleteRole", arn("iam", "role/camunda/camunda-lifecycle-Access-x", region="")),
    ("iam:PassRole", arn("iam", "role/camunda/camunda-lifecycle-Access-x", region="")),
    ("elasticfilesystem:PutFileSystemPolicy", arn("elasticfilesystem", "file-system/fs-9")),
    ("elasticloadbalancing:ModifyListener", arn("elasticloadbalancing", "listener/app/x/9/9")),
    ("servicediscovery:DeleteNamespace", arn("servicediscovery", "namespace/ns-9")),
]


@pytest.mark.parametrize(("one", "resource"), UNTAGGED)
def test_the_deployment_role_changes_nothing_that_it_did_not_make(one: str, resource: str) -> None:
    _, role = _deployment()
    boundary = plane("camunda-lifecycle").arn_of("TaskBoundary")
    keys = {
        "iam:PermissionsBoundary": boundary,
        "iam:PassedToService": "ecs-tasks.amazonaws.com",
    }
    assert decide(role, one, Resource(resource), keys) != "Allow"


CREATING = "cloudformation:CreateChangeSet"


@pytest.mark.parametrize("function", ["PlanStackRole", "CreatePlanRole"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cloudformation:RoleArn", arn("iam", "role/admin", region="")),
        ("cloudformation:RoleArn", None),
        ("cloudformation:TemplateUrl", "https://evil.s3.eu-central-1.amazonaws.com/templates/x"),
        ("cloudformation:TemplateUrl", None),
        ("aws:RequestTag/" + TAG, "camunda-lifecycle-2"),
        ("aws:RequestTag/" + TAG, None),
    ],
)
def test_a_change_set_has_our_template_our_role_and_our_tag(
    function: str, key: str, value: str | None
) -> None:
    own = plane("camunda-lifecycle")
    role = own.roles()[function]
    stack = Resource(arn("cloudformation", "stack/camunda-lifecycle-demo/*"))
    good = dict(next(iter(_keys(own, stack))))
    assert decide(role, CREATING, stack, good) == "Allow"
    assert decide(role, CREATING, stack, good | {key: value}) != "Allow"


READY = ["viewer", "planner", "operator", "administrator"]


@pytest.mark.parametrize(("own", "other"), PAIRS)
@pytest.mark.parametrize("policy", READY)
def test_a_ready_policy_reaches_one_control_plane(policy: str, own: str, other: str) -> None:
    attacker, victim = plane(own), plane(other)
    role = ready_policy(f"docs/policies/{policy}.json", own)
    resources = [*victim.cluster(), *victim.own(), *victim.audit_trail()]
    assert sorted(allowed(attacker, role, resources)) == []
