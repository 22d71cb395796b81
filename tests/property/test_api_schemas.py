"""What the OpenAPI document says of a body is what the validation accepts."""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.cluster.tags import alike
from lifecycle.errors import InvalidRequest
from lifecycle.provisioning.request import read_parameters, read_provision_request
from lifecycle.restart.request import read_restart_request
from lifecycle.rotation.request import read_rotation_request
from lifecycle.scaling.request import read_scale_request
from lifecycle.teardown.decisions import read_teardown_request

from tools.generate_openapi import BODIES, parameters, tags

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


@example({"service": "brokers", "broker": 2})
@example({"service": "brokers", "broker": True})
@example({"service": "brokers", "broker": 2.0})
@example({"service": "connectors", "broker": 2})
@example({"service": "connectors"})
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "service": st.sampled_from(["brokers", "connectors"]) | VALUES,
            "broker": VALUES,
            "x": VALUES,
        },
    )
)
def test_restarting(body: dict[str, Any]) -> None:
    documented = Draft202012Validator(BODIES["restartService"]).is_valid(body)
    assert documented == accepts(read_restart_request, {"clusterName": "demo", **body})


@example({"secrets": ["admin", "admin"]})
@example({"secrets": []})
@example({"secrets": ["database", "admin"]})
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "secrets": st.lists(st.sampled_from(["admin", "connectors", "database"]) | VALUES)
            | VALUES,
            "x": VALUES,
        },
    )
)
def test_rotating(body: dict[str, Any]) -> None:
    documented = Draft202012Validator(BODIES["rotateSecrets"]).is_valid(body)
    assert documented == accepts(read_rotation_request, {"clusterName": "demo", **body})


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


KEYS = st.text(st.sampled_from("aA:. é費٤€\u3000\n-"), max_size=6) | st.sampled_from(
    ["aws:x", "Camunda:frozen", "k" * 128, "k" * 129]
)


@given(st.dictionaries(KEYS, KEYS | VALUES, max_size=4))
@example({"cost-center": "4711", "old": None})
def test_tags(given_tags: dict[str, Any]) -> None:
    # That IAM's names know no case, and that "$" ends before a last line break, no schema says.
    assume(not alike(list(given_tags)))
    assume(not any(str(text).endswith("\n") for pair in given_tags.items() for text in pair))
    documented = Draft202012Validator(tags()).is_valid(given_tags)
    read = partial(read_provision_request, declarations=cluster_parameters())
    assert documented == accepts(read, {"clusterName": "demo", "tags": given_tags})
