"""Tags that CloudFormation gives, which types get them, and that no other caller changes them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cfnlint
import pytest

from local.aws.emulator import provisioners
from local.aws.strict.stack_tags import ADDED, WITHOUT, of_a_bucket, reserved
from local.config import REPOSITORY

SCHEMAS = Path(cfnlint.__file__).parent / "data" / "schemas" / "resources"
TEMPLATES = [REPOSITORY / "template.yaml", *sorted((REPOSITORY / "stacks").glob("*.yaml"))]
OF_A_STACK = {"aws:cloudformation:stack-name": "demo", "aws:cloudformation:logical-id": "Bucket"}


def ours() -> set[str]:
    return {
        kind
        for path in TEMPLATES
        for kind in re.findall(r"Type: (AWS::[A-Za-z0-9:]+)", path.read_text())
    }


def system_tags() -> dict[str, bool]:
    """Whether CloudFormation gives its own tags, by type, as far as the schemas have it."""
    found: list[dict[str, Any]] = [json.loads(one.read_text()) for one in SCHEMAS.glob("*.json")]
    return {
        one["typeName"]: one["tagging"]["cloudFormationSystemTags"]
        for one in found
        if "typeName" in one and "cloudFormationSystemTags" in (one.get("tagging") or {})
    }


def test_what_gets_them_of_our_types_is_as_in_the_schemas() -> None:
    schemas = system_tags()
    assert ours() & schemas.keys()
    for kind in ADDED:
        assert schemas[kind]
    emulated = (set(provisioners.STACK_TAG_PROPERTY) | set(ADDED)) & ours() & schemas.keys()
    assert {kind for kind in emulated if not schemas[kind]} == WITHOUT


@pytest.mark.parametrize("key", ["aws:cloudformation:stack-id", "AWS:own", "Aws:x"])
def test_the_prefix_is_reserved_in_any_case(key: str) -> None:
    assert reserved([key, "awsome", "camunda:cluster"]) == [key]


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ({"team": "one"}, "removed"),
        ({}, "removed"),
        (OF_A_STACK, ""),
        (OF_A_STACK | {"team": "two"}, ""),
        (OF_A_STACK | {"aws:cloudformation:stack-name": "other"}, "updated"),
        (OF_A_STACK | {"aws:own": "x"}, "added"),
    ],
)
def test_tags_of_a_bucket_are_replaced_with_those_of_the_system(
    after: dict[str, str], words: str
) -> None:
    found = of_a_bucket(OF_A_STACK | {"team": "one"}, after)
    assert words in found
    assert bool(found) == bool(words)
