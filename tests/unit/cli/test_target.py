"""Which API and which identity a command uses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from camunda_ecs import target
from camunda_ecs.app import app
from camunda_ecs.ends import Stop
from typer.testing import CliRunner

URL = "https://abc123.execute-api.eu-central-1.amazonaws.com/v1"
LOCAL = {
    "api": "http://127.41.0.1:4566/restapis/a/v1/_user_request_",
    "region": "eu-central-1",
    "accountId": "000000000000",
    "accessKeyId": "AKLOCAL",
    "secretAccessKey": "local",
    "clusterName": "demo",
    "alb": "http://127.41.0.4",
}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN"),
        *("CAMUNDA_ECS_API_URL", "CAMUNDA_ECS_CLUSTER"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKGIVEN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "given")
    monkeypatch.chdir(tmp_path)


def instance(folder: Path, content: Any = LOCAL) -> None:
    (folder / ".local").mkdir()
    (folder / ".local" / "endpoints.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    "words",
    [
        ["clusters"],
        ["health", "--cluster", "demo"],
        ["scale", "--brokers", "4", "--cluster", "demo", "--yes"],
        ["follow", "demo.scale.x"],
    ],
)
def test_without_an_api_the_way_to_find_it_is_shown(words: list[str]) -> None:
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 2
    assert "output ApiUrl of the control stack" in ended.stderr
    assert "`make up`" in ended.stderr


def test_the_instance_above_is_found_with_its_identity_and_cluster(tmp_path: Path) -> None:
    instance(tmp_path)
    found = target.find(None, None, None)
    assert (found.url, found.region) == (LOCAL["api"], "eu-central-1")
    assert found.credentials.access_key == "AKLOCAL"
    assert "account 000000000000" in found.line("demo")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert target.endpoints_above(below) == tmp_path / ".local" / "endpoints.json"


def test_a_named_api_comes_before_the_instance(tmp_path: Path) -> None:
    instance(tmp_path)
    found = target.find(URL, None, None)
    assert (found.url, found.local, found.credentials.access_key) == (URL, None, "AKGIVEN")


def test_the_instance_keeps_its_cluster_where_its_own_api_is_named(tmp_path: Path) -> None:
    """As `make env` names it; the credentials are those of the environment."""
    instance(tmp_path)
    found = target.find(f"{LOCAL['api']}/", None, "eu-central-1")
    assert found.local == LOCAL
    assert found.credentials.access_key == "AKGIVEN"


@pytest.mark.parametrize("text", ["", "{", '{"api": null}'])
def test_a_named_api_does_not_need_the_instance(text: str, tmp_path: Path) -> None:
    instance(tmp_path)
    (tmp_path / ".local" / "endpoints.json").write_text(text)
    assert target.find(URL, None, None).local is None


@pytest.mark.parametrize("text", ["", "{", '{"api": null}'])
def test_an_instance_that_is_not_ready_is_no_target(tmp_path: Path, text: str) -> None:
    instance(tmp_path)
    (tmp_path / ".local" / "endpoints.json").write_text(text)
    with pytest.raises(Stop) as stopped:
        target.find(None, None, None)
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    ("url", "region"),
    [
        (URL, "eu-central-1"),
        (f"{URL}/", "eu-central-1"),
        ("https://a.execute-api.cn-north-1.amazonaws.com.cn/v1", "cn-north-1"),
        ("https://a-vpce-1.execute-api.us-east-1.amazonaws.com/v1", "us-east-1"),
        ("https://vpce-1-2.execute-api.us-east-1.vpce.amazonaws.com/v1", "us-east-1"),
    ],
)
def test_the_region_is_in_the_url(url: str, region: str) -> None:
    found = target.find(url, None, None)
    assert (found.region, found.url) == (region, url.rstrip("/"))


def test_a_domain_of_ones_own_needs_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    own = "https://camunda.example.com/ops"
    with pytest.raises(Stop, match="region of the API is not known"):
        target.find(own, None, None)
    assert target.find(own, None, "eu-west-1").region == "eu-west-1"
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    assert target.find(own, None, None).region == "eu-west-2"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://camunda.example.com/v1", "allowed: https"),
        ("http://10.0.0.1/v1", "allowed: https"),
        ("ftp://camunda.example.com", "allowed: https"),
        ("camunda.example.com/v1", "allowed: https"),
        ("https://user:pass@camunda.example.com/v1", "a URL with a user"),
        (f"{URL}?x=1", "allowed: https"),
        ("https://abc123.execute-api.eu-central-1.amazonaws.com", "with the stage at its end"),
    ],
)
def test_a_url_that_is_not_safe_or_not_whole_is_refused(url: str, told: str) -> None:
    with pytest.raises(Stop) as stopped:
        target.find(url, None, "eu-central-1")
    assert stopped.value.code == 2
    assert told in stopped.value.lines[0]
    assert "user:pass" not in " ".join(stopped.value.lines)


def test_a_region_other_than_the_urls_is_refused() -> None:
    with pytest.raises(Stop, match="given us-east-1; allowed: eu-central-1"):
        target.find(URL, None, "us-east-1")


def test_without_credentials_the_ways_to_give_them_are_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    ended = CliRunner().invoke(app, ["clusters", "--api-url", URL])
    assert ended.exit_code == 2
    assert "There are no AWS credentials." in ended.stderr
    unknown = CliRunner().invoke(app, ["clusters", "--api-url", URL, "--profile", "nobody"])
    assert unknown.exit_code == 2
    assert "nobody" in unknown.stderr


def test_a_profile_is_named_before_a_change(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "credentials"
    path.write_text("[ops]\naws_access_key_id=AKOPS\naws_secret_access_key=x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    found = target.find(URL, "ops", None)
    assert found.credentials.access_key == "AKOPS"
    assert found.line("demo") == f"API {URL}, region eu-central-1, profile ops, cluster demo"
    assert "AKOPS" not in found.line("demo")
