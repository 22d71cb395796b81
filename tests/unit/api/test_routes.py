"""Each route and each refusal, on the fakes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from lifecycle.cluster.access import ExecTask
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.names import held_name
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.cluster.stack import Stack
from lifecycle.errors import (
    AwsRefused,
    LifecycleError,
    ProbeAsleep,
    ProbeFailed,
    StartOutcomeUnknown,
)
from lifecycle.health.verdict import Counts
from lifecycle.operation.model import FUNCTION_SECONDS
from lifecycle.operation.record import Stored

from tests.support.api import ARNS, CALLER, ApiWorld, living, returned
from tests.support.world import CONTROL, World, operation
from tests.unit.test_health_adapters import RECORD

if TYPE_CHECKING:
    from collections.abc import Mapping

START = ("PUT", "/clusters/{name}")
FORWARDABLE = {"EnableExecuteCommand": "true", "GrpcLoadBalancerDnsName": "grpc.example"}
ANN, BOB = (f"arn:aws:iam::123456789012:user/{name}" for name in ("ann", "bob"))
BODY: Mapping[str, Any] = {"parameters": {}}
PLAN: Mapping[str, Any] = {"provision": {"parameters": {}}}


@pytest.fixture
def api() -> ApiWorld:
    return ApiWorld()


class TestStarting:
    def test_a_start_is_accepted_and_says_where_to_look(self, api: ApiWorld) -> None:
        answer = api.provision({"parameters": {"Brokers": 5}}, key="k1")
        assert answer.status == 202
        assert answer.headers["location"] == "/v1/operations/demo.provision.k1"
        assert answer.document["operationId"] == "demo.provision.k1"
        assert answer.document["status"] == "RUNNING"
        assert answer.document["startedBy"] == CALLER
        assert answer.document["progress"]["done"] == 0

    @pytest.mark.parametrize("base", ["/v1", "/camunda", "/ops/clusters", ""])
    @pytest.mark.parametrize("name", ["demo", "%64emo", "demo/"])
    def test_its_location_leads_back_into_the_api(
        self, api: ApiWorld, base: str, name: str
    ) -> None:
        """Behind a stage, or a base path of a custom domain, which may have several segments."""
        answer = api.ask(
            "PUT", "/clusters/{name}", BODY, key="k1", at=f"{base}/clusters/{name}", name="demo"
        )
        location = answer.headers["location"]
        assert location == f"{base}/operations/demo.provision.k1"
        operation_id = location.removeprefix(f"{base}/operations/")
        read = api.ask("GET", "/operations/{id}", at=location, id=operation_id)
        assert (read.status, read.document) == (200, answer.document)
        api.world.journal.begin(api.world.table.records["provision", operation_id]["operation"])
        cancelled = api.ask(
            "POST", "/operations/{id}/cancel", at=f"{location}/cancel", id=operation_id
        )
        assert (cancelled.status, cancelled.headers["location"]) == (202, location)

    def test_the_machine_gets_the_validated_body_and_nothing_else(self, api: ApiWorld) -> None:
        api.provision({"parameters": {"Brokers": 5.0}}, key="k1")
        given = api.execution("demo.provision.k1").input
        assert given == '{"clusterName":"demo","parameters":{"Brokers":5}}'

    def test_the_cluster_is_taken_for_the_execution_before_it_runs(self, api: ApiWorld) -> None:
        api.provision(key="k1")
        lock = api.world.table.locks["control-demo"]
        assert lock.owner == api.execution("demo.provision.k1").arn
        assert lock.operation_id == "demo.provision.k1"

    def test_the_machine_then_finds_its_own_lock(self, api: ApiWorld) -> None:
        api.provision(key="k1")
        record = api.world.table.find("demo.provision.k1", "provision")
        assert record is not None
        begun = api.world.table.records["provision", "demo.provision.k1"]["operation"]
        api.world.journal.begin(begun)
        assert api.world.table.find("demo.provision.k1", "provision") == replace(
            record, marks_changes=True
        )

    def test_without_a_key_every_request_is_a_new_operation(self, api: ApiWorld) -> None:
        first = api.provision().document["operationId"]
        api.finish(first)
        second = api.provision().document["operationId"]
        assert first != second
        assert len(api.world.executions.executions) == 2

    def test_a_plan_takes_no_lock(self, api: ApiWorld) -> None:
        answer = api.ask("POST", "/clusters/{name}/plans", PLAN, key="p", name="demo")
        assert answer.status == 202
        assert answer.headers["location"] == "/v1/operations/demo.plan.p"
        assert api.world.table.locks == {}

    def test_plans_are_made_while_an_operation_runs(self, api: ApiWorld) -> None:
        api.provision(key="k1")
        assert api.ask("POST", "/clusters/{name}/plans", PLAN, name="demo").status == 202

    def test_scaling_starts_with_the_count(self, api: ApiWorld) -> None:
        living(api)
        answer = api.ask("PUT", "/clusters/{name}/brokers", {"count": 4}, key="k", name="demo")
        assert answer.status == 202
        assert answer.headers["location"] == "/v1/operations/demo.scale.k"
        assert api.execution("demo.scale.k").input == '{"clusterName":"demo","count":4}'
        assert api.world.table.locks["control-demo"].operation_id == "demo.scale.k"

    def test_a_teardown_starts_with_the_name_typed_again(self, api: ApiWorld) -> None:
        living(api)
        answer = api.ask("DELETE", "/clusters/{name}", {"confirm": "demo"}, key="k", name="demo")
        assert answer.status == 202
        assert api.execution("demo.teardown.k").input == '{"clusterName":"demo","confirm":"demo"}'

    def test_a_teardown_that_only_tells_takes_no_lock(self, api: ApiWorld) -> None:
        living(api)
        answer = api.ask("DELETE", "/clusters/{name}", {"dryRun": True}, name="demo")
        assert answer.status == 202
        assert api.world.table.locks == {}


class TestIdempotency:
    BODY: ClassVar[Any] = {"parameters": {"Brokers": 5}}

    def test_the_same_request_is_the_same_operation_while_it_runs(self, api: ApiWorld) -> None:
        first = api.provision(self.BODY, key="k1")
        again = api.provision(self.BODY, key="k1")
        assert again.status == 202
        assert again.document["operationId"] == first.document["operationId"]
        assert len(api.world.executions.executions) == 1

    @pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"])
    def test_and_after_it_ended_without_taking_the_cluster(
        self, api: ApiWorld, status: str
    ) -> None:
        api.provision(self.BODY, key="k1")
        api.finish("demo.provision.k1", status)
        again = api.provision(self.BODY, key="k1")
        assert again.status == 202
        assert again.document["status"] == status
        assert api.world.table.locks == {}

    def test_also_while_another_operation_holds_the_cluster(self, api: ApiWorld) -> None:
        api.provision(self.BODY, key="k1")
        api.finish("demo.provision.k1")
        api.provision(key="k2")
        assert api.provision(self.BODY, key="k1").document["status"] == "SUCCEEDED"

    def test_spelling_makes_no_other_request(self, api: ApiWorld) -> None:
        api.ask(
            *START,
            raw_body='{"parameters": {"Brokers": 5, "Partitions": 3}}',
            key="k1",
            name="demo",
        )
        again = api.ask(
            *START, raw_body='{"parameters":{"Partitions":3.0,"Brokers":5}}', key="k1", name="demo"
        )
        assert again.status == 202

    def test_the_same_key_with_another_body_is_refused(self, api: ApiWorld) -> None:
        api.provision(self.BODY, key="k1")
        answer = api.provision({"parameters": {"Brokers": 7}}, key="k1")
        assert (answer.status, answer.document["error"]) == (422, "IdempotencyKeyReused")
        assert "new Idempotency-Key" in answer.document["nextStep"]

    def test_the_same_key_for_another_verb_is_another_operation(self, api: ApiWorld) -> None:
        api.provision(self.BODY, key="k1")
        answer = api.ask("POST", "/clusters/{name}/plans", PLAN, key="k1", name="demo")
        assert answer.document["operationId"] == "demo.plan.k1"

    def test_an_execution_started_in_the_console_is_compared_by_its_input(
        self, api: ApiWorld
    ) -> None:
        text = '{"parameters": {"Brokers": 5}, "clusterName": "demo"}'
        api.world.executions.start(ARNS.machine("provision"), "demo.provision.k1", text)
        assert api.provision(self.BODY, key="k1").status == 202
        assert api.provision({"parameters": {}}, key="k1").status == 422
        assert api.world.table.locks == {}

    def test_what_was_written_down_but_never_started_is_started_by_the_same_request(
        self, api: ApiWorld
    ) -> None:
        api.world.executions.failing = StartOutcomeUnknown("no answer")
        assert api.provision(self.BODY, key="k1").status == 503
        assert api.provision(self.BODY, key="k1").status == 202
        assert api.execution("demo.provision.k1").status == "RUNNING"


class TestBusy:
    def test_a_busy_cluster_is_refused_and_the_running_operation_named(self, api: ApiWorld) -> None:
        api.provision(key="k1")
        answer = api.provision(key="k2")
        assert answer.status == 409
        assert answer.document["operationId"] == "demo.provision.k1"
        assert api.world.table.find("demo.provision.k2", "provision") is None

    def test_the_refused_request_may_come_again_once_the_cluster_is_free(
        self, api: ApiWorld
    ) -> None:
        api.provision(key="k1")
        api.provision(key="k2")
        api.finish("demo.provision.k1")
        assert api.provision(key="k2").status == 202

    def test_a_lock_of_an_operation_that_is_gone_is_taken_over(self, api: ApiWorld) -> None:
        api.world.journal.begin(operation())
        api.world.executions.ended.add(operation().execution_arn)
        refused = api.provision(key="k1")
        assert (refused.status, refused.headers["retry-after"]) == (409, str(FUNCTION_SECONDS))
        api.world.clock.pass_seconds(FUNCTION_SECONDS)
        assert api.provision(key="k1").status == 202


class TestStartFails:
    def test_a_machine_that_is_not_deployed_leaves_nothing_behind(self, api: ApiWorld) -> None:
        api.world.executions.machines.clear()
        answer = api.provision(key="k1")
        assert (answer.status, answer.document["error"]) == (501, "MachineNotDeployed")
        assert api.world.table.locks == {}
        assert api.world.table.records == {}

    def test_a_definite_refusal_frees_the_cluster(self, api: ApiWorld) -> None:
        api.world.executions.failing = AwsRefused("not authorized")
        assert api.provision(key="k1").status == 500
        assert api.world.table.locks == {}
        assert api.provision(key="k2").status == 202

    def test_a_record_that_cannot_be_written_frees_the_cluster(
        self, api: ApiWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def throttled(*_: object, **__: object) -> object:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "PutItem")

        with monkeypatch.context() as patched:
            patched.setattr(api.world.table, "claim", throttled)
            assert api.provision(key="k1").status == 503
        assert api.world.table.locks == {}
        assert api.provision(key="k2").status == 202

    def test_an_uncertain_start_keeps_the_cluster_and_says_how_to_go_on(
        self, api: ApiWorld
    ) -> None:
        api.world.executions.failing = StartOutcomeUnknown("no answer")
        answer = api.provision(key="k1")
        assert answer.status == 503
        assert answer.headers["retry-after"] == "5"
        assert "same Idempotency-Key" in answer.document["nextStep"]
        assert api.world.table.locks["control-demo"].operation_id == "demo.provision.k1"
        told = api.ask("GET", "/operations/{id}", id="demo.provision.k1").document
        assert told["status"] == "NOT_STARTED"
        assert "same Idempotency-Key" in told["error"]["nextStep"]

    def test_an_uncertain_start_that_did_start_is_accepted(self, api: ApiWorld) -> None:
        api.world.executions.failing = StartOutcomeUnknown("no answer")
        api.world.executions.lost_answer = True
        assert api.provision(key="k1").status == 202

    def test_a_generated_key_is_told_when_the_start_is_uncertain(self, api: ApiWorld) -> None:
        api.world.executions.failing = StartOutcomeUnknown("no answer")
        answer = api.provision()
        assert answer.document["idempotencyKey"] == "generated-1"
        assert api.provision(key="generated-1").status == 202
        assert list(api.world.table.records) == [("provision", "demo.provision.generated-1")]


class TestRefusals:
    def test_every_wrong_field_is_named_at_once(self, api: ApiWorld) -> None:
        answer = api.provision({"parameters": {"Brokers": "four", "Brokkers": 1}, "dry": True})
        assert answer.status == 400
        assert answer.headers["content-type"] == "application/problem+json"
        fields = {wrong["field"] for wrong in answer.document["errors"]}
        assert fields == {"dry", "parameters.Brokers", "parameters.Brokkers"}
        assert all(
            set(wrong) == {"field", "given", "allowed"} for wrong in answer.document["errors"]
        )
        assert api.world.table.locks == {}

    def test_fewer_brokers_than_copies_are_refused(self, api: ApiWorld) -> None:
        living(api)
        answer = api.ask("PUT", "/clusters/{name}/brokers", {"count": 2}, name="demo")
        assert answer.status == 400
        (wrong,) = answer.document["errors"]
        assert (wrong["field"], wrong["given"]) == ("count", "2")
        assert wrong["allowed"].startswith("at least 3, the replication factor")
        assert api.world.executions.executions == {}
        assert api.world.table.locks == {}

    @pytest.mark.parametrize(
        ("image", "partitions", "brokers", "count", "status"),
        [
            ("camunda/camunda:8.9.16", 3, 3, 5, 202),
            ("camunda/camunda:8.9.16", 3, 3, 6, 400),
            ("camunda/camunda:8.9.16", 3, 6, 6, 202),  # they are there: it repairs or ends so
            ("camunda/camunda:8.9.16", 3, 6, 7, 400),
            ("camunda/camunda:8.9.16", 3, None, 6, 202),  # half-done: the machine finishes it
            ("camunda/camunda:8.9.16", 4, 3, 6, 202),  # partitions were added since
            ("camunda/camunda:8.9.16", 4, 3, 7, 400),
            ("camunda/camunda:8.9.16", None, 3, 6, 202),  # not known: the machine looks
            ("camunda/camunda:8.10.0", 3, 3, 6, 202),
            ("own/camunda:stable", 3, 3, 6, 202),
        ],
    )
    def test_brokers_that_would_hold_no_partition_are_refused_before_8_10(
        self,
        api: ApiWorld,
        *,
        image: str,
        partitions: int | None,
        brokers: int | None,
        count: int,
        status: int,
    ) -> None:
        living(api)
        stack = api.world.stacks.stacks[f"{CONTROL}-demo"]
        outputs = {**stack.outputs, "OrchestrationImage": image}
        api.world.stacks.stacks[stack.name] = replace(stack, outputs=ClusterOutputs(outputs))
        api.world.probe.answers["partitions"] = {
            "partitions": partitions,
            "brokers": brokers,
        }
        answer = api.ask("PUT", "/clusters/{name}/brokers", {"count": count}, name="demo")
        assert answer.status == status, answer

    @pytest.mark.parametrize(
        "error",
        [
            ProbeFailed("no answer"),
            ReadTimeoutError(endpoint_url="https://lambda"),
            ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke"),
        ],
    )
    def test_a_silent_probe_refuses_no_brokers(
        self, api: ApiWorld, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        def silent(*_: object) -> object:
            raise error

        living(api)
        monkeypatch.setattr(api.world.probe, "query", silent)
        answer = api.ask("PUT", "/clusters/{name}/brokers", {"count": 6}, name="demo")
        assert answer.status == 202

    @pytest.mark.parametrize(
        "change_set", ["plan-1", "arn:aws:cloudformation:eu-central-1:123456789012:changeSet/x/1"]
    )
    def test_a_change_set_that_is_not_there_is_refused(
        self, api: ApiWorld, change_set: str
    ) -> None:
        living(api)
        answer = api.provision({"changeSet": change_set}, key="k1")
        assert (answer.status, answer.document["error"]) == (404, "PlanNotFound")
        assert api.world.table.locks == {}
        assert api.world.executions.executions == {}

    def test_a_body_that_was_lost_makes_no_cluster(self, api: ApiWorld) -> None:
        answer = api.ask(*START, raw_body="", name="demo")
        assert answer.status == 400
        assert answer.document["errors"][0]["field"] == "parameters"
        assert api.world.executions.executions == {}
        assert api.ask(*START, {"onStartFailure": "keep"}, name="demo").status == 400

    def test_without_a_body_the_missing_field_is_named(self, api: ApiWorld) -> None:
        living(api)
        for method, resource, field in (
            ("DELETE", "/clusters/{name}", "confirm"),
            ("PUT", "/clusters/{name}/brokers", "count"),
            ("POST", "/clusters/{name}/restart", "service"),
        ):
            answer = api.ask(method, resource, raw_body="", name="demo")
            assert answer.status == 400
            assert field in [wrong["field"] for wrong in answer.document["errors"]], answer

    @pytest.mark.parametrize("count", [0, -1, 1000, "four", 3.5, True, None, [4]])
    def test_a_count_that_cannot_be_is_refused(self, api: ApiWorld, count: Any) -> None:
        living(api)
        for method, resource, body, field in (
            ("PUT", "/clusters/{name}/brokers", {"count": count}, "count"),
            ("PUT", "/clusters/{name}/partitions", {"partitions": count}, "partitions"),
            ("POST", "/clusters/{name}/plans", {"scale": {"count": count}}, "scale.count"),
            (
                "POST",
                "/clusters/{name}/plans",
                {"scale": {"partitions": count}},
                "scale.partitions",
            ),
        ):
            answer = api.ask(method, resource, body, name="demo")
            assert answer.status == 400
            assert [wrong["field"] for wrong in answer.document["errors"]] == [field]
        assert api.world.executions.executions == {}

    @pytest.mark.parametrize(
        ("resource", "body", "field"),
        [
            ("/clusters/{name}/brokers", {"partitions": 6}, "partitions"),
            ("/clusters/{name}/brokers", {"count": 4, "partitions": 6}, "partitions"),
            ("/clusters/{name}/partitions", {"count": 4}, "count"),
        ],
    )
    def test_a_path_starts_only_what_its_name_says(
        self, api: ApiWorld, resource: str, body: Any, field: str
    ) -> None:
        """Rights rest on the path."""
        living(api)
        answer = api.ask("PUT", resource, body, name="demo")
        assert answer.status == 400
        assert [wrong["field"] for wrong in answer.document["errors"]] == [field]
        assert api.world.executions.executions == {}

    @pytest.mark.parametrize(
        ("method", "resource", "body"),
        [
            ("PUT", "/clusters/{name}/brokers", {"count": 4}),
            ("PUT", "/clusters/{name}/partitions", {"partitions": 6}),
            ("POST", "/clusters/{name}/plans", {"scale": {"count": 4}}),
            ("DELETE", "/clusters/{name}", {"confirm": "demo"}),
        ],
    )
    def test_a_cluster_that_is_not_there_is_not_found(
        self, api: ApiWorld, method: str, resource: str, body: Any
    ) -> None:
        answer = api.ask(method, resource, body, name="demo")
        assert (answer.status, answer.document["error"]) == (404, "ClusterNotFound")
        assert api.world.table.locks == {}

    @pytest.mark.parametrize(
        ("method", "resource", "body"),
        [
            ("PUT", "/clusters/{name}/brokers", {"count": 4}),
            ("PUT", "/clusters/{name}", {"parameters": {}}),
            ("DELETE", "/clusters/{name}", {"confirm": "demo"}),
        ],
    )
    def test_a_frozen_cluster_is_refused_with_its_reason(
        self, api: ApiWorld, method: str, resource: str, body: Any
    ) -> None:
        living(api, tags={"camunda:frozen": "year end"})
        answer = api.ask(method, resource, body, name="demo")
        assert (answer.status, answer.document["error"]) == (409, "ClusterFrozen")
        assert "year end" in answer.document["detail"]
        assert api.world.executions.executions == {}

    @pytest.mark.parametrize("confirm", ["other", "", "Demo", None, 1])
    def test_a_teardown_without_the_name_typed_again_is_refused(
        self, api: ApiWorld, confirm: Any
    ) -> None:
        living(api)
        answer = api.ask("DELETE", "/clusters/{name}", {"confirm": confirm}, name="demo")
        assert answer.status == 400
        assert answer.document["errors"][0]["field"] == "confirm"

    @pytest.mark.parametrize(
        "body", [{}, {"scale": {"count": 4}, "provision": {}}, {"scale": 4}, {"provision": 4}]
    )
    def test_a_plan_is_of_one_thing(self, api: ApiWorld, body: Any) -> None:
        living(api)
        assert api.ask("POST", "/clusters/{name}/plans", body, name="demo").status == 400

    def test_name_key_and_body_are_judged_together(self, api: ApiWorld) -> None:
        answer = api.ask(*START, raw_body="[]", key="no spaces", name="Demo")
        fields = {wrong["field"] for wrong in answer.document["errors"]}
        assert fields == {"name", "Idempotency-Key", "(body)"}

    @pytest.mark.parametrize(
        "body", ["{", "null", "4", '"x"', "[1]", '{"parameters": NaN}', "[" * 50_000]
    )
    def test_what_is_no_json_object_is_refused(self, api: ApiWorld, body: str) -> None:
        answer = api.ask(*START, raw_body=body, name="demo")
        assert answer.status == 400
        assert answer.document["errors"][0]["field"] == "(body)"

    @pytest.mark.parametrize("key", ["", " ", "a b", "a.b", "x" * 41, "ä"])
    def test_keys_outside_the_rule_are_refused(self, api: ApiWorld, key: str) -> None:
        assert api.provision(key=key).status == 400

    def test_the_path_alone_names_the_cluster(self, api: ApiWorld) -> None:
        answer = api.provision({"clusterName": "other", "parameters": {}})
        assert answer.document["errors"][0]["field"] == "clusterName"

    def test_a_body_beyond_any_request_is_refused(self, api: ApiWorld) -> None:
        answer = api.ask(*START, raw_body=json.dumps({"x": "y" * 70_000}), name="demo")
        assert (answer.status, answer.document["error"]) == (413, "RequestTooLarge")

    def test_an_unforeseen_error_says_nothing_of_its_inside(
        self, api: ApiWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> object:
            raise RuntimeError("internal detail")

        monkeypatch.setattr(api.world.stacks, "of_control_plane", broken, raising=False)
        answer = api.ask("GET", "/clusters")
        assert answer.status == 500
        assert answer.document["requestId"] == "r-1"
        assert "internal detail" not in json.dumps(answer.document)

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (ClientError({"Error": {"Code": "ThrottlingException"}}, "DescribeStacks"), 503),
            (ClientError({"Error": {"Code": "AccessDenied"}}, "DescribeStacks"), 500),
            (EndpointConnectionError(endpoint_url="https://x"), 503),
        ],
    )
    def test_errors_of_aws_are_told_as_such(
        self, api: ApiWorld, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
    ) -> None:
        def failing(*_: object) -> object:
            raise error

        monkeypatch.setattr(api.world.stacks, "of_control_plane", failing)
        answer = api.ask("GET", "/clusters")
        assert answer.status == status
        assert ("retry-after" in answer.headers) == (status == 503)


class TestOperations:
    def test_progress_is_done_of_planned(self, api: ApiWorld) -> None:
        api.provision(key="k1")
        op = api.world.table.records["provision", "demo.provision.k1"]["operation"]
        for step in (
            "Change set for the infrastructure",
            "CloudFormation builds the infrastructure",
            "Database user is seeded",
        ):
            api.world.journal.step(op, step, "now")
        told = api.ask("GET", "/operations/{id}", id="demo.provision.k1").document
        assert (told["progress"]["done"], told["progress"]["planned"]) == (3, 7)
        assert told["progress"]["step"] == "Database user is seeded"
        assert told["progress"]["detail"] == "now"
        assert len(told["progress"]["timeline"]) == 3

    def test_the_result_is_what_the_execution_returned(self, api: ApiWorld) -> None:
        api.provision(key="k1")
        result = {**returned("demo.provision.k1"), "outputs": {"RestUrl": "http://x"}}
        api.finish("demo.provision.k1", output=json.dumps(result))
        told = api.ask("GET", "/operations/{id}", id="demo.provision.k1").document
        assert told["status"] == "SUCCEEDED"
        assert told["result"] == result
        assert told["error"] is None
        assert told["progress"]["done"] == told["progress"]["planned"]
        assert told["endedAt"]

    @pytest.mark.parametrize(
        "cause",
        [
            json.dumps(
                {
                    "cause": "The image cannot be pulled.",
                    "nextStep": "Correct the image.",
                    "currentState": "The stack exists.",
                }
            ),
            json.dumps(
                {
                    "errorType": "StartFailed",
                    "errorMessage": json.dumps(
                        {"cause": "The image cannot be pulled.", "nextStep": "Correct the image."}
                    ),
                }
            ),
        ],
    )
    def test_an_error_says_what_happened_and_what_to_do(self, api: ApiWorld, cause: str) -> None:
        api.provision(key="k1")
        api.finish("demo.provision.k1", "FAILED", error="StartFailed", cause=cause)
        error = api.ask("GET", "/operations/{id}", id="demo.provision.k1").document["error"]
        assert error["name"] == "StartFailed"
        assert error["cause"] == "The image cannot be pulled."
        assert error["nextStep"] == "Correct the image."
        assert error["currentState"] in {None, "The stack exists."}

    @pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT"])
    def test_an_end_from_outside_has_a_next_step_too(self, api: ApiWorld, status: str) -> None:
        api.provision(key="k1")
        api.finish("demo.provision.k1", status, error="Oops", cause="wrong window")
        error = api.ask("GET", "/operations/{id}", id="demo.provision.k1").document["error"]
        assert (error["name"], error["cause"]) == (status, "Oops: wrong window")
        assert "new Idempotency-Key" in error["nextStep"]

    def test_an_execution_of_the_console_is_found_before_it_wrote_anything(
        self, api: ApiWorld
    ) -> None:
        api.world.executions.start(ARNS.machine("provision"), "demo.provision.mine", "{}")
        told = api.ask("GET", "/operations/{id}", id="demo.provision.mine").document
        assert (told["status"], told["startedBy"]) == ("RUNNING", None)

    def test_an_execution_with_a_name_of_its_own_is_found_by_its_record(
        self, api: ApiWorld
    ) -> None:
        op = operation()
        api.world.journal.begin(replace(op, operation_id="3f2a", execution_arn="arn:e:3f2a"))
        told = api.ask("GET", "/operations/{id}", id="3f2a").document
        assert told["execution"] == "arn:e:3f2a"

    @pytest.mark.parametrize("name", ["demo.provision.none", "what", "a.b.c.d", "../x"])
    def test_an_unknown_operation_is_not_found(self, api: ApiWorld, name: str) -> None:
        answer = api.ask("GET", "/operations/{id}", id=name)
        assert (answer.status, answer.document["error"]) == (404, "OperationNotFound")

    def test_a_clusters_operations_come_newest_first(self, api: ApiWorld) -> None:
        for key in ("one", "two", "three"):
            api.provision(key=key)
            api.finish(f"demo.provision.{key}", "FAILED" if key == "two" else "SUCCEEDED")
            api.world.clock.pass_seconds(60)
        api.ask("POST", "/clusters/{name}/plans", PLAN, key="p", name="other")
        listed = api.ask("GET", "/operations", query={"cluster": "demo"}).document["operations"]
        assert [(one["operationId"], one["status"]) for one in listed] == [
            ("demo.provision.three", "SUCCEEDED"),
            ("demo.provision.two", "FAILED"),
            ("demo.provision.one", "SUCCEEDED"),
        ]

    def test_a_cluster_that_never_was_has_no_list(self, api: ApiWorld) -> None:
        answer = api.ask("GET", "/operations", query={"cluster": "demo"})
        assert (answer.status, answer.document["error"]) == (404, "ClusterNotFound")
        living(api)
        answer = api.ask("GET", "/operations", query={"cluster": "demo"})
        assert (answer.status, answer.document) == (200, {"operations": [], "next": None})

    def test_without_a_cluster_all_are_listed(self, api: ApiWorld) -> None:
        api.ask("POST", "/clusters/{name}/plans", PLAN, key="p", name="other")
        api.world.clock.pass_seconds(60)
        api.provision(key="one")
        listed = api.ask("GET", "/operations").document["operations"]
        assert [one["operationId"] for one in listed] == ["demo.provision.one", "other.plan.p"]

    def test_a_list_is_read_page_by_page_and_filtered(self, api: ApiWorld) -> None:
        for number in range(5):
            api.provision(key=f"p{number}")
            api.finish(f"demo.provision.p{number}", "FAILED" if number % 2 else "SUCCEEDED")
            api.world.clock.pass_seconds(60)
            api.ask("POST", "/clusters/{name}/plans", PLAN, key=f"q{number}", name="demo")
            api.world.clock.pass_seconds(60)

        def pages(**query: str) -> list[list[str]]:
            found, token = [], None
            while True:
                asked = {**query, **({"next": token} if token else {})}
                page = api.ask("GET", "/operations", query=asked).document
                found.append([one["operationId"] for one in page["operations"]])
                token = page["next"]
                if token is None:
                    return found

        every = pages(limit="3")
        assert [len(page) for page in every] == [3, 3, 3, 1]
        assert [one for page in every for one in page] == pages()[0]
        assert pages(verb="provision", status="FAILED", cluster="demo", limit="1") == [
            ["demo.provision.p3"],
            ["demo.provision.p1"],
            [],
        ]
        assert pages(status="RUNNING", limit="5") == [
            [f"demo.plan.q{n}" for n in (4, 3, 2, 1, 0)],
            [],
        ]

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({"limit": "0"}, "limit"),
            ({"limit": "101"}, "limit"),
            ({"limit": "ten"}, "limit"),
            ({"limit": "\u0663"}, "limit"),
            ({"next": "x"}, "next"),
            ({"next": "WyJhIl0"}, "next"),
            ({"next": "é"}, "next"),
            ({"verb": "delete"}, "verb"),
            ({"status": "running"}, "status"),
            ({"cluster": "A!"}, "cluster"),
            ({"clusters": "demo"}, "clusters"),
        ],
    )
    def test_a_parameter_that_is_none_is_named(
        self, api: ApiWorld, query: dict[str, str], field: str
    ) -> None:
        answer = api.ask("GET", "/operations", query=query)
        assert (answer.status, answer.document["errors"][0]["field"]) == (400, field)

    def test_a_token_of_another_clusters_list_is_refused(self, api: ApiWorld) -> None:
        for name in ("demo", "other"):
            for key in ("p", "q"):
                api.ask("POST", "/clusters/{name}/plans", PLAN, key=key, name=name)
                api.world.clock.pass_seconds(60)
        query = {"cluster": "demo", "limit": "1"}
        token = api.ask("GET", "/operations", query=query).document["next"]
        answer = api.ask("GET", "/operations", query={"cluster": "other", "next": token})
        assert (answer.status, answer.document["errors"][0]["field"]) == (400, "next")

    def test_an_operation_that_did_a_part_of_its_work_is_failed_in_the_list_too(
        self, api: ApiWorld
    ) -> None:
        api.provision(key="k")
        api.finish("demo.provision.k", "FAILED")
        operation = api.world.table.records["provision", "demo.provision.k"]["operation"]
        now = api.world.clock.now()
        api.world.table.end(operation, result="PARTIAL", report=Stored("key"), now=now)
        (line,) = api.ask("GET", "/operations").document["operations"]
        assert line["status"] == "FAILED"


class TestClusters:
    def test_the_list_has_what_the_last_check_and_the_lock_show(self, api: ApiWorld) -> None:
        living(api)
        stack = api.world.stacks.stacks[f"{CONTROL}-demo"]
        sizes = {name: str(d.get("default", "")) for name, d in cluster_parameters().items()}
        api.world.stacks.stacks[stack.name] = replace(stack, parameters=sizes)
        # No broker is queried for a list.
        api.world.probe.answers.clear()
        (line,) = api.ask("GET", "/clusters").document["clusters"]
        assert (line["verdict"], line["checkedAt"], line["monthlyCost"]) == (None, None, None)
        assert line["brokers"] == {"declared": None, "joined": None}
        check = replace(RECORD, checked_at=api.world.clock.now(), counts=Counts(3, 2, 1))
        assert api.health.write(check, None)
        api.ask("PUT", "/clusters/{name}/brokers", {"count": 4}, key="k", name="demo")
        (line,) = api.ask("GET", "/clusters").document["clusters"]
        assert line["brokers"] == {"declared": 3, "joined": 2}
        assert line["checkedAt"] == "2026-01-01T00:00:00.000Z"
        assert line["verdict"] == str(check.verdict)
        assert line["version"] == "8.9.16"
        assert line["operation"]["operationId"] == "demo.scale.k"
        assert float(line["monthlyCost"]) > 100
        api.finish("demo.scale.k")
        (line,) = api.ask("GET", "/clusters").document["clusters"]
        assert line["operation"] is None

    def test_the_list_holds_this_control_planes_clusters(self, api: ApiWorld) -> None:
        living(api, "beta")
        living(api, "alpha")
        api.world.stacks.stacks["foreign"] = Stack("foreign", "arn", "CREATE_COMPLETE")
        listed = api.ask("GET", "/clusters").document["clusters"]
        assert [one["name"] for one in listed] == ["alpha", "beta"]
        first = api.ask("GET", "/clusters", query={"limit": "1"}).document
        assert [one["name"] for one in first["clusters"]] == ["alpha"]
        query = {"limit": "1", "next": first["next"]}
        second = api.ask("GET", "/clusters", query=query).document
        assert ([one["name"] for one in second["clusters"]], second["next"]) == (["beta"], None)
        assert listed[0]["status"] == "CREATE_COMPLETE"

    def test_the_latest_operation_is_the_one_that_runs_not_a_plan(self, api: ApiWorld) -> None:
        def latest() -> Any:
            return api.ask("GET", "/clusters/{name}", name="demo").document["lastOperation"]

        living(api)
        assert latest() is None
        api.ask("POST", "/clusters/{name}/plans", PLAN, key="p1", name="demo")
        assert latest()["operationId"] == "demo.plan.p1"
        api.world.clock.pass_seconds(1)
        api.provision(key="k1")
        api.world.clock.pass_seconds(1)
        api.ask("POST", "/clusters/{name}/plans", PLAN, key="p2", name="demo")
        assert latest()["operationId"] == "demo.provision.k1"
        api.finish("demo.provision.k1")
        assert latest()["status"] == "SUCCEEDED"

    def test_a_frozen_cluster_is_shown_with_its_reason(self, api: ApiWorld) -> None:
        living(api)
        living(api, "cold", {"camunda:frozen": "audit until Friday"})
        lines = api.ask("GET", "/clusters").document["clusters"]
        assert {one["name"]: one["frozen"] for one in lines} == {
            "demo": None,
            "cold": "audit until Friday",
        }
        told = api.ask("GET", "/clusters/{name}", name="cold").document
        assert told["frozen"] == "audit until Friday"

    def test_counts_and_topology_stand_side_by_side(self, api: ApiWorld) -> None:
        living(api)
        api.world.services.add("orchestration-cluster", desired=4, running=3)
        api.world.services.add("connectors", desired=1)
        api.world.probe.answers["overview"] = {
            "members": [
                {"broker": 0, "state": "ACTIVE"},
                {"broker": 1, "state": "ACTIVE"},
                {"broker": 2, "state": "JOINING"},
            ],
            "pendingChange": {"id": 7, "done": 2, "planned": 9, "next": "PARTITION_JOIN broker 3"},
            "topology": [{"broker": 0}, {"broker": 2}],
            "problems": [],
        }
        api.provision(key="k1")
        told = api.ask("GET", "/clusters/{name}", name="demo").document
        assert told["brokers"] == {"declared": 4, "running": 3, "joined": 1}
        assert told["connectors"] == {"declared": 1, "running": 1}
        assert told["pendingChange"]["done"] == 2
        assert told["topology"] == [{"broker": 0}, {"broker": 2}]
        assert told["lastOperation"]["operationId"] == "demo.provision.k1"
        assert told["restUrl"] == "http://rest"
        assert told["unreachable"] == []

    def test_it_says_how_to_log_in_with_the_tasks_of_this_moment(self, api: ApiWorld) -> None:
        living(api)
        name = f"{CONTROL}-demo"
        present = api.world.stacks.stacks[name]
        outputs = {**present.outputs, **FORWARDABLE}
        api.world.stacks.stacks[name] = replace(present, outputs=ClusterOutputs(outputs))
        api.world.services.executable["orchestration-cluster"] = [
            ExecTask("t1", "t1-1", "RUNNING", "RUNNING")
        ]
        told = api.ask("GET", "/clusters/{name}", name="demo").document["access"]
        assert told["urls"]["operate"] == "http://rest/operate"
        web, grpc = told["ways"][1]["forwards"]
        assert web["target"] == grpc["target"] == f"ecs:{CONTROL}-demo_t1_t1-1"

    def test_tasks_that_cannot_be_read_are_an_unreachable_part(
        self, api: ApiWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        living(api)
        name = f"{CONTROL}-demo"
        present = api.world.stacks.stacks[name]
        outputs = {**present.outputs, **FORWARDABLE}
        api.world.stacks.stacks[name] = replace(present, outputs=ClusterOutputs(outputs))

        def throttled(*_: object) -> object:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "ListTasks")

        monkeypatch.setattr(api.world.services, "exec_tasks", throttled)
        told = api.ask("GET", "/clusters/{name}", name="demo").document
        assert "tasks" in {one["part"] for one in told["unreachable"]}
        (reason,) = (one["reason"] for one in told["unreachable"] if one["part"] == "tasks")
        assert told["access"]["ways"][1]["unknown"] == f"The tasks could not be read: {reason}"
        assert told["access"]["login"]["user"] == "admin"

    def test_without_ecs_exec_no_task_is_read(
        self, api: ApiWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        living(api)
        monkeypatch.delattr(type(api.world.services), "exec_tasks")
        told = api.ask("GET", "/clusters/{name}", name="demo").document
        assert "tasks" not in {one["part"] for one in told["unreachable"]}
        assert "EnableExecuteCommand=true" in told["access"]["ways"][1]["missing"]

    @pytest.mark.parametrize("part", ["members", "topology"])
    def test_who_joined_is_unknown_where_members_or_topology_are(
        self, api: ApiWorld, part: str
    ) -> None:
        living(api)
        seen = {"members": [{"broker": 0, "state": "ACTIVE"}], "topology": [{"broker": 0}]}
        api.world.probe.answers["overview"] = {**seen, part: None, "problems": ["no answer"]}
        told = api.ask("GET", "/clusters/{name}", name="demo").document
        assert told["brokers"]["joined"] is None
        assert told["unreachable"][-1] == {"part": "brokers", "reason": "no answer"}

    def test_only_a_few_requests_query_brokers_at_once(self, api: ApiWorld) -> None:
        living(api)
        api.world.services.add("orchestration-cluster", desired=3)
        queries: list[object] = []

        def overview(cluster: object) -> dict[str, list[str]]:
            queries.append(cluster)
            return {"members": [], "topology": [], "problems": []}

        api.world.probe.answers["overview"] = overview
        now = int(api.world.clock.now().timestamp())
        api.reads.taken = {0: ("another", now + 30), 1: ("a third", now + 30)}
        told = api.ask("GET", "/clusters/{name}", name="demo").document
        assert [one["part"] for one in told["unreachable"]] == ["brokers"]
        assert told["unreachable"][0]["reason"].startswith("2 requests query brokers now")
        assert (told["topology"], told["brokers"]["joined"]) == (None, None)
        assert queries == []
        del api.reads.taken[1]
        told = api.ask("GET", "/clusters/{name}", name="demo").document
        assert (told["unreachable"], len(queries)) == ([], 1)
        assert set(api.reads.taken) == {0}, "its own was given back"

    @pytest.mark.parametrize(
        "error", [ProbeFailed("the probe timed out"), ProbeAsleep("it is not connected yet")]
    )
    def test_a_silent_part_does_not_hide_the_others(
        self, api: ApiWorld, monkeypatch: pytest.MonkeyPatch, error: LifecycleError
    ) -> None:
        living(api)
        api.world.services.add("orchestration-cluster", desired=3)

        def silent(*_: object) -> object:
            raise error

        monkeypatch.setattr(api.world.probe, "query", silent)
        answer = api.ask("GET", "/clusters/{name}", name="demo")
        assert answer.status == 200
        assert answer.document["brokers"] == {"declared": 3, "running": 3, "joined": None}
        assert answer.document["unreachable"] == [{"part": "brokers", "reason": error.message}]

    def test_an_adopted_cluster_may_have_no_connectors(self, api: ApiWorld) -> None:
        living(api)
        stacks = api.world.stacks.stacks
        outputs = {**stacks[f"{CONTROL}-demo"].outputs, "Adopted": "true"}
        del outputs["ConnectorsServiceName"]
        stacks[f"{CONTROL}-demo"] = replace(
            stacks[f"{CONTROL}-demo"],
            outputs=ClusterOutputs(outputs),
            exports={"EcsClusterName": held_name(outputs["EcsClusterName"])},
        )
        api.world.services.add("orchestration-cluster", desired=3)
        answer = api.ask("GET", "/clusters/{name}", name="demo")
        assert answer.status == 200
        assert answer.document["brokers"]["declared"] == 3
        assert answer.document["connectors"] == {"declared": None, "running": None}

    def test_services_that_cannot_be_read_do_not_hide_the_brokers(
        self, api: ApiWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        living(api)

        def throttled(*_: object) -> object:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "DescribeServices")

        monkeypatch.setattr(api.world.services, "describe", throttled)
        api.world.probe.answers["overview"] = {
            "members": [{"broker": 0, "state": "ACTIVE"}],
            "pendingChange": None,
            "topology": None,
            "problems": ["no gateway answered"],
        }
        told = api.ask("GET", "/clusters/{name}", name="demo").document
        assert told["brokers"] == {"declared": None, "running": None, "joined": None}
        assert [one["part"] for one in told["unreachable"]] == ["services", "brokers"]

    def test_a_stack_that_is_being_built_is_told_as_such(self, api: ApiWorld) -> None:
        living(api)
        name = f"{CONTROL}-demo"
        half = api.world.stacks.stacks[name]
        api.world.stacks.stacks[name] = Stack(name, "arn", "CREATE_IN_PROGRESS", tags=half.tags)
        told = api.ask("GET", "/clusters/{name}", name="demo").document
        assert told["status"] == "CREATE_IN_PROGRESS"
        assert told["brokers"]["declared"] is None
        assert told["access"] is None
        assert told["unreachable"][0]["part"] == "stack"

    @pytest.mark.parametrize("tags", [None, {"camunda:control-plane": "somebody-else"}])
    def test_an_unknown_cluster_and_a_foreign_stack_are_not_found(
        self, api: ApiWorld, tags: dict[str, str] | None
    ) -> None:
        if tags is not None:
            name = f"{CONTROL}-demo"
            api.world.stacks.stacks[name] = Stack(name, "arn", "CREATE_COMPLETE", tags=tags)
        answer = api.ask("GET", "/clusters/{name}", name="demo")
        assert (answer.status, answer.document["error"]) == (404, "ClusterNotFound")

    def test_a_name_outside_the_rule_is_refused(self, api: ApiWorld) -> None:
        assert api.ask("GET", "/clusters/{name}", name="No_Such").status == 400


class TestTwoPeople:
    """The rule of two people, from the request to the machine."""

    @pytest.fixture
    def world(self) -> ApiWorld:
        machines = frozenset({"scale", "teardown", "restart", "rotate"})
        found = ApiWorld(World(two_people_for=machines))
        living(found)
        return found

    def planned(self, world: ApiWorld, caller: str, body: Any, key: str) -> str:
        """The id of an operation that this caller has started, and that ended well."""
        verb, method, path = (
            ("plan", "POST", "/clusters/{name}/plans")
            if "scale" in body
            else ("teardown", "DELETE", "/clusters/{name}")
        )
        started = world.ask(method, path, body, key=key, caller=caller, name="demo")
        assert started.status == 202, started
        world.world.executions.finish(ARNS.execution(verb, started.document["operationId"]))
        return str(started.document["operationId"])

    def test_another_principal_scales_what_was_planned(self, world: ApiWorld) -> None:
        plan = self.planned(world, ANN, {"scale": {"count": 4}}, "one")
        path, body = "/clusters/{name}/brokers", {"count": 4, "approves": plan}
        alone = world.ask("PUT", path, body, key="a", caller=ANN, name="demo")
        assert (alone.status, alone.document["error"]) == (403, "SecondApproverRequired")
        unknown = world.ask("PUT", path, body, key="b", caller="", name="demo")
        assert (unknown.status, unknown.document["error"]) == (403, "SecondApproverRequired")
        missing = world.ask("PUT", path, {"count": 4}, key="c", caller=BOB, name="demo")
        assert "the field approves is missing" in missing.document["detail"]
        other = world.ask("PUT", path, {**body, "count": 5}, key="d", caller=BOB, name="demo")
        assert "it planned another change" in other.document["detail"]
        assert world.world.table.locks == {}
        assert world.ask("PUT", path, body, key="e", caller=BOB, name="demo").status == 202

    @pytest.mark.parametrize(
        ("verb", "path", "body"),
        [
            ("restart", "/clusters/{name}/restart", {"service": "brokers", "broker": 1}),
            ("rotate", "/clusters/{name}/rotation", {"secrets": ["admin"]}),
        ],
    )
    def test_another_principal_starts_what_had_a_dry_run(
        self, world: ApiWorld, verb: str, path: str, body: dict[str, Any]
    ) -> None:
        dry = {**body, "dryRun": True}
        started = world.ask("POST", path, dry, key="one", caller=ANN, name="demo")
        assert started.status == 202, started
        assert world.world.table.locks == {}
        review = str(started.document["operationId"])
        world.world.executions.finish(ARNS.execution(verb, review))
        missing = world.ask("POST", path, body, key="a", caller=BOB, name="demo")
        assert (missing.status, missing.document["error"]) == (403, "SecondApproverRequired")
        assert "make a dry run" in missing.document["nextStep"]
        approved = {**body, "approves": review}
        alone = world.ask("POST", path, approved, key="b", caller=ANN, name="demo")
        assert (alone.status, alone.document["error"]) == (403, "SecondApproverRequired")
        both = world.ask("POST", path, approved, key="c", caller=BOB, name="demo")
        assert both.status == 202

    def test_another_principal_removes_what_was_listed(self, world: ApiWorld) -> None:
        dry = self.planned(world, ANN, {"dryRun": True}, "one")
        body = {"confirm": "demo", "approves": dry}
        alone = world.ask("DELETE", "/clusters/{name}", body, key="a", caller=ANN, name="demo")
        assert (alone.status, alone.document["error"]) == (403, "SecondApproverRequired")
        both = world.ask("DELETE", "/clusters/{name}", body, key="b", caller=BOB, name="demo")
        assert both.status == 202


class TestFreezing:
    ROUTE = "/clusters/{name}/freeze"
    BODY: ClassVar = {"reason": "audit until Friday"}

    def test_a_cluster_is_frozen_and_every_change_is_refused(self, api: ApiWorld) -> None:
        living(api)
        frozen = api.ask("PUT", self.ROUTE, self.BODY, name="demo", caller=ANN)
        assert frozen.status == 200
        assert frozen.document["frozen"] == "audit until Friday"
        assert frozen.document["freeze"]["by"] == ANN
        assert frozen.document["operationId"] is None
        for method, route, body in (
            ("PUT", "/clusters/{name}", {"parameters": {"LogRetentionDays": 90}}),
            ("PUT", "/clusters/{name}/brokers", {"count": 4}),
            ("PUT", "/clusters/{name}/partitions", {"partitions": 6}),
            ("POST", "/clusters/{name}/restart", {"service": "connectors"}),
            ("DELETE", "/clusters/{name}", {"confirm": "demo"}),
        ):
            refused = api.ask(method, route, body, name="demo", key="k")
            assert (refused.status, refused.document["error"]) == (409, "ClusterFrozen"), route
            assert "audit until Friday" in refused.document["detail"]
        assert api.world.table.locks == {}
        assert api.ask("POST", "/clusters/{name}/plans", PLAN, name="demo").status == 202

    def test_list_and_cluster_show_it(self, api: ApiWorld) -> None:
        living(api)
        api.ask("PUT", self.ROUTE, self.BODY, name="demo", caller=ANN)
        (line,) = api.ask("GET", "/clusters").document["clusters"]
        assert line["frozen"] == "audit until Friday"
        shown = api.ask("GET", "/clusters/{name}", name="demo").document
        assert (shown["frozen"], shown["freeze"]["by"]) == ("audit until Friday", ANN)

    def test_the_same_request_again_changes_nothing_and_another_reason_is_refused(
        self, api: ApiWorld
    ) -> None:
        living(api)
        first = api.ask("PUT", self.ROUTE, self.BODY, name="demo", caller=ANN)
        api.world.clock.pass_seconds(60)
        again = api.ask("PUT", self.ROUTE, self.BODY, name="demo", caller=BOB)
        assert again.document == first.document
        other = api.ask("PUT", self.ROUTE, {"reason": "upgrade"}, name="demo", caller=BOB)
        assert (other.status, other.document["error"]) == (409, "ClusterFrozen")
        assert "audit until Friday" in other.document["detail"]

    def test_an_operation_that_runs_is_named(self, api: ApiWorld) -> None:
        living(api)
        api.world.journal.begin(operation(7))
        frozen = api.ask("PUT", self.ROUTE, self.BODY, name="demo")
        assert frozen.document["operationId"] == operation(7).operation_id

    def test_the_freeze_is_lifted_and_a_tag_still_freezes(self, api: ApiWorld) -> None:
        living(api, tags={"camunda:frozen": "by hand"})
        api.ask("PUT", self.ROUTE, self.BODY, name="demo")
        for _ in range(2):
            thawed = api.ask("DELETE", self.ROUTE, name="demo")
            assert thawed.status == 200
            assert thawed.document == {"frozen": "by hand", "freeze": None, "operationId": None}
        refused = api.ask("PUT", "/clusters/{name}/brokers", {"count": 4}, name="demo")
        assert "camunda:frozen" in refused.document["detail"]

    @pytest.mark.parametrize(
        ("body", "field"), [({}, "reason"), ({"reason": "x", "until": "y"}, "until")]
    )
    def test_a_wrong_request_is_named(self, api: ApiWorld, body: Any, field: str) -> None:
        living(api)
        wrong = api.ask("PUT", self.ROUTE, body, name="demo")
        assert [one["field"] for one in wrong.document["errors"]] == [field]
        assert api.world.table.freezes == {}

    def test_a_freeze_that_outlived_its_stack_is_lifted(self, api: ApiWorld) -> None:
        living(api)
        api.ask("PUT", self.ROUTE, self.BODY, name="demo")
        del api.world.stacks.stacks["control-demo"]
        assert api.provision(key="k").document["error"] == "ClusterFrozen"
        assert api.ask("DELETE", self.ROUTE, name="demo").status == 200
        assert api.provision(key="k").status == 202

    def test_what_is_not_there_is_not_frozen(self, api: ApiWorld) -> None:
        assert api.ask("PUT", self.ROUTE, self.BODY, name="demo").status == 404
        assert api.ask("DELETE", self.ROUTE, name="demo").status == 404
        assert api.world.table.freezes == {}
