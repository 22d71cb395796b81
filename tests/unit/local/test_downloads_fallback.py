from __future__ import annotations

from pathlib import Path

import pytest

from local import downloads
from local.downloads import DownloadError, postgres


def test_without_maven_an_installed_server_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = tmp_path / "server" / "bin" / "postgres"
    server.parent.mkdir(parents=True)
    server.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(server.parent))
    said: list[str] = []
    assert postgres(tmp_path / "cache", said.append) == tmp_path / "server"
    assert "installed" in said[0]


def test_without_either_the_way_out_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(downloads, "installed_postgres", lambda: None)
    with pytest.raises(DownloadError, match="apt-get install"):
        postgres(tmp_path / "cache", lambda _: None)


def test_the_pinned_server_is_preferred_when_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = tmp_path / downloads.POSTGRES.directory
    pinned.mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert postgres(tmp_path, lambda _: None) == pinned
