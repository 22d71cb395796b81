"""What people receive: each failure once, by mail and in the chat, whatever is delivered twice."""

from __future__ import annotations

import json
import signal
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from local.aws.strict.event_delivery import LATE_SECONDS
from local.config import CONTROL_STACK
from local.messages import CHAT_URL
from tests.e2e.test_health import Cluster
from tests.support.cloud import eventually
from tests.support.phone import physical

if TYPE_CHECKING:
    from local.component import Instance

RECEIVED = 30.0


class People:
    """Mail and chat of an instance: the first lines of what came since this object was made."""

    def __init__(self, instance: Instance) -> None:
        self._folder = instance.config.messages
        self._before = self._files()

    def _files(self) -> set[str]:
        return {path.name for path in self._folder.glob("[0-9]*.txt")}

    def texts(self, kind: str) -> list[str]:
        names = sorted(self._files() - self._before)
        return [(self._folder / one).read_text() for one in names if one.endswith(f"-{kind}.txt")]

    @property
    def mails(self) -> list[str]:
        return [one.splitlines()[1].removeprefix("Subject: ") for one in self.texts("mail")]

    @property
    def posts(self) -> list[str]:
        return [one.splitlines()[0].strip("*") for one in self.texts("chat")]

    def settled(self) -> tuple[list[str], list[str]]:
        """Give mails and posts once every event was delivered a second time."""
        time.sleep(2 * LATE_SECONDS)
        return self.mails, self.posts


@pytest.fixture(scope="module")
def cluster(instance: Instance) -> Cluster:
    return Cluster(instance)


def test_a_deployment_ends_with_one_test_message(instance: Instance) -> None:
    folder = instance.config.messages
    for kind in ("mail", "chat"):
        sent = [
            one
            for one in folder.glob(f"*-{kind}.txt")
            if f"{CONTROL_STACK}: test message" in one.read_text()
        ]
        assert len(sent) == 1, kind


def test_an_operation_that_did_not_succeed_is_one_message(cluster: Cluster) -> None:
    people = People(cluster.instance)
    states = cluster.client("stepfunctions")
    name = f"demo.restart.{uuid.uuid4().hex[:8]}"
    execution = states.start_execution(
        stateMachineArn=cluster.machines["restart"],
        name=name,
        input=json.dumps({"clusterName": "demo", "service": "connectors"}),
    )["executionArn"]
    table = physical(cluster.instance, "Table")
    key = {"pk": {"S": f"OPERATION#restart#{name}"}}

    def begun() -> bool:
        item: Any = cluster.client("dynamodb").get_item(TableName=table, Key=key)
        return "Item" in item

    assert eventually(begun, RECEIVED)
    states.stop_execution(executionArn=execution, error="ByHand", cause="a text of the operator")
    # The emulator's event of an aborted execution has no error.
    first = "demo: restart was aborted"
    assert eventually(lambda: first in people.posts, RECEIVED), people.mails
    assert people.settled() == ([first], [first])
    for text in (*people.texts("mail"), *people.texts("chat")):
        assert f"/operations/{name}" in text
        assert execution in text
        assert "a text of the operator" not in text


def test_a_broker_that_stops_answering_is_one_message_and_its_return_another(
    cluster: Cluster,
) -> None:
    cluster.forget()
    people = People(cluster.instance)
    cluster.send(2, signal.SIGSTOP)
    try:
        report = cluster.check()
        for _ in range(3):
            report = cluster.check()
        assert report["notified"] == "DEGRADED", report["text"]
    finally:
        cluster.send(2, signal.SIGCONT)
    assert eventually(lambda: len(people.posts) == 1, RECEIVED), people.mails
    assert people.mails[0].startswith("demo is DEGRADED: "), people.mails
    assert eventually(lambda: cluster.check()["notified"] == "HEALTHY", 240)
    again = "demo is HEALTHY again (it was DEGRADED)"
    assert eventually(lambda: again in people.posts, RECEIVED), people.mails
    mails, posts = people.settled()
    assert mails == posts
    assert len(mails) == 2
    assert "Runbook: docs/runbook.md#" in people.texts("mail")[0]


def test_the_webhook_is_in_no_log_and_no_message(instance: Instance) -> None:
    config = instance.config
    path = CHAT_URL.removeprefix("https://hooks.slack.com")
    read = [*config.logs.rglob("*.log"), *config.messages.glob("*.txt")]
    assert [one for one in read if path in one.read_text(errors="replace")] == []
