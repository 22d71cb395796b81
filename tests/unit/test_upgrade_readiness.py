"""Whether the brokers have ended one minor version before the next: shapes from documents."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from lifecycle.camunda.read_backup import query_backup
from lifecycle.camunda.upgrade import read_upgrade
from lifecycle.cluster.checks import Result
from lifecycle.errors import InvalidResponse
from lifecycle.preflight.way_back import Backup, read_backup

from tests.support.health import HealthWorld
from tests.unit.test_preflight import NEXT_MINOR, SAVED, checks, living_on

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def payload(state: str = "MIGRATED", *, upgradeable: object = True) -> dict[str, Any]:
    condition = {"schema": {"state": state, "detail": ""}}
    return {"upgradeable": upgradeable, "physicalTenants": {"default": condition}}


@pytest.mark.parametrize(
    ("answer", "lacks"),
    [
        (payload(), ()),
        (payload("MIGRATION_IN_PROGRESS"), ("schema of default is MIGRATION_IN_PROGRESS",)),
        (payload("UNKNOWN", upgradeable=False), ("schema of default is UNKNOWN",)),
        (payload(upgradeable=False), ("it is not upgradeable",)),
        (payload(upgradeable="true"), ("it is not upgradeable",)),
        ({"physicalTenants": {}}, ("it is not upgradeable",)),
    ],
)
def test_only_migrated_is_ready(answer: object, lacks: tuple[str, ...]) -> None:
    assert read_upgrade(answer) == lacks


@pytest.mark.parametrize(
    "answer", [None, [], {}, {"upgradeable": True}, {"physicalTenants": {"default": {"x": {}}}}]
)
def test_what_is_not_of_the_documented_shape_is_not_ready(answer: object) -> None:
    with pytest.raises(InvalidResponse):
        read_upgrade(answer)


def test_what_a_broker_has_not_ended_is_read_with_its_address() -> None:
    world = HealthWorld()
    assert read_backup(query_backup(world.management)).unready == ()
    world.management.unready["10.0.0.11"] = ("schema of default is MIGRATION_IN_PROGRESS",)
    seen = read_backup(query_backup(world.management))
    assert seen.unready == ("10.0.0.11: schema of default is MIGRATION_IN_PROGRESS",)


NEXT: dict[str, Any] = {
    "OrchestrationImage": "camunda/camunda:8.11.0",
    "ConnectorsImage": "camunda/connectors-bundle:8.11.0",
}
READY = Backup("COMPLETED", NOW)
BEHIND = replace(READY, unready=("10.0.0.11: schema of default is UNKNOWN",))


@pytest.mark.parametrize(
    ("backup", "result", "seen"),
    [
        (READY, Result.PASS, "every broker has completed"),
        (BEHIND, Result.FAIL, "10.0.0.11: schema of default is UNKNOWN"),
        (replace(READY, unready=("10.0.0.11: not reported",)), Result.FAIL, "not reported"),
        (None, Result.FAIL, "could not be read"),
    ],
)
def test_a_step_waits_for_the_one_before_whatever_is_waived(
    backup: Backup | None, result: Result, seen: str
) -> None:
    facts = replace(SAVED, backup=backup)
    for waived in (False, True):
        found = checks(facts, living_on("8.10.1"), accept_no_way_back=waived, **NEXT)
        check = found["upgrade readiness"]
        assert check.result is result
        assert seen in check.seen


def test_a_plan_warns_and_8_9_reports_no_readiness() -> None:
    facts = replace(SAVED, backup=BEHIND)
    planned = checks(facts, living_on("8.10.1"), planning=True, **NEXT)["upgrade readiness"]
    assert planned.result is Result.WARN
    assert "upgrade readiness" not in checks(facts, living_on("8.9.16"), **NEXT_MINOR)


def test_what_a_function_of_an_earlier_version_answers_is_read() -> None:
    assert read_backup({"state": "COMPLETED", "at": NOW.isoformat(), "problem": ""}).unready == ()
