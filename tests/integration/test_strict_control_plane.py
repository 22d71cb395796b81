"""Rules of the strict AWS about rights, quotas, executions and stacks, seen through its API."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from lifecycle.adapters.aws import autoscaling, secrets
from lifecycle.adapters.aws.autoscaling import AwsScalableTargets
from lifecycle.adapters.aws.secrets import SecretsManagerUsers, SecretsManagerVersions
from lifecycle.camunda.credentials import Credentials
from lifecycle.cluster.owned_secrets import Purpose
from lifecycle.errors import SecretRefused
from lifecycle.rotation.ports import Stages
from lifecycle.services.autoscaling import ScalableTarget

from local import instance
from local.aws.strict import state_size
from local.component import Instance
from local.config import ACCOUNT_ID, REGION, LocalConfig
from tests.support.blocks import block

pytestmark = pytest.mark.integration

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}
BALANCERS = {"ServiceCode": "elasticloadbalancing", "QuotaCode": "L-53DA6B97"}
VCPU = {"ServiceCode": "fargate", "QuotaCode": "L-3032A538"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    found = Instance.of(LocalConfig(tmp_path_factory.mktemp("instance"), block("strict")))
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

    def make(*statements: dict[str, Any]) -> Callable[[str], Any]:
        iam, name = here.client("iam"), f"role-{uuid.uuid4().hex}"
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"][
            "Arn"
        ]
        policy = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow"} | s for s in statements],
        }
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
        return session_of(here, arn)

    return make


def session_of(here: Instance, arn: str) -> Callable[[str], Any]:
    """Clients with a session of a role."""
    session = here.client("sts").assume_role(RoleArn=arn, RoleSessionName="session")
    keys = session["Credentials"]
    return lambda service: boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=here.config.aws_endpoint,
        region_name=REGION,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        config=Config(retries={"total_max_attempts": 1}),
    )


def quotas(service: str) -> str:
    return f"arn:aws:servicequotas:{REGION}:{ACCOUNT_ID}:{service}/*"


@pytest.mark.parametrize(
    ("listing", "code", "head"), [(False, "AccessDenied", "403"), (True, "NoSuchKey", "404")]
)
def test_an_absent_object_is_forbidden_to_who_may_not_list(
    here: Instance, role: As, listing: bool, code: str, head: str
) -> None:
    bucket = f"bucket-{uuid.uuid4().hex}"
    here.client("s3").create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    here.client("s3").put_object(Bucket=bucket, Key="plans/there", Body=b"x")
    arn = f"arn:aws:s3:::{bucket}"
    lists = [{"Action": "s3:ListBucket", "Resource": arn}] if listing else []
    api = role({"Action": "s3:GetObject", "Resource": f"{arn}/*"}, *lists)("s3")
    assert api.get_object(Bucket=bucket, Key="plans/there")["Body"].read() == b"x"
    for ask, expected in ((api.get_object, code), (api.head_object, head)):
        with pytest.raises(api.exceptions.ClientError) as refused:
            ask(Bucket=bucket, Key="plans/absent")
        assert refused.value.response["Error"]["Code"] == expected


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


COUNT: Final = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}


def test_a_secret_goes_through_its_stages(
    here: Instance, role: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The adapter of rotations on the embedded Secrets Manager."""
    api = here.client("secretsmanager")
    first = json.dumps({"username": "eve", "password": "first-password"})
    owner = {
        "camunda:control-plane": "control",
        "camunda:cluster": "demo",
        "camunda:purpose": "camunda-user",
    }
    tags = [{"Key": key, "Value": value} for key, value in owner.items()]
    arn = api.create_secret(Name=uuid.uuid4().hex, SecretString=first, Tags=tags)["ARN"]
    actions = ("DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage")
    may = role(
        {"Action": [f"secretsmanager:{one}" for one in actions], "Resource": arn},
        {"Action": "secretsmanager:GetRandomPassword", "Resource": "*"},
    )
    monkeypatch.setattr(secrets, "client", lambda service, **_: may(service))
    versions = SecretsManagerVersions("control")

    def stages() -> Stages:
        return versions.stages(arn, cluster="demo", purpose=Purpose.CAMUNDA_USER)

    with pytest.raises(SecretRefused, match="camunda:cluster"):
        versions.stages(arn, cluster="other", purpose=Purpose.CAMUNDA_USER)
    with pytest.raises(SecretRefused, match="camunda:purpose"):
        versions.stages(arn, cluster="demo", purpose=Purpose.DATABASE_ADMIN)
    former = stages().current
    assert stages() == Stages(former)
    token = "a" * 64
    for _ in range(2):
        versions.create(arn, "eve-b", token)
        assert stages() == Stages(former, pending=token)
        made = versions.read(arn, token)
    assert made.username == "eve-b"
    assert re.fullmatch("[A-Za-z0-9]{32}", made.password)
    versions.promote(arn, token, former)
    assert stages() == Stages(token, previous=former)
    assert versions.read(arn, token) == made
    assert versions.read(arn, former) == Credentials("eve", "first-password")
    assert SecretsManagerUsers("control", Purpose.CAMUNDA_USER).credentials(arn, "demo") == made
    assert versions.unknown_password() != versions.unknown_password()


def test_a_version_of_a_secret_is_made_once(here: Instance) -> None:
    api = here.client("secretsmanager")
    arn = api.create_secret(Name=uuid.uuid4().hex, SecretString="one")["ARN"]
    given = {"SecretId": arn, "ClientRequestToken": "b" * 32, "VersionStages": ["AWSPENDING"]}
    for _ in range(2):
        assert api.put_secret_value(**given, SecretString="two")["VersionId"] == "b" * 32
    with pytest.raises(api.exceptions.ResourceExistsException):
        api.put_secret_value(**given, SecretString="three")
    pending = {"SecretId": arn, "VersionStage": "AWSPENDING"}
    assert api.get_secret_value(**pending)["SecretString"] == "two"
    other = {**given, "ClientRequestToken": "c" * 32}
    api.put_secret_value(**other, SecretString="three")
    assert api.get_secret_value(**pending)["SecretString"] == "three"
    listed = api.list_secret_version_ids(SecretId=arn, IncludeDeprecated=True)["Versions"]
    stages = {one["VersionId"]: one["VersionStages"] for one in listed}
    assert stages["b" * 32] == []


def test_scalable_targets_are_read_as_they_were_registered(
    here: Instance, role: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = {**COUNT, "ResourceId": "service/one/brokers"}
    api = here.client("application-autoscaling")
    with pytest.raises(api.exceptions.ValidationException):
        api.register_scalable_target(**target)
    api.register_scalable_target(**target, MinCapacity=1, MaxCapacity=5)
    targets = AwsScalableTargets()
    may = role({"Action": "application-autoscaling:DescribeScalableTargets", "Resource": "*"})
    monkeypatch.setattr(autoscaling, "client", lambda service, **_: may(service))
    assert targets.of_services("one", ["brokers", "connectors"]) == [
        ScalableTarget("one", "brokers", 1, 5, suspended=False)
    ]
    assert targets.of_services("other", ["brokers"]) == []
    kinds = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
    api.register_scalable_target(**target, SuspendedState={kinds[0]: True})
    assert not targets.of_services("one", ["brokers"])[0].suspended
    api.register_scalable_target(**target, SuspendedState=dict.fromkeys(kinds, True))
    assert targets.of_services("one", ["brokers"])[0].suspended
    api.deregister_scalable_target(**target)
    assert targets.of_services("one", ["brokers"]) == []
    with pytest.raises(api.exceptions.ObjectNotFoundException):
        api.deregister_scalable_target(**target)


def test_scalable_targets_are_seen_by_who_may_see_all_of_them(role: As) -> None:
    arn = f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT_ID}:scalable-target/*"
    action = "application-autoscaling:DescribeScalableTargets"
    api = role({"Action": action, "Resource": arn})("application-autoscaling")
    with pytest.raises(api.exceptions.ClientError, match="AccessDenied"):
        api.describe_scalable_targets(ServiceNamespace="ecs")


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


@pytest.fixture
def limited(here: Instance) -> Iterator[None]:
    """What goes from state to state is measured."""
    here.config.strict_file.write_text(json.dumps([state_size.NAME]))
    yield
    here.config.strict_file.unlink()


@pytest.mark.usefixtures("limited")
def test_a_state_gives_the_next_one_at_most_256_kib(execute: Execute) -> None:
    def first(length: int) -> dict[str, Any]:
        return {"First": {"Type": "Pass", "Output": text(length), "Next": "End"}, "End": END}

    assert execute(first(256 * 1024))["status"] == "SUCCEEDED"
    ended = execute(first(256 * 1024 + 1))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.DataLimitExceeded")


@pytest.mark.usefixtures("limited")
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


@pytest.mark.usefixtures("limited")
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


@pytest.mark.parametrize(
    ("path", "bounded", "status"),
    [
        ("/camunda/", True, "CREATE_COMPLETE"),
        ("/camunda/", False, "ROLLBACK_COMPLETE"),
        ("/", True, "ROLLBACK_COMPLETE"),
    ],
)
def test_a_stack_makes_roles_only_as_its_own_role_may(
    here: Instance, path: str, bounded: bool, status: str
) -> None:
    boundary = f"arn:aws:iam::{ACCOUNT_ID}:policy/boundary"
    deployer = trusting(here, "cloudformation")
    statement = {
        "Effect": "Allow",
        "Action": "iam:CreateRole",
        "Resource": f"arn:aws:iam::{ACCOUNT_ID}:role/camunda/*",
        "Condition": {"StringEquals": {"iam:PermissionsBoundary": boundary}},
    }
    here.client("iam").put_role_policy(
        RoleName=deployer.rpartition("/")[2],
        PolicyName="roles",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    properties = {"Path": path, "AssumeRolePolicyDocument": TRUST} | (
        {"PermissionsBoundary": boundary} if bounded else {}
    )
    template = {"Resources": {"Made": {"Type": "AWS::IAM::Role", "Properties": properties}}}
    api, name = here.client("cloudformation"), f"stack-{uuid.uuid4().hex}"
    api.create_stack(
        StackName=name,
        TemplateBody=json.dumps(template),
        RoleARN=deployer,
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = api.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        if not found.endswith("_IN_PROGRESS"):
            break
        time.sleep(0.1)
    assert found == status


def test_a_role_of_a_stack_may_only_what_its_boundary_allows_too(here: Instance) -> None:
    statement = {"Effect": "Allow", "Resource": "*"}
    wide = {"Version": "2012-10-17", "Statement": {**statement, "Action": ["s3:*", "sqs:*"]}}
    narrow = {"Version": "2012-10-17", "Statement": {**statement, "Action": "s3:ListAllMyBuckets"}}
    boundary = here.client("iam").create_policy(
        PolicyName=f"boundary-{uuid.uuid4().hex}", PolicyDocument=json.dumps(narrow)
    )["Policy"]["Arn"]
    name = f"made-{uuid.uuid4().hex}"
    properties = {
        "RoleName": name,
        "AssumeRolePolicyDocument": TRUST,
        "Policies": [{"PolicyName": "wide", "PolicyDocument": wide}],
    }
    api = here.client("cloudformation")

    def deployed(verb: str, **more: Any) -> None:
        made = {"Made": {"Type": "AWS::IAM::Role", "Properties": {**properties, **more}}}
        getattr(api, f"{verb}_stack")(
            StackName=name,
            TemplateBody=json.dumps({"Resources": made}),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        api.get_waiter(f"stack_{verb}_complete").wait(
            StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
        )

    def may(service: str, call: str) -> bool:
        clients = session_of(here, f"arn:aws:iam::{ACCOUNT_ID}:role/{name}")
        try:
            getattr(clients(service), call)()
        except ClientError as error:
            if error.response["Error"]["Code"].startswith("AccessDenied"):
                return False
            raise
        return True

    deployed("create", PermissionsBoundary=boundary)
    assert may("s3", "list_buckets")
    assert not may("sqs", "list_queues")
    deployed("update")
    assert may("sqs", "list_queues")


@pytest.mark.parametrize(
    ("service", "allowed"), [("scheduler", True), ("cloudformation", False), (None, False)]
)
def test_a_role_is_passed_only_to_the_service_that_the_caller_may_pass_it_to(
    here: Instance, role: As, machine_role: str, service: str | None, allowed: bool
) -> None:
    acting = trusting(here, "scheduler")
    passing = {
        "Action": "iam:PassRole",
        "Resource": acting,
        "Condition": {"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}},
    }
    api = role(
        {"Action": "scheduler:CreateSchedule", "Resource": "*"}, *([passing] if service else [])
    )("scheduler")
    schedule = {
        "Name": f"schedule-{uuid.uuid4().hex}",
        "ScheduleExpression": "rate(1 day)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": made(here, machine_role, {"First": END}), "RoleArn": acting},
    }
    if allowed:
        api.create_schedule(**schedule)
    else:
        with pytest.raises(api.exceptions.ClientError, match="AccessDenied"):
            api.create_schedule(**schedule)


# --- stacks ------------------------------------------------------------------------------------


@dataclass
class TaskStack:
    """A stack that holds one task definition, changed by change sets as the application does."""

    api: Any
    name: str = field(default_factory=lambda: f"stack-{uuid.uuid4().hex[:8]}")

    def change(self, image: str, on_failure: str, *, subnet: str = "") -> None:
        """Make a change set and execute it; returns when the stack is at rest.

        In a ``subnet`` that does not exist a gateway is to be made, too.
        """
        template: dict[str, Any] = {
            "Resources": {
                "Task": {
                    "Type": "AWS::ECS::TaskDefinition",
                    "Properties": {
                        "Family": self.name,
                        "ContainerDefinitions": [{"Name": "main", "Image": image}],
                    },
                }
            }
        }
        if subnet:
            template["Resources"]["Gateway"] = {
                "Type": "AWS::EC2::NatGateway",
                "DependsOn": "Task",
                "Properties": {"SubnetId": subnet},
            }
        change_set = self.api.create_change_set(
            StackName=self.name,
            ChangeSetName=f"to-{uuid.uuid4().hex[:8]}",
            ChangeSetType="CREATE" if self.status() == "" else "UPDATE",
            TemplateBody=json.dumps(template),
            OnStackFailure=on_failure,
        )["Id"]
        self.api.get_waiter("change_set_create_complete").wait(
            ChangeSetName=change_set, WaiterConfig={"Delay": 1}
        )
        self.api.execute_change_set(ChangeSetName=change_set)
        self.rest()

    def rest(self) -> None:
        deadline = time.monotonic() + 30
        while self.status().endswith("_IN_PROGRESS"):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def status(self) -> str:
        try:
            found = self.api.describe_stacks(StackName=self.name)["Stacks"][0]
        except self.api.exceptions.ClientError:
            return ""
        return str(found["StackStatus"])

    def reasons(self) -> list[str]:
        events = self.api.describe_stack_events(StackName=self.name)["StackEvents"]
        return [event.get("ResourceStatusReason", "") for event in events]

    def task(self) -> str:
        found = self.api.describe_stack_resource(StackName=self.name, LogicalResourceId="Task")
        return str(found["StackResourceDetail"]["PhysicalResourceId"])


@pytest.fixture
def stack(here: Instance) -> TaskStack:
    found = TaskStack(here.client("cloudformation"))
    found.change("one", "DO_NOTHING")
    assert found.status() == "CREATE_COMPLETE"
    return found


@dataclass
class Nesting:
    """A stack with one nested stack, created from a template in S3."""

    here: Instance
    name: str = field(default_factory=lambda: f"stack-{uuid.uuid4().hex[:8]}")

    def url(self, template: dict[str, Any]) -> str:
        storage, bucket = self.here.client("s3"), f"templates-{self.name}"
        storage.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        storage.put_object(Bucket=bucket, Key="nested.json", Body=json.dumps(template))
        return f"https://{bucket}.s3.{REGION}.amazonaws.com/nested.json"

    def create(self, url: str, given: dict[str, str], *capabilities: str) -> list[str]:
        """Create the stack; gives the reasons of what failed, none if it was created."""
        nested = {
            "Type": "AWS::CloudFormation::Stack",
            "Properties": {"TemplateURL": url, "Parameters": given},
        }
        api = self.here.client("cloudformation")
        api.create_stack(
            StackName=self.name,
            TemplateBody=json.dumps({"Resources": {"Nested": nested}}),
            Capabilities=list(capabilities),
        )
        stack = TaskStack(api, self.name)
        stack.rest()
        events = api.describe_stack_events(StackName=self.name)["StackEvents"]
        failed = [one for one in events if one["ResourceStatus"] == "CREATE_FAILED"]
        assert bool(failed) == (stack.status() != "CREATE_COMPLETE")
        return [one.get("ResourceStatusReason", "") for one in failed]

    def queues(self) -> list[str]:
        urls = self.here.client("sqs").list_queues(QueueNamePrefix=self.name).get("QueueUrls", [])
        return sorted(one.rpartition("/")[2] for one in urls)


@pytest.fixture
def nesting(here: Instance) -> Nesting:
    return Nesting(here)


LOOP: Final[dict[str, Any]] = {
    "Transform": "AWS::LanguageExtensions",
    "Parameters": {"Prefix": {"Type": "String"}},
    "Resources": {
        "Fn::ForEach::Queues": [
            "Name",
            ["One", "Two"],
            {
                "Queue${Name}": {
                    "Type": "AWS::SQS::Queue",
                    "Properties": {"QueueName": {"Fn::Sub": "${Prefix}-${Name}"}},
                }
            },
        ]
    },
}


def test_a_nested_stack_s_loop_is_written_out(nesting: Nesting) -> None:
    url = nesting.url(LOOP)
    assert nesting.create(url, {"Prefix": nesting.name}, "CAPABILITY_AUTO_EXPAND") == []
    assert nesting.queues() == [f"{nesting.name}-One", f"{nesting.name}-Two"]
    nesting.here.client("cloudformation").delete_stack(StackName=nesting.name)
    TaskStack(nesting.here.client("cloudformation"), nesting.name).rest()
    assert nesting.queues() == []


def test_a_nested_stack_s_loop_needs_its_parents_consent(nesting: Nesting) -> None:
    url = nesting.url(LOOP)
    (reason,) = nesting.create(url, {"Prefix": nesting.name}, "CAPABILITY_NAMED_IAM")
    assert "Requires capabilities : [CAPABILITY_AUTO_EXPAND]" in reason
    assert nesting.queues() == []


def test_a_nested_stack_s_roles_need_its_parents_consent(nesting: Nesting) -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
    (reason,) = nesting.create(nesting.url({"Resources": {"Role": role}}), {})
    assert "Requires capabilities : [CAPABILITY_IAM]" in reason


def test_a_nested_stack_takes_no_parameter_that_its_template_lacks(nesting: Nesting) -> None:
    given = {"Prefix": nesting.name, "Suffix": "x"}
    (reason,) = nesting.create(nesting.url(LOOP), given, "CAPABILITY_AUTO_EXPAND")
    assert "Parameters: [Suffix] do not exist in the template" in reason
    assert nesting.queues() == []


def test_a_nested_template_is_read_from_a_url_only(nesting: Nesting) -> None:
    (reason,) = nesting.create("stacks/access.yaml", {})
    assert "TemplateURL must be a supported URL" in reason


def test_what_a_nested_template_retains_outlives_its_parent(nesting: Nesting) -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"{nesting.name}-kept"}}
    url = nesting.url({"Resources": {"Kept": queue | {"DeletionPolicy": "Retain"}}})
    assert nesting.create(url, {}) == []
    nesting.here.client("cloudformation").delete_stack(StackName=nesting.name)
    TaskStack(nesting.here.client("cloudformation"), nesting.name).rest()
    assert nesting.queues() == [f"{nesting.name}-kept"]


def test_a_nested_stack_is_updated_with_the_attributes_of_what_stays(nesting: Nesting) -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
    statement = {"Effect": "Allow", "Action": "sqs:*", "Resource": {"Ref": "Resource"}}
    policy = {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {"PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}},
    }
    url = nesting.url(
        {
            "Parameters": {"Resource": {"Type": "String"}},
            "Resources": {"Role": role, "Policy": policy},
            "Outputs": {
                "Role": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}},
                "Policy": {"Value": {"Ref": "Policy"}},
            },
        }
    )
    api, iam = nesting.here.client("cloudformation"), nesting.here.client("iam")
    assert nesting.create(url, {"Resource": "arn:aws:sqs:*:*:one"}, "CAPABILITY_IAM") == []
    nested = {
        "Type": "AWS::CloudFormation::Stack",
        "Properties": {"TemplateURL": url, "Parameters": {"Resource": "arn:aws:sqs:*:*:two"}},
    }
    api.update_stack(
        StackName=nesting.name,
        TemplateBody=json.dumps({"Resources": {"Nested": nested}}),
        Capabilities=["CAPABILITY_IAM"],
    )
    stack = TaskStack(api, nesting.name)
    stack.rest()
    assert stack.status() == "UPDATE_COMPLETE", stack.reasons()
    found = api.describe_stack_resource(StackName=nesting.name, LogicalResourceId="Nested")
    inner = found["StackResourceDetail"]["PhysicalResourceId"]
    outputs = {
        one["OutputKey"]: one["OutputValue"]
        for one in api.describe_stacks(StackName=inner)["Stacks"][0]["Outputs"]
    }
    assert ":role/" in outputs["Role"]
    version = iam.get_policy(PolicyArn=outputs["Policy"])["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=outputs["Policy"], VersionId=version)
    assert "two" in json.dumps(document["PolicyVersion"]["Document"])


def test_a_resource_whose_condition_turns_is_added_and_removed(here: Instance) -> None:
    api, name = here.client("cloudformation"), f"stack-{uuid.uuid4().hex[:8]}"
    template = {
        "Parameters": {"Wanted": {"Type": "String"}},
        "Conditions": {"IsWanted": {"Fn::Equals": [{"Ref": "Wanted"}, "true"]}},
        "Resources": {
            "Always": {"Type": "AWS::SQS::Queue"},
            "OnRequest": {"Type": "AWS::SQS::Queue", "Condition": "IsWanted"},
        },
    }

    def change(wanted: str, kind: str) -> list[tuple[str, str]]:
        change_set = api.create_change_set(
            StackName=name,
            ChangeSetName=f"to-{uuid.uuid4().hex[:8]}",
            ChangeSetType=kind,
            TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": "Wanted", "ParameterValue": wanted}],
        )["Id"]
        api.get_waiter("change_set_create_complete").wait(
            ChangeSetName=change_set, WaiterConfig={"Delay": 1}
        )
        found = api.describe_change_set(ChangeSetName=change_set)["Changes"]
        api.execute_change_set(ChangeSetName=change_set)
        kinds = f"stack_{kind.lower()}_complete"
        api.get_waiter(kinds).wait(StackName=name, WaiterConfig={"Delay": 1})
        changes = [one["ResourceChange"] for one in found]
        return [(one["Action"], one["LogicalResourceId"]) for one in changes]

    def queues() -> set[str]:
        found = api.describe_stack_resources(StackName=name)["StackResources"]
        return {one["LogicalResourceId"] for one in found}

    assert change("false", "CREATE") == [("Add", "Always")]
    assert queues() == {"Always"}
    assert change("true", "UPDATE") == [("Add", "OnRequest")]
    assert queues() == {"Always", "OnRequest"}
    assert change("false", "UPDATE") == [("Remove", "OnRequest")]
    assert queues() == {"Always"}


def test_an_update_that_keeps_what_worked_replaces_nothing_and_is_stuck(stack: TaskStack) -> None:
    before = stack.task()
    stack.change("two", "DO_NOTHING")
    assert stack.status() == "UPDATE_FAILED"
    assert any("Replacement type updates not supported" in reason for reason in stack.reasons())
    assert stack.task() == before
    with pytest.raises(stack.api.exceptions.ClientError, match="non-terminal"):
        stack.change("two", "ROLLBACK")

    stack.api.rollback_stack(StackName=stack.name)
    stack.rest()
    assert stack.status() == "UPDATE_ROLLBACK_COMPLETE"
    stack.change("two", "ROLLBACK")
    assert stack.status() == "UPDATE_COMPLETE"
    assert stack.task() != before


def test_an_update_that_rolls_back_may_replace_and_takes_away_what_it_replaced(
    stack: TaskStack, here: Instance
) -> None:
    before = stack.task()
    stack.change("two", "ROLLBACK")
    assert stack.status() == "UPDATE_COMPLETE"
    assert stack.task() != before
    revision = here.client("ecs").describe_task_definition(taskDefinition=before)
    assert revision["taskDefinition"]["status"] == "INACTIVE"


def test_a_stack_that_was_never_complete_is_removed_by_its_roll_back(here: Instance) -> None:
    stack = TaskStack(here.client("cloudformation"))
    stack.change("one", "DO_NOTHING", subnet="subnet-1")
    assert stack.status() == "CREATE_FAILED"
    with pytest.raises(stack.api.exceptions.ClientError, match="non-terminal"):
        stack.change("one", "ROLLBACK")
    stack.change("one", "DO_NOTHING", subnet="subnet-2")
    assert stack.status() == "UPDATE_FAILED"
    task = stack.task()
    stack.api.rollback_stack(StackName=stack.name)
    stack.rest()
    assert stack.status() == "ROLLBACK_COMPLETE"
    found = here.client("ecs").describe_task_definition(taskDefinition=task)["taskDefinition"]
    assert found["status"] == "INACTIVE"


@dataclass(frozen=True)
class Keys:
    access_key: str
    secret: str
    token: str | None = None


def signing(here: Instance, service: str, keys: Keys, **config: Any) -> Any:
    """A client that signs with these keys."""
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=here.config.aws_endpoint,
        region_name=REGION,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret,
        aws_session_token=keys.token,
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


@pytest.fixture(scope="module")
def keys(here: Instance) -> dict[str, Keys]:
    """Keys of root, of a user and of a role's session that may all that is asked here."""
    iam, policy = here.client("iam"), {"Version": "2012-10-17", "Statement": [ANYTHING]}
    named = {"PolicyName": "own", "PolicyDocument": json.dumps(policy)}
    iam.create_user(UserName="known")
    iam.put_user_policy(UserName="known", **named)
    user = iam.create_access_key(UserName="known")["AccessKey"]
    arn = iam.create_role(RoleName="known", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"][
        "Arn"
    ]
    iam.put_role_policy(RoleName="known", **named)
    session = here.client("sts").assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
    return {
        "root": Keys(here.config.keys.access_key_id, here.config.keys.secret_access_key),
        "user": Keys(user["AccessKeyId"], user["SecretAccessKey"]),
        "session": Keys(
            session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]
        ),
    }


ANYTHING: Final = {"Effect": "Allow", "Action": "*", "Resource": "*"}

# A service of each protocol: a call, how an unknown key is told, and how a wrong signature.
TOLD: Final = {
    "sts": ("get_caller_identity", "InvalidClientTokenId", "SignatureDoesNotMatch"),
    "cloudformation": ("list_stacks", "InvalidClientTokenId", "SignatureDoesNotMatch"),
    "dynamodb": ("list_tables", "UnrecognizedClientException", "InvalidSignatureException"),
    "lambda": ("list_functions", "UnrecognizedClientException", "InvalidSignatureException"),
    "cloudwatch": ("list_dashboards", "InvalidClientTokenId", "SignatureDoesNotMatch"),
    "s3": ("list_buckets", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
    "ec2": ("describe_vpcs", "AuthFailure", "AuthFailure"),
}


@pytest.mark.parametrize("service", TOLD)
@pytest.mark.parametrize("who", ["root", "user", "session"])
def test_a_request_that_was_signed_with_another_secret_is_refused(
    here: Instance, keys: dict[str, Keys], who: str, service: str
) -> None:
    known = keys[who]
    call, _, wrong = TOLD[service]
    assert getattr(signing(here, service, known), call)()
    with pytest.raises(ClientError) as refused:
        getattr(signing(here, service, replace(known, secret="wrong")), call)()
    assert refused.value.response["Error"]["Code"] == wrong


@pytest.mark.parametrize("service", TOLD)
@pytest.mark.parametrize("key", ["AKIAIOSFODNN7EXAMPLE", ACCOUNT_ID, "111111111111"])
def test_a_key_that_nobody_issued_is_refused(here: Instance, key: str, service: str) -> None:
    call, unknown, _ = TOLD[service]
    with pytest.raises(ClientError) as refused:
        getattr(signing(here, service, Keys(key, here.config.keys.secret_access_key)), call)()
    assert refused.value.response["Error"]["Code"] == unknown


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize("who", ["root", "user", "session"])
def test_an_address_that_was_signed_with_another_secret_is_refused(
    here: Instance, keys: dict[str, Keys], who: str, version: str
) -> None:
    bucket = f"bucket-{uuid.uuid4().hex}"
    here.client("s3").create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    here.client("s3").put_object(Bucket=bucket, Key="there", Body=b"x")

    def got(signer: Keys) -> tuple[int, str]:
        url = signing(here, "s3", signer, signature_version=version).generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": "there"}
        )
        try:
            with urllib.request.urlopen(url) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    assert got(keys[who]) == (200, "x")
    status, told = got(replace(keys[who], secret="wrong"))
    assert (status, "<Code>SignatureDoesNotMatch</Code>" in told) == (403, True)


SLR: Final = f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/ecs.amazonaws.com"


def test_the_simulator_decides_by_path_boundary_and_condition(here: Instance, role: As) -> None:
    iam, name = here.client("iam"), f"role-{uuid.uuid4().hex}"
    boundary = iam.create_policy(
        PolicyName=name,
        PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{**ANYTHING, "Action": ["iam:*", "s3:*"]}]}
        ),
    )["Policy"]["Arn"]
    arn = iam.create_role(
        RoleName=name,
        Path="/camunda/",
        PermissionsBoundary=boundary,
        AssumeRolePolicyDocument=json.dumps(TRUST),
    )["Role"]["Arn"]
    only_ecs = {"StringEquals": {"iam:AWSServiceName": "ecs.amazonaws.com"}}
    statements = [
        {**ANYTHING, "Action": "iam:CreateServiceLinkedRole", "Condition": only_ecs},
        {**ANYTHING, "Action": "ec2:CreateVpc"},
    ]
    iam.put_role_policy(
        RoleName=name,
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )

    asking = role({"Action": "iam:SimulatePrincipalPolicy", "Resource": arn})("iam")

    def decided(action: str, service: str, about: str = arn) -> str:
        (found,) = asking.simulate_principal_policy(
            PolicySourceArn=about,
            ActionNames=[action],
            ResourceArns=[f"{SLR}/AWSServiceRoleForECS"],
            ContextEntries=[
                {
                    "ContextKeyName": "iam:AWSServiceName",
                    "ContextKeyType": "string",
                    "ContextKeyValues": [service],
                }
            ],
        )["EvaluationResults"]
        return str(found["EvalDecision"])

    assert decided("iam:CreateServiceLinkedRole", "ecs.amazonaws.com") == "allowed"
    assert decided("iam:CreateServiceLinkedRole", "rds.amazonaws.com") == "implicitDeny"
    assert decided("ec2:CreateVpc", "ecs.amazonaws.com") == "implicitDeny", "its boundary"
    with pytest.raises(ClientError, match="AccessDenied"):
        decided("ec2:CreateVpc", "ecs.amazonaws.com", f"{arn}-of-another")


def test_a_service_makes_its_role_at_its_first_use_for_who_may_have_it_made(
    here: Instance, role: As
) -> None:
    iam, cloudformation = here.client("iam"), here.client("cloudformation")
    name = f"deployment-{uuid.uuid4().hex}"
    deployment = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "cloudformation.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ],
            }
        ),
    )["Role"]["Arn"]

    def created() -> str:
        stack = f"stack-{uuid.uuid4().hex}"
        resources = {"Cluster": {"Type": "AWS::ECS::Cluster"}}
        cloudformation.create_stack(
            StackName=stack, RoleARN=deployment, TemplateBody=json.dumps({"Resources": resources})
        )
        while True:
            (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
            if not found["StackStatus"].endswith("_IN_PROGRESS"):
                return str(found["StackStatus"])
            time.sleep(0.1)

    may_look = role({"Action": "iam:GetRole", "Resource": f"{SLR}/*"})("iam")
    with pytest.raises(ClientError, match="AccessDenied"):
        may_look.get_role(RoleName="AWSServiceRoleForECS")
    makes = {**ANYTHING, "Action": "ecs:CreateCluster", "Resource": "*"}

    def allow_deployment(*statements: dict[str, Any]) -> None:
        document = {"Version": "2012-10-17", "Statement": statements}
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(document))

    allow_deployment(makes)
    assert created() == "ROLLBACK_COMPLETE"
    policy = {
        **ANYTHING,
        "Action": "iam:CreateServiceLinkedRole",
        "Resource": f"{SLR}/AWSServiceRoleForECS",
        "Condition": {"StringEquals": {"iam:AWSServiceName": "ecs.amazonaws.com"}},
    }
    allow_deployment(makes, policy)
    assert created() == "CREATE_COMPLETE"
    found = may_look.get_role(RoleName="AWSServiceRoleForECS")["Role"]
    assert found["Arn"] == f"{SLR}/AWSServiceRoleForECS"


TAG: Final = "camunda:control-plane"


def tagged(value: str) -> dict[str, Any]:
    return {"StringEquals": {f"aws:ResourceTag/{TAG}": value}}


def test_a_condition_on_tags_holds_for_stacks_and_services(here: Instance, role: As) -> None:
    template = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    own, other = (f"plane-{uuid.uuid4().hex}" for _ in range(2))
    ecs, cloudformation = here.client("ecs"), here.client("cloudformation")
    for name in (own, other):
        cloudformation.create_stack(
            StackName=name, TemplateBody=template, Tags=[{"Key": TAG, "Value": name}]
        )
        cloudformation.get_waiter("stack_create_complete").wait(StackName=name)
        ecs.create_cluster(clusterName=name, tags=[{"key": TAG, "value": name}])
    absent = {"StringEqualsIfExists": {f"aws:ResourceTag/{TAG}": own}}
    who = role(
        {**ANYTHING, "Action": "cloudformation:SetStackPolicy", "Condition": tagged(own)},
        {**ANYTHING, "Action": "cloudformation:DescribeStacks", "Condition": absent},
        {**ANYTHING, "Action": "ecs:DescribeClusters", "Condition": tagged(own)},
    )
    stacks, clusters = who("cloudformation"), who("ecs")
    policy = json.dumps({"Statement": []})
    stacks.set_stack_policy(StackName=own, StackPolicyBody=policy)
    assert clusters.describe_clusters(clusters=[own])["clusters"]
    assert stacks.describe_stacks(StackName=own)["Stacks"]
    with pytest.raises(ClientError, match="does not exist"):
        stacks.describe_stacks(StackName="plane-that-is-not-there")
    with pytest.raises(ClientError, match="AccessDenied"):
        stacks.set_stack_policy(StackName=other, StackPolicyBody=policy)
    with pytest.raises(ClientError, match="AccessDenied"):
        stacks.describe_stacks(StackName=other)
    with pytest.raises(ClientError, match="AccessDenied"):
        clusters.describe_clusters(clusters=[other])


def test_a_change_set_needs_the_rights_that_it_implies(here: Instance, role: As) -> None:
    template = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    at_creation = {"StringEquals": {"cloudformation:CreateAction": "CreateChangeSet"}}
    creating = {**ANYTHING, "Action": "cloudformation:CreateChangeSet"}
    tagging = {**ANYTHING, "Action": "cloudformation:TagResource", "Condition": at_creation}

    def create(*statements: dict[str, Any], value: str = "own") -> None:
        role(*statements)("cloudformation").create_change_set(
            StackName=f"planned-{uuid.uuid4().hex}",
            ChangeSetName="first",
            ChangeSetType="CREATE",
            TemplateBody=template,
            Tags=[{"Key": TAG, "Value": value}],
        )

    with pytest.raises(ClientError, match="AccessDenied"):
        create(creating)
    create(creating, tagging)
    requested = {"StringEquals": {f"aws:RequestTag/{TAG}": "own"}}
    create({**creating, "Condition": requested}, tagging)
    with pytest.raises(ClientError, match="AccessDenied"):
        create({**creating, "Condition": requested}, tagging, value="other")
