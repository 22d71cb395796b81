"""Cold start of each function in awslambdaric, beside a floor. ``python -m benchmarks.cold_start``

A cold start here is what a first request waits for: the interpreter, AWS's runtime client, the
handler, everything that the handler comes to import, and its boto3 clients. Handlers load the last
two only when they are called, so a small module in front of the handler loads them at once. The
floor is a function with Powertools' Logger and one boto3 client, on the same layers.

Processes are started as the local Lambda starts them: bare Python, the built package and layers.
Rounds go over all functions in turn, so that a busy moment hits all; the fastest of each counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.artifacts import Built, functions, instance, write
from local.aws.lambda_pool import BOOTSTRAP
from local.aws.lambda_runtime import base_python, ensure_runtime
from tests.unit.rights.calls import modules_of, operations_of

if TYPE_CHECKING:
    from collections.abc import Mapping

ROUNDS = 5
SECONDS = 60.0
_FLOOR = """
from aws_lambda_powertools import Logger
import boto3

logger = Logger()
api = boto3.client("dynamodb")

def handler(event, context):
    return {}
"""
_IN_FRONT = """
import importlib
from handler import handler
from lifecycle.adapters.aws.session import client

for name in {modules!r}:
    importlib.import_module(name)
for service in {services!r}:
    client(service)
"""
_BARE = "from handler import handler\n"


@dataclass(frozen=True)
class Start:
    """One start: until the runtime client asks for its first event."""

    wall: float
    processor: float


class _Api:
    """As much of the Lambda Runtime API as a start needs: it notes the first question."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.asked.set()
                time.sleep(SECONDS)

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                print(self.path, self.rfile.read(length).decode()[:2000], file=sys.stderr)
                self.send_response(202)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _start(directory: Path, built: Built, runtime: Path, environment: Mapping[str, str]) -> Start:
    api = _Api()
    packages = [str(layer / "python") for layer in built.layers]
    settings = {
        "handler": "front.handler",
        "path": [str(directory), str(built.code), *packages, str(runtime)],
        "names": None,
        "block": "127.255",
        "open": ["127.0.0.1"],
    }
    begun = time.monotonic()
    process = subprocess.Popen(
        [base_python(), "-I", "-S", "-u", str(BOOTSTRAP), json.dumps(settings)],
        env={**environment, "AWS_LAMBDA_RUNTIME_API": api.address},
        cwd=built.code,
        stdout=subprocess.DEVNULL,
    )
    try:
        if not api.asked.wait(SECONDS):
            raise TimeoutError(f"{built.name} did not start")
        wall = time.monotonic() - begun
        used = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(used[11]) + int(used[12])
        return Start(wall, ticks / os.sysconf("SC_CLK_TCK"))
    finally:
        process.kill()
        process.wait()
        api.close()


def _environment(home: Path) -> dict[str, str]:
    names = ("CONTROL_STACK", "TABLE_NAME", "ARTIFACT_BUCKET", "DEPLOYMENT_ROLE_ARN")
    return {
        **dict.fromkeys(names, "benchmark"),
        "CLUSTER_TEMPLATE": "/opt/cluster.json",
        "_HANDLER": "front.handler",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": str(home),
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/bin:/bin",
    }


def _front(root: Path, name: str, text: str) -> Path:
    directory = root / name
    directory.mkdir()
    (directory / "front.py").write_text(text)
    return directory


def main() -> None:
    """Build, start everything `ROUNDS` times, write."""
    runtime = ensure_runtime(instance().config)
    built = functions()
    best: dict[str, dict[str, Start]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        environment = _environment(root)
        fronts: list[tuple[str, str, Path, Built]] = [
            ("floor", "whole", _front(root, "floor", _FLOOR), built[0])
        ]
        for one in built:
            services = sorted({service for service, _ in operations_of(one.folder)})
            whole = _IN_FRONT.format(modules=sorted(modules_of(one.folder)), services=services)
            fronts.append((one.name, "whole", _front(root, f"{one.name}-whole", whole), one))
            fronts.append((one.name, "init", _front(root, f"{one.name}-init", _BARE), one))
        for _ in range(ROUNDS):
            for name, kind, directory, one in fronts:
                start = _start(directory, one, runtime, environment)
                known = best.setdefault(name, {}).get(kind, start)
                best[name][kind] = Start(
                    min(known.wall, start.wall), min(known.processor, start.processor)
                )
    _report(best)


def _report(best: dict[str, dict[str, Start]]) -> None:
    floor = best["floor"]["whole"]
    figures: dict[str, Any] = {}
    rows = ""
    for name, starts in best.items():
        whole = starts["whole"]
        init = starts.get("init")
        figures[name] = {
            "wallMs": round(whole.wall * 1000),
            "processorMs": round(whole.processor * 1000),
            "initMs": round(init.wall * 1000) if init else None,
            "timesFloor": round(whole.processor / floor.processor, 2),
        }
        figure = figures[name]
        rows += (
            f"| {name} | {figure['initMs'] or '-'} | {figure['wallMs']} |"
            f" {figure['processorMs']} | {figure['timesFloor']} |\n"
        )
    table = (
        f"Fastest of {ROUNDS}. *init*: until the handler is ready. *whole*: with all that its first"
        " call loads, boto3 clients included. *processor*: of the whole.\n\n"
        "| function | init ms | whole ms | processor ms | times floor |\n|---|---|---|---|---|\n"
        + rows
    )
    write("cold-start", {"rounds": ROUNDS, "functions": figures}, table)


if __name__ == "__main__":
    main()
