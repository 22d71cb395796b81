"""The scale machine's real definition, on brokers and tasks in memory that really move."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pytest
from lifecycle.errors import AwsUnavailable, ManagementOutcomeUnknown, ManagementRefused
from lifecycle.operation.model import FUNCTION_SECONDS, Acting
from lifecycle.services.startup import Deployment

from tests.fakes.management_simulation import Member
from tests.statemachines.engine import Control, run
from tests.support.declared import in_clear
from tests.support.definitions import Function, Result, load_handler
from tests.support.scaling import SETTINGS, ScalingWorld, scale_functions, scale_operation
from tests.support.world import REGISTRIES

if TYPE_CHECKING:
    from collections.abc import Callable

FUNCTIONS = tuple(scale_functions(ScalingWorld()))


class Scale:
    """The scale machine on a running cluster in memory; every wait lets its time pass."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        dialect: Literal["8.6", "8.9", "8.10"] = "8.9",
        brokers: int = 3,
        **more: Any,
    ) -> None:
        self.world = ScalingWorld(brokers, dialect=dialect, **more)
        self.monkeypatch = monkeypatch
        self.on_wait: Callable[[], None] = lambda: None
        self.functions = scale_functions(self.world)

    def run(
        self, count: Any, number: int = 1, control: Control | None = None, **more: Any
    ) -> Result:
        return self.given({"count": count, **more}, number, control)

    def add(self, partitions: Any, number: int = 1, control: Control | None = None) -> Result:
        return self.given({"partitions": partitions}, number, control)

    def given(
        self, asked: dict[str, Any], number: int = 1, control: Control | None = None
    ) -> Result:
        def waited(seconds: int) -> None:
            self.world.pass_seconds(seconds)
            self.on_wait()

        return run(
            "scale",
            self.functions,
            {"clusterName": "demo", **asked},
            monkeypatch=self.monkeypatch,
            on_wait=waited,
            name=scale_operation(number).operation_id,
            control=control,
        )

    def interrupt(
        self, function: str, error: Exception, times: int = 1, *, after: bool = True
    ) -> None:
        """Let a function die before or after its work."""
        real = self.functions[function]
        left = [error] * times

        def dying(event: dict[str, Any]) -> Any:
            if left and not after:
                raise left.pop()
            answer = real(event)
            if left:
                raise left.pop()
            return answer

        self.functions[function] = dying

    def settled(self, count: int) -> None:
        """Everything is at rest with so many brokers, and nothing is left behind."""
        world = self.world
        assert world.members == list(range(count))
        assert world.cluster.pending is None
        assert world.tasks.desired == count
        assert world.running == list(range(count))
        assert world.protected == 0
        assert world.table.locks == {}


@pytest.fixture(params=["8.9", "8.6"])
def scale(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Scale:
    return Scale(monkeypatch, request.param)


def test_nobody_scales_alone_under_the_rule_of_two(scale: Scale) -> None:
    scale.world.two_people_for = frozenset({"scale"})
    result = scale.run(4)
    assert (result.status, result.error) == ("FAILED", "SecondApproverRequired")
    assert "the field approves is missing" in result.cause
    scale.settled(3)


def test_out_and_in_again(scale: Scale) -> None:
    out = scale.run(4)
    assert out.status == "SUCCEEDED", out.cause
    scale.settled(4)
    assert scale.world.tasks.minimum_healthy == 75
    assert out.output["verification"]["brokers"] == {"before": 3, "after": 4}
    assert out.output["verification"]["change"]["operations"] > 0
    assert {check["result"] for check in out.output["verification"]["checks"]} == {"PASS"}

    back = scale.run(3, number=2)
    assert back.status == "SUCCEEDED", back.cause
    scale.settled(3)
    assert scale.world.tasks.minimum_healthy == 66
    assert set(scale.world.tasks.stopped_by_ecs) <= {3}
    assert scale.world.management.writes == 2


def test_scaling_out_waits_until_a_load_balancer_has_registered_the_targets(scale: Scale) -> None:
    scale.world.targets.health("arn:grpc")  # the present brokers' targets have been there for long
    scale.world.targets.seconds = 240
    begun = scale.world.clock.now()
    result = scale.run(4)
    assert result.status == "SUCCEEDED"
    assert (scale.world.clock.now() - begun).total_seconds() >= 240
    assert {one.state for one in scale.world.targets.health("arn:grpc")} == {"healthy"}
    scale.settled(4)


def test_several_at_once(scale: Scale) -> None:
    result = scale.run(5)
    assert result.status == "SUCCEEDED", result.cause
    scale.settled(5)
    assert {check["result"] for check in result.output["verification"]["checks"]} == {"PASS"}
    assert scale.run(3, number=2).status == "SUCCEEDED"
    scale.settled(3)
    assert set(scale.world.tasks.stopped_by_ecs) <= {3, 4}


def test_a_broker_without_partitions_is_a_warning_from_810_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scale = Scale(monkeypatch, "8.10")
    result = scale.run(6)
    assert result.status == "SUCCEEDED", result.cause
    scale.settled(6)
    notes = {check["name"]: check for check in result.output["verification"]["checks"]}
    seen = notes["brokers without partitions"]["seen"]
    assert seen == "broker 5 holds none: there are not enough partitions"
    assert scale.run(3, number=2).status == "SUCCEEDED"
    scale.settled(3)


def test_brokers_without_partitions_that_are_there_are_named_and_can_leave(scale: Scale) -> None:
    """Somebody sent the change to Camunda directly; the machine gives it its tasks."""
    scale.world.brokers.scale_brokers(6)
    result = scale.run(6)
    assert result.status == "SUCCEEDED", result.cause
    notes = {check["name"]: check for check in result.output["verification"]["checks"]}
    assert "ECS replaces its task repeatedly" in notes["brokers without partitions"]["seen"]
    assert scale.run(5, number=2).status == "SUCCEEDED"
    scale.settled(5)


def test_the_present_number_changes_nothing(scale: Scale) -> None:
    result = scale.run(3)
    assert result.status == "SUCCEEDED", result.cause
    assert scale.world.management.writes == 0
    assert scale.world.tasks.started == 3
    scale.settled(3)


@pytest.mark.parametrize("count", [0, -1, 31, 1000, "four", "4", 3.5, True, None, [4]])
def test_a_count_that_is_none_is_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, count: Any
) -> None:
    scale = Scale(monkeypatch)
    result = scale.run(count)
    assert (result.status, result.error) == ("FAILED", "InvalidRequest")
    assert "count" in result.cause
    assert result.calls == ["ValidateScaling"]


def test_unknown_fields_and_clusters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    scale = Scale(monkeypatch)
    result = scale.run(4, force=True)
    assert result.error == "InvalidRequest"
    assert "force" in result.cause
    scale.world.stacks.stack = None
    result = scale.run(4, number=2)
    assert (result.error, "no cluster demo" in result.cause) == ("ClusterNotFound", True)


def test_a_frozen_cluster_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    scale = Scale(monkeypatch)
    assert scale.world.stacks.stack is not None
    present = scale.world.stacks.stack.tags
    frozen = replace(
        scale.world.stacks.stack, tags={**present, "camunda:frozen": "audit until Friday"}
    )
    scale.world.stacks.stack = frozen
    result = scale.run(4)
    assert result.error == "ClusterFrozen"
    assert "audit until Friday" in result.cause
    assert result.calls == ["ValidateScaling"]


def test_a_second_operation_is_refused_and_the_first_one_named(scale: Scale) -> None:
    scale.world.journal.begin(scale_operation(7))
    result = scale.run(4)
    assert (result.status, result.error) == ("FAILED", "ClusterBusy")
    assert "demo.scale.7" in result.cause
    assert scale.world.tasks.desired == 3


def refused(scale: Scale, count: int, check: str) -> Result:
    before = (scale.world.tasks.desired, scale.world.members, scale.world.management.writes)
    result = scale.run(count)
    assert (result.status, result.error) == ("FAILED", "ScalingRefused"), result.cause
    assert f"{check}:" in result.cause
    assert " → " in result.cause
    after = (scale.world.tasks.desired, scale.world.members, scale.world.management.writes)
    assert after == before
    assert scale.world.table.locks == {}
    return result


class TestRefusals:
    def test_below_the_replication_factor(self, scale: Scale) -> None:
        before = (scale.world.tasks.desired, scale.world.management.writes)
        result = scale.run(2)
        assert (result.status, result.error) == ("FAILED", "InvalidRequest"), result.cause
        assert "count: given 2; allowed: at least 3, the replication factor" in result.cause
        assert (scale.world.tasks.desired, scale.world.management.writes) == before
        assert scale.world.table.locks == {}

    def test_a_broker_that_would_hold_no_partition(self, scale: Scale) -> None:
        result = refused(scale, 6, "every broker gets a partition")
        assert "broker 5 would hold none of the 3 partitions" in result.cause

    def test_a_dead_broker_though_the_configuration_calls_it_active(self, scale: Scale) -> None:
        scale.world.tasks.refusal = "no capacity"
        scale.world.tasks.stop_broker(2)
        scale.world.pass_seconds(10)
        assert scale.world.brokers.configuration().members[2].state == "ACTIVE"
        result = refused(scale, 4, "every broker runs")
        assert "broker 2" in result.cause
        assert "partitions healthy:" in result.cause

    def test_a_foreign_change(self, scale: Scale) -> None:
        scale.world.brokers.scale_brokers(5)
        result = scale.run(4)
        assert result.error == "ScalingRefused"
        assert "no other cluster change:" in result.cause
        assert scale.world.tasks.desired == 3
        # It waits for brokers that nobody starts: the way out is to ask for what it leads to.
        assert "leads to 5 brokers" in result.cause
        assert scale.run(5, number=2).status == "SUCCEEDED"
        scale.settled(5)

    def test_a_gap_in_the_ids(self, scale: Scale) -> None:
        del scale.world.cluster.members[1]
        refused(scale, 4, "broker ids without a gap")

    def test_a_stack_update(self, scale: Scale) -> None:
        assert scale.world.stacks.stack is not None
        scale.world.stacks.stack = replace(scale.world.stacks.stack, status="UPDATE_IN_PROGRESS")
        refused(scale, 4, "stack at rest")

    def test_a_deployment(self, scale: Scale) -> None:
        scale.world.tasks.deployments = (
            Deployment("d-2", "PRIMARY", "IN_PROGRESS", "", 0),
            *scale.world.tasks.deployments,
        )
        refused(scale, 4, "no deployment in progress")

    def test_the_quota(self, scale: Scale) -> None:
        scale.world.quota.limit, scale.world.quota.used = 14.0, 13.0
        result = refused(scale, 4, "Fargate quota")
        assert "4 vCPU more, 1 of 14 free" in result.cause

    def test_a_count_that_agrees_with_nothing_names_the_way_out(self, scale: Scale) -> None:
        scale.world.tasks.desired = 7
        scale.world.pass_seconds(5)
        result = refused(scale, 5, "counts agree")
        assert "Request the current number of brokers first" in result.cause
        assert scale.run(3, number=2).status == "SUCCEEDED"
        assert scale.run(5, number=3).status == "SUCCEEDED"
        scale.settled(5)

    def test_a_version_that_cannot_scale(
        self, scale: Scale, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        versions = {"8.6": "8.9.0-alpha3", "8.9": "8.9.0-alpha3"}
        monkeypatch.setattr("tests.fakes.management_simulation.VERSIONS", versions)
        result = refused(scale, 4, "version can scale")
        assert "8.9.0-alpha3" in result.cause


def test_tasks_that_cannot_be_placed_are_taken_back(scale: Scale) -> None:
    scale.world.tasks.refusal = "service demo was unable to place a task."
    begun = scale.world.clock.now()
    result = scale.run(4)
    assert (result.status, result.error) == ("FAILED", "TasksNotPlaced"), result.cause
    assert "unable to place a task" in result.cause
    assert "runs 3 of 3 tasks" in result.cause
    waited = (scale.world.clock.now() - begun).total_seconds()
    assert 600 <= waited < 700, "ECS goes on trying, so it is waited for"
    scale.settled(3)
    assert scale.world.management.writes == 0
    assert scale.world.tasks.stopped_by_ecs == []
    scale.world.tasks.refusal = ""
    assert scale.run(4, number=2).status == "SUCCEEDED"


def test_capacity_that_comes_back_is_enough(scale: Scale) -> None:
    scale.world.tasks.refusal = "service demo was unable to place a task."
    waits: list[int] = []

    def capacity_comes_back() -> None:
        waits.append(len(scale.world.tasks.unplaced))
        if len(waits) == 20:
            scale.world.tasks.refusal = ""

    scale.on_wait = capacity_comes_back
    result = scale.run(4)
    assert result.status == "SUCCEEDED", result.cause
    assert waits[18] > 2
    scale.settled(4)


def test_a_refusal_by_camunda_lowers_the_count_again(scale: Scale) -> None:
    scale.world.management.lost = ["refused"]
    result = scale.run(4)
    assert (result.status, result.error) == ("FAILED", "ManagementRefused"), result.cause
    assert "not like this" in result.cause
    assert set(scale.world.tasks.stopped_by_ecs) <= {3}
    scale.settled(3)


def test_tasks_that_hang_without_a_node_id_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From 8.9 on the new task is no broker, and never healthy, before the change was sent."""
    scale = Scale(monkeypatch, "8.9")
    seen: list[list[int | None]] = []
    real = scale.functions["ChangeBrokers"]

    def change(event: dict[str, Any]) -> Any:
        seen.append(scale.world.running)
        return real(event)

    scale.functions["ChangeBrokers"] = change
    assert scale.run(4).status == "SUCCEEDED"
    assert seen == [[0, 1, 2, None]]


@pytest.mark.parametrize("how", ["before", "after"])
def test_a_write_without_an_answer_is_read_and_never_sent_blindly(scale: Scale, how: str) -> None:
    scale.world.management.lost = [how]
    result = scale.run(4)
    assert result.status == "SUCCEEDED", result.cause
    scale.settled(4)
    assert scale.world.management.writes == {"before": 2, "after": 1}[how]


def test_the_joining_broker_dies_and_comes_back(scale: Scale) -> None:
    killed: list[int] = []

    def kill_the_new_one_once() -> None:
        if scale.world.cluster.pending is not None and not killed:
            killed.append(3)
            scale.world.tasks.stop_broker(3)

    scale.on_wait = kill_the_new_one_once
    result = scale.run(4)
    assert result.status == "SUCCEEDED", result.cause
    assert killed
    scale.settled(4)


def test_a_change_that_is_stuck_is_left_in_place_and_followed_by_the_next_run(
    scale: Scale,
) -> None:
    def never_comes() -> None:
        if scale.world.cluster.pending is not None:
            scale.world.tasks.refusal = "no capacity"
            scale.world.tasks.stop_broker(3)

    scale.on_wait = never_comes
    result = scale.run(4)
    assert (result.status, result.error) == ("FAILED", "ChangeStuck"), result.cause
    assert "broker 3" in result.cause
    assert "never cancel" in result.cause
    pending = scale.world.cluster.pending
    assert pending is not None
    assert scale.world.tasks.desired == 4

    scale.on_wait = lambda: None
    scale.world.tasks.refusal = ""
    result = scale.run(4, number=2)
    assert result.status == "SUCCEEDED", result.cause
    assert scale.world.management.writes == 1
    assert result.output["verification"]["change"]["id"] == pending.id
    scale.settled(4)


def test_tasks_that_took_the_place_of_a_broker_that_the_change_waits_for_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ids that a cancelled change left are as good for a new task as those of brokers that died."""
    scale = Scale(monkeypatch, "8.9", brokers=4, partitions=4)
    world = scale.world
    world.cluster.leases, world.tasks.desired = 7, 6
    world.pass_seconds(10)
    world.tasks.desired = 4
    world.tasks.stop_broker(2)
    world.tasks.stop_broker(3)
    world.pass_seconds(10)
    assert world.running == [0, 1, 4, 5]
    world.brokers.scale_brokers(3)
    stuck = scale.run(3)
    assert (stuck.status, stuck.error) == ("FAILED", "ChangeStuck"), stuck.cause
    outside = re.findall(r"task (\S+) runs broker (\d+), which does not belong", stuck.cause)
    assert [node for _, node in outside] == ["4", "5"]
    for node in (4, 5):
        world.tasks.stop_broker(node)
    world.pass_seconds(10)
    result = scale.run(3, number=2)
    assert result.status == "SUCCEEDED", result.cause
    scale.settled(3)


def test_the_coordinator_is_away_during_a_change(scale: Scale) -> None:
    away: list[int] = []

    def stop_broker_0_once() -> None:
        if scale.world.cluster.pending is not None and not away:
            away.append(0)
            scale.world.tasks.stop_broker(0)

    scale.on_wait = stop_broker_0_once
    result = scale.run(4)
    assert result.status == "SUCCEEDED", result.cause
    assert away
    scale.settled(4)


def test_a_cancelled_change_is_told_and_finished_by_the_next_run(scale: Scale) -> None:
    def cancel() -> None:
        pending = scale.world.cluster.pending
        if pending is not None and sum(step.done is not None for step in pending.steps) >= 2:
            scale.world.cluster.cancel(pending.id, now=pending.started + 1)

    scale.on_wait = cancel
    result = scale.run(4)
    assert (result.status, result.error) == ("FAILED", "ChangeNotCompleted"), result.cause
    scale.on_wait = lambda: None
    result = scale.run(4, number=2)
    assert result.status == "SUCCEEDED", result.cause
    scale.settled(4)


def cancelled_after(scale: Scale, count: int, state: str) -> None:
    """Scale, and cancel the change as soon as a replica is in that state."""

    def cancel() -> None:
        cluster = scale.world.cluster
        states = {r.state for m in cluster.members.values() for r in m.partitions.values()}
        if cluster.pending is not None and state in states:
            cluster.cancel(cluster.pending.id, now=cluster.pending.started + 1)

    scale.world.cluster.step_seconds = 2.0
    scale.on_wait = cancel
    result = scale.run(count)
    assert (result.status, result.error) == ("FAILED", "ChangeNotCompleted"), result.cause
    scale.on_wait = lambda: None
    scale.world.cluster.step_seconds = 0.3


@pytest.mark.parametrize("state", ["JOINING", "LEAVING"])
def test_a_cancelled_scale_in_is_gone_on_with_by_asking_for_it_again(
    scale: Scale, state: str
) -> None:
    assert scale.run(5).status == "SUCCEEDED"
    cancelled_after(scale, 3, state)
    result = scale.run(3, number=3)
    assert result.status == "SUCCEEDED", result.cause
    scale.settled(3)


def test_what_the_present_number_cannot_finish_is_told_with_the_way_out(scale: Scale) -> None:
    """Camunda plans nothing for a replica that joins where it is not wanted."""
    assert scale.run(4).status == "SUCCEEDED"
    cancelled_after(scale, 3, "JOINING")
    result = scale.run(4, number=3)
    assert (result.status, result.error) == ("FAILED", "StabilizationTimeout"), result.cause
    assert "JOINING" in result.cause
    assert "Request the number of brokers that the cancelled change led to" in result.cause
    assert scale.run(3, number=4).status == "SUCCEEDED"
    scale.settled(3)


def test_a_broker_that_a_cancelled_change_left_joining_is_removed_by_the_number_below_it(
    scale: Scale,
) -> None:
    """Camunda adds no broker that it knows already: three to six, cancelled during the first."""
    scale.world.cluster.leases = 6
    scale.world.cluster.members[3] = Member(state="JOINING")
    scale.world.tasks.desired = 6
    scale.world.pass_seconds(10)
    advice = "A broker that is JOINING is removed by a request for the number of brokers below it"
    assert advice in refused(scale, 6, "no half-done change").cause
    current = scale.run(4, number=2)
    assert (current.status, current.error) == ("FAILED", "StabilizationTimeout"), current.cause
    assert "broker 3 is JOINING" in current.cause
    assert advice in current.cause
    assert scale.run(3, number=3).status == "SUCCEEDED"
    assert scale.run(4, number=4).status == "SUCCEEDED"
    scale.settled(4)


def test_a_removal_of_several_that_left_a_hole_is_gone_on_with(scale: Scale) -> None:
    """Six to three, cancelled when the first of three brokers was out of the configuration."""
    world = scale.world
    world.cluster.leases = world.tasks.desired = 6
    world.cluster.members |= {4: Member(), 5: Member()}
    world.pass_seconds(10)
    refused(scale, 5, "broker ids without a gap")
    assert scale.run(3, number=2).status == "SUCCEEDED"
    scale.settled(3)


def test_a_gateway_that_has_not_heard_of_everything_yet_is_asked_again(scale: Scale) -> None:
    presence = scale.world.cluster.brokers[2]
    presence.ready = False
    presence.started = scale.world.brokers.now + 5
    started = scale.world.brokers._started
    started[2] = presence.started
    assert scale.run(4).status == "SUCCEEDED"
    scale.settled(4)


def test_a_survivor_that_ecs_stops_is_waited_for_and_told(scale: Scale) -> None:
    scale.run(4)
    lowered: list[int] = []

    def ecs_ignores_protection() -> None:
        if scale.world.tasks.desired == 3 and not lowered:
            lowered.append(1)
            scale.world.tasks.stop_broker(1)

    scale.on_wait = ecs_ignores_protection
    result = scale.run(3, number=2)
    assert result.status == "SUCCEEDED", result.cause
    told = [
        check["seen"]
        for check in result.output["verification"]["checks"]
        if check["name"] == "notes"
    ]
    assert any("broker 1" in text for text in told)
    scale.settled(3)


def test_a_count_lowered_by_hand_under_living_brokers_is_put_right_first(scale: Scale) -> None:
    scale.run(4)
    scale.world.tasks.desired = 3
    scale.world.pass_seconds(10)
    result = scale.run(3, number=2)
    assert result.status == "SUCCEEDED", result.cause
    scale.settled(3)


def test_left_over_protection_is_taken_away(scale: Scale) -> None:
    scale.world.tasks.protect("", list(scale.world.tasks.tasks), minutes=15)
    assert scale.run(3).status == "SUCCEEDED"
    scale.settled(3)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("error", [AwsUnavailable("lost"), type("Timedout", (Exception,), {})()])
def test_a_function_that_dies_after_its_side_effect_is_repeated_harmlessly(
    monkeypatch: pytest.MonkeyPatch, function: str, error: Exception
) -> None:
    if not isinstance(error, AwsUnavailable):
        # As AWS names a function that ran out of time.
        type(error).__name__ = "Sandbox.Timedout"
    for first, second in ((3, 4), (4, 3)):
        scale = Scale(monkeypatch, brokers=first)
        scale.interrupt(function, error)
        result = scale.run(second)
        assert result.status == "SUCCEEDED", result.cause
        scale.settled(second)
        assert scale.world.management.writes == 1
        assert set(scale.world.tasks.stopped_by_ecs) <= {3}


@pytest.mark.parametrize("function", FUNCTIONS[2:6])
@pytest.mark.parametrize("after", [True, False])
def test_what_cannot_be_repeated_any_more_ends_in_words_and_the_next_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, function: str, after: bool
) -> None:
    scale = Scale(monkeypatch, brokers=4)
    whole = dict(scale.functions)
    scale.interrupt(function, AwsUnavailable("throttled"), times=7, after=after)
    result = scale.run(3)
    assert (result.status, result.error) == ("FAILED", "AwsUnavailable")
    assert "throttled" in result.cause
    assert scale.world.table.locks == {}
    scale.functions = whole
    result = scale.run(3, number=2)
    assert result.status == "SUCCEEDED", result.cause
    scale.settled(3)
    assert scale.world.management.writes == 1


def test_transitions_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    for first, second in ((3, 4), (4, 3)):
        scale = Scale(monkeypatch, brokers=first)
        result = scale.run(second)
        polls = result.states.count("WaitForBrokers")
        assert len(result.states) <= 40 + 3 * polls
        assert len(result.states) <= 60


def test_the_report_tells_the_timeline(scale: Scale) -> None:
    result = scale.run(4)
    report = json.loads(scale.world.artifacts.objects[result.output["reportKey"]])
    steps = [entry["step"] for entry in report["timeline"]]
    assert steps[0] == "Tasks start"
    assert "Cluster change" in steps
    assert steps[-1] == "Verification"
    assert "a password" not in json.dumps(report)


def test_the_report_and_its_page_show_the_brokers_before_during_and_after(scale: Scale) -> None:
    result = scale.run(4)
    report = json.loads(scale.world.artifacts.objects[result.output["reportKey"]])
    stages = {
        stage: [one["broker"] for one in seen["brokers"]]
        for stage, seen in report["topologies"].items()
    }
    assert stages == {"before": [0, 1, 2], "during": [0, 1, 2, 3], "after": [0, 1, 2, 3]}
    during = report["topologies"]["during"]["brokers"]
    states = {one["state"] for row in during for one in row["partitions"].values()}
    assert states - {"ACTIVE"} or {row["state"] for row in during} - {"ACTIVE"}
    assert report["topologies"]["before"]["at"] < report["topologies"]["after"]["at"]
    cost = report["verification"]["cost"]
    assert float(cost["before"]["total"]) < float(cost["after"]["total"])
    page = scale.world.artifacts.objects[report["pageKey"]].decode()
    assert "Before, " in page
    assert "broker 3" in page.lower()
    # It is in the bucket only: a state machine's state is small.
    assert "topologies" not in result.output
    assert len(json.dumps(result.output)) < 32 * 1024


def test_a_failed_scaling_shows_what_was_seen_before(scale: Scale) -> None:
    scale.world.management.lost = ["before"] * 20
    assert scale.run(4).status == "FAILED"
    key = next(one for one in scale.world.artifacts.objects if one.endswith(".1.json"))
    report = json.loads(scale.world.artifacts.objects[key])
    assert [one["broker"] for one in report["topologies"]["before"]["brokers"]] == [0, 1, 2]
    assert b"ManagementUnavailable" in scale.world.artifacts.objects[report["pageKey"]] or (
        report["error"].encode() in scale.world.artifacts.objects[report["pageKey"]]
    )


def test_ambiguous_answers_again_and_again_end_in_words(scale: Scale) -> None:
    scale.world.management.lost = ["before"] * 20
    result = scale.run(4)
    assert result.status == "FAILED"
    assert result.error == "StabilizationTimeout"
    assert scale.world.table.locks == {}
    assert ManagementOutcomeUnknown.__name__ not in result.cause
    scale.world.management.lost = []
    assert scale.run(4, number=2).status == "SUCCEEDED"
    scale.settled(4)


class TestPlan:
    """The branch of the plan machine that plans scaling."""

    def run(self, scale: Scale, count: Any, number: int = 1, unit: str = "count") -> Result:
        world = scale.world
        functions: dict[str, Function] = dict.fromkeys(
            ("PreflightCluster", "CreatePlan", "RenderPlan", "PlanTeardown"),
            lambda _: pytest.fail("not for this"),
        )
        functions |= {
            "ValidateRequest": load_handler(
                "validate_request",
                cluster_parameters=in_clear,
                registries=lambda: REGISTRIES,
                settings=lambda: SETTINGS,
                stacks=lambda: world.stacks,
                probe=lambda: pytest.fail("a plan of scaling asks for no parameters"),
            ),
            "PlanScale": load_handler("plan_scale", scale_planner=lambda: world.planner),
            "FailPlan": lambda event: {
                "error": event["error"]["Error"],
                "cause": json.loads(event["error"]["Cause"])["errorMessage"],
            },
        }
        return run(
            "plan",
            functions,
            {"clusterName": "demo", "scale": {unit: count}},
            monkeypatch=scale.monkeypatch,
            name=f"demo.plan.{number}",
        )

    def test_it_tells_what_camunda_and_the_machine_would_do_and_changes_nothing(
        self, scale: Scale
    ) -> None:
        result = self.run(scale, 4)
        assert result.status == "SUCCEEDED", result.cause
        plan = result.output["plan"]
        assert (plan["status"], plan["from"], plan["to"]) == ("READY", 3, 4)
        assert any("PARTITION_JOIN broker 3" in one for one in plan["operations"])
        assert plan["moves"]
        assert plan["brokersWithoutPartition"] == []
        assert float(plan["cost"]["after"]) > float(plan["cost"]["before"])
        assert plan["apply"] == {"clusterName": "demo", "count": 4}
        text = scale.world.artifacts.objects[plan["textKey"]].decode()
        assert "1. set the desired count to 4" in text
        assert "partition 1: 0, 1, 2 -> " in text
        assert "PASS every broker runs" in text
        assert scale.world.tasks.desired == 3
        assert scale.world.management.writes == 0
        assert scale.world.table.locks == {}
        assert scale.run(plan["apply"]["count"]).status == "SUCCEEDED"
        full = json.loads(scale.world.artifacts.objects[plan["planKey"]])
        placed = {
            str(replica.partition)
            for member in scale.world.brokers.configuration().members
            for replica in member.partitions
            if member.id in full["placement"]["after"][str(replica.partition)]
        }
        assert placed == set(full["placement"]["after"])

    def test_brokers_that_would_stay_empty_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        plan = self.run(Scale(monkeypatch, "8.10"), 6).output["plan"]
        assert plan["brokersWithoutPartition"] == [5]
        refused = self.run(Scale(monkeypatch, "8.9"), 6)
        assert (refused.status, refused.error) == ("FAILED", "ScalingRefused")
        assert "every broker gets a partition: broker 5" in refused.cause

    def test_scaling_in_names_the_protected(self, scale: Scale) -> None:
        scale.run(4)
        plan = self.run(scale, 3).output["plan"]
        text = scale.world.artifacts.objects[plan["textKey"]].decode()
        assert "protect the 3 remaining tasks" in text
        assert "set the desired count to 4" not in text

    def test_nothing_to_do_is_told(self, scale: Scale) -> None:
        assert self.run(scale, 3).output["plan"]["status"] == "UNCHANGED"

    def test_a_refusal_names_every_check_and_is_kept(self, scale: Scale) -> None:
        scale.world.quota.limit = 1.0
        scale.world.tasks.deployments = ()
        result = self.run(scale, 4)
        assert (result.status, result.error) == ("FAILED", "ScalingRefused")
        assert "Fargate quota:" in result.cause
        assert "no deployment in progress:" in result.cause
        kept = scale.world.artifacts.objects["plans/demo/demo.plan.1.txt"].decode()
        assert "REFUSED" in kept

    @pytest.mark.parametrize("count", [0, "four", None])
    def test_a_count_that_is_none_is_refused(self, scale: Scale, count: Any) -> None:
        result = self.run(scale, count)
        assert (result.status, result.error) == ("FAILED", "InvalidRequest")
        assert "scale.count" in result.cause

    def test_partitions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scale = Scale(monkeypatch)
        result = self.run(scale, 6, unit="partitions")
        assert result.status == "SUCCEEDED", result.cause
        plan = result.output["plan"]
        assert (plan["status"], plan["unit"], plan["from"], plan["to"]) == (
            "READY",
            "partitions",
            3,
            6,
        )
        assert plan["apply"] == {"clusterName": "demo", "partitions": 6}
        assert any("PARTITION_BOOTSTRAP" in one for one in plan["operations"])
        assert plan["cost"]["after"] == plan["cost"]["before"]
        text = scale.world.artifacts.objects[plan["textKey"]].decode()
        assert "from 3 to 6 partitions: READY" in text
        assert "partition 6: none -> " in text
        assert "Camunda never removes a partition" in text
        assert scale.world.management.writes == 0
        done = scale.add(plan["apply"]["partitions"])
        assert done.status == "SUCCEEDED", done.cause
        assert self.run(scale, 6, 2, unit="partitions").output["plan"]["status"] == "UNCHANGED"

    @pytest.mark.parametrize(
        ("partitions", "check"),
        [(2, "partitions only grow: there are 3"), (100, "memory for the partitions: RocksDB")],
    )
    def test_partitions_that_are_refused(
        self, monkeypatch: pytest.MonkeyPatch, partitions: int, check: str
    ) -> None:
        scale = Scale(monkeypatch)
        result = self.run(scale, partitions, unit="partitions")
        assert (result.status, result.error) == ("FAILED", "ScalingRefused")
        assert check in result.cause


@pytest.fixture(params=["8.9", "8.10"])
def adding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Scale:
    return Scale(monkeypatch, request.param)


def grown(scale: Scale, partitions: int) -> None:
    """All partitions are there with all replicas, take requests, and are in a backup."""
    cluster = scale.world.cluster
    assert cluster.pending is None
    assert cluster.partitions == partitions
    handling = cluster.routing()["requestHandling"]
    assert handling == {"strategy": "AllPartitions", "partitionCount": partitions}
    assert all(len(cluster.replicas(one + 1)) == 3 for one in range(partitions))
    assert scale.world.table.locks == {}
    assert scale.world.protected == 0


def checks_of(result: Result) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in result.output["verification"]["checks"]}


class TestPartitions:
    def test_they_are_added_and_backed_up(self, adding: Scale) -> None:
        result = adding.add(6)
        assert result.status == "SUCCEEDED", result.cause
        grown(adding, 6)
        adding.settled(3)
        verification = result.output["verification"]
        assert verification["partitions"] == {"before": 3, "after": 6}
        assert verification["brokers"] == {"before": 3, "after": 3}
        assert verification["result"] == "PASS"
        assert (
            "backup 2 of all 6 partitions is complete"
            in (checks_of(result)["backup of all partitions"]["seen"])
        )
        assert adding.world.brokers.taken[2][1] == 6
        assert "3, is updated by the next plan" in checks_of(result)["number of partitions"]["seen"]
        assert adding.world.management.writes == 1

    def test_the_present_number_changes_nothing(self, adding: Scale) -> None:
        result = adding.add(3)
        assert result.status == "SUCCEEDED", result.cause
        assert adding.world.management.writes == 0
        assert list(adding.world.brokers.taken) == [1]
        grown(adding, 3)

    def test_then_brokers_that_had_none_get_some(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scale = Scale(monkeypatch)
        refused(scale, 6, "every broker gets a partition")
        assert scale.add(6, number=2).status == "SUCCEEDED"
        assert scale.run(6, number=3).status == "SUCCEEDED"
        scale.settled(6)
        grown(scale, 6)

    @pytest.mark.parametrize("partitions", [0, -1, 201, "six", "6", 3.5, True, None, [6]])
    def test_what_is_no_number_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, partitions: Any
    ) -> None:
        result = Scale(monkeypatch).add(partitions)
        assert result.error == "InvalidRequest"
        assert "partitions: given" in result.cause
        assert result.calls == ["ValidateScaling"]

    def test_both_at_once_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        result = Scale(monkeypatch).given({"count": 6, "partitions": 6})
        assert result.error == "InvalidRequest"
        assert "count, partitions" in result.cause
        assert "one of them: scale to the partitions first" in result.cause

    def refused(self, scale: Scale, partitions: int, check: str) -> Result:
        before = (scale.world.cluster.partitions, scale.world.management.writes)
        result = scale.add(partitions)
        assert (result.status, result.error) == ("FAILED", "ScalingRefused"), result.cause
        assert f"{check}:" in result.cause
        assert (scale.world.cluster.partitions, scale.world.management.writes) == before
        assert scale.world.table.locks == {}
        return result

    def test_fewer_are_refused_with_what_there_is(self, adding: Scale) -> None:
        result = self.refused(adding, 2, "partitions only grow")
        assert "there are 3" in result.cause

    def test_more_than_the_memory_holds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scale = Scale(monkeypatch, "8.10")
        assert scale.add(9).status == "SUCCEEDED"
        result = scale.add(26, number=2)
        assert "memory for the partitions: RocksDB gets 0.1 of 8192 MiB, which holds 25" in (
            result.cause
        )

    def test_on_8_9_more_than_the_default_takes_where_no_part_is_given(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scale = Scale(monkeypatch, "8.9")
        stack = scale.world.stacks.stack
        assert stack is not None
        given = {k: v for k, v in stack.parameters.items() if k != "RocksDbMemoryFraction"}
        scale.world.stacks.stack = replace(stack, parameters=given)
        self.refused(scale, 9, "memory for the partitions")

    def test_memory_that_is_not_known(self, adding: Scale) -> None:
        """As of an adopted cluster."""
        assert adding.world.stacks.stack is not None
        adding.world.stacks.stack = replace(adding.world.stacks.stack, parameters={})
        self.refused(adding, 4, "memory for the partitions")

    def test_while_a_backup_is_in_progress(self, adding: Scale) -> None:
        adding.world.brokers.taken[2] = (adding.world.brokers.now + 600, 3)
        result = self.refused(adding, 6, "no backup in progress")
        assert "the latest one is IN_PROGRESS" in result.cause

    def test_while_brokers_are_scaled(self, adding: Scale) -> None:
        adding.world.brokers.scale_brokers(4)
        result = adding.add(6)
        assert "no other cluster change:" in result.cause
        assert "leads to 4 brokers" in result.cause

    def test_while_other_partitions_are_added(self, adding: Scale) -> None:
        adding.world.cluster.step_seconds = 60
        adding.world.brokers.scale_partitions(5)
        result = adding.add(6)
        assert "no other change of partitions:" in result.cause
        assert "leads to 5 partitions" in result.cause
        adding.world.cluster.step_seconds = 0.3
        followed = adding.add(5, number=2)
        assert followed.status == "SUCCEEDED", followed.cause
        grown(adding, 5)

    def test_on_a_version_that_cannot(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refused(Scale(monkeypatch, "8.6"), 6, "version can add partitions")

    def test_a_dead_broker(self, adding: Scale) -> None:
        adding.world.tasks.refusal = "no capacity"
        adding.world.tasks.stop_broker(2)
        adding.world.pass_seconds(10)
        assert "broker 2" in self.refused(adding, 6, "every broker runs").cause

    @pytest.mark.parametrize("node", [0, 1, 2])
    def test_a_broker_dies_meanwhile(self, adding: Scale, node: int) -> None:
        killed: list[int] = []

        def kill_once() -> None:
            pending = adding.world.cluster.pending
            if pending is not None and not killed:
                killed.append(node)
                adding.world.tasks.stop_broker(node)

        adding.on_wait = kill_once
        result = adding.add(6)
        assert result.status == "SUCCEEDED", result.cause
        assert killed
        grown(adding, 6)

    def test_tasks_that_somebody_stopped_come_back(self, adding: Scale) -> None:
        lowered: list[int] = []

        def lower_once() -> None:
            if adding.world.cluster.pending is not None and not lowered:
                lowered.append(1)
                adding.world.tasks.desired = 2

        adding.on_wait = lower_once
        result = adding.add(6)
        assert result.status == "SUCCEEDED", result.cause
        assert lowered
        grown(adding, 6)
        adding.settled(3)

    @pytest.mark.parametrize("how", ["before", "after"])
    def test_a_write_without_an_answer_is_read(self, adding: Scale, how: str) -> None:
        adding.world.management.lost = [how]
        result = adding.add(6)
        assert result.status == "SUCCEEDED", result.cause
        grown(adding, 6)
        assert adding.world.management.writes == {"before": 2, "after": 1}[how]

    def test_a_refusal_by_camunda(self, adding: Scale) -> None:
        adding.world.management.lost = ["refused"]
        result = adding.add(6)
        assert (result.status, result.error) == ("FAILED", "ManagementRefused")
        grown(adding, 3)

    @pytest.mark.parametrize("done", [1, 2, 4, 10])
    def test_a_cancelled_change_is_finished_by_the_same_request(
        self, adding: Scale, done: int
    ) -> None:
        def cancel() -> None:
            pending = adding.world.cluster.pending
            if pending is not None and sum(s.done is not None for s in pending.steps) >= done:
                adding.world.cluster.cancel(pending.id, now=pending.started + 1)

        adding.world.cluster.step_seconds = 1.0
        adding.on_wait = cancel
        result = adding.add(6)
        assert (result.status, result.error) == ("FAILED", "ChangeNotCompleted"), result.cause
        assert adding.world.cluster.partitions == 3
        adding.on_wait = lambda: None
        result = adding.add(6, number=2)
        assert result.status == "SUCCEEDED", result.cause
        grown(adding, 6)

    def test_brokers_are_not_scaled_on_top_of_what_a_cancelled_change_left(
        self, adding: Scale
    ) -> None:
        def cancel() -> None:
            pending = adding.world.cluster.pending
            if pending is not None and sum(s.done is not None for s in pending.steps) >= 4:
                adding.world.cluster.cancel(pending.id, now=pending.started + 1)

        adding.world.cluster.step_seconds = 1.0
        adding.on_wait = cancel
        assert adding.add(5).error == "ChangeNotCompleted"
        adding.on_wait = lambda: None
        result = refused(adding, 4, "every partition takes requests")
        assert re.search(r"3 of [45] partitions take requests", result.cause)
        assert adding.add(5, number=2).status == "SUCCEEDED"
        assert adding.run(4, number=3).status == "SUCCEEDED"
        grown(adding, 5)

    # Brokers stay as they are: neither the count nor the protection of tasks is set.
    @pytest.mark.parametrize(
        "function", [one for one in FUNCTIONS if one not in {"SetBrokerCount", "ProtectTasks"}]
    )
    def test_a_function_that_dies_after_its_side_effect(
        self, monkeypatch: pytest.MonkeyPatch, function: str
    ) -> None:
        scale = Scale(monkeypatch)
        scale.interrupt(function, AwsUnavailable("lost"))
        result = scale.add(6)
        assert result.status == "SUCCEEDED", result.cause
        grown(scale, 6)
        assert scale.world.management.writes == 1

    @pytest.mark.parametrize("looks", range(1, 14, 2))
    def test_interrupted_anywhere_the_same_request_goes_on(
        self, monkeypatch: pytest.MonkeyPatch, looks: int
    ) -> None:
        scale = Scale(monkeypatch)
        whole = dict(scale.functions)
        real, left = scale.functions["ObserveScaling"], [looks]

        def dying(event: dict[str, Any]) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise AwsUnavailable("gone")
            return real(event)

        scale.functions["ObserveScaling"] = dying
        first = scale.add(6)
        scale.functions = whole
        second = scale.add(6, number=2)
        assert second.status == "SUCCEEDED", (first.cause, second.cause)
        grown(scale, 6)
        assert scale.world.management.writes <= 1
        assert any(partitions == 6 for _, partitions in scale.world.brokers.taken.values())

    def test_without_backups_the_report_warns(self, adding: Scale) -> None:
        adding.world.brokers.backup_seconds = None
        result = adding.add(6)
        assert result.status == "SUCCEEDED", result.cause
        assert result.output["verification"]["result"] == "WARN"
        assert (
            "continuous backup is disabled" in checks_of(result)["backup of all partitions"]["seen"]
        )

    def test_a_backup_that_is_not_over_in_time_is_told(self, adding: Scale) -> None:
        adding.world.brokers.backup_seconds = 2000.0
        result = adding.add(6)
        assert result.status == "SUCCEEDED", result.cause
        check = checks_of(result)["backup of all partitions"]
        assert (check["result"], check["seen"]) == ("WARN", "backup 2 is IN_PROGRESS")
        grown(adding, 6)

    def test_a_backup_that_is_refused_is_told(self, adding: Scale) -> None:
        def no_backup(*_: object) -> int:
            raise ManagementRefused("10.0.0.10 answered HTTP 400: exhausted.")

        adding.monkeypatch.setattr(adding.world.brokers, "back_up", no_backup)
        result = adding.add(6)
        assert result.status == "SUCCEEDED", result.cause
        assert checks_of(result)["backup of all partitions"]["result"] == "WARN"


def test_an_aborted_operation_leaves_no_protection_behind(scale: Scale) -> None:
    world = scale.world
    operation = scale_operation(9)
    world.journal.begin(operation)
    assert world.stacks.stack is not None
    world.protector.protect(operation, world.stacks.stack.outputs, task_ids=list(world.tasks.tasks))
    held = world.table.locks["control-demo"]
    until = int(world.clock.now().timestamp()) + FUNCTION_SECONDS
    world.table.locks["control-demo"] = replace(held, acting=frozenset({Acting("lost", until)}))
    world.executions.ended.add(operation.execution_arn)
    event = {
        "detail": {
            "status": "ABORTED",
            "name": operation.operation_id,
            "executionArn": operation.execution_arn,
            "stateMachineArn": "arn:aws:states:eu-central-1:1:stateMachine:control-scale",
            "input": json.dumps({"clusterName": "demo", "count": 4}),
        }
    }
    assert world.cleaner.clean_up(event)["result"] == "ABORTED"
    # It waits for a function that may still run.
    lock = world.table.locks.pop("control-demo")
    assert lock.expires_at <= world.clock.now().timestamp() + FUNCTION_SECONDS
    scale.settled(3)
