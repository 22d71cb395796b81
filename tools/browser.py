"""Install the Chromium of the tests into ``.browser``, or give the one that CHROMIUM names.

npm installs the package of ``requirements/browser`` (exact versions, integrity hashes, no scripts).
It brings Chromium's headless shell, libraries and a font as files that Brotli compresses, which
Node's zlib unpacks; Python has no Brotli of its own. The libraries are those that a machine without
a desktop lacks: NSS above all. https://nodejs.org/docs/latest-v20.x/api/zlib.html
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).resolve().parent.parent
LOCK: Final = ROOT / "requirements" / "browser" / "package-lock.json"
FOLDER: Final = ROOT / ".browser"
_PACKAGE: Final = "node_modules/@sparticuz/chromium/bin"
_UNPACK: Final = (
    "const {createReadStream} = require('node:fs');"
    "const {createBrotliDecompress} = require('node:zlib');"
    "createReadStream(process.argv[1]).pipe(createBrotliDecompress()).pipe(process.stdout)"
)
_FONTS: Final = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}</dir><cachedir>{folder}/cache</cachedir></fontconfig>
"""


class NoBrowserError(Exception):
    """There is no Chromium for the tests; the message has the remedy."""


@dataclass(frozen=True)
class Browser:
    """An executable, and the environment variables that it needs."""

    executable: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def browser(folder: Path = FOLDER) -> Browser:
    """Return the browser that CHROMIUM names, else the installed one, installed if it is missing.

    Raises NoBrowserError.
    """
    if named := os.environ.get("CHROMIUM"):
        if not os.access(named, os.X_OK):
            raise NoBrowserError(f"CHROMIUM is {named!r}; allowed is the path of an executable")
        return Browser(Path(named))
    if not stamp(folder).is_file():
        install(folder)
    libraries = [str(folder / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]
    return Browser(
        folder / "chromium",
        {
            "LD_LIBRARY_PATH": ":".join(one for one in libraries if one),
            "FONTCONFIG_FILE": str(folder / "fonts.conf"),
        },
    )


def stamp(folder: Path = FOLDER) -> Path:
    """Return the file that exists when the installation of this lock file is complete."""
    return folder / f".lock-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"


def install(folder: Path = FOLDER) -> None:
    """Install from nothing. Raises NoBrowserError without Node, or with npm's last words."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NoBrowserError(
            "The tests of the console need Chromium, which npm installs: install Node.js 20 or"
            " later (nodejs and npm in most distributions), or set CHROMIUM to the path of a"
            " Chromium."
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(LOCK.with_name(name), folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise NoBrowserError(f"npm ci in {folder} failed: {done.stderr.strip()[-2000:]}")
    packed = folder / _PACKAGE
    executable = folder / "chromium"
    executable.write_bytes(_unpacked(node, packed / "chromium.br"))
    executable.chmod(0o755)
    for name in ("al2023.tar.br", "fonts.tar.br"):
        with tarfile.open(fileobj=io.BytesIO(_unpacked(node, packed / name))) as archive:
            archive.extractall(folder, filter="data")
    (folder / "fonts.conf").write_text(_FONTS.format(folder=folder / "fonts"))
    shutil.rmtree(folder / "node_modules")
    stamp(folder).touch()


def _unpacked(node: str, path: Path) -> bytes:
    done = subprocess.run([node, "-e", _UNPACK, str(path)], capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        raise NoBrowserError(f"{path.name} cannot be unpacked: {done.stderr.decode()[-500:]}")
    return done.stdout


if __name__ == "__main__":
    try:
        browser()
    except NoBrowserError as problem:
        # The tests that need it fail with the same sentence; the others run.
        print(problem, file=sys.stderr)
