"""`make acceptance` on an instance, as a user gives it: interrupted, gone on with, cleaned up."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from local.config import REPOSITORY
from tests.support.cloud import Cloud

if TYPE_CHECKING:
    from pathlib import Path

    from local.component import Instance

OK, NOT_POSSIBLE = "ok", "not possible here"


class Acceptance:
    """The command on an instance, with its files in a folder of its own."""

    def __init__(self, instance: Instance, directory: Path) -> None:
        self.cloud = Cloud(instance)
        self.directory = directory
        self.output = directory / "output.txt"
        self.endpoints = instance.config.endpoints_file

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        files = ["--endpoints", str(self.endpoints), "--state", str(self.directory)]
        with self.output.open("wb") as output:
            return subprocess.Popen(  # noqa: S603
                [sys.executable, "-u", "-m", "acceptance", *files],
                cwd=REPOSITORY,
                env={**os.environ, "YES": "1", **environment},
                stdout=output,
                stderr=output,
                # Whoever started the tests may have told their children to ignore Ctrl-C.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
            )

    def run(self, seconds: float = 180, **environment: str) -> tuple[int, str]:
        code = self.start(**environment).wait(seconds)
        return code, self.output.read_text()

    def wait_for(self, text: str, seconds: float = 180) -> str:
        deadline = time.monotonic() + seconds
        while text not in (told := self.output.read_text()):
            assert time.monotonic() < deadline, told
            time.sleep(0.1)
        return told

    def report(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / f"{run_id}.report.json").read_text())
        return found

    def left(self, run_id: str) -> dict[str, list[str]]:
        """What still carries the run's name, of what AWS bills or a person would find."""
        client, name = self.cloud.client, f"acceptance-{run_id}"
        found = {
            "stacks": sorted(self.cloud.stacks()),
            "buckets": [one["Name"] for one in client("s3").list_buckets()["Buckets"]],
            "tables": client("dynamodb").list_tables()["TableNames"],
            "groups": [
                one["logGroupName"] for one in client("logs").describe_log_groups()["logGroups"]
            ],
            "systems": [
                tag["Value"]
                for one in client("efs").describe_file_systems()["FileSystems"]
                for tag in one["Tags"]
            ],
            "databases": [
                one["DBClusterIdentifier"]
                for one in client("rds").describe_db_clusters()["DBClusters"]
            ],
        }
        return {kind: [one for one in all_ if name in one] for kind, all_ in found.items()}


@pytest.fixture
def acceptance(instance: Instance, tmp_path: Path) -> Acceptance:
    return Acceptance(instance, tmp_path)


def test_interrupted_gone_on_with_and_cleaned_up(acceptance: Acceptance) -> None:
    only = "deploy,plan,provision"
    process = acceptance.start(ONLY=only)
    told = acceptance.wait_for("operation t")
    found = re.search(r"Run (\d+) on", told)
    assert found is not None
    run_id = found[1]
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    told = acceptance.output.read_text()
    assert f"RUN={run_id} make acceptance" in told
    assert f"CLEAN={run_id} make acceptance" in told
    assert "Traceback" not in told

    # The operation went on by itself; it is followed, not started again.
    code, told = acceptance.run(RUN=run_id, ONLY=only)
    assert code == 0, told
    assert "Deploy the control plane" not in told
    steps = acceptance.report(run_id)["steps"]
    assert {name: one["status"] for name, one in steps.items()} == dict.fromkeys(
        only.split(","), OK
    )
    operations = acceptance.cloud.client("stepfunctions").list_executions(
        stateMachineArn=acceptance.cloud.outputs(f"acceptance-{run_id}")["ProvisionMachine"]
    )["executions"]
    assert len(operations) == 1

    code, told = acceptance.run(CLEAN=run_id)
    assert code == 0, told
    assert re.search(r"AWS holds KMS::Key \S+, removed by AWS on", told)
    assert not any(acceptance.left(run_id).values()), acceptance.left(run_id)
    assert acceptance.cloud.healthy(), "the other control plane's cluster was left alone"


@pytest.mark.long
@pytest.mark.timeout(1000)
def test_the_whole_run(acceptance: Acceptance) -> None:
    code, told = acceptance.run(800)
    assert code == 0, told
    found = re.search(r"Run (\d+) on", told)
    assert found is not None
    report = acceptance.report(found[1])
    assert report["result"] == OK
    assert report["cleaned"]
    statuses = {name: one["status"] for name, one in report["steps"].items()}
    # What these need is a matter of the brokers; whatever it is, no step fails.
    work = {statuses.pop(name) for name in ("work", "work-again")}
    assert work <= {OK, NOT_POSSIBLE}
    assert set(statuses.values()) == {OK}
    assert {one["answer"] for one in report["onlyAwsKnows"]} == {"not answered"}
    assert not any(acceptance.left(found[1]).values()), acceptance.left(found[1])
    assert acceptance.cloud.healthy()
