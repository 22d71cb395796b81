"""Markers by folder, and no network where none is needed."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

# How long a case takes says more about the machine than about the code.
settings.register_profile(
    "project",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # What continuous integration meets can be met again; people's runs look for what is new.
    derandomize="CI" in os.environ,
)
# `make mutation` needs to know that a case fails, not the smallest one.
settings.register_profile(
    "unshrunk",
    settings.get_profile("project"),
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
    database=None,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "project"))

# An instance keeps a warm environment of most functions, at 60 MB each: cold starts cost the
# processors that brokers and tests share.
os.environ.setdefault("LAMBDA_MAX_WORKERS", "32")

# `make test ARGS=…` hands its variables to every make below it: what a test runs gets none of them.
for given in re.findall(r"(?:^|\s)(\w+)=", os.environ.pop("MAKEFLAGS", "")):
    os.environ.pop(given, None)
for inherited in ("MFLAGS", "MAKEOVERRIDES", "MAKELEVEL"):
    os.environ.pop(inherited, None)

ROOT = Path(__file__).parent
# Characters of a failure that was repeated: where it failed, and with what.
_SHOWN = 4_000
LAYERS = {
    "unit": "unit",
    "property": "property",
    "contract": "contract",
    "statemachines": "statemachine",
    "integration": "integration",
    "e2e": "e2e",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the long paths too (make test-all)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        short = [item for item in items if item.get_closest_marker("long") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(short)])
        items[:] = short
    for item in items:
        folder = item.path.relative_to(ROOT).parts[0]
        if folder in LAYERS:
            item.add_marker(getattr(pytest.mark, LAYERS[folder]))
        if folder in {"unit", "property"}:
            item.add_marker(pytest.mark.disable_socket)
        if folder in {"integration", "e2e"}:
            # They share two cores with everything they start: one repetition tells a slow moment
            # from a defect. The summary names what was repeated.
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=2))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show why a test was repeated: a defect that comes and goes looks like a slow moment."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"repeated: {report.nodeid}", sep="-")
        terminalreporter.line(report.longreprtext[-_SHOWN:])
