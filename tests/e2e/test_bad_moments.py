"""Operations while AWS throttles, fails and loses answers, while functions die, and out of time."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import WaiterError

from local.config import CONTROL_STACK
from local.names import replace_json
from tests.support.cloud import FREE_AGAIN, REQUEST, Cloud, eventually
from tests.support.phone import physical

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.component import Instance


@pytest.fixture(scope="module")
def cloud(instance: Instance) -> Cloud:
    return Cloud(instance)


@contextmanager
def bad_moments(cloud: Cloud, seed: int, share: float) -> Iterator[None]:
    """Let this share of the functions' calls to AWS go wrong."""
    config = cloud.instance.config
    log = config.logs / "aws.log"
    before = log.read_text().count("bad moment: ")
    replace_json(config.faults_file, {"seed": seed, "share": share})
    try:
        yield
    finally:
        config.faults_file.unlink()
    assert log.read_text().count("bad moment: ") >= before + 3, "nothing went wrong"


@contextmanager
def after_weeks(cloud: Cloud, waking_seconds: float) -> Iterator[None]:
    """Let nobody have called the functions in the VPC for weeks; each needs so long to wake up."""
    file = cloud.instance.config.sleeping_file
    replace_json(file, {"wakingSeconds": waking_seconds})
    try:
        yield
    finally:
        file.unlink()


def told(cloud: Cloud, execution: str) -> str:
    """Everything that happened in an execution, as text."""
    history = cloud.client("stepfunctions").get_paginator("get_execution_history")
    return str([page["events"] for page in history.paginate(executionArn=execution)])


def workers(cloud: Cloud) -> dict[int, str]:
    """Processes that wait for events or handle one, with the names of their functions."""
    root, found = str(cloud.instance.config.root).encode(), {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if b"local/aws/bootstrap.py" in command and root in command:
                environment = (process / "environ").read_bytes()
                name = re.search(rb"AWS_LAMBDA_FUNCTION_NAME=([^\0]+)", environment)
                found[int(process.name)] = name[1].decode() if name else ""
    return found


@contextmanager
def each_function_killed_once(cloud: Cloud, seed: int) -> Iterator[set[str]]:
    """Kill the first process of each function soon after it was started for an event."""
    for pid in workers(cloud):
        os.kill(pid, signal.SIGKILL)
    over, killed, chance = threading.Event(), set[str](), random.Random(seed)  # noqa: S311
    doomed: dict[int, float] = {}

    def kill() -> None:
        while not over.wait(0.02):
            now = time.monotonic()
            for pid, name in workers(cloud).items():
                if name and name not in killed:
                    killed.add(name)
                    doomed[pid] = now + chance.uniform(0.1, 0.8)
            for pid in [pid for pid, moment in doomed.items() if moment <= now]:
                del doomed[pid]
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        over.set()
        killer.join()


@contextmanager
def killed_each_time(cloud: Cloud, function: str) -> Iterator[None]:
    """Kill every process of a function as soon as it is there, so that it never comes to an end."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.02):
            for pid, name in workers(cloud).items():
                if function in name:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        over.set()
        killer.join()


def retained(days: int) -> dict[str, Any]:
    parameters = {**REQUEST["parameters"], "LogRetentionDays": days}
    return {"clusterName": "demo", "parameters": parameters}


def test_an_update_ends_well_though_every_tenth_call_does_not(cloud: Cloud) -> None:
    with bad_moments(cloud, seed=1, share=0.1):
        ended = cloud.ended(cloud.start(retained(60)), 240)
    assert ended["status"] == "SUCCEEDED", ended.get("cause", ended)
    assert cloud.retention() == 60
    assert cloud.locks() == []
    assert cloud.healthy()


def test_a_stack_that_an_update_left_half_changed_is_rolled_back_and_then_updated(
    cloud: Cloud,
) -> None:
    api, stack = cloud.client("cloudformation"), f"{CONTROL_STACK}-demo"
    before = cloud.retention()
    changed = {"LogRetentionDays": "120", "OrchestrationImage": "camunda/camunda:8.9.1"}
    found = api.describe_stacks(StackName=stack)["Stacks"][0]
    change_set = api.create_change_set(
        StackName=stack,
        ChangeSetName=f"by-hand-{uuid.uuid4().hex}",
        UsePreviousTemplate=True,
        Parameters=[
            {"ParameterKey": key, "ParameterValue": changed[key]}
            if key in changed
            else {"ParameterKey": key, "UsePreviousValue": True}
            for key in (one["ParameterKey"] for one in found["Parameters"])
        ],
        Tags=found["Tags"],
        Capabilities=["CAPABILITY_IAM"],
    )["Id"]
    api.get_waiter("change_set_create_complete").wait(
        ChangeSetName=change_set, WaiterConfig={"Delay": 1}
    )
    api.execute_change_set(ChangeSetName=change_set, DisableRollback=True)
    with pytest.raises(WaiterError, match="UPDATE_FAILED"):
        api.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    assert cloud.retention() == 120, "half changed"

    ended = cloud.ended(cloud.start(retained(before)), 240)
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    statuses = [
        event["ResourceStatus"]
        for event in api.describe_stack_events(StackName=stack)["StackEvents"]
        if event["LogicalResourceId"] == stack
    ]
    assert "UPDATE_ROLLBACK_COMPLETE" in statuses[: statuses.index("UPDATE_FAILED")]
    assert cloud.retention() == before
    assert cloud.locks() == []
    assert cloud.healthy()


def test_scaling_out_and_in_ends_well_though_every_tenth_call_does_not(cloud: Cloud) -> None:
    for seed, count in ((2, 4), (3, 3)):
        with bad_moments(cloud, seed=seed, share=0.1):
            ended = cloud.ended(cloud.start({"clusterName": "demo", "count": count}, "scale"), 240)
        assert ended["status"] == "SUCCEEDED", ended.get("cause", ended)
        assert cloud.counts("demo")["orchestration-cluster"] == (count, count)
        assert cloud.locks() == []
    assert eventually(cloud.healthy, 30)


def test_an_execution_that_runs_out_of_time_frees_its_cluster(cloud: Cloud) -> None:
    """The deployed scale machine, with less time than scaling takes."""
    states = cloud.client("stepfunctions")
    machine = cloud.machine.replace("-provision", "-scale")
    deployed = states.describe_state_machine(stateMachineArn=machine)["definition"]
    hurried = {**json.loads(deployed), "TimeoutSeconds": 2}
    states.update_state_machine(stateMachineArn=machine, definition=json.dumps(hurried))
    name = f"demo.scale.{uuid.uuid4().hex[:8]}"
    try:
        ended = cloud.ended(cloud.start({"clusterName": "demo", "count": 4}, "scale", name), 60)
    finally:
        states.update_state_machine(stateMachineArn=machine, definition=deployed)
    assert ended["status"] == "TIMED_OUT", ended.get("cause", ended)
    assert eventually(lambda: cloud.locks() == [], FREE_AGAIN)
    table = cloud.outputs(CONTROL_STACK)["TableName"]

    def result() -> str:
        item = cloud.client("dynamodb").get_item(
            TableName=table, Key={"pk": {"S": f"OPERATION#scale#{name}"}}
        )["Item"]
        return str(item.get("result", {}).get("S", ""))

    assert eventually(lambda: result() == "TIMED_OUT", 30), result()
    again = cloud.ended(cloud.start({"clusterName": "demo", "count": 4}, "scale"), 240)
    assert again["status"] == "SUCCEEDED", again.get("cause", again)
    back = cloud.ended(cloud.start({"clusterName": "demo", "count": 3}, "scale"), 240)
    assert back["status"] == "SUCCEEDED", back.get("cause", back)
    assert eventually(cloud.healthy, 30)


def test_functions_that_die_once_each_change_nothing_twice(cloud: Cloud) -> None:
    for seed, count in ((5, 4), (6, 3)):
        with each_function_killed_once(cloud, seed) as killed:
            execution = cloud.start({"clusterName": "demo", "count": count}, "scale")
            ended = cloud.ended(execution, 240)
        assert ended["status"] == "SUCCEEDED", ended.get("cause", ended)
        assert len(killed) >= 6
        assert "Runtime.ExitError" in told(cloud, execution)
        assert cloud.counts("demo")["orchestration-cluster"] == (count, count)
        # Of an attempt that died no function knows that it did: its deadline is waited for.
        assert eventually(lambda: cloud.locks() == [], FREE_AGAIN)
    assert eventually(cloud.healthy, 30)


def test_an_update_ends_well_though_each_of_its_functions_dies_once(cloud: Cloud) -> None:
    with each_function_killed_once(cloud, seed=7) as killed:
        execution = cloud.start(retained(30))
        ended = cloud.ended(execution, 240)
    assert ended["status"] == "SUCCEEDED", ended.get("cause", ended)
    assert len(killed) >= 9
    assert "Runtime.ExitError" in told(cloud, execution)
    assert cloud.retention() == 30
    assert cloud.counts("demo")["orchestration-cluster"] == (3, 3)
    assert eventually(lambda: cloud.locks() == [], FREE_AGAIN)


def test_the_first_scaling_after_weeks_waits_until_the_functions_are_connected(
    cloud: Cloud,
) -> None:
    with after_weeks(cloud, waking_seconds=6):
        execution = cloud.start({"clusterName": "demo", "count": 4}, "scale")
        ended = cloud.ended(execution, 240)
    assert ended["status"] == "SUCCEEDED", ended.get("cause", ended)
    text = told(cloud, execution)
    assert "ProbeAsleep" in text
    assert "Lambda.ResourceNotReadyException" in text
    assert "Lambda.ResourceConflictException" in text
    back = cloud.ended(cloud.start({"clusterName": "demo", "count": 3}, "scale"), 240)
    assert back["status"] == "SUCCEEDED", back.get("cause", back)
    assert eventually(cloud.healthy, 30)


def test_what_could_not_be_cleaned_up_is_a_dead_letter_and_is_made_up_for_with_it(
    cloud: Cloud,
) -> None:
    queue = physical(cloud.instance, "Schedules.CleanUpDeadLetters")
    sqs, letters = cloud.client("sqs"), list[Any]()

    def is_told() -> bool:
        found = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"])
        letters.extend(found.get("Messages", []))
        return bool(letters)

    with killed_each_time(cloud, "CleanUpOperation"):
        execution = cloud.start(retained(30))
        assert eventually(lambda: cloud.locks() != [], 30)
        cloud.client("stepfunctions").stop_execution(executionArn=execution)
        assert eventually(is_told, 60), "nothing tells that the cluster was not freed"
        assert cloud.locks() != []
    event = json.loads(letters[0]["Body"])
    assert event["detail"]["executionArn"] == execution
    assert "Runtime exited" in letters[0]["MessageAttributes"]["ErrorMessage"]["StringValue"]
    # As the runbook has it: the function is called again with the message.
    (function,) = (
        one["FunctionName"]
        for page in cloud.client("lambda").get_paginator("list_functions").paginate()
        for one in page["Functions"]
        if "CleanUpOperation" in one["FunctionName"]
    )
    answer = cloud.client("lambda").invoke(
        FunctionName=f"{function}:live", Payload=letters[0]["Body"].encode()
    )
    assert "FunctionError" not in answer, answer["Payload"].read()
    assert eventually(lambda: cloud.locks() == [], FREE_AGAIN)
    sqs.purge_queue(QueueUrl=queue)
