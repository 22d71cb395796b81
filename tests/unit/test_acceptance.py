"""The black-box run: its state, going on after an end of any kind, cleaning up, the report."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from acceptance import clean, report
from acceptance.__main__ import main
from acceptance.clean import KINDS, Held, look, retained, to_remove
from acceptance.run import (
    FAILED,
    NOT_POSSIBLE,
    OK,
    CannotGoOn,
    NotPossible,
    Run,
    Step,
    judge,
    load,
    new_state,
    perform,
    still_to_do,
)
from acceptance.steps import STEPS
from acceptance.target import REPOSITORY, NoTargetError, Target

if TYPE_CHECKING:
    from collections.abc import Callable

LOCAL = Target("eu-central-1", Path("/nowhere/endpoints.json"))
ACCOUNT = Target("eu-central-1")


def begun(directory: Path, target: Target = LOCAL) -> Run:
    state = new_state("r1", "acceptance-r1", target)
    return Run(directory / "r1.json", target, state, say=lambda _: None)


def good(run: Run) -> None:
    run.check("it is so", expected=1, seen=1)


def bad(run: Run) -> None:
    run.check("it is so", expected=1, seen=2)


def absent(_: Run) -> None:
    raise NotPossible("nobody is here")


def stuck(_: Run) -> None:
    raise CannotGoOn("there is no stack")


def dead(_: Run) -> None:
    raise ValueError("what was that")


def interrupted(_: Run) -> None:
    raise KeyboardInterrupt


def step(act: Callable[[Run], None], name: str = "one", **more: Any) -> Step:
    return Step(name, name, act, **more)


# --- steps and state ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "status"),
    [(good, OK), (bad, FAILED), (absent, NOT_POSSIBLE), (stuck, FAILED), (dead, FAILED)],
)
def test_a_step_is_what_its_checks_are(
    tmp_path: Path, act: Callable[[Run], None], status: str
) -> None:
    run = begun(tmp_path)
    assert perform(run, [step(act)]) is (status != FAILED)
    assert load(run.path)["steps"]["one"]["status"] == status


def test_what_was_not_possible_is_never_ok() -> None:
    assert judge([{"result": OK}, {"result": NOT_POSSIBLE}]) == NOT_POSSIBLE
    assert judge([{"result": NOT_POSSIBLE}, {"result": FAILED}]) == FAILED
    assert judge([]) == NOT_POSSIBLE


def test_a_check_keeps_what_was_expected_and_seen(tmp_path: Path) -> None:
    run = begun(tmp_path)
    perform(run, [step(bad)])
    (told,) = load(run.path)["steps"]["one"]["checks"]
    assert (told["expected"], told["seen"], told["result"]) == ("1", "2", FAILED)


def test_after_a_needed_step_failed_no_other_is_taken(tmp_path: Path) -> None:
    run = begun(tmp_path)
    assert not perform(run, [step(bad, needed=True), step(good, "two")])
    assert "two" not in run.state["steps"]
    # Where it was not needed, the next one is taken, but nothing is removed.
    run = begun(tmp_path)
    steps = [step(bad), step(good, "two"), step(good, "three", removes=True)]
    assert not perform(run, steps)
    assert list(run.state["steps"]) == ["one", "two"]


def test_a_step_that_nobody_agreed_to_is_not_taken(tmp_path: Path) -> None:
    run = begun(tmp_path)
    assert not perform(run, [step(good), step(good, "two")], lambda s: s.name != "two")
    assert list(run.state["steps"]) == ["one"]


def test_a_run_goes_on_where_it_was_interrupted_with_the_same_keys(tmp_path: Path) -> None:
    run = begun(tmp_path)
    keys: list[str] = []

    def asks(run: Run) -> None:
        keys.append(run.key("scale"))
        if len(keys) == 1:
            raise KeyboardInterrupt

    steps = [step(good), step(asks, "two")]
    with pytest.raises(KeyboardInterrupt):
        perform(run, steps)
    again = Run(run.path, LOCAL, load(run.path), say=lambda _: None)
    assert [one.name for one in still_to_do(steps, again.state)] == ["two"]
    perform(again, steps)
    assert keys == ["r1-two-scale-1", "r1-two-scale-1"]


def test_a_step_that_failed_is_taken_again_with_new_keys(tmp_path: Path) -> None:
    run, keys = begun(tmp_path), []

    def asks(run: Run) -> None:
        keys.append(run.key("scale"))
        run.check("it is so", expected=2, seen=len(keys))

    perform(run, [step(asks)])
    assert perform(run, [step(asks)])
    assert keys == ["r1-one-scale-1", "r1-one-scale-2"]
    assert len(run.state["steps"]["one"]["checks"]) == 1


def test_a_key_is_never_longer_than_the_api_takes(tmp_path: Path) -> None:
    run = begun(tmp_path)
    perform(run, [step(lambda run: run.remember(key=run.key("x" * 80)))])
    assert len(run.fact("key")) == 40


def test_the_steps_have_names_of_their_own_and_removal_comes_last() -> None:
    names = [one.name for one in STEPS]
    assert len(set(names)) == len(names)
    removing = [one.removes for one in STEPS]
    assert removing == sorted(removing)


# --- cleaning up -------------------------------------------------------------------------------


class Aws:
    """Answers of AWS about what is there; ``removed`` is what it was asked to remove."""

    def __init__(self) -> None:
        self.keys = {"k1": "Enabled", "k2": "PendingDeletion"}
        self.groups = {"/logs/a"}
        self.removed: list[str] = []

    def __call__(self, _service: str) -> Any:
        return self

    def describe_key(self, *, KeyId: str) -> Any:  # noqa: N803
        if KeyId not in self.keys:
            raise ClientError({"Error": {"Code": "NotFoundException"}}, "DescribeKey")
        found = {"KeyState": self.keys[KeyId]}
        if found["KeyState"] == "PendingDeletion":
            found["DeletionDate"] = "2026-12-05 07:59:19+00:00"
        return {"KeyMetadata": found}

    def schedule_key_deletion(self, *, KeyId: str, PendingWindowInDays: int) -> None:  # noqa: N803
        assert PendingWindowInDays == 7
        self.keys[KeyId] = "PendingDeletion"
        self.removed.append(KeyId)

    def describe_log_groups(self, *, logGroupNamePrefix: str) -> Any:  # noqa: N803
        found = [name for name in self.groups if name.startswith(logGroupNamePrefix)]
        return {"logGroups": [{"logGroupName": name} for name in found]}

    def delete_log_group(self, *, logGroupName: str) -> None:  # noqa: N803
        self.groups.remove(logGroupName)
        self.removed.append(logGroupName)


def test_what_is_looked_for_is_gone_held_or_there() -> None:
    aws = Aws()
    assert look(aws, "AWS::KMS::Key", "k0") is None
    assert look(aws, "AWS::KMS::Key", "k1") == Held("AWS::KMS::Key", "k1")
    held = look(aws, "AWS::KMS::Key", "k2")
    assert held is not None
    assert held.until == "2026-12-05 07:59:19+00:00"
    assert "removed by AWS on" in held.words
    # A group whose name only begins so is another one.
    assert look(aws, "AWS::Logs::LogGroup", "/logs") is None


def test_a_refusal_is_no_absence() -> None:
    def refuses(**_: str) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "DescribeKey")

    with pytest.raises(ClientError):
        look(lambda _: SimpleNamespace(describe_key=refuses), "AWS::KMS::Key", "k1")


def test_only_what_aws_does_not_remove_by_itself_is_removed() -> None:
    there, leaving = Held("AWS::S3::Bucket", "b"), Held("AWS::KMS::Key", "k", "tomorrow")
    assert to_remove([there, leaving]) == [there]


def test_keys_come_last_because_they_decrypt_everything_else() -> None:
    assert list(KINDS)[-1] == "AWS::KMS::Key"


def inventory(run: Run, *resources: tuple[str, str]) -> None:
    run.state["inventory"]["acceptance-r1"] = [
        {"type": kind, "logicalId": "x", "id": name} for kind, name in resources
    ]


class Known(Target):
    """An account in which everything is known beforehand."""

    def client(self, service: str) -> Any:
        return AWS[0](service)


AWS: list[Any] = []


@pytest.fixture
def aws() -> Aws:
    AWS[:] = [Aws()]
    found: Aws = AWS[0]
    return found


def test_what_outlived_its_stack_is_found_by_what_the_stack_held(tmp_path: Path, aws: Aws) -> None:
    run = begun(tmp_path, Known("eu-central-1"))
    inventory(
        run,
        ("AWS::KMS::Key", "k1"),
        ("AWS::KMS::Key", "k2"),
        ("AWS::Logs::LogGroup", "/logs/a"),
        ("AWS::Logs::LogGroup", "/logs/gone"),
        ("AWS::SNS::Topic", "nothing that stays"),
    )
    assert [one.id for one in retained(run)] == ["/logs/a", "k1", "k2"]
    assert aws.removed == []


def test_cleaning_removes_what_stays_and_tells_what_aws_holds(
    tmp_path: Path, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(tmp_path, Known("eu-central-1"))
    inventory(run, ("AWS::KMS::Key", "k1"), ("AWS::Logs::LogGroup", "/logs/a"))
    monkeypatch.setattr(clean, "take_stock", lambda _: None)
    monkeypatch.setattr(clean, "stack", lambda *_: None)
    assert perform(run, [step(lambda run: (clean.clean(run), None)[1])])
    assert aws.removed == ["/logs/a", "k1"]
    assert run.fact("cleaned")
    assert [words.split(",")[0] for words in run.fact("awsHolds")] == ["KMS::Key k1"]


def test_a_stack_that_is_not_the_runs_own_is_left_alone(
    tmp_path: Path, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(tmp_path, Known("eu-central-1"))
    inventory(run, ("AWS::Logs::LogGroup", "/logs/a"))
    monkeypatch.setattr(clean, "take_stock", lambda _: None)
    monkeypatch.setattr(clean, "stack", lambda *_: {"StackId": "somebody's"})
    monkeypatch.setattr(clean, "delete_stack", lambda *_: pytest.fail("deleted"))
    assert not perform(run, [step(lambda run: (clean.clean(run), None)[1])])
    assert aws.removed == []


# --- the report --------------------------------------------------------------------------------


def ended(directory: Path, target: Target) -> dict[str, Any]:
    run = begun(directory, target)

    def in_creation(run: Run) -> None:
        run.check("the same request again", expected="SUCCEEDED", seen="FAILED | refused")

    perform(run, [step(good, "deploy"), step(in_creation, "break"), step(absent, "work")])
    return run.state


def test_on_an_account_it_tells_what_was_answered(tmp_path: Path) -> None:
    told = {one["step"]: one["answer"] for one in report.answers(ended(tmp_path, ACCOUNT))}
    assert told["deploy"] == "it works"
    assert told["break"] == "it does not work"
    assert told["scale-in"] == "not answered"


def test_on_one_machine_it_answers_nothing_that_only_aws_can(tmp_path: Path) -> None:
    found = report.answers(ended(tmp_path, LOCAL))
    assert {one["answer"] for one in found} == {"not answered"}
    assert sum("local environment cannot" in one["seen"] for one in found) >= 12


def test_every_question_names_a_step_or_why_not() -> None:
    names = {one.name for one in STEPS}
    for question in report.QUESTIONS:
        assert (question.step in names) != bool(question.why_not), question


def test_every_check_that_a_question_names_is_made() -> None:
    source = (REPOSITORY / "acceptance" / "steps.py").read_text()
    for question in report.QUESTIONS:
        assert f'"{question.check}"' in source or not question.check, question


def test_the_report_holds_every_check_with_what_was_expected(tmp_path: Path) -> None:
    path = report.write(ended(tmp_path, ACCOUNT), tmp_path)
    text, found = path.read_text(), json.loads(path.with_suffix(".json").read_text())
    assert found["result"] == FAILED
    assert "| break | the same request again | FAILED | SUCCEEDED | FAILED \\| refused |" in text
    assert f"| work | {NOT_POSSIBLE} |" in text
    assert "CLEAN=r1 make acceptance" in text


# --- the command -------------------------------------------------------------------------------


def test_without_an_answer_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Target, "identity", lambda _: ("123456789012", "arn:someone"))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    arguments = ["--stack", "camunda-lifecycle-try", "--region", "eu-central-1"]
    assert main([*arguments, "--state", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "billed" in told
    assert "Nothing was created." in told


@pytest.mark.parametrize(
    "wrong", [["--stack", "Upper", "--region", "x"], ["--stack", "ab"], ["--only", "nothing"]]
)
def test_wrong_arguments_are_refused(
    tmp_path: Path, wrong: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("REGION", raising=False)
    with pytest.raises(SystemExit):
        main([*wrong, "--state", str(tmp_path)])


def test_a_run_is_not_cleaned_with_the_credentials_of_another_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = begun(tmp_path, ACCOUNT)
    run.remember(account="111111111111")
    monkeypatch.setattr(Target, "identity", lambda _: ("222222222222", "arn:someone"))
    assert main(["--clean", "r1", "--state", str(tmp_path)]) == 1
    assert "111111111111" in capsys.readouterr().out


def test_where_the_instance_is_gone_there_is_nothing_to_go_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun(tmp_path).save()
    assert main(["--run", "r1", "--state", str(tmp_path)]) == 1
    assert "no longer exists" in capsys.readouterr().out


def test_a_load_balancer_is_reached_by_what_the_instance_wrote_down(tmp_path: Path) -> None:
    names = {"hosts": {"lb.amazonaws.com": ["127.9.0.5"]}, "ports": {}}
    (tmp_path / "names.json").write_text(json.dumps(names))
    local = Target("eu-central-1", tmp_path / "endpoints.json")
    assert local.reachable("http://LB.amazonaws.com") == "http://127.9.0.5:80"
    assert ACCOUNT.reachable("http://lb.amazonaws.com") == "http://lb.amazonaws.com"
    (tmp_path / "names.json").unlink()
    with pytest.raises(NoTargetError, match="is not running"):
        local.reachable("http://lb.amazonaws.com")


def test_it_imports_nothing_of_what_it_judges() -> None:
    for path in (REPOSITORY / "acceptance").glob("*.py"):
        text = path.read_text()
        assert "import lifecycle" not in text, path
        assert "from lifecycle" not in text, path
        assert "from local" not in text, path
        assert "import local" not in text, path


def test_a_run_that_could_not_begin_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def identity(_: Target) -> tuple[str, str]:
        raise NoTargetError("AWS_ENDPOINT_URL points to this machine: unset it for an account.")

    monkeypatch.setattr(Target, "identity", identity)
    given = ["--stack", "camunda-lifecycle-try", "--region", "eu-central-1"]
    assert main([*given, "--state", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert "AWS_ENDPOINT_URL points to this machine" in shown
    assert "Nothing was created." in shown
    assert "still exist" not in shown
