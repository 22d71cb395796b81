"""How many state transitions one provisioning costs: each is billed, and tells how much goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.statemachines.test_provision import Provision

if TYPE_CHECKING:
    from tests.support.definitions import Result
    from tests.support.world import World

FIXED = 20
PER_POLL = 3


def _polls(result: Result) -> int:
    return sum(state.startswith("WaitFor") for state in result.states)


@pytest.mark.parametrize("slow", [0, 7, 40])
def test_a_provisioning_stays_within_its_transitions(
    monkeypatch: pytest.MonkeyPatch, slow: int
) -> None:
    """However often it has to look before CloudFormation or the brokers are ready."""
    provision = Provision(monkeypatch)
    looks = 0

    def wait(world: World) -> None:
        nonlocal looks
        looks += 1
        if looks % (slow + 1) == 0:
            Provision.all_goes_well(world)

    provision.on_wait = wait
    result = provision.run()
    assert result.status == "SUCCEEDED", result.cause
    polls = _polls(result)
    assert polls > slow
    fixed = len(result.states) - PER_POLL * polls
    assert fixed <= FIXED
