"""The pictures of the docs are those that their sources describe."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tools import pictures

pytestmark = pytest.mark.unit

DOCS = (*pictures.ROOT.glob("*.md"), *(pictures.ROOT / "docs").glob("*.md"))
SHOWN = re.compile(r"!\[([^\]]*)\]\(([^)]+[.](?:svg|png))\)")


@pytest.mark.parametrize("source", pictures.sources(), ids=lambda path: path.stem)
def test_each_is_rendered_from_its_source(source: Path) -> None:
    assert pictures.is_current(source), f"{source.name} was changed; run: make pictures"


@pytest.mark.parametrize("source", pictures.sources(), ids=lambda path: path.stem)
def test_each_is_whole_and_names_nothing_of_the_machine_that_drew_it(source: Path) -> None:
    text = source.with_suffix(".svg").read_text()
    root = ET.fromstring(text)  # noqa: S314 - it is a file of this repository
    assert root.tag.endswith("svg")
    visible = re.sub(r"base64,[A-Za-z0-9+/=]*", "", text)
    assert not re.search(r"file:|/(home|root|tmp|work|Users)/", visible)
    outside = re.findall(
        r"""(?:href|src)=["'](?!#|data:)|url\((?!["']?(?:#|data:))|@import""", text
    )
    assert outside == [], "GitHub shows nothing that an SVG loads from elsewhere"


def test_the_docs_show_all_of_them_with_a_description() -> None:
    shown = {}
    for doc in DOCS:
        for described, target in SHOWN.findall(doc.read_text()):
            shown[(doc.parent / target).resolve()] = described
    drawn = {path.with_suffix(".svg") for path in pictures.sources()}
    taken = set(pictures.PICTURES.glob("*.png"))
    assert set(shown) == drawn | taken
    assert all(len(described) > 20 for described in shown.values())


def test_a_changed_source_is_noticed(tmp_path: Path) -> None:
    source = pictures.sources()[0]
    copy = tmp_path / source.name
    for path in (source, source.with_suffix(".svg")):
        shutil.copy(path, tmp_path)
    assert pictures.is_current(copy)
    copy.write_text(copy.read_text() + "other: one more\n")
    assert not pictures.is_current(copy)
