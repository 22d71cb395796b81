"""The outputs of a cluster's stack, read by attribute."""

from __future__ import annotations

import json
import re

import pytest
from lifecycle.cluster.contract import ClusterOutputs, Output
from lifecycle.errors import StackNotUsable

from tests.support.world import OUTPUTS
from tests.unit.templates.resolver import template
from tools.generate_parameters import ROOT

ATTRIBUTES = {
    name: one.name for name, one in vars(ClusterOutputs).items() if isinstance(one, Output)
}


def test_each_attribute_is_an_output_of_the_stack() -> None:
    assert set(ATTRIBUTES.values()) <= set(template("cluster")["Outputs"])


@pytest.mark.parametrize("attribute", sorted(ATTRIBUTES))
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_output_is_refused_by_name(attribute: str, value: str | None) -> None:
    name = ATTRIBUTES[attribute]
    outputs = {**OUTPUTS, "ClusterName": "demo", name: value}
    with pytest.raises(StackNotUsable, match=f"has no output {name}"):
        getattr(ClusterOutputs({k: v for k, v in outputs.items() if v is not None}), attribute)


@pytest.mark.parametrize("value", ["three", "-3", "3.0", "²", " 3"])
def test_a_number_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(StackNotUsable, match="no number in its output Brokers"):
        _ = ClusterOutputs({"Brokers": value}).brokers
    assert ClusterOutputs({"Brokers": "3"}).brokers == 3


def test_it_is_the_mapping_that_states_carry() -> None:
    outputs = ClusterOutputs(OUTPUTS)
    assert outputs == dict(OUTPUTS)
    assert ClusterOutputs(json.loads(json.dumps(dict(outputs)))) == outputs


@pytest.mark.parametrize(
    ("outputs", "complete", "adopted", "inside"),
    [
        ({}, False, False, False),
        ({"ContractVersion": "2"}, True, False, False),
        ({"ContractVersion": "1"}, True, False, True),
        ({"ContractVersion": "1", "Adopted": "true"}, True, True, False),
        ({"ContractVersion": "2", "Adopted": "false"}, True, False, False),
    ],
)
def test_kinds_of_stacks(
    outputs: dict[str, str], complete: bool, adopted: bool, inside: bool
) -> None:
    found = ClusterOutputs(outputs)
    assert (found.complete, found.adopted, found.has_services_inside) == (complete, adopted, inside)


def test_no_other_module_looks_an_output_up_by_name() -> None:
    lookup = re.compile(r'(?:outputs|cluster)\["[A-Z]')
    for path in sorted((ROOT / "layers/lifecycle/lifecycle").rglob("*.py")):
        assert not lookup.search(path.read_text()), path
