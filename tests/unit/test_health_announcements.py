"""When people are told, when they are not, and that it is once."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from jsonschema import Draft202012Validator
from lifecycle.errors import InvalidRequest
from lifecycle.health.catalog import Verdict
from lifecycle.health.measure import UNITS
from lifecycle.health.verdict import (
    CALM,
    CONFIRMATIONS,
    as_document,
    next_notified,
    read_document,
    read_request,
)
from lifecycle.operation import events

from tests.support.health import HealthWorld
from tests.support.world import CONTROL
from tools.generate_parameters import ROOT

H, D, X = Verdict.HEALTHY, Verdict.DEGRADED, Verdict.DOWN


@pytest.fixture
def world() -> HealthWorld:
    return HealthWorld()


def pause(world: HealthWorld) -> None:
    world.simulated.exporting = "PAUSED"


def resume(world: HealthWorld) -> None:
    world.simulated.exporting = "EXPORTING"


def subjects(world: HealthWorld) -> list[str]:
    return [subject for subject, _ in world.messages.sent]


def test_bad_news_is_told_after_two_checks_and_recovery_too(world: HealthWorld) -> None:
    world.check()
    pause(world)
    world.check()
    assert subjects(world) == []
    world.check()
    assert subjects(world) == ["demo is DEGRADED: exporting is paused"]
    for _ in range(5):
        world.check()
    resume(world)
    world.check()
    assert len(subjects(world)) == 1
    world.check()
    assert subjects(world)[1:] == ["demo is HEALTHY again (it was DEGRADED)"]


def test_one_bad_check_among_good_ones_wakes_nobody(world: HealthWorld) -> None:
    for _ in range(4):
        pause(world)
        world.check()
        resume(world)
        world.check()
    assert subjects(world) == []


def test_a_cluster_that_flaps_stays_bad_until_it_is_calm(world: HealthWorld) -> None:
    for _ in range(10):
        pause(world)
        world.check(minutes=1)
        world.check(minutes=1)
        resume(world)
        world.check(minutes=1)
        world.check(minutes=1)
    # Bad, good, bad; the next recovery waits.
    assert len(subjects(world)) == 3
    for _ in range(CALM):
        world.check(minutes=1)
    assert subjects(world)[-1] == "demo is HEALTHY again (it was DEGRADED)"
    assert len(subjects(world)) == 4


@pytest.mark.parametrize(
    ("notified", "confirmed", "then"),
    [
        (H, [D], H),
        (H, [D, D], D),
        (H, [X, D], D),
        (H, [D, X], D),
        (H, [X, X], X),
        (H, [D, H], H),
        (D, [X, X], X),
        (D, [X, D, X], D),
        (X, [D, D], D),
        (X, [H, D], D),
        (X, [H, H], H),
        (D, [H, H], H),
        (D, [H], D),
    ],
)
def test_what_is_announced(notified: Verdict, confirmed: list[Verdict], then: Verdict) -> None:
    at = HealthWorld().clock.at
    assert next_notified(notified, confirmed, (), at) is then


def test_bad_news_does_not_wait_even_when_a_cluster_flaps() -> None:
    at = HealthWorld().clock.at
    changes = [at - timedelta(minutes=n) for n in (5, 10, 15)]
    assert next_notified(H, [X] * CONFIRMATIONS, changes, at) is X
    assert next_notified(X, [H] * (CALM - 1), changes, at) is X
    assert next_notified(X, [H] * CALM, changes, at) is H
    assert next_notified(X, [H] * CONFIRMATIONS, [at - timedelta(hours=2)] * 3, at) is H


def test_the_same_check_delivered_twice_counts_and_announces_once(world: HealthWorld) -> None:
    pause(world)
    world.check()
    again = world.check(minutes=0)
    assert (again["recorded"], again["verdict"]) == (False, "DEGRADED")
    assert subjects(world) == []
    world.check()
    world.check(minutes=0)
    assert len(subjects(world)) == 1
    assert len(world.events.sent) == 1
    assert len(world.metrics.emitted) == 2


def test_two_checks_at_the_same_moment_announce_once(world: HealthWorld) -> None:
    pause(world)
    world.check()
    inside, outside = world.look()
    first, second = world.judge, world.judge
    real = world.records.write
    raced: list[object] = []

    def write(record: object, before: object) -> bool:
        # The other one gets in between the look and the write.
        if not raced:
            raced.append(second)
            second.judge(world.subject(), inside, outside)
        return real(record, before)  # type: ignore[arg-type]

    world.records.write = write  # type: ignore[method-assign]
    world.clock.at += timedelta(minutes=5)
    first.judge(world.subject(), inside, outside)
    assert len(subjects(world)) == 1


def test_an_older_check_changes_nothing(world: HealthWorld) -> None:
    world.check()
    pause(world)
    world.check()
    before = dict(world.records.documents)
    late = world.check(minutes=-1)
    assert late["recorded"] is False
    assert world.records.documents == before


def test_a_change_that_could_not_be_published_is_published_later(
    world: HealthWorld,
) -> None:
    pause(world)
    world.check()
    world.events.failing = True
    world.check()
    world.events.failing = False
    world.check()
    assert subjects(world) == ["demo is DEGRADED: exporting is paused"]
    world.check()
    assert len(subjects(world)) == 1


def test_what_is_on_the_phone(world: HealthWorld) -> None:
    pause(world)
    world.check()
    world.check()
    subject, text = world.messages.sent[0]
    assert len(subject) < 100
    assert text.splitlines() == [
        "What: cluster demo is DEGRADED. It was HEALTHY.",
        "- exporting is paused: partition 1, 2, 3.",
        (
            "  Do: Once the cause of the pause (usually a backup) has ended, resume it as "
            "described in the runbook; the log grows while exporting is paused."
        ),
        "  Runbook: docs/runbook.md#exporting_paused",
        "Notes without effect on the verdict: 1.",
        "Since: 2026-01-01T00:05:00.000Z (confirmed 2026-01-01T00:10:00.000Z).",
        "Last check: https://api.example/v1/clusters/demo/health",
        (
            "Dashboard: https://eu-central-1.console.aws.amazon.com/cloudwatch/home"
            f"?region=eu-central-1#dashboards/dashboard/{CONTROL}-clusters"
        ),
        f"Control plane {CONTROL}, account 123456789012, region eu-central-1.",
    ]


def test_what_matters_stands_first_while_an_operation_runs(world: HealthWorld) -> None:
    world.check()
    # What a scaling does, and beside it a database that nobody can reach.
    world.hold("scale", minutes=60)
    world.cloud.brokers |= {"desired": 4, "running": 3, "pending": 1}
    world.management.scale_brokers(4)
    world.management.kill_broker(2)
    world.management.pass_time(10)
    world.cloud.running[2] |= {
        "address": "10.0.0.99",
        "startedAt": (world.clock.at + timedelta(minutes=4)).isoformat(),
    }
    world.database.running = False
    world.check()
    report = world.check()
    order = [(one["code"], "transient" in one, "explainedBy" in one) for one in report["findings"]]
    transient = [number for number, one in enumerate(order) if one[1]]
    expected = [number for number, one in enumerate(order) if one[2]]
    assert order[0] == ("DATABASE_UNREACHABLE", False, False)
    assert transient
    assert expected
    assert max(transient) < min(expected)
    subject, text = world.messages.sent[0]
    assert subject == "demo is DEGRADED: the database cannot be reached"
    assert "the database" in text.splitlines()[1]


def test_what_serves_nobody_stands_first_although_it_is_expected(world: HealthWorld) -> None:
    world.check()
    for node in range(3):
        world.management.kill_broker(node)
    world.hold("provision")
    report = world.check()
    assert report["verdict"] == "DEGRADED"
    assert report["findings"][0]["code"] == "BROKERS_UNREACHABLE"
    assert report["text"].splitlines()[1].startswith("- note: no broker responds")


def test_the_event_says_what_changed(world: HealthWorld) -> None:
    pause(world)
    world.check()
    world.check()
    (event,) = world.events.sent
    detail = json.loads(json.dumps(event.detail))
    received = {
        "source": events.SOURCE,
        "detail-type": event.detail_type,
        "resources": list(event.resources),
        "detail": detail,
    }
    schema = json.loads((ROOT / "docs" / "events.schema.json").read_text())
    Draft202012Validator(schema).validate(received)
    assert event.detail_type == "Cluster Health Changed"
    assert (detail["verdict"], detail["previous"]) == ("DEGRADED", "HEALTHY")
    assert detail["findings"][0]["code"] == "EXPORTING_PAUSED"


def test_metrics_show_what_is_announced(world: HealthWorld) -> None:
    pause(world)
    for _ in range(2):
        world.check()
    assert [stack for stack, _ in world.metrics.emitted] == [f"{CONTROL}-demo"] * 2
    assert [values["Verdict"] for _, values in world.metrics.emitted] == [0, 1]
    assert world.metrics.emitted[1][1]["Findings"] == 1
    assert all("EXPORTING_PAUSED" in codes for codes in world.metrics.codes)
    assert set(world.metrics.emitted[1][1]) <= set(UNITS)


def test_since_when_and_for_how_many_checks(world: HealthWorld) -> None:
    world.check()
    pause(world)
    began = world.check()["checkedAt"]
    last = [world.check() for _ in range(3)][-1]
    assert (last["since"], last["consecutive"]) == (began, 4)
    resume(world)
    assert world.check()["consecutive"] == 1


def test_a_record_survives_being_written_down(world: HealthWorld) -> None:
    world.management.scale_brokers(4)
    pause(world)
    for _ in range(3):
        world.check()
    record = world.records.find("demo")
    assert record is not None
    assert read_document(as_document(record)) == record


@pytest.mark.parametrize("document", ["", "{}", "[]", '{"cluster": "demo"}', "nonsense"])
def test_a_record_of_another_shape_is_as_none(world: HealthWorld, document: str) -> None:
    assert read_document(document) is None


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, ["clusterName"]),
        ({"clusterName": "Demo!"}, ["clusterName"]),
        ({"clusterName": "demo", "scheduledAt": "noon"}, ["scheduledAt"]),
        ({"clusterName": "demo", "scheduledAt": "2026-01-01T00:00:00"}, ["scheduledAt"]),
        (
            {"clusterName": 3, "scheduledAt": 4, "fresh": True},
            ["fresh", "clusterName", "scheduledAt"],
        ),
        ("demo", ["(input)"]),
    ],
)
def test_every_wrong_field_of_a_request_is_named(given: object, fields: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_request(given)
    assert [one["field"] for one in refused.value.problems] == fields


def test_the_time_a_check_was_due_is_read(world: HealthWorld) -> None:
    request = read_request({"clusterName": "demo", "scheduledAt": "2026-01-01T00:00:00Z"})
    assert request.scheduled_at == world.clock.at


def test_whoever_looks_again_and_again_announces_nothing(world: HealthWorld) -> None:
    assert world.check()["notified"] == "HEALTHY"
    world.cloud.brokers.update(desired=4, running=4)
    world.scheduled = False
    for _ in range(10):
        report = world.check(minutes=0.05)
        assert (report["verdict"], report["notified"]) == ("DEGRADED", "HEALTHY")
    world.scheduled = True
    assert [world.check(minutes=1)["notified"] for _ in range(2)] == ["HEALTHY", "DEGRADED"]


def test_checks_on_demand_announce_where_nothing_else_checks(world: HealthWorld) -> None:
    world.scheduled = False
    assert world.check()["notified"] == "HEALTHY"
    world.cloud.brokers.update(desired=4, running=4)
    assert [world.check(minutes=1)["notified"] for _ in range(2)] == ["HEALTHY", "DEGRADED"]
