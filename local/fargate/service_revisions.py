"""Service revisions: what each deployment of a service runs, with the digests of its images.

ECS resolves tags when a deployment starts its first task, and starts the others by digest:
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-revision.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.aws.emulator import ecs
from local.aws.strict import missing_images

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.fargate.task import Record


def begin(service: Record, deployment: Record) -> None:
    """Keep the revision that a deployment of a service brings."""
    definition = ecs.task_defs[service["taskDefinition"].rsplit("/", 1)[-1]]
    number = deployment["id"].rpartition("/")[2]
    arn = str(service["serviceArn"]).replace(":service/", ":service-revision/", 1)
    service.setdefault("_revisions", {})[deployment["id"]] = {
        "serviceRevisionArn": f"{arn}/{number}",
        "serviceArn": service["serviceArn"],
        "clusterArn": service["clusterArn"],
        "taskDefinition": service["taskDefinition"],
        "launchType": deployment["launchType"],
        "platformVersion": deployment["platformVersion"],
        "platformFamily": deployment["platformFamily"],
        "networkConfiguration": deployment["networkConfiguration"],
        "containerImages": [
            {"containerName": one["name"], "image": one["image"]}
            for one in definition["containerDefinitions"]
        ],
        "createdAt": deployment["createdAt"],
    }


def resolve(service: Record, deployment: str) -> None:
    """Resolve the images of a deployment; `CannotStartError` for one that is not there."""
    revision = service.get("_revisions", {}).get(deployment, {})
    for one in revision.get("containerImages", ()):
        one["imageDigest"] = missing_images.digest(one["image"], one.get("imageDigest", ""))


def current(service: Record) -> list[dict[str, Any]]:
    """Revisions of the deployments that a service has, as DescribeServices returns them."""
    return [
        {
            "arn": service["_revisions"][one["id"]]["serviceRevisionArn"],
            "requestedTaskCount": one["desiredCount"],
            "runningTaskCount": one["runningCount"],
            "pendingTaskCount": one["pendingCount"],
        }
        for one in service["deployments"]
        if one["id"] in service.get("_revisions", {})
    ]


def describe(services: Iterable[Record], arns: Iterable[str]) -> dict[str, Any]:
    """Answer of DescribeServiceRevisions."""
    known = {
        revision["serviceRevisionArn"]: revision
        for service in services
        for revision in service.get("_revisions", {}).values()
    }
    asked = list(arns)
    return {
        "serviceRevisions": [known[arn] for arn in asked if arn in known],
        "failures": [{"arn": arn, "reason": "MISSING"} for arn in asked if arn not in known],
    }
