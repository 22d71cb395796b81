"""In-memory fake of Step Functions executions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lifecycle.errors import (
    AwsRefused,
    LifecycleError,
    MachineNotDeployed,
    OperationNotResumable,
    StartOutcomeUnknown,
)
from lifecycle.operation.record import Execution

_AT = "2026-01-01T00:00:00.000+00:00"


@dataclass
class FakeExecutions:
    """Executions by ARN.

    ``running`` holds ARNs that run without anything else being known of them. With ``others_run``
    an execution that nobody started here runs, unless it is among those that ``ended``: for tests
    of steps, which no machine takes.
    ``machines`` are the ARNs of those that are deployed. ``failing`` is raised by the next start
    instead of an answer: a ``StartOutcomeUnknown`` may still have started it (``lost_answer``).
    """

    running: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    machines: set[str] = field(default_factory=set)
    executions: dict[str, Execution] = field(default_factory=dict)
    failing: LifecycleError | None = None
    lost_answer: bool = False
    others_run: bool = False
    # Executions that end in a Fail state, and those that Step Functions does not redrive any more.
    in_fail_state: set[str] = field(default_factory=set)
    too_old: set[str] = field(default_factory=set)
    redriven: list[str] = field(default_factory=list)

    def is_running(self, execution_arn: str) -> bool:
        """Tell whether an execution runs."""
        found = self.describe(execution_arn)
        if found is None:
            known = execution_arn in self.running
            return known or (self.others_run and execution_arn not in self.ended)
        return found.is_running or execution_arn in self.running

    def has_ended(self, execution_arn: str) -> bool:
        """Tell whether an execution is known to have ended."""
        _refuse_other_arns(execution_arn)
        found = self.describe(execution_arn)
        return execution_arn in self.ended or (found is not None and not found.is_running)

    def start(self, machine_arn: str, name: str, text: str) -> bool:
        """Start an execution; False when one of that name exists already."""
        failing, self.failing = self.failing, None
        if isinstance(failing, StartOutcomeUnknown):
            failing.operation_id = name
        if failing is not None and not self.lost_answer:
            raise failing
        if machine_arn not in self.machines:
            raise MachineNotDeployed(f"There is no state machine {machine_arn}.")
        arn = f"{machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
        found = self.executions.get(arn)
        started = found is None or (found.is_running and found.input == text)
        if found is None:
            self.executions[arn] = Execution(arn, "RUNNING", _AT, input=text)
        if failing is not None:
            raise failing
        return started

    def stop(self, execution_arn: str, *, error: str, cause: str) -> None:
        """Stop an execution that runs."""
        if self.executions[execution_arn].is_running:
            self.finish(execution_arn, "ABORTED", error=error, cause=cause)

    def redrive(self, execution_arn: str) -> None:
        """Let an execution go on."""
        found = self.executions[execution_arn]
        if found.is_running or found.status == "SUCCEEDED" or execution_arn in self.too_old:
            raise OperationNotResumable(f"Step Functions does not redrive it: {found.status}")
        self.redriven.append(execution_arn)
        self.executions[execution_arn] = replace(
            found, status="RUNNING", ended_at="", error="", cause=""
        )

    def ended_in_fail_state(self, execution_arn: str) -> bool:
        """Whether it ended in a Fail state."""
        return execution_arn in self.in_fail_state

    def describe(self, execution_arn: str) -> Execution | None:
        """Describe an execution."""
        _refuse_other_arns(execution_arn)
        return self.executions.get(execution_arn)

    def finish(
        self,
        arn: str,
        status: str = "SUCCEEDED",
        *,
        output: str = "{}",
        error: str = "",
        cause: str = "",
    ) -> None:
        """End an execution."""
        self.executions[arn] = replace(
            self.executions[arn],
            status=status,
            ended_at=_AT,
            output=output if status == "SUCCEEDED" else "",
            error=error,
            cause=cause,
        )


def _refuse_other_arns(execution_arn: str) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html"""
    if not execution_arn.startswith("arn:"):
        raise AwsRefused(f"InvalidArn: Invalid Arn: '{execution_arn}'")


@dataclass
class FakeChecks:
    """Executions that are waited for: what each ends with is set by the test."""

    result: Execution | None = None
    inputs: list[tuple[str, str]] = field(default_factory=list)

    def run(self, machine_arn: str, text: str) -> Execution:
        """Run a machine to its end."""
        self.inputs.append((machine_arn, text))
        if self.result is None:
            raise MachineNotDeployed(f"There is no state machine {machine_arn}.")
        return self.result
