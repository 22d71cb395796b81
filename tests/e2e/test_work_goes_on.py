"""A client at work through the load balancer while the cluster is scaled: nothing is lost."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.config import CONTROL_STACK
from tests.support.cloud import Cloud, eventually
from tests.support.ledger import Claims, judge, read, search
from tests.support.traffic import PROCESS_ID, Traffic

if TYPE_CHECKING:
    from local.component import Instance


@pytest.fixture(scope="module")
def cloud(instance: Instance) -> Cloud:
    return Cloud(instance)


def user(cloud: Cloud) -> dict[str, Any]:
    """User and password of the cluster's administrator, from its secret."""
    arn = cloud.outputs(f"{CONTROL_STACK}-demo")["AdminUserSecretArn"]
    found = cloud.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    return dict(json.loads(found))


def test_a_client_loses_nothing_while_brokers_come_and_go(cloud: Cloud, tmp_path: Path) -> None:
    cloud.given(3)
    endpoints = json.loads(cloud.instance.config.endpoints_file.read_text())
    known = user(cloud)
    name, password = known["username"], known["password"]
    file_system = next((cloud.instance.config.root / "fargate" / "efs").glob("*"))
    with Traffic(
        tmp_path / "traffic.jsonl", [endpoints["alb"]], user=name, password=password
    ) as client:
        assert client.goes_on()
        for count in (4, 3):
            done = cloud.run("scale", {"clusterName": "demo", "count": count})
            assert done["result"] == "SUCCEEDED", done
            assert client.goes_on()
        client.stop()
        claims = Claims.read(client.log)

        # The secondary storage is behind.
        def stored() -> dict[tuple[str, str], list[str]]:
            return search(endpoints["alb"], name, password, PROCESS_ID)

        done_items = {item for item in claims.acknowledged if item[0] != "publish"}
        assert eventually(lambda: done_items <= set(stored()), 30)
        time.sleep(1)
        found = judge(claims, file_system, stored())
    assert found.good, found
    assert all(len(held) == 3 for held in read(file_system).values())
