"""The 218 recorded calls of a real 8.6.0, played on local brokers of 8.9.

A call is answered as recorded, or `DIFFERS` has why a later version answers otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract import scenarios
from tests.contract.differences import DIFFERS
from tests.contract.recorded import Json, calls
from tests.contract.scenarios import Played
from tests.support.blocks import block

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.brokers import Leases

pytestmark = pytest.mark.contract

VERSION = "8.9.16"
CALLS = calls()
EXPECTED = {
    number: DIFFERS[number].answer(call) if number in DIFFERS else call.answer
    for number, call in CALLS.items()
}
CLUSTERS = [
    (range(1, 170), scenarios.FIRST),
    (range(170, 196), scenarios.SECOND),
    (range(196, 200), scenarios.THIRD),
    (range(200, 219), scenarios.FOURTH),
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, leases: Leases) -> Callable[[int], Json]:
    """Answers by number; a cluster is played when the first of its answers is wanted."""
    known: dict[int, Json] = {}
    begun: set[int] = set()

    def give(number: int) -> Json:
        place = next(place for place, (numbers, _) in enumerate(CLUSTERS) if number in numbers)
        if place not in begun:
            begun.add(place)
            numbers, steps = CLUSTERS[place]
            directory = tmp_path_factory.mktemp("cluster")
            tasks = 0 if steps is scenarios.THIRD else 3
            played = Played(directory, f"{block('contract')}.{230 + place}", leases, VERSION, tasks)
            try:
                played.play([CALLS[one] for one in numbers], EXPECTED, steps)
            finally:
                known.update(played.answers)
                played.close()
        return known[number]

    return give


@pytest.mark.parametrize("number", CALLS)
def test_a_call_is_answered_as_recorded_or_as_listed(
    number: int, answers: Callable[[int], Json]
) -> None:
    assert answers(number) == EXPECTED[number], CALLS[number].name


def test_every_call_is_either_as_recorded_or_listed_with_its_source() -> None:
    assert list(CALLS) == list(range(1, 219))
    assert set(DIFFERS) <= set(CALLS)
    assert all(one.reason and one.source for one in DIFFERS.values())


@pytest.mark.parametrize("number", DIFFERS)
def test_what_is_listed_really_differs(number: int) -> None:
    assert EXPECTED[number] != CALLS[number].answer
