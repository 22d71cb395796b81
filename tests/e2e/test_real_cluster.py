"""The main path on real parts, with the one command that the README begins with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from local.component import Instance
from local.config import REPOSITORY, LocalConfig
from local.instance import leftovers

BLOCK = "127.155"


def test_demo_brings_three_real_brokers_up_and_leaves_nothing(tmp_path: Path) -> None:
    instance = Instance.of(LocalConfig(tmp_path / "instance", BLOCK, "real"))
    options = ["--root", str(instance.config.root), "--block", BLOCK, "--brokers", "real"]
    demo = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "local", "demo", *options],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "Verification: PASS" in demo.stdout
    rows = [line for line in demo.stdout.splitlines() if "8.6.0" in line and "healthy" in line]
    assert len(rows) == 3
    assert sum(row.count("leader") for row in rows) == 3
    assert "No process left behind." in demo.stdout
    assert leftovers(instance) == []
