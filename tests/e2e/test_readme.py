"""README.md, docs/tour.md and docs/first-hour.md word for word, as a new user follows them.

Every command is executed on a clean clone, in the order of the document: README's on an instance of
`make up`, the tour's, and those that others have in common with it, in an account that is empty at
first. Those of the first hour are executed in the cluster of the tour.
What is not executed is listed here with its reason; a list that no longer fits fails.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from local import instance as host
from local.aws.lambda_runtime import ensure_runtime
from local.component import Instance
from local.config import REPOSITORY, LocalConfig, user_environment
from tests.support.blocks import block
from tests.support.documents import ANYTHING, Use, blocks, one_line, others, unlike, uses
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.e2e

BLOCK = block("readme")
README = blocks(REPOSITORY / "README.md")
TOUR = blocks(REPOSITORY / "docs" / "tour.md")
FIRST_HOUR = blocks(REPOSITORY / "docs" / "first-hour.md")
# Calls of the API with curl, of the cluster that README scales.
CALLS = [one for one in blocks(REPOSITORY / "docs" / "api.md") if one.heading == "The REST API"]
ON_AWS = "Deploy it to AWS"
CLONE = "git clone <this repository> && cd camunda-ecs-lifecycle"

# Blocks that hold no command and no output of one, by their first line.
NOT_COMMANDS = {
    " API Gateway ─┐                          ┌────────────── VPC, three availability zones "
    "─────────────┐": "the picture of the application",
}
# Commands that another test executes for itself, as `make` does: the test, and what make executes.
ELSEWHERE = {
    "make demo": (
        "tests/e2e/test_commands.py::test_demo_brings_three_brokers_up_and_leaves_nothing",
        ".venv/bin/python -m local demo",
    ),
}
# Commands that end with another exit code than 0 here, with what they show.
REFUSED = {
    "camunda-ecs plan --brokers 2": (1, "ScalingRefused"),
    # For an account, as long as the tools are pointed to this machine, it begins nothing.
    "make acceptance STACK=camunda-lifecycle-try REGION=eu-central-1": (2, "Nothing was created."),
}
# Commands that the document has repeated where their output has this.
AGAIN = {
    """call --json '{"processDefinitionId": "first"}' "$CAMUNDA_REST_ADDRESS/process-instances\""""
    " | python3 -m json.tool --sort-keys": "NOT_FOUND",
}
# Of the first hour: commands that have no stand-in on this machine, with the reason.
NOT_HERE = {
    "camunda-ecs open --forward web --cluster try-out": "Systems Manager; the command itself is "
    "executed in tests/integration/test_port_forwarding.py",
    "camunda-ecs open --forward grpc --cluster try-out": "the same",
    "export CAMUNDA_REST_ADDRESS=https://camunda.example.com/v2": "the cluster has no certificate",
    "export CAMUNDA_GRPC_ADDRESS=grpcs://grpc.camunda.example.com:26500": "the same",
    "export CAMUNDA_GRPC_ADDRESS="
    f"grpcs://camunda-grpc-{ANYTHING}.elb.eu-central-1.amazonaws.com:26500": "the same",
    "export CAMUNDA_AUTHORITY=camunda.example.com": "the same",
    "call --resolve camunda.example.com:8443:127.0.0.1 "
    "https://camunda.example.com:8443/v2/topology": "the same",
}
# Executed with an identity provider in tests/integration/test_identity_provider.py.
WITH_OIDC = "8. With OpenID Connect"
DEPLOYS = "1. Deploy and provision"
REACHED = "7. Look at it"  # the step of the tour after which the cluster can be used
SNIPPETS = {"java", "js"}  # no test has their clients
# What a person types, by the command that prompts for it.
TYPED: dict[str, str] = {
    ".venv/bin/sam deploy --parameter-overrides NatGateways=1 "
    "NotificationEmail=you@example.com": "y\n",
}
CHANGED_BY_A_PERSON = re.compile(r"^camunda-ecs (?:apply|scale|resume)\b(?!.* --(?:yes|confirm))")


def test_everything_is_executed_or_listed() -> None:
    """A new block without a place here fails; so does an exception that has no block any more."""
    assert [one.text.splitlines()[0] for one in others(README) if one.language != "json"] == list(
        NOT_COMMANDS
    )
    assert [str(one) for one in others(TOUR)] == []
    assert {one.language for one in [*README, *TOUR]} <= {"bash", "text", "json"}
    written = {
        one_line(command) for use in [*uses(README), *uses(TOUR)] for command in use.commands
    }
    assert {*ELSEWHERE, *REFUSED, *TYPED, CLONE} <= written


def test_readme_on_aws_is_the_tour_in_short() -> None:
    """What README executes on AWS, the tour executes in the same words, with the outputs."""
    tour = [one_line(command) for use in uses(TOUR) for command in use.commands]
    short = [
        one_line(command)
        for use in uses(README)
        if use.block.heading == ON_AWS
        for command in use.commands
    ]
    assert [command for command in short if command not in {*tour, *REFUSED}] == []
    in_common = [command for command in short if command in tour]
    assert in_common == sorted(in_common, key=tour.index)


def test_the_first_hour_begins_as_the_tour_does() -> None:
    tour = [one_line(command) for use in uses(TOUR) for command in use.commands]
    begins = [
        one_line(command)
        for use in uses(FIRST_HOUR)
        if use.block.heading == DEPLOYS
        for command in use.commands
    ]
    assert begins == sorted(begins, key=tour.index)


def test_everything_of_the_first_hour_is_executed_or_listed() -> None:
    rest = [one for one in others(FIRST_HOUR) if one.language not in SNIPPETS]
    assert [one.language for one in rest] == ["python"]
    program = (REPOSITORY / "docs" / "first-hour" / "worker_rest.py").read_text()
    assert program.endswith(f"\n\n{rest[0].text}"), "the page shows another program"
    written = {one_line(command) for use in uses(FIRST_HOUR) for command in use.commands}
    assert {*NOT_HERE, *AGAIN} <= written
    assert WITH_OIDC in {one.heading for one in FIRST_HOUR}


@pytest.mark.parametrize("command", ELSEWHERE)
def test_what_is_executed_elsewhere_is_that_command(command: str) -> None:
    test, executed = ELSEWHERE[command]
    path, _, name = test.partition("::")
    assert f"def {name}(" in (REPOSITORY / path).read_text()
    shown = subprocess.run(  # noqa: S603 - nothing is executed: -n prints
        ["make", "-n", *command.split()[1:]],  # noqa: S607
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.splitlines()[-1] == executed


@dataclass(frozen=True)
class Home:
    """A person's machine: a published repository, and the clone of it."""

    directory: Path
    published: Path
    environment: Mapping[str, str]

    @property
    def clone(self) -> Path:
        return self.directory / "camunda-ecs-lifecycle"

    def terminal(self, name: str, directory: Path, **environment: str) -> Terminal:
        return Terminal(self.directory / name, directory, {**self.environment, **environment})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The repository as it is, changes included, cloned by README's own first command."""
    directory = tmp_path_factory.mktemp("home")
    published = directory / "published" / "camunda-ecs-lifecycle"
    _publish(published)
    tools = directory / "bin"
    tools.mkdir()
    # The pinned one of the tests.
    aws = tools / "aws"
    aws.write_text(f'#!/bin/sh\nexec {sys.executable} -m awscli "$@"\n')
    aws.chmod(0o755)
    known = user_environment()
    path = [one for one in known["PATH"].split(":") if not one.startswith(str(REPOSITORY))]
    made = Home(
        directory,
        published,
        {
            **known,
            "PATH": ":".join([str(tools), *path]),
            "BLOCK": BLOCK,
            # What is installed and downloaded is what CI has already.
            "CAMUNDA_LIFECYCLE_CACHE": str(LocalConfig(directory).cache),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            "SAM_CLI_TELEMETRY": "0",
            "__SAM_CLI_APP_DIR": str(directory / "sam"),
        },
    )
    terminal = made.terminal("first", directory)
    execute(terminal, CLONE, {"<this repository>": str(published)})
    assert terminal.directory == made.clone
    return made


def _publish(to: Path) -> None:
    """Make a repository of the working tree's present files, tracked or not ignored."""

    def git(*words: str, cwd: Path = to) -> str:
        return subprocess.run(  # noqa: S603
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words],  # noqa: S607
            cwd=cwd,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    to.mkdir(parents=True)
    listed = git("ls-files", "-z", "-co", "--exclude-standard", cwd=REPOSITORY)
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, to / name)
    git("init", "--quiet", "--initial-branch=main")
    git("add", "--all", "--force")
    git("commit", "--quiet", "--no-verify", "--message=As it is")


def execute(terminal: Terminal, command: str, placeholders: Mapping[str, str]) -> str:
    """Execute one command of a document as it is written and return its output."""
    given = command
    for name, value in placeholders.items():
        given = given.replace(name, value)
    one = one_line(command)
    typed = TYPED.get(one, "")
    if not typed and CHANGED_BY_A_PERSON.match(one):
        # Without a terminal the confirmation is an option.
        given = re.sub(r"(\s*#.*)?$", " --yes", given, count=1)
    expected, shown = REFUSED.get(one, (0, ""))
    ended = terminal.run(given, typed=typed)
    again = AGAIN.get(one, "")
    if again and ended.code and again in ended.output:
        # The document has it repeated then.
        time.sleep(5)
        ended = terminal.run(given)
    assert ended.code == expected, terminal.transcript()
    assert shown in ended.output, ended.output
    return ended.output


def follow(terminal: Terminal, use: Use, placeholders: Mapping[str, str]) -> None:
    """Execute a block and compare its output with the one that the document shows."""
    output = "".join(execute(terminal, command, placeholders) for command in use.commands)
    if use.shown is not None:
        problem = unlike(use.shown, output)
        assert not problem, f"{use}: {problem}\n{output}"


def test_readme_on_this_machine(home: Home) -> None:
    terminal = home.terminal("local", home.clone)
    instance = Instance.of(LocalConfig(home.clone / ".local", BLOCK))
    try:
        for use in uses(README):
            if use.block.heading == ON_AWS:
                continue
            left = [one for one in use.commands if one_line(one) not in {CLONE, *ELSEWHERE}]
            follow(terminal, Use(use.block, tuple(left), use.shown), {})
        assert CALLS
        for use in uses(CALLS):
            follow(terminal, use, {})
    finally:
        terminal.save()
        down = terminal.run("make down")
        assert "Nothing is left running." in down.output, down.output
        assert host.leftovers(instance) == []


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Instance]:
    """An account in which nothing was deployed."""
    instance = Instance.of(LocalConfig(tmp_path / "account", BLOCK))
    ensure_runtime(instance.config)
    try:
        host.start(instance)
        yield instance
    finally:
        host.stop(instance)
        assert host.leftovers(instance) == []


def person(account: Instance) -> dict[str, str]:
    """Variables of an administrator: a user, not the root of the account."""
    iam = account.client("iam")
    iam.create_user(UserName="ada")
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": everything})
    iam.put_user_policy(UserName="ada", PolicyName="everything", PolicyDocument=document)
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    return {
        **account.config.client_environment(),
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


def first_hour(terminal: Terminal, account: Instance, found: Mapping[str, str]) -> None:
    """Follow the first hour in the cluster of the tour, from the login on."""
    placeholders = {
        f"http://{ANYTHING}/v2": f"{found['alb']}/v2",
        f"grpc://{ANYTHING}:26500": f"grpc://{found['grpc']}",
    }
    for use in uses(FIRST_HOUR):
        if use.block.heading not in {DEPLOYS, WITH_OIDC}:
            here = tuple(one for one in use.commands if one_line(one) not in NOT_HERE)
            follow(terminal, Use(use.block, here, use.shown), placeholders)
    reads_the_password(terminal, account)


def reads_the_password(terminal: Terminal, account: Instance) -> None:
    """The commands that are shown for the password print it, in the shell of the reader."""
    shown = terminal.run("camunda-ecs open --no-browser --cluster try-out -o json").output
    login = json.loads(shown)["access"]["login"]
    secrets = account.client("secretsmanager")
    secret = json.loads(secrets.get_secret_value(SecretId=login["secretArn"])["SecretString"])
    assert login["user"] == secret["username"]
    assert json.loads(terminal.run(login["secretCommand"]).output) == secret
    assert terminal.run(login["passwordCommand"]).output == f"{secret['password']}\n"
    assert secret["password"] not in shown


def test_tour(home: Home, account: Instance) -> None:
    terminal = home.terminal("tour", home.clone, **person(account))
    placeholders: dict[str, str] = {}
    try:
        for use in uses(TOUR):
            follow(terminal, use, placeholders)
            # What the reader sees in an output and types into the next command.
            shown = terminal.transcript()
            if plans := re.findall(r"try-out\.plan\.[0-9a-f]+", shown):
                placeholders[f"try-out.plan.1f0c2a{ANYTHING}"] = plans[-1]
            found = json.loads(account.config.endpoints_file.read_text())
            if found["api"]:
                placeholders[f"https://{ANYTHING}/v1"] = found["api"]
            if use.block.heading == REACHED:
                first_hour(terminal, account, found)
        for use in uses(README):
            for command in use.commands if use.block.heading == ON_AWS else ():
                if one_line(command) in REFUSED:
                    execute(terminal, command, placeholders)
    finally:
        terminal.save()
