"""A log group without a name of its own is named after its stack and its logical id."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import provisioners
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness

_KIND: Final = "AWS::Logs::LogGroup"
_NAME: Final = "LogGroupName"
_ALPHABET: Final = string.ascii_letters + string.digits
_RANDOM: Final = 12


def install(_strictness: Strictness) -> None:
    """Give the emulator a name where the template has none."""
    handlers = provisioners.RESOURCE_HANDLERS[_KIND]
    create, update = handlers["create"], handlers["update"]

    def creating(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        named = {**properties, _NAME: properties.get(_NAME) or generated(stack, logical_id)}
        return create(logical_id, named, stack)

    def updating(
        physical_id: str,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
        stack: str,
        logical_id: str,
    ) -> Any:
        name = updated(physical_id, before, after, stack, logical_id)
        return update(physical_id, before, {**after, _NAME: name}, stack, logical_id)

    handlers["create"], handlers["update"] = creating, updating


def generated(stack: str, logical_id: str) -> str:
    """Give a new name: the stack's, the logical id and 12 random characters.

    Two log groups of the same stack and logical id, one of which was retained, differ.
    """
    drawn = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return f"{stack}-{logical_id}-{drawn}"


def updated(
    physical_id: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    stack: str,
    logical_id: str,
) -> str:
    """Give the name after an update: a generated one stays; instead of an own one comes a new."""
    if own := after.get(_NAME):
        return str(own)
    return generated(stack, logical_id) if before.get(_NAME) else physical_id


RULE: Final = Rule(
    name="generated-names",
    does="A log group without `LogGroupName` is named `<stack>-<logical id>-<random>`, and keeps"
    " this name until it is replaced.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-name.html",
    caught="nothing in the application: the emulator named them `/aws/cloudformation/…`, so that"
    " FollowStart was denied the logs of a task that had stopped.",
    install=install,
)
