"""Blocks of documents as a reader uses them: commands are found, complete, with their inputs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from camunda_ecs.app import app
from camunda_ecs.session import World
from typer.testing import CliRunner

from local.config import REPOSITORY
from tests.support.command_line import URL
from tests.support.documents import (
    ANYTHING,
    SHELL,
    Block,
    blocks,
    commands,
    is_transcript,
    one_line,
    others,
    steps,
    unlike,
    uses,
)
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = [
    REPOSITORY / "README.md",
    *(REPOSITORY / name for name in ("CONTRIBUTING.md", "SECURITY.md", "cli/README.md")),
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
EVERY_PAGE = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)


def written(tmp_path: Path, text: str) -> list[Block]:
    path = tmp_path / "page.md"
    path.write_text(text)
    return blocks(path)


# What a reader executes


def test_blocks_are_found_with_their_place(tmp_path: Path) -> None:
    text = "# One\n\n```bash\nls\n```\n\n- item\n\n  ```json\n  {}\n  ```\n\n~~~text\n```\n~~~\n"
    found = written(tmp_path, text)
    assert [(one.line, one.language, one.text) for one in found] == [
        (3, "bash", "ls\n"),
        (9, "json", "{}\n"),
        (13, "text", "```\n"),
    ]
    assert {one.heading for one in found} == {"One"}


def test_a_block_without_a_fence_is_one_that_is_not_executed(tmp_path: Path) -> None:
    found = written(tmp_path, "# One\n\n    make up\n")
    assert [(one.line, one.language, one.text) for one in found] == [(3, "", "make up\n")]
    assert others(found) == found


def test_a_script_is_split_into_its_commands() -> None:
    script = (
        "# first\ngit clone <this one>\nmake up    # starts\n\n"
        "curl -d '{\n}' \\\n  url\nfor a in b; do\n  echo\ndone\n"
    )
    assert list(commands(script)) == [
        "git clone <this one>",
        "make up    # starts",
        "curl -d '{\n}' \\\n  url",
        "for a in b; do\n  echo\ndone",
    ]
    with pytest.raises(ValueError, match="not a complete command"):
        list(commands("echo 'open\n"))


def test_a_transcript_and_the_output_below_a_script_are_compared(tmp_path: Path) -> None:
    text = (
        "# A\n```text\n+--+\n```\n```bash\nmake a\nmake b\n```\nThen:\n```text\nbuilt\n```\n"
        "# B\n```bash\nmake c\n```\n```text\n$ one \\\n  two\nout\n$ three\n```\n"
    )
    found = written(tmp_path, text)
    assert [(one.commands, one.shown) for one in uses(found)] == [
        (("make a", "make b"), "built\n"),
        (("make c",), None),
        (("one \\\n  two",), "out"),
        (("three",), ""),
    ]
    assert [one.line for one in others(found)] == [2]


@pytest.mark.parametrize(
    ("shown", "output"),
    [
        ("3 brokers", "3   brokers\n"),
        ("demo.scale.5d1f0a93c2b7", "demo.scale.0123456789ab"),
        ("   2.1 s  Tasks start", "  13.0 s  Tasks start  waiting"),
        ("703.00 USD (prices of 2025-07)", "703.00 USD (prices of 2026-01)"),
        ("checked, in 8.3 s", "checked, in 12.0 s"),
        ("account 123456789012", "account 000000000000"),
        ("PASS …\nend", "PASS a b\nend"),
        ("PASS …", "PASS"),
        ("one …, three", "one two, three"),
        ("a line that\nthe page wraps …", "a line that the page wraps here"),
        ("PASS a\n…\nend", "PASS a\nPASS b\nend"),
        ("…\nend", "end"),
        ("begin\n…", "begin\nmore"),
        ("begin\n…\nend", "begin\nend"),
        ("id\n   2.1 s  Tasks start  3\n   4.1 s  Check  4\nend", "id\n  13.0 s  Check  5\nend"),
        ("checked 2026-01-01T00:00:00.000Z", "checked 2027-12-31T23:59:59.123Z"),
    ],
)
def test_what_varies_is_not_compared(shown: str, output: str) -> None:
    assert unlike(shown, output) == ""


@pytest.mark.parametrize(
    ("shown", "output", "reason"),
    [
        ("from 3 to 4 brokers", "from 3 to 5 brokers", "from 3 to 4"),
        ("one\ntwo", "one\nthree", "'two'"),
        ("one", "one\ntwo", "goes on"),
        ("PASS\n…\nend", "PASS\nFAIL", "'end'"),
        ("PASS a …\nPASS b", "PASS a 1\nFAIL c\nPASS b", "'PASS b'"),
        ("API …, region\nend", "API a\nFAIL, region\nend", "'API …, region'"),
        ("PASS …", "PASS a\nFAIL b", "goes on"),
        ("answers 200", "answers 503", "'answers 200'"),
        ("…:26500 answers", "a:8080 answers", "'…:26500 answers'"),
        ("total 703.00 USD", "total 704.00 USD", "'total 703.00 USD'"),
        ("100 of 100 free", "0 of 100 free", "'100 of 100 free'"),
        ("a\nb", "b\na", "'a'"),
        ("id\n   2.1 s  Tasks start  3", "id\n   2.1 s  Check", "none of these steps"),
    ],
)
def test_what_differs_is_named(shown: str, output: str, reason: str) -> None:
    assert reason in unlike(shown, output)


def test_a_command_is_the_same_without_its_comment_and_its_line_ends() -> None:
    assert one_line("make a \\\n   B=1   # why") == "make a B=1"


def test_a_terminal_keeps_variables_and_directory_and_ends_at_an_error(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "own", tmp_path, {"PATH": "/usr/bin:/bin"})
    assert terminal.run("mkdir sub && cd sub\nexport A='b\nc'").code == 0
    assert terminal.directory == tmp_path / "sub"
    assert terminal.run('echo "$A"; read -r line; echo "$line" >&2', typed="y\n").output == (
        "b\nc\ny\n"
    )
    failed = terminal.run("false\necho never")
    assert (failed.code, failed.output) == (1, "")
    assert terminal.run("false | true").code == 1
    assert terminal.environment["A"] == "b\nc"
    assert terminal.run('f() { echo "<$1>"; }').code == 0
    assert terminal.run("f 1").output == "<1>\n"


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "own", tmp_path, {"PATH": "/usr/bin:/bin"})
    ended = terminal.run("tail -f /dev/null | cat", seconds=0.2)
    assert ended.code != 0
    assert "not ended after 0 s" in ended.output


# What a reader has to have

# Of a shell, or of a clone after `make`.
OWN = {"cd", "eval", "export", "camunda-ecs", "make"}
# Of others, as the requirements of a document name them.
REQUIRED = {"aws": "AWS CLI", "git": "git", "uvx": "`uvx`"}


@pytest.mark.parametrize(
    ("page", "begins"), [("README.md", "Requirements: "), ("docs/tour.md", "You need a clone")]
)
def test_what_is_executed_is_installed_or_required(page: str, begins: str) -> None:
    path = REPOSITORY / page
    programs = {
        word
        for use in uses(blocks(path))
        for command in use.commands
        for part in re.split(r"&&|\||\$\(", one_line(command))
        if not (word := part.split()[0].strip('"')).startswith(".venv/bin/")
    }
    assert programs <= {*OWN, *REQUIRED}
    (required,) = (text for text in path.read_text().split("\n\n") if begins in text)
    assert [one for one in sorted(programs - OWN) if REQUIRED[one] not in required] == []


@pytest.mark.parametrize("page", ["README.md", "docs/tour.md", "docs/api.md"])
def test_steps_that_are_shown_exist(page: str) -> None:
    """Of some in a row, one in the output is enough: this is what holds the others."""
    shown = {name for use in uses(blocks(REPOSITORY / page)) for name in steps(use.shown or "")}
    code = "\n".join(one.read_text() for one in (REPOSITORY / "layers/lifecycle").rglob("*.py"))
    assert {name for name in shown if f'"{name}"' not in code} == set()


# What documents name exists


def lines(path: Path) -> Iterator[list[str]]:
    """The words of each command line of ours in a block, up to a pipe or the command's end."""
    for block in blocks(path):
        if block.language not in {*SHELL, "yaml"} and not is_transcript(block):
            continue
        text = block.text.replace("\\\n", " ")
        for found in re.findall(r"(?<![\w-])camunda-ecs ([^`\n|#;&>)]+)", text):
            words = shlex.split(found)
            # Shapes are `camunda-ecs {a,b}` and those of the generated reference.
            if words[0].startswith("{") or "[OPTIONS]" in words:
                continue
            filled = (re.sub(r"\$\{\{.*?\}\}", "abc", word).rstrip(ANYTHING) for word in words)
            yield [URL if "://" in word else word for word in filled if word]


@EVERY_PAGE
def test_inputs_exist(path: Path) -> None:
    named = re.findall(r"events/[\w.-]+\.(?:json|yaml)", path.read_text())
    assert [name for name in named if not (REPOSITORY / name).is_file()] == []


class Sent(Exception):
    """A command line was complete: the command began to send a request."""


CLUSTER = {"CAMUNDA_ECS_CLUSTER": "demo"}


class Nowhere:
    """Stands in for the network."""

    def open(self, *_: Any, **__: Any) -> Any:
        raise Sent


@EVERY_PAGE
def test_commands_are_complete(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They get as far as the network, or end without it: exit code 2 is wrong usage."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events").symlink_to(REPOSITORY / "events")
    environment = {
        "CAMUNDA_ECS_API_URL": URL,
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": "config",
    }
    Path("config").write_text(
        "[profile production]\naws_access_key_id = AKIA\naws_secret_access_key = s\n"
    )
    world = World(on_terminal=lambda: True, opener=Nowhere(), browse=lambda _: True)
    for words in lines(path):
        for word in words:
            # An input that the reader writes.
            if word.endswith((".json", ".yaml")) and not Path(word).exists():
                Path(word).parent.mkdir(exist_ok=True)
                Path(word).write_text("parameters: {}\n")
        # Inputs of ours name the cluster; a document may name it in its text only.
        named = {} if any(word.startswith("events/") for word in words) else CLUSTER
        ended = CliRunner().invoke(app, words, env={**environment, **named}, obj=world, input="y\n")
        assert ended.exit_code != 2, f"{words}: {ended.output}"
