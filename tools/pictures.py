"""Render the pictures of the docs: ``docs/pictures/<name>.d2`` to ``<name>.svg``.

D2 is built from source at the version and checksums of ``requirements/pictures/go.mod`` and
``go.sum``, which needs Go; nothing but ``make pictures`` needs either. Each SVG ends with the
digest of what it was made from; the unit tests compare it, without rendering.
https://d2lang.com/tour/man
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PICTURES: Final = ROOT / "docs" / "pictures"
MODULE: Final = ROOT / "requirements" / "pictures"
# Light and dark by the reader's preference; both have their own background. Without a scale the SVG
# has no width, and a narrow picture fills the page.
_OPTIONS: Final = (
    "--layout=elk",
    "--theme=0",
    "--dark-theme=200",
    "--pad=16",
    "--scale=0.8",
    "--no-xml-tag",
    "--omit-version",
)


def sources() -> list[Path]:
    """All sources of pictures, by name."""
    return sorted(PICTURES.glob("*.d2"))


def mark(source: Path) -> str:
    """The comment at the end of the SVG: the digest of source, options and D2's version."""
    made_from = (source.read_bytes(), *map(str.encode, _OPTIONS), (MODULE / "go.mod").read_bytes())
    return f"<!-- made from {hashlib.sha256(b'\0'.join(made_from)).hexdigest()} -->\n"


def is_current(source: Path) -> bool:
    """Whether the SVG beside a source was made from that source, by this version of D2."""
    svg = source.with_suffix(".svg")
    return svg.exists() and svg.read_text().endswith(mark(source))


def render(source: Path) -> None:
    """Write the SVG beside a source. Raises ``CalledProcessError`` with D2's message printed."""
    command = ["go", "tool", "d2", *_OPTIONS, "-", "-"]
    svg = subprocess.run(  # noqa: S603
        command, cwd=MODULE, input=source.read_bytes(), stdout=subprocess.PIPE, check=True
    ).stdout.decode()
    source.with_suffix(".svg").write_text(f"{svg.rstrip()}\n{mark(source)}")


def main() -> int:
    """Render what is not current; give the exit code."""
    if shutil.which("go") is None:
        print("Go 1.24 or newer is missing; it builds D2, which draws the pictures.")
        return 1
    for source in sources():
        if is_current(source):
            continue
        render(source)
        print(f"{source.with_suffix('.svg').relative_to(ROOT)} is rendered")
    return 0


if __name__ == "__main__":
    sys.exit(main())
