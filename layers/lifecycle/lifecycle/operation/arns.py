"""ARNs of state machines and executions, computed from the naming contract."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MachineArns:
    """ARNs of one control plane's machines, which are named ``<control stack>-<verb>``."""

    partition: str
    region: str
    account: str
    control_stack: str

    @classmethod
    def beside(cls, function_arn: str, control_stack: str) -> MachineArns:
        """Take partition, region and account from the ARN of a function of the control plane."""
        _, partition, _, region, account, *_ = function_arn.split(":")
        return cls(partition, region, account, control_stack)

    def machine(self, verb: str) -> str:
        """ARN of the machine for a verb."""
        return self._arn("stateMachine", verb)

    def execution(self, verb: str, name: str) -> str:
        """ARN that the machine's execution of that name has or would have."""
        return f"{self._arn('execution', verb)}:{name}"

    def _arn(self, kind: str, verb: str) -> str:
        return (
            f"arn:{self.partition}:states:{self.region}:{self.account}:{kind}:"
            f"{self.control_stack}-{verb}"
        )
