"""Conditions are held against what AWS documents of each action, as the actions themselves are.

A key that an action does not support is never in its context: the statement would match nothing,
and the deployment would fail on AWS only. And what IAM can restrict by our tag is restricted by it,
or a comment beside the statement names the reason.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.authorization import RESOURCE_TAG, Action, action, normal, standing_for
from tests.support.planes import ACCOUNT, plane
from tests.unit.rights.statements import TEMPLATES, content, of, statements
from tools.generate_parameters import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OWN = "camunda-lifecycle"
POLICIES = sorted(
    [*(ROOT / "docs" / "policies").glob("*.json"), *(ROOT / "docs").glob("*-policy.json")]
)
ENOUGH_FOR_A_REASON = 20
# On resources that have no tag of ours, wherever they stand.
_KEY = "the key of a cluster may be one of the organisation (KmsKeyArn)"
OF_OTHERS = {"kms:decrypt": _KEY, "kms:generatedatakey": _KEY}


@dataclass(frozen=True)
class Grant:
    """One statement of a policy document, with where it stands and what is said about it."""

    where: str
    statement: Mapping[str, Any]
    reason: str = ""

    @property
    def allows(self) -> bool:
        return bool(self.statement["Effect"] == "Allow")

    @property
    def patterns(self) -> list[str]:
        return _listed(self.statement.get("Action", []))

    @property
    def actions(self) -> list[str]:
        return [one for pattern in self.patterns if pattern != "*" for one in standing_for(pattern)]

    @property
    def resources(self) -> list[str]:
        return _listed(self.statement.get("Resource", []))

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Operators, each with a key that it compares."""
        conditions = self.statement.get("Condition", {})
        return [(operator, key) for operator, keys in conditions.items() for key in keys]

    @property
    def needs_our_tag(self) -> bool:
        """Whether it holds for resources with our tag only."""
        return any(
            normal(key) == RESOURCE_TAG and not operator.endswith("IfExists")
            for operator, key in self.keys
        )

    @property
    def respects_tags(self) -> bool:
        """Whether it holds for nothing that carries another control plane's tag."""
        return any(normal(key) == RESOURCE_TAG for _, key in self.keys)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _of_documents(where: str, documents: Any) -> Iterator[Grant]:
    for document in documents:
        for number, statement in enumerate(document["Statement"]):
            yield Grant(f"{where}[{statement.get('Sid', number)}]", statement)


def _written() -> list[Grant]:
    """Every statement of the templates that a role or a boundary has, with its comments."""
    found = []
    own = plane(OWN)
    for template in TEMPLATES:
        if template.name in {"cluster.yaml", "adopted-cluster.yaml", "network.yaml"}:
            continue
        for one in statements(template):
            if one.is_of_a_role:
                found.append(Grant(str(one), own.resolved(_in_root(one)), one.comments))
    return found


def _in_root(one: Any) -> Any:
    """The statement as it would stand in the root template, where its parameters have values."""
    return next(
        same.content
        for same in of(one.owner)
        if same.line == one.line and same.template == one.template
    )


def _ready() -> list[Grant]:
    return [
        grant
        for path in POLICIES
        for grant in _of_documents(path.name, [json.loads(path.read_text())])
    ]


WRITTEN = _written()
READY = _ready()


def _named(grant: Grant, known: Action) -> list[Any]:
    """Types of resources that the statement's resources can be, of those that the action has."""
    return [
        one
        for one in known.types
        if any(_overlap(pattern, one.pattern) for pattern in grant.resources)
    ]


def _overlap(one: str, other: str) -> bool:
    """Whether some ARN may match both patterns."""
    if "*" in (one, other):
        return True
    left, right = one.split(":", 5), other.split(":", 5)
    if len(left) < 6 or len(right) < 6 or left[2] != right[2]:
        return False
    head = right[5].split("*")[0]
    return (
        fnmatchcase(left[5], right[5])
        or fnmatchcase(right[5].replace("*", "x"), left[5])
        or (bool(head) and left[5].startswith(head))
    )


# A denial whose key is absent denies nothing, by intent.
@pytest.mark.parametrize(
    "grant", [one for one in [*WRITTEN, *READY] if one.allows], ids=lambda one: one.where
)
def test_each_key_is_supported_by_each_action(grant: Grant) -> None:
    for name in grant.actions:
        known = action(name)
        for operator, key in grant.keys:
            if operator == "Null" or operator.endswith("IfExists"):
                continue
            assert known.supports(key), f"{grant.where}: {name} never has {key}"


def _others(grant: Grant, everything: list[Grant]) -> list[Grant]:
    """Statements without a tag's condition that may complete this one."""
    return [one for one in everything if one.allows and not one.needs_our_tag and one is not grant]


@pytest.mark.parametrize(
    "grant",
    [one for one in [*WRITTEN, *READY] if one.allows and one.needs_our_tag],
    ids=lambda one: one.where,
)
def test_what_cannot_have_our_tag_is_allowed_without_it(grant: Grant) -> None:
    """IAM authorises an action on every required type, and each must be allowed.

    https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
    """
    for name in grant.actions:
        known = action(name)
        if RESOURCE_TAG in known.keys:
            continue
        required = [one for one in known.types if one.required] or list(known.types)
        without = [one for one in required if RESOURCE_TAG not in one.keys]
        for one in without:
            complete = any(
                name in other.actions and one in _named(other, known)
                for other in _others(grant, WRITTEN if grant in WRITTEN else READY)
            )
            assert complete, f"{grant.where}: {name} is authorised on {one.name}, without tags"


def _exact(pattern: str) -> bool:
    """Whether a resource is one control plane's by its name alone.

    What stands before the first wildcard, after the name of the control plane, has something that
    no control plane's name has: an upper-case letter, a colon, a slash or an underscore.
    """
    if pattern == "*":
        return False
    fixed = pattern.split("*", maxsplit=1)[0].split("?", maxsplit=1)[0]
    if "*" not in pattern and "?" not in pattern:
        return True
    before, name, after = fixed.rpartition(OWN)
    del before
    return bool(name) and any(one.isupper() or one in ":/_" for one in after)


def _untied(grant: Grant) -> list[str]:
    """Actions that could be restricted by our tag, and are restricted by nothing."""
    tied = grant.respects_tags or any(normal(key) == "aws:requesttag/" for _, key in grant.keys)
    if tied or not grant.allows:
        return []
    open_ones = [one for one in grant.resources if not _exact(one)]
    if not open_ones:
        return []
    return [name for name in grant.actions if action(name).tagged() and name not in OF_OTHERS]


# Boundaries grant nothing.
BOUNDARIES = (
    "DeploymentBoundary",
    "FunctionBoundary",
    "MachineBoundary",
    "SchedulerBoundary",
    "TaskBoundary",
)


@pytest.mark.parametrize(
    "grant",
    [one for one in WRITTEN if not any(f"({name})" in one.where for name in BOUNDARIES)],
    ids=lambda one: one.where,
)
def test_what_could_be_restricted_by_our_tag_is_or_says_why_not(grant: Grant) -> None:
    untied = _untied(grant)
    if untied:
        assert len(grant.reason) >= ENOUGH_FOR_A_REASON, f"{grant.where}: {untied}"
        assert "tag" in grant.reason.lower(), (
            f"{grant.where}: {untied} can be restricted by aws:ResourceTag; "
            "the comment says nothing of tags"
        )


TAGGING = ("TagResource", "AddTags", "CreateTags", "AddTagsToResource", "TagRole")
UNTAGGING = ("UntagResource", "RemoveTags", "DeleteTags", "RemoveTagsFromResource", "UntagRole")


@pytest.mark.parametrize(
    "grant",
    [one for one in WRITTEN if one.allows and not any(f"({n})" in one.where for n in BOUNDARIES)],
    ids=lambda one: one.where,
)
def test_tagging_is_conditioned(grant: Grant) -> None:
    """At creation with our value, or of what is ours; exact names and denials replace it."""
    tagging = [one for one in grant.patterns if one.split(":")[-1] in TAGGING]
    if not tagging:
        return
    compared = {normal(key) for _, key in grant.keys}
    created = any(key.endswith(":createaction") for key in compared)
    ours = grant.needs_our_tag
    requested = "aws:requesttag/" in compared
    named = all(_exact(one) or OWN in one for one in grant.resources)
    assert ours or created or requested or named or len(grant.reason) >= ENOUGH_FOR_A_REASON


def test_account_of_the_comparison_is_the_planes() -> None:
    """The table above compares resolved ARNs: a wrong account would compare nothing."""
    resolved = [one for grant in WRITTEN for one in grant.resources]
    assert [one for one in resolved if f":{ACCOUNT}:" in one]
    assert content()["Resources"].keys() >= {"ClusterDeploymentRole", "EmptyBuckets"}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (f"arn:aws:s3:::{OWN}-*", False),
        (f"arn:aws:iam::1:role/camunda/{OWN}/*", True),
        (f"arn:aws:states:r:1:execution:{OWN}-scale:*", True),
        (f"arn:aws:lambda:r:1:function:{OWN}-DiscardPlan-*:live", True),
        (f"arn:aws:ecs:r:1:service/{OWN}-*/*", False),
        (f"arn:aws:scheduler:r:1:schedule/default/{OWN}_*", True),
        ("arn:aws:kms:r:1:key/*", False),
        ("*", False),
    ],
)
def test_which_names_are_exact(pattern: str, *, expected: bool) -> None:
    assert _exact(pattern) is expected
