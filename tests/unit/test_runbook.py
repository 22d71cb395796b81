from __future__ import annotations

import ast
import re
from pathlib import Path

import lifecycle.errors
import pytest
from lifecycle.errors import LifecycleError
from lifecycle.health.catalog import KINDS
from lifecycle.scaling.preconditions import PRECONDITIONS

ROOT = Path(__file__).parents[2]
LAYER = ROOT / "layers" / "lifecycle" / "lifecycle"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
ERRORS = sorted(
    name
    for name, value in vars(lifecycle.errors).items()
    if isinstance(value, type) and issubclass(value, LifecycleError) and value is not LifecycleError
)


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_that_a_machine_can_report_has_an_entry(error: str) -> None:
    assert re.search(rf"^## {error}$", RUNBOOK, re.MULTILINE)


def test_no_entry_is_about_an_error_that_does_not_exist() -> None:
    entries = re.findall(r"^## ([A-Z][a-z]+[A-Z]\w+)$", RUNBOOK, re.MULTILINE)
    assert set(entries) == set(ERRORS)


def test_every_finding_of_the_health_check_has_an_entry_and_no_other_has() -> None:
    entries = re.findall(r"^### ([A-Z]+(?:_[A-Z]+)+)$", RUNBOOK, re.MULTILINE)
    assert sorted(entries) == sorted(KINDS)


def test_every_operation_that_is_reviewed_by_a_dry_run_is_named() -> None:
    plans = (ROOT / "docs/plans.md").read_text()
    reviewed = re.findall(r"^\| `(\w+)` \| (?:a dry run|.*or its dry run)", plans, re.MULTILINE)
    assert len(reviewed) > 3
    entry = RUNBOOK.split("## SecondApproverRequired\n")[1].split("\n## ")[0]
    (named,) = re.findall(r"\(([^()]+): make a dry run of it", entry)
    assert re.findall(r"`(\w+)`", named) == reviewed
    assert re.search(r"dry run\s+of `restore` needs `to` or `backup`", entry)


# The management port is closed to people, and ECS Exec is off: remedies that go there cannot be
# carried out. "9600" may stand where a security group's rule is what is to be looked at.
CLOSED = re.compile(r"actuator|\bcurl\b|\b9600\b|localhost", re.IGNORECASE)


def advice() -> list[tuple[str, str]]:
    every = [(f"finding {kind.code}", kind.remedy) for kind in KINDS.values()]
    every += [
        (f"error {name}", getattr(lifecycle.errors, name).default_next_step) for name in ERRORS
    ]
    every += [(f"precondition {one.name}", one.remedy) for one in PRECONDITIONS]
    for path in sorted((LAYER / "scaling").glob("*.py")):
        if path.stem == "adoption":  # It names the port of a security group's missing rule.
            continue
        # Strings only: a docstring may name what the code calls.
        every += [(path.name, text) for text in literals(path)]
    for entry in re.split(r"^(?=#{2,3} )", RUNBOOK, flags=re.MULTILINE):
        every.append((f"runbook {entry.splitlines()[0]}", entry))
    return every


def literals(path: Path) -> list[str]:
    tree = ast.parse(path.read_text())
    documents = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value not in documents
    ]


def test_no_remedy_sends_people_where_they_cannot_go() -> None:
    assert [where for where, text in advice() if CLOSED.search(text)] == []


def test_no_remedy_expects_services_in_the_stack() -> None:
    """The stack does not hold them, so that drift detection shows nothing of them."""
    assert [where for where, text in advice() if "drift" in text.lower()] == []


def test_advice_is_looked_at() -> None:
    found = dict(advice())
    assert len(found) > 150
    assert CLOSED.search("POST /actuator/rebalance at a quiet time.")
    assert CLOSED.search("reachable on port 9600")
