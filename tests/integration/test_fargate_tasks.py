"""Tasks that really run, seen through the ECS API as on AWS."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import time
import urllib.request
import uuid
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.aws.shapes import api_parameters
from local.broker.backups import Backups
from local.broker.engine import empty
from local.config import ACCOUNT_ID, REGION
from tests.integration.fargate_world import LOG_GROUP, World, address, eventually, hosted
from tests.support.blocks import block
from tests.unit.templates.resolver import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = block("fargate")
REGISTRY = f"{ACCOUNT_ID}.dkr.ecr.{REGION}.amazonaws.com"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with hosted(tmp_path_factory.mktemp("instance"), BLOCK) as found:
        yield found


@pytest.fixture
def name(request: pytest.FixtureRequest, world: World) -> Iterator[str]:
    """A service's name, removed afterwards if it was created."""
    # A repeated case finds nothing of the one before it.
    own = re.sub(r"\W+", "-", request.node.name.removeprefix("test_")) + f"-{uuid.uuid4().hex[:4]}"
    yield own
    found = world.ecs.describe_services(cluster="c", services=[own])["services"]
    if found and found[0]["status"] != "INACTIVE":
        world.remove(own)


def ask(task: dict[str, Any]) -> dict[str, Any]:
    """What the task's process answers, once it listens: RUNNING says nothing about that."""

    def answer() -> dict[str, Any] | None:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://{address(task)}:8080/", timeout=5) as found,
        ):
            return dict(json.load(found))
        return None

    return dict(eventually(answer))


def discovery(world: World, name: str) -> tuple[str, str]:
    """ARN of a Cloud Map service, and its DNS name."""
    client = world.client("servicediscovery")
    namespace = f"{name.replace('_', '-')}.service.local"
    client.create_private_dns_namespace(Name=namespace, Vpc="vpc-1")
    found = next(one for one in client.list_namespaces()["Namespaces"] if one["Name"] == namespace)
    service = client.create_service(Name="brokers", NamespaceId=found["Id"])["Service"]
    return service["Arn"], f"brokers.{namespace}"


def test_a_raised_count_becomes_tasks_with_addresses_that_are_known(
    world: World, name: str
) -> None:
    arn, dns_name = discovery(world, name)
    world.define("plain")
    world.create(name, "plain", 0, serviceRegistries=[{"registryArn": arn}])
    eventually(lambda: world.rollout(name) == "COMPLETED")
    world.ecs.update_service(cluster="c", service=name, desiredCount=3, forceNewDeployment=True)
    assert world.rollout(name) == "IN_PROGRESS"
    tasks = world.running(name, 3)
    eventually(lambda: world.rollout(name) == "COMPLETED")

    addresses = {address(task) for task in tasks}
    assert len(addresses) == 3
    assert {ask(task)["address"] for task in tasks} == addresses
    assert set(world.instance.names.lookup(dns_name)) == addresses
    instances = world.client("servicediscovery").discover_instances(
        NamespaceName=dns_name.partition(".")[2], ServiceName="brokers"
    )["Instances"]
    assert {one["Attributes"]["AWS_INSTANCE_IPV4"] for one in instances} == addresses
    assert {one["InstanceId"] for one in instances} == {
        task["taskArn"].rsplit("/", 1)[-1] for task in tasks
    }
    assert len({task["availabilityZone"] for task in tasks}) == 3
    assert set(world.node_ids(name)) == {0, 1, 2}
    found = world.service(name)
    assert (found["desiredCount"], found["runningCount"], found["pendingCount"]) == (3, 3, 0)
    assert len(found["deployments"]) == 1
    assert "has reached a steady state." in found["events"][0]["message"]
    assert tasks[0]["startedBy"] == found["deployments"][0]["id"]

    world.remove(name)
    assert world.instance.names.lookup(dns_name) == ()
    for gone in addresses:
        with pytest.raises(ConnectionRefusedError), socket.create_connection((gone, 8080), 1):
            pass


def test_a_count_alone_is_no_new_deployment(world: World, name: str) -> None:
    world.define("plain")
    world.create(name, "plain", 1)
    world.running(name, 1)
    before = eventually(
        lambda: world.rollout(name) == "COMPLETED" and world.service(name)["deployments"][0]["id"]
    )
    world.ecs.update_service(cluster="c", service=name, desiredCount=2)
    world.running(name, 2)
    deployment = world.service(name)["deployments"][0]
    assert (deployment["id"], deployment["rolloutState"]) == (before, "COMPLETED")


def test_what_changes_in_place_is_for_tasks_that_start_later(world: World, name: str) -> None:
    world.define("plain")
    world.create(name, "plain", 1)
    first = world.running(name, 1)[0]
    before = eventually(
        lambda: world.rollout(name) == "COMPLETED" and world.service(name)["deployments"][0]["id"]
    )
    world.ecs.update_service(
        cluster="c",
        service=name,
        desiredCount=2,
        enableExecuteCommand=True,
        propagateTags="SERVICE",
    )
    tasks = {one["taskArn"]: one["enableExecuteCommand"] for one in world.running(name, 2)}
    assert tasks.pop(first["taskArn"]) is False
    assert list(tasks.values()) == [True]
    assert [one["id"] for one in world.service(name)["deployments"]] == [before]


def test_a_deployment_configuration_is_replaced_as_a_whole(world: World, name: str) -> None:
    world.define("plain")
    world.create(name, "plain", 0)
    world.ecs.update_service(
        cluster="c", service=name, deploymentConfiguration={"minimumHealthyPercent": 50}
    )
    assert world.service(name)["deploymentConfiguration"] == {
        "minimumHealthyPercent": 50,
        "maximumPercent": 200,
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},
    }


def test_lines_of_a_container_are_in_its_log_stream(world: World, name: str) -> None:
    world.define("plain")
    world.create(name, "plain", 1)
    task = world.running(name, 1)[0]
    stream = f"p/main/{task['taskArn'].rsplit('/', 1)[-1]}"
    events = eventually(
        lambda: world.client("logs").get_log_events(
            logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True
        )["events"]
    )
    assert events[0]["message"] == "stub says hello"


def test_a_process_that_ends_is_replaced_with_its_node_id_at_another_address(
    world: World, name: str
) -> None:
    world.define("plain")
    world.create(name, "plain", 3)
    world.running(name, 3)
    first = world.node_ids(name)[1]
    os.kill(world.known()[first["taskArn"]]["pids"]["main"], signal.SIGKILL)
    eventually(lambda: len(world.tasks(name, "STOPPED")) == 1)
    successor = eventually(
        lambda: (
            len(world.running(name, 3)) == 3
            and 1 in world.node_ids(name)
            and world.node_ids(name)[1]
        )
    )
    assert address(successor) != address(first)
    stopped = eventually(
        lambda: [one for one in world.tasks(name, "STOPPED") if one["lastStatus"] == "STOPPED"]
    )[0]
    assert stopped["taskArn"] == first["taskArn"]
    assert stopped["stopCode"] == "EssentialContainerExited"
    assert stopped["stoppedReason"] == "Essential container in task exited"
    assert stopped["containers"][0]["exitCode"] == 137
    assert stopped["startedAt"] <= stopped["stoppingAt"] <= stopped["stoppedAt"]


def test_secrets_reach_the_process_and_nothing_else(world: World, name: str) -> None:
    secret = world.client("secretsmanager").create_secret(
        Name=name, SecretString=json.dumps({"username": "u", "password": "hush-hush"})
    )["ARN"]
    world.define("secret", secrets=[{"name": "PASSWORD", "valueFrom": f"{secret}:password::"}])
    world.create(name, "secret", 1)
    task = world.running(name, 1)[0]
    variables = ask(task)["variables"]
    assert variables["PASSWORD"] == "hush-hush"
    assert not {"AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "VIRTUAL_ENV"} & variables.keys()
    described = json.dumps([task, world.service(name)], default=str)
    files = [
        path
        for path in world.instance.config.root.rglob("*")
        if path.is_file() and b"hush-hush" in path.read_bytes()
    ]
    assert "hush-hush" not in described
    assert files == []


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        ({"image": "camunda/no-such:1", "entryPoint": []}, "CannotPullContainerError"),
        (
            {"secrets": [{"name": "X", "valueFrom": "arn:aws:secretsmanager:r:1:secret:none"}]},
            "ResourceInitializationError: unable to pull secrets",
        ),
        (
            {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/none"}}},
            "The specified log group does not exist",
        ),
        ({"entryPoint": ["no-such-shell", "-c"]}, "CannotStartContainerError"),
        ({"image": f"{REGISTRY}/none/camunda:8.9.16"}, "camunda:8.9.16: not found"),
    ],
    ids=["image", "secret", "log-group", "command", "own-repository"],
)
def test_three_tasks_that_cannot_start_trip_the_circuit_breaker(
    world: World, name: str, container: dict[str, Any], reason: str
) -> None:
    world.define("plain")
    broken = world.define("broken", **container)
    world.create(name, "plain", 0)
    world.ecs.update_service(
        cluster="c", service=name, desiredCount=3, taskDefinition=broken, forceNewDeployment=True
    )
    eventually(lambda: world.rollout(name) == "FAILED")
    deployment = world.service(name)["deployments"][0]
    assert deployment["failedTasks"] >= 3
    assert deployment["rolloutStateReason"] == (
        "ECS deployment circuit breaker: tasks failed to start."
    )
    stopped = world.tasks(name, "STOPPED")
    assert {one["stopCode"] for one in stopped} == {"TaskFailedToStart"}
    assert all(reason in one["stoppedReason"] for one in stopped)
    messages = " ".join(event["message"] for event in world.service(name)["events"])
    assert "deployment failed: tasks failed to start." in messages

    # Another count does not help; another deployment does.
    world.ecs.update_service(cluster="c", service=name, desiredCount=1)
    assert world.rollout(name) == "FAILED"
    world.ecs.update_service(cluster="c", service=name, taskDefinition="plain")
    world.running(name, 1)
    eventually(lambda: world.rollout(name) == "COMPLETED")


def test_a_process_that_ends_after_running_never_trips_it_but_slows_down(
    world: World, name: str
) -> None:
    # Later than RUNNING, yet before it would count as steady, however busy the machine is.
    world.define("brief", entryPoint=["sh", "-c"], command=["sleep 0.2; exit 3"])
    world.create(name, "brief", 1)
    stopped = eventually(
        lambda: len(world.tasks(name, "STOPPED")) >= 3 and world.tasks(name, "STOPPED")
    )
    assert {one["containers"][0]["exitCode"] for one in stopped if "stoppedAt" in one} == {3}
    assert world.rollout(name) == "IN_PROGRESS"
    eventually(
        lambda: any(
            "unable to consistently start tasks successfully" in event["message"]
            for event in world.service(name)["events"]
        )
    )
    starts = sorted(one["createdAt"] for one in stopped)
    assert starts[2] - starts[1] > starts[1] - starts[0]


def says(log: Path, text: str) -> bool:
    return text in log.read_text()


def test_a_container_starts_after_the_success_of_another(world: World, name: str) -> None:
    script = "printf '%s' \"$TEXT\" > /shared/file"
    volumes = [{"name": "shared"}]
    mount = [{"sourceVolume": "shared", "containerPath": "/shared"}]
    before = {
        "name": "before",
        "image": "camunda/camunda:8.9.16",
        "essential": False,
        "entryPoint": ["sh", "-c"],
        "command": [script],
        "mountPoints": mount,
        "environment": [{"name": "TEXT", "value": "prepared"}],
    }
    main = {
        "name": "main",
        "image": "camunda/camunda:8.9.16",
        "entryPoint": ["sh", "-c"],
        "command": ["cat /shared/file; sleep 60"],
        "mountPoints": mount,
        "dependsOn": [{"containerName": "before", "condition": "SUCCESS"}],
    }
    for ending, expected in (("", "RUNNING"), ("; exit 5", "STOPPED")):
        world.ecs.register_task_definition(
            family="pair",
            networkMode="awsvpc",
            volumes=volumes,
            containerDefinitions=[main, before | {"command": [script + ending]}],
        )
        if expected == "RUNNING":
            world.create(name, "pair", 1)
            task = world.running(name, 1)[0]
            exits = {one["name"]: one.get("exitCode") for one in task["containers"]}
            assert exits == {"main": None, "before": 0}
            log = Path(world.known()[task["taskArn"]]["log"]) / "main.log"
            eventually(partial(says, log, "prepared"))
            world.remove(name)
        else:
            world.create(name, "pair", 1)
            stopped = eventually(
                lambda: [
                    one
                    for one in world.tasks(name, "STOPPED")
                    if one["stopCode"] == "TaskFailedToStart"
                ]
            )[0]
            assert "before exited with code 5" in stopped["stoppedReason"]


WORKSPACE = "ws-0123abcd-45ef-67ab-89cd-0123456789ab"


def collector() -> dict[str, Any]:
    """The container of the cluster's template, in the shape of the API."""
    arn = f"arn:aws:aps:{REGION}:{ACCOUNT_ID}:workspace/{WORKSPACE}"
    made = resolve("cluster", PrometheusWorkspaceArn=arn).properties("OrchestrationTaskDefinition")
    (found,) = [one for one in made["ContainerDefinitions"] if one["Name"] == "collector"]
    kept = {name: value for name, value in found.items() if name != "LogConfiguration"}
    return dict(
        api_parameters("ecs", "RegisterTaskDefinition", {"ContainerDefinitions": [kept]})[
            "containerDefinitions"
        ][0]
    )


def test_a_collector_writes_what_its_broker_shows_and_takes_nothing_with_it(
    world: World, name: str
) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                       "Action": "sts:AssumeRole"}],
    }  # fmt: skip
    iam = world.client("iam")
    role = iam.create_role(RoleName=name[:60], AssumeRolePolicyDocument=json.dumps(trust))["Role"]

    def allow(workspace: str) -> None:
        arn = f"arn:aws:aps:{REGION}:{ACCOUNT_ID}:workspace/{workspace}"
        statement = {"Effect": "Allow", "Action": "aps:RemoteWrite", "Resource": arn}
        iam.put_role_policy(
            RoleName=name[:60],
            PolicyName="metrics",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )

    def written(pod: str) -> list[dict[str, Any]]:
        file = world.instance.config.metrics_file
        found = json.loads(file.read_text()) if file.exists() else {}
        return list(found.get(WORKSPACE, {}).get(pod, []))

    allow(WORKSPACE.replace("0123", "9999"))
    # A task whose collector comes first in the list is a broker's as well.
    broker = world.ecs.describe_task_definition(taskDefinition=world.define("plain"))[
        "taskDefinition"
    ]["containerDefinitions"][0]
    world.ecs.register_task_definition(
        family="measured",
        networkMode="awsvpc",
        taskRoleArn=role["Arn"],
        containerDefinitions=[collector(), broker],
    )
    world.create(name, "measured", 1)
    (task,) = world.running(name, 1)
    pod = task["taskArn"].rsplit("/", 1)[-1]
    log = Path(world.known()[task["taskArn"]]["log"]) / "collector.log"
    # Not to another workspace than the role's.
    eventually(lambda: log.exists() and "403" in log.read_text())
    assert written(pod) == []
    allow(WORKSPACE)
    (one,) = eventually(lambda: written(pod))
    assert one == {
        "labels": {
            "__name__": "zeebe_health", "partition": "1", "cluster": "control",
            "namespace": "demo", "pod": pod, "job": "orchestration-cluster",
            "instance": "localhost:9600",
        },
        "value": "1.0",
    }  # fmt: skip

    def container() -> dict[str, Any]:
        (found,) = world.tasks(name)
        assert found["taskArn"] == task["taskArn"], "the broker's task was replaced"
        (own,) = [one for one in found["containers"] if one["name"] == "collector"]
        return dict(own)

    def pid() -> int:
        return int(world.known()[task["taskArn"]]["pids"].get("collector", 0))

    # One that ran for the period of its restart policy is restarted in place. It did: between its
    # first request and the one that was allowed it waited as long as the period is here.
    first = pid()
    os.kill(first, signal.SIGKILL)
    eventually(lambda: pid() not in {0, first})
    assert container()["lastStatus"] == "RUNNING"
    # One that ends at once stays stopped, and its broker runs.
    os.kill(pid(), signal.SIGKILL)
    eventually(lambda: container()["lastStatus"] == "STOPPED")
    assert container()["exitCode"] == 137
    assert ask(task)["address"] == address(task)
    assert world.rollout(name) == "COMPLETED"


def test_scale_in_stops_what_is_least_convenient_and_spares_the_protected(
    world: World, name: str
) -> None:
    world.define("plain")
    world.create(name, "plain", 4)
    world.running(name, 4)
    ids = world.node_ids(name)
    answer = world.ecs.update_task_protection(
        cluster="c",
        tasks=[ids[0]["taskArn"], ids[1]["taskArn"].rsplit("/", 1)[-1]],
        protectionEnabled=True,
        expiresInMinutes=60,
    )
    assert answer["failures"] == []
    assert [one["protectionEnabled"] for one in answer["protectedTasks"]] == [True, True]
    left = answer["protectedTasks"][0]["expirationDate"].timestamp() - time.time()
    assert 3500 < left <= 3600

    world.ecs.update_service(cluster="c", service=name, desiredCount=2)
    world.running(name, 2)
    assert set(world.node_ids(name)) == {0, 1}
    stopped = {one["taskArn"]: one for one in world.tasks(name, "STOPPED")}
    assert stopped.keys() == {ids[2]["taskArn"], ids[3]["taskArn"]}
    assert {one["stopCode"] for one in stopped.values()} == {"ServiceSchedulerInitiated"}

    world.ecs.update_service(cluster="c", service=name, desiredCount=1)
    time.sleep(1)
    assert set(world.node_ids(name)) == {0, 1}, "protected tasks were stopped"
    answer = world.ecs.update_task_protection(
        cluster="c", tasks=[ids[node]["taskArn"] for node in (0, 1)], protectionEnabled=False
    )
    assert answer["failures"] == []
    world.running(name, 1)
    assert set(world.node_ids(name)) == {1}, "the lowest node id is the least convenient"


def test_protection_of_more_than_are_wanted_is_refused_one_by_one(world: World, name: str) -> None:
    world.define("plain")
    world.create(name, "plain", 2)
    arns = [task["taskArn"] for task in world.running(name, 2)]
    world.ecs.update_task_protection(cluster="c", tasks=arns, protectionEnabled=True)
    world.ecs.update_service(cluster="c", service=name, desiredCount=1)
    answer = world.ecs.update_task_protection(
        cluster="c", tasks=[*arns, "0" * 32], protectionEnabled=True
    )
    assert [one["reason"] for one in answer["failures"]] == [
        "DEPLOYMENT_BLOCKED",
        "DEPLOYMENT_BLOCKED",
        "MISSING",
    ]
    shown = world.ecs.get_task_protection(cluster="c", tasks=arns)["protectedTasks"]
    assert [one["protectionEnabled"] for one in shown] == [True, True]
    for wrong in ({"tasks": ["x"] * 11}, {"tasks": arns, "expiresInMinutes": 2881}):
        with pytest.raises(world.ecs.exceptions.InvalidParameterException):
            world.ecs.update_task_protection(cluster="c", protectionEnabled=True, **wrong)


def test_a_rolling_deployment_keeps_two_of_three(world: World, name: str) -> None:
    world.define("plain")
    world.create(name, "plain", 3)
    old = {task["taskArn"] for task in world.running(name, 3)}
    eventually(lambda: world.rollout(name) == "COMPLETED")
    world.ecs.update_service(cluster="c", service=name, forceNewDeployment=True)
    fewest = 3
    while world.rollout(name) != "COMPLETED":
        fewest = min(fewest, world.service(name)["runningCount"])
        time.sleep(0.05)
    assert fewest == 2
    assert not old & {task["taskArn"] for task in world.running(name, 3)}
    assert set(world.node_ids(name)) == {0, 1, 2}
    assert len(world.service(name)["deployments"]) == 1


def test_a_task_without_a_free_node_id_runs_but_waits(world: World, name: str) -> None:
    world.define("three", environment={"TAKES_NODE_ID": "3"})
    world.create(name, "three", 3)
    eventually(lambda: world.rollout(name) == "COMPLETED")
    # Room above the desired count: the fourth task finds all three ids taken.
    world.ecs.update_service(
        cluster="c",
        service=name,
        deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 134},
    )
    before = set(world.known())
    world.ecs.update_service(cluster="c", service=name, forceNewDeployment=True)
    eventually(
        lambda: any(
            one["status"] == "RUNNING" and one["nodeId"] is None and one["pids"]
            for one in world.known().values()
            if one["taskArn"] not in before
        )
    )
    eventually(lambda: world.rollout(name) == "COMPLETED", 30)
    assert set(world.node_ids(name)) == {0, 1, 2}


def test_a_process_that_ignores_sigterm_is_killed_after_its_stop_timeout(
    world: World, name: str
) -> None:
    world.define("stubborn", environment={"IGNORE_SIGTERM": "1"}, stopTimeout=2)
    world.create(name, "stubborn", 1)
    task = world.running(name, 1)[0]
    ask(task)
    world.ecs.stop_task(cluster="c", task=task["taskArn"], reason="enough")

    def stopped() -> Any:
        found = world.ecs.describe_tasks(cluster="c", tasks=[task["taskArn"]])["tasks"][0]
        return found if found["lastStatus"] == "STOPPED" else None

    found = eventually(stopped)
    assert (found["stopCode"], found["stoppedReason"]) == ("UserInitiated", "enough")
    assert found["containers"][0]["exitCode"] == 137
    assert 2 <= (found["stoppedAt"] - found["stoppingAt"]).total_seconds() < 5


def test_an_unhealthy_container_is_replaced_after_the_grace_period(world: World, name: str) -> None:
    """Unhealthy after two answers, 2 s apart; the service's grace shelters it for 4 s."""
    check = {
        "command": ["CMD-SHELL", "wget --spider http://localhost:9600/sick || exit 1"],
        "interval": 5,
        "retries": 2,
    }
    world.define("sick", healthCheck=check)
    world.create(name, "sick", 1, healthCheckGracePeriodSeconds=4)
    task = world.running(name, 1)[0]
    eventually(lambda: [one["healthStatus"] for one in world.tasks(name)] == ["UNHEALTHY"])
    assert [one["taskArn"] for one in world.tasks(name)] == [task["taskArn"]], "still in its grace"
    stopped = eventually(lambda: world.tasks(name, "STOPPED"))[0]
    assert stopped["taskArn"] == task["taskArn"]
    assert (stopped["stoppingAt"] - stopped["startedAt"]).total_seconds() >= 4
    assert stopped["stopCode"] == "ServiceSchedulerInitiated"
    assert stopped["stoppedReason"] == "Task failed container health checks"
    told = f"(service {name}) (task {task['taskArn'].rsplit('/', 1)[-1]})"
    events = [one["message"] for one in world.service(name)["events"]]
    assert f"{told} failed container health checks." in events
    eventually(lambda: world.service(name)["deployments"][0]["failedTasks"] == 1)


def test_tags_and_service_connect_are_shown_as_on_aws(world: World, name: str) -> None:
    world.define("plain")
    connect = {
        "enabled": True,
        "namespace": "n",
        "services": [{"portName": "rest", "clientAliases": [{"port": 8080, "dnsName": "r"}]}],
    }
    world.create(
        name,
        "plain",
        1,
        tags=[{"key": "camunda:cluster", "value": "demo"}],
        propagateTags="SERVICE",
        enableECSManagedTags=True,
        serviceConnectConfiguration=connect,
    )
    task = world.running(name, 1)[0]
    assert "tags" not in task
    assert "tags" not in world.service(name)
    described = world.ecs.describe_tasks(cluster="c", tasks=[task["taskArn"]], include=["TAGS"])
    tags = {one["key"]: one["value"] for one in described["tasks"][0]["tags"]}
    assert tags == {
        "camunda:cluster": "demo",
        "aws:ecs:clusterName": "c",
        "aws:ecs:serviceName": name,
    }
    shown = world.service(name)["deployments"][0]["serviceConnectConfiguration"]
    assert shown["services"][0]["clientAliases"][0]["dnsName"] == "r"


def test_a_namespace_stays_while_the_names_of_service_connect_are_in_it(
    world: World, name: str
) -> None:
    api = world.client("servicediscovery")
    api.create_http_namespace(Name=name)
    (namespace,) = [one for one in api.list_namespaces()["Namespaces"] if one["Name"] == name]
    world.define("plain")
    alias = {"portName": "rest", "clientAliases": [{"port": 8080, "dnsName": "brokers"}]}
    connect = {"enabled": True, "namespace": namespace["Arn"], "services": [alias]}
    world.create(name, "plain", 1, serviceConnectConfiguration=connect)
    world.running(name, 1)

    def services() -> list[dict[str, Any]]:
        wanted = [{"Name": "NAMESPACE_ID", "Values": [namespace["Id"]]}]
        return list(api.list_services(Filters=wanted)["Services"])

    (made,) = services()
    assert (made["Name"], made["InstanceCount"]) == ("rest", 1)
    resource = world.service(name)["deployments"][0]["serviceConnectResources"][0]
    assert resource == {"discoveryName": "rest", "discoveryArn": made["Arn"]}
    with pytest.raises(ClientError, match="registered instances"):
        api.delete_service(Id=made["Id"])
    world.remove(name)
    assert services()[0]["InstanceCount"] == 0
    with pytest.raises(ClientError, match="associated services"):
        api.delete_namespace(Id=namespace["Id"])
    api.delete_service(Id=made["Id"])
    api.delete_namespace(Id=namespace["Id"])


def names_seen_by(world: World, task: dict[str, Any]) -> dict[str, list[str]]:
    """What the task's Service Connect proxy resolves."""
    directory = Path(world.known()[task["taskArn"]]["log"])
    return dict(json.loads((directory / "service-connect.json").read_text()))


def test_service_connect_shows_later_endpoints_to_later_deployments_only(
    world: World, name: str
) -> None:
    world.define("plain")
    client = {"enabled": True, "namespace": name}
    alias = {"portName": "rest", "clientAliases": [{"port": 8080, "dnsName": "brokers"}]}
    world.create(name, "plain", 1, serviceConnectConfiguration=client)
    early = world.running(name, 1)[0]
    world.create(
        f"{name}-brokers",
        "plain",
        1,
        serviceConnectConfiguration=client | {"services": [alias]},
    )
    broker = world.running(f"{name}-brokers", 1)[0]
    assert names_seen_by(world, broker) == {"brokers": [address(broker)]}

    world.ecs.stop_task(cluster="c", task=early["taskArn"])
    successor = eventually(
        lambda: [one for one in world.running(name, 1) if one["taskArn"] != early["taskArn"]]
    )[0]
    assert names_seen_by(world, successor) == {}, "a successor is of the same deployment"

    world.ecs.update_service(
        cluster="c",
        service=name,
        forceNewDeployment=True,
        # With one task, 66 % would let none go that is healthy.
        deploymentConfiguration={"minimumHealthyPercent": 0, "maximumPercent": 100},
    )
    eventually(lambda: world.rollout(name) == "COMPLETED")
    assert names_seen_by(world, world.running(name, 1)[0]) == {"brokers": [address(broker)]}
    world.remove(f"{name}-brokers")


def test_a_draining_service_keeps_its_name(world: World, name: str) -> None:
    world.define("slow", environment={"IGNORE_SIGTERM": "1"}, stopTimeout=2)
    world.create(name, "slow", 1)
    ask(world.running(name, 1)[0])
    world.ecs.delete_service(cluster="c", service=name, force=True)
    with pytest.raises(world.ecs.exceptions.InvalidParameterException, match="still Draining"):
        world.create(name, "slow", 0)
    eventually(lambda: world.service(name)["status"] == "INACTIVE")
    world.create(name, "slow", 0)
    assert world.service(name)["status"] == "ACTIVE"


def test_without_capacity_no_task_is_made_until_there_is_some(world: World, name: str) -> None:
    world.define("plain")
    world.create(name, "plain", 1)
    world.running(name, 1)
    messages = [one["message"] for one in reversed(world.service(name)["events"])]
    refused = f"(service {name}) was unable to place a task. Reason: Capacity is unavailable"
    assert [one.startswith(refused) for one in messages[:3]] == [True, True, True]
    assert len(world.tasks(name, "STOPPED")) == 0
    assert world.service(name)["deployments"][0]["failedTasks"] == 0


def push(world: World, repository: str, tag: str, content: str) -> str:
    """Put an image under a tag, which moves if it is there; gives the image's digest."""
    ecr = world.client("ecr")
    with contextlib.suppress(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(repositoryName=repository)
    put = ecr.put_image(repositoryName=repository, imageTag=tag, imageManifest=content)
    return str(put["image"]["imageId"]["imageDigest"])


def test_a_revision_keeps_the_digest_that_its_tag_had(world: World, name: str) -> None:
    def images() -> list[dict[str, str]]:
        (current,) = world.service(name)["currentServiceRevisions"]
        found = world.ecs.describe_service_revisions(serviceRevisionArns=[current["arn"]])
        (revision,) = found["serviceRevisions"]
        return list(revision["containerImages"])

    repository = f"{name}/camunda"
    image = f"{REGISTRY}/{repository}:8.9.16"
    first = push(world, repository, "8.9.16", "one")
    world.define(name, image=image)
    world.create(name, name, 0)
    assert images() == [{"containerName": "main", "image": image}], "no task, nothing resolved"
    world.ecs.update_service(cluster="c", service=name, desiredCount=1)
    world.running(name, 1)
    resolved = {"containerName": "main", "image": image, "imageDigest": first}
    assert images() == [resolved]

    second = push(world, repository, "8.9.16", "two")
    world.ecs.update_service(cluster="c", service=name, desiredCount=3)
    world.running(name, 3)
    assert images() == [resolved], "tasks of one deployment run one image"

    world.ecs.update_service(
        cluster="c",
        service=name,
        forceNewDeployment=True,
        deploymentConfiguration={"minimumHealthyPercent": 0, "maximumPercent": 100},
    )
    eventually(lambda: world.rollout(name) == "COMPLETED", 60)
    assert images() == [resolved | {"imageDigest": second}]


def test_what_is_not_in_its_repository_is_not_described(world: World, name: str) -> None:
    ecr = world.client("ecr")
    digest = push(world, name, "8.9.16", "one")

    def described(**image: str) -> str:
        found = ecr.describe_images(repositoryName=name, imageIds=[image])["imageDetails"]
        return str(found[0]["imageDigest"])

    assert described(imageTag="8.9.16") == described(imageDigest=digest) == digest
    with pytest.raises(ecr.exceptions.ImageNotFoundException, match=r"imageTag:'8\.9\.17'"):
        described(imageTag="8.9.17")


def test_a_service_revision_that_is_not_there_is_a_failure(world: World) -> None:
    arn = f"arn:aws:ecs:{REGION}:{ACCOUNT_ID}:service-revision/c/none/1"
    found = world.ecs.describe_service_revisions(serviceRevisionArns=[arn])
    assert found["serviceRevisions"] == []
    assert found["failures"] == [{"arn": arn, "reason": "MISSING"}]


def test_what_cannot_be_done_is_refused(world: World, name: str) -> None:
    world.define("plain")
    with pytest.raises(world.ecs.exceptions.ClientException, match="TaskDefinition not found"):
        world.create(name, "no-such-family", 1)
    with pytest.raises(world.ecs.exceptions.ServiceNotFoundException):
        world.ecs.update_service(cluster="c", service="none", desiredCount=1)
    world.create(name, "plain", 1)
    with pytest.raises(world.ecs.exceptions.InvalidParameterException, match="not idempotent"):
        world.create(name, "plain", 1)
    with pytest.raises(world.ecs.exceptions.InvalidParameterException):
        world.ecs.delete_service(cluster="c", service=name)
    world.remove(name)
    with pytest.raises(world.ecs.exceptions.ServiceNotActiveException):
        world.ecs.update_service(cluster="c", service=name, desiredCount=1)


def test_a_revision_that_was_deregistered_is_kept_but_not_taken_up(world: World, name: str) -> None:
    """DeregisterTaskDefinition's reference: such a service still scales up and down."""
    first, second = world.define(name), world.define(name)
    world.create(name, first, 0)
    for revision in (first, second):
        world.ecs.deregister_task_definition(taskDefinition=revision)
    inactive = pytest.raises(
        world.ecs.exceptions.ClientException, match="TaskDefinition is inactive"
    )
    with inactive:
        world.ecs.update_service(cluster="c", service=name, taskDefinition=second)
    with inactive:
        world.create(f"{name}-other", second, 0)
    assert world.service(name)["taskDefinition"] == first
    world.ecs.update_service(cluster="c", service=name, desiredCount=1)
    assert [one["taskDefinitionArn"] for one in world.running(name, 1)] == [first]


def test_connectors_wait_for_the_brokers_behind_their_alias(world: World, name: str) -> None:
    world.define("fakes")
    world.define(
        "connectors",
        entryPoint=[],
        image="camunda/connectors-bundle:8.9.1",
        environment={
            "CAMUNDA_CLIENT_RESTADDRESS": "http://brokers-rest:8080",
            "SERVER_SERVLET_CONTEXT_PATH": "/connectors",
        },
    )
    # Endpoints that came after the connectors they would not see.
    connect = {"enabled": True, "namespace": "n"}
    alias = {"portName": "rest", "clientAliases": [{"port": 8080, "dnsName": "brokers-rest"}]}
    world.create("fakes", "fakes", 0, serviceConnectConfiguration=connect | {"services": [alias]})
    world.create(name, "connectors", 1, serviceConnectConfiguration=connect)
    connectors = address(world.running(name, 1)[0])

    def answer(path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(connectors, 8080, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        return 0, ""

    readiness = "/connectors/actuator/health/readiness"
    eventually(lambda: answer(readiness)[0] == 503)
    assert "brokers-rest does not resolve" in answer(readiness)[1]
    assert "stand-in" in answer("/connectors/")[1]
    assert answer("/")[0] == 404

    try:
        world.ecs.update_service(cluster="c", service="fakes", desiredCount=1)
        world.running("fakes", 1)
        eventually(lambda: answer(readiness)[0] == 200)
    finally:
        world.remove("fakes")


def placed(world: World, family: str, count: int, **options: Any) -> list[dict[str, Any]]:
    """Run so many tasks; what finds no capacity is run again, as a caller has to."""
    tasks: list[dict[str, Any]] = []

    def all_placed() -> bool:
        answer = world.run(family, count=count - len(tasks), **options)
        tasks.extend(answer["tasks"])
        assert all("Capacity is unavailable" in one["reason"] for one in answer["failures"])
        return len(tasks) == count

    eventually(all_placed)
    return tasks


def stopped(world: World, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    eventually(lambda: {one["lastStatus"] for one in world.described(tasks)} == {"STOPPED"}, 30)
    return world.described(tasks)


def test_tasks_that_no_service_runs_really_run(world: World, name: str) -> None:
    revision = world.define(name, environment={"GIVEN": "by the definition", "LEFT": "as it is"})
    tags = [{"key": "camunda:cluster", "value": "demo"}]
    changed = [{"name": "GIVEN", "value": "by the request"}, {"name": "MORE", "value": "1"}]
    overrides = {"containerOverrides": [{"name": "main", "environment": changed}]}
    first = world.run(name, count=3, startedBy="restore-1", tags=tags, overrides=overrides)
    assert len(first["tasks"]) == 2
    assert [one["reason"] for one in first["failures"]] == [
        (
            "Capacity is unavailable at this time. Please try again later or in a different"
            " availability zone"
        )
    ], "one of several finds no capacity at first"
    tasks = first["tasks"] + placed(
        world, name, 1, startedBy="restore-1", tags=tags, overrides=overrides
    )
    assert tasks[0]["tags"] == tags
    assert tasks[0]["lastStatus"] == "PROVISIONING"

    eventually(lambda: {one["lastStatus"] for one in world.described(tasks)} == {"RUNNING"}, 30)
    found = world.described(tasks, "TAGS")
    assert len({address(task) for task in found}) == 3
    for task in found:
        variables = ask(task)["variables"]
        assert (variables["GIVEN"], variables["LEFT"], variables["MORE"]) == (
            "by the request",
            "as it is",
            "1",
        )
        assert task["taskDefinitionArn"] == revision
        assert (task["group"], task["startedBy"]) == (f"family:{name}", "restore-1")
        assert task["overrides"]["containerOverrides"] == overrides["containerOverrides"]
        assert (task["launchType"], task["tags"]) == ("FARGATE", tags)
    arns = {one["taskArn"] for one in tasks}
    assert set(world.ecs.list_tasks(cluster="c", startedBy="restore-1")["taskArns"]) == arns
    assert set(world.ecs.list_tasks(cluster="c", family=name)["taskArns"]) == arns
    assert {known["service"] for arn, known in world.known().items() if arn in arns} == {""}
    (described,) = world.ecs.describe_clusters(clusters=["c"])["clusters"]
    assert described["runningTasksCount"] == 3

    with pytest.raises(world.ecs.exceptions.InvalidParameterException, match="only filter"):
        world.ecs.list_tasks(cluster="c", startedBy="restore-1", desiredStatus="STOPPED")
    with pytest.raises(world.ecs.exceptions.ClusterContainsTasksException):
        world.ecs.delete_cluster(cluster="c")
    refused = world.ecs.update_task_protection(
        cluster="c", tasks=[tasks[0]["taskArn"]], protectionEnabled=True
    )
    assert [one["reason"] for one in refused["failures"]] == ["TASK_NOT_VALID"]

    for task in tasks:
        world.ecs.stop_task(cluster="c", task=task["taskArn"], reason="enough")
    for task in stopped(world, tasks):
        assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "enough")
        assert task["containers"][0]["exitCode"] == 0
    assert world.ecs.list_tasks(cluster="c", startedBy="restore-1")["taskArns"] == []


@pytest.mark.parametrize("code", [0, 3])
def test_a_task_is_over_with_its_essential_container_and_nothing_replaces_it(
    world: World, name: str, code: int
) -> None:
    world.define(name, entryPoint=["/bin/sh", "-c"], command=["exit 9"])
    command = {"name": "main", "command": [f"echo over; exit {code}"]}
    (task,) = placed(world, name, 1, overrides={"containerOverrides": [command]})
    (task,) = stopped(world, [task])
    assert (task["stopCode"], task["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )
    assert task["desiredStatus"] == "STOPPED"
    assert task["containers"][0]["exitCode"] == code
    assert world.ecs.list_tasks(cluster="c", family=name)["taskArns"] == []
    stream = f"p/main/{task['taskArn'].rsplit('/', 1)[-1]}"
    events = eventually(
        lambda: world.client("logs").get_log_events(
            logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True
        )["events"]
    )
    assert events[0]["message"] == "over"


def test_a_task_that_cannot_start_is_over_and_gives_the_reason(world: World, name: str) -> None:
    world.define(name, image="nowhere/unknown:1", entryPoint=[])
    (task,) = stopped(world, placed(world, name, 1))
    assert task["stopCode"] == "TaskFailedToStart"
    assert "CannotPullContainerError" in task["stoppedReason"]
    assert "exitCode" not in task["containers"][0]


def test_an_unhealthy_task_of_no_service_goes_on(world: World, name: str) -> None:
    check = {
        "command": ["CMD-SHELL", "wget --spider --quiet http://localhost:9600/sick || exit 1"],
        "interval": 5,
        "timeout": 2,
        "retries": 1,
    }
    world.define(name, healthCheck=check)
    (task,) = placed(world, name, 1)
    eventually(lambda: world.described([task])[0]["healthStatus"] == "UNHEALTHY", 30)
    ask(world.described([task])[0])
    assert world.described([task])[0]["lastStatus"] == "RUNNING"
    world.ecs.stop_task(cluster="c", task=task["taskArn"])
    stopped(world, [task])


def test_the_same_client_token_runs_nothing_twice(world: World, name: str) -> None:
    world.define(name)
    token = f"{name}-1"
    first = eventually(lambda: world.run(name, clientToken=token)["tasks"])
    again = world.run(name, clientToken=token)["tasks"]
    assert [one["taskArn"] for one in again] == [one["taskArn"] for one in first]
    with pytest.raises(world.ecs.exceptions.ConflictException):
        world.run(name, clientToken=token, count=2)
    assert len(world.ecs.list_tasks(cluster="c", family=name)["taskArns"]) == 1
    world.ecs.stop_task(cluster="c", task=first[0]["taskArn"])
    stopped(world, first)


def test_what_cannot_be_run_is_rejected_and_nothing_runs(world: World, name: str) -> None:
    revision = world.define(name)
    with pytest.raises(world.ecs.exceptions.ClientException, match="TaskDefinition not found"):
        world.run(f"{name}:99")
    with pytest.raises(world.ecs.exceptions.InvalidParameterException, match="named other is not"):
        world.run(name, overrides={"containerOverrides": [{"name": "other"}]})
    with pytest.raises(world.ecs.exceptions.InvalidParameterException, match="Network Config"):
        world.ecs.run_task(cluster="c", taskDefinition=name, launchType="FARGATE")
    with pytest.raises(world.ecs.exceptions.ClusterNotFoundException):
        world.ecs.run_task(cluster="other", taskDefinition=name, launchType="FARGATE")
    world.ecs.deregister_task_definition(taskDefinition=revision)
    with pytest.raises(world.ecs.exceptions.ClientException, match="TaskDefinition is inactive"):
        world.run(revision)
    assert world.ecs.list_tasks(cluster="c", family=name)["taskArns"] == []


def test_brokers_restore_by_their_own_definition_with_other_variables(
    world: World, name: str
) -> None:
    """The deployed revision runs once with ZEEBE_RESTORE, and its exit code is the answer."""
    s3, keys = world.client("s3"), world.instance.config.keys
    buckets = {what: f"{what}-{uuid.uuid4().hex[:8]}" for what in ("leases", "backups")}
    for bucket in buckets.values():
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    manifest = {
        "checkpointPosition": 70,
        "createdAt": "2026-11-28T07:00:07Z",
        "brokerVersion": "8.9.16",
        "partitionCount": 1,
        "replicationFactor": 1,
        "checkpointType": "MANUAL_BACKUP",
    }
    state = json.dumps(empty() | {"position": 70}).encode()
    Backups(s3, buckets["backups"]).put(7, 1, state, manifest)
    environment = {
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": world.instance.config.aws_endpoint,
        "CAMUNDA_CLUSTER_NODEIDPROVIDER_TYPE": "s3",
        "CAMUNDA_CLUSTER_NODEIDPROVIDER_S3_BUCKETNAME": buckets["leases"],
        "CAMUNDA_CLUSTER_NODEIDPROVIDER_S3_LEASEDURATION": "PT3S",
        "CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_S3_BUCKETNAME": buckets["backups"],
        "CAMUNDA_DATA_PRIMARYSTORAGE_DIRECTORY": "/usr/local/camunda/data",
    }
    container = {
        "name": "orchestration-cluster",
        "image": "camunda/camunda:8.9.16",
        "environment": [{"name": key, "value": value} for key, value in environment.items()],
        "mountPoints": [{"sourceVolume": "data", "containerPath": "/usr/local/camunda/data"}],
    }
    world.ecs.register_task_definition(
        family=name,
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        containerDefinitions=[container],
        volumes=[{"name": "data", "efsVolumeConfiguration": {"fileSystemId": f"fs-{name}"}}],
    )

    def restored(backup: int) -> tuple[int, str]:
        variables = {"ZEEBE_RESTORE": "true", "ZEEBE_RESTORE_FROM_BACKUP_ID": str(backup)}
        given = [{"name": key, "value": value} for key, value in variables.items()]
        override = {"name": "orchestration-cluster", "environment": given}
        started_by = f"restore-{uuid.uuid4().hex}"
        overrides = {"containerOverrides": [override]}
        tasks = placed(world, name, 1, startedBy=started_by, overrides=overrides)
        (task,) = stopped(world, tasks)
        assert task["stopCode"] == "EssentialContainerExited"
        log = world.instance.config.root / "fargate" / "tasks" / task["taskArn"].split("/")[-1]
        return task["containers"][0]["exitCode"], (log / "orchestration-cluster.log").read_text()

    code, log = restored(9)
    assert code == 1
    assert "The restore failed: The backup cannot be restored: 9: it does not exist" in log
    code, log = restored(7)
    assert code == 0, log
    assert "Successfully restored broker from backup 7" in log
    data = world.instance.config.root / "fargate" / "efs" / f"fs-{name}"
    (seed,) = data.rglob("seed.json")
    assert json.loads(seed.read_text())["position"] == 70
    code, log = restored(7)
    assert code == 0, "repeating it is harmless"
    assert "has already been restored" in log
