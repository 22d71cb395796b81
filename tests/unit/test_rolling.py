from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.errors import RollingUpdateFailed
from lifecycle.provisioning.start_services import ServiceStarter
from lifecycle.services.brokers import BrokerService, BrokerTask
from lifecycle.services.definition import Difference, Effect
from lifecycle.services.rolling import (
    BROKER_PATIENCE,
    LOOKS,
    RollAction,
    RollObserved,
    decide_roll,
    must_roll,
)
from lifecycle.services.startup import Deployment, Service

from tests.fakes.s3 import FakeLeases
from tests.support.rolling import NEWEST, RollingWorld
from tests.support.world import operation

if TYPE_CHECKING:
    from collections.abc import Mapping

OLD = "arn:orchestration-cluster:1"
NOW = 1_000_000
LONG = NOW + 900


def task(number: int, *, new: bool = False, until: int = LONG) -> BrokerTask:
    return BrokerTask(
        f"t{number}",
        f"10.0.0.{number}",
        "RUNNING",
        True,
        protected_until=0 if new else until,
        deployment="new" if new else "old",
        revision=NEWEST if new else OLD,
    )


def observed(*tasks: BrokerTask, problems: tuple[str, ...] = ()) -> RollObserved:
    """A deployment that is under way, the cluster whole until now; broker n runs in task tn."""
    return RollObserved(
        service=BrokerService(
            "brokers",
            3,
            (
                Deployment("new", "PRIMARY", "IN_PROGRESS", "", 0),
                Deployment("old", "ACTIVE", "COMPLETED", "", 0, running=2),
            ),
            tasks,
            revision=NEWEST,
        ),
        differs=False,
        problems=problems,
        exporting=(),
        nodes={f"t{n}": n for n in range(3)},
        now=NOW,
        whole=LOOKS,
    )


def test_the_highest_broker_goes_first_and_the_coordinator_last() -> None:
    world = RollingWorld(5)
    world.roll()
    assert world.tasks.replaced == [4, 3, 2, 1, 0]


def test_all_are_protected_before_the_deployment_begins() -> None:
    world = RollingWorld()
    first = world.look({})
    assert world.protected == 3
    assert world.tasks.revision == OLD
    world.look(first["memory"])
    assert world.tasks.revision == NEWEST


def test_the_next_waits_until_the_cluster_is_whole() -> None:
    seen = observed(task(0), task(1), task(2, new=True), problems=("partition 2 has no leader",))
    decision = decide_roll(seen, fresh=False)
    assert decision.action is RollAction.WAIT
    assert "partition 2 has no leader" in decision.reason
    whole = decide_roll(replace(seen, problems=()), fresh=False)
    assert (whole.action, whole.tasks) == (RollAction.RELEASE, ("t1",))


def test_the_next_waits_until_the_cluster_was_whole_in_three_looks_in_a_row() -> None:
    seen = replace(observed(task(0), task(1), task(2, new=True)), whole=0)
    looks = []
    for _ in range(LOOKS):
        decision = decide_roll(seen, fresh=False)
        looks.append(decision.action)
        seen = replace(seen, whole=decision.whole)
    assert looks == [RollAction.WAIT, RollAction.WAIT, RollAction.RELEASE]
    lacking = decide_roll(
        replace(seen, whole=LOOKS - 1, problems=("partition 1 has no leader",)), fresh=False
    )
    assert lacking.whole == 0


def test_the_next_waits_until_every_running_task_is_in_the_topology() -> None:
    seen = observed(task(0), task(1), task(2, new=True))
    decision = decide_roll(replace(seen, nodes={"t0": 0, "t1": 1}), fresh=False)
    assert decision.action is RollAction.WAIT
    assert "the address of task t2 is not in the topology" in decision.reason


def test_the_next_waits_until_every_leader_exports_what_it_processed() -> None:
    behind = ("partition 2 exported up to 3, and processed up to 9",)
    seen = replace(observed(task(0), task(1), task(2, new=True)), exporting=behind)
    decision = decide_roll(seen, fresh=False)
    assert (decision.action, decision.whole) == (RollAction.WAIT, 0)
    assert behind[0] in decision.reason
    last = observed(*(task(n, new=True) for n in range(3)))
    alone = replace(last, service=replace(last.service, deployments=last.service.deployments[:1]))
    assert decide_roll(alone, fresh=False).action is RollAction.DONE
    assert decide_roll(replace(alone, exporting=behind), fresh=False).action is RollAction.WAIT


def test_brokers_under_load_are_replaced_though_the_exporter_is_always_a_little_behind() -> None:
    world = RollingWorld()
    world.cluster.lags = dict.fromkeys((1, 2, 3), 40)
    world.cluster.processed = 100
    memory: Mapping[str, Any] = {}
    for _ in range(200):
        answer = world.look(memory)
        if answer["status"] == "ROLLED":
            break
        memory = answer["memory"]
        world.pass_seconds(answer["wait"])
        world.cluster.processed += 50
    assert world.tasks.replaced == [2, 1, 0]


def test_brokers_are_replaced_though_the_exporter_has_exported_everything_now_and_then() -> None:
    world = RollingWorld()
    memory: Mapping[str, Any] = {}
    for number in range(60):
        world.cluster.processed = 100 + 20 * number
        world.cluster.lags = dict.fromkeys((1, 2, 3), 5 * (number % 2))
        answer = world.look(memory)
        if answer["status"] == "ROLLED":
            break
        memory = answer["memory"]
        world.pass_seconds(answer["wait"])
    assert world.tasks.replaced == [2, 1, 0]


@pytest.mark.parametrize(
    ("phase", "lag", "why"),
    [
        ("EXPORTING", 1, "partition 3 exported up to 99, and processed up to 100"),
        ("EXPORTING", 101, "partition 3 exported nothing of what it processed"),
        ("PAUSED", 0, "exporting of partition 1 is PAUSED"),
        ("SOFT_PAUSED", 0, "exporting of partition 1 is SOFT_PAUSED"),
    ],
)
def test_no_broker_goes_while_exporting_stands_still_and_the_end_names_it(
    phase: str, lag: int, why: str
) -> None:
    world = RollingWorld()
    world.cluster.processed = 100
    world.cluster.lags, world.cluster.exporting = {3: lag}, phase
    with pytest.raises(RollingUpdateFailed, match=why):
        world.roll()
    assert world.tasks.replaced == []
    assert world.running == [0, 1, 2]


def test_a_restart_replaces_every_broker_though_nothing_differs_and_only_once() -> None:
    world = RollingWorld()
    world.roll()
    before = world.tasks.deployments
    assert world.tasks.replaced == [2, 1, 0]
    world.pass_seconds(60)
    world.roll(number=2)
    assert world.tasks.deployments == before, "nothing differs and nothing was asked"
    world.restart(number=3)
    assert world.tasks.replaced == [2, 1, 0, 2, 1, 0]
    assert world.tasks.deployed == 3, "one deployment for the revision, one for the restart"
    assert world.whole


def test_one_that_is_released_is_waited_for_and_the_others_stay_protected() -> None:
    seen = observed(task(0), task(1), task(2, until=0))
    assert decide_roll(seen, fresh=False).action is RollAction.WAIT
    soon = observed(task(0, until=NOW + 60), task(1), task(2, until=0))
    renewed = decide_roll(soon, fresh=False)
    assert (renewed.action, renewed.tasks) == (RollAction.PROTECT, ("t0",))


def test_protection_that_ran_out_is_given_again_to_all_but_one() -> None:
    seen = observed(task(0, until=0), task(1, until=0), task(2, until=0))
    decision = decide_roll(seen, fresh=True)
    assert (decision.action, decision.tasks) == (RollAction.PROTECT, ("t0", "t1"))


def test_a_revision_that_does_not_start_ends_it_and_the_others_go_on_running() -> None:
    world = RollingWorld()
    world.tasks.fails.add(NEWEST)
    with pytest.raises(RollingUpdateFailed, match="ECS stopped the deployment") as failed:
        world.roll()
    assert "2 of 3 brokers belong to an earlier deployment and were left running" in str(
        failed.value
    )
    assert world.running == [0, 1]
    assert world.tasks.replaced == [2]


def test_the_next_operation_mends_what_did_not_start() -> None:
    world = RollingWorld()
    world.tasks.fails.add(NEWEST)
    with pytest.raises(RollingUpdateFailed):
        world.roll()
    world.revise(3)
    world.roll(number=2)
    assert world.revisions == {"arn:orchestration-cluster:3"}
    assert world.whole
    assert world.tasks.replaced == [2, 1, 0]


def test_the_same_revision_is_deployed_again_when_ecs_gave_it_up() -> None:
    world = RollingWorld()
    world.tasks.fails.add(NEWEST)
    with pytest.raises(RollingUpdateFailed):
        world.roll()
    world.tasks.fails.clear()
    world.roll(number=2)
    assert world.revisions == {NEWEST}


def test_a_broker_that_never_becomes_whole_ends_it_with_its_name() -> None:
    world = RollingWorld()
    memory: Mapping[str, Any] = {}
    while world.protected in {0, 3}:
        memory = world.look(memory)["memory"]
    world.tasks.refusal = "service brokers was unable to place a task"
    world.pass_seconds(2)
    memory = world.look(memory)["memory"]
    began = world.clock.now()
    while (world.clock.now() - began).total_seconds() < BROKER_PATIENCE - 60:
        world.clock.pass_seconds(60)
        # Protection runs out meanwhile and is given again.
        memory = world.look(memory)["memory"]
    world.clock.pass_seconds(120)
    with pytest.raises(RollingUpdateFailed, match="2 of 3 tasks run") as failed:
        world.look(memory)
    assert "unable to place" in str(failed.value)
    assert world.running == [0, 1]


OTHER_REVISION = Difference("taskDefinition", Effect.DEPLOYS, OLD, NEWEST)
SERVICE = Service(
    "brokers",
    "ACTIVE",
    desired=3,
    running=3,
    pending=0,
    deployments=(Deployment("d", "PRIMARY", "COMPLETED", "", 0, running=3),),
    revision=NEWEST,
)


@pytest.mark.parametrize(
    ("service", "differences", "rolls"),
    [
        (SERVICE, (), False),
        (SERVICE, (Difference("tags", Effect.IN_PLACE, 1, 2),), False),
        (SERVICE, (OTHER_REVISION,), True),
        (replace(SERVICE, desired=0), (OTHER_REVISION,), False),
        (replace(SERVICE, deployments=(Deployment("d", "PRIMARY", "FAILED", "", 3),)), (), True),
        (
            replace(
                SERVICE,
                deployments=(
                    *SERVICE.deployments,
                    Deployment("o", "ACTIVE", "COMPLETED", "", 0, running=1),
                ),
            ),
            (),
            True,
        ),
    ],
)
def test_what_has_to_be_rolled(
    service: Service, differences: tuple[Difference, ...], rolls: bool
) -> None:
    assert must_roll(service, differences) is rolls


def test_what_changes_in_place_is_sent_too_where_an_earlier_roll_goes_on() -> None:
    world = RollingWorld()
    memory: dict[str, Any] = {}
    while world.tasks.replaced == []:
        answer = world.look(memory)
        memory = answer["memory"]
        world.pass_seconds(answer["wait"])
    world.table.locks.clear()
    world.declare(BrokerGraceSeconds="1800")
    starter = ServiceStarter(
        reader=world.roller.reader,
        services=world.services,
        leases=FakeLeases(),
        journal=world.journal,
    )
    started = starter.start(operation(2), world.outputs)
    assert started["roll"]
    world.roll(number=2)
    assert world.tasks.deployed == 2, "the earlier deployment goes on"
    live = world.services.services[world.tasks.name].definition
    assert live["healthCheckGracePeriodSeconds"] == 1800
