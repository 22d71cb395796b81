"""Decisions about scaling, where the machine's tests do not go: patience, bounds, words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lifecycle.core.brokers import BrokerService, BrokerTask, leads_to, tasks_of_brokers
from lifecycle.core.request import MOST_BROKERS
from lifecycle.core.scale_request import read_scale_request
from lifecycle.core.scaling import Action, Memory, Observed, decide, next_look
from lifecycle.core.topology import read_configuration, read_topology
from lifecycle.core.verification import Result
from lifecycle.errors import (
    InvalidRequest,
    ManagementUnavailable,
    ScalingNotSettled,
    TasksNotPlaced,
)
from lifecycle.operations.scale_cluster import refuse_to_lower

from tests.support.scaling import ScalingWorld


@pytest.fixture
def world() -> ScalingWorld:
    return ScalingWorld()


def observed(world: ScalingWorld, requested: int = 4) -> Observed:
    assert world.stacks.stack is not None
    return world.reader.observe(
        world.stacks.stack,
        requested,
        since="2026-01-01T00:00:00+00:00",
        now=int(world.clock.now().timestamp()),
        with_quota=True,
    )


def test_looks_come_often_first_and_never_more_than_15_seconds_apart() -> None:
    waits = [next_look(looks) for looks in range(1, 30)]
    assert waits[:3] == [1, 1, 1]
    assert waits == sorted(waits)
    assert waits[-1] == 15
    for looks in range(1, 12):
        assert next_look(looks) <= 1 + sum(waits[: looks - 1]) / 2


def test_tasks_are_waited_for_ten_minutes(world: ScalingWorld) -> None:
    world.tasks.desired = 4
    world.tasks.refusal = "no capacity"
    seen = observed(world)
    decision = decide(seen, 4, Memory())
    assert (decision.action, decision.reason) == (
        Action.WAIT,
        "3 of 4 tasks run with an address",
    )
    later = replace(seen, now=seen.now + 599)
    assert decide(later, 4, decision.memory).action is Action.WAIT
    with pytest.raises(TasksNotPlaced, match="3 of 4"):
        decide(replace(seen, now=seen.now + 600), 4, decision.memory)


def test_one_failed_start_is_ecs_to_repeat_and_two_are_enough(world: ScalingWorld) -> None:
    world.tasks.desired = 4
    seen = observed(world)
    once = replace(seen, service=replace(seen.service, failures=("pull",)))
    assert decide(once, 4, Memory()).action is Action.WAIT
    with pytest.raises(TasksNotPlaced, match="pull; pull"):
        decide(replace(seen, service=replace(seen.service, failures=("pull",) * 2)), 4, Memory())


def test_brokers_that_cannot_be_asked_at_all_end_a_fresh_request_after_a_minute(
    world: ScalingWorld,
) -> None:
    world.tasks.desired = 0
    world.pass_seconds(20)
    seen = observed(world)
    decision = decide(seen, 4, Memory())
    assert decision.action is Action.WAIT
    with pytest.raises(ManagementUnavailable):
        decide(replace(seen, now=seen.now + 60), 4, decision.memory)


def test_a_quota_that_cannot_be_read_is_a_warning(world: ScalingWorld) -> None:
    world.quota.limit = None
    assert decide(observed(world), 4, Memory()).action is Action.SET_COUNT
    from lifecycle.core.scaling_plan import plan_scaling

    plan = plan_scaling(
        observed(world), cluster="demo", requested=4, region="eu-central-1", parameters={}
    )
    quota = next(check for check in plan["checks"] if check["name"] == "Fargate quota")
    assert quota["result"] == Result.WARN
    assert plan["status"] == "READY"
    assert plan["cost"]["after"]["total"] is None


def test_the_same_step_without_effect_is_not_repeated_for_ever(world: ScalingWorld) -> None:
    memory = Memory()
    for _ in range(5):
        decision = decide(observed(world), 4, memory)
        assert decision.action is Action.SET_COUNT
        memory = decision.memory
    with pytest.raises(ScalingNotSettled, match="5 times"):
        decide(observed(world), 4, memory)


def test_memory_survives_the_state_machine() -> None:
    memory = Memory(before=3, begun=True, change_id=7, survivors={"t-1": 0}, notes=("one",))
    assert Memory.from_state(memory.as_state()) == memory


class TestLowering:
    NOW = 1000

    def service(self, *until: int) -> BrokerService:
        tasks = [
            BrokerTask(f"t-{n}", f"10.0.0.{n}", "RUNNING", True, protected_until=end)
            for n, end in enumerate(until)
        ]
        return BrokerService("brokers", len(tasks), (), tuple(tasks))

    def test_exactly_those_who_stay_are_protected(self) -> None:
        refuse_to_lower(self.service(1900, 1900, 0), 2, ["t-0", "t-1"], self.NOW)

    @pytest.mark.parametrize(
        "until",
        [
            (1900, 0, 0),  # one that stays is not
            (1900, 1050, 0),  # its protection ends before ECS may be done
            (1900, 1900, 1900),  # one that is to go is, too
            (1900, 0, 1900),  # the wrong one is
        ],
    )
    def test_anything_else_is_refused(self, until: tuple[int, ...]) -> None:
        with pytest.raises(ScalingNotSettled, match="was not lowered from 3 to 2"):
            refuse_to_lower(self.service(*until), 2, ["t-0", "t-1"], self.NOW)

    def test_fewer_named_than_stay_is_refused(self) -> None:
        with pytest.raises(ScalingNotSettled):
            refuse_to_lower(self.service(1900, 0, 0), 2, ["t-0"], self.NOW)


class TestPendingChange:
    def configuration(self, *pending: dict[str, object]) -> object:
        return {
            "brokers": [{"id": n, "state": "ACTIVE", "partitions": []} for n in range(3)],
            "pendingChange": {"id": 5, "completed": [], "pending": list(pending)},
        }

    def test_additions_and_removals_are_followed_to_their_end(self) -> None:
        add = {"operation": "BROKER_ADD", "brokerId": 3, "brokers": []}
        remove = {"operation": "BROKER_REMOVE", "brokerId": 0, "brokers": []}
        move = {"operation": "PARTITION_JOIN", "brokerId": 7, "partitionId": 1}
        new = {"operation": "SOMETHING_NEW", "brokerId": 9}
        seen = read_configuration(self.configuration(add, move, new))
        assert leads_to(seen) == {0, 1, 2, 3}
        assert leads_to(read_configuration(self.configuration(remove))) == {1, 2}

    def test_a_forced_removal_leads_nowhere(self) -> None:
        """It prints the executor as the broker, and is nobody's scaling."""
        forced = {"operation": "BROKER_REMOVE", "brokerId": 0, "brokers": [2]}
        assert leads_to(read_configuration(self.configuration(forced))) is None


def test_a_broker_at_the_address_of_a_task_that_stops_has_no_task() -> None:
    topology = read_topology(
        {"brokers": [{"nodeId": n, "host": f"10.0.0.{n}", "partitions": []} for n in range(3)]}
    )
    tasks = (
        BrokerTask("a", "10.0.0.0", "RUNNING", True),
        BrokerTask("b", "10.0.0.1", "RUNNING", False),
    )
    found = tasks_of_brokers(BrokerService("brokers", 2, (), tasks), topology)
    assert {node: task.task_id for node, task in found.items()} == {0: "a"}


class TestRequest:
    @pytest.mark.parametrize("count", [1, 3, MOST_BROKERS, 4.0])
    def test_a_whole_number_is_taken(self, count: object) -> None:
        assert read_scale_request({"clusterName": "demo", "count": count}).count == count

    @pytest.mark.parametrize(
        "count",
        [0, -1, 31, 1000, "four", "4", 3.5, True, None, [4], {}, float("inf"), float("nan")],
    )
    def test_anything_else_is_refused(self, count: object) -> None:
        with pytest.raises(InvalidRequest, match="count: given"):
            read_scale_request({"clusterName": "demo", "count": count})

    def test_every_wrong_field_at_once(self) -> None:
        with pytest.raises(InvalidRequest) as refused:
            read_scale_request({"clusterName": "Demo!", "cout": 4})
        assert [one["field"] for one in refused.value.problems] == ["cout", "clusterName", "count"]

    @pytest.mark.parametrize("raw", [None, [], "demo", 4])
    def test_no_object_at_all(self, raw: object) -> None:
        with pytest.raises(InvalidRequest):
            read_scale_request(raw)
