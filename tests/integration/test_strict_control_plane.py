"""Rules of the strict AWS about rights, quotas and executions, seen through its API."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from lifecycle.adapters import aws
from lifecycle.adapters.cloudformation import CloudFormationStacks
from lifecycle.core.stack import first_failure, is_running
from lifecycle.errors import ChangeSetRefused, StackNotUsable

from local import instance
from local.aws.strict.replacement_needs_rollback import REPLACEMENT
from local.component import Instance
from local.config import ACCOUNT_ID, REGION, LocalConfig

pytestmark = pytest.mark.integration

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}
BALANCERS = {"ServiceCode": "elasticloadbalancing", "QuotaCode": "L-53DA6B97"}
VCPU = {"ServiceCode": "fargate", "QuotaCode": "L-3032A538"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    found = Instance.of(LocalConfig(tmp_path_factory.mktemp("instance"), "127.171"))
    host = instance.start(found, components=[])
    try:
        yield found
    finally:
        host.stop(grace=30)
        assert found.processes.survivors() == []


type As = Callable[..., Callable[[str], Any]]


@pytest.fixture
def role(here: Instance) -> As:
    """Clients with the session of a role that has these statements."""
    name = f"role-{uuid.uuid4().hex}"

    def make(*statements: dict[str, Any]) -> Callable[[str], Any]:
        iam = here.client("iam")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"][
            "Arn"
        ]
        policy = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow"} | s for s in statements],
        }
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
        session = here.client("sts").assume_role(RoleArn=arn, RoleSessionName="session")
        keys = session["Credentials"]
        return lambda service: boto3.client(
            service,
            endpoint_url=here.config.aws_endpoint,
            region_name=REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            config=Config(retries={"total_max_attempts": 1}),
        )

    return make


def quotas(service: str) -> str:
    return f"arn:aws:servicequotas:{REGION}:{ACCOUNT_ID}:{service}/*"


def test_a_quota_has_no_value_for_whom_the_service_itself_refuses(role: As) -> None:
    api = role(
        {
            "Action": "servicequotas:GetServiceQuota",
            "Resource": [quotas("elasticloadbalancing"), quotas("fargate")],
        },
        {
            "Action": [
                "servicequotas:ListServiceQuotas",
                "servicequotas:GetAWSDefaultServiceQuota",
            ],
            "Resource": "*",
        },
    )("service-quotas")
    told = api.get_service_quota(**BALANCERS)["Quota"]
    assert "Value" not in told
    assert told["ErrorReason"]["ErrorCode"] == "DEPENDENCY_ACCESS_DENIED_ERROR"
    (first, *_) = api.list_service_quotas(ServiceCode="elasticloadbalancing")["Quotas"]
    assert "Value" not in first
    assert api.get_aws_default_service_quota(**BALANCERS)["Quota"]["Value"] == 50
    assert api.get_service_quota(**VCPU)["Quota"]["Value"] == 100


def test_a_quota_has_a_value_for_whom_the_service_answers(role: As) -> None:
    api = role(
        {
            "Action": "servicequotas:GetServiceQuota",
            "Resource": quotas("elasticloadbalancing"),
        },
        {"Action": "elasticloadbalancing:DescribeAccountLimits", "Resource": "*"},
    )("service-quotas")
    assert api.get_service_quota(**BALANCERS)["Quota"]["Value"] == 50
    with pytest.raises(api.exceptions.ClientError, match="AccessDenied"):
        api.get_service_quota(**VCPU)


def test_what_is_no_quota_is_told_so(here: Instance) -> None:
    api = here.client("service-quotas")
    with pytest.raises(api.exceptions.NoSuchResourceException):
        api.get_service_quota(ServiceCode="fargate", QuotaCode="L-00000000")


def test_to_list_databases_is_to_name_all_of_them(role: As) -> None:
    api = role(
        {
            "Action": ["rds:DescribeDBClusters", "rds:DescribeDBInstances"],
            "Resource": f"arn:aws:rds:{REGION}:{ACCOUNT_ID}:cluster:*",
        }
    )("rds")
    assert api.describe_db_clusters()["DBClusters"] == []
    with pytest.raises(api.exceptions.ClientError, match="AccessDenied"):
        api.describe_db_instances()


@dataclass
class TaskStack:
    """A stack of one task definition, changed as the machines change a cluster's stack.

    With ``broken`` it has a gateway besides, which cannot be made.
    """

    api: Any
    stacks: CloudFormationStacks
    url: str
    name: str

    def execute(
        self, name: str, cpu: str, *, create: bool = False, keep: bool, broken: str = ""
    ) -> str:
        """Execute a change set to its end; gives the status of the stack."""
        arn = self.stacks.create_change_set(
            stack=self.name,
            name=name,
            create=create,
            template_url=self.url,
            parameters={"Cpu": cpu, "Broken": broken},
            tags={},
            description=name,
        )
        self.stacks.execute_change_set(arn, name, keep=keep)
        return self.at_rest()

    def at_rest(self) -> str:
        deadline = time.monotonic() + 30
        while True:
            found = self.stacks.describe(self.name)
            assert found is not None
            if not is_running(found.status):
                return found.status
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def cpu(self) -> str:
        (resource,) = self.stacks.contents(self.name)
        found = self.api("ecs").describe_task_definition(taskDefinition=resource.physical_id)
        return str(found["taskDefinition"]["cpu"])


@pytest.fixture
def task_stack(here: Instance, monkeypatch: pytest.MonkeyPatch) -> Iterator[TaskStack]:
    name = f"stack-{uuid.uuid4().hex}"
    template = {
        "Parameters": {"Cpu": {"Type": "String"}, "Broken": {"Type": "String"}},
        "Conditions": {"IsBroken": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Broken"}, ""]}]}},
        "Resources": {
            "Definition": {
                "Type": "AWS::ECS::TaskDefinition",
                "Properties": {
                    "Family": name,
                    "Cpu": {"Ref": "Cpu"},
                    "ContainerDefinitions": [{"Name": "broker", "Image": "broker:1"}],
                },
            },
            "Gateway": {
                "Type": "AWS::EC2::NatGateway",
                "Condition": "IsBroken",
                "DependsOn": "Definition",
                "Properties": {"SubnetId": {"Ref": "Broken"}},
            },
        },
        "Outputs": {"Cpu": {"Value": {"Ref": "Cpu"}}},
    }
    s3 = here.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=name, Key="template.json", Body=json.dumps(template))
    for key, value in here.config.client_environment().items():
        monkeypatch.setenv(key, value)
    aws.client.cache_clear()
    yield TaskStack(
        here.client,
        CloudFormationStacks(f"arn:aws:iam::{ACCOUNT_ID}:role/deployment"),
        f"https://{name}.s3.{REGION}.amazonaws.com/template.json",
        name,
    )
    aws.client.cache_clear()


def test_nothing_is_replaced_while_rollback_is_off(task_stack: TaskStack) -> None:
    assert task_stack.execute("one", "256", create=True, keep=True) == "CREATE_COMPLETE"
    assert task_stack.execute("two", "512", keep=True) == "UPDATE_FAILED"
    failed = first_failure(task_stack.stacks.events(task_stack.name, "two"))
    assert failed is not None
    assert (failed.logical_id, failed.reason) == ("Definition", REPLACEMENT)
    with pytest.raises(ChangeSetRefused, match=r"non-terminal \[UPDATE_FAILED\] state"):
        task_stack.execute("three", "512", keep=False)
    task_stack.stacks.roll_back(task_stack.name, "four")
    assert task_stack.at_rest() == "UPDATE_ROLLBACK_COMPLETE"
    assert task_stack.cpu() == "256"
    with pytest.raises(StackNotUsable, match="cannot be called from current stack status"):
        task_stack.stacks.roll_back(task_stack.name, "five")
    assert task_stack.execute("six", "512", keep=False) == "UPDATE_COMPLETE"
    assert task_stack.cpu() == "512"


def test_a_stack_that_was_never_complete_is_removed_by_its_rollback(task_stack: TaskStack) -> None:
    first: dict[str, Any] = {"create": True, "keep": True, "broken": "subnet-1"}
    assert task_stack.execute("one", "256", **first) == "CREATE_FAILED"
    with pytest.raises(ChangeSetRefused, match=r"non-terminal \[CREATE_FAILED\] state"):
        task_stack.execute("two", "256", keep=False)
    assert task_stack.execute("three", "256", keep=True, broken="subnet-2") == "UPDATE_FAILED"
    assert task_stack.cpu() == "256"
    task_stack.stacks.roll_back(task_stack.name, "four")
    assert task_stack.at_rest() == "ROLLBACK_COMPLETE"
    assert task_stack.stacks.contents(task_stack.name) == []


@pytest.fixture(scope="module")
def table(here: Instance) -> str:
    here.client("dynamodb").create_table(
        TableName="table",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "cluster", "AttributeType": "S"},
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-cluster",
                "KeySchema": [{"AttributeName": "cluster", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    return "table"


def item(key: str) -> dict[str, Any]:
    return {"pk": {"S": key}}


def write(*keys: str) -> dict[str, Any]:
    return {"RequestItems": {"table": [{"PutRequest": {"Item": item(key)}} for key in keys]}}


def together(*keys: str) -> dict[str, Any]:
    return {"TransactItems": [{"Delete": {"TableName": "table", "Key": item(key)}} for key in keys]}


def asked(key: str) -> dict[str, Any]:
    return {
        "TableName": "table",
        "KeyConditionExpression": "#k = :k",
        "ExpressionAttributeNames": {"#k": "pk"},
        "ExpressionAttributeValues": {":k": {"S": key}},
    }


ALLOWED_KEYS: list[tuple[str, dict[str, Any]]] = [
    ("put_item", {"TableName": "table", "Item": item("PLAN#1")}),
    ("get_item", {"TableName": "table", "Key": item("PLAN#1")}),
    ("batch_write_item", write("PLAN#1", "PLAN#2")),
    ("batch_get_item", {"RequestItems": {"table": {"Keys": [item("PLAN#1"), item("PLAN#2")]}}}),
    ("transact_write_items", together("PLAN#1", "PLAN#2")),
    ("query", asked("PLAN#1")),
    # It names no key, and no condition with ForAllValues is in its way.
    ("scan", {"TableName": "table"}),
]
FOREIGN_KEYS: list[tuple[str, dict[str, Any]]] = [
    ("put_item", {"TableName": "table", "Item": item("LOCK#1")}),
    ("get_item", {"TableName": "table", "Key": item("LOCK#1")}),
    ("update_item", {"TableName": "table", "Key": item("LOCK#1"), "UpdateExpression": "REMOVE a"}),
    ("delete_item", {"TableName": "table", "Key": item("LOCK#1")}),
    ("batch_write_item", write("PLAN#1", "LOCK#1")),
    ("batch_get_item", {"RequestItems": {"table": {"Keys": [item("PLAN#1"), item("LOCK#1")]}}}),
    ("transact_write_items", together("PLAN#1", "LOCK#1")),
    ("query", asked("LOCK#1")),
    (
        "query",
        {
            "TableName": "table",
            "IndexName": "by-cluster",
            "KeyConditionExpression": "cluster = :c",
            "ExpressionAttributeValues": {":c": {"S": "demo"}},
        },
    ),
]


def test_each_partition_key_of_a_request_must_be_allowed(role: As, table: str) -> None:
    api = role(
        {
            "Action": "dynamodb:*",
            "Resource": f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{table}*",
            "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["PLAN#*"]}},
        }
    )("dynamodb")
    for operation, request in ALLOWED_KEYS:
        getattr(api, operation)(**request)
    for operation, request in FOREIGN_KEYS:
        with pytest.raises(api.exceptions.ClientError, match="AccessDenied"):
            getattr(api, operation)(**request)


def trusting(here: Instance, service: str) -> str:
    """A new role without rights that a service may assume; gives its ARN."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": f"{service}.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role = here.client("iam").create_role(
        RoleName=f"{service}-{uuid.uuid4().hex}", AssumeRolePolicyDocument=json.dumps(trust)
    )
    return str(role["Role"]["Arn"])


def allow(here: Instance, role: str, action: str, resource: str) -> None:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    here.client("iam").put_role_policy(
        RoleName=role.rpartition("/")[2],
        PolicyName=action.replace(":", "-"),
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )


@pytest.fixture(scope="module")
def machine_role(here: Instance) -> str:
    return trusting(here, "states")


def made(here: Instance, role: str, states: dict[str, Any]) -> str:
    """A new state machine that begins with `First`; gives its ARN."""
    definition = {"QueryLanguage": "JSONata", "StartAt": "First", "States": states}
    machine = here.client("stepfunctions").create_state_machine(
        name=f"machine-{uuid.uuid4().hex}", definition=json.dumps(definition), roleArn=role
    )
    return str(machine["stateMachineArn"])


type Execute = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def execute(here: Instance, machine_role: str) -> Execute:
    """Run a machine of these states, from `First` on, to its end."""

    def run(states: dict[str, Any]) -> dict[str, Any]:
        api = here.client("stepfunctions")
        machine = made(here, machine_role, states)
        arn = api.start_execution(stateMachineArn=machine)["executionArn"]
        found: dict[str, Any] = {}
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = api.describe_execution(executionArn=arn)
            if found["status"] != "RUNNING":
                break
            time.sleep(0.05)
        return found

    return run


def text(length: int) -> str:
    """An expression whose value is a JSON string of so many bytes."""
    return f"{{% $pad('', {length - 2}, 'x') %}}"


END = {"Type": "Succeed"}


def test_a_state_gives_the_next_one_at_most_256_kib(execute: Execute) -> None:
    def first(length: int) -> dict[str, Any]:
        return {"First": {"Type": "Pass", "Output": text(length), "Next": "End"}, "End": END}

    assert execute(first(256 * 1024))["status"] == "SUCCEEDED"
    ended = execute(first(256 * 1024 + 1))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.DataLimitExceeded")


def test_variables_that_a_state_assigns_have_at_most_256_kib(execute: Execute) -> None:
    halves = {"a": text(130 * 1024), "b": text(130 * 1024)}
    both = {"First": {"Type": "Pass", "Assign": halves, "Next": "End"}, "End": END}
    assert execute(both)["error"] == "States.DataLimitExceeded"
    one_by_one = {
        "First": {"Type": "Pass", "Assign": {"a": halves["a"]}, "Next": "Second"},
        "Second": {"Type": "Pass", "Assign": {"b": halves["b"]}, "Next": "End"},
        "End": END,
    }
    assert execute(one_by_one)["status"] == "SUCCEEDED"


def test_no_wildcard_catches_what_is_too_large(execute: Execute) -> None:
    def first(caught: str) -> dict[str, Any]:
        branch = {"StartAt": "Large", "States": {"Large": {"Type": "Pass", "End": True}}}
        branch["States"]["Large"]["Output"] = text(256 * 1024 + 1)  # type: ignore[index]
        return {
            "First": {
                "Type": "Parallel",
                "Branches": [branch],
                "Catch": [{"ErrorEquals": [caught], "Next": "End"}],
                "Next": "End",
            },
            "End": END,
        }

    assert execute(first("States.ALL"))["error"] == "States.DataLimitExceeded"
    assert execute(first("States.DataLimitExceeded"))["status"] == "SUCCEEDED"


def test_a_machine_may_only_what_its_role_may(
    here: Instance, machine_role: str, execute: Execute
) -> None:
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:any"
    calling = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "TimeoutSeconds": 10,
        "Arguments": {"FunctionName": function, "Payload": {}},
        "End": True,
    }
    assert (
        "not authorized to perform: lambda:InvokeFunction" in execute({"First": calling})["cause"]
    )
    child = made(here, machine_role, {"First": {"Type": "Succeed"}})
    starting = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sfn:startSyncExecution",
        "TimeoutSeconds": 10,
        "Arguments": {"StateMachineArn": child},
        # Whoever was started by it, the machine goes on with its own rights.
        "Next": "Then",
    }
    states = {"First": starting, "Then": calling}
    assert execute(states)["error"] == "Sfn.AccessDeniedException"
    allow(here, machine_role, "states:StartSyncExecution", child)
    assert execute(states)["error"] == "Lambda.AWSLambdaException"


def test_an_event_reaches_a_machine_only_with_a_role_that_may_start_it(
    here: Instance, machine_role: str
) -> None:
    machines = [made(here, machine_role, {"First": {"Type": "Succeed"}}) for _ in range(3)]
    roles = [trusting(here, service) for service in ("events", "events", "scheduler")]
    for role, machine in ((roles[0], machines[0]), (roles[2], machines[2])):
        allow(here, role, "states:StartExecution", machine)
    events, states = here.client("events"), here.client("stepfunctions")
    events.put_rule(Name="all", EventPattern=json.dumps({"source": ["test"]}))
    # Told last, so that the others were refused when it has arrived.
    targets = [{"Id": str(n), "Arn": machines[n], "RoleArn": roles[n]} for n in (1, 2, 0)]
    events.put_targets(Rule="all", Targets=targets)
    events.put_events(Entries=[{"Source": "test", "DetailType": "any", "Detail": "{}"}])

    def started(machine: str) -> int:
        return len(states.list_executions(stateMachineArn=machine)["executions"])

    deadline = time.monotonic() + 10
    while not started(machines[0]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [started(machine) for machine in machines] == [1, 0, 0]
