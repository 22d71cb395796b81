"""Target of a command: the instance of `make up`, or AWS as set in the environment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import NoCredentialsError, NoRegionError

if TYPE_CHECKING:
    from collections.abc import Callable

ENDPOINTS = Path(".local") / "endpoints.json"


def clients(endpoints: Path, **settings: Any) -> Callable[[str], Any]:
    """Give what makes clients by service name; ``settings`` are botocore's ``Config``."""
    if not endpoints.exists():
        return lambda service: boto3.client(  # type: ignore[call-overload]
            service,
            # boto3 itself reads AWS_DEFAULT_REGION and profiles, the CLI and SAM also AWS_REGION.
            region_name=os.environ.get("AWS_REGION") or None,
            config=Config(**settings),
        )
    found = json.loads(endpoints.read_text())
    # Without it, a request to Step Functions goes to a host `sync-127.…`, which does not exist.
    config = Config(inject_host_prefix=False, **settings)
    return lambda service: boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=found["aws"],
        region_name=found["region"],
        aws_access_key_id=found["accessKeyId"],
        aws_secret_access_key=found["secretAccessKey"],
        config=config,
    )


def told(error: Exception, endpoints: Path) -> str:
    """Return an error's text, with the remedy if the environment names no account."""
    if not isinstance(error, NoRegionError | NoCredentialsError):
        return str(error)
    return (
        f"Nothing runs here ({endpoints} is missing): `make up` starts it. "
        f"For AWS, set AWS_REGION and credentials: {error}"
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
