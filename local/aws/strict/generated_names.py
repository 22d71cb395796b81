"""A log group or a secret without a name of its own gets a new one each time."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import provisioners
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness

# Types that a template retains, the property that names them, and how a generated name begins. The
# emulator draws a new name for each bucket itself.
NAMED: Final[Mapping[str, tuple[str, str]]] = {
    "AWS::Logs::LogGroup": ("LogGroupName", "{stack}-{logical_id}"),
    "AWS::SecretsManager::Secret": ("Name", "{logical_id}"),
}
_ALPHABET: Final = string.ascii_letters + string.digits
_RANDOM: Final = 12


def install(_strictness: Strictness) -> None:
    """Give the emulator a name where the template has none."""
    for kind in NAMED:
        handlers = provisioners.RESOURCE_HANDLERS[kind]
        handlers["create"] = _creating(kind, handlers["create"])
        handlers["update"] = _updating(kind, handlers["update"])


def _creating(kind: str, own: Any) -> Any:
    named, _ = NAMED[kind]

    def create(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        name = properties.get(named) or generated(kind, stack, logical_id)
        return own(logical_id, {**properties, named: name}, stack)

    return create


def _updating(kind: str, own: Any) -> Any:
    named, _ = NAMED[kind]

    def update(
        physical_id: str,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
        stack: str,
        logical_id: str,
    ) -> Any:
        # A generated name stays; one comes anew instead of an own one.
        kept = generated(kind, stack, logical_id) if before.get(named) else physical_id
        name = after.get(named) or kept
        return own(physical_id, before, {**after, named: name}, stack, logical_id)

    return update


def generated(kind: str, stack: str, logical_id: str) -> str:
    """Give a new name: its beginning and 12 random characters.

    Two of the same stack and logical id, one of which was retained, differ.
    """
    drawn = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return f"{NAMED[kind][1].format(stack=stack, logical_id=logical_id)}-{drawn}"


RULE: Final = Rule(
    name="generated-names",
    does="A log group without `LogGroupName` is named `<stack>-<logical id>-<random>`, a secret"
    " without `Name` `<logical id>-<random>`; both keep this name until they are replaced, and a"
    " stack of the same name gives others.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-name.html",
    caught="nothing in the application: the emulator named log groups `/aws/cloudformation/…`, so"
    " that FollowStart was denied the logs of a task that had stopped, and overwrote the"
    " secrets that a teardown had kept with those of the next stack of that name.",
    install=install,
)
