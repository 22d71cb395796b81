"""`camunda-ecs open --forward` with the AWS CLI itself, before stand-ins of Systems Manager.

The AWS CLI parses the arguments and sends StartSession, whose body is compared word for word; the
plugin, which it starts as on AWS, listens on the local port. What the agent in the task does with
the session has no stand-in.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.command_line import FakeApi, Shell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration

# As the AWS CLI starts it: awscli/customizations/sessionmanager.py. From version 1.2.497.0 on, the
# response of StartSession, which has the token, is in a variable that the first word names.
PLUGIN = """
import json, os, signal, socket, sys
if sys.argv[1:] == ["--version"]:
    print("1.2.764.0")
    sys.exit(0)
variable, region, operation, profile, request, endpoint = sys.argv[1:]
assert operation == "StartSession" and json.loads(os.environ[variable])["TokenValue"] == "token"
here = os.path.dirname(os.path.abspath(__file__))
asked = json.loads(request)
with open(os.path.join(here, "plugin.json"), "w") as out:
    json.dump({"pid": os.getpid(), "region": region, "request": asked}, out)
if not os.path.exists(os.path.join(here, "deaf")):
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
else:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", int(asked["Parameters"]["localPortNumber"][0])))
while True:
    listener.accept()[0].close()
    if os.path.exists(os.path.join(here, "idle")):
        sys.exit(0)
"""


@dataclass
class Systems:
    """Systems Manager: what StartSession was sent, and what it returns."""

    directory: Path
    url: str = ""
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refused: dict[str, str] | None = None

    @property
    def plugin(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / "plugin.json").read_text())
        return found


@pytest.fixture
def systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systems]:
    found = Systems(tmp_path)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            found.sent.append((self.headers["x-amz-target"], body))
            answer = found.refused or {
                "SessionId": "ada-0a1b",
                "TokenValue": "token",
                "StreamUrl": "wss://ssmmessages.example",
            }
            content = json.dumps(answer).encode()
            self.send_response(400 if found.refused else 200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    for name, text in (
        ("aws", f'#!/bin/sh\nexec {sys.executable} -m awscli "$@"\n'),
        ("session-manager-plugin", f"#!{sys.executable}\n{PLUGIN}"),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", found.url)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    yield found
    server.shutdown()
    server.server_close()


def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@dataclass
class Terminal(Shell):
    """A terminal with a clock that passes. ``when_open`` is what a person does at the open port."""

    when_open: Callable[[], None] = lambda: signal.raise_signal(signal.SIGINT)

    def _sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.05))

    def _browse(self, url: str) -> bool:
        super()._browse(url)
        self.when_open()
        return True


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A shell starts what is in the background with SIGINT ignored, and so would this process."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def terminal() -> Terminal:
    """A person who presses Ctrl-C as soon as the browser is open; the URL leads to this machine."""
    made = Terminal(FakeApi(), on_terminal=True)
    web, grpc = made.api.cluster["access"]["ways"][1]["forwards"]
    web |= {"url": "http://localhost:8080/operate", "hosts": None, "resolve": None}
    web |= {"port": 80, "localPort": 8080}
    grpc |= {"localPort": 26500}
    return made


def gone(pid: int) -> bool:
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:1]
    except FileNotFoundError:
        return True


def test_the_request_is_the_one_of_the_way(systems: Systems, terminal: Terminal) -> None:
    port = free()
    ended = terminal.run("open", "--forward", "web", "--port", str(port))
    assert ended.exit_code == 0, ended.output
    way = terminal.api.cluster["access"]["ways"][1]["forwards"][0]
    request = {
        "Target": way["target"],
        "DocumentName": "AWS-StartPortForwardingSessionToRemoteHost",
        "Parameters": {
            "host": [way["host"]],
            "portNumber": ["80"],
            "localPortNumber": [str(port)],
        },
    }
    assert systems.sent == [("AmazonSSM.StartSession", request)]
    assert systems.plugin["request"] == request
    assert systems.plugin["region"] == "eu-central-1"
    assert terminal.opened == [f"http://localhost:{port}/operate"]


def test_ctrl_c_ends_the_session_and_leaves_nothing(systems: Systems, terminal: Terminal) -> None:
    port = free()
    ended = terminal.run("open", "--forward", "web", "--port", str(port))
    assert (ended.exit_code, "has ended" in ended.stderr) == (0, True)
    assert gone(systems.plugin["pid"])
    with socket.create_server(("127.0.0.1", port)):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_ways_to_end_it_leave_nothing_either(
    systems: Systems, terminal: Terminal, number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    terminal.when_open = lambda: signal.raise_signal(number)
    ended = terminal.run("open", "--forward", "web", "--port", str(free()))
    assert ended.exit_code == 0, ended.output
    assert gone(systems.plugin["pid"])
    assert signal.getsignal(number) is before


def test_a_plugin_that_does_not_end_is_killed(
    systems: Systems, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The AWS CLI ignores SIGINT, too, and leaves its plugin behind when it is terminated."""
    monkeypatch.setattr("camunda_ecs.forward._GRACE", 0.2)
    (systems.directory / "deaf").touch()
    terminal.run("open", "--forward", "web", "--port", str(free()))
    until = time.monotonic() + 5
    while not gone(systems.plugin["pid"]) and time.monotonic() < until:
        time.sleep(0.02)
    assert gone(systems.plugin["pid"])


def test_a_session_that_ends_by_itself_ends_the_command(
    systems: Systems, terminal: Terminal
) -> None:
    """As after Systems Manager's idle time."""
    (systems.directory / "idle").touch()
    terminal.when_open = lambda: None
    ended = terminal.run("open", "--forward", "web", "--port", str(free()))
    assert (ended.exit_code, "ended with 0" in ended.stderr) == (0, True)


def test_a_refused_session_is_reported_with_what_to_do(
    systems: Systems, terminal: Terminal
) -> None:
    systems.refused = {"__type": "TargetNotConnected", "message": "it is not connected"}
    ended = terminal.run("open", "--forward", "web", "--port", str(free()))
    assert ended.exit_code == 1
    assert "The session did not start" in ended.stderr
    assert "TargetNotConnected" in ended.stderr
    assert terminal.opened == []


def test_with_tls_the_hosts_line_is_shown_and_no_browser_opens_without_it(
    systems: Systems, terminal: Terminal
) -> None:
    """The name leads elsewhere as long as the line is not there."""
    port = free()
    web = terminal.api.cluster["access"]["ways"][1]["forwards"][0]
    web |= {"url": "https://camunda.invalid:8443/operate", "hosts": "127.0.0.1 camunda.invalid"}
    (systems.directory / "idle").touch()
    ended = terminal.run("open", "--forward", "web", "--port", str(port))
    assert ended.exit_code == 0, ended.output
    assert f"https://camunda.invalid:{port}/operate" in ended.stdout
    assert "  127.0.0.1 camunda.invalid" in ended.stdout
    assert f"--resolve camunda.invalid:{port}:127.0.0.1" in ended.stdout
    assert terminal.opened == []


def test_another_port_than_that_of_the_redirect_uri_is_no_login(
    systems: Systems, terminal: Terminal
) -> None:
    """An identity provider returns to the URL without a port, which the API then proposes."""
    web = terminal.api.cluster["access"]["ways"][1]["forwards"][0]
    web |= {"url": "https://localhost/operate", "hosts": "127.0.0.1 localhost", "localPort": 443}
    (systems.directory / "idle").touch()
    ended = terminal.run("open", "--forward", "web", "--port", str(free()))
    assert ended.exit_code == 0, ended.output
    assert "returns to port 443" in ended.stdout
    assert terminal.opened == []


def test_grpc_is_forwarded_without_a_browser(systems: Systems, terminal: Terminal) -> None:
    port = free()
    (systems.directory / "idle").touch()
    ended = terminal.run("open", "--forward", "grpc", "--port", str(port))
    assert ended.exit_code == 0, ended.output
    assert systems.sent[0][1]["Parameters"]["portNumber"] == ["26500"]
    assert f":{port}" in ended.stdout
    assert terminal.opened == []


def test_a_port_in_use_is_refused_before_anything_starts(
    systems: Systems, terminal: Terminal
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = terminal.run("open", "--forward", "web", "--port", port)
    assert (ended.exit_code, systems.sent) == (2, [])
    assert f"--port: given {port}, which is in use" in ended.stderr
