"""How much work the local brokers take through the load balancer.

``python -m benchmarks.work [--endpoints FILE] [--clients N] [--seconds S]`` against what `make up`
left running, with the processors to itself. Each client creates an instance after the other over
a connection of its own; then the same clients complete the jobs of those instances.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.artifacts import write
from benchmarks.scaling import Cluster
from local.config import CONTROL_STACK
from tests.support.traffic import JOB_TYPE, PROCESS_ID, Client, Log, deploy

if TYPE_CHECKING:
    from collections.abc import Callable

CREATED_PER_SECOND = 100


def user(cluster: Cluster) -> tuple[str, str]:
    """Give name and password of the administrator, from the cluster's secret."""
    stack = f"{CONTROL_STACK}-{cluster.found['clusterName']}"
    described = cluster.aws("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in described["Outputs"]}
    stored = cluster.aws("secretsmanager").get_secret_value(SecretId=outputs["AdminUserSecretArn"])
    secret = json.loads(stored["SecretString"])
    return secret["username"], secret["password"]


def rate(clients: list[Client], seconds: float, turn: Callable[[Client], int]) -> dict[str, float]:
    """Let all clients take turns for so many seconds; a turn gives how much it did."""
    done, took = [0] * len(clients), [list[float]() for _ in clients]
    start = threading.Barrier(len(clients) + 1)
    over = threading.Event()

    def run(number: int) -> None:
        start.wait()
        while not over.is_set():
            began = time.monotonic()
            count = turn(clients[number])
            if count:
                took[number].append(time.monotonic() - began)
            elif over.wait(0.01):
                return
            done[number] += count

    threads = [threading.Thread(target=run, args=(one,)) for one in range(len(clients))]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.monotonic()
    time.sleep(seconds)
    over.set()
    for thread in threads:
        thread.join()
    elapsed = time.monotonic() - began
    times = sorted(one for each in took for one in each)
    return {
        "per_second": round(sum(done) / elapsed, 1),
        "median_ms": round(1000 * statistics.median(times), 1),
        "p99_ms": round(1000 * times[int(len(times) * 0.99)], 1),
    }


def create(client: Client) -> int:
    """Create an instance; give how many were acknowledged."""
    body = {"processDefinitionId": PROCESS_ID, "variables": {"key": "k"}}
    return int(client.ask("process-instances", body)[0] == 200)


def complete(client: Client) -> int:
    """Take some jobs and complete them; give how many were acknowledged."""
    wanted = {"type": JOB_TYPE, "worker": "benchmark", "timeout": 60_000}
    _, found = client.ask(
        "jobs/activation", {**wanted, "maxJobsToActivate": 5, "requestTimeout": -1}
    )
    return sum(
        client.ask(f"jobs/{job['jobKey']}/completion", {})[0] == 204
        for job in found.get("jobs", [])
    )


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=Path, default=Path(".local/endpoints.json"))
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    cluster = Cluster(given.endpoints)
    login, address = user(cluster), cluster.found["alb"]
    clients = [Client([address], one, *login) for one in range(given.clients)]
    with tempfile.NamedTemporaryFile() as log:
        deploy(clients[0], Log(Path(log.name)), threading.Event())
    figures = {
        "created": rate(clients, given.seconds, create),
        "completed": rate(clients, given.seconds, complete),
    }
    rows = [
        f"| {name} | {one['per_second']} | {one['median_ms']} | {one['p99_ms']} |"
        for name, one in figures.items()
    ]
    table = "\n".join(
        [
            f"{given.clients} clients, three local brokers, three partitions, factor 3; a",
            f"turn is a creation, or jobs and their completions; at least {CREATED_PER_SECOND}",
            "created a second.",
            "",
            "| | a second | median of a turn, ms | 99th percentile, ms |",
            "|---|---|---|---|",
            *rows,
        ]
    )
    write("work", {"clients": given.clients, **figures}, table)


if __name__ == "__main__":
    main()
