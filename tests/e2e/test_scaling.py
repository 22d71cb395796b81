"""Scaling as a user meets it: out and in, refused, aborted, raced, under hostile scale-in.

A task without a lease waits, a broker that lost its own exits; ECS stops the lowest unprotected
broker.
"""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from local.config import CONTROL_STACK
from tests.support.cloud import FREE_AGAIN, Cloud, eventually

if TYPE_CHECKING:
    from local.component import Instance

STACK = f"{CONTROL_STACK}-demo"
SERVICE = "orchestration-cluster"


class Scaling(Cloud):
    """A running instance whose scale machine is driven with boto3."""

    def begin(self, count: Any, name: str = "", verb: str = "scale", **more: Any) -> str:
        given = {"clusterName": "demo", **({"count": count} if verb == "scale" else {}), **more}
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=self.machine.replace("-provision", f"-{verb}"),
            name=name or f"demo.{verb}.{uuid.uuid4().hex[:8]}",
            input=json.dumps(given),
        )
        return str(started["executionArn"])

    def scale(self, count: Any, **more: Any) -> dict[str, Any]:
        return self.outcome(self.begin(count, **more))

    def outcome(self, execution: str) -> dict[str, Any]:
        found = self.ended(execution, 180)
        if found["status"] == "SUCCEEDED":
            return dict(json.loads(found["output"]))
        return {"error": found.get("error"), "cause": found.get("cause", ""), **found}

    def brokers(self) -> dict[int, str]:
        """Task ARN by node id."""
        found = json.loads(self.instance.config.endpoints_file.read_text())["brokers"]
        return {one["nodeId"]: one["taskArn"] for one in found}

    def pids(self) -> dict[int, int]:
        tasks = json.loads(self.instance.config.tasks_file.read_text())
        return {
            task["nodeId"]: next(iter(task["pids"].values()))
            for task in tasks
            if task["service"] == SERVICE and task["pids"]
        }

    def protected(self) -> int:
        found = self.client("ecs").get_task_protection(cluster=STACK)["protectedTasks"]
        return sum(one["protectionEnabled"] for one in found)

    def service(self) -> dict[str, Any]:
        found = self.client("ecs").describe_services(cluster=STACK, services=[SERVICE])
        return dict(found["services"][0])

    def given(self, brokers: int) -> None:
        super().given(brokers)
        self.settled(brokers)

    def settled(self, count: int) -> None:
        assert eventually(lambda: self.counts("demo")[SERVICE] == (count, count), 30)
        assert eventually(lambda: sorted(self.brokers()) == list(range(count)), 30)
        assert self.protected() == 0
        assert self.locks() == []

    def in_progress(self, execution: str, state: str) -> bool:
        events = self.client("stepfunctions").get_execution_history(
            executionArn=execution, maxResults=1000
        )["events"]
        entered = [event.get("stateEnteredEventDetails", {}).get("name") for event in events]
        return state in entered


@pytest.fixture(scope="module")
def cloud(instance: Instance) -> Scaling:
    return Scaling(instance)


def test_a_plan_tells_and_the_scale_does_it(cloud: Scaling) -> None:
    cloud.given(3)
    planned = cloud.outcome(cloud.begin(0, verb="plan", scale={"count": 4}))["plan"]
    assert (planned["status"], planned["from"], planned["to"]) == ("READY", 3, 4)
    assert cloud.counts("demo")[SERVICE] == (3, 3)
    deployment = cloud.service()["deployments"][0]["id"]

    done = cloud.scale(planned["apply"]["count"])
    assert done["verification"]["result"] == "PASS", done
    assert done["verification"]["change"]["operations"] == len(planned["operations"])
    # The brokers really have it; whether it was there or was taken is a matter of the schedule.
    assert done["backup"]["status"] in {"FRESH", "TAKEN"}, done
    assert (done["backup"]["state"], done["backup"]["partitions"]) == ("COMPLETED", 3)
    cloud.settled(4)
    service = cloud.service()
    assert service["deploymentConfiguration"]["minimumHealthyPercent"] == 75
    assert service["deploymentConfiguration"]["deploymentCircuitBreaker"]["enable"] is True
    assert [one["id"] for one in service["deployments"]] == [deployment], "no forced deployment"


def test_scaling_in_stops_exactly_the_removed_broker(cloud: Scaling) -> None:
    cloud.given(4)
    before = cloud.brokers()
    done = cloud.scale(3)
    assert done["verification"]["brokers"] == {"before": 4, "after": 3}, done
    cloud.settled(3)
    assert cloud.brokers() == {node: before[node] for node in range(3)}
    assert cloud.service()["deploymentConfiguration"]["minimumHealthyPercent"] == 66


@pytest.mark.parametrize("count", [0, -1, 1000, "four", 3.5, True, None])
def test_what_is_no_number_of_brokers_is_refused(cloud: Scaling, count: Any) -> None:
    refused = cloud.scale(count)
    assert refused["error"] == "InvalidRequest", refused
    assert "count" in refused["cause"]
    assert cloud.locks() == []


def test_below_the_replication_factor_is_refused_by_name(cloud: Scaling) -> None:
    cloud.given(3)
    refused = cloud.scale(2)
    assert refused["error"] == "InvalidRequest", refused
    assert "count: given 2; allowed: at least 3, the replication factor" in refused["cause"]
    cloud.settled(3)


def test_a_broker_without_partitions_is_refused_by_name(cloud: Scaling) -> None:
    """Up to 8.9 it is never ready, and ECS replaces its task for ever."""
    cloud.given(3)
    refused = cloud.scale(6)
    assert refused["error"] == "ScalingRefused", refused
    assert "every broker gets a partition: broker 5 would hold none" in refused["cause"]
    cloud.settled(3)


def test_two_at_the_same_instant_are_one(cloud: Scaling) -> None:
    cloud.given(3)
    first, second = cloud.begin(4), cloud.begin(4)
    ends = sorted((cloud.outcome(one) for one in (first, second)), key=lambda end: "error" in end)
    assert ends[0]["result"] == "SUCCEEDED"
    assert ends[1]["error"] == "ClusterBusy"
    assert ends[0]["operationId"] in ends[1]["cause"]
    cloud.settled(4)


def test_a_second_request_in_the_middle_is_told_of_the_first(cloud: Scaling) -> None:
    cloud.given(4)
    execution = cloud.begin(3)
    assert eventually(lambda: cloud.locks() != [], 30)
    refused = cloud.scale(5)
    assert refused["error"] == "ClusterBusy", refused
    assert execution.rsplit(":", 1)[-1] in refused["cause"]
    assert cloud.outcome(execution)["result"] == "SUCCEEDED"
    cloud.settled(3)


def test_a_broker_that_dies_as_it_joins_is_waited_for(cloud: Scaling) -> None:
    cloud.given(3)
    execution = cloud.begin(5)
    assert eventually(lambda: cloud.in_progress(execution, "ChangeBrokers"), 60)
    assert eventually(lambda: 4 in cloud.pids(), 30)
    os.kill(cloud.pids()[4], signal.SIGKILL)
    done = cloud.outcome(execution)
    assert done["result"] == "SUCCEEDED", done
    cloud.settled(5)


def test_aborted_in_the_middle_nobody_lowers_the_count_and_it_goes_on(cloud: Scaling) -> None:
    cloud.given(5)
    aborted = cloud.begin(3)
    assert eventually(lambda: cloud.in_progress(aborted, "ChangeBrokers"), 60)
    cloud.client("stepfunctions").stop_execution(executionArn=aborted)
    assert eventually(lambda: cloud.locks() == [], FREE_AGAIN), "the cleaner frees the cluster"
    # Partitions may still move: nobody lowered the count under them.
    assert cloud.counts("demo")[SERVICE] == (5, 5)
    done = cloud.scale(3)
    assert done["result"] == "SUCCEEDED", done
    assert done["verification"]["brokers"]["after"] == 3
    cloud.settled(3)


def test_a_broker_that_dies_while_others_leave_is_waited_for(cloud: Scaling) -> None:
    cloud.given(4)
    execution = cloud.begin(3)
    assert eventually(lambda: cloud.in_progress(execution, "ChangeBrokers"), 60)
    os.kill(cloud.pids()[0], signal.SIGKILL)
    done = cloud.outcome(execution)
    assert done["result"] == "SUCCEEDED", done
    cloud.settled(3)


@pytest.mark.long
def test_a_coordinator_that_freezes_is_waited_for(cloud: Scaling) -> None:
    cloud.given(3)
    execution = cloud.begin(4)
    assert eventually(lambda: cloud.in_progress(execution, "ChangeBrokers"), 60)
    coordinator = cloud.pids()[0]
    os.kill(coordinator, signal.SIGSTOP)
    time.sleep(8)
    os.kill(coordinator, signal.SIGCONT)
    assert cloud.outcome(execution)["result"] == "SUCCEEDED"
    cloud.settled(4)


@pytest.mark.long
def test_a_survivor_that_ecs_stops_is_named_in_the_report(cloud: Scaling) -> None:
    cloud.given(4)
    survivor = cloud.brokers()[1]
    execution = cloud.begin(3)
    assert eventually(lambda: cloud.service()["desiredCount"] == 3, 60)
    cloud.client("ecs").stop_task(cluster=STACK, task=survivor, reason="retired")
    done = cloud.outcome(execution)
    assert done["result"] == "SUCCEEDED", done
    told = [one["seen"] for one in done["verification"]["checks"] if one["result"] == "WARN"]
    assert any("ECS stopped the task of broker 1, although it was protected" in one for one in told)
    cloud.settled(3)
    assert cloud.brokers()[1] != survivor


def test_protection_that_somebody_left_is_taken_away(cloud: Scaling) -> None:
    cloud.given(3)
    tasks = [arn.rsplit("/", 1)[-1] for arn in cloud.brokers().values()]
    cloud.client("ecs").update_task_protection(
        cluster=STACK, tasks=tasks, protectionEnabled=True, expiresInMinutes=15
    )
    assert cloud.scale(3)["result"] == "SUCCEEDED"
    cloud.settled(3)


def test_a_count_changed_by_hand_is_refused_with_the_way_out(cloud: Scaling) -> None:
    cloud.given(3)
    ecs = cloud.client("ecs")
    ecs.update_service(cluster=STACK, service=SERVICE, desiredCount=5)
    time.sleep(1)
    refused = cloud.scale(4)
    assert refused["error"] == "ScalingRefused", refused
    assert "Request the current number of brokers first" in refused["cause"]
    assert cloud.scale(3)["result"] == "SUCCEEDED"
    cloud.settled(3)


def test_what_something_else_scales_is_neither_scaled_nor_planned_nor_provisioned(
    cloud: Scaling,
) -> None:
    cloud.given(3)
    scaling = cloud.client("application-autoscaling")
    target = {
        "ServiceNamespace": "ecs",
        "ScalableDimension": "ecs:service:DesiredCount",
        "ResourceId": f"service/{STACK}/{SERVICE}",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=7)
    try:
        refused = cloud.scale(4)
        assert refused["error"] == "ScalingRefused", refused
        assert "no autoscaling" in refused["cause"]
        assert "deregister-scalable-target" in refused["cause"]
        planned = cloud.outcome(cloud.begin(0, verb="plan", provision={}))
        provisioned = cloud.outcome(cloud.begin(0, verb="provision", parameters={}))
        for refused in (planned, provisioned):
            assert refused["error"] == "PreflightFailed", refused
            assert "any number from 1 to 7" in refused["cause"]
    finally:
        scaling.deregister_scalable_target(**target)
    cloud.settled(3)


def test_an_unknown_cluster(cloud: Scaling) -> None:
    refused = cloud.outcome(cloud.begin(4, clusterName="nobody"))
    assert refused["error"] == "ClusterNotFound", refused


# A secret without our tag: that AWS denies access is the answer (services/named_secrets.py).
LOOKS_AT_SECRETS = {"secretsmanager:DescribeSecret", "ssm:ListTagsForResource"}


def test_no_call_was_denied(cloud: Scaling) -> None:
    """Each function runs with the credentials of its own role."""
    decisions = cloud.instance.config.logs / "authorisation.jsonl"
    denied = [
        json.loads(line)
        for line in decisions.read_text().splitlines()
        if not json.loads(line).get("allowed", True)
    ]
    assert [
        one
        for one in denied
        if "PreflightClusterRole" not in one["role"] or one["action"] not in LOOKS_AT_SECRETS
    ] == []
