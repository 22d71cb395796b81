"""The console in a browser, in front of the API on the fakes: what it sends, shows and refuses."""

from __future__ import annotations

import base64
import copy
import hashlib
import itertools
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from jsonschema import Draft202012Validator
from playwright.sync_api import expect

from local.keys import RootKeys
from local.web_console import ConsoleServer
from tests.support.api import DOCUMENT, ApiWorld, living
from tests.support.browser import Seen, chromium, faults, reached_by_keyboard
from tests.support.gateway import CREDENTIALS, REGION, Upstream, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Route

KEYS = RootKeys(CREDENTIALS.access_key, CREDENTIALS.secret_key)
RUNNING = "demo.scale.four"
COGNITO = "https://camunda.auth.eu-central-1.amazoncognito.com"
POOL = "https://cognito-identity.eu-central-1.amazonaws.com"
UNFOLD = "() => document.querySelectorAll('details').forEach((one) => (one.open = true))"


def described(schema: str, document: dict[str, Any]) -> dict[str, Any]:
    """Hold a document of a test to the API's own description."""
    Draft202012Validator(
        {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    ).validate(document)
    return document


def cluster(**more: Any) -> dict[str, Any]:
    example = DOCUMENT["paths"]["/clusters/{name}"]["get"]["responses"]["200"]["content"]
    roles = ("leader", "follower", "follower")
    rows = [
        {
            "broker": broker,
            "host": f"10.0.0.{broker}",
            "version": "8.9.22",
            "partitions": {
                str(partition): {"role": roles[(broker + partition) % 3], "health": "healthy"}
                for partition in (1, 2, 3)
            },
        }
        for broker in range(3)
    ]
    members = [{"broker": broker, "state": "ACTIVE"} for broker in range(3)]
    found = copy.deepcopy(example["application/json"]["example"])
    return described("Cluster", found | {"topology": rows, "members": members, **more})


def line(**more: Any) -> dict[str, Any]:
    return described(
        "ClusterLine",
        {
            "name": "demo",
            "stack": "camunda-lifecycle-demo",
            "status": "UPDATE_COMPLETE",
            "frozen": None,
            "restUrl": None,
            "grpcEndpoint": None,
            "verdict": "HEALTHY",
            "checkedAt": "2026-11-30T00:00:00Z",
            "brokers": {"declared": 3, "joined": 3},
            "version": "8.9.22",
            "operation": None,
            "monthlyCost": "812.40",
            **more,
        },
    )


def health(**more: Any) -> dict[str, Any]:
    finding = {
        "code": "BROKER_MISSING",
        "severity": "DEGRADED",
        "title": "A broker is missing",
        "seen": "2 of 3 brokers",
        "expected": "3",
        "remedy": "Wait for the task, then look at its log.",
        "runbook": "docs/runbook.md#broker_missing",
        "subject": "broker 2",
    }
    return described(
        "Health",
        {
            "cluster": "demo",
            "verdict": "DEGRADED",
            "checkedAt": "2026-11-30T00:00:00Z",
            "fresh": False,
            "ageSeconds": 10,
            "since": "2026-11-30T00:00:00Z",
            "consecutive": 2,
            "notified": "DEGRADED",
            "notifiedAt": None,
            "findings": [{**finding, "severity": "INFO", "title": "A note"}, finding],
            "seconds": 1.5,
            "rehearsal": None,
            "text": "DEGRADED",
            **more,
        },
    )


def operation(**more: Any) -> dict[str, Any]:
    progress = {
        "done": 2,
        "planned": 9,
        "step": "FollowScaling",
        "detail": "Broker 3 joins",
        "timeline": [{"step": "Preflight", "at": "2026-11-30T00:00:00.000Z"}],
    }
    found = {
        "operationId": RUNNING,
        "cluster": "demo",
        "kind": "scale",
        "status": "RUNNING",
        "startedAt": "2026-11-30T00:00:00.000Z",
        "endedAt": None,
        "startedBy": "arn:aws:iam::123456789012:user/ada",
        "execution": "arn:aws:states:eu-central-1:123456789012:execution:x-scale:demo.scale.four",
        "progress": progress,
        "result": None,
        "error": None,
        "reportKey": None,
        "changedAt": None,
        "cancelledBy": None,
        "resumedBy": None,
    }
    return described("Operation", found | more)


@dataclass
class Bench:
    """A console in front of an API, and the page that shows it."""

    api: ApiWorld
    upstream: Upstream
    origin: str
    page: Page
    seen: Seen

    def returns(self, path: str, document: Any, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.upstream.instead["GET", path] = (200, named, document)

    def open(self, view: str = "") -> Page:
        self.page.goto(f"{self.origin}/{view}")
        return self.page

    def filled(self) -> None:
        """Let every view have something of everything to show."""
        self.returns(
            "/clusters", {"clusters": [line(), line(name="eu", verdict=None)], "next": None}
        )
        pending = {"id": 4, "done": 1, "planned": 3, "next": "JOIN broker 3"}
        self.returns("/clusters/demo", cluster(pendingChange=pending), ETag='"one"')
        self.returns("/clusters/demo/health", health())
        self.returns("/operations", {"operations": [operation_line()], "next": "more"})
        self.returns(f"/operations/{RUNNING}", operation())
        error = {
            "name": "StabilizationTimeout",
            "cause": "Partition 2 has no leader.",
            "nextStep": "Look at broker 1.",
            "currentState": "4 brokers run.",
        }
        self.returns("/operations/demo.scale.bad", operation(status="FAILED", error=error))
        plan = {
            "operationId": "demo.plan.one",
            "kind": "update",
            "cluster": "demo",
            "status": "READY",
            "refusal": None,
            "warnings": ["Brokers are replaced."],
            "changes": [
                {"resource": "Logs", "action": "change", "type": "A::B::C", "properties": ["Days"]}
            ],
            "cost": {"before": {"total": "1.00"}, "after": {"total": "2.00"}},
            "apply": {"clusterName": "demo", "changeSet": "plan-demo-one"},
            "text": "Plan demo.plan.one\n~ Logs",
        }
        self.returns("/plans/demo.plan.one", plan)


def operation_line(**more: Any) -> dict[str, Any]:
    names = DOCUMENT["components"]["schemas"]["OperationLine"]["properties"]
    found = {name: value for name, value in operation().items() if name in names}
    return described("OperationLine", found | more)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@contextmanager
def served(upstream: Upstream) -> Iterator[str]:
    server = ConsoleServer("127.0.0.1", 0, lambda: upstream.url, KEYS)
    server.start()
    try:
        yield server.origin
    finally:
        server.stop()


@pytest.fixture
def bench(browser: Browser) -> Iterator[Bench]:
    api = ApiWorld()
    living(api)
    with serving(api) as upstream, served(upstream) as origin:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.set_default_timeout(10_000)
        seen = Seen(page, origin)
        yield Bench(api, upstream, origin, page, seen)
        context.close()
        seen.clean()


# --- what is read -------------------------------------------------------------------------------


def test_the_first_view_lists_the_clusters_of_the_api_itself(bench: Bench) -> None:
    page = bench.open()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="demo"))
    expect(row).to_contain_text("UNKNOWN")
    expect(row).to_contain_text("never checked")
    row.get_by_role("link", name="demo").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert page.url.endswith("#/clusters/demo")


def test_every_view_has_an_address_of_its_own(bench: Bench) -> None:
    bench.filled()
    for view, heading in (
        ("#/operations?cluster=demo&verb=scale", "Operations"),
        (f"#/operations/{RUNNING}", RUNNING),
        ("#/plans/demo.plan.one", "Plan for demo"),
        ("#/nowhere", "Not found"),
        ("#/clusters/demo", "demo"),
    ):
        page = bench.open(view)
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
    asked = [one.path for one in bench.upstream.of("GET")]
    assert "/operations?cluster=demo&verb=scale&limit=25" in asked


def test_findings_are_the_worst_first_with_what_to_do(bench: Bench) -> None:
    bench.filled()
    page = bench.open("#/clusters/demo")
    findings = page.locator(".findings li")
    expect(findings.nth(0)).to_contain_text("DEGRADED A broker is missing")
    expect(findings.nth(0)).to_contain_text("Wait for the task, then look at its log.")
    expect(findings.nth(1)).to_contain_text("INFO")


def test_an_old_or_absent_verdict_is_not_shown_as_the_present_one(bench: Bench) -> None:
    bench.filled()
    page = bench.open()
    rows = page.get_by_role("row")
    expect(rows.nth(1).locator(".chip").first).to_have_text("was HEALTHY")
    assert "good" not in str(rows.nth(1).locator(".chip").first.get_attribute("class"))
    expect(rows.nth(2).locator(".chip").first).to_have_text("UNKNOWN")


def test_a_source_that_did_not_respond_is_unknown(bench: Bench) -> None:
    bench.filled()
    silent = cluster(
        topology=None,
        members=None,
        brokers={"declared": 3, "running": 3, "joined": None},
        unreachable=[{"part": "camunda", "reason": "no broker responded"}],
    )
    bench.returns("/clusters/demo", silent)
    page = bench.open("#/clusters/demo")
    expect(page.get_by_text("Unknown: no broker responded.")).to_be_visible()
    expect(page.get_by_text("? of 3")).to_be_visible()
    expect(page.get_by_text("camunda: no broker responded")).to_be_visible()


def test_operations_by_filters_and_pages(bench: Bench) -> None:
    bench.filled()
    page = bench.open("#/operations")
    page.get_by_label("Kind").select_option("scale")
    page.get_by_label("Cluster", exact=True).fill("demo")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="Older operations").click()
    expect(page.get_by_role("link", name="First page")).to_be_visible()
    assert page.url.endswith("#/operations?cluster=demo&verb=scale&next=more")
    assert bench.upstream.of("GET")[-1].path == (
        "/operations?cluster=demo&verb=scale&next=more&limit=25"
    )


@pytest.mark.parametrize("text", ["a b", "a+b/=", "ü&x=y", "!'()*~", "%2F", "a:b;c,d@$"])
def test_paths_and_queries_are_signed_as_they_are_sent(bench: Bench, text: str) -> None:
    """The gateway refuses another signature with 403."""
    bench.open()
    status = bench.page.evaluate(
        """async (text) => {
          const { Api } = await import("/api.js");
          const config = await (await fetch("/config.json")).json();
          const keys = await (await fetch("/credentials")).json();
          const api = new Api(config, async () => ({ ...keys, sessionToken: "token" }));
          const given = [];
          const asked = [[["operations"], { next: text }], [["clusters", text], {}]];
          for (const [path, query] of asked) {
            given.push(await api.get(path, query).then(() => 200, (error) => error.status));
          }
          return given;
        }""",
        text,
    )
    assert status[0] == 400
    assert status[1] in {400, 404}
    (asked,) = [one.path for one in bench.upstream.of("GET") if one.path.startswith("/operations")]
    assert parse_qs(urlsplit(asked).query)["next"] == [text]


# --- what is sent -------------------------------------------------------------------------------


def test_a_change_is_shown_as_it_is_sent_and_leads_to_its_operation(bench: Bench) -> None:
    page = bench.open("#/clusters/demo")
    scale(page, "4")
    dialog = page.get_by_role("dialog")
    shown = dialog.locator("pre").inner_text()
    dialog.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo.scale.")
    (sent,) = bench.upstream.of("PUT")
    key = sent.headers["idempotency-key"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", key)
    assert page.url.endswith(f"#/operations/demo.scale.{key}")
    assert shown == "\n".join(
        [
            "PUT /v1/clusters/demo/brokers",
            f"Idempotency-Key: {key}",
            f"If-Match: {sent.headers['if-match']}",
            "Content-Type: application/json",
            "",
            sent.body,
        ]
    )
    assert sent.headers["if-match"].startswith('"')
    assert json.loads(bench.api.execution(f"demo.scale.{key}").input) == {
        "clusterName": "demo",
        "count": 4,
    }
    expect(page.locator("#spoken")).to_contain_text(f"Operation demo.scale.{key}: RUNNING")


def scale(page: Page, count: str, button: str = "Scale") -> None:
    page.locator("summary", has_text="Scale").click()
    field = page.get_by_label("Brokers", exact=True)
    field.fill(count)
    brokers = page.locator("form").filter(has=field)
    brokers.get_by_role("button", name=button).click()


@pytest.mark.parametrize("count", ["0", "two", ""])
def test_a_refused_request_names_field_given_and_allowed(bench: Bench, count: str) -> None:
    page = bench.open("#/clusters/demo")
    scale(page, count)
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Send").click()
    row = dialog.get_by_role("row").nth(1)
    expect(row).to_contain_text("count")
    expect(dialog).to_contain_text("InvalidRequest")
    expect(dialog.get_by_role("columnheader")).to_have_text(["Field", "Given", "Allowed"])
    assert bench.api.world.executions.executions == {}
    dialog.get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_after_no_response_the_same_request_is_sent_again(bench: Bench) -> None:
    page = bench.open("#/clusters/demo")
    bench.upstream.instead["PUT", "/clusters/demo/brokers"] = (0, {}, None)
    scale(page, "4")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_contain_text("Whether it was carried out is not known.")
    bench.upstream.instead.clear()
    dialog.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo.scale.")
    keys = {one.headers["idempotency-key"] for one in bench.upstream.of("PUT")}
    assert len(keys) == 1
    assert len(bench.api.world.executions.executions) == 1


def test_what_cannot_be_undone_needs_the_name_typed_again(bench: Bench) -> None:
    page = bench.open("#/clusters/demo")
    page.locator("summary", has_text="Tear down").click()
    page.get_by_role("button", name="Tear down").click()
    dialog = page.get_by_role("dialog")
    send = dialog.get_by_role("button", name="Send")
    typed = dialog.get_by_label("Type the name demo again")
    for wrong in ("", "dem", "Demo", "demo "):
        typed.fill(wrong)
        expect(send).to_be_disabled()
        typed.press("Enter")
    assert bench.upstream.of("DELETE") == []
    typed.fill("demo")
    typed.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo.teardown.")
    (sent,) = bench.upstream.of("DELETE")
    assert json.loads(sent.body) == {"confirm": "demo"}


def test_a_cluster_that_changed_since_is_not_changed(bench: Bench) -> None:
    etag = '"of-before"'
    bench.returns("/clusters/demo", cluster(), ETag=etag)
    page = bench.open("#/clusters/demo")
    scale(page, "4")
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("pre")).to_contain_text(f"If-Match: {etag}")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_contain_text("ClusterChanged")
    assert bench.api.world.executions.executions == {}


def test_a_plan_is_read_and_then_applied_as_it_is(bench: Bench) -> None:
    bench.filled()
    page = bench.open("#/plans/demo.plan.one")
    expect(page.get_by_role("row").nth(1)).to_contain_text("Logs")
    expect(page.get_by_text("1.00 USD before, 2.00 USD after")).to_be_visible()
    page.get_by_role("button", name="Apply").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("pre")).to_contain_text('"changeSet": "plan-demo-one"')
    bench.upstream.problem("PUT", "/clusters/demo", 409, error="PlanStale", detail="It is stale.")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_contain_text("PlanStale It is stale.")
    (sent,) = bench.upstream.of("PUT")
    assert json.loads(sent.body) == {"changeSet": "plan-demo-one"}
    assert sent.headers["if-match"] == '"one"'


def test_every_action_is_a_route_of_the_api_with_its_headers_and_its_body(bench: Bench) -> None:
    bench.open()
    made = bench.page.evaluate(
        """async () => {
          const a = await import("/actions.js");
          const review = { operationId: "demo.plan.x", kind: "scale", unit: "brokers" };
          const plan = { ...review, apply: { clusterName: "demo", count: 4 } };
          const clusterName = "demo";
          const more = { ...review, unit: "partitions", apply: { clusterName, partitions: 6 } };
          const removal = { ...review, kind: "teardown", apply: { clusterName, confirm: "demo" } };
          const update = { kind: "update", changes: [{ action: "replace", holdsData: true }] };
          const all = [
            a.scaleBrokers("demo", 4), a.scalePartitions("demo", 6),
            a.restart("demo", "brokers", ""), a.restart("demo", "brokers", 2),
            a.restart("demo", "connectors", ""), a.rotate("demo", []), a.rotate("demo", ["admin"]),
            a.openManagement("demo", 60, ""), a.openManagement("demo", 30, "10.1.0.0/16"),
            a.closeManagement("demo"), a.takeBackup("demo"), a.deleteBackup("demo", "7"),
            a.planFormer("demo"), a.deleteFormer("demo"),
            a.planRestore("demo", { backup: "7", to: "" }), a.restore("demo", {}),
            a.restore("demo", { backup: "", to: "2026-11-30T08:00:00Z" }),
            a.restore("demo", { backup: "7", to: "", again: "on" }),
            a.planRehearsal("demo"), a.rehearse("demo"),
            a.plan("demo", { teardown: {} }), a.plan("demo", { scale: { count: 4 } }),
            a.plan("demo", { provision: { parameters: {} } }),
            a.freeze("demo", "audit"), a.thaw("demo"), a.tearDown("demo"),
            a.provision("demo", { changeSet: "x" }, true),
            a.cancel("demo.scale.x"), a.resume("demo.scale.x"),
            a.apply(plan, false), a.apply(plan, true), a.apply(more, true), a.apply(removal, true),
            a.apply({ ...update, apply: { clusterName: "demo", changeSet: "x" } }),
          ];
          const known = { etag: '"e"', key: "k" };
          return all.map((one) => ({ ...a.requestOf(one, known), typed: one.typed || "" }));
        }"""
    )
    assert len(made) == 34
    for one in made:
        route = "/" + "/".join(one["path"])
        route = re.sub(r"^/clusters/demo", "/clusters/{name}", route)
        route = re.sub(r"/backups/7$", "/backups/{id}", route)
        route = re.sub(r"^/operations/demo\.scale\.x", "/operations/{id}", route)
        described_ = DOCUMENT["paths"][route][one["method"].lower()]
        allowed = {each["name"] for each in described_["parameters"] if each["in"] == "header"}
        assert set(one["headers"]) == allowed, one
        body = described_.get("requestBody")
        assert (one.get("text") is not None) == (body is not None), one
        if body:
            schema = body["content"]["application/json"]["schema"]
            Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(
                json.loads(one["text"])
            )
        dangerous = one["method"] == "DELETE" and route == "/clusters/{name}"
        asked = str(one.get("text")) if one["method"] == "PUT" else ""
        dangerous |= route.endswith("/restores") and "confirm" in str(one.get("text"))
        if dangerous or "partitions" in asked or "changeSet" in asked:
            assert one["typed"] == "demo", one


def test_an_operation_is_cancelled_and_resumed_where_the_api_offers_it(bench: Bench) -> None:
    bench.filled()
    page = bench.open(f"#/operations/{RUNNING}")
    expect(page.get_by_role("button", name="Resume")).to_be_hidden()
    page.get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    bench.upstream.problem(
        "POST",
        f"/operations/{RUNNING}/cancel",
        409,
        error="OperationNotCancellable",
        detail="It has changed the count.",
        nextStep="Wait for its end.",
    )
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_contain_text("OperationNotCancellable It has changed the count.")
    expect(dialog).to_contain_text("Next: Wait for its end.")
    bench.returns(f"/operations/{RUNNING}", operation(status="ABORTED"))
    page.reload()
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


def test_an_error_has_what_is_true_now_and_the_next_step(bench: Bench) -> None:
    bench.filled()
    page = bench.open("#/operations/demo.scale.bad")
    note = page.locator(".note")
    expect(note).to_contain_text("StabilizationTimeout Partition 2 has no leader.")
    expect(note).to_contain_text("Now: 4 brokers run.")
    expect(note).to_contain_text("Next: Look at broker 1.")


def test_links_to_the_report_are_offered_with_their_end(bench: Bench) -> None:
    bench.filled()
    told = {
        "operationId": "demo.scale.bad",
        "reportUrl": "https://artifacts.example/report?X-Amz-Signature=1",
        "pageUrl": "javascript:alert(1)",
        "expiresAt": "2026-11-30T00:05:00.000Z",
    }
    bench.returns("/operations/demo.scale.bad/report", told)
    page = bench.open("#/operations/demo.scale.bad")
    page.get_by_role("button", name="Show the links").click()
    link = page.get_by_role("link", name="Report as JSON")
    assert link.get_attribute("href") == told["reportUrl"]
    assert link.get_attribute("rel") == "noopener noreferrer"
    expect(page.get_by_role("link", name="Page of the operation")).to_be_hidden()
    expect(page.get_by_text("The links end at 2026-11-30 00:05:00 UTC")).to_be_visible()


def test_a_missing_right_is_named(bench: Bench) -> None:
    detail = "User: arn:aws:iam::123456789012:user/vera is not authorized"
    bench.upstream.problem("PUT", "/clusters/demo/brokers", 403, title="Forbidden", detail=detail)
    page = bench.open("#/clusters/demo")
    scale(page, "4")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_contain_text(detail)
    expect(dialog).to_contain_text("execute-api:Invoke on PUT/clusters/demo/brokers")


# --- how it follows -----------------------------------------------------------------------------


def test_what_may_not_be_true_any_more_is_marked_until_it_is_read_again(bench: Bench) -> None:
    bench.filled()
    fresh = health(verdict="HEALTHY", checkedAt="2026-11-30T00:00:00Z", findings=[])
    bench.returns("/clusters/demo/health", fresh)
    page = bench.page
    page.clock.install(time="2026-11-30T00:00:30Z")
    bench.open("#/clusters/demo")
    verdict = page.locator("h1 .chip")
    expect(verdict).to_have_text("HEALTHY")
    kept = dict(bench.upstream.instead)
    for path in ("/clusters/demo", "/clusters/demo/health", "/operations"):
        bench.upstream.instead["GET", path] = (0, {}, None)
    page.clock.run_for(21_000)
    expect(verdict).to_have_text("was HEALTHY")
    expect(page.get_by_text("Not current: what is shown is of").first).to_be_visible()
    expect(page.get_by_text("Changes are possible when the present state")).to_be_visible()
    page.locator("summary", has_text="Restart").click()
    expect(page.get_by_role("button", name="Restart")).to_be_disabled()
    bench.upstream.instead.update(kept)
    page.clock.run_for(61_000)
    expect(verdict).to_have_text("HEALTHY")
    expect(page.get_by_role("button", name="Restart")).to_be_enabled()
    expect(page.get_by_text("Not current")).to_have_count(0)


def test_a_running_operation_is_followed_as_the_api_suggests_and_no_longer(bench: Bench) -> None:
    bench.filled()
    path = f"/operations/{RUNNING}"
    bench.returns(path, operation(), Retry_After="7")
    page = bench.page
    page.clock.install()
    bench.open(f"#/operations/{RUNNING}")
    expect(page.get_by_text("again every 7 s")).to_be_visible()

    def reads() -> int:
        return len([one for one in bench.upstream.of("GET") if one.path == path])

    assert reads() == 1
    page.clock.run_for(6_500)
    assert reads() == 1
    page.clock.run_for(1_000)
    expect(page.get_by_text("again every 7 s")).to_be_visible()
    page.wait_for_timeout(300)
    assert reads() == 2
    bench.returns(path, operation(status="SUCCEEDED", endedAt="2026-11-30T00:01:00.000Z"))
    page.clock.run_for(8_000)
    expect(page.locator("h1 .chip")).to_have_text("SUCCEEDED")
    ended = reads()
    page.clock.run_for(600_000)
    assert reads() == ended
    expect(page.locator("h1 .chip")).to_have_text("SUCCEEDED")


def test_a_hidden_tab_reads_nothing_and_looks_at_once_when_it_is_shown(bench: Bench) -> None:
    bench.filled()
    page = bench.page
    page.clock.install()
    bench.open("#/operations")
    expect(page.get_by_text("Read at")).to_be_visible()
    hide = """(hidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    before = len(bench.upstream.requests)
    page.clock.run_for(600_000)
    assert len(bench.upstream.requests) == before
    page.evaluate(hide, False)
    expect(page.get_by_text("Read at")).to_be_visible()
    assert len(bench.upstream.requests) == before + 1


def test_failures_are_repeated_ever_more_rarely(bench: Bench) -> None:
    bench.open()
    waits = bench.page.evaluate(
        """async () => {
          const { patience } = await import("/follow.js");
          const alone = [1, 2, 3, 4, 5, 6, 7, 50].map((n) => patience(n));
          return [...alone, patience(1, 30), patience(6, 1)];
        }"""
    )
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60, 30, 60]


# --- what is hostile ----------------------------------------------------------------------------

HOSTILE = '<img src=x onerror="window.taken=1"><script>window.taken=1</script>${taken}\'">'


def test_what_the_api_returns_is_text_wherever_it_is_shown(bench: Bench) -> None:
    bench.filled()
    finding = health()["findings"][0] | dict.fromkeys(
        ("title", "seen", "expected", "remedy", "subject"), HOSTILE
    )
    last = operation_line(startedBy=HOSTILE, operationId=HOSTILE)
    bench.returns("/clusters", {"clusters": [line(version=HOSTILE, stack=HOSTILE)], "next": None})
    hostile = cluster(
        status=HOSTILE,
        frozen=HOSTILE,
        restUrl="javascript:alert(1)",
        lastOperation=last,
        topology=[
            {"broker": HOSTILE, "partitions": {HOSTILE: {"role": HOSTILE, "health": HOSTILE}}}
        ],
        unreachable=[{"part": HOSTILE, "reason": HOSTILE}],
    )
    bench.returns("/clusters/demo", hostile)
    bench.returns("/clusters/demo/health", health(findings=[finding]))
    bench.returns("/operations", {"operations": [last], "next": HOSTILE})
    error = dict.fromkeys(("name", "cause", "nextStep", "currentState"), HOSTILE)
    progress = operation()["progress"] | {"step": HOSTILE, "detail": HOSTILE}
    told = operation(status="FAILED", error=error, progress=progress, startedBy=HOSTILE)
    bench.returns(f"/operations/{RUNNING}", told)
    bench.upstream.problem("GET", "/clusters/none", 404, error=HOSTILE, detail=HOSTILE)
    for view in (
        "",
        "#/clusters/demo",
        "#/operations",
        f"#/operations/{RUNNING}",
        "#/clusters/none",
    ):
        page = bench.open(view)
        page.reload()
        expect(page.locator("main")).to_contain_text("window.taken=1")
        assert page.evaluate(
            "() => [window.taken, document.images.length, document.scripts.length]"
        ) == [
            None,
            0,
            1,
        ]
        assert page.locator('a[href^="javascript"]').count() == 0


def test_the_page_cannot_be_made_to_run_or_reach_anything_else(bench: Bench) -> None:
    page = bench.open()
    done = page.evaluate(
        """async () => {
          const broken = [];
          const note = (event) => broken.push(event.effectiveDirective);
          document.addEventListener("securitypolicyviolation", note);
          const script = document.createElement("script");
          const markup = () => (document.body.innerHTML += "<b>x</b>");
          for (const one of [() => (script.text = "window.taken = 1"), markup]) {
            try { one(); } catch { broken.push("trusted types"); }
          }
          await fetch("https://example.com/").catch(() => broken.push("fetch"));
          await new Promise((done) => setTimeout(done, 300));
          return [broken, window.taken];
        }"""
    )
    assert done[1] is None
    assert {"trusted types", "fetch", "connect-src"} <= set(done[0])
    bench.seen.errors.clear()
    bench.seen.foreign.clear()


# --- who it is for ------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_can_be_read_and_used_by_everybody(
    bench: Bench, width: int, scheme: Any
) -> None:
    bench.filled()
    page = bench.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 800})
    views = (
        "",
        "#/clusters/demo",
        "#/operations",
        f"#/operations/{RUNNING}",
        "#/plans/demo.plan.one",
    )
    for view in views:
        bench.open(view)
        page.reload()
        known = page.locator("pre, .muted", has_text=re.compile("Read at|Plan|demo"))
        expect(known.first).to_be_visible()
        page.evaluate(
            "() => document.querySelectorAll('details').forEach((one) => (one.open = true))"
        )
        assert (view, faults(page)) == (view, [])
    bench.open("#/clusters/demo")
    page.locator("summary", has_text="Tear down").click()
    page.get_by_role("button", name="Tear down").click()
    assert faults(page) == []
    bench.upstream.instead["GET", "/clusters/demo"] = (0, {}, None)
    bench.open("#/operations")
    bench.open("#/clusters/demo")
    expect(page.get_by_text("could not be read").first).to_be_visible()
    assert faults(page) == []


def test_everything_is_reached_and_done_with_the_keyboard_alone(bench: Bench) -> None:
    page = bench.open("#/clusters/demo")
    expect(page.get_by_text("Read at").first).to_be_visible()
    page.evaluate(UNFOLD)
    assert len(reached_by_keyboard(page)) > 20
    missed = page.evaluate(
        """() => [...document.querySelectorAll("a, button, input, select, textarea, summary")]
          .filter((one) => !one.dataset.reached && !one.disabled)
          .map((one) => one.outerHTML.slice(0, 100))"""
    )
    assert missed == []
    page.get_by_label("Brokers", exact=True).focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("4")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("button:focus")).to_have_text("Scale")
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Send").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo.scale.")


# --- Cognito ------------------------------------------------------------------------------------


@dataclass
class Pool:
    """The hosted page, the token endpoint and the identity pool, as the console sees them."""

    bench: Bench
    expires: int = 3600

    def __post_init__(self) -> None:
        self.authorize: list[dict[str, list[str]]] = []
        self.forms: list[tuple[str, dict[str, list[str]]]] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.serial = itertools.count(1)
        self.other_state = ""
        self.bench.seen.elsewhere = {COGNITO, POOL}
        page = self.bench.page
        page.route("**/config.json", self._config)
        page.route(re.compile(rf"^{self.bench.origin}/(\?.*)?$"), self._document)
        page.route(re.compile(rf"^{COGNITO}/.*"), self._hosted)
        page.route(re.compile(rf"^{POOL}/.*"), self._pool)

    def _config(self, route: Route) -> None:
        url = urlsplit(self.bench.upstream.url)
        sign_in = {
            "kind": "cognito",
            "domain": COGNITO,
            "clientId": "client",
            "userPoolId": "eu-central-1_pool",
            "identityPoolId": "eu-central-1:identities",
        }
        api = {"host": url.netloc, "base": url.path}
        route.fulfill(json={"release": "1", "region": REGION, "api": api, "signIn": sign_in})

    def _document(self, route: Route) -> None:
        """Without the header of the local server, which connects to nothing else: as on AWS, the
        page's own policy permits Cognito."""
        response = route.fetch()
        headers = {**response.headers}
        del headers["content-security-policy"]
        route.fulfill(response=response, headers=headers)

    def _hosted(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        if url.path == "/oauth2/authorize":
            asked = parse_qs(url.query)
            self.authorize.append(asked)
            state = self.other_state or asked["state"][0]
            target = f"{asked['redirect_uri'][0]}?code=the-code&state={state}"
            # A redirection would bypass the route of the page that it leads to.
            refresh = f'<meta http-equiv="refresh" content="0;url={target}">'
            route.fulfill(content_type="text/html", body=refresh)
        elif url.path == "/logout":
            route.fulfill(content_type="text/html", body="<p>Signed out</p>")
        else:
            self.forms.append((url.path, parse_qs(route.request.post_data or "")))
            claims = base64.urlsafe_b64encode(json.dumps({"email": "ada@example.com"}).encode())
            token = f"e30.{claims.decode().rstrip('=')}.secret-{next(self.serial)}"
            document = {"id_token": token, "expires_in": self.expires, "token_type": "Bearer"}
            if "code" in self.forms[-1][1]:
                document |= {"refresh_token": "secret-refresh", "access_token": "secret-access"}
            route.fulfill(json=document, headers={"Access-Control-Allow-Origin": "*"})

    def _pool(self, route: Route) -> None:
        named = route.request.headers
        cors = {
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Headers": "content-type, x-amz-target",
        }
        if route.request.method == "OPTIONS":
            route.fulfill(status=204, headers=cors)
            return
        operation_ = named["x-amz-target"].removeprefix("AWSCognitoIdentityService.")
        self.calls.append((operation_, json.loads(route.request.post_data or "{}")))
        given = {
            "AccessKeyId": CREDENTIALS.access_key,
            "SecretKey": CREDENTIALS.secret_key,
            "SessionToken": CREDENTIALS.token,
            "Expiration": 4_000_000_000,
        }
        answer = {"IdentityId": "eu-central-1:ada", "Credentials": given}
        route.fulfill(json=answer, headers=cors)

    def sign_in(self, view: str = "#/clusters/demo") -> Page:
        page = self.bench.open(view)
        page.get_by_role("button", name="Sign in").click()
        return page


def test_a_person_signs_in_with_code_and_verifier(bench: Bench) -> None:
    pool = Pool(bench)
    page = pool.sign_in()
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo")
    assert page.url == f"{bench.origin}/#/clusters/demo"
    (asked,) = pool.authorize
    (path, form), *_ = pool.forms
    assert path == "/oauth2/token"
    assert form["grant_type"] == ["authorization_code"]
    assert (form["code"], form["client_id"]) == (["the-code"], ["client"])
    assert form["redirect_uri"] == asked["redirect_uri"] == [f"{bench.origin}/"]
    digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert asked["code_challenge"] == [challenge]
    assert asked["code_challenge_method"] == ["S256"]
    assert len(form["code_verifier"][0]) >= 43
    login = "cognito-idp.eu-central-1.amazonaws.com/eu-central-1_pool"
    assert [name for name, _ in pool.calls] == ["GetId", "GetCredentialsForIdentity"]
    assert pool.calls[0][1]["IdentityPoolId"] == "eu-central-1:identities"
    assert set(pool.calls[1][1]["Logins"]) == {login}
    expect(page.get_by_text("ada@example.com")).to_be_visible()
    assert bench.upstream.requests[0].headers["x-amz-security-token"] == "token"


def test_tokens_are_in_memory_only(bench: Bench) -> None:
    pool = Pool(bench)
    page = pool.sign_in()
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo")
    kept = page.evaluate(
        "() => [JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie,"
        " location.href, JSON.stringify(history.state)].join()"
    )
    assert "secret" not in kept
    assert "the-code" not in kept
    page.reload()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_an_answer_with_another_state_is_refused(bench: Bench) -> None:
    pool = Pool(bench, 3600)
    pool.other_state = "of-another-sign-in"
    page = pool.sign_in()
    expect(page.get_by_text("The sign-in was not begun in this tab")).to_be_visible()
    assert pool.forms == []
    assert "the-code" not in page.url
    bench.open("?code=x&state=y")
    expect(page.get_by_text("The sign-in was not begun in this tab")).to_be_visible()
    assert pool.forms == []


def test_a_refusal_of_the_hosted_page_is_shown(bench: Bench) -> None:
    pool = Pool(bench)
    page = bench.open()
    state = "mine"
    page.evaluate(
        "(state) => sessionStorage.setItem('camunda-ecs.sign-in',"
        " JSON.stringify({ state, verifier: 'v', hash: '' }))",
        state,
    )
    bench.open(f"?error=access_denied&error_description=<b>Not+you</b>&state={state}")
    expect(page.get_by_text("Sign-in was refused: <b>Not you</b>")).to_be_visible()
    assert pool.forms == []


def test_tokens_are_renewed_before_they_expire_and_given_up_at_the_end(bench: Bench) -> None:
    pool = Pool(bench, expires=60)
    page = pool.sign_in()
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo")
    kinds = [form["grant_type"][0] for path, form in pool.forms if path == "/oauth2/token"]
    assert kinds[:2] == ["authorization_code", "refresh_token"]
    assert pool.forms[1][1]["refresh_token"] == ["secret-refresh"]
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile(f"^{COGNITO}/logout"))
    assert pool.forms[-1] == (
        "/oauth2/revoke",
        {"token": ["secret-refresh"], "client_id": ["client"]},
    )
    assert page.url.startswith(f"{COGNITO}/logout?client_id=client&logout_uri=")


# --- answers that arrive late, or not at all ----------------------------------------------------


class Held:
    """Requests of one method to one path that wait until they are let go."""

    def __init__(self, bench: Bench, method: str, path: str) -> None:
        self.routes: list[Route] = []
        self.method = method
        bench.page.route(f"**/v1{path}", self._hold)

    def _hold(self, route: Route) -> None:
        if route.request.method == self.method:
            self.routes.append(route)
        else:
            route.continue_()

    def let_go(self) -> None:
        for route in self.routes:
            route.continue_()
        self.routes.clear()


def two_clusters(bench: Bench) -> None:
    bench.filled()
    bench.returns("/clusters/eu", cluster(name="eu"), ETag='"eu"')
    bench.returns("/clusters/eu/health", health(cluster="eu"))


@pytest.mark.parametrize("status", [202, 409])
def test_a_late_answer_leaves_the_dialog_of_another_cluster_alone(
    bench: Bench, status: int
) -> None:
    two_clusters(bench)
    if status == 409:
        bench.upstream.problem("PUT", "/clusters/demo/brokers", 409, error="ClusterBusy")
    else:
        bench.upstream.instead["PUT", "/clusters/demo/brokers"] = (
            202,
            {"Location": "/v1/operations/demo.scale.four"},
            {"operationId": RUNNING},
        )
    page = bench.open("#/clusters/demo")
    held = Held(bench, "PUT", "/clusters/demo/brokers")
    scale(page, "4")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_contain_text("Sending …")
    page.evaluate("() => (location.hash = '#/clusters/eu')")
    expect(page.get_by_role("heading", level=1)).to_contain_text("eu")
    scale(page, "5")
    expect(dialog).to_contain_text("Scale eu to 5 brokers")
    with page.expect_response("**/v1/clusters/demo/brokers"):
        held.let_go()
    expect(page.locator("#spoken")).to_contain_text("Scale demo to 4 brokers")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("Scale eu to 5 brokers")
    expect(dialog).not_to_contain_text("demo")
    assert page.url.endswith("#/clusters/eu")


def test_a_refusal_that_arrives_after_the_dialog_was_closed_is_shown(bench: Bench) -> None:
    bench.filled()
    bench.upstream.problem("PUT", "/clusters/demo/brokers", 409, error="ClusterBusy")
    page = bench.open("#/clusters/demo")
    held = Held(bench, "PUT", "/clusters/demo/brokers")
    scale(page, "4")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Send").click()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    held.let_go()
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("ClusterBusy")


def test_a_request_with_an_unknown_outcome_keeps_its_key_in_the_next_dialog(bench: Bench) -> None:
    page = bench.open("#/clusters/demo")
    bench.upstream.instead["PUT", "/clusters/demo/brokers"] = (0, {}, None)
    scale(page, "4")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_contain_text("Whether it was carried out is not known.")
    dialog.get_by_role("button", name="Close").click()
    field = page.get_by_label("Brokers", exact=True)
    form = page.locator("form").filter(has=field)
    # Another request is another one.
    field.fill("5")
    form.get_by_role("button", name="Scale").click()
    expect(dialog).not_to_contain_text("is not known")
    dialog.get_by_role("button", name="Close").click()
    field.fill("4")
    form.get_by_role("button", name="Scale").click()
    expect(dialog).to_contain_text("The outcome of this request is not known")
    bench.upstream.instead.clear()
    dialog.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo.scale.")
    keys = {one.headers["idempotency-key"] for one in bench.upstream.of("PUT")}
    assert len(keys) == 1
    # What was accepted is over: the next time, it is a new request.
    bench.open("#/clusters/demo")
    scale(page, "4")
    expect(dialog.locator("pre")).not_to_contain_text(keys.pop())


def test_a_request_that_was_never_sent_is_not_called_unknown(bench: Bench) -> None:
    bench.filled()
    page = bench.page
    page.clock.install()
    pool = Pool(bench)
    pool.sign_in()
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo")
    scale(page, "4")
    dialog = page.get_by_role("dialog")
    page.evaluate("() => (window.fetch = () => Promise.reject(new TypeError('offline')))")
    page.evaluate("() => (Date.now = () => 4_000_000_000_000)")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog.get_by_role("alert")).not_to_be_empty()
    expect(dialog.get_by_role("alert")).not_to_contain_text("is not known")
    assert bench.upstream.of("PUT") == []


def test_a_change_that_was_accepted_with_a_broken_body_is_called_unknown(bench: Bench) -> None:
    bench.filled()
    page = bench.open("#/clusters/demo")
    page.route(
        "**/v1/clusters/demo/brokers",
        lambda route: route.fulfill(status=202, content_type="application/json", body='{"opera'),
    )
    scale(page, "4")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_contain_text("Whether it was carried out is not known.")


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_a_path_cannot_have_is_refused_before_anything_is_sent(
    bench: Bench, name: str
) -> None:
    """A browser resolves it away, so that the request would be another one than the one shown."""
    page = bench.open()
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.method))
    told = page.evaluate(
        """async (name) => {
          const { Api } = await import("/api.js");
          const { plan, requestOf } = await import("/actions.js");
          const config = await (await fetch("/config.json")).json();
          const keys = await (await fetch("/credentials")).json();
          const request = requestOf(plan(name, {}), { key: "k" });
          const api = new Api(config, async () => keys);
          return api.ask(request).then(() => "", (one) => one.message);
        }""",
        name,
    )
    assert told == f'The name is "{name}"; allowed is one other than "", "." and "..".'
    assert "POST" not in sent


@pytest.mark.parametrize(
    ("detail", "lacking"),
    [
        ("User: arn:aws:iam::123456789012:user/vera is not authorized to perform", True),
        ("Signature expired: 20261130T000000Z is now earlier than 20261130T001000Z", False),
        ("The security token included in the request is expired", False),
        ("", False),
    ],
)
def test_only_a_denial_is_called_a_lacking_right(
    bench: Bench, detail: str, *, lacking: bool
) -> None:
    bench.upstream.problem("GET", "/clusters/demo", 403, title="Forbidden", detail=detail)
    page = bench.open("#/clusters/demo")
    expect(page.locator(".note.bad").first).to_contain_text(detail)
    expect(page.get_by_text("Lacking right")).to_have_count(1 if lacking else 0)


@pytest.mark.parametrize(
    ("kind", "body"), [("text/html", "<p>Maintenance</p>"), ("application/json", "{}")]
)
def test_an_answer_that_cannot_be_shown_leaves_nothing_that_looks_current(
    bench: Bench, kind: str, body: str
) -> None:
    bench.filled()
    page = bench.page
    page.clock.install()
    bench.open("#/clusters/demo")
    expect(page.get_by_text("3 of 3").first).to_be_visible()
    page.route(
        "**/v1/clusters/demo",
        lambda route: route.fulfill(status=200, content_type=kind, body=body),
    )
    page.clock.run_for(21_000)
    expect(page.get_by_text(re.compile("Not current|cannot be shown")).first).to_be_visible()
    page.evaluate(UNFOLD)
    restart = page.get_by_role("button", name="Restart", disabled=False)
    expect(restart).to_have_count(0)
    expect(page.locator("#spoken")).to_contain_text(re.compile("not current|cannot be shown"))
    page.unroute("**/v1/clusters/demo")
    page.clock.run_for(61_000)
    expect(page.get_by_text("3 of 3").first).to_be_visible()
    expect(page.get_by_text("Not current")).to_have_count(0)
    page.evaluate(UNFOLD)
    expect(restart).to_have_count(1)


def test_an_operation_that_others_can_resume_is_read_again(bench: Bench) -> None:
    bench.filled()
    path = f"/operations/{RUNNING}"
    bench.returns(path, operation(status="ABORTED", endedAt="2026-11-30T00:01:00.000Z"))
    page = bench.page
    page.clock.install()
    bench.open(f"#/operations/{RUNNING}")
    expect(page.locator("h1 .chip")).to_have_text("ABORTED")
    bench.returns(path, operation())
    page.clock.run_for(21_000)
    expect(page.locator("h1 .chip")).to_have_text("RUNNING")


@pytest.mark.parametrize("fault", ["500", "429", "offline"])
def test_a_disturbance_of_cognito_signs_nobody_out(bench: Bench, fault: str) -> None:
    """Credentials are renewed early, and are valid until they expire."""
    bench.filled()
    pool = Pool(bench)
    page = pool.sign_in()
    expect(page.get_by_text("ada@example.com")).to_be_visible()

    def disturbed(route: Route) -> None:
        if fault == "offline":
            route.abort()
        else:
            route.fulfill(
                status=int(fault),
                json={"__type": "TooManyRequestsException", "message": "later"},
                headers={"Access-Control-Allow-Origin": "*"},
            )

    page.route(re.compile(rf"^{POOL}/.*"), disturbed)
    page.route(re.compile(rf"^{COGNITO}/oauth2/.*"), disturbed)
    page.evaluate("(then) => { const now = Date.now; Date.now = () => then; }", 3_999_999_880_000)
    with page.expect_request(re.compile(COGNITO)):
        page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    before = len(bench.upstream.requests)
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo")
    expect(page.get_by_text("ada@example.com")).to_be_visible()
    page.wait_for_timeout(300)
    assert len(bench.upstream.requests) > before
    page.evaluate("() => (Date.now = () => 4_000_000_001_000)")
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_text("Cognito did not respond").first).to_be_visible()
    expect(page.get_by_role("button", name="Sign in")).to_be_hidden()
    bench.seen.foreign.clear()


def test_signing_out_shows_and_keeps_nothing_whatever_cognito_does(bench: Bench) -> None:
    bench.filled()
    pool = Pool(bench)
    page = pool.sign_in()
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo")
    page.route(f"{COGNITO}/oauth2/revoke", lambda _: None)
    page.clock.install()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    expect(page.locator("main")).not_to_contain_text("demo")
    page.clock.run_for(60_000)
    page.wait_for_url(re.compile(f"^{COGNITO}/logout"))


def test_signing_out_in_one_tab_signs_out_of_every_tab(bench: Bench) -> None:
    bench.filled()
    pool = Pool(bench)
    page = pool.sign_in()
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo")
    page.evaluate("() => new BroadcastChannel('camunda-ecs.sign-out').postMessage('')")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    expect(page.get_by_text("Signed out in another tab.")).to_be_visible()
    revoked = [form for path, form in pool.forms if path == "/oauth2/revoke"]
    assert [one["token"] for one in revoked] == [["secret-refresh"]]
    assert page.url == f"{bench.origin}/#/clusters/demo"
