"""ECS services through the API: what is sent, and what ECS's answers mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber
from lifecycle.adapters.aws import ecs_reader
from lifecycle.adapters.aws.ecs import EcsServices
from lifecycle.errors import AwsUnavailable, ServiceDraining
from lifecycle.services.image_digests import Running
from lifecycle.services.startup import MISSING, missing

from tests.support.world import OUTPUTS, designs

if TYPE_CHECKING:
    from collections.abc import Iterator

BROKERS = designs(OUTPUTS)["orchestration-cluster"]
ARN = "arn:aws:ecs:eu-central-1:123456789012:service/control-demo/orchestration-cluster"
DESCRIBED: dict[str, Any] = {
    "serviceArn": ARN,
    "serviceName": "orchestration-cluster",
    "clusterArn": "arn:aws:ecs:eu-central-1:123456789012:cluster/control-demo",
    "status": "ACTIVE",
    "desiredCount": 3,
    "runningCount": 3,
    "pendingCount": 0,
    "taskDefinition": "arn:orchestration-cluster:1",
    "deploymentConfiguration": {"minimumHealthyPercent": 66, "maximumPercent": 100},
    "tags": [
        {"key": "aws:ecs:serviceName", "value": "orchestration-cluster"},
        {"key": "team", "value": "platform"},
        {"key": "old", "value": "x"},
    ],
    "deployments": [
        {
            "id": "ecs-svc/1",
            "status": "PRIMARY",
            "createdAt": datetime(2026, 1, 1, tzinfo=UTC),
            "serviceConnectConfiguration": {"enabled": True, "namespace": "arn:namespace/ns-1"},
            "serviceConnectResources": [{"discoveryName": "orchestration-cluster-rest"}],
        }
    ],
}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = boto3.client(
        "ecs", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    monkeypatch.setattr(ecs_reader, "client", lambda _name, **_: client)
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def test_a_service_is_created_as_it_is_rendered(api: Stubber) -> None:
    api.add_response("create_service", {"service": {}}, dict(BROKERS))
    EcsServices().create(BROKERS)


def test_one_that_is_there_already_is_no_error(api: Stubber) -> None:
    api.add_client_error(
        "create_service",
        "InvalidParameterException",
        "Creation of service was not idempotent.",
    )
    EcsServices().create(BROKERS)


def test_a_name_that_still_drains_is_waited_for(api: Stubber) -> None:
    api.add_client_error(
        "create_service",
        "InvalidParameterException",
        "Unable to Start a service that is still Draining.",
    )
    with pytest.raises(ServiceDraining, match="orchestration-cluster"):
        EcsServices().create(BROKERS)


def test_the_first_service_of_an_account_is_asked_for_again(api: Stubber) -> None:
    api.add_client_error(
        "create_service",
        "InvalidParameterException",
        "Unable to assume the service linked role. Please verify that the ECS service linked role "
        "exists.",
    )
    with pytest.raises(AwsUnavailable, match="service linked role"):
        EcsServices().create(BROKERS)


def test_any_other_refusal_is_told(api: Stubber) -> None:
    api.add_client_error("create_service", "InvalidParameterException", "No such target group.")
    with pytest.raises(Exception, match="No such target group"):
        EcsServices().create(BROKERS)


def test_what_is_deleted_or_in_no_cluster_is_missing(api: Stubber) -> None:
    api.add_response("describe_services", {"services": [{**DESCRIBED, "status": "INACTIVE"}]})
    api.add_client_error("describe_services", "ClusterNotFoundException", "Cluster not found.")
    for _ in range(2):
        found = EcsServices().describe("control-demo", ["orchestration-cluster", "connectors"])
        assert [one.status for one in found] == [MISSING, MISSING]


def test_a_described_service_has_the_shape_in_which_it_is_created(api: Stubber) -> None:
    api.add_response("describe_services", {"services": [DESCRIBED]})
    (service,) = EcsServices().describe("control-demo", ["orchestration-cluster"])
    assert service.definition["cluster"] == "control-demo"
    assert service.definition["serviceConnectConfiguration"]["enabled"] is True
    assert {tag["key"] for tag in service.definition["tags"]} == {"team", "old"}
    primary = service.primary
    assert primary is not None
    assert primary.endpoints == ("orchestration-cluster-rest",)
    assert primary.created_at == 1767225600


def test_only_what_is_given_is_sent(api: Stubber) -> None:
    expected = {
        "cluster": "control-demo",
        "service": "connectors",
        "healthCheckGracePeriodSeconds": 300,
    }
    api.add_response("update_service", {"service": {}}, expected)
    api.add_response("update_service", {"service": {}}, {**expected, "forceNewDeployment": True})
    given = {"healthCheckGracePeriodSeconds": 300}
    EcsServices().update("control-demo", "connectors", given)
    EcsServices().update("control-demo", "connectors", given, redeploy=True)


def test_tags_come_to_be_exactly_these_beside_those_of_aws(api: Stubber) -> None:
    api.add_response("describe_services", {"services": [DESCRIBED]})
    api.add_response("untag_resource", {}, {"resourceArn": ARN, "tagKeys": ["old"]})
    added = [{"key": "cost", "value": "7"}]
    api.add_response("tag_resource", {}, {"resourceArn": ARN, "tags": added})
    EcsServices().tag("control-demo", "orchestration-cluster", {"team": "platform", "cost": "7"})


def test_a_service_that_is_gone_needs_no_deletion(api: Stubber) -> None:
    api.add_client_error("delete_service", "ServiceNotFoundException", "Service not found.")
    EcsServices().delete("control-demo", "connectors")


REVISION = "arn:aws:ecs:eu-central-1:123456789012:service-revision/control-demo/connectors/1"


def running(*revisions: str, container: str = "connectors") -> list[Running]:
    service = replace(missing("connectors"), service_revisions=revisions)
    return list(EcsServices().running_images(service, container))


def test_what_runs_is_what_ecs_resolved_for_the_service_s_own_container(api: Stubber) -> None:
    images = [
        {"containerName": "connectors", "image": "c:8.9.1", "imageDigest": "sha256:1"},
        {"containerName": "sidecar", "image": "s:1", "imageDigest": "sha256:2"},
    ]
    api.add_response(
        "describe_service_revisions",
        {"serviceRevisions": [{"containerImages": images}]},
        {"serviceRevisionArns": [REVISION]},
    )
    assert running(REVISION) == [Running("c:8.9.1", "sha256:1")]


@pytest.mark.parametrize(
    ("container", "expected"), [("sidecar", [Running("s:1", "sha256:2")]), ("collector", [])]
)
def test_what_runs_beside_it_is_that_container_s(
    api: Stubber, container: str, expected: list[Running]
) -> None:
    """A revision from before there was one has none beside it, and nothing is unknown."""
    images = [
        {"containerName": "sidecar", "image": "s:1", "imageDigest": "sha256:2"},
        {"containerName": "connectors", "image": "c:8.9.1", "imageDigest": "sha256:1"},
    ]
    api.add_response(
        "describe_service_revisions", {"serviceRevisions": [{"containerImages": images}]}
    )
    assert running(REVISION, container=container) == expected


def test_two_revisions_of_one_image_are_told_once(api: Stubber) -> None:
    images = [{"containerName": "connectors", "image": "c:8.9.1", "imageDigest": "sha256:1"}]
    revision = {"containerImages": images}
    api.add_response("describe_service_revisions", {"serviceRevisions": [revision, revision]})
    assert running(REVISION, REVISION) == [Running("c:8.9.1", "sha256:1")]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            {"serviceRevisions": [{"containerImages": [{"containerName": "connectors"}]}]},
            "ECS has not resolved it",
        ),
        (
            {"serviceRevisions": [], "failures": [{"arn": REVISION, "reason": "MISSING"}]},
            f"ECS does not describe revision {REVISION}",
        ),
        ({"serviceRevisions": [{}]}, "its revision has no container of its name"),
    ],
)
def test_what_ecs_does_not_tell_is_unknown(
    api: Stubber, answer: dict[str, Any], reason: str
) -> None:
    api.add_response("describe_service_revisions", answer)
    assert running(REVISION) == [Running("", "", reason)]


def test_a_service_of_no_revision_is_not_asked_for() -> None:
    assert running() == [Running("", "", "ECS names no revision of the service")]


def test_revisions_that_may_not_be_read_are_unknown(api: Stubber) -> None:
    api.add_client_error("describe_service_revisions", "AccessDeniedException", "Not allowed.")
    assert running(REVISION) == [Running("", "", "it may not be read: Not allowed")]


def test_a_service_knows_its_current_revisions(api: Stubber) -> None:
    current = [{"arn": REVISION, "requestedTaskCount": 1}]
    api.add_response(
        "describe_services", {"services": [{**DESCRIBED, "currentServiceRevisions": current}]}
    )
    (service,) = EcsServices().describe("control-demo", ["orchestration-cluster"])
    assert service.service_revisions == (REVISION,)


def test_tasks_that_stop_count_until_their_containers_have_stopped(api: Stubber) -> None:
    """ListTasks gives them under the desired status STOPPED, whatever their last status is."""
    statuses = {
        "RUNNING": ["PENDING", "RUNNING", "DEACTIVATING"],
        "STOPPED": ["DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED", "DELETED"],
    }
    for desired, listed in statuses.items():
        arns = [f"arn:aws:ecs:eu-central-1:1:task/demo/{desired}-{one}" for one in listed]
        asked = {"cluster": "demo", "serviceName": "connectors", "desiredStatus": desired}
        api.add_response("list_tasks", {"taskArns": arns}, asked)
        tasks = [
            {"taskArn": arn, "lastStatus": one, "startedBy": f"ecs-svc/{desired}"}
            for arn, one in zip(arns, listed, strict=True)
        ]
        api.add_response("describe_tasks", {"tasks": tasks}, {"cluster": "demo", "tasks": arns})
    found = EcsServices().living_tasks("demo", "connectors")
    assert [(one.deployment, one.status) for one in found] == [
        ("ecs-svc/RUNNING", "PENDING"),
        ("ecs-svc/RUNNING", "RUNNING"),
        ("ecs-svc/RUNNING", "DEACTIVATING"),
        ("ecs-svc/STOPPED", "DEACTIVATING"),
        ("ecs-svc/STOPPED", "STOPPING"),
    ]
