"""What a restore request may contain, and what has to be reviewed before it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from lifecycle.errors import InvalidRequest
from lifecycle.operation.idempotency import canonical
from lifecycle.restore.request import read_restore_request, reviewed_restore


def test_a_request_reads() -> None:
    found = read_restore_request(
        {"clusterName": "demo", "confirm": "demo", "to": "2026-11-30T10:00:00+02:00"}
    )
    assert found.to == datetime(2026, 11, 30, 8, tzinfo=UTC)
    assert (found.backup, found.dry_run, found.approves) == (None, False, "")
    by_id = read_restore_request({"clusterName": "demo", "dryRun": True, "backup": 99})
    assert (by_id.backup, by_id.dry_run) == (99, True)
    assert read_restore_request({"clusterName": "demo", "confirm": "demo"}).to is None


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"confirm": "Demo"}, "confirm"),
        ({"confirm": None}, "confirm"),
        ({"clusterName": "D"}, "clusterName"),
        ({"to": "2026-11-30T08:00:00"}, "to"),
        ({"to": "2026-11-31T08:00:00Z"}, "to"),
        ({"to": "yesterday"}, "to"),
        ({"to": 1}, "to"),
        ({"to": None}, "to"),
        ({"backup": 0}, "backup"),
        ({"backup": "99"}, "backup"),
        ({"backup": True}, "backup"),
        ({"to": "2026-11-30T08:00:00Z", "backup": 99}, "backup"),
        ({"again": True}, "again"),
        ({"again": "yes", "backup": 99}, "again"),
        ({"again": True, "to": "2026-11-30T08:00:00Z"}, "again"),
        ({"again": True, "backup": 99, "from": "old"}, "again"),
        ({"dryRun": "yes"}, "dryRun"),
        ({"approves": "demo.restore.1"}, "approves"),
        ({"partition": 1}, "partition"),
        ({"acceptNoBackup": True}, "acceptNoBackup"),
    ],
)
def test_a_wrong_field_is_named(changed: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_restore_request({"clusterName": "demo", "confirm": "demo", **changed})
    assert field in {one["field"] for one in caught.value.problems}


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_restore_request({"clusterName": "", "to": 1, "backup": 0, "x": 1})
    fields = {one["field"] for one in caught.value.problems}
    assert fields == {"clusterName", "confirm", "to", "backup", "x"}


@pytest.mark.parametrize("raw", [None, [], "demo"])
def test_what_is_no_object_is_refused(raw: object) -> None:
    with pytest.raises(InvalidRequest):
        read_restore_request(raw)


@pytest.mark.parametrize("raw", ["2026-11-30T08:00:00Z", "2026-11-30T10:00:00+02:00"])
def test_a_dry_run_of_the_same_moment_is_the_review(raw: str) -> None:
    carried = "2026-11-30T08:00:00.000Z"
    found = reviewed_restore("demo", raw, None, "demo.restore.1")
    assert found is not None
    assert canonical({"clusterName": "demo", "dryRun": True, "to": raw}) in found.requests
    of_machine = reviewed_restore("demo", carried, None, "demo.restore.1")
    assert of_machine is not None
    assert canonical({"clusterName": "demo", "dryRun": True, "to": carried}) in of_machine.requests


def test_a_dry_run_of_another_backup_is_no_review() -> None:
    found = reviewed_restore("demo", None, 99, "demo.restore.1")
    assert found is not None
    assert canonical({"clusterName": "demo", "dryRun": True, "backup": 98}) not in found.requests
    assert canonical({"clusterName": "demo", "dryRun": True, "backup": 99}) in found.requests
    assert (found.machine, found.operation_id) == ("restore", "demo.restore.1")


def test_a_dry_run_without_again_is_no_review_of_a_restore_with_it() -> None:
    dry = {"clusterName": "demo", "dryRun": True, "backup": 99}
    found = reviewed_restore("demo", None, 99, "demo.restore.1", again=True)
    assert found is not None
    assert canonical({**dry, "again": True}) in found.requests
    assert canonical(dry) not in found.requests
    found = reviewed_restore("demo", None, 99, "demo.restore.1")
    assert found is not None
    assert canonical({**dry, "again": False}) in found.requests
    assert canonical({**dry, "again": True}) not in found.requests
