"""Check the documents for words that the style rule of CONTRIBUTING.md rejects.

Run by ``make lint``. Code blocks, inline code and link targets are not prose. ``prose.toml`` beside
this file lists exceptions and the parts that are not rewritten yet, each with its reason.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).resolve().parent.parent
SETTINGS: Final = Path(__file__).with_suffix(".toml")
PATTERNS: Final = ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md")
GENERATED: Final = "generated"

_WORDS: Final = (
    (r"tell(?:s|ing)?|told", "shows, reports, returns, lists"),
    (r"say(?:s|ing)?|said", "states, shows, reports, documents"),
    (r"ask(?:s|ed|ing)?", "requests, calls, queries, reads"),
    (r"somebody|nobody|anybody|whoever", "name the actor, or turn the sentence round"),
    (r"by\s+itself", "automatically"),
    (r"twins?", "counterpart, copy, fake"),
)
_REJECTED: Final = tuple(
    (re.compile(rf"\b(?:{words})\b", re.IGNORECASE), use) for words, use in _WORDS
)
# A fence ends at the same marks that it began with; without them, at the end of the file.
_FENCE: Final = re.compile(r"^[ ]*(`{3,}|~{3,}).*?(?:^[ ]*\1[ ]*$|\Z)", re.MULTILINE | re.DOTALL)
_INLINE: Final = re.compile(r"(?<!`)(`+)(?!`)(?:(?!\n[ ]*\n).)+?(?<!`)\1(?!`)", re.DOTALL)
_TARGET: Final = re.compile(r"(?<=\])\([^)\s]*\)|<https?://[^>\s]*>|https?://[^\s)>]+")
_TABLE: Final = re.compile(r"<!-- (?!end )[a-z ]+ -->\n.*?<!-- end -->", re.DOTALL)


@dataclass(frozen=True)
class Finding:
    """A rejected word: its file, the number of its line from 1, the line and what to write."""

    file: str
    line: int
    word: str
    use: str
    text: str

    def __str__(self) -> str:
        """Give the line that is printed."""
        return f'{self.file}:{self.line}: "{self.word}": {self.use}'


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def prose(text: str, *, generated: bool = True) -> str:
    """Replace what is not prose by spaces; lines and columns stay.

    Without ``generated``, tables between ``<!-- name -->`` and ``<!-- end -->`` go, too.
    """
    if not generated:
        text = _TABLE.sub(_blank, text)
    for pattern in (_FENCE, _INLINE, _TARGET):
        text = pattern.sub(_blank, text)
    return text


def findings(file: str, text: str, *, generated: bool = True) -> Iterator[Finding]:
    """Find the rejected words of one document, by line."""
    lines = text.splitlines()
    readable = prose(text, generated=generated)
    found = [(match, use) for words, use in _REJECTED for match in words.finditer(readable)]
    for match, use in sorted(found, key=lambda one: one[0].start()):
        line = readable.count("\n", 0, match.start())
        word = " ".join(match[0].split())
        yield Finding(file, line + 1, word, use, lines[line])


def check(
    documents: Mapping[str, str], settings: Mapping[str, Sequence[Mapping[str, Any]]]
) -> tuple[list[Finding], list[str]]:
    """Give the findings that nothing allows, and remarks on settings that are out of date."""
    pending = {one["file"]: one.get("part", "all") for one in settings.get("pending", ())}
    allowed = settings.get("allowed", ())
    used: set[int] = set()
    open_: list[Finding] = []
    remarks = []
    for file, text in documents.items():
        part = pending.get(file)
        every = list(findings(file, text))
        kept = list(findings(file, text, generated=part != GENERATED)) if part != "all" else []
        if part is not None and len(kept) == len(every):
            remarks.append(f"{SETTINGS.name}: {file} is pending and has no finding left: remove it")
        for finding in kept:
            excuse = _excuse(finding, allowed)
            if excuse is None:
                open_.append(finding)
            else:
                used.add(excuse)
    remarks += [
        f"{SETTINGS.name}: {one['file']} has no such text any more: {one['text']}"
        for number, one in enumerate(allowed)
        if number not in used
    ]
    return open_, remarks


def _excuse(finding: Finding, allowed: Sequence[Mapping[str, Any]]) -> int | None:
    for number, one in enumerate(allowed):
        word = one["text"] in finding.text and finding.word in one["text"]
        if one["file"] == finding.file and word:
            return number
    return None


def documents(root: Path = ROOT, patterns: Iterable[str] = PATTERNS) -> dict[str, str]:
    """Read the documents, by their path from the root."""
    paths = [path for pattern in patterns for path in sorted(root.glob(pattern))]
    return {path.relative_to(root).as_posix(): path.read_text() for path in paths}


def main() -> int:
    """Print the findings; 1 if there is one."""
    found, remarks = check(documents(), tomllib.loads(SETTINGS.read_text()))
    for line in (*found, *remarks):
        print(line)
    if found:
        print(f"{len(found)} words to replace (CONTRIBUTING.md, Style); exceptions: {SETTINGS}")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
