"""The rotate machine's real definition, on secrets, users and connectors in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.cluster.freeze import TAG_FROZEN
from lifecycle.errors import AwsUnavailable
from lifecycle.rotation.request import Secret

from tests.statemachines.engine import Control, run
from tests.support.rolling import VERIFIED
from tests.support.rotation import ARNS, RotationWorld, rotate_functions

if TYPE_CHECKING:
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
        self.verification: dict[str, Any] = dict(VERIFIED)
        self.functions = rotate_functions(self.world, lambda: self.verification)

    def run(self, number: int = 1, **asked: Any) -> Result:
        at = self.world.clock.now()

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
    assert "2 authorizations of its own" in result.cause
    assert world.current(Secret.CONNECTORS) == before
    assert world.secrets.pending(ARNS[Secret.CONNECTORS]) == ""
    assert world.table.locks == {}


def test_without_connectors_nothing_is_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Rotation(monkeypatch, connectors=0)
    result = machine.run()
    assert result.status == "SUCCEEDED", result.cause
    assert "RestartService" not in result.calls
    assert machine.world.rotated(Secret.CONNECTORS)


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
