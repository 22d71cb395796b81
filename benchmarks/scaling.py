"""What the scale machine adds to scaling by hand, and what it costs.

``python -m benchmarks.scaling [--endpoints FILE] [--rounds N]`` against what
``LAMBDA_MAX_WORKERS=16 make up`` left running, so that functions stay warm. Each round scales
3→4→3 twice, in turn: through the API, and by a script that makes the same calls and looks again
five times a second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.credentials import Credentials
from lifecycle.adapters.camunda.management import HttpManagement
from lifecycle.camunda.topology import ReadinessState, formation
from lifecycle.errors import LifecycleError
from lifecycle.services.brokers import holders
from lifecycle.services.definition import minimum_healthy_percent

from benchmarks.artifacts import write
from local.config import CONTROL_STACK
from tools.api_client import Answer, Client

if TYPE_CHECKING:
    from collections.abc import Callable

ADDED_SECONDS = 6
FIXED, PER_POLL = 40, 3
ACCEPTED_MS = 300
ACCEPTED_ROUNDS = 20
# https://aws.amazon.com/step-functions/pricing/, standard workflows, us-east-1.
USD_PER_TRANSITION = 0.000025
SERVICE = "orchestration-cluster"
PARTITIONS = FACTOR = 3
# Short enough to be perfect, and long enough to leave the processors to the brokers.
_PAUSE = 0.2


@dataclass(frozen=True)
class Cluster:
    """The cluster that runs, by the addresses that its instance wrote down."""

    endpoints: Path

    @property
    def found(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.endpoints.read_text())
        return found

    def aws(self, service: str) -> Any:
        found = self.found
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=found["aws"],
            region_name=found["region"],
            aws_access_key_id=found["accessKeyId"],
            aws_secret_access_key=found["secretAccessKey"],
        )

    @property
    def api(self) -> Client:
        found = self.found
        keys = Credentials(found["accessKeyId"], found["secretAccessKey"])
        return Client(found["api"], found["region"], keys)

    @property
    def ecs_cluster(self) -> str:
        return f"{CONTROL_STACK}-{self.found['clusterName']}"

    def request(self, count: int) -> Answer:
        path = f"/clusters/{self.found['clusterName']}/brokers"
        answer = self.api.ask("PUT", path, {"count": count}, key=uuid.uuid4().hex)
        if answer.status != 202:
            raise RuntimeError(answer)
        return answer

    def ended(self, arn: str) -> dict[str, Any]:
        states = self.aws("stepfunctions")
        until(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING", 0.2)
        found: dict[str, Any] = states.describe_execution(executionArn=arn)
        if found["status"] != "SUCCEEDED":
            raise RuntimeError(found)
        return found

    def management(self) -> HttpManagement:
        hosts = tuple(urlsplit(one["management"]).hostname or "" for one in self.found["brokers"])
        return HttpManagement("brokers", resolve=lambda _name, _port: hosts)


def through_the_api(cluster: Cluster, count: int) -> tuple[float, str]:
    """Seconds from the request until the execution has ended, and the execution's ARN."""
    began = time.time()
    arn = cluster.request(count).document["execution"]
    return cluster.ended(arn)["stopDate"].timestamp() - began, str(arn)


def by_script(cluster: Cluster, count: int) -> float:
    """Seconds for the same calls in the same order, each as soon as it can be made."""
    began = time.monotonic()
    ecs, api = cluster.aws("ecs"), cluster.management()
    api.topology()
    before = len(api.configuration().members)
    api.plan_brokers(count)
    if count > before:
        set_count(ecs, cluster.ecs_cluster, count)
        until(lambda: len(addresses(ecs, cluster.ecs_cluster)) == count)
    change = api.scale_brokers(count).change_id
    until(lambda: over(api, change))
    if count < before:
        lower(cluster, ecs, api, count)
    until(lambda: formed(api, count))
    return time.monotonic() - began


def lower(cluster: Cluster, ecs: Any, api: HttpManagement, count: int) -> None:
    """Protect who stays, lower the count, wait until ECS is done, take the protection away."""
    tasks = addresses(ecs, cluster.ecs_cluster)
    at = {one.host: one.node_id for one in api.topology().brokers}
    stay = [arn for address, arn in tasks.items() if at[address] in range(count)]
    ecs.update_task_protection(
        cluster=cluster.ecs_cluster, tasks=stay, protectionEnabled=True, expiresInMinutes=15
    )
    set_count(ecs, cluster.ecs_cluster, count)
    until(lambda: sorted(addresses(ecs, cluster.ecs_cluster).values()) == sorted(stay))
    ecs.update_task_protection(cluster=cluster.ecs_cluster, tasks=stay, protectionEnabled=False)


def set_count(ecs: Any, ecs_cluster: str, count: int) -> None:
    found = ecs.describe_services(cluster=ecs_cluster, services=[SERVICE])["services"][0]
    configuration = {
        **found["deploymentConfiguration"],
        "minimumHealthyPercent": minimum_healthy_percent(count),
    }
    ecs.update_service(
        cluster=ecs_cluster,
        service=SERVICE,
        desiredCount=count,
        deploymentConfiguration=configuration,
    )


def addresses(ecs: Any, ecs_cluster: str) -> dict[str, str]:
    """Tasks that run and are to stay: ARN by address."""
    arns = ecs.list_tasks(cluster=ecs_cluster, serviceName=SERVICE)["taskArns"]
    found = {}
    for task in ecs.describe_tasks(cluster=ecs_cluster, tasks=arns)["tasks"]:
        details = [detail for one in task["attachments"] for detail in one["details"]]
        address = next((d["value"] for d in details if d["name"] == "privateIPv4Address"), "")
        if address and (task["lastStatus"], task["desiredStatus"]) == ("RUNNING", "RUNNING"):
            found[address] = task["taskArn"]
    return found


def over(api: HttpManagement, change: int) -> bool:
    try:
        configuration = api.configuration()
    except LifecycleError:
        return False
    last = configuration.last_change
    return configuration.pending_change is None and last is not None and last.id == change


def formed(api: HttpManagement, count: int) -> bool:
    """What the machine's last look asks for, too."""
    try:
        configuration, topology = api.configuration(), api.topology()
        found = formation(
            configuration, topology, brokers=count, partitions=PARTITIONS, replication_factor=FACTOR
        )
        needed = holders(configuration)
        ready = all(
            api.readiness(one.host).state is ReadinessState.READY
            for one in topology.brokers
            if one.node_id in needed
        )
    except LifecycleError:
        return False
    return found.formed and ready


def until(condition: Callable[[], bool], pause: float = _PAUSE, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(pause)


def transitions(cluster: Cluster, arn: str) -> dict[str, Any]:
    """State transitions of one execution, how many were polls, and the time spent waiting."""
    pages = cluster.aws("stepfunctions").get_paginator("get_execution_history")
    events = [event for page in pages.paginate(executionArn=arn) for event in page["events"]]
    entered = [one for one in events if one["type"].endswith("StateEntered")]
    polls = sum(one["type"] == "WaitStateEntered" for one in entered)
    return {
        "transitions": len(entered),
        "polls": polls,
        "allowed": FIXED + PER_POLL * polls,
        "usd": len(entered) * USD_PER_TRANSITION,
    }


def accepted(cluster: Cluster) -> list[float]:
    """Milliseconds until a 202, each for a new operation that finds nothing to do."""
    found = []
    for _ in range(ACCEPTED_ROUNDS):
        answer = cluster.request(3)
        found.append(answer.seconds * 1000)
        cluster.ended(answer.document["execution"])
    return found


def measure(cluster: Cluster, rounds: int) -> dict[str, Any]:
    """Warm everything up, then measure pairs."""
    through_the_api(cluster, 4)
    through_the_api(cluster, 3)
    pairs: dict[str, list[dict[str, Any]]] = {"3→4": [], "4→3": []}
    operations = []
    for number in range(rounds):
        # Neither is always first: what the first warms up would serve the other.
        for api_first in (number % 2 == 0, number % 2 == 1):
            for change, count in (("3→4", 4), ("4→3", 3)):
                if api_first:
                    seconds, arn = through_the_api(cluster, count)
                    operations.append({"change": change, **transitions(cluster, arn)})
                    pairs[change].append({"api": seconds})
                else:
                    pairs[change].append({"script": by_script(cluster, count)})
    answered = accepted(cluster)
    return {
        "rounds": rounds,
        "changes": {change: summary(found) for change, found in pairs.items()},
        "operations": operations,
        "acceptedMs": {
            "median": statistics.median(answered),
            "most": max(answered),
            "within": sum(one <= ACCEPTED_MS for one in answered),
            "requests": len(answered),
        },
    }


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    api = [one["api"] for one in found if "api" in one]
    script = [one["script"] for one in found if "script" in one]
    return {
        "apiSeconds": api,
        "scriptSeconds": script,
        "addedSeconds": statistics.median(api) - statistics.median(script),
    }


def table(figures: dict[str, Any]) -> str:
    rows = [
        f"| {change} | {statistics.median(one['apiSeconds']):.1f} "
        f"| {statistics.median(one['scriptSeconds']):.1f} | {one['addedSeconds']:.1f} |"
        for change, one in figures["changes"].items()
    ]
    steps = [
        f"| {one['change']} | {one['transitions']} | {one['polls']} | {one['allowed']} "
        f"| {one['usd']:.5f} |"
        for one in figures["operations"]
    ]
    answer = figures["acceptedMs"]
    return f"""Median of {figures["rounds"]} pairs.

| change | through the API, s | by script, s | added, s (at most {ADDED_SECONDS}) |
|---|---|---|---|
{"\n".join(rows)}

| operation | transitions | polls | allowed ({FIXED} + {PER_POLL} per poll) | USD |
|---|---|---|---|---|
{"\n".join(steps)}

202 for a new operation, warm, {answer["requests"]} times: median {answer["median"]:.0f} ms, most
{answer["most"]:.0f} ms; {answer["within"]} within {ACCEPTED_MS} ms.
"""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=Path, default=Path(".local") / "endpoints.json")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    figures = measure(Cluster(options.endpoints), options.rounds)
    write("scaling", figures, table(figures))


if __name__ == "__main__":
    main()
