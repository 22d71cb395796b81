from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from lifecycle.cluster.names import change_set_name
from lifecycle.cluster.stack import ResourceChange
from lifecycle.errors import AwsUnavailable
from lifecycle.plans.read import as_text
from lifecycle.preflight.checks import Quota
from lifecycle.settings import Settings

from tests.statemachines.engine import Control, run
from tests.statemachines.test_provision import NEXT_MINOR, Provision
from tests.support.declared import in_clear
from tests.support.definitions import Function, Result, load_handler
from tests.support.failures import Killed
from tests.support.login import KEYCLOAK, RESOLVED
from tests.support.world import CONTROL, REGISTRIES, TEMPLATE, World

STACK = "control-demo"


ISSUER_ANSWER = {
    "provider": {
        "issuer": RESOLVED["OidcIssuer"],
        "tokenEndpoint": RESOLVED["OidcTokenUrl"],
        "authorizationEndpoint": f"{RESOLVED['OidcIssuer']}/protocol/openid-connect/auth",
        "endSession": f"{RESOLVED['OidcIssuer']}/protocol/openid-connect/logout",
        "grants": ["authorization_code", "client_credentials"],
        "claims": ["preferred_username", "client_id"],
        "keys": 1,
        "keysProblem": "",
        "algorithms": ["RS256"],
    },
    "token": {
        "signed": True,
        "issuer": RESOLVED["OidcIssuer"],
        "algorithm": "RS256",
        "client": RESOLVED["OidcHealthClientId"],
        "hasUsername": True,
        "audiences": [RESOLVED["OidcClientId"]],
        "seconds": 300,
    },
}


class Plan:
    """The plan machine on the provision machine's world in memory."""

    def __init__(self, provision: Provision, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = provision.world
        self.monkeypatch = monkeypatch
        self.functions = self._functions(self.world)

    def _functions(self, world: World) -> dict[str, Function]:
        settings = Settings(
            control_stack=CONTROL,
            region="eu-central-1",
            table_name="table",
            artifact_bucket="artifacts",
            deployment_role_arn="arn:role",
            cluster_template="/opt/cluster.json",
        )
        known: dict[str, Any] = {
            "settings": lambda: settings,
            "cluster_template": lambda: TEMPLATE,
            "planner": lambda: world.planner,
        }
        return {
            "ValidateRequest": load_handler(
                "validate_request",
                cluster_parameters=in_clear,
                registries=lambda: REGISTRIES,
                settings=lambda: settings,
                stacks=lambda: world.stacks,
                probe=lambda: world.probe,
            ),
            "PreflightCluster": load_handler(
                "preflight_cluster", preflight=lambda: world.preflight
            ),
            "CreatePlan": load_handler("create_plan", **known),
            "RenderPlan": load_handler("render_plan", **known),
            "FailPlan": load_handler("fail_plan", planner=lambda: world.planner),
            "PlanScale": lambda _: pytest.fail("scaling was not asked for"),
            "PlanTeardown": load_handler(
                "plan_teardown", teardown_plan_writer=lambda: world.teardown_plan_writer
            ),
        }

    def run(self, number: int = 1, **provision: Any) -> Result:
        return self.run_input({"clusterName": "demo", "provision": provision}, number)

    def run_input(self, given: Any, number: int = 1, control: Control | None = None) -> Result:
        return run(
            "plan",
            self.functions,
            given,
            monkeypatch=self.monkeypatch,
            on_wait=self.world.clock.pass_seconds,
            name=f"demo.plan.{number}",
            control=control,
        )


@pytest.fixture
def provision(monkeypatch: pytest.MonkeyPatch) -> Provision:
    return Provision(monkeypatch)


@pytest.fixture
def plan(provision: Provision, monkeypatch: pytest.MonkeyPatch) -> Plan:
    return Plan(provision, monkeypatch)


def test_a_plan_is_made_told_and_kept_ready(plan: Plan) -> None:
    result = plan.run(parameters={"Brokers": 3})
    assert result.status == "SUCCEEDED", result.cause
    assert result.output["operationId"] == "demo.plan.1"
    assert result.output["plan"]["status"] == "READY"
    assert result.output["plan"]["counts"]["add"] == 6
    assert len(json.dumps(result.output)) < 32 * 1024
    assert plan.world.stacks.stacks[STACK].status == "REVIEW_IN_PROGRESS"
    assert plan.world.table.locks == {}


def test_what_was_planned_is_what_is_applied(plan: Plan, provision: Provision) -> None:
    planned = plan.run(parameters={"Brokers": 5}).output["plan"]
    result = provision.run(planned["apply"])
    assert result.status == "SUCCEEDED", result.cause
    world = plan.world
    assert world.stacks.change_sets[planned["changeSet"]].status == "EXECUTED"
    stack = world.stacks.stacks[STACK]
    assert stack.parameters["Brokers"] == "5"
    settled = [cs.name for cs in world.stacks.change_sets.values() if cs.status == "EXECUTED"]
    assert settled == [change_set_name("demo.plan.1", "plan")]
    assert world.desired["orchestration-cluster"] == 3


def test_an_update_is_planned_applied_and_touches_no_count(
    plan: Plan, provision: Provision
) -> None:
    provision.run()
    plan.world.services.set_count("control-demo", "orchestration-cluster", 5)
    plan.world.bring_up()
    planned = plan.run(parameters={"LogRetentionDays": 90}).output["plan"]
    assert planned["kind"] == "update"
    result = provision.run(planned["apply"], number=2)
    assert result.status == "SUCCEEDED", result.cause
    assert plan.world.desired["orchestration-cluster"] == 5
    assert plan.world.stacks.stacks[STACK].parameters["LogRetentionDays"] == "90"


def test_a_cluster_goes_to_an_identity_provider_by_a_plan_and_never_back(
    plan: Plan, provision: Provision
) -> None:
    provision.run()
    world = plan.world
    role = ResourceChange(
        "Modify", "OrchestrationExecutionRole", "AWS::IAM::Role", "False", properties=("Policies",)
    )
    world.stacks.changed_by = {"Authentication": [role], "Connectors": [role]}
    world.probe.answers["issuer"] = ISSUER_ANSWER

    def parameters() -> dict[str, str]:
        return dict(world.stacks.stacks[STACK].parameters)

    before = parameters()
    at_once = provision.run({"clusterName": "demo", "parameters": KEYCLOAK}, number=2)
    assert (at_once.status, at_once.error) == ("FAILED", "PreflightFailed")
    assert "Create a plan" in at_once.cause
    assert parameters() == before

    planned = plan.run(parameters=KEYCLOAK).output["plan"]
    assert parameters() == before
    stored = json.loads(world.artifacts.objects[planned["planKey"]])
    assert any("no way back" in one for one in stored["warnings"])
    assert KEYCLOAK["OidcIssuer"] in world.artifacts.objects[planned["textKey"]].decode()
    applied = provision.run(planned["apply"], number=3)
    assert applied.status == "SUCCEEDED", applied.cause
    assert {name: parameters()[name] for name in RESOLVED} == RESOLVED

    later = provision.run({"clusterName": "demo", "parameters": {"Connectors": 2}}, number=4)
    assert later.status == "SUCCEEDED", later.cause
    assert parameters() == {**before, **RESOLVED, "Connectors": "2"}
    back = provision.run(
        {"clusterName": "demo", "parameters": {"Authentication": "basic"}}, number=5
    )
    assert (back.status, back.error) == ("FAILED", "InvalidRequest")
    assert parameters()["Authentication"] == "oidc"


def test_a_teardown_is_planned_with_all_that_goes_and_stays(
    plan: Plan, provision: Provision
) -> None:
    provision.run()
    before = plan.world.stacks.stacks[STACK]
    result = plan.run_input({"clusterName": "demo", "teardown": {}}, number=7)
    assert result.status == "SUCCEEDED", result.cause
    outline = result.output["plan"]
    assert (outline["kind"], outline["status"]) == ("teardown", "READY")
    assert outline["apply"] == {"clusterName": "demo", "confirm": "demo"}
    record = plan.world.table.find("demo.plan.7", "plan")
    assert record is not None
    assert (record.result, record.report.key) == ("SUCCEEDED", outline["planKey"])
    stored = json.loads(plan.world.artifacts.objects[outline["planKey"]])
    assert len(stored["kept"]) == outline["kept"]
    assert as_text(stored).startswith("Plan demo.plan.7\n")
    assert "resources are deleted" in as_text(stored)
    assert plan.world.stacks.stacks[STACK] == before
    assert plan.world.table.locks == {}


def test_of_no_cluster_there_is_no_plan_of_a_teardown(plan: Plan) -> None:
    result = plan.run_input({"clusterName": "demo", "teardown": {}}, number=7)
    assert (result.status, result.error) == ("FAILED", "ClusterNotFound")


def test_named_data_is_replaced_by_exactly_this_execution(plan: Plan, provision: Provision) -> None:
    provision.run()
    strict = plan.world.stacks.policies[STACK]
    planned = plan.run(parameters={"DatabaseName": "other"}, replace=["Database"]).output["plan"]
    policies: list[str] = []
    real = provision.functions["ExecuteChangeSet"]

    def execute(event: dict[str, Any]) -> Any:
        answer = real(event)
        policies.append(plan.world.stacks.policies[STACK])
        return answer

    provision.functions["ExecuteChangeSet"] = execute
    assert provision.run(planned["apply"], number=2).status == "SUCCEEDED"
    assert "LogicalResourceId/Database" in policies[0]
    assert plan.world.stacks.policies[STACK] == strict


@pytest.mark.parametrize(
    ("spoil", "error", "named"),
    [
        (lambda w: w.clock.pass_seconds(24 * 3600 + 1), "PlanStale", "could be applied until"),
        (
            lambda w: w.services.set_count("control-demo", "connectors", 2),
            "PlanStale",
            "connectors: planned at 1, now 2",
        ),
        (lambda w: w.stacks.change_sets.clear(), "PlanNotFound", "There is no change set"),
        (lambda w: w.artifacts.versions.clear(), "PlanNotFound", "has stored no plan"),
    ],
)
def test_a_plan_that_no_longer_holds_changes_nothing(
    plan: Plan, provision: Provision, spoil: Any, error: str, named: str
) -> None:
    provision.run()
    planned = plan.run(parameters={"LogRetentionDays": 90}).output["plan"]
    before = plan.world.stacks.stacks[STACK]
    spoil(plan.world)
    result = provision.run(planned["apply"], number=2)
    assert (result.status, result.error) == ("FAILED", error)
    assert named in result.cause
    assert "Stack control-demo is in CREATE_COMPLETE" in json.loads(result.cause)["currentState"]
    assert plan.world.stacks.stacks[STACK] == before
    assert plan.world.table.locks == {}


def test_applying_it_again_after_a_failed_start_continues(plan: Plan, provision: Provision) -> None:
    planned = plan.run(parameters={}).output["plan"]
    starting = provision.functions["StartServices"]

    def broken(event: dict[str, Any]) -> Any:
        raise ValueError("a bug")

    provision.functions["StartServices"] = broken
    assert provision.run(planned["apply"]).error == "ValueError"
    provision.functions["StartServices"] = starting
    result = provision.run(planned["apply"], number=2)
    assert result.status == "SUCCEEDED", result.cause
    assert "ExecuteChangeSet" not in result.states


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"clusterName": "demo"}, "(input)"),
        ({"clusterName": "Demo", "provision": {}}, "clusterName"),
    ],
)
def test_a_wrong_request_ends_at_once(plan: Plan, given: Any, field: str) -> None:
    result = plan.run_input(given)
    assert (result.status, result.error) == ("FAILED", "InvalidRequest")
    assert field in result.cause
    assert result.calls == ["ValidateRequest"]


def test_a_failed_preflight_names_every_failed_check(plan: Plan, provision: Provision) -> None:
    plan.world.account.found = replace(
        plan.world.account.found, vcpu=Quota(6, 0), class_offered=False
    )
    for result in (plan.run(parameters={}), provision.run()):
        assert (result.status, result.error) == ("FAILED", "PreflightFailed")
        assert "Fargate vCPU: 14 needed" in result.cause
        assert "database instance class" in result.cause
    assert plan.world.stacks.stacks == {}
    assert plan.world.schedules.schedules == {}


@pytest.mark.parametrize("dies", [False, True])
def test_what_cloudformation_refuses_is_told_and_removed(plan: Plan, dies: bool) -> None:
    plan.world.stacks.refuses = "No export named control-VpcId"
    real, left = plan.functions["FailPlan"], [Killed("Runtime exited")] * dies

    def dying(event: dict[str, Any]) -> Any:
        answer = real(event)
        if left:
            raise left.pop()
        return answer

    plan.functions["FailPlan"] = dying
    result = plan.run(parameters={})
    assert (result.status, result.error) == ("FAILED", "ChangeSetRefused")
    assert "No export named control-VpcId" in result.cause
    assert "Nothing was changed." in result.cause
    assert plan.world.stacks.change_sets == {}
    name = change_set_name("demo.plan.1", "plan")
    assert b"REFUSED" in plan.world.artifacts.objects[f"plans/demo/{name}.txt"]


@pytest.mark.parametrize("function", ["PreflightCluster", "CreatePlan", "RenderPlan"])
def test_a_function_that_dies_after_its_side_effect_is_repeated_harmlessly(
    plan: Plan, function: str
) -> None:
    real = plan.functions[function]
    left = [AwsUnavailable("the answer was lost")]

    def dying(event: dict[str, Any]) -> Any:
        answer = real(event)
        if left:
            raise left.pop()
        return answer

    plan.functions[function] = dying
    result = plan.run(parameters={})
    assert result.status == "SUCCEEDED", result.cause
    assert len(plan.world.stacks.change_sets) == 1
    assert len(plan.world.schedules.schedules) == 1


def test_a_plan_of_nothing_is_told_again_when_its_answer_was_lost(
    provision: Provision, plan: Plan
) -> None:
    provision.run()
    real = plan.functions["RenderPlan"]
    left = [AwsUnavailable("the answer was lost")]

    def dying(event: dict[str, Any]) -> Any:
        answer = real(event)
        if left:
            raise left.pop()
        return answer

    plan.functions["RenderPlan"] = dying
    result = plan.run(parameters={})
    assert result.status == "SUCCEEDED", result.cause
    assert (result.output["plan"]["status"], result.output["plan"]["apply"]) == ("UNCHANGED", None)


def test_a_long_wait_for_cloudformation_is_polled(plan: Plan) -> None:
    real = plan.functions["RenderPlan"]
    pending = [True] * 5

    def slow(event: dict[str, Any]) -> Any:
        if pending:
            pending.pop()
            return {"status": "PENDING", "wait": 7}
        return real(event)

    plan.functions["RenderPlan"] = slow
    result = plan.run(parameters={})
    assert result.status == "SUCCEEDED", result.cause
    assert result.waited == [5, 7, 7, 7, 7, 7]


def test_a_plan_of_another_minor_tells_that_a_way_back_is_missing_and_is_checked_again(
    provision: Provision, plan: Plan
) -> None:
    provision.run()
    provision.world.probe.answers["backup"] = {"state": "", "at": None, "problem": ""}
    # Of the stack in memory, this is a parameter that changes a resource.
    images = {**NEXT_MINOR["parameters"], "LogRetentionDays": 90}
    result = plan.run(parameters=images)
    assert result.status == "SUCCEEDED", result.cause
    stored = json.loads(provision.world.artifacts.objects[result.output["plan"]["planKey"]])
    (check,) = [one for one in stored["preflight"]["checks"] if one["name"] == "way back"]
    assert check["result"] == "PASS"
    assert "what is missing is taken before the first change" in check["seen"]
    assert any("no way back from 8.10.0 to 8.9.22" in one for one in stored["warnings"])
    apply = result.output["plan"]["apply"]
    provision.world.probe.answers["backup"] = {"state": "", "at": None, "problem": "no answer"}
    assert provision.run(apply, number=2).error == "PreflightFailed"
    options = {"acceptNoWayBack": True, "verifyWithProcessInstances": False}
    applied = provision.run({**apply, **options}, number=3)
    assert applied.status == "SUCCEEDED", applied.cause
    assert "skipped, not checked" in str(applied.output["verification"])
