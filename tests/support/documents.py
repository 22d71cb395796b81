"""The code blocks of a document as a reader uses them: commands to execute, output to compare."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Final

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHELL: Final = frozenset({"bash", "sh"})
PROMPT: Final = "$ "
ANYTHING: Final = "…"
# What differs from run to run. Every other number is content: 4 brokers are not 3, 503 is not 200,
# and a price of the bundled list is the same in every run.
_VARIES: Final = re.compile(
    r"(?P<time>\b\d{4}-\d\d(?:-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?)?\b)"
    r"|(?P<uuid>\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)"
    r"|(?P<id>\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b)"
    r"|(?P<seconds>\d+\.\d+(?= s\b))"
    r"|(?P<anything>…)"
)
# A line of the progress of an operation: seconds since its start, the step, a detail.
_STEP: Final = re.compile(r"^ *\d+\.\d s  ")
_ANY_OF: Final = {
    "time": r"[\dT:.Z+-]+",
    "uuid": r"[0-9a-f-]{36}",
    "id": r"[0-9a-f]+",
    "seconds": r"\d+\.\d+",
    "anything": r"[^\n]*?",
}
_WITHIN: Final = _ANY_OF["anything"]
_LINES: Final = r"(?:^[^\n]*\n)*?"


@dataclass(frozen=True)
class Block:
    """A block: where it begins (line from 1), its language, its text, what is above it."""

    page: str
    line: int
    language: str
    text: str
    heading: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Use:
    """Commands that a reader executes together, and what the document shows of their output."""

    block: Block
    commands: tuple[str, ...]
    shown: str | None = None

    def __str__(self) -> str:
        return str(self.block)


def blocks(path: Path) -> list[Block]:
    """Return the blocks of a document, in its order; one without a fence has no language."""
    found, heading, is_heading = [], "", False
    for token in MarkdownIt("commonmark").parse(path.read_text()):
        if token.type == "inline" and is_heading:
            heading = token.content
        is_heading = token.type == "heading_open"
        if token.type in {"fence", "code_block"} and token.map:
            language = token.info.strip()
            found.append(Block(path.name, token.map[0] + 1, language, token.content, heading))
    return found


def is_transcript(block: Block) -> bool:
    """Whether a block shows commands after a prompt, each with its output."""
    return any(line.startswith(PROMPT) for line in block.text.splitlines())


def uses(found: list[Block]) -> Iterator[Use]:
    """Give what a reader executes: shell blocks and transcripts.

    A text block directly after a shell block of the same section shows the output of all of it.
    """
    for block, after in pairwise([*found, None]):
        if block is None:
            continue
        if block.language in SHELL:
            yield Use(block, tuple(commands(block.text)), _output(block, after))
        elif is_transcript(block):
            yield from _transcript(block)


def others(found: list[Block]) -> list[Block]:
    """Return the blocks that are neither executed nor the output of what is."""
    used = {str(use.block) for use in uses(found)}
    shown = {
        str(after)
        for block, after in pairwise(found)
        if block.language in SHELL and _output(block, after) is not None
    }
    return [block for block in found if str(block) not in used | shown]


def _output(block: Block, after: Block | None) -> str | None:
    if after is None or after.language != "text" or after.heading != block.heading:
        return None
    return None if is_transcript(after) else after.text


def _transcript(block: Block) -> Iterator[Use]:
    command, is_open = "", False
    output: list[str] = []
    for line in [*block.text.splitlines(), PROMPT]:
        if line.startswith(PROMPT):
            if command:
                yield Use(block, (command,), "\n".join(output))
            command, output = line.removeprefix(PROMPT), []
        elif is_open:
            command += f"\n{line}"
        else:
            output.append(line)
        is_open = (line.startswith(PROMPT) or is_open) and not is_complete(command)


def commands(text: str) -> Iterator[str]:
    """Split a script into its commands; a comment on lines of its own is none."""
    pending: list[str] = []
    for line in text.splitlines():
        if not pending and (not line.strip() or line.lstrip().startswith("#")):
            continue
        pending.append(line)
        if is_complete("\n".join(pending)):
            yield "\n".join(pending)
            pending = []
    if pending:
        raise ValueError(f"not a complete command: {pending}")


def is_complete(command: str) -> bool:
    """Whether bash would execute it, rather than wait for another line."""
    if command.endswith("\\"):
        return False
    # What the reader fills in is one word.
    filled = re.sub(r"<[a-z][a-z -]*>", "filled", command)
    read = subprocess.run(  # noqa: S603 - -n reads and executes nothing
        ["bash", "-n", "-c", filled],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return read.returncode == 0 and not read.stderr


def one_line(command: str) -> str:
    """Return a command as one line without its comment, to compare it with another."""
    return " ".join(re.sub(r"\s#.*$", "", command.replace("\\\n", " "), flags=re.M).split())


def unlike(shown: str, output: str) -> str:
    """Return what of the shown output the real one does not have; empty if it is all there.

    Spaces count alike, and line ends of the document as spaces, because it wraps long lines.
    ``…`` stands for any lines on a line of its own, for anything on its line within one. Times, ids
    and seconds may be others. Which steps of an operation a command shows depends on when it polls:
    of some in a row, one is enough.
    """
    real = "".join(f"{' '.join(line.split())}\n" for line in output.splitlines() if line.strip())
    lines: list[str] = []
    for is_step, group in groupby(filter(str.strip, shown.splitlines()), _is_step):
        these = list(group)
        if is_step:
            names = steps("\n".join(these))
            if not any(name in real for name in names):
                return f"none of these steps is in the output: {names}"
        lines += [ANYTHING] if is_step else these
    if re.fullmatch(_pattern(lines), real, re.MULTILINE):
        return ""
    for number in range(1, len(lines) + 1):
        if not re.match(_pattern(lines[:number]), real, re.MULTILINE):
            return f"not in the output after the lines before it: {lines[number - 1]!r}"
    return "the output goes on after the last line that is shown"


def steps(shown: str) -> list[str]:
    """Names of the steps of operations in an output."""
    return [_STEP.sub("", line).partition("  ")[0] for line in shown.splitlines() if _is_step(line)]


def _is_step(line: str) -> bool:
    return _STEP.match(line) is not None


def _pattern(lines: list[str]) -> str:
    return "".join(_LINES if line.strip() == ANYTHING else rf"{_line(line)}\s" for line in lines)


def _line(shown: str) -> str:
    text, at, parts = " ".join(shown.split()), 0, []
    for one in _VARIES.finditer(text):
        parts += [re.escape(text[at : one.start()]), _ANY_OF[str(one.lastgroup)]]
        at = one.end()
    pattern = "".join([*parts, re.escape(text[at:])])
    # Nothing, too: the space beside it is not in the output then.
    pattern = pattern.replace(rf"\ {_WITHIN}\ ", rf"(?:\ |\ {_WITHIN}\ )")
    if pattern.endswith(rf"\ {_WITHIN}"):
        pattern = rf"{pattern.removesuffix(rf'\ {_WITHIN}')}(?:\ {_WITHIN})?"
    if pattern.startswith(rf"{_WITHIN}\ "):
        pattern = rf"(?:{_WITHIN}\ )?{pattern.removeprefix(rf'{_WITHIN}\ ')}"
    return pattern
