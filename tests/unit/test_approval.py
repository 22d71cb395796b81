from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from lifecycle.errors import AwsUnavailable, InvalidRequest, SecondApproverRequired
from lifecycle.manage.request import reviewed_management
from lifecycle.operation.approval import OF_AWS, Reviewed, principal_of, why_refused
from lifecycle.operation.idempotency import canonical, digest
from lifecycle.operation.model import Operation
from lifecycle.operation.record import Execution
from lifecycle.restart.request import read_restart_request, reviewed_restart
from lifecycle.rotation.request import read_rotation_request, reviewed_rotation
from lifecycle.scaling.request import read_scale_request, reviewed_scaling
from lifecycle.teardown.decisions import read_teardown_request, reviewed_teardown

from tests.support.beginning import approver
from tests.support.world import World

ACCOUNT = "123456789012"
ANN, BOB = (f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in ("ann", "bob"))


def session(role: str, name: str) -> str:
    return f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}"


USER_OF_THE_CONSOLE = (
    "cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCd12345:CognitoSignIn:"
    "3b0d0f2e-1111-4c5b-8a7a-000000000001"
)
SSO = "AWSReservedSSO_Admin_0123456789abcdef"


@pytest.mark.parametrize(
    ("arn", "principal"),
    [
        (ANN, ANN),
        (f"arn:aws:iam::{ACCOUNT}:user/team/ann", f"arn:aws:iam::{ACCOUNT}:user/team/ann"),
        (f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:root"),
        (
            session("Operators", "one"),
            f"arn:aws:sts::{ACCOUNT}:assumed-role/Operators",
        ),
        (session(SSO, "ann@example.com"), session(SSO, "ann@example.com")),
        (
            session("MyAWSReservedSSO_Admin", "ann"),
            f"arn:aws:sts::{ACCOUNT}:assumed-role/MyAWSReservedSSO_Admin",
        ),
        # Every session of an identity pool has this name, of any user.
        (session("Operators", "CognitoIdentityCredentials"), ""),
        (session(SSO, "CognitoIdentityCredentials"), ""),
        (USER_OF_THE_CONSOLE, USER_OF_THE_CONSOLE),
        (f"{USER_OF_THE_CONSOLE}0", ""),
        # Whoever calls GetFederationToken chooses the name.
        (f"arn:aws:sts::{ACCOUNT}:federated-user/ann", ""),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/Operators", ""),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/Operators/", ""),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role//x", ""),
        (f"arn:aws:iam::{ACCOUNT}:user/", ""),
        (f"arn:aws:iam::{ACCOUNT}:role/Operators", ""),
        ("arn:aws:iam:::user/ann", ""),
        ("ann", ""),
        ("", ""),
    ],
)
def test_the_principal_behind_a_caller(arn: str, principal: str) -> None:
    assert principal_of(arn, ("AWSReservedSSO_*",)) == principal


def test_another_session_name_is_no_other_principal() -> None:
    ann, again = (principal_of(session("Operators", name), ()) for name in ("ann", "again"))
    assert "another principal" in why_refused(ann, again)


@pytest.mark.parametrize(
    ("author", "caller", "allowed"),
    [(ANN, BOB, True), (ANN, ANN, False), ("", BOB, False), (ANN, "", False), ("", "", False)],
)
def test_unknown_is_refused(author: str, caller: str, *, allowed: bool) -> None:
    assert (why_refused(author, caller) == "") is allowed


SCALE = reviewed_scaling("demo", 4, 0, "demo.plan.1")
PLANNED = {"clusterName": "demo", "scale": {"count": 4}}


def op(operation_id: str, cluster: str = "demo") -> Operation:
    machine = operation_id.split(".")[1]
    return Operation(operation_id, f"arn:{operation_id}", cluster, machine, "2026-01-01T00:00:00Z")


def reviewed_by(
    world: World,
    caller: str,
    request: Any = PLANNED,
    *,
    name: str = "demo.plan.1",
    status: str = "SUCCEEDED",
    cluster: str = "demo",
    given: str | None = None,
) -> None:
    """An operation that was started through the API for ``caller`` and has ended."""
    text = canonical(request)
    one = op(name, cluster)
    world.table.claim(one, caller=caller, request_hash=digest(text), now=world.clock.now())
    world.executions.executions[one.execution_arn] = Execution(
        one.execution_arn, status, one.started_at, input=given or text
    )


@pytest.fixture
def world() -> World:
    return World(two_people_for=frozenset({"scale", "teardown"}))


def ask(world: World, reviewed: Reviewed, caller: str = BOB, machine: str = "scale") -> None:
    approver(world).refuse_request(machine, reviewed, caller)


def test_what_another_principal_planned_is_started(world: World) -> None:
    reviewed_by(world, ANN)
    ask(world, SCALE)


@pytest.mark.parametrize(
    ("how", "reviewed", "caller", "named"),
    [
        ({"caller": BOB}, SCALE, BOB, "another principal must apply it"),
        ({"caller": ANN}, SCALE, "", "requests it is unknown"),
        ({"caller": ""}, SCALE, BOB, "made the plan is unknown"),
        ({"caller": ANN, "given": "{}"}, SCALE, BOB, "made the plan is unknown"),
        ({"caller": ANN}, replace(SCALE, operation_id=""), BOB, "the field approves is missing"),
        ({"caller": ANN}, replace(SCALE, operation_id="demo.plan.2"), BOB, "there is none"),
        ({"caller": ANN}, replace(SCALE, cluster="other"), BOB, "there is none"),
        (
            {"caller": ANN},
            reviewed_scaling("demo", 5, 0, "demo.plan.1"),
            BOB,
            "it planned another change",
        ),
        (
            {"caller": ANN},
            reviewed_scaling("demo", 0, 4, "demo.plan.1"),
            BOB,
            "it planned another change",
        ),
        ({"caller": ANN, "status": "FAILED"}, SCALE, BOB, "it is FAILED"),
        ({"caller": ANN, "status": "RUNNING"}, SCALE, BOB, "it is RUNNING"),
        (
            {"caller": ANN, "name": "demo.teardown.1"},
            replace(SCALE, operation_id="demo.teardown.1"),
            BOB,
            "there is none of the plan machine",
        ),
    ],
)
def test_what_is_no_review_of_it_is_refused(
    world: World, how: dict[str, Any], reviewed: Reviewed, caller: str, named: str
) -> None:
    reviewed_by(world, **how)
    with pytest.raises(SecondApproverRequired, match=named) as caught:
        ask(world, reviewed, caller)
    assert caught.value.next_step.startswith("Nothing was changed.")


def test_a_review_holds_for_a_day(world: World) -> None:
    reviewed_by(world, ANN)
    world.clock.pass_seconds(timedelta(days=1).total_seconds())
    ask(world, SCALE)
    world.clock.pass_seconds(1)
    with pytest.raises(SecondApproverRequired, match="over a day old"):
        ask(world, SCALE)


@pytest.mark.parametrize(
    "request_", [{"dryRun": True}, {"dryRun": True, "confirm": "demo"}, {"confirm": "demo"}]
)
def test_a_removal_is_reviewed_by_a_dry_run_of_it(world: World, request_: dict[str, Any]) -> None:
    reviewed_by(world, ANN, {"clusterName": "demo", **request_}, name="demo.teardown.1")
    reviewed = reviewed_teardown("demo", "demo.teardown.1")
    if "dryRun" in request_:
        ask(world, reviewed, machine="teardown")
    else:
        with pytest.raises(SecondApproverRequired, match="planned another change"):
            ask(world, reviewed, machine="teardown")


def opening(minutes: int | None, *cidrs: str, approves: str = "") -> Reviewed:
    found = reviewed_management("demo", "open-management", minutes, cidrs, approves)
    assert found is not None
    return found


REVIEWS = {
    "scale": (SCALE, "plan exactly this change"),
    "teardown": (reviewed_teardown("demo", ""), "make a dry run"),
    "restart": (reviewed_restart("demo", "brokers", None, ""), "make a dry run"),
    "rotate": (reviewed_rotation("demo", ["admin"], ""), "make a dry run"),
    "manage": (opening(60), "make a dry run"),
}


@pytest.mark.parametrize("machine", list(REVIEWS))
def test_a_refusal_names_how_it_is_reviewed(world: World, machine: str) -> None:
    world.two_people_for = frozenset(REVIEWS)
    reviewed, how = REVIEWS[machine]
    for named in ("", "demo.plan.9"):
        with pytest.raises(SecondApproverRequired) as caught:
            ask(world, replace(reviewed, operation_id=named), machine=machine)
        assert how in caught.value.next_step
        assert "in the field approves" in caught.value.next_step


@pytest.mark.parametrize(
    ("dry", "service", "broker", "same"),
    [
        ({"service": "brokers"}, "brokers", None, True),
        ({"service": "brokers", "broker": 2}, "brokers", 2, True),
        ({"service": "brokers", "broker": 2}, "brokers", 1, False),
        ({"service": "brokers", "broker": 2}, "brokers", None, False),
        ({"service": "connectors"}, "brokers", None, False),
    ],
)
def test_a_restart_is_reviewed_by_a_dry_run_of_it(
    world: World, dry: dict[str, Any], service: str, broker: int | None, *, same: bool
) -> None:
    world.two_people_for = frozenset({"restart"})
    name = "demo.restart.1"
    reviewed_by(world, ANN, {"clusterName": "demo", **dry, "dryRun": True}, name=name)
    reviewed = reviewed_restart("demo", service, broker, name)
    if same:
        ask(world, reviewed, machine="restart")
    else:
        with pytest.raises(SecondApproverRequired, match="planned another change"):
            ask(world, reviewed, machine="restart")


@pytest.mark.parametrize(
    ("dry", "accepted", "same"),
    [
        ({}, False, True),
        ({"acceptNoBackup": False}, False, True),
        ({"acceptNoBackup": True}, True, True),
        ({}, True, False),
        ({"acceptNoBackup": True}, False, False),
    ],
)
def test_a_restart_without_a_backup_is_reviewed_as_that(
    world: World, dry: dict[str, Any], *, accepted: bool, same: bool
) -> None:
    world.two_people_for = frozenset({"restart"})
    name, asked = "demo.restart.1", {"clusterName": "demo", "service": "brokers", "dryRun": True}
    reviewed_by(world, ANN, {**asked, **dry}, name=name)
    reviewed = reviewed_restart("demo", "brokers", None, name, accepted=accepted)
    if same:
        ask(world, reviewed, machine="restart")
    else:
        with pytest.raises(SecondApproverRequired, match="planned another change"):
            ask(world, reviewed, machine="restart")


@pytest.mark.parametrize(
    ("dry", "secrets", "same"),
    [
        ({}, ["admin", "database", "connectors"], True),
        ({"secrets": ["connectors", "admin"]}, ["admin", "connectors"], True),
        ({}, ["admin"], False),
        ({"secrets": ["admin"]}, ["admin", "database", "connectors"], False),
    ],
)
def test_a_rotation_is_reviewed_by_a_dry_run_of_it(
    world: World, dry: dict[str, Any], secrets: list[str], *, same: bool
) -> None:
    world.two_people_for = frozenset({"rotate"})
    name = "demo.rotate.1"
    reviewed_by(world, ANN, {"clusterName": "demo", **dry, "dryRun": True}, name=name)
    reviewed = reviewed_rotation("demo", secrets, name)
    if same:
        ask(world, reviewed, machine="rotate")
    else:
        with pytest.raises(SecondApproverRequired, match="planned another change"):
            ask(world, reviewed, machine="rotate")


@pytest.mark.parametrize(
    ("dry", "minutes", "cidrs", "same"),
    [
        ({}, 60, (), True),
        ({"minutes": 60}, None, (), True),
        ({"minutes": 30, "cidrs": ["10.1.0.0/16"]}, 30, ("10.1.0.0/16",), True),
        ({}, 61, (), False),
        ({"minutes": 30, "cidrs": ["10.1.0.0/16"]}, 30, (), False),
        ({"minutes": 30}, 30, ("10.1.0.0/16",), False),
    ],
)
def test_an_opening_is_reviewed_by_a_dry_run_of_it(
    world: World, dry: dict[str, Any], minutes: int | None, cidrs: tuple[str, ...], *, same: bool
) -> None:
    world.two_people_for = frozenset({"manage"})
    name, given = "demo.manage.1", {"clusterName": "demo", "action": "open-management", **dry}
    reviewed_by(world, ANN, {**given, "dryRun": True}, name=name)
    reviewed = opening(minutes, *cidrs, approves=name)
    if same:
        ask(world, reviewed, machine="manage")
    else:
        with pytest.raises(SecondApproverRequired, match="planned another change"):
            ask(world, reviewed, machine="manage")


def test_closing_needs_no_review() -> None:
    assert reviewed_management("demo", "close-management", None, (), "") is None


def test_without_the_rule_a_named_review_is_still_held_to(world: World) -> None:
    world.two_people_for = frozenset()
    ask(world, replace(SCALE, operation_id=""), caller="")
    with pytest.raises(SecondApproverRequired, match="there is none"):
        ask(world, SCALE)


class TestInTheMachine:
    def running(self, world: World, caller: str, given: str = "{}") -> Operation:
        one = op("demo.scale.1")
        if caller:
            world.table.claim(one, caller=caller, request_hash=digest("{}"), now=world.clock.now())
        world.executions.executions[one.execution_arn] = Execution(
            one.execution_arn, "RUNNING", one.started_at, input=given
        )
        return one

    def test_the_caller_that_the_api_recorded_decides(self, world: World) -> None:
        reviewed_by(world, ANN)
        approver(world).refuse_unreviewed(self.running(world, BOB), SCALE)

    @pytest.mark.parametrize(("caller", "given"), [("", "{}"), (BOB, '{"other": 1}')])
    def test_a_start_that_the_api_did_not_make_is_refused(
        self, world: World, caller: str, given: str
    ) -> None:
        reviewed_by(world, ANN)
        with pytest.raises(SecondApproverRequired, match="requests it is unknown") as caught:
            approver(world).refuse_unreviewed(self.running(world, caller, given), SCALE)
        assert "Start it through the API" in caught.value.next_step

    @pytest.mark.parametrize(
        ("given", "named", "refused"),
        [("{}", "restart", False), ('{"other": 1}', "restart", True), ("{}", "rotate", True)],
    )
    def test_a_restart_for_a_notice_of_aws_needs_no_review(
        self, world: World, given: str, named: str, *, refused: bool
    ) -> None:
        world.two_people_for = frozenset({"restart", "rotate"})
        one = op(f"demo.{named}.1")
        world.table.claim(one, caller=OF_AWS, request_hash=digest("{}"), now=world.clock.now())
        world.executions.executions[one.execution_arn] = Execution(
            one.execution_arn, "RUNNING", one.started_at, input=given
        )
        if not refused:
            approver(world).refuse_unreviewed(one, REVIEWS[named][0])
            return
        with pytest.raises(SecondApproverRequired):
            approver(world).refuse_unreviewed(one, REVIEWS[named][0])

    def test_an_execution_that_is_not_seen_yet_is_read_again(self, world: World) -> None:
        reviewed_by(world, ANN)
        one = self.running(world, BOB)
        del world.executions.executions[one.execution_arn]
        with pytest.raises(AwsUnavailable):
            approver(world).refuse_unreviewed(one, SCALE)


@pytest.mark.parametrize("given", ["", "a b", "x" * 81, 4, None, ["demo.plan.1"]])
def test_what_is_approved_is_an_operation_id(given: object) -> None:
    for read, request_ in (
        (read_scale_request, {"clusterName": "demo", "count": 4}),
        (read_teardown_request, {"clusterName": "demo", "confirm": "demo"}),
        (read_restart_request, {"clusterName": "demo", "service": "brokers"}),
        (read_rotation_request, {"clusterName": "demo"}),
    ):
        with pytest.raises(InvalidRequest, match="approves"):
            read({**request_, "approves": given})
        assert read({**request_, "approves": "demo.plan.1"}).approves == "demo.plan.1"


def test_a_dry_run_approves_nothing() -> None:
    for read, more in (
        (read_teardown_request, {}),
        (read_restart_request, {"service": "brokers"}),
        (read_rotation_request, {}),
    ):
        given = {"clusterName": "demo", "dryRun": True, **more}
        assert read(given).dry_run
        with pytest.raises(InvalidRequest, match="approves"):
            read({**given, "approves": "demo.plan.1"})
        with pytest.raises(InvalidRequest, match="dryRun"):
            read({**given, "dryRun": "yes"})
