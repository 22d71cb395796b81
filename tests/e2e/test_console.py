"""The console in a browser at work with a whole cluster, through the local API."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.support.browser import Seen, chromium
from tests.support.cloud import Cloud, other_retention

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from local.component import Instance

# A scale of the brokers of this machine takes about half a minute, under load some times that.
LONG = 240_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def endpoints(instance: Instance) -> dict[str, Any]:
    return dict(json.loads(instance.config.endpoints_file.read_text()))


@pytest.fixture
def page(browser: Browser, endpoints: dict[str, Any]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    found = context.new_page()
    found.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)
    seen = Seen(found, endpoints["console"])
    yield found
    context.close()
    seen.clean()


def test_a_scaling_is_started_and_watched_in_the_browser(
    page: Page, endpoints: dict[str, Any], instance: Instance
) -> None:
    Cloud(instance).given(3)
    page.goto(endpoints["console"])
    page.get_by_role("link", name="demo", exact=True).click()
    expect(page.get_by_text("3 of 3")).to_be_visible()
    shown = page.get_by_role("columnheader", name=re.compile(r"^Broker \d"))
    expect(shown).to_have_count(3)
    watching = page.context.new_page()
    seen = Seen(watching, endpoints["console"])
    watching.goto(page.url)
    expect(watching.get_by_text("3 of 3")).to_be_visible()

    page.locator("summary", has_text="Scale").click()
    field = page.get_by_label("Brokers", exact=True)
    field.fill("4")
    brokers = page.locator("form").filter(has=field)
    brokers.get_by_role("button", name="Scale").click()
    page.get_by_role("dialog").get_by_role("button", name="Send").click()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("demo.scale.")
    expect(heading).to_contain_text("RUNNING")

    expect(watching.get_by_role("columnheader", name=re.compile("^Broker 3"))).to_be_visible(
        timeout=LONG
    )
    expect(heading).to_contain_text("SUCCEEDED", timeout=LONG)
    expect(page.get_by_text("not current")).to_have_count(0)
    expect(watching.get_by_text("4 of 4")).to_be_visible(timeout=LONG)
    cells = watching.locator(".grid td .cell")
    expect(cells).to_have_count(9)
    expect(watching.locator(".grid td .leader")).to_have_count(3)
    assert Cloud(instance).counts("demo")["orchestration-cluster"] == (4, 4)
    seen.clean()

    page.get_by_role("button", name="Show the links").click()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Page of the operation").click()
    report = opened.value
    expect(report.get_by_role("heading", level=1)).to_contain_text("demo")
    assert report.evaluate("() => window.opener") is None


def test_a_plan_is_made_read_and_applied_in_the_browser(
    page: Page, endpoints: dict[str, Any], instance: Instance
) -> None:
    cloud = Cloud(instance)
    wanted = other_retention(cloud)
    page.goto(f"{endpoints['console']}/#/clusters/demo")
    page.locator("summary", has_text="Change parameters").click()
    page.get_by_label("Parameters as JSON").fill(json.dumps({"LogRetentionDays": wanted}))
    page.locator("form:has(textarea)").get_by_role("button", name="Plan").click()
    page.get_by_role("dialog").get_by_role("button", name="Send").click()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("SUCCEEDED", timeout=LONG)
    page.get_by_role("link", name="Read the plan").click()
    expect(heading).to_contain_text("Plan for demo READY")
    expect(page.get_by_label("The plan as text")).to_contain_text("LogRetentionDays")
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("dialog").get_by_role("button", name="Send").click()
    expect(heading).to_contain_text("demo.provision.")
    expect(heading).to_contain_text("SUCCEEDED", timeout=LONG)
    assert cloud.retention() == wanted


def test_a_viewer_reads_and_is_shown_which_right_is_missing(
    page: Page, endpoints: dict[str, Any], instance: Instance
) -> None:
    iam = instance.client("iam")
    api = endpoints["api"].split("/restapis/")[1].partition("/")[0]
    name = f"reader-{uuid.uuid4()}"
    iam.create_user(UserName=name)
    document = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": "execute-api:Invoke",
            "Resource": (
                f"arn:aws:execute-api:{endpoints['region']}:{endpoints['accountId']}:{api}/v1/GET/*"
            ),
        },
    }
    iam.put_user_policy(UserName=name, PolicyName="api", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"accessKeyId": key["AccessKeyId"], "secretAccessKey": key["SecretAccessKey"]}
    page.route("**/credentials", lambda route: route.fulfill(json=keys))
    page.goto(f"{endpoints['console']}/#/clusters/demo")
    page.locator("summary", has_text="Freeze").click()
    page.get_by_label("Reason").fill("audit")
    page.get_by_role("button", name="Freeze").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_contain_text("execute-api:Invoke on PUT/clusters/demo/freeze")
    expect(dialog).to_contain_text("is not authorized to perform: execute-api:Invoke")
    dialog.get_by_role("button", name="Close").click()
    expect(page.get_by_role("heading", level=1)).not_to_contain_text("FROZEN")


def test_the_signature_of_another_key_is_refused_by_the_api(
    page: Page, endpoints: dict[str, Any]
) -> None:
    """So that the others show that the console signs as AWS requires."""
    keys = {"accessKeyId": endpoints["accessKeyId"], "secretAccessKey": "wrong"}
    page.route("**/credentials", lambda route: route.fulfill(json=keys))
    page.goto(endpoints["console"])
    expect(page.get_by_text("could not be read: its state is unknown")).to_be_visible()
    expect(page.locator(".note.bad")).to_contain_text("signature")


def test_a_freeze_is_set_and_lifted(page: Page, endpoints: dict[str, Any]) -> None:
    page.goto(f"{endpoints['console']}/#/clusters/demo")
    page.locator("summary", has_text="Freeze").click()
    page.get_by_label("Reason").fill("audit until Friday")
    page.get_by_role("button", name="Freeze").click()
    page.get_by_role("dialog").get_by_role("button", name="Send").click()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("FROZEN")
    expect(page.get_by_text("audit until Friday").first).to_be_visible()
    page.get_by_role("button", name="Lift the freeze").click()
    page.get_by_role("dialog").get_by_role("button", name="Send").click()
    expect(heading).not_to_contain_text("FROZEN")


def test_it_works_on_a_telephone(page: Page, endpoints: dict[str, Any]) -> None:
    page.set_viewport_size({"width": 375, "height": 700})
    page.goto(endpoints["console"])
    page.get_by_role("link", name="demo", exact=True).click()
    expect(page.get_by_text("Read at").first).to_be_visible()
    wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
