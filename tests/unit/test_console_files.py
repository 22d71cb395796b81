"""The console's files: what others wrote is as published, and the palette is that of the pages."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from lifecycle.console.files import TYPES
from lifecycle.pages.look import PAIRS, PALETTE

from local.config import REPOSITORY

pytestmark = pytest.mark.unit
CONSOLE = REPOSITORY / "console"
VENDOR = CONSOLE / "vendor"
OWN = sorted(path for path in CONSOLE.glob("*.js"))
LISTED = json.loads((VENDOR / "vendor.json").read_text())
# More than this is another kind of program, with a build and a framework.
MOST_LINES = 1100


@pytest.mark.parametrize("one", LISTED, ids=lambda one: str(one["name"]))
def test_what_others_wrote_is_as_published(one: dict[str, str]) -> None:
    content = (VENDOR / one["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == one["sha256"]
    assert one["licence"] in content.decode()
    assert "Copyright" in (VENDOR / one["text"]).read_text()


def test_nothing_else_is_beside_it() -> None:
    named = {one[key] for one in LISTED for key in ("file", "text")}
    assert {path.name for path in VENDOR.iterdir()} == {*named, "vendor.json"}


def variables(text: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", text))


def test_the_palette_is_that_of_the_pages() -> None:
    light, dark = (CONSOLE / "console.css").read_text().split("prefers-color-scheme: dark")
    dark = dark.split("}")[0]
    assert variables(light) == {name: pair[0] for name, pair in PALETTE.items()}
    assert variables(dark) == {name: pair[1] for name, pair in PALETTE.items()}
    assert ("muted", "panel") in PAIRS


def test_it_stays_small_and_builds_no_markup_from_data() -> None:
    texts = {path.name: path.read_text() for path in OWN}
    assert sum(text.count("\n") for text in texts.values()) < MOST_LINES
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|unsafeHTML|\beval\(|new Function"
        r"|localStorage|\bstyle="
    )
    assert {name: forbidden.findall(text) for name, text in texts.items()} == {
        name: [] for name in texts
    }


def test_each_file_has_a_content_type() -> None:
    assert {path.suffix for path in CONSOLE.rglob("*") if path.is_file()} <= TYPES.keys()


def test_the_page_has_no_script_or_style_of_its_own() -> None:
    page = (CONSOLE / "index.html").read_text()
    assert re.findall(r"<script[^>]*>(.+?)</script>|<style|\son\w+=|\sstyle=", page) == []
