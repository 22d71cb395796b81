from __future__ import annotations

from lifecycle.cluster.tags import alike, stack_tags, tag_changes

from tests.support.world import World, operation

OURS = {"camunda:cluster": "demo"}


def test_what_a_request_does_not_name_stays() -> None:
    present = {"team": "a", "camunda:frozen": "audit", "old": "x"}
    requested = {"team": "b", "old": None, "gone": None, "cost-center": "7"}
    assert stack_tags(present, requested, OURS) == {
        "team": "b",
        "camunda:frozen": "audit",
        "cost-center": "7",
        **OURS,
    }


def test_only_what_differs_is_a_change() -> None:
    changes = tag_changes({"team": "a", "old": "x"}, {"team": "a", "old": None, "new": "y"})
    assert changes == [
        {"name": "new", "from": None, "to": "y"},
        {"name": "old", "from": "x", "to": None},
    ]


def test_names_that_differ_in_case_only_are_one_to_iam() -> None:
    assert alike(["team", "cost", "Team", "TEAM"]) == ["Team", "TEAM"]


def provision(world: World, number: int, tags: dict[str, str | None]) -> dict[str, str]:
    op = operation(number)
    planned = world.plan(op, {}, tags)
    if world.stacks.change_set(planned["changeSet"], "control-demo").status == "READY":
        world.changer.execute(op, change_set=planned["changeSet"], replace=[])
        world.stacks.finish()
    world.journal.release(op)
    return dict(world.stacks.stacks["control-demo"].tags)


def test_the_cluster_carries_them() -> None:
    assert provision(World(), 1, {"team": "platform"})["team"] == "platform"


def test_the_next_request_adds_changes_and_removes() -> None:
    world = World()
    provision(world, 1, {"team": "platform", "old": "x"})
    provision(world, 2, {"team": "data", "old": None, "cost-center": "7"})
    after = provision(world, 3, {})
    assert after["team"] == "data"
    assert after["cost-center"] == "7"
    assert "old" not in after
