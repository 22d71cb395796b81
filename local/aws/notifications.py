"""SNS: mail is a file, functions are invoked as AWS does; a deployment publishes its status."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local import messages
from local.aws.emulator import changesets, cloudformation, eventbridge, sns, stacks
from local.config import CONTROL_STACK

if TYPE_CHECKING:
    from pathlib import Path


def install(folder: Path) -> None:
    """Replace the functions that the emulator looks up by name."""
    sns.fanout = with_mail(sns.fanout, folder)
    sns.deliver_to_lambda = invoke
    stacks.deploy_stack_async = _with_event(stacks.deploy_stack_async)
    changesets.deploy_stack_async = stacks.deploy_stack_async


def with_mail(own: Any, folder: Path) -> Any:
    """Write what SNS would mail: the subject and the text, for each address."""

    def fanout(
        topic_arn: str, msg_id: str, message: str, subject: str, *rest: Any, **more: Any
    ) -> None:
        own(topic_arn, msg_id, message, subject, *rest, **more)
        topic = sns.topic_by_arn_any_scope(topic_arn) or {"subscriptions": []}
        for one in topic["subscriptions"]:
            if one.get("protocol") == "email" and one.get("confirmed"):
                mail = f"To: {one['endpoint']}\nSubject: {subject}\n\n{message}\n"
                messages.write(folder, "mail", mail)

    return fanout


def invoke(
    endpoint: str,
    envelope: str,
    _topic: str,
    subscription: str,
    *_: Any,
) -> None:
    """Invoke a subscribed function as an event does: at least once, three attempts, then a queue.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html: SNS invokes it asynchronously.
    """
    record = {
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription,
        "EventSource": "aws:sns",
        "Sns": json.loads(envelope),
    }
    eventbridge.dispatch_to_lambda(endpoint, json.dumps({"Records": [record]}))


def _with_event(own: Any) -> Any:
    """Publish the control stack's last status, as CloudFormation does of every status.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacks-event-bridge.html
    """

    async def deploy(stack_name: str, stack_id: str, *rest: Any, **more: Any) -> Any:
        result = await own(stack_name, stack_id, *rest, **more)
        status = cloudformation.stacks.get(stack_name, {}).get("StackStatus", "")
        if stack_name == CONTROL_STACK and status.endswith("_COMPLETE"):
            detail = {
                "stack-id": stack_id,
                "status-details": {"status": status, "status-reason": ""},
                "client-request-token": "",
            }
            entry = {
                "Source": "aws.cloudformation",
                "DetailType": "CloudFormation Stack Status Change",
                "Detail": json.dumps(detail),
                "Resources": [stack_id],
            }
            eventbridge.put_events({"Entries": [entry]}, allow_aws_source=True)
        return result

    return deploy
