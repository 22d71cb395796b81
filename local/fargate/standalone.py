"""Tasks of RunTask: what a request has to be, and the record that the supervisor runs them with.

Limits and defaults are those of the API reference, messages AWS's where they are known:
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
"""

from __future__ import annotations

import copy
import json
import re
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from local.fargate.task import Record

type Refused = tuple[str, str]
"""Code and message of the error."""

INVALID = "InvalidParameterException"
CLIENT = "ClientException"
NO_CAPACITY = (
    "Capacity is unavailable at this time. Please try again later or in a different availability"
    " zone"
)
"""Reason of a failure. https://repost.aws/knowledge-center/ecs-fargate-runtask-capacity"""
_MOST = 10
_LONGEST_OVERRIDES = 8192
_STARTED_BY = re.compile(r"[A-Za-z0-9_/-]{0,128}")
_TOKEN = re.compile(r"[!-~]{1,64}")
_MOST_TAGS = 50
_PROVIDERS = ("FARGATE", "FARGATE_SPOT")
_OVERRIDDEN = {"name", "command", "environment"}
_ROLES = {"taskRoleArn", "executionRoleArn"}
_NOT_HERE = ("placementConstraints", "placementStrategy", "volumeConfigurations")


def refusal(
    data: Record, cluster: Record, definition: Record, *, subnets: Container[str], groups: Any
) -> Refused | None:
    """Why RunTask is rejected as a whole; None for what can be run.

    `subnets` and `groups` are the ids of the subnets and security groups that exist; a container
    of everything where none are kept.
    """
    return next(_problems(data, cluster, definition, subnets, groups), None)


def _problems(
    data: Record, cluster: Record, definition: Record, subnets: Any, groups: Any
) -> Iterator[Refused]:
    count = 1 if data.get("count") is None else data["count"]
    if not 1 <= count <= _MOST:
        yield INVALID, f"count {count} is not between 1 and {_MOST}."
    if not _STARTED_BY.fullmatch(data.get("startedBy") or ""):
        yield (
            INVALID,
            "startedBy has up to 128 letters, numbers, hyphens, forward slashes and underscores.",
        )
    if data.get("clientToken") is not None and not _TOKEN.fullmatch(data["clientToken"]):
        yield INVALID, "clientToken has 1 to 64 characters in the range of 33 to 126."
    if data.get("propagateTags") == "SERVICE":
        yield INVALID, "propagateTags cannot be SERVICE for a task that no service runs."
    for name in _NOT_HERE:
        if data.get(name):
            yield CLIENT, f"{name} of RunTask has no stand-in on this machine."
    yield from _launch(data, cluster)
    yield from _network(data, definition, subnets, groups)
    yield from _tags(data.get("tags") or [])
    overrides = data.get("overrides") or {}
    yield from _overrides(overrides, definition)
    role = overrides.get("taskRoleArn") or definition.get("taskRoleArn")
    if data.get("enableExecuteCommand") and not role:
        yield (
            INVALID,
            (
                "The task couldn't be run because a valid taskRoleArn is not being used. Specify a"
                " valid task role in your task definition and try again."
            ),
        )


def _launch(data: Record, cluster: Record) -> Iterator[Refused]:
    strategy = data.get("capacityProviderStrategy") or ()
    if strategy and data.get("launchType"):
        yield (
            INVALID,
            "Specifying both a launch type and capacity provider strategy is not supported.",
        )
    known = cluster.get("capacityProviders") or ()
    for one in strategy:
        if one.get("capacityProvider") not in known:
            yield (
                INVALID,
                (
                    "The specified capacity provider strategy cannot contain a capacity provider"
                    " that is not associated with the cluster."
                ),
            )
    if _kind(data, cluster) != "FARGATE":
        # Without a type and without a strategy of the cluster it is EC2.
        yield INVALID, "No Container Instances were found in your cluster."


def _kind(data: Record, cluster: Record) -> str:
    """`FARGATE`, or what has no instances here."""
    if data.get("launchType"):
        return str(data["launchType"])
    strategy = data.get("capacityProviderStrategy") or cluster.get(
        "defaultCapacityProviderStrategy"
    )
    names = [one["capacityProvider"] for one in strategy or ()]
    return "FARGATE" if names and all(one in _PROVIDERS for one in names) else "EC2"


def _network(data: Record, definition: Record, subnets: Any, groups: Any) -> Iterator[Refused]:
    given = (data.get("networkConfiguration") or {}).get("awsvpcConfiguration")
    if "FARGATE" not in (definition.get("requiresCompatibilities") or ()):
        yield INVALID, "Task definition does not support launch_type FARGATE."
    if definition.get("networkMode") != "awsvpc":
        yield CLIENT, "Fargate only supports network mode 'awsvpc'."
    elif not given or not given.get("subnets"):
        yield (
            INVALID,
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        )
    else:
        for one in given["subnets"]:
            if one not in subnets:
                yield (
                    INVALID,
                    (
                        f"Error retrieving subnet information for [{one}]: The subnet ID '{one}'"
                        " does not exist (ErrorCode: InvalidSubnetID.NotFound)"
                    ),
                )
        for one in given.get("securityGroups") or ():
            if one not in groups:
                yield (
                    INVALID,
                    (
                        f"Error retrieving security group information for [{one}]: The security"
                        f" group '{one}' does not exist (ErrorCode: InvalidGroup.NotFound)"
                    ),
                )


def _tags(tags: Sequence[Record]) -> Iterator[Refused]:
    keys = [str(one.get("key", "")) for one in tags]
    if len(keys) > _MOST_TAGS:
        yield INVALID, f"Specify at most {_MOST_TAGS} tags."
    if len(set(keys)) != len(keys):
        yield INVALID, "Duplicate tag keys found. Please note that tag keys are case sensitive."
    if any(one.lower().startswith("aws:") for one in keys):
        yield INVALID, "Some tags contain invalid characters or the reserved prefix aws:."
    if any(not 1 <= len(str(one.get("key", ""))) <= 128 for one in tags):
        yield INVALID, "A tag key has 1 to 128 characters."
    if any(len(str(one.get("value") or "")) > 256 for one in tags):
        yield INVALID, "A tag value has at most 256 characters."


def _overrides(overrides: Record, definition: Record) -> Iterator[Refused]:
    if len(json.dumps(overrides, separators=(",", ":"))) > _LONGEST_OVERRIDES:
        yield INVALID, f"Container Overrides length must be at most {_LONGEST_OVERRIDES}"
    for name, value in overrides.items():
        if value and name not in _ROLES | {"containerOverrides"}:
            yield CLIENT, f"The override {name} of RunTask has no stand-in on this machine."
    containers = {one["name"]: one for one in definition["containerDefinitions"]}
    for one in overrides.get("containerOverrides") or ():
        named = one.get("name")
        if not named:
            yield INVALID, "Container override must specify the name of the container."
            return
        if named not in containers:
            yield (
                INVALID,
                f"Override for container named {named} is not a container in the TaskDefinition.",
            )
            return
        for name, value in one.items():
            if value and name not in _OVERRIDDEN:
                yield CLIENT, f"The override {name} of a container has no stand-in on this machine."
        secrets = {each["name"] for each in containers[named].get("secrets") or ()}
        for each in one.get("environment") or ():
            if each.get("name") in secrets:
                yield (
                    CLIENT,
                    (
                        "The secret name must be unique and not shared with any new or existing"
                        f" environment variables set on the container, such as '{each['name']}'."
                    ),
                )


def overridden(definition: Record, overrides: Record) -> Record:
    """Give a task definition as it counts for one task."""
    changed = copy.deepcopy(definition)
    changed |= {name: overrides[name] for name in _ROLES if overrides.get(name)}
    containers = {one["name"]: one for one in changed["containerDefinitions"]}
    for one in overrides.get("containerOverrides") or ():
        container = containers[one["name"]]
        if one.get("command"):
            container["command"] = one["command"]
        variables = {each["name"]: each for each in container.get("environment") or ()}
        variables |= {each["name"]: each for each in one.get("environment") or ()}
        container["environment"] = list(variables.values())
    return changed


def run(data: Record, cluster: Record, definition: Record, now: float) -> Record:
    """Give a request in the shape of a service that nothing schedules: what its tasks are made of.

    It has one deployment, no load balancer, no name in Cloud Map and no Service Connect.
    """
    number = uuid.uuid4().hex
    strategy = data.get("capacityProviderStrategy")
    if not data.get("launchType"):
        strategy = strategy or cluster.get("defaultCapacityProviderStrategy")
    return {
        "_uid": f"run/{number}",
        "_run": True,
        "clusterArn": cluster["clusterArn"],
        "serviceArn": f"{cluster['clusterArn'].replace(':cluster/', ':service/')}/run-{number}",
        "serviceName": "",
        "taskDefinition": definition["taskDefinitionArn"],
        "networkConfiguration": data.get("networkConfiguration") or {},
        "enableExecuteCommand": bool(data.get("enableExecuteCommand")),
        "events": [],
        "deployments": [
            {
                "id": f"run/{number}",
                "createdAt": now,
                "launchType": "FARGATE",
                "platformVersion": "1.4.0",
                "platformFamily": "Linux",
                "networkConfiguration": data.get("networkConfiguration") or {},
            }
        ],
        "_shown": {
            "group": data.get("group") or f"family:{definition['family']}",
            "startedBy": data.get("startedBy") or None,
            "overrides": {
                "containerOverrides": [],
                "inferenceAcceleratorOverrides": [],
                **(data.get("overrides") or {}),
            },
            "capacityProviderName": strategy[0]["capacityProvider"] if strategy else None,
        },
        "_overrides": data.get("overrides") or {},
    }


def tags(data: Record, cluster: Record, definition_tags: Sequence[Record]) -> list[Any]:
    """Give the tags of a task: its own, those of the definition on request, and ECS's."""
    found = list(data.get("tags") or ())
    keys = {one["key"] for one in found}
    if data.get("propagateTags") == "TASK_DEFINITION":
        found += [one for one in definition_tags if one["key"] not in keys]
    if data.get("enableECSManagedTags"):
        found.append({"key": "aws:ecs:clusterName", "value": cluster["clusterName"]})
    return found
