from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.cluster.checks import TargetHealth
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.stack import ResourceChange
from lifecycle.errors import (
    AwsRefused,
    AwsUnavailable,
    DatabaseNotReady,
    DatabaseRefused,
    DatabaseUnreachable,
    IamLoginRefused,
    LifecycleError,
    ProbeAsleep,
    UserPoolUnusable,
)
from lifecycle.preflight.way_back import Snapshot
from lifecycle.services.stops import StoppedTask
from lifecycle.settings import Settings
from lifecycle.verification.process_instances import PATIENCE_SECONDS, WAIT_SECONDS

from local.aws.strict.sleeping_functions import WAKING_SECONDS, Sleepers
from tests.statemachines.engine import Control, run
from tests.support.backups import fresh
from tests.support.beginning import begin_operation
from tests.support.declared import in_clear
from tests.support.definitions import Function, Result, load_handler
from tests.support.failures import Killed
from tests.support.rolling import NEWEST, RollingWorld
from tests.support.world import CONTROL, OUTPUTS, REGISTRIES, TEMPLATE, World, operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

INPUT = {"clusterName": "demo", "parameters": {"Brokers": 3}}


class Provision:
    """The provision machine on a world in memory; every wait lets the world move on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = World()
        self.monkeypatch = monkeypatch
        self.on_wait: Callable[[World], None] = self.all_goes_well
        self.seeds: list[dict[str, Any]] = []
        self.logins: list[str] = []
        self.seed_errors: list[Exception] = []
        # What runs in the brokers' service, one by one; moved only when a test has a revision more.
        self.rolling = RollingWorld()
        self.functions = self._functions()

    @staticmethod
    def all_goes_well(world: World) -> None:
        world.stacks.finish()
        if any(world.desired.values()):
            world.bring_up()

    def _functions(self) -> dict[str, Function]:
        world = self.world
        settings = Settings(
            control_stack=CONTROL,
            region="eu-central-1",
            table_name="table",
            artifact_bucket="artifacts",
            deployment_role_arn="arn:role",
            cluster_template="/opt/cluster.json",
        )

        def seed(event: dict[str, Any]) -> dict[str, Any]:
            if self.seed_errors:
                raise self.seed_errors.pop(0)
            self.seeds.append(event)
            return {"roles": ["camunda"]}

        stack = {"stack_changer": lambda: world.changer}
        start = {"service_starter": lambda: world.starter}
        return {
            "ValidateRequest": load_handler(
                "validate_request",
                cluster_parameters=in_clear,
                registries=lambda: REGISTRIES,
                settings=lambda: settings,
                stacks=lambda: world.stacks,
                probe=lambda: world.probe,
            ),
            "BeginOperation": begin_operation(world),
            "PreflightCluster": load_handler(
                "preflight_cluster", preflight=lambda: world.preflight
            ),
            "PlanStack": load_handler(
                "plan_stack",
                plan_adopter=lambda: world.adopter,
                settings=lambda: settings,
                cluster_template=lambda: TEMPLATE,
                **stack,
            ),
            "CheckChangeSet": load_handler("check_change_set", **stack),
            "TakeBackup": fresh,
            "ExecuteChangeSet": load_handler("execute_change_set", **stack),
            "FollowStack": load_handler("follow_stack", **stack),
            "RollBackStack": load_handler("roll_back_stack", **stack),
            "ReadCluster": load_handler("read_cluster", **stack),
            "SeedDatabase": seed,
            "SeedLogin": self.seed_login,
            "StartServices": load_handler("start_services", **start),
            "RollServices": load_handler(
                "roll_services", service_roller=lambda: self.rolling.roller
            ),
            "FollowStart": load_handler("follow_start", start_follower=lambda: world.follower),
            "StopServices": load_handler("stop_services", **start),
            "VerifyCluster": load_handler("verify_cluster", verifier=lambda: world.verifier),
            "FinishOperation": load_handler("finish_operation", finisher=lambda: world.finisher),
        }

    def seed_login(self, event: dict[str, Any]) -> dict[str, Any]:
        """Record what the function gets; it returns names of clients, never a value."""
        self.logins.append(event["cluster"]["CognitoUserPoolId"])
        return {"userPool": event["cluster"]["CognitoUserPoolId"], "clients": {"web": "stored"}}

    def run(self, given: Any = INPUT, number: int = 1, control: Control | None = None) -> Result:
        def waited(seconds: int) -> None:
            self.world.clock.pass_seconds(seconds)
            self.rolling.pass_seconds(seconds)
            self.on_wait(self.world)

        return run(
            "provision",
            self.functions,
            given,
            monkeypatch=self.monkeypatch,
            on_wait=waited,
            name=operation(number).operation_id,
            control=control,
        )

    def interrupt_before(self, function: str, happens: Callable[[], None], *, after: int) -> None:
        """Let something happen before a function is called for the last of so many times."""
        real = self.functions[function]
        calls = 0

        def called(event: dict[str, Any]) -> Any:
            nonlocal calls
            calls += 1
            if calls > after:
                happens()
            return real(event)

        self.functions[function] = called

    def interrupt(self, function: str, error: Exception, times: int = 1) -> None:
        """Let a function do its work and then die before its answer arrives."""
        real = self.functions[function]
        left = [error] * times

        def dying(event: dict[str, Any]) -> Any:
            answer = real(event)
            if left:
                raise left.pop()
            return answer

        self.functions[function] = dying


@pytest.fixture
def provision(monkeypatch: pytest.MonkeyPatch) -> Provision:
    return Provision(monkeypatch)


def test_a_cluster_is_made_from_nothing(provision: Provision) -> None:
    result = provision.run()
    assert result.status == "SUCCEEDED", result.cause
    world = provision.world
    stack = world.stacks.stacks["control-demo"]
    assert (stack.status, stack.termination_protected) == ("CREATE_COMPLETE", True)
    assert world.desired == {"orchestration-cluster": 3, "connectors": 1}
    assert result.output["result"] == "SUCCEEDED"
    assert result.output["verification"]["result"] == "PASS"
    assert result.output["outputs"]["EcsClusterName"] == "control-demo"
    assert world.table.locks == {}
    assert json.loads(world.artifacts.objects[result.output["reportKey"]])["timeline"]


def test_the_clients_of_a_user_pool_have_their_secrets_before_a_task_starts(
    provision: Provision,
) -> None:
    world = provision.world
    world.stacks.outputs = {**OUTPUTS, "CognitoUserPoolId": "eu-central-1_Ab12Cd34E"}
    result = provision.run()
    assert result.status == "SUCCEEDED", result.cause
    assert provision.logins == ["eu-central-1_Ab12Cd34E"]
    calls = result.calls
    assert calls.index("SeedDatabase") < calls.index("SeedLogin") < calls.index("StartServices")


def test_without_a_user_pool_nothing_of_the_login_is_seeded(provision: Provision) -> None:
    result = provision.run()
    assert result.status == "SUCCEEDED", result.cause
    assert "SeedLogin" not in result.calls


def test_a_pool_that_cannot_be_used_ends_it_by_name_before_a_task_starts(
    provision: Provision,
) -> None:
    provision.world.stacks.outputs = {**OUTPUTS, "CognitoUserPoolId": "eu-central-1_Ab12Cd34E"}

    def failing(event: dict[str, Any]) -> Any:
        raise UserPoolUnusable(f"no client in {event['cluster']['CognitoUserPoolId']}")

    provision.functions["SeedLogin"] = failing
    result = provision.run()
    assert (result.status, result.error) == ("FAILED", "UserPoolUnusable")
    assert "StartServices" not in result.calls
    assert provision.world.table.locks == {}


def test_the_stack_is_protected_before_anything_holds_data(provision: Provision) -> None:
    protected = []
    real = provision.functions["SeedDatabase"]

    def seed(event: dict[str, Any]) -> Any:
        stack = provision.world.stacks.stacks["control-demo"]
        protected.append(stack.termination_protected)
        return real(event)

    provision.functions["SeedDatabase"] = seed
    assert provision.run().status == "SUCCEEDED"
    assert protected == [True]


def test_the_first_broker_of_8_10_makes_the_schema_before_the_others_start(
    provision: Provision,
) -> None:
    world = provision.world
    world.stacks.outputs = {**OUTPUTS, "OrchestrationImage": "camunda/camunda:8.10.0"}
    looks = [False, False, True]
    counts = []
    real = provision.functions["SeedDatabase"]

    def seed(event: dict[str, Any]) -> Any:
        if event.get("question") != "schema":
            return real(event)
        counts.append(world.desired)
        return {"made": looks.pop(0)}

    provision.functions["SeedDatabase"] = seed
    result = provision.run()
    assert result.status == "SUCCEEDED", result.cause
    assert counts == [{"orchestration-cluster": 1, "connectors": 0}] * 3
    assert world.desired == {"orchestration-cluster": 3, "connectors": 1}


def test_a_service_that_is_still_being_removed_is_waited_out(provision: Provision) -> None:
    services = provision.world.services
    services.draining.add("orchestration-cluster")
    provision.interrupt_before("StartServices", services.draining.clear, after=2)
    assert provision.run().status == "SUCCEEDED"


def revise(provision: Provision, service: str) -> None:
    """Let the stack name another revision of a service's task definition."""
    output = {
        "orchestration-cluster": "OrchestrationTaskDefinitionArn",
        "connectors": "ConnectorsTaskDefinitionArn",
    }[service]
    stacks = provision.world.stacks
    stack = stacks.stacks["control-demo"]
    outputs = ClusterOutputs({**stack.outputs, output: f"arn:{service}:2"})
    stacks.stacks["control-demo"] = replace(stack, outputs=outputs)
    provision.rolling.outputs = outputs


def test_the_same_input_again_changes_nothing(provision: Provision) -> None:
    provision.run()
    history = len(provision.world.stacks.history)
    result = provision.run(number=2)
    assert result.status == "SUCCEEDED", result.cause
    assert len(provision.world.stacks.history) == history
    assert provision.world.desired == {"orchestration-cluster": 3, "connectors": 1}
    assert "ExecuteChangeSet" not in result.states


def test_a_scaled_cluster_keeps_its_count(provision: Provision) -> None:
    provision.run()
    provision.world.services.set_count("control-demo", "orchestration-cluster", 5)
    provision.world.bring_up()
    assert provision.run(number=2).status == "SUCCEEDED"
    assert provision.world.desired["orchestration-cluster"] == 5


def test_a_new_revision_is_rolled_through_the_brokers_of_a_living_cluster(
    provision: Provision,
) -> None:
    provision.run()
    revise(provision, "orchestration-cluster")
    result = provision.run(number=2)
    assert result.status == "SUCCEEDED", result.cause
    assert provision.rolling.revisions == {NEWEST}
    assert provision.rolling.tasks.replaced == [2, 1, 0]
    assert provision.world.desired == {"orchestration-cluster": 3, "connectors": 1}


def test_moving_brokers_is_repeated_harmlessly_and_continued(provision: Provision) -> None:
    provision.run()
    revise(provision, "orchestration-cluster")
    provision.interrupt("RollServices", AwsUnavailable("the answer was lost"), times=2)
    assert provision.run(number=2).status == "SUCCEEDED"
    assert provision.rolling.tasks.replaced == [2, 1, 0]


def test_a_revision_that_does_not_start_leaves_the_other_brokers_and_the_counts(
    provision: Provision,
) -> None:
    provision.run()
    revise(provision, "orchestration-cluster")
    provision.rolling.tasks.fails.add(NEWEST)
    result = provision.run(number=2)
    assert (result.status, result.error) == ("FAILED", "RollingUpdateFailed")
    assert "were left running" in result.cause
    assert provision.rolling.running == [0, 1]
    assert provision.world.desired == {"orchestration-cluster": 3, "connectors": 1}
    assert provision.world.table.locks == {}


def test_brokers_stay_while_exporting_is_paused(provision: Provision) -> None:
    provision.run()
    revise(provision, "orchestration-cluster")
    provision.rolling.cluster.exporting = "PAUSED"
    result = provision.run(number=2)
    assert (result.status, result.error) == ("FAILED", "RollingUpdateFailed")
    assert "exporting of partition 1 is PAUSED" in result.cause
    assert provision.rolling.tasks.replaced == []
    provision.rolling.cluster.exporting = "EXPORTING"
    provision.rolling.table.locks.clear()
    assert provision.run(number=3).status == "SUCCEEDED"
    assert provision.rolling.tasks.replaced == [2, 1, 0]


NEXT_MINOR: dict[str, Any] = {
    **INPUT,
    "parameters": {
        "OrchestrationImage": "camunda/camunda:8.10.0",
        "ConnectorsImage": "camunda/connectors-bundle:8.10.0",
    },
}


def test_another_minor_needs_a_way_back_or_its_waiver(provision: Provision) -> None:
    world = provision.world
    provision.run()
    world.probe.answers["backup"] = {"state": "", "at": None, "problem": "no broker answers"}
    refused = provision.run(NEXT_MINOR, number=2)
    assert (refused.status, refused.error) == ("FAILED", "PreflightFailed")
    assert "the backups could not be read: no broker answers" in refused.cause
    assert "no available snapshot" not in refused.cause
    assert "snapshots could not be read" in refused.cause
    assert world.stacks.stacks["control-demo"].parameters["OrchestrationImage"].endswith("8.9.22")
    waived = provision.run({**NEXT_MINOR, "acceptNoWayBack": True}, number=3)
    assert waived.status == "SUCCEEDED", waived.cause
    report = json.loads(world.artifacts.objects[waived.output["reportKey"]])
    assert "accepted by acceptNoWayBack" in json.dumps(report)


def test_another_minor_goes_on_with_a_fresh_backup_and_snapshot(provision: Provision) -> None:
    world = provision.world
    provision.run()
    now = world.clock.now()
    world.probe.answers["backup"] = {"state": "COMPLETED", "at": now.isoformat(), "problem": ""}
    world.account.found = replace(world.account.found, snapshot=Snapshot(now))
    result = provision.run(NEXT_MINOR, number=2)
    assert result.status == "SUCCEEDED", result.cause


@pytest.mark.parametrize("asleep", ["partitions", "backup", "brokers", "paths", "instances"])
def test_a_probe_that_slept_is_asked_again_and_hides_nothing(
    provision: Provision, monkeypatch: pytest.MonkeyPatch, asleep: str
) -> None:
    world = provision.world
    provision.run()
    begun = world.clock.now()
    world.probe.answers["backup"] = {
        "state": "COMPLETED",
        "at": begun.isoformat(),
        "problem": "",
    }
    world.probe.answers["partitions"] = {"partitions": 6}
    world.account.found = replace(world.account.found, snapshot=Snapshot(begun))
    answer, sleepers = world.probe.query, Sleepers(clock=lambda: world.clock.now().timestamp())

    def query(question: str, cluster: Mapping[str, str], **arguments: object) -> Mapping[str, Any]:
        refusal = sleepers.refusal("probe") if question == asleep else None
        if refusal is not None:
            raise ProbeAsleep(refusal.message)
        return answer(question, cluster, **arguments)

    monkeypatch.setattr(world.probe, "query", query)
    # Of the stack in memory, the retention is a parameter that changes a resource.
    parameters = {**NEXT_MINOR["parameters"], "LogRetentionDays": 90}
    result = provision.run({**INPUT, "parameters": parameters}, number=2)
    assert result.status == "SUCCEEDED", result.cause
    assert world.stacks.stacks["control-demo"].parameters["Partitions"] == "6"
    assert (world.clock.now() - begun).total_seconds() >= WAKING_SECONDS


def test_connectors_alone_move_without_the_brokers(provision: Provision) -> None:
    provision.run()
    revise(provision, "connectors")
    assert provision.run(number=2).status == "SUCCEEDED"
    assert provision.world.services.services["connectors"].revision == "arn:connectors:2"
    assert provision.rolling.tasks.replaced == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"clusterName": "Bad Name"}, "clusterName"),
        ({}, "clusterName"),
        (
            {"clusterName": "demo", "parameters": {"Brokers": 2, "ReplicationFactor": 3}},
            "parameters.Brokers",
        ),
    ],
)
def test_a_bad_request_ends_before_anything_is_changed(
    provision: Provision, given: Any, field: str
) -> None:
    result = provision.run(given)
    assert (result.status, result.error) == ("FAILED", "InvalidRequest")
    assert field in result.cause
    assert result.calls == ["ValidateRequest"]
    assert provision.world.table.records == {}


def test_a_second_operation_is_refused_and_the_first_one_named(provision: Provision) -> None:
    provision.world.journal.begin(operation(7))
    result = provision.run()
    assert (result.status, result.error) == ("FAILED", "ClusterBusy")
    assert "demo.provision.7" in result.cause
    assert provision.world.stacks.stacks == {}
    assert provision.world.table.locks["control-demo"].owner == operation(7).execution_arn


def test_a_failed_resource_is_named_kept_and_continued_from(provision: Provision) -> None:
    provision.on_wait = lambda world: world.stacks.finish(
        failing="Database", reason="no such instance class"
    )
    result = provision.run()
    assert (result.status, result.error) == ("FAILED", "StackFailed")
    assert "no such instance class" in result.cause
    assert "CREATE_FAILED" in result.cause
    assert provision.world.table.locks == {}
    provision.on_wait = provision.all_goes_well
    assert provision.run(number=2).status == "SUCCEEDED"


CHANGED = {**INPUT, "parameters": {"Brokers": 3, "LogRetentionDays": 90}}


def test_an_update_that_fails_is_rolled_back_and_can_be_repeated(provision: Provision) -> None:
    assert provision.run().status == "SUCCEEDED"
    before = provision.world.stacks.stacks["control-demo"].parameters
    provision.on_wait = lambda world: world.stacks.finish(failing="BrokerLogs", reason="throttled")
    result = provision.run(CHANGED, number=2)
    assert (result.status, result.error) == ("FAILED", "StackFailed")
    assert "UPDATE_ROLLBACK_COMPLETE" in result.cause
    assert "throttled" in result.cause
    assert provision.world.stacks.stacks["control-demo"].parameters == before
    provision.on_wait = provision.all_goes_well
    assert provision.run(CHANGED, number=3).status == "SUCCEEDED"


def test_an_update_replaces_what_has_to_be_replaced(provision: Provision) -> None:
    assert provision.run().status == "SUCCEEDED"
    stacks = provision.world.stacks
    replaced = ResourceChange("Modify", "Task", "AWS::ECS::TaskDefinition", "True")
    stacks.changed_by = {**stacks.changed_by, "LogRetentionDays": (replaced,)}
    assert provision.run(CHANGED, number=2).status == "SUCCEEDED"


def stuck(provision: Provision) -> None:
    """Leave the stack as a tool does that disables the roll-back of an update."""
    assert provision.run().status == "SUCCEEDED"
    stacks = provision.world.stacks
    stacks.before = stacks.stacks["control-demo"]
    stacks.stacks["control-demo"] = replace(stacks.before, status="UPDATE_FAILED")


@pytest.mark.parametrize("dies", [False, True])
def test_a_stack_that_is_stuck_in_an_update_is_rolled_back_first(
    provision: Provision, dies: bool
) -> None:
    stuck(provision)
    if dies:
        provision.interrupt("RollBackStack", Killed("Runtime exited with error: signal: killed"))
    result = provision.run(CHANGED, number=2)
    assert result.status == "SUCCEEDED", result.cause
    assert result.calls.count("RollBackStack") == 1 + dies
    rolled_back = [one for one in provision.world.stacks.rolled_back if one == "control-demo"]
    assert len(rolled_back) == 1
    steps = [step["step"] for step in provision.world.table.timeline(operation(2))]
    assert "CloudFormation rolls back an update that failed" in steps
    assert provision.world.stacks.stacks["control-demo"].status == "UPDATE_COMPLETE"


def test_a_creation_that_fails_twice_is_continued_and_never_rolled_back(
    provision: Provision,
) -> None:
    for number, failing in ((1, "Database"), (2, "Files")):
        provision.on_wait = lambda world, failing=failing: world.stacks.finish(  # type: ignore[misc]
            failing=failing, reason="no such class"
        )
        result = provision.run(number=number)
        assert (result.status, result.error) == ("FAILED", "StackFailed")
        assert "Completed resources were kept" in result.cause
    half_made = provision.world.stacks.stacks["control-demo"]
    assert half_made.status == "UPDATE_FAILED"
    provision.on_wait = provision.all_goes_well
    result = provision.run(number=3)
    assert result.status == "SUCCEEDED", result.cause
    assert "RollBackStack" not in result.states
    assert provision.world.stacks.stacks["control-demo"].stack_id == half_made.stack_id


def test_a_half_made_stack_with_nothing_to_continue_is_no_success(provision: Provision) -> None:
    provision.on_wait = lambda world: world.stacks.finish(
        failing="Database", reason="no such class"
    )
    assert provision.run().error == "StackFailed"
    provision.world.stacks.nothing_left = True
    result = provision.run(number=2)
    assert (result.status, result.error) == ("FAILED", "CreationIncomplete")
    assert "Tear the cluster down" in result.cause
    assert provision.world.desired == {"orchestration-cluster": 0, "connectors": 0}


def test_a_half_made_stack_in_which_something_would_be_replaced_is_refused(
    provision: Provision,
) -> None:
    provision.on_wait = lambda world: world.stacks.finish(
        failing="Database", reason="no such class"
    )
    assert provision.run().error == "StackFailed"
    provision.world.stacks.replaces = ["EcsCluster"]
    result = provision.run(number=2)
    assert (result.status, result.error) == ("FAILED", "ChangeSetRefused")
    assert "EcsCluster" in result.cause
    assert provision.world.stacks.stacks["control-demo"].status == "CREATE_FAILED"


def test_a_database_that_is_still_starting_is_waited_out(provision: Provision) -> None:
    provision.seed_errors = [DatabaseNotReady("starting up")] * 3
    result = provision.run()
    assert result.status == "SUCCEEDED", result.cause
    assert result.calls.count("SeedDatabase") == 4
    assert len(provision.seeds) == 1


@pytest.mark.parametrize("error", [IamLoginRefused, DatabaseUnreachable])
def test_a_login_that_is_refused_at_first_is_repeated_for_minutes(
    provision: Provision, error: type[LifecycleError]
) -> None:
    provision.seed_errors = [error("not yet")] * 10
    assert provision.run().status == "SUCCEEDED"


def test_a_login_that_stays_refused_ends_the_operation_with_its_cause(
    provision: Provision,
) -> None:
    provision.seed_errors = [IamLoginRefused("refused")] * 100
    result = provision.run()
    assert (result.status, result.error) == ("FAILED", "IamLoginRefused")
    assert result.calls.count("SeedDatabase") == 13


def broken_brokers(world: World) -> None:
    world.stacks.finish()
    if world.desired["orchestration-cluster"]:
        at = world.clock.now().isoformat(timespec="seconds")
        world.services.stopped["orchestration-cluster"] = [
            StoppedTask(f"t{n}", at, "EssentialContainerExited", "it exited", ("b, exit code 1",))
            for n in range(9)
        ]


def test_brokers_that_keep_dying_end_the_start_and_counts_go_back(provision: Provision) -> None:
    provision.on_wait = broken_brokers
    result = provision.run()
    assert (result.status, result.error) == ("FAILED", "StartFailed")
    assert "exit code 1" in result.cause
    assert provision.world.desired == {"orchestration-cluster": 0, "connectors": 0}
    assert provision.world.table.locks == {}
    provision.world.services.stopped.clear()
    provision.on_wait = provision.all_goes_well
    assert provision.run(number=2).status == "SUCCEEDED"


@pytest.mark.parametrize(
    ("function", "error"),
    [
        ("FollowStart", AwsRefused("not authorised to perform ecs:ListTasks")),
        ("FollowStart", Killed("Runtime exited with error: signal: killed")),
        ("SeedDatabase", DatabaseRefused("permission denied for schema public")),
    ],
)
def test_counts_stay_when_it_was_not_the_start_that_failed(
    provision: Provision, function: str, error: Exception
) -> None:
    # Of 8.10: the first broker makes the schema, which SeedDatabase looks at.
    provision.world.stacks.outputs = {**OUTPUTS, "OrchestrationImage": "camunda/camunda:8.10.0"}
    real = provision.functions[function]

    def failing(event: dict[str, Any]) -> Any:
        if function == "SeedDatabase" and "question" not in event:
            return real(event)
        raise error

    provision.functions[function] = failing
    result = provision.run()
    assert (result.status, result.error) == ("FAILED", type(error).__name__)
    assert "StopServices" not in result.calls
    assert provision.world.desired["orchestration-cluster"] > 0
    assert provision.world.table.locks == {}


def test_counts_go_back_though_the_function_that_lowers_them_dies(provision: Provision) -> None:
    provision.on_wait = broken_brokers
    provision.interrupt("StopServices", Killed("Runtime exited with error: signal: killed"))
    result = provision.run()
    assert result.error == "StartFailed"
    assert result.calls.count("StopServices") == 2
    assert provision.world.desired == {"orchestration-cluster": 0, "connectors": 0}


def test_counts_stay_when_told_to_keep_them(provision: Provision) -> None:
    provision.on_wait = broken_brokers
    result = provision.run({**INPUT, "onStartFailure": "keep"})
    assert result.error == "StartFailed"
    assert provision.world.desired["orchestration-cluster"] == 3


def test_a_failed_verification_is_told_and_leaves_the_cluster_as_it_is(
    provision: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets, records = provision.world.targets, provision.world.table.records
    healthy = targets.health

    def gone_after_the_start(arn: str) -> Sequence[TargetHealth]:
        verifying = any("checking brokers" in str(one.get("detail")) for one in records.values())
        return [] if verifying and arn == "arn:rest" else healthy(arn)

    monkeypatch.setattr(targets, "health", gone_after_the_start)
    result = provision.run()
    assert (result.status, result.error) == ("FAILED", "VerificationFailed")
    assert "REST targets: 0 of 3" in result.cause
    assert provision.world.desired == {"orchestration-cluster": 3, "connectors": 1}


def instances_of(result: Result) -> dict[str, str]:
    checks = result.output["verification"]["checks"]
    (found,) = [one for one in checks if one["name"] == "process instances"]
    return dict(found)


def test_a_partition_whose_exporter_is_paused_fails_the_verification(provision: Provision) -> None:
    provision.world.processes.paused = {2}
    result = provision.run()
    assert (result.status, result.error) == ("FAILED", "VerificationFailed")
    assert "process instances: the instance of partition 2" in result.cause
    assert "was not found by a search within 180 s" in result.cause
    assert result.states.count("WaitForInstances") == PATIENCE_SECONDS / WAIT_SECONDS
    assert provision.world.desired == {"orchestration-cluster": 3, "connectors": 1}
    assert provision.world.table.locks == {}
    assert len(provision.world.processes.instances) == 3

    # The same input again, as the cause says, once the exporter goes on.
    provision.world.processes.paused = set()
    again = provision.run(number=2)
    assert again.status == "SUCCEEDED", again.cause
    assert instances_of(again)["result"] == "PASS"
    assert len(provision.world.processes.resources) == 1


def test_an_exporter_that_is_late_is_waited_for(provision: Provision) -> None:
    world = provision.world
    world.processes.paused = {1, 2, 3}

    def waited(_: World) -> None:
        provision.all_goes_well(world)
        if len(world.processes.instances) == 3:
            world.processes.paused = set()

    provision.on_wait = waited
    result = provision.run()
    assert result.status == "SUCCEEDED", result.cause
    assert result.output["verification"]["result"] == "PASS"


def test_a_partition_that_takes_no_instance_fails_the_verification(provision: Provision) -> None:
    provision.world.processes.silent = {3}
    result = provision.run()
    assert (result.status, result.error) == ("FAILED", "VerificationFailed")
    assert "partition 3 created no instance in 32 attempts" in result.cause


def test_a_verification_without_process_instances_says_so(provision: Provision) -> None:
    result = provision.run({**INPUT, "verifyWithProcessInstances": False})
    assert result.status == "SUCCEEDED", result.cause
    assert result.output["verification"]["result"] == "WARN"
    assert instances_of(result)["result"] == "WARN"
    assert "skipped, not checked" in instances_of(result)["seen"]
    assert provision.world.processes.instances == []
    report = json.loads(provision.world.artifacts.objects[result.output["reportKey"]])
    assert "skipped, not checked" in json.dumps(report)


@pytest.mark.parametrize(
    "function",
    [
        "BeginOperation",
        "PlanStack",
        "CheckChangeSet",
        "ExecuteChangeSet",
        "FollowStack",
        "StartServices",
        "FollowStart",
        "VerifyCluster",
        "FinishOperation",
    ],
)
def test_a_function_that_dies_after_its_side_effect_is_repeated_harmlessly(
    provision: Provision, function: str
) -> None:
    provision.interrupt(function, AwsUnavailable("the answer was lost"))
    result = provision.run()
    assert result.status == "SUCCEEDED", result.cause
    world = provision.world
    assert world.desired == {"orchestration-cluster": 3, "connectors": 1}
    executed = [cs for cs in world.stacks.change_sets.values() if cs.status == "EXECUTED"]
    assert len(executed) == 1
    assert world.table.locks == {}


def test_a_function_that_dies_after_it_removed_an_empty_change_set_is_repeated_harmlessly(
    provision: Provision,
) -> None:
    assert provision.run().status == "SUCCEEDED"
    provision.interrupt("CheckChangeSet", Killed("Runtime exited with error: signal: killed"))
    result = provision.run(number=2)
    assert result.status == "SUCCEEDED", result.cause
    assert "ExecuteChangeSet" not in result.calls
    assert [one.status for one in provision.world.stacks.change_sets.values()] == ["EXECUTED"]


def test_a_change_set_that_somebody_removed_is_no_empty_one(provision: Provision) -> None:
    assert provision.run().status == "SUCCEEDED"
    stacks = provision.world.stacks
    sets = stacks.change_sets

    def removed() -> None:
        for arn in [arn for arn, one in sets.items() if one.status != "EXECUTED"]:
            stacks.delete_change_set(arn)

    provision.interrupt_before("CheckChangeSet", removed, after=0)
    result = provision.run(number=2)
    assert (result.status, result.error) == ("FAILED", "ChangeSetRefused")


def test_what_cannot_be_repeated_any_more_ends_in_words_and_a_free_cluster(
    provision: Provision,
) -> None:
    provision.interrupt("PlanStack", AwsUnavailable("throttled"), times=50)
    result = provision.run()
    assert (result.status, result.error) == ("FAILED", "AwsUnavailable")
    assert "throttled" in result.cause
    assert "REVIEW_IN_PROGRESS" in result.cause
    assert provision.world.table.locks == {}
