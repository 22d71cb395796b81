"""JSON as RFC 8259 defines it, and no more than a request needs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle.api.strict_json import DEEPEST, NotJson, parse

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(VALUES, st.booleans())
def test_what_json_writes_is_read(value: object, ascii_only: bool) -> None:
    assert parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        (b"\xff\xfe{\x00}\x00", "UTF-8"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e999}', "finite"),
        (b'{"a": ' + b"1" * 101 + b"}", "100 digits"),
        (b'{"a": 0.' + b"1" * 101 + b"}", "100 digits"),
        (b'{"a": {"b": 1, "b": 2}}', "'b' is repeated"),
        (b'{"a": 1,}', "JSON object"),
        (b"{'a': 1}", "JSON object"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b"", "JSON object"),
        (b"{} {}", "JSON object"),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), "levels of nesting"),
    ],
)
def test_the_rest_is_refused_with_what_is_allowed(text: bytes, allowed: str) -> None:
    with pytest.raises(NotJson, match=allowed):
        parse(text)


def test_brackets_in_strings_are_no_levels() -> None:
    text = '{"a": "' + "[{" * 100 + '\\"[[", "b": "\\\\"}'
    assert parse(text.encode())["b"] == "\\"
    assert parse(b"[" * DEEPEST + b"]" * DEEPEST) is not None
