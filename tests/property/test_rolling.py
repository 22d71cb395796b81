"""Moving brokers, interrupted anywhere: laws that hold whatever happens between two looks."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lifecycle.errors import RollingUpdateFailed

from tests.support.rolling import NEWEST, RollingWorld

pytestmark = pytest.mark.property

# What happens after a look. An operation that is started again remembers nothing.
EVENTS = st.sampled_from(["nothing", "started again", "twice", "a broker dies", "nobody looks"])


@settings(max_examples=60)
@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 40), EVENTS), max_size=6))
@example(1, [(2, "nobody looks"), (0, "nobody looks"), (0, "a broker dies"), (1, "nothing")])
@example(3, [(2, "started again"), (1, "nobody looks"), (1, "a broker dies")])
def test_no_broker_is_replaced_before_the_cluster_is_whole(
    brokers: int, events: list[tuple[int, str]]
) -> None:
    world = RollingWorld(brokers)
    watch = Watch(world)
    memory: dict[str, Any] = {}
    for looks, event in events:
        for _ in range(looks):
            try:
                answer = world.look(memory)
            except RollingUpdateFailed:
                # Too long without progress: it ended, and is started again.
                memory = {}
                continue
            if answer["status"] == "ROLLED":
                break
            memory = answer["memory"]
            world.pass_seconds(answer["wait"])
        match event:
            case "started again":
                memory = {}
            case "twice":
                # The function did its work and died; Step Functions calls it again.
                with contextlib.suppress(RollingUpdateFailed):
                    world.look(memory)
            case "a broker dies":
                watch.excused = True
                world.tasks.stop_broker(looks % brokers)
                world.pass_seconds(1)
                watch.excused = False
            case "nobody looks":
                # Protection runs out, and ECS goes on by itself.
                watch.excused = True
                world.pass_seconds(20 * 60)
                watch.excused = False

    world.roll(number=2)

    assert world.revisions == {NEWEST}
    assert world.whole
    assert world.protected == 0
    assert world.services.services["connectors"].revision == "arn:connectors:2"


class Watch:
    """Looks at each broker that ECS replaces while it still is there."""

    def __init__(self, world: RollingWorld) -> None:
        self.excused = False
        tasks = world.tasks
        real = tasks._end

        def end(task_id: str) -> None:
            task = tasks.tasks[task_id]
            others = [t for t in tasks.tasks.values() if t.seen.deployment != "d-1"]
            if not self.excused and task.seen.revision != NEWEST and world.tasks.revision == NEWEST:
                assert world.whole, f"broker {task.node} goes while {len(others)} are moved"
            real(task_id)

        tasks._end = end  # type: ignore[method-assign]
