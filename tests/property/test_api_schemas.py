"""What the OpenAPI document says of a body is what the validation accepts."""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from lifecycle.backup.request import read_backup_request
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.cluster.tags import alike
from lifecycle.errors import InvalidRequest
from lifecycle.manage.request import read_manage_request
from lifecycle.provisioning.request import read_parameters, read_provision_request
from lifecycle.rehearsal.request import read_rehearsal_request
from lifecycle.restart.request import read_restart_request
from lifecycle.restore.request import read_restore_request
from lifecycle.rotation.request import read_rotation_request
from lifecycle.scaling.request import read_scale_request
from lifecycle.teardown.decisions import read_teardown_request

from tests.support.declared import in_clear
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


@example({"minutes": 5})
@example({"minutes": 480.0})
@example({"minutes": 481})
@example({"cidrs": ["10.1.0.0/16"]})
@example({"cidrs": ["0.0.0.0/0"]})
@example({"cidrs": ["10.1.0.0/16", "10.1.0.0/16"]})
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "minutes": st.integers(0, 500) | VALUES,
            "cidrs": st.lists(st.sampled_from(["10.1.0.0/16", "8.0.0.0/8", "192.168.1.0/24"]))
            | VALUES,
            "x": VALUES,
        },
    )
)
def test_opening(body: dict[str, Any]) -> None:
    documented = Draft202012Validator(BODIES["openManagement"]).is_valid(body)
    given_ = {"clusterName": "demo", "action": "open-management", **body}
    accepted = accepts(read_manage_request, given_)
    # Which ranges are private is more than a pattern says.
    assert documented == accepted or (documented and "cidrs" in body)


@given(st.fixed_dictionaries({}, optional={"dryRun": VALUES, "minutes": VALUES}))
def test_closing(body: dict[str, Any]) -> None:
    documented = Draft202012Validator(BODIES["closeManagement"]).is_valid(body)
    given_ = {"clusterName": "demo", "action": "close-management", **body}
    assert documented == accepts(read_manage_request, given_)


@given(st.fixed_dictionaries({}, optional={"dryRun": VALUES, "confirm": VALUES}))
def test_rehearsing(body: dict[str, Any]) -> None:
    documented = Draft202012Validator(BODIES["rehearseRestore"]).is_valid(body)
    assert documented == accepts(read_rehearsal_request, {"clusterName": "demo", **body})


@given(st.fixed_dictionaries({}, optional={"dryRun": VALUES, "confirm": VALUES}))
def test_taking_a_backup(body: dict[str, Any]) -> None:
    documented = Draft202012Validator(BODIES["takeBackup"]).is_valid(body)
    given_ = {"clusterName": "demo", "action": "take", **body}
    assert documented == accepts(read_backup_request, given_)


@example({"confirm": "demo"})
@example({"dryRun": True})
@given(
    st.fixed_dictionaries(
        {}, optional={"dryRun": VALUES, "confirm": st.just("demo") | VALUES, "x": VALUES}
    )
)
def test_deleting_a_backup(body: dict[str, Any]) -> None:
    documented = Draft202012Validator(BODIES["deleteBackup"]).is_valid(body)
    accepted = accepts(
        read_backup_request, {"clusterName": "demo", "action": "delete", "backup": "7", **body}
    )
    # That the name is the cluster's is more than a pattern says.
    assert documented == accepted or (documented and body.get("confirm") != "demo")


@example({"confirm": "demo", "acceptNoFinalSnapshot": True})
@example({"dryRun": True, "acceptNoFinalSnapshot": False})
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "dryRun": VALUES,
            "confirm": st.just("demo") | VALUES,
            "acceptNoFinalSnapshot": VALUES,
            "backup": VALUES,
        },
    )
)
def test_deleting_former_data(body: dict[str, Any]) -> None:
    documented = Draft202012Validator(BODIES["deleteFormerData"]).is_valid(body)
    accepted = accepts(
        read_backup_request, {"clusterName": "demo", "action": "delete-former-data", **body}
    )
    # That the name is the cluster's is more than a pattern says.
    assert documented == accepted or (documented and body.get("confirm") != "demo")


@example({"confirm": "demo"})
@example({"confirm": "demo", "to": "2026-11-30T08:00:00Z"})
@example({"confirm": "demo", "to": "2026-11-30T08:00:00"})
@example({"confirm": "demo", "backup": 7, "approves": "demo.restore.1"})
@example({"confirm": "demo", "backup": 7, "to": "2026-11-30T08:00:00Z"})
@example({"dryRun": True})
@example({"dryRun": True, "backup": 7})
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "confirm": st.just("demo") | VALUES,
            "dryRun": st.booleans() | VALUES,
            "to": st.just("2026-11-30T08:00:00.5+01:00") | VALUES,
            "backup": VALUES,
            "x": VALUES,
        },
    )
)
def test_restoring(body: dict[str, Any]) -> None:
    # The name typed again is more than a schema can say.
    assume(not isinstance(body.get("confirm"), str) or body["confirm"] == "demo")
    documented = Draft202012Validator(BODIES["restoreCluster"]).is_valid(body)
    assert documented == accepts(read_restore_request, {"clusterName": "demo", **body})


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
    read = partial(read_provision_request, declarations=in_clear())
    assert documented == accepts(read, {"clusterName": "demo", "tags": given_tags})
