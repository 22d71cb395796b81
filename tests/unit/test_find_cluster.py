"""Which stack a cluster has: never one that describes a cluster of another stack."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.find import find_cluster, find_stack
from lifecycle.cluster.names import held_name, tags
from lifecycle.cluster.stack import Stack, ecs_cluster_of
from lifecycle.errors import ClusterBusy, ClusterNotFound, StackNotUsable
from lifecycle.restart.validate_restart import validate_restart
from lifecycle.scaling.validate import validate_scaling

from tests.support.scaling import ScalingWorld, scale_operation
from tests.support.world import CONTROL, OUTPUTS

ROOT = Path(__file__).parents[2]


class Stacks:
    def __init__(self, *stacks: Stack) -> None:
        self.stacks = {stack.name: stack for stack in stacks}

    def describe(self, name: str) -> Stack | None:
        return self.stacks.get(name)


def stack(name: str = "demo", **outputs: str) -> Stack:
    given = {**OUTPUTS, "ClusterName": name, "EcsClusterName": f"{CONTROL}-{name}", **outputs}
    return Stack(
        f"{CONTROL}-{name}",
        f"arn:{name}",
        "CREATE_COMPLETE",
        outputs=ClusterOutputs(given),
        tags=tags(CONTROL, name),
    )


def adoption(name: str, ecs_cluster: str, *, held: bool = True) -> Stack:
    exports = {"EcsClusterName": held_name(ecs_cluster)} if held else {}
    made = stack(name, EcsClusterName=ecs_cluster, Adopted="true")
    return replace(made, exports=exports)


VICTIM = stack("demo")


@pytest.mark.parametrize(
    ("mine", "why"),
    [
        (adoption("mine", "control-demo"), "stack control-demo provisioned it"),
        (adoption("mine", "control-demo", held=False), "stack control-demo provisioned it"),
        (adoption("mine", "legacy", held=False), "does not export it"),
        (replace(adoption("mine", "legacy"), exports={"EcsClusterName": "x"}), "not export it"),
        (stack("mine", EcsClusterName="control-demo"), "allowed is 'control-mine'"),
        (stack("mine", ClusterName="demo"), "allowed is 'mine'"),
        # Without a contract: to a health check, or to a teardown, each output counts.
        (
            replace(
                VICTIM,
                name="control-mine",
                tags=tags(CONTROL, "mine"),
                outputs=ClusterOutputs(
                    {k: v for k, v in VICTIM.outputs.items() if k != "ContractVersion"}
                ),
            ),
            "allowed is 'mine'",
        ),
    ],
)
def test_a_stack_that_describes_another_one_s_cluster_is_refused(mine: Stack, why: str) -> None:
    stacks: Any = Stacks(VICTIM, mine)
    for act in (
        lambda: find_stack(stacks, CONTROL, "mine"),
        lambda: find_cluster(stacks, CONTROL, "mine"),
        lambda: validate_scaling(
            {"clusterName": "mine", "count": 4}, control_stack=CONTROL, stacks=stacks
        ),
        lambda: validate_restart(
            {"clusterName": "mine", "service": "brokers"}, control_stack=CONTROL, stacks=stacks
        ),
    ):
        with pytest.raises(StackNotUsable, match=why):
            act()


def test_a_stack_without_both_tags_is_none() -> None:
    for given in ({"camunda:control-plane": CONTROL}, {"camunda:cluster": "demo"}, {}):
        stacks: Any = Stacks(replace(VICTIM, tags=given))
        with pytest.raises(ClusterNotFound):
            find_cluster(stacks, CONTROL, "demo")


@pytest.mark.parametrize("ecs_cluster", ["legacy", "my_prefix-cluster", "control-else"])
def test_what_holds_its_cluster_is_found(ecs_cluster: str) -> None:
    stacks: Any = Stacks(VICTIM, adoption("mine", ecs_cluster))
    assert ecs_cluster_of(find_cluster(stacks, CONTROL, "mine")) == ecs_cluster
    assert ecs_cluster_of(find_cluster(stacks, CONTROL, "demo")) == "control-demo"
    assert ecs_cluster_of(replace(VICTIM, outputs=ClusterOutputs())) == "control-demo"


def test_names_of_exports_are_distinct_and_of_the_allowed_characters() -> None:
    names = ["a_b", "a-b", "ab", "a__b"]
    made = {held_name(name) for name in names}
    assert len(made) == len(names)
    assert all(char.isalnum() or char in "-:" for name in made for char in name)


def test_two_names_for_one_ecs_cluster_have_one_lock() -> None:
    world = ScalingWorld()
    first = scale_operation(1)
    second = replace(
        first, operation_id="mine.scale.1", execution_arn="arn:execution:mine:1", cluster="mine"
    )
    world.journal.begin(first)
    with pytest.raises(ClusterBusy, match=r"ECS cluster control-demo is held by .*demo\.scale\.1"):
        world.journal.begin(second)
    assert list(world.table.locks) == ["control-demo"]


def test_an_operation_that_holds_nothing_takes_no_lock() -> None:
    world = ScalingWorld()
    with pytest.raises(ValueError, match="names no ECS cluster"):
        world.journal.take(replace(scale_operation(), ecs_cluster=""))
    assert world.table.locks == {}


def test_a_look_ends_where_the_stack_names_another_ecs_cluster_meanwhile() -> None:
    world = ScalingWorld()
    held = scale_operation()
    world.journal.begin(held)
    assert world.stacks.stack is not None
    world.stacks.stack = replace(
        adoption("demo", "elsewhere"), parameters=world.stacks.stack.parameters
    )
    with pytest.raises(StackNotUsable, match=r"'elsewhere'.*allowed is 'control-demo'"):
        world.observer.look(held, requested=4, memory={"back_to": 0}, sent=None)


# Stacks are read without `find_stack` only where another check decides whose they are, or where
# nothing is done to the cluster that they describe.
READ_ELSEWHERE = {
    "cluster/find.py": "the one place",
    "api/freezing.py": "that there is none: a freeze outlives its stack",
    "api/validate.py": "provisioning: the freeze of the stack with that name",
    "operation/clean_up.py": "the key of a lock, by which only its owner releases it",
    "operation/finish.py": "what a report shows",
    "plans/apply.py": "decide_on",
    "plans/create.py": "decide_on",
    "plans/expire.py": "by its change set's author",
    "preflight/run.py": "check_all compares the tags",
    "provisioning/change_set.py": "decide_on, refuse_mistaken",
    "provisioning/start_services.py": "its tags only",
    "provisioning/validate.py": "its parameters only",
    "rehearsal/conduct.py": "whether the trial is there, and removed",
    "rehearsal/validate_rehearsal.py": "that there is none of the trial's name",
    "restore/new_cluster.py": "is_ours; that there is none, or one of an earlier start",
    "teardown/steps.py": "state_of",
}


def test_stacks_are_found_in_one_place() -> None:
    layer = ROOT / "layers" / "lifecycle" / "lifecycle"
    found = set()
    for path in layer.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr == "describe":
                owner = ast.unparse(node.value)
                if owner == "stacks" or owner.endswith(".stacks"):
                    found.add(str(path.relative_to(layer)))
    assert found == set(READ_ELSEWHERE)
