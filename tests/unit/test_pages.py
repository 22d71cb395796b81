"""Pages of operations and plans: whole documents that anybody can read, whatever a report holds."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from html.parser import HTMLParser
from typing import Any, ClassVar

import pytest
from lifecycle.observability import logger
from lifecycle.operation.page import keep_page
from lifecycle.operation.progress import with_waits
from lifecycle.pages.grid import Cell, of_placement, of_topology
from lifecycle.pages.look import PAIRS, PALETTE
from lifecycle.pages.operation import operation_page
from lifecycle.pages.plan import plan_page
from lifecycle.pages.read import lasted
from lifecycle.teardown.decisions import absent_plan

from tests.fakes.s3 import FakeArtifacts
from tests.unit import test_cluster_access as ways
from tests.unit import test_plan_report as plans

ARN = "arn:aws:states:eu-central-1:123456789012:execution:control-scale:demo.scale.k"
VOID = {"meta", "br", "link", "img", "input", "hr"}


def row(broker: int, **roles: str) -> dict[str, Any]:
    partitions = {name[1:]: {"role": role, "health": "healthy"} for name, role in roles.items()}
    return {"broker": broker, "state": "ACTIVE", "partitions": partitions}


REPORT: dict[str, Any] = {
    "operationId": "demo.scale.k",
    "cluster": "demo",
    "machine": "scale",
    "result": "SUCCEEDED",
    "startedAt": "2026-01-01T00:00:00.000Z",
    "endedAt": "2026-01-01T00:05:00.000Z",
    "startedBy": "arn:aws:iam::123456789012:user/ada",
    "reportKey": "operations/demo/scale/demo.scale.k.json",
    "request": {"cluster": "demo", "count": 4, "approves": "demo.plan.k"},
    "operation": {"execution_arn": ARN},
    "timeline": [
        {
            "step": "Tasks start",
            "at": "2026-01-01T00:00:01.000Z",
            "waits": [{"detail": "3 of 4 tasks run", "at": "2026-01-01T00:00:02.000Z"}],
        },
        {"step": "Verification", "at": "2026-01-01T00:04:00.000Z", "waits": []},
    ],
    "topologies": {
        "before": {"at": "2026-01-01T00:00:00.000Z", "brokers": [row(0, p1="leader")]},
        "during": {
            "at": "2026-01-01T00:01:00.000Z",
            "brokers": [
                row(0, p1="leader"),
                {"broker": 1, "state": "JOINING", "partitions": {"1": {"state": "JOINING"}}},
            ],
        },
        "after": {
            "at": "2026-01-01T00:04:00.000Z",
            "brokers": [row(0, p1="leader"), row(1, p1="follower")],
        },
    },
    "verification": {
        "checks": [
            {"name": "every broker runs", "result": "PASS", "seen": "4 of 4", "remedy": ""},
            {"name": "backup", "result": "WARN", "seen": "none", "remedy": "Take one."},
        ],
        "unit": "brokers",
        "brokers": {"before": 3, "after": 4},
        "partitions": {"before": 1, "after": 1},
        "change": {"id": 2, "operations": 8},
        "cost": {
            "before": {"total": "700.00", "items": {"brokers": "600.00"}, "currency": "USD"},
            "after": {"total": "900.00", "items": {"brokers": "800.00"}, "currency": "USD"},
            "notIncluded": "storage",
        },
    },
}
PROVISIONED: dict[str, Any] = {
    **{name: value for name, value in REPORT.items() if name != "topologies"},
    "operationId": "demo.provision.k",
    "machine": "provision",
    "request": {"cluster": "demo", "parameters": {"Brokers": 3}},
}
WITH_ACCESS = {
    f"provision, {name}": {**PROVISIONED, "access": found}
    for name, found in {
        "in clear": ways.told(ways.CLEAR),
        "with a certificate": ways.told(ways.NAMED, tasks=[ways.USABLE]),
        "with OIDC": ways.told(ways.OIDC, tasks=[ways.USABLE]),
        "of the internet": ways.told(
            ways.NAMED, {"LoadBalancerScheme": "internet-facing", "AllowedCidrs": "203.0.113.0/24"}
        ),
    }.items()
}
OPENED: dict[str, Any] = {
    **{name: value for name, value in PROVISIONED.items() if name != "verification"},
    "operationId": "demo.manage.k",
    "machine": "manage",
    "request": {"cluster": "demo", "minutes": 30},
    "managementAccess": {
        "open": True,
        "url": "http://internal-demo.eu-central-1.elb.amazonaws.com:9600",
        "until": "2026-01-01T00:30:00Z",
        "from": ["10.20.0.0/16"],
        "warning": "It has no authentication.",
        "close": "DELETE /clusters/demo/management-access closes it before its end",
    },
}
FAILED = {
    **REPORT,
    "result": "FAILED",
    "error": "TasksNotPlaced",
    "cause": "Tasks for the new brokers failed to start.",
    "nextStep": "Raise the quota.",
    "currentState": "Stack control-demo is in UPDATE_COMPLETE.",
}
REHEARSED: dict[str, Any] = {
    **{name: REPORT[name] for name in ("cluster", "startedAt", "endedAt", "startedBy", "timeline")},
    "operationId": "demo.rehearse.k",
    "machine": "rehearse",
    "result": "SUCCEEDED",
    "request": {"cluster": "demo", "trial": "demo-rh-2a97b"},
    "rehearsal": {
        "result": "WARN",
        "failure": "",
        "trial": "demo-rh-2a97b",
        "backup": 1735689900000,
        "at": "2026-01-01T00:05:00.000Z",
        "copied": {"objects": 1204, "bytes": 98765432},
        "recoverySeconds": 1325,
        "checks": [
            {
                "name": "markers",
                "result": "PASS",
                "seen": "each of 3 process instances is in the copy",
                "remedy": "",
            },
            {
                "name": "user tasks created",
                "result": "WARN",
                "seen": "the copy has all time 9 instead of 7",
                "remedy": "None.",
            },
        ],
        "operations": {
            "backup": {"operationId": "demo.backup.rh-1", "status": "SUCCEEDED", "seconds": 62},
            "restore": {
                "operationId": "demo-rh-2a97b.restore.rh-1",
                "status": "SUCCEEDED",
                "seconds": 1325,
            },
            "teardown": {
                "operationId": "demo-rh-2a97b.teardown.rh-1",
                "status": "RUNNING",
                "seconds": None,
            },
        },
    },
}
TEARDOWN = {
    "operationId": "demo.plan.t",
    "kind": "teardown",
    "status": "READY",
    "apply": {"clusterName": "demo", "confirm": "demo"},
    "cluster": "demo",
    "stack": "control-demo",
    "stackStatus": "CREATE_COMPLETE",
    "goes": {"AWS::ECS::Cluster": 1},
    "kept": [
        {
            "logicalId": "Files",
            "id": "fs-1",
            "what": "file system with the brokers' data",
            "howToDelete": "aws efs delete-file-system --file-system-id fs-1",
            "monthlyCost": None,
            "price": "0.36 USD per GB, size unknown",
        }
    ],
    "monthlyCost": "1.00",
    "notPriced": ["Files"],
    "currency": "USD",
}
SCALING: dict[str, Any] = {
    "operationId": "demo.plan.k",
    "kind": "scale",
    "status": "READY",
    "cluster": "demo",
    "unit": "brokers",
    "from": 3,
    "to": 4,
    "next": ["set the desired count to 4", "request 4 brokers from Camunda"],
    "operations": ["BROKER_ADD broker 3"],
    "placement": {"before": {"1": [0, 1]}, "after": {"1": [3, 0]}},
    "moves": [{"partition": "1", "joins": [3], "leaves": [1]}],
    "brokersWithoutPartition": [],
    "checks": [{"name": "every broker runs", "result": "PASS", "seen": "", "remedy": ""}],
    "apply": {"clusterName": "demo", "count": 4},
}
EVERY = {
    "operation": operation_page(REPORT),
    **{name: operation_page(report) for name, report in WITH_ACCESS.items()},
    "failed operation": operation_page(FAILED),
    "rehearsal": operation_page(REHEARSED),
    "empty operation": operation_page({}),
    "plan of a creation": plan_page(plans.plan(plans.CREATION)),
    "plan of an update": plan_page(plans.plan(plans.UPDATE, author="ada")),
    "plan of scaling": plan_page(SCALING),
    "plan of a teardown": plan_page(TEARDOWN),
    "plan of a teardown of nothing": plan_page(absent_plan("control-demo", "demo")),
    "empty plan": plan_page({}),
}


class Document(HTMLParser):
    """What a browser builds of a page, and what it must not hold."""

    ALLOWED: ClassVar = {"a", "svg", "rect", "title", "style", "meta"}

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name in names]

    @property
    def text(self) -> str:
        return "".join(text for name, text in self.texts if name != "style")


every = pytest.mark.parametrize("page", EVERY.values(), ids=EVERY.keys())


@every
def test_a_page_is_a_whole_document_with_language_title_and_one_first_heading(page: str) -> None:
    found = Document(page)
    assert page.startswith("<!doctype html>\n")
    assert [one["lang"] for one in found.all("html")] == ["en"]
    assert len(found.all("title")) == 1 + len(found.all("svg"))
    assert len(found.all("main")) == len(found.all("h1")) == 1
    levels = [int(name[1]) for name, _ in found.tags if re.fullmatch("h[1-6]", name)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@every
def test_a_page_loads_and_runs_nothing(page: str) -> None:
    found = Document(page)
    names = {name for name, _ in found.tags}
    assert names.isdisjoint({"script", "link", "img", "iframe", "form", "object", "base", "input"})
    attributes = {key for _, one in found.tags for key in one}
    assert not any(one.startswith("on") or one in {"style", "src"} for one in attributes)
    assert all(str(one["href"]).startswith("https://") for one in found.all("a"))
    # No address leaves with a link: the page's own is a presigned one.
    metas = {one.get("name"): one.get("content") for one in found.all("meta")}
    assert metas["referrer"] == "no-referrer"


@every
def test_the_policy_allows_exactly_the_style_sheet_that_is_there(page: str) -> None:
    style = page[page.index("<style>") + len("<style>") : page.index("</style>")]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(
        str(one["content"])
        for one in Document(page).all("meta")
        if one.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert not set("<&") & set(style)


@every
def test_tables_and_pictures_are_readable_without_seeing_them(page: str) -> None:
    found = Document(page)
    assert len(found.all("caption")) == len(found.all("table"))
    assert all(one.get("scope") in {"col", "row"} for one in found.all("th"))
    assert all(one.get("role") == "img" and one.get("aria-label") for one in found.all("svg"))
    scrolls = [one for one in found.all("div") if one.get("class") == "scroll"]
    assert all(one["tabindex"] == "0" and one["aria-label"] for one in scrolls)


def luminance(colour: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_contrast_is_that_of_level_aa(text: str, ground: str, scheme: int) -> None:
    both = sorted(luminance(PALETTE[name][scheme]) for name in (text, ground))
    assert (both[1] + 0.05) / (both[0] + 0.05) >= 4.5


HOSTILE = "</style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;\u202e\x00"


def hostile(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: hostile(one) for key, one in value.items()} | {HOSTILE: HOSTILE}
    if isinstance(value, list):
        return [*(hostile(one) for one in value), HOSTILE]
    return HOSTILE if isinstance(value, str) else value


@pytest.mark.parametrize(
    "page",
    [
        operation_page(hostile(FAILED)),
        *(operation_page(hostile(report)) for report in WITH_ACCESS.values()),
        plan_page(hostile(plans.plan(plans.UPDATE))),
        plan_page({**hostile(SCALING), "kind": "scale", "status": "READY"}),
        plan_page(hostile(TEARDOWN)),
    ],
)
def test_what_a_report_holds_is_text_whatever_it_is(page: str) -> None:
    found = Document(page)
    test_a_page_loads_and_runs_nothing(page)
    assert "<script>alert(1)</script>" in found.text
    assert not set("\u202e\x00") & set(page)


def test_the_page_of_an_operation_holds_what_people_look_for() -> None:
    text = Document(operation_page(REPORT)).text
    for one in (
        "Scaling of demo",
        "SUCCEEDED",
        "arn:aws:iam::123456789012:user/ada",
        "5 min",
        "3 → 4",
        "3 of 4 tasks run (3 min 58 s)",
        "1 of 2 checks passed.",
        "Take one.",
        "900.00 USD",
        "demo.plan.k",
        "operations/demo/scale/demo.scale.k.json",
    ):
        assert one in text
    assert "Error" not in text


@pytest.mark.parametrize(
    ("kind", "held"),
    [
        ("in clear", ["in clear", "AdminUserSecret-1a2b3c", "get-secret-value", "VPN"]),
        (
            "with a certificate",
            [
                f"{ways.GRPC_LB}:26500 with TLS, certificate of camunda.example.com",
                "aws ssm start-session",
                "127.0.0.1 camunda.example.com",
            ],
        ),
        ("with OIDC", ["ada@example.com", "https://login.example.com/realms/camunda"]),
        ("of the internet", ["internet-facing", "203.0.113.0/24"]),
    ],
)
def test_the_page_of_a_provisioning_shows_how_to_log_in(kind: str, held: list[str]) -> None:
    found = Document(operation_page(WITH_ACCESS[f"provision, {kind}"]))
    assert "Log in" in found.text
    for one in (*held, "/operate", "/tasklist", "/admin", "/v2", "/connectors"):
        assert one in found.text
    hrefs = [str(one["href"]) for one in found.all("a")]
    assert any(one.endswith("/operate") for one in hrefs) is (kind != "in clear")


def test_a_page_without_access_has_no_box_for_it() -> None:
    for report in (REPORT, PROVISIONED, {**PROVISIONED, "access": None}):
        assert "Log in" not in Document(operation_page(report)).text


def test_the_page_of_an_opening_shows_where_until_when_and_how_it_is_closed() -> None:
    page = operation_page(OPENED)
    for held in OPENED["managementAccess"].values():
        if held is not True:
            assert (held[0] if isinstance(held, list) else held) in page, held
    closed = {**OPENED, "managementAccess": {"open": False, "wasOpen": True}}
    assert "Management API" not in operation_page(closed)


def test_the_page_of_a_rehearsal_shows_the_recovery_time_and_what_was_compared() -> None:
    text = Document(operation_page(REHEARSED)).text
    for one in (
        "Rehearsal of a restore of demo",
        "22 min 5 s",
        "recovery time",
        "1735689900000",
        "1204 objects of the backup bucket, 98765432 bytes",
        "demo-rh-2a97b",
        "demo.backup.rh-1 SUCCEEDED after 1 min 2 s",
        "demo-rh-2a97b.restore.rh-1 SUCCEEDED after 22 min 5 s",
        "demo-rh-2a97b.teardown.rh-1 RUNNING",
        "each of 3 process instances is in the copy",
        "the copy has all time 9 instead of 7",
        "1 of 2",
    ):
        assert one in text, one


def test_the_page_of_a_rehearsal_that_measured_nothing_shows_no_recovery_time() -> None:
    found = {**REHEARSED["rehearsal"], "result": "FAIL", "recoverySeconds": None, "checks": []}
    failure = {"result": "FAILED", "error": "RehearsalFailed", "cause": "no capacity"}
    text = Document(operation_page({**REHEARSED, **failure, "rehearsal": found})).text
    assert "not measured: the restore did not come to its end" in text
    assert "recovery time" not in text
    assert "no capacity" in text


def test_a_failed_operation_shows_error_state_and_next_step() -> None:
    text = Document(operation_page(FAILED)).text
    for name in ("error", "cause", "nextStep", "currentState"):
        assert FAILED[name] in text


def test_the_execution_is_linked_in_the_console_of_its_partition() -> None:
    def links(arn: str) -> list[str | None]:
        page = operation_page({**REPORT, "operation": {"execution_arn": arn}})
        return [one["href"] for one in Document(page).all("a")]

    assert links(ARN) == [
        "https://console.aws.amazon.com/states/home?region=eu-central-1#/v2/executions/details/"
        + ARN
    ]
    assert str(links(ARN.replace("arn:aws:", "arn:aws-cn:"))[0]).startswith(
        "https://console.amazonaws.cn/"
    )
    assert links("javascript:alert(1)") == []
    assert links(ARN.replace("arn:aws:", "arn:elsewhere:")) == []


def test_a_grid_has_words_for_each_sign() -> None:
    page = operation_page(REPORT)
    text = Document(page).text
    for one in ("Before, 2026-01-01 00:00:00 UTC", "During", "After", "leader, healthy"):
        assert one in text
    assert "role not seen, joining" in text
    cells = (Cell("leader", "unhealthy"), Cell("follower", "healthy", "JOINING"), Cell("inactive"))
    assert [(one.kind, one.letter) for one in cells] == [
        ("ill", "L!"),
        ("moving", "F+"),
        ("unseen", "I"),
    ]


def test_brokers_and_partitions_stand_in_the_order_of_their_numbers() -> None:
    placed = of_placement("x", {"10": [10, 9], "9": [2]}, idle=[11])
    assert placed is not None
    assert placed.brokers == ("2", "9", "10", "11")
    assert placed.partitions == ["9", "10"]
    assert placed.cells["10", "10"].role == "leader"
    assert of_topology("x", []) is None


def test_a_plan_of_scaling_names_the_call_that_applies_it() -> None:
    ways = {"stop": "Stop the execution.", "undo": "Scale back."}
    text = Document(plan_page({**SCALING, **ways})).text
    assert 'PUT /clusters/demo/brokers\n{"count": 4}' in text
    assert '"approves": "demo.plan.k"' in text
    assert "To undo" in text
    refused = Document(plan_page({**SCALING, **ways, "status": "REFUSED"})).text
    assert not [words for words in ("Apply", "To stop", "To undo") if words in refused]


def test_a_plan_of_a_teardown_names_what_stays_and_the_call() -> None:
    text = Document(plan_page(TEARDOWN)).text
    for one in (
        "aws efs delete-file-system --file-system-id fs-1",
        "at least 1.00 USD a month at the current size; unknown for Files",
        'DELETE /clusters/demo\n{"confirm": "demo"}',
        '"approves": "demo.plan.t"',
    ):
        assert one in text


def test_replacements_of_data_stand_first_and_loud() -> None:
    page = plan_page(plans.plan(plans.UPDATE))
    assert "Logs (AWS::Logs::LogGroup) is changed in place" in Document(page).text
    assert 'class="note warn"' in page


@pytest.mark.parametrize(
    ("until", "words"),
    [
        ("2026-01-01T00:00:00.400Z", "under 1 s"),
        ("2026-01-01T00:00:09.600Z", "10 s"),
        ("2026-01-01T01:00:05.000Z", "1 h 5 s"),
        ("2025-12-31T23:59:59.000Z", ""),
        ("no moment", ""),
    ],
)
def test_durations_are_words_and_never_negative(until: str, words: str) -> None:
    assert lasted("2026-01-01T00:00:00.000Z", until) == words


class TestKeeping:
    KEY = "operations/demo/scale/demo.scale.k.json"

    def test_the_page_stands_beside_its_report(self) -> None:
        artifacts = FakeArtifacts()
        stored = keep_page(artifacts, self.KEY, operation_page, REPORT)
        assert stored is not None
        assert stored.key == "operations/demo/scale/demo.scale.k.html"
        assert artifacts.objects[stored.key].decode() == operation_page(REPORT)

    def test_what_cannot_be_rendered_is_logged_and_names_its_report(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        logged: list[str] = []
        monkeypatch.setattr(logger, "exception", lambda text, **_: logged.append(text))

        def broken(report: object) -> str:
            raise ZeroDivisionError(str(report))

        artifacts = FakeArtifacts()
        stored = keep_page(artifacts, self.KEY, broken, REPORT)
        assert stored is not None
        text = Document(artifacts.objects[stored.key].decode()).text
        assert "could not be rendered" in text
        assert self.KEY in text
        assert logged == ["The page could not be rendered"]

    def test_what_cannot_be_stored_is_logged_and_raises_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        logged: list[str] = []
        monkeypatch.setattr(logger, "exception", lambda text, **_: logged.append(text))
        artifacts = FakeArtifacts()
        monkeypatch.setattr(artifacts, "put", lambda *_: 1 / 0)
        assert keep_page(artifacts, self.KEY, operation_page, REPORT) is None
        assert logged == ["The page could not be stored"]


def test_waits_belong_to_the_last_entry_of_their_step() -> None:
    timeline = [{"step": one, "at": at} for one, at in (("a", "1"), ("b", "3"), ("a", "5"))]
    waits = [
        {"step": "a", "detail": "x", "at": "1"},
        {"step": "a", "detail": "y", "at": "6"},
        {"step": "c", "detail": "z", "at": "7"},
        {"step": "b", "detail": "", "at": "3"},
    ]
    found = with_waits(timeline, waits)
    assert [[one["detail"] for one in entry["waits"]] for entry in found] == [["x"], [], ["y"]]
    assert timeline[0] == {"step": "a", "at": "1"}
