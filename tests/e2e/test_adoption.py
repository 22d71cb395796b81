"""A cluster that the provision machine did not make is adopted, planned, and scaled out and in.

Its stack is deployed by hand under a foreign name and its services are raised by hand, as another
tool would; of the control plane it knows nothing but the network. The adoption alone makes it
known.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.adapters.aws.s3 import S3Artifacts
from lifecycle.operation.record import Stored
from lifecycle.services.definition import render

from local.config import CONTROL_STACK, REGION, REPOSITORY
from tests.e2e.test_scaling import SERVICE, Scaling
from tests.support.blocks import block
from tests.support.cloud import REQUEST, eventually, running
from tests.support.world import DEFINITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

FOREIGN = "elsewhere"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scaling]:
    with running(tmp_path_factory.mktemp("instance"), block("adoption")) as instance:
        cluster = Scaling(instance)
        make_elsewhere(cluster)
        yield cluster


def deployed(cloud: Scaling, name: str, verb: str = "CREATE") -> dict[str, str]:
    cloudformation = cloud.client("cloudformation")

    def done() -> bool:
        found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        return str(found["StackStatus"]) == f"{verb}_COMPLETE"

    assert eventually(done, 120)
    found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    return {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}


def parameters(**values: Any) -> list[dict[str, str]]:
    return [
        # As a template writes a truth value.
        {"ParameterKey": key, "ParameterValue": str(value).lower() if value is True else str(value)}
        for key, value in values.items()
    ]


def artifact_bucket(cloud: Scaling) -> str:
    found = cloud.client("cloudformation").describe_stacks(StackName=CONTROL_STACK)["Stacks"][0]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in found["Outputs"]}
    return str(outputs["ArtifactBucketName"])


def template_url(cloud: Scaling) -> str:
    """Upload the cluster template, which is too long to be sent."""
    bucket, key = artifact_bucket(cloud), "templates/by-hand.yaml"
    body = (REPOSITORY / "stacks" / "cluster.yaml").read_bytes()
    cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    return S3Artifacts(bucket, REGION).url(Stored(key))


def make_elsewhere(cloud: Scaling) -> None:
    """Make a cluster without the provision machine."""
    cloudformation, ecs = cloud.client("cloudformation"), cloud.client("ecs")
    given = {**REQUEST["parameters"], "Brokers": 3}
    cloudformation.create_stack(
        StackName=FOREIGN,
        TemplateURL=template_url(cloud),
        Parameters=parameters(
            ControlStack=CONTROL_STACK,
            ClusterName="other",
            DatabaseCaCertificate=cloud.instance.config.database_ca.read_text(),
            **given,
        ),
        Capabilities=["CAPABILITY_IAM"],
    )
    outputs = deployed(cloud, FOREIGN)
    for service, count in ((SERVICE, 3), ("connectors", 1)):
        ecs.create_service(
            **render(DEFINITIONS[service], outputs, count=count, tags={"by": "hand"})
        )

    def runs() -> bool:
        found = ecs.describe_services(cluster=FOREIGN, services=[SERVICE])["services"][0]
        (deployment,) = found["deployments"]
        return bool(found["runningCount"] == 3 and deployment["rolloutState"] == "COMPLETED")

    assert eventually(runs, 120)
    adoption = {
        key: outputs[key]
        for key in (
            "OrchestrationServiceName",
            "ConnectorsServiceName",
            "EcsClusterName",
            "DiscoveryName",
            "AdminUserSecretArn",
            "Brokers",
            "Partitions",
            "ReplicationFactor",
            "RestTargetGroupArn",
            "GrpcTargetGroupArn",
        )
    }
    adopt(cloud, "legacy", adoption)
    deployed(cloud, f"{CONTROL_STACK}-legacy")


def adopt(cloud: Scaling, name: str, adoption: dict[str, str]) -> None:
    cloud.client("cloudformation").create_stack(
        StackName=f"{CONTROL_STACK}-{name}",
        TemplateBody=(REPOSITORY / "stacks" / "adopted-cluster.yaml").read_text(),
        Parameters=parameters(ControlStack=CONTROL_STACK, ClusterName=name, **adoption),
        Tags=[
            {"Key": "camunda:control-plane", "Value": CONTROL_STACK},
            {"Key": "camunda:cluster", "Value": name},
        ],
    )


def allow(cloud: Scaling, ecs_cluster: str) -> None:
    """Update the control stack as `sam deploy` with another parameter would."""
    cloudformation = cloud.client("cloudformation")
    found = cloudformation.describe_stacks(StackName=CONTROL_STACK)["Stacks"][0]
    kept = [
        {"ParameterKey": one["ParameterKey"], "UsePreviousValue": True}
        for one in found["Parameters"]
        if one["ParameterKey"] != "AdoptedEcsCluster"
    ]
    cloudformation.update_stack(
        StackName=CONTROL_STACK,
        UsePreviousTemplate=True,
        Parameters=[*kept, *parameters(AdoptedEcsCluster=ecs_cluster)],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND", "CAPABILITY_NAMED_IAM"],
    )
    deployed(cloud, CONTROL_STACK, "UPDATE")


def count(cloud: Scaling) -> tuple[int, int]:
    found = cloud.client("ecs").describe_services(cluster=FOREIGN, services=[SERVICE])
    service = found["services"][0]
    return service["desiredCount"], service["runningCount"]


def test_without_being_allowed_to_nothing_is_touched(cloud: Scaling) -> None:
    refused = cloud.scale(4, clusterName="legacy")
    assert refused["error"] == "AwsRefused", refused
    assert count(cloud) == (3, 3)


def test_the_secret_of_another_cluster_is_not_read_until_it_is_tagged(cloud: Scaling) -> None:
    allow(cloud, FOREIGN)
    arn = cloud.outputs(f"{CONTROL_STACK}-legacy")["AdminUserSecretArn"]
    refused = cloud.outcome(cloud.begin(0, verb="plan", clusterName="legacy", scale={"count": 4}))
    assert "has 'other' in the tag camunda:cluster" in refused["cause"], refused
    command = f"aws secretsmanager tag-resource --secret-id {arn} --tags"
    assert command in refused["cause"], refused
    cloud.client("secretsmanager").tag_resource(
        SecretId=arn, Tags=[{"Key": "camunda:cluster", "Value": "legacy"}]
    )


def test_one_stack_adopts_a_cluster(cloud: Scaling) -> None:
    held = cloud.client("cloudformation").describe_stacks(StackName=f"{CONTROL_STACK}-legacy")
    adoption = {
        one["ParameterKey"]: one["ParameterValue"]
        for one in held["Stacks"][0]["Parameters"]
        if one["ParameterKey"] not in {"ControlStack", "ClusterName"}
    }
    adopt(cloud, "again", adoption)

    def ended() -> bool:
        found = cloud.client("cloudformation").describe_stacks(StackName=f"{CONTROL_STACK}-again")
        return str(found["Stacks"][0]["StackStatus"]) == "ROLLBACK_COMPLETE"

    assert eventually(ended, 60)
    refused = cloud.scale(4, clusterName="again")
    assert refused["error"] == "ClusterNotFound", refused


def test_planned_with_the_adoption_check_then_scaled_out_and_in(cloud: Scaling) -> None:
    planned = cloud.outcome(cloud.begin(0, verb="plan", clusterName="legacy", scale={"count": 4}))
    assert "plan" in planned, planned
    assert planned["plan"]["status"] == "READY", planned
    body = cloud.client("s3").get_object(
        Bucket=artifact_bucket(cloud), Key=planned["plan"]["planKey"]
    )["Body"]
    adoption = {one["name"]: one["result"] for one in json.loads(body.read())["adoption"]}
    assert adoption["brokers reachable"] == "PASS"
    assert adoption["security group rules"] == "PASS"
    assert adoption["cluster size stays"] == "PASS"
    assert adoption["node ids from S3"] == "PASS"
    assert adoption["count is left alone"] == "WARN"

    out = cloud.scale(4, clusterName="legacy")
    assert out["verification"]["result"] == "PASS", out
    assert count(cloud) == (4, 4)
    back = cloud.scale(3, clusterName="legacy")
    assert back["verification"]["brokers"] == {"before": 4, "after": 3}, back
    assert count(cloud) == (3, 3)
    assert cloud.counts("demo")[SERVICE] == (3, 3), "the other cluster was left alone"


def test_provisioning_and_teardown_leave_it_alone(cloud: Scaling) -> None:
    for verb, more, error in (
        ("provision", {"parameters": {}}, "PreflightFailed"),
        ("teardown", {"confirm": "legacy"}, "StackNotUsable"),
    ):
        refused = cloud.outcome(cloud.begin(0, verb=verb, clusterName="legacy", **more))
        assert refused["error"] == error, refused
        assert "created by another tool" in refused["cause"]
    assert count(cloud) == (3, 3)
