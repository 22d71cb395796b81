"""Step Functions executions."""

from __future__ import annotations

from lifecycle.adapters.aws import client


class StepFunctionsExecutions:
    """The ``Executions`` port on Step Functions."""

    def is_running(self, execution_arn: str) -> bool:
        """Tell whether an execution runs; one that does not exist does not run."""
        api = client("stepfunctions")
        try:
            status = api.describe_execution(executionArn=execution_arn)["status"]
        except api.exceptions.ExecutionDoesNotExist:
            return False
        return str(status) in {"RUNNING", "PENDING_REDRIVE"}
