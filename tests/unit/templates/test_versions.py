"""A new release of the shared code reaches every function."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.sam import translated


def versions(resources: dict[str, Any]) -> dict[str, str]:
    """Logical id of each function's published version; a new one makes AWS publish anew."""
    return {
        re.sub(r"Version[0-9a-f]{10}$", "", name): name
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Lambda::Version"
    }


@pytest.mark.parametrize("layer", ["LifecycleLayer", "PostgresLayer", "StacksLayer"])
def test_functions_are_published_anew_when_one_of_their_layers_changes(layer: str) -> None:
    before, after = translated(), translated({layer: "new"})
    users = {
        name
        for name, resource in before.items()
        if resource["Type"] == "AWS::Lambda::Function"
        and any(used["Ref"].startswith(layer) for used in resource["Properties"]["Layers"])
    }
    old, new = versions(before), versions(after)
    assert users
    assert {name for name in old if old[name] != new[name]} == users


def test_every_function_is_published() -> None:
    resources = translated()
    functions = {n for n, r in resources.items() if r["Type"] == "AWS::Lambda::Function"}
    assert set(versions(resources)) == functions
