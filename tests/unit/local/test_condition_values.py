"""Conditions of templates whose values functions make of parameters."""

from __future__ import annotations

from typing import Any

import pytest

from local.aws.strict.condition_values import valued

LIST = {"Value": "pl-1,pl-2"}
EMPTY = {"Value": ""}


def nth(index: int, text: str = "${Lists},-,-") -> dict[str, Any]:
    return {"Fn::Select": [index, {"Fn::Split": [",", {"Fn::Sub": text}]}]}


@pytest.mark.parametrize(
    ("lists", "texts"), [(LIST, ["pl-1", "pl-2", "-", "-"]), (EMPTY, ["", "-", "-"])]
)
def test_a_part_of_a_text_is_compared(lists: dict[str, str], texts: list[str]) -> None:
    parameters = {"Lists": lists}
    for index, text in enumerate(texts):
        condition = {"Has": {"Fn::Not": [{"Fn::Equals": [nth(index), "-"]}]}}
        assert valued(condition, parameters) == {"Has": {"Fn::Not": [{"Fn::Equals": [text, "-"]}]}}
    with pytest.raises(ValueError, match=f"cannot select nonexistent value at index {len(texts)}"):
        valued(nth(len(texts)), parameters)


def test_joined_texts_are_compared() -> None:
    joined = {"Fn::Join": ["-", ["a", {"Fn::Sub": "${Name}"}]]}
    assert valued(joined, {"Name": {"Value": "b"}}) == "a-b"


def test_what_the_emulator_evaluates_itself_is_left_to_it() -> None:
    for one in (
        {"Fn::Equals": [{"Ref": "Name"}, ""]},
        {"Fn::Select": [0, {"Ref": "Ranges"}]},
        {"Fn::Or": [{"Condition": "One"}, {"Condition": "Other"}]},
        {"Fn::Sub": "${AWS::Region}"},
    ):
        assert valued(one, {"Name": LIST, "Ranges": LIST}) == one
