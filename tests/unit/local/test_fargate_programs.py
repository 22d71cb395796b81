"""Which program stands in for a container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.fargate.programs import (
    CannotStartError,
    ContainerStart,
    launch,
    repository,
    takes_node_id,
)

pytestmark = pytest.mark.unit


def start(tmp_path: Path, **changes: Any) -> ContainerStart:
    known: dict[str, Any] = {
        "image": "camunda/camunda:8.9.16",
        "entry_point": (),
        "command": (),
        "environment": {"CAMUNDA_CLUSTER_SIZE": "3", "PASSWORD": "hush"},
        "address": "127.41.1.10",
        "node_id": 1,
        "storage": tmp_path,
        "volumes": {},
        "service_connect_file": tmp_path / "names.json",
    }
    return ContainerStart(**(known | changes))


@pytest.mark.parametrize(
    "image",
    ["camunda", "camunda/camunda", "camunda/camunda:8.9.16", "r.example:5000/x/camunda:8.9.16",
     "camunda/camunda@sha256:abc", "camunda/camunda:8.9.16@sha256:abc"],
)  # fmt: skip
def test_an_image_is_known_by_its_last_name(image: str) -> None:
    assert repository(image) == "camunda"


def test_the_fake_broker_is_told_the_sizes(tmp_path: Path) -> None:
    launched = launch(start(tmp_path))
    text = " ".join(launched.command)
    assert "-m local.fake_broker --address 127.41.1.10 --node-id 1 --cluster-size 3" in text


def test_a_broker_needs_a_node_id_and_its_helper_does_not() -> None:
    assert takes_node_id({"image": "camunda/camunda:8.9.16"})
    assert not takes_node_id({"image": "camunda/camunda:8.9.16", "essential": False})
    assert not takes_node_id({"image": "camunda/connectors-bundle:8.9.1"})


def test_a_container_s_own_command_finds_its_mounts_here(tmp_path: Path) -> None:
    launched = launch(
        start(
            tmp_path,
            entry_point=("sh", "-c"),
            command=("echo x > /database-ca/ca.pem",),
            volumes={"/database-ca": tmp_path / "ca"},
        )
    )
    assert launched.command[0].endswith("/sh")
    assert launched.command[2] == f"echo x > {tmp_path / 'ca'}/ca.pem"


def test_an_image_without_a_stand_in_cannot_be_pulled(tmp_path: Path) -> None:
    with pytest.raises(CannotStartError, match=r"CannotPullContainerError.*camunda/zeebe:8"):
        launch(start(tmp_path, image="camunda/zeebe:8"))
