"""The life of one cluster: settings, scalings, restarts, deaths, and what breaks off between them.

Every operation takes its steps as its state machine does, and may be broken off after each of them,
also between the infrastructure and the services. Whatever the order: no machine takes a broker
while the others could not go on without it, no setting is lost, and what is reported as done is so.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from lifecycle.errors import LifecycleError, StartFailed
from lifecycle.operation.model import Operation
from lifecycle.provisioning.start_services import START_SECONDS, ServiceStarter

from tests.fakes.s3 import FakeLeases
from tests.property.test_scaling import Scale as Scaling
from tests.support.backups import fresh
from tests.support.beginning import begin_operation
from tests.support.definitions import Function, execution_arn, load_handler
from tests.support.interpreter import Execution
from tests.support.rolling import VERIFIED, RollingWorld, restart_functions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

pytestmark = pytest.mark.property

FACTOR = 3
BROKERS = (3, 5)
START = 25.0
# What people set, and where it is seen: the outputs of the stack, from which services are rendered.
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "OrchestrationTaskDefinitionArn": tuple(f"arn:orchestration-cluster:{n}" for n in (1, 2, 3)),
    "ConnectorsTaskDefinitionArn": tuple(f"arn:connectors:{n}" for n in (1, 2, 3)),
    "BrokerGraceSeconds": ("900", "1800"),
    "EnableExecuteCommand": ("true", "false"),
    "ManagementListener": ("true", "false"),
    "Connectors": ("0", "1", "2"),
}
BROKERS_SERVICE = "orchestration-cluster"


class Running(Protocol):
    """An execution that is under way; ``status`` is its result, empty before."""

    operation: Operation
    status: str
    cause: str

    def step(self) -> None:
        """Take its next step, and let the time pass that it waits."""
        ...


class Provisioning(Execution):
    """First the stack, then the services, then brokers one at a time."""

    def __init__(
        self,
        number: int,
        world: RollingWorld,
        named: Mapping[str, str],
        expected: dict[str, str],
    ) -> None:
        self.named, self.expected = named, expected
        self.operation, known = begins("provision", number, world)
        super().__init__(
            "provision",
            provision_functions(world, lambda: self._execute(world)),
            {"clusterName": "demo"},
            on_wait=world.pass_seconds,
            **known,
        )

    @property
    def rolled(self) -> bool:
        return "RollServices" in self.states

    def _execute(self, world: RollingWorld) -> None:
        """CloudFormation gives the stack its new outputs."""
        world.declare(**self.named)
        self.expected |= self.named


class Restarting(Execution):
    """All brokers, one of them, or the connectors."""

    def __init__(self, number: int, world: RollingWorld, service: str, broker: int | None) -> None:
        def waits(seconds: int) -> None:
            world.services.settle("connectors")
            world.pass_seconds(seconds)

        self.operation, known = begins("restart", number, world)
        asked = {"service": service, **({} if broker is None else {"broker": broker})}
        super().__init__(
            "restart",
            restart_functions(world),
            {"clusterName": "demo", **asked},
            on_wait=waits,
            **known,
        )
        self.service, self.broker = service, broker
        now = int(world.clock.now().timestamp())
        seen = {task: one.seen for task, one in world.tasks.tasks.items()}
        # One that was broken off is gone on with: what it replaced stays.
        found = world.tasks.counted
        unfinished = any(one.status != "PRIMARY" and one.running for one in found)
        new = found[0].deployment_id if unfinished else ""
        self.before = {
            task
            for task, one in seen.items()
            if one.created_at < now and (broker is not None or one.deployment != new)
        }


def begins(machine: str, number: int, world: RollingWorld) -> tuple[Operation, dict[str, str]]:
    """The operation of an execution that starts now, and what the execution is to know of it."""
    name, now = f"demo.{machine}.{number}", world.clock.now().isoformat()
    ours = Operation(name, execution_arn(machine, name), "demo", machine, now, "control-demo")
    return ours, {"name": name, "started_at": now}


def provision_functions(world: RollingWorld, execute: Callable[[], None]) -> dict[str, Function]:
    """The functions of the provision machine.

    For those that know CloudFormation, the database and the view of a user, the shortest answer
    stands in; ``execute`` is what the change set does.
    """

    def starter() -> ServiceStarter:
        return ServiceStarter(
            reader=world.roller.reader,
            services=world.services,
            leases=FakeLeases(),
            journal=world.journal,
        )

    def execute_change_set(event: dict[str, Any]) -> dict[str, Any]:
        world.journal.step(Operation.from_state(event["operation"]), "CloudFormation", "")
        execute()
        return {"token": "token"}

    def follow_start(event: dict[str, Any]) -> dict[str, Any]:
        if world.whole:
            return {"status": "STARTED", "scaledUp": []}
        if event["polls"] > START_SECONDS / 5:
            raise StartFailed("The brokers do not form the cluster.", next_step="scale")
        return {"status": "WAITING", "scaledUp": [], "wait": 5}

    return {
        "ValidateRequest": lambda _: {
            "cluster": "demo",
            "ecsCluster": "control-demo",
            "verifyWithProcessInstances": False,
            "onStartFailure": "keep",
            "backup": {"maxAgeHours": 4, "acceptNoBackup": False, "snapshot": False},
        },
        "BeginOperation": begin_operation(world),
        "PreflightCluster": lambda _: {},
        "PlanStack": lambda _: {
            "status": "PLANNED",
            "changeSet": "change-set",
            "creates": False,
            "replace": [],
            "services": {},
        },
        "CheckChangeSet": lambda _: {"status": "READY", "changes": [], "needsBackup": False},
        "TakeBackup": fresh,
        "ExecuteChangeSet": execute_change_set,
        "FollowStack": lambda _: {"status": "DONE"},
        "RollBackStack": lambda _: pytest.fail("no stack is stuck"),
        "ReadCluster": lambda _: dict(world.outputs),
        "SeedDatabase": lambda _: {"roles": []},
        "SeedLogin": lambda _: pytest.fail("no user pool was made"),
        "StartServices": load_handler("start_services", service_starter=starter),
        "RollServices": load_handler("roll_services", service_roller=lambda: world.roller),
        "FollowStart": follow_start,
        "StopServices": load_handler("stop_services", service_starter=starter),
        "VerifyCluster": lambda event: {"instances": {}} if "question" in event else dict(VERIFIED),
        "FinishOperation": load_handler("finish_operation", finisher=lambda: world.finisher),
    }


class Life(RuleBasedStateMachine):
    """A cluster that people change while things go wrong."""

    @initialize(brokers=st.sampled_from(BROKERS))
    def begin(self, brokers: int) -> None:
        # Longer than the looks between two brokers: who releases the next too early is seen.
        self.world = RollingWorld(brokers, start_seconds=START)
        # The stack names what the services are.
        self.world.revise(1)
        self.numbers = itertools.count(1)
        self.running: Running | None = None
        self.expected: dict[str, str] = {}
        self.accident = False
        self._watch()

    def _watch(self) -> None:
        """Look at what is left each time that a broker's task ends."""
        world, tasks = self.world, self.world.tasks
        real = tasks._end

        def end(task_id: str) -> None:
            node = tasks.tasks[task_id].node
            # Left alone after a crash, ECS goes on by its own rule, as the documentation says.
            ours = self.running is not None and not self.accident
            if ours and node is not None and node in world.brokers.running:
                self._others_can_go_on(node)
            real(task_id)

        tasks._end = end  # type: ignore[method-assign]

    def _others_can_go_on(self, node: int) -> None:
        member = self.world.cluster.members.get(node)
        if member is None or not member.partitions:
            return
        for partition in member.partitions:
            alive = [
                other
                for other, found in self.world.cluster.members.items()
                if other != node
                and partition in found.partitions
                and other in self.world.brokers.running
            ]
            assert len(alive) >= FACTOR - 1, f"partition {partition} is left with {alive}"

    # What people and machines do

    @precondition(lambda self: self.running is None)
    @rule(
        named=st.fixed_dictionaries(
            {}, optional={name: st.sampled_from(values) for name, values in SETTINGS.items()}
        ),
        steps=st.integers(0, 180),
    )
    def provision(self, named: dict[str, str], steps: int) -> None:
        self.running = Provisioning(next(self.numbers), self.world, named, self.expected)
        self._go_on(steps)

    @precondition(lambda self: self.running is None)
    @rule(
        service=st.sampled_from(["brokers", "connectors"]),
        broker=st.none() | st.integers(0, 5),
        steps=st.integers(0, 180),
    )
    def restart(self, service: str, broker: int | None, steps: int) -> None:
        one = broker if service == "brokers" else None
        self.running = Restarting(next(self.numbers), self.world, service, one)
        self._go_on(steps)

    @precondition(lambda self: self.running is None)
    @rule(count=st.integers(FACTOR, 5), steps=st.integers(0, 120))
    def scale(self, count: int, steps: int) -> None:
        self.running = Scaling(self.world, count, next(self.numbers))
        self._go_on(steps)

    @precondition(lambda self: self.running is not None)
    @rule(steps=st.integers(1, 180))
    def go_on(self, steps: int) -> None:
        self._go_on(steps)

    # What goes wrong

    @precondition(lambda self: self.running is not None)
    @rule()
    def crash(self) -> None:
        """Forget all that the machine carried; the cleaner frees the lock."""
        assert self.running is not None
        self._release()

    @precondition(lambda self: self.running is not None)
    @rule()
    def crash_with_the_step_done_but_not_remembered(self) -> None:
        assert self.running is not None
        before = dict(self.running.__dict__)
        self.running.step()
        if not self.running.status:
            self.running.__dict__.update(before)
        self._end_if_ended()

    @rule(seconds=st.sampled_from([1, 10, 60]))
    def time_passes(self, seconds: int) -> None:
        self.world.pass_seconds(seconds)

    @rule(node=st.integers(0, 4))
    def a_task_dies(self, node: int) -> None:
        self.accident = True
        self.world.tasks.stop_broker(node)
        self.accident = False

    # What always holds

    @invariant()
    def never_fewer_brokers_are_wanted_than_replicas(self) -> None:
        if hasattr(self, "world"):
            assert self.world.tasks.desired >= FACTOR

    def _go_on(self, steps: int) -> None:
        for _ in range(steps):
            if self.running is None:
                return
            self.running.step()
            self._end_if_ended()

    def _end_if_ended(self) -> None:
        if self.running is None or not self.running.status:
            return
        if self.running.status == "SUCCEEDED":
            self._is_done(self.running)
        self._release()

    def _release(self) -> None:
        assert self.running is not None
        self.world.journal.release(self.running.operation)
        # The cleaner does this for a scaling only: whatever rolls may go on by itself.
        if isinstance(self.running, Scaling):
            with contextlib.suppress(LifecycleError):
                self.world.protector.unprotect_all(self.running.operation, self.world.outputs)
            self.world.journal.release(self.running.operation)
        self.running = None

    def _is_done(self, done: Running) -> None:
        """What was reported as done is so."""
        world = self.world
        if isinstance(done, Restarting) and done.service == "connectors":
            return
        assert world.whole
        if isinstance(done, Provisioning):
            for state in world.roller.reader.read(world.outputs):
                assert state.differences == (), f"{state.service.name}: {state.differences}"
            assert world.revisions == {world.outputs["OrchestrationTaskDefinitionArn"]}
            # An operation that broke off before may have protected tasks; that ends by itself.
            assert world.protected == 0 or not done.rolled
            for name, value in self.expected.items():
                assert world.outputs[name] == value, f"{name} was lost"
        elif isinstance(done, Restarting):
            nodes = {task: one.node for task, one in world.tasks.tasks.items()}
            old = {nodes[task] for task in done.before & set(nodes)}
            assert done.broker not in old
            if done.broker is None:
                assert old == set()

    def teardown(self) -> None:
        """Never a dead end: whatever came before, the same requests end well."""
        if not hasattr(self, "world"):
            return
        if self.running is not None:
            self._release()
        asked: tuple[Callable[[], Running], ...] = (
            lambda: Scaling(self.world, 4, next(self.numbers)),
            lambda: Provisioning(next(self.numbers), self.world, {}, self.expected),
            lambda: Restarting(next(self.numbers), self.world, "brokers", None),
            lambda: Scaling(self.world, 3, next(self.numbers)),
        )
        errors: list[str] = []
        for _ in range(4):
            # Longer than protection lasts: what was broken off, ECS ends by itself.
            self.world.pass_seconds(20 * 60)
            ended = [self._to_its_end(ask()) for ask in asked]
            errors += [one.cause for one in ended if one.status != "SUCCEEDED"]
            if all(one.status == "SUCCEEDED" for one in ended):
                return
        raise AssertionError(f"it does not end well: {errors}")

    def _to_its_end(self, execution: Running) -> Running:
        self.running = execution
        self._go_on(9000)
        if self.running is not None:
            self._release()
        return execution


def test_no_law_is_broken_in_the_life_of_a_cluster() -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=25,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
