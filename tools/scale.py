"""`make scale N=4` and `make plan N=4`: scale the brokers of a cluster, or preview it (dry run).

`make scale PARTITIONS=6` and `make plan PARTITIONS=6` add partitions in the same way.

Against the instance of `make up` when one runs in `.local`, else against AWS with the credentials
and region of the environment. Exit code: 0 done, 1 refused or failed (the reason is printed).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text

from local.progress import explain
from tools.target import ENDPOINTS, clients, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POLL_SECONDS = 1.0
# What a shell gives for SIGINT.
INTERRUPTED = 130
STYLES = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red"}


class NotDoneError(Exception):
    """The state machine rejected the request or failed; the message is its error and cause."""


@dataclass(frozen=True)
class Control:
    """A deployed control stack."""

    client: Callable[[str], Any]
    stack: str

    def outputs(self) -> dict[str, str]:
        """Outputs of the control stack."""
        found = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"][0]
        return {one["OutputKey"]: one["OutputValue"] for one in found["Outputs"]}

    def start(self, verb: str, cluster: str, given: dict[str, Any]) -> str:
        """Start a machine; gives the execution's ARN."""
        machine = self.outputs()[f"{verb.capitalize()}Machine"]
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=machine,
            name=f"{cluster}.{verb}.{uuid.uuid4().hex[:12]}",
            input=json.dumps({"clusterName": cluster, **given}),
        )
        return str(started["executionArn"])

    def follow(self, execution: str, seconds: float = POLL_SECONDS) -> Iterator[tuple[str, str]]:
        """Give step and detail whenever they change, until the execution ends."""
        database, table = self.client("dynamodb"), self.outputs()["TableName"]
        *_, machine, name = execution.split(":")
        key = {"pk": {"S": f"OPERATION#{machine.rpartition('-')[2]}#{name}"}}
        before = ("", "")
        while True:
            ended = self._described(execution)["status"] != "RUNNING"
            item = database.get_item(TableName=table, Key=key).get("Item", {})
            now = (item.get("step", {}).get("S", ""), item.get("detail", {}).get("S", ""))
            if now != before:
                before = now
                yield now
            if ended:
                return
            time.sleep(seconds)

    def result(self, execution: str) -> dict[str, Any]:
        """Output of an execution that ended. Raises ``NotDoneError``."""
        found = self._described(execution)
        if found["status"] != "SUCCEEDED":
            raise NotDoneError(explain(found))
        output: dict[str, Any] = json.loads(found["output"])
        return output

    def stored(self, key: str) -> str:
        """Text of an object in the artifact bucket."""
        bucket = self.outputs()["ArtifactBucketName"]
        body = self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return str(body.decode())

    def _described(self, execution: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client("stepfunctions").describe_execution(
            executionArn=execution
        )
        return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command, show its progress, return the exit code."""
    parser = argparse.ArgumentParser(prog="make scale", description=__doc__)
    parser.add_argument("verb", choices=["scale", "plan"])
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument("count", type=int, nargs="?", help="number of brokers")
    goal.add_argument("--partitions", type=int, help="number of partitions")
    parser.add_argument("--cluster", default="demo")
    parser.add_argument("--control-stack", default="camunda-lifecycle")
    parser.add_argument("--endpoints", type=Path, default=ENDPOINTS, help="of `make up`")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    control = Control(clients(options.endpoints), options.control_stack)
    act = plan if options.verb == "plan" else scale
    asked = {"count": options.count}
    if options.partitions is not None:
        asked = {"partitions": options.partitions}
    try:
        for line in act(control, options.cluster, asked):
            console.print(line)
    except (NotDoneError, BotoCoreError, ClientError, KeyError) as error:
        console.print(Text(told(error, options.endpoints), style="bold red"))
        return 1
    except KeyboardInterrupt:
        words = (
            f"Stopped following. The {options.verb} execution is still running; see it in the Step "
            "Functions console, or run `make health`. The same command is rejected while it "
            "runs and harmless afterwards."
        )
        console.print(Text(words, style="bold yellow"))
        return INTERRUPTED
    return 0


def plan(control: Control, cluster: str, asked: dict[str, int]) -> Iterator[Text]:
    """Run the plan machine and return the plan's text."""
    execution = control.start("plan", cluster, {"scale": asked})
    for _ in control.follow(execution, 0.3):
        pass
    yield Text(control.stored(control.result(execution)["plan"]["textKey"]))


def scale(control: Control, cluster: str, asked: dict[str, int]) -> Iterator[Text]:
    """Scale, giving a line for each step on the way and the checks at the end."""
    execution = control.start("scale", cluster, asked)
    began = time.monotonic()
    for step, detail in control.follow(execution):
        yield Text.assemble(
            (f"{time.monotonic() - began:6.1f} s  ", "dim"), f"{step:15}  ", (detail, "cyan")
        )
    done = control.result(execution)
    yield from lines(done, time.monotonic() - began)


def lines(done: dict[str, Any], seconds: float) -> Iterator[Text]:
    """The end of a scale operation in lines."""
    found = done["verification"]
    unit = found["unit"]
    before, after = found[unit]["before"], found[unit]["after"]
    yield Text(f"{done['cluster']}: {before} → {after} {unit} in {seconds:.0f} s", "bold green")
    for check in found["checks"]:
        result = check["result"]
        yield Text.assemble((f"{result:5}", STYLES[result]), f"{check['name']}: {check['seen']}")
    for row in found["topology"]:
        partitions = ", ".join(
            f"{number} {one['role']}" for number, one in sorted(row["partitions"].items())
        )
        yield Text(f"      broker {row['broker']} ({row['host']}): {partitions or 'no partition'}")


if __name__ == "__main__":
    sys.exit(main())
