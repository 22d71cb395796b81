"""What the OpenAPI document says of a body is what the validation accepts."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from lifecycle.core.parameters import cluster_parameters
from lifecycle.core.request import read_parameters
from lifecycle.core.scale_request import read_scale_request
from lifecycle.core.teardown import read_teardown_request
from lifecycle.errors import InvalidRequest

from tools.generate_openapi import BODIES, parameters

VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.lists(st.integers(), max_size=2)
)
OWN = sorted(name for name, kind in cluster_parameters().items() if not kind.get("machine"))


def accepts(read: Any, raw: Any) -> bool:
    try:
        read(raw)
    except InvalidRequest:
        return False
    return True


@example({"count": 4})
@example({"count": 4.0})
@given(st.dictionaries(st.sampled_from(["count", "Count", "x"]), VALUES, max_size=2))
def test_scaling(body: dict[str, Any]) -> None:
    documented = Draft202012Validator(BODIES["scaleBrokers"]).is_valid(body)
    assert documented == accepts(read_scale_request, {"clusterName": "demo", **body})


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "confirm": st.just("demo") | VALUES,
            "dryRun": st.booleans() | VALUES,
            "x": VALUES,
        },
    )
)
@example({"dryRun": True})
@example({"dryRun": False})
@example({"confirm": "demo"})
def test_teardown(body: dict[str, Any]) -> None:
    # The name typed again is more than a schema can say.
    assume(not isinstance(body.get("confirm"), str) or body["confirm"] == "demo")
    documented = Draft202012Validator(BODIES["tearDownCluster"]).is_valid(body)
    assert documented == accepts(read_teardown_request, {"clusterName": "demo", **body})


@given(st.sampled_from(OWN), VALUES)
def test_every_documented_parameter_is_accepted(name: str, value: Any) -> None:
    """The validation takes more, such as a number in quotes; what is documented it takes."""
    if Draft202012Validator(parameters()).is_valid({name: value}):
        _, problems = read_parameters({name: value}, cluster_parameters())
        assert problems == []
