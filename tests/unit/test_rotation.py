"""Rotation of a secret: what is decided from what is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lifecycle.errors import (
    ClusterFrozen,
    ClusterNotFound,
    CredentialsRefused,
    InvalidRequest,
    RotationRefused,
    StackNotUsable,
)
from lifecycle.rotation.decisions import (
    RotationAction,
    RotationObserved,
    Version,
    decide_rotation,
    next_user,
)
from lifecycle.rotation.request import OUTPUTS, Secret, read_rotation_request
from lifecycle.rotation.validate_rotation import validate_rotation

from tests.support.rotation import ARNS, RotationWorld
from tests.support.world import CONTROL, operation

GOOD, BAD = True, False
NOW, NEXT, BEFORE = "now", "next", "before"


def seen(secret: Secret = Secret.ADMIN, **given: Any) -> RotationObserved:
    restarted = secret is not Secret.CONNECTORS
    return RotationObserved(
        secret, **{"current": Version(NOW, GOOD), "restarted": restarted, **given}
    )


def pending(*, accepted: bool) -> Version:
    return Version(NEXT, accepted)


def former(*, accepted: bool) -> Version:
    return Version(BEFORE, accepted)


EVERY = pytest.mark.parametrize("secret", list(Secret))


@EVERY
def test_a_new_value_is_made_where_nothing_is_left_of_an_earlier_rotation(secret: Secret) -> None:
    for observed in (seen(secret), seen(secret, previous=former(accepted=BAD))):
        decision = decide_rotation(observed)
        assert (decision.action, decision.target) == (RotationAction.CREATE, "")


@EVERY
def test_a_pending_value_is_continued_and_no_other_is_made(secret: Secret) -> None:
    decision = decide_rotation(seen(secret, pending=pending(accepted=BAD)))
    assert (decision.action, decision.target) == (RotationAction.APPLY, NEXT)
    decision = decide_rotation(seen(secret, pending=pending(accepted=GOOD)))
    assert (decision.action, decision.target) == (RotationAction.PROMOTE, NEXT)


@pytest.mark.parametrize("secret", [Secret.ADMIN, Secret.DATABASE])
def test_the_former_value_that_is_the_only_one_accepted_gives_way_to_the_present(
    secret: Secret,
) -> None:
    """Somebody put the former one back, or applying was interrupted after the stages moved."""
    observed = seen(secret, current=Version(NOW, BAD), previous=former(accepted=GOOD))
    decision = decide_rotation(observed)
    assert (decision.action, decision.target) == (RotationAction.APPLY, NOW)


def test_the_present_value_has_to_be_accepted_before_another_is_made() -> None:
    for secret in Secret:
        with pytest.raises(RotationRefused, match=r"AWSCURRENT"):
            decide_rotation(seen(secret, current=Version(NOW, BAD)))


@pytest.mark.parametrize("secret", [Secret.ADMIN, Secret.DATABASE])
def test_without_a_value_that_is_accepted_nothing_can_be_changed(secret: Secret) -> None:
    observed = seen(secret, current=Version(NOW, BAD), pending=pending(accepted=BAD))
    with pytest.raises(RotationRefused, match="accepts no value"):
        decide_rotation(observed)
    # Between the export of a change and the next login.
    waits = decide_rotation(replace(observed, target=NEXT, applied=True))
    assert waits.action is RotationAction.WAIT


def test_the_connectors_users_are_changed_by_the_administrator() -> None:
    observed = seen(
        Secret.CONNECTORS, current=Version(NOW, BAD), pending=pending(accepted=BAD), target=NEXT
    )
    assert decide_rotation(observed).action is RotationAction.APPLY


def test_a_value_is_applied_once_and_then_waited_for() -> None:
    observed = seen(pending=pending(accepted=BAD), target=NEXT, applied=True)
    decision = decide_rotation(observed)
    assert decision.action is RotationAction.WAIT
    assert not decision.in_use


def test_the_next_user_gets_what_it_lacks_before_it_is_used() -> None:
    observed = seen(
        Secret.CONNECTORS,
        pending=pending(accepted=GOOD),
        target=NEXT,
        lacking=("roles connectors", "groups workers"),
    )
    decision = decide_rotation(observed)
    assert decision.action is RotationAction.ALIGN
    assert "gets what it lacks: roles connectors, groups workers" in decision.reason
    assert decide_rotation(replace(observed, lacking=())).action is RotationAction.PROMOTE


def test_the_next_user_loses_what_the_present_one_does_not_have() -> None:
    observed = seen(
        Secret.CONNECTORS,
        pending=pending(accepted=GOOD),
        target=NEXT,
        surplus=("roles admin",),
    )
    decision = decide_rotation(observed)
    assert decision.action is RotationAction.ALIGN
    assert "loses what the present one does not have: roles admin" in decision.reason
    assert decide_rotation(replace(observed, surplus=())).action is RotationAction.PROMOTE


def test_the_next_user_is_not_used_while_the_rights_of_the_present_one_are_unknown() -> None:
    observed = seen(
        Secret.CONNECTORS,
        current=Version(NOW, BAD),
        pending=pending(accepted=GOOD),
        target=NEXT,
    )
    with pytest.raises(RotationRefused, match="memberships of the present user"):
        decide_rotation(observed)


def test_connectors_are_replaced_before_their_former_user_loses_its_password() -> None:
    observed = seen(Secret.CONNECTORS, previous=former(accepted=GOOD), target=NOW, restarted=False)
    assert decide_rotation(observed).action is RotationAction.RESTART
    observed = replace(observed, restarted=True)
    assert decide_rotation(observed).action is RotationAction.RETIRE
    waits = decide_rotation(replace(observed, retired=True))
    assert (waits.action, waits.in_use) == (RotationAction.WAIT, True)


def test_a_rotation_that_stopped_before_the_connectors_were_replaced_goes_on_there() -> None:
    observed = seen(Secret.CONNECTORS, previous=former(accepted=GOOD))
    decision = decide_rotation(observed)
    assert (decision.action, decision.target) == (RotationAction.RESTART, NOW)


@EVERY
def test_it_is_done_when_the_former_value_is_refused(secret: Secret) -> None:
    observed = seen(secret, previous=former(accepted=BAD), target=NOW, restarted=True)
    assert decide_rotation(observed).action is RotationAction.DONE
    waits = replace(observed, previous=former(accepted=GOOD), retired=True)
    assert decide_rotation(waits).action is RotationAction.WAIT


@EVERY
def test_a_version_that_no_stage_shows_is_waited_for_and_named(secret: Secret) -> None:
    decision = decide_rotation(seen(secret, target="elsewhere"))
    assert decision.action is RotationAction.WAIT
    assert "version elsewhere neither as AWSPENDING nor as AWSCURRENT" in decision.reason
    assert not decision.in_use


def test_authorizations_of_one_of_the_connectors_users_itself_are_a_refusal() -> None:
    with pytest.raises(RotationRefused, match=r"of a user itself: 2 of connectors\."):
        decide_rotation(seen(Secret.CONNECTORS, own=("2 of connectors",)))
    # What is pending was begun when there was none; it is not used while there is one.
    observed = seen(Secret.CONNECTORS, own=("1 of connectors-b",), pending=pending(accepted=BAD))
    assert decide_rotation(observed).action is RotationAction.APPLY
    with pytest.raises(RotationRefused, match=r"1 of connectors-b"):
        decide_rotation(replace(observed, pending=pending(accepted=GOOD)))


def test_two_users_take_turns() -> None:
    assert next_user("connectors") == "connectors-b"
    assert next_user("connectors-b") == "connectors"
    assert next_user(next_user("worker-b")) == "worker-b"


# --- the request -------------------------------------------------------------------------------


def test_without_secrets_all_are_rotated_in_one_order() -> None:
    everything = (Secret.ADMIN, Secret.DATABASE, Secret.CONNECTORS)
    assert read_rotation_request({"clusterName": "demo"}).secrets == everything
    given = {"clusterName": "demo", "secrets": ["connectors", "admin"]}
    assert read_rotation_request(given).secrets == (Secret.ADMIN, Secret.CONNECTORS)


@pytest.mark.parametrize(
    "secrets",
    [[], ["root"], ["admin", "admin"], "admin", {"admin": 1}, None, [1], [["admin"]], ["Admin"]],
)
def test_a_selection_that_is_none_is_named(secrets: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_rotation_request({"clusterName": "demo", "secrets": secrets})
    assert [one["field"] for one in refused.value.problems] == ["secrets"]


def test_every_wrong_field_is_named() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_rotation_request({"clusterName": "-", "secrets": [], "force": True})
    fields = {one["field"] for one in refused.value.problems}
    assert fields == {"clusterName", "secrets", "force"}
    with pytest.raises(InvalidRequest):
        read_rotation_request(["demo"])


@pytest.fixture
def world() -> RotationWorld:
    return RotationWorld()


def validated(world: RotationWorld, name: str = "demo") -> dict[str, Any]:
    return validate_rotation(
        {"clusterName": name},
        control_stack=CONTROL,
        stacks=world.stacks,  # type: ignore[arg-type]
    )


def test_a_cluster_that_is_not_there_or_not_ours_to_change_is_refused(world: RotationWorld) -> None:
    assert validated(world)["secrets"] == ["admin", "database", "connectors"]
    with pytest.raises(ClusterNotFound):
        validated(world, "other")
    stack = world.stacks.stack
    assert stack is not None
    world.stacks.stack = replace(stack, status="UPDATE_IN_PROGRESS")
    with pytest.raises(StackNotUsable, match="UPDATE_IN_PROGRESS"):
        validated(world)
    world.stacks.stack = replace(stack, tags={**stack.tags, "camunda:frozen": "year end"})
    with pytest.raises(ClusterFrozen):
        validated(world)
    world.stacks.stack = stack
    world.declare(Adopted="true")
    with pytest.raises(StackNotUsable):
        validated(world)


@pytest.mark.parametrize(
    ("secrets", "named"),
    [(None, "admin, connectors"), (["admin"], "admin"), (["connectors", "database"], "connectors")],
)
def test_users_that_an_identity_provider_replaced_are_refused(
    world: RotationWorld, secrets: list[str] | None, named: str
) -> None:
    world.declare(Authentication="oidc")
    request = {"clusterName": "demo", **({} if secrets is None else {"secrets": secrets})}
    given: Any = {"control_stack": CONTROL, "stacks": world.stacks}
    with pytest.raises(RotationRefused, match=f"secrets names {named}; .*only database") as refused:
        validate_rotation(request, **given)
    for output in ("OidcConnectorsSecretArn", "OidcClientSecretArn", "OidcHealthSecretArn"):
        assert output in refused.value.next_step
    database = validate_rotation({"clusterName": "demo", "secrets": ["database"]}, **given)
    assert database["secrets"] == ["database"]
    world.declare(Authentication="basic")
    validate_rotation(request, **given)


def test_a_stack_without_the_secret_is_refused(world: RotationWorld) -> None:
    world.declare(**{OUTPUTS[Secret.CONNECTORS]: ""})
    with pytest.raises(StackNotUsable, match="ConnectorsUserSecretArn"):
        validated(world)


# --- the operation -----------------------------------------------------------------------------


def test_an_administrator_that_is_refused_ends_it_with_its_cause(world: RotationWorld) -> None:
    """The secret of the administrator is not that of Camunda any more."""
    world.users.users["admin"].password = world.users.users["admin"].shown = "changed by hand"
    world.table.begin(operation(1), now=world.clock.now())
    with pytest.raises(CredentialsRefused, match=ARNS[Secret.ADMIN]):
        world.rotator.rotate(operation(1), world.outputs, secrets=["connectors"], memory={})
    assert world.secrets.pending(ARNS[Secret.CONNECTORS]) == ""


def test_a_former_value_that_equals_the_present_one_is_no_former_one(world: RotationWorld) -> None:
    kept = world.secrets.kept[ARNS[Secret.DATABASE]]
    kept.values["again"] = kept.values["first"]
    kept.stages |= {"AWSCURRENT": "again", "AWSPREVIOUS": "first"}
    world.table.begin(operation(1), now=world.clock.now())
    answer = world.rotator.rotate(operation(1), world.outputs, secrets=["database"], memory={})
    assert answer["status"] == "WAITING"
    assert world.secrets.pending(ARNS[Secret.DATABASE])
