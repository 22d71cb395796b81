"""Messages to people, through SNS topics."""

from __future__ import annotations

from lifecycle.adapters.aws.session import client, error_code


class SnsMessages:
    """The ``Messages`` port on one topic."""

    def __init__(self, topic_arn: str) -> None:
        self._topic = topic_arn

    def publish(self, subject: str, text: str) -> None:
        """Publish a message to the topic's subscribers."""
        client("sns").publish(TopicArn=self._topic, Subject=subject, Message=text)


class SnsTopics:
    """The ``Topics`` port: the control plane's topic, and those of its clusters by their names.

    A cluster's topic is called ``<control stack>_<cluster>-messages`` (``stacks/cluster.yaml``).
    """

    def __init__(self, topic_arn: str, control_stack: str) -> None:
        self._topic = topic_arn
        self._control_stack = control_stack

    def publish(self, subject: str, text: str) -> None:
        """Publish to the control plane's topic."""
        client("sns").publish(TopicArn=self._topic, Subject=subject, Message=text)

    def publish_to_cluster(self, cluster: str, subject: str, text: str) -> None:
        """Publish to the topic of a cluster; nothing for a cluster that has none.

        https://docs.aws.amazon.com/sns/latest/api/API_Publish.html names ``NotFound``.
        """
        from botocore.exceptions import ClientError  # noqa: PLC0415 - see session.py

        base = self._topic.rpartition(":")[0]
        arn = f"{base}:{self._control_stack}_{cluster}-messages"
        try:
            client("sns").publish(TopicArn=arn, Subject=subject, Message=text)
        except ClientError as error:
            if error_code(error) not in {"NotFound", "NotFoundException"}:
                raise
