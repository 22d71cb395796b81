"""Whether the brokers have ended one minor version before the next: shapes from documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from lifecycle.core.way_back import Backup, Snapshot, lacking, read_backup, read_upgrade
from lifecycle.errors import UnreadableAnswer
from lifecycle.operations.ask_backup import ask_backup

from tests.support.health import HealthWorld

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
    with pytest.raises(UnreadableAnswer):
        read_upgrade(answer)


def test_a_step_lacks_what_a_broker_has_not_ended() -> None:
    world = HealthWorld()
    snapshot = Snapshot(NOW)
    ready = read_backup(ask_backup(world.management))
    assert ready.unready == ()
    assert not [
        one for one in lacking(ready, snapshot, NOW, {}) if one.startswith("the brokers are not")
    ]
    world.management.unready["10.0.0.11"] = ("schema of default is MIGRATION_IN_PROGRESS",)
    told = read_backup(ask_backup(world.management))
    assert told.unready == ("10.0.0.11: schema of default is MIGRATION_IN_PROGRESS",)
    lacks = lacking(Backup("COMPLETED", NOW, told.unready), snapshot, NOW, {})
    assert lacks == [f"the brokers are not ready for it: {told.unready[0]}"]


def test_what_a_function_of_an_earlier_version_answers_is_read() -> None:
    assert read_backup({"state": "COMPLETED", "at": NOW.isoformat(), "problem": ""}).unready == ()
