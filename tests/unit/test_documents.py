"""Claims of the documents that repeat what the code, the templates or AWS's models have."""

from __future__ import annotations

import json
import re
import shlex
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
import typer.main
import yaml
from botocore import xform_name
from camunda_ecs.app import app
from lifecycle.api import paging
from lifecycle.api.app import MAX_BODY_BYTES
from lifecycle.api.clusters import BROKER_READS
from lifecycle.api.problems import STATUS
from lifecycle.camunda.backups import MOST_LISTED
from lifecycle.cluster import slots
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.cluster.prices import Size, monthly_cost
from lifecycle.errors import InvalidRequest
from lifecycle.health import verdict
from lifecycle.health.measure import UNITS
from lifecycle.manage.decisions import OVERDUE, PATIENCE
from lifecycle.manage.request import DEFAULT_MINUTES, LEAST_MINUTES, MOST_MINUTES, MOST_RANGES
from lifecycle.messages.compose import LONG, REPEATED
from lifecycle.operation.model import FUNCTION_SECONDS, LOCK_SECONDS
from lifecycle.preflight import backup_gate
from lifecycle.provisioning.request import read_plan_request, read_provision_request
from lifecycle.restart import handle_retirement, retirement
from lifecycle.restart.request import read_restart_request
from lifecycle.restore.decisions import DATABASE_PATIENCE, TASKS_PATIENCE
from lifecycle.rotation.request import read_rotation_request
from lifecycle.scaling.preconditions import PRECONDITIONS
from lifecycle.scaling.request import read_scale_request
from lifecycle.teardown.decisions import read_teardown_request
from lifecycle.verification.process_instances import PATIENCE_SECONDS

from tests.support.declared import in_clear
from tests.unit.test_runbook import literals
from tools.generate_parameters import load_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *map(ROOT.joinpath, ("SECURITY.md", "README.md"))]
LAYER = ROOT / "layers" / "lifecycle" / "lifecycle"
# Commands of the AWS CLI without an operation of the same name.
CUSTOM = {
    ("cloudformation", "deploy"),
    ("cloudformation", "wait"),
    ("s3", "cp"),
    ("sso", "login"),
}
SERVICES = {"elbv2": "elbv2", "stepfunctions": "stepfunctions", "s3api": "s3", "logs": "logs"}
GLOBAL = {"query", "output", "region", "profile", "cli-binary-format"}


def code(text: str) -> Iterator[str]:
    """Yield commands: lines of code blocks, with what they continue, and code in the text.

    The output of a command within another one is replaced by X.
    """
    lines = []
    for block in re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL):
        lines += re.sub(r"\\\n\s*", " ", block).splitlines()
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    lines += [re.sub(r"\s+", " ", one) for one in re.findall(r"`([^`]+)`", plain)]
    for line in lines:
        rest = line
        while inner := re.search(r"\$\(([^()]*)\)", rest):
            yield inner[1]
            rest = rest.replace(inner[0], "X")
        yield rest


def commands(program: str) -> list[tuple[str, list[str]]]:
    """Return the words of every command of a program, with the page that has it."""
    found = []
    for page in PAGES:
        for line in code(page.read_text()):
            for start in re.finditer(rf"(?<![\w./-]){program} [a-z]", line):
                text = re.split(r"[|)#]|&&", line[start.start() :])[0]
                try:
                    words = shlex.split(text)
                except ValueError:
                    words = text.split()
                found.append((page.name, words[1:]))
    return found


@cache
def operations(service: str) -> dict[str, Any]:
    model = botocore.session.get_session().get_service_model(SERVICES.get(service, service))
    return {
        xform_name(name, "-"): model.operation_model(name).input_shape
        for name in model.operation_names
    }


def options(words: list[str]) -> list[str]:
    return [word.removeprefix("--") for word in words if word.startswith("--")]


AWS = [one for one in commands("aws") if tuple(one[1][:2]) not in CUSTOM and len(one[1]) > 1]


@pytest.mark.parametrize(("page", "words"), AWS, ids=[f"{p}: {' '.join(w[:2])}" for p, w in AWS])
def test_commands_of_aws_exist(page: str, words: list[str]) -> None:
    service, command, *rest = words
    shape = operations(service).get(command)
    assert command in operations(service), page
    known = {xform_name(name, "-") for name in (shape.members if shape is not None else ())}
    known |= {f"no-{name}" for name in known}
    assert set(options(rest)) <= known | GLOBAL, page


OURS = [one for one in commands("camunda-ecs") if one[1]]


@pytest.mark.parametrize(("page", "words"), OURS, ids=[f"{p}: {' '.join(w)}" for p, w in OURS])
def test_commands_of_the_command_line_exist(page: str, words: list[str]) -> None:
    group: Any = typer.main.get_command(app)
    assert words[0] in group.commands, page
    known = {name for one in group.commands[words[0]].params for name in one.opts}
    known |= {name for one in group.commands[words[0]].params for name in one.secondary_opts}
    assert {f"--{name}" for name in options(words)} <= known | {"--help"}, page


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    made = {(page, words[0]) for page, words in commands("make")}
    assert len(made) > 20
    assert {one for one in made if one[1] not in targets} == set()


# Of AWS's API and metrics, in no code of ours.
ELSEWHERE = {
    "BucketSizeBytes",
    "GetCredentialsForIdentity",
    "GetFederationToken",
    "GetId",
    "GetStackPolicy",
    "ListNamespaces",
    "PendingConfirmation",
    "RotateSecret",
    "SnapshotStorageUsed",
    "StateReasonCode",
    "TotalBackupStorageBilled",
}
OF_CODE = ("*.py", "*.js", "*.yaml", "*.yml", "*.json", "*.toml", "Makefile")
PLACES = (
    *("layers", "functions", "stacks", "statemachines", "services"),
    *("local", "tools", "cli", "console"),
)


def test_names_in_code_exist() -> None:
    code = "\n".join(
        path.read_text()
        for place in (*PLACES, "acceptance", "events", "docs/policies")
        for kind in OF_CODE
        for path in (ROOT / place).rglob(kind)
    )
    code += (ROOT / "template.yaml").read_text() + (ROOT / "Makefile").read_text()
    words = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", code))
    lost = set()
    for page in PAGES:
        text = page.read_text()
        blocks = " ".join(re.findall(r"```.*?```", text, re.DOTALL))
        for name in re.findall(r"`([A-Za-z]+(?:_[A-Za-z]+)+|[A-Z][a-z]+[A-Z]\w+)`", text):
            # SAM names the role of a function after it.
            there = {name, name.removesuffix("Role")} & (words | ELSEWHERE)
            if not there and name not in blocks:
                lost.add((page.name, name))
    assert lost == set()


READERS: tuple[Callable[[object], object], ...] = (
    lambda raw: read_provision_request(raw, in_clear()),
    lambda raw: read_plan_request(raw, in_clear()),
    read_scale_request,
    read_restart_request,
    read_rotation_request,
    read_teardown_request,
)


def requests() -> list[tuple[str, str]]:
    """Return the requests of machines in the documents: blocks, objects of at most three levels."""
    inner = r"\{[^{}`]*\}"
    middle = rf"\{{(?:[^{{}}`]|{inner})*\}}"
    found = []
    for page in PAGES:
        text = page.read_text().replace('-…"', '-1"')  # the name of a change set
        text = text.replace("secretsmanager:…:", "secretsmanager:eu-central-1:123456789012:")
        for one in re.findall(r"^```json\n(\{.*?^\})$", text, re.DOTALL | re.MULTILINE):
            if '"clusterName": "' in one:
                found.append((page.name, one))
        for one in re.findall(rf"\{{(?:[^{{}}`]|{middle})*\}}", text):
            if '"clusterName": "' in one and "…" not in one:
                found.append((page.name, one))
    return found


@pytest.mark.parametrize(("page", "text"), requests())
def test_requests_are_taken_by_a_machine(page: str, text: str) -> None:
    refusals = []
    for read in READERS:
        try:
            read(json.loads(text))
        except InvalidRequest as error:
            refusals.append(error.message)
    assert len(refusals) < len(READERS), f"{page}: {refusals}"


def test_the_api_has_each_error_with_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| ([^|]+) \|", (ROOT / "docs" / "api.md").read_text(), re.M)
    listed = {name: int(status) for status, names in rows for name in re.findall(r"`(\w+)`", names)}
    # What has no status of its own is 500; of these a route raises one.
    assert listed == {**STATUS, "AwsRefused": 500}


def test_each_precondition_is_checked() -> None:
    stated = {name for one in PRECONDITIONS for name in (one.name, one.demand, one.remedy)}
    used: list[str] = []
    for path in [*(LAYER / "scaling").glob("*.py"), LAYER / "services" / "autoscaling.py"]:
        texts = literals(path)
        if path.stem == "preconditions":  # The table itself is no use of it.
            for one in stated & set(texts):
                texts.remove(one)
        used += texts
    assert {one.name for one in PRECONDITIONS} - set(used) == set()


DEFAULTS = {name: str(one.get("default", "")) for name, one in cluster_parameters().items()}


@pytest.mark.parametrize(("column", "region"), [(1, "us-east-1"), (2, "eu-central-1")])
def test_costs_are_those_of_the_price_list(column: int, region: str) -> None:
    table = re.findall(
        r"^\| (.+?) \| (\S+) \| (\S+) \|$", (ROOT / "docs" / "costs.md").read_text(), re.M
    )
    listed = {row[0]: row[column].strip("*") for row in table}
    cost = monthly_cost(Size.of(DEFAULTS, brokers=3, connectors=1), region)
    rows = {
        "3 brokers, 4 vCPU / 8 GiB, Fargate x86_64": "brokers",
        "1 connectors task, 2 vCPU / 4 GiB": "connectors",
        "Aurora PostgreSQL, one db.t3.medium": "database instances",
        "ALB and NLB, before capacity units": "load balancers",
        "3 keys, 3 secrets, private DNS zone": "keys, secrets, private DNS",
        "S3 lease writes (one every 5 s per broker)": "broker-id leases in S3",
    }
    for row, item in rows.items():
        assert listed[row] == f"{cost.items[item]:.0f}", row
    assert cost.total is not None
    watched = cost.total + Decimal("0.40") + Decimal("0.30") * len(UNITS)
    assert listed["**default cluster, before usage**"] == f"{watched:.0f}"


def minutes(time: float | timedelta) -> str:
    seconds = time.total_seconds() if isinstance(time, timedelta) else time
    return "a minute" if seconds == 60 else f"{round(seconds / 60)} minutes"


def pauses(policy: str) -> float:
    """The seconds between all attempts of a retrier."""
    one = yaml.safe_load((ROOT / "statemachines" / "retries.yaml").read_text())["retriers"][policy]
    wait, longest = float(one["IntervalSeconds"]), float(one.get("MaxDelaySeconds", 1e9))
    rate, attempts = float(one["BackoffRate"]), int(one["MaxAttempts"])
    return sum(min(wait * rate**number, longest) for number in range(attempts))


NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


@pytest.mark.parametrize(
    ("page", "claim"),
    [
        ("runbook.md", f"renew its lock ({minutes(LOCK_SECONDS)} without a step"),
        ("runbook.md", f"({FUNCTION_SECONDS + 1} at most, from the longest time-out"),
        ("runbook.md", f"kept is free after {minutes(slots.SLOT_SECONDS)}"),
        ("runbook.md", f"waits for about {minutes(pauses('database'))} automatically"),
        ("runbook.md", f"The machine waits for about {minutes(pauses('draining'))}"),
        ("runbook.md", f"Machines retry for {NUMBERS[round(pauses('asleep') / 60)]} minutes"),
        (
            "runbook.md",
            f"repeats the login for about {NUMBERS[round(pauses('grants') / 60)]} minutes",
        ),
        ("runbook.md", f"*For {DATABASE_PATIENCE // 3600} hours …*: look"),
        (
            "restore.md",
            f"waits for {NUMBERS[DATABASE_PATIENCE // 3600]} hours for each of copy, snapshot",
        ),
        ("restore.md", f"for {NUMBERS[TASKS_PATIENCE // 3600]} hours for each progress"),
        ("runbook.md", f"an instance, but {PATIENCE_SECONDS} s later it was not in"),
        ("backups.md", f"The newest {MOST_LISTED} and all that have a snapshot"),
        ("plans.md", f"`BackupMaxAge` hours (default {backup_gate.DEFAULT_HOURS})"),
        ("api.md", f"At most {BROKER_READS} requests query brokers at once"),
        ("api.md", f"`limit` (1 to {paging.MOST}, default {paging.DEFAULT})"),
        ("api.md", f"a body of more than {MAX_BODY_BYTES // 1024} KiB"),
        ("messages.md", f"`plan` {minutes(LONG['plan'])}, `provision`, `rotate` and"),
        ("messages.md", f"`manage` and `plan` {minutes(LONG['manage'])}, `provision`"),
        ("manage.md", f"{LEAST_MINUTES} to {MOST_MINUTES}, default {DEFAULT_MINUTES}."),
        ("manage.md", f"healthy for {NUMBERS[PATIENCE // 60]} minutes"),
        ("manage.md", f"{NUMBERS[OVERDUE // timedelta(minutes=1)]} minutes after it"),
        ("manage.md", f"one to {NUMBERS[MOST_RANGES]} private IPv4 ranges"),
        ("messages.md", f"`teardown` {LONG['teardown'].total_seconds() / 60:.0f}, `restart`"),
        (
            "messages.md",
            f"`restart` and `backup` {LONG['backup'].total_seconds() / 60:.0f}, `scale`",
        ),
        ("messages.md", f"`scale` and `restore` {LONG['restore'].total_seconds() / 60:.0f}, "),
        ("messages.md", f"`rehearse` {LONG['rehearse'].total_seconds() / 60:.0f} |"),
        ("messages.md", "more than ten minutes later" if timedelta(minutes=10) == REPEATED else ""),
        ("health.md", f"to worse after {NUMBERS[verdict.CONFIRMATIONS]} consecutive worse checks"),
        ("health.md", f"after {NUMBERS[verdict.CALM]}, if the notified verdict"),
        ("health.md", f"changed {NUMBERS[verdict.FLAPS]} times within the hour"),
        (
            "restarts.md",
            f"at least {NUMBERS[retirement.ENOUGH // timedelta(hours=1)]} hours before the date",
        ),
        (
            "restarts.md",
            f"{NUMBERS[retirement.LEAD // timedelta(hours=1)]} hours before the date",
        ),
        (
            "restarts.md",
            "connectors half an hour after"
            if timedelta(minutes=30) == handle_retirement.PUT_OFF
            else "",
        ),
    ],
)
def test_times_and_limits_are_those_of_the_code(page: str, claim: str) -> None:
    text = re.sub(r"\s+", " ", (ROOT / "docs" / page).read_text())
    assert claim
    assert claim in text


def test_defaults_of_hardening_are_those_of_the_templates() -> None:
    control = load_template(ROOT / "template.yaml")["Parameters"]
    own = {name: str(one.get("Default", "")) for name, one in control.items()}
    table = (ROOT / "SECURITY.md").read_text().split("## Hardening")[1].split("Notes:")[0]
    given = re.findall(r"`([A-Z]\w+)` \((`[^`]+`|none|own keys)", table)
    assert len(given) == 14
    for name, value in given:
        default = {**own, **DEFAULTS}[name]
        assert default == ("" if value in {"none", "own keys"} else value.strip("`")), name
