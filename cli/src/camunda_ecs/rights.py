"""Which ready policy has the right to a request: ``rights.json``, generated from docs/policies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Final

# From the least to the most that a policy allows.
ORDER: Final = ("viewer", "planner", "operator", "administrator")


@cache
def rights() -> Mapping[str, Sequence[str]]:
    """Return the API's part of each ready policy: patterns of ``<method>/<path>``."""
    text = resources.files("camunda_ecs").joinpath("rights.json").read_text()
    found: Mapping[str, Sequence[str]] = json.loads(text)
    return found


def right(method: str, path: str) -> tuple[str, list[str]]:
    """Return the pattern that allows a request, and the policies that have it, the least first.

    Of several patterns the longest is returned, which allows the least. ``path`` has no stage and
    no query; without a policy that has the right, the pattern is the request itself.
    """
    asked = f"{method}{path}"
    having = {policy: [one for one in rights()[policy] if _matches(one, asked)] for policy in ORDER}
    patterns = sorted({one for found in having.values() for one in found}, key=len)
    return (patterns[-1] if patterns else asked), [one for one in ORDER if having[one]]


def _matches(pattern: str, text: str) -> bool:
    """Compare as IAM does: ``*`` stands for any characters, also a slash."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None
