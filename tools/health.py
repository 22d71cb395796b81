"""`make health`: check a cluster now and print the report, worst first.

Against the instance of `make up` when one runs in `.local`, else against AWS with the credentials
and region of the environment. Exit code: 0 healthy, 1 degraded, 2 down, 3 no verdict (yet).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text

from local.progress import explain
from tools.target import ENDPOINTS, clients, told

EXIT = {"HEALTHY": 0, "DEGRADED": 1, "DOWN": 2, "PROVISIONING": 3}
STYLES = {
    "HEALTHY": "bold green",
    "PROVISIONING": "bold cyan",
    "DEGRADED": "bold yellow",
    "DOWN": "bold red",
    "UNKNOWN": "bold magenta",
    "INFO": "dim",
}


def main(arguments: list[str] | None = None) -> int:
    """Check, print, and give the exit code."""
    parser = argparse.ArgumentParser(prog="make health", description=__doc__)
    parser.add_argument("--cluster", default="demo")
    parser.add_argument("--control-stack", default="camunda-lifecycle")
    parser.add_argument("--endpoints", type=Path, default=ENDPOINTS, help="of `make up`")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    try:
        client = clients(options.endpoints, read_timeout=40, retries={"total_max_attempts": 1})
        report = check(client("stepfunctions"), options.control_stack, options.cluster)
    except (BotoCoreError, ClientError, LookupError) as error:
        console.print(Text(f"No verdict: {told(error, options.endpoints)}", style="bold red"))
        return 3
    for line in lines(report):
        console.print(line)
    return EXIT[report["verdict"]]


def check(client: Any, control_stack: str, cluster: str) -> dict[str, Any]:
    """Run the check machine to its end. Raises ``LookupError`` when it gives no verdict."""
    name = f"{control_stack}-check_health"
    pages = client.get_paginator("list_state_machines").paginate()
    arns = [one["stateMachineArn"] for page in pages for one in page["stateMachines"]]
    arn = next((arn for arn in arns if arn.endswith(f":{name}")), None)
    if arn is None:
        raise LookupError(f"there is no state machine {name} here; is the control stack deployed?")
    answer = client.start_sync_execution(
        stateMachineArn=arn, input=json.dumps({"clusterName": cluster})
    )
    if answer["status"] != "SUCCEEDED":
        raise LookupError(explain(answer))
    report: dict[str, Any] = json.loads(answer["output"])
    return report


def lines(report: dict[str, Any]) -> list[Text]:
    """The report as coloured lines: the verdict, then findings as they come, worst first."""
    style = STYLES[report["verdict"]]
    head = Text.assemble(report["cluster"], " is ", (report["verdict"], style))
    head.append(f"   checked {report['checkedAt']} in {report['seconds']:.1f} s", "dim")
    shown = [head]
    for one in report["findings"]:
        severity = one["severity"]
        shown.append(Text.assemble((f"{severity:9}", STYLES[severity]), f"{one['code']}"))
        shown.append(Text(f"          {one['title']}: {one['seen']}"))
        if severity == "INFO":
            if one.get("explainedBy"):
                shown.append(Text(f"          explained by: {one['explainedBy']}", "dim"))
            continue
        shown.append(Text(f"          expected: {one['expected']}", "dim"))
        shown.append(Text(f"          do: {one['remedy']} ({one['runbook']})"))
        if one.get("transient"):
            shown.append(Text(f"          {one['transient']}", "dim"))
    return shown


if __name__ == "__main__":
    sys.exit(main())
