from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lifecycle.cluster.freeze import Freeze, frozen_because, read_reason, refuse_if_frozen
from lifecycle.errors import ClusterBusy, ClusterFrozen, InvalidRequest, ScalingRefused
from lifecycle.operation.model import Acting, Lock

from tests.support.scaling import ScalingWorld, scale_operation
from tests.support.world import World, operation

SINCE = "2026-01-01T00:00:00+00:00"
FREEZE = Freeze("audit until Friday", SINCE, "arn:ann")


def test_the_tags_value_is_the_reason() -> None:
    with pytest.raises(ClusterFrozen, match="audit until Friday") as caught:
        refuse_if_frozen("control-demo", {"camunda:frozen": "audit until Friday"})
    assert "control-demo" in caught.value.message
    assert "camunda:frozen" in caught.value.next_step


@pytest.mark.parametrize("value", ["", "  "])
def test_a_tag_without_a_value_freezes_too(value: str) -> None:
    assert frozen_because({"camunda:frozen": value}) == "no reason was given"


def test_other_tags_freeze_nothing() -> None:
    refuse_if_frozen("control-demo", {"camunda:cluster": "demo"})


def test_the_freeze_in_the_table_goes_before_the_tag() -> None:
    assert frozen_because({"camunda:frozen": "tag"}, FREEZE) == "audit until Friday"
    assert frozen_because({}, FREEZE) == "audit until Friday"
    assert frozen_because({"camunda:frozen": "tag"}, None) == "tag"
    assert frozen_because({}, None) is None


@pytest.mark.parametrize(
    "given",
    [None, 4, "", " ", "a ", " a", "a\nb", "a\u0085b", "x" * 201, ["audit"], {"because": "x"}],
)
def test_a_reason_is_one_line_for_people(given: Any) -> None:
    with pytest.raises(InvalidRequest, match="reason"):
        read_reason({"clusterName": "demo", "reason": given})


@pytest.mark.parametrize("given", ["x", "audit until Friday", "\u00dcberpr\u00fcfung", "x" * 200])
def test_a_reason_is_kept_as_it_is(given: str) -> None:
    assert read_reason({"clusterName": "demo", "reason": given}) == given


def test_a_frozen_cluster_is_given_to_no_operation() -> None:
    world = World()
    world.table.freezes["control-demo"] = FREEZE
    for attempt in (world.journal.begin, world.journal.take, world.journal.reserve):
        with pytest.raises(ClusterFrozen, match="by arn:ann: audit until Friday"):
            attempt(operation())
    assert world.table.locks == {}
    world.table.thaw("control-demo")
    world.journal.begin(operation())


def test_an_operation_that_has_begun_goes_on_and_its_repetition_does_not_begin() -> None:
    world = World()
    world.journal.begin(operation())
    world.table.freezes["control-demo"] = FREEZE
    world.journal.step(operation(), "step", "detail")
    with pytest.raises(ClusterBusy):
        world.journal.begin(operation(2))
    with pytest.raises(ClusterFrozen):
        world.journal.begin(operation())


def test_an_operation_that_had_ended_does_not_go_on_in_a_frozen_cluster() -> None:
    """A redrive: its lock is free, so that the step begins anew."""
    world = World()
    world.journal.begin(operation())
    world.journal.release(operation())
    world.table.freezes["control-demo"] = FREEZE
    with pytest.raises(ClusterFrozen):
        world.journal.step(operation(), "step", "detail")
    assert world.table.locks == {}


def test_a_frozen_cluster_stays_locked_while_a_function_of_the_operation_acts() -> None:
    world = World()
    world.journal.begin(operation())
    lock = world.table.locks["control-demo"]
    other = Acting("another invocation", int(world.clock.now().timestamp()) + 60)
    world.table.locks["control-demo"] = replace(lock, acting=lock.acting | {other})
    world.table.freezes["control-demo"] = FREEZE
    with pytest.raises(ClusterFrozen):
        world.journal.take(operation())
    assert other in world.table.locks["control-demo"].acting


def test_what_an_aborted_operation_left_is_cleaned_up_in_a_frozen_cluster() -> None:
    world = World()
    world.journal.begin(operation())
    world.table.freezes["control-demo"] = FREEZE
    world.journal.occupy(operation())
    assert world.table.locks["control-demo"].owner == operation().execution_arn


def test_a_lock_of_no_execution_is_taken_over() -> None:
    """Step Functions returns InvalidArn for its owner."""
    world = World()
    now = int(world.clock.now().timestamp())
    world.table.locks["control-demo"] = Lock("control-demo", "discard:plan-x", "x", now + 100, now)
    with pytest.raises(ClusterBusy):
        world.journal.begin(operation())
    world.clock.pass_seconds(101)
    world.journal.begin(operation())


def test_another_cluster_is_not_frozen() -> None:
    world = World()
    world.table.freezes["control-other"] = FREEZE
    world.journal.begin(operation())


def test_preflight_of_a_plan_shows_the_freeze_as_a_warning() -> None:
    world = World()
    operation_ = operation(50)
    planned = world.plan(operation_)
    world.changer.execute(operation_, change_set=planned["changeSet"], replace=[])
    world.stacks.finish()
    world.table.freezes["control-demo"] = FREEZE
    request = {"cluster": "demo", "stack": "control-demo", "parameters": {}, "settings": {}}
    checks = world.preflight.check(request, planning=True)["checks"]
    (freeze,) = [one for one in checks if one["name"] == "freeze"]
    assert freeze["result"] == "WARN"
    assert "audit until Friday" in freeze["seen"]


def test_a_frozen_cluster_is_not_planned_to_scale() -> None:
    world = ScalingWorld()
    world.table.freezes["control-demo"] = FREEZE
    one = replace(scale_operation(1), machine="plan")
    with pytest.raises(ClusterFrozen):
        world.planner.plan(one, requested=4)
    world.table.thaw("control-demo")
    try:
        world.planner.plan(one, requested=4)
    except ScalingRefused as refused:
        pytest.fail(refused.message)
