"""Ways in for a limited time: what is accepted, decided and closed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lifecycle.cluster.checks import Result
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.management_access import Listener, ManagementAccess, Rule, is_over, read_end
from lifecycle.cluster.stack import Stack
from lifecycle.errors import (
    AwsUnavailable,
    InvalidRequest,
    ManageRefused,
    PreflightFailed,
    StackNotUsable,
)
from lifecycle.manage.close_ways import WayCloser, schedule_name
from lifecycle.manage.decisions import decide_opening, refuse_opening
from lifecycle.manage.request import Action, read_manage_request
from lifecycle.manage.validate_manage import validate_manage
from lifecycle.preflight.checks import check_management, opens_management

from tests.fakes.management_door import CLOSED, FakeManagementDoor
from tests.fakes.scheduler import FakeSchedules
from tests.support.manage import ManageWorld
from tests.support.world import CONTROL, OUTPUTS, World

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
UNTIL = "2026-03-01T13:00:00Z"
OPENED = replace(
    CLOSED,
    listener=Listener("arn:listener", UNTIL),
    rules=(Rule("sgr-1", "10.0.0.0/16", UNTIL),),
    targets={"10.0.0.1": "healthy"},
)


class TestRequest:
    def test_what_opens_has_an_end_and_the_vpc_without_more(self) -> None:
        found = read_manage_request({"clusterName": "demo", "action": "open-management"})
        assert (found.action, found.minutes, found.cidrs) == (Action.OPEN, 60, ())

    @pytest.mark.parametrize("minutes", [5, 480, 60.0])
    def test_the_shortest_and_the_longest(self, minutes: float) -> None:
        given = {"clusterName": "demo", "action": "open-management", "minutes": minutes}
        assert read_manage_request(given).minutes == int(minutes)

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"minutes": 4}, "minutes"),
            ({"minutes": 481}, "minutes"),
            ({"minutes": True}, "minutes"),
            ({"minutes": "60"}, "minutes"),
            ({"cidrs": []}, "cidrs"),
            ({"cidrs": "10.0.0.0/8"}, "cidrs"),
            ({"cidrs": ["0.0.0.0/0"]}, "cidrs"),
            ({"cidrs": ["8.8.8.0/24"]}, "cidrs"),
            ({"cidrs": ["10.0.0.0/7"]}, "cidrs"),
            ({"cidrs": ["172.32.0.0/16"]}, "cidrs"),
            ({"cidrs": ["10.0.0.1/16"]}, "cidrs"),
            ({"cidrs": ["10.0.0.0/255.0.0.0"]}, "cidrs"),
            ({"cidrs": ["10.0.0.0"]}, "cidrs"),
            ({"cidrs": ["fd00::/8"]}, "cidrs"),
            ({"cidrs": ["10.0.0.0/16", "10.0.0.0/16"]}, "cidrs"),
            ({"cidrs": [f"10.{n}.0.0/16" for n in range(6)]}, "cidrs"),
            ({"cidrs": [None]}, "cidrs"),
            ({"action": "open"}, "action"),
            ({"action": None}, "action"),
            ({"action": "close-management", "minutes": 5}, "minutes"),
            ({"action": "close-management", "cidrs": ["10.0.0.0/8"]}, "cidrs"),
            ({"action": "close-management", "approves": "demo.manage.1"}, "approves"),
            ({"until": "tomorrow"}, "until"),
            ({"clusterName": "Demo"}, "clusterName"),
            ({"dryRun": "yes"}, "dryRun"),
        ],
    )
    def test_what_is_wrong_is_named_once(self, given: dict[str, Any], field: str) -> None:
        with pytest.raises(InvalidRequest) as caught:
            read_manage_request({"clusterName": "demo", "action": "open-management", **given})
        assert [one["field"] for one in caught.value.problems] == [field]

    def test_every_private_range_is_accepted(self) -> None:
        ranges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.1.0/24", "100.64.0.0/10", "10.1.2.3/32"]
        given = {"clusterName": "demo", "action": "open-management", "cidrs": ranges}
        assert list(read_manage_request(given).cidrs) == ranges

    def test_an_input_that_is_no_object(self) -> None:
        with pytest.raises(InvalidRequest):
            read_manage_request(["demo"])


class TestValidation:
    def test_a_cluster_that_something_else_made_is_left_alone(self) -> None:
        world = ManageWorld(Adopted="true")
        stack = world.stacks.stack
        assert stack is not None
        exports = {"EcsClusterName": f"camunda-lifecycle-holds-{stack.name}"}
        world.stacks.stack = replace(stack, exports=exports)
        with pytest.raises(StackNotUsable):
            self.validate(world)

    def test_a_stack_that_changes_is_waited_for(self) -> None:
        world = ManageWorld()
        stack = world.stacks.stack
        assert stack is not None
        world.stacks.stack = replace(stack, status="UPDATE_IN_PROGRESS")
        with pytest.raises(StackNotUsable, match="UPDATE_IN_PROGRESS"):
            self.validate(world)

    def test_an_unknown_scheme_is_no_internal_one(self) -> None:
        with pytest.raises(ManageRefused, match=r"LoadBalancerScheme=\(none\)"):
            self.validate(ManageWorld(scheme=""))

    def validate(self, world: ManageWorld) -> None:
        given = {"clusterName": "demo", "action": "open-management"}
        validate_manage(given, control_stack=CONTROL, stacks=world.stacks)  # type: ignore[arg-type]


class TestDecisions:
    def decide(self, access: ManagementAccess, *addresses: str, until: str = UNTIL) -> Any:
        return decide_opening(access, cidrs=["10.0.0.0/16"], until=until, addresses=addresses)

    def test_what_is_closed_lacks_everything(self) -> None:
        found = self.decide(CLOSED, "10.0.0.1")
        assert (found.register, found.allow, found.listen) == (
            ("10.0.0.1",),
            ("10.0.0.0/16",),
            True,
        )
        assert not found.settled
        assert not found.serves

    def test_what_is_open_as_requested_needs_nothing(self) -> None:
        found = self.decide(OPENED, "10.0.0.1")
        assert found.settled
        assert found.serves

    def test_another_end_is_marked(self) -> None:
        found = self.decide(OPENED, "10.0.0.1", until="2026-03-01T14:00:00Z")
        assert (found.mark, found.settled) == (True, False)

    def test_an_address_that_no_broker_has_goes(self) -> None:
        found = self.decide(OPENED, "10.0.0.2")
        assert (found.register, found.deregister) == (("10.0.0.2",), ("10.0.0.1",))

    def test_a_target_that_drains_is_registered_again(self) -> None:
        draining = replace(OPENED, targets={"10.0.0.1": "draining"})
        assert self.decide(draining, "10.0.0.1").register == ("10.0.0.1",)

    @pytest.mark.parametrize(
        ("access", "until", "reason"),
        [
            (replace(CLOSED, permanent=True), AT + timedelta(hours=1), "ManagementListener=true"),
            (replace(CLOSED, scheme="internet-facing"), AT + timedelta(hours=1), "internal one"),
            (replace(CLOSED, scheme=""), AT + timedelta(hours=1), "internal one"),
            (replace(CLOSED, security_groups=()), AT + timedelta(hours=1), "0 security groups"),
            (replace(CLOSED, security_groups=("a", "b")), AT + timedelta(hours=1), "2 security"),
            (replace(CLOSED, listener=Listener("arn:x", None)), AT + timedelta(hours=1), "arn:x"),
            (CLOSED, AT + timedelta(seconds=59), "has come already"),
            (replace(CLOSED, taken=("10.0.0.0/8",)), AT + timedelta(hours=1), "not made here"),
        ],
    )
    def test_what_is_refused(self, access: ManagementAccess, until: datetime, reason: str) -> None:
        with pytest.raises(ManageRefused, match=reason):
            refuse_opening(access, until, AT, cidrs=["10.0.0.0/8"])

    def test_a_minute_is_left(self) -> None:
        refuse_opening(
            replace(CLOSED, taken=("10.7.0.0/16",)),
            AT + timedelta(minutes=1),
            AT,
            cidrs=["10.0.0.0/8"],
        )

    @pytest.mark.parametrize(
        ("ends", "over"),
        [
            ((), False),
            (("2026-03-01T12:00:00Z",), True),
            (("2026-03-01T12:00:01Z",), False),
            (("2026-03-01T11:00:00Z", "2026-03-01T12:00:01Z"), False),
            (("tomorrow",), True),
            (("2026-03-01T13:00:00",), True),
            (("tomorrow", "2026-03-01T13:00:00Z"), False),
        ],
    )
    def test_an_end_that_has_come_or_cannot_be_read(
        self, ends: tuple[str, ...], *, over: bool
    ) -> None:
        rules = tuple(Rule(f"sgr-{n}", "10.0.0.0/8", one) for n, one in enumerate(ends))
        assert is_over(replace(CLOSED, rules=rules), AT) is over

    def test_an_end_is_read_in_utc(self) -> None:
        assert read_end("2026-03-01T14:00:00+01:00") == datetime(2026, 3, 1, 13, tzinfo=UTC)

    def test_a_schedule_s_name_fits(self) -> None:
        assert schedule_name("a" * 19, AT) == f"ways-{'a' * 19}-20260301T120000"
        assert len(schedule_name("a" * 19, AT)) <= 64


class Planes:
    """Clusters of the control plane, each with its own door."""

    def __init__(self, *names: str) -> None:
        self.doors = {name: FakeManagementDoor(OPENED) for name in names}

    def stack(self, name: str) -> Stack:
        outputs = {
            "ContractVersion": "2",
            "ClusterName": name,
            "EcsClusterName": f"{CONTROL}-{name}",
            "ManagementTargetGroupArn": f"arn:{name}",
        }
        tags = {"camunda:control-plane": CONTROL, "camunda:cluster": name}
        return Stack(
            f"{CONTROL}-{name}",
            "arn",
            "CREATE_COMPLETE",
            tags=tags,
            outputs=ClusterOutputs(outputs),
        )

    def of_control_plane(self, _: str) -> list[Stack]:
        return [self.stack(name) for name in self.doors]

    def describe(self, name: str) -> Stack | None:
        cluster = name.removeprefix(f"{CONTROL}-")
        return self.stack(cluster) if cluster in self.doors else None

    def look(self, cluster: ClusterOutputs) -> ManagementAccess | None:
        return self.doors[cluster.cluster_name].look(cluster)

    def __getattr__(self, name: str) -> Any:
        # A change names what it changes by the access that was read, here of the only open door.
        (door,) = [one for one in self.doors.values() if one.now.opened or one.now.targets]
        return getattr(door, name)


class Clock:
    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


def closer(planes: Planes, at: datetime, schedules: FakeSchedules | None = None) -> WayCloser:
    return WayCloser(
        stacks=planes,
        door=planes,
        schedules=schedules or FakeSchedules(),
        clock=Clock(at),
        control_stack=CONTROL,
    )


class TestClosing:
    def test_before_its_end_nothing_is_closed(self) -> None:
        planes = Planes("demo")
        assert closer(planes, AT).close("demo") == {"cluster": "demo", "closed": False}
        assert closer(planes, AT).sweep() == {"closed": []}
        assert planes.doors["demo"].now == OPENED

    def test_at_its_end_all_of_it_goes_the_listener_first(self) -> None:
        planes, schedules = Planes("demo"), FakeSchedules()
        end = AT + timedelta(hours=1)
        schedules.once(schedule_name("demo", end), at=end, payload={"cluster": "demo"})
        assert closer(planes, end, schedules).close("demo")["closed"] is True
        assert planes.doors["demo"].now == CLOSED
        assert planes.doors["demo"].changes == ["stop", "revoke", "deregister"]
        assert schedules.schedules == {}

    def test_a_removal_closes_it_before_its_end(self) -> None:
        planes = Planes("demo")
        assert closer(planes, AT).close("demo", now=True)["closed"] is True
        assert planes.doors["demo"].now == CLOSED

    def test_a_cluster_that_is_gone_has_nothing_open(self) -> None:
        assert closer(Planes(), AT).close("demo") == {"cluster": "demo", "closed": False}

    def test_a_load_balancer_that_is_gone_has_nothing_open(self) -> None:
        planes = Planes("demo")
        planes.doors["demo"].gone = True
        assert closer(planes, AT + timedelta(hours=9)).close("demo", now=True)["closed"] is False

    def test_the_targets_of_a_permanent_listener_stay(self) -> None:
        world = ManageWorld(ManagementListener="true")
        world.door.now = replace(OPENED, listener=Listener("arn:stack", None))
        assert world.closer.close("demo", now=True)["closed"] is True
        assert world.door.now.listener == Listener("arn:stack", None)
        assert (world.door.now.rules, list(world.door.now.targets)) == ((), ["10.0.0.1"])

    def test_what_is_overdue_in_another_cluster_is_closed_although_one_cannot_be_read(self) -> None:
        class Broken(Planes):
            def look(self, cluster: ClusterOutputs) -> ManagementAccess | None:
                if cluster.cluster_name == "first":
                    raise AwsUnavailable("throttled")
                return super().look(cluster)

        planes = Broken("first", "second")
        planes.doors["first"].now = CLOSED
        with pytest.raises(AwsUnavailable, match="throttled"):
            closer(planes, AT + timedelta(hours=2)).sweep()
        assert planes.doors["second"].now == CLOSED

    def test_what_is_still_open_afterwards_is_an_error(self) -> None:
        planes = Planes("demo")
        door = planes.doors["demo"]
        door.stop_listening = lambda listener: None  # type: ignore[method-assign]
        with pytest.raises(AwsUnavailable, match="still open"):
            closer(planes, AT).close("demo", now=True)


class TestPreflight:
    @pytest.mark.parametrize(
        ("wanted", "present", "opens"),
        [
            ("true", "false", True),
            ("true", "", True),
            ("true", "true", False),
            ("false", "true", False),
            ("false", "false", False),
        ],
    )
    def test_only_a_listener_that_is_to_come_needs_the_port(
        self, wanted: str, present: str, *, opens: bool
    ) -> None:
        given = {"ManagementListener": wanted}
        assert opens_management(given, {"ManagementListener": present}) is opens

    def test_an_open_port_fails_and_names_its_end(self) -> None:
        check = check_management(OPENED, unread="", planning=False)
        assert check.result is Result.FAIL
        assert UNTIL in check.seen
        for free in (CLOSED, None):
            assert check_management(free, unread="", planning=False).result is Result.PASS

    def test_a_plan_may_be_applied_after_the_end(self) -> None:
        assert check_management(OPENED, unread="", planning=True).result is Result.WARN

    def test_a_port_that_cannot_be_read_is_not_free(self) -> None:
        check = check_management(None, unread="throttled", planning=False)
        assert check.result is Result.FAIL

    def test_a_listener_of_others_fails(self) -> None:
        theirs = replace(CLOSED, listener=Listener("arn:theirs", None))
        check = check_management(theirs, unread="", planning=False)
        assert (check.result, "arn:theirs" in check.seen) == (Result.FAIL, True)

    @pytest.mark.parametrize("planning", [False, True])
    def test_a_provisioning_reads_what_is_open(self, *, planning: bool) -> None:
        world = World()
        world.stacks.stacks[f"{CONTROL}-demo"] = Stack(
            f"{CONTROL}-demo",
            "arn",
            "CREATE_COMPLETE",
            tags={"camunda:control-plane": CONTROL, "camunda:cluster": "demo"},
            parameters={"ManagementListener": "false"},
            outputs=ClusterOutputs({**OUTPUTS, "ManagementTargetGroupArn": "arn:management"}),
        )
        world.door.now = OPENED
        request = {
            "cluster": "demo",
            "stack": f"{CONTROL}-demo",
            "parameters": {"ManagementListener": "true"},
        }
        if planning:
            checks = world.preflight.check(request, planning=True)["checks"]
            (found,) = [one for one in checks if one["name"] == "management port"]
            assert found["result"] == "WARN"
        else:
            with pytest.raises(PreflightFailed, match="management port"):
                world.preflight.check(request, planning=False)
