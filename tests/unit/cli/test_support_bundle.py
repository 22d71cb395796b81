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

from tests.support.command_line import CLUSTER, FakeApi, Shell, gone, operation, problem

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
# What no product hides for its users: values under usual names, of variables and of differences.
USUAL: dict[str, Any] = {
    "hunter-a1": {"SMTP_PASS": "hunter-a1", "PG_PWD": "s", "MY_JWT": "j"},
    "hunter-a2": {"MY_JWT": "hunter-a2"},
    "hunter-a3": {"PG_PWD": "hunter-a3", "DB_PW": 1},
    "hunter-a4": {"jdbc.dsn": "hunter-a4"},
    "hunter-a5": {"smtpPass": "hunter-a5"},
    "hunter-a6": {"CARD_PIN": ["hunter-a6"], "SMTP_AUTH": "x"},
    "hunter-b1": {"brokers": {"environment": {"FOO": "hunter-b1"}}},
    "hunter-b2": {"environment": [{"name": "FOO", "value": "hunter-b2"}]},
    "hunter-b3": {"environment": ["FOO=hunter-b3"]},
    "hunter-b4": {"environment": {"name": "hunter-b4", "PORT": "1"}},
    "hunter-c1": {"name": "brokers.environment.DB_PASSWORD", "from": "a", "to": "hunter-c1"},
    "hunter-c2": {"name": "brokers.environment.FOO", "from": "hunter-c2", "to": None},
    "hunter-c3": {"name": "SMTP_PASS", "value": "hunter-c3"},
    "hunter-c4": {"key": "db:password", "value": "hunter-c4"},
    "hunter-c5": {
        "property": "environment",
        "from": [],
        "to": [{"name": "A", "value": "hunter-c5"}],
    },
    "hunter-c6": {"field": "brokers.environment.FOO", "given": "hunter-c6", "allowed": "x"},
    "hunter-d1": "DB_PASSWORD: hunter2 → hunter-d1",
    "hunter-d2": "changed: DB_PASSWORD: hunter-d2 hunter → x",
    "hunter-d3": "  brokers.environment.FOO: 'a b' -> 'c hunter-d3'",
    "hunter-d4": "  brokers.environment.FOO:\n    'a b' ->\n    'c\n    hunter-d4'\n  next: 1",
    "hunter-d5": f"X_PASSWORD: {ARN} → hunter-d5",
    "hunter-d6": "SMTP_PASS=hunter-d6; PORT=3",
    "hunter-d7": '{"SMTP_PASS": "hunter-d7"}',
    "hunter-d8": json.dumps({"cause": json.dumps({"DB_PASSWORD": "hunter-d8"})}),
    "hunter-d9": "SMTP_PASS: none -> hunter-d9",
}
SECRETS |= USUAL
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
        "changes": [
            {"name": "brokers.secrets.X_PASSWORD", "from": None, "to": ARN},
            {"name": "brokers.javaToolOptions", "from": "-Xmx1g", "to": "-Xmx2g"},
            {"name": "environment", "value": "production"},
            {"property": "desiredCount", "from": 3, "to": 4},
        ],
        "environment": "production",
        "authMode": "basic",
        "checks": [{"name": "placement", "result": "PASS", "seen": "desired count 3 → 4"}],
        "text": f"  brokers.secrets.X_PASSWORD: none -> '{ARN}'\n  desired count 3 → 4",
    }
    assert redacted(document) == document


def test_names_of_variables_stay() -> None:
    found = redacted(
        {"environment": [{"name": "FOO", "value": "bar"}, {"name": "X", "value": None}]}
    )
    assert found == {
        "environment": [{"name": "FOO", "value": REMOVED}, {"name": "X", "value": None}]
    }
    text = "  brokers.environment.FOO: 'a' -> 'b'\n  brokers.javaToolOptions: none -> '-Xmx2g'"
    assert redacted(text) == (
        f"  brokers.environment.FOO: {REMOVED} -> {REMOVED}\n"
        "  brokers.javaToolOptions: none -> '-Xmx2g'"
    )


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


@pytest.mark.parametrize("lost", ["health.json", "operations.json"])
def test_a_connection_that_is_lost_costs_what_was_being_read(lost: str) -> None:
    api = FakeApi(life=[operation(status="SUCCEEDED")])
    usual = api.open

    def open_(sent: Any, timeout: float) -> Any:
        if sent.full_url.partition("?")[0].endswith(lost.removesuffix(".json")):
            api.faults = [gone()]
        return usual(sent, timeout)

    api.open = open_  # type: ignore[method-assign]
    shell = Shell(api)
    files = made(shell)
    assert "Connection refused" in json.loads(files["missing.json"])[lost]
    assert {"cluster.json", "versions.json"} <= set(files)
    assert lost not in files


def test_an_api_out_of_reach_is_waited_for_once() -> None:
    api = FakeApi(faults=[(200, {}, CLUSTER), *[gone()] * 1000])
    shell = Shell(api)
    files = made(shell)
    assert set(json.loads(files["missing.json"])) == {"health.json", "operations.json"}
    assert sum(shell.slept) <= 60


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
