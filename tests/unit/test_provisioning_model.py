"""The model of how long provisioning takes: it says what it is made of."""

from __future__ import annotations

from lifecycle.plans.critical_path import MINUTES

from benchmarks.provisioning import SOURCES, TERRAFORM, Node, longest, ways


def test_every_type_that_takes_minutes_has_its_report() -> None:
    assert set(SOURCES) == set(MINUTES)


def test_what_a_graph_names_is_in_it() -> None:
    assert {need for node in TERRAFORM.values() for need in node.needs} <= set(TERRAFORM)
    kinds = {node.kind for node in TERRAFORM.values() if node.kind}
    assert set(MINUTES) <= kinds


def test_the_longest_chain_leaves_out_what_takes_no_minute() -> None:
    graph = {
        "a": Node("", minutes=(1, 2)),
        "quick": Node("AWS::IAM::Role", ("a",)),
        "b": Node("", ("quick",), (3, 4)),
        "alone": Node("", minutes=(1, 5)),
    }
    assert [link.logical_id for link in longest(graph)] == ["a", "b"]
    assert longest({}) == ()


def test_the_order_makes_terraform_the_longest_and_ours_the_shortest() -> None:
    most = {name: sum(link.most for link in chain) for name, chain in ways().items()}
    least = {name: sum(link.least for link in chain) for name, chain in ways().items()}
    for figures in (least, most):
        order = sorted(figures, key=lambda name: figures[name])
        assert order == [
            "services outside of the stack",
            "services in the stack",
            "Camunda's Terraform",
        ]
