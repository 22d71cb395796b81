"""The brokers' service on ECS: addresses, protection in tens, counts without a deployment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber
from lifecycle.adapters.aws import ecs_reader
from lifecycle.adapters.aws.ecs_tasks import EcsBrokerTasks
from lifecycle.errors import ServiceMissing, StabilizationTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator

ARN = "arn:aws:ecs:eu-central-1:123456789012:task/c/"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SERVICE: dict[str, Any] = {
    "serviceName": "brokers",
    "status": "ACTIVE",
    "desiredCount": 2,
    "deployments": [{"id": "d-1", "status": "PRIMARY", "rolloutState": "COMPLETED"}],
    "deploymentConfiguration": {
        "maximumPercent": 100,
        "minimumHealthyPercent": 66,
        "deploymentCircuitBreaker": {"enable": True, "rollback": False},
    },
    "events": [
        {"id": "1", "createdAt": NOW, "message": "(service brokers) was unable to place a task."},
        # ECS publishes it again with each try: it is one reason, and hides none of the others.
        {"id": "3", "createdAt": NOW, "message": "(service brokers) was unable to place a task."},
        {"id": "2", "createdAt": datetime(2025, 1, 1, tzinfo=UTC), "message": "unable to place"},
    ],
}


def task(name: str, **more: Any) -> dict[str, Any]:
    interface = {
        "type": "ElasticNetworkInterface",
        "details": [{"name": "privateIPv4Address", "value": f"10.0.0.{len(name)}"}],
    }
    return {
        "taskArn": ARN + name,
        "lastStatus": "RUNNING",
        "desiredStatus": "RUNNING",
        "attachments": [interface],
        **more,
    }


@pytest.fixture
def ecs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    api = boto3.client(
        "ecs", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    monkeypatch.setattr(ecs_reader, "client", lambda _name, **_: api)
    with Stubber(api) as stub:
        yield stub
        stub.assert_no_pending_responses()


def describe(ecs: Stubber, service: dict[str, Any] = SERVICE) -> None:
    ecs.add_response("describe_services", {"services": [service]})


def test_tasks_come_with_address_protection_and_why_others_did_not(ecs: Stubber) -> None:
    describe(ecs)
    ecs.add_response("list_tasks", {"taskArns": [ARN + "a", ARN + "bb"]})
    starting = task("bb", lastStatus="PROVISIONING", attachments=[])
    ecs.add_response("describe_tasks", {"tasks": [task("a"), starting]})
    ecs.add_response(
        "get_task_protection",
        {
            "protectedTasks": [
                {"taskArn": ARN + "a", "protectionEnabled": True, "expirationDate": NOW},
                {"taskArn": ARN + "bb", "protectionEnabled": False},
            ]
        },
    )
    ecs.add_response("list_tasks", {"taskArns": [ARN + "dead", ARN + "ran"]})
    pull = {"stopCode": "TaskFailedToStart", "stoppedReason": "CannotPullContainerError"}
    ecs.add_response(
        "describe_tasks",
        {
            "tasks": [
                task("dead", stoppedAt=NOW, **pull),
                task("ran", stoppedAt=NOW, stopCode="EssentialContainerExited"),
            ]
        },
    )
    seen = EcsBrokerTasks().observe("c", "brokers", since="2026-01-01T11:00:00+00:00")
    assert [(one.task_id, one.address, one.runs) for one in seen.tasks] == [
        ("a", "10.0.0.1", True),
        ("bb", "", False),
    ]
    assert [one.task_id for one in seen.protected] == ["a"]
    assert seen.tasks[0].protected_until == int(NOW.timestamp())
    assert seen.unplaced == ("(service brokers) was unable to place a task.",)
    pulled = "task dead: the image cannot be pulled; CannotPullContainerError"
    assert seen.failures == (pulled,)
    assert seen.stops == ("task ran: EssentialContainerExited",)
    assert seen.troubles == (*seen.unplaced, *seen.failures, *seen.stops)


def test_a_service_that_is_gone_is_told(ecs: Stubber) -> None:
    describe(ecs, {**SERVICE, "status": "INACTIVE"})
    with pytest.raises(ServiceMissing, match="no active service brokers"):
        EcsBrokerTasks().observe("c", "brokers")


def test_the_count_is_set_without_a_deployment_and_keeps_the_configuration(ecs: Stubber) -> None:
    describe(ecs)
    ecs.add_response(
        "update_service",
        {"service": {}},
        {
            "cluster": "c",
            "service": "brokers",
            "desiredCount": 4,
            "deploymentConfiguration": {
                **SERVICE["deploymentConfiguration"],
                "minimumHealthyPercent": 75,
            },
        },
    )
    EcsBrokerTasks().set_count("c", "brokers", 4)


def protected(names: list[str], enabled: bool = True) -> list[dict[str, Any]]:
    return [{"taskArn": ARN + name, "protectionEnabled": enabled} for name in names]


def test_protection_goes_in_tens(ecs: Stubber) -> None:
    names = [f"t{n}" for n in range(12)]
    for few in (names[:10], names[10:]):
        ecs.add_response(
            "update_task_protection",
            {"protectedTasks": protected(few), "failures": []},
            {"cluster": "c", "tasks": few, "protectionEnabled": True, "expiresInMinutes": 15},
        )
    EcsBrokerTasks().protect("c", names, minutes=15)


@pytest.mark.parametrize(
    "answer",
    [
        {
            "protectedTasks": protected(["a"]),
            "failures": [{"arn": ARN + "bb", "reason": "DEPLOYMENT_BLOCKED"}],
        },
        {"protectedTasks": protected(["a"]), "failures": []},
        {"protectedTasks": [*protected(["a"]), *protected(["bb"], enabled=False)]},
    ],
)
def test_a_task_that_ecs_did_not_protect_is_named(ecs: Stubber, answer: dict[str, Any]) -> None:
    """The HTTP status is 200 all the same."""
    ecs.add_response("update_task_protection", answer)
    with pytest.raises(StabilizationTimeout, match=r"did not protect bb \("):
        EcsBrokerTasks().protect("c", ["a", "bb"], minutes=15)


def test_a_task_that_is_gone_needs_no_protection_taken_away(ecs: Stubber) -> None:
    ecs.add_response(
        "update_task_protection",
        {"protectedTasks": [], "failures": [{"arn": ARN + "a", "reason": "MISSING"}]},
        {"cluster": "c", "tasks": ["a"], "protectionEnabled": False},
    )
    EcsBrokerTasks().unprotect("c", ["a"])
    EcsBrokerTasks().unprotect("c", [])
