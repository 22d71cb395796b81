"""The Chromium of the tests: which one is used, and what to do without one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools import browser

pytestmark = pytest.mark.unit


def test_another_chromium_is_used_where_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "chromium"
    program.touch(mode=0o755)
    monkeypatch.setenv("CHROMIUM", str(program))
    assert browser.browser(tmp_path / "none") == browser.Browser(program)
    assert not (tmp_path / "none").exists()
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "missing"))
    with pytest.raises(browser.NoBrowserError, match=r"CHROMIUM is .*missing'; allowed is"):
        browser.browser(tmp_path / "none")


@pytest.mark.parametrize("missing", ["node", "npm"])
def test_without_node_the_remedy_is_named_and_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None if name == missing else f"/bin/{name}")
    folder = tmp_path / "browser"
    with pytest.raises(
        browser.NoBrowserError, match=r"install Node\.js 20 or later.*or set CHROMIUM"
    ):
        browser.browser(folder)
    assert not folder.exists()


def test_an_installation_is_of_its_lock_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/lib")
    browser.stamp(tmp_path).touch()
    found = browser.browser(tmp_path)
    assert found.executable == tmp_path / "chromium"
    assert found.environment["LD_LIBRARY_PATH"] == f"{tmp_path}/lib:/opt/lib"
    lock = tmp_path / "package-lock.json"
    lock.write_text("another")
    before = browser.stamp(tmp_path)
    monkeypatch.setattr(browser, "LOCK", lock)
    assert browser.stamp(tmp_path) != before


def test_make_names_the_stamp_as_the_tool_does() -> None:
    makefile = (browser.ROOT / "Makefile").read_text()
    assert "sha256sum requirements/browser/package-lock.json | cut -c1-16" in makefile
    assert browser.stamp().name.startswith(".lock-")
    assert ".browser/" in (browser.ROOT / ".gitignore").read_text().splitlines()
    clean = makefile.split("\nclean:")[1].split("\n\n")[0]
    assert " .browser " in clean
