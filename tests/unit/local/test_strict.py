"""The rules of the strict AWS: named after their modules, with a source, on unless pending."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.aws import strict
from local.aws.strict import PENDING, Rule, Strictness, rules
from local.component import Instance
from local.config import LocalConfig
from tools.generate_strict import PAGE, page

FOLDER = Path(strict.__file__).parent


def test_each_module_is_one_rule_of_its_name() -> None:
    modules = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert {rule.name.replace("-", "_") for rule in rules()} == modules


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_a_rule_says_what_it_does_and_where_that_is_known_from(rule: Rule) -> None:
    assert rule.source.startswith("https://")
    assert rule.does.endswith(".")
    assert rule.caught


def test_only_rules_are_pending_each_with_its_fault() -> None:
    assert PENDING.keys() <= {rule.name for rule in rules()}
    assert all(PENDING.values())


def test_a_pending_rule_is_on_while_the_instance_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strict, "PENDING", {"one": "a fault", "two": "a fault"})
    strictness = Strictness(Instance.of(LocalConfig(tmp_path)))
    assert [strictness.on(name) for name in ("one", "two", "three")] == [False, False, True]
    strictness.file.write_text(json.dumps(["two"]))
    assert [strictness.on(name) for name in ("one", "two", "three")] == [False, True, True]


def test_the_page_is_what_the_rules_say() -> None:
    assert PAGE.read_text() == page(), "make generate"
