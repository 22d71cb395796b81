"""IAM's policy simulator decides about a role as IAM does: by path, boundary and conditions."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import iam
from local.aws.iam import would_allow
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.aws.strict import Strictness

type Parameters = Mapping[str, Sequence[str]]

_ACTION: Final = "SimulatePrincipalPolicy"


def install(_strictness: Strictness) -> None:
    """Answer for roles in place of the emulator, which knows none with a path and no conditions."""
    own = iam.IAM_HANDLERS[_ACTION]

    def simulate(parameters: Parameters) -> Any:
        role = _value(parameters, "PolicySourceArn")
        if ":role/" not in role or role.rpartition("/")[2] not in iam.roles:
            return own(parameters)
        results = "".join(_result(role, *one) for one in asked(parameters))
        inner = f"<EvaluationResults>{results}</EvaluationResults><IsTruncated>false</IsTruncated>"
        body = f"<{_ACTION}Result>{inner}</{_ACTION}Result>"
        return iam.xml(200, f"{_ACTION}Response", body)

    iam.IAM_HANDLERS[_ACTION] = simulate


def asked(parameters: Parameters) -> list[tuple[str, str, Mapping[str, str]]]:
    """Actions, resources and condition keys of a request; of several values of a key the first."""
    keys = {
        name: _value(parameters, f"ContextEntries.member.{number}.ContextKeyValues.member.1")
        for number, name in enumerate(
            _members(parameters, "ContextEntries.member.{}.ContextKeyName"), start=1
        )
    }
    actions = _members(parameters, "ActionNames.member.{}")
    resources = _members(parameters, "ResourceArns.member.{}") or ["*"]
    return [(action, resource, keys) for action in actions for resource in resources]


def _members(parameters: Parameters, pattern: str) -> list[str]:
    named = (_value(parameters, pattern.format(number)) for number in itertools.count(1))
    return list(itertools.takewhile(bool, named))


def _value(parameters: Parameters, name: str) -> str:
    return (parameters.get(name) or [""])[0]


def _result(role: str, action: str, resource: str, keys: Mapping[str, str]) -> str:
    decision = "allowed" if would_allow(role, action, resource, keys) else "implicitDeny"
    return (
        f"<member><EvalActionName>{action}</EvalActionName>"
        f"<EvalResourceName>{resource}</EvalResourceName>"
        f"<EvalDecision>{decision}</EvalDecision>"
        "<MatchedStatements></MatchedStatements><MissingContextValues></MissingContextValues>"
        "</member>"
    )


RULE: Final = Rule(
    name="policy-simulator",
    does="SimulatePrincipalPolicy evaluates the role's ARN with its path, its boundary and the"
    " condition keys that the caller supplies.",
    source="https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html",
    caught="nothing: the emulator denied everything to a role with a path.",
    install=install,
)
