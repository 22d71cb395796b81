"""Restarts: of every broker in turn, of one, of the connectors; on brokers that really move."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.freeze import TAG_FROZEN
from lifecycle.cluster.names import tags
from lifecycle.cluster.stack import Stack
from lifecycle.errors import (
    ClusterFrozen,
    ClusterNotFound,
    InvalidRequest,
    LifecycleError,
    RestartFailed,
    RestartRefused,
    StackNotUsable,
)
from lifecycle.restart.decisions import (
    BrokerRestartObserved,
    RestartAction,
    decide_broker_restart,
    decide_connectors_restart,
)
from lifecycle.restart.request import RestartedService, RestartRequest, read_restart_request
from lifecycle.restart.validate_restart import validate_restart
from lifecycle.services.brokers import BrokerService, BrokerTask
from lifecycle.services.rolling import LOOKS, PATIENCE_BEFORE, RollAction, RollObserved, decide_roll
from lifecycle.services.startup import Deployment, LivingTask, Service, missing

from tests.support.rolling import RollingWorld
from tests.support.scaling import OneStack
from tests.support.world import CONTROL

NOW = 1_000_000
BROKERS = {"clusterName": "demo", "service": "brokers"}


# --- what is asked ------------------------------------------------------------------------------


def test_a_request_names_all_brokers_one_of_them_or_the_connectors() -> None:
    assert read_restart_request(BROKERS) == RestartRequest("demo", RestartedService.BROKERS)
    one = read_restart_request({**BROKERS, "broker": 0})
    assert one == RestartRequest("demo", RestartedService.BROKERS, 0)
    both = read_restart_request({**BROKERS, "service": "connectors"})
    assert both == RestartRequest("demo", RestartedService.CONNECTORS)


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (None, {"(input)"}),
        ({}, {"clusterName", "service"}),
        ({**BROKERS, "service": "gateway"}, {"service"}),
        ({**BROKERS, "service": ["brokers"]}, {"service"}),
        ({**BROKERS, "broker": -1}, {"broker"}),
        ({**BROKERS, "broker": 30}, {"broker"}),
        ({**BROKERS, "broker": None}, {"broker"}),
        ({**BROKERS, "broker": True}, {"broker"}),
        ({**BROKERS, "broker": "2"}, {"broker"}),
        ({**BROKERS, "service": "connectors", "broker": 1}, {"broker"}),
        ({**BROKERS, "force": True, "clusterName": "No!"}, {"force", "clusterName"}),
        ({**BROKERS, "acceptNoBackup": "yes"}, {"acceptNoBackup"}),
        ({**BROKERS, "service": "connectors", "acceptNoBackup": True}, {"acceptNoBackup"}),
    ],
)
def test_every_wrong_field_is_named(raw: Any, fields: set[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_restart_request(raw)
    assert {one["field"] for one in refused.value.problems} == fields


NAMED = {"ClusterName": "demo", "EcsClusterName": f"{CONTROL}-demo"}


def stack(**changes: Any) -> Stack:
    changes["tags"] = tags(CONTROL, "demo") | changes.get("tags", {})
    return replace(
        Stack(
            f"{CONTROL}-demo",
            "arn",
            "CREATE_COMPLETE",
            outputs=ClusterOutputs({**NAMED, "ContractVersion": "2"}),
        ),
        **changes,
    )


@pytest.mark.parametrize(
    ("found", "error"),
    [
        (None, ClusterNotFound),
        (stack(outputs=ClusterOutputs()), ClusterNotFound),
        (stack(tags={"camunda:control-plane": "another"}), ClusterNotFound),
        (
            stack(outputs=ClusterOutputs({**NAMED, "ContractVersion": "2", "Adopted": "true"})),
            StackNotUsable,
        ),
        (stack(outputs=ClusterOutputs({**NAMED, "ContractVersion": "1"})), StackNotUsable),
        (stack(status="UPDATE_IN_PROGRESS"), StackNotUsable),
        (stack(tags={TAG_FROZEN: "true"}), ClusterFrozen),
    ],
)
def test_what_cannot_be_restarted_is_refused(found: Stack | None, error: type[Exception]) -> None:
    with pytest.raises(error):
        validate_restart(BROKERS, control_stack=CONTROL, stacks=OneStack(found))  # type: ignore[arg-type]


def test_what_is_carried_on_names_the_stack() -> None:
    carried = validate_restart(
        {**BROKERS, "broker": 2},
        control_stack=CONTROL,
        stacks=OneStack(stack()),  # type: ignore[arg-type]
    )
    expected = {
        "cluster": "demo",
        "stack": f"{CONTROL}-demo",
        "ecsCluster": f"{CONTROL}-demo",
        "service": "brokers",
        "broker": 2,
        "dryRun": False,
        "approves": "",
        "acceptNoBackup": False,
        "needsBackup": False,
        "backup": {"maxAgeHours": 4, "acceptNoBackup": False, "snapshot": False},
    }
    assert carried == expected


@pytest.mark.parametrize(
    ("asked", "needed"),
    [({}, True), ({"broker": 0}, False), ({"service": "connectors"}, False)],
)
def test_only_a_restart_of_all_brokers_needs_a_backup(asked: dict[str, Any], needed: bool) -> None:
    older = stack(parameters={"BackupMaxAge": "24"})
    found = validate_restart(
        {**BROKERS, **asked},
        control_stack=CONTROL,
        stacks=OneStack(older),  # type: ignore[arg-type]
    )
    assert (found["needsBackup"], found["backup"]["maxAgeHours"]) == (needed, 24)


# --- all brokers --------------------------------------------------------------------------------


def test_every_broker_is_restarted_once_the_highest_first() -> None:
    world = RollingWorld()
    running = set(world.tasks.tasks)
    world.restart()
    assert world.tasks.replaced == [2, 1, 0]
    assert world.tasks.deployed == 2
    assert running.isdisjoint(world.tasks.tasks)
    assert world.whole
    assert world.protected == 0


def test_a_restart_changes_neither_revision_nor_settings_though_they_differ() -> None:
    world = RollingWorld()
    before = world.services.services
    definitions = {name: one.definition for name, one in before.items()}
    world.restart()
    assert world.revisions == {"arn:orchestration-cluster:1"}
    assert {name: one.definition for name, one in world.services.services.items()} == definitions
    assert world.services.services["connectors"].deployments[0].deployment_id == "d-1"


def test_a_cluster_that_is_not_whole_is_not_restarted() -> None:
    world = RollingWorld()
    world.brokers.kill_broker(1)
    world.brokers.pass_time(5)
    with pytest.raises(
        RestartRefused, match=r"was not healthy for 5 minutes.*No broker was replaced"
    ):
        world.restart()
    assert world.tasks.deployed == 1
    assert world.protected == 0


def test_a_stopped_cluster_is_not_restarted() -> None:
    world = RollingWorld()
    world.services.set_count("", world.tasks.name, 0)
    for broker in (None, 0):
        with pytest.raises(RestartRefused, match="desired count of the brokers is 0"):
            world.restart(broker=broker)


class Aborted(Exception):
    """Somebody stops the execution."""


def test_a_restart_that_was_broken_off_is_gone_on_with_and_its_brokers_stay_protected() -> None:
    world = RollingWorld()

    def abort() -> None:
        if world.tasks.replaced == [2] and len(world.running) == 3:
            raise Aborted

    world.on_look = abort
    with contextlib.suppress(Aborted):
        world.restart()
    world.on_look = lambda: None
    assert world.tasks.replaced == [2]
    world.tasks.stop_broker(2)
    world.restart(number=2)
    assert world.tasks.replaced == [2, 1, 0]
    assert world.tasks.deployed == 2, "the deployment of the first is the second's, too"
    assert world.whole


def test_after_a_failed_deployment_a_restart_begins_though_a_broker_is_missing() -> None:
    world = RollingWorld()
    world.tasks.deployments = (replace(world.tasks.deployments[0], rollout_state="FAILED"),)
    world.tasks.stop_broker(2)
    world.pass_seconds(10)
    world.restart()
    assert world.whole
    assert world.tasks.deployed == 2


def test_targets_are_waited_for() -> None:
    world = RollingWorld()
    world.targets.seconds = 90
    world.pass_seconds(100)
    world.targets.health("")
    world.pass_seconds(100)
    world.restart()
    assert all(one.state == "healthy" for one in world.targets.health(""))


# --- one broker ---------------------------------------------------------------------------------


@pytest.mark.parametrize("broker", [0, 1, 2])
def test_one_broker_is_restarted_and_no_other(broker: int) -> None:
    world = RollingWorld()
    nodes = {task: one.node for task, one in world.tasks.tasks.items()}
    world.restart(broker=broker)
    kept = {task for task, node in nodes.items() if node != broker}
    assert kept == set(world.tasks.tasks) & set(nodes)
    assert world.running == [0, 1, 2]
    assert world.tasks.deployed == 1
    assert world.whole


def test_a_broker_that_is_sick_can_be_restarted() -> None:
    world = RollingWorld()
    world.brokers.kill_broker(2)
    world.brokers.pass_time(5)
    assert not world.whole
    world.restart(broker=2)
    assert world.whole


def test_a_broker_is_not_restarted_while_another_is_missing() -> None:
    world = RollingWorld()
    world.brokers.kill_broker(1)
    world.brokers.pass_time(5)
    running = set(world.tasks.tasks)
    with pytest.raises(RestartRefused, match=r"not healthy for 5 minutes.*broker 1"):
        world.restart(broker=2)
    assert set(world.tasks.tasks) == running


def test_a_broker_that_does_not_come_back_ends_it_in_words_and_no_second_task_is_stopped() -> None:
    world = RollingWorld()
    stopped: list[str] = []
    real = world.tasks.stop

    def stop(cluster: str, task: str, reason: str) -> None:
        stopped.append(task)
        world.tasks.fails.add(world.tasks.revision)
        real(cluster, task, reason)

    world.tasks.stop = stop  # type: ignore[assignment, method-assign]
    with pytest.raises(RestartFailed, match=r"broker 2 made no progress for 30 minutes: 2 of 3"):
        world.restart(broker=2)
    assert len(stopped) == 1


def test_a_broker_that_does_not_exist_is_refused() -> None:
    with pytest.raises(RestartRefused, match=r"There is no broker 3: the brokers are 0 to 2"):
        RollingWorld().restart(broker=3)


def task(number: int, *, young: bool = False) -> BrokerTask:
    created = NOW + 5 if young else NOW - 500
    return BrokerTask(f"t{number}", f"10.0.0.{number}", "RUNNING", True, created_at=created)


def observed(**changes: Any) -> BrokerRestartObserved:
    service = BrokerService(
        "brokers",
        3,
        (Deployment("d", "PRIMARY", "COMPLETED", "", 0, running=3),),
        (task(0), task(1), task(2)),
    )
    nodes = {"t0": 0, "t1": 1, "t2": 2}
    return replace(
        BrokerRestartObserved(2, service, nodes, (), (), since=NOW, whole=LOOKS), **changes
    )


def test_the_others_have_to_be_whole_in_three_looks_in_a_row() -> None:
    seen, actions = observed(whole=0), []
    for _ in range(LOOKS):
        decision = decide_broker_restart(seen)
        actions.append(decision.action)
        seen = replace(seen, whole=decision.whole)
    assert actions == [RestartAction.WAIT, RestartAction.WAIT, RestartAction.STOP]
    lacking = replace(seen, whole=LOOKS - 1, others=("partition 1 has no leader",))
    assert decide_broker_restart(lacking).whole == 0


def test_a_young_task_is_never_stopped() -> None:
    tasks = (task(0), task(1), task(2, young=True))
    seen = observed(service=replace(observed().service, tasks=tasks))
    assert decide_broker_restart(seen).action is RestartAction.DONE
    sick = replace(seen, problems=("partition 1 is not healthy on broker 2",))
    assert decide_broker_restart(sick).action is RestartAction.WAIT


def test_a_task_is_known_by_elimination_only_where_one_is_left() -> None:
    seen = observed(nodes={"t0": 0, "t1": 1})
    assert decide_broker_restart(seen).task == "t2"
    unknown = decide_broker_restart(observed(nodes={"t0": 0}))
    assert (unknown.action, unknown.task) == (RestartAction.WAIT, "")


def test_another_task_that_is_no_broker_yet_is_waited_for() -> None:
    decision = decide_broker_restart(observed(nodes={"t0": 0, "t2": 2}))
    assert decision.action is RestartAction.WAIT
    assert "t1 is not in the topology" in decision.reason


def test_no_task_is_stopped_during_a_deployment_or_after_a_failed_one() -> None:
    service = observed().service
    older = Deployment("o", "ACTIVE", "COMPLETED", "", 0, running=1)
    moving = replace(service, deployments=(*service.deployments, older))
    assert decide_broker_restart(observed(service=moving)).action is RestartAction.WAIT
    failed = replace(service.deployments[0], rollout_state="FAILED")
    with pytest.raises(RestartRefused, match="does not replace a stopped task"):
        decide_broker_restart(observed(service=replace(service, deployments=(failed,))))


# --- connectors ---------------------------------------------------------------------------------


def connectors(**deployment: Any) -> Service:
    primary = Deployment("d", "PRIMARY", "COMPLETED", "", 0, running=2, created_at=NOW - 9)
    primary = replace(primary, **deployment)
    return Service("connectors", "ACTIVE", 2, 2, 0, (primary,))


OLD, NEW = (
    tuple(LivingTask(f"{deployment}-{n}", deployment, "RUNNING") for n in range(2))
    for deployment in ("c", "d")
)


def test_connectors_are_deployed_once_and_followed_to_the_end() -> None:
    assert decide_connectors_restart(connectors(), NOW, tasks=OLD).action is RestartAction.DEPLOY
    going = connectors(created_at=NOW, rollout_state="IN_PROGRESS", running=1)
    assert decide_connectors_restart(going, NOW, tasks=OLD).action is RestartAction.WAIT
    done = connectors(created_at=NOW)
    assert decide_connectors_restart(done, NOW, tasks=NEW).action is RestartAction.DONE
    draining = replace(
        done, deployments=(*done.deployments, replace(done.deployments[0], status="ACTIVE"))
    )
    assert decide_connectors_restart(draining, NOW, tasks=NEW).action is RestartAction.WAIT


@pytest.mark.parametrize("status", ["RUNNING", "DEACTIVATING", "STOPPING", "PENDING"])
def test_the_tasks_show_that_no_former_connector_is_left(status: str) -> None:
    """Whatever ECS lists of deployments."""
    tasks = (*NEW, replace(OLD[0], status=status))
    decision = decide_connectors_restart(connectors(created_at=NOW), NOW, tasks=tasks)
    assert decision.action is RestartAction.WAIT
    assert decision.reason == f"task c-0 of a former deployment is {status}"


@pytest.mark.parametrize("tasks", [(), NEW[:1], (NEW[0], replace(NEW[1], status="PENDING"))])
def test_new_connectors_that_are_not_listed_yet_are_waited_for(tasks: Any) -> None:
    decision = decide_connectors_restart(connectors(created_at=NOW), NOW, tasks=tasks)
    assert decision.action is RestartAction.WAIT


@pytest.mark.parametrize("service", [missing("connectors"), replace(connectors(), desired=0)])
def test_where_none_is_required_the_last_connector_has_to_stop(service: Service) -> None:
    decision = decide_connectors_restart(service, NOW, tasks=OLD[:1], required=False)
    assert decision.action is RestartAction.WAIT
    decision = decide_connectors_restart(service, NOW, tasks=(), required=False)
    assert decision.action is RestartAction.DONE


def test_connectors_that_ecs_gives_up_end_it_with_its_reason() -> None:
    failed = connectors(created_at=NOW, rollout_state="FAILED", rollout_reason="tasks failed.")
    with pytest.raises(RestartFailed, match=r"tasks failed\. 2 of 2 tasks run"):
        decide_connectors_restart(failed, NOW, tasks=())


@pytest.mark.parametrize("service", [missing("connectors"), replace(connectors(), desired=0)])
def test_connectors_that_are_not_to_run_are_refused(service: Service) -> None:
    with pytest.raises(RestartRefused, match="nothing to restart"):
        decide_connectors_restart(service, NOW, tasks=())


def test_restarting_connectors_leaves_the_brokers_alone() -> None:
    world = RollingWorld()
    world.on_look = lambda: world.services.settle("connectors")
    world.restart("connectors")
    assert world.services.services["connectors"].deployments[0].deployment_id != "d-1"
    assert world.tasks.deployed == 1


# --- what ECS shows a moment later --------------------------------------------------------------


def test_a_look_at_the_state_before_is_neither_done_nor_done_again() -> None:
    stale = decide_connectors_restart(connectors(), NOW, former="d", tasks=())
    assert stale.action is RestartAction.WAIT
    task_is_still_shown = decide_broker_restart(observed(stopped="t2"))
    assert task_is_still_shown.action is RestartAction.WAIT
    primary = Deployment("d", "PRIMARY", "COMPLETED", "", 0, running=3, created_at=NOW - 9)
    before = RollObserved(
        service=replace(observed().service, deployments=(primary,)),
        differs=False,
        problems=(),
        exporting=(),
        nodes=observed().nodes,
        now=NOW,
        restart_since=NOW,
        former="d",
    )
    assert decide_roll(before, fresh=False).action is RollAction.WAIT


def test_each_refusal_names_what_to_do_next() -> None:
    for error in (RestartRefused("x"), RestartFailed("x")):
        assert isinstance(error, LifecycleError)
        assert error.next_step != LifecycleError.default_next_step
    assert PATIENCE_BEFORE == 300
