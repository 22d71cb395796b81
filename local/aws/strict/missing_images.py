"""An image that is not in the registry: its tasks do not start, and ECR reports it."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import ecr, responses
from local.aws.strict import Rule
from local.config import ACCOUNT_ID, REGION
from local.fargate.programs import CannotStartError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness

_OWN: Final = re.compile(
    rf"{ACCOUNT_ID}\.dkr\.ecr\.{REGION}\.amazonaws\.com/([^:@]+)(?::([^@]+))?(?:@(sha256:\w+))?"
)


def install(_strictness: Strictness) -> None:
    """ECR reports missing images, which the emulator omits from its response."""
    ecr.describe_images = _as_on_aws(ecr.describe_images)


def _as_on_aws(own: Any) -> Any:
    def describe(data: Mapping[str, Any]) -> Any:
        name = str(data.get("repositoryName", ""))
        for one in data.get("imageIds") or () if name in ecr.repositories else ():
            if ecr.find_image(name, one) is None:
                named = ", ".join(f"{key}:'{value}'" for key, value in sorted(one.items()))
                return responses.error_response_json(
                    "ImageNotFoundException",
                    f"The image with imageId {{{named}}} does not exist within the repository with"
                    f" name '{name}' in the registry with id '{ACCOUNT_ID}'",
                    400,
                )
        return own(data)

    return describe


def digest(image: str, known: str = "") -> str:
    """Digest that ECS resolves an image to; ``known`` is what it resolved for this revision.

    Only repositories of the emulator hold images: those of other registries are never pulled here,
    and their digest stands for their name. Raises ``CannotStartError`` for what is not there.
    """
    own = _OWN.fullmatch(image)
    if own is None:
        pinned = image.partition("@")[2]
        return known or pinned or f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"
    name, tag, pinned = own.groups()
    wanted = known or pinned
    image_id = {"imageDigest": wanted} if wanted else {"imageTag": tag or "latest"}
    found = ecr.find_image(name, image_id) if name in ecr.repositories else None
    if found is None:
        raise CannotStartError(
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to"
            f" resolve ref {image}: {image}: not found"
        )
    return str(found["imageDigest"])


RULE: Final = Rule(
    name="missing-images",
    does="A task whose image is not in its repository does not start (`CannotPullContainerError`),"
    " and DescribeImages returns `ImageNotFoundException` for a missing image.",
    source="https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html",
    caught="a plan did not report a missing image: tasks failed to start only after the stack had"
    " changed.",
    install=install,
)
