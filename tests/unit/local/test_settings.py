"""What a command says where there is nothing to work on."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from rich.text import Text

from local import __main__ as local
from tools import health, scale, target
from tools.generate_parameters import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("command", "code"), [("health", 3), ("scale", 1)])
def test_neither_an_instance_nor_an_account_is_told_with_the_way_out(
    command: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = health.main([]) if command == "health" else scale.main(["scale", "4"])
    assert ended == code
    said = capsys.readouterr().out
    assert "`make up` starts it" in said
    assert "AWS_REGION" in said


def test_who_stops_following_is_told_that_the_operation_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")

    def interrupted(*_: object) -> Iterator[Text]:
        yield Text("setting the desired count to 4")
        raise KeyboardInterrupt

    monkeypatch.setattr(scale, "scale", interrupted)
    assert scale.main(["scale", "4"]) == 130
    assert "The scale execution is still running" in capsys.readouterr().out


def test_the_region_is_taken_where_the_message_tells_to_set_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert target.clients(tmp_path / "none")("sts").meta.region_name == "eu-west-1"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("INPUT", "events/nope.json", "file not found"),
        ("BLOCK", "300.1", "BLOCK is '300.1'; 127.1 to 127.254 are allowed"),
        ("BLOCK", "127.255", "BLOCK is '127.255'; 127.1 to 127.254 are allowed"),
    ],
)
def test_a_wrong_setting_is_told_before_anything_starts(
    variable: str,
    value: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr("sys.argv", ["local", "up"])
    with pytest.raises(SystemExit) as ended:
        local.main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["health", "plan", "scale"])
def test_the_cluster_that_make_is_given_is_the_one_that_is_meant(verb: str) -> None:
    found = subprocess.run(  # noqa: S603 - nothing is run: -n prints
        ["make", "-n", verb, "CLUSTER=two", "N=4"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [one for one in found.stdout.splitlines() if " -m tools." in one]
    assert " --cluster two" in line
