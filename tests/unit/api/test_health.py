"""``GET /clusters/{name}/health``: the last check, and one made now."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from lifecycle.cluster.slots import SLOT_SECONDS
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
    api.world.clock.at = world.clock.at + timedelta(seconds=70)
    answer = api.ask("GET", ROUTE, name="demo")
    assert (answer.status, answer.document) == (200, {**last, "fresh": False, "ageSeconds": 70})
    assert answer.document["text"].startswith("demo is DEGRADED.\n- exporting is paused")
    assert api.checks.inputs == []


def test_a_fresh_one_is_made_by_the_machine(api: ApiWorld) -> None:
    report = HealthWorld().check()
    api.checks.result = Execution("arn:x", "SUCCEEDED", "", output=json.dumps(report))
    answer = api.ask("GET", ROUTE, name="demo", query={"fresh": "true"})
    assert (answer.status, answer.document["verdict"]) == (200, "HEALTHY")
    assert (answer.document["fresh"], answer.document["ageSeconds"]) == (True, 0)
    assert api.slots.taken == {}
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


def checked(api: ApiWorld, seconds: float) -> None:
    """Let there be a check that was made so long ago."""
    world = HealthWorld()
    world.check()
    api.health.documents = world.records.documents
    api.world.clock.at = world.clock.at + timedelta(seconds=seconds)


def fresh(api: ApiWorld, name: str = "demo") -> Any:
    return api.ask("GET", ROUTE, name=name, query={"fresh": "true"})


def test_a_check_that_is_young_answers_for_a_fresh_one_and_shows_its_age(api: ApiWorld) -> None:
    checked(api, 29)
    answer = fresh(api)
    assert (answer.status, answer.document["fresh"], answer.document["ageSeconds"]) == (
        200,
        False,
        29,
    )
    assert api.checks.inputs == [], "no machine was started"
    checked(api, 30)
    assert fresh(api).status == 501, "the machine is started, and is not there"


def test_callers_run_a_few_checks_at_once_and_no_more(api: ApiWorld) -> None:
    """However many requests come at once, and for whatever names."""
    running: list[int] = []
    refused: list[Any] = []

    def run(_machine: str, text: str) -> Execution:
        running.append(len(api.slots.taken))
        if len(running) < 5:
            refused.append(fresh(api, f"other-{len(running)}"))
        return Execution("arn:x", "FAILED", "", input=text, error="ClusterNotFound")

    api.checks.run = run  # type: ignore[method-assign,assignment]
    assert fresh(api).status == 404
    assert running == [1, 2], "a check within a check, and no third"
    (third,) = [one for one in refused if one.status == 429]
    assert third.document["error"] == "HealthCheckBusy"
    assert third.headers["retry-after"] == "5"
    assert api.slots.taken == {}


def test_a_slot_of_a_function_that_was_killed_expires(api: ApiWorld) -> None:
    now = int(api.world.clock.now().timestamp())
    api.slots.taken = {0: ("killed", now + 1), 1: ("killed", now + 30)}
    assert fresh(api).status == 429
    api.world.clock.pass_seconds(1)
    assert fresh(api).status == 501
    assert set(api.slots.taken) == {1}, "only its own was given back"


def test_a_check_whose_response_was_lost_keeps_its_slot(api: ApiWorld) -> None:
    """The machine runs on, so that another check would be one too many."""

    def run(_machine: str, _text: str) -> Execution:
        raise ReadTimeoutError(endpoint_url="states")

    api.checks.run = run  # type: ignore[method-assign,assignment]
    assert fresh(api).status == 503
    assert set(api.slots.taken) == {0}
    api.world.clock.pass_seconds(SLOT_SECONDS)
    assert fresh(api).status == 503
    assert set(api.slots.taken) == {0}, "taken anew"


def test_a_check_that_fails_gives_its_slot_back(api: ApiWorld) -> None:
    assert fresh(api).status == 501
    assert api.slots.taken == {}
