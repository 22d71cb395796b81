"""A support bundle holds what the API returns of a cluster, and no secret."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from camunda_ecs.redact import REMOVED, redacted
from hypothesis import given
from hypothesis import strategies as st

from tests.support.command_line import FakeApi, Shell, gone, operation, problem

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:admin-AbCdEf"
PRESIGNED = (
    "https://bucket.s3.eu-central-1.amazonaws.com/plans/demo/p.json?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=ASIAQWERTYUIOPASDFGH%2F20260101&X-Amz-Security-Token=IQoJb3JpZ2lu"
    "&X-Amz-Signature=0123456789abcdef"
)
OLDER = "https://bucket.s3.amazonaws.com/key?AWSAccessKeyId=AKIAQWERTYUIOPASDFGH&Signature=vjby%3D"
# Each secret by the text that must be nowhere in the bundle.
SECRETS: dict[str, Any] = {
    "hunter2": {"password": "hunter2"},
    "hunter3": {"settings": {"secrets": {"SECRET_MAIL": "hunter3"}}},
    "hunter4": {"detail": "login with password=hunter4 failed"},
    "hunter5": {"url": "jdbc:postgresql://camunda:hunter5@db:5432/camunda"},
    "hunter6": {"environment": [{"name": "A", "value": 'API_KEY: "hunter6"'}]},
    "X-Amz-Signature": {"report": f"see {PRESIGNED} today"},
    "vjby": {"report": OLDER},
    "0badcafe": {"report": f"{PRESIGNED}&role={ARN}&X-Amz-Signature=0badcafe"},
    "IQoJb3": {"report": PRESIGNED},
    "AKIAQWERTYUIOPASDFGH": {"cause": "The key AKIAQWERTYUIOPASDFGH is not valid"},
    "MIIEv": {"pem": "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----"},
    "dXNlcjpwYXNz": {"header": "Authorization: Basic dXNlcjpwYXNz"},
    "sesame12345": {"Authorization": "sesame12345"},
    "wJalrXUtnFEMI": {"cause": "signed with wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"},
}
# As a result of an operation has them, beside the fields of that kind.
ALL = {
    "operationId": "demo.plan.p1",
    "cluster": "demo",
    "result": "SUCCEEDED",
    "plan": {"status": "READY", "kind": "scale"},
    "all": list(SECRETS.values()),
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(shell: Shell, *words: str) -> dict[str, str]:
    ended = shell.run("support-bundle", "--out", "bundle.zip", *words)
    assert ended.exit_code == 0, ended.output
    with zipfile.ZipFile("bundle.zip") as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_no_secret_and_no_presigned_url_is_in_the_bundle() -> None:
    api = FakeApi(life=[operation("demo.plan.p1", status="SUCCEEDED", result=ALL)])
    api.plan["extra"] = ALL
    files = made(Shell(api))
    assert set(files) == {
        "cluster.json",
        "health.json",
        "operations.json",
        "operations/demo.plan.p1.json",
        "plans/demo.plan.p1.json",
        "plans/demo.plan.p1.txt",
        "versions.json",
    }
    everything = "\n".join(files.values())
    assert [secret for secret in SECRETS if secret in everything] == []
    assert REMOVED in files["operations/demo.plan.p1.json"]


@pytest.mark.parametrize("secret", SECRETS)
def test_each_kind_of_secret_is_removed(secret: str) -> None:
    own = ("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",)
    assert secret not in json.dumps(redacted(SECRETS[secret], secrets=own))


def test_what_helps_stays() -> None:
    document = {
        "AdminUserSecretArn": ARN,
        "secretAgeDays": 90,
        "tokens": None,
        "restUrl": "https://camunda.example.com/operate?x=1",
        "cause": f"AccessDenied: {ARN} may not be read",
        "secrets": {"SECRET_MAIL": ARN},
        "operationId": "demo.rotate.monday",
    }
    assert redacted(document) == document


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.just(PRESIGNED) | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_nothing_presigned_is_left_however_deep_and_twice_changes_nothing(document: Any) -> None:
    once = redacted(document)
    assert "X-Amz-" not in json.dumps(once)
    assert redacted(once) == once


def test_only_the_user_may_read_it_and_nothing_is_overwritten() -> None:
    shell = Shell(FakeApi(life=[operation(status="SUCCEEDED")]))
    made(shell)
    assert stat.S_IMODE(Path("bundle.zip").stat().st_mode) == 0o600
    again = shell.run("support-bundle", "--out", "bundle.zip")
    assert again.exit_code == 2
    assert "--out: given bundle.zip, which exists" in again.stderr


def test_what_cannot_be_read_is_listed() -> None:
    api = FakeApi(life=[operation(status="SUCCEEDED")])
    api.answers["GET /clusters/{name}/health"] = problem(404, "HealthUnavailable")
    files = made(Shell(api))
    assert "HealthUnavailable" in json.loads(files["missing.json"])["health.json"]
    assert "cluster.json" in files


def test_nothing_at_all_is_no_bundle() -> None:
    api = FakeApi(policy="nobody")
    ended = Shell(api).run("support-bundle", "--out", "bundle.zip")
    assert ended.exit_code == 1
    assert "right: execute-api:Invoke on …/GET/*" in ended.stderr
    assert not Path("bundle.zip").exists()


@pytest.mark.parametrize(("fault", "code"), [(KeyboardInterrupt(), 130), (None, 5)])
def test_interrupted_or_out_of_reach_nothing_is_written(fault: Any, code: int) -> None:
    api = FakeApi(faults=[fault] if fault else [gone()] * 100)
    assert Shell(api).run("support-bundle", "--out", "bundle.zip").exit_code == code
    assert not Path("bundle.zip").exists()
