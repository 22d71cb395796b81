"""Differences of the emulator's authorisation from AWS in resources and conditions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.aws import audit
from local.aws.emulator import (
    alb,
    cloudformation,
    ec2,
    ecs,
    iam,
    iam_actions,
    iam_evaluator,
    rds,
    tagging,
)
from local.config import ACCOUNT_ID, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What each action of ECS is authorised on.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
_ON_SERVICES = {
    "DescribeServices": "services",
    "UpdateService": "service",
    "CreateService": "serviceName",
    "DeleteService": "service",
    # Any resource, named by its ARN.
    "TagResource": "resourceArn",
    "UntagResource": "resourceArn",
}
_ON_TASKS = {
    "DescribeTasks": "tasks",
    "StopTask": "task",
    "UpdateTaskProtection": "tasks",
    "GetTaskProtection": "tasks",
}
_LISTED_IN_RDS = {"DescribeDBClusters": "cluster", "DescribeDBInstances": "db"}
# Parameters that name what an action of RDS is authorised on, and the kinds of those resources.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonrds.html
_NAMED_IN_RDS = {
    "DBClusterIdentifier": "cluster",
    "SourceDBClusterIdentifier": "cluster",
    "DBClusterSnapshotIdentifier": "cluster-snapshot",
    "FinalDBSnapshotIdentifier": "cluster-snapshot",
    "SnapshotIdentifier": "cluster-snapshot",
    "DBSubnetGroupName": "subgrp",
    "DBClusterParameterGroupName": "cluster-pg",
}
_RESTORED = ("DBClusterIdentifier", "DBSubnetGroupName", "DBClusterParameterGroupName")
_ON_DATABASES = {
    "CreateDBClusterSnapshot": ("DBClusterSnapshotIdentifier", "DBClusterIdentifier"),
    "DeleteDBCluster": ("DBClusterIdentifier", "FinalDBSnapshotIdentifier"),
    "DeleteDBClusterSnapshot": ("DBClusterSnapshotIdentifier",),
    "RestoreDBClusterFromSnapshot": (*_RESTORED, "SnapshotIdentifier"),
    "RestoreDBClusterToPointInTime": (*_RESTORED, "SourceDBClusterIdentifier"),
}
_TAGS_OF_DATABASES = {"AddTagsToResource", "ListTagsForResource", "RemoveTagsFromResource"}
_ON_CLUSTER = {"DescribeClusters", "ListServices", "UpdateCluster", "DeleteCluster"}


class Resources(str):
    """Several resources, each of which the caller must be allowed; reads as the first."""

    all: list[str]
    context: dict[str, str]
    passed: list[tuple[str, str]]
    """Roles that the request hands over, each with the service that gets it."""
    tagging: str
    """Action that the caller must be allowed on the first resource, too: what is made gets tags."""

    @classmethod
    def of(cls, arns: list[str], context: dict[str, str] | None = None) -> Resources:
        """Give these resources, with condition keys of the request."""
        found = cls(arns[0])
        found.all, found.context, found.passed, found.tagging = arns, context or {}, [], ""
        return found


def install() -> None:
    """Replace what the emulator looks up by name for every request."""
    iam_actions.extract_resource_arn = _as_on_aws(iam_actions.extract_resource_arn)
    iam_evaluator.enforce = _each_resource(iam_evaluator.enforce)
    iam_evaluator.resolve_condition_key = _keys_as_on_aws(iam_evaluator.resolve_condition_key)
    # Services whose tags a policy's `aws:ResourceTag` does not see otherwise.
    tagging.RESOURCE_TAG_COLLECTORS |= {
        "ec2": _tags_of_security_groups,
        "ecs": tagging.collect_ecs,
        "elasticfilesystem": tagging.collect_efs,
        "elasticloadbalancing": alb.tags.items,
        "rds": rds.tags.items,
    }


def _as_on_aws(own: Any) -> Any:
    def extract(service: str, method: str, path: str, headers: Any, body: Any, *rest: Any) -> str:
        found: str = own(service, method, path, headers, body, *rest)
        if service == "cloudformation":
            stack = _stack_of_change_set(rest[0]) if found == "*" else found
            return Resources.of([stack], _change_set_keys(rest[0]))
        if service == "elasticloadbalancing" and found == "*":
            # AddTags names its resources in a list.
            return str((rest[0].get("ResourceArns.member.1") or [found])[0])
        if service == "ec2":
            return _of_security_groups(found, rest[0])
        if service == "elasticfilesystem" and found == "*":
            named = (rest[0].get("FileSystemId") or [""])[0]
            prefix = f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT_ID}:file-system/"
            return prefix + named if named else "*"
        if service == "rds" and (of_databases := rds_resources(rest[0])):
            return of_databases
        if service == "rds" and found == "*":
            # Listing is authorised on all, as in AWS's denials: "on resource: arn:aws:rds:…:db:*".
            kind = _LISTED_IN_RDS.get((rest[0].get("Action") or [""])[0])
            return f"arn:aws:rds:{REGION}:{ACCOUNT_ID}:{kind}:*" if kind else "*"
        if service == "logs" and found == "*":
            # What AWS names in a denial of DescribeLogGroups.
            return f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group::log-stream:"
        if service == "iam":
            # The simulator is authorised on the principal that it evaluates.
            return _with_its_path((rest[0].get("PolicySourceArn") or [found])[0])
        if service == "scheduler":
            return _in_its_group(found, body, rest[0] if rest else {})
        if service != "ecs":
            return found
        action = str(headers.get("x-amz-target", "")).rpartition(".")[2]
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            return "*"
        return Resources.of(
            ecs_resources(action, request),
            {"ecs:cluster": _arn("cluster", _cluster(request)), **_request_tags(request)},
        )

    return extract


def _of_security_groups(found: str, parameters: dict[str, list[str]]) -> str:
    """A rule that gets tags is authorised on its group, on the rule to be, and with its tags.

    A rule that is there is named by its id.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
    """
    action = (parameters.get("Action") or [""])[0]
    rules = f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:security-group-rule/"
    if action == "CreateTags":
        named = (parameters.get("ResourceId.1") or [""])[0]
        return f"{rules}{named}" if named.startswith("sgr-") else found
    if action == "AuthorizeSecurityGroupIngress":
        tags = {
            f"aws:RequestTag/{value[0]}": (
                parameters.get(key.removesuffix("Key") + "Value") or [""]
            )[0]
            for key, value in parameters.items()
            if key.startswith("TagSpecification.") and key.endswith(".Key")
        }
        return Resources.of([found, f"{rules}*"] if tags else [found], tags)
    return found


def rds_resources(parameters: Mapping[str, list[str]]) -> Resources | None:
    """What AWS authorises a request on that is about snapshots, restored clusters or tags.

    Several resources, of which each must be allowed, as in the denials of
    https://github.com/mattermost/mattermost-cloud-monitoring/pull/448. Tags of what is made need
    `rds:AddTagsToResource` on that:
    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/security_iam_id-based-policy-examples-grant-permissions-tags-on-create.html
    None for any other action.
    """
    action = (parameters.get("Action") or [""])[0]
    given = {name: values[0] for name, values in parameters.items() if values and values[0]}
    if action in _TAGS_OF_DATABASES:
        return Resources.of([given.get("ResourceName", "*")])
    if action == "DescribeDBClusterSnapshots":
        listed = ("DBClusterIdentifier", "DBClusterSnapshotIdentifier")
        return Resources.of([_database(name, given.get(name, "*")) for name in listed])
    named = [name for name in _ON_DATABASES.get(action, ()) if name in given]
    if not named:
        return None
    found = Resources.of([_database(name, given[name]) for name in named])
    if any(name.startswith("Tags.") for name in given):
        found.tagging = "rds:AddTagsToResource"
    return found


def _database(parameter: str, name: str) -> str:
    if name.startswith("arn:"):
        return name
    return f"arn:aws:rds:{REGION}:{ACCOUNT_ID}:{_NAMED_IN_RDS[parameter]}:{name.lower()}"


def _tags_of_security_groups() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Tags by ARN, of security groups and their rules."""
    kinds = {"sg-": "security-group", "sgr-": "security-group-rule"}
    for identifier, tags in ec2.tags.items():
        kind = kinds.get(identifier.partition("-")[0] + "-")
        if kind:
            yield f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:{kind}/{identifier}", tags


def _with_its_path(found: str) -> str:
    """A request names a role without its path; IAM authorises it with the path.

    What it authorises while there is no such role is documented nowhere: here the name alone.
    """
    role = iam.roles.get(found.rpartition("/")[2]) if ":role/" in found else None
    return str(role["Arn"]) if role else found


def _request_tags(request: dict[str, Any]) -> dict[str, str]:
    """Condition keys of the tags that a request gives."""
    tags = request.get("tags") or []
    return {f"aws:RequestTag/{tag['key']}": tag["value"] for tag in tags if isinstance(tag, dict)}


def _stack_of_change_set(parameters: dict[str, list[str]]) -> str:
    """A change set named by its ARN alone is authorised on its stack."""
    named = (parameters.get("ChangeSetName") or [""])[0]
    record = cloudformation.change_sets.get(named)
    return str(record["StackId"]) if record else "*"


def _change_set_keys(parameters: dict[str, list[str]]) -> dict[str, str]:
    """Condition keys of what a request gives CloudFormation to act with.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/control-access-with-iam.html
    """
    given = {
        "cloudformation:RoleArn": "RoleARN",
        "cloudformation:TemplateUrl": "TemplateURL",
        "cloudformation:ChangeSetName": "ChangeSetName",
    }
    return {key: parameters[name][0] for key, name in given.items() if parameters.get(name)}


def _in_its_group(found: str, body: Any, query: dict[str, list[str]]) -> str:
    """A schedule is authorised in the group that the request names, not in the default one.

    To create one names it in the body, to get or to delete one in the query:
    https://docs.aws.amazon.com/scheduler/latest/APIReference/API_GetSchedule.html
    """
    try:
        group = (query.get("groupName") or [""])[0] or json.loads(body or b"{}").get("GroupName")
    except (ValueError, AttributeError):
        return found
    return found.replace(":schedule/default/", f":schedule/{group}/") if group else found


def ecs_resources(action: str, request: dict[str, Any]) -> list[str]:
    """ARNs that AWS authorises `action` on; `*` for actions without resource-level permissions."""
    cluster = _cluster(request)
    for kind, actions in (("service", _ON_SERVICES), ("task", _ON_TASKS)):
        if action in actions:
            named = request.get(actions[action]) or []
            names = named if isinstance(named, list) else [named]
            return [_arn(kind, cluster, name) for name in names] or ["*"]
    if action == "DescribeServiceRevisions":
        # Its authorization names both: the revisions, and the services that they are of.
        revisions = [str(one) for one in request.get("serviceRevisionArns") or []]
        services = [
            one.rpartition("/")[0].replace(":service-revision/", ":service/") for one in revisions
        ]
        return [*revisions, *dict.fromkeys(services)] or ["*"]
    if action == "RunTask":
        return [_task_definition(str(request.get("taskDefinition") or ""))]
    if action in _ON_CLUSTER:
        return [_arn("cluster", name) for name in request.get("clusters") or [cluster]]
    return ["*"]


def _task_definition(named: str) -> str:
    """ARN of a revision. A family stands for its latest one, which the caller must be allowed."""
    found = ecs.task_defs.get(ecs.resolve_td_key(named))
    return str(found["taskDefinitionArn"]) if found else _arn("task-definition", named)


def _cluster(request: dict[str, Any]) -> str:
    return str(request.get("cluster") or "default").rpartition("/")[2]


def _arn(kind: str, *names: str) -> str:
    if names[-1].startswith("arn:"):
        return names[-1]
    return f"arn:aws:ecs:{REGION}:{ACCOUNT_ID}:{kind}/{'/'.join(names)}"


def _each_resource(own: Any) -> Any:
    def enforce(  # noqa: PLR0917
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        if not isinstance(resource_arn, Resources):
            return own(access_key_id, iam_action, service, region, resource_arn, service_context)
        context = (service_context or {}) | resource_arn.context
        for arn in resource_arn.all:
            denied = own(access_key_id, iam_action, service, region, arn, context)
            if denied:
                return denied
        if resource_arn.tagging:
            tagged = str(resource_arn)
            # By way of the audit, as a right of its own.
            return iam_evaluator.enforce(
                access_key_id, resource_arn.tagging, service, region, tagged, context
            )
        return None

    return enforce


def _keys_as_on_aws(own: Any) -> Any:
    """The emulator's endpoint stands for AWS's, which clients reach over TLS.

    A session's `aws:PrincipalArn` is the ARN of the role, not that of the session:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """

    def resolve(key: str, context: Any) -> Any:
        match key.lower():
            case "aws:securetransport":
                return "true"
            case "aws:principalarn" if ":assumed-role/" in context.principal_arn:
                role = iam.roles.get(context.principal_arn.split("/")[1])
                return str(role["Arn"]) if role else own(key, context)
            case _:
                return own(key, context)

    return resolve


def role_allows(
    role_arn: str, action: str, resource: str, keys: Mapping[str, str] | None = None
) -> bool:
    """Whether the policies of a role, within its boundary, allow `action` on `resource`.

    `keys` are the condition keys that the request itself brings.
    """
    allowed = would_allow(role_arn, action, resource, keys)
    audit.note(role_arn.rpartition("/")[2], action, allowed=allowed)
    return allowed


def would_allow(
    role_arn: str, action: str, resource: str, keys: Mapping[str, str] | None = None
) -> bool:
    """Tell the same without a use of the right: what the policy simulator answers."""
    name = role_arn.rpartition("/")[2]
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{name}/session",
        principal_type="AssumedRole",
        principal_account=ACCOUNT_ID,
        action=action,
        resource_arn=resource,
        region=REGION,
        service_context={key.lower(): value for key, value in (keys or {}).items()},
    )
    decision = iam_evaluator.evaluate(
        context,
        iam_evaluator.gather_role_policies(name, ACCOUNT_ID),
        *iam_evaluator.permissions_boundary(iam.roles, name, ACCOUNT_ID),
    ).decision
    return bool(decision == "Allow")


def role_trusts(role_arn: str, service: str) -> bool:
    """Whether a role exists and may be assumed by an AWS service."""
    role = iam.roles.get(role_arn.rpartition("/")[2])
    return role is not None and service in json.dumps(role["AssumeRolePolicyDocument"])
