"""How people reach a cluster: URLs, who logs in, and each way, from its outputs and tasks."""

from __future__ import annotations

import json
import shlex
from itertools import product
from typing import Any

import pytest
from lifecycle.adapters.aws.ecs_reader import read_exec
from lifecycle.cluster.access import ADMINISTRATOR, ExecTask, access, wants_tasks
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.stack import Stack

from tests.unit.templates.resolver import STACKS, resolve
from tools.generate_parameters import load_template

SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:AdminUserSecret-1a2b3c"
WEB_LB = "internal-demo-web-1.eu-central-1.elb.amazonaws.com"
GRPC_LB = "demo-grpc-1.elb.eu-central-1.amazonaws.com"
TASK = "0f5c1b8a9d3e4f67a1b2c3d4e5f60718"
USABLE = ExecTask(TASK, f"{TASK}-0527074092", "RUNNING", "RUNNING")
CLEAR = {
    "EcsClusterName": "control-demo",
    "OrchestrationServiceName": "orchestration-cluster",
    "EnableExecuteCommand": "true",
    "RestUrl": f"http://{WEB_LB}",
    "GrpcEndpoint": f"{GRPC_LB}:26500",
    "WebLoadBalancerDnsName": WEB_LB,
    "GrpcLoadBalancerDnsName": GRPC_LB,
    "AdminUserSecretArn": SECRET,
}
NAMED = {**CLEAR, "RestUrl": "https://camunda.example.com"}
OIDC = {
    **NAMED,
    "Authentication": "oidc",
    "OidcIssuer": "https://login.example.com/realms/camunda",
    "OidcAdministrator": "ada@example.com",
}
INTERNAL = {"LoadBalancerScheme": "internal"}


def stack(outputs: dict[str, str], parameters: dict[str, str] = INTERNAL) -> Stack:
    return Stack(
        "control-demo",
        "arn:aws:cloudformation:eu-central-1:123456789012:stack/control-demo/1",
        "CREATE_COMPLETE",
        parameters=parameters,
        outputs=ClusterOutputs(outputs),
    )


def told(
    outputs: dict[str, str],
    parameters: dict[str, str] = INTERNAL,
    tasks: list[ExecTask] | None = None,
) -> Any:
    return access(stack(outputs, parameters), tasks)


def way(found: Any, kind: str) -> Any:
    return next(one for one in found["ways"] if one["way"] == kind)


def test_a_stack_without_a_url_is_not_reached() -> None:
    assert access(stack({}), None) is None


def test_every_url_is_named() -> None:
    found = told(NAMED)
    assert found["urls"] == {
        "operate": "https://camunda.example.com/operate",
        "tasklist": "https://camunda.example.com/tasklist",
        "admin": "https://camunda.example.com/admin",
        "rest": "https://camunda.example.com/v2",
        "connectors": "https://camunda.example.com/connectors",
    }


@pytest.mark.parametrize(
    ("outputs", "grpc"),
    [
        (CLEAR, {"endpoint": f"{GRPC_LB}:26500", "tls": False, "authority": None}),
        # The certificate names the domain name, the endpoint is AWS's.
        (NAMED, {"endpoint": f"{GRPC_LB}:26500", "tls": True, "authority": "camunda.example.com"}),
        (
            {**NAMED, "GrpcEndpoint": "grpc.camunda.example.com:26500"},
            {"endpoint": "grpc.camunda.example.com:26500", "tls": True, "authority": None},
        ),
        # No name that a certificate could have is known.
        (
            {**CLEAR, "RestUrl": f"https://{WEB_LB}"},
            {"endpoint": f"{GRPC_LB}:26500", "tls": True, "authority": None},
        ),
        ({"RestUrl": "http://web"}, None),
    ],
)
def test_grpc_has_its_endpoint_and_the_name_to_verify(outputs: dict[str, str], grpc: Any) -> None:
    assert told(outputs)["grpc"] == grpc


def test_basic_names_the_user_and_the_commands_that_read_the_password() -> None:
    login = told(CLEAR)["login"]
    assert login == {
        "method": "basic",
        "user": "admin",
        "secretArn": SECRET,
        "secretCommand": f"aws secretsmanager get-secret-value --region eu-central-1 --secret-id "
        f"{SECRET} --query SecretString --output text",
        "passwordCommand": f"{login['secretCommand']} | python3 -c "
        "\"import json, sys; print(json.load(sys.stdin)['password'])\"",
    }


def test_the_user_is_the_one_of_the_template() -> None:
    secret = resolve("cluster").properties("AdminUserSecret")["GenerateSecretString"]
    assert json.loads(secret["SecretStringTemplate"]) == {"username": ADMINISTRATOR}
    assert secret["GenerateStringKey"] == "password"


def test_oidc_names_issuer_and_administrator_and_no_password() -> None:
    found = told(OIDC)
    assert found["login"] == {
        "method": "oidc",
        "issuer": "https://login.example.com/realms/camunda",
        "administrator": "ada@example.com",
        "administratorGroup": None,
    }
    assert "secretsmanager" not in json.dumps(found)


def test_administrators_may_be_a_group() -> None:
    outputs = {name: value for name, value in OIDC.items() if name != "OidcAdministrator"}
    login = told(outputs, {**INTERNAL, "OidcAdministratorGroup": "camunda-admins"})["login"]
    assert (login["administrator"], login["administratorGroup"]) == (None, "camunda-admins")


def test_a_cluster_of_another_tool_has_no_url() -> None:
    """Its stack holds neither URL nor load balancer, so nothing is guessed about them."""
    assert "RestUrl" not in load_template(STACKS / "adopted-cluster.yaml")["Outputs"]
    assert told({"Adopted": "true", "AdminUserSecretArn": SECRET}, {}) is None


class TestWhoIsAdmitted:
    def test_ranges_prefix_lists_and_security_groups(self) -> None:
        parameters = {
            "LoadBalancerScheme": "internet-facing",
            "AllowedCidrs": "203.0.113.0/24, 198.51.100.7/32",
            "AllowedPrefixLists": "pl-1",
            "AllowedSecurityGroups": "",
        }
        found = told(CLEAR, parameters)
        assert found["scheme"] == "internet-facing"
        assert found["from"]["web"] == ["203.0.113.0/24", "198.51.100.7/32", "pl-1"]
        assert found["from"]["grpc"] == found["from"]["web"]
        assert [one["way"] for one in found["ways"]] == ["internet"]

    def test_those_of_grpc_replace_the_common_ones(self) -> None:
        parameters = {**INTERNAL, "AllowedCidrs": "10.0.0.0/8", "GrpcAllowedSecurityGroups": "sg-1"}
        assert told(CLEAR, parameters)["from"] == {"web": ["10.0.0.0/8"], "grpc": ["sg-1"]}

    def test_none_given_is_the_vpc(self) -> None:
        assert told(CLEAR)["from"] == {"web": [], "grpc": []}


def test_a_connected_network_is_a_way_only_where_it_is_admitted() -> None:
    what = way(told(CLEAR), "network")["what"]
    assert "admitted" in what
    # AWS publishes the addresses of an internal load balancer in public DNS.
    assert "resolve" not in what


def test_a_scheme_that_is_not_known_is_not_guessed() -> None:
    found = told(CLEAR, {})
    assert found["scheme"] is None
    assert way(found, "network")["unknown"]


class TestPortForwarding:
    def test_in_clear(self) -> None:
        found = way(told(CLEAR, tasks=[USABLE]), "port-forwarding")
        assert (found["missing"], found["unknown"]) == (None, None)
        web, grpc = found["forwards"]
        target = f"ecs:control-demo_{TASK}_{TASK}-0527074092"
        assert shlex.split(web["command"]) == [
            *("aws", "ssm", "start-session", "--region", "eu-central-1", "--target", target),
            *("--document-name", "AWS-StartPortForwardingSessionToRemoteHost", "--parameters"),
            f"host={WEB_LB},portNumber=80,localPortNumber=8080",
        ]
        assert (web["url"], web["hosts"], web["resolve"]) == (
            "http://localhost:8080/operate",
            None,
            None,
        )
        assert grpc["command"].endswith(f'"host={GRPC_LB},portNumber=26500,localPortNumber=26500"')
        assert (grpc["url"], grpc["hosts"]) == ("localhost:26500", None)

    def test_with_tls_the_name_of_the_certificate_is_used(self) -> None:
        web, grpc = way(told(NAMED, tasks=[USABLE]), "port-forwarding")["forwards"]
        assert (web["host"], web["port"], web["localPort"]) == (WEB_LB, 443, 8443)
        assert web["url"] == "https://camunda.example.com:8443/operate"
        assert web["hosts"] == "127.0.0.1 camunda.example.com"
        assert web["resolve"] == "--resolve camunda.example.com:8443:127.0.0.1"
        assert grpc["url"] == "camunda.example.com:26500"
        assert grpc["host"] == GRPC_LB

    def test_grpc_has_its_own_name_and_load_balancer(self) -> None:
        outputs = {
            **NAMED,
            "GrpcEndpoint": "grpc.camunda.example.com:26500",
            "GrpcLoadBalancerDnsName": GRPC_LB,
        }
        grpc = way(told(outputs, tasks=[USABLE]), "port-forwarding")["forwards"][1]
        assert grpc["host"] == GRPC_LB
        assert grpc["hosts"] == "127.0.0.1 grpc.camunda.example.com"

    def test_with_oidc_the_port_is_that_of_the_redirect_uri(self) -> None:
        web = way(told(OIDC, tasks=[USABLE]), "port-forwarding")["forwards"][0]
        assert web["localPort"] == 443
        assert web["url"] == "https://camunda.example.com/operate"

    def test_the_command_is_the_same_in_every_shell(self) -> None:
        """No quote, dollar or backslash that one of sh, PowerShell and cmd reads differently."""
        for outputs in (CLEAR, NAMED, OIDC):
            for one in way(told(outputs, tasks=[USABLE]), "port-forwarding")["forwards"]:
                assert not set(one["command"]) & set("'$\\`^%!{}")
                assert one["command"].count('"') == 2

    @pytest.mark.parametrize(
        "tasks",
        [
            [],
            [ExecTask(TASK, "r", "RUNNING", "")],
            [ExecTask(TASK, "r", "RUNNING", "STOPPED")],
            [ExecTask(TASK, "r", "PENDING", "RUNNING")],
            [ExecTask(TASK, "", "RUNNING", "RUNNING")],
        ],
    )
    def test_only_a_task_with_a_running_agent_is_named(self, tasks: list[ExecTask]) -> None:
        found = way(told(CLEAR, tasks=tasks), "port-forwarding")
        assert found["forwards"] == []
        assert "ExecuteCommandAgent" in found["missing"]

    def test_the_choice_does_not_depend_on_the_order(self) -> None:
        other = ExecTask("1" * 32, "r-1", "RUNNING", "RUNNING")
        both = [told(CLEAR, tasks=tasks) for tasks in ([USABLE, other], [other, USABLE])]
        assert both[0] == both[1]

    def test_tasks_that_were_not_read_are_unknown_not_absent(self) -> None:
        found = way(told(CLEAR, tasks=None), "port-forwarding")
        assert found["missing"] is None
        assert "camunda-ecs open" in found["unknown"]

    def test_without_ecs_exec_it_names_the_parameter(self) -> None:
        outputs = {**CLEAR, "EnableExecuteCommand": "false"}
        found = way(told(outputs, tasks=[USABLE]), "port-forwarding")
        assert "EnableExecuteCommand=true" in found["missing"]
        assert found["forwards"] == []

    def test_the_reason_why_tasks_could_not_be_read_is_named(self) -> None:
        found = access(stack(CLEAR), None, unread="ThrottlingException of ListTasks")
        assert found is not None
        unknown = way(found, "port-forwarding")["unknown"]
        assert "ThrottlingException of ListTasks" in unknown
        assert "camunda-ecs open" not in unknown  # which shows this

    def test_brokers_of_an_earlier_release_may_not_reach_the_load_balancers(self) -> None:
        outputs = {name: one for name, one in CLEAR.items() if name != "GrpcLoadBalancerDnsName"}
        found = way(told(outputs, tasks=[USABLE]), "port-forwarding")
        assert found["forwards"] == []
        assert "0.2.0" in found["missing"]
        assert "provision" in found["missing"]
        assert wants_tasks(stack(outputs)) is False

    def test_the_rules_and_the_output_that_shows_them_are_of_one_release(self) -> None:
        cluster = resolve("cluster", EnableExecuteCommand="true")
        assert {"BrokersToWeb", "WebFromBrokers", "BrokersToGrpc", "GrpcListenerFromBrokers"} <= (
            cluster.resources.keys()
        )
        assert "GrpcLoadBalancerDnsName" in cluster.outputs


@pytest.mark.parametrize(
    ("change", "parameters", "wanted"),
    [
        ({}, INTERNAL, True),
        ({"EnableExecuteCommand": "false"}, INTERNAL, False),
        ({}, {"LoadBalancerScheme": "internet-facing"}, False),
    ],
)
def test_tasks_are_read_only_where_they_add_a_way(
    change: dict[str, str], parameters: dict[str, str], wanted: bool
) -> None:
    assert wants_tasks(stack({**CLEAR, **change}, parameters)) is wanted


def test_every_way_has_the_same_fields() -> None:
    for outputs, scheme, tasks in product(
        (CLEAR, NAMED, OIDC),
        ("internal", "internet-facing"),
        (None, [], [USABLE]),
    ):
        for one in told(outputs, {"LoadBalancerScheme": scheme}, tasks)["ways"]:
            assert one.keys() == {"way", "what", "missing", "unknown", "forwards"}
            assert not (one["missing"] and one["forwards"])


def test_what_ecs_shows_of_a_task() -> None:
    """A sidecar has a runtime id and an agent of its own; the brokers' container counts."""
    shown = {
        "taskArn": f"arn:aws:ecs:eu-central-1:123456789012:task/control-demo/{TASK}",
        "lastStatus": "RUNNING",
        "containers": [
            {
                "name": "collector",
                "runtimeId": "other",
                "managedAgents": [{"name": "ExecuteCommandAgent", "lastStatus": "STOPPED"}],
            },
            {
                "name": "orchestration-cluster",
                "runtimeId": USABLE.runtime_id,
                "managedAgents": [{"name": "ExecuteCommandAgent", "lastStatus": "RUNNING"}],
            },
        ],
    }
    assert read_exec(shown, "orchestration-cluster") == USABLE
    assert read_exec({**shown, "containers": []}, "orchestration-cluster").usable is False


def test_the_documented_format_of_the_target_is_that_of_aws_cli() -> None:
    from awscli.customizations.ecs import executecommand  # type: ignore[import-untyped]

    class Ecs:
        def describe_tasks(self, **_: object) -> object:
            containers = [{"name": "orchestration-cluster", "runtimeId": USABLE.runtime_id}]
            return {"tasks": [{"containers": containers}]}

    shown = {
        "clusterArn": "arn:aws:ecs:eu-central-1:123456789012:cluster/control-demo",
        "taskArn": f"arn:aws:ecs:eu-central-1:123456789012:task/control-demo/{TASK}",
        "containerName": "orchestration-cluster",
    }
    web = way(told(CLEAR, tasks=[USABLE]), "port-forwarding")["forwards"][0]
    assert executecommand.build_ssm_request_paramaters(shown, Ecs()) == {"Target": web["target"]}
