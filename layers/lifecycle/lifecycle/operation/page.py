"""Keep the page of a report beside it. The report counts; a page never fails an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lifecycle.observability import logger
from lifecycle.pages.look import document
from lifecycle.pages.markup import tag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.operation.ports import Artifacts
    from lifecycle.operation.record import Stored

HTML_TYPE: Final = "text/html; charset=utf-8"


def page_key(report_key: str) -> str:
    """Return the key of the page beside a report in JSON."""
    return f"{report_key.removesuffix('.json')}.html"


def keep_page(
    artifacts: Artifacts,
    report_key: str,
    render: Callable[[Mapping[str, Any]], str],
    report: Mapping[str, Any],
) -> Stored | None:
    """Store the page of a report; returns which version that is, None where it was not stored.

    Where it cannot be rendered, a page that states so and names the report takes its place. What
    went wrong is logged; nothing is raised.
    """
    key = page_key(report_key)
    try:
        page = render(report)
    except Exception:  # noqa: BLE001 - the report counts
        logger.exception("The page could not be rendered", extra={"report_key": report_key})
        page = _substitute(report_key)
    try:
        return artifacts.put(key, page.encode(errors="replace"), HTML_TYPE)
    except Exception:  # noqa: BLE001 - the report counts
        logger.exception("The page could not be stored", extra={"report_key": report_key})
        return None


def _substitute(report_key: str) -> str:
    return document(
        "This page could not be rendered",
        header=tag("h1", "This page could not be rendered"),
        main=tag(
            "p",
            "The report in JSON is complete: ",
            tag("code", report_key),
            " in the artifact bucket. The functions' log group has the error.",
        ),
        footer=None,
    )
