"""The console's files in their bucket, and the answers that CloudFormation gets."""

from __future__ import annotations

import contextlib
import email.message
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from lifecycle.adapters.aws import website
from lifecycle.adapters.aws.custom_resources import ResponseUrls
from lifecycle.adapters.aws.website import S3Website
from lifecycle.console.files import read_files
from lifecycle.console.publish import PROPERTIES, Publisher
from lifecycle.errors import AwsRefused, AwsUnavailable
from lifecycle.observability import of_aws
from moto import mock_aws

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

REGION = "eu-central-1"
BUCKET, OTHER = "control-console-1a2b", "control-console-3c4d"
URL = "https://cloudformation-custom-resource-response.example/answer?X-Amz-Signature=abc"
GIVEN = {
    "ServiceToken": "arn:aws:lambda:eu-central-1:123456789012:function:f",
    "ServiceTimeout": "300",
    "Bucket": BUCKET,
    "Bundle": "arn:aws:lambda:eu-central-1:123456789012:layer:console:1",
    "ApiHost": "a1b2.execute-api.eu-central-1.amazonaws.com",
    "ApiBase": "/v1",
    "SignInDomain": "https://camunda-console-x.auth.eu-central-1.amazoncognito.com",
    "ClientId": "client",
    "UserPoolId": "eu-central-1_AbCd",
    "IdentityPoolId": "eu-central-1:5a1d",
}
FILES = {
    "index.html": b"<!doctype html>",
    "app.js": b"export {}",
    "console.css": b":root {}",
    "vendor/lit-html.js": b"export {}",
    "vendor/record.unheard-of": b"\x00",
}


class Answers:
    """CloudFormation's end: what was answered, by URL."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, str]]] = []

    def respond(self, url: str, answer: Mapping[str, str]) -> None:
        self.sent.append((url, dict(answer)))


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    with mock_aws():
        one = boto3.client("s3", REGION)
        for bucket in (BUCKET, OTHER):
            one.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
            )
        monkeypatch.setattr(website, "client", lambda _: one)
        yield one


class Untouched:
    """A website of which a request that is refused neither reads nor writes anything."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


def publisher(
    files: Mapping[str, bytes] | None = None, answers: Any = None, site: Any = None
) -> Publisher:
    return Publisher(
        website=site or S3Website(),
        resources=answers or Answers(),
        files=lambda: FILES if files is None else files,
        release="1.2.3",
        region=REGION,
        translate=of_aws,
    )


def request(kind: str = "Create", physical_id: str = "", **changed: Any) -> dict[str, Any]:
    properties = {**GIVEN, **changed}
    found = {
        "RequestType": kind,
        "ResponseURL": URL,
        "StackId": "arn:stack",
        "RequestId": "r-1",
        "LogicalResourceId": "Files",
        "ResourceType": "Custom::ConsoleFiles",
        "ResourceProperties": {key: one for key, one in properties.items() if one is not None},
    }
    return {**found, "PhysicalResourceId": physical_id} if physical_id else found


def keys(s3: Any, bucket: str = BUCKET) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", ())]


def test_all_files_and_the_configuration_are_published(s3: Any) -> None:
    answer = publisher().handle(request())
    assert answer == {
        "Status": "SUCCESS",
        "Reason": "6 files published, 0 removed",
        "PhysicalResourceId": f"console:{BUCKET}",
        "StackId": "arn:stack",
        "RequestId": "r-1",
        "LogicalResourceId": "Files",
    }
    assert set(keys(s3)) == {*FILES, "config.json"}
    found = {
        key: (one["Body"].read(), one["ContentType"], one["CacheControl"])
        for key in keys(s3)
        if (one := s3.get_object(Bucket=BUCKET, Key=key))
    }
    assert found["index.html"] == (b"<!doctype html>", "text/html; charset=utf-8", "no-cache")
    assert found["app.js"][1:] == ("text/javascript; charset=utf-8", "no-cache")
    assert found["vendor/lit-html.js"][1:] == ("text/javascript; charset=utf-8", "no-cache")
    assert found["console.css"][1] == "text/css; charset=utf-8"
    assert found["vendor/record.unheard-of"][1] == "application/octet-stream"
    body, kind, cached = found["config.json"]
    assert (kind, cached) == ("application/json", "no-store")
    assert json.loads(body) == {
        "release": "1.2.3",
        "region": REGION,
        "api": {"host": GIVEN["ApiHost"], "base": "/v1"},
        "signIn": {
            "kind": "cognito",
            "domain": GIVEN["SignInDomain"],
            "clientId": "client",
            "userPoolId": "eu-central-1_AbCd",
            "identityPoolId": "eu-central-1:5a1d",
        },
    }


def test_what_loads_other_files_is_written_last(monkeypatch: pytest.MonkeyPatch, s3: Any) -> None:
    written: list[str] = []
    own = S3Website.put

    def put(self: S3Website, bucket: str, file: Any) -> None:
        written.append(file.key)
        own(self, bucket, file)

    monkeypatch.setattr(S3Website, "put", put)
    publisher().handle(request())
    assert written[-2:] == ["config.json", "index.html"]
    assert "index.html" in keys(s3)


def test_a_new_release_replaces_and_removes(s3: Any) -> None:
    publisher().handle(request())
    less = {"index.html": b"<!doctype html><p>", "app.js": b"export {}"}
    answer = publisher(less).handle(request("Update", f"console:{BUCKET}"))
    assert answer["Reason"] == "3 files published, 3 removed"
    assert answer["PhysicalResourceId"] == f"console:{BUCKET}"
    assert set(keys(s3)) == {*less, "config.json"}
    page = s3.get_object(Bucket=BUCKET, Key="index.html")["Body"].read()
    assert page == b"<!doctype html><p>"


def test_a_configuration_among_the_files_is_not_the_one_of_this_control_plane(s3: Any) -> None:
    publisher({**FILES, "config.json": b'{"signIn": {"kind": "local"}}'}).handle(request())
    body = json.loads(s3.get_object(Bucket=BUCKET, Key="config.json")["Body"].read())
    assert body["signIn"]["kind"] == "cognito"


def test_another_bucket_is_another_resource_and_the_former_one_is_emptied(s3: Any) -> None:
    publisher().handle(request())
    moved = publisher().handle(request("Update", f"console:{BUCKET}", Bucket=OTHER))
    assert moved["PhysicalResourceId"] == f"console:{OTHER}"
    # CloudFormation then deletes the former one.
    publisher().handle(request("Delete", f"console:{BUCKET}"))
    assert keys(s3) == []
    assert "index.html" in keys(s3, OTHER)


def test_the_bucket_is_empty_after_a_deletion_and_can_be_deleted(s3: Any) -> None:
    publisher().handle(request())
    answer = publisher().handle(request("Delete", f"console:{BUCKET}"))
    assert (answer["Status"], answer["Reason"]) == ("SUCCESS", "6 files removed")
    s3.delete_bucket(Bucket=BUCKET)
    again = publisher().handle(request("Delete", f"console:{BUCKET}"))
    assert again["Status"] == "SUCCESS"


@pytest.mark.parametrize("there", ["not-published", "2026/11/30/[$LATEST]0f3a"])
def test_the_deletion_of_what_was_never_published_removes_nothing(s3: Any, there: str) -> None:
    s3.put_object(Bucket=BUCKET, Key="another", Body=b"")
    answer = publisher().handle(request("Delete", there))
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", there)
    assert keys(s3) == ["another"]


@pytest.mark.parametrize("missing", PROPERTIES)
def test_a_missing_property_is_named_and_nothing_is_written(missing: str) -> None:
    for value in (None, "", ["x"]):
        changed: dict[str, Any] = {missing: value}
        answer = publisher(site=Untouched()).handle(request("Create", **changed))
        assert answer["Status"] == "FAILED"
        assert answer["Reason"].startswith(f"{missing} is ")
        assert answer["PhysicalResourceId"]


def test_a_release_without_the_page_is_not_published(s3: Any) -> None:
    publisher().handle(request())
    answer = publisher({"app.js": b""}).handle(request("Update", f"console:{BUCKET}"))
    assert answer["Status"] == "FAILED"
    assert "index.html" in answer["Reason"]
    assert set(keys(s3)) == {*FILES, "config.json"}


@pytest.mark.parametrize("kind", ["Replace", "", None])
def test_an_unknown_request_is_refused(kind: Any) -> None:
    answer = publisher(site=Untouched()).handle({**request(), "RequestType": kind})
    assert answer["Status"] == "FAILED"
    assert "Create, Update, Delete" in answer["Reason"]


def test_what_aws_refuses_is_answered_with_its_words(s3: Any) -> None:
    s3.delete_bucket(Bucket=BUCKET)
    answers = Answers()
    publisher(answers=answers).handle(request())
    ((url, answer),) = answers.sent
    assert url == URL
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("AwsRefused: ")
    assert "NoSuchBucket" in answer["Reason"]
    assert URL not in json.dumps(answer)


def test_an_unknown_error_is_answered_by_its_class_only() -> None:
    def broken() -> Mapping[str, bytes]:
        raise RuntimeError("with details " * 500)

    one = Publisher(Untouched(), Answers(), broken, "1", REGION, of_aws)
    answer = one.handle(request())
    assert (answer["Status"], answer["Reason"]) == (
        "FAILED",
        "RuntimeError; the function's log has the details.",
    )


def test_an_answer_is_never_longer_than_cloudformation_reads() -> None:
    answer = publisher(site=Untouched()).handle(request("Create", "", **dict.fromkeys(PROPERTIES)))
    assert answer["Status"] == "FAILED"
    assert len(json.dumps(answer)) < 4096


def test_objects_that_s3_keeps_fail_the_deletion(monkeypatch: pytest.MonkeyPatch, s3: Any) -> None:
    publisher().handle(request())
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DeleteObject")

    def refused(**_: Any) -> None:
        raise denied

    monkeypatch.setattr(s3, "delete_object", refused)
    answer = publisher().handle(request("Delete", f"console:{BUCKET}"))
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("AwsRefused: An error occurred (AccessDenied)")


def test_if_no_answer_arrives_lambda_tries_again(s3: Any) -> None:
    class Unreachable:
        def respond(self, _: str, __: Mapping[str, str]) -> None:
            raise AwsUnavailable("no")

    with pytest.raises(AwsUnavailable):
        publisher(answers=Unreachable()).handle(request())
    assert "index.html" in keys(s3)


def test_files_are_read_by_their_paths(tmp_path: Path) -> None:
    for name in ("index.html", "vendor/a.js", "python/lifecycle/x.py", ".DS_Store", "a/.git/x"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    assert read_files(tmp_path) == {"index.html": b"index.html", "vendor/a.js": b"vendor/a.js"}


class Opened:
    """Stands for urllib: keeps the request, and answers or fails."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.requests: list[urllib.request.Request] = []

    def __call__(self, request: urllib.request.Request, timeout: float) -> Any:
        assert 0 < timeout <= 20
        self.requests.append(request)
        if self.failure:
            raise self.failure
        return contextlib.nullcontext()


def test_an_answer_is_put_without_a_content_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL is signed for an empty one, and urllib would add that of a form."""
    opened = Opened()
    monkeypatch.setattr("urllib.request.urlopen", opened)
    ResponseUrls().respond(URL, {"Status": "SUCCESS"})
    (sent,) = opened.requests
    assert (sent.full_url, sent.get_method()) == (URL, "PUT")
    assert sent.headers == {"Content-type": ""}
    assert isinstance(sent.data, bytes)
    assert json.loads(sent.data) == {"Status": "SUCCESS"}


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (urllib.error.HTTPError(URL, 403, URL, email.message.Message(), None), "HTTP 403"),
        (urllib.error.URLError(TimeoutError(URL)), "TimeoutError"),
        (TimeoutError(URL), "TimeoutError"),
        (ValueError(URL), "ValueError"),
    ],
)
def test_no_error_of_an_answer_has_its_url(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, words: str
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", Opened(failure))
    with pytest.raises(AwsUnavailable) as raised:
        ResponseUrls().respond(URL, {})
    assert raised.value.message == f"CloudFormation did not take the answer: {words}."
    assert URL not in str(raised.value)
    assert raised.value.__context__ is None


def test_an_answer_goes_to_the_web_only() -> None:
    with pytest.raises(AwsRefused) as wrong:
        ResponseUrls().respond("file:///etc/secret", {})
    assert "secret" not in str(wrong.value)
