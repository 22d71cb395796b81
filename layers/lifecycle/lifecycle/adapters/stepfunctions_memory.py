"""In-memory twin of Step Functions executions."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class MemoryExecutions:
    """ARNs of the executions that run."""

    running: set[str] = field(default_factory=set)

    def is_running(self, execution_arn: str) -> bool:
        """Tell whether an execution runs."""
        return execution_arn in self.running
