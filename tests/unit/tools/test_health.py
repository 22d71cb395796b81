"""What `make generate` writes of the health checks."""

from __future__ import annotations

import json

from lifecycle.health.verdict import read_request

from tools import generate_health
from tools.generate_parameters import ROOT


def test_the_tables_are_what_the_code_says() -> None:
    text = generate_health.TARGET.read_text()
    assert generate_health.render(text) == text, "run make generate"


def test_inputs_for_the_console_are_accepted() -> None:
    for path in (ROOT / "events").glob("check-health-*.json"):
        if path.stem != "check-health-all":
            assert read_request(json.loads(path.read_text())).cluster == "demo"
