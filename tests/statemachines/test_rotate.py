"""The rotate machine's real definition, on secrets, users and connectors in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.cluster.freeze import TAG_FROZEN
from lifecycle.errors import AwsUnavailable
from lifecycle.rotation.request import Secret

from tests.statemachines.engine import Control, run
from tests.support.failures import kill, once, redriven, stop, tamper
from tests.support.rolling import VERIFIED
from tests.support.rotation import ARNS, RotationWorld, rotate_functions

if TYPE_CHECKING:
    from datetime import datetime

    from tests.support.definitions import Function, Result

FUNCTIONS = tuple(rotate_functions(RotationWorld()))
EVERY = pytest.mark.parametrize("secret", list(Secret))


class Rotation:
    """The rotate machine on a running cluster in memory; every wait lets its time pass."""

    definition = "rotate"

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, connectors: int = 1) -> None:
        self.world = RotationWorld(connectors=connectors)
        self.monkeypatch = monkeypatch
        self.control = Control()
        self.began: dict[int, datetime] = {}
        self.verification: dict[str, Any] = dict(VERIFIED)
        self.functions = rotate_functions(self.world, lambda: self.verification)

    def reached(self) -> bool:
        """Whether every secret has another value, and the former one is refused."""
        return all(self.world.rotated(secret) for secret in Secret)

    def run(self, number: int = 1, **asked: Any) -> Result:
        # A redrive keeps the start of its execution.
        at = self.began.setdefault(number, self.world.clock.now())

        def started(name: str) -> Function:
            def called(event: dict[str, Any]) -> Any:
                if "operation" in event:
                    event["operation"]["startedAt"] = at.isoformat()
                self.world.look_at_connectors()
                try:
                    return self.functions[name](event)
                finally:
                    self.world.look_at_connectors()

            return called

        return run(
            "rotate",
            {name: started(name) for name in self.functions},
            {"clusterName": "demo", **asked},
            monkeypatch=self.monkeypatch,
            on_wait=self.world.pass_seconds,
            name=f"demo.rotate.{number}",
            control=self.control,
        )


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Rotation:
    return Rotation(monkeypatch)


def test_all_three_get_a_new_value_and_the_former_ones_are_refused(machine: Rotation) -> None:
    world = machine.world
    before = {secret: world.current(secret) for secret in Secret}
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert all(world.rotated(secret) for secret in Secret)
    assert {secret: world.former(secret) for secret in Secret} == before
    assert [one["secret"] for one in result.output["rotations"]] == [
        "admin",
        "database",
        "connectors",
    ]
    assert [one["step"] for one in result.output["timeline"]][:3] == [
        "Passwords are rotated",
        "Service is restarted",
        "Passwords are rotated",
    ]
    assert world.table.locks == {}


def test_a_dry_run_changes_nothing(machine: Rotation) -> None:
    result = machine.run(secrets=["admin"], dryRun=True)
    assert result.status == "SUCCEEDED", result.cause
    assert result.calls == ["ValidateRotation"]
    assert (result.output["dryRun"], result.output["secrets"]) == (True, ["admin"])
    assert [len(kept.values) for kept in machine.world.secrets.kept.values()] == [1, 1, 1]


def test_a_second_principal_is_required_where_the_rule_says_so(machine: Rotation) -> None:
    machine.world.two_people_for = frozenset({"rotate"})
    result = machine.run(secrets=["admin"])
    assert (result.status, result.error) == ("FAILED", "SecondApproverRequired")
    assert machine.world.table.locks == {}


def test_no_connector_ever_runs_with_a_refused_password(machine: Rotation) -> None:
    for number in (1, 2, 3):
        assert machine.run(number, secrets=["connectors"]).status == "SUCCEEDED"
        machine.world.pass_seconds(60)
    assert machine.world.refused == []
    assert machine.world.services.deployed == 1 + 3
    assert machine.world.current(Secret.CONNECTORS).username == "connectors-b"
    assert set(machine.world.users.users) == {"admin", "connectors", "connectors-b"}


def test_brokers_are_not_restarted(machine: Rotation) -> None:
    assert machine.run().status == "SUCCEEDED"
    assert machine.world.tasks.replaced == []
    assert machine.world.tasks.deployed == 1


@EVERY
def test_one_alone(machine: Rotation, secret: Secret) -> None:
    others = {one: machine.world.current(one) for one in Secret if one is not secret}
    assert machine.run(secrets=[str(secret)]).status == "SUCCEEDED"
    assert machine.world.rotated(secret)
    assert {one: machine.world.current(one) for one in others} == others


def test_the_next_user_may_do_what_the_present_one_may(machine: Rotation) -> None:
    users = machine.world.users
    users.known["groups"].add("workers")
    users.known["tenants"].add("north")
    users.users["connectors"].memberships["groups"].add("workers")
    users.users["connectors"].memberships["tenants"].add("north")
    assert machine.run(secrets=["connectors"]).status == "SUCCEEDED"
    assert (
        users.users["connectors-b"].memberships
        == users.users["connectors"].memberships
        == {"roles": {"connectors"}, "groups": {"workers"}, "tenants": {"north"}}
    )


def test_authorizations_of_the_user_itself_are_a_refusal(machine: Rotation) -> None:
    world = machine.world
    world.users.own["connectors"] = 2
    before = world.current(Secret.CONNECTORS)
    result = machine.run(secrets=["connectors"])
    assert result.error == "RotationRefused"
    assert "authorizations of a user itself: 2 of connectors" in result.cause
    assert world.current(Secret.CONNECTORS) == before
    assert world.secrets.pending(ARNS[Secret.CONNECTORS]) == ""
    assert world.table.locks == {}


def test_authorizations_of_the_next_user_itself_are_a_refusal(machine: Rotation) -> None:
    world = machine.world
    world.users.own["connectors-b"] = 1
    result = machine.run(secrets=["connectors"])
    assert result.error == "RotationRefused"
    assert "1 of connectors-b" in result.cause
    assert world.secrets.pending(ARNS[Secret.CONNECTORS]) == ""


def test_rights_that_were_taken_do_not_come_back_with_the_other_user(machine: Rotation) -> None:
    users = machine.world.users
    users.known["groups"] |= {"workers", "auditors"}
    users.known["roles"] |= {"reader", "writer"}
    first = users.users["connectors"].memberships
    first["groups"] |= {"workers"}
    first["roles"] |= {"writer"}
    assert machine.run(secrets=["connectors"]).status == "SUCCEEDED"
    second = users.users["connectors-b"].memberships
    assert second == {"roles": {"connectors", "writer"}, "groups": {"workers"}, "tenants": set()}
    second["groups"].clear()
    second["roles"].remove("writer")
    second["roles"].add("reader")
    machine.world.pass_seconds(60)
    assert machine.run(2, secrets=["connectors"]).status == "SUCCEEDED"
    assert machine.world.current(Secret.CONNECTORS).username == "connectors"
    assert first == {"roles": {"connectors", "reader"}, "groups": set(), "tenants": set()}


def test_what_a_group_brings_along_is_not_given_to_the_user(machine: Rotation) -> None:
    """Else it would stay when the group loses it."""
    users = machine.world.users
    users.known["groups"] |= {"workers"}
    users.known["roles"] |= {"writer"}
    users.brought["groups", "workers"] = {"roles": {"writer"}}
    users.users["connectors"].memberships["groups"].add("workers")
    assert machine.run(secrets=["connectors"]).status == "SUCCEEDED"
    second = users.users["connectors-b"].memberships
    assert second == {"roles": {"connectors"}, "groups": {"workers"}, "tenants": set()}


def test_rights_taken_while_the_new_user_is_in_use_already_stay_taken(machine: Rotation) -> None:
    """An interrupted rotation goes on after the move of AWSCURRENT."""
    world, real = machine.world, machine.functions["RestartService"]

    def stopped(_: dict[str, Any]) -> Any:
        machine.functions["RestartService"] = real
        raise ValueError("stopped here")

    machine.functions["RestartService"] = stopped
    assert machine.run(secrets=["connectors"]).status == "FAILED"
    assert world.current(Secret.CONNECTORS).username == "connectors-b"
    world.users.users["connectors-b"].memberships["roles"].clear()
    assert machine.run(2, secrets=["connectors"]).status == "SUCCEEDED"
    assert world.users.users["connectors-b"].memberships["roles"] == set()


def test_what_camunda_does_not_support_ends_it_at_once(machine: Rotation) -> None:
    world = machine.world
    world.users.unsupported = True
    before, began = world.current(Secret.CONNECTORS), world.clock.now()
    result = machine.run(secrets=["connectors"])
    assert (result.status, result.error) == ("FAILED", "RotationFailed")
    assert "HTTP 501" in result.cause
    assert world.secrets.pending(ARNS[Secret.CONNECTORS]) in result.cause
    assert (world.clock.now() - began).total_seconds() < 60
    assert world.current(Secret.CONNECTORS) == before
    world.users.unsupported = False
    assert machine.run(2, secrets=["connectors"]).status == "SUCCEEDED"


@pytest.mark.parametrize("looks", [1, 3])
def test_stages_from_before_a_change_are_waited_out(machine: Rotation, looks: int) -> None:
    """DescribeSecret is eventually consistent."""
    world = machine.world
    world.secrets.stale = looks
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert all(world.rotated(secret) for secret in Secret)
    assert [len(kept.values) for kept in world.secrets.kept.values()] == [2, 2, 2]
    assert world.refused == []


def test_stages_that_another_client_moved_end_it_after_minutes(machine: Rotation) -> None:
    world, real = machine.world, machine.functions["RotateSecrets"]
    stages = world.secrets.kept[ARNS[Secret.DATABASE]].stages

    def moved(event: dict[str, Any]) -> Any:
        answer = real(event)
        stages.pop("AWSPENDING", None)
        return answer

    machine.functions["RotateSecrets"] = moved
    result = machine.run(secrets=["database"])
    assert (result.status, result.error) == ("FAILED", "RotationFailed")
    assert "another client moved its stages" in result.cause


def test_without_connectors_nothing_is_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Rotation(monkeypatch, connectors=0)
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert machine.world.services.deployed == 1
    assert machine.world.rotated(Secret.CONNECTORS)


@pytest.mark.parametrize("function", ["BeginOperation", "RotateSecrets"])
@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0)])
def test_connectors_count_as_they_are_when_it_is_their_turn(
    monkeypatch: pytest.MonkeyPatch, function: str, before: int, after: int
) -> None:
    machine = Rotation(monkeypatch, connectors=before)
    world, real = machine.world, machine.functions[function]

    def changed(event: dict[str, Any]) -> Any:
        machine.functions[function] = real
        world.services.set_count("", "connectors", after)
        world.services.settle("connectors")
        return real(event)

    machine.functions[function] = changed
    result = machine.run(secrets=["connectors"])
    assert result.status == "SUCCEEDED", result.cause
    assert world.services.deployed == (2 if after else 1)
    assert world.rotated(Secret.CONNECTORS)
    assert world.refused == []


def test_a_revision_that_came_before_the_lock_was_held_is_refused(machine: Rotation) -> None:
    world, real = machine.world, machine.functions["BeginOperation"]

    def changed(event: dict[str, Any]) -> Any:
        world.task_secrets.names = frozenset()
        return real(event)

    machine.functions["BeginOperation"] = changed
    result = machine.run()
    assert (result.status, result.error) == ("FAILED", "RotationRefused")
    assert "fixed user name" in result.cause
    assert [len(kept.values) for kept in world.secrets.kept.values()] == [1, 1, 1]
    assert world.table.locks == {}


def test_a_former_connector_that_stops_slowly_is_waited_for(machine: Rotation) -> None:
    """ECS lists its deployment no more."""
    world = machine.world
    (task,) = world.services.living_tasks("", "connectors")
    slow, real, looks = replace(task, status="DEACTIVATING"), machine.functions["RestartService"], 0

    def lingering(event: dict[str, Any]) -> Any:
        nonlocal looks
        looks += 1
        if looks == 1:
            return real(event)
        former = [slow] if looks < 12 else []
        world.services.leaving["connectors"] = former
        (connectors,) = world.services.describe("", ["connectors"])
        assert len(connectors.deployments) == 1
        return real(event)

    machine.functions["RestartService"] = lingering
    assert machine.run(secrets=["connectors"]).status == "SUCCEEDED"
    assert looks >= 12
    assert world.refused == []


def deploy_before_promotion(machine: Rotation) -> None:
    """Deploy the connectors in the last moment with the former value."""
    world: Any = machine.world
    real = world.secrets.promote

    def promoted(*given: Any) -> None:
        world.secrets.promote = real
        world.services.update("", "connectors", {}, redeploy=True)
        world.services.settle("connectors")
        world.look_at_connectors()
        real(*given)

    world.secrets.promote = promoted


def test_a_deployment_from_before_the_move_of_the_stage_is_no_restart(machine: Rotation) -> None:
    """Its tasks log in as the former user, though it is younger than the operation."""
    deploy_before_promotion(machine)
    result = machine.run(secrets=["connectors"])
    assert result.status == "SUCCEEDED", result.cause
    assert machine.world.refused == []
    assert machine.world.services.deployed == 1 + 1 + 1
    assert machine.world.rotated(Secret.CONNECTORS)


def test_nor_is_one_that_was_made_while_the_operation_was_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class ConnectorsOnly(Rotation):
        def run(self, number: int = 1, **asked: Any) -> Result:
            return super().run(number, **{"secrets": ["connectors"], **asked})

    machine = ConnectorsOnly(monkeypatch)
    world: Any = machine.world
    services, real = world.services, world.secrets.promote

    def stopped(*_: Any) -> None:
        world.secrets.promote = real
        stop(machine)
        kill()

    world.secrets.promote = stopped
    watch = tamper(machine)
    assert once(machine, watch, 1).status == "ABORTED"
    assert world.current(Secret.CONNECTORS).username == "connectors"
    world.pass_seconds(600)
    services.update("", "connectors", {}, redeploy=True)
    world.pass_seconds(600)
    result = redriven(machine, watch)
    assert result.status == "SUCCEEDED", result.cause
    assert world.current(Secret.CONNECTORS).username == "connectors-b"
    assert world.refused == []
    assert world.services.deployed == 1 + 1 + 1
    assert watch.broken == []


def test_connectors_with_a_fixed_user_are_refused(machine: Rotation) -> None:
    machine.world.task_secrets.names = frozenset()
    result = machine.run()
    assert (result.status, result.error) == ("FAILED", "RotationRefused")
    assert "fixed user name" in result.cause
    assert result.calls == ["ValidateRotation"]
    assert machine.run(2, secrets=["admin", "database"]).status == "SUCCEEDED"


def test_a_wrong_field_changes_nothing(machine: Rotation) -> None:
    result = machine.run(secrets=["root"])
    assert (result.status, result.error) == ("FAILED", "InvalidRequest")
    assert "secrets: given" in result.cause
    assert result.calls == ["ValidateRotation"]


def test_a_frozen_cluster_is_refused(machine: Rotation) -> None:
    assert machine.world.stacks.stack is not None
    machine.world.stacks.stack.tags[TAG_FROZEN] = "year end"  # type: ignore[index]
    assert machine.run().error == "ClusterFrozen"


@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("function", ["RotateSecrets", "RestartService"])
def test_a_step_whose_answer_is_lost_makes_no_second_value(
    machine: Rotation, function: str, after: bool
) -> None:
    real, seen = machine.functions[function], 0

    def dying(event: dict[str, Any]) -> Any:
        nonlocal seen
        seen += 1
        if seen % 2 and not after:
            raise AwsUnavailable("before")
        answer = real(event)
        if seen % 2 and after:
            raise AwsUnavailable("after")
        return answer

    machine.functions[function] = dying
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert all(machine.world.rotated(secret) for secret in Secret)
    assert [len(kept.values) for kept in machine.world.secrets.kept.values()] == [2, 2, 2]
    assert machine.world.refused == []
    assert machine.world.services.deployed == 1 + 1


@EVERY
def test_a_value_that_is_pending_is_used(machine: Rotation, secret: Secret) -> None:
    username = {Secret.ADMIN: "admin", Secret.DATABASE: "camunda_admin"}.get(secret, "connectors-b")
    machine.world.secrets.create(ARNS[secret], username, "earlier")
    pending = machine.world.secrets.value(ARNS[secret], "AWSPENDING")
    result = machine.run(secrets=[str(secret)])
    assert result.status == "SUCCEEDED", result.cause
    assert machine.world.current(secret) == pending
    assert machine.world.rotated(secret)
    (done,) = result.output["rotations"]
    assert (done["version"], done["continued"]) == ("earlier", True)


@pytest.mark.parametrize(
    ("secret", "stage"),
    [*((one, "AWSPENDING") for one in Secret), (Secret.CONNECTORS, "AWSCURRENT")],
)
def test_a_version_that_names_another_user_is_refused(
    machine: Rotation, secret: Secret, stage: str
) -> None:
    """Who may write one secret does not become the user of another one."""
    world = machine.world
    before = {name: world.current(name) for name in Secret}
    world.secrets.create(ARNS[secret], "app" if secret is Secret.ADMIN else "admin", "planted")
    if stage == "AWSCURRENT":
        held = world.secrets.kept[ARNS[secret]].stages["AWSCURRENT"]
        world.secrets.promote(ARNS[secret], "planted", held)
        before[secret] = world.current(secret)
    result = machine.run(secrets=[str(secret)])
    assert (result.status, result.error) == ("FAILED", "RotationRefused")
    assert f"{stage} of secret {secret} names the user" in result.cause
    assert {name: world.current(name) for name in Secret} == before
    assert world.users.accepts(before[Secret.ADMIN])
    assert world.table.locks == {}


def test_a_former_value_that_stays_accepted_is_not_a_rotation(machine: Rotation) -> None:
    world = machine.world

    def accepted(login: Any) -> bool:
        return bool(login.username == "admin")

    world.users.accepts = accepted  # type: ignore[method-assign]
    result = machine.run(secrets=["admin"])
    assert (result.status, result.error) == ("FAILED", "FormerPasswordAccepted")
    assert "still accepts the former value" in result.cause
    assert world.table.locks == {}


def test_a_change_that_is_never_exported_ends_with_both_values(machine: Rotation) -> None:
    world = machine.world
    world.users.deaf = True
    before = world.current(Secret.ADMIN)
    result = machine.run(secrets=["admin"])
    assert (result.status, result.error) == ("FAILED", "RotationFailed")
    assert world.current(Secret.ADMIN) == before
    assert world.secrets.pending(ARNS[Secret.ADMIN])
    world.users.deaf = False
    again = machine.run(2, secrets=["admin"])
    assert again.status == "SUCCEEDED", again.cause
    assert len(world.secrets.kept[ARNS[Secret.ADMIN]].values) == 2


def named(machine: Rotation, text: str) -> bool:
    """Whether a text has the administrator's secret, its version, the stage and the request."""
    arn = ARNS[Secret.ADMIN]
    parts = (
        f"version {machine.world.secrets.pending(arn)} (AWSPENDING) of {arn}",
        '{"clusterName": "demo", "secrets": ["admin"]}',
    )
    return all(part in text for part in parts)


def test_an_end_between_the_change_and_the_move_of_the_stage_names_both(machine: Rotation) -> None:
    machine.world.users.deaf = True
    result = machine.run(secrets=["admin"])
    cause = json.loads(result.cause)
    assert named(machine, cause["cause"]), cause
    assert '{"clusterName": "demo", "secrets": ["admin"]}' in cause["nextStep"]


@pytest.mark.parametrize("error", [ValueError("a defect"), AwsUnavailable("throttled")])
def test_an_error_in_between_names_both_too(machine: Rotation, error: Exception) -> None:
    real, calls = machine.functions["RotateSecrets"], 0

    def failing(event: dict[str, Any]) -> Any:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise error
        return real(event)

    machine.functions["RotateSecrets"] = failing
    result = machine.run(secrets=["admin"])
    assert result.status == "FAILED"
    assert named(machine, json.loads(result.cause)["currentState"]), result.cause


def test_a_stop_in_between_names_both_in_the_report(machine: Rotation) -> None:
    watch = tamper(machine)
    real, calls = machine.functions["RotateSecrets"], 0

    def stopped(event: dict[str, Any]) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            stop(machine)
        return real(event)

    machine.functions["RotateSecrets"] = stopped
    result = once(machine, watch, 1)
    assert result.status == "ABORTED"
    stored = machine.world.artifacts.objects
    (report,) = (stored[key] for key in stored if key.endswith(".json"))
    assert named(machine, json.loads(report)["currentState"]), report


def test_another_secret_names_the_administrators_that_was_left(machine: Rotation) -> None:
    world = machine.world
    world.secrets.create(ARNS[Secret.ADMIN], "admin", "left")
    world.users.users["admin"].password = world.secrets.value(
        ARNS[Secret.ADMIN], "AWSPENDING"
    ).password
    result = machine.run(secrets=["connectors"])
    assert (result.status, result.error) == ("FAILED", "CredentialsRefused")
    cause = json.loads(result.cause)
    assert f"{ARNS[Secret.ADMIN]} (AWSCURRENT)" in cause["cause"]
    assert "version left (AWSPENDING)" in cause["cause"]
    assert '{"clusterName": "demo", "secrets": ["admin"]}' in cause["nextStep"]
    assert machine.run(2).status == "SUCCEEDED"


def test_brokers_that_do_not_answer_are_waited_for_and_then_named(machine: Rotation) -> None:
    machine.world.users.running = False
    result = machine.run(secrets=["admin"])
    assert result.error == "RotationFailed"
    assert "No broker could answer" in result.cause


def test_a_secret_that_aws_rotates_is_left_to_it(machine: Rotation) -> None:
    machine.world.secrets.kept[ARNS[Secret.DATABASE]].rotated = True
    result = machine.run(secrets=["database"])
    assert result.error == "RotationRefused"
    assert len(machine.world.secrets.kept[ARNS[Secret.DATABASE]].values) == 1


def test_no_value_is_in_any_state(machine: Rotation) -> None:
    seen: list[str] = []
    real = dict(machine.functions)

    def noted(name: str) -> Function:
        def called(event: dict[str, Any]) -> Any:
            answer = real[name](event)
            seen.append(json.dumps([event, answer]))
            return answer

        return called

    machine.functions = {name: noted(name) for name in real}
    result = machine.run()
    assert result.status == "SUCCEEDED"
    text = "".join([*seen, json.dumps(result.output)])
    for kept in machine.world.secrets.kept.values():
        assert not [one for one in kept.values.values() if one.password in text]
    reports = machine.world.artifacts
    assert "password-number" not in text + repr(reports.__dict__)


def test_a_failed_check_fails_it(machine: Rotation) -> None:
    machine.verification = {**VERIFIED, "result": "FAIL", "failure": "gRPC: nothing answered"}
    result = machine.run(secrets=["admin"])
    assert (result.status, result.error) == ("FAILED", "VerificationFailed")
