"""The command line against a whole cluster, as people with the ready policies use it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from camunda_ecs.app import app
from typer.testing import CliRunner

from local.config import CONTROL_STACK
from tests.e2e.test_api import POLICIES
from tests.support.cloud import Cloud, eventually, other_retention

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from local.component import Instance

ROLES = list(POLICIES)


@dataclass(frozen=True)
class Person:
    """A user with keys, at a command line."""

    name: str
    environment: dict[str, str]

    def run(self, *words: str, typed: str | None = None) -> Result:
        return CliRunner().invoke(app, list(words), input=typed, env=self.environment)

    def data(self, *words: str) -> Any:
        ended = self.run(*words, "-o", "json")
        assert ended.exit_code == 0, ended.output
        return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def cloud(instance: Instance) -> Cloud:
    return Cloud(instance)


@pytest.fixture(scope="module")
def people(instance: Instance, cloud: Cloud) -> dict[str, Person]:
    """A user with each ready policy, of the command line only."""
    found = json.loads(instance.config.endpoints_file.read_text())
    api_id = found["api"].split("/restapis/")[1].partition("/")[0]
    iam = cloud.client("iam")
    people = {}
    for role, paths in POLICIES.items():
        name = f"cli-{role}"
        iam.create_user(UserName=name)
        stage = f"arn:aws:execute-api:{found['region']}:{found['accountId']}:{api_id}/v1"
        statement = {
            "Effect": "Allow",
            "Action": "execute-api:Invoke",
            "Resource": [f"{stage}/{path}" for path in paths],
        }
        document = {"Version": "2012-10-17", "Statement": statement}
        iam.put_user_policy(UserName=name, PolicyName="api", PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        people[role] = Person(
            role,
            {
                "CAMUNDA_ECS_API_URL": found["api"],
                "CAMUNDA_ECS_CLUSTER": "demo",
                "AWS_REGION": found["region"],
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            },
        )
    return people


def test_clusters_health_and_operations_are_read(people: dict[str, Person], cloud: Cloud) -> None:
    cloud.given(3)
    viewer = people["viewer"]
    assert [one["name"] for one in viewer.data("clusters")["clusters"]] == ["demo"]
    assert viewer.data("show")["brokers"] == {"declared": 3, "running": 3, "joined": 3}
    # A check right after a scale operation may find what ends by itself; it is shared for seconds.
    eventually(lambda: viewer.run("health", "--fresh").exit_code == 0, 60)
    health = viewer.run("health", "--fresh")
    assert health.exit_code == 0, health.output
    assert health.stdout.split()[:3] == ["demo", "is", "HEALTHY"]
    newest = viewer.data("operations")["operations"][0]
    report = viewer.run("report", newest["operationId"])
    assert newest["operationId"] in report.stdout
    opened = viewer.run("open", "--no-browser")
    assert (opened.exit_code, "/operate" in opened.stdout) == (0, True)


def test_another_cluster_is_none_of_those_here(people: dict[str, Person]) -> None:
    person = people["administrator"]
    for words in (["show"], ["health", "--fresh"], ["scale", "--brokers", "4", "-y"]):
        ended = person.run(*words, "--cluster", "two")
        assert (ended.exit_code, ended.stdout) == (1, ""), ended.output
        assert "ClusterNotFound" in ended.stderr
    unchecked = person.run("health", "--cluster", "two")
    assert (unchecked.exit_code, unchecked.stdout) == (5, "")


def test_a_plan_is_read_and_applied(
    people: dict[str, Person], cloud: Cloud, tmp_path: Path
) -> None:
    days = other_retention(cloud)
    path = tmp_path / "change.yaml"
    path.write_text(f"clusterName: demo\nparameters: {{LogRetentionDays: {days}}}\n")
    planned = people["planner"].run("plan", str(path))
    assert planned.exit_code == 0, planned.output
    assert "LogRetentionDays" in planned.stdout
    plan = planned.stderr.split("camunda-ecs apply ")[1].split()[0]
    refused = people["planner"].run("apply", plan, "--yes")
    assert refused.exit_code == 1
    assert "ready policies that have it: administrator" in refused.stderr
    applied = people["administrator"].run("apply", plan, "--yes")
    assert applied.exit_code == 0, applied.output
    assert cloud.retention() == days


def test_a_removal_is_planned_without_the_right_to_remove(people: dict[str, Person]) -> None:
    planned = people["planner"].run("plan", "--teardown")
    assert planned.exit_code == 0, planned.output
    assert "demo" in planned.stdout
    plan = planned.stderr.split("camunda-ecs apply ")[1].split()[0]
    document = people["planner"].data("plan", "--teardown")
    assert (document["kind"], document["apply"]["confirm"]) == ("teardown", "demo")
    # Typed wrongly, nothing is removed.
    wrong = people["administrator"].run("apply", plan, "--confirm", "dmeo")
    assert wrong.exit_code == 2, wrong.output
    assert people["viewer"].data("show")["brokers"]["running"] >= 3


def test_scaling_goes_on_when_who_follows_it_stops(people: dict[str, Person], cloud: Cloud) -> None:
    cloud.given(3)
    operator = people["operator"]
    words = ["scale", "--brokers", "4", "--yes", "--key", "cli-four"]
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "camunda_ecs", *words],
        env={**os.environ, **operator.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # The shell that started the tests may have SIGINT ignored, which processes inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "demo.scale.cli-four\n"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130, told
    assert "demo.scale.cli-four goes on. Follow it: camunda-ecs follow demo.scale.cli-four" in told
    followed = operator.run("follow", "demo.scale.cli-four")
    assert followed.exit_code == 0, followed.output
    assert "demo: 3 → 4 brokers" in followed.stdout
    # The same command with the same key starts nothing.
    again = operator.run(*words)
    assert again.exit_code == 0, again.output
    assert cloud.counts("demo")["orchestration-cluster"] == (4, 4)


def test_below_the_replication_factor_is_refused_with_what_is_allowed(
    people: dict[str, Person],
) -> None:
    refused = people["operator"].run("scale", "--brokers", "2", "--yes")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "count: given 2; allowed: at least 3, the replication factor" in refused.stderr


def test_a_support_bundle_has_no_secret_of_the_cluster(
    people: dict[str, Person], cloud: Cloud, tmp_path: Path
) -> None:
    path = tmp_path / "bundle.zip"
    planned = people["planner"].run("plan", "--brokers", "4")
    assert planned.exit_code == 0, planned.output
    ended = people["viewer"].run("support-bundle", "--out", str(path))
    assert ended.exit_code == 0, ended.output
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        text = "\n".join(archive.read(name).decode() for name in names)
    assert {"cluster.json", "health.json", "operations.json", "versions.json"} <= names
    assert any(name.startswith("plans/") for name in names)
    secrets = cloud.client("secretsmanager")
    outputs = cloud.outputs(f"{CONTROL_STACK}-demo")
    for name in ("AdminUserSecretArn", "DatabaseAdminSecretArn", "ConnectorsUserSecretArn"):
        value = json.loads(secrets.get_secret_value(SecretId=outputs[name])["SecretString"])
        assert value["password"] not in text
    assert people["viewer"].environment["AWS_SECRET_ACCESS_KEY"] not in text
    assert "X-Amz-" not in text


# What each command comes to for those who may: on a frozen cluster no change is begun.
FROZEN = "ClusterFrozen"
ENDED = "demo.scale.cli-rights"
COMMANDS: list[tuple[list[str], str, str]] = [
    (["clusters"], "viewer", ""),
    (["show"], "viewer", ""),
    (["health"], "viewer", ""),
    (["operations"], "viewer", ""),
    (["backups"], "viewer", ""),
    (["open"], "viewer", ""),
    (["plan", "--brokers", "4", "--no-wait"], "planner", ""),
    (["plan", "--teardown", "--no-wait"], "planner", ""),
    (["scale", "--brokers", "5", "--yes"], "operator", FROZEN),
    (["scale", "--partitions", "4", "--yes"], "operator", FROZEN),
    (["restart", "connectors", "--yes"], "operator", FROZEN),
    (["freeze", "--reason", "cli", "--yes"], "operator", ""),
    (["cancel", ENDED, "--yes"], "operator", "OperationNotCancellable"),
    (["resume", ENDED, "--yes"], "operator", "OperationNotResumable"),
    (["close-management", "--yes"], "operator", FROZEN),
    (["backup", "--yes"], "operator", FROZEN),
    (["delete-backup", "7", "--confirm", "demo"], "administrator", FROZEN),
    (["delete-former-data", "--confirm", "demo"], "administrator", FROZEN),
    (["open-management", "--yes"], "administrator", FROZEN),
    (["rotate", "--yes"], "administrator", FROZEN),
    (["provision", "-", "--yes"], "administrator", FROZEN),
    (["teardown", "--confirm", "demo"], "administrator", FROZEN),
]


def test_each_command_under_each_ready_policy(people: dict[str, Person]) -> None:
    administrator = people["administrator"]
    now = str(administrator.data("show")["brokers"]["declared"])
    ended = administrator.run("scale", "--brokers", now, "--yes", "--key", "cli-rights")
    assert ended.exit_code == 0, ended.output
    assert administrator.run("freeze", "--reason", "cli", "--yes").exit_code == 0
    try:
        for role, person in people.items():
            for words, least, error in COMMANDS:
                ended = person.run(*words, typed='{"parameters": {"Connectors": 1}}')
                if ROLES.index(role) < ROLES.index(least):
                    having = ", ".join(ROLES[ROLES.index(least) :])
                    assert ended.exit_code == 1, (role, words, ended.output)
                    assert f"ready policies that have it: {having}" in ended.stderr, (role, words)
                elif error:
                    assert (ended.exit_code, error in ended.stderr) == (1, True), ended.output
                else:
                    assert ended.exit_code == 0, (role, words, ended.output)
        refused = people["operator"].run("thaw", "--yes")
        assert "ready policies that have it: administrator" in refused.stderr
    finally:
        assert administrator.run("thaw", "--yes").exit_code == 0
    assert administrator.data("show")["frozen"] is None
