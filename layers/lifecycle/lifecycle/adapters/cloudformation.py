"""CloudFormation. Sources: its API reference, CreateChangeSet and ExecuteChangeSet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws import client, error_code, error_message
from lifecycle.core.stack import ResourceChange, Stack, StackEvent
from lifecycle.errors import ChangeSetRefused

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_cloudformation import CloudFormationClient

# CloudFormation has no code for "nothing to do", only these words.
_EMPTY: Final = ("didn't contain changes", "No updates are to be performed")
# An event page is a hundred; an operation on the cluster stack makes about three per resource.
_MAX_EVENT_PAGES: Final = 20


class CloudFormationStacks:
    """The ``Stacks`` port on CloudFormation, acting through the deployment role."""

    def __init__(self, role_arn: str, topic_arn: str = "") -> None:
        self._role_arn = role_arn
        self._topics = [topic_arn] if topic_arn else []

    @property
    def _api(self) -> CloudFormationClient:
        api: CloudFormationClient = client("cloudformation")
        return api

    def describe(self, name: str) -> Stack | None:
        """Describe a stack; None when there is none of that name."""
        try:
            found = self._api.describe_stacks(StackName=name)["Stacks"][0]
        except self._api.exceptions.ClientError as error:
            if error_code(error) == "ValidationError" and "does not exist" in error_message(error):
                return None
            raise
        return Stack(
            name=found["StackName"],
            stack_id=found.get("StackId", ""),
            status=found["StackStatus"],
            reason=found.get("StackStatusReason", ""),
            parameters={
                p["ParameterKey"]: p.get("ParameterValue", "") for p in found.get("Parameters", ())
            },
            outputs={o["OutputKey"]: o["OutputValue"] for o in found.get("Outputs", ())},
            tags={t["Key"]: t["Value"] for t in found.get("Tags", ())},
            termination_protected=found.get("EnableTerminationProtection", False),
        )

    def create_change_set(
        self,
        *,
        stack: str,
        name: str,
        create: bool,
        template_url: str | None,
        parameters: Mapping[str, str | None],
        tags: Mapping[str, str],
        description: str,
    ) -> str:
        """Ask for a change set and return its ARN."""
        request: dict[str, Any] = {
            "StackName": stack,
            "ChangeSetName": name,
            "ChangeSetType": "CREATE" if create else "UPDATE",
            "Parameters": [
                {"ParameterKey": key, "UsePreviousValue": True}
                if value is None
                else {"ParameterKey": key, "ParameterValue": value}
                for key, value in parameters.items()
            ],
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            "Capabilities": ["CAPABILITY_IAM"],
            "RoleARN": self._role_arn,
            "Description": description[:1024],
            # What worked is kept; the next run continues from it.
            "OnStackFailure": "DO_NOTHING",
        }
        if self._topics:
            request["NotificationARNs"] = self._topics
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

    def change_set(self, arn: str) -> tuple[str, str, Sequence[ResourceChange]]:
        """Status, reason and changes of a change set."""
        changes: list[ResourceChange] = []
        page: dict[str, Any] = {}
        while True:
            try:
                found = self._api.describe_change_set(ChangeSetName=arn, **page)
            except self._api.exceptions.ChangeSetNotFoundException:
                return "GONE", "it was removed, or another change set was executed", ()
            changes += [
                ResourceChange(
                    action=change["ResourceChange"]["Action"],
                    logical_id=change["ResourceChange"]["LogicalResourceId"],
                    resource_type=change["ResourceChange"]["ResourceType"],
                    replacement=change["ResourceChange"].get("Replacement", ""),
                )
                for change in found.get("Changes", ())
                if "ResourceChange" in change
            ]
            if not found.get("NextToken"):
                break
            page = {"NextToken": found["NextToken"]}
        reason = found.get("StatusReason", "")
        execution = found.get("ExecutionStatus", "")
        status = found["Status"]
        if status == "FAILED":
            empty = any(words in reason for words in _EMPTY)
            return ("EMPTY" if empty else "FAILED"), reason, changes
        if execution in {"EXECUTE_IN_PROGRESS", "EXECUTE_COMPLETE", "EXECUTE_FAILED"}:
            return "EXECUTED", reason, changes
        if status == "CREATE_COMPLETE" and execution == "AVAILABLE":
            return "READY", reason, changes
        return "PENDING", reason, changes

    def delete_change_set(self, arn: str) -> None:
        """Remove a change set that is not wanted."""
        self._api.delete_change_set(ChangeSetName=arn)

    def execute_change_set(self, arn: str, token: str) -> None:
        """Execute; failures keep what worked."""
        self._api.execute_change_set(ChangeSetName=arn, ClientRequestToken=token)

    def protect(self, name: str, policy: str) -> None:
        """Turn termination protection on and set the stack policy (JSON)."""
        self._api.update_termination_protection(StackName=name, EnableTerminationProtection=True)
        self._api.set_stack_policy(StackName=name, StackPolicyBody=policy)

    def events(self, name: str, token: str) -> Sequence[StackEvent]:
        """Events that carry the token, oldest first."""
        found: list[StackEvent] = []
        pages = self._api.get_paginator("describe_stack_events").paginate(
            StackName=name, PaginationConfig={"MaxItems": 100 * _MAX_EVENT_PAGES}
        )
        for page in pages:
            events = page["StackEvents"]
            ours = [event for event in events if event.get("ClientRequestToken") == token]
            found += [
                StackEvent(
                    event_id=event["EventId"],
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


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
