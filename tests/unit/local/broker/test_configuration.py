"""Plans of changes that no recording has, and the document as brokers pass it on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.broker.configuration import Configuration, Refusal

pytestmark = pytest.mark.unit


def planned(document: Configuration, body: Any, *, force: bool = False) -> list[str]:
    answer = document.patch(body, now=1.0, dry_run=True, force=force)
    return [step["operation"] for step in answer["plannedChanges"]]


def executed(document: Configuration, body: Any, *, force: bool = False) -> None:
    document.patch(body, now=1.0, force=force)
    while (step := document.next_step()) is not None:
        document.begin(step, 2.0)
        document.complete(step, 3.0)


def test_the_document_survives_being_passed_on() -> None:
    document = Configuration(3, 3, 3)
    document.patch({"brokers": {"count": 4}}, now=1.0)
    step = document.next_step()
    assert step is not None
    document.begin(step, 2.0)

    again = Configuration.from_json(json.loads(json.dumps(document.to_json())))

    assert again == document
    assert again.stamp == document.stamp


def test_every_step_makes_a_newer_document() -> None:
    document = Configuration(3, 3, 3)
    stamps = [document.stamp]
    document.patch({"brokers": {"count": 4}}, now=1.0)
    while (step := document.next_step()) is not None:
        document.begin(step, 2.0)
        stamps.append(document.stamp)
        document.complete(step, 3.0)
        stamps.append(document.stamp)
    assert stamps == sorted(set(stamps))


@pytest.mark.parametrize("dialect", ["8.9", "8.10"])
def test_leases_are_made_before_and_taken_after_members_change(dialect: Any) -> None:
    operations = planned(Configuration(3, 3, 3, dialect=dialect), {"brokers": {"count": 4}})
    assert (operations[0], operations[-1]) == ("PRE_SCALING", "POST_SCALING")


def test_partitions_are_added_with_all_their_replicas() -> None:
    document = Configuration(3, 3, 3)
    body = {"partitions": {"count": 5}}
    assert planned(document, body) == [
        "START_PARTITION_SCALE_UP",
        "PARTITION_BOOTSTRAP",
        "PARTITION_JOIN",
        "PARTITION_JOIN",
        "PARTITION_BOOTSTRAP",
        "PARTITION_JOIN",
        "PARTITION_JOIN",
        "AWAIT_REDISTRIBUTION",
        "AWAIT_RELOCATION",
    ]
    executed(document, body)
    assert document.partitions == 5
    assert all(len(document.replicas(partition)) == 3 for partition in range(1, 6))
    with pytest.raises(Refusal) as refused:
        planned(document, {"partitions": {"count": 4}})
    assert refused.value.status == 400


def test_a_forced_removal_lowers_the_factor_until_it_is_named_again() -> None:
    document = Configuration(3, 3, 3)
    executed(document, {"brokers": {"remove": [2]}}, force=True)

    assert set(document.members) == {0, 1}
    assert document.replication_factor == 2
    assert document.generations == {1: 2, 2: 2, 3: 2}
    assert "PARTITION_JOIN" not in planned(document, {"brokers": {"count": 2}})
    again = {"brokers": {"count": 3}, "partitions": {"replicationFactor": 3}}
    assert planned(document, again).count("PARTITION_JOIN") == 3


def test_nothing_is_retained_by_a_forced_removal_of_all() -> None:
    with pytest.raises(Refusal, match="having no replicas"):
        planned(Configuration(3, 3, 3), {"brokers": {"remove": [0, 1, 2]}}, force=True)
