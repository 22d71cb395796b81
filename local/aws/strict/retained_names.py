"""What an earlier stack retained under a name of the template's own is still there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import cloudwatch_logs, dynamodb, provisioners, s3
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.aws.strict import Strictness

NAME: Final = "retained-names"
# Types that a template may retain, the property that names them, and where the emulator has them.
NAMED: Final[Mapping[str, tuple[str, Callable[[], Any]]]] = {
    "AWS::DynamoDB::Table": ("TableName", lambda: dynamodb.tables),
    "AWS::Logs::LogGroup": ("LogGroupName", lambda: cloudwatch_logs.log_groups),
    "AWS::S3::Bucket": ("BucketName", lambda: s3.buckets),
}


def install(strictness: Strictness) -> None:
    """Check before each of these types is created."""
    for kind in NAMED:
        handlers = provisioners.RESOURCE_HANDLERS[kind]
        handlers["create"] = _asked(kind, handlers["create"], strictness)


def _asked(kind: str, own: Any, strictness: Strictness) -> Any:
    def create(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        _, there = NAMED[kind]
        refused = refusal(kind, properties, there())
        if refused and strictness.on(NAME):
            raise ValueError(refused)
        return own(logical_id, properties, stack)

    return create


def refusal(kind: str, properties: Mapping[str, Any], there: Any) -> str:
    """Why CloudFormation does not create such a resource; empty where it does."""
    named, _ = NAMED[kind]
    name = properties.get(named)
    if not name or name not in there:
        return ""
    identifier = json.dumps({f"/properties/{named}": name})
    return (
        f"Resource of type '{kind}' with identifier '{identifier}' already exists."
        " (HandlerErrorCode: AlreadyExists)"
    )


RULE: Final = Rule(
    name=NAME,
    does="A resource that its stack retained keeps its name: no other stack, nor the same one"
    " re-created, can create a resource with that name.",
    source="https://repost.aws/knowledge-center/cloudformation-resource-already-exists",
    caught="`sam deploy` after `sam delete` fails: the log group of the state machines has a fixed"
    " name and is retained.",
    install=install,
)
