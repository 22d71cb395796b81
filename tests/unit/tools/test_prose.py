"""The style check of the documents: what it finds, what it leaves out, what excuses a word."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from tools import prose

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = tomllib.loads(prose.SETTINGS.read_text())


@pytest.mark.parametrize(
    "word",
    [
        *("tell", "tells", "told", "telling"),
        *("say", "says", "said", "saying"),
        *("ask", "asks", "asked", "asking"),
        *("somebody", "nobody", "anybody", "whoever", "by itself", "twin", "twins", "Nobody"),
    ],
)
def test_a_rejected_word_is_found_with_its_place_and_a_suggestion(word: str) -> None:
    (found,) = prose.findings("docs/a.md", f"# A\n\nOne line.\nHere {word} stands.\n")
    assert (found.file, found.line, found.word) == ("docs/a.md", 4, word)
    assert str(found).startswith(f'docs/a.md:4: "{word}": ')
    assert found.use


@pytest.mark.parametrize("word", ["task", "tasks", "essay", "teller", "untold", "unmasked"])
def test_a_word_that_only_contains_one_is_none(word: str) -> None:
    assert not list(prose.findings("a.md", f"Here {word} stands."))


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nasks nobody\n```",
        "~~~\nasks nobody\n~~~",
        "- item\n  ```text\n  asks nobody\n  ```",
        "```\nnever closed: asks nobody",
        "the field `told` and ``says `x` ``",
        "inline code `over\ntold lines`",
        "a [link](docs/told.md#said)",
        "https://example.com/ask",
    ],
)
def test_code_and_link_targets_are_not_prose(text: str) -> None:
    assert not list(prose.findings("a.md", text))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("```\ncode\n```\nIt tells.", 4),
        ("`code` and\n`more`, it says", 2),
        ("a stray ` mark\n\nIt asks, and ends with another ` mark.", 3),
        ("[it told](x.md)", 1),
        ("| a | b |\n|---|---|\n| `x` | nobody |", 3),
        ("goes on by\nitself", 1),
    ],
)
def test_prose_beside_code_is_read(text: str, line: int) -> None:
    assert [found.line for found in prose.findings("a.md", text)] == [line]


TABLE = "It says.\n<!-- rows -->\n| nobody |\n<!-- end -->\nIt asks.\n"


def test_pending_takes_a_document_or_its_generated_part_out() -> None:
    def words(settings: dict[str, list[dict[str, str]]]) -> list[str]:
        return [found.word for found in prose.check({"a.md": TABLE}, settings)[0]]

    assert words({}) == ["says", "nobody", "asks"]
    assert words({"pending": [{"file": "b.md", "why": ""}]}) == ["says", "nobody", "asks"]
    assert words({"pending": [{"file": "a.md", "why": ""}]}) == []
    generated = {"file": "a.md", "part": "generated", "why": ""}
    assert words({"pending": [generated]}) == ["says", "asks"]


def test_a_pending_entry_without_a_finding_is_remarked() -> None:
    for part in ("all", "generated"):
        pending = {"pending": [{"file": "a.md", "part": part, "why": ""}]}
        found, remarks = prose.check({"a.md": "Clean.\n"}, pending)
        assert not found
        assert len(remarks) == 1
        assert "a.md is pending" in remarks[0]


def test_an_exception_holds_for_its_text_and_file_alone() -> None:
    allowed = {"allowed": [{"file": "a.md", "text": "it says so", "why": ""}]}
    texts = {"a.md": "Here it says so.\nIt says more.\n", "b.md": "Here it says so.\n"}
    found, remarks = prose.check(texts, allowed)
    assert [(one.file, one.line) for one in found] == [("a.md", 2), ("b.md", 1)]
    assert not remarks
    _, remarks = prose.check({"a.md": "Clean.\n"}, allowed)
    assert remarks == ["prose.toml: a.md has no such text any more: it says so"]


def test_documents_are_those_of_the_root_and_of_docs(tmp_path: Path) -> None:
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    for name in ("README.md", "OTHER.md", "docs/b.md", "docs/a.md", "docs/deep/c.md"):
        (tmp_path / name).write_text(name)
    assert list(prose.documents(tmp_path)) == ["README.md", "docs/a.md", "docs/b.md"]


def test_every_exception_has_a_reason_and_a_document() -> None:
    names = prose.documents()
    for one in (*SETTINGS["allowed"], *SETTINGS["pending"]):
        assert one["file"] in names
        assert one["why"]


def test_the_documents_hold_to_the_rule() -> None:
    found, _ = prose.check(prose.documents(), SETTINGS)
    assert not found, "\n".join(map(str, found))
