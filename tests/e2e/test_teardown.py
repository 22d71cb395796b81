"""Removing clusters on the embedded AWS: what stays, what goes, what is refused, what is told.

With brokers, databases and buckets that are really there.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from jsonschema import Draft202012Validator, FormatChecker

from local.config import CONTROL_STACK, REPOSITORY
from tests.support.cloud import FREE_AGAIN, Cloud, eventually

if TYPE_CHECKING:
    from local.component import Instance

SCHEMA = json.loads((REPOSITORY / "docs" / "events.schema.json").read_text())
PROVISION = json.loads((REPOSITORY / "events" / "provision-local.json").read_text())
STACK = f"{CONTROL_STACK}-demo"
TEARDOWN = {"clusterName": "demo", "confirm": "demo"}


class Clusters(Cloud):
    """The instance with every machine, and the events that it sends."""

    def __init__(self, instance: Instance) -> None:
        super().__init__(instance)
        sqs, events = self.client("sqs"), self.client("events")
        self.queue = sqs.create_queue(QueueName="told")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        events.put_rule(Name="told", EventPattern=json.dumps({"source": ["camunda.ecs.lifecycle"]}))
        target = {"Id": "queue", "Arn": arn["Attributes"]["QueueArn"]}
        events.put_targets(Rule="told", Targets=[target])

    def begin(self, machine: str, request: dict[str, Any]) -> str:
        name = f"{request['clusterName']}.{machine}.{uuid.uuid4().hex[:8]}"
        return self.start(request, machine, name)

    def outcome(self, machine: str, request: dict[str, Any]) -> dict[str, Any]:
        return self.ended(self.begin(machine, request), 240)

    def ask(self, resource: str) -> Any:
        """Answer of the API's function to a request that reads."""
        resources = self.client("cloudformation").describe_stack_resource(
            StackName=CONTROL_STACK, LogicalResourceId="ServeApi"
        )
        event = {
            "httpMethod": "GET",
            "resource": resource,
            "pathParameters": None,
            "requestContext": {"requestId": "r-1", "identity": {}},
        }
        answer = self.client("lambda").invoke(
            FunctionName=resources["StackResourceDetail"]["PhysicalResourceId"],
            Qualifier="live",
            Payload=json.dumps(event).encode(),
        )
        response = json.loads(answer["Payload"].read())
        assert response.get("statusCode") == 200, response
        return json.loads(response["body"])

    def tasks(self, cluster: str) -> list[str]:
        """ARNs of the tasks that run for a cluster; the instance may hold others."""
        found = json.loads(self.instance.config.tasks_file.read_text())
        arns = [str(one["taskArn"]) for one in found]
        return [arn for arn in arns if f":task/{CONTROL_STACK}-{cluster}/" in arn]

    def buckets(self, cluster: str) -> list[str]:
        found = self.client("s3").list_buckets()["Buckets"]
        prefix = f"{CONTROL_STACK}-{cluster}-"
        return [one["Name"] for one in found if one["Name"].startswith(prefix)]

    def named(self, outputs: dict[str, str]) -> dict[str, int]:
        """Instances by the names that ECS gives its brokers in the Service Connect namespace."""
        namespace = outputs["ServiceConnectNamespaceArn"].rsplit("/", 1)[-1]
        wanted = [{"Name": "NAMESPACE_ID", "Values": [namespace]}]
        found = self.client("servicediscovery").list_services(Filters=wanted)["Services"]
        return {one["Name"]: one["InstanceCount"] for one in found}

    def told(self) -> list[dict[str, Any]]:
        """Events that arrived since the last look."""
        found: list[dict[str, Any]] = []
        sqs = self.client("sqs")
        while messages := sqs.receive_message(
            QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=1
        ).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture(scope="module")
def clusters(instance: Instance) -> Clusters:
    return Clusters(instance)


def test_the_control_plane_stays_while_a_cluster_lives(clusters: Clusters) -> None:
    clusters.given_standing()
    cloudformation = clusters.client("cloudformation")
    with pytest.raises(ClientError, match=f"in use by {CONTROL_STACK}-"):
        cloudformation.delete_stack(StackName=CONTROL_STACK)
    stack = cloudformation.describe_stacks(StackName=CONTROL_STACK)["Stacks"][0]
    assert stack["StackStatus"].endswith("_COMPLETE")
    assert clusters.healthy()


def test_telling_changes_nothing_and_names_what_stays(clusters: Clusters) -> None:
    clusters.given_standing()
    clusters.told()
    ended = clusters.outcome("teardown", {"clusterName": "demo", "dryRun": True})
    assert ended["status"] == "SUCCEEDED", ended
    plan = json.loads(ended["output"])
    outputs = clusters.outputs(f"{CONTROL_STACK}-demo")
    kept = {one["id"]: one for one in plan["kept"]}
    for name in ("FileSystemId", "NodeIdBucketName", "BackupBucketName", "DatabaseClusterId"):
        assert outputs[name] in kept
    measured = [one["type"] for one in plan["kept"] if one["bytes"] is not None]
    assert {"AWS::EFS::FileSystem", "AWS::S3::Bucket", "AWS::Logs::LogGroup"} <= set(measured)
    assert clusters.healthy()
    assert clusters.locks() == []
    assert clusters.told() == []


def test_a_name_typed_wrong_removes_nothing(clusters: Clusters) -> None:
    clusters.given_standing()
    ended = clusters.outcome("teardown", {"clusterName": "demo", "confirm": "Demo"})
    assert (ended["status"], ended["error"]) == ("FAILED", "InvalidRequest")
    assert clusters.healthy()


def test_of_two_starts_one_removes_it_and_the_other_is_told(clusters: Clusters) -> None:
    clusters.given_standing()
    kept_before = set(clusters.buckets("demo"))
    before = clusters.outputs(f"{CONTROL_STACK}-demo")
    clusters.client("s3").put_object(
        Bucket=before["NodeIdBucketName"], Key="0.json", Body=b"a lease"
    )
    clusters.told()
    names = {f"orchestration-cluster-{name}": 3 for name in ("grpc", "rest", "sc")}
    assert eventually(lambda: clusters.named(before) == names, 15), clusters.named(before)
    executions = [clusters.begin("teardown", TEARDOWN) for _ in range(2)]
    ended = sorted(
        (clusters.ended(one, 240) for one in executions), key=lambda one: str(one["status"])
    )
    assert [one["status"] for one in ended] == ["FAILED", "SUCCEEDED"], ended
    assert ended[0]["error"] == "ClusterBusy"
    assert ended[1]["name"] in ended[0]["cause"]
    assert not clusters.standing("demo")
    assert clusters.locks() == []

    assert clusters.named(before) == {}, "the namespace of Service Connect is gone, and all in it"

    # What holds data is kept, the database as a snapshot.
    assert {before["NodeIdBucketName"], before["BackupBucketName"]} <= kept_before
    assert set(clusters.buckets("demo")) == kept_before
    systems = clusters.client("efs").describe_file_systems()["FileSystems"]
    assert before["FileSystemId"] in {one["FileSystemId"] for one in systems}
    output = json.loads(ended[1]["output"])
    # The last is the final one; those before it are of backups.
    *_, snapshot = output["snapshots"]
    found = clusters.client("rds").describe_db_cluster_snapshots(
        DBClusterSnapshotIdentifier=snapshot
    )["DBClusterSnapshots"]
    assert found[0]["DBClusterIdentifier"] == before["DatabaseClusterId"]
    databases = clusters.client("rds").describe_db_clusters()["DBClusters"]
    assert before["DatabaseClusterId"] not in {one["DBClusterIdentifier"] for one in databases}

    # Nothing of it runs or resolves any more.
    assert eventually(lambda: clusters.tasks("demo") == [], 15)
    assert eventually(
        lambda: before["DatabaseEndpoint"] not in clusters.instance.config.names_file.read_text(),
        15,
    )

    # Both ends were told, of the one that held the cluster.
    events = clusters.told()
    for event in events:
        Draft202012Validator(SCHEMA, format_checker=FormatChecker()).validate(event)
    assert [event["detail-type"].rpartition(" ")[2] for event in events] == ["Started", "Ended"]
    assert {event["detail"]["operationId"] for event in events} == {ended[1]["name"]}
    assert events[1]["detail"]["result"] == "SUCCEEDED"


def test_what_is_left_is_found_by_its_tags(clusters: Clusters) -> None:
    clusters.given_gone()
    kept = set(clusters.buckets("demo"))
    left = clusters.ask("/kept")["kept"]
    (line,) = [one for one in left if one["cluster"] == "demo"]
    kinds = {one["kind"] for one in line["things"]}
    assert {"bucket with the brokers' backups", "file system with the brokers' data"} <= kinds
    assert "key" in kinds
    assert kept <= {one["id"] for one in line["things"]}
    assert line["snapshots"], "the final one has the tags of its database"


def test_where_there_is_nothing_the_same_input_succeeds(clusters: Clusters) -> None:
    clusters.given_gone()
    ended = clusters.outcome("teardown", TEARDOWN)
    assert ended["status"] == "SUCCEEDED", ended
    assert "There is no stack" in json.loads(ended["output"])["plan"]["text"]


def test_a_new_cluster_of_that_name_finds_neither_old_leases_nor_old_data(
    clusters: Clusters,
) -> None:
    clusters.given_gone()
    old = set(clusters.buckets("demo"))
    systems = clusters.client("efs").describe_file_systems()["FileSystems"]
    old_systems = {one["FileSystemId"] for one in systems}
    ended = clusters.outcome("provision", PROVISION)
    assert ended["status"] == "SUCCEEDED", ended
    now = clusters.outputs(f"{CONTROL_STACK}-demo")
    assert now["NodeIdBucketName"] not in old
    assert now["BackupBucketName"] not in old
    assert now["FileSystemId"] not in old_systems
    s3 = clusters.client("s3")
    lease = s3.get_object(Bucket=now["NodeIdBucketName"], Key="0.json")["Body"].read()
    assert lease not in (b"a lease", b""), "the lease of a broker that runs now"
    assert old < set(clusters.buckets("demo"))


def test_an_operation_that_is_stopped_is_told_to_have_ended_so(clusters: Clusters) -> None:
    clusters.given_standing()
    clusters.told()
    execution = clusters.begin("teardown", TEARDOWN)
    assert eventually(lambda: clusters.locks() != [], 30)
    clusters.client("stepfunctions").stop_execution(executionArn=execution)
    assert eventually(lambda: clusters.locks() == [], FREE_AGAIN)
    events: list[dict[str, Any]] = []

    def ended() -> bool:
        events.extend(clusters.told())
        return any(event["detail"].get("result") == "ABORTED" for event in events)

    assert eventually(ended, 60)
    key = next(event["detail"]["reportKey"] for event in events if "result" in event["detail"])
    bucket = next(
        output["OutputValue"]
        for output in clusters.client("cloudformation").describe_stacks(StackName=CONTROL_STACK)[
            "Stacks"
        ][0]["Outputs"]
        if output["OutputKey"] == "ArtifactBucketName"
    )
    report = json.load(clusters.client("s3").get_object(Bucket=bucket, Key=key)["Body"])
    assert report["currentState"]
    assert clusters.outcome("teardown", TEARDOWN)["status"] == "SUCCEEDED"
    assert not clusters.standing("demo")


def test_a_trial_leaves_nothing_at_all(clusters: Clusters) -> None:
    kept_before = {
        "snapshots": clusters.client("rds").describe_db_cluster_snapshots()["DBClusterSnapshots"],
        "systems": clusters.client("efs").describe_file_systems()["FileSystems"],
        "secrets": names(clusters),
        "groups": groups(clusters),
    }
    ended = clusters.outcome(
        "provision", {"clusterName": "try", "parameters": {"Trial": True, "AcceptPlaintext": True}}
    )
    assert ended["status"] == "SUCCEEDED", ended
    stack = clusters.client("cloudformation").describe_stacks(StackName=f"{CONTROL_STACK}-try")[
        "Stacks"
    ][0]
    assert {"Key": "camunda:trial", "Value": "true"} in stack["Tags"]
    assert not stack.get("EnableTerminationProtection")
    outputs = clusters.outputs(f"{CONTROL_STACK}-try")
    assert (outputs["Brokers"], outputs["Partitions"]) == ("1", "1")
    for bucket in (outputs["NodeIdBucketName"], outputs["BackupBucketName"]):
        for number in range(3):
            clusters.client("s3").put_object(Bucket=bucket, Key=f"{number}", Body=b"x")
            clusters.client("s3").put_object(Bucket=bucket, Key="again", Body=b"x")
    clusters.client("s3").delete_object(Bucket=outputs["BackupBucketName"], Key="again")
    keys = [
        resource["PhysicalResourceId"]
        for resource in clusters.client("cloudformation").list_stack_resources(
            StackName=f"{CONTROL_STACK}-try"
        )["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::KMS::Key"
    ]

    ended = clusters.outcome("teardown", {"clusterName": "try", "confirm": "try"})
    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["plan"]["kept"] == []
    assert not clusters.standing("try")
    assert clusters.buckets("try") == []
    assert {
        "snapshots": clusters.client("rds").describe_db_cluster_snapshots()["DBClusterSnapshots"],
        "systems": clusters.client("efs").describe_file_systems()["FileSystems"],
        "secrets": names(clusters),
        "groups": groups(clusters),
    } == kept_before
    for key in keys:
        found = clusters.client("kms").describe_key(KeyId=key)["KeyMetadata"]
        assert found["KeyState"] == "PendingDeletion"


def names(clusters: Clusters) -> set[str]:
    found = clusters.client("secretsmanager").list_secrets(MaxResults=100)["SecretList"]
    return {one["Name"] for one in found}


def groups(clusters: Clusters) -> set[str]:
    found = clusters.client("logs").describe_log_groups()["logGroups"]
    return {one["logGroupName"] for one in found}
