"""Each command of `camunda-ecs`: used rightly, wrongly, and interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.credentials import Credentials
from botocore.exceptions import UnauthorizedSSOTokenError
from camunda_ecs import follow
from camunda_ecs.rights import right
from lifecycle.health.catalog import Verdict

from tests.support.command_line import (
    DOCUMENT,
    ERROR,
    HEALTH,
    KEY,
    LINE,
    PLAN,
    SCALED,
    URL,
    FakeApi,
    Shell,
    at,
    busy,
    cut_off,
    gone,
    operation,
    problem,
)

DONE = {"status": "SUCCEEDED", "endedAt": "2026-01-01T00:01:00.000Z"}
FAILED: dict[str, Any] = {**DONE, "status": "FAILED", "error": ERROR}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def shell(api: FakeApi) -> Shell:
    return Shell(api)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "production.yaml"
    path.write_text("clusterName: demo\nparameters: {LogRetentionDays: 90}\n")
    return str(path)


# Each change: the words, verb, method, path and body of its request.
CHANGES: list[tuple[list[str], str, str, str, Any]] = [
    (["scale", "--brokers", "4"], "scale", "PUT", "/clusters/demo/brokers", {"count": 4}),
    (
        ["scale", "--partitions", "6", "--approves", "demo.plan.p1"],
        "scale",
        "PUT",
        "/clusters/demo/partitions",
        {"partitions": 6, "approves": "demo.plan.p1"},
    ),
    (
        ["restart", "brokers", "--broker", "2"],
        "restart",
        "POST",
        "/clusters/demo/restart",
        {"service": "brokers", "broker": 2},
    ),
    (
        ["scale", "--brokers", "4", "--accept-no-backup"],
        "scale",
        "PUT",
        "/clusters/demo/brokers",
        {"count": 4, "acceptNoBackup": True},
    ),
    (
        ["restart", "brokers", "--accept-no-backup"],
        "restart",
        "POST",
        "/clusters/demo/restart",
        {"service": "brokers", "acceptNoBackup": True},
    ),
    (
        ["restart", "connectors"],
        "restart",
        "POST",
        "/clusters/demo/restart",
        {"service": "connectors"},
    ),
    (
        ["restart", "brokers", "--approves", "demo.restart.dry"],
        "restart",
        "POST",
        "/clusters/demo/restart",
        {"service": "brokers", "approves": "demo.restart.dry"},
    ),
    (["rotate"], "rotate", "POST", "/clusters/demo/rotation", {}),
    (
        ["rotate", "--secret", "database", "--secret", "admin"],
        "rotate",
        "POST",
        "/clusters/demo/rotation",
        {"secrets": ["admin", "database"]},
    ),
    (
        ["open-management"],
        "manage",
        "PUT",
        "/clusters/demo/management-access",
        {"minutes": 60},
    ),
    (
        ["open-management", "--minutes", "30", "--cidr", "10.1.0.0/16", "--cidr", "10.2.0.0/16"],
        "manage",
        "PUT",
        "/clusters/demo/management-access",
        {"minutes": 30, "cidrs": ["10.1.0.0/16", "10.2.0.0/16"]},
    ),
    (["close-management"], "manage", "DELETE", "/clusters/demo/management-access", {}),
    (["backup"], "backup", "POST", "/clusters/demo/backups", {}),
    (
        ["restore", "--to", "2026-11-30T08:00:00Z", "--confirm", "demo"],
        "restore",
        "POST",
        "/clusters/demo/restores",
        {"confirm": "demo", "to": "2026-11-30T08:00:00Z"},
    ),
    (
        ["restore", "--backup", "7", "--again", "--confirm", "demo"],
        "restore",
        "POST",
        "/clusters/demo/restores",
        {"confirm": "demo", "backup": 7, "again": True},
    ),
    (
        ["restore", "--from", "old", "--parameters", "FILE", "--confirm", "demo"],
        "restore",
        "POST",
        "/clusters/demo/restores",
        {"confirm": "demo", "from": "old", "parameters": {"LogRetentionDays": 90}},
    ),
    (["rehearse"], "rehearse", "POST", "/clusters/demo/rehearsals", {}),
    (
        ["delete-backup", "7", "--confirm", "demo"],
        "backup",
        "DELETE",
        "/clusters/demo/backups/7",
        {"confirm": "demo"},
    ),
    (
        ["delete-former-data", "--confirm", "demo"],
        "backup",
        "DELETE",
        "/clusters/demo/former-data",
        {"confirm": "demo"},
    ),
    (
        ["delete-former-data", "--accept-no-final-snapshot", "--confirm", "demo"],
        "backup",
        "DELETE",
        "/clusters/demo/former-data",
        {"confirm": "demo", "acceptNoFinalSnapshot": True},
    ),
    (
        ["provision", "FILE"],
        "provision",
        "PUT",
        "/clusters/demo",
        {"parameters": {"LogRetentionDays": 90}},
    ),
    (
        ["teardown", "--confirm", "demo"],
        "teardown",
        "DELETE",
        "/clusters/demo",
        {"confirm": "demo"},
    ),
]
NAMED = {"teardown", "delete-backup", "delete-former-data", "restore"}
NAMES = [" ".join(words) for words, *_ in CHANGES]


def words_of(words: list[str], file: str) -> list[str]:
    named = [file if word == "FILE" else word for word in words]
    return named if words[0] in NAMED else [*named, "--yes"]


@pytest.mark.parametrize(("words", "verb", "method", "path", "body"), CHANGES, ids=NAMES)
def test_a_change_is_started_once_and_followed_to_its_end(  # noqa: PLR0917 - one row of a table
    shell: Shell, file: str, words: list[str], verb: str, method: str, path: str, body: Any
) -> None:
    identifier = f"demo.{verb}.{KEY}"
    shell.api.life = [
        operation(identifier, progress=at("Validation", "reading the cluster")),
        operation(identifier, progress=at("Change", "1 of 2", 2)),
        operation(identifier, progress=at("Change", "1 of 2", 2)),
        operation(identifier, **DONE),
    ]
    ended = shell.run(*words_of(words, file))
    assert ended.exit_code == 0, ended.output
    (sent,) = shell.api.sent(method)
    assert (sent.path, sent.body, sent.headers["idempotency-key"]) == (path, body, KEY)
    lines = ended.stdout.splitlines()
    assert lines[0] == identifier, "the id comes first"
    assert [line.rpartition("   ")[2].strip() for line in lines[1:3]] == [
        "reading the cluster",
        "1 of 2",
    ]
    assert lines[3] == f"demo: {verb} succeeded"
    assert f"API {URL}, region eu-central-1, credentials of env, cluster demo" in ended.stderr


@pytest.mark.parametrize(("words", "verb", "method", "path", "body"), CHANGES, ids=NAMES)
def test_a_change_is_refused_without_a_terminal_and_without_a_word_for_it(  # noqa: PLR0917
    shell: Shell, file: str, words: list[str], verb: str, method: str, path: str, body: Any
) -> None:
    del verb, path, body
    named = [one for one in words_of(words, file) if one not in {"--yes", "--confirm"}]
    named = named[:-1] if words[0] in NAMED else named
    ended = shell.run(*named)
    assert ended.exit_code == 2
    assert "Nothing was started" in ended.stderr
    assert shell.api.sent(method) == []


@pytest.mark.parametrize(("words", "verb", "method", "path", "body"), CHANGES, ids=NAMES)
def test_who_stops_following_reads_that_it_goes_on_and_how_to_follow_it(  # noqa: PLR0917
    shell: Shell, file: str, words: list[str], verb: str, method: str, path: str, body: Any
) -> None:
    del method, path, body
    identifier = f"demo.{verb}.{KEY}"
    shell.api.life = [operation(identifier)]
    shell.interrupted_at = 2
    ended = shell.run(*words_of(words, file), "--api-url", URL)
    assert ended.exit_code == 130
    assert f"{identifier} goes on. Follow it: camunda-ecs follow {identifier}" in ended.stderr
    assert f"--api-url {URL}" in ended.stderr


@pytest.mark.parametrize(("words", "verb", "method", "path", "body"), CHANGES, ids=NAMES)
def test_a_change_that_fails_shows_the_next_step(  # noqa: PLR0917
    shell: Shell, file: str, words: list[str], verb: str, method: str, path: str, body: Any
) -> None:
    del method, path, body
    shell.api.life = [operation(f"demo.{verb}.{KEY}", **FAILED)]
    ended = shell.run(*words_of(words, file))
    assert ended.exit_code == 1
    assert "ScalingRefused: broker 5 would hold no partition" in ended.stdout
    assert "next step: Request fewer brokers." in ended.stdout


@pytest.mark.parametrize(("words", "verb", "method", "path", "body"), CHANGES, ids=NAMES)
def test_a_refusal_names_field_given_allowed_and_next_step(  # noqa: PLR0917
    shell: Shell, file: str, words: list[str], verb: str, method: str, path: str, body: Any
) -> None:
    del verb, body
    wrong = {"field": "count", "given": "99", "allowed": "1 to 30"}
    status, document = problem(400, "InvalidRequest", errors=[wrong])
    shell.api.faults = [(status, {}, document)]
    ended = shell.run(*words_of(words, file))
    assert ended.exit_code == 1
    assert "InvalidRequest: InvalidRequest happened" in ended.stderr
    assert "count: given 99; allowed: 1 to 30" in ended.stderr
    assert "next step: Mend InvalidRequest." in ended.stderr
    assert [one.path for one in shell.api.sent(method)] == [path]


# ---------------------------------------------------------------------------- lost connections


@pytest.mark.parametrize(
    "fault", [gone(), cut_off(), TimeoutError("timed out"), busy(504), busy(502), busy(503)]
)
def test_a_request_without_an_answer_is_sent_again_with_the_same_key(
    shell: Shell, fault: Any
) -> None:
    shell.api.life = [operation(**DONE)]
    shell.api.faults = [fault, fault]
    ended = shell.run("scale", "--brokers", "4", "--yes")
    assert ended.exit_code == 0, ended.output
    sent = shell.api.sent("PUT")
    assert len(sent) == 3
    assert {one.headers["idempotency-key"] for one in sent} == {KEY}
    assert shell.slept[:2] == [1.0, 2.0], "it waits longer each time"


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(shell: Shell, status: int) -> None:
    shell.api.life = [operation(**DONE)]
    shell.api.faults = [busy(status, Retry_After="7")]
    assert shell.run("scale", "--brokers", "4", "--yes").exit_code == 0
    assert shell.slept[0] == 7.0


def test_retry_after_of_a_running_operation_is_the_pause_between_looks(shell: Shell) -> None:
    running = operation()
    shell.api.life = [operation(**DONE)]
    accepted: Any = (202, {"Retry-After": "5"}, running)
    shell.api.faults = [accepted, (200, {"Retry-After": "9"}, running)]
    assert shell.run("scale", "--brokers", "4", "--yes").exit_code == 0
    assert shell.slept[1] == 9.0


def test_an_outcome_that_stays_unknown_shows_the_key_and_how_to_look(shell: Shell) -> None:
    shell.api.faults = [gone()] * 100
    ended = shell.run("scale", "--brokers", "4", "--yes")
    assert ended.exit_code == 5
    assert f"camunda-ecs follow demo.scale.{KEY}" in ended.stderr
    assert f"--key {KEY}" in ended.stderr
    assert sum(shell.slept) <= 60


def test_interrupted_as_soon_as_the_id_is_out_it_goes_on(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C may arrive anywhere: here between the first line and the first look."""
    monkeypatch.setattr(follow, "until_end", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    ended = shell.run("scale", "--brokers", "4", "--yes")
    assert ended.exit_code == 130
    assert f"demo.scale.{KEY} goes on. Follow it: camunda-ecs follow" in ended.stderr


def test_interrupted_before_an_answer_the_outcome_is_unknown(shell: Shell) -> None:
    shell.api.faults = [KeyboardInterrupt()]
    ended = shell.run("scale", "--brokers", "4", "--yes")
    assert ended.exit_code == 130
    assert f"--key {KEY}" in ended.stderr


def test_a_connection_lost_while_following_is_taken_up_again(shell: Shell) -> None:
    shell.api.life = [operation(progress=at("Change", "1 of 2")), operation(**DONE)]
    shell.api.faults = [(202, {}, operation()), gone(), busy(500), cut_off()]
    ended = shell.run("scale", "--brokers", "4", "--yes")
    assert ended.exit_code == 0, ended.output
    assert f"demo.scale.{KEY} goes on. Follow it: camunda-ecs follow" in ended.stderr
    assert len(shell.api.sent("PUT")) == 1


def test_a_connection_that_stays_lost_ends_the_following_only(shell: Shell) -> None:
    shell.api.faults = [(202, {}, operation()), *[gone()] * 1000]
    ended = shell.run("scale", "--brokers", "4", "--yes")
    assert ended.exit_code == 5
    assert "Connection refused" in ended.stderr
    assert f"camunda-ecs follow demo.scale.{KEY}" in ended.stderr
    assert 200 < sum(shell.slept) <= 310


def test_what_aws_refused_is_not_sent_again(shell: Shell) -> None:
    status, document = problem(500, "AwsRefused")
    shell.api.faults = [(status, {}, document)]
    ended = shell.run("scale", "--brokers", "4", "--yes")
    assert (ended.exit_code, len(shell.api.requests)) == (1, 1)
    assert "AwsRefused" in ended.stderr


@pytest.mark.parametrize("status", ["TIMED_OUT", "ABORTED"])
def test_an_operation_that_ended_without_an_error_is_a_failure(shell: Shell, status: str) -> None:
    shell.api.life = [operation(**{**DONE, "status": status})]
    ended = shell.run("scale", "--brokers", "4", "--yes")
    assert ended.exit_code == 1
    assert status in ended.stderr


def test_an_operation_that_may_not_have_started_is_unknown(shell: Shell) -> None:
    shell.api.life = [operation(status="NOT_STARTED")]
    ended = shell.run("follow", f"demo.scale.{KEY}")
    assert ended.exit_code == 5
    assert "--key" in ended.stderr


# ------------------------------------------------------------------ outcomes that are not known

EXPIRED: Any = (403, {}, {"message": "The security token included in the request is expired"})
ACCEPTED: Any = (202, {}, operation())
AWS_UNAVAILABLE: Any = (503, {}, problem(503, "AwsUnavailable")[1])
AWS_REFUSED: Any = (500, {}, problem(500, "AwsRefused")[1])
THROTTLED = busy(429, Retry_After="15")


@pytest.fixture
def expire(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the credentials expire after a number of requests, as those of SSO do."""
    usual = Credentials.get_frozen_credentials

    def after(count: int) -> None:
        def frozen(self: Credentials) -> Any:
            if len(api.requests) >= count:
                raise UnauthorizedSSOTokenError
            return usual(self)

        monkeypatch.setattr(Credentials, "get_frozen_credentials", frozen)

    return after


@pytest.mark.parametrize("fault", [EXPIRED, busy(503), problem(404, "OperationNotFound")])
def test_following_that_ends_early_leaves_the_outcome_unknown(shell: Shell, fault: Any) -> None:
    status, *_, document = fault
    shell.api.faults = [ACCEPTED, *[(status, {}, document)] * 1000]
    ended = shell.run("scale", "--brokers", "4", "--yes")
    assert ended.exit_code == 5, ended.output
    assert f"demo.scale.{KEY} goes on. Follow it: camunda-ecs follow" in ended.stderr


def test_credentials_that_expire_while_following_leave_the_outcome_unknown(
    shell: Shell, expire: Callable[[int], None]
) -> None:
    expire(2)
    shell.api.life = [operation()]
    ended = shell.run("scale", "--brokers", "4", "--yes")
    assert ended.exit_code == 5, ended.output
    assert "The AWS credentials cannot be used" in ended.stderr
    assert f"demo.scale.{KEY} goes on. Follow it: camunda-ecs follow" in ended.stderr


@pytest.mark.parametrize("first", [busy(504), AWS_UNAVAILABLE, cut_off()])
@pytest.mark.parametrize(
    "later", [THROTTLED, EXPIRED, AWS_REFUSED, (409, {}, problem(409, "ClusterBusy")[1])]
)
def test_a_refusal_after_an_attempt_without_an_outcome_is_no_refusal(
    shell: Shell, first: Any, later: Any
) -> None:
    shell.api.faults = [first, *[later] * 100]
    ended = shell.run("scale", "--brokers", "4", "--yes")
    assert ended.exit_code == 5, ended.output
    assert f"Repeat the command with --key {KEY}" in ended.stderr


def test_credentials_that_expire_after_an_attempt_leave_the_outcome_unknown(
    shell: Shell, expire: Callable[[int], None]
) -> None:
    expire(1)
    shell.api.faults = [busy(504)]
    ended = shell.run("scale", "--brokers", "4", "--yes")
    assert ended.exit_code == 5, ended.output
    assert f"Repeat the command with --key {KEY}" in ended.stderr


@pytest.mark.parametrize(
    "words", [["scale", "--brokers", "4"], ["resume", "demo.scale.x"], ["thaw"]]
)
def test_credentials_that_cannot_be_used_at_all_are_wrong_usage(
    shell: Shell, expire: Callable[[int], None], words: list[str]
) -> None:
    expire(0)
    ended = shell.run(*words, "--yes")
    assert (ended.exit_code, shell.api.requests) == (2, [])
    assert "not known" not in ended.stderr


@pytest.mark.parametrize("words", [["scale", "--brokers", "4"], ["resume", "demo.scale.x"]])
def test_throttled_until_patience_ends_is_a_refusal(shell: Shell, words: list[str]) -> None:
    shell.api.faults = [THROTTLED] * 100
    ended = shell.run(*words, "--yes")
    assert ended.exit_code == 1, ended.output
    assert len(shell.api.requests) > 1
    assert "not known" not in ended.stderr


@pytest.mark.parametrize("verb", ["cancel", "resume"])
@pytest.mark.parametrize("fault", [busy(504), busy(500), busy(503), AWS_UNAVAILABLE, AWS_REFUSED])
def test_an_error_that_may_come_after_the_act_is_not_repeated_and_unknown(
    shell: Shell, verb: str, fault: Any
) -> None:
    shell.api.faults = [fault]
    ended = shell.run(verb, "demo.scale.x", "--yes")
    assert (ended.exit_code, len(shell.api.sent("POST"))) == (5, 1), ended.output
    assert "It is not known whether that happened" in ended.stderr
    assert "camunda-ecs report demo.scale.x" in ended.stderr


@pytest.mark.parametrize("words", [["freeze", "--reason", "audit"], ["thaw"]])
@pytest.mark.parametrize("later", [(412, {}, problem(412, "ClusterChanged")[1]), busy(504)])
def test_a_freeze_whose_first_attempt_has_no_outcome_is_unknown(
    shell: Shell, words: list[str], later: Any
) -> None:
    """The first attempt itself changes the ETag, so that the second one is then refused."""
    shell.api.faults = [busy(504), *[later] * 100]
    ended = shell.run(*words, "--yes")
    assert ended.exit_code == 5, ended.output
    assert "camunda-ecs show --cluster demo" in ended.stderr


# ---------------------------------------------------------------------------- confirmation, keys


def test_on_a_terminal_a_change_is_confirmed(shell: Shell) -> None:
    shell.on_terminal = True
    shell.api.life = [operation(**DONE)]
    refused = shell.run("scale", "--brokers", "4", typed="n\n")
    assert (refused.exit_code, shell.api.sent("PUT")) == (1, [])
    assert "Nothing was started" in refused.stderr
    assert shell.run("scale", "--brokers", "4", typed="y\n").exit_code == 0
    assert len(shell.api.sent("PUT")) == 1


def test_what_is_confirmed_is_the_cluster_as_it_was_shown(shell: Shell) -> None:
    shell.on_terminal = True
    shell.api.etag = '"one"'
    shell.api.life = [operation(**DONE)]
    ended = shell.run("scale", "--brokers", "4", typed="y\n")
    assert "now: stack UPDATE_COMPLETE, brokers 3 declared, 3 running, 3 joined" in ended.stderr
    assert shell.api.sent("PUT")[0].headers["if-match"] == '"one"'
    status, document = problem(412, "ClusterChanged")
    shell.api.faults = [(200, {}, shell.api.cluster), (status, {}, document)]
    changed = shell.run("scale", "--brokers", "4", typed="y\n")
    assert changed.exit_code == 1
    assert "ClusterChanged" in changed.stderr


def test_on_a_terminal_a_bar_moves_and_nothing_of_it_stays(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    shell.api.life = [operation(progress=at("Change", "1 of 2")), operation(**DONE, result=SCALED)]
    ended = shell.run("scale", "--brokers", "4", "--yes")
    assert ended.exit_code == 0, ended.output
    assert "\x1b[" in ended.stdout, "a terminal"
    assert "1 of 2" in ended.stdout
    assert "demo: 3 → 4 brokers" in ended.stdout


def test_a_confirmation_that_is_interrupted_starts_nothing(shell: Shell) -> None:
    shell.on_terminal = True
    ended = shell.run("scale", "--brokers", "4", typed="")
    assert (ended.exit_code, shell.api.sent("PUT")) == (130, [])


@pytest.mark.parametrize(("typed", "code"), [("demo\n", 0), ("dmeo\n", 2), ("y\n", 2)])
def test_a_removal_needs_the_name_typed_again(shell: Shell, typed: str, code: int) -> None:
    shell.on_terminal = True
    shell.api.life = [operation(f"demo.teardown.{KEY}", **DONE)]
    ended = shell.run("teardown", typed=typed)
    assert ended.exit_code == code, ended.output
    assert len(shell.api.sent("DELETE")) == (1 if code == 0 else 0)


def test_a_removal_with_another_name_is_refused(shell: Shell) -> None:
    ended = shell.run("teardown", "--confirm", "production")
    assert (ended.exit_code, shell.api.requests) == (2, [])
    assert "--confirm: given production; allowed: demo" in ended.stderr


def test_a_key_is_sent_as_given_and_names_the_operation(shell: Shell) -> None:
    shell.api.life = [operation("demo.scale.monday", **DONE)]
    ended = shell.run("scale", "--brokers", "4", "--yes", "--key", "monday")
    assert ended.stdout.splitlines()[0] == "demo.scale.monday"
    assert shell.api.sent("PUT")[0].headers["idempotency-key"] == "monday"


def test_no_wait_ends_with_the_start(shell: Shell) -> None:
    ended = shell.run("scale", "--brokers", "4", "--yes", "--no-wait")
    assert (ended.exit_code, ended.stdout) == (0, f"demo.scale.{KEY}\n")
    assert f"camunda-ecs follow demo.scale.{KEY}" in ended.stderr
    assert len(shell.api.requests) == 1


def test_the_end_of_a_scaling_shows_checks_and_brokers(shell: Shell) -> None:
    shell.api.life = [operation(**DONE, result=SCALED)]
    lines = shell.run("scale", "--brokers", "4", "--yes").stdout.splitlines()
    assert lines[1] == "demo: 3 → 4 brokers"
    assert "WARN notes: a survivor" in lines
    assert lines[-2:] == [
        "      broker 0 (10.0.0.1): 1 leader",
        "      broker 3 (10.0.0.4): no partition",
    ]


@pytest.mark.parametrize("words", [["--brokers", "4"], ["--brokers", "4", "--no-wait"]])
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_stdout_is_data_when_that_is_wanted(shell: Shell, form: str, words: list[str]) -> None:
    shell.api.life = [operation(progress=at("Change", "1 of 2")), operation(**DONE, result=SCALED)]
    ended = shell.run("scale", *words, "--yes", "-o", form)
    found = json.loads(ended.stdout) if form == "json" else yaml.safe_load(ended.stdout)
    assert found["operationId"] == f"demo.scale.{KEY}"
    assert f"demo.scale.{KEY}" in ended.stderr


# ------------------------------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["scale", "--yes"], "scale: given none; allowed: one of --brokers, --partitions"),
        (["scale", "--brokers", "4", "--partitions", "6", "--yes"], "scale: given both"),
        (["scale", "--brokers", "four"], "--brokers"),
        (["scale", "--brokers", "4", "--yes", "--key", "a b"], "--key: given a b; allowed: 1 to"),
        (["scale", "--brokers", "4", "--yes", "--cluster", "Demo"], "--cluster: given Demo"),
        (["restart", "connectors", "--broker", "1", "--yes"], "--broker: given 1 for connectors"),
        (["restart", "database", "--yes"], "database"),
        (
            ["restart", "connectors", "--accept-no-backup", "--yes"],
            "--accept-no-backup: given for connectors; allowed: for brokers only",
        ),
        (["rotate", "--secret", "root", "--yes"], "root"),
        (["open-management", "--minutes", "4", "--yes"], "--minutes"),
        (["freeze", "--yes"], "--reason"),
        (["plan"], "plan: given none; allowed: one of FILE, --brokers, --partitions, --teardown"),
        (["plan", "--teardown", "--brokers", "4"], "plan: given --brokers, --teardown"),
        (["plan", "nowhere.yaml"], "FILE: given nowhere.yaml, which cannot be read"),
        (["provision", "nowhere.yaml", "--yes"], "FILE: given nowhere.yaml"),
        (["report", "../secrets"], "operation: given ../secrets"),
        (["cancel", "demo.scale/x", "--yes"], "operation: given demo.scale/x"),
        (["resume", "", "--yes"], "operation: given"),
        (["apply", "a/b", "--yes"], "operation: given a/b"),
        (["operations", "--limit", "0"], "--limit"),
        (["clusters", "-o", "xml"], "xml"),
        (["show", "--region", "us-east-1"], "--region: given us-east-1; allowed: eu-central-1"),
        (["support-bundle", "--out", "nowhere/x.zip"], "--out: given nowhere/x.zip"),
        (["open", "--cluster", "x"], "--cluster: given x"),
        (["health", "--frsh"], "--frsh"),
        (["nothing"], "nothing"),
        (["thaw"], "confirmed on a terminal, or with --yes"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_sent(
    shell: Shell, words: list[str], told: str
) -> None:
    ended = shell.run(*words)
    assert ended.exit_code == 2, ended.output
    assert told in ended.stderr
    assert shell.api.requests == []


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "4: x", "", "just words"])
def test_an_input_that_is_no_mapping_is_refused(shell: Shell, tmp_path: Path, text: str) -> None:
    path = tmp_path / "input.yaml"
    path.write_text(text)
    ended = shell.run("provision", str(path), "--yes")
    assert (ended.exit_code, shell.api.requests) == (2, [])
    assert f"FILE: given {path}" in ended.stderr


def test_an_input_of_another_cluster_is_refused(shell: Shell, file: str) -> None:
    ended = shell.run("provision", file, "--yes", "--cluster", "two")
    assert (ended.exit_code, shell.api.requests) == (2, [])
    assert "--cluster: given two; allowed: demo" in ended.stderr


def test_the_cluster_of_an_input_is_used_when_none_is_named(shell: Shell, file: str) -> None:
    shell.api.life = [operation(f"demo.provision.{KEY}", **DONE)]
    ended = shell.run("provision", file, "--yes", cluster=None)
    assert ended.exit_code == 0, ended.output
    assert shell.api.sent("PUT")[0].path == "/clusters/demo"


def test_an_input_is_read_from_stdin(shell: Shell) -> None:
    shell.api.life = [operation(f"demo.provision.{KEY}", **DONE)]
    ended = shell.run("provision", "-", "--yes", typed='{"parameters": {"Connectors": 2}}')
    assert ended.exit_code == 0, ended.output
    assert shell.api.sent("PUT")[0].body == {"parameters": {"Connectors": 2}}


@pytest.mark.parametrize(
    "words", [["show"], ["health"], ["scale", "--brokers", "4", "--yes"], ["open"], ["thaw", "-y"]]
)
def test_no_cluster_is_assumed(shell: Shell, words: list[str]) -> None:
    ended = shell.run(*words, cluster=None)
    assert (ended.exit_code, shell.api.requests) == (2, [])
    assert "No cluster is named" in ended.stderr


# ------------------------------------------------------------------------------------- reading


def test_clusters_are_listed_with_verdict_and_operation(shell: Shell) -> None:
    ended = shell.run("clusters", cluster=None)
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines()[1].split() == [
        *("demo", "DEGRADED", "UPDATE_COMPLETE"),
        *("3", "of", "4", "8.9.1", "demo.scale.x", "-", "703.00"),
    ]
    shell.api.answers["GET /clusters"] = (200, {"clusters": [], "next": None})
    assert shell.run("clusters").stdout == "There is no cluster.\n"


def test_a_list_of_two_pages_is_read_to_its_end(shell: Shell) -> None:
    two = {**LINE, "name": "two"}
    shell.api.faults = [
        (200, {}, {"clusters": [LINE], "next": "a+b/c="}),
        (200, {}, {"clusters": [two], "next": None}),
    ]
    ended = shell.run("clusters", "-o", "json")
    assert [one["name"] for one in json.loads(ended.stdout)["clusters"]] == ["demo", "two"]
    assert [one.query for one in shell.api.requests] == [{}, {"next": "a+b/c="}]


def test_a_cluster_is_shown(shell: Shell) -> None:
    ended = shell.run("show")
    assert ended.exit_code == 0, ended.output
    words = [" ".join(line.split()) for line in ended.stdout.splitlines()]
    assert "brokers 3 declared, 3 running, 3 joined" in words
    assert "pending change 1 of 6, next PARTITION_JOIN" in words
    assert "broker 0 (10.0.0.1): 1 leader" in words
    assert "metrics did not respond: timed out" in words


def test_a_cluster_that_does_not_exist_is_none_other(shell: Shell) -> None:
    shell.api.answers["GET /clusters/{name}"] = problem(404, "ClusterNotFound")
    ended = shell.run("show", "--cluster", "two")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert shell.api.requests[0].path == "/clusters/two"


@pytest.mark.parametrize(
    ("verdict", "code"), [("HEALTHY", 0), ("DEGRADED", 3), ("DOWN", 4), ("PROVISIONING", 5)]
)
def test_the_verdict_is_the_exit_code(shell: Shell, verdict: str, code: int) -> None:
    shell.api.health["verdict"] = verdict
    assert shell.run("health").exit_code == code


def test_every_verdict_has_an_exit_code() -> None:
    assert set(Verdict) == {"HEALTHY", "DEGRADED", "DOWN", "PROVISIONING"}


def test_the_report_is_printed_worst_first(shell: Shell) -> None:
    printed = shell.run("health").stdout.splitlines()
    assert printed[0].startswith("demo is DOWN   checked 2026-01-01T00:05:00.000Z, 20 s ago")
    firsts = [line.split()[0] for line in printed[1:] if not line.startswith(" ")]
    assert firsts == ["DOWN", "INFO"]
    assert any("docs/runbook.md#database_down" in line for line in printed)
    assert any("explained by: scale runs" in line for line in printed)


def test_a_fresh_check_is_requested_as_such(shell: Shell) -> None:
    shell.api.health = {**HEALTH, "fresh": True}
    assert "s ago" not in shell.run("health", "--fresh").stdout
    assert shell.api.requests[0].query == {"fresh": "true"}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (problem(404, "HealthUnavailable"), 5),
        (problem(404, "ClusterNotFound"), 1),
        (problem(500, "AwsRefused"), 5),
    ],
)
def test_no_verdict_is_no_good_verdict(shell: Shell, answer: Any, code: int) -> None:
    shell.api.answers["GET /clusters/{name}/health"] = answer
    ended = shell.run("health")
    assert (ended.exit_code, ended.stdout) == (code, "")


def test_a_health_that_cannot_be_read_is_unknown(shell: Shell) -> None:
    shell.api.faults = [gone()] * 100
    assert shell.run("health").exit_code == 5


def test_reading_that_is_interrupted_ends_at_once(shell: Shell) -> None:
    for words in (["show"], ["health"], ["clusters"], ["operations"], ["report", "demo.scale.x"]):
        shell.api.faults = [KeyboardInterrupt()]
        assert shell.run(*words).exit_code == 130


def test_operations_are_listed_and_filtered(shell: Shell) -> None:
    ended = shell.run("operations", "--verb", "scale", "--status", "FAILED")
    assert ended.exit_code == 0, ended.output
    wanted = {"cluster": "demo", "verb": "scale", "status": "FAILED", "limit": "50"}
    assert shell.api.requests[0].query == wanted
    assert ended.stdout.splitlines()[1].split()[:2] == [f"demo.scale.{KEY}", "RUNNING"]


def test_operations_of_all_clusters_are_listed_up_to_the_limit(shell: Shell) -> None:
    page = {"operations": [shell.api.line()] * 100, "next": "more"}
    shell.api.faults = [(200, {}, page), (200, {}, page)]
    found = shell.run("operations", "--limit", "150", "-o", "json", cluster=None)
    assert len(json.loads(found.stdout)["operations"]) == 150
    assert [one.query for one in shell.api.requests] == [
        {"limit": "100"},
        {"limit": "100", "next": "more"},
    ]


def test_a_status_that_does_not_exist_is_refused_with_those_that_do(shell: Shell) -> None:
    ended = shell.run("operations", "--status", "failed")
    assert ended.exit_code == 1
    assert "status: given failed; allowed: " in ended.stderr


def test_a_report_shows_steps_and_the_error(shell: Shell) -> None:
    progress = at("Verification", "waiting")
    shell.api.life = [operation(**FAILED, progress=progress)]
    ended = shell.run("report", f"demo.scale.{KEY}")
    assert ended.exit_code == 1
    assert "2026-01-01T00:00:01.000Z  Verification" in ended.stdout
    assert "next step: Request fewer brokers." in ended.stdout
    shell.api.life = [operation(**DONE, result=SCALED)]
    assert shell.run("report", f"demo.scale.{KEY}").exit_code == 0


LINKS = {
    "operationId": f"demo.scale.{KEY}",
    "reportUrl": "https://artifacts/report.json?X-Amz-Signature=1",
    "pageUrl": "https://artifacts/report.html?X-Amz-Signature=2",
    "expiresAt": "2026-01-01T00:05:00.000Z",
}


def test_the_page_of_a_report_is_opened_or_its_link_is_shown(shell: Shell) -> None:
    shell.api.life = [operation(**DONE, result=SCALED)]
    shell.api.answers["GET /operations/{id}/report"] = (200, LINKS)
    ended = shell.run("report", f"demo.scale.{KEY}", "--open")
    assert (ended.exit_code, ended.stdout.split()) == (0, [LINKS["pageUrl"]])
    assert shell.opened == []
    shell.on_terminal = True
    ended = shell.run("report", f"demo.scale.{KEY}", "--open")
    assert "the link ends at 2026-01-01T00:05:00.000Z" in ended.stdout
    assert "Signature" not in ended.output, "the link lets its holder read the report"
    assert shell.opened == [LINKS["pageUrl"]]


def test_a_report_without_a_page_is_opened_as_it_is(shell: Shell) -> None:
    shell.api.life = [operation(**FAILED)]
    shell.api.answers["GET /operations/{id}/report"] = (200, {**LINKS, "pageUrl": None})
    ended = shell.run("report", f"demo.scale.{KEY}", "--open", "-o", "json")
    assert ended.exit_code == 1
    assert json.loads(ended.stdout)["reportUrl"] == LINKS["reportUrl"]


def test_an_operation_is_followed(shell: Shell) -> None:
    shell.api.life = [operation(), operation(**DONE)]
    ended = shell.run("follow", f"demo.scale.{KEY}", cluster=None)
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines()[-1] == "demo: scale succeeded"


def test_an_operation_that_does_not_exist_cannot_be_followed(shell: Shell) -> None:
    shell.api.answers["GET /operations/{id}"] = problem(404, "OperationNotFound")
    ended = shell.run("follow", f"demo.scale.{KEY}")
    assert ended.exit_code == 1
    assert "OperationNotFound" in ended.stderr


@pytest.mark.parametrize("words", [["open"], ["show"]])
def test_urls_the_login_and_every_way_are_shown(shell: Shell, words: list[str]) -> None:
    ended = shell.run(*words)
    assert ended.exit_code == 0, ended.output
    login = shell.api.cluster["access"]["login"]
    for one in (
        "https://camunda.example.com/operate",
        "https://camunda.example.com/admin",
        "camunda.example.com:26500 with TLS",
        "10.20.0.0/16",
        login["secretCommand"],
        login["passwordCommand"],
        "network: From the VPC",
        "port-forwarding: From anywhere with AWS credentials",
        "line for the hosts file: 127.0.0.1 camunda.example.com",
        *(one["command"] for one in shell.api.cluster["access"]["ways"][1]["forwards"]),
    ):
        assert one in ended.stdout, one


def test_with_oidc_issuer_and_administrator_are_shown(shell: Shell) -> None:
    shell.api.cluster["access"]["login"] = {
        "method": "oidc",
        "issuer": "https://login.example.com",
        "administrator": "ada@example.com",
        "administratorGroup": "camunda-admins",
    }
    shown = shell.run("open").stdout
    assert "ada@example.com" in shown
    assert "camunda-admins" in shown
    assert "https://login.example.com" in shown
    assert "password" not in shown


def test_what_a_way_lacks_is_shown(shell: Shell) -> None:
    way = shell.api.cluster["access"]["ways"][1]
    way |= {"forwards": [], "missing": "ECS Exec is off: provision with …"}
    assert "ECS Exec is off: provision with" in shell.run("open").stdout


def test_the_end_of_a_provisioning_shows_how_to_log_in(shell: Shell, file: str) -> None:
    head = {"operationId": f"demo.provision.{KEY}", "cluster": "demo", "machine": "provision"}
    result = {**head, "result": "SUCCEEDED", "access": shell.api.cluster["access"]}
    shell.api.life = [operation(f"demo.provision.{KEY}", **DONE, result=result)]
    shown = shell.run("provision", file, "--yes").stdout
    assert "https://camunda.example.com/operate" in shown
    assert "get-secret-value" in shown
    shell.api.life = [operation(f"demo.provision.{KEY}", **DONE, result=result)]
    assert "get-secret-value" in shell.run("report", f"demo.provision.{KEY}").stdout


def test_the_end_of_an_opening_shows_where_and_until_when(shell: Shell) -> None:
    head = {"operationId": f"demo.manage.{KEY}", "cluster": "demo", "machine": "manage"}
    way = {
        "open": True,
        "url": "http://internal-demo.elb.amazonaws.com:9600",
        "until": "2026-01-01T00:30:00Z",
        "from": [],
        "warning": "It has no authentication.",
        "close": "DELETE …",
    }

    def shown(verb: str, access: object) -> str:
        result = {**head, "result": "SUCCEEDED", "managementAccess": access}
        shell.api.life = [operation(f"demo.manage.{KEY}", **DONE, result=result)]
        return shell.run(verb, "--yes").stdout

    opened = shown("open-management", way)
    for held in (way["url"], way["until"], "the range of the VPC", way["warning"]):
        assert str(held) in opened
    assert "camunda-ecs close-management" in opened
    assert "is closed" in shown("close-management", {"open": False, "wasOpen": True})
    assert "nothing was changed" in shown("close-management", {"open": False, "wasOpen": False})


def test_open_as_data_has_the_urls_and_the_access(shell: Shell) -> None:
    found = json.loads(shell.run("open", "-o", "json").stdout)
    assert found["operate"] == "https://camunda.example.com/operate"
    assert found["internal"] is True
    assert found["access"] == shell.api.cluster["access"]


class TestForwarding:
    """Refusals; the session itself is in tests/integration/test_port_forwarding.py."""

    def test_a_port_needs_a_forwarding(self, shell: Shell) -> None:
        ended = shell.run("open", "--port", "8080")
        assert (ended.exit_code, shell.api.requests) == (2, [])
        assert "--port: given 8080; allowed: together with --forward" in ended.stderr

    @pytest.mark.parametrize("present", [[], ["aws"], ["session-manager-plugin"]])
    def test_missing_tools_are_named_with_how_to_install_them(
        self, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, present: list[str]
    ) -> None:
        for name in present:
            (tmp_path / name).touch(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        ended = shell.run("open", "--forward", "web")
        assert ended.exit_code == 2
        for name in ("aws", "session-manager-plugin"):
            assert (f"install {name}: https://docs.aws.amazon.com/" in ended.stderr) is (
                name not in present
            )

    def test_a_cluster_without_a_forwarding_says_what_it_lacks(self, shell: Shell) -> None:
        way = shell.api.cluster["access"]["ways"][1]
        way |= {"forwards": [], "missing": "ECS Exec is off."}
        ended = shell.run("open", "--forward", "grpc")
        assert ended.exit_code == 1
        assert "Nothing forwards a port to grpc" in ended.stderr
        assert "port-forwarding: ECS Exec is off." in ended.stderr

    @pytest.mark.parametrize(
        "change",
        [{"host": "a,portNumber=22"}, {"target": "i-0123"}, {"target": "--profile"}, {"host": ""}],
    )
    def test_what_is_no_target_or_host_is_not_handed_over(
        self, shell: Shell, change: dict[str, str]
    ) -> None:
        shell.api.cluster["access"]["ways"][1]["forwards"][0] |= change
        ended = shell.run("open", "--forward", "web")
        assert ended.exit_code == 1
        assert "no target and host" in ended.stderr


def test_open_opens_operate_on_a_terminal(shell: Shell) -> None:
    shell.on_terminal = True
    shell.run("open")
    assert shell.opened == ["https://camunda.example.com/operate"]
    shell.run("open", "--no-browser")
    shell.on_terminal = False
    shell.run("open")
    assert len(shell.opened) == 1


def test_a_cluster_without_a_url_cannot_be_opened(shell: Shell) -> None:
    shell.api.cluster["access"] = None
    ended = shell.run("open")
    assert ended.exit_code == 1
    assert "has no URL: its stack is UPDATE_COMPLETE" in ended.stderr
    # Provisioning an adopted cluster is rejected, so it cannot be the only next step.
    assert "adopted" in ended.stderr


def test_an_api_of_an_earlier_release_is_not_a_cluster_without_a_url(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its responses have another schema than this release's.
    monkeypatch.setattr("tests.support.command_line.valid", lambda *_: None)
    del shell.api.cluster["access"]
    ended = shell.run("open")
    assert ended.exit_code == 1
    assert "has no URL" not in ended.stderr
    assert "earlier release" in ended.stderr


def test_text_of_others_does_not_control_the_terminal(shell: Shell) -> None:
    shell.api.cluster["frozen"] = "audit\x1b]0;owned\x07 [bold]until Friday[/bold]"
    shown = shell.run("show").stdout
    assert "\x1b" not in shown
    assert "[bold]until Friday[/bold]" in shown


def test_another_release_of_the_api_is_noted(shell: Shell) -> None:
    shell.api.release = "9.9.9"
    assert "The API is of release 9.9.9, this command of" in shell.run("show").stderr


# ------------------------------------------------------------------------------------- planning

PLANS: list[tuple[list[str], Any]] = [
    (["--brokers", "4"], {"scale": {"count": 4}}),
    (["--partitions", "6"], {"scale": {"partitions": 6}}),
    (["--teardown"], {"teardown": {}}),
    (["FILE"], {"provision": {"parameters": {"LogRetentionDays": 90}}}),
]


@pytest.mark.parametrize(("words", "body"), PLANS, ids=lambda one: str(one)[:20])
def test_a_plan_is_made_and_shown(shell: Shell, file: str, words: list[str], body: Any) -> None:
    shell.api.life = [operation(f"demo.plan.{KEY}"), operation(f"demo.plan.{KEY}", **DONE)]
    ended = shell.run("plan", *(file if word == "FILE" else word for word in words))
    assert ended.exit_code == 0, ended.output
    (sent,) = shell.api.sent("POST")
    assert (sent.path, sent.body) == ("/clusters/demo/plans", body)
    assert "from 3 to 4 brokers: READY" in ended.stdout
    assert f"camunda-ecs apply demo.plan.{KEY}" in ended.stderr
    assert shell.api.requests[-1].path == f"/plans/demo.plan.{KEY}"


def test_a_plan_in_the_form_of_the_machine_is_sent_as_it_is(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"clusterName": "demo", "provision": {"replace": ["FileSystem"]}}')
    shell.api.life = [operation(f"demo.plan.{KEY}", **DONE)]
    ended = shell.run("plan", str(path), "-o", "json")
    assert shell.api.sent("POST")[0].body == {"provision": {"replace": ["FileSystem"]}}
    assert json.loads(ended.stdout) == PLAN


def test_a_plan_that_fails_shows_why(shell: Shell) -> None:
    shell.api.life = [operation(f"demo.plan.{KEY}", **FAILED)]
    ended = shell.run("plan", "--brokers", "9")
    assert ended.exit_code == 1
    assert "broker 5 would hold no partition" in ended.stdout


def test_a_plan_that_is_made_and_cannot_be_read_is_neither_done_nor_failed(shell: Shell) -> None:
    shell.api.life = [operation(f"demo.plan.{KEY}", **DONE)]
    shell.api.answers["GET /plans/{id}"] = problem(503, "AwsUnavailable")
    ended = shell.run("plan", "--brokers", "4")
    assert ended.exit_code == 5, ended.output
    assert "AwsUnavailable" in ended.stderr
    shown = f"The plan is made. Show it: camunda-ecs report demo.plan.{KEY} --open"
    assert shown in ended.stderr
    assert "Apply it" not in ended.output


def test_a_plan_that_is_interrupted_can_be_followed(shell: Shell) -> None:
    shell.api.life = [operation(f"demo.plan.{KEY}")]
    shell.interrupted_at = 1
    ended = shell.run("plan", "--brokers", "4")
    assert ended.exit_code == 130
    assert f"camunda-ecs follow demo.plan.{KEY}" in ended.stderr


CHANGE_SET = "arn:aws:cloudformation:eu-central-1:123456789012:changeSet/plan-demo/1"
APPLIED: list[tuple[Any, str, str, str, Any]] = [
    ({"changeSet": CHANGE_SET}, "provision", "PUT", "/clusters/demo", {"changeSet": CHANGE_SET}),
    (
        {"count": 4},
        "scale",
        "PUT",
        "/clusters/demo/brokers",
        {"count": 4, "approves": "demo.plan.p1"},
    ),
    (
        {"partitions": 6},
        "scale",
        "PUT",
        "/clusters/demo/partitions",
        {"partitions": 6, "approves": "demo.plan.p1"},
    ),
    (
        {"confirm": "demo"},
        "teardown",
        "DELETE",
        "/clusters/demo",
        {"confirm": "demo", "approves": "demo.plan.p1"},
    ),
]


@pytest.mark.parametrize(("given", "verb", "method", "path", "body"), APPLIED)
def test_a_plan_is_shown_and_applied_as_it_is(  # noqa: PLR0917 - one row of a table
    shell: Shell, given: Any, verb: str, method: str, path: str, body: Any
) -> None:
    shell.api.plan["apply"] = {"clusterName": "demo", **given}
    shell.api.life = [operation(f"demo.{verb}.{KEY}", **DONE)]
    word = ["--confirm", "demo"] if verb == "teardown" else ["--yes"]
    ended = shell.run("apply", "demo.plan.p1", *word, cluster=None)
    assert ended.exit_code == 0, ended.output
    assert "from 3 to 4 brokers: READY" in ended.stdout
    (sent,) = shell.api.sent(method)
    assert (sent.path, sent.body) == (path, body)


@pytest.mark.parametrize("status", ["REFUSED", "UNCHANGED"])
def test_a_plan_that_cannot_be_applied_is_not(shell: Shell, status: str) -> None:
    shell.api.plan["status"] = status
    ended = shell.run("apply", "demo.plan.p1", "--yes")
    assert ended.exit_code == 1
    assert f"The plan is {status}" in ended.stderr
    assert shell.api.sent("PUT") == []


def test_a_plan_of_another_cluster_is_refused(shell: Shell) -> None:
    ended = shell.run("apply", "demo.plan.p1", "--yes", "--cluster", "two")
    assert ended.exit_code == 2
    assert "--cluster: given two; allowed: demo, the cluster of the plan" in ended.stderr
    assert shell.api.sent("PUT") == []


def test_options_of_provisioning_are_refused_for_another_plan(shell: Shell) -> None:
    ended = shell.run("apply", "demo.plan.p1", "--yes", "--accept-no-way-back")
    assert ended.exit_code == 2
    assert shell.api.sent("PUT") == []
    shell.api.plan["apply"] = {"clusterName": "demo", "changeSet": CHANGE_SET}
    shell.api.life = [operation(f"demo.provision.{KEY}", **DONE)]
    shell.run(
        "apply",
        "demo.plan.p1",
        "--yes",
        "--accept-no-way-back",
        "--accept-no-backup",
        "--on-start-failure",
        "keep",
    )
    assert shell.api.sent("PUT")[0].body == {
        "changeSet": CHANGE_SET,
        "acceptNoWayBack": True,
        "acceptNoBackup": True,
        "onStartFailure": "keep",
    }


def test_a_plan_of_scaling_is_applied_without_a_backup_and_a_teardown_has_none(
    shell: Shell,
) -> None:
    shell.api.plan["apply"] = {"clusterName": "demo", "count": 4}
    shell.api.life = [operation(f"demo.scale.{KEY}", **DONE)]
    shell.run("apply", "demo.plan.p1", "--yes", "--accept-no-backup")
    body = {"count": 4, "approves": "demo.plan.p1", "acceptNoBackup": True}
    assert shell.api.sent("PUT")[0].body == body
    shell.api.plan["apply"] = {"clusterName": "demo", "confirm": "demo"}
    refused = shell.run("apply", "demo.plan.p1", "--accept-no-backup", "--confirm", "demo")
    assert refused.exit_code == 2
    assert "--accept-no-backup: given for a plan to teardown" in refused.stderr


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (["restart", "connectors"], {"service": "connectors", "dryRun": True}),
        (["rotate", "--secret", "admin"], {"secrets": ["admin"], "dryRun": True}),
    ],
)
def test_a_dry_run_needs_no_confirmation_and_approves_nothing(
    shell: Shell, words: list[str], body: Any
) -> None:
    shell.api.life = [operation(f"demo.{words[0]}.{KEY}", **DONE)]
    assert shell.run(*words, "--dry-run").exit_code == 0
    assert [one.body for one in shell.api.sent("POST")] == [body]
    refused = shell.run(*words, "--dry-run", "--approves", "demo.restart.x")
    assert refused.exit_code == 2
    assert "--approves: given demo.restart.x for a dry run" in refused.stderr
    assert len(shell.api.sent("POST")) == 1


# ------------------------------------------------------------------------------ freeze, cancel


def test_a_cluster_is_frozen_and_thawed(shell: Shell) -> None:
    assert shell.run("freeze", "--reason", "audit", "--yes").exit_code == 0
    (sent,) = shell.api.sent("PUT")
    assert (sent.path, sent.body) == ("/clusters/demo/freeze", {"reason": "audit"})
    assert shell.run("thaw", "--yes").exit_code == 0
    assert shell.api.sent("DELETE")[0].path == "/clusters/demo/freeze"


@pytest.mark.parametrize(
    ("words", "method"), [(["freeze", "--reason", "audit"], "PUT"), (["thaw"], "DELETE")]
)
def test_a_freeze_that_is_confirmed_is_of_the_cluster_as_it_was_shown(
    shell: Shell, words: list[str], method: str
) -> None:
    shell.on_terminal = True
    shell.api.etag = '"one"'
    ended = shell.run(*words, typed="y\n")
    assert ended.exit_code == 0, ended.output
    assert "now: stack UPDATE_COMPLETE" in ended.stderr
    (sent,) = shell.api.sent(method)
    assert sent.headers["if-match"] == '"one"'


def test_a_freeze_with_another_reason_is_refused(shell: Shell) -> None:
    shell.api.answers["PUT /clusters/{name}/freeze"] = problem(409, "ClusterFrozen")
    ended = shell.run("freeze", "--reason", "audit", "--yes")
    assert ended.exit_code == 1
    assert "ClusterFrozen" in ended.stderr


@pytest.mark.parametrize("verb", ["cancel", "resume"])
def test_an_operation_is_cancelled_or_resumed(shell: Shell, verb: str) -> None:
    shell.api.life = [operation("demo.scale.x", **DONE)]
    ended = shell.run(verb, "demo.scale.x", "--yes", cluster=None)
    assert ended.exit_code == 0, ended.output
    assert shell.api.sent("POST")[0].path == f"/operations/demo.scale.x/{verb}"
    assert "cluster demo" in ended.stderr


def test_resume_promises_what_the_route_does(shell: Shell) -> None:
    """An operation that came to its Fail state is refused, so that "failed" promises too much."""
    route = DOCUMENT["paths"]["/operations/{id}/resume"]["post"]["description"]
    assert "aborted or timed out" in route
    shown = " ".join(shell.run("resume", "--help").output.split())
    assert "Let an operation that was aborted or timed out continue where it stopped" in shown


@pytest.mark.parametrize(
    ("verb", "error"),
    [("cancel", "OperationNotCancellable"), ("resume", "OperationNotResumable")],
)
def test_an_operation_that_cannot_be_is_not(shell: Shell, verb: str, error: str) -> None:
    shell.api.answers[f"POST /operations/{{id}}/{verb}"] = problem(409, error)
    ended = shell.run(verb, "demo.scale.x", "--yes")
    assert ended.exit_code == 1
    assert f"next step: Mend {error}." in ended.stderr


@pytest.mark.parametrize("verb", ["cancel", "resume"])
def test_what_has_no_key_is_sent_again_only_if_it_was_not_carried_out(
    shell: Shell, verb: str
) -> None:
    shell.api.life = [operation("demo.scale.x", **DONE)]
    shell.api.faults = [busy(429)]
    assert shell.run(verb, "demo.scale.x", "--yes").exit_code == 0
    assert len(shell.api.sent("POST")) == 2
    shell.api.requests.clear()
    shell.api.faults = [cut_off()]
    ended = shell.run(verb, "demo.scale.x", "--yes")
    assert (ended.exit_code, len(shell.api.sent("POST"))) == (5, 1)
    assert "camunda-ecs report demo.scale.x" in ended.stderr


@pytest.mark.parametrize("verb", ["cancel", "resume"])
def test_a_cancel_that_is_interrupted_shows_where_to_look(shell: Shell, verb: str) -> None:
    shell.api.faults = [KeyboardInterrupt()]
    ended = shell.run(verb, "demo.scale.x", "--yes")
    assert ended.exit_code == 130
    assert "camunda-ecs report demo.scale.x" in ended.stderr


# ------------------------------------------------------------------------------------- rights

EVERY = [
    (["clusters"], "viewer"),
    (["show"], "viewer"),
    (["health", "--fresh"], "viewer"),
    (["operations"], "viewer"),
    (["backups"], "viewer"),
    (["kept"], "viewer"),
    (["follow", "demo.scale.x"], "viewer"),
    (["report", "demo.scale.x"], "viewer"),
    (["open"], "viewer"),
    (["support-bundle"], "viewer"),
    (["plan", "--teardown"], "planner"),
    (["scale", "--brokers", "4", "--yes"], "operator"),
    (["scale", "--partitions", "4", "--yes"], "operator"),
    (["restart", "brokers", "--yes"], "operator"),
    (["freeze", "--reason", "audit", "--yes"], "operator"),
    (["cancel", "demo.scale.x", "--yes"], "operator"),
    (["resume", "demo.restart.x", "--yes"], "operator"),
    (["cancel", "demo.teardown.x", "--yes"], "administrator"),
    (["resume", "demo.provision.x", "--yes"], "administrator"),
    (["close-management", "--yes"], "operator"),
    (["backup", "--yes"], "operator"),
    (["delete-backup", "7", "--confirm", "demo"], "administrator"),
    (["delete-former-data", "--confirm", "demo"], "administrator"),
    (["restore", "--backup", "7", "--confirm", "demo"], "administrator"),
    (["open-management", "--yes"], "administrator"),
    (["thaw", "--yes"], "administrator"),
    (["rotate", "--yes"], "administrator"),
    (["provision", "FILE", "--yes"], "administrator"),
    (["teardown", "--confirm", "demo"], "administrator"),
]
ROLES = ["viewer", "planner", "operator", "administrator"]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("words", "least"), EVERY, ids=lambda one: str(one)[:40])
def test_each_command_under_each_ready_policy(
    shell: Shell, file: str, role: str, words: list[str], least: str
) -> None:
    shell.api.policy = role
    shell.api.health["verdict"] = "HEALTHY"
    shell.api.life = [operation("demo.scale.x", **DONE)]
    ended = shell.run(*(file if word == "FILE" else word for word in words))
    if ROLES.index(role) >= ROLES.index(least):
        assert ended.exit_code == 0, ended.output
        return
    assert ended.exit_code == 1
    refused = shell.api.requests[-1]
    assert f"request: {refused.method} {refused.path}" in ended.stderr
    pattern = right(refused.method, refused.path)[0]
    assert f"right: execute-api:Invoke on …/{pattern}" in ended.stderr
    having = ", ".join(ROLES[ROLES.index(least) :])
    assert f"ready policies that have it: {having} (docs/policies)" in ended.stderr


def test_a_right_that_is_missing_for_another_reason_is_not_blamed_on_policies(
    shell: Shell,
) -> None:
    shell.api.answers["PUT /clusters/{name}/brokers"] = problem(403, "SecondApproverRequired")
    ended = shell.run("scale", "--brokers", "4", "--yes")
    assert "ready policies" not in ended.stderr
    assert "next step: Mend SecondApproverRequired." in ended.stderr


def test_an_answer_that_is_no_operation_is_not_taken_for_one(shell: Shell) -> None:
    shell.api.faults = [(200, {}, "<html>a proxy's page</html>")]
    ended = shell.run("scale", "--brokers", "4", "--yes")
    assert ended.exit_code == 5
    assert f"--key {KEY}" in ended.stderr


# --------------------------------------------------------------------------------------- kept


def test_what_is_left_is_listed(shell: Shell) -> None:
    ended = shell.run("kept", cluster=None)
    assert ended.exit_code == 0, ended.output
    assert shell.api.requests[-1].path == "/kept"
    assert "bucket with the brokers' backups" in ended.stdout
    shell.api.answers["GET /kept"] = (200, {"kept": []})
    assert shell.run("kept", cluster=None).stdout == "Nothing is left.\n"


def test_what_a_new_cluster_can_be_made_of_is_shown(shell: Shell) -> None:
    ended = shell.run("kept")
    assert shell.api.requests[-1].path == "/kept/demo"
    assert "A new cluster can be made of backup 1769860800000" in " ".join(ended.stdout.split())
    nothing = {"cluster": "demo", "things": [], "snapshots": [], "backups": []}
    why = "no bucket with the brokers' backups is left"
    shell.api.answers["GET /kept/{name}"] = (200, {**nothing, "restorable": None, "why": why})
    ended = shell.run("kept")
    assert f"No new cluster can be made of it: {why}." in " ".join(ended.stdout.split())
