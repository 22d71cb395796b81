from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from lifecycle.errors import PlanNotFound, PlanStale
from lifecycle.plans.fingerprint import (
    LIFETIME,
    Fingerprint,
    PlanDescription,
    differences,
    read_description,
    refuse_stale,
)

MADE = datetime(2026, 1, 1, 12, tzinfo=UTC)
MARK = PlanDescription("a" * 64, MADE, "demo.plan.1")
PLANNED = Fingerprint(
    template="1" * 64,
    definitions="3" * 64,
    parameters={"Brokers": "3", "LogRetentionDays": "90", "DatabaseCaCertificate": "PEM"},
    counts={"orchestration-cluster": 3, "connectors": 1},
    deployments={"orchestration-cluster": "d-1"},
    stack="arn:stack/demo",
    changed_at="2025-12-31T00:00:00+00:00",
    role="arn:role",
)


def test_nothing_different_is_no_difference() -> None:
    assert differences(PLANNED, replace(PLANNED)) == []


@pytest.mark.parametrize(
    ("now", "named"),
    [
        (replace(PLANNED, template="2" * 64), "the cluster template: planned with 111111111111"),
        (replace(PLANNED, counts={**PLANNED.counts, "orchestration-cluster": 4}), "planned at 3"),
        (replace(PLANNED, counts={}), "connectors: planned at 1, now None"),
        (replace(PLANNED, definitions="4" * 64), "definitions of the services: planned with 3333"),
        (
            replace(PLANNED, deployments={"orchestration-cluster": "d-2"}),
            "the deployment of orchestration-cluster",
        ),
        (replace(PLANNED, changed_at="2026-01-01T13:00:00+00:00"), "2026-01-01T13:00:00"),
        (replace(PLANNED, stack="arn:stack/other"), "not the one in the plan"),
        (replace(PLANNED, role="arn:other"), "arn:other"),
        (
            replace(PLANNED, parameters={**PLANNED.parameters, "LogRetentionDays": "30"}),
            "LogRetentionDays: planned '90', now '30'",
        ),
        (
            replace(PLANNED, parameters={**PLANNED.parameters, "Trial": "true"}),
            "Trial: planned the default, now 'true'",
        ),
    ],
)
def test_each_difference_is_named(now: Fingerprint, named: str) -> None:
    (difference,) = [one for one in differences(PLANNED, now) if named in one]
    assert difference
    assert now.digest() != PLANNED.digest()


def test_a_certificate_is_named_but_not_shown() -> None:
    now = replace(PLANNED, parameters={**PLANNED.parameters, "DatabaseCaCertificate": "OTHER"})
    assert differences(PLANNED, now) == ["the parameter DatabaseCaCertificate"]


def test_a_description_is_read_as_it_was_written() -> None:
    assert read_description(str(MARK)) == MARK


@pytest.mark.parametrize(
    "description",
    [
        "",
        "settle by operation demo.provision.1",
        f"plan sha256:{'a' * 63} made {MADE.isoformat()} by x",
        f"plan sha256:{'a' * 64} made yesterday by x",
        f"plan sha256:{'a' * 64} made 2026-01-01T00:00:00 by x",
        f"plan sha256:{'a' * 64} made {MADE.isoformat()} by x and more",
    ],
)
def test_a_description_that_is_not_a_plans_is_refused(description: str) -> None:
    with pytest.raises(PlanNotFound):
        read_description(description)


def test_a_plan_can_be_applied_for_a_day_and_no_longer() -> None:
    refuse_stale(MARK, MADE + LIFETIME, [])
    with pytest.raises(PlanStale, match="could be applied until 2026-01-02T12:00:00"):
        refuse_stale(MARK, MADE + LIFETIME + timedelta(seconds=1), [])


def test_a_plan_that_no_longer_holds_says_why() -> None:
    with pytest.raises(PlanStale, match="Changed since: one; two"):
        refuse_stale(MARK, MADE, ["one", "two"])
