"""The rule by which every event comes twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.aws.strict.event_delivery import twice

if TYPE_CHECKING:
    from collections.abc import Callable


def test_an_event_is_delivered_at_once_and_again_later() -> None:
    delivered: list[tuple[str, str]] = []
    waiting: list[Callable[[], None]] = []
    dispatch = twice(
        lambda function, payload: delivered.append((function, payload)), waiting.append
    )
    dispatch("clean-up", "1")
    dispatch("clean-up", "2")
    assert delivered == [("clean-up", "1"), ("clean-up", "2")]
    for later in waiting:
        later()
    assert delivered[2:] == delivered[:2]
