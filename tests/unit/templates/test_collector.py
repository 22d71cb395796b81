"""The collector of metrics beside a broker: only on request, and never in the broker's way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.cluster.broker_memory import COLLECTOR_MIB

from local.collector.configuration import read
from tests.unit.templates.resolver import Resolved, resolve, template
from tests.unit.templates.test_data import actions, grants
from tests.unit.templates.test_services import broker, container, environment

if TYPE_CHECKING:
    from collections.abc import Mapping

ID = "ws-0123abcd-45ef-67ab-89cd-0123456789ab"
WORKSPACE = f"arn:aws:aps:eu-central-1:123456789012:workspace/{ID}"
SIZES = [
    (cpu.removeprefix("BrokerSize"), memory)
    for cpu, rule in template("cluster")["Rules"].items()
    if cpu.startswith("BrokerSize")
    for memory in rule["Assertions"][0]["Assert"]["Fn::Contains"][0]
]


def collector(cluster: Resolved) -> Mapping[str, Any]:
    return container(cluster, "OrchestrationTaskDefinition", "collector")


def measured(**parameters: str) -> Resolved:
    return resolve("cluster", PrometheusWorkspaceArn=WORKSPACE, **parameters)


def test_without_a_workspace_nothing_of_a_broker_differs() -> None:
    cluster = resolve("cluster")
    names = [
        one["Name"]
        for one in cluster.properties("OrchestrationTaskDefinition")["ContainerDefinitions"]
    ]
    assert names == ["orchestration-cluster", "database-ca"]
    assert not {"Cpu", "Memory"} & set(broker(cluster))


def test_turning_it_on_is_a_new_revision_of_the_brokers_alone() -> None:
    before, after = resolve("cluster"), measured()
    changed = {
        name for name in after.resources if after.resources[name] != before.resources.get(name)
    }
    assert changed == {
        "OrchestrationTaskDefinition", "OrchestrationTaskRole", "OrchestrationExecutionRole"
    }  # fmt: skip


def test_a_collector_that_ends_stops_no_broker() -> None:
    one = collector(measured())
    assert one["Essential"] is False
    assert "HealthCheck" not in one
    assert "DependsOn" not in one
    assert one["RestartPolicy"]["Enabled"] is True
    # What ECS allows: 60 to 1800 seconds.
    assert one["RestartPolicy"]["RestartAttemptPeriod"] == 60
    others = measured().properties("OrchestrationTaskDefinition")["ContainerDefinitions"]
    waits = {one["ContainerName"] for other in others for one in other.get("DependsOn", [])}
    assert "collector" not in waits


def test_it_has_no_rights_on_its_machine() -> None:
    one = collector(measured())
    assert one["ReadonlyRootFilesystem"] is True
    assert one["User"] == "4317:4317"
    assert not {"Secrets", "MountPoints", "PortMappings", "RepositoryCredentials"} & set(one)


@pytest.mark.parametrize(("cpu", "memory"), SIZES)
def test_all_containers_fit_into_the_task(cpu: str, memory: str) -> None:
    cluster = measured(BrokerCpu=cpu, BrokerMemory=memory)
    task = cluster.properties("OrchestrationTaskDefinition")
    both = broker(cluster), collector(cluster)
    # "must be lower than the task-level value": API_ContainerDefinition, of both.
    assert sum(one["Cpu"] for one in both) < int(task["Cpu"])
    assert sum(one["Memory"] for one in both) < int(task["Memory"])
    assert int(task["Memory"]) - broker(cluster)["Memory"] == COLLECTOR_MIB
    # The broker gets what is fought for.
    assert broker(cluster)["Cpu"] >= 30 * collector(cluster)["Cpu"]


def test_it_writes_to_its_workspace_and_nowhere_else() -> None:
    cluster = measured()
    (statement,) = [
        one
        for role in cluster.of_type("AWS::IAM::Role").values()
        for one in grants(role)
        if any(action.startswith("aps:") for action in actions(one))
    ]
    assert actions(statement) == ["aps:RemoteWrite"]
    assert statement["Resource"] == WORKSPACE
    assert statement in list(grants(cluster.properties("OrchestrationTaskRole")))
    found = read(environment(collector(cluster))["AOT_CONFIG_CONTENT"], {})
    assert found.endpoint == (
        f"https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/{ID}/api/v1/remote_write"
    )
    assert (found.region, found.service) == ("eu-central-1", "aps")


def test_the_boundary_of_tasks_lets_it() -> None:
    boundary = template("access")["Resources"]["TaskBoundary"]["Properties"]["PolicyDocument"]
    assert "aps:RemoteWrite" in boundary["Statement"][0]["Action"]


def test_it_reads_the_broker_of_its_own_task() -> None:
    found = read(environment(collector(measured()))["AOT_CONFIG_CONTENT"], {})
    assert (found.target, found.path) == ("localhost:9600", "/actuator/prometheus")
    assert (found.interval, found.timeout) == (30, 10)


def test_its_image_is_a_whole_reference() -> None:
    cluster = measured(
        ImageRegistryPrefix="mirror.example.com/hub",
        CollectorImage="mirror.example.com/aws/collector:v0.50.0",
    )
    assert collector(cluster)["Image"] == "mirror.example.com/aws/collector:v0.50.0"
    assert broker(cluster)["Image"].startswith("mirror.example.com/hub/")


def test_a_private_repository_of_the_account_can_be_pulled_from() -> None:
    for parameters, allowed in ((measured(), True), (resolve("cluster"), False)):
        role = parameters.properties("OrchestrationExecutionRole")
        found = any("ecr:BatchGetImage" in actions(one) for one in grants(role))
        assert found is allowed
