from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.errors import InvalidRequest
from lifecycle.provisioning.request import read_provision_request

from tests.support.declared import in_clear
from tests.support.login import KINDS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(sorted(in_clear())) | st.text(max_size=12)
REQUESTS = st.fixed_dictionaries(
    {"clusterName": st.just("demo"), "parameters": st.dictionaries(NAMES, JSON, max_size=4)}
)


@given(JSON | REQUESTS)
def test_a_request_is_accepted_whole_or_refused_with_named_fields(raw: object) -> None:
    problems: tuple[dict[str, str], ...] = ()
    request = None
    try:
        request = read_provision_request(raw, in_clear())
    except InvalidRequest as error:
        problems = error.problems
    if request is None:
        assert problems
        assert all(problem["field"] and problem["allowed"] for problem in problems)
        return
    assert isinstance(raw, dict)
    assert set(request.parameters) == set(raw.get("parameters", {}))
    assert all(isinstance(value, str) for value in request.parameters.values())
    assert not any(in_clear()[name]["machine"] for name in request.parameters)


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
        read_provision_request(raw, in_clear())
        accepted = True
    except InvalidRequest:
        accepted = False
    holders = {(first + copy) % brokers for first in range(partitions) for copy in range(factor)}
    assert accepted == (brokers >= factor and (minor == 10 or len(holders) == brokers))


LOGIN = st.fixed_dictionaries(
    {},
    optional={
        "IdentityProvider": st.sampled_from(sorted(KINDS)),
        "OidcIssuer": st.sampled_from([one["OidcIssuer"] for one in KINDS.values()]),
        "OidcTokenUrl": st.sampled_from(["", "https://tokens.example.com/token"]),
        "OidcClientId": st.sampled_from(["camunda-web", "other"]),
        "OidcUsernameClaim": st.sampled_from(["sub", "email", "oid"]),
        "OidcClientIdClaim": st.sampled_from(["", "azp", "client_id"]),
        "OidcPreferUsernameClaim": st.booleans(),
        "OidcAudiences": st.sampled_from(["", "camunda"]),
        "OidcAdministratorGroup": st.sampled_from(["", "admins"]),
        "OidcGroupsClaim": st.sampled_from(["", "roles"]),
        "OidcIdpLogout": st.booleans(),
    },
)


@given(st.sampled_from(sorted(KINDS)), LOGIN, st.none() | LOGIN)
def test_what_is_given_wins_and_a_repeated_request_changes_nothing(
    kind: str, first: dict[str, object], second: dict[str, object] | None
) -> None:
    """Whatever a cluster has: no value that is given is replaced, and nothing moves by itself."""

    def read(given: dict[str, object], present: dict[str, str]) -> dict[str, str]:
        raw = {"clusterName": "demo", "parameters": given}
        return dict(read_provision_request(raw, cluster_parameters(), present).parameters)

    defaults = {name: str(one.get("default", "")) for name, one in cluster_parameters().items()}
    present: dict[str, str] = {}
    for asked in ({**KINDS[kind], **first}, second):
        if asked is None:
            continue
        try:
            found = read(asked, present)
        except InvalidRequest:
            return
        for name, value in asked.items():
            text = str(value).lower() if isinstance(value, bool) else value
            assert found[name] == text or (
                text == "" and name in {"OidcTokenUrl", "OidcClientIdClaim"}
            )
        present = {**defaults, **present, **found}
        assert present["OidcTokenUrl"].startswith("https://")
        assert present["OidcClientIdClaim"] != present["OidcUsernameClaim"]
        assert read({}, present) == {}
        again = {**present, **read(asked, present)}
        assert again == present
