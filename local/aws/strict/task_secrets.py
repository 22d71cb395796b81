"""A task gets the secrets that its execution role may read, within the role's boundary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import tagging
from local.aws.iam import role_allows
from local.aws.strict import Rule
from local.fargate.programs import CannotStartError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def require(definition: Mapping[str, Any]) -> None:
    """Raise ``CannotStartError`` if the execution role may not read a secret of the definition."""
    if refused := refusal(definition, _allows):
        raise CannotStartError(refused)


def _allows(role: str, action: str, arn: str) -> bool:
    """Whether a role may read a secret or parameter, by its tags, too, as they are now."""
    tags = tagging.resource_tags(arn) or {}
    keys = {f"aws:ResourceTag/{name}": value for name, value in tags.items()}
    return role_allows(role, action, arn, keys)


def refusal(definition: Mapping[str, Any], allows: Callable[[str, str, str], bool]) -> str:
    """Why a task cannot start, where ``allows`` decides on role, action and resource."""
    role = str(definition.get("executionRoleArn") or "")
    if not role:
        return ""
    for action, arn in named(definition):
        if not allows(role, action, arn):
            return (
                "ResourceInitializationError: unable to pull secrets or registry auth: execution"
                f" resource retrieval failed: AccessDeniedException: {role} is not authorized to"
                f" perform: {action} on resource: {arn}"
            )
    return ""


def named(definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the action and the ARN of each secret that ECS reads for a task, without JSON keys."""
    for container in definition.get("containerDefinitions") or []:
        references = [str(one["valueFrom"]) for one in container.get("secrets") or []]
        if registry := (container.get("repositoryCredentials") or {}).get("credentialsParameter"):
            references.append(str(registry))
        for reference in references:
            if ":secretsmanager:" in reference:
                yield "secretsmanager:GetSecretValue", ":".join(reference.split(":")[:7])
            elif ":ssm:" in reference:
                yield "ssm:GetParameters", reference


RULE: Final = Rule(
    name="task-secrets",
    does="ECS reads the secrets and the registry credentials of a task with its execution role; a"
    " task whose role is denied one does not start.",
    source="https://docs.aws.amazon.com/AmazonECS/latest/developerguide/"
    "resource-initialization-error.html",
    caught="nothing yet: preflight rejects a secret that lacks a tag.",
)
