"""Step Functions. Source: the API reference of StartExecution and DescribeExecution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws.session import client, error_code, error_message
from lifecycle.errors import (
    AwsRefused,
    MachineNotDeployed,
    OperationNotResumable,
    StartOutcomeUnknown,
)
from lifecycle.operation.record import Execution
from lifecycle.times import written

if TYPE_CHECKING:
    from datetime import datetime

# Answers after which certainly nothing was started. A throttled call is not among them: an earlier
# attempt of the client may have got through.
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
_REFUSALS: Final = frozenset(
    {
        "AccessDeniedException",
        "ExecutionLimitExceeded",
        "InvalidArn",
        "InvalidExecutionInput",
        "InvalidName",
        "KmsAccessDeniedException",
        "KmsInvalidStateException",
        "StateMachineDeleting",
        "UnrecognizedClientException",
        "ValidationException",
    }
)


class StepFunctionsExecutions:
    """The ``Executions`` and ``Machines`` ports on Step Functions."""

    @property
    def _api(self) -> Any:
        return client("stepfunctions")

    def is_running(self, execution_arn: str) -> bool:
        """Return whether an execution runs; one that does not exist does not run."""
        found = self.describe(execution_arn)
        return found is not None and found.is_running

    def has_ended(self, execution_arn: str) -> bool:
        """Return whether an execution is known to have ended.

        DescribeExecution is eventually consistent, so that one that was just started may not be
        there yet: https://docs.aws.amazon.com/step-functions/latest/apireference/
        API_DescribeExecution.html
        """
        found = self.describe(execution_arn)
        return found is not None and not found.is_running

    def start(self, machine_arn: str, name: str, text: str) -> bool:
        """Start an execution; False when one of that name exists already."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see aws.py

        try:
            self._api.start_execution(stateMachineArn=machine_arn, name=name, input=text)
        except ClientError as error:
            code, message = error_code(error), error_message(error)
            if code == "ExecutionAlreadyExists":
                return False
            if code == "StateMachineDoesNotExist":
                raise MachineNotDeployed(
                    f"There is no state machine {machine_arn.rpartition(':')[2]}."
                ) from error
            if code in _REFUSALS:
                raise AwsRefused(f"Step Functions refused to start it: {message}") from error
            raise _uncertain(name, message) from error
        except BotoCoreError as error:
            raise _uncertain(name, str(error)) from error
        return True

    def run(self, machine_arn: str, text: str) -> Execution:
        """Run an EXPRESS machine to its end, of which it has 25 seconds.

        Raises ``MachineNotDeployed``.
        """
        api = client("stepfunctions", read_timeout=27, attempts=1)
        try:
            found = api.start_sync_execution(stateMachineArn=machine_arn, input=text)
        except api.exceptions.StateMachineDoesNotExist as error:
            name = machine_arn.rpartition(":")[2]
            raise MachineNotDeployed(f"There is no state machine {name}.") from error
        return Execution(
            arn=found["executionArn"],
            status=str(found["status"]),
            started_at=_iso(found["startDate"]),
            ended_at=_iso(found["stopDate"]),
            input=text,
            output=str(found.get("output", "")),
            error=str(found.get("error", "")),
            cause=str(found.get("cause", "")),
        )

    def stop(self, execution_arn: str, *, error: str, cause: str) -> None:
        """Stop an execution; one that ended meanwhile stays as it is.

        https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
        """
        try:
            self._api.stop_execution(executionArn=execution_arn, error=error, cause=cause)
        except self._api.exceptions.ValidationException:
            found = self.describe(execution_arn)
            if found is None or found.is_running:
                raise

    def redrive(self, execution_arn: str) -> None:
        """Redrive an execution: within 14 days of its end, at most 1,000 times.

        The client sends a token of its own, so that its own retry redrives once.
        https://docs.aws.amazon.com/step-functions/latest/apireference/API_RedriveExecution.html
        """
        exceptions = self._api.exceptions
        try:
            self._api.redrive_execution(executionArn=execution_arn)
        except (
            exceptions.ExecutionNotRedrivable,
            exceptions.ExecutionLimitExceeded,
            exceptions.ExecutionDoesNotExist,
        ) as error:
            raise OperationNotResumable(
                f"Step Functions does not redrive it: {error_message(error)}"
            ) from error

    def ended_in_fail_state(self, execution_arn: str) -> bool:
        """Whether the state before the end was a Fail state, by the last two events.

        https://docs.aws.amazon.com/step-functions/latest/apireference/API_GetExecutionHistory.html
        """
        found = self._api.get_execution_history(
            executionArn=execution_arn, reverseOrder=True, maxResults=2, includeExecutionData=False
        )
        return any(event["type"] == "FailStateEntered" for event in found["events"])

    def describe(self, execution_arn: str) -> Execution | None:
        """Describe an execution; None when there is none."""
        try:
            found = self._api.describe_execution(executionArn=execution_arn)
        except self._api.exceptions.ExecutionDoesNotExist:
            return None
        return Execution(
            arn=execution_arn,
            status=str(found["status"]),
            started_at=_iso(found["startDate"]),
            ended_at=_iso(found["stopDate"]) if found.get("stopDate") else "",
            input=str(found.get("input", "{}")),
            output=str(found.get("output", "")),
            error=str(found.get("error", "")),
            cause=str(found.get("cause", "")),
        )


class StepFunctionsRunning:
    """The ``RunningExecutions`` port on Step Functions."""

    def running(self, machine_arn: str) -> list[tuple[str, str, datetime]]:
        """Return ARN, name and start, or last redrive, of each running execution of a machine.

        A redriven execution keeps its first ``startDate``.
        https://docs.aws.amazon.com/step-functions/latest/apireference/API_ListExecutions.html
        """
        pages = client("stepfunctions").get_paginator("list_executions")
        return [
            (str(one["executionArn"]), str(one["name"]), one.get("redriveDate", one["startDate"]))
            for page in pages.paginate(stateMachineArn=machine_arn, statusFilter="RUNNING")
            for one in page["executions"]
        ]

    def given(self, execution_arn: str) -> str:
        """Return the input of an execution; empty for one that is gone."""
        api = client("stepfunctions")
        try:
            return str(api.describe_execution(executionArn=execution_arn).get("input", ""))
        except api.exceptions.ExecutionDoesNotExist:
            return ""


def _uncertain(name: str, reason: str) -> StartOutcomeUnknown:
    return StartOutcomeUnknown(
        f"Whether execution {name} was started is not known: {reason}", operation_id=name
    )


def _iso(at: datetime) -> str:
    return written(at)
