"""The limits of a task's containers fit into the task, and restart periods into ECS's bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import ecs, responses
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness

_PERIOD: Final = range(60, 1800 + 1)


def install(_strictness: Strictness) -> None:
    """ECS registers no task definition that breaks a limit; the emulator takes any."""
    ecs.register_task_definition = _as_on_aws(ecs.register_task_definition)
    ecs.ACTION_MAP["RegisterTaskDefinition"] = ecs.register_task_definition


def _as_on_aws(own: Any) -> Any:
    def register(request: Mapping[str, Any]) -> Any:
        refused = refusal(request)
        if refused:
            return responses.error_response_json("ClientException", refused, 400)
        return own(request)

    return register


def refusal(request: Mapping[str, Any]) -> str:
    """Why ECS does not register this definition; empty when it does."""
    containers = request.get("containerDefinitions") or []
    for limit in ("cpu", "memory"):
        given = str(request.get(limit) or "")
        total = sum(int(one.get(limit) or 0) for one in containers)
        if given.isdecimal() and total > int(given):
            return (
                f"Invalid setting for containers. The total {limit} of all containers, {total}, is"
                f" greater than that of the task, {given}."
            )
    for one in containers:
        policy = one.get("restartPolicy") or {}
        period = int(policy.get("restartAttemptPeriod") or 300)
        if policy.get("enabled") and period not in _PERIOD:
            return (
                f"Invalid restartAttemptPeriod {period} of container {one.get('name')}: it must be"
                f" from {_PERIOD[0]} to {_PERIOD[-1]} seconds."
            )
    if containers and not any(one.get("essential", True) for one in containers):
        return "Task definition does not have any essential containers."
    return ""


RULE: Final = Rule(
    name="container-limits",
    does="ECS registers no task definition whose containers reserve more CPU or memory than the"
    " task has, none without an essential container, and none with a restart period outside of 60"
    " to 1800 seconds.",
    source="https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html",
    caught="nothing yet: it guards the limits of a broker and its collector.",
    install=install,
)
