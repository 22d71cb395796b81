"""Everything that Camunda's reference plans is provided, or replaced for a written reason."""

from __future__ import annotations

import re

import pytest

from tests.support.world import DEFINITIONS
from tests.unit.templates.reference import COUNTERPARTS, TYPES
from tests.unit.templates.resolver import Resolved, resolve


def with_everything() -> dict[str, Resolved]:
    return {
        "network": resolve("network", NatGateways="3"),
        "cluster": resolve("cluster", ManagementListener="true", EnableExecuteCommand="true"),
    }


def test_the_whole_plan_is_accounted_for() -> None:
    assert len(COUNTERPARTS) == 119


@pytest.mark.parametrize("address", COUNTERPARTS)
def test_each_planned_resource_has_a_counterpart(address: str) -> None:
    stack, _, what = COUNTERPARTS[address].partition(":")
    if stack == "better":
        assert len(what.split()) > 4, "a reason that a reader can judge"
        return
    if stack == "services":
        assert DEFINITIONS[what]["serviceName"] == what
        return
    logical_id, _, part = what.partition("/")
    resource = with_everything()[stack].resources[logical_id]
    if part:
        assert resource["Properties"][part]
        return
    planned = re.sub(r"\[\d+\]$", "", address).split(".")[-2]
    if planned == "aws_iam_policy":
        assert resource["Properties"]["Policies"]
    else:
        assert resource["Type"] == TYPES[planned]
