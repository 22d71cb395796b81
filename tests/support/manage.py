"""A running cluster in memory whose management API is opened and closed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lifecycle.cluster.management_access import is_over
from lifecycle.manage.change_ways import WayChanger
from lifecycle.manage.close_ways import WayCloser

from tests.fakes.management_door import FakeManagementDoor
from tests.fakes.scheduler import FakeSchedules
from tests.support.beginning import begin_operation
from tests.support.definitions import Function, load_handler
from tests.support.rolling import RollingWorld
from tests.support.scaling import SETTINGS
from tests.support.world import CONTROL

if TYPE_CHECKING:
    from datetime import datetime

VPC = "10.190.0.0/16"
OUTPUTS = {"ManagementListener": "false", "ManagementTargetGroupArn": "arn:management"}


class ManageWorld(RollingWorld):
    """A cluster with an internal load balancer, and schedules that fire when time passes.

    ``overdue`` are moments at which something was open although its end had come.
    """

    def __init__(self, *, brokers: int = 3, scheme: str = "internal", **outputs: str) -> None:
        self.overdue: list[datetime] = []
        self.schedules, self.door = FakeSchedules(), FakeManagementDoor()
        super().__init__(brokers)
        self.declare(**{**OUTPUTS, **outputs})
        stack = self.stacks.stack
        assert stack is not None
        self.stacks.stack = replace(
            stack,
            outputs=self.outputs,
            parameters={**stack.parameters, "LoadBalancerScheme": scheme},
        )
        self.door.now = replace(self.door.now, scheme=scheme)

    @property
    def way_changer(self) -> WayChanger:
        return WayChanger(
            door=self.door,
            tasks=self.tasks,
            schedules=self.schedules,
            journal=self.journal,
            control_stack=CONTROL,
            vpc_cidr=VPC,
        )

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass; Scheduler fires what is due then."""
        super().pass_seconds(seconds)
        for payload in self.schedules.fire(self.clock.now()):
            self.closer.close(payload["cluster"])
        if is_over(self.door.now, self.clock.now()):
            self.overdue.append(self.clock.now())

    @property
    def closer(self) -> WayCloser:
        return WayCloser(
            stacks=self.stacks,  # type: ignore[arg-type]
            door=self.door,
            schedules=self.schedules,
            clock=self.clock,
            control_stack=CONTROL,
        )


def manage_functions(world: ManageWorld) -> dict[str, Function]:
    """The functions of the manage machine on a world."""
    return {
        "ValidateManage": load_handler(
            "validate_manage", settings=lambda: SETTINGS, stacks=lambda: world.stacks
        ),
        "BeginOperation": begin_operation(world),
        "ReadCluster": lambda _: dict(world.outputs),
        "ChangeWays": load_handler("change_ways", way_changer=lambda: world.way_changer),
        "FinishOperation": load_handler("finish_operation", finisher=lambda: world.finisher),
    }
