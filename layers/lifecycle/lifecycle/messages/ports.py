"""Ports of this room: topics, a chat, running executions, and what was sent."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from lifecycle.messages.compose import Message


class Topics(Protocol):
    """SNS topics: the control plane's, and one per cluster with an address of its own."""

    def publish(self, subject: str, text: str) -> None:
        """Publish to the control plane's topic; the subject has at most 99 ASCII characters."""
        ...

    def publish_to_cluster(self, cluster: str, subject: str, text: str) -> None:
        """Publish to the topic of a cluster; nothing for a cluster that has none."""
        ...


class Chat(Protocol):
    """A channel behind an incoming webhook."""

    def post(self, title: str, text: str) -> None:
        """Post a text. Raises ``ChatRefused``, ``ChatUnavailable`` or ``SecretRefused``."""
        ...


class Claim(Enum):
    """Outcome of claiming a message for a channel."""

    CLAIMED = auto()
    NOT_NEEDED = auto()
    """It was sent, a newer one was, or the channel has no use for it."""
    HELD = auto()
    """Another call sends a message with that key at this moment, maybe another message."""


class Sent(Protocol):
    """What was sent, by channel."""

    def claim(self, channel: str, message: Message, now: datetime) -> Claim:
        """Claim a message for a channel by one conditional write; expires after a minute."""
        ...

    def sent(self, channel: str, message: Message) -> None:
        """Record that a claimed message was sent."""
        ...

    def release(self, channel: str, message: Message) -> None:
        """Give a claim back: the message was not sent."""
        ...


class RunningExecutions(Protocol):
    """Executions that run."""

    def running(self, machine_arn: str) -> Sequence[tuple[str, str, datetime]]:
        """Return ARN, name and start, or last redrive, of each running execution of a machine."""
        ...

    def given(self, execution_arn: str) -> str:
        """Return the input of an execution, JSON; empty for one that is gone."""
        ...
