"""What a health check takes and costs, for one cluster and for many.

``python -m benchmarks.health check|fleet [--endpoints FILE]`` against an instance that ``make up``
left running with ``CAMUNDA_LIFECYCLE_AUDIT_EVERY=1 LAMBDA_MAX_WORKERS=20``, so that requests can be
counted and four checks at once find warm functions. ``check`` times a warm check, counts its
requests and prices it per cluster and month. ``fleet`` makes 10, 100 and 400 clusters that all
name the parts of the one that runs (stacks of outputs, as an adopted cluster has), checks them all
by ``check_all_health``, each size several times, and removes them.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.artifacts import write
from local.config import CONTROL_STACK
from tools.generate_parameters import ROOT, load_template

PRICES = json.loads((Path(__file__).parent / "health_prices.json").read_text())
CHECKS_PER_MONTH = {"5 minutes": 12 * 730, "1 minute": 60 * 730}
COMPUTE_MOST = {"5 minutes": 0.15, "1 minute": 0.60}
WARM_MOST_SECONDS = 2.0
ROUNDS = 25
# Rounds by the number of clusters; small fleets vary more.
FLEETS = {10: 5, 100: 3, 400: 1}
FUNCTIONS = ("LocateCluster", "ProbeHealth", "ObserveHealth", "JudgeHealth")
# One alarm for the verdict, one for missing checks, three for Aurora and EFS; four metrics and the
# eleven of DetailedMetrics.
ALARMS, METRICS = 5, 17
# What is paid by the request, with the units that one is: the record of a check is below 2 KB,
# items that are read are below 4 KB, and a secret is read with its key.
PAID = {
    "s3:GetObject": ("bucketGet", 1),
    "secretsmanager:GetSecretValue": ("secretCall", 1),
    "secretsmanager:DescribeSecret": ("secretCall", 1),
    "kms:Decrypt": ("keyRequest", 1),
    "dynamodb:GetItem": ("tableRead", 1),
    "dynamodb:Query": ("tableRead", 1),
    "dynamodb:PutItem": ("tableWrite", 2),
    "dynamodb:UpdateItem": ("tableWrite", 2),
}
OF_THE_TABLE = ("tableRead", "tableWrite")
# Leases of three brokers, which the local ones do not write: a check reads them and their marker.
LEASES = 3
# An environment of a function asks once in half an hour whether the secrets are there.
SECRETS_DESCRIBED_PER_MONTH = 3 * 2 * 730


class Cloud:
    """A running instance, driven with boto3 alone."""

    def __init__(self, endpoints: Path) -> None:
        found = json.loads(endpoints.read_text())
        self._given = {
            "endpoint_url": found["aws"],
            "region_name": found["region"],
            "aws_access_key_id": found["accessKeyId"],
            "aws_secret_access_key": found["secretAccessKey"],
            "config": Config(inject_host_prefix=False, read_timeout=900),
        }
        self.machines = found["stateMachines"]
        self._audit = endpoints.parent / "logs" / "authorisation.jsonl"

    def client(self, service: str) -> Any:
        return boto3.client(service, **self._given)  # type: ignore[call-overload]

    def check(self, cluster: str = "demo") -> float:
        began = time.monotonic()
        answer = self.client("stepfunctions").start_sync_execution(
            stateMachineArn=self.machines["check_health"],
            input=json.dumps({"clusterName": cluster}),
        )
        if answer["status"] != "SUCCEEDED":
            raise RuntimeError(answer)
        return time.monotonic() - began

    def requests(self) -> Counter[str]:
        """Requests of all functions until now, by action."""
        lines = map(json.loads, self._audit.read_text().splitlines())
        return Counter(line["action"] for line in lines if line["session"])

    def invoke(self, logical_id: str, payload: Any) -> tuple[float, Any]:
        """Seconds of one invocation as its caller sees them, which is more than is billed."""
        detail = self.client("cloudformation").describe_stack_resource(
            StackName=CONTROL_STACK, LogicalResourceId=logical_id
        )
        api = self.client("lambda")
        function = detail["StackResourceDetail"]["PhysicalResourceId"]
        began = time.monotonic()
        answer = api.invoke(FunctionName=function, Payload=json.dumps(payload))
        body = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise RuntimeError(body)
        return time.monotonic() - began, body


def memory() -> dict[str, int]:
    """MB of each function, as the template sets them."""
    template = load_template(ROOT / "template.yaml")
    default = template["Globals"]["Function"]["MemorySize"]
    return {
        name: template["Resources"][name]["Properties"].get("MemorySize", default)
        for name in FUNCTIONS
    }


def check(cloud: Cloud) -> None:
    """Time warm checks and price them."""
    cloud.check()
    before = cloud.requests()
    whole = [cloud.check() for _ in range(ROUNDS)]
    made = cloud.requests() - before
    if not made:
        raise SystemExit("Not counted: `make up` needs CAMUNDA_LIFECYCLE_AUDIT_EVERY=1.")
    requests = {action: number / ROUNDS for action, number in sorted(made.items())}
    requests["s3:GetObject"] += LEASES
    seconds = functions(cloud)
    sizes = memory()
    price = prices(seconds, sizes, statistics.median(whole), requests)
    figures = {
        "wholeSeconds": {"median": statistics.median(whole), "most": max(whole)},
        "functionSeconds": seconds,
        "memoryMb": sizes,
        "requestsPerCheck": requests,
        "perMonth": price,
        "prices": PRICES,
    }
    rows = [f"| {name} | {seconds[name]:.2f} | {sizes[name]} |" for name in FUNCTIONS]
    parts = list(price["5 minutes"])
    header = f"| USD per cluster and month | {' | '.join(CHECKS_PER_MONTH)} |"
    table = [f"| {part} | {' | '.join(f'{price[r][part]:.2f}' for r in price)} |" for part in parts]
    text = "\n".join(
        [
            (
                f"A warm check of three brokers, {ROUNDS} times: median "
                f"{figures['wholeSeconds']['median']:.2f} s, most {max(whole):.2f} s "
                f"(at most {WARM_MOST_SECONDS:g} s)."
            ),
            "",
            "| function | seconds, median | MB |",
            "|---|---|---|",
            *rows,
            "",
            "Requests of a check, counted, and three of S3 for leases, which local brokers do not "
            "write: "
            + ", ".join(f"{action} {number:g}" for action, number in requests.items())
            + ".",
            "",
            header,
            "|---|---|---|",
            *table,
            "",
            (
                "Compute is Lambda, the Express machine, the schedule and the table: at most "
                f"{COMPUTE_MOST['5 minutes']:.2f} and {COMPUTE_MOST['1 minute']:.2f}. Prices: "
                f"{PRICES['region']}, {PRICES['asOf']}, {PRICES['source']}. Seconds are those of "
                "this machine, as the caller sees them; AWS's own answers take longer there."
            ),
        ]
    )
    write("health", figures, text)


def functions(cloud: Cloud) -> dict[str, float]:
    """Median seconds of each function, with what the machine would hand it."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    located = {"input": {"clusterName": "demo"}, "began": now}
    _, subject = cloud.invoke("LocateCluster", located)
    look = {"cluster": subject["outputs"]}
    _, inside = cloud.invoke("ProbeHealth", look)
    _, outside = cloud.invoke("ObserveHealth", look)
    payloads = {
        "LocateCluster": located,
        "ProbeHealth": look,
        "ObserveHealth": look,
        "JudgeHealth": {"subject": subject, "inside": inside, "outside": outside},
    }
    return {
        name: statistics.median(cloud.invoke(name, payload)[0] for _ in range(ROUNDS))
        for name, payload in payloads.items()
    }


def prices(
    seconds: dict[str, float], sizes: dict[str, int], whole: float, requests: dict[str, float]
) -> dict[str, Any]:
    """USD per cluster and month, by rate; ``requests`` are those of one check by action."""
    gb_seconds = sum(math.ceil(seconds[n] * 1000) / 1000 * sizes[n] / 1024 for n in FUNCTIONS)
    # Billed per started 100 ms and 64 MB.
    express = math.ceil(whole * 10) / 10 * 64 / 1024
    paid = [
        (price, number * units * PRICES[price])
        for action, number in requests.items()
        for price, units in [PAID.get(action, ("", 0))]
        if price
    ]
    compute = (
        len(FUNCTIONS) * PRICES["lambdaRequest"]
        + gb_seconds * PRICES["lambdaGbSecond"]
        + PRICES["expressRequest"]
        + express * PRICES["expressGbSecond"]
        + PRICES["scheduleInvocation"]
        + sum(one for price, one in paid if price in OF_THE_TABLE)
    )
    # Beside requests about 2 KB of log lines, metrics among them.
    reads = sum(one for price, one in paid if price not in OF_THE_TABLE) + 2e-6 * PRICES["logGb"]
    found: dict[str, Any] = {}
    for rate, checks in CHECKS_PER_MONTH.items():
        parts = {
            "compute": checks * compute,
            "API reads and logs": checks * reads
            + SECRETS_DESCRIBED_PER_MONTH * PRICES["secretCall"],
            "metrics": METRICS * PRICES["metricMonth"],
            "alarms": ALARMS * PRICES["alarmMonth"],
        }
        total = sum(parts.values())
        found[rate] = {
            **parts,
            "total": total,
            "with a dashboard of its own": total + PRICES["dashboardMonth"],
            "a canary of CloudWatch Synthetics at this rate, its Lambda not counted": checks
            * PRICES["canaryRun"],
        }
    return found


def fleet(cloud: Cloud) -> None:
    """Check fleets of several sizes, one after the other."""
    stacks = cloud.client("cloudformation")
    stack = stacks.describe_stacks(StackName=f"{CONTROL_STACK}-demo")["Stacks"][0]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    names = [f"fleet-{number:03}" for number in range(max(FLEETS) - 1)]
    results: dict[int, dict[str, Any]] = {}
    made = 0
    try:
        for size, rounds in FLEETS.items():
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda name: _adopt(stacks, name, outputs), names[made : size - 1]))
            made = size - 1
            found = [_checked(cloud, size) for _ in range(rounds)]
            results[size] = sorted(found, key=lambda one: float(one["seconds"]))[rounds // 2]
    finally:
        for name in names[:made]:
            stacks.delete_stack(StackName=f"{CONTROL_STACK}-{name}")
    write("health-fleet", {str(size): one for size, one in results.items()}, fleet_table(results))


def fleet_table(results: dict[int, dict[str, Any]]) -> str:
    """The results by size of the fleet, for people."""
    first = results[min(results)]["secondsPerCluster"]
    rows = [
        f"| {size} | {FLEETS[size]} | {one['seconds']:.1f} | {one['secondsPerCluster']:.2f} |"
        f" {one['verdicts']} | {one['usd']:.5f} | {one['usd'] / size * 1e6:.1f} |"
        for size, one in results.items()
    ]
    return "\n".join(
        [
            (
                "Every cluster names the parts of one that runs, so each check asks its brokers, "
                "its database and the emulator; four checks run at once. One process answers for "
                "all of AWS here, on two cores: the time is this machine's."
            ),
            "",
            "| clusters | rounds | seconds, median | per cluster | verdicts | USD | per million |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            "Per cluster, against the smallest fleet: "
            + ", ".join(
                f"{size}: {one['secondsPerCluster'] / first:.2f}" for size, one in results.items()
            )
            + " (at most 1 is no more than linear).",
        ]
    )


def _adopt(stacks: Any, name: str, outputs: dict[str, str]) -> None:
    template = {
        "Resources": {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    stacks.create_stack(
        StackName=f"{CONTROL_STACK}-{name}",
        TemplateBody=json.dumps(template),
        Tags=[
            {"Key": "camunda:control-plane", "Value": CONTROL_STACK},
            {"Key": "camunda:cluster", "Value": name},
        ],
    )
    stacks.get_waiter("stack_create_complete").wait(
        StackName=f"{CONTROL_STACK}-{name}", WaiterConfig={"Delay": 0.2, "MaxAttempts": 300}
    )


def _checked(cloud: Cloud, size: int) -> dict[str, Any]:
    states = cloud.client("stepfunctions")
    execution = states.start_execution(
        stateMachineArn=cloud.machines["check_all_health"], input="{}"
    )["executionArn"]
    while (found := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
        time.sleep(0.2)
    return result(found, size)


def result(found: dict[str, Any], size: int) -> dict[str, Any]:
    """What an execution that has ended says of a fleet of that size."""
    seconds = (found["stopDate"] - found["startDate"]).total_seconds()
    output = json.loads(found.get("output") or "{}")
    if output.get("checked") != size:
        raise RuntimeError(found)
    measured = json.loads((Path(__file__).parent / "results" / "health.json").read_text())
    each = measured["perMonth"]["5 minutes"]["compute"] / CHECKS_PER_MONTH["5 minutes"]
    # The standard machine: three transitions, and one more Express execution for each child.
    child = PRICES["expressRequest"] + PRICES["expressGbSecond"] * 64 / 1024
    return {
        "seconds": seconds,
        "secondsPerCluster": seconds / size,
        "verdicts": f"{output['healthy']} healthy, {len(output['degraded'])} degraded, "
        f"{len(output['unknown'])} unknown",
        "usd": size * (each + child) + 3 * 0.000025,
    }


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["check", "fleet"])
    parser.add_argument("--endpoints", type=Path, default=Path(".local") / "endpoints.json")
    options = parser.parse_args()
    cloud = Cloud(options.endpoints)
    check(cloud) if options.what == "check" else fleet(cloud)


if __name__ == "__main__":
    main()
