"""Forward a local port to a load balancer by Systems Manager, through the AWS CLI.

https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-sessions-start.html
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any, Final
from urllib.parse import urlsplit

from rich.text import Text

from camunda_ecs.ends import Code, Stop, usage
from camunda_ecs.session import Session

_DOCUMENT: Final = "AWS-StartPortForwardingSessionToRemoteHost"
_TOOLS: Final = {
    "aws": "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
    "session-manager-plugin": "https://docs.aws.amazon.com/systems-manager/latest/userguide/"
    "session-manager-working-with-install-plugin.html",
}
_TARGET: Final = re.compile(r"ecs:[A-Za-z0-9_-]+_[A-Za-z0-9]+_[A-Za-z0-9-]+")
# A comma would begin another parameter of the document.
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+")
_POLL: Final = 0.5
_PATIENCE: Final = 60.0
_GRACE: Final = 10.0
_REDIRECTED: Final = 443


def find(access: Mapping[str, Any], to: str) -> Mapping[str, Any]:
    """Return the forwarding to ``web`` or ``grpc``. Raises ``Stop`` with what every way lacks."""
    for way in access["ways"]:
        for one in way["forwards"]:
            if one["to"] == to:
                return _checked(one)
    reasons = [
        f"  {way['way']}: {way.get('missing') or way.get('unknown') or way['what']}"
        for way in access["ways"]
    ]
    raise Stop(f"Nothing forwards a port to {to} of this cluster.", *reasons)


def _checked(one: Mapping[str, Any]) -> Mapping[str, Any]:
    if not _TARGET.fullmatch(str(one["target"])) or not _HOST.fullmatch(str(one["host"])):
        raise Stop(f"The API returned no target and host: {one['target']}, {one['host']}.")
    return one


def run(session: Session, one: Mapping[str, Any], port: int | None, *, browser: bool) -> Code:
    """Forward the port until Ctrl-C, which is the usual end. Returns the exit code.

    Raises ``Stop`` where a tool is missing, the local port is in use, or the session does not
    start.
    """
    local = port or int(one["localPort"])
    aws = _tools()
    _need_free(local)
    url = _local_url(str(one["url"]), one, local)
    words = _words(session, one, aws, local)
    ended = "The port forwarding has ended."
    with _ends_with_signals(), _started(words) as process:
        try:
            _wait_until_it_listens(session, process, local)
            _tell(session, one, url, local)
            if browser and _logs_in(one, local) and _leads_here(url):
                session.world.browse(url)
            code = process.wait()
        except KeyboardInterrupt:
            session.note(ended)
            return Code.DONE
    session.note(f"{ended} The AWS CLI ended with {code}.")
    return Code.DONE if code == 0 else Code.FAILED


def _tools() -> str:
    """Return the path of the AWS CLI. Raises ``Stop`` (usage) where it or its plugin is missing."""
    if os.name == "nt":
        raise usage(
            "--forward needs Linux or macOS. Run the command that `camunda-ecs open` shows."
        )
    missing = [name for name in _TOOLS if shutil.which(name) is None]
    if missing:
        raise usage(
            f"Not on PATH: {', '.join(missing)}. A port is forwarded by the AWS CLI with its "
            "Session Manager plugin.",
            *(f"  install {name}: {_TOOLS[name]}" for name in missing),
        )
    return str(shutil.which("aws"))


def _need_free(local: int) -> None:
    """Raise ``Stop`` (usage) for a local port that this user cannot listen on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", local))
        except PermissionError as error:
            raise usage(
                f"--port: given {local}, which this user may not open; allowed: from 1024 on",
                "  With OIDC the identity provider returns to port 443. On Linux an administrator "
                "allows it: sysctl net.ipv4.ip_unprivileged_port_start=443",
            ) from error
        except OSError as error:
            raise usage(
                f"--port: given {local}, which is in use; allowed: a free port of this machine"
            ) from error


def _words(session: Session, one: Mapping[str, Any], aws: str, local: int) -> list[str]:
    profile = ["--profile", session.profile] if session.profile else []
    parameters = f"host={one['host']},portNumber={one['port']},localPortNumber={local}"
    return [
        *(aws, "ssm", "start-session", "--region", session.target.region, *profile),
        *("--target", str(one["target"]), "--document-name", _DOCUMENT),
        *("--parameters", parameters),
    ]


def _local_url(url: str, one: Mapping[str, Any], local: int) -> str:
    """Return the URL with another local port than the API proposes."""
    if local == one["localPort"]:
        return url
    if one["to"] != "web":
        return f"{url.rpartition(':')[0]}:{local}"
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.hostname}:{local}").geturl()


@contextlib.contextmanager
def _ends_with_signals() -> Iterator[None]:
    """Let a request to end, and a terminal that is closed, end the session like Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    names = ("SIGTERM", "SIGHUP")
    former = {
        getattr(signal, name): signal.signal(getattr(signal, name), interrupt)
        for name in names
        if hasattr(signal, name)
    }
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _started(words: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start the AWS CLI, and end it with the plugin that it starts, however this ends.

    In a process group of its own: the AWS CLI leaves its plugin running when it is terminated.
    """
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, process_group=0)  # noqa: S603
    try:
        yield process
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
                break


def _wait_until_it_listens(session: Session, process: subprocess.Popen[bytes], local: int) -> None:
    """Wait for the local port. Raises ``Stop`` if the AWS CLI ends before, or it takes too long."""
    until = session.world.clock() + _PATIENCE
    while not _listens(local):
        code = process.poll()
        if code is not None:
            raise Stop(
                f"The session did not start: the AWS CLI ended with {code}.",
                "  next step: its message is above. TargetNotConnected: the task has ended, or its "
                "agent does not run; repeat the command. AccessDenied: ssm:StartSession on the "
                "task and the document.",
            )
        if session.world.clock() > until:
            raise Stop(f"Port {local} did not open within {_PATIENCE:.0f} seconds.")
        session.world.sleep(_POLL)


def _listens(local: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", local)) == 0


def _logs_in(one: Mapping[str, Any], local: int) -> bool:
    """Whether a browser can log in at the local port.

    The API proposes 443 only for an identity provider, which returns to a URL without a port.
    """
    return one["to"] == "web" and (one["localPort"] != _REDIRECTED or local == _REDIRECTED)


def _leads_here(url: str) -> bool:
    """Whether the name in the URL resolves to this machine, as it has to for a forwarded port."""
    try:
        found = socket.getaddrinfo(urlsplit(url).hostname, None, socket.AF_INET)
    except OSError:
        return False
    return all(str(one[4][0]).startswith("127.") for one in found)


def _tell(session: Session, one: Mapping[str, Any], url: str, local: int) -> None:
    told = [f"Forwarding {url} to {one['host']}:{one['port']}. Ctrl-C ends it."]
    hosts = one.get("hosts")
    if hosts:
        name = str(hosts).split()[-1]
        told.append(
            f"The certificate names {name}, not localhost: use the name. Add this line to the "
            "hosts file as long as the port is forwarded, and remove it afterwards:"
        )
        told.append(f"  {hosts}")
        if one["to"] == "web":
            told.append(f"curl needs no line: --resolve {name}:{local}:127.0.0.1")
    if one["to"] == "web" and not _logs_in(one, local):
        told.append(
            f"No browser can log in: the identity provider returns to port {_REDIRECTED}. Clients "
            "with a token of their own can use this port."
        )
    session.tell(*(Text(line) for line in told))
