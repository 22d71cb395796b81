"""The chain that decides how long a stack takes, on the real template."""

from __future__ import annotations

import json
from typing import Any

from lifecycle.plans.critical_path import MINUTES, critical_path, waits_for

from tools.generate_parameters import ROOT

TEMPLATE: dict[str, Any] = json.loads((ROOT / "stacks" / "cluster.json").read_text())
EVERYTHING = frozenset(TEMPLATE["Resources"])


def names(worked_on: frozenset[str]) -> list[str]:
    return [link.logical_id for link in critical_path(TEMPLATE, worked_on)]


def test_a_first_creation_waits_for_the_database() -> None:
    assert names(EVERYTHING) == ["DatabaseCluster", "DatabaseInstance1"]


def test_without_the_database_something_else_is_the_longest() -> None:
    database = {n for n, r in TEMPLATE["Resources"].items() if "::RDS::" in r["Type"]}
    (longest,) = names(EVERYTHING - database)
    assert TEMPLATE["Resources"][longest]["Type"] == "AWS::ElasticLoadBalancingV2::LoadBalancer"


def test_what_is_not_worked_on_takes_no_time() -> None:
    assert names(frozenset()) == []
    assert names(frozenset({"DatabaseInstance1"})) == ["DatabaseInstance1"]


def test_every_way_to_refer_to_a_resource_is_seen() -> None:
    resource = {
        "DependsOn": ["A"],
        "Properties": {
            "One": {"Ref": "B"},
            "Two": [{"Fn::GetAtt": ["C", "Arn"]}, {"Fn::GetAtt": "D.Arn"}],
            "Three": {"Fn::Sub": "${E}-${F.Arn}"},
            "Four": {"Fn::Sub": ["${Name}", {"Name": {"Fn::If": ["X", {"Ref": "G"}, ""]}}]},
        },
    }
    assert waits_for(resource) >= set("ABCDEFG")
    assert waits_for({"DependsOn": "A"}) == {"A"}


def test_every_type_that_takes_minutes_is_in_the_template() -> None:
    types = {resource["Type"] for resource in TEMPLATE["Resources"].values()}
    assert set(MINUTES) <= types
