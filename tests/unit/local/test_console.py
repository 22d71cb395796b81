"""What a person sees is what was said."""

from __future__ import annotations

import pytest

from local.console import Screen

pytestmark = pytest.mark.unit


def test_an_arn_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:camunda-demo-[user]"
    Screen().say(f"aws secretsmanager get-secret-value --secret-id {arn}")
    assert arn in capsys.readouterr().out
