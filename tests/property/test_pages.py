"""Any report renders: of another release, cut, or with values of other kinds."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from lifecycle.pages.operation import operation_page
from lifecycle.pages.plan import plan_page

from tests.unit import test_plan_report as plans
from tests.unit.test_pages import FAILED, REPORT, SCALING, TEARDOWN, Document

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
DOCUMENTS = [REPORT, FAILED, SCALING, TEARDOWN, plans.plan(plans.UPDATE)]


def paths(value: Any, *path: str | int) -> list[tuple[str | int, ...]]:
    """Every place in a document."""
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path, *(one for key, child in inner for one in paths(child, *path, key))]


def is_whole(page: str) -> None:
    """One document whose tags are balanced, and whose values became neither tags nor attributes."""
    found = Document(page)
    assert len(found.all("html")) == len(found.all("main")) == len(found.all("h1")) == 1
    assert found.all("script", "iframe", "img", "form", "object") == []
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """A document in which some values were replaced, and some are gone."""
    document = json.loads(json.dumps(draw(st.sampled_from(DOCUMENTS))))
    for _ in range(draw(st.integers(1, 4))):
        *way, last = draw(st.sampled_from([one for one in paths(document) if one]))
        parent = document
        for step in way:
            parent = parent[step]
        if draw(st.booleans()) and isinstance(parent, dict):
            del parent[last]
        else:
            parent[last] = draw(VALUES)
    return dict(document)


@given(damaged())
def test_any_report_renders_as_a_whole_document(document: dict[str, Any]) -> None:
    for page in (operation_page(document), plan_page(document)):
        is_whole(page)
        page.encode()


@given(st.dictionaries(st.text(max_size=12), VALUES, max_size=5))
def test_anything_at_all_renders(document: dict[str, Any]) -> None:
    is_whole(operation_page(document))
    is_whole(plan_page(document))
