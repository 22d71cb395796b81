"""The instance of `make up` as its tools reach it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable

ENDPOINTS = Path(".local") / "endpoints.json"


def clients(endpoints: Path) -> Callable[[str], Any]:
    """Give what makes clients by service name."""
    found = json.loads(endpoints.read_text())
    # Without it, a request to Step Functions goes to a host `sync-127.…`, which does not exist.
    config = Config(inject_host_prefix=False)
    return lambda service: boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=found["aws"],
        region_name=found["region"],
        aws_access_key_id=found["accessKeyId"],
        aws_secret_access_key=found["secretAccessKey"],
        config=config,
    )


def subscribe(sqs: Any, sns: Any, topic: str, name: str) -> tuple[str, str]:
    """Make a queue that gets a topic's messages; gives its URL and the subscription's ARN."""
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    arn = attributes["Attributes"]["QueueArn"]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    subscription = sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True
    )
    return str(queue), str(subscription["SubscriptionArn"])
