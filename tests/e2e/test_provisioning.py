"""Provisioning as a user meets it: good and bad inputs, races, and parts that fail on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.errors import InvalidRequest

from local.config import ACCOUNT_ID, CONTROL_STACK, REGION
from tests.support.cloud import FREE_AGAIN, REQUEST, Cloud, eventually
from tests.support.phone import physical

if TYPE_CHECKING:
    from local.component import Instance


@pytest.fixture(scope="module")
def cloud(instance: Instance) -> Cloud:
    return Cloud(instance)


@pytest.mark.parametrize(
    ("request_", "field", "given"),
    [
        ({"clusterName": "Demo_1"}, "clusterName", "Demo_1"),
        (
            {"clusterName": "other", "parameters": {"Brokers": 2, "ReplicationFactor": 3}},
            "parameters.Brokers",
            "2",
        ),
        ({"clusterName": "other", "parameters": {"Borkers": 3}}, "parameters.Borkers", "3"),
        ({"clusterName": "other", "parameters": {}}, "parameters.AcceptPlaintext", "nothing"),
    ],
)
def test_a_wrong_input_is_refused_before_anything_changes(
    cloud: Cloud, request_: dict[str, Any], field: str, given: str
) -> None:
    before = cloud.stacks()
    ended = cloud.ended(cloud.start(request_))
    assert (ended["status"], ended["error"]) == ("FAILED", "InvalidRequest")
    assert field in ended["cause"]
    assert given in ended["cause"]
    cause = json.loads(ended["cause"])
    assert field in cause["cause"]
    assert cause["nextStep"] == InvalidRequest.default_next_step
    assert cause["currentState"] == "Nothing was changed."
    assert cloud.stacks() == before
    assert cloud.locks() == []


def test_the_same_input_started_twice_runs_once_and_the_other_is_told(cloud: Cloud) -> None:
    executions = [cloud.start(REQUEST) for _ in range(2)]
    ended = [cloud.ended(execution) for execution in executions]
    assert sorted(one["status"] for one in ended) == ["FAILED", "SUCCEEDED"]
    refused = next(one for one in ended if one["status"] == "FAILED")
    winner = next(one for one in ended if one["status"] == "SUCCEEDED")
    assert refused["error"] == "ClusterBusy"
    assert winner["name"] in refused["cause"]
    assert cloud.healthy()
    assert cloud.locks() == []


def test_the_same_input_again_leaves_every_task_alone(cloud: Cloud) -> None:
    ecs = cloud.client("ecs")
    tasks = set(ecs.list_tasks(cluster=f"{CONTROL_STACK}-demo")["taskArns"])
    ended = cloud.ended(cloud.start(REQUEST))
    assert ended["status"] == "SUCCEEDED", ended
    assert set(ecs.list_tasks(cluster=f"{CONTROL_STACK}-demo")["taskArns"]) == tasks
    checks = {one["name"]: one for one in json.loads(ended["output"])["verification"]["checks"]}
    assert {name: one["result"] for name, one in checks.items()} == dict.fromkeys(
        (
            "brokers and partitions",
            "process instances",
            "REST targets",
            "REST through the load balancer",
            "login page through the load balancer",
            "gRPC targets",
            "gRPC through the load balancer",
            "connectors targets",
            "connectors through the load balancer",
        ),
        "PASS",
    )
    assert "each of 3 partitions created an instance" in checks["process instances"]["seen"]
    assert "answers 200, in clear" in checks["REST through the load balancer"]["seen"]
    assert "200 with text/html" in checks["login page through the load balancer"]["seen"]


def test_an_aborted_operation_frees_the_cluster_and_the_next_one_continues(cloud: Cloud) -> None:
    execution = cloud.start(REQUEST)
    assert eventually(lambda: cloud.locks() != [], 30)
    cloud.client("stepfunctions").stop_execution(executionArn=execution)
    assert eventually(lambda: cloud.locks() == [], FREE_AGAIN)
    assert cloud.ended(cloud.start(REQUEST))["status"] == "SUCCEEDED"


def test_a_database_that_is_stopped_is_waited_for(cloud: Cloud) -> None:
    rds = cloud.client("rds")
    (database,) = [
        found["DBClusterIdentifier"]
        for found in rds.describe_db_clusters()["DBClusters"]
        if found["DBClusterIdentifier"].startswith(f"{CONTROL_STACK}-demo")
    ]
    rds.stop_db_cluster(DBClusterIdentifier=database)
    execution = cloud.start(REQUEST)
    states = cloud.client("stepfunctions")

    def seeding() -> bool:
        events = states.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        return any("SeedDatabase" in json.dumps(event, default=str) for event in events)

    try:
        assert eventually(seeding, 60)
        assert states.describe_execution(executionArn=execution)["status"] == "RUNNING"
    finally:
        rds.start_db_cluster(DBClusterIdentifier=database)
    assert cloud.ended(execution)["status"] == "SUCCEEDED"


def test_a_broker_that_dies_while_starting_is_replaced(cloud: Cloud) -> None:
    workspace = "ws-0123abcd-45ef-67ab-89cd-0123456789ab"
    # Each broker has a collector of metrics beside it.
    measured = f"arn:aws:aps:{REGION}:{ACCOUNT_ID}:workspace/{workspace}"
    parameters = {"Connectors": 0, "PrometheusWorkspaceArn": measured, "AcceptPlaintext": True}
    execution = cloud.start({"clusterName": "second", "parameters": parameters})
    ecs = cloud.client("ecs")
    cluster = f"{CONTROL_STACK}-second"

    def tasks() -> list[str]:
        try:
            return list(ecs.list_tasks(cluster=cluster)["taskArns"])
        except ecs.exceptions.ClusterNotFoundException:
            return []

    assert eventually(lambda: bool(tasks()), 90)
    assert eventually(lambda: _kill_broker_of(ecs, cluster, tasks()), 30)
    ended = cloud.ended(execution)
    assert ended["status"] == "SUCCEEDED", ended
    assert cloud.counts("second")["orchestration-cluster"] == (3, 3)
    assert cloud.healthy()

    def collected() -> dict[str, set[tuple[str, str]]]:
        """Names and partitions of the series of each task that runs, by its id."""
        found = json.loads(cloud.instance.config.metrics_file.read_text())[workspace]
        return {
            task.rpartition("/")[2]: {
                (one["labels"]["__name__"], one["labels"]["partition"])
                for one in found.get(task.rpartition("/")[2], [])
                if (one["labels"]["cluster"], one["labels"]["namespace"])
                == (CONTROL_STACK, "second")
            }
            for task in tasks()
        }

    roles = {("atomix_role", str(partition)) for partition in (1, 2, 3)}
    assert eventually(lambda: all(roles <= series for series in collected().values()), 30)
    assert len(collected()) == 3
    cloud.run("teardown", {"clusterName": "second", "confirm": "second"})


def test_a_new_image_is_moved_to_one_broker_at_a_time(cloud: Cloud) -> None:
    ecs = cloud.client("ecs")
    cluster = f"{CONTROL_STACK}-demo"

    def nodes() -> dict[int, str]:
        """Task id by broker id, of those that run."""
        tasks = json.loads(cloud.instance.config.tasks_file.read_text())
        return {
            one["nodeId"]: one["taskArn"]
            for one in tasks
            if cluster in one["taskArn"] and one["nodeId"] is not None and one["pids"]
        }

    def deployments() -> int:
        (found,) = ecs.describe_services(cluster=cluster, services=["orchestration-cluster"])[
            "services"
        ]
        return len(found["deployments"])

    before = nodes()
    assert sorted(before) == [0, 1, 2]
    image = {"OrchestrationImage": "camunda/camunda:8.9.23"}
    _exporting(cloud, "pause")
    try:
        execution = cloud.start({"clusterName": "demo", "parameters": image})
        assert eventually(lambda: deployments() == 2, 120)
        time.sleep(15)
        assert nodes() == before, "nothing is exported: no broker may go"
    finally:
        _exporting(cloud, "resume")
    gone: list[int] = []
    fewest = 3

    def over() -> bool:
        nonlocal fewest
        now = nodes()
        fewest = min(fewest, len(now))
        replaced = [node for node, task in before.items() if now.get(node) != task]
        gone.extend(node for node in replaced if node not in gone)
        ended = cloud.client("stepfunctions").describe_execution(executionArn=execution)
        return bool(ended["status"] != "RUNNING")

    assert eventually(over, 240)
    ended = cloud.ended(execution)
    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"])["backup"]["state"] == "COMPLETED"
    assert gone == [2, 1, 0]
    assert fewest >= 2
    assert cloud.healthy()
    described = ecs.describe_tasks(cluster=cluster, tasks=list(nodes().values()))["tasks"]
    images = {c["image"] for t in described for c in t["containers"]}
    assert images == {"camunda/camunda:8.9.23"}
    protected = ecs.get_task_protection(cluster=cluster)["protectedTasks"]
    assert not any(one["protectionEnabled"] for one in protected)


def test_a_version_that_goes_back_is_refused_before_anything_changes(cloud: Cloud) -> None:
    image = {"OrchestrationImage": "camunda/camunda:8.9.1"}
    ended = cloud.ended(cloud.start({"clusterName": "demo", "parameters": image}))
    assert (ended["status"], ended["error"]) == ("FAILED", "PreflightFailed")
    assert "is a downgrade" in ended["cause"]
    assert cloud.healthy()


def _exporting(cloud: Cloud, order: str) -> None:
    """Pause or resume exporting of every partition of the cluster `demo`."""
    tasks = json.loads(cloud.instance.config.tasks_file.read_text())
    address = next(
        one["address"]
        for one in tasks
        if f"{CONTROL_STACK}-demo" in one["taskArn"] and one["nodeId"] == 0
    )
    url = f"http://{address}:9600/actuator/exporting/{order}"
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10) as got:
        assert json.loads(got.read())["status"] == 204


def test_what_partitions_do_not_export_is_not_found_until_they_do(cloud: Cloud) -> None:
    """The looks of a verification, asked of the function inside the VPC."""
    outputs = cloud.outputs(f"{CONTROL_STACK}-demo")

    def look(known: dict[str, Any]) -> dict[str, Any]:
        answer = cloud.client("lambda").invoke(
            FunctionName=f"{physical(cloud.instance, 'ProbeCluster')}:live",
            Payload=json.dumps(
                {"question": "instances", "cluster": outputs, "arguments": {"known": known}}
            ).encode(),
        )
        assert "FunctionError" not in answer, answer["Payload"].read()
        return dict(json.loads(answer["Payload"].read()))

    _exporting(cloud, "pause")
    try:
        seen = look({})
        time.sleep(3)
        seen = look(seen)
    finally:
        _exporting(cloud, "resume")
    assert sorted(seen["made"]) == ["1", "2", "3"]
    assert (seen["found"], seen["problem"]) == ([], "")

    def all_found() -> bool:
        return bool(look(seen)["found"] == [1, 2, 3])

    assert eventually(all_found, 30)


def _kill_broker_of(ecs: Any, cluster: str, tasks: list[str]) -> bool:
    """Kill the broker process of some task, found by the address of its network interface."""
    for task in ecs.describe_tasks(cluster=cluster, tasks=tasks)["tasks"]:
        details = [d for a in task.get("attachments", []) for d in a["details"]]
        address = next((d["value"] for d in details if d["name"] == "privateIPv4Address"), None)
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                command = (directory / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if address and b"local.broker" in command and address.encode() in command:
                os.kill(int(directory.name), signal.SIGKILL)
                return True
    return False


def test_no_secret_is_in_what_an_operation_leaves_behind(cloud: Cloud) -> None:
    secrets = cloud.client("secretsmanager")
    values = set()
    for found in secrets.list_secrets()["SecretList"]:
        text = secrets.get_secret_value(SecretId=found["ARN"])["SecretString"]
        # The webhook of the chat is a URL and nothing else; a client has no password.
        content = json.loads(text) if text.startswith("{") else {"password": text}
        values |= {content[name] for name in ("password", "clientSecret") if name in content}
    assert values
    ended = cloud.ended(cloud.start(REQUEST))
    history = cloud.client("stepfunctions").get_execution_history(
        executionArn=ended["executionArn"], maxResults=1000
    )
    report = json.loads(ended["output"])
    left = json.dumps([history, ended, report], default=str)
    assert not [value for value in values if value in left]


def test_the_report_is_in_the_bucket(cloud: Cloud) -> None:
    ended = cloud.ended(cloud.start({**REQUEST, "verifyWithProcessInstances": False}))
    output = json.loads(ended["output"])
    bucket = cloud.outputs(CONTROL_STACK)["ArtifactBucketName"]
    body = cloud.client("s3").get_object(Bucket=bucket, Key=output["reportKey"])["Body"].read()
    report = json.loads(body)
    assert report["operationId"] == ended["name"]
    assert report["result"] == "SUCCEEDED"
    assert [entry["step"] for entry in report["timeline"]][-1] == "Verification"
    (skipped,) = [
        one for one in report["verification"]["checks"] if one["name"] == "process instances"
    ]
    assert (skipped["result"], skipped["seen"].split(",")[0]) == ("WARN", "skipped")
    assert Path(output["reportKey"]).parts[:2] == ("operations", "demo")


def test_a_secret_that_no_task_could_read_is_refused_by_its_field(cloud: Cloud) -> None:
    before = cloud.healthy()
    secrets = cloud.client("secretsmanager")
    untagged = secrets.create_secret(Name=f"team/{uuid.uuid4().hex}", SecretString="x")["ARN"]
    account = untagged.split(":")[4]
    parameter = f"arn:aws:ssm:{untagged.split(':')[3]}:{account}:parameter/team/none"
    settings = {
        "brokers": {"secrets": {"MAIL_TOKEN": untagged}},
        "connectors": {"secrets": {"SECRET_HOST": parameter}},
    }
    elsewhere = untagged.replace(account, "999999999999")
    request = {
        "clusterName": "demo",
        "settings": settings,
        "parameters": {"LicenseKeySecretArn": elsewhere},
    }
    ended = cloud.ended(cloud.start(request))
    assert ended["error"] == "PreflightFailed", ended
    for words in (
        f"MAIL_TOKEN: {untagged} does not exist, or does not carry the tag camunda:control-plane",
        f"settings.connectors.secrets.SECRET_HOST: {parameter} does not exist",
        f"LicenseKeySecretArn: {elsewhere} belongs to account 999999999999, not {account}",
    ):
        assert words in ended["cause"]
    assert cloud.healthy() == before


def test_settings_reach_the_tasks_and_what_is_not_named_later_stays(cloud: Cloud) -> None:
    cloudformation, ecs = cloud.client("cloudformation"), cloud.client("ecs")
    secret = cloud.client("secretsmanager").create_secret(
        Name="team/mail",
        SecretString="for the connectors alone",
        Tags=[
            {"Key": "camunda:control-plane", "Value": CONTROL_STACK},
            {"Key": "camunda:purpose", "Value": "task"},
        ],
    )["ARN"]

    def provision(settings: dict[str, Any]) -> None:
        ended = cloud.ended(cloud.start({"clusterName": "demo", "settings": settings}))
        assert ended["status"] == "SUCCEEDED", ended.get("cause")

    def variables(service: str) -> dict[str, str]:
        cluster = f"{CONTROL_STACK}-demo"
        listed = ecs.list_tasks(cluster=cluster, serviceName=service)["taskArns"]
        tasks = ecs.describe_tasks(cluster=cluster, tasks=listed)["tasks"]
        (revision,) = {task["taskDefinitionArn"] for task in tasks}
        found = ecs.describe_task_definition(taskDefinition=revision)["taskDefinition"]
        (one,) = [c for c in found["containerDefinitions"] if c["name"] == service]
        return {
            entry["name"]: entry.get("value") or entry["valueFrom"]
            for entry in [*one["environment"], *one.get("secrets", [])]
        }

    provision(
        {
            "brokers": {"environment": {"LOGGING_LEVEL_ROOT": "WARN"}},
            "connectors": {"secrets": {"SECRET_MAIL": secret}, "javaToolOptions": "-Xmx512m"},
        }
    )
    assert variables("orchestration-cluster")["LOGGING_LEVEL_ROOT"] == "WARN"
    assert variables("connectors")["SECRET_MAIL"] == secret
    body = cloudformation.get_template(StackName=f"{CONTROL_STACK}-demo")["TemplateBody"]
    assert "for the connectors alone" not in str(body)

    provision({"connectors": {"javaToolOptions": None}})
    assert variables("orchestration-cluster")["LOGGING_LEVEL_ROOT"] == "WARN"
    after = variables("connectors")
    assert after["SECRET_MAIL"] == secret
    assert "JAVA_TOOL_OPTIONS" not in after
    assert cloud.healthy()


def described(cloud: Cloud) -> dict[str, Any]:
    """The cluster `demo` as the API describes it."""
    config = cloud.instance.config
    api = json.loads(config.endpoints_file.read_text())["api"]
    shown = subprocess.run(
        [sys.executable, "-m", "camunda_ecs", "show", "--cluster", "demo", "-o", "json"],
        env={**config.client_environment(), "CAMUNDA_ECS_API_URL": api},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    return dict(json.loads(shown.stdout))


def test_what_changes_in_place_replaces_no_broker_and_what_does_replaces_them_in_turn(
    cloud: Cloud,
) -> None:
    """One cluster: counts and graces in place, a count by hand taken back, the listener in turn."""
    ecs, cluster = cloud.client("ecs"), f"{CONTROL_STACK}-demo"

    def brokers() -> set[str]:
        listed = ecs.list_tasks(cluster=cluster, serviceName="orchestration-cluster")["taskArns"]
        return set(listed)

    def service(name: str) -> dict[str, Any]:
        answer = ecs.describe_services(cluster=cluster, services=[name], include=["TAGS"])
        found: dict[str, Any] = answer["services"][0]
        return found

    def provision(**parameters: Any) -> dict[str, Any]:
        ended = cloud.ended(cloud.start({"clusterName": "demo", "parameters": parameters}), 400)
        assert ended["status"] == "SUCCEEDED", ended
        return dict(json.loads(ended["output"]))

    provision(
        Connectors=1, BrokerGraceSeconds=900, ManagementListener=False, EnableExecuteCommand=False
    )
    before = brokers()
    provision(Connectors=2, BrokerGraceSeconds=1200)
    assert brokers() == before
    assert service("orchestration-cluster")["healthCheckGracePeriodSeconds"] == 1200
    assert service("connectors")["desiredCount"] == 2

    # Somebody changes the services by hand: the same input makes them what they are to be.
    ecs.update_service(cluster=cluster, service="connectors", desiredCount=1)
    arn = service("orchestration-cluster")["serviceArn"]
    ecs.tag_resource(resourceArn=arn, tags=[{"key": "by", "value": "hand"}])
    provision()
    assert service("connectors")["desiredCount"] == 2
    assert "by" not in {tag["key"] for tag in service("orchestration-cluster")["tags"]}
    assert brokers() == before

    ended = provision(ManagementListener=True, EnableExecuteCommand=True, Connectors=1)
    assert ended["access"]["urls"]["operate"].endswith("/operate")
    assert "tasks were not read" in ended["access"]["ways"][1]["unknown"]
    after = brokers()
    assert len(after) == 3
    assert not after & before
    found = service("orchestration-cluster")
    assert {one["containerPort"] for one in found["loadBalancers"]} == {8080, 26500, 9600}
    tasks = ecs.describe_tasks(cluster=cluster, tasks=sorted(after))["tasks"]
    assert all(task["enableExecuteCommand"] for task in tasks)
    assert len(found["deployments"]) == 1
    # The API's function reads the tasks, with its own rights; no agent runs on this machine.
    shown = described(cloud)
    assert shown["unreachable"] == []
    assert "ExecuteCommandAgent" in shown["access"]["ways"][1]["missing"]

    provision(ManagementListener=False)
    found = service("orchestration-cluster")
    assert {one["containerPort"] for one in found["loadBalancers"]} == {8080, 26500}
    assert cloud.healthy()
