"""Health checks on a cluster that something happens to: each fault is found within two checks, by
the right finding, and gone afterwards.

Database, tasks, load balancers and schedules are what they always are on this machine.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import time
import urllib.request
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from lifecycle.health.measure import UNITS

from local.config import CONTROL_STACK
from tests.support.cloud import eventually
from tests.support.phone import Phone, physical

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.component import Instance

STACK = f"{CONTROL_STACK}-demo"
# Seconds between checks where time is part of the matter; a schedule's shortest are 60.
BETWEEN = 6.0


class Cluster:
    """A running cluster, the machine that checks it, and ways to break it."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.config = instance.config
        machines = self.client("stepfunctions").list_state_machines()["stateMachines"]
        self.machines = {
            one["name"].removeprefix(f"{CONTROL_STACK}-"): one["stateMachineArn"]
            for one in machines
        }
        self.outputs = self._outputs(STACK)
        self._lost = ""

    def client(self, service: str) -> Any:
        return self.instance.client(service)

    def _outputs(self, stack: str) -> dict[str, str]:
        found = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        return {one["OutputKey"]: one["OutputValue"] for one in found["Outputs"]}

    def check(self, **more: str) -> dict[str, Any]:
        """Check as the schedule does: what nobody scheduled counts once in a minute."""
        more = {"scheduledAt": datetime.now(UTC).isoformat(timespec="milliseconds")} | more
        return self.look(**more)

    def look(self, **more: str) -> dict[str, Any]:
        answer = self.client("stepfunctions").start_sync_execution(
            stateMachineArn=self.machines["check_health"],
            input=json.dumps({"clusterName": "demo", **more}),
        )
        assert answer["status"] == "SUCCEEDED", answer
        report: dict[str, Any] = json.loads(answer["output"])
        return report

    def found_within_two(self, *expected: str) -> dict[str, Any]:
        """Check twice; the second, if not the first, has all these codes."""
        report = self.check()
        if not set(expected) <= codes(report):
            report = self.check()
        assert set(expected) <= codes(report), report["text"]
        return report

    def is_well(self, seconds: float = 240) -> None:
        """Wait until the cluster is healthy; once it was not in time, no later case waits again."""
        assert not self._lost, f"an earlier case left the cluster like this:\n{self._lost}"
        last: dict[str, Any] = {}

        def well() -> bool:
            last.update(self.check())
            return bool(last["verdict"] == "HEALTHY")

        if not eventually(well, seconds):
            self._lost = "\n".join((last["text"], json.dumps(self.tasks()), self.end_of_logs()))
            raise AssertionError(self._lost)

    def end_of_logs(self, lines: int = 40) -> str:
        """What the newest logs of brokers end with."""
        found = self.config.root.rglob("orchestration-cluster.log")
        files = sorted(found, key=lambda one: one.stat().st_mtime)[-4:]
        return "\n".join(
            f"--- {one.parent.name}\n"
            + "\n".join(one.read_text(errors="replace").splitlines()[-lines:])
            for one in files
        )

    def tasks(self, service: str = "orchestration-cluster") -> list[dict[str, Any]]:
        found = json.loads(self.config.tasks_file.read_text())
        running = [one for one in found if one["service"] == service and one["status"] == "RUNNING"]
        return sorted(running, key=lambda one: one["nodeId"] or 0)

    def alive(self) -> list[dict[str, Any]]:
        """Broker tasks whose processes are there, those that ECS stops among them."""
        found = json.loads(self.config.tasks_file.read_text())
        return [one for one in found if one["service"] == "orchestration-cluster" and one["pids"]]

    def send(self, node: int, number: signal.Signals) -> None:
        (task,) = [one for one in self.tasks() if one["nodeId"] == node]
        os.kill(task["pids"]["orchestration-cluster"], number)

    def manage(self, method: str, path: str, body: Any = None) -> Any:
        url = f"http://{self.tasks()[0]['address']}:9600/actuator/{path}"
        request = urllib.request.Request(
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read() or b"null")

    def listed(self) -> list[Any]:
        """Brokers in the topology that the broker with the lowest id shows."""
        request = urllib.request.Request(
            f"http://{self.tasks()[0]['address']}:8080/v2/topology",
            headers={"Authorization": self._authorization()},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return list(json.load(answer)["brokers"])

    def _authorization(self) -> str:
        secret = self.client("secretsmanager").get_secret_value(
            SecretId=self.outputs["AdminUserSecretArn"]
        )
        user = json.loads(secret["SecretString"])
        pair = f"{user['username']}:{user['password']}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    def set_count(self, service: str, count: int) -> None:
        self.client("ecs").update_service(cluster=STACK, service=service, desiredCount=count)

    def forget(self) -> None:
        """Let the next check be the first: what came before announced this and that."""
        table = self.physical("Table")
        self.client("dynamodb").delete_item(TableName=table, Key={"pk": {"S": "HEALTH#demo"}})
        self.is_well()

    def physical(self, logical_id: str) -> str:
        return physical(self.instance, logical_id)

    def database(self, statement: str) -> None:
        """Say something to the database as its administrator."""
        secret = self.client("secretsmanager").get_secret_value(
            SecretId=self.outputs["DatabaseAdminSecretArn"]
        )
        login = json.loads(secret["SecretString"])
        with psycopg.connect(
            host=self.outputs["DatabaseEndpoint"],
            hostaddr=self.config.database_address,
            dbname=self.outputs["DatabaseName"],
            user=login["username"],
            password=login["password"],
            sslmode="verify-full",
            sslrootcert=str(self.config.database_ca),
            autocommit=True,
        ) as connection:
            connection.execute(statement)


def codes(report: dict[str, Any]) -> set[str]:
    return {one["code"] for one in report["findings"] if one["severity"] != "INFO"}


@pytest.fixture(scope="module")
def cluster(instance: Instance) -> Cluster:
    return Cluster(instance)


@pytest.fixture(autouse=True)
def well_before_and_after(cluster: Cluster) -> Iterator[None]:
    cluster.is_well()
    yield
    cluster.is_well()


def test_a_broker_is_killed(cluster: Cluster) -> None:
    cluster.send(2, signal.SIGKILL)
    report = cluster.check()
    assert report["verdict"] == "DEGRADED"
    assert codes(report) & {"BROKER_UNREACHABLE", "BROKER_MISSING", "SERVICE_BELOW_DESIRED_COUNT"}


def test_the_coordinator_is_frozen(cluster: Cluster) -> None:
    cluster.send(0, signal.SIGSTOP)
    try:
        assert cluster.check()["verdict"] == "DEGRADED"
        # For a moment it is listed and silent, then it is not listed any more.
        found = codes(cluster.check())
        assert found & {"BROKER_UNREACHABLE", "COORDINATOR_UNREACHABLE"}, found
    finally:
        cluster.send(0, signal.SIGCONT)


def test_two_of_three_brokers_are_gone(cluster: Cluster) -> None:
    # Killed ones would be back within a second or two: here ECS does not start them again.
    cluster.set_count("orchestration-cluster", 1)
    try:
        assert eventually(lambda: len(cluster.alive()) == 1, 40)
        # The one that is left believes in the others for some seconds: gossip is patient.
        assert eventually(lambda: len(cluster.listed()) == 1, 60)
        report = cluster.found_within_two("PARTITION_WITHOUT_LEADER", "BROKER_MISSING")
        assert report["verdict"] == "DOWN"
    finally:
        cluster.set_count("orchestration-cluster", 3)


def test_the_database_is_stopped(cluster: Cluster) -> None:
    rds, name = cluster.client("rds"), cluster.outputs["DatabaseClusterId"]
    rds.stop_db_cluster(DBClusterIdentifier=name)
    time.sleep(1.5)  # until its server is gone
    try:
        report = cluster.found_within_two("DATABASE_DOWN")
        assert report["verdict"] == "DOWN"
    finally:
        rds.start_db_cluster(DBClusterIdentifier=name)


def test_the_grant_is_revoked(cluster: Cluster) -> None:
    cluster.database("REVOKE rds_iam FROM camunda")
    try:
        report = cluster.found_within_two("DATABASE_LOGIN_REFUSED")
        assert report["verdict"] == "DEGRADED"
    finally:
        cluster.database("GRANT rds_iam TO camunda")


def test_privileges_are_revoked(cluster: Cluster) -> None:
    cluster.database("REVOKE CREATE ON SCHEMA public FROM camunda")
    try:
        assert "CREATE on public" in cluster.found_within_two("DATABASE_GRANTS_MISSING")["text"]
    finally:
        cluster.database("GRANT CREATE ON SCHEMA public TO camunda")


def test_connectors_are_stopped(cluster: Cluster) -> None:
    cluster.set_count("connectors", 0)
    try:
        assert eventually(lambda: not cluster.tasks("connectors"), 10)
        cluster.found_within_two("CONNECTORS_STOPPED")
    finally:
        cluster.set_count("connectors", 1)


def test_a_service_is_changed_by_hand(cluster: Cluster) -> None:
    ecs = cluster.client("ecs")

    def grace(seconds: int) -> None:
        ecs.update_service(
            cluster=STACK, service="connectors", healthCheckGracePeriodSeconds=seconds
        )

    (live,) = ecs.describe_services(cluster=STACK, services=["connectors"])["services"]
    before = live["healthCheckGracePeriodSeconds"]
    grace(before + 7)
    try:
        text = cluster.found_within_two("SERVICE_CHANGED")["text"]
        assert f"healthCheckGracePeriodSeconds: {before + 7} → {before}" in text
    finally:
        grace(before)
    assert "SERVICE_CHANGED" not in codes(cluster.check())


def test_something_scales_the_brokers_by_itself(cluster: Cluster) -> None:
    scaling = cluster.client("application-autoscaling")
    target = {
        "ServiceNamespace": "ecs",
        "ScalableDimension": "ecs:service:DesiredCount",
        "ResourceId": f"service/{STACK}/orchestration-cluster",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=7)
    try:
        text = cluster.found_within_two("BROKERS_AUTOSCALED")["text"]
        assert "any number from 1 to 7" in text
    finally:
        scaling.deregister_scalable_target(**target)
    assert "BROKERS_AUTOSCALED" not in codes(cluster.check())


def test_a_change_waits_for_a_broker_that_never_starts(cluster: Cluster) -> None:
    change = cluster.manage("PATCH", "cluster", {"brokers": {"count": 4}})["changeId"]
    try:
        assert "broker 3 does not run" in cluster.found_within_two("CHANGE_STUCK")["text"]
    finally:
        cluster.manage("DELETE", f"cluster/changes/{change}")


def test_the_count_is_changed_behind_our_back(cluster: Cluster) -> None:
    ecs = cluster.client("ecs")
    members = [one["taskArn"] for one in cluster.tasks()]
    cluster.set_count("orchestration-cluster", 4)
    try:
        report = cluster.found_within_two("DESIRED_COUNT_MISMATCH")
        assert "the desired count is 4, the cluster has 3 members" in report["text"]
    finally:
        # Lowered as it has to be: ECS would stop any of them.
        ecs.update_task_protection(cluster=STACK, tasks=members, protectionEnabled=True)
        cluster.set_count("orchestration-cluster", 3)
        assert eventually(lambda: len(cluster.tasks()) == 3, 20)
        ecs.update_task_protection(cluster=STACK, tasks=members, protectionEnabled=False)


def test_the_management_port_is_closed(cluster: Cluster) -> None:
    addresses = [one["address"] for one in cluster.tasks()]
    for address in addresses:
        cluster.instance.names.block(address, 9600)
    try:
        report = cluster.found_within_two("MANAGEMENT_UNREACHABLE")
        # What the other port says is told all the same.
        assert report["verdict"] == "DEGRADED"
        assert "BROKERS_UNREACHABLE" not in codes(report)
    finally:
        for address in addresses:
            cluster.instance.names.unblock(address, 9600)


def test_a_change_is_announced_once_and_its_end_too(cluster: Cluster) -> None:
    cluster.forget()
    phone = Phone(cluster.instance)
    cluster.manage("POST", "exporting/pause")
    try:
        first = cluster.found_within_two("EXPORTING_PAUSED")
        assert first["verdict"] == "DEGRADED"
        for _ in range(3):
            cluster.check()
        bad = ["demo is DEGRADED: exporting is paused"]
        assert eventually(lambda: phone.subjects == bad, 5), phone.subjects
    finally:
        cluster.manage("POST", "exporting/resume")
    for _ in range(3):
        cluster.check()
    assert eventually(
        lambda: phone.subjects[1:] == ["demo is HEALTHY again (it was DEGRADED)"], 5
    ), phone.subjects


def test_the_same_check_delivered_twice_counts_once(cluster: Cluster) -> None:
    cluster.forget()
    time.sleep(1)  # due later than the check before, to the second
    due = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    first, second = cluster.check(scheduledAt=due), cluster.check(scheduledAt=due)
    assert (first["recorded"], second["recorded"]) == (True, False)
    assert second["consecutive"] == 1


def test_nobody_is_woken_by_scaling_out_and_in(cluster: Cluster) -> None:
    cluster.forget()
    states = cluster.client("stepfunctions")
    for count in (4, 3):
        execution = states.start_execution(
            stateMachineArn=cluster.machines["scale"],
            name=f"demo.scale.{uuid.uuid4().hex[:8]}",
            input=json.dumps({"clusterName": "demo", "count": count}),
        )["executionArn"]

        def ended(arn: str = execution) -> bool:
            time.sleep(BETWEEN)
            report = cluster.check()
            assert report["notified"] == "HEALTHY", report["text"]
            return bool(states.describe_execution(executionArn=arn)["status"] != "RUNNING")

        assert eventually(ended, 180)
        found = states.describe_execution(executionArn=execution)
        assert found["status"] == "SUCCEEDED", found
        time.sleep(BETWEEN)
        report = cluster.check()
        assert report["notified"] == "HEALTHY", report["text"]


def test_nobody_is_woken_by_a_rolling_restart(cluster: Cluster) -> None:
    cluster.forget()
    ecs = cluster.client("ecs")
    ecs.update_service(cluster=STACK, service="orchestration-cluster", forceNewDeployment=True)

    def rolled() -> bool:
        time.sleep(BETWEEN)
        report = cluster.check()
        assert report["notified"] == "HEALTHY", report["text"]
        services = ecs.describe_services(cluster=STACK, services=["orchestration-cluster"])
        (deployment,) = services["services"][0]["deployments"][:1]
        return bool(deployment["rolloutState"] == "COMPLETED")

    assert eventually(rolled, 300)


def test_a_slow_start_within_its_grace_wakes_nobody(cluster: Cluster) -> None:
    cluster.forget()
    (old,) = [one for one in cluster.tasks() if one["nodeId"] == 2]
    # Stopped, not killed: three ends within half an hour are a finding of their own.
    cluster.client("ecs").stop_task(cluster=STACK, task=old["taskArn"])
    new: dict[str, Any] = {}

    def starts() -> bool:
        found = [one for one in cluster.alive() if one["nodeId"] == 2]
        new.update(*(one for one in found if one["taskArn"] != old["taskArn"]))
        return bool(new)

    assert eventually(starts, 60)
    pid = new["pids"]["orchestration-cluster"]
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(4):
            report = cluster.check()
            assert report["verdict"] == "DEGRADED", report["text"]
            assert any("is starting" in one.get("transient", "") for one in report["findings"])
            # Removed brokers exit too: three ends in half an hour, of cases before, are told.
            told = [one for one in report["findings"] if one["code"] == "TASK_CRASH_LOOP"]
            assert told or report["notified"] == "HEALTHY", report["text"]
    finally:
        os.kill(pid, signal.SIGCONT)


def test_every_cluster_at_once(cluster: Cluster) -> None:
    states = cluster.client("stepfunctions")
    execution = states.start_execution(
        stateMachineArn=cluster.machines["check_all_health"], input="{}"
    )["executionArn"]
    assert eventually(
        lambda: states.describe_execution(executionArn=execution)["status"] != "RUNNING", 60
    )
    found = states.describe_execution(executionArn=execution)
    assert found["status"] == "SUCCEEDED", found
    assert json.loads(found["output"]) == {
        "checked": 1,
        "healthy": 1,
        "degraded": [],
        "down": [],
        "unknown": [],
    }


def test_metrics_are_a_line_of_the_log(cluster: Cluster) -> None:
    def lines() -> list[dict[str, Any]]:
        logs = cluster.client("logs")
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=cluster.physical("FunctionLogs"), filterPattern="CamundaLifecycle"
        )
        messages = [event["message"] for page in pages for event in page["events"]]
        return [json.loads(text) for text in messages if text.startswith('{"_aws"')]

    def newest() -> dict[str, Any]:
        return max(lines(), key=lambda line: line["_aws"]["Timestamp"], default={})

    # Two checks: what was dropped is what was dropped since the one before.
    cluster.look()
    began = time.time()
    cluster.look()
    assert eventually(lambda: newest().get("_aws", {}).get("Timestamp", 0) >= began * 1000, 20)
    line = newest()
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["ControlPlane", "Cluster"]]
    assert (line["ControlPlane"], line["Cluster"]) == (CONTROL_STACK, STACK)
    measured = {one["Name"] for one in directive["Metrics"]}
    assert measured <= set(line)
    # The emulated RDS has no time to which it could be restored; a backup there may be or not.
    assert set(UNITS) - measured <= {"BrokerBackupAge", "DatabaseBackupAge"}
    assert line["BrokersJoined"] == line["BrokersExpected"]
    assert line["RequestLimitUsed"] == line["RequestsDropped"] == [0.0]


def test_the_schedule_fires_by_itself(cluster: Cluster) -> None:
    """An Express execution leaves no trace that can be listed; its record does."""

    def checked() -> str:
        table, key = cluster.physical("Table"), {"pk": {"S": "HEALTH#demo"}}
        item = cluster.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)
        return str(json.loads(item["Item"]["document"]["S"])["checkedAt"])

    before = checked()
    assert eventually(lambda: checked() > before, 75)
