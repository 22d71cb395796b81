"""A task that RunTask is to tag needs `ecs:TagResource`, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import iam_evaluator
from local.aws.iam import Resources
from local.aws.strict import Rule
from local.config import ACCOUNT_ID, REGION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness

_RUNNING: Final = "ecs:RunTask"


def install(_strictness: Strictness) -> None:
    """Authorise the tags of a request after the request itself is allowed."""
    iam_evaluator.enforce = _with_tags(iam_evaluator.enforce)


def _with_tags(own: Any) -> Any:
    def enforce(  # noqa: PLR0917 - the emulator's own signature
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        denied = own(access_key_id, iam_action, service, region, resource_arn, service_context)
        if denied is None and iam_action == _RUNNING and isinstance(resource_arn, Resources):
            implied = tagging_right(resource_arn.context)
            if implied:
                action, arn, keys = implied
                keys = (service_context or {}) | keys
                return own(access_key_id, action, "ecs", region, arn, keys)
        return denied

    return enforce


def tagging_right(context: Mapping[str, str]) -> tuple[str, str, dict[str, str]] | None:
    """Which action on which tasks a request with these condition keys implies; None without tags.

    The id of a task is not there yet: only a pattern can allow it.
    """
    if not any(key.startswith("aws:RequestTag/") for key in context):
        return None
    cluster = context["ecs:cluster"].rpartition("/")[2]
    arn = f"arn:aws:ecs:{REGION}:{ACCOUNT_ID}:task/{cluster}/*"
    return "ecs:TagResource", arn, {**context, "ecs:CreateAction": "RunTask"}


RULE: Final = Rule(
    name="tagged-tasks",
    does="RunTask with tags is rejected unless its caller has `ecs:TagResource` for the tasks that"
    " it makes (`ecs:CreateAction`).",
    source="https://docs.aws.amazon.com/AmazonECS/latest/developerguide/"
    "supported-iam-actions-tagging.html",
    caught="nothing yet.",
    install=install,
)
