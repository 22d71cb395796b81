"""How long the machines wait before they end with what is true: seconds that people rely on."""

from __future__ import annotations

import pytest
from lifecycle.core import rolling, scaling, scaling_partitions, teardown
from lifecycle.core.operation import FUNCTION_SECONDS, LOCK_SECONDS
from lifecycle.operations import start_services

MINUTE = 60


@pytest.mark.parametrize(
    ("seconds", "documented"),
    [
        (start_services.START_SECONDS, 30 * MINUTE),
        (rolling.BROKER_PATIENCE, 30 * MINUTE),
        (teardown.STOP_SECONDS, 30 * MINUTE),
        (scaling.TASKS_PATIENCE, 10 * MINUTE),
        (scaling.CHANGE_PATIENCE, 15 * MINUTE),
        (scaling.SETTLE_PATIENCE, 15 * MINUTE),
        (scaling_partitions.BACKUP_PATIENCE, 15 * MINUTE),
        # What may only look wrong: a replica between two roles, gossip that is late, an answer
        # that was lost.
        (scaling.HEALTH_PATIENCE, 5 * MINUTE),
        (scaling.FRESH_PATIENCE, 2 * MINUTE),
        (scaling.ANSWER_PATIENCE, MINUTE),
        (scaling.GOSSIP_PATIENCE, 20),
        # A lock outlives every function of its owner.
        (LOCK_SECONDS, 15 * MINUTE),
        (FUNCTION_SECONDS, 110),
    ],
)
def test_each_wait_has_its_length(seconds: int, documented: int) -> None:
    assert seconds == documented
