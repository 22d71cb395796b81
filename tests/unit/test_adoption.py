"""Clusters that something else made: what is missing, and the lines to add."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from lifecycle.adapters.aws import service_design
from lifecycle.adapters.aws.service_design import EcsServiceDesigns
from lifecycle.camunda.topology import read_configuration, read_topology
from lifecycle.cluster.checks import Check, Result
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.names import held_name
from lifecycle.cluster.stack import Stack
from lifecycle.cluster.stack_decisions import decide_on
from lifecycle.errors import ScalingRefused, ServiceMissing, StackNotUsable
from lifecycle.scaling.adoption import Ingress, ServiceDesign, adoption_checks
from lifecycle.services.brokers import BrokersSeen
from moto import mock_aws

from tests.fakes.service_design import BY_TERRAFORM
from tests.support.scaling import ScalingWorld, scale_operation

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWERING = BrokersSeen(
    configuration=read_configuration({"brokers": []}), topology=read_topology({"brokers": []})
)
SILENT = BrokersSeen(problems=("orchestration-cluster.x.service.local does not resolve",))


def checks(design: ServiceDesign, brokers: BrokersSeen = ANSWERING) -> dict[str, Check]:
    found = adoption_checks(
        design, brokers, bootstrap=3, function_group="sg-functions", network="10.0.0.0/16"
    )
    return {check.name: check for check in found}


def test_what_camundas_terraform_makes_can_be_scaled_once_it_leaves_the_count_alone() -> None:
    found = checks(BY_TERRAFORM)
    assert [name for name, check in found.items() if check.result is Result.FAIL] == []
    assert "ignore_changes = [desired_count" in found["count is left alone"].remedy
    assert "task_desired_count = 3" in found["cluster size stays"].remedy
    assert found["no rebalancing of availability zones"].result is Result.WARN


@pytest.mark.parametrize(
    ("rules", "missing"),
    [
        ((), "9600, 8080"),
        ((Ingress(9600, 9600, group="sg-functions"),), "8080"),
        ((Ingress(8000, 10000, group="sg-others"),), "9600, 8080"),
        ((Ingress(0, 65535, cidr="10.0.1.0/24"),), "9600, 8080"),
        ((Ingress(0, 65535, cidr="2001:db8::/32"),), "9600, 8080"),
    ],
)
def test_missing_rules_are_named_with_the_lines_to_add(
    rules: tuple[Ingress, ...], missing: str
) -> None:
    design = replace(BY_TERRAFORM, ingress=rules)
    check = checks(design, SILENT)["security group rules"]
    assert check.result is Result.FAIL
    assert check.seen.endswith(f"reach {missing}")
    for port in missing.split(", "):
        assert f"--group-id sg-brokers --protocol tcp --port {port}" in check.remedy
    assert checks(design, ANSWERING)["security group rules"].result is Result.WARN


@pytest.mark.parametrize(
    "rules",
    [
        (Ingress(0, 65535, group="sg-functions"),),
        (Ingress(8080, 9600, cidr="10.0.0.0/8"),),
        (Ingress(8080, 8080, cidr="10.0.0.0/16"), Ingress(9600, 9600, group="sg-functions")),
    ],
)
def test_rules_that_suffice(rules: tuple[Ingress, ...]) -> None:
    design = replace(BY_TERRAFORM, ingress=rules)
    assert checks(design)["security group rules"].result is Result.PASS


@pytest.mark.parametrize("size", [4, None])
def test_a_cluster_size_that_is_not_the_bootstrap_is_refused(size: int | None) -> None:
    check = checks(replace(BY_TERRAFORM, cluster_size=size))["cluster size stays"]
    assert check.result is Result.FAIL
    assert f"CAMUNDA_CLUSTER_SIZE is {size or 'not set'}, the adoption specifies 3" in check.seen


@pytest.mark.parametrize("given", ["", "fixed", "static"])
def test_brokers_with_fixed_ids_cannot_be_scaled(given: str) -> None:
    check = checks(replace(BY_TERRAFORM, node_ids=given))["node ids from S3"]
    assert check.result is Result.FAIL
    assert (given or "not set") in check.seen


def test_deployments_that_may_take_two_brokers_at_once_are_told() -> None:
    six = replace(BY_TERRAFORM, desired=6)
    assert "83 % for 6" in checks(six)["one broker at a time"].remedy
    few = replace(BY_TERRAFORM, minimum_healthy=66, desired=3)
    for maximum, result in ((100, Result.PASS), (101, Result.WARN), (200, Result.WARN)):
        one = replace(few, maximum=maximum)
        assert checks(one)["one broker at a time"].result is result
    assert checks(replace(few, minimum_healthy=65, maximum=100))["one broker at a time"].result is (
        Result.WARN
    )


def test_brokers_that_are_silent_are_a_failure_with_the_reason() -> None:
    check = checks(BY_TERRAFORM, SILENT)["brokers reachable"]
    assert (check.result, "does not resolve" in check.seen) == (Result.FAIL, True)


class TestPlan:
    def adopted(self) -> ScalingWorld:
        world = ScalingWorld()
        assert world.stacks.stack is not None
        outputs = {**world.stacks.stack.outputs, "Adopted": "true"}
        world.stacks.stack = replace(
            world.stacks.stack,
            outputs=ClusterOutputs(outputs),
            exports={"EcsClusterName": held_name(outputs["EcsClusterName"])},
            parameters={"BrokerCpu": "4096"},
        )
        return world

    def test_it_tells_what_terraform_would_undo(self) -> None:
        world = self.adopted()
        told = world.planner.plan(scale_operation(), requested=4)["plan"]
        text = world.artifacts.objects[told["textKey"]].decode()
        assert told["status"] == "READY"
        assert "WARN count is left alone" in text
        assert "lifecycle { ignore_changes" in text
        assert told["cost"] == {"before": None, "after": None}

    def test_it_refuses_what_cannot_go_well(self) -> None:
        world = self.adopted()
        world.designs.design = replace(BY_TERRAFORM, cluster_size=5)
        with pytest.raises(ScalingRefused, match="cluster size stays"):
            world.planner.plan(scale_operation(), requested=4)

    def test_a_cluster_of_our_own_is_not_asked_about_terraform(self) -> None:
        world = ScalingWorld()
        told = world.planner.plan(scale_operation(), requested=4)["plan"]
        assert "Terraform" not in world.artifacts.objects[told["textKey"]].decode()


def test_provisioning_leaves_an_adopted_cluster_alone() -> None:
    stack = Stack(
        "control-demo",
        "arn",
        "CREATE_COMPLETE",
        outputs=ClusterOutputs({"Adopted": "true"}),
        tags={"camunda:control-plane": "control", "camunda:cluster": "demo"},
    )
    with pytest.raises(StackNotUsable, match="created by another tool"):
        decide_on(stack, "control", "demo")


class TestAdapter:
    @pytest.fixture
    def aws(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(key, "testing")
        with mock_aws():
            monkeypatch.setattr(
                service_design, "client", lambda name: boto3.client(name, "eu-central-1")
            )
            yield lambda name: boto3.client(name, "eu-central-1")

    def test_it_reads_groups_rules_size_and_settings(self, aws: Any) -> None:
        ec2, ecs = aws("ec2"), aws("ecs")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        functions, brokers = (
            ec2.create_security_group(VpcId=vpc, GroupName=name, Description=name)["GroupId"]
            for name in ("functions", "brokers")
        )
        ec2.authorize_security_group_ingress(
            GroupId=brokers,
            IpPermissions=[
                {
                    "IpProtocol": "tcp",
                    "FromPort": 9600,
                    "ToPort": 9600,
                    "UserIdGroupPairs": [{"GroupId": functions}],
                },
                {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/16"}]},
                {
                    "IpProtocol": "udp",
                    "FromPort": 8080,
                    "ToPort": 8080,
                    "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
                },
            ],
        )
        ecs.create_cluster(clusterName="c")
        ecs.register_task_definition(
            family="f",
            networkMode="awsvpc",
            containerDefinitions=[
                {"name": "init", "image": "busybox", "memory": 64},
                {
                    "name": "collector",
                    "image": "otel:1",
                    "memory": 64,
                    "environment": [
                        {"name": "CAMUNDA_CLUSTER_SIZE", "value": "5"},
                        {"name": "CAMUNDA_CLUSTER_NODEIDPROVIDER_TYPE", "value": "fixed"},
                    ],
                },
                {
                    "name": "broker",
                    "image": "camunda/camunda:8.9.16",
                    "memory": 512,
                    "portMappings": [{"containerPort": 9600}],
                    "environment": [
                        {"name": "CAMUNDA_CLUSTER_SIZE", "value": "3"},
                        {"name": "CAMUNDA_CLUSTER_NODEIDPROVIDER_TYPE", "value": "s3"},
                    ],
                },
            ],
        )
        ecs.create_service(
            cluster="c",
            serviceName="brokers",
            taskDefinition="f",
            desiredCount=3,
            launchType="FARGATE",
            networkConfiguration={
                "awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [brokers]}
            },
        )
        design = EcsServiceDesigns().read("c", "brokers")
        assert design.groups == (brokers,)
        assert set(design.ingress) == {
            Ingress(9600, 9600, group=functions),
            Ingress(0, 65535, cidr="10.0.0.0/16"),
        }
        assert (design.cluster_size, design.node_ids, design.desired) == (3, "s3", 3)
        # What ECS takes when nothing is said.
        assert (design.minimum_healthy, design.maximum) == (100, 200)
        assert design.rebalancing == "ENABLED"

    def test_a_service_that_is_not_there(self, aws: Any) -> None:
        aws("ecs").create_cluster(clusterName="c")
        with pytest.raises(ServiceMissing):
            EcsServiceDesigns().read("c", "nobody")
