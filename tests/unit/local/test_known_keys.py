"""The rule for keys, held to signatures as botocore makes them; nothing is served here."""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.aws.emulator import iam_evaluator, responses, sts
from local.aws.strict import Strictness, known_keys
from local.component import Instance
from local.config import ACCOUNT_ID, REGION, LocalConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SESSION = Credentials("ASIASESSION", "secret", "token")
ACCESS_KEY_ID, SECRET_ACCESS_KEY = "AKIAROOT", "of root"
URL = "https://dynamodb.eu-central-1.amazonaws.com/"


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The rule, for one test: what it replaces is put back afterwards."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
    for table, names in (
        (
            "ministack.core.iam_evaluator",
            ("is_root_access_key", "_is_root_key", "resolve_caller_identity"),
        ),
        ("ministack.services.sts", ("_evict_expired_sessions",)),
    ):
        module = importlib.import_module(table)
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(importlib.import_module("ministack.services.sts"), "_sessions", {})
    known_keys.install(Strictness(Instance.of(LocalConfig(tmp_path))))
    with responses.request_scope(ACCOUNT_ID, REGION):
        yield


def opened(access_key: str, seconds: float) -> None:
    sts.register_session(
        access_key,
        {
            "Arn": f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/role/session",
            "AccountId": ACCOUNT_ID,
            "PrincipalType": "AssumedRole",
            "SecretAccessKey": SESSION.secret_key,
            "SessionToken": SESSION.token,
            "Expiration": time.time() + seconds,
        },
    )


def answer(credentials: Credentials) -> Any:
    """What the emulator makes of a request that botocore signed."""
    request = AWSRequest("POST", URL, {"Content-Type": "application/x-amz-json-1.0"}, data=b"{}")
    SigV4Auth(credentials, "dynamodb", REGION).add_auth(request)
    headers = [(name.encode(), value.encode()) for name, value in request.headers.items()]
    headers.append((b"host", b"dynamodb.eu-central-1.amazonaws.com"))
    iam_evaluator.pin_signed_request("POST", "/", {}, headers)
    iam_evaluator.pin_signed_body(b"{}")
    found = iam_evaluator.authenticate(credentials.access_key, ACCOUNT_ID)
    return found.code if isinstance(found, iam_evaluator.AuthError) else found.principal_type


def test_a_session_is_known_until_it_is_over_and_is_told_as_expired_then() -> None:
    opened(SESSION.access_key, seconds=60)
    assert answer(SESSION) == "AssumedRole"
    opened(SESSION.access_key, seconds=-1)
    # Another session that is opened takes nothing from that.
    opened("ASIAOTHER", seconds=60)
    assert answer(SESSION) == "ExpiredTokenException"


def test_a_session_without_its_token_is_not_known() -> None:
    opened(SESSION.access_key, seconds=60)
    without = Credentials(SESSION.access_key, SESSION.secret_key)
    assert answer(without) == "UnrecognizedClientException"


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        (Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), "Root"),
        (Credentials(ACCESS_KEY_ID, "wrong"), "SignatureDoesNotMatch"),
        (Credentials(ACCOUNT_ID, SECRET_ACCESS_KEY), "UnrecognizedClientException"),
    ],
)
def test_root_is_who_signs_with_its_own_key_and_secret(
    credentials: Credentials, expected: str
) -> None:
    assert answer(credentials) == expected


def test_who_called_is_told_for_root_too() -> None:
    told = iam_evaluator.resolve_caller_identity(ACCESS_KEY_ID)
    assert told["userArn"] == f"arn:aws:iam::{ACCOUNT_ID}:root"
    assert iam_evaluator.resolve_caller_identity(ACCOUNT_ID) is None
