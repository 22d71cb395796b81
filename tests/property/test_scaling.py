"""The whole choreography, interrupted anywhere: laws that hold whatever happens between two steps.

The steps are taken as the state machine takes them; a crash forgets all that the machine carried,
before or after the step's side effect. Brokers die and come back, time passes, answers get lost,
ECS stops whom it likes among the unprotected, and somebody keeps asking for another number.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from lifecycle.camunda.topology import ClusterConfiguration, read_configuration
from lifecycle.errors import AwsUnavailable, LifecycleError
from lifecycle.scaling.table import (
    TABLE,
    Change,
    Count,
    Members,
    possible,
    row_for,
)
from lifecycle.services.brokers import incomplete_change, leads_to

from tests.support.interpreter import Execution
from tests.support.scaling import (
    ScalingWorld,
    scale_functions,
    scale_operation,
)
from tests.support.world import OUTPUTS

if TYPE_CHECKING:
    from tests.support.definitions import Function

pytestmark = pytest.mark.property

# What Lambda says of a process that ended in the middle of a call.
Killed = type("Runtime.ExitError", (Exception,), {})

FACTOR = 3
MOST = 7
# Functions that change something; FinishOperation ends the operation.
CHANGING = ("SetBrokerCount", "ProtectTasks", "ChangeBrokers", "FinishOperation")


class Scale(Execution):
    """One execution of the scale machine, as ``statemachines/scale.asl.yaml`` defines it."""

    def __init__(
        self,
        world: ScalingWorld,
        count: int,
        number: int,
        partitions: int = 0,
        *,
        dying: str = "",
        failing: tuple[str, int] = ("", 0),
    ) -> None:
        functions = scale_functions(world)
        if failing[0]:
            functions[failing[0]] = fails_from(functions[failing[0]], failing[1])
        if dying:
            functions[dying] = killed_once(functions[dying])
        super().__init__(
            "scale",
            functions,
            {
                "clusterName": "demo",
                **({"partitions": partitions} if partitions else {"count": count}),
            },
            name=scale_operation(number).operation_id,
            started_at=world.clock.now().isoformat(),
            on_wait=world.pass_seconds,
        )
        self.count, self.partitions = count, partitions
        self.world = world
        self.most = max(world.tasks.desired, len(world.cluster.members))
        self.found_protected = world.protected
        self.operation = replace(scale_operation(number), execution_arn=self.arn)

    @property
    def holds(self) -> bool:
        """Whether the cluster is its own now."""
        held = self.world.table.locks.get("control-demo")
        return held is not None and held.owner == self.arn

    def step(self) -> None:
        super().step()
        if self.status == "FAILED":
            assert json.loads(self.cause)["nextStep"], self.cause
            assert self.error

    def to_its_end(self, steps: int = 1600) -> None:
        """Take all steps that are left, and have the cluster released."""
        for _ in range(steps):
            if self.status:
                break
            self.step()
        self.world.journal.release(self.operation)


def killed_once(function: Function) -> Function:
    """The function does its work and is killed; its execution calls it again."""
    left = [Killed("Runtime exited with error: signal: killed")]

    def dying(event: dict[str, Any]) -> Any:
        answer = function(event)
        if left:
            raise left.pop()
        return answer

    return dying


def fails_from(function: Function, calls: int) -> Function:
    """After so many calls AWS refuses the function's, until a person mends that."""
    left = itertools.count(calls, -1)

    def failing(event: dict[str, Any]) -> Any:
        if next(left) <= 0:
            raise AwsUnavailable("Rate exceeded.")
        return function(event)

    return failing


def leaves_nothing_behind(world: ScalingWorld, ended: Scale, *, could_go_back: bool = True) -> None:
    """What was reported as done is so; what failed leaves no task that it added, or holds."""
    # What a crash left protected is for the cleaner, where an operation is refused at once.
    assert world.protected == 0 or ended.found_protected, f"{ended.error} leaves tasks protected"
    if ended.status == "SUCCEEDED":
        assert world.members == list(range(ended.count))
        assert world.tasks.desired == ended.count
    elif could_go_back and ended.error in {"TasksNotPlaced", "ManagementRefused"}:
        assert world.tasks.desired <= ended.most, f"{ended.error} leaves tasks that it added"


class Interrupted(RuleBasedStateMachine):
    """An operation that goes on for some steps, and dies at any of them."""

    world: ScalingWorld
    running: Scale | None

    @precondition(lambda self: self.running is not None)
    @rule(steps=st.integers(1, 36))
    def go_on(self, steps: int) -> None:
        self._go_on(steps)

    @precondition(lambda self: self.running is not None)
    @rule()
    def crash(self) -> None:
        """Forget everything that the machine carried; its lock is freed by the cleaner."""
        assert self.running is not None
        self.world.journal.release(self.running.operation)
        self.running = None

    @precondition(lambda self: self.running is not None)
    @rule()
    def crash_with_the_step_done_but_not_remembered(self) -> None:
        assert self.running is not None
        before = dict(self.running.__dict__)
        self.running.step()
        self.running.__dict__.update(before)
        self._end_if_ended()

    def _go_on(self, steps: int) -> None:
        for _ in range(steps):
            if self.running is None:
                return
            self.running.step()
            self._end_if_ended()

    def _end_if_ended(self) -> None:
        if self.running is not None and self.running.status:
            self.world.journal.release(self.running.operation)
            ended, self.running = self.running, None
            self.has_ended(ended)

    def has_ended(self, ended: Scale) -> None:
        """Look at what an execution leaves behind that came to its own end."""


class Scaling(Interrupted):
    """A cluster that people scale while things go wrong."""

    executions = Bundle("executions")

    @initialize(
        dialect=st.sampled_from(["8.9", "8.6"]), brokers=st.integers(3, 5), restless=st.booleans()
    )
    def begin(self, dialect: Any, brokers: int, restless: bool) -> None:
        self.world = ScalingWorld(brokers, dialect=dialect, partitions=4, factor=FACTOR)
        self.world.tasks.restless = restless
        self.numbers = itertools.count(1)
        self.running = None
        self.killed: set[int] = set()
        self.cancelled = 0
        # Whether something went wrong since the running execution began that it cannot put right.
        self.disturbed = False
        self._watch_ecs()
        self._watch_changes()

    def _watch_ecs(self) -> None:
        """Look at each task that ECS chooses to stop while it still is what it was."""
        tasks, world = self.world.tasks, self.world
        real = tasks._end

        def end(task_id: str) -> None:
            node = tasks.tasks[task_id].node
            surplus = len(tasks.tasks) > tasks.desired
            lost_lease = node is not None and node >= world.leases()
            if surplus and not lost_lease and not self.accident and node in world.cluster.members:
                held = world.cluster.members[node].partitions
                assert not held, f"ECS was let stop broker {node}, which holds {sorted(held)}"
            real(task_id)

        self.accident = False
        tasks._end = end  # type: ignore[method-assign]

    def _watch_changes(self) -> None:
        """Nothing is sent to Camunda while a change is under way, nor what is there already."""
        management, cluster = self.world.management, self.world.cluster
        real = management.scale_brokers

        def scale_brokers(count: int) -> Any:
            assert cluster.pending is None, "a second change was sent"
            return real(count)

        management.scale_brokers = scale_brokers  # type: ignore[method-assign]

    # What people and machines do

    @precondition(lambda self: self.running is None)
    @rule(
        count=st.integers(1, MOST) | st.integers(FACTOR, MOST),
        dying=st.sampled_from(["", *CHANGING]),
        steps=st.integers(0, 60),
    )
    def request(self, count: int, dying: str, steps: int) -> None:
        self.disturbed = bool(self.killed)
        self.running = Scale(self.world, count, next(self.numbers), dying=dying)
        self._go_on(steps)

    @precondition(lambda self: self.running is not None and self.running.holds)
    @rule(count=st.integers(FACTOR, MOST))
    def ask_again_meanwhile(self, count: int) -> None:
        """A second operation is refused by the lock before it looks at anything."""
        assert self.running is not None
        second = Scale(self.world, count, next(self.numbers)).run()
        assert (second.status, second.error) == ("FAILED", "ClusterBusy")
        assert self.running.operation.operation_id in second.cause
        assert second.calls == ["ValidateScaling", "BeginOperation"]

    # What goes wrong

    @rule(seconds=st.sampled_from([1, 5, 30, 120]))
    def time_passes(self, seconds: int) -> None:
        self.world.pass_seconds(seconds)

    @rule(node=st.integers(0, MOST - 1))
    def a_task_dies(self, node: int) -> None:
        self.disturbed = True
        self._accident(node)

    @rule(node=st.integers(0, MOST - 1))
    def a_broker_process_hangs_for_good(self, node: int) -> None:
        """Until its task is replaced; one at a time, as replicas are three."""
        if not self.killed and node in self.world.brokers.running:
            self.disturbed = True
            self.world.brokers.kill_broker(node)
            self.killed.add(node)

    @precondition(lambda self: bool(self.killed))
    @rule()
    def ecs_replaces_it(self) -> None:
        self.disturbed = True
        self._replace_hanging()

    @precondition(lambda self: self.world.cluster.dialect == "8.9")
    @rule(count=st.integers(2, MOST))
    def somebody_sets_the_count_by_hand(self, count: int) -> None:
        """Without leases a broker that was removed could keep the place of one that was not."""
        self.world.tasks.desired = count
        self.disturbed = self.accident = True
        self.world.pass_seconds(5)
        self.accident = False

    @precondition(lambda self: self.world.cluster.pending is not None)
    @rule()
    def somebody_cancels_the_change(self) -> None:
        """Camunda leaves what was done; brokers and replicas may stay half-way."""
        cluster = self.world.cluster
        assert cluster.pending is not None
        ids = leads_to(self._configuration())
        assert ids is not None
        self.cancelled = len(ids)
        self.disturbed = True
        cluster.cancel(cluster.pending.id, now=self.world.brokers.now)

    @precondition(lambda self: not incomplete_change(self._configuration(), FACTOR))
    @rule(count=st.integers(FACTOR, MOST))
    def somebody_asks_camunda_directly(self, count: int) -> None:
        """Not on top of what a cancelled change left: that may bury it for good."""
        self.disturbed = True
        with contextlib.suppress(LifecycleError):
            self.world.brokers.scale_brokers(count)

    @rule(how=st.sampled_from(["before", "after", "refused"]))
    def the_next_answer_is_lost(self, how: str) -> None:
        self.world.management.lost = [how]

    @rule(reason=st.sampled_from(["", "no capacity"]))
    def capacity_comes_and_goes(self, reason: str) -> None:
        self.world.tasks.refusal = reason

    # What always holds

    def has_ended(self, ended: Scale) -> None:
        if not self.disturbed and ended.error not in {"InvalidRequest", "ClusterBusy"}:
            leaves_nothing_behind(self.world, ended)

    @invariant()
    def no_partition_below_its_replication_factor(self) -> None:
        if not hasattr(self, "world"):
            return
        for partition in range(1, self.world.cluster.partitions + 1):
            replicas = [
                member.partitions[partition].state
                for member in self.world.cluster.members.values()
                if partition in member.partitions
            ]
            staying = [state for state in replicas if state in ("ACTIVE", "LEAVING")]
            assert len(staying) >= FACTOR

    @invariant()
    def never_more_protected_than_wanted(self) -> None:
        if hasattr(self, "world"):
            assert self.world.protected <= max(
                self.world.tasks.desired, len(self.world.cluster.members)
            )

    def teardown(self) -> None:
        """Never a dead end: with everything repaired, any number is reached by asking for it."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.tasks.refusal, world.management.lost = "", []
        self._replace_hanging()
        if self.running is not None:
            self.crash()
        world.pass_seconds(60)
        for count in (4, 3):
            errors = []
            for _ in range(4):
                execution = Scale(world, count, next(self.numbers))
                execution.to_its_end()
                if execution.status == "SUCCEEDED":
                    break
                errors.append(execution.cause)
                self._follow_advice(execution.cause)
            assert execution.status == "SUCCEEDED", errors
            assert world.members == list(range(count))
            assert world.running == list(range(count))
            assert world.protected == 0

    def _follow_advice(self, message: str) -> None:
        """Do what the refusal says: wait, stop a task that it names, ask for a number first."""
        world = self.world
        world.pass_seconds(120)
        self._stop_outside(message)
        counts = []
        if led := re.search(r"leads to (\d+) brokers", message):
            counts.append(int(led[1]))
        if "the cancelled change led to" in message:
            counts.append(self.cancelled)
        if "current number of brokers first" in message:
            counts.append(max(world.members) + 1)
        if "below the hole" in message:
            counts.append(min(set(range(MOST)) - set(world.members)))
        if "is JOINING is removed" in message:
            joining = re.findall(r"broker (\d+) is JOINING", message)
            counts += [int(node) for node in joining if int(node) >= FACTOR][:1]
        for count in counts:
            present = Scale(world, count, next(self.numbers))
            present.to_its_end()
            self._stop_outside(present.cause)

    def _stop_outside(self, message: str) -> None:
        """Stop the tasks that are said to hold the place of a missing broker."""
        for node in re.findall(r"runs broker (\d+), which does not belong", message):
            self._accident(int(node))
        self.world.pass_seconds(10)

    def _configuration(self) -> ClusterConfiguration:
        return read_configuration(self.world.cluster.configuration())

    def _replace_hanging(self) -> None:
        for node in self.killed:
            self._accident(node)
        self.killed.clear()

    def _accident(self, node: int) -> None:
        self.accident = True
        self.world.tasks.stop_broker(node)
        self.accident = False


class Growing(Interrupted):
    """A cluster to which people add partitions while things go wrong."""

    @initialize(dialect=st.sampled_from(["8.9", "8.10"]))
    def begin(self, dialect: Any) -> None:
        self.world = ScalingWorld(3, dialect=dialect, partitions=3, factor=FACTOR)
        self.world.cluster.step_seconds = 1.0
        self.numbers = itertools.count(1)
        self.running = None
        self.held = self.active = 3
        management, cluster = self.world.management, self.world.cluster
        real = management.scale_partitions

        def scale_partitions(count: int) -> Any:
            assert cluster.pending is None, "a second change was sent"
            return real(count)

        management.scale_partitions = scale_partitions  # type: ignore[method-assign]

    @precondition(lambda self: self.running is None)
    @rule(partitions=st.integers(1, 7), steps=st.integers(0, 60))
    def request(self, partitions: int, steps: int) -> None:
        self.running = Scale(self.world, 0, next(self.numbers), partitions)
        self._go_on(steps)

    @rule(seconds=st.sampled_from([1, 5, 30]))
    def time_passes(self, seconds: int) -> None:
        self.world.pass_seconds(seconds)

    @rule(node=st.integers(0, 2))
    def a_task_dies(self, node: int) -> None:
        self.world.tasks.stop_broker(node)

    @rule(how=st.sampled_from(["before", "after", "refused"]))
    def the_next_answer_is_lost(self, how: str) -> None:
        self.world.management.lost = [how]

    @precondition(lambda self: self.world.cluster.pending is not None)
    @rule()
    def somebody_cancels_the_change(self) -> None:
        cluster = self.world.cluster
        assert cluster.pending is not None
        cluster.cancel(cluster.pending.id, now=self.world.brokers.now)

    @rule(seconds=st.sampled_from([None, 5.0, 2000.0]))
    def backups_go_and_come(self, seconds: float | None) -> None:
        self.world.brokers.backup_seconds = seconds

    def has_ended(self, ended: Scale) -> None:
        """What was reported as done is so."""
        if ended.status == "SUCCEEDED":
            assert self.world.cluster.partitions == ended.partitions

    @invariant()
    def partitions_never_go_and_those_in_use_keep_their_copies(self) -> None:
        if not hasattr(self, "world"):
            return
        cluster = self.world.cluster
        held = max(p for member in cluster.members.values() for p in member.partitions)
        assert held >= self.held
        assert cluster.partitions >= self.active
        self.held, self.active = held, cluster.partitions
        for partition in range(1, self.active + 1):
            states = [one.state for one in cluster.replicas(partition).values()]
            assert states.count("ACTIVE") >= FACTOR

    def teardown(self) -> None:
        """With everything repaired, a higher number is reached by asking for it, and backed up."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.management.lost, world.brokers.backup_seconds = [], 5.0
        if self.running is not None:
            self.crash()
        world.pass_seconds(120)
        errors = []
        for _ in range(4):
            execution = Scale(world, 0, next(self.numbers), 8)
            execution.to_its_end()
            if execution.status == "SUCCEEDED":
                break
            errors.append(execution.cause)
            world.pass_seconds(120)
        assert execution.status == "SUCCEEDED", errors
        assert world.cluster.partitions == 8
        assert any(partitions == 8 for _, partitions in world.brokers.taken.values())


SETTINGS = settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_no_law_is_broken_whatever_happens() -> None:
    run_state_machine_as_test(Scaling, settings=SETTINGS)


def test_no_law_is_broken_while_partitions_are_added() -> None:
    run_state_machine_as_test(Growing, settings=settings(SETTINGS, max_examples=40))


@pytest.mark.long
def test_no_law_is_broken_in_ten_times_as_many_histories() -> None:
    run_state_machine_as_test(Scaling, settings=settings(SETTINGS, max_examples=1000))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    dialect=st.sampled_from(["8.9", "8.6"]),
    brokers=st.integers(3, 5),
    count=st.integers(FACTOR, MOST - 1),
    refusal=st.sampled_from(["", "", "no capacity"]),
    answers=st.lists(st.sampled_from(["before", "after", "refused"]), max_size=2),
    failing=st.tuples(st.sampled_from(["", *CHANGING, "ObserveScaling"]), st.integers(0, 8)),
)
@example(dialect="8.9", brokers=5, count=3, refusal="", answers=[], failing=("ObserveScaling", 6))
@example(dialect="8.9", brokers=3, count=4, refusal="no capacity", answers=[], failing=("", 0))
@example(dialect="8.9", brokers=3, count=5, refusal="", answers=["refused"], failing=("", 0))
def test_an_operation_is_done_or_leaves_nothing_behind(
    *,
    dialect: Any,
    brokers: int,
    count: int,
    refusal: str,
    answers: list[str],
    failing: tuple[str, int],
) -> None:
    """Nothing happens meanwhile to brokers and tasks; the same request then ends well."""
    world = ScalingWorld(brokers, dialect=dialect, partitions=4, factor=FACTOR)
    world.tasks.refusal, world.management.lost = refusal, list(answers)
    first = Scale(world, count, 1, failing=failing)
    first.to_its_end()
    assert first.status, "it never ends"
    # Only the function that fails could have taken the protection away.
    if failing[0] != "ProtectTasks" or first.status == "SUCCEEDED":
        leaves_nothing_behind(world, first, could_go_back=not failing[0])
    world.tasks.refusal, world.management.lost = "", []
    second = Scale(world, count, 2)
    second.to_its_end()
    assert second.status == "SUCCEEDED", (first.cause, second.cause)
    leaves_nothing_behind(world, second)


@pytest.mark.parametrize("change", Change)
@pytest.mark.parametrize("members", Members)
@pytest.mark.parametrize("count", Count)
def test_the_table_is_complete_and_says_one_thing(
    change: Change, members: Members, count: Count
) -> None:
    rows = [
        row
        for row in TABLE
        if row.change is change and members in row.members and count in row.counts
    ]
    if possible(change, members, count):
        assert len(rows) == 1
        assert row_for(change, members, count) is rows[0]


def test_outputs_are_those_of_the_contract() -> None:
    assert {"EcsClusterName", "OrchestrationServiceName", "DiscoveryName"} <= set(OUTPUTS)
