from __future__ import annotations

import json

from lifecycle.scaling.request import read_scale_request

from tools.generate_parameters import ROOT
from tools.generate_scaling import TARGET, render
from tools.scale import lines


def test_the_tables_are_those_of_the_code() -> None:
    text = TARGET.read_text()
    assert render(text) == text, "run `make generate`"
    assert "lower the count**" in text
    assert "| Fargate quota |" in text


def test_the_end_of_an_operation_is_told_in_lines() -> None:
    done = {
        "cluster": "demo",
        "verification": {
            "unit": "brokers",
            "brokers": {"before": 3, "after": 4},
            "checks": [
                {"name": "placement", "result": "PASS", "seen": "as Camunda plans it"},
                {"name": "notes", "result": "WARN", "seen": "a survivor"},
            ],
            "topology": [
                {"broker": 0, "host": "10.0.0.1", "partitions": {"1": {"role": "leader"}}},
                {"broker": 3, "host": "10.0.0.4", "partitions": {}},
            ],
        },
    }
    told = [line.plain for line in lines(done, 12.3)]
    assert told[0] == "demo: 3 → 4 brokers in 12 s"
    assert "WARN notes: a survivor" in told
    assert told[-2:] == [
        "      broker 0 (10.0.0.1): 1 leader",
        "      broker 3 (10.0.0.4): no partition",
    ]


def test_inputs_for_the_console_are_accepted() -> None:
    found = sorted((ROOT / "events").glob("scale-*.json"))
    assert found
    for path in found:
        assert read_scale_request(json.loads(path.read_text())).cluster == "demo"
