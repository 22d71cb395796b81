"""The embedded AWS: a small application through the real SAM CLI, and what its functions see."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from local import deploy, instance
from local.component import Instance
from local.config import LocalConfig
from local.processes import listeners, start_time
from tests.support.blocks import block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration

SAMPLE = Path(__file__).with_name("sample") / "template.yaml"
BLOCK = block("embedded")
WORKERS = 4


@dataclass
class Sample:
    """The deployed sample application."""

    instance: Instance
    outputs: dict[str, str]

    def ask(self, function: str = "Probe", **actions: Any) -> Any:
        """Answer of a probe; its error document if it failed."""
        answer = self.instance.client("lambda").invoke(
            FunctionName=self.outputs[function], Payload=json.dumps(actions).encode()
        )
        return json.loads(answer["Payload"].read())

    def execute(self, machine: str = "Machine", **actions: Any) -> dict[str, Any]:
        states = self.instance.client("stepfunctions")
        arn = states.start_execution(
            stateMachineArn=self.outputs[machine], input=json.dumps(actions)
        )["executionArn"]
        assert eventually(
            lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING", 20
        )
        found: dict[str, Any] = states.describe_execution(executionArn=arn)
        return found


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    root = tmp_path_factory.mktemp("instance")
    here = Instance.of(LocalConfig(root, BLOCK))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAMBDA_MAX_WORKERS", str(WORKERS))
        host = instance.start(here, components=[])
    try:
        built = deploy.build(here, SAMPLE, root / "build" / "sample")
        deploy.deploy(here, built, "sample", {})
        stack = here.client("cloudformation").describe_stacks(StackName="sample")["Stacks"][0]
        outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in stack["Outputs"]}
        yield Sample(here, outputs)
    finally:
        host.stop(grace=30)
        assert here.processes.survivors() == []


def test_types_the_emulator_lacks_are_created(sample: Sample) -> None:
    ec2 = sample.instance.client("ec2")
    assert sample.outputs["VpcCidr"] == "10.9.0.0/16"
    assert ec2.describe_nat_gateways()["NatGateways"][0]["State"] == "available"
    groups = ec2.describe_security_groups()["SecurityGroups"]
    rules = [rule for group in groups for rule in group["IpPermissions"]]
    assert 9600 in [rule.get("FromPort") for rule in rules]


def test_everything_listens_on_loopback_only(sample: Sample) -> None:
    host = instance.running(sample.instance)
    assert host is not None
    ours = [one for one in listeners() if one.pid == host.pid]
    assert (f"{BLOCK}.0.1", 4566) in [(one.address, one.port) for one in ours]
    assert [one for one in ours if not one.address.startswith("127.")] == []


def test_environment_is_declared_plus_lambda_plus_endpoint(sample: Sample) -> None:
    environment = sample.ask(environment=None)["environment"]
    assert environment["TABLE"] == sample.outputs["Table"]
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == sample.outputs["Probe"]
    assert environment["AWS_ENDPOINT_URL"] == sample.instance.config.aws_endpoint
    assert environment["CERTIFICATE"].endswith("/certificate.txt")
    for leaked in ("VIRTUAL_ENV", "USER", "PYTHONPATH", "PGHOSTADDR", "AUTH", "PWD"):
        assert leaked not in environment


def test_opt_is_the_unpacked_layers(sample: Sample) -> None:
    answer = sample.ask(colour=None, read="CERTIFICATE")
    assert answer == {"colour": "green", "read": "from the layer"}


def test_only_the_runtime_and_the_layers_are_importable(sample: Sample) -> None:
    assert sample.ask(importable="boto3")["importable"]
    for development_only in ("ministack", "pytest", "yaml", "local", "psycopg"):
        assert not sample.ask(importable=development_only)["importable"]


def test_credentials_are_those_of_the_functions_own_role(sample: Sample) -> None:
    put = ["dynamodb", "put_item", {"Item": {"pk": {"S": "1"}}}]
    delete = ["dynamodb", "delete_item", {"Key": {"pk": {"S": "1"}}}]
    assert "assumed-role/sample-ProbeRole" in sample.ask(identity=None)["identity"]
    assert sample.ask(call=put)["call"] == "allowed"
    assert sample.ask(call=delete)["call"] == "AccessDeniedException"
    assert sample.ask("ProbeInVpc", call=["s3", "list_buckets", {}])["call"] == "AccessDenied"


def test_error_type_is_the_exception_class(sample: Sample) -> None:
    answer = sample.ask(**{"raise": "not today"})
    assert answer["errorType"] == "ProbeRefusedError"
    assert answer["errorMessage"] == "not today"
    assert "handler.py" in "".join(answer["stackTrace"])


def test_environment_is_reused_and_replaced_after_a_timeout(sample: Sample) -> None:
    first = sample.ask("ProbeInVpc", pid=None)["pid"]
    assert sample.ask("ProbeInVpc", pid=None)["pid"] == first
    timed_out = sample.ask("ProbeInVpc", sleep=10)
    assert timed_out["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 2.00 seconds" in timed_out["errorMessage"]
    assert start_time(first) is None
    assert sample.ask("ProbeInVpc", pid=None)["pid"] != first


def test_exit_is_reported_as_such(sample: Sample) -> None:
    answer = sample.ask(exit=3)
    assert answer["errorType"] == "Runtime.ExitError"
    assert "exit status 3" in answer["errorMessage"]


def test_deadline_and_arn_in_the_context(sample: Sample) -> None:
    version = sample.outputs["ProbeVersion"]
    context = sample.ask("ProbeVersion", context=None)["context"]
    assert context["arn"] == version
    assert 15_000 < context["left"] <= 20_000


def test_more_invocations_than_workers_wait_their_turn(sample: Sample) -> None:
    many = 3 * WORKERS
    with ThreadPoolExecutor(many) as threads:
        answers = list(threads.map(lambda _: sample.ask(sleep=0.2, pid=None), range(many)))
    processes = {answer["pid"] for answer in answers}
    assert 1 < len(processes) <= WORKERS


def test_output_goes_to_the_log_group_and_a_file(sample: Sample) -> None:
    sample.ask(colour=None)
    group = f"/aws/lambda/{sample.outputs['Probe']}"
    logs = sample.instance.client("logs")
    events = logs.filter_log_events(logGroupName=group, filterPattern="asked")["events"]
    assert any("asked for {'colour': None}" in event["message"] for event in events)
    file = sample.instance.config.logs / "lambda" / f"{sample.outputs['Probe']}.log"
    assert "asked for {'colour': None}" in file.read_text()


@pytest.fixture
def broker(sample: Sample) -> Iterator[str]:
    """Something that answers on a task's address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"broker")

        def log_message(self, *_: object) -> None:
            pass

    address = sample.instance.config.task_address(0)
    server = HTTPServer((address, 9600), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sample.instance.names.set("brokers.sample.local", [address])
    yield address
    sample.instance.names.remove("brokers.sample.local")
    server.shutdown()
    server.server_close()


def test_inside_the_vpc_names_resolve_and_tasks_answer(sample: Sample, broker: str) -> None:
    answer = sample.ask(
        "ProbeInVpc", resolve="brokers.sample.local", fetch="http://brokers.sample.local:9600/"
    )
    assert answer == {"resolve": [broker], "fetch": "broker"}


def test_outside_the_vpc_neither(sample: Sample, broker: str) -> None:
    answer = sample.ask(resolve="brokers.sample.local", fetch=f"http://{broker}:9600/")
    assert answer["resolve"] is None
    assert "inside the VPC" in answer["fetch"]


def test_machine_in_yaml_calls_a_published_version(sample: Sample) -> None:
    ended = sample.execute(colour=None)
    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", {"colour": "green"})


def test_machine_catches_an_exception_by_its_class(sample: Sample) -> None:
    ended = sample.execute(**{"raise": "no"})
    assert json.loads(ended["output"]) == {"caught": "ProbeRefusedError", "message": "no"}


def test_machine_invokes_only_what_its_role_may(sample: Sample) -> None:
    ended = sample.execute("Powerless", colour=None)
    assert ended["error"] == "Lambda.AWSLambdaException"
    assert "not authorized to perform: lambda:InvokeFunction" in ended["cause"]


def test_same_name_and_input_again_is_the_same_execution(sample: Sample) -> None:
    states = sample.instance.client("stepfunctions")
    request = {
        "stateMachineArn": sample.outputs["Machine"],
        "name": "twice",
        "input": json.dumps({"sleep": 1}),
    }
    first = states.start_execution(**request)
    assert states.start_execution(**request)["executionArn"] == first["executionArn"]
    with pytest.raises(states.exceptions.ExecutionAlreadyExists):
        states.start_execution(**request | {"input": "{}"})


def test_machine_timeout_is_enforced_and_its_event_reaches_the_cleaner(sample: Sample) -> None:
    ended = sample.execute(wait="long")
    assert ended["status"] == "TIMED_OUT"
    table = sample.instance.client("dynamodb")
    key = {"pk": {"S": ended["executionArn"]}}

    def told() -> bool:
        item = table.get_item(TableName=sample.outputs["Table"], Key=key).get("Item")
        return bool(item) and item["status"]["S"] == "TIMED_OUT"

    assert eventually(told)


def test_abort_reaches_the_cleaner_and_stays_aborted(sample: Sample) -> None:
    states, table = sample.instance.client("stepfunctions"), sample.instance.client("dynamodb")
    arn = states.start_execution(
        stateMachineArn=sample.outputs["Machine"], input=json.dumps({"sleep": 1, "raise": "late"})
    )["executionArn"]
    time.sleep(0.5)
    states.stop_execution(executionArn=arn)
    key = {"pk": {"S": arn}}
    assert eventually(lambda: "Item" in table.get_item(TableName=sample.outputs["Table"], Key=key))
    time.sleep(1)
    assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"


def test_a_stopped_execution_goes_on_from_the_state_in_which_it_was_stopped(
    sample: Sample,
) -> None:
    states = sample.instance.client("stepfunctions")
    arn = states.start_execution(
        stateMachineArn=sample.outputs["Machine"], input=json.dumps({"sleep": 1})
    )["executionArn"]

    def status() -> str:
        return str(states.describe_execution(executionArn=arn)["status"])

    with pytest.raises(states.exceptions.ExecutionNotRedrivable, match="RUNNING"):
        states.redrive_execution(executionArn=arn)
    time.sleep(0.5)
    states.stop_execution(executionArn=arn)
    states.redrive_execution(executionArn=arn, clientToken="once")
    states.redrive_execution(executionArn=arn, clientToken="once")
    assert eventually(lambda: status() == "SUCCEEDED")
    events = [e["type"] for e in states.get_execution_history(executionArn=arn)["events"]]
    assert events.count("ExecutionRedriven") == 1
    assert events.count("TaskStateEntered") == 2, "the task that was stopped runs again"
    assert events.count("ExecutionSucceeded") == 1, "the former run does nothing more"
    with pytest.raises(states.exceptions.ExecutionNotRedrivable, match="SUCCEEDED"):
        states.redrive_execution(executionArn=arn)
    listed = states.list_executions(stateMachineArn=sample.outputs["Machine"])["executions"]
    (one,) = [each for each in listed if each["executionArn"] == arn]
    assert one["redriveDate"] >= one["startDate"]
    assert all("redriveDate" not in each for each in listed if each is not one)


def test_second_instance_on_the_same_block_is_told_why(sample: Sample, tmp_path: Path) -> None:
    other = Instance.of(LocalConfig(tmp_path, BLOCK))
    with pytest.raises(instance.InstanceError, match=r"\.0\.1:4566 is in use"):
        instance.start(other, components=[])


def test_emulator_answers_while_functions_run(sample: Sample) -> None:
    threads = ThreadPoolExecutor(4)
    running = [threads.submit(sample.ask, sleep=1.5) for _ in range(4)]
    time.sleep(0.3)
    started = time.monotonic()
    sample.instance.client("sts").get_caller_identity()
    assert time.monotonic() - started < 1
    for future in running:
        future.result()
    threads.shutdown()


def test_host_killed_leaves_nothing(tmp_path: Path) -> None:
    here = Instance.of(LocalConfig(tmp_path, block("refused")))
    host = instance.start(here, components=[])
    child = here.processes.spawn(
        "stray",
        [sys.executable, "-c", "import time; time.sleep(60)"],
        environment={},
        log=tmp_path / "log",
    )
    os.kill(host.pid, signal.SIGKILL)
    host.wait(5)
    assert [record.name for record in instance.stop(here)] == ["stray"]
    child.wait(5)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((here.config.aws_address, 4566))


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ({"Host": "evil.example:4566"}, "/"),
        ({"Origin": "https://evil.example"}, "/"),
        ({}, "/_ministack/reset"),
        ({}, "/_ministack/config"),
    ],
)
def test_pages_of_browsers_and_routes_without_a_signature_are_refused(
    sample: Sample, headers: dict[str, str], path: str
) -> None:
    url = urlsplit(sample.instance.config.aws_endpoint)
    connection = HTTPConnection(url.hostname or "", url.port, timeout=10)
    try:
        connection.request("POST", path, body=b"{}", headers=headers)
        answer = connection.getresponse()
        assert (answer.status, "refused" in answer.read().decode()) == (403, True)
    finally:
        connection.close()
    assert sample.instance.client("sts").get_caller_identity()["Arn"].endswith(":root")


def test_only_their_user_reads_the_keys_and_the_endpoints(sample: Sample) -> None:
    config = sample.instance.config
    assert stat.S_IMODE(config.root.stat().st_mode) == 0o700
    for file in (config.root / "keys.json", config.instance_file):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
