"""Messages to people, through an SNS topic."""

from __future__ import annotations

from lifecycle.adapters.aws.session import client


class SnsMessages:
    """The ``Messages`` port on one topic."""

    def __init__(self, topic_arn: str) -> None:
        self._topic = topic_arn

    def publish(self, subject: str, text: str) -> None:
        """Publish a message to the topic's subscribers."""
        client("sns").publish(TopicArn=self._topic, Subject=subject, Message=text)
