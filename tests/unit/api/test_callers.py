"""Who calls the API: a user or role by ARN, a user of the console by user pool and ``sub``."""

from __future__ import annotations

from typing import Any

import pytest
from lifecycle.api.callers import caller_of
from lifecycle.operation.approval import principal_of, why_refused

from tests.support.api import ApiWorld, living
from tests.support.world import CONTROL

ACCOUNT = "123456789012"
POOL = "cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCd12345"
ADA, BOB = "3b0d0f2e-1111-4c5b-8a7a-000000000001", "3b0d0f2e-1111-4c5b-8a7a-000000000002"
ANYONE = ("*",)


def arn(role: str) -> str:
    return f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/CognitoIdentityCredentials"


def signed_in(sub: str, group: str = "planner", **other: Any) -> dict[str, Any]:
    """What API Gateway passes on of a request signed with credentials of an identity pool."""
    return {
        "userArn": arn(f"{CONTROL}_console_{group}"),
        "cognitoAuthenticationType": "authenticated",
        "cognitoAuthenticationProvider": f"{POOL},{POOL}:CognitoSignIn:{sub}",
        "cognitoIdentityId": "eu-central-1:5a1d0000-0000-4000-8000-000000000000",
        **other,
    }


def principal(identity: dict[str, Any], personal: tuple[str, ...] = ANYONE) -> str:
    return principal_of(caller_of(identity, CONTROL), personal)


def test_a_user_of_the_console_is_recorded_by_pool_and_sub() -> None:
    assert caller_of(signed_in(ADA), CONTROL) == f"{POOL}:CognitoSignIn:{ADA}"


def test_two_users_of_the_console_are_two_principals() -> None:
    ada, bob = principal(signed_in(ADA)), principal(signed_in(BOB))
    assert ada
    assert why_refused(ada, bob) == ""


@pytest.mark.parametrize("group", ["viewer", "operator", "administrator"])
def test_one_user_in_several_groups_is_one_principal(group: str) -> None:
    """A user in two groups may choose the role, so that the role identifies no user."""
    first, second = principal(signed_in(ADA)), principal(signed_in(ADA, group))
    assert "another principal" in why_refused(first, second)


def test_a_new_identity_of_the_pool_is_no_other_principal() -> None:
    """``UnlinkIdentity`` needs no credentials, and the next sign-in gets a new identity id."""
    again = signed_in(ADA, cognitoIdentityId="eu-central-1:5a1d0000-0000-4000-8000-00000000000f")
    assert "another principal" in why_refused(principal(signed_in(ADA)), principal(again))


@pytest.mark.parametrize(
    "identity",
    [
        signed_in(ADA, userArn=arn("Mine_planner")),
        signed_in(ADA, userArn=arn(f"{CONTROL}-2_console_planner")),
        signed_in(ADA, userArn=arn(f"{CONTROL}_console_planner_2")),
        signed_in(ADA, cognitoAuthenticationProvider=None),
        signed_in(ADA, cognitoAuthenticationProvider=POOL),
        signed_in(ADA, cognitoAuthenticationProvider=f"{POOL},{POOL}:CognitoSignIn:"),
        signed_in(ADA, cognitoAuthenticationProvider=f"{POOL}x,{POOL}:CognitoSignIn:{ADA}"),
        signed_in(ADA, cognitoAuthenticationProvider=f"graph.facebook.com:CognitoSignIn:{ADA}"),
        signed_in(ADA, cognitoAuthenticationType="unauthenticated"),
        {"userArn": arn(f"{CONTROL}_console_planner")},
    ],
)
def test_another_session_of_an_identity_pool_is_no_principal(
    identity: dict[str, Any],
) -> None:
    """Its session name is the same for all users, even where all names count as personal."""
    assert caller_of(identity, CONTROL) == identity["userArn"]
    assert principal(identity) == ""
    assert principal(identity, ()) == ""
    assert "unknown" in why_refused(principal(signed_in(BOB)), principal(identity))


@pytest.mark.parametrize(
    "given",
    [f"arn:aws:iam::{ACCOUNT}:user/ada", f"arn:aws:sts::{ACCOUNT}:assumed-role/Operators/one"],
)
def test_another_caller_is_its_arn(given: str) -> None:
    assert caller_of({"userArn": given, "cognitoAuthenticationProvider": None}, CONTROL) == given
    # Only credentials of an identity pool have a session of this name.
    spoofed = {"userArn": given, "cognitoAuthenticationProvider": f"{POOL},{POOL}:CognitoSignIn:x"}
    assert caller_of(spoofed, CONTROL) == given


def test_without_an_identity_the_caller_is_unknown() -> None:
    assert caller_of({}, CONTROL) == ""


def test_what_a_user_of_the_console_starts_names_that_user() -> None:
    api = ApiWorld(identity=signed_in(ADA, "operator"))
    living(api)
    answer = api.ask("PUT", "/clusters/{name}/brokers", {"count": 4}, name="demo")
    assert answer.status == 202
    assert answer.document["startedBy"] == f"{POOL}:CognitoSignIn:{ADA}"
