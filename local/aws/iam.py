"""Differences of the emulator's authorisation from AWS in resources and conditions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.aws import audit
from local.aws.emulator import alb, cloudformation, iam, iam_actions, iam_evaluator, rds, tagging
from local.config import ACCOUNT_ID, REGION

if TYPE_CHECKING:
    from collections.abc import Mapping

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
_ON_CLUSTER = {"DescribeClusters", "ListServices", "UpdateCluster", "DeleteCluster"}


class Resources(str):
    """Several resources, each of which the caller must be allowed; reads as the first."""

    all: list[str]
    context: dict[str, str]
    passed: list[tuple[str, str]]
    """Roles that the request hands over, each with the service that gets it."""

    @classmethod
    def of(cls, arns: list[str], context: dict[str, str] | None = None) -> Resources:
        """Give these resources, with condition keys of the request."""
        found = cls(arns[0])
        found.all, found.context, found.passed = arns, context or {}, []
        return found


def install() -> None:
    """Replace what the emulator looks up by name for every request."""
    iam_actions.extract_resource_arn = _as_on_aws(iam_actions.extract_resource_arn)
    iam_evaluator.enforce = _each_resource(iam_evaluator.enforce)
    iam_evaluator.resolve_condition_key = _keys_as_on_aws(iam_evaluator.resolve_condition_key)
    # Services whose tags a policy's `aws:ResourceTag` does not see otherwise.
    tagging.RESOURCE_TAG_COLLECTORS |= {
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
        if service == "elasticfilesystem" and found == "*":
            named = (rest[0].get("FileSystemId") or [""])[0]
            prefix = f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT_ID}:file-system/"
            return prefix + named if named else "*"
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
    if action in _ON_CLUSTER:
        return [_arn("cluster", name) for name in request.get("clusters") or [cluster]]
    return ["*"]


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
