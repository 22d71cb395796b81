"""IAM evaluates the tags of what a request names, whichever policy compares them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import cloudformation, iam_evaluator, tagging
from local.aws.iam import Resources
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness

_STACK: Final = ":stack/"
_CREATING: Final = "cloudformation:CreateChangeSet"
_IN_A_BUCKET: Final = re.compile(
    r"https://([^/]+)\.s3\.[a-z0-9-]+\.amazonaws\.com/([^?]+)(\?versionId=.+)?"
)


def install(_strictness: Strictness) -> None:
    """Find the tags of stacks, for boundaries too, and authorise what a change set implies."""
    iam_evaluator.names_condition_key = lambda _policies, _prefix: True
    tagging.resource_tags = _with_stacks(tagging.resource_tags)
    iam_evaluator.enforce = _with_what_it_implies(iam_evaluator.enforce)


def _with_stacks(own: Any) -> Any:
    def tags(arn: str) -> dict[str, str] | None:
        if _STACK in arn:
            return stack_tags(arn, cloudformation.stacks)
        found: dict[str, str] | None = own(arn)
        return found

    return tags


def stack_tags(arn: str, stacks: Mapping[str, Any]) -> dict[str, str] | None:
    """Tags of the stack that an ARN names, by name or in full; None for one that does not exist.

    One that was only planned has those of its change set once that was executed, as on AWS.
    """
    name = arn.partition(_STACK)[2].split("/")[0]
    found = stacks.get(name)
    if found is None or found.get("StackStatus") in {"REVIEW_IN_PROGRESS", "DELETE_COMPLETE"}:
        return None
    return {tag["Key"]: tag["Value"] for tag in found.get("Tags", ())}


def _with_what_it_implies(own: Any) -> Any:
    def enforce(  # noqa: PLR0917 - the emulator's own signature
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        denied = own(access_key_id, iam_action, service, region, resource_arn, service_context)
        if iam_action != _CREATING or not isinstance(resource_arn, Resources):
            return denied
        keys = service_context or {}
        if denied is None and keys.get("aws:TagKeys"):
            keys = keys | {"cloudformation:CreateAction": "CreateChangeSet"}
            tagging_right = "cloudformation:TagResource"
            stack = resource_arn.all[0]
            denied = own(access_key_id, tagging_right, service, region, stack, keys)
        template = template_right(resource_arn.context.get("cloudformation:TemplateUrl", ""))
        if denied is None and template:
            return own(access_key_id, template[0], "s3", region, template[1], {})
        return denied

    return enforce


def template_right(url: str) -> tuple[str, str] | None:
    """Which action on which object reads a template, for the caller; None for no object."""
    found = _IN_A_BUCKET.fullmatch(url)
    if found is None:
        return None
    action = "s3:GetObjectVersion" if found[3] else "s3:GetObject"
    return action, f"arn:aws:s3:::{found[1]}/{found[2]}"


RULE: Final = Rule(
    name="resource-tags",
    does="IAM evaluates the tags of stacks, ECS resources, file systems, databases, log groups and"
    " keys for conditions of any policy or boundary (`aws:ResourceTag`); a stack that was only"
    " planned has none yet. A change set with tags also needs `cloudformation:TagResource`, and"
    " its template is read with the caller's rights.",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/access_tags.html",
    caught="nothing yet.",
    install=install,
)
