"""The probe: the function inside the VPC, queried from outside by a Lambda invocation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from lifecycle.adapters.aws.session import client, error_code
from lifecycle.errors import Failure, ProbeAsleep, ProbeFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

# The probe's own time-out is 50 s; its answer needs a little longer to travel.
_READ_TIMEOUT: Final = 70
# Lambda's response while it recreates the interfaces of a function that was idle for weeks.
# https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
# https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
_ASLEEP: Final = frozenset(
    {
        "ResourceNotReadyException",
        "ResourceConflictException",
        "ENINotReadyException",
        "EC2ThrottledException",
    }
)


def asked(
    question: str, cluster: Mapping[str, str], arguments: Mapping[str, object]
) -> dict[str, object]:
    """Return the event of a question.

    An ``operation`` for which the function acts stands where state machines put it: the entry point
    notes there that the function acts no more.
    """
    given = dict(arguments)
    operation = {"operation": given.pop("operation")} if "operation" in given else {}
    return {"question": question, "cluster": dict(cluster), "arguments": given, **operation}


class LambdaProbe:
    """The ``Probe`` port on Lambda."""

    def __init__(
        self, function: str, *, read_timeout: int = _READ_TIMEOUT, attempts: int = 8
    ) -> None:
        self._function = function
        self._read_timeout = read_timeout
        self._attempts = attempts

    def query(
        self, question: str, cluster: Mapping[str, str], **arguments: object
    ) -> Mapping[str, Any]:
        """Return the answer about a cluster.

        Raises ``ProbeFailed`` when the function itself fails, and ``ProbeAsleep`` where Lambda
        took its network interfaces back because it was idle for weeks: it is being woken.
        """
        api = client("lambda", read_timeout=self._read_timeout, attempts=self._attempts)
        try:
            answer = api.invoke(
                FunctionName=self._function,
                Payload=json.dumps(asked(question, cluster, arguments)).encode(),
            )
        except api.exceptions.ClientError as error:
            if error_code(error) in _ASLEEP:
                raise ProbeAsleep(
                    f"The function inside the VPC is not connected yet ({error_code(error)}): "
                    "Lambda reclaims the interfaces of a function that is idle for weeks."
                ) from error
            raise
        payload = json.loads(answer["Payload"].read() or b"{}")
        if answer.get("FunctionError"):
            found = Failure.read("an unknown error", json.dumps(payload) if payload else "")
            raise ProbeFailed(f"The probe inside the VPC failed with {found.name}: {found.cause}")
        result: Mapping[str, Any] = payload
        return result
