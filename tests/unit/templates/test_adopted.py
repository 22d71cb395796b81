"""The adoption stack: a description that plan, scale and health read as they read a cluster's."""

from __future__ import annotations

import re

from lifecycle.cluster.contract import ClusterOutputs, Output
from lifecycle.cluster.login import health_client

from tests.unit.templates.resolver import resolve, template
from tools.generate_parameters import ROOT

REQUIRED = {
    "ControlStack": "control",
    "ClusterName": "legacy",
    "EcsClusterName": "myprefix-cluster",
    "OrchestrationServiceName": "myprefix-oc1-orchestration-cluster",
    "DiscoveryName": "orchestration-cluster.myprefix-oc1.service.local",
    "AdminUserSecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:admin-AbCdEf",
    "Brokers": "3",
    "Partitions": "3",
    "ReplicationFactor": "3",
}


def test_it_makes_nothing_but_the_schedule_of_its_checks_and_their_alarms() -> None:
    resources = resolve("adopted-cluster", **REQUIRED).resources
    assert {name: one["Type"] for name, one in resources.items()} == {
        "HealthCheckSchedule": "AWS::Scheduler::Schedule",
        "NoChecksAlarm": "AWS::CloudWatch::Alarm",
    }
    named = resolve("adopted-cluster", **REQUIRED, NotificationEmail="team@example.com").resources
    assert set(named) - set(resources) == {"MessageTopic"}


def test_its_outputs_are_the_contracts() -> None:
    full = resolve(
        "adopted-cluster",
        **REQUIRED,
        ConnectorsServiceName="myprefix-oc1-connectors",
        RestTargetGroupArn="arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/rest/1",
        GrpcTargetGroupArn="arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/grpc/1",
    )
    assert full.outputs["Adopted"] == "true"
    cluster = resolve("cluster").outputs
    assert set(full.outputs) - {"Adopted"} <= set(cluster)
    assert full.outputs["ContractVersion"] == cluster["ContractVersion"]


def test_what_is_not_given_is_left_out() -> None:
    outputs = resolve("adopted-cluster", **REQUIRED).outputs
    assert not {"ConnectorsServiceName", "RestTargetGroupArn", "GrpcTargetGroupArn"} & set(outputs)


def test_what_scaling_reads_is_there() -> None:
    outputs = set(resolve("adopted-cluster", **REQUIRED).outputs)
    typed = {
        attribute: one.name
        for attribute, one in vars(ClusterOutputs).items()
        if isinstance(one, Output)
    }
    for path in (ROOT / "layers" / "lifecycle" / "lifecycle" / "scaling").glob("*.py"):
        attributes = set(re.findall(r"(?:cluster|outputs)\.(\w+)", path.read_text()))
        read = {typed[one] for one in attributes & set(typed)}
        assert read <= outputs
        if path.name == "observe.py":
            assert "EcsClusterName" in read


def test_its_imports_are_exported() -> None:
    text = (ROOT / "stacks" / "adopted-cluster.yaml").read_text()
    used = set(re.findall(r'Fn::ImportValue": !Sub "\$\{ControlStack\}([^"]+)"', text))
    control = (ROOT / "template.yaml").read_text()
    exported = set(re.findall(r'Export: \{Name: !Sub "\$\{AWS::StackName\}([^"]+)"\}', control))
    assert used
    assert used <= exported


def test_no_ecs_cluster_can_have_the_name_that_stands_for_none() -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCluster.html"""
    control = (ROOT / "template.yaml").read_text()
    section = control.split("  AdoptedEcsCluster:\n", 1)[1]
    default = re.search(r'Default: "(.)"', section)
    assert default is not None
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,255}", default[1]) is None
    assert template("adopted-cluster")["Parameters"]["EcsClusterName"]["AllowedPattern"]


PROVIDER = {
    "OidcIssuer": "https://login.example.com",
    "OidcTokenUrl": "https://login.example.com/token",
    "OidcHealthClientId": "health",
    "OidcHealthSecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:health-AbCdEf",
}


def test_a_cluster_with_an_identity_provider_has_a_client_and_needs_no_user() -> None:
    without = {key: value for key, value in REQUIRED.items() if key != "AdminUserSecretArn"}
    outputs = resolve("adopted-cluster", **without, **PROVIDER, OidcClientScope="api").outputs
    assert {name: outputs[name] for name in PROVIDER} == PROVIDER
    assert (outputs["Authentication"], outputs["OidcClientScope"]) == ("oidc", "api")
    assert not {"AdminUserSecretArn", "OidcClientAudience"} & set(outputs)
    client = health_client(ClusterOutputs(outputs))
    assert (client.token_url, client.client_id) == (PROVIDER["OidcTokenUrl"], "health")
    basic = resolve("adopted-cluster", **REQUIRED).outputs
    assert basic["Authentication"] == "basic"
    assert not set(PROVIDER) & set(basic)


def test_a_login_that_is_not_complete_is_refused_by_a_rule() -> None:
    rules = template("adopted-cluster")["Rules"]
    said = [one["AssertDescription"] for rule in rules.values() for one in rule["Assertions"]]
    for name in ("AdminUserSecretArn", *PROVIDER):
        assert any(name in one for one in said)
