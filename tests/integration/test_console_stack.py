"""The control plane with the console: created, published by the real function, removed again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local import deploy, instance
from local.component import Instance
from local.config import REPOSITORY, LocalConfig
from tests.support.blocks import block

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

STACK = "control"
FILES = REPOSITORY / "console"


class Here:
    """An instance with the control plane."""

    def __init__(self, of: Instance, built: Path) -> None:
        self.instance = of
        self.built = built

    def deploy(self, **parameters: str) -> None:
        deploy.deploy(self.instance, self.built, STACK, {"NatGateways": "1", **parameters})

    def outputs(self) -> dict[str, str]:
        api = self.instance.client("cloudformation")
        (stack,) = api.describe_stacks(StackName=STACK)["Stacks"]
        return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}

    def buckets(self) -> list[str]:
        names = [one["Name"] for one in self.instance.client("s3").list_buckets()["Buckets"]]
        return [one for one in names if one.startswith(f"{STACK}-console-")]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    root = tmp_path_factory.mktemp("instance")
    one = Instance.of(LocalConfig(root, block("stacks")))
    host = instance.start(one, components=[])
    try:
        built = deploy.build(one, REPOSITORY / "template.yaml", root / "build" / "control")
        yield Here(one, built)
    finally:
        host.stop(grace=30)
        assert one.processes.survivors() == []


def test_the_console_is_created_published_and_removed(here: Here) -> None:
    here.deploy(Console="cognito")
    outputs = here.outputs()
    (bucket,) = here.buckets()
    s3 = here.instance.client("s3")
    keys = {one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    files = {str(one.relative_to(FILES)) for one in FILES.rglob("*") if one.is_file()}
    assert "index.html" in files
    assert keys == {*files, "config.json"}
    found: dict[str, Any] = json.loads(
        s3.get_object(Bucket=bucket, Key="config.json")["Body"].read()
    )
    assert f"https://{found['api']['host']}{found['api']['base']}" == outputs["ApiUrl"]
    assert found["release"] == outputs["Release"]
    assert found["signIn"]["userPoolId"] == outputs["ConsoleUserPoolId"]
    assert outputs["ConsoleUrl"] == f"https://{outputs['ConsoleDistribution']}"
    page = s3.head_object(Bucket=bucket, Key="index.html")
    assert page["ContentType"] == "text/html; charset=utf-8"

    here.deploy(Console="none")
    assert here.buckets() == []
    assert [one for one in here.outputs() if one.startswith("Console")] == []
    pools = here.instance.client("cognito-idp").list_user_pools(MaxResults=10)["UserPools"]
    assert pools == []


def test_the_console_is_refused_where_the_api_takes_some_addresses_only(here: Here) -> None:
    with pytest.raises(deploy.DeployError, match="ApiAllowedCidrs must be"):
        here.deploy(Console="cognito", ApiAllowedCidrs="203.0.113.0/24")
    assert here.buckets() == []
