"""The form of an error outside of a function: Lambda's document, an execution's cause, a report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonata
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle.errors import AwsRefused, ClusterBusy, Failure, InvalidRequest, LifecycleError
from lifecycle.observability import entry_point

from tests.support.definitions import Context
from tools.generate_definitions import causes, render

if TYPE_CHECKING:
    from collections.abc import Callable

TEXTS = st.text(max_size=40)
# What Step Functions hands to a Catch when Lambda returned no error type.
# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
UNTYPED = (
    "The cause could not be determined because Lambda did not return an error type. "
    'Returned payload: {"errorMessage":"RequestId: 1 Process exited before completing request"}'
)


CUT = '{"errorMessage": "' + "x" * 32_000


def lambda_document(error: Exception) -> str:
    """What Lambda returns for an error that a function raised."""
    return json.dumps(
        {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": ["a path"]}
    )


def raised(error: Exception) -> LifecycleError:
    @entry_point
    def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
        raise error

    with pytest.raises(LifecycleError) as caught:
        handler({}, Context())  # type: ignore[arg-type]
    return caught.value


@given(TEXTS, TEXTS)
def test_an_error_is_read_as_it_was_raised_whatever_its_text(message: str, step: str) -> None:
    error = raised(ClusterBusy(message, next_step=step))
    assert (error.message, error.next_step) == (message, step or ClusterBusy.default_next_step)
    found = Failure.read("Other", lambda_document(error))
    assert found == Failure("ClusterBusy", message, error.next_step)


@given(TEXTS, TEXTS, TEXTS)
def test_a_cause_is_read_as_it_was_written(cause: str, step: str, state: str) -> None:
    failure = Failure("StartFailed", cause, step, state)
    assert Failure.read("StartFailed", failure.to_cause()) == failure


def test_a_message_with_the_words_of_a_sentence_is_not_cut() -> None:
    text = 'ECS: "Next: wait." Current state: draining'
    assert Failure.read("X", Failure("X", text, "Do it.").to_cause()).cause == text


@pytest.mark.parametrize(
    "cause", ["", "plain words", "[1]", "{}", '{"other": 1}', "{'a': 1}", UNTYPED]
)
def test_another_cause_is_taken_as_it_is(cause: str) -> None:
    assert Failure.read("States.Timeout", cause) == Failure("States.Timeout", cause)


@pytest.mark.parametrize(
    ("error", "read"),
    [
        ({"Error": "States.Timeout"}, Failure("States.Timeout", "")),
        ({"Error": "States.Timeout", "Cause": None}, Failure("States.Timeout", "")),
        ({}, Failure("UnknownError", "")),
        ({"Error": "E", "Cause": lambda_document(TimeoutError())}, Failure("TimeoutError", "")),
        ({"Error": "E", "Cause": '{"nextStep": "Wait."}'}, Failure("E", "", "Wait.")),
    ],
)
def test_what_a_state_caught_is_read_with_what_is_missing(
    error: dict[str, Any], read: Failure
) -> None:
    assert Failure.caught(error) == read


def test_an_error_of_aws_is_translated_before_it_is_written() -> None:
    from botocore.exceptions import ClientError

    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeStacks")
    found = Failure.read("X", lambda_document(raised(denied)))
    assert (found.name, found.next_step) == ("AwsRefused", AwsRefused.default_next_step)


def test_a_long_cause_is_cut_and_stays_json() -> None:
    found = Failure.read("X", Failure("X", "é" * 9000, "Do it.", "Nothing was changed.").to_cause())
    assert len(found.cause) == 4000
    assert found.cause.endswith("é…")
    longest = Failure("X", '"' * 9000, '"' * 9000, '"' * 9000).to_cause()
    assert len(longest) < 32_768
    assert (found.next_step, found.current_state) == ("Do it.", "Nothing was changed.")


def test_a_failure_reads_as_a_sentence() -> None:
    failure = Failure("Busy", "Held by a.", "Wait.", "Nothing was changed.")
    assert str(failure) == "Busy: Held by a. Next: Wait. Current state: Nothing was changed."
    assert str(Failure("ABORTED", "")) == "ABORTED"


class TestCausesOfDefinitions:
    @pytest.fixture(params=sorted(causes()))
    def cause(self, request: pytest.FixtureRequest) -> Callable[[str | None], Failure]:
        expression = jsonata.Jsonata(causes()[request.param])
        expression.register_lambda("parse", json.loads)

        def evaluated(caught: str | None) -> Failure:
            error = {"Error": "E"} if caught is None else {"Error": "E", "Cause": caught}
            document = expression.evaluate(None, {"error": error})
            assert list(json.loads(document)) == ["cause", "nextStep", "currentState"]
            return Failure.read("E", document)

        return evaluated

    def test_a_cause_that_a_state_set_itself_keeps_its_next_step(
        self, cause: Callable[[str | None], Failure]
    ) -> None:
        found = cause(Failure("VerificationFailed", "3 of 9 failed.", "Fix the cause.").to_cause())
        assert (found.cause, found.next_step) == ("3 of 9 failed.", "Fix the cause.")

    def test_an_error_of_ours_keeps_its_next_step(
        self, cause: Callable[[str | None], Failure]
    ) -> None:
        error = raised(InvalidRequest('clusterName: given "A"', next_step='Use "a".'))
        found = cause(lambda_document(error))
        assert found.cause == 'clusterName: given "A"'
        assert found.next_step == 'Use "a".'
        assert found.current_state

    @pytest.mark.parametrize(
        ("caught", "text"),
        [
            (lambda_document(RuntimeError("no network")), "no network"),
            (lambda_document(RuntimeError("{'a': 1}")), "{'a': 1}"),
            ("Lambda is not available", "Lambda is not available"),
            (UNTYPED, UNTYPED),
            ("", ""),
            (None, ""),
            ('{"other": 1}', '{"other": 1}'),
            ("{not json", "{not json"),
            ("{not json}", "{not json}"),
            (CUT, CUT),
            ('{"errorMessage": null}', '{"errorMessage": null}'),
        ],
    )
    def test_another_error_gets_a_next_step(
        self, cause: Callable[[str | None], Failure], caught: str | None, text: str
    ) -> None:
        found = cause(caught)
        assert found.cause == text
        assert found.next_step
        assert found.current_state.startswith(("Nothing was changed", "The failure report"))


def test_a_cause_is_written_below_its_mark_and_only_there() -> None:
    text = "  Refused:\n    # Cause unchanged\n    Cause: old\n  Next:\n    Cause: own\n"
    written = render(text)
    assert "Cause: old" not in written
    assert "    Cause: own\n" in written
    assert render(written) == written
    with pytest.raises(KeyError):
        render("# Cause unknown\nCause: x\n")
