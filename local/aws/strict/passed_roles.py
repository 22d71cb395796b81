"""Passing a role to a service needs iam:PassRole for that service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import ecs, iam_actions, iam_evaluator
from local.aws.iam import Resources
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness

type Passed = list[tuple[str, str]]

_TO_TASKS: Final = "ecs-tasks.amazonaws.com"


def install(_strictness: Strictness) -> None:
    """Find the roles in a request, and check each after the request itself is allowed."""
    iam_actions.extract_resource_arn = _finding(iam_actions.extract_resource_arn)
    iam_evaluator.enforce = _asking(iam_evaluator.enforce)


def _finding(own: Any) -> Any:
    def extract(service: str, method: str, path: str, headers: Any, body: Any, *rest: Any) -> Any:
        found = own(service, method, path, headers, body, *rest)
        roles: Passed = []
        if service == "cloudformation":
            roles = passed_to_cloudformation(rest[0])
        elif service in {"ecs", "scheduler"}:
            try:
                request = json.loads(body or b"{}")
            except ValueError:
                return found
            target = str(headers.get("x-amz-target", "")).rpartition(".")[2]
            roles = passed_to_tasks(target, request) if service == "ecs" else passed_on(request)
        if not roles:
            return found
        resources = found if isinstance(found, Resources) else Resources.of([found])
        resources.passed = roles
        return resources

    return extract


def passed_to_cloudformation(parameters: Mapping[str, list[str]]) -> Passed:
    """The role that CloudFormation is to act with."""
    return [(role, "cloudformation.amazonaws.com") for role in parameters.get("RoleARN") or []]


def passed_on(request: Mapping[str, Any]) -> Passed:
    """The role that Scheduler is to act with."""
    role = (request.get("Target") or {}).get("RoleArn")
    return [(role, "scheduler.amazonaws.com")] if role else []


def passed_to_tasks(action: str, request: Mapping[str, Any]) -> Passed:
    """The roles that tasks of a definition get, which is registered or which a service takes."""
    definition: Mapping[str, Any] = {}
    if action == "RegisterTaskDefinition":
        definition = request
    elif action in {"CreateService", "UpdateService", "RunTask"}:
        named = request.get("taskDefinition")
        definition = (ecs.task_defs.get(ecs.resolve_td_key(named)) if named else None) or {}
        definition = dict(definition) | (request.get("overrides") or {})
    roles = [definition.get(name) for name in ("executionRoleArn", "taskRoleArn")]
    return [(role, _TO_TASKS) for role in roles if role]


def _asking(own: Any) -> Any:
    def enforce(  # noqa: PLR0917 - the emulator's own signature
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        denied = own(access_key_id, iam_action, service, region, resource_arn, service_context)
        if denied is None and isinstance(resource_arn, Resources):
            for role, to in resource_arn.passed:
                keys = {"iam:PassedToService": to}
                denied = denied or own(access_key_id, "iam:PassRole", "iam", region, role, keys)
        return denied

    return enforce


RULE: Final = Rule(
    name="passed-roles",
    does="A request that passes a role to CloudFormation, Scheduler or ECS tasks is rejected"
    " unless its caller has `iam:PassRole` for this role and service.",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html",
    caught="nothing yet.",
    install=install,
)
