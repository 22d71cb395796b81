from __future__ import annotations

import json

from lifecycle.scaling.request import read_scale_request

from tools.generate_parameters import ROOT
from tools.generate_scaling import TARGET, render


def test_the_tables_are_those_of_the_code() -> None:
    text = TARGET.read_text()
    assert render(text) == text, "run `make generate`"
    assert "lower the count**" in text
    assert "| Fargate quota |" in text


def test_inputs_for_the_console_are_accepted() -> None:
    found = sorted((ROOT / "events").glob("scale-*.json"))
    assert found
    for path in found:
        assert read_scale_request(json.loads(path.read_text())).cluster == "demo"
