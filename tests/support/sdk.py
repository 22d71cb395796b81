"""Camunda's own Python SDK, each version in an environment of its own."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from local.config import REPOSITORY

_CLIENT = Path(__file__).with_name("sdk_client.py")


def use(minor: str, address: str, user: str, password: str, resource: Path) -> dict[str, Any]:
    """Run `sdk_client.py` with the SDK of `8.9` or `8.10`; give what it saw.

    Raises AssertionError with what it wrote where a call failed or an answer did not fit.
    """
    done = subprocess.run(  # noqa: S603
        [_python(minor), str(_CLIENT), address, user, password, str(resource)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _python(minor: str) -> str:
    """Give the interpreter of an environment, which is made when its requirements are new."""
    requirements = REPOSITORY / "requirements" / f"sdk-{minor}.txt"
    content = hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    environment = REPOSITORY / ".cache" / f"sdk-{minor}"
    environment.parent.mkdir(exist_ok=True)
    with environment.with_suffix(f"{environment.suffix}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, python = environment / content, environment / "bin" / "python"
        if not stamp.exists():
            shutil.rmtree(environment, ignore_errors=True)
            _run(sys.executable, "-m", "venv", "--without-pip", str(environment))
            options = ["--no-deps", "--require-hashes", "--requirement", str(requirements)]
            module = (sys.executable, "-m")
            try:
                _run(*module, "uv", "pip", "install", "--python", str(python), *options)
            except AssertionError:
                # pip knows package indexes that are set up for pip alone.
                pip = (*module, "pip", "--python", str(python), "install")
                _run(*pip, "--disable-pip-version-check", *options)
            stamp.touch()
    return str(python)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr
