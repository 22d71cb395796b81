"""Names of change sets: one for each operation and step, and never another's."""

from __future__ import annotations

import re

import pytest
from lifecycle.cluster.names import change_set_name
from lifecycle.cluster.stack import ChangeSet
from lifecycle.errors import ChangeSetRefused
from lifecycle.plans.fingerprint import PlanDescription, read_description
from lifecycle.provisioning.change_set_owner import refuse_foreign

# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
PATTERN = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("demo.plan.fix_1", "demo.plan.fix-1"),
        ("demo.plan.fix.1", "demo.plan.fix_1"),
        ("demo-plan.plan.1", "demo.plan-plan.1"),
        ("x" * 200 + "1", "x" * 200 + "2"),
    ],
)
def test_operations_that_differ_have_names_that_differ(one: str, other: str) -> None:
    assert change_set_name(one, "plan") != change_set_name(other, "plan")


def test_steps_of_one_operation_have_names_that_differ() -> None:
    assert change_set_name("b", "settle-a") != change_set_name("a-b", "settle")


@pytest.mark.parametrize("operation_id", ["demo.plan.1", "x" * 80, "Größe_1", "y" * 300])
def test_a_name_is_one_that_cloudformation_takes(operation_id: str) -> None:
    name = change_set_name(operation_id, "roll-back")
    assert PATTERN.fullmatch(name)
    assert len(name) <= 128
    assert change_set_name(operation_id, "roll-back") == name


@pytest.mark.parametrize(
    "description",
    [
        "settle by operation demo.provision.1",
        f"plan sha256:{'a' * 64} made 2026-01-01T00:00:00+00:00 by demo.provision.1",
    ],
)
def test_an_operation_knows_its_own(description: str) -> None:
    refuse_foreign(ChangeSet("arn", "READY", description=description), "demo.provision.1")


@pytest.mark.parametrize(
    "description",
    [
        "",
        "by hand",
        "demo.provision.1",
        "settle by operation demo.provision.11",
        "settle by operation other.demo.provision.1",
        "settle by operation  demo.provision.1",
        f"plan sha256:{'a' * 64} made 2026-01-01T00:00:00+00:00 by demo.plan.1",
    ],
)
def test_another_s_is_refused(description: str) -> None:
    found = ChangeSet("arn", "READY", name="settle-x", description=description)
    with pytest.raises(ChangeSetRefused, match="settle-x was not created by operation demo"):
        refuse_foreign(found, "demo.provision.1")


def test_what_is_gone_is_nobody_s() -> None:
    refuse_foreign(ChangeSet("arn", "GONE"), "demo.provision.1")


def test_the_mark_of_a_plan_is_read_back() -> None:
    description = f"plan sha256:{'a' * 64} made 2026-01-01T00:00:00+00:00 by demo.plan.1"
    assert isinstance(read_description(description), PlanDescription)
