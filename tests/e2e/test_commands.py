"""The commands as a user gives them: what they leave behind, whatever happens to them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local.component import Instance
from local.config import REPOSITORY, LocalConfig
from local.instance import leftovers
from local.processes import listeners
from tests.support.blocks import block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e

BLOCK = block("commands")


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


class Machine:
    """One instance of its own and the commands on it."""

    def __init__(self, root: Path) -> None:
        self.instance = Instance.of(LocalConfig(root / "instance", BLOCK))
        self.output = root / "output.txt"

    def start(self, command: str) -> subprocess.Popen[bytes]:
        config = self.instance.config
        options = ["--root", str(config.root), "--block", BLOCK]
        with self.output.open("wb") as output:
            return subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "local", command, *options],
                cwd=REPOSITORY,
                stdout=output,
                stderr=output,
                # Whoever started the tests may have told their children to ignore Ctrl-C.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
            )

    def run(self, command: str, seconds: float = 240) -> tuple[int, str]:
        code = self.start(command).wait(seconds)
        return code, self.output.read_text()

    def wait_for(self, text: str, seconds: float = 180) -> None:
        assert eventually(lambda: text in self.output.read_text(), seconds), self.output.read_text()

    def left(self) -> list[str]:
        return leftovers(self.instance)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.run("down")
    assert machine.left() == []


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("… sam build", id="build"),
        pytest.param("… Brokers and connectors start", id="start", marks=pytest.mark.long),
    ],
)
def test_interrupted_demo_leaves_nothing(machine: Machine, moment: str) -> None:
    demo = machine.start("demo")
    machine.wait_for(moment)
    demo.send_signal(signal.SIGINT)
    assert demo.wait(60) == 130
    output = machine.output.read_text()
    assert "No process left behind." in output
    assert "Traceback" not in output
    assert machine.left() == []


def test_killed_demo_leaves_nothing(machine: Machine) -> None:
    demo = machine.start("demo")
    machine.wait_for("… Brokers and connectors start")
    demo.kill()
    demo.wait()
    assert eventually(lambda: machine.left() == [], 10), machine.left()


def test_taken_port_is_named_before_anything_is_started(machine: Machine) -> None:
    with socket.socket() as other:
        other.bind((machine.instance.config.database_address, 5432))
        other.listen()
        code, output = machine.run("demo")
    assert code == 1
    assert f"Port 5432 of {BLOCK}.0.3 is in use by" in output
    assert f"(pid {os.getpid()})" in output
    assert "Embedded AWS" not in output


def test_demo_brings_three_brokers_up_and_leaves_nothing(machine: Machine) -> None:
    code, output = machine.run("demo")
    assert code == 0, output
    assert "Verification: PASS" in output
    rows = [line for line in output.splitlines() if "8.9" in line and "healthy" in line]
    # Three brokers as they are made, four after the scale-out.
    assert len(rows) == 3 + 4
    assert [sum(row.count("leader") for row in part) for part in (rows[:3], rows[3:])] == [3, 3]
    assert re.search(r"\d+ instances acknowledged, none lost\.", output)
    # The shipped list has no price for the snapshot of Aurora.
    assert re.search(r"would retain \(at least \d+\.\d\d USD a month\)", output)
    assert "No process left behind." in output


def test_up_is_driven_by_boto3_alone_and_survives_its_shell(machine: Machine) -> None:
    code, output = machine.run("up")
    assert code == 0, output
    assert "Verification: PASS" in output
    found = json.loads(machine.instance.config.endpoints_file.read_text())
    assert found["clusterName"] == "demo"
    assert [broker["nodeId"] for broker in found["brokers"]] == [0, 1, 2]
    assert all(re.match(rf"http://{BLOCK}\.", found[key]) for key in ("aws", "alb"))
    assert {one.address for one in listeners() if one.address.startswith(BLOCK)}

    said = re.search(r"aws CLI or boto3: export (.+)", output)
    assert said is not None
    whoever = subprocess.run(
        [sys.executable, "-c", "import boto3; print(boto3.client('sts').get_caller_identity())"],
        env={"HOME": "/nowhere", **dict(pair.split("=", 1) for pair in said[1].split())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found["accountId"] in whoever.stdout, whoever.stderr
    assert f"Console, in a browser of this machine: {found['console']}" in output
    with urllib.request.urlopen(found["console"]) as page:
        assert b"<title>Camunda on ECS</title>" in page.read()
    with urllib.request.urlopen(f"{found['console']}/config.json") as configuration:
        api = json.load(configuration)["api"]
    assert f"http://{api['host']}{api['base']}" == found["api"]
    assert found["console"] in machine.run("status")[1]

    said = re.search(r"with curl: (curl .+)", output)
    assert said is not None
    asked = subprocess.run(  # noqa: S603
        said[1].split(), capture_output=True, text=True, check=False
    )
    (listed,) = json.loads(asked.stdout)["clusters"]
    assert listed["name"] == "demo"

    ecs = _client(found, "ecs")
    task = found["brokers"][2]["taskArn"]
    ecs.stop_task(cluster="camunda-lifecycle-demo", task=task)

    def replaced() -> bool:
        brokers = json.loads(machine.instance.config.endpoints_file.read_text())["brokers"]
        arns = [broker["taskArn"] for broker in brokers]
        return len(arns) == 3 and task not in arns

    assert eventually(replaced, 60)

    states = _client(found, "stepfunctions")
    request = (REPOSITORY / "events" / "provision-local.json").read_text()
    arn = states.start_execution(
        stateMachineArn=found["stateMachines"]["provision"], input=request
    )["executionArn"]
    assert eventually(
        lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING", 120
    )
    assert states.describe_execution(executionArn=arn)["status"] == "SUCCEEDED"

    code, output = machine.run("down")
    assert (code, "Nothing is left running." in output) == (0, True)
    assert not machine.instance.config.endpoints_file.exists()


def _client(found: dict[str, Any], service: str) -> Any:
    session: Any = boto3.session.Session(
        aws_access_key_id=found["accessKeyId"],
        aws_secret_access_key=found["secretAccessKey"],
        region_name=found["region"],
    )
    return session.client(service, endpoint_url=found["aws"])
