"""Downloads: complete or absent, and what is wrong is said in one line."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from local.downloads import CAMUNDA, Download, DownloadError, fetch

pytestmark = pytest.mark.unit


def archive(files: dict[str, str], path: Path, mode: str = "w:gz") -> bytes:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
    return path.read_bytes()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Download:
    """A download, and a `mvn` that copies it to where it is told."""
    content = archive({"app-1/bin/run": "#!", "app-1/lib/a.jar": "a"}, tmp_path / "app.tar.gz")
    client = tmp_path / "bin" / "mvn"
    client.parent.mkdir()
    client.write_text(
        "#!/bin/sh\n"
        'for a in "$@"; do case $a in -DoutputDirectory=*) d=${a#*=};; esac; done\n'
        f'echo run >> {tmp_path}/runs; mkdir -p "$d" && cp {tmp_path}/app.tar.gz "$d/"\n'
    )
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}{os.pathsep}{os.environ['PATH']}")
    return Download("App", "g:app:1:tar.gz", hashlib.sha256(content).hexdigest(), 1, strip=1)


def runs(tmp_path: Path) -> int:
    log = tmp_path / "runs"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_the_archive_is_unpacked_without_its_top_directory(
    served: Download, tmp_path: Path
) -> None:
    told: list[str] = []
    found = fetch(served, tmp_path / "cache", told.append)
    assert sorted(str(path.relative_to(found)) for path in found.rglob("*")) == [
        "bin", "bin/run", "lib", "lib/a.jar",
    ]  # fmt: skip
    assert os.access(found / "bin" / "run", os.X_OK)
    assert told == ["App: fetching 1 MiB with Maven", "App: unpacking", "App: ready"]


def test_the_second_time_nothing_is_fetched_or_told(served: Download, tmp_path: Path) -> None:
    fetch(served, tmp_path / "cache", lambda _: None)
    told: list[str] = []
    fetch(served, tmp_path / "cache", told.append)
    assert (runs(tmp_path), told) == (1, [])


def test_another_content_is_refused_and_leaves_nothing(served: Download, tmp_path: Path) -> None:
    other = replace(served, sha256="0" * 64)
    with pytest.raises(DownloadError, match="not what was expected"):
        fetch(other, tmp_path / "cache", lambda _: None)
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_what_a_killed_run_left_is_removed(served: Download, tmp_path: Path) -> None:
    remains = tmp_path / "cache" / f".{served.directory}.abc"
    (remains / "content").mkdir(parents=True)
    fetch(served, tmp_path / "cache", lambda _: None)
    assert not remains.exists()


def test_an_archive_inside_a_jar_is_found(tmp_path: Path, served: Download) -> None:
    inner = archive({"bin/initdb": "x"}, tmp_path / "inner.txz", "w:xz")
    with zipfile.ZipFile(tmp_path / "app.tar.gz", "w") as jar:
        jar.writestr("inner.txz", inner)
    digest = hashlib.sha256((tmp_path / "app.tar.gz").read_bytes()).hexdigest()
    found = fetch(
        replace(served, sha256=digest, strip=0, inner="inner.txz"), tmp_path / "c", lambda _: None
    )
    assert (found / "bin" / "initdb").read_text() == "x"


def test_without_maven_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DownloadError) as refused:
        fetch(CAMUNDA, tmp_path / "cache", lambda _: None)
    message = str(refused.value)
    assert "\n" not in message
    assert "apt-get install maven" in message
    assert "BROKERS=fake" in message


def test_maven_s_own_reason_is_passed_on(
    tmp_path: Path, served: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = tmp_path / "bin" / "mvn"
    client.write_text("#!/bin/sh\necho '[ERROR] no route to host'; exit 1\n")
    with pytest.raises(DownloadError, match="no route to host"):
        fetch(served, tmp_path / "cache", lambda _: None)
