"""`make contract` on local brokers, and on one that answers otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.broker.configuration import Configuration
from tools import contract

if TYPE_CHECKING:
    from tests.contract.subjects import Live

pytestmark = pytest.mark.contract


def target(subject: Live, **more: str) -> dict[str, str]:
    address = subject.address(0)
    return {"URL": f"http://{address}:9600", "REST": f"http://{address}:8080", **more}


def test_local_brokers_answer_as_computed(
    quiet_live: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    assert contract.main(target(quiet_live)) == 0
    assert "All as recorded and computed." in capsys.readouterr().out


def test_scaling_is_asked_for_first(
    quiet_live: Live, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "no")
    before = quiet_live.api.configuration()
    assert contract.main(target(quiet_live, CHANGES="yes")) == 1
    assert "not confirmed" in capsys.readouterr().out
    assert quiet_live.api.configuration() == before


def test_what_differs_is_told_with_both_answers(quiet_live: Live) -> None:
    place = contract.Target(target(quiet_live))
    model = contract.expected_model(place)
    other = Configuration(3, 3, 2, dialect=model.dialect)
    lines = contract.compare(place, other)
    assert any("planned: expected" in line for line in lines)


def test_nothing_is_compared_without_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert contract.main({}) == 2
    assert contract.main({"URL": "http://127.0.0.1:1", "REST": "http://127.0.0.1:1"}) == 2
    assert "URL and REST are needed" in capsys.readouterr().out
