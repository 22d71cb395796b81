"""A running instance as its users see it: driven with boto3, by the addresses it wrote down."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

import boto3
from lifecycle.operation.model import FUNCTION_SECONDS

from local.component import Instance
from local.config import CONTROL_STACK, REPOSITORY, LocalConfig
from local.instance import leftovers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REQUEST = json.loads((REPOSITORY / "events" / "provision-local.json").read_text())
# Seconds until a cluster is free whose operation was stopped while a function of it ran.
FREE_AGAIN = FUNCTION_SECONDS + 20


@contextlib.contextmanager
def running(root: Path, block: str) -> Iterator[Instance]:
    """`make up`, and at the end `make down`, which leaves nothing."""
    instance = Instance.of(LocalConfig(root, block))

    def command(name: str) -> subprocess.CompletedProcess[str]:
        options = ["--root", str(root), "--block", block]
        return subprocess.run(  # noqa: S603
            [sys.executable, "-m", "local", name, *options],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=600,  # a first build beside other tests
            check=False,
        )

    try:
        up = command("up")
        assert up.returncode == 0, up.stdout + up.stderr
        yield instance
    finally:
        command("down")
        assert leftovers(instance) == []


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def other_retention(cloud: Cloud) -> int:
    """Days that logs of the cluster `demo` are not kept at present: a harmless change."""
    return 60 if cloud.retention() != 60 else 90


class Cloud:
    """A running instance, driven with boto3 alone."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        found = json.loads(instance.config.endpoints_file.read_text())
        self._client = {
            "endpoint_url": found["aws"],
            "region_name": found["region"],
            "aws_access_key_id": found["accessKeyId"],
            "aws_secret_access_key": found["secretAccessKey"],
        }
        self._clients: dict[str, Any] = {}
        self.machine: str = found["stateMachines"]["provision"]

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(  # type: ignore[call-overload]
                service, **self._client
            )
        return self._clients[service]

    def start(self, request: Any, machine: str = "provision", name: str = "") -> str:
        """Start a machine as the console would; gives the execution's ARN."""
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=self.machine.replace("-provision", f"-{machine}"),
            name=name or str(uuid.uuid4()),
            input=json.dumps(request),
        )
        return str(started["executionArn"])

    def ended(self, execution: str, seconds: float = 120) -> dict[str, Any]:
        states = self.client("stepfunctions")
        found: dict[str, Any] = {}

        def over() -> bool:
            found.update(states.describe_execution(executionArn=execution))
            return bool(found["status"] != "RUNNING")

        assert eventually(over, seconds), "the execution did not end"
        return found

    def stacks(self) -> set[str]:
        return {
            stack["StackName"]
            for stack in self.client("cloudformation").describe_stacks()["Stacks"]
        }

    def counts(self, cluster: str) -> dict[str, tuple[int, int]]:
        services = self.client("ecs").describe_services(
            cluster=f"{CONTROL_STACK}-{cluster}", services=["orchestration-cluster", "connectors"]
        )["services"]
        return {s["serviceName"]: (s["desiredCount"], s["runningCount"]) for s in services}

    def healthy(self) -> bool:
        return self.counts("demo") == {"orchestration-cluster": (3, 3), "connectors": (1, 1)}

    def locks(self) -> list[Any]:
        """Locks that hold a cluster; one of an operation that ended may wait for its functions."""
        table = self.outputs(CONTROL_STACK)["TableName"]
        items = self.client("dynamodb").scan(TableName=table)["Items"]
        locks = [item for item in items if item["pk"]["S"].startswith("LOCK#")]
        return [item for item in locks if int(item["expiresAt"]["N"]) > time.time()]

    def run(self, machine: str, request: Any, seconds: float = 240) -> dict[str, Any]:
        """Run one machine to its end, which has to be a good one; gives its output."""
        ended = self.ended(self.start(request, machine), seconds)
        assert ended["status"] == "SUCCEEDED", ended.get("cause", ended)
        return dict(json.loads(ended["output"]))

    def clusters(self) -> set[str]:
        """Names of the clusters that have a stack."""
        return {
            output["OutputValue"]
            for stack in self.client("cloudformation").describe_stacks()["Stacks"]
            for output in stack.get("Outputs", [])
            if output["OutputKey"] == "ClusterName"
        }

    def given(self, brokers: int) -> None:
        """Start a case with so many brokers of `demo`, whatever a case before left."""
        if self.counts("demo")["orchestration-cluster"] != (brokers, brokers):
            self.run("scale", {"clusterName": "demo", "count": brokers})

    def given_standing(self) -> None:
        """Start a case with the cluster `demo` as it is made at first."""
        if not self.standing("demo"):
            self.run("provision", REQUEST)

    def given_gone(self) -> None:
        """Start a case after the cluster `demo` was torn down."""
        if self.standing("demo"):
            self.run("teardown", {"clusterName": "demo", "confirm": "demo"})

    def rest(self) -> None:
        """Leave one cluster, as it is made at first, whatever an earlier module did."""
        for name in self.clusters() - {"demo"}:
            self.run("teardown", {"clusterName": name, "confirm": name})
        if not self.standing("demo") or not self.healthy() or self.retention() != 30:
            request = {
                **REQUEST,
                "parameters": {**REQUEST["parameters"], "LogRetentionDays": 30},
            }
            ended = self.ended(self.start(request), 240)
            assert ended["status"] == "SUCCEEDED", ended.get("cause", ended)
        if not self.healthy():
            scaled = self.start({"clusterName": "demo", "count": 3}, "scale")
            assert self.ended(scaled, 240)["status"] == "SUCCEEDED"
        assert eventually(self.healthy, 60)

    def standing(self, cluster: str) -> bool:
        return f"{CONTROL_STACK}-{cluster}" in self.stacks()

    def outputs(self, stack: str) -> dict[str, str]:
        found = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        return {entry["OutputKey"]: entry["OutputValue"] for entry in found["Outputs"]}

    def retention(self) -> int:
        """Days for which the log group of the cluster `demo` keeps what it has."""
        name = self.outputs(f"{CONTROL_STACK}-demo")["OrchestrationLogGroup"]
        groups = self.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        return int(next(one["retentionInDays"] for one in groups if one["logGroupName"] == name))
