"""What `make up` says of a wrong setting."""

from __future__ import annotations

import pytest

from local import __main__ as local


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
