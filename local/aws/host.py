"""The process that hosts AWS on this machine: the emulator and its components."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import logging
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.aws.lambda_pool import LambdaPool, capacity_from_environment
from local.aws.lambda_runtime import ensure_runtime
from local.component import Instance
from local.config import (
    ACCOUNT_ID,
    AWS_PORT,
    REGION,
    LocalConfig,
)
from local.keys import KeysError
from local.names import replace_json
from local.processes import ProcessRecord, start_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.component import Component

MINISTACK_VERSION = "1.5.33"
# In the order they start; each is `local.<name>` with a function `component`.
COMPONENTS = ("messages", "postgres", "identity", "fargate", "proxy", "endpoints", "web_console")

logger = logging.getLogger("local.aws")


class HostError(Exception):
    """The instance cannot start; the message gives the reason and the remedy."""


def run(config: LocalConfig, component_names: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT. Raises HostError if it cannot start."""
    _prepare_environment(config)
    _check_version()
    _check_port(config)
    instance = Instance.of(config)
    pool = _extended_emulator(instance)
    components = [
        importlib.import_module(f"local.{name}").component(instance) for name in component_names
    ]
    try:
        asyncio.run(_serve(instance, components))
    finally:
        pool.close()
        instance.processes.stop_survivors(grace=5)
        config.instance_file.unlink(missing_ok=True)


def _prepare_environment(config: LocalConfig) -> None:
    """Settings that the emulator reads while it is imported."""
    temporary = config.root / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(temporary)
    os.environ.update(
        config.client_environment()
        | {
            "TMPDIR": str(temporary),
            "BIND_HOST": config.aws_address,
            "GATEWAY_PORT": str(AWS_PORT),
            "MINISTACK_HOST": config.aws_address,
            "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
            "MINISTACK_REGION": REGION,
            "AUTH": "true",
            "LAMBDA_EXECUTOR": "local",
            # Both would listen on every interface of the machine.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            # Never look for a container engine.
            "DOCKER_HOST": f"unix://{temporary}/no-container-engine.sock",
        }
    )


def _check_version() -> None:
    from importlib.metadata import version

    found = version("ministack")
    if found != MINISTACK_VERSION:
        raise HostError(
            f"ministack {found} is installed, but local/aws extends internals of"
            f" {MINISTACK_VERSION}. Run `make lock` with that version, or port local/aws."
        )


def _check_port(config: LocalConfig) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.aws_address, AWS_PORT))
        except OSError as error:
            raise HostError(
                f"{config.aws_address}:{AWS_PORT} is in use ({error.strerror}). Another instance"
                f" may be running: `make down`, or choose another block with BLOCK=127.<n>."
            ) from error


def _extended_emulator(instance: Instance) -> LambdaPool:
    # Imported only after the environment is set.
    from local.aws import (
        apigateway,
        audit,
        cloudformation,
        databases,
        functions,
        iam,
        notifications,
        prometheus,
        schedules,
        stepfunctions,
        strict,
    )

    apigateway.install()
    cloudformation.install()
    iam.install()
    audit.install(instance.config.authorisation_log)
    schedules.install()
    stepfunctions.install()
    pool = LambdaPool(
        instance,
        ensure_runtime(instance.config),
        functions.role_credentials,
        capacity_from_environment(),
    )
    functions.install(pool)
    strict.install(instance)
    databases.install()
    notifications.install(instance.config.messages)
    prometheus.install(instance.config.metrics_file)
    return pool


async def _serve(instance: Instance, components: list[Component]) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config as ServerConfig

    from local.aws.callers import Callers
    from local.aws.emulator import app
    from local.aws.faults import Faults
    from local.aws.strict import certificate_validation

    config = instance.config
    server = ServerConfig()
    server.bind = [f"{config.aws_address}:{AWS_PORT}"]
    server.keep_alive_timeout = 75
    server.graceful_timeout = 1.0
    server.loglevel = "WARNING"

    leave, stop_serving = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave.set)
    served: Any = Callers(Faults(app.app, config.faults_file), config.aws_address, AWS_PORT)
    serving = asyncio.create_task(serve(served, server, shutdown_trigger=stop_serving.wait))
    serving.add_done_callback(lambda _: leave.set())
    started: list[Component] = []
    try:
        await _until_listening(config, serving)
        for component in components:
            started.append(component)
            await asyncio.to_thread(component.start)
        pid = os.getpid()
        record = ProcessRecord("aws", pid, start_time(pid) or 0)
        replace_json(
            config.instance_file,
            {"pid": record.pid, "started": record.started, "endpoint": config.aws_endpoint},
        )
        await leave.wait()
    finally:
        certificate_validation.STOPPING.set()
        # Components go first: they deregister what they registered while the emulator answers.
        for component in reversed(started):
            await asyncio.to_thread(_stop_quietly, component)
        stop_serving.set()
        await serving


async def _until_listening(config: LocalConfig, serving: asyncio.Task[None]) -> None:
    while not serving.done():
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(config.aws_address, AWS_PORT)
            writer.close()
            return
        await asyncio.sleep(0.02)
    raise HostError(f"the emulator stopped at once; see {config.logs / 'aws.log'}") from (
        serving.exception()
    )


def _stop_quietly(component: Component) -> None:
    try:
        component.stop()
    except Exception:
        logger.exception("stopping %s", type(component).__module__)


def main(arguments: list[str]) -> int:
    """`python -m local.aws`; exit code 2 with one line on stderr if it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m local.aws")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--block", default="127.41")
    parser.add_argument("--components", default=",".join(COMPONENTS))
    found = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    config = LocalConfig(root=found.root.resolve(), block=found.block)
    try:
        run(config, [name for name in found.components.split(",") if name])
    except (HostError, KeysError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0
