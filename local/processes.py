"""Child processes that are never left behind.

A child dies with the process that started it (Linux's parent-death signal), and is recorded with
its start time, so that `down` finds it even after the parent was killed and never kills another
process that happens to have the same process id.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local.names import replace_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

# Runs in the child, before the real command. The parent-death signal is cleared by a change of
# user, so the user comes first; it does not fire if the parent is already gone, hence the check.
_LAUNCHER = """
import ctypes, os, signal, sys
parent, user, group = (int(value) for value in sys.argv[1:4])
if user >= 0:
    os.setgroups([]); os.setgid(group); os.setuid(user)
if parent:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
os.execv(sys.argv[4], sys.argv[4:])
"""


@dataclass(frozen=True)
class ProcessRecord:
    """What identifies a process."""

    name: str
    pid: int
    started: int
    """Field 22 of /proc/<pid>/stat: clock ticks since boot."""

    def alive(self) -> bool:
        """Whether exactly this process still runs (a zombie does not)."""
        return start_time(self.pid) == self.started


def start_time(pid: int) -> int | None:
    """Start time of a running process in clock ticks since boot; None if gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


class Process:
    """A running child. `returncode` semantics are those of `subprocess.Popen`."""

    def __init__(
        self, popen: subprocess.Popen[bytes], record: ProcessRecord, registry: _Registry
    ) -> None:
        self._popen = popen
        self._registry = registry
        self.record = record

    @property
    def pid(self) -> int:
        """Process id, also of its process group."""
        return self._popen.pid

    def poll(self) -> int | None:
        """Exit code, negative for a signal, or None while it runs."""
        return self._popen.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Exit code; raises subprocess.TimeoutExpired after `timeout` seconds."""
        return self._popen.wait(timeout)

    def stop(self, grace: float = 10.0) -> int:
        """SIGTERM, after `grace` seconds SIGKILL to the whole group. Gives the exit code."""
        if self._popen.poll() is None:
            _signal_group(self.pid, signal.SIGTERM)
            try:
                self._popen.wait(grace)
            except subprocess.TimeoutExpired:
                _signal_group(self.pid, signal.SIGKILL)
        code = self._popen.wait()
        self._registry.remove(self.record)
        return code


class Processes:
    """The children of one instance, recorded in the file `registry`."""

    def __init__(self, registry: Path) -> None:
        self._registry = _Registry(registry)
        self._spawner = _Spawner()

    def spawn(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        directory: Path | None = None,
        user: tuple[int, int] | None = None,
        detached: bool = False,
        pass_fds: Sequence[int] = (),
    ) -> Process:
        """Start `command` (an absolute path first) in its own process group.

        It gets exactly `environment`; stdout and stderr are appended to `log`. `user` is a
        (uid, gid) to change to. `detached` children outlive this process: only for the process
        that hosts an instance. Raises FileNotFoundError if the command does not exist.
        """
        executable = command[0]
        if not os.access(executable, os.X_OK):
            raise FileNotFoundError(f"{name}: no executable {executable}")
        log.parent.mkdir(parents=True, exist_ok=True)
        uid, gid = user or (-1, -1)
        parent = "0" if detached else str(os.getpid())
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, parent, str(uid), str(gid)]

        def start() -> subprocess.Popen[bytes]:
            with log.open("ab") as output:
                return subprocess.Popen(
                    [*launcher, *command],
                    env=dict(environment),
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    process_group=None if detached else 0,
                    start_new_session=detached,
                    pass_fds=pass_fds,
                )

        popen = self._spawner.run(start)
        record = ProcessRecord(name=name, pid=popen.pid, started=start_time(popen.pid) or 0)
        self._registry.add(record)
        return Process(popen, record, self._registry)

    def survivors(self) -> list[ProcessRecord]:
        """Recorded processes that are still running, except this one."""
        found = [record for record in self._registry.read() if record.alive()]
        return [record for record in found if record.pid != os.getpid()]

    def stop_survivors(self, grace: float = 10.0) -> list[ProcessRecord]:
        """Stop every recorded process that still runs; gives those that were stopped."""
        found = self.survivors()
        stop_records(found, grace)
        self._registry.clear()
        return found


def stop_records(records: Sequence[ProcessRecord], grace: float = 10.0) -> None:
    """SIGTERM to the groups of `records`, SIGKILL to those that remain after `grace` seconds."""
    for record in records:
        if record.alive():
            _signal_group(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while any(record.alive() for record in records) and time.monotonic() < deadline:
        time.sleep(0.05)
    for record in records:
        if record.alive():
            _signal_group(record.pid, signal.SIGKILL)
    while any(record.alive() for record in records):
        time.sleep(0.05)


@dataclass(frozen=True)
class Listener:
    """A TCP socket that accepts connections; `pid` is None for another user's."""

    address: str
    port: int
    pid: int | None

    def owner(self) -> str:
        """`postgres (pid 42)`, as far as it is known."""
        if self.pid is None:
            return "another user's process"
        name = Path(f"/proc/{self.pid}/comm").read_text().strip()
        return f"{name} (pid {self.pid})"


def listeners() -> list[Listener]:
    """Every listening TCP socket of this machine, from the kernel's own tables."""
    owners = _socket_owners()
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                host, _, port = fields[1].partition(":")
                address = _unpacked_address(host)
                found.append(Listener(address, int(port, 16), owners.get(fields[9])))
    return found


def connecting_user(client: tuple[str, int], server: tuple[str, int]) -> int | None:
    """Return the user id whose socket is the client's end of a connection on this machine.

    From the kernel's own tables; None if the client's end is not on this machine.
    https://docs.kernel.org/networking/proc_net_tcp.html
    """
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if (_endpoint(fields[1]), _endpoint(fields[2])) == (client, server):
                return int(fields[7])
    return None


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    return _unpacked_address(host).removeprefix("::ffff:"), int(port, 16)


def _unpacked_address(text: str) -> str:
    words = [bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8)]
    return str(ipaddress.ip_address(b"".join(words)))


def _socket_owners() -> dict[str, int]:
    owners = {}
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            with contextlib.suppress(OSError):
                for link in (directory / "fd").iterdir():
                    target = str(link.readlink())
                    if target.startswith("socket:["):
                        owners[target[8:-1]] = int(directory.name)
    return owners


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


class _Spawner:
    """One thread that lives as long as the process and does all the forking.

    The parent-death signal belongs to the *thread* that forked: a child started from a short-lived
    worker thread would be killed when that thread ends.
    """

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[
            tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]
        ] = queue.SimpleQueue()
        threading.Thread(target=self._loop, name="spawner", daemon=True).start()

    def run(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        result: Future[subprocess.Popen[bytes]] = Future()
        self._work.put((start, result))
        return result.result()

    def _loop(self) -> None:
        while True:
            start, result = self._work.get()
            try:
                result.set_result(start())
            except BaseException as error:  # noqa: BLE001
                result.set_exception(error)


class _Registry:
    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[ProcessRecord]:
        try:
            return [ProcessRecord(**entry) for entry in json.loads(self._path.read_text())]
        except FileNotFoundError:
            return []

    def add(self, record: ProcessRecord) -> None:
        with self._locked():
            kept = [other for other in self.read() if other.alive()]
            replace_json(self._path, [asdict(entry) for entry in [*kept, record]])

    def remove(self, record: ProcessRecord) -> None:
        with self._locked():
            kept = [other for other in self.read() if other != record]
            replace_json(self._path, [asdict(entry) for entry in kept])

    def clear(self) -> None:
        with self._locked():
            self._path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
