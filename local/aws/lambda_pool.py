"""Lambda: a capped pool of processes that run the built functions and layers as Lambda does.

Each worker is one execution environment: AWS's own runtime interface client (awslambdaric) in a
bare Python, speaking the Lambda Runtime API to a small server in this process. It has the layers
unpacked as `/opt`, the function's package as its task root, the credentials of the function's own
role and the environment it would have on AWS, plus what points it at this machine.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.authority import Authority
from local.aws.lambda_runtime import base_python
from local.config import REGION

if TYPE_CHECKING:
    from local.component import Instance
    from local.processes import Process

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
DEFAULT_WORKERS = 12
# AWS gives an execution environment 10 s to start before it begins to charge the invocation for
# it; this machine may be busy with three brokers, and the start is never charged.
INIT_SECONDS = 90.0
# Role credentials on AWS live for hours and the environment is replaced before they end.
WORKER_LIFETIME_SECONDS = 45 * 60
QUEUE_SECONDS = 120.0


@dataclass(frozen=True)
class Function:
    """What is needed to run one published version (or `$LATEST`) of a function."""

    name: str
    arn: str
    version: str
    handler: str
    role: str
    timeout: float
    memory: int
    environment: Mapping[str, str]
    in_vpc: bool
    code: bytes = field(repr=False)
    layers: Sequence[bytes] = field(repr=False)
    log_group: str
    revision: str
    """Changes with every change of code or configuration."""

    @property
    def key(self) -> tuple[str, str]:
        """Equal for invocations that may share an execution environment."""
        return self.arn, self.revision


@dataclass(frozen=True)
class Result:
    """Outcome of one invocation. With `error`, `body` is Lambda's error document."""

    body: Any
    error: bool = False
    log: str = ""


class PoolExhaustedError(Exception):
    """Every worker stayed busy for too long."""


Credentials = Callable[[Function], Mapping[str, str]]
"""Gives AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of a function's role."""


class LambdaPool:
    """At most `capacity` workers; invocations beyond that wait for one to become free."""

    def __init__(
        self,
        instance: Instance,
        runtime: Path,
        credentials: Credentials,
        capacity: int = DEFAULT_WORKERS,
    ) -> None:
        self._instance = instance
        self._runtime = runtime
        self._credentials = credentials
        self._capacity = capacity
        self._changed = threading.Condition()
        self._workers: list[_Worker] = []
        self._packages = _Packages(instance.config.root / "lambda")
        # Writes what workers trust.
        Authority.of(instance.config)
        self._closed = False

    def invoke(self, function: Function, event: Any, request_id: str) -> Result:
        """Run `function` with `event`. Raises PoolExhaustedError if no worker becomes free."""
        worker = self._acquire(function)
        try:
            return worker.invoke(event, request_id)
        finally:
            self._release(worker)

    def close(self) -> None:
        """Stop every worker."""
        with self._changed:
            self._closed = True
            workers, self._workers = self._workers, []
            self._changed.notify_all()
        for worker in workers:
            worker.stop()

    def _acquire(self, function: Function) -> _Worker:
        key = function.key
        deadline = time.monotonic() + QUEUE_SECONDS
        evicted: _Worker | None = None
        with self._changed:
            while True:
                if self._closed:
                    raise PoolExhaustedError("the pool is closed")
                idle = [worker for worker in self._workers if not worker.busy]
                for worker in idle:
                    if worker.key == key and worker.usable:
                        worker.busy = True
                        return worker
                if len(self._workers) >= self._capacity and idle:
                    evicted = min(idle, key=lambda worker: (worker.usable, worker.last_used))
                    self._workers.remove(evicted)
                if len(self._workers) < self._capacity:
                    worker = _Worker(function)
                    self._workers.append(worker)
                    break
                left = deadline - time.monotonic()
                if left <= 0:
                    raise PoolExhaustedError(f"{self._capacity} workers were busy")
                self._changed.wait(left)
        if evicted:
            evicted.stop()
        try:
            worker.start(self._instance, self._runtime, self._packages, self._credentials(function))
        except BaseException:
            self._release(worker)
            raise
        return worker

    def _release(self, worker: _Worker) -> None:
        with self._changed:
            worker.busy = False
            worker.last_used = time.monotonic()
            if not worker.usable and worker in self._workers:
                self._workers.remove(worker)
            self._changed.notify()
        if not worker.usable:
            worker.stop()


class _Worker:
    """One execution environment."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.key = function.key
        self.busy = True
        self.last_used = time.monotonic()
        self._born = time.monotonic()
        self._api: _RuntimeApi | None = None
        self._process: Process | None = None
        self._home: Path | None = None
        self._log = Path()
        self._output = Path()

    @property
    def usable(self) -> bool:
        """Whether another invocation may go to it."""
        return (
            self._process is not None
            and self._process.poll() is None
            and time.monotonic() - self._born < WORKER_LIFETIME_SECONDS
        )

    def start(
        self,
        instance: Instance,
        runtime: Path,
        packages: _Packages,
        credentials: Mapping[str, str],
    ) -> None:
        """Start the process; `invoke` waits until it polls for work."""
        config, function = instance.config, self.function
        task, opt = packages.task(function.code), packages.opt(function.layers)
        self._home = packages.new_home(function.name)
        self._log = config.logs / "lambda" / f"{function.name}.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._api = _RuntimeApi(config.aws_address)
        settings = {
            "handler": function.handler,
            "path": [
                str(task),
                str(opt / "python" / "lib" / "python3.13" / "site-packages"),
                str(opt / "python"),
                str(runtime),
            ],
            "names": str(config.names_file) if function.in_vpc else None,
            "block": config.block,
            "open": [config.aws_address],
        }
        arguments = ["-I", "-S", "-u", str(BOOTSTRAP), json.dumps(settings)]
        environment = self._environment(instance, task, opt) | dict(credentials)
        self._output = self._home / "output.log"
        self._process = instance.processes.spawn(
            f"lambda {function.name}",
            [base_python(), *arguments],
            environment=environment,
            log=self._output,
            directory=task,
        )

    def invoke(self, event: Any, request_id: str) -> Result:
        """Wait until the environment is ready, then run one event within the function's timeout."""
        if self._api is None or self._process is None:
            raise RuntimeError("start() comes first")
        offset = 0 if not self._api.served else self._log_size()
        result = self._run(self._api, self._process, event, request_id)
        log = self._read_log(offset)
        with self._log.open("a") as everything:
            everything.write(log)
        return Result(result.body, result.error, log)

    def _run(self, api: _RuntimeApi, process: Process, event: Any, request_id: str) -> Result:
        if not api.wait_ready(process, INIT_SECONDS):
            self.stop()
            return _failure(
                api.init_error or _exit_document(process, request_id, "during initialisation")
            )
        outcome = api.exchange(
            process,
            event=event,
            request_id=request_id,
            arn=self.function.arn,
            seconds=self.function.timeout,
        )
        if outcome is not None:
            return outcome
        if process.poll() is not None:
            return _failure(_exit_document(process, request_id, "while handling the event"))
        self.stop()
        message = f"Task timed out after {self.function.timeout:.2f} seconds"
        return _failure(
            {
                "errorType": "Sandbox.Timedout",
                "errorMessage": f"RequestId: {request_id} Error: {message}",
            }
        )

    def stop(self) -> None:
        """End the process and remove what it wrote; may be called again."""
        if self._process is not None:
            self._process.stop(grace=0.0)
        if self._api is not None:
            self._api.close()
        if self._home is not None and not self.busy:
            shutil.rmtree(self._home, ignore_errors=True)

    def _log_size(self) -> int:
        return self._output.stat().st_size if self._output.exists() else 0

    def _read_log(self, offset: int) -> str:
        if not self._output.exists():
            return ""
        with self._output.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")

    def _environment(self, instance: Instance, task: Path, opt: Path) -> dict[str, str]:
        """Lambda's variables, the function's own, and those that point it at this machine.

        https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
        """
        function, config = self.function, instance.config
        if self._api is None or self._home is None:
            raise RuntimeError("start() comes first")
        declared = {
            key: f"{opt}/{value.removeprefix('/opt/')}" if value.startswith("/opt/") else value
            for key, value in function.environment.items()
        }
        runtime = {
            "_HANDLER": function.handler,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": function.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": f"{function.version}/{uuid.uuid4().hex}",
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "LAMBDA_TASK_ROOT": str(task),
            "LAMBDA_RUNTIME_DIR": str(BOOTSTRAP.parent),
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LD_LIBRARY_PATH": f"{task}:{task}/lib:{opt}/lib",
            "TZ": ":UTC",
        }
        here = {
            "AWS_ENDPOINT_URL": config.aws_endpoint,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            # The prefixed hosts of StartSyncExecution and DiscoverInstances exist only on AWS.
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            # On AWS, the runtime's own roots have those of ACM's certificates among them.
            "SSL_CERT_FILE": str(config.trust_file),
            "HOME": str(self._home),
            "TMPDIR": str(self._home / "tmp"),
        }
        if not function.in_vpc and config.outbound_file.exists():
            here |= json.loads(config.outbound_file.read_text())
        if function.in_vpc:
            # libpq resolves names itself, past the hook.
            here["PGHOSTADDR"] = config.database_address
            here["PGSSLROOTCERT"] = str(config.database_ca)
        return declared | runtime | here


class _Packages:
    """Unpacked function packages and merged layers, by content."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()

    def task(self, code: bytes) -> Path:
        return self._unpacked("task", [code])

    def opt(self, layers: Sequence[bytes]) -> Path:
        """Layers in the order of the function's list: a later one wins, as in `/opt`."""
        return self._unpacked("opt", layers)

    def new_home(self, name: str) -> Path:
        home = self._root / "home" / f"{name}-{uuid.uuid4().hex[:8]}"
        (home / "tmp").mkdir(parents=True)
        return home

    def _unpacked(self, kind: str, archives: Sequence[bytes]) -> Path:
        digest = hashlib.sha256()
        for archive in archives:
            digest.update(hashlib.sha256(archive).digest())
        target = self._root / kind / digest.hexdigest()[:20]
        with self._lock:
            if not target.is_dir():
                partial = target.with_suffix(".partial")
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True)
                for archive in archives:
                    _extract(archive, partial)
                partial.rename(target)
        return target


def _extract(archive: bytes, target: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(archive)) as package:
        for member in package.infolist():
            path = Path(package.extract(member, target))
            mode = member.external_attr >> 16
            if mode and path.is_file():
                path.chmod(mode & 0o777 | 0o600)


def _failure(document: Any) -> Result:
    return Result(document, error=True)


def _exit_document(process: Process, request_id: str, when: str) -> dict[str, str]:
    code = process.poll()
    if code is None:
        reason = f"Runtime was not ready within {INIT_SECONDS:.0f} seconds"
    elif code < 0:
        reason = f"Runtime exited with error: signal: {-code}"
    elif code:
        reason = f"Runtime exited with error: exit status {code}"
    else:
        reason = "Runtime exited without providing a reason"
    return {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {request_id} Error: {reason} ({when})",
    }


class _RuntimeApi:
    """The Lambda Runtime API of one execution environment.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """

    def __init__(self, address: str) -> None:
        self._state = threading.Condition()
        self._ready = False
        self._closed = False
        self._event: tuple[bytes, dict[str, str]] | None = None
        self._outcome: Result | None = None
        self.init_error: Any = None
        self.served = 0
        self._server = ThreadingHTTPServer((address, 0), self._handler())
        self._server.daemon_threads = True
        self.address = f"{address}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def wait_ready(self, process: Process, seconds: float) -> bool:
        """Wait until the environment polls for its first event; False if it fails or exits."""
        return self._wait(lambda: self._ready, process, seconds, stop=lambda: bool(self.init_error))

    def exchange(
        self, process: Process, *, event: Any, request_id: str, arn: str, seconds: float
    ) -> Result | None:
        """Hand over one event and wait for its outcome; None on time-out or exit."""
        headers = {
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + seconds) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": arn,
            "Content-Type": "application/json",
        }
        with self._state:
            self._outcome = None
            self._event = (json.dumps(event).encode(), headers)
            self.served += 1
            self._state.notify_all()
        self._wait(lambda: self._outcome is not None, process, seconds)
        return self._outcome

    def close(self) -> None:
        with self._state:
            if self._closed:
                return
            self._closed = True
            self._state.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def _wait(
        self,
        condition: Callable[[], bool],
        process: Process,
        seconds: float,
        stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        deadline = time.monotonic() + seconds
        with self._state:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0 or stop():
                    return False
                if process.poll() is not None:
                    # What it posted just before it exited may still be on its way in.
                    self._state.wait(0.2)
                    return condition()
                self._state.wait(min(left, 0.25))
        return True

    def _next(self) -> tuple[bytes, dict[str, str]] | None:
        with self._state:
            self._ready = True
            self._state.notify_all()
            while self._event is None and not self._closed:
                self._state.wait()
            event, self._event = self._event, None
            return event

    def _finish(self, outcome: Result) -> None:
        with self._state:
            self._outcome = outcome
            self._state.notify_all()

    def _fail_init(self, document: Any) -> None:
        with self._state:
            self.init_error = document
            self._state.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                event = api._next()
                if event is None:
                    self.close_connection = True
                    return
                body, headers = event
                self._answer(200, body, headers)

            def do_POST(self) -> None:
                body = self._body()
                if self.path.endswith("/response"):
                    api._finish(Result(_decoded(body)))
                elif self.path.endswith("/init/error"):
                    api._fail_init(_decoded(body))
                else:
                    api._finish(_failure(_decoded(body)))
                self._answer(202, b'{"status":"OK"}', {})

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def capacity_from_environment() -> int:
    """LAMBDA_MAX_WORKERS, 12 without it: about 60 MB each."""
    return max(1, int(os.environ.get("LAMBDA_MAX_WORKERS", DEFAULT_WORKERS)))
