"""Which program stands in for a container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.fargate.programs import (
    CannotStartError,
    ContainerStart,
    launch,
    repository,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def start(tmp_path: Path, **changes: Any) -> ContainerStart:
    known: dict[str, Any] = {
        "image": "camunda/camunda:8.9.16",
        "entry_point": (),
        "command": (),
        "environment": {"CAMUNDA_CLUSTER_SIZE": "3", "PASSWORD": "hush"},
        "labels": {},
        "address": "127.41.1.10",
        "memory": 8192,
        "credentials": {"AWS_ACCESS_KEY_ID": "of the task"},
        "names_file": tmp_path / "names.json",
        "trust_file": tmp_path / "trust.pem",
        "home": tmp_path,
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


def test_a_broker_gets_its_environment_as_it_is_but_for_the_mounts(tmp_path: Path) -> None:
    launched = launch(
        start(
            tmp_path,
            environment={"DATA": "/usr/local/camunda/data", "PASSWORD": "hush"},
            volumes={"/usr/local/camunda/data": tmp_path / "efs"},
        )
    )
    text = " ".join(launched.command)
    assert "-m local.broker --version 8.9.16 --address 127.41.1.10 --memory 8192" in text
    assert "hush" not in text
    assert launched.environment["DATA"] == str(tmp_path / "efs")
    assert launched.environment["PASSWORD"] == "hush"
    assert launched.environment["AWS_ACCESS_KEY_ID"] == "of the task"


def test_a_collector_has_the_session_of_the_task_and_what_its_metadata_endpoint_shows(
    tmp_path: Path,
) -> None:
    image = "public.ecr.aws/aws-observability/aws-otel-collector:v0.49.0"
    arn = "arn:aws:ecs:eu-central-1:123456789012:task/control-demo/0123"
    launched = launch(
        start(tmp_path, image=image, task=arn, environment={"AOT_CONFIG_CONTENT": "x"})
    )
    text = " ".join(launched.command)
    assert f"-m local.collector --address 127.41.1.10 --task {arn}" in text
    assert launched.environment["AOT_CONFIG_CONTENT"] == "x"
    assert launched.environment["AWS_ACCESS_KEY_ID"] == "of the task"


@pytest.mark.parametrize("image", ["camunda/camunda:8.9.16@sha256:abc", "camunda/camunda:8.9.16"])
def test_the_version_is_the_tag_of_the_image(tmp_path: Path, image: str) -> None:
    command = launch(start(tmp_path, image=image)).command
    assert command[command.index("--version") + 1] == "8.9.16"


def test_the_label_says_the_version_of_an_image_of_one_s_own(tmp_path: Path) -> None:
    own = start(tmp_path, image="team/camunda:42", labels={"camunda.version": "8.9.22"})
    command = launch(own).command
    assert command[command.index("--version") + 1] == "8.9.22"


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


@pytest.mark.parametrize(
    "own",
    [
        ("bash", "-c", "/usr/local/camunda/bin/restore $RESTORE_ARGS"),
        ("/usr/local/camunda/bin/restore", "--backupId=7"),
    ],
)
def test_the_restore_application_is_the_local_broker_s(
    tmp_path: Path, own: tuple[str, ...]
) -> None:
    launched = launch(
        start(tmp_path, entry_point=own[:-1], command=own[-1:], environment={"DATA": "/data/x"},
              volumes={"/data": tmp_path / "efs"})
    )  # fmt: skip
    text = " ".join(launched.command)
    assert "-m local.broker --version 8.9.16 --address 127.41.1.10" in text
    assert text.endswith(("--restore $RESTORE_ARGS", "--restore --backupId=7"))
    assert launched.environment["DATA"] == str(tmp_path / "efs/x")
    assert launched.environment["AWS_ACCESS_KEY_ID"] == "of the task"


def test_an_image_without_a_stand_in_cannot_be_pulled(tmp_path: Path) -> None:
    with pytest.raises(CannotStartError, match=r"CannotPullContainerError.*camunda/zeebe:8"):
        launch(start(tmp_path, image="camunda/zeebe:8"))
