"""Whatever a live service has come to be: one update makes it what it is to be, and no second."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from lifecycle.services.definition import EFFECTS, Effect, compare, update

from tests.support.world import OUTPUTS, designs

BROKERS = designs(OUTPUTS)["orchestration-cluster"]
ANY = frozenset({Effect.IN_PLACE, Effect.DEPLOYS})
OTHERS: dict[str, st.SearchStrategy[Any]] = {
    "taskDefinition": st.sampled_from(["arn:a:1", "arn:a:2"]),
    "platformVersion": st.sampled_from(["1.4.0", "LATEST"]),
    "loadBalancers": st.lists(st.sampled_from(BROKERS["loadBalancers"]), unique_by=str),
    "serviceRegistries": st.lists(st.sampled_from(BROKERS["serviceRegistries"]), max_size=1),
    "serviceConnectConfiguration": st.one_of(
        st.none(),
        st.just({"enabled": False}),
        st.permutations(BROKERS["serviceConnectConfiguration"]["services"]).map(
            lambda services: {**BROKERS["serviceConnectConfiguration"], "services": services}
        ),
    ),
    "healthCheckGracePeriodSeconds": st.integers(0, 2000),
    "enableExecuteCommand": st.booleans(),
    "enableECSManagedTags": st.booleans(),
    "propagateTags": st.sampled_from(["SERVICE", "NONE"]),
    "availabilityZoneRebalancing": st.sampled_from(["ENABLED", "DISABLED"]),
    "deploymentConfiguration": st.fixed_dictionaries(
        {"minimumHealthyPercent": st.integers(0, 100), "maximumPercent": st.integers(100, 200)}
    ),
    "networkConfiguration": st.permutations(["subnet-1", "subnet-2", "subnet-3", "subnet-4"]).map(
        lambda subnets: {
            "awsvpcConfiguration": {
                **BROKERS["networkConfiguration"]["awsvpcConfiguration"],
                "subnets": subnets[:3],
            }
        }
    ),
}
LIVE = st.fixed_dictionaries({}, optional=OTHERS).map(lambda changed: {**BROKERS, **changed})


def test_every_property_that_may_be_sent_is_tried() -> None:
    sent = {name for name, effect in EFFECTS.items() if effect in ANY}
    assert sent - set(OTHERS) == {"desiredCount", "tags"}


@given(LIVE)
def test_one_update_makes_a_service_what_it_is_to_be(live: dict[str, Any]) -> None:
    differences = compare(BROKERS, live)
    sent = update(differences, ANY)
    assert compare(BROKERS, {**live, **sent}) == ()
    assert all(live.get(name) != value for name, value in sent.items()), "only what differs"


@given(LIVE)
def test_what_is_sent_in_place_deploys_nothing(live: dict[str, Any]) -> None:
    sent = update(compare(BROKERS, live), frozenset({Effect.IN_PLACE}))
    assert all(EFFECTS[name] is Effect.IN_PLACE for name in sent)
