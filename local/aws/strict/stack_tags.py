"""CloudFormation tags what it creates with the stack; no other caller sets or removes such a tag.

Which types get the tags: `tagging.cloudFormationSystemTags` of the types' schemas, as cfn-lint
has them. How the services refuse the prefix:

- S3: https://github.com/cloud-custodian/cloud-custodian/issues/2834
- RDS: https://github.com/aws-cloudformation/aws-cloudformation-resource-providers-rds/issues/239
- EFS: `Tag` in its API reference; only `BadRequest` fits of the errors of TagResource
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import efs, provisioners, rds, s3, stacks
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from local.aws.strict import Strictness

PREFIX: Final = "aws:"
ADDED: Final[Mapping[str, tuple[str, str]]] = {
    "AWS::RDS::DBCluster": ("Tags", "list"),
    "AWS::S3::Bucket": ("Tags", "list"),
}
"""Types that the emulator leaves out: the property with their tags, and its form."""
WITHOUT: Final = frozenset(
    {
        "AWS::CloudFront::Distribution",
        "AWS::DynamoDB::Table",
        "AWS::IAM::Role",
        "AWS::KMS::Key",
        "AWS::SQS::Queue",
    }
)
"""Types that get the tags of the stack, but not CloudFormation's own."""


def reserved(keys: Iterable[str]) -> list[str]:
    """Give the keys that callers may not set: the prefix is reserved in any case of its letters."""
    return [key for key in keys if key.lower().startswith(PREFIX)]


def of_a_bucket(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Why S3 does not replace the tags of a bucket; empty if it does.

    PutBucketTagging replaces them all, so that those of the system have to be in it, unchanged.
    """
    was = {key: before[key] for key in reserved(before)}
    given = {key: after[key] for key in reserved(after)}
    if was.keys() - given.keys():
        return "System tags cannot be removed by requester"
    return "" if was == given else "System tags cannot be added/updated by requester"


def install(_strictness: Strictness) -> None:
    """Extend the emulator's table, and refuse the prefix in the calls that set and remove tags."""
    provisioners.STACK_TAG_PROPERTY.update(ADDED)
    tagged = _as_in_the_schemas(provisioners.with_stack_tags)
    provisioners.with_stack_tags = tagged
    stacks.with_stack_tags = tagged
    s3.put_bucket_tagging = _bucket_tags_put(s3.put_bucket_tagging)
    s3.delete_bucket_tagging = _bucket_tags_deleted(s3.delete_bucket_tagging)
    efs.tag_resource = _file_system_tags(efs.tag_resource)
    efs.untag_resource = _file_system_tags(efs.untag_resource)
    for action in _DATABASE_ACTIONS:
        rds.ACTION_MAP[action] = guarded(rds.ACTION_MAP[action])


# Restores go through CreateDBCluster; the other actions with tags are in `local.aws.databases`.
_DATABASE_ACTIONS: Final = ("AddTagsToResource", "CreateDBCluster", "RemoveTagsFromResource")


def _as_in_the_schemas(own: Any) -> Any:
    def tagged(kind: str, properties: Any, *more: Any) -> Any:
        found = own(kind, properties, *more)
        if kind not in WITHOUT:
            return found
        tags = [one for one in found.get("Tags") or () if not reserved([one["Key"]])]
        return {**found, "Tags": tags}

    return tagged


def _bucket_tags_put(own: Any) -> Any:
    def put(name: str, body: bytes) -> Any:
        before = dict(s3.bucket_tags.get(name) or {})
        answer = own(name, body)
        if answer[0] >= 400:
            return answer
        if refused := of_a_bucket(before, s3.bucket_tags.get(name) or {}):
            s3.bucket_tags[name] = before
            return s3.error("InvalidTag", refused, 400, f"/{name}")
        return answer

    return put


def _bucket_tags_deleted(own: Any) -> Any:
    def delete(name: str) -> Any:
        if refused := of_a_bucket(s3.bucket_tags.get(name) or {}, {}):
            return s3.error("InvalidTag", refused, 400, f"/{name}")
        return own(name)

    return delete


def _file_system_tags(own: Any) -> Any:
    """TagResource has a body with tags, UntagResource has keys."""

    def act(identifier: str, given: Any) -> Any:
        tags = given.get("Tags", ()) if isinstance(given, dict) else ()
        keys = [one["Key"] for one in tags] if tags else given
        if found := reserved(keys):
            return efs.error(400, "BadRequest", f"The tag key {found[0]} starts with aws:")
        return own(identifier, given)

    return act


def guarded(own: Any) -> Any:
    """Let an action of RDS refuse reserved tags before it does anything."""

    def act(parameters: Any) -> Any:
        keys = [one["Key"] for one in rds.parse_tags(parameters)]
        keys += rds.parse_member_list(parameters, "TagKeys")
        if reserved(keys):
            message = 'Tag keys cannot start with the reserved prefix "aws:"'
            return rds.error("InvalidParameterValue", message, 400)
        return own(parameters)

    return act


RULE: Final = Rule(
    name="stack-tags",
    does="What CloudFormation creates has the tags `aws:cloudformation:stack-id`, `stack-name` and"
    " `logical-id`, also after the stack is gone, buckets and databases included; keys, tables and"
    " roles have not. No other caller sets or removes a tag with the prefix `aws:`;"
    " PutBucketTagging has to repeat them.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html",
    caught="nothing yet.",
    install=install,
)
