"""Rules that make the local AWS as hard as the real one, where the emulator is kinder.

A rule is a module of this folder with a `RULE`: what AWS does, where that is documented, and an
`install` that makes the emulator do it. Every rule is installed when an instance starts. Rules
whose faults are fixed are on; those in `PENDING` are off unless the instance's file `strict.json`
(a JSON list of names) turns them on. It is read at each decision so that a test can turn a rule on
for one case.

`make generate` writes docs/strict-rules.md from the rules.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from local.component import Instance

PENDING: Final[Mapping[str, str]] = {}
"""Rules that are off, by name: which of our faults is not fixed yet."""


@dataclass(frozen=True)
class Rule:
    """One thing that AWS does and the emulator does not."""

    name: str
    """Its module's name with hyphens: `database-port` for `database_port.py`."""
    does: str
    """What AWS does, in one sentence."""
    source: str
    """Where that is documented or was reported."""
    caught: str
    """Which fault of this project it has shown; `nothing yet` for a rule that only guards."""
    install: Callable[[Strictness], None] = lambda _: None
    """Extends the emulator. Called once, before the instance's components are made.

    Nothing if a component itself calls the functions of the rule's module.
    """


@dataclass(frozen=True)
class Strictness:
    """Which rules are on in one instance."""

    instance: Instance

    @property
    def file(self) -> Path:
        """Names of the pending rules that are on: a JSON list; none while it is not there."""
        return self.instance.config.strict_file

    def on(self, name: str) -> bool:
        """Whether the rule `name` applies now."""
        if name not in PENDING:
            return True
        try:
            return name in json.loads(self.file.read_text())
        except FileNotFoundError:
            return False


def rules() -> Sequence[Rule]:
    """Every rule of this folder, by name."""
    found = [
        importlib.import_module(f"{__name__}.{module.name}").RULE
        for module in pkgutil.iter_modules(__path__)
    ]
    return sorted(found, key=lambda rule: rule.name)


def install(instance: Instance) -> None:
    """Make the emulator of this process as hard as AWS; call it once, before it serves."""
    strictness = Strictness(instance)
    for rule in rules():
        rule.install(strictness)
