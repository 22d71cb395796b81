"""A nested stack takes only what its template declares, and its template's transforms apply."""

from __future__ import annotations

import contextvars
import re
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import cloudformation, engine, provisioners
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.aws.strict import Strictness

_TYPE: Final = "AWS::CloudFormation::Stack"
# An address of S3, which on this machine is the emulator's; a path is what `sam package` replaces.
_URL: Final = re.compile(r"https?://[^/]+/.+")
# Parameters of the nested stack whose template is read next.
_given: contextvars.ContextVar[Mapping[str, Any] | None] = contextvars.ContextVar(
    "given", default=None
)


def install(_strictness: Strictness) -> None:
    """Check a nested stack before it is created or updated; keep what its template retains."""
    handlers = provisioners.RESOURCE_HANDLERS[_TYPE]
    create, update, delete = (handlers[one] for one in ("create", "update", "delete"))
    handlers |= {
        "create": lambda name, new, *rest: _with(new, lambda: create(name, new, *rest)),
        "update": lambda its, old, new, *rest: _with(new, lambda: update(its, old, new, *rest)),
        "delete": _retaining(delete),
    }
    engine.parse_template = _expanded(engine.parse_template)
    provisioners.update_resource = _keeping_attributes(provisioners.update_resource)


def _keeping_attributes(own: Any) -> Any:
    """Keep the attributes of a resource that an update of its nested stack does not change.

    The emulator forgets them, so that ``Fn::GetAtt`` of such a resource fails the update.
    """

    def update(*given: Any) -> Any:
        *_, stack_name, logical_id = given[:6]
        if len(given) > 6 or stack_name not in cloudformation.stacks:
            return own(*given)
        before = cloudformation.stacks[stack_name]["_resources"].get(logical_id, {})
        return own(*given[:6], before.get("Attributes"))

    return update


def _with(properties: Mapping[str, Any], deploy: Callable[[], Any]) -> Any:
    if words := url_refusal(str(properties.get("TemplateURL", ""))):
        raise ValueError(words)
    before = _given.set(properties.get("Parameters") or {})
    try:
        return deploy()
    finally:
        _given.reset(before)


def _expanded(own: Any) -> Any:
    def parse(body: str) -> Any:
        template = own(body)
        given = _given.get()
        if given is None:
            return template
        if words := parameter_refusal(template, given):
            raise ValueError(words)
        provided = [{"Key": name, "Value": str(value)} for name, value in given.items()]
        expanded = engine.apply_transforms(template, provided)
        if isinstance(expanded, engine.TransformFailed):
            raise ValueError(expanded.error)  # noqa: TRY004 - as CloudFormation's handler fails
        # The emulator asks for CAPABILITY_AUTO_EXPAND where it sees a transform declared.
        declared = {"Transform": template["Transform"]} if "Transform" in template else {}
        return dict(expanded) | declared

    return parse


def _retaining(own: Any) -> Any:
    def delete(physical_id: str, properties: Any) -> None:
        for stack in list(cloudformation.stacks.values()):
            if physical_id in {stack["StackId"], stack["StackName"]}:
                for name in retained(stack.get("_template") or {}):
                    stack["_resources"].pop(name, None)
        own(physical_id, properties)

    return delete


def url_refusal(url: str) -> str:
    """Why CloudFormation does not read a nested template; empty if it does."""
    return "" if _URL.fullmatch(url) else "TemplateURL must be a supported URL."


def parameter_refusal(template: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """Why CloudFormation does not accept the parameters of a nested stack; empty if it does."""
    undeclared = sorted(set(given) - set(template.get("Parameters") or {}))
    return f"Parameters: [{', '.join(undeclared)}] do not exist in the template" * bool(undeclared)


def retained(template: Mapping[str, Any]) -> set[str]:
    """Logical ids of the resources that outlive their stack."""
    return {
        name
        for name, resource in (template.get("Resources") or {}).items()
        if str(resource.get("DeletionPolicy", "")).startswith("Retain")
    }


RULE: Final = Rule(
    name="nested-stacks",
    does="A nested stack reads its template from S3, applies its transforms, refuses parameters"
    " that the template does not declare, and retains what a DeletionPolicy retains.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-stack.html",
    caught="nothing yet.",
    install=install,
)
