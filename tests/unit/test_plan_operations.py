from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from lifecycle.cluster.names import change_set_name
from lifecycle.cluster.planned_outputs import UNKNOWN
from lifecycle.cluster.stack import ResourceChange
from lifecycle.errors import (
    ChangeSetRefused,
    ClusterBusy,
    ClusterFrozen,
    Failure,
    PlanNotFound,
    PlanStale,
    SecondApproverRequired,
    StackNotUsable,
)
from lifecycle.operation.idempotency import digest
from lifecycle.operation.model import Operation
from lifecycle.operation.record import Execution, Stored
from lifecycle.plans.create import plan_keys
from lifecycle.services.image_digests import Running

from tests.support.world import TEMPLATE, World, operation

STACK = "control-demo"
NAME = change_set_name("demo.plan.1", "plan")
LOGS = {"LogRetentionDays": "90"}


def planning(number: int = 1) -> Operation:
    return replace(
        operation(number),
        operation_id=f"demo.plan.{number}",
        execution_arn=f"arn:execution:plan:{number}",
        machine="plan",
    )


ANN, BOB = (f"arn:aws:iam::123456789012:user/{name}" for name in ("ann", "bob"))


def started(world: World, op: Operation, caller: str, *, text: str = "{}") -> None:
    """An execution that runs; with a caller, one that the API started for it with ``{}``."""
    if caller:
        world.table.claim(op, caller=caller, request_hash=digest("{}"), now=world.clock.now())
    world.executions.executions[op.execution_arn] = Execution(
        op.execution_arn, "RUNNING", op.started_at, input=text
    )


def make(
    world: World,
    requested: dict[str, str] | None = None,
    *,
    number: int = 1,
    named: tuple[str, ...] = (),
    tags: dict[str, str | None] | None = None,
) -> dict[str, Any]:
    """Make a plan and give its outline."""
    op = planning(number)
    created = world.planner.create(
        op,
        stack=STACK,
        requested=requested or {},
        requested_tags=tags or {},
        replace=named,
        template=TEMPLATE,
        database_ca="PEM",
    )
    told = world.planner.render(
        op,
        stack=STACK,
        change_set=created["changeSet"],
        requested=requested or {},
        requested_tags=tags or {},
        replace=named,
        preflight={"result": "PASS", "checks": []},
        template=TEMPLATE,
        database_ca="PEM",
        polls=0,
    )
    assert told["status"] == "RENDERED"
    return dict(told["plan"])


def adopt(
    world: World, change_set: str, *, number: int = 2, template: bytes = TEMPLATE, ca: str = "PEM"
) -> dict[str, Any]:
    return world.adopter.adopt(
        operation(number),
        stack=STACK,
        change_set=change_set,
        template=template,
        database_ca=ca,
        polls=0,
    )


def somebody_s_change_set(world: World, name: str) -> str:
    """A change set under this name that the operation of the name did not make."""
    return world.stacks.create_change_set(
        stack=STACK,
        name=name,
        create=False,
        template_url=None,
        parameters=LOGS,
        tags={},
        description="by hand",
    )


def bring_to_life(world: World, number: int = 50) -> None:
    """Provision without a plan, up to running brokers."""
    op = operation(number)
    planned = world.plan(op)
    world.changer.execute(op, change_set=planned["changeSet"], replace=[])
    world.stacks.finish()
    world.changer.outputs(op, STACK)
    world.services.add("orchestration-cluster", desired=3)
    world.services.add("connectors", desired=1)
    world.journal.release(op)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def living(world: World) -> World:
    bring_to_life(world)
    return world


REPOSITORY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/camunda"
OWN = {**LOGS, "OrchestrationImage": f"{REPOSITORY}:8.9.99"}
FIRST, SECOND = (f"sha256:{digit * 64}" for digit in "12")

COLLECTOR = f"{REPOSITORY.rpartition('/')[0]}/collector:v0.49.0"
MEASURED = {
    **LOGS,
    "PrometheusWorkspaceArn": "arn:aws:aps:eu-central-1:123456789012:workspace/ws-1",
    "CollectorImage": COLLECTOR,
}


class TestImages:
    @staticmethod
    def told(world: World, outline: dict[str, Any]) -> str:
        return str(world.artifacts.objects[outline["textKey"]].decode())

    def test_a_plan_tells_what_a_tag_names_and_what_runs(self, living: World) -> None:
        living.registry.tags["camunda", "8.9.99"] = SECOND
        living.services.running["orchestration-cluster"] = [Running("camunda:8.9.1", FIRST)]
        outline = make(living, OWN)
        brokers, connectors = outline["images"]
        pinned = f"{REPOSITORY}:8.9.99@{SECOND}"
        assert (brokers["image"], brokers["digest"]) == (pinned, SECOND)
        assert living.stacks.change_sets[outline["changeSet"]].parameters["OrchestrationImage"] == (
            pinned
        )
        assert brokers["running"] == [{"image": "camunda:8.9.1", "digest": FIRST, "reason": None}]
        assert connectors["digest"] is None
        assert "only private ones" in connectors["unknown"]
        text = self.told(living, outline)
        assert f"is {SECOND}" in text
        assert f"runs {FIRST} (camunda:8.9.1)" in " ".join(text.split())
        assert "is unknown: its registry is not queried" in text

    def test_a_tag_that_was_moved_since_is_refused(self, living: World) -> None:
        living.registry.tags["camunda", "8.9.99"] = FIRST
        outline = make(living, OWN)
        living.registry.tags["camunda", "8.9.99"] = SECOND
        with pytest.raises(PlanStale, match=f"8.9.99: planned {FIRST}, now {SECOND}"):
            adopt(living, outline["changeSet"])
        living.registry.tags["camunda", "8.9.99"] = FIRST
        assert adopt(living, outline["changeSet"])["status"]

    def test_an_image_that_was_not_requested_keeps_its_tag(self, living: World) -> None:
        """A moved tag replaces no broker by surprise."""
        stack = living.stacks.stacks[STACK]
        present = {**stack.parameters, "OrchestrationImage": OWN["OrchestrationImage"]}
        living.stacks.stacks[STACK] = replace(stack, parameters=present)
        living.registry.tags["camunda", "8.9.99"] = FIRST
        outline = make(living, LOGS)
        made = living.stacks.change_sets[outline["changeSet"]].parameters
        assert made["OrchestrationImage"] == OWN["OrchestrationImage"]
        assert outline["images"][0]["digest"] == FIRST

    def test_an_image_that_is_not_there_is_a_warning(self, living: World) -> None:
        outline = make(living, OWN)
        assert outline["images"][0]["missing"]
        assert "is not in its repository" in self.told(living, outline)
        living.registry.tags["camunda", "8.9.99"] = FIRST
        with pytest.raises(PlanStale, match=f"not in its repository, now {FIRST}"):
            adopt(living, outline["changeSet"])

    def test_a_plan_shows_the_collector_that_it_adds(self, living: World) -> None:
        """A broker whose collector cannot be pulled does not start."""
        outline = make(living, MEASURED)
        collector = outline["images"][1]
        found = (collector["service"], collector["missing"], collector["running"])
        assert found == ("collector", True, [])
        text = " ".join(self.told(living, outline).split())
        assert f"The image of collector, {COLLECTOR}, is not in its repository" in text
        living.registry.tags["collector", "v0.49.0"] = FIRST
        with pytest.raises(PlanStale, match=f"not in its repository, now {FIRST}"):
            adopt(living, outline["changeSet"])

    def test_a_collector_is_pinned_when_it_is_added(self, living: World) -> None:
        living.registry.tags["collector", "v0.49.0"] = FIRST
        made = living.stacks.change_sets[make(living, MEASURED)["changeSet"]].parameters
        assert made["CollectorImage"] == f"{COLLECTOR}@{FIRST}"

    def test_what_may_not_be_read_is_unknown_and_no_difference(self, living: World) -> None:
        living.registry.denied = "it may not be read"
        outline = make(living, OWN)
        assert outline["images"][0]["unknown"] == "it may not be read"
        assert "is not in its repository" not in self.told(living, outline)
        assert adopt(living, outline["changeSet"])["status"]

    def test_a_new_cluster_runs_nothing(self, world: World) -> None:
        assert [line["running"] for line in make(world)["images"]] == [[], []]

    def test_a_plan_of_an_earlier_version_is_refused_in_words(self, living: World) -> None:
        outline = make(living, LOGS)
        record = living.table.records["plan", "demo.plan.1"]
        record["report"] = Stored(record["report"].key)
        with pytest.raises(PlanNotFound, match="has stored no plan"):
            adopt(living, outline["changeSet"])


class TestMaking:
    def test_a_plan_of_a_new_cluster_is_a_change_set_and_two_reports(self, world: World) -> None:
        outline = make(world, {"Brokers": "5"})
        assert (outline["status"], outline["kind"]) == ("READY", "create")
        assert outline["apply"] == {"clusterName": "demo", "changeSet": outline["changeSet"]}
        plan = json.loads(world.artifacts.objects[outline["planKey"]])
        assert plan["fingerprint"]["parameters"]["Brokers"] == "5"
        assert plan["requested"] == {"Brokers": "5"}
        assert world.artifacts.objects[outline["textKey"]].startswith(b"Plan demo.plan.1\n")
        assert world.table.records["plan", "demo.plan.1"]["result"] == "SUCCEEDED"

    def test_it_takes_no_lock_and_changes_no_stack(self, living: World) -> None:
        before = living.stacks.stacks[STACK]
        make(living, LOGS)
        assert living.stacks.stacks[STACK] == before
        assert living.table.locks == {}
        assert living.desired == {"orchestration-cluster": 3, "connectors": 1}

    def test_it_may_be_made_while_an_operation_holds_the_cluster(self, living: World) -> None:
        living.journal.begin(operation(9))
        assert make(living, LOGS)["status"] == "READY"

    def test_its_end_is_scheduled_before_there_is_anything_to_remove(self, world: World) -> None:
        make(world)
        ((at, payload),) = world.schedules.schedules.values()
        assert at == world.clock.now() + timedelta(days=1)
        assert payload == {
            "cluster": "demo",
            "stack": STACK,
            "changeSetName": NAME,
            "operationId": "demo.plan.1",
        }

    def test_making_it_again_after_a_lost_answer_is_the_same_plan(self, world: World) -> None:
        first = make(world)
        world.clock.pass_seconds(30)
        assert make(world)["changeSet"] == first["changeSet"]
        assert len(world.schedules.schedules) == 1
        assert len(world.stacks.change_sets) == 1

    def test_a_change_set_of_somebody_else_under_its_name_is_refused_and_kept(
        self, living: World
    ) -> None:
        arn = somebody_s_change_set(living, NAME)
        with pytest.raises(ChangeSetRefused, match=r"was not created by operation demo\.plan\.1"):
            make(living, LOGS)
        told = living.planner.fail(planning(), request={"stack": STACK}, failure=Failure("E", "c."))
        assert told["error"] == "E"
        assert arn in living.stacks.change_sets

    def test_a_cluster_that_cloudformation_works_on_is_not_planned_for(self, world: World) -> None:
        op = operation()
        planned = world.plan(op)
        world.changer.execute(op, change_set=planned["changeSet"], replace=[])
        with pytest.raises(ClusterBusy, match="CREATE_IN_PROGRESS"):
            make(world)
        assert world.schedules.schedules == {}

    def test_a_stack_that_needs_a_person_is_not_planned_for(self, living: World) -> None:
        living.stacks.stacks[STACK] = replace(
            living.stacks.stacks[STACK], status="UPDATE_ROLLBACK_FAILED"
        )
        with pytest.raises(StackNotUsable):
            make(living)

    def test_what_a_request_does_not_name_stays(self, living: World) -> None:
        outline = make(living, LOGS)
        parameters = living.stacks.change_sets[outline["changeSet"]].parameters
        assert (parameters["Brokers"], parameters["LogRetentionDays"]) == ("3", "90")

    def test_tags_of_the_owner_stay(self, living: World) -> None:
        stack = living.stacks.stacks[STACK]
        living.stacks.stacks[STACK] = replace(stack, tags={**stack.tags, "cost-centre": "7"})
        outline = make(living, LOGS)
        assert living.stacks.change_sets[outline["changeSet"]].tags["cost-centre"] == "7"

    def test_a_refusal_of_cloudformation_is_told_and_stored(self, world: World) -> None:
        world.stacks.refuses = "Template error: no such export"
        with pytest.raises(ChangeSetRefused, match="no such export") as caught:
            make(world)
        assert f"plans/demo/{NAME}.txt" in caught.value.message
        plan = json.loads(world.artifacts.objects[f"plans/demo/{NAME}.json"])
        assert plan["status"] == "REFUSED"

    def test_data_that_is_not_named_is_not_replaced(self, living: World) -> None:
        with pytest.raises(ChangeSetRefused, match=r"replace Database \(AWS::RDS::DBCluster\)"):
            make(living, {"DatabaseName": "other"})

    def test_data_that_is_named_may_be(self, living: World) -> None:
        outline = make(living, {"DatabaseName": "other"}, named=("Database",))
        assert outline["counts"]["replace"] == 1
        assert "Database (AWS::RDS::DBCluster) is REPLACED" in outline["data"][0]

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("OrchestrationTaskRole", "AWS::IAM::Role"),
            ("BrokerSecurityGroup", "AWS::EC2::SecurityGroup"),
            ("RestTargetGroup", "AWS::ElasticLoadBalancingV2::TargetGroup"),
            ("BrokerDiscovery", "AWS::ServiceDiscovery::Service"),
            ("EcsCluster", "AWS::ECS::Cluster"),
            ("MountTarget1", "AWS::EFS::MountTarget"),
        ],
    )
    def test_what_brokers_stand_on_is_not_replaced_whoever_names_it(
        self, living: World, name: str, kind: str
    ) -> None:
        living.stacks.changed_by = {"IamPath": [ResourceChange("Modify", name, kind, "True")]}
        with pytest.raises(ChangeSetRefused, match=name):
            make(living, {"IamPath": "/x/"}, named=(name,))

    def test_a_protected_load_balancer_is_not_replaced(self, living: World) -> None:
        living.stacks.stacks[STACK] = replace(
            living.stacks.stacks[STACK],
            parameters={
                **living.stacks.stacks[STACK].parameters,
                "LoadBalancerDeletionProtection": "true",
            },
        )
        kind = "AWS::ElasticLoadBalancingV2::LoadBalancer"
        change = ResourceChange("Modify", "WebLoadBalancer", kind, "True")
        living.stacks.changed_by = {"LoadBalancerScheme": [change]}
        asked = {"LoadBalancerScheme": "internet-facing"}
        with pytest.raises(ChangeSetRefused, match="LoadBalancerDeletionProtection to false"):
            make(living, asked)

    def test_a_service_that_differs_makes_a_plan_of_an_empty_change_set(
        self, living: World
    ) -> None:
        brokers = living.services.services["orchestration-cluster"]
        living.services.services["orchestration-cluster"] = replace(
            brokers, definition={**brokers.definition, "healthCheckGracePeriodSeconds": 60}
        )
        outline = make(living)
        plan = json.loads(living.artifacts.objects[outline["planKey"]])
        assert outline["status"] == "READY"
        assert [(line["service"], line["action"]) for line in plan["services"]] == [
            ("orchestration-cluster", "change"),
            ("connectors", "none"),
        ]
        (difference,) = plan["services"][0]["differences"]
        assert difference == {
            "property": "healthCheckGracePeriodSeconds",
            "effect": "IN_PLACE",
            "from": 60,
            "to": 900,
            "already": True,
        }
        taken = adopt(living, outline["changeSet"])
        assert (taken["status"], taken["services"]) == ("UNCHANGED", plan["rendered"])

    def test_a_revision_that_cloudformation_makes_is_marked_and_its_restarts_are_counted(
        self, living: World
    ) -> None:
        name = "OrchestrationTaskDefinition"
        living.stacks.changed_by = {
            "BrokerCpu": [ResourceChange("Modify", name, "AWS::ECS::TaskDefinition", "True")]
        }
        outline = make(living, {"BrokerCpu": "8192", "BrokerMemory": "16384"})
        plan = json.loads(living.artifacts.objects[outline["planKey"]])
        assert plan["rendered"]["orchestration-cluster"]["taskDefinition"] == UNKNOWN
        assert plan["rendered"]["connectors"]["taskDefinition"] == "arn:connectors:1"
        assert plan["rolls"] == {"orchestration-cluster": 3}

    def test_a_service_that_would_have_to_be_another_one_is_refused(self, living: World) -> None:
        brokers = living.services.services["orchestration-cluster"]
        living.services.services["orchestration-cluster"] = replace(
            brokers, definition={**brokers.definition, "launchType": "EC2"}
        )
        with pytest.raises(ChangeSetRefused, match="orchestration-cluster: launchType"):
            make(living, LOGS)

    def test_nothing_to_change_is_told_and_nothing_is_there_to_apply(self, living: World) -> None:
        outline = make(living)
        assert (outline["status"], outline["apply"]) == ("UNCHANGED", None)
        assert outline["changeSet"] is None
        with pytest.raises(PlanNotFound, match="stored no plan"):
            adopt(living, NAME)

    def test_a_cluster_that_is_changed_meanwhile_is_planned_anew(self, living: World) -> None:
        created = living.planner.create(
            planning(),
            stack=STACK,
            requested=LOGS,
            requested_tags={},
            replace=(),
            template=TEMPLATE,
            database_ca="PEM",
        )
        living.services.set_count("control-demo", "orchestration-cluster", 4)
        with pytest.raises(PlanStale, match="changed while plan"):
            living.planner.render(
                planning(),
                stack=STACK,
                change_set=created["changeSet"],
                requested=LOGS,
                requested_tags={},
                replace=(),
                preflight={},
                template=TEMPLATE,
                database_ca="PEM",
                polls=0,
            )

    def test_a_failed_plan_leaves_no_change_set(self, world: World) -> None:
        world.stacks.refuses = "no"
        with pytest.raises(ChangeSetRefused):
            make(world)
        request = {"cluster": "demo", "stack": STACK}
        failure = Failure("ChangeSetRefused", "It said no.")
        failed = world.planner.fail(planning(), request=request, failure=failure)
        assert failed["error"] == "ChangeSetRefused"
        assert json.loads(failed["cause"]) == {
            "cause": "It said no.",
            "nextStep": "Plan again.",
            "currentState": "Nothing was changed.",
        }
        assert world.stacks.change_sets == {}
        assert world.table.records["plan", "demo.plan.1"]["result"] == "FAILED"
        key = world.table.records["plan", "demo.plan.1"]["reportKey"]
        assert json.loads(world.artifacts.objects[key])["error"] == "ChangeSetRefused"


class TestApplying:
    @pytest.mark.parametrize("by", ["name", "arn"])
    def test_exactly_the_reviewed_change_set_is_taken_up(self, living: World, by: str) -> None:
        outline = make(living, LOGS)
        named = outline["changeSet"] if by == "arn" else NAME
        plan = json.loads(living.artifacts.objects[outline["planKey"]])
        assert adopt(living, named) == {
            "status": "PLANNED",
            "changeSet": outline["changeSet"],
            "creates": False,
            "replace": [],
            "services": plan["rendered"],
        }

    def test_a_new_cluster_too(self, world: World) -> None:
        outline = make(world)
        assert adopt(world, outline["changeSet"])["creates"]

    def test_a_plan_of_over_a_day_is_refused(self, living: World) -> None:
        outline = make(living, LOGS)
        living.clock.pass_seconds(24 * 3600)
        adopt(living, outline["changeSet"])
        living.clock.pass_seconds(1)
        with pytest.raises(PlanStale, match="could be applied until"):
            adopt(living, outline["changeSet"])

    def test_a_changed_count_is_named(self, living: World) -> None:
        outline = make(living, LOGS)
        living.services.set_count("control-demo", "orchestration-cluster", 4)
        with pytest.raises(PlanStale, match="orchestration-cluster: planned at 3, now 4"):
            adopt(living, outline["changeSet"])

    def test_another_version_of_the_application_is_named(self, living: World) -> None:
        outline = make(living, LOGS)
        with pytest.raises(PlanStale, match="the cluster template"):
            adopt(living, outline["changeSet"], template=b'{"Resources": {"Newer": {}}}')
        with pytest.raises(PlanStale, match="the parameter DatabaseCaCertificate"):
            adopt(living, outline["changeSet"], ca="NEWER")

    def test_a_change_by_somebody_else_is_named(self, living: World) -> None:
        outline = make(living, LOGS)
        stack = living.stacks.stacks[STACK]
        living.stacks.stacks[STACK] = replace(
            stack,
            changed_at="2026-05-05T00:00:00+00:00",
            parameters={**stack.parameters, "Connectors": "2"},
        )
        with pytest.raises(PlanStale) as caught:
            adopt(living, outline["changeSet"])
        assert "2026-05-05" in caught.value.message
        assert "Connectors: planned '1', now '2'" in caught.value.message

    def test_a_stack_made_anew_is_another_one(self, living: World) -> None:
        outline = make(living, LOGS)
        stack = living.stacks.stacks[STACK]
        living.stacks.stacks[STACK] = replace(stack, stack_id="arn:stack/again")
        with pytest.raises(PlanStale, match="not the one in the plan"):
            adopt(living, outline["changeSet"])

    def test_a_change_set_that_is_gone_is_unknown(self, living: World) -> None:
        with pytest.raises(PlanNotFound, match="There is no change set plan-x"):
            adopt(living, "plan-x")

    def foreign(self, world: World, description: str, name: str = "foreign") -> str:
        return world.stacks.create_change_set(
            stack=STACK,
            name=name,
            create=False,
            template_url=None,
            parameters=LOGS,
            tags={},
            description=description,
        )

    def test_a_change_set_of_another_tool_is_refused(self, living: World) -> None:
        with pytest.raises(PlanNotFound, match="not created by the plan machine"):
            adopt(living, self.foreign(living, "made by hand"))

    def test_a_borrowed_description_makes_no_plan(self, living: World) -> None:
        outline = make(living, LOGS)
        description = living.stacks.change_sets[outline["changeSet"]].description
        with pytest.raises(PlanNotFound, match="has stored no plan"):
            adopt(living, self.foreign(living, description))

    @pytest.mark.parametrize(
        ("swapped", "named"),
        [
            ({"parameters": {"LogRetentionDays": "1"}}, "its parameters LogRetentionDays"),
            ({"parameters": {"Trial": "true"}}, "its parameters Trial"),
            ({"tags": {"cost-center": "4711"}}, "its tags cost-center"),
            ({"tags": {"camunda:control-plane": "other"}}, "its tags camunda:control-plane"),
            ({"body": '{"Resources": {"Admin": {"Type": "AWS::IAM::Role"}}}'}, "its template"),
            ({"body": '{"Resources": {"A": {}}, "Resources": {}}'}, "its template"),
            ({"body": "Resources: {}"}, "its template"),
            (
                {
                    "changes": (
                        ResourceChange("Modify", "BrokerLogs", "AWS::Logs::LogGroup", "True"),
                    )
                },
                "its changes",
            ),
            ({"changes": ()}, "its changes"),
        ],
    )
    def test_a_change_set_put_in_the_place_of_the_plans_is_refused(
        self, living: World, swapped: dict[str, Any], named: str
    ) -> None:
        outline = make(living, LOGS)
        change_set = living.stacks.change_sets[outline["changeSet"]]
        for attribute, value in swapped.items():
            reviewed = getattr(change_set, attribute)
            other = {**reviewed, **value} if isinstance(reviewed, dict) else value
            setattr(change_set, attribute, other)
        with pytest.raises(PlanNotFound, match=rf"not the one in plan demo.plan.1.*: {named}\."):
            adopt(living, outline["changeSet"])

    def test_a_template_that_only_looks_different_is_the_one_that_was_reviewed(
        self, living: World
    ) -> None:
        outline = make(living, LOGS)
        change_set = living.stacks.change_sets[outline["changeSet"]]
        change_set.body = json.dumps(json.loads(change_set.body), indent=4) + "\n"
        assert adopt(living, outline["changeSet"])["status"] == "PLANNED"

    @pytest.mark.parametrize(
        "edit",
        [
            lambda plan: plan["fingerprint"]["counts"].update({"orchestration-cluster": 4}),
            lambda plan: plan.update(replace=["Database"]),
            lambda plan: plan.update(changes=[]),
            lambda plan: plan.update(author="arn:somebody"),
            lambda plan: plan["cost"].update(before={}),
        ],
    )
    def test_a_report_that_was_tampered_with_is_no_plan(self, living: World, edit: Any) -> None:
        outline = make(living, LOGS)
        stored = living.table.records["plan", "demo.plan.1"]["report"]
        plan = json.loads(living.artifacts.objects[outline["planKey"]])
        edit(plan)
        living.artifacts.versions[stored.key, stored.version] = json.dumps(plan, indent=2).encode()
        with pytest.raises(PlanNotFound, match="has stored no plan"):
            adopt(living, outline["changeSet"])

    def test_a_newer_version_of_the_report_is_not_the_reviewed_one(self, living: World) -> None:
        outline = make(living, LOGS)
        living.artifacts.put(outline["planKey"], b"{}", "application/json")
        assert adopt(living, outline["changeSet"])["status"] == "PLANNED"

    def test_a_plan_that_no_record_names_is_no_plan(self, living: World) -> None:
        outline = make(living, LOGS)
        del living.table.records["plan", "demo.plan.1"]
        with pytest.raises(PlanNotFound, match="has stored no plan"):
            adopt(living, outline["changeSet"])

    def test_what_may_be_replaced_and_the_tags_are_in_the_fingerprint(self, living: World) -> None:
        first = make(living, LOGS, tags={"cost-center": "4711"}, named=("Files",))
        plan = json.loads(living.artifacts.objects[first["planKey"]])
        assert plan["fingerprint"]["tags"]["cost-center"] == "4711"
        assert plan["fingerprint"]["replace"] == ["Files"]
        description = living.stacks.change_sets[first["changeSet"]].description
        assert plan["fingerprint"]["sha256"] in description
        living.stacks.stacks[STACK] = replace(
            living.stacks.stacks[STACK], tags={**living.stacks.stacks[STACK].tags, "owner": "ann"}
        )
        with pytest.raises(PlanStale, match="the tag owner: planned absent, now 'ann'"):
            adopt(living, first["changeSet"])

    def test_a_refused_plan_cannot_be_applied(self, living: World) -> None:
        with pytest.raises(ChangeSetRefused):
            make(living, {"DatabaseName": "other"})
        with pytest.raises(PlanNotFound, match="has stored no plan"):
            adopt(living, NAME)

    def test_a_plan_of_another_stack_is_refused(self, living: World) -> None:
        outline = make(living, LOGS)
        living.stacks.change_sets[outline["changeSet"]].stack = "control-other"
        with pytest.raises(PlanNotFound, match="belongs to stack control-other"):
            adopt(living, outline["changeSet"])

    def test_a_frozen_cluster_is_not_changed(self, living: World) -> None:
        outline = make(living, LOGS)
        stack = living.stacks.stacks[STACK]
        living.stacks.stacks[STACK] = replace(stack, tags={**stack.tags, "camunda:frozen": "audit"})
        with pytest.raises(ClusterFrozen, match="audit"):
            adopt(living, outline["changeSet"])

    @pytest.mark.parametrize(
        ("author", "caller", "refusal"),
        [
            (ANN, BOB, ""),
            (ANN, ANN, "another principal must apply it"),
            ("", BOB, "made the plan is unknown"),
            (ANN, "", "requests it is unknown"),
        ],
    )
    def test_a_second_person_applies(
        self, living: World, author: str, caller: str, refusal: str
    ) -> None:
        living.two_people_for = frozenset({"provision"})
        started(living, planning(), author)
        started(living, operation(2), caller)
        outline = make(living, LOGS)
        if not refusal:
            assert adopt(living, outline["changeSet"])["status"] == "PLANNED"
        else:
            with pytest.raises(SecondApproverRequired, match=refusal):
                adopt(living, outline["changeSet"])

    def test_without_the_rule_anybody_applies(self, living: World) -> None:
        outline = make(living, LOGS)
        assert adopt(living, outline["changeSet"])["status"] == "PLANNED"

    def test_an_execution_started_beside_the_request_is_not_the_caller_s(
        self, living: World
    ) -> None:
        """The id is Bob's request's, and its input is not what Bob sent."""
        living.two_people_for = frozenset({"provision"})
        started(living, planning(), ANN)
        started(living, operation(2), BOB, text='{"changeSet":"another"}')
        outline = make(living, LOGS)
        with pytest.raises(SecondApproverRequired, match="requests it is unknown"):
            adopt(living, outline["changeSet"])

    @pytest.mark.parametrize("caller", [ANN, ""])
    def test_one_person_cannot_plan_and_apply_in_one_go(self, world: World, caller: str) -> None:
        started(world, operation(), caller)
        world.adopter.refuse_alone(operation())
        world.two_people_for = frozenset({"scale", "teardown"})
        world.adopter.refuse_alone(operation())
        world.two_people_for = frozenset({"provision"})
        with pytest.raises(SecondApproverRequired, match="in one step"):
            world.adopter.refuse_alone(operation())

    def execute(self, world: World, outline: dict[str, Any], named: list[str]) -> Any:
        token = world.changer.execute(operation(2), change_set=outline["changeSet"], replace=named)[
            "token"
        ]
        return lambda: world.changer.follow(
            operation(2),
            stack=STACK,
            token=token,
            changes=1,
            replace=named,
            polls=0,
        )

    def test_the_stack_policy_is_lifted_for_what_is_named_and_only_meanwhile(
        self, living: World
    ) -> None:
        strict = living.stacks.policies[STACK]
        outline = make(living, {"DatabaseName": "other"}, named=("Database",))
        adopted = adopt(living, outline["changeSet"])
        assert adopted["replace"] == ["Database"]
        follow = self.execute(living, outline, adopted["replace"])
        lifted = json.loads(living.stacks.policies[STACK])["Statement"][1]
        assert lifted["NotResource"] == ["LogicalResourceId/Database"]
        follow()
        assert living.stacks.policies[STACK] != strict
        living.stacks.finish()
        assert follow() == {"status": "DONE"}
        assert living.stacks.policies[STACK] == strict

    @pytest.mark.parametrize("closer", ["next operation", "next plan applied", "expiry"])
    def test_a_policy_left_open_is_closed_by_whatever_comes_next(
        self, living: World, closer: str
    ) -> None:
        strict = living.stacks.policies[STACK]
        outline = make(living, {"DatabaseName": "other"}, named=("Database",))
        adopt(living, outline["changeSet"])
        self.execute(living, outline, ["Database"])
        living.stacks.finish()
        living.journal.release(operation(2))
        assert living.stacks.policies[STACK] != strict
        if closer == "next operation":
            living.plan(operation(3))
        elif closer == "next plan applied":
            adopt(living, make(living, LOGS, number=3)["changeSet"], number=3)
        else:
            living.discarder.discard(
                cluster="demo", stack=STACK, change_set=NAME, operation_id="demo.plan.1"
            )
        assert living.stacks.policies[STACK] == strict

    def test_applying_it_again_continues_what_it_began(self, living: World) -> None:
        outline = make(living, LOGS)
        adopt(living, outline["changeSet"])
        self.execute(living, outline, [])
        assert adopt(living, outline["changeSet"])["status"] == "BUSY"
        living.stacks.finish()
        living.clock.pass_seconds(2 * 24 * 3600)
        assert adopt(living, outline["changeSet"])["status"] == "UNCHANGED"

    def test_applying_it_again_after_something_else_was_changed_is_refused(
        self, living: World
    ) -> None:
        outline = make(living, LOGS)
        adopt(living, outline["changeSet"])
        self.execute(living, outline, [])
        living.stacks.finish()
        stack = living.stacks.stacks[STACK]
        living.stacks.stacks[STACK] = replace(
            stack, parameters={**stack.parameters, "LogRetentionDays": "30"}
        )
        with pytest.raises(PlanStale, match="other values of LogRetentionDays"):
            adopt(living, outline["changeSet"])

    def test_a_plan_whose_execution_failed_is_made_anew(self, world: World) -> None:
        outline = make(world)
        adopt(world, outline["changeSet"])
        self.execute(world, outline, [])
        world.stacks.finish(failing="Database", reason="no such class")
        world.journal.release(operation(2))
        with pytest.raises(PlanStale, match="CREATE_FAILED"):
            adopt(world, outline["changeSet"])
        assert make(world, number=3)["kind"] == "continue"


class TestDiscarding:
    def discard(self, world: World, number: int = 1) -> dict[str, Any]:
        operation_id = planning(number).operation_id
        return world.discarder.discard(
            cluster="demo",
            stack=STACK,
            change_set=change_set_name(operation_id, "plan"),
            operation_id=operation_id,
        )

    def test_an_expired_plan_of_a_new_cluster_leaves_nothing(self, world: World) -> None:
        make(world)
        assert self.discard(world) == {"changeSet": True, "stack": True}
        world.stacks.finish()
        assert world.stacks.stacks == {}
        assert world.stacks.change_sets == {}
        assert world.table.locks == {}
        assert self.discard(world) == {"changeSet": False, "stack": False}

    def test_an_expired_plan_of_a_living_cluster_leaves_the_cluster(self, living: World) -> None:
        make(living, LOGS)
        stack = living.stacks.stacks[STACK]
        assert self.discard(living) == {"changeSet": True, "stack": False}
        assert living.stacks.stacks[STACK] == stack

    def test_a_change_set_of_somebody_else_under_its_name_is_kept(self, living: World) -> None:
        arn = somebody_s_change_set(living, NAME)
        assert self.discard(living) == {"changeSet": False, "stack": False}
        assert arn in living.stacks.change_sets

    def test_a_schedule_of_an_earlier_version_removes_its_plan(self, living: World) -> None:
        make(living, LOGS)
        told = living.discarder.discard(cluster="demo", stack=STACK, change_set=NAME)
        assert told == {"changeSet": True, "stack": False}

    def test_another_plan_keeps_the_empty_stack(self, world: World) -> None:
        make(world)
        make(world, number=2)
        assert self.discard(world) == {"changeSet": True, "stack": False}
        assert STACK in world.stacks.stacks
        assert self.discard(world, 2) == {"changeSet": True, "stack": True}

    def test_an_operation_that_runs_keeps_it_too(self, world: World) -> None:
        make(world)
        world.journal.begin(operation(7))
        assert self.discard(world) == {"changeSet": True, "stack": False}
        assert world.table.locks["control-demo"].owner == operation(7).execution_arn

    def test_what_was_applied_stays(self, world: World) -> None:
        outline = make(world)
        world.changer.execute(operation(2), change_set=outline["changeSet"], replace=[])
        world.stacks.finish()
        world.journal.release(operation(2))
        assert self.discard(world) == {"changeSet": False, "stack": False}
        assert world.stacks.stacks[STACK].status == "CREATE_COMPLETE"


def test_a_plan_is_found_by_the_name_of_its_change_set() -> None:
    assert plan_keys("demo", "plan-x") == ("plans/demo/plan-x.json", "plans/demo/plan-x.txt")
