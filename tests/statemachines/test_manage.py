"""The manage machine's real definition, on a load balancer and schedules in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.cluster.freeze import TAG_FROZEN
from lifecycle.cluster.management_access import Listener
from lifecycle.errors import AwsUnavailable

from tests.statemachines.engine import Control, run
from tests.support.manage import VPC, ManageWorld, manage_functions

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.definitions import Function, Result

FUNCTIONS = tuple(manage_functions(ManageWorld()))


class Manage:
    """The manage machine on a running cluster in memory; every wait lets its time pass."""

    definition = "manage"

    def __init__(self, monkeypatch: pytest.MonkeyPatch, world: ManageWorld | None = None) -> None:
        self.world = world or ManageWorld()
        self.monkeypatch = monkeypatch
        self.control = Control()
        self.began: dict[int, datetime] = {}
        self.functions = manage_functions(self.world)

    def run(self, number: int = 1, **asked: Any) -> Result:
        # A redrive keeps the start of its execution.
        at = self.began.setdefault(number, self.world.clock.now())

        def started(name: str) -> Function:
            def called(event: dict[str, Any]) -> Any:
                if "operation" in event:
                    event["operation"]["startedAt"] = at.isoformat()
                return self.functions[name](event)

            return called

        return run(
            "manage",
            {name: started(name) for name in self.functions},
            {"clusterName": "demo", "action": "open-management", **asked},
            monkeypatch=self.monkeypatch,
            on_wait=self.world.pass_seconds,
            name=f"demo.manage.{number}",
            control=self.control,
        )

    @property
    def end(self) -> datetime | None:
        return self.world.door.now.end


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Manage:
    return Manage(monkeypatch)


def test_it_is_open_to_the_vpc_until_its_end_and_then_closed(machine: Manage) -> None:
    world, began = machine.world, machine.world.clock.now()
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    access = result.output["managementAccess"]
    assert access["url"] == "http://internal-demo.example:9600"
    assert access["from"] == [VPC]
    assert datetime.fromisoformat(access["until"]) == began + timedelta(minutes=60)
    assert "no authentication" in access["warning"]
    assert is_open(machine)
    assert set(world.door.now.targets) == {
        task.address for task in world.tasks.observe("", world.tasks.name).running
    }
    assert world.table.locks == {}
    world.pass_seconds(59 * 60)
    assert is_open(machine)
    world.pass_seconds(2 * 60)
    assert not is_open(machine)
    assert world.door.now.targets == {}
    assert world.schedules.schedules == {}


def test_only_the_named_ranges_are_let_in(machine: Manage) -> None:
    assert machine.run(cidrs=["10.1.0.0/16", "192.168.3.0/24"]).status == "SUCCEEDED"
    found = {rule.source for rule in machine.world.door.now.rules}
    assert found == {"10.1.0.0/16", "192.168.3.0/24"}


def test_the_same_again_moves_the_end_and_the_ranges(machine: Manage) -> None:
    world = machine.world
    machine.run(minutes=30)
    world.pass_seconds(20 * 60)
    later = world.clock.now() + timedelta(minutes=30)
    assert machine.run(2, minutes=30, cidrs=["10.1.0.0/16"]).status == "SUCCEEDED"
    assert [rule.source for rule in world.door.now.rules] == ["10.1.0.0/16"]
    assert set(map(datetime.fromisoformat, world.door.now.ends)) == {later}
    assert [at for at, _ in world.schedules.schedules.values()] == [later]
    world.pass_seconds(15 * 60)
    assert is_open(machine)
    world.pass_seconds(16 * 60)
    assert not is_open(machine)
    assert world.overdue == []


def test_a_dry_run_changes_nothing(machine: Manage) -> None:
    result = machine.run(dryRun=True)
    assert result.status == "SUCCEEDED", result.cause
    assert result.calls == ["ValidateManage"]
    assert (result.output["minutes"], result.output["cidrs"]) == (60, [])
    assert machine.world.door.changes == []


def test_closing_removes_all_of_it_and_closing_again_nothing(machine: Manage) -> None:
    world = machine.world
    machine.run()
    result = machine.run(2, action="close-management")
    assert result.status == "SUCCEEDED", result.cause
    assert result.output["managementAccess"] == {"open": False, "wasOpen": True}
    assert (world.door.now.opened, world.door.now.targets) == (False, {})
    assert world.schedules.schedules == {}
    world.door.changes.clear()
    again = machine.run(3, action="close-management")
    assert again.output["managementAccess"] == {"open": False, "wasOpen": False}
    assert world.door.changes == []


def test_brokers_that_were_replaced_are_no_targets_any_more(machine: Manage) -> None:
    world = machine.world
    machine.run()
    world.door.now = replace(world.door.now, targets={"10.0.9.9": "healthy"})
    assert machine.run(2).status == "SUCCEEDED"
    assert "10.0.9.9" not in world.door.now.targets
    assert len(world.door.now.targets) == 3


def test_the_schedule_that_closes_it_is_there_before_anything_is_open(machine: Manage) -> None:
    world = machine.world
    found: list[int] = []
    world.door.between = lambda _: found.append(len(world.schedules.schedules))
    machine.run()
    assert found
    assert set(found) == {1}


def test_without_a_schedule_nothing_is_opened(machine: Manage) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AwsUnavailable("Scheduler throttles.")

    machine.monkeypatch.setattr(machine.world.schedules, "once", refused)
    result = machine.run()
    assert (result.status, result.error) == ("FAILED", "AwsUnavailable")
    assert machine.world.door.changes == []


def test_where_no_broker_answers_it_is_closed_again(machine: Manage) -> None:
    machine.world.door.serves = False
    result = machine.run()
    assert (result.status, result.error) == ("FAILED", "ManagementNotServed")
    assert (machine.world.door.now.opened, machine.world.door.now.targets) == (False, {})
    assert machine.world.schedules.schedules == {}
    assert machine.world.table.locks == {}


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        (lambda: ManageWorld(scheme="internet-facing"), "LoadBalancerScheme=internet-facing"),
        (lambda: ManageWorld(ManagementListener="true"), "ManagementListener=true"),
    ],
)
def test_what_must_not_or_need_not_be_opened_is_refused(
    monkeypatch: pytest.MonkeyPatch, world: Callable[[], ManageWorld], reason: str
) -> None:
    machine = Manage(monkeypatch, world())
    result = machine.run()
    assert (result.status, result.error) == ("FAILED", "ManageRefused")
    assert reason in result.cause
    assert json.loads(result.cause)["currentState"] == "Nothing was changed."
    assert machine.world.door.changes == []


def test_a_load_balancer_that_differs_from_its_stack_is_refused(machine: Manage) -> None:
    """Reality decides: the parameter says internal."""
    machine.world.door.now = replace(machine.world.door.now, scheme="internet-facing")
    result = machine.run()
    assert (result.status, result.error) == ("FAILED", "ManageRefused")
    assert machine.world.door.changes == []


def test_a_listener_of_others_is_neither_used_nor_removed(machine: Manage) -> None:
    world = machine.world
    world.door.now = replace(world.door.now, listener=Listener("arn:theirs", None))
    result = machine.run()
    assert (result.status, result.error) == ("FAILED", "ManageRefused")
    assert "arn:theirs" in result.cause
    assert machine.run(2, action="close-management").status == "SUCCEEDED"
    assert world.door.now.listener == Listener("arn:theirs", None)


def test_a_rule_of_others_for_the_same_range_is_found_before_anything_is_changed(
    machine: Manage,
) -> None:
    world = machine.world
    world.door.now = replace(world.door.now, taken=("10.7.0.0/16",))
    result = machine.run(cidrs=["10.8.0.0/16", "10.7.0.0/16"])
    assert (result.status, result.error) == ("FAILED", "ManageRefused")
    assert "10.7.0.0/16" in result.cause
    assert (world.door.changes, world.schedules.schedules) == ([], {})


def test_a_frozen_cluster_is_refused_and_yet_closed_at_its_end(machine: Manage) -> None:
    world = machine.world
    machine.run(minutes=30)
    stack = world.stacks.stack
    assert stack is not None
    world.stacks.stack = replace(stack, tags={**stack.tags, TAG_FROZEN: "audit"})
    assert machine.run(2).error == "ClusterFrozen"
    world.pass_seconds(31 * 60)
    assert not is_open(machine)


def test_a_second_principal_is_required_for_opening_and_not_for_closing(machine: Manage) -> None:
    machine.world.two_people_for = frozenset({"manage"})
    assert machine.run().error == "SecondApproverRequired"
    assert machine.world.door.changes == []
    assert machine.run(2, action="close-management").status == "SUCCEEDED"


@pytest.mark.parametrize("change", ["register", "allow", "listen"])
@pytest.mark.parametrize("times", [1, 99])
def test_an_execution_stopped_at_any_change_leaves_nothing_open_beyond_its_end(
    machine: Manage, change: str, times: int
) -> None:
    world, left = machine.world, [times]

    def between(name: str) -> None:
        if name == change and left[0]:
            left[0] -= 1
            raise AwsUnavailable("killed")

    world.door.between = between
    result = machine.run(minutes=30)
    assert (result.status == "SUCCEEDED") is (times == 1)
    world.door.between = lambda _: None
    world.pass_seconds(31 * 60)
    assert (world.door.now.opened, world.overdue) == (False, [])
    assert world.door.now.targets == {}


def test_a_redrive_after_the_end_opens_nothing(machine: Manage) -> None:
    world = machine.world
    real = machine.functions["ChangeWays"]
    machine.functions["ChangeWays"] = stopped
    machine.run(minutes=5)
    world.pass_seconds(10 * 60)
    machine.functions["ChangeWays"] = real
    result = machine.run(minutes=5)
    assert (result.status, result.error) == ("FAILED", "ManageRefused")
    assert "has come already" in result.cause
    assert world.door.changes == []


def is_open(machine: Manage) -> bool:
    return machine.world.door.now.opened


def stopped(_: dict[str, Any]) -> Any:
    raise AwsUnavailable("not yet")
