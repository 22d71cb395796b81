"""Pages of operations and plans in a browser: readable on a phone whatever they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.pages.operation import operation_page
from lifecycle.pages.plan import plan_page

from tests.support.browser import chromium, faults
from tests.unit import test_pages as pages
from tests.unit import test_plan_report as plans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

pytestmark = pytest.mark.integration

LONG = f"https://login.example.com/realms/{'of_a_tenant/' * 6}configuration"


def long(value: Any) -> Any:
    """Give the same with an address in each text, which a line can hold no part of."""
    if isinstance(value, dict):
        return {key: long(one) for key, one in value.items()}
    if isinstance(value, list):
        return [long(one) for one in value]
    if isinstance(value, str) and " " in value:
        return f"{value} {LONG}"
    return value


PAGES = {
    **pages.EVERY,
    "long: operation": operation_page(long(pages.REPORT)),
    "long: failed operation": operation_page(long(pages.FAILED)),
    **{f"long: {name}": operation_page(long(one)) for name, one in pages.WITH_ACCESS.items()},
    "long: plan of a creation": plan_page(long(plans.plan(plans.CREATION))),
    "long: plan of an update": plan_page(long(plans.plan(plans.UPDATE, author="ada"))),
    "long: plan of scaling": plan_page(long(pages.SCALING)),
    "long: plan of a teardown": plan_page(long(pages.TEARDOWN)),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_readable(browser: Browser, scheme: Any, width: int) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    with context.new_page() as page:
        for name, content in PAGES.items():
            page.set_content(content)
            page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
            assert (name, faults(page)) == (name, [])
