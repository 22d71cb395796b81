from __future__ import annotations

from tools.generate_scaling import TARGET, render


def test_the_tables_are_those_of_the_code() -> None:
    text = TARGET.read_text()
    assert render(text) == text, "run `make generate`"
    assert "lower the count**" in text
    assert "| Fargate quota |" in text
