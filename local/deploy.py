"""Build and deploy to the embedded AWS with the real SAM CLI."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local.config import REGION, REPOSITORY, user_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.component import Instance

TOOLS = Path(sys.prefix) / "bin"
BUILD_SECONDS = 900
DEPLOY_SECONDS = 300


class DeployError(Exception):
    """`sam` failed; the message holds its last lines and where the whole output is."""


def build(instance: Instance, template: Path, directory: Path) -> Path:
    """Run `sam build` into `directory` and give the built template, in a copy of this instance's.

    Unchanged functions and layers come from the cache beside `directory`. Raises DeployError.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    cache = directory.parent / "cache"
    # Two instances may build at once from one working tree.
    with (directory.parent / f".{directory.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        arguments = ["build", "--cached", "--parallel", "--template", str(template)]
        arguments += ["--language-extensions"]
        arguments += ["--build-dir", str(directory), "--cache-dir", str(cache)]
        log = instance.config.logs / "sam-build.log"
        _sam(instance, arguments, log=log, seconds=BUILD_SECONDS)
        # A sibling, because built templates point to what was not built by relative paths.
        own = directory.with_name(f"{directory.name}-{instance.config.block}")
        shutil.rmtree(own, ignore_errors=True)
        shutil.copytree(directory, own)
    return own / "template.yaml"


def deploy(
    instance: Instance, built_template: Path, stack: str, parameters: Mapping[str, str]
) -> None:
    """Run `sam deploy` of a built template. Raises DeployError."""
    arguments = ["deploy", "--template-file", str(built_template), "--stack-name", stack]
    arguments += ["--region", REGION, "--resolve-s3", "--no-progressbar", "--language-extensions"]
    arguments += ["--no-confirm-changeset", "--no-fail-on-empty-changeset"]
    arguments += ["--capabilities", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
    if parameters:
        overrides = [f"{name}={value}" for name, value in parameters.items()]
        arguments += ["--parameter-overrides", *overrides]
    log = instance.config.logs / "sam-deploy.log"
    _sam(instance, arguments, log=log, seconds=DEPLOY_SECONDS)


def sam_environment(instance: Instance) -> dict[str, str]:
    """Environment of `sam`: this machine's AWS, and Python 3.13 on the path for its builder."""
    return (
        user_environment()
        | instance.config.client_environment()
        | {
            "PATH": f"{TOOLS}:/usr/local/bin:/usr/bin:/bin",
            "SAM_CLI_TELEMETRY": "0",
            "__SAM_CLI_APP_DIR": str(instance.config.root / "sam"),
            "TMPDIR": str(_temporary(instance)),
        }
    )


def _temporary(instance: Instance) -> Path:
    directory = instance.config.root / "tmp"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _sam(instance: Instance, arguments: Sequence[str], *, log: Path, seconds: float) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    process = instance.processes.spawn(
        f"sam {arguments[0]}",
        [str(TOOLS / "sam"), *arguments],
        environment=sam_environment(instance),
        log=log,
        directory=REPOSITORY,
    )
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise DeployError(f"sam {arguments[0]} took more than {seconds:.0f} s; see {log}") from None
    finally:
        process.stop(grace=2)
    if code:
        lines = [line for line in log.read_text().splitlines() if line.strip()]
        raise DeployError("\n".join([*lines[-8:], f"The whole output: {log}"]))
