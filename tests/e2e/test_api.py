"""The REST API as its users meet it: signed requests, through API Gateway, to a whole cluster."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from jsonschema import Draft202012Validator

from local.config import CONTROL_STACK
from tests.support.cloud import FREE_AGAIN, Cloud, other_retention
from tools.api_client import Answer, Client
from tools.generate_openapi import schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.component import Instance

PROBLEM = "application/problem+json"

# The API's part of the four policies, as docs/api.md has it.
READ = ["GET/*"]
PLAN = [*READ, "POST/clusters/*/plans"]
OPERATE = [
    *PLAN,
    "PUT/clusters/*/brokers",
    "PUT/clusters/*/partitions",
    "POST/clusters/*/restart",
    "DELETE/clusters/*/management-access",
    "POST/clusters/*/backups",
    "PUT/clusters/*/freeze",
    "POST/operations/*.scale.*/cancel",
    "POST/operations/*.scale.*/resume",
    "POST/operations/*.restart.*/cancel",
    "POST/operations/*.restart.*/resume",
]
ADMINISTER = [
    *OPERATE,
    "PUT/clusters/*",
    "POST/clusters/*/restores",
    "POST/clusters/*/rehearsals",
    "POST/clusters/*/rotation",
    "DELETE/clusters/*",
    "POST/operations/*",
]
POLICIES = {"viewer": READ, "planner": PLAN, "operator": OPERATE, "administrator": ADMINISTER}


@dataclass(frozen=True)
class Deployed:
    """A running instance with a cluster in it."""

    endpoints: dict[str, Any]

    def aws(self, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.endpoints["aws"],
            region_name=self.endpoints["region"],
            aws_access_key_id=self.endpoints["accessKeyId"],
            aws_secret_access_key=self.endpoints["secretAccessKey"],
        )

    def client(self, credentials: Credentials | None) -> Client:
        return Client(self.endpoints["api"], self.endpoints["region"], credentials)

    @property
    def root(self) -> Client:
        found = self.endpoints
        return self.client(Credentials(found["accessKeyId"], found["secretAccessKey"]))

    def ended(self, operation_id: str, seconds: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while True:
            told = self.root.ask("GET", f"/operations/{operation_id}").document
            if told["status"] != "RUNNING":
                return dict(told)
            assert time.monotonic() < deadline, told
            time.sleep(0.5)


@pytest.fixture(scope="module")
def deployed(instance: Instance) -> Deployed:
    return Deployed(json.loads(instance.config.endpoints_file.read_text()))


@pytest.fixture(scope="module")
def cloud(instance: Instance) -> Cloud:
    return Cloud(instance)


@pytest.fixture(scope="module")
def people(deployed: Deployed) -> dict[str, tuple[str, Client]]:
    """A user with each of the four policies: ARN and client."""
    iam = deployed.aws("iam")
    account, region = deployed.endpoints["accountId"], deployed.endpoints["region"]
    api_id = deployed.endpoints["api"].split("/restapis/")[1].partition("/")[0]
    found = {}
    for name, paths in POLICIES.items():
        arn = iam.create_user(UserName=name)["User"]["Arn"]
        resources = [f"arn:aws:execute-api:{region}:{account}:{api_id}/v1/{path}" for path in paths]
        iam.put_user_policy(
            UserName=name,
            PolicyName="api",
            PolicyDocument=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": {
                        "Effect": "Allow",
                        "Action": "execute-api:Invoke",
                        "Resource": resources,
                    },
                }
            ),
        )
        key = iam.create_access_key(UserName=name)["AccessKey"]
        found[name] = (
            arn,
            deployed.client(Credentials(key["AccessKeyId"], key["SecretAccessKey"])),
        )
    return found


def is_problem(answer: Answer, status: int) -> None:
    assert (answer.status, answer.headers["content-type"]) == (status, PROBLEM), answer
    Draft202012Validator({**schemas()["Problem"], "components": {"schemas": schemas()}}).validate(
        answer.document
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/clusters"),
        ("GET", "/clusters/demo"),
        ("PUT", "/clusters/demo"),
        ("DELETE", "/clusters/demo"),
        ("PUT", "/clusters/demo/brokers"),
        ("PUT", "/clusters/demo/partitions"),
        ("POST", "/clusters/demo/plans"),
        ("GET", "/operations"),
        ("GET", "/operations/demo.scale.x"),
    ],
)
def test_no_route_answers_an_unsigned_request(deployed: Deployed, method: str, path: str) -> None:
    is_problem(deployed.client(None).ask(method, path, {"count": 4}), 403)


def test_a_wrong_signature_and_an_unknown_key_are_refused(
    deployed: Deployed, people: dict[str, tuple[str, Client]]
) -> None:
    known = people["administrator"][1].credentials
    assert known is not None
    for credentials in (Credentials(known.access_key, "wrong"), Credentials("AKIANOBODY", "x")):
        is_problem(deployed.client(credentials).ask("GET", "/clusters"), 403)


def test_a_route_that_does_not_exist_is_a_problem_document_too(deployed: Deployed) -> None:
    is_problem(deployed.root.ask("GET", "/nowhere"), 403)
    is_problem(deployed.root.ask("PATCH", "/clusters/demo"), 403)


def test_outside_the_stage_api_gateway_answers_in_its_own_words(deployed: Deployed) -> None:
    outside = replace(deployed.root, url=deployed.root.url.replace("/v1/", "/v2/"))
    answer = outside.ask("GET", "/clusters")
    assert (answer.status, answer.document) == (403, {"message": "Forbidden"})


@pytest.mark.parametrize("person", POLICIES)
@pytest.mark.parametrize(
    ("method", "path", "body", "allowed"),
    [
        ("GET", "/clusters", None, {"viewer", "planner", "operator", "administrator"}),
        ("GET", "/operations?cluster=demo", None, set(POLICIES)),
        # What is allowed is refused for its content, so that nothing is started here.
        ("POST", "/clusters/demo/plans", {}, {"planner", "operator", "administrator"}),
        ("PUT", "/clusters/demo/brokers", {"count": 0}, {"operator", "administrator"}),
        ("PUT", "/clusters/demo/partitions", {"partitions": 0}, {"operator", "administrator"}),
        ("PUT", "/clusters/demo", {"nothing": 1}, {"administrator"}),
        ("DELETE", "/clusters/demo", {"confirm": "no"}, {"administrator"}),
    ],
)
def test_who_may_what_is_decided_by_method_and_path(  # noqa: PLR0917 - one row of a table
    people: dict[str, tuple[str, Client]],
    person: str,
    method: str,
    path: str,
    body: Any,
    allowed: set[str],
) -> None:
    answer = people[person][1].ask(method, path, body)
    if person not in allowed:
        is_problem(answer, 403)
    else:
        assert answer.status == (200 if method == "GET" else 400), answer


def test_a_cluster_is_told_with_all_its_parts(deployed: Deployed, cloud: Cloud) -> None:
    cloud.given(3)
    (line,) = deployed.root.ask("GET", "/clusters").document["clusters"]
    assert line["name"] == "demo"
    told = deployed.root.ask("GET", "/clusters/demo").document
    assert told["unreachable"] == []
    assert told["brokers"] == {"declared": 3, "running": 3, "joined": 3}
    assert told["connectors"] == {"declared": 1, "running": 1}
    assert len(told["topology"]) == 3
    assert told["pendingChange"] is None
    newest = deployed.root.ask("GET", "/operations?cluster=demo").document["operations"][0]
    assert told["lastOperation"]["operationId"] == newest["operationId"]


@pytest.mark.parametrize(
    "body", [{"scale": {"count": 4}}, {"provision": {"parameters": {"LogRetentionDays": 90}}}]
)
def test_a_plan_is_the_result_of_its_operation_and_changes_nothing(
    deployed: Deployed, people: dict[str, tuple[str, Client]], body: Any
) -> None:
    before = deployed.root.ask("GET", "/clusters/demo").document["brokers"]
    arn, planner = people["planner"]
    started = planner.ask("POST", "/clusters/demo/plans", body)
    assert started.status == 202, started
    told = deployed.ended(started.document["operationId"])
    assert told["status"] == "SUCCEEDED", told
    assert told["result"]
    assert told["startedBy"] == arn
    assert deployed.root.ask("GET", "/clusters/demo").document["brokers"] == before


def test_scaling_through_the_api(
    deployed: Deployed, people: dict[str, tuple[str, Client]], cloud: Cloud
) -> None:
    cloud.given(3)
    arn, operator = people["operator"]
    path, body = "/clusters/demo/brokers", {"count": 4}
    started = operator.ask("PUT", path, body, key="four")
    assert started.status == 202, started
    assert started.headers["location"] == "/v1/operations/demo.scale.four"
    assert started.document["startedBy"] == arn

    again = operator.ask("PUT", path, body, key="four")
    assert (again.status, again.document["operationId"]) == (202, "demo.scale.four")
    is_problem(operator.ask("PUT", path, {"count": 5}, key="four"), 422)
    busy = operator.ask("PUT", path, {"count": 5}, key="five")
    is_problem(busy, 409)
    assert busy.document["operationId"] == "demo.scale.four"

    ended = deployed.ended("demo.scale.four")
    assert ended["status"] == "SUCCEEDED", ended
    assert ended["progress"]["done"] == ended["progress"]["planned"]
    replayed = operator.ask("PUT", path, body, key="four")
    assert (replayed.status, replayed.document["status"]) == (202, "SUCCEEDED")
    told = deployed.root.ask("GET", "/clusters/demo").document
    assert told["brokers"] == {"declared": 4, "running": 4, "joined": 4}
    assert told["lastOperation"]["operationId"] == "demo.scale.four"


def test_the_same_request_many_times_at_once_is_one_operation(deployed: Deployed) -> None:
    def ask(_: int) -> Answer:
        return deployed.root.ask("PUT", "/clusters/demo/brokers", {"count": 3}, key="three")

    with ThreadPoolExecutor(5) as threads:
        answers = list(threads.map(ask, range(5)))
    assert {answer.status for answer in answers} == {202}, answers
    assert deployed.ended("demo.scale.three")["status"] == "SUCCEEDED"
    listed = deployed.root.ask("GET", "/operations?cluster=demo").document["operations"]
    assert [one["operationId"] for one in listed].count("demo.scale.three") == 1


def test_different_requests_at_once_are_one_operation_and_refusals(deployed: Deployed) -> None:
    def ask(number: int) -> Answer:
        body = {"count": 4 + number % 2}
        return deployed.root.ask("PUT", "/clusters/demo/brokers", body, key=f"race-{number}")

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(ask, range(4)))
    assert sorted(answer.status for answer in answers) == [202, 409, 409, 409]
    (winner,) = [a.document["operationId"] for a in answers if a.status == 202]
    assert {a.document["operationId"] for a in answers if a.status == 409} == {winner}
    assert deployed.ended(winner)["status"] == "SUCCEEDED"


def test_an_aborted_operation_says_so_and_leaves_the_cluster_free(deployed: Deployed) -> None:
    started = deployed.root.ask("PUT", "/clusters/demo/brokers", {"count": 3}, key="stop")
    deployed.aws("stepfunctions").stop_execution(executionArn=started.document["execution"])
    told = deployed.ended("demo.scale.stop")
    assert told["status"] == "ABORTED"
    assert "new Idempotency-Key" in told["error"]["nextStep"]

    def free() -> bool:
        answer = deployed.root.ask("PUT", "/clusters/demo/brokers", {"count": 3}, key="go-on")
        assert answer.status in {202, 409}
        return answer.status == 202

    assert eventually(free, FREE_AGAIN)
    assert deployed.ended("demo.scale.go-on")["status"] == "SUCCEEDED"


def test_a_stopped_operation_goes_on_when_it_is_resumed(
    deployed: Deployed, people: dict[str, tuple[str, Client]]
) -> None:
    arn, operator = people["operator"]
    started = operator.ask("PUT", "/clusters/demo/brokers", {"count": 4}, key="stop-again")
    deployed.aws("stepfunctions").stop_execution(executionArn=started.document["execution"])
    path = "/operations/demo.scale.stop-again/resume"

    def resumed() -> bool:
        answer = operator.ask("POST", path)
        assert answer.status in {202, 409}, answer
        return answer.status == 202

    assert eventually(resumed, FREE_AGAIN)
    is_problem(operator.ask("POST", path), 409)
    ended = deployed.ended("demo.scale.stop-again")
    assert (ended["status"], ended["resumedBy"]) == ("SUCCEEDED", arn)
    back = operator.ask("PUT", "/clusters/demo/brokers", {"count": 3}, key="after-resume")
    assert back.status == 202
    assert deployed.ended("demo.scale.after-resume")["status"] == "SUCCEEDED"
    is_problem(operator.ask("POST", "/operations/demo.scale.after-resume/resume"), 409)
    is_problem(operator.ask("POST", "/operations/demo.scale.after-resume/cancel"), 409)


def test_an_operation_is_cancelled_before_its_first_change(
    deployed: Deployed, cloud: Cloud, people: dict[str, tuple[str, Client]]
) -> None:
    wanted = {"parameters": {"LogRetentionDays": other_retention(cloud)}}
    assert deployed.root.ask("PUT", "/clusters/demo", wanted, key="cancel").status == 202
    path = "/operations/demo.provision.cancel/cancel"
    assert people["operator"][1].ask("POST", path).status == 403

    def cancelled() -> bool:
        answer = deployed.root.ask("POST", path)
        assert answer.status in {202, 409}, answer
        return answer.status == 202

    assert eventually(cancelled, 20)
    ended = deployed.ended("demo.provision.cancel")
    assert (ended["status"], ended["changedAt"]) == ("ABORTED", None)
    assert ended["error"]["currentState"] == "Nothing in the cluster was changed."

    def free() -> bool:
        answer = deployed.root.ask("PUT", "/clusters/demo/brokers", {"count": 3}, key="uncancelled")
        return answer.status == 202

    assert eventually(free, FREE_AGAIN)
    assert deployed.ended("demo.scale.uncancelled")["status"] == "SUCCEEDED"
    is_problem(deployed.root.ask("POST", "/operations/demo.provision.cancel/resume"), 409)


def test_applying_parameters_in_one_go(
    deployed: Deployed, people: dict[str, tuple[str, Client]]
) -> None:
    wrong = deployed.root.ask(
        "PUT", "/clusters/demo", {"parameters": {"Brokers": 9, "LogRetentionDays": "x"}}
    )
    is_problem(wrong, 400)
    assert {one["field"] for one in wrong.document["errors"]} == {"parameters.LogRetentionDays"}
    arn, administrator = people["administrator"]
    started = administrator.ask(
        "PUT", "/clusters/demo", {"parameters": {"LogRetentionDays": 90}}, key="logs"
    )
    assert started.status == 202, started
    ended = deployed.ended("demo.provision.logs")
    assert ended["status"] == "SUCCEEDED", ended
    assert ended["result"]["outputs"]["ClusterName"] == "demo"
    assert ended["startedBy"] == arn


def test_a_reviewed_plan_is_applied_by_its_change_set(deployed: Deployed, cloud: Cloud) -> None:
    wanted = {"provision": {"parameters": {"LogRetentionDays": other_retention(cloud)}}}
    deployed.root.ask("POST", "/clusters/demo/plans", wanted, key="sixty")
    plan = deployed.ended("demo.plan.sixty")["result"]["plan"]
    assert plan["status"] == "READY"
    reviewed = {"changeSet": plan["changeSet"]}
    assert deployed.root.ask("PUT", "/clusters/demo", reviewed, key="apply").status == 202
    ended = deployed.ended("demo.provision.apply")
    assert ended["status"] == "SUCCEEDED", ended
    again = deployed.root.ask("POST", "/clusters/demo/plans", wanted, key="again")
    assert again.status == 202
    assert deployed.ended("demo.plan.again")["result"]["plan"]["status"] == "UNCHANGED"


def test_nobody_else_writes_or_deletes_what_is_applied_and_reported(
    deployed: Deployed, cloud: Cloud
) -> None:
    """A principal that may do anything in S3, until it changes the bucket's policy."""
    iam = deployed.aws("iam")
    name = "s3-administrator"
    iam.create_user(UserName=name)
    iam.put_user_policy(
        UserName=name,
        PolicyName="s3",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
            }
        ),
    )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    s3 = boto3.client(
        "s3",
        endpoint_url=deployed.endpoints["aws"],
        region_name=deployed.endpoints["region"],
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    stack = cloud.client("cloudformation").describe_stacks(StackName=CONTROL_STACK)["Stacks"][0]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    bucket = outputs["ArtifactBucketName"]
    found = s3.list_object_versions(Bucket=bucket)["Versions"]
    some = {one["Key"].partition("/")[0]: one for one in found}
    assert {"templates", "operations"} <= some.keys()
    for one in some.values():
        named = {"Bucket": bucket, "Key": one["Key"]}
        for attempt in (
            lambda named=named: s3.put_object(**named, Body=b"{}"),
            lambda named=named: s3.delete_object(**named),
            lambda named=named, one=one: s3.delete_object(**named, VersionId=one["VersionId"]),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                attempt()
    assert s3.list_object_versions(Bucket=bucket)["Versions"] == found


def test_a_cluster_is_made_and_removed(deployed: Deployed) -> None:
    trial = {"parameters": {"Trial": "true", "Connectors": 0, "AcceptPlaintext": True}}
    assert deployed.root.ask("PUT", "/clusters/brief", trial, key="make").status == 202
    made = deployed.ended("brief.provision.make", 120)
    assert made["status"] == "SUCCEEDED", made
    wrong = deployed.root.ask("DELETE", "/clusters/brief", {"confirm": "grief"}, key="typo")
    is_problem(wrong, 400)
    gone = deployed.root.ask("DELETE", "/clusters/brief", {"confirm": "brief"}, key="remove")
    assert gone.status == 202, gone
    ended = deployed.ended("brief.teardown.remove", 120)
    assert ended["status"] == "SUCCEEDED", ended
    is_problem(deployed.root.ask("GET", "/clusters/brief"), 404)


def deploy_with(deployed: Deployed, name: str, value: str) -> None:
    """Change one parameter of the control plane, and nothing else."""
    cloudformation = deployed.aws("cloudformation")
    stack = cloudformation.describe_stacks(StackName=CONTROL_STACK)["Stacks"][0]
    cloudformation.create_change_set(
        StackName=CONTROL_STACK,
        ChangeSetName=f"{name}-{value}",
        UsePreviousTemplate=True,
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value}
            if parameter["ParameterKey"] == name
            else {"ParameterKey": parameter["ParameterKey"], "UsePreviousValue": True}
            for parameter in stack["Parameters"]
        ],
        Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    given = {"StackName": CONTROL_STACK, "ChangeSetName": f"{name}-{value}"}
    cloudformation.get_waiter("change_set_create_complete").wait(
        **given, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    cloudformation.execute_change_set(**given)
    cloudformation.get_waiter("stack_update_complete").wait(
        StackName=CONTROL_STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
    )


@pytest.fixture
def second_person(deployed: Deployed) -> Iterator[None]:
    deploy_with(deployed, "SecondApproverFor", "provision,scale,teardown")
    try:
        yield
    finally:
        deploy_with(deployed, "SecondApproverFor", "")


@pytest.mark.usefixtures("second_person")
def test_where_a_second_person_is_required_nobody_applies_alone(
    deployed: Deployed, people: dict[str, tuple[str, Client]], cloud: Cloud
) -> None:
    planner, administrator = people["planner"][1], people["administrator"][1]
    wanted = {"provision": {"parameters": {"LogRetentionDays": other_retention(cloud)}}}
    plans = {}
    for name, person in (("own", administrator), ("other", planner)):
        person.ask("POST", "/clusters/demo/plans", wanted, key=name)
        plans[name] = deployed.ended(f"demo.plan.{name}")["result"]["plan"]["changeSet"]

    def applied(key: str, body: Any) -> dict[str, Any]:
        assert administrator.ask("PUT", "/clusters/demo", body, key=key).status == 202
        return deployed.ended(f"demo.provision.{key}")

    for key, body, said in (
        ("alone", wanted["provision"], "requested plan and apply in one step"),
        ("mine", {"changeSet": plans["own"]}, "another principal must apply it"),
    ):
        refused = applied(key, body)
        assert (refused["status"], refused["error"]["name"]) == ("FAILED", "SecondApproverRequired")
        assert said in refused["error"]["cause"]
        assert people["administrator"][0] in refused["error"]["cause"]
    in_the_console(deployed, "provision", {"clusterName": "demo", "changeSet": plans["other"]})
    ended = applied("theirs", {"changeSet": plans["other"]})
    assert ended["status"] == "SUCCEEDED", ended
    now = deployed.root.ask("POST", "/clusters/demo/plans", wanted, key="then")
    assert now.status == 202
    assert deployed.ended("demo.plan.then")["result"]["plan"]["status"] == "UNCHANGED"
    for verb, path, request in (
        ("scale", ("PUT", "/clusters/demo/brokers"), {"count": 4}),
        ("teardown", ("DELETE", "/clusters/demo"), {"confirm": "demo"}),
    ):
        refused_here = administrator.ask(*path, request, key="unreviewed")
        is_problem(refused_here, 403)
        assert "the field approves is missing" in refused_here.document["detail"]
        in_the_console(deployed, verb, {"clusterName": "demo", **request})
    body = {"scale": {"count": 4}}
    for name, person in (("four-own", administrator), ("four-other", planner)):
        assert person.ask("POST", "/clusters/demo/plans", body, key=name).status == 202
        assert deployed.ended(f"demo.plan.{name}")["status"] == "SUCCEEDED"

    def scaled(name: str) -> Answer:
        reviewed = {"count": 4, "approves": f"demo.plan.{name}"}
        return administrator.ask("PUT", "/clusters/demo/brokers", reviewed, key=name)

    is_problem(own := scaled("four-own"), 403)
    assert "another principal must apply it" in own.document["detail"]
    assert scaled("four-other").status == 202
    assert deployed.ended("demo.scale.four-other")["status"] == "SUCCEEDED"


def in_the_console(deployed: Deployed, machine: str, given: Any) -> None:
    """Start an execution without the API: nobody is known to have started it."""
    states, made = deployed.aws("stepfunctions"), deployed.endpoints
    arn = states.start_execution(
        stateMachineArn=f"arn:aws:states:{made['region']}:{made['accountId']}:stateMachine:"
        f"{CONTROL_STACK}-{machine}",
        name=f"console-{machine}",
        input=json.dumps(given),
    )["executionArn"]
    assert eventually(
        lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING", 60
    )
    found = states.describe_execution(executionArn=arn)
    assert (found["status"], found["error"]) == ("FAILED", "SecondApproverRequired"), found


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True
