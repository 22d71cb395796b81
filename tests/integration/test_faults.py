"""Bad moments of the embedded AWS: functions meet them as AWS's own errors, and nobody else."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local import instance
from local.component import Instance
from local.config import LocalConfig
from local.names import replace_json
from tests.support.blocks import block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"},
    ],
}
ALL = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
THROTTLED = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "ec2": "RequestLimitExceeded",
    "ecs": "ThrottlingException",
    "lambda": "TooManyRequestsException",
    "rds": "ThrottlingException",
    "s3": "SlowDown",
    "scheduler": "ThrottlingException",
}
CALLS: dict[str, Callable[[Any], Any]] = {
    "dynamodb": lambda api: api.list_tables(),
    "ec2": lambda api: api.describe_vpcs(),
    "ecs": lambda api: api.list_clusters(),
    "lambda": lambda api: api.list_functions(),
    "rds": lambda api: api.describe_db_clusters(),
    "s3": lambda api: api.list_buckets(),
    "scheduler": lambda api: api.list_schedules(),
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    found = Instance.of(LocalConfig(tmp_path_factory.mktemp("instance"), block("faults")))
    host = instance.start(found, components=[])
    try:
        iam = found.client("iam")
        iam.create_role(RoleName="function", AssumeRolePolicyDocument=json.dumps(TRUST))
        iam.put_role_policy(RoleName="function", PolicyName="all", PolicyDocument=json.dumps(ALL))
        yield found
    finally:
        host.stop(grace=30)
        assert found.processes.survivors() == []


@pytest.fixture
def function(here: Instance) -> Callable[[str], Any]:
    """Clients with the session of a role, which try only once."""
    role = here.client("iam").get_role(RoleName="function")["Role"]["Arn"]
    session = here.client("sts").assume_role(RoleArn=role, RoleSessionName="function")
    given = session["Credentials"]

    def client(service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=here.config.aws_endpoint,
            region_name="eu-central-1",
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
            config=Config(retries={"total_max_attempts": 1}),
        )

    return client


@pytest.fixture
def faults(here: Instance) -> Iterator[Callable[[float], None]]:
    def share(of: float) -> None:
        replace_json(here.config.faults_file, {"seed": 7, "share": of})

    yield share
    here.config.faults_file.unlink(missing_ok=True)


@pytest.mark.parametrize("service", sorted(CALLS))
def test_each_protocol_tells_its_own_errors(
    service: str, function: Callable[[str], Any], faults: Callable[[float], None]
) -> None:
    faults(1)
    api, met = function(service), set()
    for _ in range(40):
        with pytest.raises(ClientError) as caught:
            CALLS[service](api)
        met.add(caught.value.response["Error"]["Code"])
    assert met == {THROTTLED[service], "InternalFailure"}


def test_they_come_and_go_with_the_file_and_by_their_share(
    function: Callable[[str], Any], faults: Callable[[float], None], here: Instance
) -> None:
    api = function("ecs")
    faults(0.5)
    met: Counter[bool] = Counter()
    for _ in range(60):
        try:
            api.list_clusters()
            met[True] += 1
        except ClientError:
            met[False] += 1
    assert met[True] > 15
    assert met[False] > 15
    here.config.faults_file.unlink()
    for _ in range(20):
        api.list_clusters()


def test_a_lost_answer_is_that_of_a_call_that_was_carried_out(
    function: Callable[[str], Any], faults: Callable[[float], None], here: Instance
) -> None:
    faults(1)
    api = function("ecs")
    for number in range(30):
        with pytest.raises(ClientError):
            api.create_cluster(clusterName=f"c{number}")
    made = here.client("ecs").list_clusters()["clusterArns"]
    assert 0 < len(made) < 30


def test_nobody_else_meets_them(here: Instance, faults: Callable[[float], None]) -> None:
    faults(1)
    for _ in range(20):
        here.client("ecs").list_clusters()
