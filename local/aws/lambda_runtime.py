"""The Lambda runtime on this machine: a bare Python 3.13 with boto3 and awslambdaric, nothing else.

Kept apart from the development environment so that a dependency missing from a layer shows here
as it would on AWS.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from local.config import REPOSITORY, LocalConfig

REQUIREMENTS = REPOSITORY / "requirements" / "lambda-runtime.txt"


class RuntimeInstallError(Exception):
    """The Lambda runtime's packages could not be installed."""


def base_python() -> str:
    """Path of the interpreter that the virtual environment was made from."""
    return str(Path(sys._base_executable).resolve())  # type: ignore[attr-defined]


def ensure_runtime(config: LocalConfig) -> Path:
    """Give the directory with the runtime's packages; installs them on first use.

    Packages are checked against the hashes in `requirements/lambda-runtime.txt`. Raises
    RuntimeInstallError with pip's last lines.
    """
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    target = config.cache / f"lambda-runtime-{digest}"
    if target.is_dir():
        return target
    config.cache.mkdir(parents=True, exist_ok=True)
    with (config.cache / ".lambda-runtime.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _install(target)
    return target


def _install(target: Path) -> None:
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--require-hashes", "--no-deps", "--target", str(partial)]
    command += ["--requirement", str(REQUIREMENTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(partial, ignore_errors=True)
        raise RuntimeInstallError("\n".join(done.stderr.strip().splitlines()[-5:]))
    partial.rename(target)
