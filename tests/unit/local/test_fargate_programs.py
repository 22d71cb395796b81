"""Which program stands in for a container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.config import LocalConfig
from local.downloads import CAMUNDA
from local.fargate.programs import (
    EXPORT_VARIABLE,
    CannotStartError,
    ContainerStart,
    Programs,
    exporting,
    repository,
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
        "resolve": lambda _: (),
        "service_connect_file": tmp_path / "names.json",
    }
    return ContainerStart(**(known | changes))


def programs(tmp_path: Path, brokers: str = "real") -> Programs:
    return Programs(LocalConfig(tmp_path, "127.41", brokers))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "image",
    ["camunda", "camunda/camunda", "camunda/camunda:8.9.16", "r.example:5000/x/camunda:8.9.16",
     "camunda/camunda@sha256:abc", "camunda/camunda:8.9.16@sha256:abc"],
)  # fmt: skip
def test_an_image_is_known_by_its_last_name(image: str) -> None:
    assert repository(image) == "camunda"


def test_a_real_broker_keeps_its_data_by_node_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMUNDA_LIFECYCLE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(CannotStartError, match=r"local\.downloads"):
        programs(tmp_path).launch(start(tmp_path))
    (tmp_path / "cache" / CAMUNDA.directory).mkdir(parents=True)
    launch = programs(tmp_path).launch(start(tmp_path))
    assert launch.environment["ZEEBE_BROKER_DATA_DIRECTORY"] == str(tmp_path / "node-1")
    assert (tmp_path / "node-1").is_dir()
    assert launch.command[-1] == "io.camunda.application.StandaloneBroker"
    assert "hush" not in str(launch)


def test_a_real_broker_exports_only_where_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exporting() == {}
    monkeypatch.setenv(EXPORT_VARIABLE, "http://127.0.0.1:9200")
    assert exporting()["ZEEBE_BROKER_EXPORTERS_RECORDS_ARGS_URL"] == "http://127.0.0.1:9200"
    monkeypatch.setenv("CAMUNDA_LIFECYCLE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / CAMUNDA.directory).mkdir(parents=True)
    assert exporting().items() <= programs(tmp_path).launch(start(tmp_path)).environment.items()


def test_the_fake_broker_is_told_the_sizes(tmp_path: Path) -> None:
    launch = programs(tmp_path, "fake").launch(start(tmp_path))
    text = " ".join(launch.command)
    assert "-m local.fake_broker --address 127.41.1.10 --node-id 1 --cluster-size 3" in text


def test_a_broker_needs_a_node_id_and_its_helper_does_not(tmp_path: Path) -> None:
    here = programs(tmp_path)
    assert here.takes_node_id({"image": "camunda/camunda:8.9.16"})
    assert not here.takes_node_id({"image": "camunda/camunda:8.9.16", "essential": False})
    assert not here.takes_node_id({"image": "camunda/connectors-bundle:8.9.1"})


def test_a_container_s_own_command_finds_its_mounts_here(tmp_path: Path) -> None:
    launch = programs(tmp_path).launch(
        start(
            tmp_path,
            entry_point=("sh", "-c"),
            command=("echo x > /database-ca/ca.pem",),
            volumes={"/database-ca": tmp_path / "ca"},
        )
    )
    assert launch.command[0].endswith("/sh")
    assert launch.command[2] == f"echo x > {tmp_path / 'ca'}/ca.pem"


def test_an_image_without_a_stand_in_cannot_be_pulled(tmp_path: Path) -> None:
    with pytest.raises(CannotStartError, match=r"CannotPullContainerError.*camunda/zeebe:8"):
        programs(tmp_path).launch(start(tmp_path, image="camunda/zeebe:8"))
