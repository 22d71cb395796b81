"""Findings in the policies against the table of their reasons."""

from __future__ import annotations

import json

import pytest

from tools.policies import HEADING, ROOT, Finding, documents, findings, problems, reasons

TABLE = f"""{HEADING}

| finding | policies | actions | why it stays |
|---|---|---|---|
| x: STAR | `*Role` | `ecs:ListTasks`, `ec2:*` | a reason |
| x: ARN | `a.json` | `-` | another one |

## Later

| no | part | of | it |
"""
FOUND = [Finding("x: ARN", "a.json", "-"), Finding("x: STAR", "ARole", "ec2:CreateVpc")]


def test_each_finding_has_a_row_and_each_row_a_finding() -> None:
    assert problems(FOUND, reasons(TABLE)) == []


def test_a_finding_without_a_reason_is_a_problem() -> None:
    new = Finding("x: STAR", "a.json", "ec2:CreateVpc")
    assert problems([*FOUND, new], reasons(TABLE)) == [
        "no reason: x: STAR | a.json | ec2:CreateVpc"
    ]


def test_a_reason_without_a_finding_is_a_problem() -> None:
    (problem,) = problems(FOUND[1:], reasons(TABLE))
    assert problem.startswith("no finding: x: ARN")


def test_a_row_without_a_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="four cells"):
        reasons(TABLE.replace("a reason", ""))
    with pytest.raises(ValueError, match="no heading"):
        reasons("| a | b | c | d |")


@pytest.mark.parametrize(
    ("detail", "actions"),
    [
        ("['ecs:ListTasks', 'ec2:CreateVpc']", ["ec2:CreateVpc", "ecs:ListTasks"]),
        ("[{'action': 's3:GetObject', 'required_format': '*'}]", ["s3:GetObject"]),
        ("Unknown condition elb:CreateAction for action elb:AddTags", ["elb:AddTags"]),
        ("ec2:CreateVpc", ["ec2:CreateVpc"]),
        ("Account expected to be of form like 123456789012", ["-"]),
    ],
)
def test_a_finding_is_one_for_each_action(detail: str, actions: list[str]) -> None:
    reported = {"policy": "p", "tool": "x", "finding": "F", "detail": detail}
    assert [one.action for one in findings([reported])] == actions


def test_every_role_and_every_policy_file_is_analysed() -> None:
    found = documents()
    assert {"ClusterDeploymentRole", "PlanRole", "HealthScheduleRole", "ServeApiRole"} <= set(found)
    files = {path.name for path in (ROOT / "docs").rglob("*.json") if "policies" in path.parts}
    assert files | {"deployer-policy.json", "boundaries-policy.json"} <= set(found)
    assert all(json.dumps(one) for one in found.values())
