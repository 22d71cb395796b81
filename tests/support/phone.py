"""What arrives on the control stack's topic, and where things of that stack are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from local.config import CONTROL_STACK
from tools.target import subscribe

if TYPE_CHECKING:
    from local.component import Instance


class Phone:
    """What arrives on the topic, subjects only."""

    def __init__(self, instance: Instance) -> None:
        self._sqs = instance.client("sqs")
        topic = physical(instance, "Topic")
        self._queue, _ = subscribe(self._sqs, instance.client("sns"), topic, "phone")
        self._subjects: list[str] = []

    @property
    def subjects(self) -> list[str]:
        answer = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10)
        for one in answer.get("Messages", []):
            self._subjects.append(json.loads(one["Body"])["Subject"])
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=one["ReceiptHandle"])
        return self._subjects


def physical(instance: Instance, logical_id: str) -> str:
    """Physical id of a resource of the control stack; of a nested one as `Schedules.<id>`."""
    found = CONTROL_STACK
    for name in logical_id.split("."):
        detail = instance.client("cloudformation").describe_stack_resource(
            StackName=found, LogicalResourceId=name
        )
        found = str(detail["StackResourceDetail"]["PhysicalResourceId"])
    return found
