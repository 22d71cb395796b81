"""`make acceptance`: run all operations as a user does, and report the results.

Without STACK on this machine: on the instance of `make up`, else on a separate one. With
`STACK=<name> REGION=<region>` on an account, where it COSTS MONEY. `YES=1` answers the questions,
`RUN=<id>` resumes a run, `CLEAN=<id>` removes its resources. docs/acceptance.md has the rest.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import io
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from acceptance import report
from acceptance.run import Run, Step, load, new_id, new_state, perform
from acceptance.steps import STEPS, clean_up
from acceptance.target import (
    ENDPOINTS,
    OWN_BLOCK,
    REPOSITORY,
    NoTargetError,
    Target,
    own_instance,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

INTERRUPTED = 130
_STACK = re.compile(r"^[a-z][a-z0-9-]{1,31}$")
_BILLED = """\
AWS bills these resources while they exist (docs/costs.md):
  - the control plane: one NAT gateway with its public address, a key, alarms, a dashboard;
  - twice a trial, the second for some minutes: brokers and connectors on Fargate, Aurora, an ALB
    and an NLB, three keys and secrets each; the plan shows the cost before they are created;
  - keys, for the seven days until KMS deletes them: not billed while they wait.
It takes about two hours and removes everything at its end; after a failure everything stays."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns 0 on success, 1 after a failure, 130 after Ctrl-C."""
    options = _options(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Line by line, also into a file or a pipe.
        sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGTERM, _interrupt)
    run: Run | None = None
    try:
        given = options.clean or options.run
        run = _again(options, given) if given else _new(options)
        with _alone(run):
            return _clean(run) if options.clean else _walk(run, options)
    except KeyboardInterrupt:
        print("\nInterrupted.")
        if run is not None:
            _say_how_to_go_on(run)
        return INTERRUPTED
    except (NoTargetError, BotoCoreError, ClientError) as error:
        print(f"Error: {error}")
        if run is not None:
            _say_how_to_go_on(run)
        return 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    given = os.environ.get
    parser = argparse.ArgumentParser(prog="python -m acceptance", description=__doc__)
    parser.add_argument(
        "--stack", default=given("STACK"), help="on an account: name of the control stack"
    )
    parser.add_argument("--region", default=given("REGION") or given("AWS_REGION"))
    parser.add_argument("--yes", action="store_true", default=given("YES") == "1")
    parser.add_argument("--run", default=given("RUN"), help="resume this run")
    parser.add_argument("--clean", default=given("CLEAN"), help="remove this run's resources")
    parser.add_argument("--only", default=given("ONLY"), help="steps, separated by commas")
    parser.add_argument("--skip", default=given("SKIP") or "", help="steps to skip")
    parser.add_argument(
        "--client-cidr", default=given("CLIENT_CIDR"), help="addresses that may reach the trial"
    )
    parser.add_argument(
        "--parameters", default=given("PARAMETERS") or "", help="parameters of sam deploy"
    )
    parser.add_argument(
        "--endpoints", type=Path, default=ENDPOINTS, help="endpoints file of `make up`"
    )
    parser.add_argument(
        "--block", default=given("BLOCK") or OWN_BLOCK, help="addresses of a separate instance"
    )
    parser.add_argument("--state", type=Path, default=REPOSITORY / ".acceptance")
    options = parser.parse_args(arguments)
    if options.stack and not _STACK.fullmatch(options.stack):
        parser.error("STACK: 2 to 32 lower-case letters, digits and hyphens")
    if options.stack and not options.region and not (options.run or options.clean):
        parser.error("STACK needs REGION")
    known = {step.name for step in STEPS}
    asked = {
        name for text in (options.only or "", options.skip) for name in text.split(",") if name
    }
    if unknown := asked - known:
        parser.error(f"no such step: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    options.state.mkdir(parents=True, exist_ok=True)
    return options


def _new(options: argparse.Namespace) -> Run:
    run_id, settings = new_id(), {}
    pairs = dict(pair.split("=", 1) for pair in options.parameters.split())
    if options.stack:
        target, stack = Target(options.region), options.stack
        settings = {"parameters": {"NatGateways": "1", **pairs}, "clientCidr": options.client_cidr}
    else:
        if not options.endpoints.exists():
            root = options.state.resolve() / "local"
            print(f"No instance runs here; starting one in {root} …")
            own_instance(root, options.block, "up")
            options.endpoints = root / "endpoints.json"
            settings["own"] = {"root": str(root), "block": options.block}
        target, stack = Target.on_this_machine(options.endpoints.resolve()), f"acceptance-{run_id}"
        settings["parameters"] = pairs
    path = options.state / f"{run_id}.json"
    run = Run(path, target, new_state(run_id, stack, target, **settings))
    run.save()
    return run


def _again(options: argparse.Namespace, run_id: str) -> Run:
    path = options.state / f"{run_id}.json"
    if not path.is_file():
        raise NoTargetError(f"run {run_id} not found: {path} does not exist")
    state = load(path)
    endpoints = Path(state["endpoints"]) if state["endpoints"] else None
    own = state["settings"].get("own")
    if endpoints and not endpoints.exists():
        # Its resources were deleted with the instance.
        again = "start a new run" if own else "`make up` starts it again, empty"
        raise NoTargetError(
            f"the instance of run {run_id} no longer exists, nor anything in it: {again}"
        )
    run = Run(path, Target(state["region"], endpoints), state)
    known = state["facts"].get("account")
    if known and (account := run.target.identity()[0]) != known:
        raise NoTargetError(f"run {run_id} is in account {known}, the credentials are of {account}")
    return run


@contextlib.contextmanager
def _alone(run: Run) -> Iterator[None]:
    """Lock the run against other processes. Raises ``NoTargetError``."""
    with run.path.with_suffix(".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NoTargetError(f"another process works on run {run.id}") from None
        yield


def _chosen(options: argparse.Namespace) -> list[Step]:
    skipped = set(options.skip.split(","))
    only = set(options.only.split(",")) if options.only else {step.name for step in STEPS}
    return [step for step in STEPS if step.name in only - skipped]


def _walk(run: Run, options: argparse.Namespace) -> int:
    account, who = run.target.identity()
    print(f"Run {run.id} on {run.target.name}: account {account} as {who}, stack {run.stack}")
    steps = _chosen(options)
    print("Steps: " + ", ".join(step.name for step in steps))
    print("Nothing is billed: everything runs on this machine." if run.target.local else _BILLED)
    if not options.yes and not _agreed("Create all this"):
        print("Nothing was created.")
        _stop_own(run)
        return 1

    def agreed(step: Step) -> bool:
        if step.name != "provision" or run.target.local or options.yes:
            return True
        return _agreed(
            f"Provision the trial, at {run.fact('monthlyCost')} USD a month before usage"
        )

    return _end(run, well=perform(run, steps, agreed))


def _end(run: Run, *, well: bool) -> int:
    path = report.write(run.state, run.path.parent)
    print(f"\n{'All steps passed.' if well else 'FAILED.'} Report: {path}")
    if run.fact("cleaned"):
        _stop_own(run)
    else:
        _say_how_to_go_on(run)
    return 0 if well else 1


def _clean(run: Run) -> int:
    # It may have ended well once, and something was made again since.
    run.state["steps"].pop("clean", None)
    return _end(run, well=perform(run, [Step("clean", "Clean up", clean_up)]))


def _stop_own(run: Run) -> None:
    if own := run.state["settings"].get("own"):
        own_instance(Path(own["root"]), own["block"], "down")
        print("The instance on this machine has been stopped.")


def _say_how_to_go_on(run: Run) -> None:
    if not run.state["steps"]:
        print("Nothing was created.")
        return
    print(f"Its resources still exist{'' if run.target.local else ' and are billed'}.")
    print(f"  resume: RUN={run.id} make acceptance")
    print(f"  remove: CLEAN={run.id} make acceptance")


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        print(f"{question}? No terminal for the answer: set YES=1.")
        return False
    return input(f"{question}? [y/N] ").strip().lower() in {"y", "yes"}


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
