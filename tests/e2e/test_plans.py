"""Plans on the embedded AWS: made, looked at, applied; stale and foreign ones refused; expired."""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from local.config import ACCOUNT_ID, CONTROL_STACK, REGION
from tests.support.cloud import Cloud, other_retention
from tests.support.phone import physical

if TYPE_CHECKING:
    from local.component import Instance

STACK = f"{CONTROL_STACK}-demo"
REGISTRY = f"{ACCOUNT_ID}.dkr.ecr.{REGION}.amazonaws.com"


class Plans(Cloud):
    """A running instance whose plan and provision machines are driven with boto3."""

    def outcome(self, verb: str, given: Any) -> dict[str, Any]:
        """Run one machine to its end; its output, or its error and cause."""
        name = f"{given['clusterName']}.{verb}.{uuid.uuid4().hex[:8]}"
        found = self.ended(self.start(given, verb, name))
        if found["status"] == "SUCCEEDED":
            return dict(json.loads(found["output"]))
        return {"error": found["error"], "cause": found["cause"]}

    def plan(self, cluster: str = "demo", **parameters: Any) -> dict[str, Any]:
        return self.planned({"parameters": parameters}, cluster)

    def planned(self, provision: dict[str, Any], cluster: str = "demo") -> dict[str, Any]:
        answer = self.outcome("plan", {"clusterName": cluster, "provision": provision})
        assert "plan" in answer, answer
        return dict(answer["plan"])

    def tags(self) -> tuple[dict[str, str], dict[str, str]]:
        """Tags of the cluster's stack and of its brokers' service."""
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        ecs = self.client("ecs")
        (service,) = ecs.describe_services(
            cluster=STACK, services=["orchestration-cluster"], include=["TAGS"]
        )["services"]
        return (
            {tag["Key"]: tag["Value"] for tag in stack["Tags"]},
            {tag["key"]: tag["value"] for tag in service["tags"]},
        )

    def stored(self, key: str) -> str:
        bucket = self.outputs(CONTROL_STACK)["ArtifactBucketName"]
        return str(self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode())

    def change_sets(self, stack: str) -> list[str]:
        found = self.client("cloudformation").list_change_sets(StackName=stack)["Summaries"]
        return [
            one["ChangeSetName"] for one in found if one["ExecutionStatus"] != "EXECUTE_COMPLETE"
        ]

    def push(self, repository: str, tag: str, content: str) -> str:
        """Put an image under a tag, which moves if it is there; gives the image's digest."""
        ecr = self.client("ecr")
        with contextlib.suppress(ecr.exceptions.RepositoryAlreadyExistsException):
            ecr.create_repository(repositoryName=repository)
        put = ecr.put_image(repositoryName=repository, imageTag=tag, imageManifest=content)
        return str(put["image"]["imageId"]["imageDigest"])

    def set_connectors(self, count: int) -> None:
        self.client("ecs").update_service(cluster=STACK, service="connectors", desiredCount=count)


@pytest.fixture(scope="module")
def plans(instance: Instance) -> Plans:
    return Plans(instance)


def test_a_plan_is_made_looked_at_and_applied(plans: Plans) -> None:
    before, was = plans.counts("demo"), plans.retention()
    days = other_retention(plans)
    plan = plans.plan(LogRetentionDays=days)
    assert (plan["status"], plan["kind"]) == ("READY", "update")
    assert plan["counts"]["replace"] == plan["counts"]["remove"] == 0
    text = plans.stored(plan["textKey"])
    assert f"LogRetentionDays: '{was}' -> '{days}'" in text
    assert "OrchestrationLogGroup (AWS::Logs::LogGroup) is changed in place" in text
    assert "could not be read" not in text, "preflight may read all that it needs"
    assert plans.retention() == was
    applied = plans.outcome("provision", plan["apply"])
    assert applied["result"] == "SUCCEEDED", applied
    assert plans.retention() == days
    assert plans.counts("demo") == before
    assert plans.locks() == []


def test_the_plan_of_an_applied_plan_changes_nothing(plans: Plans) -> None:
    plan = plans.plan()
    assert (plan["status"], plan["apply"]) == ("UNCHANGED", None)
    # It is empty, so that it can never be executed, and goes with the plan's schedule.
    (left,) = plans.change_sets(STACK)
    found = plans.client("cloudformation").describe_change_set(StackName=STACK, ChangeSetName=left)
    assert (found["Status"], found["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")


def test_tags_are_planned_set_kept_and_taken_away(plans: Plans) -> None:
    # A repetition finds what the first try has left.
    tag = f"cost-center-{uuid.uuid4().hex[:6]}"
    tasks = set(plans.client("ecs").list_tasks(cluster=STACK)["taskArns"])
    plan = plans.planned({"tags": {tag: "4711"}})
    assert f"{tag}: none -> '4711'" in plans.stored(plan["textKey"])
    assert plan["counts"]["replace"] == plan["counts"]["remove"] == 0
    assert "error" not in plans.outcome("provision", plan["apply"])
    assert [found[tag] for found in plans.tags()] == ["4711", "4711"]

    days = {"LogRetentionDays": other_retention(plans)}
    unrelated = {"clusterName": "demo", "parameters": days}
    assert "error" not in plans.outcome("provision", unrelated)
    assert [found[tag] for found in plans.tags()] == ["4711", "4711"]

    removal = {"clusterName": "demo", "tags": {tag: None}}
    assert "error" not in plans.outcome("provision", removal)
    assert not any(tag in found for found in plans.tags())
    assert plans.tags()[0]["camunda:cluster"] == "demo"
    assert set(plans.client("ecs").list_tasks(cluster=STACK)["taskArns"]) == tasks


def test_a_stale_plan_is_refused_by_what_differs(plans: Plans) -> None:
    days = other_retention(plans)
    plan = plans.plan(LogRetentionDays=days)
    plans.set_connectors(2)
    try:
        refused = plans.outcome("provision", plan["apply"])
    finally:
        plans.set_connectors(1)
    assert refused["error"] == "PlanStale", refused
    assert "connectors: planned at 1, now 2" in refused["cause"]
    assert plans.retention() != days
    assert plans.locks() == []


def test_a_plan_tells_what_a_tag_names_and_is_refused_once_the_tag_was_moved(plans: Plans) -> None:
    outputs = plans.outputs(STACK)
    version = outputs["OrchestrationImage"].rpartition(":")[2]
    image = f"{REGISTRY}/team/camunda:{version}"
    planned = plans.push("team/camunda", version, uuid.uuid4().hex)
    tasks = set(plans.client("ecs").list_tasks(cluster=STACK)["taskArns"])
    plan = plans.plan(OrchestrationImage=image)
    brokers, connectors = plan["images"]
    pinned = f"{image}@{planned}"
    assert (brokers["image"], brokers["digest"], brokers["missing"]) == (pinned, planned, False)
    (running,) = brokers["running"]
    assert running["image"] == outputs["OrchestrationImage"]
    assert running["digest"].startswith("sha256:")
    assert connectors["digest"] is None
    assert "its registry is not queried" in connectors["unknown"]
    text = " ".join(plans.stored(plan["textKey"]).split())
    assert f"is {planned} runs {running['digest']} ({running['image']})" in text

    moved = plans.push("team/camunda", version, uuid.uuid4().hex)
    refused = plans.outcome("provision", plan["apply"])
    assert refused["error"] == "PlanStale", refused
    assert f"the image {image}: planned {planned}, now {moved}" in refused["cause"]
    assert plans.outputs(STACK)["OrchestrationImage"] == outputs["OrchestrationImage"]
    assert set(plans.client("ecs").list_tasks(cluster=STACK)["taskArns"]) == tasks
    assert plans.locks() == []


def test_a_plan_warns_of_an_image_that_is_not_in_its_repository(plans: Plans) -> None:
    version = plans.outputs(STACK)["OrchestrationImage"].rpartition(":")[2]
    plan = plans.plan(OrchestrationImage=f"{REGISTRY}/none/camunda:{version}")
    assert plan["images"][0]["missing"] is True
    assert "WARNING: The image of orchestration-cluster" in plans.stored(plan["textKey"])
    plans.client("cloudformation").delete_change_set(ChangeSetName=plan["changeSet"])


def test_a_change_set_of_another_tool_is_refused(plans: Plans) -> None:
    cloudformation = plans.client("cloudformation")
    stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    foreign = cloudformation.create_change_set(
        StackName=STACK,
        ChangeSetName="by-hand",
        UsePreviousTemplate=True,
        Parameters=[
            {**parameter, "ParameterValue": "14"}
            if parameter["ParameterKey"] == "LogRetentionDays"
            else {"ParameterKey": parameter["ParameterKey"], "UsePreviousValue": True}
            for parameter in stack["Parameters"]
        ],
        Capabilities=["CAPABILITY_IAM"],
    )["Id"]
    try:
        for named in (foreign, "by-hand"):
            refused = plans.outcome("provision", {"clusterName": "demo", "changeSet": named})
            assert refused["error"] == "PlanNotFound", refused
    finally:
        cloudformation.delete_change_set(ChangeSetName=foreign)
    assert plans.retention() != 14


def test_a_refused_plan_leaves_its_report_and_no_change_set(plans: Plans) -> None:
    refused = plans.outcome(
        "plan", {"clusterName": "demo", "provision": {"parameters": {"DatabaseName": "other"}}}
    )
    assert refused["error"] == "ChangeSetRefused", refused
    assert "DatabaseCluster" in refused["cause"]
    key = next(word for word in refused["cause"].split() if word.startswith("plans/demo/"))
    assert "REFUSED" in plans.stored(key)
    assert not [name for name in plans.change_sets(STACK) if name in key]


def test_the_database_changes_as_planned_forwards_only_and_to_a_major_version_by_a_plan(
    plans: Plans,
) -> None:
    rds = plans.client("rds")
    identifier = plans.outputs(STACK)["DatabaseClusterId"]

    def database() -> dict[str, Any]:
        (found,) = rds.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"]
        return dict(found)

    runs = database()["EngineVersion"]
    (offered,) = rds.describe_db_engine_versions(Engine="aurora-postgresql", EngineVersion=runs)[
        "DBEngineVersions"
    ]
    majors = [
        one["EngineVersion"]
        for one in offered["ValidUpgradeTarget"]
        if one["IsMajorVersionUpgrade"]
    ]
    # Started again, the database is there already: it never goes back.
    if majors:
        major = {"DatabaseEngineVersion": majors[-1]}
        refused = plans.outcome("provision", {"clusterName": "demo", "parameters": major})
        assert refused["error"] == "PreflightFailed", refused
        assert (
            f"DatabaseEngineVersion {runs} to {majors[-1]} is a major version" in refused["cause"]
        )
        plan = plans.plan(**major)
        assert "a major version: every instance is shut down" in " ".join(
            plans.stored(plan["textKey"]).split()
        )
        assert "error" not in plans.outcome("provision", plan["apply"])
        assert database()["EngineVersion"] == majors[-1]
        assert "orchestration-cluster" in plans.counts("demo")
    back = {"DatabaseEngineVersion": "15.17"}
    refused = plans.outcome("plan", {"clusterName": "demo", "provision": {"parameters": back}})
    assert refused["error"] == "PreflightFailed", refused
    assert "DatabaseEngineVersion 15.17 is below" in refused["cause"]

    for instances in (2, 1):
        plan = plans.plan(DatabaseInstances=instances)
        assert plan["counts"]["replace"] == 0
        assert "error" not in plans.outcome("provision", plan["apply"])
        assert len(database()["DBClusterMembers"]) == instances


def test_an_expired_plan_of_a_new_cluster_leaves_nothing(plans: Plans) -> None:
    plan = plans.plan("fresh", AcceptPlaintext=True)
    stack = f"{CONTROL_STACK}-fresh"
    assert plan["kind"] == "create"
    assert stack in plans.stacks()
    name = plan["changeSet"].split("/")[1]
    scheduler = plans.client("scheduler")
    group = physical(plans.instance, "Schedules.PlanSchedules")
    schedules = [
        scheduler.get_schedule(Name=found["Name"], GroupName=group)
        for found in scheduler.list_schedules(GroupName=group)["Schedules"]
    ]
    (schedule,) = [one for one in schedules if name in one["Target"]["Input"]]
    assert schedule["ScheduleExpression"] == f"at({plan['expiresAt'][:19]})"
    assert schedule["ActionAfterCompletion"] == "DELETE"
    answer = plans.client("lambda").invoke(
        FunctionName=schedule["Target"]["Arn"], Payload=schedule["Target"]["Input"]
    )
    assert json.loads(answer["Payload"].read()) == {"changeSet": True, "stack": True}
    assert stack not in plans.stacks()
    assert plans.locks() == []
