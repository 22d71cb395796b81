"""What `make up` says of a wrong setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local import __main__ as local

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("INPUT", "events/nope.json", "file not found"),
        ("BLOCK", "300.1", "BLOCK is '300.1'; 127.1 to 127.254 are allowed"),
        ("BLOCK", "127.255", "BLOCK is '127.255'; 127.1 to 127.254 are allowed"),
    ],
)
def test_a_wrong_setting_is_told_before_anything_starts(
    variable: str,
    value: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr("sys.argv", ["local", "up"])
    with pytest.raises(SystemExit) as ended:
        local.main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["env", "status"])
def test_where_nothing_runs_there_is_an_error_and_nothing_to_evaluate(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["local", command, "--root", str(tmp_path)])
    assert local.main() == 1
    shown = capsys.readouterr()
    text = "no instance runs: `make up` starts one"
    assert text in (shown.err if command == "env" else shown.out)
    assert command != "env" or shown.out == ""
