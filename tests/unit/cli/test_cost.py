"""`camunda-ecs cost`: the total of a plan, the refusals of the API, and no request."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest
import yaml
from camunda_ecs import cost
from camunda_ecs.app import app
from lifecycle.cluster.prices import price_list
from lifecycle.health.measure import BASIC, DETAILED
from lifecycle.provisioning.request import _across, read_parameters
from lifecycle.scaling.plan import cost_of
from typer.main import get_command
from typer.testing import CliRunner, Result

from tests.support.command_line import FakeApi, Shell
from tests.support.declared import in_clear
from tools.generate_cli import ROOT
from tools.generate_parameters import load_template

DECLARED = in_clear()
DEFAULTS = {name: str(one.get("default", "")) for name, one in DECLARED.items()}
ARN = "arn:aws:kms:us-east-1:123456789012:key/x"
NOTHING: dict[str, str | None] = dict.fromkeys(
    ("AWS_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "CAMUNDA_ECS_API_URL", "CAMUNDA_ECS_CLUSTER")
)


def run(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(app, ["cost", *words], env={**NOTHING, **environment})


def estimate(*words: str) -> dict[str, Any]:
    result = run(*words, "-o", "json")
    assert (result.exit_code, result.stderr) == (0, "")
    found: dict[str, Any] = json.loads(result.stdout)
    return found


# Words, and the parameters of a plan that they stand for.
SIZES: list[tuple[list[str], dict[str, str]]] = [
    ([], {}),
    (["--brokers", "5"], {"Brokers": "5"}),
    (
        ["--broker-cpu", "8192", "--broker-memory", "16384"],
        {"BrokerCpu": "8192", "BrokerMemory": "16384"},
    ),
    (
        ["--connectors", "2", "--connectors-cpu", "1024", "--connectors-memory", "2048"],
        {"Connectors": "2", "ConnectorsCpu": "1024", "ConnectorsMemory": "2048"},
    ),
    (["--connectors", "0"], {"Connectors": "0"}),
    (["--architecture", "ARM64"], {"CpuArchitecture": "ARM64"}),
    (
        ["--database-class", "db.r6g.large", "--database-instances", "3"],
        {"DatabaseInstanceClass": "db.r6g.large", "DatabaseInstances": "3"},
    ),
    (["--public"], {"LoadBalancerScheme": "internet-facing"}),
    (["--own-key"], {"KmsKeyArn": ARN}),
]


@pytest.mark.parametrize(("words", "parameters"), SIZES, ids=" ".join)
def test_the_cluster_costs_what_a_plan_says(words: list[str], parameters: dict[str, str]) -> None:
    full = {**DEFAULTS, **parameters}
    brokers = int(full["Brokers"])
    planned = cost_of(full, brokers, brokers, "us-east-1")["after"]
    found = estimate(*words, "--region", "us-east-1")
    assert found["cluster"] == planned
    parts = [found[name]["total"] for name in ("controlPlane", "cluster", "monitoring", "backups")]
    assert Decimal(found["total"]) == sum(map(Decimal, parts))
    assert found["asOf"] == price_list()["regions"]["us-east-1"]["asOf"]


def test_without_options_it_is_a_default_cluster_of_a_default_control_plane() -> None:
    assert estimate()["parameters"] == {
        **{name: DEFAULTS[name] for name in cost.OPTIONS if name in DEFAULTS},
        "NatGateways": str(
            load_template(ROOT / "template.yaml")["Parameters"]["NatGateways"]["Default"]
        ),
    }


def test_options_are_those_of_the_parameters() -> None:
    options = {name for one in get_command(app).commands["cost"].params for name in one.opts}  # type: ignore[attr-defined]
    assert set(cost.OPTIONS.values()) <= options


@pytest.mark.parametrize(
    ("gateways", "price"), [("0", "0.00"), ("1", "41.61"), ("3", "124.83")], ids=("0", "1", "3")
)
def test_each_nat_gateway_has_an_address(gateways: str, price: str) -> None:
    # 730 h x (0.052 + 0.005)
    items = estimate("--nat-gateways", gateways)["controlPlane"]["items"]
    assert items.get("NAT gateways", "0.00") == price


def test_detailed_metrics_are_paid_for_each() -> None:
    with_them, without = (
        estimate(f"--{word}detailed-metrics")["monitoring"]["items"]["metrics"]
        for word in ("", "no-")
    )
    assert (with_them, without) == ("5.10", "1.20")


def test_backups_cost_what_is_stored_of_them() -> None:
    words = ("--region", "us-east-1")
    without, found = (
        estimate(*words),
        estimate(*words, "--backup-gb", "1000", "--snapshot-gb", "200"),
    )
    assert without["backups"]["items"] == {}
    # 1000 x 0.023, 200 x 0.021
    assert found["backups"]["items"] == {
        "backups of the brokers": "23.00",
        "backups of Aurora": "4.20",
    }
    assert Decimal(found["total"]) - Decimal(without["total"]) == Decimal("27.20")
    assert "of the brokers in S3 0.023 USD in us-east-1" in without["notIncluded"]
    shown = run(*words, "--backup-gb", "1000").stdout
    assert re.search(r"backups +backups of the brokers +23\.00", shown)


def test_backups_without_a_price_leave_no_total() -> None:
    result = run("--snapshot-gb", "1", "--region", "eu-central-1", "-o", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["total"]) == (5, None)
    assert found["missing"] == ["no price for Aurora's backup storage in eu-central-1"]
    refused = run("--backup-gb", "-1")
    assert (refused.exit_code, refused.stdout) == (2, "")


def test_what_is_counted_is_what_the_templates_create() -> None:
    monitoring = (ROOT / "stacks" / "monitoring.yaml").read_text()
    loops = re.findall(r"(?m)^ *- (?:Alarm|Function|Metric)\n *- \[(.+)\]", monitoring)
    machines, functions, metrics = (len(one.split(",")) for one in loops)
    assert machines + functions * metrics == cost.CONTROL_ALARMS
    kinds = [one["Type"] for one in load_template()["Resources"].values()]
    assert kinds.count("AWS::CloudWatch::Alarm") == cost.CLUSTER_ALARMS
    assert (len(BASIC), len(DETAILED)) == (cost.METRICS, cost.DETAILED_METRICS)
    control = [one["Type"] for one in load_template(ROOT / "template.yaml")["Resources"].values()]
    assert control.count("AWS::KMS::Key") == 1
    network = load_template(ROOT / "stacks" / "network.yaml")["Resources"].values()
    types = [one["Type"] for one in network]
    assert types.count("AWS::EC2::NatGateway") == types.count("AWS::EC2::EIP") == 3


WRONG: list[dict[str, str]] = [
    {"Brokers": "31"},
    {"Brokers": "0"},
    {"Connectors": "-1"},
    {"BrokerCpu": "3000"},
    {"BrokerMemory": "10240"},
    {"BrokerCpu": "4096", "BrokerMemory": "4096"},
    {"BrokerCpu": "16384", "BrokerMemory": "8192"},
    {"ConnectorsCpu": "512", "ConnectorsMemory": "8192"},
    {"DatabaseInstanceClass": "large"},
    {"DatabaseInstances": "4"},
    {"Brokers": "99", "BrokerMemory": "1", "DatabaseInstances": "0"},
]


@pytest.mark.parametrize("given", WRONG, ids=str)
def test_what_the_api_refuses_is_refused_in_its_words(given: dict[str, str]) -> None:
    typed = {
        name: value if name == "DatabaseInstanceClass" else int(value)
        for name, value in given.items()
    }
    values, problems = read_parameters(typed, DECLARED)
    if not problems:
        problems = _across(values, DECLARED, {})
    expected = [
        f"{cost.OPTIONS[one.field.removeprefix('parameters.')]}: "
        f"given {one.given}; allowed: {one.allowed}"
        for one in problems
    ]
    words = [word for name, value in given.items() for word in (cost.OPTIONS[name], value)]
    refused = run(*words)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert expected
    assert sorted(refused.stderr.splitlines()) == sorted(expected)


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (["--nat-gateways", "2"], "--nat-gateways: given 2; allowed: one of 0, 1, 3"),
        (["--brokers", "many"], "--brokers"),
        (["--architecture", "RISC"], "--architecture"),
        (["--cluster", "demo"], "--cluster"),
    ],
)
def test_wrong_usage(words: list[str], seen: str) -> None:
    refused = run(*words)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert seen in refused.stderr


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["--database-class", "db.x9.huge"], "no price for db.x9.huge in eu-central-1"),
        (["--architecture", "ARM64"], "no price for Fargate ARM64 in eu-central-1"),
        (["--region", "mars-north-1"], "no price for mars-north-1"),
    ],
)
def test_without_a_price_there_is_no_total(words: list[str], missing: str) -> None:
    data = run(*words, "-o", "json")
    found = json.loads(data.stdout)
    assert (data.exit_code, found["total"], found["missing"]) == (5, None, [missing])
    shown = run(*words)
    assert shown.exit_code == 5
    assert missing in shown.stdout
    assert re.search(r"(?m)^total .* not known$", shown.stdout)


def test_the_regions_with_prices_are_named() -> None:
    refused = run(AWS_REGION="mars-north-1")
    assert refused.exit_code == 5
    assert "given mars-north-1; prices are known of eu-central-1, us-east-1" in refused.stderr


def test_the_table_has_every_part_the_total_the_date_and_what_usage_adds() -> None:
    found, shown = estimate("--brokers", "5"), run("--brokers", "5")
    assert (shown.exit_code, shown.stderr) == (0, "")
    for name in ("controlPlane", "cluster", "monitoring"):
        for part, amount in found[name]["items"].items():
            assert re.search(rf"(?m) {re.escape(part)} +{amount}$", shown.stdout), part
    assert re.search(rf"(?m)^total .* eu-central-1 +{found['total']}$", shown.stdout)
    assert f"List prices of {found['asOf']}" in shown.stdout
    assert f"Usage adds: {found['notIncluded']}." in shown.stdout


def test_yaml_is_the_same_document() -> None:
    assert yaml.safe_load(run("-o", "yaml").stdout) == estimate()


def test_nothing_is_sent() -> None:
    api = FakeApi()
    assert Shell(api).run("cost").exit_code == 0
    assert api.requests == []
