"""`make mutation SEED=1`: change decisions and operations at random, and see which tests notice.

Each change turns a comparison, a condition or a truth value, or puts a number off by one, by the
operators of Cosmic Ray (https://cosmic-ray.readthedocs.io). Then the tests that run the changed
line run, in a copy of the repository. A change that no test notices survives, and is printed;
``tests/mutations.toml`` lists those without an observable effect, with the reason.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = "layers/lifecycle/lifecycle"
# Where decisions are made and carried out; adapters and handlers are held by other tests.
ROOMS: Final = (
    "camunda",
    "cluster",
    "services",
    "operation",
    "preflight",
    "verification",
    "provisioning",
    "manage",
    "backup",
    "restore",
    "restart",
    "rotation",
    "scaling",
    "teardown",
    "plans",
    "health",
)
TESTS: Final = ("tests/unit", "tests/property", "tests/statemachines")
EQUIVALENT: Final = ROOT / "tests" / "mutations.toml"
CHANGES: Final = 40
ALLOWED: Final = 2
_TURNED: Final = (("Eq", "NotEq"), ("Lt", "LtE", "Gt", "GtE"), ("Is", "IsNot"))
OPERATORS: Final = (
    "core/AddNot",
    "core/NumberReplacer",
    "core/ReplaceAndWithOr",
    "core/ReplaceFalseWithTrue",
    "core/ReplaceOrWithAnd",
    "core/ReplaceTrueWithFalse",
    *(
        f"core/ReplaceComparisonOperator_{one}_{other}"
        for kind in _TURNED
        for one in kind
        for other in kind
        if one != other
    ),
)
# A change may make a loop endless.
_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Change:
    """A change to be made: a module of the repository, an operator of Cosmic Ray, and where."""

    module: str
    operator: str
    occurrence: int
    line: int
    text: str = ""
    column: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a change: its diff, and whether a test noticed it."""

    change: Change
    before: str
    after: str
    noticed: bool
    reason: str = ""


def changes(copy: Path) -> Iterator[Change]:
    """Every change that could be made to the rooms' modules, in the same order each time."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator

    paths = sorted(path for room in ROOMS for path in (copy / SOURCE / room).glob("*.py"))
    for module in (str(path.relative_to(copy)) for path in paths):
        code = (copy / module).read_text()
        lines, nodes = code.splitlines(), list(ast_nodes(get_ast(code)))
        for name in OPERATORS:
            operator = get_operator(name)()
            found = [at for node in nodes for at in operator.mutation_positions(node)]
            for occurrence, (begin, _) in enumerate(found):
                text = lines[begin[0] - 1].strip()
                # Frozen dataclasses, and imports for types alone: held by the type checker.
                if not text.startswith("@") and "TYPE_CHECKING" not in text:
                    yield Change(module, name, occurrence, begin[0], text, begin[1])


def sample(every: Iterable[Change], seed: int, size: int) -> list[Change]:
    """Draw changes by the text of their lines, so a seed draws the same ones in other versions.

    A change of other lines, or a module that moves, leaves the rest of a sample as it was.
    """

    def drawn(change: Change) -> str:
        told = f"{seed} {change.operator} {change.column} {change.text}"
        return hashlib.sha256(told.encode()).hexdigest()

    return sorted(every, key=drawn)[:size]


def mutated(change: Change, code: str) -> str:
    """The module's text with the change made."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    return str(mutate_code(code, get_operator(change.operator)(), change.occurrence))


def difference(before: str, after: str) -> tuple[str, str]:
    """Lines that a change takes and puts, without indentation."""
    lines = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    return tuple(  # type: ignore[return-value]
        " ".join(line[2:].strip() for line in lines if line.startswith(mark)) for mark in "-+"
    )


def known(outcome: Outcome, listed: Sequence[Mapping[str, str]]) -> str:
    """Why a change cannot be noticed, from the list of those; empty for any other."""
    mine = (outcome.change.module.removeprefix(f"{SOURCE}/"), outcome.before, outcome.after)
    return next(
        (one["why"] for one in listed if (one["module"], one["before"], one["after"]) == mine), ""
    )


def lines_run(copy: Path) -> Mapping[str, Mapping[int, Sequence[str]]]:
    """Which tests run which line of which module: one whole run under coverage."""
    report = copy / ".coverage-mutation"
    _pytest(
        copy,
        ["-q", f"--cov={SOURCE}", "--cov-context=test", "--cov-report=", "-n", "auto", *TESTS],
        {"COVERAGE_FILE": str(report)},
        check=True,
    )
    import coverage

    data = coverage.CoverageData(str(report))
    data.read()
    found = {}
    for file in data.measured_files():
        module = str(Path(file).relative_to(copy))
        found[module] = {
            line: sorted({one.partition("|")[0] for one in contexts if one}, key=_soonest)
            for line, contexts in data.contexts_by_lineno(file).items()
        }
    return found


def held_by(
    change: Change,
    run: Mapping[str, Mapping[int, Sequence[str]]],
    importing: Mapping[str, Sequence[str]],
) -> Sequence[str]:
    """Tests that run the changed line; of one that an import runs, those that see its module.

    These are the tests that run any of its lines, and the test files that import it: a constant
    that a test reads runs no line.
    """
    lines = run.get(change.module, {})
    if mine := lines.get(change.line, ()):
        return mine
    others = {one for tests in lines.values() for one in tests}
    return sorted({*others, *importing.get(change.module, ())}, key=_soonest)


def imported_by(copy: Path) -> Mapping[str, Sequence[str]]:
    """Which test files import which module of the package, by the modules' paths."""
    found: dict[str, list[str]] = {}
    for path in (one for room in TESTS for one in sorted((copy / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and path.name.startswith("test_"):
                for name in (node.module, *(f"{node.module}.{one.name}" for one in node.names)):
                    module = f"layers/lifecycle/{name.replace('.', '/')}.py"
                    found.setdefault(module, []).append(str(path.relative_to(copy)))
    return found


def _soonest(test: str) -> tuple[int, str]:
    """What fails soonest comes first: unit tests, then generated cases, then the definitions."""
    return next((at for at, room in enumerate(TESTS) if test.startswith(room)), len(TESTS)), test


def main(arguments: list[str] | None = None) -> int:
    """Make the changes of a seed, print the survivors; exit code 1 if too many survive."""
    parser = argparse.ArgumentParser(prog="make mutation", description=__doc__)
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument("--changes", type=int, default=CHANGES)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    listed = tomllib.loads(EQUIVALENT.read_text()).get("equivalent", [])
    with tempfile.TemporaryDirectory() as directory:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.workers):
            copies.put(copied(Path(directory) / str(number)))
        first = copies.get()
        every = list(changes(first))
        run, importing = lines_run(first), imported_by(first)
        copies.put(first)

        def attempt(change: Change) -> Outcome:
            copy = copies.get()
            try:
                return tried(copy, change, held_by(change, run, importing))
            finally:
                copies.put(copy)
                print(".", end="", flush=True)

        too_many = 0
        with ThreadPoolExecutor(options.workers) as threads:
            for seed in options.seed:
                drawn = sample(every, seed, options.changes)
                print(f"Seed {seed}: {len(drawn)} of {len(every)} changes", flush=True)
                survived = reported(list(threads.map(attempt, drawn)), listed)
                too_many += survived > ALLOWED
    return int(too_many > 0)


def reported(outcomes: Sequence[Outcome], listed: Sequence[Mapping[str, str]]) -> int:
    """Print what no test noticed; the number of those that are not listed as equivalent."""
    survived = 0
    for outcome in outcomes:
        why = "" if outcome.noticed else known(outcome, listed)
        survived += not outcome.noticed and not why
        if not outcome.noticed:
            change = outcome.change
            print(f"\n{'equivalent' if why else 'SURVIVED'} {change.module}:{change.line}")
            print(f"  - {outcome.before}\n  + {outcome.after}\n  {why or outcome.reason}")
    print(f"\n{survived} of {len(outcomes)} survived; at most {ALLOWED} may.", flush=True)
    return survived


def tried(copy: Path, change: Change, tests: Sequence[str]) -> Outcome:
    """Make one change in a copy, run the tests, and take it back."""
    path = copy / change.module
    code = path.read_text()
    changed = mutated(change, code)
    before, after = difference(code, changed)
    if not tests:
        return Outcome(change, before, after, noticed=False, reason="no test runs this line")
    path.write_text(changed)
    chosen = copy / "chosen-tests.txt"
    chosen.write_text("\n".join(tests))
    try:
        passed = _pytest(copy, ["-x", "-q", f"@{chosen}"], {}) == 0
    finally:
        path.write_text(code)
    return Outcome(change, before, after, noticed=not passed, reason=f"{len(tests)} tests pass")


def copied(target: Path) -> Path:
    """Clone the repository as it is committed: some tests list its files with git."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(target)], check=True)  # noqa: S603, S607
    return target


def _pytest(
    copy: Path, arguments: Sequence[str], environment: Mapping[str, str], *, check: bool = False
) -> int:
    command: list[Any] = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    more = {"PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_PROFILE": "unshrunk", **environment}
    try:
        done = subprocess.run(  # noqa: S603
            command,
            cwd=copy,
            env={**os.environ, **more},
            # Without a change all tests pass; where they do not, that is to be seen.
            stdout=None if check else subprocess.DEVNULL,
            stderr=None if check else subprocess.DEVNULL,
            timeout=None if check else _SECONDS,
            check=check,
        )
    except subprocess.TimeoutExpired:
        return 1
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
