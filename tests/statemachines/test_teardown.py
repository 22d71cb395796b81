from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.former_data import DatabaseBeside
from lifecycle.cluster.freeze import Freeze
from lifecycle.cluster.names import tags
from lifecycle.errors import FormerDataNotDeleted
from lifecycle.teardown.discovery import NamedService

from tests.statemachines.engine import Control, run
from tests.support.beginning import begin_operation
from tests.support.definitions import Function, Result, load_handler
from tests.support.world import CONTROL, OUTPUTS, World, operation

if TYPE_CHECKING:
    from collections.abc import Callable

INPUT = {"clusterName": "demo", "confirm": "demo"}
STACK = "control-demo"
DATABASE = "database-1"
RESOURCES = {
    "DataKey": "AWS::KMS::Key",
    "Files": "AWS::EFS::FileSystem",
    "Leases": "AWS::S3::Bucket",
    "LeasesPolicy": "AWS::S3::BucketPolicy",
    "Database": "AWS::RDS::DBCluster",
    "ServiceConnectNamespace": "AWS::ServiceDiscovery::HttpNamespace",
    "DnsNamespace": "AWS::ServiceDiscovery::PrivateDnsNamespace",
    "BrokerDiscovery": "AWS::ServiceDiscovery::Service",
    "EcsCluster": "AWS::ECS::Cluster",
    "WebLoadBalancer": "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "GrpcLoadBalancer": "AWS::ElasticLoadBalancingV2::LoadBalancer",
}
BALANCERS = {"webloadbalancer-1", "grpcloadbalancer-1"}
TEMPLATE = """
Parameters:
  Trial:
    Type: String
Resources:
  DataKey:
    Type: AWS::KMS::Key
    DeletionPolicy: RetainExceptOnCreate
  Files: # brokers' data
    Type: AWS::EFS::FileSystem
    DeletionPolicy: RetainExceptOnCreate
  Leases:
    DeletionPolicy: RetainExceptOnCreate
  LeasesPolicy:
    DeletionPolicy: RetainExceptOnCreate
  Database:
    DeletionPolicy: Snapshot # the last state
  EcsCluster:
    Type: AWS::ECS::Cluster
Outputs:
  Files:
    DeletionPolicy: Retain
"""


class Teardown:
    """The teardown machine on a world in memory with a cluster in it."""

    definition = "teardown"

    def __init__(self, monkeypatch: pytest.MonkeyPatch, world: World | None = None) -> None:
        self.world = world or standing()
        self.monkeypatch = monkeypatch
        self.on_wait: Callable[[World], None] = self.all_goes_well
        self.control = Control()
        self.functions = self._functions()

    @staticmethod
    def all_goes_well(world: World) -> None:
        world.stacks.finish()
        world.former.advance()
        world.bring_down()

    def _functions(self) -> dict[str, Function]:
        world = self.world
        return {
            "PlanTeardown": load_handler(
                "plan_teardown", teardown_planner=lambda: world.teardown_planner
            ),
            "BeginOperation": begin_operation(world),
            "CloseWays": lambda event: world.closer.close(event["cluster"], now=event["now"]),
            "StopCluster": load_handler("stop_cluster", cluster_stopper=lambda: world.stopper),
            "EmptyBuckets": load_handler("empty_buckets", trial_emptier=lambda: world.emptier),
            "DeleteStack": load_handler("delete_stack", stack_deleter=lambda: world.deleter),
            "FinishOperation": load_handler("finish_operation", finisher=lambda: world.finisher),
        }

    def run(self, given: Any = INPUT, number: int = 1) -> Result:
        def waited(seconds: int) -> None:
            self.world.clock.pass_seconds(seconds)
            self.on_wait(self.world)

        return run(
            self.definition,
            self.functions,
            given,
            monkeypatch=self.monkeypatch,
            on_wait=waited,
            name=f"demo.teardown.{number}",
            control=self.control,
        )


def standing(*, trial: bool = False) -> World:
    """A world with a cluster that runs."""
    world = World()
    stacks = world.stacks
    stacks.resources, stacks.body = RESOURCES, TEMPLATE
    stacks.create_change_set(
        stack=STACK,
        name="settle",
        create=True,
        template_url="https://template",
        parameters={"Trial": str(trial).lower()},
        tags=tags(CONTROL, "demo"),
        description="",
    )
    stacks.execute_change_set(stacks.change_set("settle", STACK).arn, "token", keep=True)
    stacks.outputs = {**OUTPUTS, "DatabaseClusterId": DATABASE}
    stacks.finish()
    world.services.add("orchestration-cluster", desired=3)
    world.services.add("connectors", desired=1)
    world.bring_up()
    world.table.health["demo"] = {"verdict": "healthy"}
    if trial:
        stacks.body = TEMPLATE.replace("RetainExceptOnCreate", "Delete").replace(
            "Snapshot", "Delete"
        )
        world.storage.objects = {"leases-1": 2500}
    else:
        stacks.protect(STACK, "policy")
        world.databases.protect(DATABASE, on=True)
        world.balancers.protected = set(BALANCERS)
    stacks.blocked = lambda: blocker(world)
    return world


def blocker(world: World) -> tuple[str, str] | None:
    """What AWS refuses to delete."""
    held = {one.physical_id for one in world.stacks.contents(STACK)}
    for namespace, services in world.namespaces.inside.items():
        if any(one.identifier not in held for one in services):
            return "ServiceConnectNamespace", f"Namespace {namespace} has associated services"
    if world.former.beside:
        return "SubnetGroup", "Cannot delete the subnet group because a cluster still uses it"
    if DATABASE in world.databases.protected:
        return "Database", "Cannot delete protected Cluster, please disable deletion protection"
    if world.balancers.protected:
        return "WebLoadBalancer", "cannot be deleted because deletion protection is enabled"
    if world.storage.objects.get("leases-1"):
        return "Leases", "The bucket you tried to delete is not empty"
    return None


def is_gone(world: World) -> bool:
    return STACK not in world.stacks.stacks


@pytest.fixture
def teardown(monkeypatch: pytest.MonkeyPatch) -> Teardown:
    return Teardown(monkeypatch)


def test_a_cluster_goes_and_what_it_leaves_is_told(teardown: Teardown) -> None:
    world = teardown.world
    world.storage.sizes = {"files-1": 10 * 1024**3, "leases-1": 0, DATABASE: 1024**3}
    world.databases.taken[DATABASE] = ["control-demo-snapshot-database"]
    result = teardown.run()
    assert result.status == "SUCCEEDED", result.cause
    assert is_gone(world)
    assert world.desired == {"orchestration-cluster": 0, "connectors": 0}
    assert world.table.health == {}
    assert world.table.locks == {}
    kept = {one["logicalId"]: one for one in result.output["plan"]["kept"]}
    assert set(kept) == {"DataKey", "Files", "Leases", "Database"}
    assert kept["Files"]["monthlyCost"] == "3.60"
    assert "files-1" in kept["Files"]["howToDelete"]
    assert result.output["snapshots"] == ["control-demo-snapshot-database"]
    report = json.loads(world.artifacts.objects[result.output["reportKey"]])
    assert report["plan"]["text"] == result.output["plan"]["text"]
    assert [event.detail["machine"] for event in world.events.sent] == ["teardown", "teardown"]


def test_a_stack_without_outputs_goes_with_its_database(teardown: Teardown) -> None:
    world = teardown.world
    stack = world.stacks.stacks[STACK]
    world.stacks.stacks[STACK] = replace(stack, outputs=OUTPUTS)
    world.databases.taken[DATABASE] = ["control-demo-snapshot-database"]
    result = teardown.run()
    assert result.status == "SUCCEEDED", result.cause
    assert is_gone(world)
    assert result.output["snapshots"] == ["control-demo-snapshot-database"]


def test_it_stops_before_it_deletes_and_lifts_protection_last(teardown: Teardown) -> None:
    world = teardown.world
    seen: list[tuple[dict[str, int], int, bool]] = []
    real = teardown.functions["DeleteStack"]

    def delete(event: dict[str, Any]) -> Any:
        protected = world.stacks.stacks[STACK].termination_protected
        if not seen:
            seen.append((world.desired, len(world.targets.health("arn:rest")), protected))
        teardown.functions["DeleteStack"] = real
        return real(event)

    teardown.functions["DeleteStack"] = delete
    assert teardown.run().status == "SUCCEEDED"
    assert seen == [({"orchestration-cluster": 0, "connectors": 0}, 0, True)]


def test_a_dry_run_tells_and_does_nothing(teardown: Teardown) -> None:
    result = teardown.run({"clusterName": "demo", "dryRun": True})
    world = teardown.world
    assert result.status == "SUCCEEDED", result.cause
    assert result.calls == ["PlanTeardown"]
    assert "retained: file system" in result.output["text"]
    assert world.desired == {"orchestration-cluster": 3, "connectors": 1}
    assert world.table.records == {}
    assert world.events.sent == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"clusterName": "demo"}, "confirm"),
        ({"clusterName": "demo", "confirm": "Demo"}, "confirm"),
        ({"clusterName": "demo", "confirm": "other"}, "confirm"),
        ({"clusterName": "demo", "confirm": True}, "confirm"),
        ({"clusterName": "demo", "confirm": "demo", "dryRun": "yes"}, "dryRun"),
        ({"clusterName": "demo", "confirm": "demo", "force": True}, "force"),
        ({"confirm": "demo"}, "clusterName"),
        ({"clusterName": None, "confirm": None}, "clusterName"),
        (["demo"], "(input)"),
    ],
)
def test_a_wrong_request_ends_before_anything_is_changed(
    teardown: Teardown, given: Any, field: str
) -> None:
    result = teardown.run(given)
    assert (result.status, result.error) == ("FAILED", "InvalidRequest")
    assert f"{field}: given" in result.cause
    assert teardown.world.desired == {"orchestration-cluster": 3, "connectors": 1}
    assert teardown.world.table.records == {}


def test_a_frozen_cluster_stays(teardown: Teardown) -> None:
    world = teardown.world
    stack = world.stacks.stacks[STACK]
    world.stacks.stacks[STACK] = replace(
        stack, tags={**stack.tags, "camunda:frozen": "audit until Friday"}
    )
    result = teardown.run()
    assert (result.status, result.error) == ("FAILED", "ClusterFrozen")
    assert "audit until Friday" in result.cause
    assert world.desired == {"orchestration-cluster": 3, "connectors": 1}


def test_a_cluster_frozen_after_the_plan_stays_too(teardown: Teardown) -> None:
    world = teardown.world
    real = teardown.functions["BeginOperation"]

    def freeze(event: dict[str, Any]) -> Any:
        stack = world.stacks.stacks[STACK]
        world.stacks.stacks[STACK] = replace(stack, tags={**stack.tags, "camunda:frozen": "now"})
        return real(event)

    teardown.functions["BeginOperation"] = freeze
    result = teardown.run()
    assert result.error == "ClusterFrozen"
    assert world.desired == {"orchestration-cluster": 3, "connectors": 1}
    assert world.table.locks == {}


def test_a_cluster_frozen_in_the_table_stays(teardown: Teardown) -> None:
    world = teardown.world
    world.table.freezes[STACK] = Freeze("audit until Friday", "2026-01-01T00:00:00Z", "arn:ann")
    result = teardown.run()
    assert (result.status, result.error) == ("FAILED", "ClusterFrozen")
    assert "audit until Friday" in result.cause
    assert world.desired == {"orchestration-cluster": 3, "connectors": 1}
    assert world.table.locks == {}


def test_nobody_removes_a_cluster_alone_under_the_rule_of_two(teardown: Teardown) -> None:
    teardown.world.two_people_for = frozenset({"teardown"})
    before = dict(teardown.world.stacks.stacks)
    result = teardown.run()
    assert (result.status, result.error) == ("FAILED", "SecondApproverRequired")
    assert "the field approves is missing" in result.cause
    assert teardown.world.stacks.stacks == before
    assert teardown.world.table.locks == {}
    assert teardown.run({**INPUT, "dryRun": True}, number=2).status == "SUCCEEDED"


def test_a_running_operation_is_named_and_left_alone(teardown: Teardown) -> None:
    teardown.world.journal.begin(operation(7))
    result = teardown.run()
    assert (result.status, result.error) == ("FAILED", "ClusterBusy")
    assert "demo.provision.7" in result.cause
    assert teardown.world.desired == {"orchestration-cluster": 3, "connectors": 1}


def test_a_foreign_stack_of_that_name_is_left_alone(teardown: Teardown) -> None:
    stacks = teardown.world.stacks
    stacks.stacks[STACK] = replace(stacks.stacks[STACK], tags={})
    result = teardown.run()
    assert (result.status, result.error) == ("FAILED", "StackNotUsable")
    assert teardown.world.desired["orchestration-cluster"] == 3


def test_a_stack_that_names_another_cluster_stops_nothing_of_it(teardown: Teardown) -> None:
    """Outputs are what the author of a stack wrote; without a contract, too."""
    stack = teardown.world.stacks.stacks[STACK]
    for outputs in (
        {**stack.outputs, "EcsClusterName": "control-other"},
        {"ClusterName": "other", "EcsClusterName": "control-other", "DatabaseClusterId": "other"},
    ):
        teardown.world.stacks.stacks[STACK] = replace(stack, outputs=ClusterOutputs(outputs))
        result = teardown.run()
        assert (result.status, result.error) == ("FAILED", "StackNotUsable")
    assert teardown.world.desired == {"orchestration-cluster": 3, "connectors": 1}
    assert teardown.world.databases.protected == {DATABASE}


def test_an_adopted_cluster_is_left_alone(teardown: Teardown) -> None:
    stack = teardown.world.stacks.stacks[STACK]
    teardown.world.stacks.stacks[STACK] = replace(
        stack, outputs=ClusterOutputs({**stack.outputs, "Adopted": "true"})
    )
    result = teardown.run()
    assert (result.status, result.error) == ("FAILED", "StackNotUsable")
    assert "created by another tool" in result.cause
    assert teardown.world.desired["orchestration-cluster"] == 3


def test_where_there_is_nothing_nothing_is_removed(teardown: Teardown) -> None:
    assert teardown.run().status == "SUCCEEDED"
    again = teardown.run(number=2)
    assert again.status == "SUCCEEDED", again.cause
    assert again.output["plan"]["stackStatus"] == "ABSENT"
    assert "There is no stack" in again.output["plan"]["text"]


def test_a_stack_that_is_still_being_made_is_waited_for(teardown: Teardown) -> None:
    stacks = teardown.world.stacks
    stacks.stacks[STACK] = replace(stacks.stacks[STACK], status="UPDATE_IN_PROGRESS")
    counts_while_busy = []

    def settle(world: World) -> None:
        stack = world.stacks.stacks.get(STACK)
        if stack is not None and stack.status == "UPDATE_IN_PROGRESS":
            counts_while_busy.append(world.desired["orchestration-cluster"])
            world.stacks.stacks[STACK] = replace(stack, status="UPDATE_COMPLETE")
        else:
            teardown.all_goes_well(world)

    teardown.on_wait = settle
    assert teardown.run().status == "SUCCEEDED"
    assert counts_while_busy == [3]


@pytest.mark.parametrize("status", ["CREATE_FAILED", "ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"])
def test_what_never_became_a_cluster_goes_as_well(teardown: Teardown, status: str) -> None:
    world = teardown.world
    found = world.stacks.stacks[STACK]
    world.stacks.stacks[STACK] = replace(
        found, status=status, outputs=ClusterOutputs(), termination_protected=False
    )
    world.services.services.clear()
    world.databases.protected.clear()
    world.balancers.protected.clear()
    teardown.on_wait = lambda world: world.stacks.finish()
    assert teardown.run().status == "SUCCEEDED"
    assert is_gone(world)


def test_tasks_that_never_stop_end_it_in_words(teardown: Teardown) -> None:
    teardown.on_wait = lambda world: world.stacks.finish()
    result = teardown.run()
    assert (result.status, result.error) == ("FAILED", "TasksStillRunning")
    assert "3 targets of RestTargetGroup" in result.cause
    assert not is_gone(teardown.world)
    teardown.on_wait = teardown.all_goes_well
    assert teardown.run(number=2).status == "SUCCEEDED"


def test_what_blocks_is_named_with_its_remedy_and_the_next_run_goes_on(
    teardown: Teardown,
) -> None:
    group = ("EcsCluster", "resource sg-1 has a dependent object")
    teardown.world.stacks.blocked = lambda: group
    result = teardown.run()
    assert (result.status, result.error) == ("FAILED", "StackNotDeleted")
    assert "resource sg-1 has a dependent object" in result.cause
    assert "remove what depends on it" in result.cause
    assert "DELETE_FAILED" in result.cause
    report = teardown.world.table.records["teardown", "demo.teardown.1"]["reportKey"]
    assert json.loads(teardown.world.artifacts.objects[report])["plan"]["kept"]
    teardown.world.stacks.blocked = lambda: None
    assert teardown.run(number=2).status == "SUCCEEDED"
    assert is_gone(teardown.world)


def held(world: World, logical_id: str) -> str:
    """Physical id of what the stack holds."""
    return next(
        one.physical_id for one in world.stacks.contents(STACK) if one.logical_id == logical_id
    )


def test_what_service_connect_left_goes_before_the_namespace(teardown: Teardown) -> None:
    world = teardown.world
    namespaces = world.namespaces.inside
    connect = held(world, "ServiceConnectNamespace")
    own = NamedService(held(world, "BrokerDiscovery"), "orchestration-cluster", 0)
    foreign = [NamedService("srv-9", "not-ours", 0)]
    namespaces[connect] = [
        NamedService("srv-1", "orchestration-cluster-rest", 0),
        NamedService("srv-2", "orchestration-cluster-grpc", 1),
    ]
    namespaces[held(world, "DnsNamespace")] = [own]
    namespaces["ns-of-another-cluster"] = foreign

    def later(world: World) -> None:
        if [one.identifier for one in namespaces[connect]] == ["srv-2"]:
            # Only now is the first one gone, and Cloud Map counts no instance of the other.
            namespaces[connect] = [NamedService("srv-2", "orchestration-cluster-grpc", 0)]
            del namespaces["ns-of-another-cluster"]
        teardown.all_goes_well(world)

    teardown.on_wait = later
    result = teardown.run()
    assert result.status == "SUCCEEDED", result.cause
    assert is_gone(world)
    assert namespaces[connect] == []
    # The stack's own service is CloudFormation's to delete, and other namespaces are not touched.
    assert [own] in namespaces.values()
    assert foreign == [NamedService("srv-9", "not-ours", 0)]


def test_instances_that_nobody_takes_out_end_it_in_words(teardown: Teardown) -> None:
    world = teardown.world
    connect = held(world, "ServiceConnectNamespace")
    world.namespaces.inside[connect] = [NamedService("srv-1", "something-else", 2)]
    result = teardown.run()
    assert (result.status, result.error) == ("FAILED", "NamespaceNotEmpty")
    assert "2 instances of something-else" in result.cause
    assert "list-instances" in result.cause
    assert "DeleteStack" not in result.calls
    world.namespaces.inside[connect] = []
    assert teardown.run(number=2).status == "SUCCEEDED"


def test_a_trial_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    teardown = Teardown(monkeypatch, standing(trial=True))
    result = teardown.run()
    assert result.status == "SUCCEEDED", result.cause
    assert result.output["plan"]["kept"] == []
    assert result.output["plan"]["monthlyCost"] == "0.00"
    assert teardown.world.storage.objects == {"leases-1": 0}
    assert result.calls.count("EmptyBuckets") == 4
    assert is_gone(teardown.world)


FORMER = DatabaseBeside("control-demo-former-1", "available", None)
COPY = DatabaseBeside("control-demo-staging-1-0a", "available", None, copy=True)


def test_what_restores_have_left_goes_before_the_subnet_group(teardown: Teardown) -> None:
    world = teardown.world
    world.former.beside = {one.name: one for one in (FORMER, COPY)}
    world.former.buckets = ["control-demo-nodeidbucket-former"]
    world.databases.taken[DATABASE] = ["control-demo-snapshot-database"]

    def finish(world: World) -> None:
        for name, snapshot in world.former.snapshots.items():
            world.databases.taken[name] = [snapshot] if snapshot else []
        Teardown.all_goes_well(world)

    teardown.on_wait = finish
    result = teardown.run()
    assert result.status == "SUCCEEDED", result.cause
    assert is_gone(world)
    assert world.former.beside == {}
    final = world.former.snapshots[FORMER.name]
    assert final.startswith(f"{FORMER.name}-final-")
    assert world.former.snapshots[COPY.name] == ""
    plan = result.output["plan"]
    assert plan["formerDatabases"] == [FORMER.name]
    assert f"former database {FORMER.name}, which a restore has replaced; its" in plan["text"]
    assert "control-demo-nodeidbucket-former" in {one["id"] for one in plan["kept"]}
    assert world.former.buckets == ["control-demo-nodeidbucket-former"]
    assert result.output["snapshots"] == ["control-demo-snapshot-database", final]


def test_final_snapshots_of_the_longest_names_have_room_and_differ(teardown: Teardown) -> None:
    """CloudFormation's identifiers of Aurora clusters have up to 63 characters and differ last."""
    world = teardown.world
    names = [f"control-demo-{'x' * 37}-{one * 12}" for one in "ab"]
    assert {len(one) for one in names} == {63}
    world.former.beside = {one: replace(FORMER, name=one) for one in names}
    result = teardown.run()
    assert result.status == "SUCCEEDED", result.cause
    assert set(world.former.snapshots) == set(names)
    assert world.former.beside == {}


def test_a_deletion_that_failed_before_is_begun_again_after_the_former_databases(
    teardown: Teardown,
) -> None:
    """That failure says nothing about the deletion that has not been begun yet."""
    world = teardown.world
    world.former.beside = {FORMER.name: replace(FORMER, status="creating")}
    stack = world.stacks.stacks[STACK]
    world.stacks.stacks[STACK] = replace(stack, status="DELETE_FAILED")
    result = teardown.run()
    assert result.status == "SUCCEEDED", result.cause
    assert is_gone(world)


def test_a_database_with_the_tags_that_somebody_works_with_is_refused_first(
    teardown: Teardown,
) -> None:
    world = teardown.world
    world.former.beside = {FORMER.name: replace(FORMER, instances=1)}
    result = teardown.run()
    assert (result.status, result.error) == ("FAILED", "StackNotUsable")
    assert "control-demo-former-1 has 1 instances" in str(result.cause)
    assert world.desired == {"orchestration-cluster": 3, "connectors": 1}


def test_a_former_database_that_takes_no_change_now_is_waited_for(teardown: Teardown) -> None:
    world = teardown.world
    world.former.beside = {FORMER.name: FORMER}
    world.former.busy = {FORMER.name}

    def later(world: World) -> None:
        world.former.busy = set()
        Teardown.all_goes_well(world)

    teardown.on_wait = later
    result = teardown.run()
    assert result.status == "SUCCEEDED", result.cause
    assert is_gone(world)


def test_a_former_database_that_rds_refuses_to_delete_keeps_the_stack(teardown: Teardown) -> None:
    world = teardown.world
    world.former.beside = {FORMER.name: FORMER}
    refused = FormerDataNotDeleted(
        f"Database {FORMER.name} was not deleted: SnapshotQuotaExceeded.", next_step="Raise it."
    )
    world.former.refused = {FORMER.name: refused}
    result = teardown.run()
    assert result.error == "StackNotDeleted"
    cause = str(result.cause)
    assert f"{STACK} was not deleted" in cause
    assert "SnapshotQuotaExceeded" in cause
    assert "Raise it." in cause
    assert not is_gone(world)


def test_a_database_that_rds_creates_for_longer_than_a_step_is_repeated_is_waited_for(
    teardown: Teardown,
) -> None:
    """Creating a copy of a large volume takes RDS much longer than the retries of a step."""
    world = teardown.world
    other = replace(FORMER, name="control-demo-former-2")
    copy = replace(COPY, status="creating")
    world.former.beside = {one.name: one for one in (copy, FORMER, other)}
    world.former.busy = {copy.name}
    ready = world.clock.now() + timedelta(hours=2)

    def later(world: World) -> None:
        if world.clock.now() >= ready:
            world.former.busy = set()
        Teardown.all_goes_well(world)

    teardown.on_wait = later
    result = teardown.run()
    assert result.status == "SUCCEEDED", result.cause
    assert is_gone(world)
    assert set(world.former.snapshots) == {copy.name, FORMER.name, other.name}
    assert world.former.snapshots[copy.name] == ""


def test_a_database_that_takes_no_change_for_hours_ends_it_with_rdss_words(
    teardown: Teardown,
) -> None:
    world = teardown.world
    world.former.beside = {FORMER.name: FORMER}
    world.former.busy = {FORMER.name}
    result = teardown.run()
    assert (result.status, result.error) == ("FAILED", "StackNotDeleted")
    assert f"for 3 hours Aurora cluster {FORMER.name} takes no change now" in str(result.cause)
    assert not is_gone(world)
    world.former.busy = set()
    assert teardown.run(number=2).status == "SUCCEEDED"
    assert is_gone(world)


def test_nothing_of_what_a_restore_replaced_in_a_trial_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teardown = Teardown(monkeypatch, standing(trial=True))
    world = teardown.world
    world.former.beside = {FORMER.name: FORMER}
    world.former.buckets = ["control-demo-nodeidbucket-former"]
    world.storage.objects["control-demo-nodeidbucket-former"] = 1500
    result = teardown.run()
    assert result.status == "SUCCEEDED", result.cause
    assert is_gone(world)
    assert world.former.snapshots == {FORMER.name: ""}
    assert world.former.buckets == []
    assert world.storage.objects["control-demo-nodeidbucket-former"] == 0


def test_buckets_of_anything_but_a_trial_are_never_emptied(teardown: Teardown) -> None:
    teardown.world.storage.objects = {"leases-1": 5}
    teardown.world.stacks.blocked = lambda: None
    assert teardown.run().status == "SUCCEEDED"
    assert teardown.world.storage.objects == {"leases-1": 5}
    event = {"operation": state(), "request": {"stack": STACK}}
    again = Teardown(teardown.monkeypatch)
    again.world.storage.objects = {"leases-1": 5}
    assert again.functions["EmptyBuckets"](event) == {"status": "EMPTY"}
    assert again.world.storage.objects == {"leases-1": 5}


def state() -> dict[str, str]:
    return {
        "id": "demo.teardown.9",
        "executionArn": "arn:9",
        "startedAt": "2026-01-01T00:00:00Z",
        "machine": "teardown",
        "cluster": "demo",
        "ecsCluster": "control-demo",
    }


def test_a_new_cluster_of_the_same_name_has_nothing_of_the_old_one(teardown: Teardown) -> None:
    world = teardown.world
    old = {resource.physical_id for resource in world.stacks.contents(STACK)}
    old_id = world.stacks.stacks[STACK].stack_id
    assert teardown.run().status == "SUCCEEDED"
    world.stacks.create_change_set(
        stack=STACK,
        name="settle-2",
        create=True,
        template_url="https://template",
        parameters={},
        tags=tags(CONTROL, "demo"),
        description="",
    )
    again = world.stacks.change_set("settle-2", STACK).arn
    world.stacks.execute_change_set(again, "token-2", keep=True)
    world.stacks.finish()
    assert world.stacks.stacks[STACK].stack_id != old_id
    assert old.isdisjoint(resource.physical_id for resource in world.stacks.contents(STACK))
    # The old stack is still known by its id, and its name is the new one's.
    found = world.stacks.describe(old_id)
    assert found is not None
    assert found.status == "DELETE_COMPLETE"
    assert teardown.run(number=2).status == "SUCCEEDED"


def test_deleted_twice_at_once_is_followed_not_begun_again(teardown: Teardown) -> None:
    world = teardown.world
    world.stacks.unprotect(STACK)
    world.databases.protect(DATABASE, on=False)
    world.stacks.delete(STACK, "somebody-else")
    result = teardown.run()
    assert result.status == "SUCCEEDED", result.cause
    assert is_gone(world)
