"""Send messages: each once per channel, whatever is delivered twice."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from lifecycle.errors import AwsUnavailable
from lifecycle.messages import compose
from lifecycle.messages.chat import notification
from lifecycle.messages.ports import Claim
from lifecycle.operation import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle.cluster.ports import Clock
    from lifecycle.messages.compose import Message
    from lifecycle.messages.place import Place
    from lifecycle.messages.ports import Chat, RunningExecutions, Sent, Topics
    from lifecycle.operation.arns import MachineArns

_PLANNED: Final = ("provision", "scale", "teardown")
_DRY: Final = ("restart", "rotate", "manage", "teardown", "restore")
_TOPIC: Final = "topic"
_CLUSTER: Final = "cluster"
_CHAT: Final = "chat"


@dataclass(frozen=True, slots=True)
class Sender:
    """The use case and its ports.

    ``approved`` are the machines whose changes need a second principal; ``email`` and ``webhook``
    (the ARN of its secret) are empty where the control plane has none.
    """

    topics: Topics
    chat: Chat
    sent: Sent
    executions: RunningExecutions
    clock: Clock
    arns: MachineArns
    place: Place
    approved: frozenset[str]
    email: str
    webhook: str

    def occurred(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Send the message on an event of EventBridge, if there is one.

        Returns ``sent``: the channels that have it from this call. Raises what a channel raised,
        once every other channel has the message: the event is then delivered again.
        """
        message = self._composed(event)
        return {"sent": self._send(message) if message is not None else []}

    def long_running(self) -> dict[str, Any]:
        """Send a message on each operation that runs longer than its machine's time.

        Raises the first error once all the others have been sent.
        """
        sent: list[str] = []
        failed: Exception | None = None
        for machine, limit in compose.LONG.items():
            for arn, name, started in self.executions.running(self.arns.machine(machine)):
                if self.clock.now() - started < limit:
                    continue
                try:
                    cluster = compose.cluster_of(name, self.executions.given(arn))
                    message = compose.still_running(
                        self.place, machine, name=name, arn=arn, cluster=cluster, started=started
                    )
                    if message is not None:
                        sent += self._send(message)
                except Exception as error:  # noqa: BLE001 - raised below
                    failed = failed or error
        if failed is not None:
            raise failed
        return {"sent": sent}

    def delivered(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Post what the topic delivered (messages, alarms) to the chat, each once."""
        sent: list[str] = []
        for record in event["Records"]:
            found = record["Sns"]
            title, text = notification(found)
            at = datetime.fromisoformat(str(found["Timestamp"])).astimezone(UTC)
            message = compose.Message(f"sns/{found['MessageId']}", at, "", title, text)
            sent += self._once(_CHAT, message, lambda one: self.chat.post(one.subject, one.text))
        return {"sent": sent}

    def _composed(self, event: Mapping[str, Any]) -> Message | None:
        detail = event.get("detail")
        if not isinstance(detail, Mapping):
            return None
        match event.get("detail-type"):
            case events.ENDED if self._is_ours(detail):
                return compose.ended(detail, event.get("resources") or [], self.place)
            case events.HEALTH_CHANGED if self._is_ours(detail):
                return compose.health(detail, self.place)
            case "Step Functions Execution Status Change":
                return self._of_execution(detail)
            case "CloudFormation Stack Status Change" if self.email or self.webhook:
                return self._test(str(event.get("time", "")))
        return None

    def _is_ours(self, detail: Mapping[str, Any]) -> bool:
        return detail.get("controlStack") == self.place.control_stack

    def _of_execution(self, detail: Mapping[str, Any]) -> Message | None:
        """Return the message on a plan that failed, or on one that waits for approval."""
        machine, given = detail.get("stateMachineArn"), compose.read_input(detail.get("input"))
        planned = ""
        if machine == self.arns.machine("plan"):
            if detail.get("status") != "SUCCEEDED":
                return compose.plan_failed(detail, self.place)
            planned = next((one for one in _PLANNED if one in given), "")
        elif given.get("dryRun") is True:
            # A dry run of these is what a second principal reviews.
            planned = next((one for one in _DRY if machine == self.arns.machine(one)), "")
        if planned not in self.approved or detail.get("status") != "SUCCEEDED":
            return None
        plan = compose.read_input(detail.get("output")).get("plan")
        if isinstance(plan, Mapping) and plan.get("status") == "UNCHANGED":
            return None  # there is nothing to apply
        return compose.awaits_approval(detail, planned, self.place)

    def _test(self, time: str) -> Message:
        try:
            at = datetime.fromisoformat(time)
        except ValueError:
            at = self.clock.now()
        names = ["mail"] * bool(self.email) + ["chat"] * bool(self.webhook)
        told = hashlib.sha256(f"{self.email}\n{self.webhook}".encode()).hexdigest()
        return compose.test(at, " and ".join(names), told, self.place)

    def _send(self, message: Message) -> list[str]:
        sent: list[str] = []
        failed: Exception | None = None
        for channel, publish in self._channels(message):
            try:
                sent += self._once(channel, message, publish)
            except Exception as error:  # noqa: BLE001 - raised below
                failed = failed or error
        if failed is not None:
            raise failed
        return sent

    def _channels(self, message: Message) -> Iterator[tuple[str, Callable[[Message], None]]]:
        yield _TOPIC, lambda one: self.topics.publish(one.subject, one.text)
        if message.cluster:
            yield (
                _CLUSTER,
                lambda one: self.topics.publish_to_cluster(one.cluster, one.subject, one.text),
            )

    def _once(
        self, channel: str, message: Message, publish: Callable[[Message], None]
    ) -> list[str]:
        claim = self.sent.claim(channel, message, self.clock.now())
        if claim is Claim.HELD:
            # Maybe with another message of that key: Lambda repeats the event once the claim ended.
            raise AwsUnavailable(f"Another invocation sends {message.key} to the {channel}.")
        if claim is Claim.NOT_NEEDED:
            return []
        try:
            publish(message)
        except BaseException:
            self.sent.release(channel, message)
            raise
        self.sent.sent(channel, message)
        return [channel]
