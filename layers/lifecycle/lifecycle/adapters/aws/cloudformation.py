"""CloudFormation. Sources: its API reference, CreateChangeSet and ExecuteChangeSet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws.session import client, error_code, error_message
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.names import TAG_CLUSTER, TAG_CONTROL_PLANE
from lifecycle.cluster.stack import ChangeSet, ResourceChange, Stack, StackEvent, StackResource
from lifecycle.errors import ChangeSetRefused, StackNotDeleted
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mypy_boto3_cloudformation import CloudFormationClient

# CloudFormation has no code for "nothing to do", only these words.
_EMPTY: Final = ("didn't contain changes", "No updates are to be performed")
# An event page is a hundred; an operation on the cluster stack makes about three per resource.
_MAX_EVENT_PAGES: Final = 20


class CloudFormationStacks:
    """The ``Stacks`` port on CloudFormation, acting through the deployment role."""

    def __init__(self, role_arn: str) -> None:
        self._role_arn = role_arn

    @property
    def _api(self) -> CloudFormationClient:
        """Client that returns templates as text.

        botocore parses them otherwise, and keeps only the last value of a name that an object has
        twice; CloudFormation may read the first.
        """
        from botocore.handlers import json_decode_template_body  # noqa: PLC0415 - see session.py

        api: CloudFormationClient = client("cloudformation")
        api.meta.events.unregister(
            "after-call.cloudformation.GetTemplate", json_decode_template_body
        )
        return api

    def describe(self, name: str) -> Stack | None:
        """Describe a stack; None when there is none of that name."""
        try:
            found = self._api.describe_stacks(StackName=name)["Stacks"][0]
        except self._api.exceptions.ClientError as error:
            if error_code(error) == "ValidationError" and "does not exist" in error_message(error):
                return None
            raise
        return _stack(found)

    def of_control_plane(self, control_stack: str) -> Sequence[Stack]:
        """Return every cluster's stack, by name."""
        pages = self._api.get_paginator("describe_stacks").paginate()
        found = (_stack(stack) for page in pages for stack in page["Stacks"])
        ours = (
            stack
            for stack in found
            if stack.tags.get(TAG_CONTROL_PLANE) == control_stack and TAG_CLUSTER in stack.tags
        )
        return sorted(ours, key=lambda stack: stack.name)

    def create_change_set(
        self,
        *,
        stack: str,
        name: str,
        create: bool,
        template_url: str | None,
        parameters: Mapping[str, str],
        tags: Mapping[str, str],
        description: str,
    ) -> str:
        """Create a change set and return its ARN."""
        request: dict[str, Any] = {
            "StackName": stack,
            "ChangeSetName": name,
            "ChangeSetType": "CREATE" if create else "UPDATE",
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            "Capabilities": ["CAPABILITY_IAM"],
            "RoleARN": self._role_arn,
            "Description": description[:1024],
            # Whether a failure keeps what worked is decided when it is executed.
        }
        if template_url is None:
            request["UsePreviousTemplate"] = True
        else:
            request["TemplateURL"] = template_url
        try:
            return self._api.create_change_set(**request)["Id"]
        except self._api.exceptions.AlreadyExistsException:
            found = self._api.describe_change_set(StackName=stack, ChangeSetName=name)
            return found["ChangeSetId"]
        except self._api.exceptions.ClientError as error:
            if error_code(error) == "ValidationError":
                raise ChangeSetRefused(
                    f"CloudFormation refused the change set: {error_message(error)}",
                    next_step="Nothing was changed. Correct what it names and start again.",
                ) from error
            raise

    def change_set(self, name: str, stack: str) -> ChangeSet:
        """Describe a change set of a stack, by its name or its ARN.

        An ARN is sent with its stack, too: the call is authorised on stacks, and of a change set
        that is gone CloudFormation knows none, so that its answer would be AccessDenied.
        https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudformation.html
        """
        request: dict[str, Any] = {"ChangeSetName": name, "StackName": stack}
        changes: list[ResourceChange] = []
        while True:
            try:
                found = self._api.describe_change_set(**request)
            except self._api.exceptions.ChangeSetNotFoundException:
                return ChangeSet(name, "GONE", "it was removed, or another one was executed")
            except self._api.exceptions.ClientError as error:
                # The stack itself does not exist, or none can have such a name: no change set does.
                if error_code(error) == "ValidationError":
                    return ChangeSet(name, "GONE", error_message(error))
                raise
            changes += [
                _change(change["ResourceChange"])
                for change in found.get("Changes", ())
                if "ResourceChange" in change
            ]
            if not found.get("NextToken"):
                break
            request["NextToken"] = found["NextToken"]
        reason = found.get("StatusReason", "")
        return ChangeSet(
            arn=found["ChangeSetId"],
            status=_change_set_status(found["Status"], found.get("ExecutionStatus", ""), reason),
            reason=reason,
            changes=tuple(changes),
            name=found["ChangeSetName"],
            stack=found["StackName"],
            description=found.get("Description", ""),
            parameters={
                p["ParameterKey"]: p.get("ParameterValue", "") for p in found.get("Parameters", ())
            },
            tags={t["Key"]: t["Value"] for t in found.get("Tags", ())},
        )

    def template_of(self, change_set: ChangeSet) -> str:
        """Return the text of the template that a change set would apply, as it was uploaded.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_GetTemplate.html
        """
        answer = self._api.get_template(
            StackName=change_set.stack, ChangeSetName=change_set.arn, TemplateStage="Original"
        )
        return str(answer["TemplateBody"])

    def change_sets_of(self, stack: str) -> Sequence[str]:
        """Return the ARNs of the change sets that a stack has."""
        pages = self._api.get_paginator("list_change_sets").paginate(StackName=stack)
        return [found["ChangeSetId"] for page in pages for found in page["Summaries"]]

    def delete_change_set(self, arn: str) -> None:
        """Remove a change set that is not wanted; one that is gone is no error."""
        try:
            self._api.delete_change_set(ChangeSetName=arn)
        except self._api.exceptions.ChangeSetNotFoundException:
            return

    def execute_change_set(self, arn: str, token: str, *, keep: bool) -> None:
        """Execute; a failure keeps what worked, or is rolled back.

        Both are set, because the documented default is to keep. ``OnStackFailure`` at creation is
        documented as the same, but CreateStack with DO_NOTHING was seen to refuse to be continued:
        https://github.com/code-dot-org/code-dot-org/pull/68524
        """
        self._api.execute_change_set(
            ChangeSetName=arn, ClientRequestToken=token, DisableRollback=keep
        )

    def roll_back(self, name: str, token: str) -> None:
        """Begin to roll a failed update back with the role it was made with."""
        try:
            self._api.rollback_stack(StackName=name, ClientRequestToken=token)
        except self._api.exceptions.TokenAlreadyExistsException:
            return  # the answer to the first call was lost

    def protect(self, name: str, policy: str) -> None:
        """Turn termination protection on and set the stack policy (JSON)."""
        self._api.update_termination_protection(StackName=name, EnableTerminationProtection=True)
        self.set_policy(name, policy)

    def set_policy(self, name: str, policy: str) -> None:
        """Set the stack policy (JSON)."""
        self._api.set_stack_policy(StackName=name, StackPolicyBody=policy)

    def events(self, name: str, token: str) -> Sequence[StackEvent]:
        """Return the events that carry the token, oldest first."""
        found: list[StackEvent] = []
        pages = self._api.get_paginator("describe_stack_events").paginate(
            StackName=name, PaginationConfig={"MaxItems": 100 * _MAX_EVENT_PAGES}
        )
        for page in pages:
            events = page["StackEvents"]
            ours = [event for event in events if event.get("ClientRequestToken") == token]
            found += [
                StackEvent(
                    at=_iso(event["Timestamp"]),
                    logical_id=event.get("LogicalResourceId", ""),
                    resource_type=event.get("ResourceType", ""),
                    status=event.get("ResourceStatus", ""),
                    reason=event.get("ResourceStatusReason", ""),
                )
                for event in ours
            ]
            if found and len(ours) < len(events):
                break  # newest first: what follows belongs to earlier operations
        found.reverse()
        return found

    def contents(self, name: str) -> Sequence[StackResource]:
        """Return the resources of a stack; those that it deleted are not among them."""
        pages = self._api.get_paginator("list_stack_resources").paginate(StackName=name)
        return [
            StackResource(
                logical_id=found["LogicalResourceId"],
                resource_type=found["ResourceType"],
                physical_id=found["PhysicalResourceId"],
            )
            for page in pages
            for found in page["StackResourceSummaries"]
            if found.get("PhysicalResourceId") and found["ResourceStatus"] != "DELETE_COMPLETE"
        ]

    def template(self, name: str) -> str:
        """Return the text of the stack's template, as it was uploaded."""
        answer = self._api.get_template(StackName=name, TemplateStage="Original")
        return str(answer["TemplateBody"])

    def unprotect(self, name: str) -> None:
        """Turn termination protection off."""
        self._api.update_termination_protection(StackName=name, EnableTerminationProtection=False)

    def delete(self, name: str, token: str) -> None:
        """Delete a stack with the role it was made with."""
        try:
            self._api.delete_stack(StackName=name, ClientRequestToken=token)
        except self._api.exceptions.ClientError as error:
            if error_code(error) == "ValidationError":
                raise StackNotDeleted(
                    f"CloudFormation refused to delete the stack: {error_message(error)}",
                    next_step="Remove what it names, then start again.",
                ) from error
            raise


def _stack(found: Mapping[str, Any]) -> Stack:
    return Stack(
        name=found["StackName"],
        stack_id=found.get("StackId", ""),
        status=found["StackStatus"],
        reason=found.get("StackStatusReason", ""),
        parameters={
            p["ParameterKey"]: p.get("ParameterValue", "") for p in found.get("Parameters", ())
        },
        outputs=ClusterOutputs(
            {o["OutputKey"]: o["OutputValue"] for o in found.get("Outputs", ())}
        ),
        exports={
            o["OutputKey"]: o["ExportName"] for o in found.get("Outputs", ()) if "ExportName" in o
        },
        tags={t["Key"]: t["Value"] for t in found.get("Tags", ())},
        termination_protected=found.get("EnableTerminationProtection", False),
        changed_at=_iso(found.get("LastUpdatedTime") or found["CreationTime"]),
        created_at=_iso(found["CreationTime"]),
    )


def _change(found: Mapping[str, Any]) -> ResourceChange:
    targets = [detail.get("Target", {}) for detail in found.get("Details", ())]
    names = [target.get("Name") or target.get("Attribute", "") for target in targets]
    return ResourceChange(
        action=found["Action"],
        logical_id=found["LogicalResourceId"],
        resource_type=found["ResourceType"],
        replacement=found.get("Replacement", ""),
        policy_action=found.get("PolicyAction", ""),
        properties=tuple(sorted({name for name in names if name})),
    )


def _change_set_status(status: str, execution: str, reason: str) -> str:
    if status == "FAILED":
        return "EMPTY" if any(words in reason for words in _EMPTY) else "FAILED"
    if execution in {"EXECUTE_IN_PROGRESS", "EXECUTE_COMPLETE", "EXECUTE_FAILED"}:
        return "EXECUTED"
    if status == "CREATE_COMPLETE" and execution == "OBSOLETE":
        return "GONE"  # the stack was changed since; it can never be executed
    return "READY" if status == "CREATE_COMPLETE" and execution == "AVAILABLE" else "PENDING"


def _iso(at: datetime) -> str:
    return written(at)
