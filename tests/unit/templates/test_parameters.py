"""Parameters and outputs as a contract: with users, with the machines and with the docs."""

from __future__ import annotations

import json
import re

import pytest
from lifecycle.provisioning.request import read_parameters

from tests.support.login import POOL_RESOLVED, RESOLVED
from tests.unit.templates.resolver import STACKS, resolve, template
from tools.generate_parameters import ROOT, TARGET, declarations, render

DECLARED = declarations(template("cluster"))
WORKSPACE_ID = "ws-0123abcd-45ef-67ab-89cd-0123456789ab"
CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b"
CONTRACT = (ROOT / "docs" / "contracts.md").read_text()


def test_the_generated_files_are_what_the_template_says() -> None:
    for path, text in render().items():
        assert path.read_text() == text, "run make generate"


@pytest.mark.parametrize("stack", ["cluster", "network"])
def test_every_parameter_explains_itself(stack: str) -> None:
    for name, declared in template(stack)["Parameters"].items():
        assert len(declared["Description"]) > 20, name
        assert declared["ConstraintDescription"].startswith("must be "), name
        limits = {"AllowedValues", "AllowedPattern", "MinValue", "MaxValue"} & set(declared)
        assert limits, f"{name} accepts anything"


def test_users_need_to_set_nothing() -> None:
    missing = {n for n, declared in DECLARED.items() if "default" not in declared}
    assert missing == {"ControlStack", "ClusterName", "DatabaseCaCertificate"}
    assert all(DECLARED[name]["machine"] for name in missing)


def test_the_machine_sets_what_the_contract_says() -> None:
    sentence = re.search(r"Set by the machine, refused from users: (.*)\.", CONTRACT)
    assert sentence is not None
    said = set(re.findall(r"`(\w+)`", sentence.group(1)))
    assert {name for name, declared in DECLARED.items() if declared["machine"]} == said


def test_the_console_shows_every_parameter_once() -> None:
    for stack in ("cluster", "network"):
        read = template(stack)
        groups = read["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        shown = [name for group in groups for name in group["Parameters"]]
        assert sorted(shown) == sorted(read["Parameters"])


def test_defaults_satisfy_their_own_constraints() -> None:
    given = {n: d["default"] for n, d in DECLARED.items() if "default" in d and not d["machine"]}
    values, problems = read_parameters(given, DECLARED)
    assert problems == []
    assert values == given


REFUSED = [
    ("OrchestrationImage", ""),
    ("OrchestrationImage", "Camunda/camunda:8.9.22"),
    ("OrchestrationImage", "camunda/camunda:"),
    ("OrchestrationImage", "camunda/camunda:8.9 22"),
    ("OrchestrationImage", "camunda/camunda@sha256:abc"),
    ("ConnectorsImage", "https://mirror.example.com/connectors:8.9.14"),
    ("CamundaVersion", "8.8.5"),
    ("CamundaVersion", "8.9"),
    ("CamundaVersion", "8.9.0-alpha3"),
    ("CamundaVersion", "8.10.0-rc1"),
    ("CamundaVersion", "8.10.0-SNAPSHOT"),
    ("RocksDbMemoryFraction", "0"),
    ("RocksDbMemoryFraction", "0.0"),
    ("RocksDbMemoryFraction", "0.51"),
    ("RocksDbMemoryFraction", "1"),
    ("BackupSchedule", "PT3M"),
    ("BackupCheckpointInterval", "15m"),
    ("LicenseKeySecretArn", "licence"),
    ("ImageRegistryPrefix", "https://mirror.example.com"),
    ("ImageRegistryPrefix", "mirror.example.com/"),
    ("AllowedCidrs", "0.0.0.0/0"),
    ("AllowedCidrs", "203.0.113.0"),
    ("AllowedCidrs", "203.0.113.0/24, 198.51.100.0/24"),
    ("AllowedCidrs", "256.0.113.0/24"),
    ("AllowedCidrs", ",".join(f"10.{n}.0.0/16" for n in range(6))),
    ("DatabaseUser", "rdsadmin"),
    ("DatabaseUser", "pg_monitor"),
    ("DatabaseUser", "camunda_admin"),
    ("DatabaseUser", 'x"; drop'),
    ("DatabaseName", "Camunda"),
    ("DatabaseInstanceClass", "t3.medium"),
    ("DatabaseEngineVersion", "17"),
    ("DatabaseEngineVersion", "14.9"),
    ("CertificateArn", "arn:aws:iam::123456789012:server-certificate/x"),
    ("KmsKeyArn", "alias/aws/s3"),
    ("Authentication", "none"),
    ("IdentityProvider", "okta"),
    ("OidcIssuer", "http://login.example.com"),
    ("OidcIssuer", "https://login.example.com?x=1"),
    ("OidcTokenUrl", "https://login.example.com/token#x"),
    ("OidcClientId", "a b"),
    ("OidcClientId", "${secret}"),
    ("OidcClientSecretArn", "s3cret"),
    ("OidcConnectorsSecretArn", "s3cret"),
    ("OidcHealthSecretArn", "s3cret"),
    ("OidcAdministrator", "alice,bob"),
    ("OidcAdministratorGroup", "#{group}"),
    ("OidcUsernameClaim", ""),
    ("OidcClientIdClaim", "client id"),
    ("OidcAudiences", "a, b"),
    ("OidcScope", "profile"),
    ("OidcScope", "openid profile"),
    ("OidcClientScope", "a,b"),
    ("PrometheusWorkspaceArn", WORKSPACE_ID),
    ("PrometheusWorkspaceArn", "arn:aws:aps:eu-central-1:123456789012:workspace/demo"),
    ("CollectorImage", ""),
    ("CollectorImage", "aws-observability/aws-otel-collector:v0.49.0"),
    ("CollectorImage", "public.ecr.aws/aws-observability/aws-otel-collector"),
    ("CollectorImage", "public.ecr.aws/aws-observability/aws-otel-collector:latest"),
    ("IamPath", ""),
    ("IamPath", "/team-a"),
    ("IamPath", "team-a/"),
    ("DomainName", "https://camunda.example.com"),
    ("GrpcDomainName", "zeebe.example.com:26500"),
    ("HostedZoneId", "/hostedzone/Z0123456789ABC"),
    ("HostedZoneId", "z0123456789abc"),
    ("ReplicationFactor", "2"),
    ("Brokers", "0"),
    ("Brokers", "31"),
    ("LogRetentionDays", "10"),
]
ACCEPTED = [
    ("OrchestrationImage", "camunda/camunda:8.10.0"),
    ("OrchestrationImage", "team/camunda-custom:8.9.20@sha256:" + "a" * 64),
    ("OrchestrationImage", "registry.example.com:5000/a/b/camunda:main-42"),
    ("OrchestrationImage", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/camunda"),
    (
        "PrometheusWorkspaceArn",
        f"arn:aws-us-gov:aps:us-gov-west-1:123456789012:workspace/{WORKSPACE_ID}",
    ),
    ("CollectorImage", "localhost:5000/aws-otel-collector:0.50.1@sha256:" + "a" * 64),
    ("CollectorImage", "mirror.example.com/a/collector@sha256:" + "a" * 64),
    ("OidcIssuer", "https://example.eu.auth0.com/"),
    ("OidcIssuer", "https://login.example.com:8443/auth/realms/camunda"),
    ("OidcClientIdClaim", "https://example.com/client_id"),
    ("OidcGroupsClaim", "cognito:groups"),
    ("OidcAdministrator", "google-oauth2|107"),
    ("OidcAdministratorGroup", "/Camunda/Platform Team (EU)"),
    ("OidcAudiences", "api://camunda,camunda-web"),
    ("OidcScope", "openid"),
    ("OidcScope", "profile,openid,email"),
    ("OidcScope", "openid,profile,offline_access,camunda-web/.default"),
    ("OidcClientScope", "camunda/.default other"),
    ("CamundaVersion", "8.10.3"),
    ("RocksDbMemoryFraction", "0.25"),
    ("RocksDbMemoryFraction", "0.5"),
    ("ImageRegistryPrefix", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/docker-hub"),
    ("ImageRegistryPrefix", "localhost:5000"),
    ("AllowedCidrs", "0.0.0.0/1,128.0.0.0/1"),
    ("AllowedCidrs", "203.0.113.7/32"),
    ("DatabaseUser", "camunda_engine"),
    ("DatabaseInstanceClass", "db.r8g.2xlarge"),
    ("DatabaseEngineVersion", "18.4"),
    ("IamPath", "/team-a/"),
    ("KmsKeyArn", "arn:aws:kms:eu-central-1:123456789012:key/mrk-0a1b"),
    ("DomainName", "camunda.example.com"),
    ("GrpcDomainName", "zeebe.example.com"),
    ("HostedZoneId", "Z0123456789ABCDEFGHIJ"),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_values_that_are_refused(name: str, value: str) -> None:
    _, problems = read_parameters({name: value}, DECLARED)
    assert [problem.field for problem in problems] == [f"parameters.{name}"]


@pytest.mark.parametrize(("name", "value"), ACCEPTED)
def test_values_that_are_accepted(name: str, value: str) -> None:
    assert read_parameters({name: value}, DECLARED) == ({name: value}, [])


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("10.190.0.0/16", True),
        ("172.31.0.0/16", True),
        ("192.168.0.0/16", True),
        ("100.64.0.0/16", True),
        ("10.190.0.0/24", False),
        ("8.8.0.0/16", False),
        ("172.32.0.0/16", False),
        ("100.128.0.0/16", False),
    ],
)
def test_ranges_of_the_vpc(value: str, accepted: bool) -> None:
    pattern = template("network")["Parameters"]["VpcCidr"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, value)) is accepted


def test_outputs_are_those_of_the_contract() -> None:
    section = CONTRACT.split("## Outputs of the cluster stack", 1)[1].split("\n## ", 1)[0]
    promised = {
        name
        for row in section.splitlines()
        if row.startswith("| `")
        for cell in [row.split("|")[1], *row.split("|")[2:]]
        for name in re.findall(r"`([A-Z]\w+)`", cell)
    }
    everything = resolve(
        "cluster",
        ManagementListener="true",
        CamundaVersion="8.9.16",
        DatabaseSnapshot="control-demo-backup-1",
        DataGeneration="2",
        RehearsalSchedule="monthly",
        **RESOLVED,
        OidcClientScope="camunda",
        OidcClientAudience="camunda",
    )
    pool = resolve("cluster", **POOL_RESOLVED)
    assert set(everything.outputs) | set(pool.outputs) == promised


def test_imports_are_the_exports_of_the_contract() -> None:
    section = CONTRACT.split("## Exports of the control stack", 1)[1].split("\n## ", 1)[0]
    promised = {name.removeprefix("<control stack>") for name in re.findall(r"`([^`]+)`", section)}
    text = (STACKS / "cluster.yaml").read_text()
    used = set(re.findall(r'Fn::ImportValue": !Sub "\$\{ControlStack\}([^"]+)"', text))
    assert used
    assert used <= promised


def test_limits_of_cloudformation() -> None:
    read = template("cluster")
    assert len(read["Resources"]) < 200, "one flat stack, far from the limit of 500"
    assert len(read["Parameters"]) <= 200
    assert len(read["Description"]) <= 1024
    # Larger than what fits in a request (51,200 bytes), so it is always given as a URL.
    assert len((STACKS / "cluster.yaml").read_bytes()) < 1_000_000


def test_generated_file_has_only_what_validation_reads() -> None:
    keys = {key for declared in json.loads(TARGET.read_text()).values() for key in declared}
    assert keys <= {
        "type", "default", "min", "max", "minLength", "maxLength", "allowedValues",
        "allowedPattern", "description", "constraint", "machine",
    }  # fmt: skip
