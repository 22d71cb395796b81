"""``GET /clusters/{name}/health``: the last check, and one made now."""

from __future__ import annotations

import json

import pytest
from lifecycle.operation.record import Execution

from tests.support.api import ARNS, ApiWorld
from tests.support.health import HealthWorld

ROUTE = "/clusters/{name}/health"


@pytest.fixture
def api() -> ApiWorld:
    return ApiWorld()


def test_the_last_check_is_told_with_the_text_for_people(api: ApiWorld) -> None:
    world = HealthWorld()
    world.simulated.exporting = "PAUSED"
    last = dict(world.check())
    del last["recorded"]
    api.health.documents = world.records.documents
    answer = api.ask("GET", ROUTE, name="demo")
    assert (answer.status, answer.document) == (200, last)
    assert answer.document["text"].startswith("demo is DEGRADED.\n- exporting is paused")
    assert api.checks.inputs == []


def test_a_fresh_one_is_made_by_the_machine(api: ApiWorld) -> None:
    report = HealthWorld().check()
    api.checks.result = Execution("arn:x", "SUCCEEDED", "", output=json.dumps(report))
    answer = api.ask("GET", ROUTE, name="demo", query={"fresh": "true"})
    assert (answer.status, answer.document["verdict"]) == (200, "HEALTHY")
    assert api.checks.inputs == [(ARNS.machine("check_health"), '{"clusterName": "demo"}')]


def test_a_cluster_that_was_never_checked(api: ApiWorld) -> None:
    answer = api.ask("GET", ROUTE, name="demo")
    assert (answer.status, answer.document["error"]) == (404, "HealthUnavailable")
    assert "?fresh=true" in answer.document["nextStep"]


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        ("FAILED", "ClusterNotFound", "ClusterNotFound"),
        ("FAILED", "AwsUnavailable", "HealthUnavailable"),
        ("TIMED_OUT", "", "HealthUnavailable"),
    ],
)
def test_a_check_that_cannot_end(api: ApiWorld, status: str, error: str, told: str) -> None:
    api.checks.result = Execution("arn:x", status, "", error=error)
    answer = api.ask("GET", ROUTE, name="demo", query={"fresh": "true"})
    assert (answer.status, answer.document["error"]) == (404, told)


def test_a_control_plane_without_the_machine(api: ApiWorld) -> None:
    answer = api.ask("GET", ROUTE, name="demo", query={"fresh": "true"})
    assert (answer.status, answer.document["error"]) == (501, "MachineNotDeployed")


@pytest.mark.parametrize(("name", "query"), [("Demo!", None), ("demo", {"fresh": "yes"})])
def test_what_is_wrong_is_named(api: ApiWorld, name: str, query: dict[str, str] | None) -> None:
    answer = api.ask("GET", ROUTE, name=name, query=query)
    assert (answer.status, answer.document["error"]) == (400, "InvalidRequest")
