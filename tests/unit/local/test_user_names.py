"""Which names of users a pool of Cognito takes."""

from __future__ import annotations

import pytest

from local.aws.strict.user_names import refusal


@pytest.mark.parametrize("name", ["alice", "a" * 128, "älice", "o'neil+x=1~(a)|b*&/:._-", "@alice"])
def test_a_name_is_taken(name: str) -> None:
    assert refusal(name, ["email"]) == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("alice@example.com", "email format"),
        ("Alice Smith", "regular expression"),
        ("alice\n", "regular expression"),
        ("a" * 129, "length"),
    ],
)
def test_a_name_is_refused(name: str, words: str) -> None:
    assert words in refusal(name, ["email"])


def test_an_address_is_a_name_where_it_is_no_alias() -> None:
    assert refusal("alice@example.com", []) == ""
