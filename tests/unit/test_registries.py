"""From which registries images may come, and to which their credentials may be sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lifecycle.cluster.checks import Result
from lifecycle.errors import InvalidRequest
from lifecycle.provisioning.request import read_plan_request, read_provision_request
from lifecycle.services.registries import Registries, check_registries, normalized

from tests.support.api import ApiWorld
from tests.support.declared import in_clear
from tests.support.world import REGISTRIES
from tools.generate_parameters import ROOT, load_template

OURS = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
THEIRS = OURS.replace("123456789012", "999999999999")
DEFAULTS = {name: str(one.get("default", "")) for name, one in in_clear().items()}
WORKSPACE = (
    "arn:aws:aps:eu-central-1:123456789012:workspace/ws-0123abcd-45ef-67ab-89cd-0123456789ab"
)
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:aurora-AbCdEf"


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("camunda/camunda:8.9.22", "docker.io/camunda/camunda"),
        ("docker.io/camunda/camunda", "docker.io/camunda/camunda"),
        ("index.docker.io/camunda/camunda@sha256:" + "a" * 64, "docker.io/camunda/camunda"),
        ("busybox", "docker.io/library/busybox"),
        ("evil/camunda/camunda:8.9.22", "docker.io/evil/camunda/camunda"),
        ("Registry.Camunda.Cloud/camunda:1", "registry.camunda.cloud/camunda"),
        ("localhost/a:1", "localhost/a"),
        ("localhost:5000/a/b:main@sha256:" + "a" * 64, "localhost:5000/a/b"),
    ],
)
def test_a_reference_is_read_as_container_runtimes_read_it(image: str, name: str) -> None:
    assert normalized(image) == name


@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        ("camunda/camunda:8.9.22", True),
        ("registry.camunda.cloud/camunda/camunda:8.9.22", True),
        (f"{OURS}/hub/camunda/camunda:8.9.22", True),
        (f"{THEIRS}/hub/camunda/camunda:8.9.22", False),
        ("camunda-evil/camunda:8.9.22", False),
        ("evil/camunda/camunda:8.9.22", False),
        ("registry.camunda.cloud.evil.example/camunda:8.9.22", False),
        ("registry.camunda.cloud:8443/camunda:8.9.22", False),
        ("evil.example/docker.io/camunda/camunda:8.9.22", False),
        ("localhost:5000/camunda/camunda", False),
    ],
)
def test_an_image_is_below_an_allowed_host_and_path(image: str, allowed: bool) -> None:
    assert REGISTRIES.allows(image) is allowed


def test_ecr_is_allowed_only_where_it_is_listed() -> None:
    image = f"{OURS}/camunda:8.9.22"
    assert not Registries.read("docker.io/camunda", "123456789012", "eu-central-1").allows(image)
    assert Registries.read(f"{OURS}/camunda", "1", "eu-central-1").allows(image)


@pytest.mark.parametrize(
    ("parameters", "field", "given"),
    [
        ({"ImageRegistryPrefix": "evil.example"}, "ImageRegistryPrefix", "evil.example"),
        ({"ImageRegistryPrefix": "evil"}, "ImageRegistryPrefix", "evil"),
        (
            {"ImageRegistryPrefix": "evil.example/hub", "RegistryCredentialsArn": SECRET},
            "ImageRegistryPrefix",
            "evil.example/hub",
        ),
        (
            {"OrchestrationImage": "team/camunda:8.9.22"},
            "OrchestrationImage",
            "team/camunda:8.9.22",
        ),
        (
            {"ConnectorsImage": f"{THEIRS}/c:8.9.14"},
            "ConnectorsImage",
            f"{THEIRS}/c:8.9.14",
        ),
    ],
)
def test_another_registry_is_refused_by_plan_and_provisioning_alike(
    parameters: dict[str, str], field: str, given: str
) -> None:
    requests: list[tuple[Any, Any, str]] = [
        (read_provision_request, {"parameters": parameters}, ""),
        (read_plan_request, {"provision": {"parameters": parameters}}, "provision."),
    ]
    for read, request, path in requests:
        with pytest.raises(InvalidRequest) as refused:
            read({"clusterName": "demo", **request}, in_clear(), registries=REGISTRIES)
        (problem,) = refused.value.problems
        assert problem["field"] == f"{path}parameters.{field}"
        assert problem["given"] == json.dumps(given)
        assert "docker.io/camunda, registry.camunda.cloud, public.ecr.aws/" in problem["allowed"]


def test_the_api_refuses_before_anything_is_started() -> None:
    api = ApiWorld()
    answer = api.provision({"parameters": {"ImageRegistryPrefix": "evil.example"}}, key="k")
    assert answer.status == 400
    assert answer.document["errors"][0]["field"] == "parameters.ImageRegistryPrefix"
    assert api.world.table.locks == {}
    assert api.world.executions.executions == {}


def test_credentials_are_not_sent_to_a_registry_that_a_cluster_still_has() -> None:
    present = {**DEFAULTS, "ImageRegistryPrefix": "old.example"}

    def ask(**parameters: Any) -> Any:
        return read_provision_request(
            {"clusterName": "demo", "parameters": parameters},
            in_clear(),
            present,
            registries=REGISTRIES,
        )

    assert ask(LogRetentionDays=60).parameters == {"LogRetentionDays": "60"}
    with pytest.raises(InvalidRequest, match=r"old\.example"):
        ask(RegistryCredentialsArn=SECRET)
    assert check_registries(present, present, REGISTRIES).result is Result.WARN
    changed = {**present, "RegistryCredentialsArn": SECRET}
    assert check_registries(changed, present, REGISTRIES).result is Result.FAIL
    assert check_registries(DEFAULTS, {}, REGISTRIES).result is Result.PASS


def test_what_the_template_allows_by_default_is_what_it_deploys_by_default() -> None:
    declared = load_template(ROOT / "template.yaml")["Parameters"]["AllowedImageRegistries"]
    default = Registries.read(declared["Default"], "123456789012", "eu-central-1")
    assert default == REGISTRIES
    assert default.refused(DEFAULTS) == []


# --- the collector's image, and the workspace that it writes to -----------------------------------


def problems_of(
    parameters: dict[str, str], present: dict[str, str] | None = None
) -> list[tuple[str, str]]:
    raw = {"clusterName": "demo", "parameters": parameters}
    try:
        read_provision_request(raw, in_clear(), present, registries=REGISTRIES)
    except InvalidRequest as refused:
        return [(one["field"], one["allowed"]) for one in refused.problems]
    return []


def test_the_collector_s_image_counts_once_there_is_a_workspace() -> None:
    image = {"CollectorImage": "ghcr.io/evil/collector:v1.0.0"}
    assert problems_of(image) == []
    ((field, allowed),) = problems_of({**image, "PrometheusWorkspaceArn": WORKSPACE})
    assert field == "parameters.CollectorImage"
    assert "public.ecr.aws/aws-observability" in allowed
    assert problems_of({"PrometheusWorkspaceArn": WORKSPACE}) == []
    ours = {"CollectorImage": f"{OURS}/public/aws-otel-collector:v0.49.0"}
    assert problems_of({**ours, "PrometheusWorkspaceArn": WORKSPACE}) == []


def test_the_registry_s_prefix_is_not_put_before_the_collector_s_image() -> None:
    given = {"ImageRegistryPrefix": f"{OURS}/hub", "PrometheusWorkspaceArn": WORKSPACE}
    assert problems_of(given) == []


def test_an_update_of_a_cluster_whose_collector_is_of_another_registry_by_now() -> None:
    present = {
        **DEFAULTS,
        "PrometheusWorkspaceArn": WORKSPACE,
        "CollectorImage": "old.example/collector:v1.0.0",
    }
    assert problems_of({"LogRetentionDays": "60"}, present) == []
    assert check_registries(present, present, REGISTRIES).result is Result.WARN
    before = {**present, "PrometheusWorkspaceArn": ""}
    assert check_registries(present, before, REGISTRIES).result is Result.FAIL


def test_a_stack_from_before_the_workspace_keeps_its_registry() -> None:
    values = {**DEFAULTS, "ImageRegistryPrefix": "old.example"}
    new = {"PrometheusWorkspaceArn", "CollectorImage"}
    present = {name: value for name, value in values.items() if name not in new}
    assert check_registries(values, present, REGISTRIES).result is Result.WARN


@pytest.mark.parametrize(
    ("old", "new"), [("eu-central-1", "eu-west-1"), ("123456789012", "999999999999")]
)
def test_a_workspace_elsewhere_is_refused(old: str, new: str) -> None:
    ((field, allowed),) = problems_of({"PrometheusWorkspaceArn": WORKSPACE.replace(old, new)})
    assert field == "parameters.PrometheusWorkspaceArn"
    assert "eu-central-1 of account 123456789012" in allowed
