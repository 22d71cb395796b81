"""Decisions about scaling, where the machine's tests do not go: patience, bounds, words."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from lifecycle.camunda.topology import (
    ClusterConfiguration,
    PendingChange,
    Place,
    PlannedChange,
    formation,
    read_configuration,
    read_planned_change,
    read_topology,
)
from lifecycle.cluster.checks import Result
from lifecycle.cluster.validation import MOST_BROKERS
from lifecycle.errors import (
    InvalidRequest,
    ManagementUnavailable,
    ScalingRefused,
    StabilizationTimeout,
    TasksNotPlaced,
)
from lifecycle.scaling.count import refuse_to_lower
from lifecycle.scaling.decision import Action, Memory, Observed, decide, next_look
from lifecycle.scaling.plan import plan_scaling, plan_text
from lifecycle.scaling.preconditions import preconditions
from lifecycle.scaling.request import read_scale_request
from lifecycle.services.autoscaling import ScalableTarget
from lifecycle.services.brokers import (
    BrokerService,
    BrokerTask,
    half_done_places,
    has_gap,
    incomplete_change,
    leads_to,
    left_unfinished,
    tasks_of_brokers,
)

from tests.fakes.management_simulation import Member, Replica
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
    memory = decide(replace(seen, now=seen.now + 300), 4, decision.memory).memory
    assert decide(replace(seen, now=seen.now + 599), 4, memory).action is Action.WAIT
    with pytest.raises(TasksNotPlaced, match="3 of 4"):
        decide(replace(seen, now=seen.now + 600), 4, memory)


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
    plan = plan_scaling(
        observed(world), cluster="demo", requested=4, region="eu-central-1", parameters={}
    )
    quota = next(check for check in plan["checks"] if check["name"] == "Fargate quota")
    assert quota["result"] == Result.WARN
    assert plan["status"] == "READY"
    assert plan["cost"]["after"]["total"] is None


@pytest.mark.parametrize(("requested", "status"), [(2, "REFUSED"), (3, "UNCHANGED"), (4, "READY")])
def test_only_a_plan_that_can_be_applied_says_how_to_stop_and_undo_it(
    world: ScalingWorld, requested: int, status: str
) -> None:
    plan = plan_scaling(
        observed(world), cluster="demo", requested=requested, region="eu-central-1", parameters={}
    )
    assert plan["status"] == status
    made = {"operationId": "demo.plan.x", "madeAt": "2026-01-01T00:00:00.000Z", "author": None}
    text = plan_text({**plan, **made})
    assert [words in text for words in ("To stop:", "To undo:")] == [status == "READY"] * 2


def test_the_same_step_without_effect_is_not_repeated_for_ever(world: ScalingWorld) -> None:
    memory = Memory()
    for _ in range(5):
        decision = decide(observed(world), 4, memory)
        assert decision.action is Action.SET_COUNT
        memory = decision.memory
    with pytest.raises(StabilizationTimeout, match="after 5 attempts"):
        decide(observed(world), 4, memory)


def test_scaling_out_ends_when_the_load_balancers_find_every_broker_healthy(
    world: ScalingWorld,
) -> None:
    seen = observed(world, 3)
    addresses = {task.address for task in seen.service.running}
    healthy = dict.fromkeys(addresses, "healthy")
    one = sorted(addresses)[0]
    for state in ("initial", "unhealthy", "draining"):
        waiting = {"REST": healthy, "gRPC": {**healthy, one: state}}
        decision = decide(replace(seen, targets=waiting), 3, Memory())
        assert decision.action is Action.WAIT
        assert re.search(f"the gRPC target of broker . is {state}", decision.reason)
    missing = {"REST": {}, "gRPC": healthy}
    decision = decide(replace(seen, targets=missing), 3, Memory())
    assert decision.action is Action.WAIT
    assert "the REST target of broker 0 is missing" in decision.reason
    both = {"REST": healthy, "gRPC": healthy}
    assert decide(replace(seen, targets=both), 3, Memory()).action is Action.DONE


def test_memory_survives_the_state_machine() -> None:
    memory = Memory(before=3, begun=True, change_id=7, survivors={"t-1": 0}, notes=("one",))
    assert Memory.from_state(memory.as_state()) == memory


def test_what_only_looks_wrong_is_waited_for_and_then_refused(world: ScalingWorld) -> None:
    world.cluster.brokers[2].ready = False
    seen = observed(world)
    decision = decide(seen, 4, Memory())
    assert decision.action is Action.WAIT
    assert "partitions healthy: " in decision.reason
    assert decision.memory.back_to == 0, "nothing was asked for, so nothing is to be taken back"
    assert decide(replace(seen, now=seen.now + 19), 4, decision.memory).action is Action.WAIT
    with pytest.raises(ScalingRefused, match="partitions healthy"):
        decide(replace(seen, now=seen.now + 20), 4, decision.memory)


def test_what_is_wrong_for_good_is_refused_at_once_with_all_that_looks_wrong(
    world: ScalingWorld,
) -> None:
    world.cluster.brokers[2].ready = False
    world.quota.limit, world.quota.used = 14.0, 13.0
    with pytest.raises(ScalingRefused, match=r"partitions healthy: .*Fargate quota: "):
        decide(observed(world), 4, Memory())


@pytest.mark.parametrize("requested", [3, 4, 5])
def test_a_plan_that_gives_up_copies_is_never_carried_out(
    world: ScalingWorld, requested: int
) -> None:
    """After a forced removal Camunda plans with the lower factor, whatever was configured."""
    assert world.tasks.desired == 3
    seen = observed(world, requested)
    assert seen.brokers.plan is not None
    fewer = tuple(
        replace(member, partitions=member.partitions[:1]) for member in seen.brokers.plan.expected
    )
    plan = replace(seen.brokers.plan, expected=fewer)
    checks = preconditions(
        service=seen.service,
        brokers=replace(seen.brokers, plan=plan),
        surroundings=seen.surroundings,
        requested=requested,
        partitions=3,
        replication_factor=3,
        out=False,
        begun=False,
    )
    (check,) = [one for one in checks if one.result is Result.FAIL]
    assert check.name == "every copy is kept"
    assert re.search(r"partition \d would have [012] of 3", check.seen)
    assert "replicationFactor" in check.remedy


@pytest.mark.parametrize(
    ("versions", "result"),
    [
        (("8.9.16",) * 3, Result.FAIL),
        (("8.9.16", "8.10.0", "8.10.0"), Result.FAIL),
        (("8.10.0",) * 3, Result.WARN),
        (("9.0.1",) * 3, Result.WARN),
        (("", "8.10.0", "8.10.0"), Result.FAIL),
        (("SNAPSHOT",) * 3, Result.FAIL),
    ],
)
def test_a_broker_without_partitions_is_refused_where_it_is_not_known_to_get_ready(
    world: ScalingWorld, versions: tuple[str, ...], result: Result
) -> None:
    seen = observed(world, 6)
    topology = seen.brokers.topology
    assert topology is not None
    brokers = tuple(
        replace(broker, version=version)
        for broker, version in zip(topology.brokers, versions, strict=True)
    )
    checks = preconditions(
        service=seen.service,
        brokers=replace(seen.brokers, topology=replace(topology, brokers=brokers)),
        surroundings=seen.surroundings,
        requested=6,
        partitions=3,
        replication_factor=3,
        out=True,
        begun=False,
    )
    (check,) = [one for one in checks if one.name == "every broker gets a partition"]
    assert check.result is result
    assert "broker 5 would hold none of the 3 partitions" in check.seen


def test_a_plan_tells_that_the_present_number_does_not_finish_what_was_begun(
    world: ScalingWorld,
) -> None:
    """A cancelled 4 → 3 left a replica joining; only asking for 3 again goes on with it."""
    world.cluster.members[3] = Member()
    world.cluster.leases = world.tasks.desired = 4
    for partition in (2, 3):
        moved = world.cluster.members[0].partitions.pop(partition)
        world.cluster.members[3].partitions[partition] = moved
    world.cluster.members[0].partitions[2] = Replica("JOINING", 1)
    world.pass_seconds(10)

    def plan(requested: int) -> dict[str, Any]:
        return plan_scaling(
            observed(world, requested),
            cluster="demo",
            requested=requested,
            region="eu-central-1",
            parameters={},
        )

    assert plan(4)["status"] == "REFUSED"
    assert "no half-done change: partition 2 is JOINING on broker 0" in plan(4)["refusal"]
    assert plan(3)["status"] == "READY", plan(3)["refusal"]


class TestHalfDone:
    def configuration(self, **states: str) -> ClusterConfiguration:
        """Three copies of partition 1 on brokers 0, 1, 2; more by broker and state."""
        placed = {0: "ACTIVE", 1: "ACTIVE", 2: "ACTIVE"}
        placed |= {int(node[1:]): state for node, state in states.items()}
        return read_configuration(
            {
                "brokers": [
                    {"id": n, "state": "ACTIVE", "partitions": [{"id": 1, "state": state}]}
                    for n, state in placed.items()
                ]
            }
        )

    def plan(self, *operations: tuple[str, int]) -> PlannedChange:
        planned = [
            {"operation": kind, "brokerId": node, "partitionId": 1} for kind, node in operations
        ]
        shape = {"changeId": 9, "currentTopology": [], "expectedTopology": []}
        return read_planned_change({**shape, "plannedChanges": planned})

    def test_three_copies_are_whole(self) -> None:
        assert incomplete_change(self.configuration(), 3) == ()

    @pytest.mark.parametrize("state", ["JOINING", "LEAVING"])
    def test_what_comes_or_goes_is_finished_by_a_step_about_it(self, state: str) -> None:
        seen = self.configuration(b3=state)
        assert left_unfinished(seen, None, 3) == (f"partition 1 is {state} on broker 3",)
        assert left_unfinished(seen, self.plan(("PARTITION_LEAVE", 2)), 3) != ()
        assert left_unfinished(seen, self.plan(("PARTITION_LEAVE", 3)), 3) == ()
        assert left_unfinished(seen, self.plan(("PARTITION_JOIN", 3)), 3) == ()
        assert half_done_places(seen, 3) == {(3, 1)}

    def test_what_has_come_while_nothing_has_gone_yet(self) -> None:
        seen = self.configuration(b3="ACTIVE")
        assert incomplete_change(seen, 3) == ("partition 1 has 4 of 3 copies",)
        plan = self.plan(("PARTITION_LEAVE", 0))
        assert left_unfinished(seen, plan, 3) == ()
        assert half_done_places(seen, 3) == {(None, 1)}

    @pytest.mark.parametrize("leader", range(4))
    @pytest.mark.parametrize(
        ("places", "sick", "well"),
        [
            ({(None, 1)}, None, True),
            ({(None, 1)}, 2, True),  # three healthy copies are left
            ({(3, 1)}, None, True),
            ({(3, 1)}, 3, True),
            ({(3, 1)}, 2, False),
            (set(), None, False),  # four of three, and nothing half-done explains it
        ],
    )
    def test_the_copies_that_count_are_there_and_somebody_leads(
        self, leader: int, places: set[Place], sick: int | None, well: bool
    ) -> None:
        def replica(node: int) -> dict[str, object]:
            role = "leader" if node == leader else "follower"
            health = "unhealthy" if node == sick else "healthy"
            return {"partitionId": 1, "role": role, "health": health}

        seen = read_topology(
            {"brokers": [{"nodeId": n, "host": "", "partitions": [replica(n)]} for n in range(4)]}
        )
        formed = formation(
            None, seen, brokers=0, partitions=1, replication_factor=3, incomplete_change=places
        )
        assert formed.formed is well

    def test_nothing_is_half_done_while_a_change_is_under_way(self) -> None:
        seen = replace(self.configuration(b3="ACTIVE"), pending_change=PendingChange(7, (), ()))
        assert incomplete_change(seen, 3) == ()


@pytest.mark.parametrize(
    ("ids", "requested", "gap"),
    [
        ([0, 1, 2], 3, False),
        ([0, 1, 2], 9, False),
        ([0, 1, 2, 4, 5], 3, False),  # a removal of 3, 4 and 5 that was cancelled
        ([0, 1, 2, 4, 5], 4, True),
        ([0, 1, 2, 4, 5], 6, True),
        ([0, 2, 3], 3, True),
        (["zone-a_0", "zone-b_0", "zone-b_1"], 3, True),
    ],
)
def test_a_hole_is_in_the_way_only_of_what_would_fill_it(
    ids: list[object], requested: int, gap: bool
) -> None:
    seen = read_configuration({"brokers": [{"id": n, "state": "ACTIVE"} for n in ids]})
    assert has_gap(seen, requested) is gap


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
        with pytest.raises(StabilizationTimeout, match="was not lowered from 3 to 2"):
            refuse_to_lower(self.service(*until), 2, ["t-0", "t-1"], self.NOW)

    def test_fewer_named_than_stay_is_refused(self) -> None:
        with pytest.raises(StabilizationTimeout):
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
        assert leads_to(seen) == frozenset({0, 1, 2, 3})
        assert leads_to(read_configuration(self.configuration(remove))) == frozenset({1, 2})

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


def test_a_task_with_an_id_that_no_member_has_is_named_when_a_broker_is_missing(
    world: ScalingWorld,
) -> None:
    """A cancelled change left a lease; the replacement of the broker that died took that one."""
    seen = observed(world, 3)
    topology = seen.brokers.topology
    assert topology is not None
    first, *others = topology.brokers
    assert first.node_id == 0
    taken = replace(first, node_id=3, partitions=())
    brokers = replace(seen.brokers, topology=replace(topology, brokers=(*others, taken)))
    task = tasks_of_brokers(seen.service, topology)[0]
    words = f"task {task.task_id} runs broker 3, which does not belong to the cluster"
    seen = replace(seen, brokers=brokers)
    fresh, settling = decide(seen, 4, Memory()), decide(seen, 3, Memory(begun=True))
    with pytest.raises(ScalingRefused, match=words):
        decide(replace(seen, now=seen.now + 60), 4, fresh.memory)
    for seconds in (300, 600):
        settling = decide(replace(seen, now=seen.now + seconds), 3, settling.memory)
    with pytest.raises(StabilizationTimeout, match=words):
        decide(replace(seen, now=seen.now + 900), 3, settling.memory)


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


@pytest.mark.parametrize(("suspended", "refused"), [(False, True), (True, False)])
def test_nothing_is_scaled_while_something_else_may_set_the_count(
    world: ScalingWorld, suspended: bool, refused: bool
) -> None:
    assert world.stacks.stack is not None
    cluster = world.stacks.stack.outputs
    world.scalable.registered.append(
        ScalableTarget(
            cluster["EcsClusterName"], cluster["OrchestrationServiceName"], 1, 9, suspended
        )
    )
    if refused:
        with pytest.raises(ScalingRefused, match="any number from 1 to 9"):
            decide(observed(world), 4, Memory())
    else:
        assert decide(observed(world), 4, Memory()).action is Action.SET_COUNT
