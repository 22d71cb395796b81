from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.errors import InvalidRequest
from lifecycle.provisioning.request import read_provision_request

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(sorted(cluster_parameters())) | st.text(max_size=12)
REQUESTS = st.fixed_dictionaries(
    {"clusterName": st.just("demo"), "parameters": st.dictionaries(NAMES, JSON, max_size=4)}
)


@given(JSON | REQUESTS)
def test_a_request_is_accepted_whole_or_refused_with_named_fields(raw: object) -> None:
    problems: tuple[dict[str, str], ...] = ()
    request = None
    try:
        request = read_provision_request(raw, cluster_parameters())
    except InvalidRequest as error:
        problems = error.problems
    if request is None:
        assert problems
        assert all(problem["field"] and problem["allowed"] for problem in problems)
        return
    assert isinstance(raw, dict)
    assert set(request.parameters) == set(raw.get("parameters", {}))
    assert all(isinstance(value, str) for value in request.parameters.values())
    assert not any(cluster_parameters()[name]["machine"] for name in request.parameters)


@given(
    brokers=st.integers(1, 30),
    factor=st.sampled_from([1, 3, 5]),
    partitions=st.integers(1, 25),
    minor=st.sampled_from([9, 10]),
)
def test_every_broker_of_a_new_cluster_has_a_partition_and_every_copy_a_broker(
    brokers: int, factor: int, partitions: int, minor: int
) -> None:
    raw = {
        "clusterName": "demo",
        "parameters": {
            "Brokers": brokers,
            "ReplicationFactor": factor,
            "Partitions": partitions,
            "OrchestrationImage": f"camunda/camunda:8.{minor}.1",
            "ConnectorsImage": f"camunda/connectors-bundle:8.{minor}.0",
        },
    }
    try:
        read_provision_request(raw, cluster_parameters())
        accepted = True
    except InvalidRequest:
        accepted = False
    holders = {(first + copy) % brokers for first in range(partitions) for copy in range(factor)}
    assert accepted == (brokers >= factor and (minor == 10 or len(holders) == brokers))
