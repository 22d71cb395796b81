"""The role that makes cluster stacks, and the identity that deploys the control plane."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.authorization import action as documented
from tests.support.nested import CONTROL, expanded, templates
from tests.support.planes import Plane, Resource, Role, arn, decide, plane, ready_policy
from tests.unit.rights.actions import exists, standing_for
from tests.unit.rights.schemas import has_property, needed, permissions, resources
from tests.unit.rights.statements import of
from tests.unit.rights.unused import NEVER, ONLY_FOR
from tools.generate_parameters import ROOT, load_template
from tools.policies import documents

if TYPE_CHECKING:
    from collections.abc import Iterable

CLUSTER = ROOT / "stacks" / "cluster.yaml"
NETWORK = ROOT / "stacks" / "network.yaml"
POLICY = ROOT / "docs" / "deployer-policy.json"
OF_NETWORK = ROOT / "docs" / "deployer-network-policy.json"
# What is off by default has its own policy, by the nested stack that makes it.
OPTIONAL = {
    "ApiDomain": ROOT / "docs" / "api-domain-policy.json",
    "WebConsole": ROOT / "docs" / "console-policy.json",
}
BOUNDARIES = ROOT / "docs" / "boundaries-policy.json"
INLINE_LIMIT = 10_240
MANAGED_LIMIT = 6_144

# What no schema lists and the deployment role needs all the same, with the reason.
BEYOND_CLUSTER = {
    # https://docs.aws.amazon.com/efs/latest/ug/API_CreateMountTarget.html and its siblings
    "ec2:CreateNetworkInterface": "EFS makes a mount target's interface as the caller",
    "ec2:DeleteNetworkInterface": "EFS removes a mount target's interface as the caller",
    "ec2:ModifyNetworkInterfaceAttribute": "EFS changes a mount target's groups as the caller",
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
    "kms:Decrypt": "secrets are under the cluster's own key",
    "kms:GenerateDataKey": "secrets are under the cluster's own key",
    "iam:AttachRolePolicy": "managedPolicyArns in the settings of a request",
    "iam:DetachRolePolicy": "managedPolicyArns in the settings of a request",
}


def _covered(action: str, granted: Iterable[str]) -> bool:
    return any(action.lower() in standing_for(one) for one in granted)


def _surplus(granted: set[str], wanted: set[str]) -> list[str]:
    low = {action.lower() for action in wanted}
    return sorted(action for action in granted if not standing_for(action) & low)


def _granted_to_deployment() -> set[str]:
    statements = [one for one in of("ClusterDeploymentRole") if one.is_of_a_role and one.allows]
    return {action for one in statements for action in one.actions}


def test_the_deployment_role_lacks_nothing_that_a_cluster_needs() -> None:
    granted = _granted_to_deployment()
    wanted = needed(CLUSTER)
    missing = {
        action: sorted(types) for action, types in wanted.items() if not _covered(action, granted)
    }
    assert missing == {}
    assert [one for one in BEYOND_CLUSTER if not _covered(one, granted)] == []


def test_the_deployment_role_has_nothing_that_no_cluster_needs() -> None:
    assert _surplus(_granted_to_deployment(), set(needed(CLUSTER)) | set(BEYOND_CLUSTER)) == []


def test_the_deployment_role_writes_nothing_by_wildcard() -> None:
    wild = {action for action in _granted_to_deployment() if "*" in action}
    assert {action.split(":")[1].rstrip("*") for action in wild} <= {"Describe"}


def test_the_deployment_role_fits() -> None:
    """Inline policies of a role have 10,240 characters together, a managed policy 6,144.

    White space left out, of a control stack with the longest name.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    longest = plane("c" * 32)
    inline, *managed = [
        len(json.dumps(one, separators=(",", ":")))
        for one in longest.roles()["ClusterDeploymentRole"].documents
    ]
    assert inline < INLINE_LIMIT
    assert [one for one in managed if one > MANAGED_LIMIT] == []


def _records(zone: str, name: str, kind: str) -> str:
    role = plane("camunda").roles()["ClusterDeploymentRole"]
    keys = {
        "route53:ChangeResourceRecordSetsNormalizedRecordNames": [name],
        "route53:ChangeResourceRecordSetsRecordTypes": [kind],
    }
    resource = Resource(f"arn:aws:route53:::hostedzone/{zone}")
    return decide(role, "route53:ChangeResourceRecordSets", resource, keys)


def test_the_deployment_role_changes_records_of_clusters_alone() -> None:
    """In the zones of the parameter, those that clusters and ACM's validation need."""
    # The id that a plane on paper has for every item of a list.
    listed = "00000000-0000-4000-8000-000000000000"
    assert _records(listed, "grpc.camunda.example.com", "A") == "Allow"
    assert _records(listed, "_a1b2.camunda.example.com", "CNAME") == "Allow"
    for kind in ("NS", "MX", "TXT", "CAA", "SOA"):
        assert _records(listed, "example.com", kind) == "ImplicitDeny"
    assert _records("Z0A1B", "www.example.com", "A") == "ImplicitDeny"
    assert _records("Z0A1B", "camunda-demo.service.local", "A") == "Allow"
    assert _records("Z0A1B", "brokers.camunda-demo.service.local", "SRV") == "Allow"
    assert _records("Z0A1B", "service.local", "A") == "ImplicitDeny"


def test_the_deployment_role_deletes_only_certificates_of_its_clusters() -> None:
    role = plane("camunda").roles()["ClusterDeploymentRole"]
    tag, certificate = "camunda:control-plane", arn("acm", "certificate/0a1b")
    for action in ("acm:DeleteCertificate", "acm:DescribeCertificate"):
        assert decide(role, action, Resource(certificate, {tag: "camunda"})) == "Allow"
        assert decide(role, action, Resource(certificate)) == "ImplicitDeny"
        assert decide(role, action, Resource(certificate, {tag: "camunda-2"})) == "Deny"
    asked = {f"aws:RequestTag/{tag}": "camunda"}
    assert decide(role, "acm:RequestCertificate", Resource("*"), asked) == "Allow"
    assert decide(role, "acm:RequestCertificate", Resource("*")) == "ImplicitDeny"


@pytest.mark.parametrize(("kind", "name"), sorted(ONLY_FOR))
def test_what_is_left_out_is_in_the_schema(kind: str, name: str) -> None:
    assert has_property(kind, name)
    assert ONLY_FOR[kind, name] <= permissions(kind)


def test_what_is_never_granted_is_granted_to_nobody() -> None:
    # Of the SAM CLI's own bucket `sam delete` removes what it has put there.
    others = [one for one in _deployer_statements() if one["Sid"] != "SamArtifacts"]
    deployer = {action for one in others for action in _listed(one["Action"])}
    assert sorted(NEVER.keys() & (_granted_to_deployment() | deployer)) == []


# --- the identity that runs `sam deploy` -----------------------------------------------------

# What the SAM CLI and the preflight call themselves.
BY_THE_CLI = {
    "cloudformation:CreateChangeSet",
    "cloudformation:CreateStack",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DeleteStack",
    "cloudformation:DescribeChangeSet",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStackResources",
    "cloudformation:DescribeStacks",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:GetTemplate",
    "cloudformation:GetTemplateSummary",
    "cloudformation:ListExports",
    "cloudformation:ListImports",
    "cloudformation:ListStackResources",
    "cloudformation:TagResource",
    "cloudformation:UpdateStack",
    "cloudformation:ValidateTemplate",
    "ec2:DescribeAddresses",
    "ec2:DescribeAvailabilityZones",
    "s3:CreateBucket",
    # `sam delete` removes what `sam deploy` has put there.
    "s3:DeleteObject",
    "s3:GetBucketLocation",
    "s3:GetBucketPolicy",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketTagging",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutObject",
    "servicequotas:GetServiceQuota",
    "sts:GetCallerIdentity",
}
# What no schema lists and `sam deploy` of this template needs all the same, with the reason.
BEYOND_CONTROL = {
    # https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
    "logs:CreateLogDelivery": "a state machine with logging",
    "logs:DeleteLogDelivery": "a state machine with logging",
    "logs:GetLogDelivery": "a state machine with logging",
    "logs:ListLogDeliveries": "a state machine with logging",
    "logs:PutResourcePolicy": "a state machine with logging",
    "logs:UpdateLogDelivery": "a state machine with logging",
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-stack.html
    "cloudformation:CancelUpdateStack": "an update of nested stacks that rolls back",
    "cloudformation:ContinueUpdateRollback": "a rollback that failed: preflight advises it",
    "iam:TagPolicy": "stack tags on the boundaries",
    "iam:UntagPolicy": "stack tags on the boundaries",
    "states:ListStateMachineVersions": "CloudFormation reads a machine before it deletes it",
    "states:ValidateStateMachineDefinition": "CloudFormation validates a definition first",
}


def _deployer_statements() -> list[dict[str, Any]]:
    return [
        one
        for path in (POLICY, OF_NETWORK, *OPTIONAL.values())
        for one in json.loads(path.read_text())["Statement"]
    ]


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _granted_to_deployer() -> set[str]:
    """With the policy of the boundaries, which the first deployment needs beside it."""
    allowed = [one for one in _deployer_statements() if one["Effect"] == "Allow"]
    boundaries = json.loads(BOUNDARIES.read_text())["Statement"]
    return {action for one in (*allowed, *boundaries) for action in _listed(one["Action"])}


def _needed_by_deployer() -> dict[str, set[str]]:
    wanted = needed(CONTROL)
    for action, types in needed(NETWORK).items():
        wanted.setdefault(action, set()).update(types)
    return wanted


def test_the_deployer_lacks_nothing_that_the_control_plane_needs() -> None:
    granted = _granted_to_deployer()
    missing = {
        action: sorted(types)
        for action, types in _needed_by_deployer().items()
        if not _covered(action, granted)
    }
    assert missing == {}
    assert [one for one in {*BY_THE_CLI, *BEYOND_CONTROL} if not _covered(one, granted)] == []


def test_the_deployer_has_nothing_that_nothing_needs() -> None:
    wanted = set(_needed_by_deployer()) | BY_THE_CLI | set(BEYOND_CONTROL)
    assert _surplus(_granted_to_deployer(), wanted) == []


def test_the_deployer_policy_fits_into_a_role() -> None:
    inline, *managed = (
        len(json.dumps(json.loads(path.read_text()), separators=(",", ":")))
        for path in (POLICY, OF_NETWORK, *OPTIONAL.values(), BOUNDARIES)
    )
    assert inline < INLINE_LIMIT
    assert max(managed) < MANAGED_LIMIT


def test_the_deployer_policy_names_known_actions() -> None:
    assert [one for one in sorted(_granted_to_deployer()) if not exists(one)] == []


# Who takes a role that a resource of the control plane names.
_TAKES = {
    "AWS::ApiGateway::Account": "apigateway.amazonaws.com",
    "AWS::EC2::FlowLog": "vpc-flow-logs.amazonaws.com",
    "AWS::Lambda::Function": "lambda.amazonaws.com",
    "AWS::StepFunctions::StateMachine": "states.amazonaws.com",
}


def test_the_deployer_passes_roles_to_the_services_of_the_control_plane_only() -> None:
    statement, of_people = [
        one for one in _deployer_statements() if one["Action"] == "iam:PassRole"
    ]
    assert of_people["Resource"] == "arn:aws:iam::*:role/camunda-console/camunda-lifecycle/*"
    assert of_people["Condition"]["StringEquals"]["iam:PassedToService"] == [
        "cognito-identity.amazonaws.com",
        "cognito-idp.amazonaws.com",
    ]
    both = (CONTROL, NETWORK)
    types = {resource["Type"] for path in both for resource in resources(path).values()}
    passed = sorted(service for kind, service in _TAKES.items() if kind in types)
    assert statement["Condition"]["StringEquals"]["iam:PassedToService"] == passed


def test_the_deployer_reaches_only_what_is_ours() -> None:
    """A statement on everything says in its name why."""
    for statement in _deployer_statements():
        if statement["Effect"] == "Allow" and "*" in _listed(statement["Resource"]):
            assert statement["Sid"].endswith(("Permissions", "ByEc2", "ByTheirServices")), statement


def test_the_deployer_changes_every_nested_stack() -> None:
    (stacks,) = [one for one in _deployer_statements() if one["Sid"] == "Stacks"]
    named = {one for one in stacks["Resource"] if ":stack/camunda-lifecycle-" in one}
    assert named == {
        f"arn:aws:cloudformation:*:*:stack/camunda-lifecycle-{name}-*/*"
        for name in (*templates(), "Network")
    }


def _types() -> dict[str, set[str]]:
    """Types of resources in each stack that is off by default, and by "" in all others."""
    own = {stack: set(expanded(templates()[stack])["Resources"]) for stack in OPTIONAL}
    found: dict[str, set[str]] = {"": set(), **{stack: set() for stack in OPTIONAL}}
    for name, one in resources(CONTROL).items():
        # SAM names what it makes of a function after it.
        of = [stack for stack, names in own.items() if any(name.startswith(each) for each in names)]
        found[of[0] if of else ""].add(one["Type"])
    return found


def test_what_is_off_by_default_needs_no_policy() -> None:
    types = _types()
    assert "AWS::Cognito::UserPool" in types["WebConsole"] - types[""]
    assert "AWS::CertificateManager::Certificate" in types["ApiDomain"] - types[""]
    granted = {
        action
        for path in (POLICY, OF_NETWORK, BOUNDARIES)
        for one in json.loads(path.read_text())["Statement"]
        if one["Effect"] == "Allow"
        for action in _listed(one["Action"])
    }
    missing = [
        action
        for action, needing in _needed_by_deployer().items()
        if needing & types[""] and not _covered(action, granted)
    ]
    assert missing == []


@pytest.mark.parametrize("stack", sorted(OPTIONAL))
def test_an_optional_policy_holds_what_its_stack_needs_and_nothing_else(stack: str) -> None:
    statements = json.loads(OPTIONAL[stack].read_text())["Statement"]
    own = _types()[stack]
    needed_by_it = {action for action, types in _needed_by_deployer().items() if types & own}
    granted = {action for one in statements for action in _listed(one["Action"])}
    assert _surplus(granted, needed_by_it) == []


def test_the_deployer_may_use_the_transforms_of_all_templates() -> None:
    """CloudFormation authorises each as a resource of CreateChangeSet.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-template.html
    """
    written = [load_template(CONTROL), *(load_template(path) for path in templates().values())]
    used = {str(one["Transform"]) for one in written if "Transform" in one}
    (stacks,) = [one for one in _deployer_statements() if one["Sid"] == "Stacks"]
    allowed = [one for one in stacks["Resource"] if ":transform/" in one]
    named = (one.removeprefix("AWS::") for one in used)
    assert allowed == sorted(f"arn:aws:cloudformation:*:aws:transform/{one}" for one in named)


def test_the_deployer_touches_no_key_but_ours() -> None:
    """A right to a key by its id would be one to every key of the account."""
    tag = "/camunda:control-plane"
    for statement in _deployer_statements():
        actions = _listed(statement["Action"])
        if not any(action.startswith("kms:") for action in actions):
            continue
        condition = statement.get("Condition", {})
        keys = condition.get("StringEquals", {})
        if condition.get("ForAnyValue:StringEquals", {}).get("aws:CalledVia"):
            # CloudFormation changes only keys that it created, whose tags KMS may not see yet.
            keys = {**keys, **condition.get("StringEqualsIfExists", {})}
        assert any(key.startswith("aws:") and key.endswith(tag) for key in keys), statement
        # Who may give a foreign key our tag could then do everything to it.
        if "kms:TagResource" in actions:
            via = condition["ForAnyValue:StringEquals"]["aws:CalledVia"]
            assert via == ["cloudformation.amazonaws.com"]


def test_no_statement_of_the_deployer_is_left_over() -> None:
    """What one statement allows under a condition, no other allows without it."""
    given: dict[tuple[str, str], list[bool]] = {}
    for statement in _deployer_statements():
        for action in _listed(statement["Action"]):
            for resource in _listed(statement.get("Resource", [])):
                given.setdefault((action, resource), []).append("Condition" in statement)
    several = {key: conditioned for key, conditioned in given.items() if len(conditioned) > 1}
    assert [key for key, conditioned in several.items() if not all(conditioned)] == []


# Authorised on resources that the reference does not list, with what shows it.
BEYOND_TYPES = {
    # CloudWatch Logs names the log groups of the Region in its denials.
    ("PlanTeardownRole", "logs:DescribeLogGroups"),
}


def _allowed_on_all(statements: Iterable[Any]) -> set[str]:
    return {
        action
        for one in statements
        if one["Effect"] == "Allow" and "*" in _listed(one.get("Resource", []))
        for action in _listed(one.get("Action", []))
    }


def test_what_the_deployer_needs_without_a_resource_is_allowed_on_all() -> None:
    """On an ARN, an action without resource types is never allowed.

    https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
    """
    open_ones = _allowed_on_all(_deployer_statements())
    wanted = set(_needed_by_deployer()) | BY_THE_CLI | set(BEYOND_CONTROL)
    untyped = {one for one in wanted if not documented(one).types}
    assert "sns:Unsubscribe" in untyped
    assert sorted(one for one in untyped if not _covered(one, open_ones)) == []


def test_no_policy_names_an_action_without_a_resource_for_some_resources() -> None:
    """Patterns of reading actions also stand for such actions, and are left out."""
    useless: list[tuple[str, str]] = []
    for name, document in documents().items():
        statements: list[Any] = _listed(document["Statement"])
        open_ones = _allowed_on_all(statements)
        useless += [
            (name, named)
            for one in statements
            if one["Effect"] == "Allow"
            for named in _listed(one.get("Action", []))
            if "*" not in named and not documented(named).types and named not in open_ones
        ]
    assert sorted(set(useless) - BEYOND_TYPES) == []
    assert set(useless) >= BEYOND_TYPES


# --- what the deployer could become ----------------------------------------------------------


def _deployer() -> tuple[Plane, Role]:
    own = plane("camunda-lifecycle")
    deployer = ready_policy("docs/deployer-policy.json", own.name)
    optional = [ready_policy(f"docs/{path.name}", own.name) for path in OPTIONAL.values()]
    documents = [*deployer.documents, *(one for each in optional for one in each.documents)]
    return own, replace(deployer, documents=documents)


GRANTING = [
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
]


@pytest.mark.parametrize("granting", GRANTING)
def test_the_deployer_makes_no_role_without_one_of_our_boundaries(granting: str) -> None:
    own, role = _deployer()
    key = "iam:PermissionsBoundary"
    administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
    for name, made in own.roles().items():
        target = Resource(made.arn)
        boundary = own.arn_of(own.boundary_of(name))
        assert decide(role, granting, target, {key: boundary}) == "Allow", name
        for given in (None, administrator, "arn:aws:iam::123456789012:policy/camunda/mine"):
            assert decide(role, granting, target, {key: given}) != "Allow", name


WIDENING = [
    "iam:CreatePolicy",
    "iam:CreatePolicyVersion",
    "iam:DeletePolicy",
    "iam:DeletePolicyVersion",
    "iam:SetDefaultPolicyVersion",
    "iam:DeleteRolePermissionsBoundary",
]


@pytest.mark.parametrize("widening", WIDENING)
def test_the_deployer_neither_makes_nor_changes_a_boundary(widening: str) -> None:
    own, role = _deployer()
    boundaries = {own.arn_of(own.boundary_of(name)) for name in own.roles()}
    assert len(boundaries) == 5
    for one in (
        *boundaries,
        arn("iam", "policy/camunda-boundaries/camunda-lifecycle-x", region=""),
    ):
        assert decide(role, widening, Resource(one)) != "Allow"
    owner = ready_policy("docs/boundaries-policy.json", own.name)
    if widening in {"iam:CreatePolicy", "iam:CreatePolicyVersion"}:
        assert all(decide(owner, widening, Resource(one)) == "Allow" for one in boundaries)


@pytest.mark.parametrize("other", ["camunda-lifecycle-2", "camunda"])
def test_the_deployer_reaches_no_other_control_plane(other: str) -> None:
    _, role = _deployer()
    victim = plane(other)
    for resource in [*victim.own(), *victim.cluster()]:
        for action in (
            "kms:PutKeyPolicy",
            "lambda:UpdateFunctionCode",
            "dynamodb:DeleteTable",
            "ec2:AuthorizeSecurityGroupIngress",
            "states:UpdateStateMachine",
            "cloudformation:UpdateStack",
            "kms:ScheduleKeyDeletion",
            "sqs:SetQueueAttributes",
            "sns:SetTopicAttributes",
        ):
            assert decide(role, action, resource) != "Allow", (action, resource.arn)


def test_the_deployer_reaches_no_stack_of_a_cluster() -> None:
    own, role = _deployer()
    stack = Resource(arn("cloudformation", "stack/camunda-lifecycle-demo/0f3a"), own.tags)
    for action in ("UpdateStack", "CreateChangeSet", "DeleteStack", "ExecuteChangeSet"):
        assert decide(role, f"cloudformation:{action}", stack) != "Allow"
