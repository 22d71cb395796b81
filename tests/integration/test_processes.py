"""Children die with their parent and are recognised again; orphaned_tasks are left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.processes import Processes, ProcessRecord, start_time, stop_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def eventually(condition: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(tmp_path / "processes.json")
    yield processes
    processes.stop_survivors(grace=1)


def test_gets_exactly_the_given_environment_and_log(processes: Processes, tmp_path: Path) -> None:
    code = "import os; print(sorted(os.environ.items()))"
    child = processes.spawn(
        "env", [sys.executable, "-I", "-c", code], environment={"A": "1"}, log=tmp_path / "log"
    )
    assert child.wait(10) == 0
    # The C locale coercion of CPython itself adds LC_CTYPE.
    assert "('A', '1')" in (tmp_path / "log").read_text()
    assert "PATH" not in (tmp_path / "log").read_text()


def test_child_survives_the_thread_that_asked_for_it(processes: Processes, tmp_path: Path) -> None:
    started = []

    def ask() -> None:
        started.append(processes.spawn("s", SLEEP, environment={}, log=tmp_path / "log"))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert started[0].poll() is None
    assert started[0].stop(grace=2) == -signal.SIGTERM
    assert processes.survivors() == []


def test_child_dies_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(  # noqa: S603
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                f"""
                import sys, time
                from pathlib import Path
                from local.processes import Processes
                processes = Processes(Path({str(tmp_path / "p.json")!r}))
                child = processes.spawn(
                    "c", {SLEEP!r}, environment={{}}, log=Path({str(tmp_path / "log")!r})
                )
                print(child.pid, flush=True)
                time.sleep(60)
                """
            ),
        ],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    time.sleep(0.3)
    assert start_time(pid) is not None
    parent.kill()
    parent.wait()
    assert eventually(lambda: start_time(pid) is None)


def test_sigkill_for_one_that_ignores_sigterm(processes: Processes, tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        " print('on', flush=True); time.sleep(60)"
    )
    child = processes.spawn("deaf", [sys.executable, "-c", code], environment={}, log=log)
    assert eventually(lambda: log.exists() and "on" in log.read_text())
    assert child.stop(grace=0.2) == -signal.SIGKILL


def test_another_process_with_a_recorded_pid_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(SLEEP)  # noqa: S603
    try:
        started = start_time(stranger.pid)
        assert started is not None
        stop_records([ProcessRecord("old", stranger.pid, started - 1)], grace=0.2)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_survivors_are_found_by_the_next_process(tmp_path: Path) -> None:
    first = Processes(tmp_path / "p.json")
    child = first.spawn("left", SLEEP, environment={}, log=tmp_path / "log")
    stopped = Processes(tmp_path / "p.json").stop_survivors(grace=2)
    assert [record.name for record in stopped] == ["left"]
    assert child.wait(5) == -signal.SIGTERM


def test_detached_child_outlives_its_parent(tmp_path: Path) -> None:
    code = textwrap.dedent(
        f"""
        from pathlib import Path
        from local.processes import Processes
        Processes(Path({str(tmp_path / "p.json")!r})).spawn(
            "host", {SLEEP!r}, environment={{}}, log=Path({str(tmp_path / "log")!r}), detached=True
        )
        """
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603
    time.sleep(0.2)
    processes = Processes(tmp_path / "p.json")
    assert [record.name for record in processes.survivors()] == ["host"]
    processes.stop_survivors(grace=2)
    assert processes.survivors() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")
def test_another_user_still_dies_with_the_parent(processes: Processes, tmp_path: Path) -> None:
    child = processes.spawn(
        "nobody",
        ["/bin/sleep", "60"],
        environment={},
        log=tmp_path / "log",
        user=(65534, 65534),
    )
    status = Path(f"/proc/{child.pid}/status")
    assert eventually(lambda: "Uid:\t65534\t65534" in status.read_text())
    assert eventually(lambda: "sleep" in Path(f"/proc/{child.pid}/cmdline").read_text())
    assert child.stop(grace=2) == -signal.SIGTERM


def test_missing_command_is_named(processes: Processes, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="broker: no executable /nowhere/java"):
        processes.spawn("broker", ["/nowhere/java"], environment={}, log=tmp_path / "log")
