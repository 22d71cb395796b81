"""If-Match, quoted keys and media types: what a request rests on, and in what it is answered."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.api.accept import chosen
from lifecycle.cluster.freeze import Freeze
from lifecycle.errors import AwsUnavailable, NotAcceptable, StartOutcomeUnknown
from lifecycle.operation.record import Stored

from tests.support.api import ApiWorld, living
from tests.support.world import CONTROL

if TYPE_CHECKING:
    from tests.support.api import Answer

ECS_CLUSTER = f"{CONTROL}-demo"
OFFERED = ("application/json", "text/plain", "text/html")


@pytest.fixture
def api() -> ApiWorld:
    api = ApiWorld()
    living(api)
    return api


def tag(api: ApiWorld) -> str:
    answer = api.ask("GET", "/clusters/{name}", name="demo")
    assert answer.status == 200
    return answer.headers["etag"]


def scale(api: ApiWorld, match: str, key: str = "k") -> Answer:
    return api.ask(
        "PUT",
        "/clusters/{name}/brokers",
        {"count": 4},
        key=key,
        name="demo",
        headers={"If-Match": match},
    )


class TestIfMatch:
    def test_a_request_on_what_was_read_is_accepted(self, api: ApiWorld) -> None:
        assert scale(api, tag(api)).status == 202

    def test_a_tag_is_the_same_until_something_changes(self, api: ApiWorld) -> None:
        assert tag(api) == tag(api)

    def test_of_two_people_who_read_the_same_the_second_is_refused(self, api: ApiWorld) -> None:
        before = tag(api)
        assert scale(api, before, "one").status == 202
        api.finish("demo.scale.one")
        answer = scale(api, before, "two")
        assert (answer.status, answer.document["error"]) == (412, "ClusterChanged")
        assert "demo.scale.one" in answer.document["detail"]
        assert api.world.table.locks == {}
        assert api.world.table.find("demo.scale.two", "scale") is None
        assert scale(api, tag(api), "three").status == 202

    def test_the_same_request_again_is_the_same_operation(self, api: ApiWorld) -> None:
        before = tag(api)
        scale(api, before, "one")
        assert scale(api, before, "one").status == 202

    def test_the_same_request_again_starts_what_may_not_have_started(self, api: ApiWorld) -> None:
        """Its own record, claimed by the first attempt, is no change by another."""
        before = tag(api)
        api.world.executions.failing = StartOutcomeUnknown("no answer")
        assert scale(api, before, "one").status == 503
        answer = scale(api, before, "one")
        assert (answer.status, answer.document["operationId"]) == (202, "demo.scale.one")
        assert api.world.table.find("demo.scale.one", "scale") is not None
        assert api.world.table.locks[ECS_CLUSTER].operation_id == "demo.scale.one"

    def test_a_repetition_that_fails_leaves_what_the_first_one_claimed(self, api: ApiWorld) -> None:
        before = tag(api)
        api.world.executions.failing = StartOutcomeUnknown("no answer")
        assert scale(api, before, "one").status == 503
        api.world.executions.failing = AwsUnavailable("no")
        assert scale(api, before, "one").status == 503
        assert api.world.table.find("demo.scale.one", "scale") is not None
        assert api.world.table.locks[ECS_CLUSTER].operation_id == "demo.scale.one"

    def test_a_freeze_and_an_update_of_the_stack_change_it(self, api: ApiWorld) -> None:
        before = tag(api)
        stack = api.world.stacks.stacks[ECS_CLUSTER]
        api.world.stacks.stacks[ECS_CLUSTER] = replace(stack, changed_at="2026-02-01T00:00:00Z")
        answer = scale(api, before)
        assert answer.status == 412
        assert "stack is now" in answer.document["detail"]
        assert "frozen is now" not in answer.document["detail"]
        api.world.table.freeze(ECS_CLUSTER, Freeze("audit", "2026-01-01T00:00:00Z", "ann"))
        answer = api.ask(
            "DELETE", "/clusters/{name}/freeze", name="demo", headers={"if-match": before}
        )
        assert answer.status == 412
        assert 'frozen is now "' in answer.document["detail"]
        assert ECS_CLUSTER in api.world.table.freezes

    def test_any_tag_is_that_of_an_existing_cluster(self, api: ApiWorld) -> None:
        assert scale(api, "*").status == 202
        answer = api.ask(
            "PUT",
            "/clusters/{name}",
            {"parameters": {}},
            name="new",
            headers={"If-Match": "*"},
        )
        assert (answer.status, answer.document["error"]) == (412, "ClusterChanged")
        assert f"{CONTROL}-new" not in api.world.table.locks

    def test_one_of_several_is_enough_and_a_weak_one_is_none(self, api: ApiWorld) -> None:
        assert scale(api, f'"other", {tag(api)}', "one").status == 202
        api.finish("demo.scale.one")
        assert scale(api, f"W/{tag(api)}", "two").status == 412

    @pytest.mark.parametrize("given", ["abc", '"a', '"a" "b"', "", "*, *"])
    def test_what_is_no_tag_is_named(self, api: ApiWorld, given: str) -> None:
        answer = scale(api, given)
        assert (answer.status, answer.document["errors"][0]["field"]) == (400, "If-Match")

    def test_an_operation_has_no_tag(self, api: ApiWorld) -> None:
        scale(api, "*")
        answer = api.ask(
            "POST", "/operations/{id}/cancel", id="demo.scale.k", headers={"If-Match": "*"}
        )
        assert (answer.status, answer.document["errors"][0]["field"]) == (400, "If-Match")


class TestKeys:
    def test_a_key_in_quotes_is_the_key(self, api: ApiWorld) -> None:
        body = {"count": 4}
        first = api.ask("PUT", "/clusters/{name}/brokers", body, key='"abc"', name="demo")
        again = api.ask("PUT", "/clusters/{name}/brokers", body, key="abc", name="demo")
        assert first.document["operationId"] == again.document["operationId"] == "demo.scale.abc"

    @pytest.mark.parametrize("key", ['"', '"abc', '""', '""abc""', "'abc'"])
    def test_half_a_quote_is_none(self, api: ApiWorld, key: str) -> None:
        answer = api.ask("PUT", "/clusters/{name}/brokers", {"count": 4}, key=key, name="demo")
        assert (answer.status, answer.document["errors"][0]["field"]) == (400, "Idempotency-Key")


class TestPlans:
    PLAN: Any = {  # noqa: RUF012 - read only
        "operationId": "demo.plan.p",
        "cluster": "demo",
        "kind": "scale",
        "status": "READY",
    }

    def made(self, api: ApiWorld, plan: Any) -> None:
        api.ask("POST", "/clusters/{name}/plans", {"scale": {"count": 4}}, key="p", name="demo")
        api.finish("demo.plan.p")
        body = json.dumps(plan).encode()
        stored = api.world.artifacts.put("plans/demo/p.json", body, "application/json")
        operation = api.world.table.records["plan", "demo.plan.p"]["operation"]
        now = api.world.clock.now()
        api.world.table.end(operation, result="SUCCEEDED", report=stored, now=now)

    def test_a_plan_is_read_as_it_was_stored(self, api: ApiWorld) -> None:
        self.made(api, self.PLAN)
        answer = api.ask("GET", "/plans/{id}", id="demo.plan.p")
        assert (answer.status, answer.document) == (200, self.PLAN)

    def test_one_that_was_replaced_in_the_bucket_is_not_shown(self, api: ApiWorld) -> None:
        self.made(api, self.PLAN)
        record = api.world.table.records["plan", "demo.plan.p"]
        record["report"] = Stored("plans/demo/p.json", record["report"].version, "0" * 64)
        answer = api.ask("GET", "/plans/{id}", id="demo.plan.p")
        assert (answer.status, answer.document["error"]) == (404, "PlanNotFound")

    def test_while_it_is_made_it_is_not_finished(self, api: ApiWorld) -> None:
        api.ask("POST", "/clusters/{name}/plans", {"scale": {"count": 4}}, key="p", name="demo")
        answer = api.ask("GET", "/plans/{id}", id="demo.plan.p")
        assert (answer.status, answer.document["error"]) == (409, "PlanNotFinished")
        api.finish("demo.plan.p", "FAILED")
        answer = api.ask("GET", "/plans/{id}", id="demo.plan.p")
        assert (answer.status, answer.document["error"]) == (409, "PlanNotFinished")

    def test_what_is_no_plan_is_404(self, api: ApiWorld) -> None:
        scale(api, "*")
        for one in ("demo.scale.k", "demo.plan.none", "x"):
            answer = api.ask("GET", "/plans/{id}", id=one)
            assert (answer.status, answer.document["error"]) == (404, "PlanNotFound")

    def test_another_type_is_406(self, api: ApiWorld) -> None:
        self.made(api, self.PLAN)
        answer = api.ask(
            "GET", "/plans/{id}", id="demo.plan.p", headers={"Accept": "application/pdf"}
        )
        assert (answer.status, answer.document["error"]) == (406, "NotAcceptable")


class TestPlanOfATeardown:
    def test_it_starts_the_plan_machine(self, api: ApiWorld) -> None:
        answer = api.ask("POST", "/clusters/{name}/plans", {"teardown": {}}, key="t", name="demo")
        assert (answer.status, answer.document["kind"]) == (202, "plan")
        assert api.execution("demo.plan.t").input == '{"clusterName":"demo","teardown":{}}'

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"teardown": {"confirm": "demo"}}, "teardown"),
            ({"teardown": None}, "teardown"),
            ({"teardown": {}, "scale": {"count": 4}}, "(input)"),
        ],
    )
    def test_it_takes_no_fields(self, api: ApiWorld, body: Any, field: str) -> None:
        answer = api.ask("POST", "/clusters/{name}/plans", body, name="demo")
        assert (answer.status, answer.document["errors"][0]["field"]) == (400, field)

    @pytest.mark.parametrize("body", [{"teardown": {}}, {"scale": {"partitions": 6}}])
    def test_of_an_unknown_cluster_it_is_404(self, api: ApiWorld, body: Any) -> None:
        answer = api.ask("POST", "/clusters/{name}/plans", body, name="none")
        assert (answer.status, answer.document["error"]) == (404, "ClusterNotFound")

    def test_it_counts_as_the_review_by_another_principal(self, api: ApiWorld) -> None:
        ann, bob = (f"arn:aws:iam::123456789012:user/{name}" for name in ("ann", "bob"))
        api.world.two_people_for = frozenset({"teardown"})
        plans = "/clusters/{name}/plans"
        api.ask("POST", plans, {"teardown": {}}, key="t", name="demo", caller=ann)
        body = {"confirm": "demo", "approves": "demo.plan.t"}
        early = api.ask("DELETE", "/clusters/{name}", body, name="demo", caller=bob)
        assert (early.status, early.document["error"]) == (403, "SecondApproverRequired")
        api.finish("demo.plan.t")
        own = api.ask("DELETE", "/clusters/{name}", body, name="demo", caller=ann)
        assert own.status == 403
        assert api.ask("DELETE", "/clusters/{name}", body, name="demo", caller=bob).status == 202

    def test_the_plan_of_a_scaling_is_no_review_of_a_teardown(self, api: ApiWorld) -> None:
        ann, bob = (f"arn:aws:iam::123456789012:user/{name}" for name in ("ann", "bob"))
        api.world.two_people_for = frozenset({"teardown"})
        plans = "/clusters/{name}/plans"
        api.ask("POST", plans, {"scale": {"count": 4}}, key="t", name="demo", caller=ann)
        api.finish("demo.plan.t")
        body = {"confirm": "demo", "approves": "demo.plan.t"}
        assert api.ask("DELETE", "/clusters/{name}", body, name="demo", caller=bob).status == 403


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/plain", "text/plain"),
        ("TEXT/HTML", "text/html"),
        ("text/*", "text/plain"),
        ("text/html, application/json;q=0.9", "text/html"),
        ("application/json;q=0.1, text/plain;q=0.2", "text/plain"),
        ("text/plain;q=0, text/*", "text/html"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
    ],
)
def test_the_type_with_the_highest_weight_is_chosen(accept: str | None, kind: str) -> None:
    assert chosen(accept, OFFERED) == kind


@pytest.mark.parametrize("accept", ["image/png", "*/*;q=0", "text/plain;q=x", "json"])
def test_none_of_them_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="text/plain"):
        chosen(accept, OFFERED)
