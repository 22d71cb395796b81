"""Terminal output: phases with a clock and what each waits for.

On a terminal one live line for the running phase; elsewhere plain lines, one per change.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType


@dataclass
class Phase:
    """Something that takes time; `seconds` once it is over."""

    title: str
    started: float = field(default_factory=time.monotonic)
    seconds: float | None = None
    detail: str = ""

    @property
    def elapsed(self) -> float:
        """Seconds so far, or in all."""
        return time.monotonic() - self.started if self.seconds is None else self.seconds


class Screen:
    """Shows one phase at a time and remembers how long each took."""

    def __init__(self, console: Console | None = None, *, stderr: bool = False) -> None:
        self.console = console or Console(highlight=False, emoji=False, stderr=stderr)
        if not self.console.is_terminal:
            # A log wraps nothing, so that it can be searched for whole ARNs.
            self.console.width = 200
        self.phases: list[Phase] = []
        self._live: Live | None = None

    @contextmanager
    def phase(self, title: str) -> Iterator[Phase]:
        """Show that `title` goes on while the block runs."""
        phase = self.begin(title)
        try:
            yield phase
        except BaseException:
            self.end(phase, worked=False)
            raise
        self.end(phase)

    def begin(self, title: str) -> Phase:
        """Show that `title` has begun."""
        phase = Phase(title)
        self.phases.append(phase)
        if self.console.is_terminal:
            line = _Line(phase)
            self._live = Live(line, console=self.console, transient=True, refresh_per_second=8)
            self._live.start()
        else:
            self.say(f"… {title}")
        return phase

    def detail(self, phase: Phase, text: str) -> None:
        """Show what `phase` waits for."""
        if text == phase.detail:
            return
        phase.detail = text
        if text and not self._live:
            self.say(f"  {duration(phase.elapsed):>7}  {text}")

    def end(self, phase: Phase, *, worked: bool = True) -> None:
        """Show that `phase` is over."""
        phase.seconds = phase.elapsed
        if self._live:
            self._live.stop()
            self._live = None
        mark = ("✓", "green") if worked else ("✗", "red")
        took = (duration(phase.seconds), "dim")
        self.console.print(Text.assemble(mark, f" {phase.title}  ", took), soft_wrap=True)

    def say(self, what: RenderableType = "") -> None:
        """Print a line outside of the phases."""
        if self.console.is_terminal:
            self.console.print(what, soft_wrap=isinstance(what, str | Text), markup=False)
            return
        with self.console.capture() as capture:
            self.console.print(what, soft_wrap=isinstance(what, str | Text), markup=False)
        lines = [line.rstrip() for line in capture.get().splitlines()]
        self.console.file.write("\n".join([*lines, ""]))
        self.console.file.flush()

    def times(self) -> Table:
        """Time by phase."""
        total = sum(phase.elapsed for phase in self.phases)
        table = Table("Time by phase", box=None, pad_edge=False, header_style="bold")
        table.add_column(justify="right")
        table.add_column()
        for phase in self.phases:
            share = phase.elapsed / total if total else 0
            bar = Text("▇" * max(1, round(share * 40)), style="cyan")
            table.add_row(phase.title, duration(phase.elapsed), bar)
        table.add_row("together", duration(total), "", style="bold")
        return table


class _Line:
    def __init__(self, phase: Phase) -> None:
        self._phase = phase
        self._spinner = Spinner("dots", style="cyan")

    def __rich__(self) -> RenderableType:
        grid = Table.grid(padding=(0, 1))
        took = Text(duration(self._phase.elapsed), style="dim")
        grid.add_row(self._spinner, Text.assemble(f"{self._phase.title}  ", took))
        if self._phase.detail:
            grid.add_row("", Text(self._phase.detail, style="dim"))
        return grid


def duration(seconds: float) -> str:
    """`8.2 s`, `74 s`, `3 min 05 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
