"""Which adapter stands behind which port: messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.wiring.common import SystemClock, settings

if TYPE_CHECKING:
    from lifecycle.messages.send import Sender

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


def sender(function_arn: str) -> Sender:
    """Messages, in the function of that ARN."""
    import os

    from lifecycle.adapters.aws.secrets import SecretsManagerWebhook
    from lifecycle.adapters.aws.sent_messages import SentMessages
    from lifecycle.adapters.aws.sns import SnsTopics
    from lifecycle.adapters.aws.stepfunctions import StepFunctionsRunning
    from lifecycle.adapters.chat.webhook import Webhook
    from lifecycle.messages.place import Place
    from lifecycle.messages.send import Sender
    from lifecycle.operation.arns import MachineArns

    arns = MachineArns.beside(function_arn, settings().control_stack)
    secret = SecretsManagerWebhook(settings().control_stack, os.environ["CHAT_WEBHOOK_SECRET"])
    return Sender(
        topics=SnsTopics(os.environ["TOPIC_ARN"], settings().control_stack),
        chat=Webhook(secret.url),
        sent=SentMessages(settings().table_name),
        executions=StepFunctionsRunning(),
        clock=SystemClock(),
        arns=arns,
        place=Place(
            control_stack=settings().control_stack,
            partition=arns.partition,
            account=arns.account,
            region=arns.region,
            api_url=os.environ["API_URL"],
            runbook_url=os.environ["RUNBOOK_URL"],
        ),
        approved=frozenset(one for one in os.environ["SECOND_APPROVER_FOR"].split(",") if one),
        email=os.environ["NOTIFICATION_EMAIL"],
        webhook=os.environ["CHAT_WEBHOOK_SECRET"],
    )
