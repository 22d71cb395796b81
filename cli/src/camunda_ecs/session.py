"""What every command has: the API it addresses, where it writes, and how it confirms a change."""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
import uuid
import webbrowser
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

import typer
import yaml
from rich.console import Console, RenderableType
from rich.text import Text

from camunda_ecs import show, target
from camunda_ecs.api import Answer, Api, Lost, segment
from camunda_ecs.ends import Code, Stop, usage

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{1,18}")
_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
# Wide enough for a line of a table in a file or a pipe.
_PIPE_WIDTH: Final = 240


class Output(StrEnum):
    """Formats of stdout."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


@dataclass
class World:
    """Clocks, terminal and browser; tests give others."""

    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    on_terminal: Callable[[], bool] = _on_terminal
    browse: Callable[[str], bool] = webbrowser.open
    key: Callable[[], str] = lambda: uuid.uuid4().hex[:12]
    opener: Any = None  # of urllib; None for the usual one


@dataclass
class Session:
    """One invocation of a command, with the options that every command has."""

    world: World
    api_url: str | None = None
    profile: str | None = None
    region: str | None = None
    output: Output = Output.TABLE
    named_cluster: str | None = None
    yes: bool = False
    wait: bool = True
    given_key: str | None = None
    # What an interruption leaves behind and how to see it; empty while nothing was sent.
    hint: tuple[str, ...] = ()
    # ETag of the cluster as it was when the change was confirmed.
    match: str | None = None
    out: Console = field(init=False)
    err: Console = field(init=False)

    def __post_init__(self) -> None:
        def console(*, stderr: bool) -> Console:
            made = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
            if not made.is_terminal:
                made = Console(
                    stderr=stderr, highlight=False, emoji=False, markup=False, width=_PIPE_WIDTH
                )
            return made

        self.out, self.err = console(stderr=False), console(stderr=True)

    @cached_property
    def target(self) -> target.Target:
        """The API and the identity. Raises ``Stop`` (usage)."""
        return target.find(self.api_url, self.profile, self.region)

    @cached_property
    def api(self) -> Api:
        """The client of the API."""
        world = self.world
        return Api(
            self.target, self.note, sleep=world.sleep, clock=world.clock, opener=world.opener
        )

    @cached_property
    def cluster(self) -> str:
        """Name of the cluster. Only the instance of ``make up`` has one that is not named."""
        name = self.named_cluster
        if name is None and self.target.local is not None:
            name = self.target.local.get("clusterName")
        if name is None:
            raise usage(
                "No cluster is named.",
                "Give --cluster or set CAMUNDA_ECS_CLUSTER; `camunda-ecs clusters` lists them.",
            )
        if not _NAME.fullmatch(name):
            raise usage(
                f"--cluster: given {name}; allowed: 2 to 19 lower-case letters, digits and "
                "hyphens, beginning with a letter"
            )
        return name

    @property
    def path(self) -> str:
        """Path of the cluster."""
        return f"/clusters/{self.cluster}"

    @cached_property
    def key(self) -> str:
        """Idempotency-Key of this invocation: the one that is given, or one for all of it."""
        given = self.given_key
        if given is None:
            return self.world.key()
        if not _KEY.fullmatch(given):
            raise usage(f"--key: given {given}; allowed: 1 to 40 letters, digits, - and _")
        return given

    @property
    def is_data(self) -> bool:
        """Whether stdout is data, so that everything else goes to stderr."""
        return self.output is not Output.TABLE

    def note(self, text: str, style: str = "dim") -> None:
        """Write a line to stderr."""
        self.err.print(Text(show.plain(text), style=style), soft_wrap=True)

    def tell(self, *lines: RenderableType) -> None:
        """Write lines for people: to stdout, or to stderr when stdout is data."""
        console = self.err if self.is_data else self.out
        for line in lines:
            console.print(line, soft_wrap=isinstance(line, Text | str))

    def emit(self, document: Any, lines: Iterable[RenderableType]) -> None:
        """Write a document as data, or the lines that show it."""
        if self.output is Output.JSON:
            sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        elif self.output is Output.YAML:
            yaml.safe_dump(document, sys.stdout, sort_keys=False, allow_unicode=True)
        else:
            self.tell(*lines)

    def read(self, path: str, **options: Any) -> Answer:
        """Read something of the API. Raises ``Stop`` with what the API answered."""
        return self.checked(self.answered("GET", path, **options), "GET", path)

    def answered(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Send a request. Raises ``Stop`` (unknown) if there is no answer."""
        try:
            return self.api.send(method, path, body, **options)
        except Lost as lost:
            raise Stop(str(lost), code=Code.UNKNOWN) from lost

    @staticmethod
    def checked(answer: Answer, method: str, path: str) -> Answer:
        """Return a good answer. Raises ``Stop`` with any other."""
        if not answer.is_good:
            raise Stop(*show.problem(answer, method, path))
        if answer.document is None and "json" in answer.headers.get("content-type", ""):
            raise Stop(f"The answer of {method} {path} is no JSON.", code=Code.UNKNOWN)
        return answer

    def confirm(self, what: str, *, operation: str | None = None) -> None:
        """Show where a change goes and have it confirmed. Raises ``Stop`` if it is not.

        ``operation`` is the one that is changed; without it, the cluster is.
        """
        self.show_target(cluster_of(operation) if operation else self.cluster)
        self.note(what, style="bold")
        if self.yes:
            return
        self.need_terminal("--yes")
        if operation is None:
            self._look()
        if not typer.confirm("Go on?", err=True):
            raise Stop("Nothing was started.")

    def confirm_name(self, what: str, given: str | None) -> None:
        """Have the cluster's name typed again, or compare what was given. Raises ``Stop``."""
        self.show_target(self.cluster)
        self.note(what, style="bold")
        if given is None:
            self.need_terminal(f"--confirm {self.cluster}")
            self._look()
            given = typer.prompt("Type the cluster's name to remove it", err=True)
        if given != self.cluster:
            raise usage(
                f"--confirm: given {given}; allowed: {self.cluster}, the name of the cluster. "
                "Nothing was started."
            )

    def _look(self) -> None:
        """Show the cluster as it is, and hold the change to that: If-Match is its ETag."""
        answer = self.answered("GET", self.path)
        if answer.is_good:
            self.match = answer.headers.get("etag")
            self.note(f"now: {show.state(answer.document)}")

    def show_target(self, cluster: str | None) -> None:
        """Write the target of a change to stderr."""
        self.note(self.target.line(cluster))

    def need_terminal(self, option: str) -> None:
        """Refuse a change that no terminal confirms."""
        if not self.world.on_terminal():
            raise usage(
                f"A change is confirmed on a terminal, or with {option}. Nothing was started."
            )

    def command(self, *words: str) -> str:
        """Return a command with the options that address the same API."""
        options = {"--api-url": self.api_url, "--profile": self.profile, "--region": self.region}
        given = [part for name, value in options.items() if value for part in (name, value)]
        return shlex.join(["camunda-ecs", *words, *given])


def operation_path(identifier: str) -> str:
    """Return the path of an operation. Raises ``Stop`` (usage) for what is no id."""
    return f"/operations/{segment(operation_id(identifier))}"


def operation_id(identifier: str) -> str:
    """Return an operation's id as it is. Raises ``Stop`` (usage) for what is none."""
    if not _ID.fullmatch(identifier):
        raise usage(
            f"operation: given {identifier}; allowed: an id like demo.scale.monday "
            "(`camunda-ecs operations` lists them)"
        )
    return identifier


def cluster_of(identifier: str) -> str | None:
    """Return the cluster of an operation that the API started: ``<cluster>.<verb>.<key>``."""
    parts = identifier.split(".")
    return parts[0] if len(parts) == 3 else None


def only_given(**values: Any) -> Mapping[str, Any]:
    """Return what was given of optional values."""
    return {name: value for name, value in values.items() if value is not None}
