"""Failures put into a machine that runs on the fakes: by function, or between any two effects.

For any machine: give it as a ``Machine``, wrap its world with ``tamper``, put a fault in, and let
``survive`` run it, do what AWS would do afterwards, and run it again. The invariants of ``Watch``
hold at every effect of every run.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from lifecycle.cluster.trial import is_trial
from lifecycle.errors import AwsUnavailable
from lifecycle.operation.model import FUNCTION_SECONDS, Lock, free_from
from lifecycle.rehearsal.request import lock_name

from local.aws.strict.sleeping_functions import Sleepers
from tests.support.definitions import Function, Result, execution_arn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.statemachines.engine import Control

STACK = "control-demo"
FOREIGN = "arn:execution:demo:99"
# What Lambda says of a process that ended in the middle of a call.
Killed = type("Runtime.ExitError", (Exception,), {})

# Effects by the world's attribute; reading needs no fault of its own.
EFFECTS: Mapping[str, frozenset[str]] = {
    "stacks": frozenset(
        {
            "create_change_set",
            "delete_change_set",
            "execute_change_set",
            "roll_back",
            "protect",
            "set_policy",
            "unprotect",
            "delete",
        }
    ),
    "services": frozenset({"start", "move", "set_count"}),
    "table": frozenset({"take", "release", "begin", "progress", "end", "forget"}),
    "artifacts": frozenset({"put"}),
    "events": frozenset({"send"}),
    "databases": frozenset({"protect"}),
    "former": frozenset({"delete_database", "delete_bucket"}),
    "storage": frozenset({"empty_bucket"}),
    "schedules": frozenset({"once", "cancel"}),
    "door": frozenset(
        {"register", "deregister", "allow", "revoke", "listen", "stop_listening", "mark"}
    ),
    "tasks": frozenset({"set_count", "protect", "unprotect"}),
    "management": frozenset({"scale_brokers"}),
    "secrets": frozenset({"create", "promote"}),
    "users": frozenset({"set_password", "add_member", "remove_member"}),
    "admins": frozenset({"set_password"}),
    "restored": frozenset({"restore_to", "take", "remove", "set_password"}),
    "restore_tasks": frozenset({"run", "stop"}),
    "children": frozenset({"start"}),
}
# What only the holder of the cluster may touch.
GUARDED = frozenset(
    {
        *("stacks", "services", "databases", "storage", "tasks", "management"),
        *("secrets", "users", "admins", "restored", "restore_tasks", "former"),
        "children",
    }
)
# What the machine that only plans may do: nothing of it changes a cluster.
PLANNING = frozenset(
    {
        "stacks.create_change_set",
        "stacks.delete_change_set",
        "schedules.once",
        "table.begin",
        "table.end",
        "artifacts.put",
    }
)


class Machine(Protocol):
    """A state machine on a world in memory."""

    definition: str
    # Any world that has some of ``EFFECTS``, a table, artifacts, events, executions, a cleaner.
    world: Any
    functions: dict[str, Function]
    control: Control

    def run(self, number: int) -> Result:
        """Run it once, or on; ``number`` goes into the operation's id."""
        ...

    def reached(self) -> bool:
        """Whether the world is as the machine should leave it."""
        ...


@dataclass
class Fault:
    """Something that happens at the ``at``-th effect, before or after it, ``times`` in a row."""

    act: Callable[[], None]
    at: int
    after: bool = False
    times: int = 1

    def strike(self, number: int, *, after: bool) -> None:
        if self.after == after and self.at <= number < self.at + self.times:
            self.act()


@dataclass
class Watch:
    """Counts the effects on a world, lets a fault strike, and asserts what must always hold."""

    world: Any
    fault: Fault | None = None
    owner: str = ""
    guarded: bool = True
    # Whether the function that runs began its step when the execution had ended.
    after_the_end: bool = False
    # The name of its lock.
    lock: str = "control-demo"
    # All that may be done at all; empty for a machine that holds the cluster.
    allowed: frozenset[str] = frozenset()
    effects: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    executed: Counter[str] = field(default_factory=Counter)
    # How many effects there were when each run of the machine had ended.
    ran: list[int] = field(default_factory=list)

    def effect(self, name: str, call: Callable[[], Any], arguments: Mapping[str, Any]) -> Any:
        number = len(self.effects)
        self.effects.append(name)
        if self.fault is not None:
            self.fault.strike(number, after=False)
        try:
            self._check(name, arguments)
        except AssertionError as error:
            # Raised here it would be one more failed function, which the machine survives.
            self.broken.append(f"{name}: {error}")
        result = call()
        if self.fault is not None:
            self.fault.strike(number, after=True)
        return result

    def _check(self, name: str, arguments: Mapping[str, Any]) -> None:
        world, given = self.world, list(arguments.values())
        if self.allowed:
            assert name in self.allowed, f"{name} by a machine that changes nothing"
        elif self.after_the_end and name.partition(".")[0] in GUARDED:
            raise AssertionError(f"{name} after the end of the execution")
        elif self.guarded and name.partition(".")[0] in GUARDED:
            lock = world.table.locks.get(self.lock)
            assert lock is not None, f"{name} without the cluster's lock"
            assert lock.owner == self.owner, f"{name} under {lock.owner}'s lock"
        if name in {"services.create", "services.update", "services.set_count"}:
            stack = world.stacks.stacks[STACK]
            lowers = name == "services.set_count"
            assert lowers or stack.status.endswith("_COMPLETE"), "before the infrastructure is done"
        elif name == "stacks.execute_change_set":
            self.executed[arguments["0"]] += 1
            assert self.executed[arguments["0"]] == 1, "a change set executed twice"
        elif name == "stacks.delete":
            services = world.services.services.values()
            assert not any(service.desired for service in services), "deleted under running tasks"
            assert not world.targets.by_arn.get("arn:rest"), "deleted before targets were gone"
        elif name == "storage.empty_bucket" and hasattr(world, "former_planner"):
            assert given[0] not in world.outputs.values(), "emptied what the stack works with"
        elif name == "storage.empty_bucket":
            assert is_trial(world.stacks.stacks[STACK].parameters), "emptied what is no trial's"
        elif name == "tasks.set_count":
            assert given[2] >= len(world.cluster.members), "a task goes that holds partitions"


class _Tampered:
    """A fake whose effects go through a ``Watch``."""

    def __init__(self, fake: Any, name: str, watch: Watch) -> None:
        self.__dict__.update(_twin=fake, _kind=name, _watch=watch)

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._twin, attribute)
        if attribute not in EFFECTS[self._kind]:
            return value

        def call(*given: Any, **named: Any) -> Any:
            arguments = {**{str(n): one for n, one in enumerate(given)}, **named}
            return self._watch.effect(
                f"{self._kind}.{attribute}", lambda: value(*given, **named), arguments
            )

        return call

    def __setattr__(self, attribute: str, value: Any) -> None:
        setattr(self._twin, attribute, value)


def tamper(machine: Machine) -> Watch:
    """Let every effect of a machine's world go through a watch."""
    watch = Watch(machine.world)
    if machine.definition == "plan":
        watch.allowed = PLANNING
    if machine.definition == "rehearse":
        watch.lock = lock_name("control-demo")
    for name in EFFECTS.keys() & vars(machine.world).keys():
        setattr(machine.world, name, _Tampered(getattr(machine.world, name), name, watch))
    return watch


# --- faults ------------------------------------------------------------------------------------


def kill() -> None:
    """End the function's process here."""
    raise Killed("Runtime exited with error: signal: killed")


def throttle() -> None:
    """Let AWS refuse this call for now."""
    raise AwsUnavailable("Rate exceeded")


def lose_lock(machine: Machine, watch: Watch) -> Callable[[], None]:
    """Let another operation hold the cluster from here on."""

    def lose() -> None:
        watch.guarded = False  # the step that runs now could not know
        expires = int(machine.world.clock.now().timestamp()) + 900
        machine.world.table.locks[watch.lock] = Lock(
            watch.lock, FOREIGN, "demo.provision.99", expires
        )

    return lose


def kill_function(machine: Machine, function: str, *, after: bool) -> None:
    """Kill a function's first call, before it did anything or before its answer arrives."""
    real = machine.functions[function]

    def dying(event: dict[str, Any]) -> Any:
        machine.functions[function] = real
        if after:
            real(event)
        raise Killed("Runtime exited with error: signal: killed")

    machine.functions[function] = dying


def fall_asleep(machine: Machine, function: str) -> None:
    """Let nobody have called a function in the VPC for weeks; its first call wakes it."""
    real = machine.functions[function]
    sleepers = Sleepers(clock=lambda: machine.world.clock.now().timestamp())

    def sleeping(event: dict[str, Any]) -> Any:
        refusal = sleepers.refusal(function)
        if refusal is not None:
            # As Step Functions names what Lambda answers instead of calling the function.
            raise type(f"Lambda.{refusal.code}", (Exception,), {})(refusal.message)
        return real(event)

    machine.functions[function] = sleeping


def lose_answer(machine: Machine, function: str) -> None:
    """Let a function do its work, and its first answer get lost on the way."""
    real = machine.functions[function]

    def unheard(event: dict[str, Any]) -> Any:
        machine.functions[function] = real
        real(event)
        raise AwsUnavailable("the answer was lost")

    machine.functions[function] = unheard


def stop_at(machine: Machine, watch: Watch, function: str) -> None:
    """Let somebody stop the execution when a function's first call begins."""
    real = machine.functions[function]

    def stopped(event: dict[str, Any]) -> Any:
        machine.functions[function] = real
        stop(machine)
        watch.after_the_end = True
        try:
            return real(event)
        finally:
            watch.after_the_end = False

    machine.functions[function] = stopped


def stop(machine: Machine) -> None:
    """Let somebody stop the execution; the function that runs knows nothing of it."""
    machine.control.stop()
    executions = machine.world.executions
    executions.ended |= executions.running
    executions.running.clear()


# --- what happens then -------------------------------------------------------------------------


def once(machine: Machine, watch: Watch, number: int, *, ended_as: str = "") -> Result:
    """Run a machine, and then do what AWS does: the rule on the execution's status.

    ``ended_as`` names an end that the engine cannot have, TIMED_OUT, for one it can, ABORTED.
    """
    name = f"demo.{machine.definition}.{number}"
    arn = execution_arn(machine.definition, name)
    watch.owner = arn
    executions = machine.world.executions
    executions.ended.discard(arn)
    executions.running.add(arn)
    result = machine.run(number)
    watch.ran.append(len(watch.effects))
    executions.running.discard(arn)
    executions.ended.add(arn)
    # The plan machine holds nothing, so there is nothing to clean up after it.
    if result.status != "SUCCEEDED" and machine.definition != "plan":
        fault, watch.fault = watch.fault, None
        machine.world.cleaner.clean_up(
            {
                "detail": {
                    "executionArn": arn,
                    "stateMachineArn": f"arn:stateMachine:control-{machine.definition}",
                    "name": name,
                    "status": ended_as or result.status,
                    "input": json.dumps({"clusterName": "demo"}),
                    "error": result.error or None,
                    "cause": result.cause or None,
                }
            }
        )
        watch.fault = fault
    assert watch.broken == []
    _accounted_for(machine.world, name, arn, result, watch.lock)
    return result


def _accounted_for(world: Any, name: str, arn: str, result: Result, held: str) -> None:
    """However it ended: lock free, result noted, what is true and what to do in the report."""
    lock = world.table.locks.get(held)
    if lock is not None and lock.owner == arn:
        now = int(world.clock.now().timestamp())
        lost = any(one.until > now for one in lock.acting)  # an attempt that was killed
        assert lost or result.status in {"ABORTED", "TIMED_OUT", "FAILED"}, (
            "the lock outlived its operation"
        )
        assert lock.expires_at <= world.clock.now().timestamp() + FUNCTION_SECONDS
    if result.status == "FAILED":
        assert json.loads(result.cause)["nextStep"]
    record = world.table.records.get((name.split(".")[1], name))
    if ".plan." in name:
        if result.status == "FAILED":
            assert json.loads(result.cause)["currentState"].startswith("Nothing was changed")
        return
    if record is None:
        if result.status == "FAILED":
            known = ("Nothing was changed", "The failure report could not be saved")
            assert json.loads(result.cause)["currentState"].startswith(known)
        return
    report = json.loads(world.artifacts.objects[record["reportKey"]])
    assert report["result"] == record["result"]
    ended = [event for event in world.events.sent if event.detail["operationId"] == name][-1]
    assert ended.detail["result"] == record["result"]
    if result.status == "SUCCEEDED":
        assert record["result"] == "SUCCEEDED"
    if record["result"] != "SUCCEEDED":
        assert report["cause"]
        assert report["nextStep"]
        assert report["currentState"]


def redriven(machine: Machine, watch: Watch) -> Result:
    """Redrive the first execution from where it was stopped, without the fault."""
    watch.fault, watch.guarded = None, True
    machine.control.redrive = True
    try:
        return once(machine, watch, 1)
    finally:
        machine.control.redrive = False


def survive(machine: Machine, watch: Watch, *, ended_as: str = "") -> Result:
    """Run with the fault that was put in, then again without; the second run has to succeed.

    Some machines refuse what is done already. Returns how the first one ended.
    """
    first = once(machine, watch, 1, ended_as=ended_as)
    machine.world.executions.ended.add(FOREIGN)
    machine.world.clock.pass_seconds(FUNCTION_SECONDS)
    if first.status == "SUCCEEDED":
        # A lock that was lost after the last step is the other owner's, and one that stayed for an
        # attempt that was killed is free by now.
        locks, now = machine.world.table.locks, int(machine.world.clock.now().timestamp())
        kept = {
            name: lock
            for name, lock in locks.items()
            if lock.owner == FOREIGN or (lock.acting and free_from(lock, ended=True) <= now)
        }
        for name in kept:
            del locks[name]
        assert machine.reached()
        locks.update(kept)
    watch.fault, watch.guarded = None, True
    second = once(machine, watch, 2)
    refused = getattr(machine, "refused_when_done", "") == second.error != ""
    assert refused or second.status == "SUCCEEDED", f"{first.error}: {first.cause} / {second.cause}"
    assert machine.reached()
    return first
