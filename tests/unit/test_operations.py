from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError
from lifecycle.cluster.checks import TargetHealth
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.names import change_set_name
from lifecycle.cluster.planned_outputs import UNKNOWN
from lifecycle.cluster.stack import ResourceChange
from lifecycle.errors import (
    ChangeSetRefused,
    ClusterBusy,
    LockLost,
    OperationEnded,
    PlanStale,
    ServiceDraining,
    StackFailed,
    StackNotUsable,
    StartFailed,
)
from lifecycle.operation.model import FUNCTION_SECONDS, LOCK_SECONDS, Acting, Lock, free_from
from lifecycle.provisioning.start_services import START_SECONDS, converge_connectors
from lifecycle.services.definition import compare
from lifecycle.services.startup import Deployment
from lifecycle.services.state import ServiceState
from lifecycle.services.stops import StoppedTask
from lifecycle.verification.process_instances import PATIENCE_SECONDS, WAIT_SECONDS

from tests.fakes.probe import FakeProbe
from tests.support.world import (
    OUTPUTS,
    PATHS,
    UNFORMED,
    World,
    also_acts,
    designs,
    operation,
)


@pytest.fixture
def world() -> World:
    return World()


def settle(world: World, number: int = 1, requested: dict[str, str] | None = None) -> None:
    """Carry a change of the infrastructure through."""
    op = operation(number)
    planned = world.plan(op, requested)
    world.changer.execute(op, change_set=planned["changeSet"], replace=[])
    world.stacks.finish()
    world.journal.release(op)


class TestLock:
    def test_a_free_cluster_is_taken_and_taken_again_by_the_same_operation(
        self, world: World
    ) -> None:
        world.journal.begin(operation())
        world.clock.pass_seconds(60)
        world.journal.begin(operation())
        lock = world.table.locks["control-demo"]
        assert lock.owner == operation().execution_arn
        assert lock.expires_at == int(world.clock.now().timestamp()) + LOCK_SECONDS

    def test_a_held_cluster_is_refused_and_the_holder_named(self, world: World) -> None:
        world.journal.begin(operation(1))
        with pytest.raises(ClusterBusy, match=r"demo\.provision\.1"):
            world.journal.begin(operation(2))
        assert world.table.locks["control-demo"].owner == operation(1).execution_arn

    def test_an_expired_lock_stays_while_its_owner_runs(self, world: World) -> None:
        world.journal.begin(operation(1))
        world.executions.running.add(operation(1).execution_arn)
        world.clock.pass_seconds(LOCK_SECONDS + 1)
        with pytest.raises(ClusterBusy):
            world.journal.begin(operation(2))

    def test_a_lock_of_an_owner_that_ended_is_taken_over_once_its_functions_have_ended_too(
        self, world: World
    ) -> None:
        world.journal.begin(operation(1))
        world.executions.ended.add(operation(1).execution_arn)
        world.clock.pass_seconds(FUNCTION_SECONDS - 30)
        with pytest.raises(ClusterBusy, match="may still be running") as refused:
            world.journal.begin(operation(2))
        assert (refused.value.seconds, refused.value.next_step) == (
            30,
            "Start again in 30 seconds.",
        )
        assert world.table.locks["control-demo"].owner == operation(1).execution_arn
        world.clock.pass_seconds(30)
        world.journal.begin(operation(2))
        assert world.table.locks["control-demo"].owner == operation(2).execution_arn

    @pytest.mark.parametrize("locked", [True, False])
    def test_an_operation_that_ended_takes_nothing_and_does_nothing(
        self, world: World, locked: bool
    ) -> None:
        world.journal.begin(operation(1))
        if not locked:
            world.journal.release(operation(1))
        locks = dict(world.table.locks)
        world.executions.ended.add(operation(1).execution_arn)
        with pytest.raises(OperationEnded, match="is no longer running"):
            world.plan(operation(1))
        with pytest.raises(OperationEnded):
            world.journal.begin(operation(1))
        assert world.stacks.stacks == {}
        assert world.table.locks == locks

    def test_a_lock_stays_for_a_function_that_may_run_and_says_until_when(
        self, world: World
    ) -> None:
        world.journal.begin(operation(1))
        until = also_acts(world, operation(1))
        world.executions.ended.add(operation(1).execution_arn)
        world.clock.pass_seconds(20)
        world.journal.give_back(operation(1))
        assert world.table.locks["control-demo"].expires_at == until

    def test_a_lock_that_is_somebody_elses_or_gone_is_not_given_back(self, world: World) -> None:
        world.journal.give_back(operation(1))
        assert world.table.locks == {}
        world.journal.begin(operation(2))
        locks = dict(world.table.locks)
        world.journal.give_back(operation(1))
        assert world.table.locks == locks

    def test_the_lock_of_what_is_no_execution_is_taken_over_when_it_expired(
        self, world: World
    ) -> None:
        now = int(world.clock.now().timestamp())
        world.table.locks["control-demo"] = Lock(
            "control-demo", "discard:plan-1", "discard:plan-1", now + 50, now
        )
        with pytest.raises(ClusterBusy):
            world.journal.begin(operation(1))
        world.clock.pass_seconds(FUNCTION_SECONDS)
        world.journal.begin(operation(1))

    def test_a_lock_without_a_function_that_acts_is_free_once_its_owner_ended(
        self, world: World
    ) -> None:
        held = world.journal._lock(operation(1))
        world.table.locks["control-demo"] = replace(held, acting=frozenset())
        with pytest.raises(ClusterBusy):
            world.journal.begin(operation(2))
        world.executions.ended.add(operation(1).execution_arn)
        world.journal.begin(operation(2))

    def test_an_execution_that_is_not_known_may_be_about_to_start(self, world: World) -> None:
        world.executions.others_run = False
        held = world.journal._lock(operation(1))
        world.table.locks["control-demo"] = replace(held, acting=frozenset())
        with pytest.raises(ClusterBusy):
            world.journal.begin(operation(2))
        world.clock.pass_seconds(FUNCTION_SECONDS)
        world.journal.begin(operation(2))

    def test_what_is_no_execution_states_its_own_time(self, world: World) -> None:
        """As DiscardPlan, whose function was killed in the middle."""
        now = int(world.clock.now().timestamp())
        for acting, expires, free in ((7, 500, 7), (0, 9, 9)):
            left = Lock("control-demo", "discard:p", "discard:p", now + expires, now)
            if acting:
                left = replace(left, acting=frozenset({Acting("killed", now + acting)}))
            assert free_from(left, ended=False) == now + free

    def test_an_operation_that_lost_its_lock_stops_before_it_changes_anything(
        self, world: World
    ) -> None:
        world.journal.begin(operation(1))
        world.journal.release(operation(1))
        world.journal.begin(operation(2))
        with pytest.raises(LockLost, match=r"demo\.provision\.2"):
            world.plan(operation(1))
        assert world.stacks.stacks == {}

    def test_a_lock_that_is_absent_is_taken_again_by_the_step_that_needs_it(
        self, world: World
    ) -> None:
        world.journal.step(operation(), "Step", "after a redrive")
        assert world.table.locks["control-demo"].owner == operation().execution_arn

    def test_the_timeline_holds_each_step_once(self, world: World) -> None:
        for detail in ("one", "two"):
            world.journal.step(operation(), "First", detail)
        world.journal.step(operation(), "Second", "three")
        steps = [entry["step"] for entry in world.table.timeline(operation())]
        assert steps == ["First", "Second"]


class TestStack:
    def test_a_new_cluster_gets_what_was_asked(self, world: World) -> None:
        planned = world.plan(operation(), {"Brokers": "5"})
        change_set = world.stacks.change_sets[planned["changeSet"]]
        assert planned["creates"]
        assert change_set.parameters["Brokers"] == "5"
        assert change_set.parameters["ControlStack"] == "control"
        assert change_set.tags == {
            "camunda:control-plane": "control",
            "camunda:cluster": "demo",
        }

    def test_the_template_is_stored_under_its_digest(self, world: World) -> None:
        world.plan(operation())
        (key,) = world.artifacts.objects
        assert key.startswith("templates/")
        assert len(key) == len("templates/.yaml") + 64

    def test_asking_twice_gives_the_same_change_set(self, world: World) -> None:
        first = world.plan(operation())
        assert world.plan(operation())["changeSet"] == first["changeSet"]

    def test_keys_that_differ_by_a_character_that_names_cannot_hold_are_two_changes(
        self, world: World
    ) -> None:
        one, other = (
            replace(operation(), operation_id=f"demo.provision.{key}") for key in ("fix_1", "fix-1")
        )
        first = world.plan(one, {"LogRetentionDays": "90"})
        world.stacks.finish()
        second = world.plan(other, {"LogRetentionDays": "30"})
        assert first["changeSet"] != second["changeSet"]
        parameters = world.stacks.change_sets[second["changeSet"]].parameters
        assert parameters["LogRetentionDays"] == "30"

    def test_a_change_set_of_somebody_else_under_its_name_is_refused_and_kept(
        self, world: World
    ) -> None:
        arn = world.stacks.create_change_set(
            stack="control-demo",
            name=change_set_name(operation().operation_id, "settle"),
            create=True,
            template_url=None,
            parameters={},
            tags={"camunda:control-plane": "control", "camunda:cluster": "demo"},
            description="by hand",
        )
        with pytest.raises(
            ChangeSetRefused, match=r"was not created by operation demo\.provision\.1"
        ):
            world.plan(operation())
        assert arn in world.stacks.change_sets

    def test_a_stack_is_protected_as_soon_as_it_is_made(self, world: World) -> None:
        def protected() -> bool:
            return world.stacks.stacks["control-demo"].termination_protected

        settle(world)
        assert not protected()
        assert world.changer.outputs(operation(), "control-demo") == OUTPUTS
        assert protected()
        assert "Update:Replace" in world.stacks.policies["control-demo"]

    def test_a_trial_is_not_protected(self, world: World) -> None:
        settle(world, 1, {"Trial": "true"})
        world.changer.outputs(operation(), "control-demo")
        assert not world.stacks.stacks["control-demo"].termination_protected

    def test_only_what_is_asked_changes(self, world: World) -> None:
        settle(world)
        planned = world.plan(operation(2), {"LogRetentionDays": "90"})
        change_set = world.stacks.change_sets[planned["changeSet"]]
        assert [change.logical_id for change in change_set.changes] == ["BrokerLogs"]

    def test_a_stack_that_holds_the_services_itself_is_not_taken_over(self, world: World) -> None:
        settle(world)
        stack = world.stacks.stacks["control-demo"]
        world.stacks.stacks["control-demo"] = replace(
            stack, outputs=ClusterOutputs({**stack.outputs, "ContractVersion": "1"})
        )
        with pytest.raises(StackNotUsable, match="kept the ECS services in the stack"):
            world.plan(operation(2))

    def test_a_change_that_would_replace_the_database_is_refused(self, world: World) -> None:
        settle(world)
        planned = world.plan(operation(2), {"DatabaseName": "other"})
        with pytest.raises(ChangeSetRefused, match="Database"):
            world.changer.check_change_set(
                operation(2),
                change_set=planned["changeSet"],
                creates=False,
                replace=[],
                polls=0,
            )
        assert world.stacks.stacks["control-demo"].parameters["DatabaseName"] == "camunda"

    def test_a_change_that_would_leave_a_protected_load_balancer_is_refused(
        self, world: World
    ) -> None:
        settle(world)
        stack = world.stacks.stacks["control-demo"]
        protection = {"LoadBalancerDeletionProtection": "true"}
        world.stacks.stacks["control-demo"] = replace(
            stack, parameters={**stack.parameters, **protection}
        )
        kind = "AWS::ElasticLoadBalancingV2::LoadBalancer"
        change = ResourceChange("Modify", "WebLoadBalancer", kind, "True")
        world.stacks.changed_by = {"LoadBalancerScheme": [change]}
        planned = world.plan(operation(2), {"LoadBalancerScheme": "internet-facing"})
        with pytest.raises(ChangeSetRefused, match="WebLoadBalancer"):
            world.changer.check_change_set(
                operation(2), change_set=planned["changeSet"], creates=False, replace=[], polls=0
            )

    def test_a_requested_image_of_the_account_s_registry_is_pinned(self, world: World) -> None:
        settle(world)
        repository = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/camunda"
        digest = f"sha256:{'1' * 64}"
        world.registry.tags["camunda", "8.9.99"] = digest
        requested = {"OrchestrationImage": f"{repository}:8.9.99"}
        planned = world.plan(operation(2), requested)
        made = world.stacks.change_sets[planned["changeSet"]].parameters
        assert made["OrchestrationImage"] == f"{repository}:8.9.99@{digest}"

    def test_nothing_to_change_removes_the_change_set(self, world: World) -> None:
        settle(world)
        planned = world.plan(operation(2))
        looked = world.changer.check_change_set(
            operation(2),
            change_set=planned["changeSet"],
            creates=False,
            replace=[],
            polls=0,
        )
        assert looked == {"status": "UNCHANGED"}
        assert planned["changeSet"] not in world.stacks.change_sets

    def test_a_change_set_that_is_being_made_is_looked_at_less_and_less(self, world: World) -> None:
        settle(world)
        arn = world.plan(operation(2), {"LogRetentionDays": "90"})["changeSet"]
        world.stacks.change_sets[arn].status = "PENDING"
        looks = [
            world.changer.check_change_set(
                operation(2), change_set=arn, creates=False, replace=[], polls=polls
            )
            for polls in (0, 4, 20)
        ]
        assert looks == [{"status": "PENDING", "wait": seconds} for seconds in (5, 15, 30)]

    def test_a_busy_stack_is_waited_for(self, world: World) -> None:
        op = operation()
        planned = world.plan(op)
        world.changer.execute(op, change_set=planned["changeSet"], replace=[])
        assert world.plan(operation())["status"] == "BUSY"

    def test_following_tells_what_is_waited_for_and_then_that_it_is_done(
        self, world: World
    ) -> None:
        op = operation()
        planned = world.plan(op)
        token = world.changer.execute(op, change_set=planned["changeSet"], replace=[])["token"]

        def follow() -> dict[str, object]:
            return world.changer.follow(
                op,
                stack="control-demo",
                token=token,
                changes=5,
                replace=[],
                polls=0,
            )

        assert follow()["status"] == "BUSY"
        assert "0 of 5 resources; waiting for" in world.table.record(op)["detail"]
        world.stacks.finish()
        assert follow() == {"status": "DONE"}
        assert world.changer.outputs(operation(), "control-demo") == OUTPUTS

    def test_a_failed_resource_is_named_and_the_next_run_continues(self, world: World) -> None:
        op = operation()
        planned = world.plan(op)
        token = world.changer.execute(op, change_set=planned["changeSet"], replace=[])["token"]
        world.stacks.finish(failing="Database", reason="no such instance class")
        with pytest.raises(StackFailed, match=r"Database .*no such instance class"):
            world.changer.follow(
                op,
                stack="control-demo",
                token=token,
                changes=5,
                replace=[],
                polls=0,
            )
        world.journal.release(op)
        settle(world, 2, {"DatabaseInstanceClass": "db.r6g.large"})
        stack = world.stacks.stacks["control-demo"]
        assert stack.status == "UPDATE_COMPLETE"
        assert stack.parameters["DatabaseInstanceClass"] == "db.r6g.large"

    def test_an_executed_change_set_is_not_executed_twice(self, world: World) -> None:
        op = operation()
        planned = world.plan(op)
        world.changer.execute(op, change_set=planned["changeSet"], replace=[])
        events = len(world.stacks.history)
        world.changer.execute(op, change_set=planned["changeSet"], replace=[])
        assert len(world.stacks.history) == events

    def test_a_change_set_that_is_gone_is_not_executed(self, world: World) -> None:
        op = operation()
        planned = world.plan(op)
        world.stacks.delete_change_set(planned["changeSet"])
        with pytest.raises(ChangeSetRefused):
            world.changer.execute(op, change_set=planned["changeSet"], replace=[])

    def test_a_stack_without_a_contract_is_no_cluster(self, world: World) -> None:
        with pytest.raises(StackFailed):
            world.changer.outputs(operation(), "control-demo")

    def test_a_rolled_back_stack_needs_a_person(self, world: World) -> None:
        settle(world)
        stack = world.stacks.stacks["control-demo"]
        world.stacks.stacks["control-demo"] = type(stack)(
            stack.name, stack.stack_id, "ROLLBACK_COMPLETE", tags=stack.tags
        )
        with pytest.raises(StackNotUsable):
            world.plan(operation(2))


class TestStart:
    @pytest.fixture(autouse=True)
    def stack(self, world: World) -> None:
        """The infrastructure is done."""
        settle(world)

    def test_a_new_cluster_gets_its_brokers_at_once_and_then_its_connectors(
        self, world: World
    ) -> None:
        started = world.starter.start(operation(), OUTPUTS)
        assert started["scaledUp"] == ["orchestration-cluster"]
        assert not started["roll"]
        brokers = world.services.services["orchestration-cluster"]
        assert brokers.definition == designs(OUTPUTS)["orchestration-cluster"]
        assert self.follow(world)["scaledUp"] == ["connectors"]
        assert world.desired == {"orchestration-cluster": 3, "connectors": 1}
        assert self.follow(world)["scaledUp"] == []

    def test_connectors_wait_until_ecs_lists_the_names_of_the_brokers(self, world: World) -> None:
        world.starter.start(operation(), OUTPUTS)
        brokers = world.services.services["orchestration-cluster"]
        (primary,) = brokers.deployments
        world.services.services["orchestration-cluster"] = replace(
            brokers, deployments=(replace(primary, endpoints=()),)
        )
        assert self.follow(world)["scaledUp"] == []
        assert "connectors" not in world.services.services

    def test_a_name_that_is_still_being_removed_is_waited_for(self, world: World) -> None:
        world.services.draining.add("orchestration-cluster")
        with pytest.raises(ServiceDraining):
            world.starter.start(operation(), OUTPUTS)

    def test_a_count_that_is_there_is_never_lowered(self, world: World) -> None:
        world.services.add("orchestration-cluster", desired=5)
        world.leases.by_bucket["node-ids"] = 5
        started = world.starter.start(operation(), OUTPUTS)
        assert (started["scaledUp"], started["roll"]) == ([], False)
        assert world.desired["orchestration-cluster"] == 5

    @pytest.mark.parametrize("image", ["camunda/camunda:8.9.16", "camunda/camunda:8.10.0"])
    def test_node_ids_that_a_cancelled_change_left_start_no_broker(
        self, world: World, image: str
    ) -> None:
        world.services.add("orchestration-cluster", desired=3)
        world.services.add("connectors", desired=1)
        world.leases.by_bucket["node-ids"] = 5
        before = world.services.services["orchestration-cluster"]
        started = world.starter.start(
            operation(), ClusterOutputs({**OUTPUTS, "OrchestrationImage": image})
        )
        assert (started["scaledUp"], started["roll"], started["schema"]) == ([], False, False)
        assert world.services.services["orchestration-cluster"] == before

    def test_a_service_that_is_started_from_zero_gets_its_tags(self, world: World) -> None:
        world.services.add("orchestration-cluster", desired=0)
        world.services.tag("control-demo", "orchestration-cluster", {"by": "hand"})
        world.starter.start(operation(), OUTPUTS)
        service = world.services.services["orchestration-cluster"]
        assert service.definition["tags"] == designs(OUTPUTS)["orchestration-cluster"]["tags"]

    def test_there_is_a_task_for_each_member(self, world: World) -> None:
        world.services.add("orchestration-cluster", desired=0)
        world.leases.by_bucket["node-ids"] = 5
        world.starter.start(operation(), OUTPUTS)
        assert world.desired["orchestration-cluster"] == 5
        brokers = world.services.services["orchestration-cluster"].definition
        assert brokers["deploymentConfiguration"]["minimumHealthyPercent"] == 80

    def test_only_the_first_broker_of_8_10_starts_before_the_schema_is_made(
        self, world: World
    ) -> None:
        outputs = ClusterOutputs({**OUTPUTS, "OrchestrationImage": "camunda/camunda:8.10.0"})
        started = world.starter.start(operation(), outputs)
        assert started["schema"]
        assert world.desired["orchestration-cluster"] == 1
        world.leases.by_bucket["node-ids"] = 3

        def follow() -> str:
            return str(
                world.follower.follow(
                    operation(), outputs, since=started["since"], polls=0, schema=True
                )["status"]
            )

        assert follow() == "WAITING"
        world.services.settle("orchestration-cluster")
        assert follow() == "SCHEMA"
        assert "connectors" not in world.services.services
        again = world.starter.start(operation(), outputs, schema_made=True)
        assert (again["scaledUp"], again["schema"], again["roll"]) == ([], False, False)
        assert world.desired["orchestration-cluster"] == 3

    def test_what_differs_in_place_is_set_and_nothing_is_replaced(self, world: World) -> None:
        world.services.add("orchestration-cluster", desired=3)
        world.services.add("connectors", desired=1)
        before = world.services.services["orchestration-cluster"].deployments
        outputs = ClusterOutputs({**OUTPUTS, "BrokerGraceSeconds": "1800", "Connectors": "4"})
        started = world.starter.start(operation(), outputs)
        assert not started["roll"]
        brokers = world.services.services["orchestration-cluster"]
        assert brokers.definition["healthCheckGracePeriodSeconds"] == 1800
        assert brokers.deployments == before
        assert world.desired == {"orchestration-cluster": 3, "connectors": 4}

    @pytest.mark.parametrize(
        ("changed", "redeployed"),
        [
            ({"enableExecuteCommand": "true"}, True),
            ({"healthCheckGracePeriodSeconds": 600}, False),
        ],
    )
    def test_connectors_are_replaced_only_for_a_shell_that_is_turned_on(
        self, world: World, changed: dict[str, Any], redeployed: bool
    ) -> None:
        world.services.add("connectors", desired=1)
        service = world.services.services["connectors"]
        rendered = {**service.definition, **changed}
        state = ServiceState(service, rendered, compare(rendered, service.definition))
        converge_connectors(world.services, OUTPUTS, state)
        after = world.services.services["connectors"]
        assert {name: after.definition[name] for name in changed} == changed
        assert (after.deployments != service.deployments) is redeployed

    def test_what_replaces_brokers_is_left_to_replacing_them_one_at_a_time(
        self, world: World
    ) -> None:
        world.services.add("orchestration-cluster", desired=3)
        world.services.add("connectors", desired=1)
        before = world.services.services["orchestration-cluster"]
        outputs = ClusterOutputs(
            {**OUTPUTS, "OrchestrationTaskDefinitionArn": "arn:orchestration-cluster:2"}
        )
        assert world.starter.start(operation(), outputs)["roll"]
        assert world.services.services["orchestration-cluster"] == before

    def test_services_unlike_the_plan_are_left_alone(self, world: World) -> None:
        planned = dict(designs(OUTPUTS))
        planned["connectors"] = {**planned["connectors"], "taskDefinition": UNKNOWN}
        outputs = ClusterOutputs({**OUTPUTS, "ConnectorsTaskDefinitionArn": "arn:connectors:9"})
        world.starter.start(operation(), outputs, planned=planned)
        outputs = ClusterOutputs({**outputs, "BrokerSecurityGroupId": "sg-other"})
        with pytest.raises(PlanStale, match="sg-other"):
            world.starter.start(operation(), outputs, planned=planned)

    def test_a_service_that_would_have_to_be_another_one_is_refused(self, world: World) -> None:
        world.services.add("orchestration-cluster", desired=3)
        service = world.services.services["orchestration-cluster"]
        world.services.services["orchestration-cluster"] = replace(
            service, definition={**service.definition, "launchType": "EC2"}
        )
        with pytest.raises(StartFailed, match="launchType: EC2"):
            world.starter.start(operation(), OUTPUTS)

    def test_a_failed_deployment_with_nothing_running_is_started_anew(self, world: World) -> None:
        failed = Deployment("d", "PRIMARY", "FAILED", "tasks failed to start", 3)
        world.services.add("orchestration-cluster", desired=3, running=0)
        service = world.services.services["orchestration-cluster"]
        world.services.services["orchestration-cluster"] = replace(service, deployments=(failed,))
        started = world.starter.start(operation(), OUTPUTS)
        assert "orchestration-cluster" not in started["scaledUp"]
        (deployment,) = world.services.services["orchestration-cluster"].deployments
        assert deployment.rollout_state == "IN_PROGRESS"

    def follow(
        self,
        world: World,
        since: str = "2026-01-01T00:00:00+00:00",
        waited: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        return world.follower.follow(
            operation(), OUTPUTS, since=since, polls=1, waited=waited or {}
        )

    def test_it_waits_for_tasks_then_for_the_cluster_then_for_connectors(
        self, world: World
    ) -> None:
        world.starter.start(operation(), OUTPUTS)
        assert self.follow(world)["status"] == "WAITING"
        assert self.follow(world)["status"] == "WAITING"
        world.services.settle("orchestration-cluster")
        world.services.settle("connectors")
        assert self.follow(world)["status"] == "WAITING"
        detail = world.table.record(operation())["detail"]
        assert "broker 2 is not in the topology" in detail
        assert "0 of 1 pass their readiness check" in detail
        world.bring_up()
        started = {"status": "STARTED", "topology": [{"nodeId": 0}], "scaledUp": []}
        assert self.follow(world) == started

    @pytest.mark.parametrize(("group", "name"), [("arn:rest", "REST"), ("arn:grpc", "gRPC")])
    def test_a_cluster_that_is_formed_waits_for_its_load_balancers(
        self, world: World, group: str, name: str
    ) -> None:
        world.starter.start(operation(), OUTPUTS)
        self.follow(world)
        world.bring_up()
        initial = TargetHealth("10.0.0.2", "initial", "Elb.RegistrationInProgress")
        world.targets.by_arn[group][2] = initial
        assert self.follow(world)["status"] == "WAITING"
        detail = world.table.record(operation())["detail"]
        assert f"2 of 3 {name} targets are healthy" in detail
        world.targets.set_healthy(group, 3)
        assert self.follow(world)["status"] == "STARTED"

    def die(self, world: World) -> None:
        world.starter.start(operation(), OUTPUTS)
        world.services.stopped["orchestration-cluster"] = [
            StoppedTask(
                f"task{n}",
                f"2026-01-01T00:0{n}:00+00:00",
                "EssentialContainerExited",
                "Essential container in task exited",
                ("orchestration-cluster, exit code 1",),
            )
            for n in range(1, 10)
        ]
        world.services.logs["broker-logs", "task9"] = ["java.net.UnknownHostException: database"]

    def test_repeated_stops_end_it_with_stop_reason_and_last_log_lines(self, world: World) -> None:
        self.die(world)
        with pytest.raises(StartFailed) as caught:
            self.follow(world)
        assert "exit code 1" in caught.value.message
        assert "UnknownHostException" in caught.value.message

    def test_stops_from_before_a_pause_are_not_of_the_start_that_is_continued(
        self, world: World
    ) -> None:
        since = world.clock.now().isoformat()
        world.starter.start(operation(), OUTPUTS)
        waited = self.follow(world, since)["waited"]
        world.clock.pass_seconds(30 * 60)
        self.die(world)
        assert world.services.stopped["orchestration-cluster"][-1].stopped_at > since
        assert self.follow(world, since, waited)["status"] == "WAITING"

    def test_only_what_this_operation_raised_goes_back(self, world: World) -> None:
        world.services.add("connectors", desired=1)
        started = world.starter.start(operation(), OUTPUTS)
        world.starter.reset_counts(operation(), OUTPUTS, scaled_up=started["scaledUp"])
        assert world.desired == {"orchestration-cluster": 0, "connectors": 1}

    def test_a_start_that_takes_too_long_ends_and_says_what_it_waited_for(
        self, world: World
    ) -> None:
        world.starter.start(operation(), OUTPUTS)
        since = world.clock.now().isoformat()
        waited: dict[str, Any] = {}
        for _ in range(START_SECONDS // 60 - 1):
            world.clock.pass_seconds(60)
            waited = self.follow(world, since, waited)["waited"]
        world.clock.pass_seconds(60)
        with pytest.raises(StartFailed, match="0 of 3 tasks run"):
            self.follow(world, since, waited)


class TestVerification:
    def up(self, world: World) -> None:
        settle(world)
        world.starter.start(operation(), OUTPUTS)
        TestStart().follow(world)
        world.bring_up()

    def verify(self, world: World) -> tuple[str, dict[str, str]]:
        report = world.verifier.verify(operation(), OUTPUTS)
        return report["result"], {c["name"]: c["result"] for c in report["checks"]}

    def test_all_is_well(self, world: World) -> None:
        self.up(world)
        result, checks = self.verify(world)
        assert result == "PASS"
        assert set(checks.values()) == {"PASS"}
        assert len(checks) == 8
        assert checks["login page through the load balancer"] == "PASS"

    def test_a_path_that_cannot_exist_from_here_is_a_warning(self, world: World) -> None:
        self.up(world)
        world.probe.answers["paths"] = {
            **PATHS,
            "rest": {"ok": False, "seen": "no answer", "error": "EndpointUnreachable"},
        }
        result, checks = self.verify(world)
        assert result == "WARN"
        assert checks["REST through the load balancer"] == "WARN"

    @pytest.mark.parametrize(
        ("path", "name", "result"),
        [
            ("rest", "REST", "FAIL"),
            ("connectors", "connectors", "FAIL"),
            ("login", "login page", "WARN"),
            ("grpc", "gRPC", "WARN"),
        ],
    )
    def test_a_path_that_leads_elsewhere_is_a_failure(
        self, world: World, path: str, name: str, result: str
    ) -> None:
        self.up(world)
        world.probe.answers["paths"] = {**PATHS, path: {"ok": False, "seen": "answers 504"}}
        overall, checks = self.verify(world)
        assert (overall, checks[f"{name} through the load balancer"]) == (result, result)

    def test_the_same_without_healthy_targets_is_a_failure(self, world: World) -> None:
        self.test_a_path_that_cannot_exist_from_here_is_a_warning(world)
        world.targets.by_arn["arn:rest"] = [TargetHealth("10.0.0.1", "unhealthy", "Target.Timeout")]
        report = world.verifier.verify(operation(), OUTPUTS)
        assert report["result"] == "FAIL"
        assert "Target.Timeout" in report["failure"]

    def looked(self, world: World, *, wanted: bool = True) -> dict[str, Any]:
        """Look until no other look is needed, as the machine does."""
        known: dict[str, Any] = {}
        for _ in range(100):
            told = world.verifier.look_at_instances(operation(), OUTPUTS, known, wanted=wanted)
            known = json.loads(json.dumps(told["instances"]))
            if "wait" not in told:
                return known
            world.clock.pass_seconds(told["wait"])
        raise AssertionError("it never ends")

    def test_process_instances_are_found_on_each_partition(self, world: World) -> None:
        self.up(world)
        report = world.verifier.verify(operation(), OUTPUTS, self.looked(world))
        assert report["result"] == "PASS"
        (check,) = [one for one in report["checks"] if one["name"] == "process instances"]
        assert "3 partitions" in check["seen"]

    def test_a_pause_is_no_wait_for_the_instances(self, world: World) -> None:
        self.up(world)
        world.processes.paused = {2}
        known: dict[str, Any] = {}
        for _ in range(2):
            told = world.verifier.look_at_instances(operation(), OUTPUTS, known, wanted=True)
            assert told["wait"] == WAIT_SECONDS
            known = json.loads(json.dumps(told["instances"]))
            world.clock.pass_seconds(3600)

    def test_a_paused_exporter_fails_the_verification(self, world: World) -> None:
        self.up(world)
        world.processes.paused = {2}
        began = world.clock.now()
        report = world.verifier.verify(operation(), OUTPUTS, self.looked(world))
        assert report["result"] == "FAIL"
        assert "process instances: the instance of partition 2" in report["failure"]
        assert "exporter" in report["failure"]
        waited = (world.clock.now() - began).total_seconds()
        assert PATIENCE_SECONDS <= waited <= PATIENCE_SECONDS + WAIT_SECONDS

    def test_skipped_asks_nothing_and_is_never_a_pass(self, world: World) -> None:
        self.up(world)
        report = world.verifier.verify(operation(), OUTPUTS, self.looked(world, wanted=False))
        (check,) = [one for one in report["checks"] if one["name"] == "process instances"]
        assert (check["result"], report["result"]) == ("WARN", "WARN")
        assert "skipped" in check["seen"]
        assert world.processes.instances == []
        assert world.processes.resources == []

    def test_a_certificate_that_is_refused_fails_though_the_targets_are_well(
        self, world: World
    ) -> None:
        self.up(world)
        refused = {"ok": False, "seen": "It has ended.", "error": "CertificateRefused"}
        world.probe.answers["paths"] = {**PATHS, "login": refused}
        named = ClusterOutputs({**OUTPUTS, "RestUrl": "https://camunda.example.com"})
        report = world.verifier.verify(operation(), named)
        assert report["result"] == "FAIL"
        assert "login page through the load balancer: It has ended." in report["failure"]

    def test_a_cluster_that_is_not_formed_fails(self, world: World) -> None:
        self.up(world)
        world.probe.answers["brokers"] = UNFORMED
        result, checks = self.verify(world)
        assert result == "FAIL"
        assert checks["brokers and partitions"] == "FAIL"

    def test_a_cluster_without_connectors_has_no_connector_checks(self, world: World) -> None:
        self.up(world)
        world.services.set_count("control-demo", "connectors", 0)
        report = world.verifier.verify(operation(), ClusterOutputs({**OUTPUTS, "Connectors": "0"}))
        assert not any("connectors" in check["name"] for check in report["checks"])

    def test_another_number_of_connectors_than_asked_is_a_failure(self, world: World) -> None:
        self.up(world)
        world.services.set_count("control-demo", "connectors", 0)
        result, checks = self.verify(world)
        assert (result, checks["connectors count"]) == ("FAIL", "FAIL")


class TestFinish:
    REQUEST: ClassVar = {"cluster": "demo", "parameters": {}}

    def test_success_leaves_a_report_and_a_free_cluster(self, world: World) -> None:
        world.journal.begin(operation())
        world.journal.step(operation(), "Some step", "…")
        result = world.finisher.succeed(
            operation(),
            request=self.REQUEST,
            outcome={"outputs": dict(OUTPUTS), "verification": {"result": "PASS"}},
        )
        report = json.loads(world.artifacts.objects[result["reportKey"]])
        assert report["result"] == "SUCCEEDED"
        assert report["request"] == self.REQUEST
        assert report["timeline"][0]["step"] == "Some step"
        assert result["outputs"] == OUTPUTS
        assert world.table.locks == {}
        assert world.table.record(operation())["result"] == "SUCCEEDED"

    def test_success_of_a_provisioning_says_how_to_log_in(self, world: World) -> None:
        settle(world)
        result = world.finisher.succeed(operation(), request=self.REQUEST, outcome={})
        assert result["access"]["urls"]["operate"] == "http://web.example/operate"
        assert result["access"]["login"]["secretArn"] == "arn:secret:admin"
        report = json.loads(world.artifacts.objects[result["reportKey"]])
        assert report["access"] == result["access"]

    def test_a_stack_that_cannot_be_read_fails_no_provisioning(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def throttled(_: str) -> None:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "DescribeStacks")

        monkeypatch.setattr(world.stacks, "describe", throttled)
        result = world.finisher.succeed(operation(), request=self.REQUEST, outcome={})
        assert (result["result"], result["access"]) == ("SUCCEEDED", None)

    def test_other_operations_report_no_access(self, world: World) -> None:
        settle(world)
        restart = replace(operation(), machine="restart")
        assert "access" not in world.finisher.succeed(restart, request=self.REQUEST, outcome={})

    def test_failure_says_what_is_true_and_what_to_do(self, world: World) -> None:
        settle(world)
        error = {
            "Error": "StartFailed",
            "Cause": json.dumps(
                {
                    "errorType": "StartFailed",
                    "errorMessage": json.dumps(
                        {"cause": "It did not start.", "nextStep": "Check the logs."}
                    ),
                    "stackTrace": ["secret path"],
                }
            ),
        }
        result = world.finisher.fail(operation(), request=self.REQUEST, error=error, outcome={})
        assert result["error"] == "StartFailed"
        assert "secret path" not in result["cause"]
        cause = json.loads(result["cause"])
        assert (cause["cause"], cause["nextStep"]) == ("It did not start.", "Check the logs.")
        assert "Stack control-demo is in CREATE_COMPLETE" in cause["currentState"]
        assert "there is no service orchestration-cluster" in cause["currentState"]
        assert world.table.locks == {}

    @pytest.mark.parametrize("error", ["", "VerificationFailed", "States.Timeout"])
    def test_an_attempt_without_a_response_keeps_the_cluster_until_its_deadline(
        self, world: World, error: str
    ) -> None:
        """Its state was retried and passed; what came later ended the operation."""
        world.journal.begin(operation())
        until = also_acts(world, operation())
        if error:
            result = world.finisher.fail(
                operation(), request=self.REQUEST, error={"Error": error}, outcome={}
            )
            assert "the cluster is free within two minutes" in result["cause"]
        else:
            world.finisher.succeed(operation(), request=self.REQUEST, outcome={})
        world.executions.ended.add(operation().execution_arn)
        assert world.table.locks["control-demo"].expires_at == until
        with pytest.raises(ClusterBusy, match="one of its functions may still be running"):
            world.journal.begin(operation(2))
        world.clock.pass_seconds(FUNCTION_SECONDS)
        world.journal.begin(operation(2))

    @pytest.mark.parametrize("cause", ["", "plain words", "[1]", None])
    def test_any_cause_is_told_as_it_is(self, world: World, cause: str | None) -> None:
        result = world.finisher.fail(
            operation(),
            request=self.REQUEST,
            error={"Error": "States.Timeout", "Cause": cause},
            outcome={},
        )
        assert result["error"] == "States.Timeout"
        assert json.loads(result["cause"])["cause"] == (cause or "")
        assert json.loads(result["cause"])["nextStep"].startswith("Start the same operation")


def test_the_probe_is_not_asked_before_a_task_runs(world: World) -> None:
    world.probe = FakeProbe()
    world.starter.start(operation(), OUTPUTS)
    assert TestStart().follow(world)["status"] == "WAITING"
