"""Links to the report of an operation and its page."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from lifecycle.adapters.aws import session
from lifecycle.adapters.aws.s3 import S3Artifacts
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.stack import Stack
from lifecycle.operation.record import Stored
from lifecycle.operation.report_links import LASTS

from tests.support.api import ApiWorld
from tests.support.world import CONTROL, OUTPUTS
from tests.unit.api.test_cancel_and_resume import ECS_CLUSTER, ID, scaling

if TYPE_CHECKING:
    from lifecycle.operation.model import Operation

REPORT = "/operations/{id}/report"
KEY = f"operations/demo/scale/{ID}.json"


@pytest.fixture
def api() -> ApiWorld:
    api = ApiWorld()
    api.world.stacks.stacks[ECS_CLUSTER] = Stack(
        ECS_CLUSTER,
        "arn:stack/demo",
        "CREATE_COMPLETE",
        outputs=ClusterOutputs(OUTPUTS),
        tags={"camunda:control-plane": CONTROL, "camunda:cluster": "demo"},
    )
    return api


def ended(api: ApiWorld) -> Operation:
    operation = scaling(api)
    api.world.journal.step(operation, "Tasks start", "3 of 4 tasks run")
    api.world.finisher.succeed(operation, request={"count": 4}, outcome={})
    api.finish(ID)
    return operation


def test_report_and_page_are_linked_for_minutes_in_the_recorded_version(api: ApiWorld) -> None:
    operation = ended(api)
    record = api.world.table.find(ID, "scale")
    assert record is not None
    # What is written later under the same key is not what the record names.
    api.world.artifacts.put(record.report.key, b"{}", "application/json")
    answer = api.ask("GET", REPORT, id=operation.operation_id)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    told = answer.document
    assert told["operationId"] == ID
    assert f"/{KEY}?versionId={record.report.version}&X-Amz-Expires=300" in told["reportUrl"]
    assert f"/{KEY.removesuffix('json')}html?versionId=" in told["pageUrl"]
    assert timedelta(minutes=15) >= LASTS


def test_links_are_nowhere_but_in_the_response(api: ApiWorld) -> None:
    ended(api)
    urls = api.ask("GET", REPORT, id=ID).document
    objects = [one.decode() for one in api.world.artifacts.objects.values()]
    kept = str([api.world.table.records, objects])
    assert "X-Amz-Expires" not in kept
    assert urls["pageUrl"] not in json.dumps(api.ask("GET", "/operations/{id}", id=ID).document)


def test_the_page_holds_who_started_it_and_what_was_waited_for(api: ApiWorld) -> None:
    ended(api)
    report = json.loads(api.world.artifacts.objects[KEY])
    assert report["startedBy"] == "arn:aws:iam::123456789012:user/ada"
    assert report["timeline"][0]["waits"][0]["detail"] == "3 of 4 tasks run"
    page = api.world.artifacts.objects[report["pageKey"]].decode()
    assert "arn:aws:iam::123456789012:user/ada" in page
    assert "3 of 4 tasks run" in page


def test_an_operation_that_runs_has_no_report_yet(api: ApiWorld) -> None:
    scaling(api)
    answer = api.ask("GET", REPORT, id=ID)
    assert (answer.status, answer.document["error"]) == (404, "ReportNotFound")
    assert "RUNNING" in answer.document["detail"]


def test_a_report_without_a_page_is_linked_without_one(api: ApiWorld) -> None:
    operation = ended(api)
    body = b'{"written": "by an earlier release"}'
    stored = api.world.artifacts.put(KEY, body, "application/json")
    now = api.world.clock.now()
    api.world.table.end(operation, result="SUCCEEDED", report=stored, now=now)
    assert api.ask("GET", REPORT, id=ID).document["pageUrl"] is None


def test_a_report_that_is_not_the_recorded_one_is_not_linked(api: ApiWorld) -> None:
    operation = ended(api)
    stored = api.world.artifacts.put(KEY, b"{}", "application/json")
    other = Stored(stored.key, stored.version, "0" * 64)
    api.world.table.end(operation, result="SUCCEEDED", report=other, now=api.world.clock.now())
    assert api.ask("GET", REPORT, id=ID).status == 404


def test_unknown_operations_are_not_found(api: ApiWorld) -> None:
    answer = api.ask("GET", REPORT, id="demo.scale.never")
    assert (answer.status, answer.document["error"]) == (404, "OperationNotFound")


def test_a_plan_is_read_elsewhere(api: ApiWorld) -> None:
    api.ask("POST", "/clusters/{name}/plans", {"scale": {"count": 4}}, key="p", name="demo")
    answer = api.ask("GET", REPORT, id="demo.plan.p")
    assert answer.status == 404
    assert answer.document["nextStep"] == "Read the plan: GET /plans/demo.plan.p."


def test_links_are_signed_with_version_4_for_the_buckets_region(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    session.client.cache_clear()
    try:
        url = S3Artifacts("artifacts", "eu-central-1").link(
            Stored("operations/demo/x y.html", "v1"), timedelta(minutes=5)
        )
    finally:
        session.client.cache_clear()
    there = "https://artifacts.s3.eu-central-1.amazonaws.com/operations/demo/x%20y.html?"
    assert url.startswith(there)
    for part in (
        "versionId=v1",
        "response-cache-control=private%2C%20no-store",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256",
        "X-Amz-Expires=300",
    ):
        assert part in url
