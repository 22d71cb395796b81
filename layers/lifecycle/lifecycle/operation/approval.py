"""Two people: who requests a change is another principal than who planned it.

It protects against a single set of credentials, and against a single person with one identity. It
does not protect against two people who agree, nor against a person with two identities, nor against
a principal that may change the control stack.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.trial import is_rehearsal_trial
from lifecycle.cluster.validation import Problem
from lifecycle.errors import AwsUnavailable, SecondApproverRequired
from lifecycle.operation.idempotency import LONGEST_NAME, digest

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lifecycle.cluster.ports import Clock
    from lifecycle.operation.model import Operation
    from lifecycle.operation.ports import Executions, Operations
    from lifecycle.operation.record import Record

FIELD: Final = "approves"
"""Field of a request that names the reviewed operation of another principal."""
DRY_RUN: Final = "dryRun"
OF_AWS: Final = "a notice of AWS Health"
"""Caller of the restarts before AWS retires tasks, in the records; callers of the API are ARNs."""
PATTERN: Final = rf"[A-Za-z0-9_.-]{{1,{LONGEST_NAME}}}"
LIFETIME: Final = timedelta(days=1)
OF_REHEARSAL: Final = "a rehearsal"
"""Caller of the operations that a rehearsal starts: of a backup, and of the trial alone."""
OF_POOLS: Final = "CognitoIdentityCredentials"
"""Name of every session of every identity pool, of any user."""
POOL_USER: Final = (
    r"cognito-idp\.[a-z0-9-]+\.amazonaws\.com/[A-Za-z0-9_-]+:CognitoSignIn:[0-9a-f-]{36}"
)
"""A user of the console, as the API records it: user pool and ``sub``, which is never reused."""
_UNKNOWN: Final = (
    "Start it through the API with a user or a role: of an execution that was started otherwise "
    "AWS does not name the principal to the application."
)


def principal_of(arn: str, personal_sessions: Sequence[str]) -> str:
    """Return the principal behind a caller's ARN; empty where it is not known.

    A session of a role is the role, because the principal that assumes it names the session. For
    roles whose name matches a pattern of ``personal_sessions`` it is the session: an identity
    provider sets its name, or the trust policy binds it (``sts:RoleSessionName``). The name of a
    federated user is chosen by its creator, and that of every session of an identity pool is the
    same, so that the principal is not known. A user of the console is a principal in every role.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    """
    if re.fullmatch(POOL_USER, arn):
        return arn
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not parts[4].isdigit():
        return ""
    service, (kind, _, name) = parts[2], parts[5].partition("/")
    if service == "iam" and (kind == "root" or (kind == "user" and name)):
        return arn
    role, _, session = name.partition("/")
    if service != "sts" or kind != "assumed-role" or not role or not session:
        return ""
    if session == OF_POOLS:
        return ""
    if any(fnmatchcase(role, pattern) for pattern in personal_sessions):
        return arn
    return arn.removesuffix(f"/{session}")


def why_refused(author: str, caller: str) -> str:
    """Return why ``caller`` may not apply what ``author`` planned; empty when it may.

    Both are principals as ``principal_of`` returns them.
    """
    if not caller:
        return "the principal that requests it is unknown"
    if not author:
        return "the principal that made the plan is unknown"
    return f"{caller} made the plan; another principal must apply it" if author == caller else ""


def read_approves(raw: Mapping[str, object]) -> tuple[str, list[Problem]]:
    """Read the field of a request that names what another principal reviewed; empty for none."""
    given = raw.get(FIELD, "")
    if FIELD in raw and not (isinstance(given, str) and re.fullmatch(PATTERN, given)):
        rule = "the operation id of a plan or dry run that another principal made"
        return "", [Problem(FIELD, given, rule)]
    return str(given), []


def read_review(raw: Mapping[str, object]) -> tuple[bool, str, list[Problem]]:
    """Read ``dryRun`` and what the request approves; a dry run changes and approves nothing.

    Returns both, and what is wrong with them.
    """
    dry_run = raw.get(DRY_RUN, False)
    approves, problems = read_approves(raw)
    if not isinstance(dry_run, bool):
        problems.append(Problem(DRY_RUN, dry_run, "true or false"))
    if approves and dry_run is True:
        problems.append(Problem(FIELD, approves, "nothing with dryRun, which changes nothing"))
    return dry_run is True, approves, problems


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What a request names as reviewed, and what that must have been.

    ``operation_id`` is empty where the request names none; ``machine`` is the one that reviewed,
    ``requests`` the canonical requests any of which it may have had.
    """

    cluster: str
    operation_id: str
    machine: str
    requests: Collection[str]

    @property
    def how(self) -> str:
        """How another principal reviews it."""
        if self.machine == "plan":
            return "plan exactly this change, and name the operation of its plan"
        return f'make a dry run of exactly this request ("{DRY_RUN}": true), and name its operation'


# What needs no review from whom: no caller of the API is called so.
_BY_ITSELF: Final[Mapping[str, str]] = {
    "restart": OF_AWS,
    "restore": OF_REHEARSAL,
    "teardown": OF_REHEARSAL,
}


@dataclass(frozen=True, slots=True)
class SecondApprover:
    """The rule and its ports. ``machines`` are those under it."""

    operations: Operations
    executions: Executions
    clock: Clock
    machines: frozenset[str]
    personal_sessions: tuple[str, ...]

    def caller(self, operation: Operation) -> str:
        """Return the principal that started a running operation through the API; empty if none did.

        Raises ``AwsUnavailable`` while Step Functions does not show the execution yet.
        """
        record = self.operations.find(operation.operation_id, operation.machine)
        if record is None or not record.caller:
            return ""
        if self.executions.describe(operation.execution_arn) is None:
            raise AwsUnavailable("Step Functions does not show this execution yet.")
        return self._started_by(record)

    def author(self, record: Record | None) -> str:
        """Return the principal that started the operation of a record; empty if it is unknown."""
        return self._started_by(record) if record is not None and record.caller else ""

    def refuse_same(self, author: str, caller: str) -> None:
        """Raise ``SecondApproverRequired`` unless two known principals are different."""
        reason = why_refused(author, caller)
        if reason:
            raise SecondApproverRequired(
                f"This plan may not be applied: {reason}.",
                next_step="" if author and caller else f"Nothing was changed. {_UNKNOWN}",
            )

    def refuse_unreviewed(self, operation: Operation, reviewed: Reviewed) -> None:
        """Refuse a running operation of a machine under the rule unless it was reviewed.

        A restart before AWS retires tasks needs no review: AWS would replace them without regard to
        partitions. What a rehearsal starts changes nothing but its trial. Raises
        ``SecondApproverRequired``.
        """
        by_itself = _BY_ITSELF.get(operation.machine, "")
        if by_itself == OF_REHEARSAL and not is_rehearsal_trial(operation.cluster):
            by_itself = ""
        if by_itself and self._is_of(operation, by_itself):
            return
        if operation.machine in self.machines or reviewed.operation_id:
            self._refuse(reviewed, self.caller(operation))

    def refuse_request(self, machine: str, reviewed: Reviewed, caller_arn: str) -> None:
        """Refuse a request before its machine is started, as the machine would.

        A request that names what it approves is held to it under any rule. ``caller_arn`` is the
        ARN of the caller, empty if it is unknown. Raises ``SecondApproverRequired``.
        """
        if machine in self.machines or reviewed.operation_id:
            self._refuse(reviewed, principal_of(caller_arn, self.personal_sessions))

    def _is_of(self, operation: Operation, caller: str) -> bool:
        """Whether that caller recorded an operation with the input that it has."""
        record = self.operations.find(operation.operation_id, operation.machine)
        if record is None or record.caller != caller:
            return False
        execution = self.executions.describe(record.execution_arn)
        if execution is None:
            raise AwsUnavailable("Step Functions does not show this execution yet.")
        return digest(execution.input) == record.request_hash

    def _refuse(self, reviewed: Reviewed, caller: str) -> None:
        if not reviewed.operation_id:
            raise SecondApproverRequired(
                f"{caller or 'An unknown principal'} requested a change that needs a second "
                f"principal, and the field {FIELD} is missing.",
                next_step=f"Nothing was changed. Have another principal {reviewed.how} in the "
                f"field {FIELD}.",
            )
        record = self.operations.find(reviewed.operation_id, reviewed.machine)
        self._refuse_other(reviewed, record)
        self.refuse_same(self.author(record), caller)

    def _refuse_other(self, reviewed: Reviewed, record: Record | None) -> None:
        """Refuse what is no review of this request, has failed or is over a day old."""
        execution = self.executions.describe(record.execution_arn) if record else None
        wrong = ""
        if record is None or execution is None or record.cluster != reviewed.cluster:
            wrong = f"there is none of the {reviewed.machine} machine for this cluster"
        elif execution.status != "SUCCEEDED":
            wrong = f"it is {execution.status}"
        elif record.request_hash not in {digest(text) for text in reviewed.requests}:
            wrong = "it planned another change"
        elif self.clock.now() > datetime.fromisoformat(record.started_at) + LIFETIME:
            wrong = "it is over a day old"
        if wrong:
            raise SecondApproverRequired(
                f"Operation {reviewed.operation_id}, named in the field {FIELD}, is no review of "
                f"this change: {wrong}.",
                next_step=f"Nothing was changed. Have another principal {reviewed.how} in the "
                f"field {FIELD}.",
            )

    def _started_by(self, record: Record) -> str:
        """Return the principal of a record whose execution has the input that was recorded.

        An execution that was started in the console under the id of a recorded request, with
        another input, is not that request.
        """
        execution = self.executions.describe(record.execution_arn)
        if execution is None or digest(execution.input) != record.request_hash:
            return ""
        return principal_of(record.caller, self.personal_sessions)
