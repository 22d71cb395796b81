"""The documents as a site: ``make site`` writes it to ``.cache/site``.

The documents are written for a repository: links lead to files beside them. Here they become one
folder of pages with the addresses of docs/addresses.txt, which never lose a line: links from
messages and tickets outlive a document. Files that documents link to are part of the site.

The generator is Zensical: MkDocs has had no release since August 2024, and its theme Material is
maintained for security only since its authors began Zensical.
"""

from __future__ import annotations

import argparse
import json
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).resolve().parent.parent
ADDRESSES: Final = ROOT / "docs" / "addresses.txt"
SITE: Final = ROOT / ".cache" / "site"
SOURCE: Final = ROOT / ".cache" / "site-source"
# Pages that are not in docs/, by their page of the site.
_BESIDE: Final[Mapping[str, str]] = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
_LINK: Final = re.compile(r"\]\(([^)\s#]*)(#[^)\s]*)?\)")
_HEADING: Final = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
_FENCE: Final = re.compile(r"^\s*(```|~~~)")
# The order of the pages; what is not listed follows under "More".
_CHAPTERS: Final[Mapping[str, Sequence[str]]] = {
    "Begin": (
        "index",
        "tour",
        "first-hour",
        "concepts",
        "terraform",
        "adoption",
        "support",
        "costs",
        "faq",
    ),
    "Operate": (
        "plans",
        "scaling",
        "restarts",
        "rotation",
        "manage",
        "backups",
        "restore",
        "teardown",
        "health",
        "runbook",
    ),
    "Reach it": (
        "front-door",
        "console",
        "cli",
        "api",
        "events",
        "messages",
        "pipelines",
        "accounts",
    ),
    "Run the control plane": ("network", "security", "upgrading", "changelog", "acceptance"),
    "Understand": ("architecture", "contracts", "verified", "local-broker", "strict-rules"),
}


def documents() -> dict[str, Path]:
    """Return the document of each page of the site, by the page's name (``runbook.md``)."""
    found = {path.name: path for path in sorted((ROOT / "docs").glob("*.md"))}
    return found | {page: ROOT / name for name, page in _BESIDE.items()}


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading; the site is configured for the same."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def prose(text: str) -> Iterator[str]:
    """Give the lines of a document outside of code blocks."""
    fenced = False
    for line in text.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield line


def anchors(text: str) -> list[str]:
    """Return the anchors of a document, in its order; the second of the same name ends in -1."""
    seen: dict[str, int] = {}
    found = []
    for line in prose(text):
        heading = _HEADING.match(line)
        if heading is None:
            continue
        name = slug(heading[2])
        number = seen.get(name, 0)
        seen[name] = number + 1
        found.append(f"{name}-{number}" if number else name)
    return found


def links(text: str) -> Iterator[tuple[str, str]]:
    """Give the links of a document that lead to files or headings: path and anchor."""
    for line in prose(text):
        for found in _LINK.finditer(line):
            path, anchor = found[1], (found[2] or "").removeprefix("#")
            if "://" not in path and not path.startswith("mailto:"):
                yield path, anchor


def target(document: Path, path: str) -> Path:
    """Return the file of the repository that a link of a document leads to."""
    return document if not path else (document.parent / path).resolve()


def broken() -> list[str]:
    """Return links of the documents that lead to no file or to no heading."""
    known = {path: anchors(path.read_text()) for path in documents().values()}
    found = []
    for document in known:
        for path, anchor in links(document.read_text()):
            led = target(document, path)
            if not led.exists():
                found.append(f"{document.name}: no {path}")
            elif anchor and led in known and anchor not in known[led]:
                found.append(f"{document.name}: no heading {path}#{anchor}")
    return found


def addresses() -> list[str]:
    """Return the addresses that stay: every page, and the entries of the runbook."""
    found = {_address(page) for page in documents()}
    entries = anchors(documents()["runbook.md"].read_text())
    return sorted(found | {f"{_address('runbook.md')}#{one}" for one in entries})


def _address(page: str) -> str:
    name = page.removesuffix(".md")
    return "/" if name == "index" else f"/{name}/"


def write(folder: Path) -> None:
    """Write the pages with links of the site, and the files that they lead to."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pages = {path.resolve(): page for page, path in documents().items()}
    for document, page in pages.items():

        def led(found: re.Match[str], document: Path = document) -> str:
            path, anchor = found[1], found[2] or ""
            if not path or "://" in path or path.startswith("mailto:"):
                return found[0]
            to = target(document, path)
            if to in pages:
                return f"]({pages[to]}{anchor})"
            kept = posixpath.join("files", to.relative_to(ROOT).as_posix())
            if to.is_file():
                (folder / kept).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(to, folder / kept)
            return f"]({kept}{anchor})"

        (folder / page).write_text(_LINK.sub(led, document.read_text()))


def configuration() -> str:
    """Return the configuration of Zensical (TOML)."""
    left = {page.removesuffix(".md") for page in documents()}
    chapters: list[tuple[str, list[str]]] = []
    for title, names in _CHAPTERS.items():
        chapters.append((title, [one for one in names if one in left]))
        left -= set(names)
    chapters.append(("More", sorted(left)))
    nav = ",\n".join(
        f"  {{ {json.dumps(title)} = [{', '.join(json.dumps(f'{one}.md') for one in names)}] }}"
        for title, names in chapters
        if names
    )
    return f"""[project]
site_name = "camunda-ecs-lifecycle"
docs_dir = {json.dumps(SOURCE.name)}
site_dir = {json.dumps(SITE.name)}
nav = [
{nav}
]
[project.theme]
language = "en"
font = false
features = ["navigation.sections", "navigation.top", "content.code.copy", "search.highlight"]
[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"
toggle = {{ icon = "lucide/sun", name = "Dark" }}
[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"
toggle = {{ icon = "lucide/moon", name = "Light" }}
[project.markdown_extensions]
tables = {{}}
attr_list = {{}}
md_in_html = {{}}
[project.markdown_extensions.toc]
permalink = true
slugify = {{ object = "pymdownx.slugs.slugify", kwds = {{ case = "lower" }} }}
[project.markdown_extensions.pymdownx.superfences]
[project.markdown_extensions.pymdownx.highlight]
anchor_linenums = false
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the site, or add new addresses to docs/addresses.txt."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--addresses", action="store_true", help="add new addresses to the list")
    parser.add_argument("--zensical", default="zensical", help="the program")
    given = parser.parse_args(arguments)
    if given.addresses:
        before = ADDRESSES.read_text().splitlines() if ADDRESSES.exists() else []
        ADDRESSES.write_text("".join(f"{one}\n" for one in sorted({*before, *addresses()})))
        return 0
    if found := broken():
        print("\n".join(found), file=sys.stderr)
        return 1
    write(SOURCE)
    file = SOURCE.parent / "zensical.toml"
    file.write_text(configuration())
    command = [given.zensical, "build", "--clean", "--strict", "--config-file", str(file)]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - what `make site` names


if __name__ == "__main__":
    sys.exit(main())
