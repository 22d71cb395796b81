from __future__ import annotations

import re
from pathlib import Path

import lifecycle.errors
import pytest
from lifecycle.core.health_catalog import KINDS
from lifecycle.errors import LifecycleError

RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()
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
