"""Decisions about partitions, where the machine's tests do not go: the table, memory, routing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.camunda.payloads import configuration_payload
from lifecycle.camunda.topology import (
    ClusterConfiguration,
    Member,
    MemberState,
    Replica,
    ReplicaState,
    read_configuration,
)
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.names import held_name
from lifecycle.cluster.stack import Stack
from lifecycle.cluster.validation import MOST_PARTITIONS
from lifecycle.errors import (
    ChangeNotCompleted,
    InvalidRequest,
    LifecycleError,
    ManagementUnavailable,
    ProbeAsleep,
    ProbeFailed,
    ScalingRefused,
    StabilizationTimeout,
)
from lifecycle.scaling.decision import Action, Memory, Observed
from lifecycle.scaling.partition_memory import does_not_fit
from lifecycle.scaling.partition_table import (
    TABLE,
    Change,
    Count,
    Partitions,
    possible,
    read_case,
    row_for,
    unfinished,
)
from lifecycle.scaling.partitions import decide_partitions
from lifecycle.scaling.plan import _partition_steps, _placement
from lifecycle.scaling.request import read_scale_request
from lifecycle.services.brokers import (
    active_partitions,
    direction,
    held_partitions,
    partitions_after,
)
from lifecycle.services.live_partitions import LivePartitions, live_partitions

from tests.fakes.management_simulation import SimulatedCluster
from tests.support.scaling import ScalingWorld
from tests.support.world import CONTROL

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture
def world() -> ScalingWorld:
    return ScalingWorld()


def observed(world: ScalingWorld, requested: int) -> Observed:
    assert world.stacks.stack is not None
    return world.reader.observe(
        world.stacks.stack,
        0,
        since="2026-01-01T00:00:00+00:00",
        now=int(world.clock.now().timestamp()),
        with_quota=True,
        partitions=requested,
    )


@pytest.mark.parametrize("change", Change)
@pytest.mark.parametrize("partitions", Partitions)
@pytest.mark.parametrize("count", Count)
def test_the_table_is_complete_and_says_one_thing(
    change: Change, partitions: Partitions, count: Count
) -> None:
    rows = [
        row
        for row in TABLE
        if row.change is change and partitions in row.partitions and count in row.counts
    ]
    assert len(rows) == (1 if possible(change, partitions, count) else 0)
    if rows:
        assert row_for(change, partitions, count) is rows[0]


def growing(done: int = 0) -> SimulatedCluster:
    """A cluster that is given a fourth partition, with so many steps done."""
    cluster = SimulatedCluster(3, 3, 3)
    cluster.patch({"partitions": {"count": 4}}, now=1.0)
    for _ in range(done):
        step = cluster.next_step()
        assert step is not None
        cluster.begin(step, 2.0)
        cluster.complete(step, 3.0)
    return cluster


def read(cluster: SimulatedCluster) -> ClusterConfiguration:
    """As the probe's answer arrives."""
    return read_configuration(configuration_payload(read_configuration(cluster.describe())))


@pytest.mark.parametrize("done", range(6))
def test_a_change_leads_to_its_number_from_its_first_step_to_its_last(done: int) -> None:
    seen = read(growing(done))
    assert seen.pending_change is not None
    assert partitions_after(seen) == 4
    assert direction(seen) == "leads to 4 partitions"
    assert active_partitions(seen) == 3 or done == 5
    assert held_partitions(seen) == (3 if done < 2 else 4)
    assert read_case(seen, 3, 4, 3).change is Change.THERE
    assert read_case(seen, 3, 5, 3).change is Change.ELSEWHERE


def test_a_change_of_brokers_leads_to_no_partitions() -> None:
    cluster = SimulatedCluster(3, 3, 3)
    cluster.patch({"brokers": {"count": 4}}, now=1.0)
    assert partitions_after(read(cluster)) is None
    cluster = SimulatedCluster(3, 3, 3)
    cluster.patch({"brokers": {"count": 4}, "partitions": {"count": 4}}, now=1.0)
    assert read_case(read(cluster), 3, 4, 3).change is Change.ELSEWHERE


@pytest.mark.parametrize(
    ("done", "left"),
    [
        (2, ["3 of 4 partitions take requests", "partition 4 has 1 of 3 copies"]),
        (4, ["3 of 4 partitions take requests"]),
    ],
)
def test_what_a_cancelled_change_left_is_named(done: int, left: list[str]) -> None:
    cluster = growing(done)
    assert cluster.pending is not None
    cluster.cancel(cluster.pending.id, now=4.0)
    seen = read(cluster)
    assert list(unfinished(seen, 3)) == left
    assert read_case(seen, 3, 4, 3).partitions is Partitions.UNFINISHED
    assert read_case(seen, 3, 5, 3).partitions is Partitions.FEWER
    assert read_case(seen, 3, 3, 3).partitions is Partitions.MORE


def test_partitions_that_take_no_requests_are_not_done() -> None:
    """All are placed, nothing is pending, and the routing still names active ones one by one."""
    payload = read_configuration(SimulatedCluster(3, 4, 3).describe())
    document = configuration_payload(payload)
    document["routing"] = {
        "version": 2,
        "requestHandling": {
            "strategy": "ActivePartitions",
            "basePartitionCount": 3,
            "additionalActivePartitions": [4],
            "inactivePartitions": [],
        },
        "messageCorrelation": {"strategy": "HashMod", "partitionCount": 3},
    }
    seen = read_configuration(document)
    assert active_partitions(seen) == 4
    assert read_case(seen, 3, 4, 3).partitions is Partitions.UNFINISHED


def test_what_camunda_does_not_plan_to_finish_is_told(world: ScalingWorld) -> None:
    seen = observed(world, 3)
    configuration, plan = seen.brokers.configuration, seen.brokers.plan
    assert configuration is not None
    assert configuration.routing is not None
    assert plan is not None
    assert plan.is_noop
    stuck = replace(configuration, routing=replace(configuration.routing, settled=False))
    seen = replace(seen, brokers=replace(seen.brokers, configuration=stuck))
    with pytest.raises(
        StabilizationTimeout, match="does not complete the cancelled change"
    ) as told:
        decide_partitions(seen, 3, Memory())
    assert "routing state" in str(told.value.next_step)


def test_backups_that_could_not_be_read_are_in_the_way(world: ScalingWorld) -> None:
    seen = observed(world, 6)
    assert decide_partitions(seen, 6, Memory()).action is Action.CHANGE_PARTITIONS
    seen = replace(seen, brokers=replace(seen.brokers, backups=None))
    with pytest.raises(ScalingRefused, match="no backup in progress: the backups could not be"):
        decide_partitions(seen, 6, Memory())


def test_brokers_that_cannot_be_asked_end_a_fresh_request_after_a_minute(
    world: ScalingWorld,
) -> None:
    world.tasks.desired = 0
    world.pass_seconds(20)
    seen = observed(world, 6)
    decision = decide_partitions(seen, 6, Memory())
    assert decision.action is Action.WAIT
    with pytest.raises(ManagementUnavailable):
        decide_partitions(replace(seen, now=seen.now + 60), 6, decision.memory)


def test_a_change_that_ended_without_them_is_told(world: ScalingWorld) -> None:
    planned = world.brokers.scale_partitions(6)
    world.cluster.cancel(planned.change_id, now=world.brokers.now)
    with pytest.raises(ChangeNotCompleted, match="ended as CANCELLED"):
        decide_partitions(observed(world, 6), 6, Memory(change_id=planned.change_id))


def test_a_count_above_the_brokers_is_refused_with_the_way_out(world: ScalingWorld) -> None:
    world.tasks.desired = 5
    with pytest.raises(ScalingRefused, match="Request the current number of brokers first"):
        decide_partitions(observed(world, 6), 6, Memory())


@pytest.mark.parametrize(
    ("routing", "active", "settled"),
    [
        ({"requestHandling": {"strategy": "AllPartitions", "partitionCount": 3}}, 3, True),
        ({"requestHandling": {"strategy": "ActivePartitions", "basePartitionCount": 3}}, 3, False),
        ({"activePartitions": [1, 2]}, 2, True),
        ({"requestHandling": {"strategy": "SomethingNew"}}, None, False),
        ({}, None, True),
    ],
)
def test_the_routing_travels_as_it_was_read(
    routing: dict[str, Any], active: int | None, settled: bool
) -> None:
    seen = read_configuration({"version": 1, "brokers": [], "routing": {"version": 7, **routing}})
    assert seen.routing is not None
    assert (seen.routing.active_partitions, seen.routing.settled) == (active, settled)
    assert read_configuration(configuration_payload(seen)).routing == seen.routing


class TestMemory:
    @pytest.mark.parametrize(
        ("memory", "partitions", "fits"),
        [(8192, 8, True), (8192, 9, False), (3072, 3, True), (2048, 3, False)],
    )
    def test_up_to_89_each_takes_512_mib_of_one_half(
        self, memory: int, partitions: int, fits: bool
    ) -> None:
        why = does_not_fit({"BrokerMemory": str(memory)}, partitions, fraction=False)
        assert (why == "") is fits

    @pytest.mark.parametrize(
        ("given", "memory", "partitions", "fits"),
        [
            (None, 8192, 25, True),
            (None, 8192, 26, False),
            ("0.1", 3200, 10, True),
            ("0.1", 3199, 10, False),
            ("0.3", 3200, 30, True),
            ("0.3", 3200, 31, False),
        ],
    )
    def test_of_a_part_each_needs_32_mib(
        self, given: str | None, memory: int, partitions: int, fits: bool
    ) -> None:
        parameters = {"BrokerMemory": str(memory)}
        if given is not None:
            parameters["RocksDbMemoryFraction"] = given
        assert (does_not_fit(parameters, partitions, fraction=True) == "") is fits
        if given is not None:
            # A stack that sets the part has it on every version.
            assert (does_not_fit(parameters, partitions, fraction=False) == "") is fits

    @pytest.mark.parametrize("fraction", [True, False])
    def test_a_collector_leaves_a_broker_less(self, fraction: bool) -> None:
        parameters = {
            "BrokerMemory": "4096", "RocksDbMemoryFraction": "0.1", "PrometheusWorkspaceArn": "arn"
        }  # fmt: skip
        assert does_not_fit(parameters, 12, fraction=fraction) == ""
        assert "0.1 of 3904 MiB" in does_not_fit(
            {**parameters, "BrokerMemory": "4160"}, 13, fraction=fraction
        )
        without = {**parameters, "BrokerMemory": "4160", "PrometheusWorkspaceArn": ""}
        assert does_not_fit(without, 13, fraction=fraction) == ""

    @pytest.mark.parametrize("parameters", [{}, {"BrokerMemory": ""}])
    def test_unknown_memory_holds_nothing(self, parameters: dict[str, str]) -> None:
        assert "unknown" in does_not_fit(parameters, 1, fraction=True)


class TestRequest:
    @pytest.mark.parametrize("number", [1, 6, MOST_PARTITIONS, 6.0])
    def test_a_whole_number_is_taken(self, number: object) -> None:
        request = read_scale_request({"clusterName": "demo", "partitions": number})
        assert (request.count, request.partitions) == (0, number)

    @pytest.mark.parametrize("number", [0, -1, MOST_PARTITIONS + 1, "6", 3.5, True, None, [6], {}])
    def test_anything_else_is_refused(self, number: object) -> None:
        with pytest.raises(InvalidRequest, match="partitions: given"):
            read_scale_request({"clusterName": "demo", "partitions": number})


class Probe:
    """Answers the question about partitions, or fails."""

    def __init__(self, partitions: int | None, *, fails: LifecycleError | None = None) -> None:
        self.partitions = partitions
        self.fails = fails
        self.asked: list[str] = []

    def query(
        self, question: str, cluster: Mapping[str, str], **_arguments: object
    ) -> Mapping[str, Any]:
        assert cluster["DiscoveryName"]
        self.asked.append(question)
        if self.fails is not None:
            raise self.fails
        return {"partitions": self.partitions}


class TestLivePartitions:
    @pytest.mark.parametrize("raw", [None, [], "demo", {}, {"clusterName": "Demo"}])
    def test_what_names_no_cluster_is_none(self, world: ScalingWorld, raw: object) -> None:
        probe = Probe(6)
        given = live_partitions(
            raw,
            control_stack=CONTROL,
            stacks=world.stacks,  # type: ignore[arg-type]
            probe=lambda: probe,
        )
        assert (given, probe.asked) == (LivePartitions(), [])

    def found(self, world: ScalingWorld, probe: Probe, **more: object) -> LivePartitions:
        raw = {"clusterName": "demo", **more}
        return live_partitions(
            raw,
            control_stack=CONTROL,
            stacks=world.stacks,  # type: ignore[arg-type]
            probe=lambda: probe,
        )

    @pytest.mark.parametrize(("live", "given"), [(6, {"Partitions": "6"}), (3, {}), (2, {})])
    def test_more_than_the_stack_says_are_given(
        self, world: ScalingWorld, live: int, given: dict[str, str]
    ) -> None:
        found = self.found(world, Probe(live), parameters={})
        assert (found.parameters, found.unread) == (given, "")
        request = {"cluster": "demo", "parameters": {"Partitions": "3", "BrokerCpu": "512"}}
        assert found.into(request) == {
            "cluster": "demo",
            "parameters": {"Partitions": "3", "BrokerCpu": "512", **given},
        }

    @pytest.mark.parametrize(
        "probe", [Probe(None), Probe(None, fails=ProbeFailed("the function ended"))]
    )
    def test_what_brokers_do_not_tell_changes_nothing_and_is_told(
        self, world: ScalingWorld, probe: Probe
    ) -> None:
        found = self.found(world, probe)
        assert found.parameters == {}
        assert found.unread
        told = found.into({"parameters": {"Partitions": "3"}})
        assert told == {"parameters": {"Partitions": "3"}, "partitionsUnread": found.unread}

    def test_a_probe_that_slept_is_no_answer(self, world: ScalingWorld) -> None:
        with pytest.raises(ProbeAsleep):
            self.found(world, Probe(6, fails=ProbeAsleep("not connected yet")))

    def test_nobody_is_asked_where_nothing_is_planned(self, world: ScalingWorld) -> None:
        probe = Probe(6)
        assert self.found(world, probe, changeSet="plan-1") == LivePartitions()
        assert self.found(world, probe, scale={"count": 4}) == LivePartitions()
        assert self.found(world, probe, clusterName="nobody") == LivePartitions()
        stack = world.stacks.stack
        assert isinstance(stack, Stack)
        world.stacks.stack = replace(
            stack,
            outputs=ClusterOutputs({**stack.outputs, "Adopted": "true"}),
            exports={"EcsClusterName": held_name(stack.outputs.ecs_cluster)},
        )
        assert self.found(world, probe) == LivePartitions()
        assert probe.asked == []


@pytest.mark.parametrize(
    ("done", "count", "requested", "said"),
    [
        (None, 3, 4, ["request 4 partitions from Camunda", "accepts requests", "take a backup"]),
        (None, 3, 3, ["accepts requests"]),
        (1, 3, 4, ["follow the change in progress", "accepts requests", "take a backup"]),
    ],
)
def test_a_plan_names_the_steps_that_are_left(
    done: int | None, count: int, requested: int, said: list[str]
) -> None:
    seen = read(SimulatedCluster(3, 3, 3) if done is None else growing(done))
    steps = _partition_steps(read_case(seen, count, requested, 3))
    assert len(steps) == len(said)
    assert [part in step for part, step in zip(said, steps, strict=True)] == [True] * len(said)


def test_a_partition_s_first_broker_is_the_one_of_the_highest_priority() -> None:
    active = ReplicaState.ACTIVE
    members = [
        Member(node, MemberState.ACTIVE, 1, (Replica(1, active, priority),))
        for node, priority in ((0, 1), (1, 3), (2, 2), (3, None))
    ]
    assert _placement(members) == {"1": [1, 2, 0, 3]}
