"""Tags that a request gives a cluster, beside those by which the machines know it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# A stack takes 50: this leaves room for ours, for those that were set on the stack by hand and
# for a resource's own.
MOST: Final = 40
# What every service takes that the cluster consists of.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Tag.html
# https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html
# Letters and numbers of any script: Python's ``\w`` is what AWS calls \p{L}, \p{N} and "_".
# Spaces are those of \p{Zs}; what \p{Z} holds beyond breaks lines.
_SPACES: Final = r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_TEXT: Final = rf"[\w{_SPACES}.:/=+@-]"
KEY_PATTERN: Final = (
    rf"(?![{_SPACES}])(?![Aa][Ww][Ss]:)(?![Cc][Aa][Mm][Uu][Nn][Dd][Aa]:){_TEXT}{{1,128}}"
    rf"(?<![{_SPACES}])"
)
VALUE_PATTERN: Final = rf"(?![{_SPACES}]){_TEXT}{{1,256}}(?<![{_SPACES}])"
KEY_RULE: Final = (
    "1 to 128 letters and digits of any script, inner spaces and _ . : / = + - @, beginning "
    "neither with aws: nor with camunda:, which the machines set themselves"
)
VALUE_RULE: Final = (
    "a string of 1 to 256 letters and digits of any script, inner spaces and _ . : / = + - @, or "
    "null, which removes it"
)


def is_key(key: object) -> bool:
    """Return whether a request may name a tag like this."""
    return isinstance(key, str) and re.fullmatch(KEY_PATTERN, key) is not None


def is_value(value: object) -> bool:
    """Return whether a request may give a tag this value; None removes the tag."""
    return value is None or (
        isinstance(value, str) and re.fullmatch(VALUE_PATTERN, value) is not None
    )


def alike(keys: Iterable[object]) -> list[object]:
    """Find keys that differ from an earlier one in case only: to IAM they are the same tag."""
    folded: set[str] = set()
    found = []
    for key in keys:
        if str(key).lower() in folded:
            found.append(key)
        folded.add(str(key).lower())
    return found


def number_after(present: Mapping[str, str], requested: Mapping[str, object]) -> int:
    """How many tags the stack will have beside those that the machines set themselves."""
    after = {**present, **requested}
    return sum(1 for key, value in after.items() if value is not None and not _is_ours(str(key)))


def _is_ours(key: str) -> bool:
    return key.lower().startswith("camunda:")


def stack_tags(
    present: Mapping[str, str], requested: Mapping[str, str | None], ours: Mapping[str, str]
) -> dict[str, str]:
    """Tags of the next change set: it replaces all, so those that are there have to be repeated.

    What a request does not name stays; None removes.
    """
    after = {**present, **requested, **ours}
    return {key: value for key, value in after.items() if value is not None}


def tag_changes(
    present: Mapping[str, str], requested: Mapping[str, str | None]
) -> list[dict[str, str | None]]:
    """What a request changes of a stack's tags: ``name``, ``from`` and ``to``, None for absent."""
    return [
        {"name": key, "from": present.get(key), "to": value}
        for key, value in sorted(requested.items())
        if present.get(key) != value
    ]
