"""A small ECS set-up whose containers are `fargate_stub.py`."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import instance
from local.component import Instance
from local.config import LocalConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STUB = Path(__file__).with_name("fargate_stub.py")
LOG_GROUP = "/brokers"


def eventually(condition: Callable[[], Any], seconds: float = 15) -> Any:
    """First true answer; fails the test after that long."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"still not: {condition}"
        time.sleep(0.05)
    return answer


@dataclass
class World:
    """An instance with an ECS cluster `c` and a service at a time."""

    instance: Instance
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, name: str) -> Any:
        if name not in self.clients:
            self.clients[name] = self.instance.client(name)
        return self.clients[name]

    @property
    def ecs(self) -> Any:
        return self.client("ecs")

    def define(self, family: str, **container: Any) -> str:
        """Register a task definition; the container is a broker's, but for its command."""
        ids = Path(tempfile.mkdtemp(dir=self.instance.config.root))
        environment = {"TAKES_NODE_ID": "9", "NODE_IDS": str(ids)} | container.pop(
            "environment", {}
        )
        definition = {
            "name": "main",
            "image": "camunda/camunda:8.9.16",
            "entryPoint": [sys.executable, str(STUB)],
            "environment": [{"name": key, "value": one} for key, one in environment.items()],
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {"awslogs-group": LOG_GROUP, "awslogs-stream-prefix": "p"},
            },
        }
        answer = self.ecs.register_task_definition(
            family=family,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            containerDefinitions=[definition | container, *container.pop("beside", [])],
        )
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def create(self, name: str, family: str, count: int, **options: Any) -> None:
        self.ecs.create_service(
            cluster="c",
            serviceName=name,
            taskDefinition=family,
            desiredCount=count,
            launchType="FARGATE",
            deploymentConfiguration={
                "minimumHealthyPercent": 66,
                "maximumPercent": 100,
                "deploymentCircuitBreaker": {"enable": True, "rollback": False},
            },
            **options,
        )

    def run(self, family: str, **options: Any) -> dict[str, Any]:
        """Run tasks that no service runs, until there was capacity for all of them."""
        if "network" not in self.clients:
            ec2 = self.client("ec2")
            vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
            subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
            self.clients["network"] = {"awsvpcConfiguration": {"subnets": [subnet]}}
        answer = self.ecs.run_task(
            cluster="c",
            taskDefinition=family,
            launchType="FARGATE",
            networkConfiguration=self.clients["network"],
            **options,
        )
        return {name: answer[name] for name in ("tasks", "failures")}

    def described(self, tasks: list[dict[str, Any]], *include: str) -> list[dict[str, Any]]:
        """Give these tasks as they are now."""
        arns = [one["taskArn"] for one in tasks]
        found = self.ecs.describe_tasks(cluster="c", tasks=arns, include=list(include))
        return list(found["tasks"])

    def service(self, name: str) -> dict[str, Any]:
        found = self.ecs.describe_services(cluster="c", services=[name])["services"]
        return dict(found[0])

    def rollout(self, name: str) -> str:
        return str(self.service(name)["deployments"][0]["rolloutState"])

    def tasks(self, name: str, desired: str = "RUNNING") -> list[dict[str, Any]]:
        arns = self.ecs.list_tasks(cluster="c", serviceName=name, desiredStatus=desired)["taskArns"]
        return list(self.ecs.describe_tasks(cluster="c", tasks=arns)["tasks"]) if arns else []

    def running(self, name: str, count: int) -> list[dict[str, Any]]:
        """Wait for exactly so many running tasks, and nothing on its way."""

        def met() -> list[dict[str, Any]] | None:
            found = self.tasks(name)
            steady = [one for one in found if one["lastStatus"] == "RUNNING"]
            return steady if len(steady) == len(found) == count else None

        eventually(lambda: met() is not None)
        return self.tasks(name)

    def known(self) -> dict[str, dict[str, Any]]:
        """What `tasks.json` says, by task ARN."""
        try:
            listed = json.loads((self.instance.config.root / "tasks.json").read_text())
        except FileNotFoundError:
            listed = []
        return {one["taskArn"]: one for one in listed}

    def node_ids(self, name: str) -> dict[int, dict[str, Any]]:
        """Tasks by node id, once all of them have one."""

        def found() -> dict[int | None, dict[str, Any]]:
            known = self.known()
            return {known.get(one["taskArn"], {}).get("nodeId"): one for one in self.tasks(name)}

        eventually(lambda: None not in found())
        return {node: task for node, task in found().items() if node is not None}

    def remove(self, name: str) -> None:
        self.ecs.delete_service(cluster="c", service=name, force=True)
        eventually(lambda: self.service(name)["status"] == "INACTIVE")


def address(task: dict[str, Any]) -> str:
    """What the product reads: the private address of the task's network interface."""
    found: str = next(
        one["value"]
        for one in task["attachments"][0]["details"]
        if one["name"] == "privateIPv4Address"
    )
    return found


@contextmanager
def hosted(root: Path, block: str) -> Iterator[World]:
    """A running instance with tasks and load balancers only; nothing of it survives."""
    here = Instance.of(LocalConfig(root, block))
    host = instance.start(here, components=["fargate", "proxy"])
    try:
        world = World(here)
        world.ecs.create_cluster(clusterName="c")
        world.client("logs").create_log_group(logGroupName=LOG_GROUP)
        yield world
    finally:
        host.stop(grace=40)
        assert here.processes.survivors() == []
