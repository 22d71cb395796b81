"""Actions of a run on the control plane: the SAM CLI, CloudFormation, our REST API."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from acceptance.run import CannotGoOn
from acceptance.target import REPOSITORY

if TYPE_CHECKING:
    from acceptance.run import Run
    from tools.api_client import Answer

_SAM: Final = Path(sys.prefix) / "bin" / "sam"
_BUILD_SECONDS: Final = 1200
_DEPLOY_SECONDS: Final = 3600
OPERATION_SECONDS: Final = 2 * 3600
# A resource that never comes to be: no signal arrives. It costs nothing and needs no right.
_FAULT: Final = """\
  AcceptanceNeverSignalled:
    Type: AWS::CloudFormation::WaitConditionHandle
  AcceptanceFault:
    Type: AWS::CloudFormation::WaitCondition
    Properties:
      Handle:
        Ref: AcceptanceNeverSignalled
      Timeout: '5'
"""


def build(run: Run) -> None:
    """Run `sam build`, and put a second template with a fault beside the first."""
    directory = _build_directory(run)
    cache = run.path.parent / "sam-cache"
    arguments = ["build", "--cached", "--parallel", "--template", str(REPOSITORY / "template.yaml")]
    arguments += ["--language-extensions"]
    code = _sam(
        run,
        [*arguments, "--build-dir", str(directory), "--cache-dir", str(cache)],
        _BUILD_SECONDS,
    )
    run.need("sam build", expected="exit code 0", seen=f"exit code {code}", ok=code == 0)
    built = (directory / "template.yaml").read_text()
    head, found, tail = built.partition("\nResources:\n")
    if not found:
        raise CannotGoOn("the built template has no Resources")
    (directory / "fault.yaml").write_text(head + found + _FAULT + tail)


def deploy(run: Run, parameters: dict[str, str], *, fault: bool = False) -> int:
    """Run `sam deploy` of what was built; gives its exit code."""
    template = _build_directory(run) / ("fault.yaml" if fault else "template.yaml")
    given = {**run.state["settings"].get("parameters", {}), **parameters}
    arguments = ["deploy", "--template-file", str(template), "--stack-name", run.stack]
    arguments += ["--region", run.target.region, "--resolve-s3", "--no-progressbar"]
    arguments += ["--language-extensions"]
    arguments += ["--no-confirm-changeset", "--no-fail-on-empty-changeset"]
    arguments += ["--capabilities", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
    if given:
        overrides = [f"{name}={value}" for name, value in given.items()]
        arguments += ["--parameter-overrides", *overrides]
    code = _sam(run, arguments, _DEPLOY_SECONDS)
    take_stock(run)
    return code


def _build_directory(run: Run) -> Path:
    return run.path.parent / f"{run.id}.build"


def _sam(run: Run, arguments: list[str], seconds: float) -> int:
    """Run `sam` and show the stack's progress; returns its exit code."""
    log = run.path.with_suffix(".sam.log")
    with log.open("a") as output:
        process = subprocess.Popen(
            [str(_SAM), *arguments],
            cwd=REPOSITORY,
            env=run.target.environment(),
            stdout=output,
            stderr=output,
        )
        began, told = time.monotonic(), 0.0
        try:
            while process.poll() is None:
                spent = time.monotonic() - began
                if spent > seconds:
                    raise CannotGoOn(  # noqa: TRY301 - the process is ended below
                        f"sam {arguments[0]} took more than {seconds:.0f} s; see {log}"
                    )
                if spent - told > (5 if run.target.local else 30):
                    told = spent
                    status = stack_status(run, run.stack) if arguments[0] == "deploy" else ""
                    run.progress(f"{spent:4.0f} s  sam {arguments[0]} {status or ''}")
                time.sleep(0.5)
        except BaseException:
            process.terminate()
            process.wait(20)
            raise
    if process.returncode:
        lines = [line for line in log.read_text().splitlines() if line.strip()]
        for line in lines[-3:]:
            run.progress(line.strip()[:300])
    return process.returncode


# --- CloudFormation ----------------------------------------------------------------------------


def stack(run: Run, name: str) -> dict[str, Any] | None:
    """Describe a stack; None when there is none."""
    try:
        found = run.target.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    described: dict[str, Any] = found[0]
    return None if described["StackStatus"] == "DELETE_COMPLETE" else described


def stack_status(run: Run, name: str) -> str | None:
    """Give a stack's status; None when there is none."""
    found = stack(run, name)
    return None if found is None else str(found["StackStatus"])


def outputs(run: Run, name: str) -> dict[str, str]:
    """Give a stack's outputs. Raises ``CannotGoOn`` when there is no such stack."""
    found = stack(run, name)
    if found is None:
        raise CannotGoOn(f"there is no stack {name}")
    return {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}


def resources(run: Run, name: str) -> list[dict[str, str]]:
    """Give type, logical and physical id of everything in a stack."""
    pages = run.target.client("cloudformation").get_paginator("list_stack_resources")
    return [
        {
            "type": one["ResourceType"],
            "logicalId": one["LogicalResourceId"],
            "id": one["PhysicalResourceId"],
        }
        for page in pages.paginate(StackName=name)
        for one in page["StackResourceSummaries"]
        if one.get("PhysicalResourceId") and one["ResourceStatus"] != "DELETE_COMPLETE"
    ]


def take_stock(run: Run) -> None:
    """Add the current resources of every stack of this run to its inventory."""
    inventory = run.state["inventory"]
    pending = [run.stack, *(f"{run.stack}-{name}" for name in run.fact("clusters", []))]
    for name in pending:
        found = stack(run, name)
        if found is None:
            continue
        known = inventory.setdefault(name, [])
        for one in resources(run, name):
            if one not in known:
                known.append(one)
    run.save()


def delete_stack(run: Run, name: str, seconds: float = 3600) -> str:
    """Delete a stack; gives its last status, ``DELETE_COMPLETE`` when it is gone."""
    found = stack(run, name)
    if found is None:
        return "DELETE_COMPLETE"
    api, identifier = run.target.client("cloudformation"), found["StackId"]
    api.delete_stack(StackName=identifier)

    def status() -> str:
        seen = api.describe_stacks(StackName=identifier)["Stacks"][0]
        return str(seen["StackStatus"])

    return run.eventually(status, lambda seen: seen != "DELETE_IN_PROGRESS", seconds, 0.5)


# --- the REST API ------------------------------------------------------------------------------


def ask(run: Run, method: str, path: str, body: Any = None, *, key: str | None = None) -> Answer:
    """Call the API; retry while API Gateway or the network does not respond."""
    client = run.target.api(outputs(run, run.stack)["ApiUrl"])
    for left in reversed(range(8)):
        try:
            answer = client.ask(method, path, body, key=key)
        except (urllib.error.URLError, TimeoutError, json.JSONDecodeError):
            if not left:
                raise
        else:
            if answer.status not in {429, 502, 503, 504} or not left:
                return answer
        time.sleep(3)
    raise AssertionError("unreachable")


def operate(run: Run, what: str, method: str, path: str, body: Any) -> dict[str, Any]:
    """Start an operation, follow it to its end and give it as the API returns it.

    The step's own key finds an operation again that was started before an interruption. Raises
    ``CannotGoOn`` when the request is rejected.
    """
    answer = ask(run, method, path, body, key=run.key(what))
    if answer.status != 202:
        run.check(f"{what}: {method} {path}", expected=202, seen=f"{answer.status} {_said(answer)}")
        raise CannotGoOn(what)
    operation = str(answer.document["operationId"])
    run.progress(f"operation {operation}")
    deadline, before = time.monotonic() + OPERATION_SECONDS, ("", "")
    while True:
        told: dict[str, Any] = ask(run, "GET", f"/operations/{operation}").document
        now = told.get("progress") or {}
        shown = (str(now.get("step") or ""), str(now.get("detail") or ""))
        if shown != before:
            before = shown
            run.progress(f"{shown[0]}  {shown[1]}"[:160])
        if told["status"] != "RUNNING" or time.monotonic() > deadline:
            return told
        time.sleep(1 if run.target.local else 5)


def ended(operation: dict[str, Any]) -> str:
    """Return the outcome of an operation as text."""
    error = operation.get("error")
    if not error:
        return str(operation["status"])
    return f"{operation['status']} {error['name']}: {error['cause']}"[:600]


def _said(answer: Answer) -> str:
    return json.dumps(answer.document)[:400]
