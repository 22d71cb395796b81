"""ECS services beside their definitions: what differs, and what it means to change it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.planned_outputs import UNKNOWN, outputs_after
from lifecycle.cluster.stack import ResourceChange
from lifecycle.services.definition import (
    EFFECTS,
    NAMES,
    Effect,
    compare,
    configuration_for,
    deploys,
    render,
    unlike_plan,
    update,
)
from lifecycle.services.plan import service_plan
from lifecycle.services.startup import Service, missing
from lifecycle.services.state import ServiceState, service_states

from tests.support.world import DEFINITIONS, OUTPUTS, designs

if TYPE_CHECKING:
    from collections.abc import Mapping

BROKERS = designs(OUTPUTS)["orchestration-cluster"]
ECS: Any = botocore.session.get_session().get_service_model("ecs")


def described(definition: Mapping[str, Any] = BROKERS) -> dict[str, Any]:
    """The same service as ECS describes it: defaults added, lists in another order."""
    found = {**definition, "cluster": "control-demo", "deploymentController": {"type": "ECS"}}
    network = dict(found["networkConfiguration"]["awsvpcConfiguration"])
    network["subnets"] = list(reversed(network["subnets"]))
    found["networkConfiguration"] = {"awsvpcConfiguration": network}
    found["loadBalancers"] = list(reversed(found["loadBalancers"]))
    found["deploymentConfiguration"] = {
        **found["deploymentConfiguration"],
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
    }
    found["capacityProviderStrategy"] = []
    return found


def test_what_ecs_adds_and_reorders_is_no_difference() -> None:
    assert compare(BROKERS, described()) == ()


def test_every_property_of_create_service_has_an_effect_or_is_not_used() -> None:
    unused = {
        "clientToken",
        "monitoring",
        "placementConstraints",
        "placementStrategy",
        "role",
    }
    members = set(ECS.shape_for("CreateServiceRequest").members)
    assert members - set(EFFECTS) == unused


def test_what_may_be_sent_is_what_update_service_takes() -> None:
    members = set(ECS.shape_for("UpdateServiceRequest").members)
    sent = {name for name, effect in EFFECTS.items() if effect is not Effect.REFUSED} - {"tags"}
    assert sent <= members


@pytest.mark.parametrize(
    ("name", "live", "effect"),
    [
        ("taskDefinition", "arn:orchestration-cluster:7", Effect.DEPLOYS),
        ("platformVersion", "1.4.0", Effect.DEPLOYS),
        ("serviceRegistries", [], Effect.DEPLOYS),
        ("serviceConnectConfiguration", None, Effect.DEPLOYS),
        ("healthCheckGracePeriodSeconds", 60, Effect.IN_PLACE),
        ("availabilityZoneRebalancing", "ENABLED", Effect.IN_PLACE),
        ("propagateTags", "NONE", Effect.IN_PLACE),
        ("enableECSManagedTags", False, Effect.IN_PLACE),
        ("enableExecuteCommand", True, Effect.IN_PLACE),
        ("tags", [], Effect.IN_PLACE),
        ("launchType", "EC2", Effect.REFUSED),
        ("schedulingStrategy", "DAEMON", Effect.REFUSED),
        ("deploymentController", {"type": "EXTERNAL"}, Effect.REFUSED),
        ("capacityProviderStrategy", [{"capacityProvider": "FARGATE_SPOT"}], Effect.REFUSED),
        ("volumeConfigurations", [{"name": "data"}], Effect.REFUSED),
    ],
)
def test_each_difference_is_found_and_what_it_does(name: str, live: Any, effect: Effect) -> None:
    (difference,) = compare(BROKERS, {**described(), name: live})
    assert (difference.property, difference.effect) == (name, effect)


def test_service_connect_that_is_off_differs_from_one_that_is_on() -> None:
    off = {**BROKERS["serviceConnectConfiguration"], "enabled": False}
    (one,) = compare(BROKERS, {**described(), "serviceConnectConfiguration": off})
    assert (one.property, one.live) == ("serviceConnectConfiguration", off)
    without = {**BROKERS, "serviceConnectConfiguration": {"enabled": False}}
    assert compare(without, {**described(), "serviceConnectConfiguration": None}) == ()


def test_a_shell_that_is_turned_on_needs_a_deployment() -> None:
    asked = designs({**OUTPUTS, "EnableExecuteCommand": "true"})["orchestration-cluster"]
    (difference,) = compare(asked, described())
    assert difference.effect is Effect.DEPLOYS


@pytest.mark.parametrize(
    "changed",
    [
        {"maximumPercent": 200},
        {"minimumHealthyPercent": 50},
        {"deploymentCircuitBreaker": {"enable": False, "rollback": False}},
        {"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
    ],
)
def test_a_deployment_configuration_is_sent_whole(changed: dict[str, Any]) -> None:
    live = described()
    live["deploymentConfiguration"] = {**live["deploymentConfiguration"], **changed}
    differences = compare(BROKERS, live)
    assert not deploys(differences)
    sent = update(differences, frozenset({Effect.IN_PLACE}))
    assert sent == {"deploymentConfiguration": BROKERS["deploymentConfiguration"]}


def test_a_target_group_that_goes_and_one_that_comes() -> None:
    with_listener = designs({**OUTPUTS, "ManagementListener": "true"})["orchestration-cluster"]
    (comes,) = compare(with_listener, described())
    assert len(comes.rendered) == 3
    (goes,) = compare(BROKERS, described(with_listener))
    assert update([goes], frozenset({Effect.DEPLOYS})) == {
        "loadBalancers": BROKERS["loadBalancers"]
    }


def test_the_last_of_a_list_is_removed_and_not_kept() -> None:
    connectors = designs(OUTPUTS)["connectors"]
    live = described(connectors)
    rendered = {name: one for name, one in connectors.items() if name != "serviceRegistries"}
    (difference,) = compare(rendered, live)
    assert update([difference], frozenset({Effect.DEPLOYS})) == {"serviceRegistries": []}


@pytest.mark.parametrize("count", range(1, 31))
def test_a_scaled_service_is_no_difference(count: int) -> None:
    live = described()
    live["desiredCount"] = count
    live["deploymentConfiguration"] = configuration_for(live["deploymentConfiguration"], count)
    service = Service("orchestration-cluster", "ACTIVE", count, count, 0, (), definition=live)
    states = service_states([service, missing("connectors")], DEFINITIONS, OUTPUTS, OURS)
    assert states[0].differences == ()


OURS = {"camunda:control-plane": "control", "camunda:cluster": "demo"}


def test_a_breaker_of_another_kind_keeps_its_threshold() -> None:
    present = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    assert configuration_for(present, 4) == {**present, "minimumHealthyPercent": 75}


def test_tags_of_aws_are_left_to_aws() -> None:
    tags = {**OURS, "aws:cloudformation:stack-name": "control-demo", "team": "platform"}
    states = service_states([missing(n) for n in NAMES], DEFINITIONS, OUTPUTS, tags)
    assert states[0].tags == {**OURS, "team": "platform"}


def test_an_output_that_is_missing_is_named() -> None:
    outputs = {name: value for name, value in OUTPUTS.items() if name != "BrokerSecurityGroupId"}
    with pytest.raises(KeyError, match="BrokerSecurityGroupId"):
        render(DEFINITIONS["orchestration-cluster"], outputs, count=3, tags={})


def test_what_a_change_set_makes_is_unknown_until_then() -> None:
    changes = [
        ResourceChange("Modify", "OrchestrationTaskDefinition", "T", "True"),
        ResourceChange("Modify", "ConnectorsTaskDefinition", "T", "False", properties=("Tags",)),
    ]
    after = outputs_after(OUTPUTS, {"EnableExecuteCommand": "true", "Connectors": "4"}, changes)
    assert after["OrchestrationTaskDefinitionArn"] == UNKNOWN
    assert after["ConnectorsTaskDefinitionArn"] == "arn:connectors:1"
    assert (after["EnableExecuteCommand"], after["Connectors"]) == ("true", "4")
    first = outputs_after({}, {"Brokers": "3"}, [ResourceChange("Add", "EcsCluster", "T")])
    assert first["EcsClusterName"] == first["PrivateSubnetIds"] == UNKNOWN


def test_a_plan_holds_where_only_the_unknown_came_to_be_known() -> None:
    planned = {"orchestration-cluster": {**BROKERS, "taskDefinition": UNKNOWN}}
    assert unlike_plan(planned, {"orchestration-cluster": BROKERS}) == []
    scaled = {**BROKERS, "desiredCount": 5}
    assert unlike_plan(planned, {"orchestration-cluster": scaled}) == []
    other = {**BROKERS, "healthCheckGracePeriodSeconds": 60}
    assert unlike_plan(planned, {"orchestration-cluster": other}) == [
        "orchestration-cluster.healthCheckGracePeriodSeconds: planned 900, now 60"
    ]


def test_a_plan_tells_what_was_changed_by_hand_and_what_the_request_changes() -> None:
    live = {**described(), "healthCheckGracePeriodSeconds": 60}
    service = Service("orchestration-cluster", "ACTIVE", 3, 3, 0, (), definition=live)
    today = service_states([service, missing("connectors")], DEFINITIONS, OUTPUTS, OURS)
    outputs = ClusterOutputs({**OUTPUTS, "OrchestrationTaskDefinitionArn": UNKNOWN})
    after = service_states([service, missing("connectors")], DEFINITIONS, outputs, OURS)
    brokers, connectors = service_plan(after, today)
    assert (brokers["action"], brokers["restarts"]) == ("replace tasks", 3)
    assert {d["property"]: d["already"] for d in brokers["differences"]} == {
        "taskDefinition": False,
        "healthCheckGracePeriodSeconds": True,
    }
    assert (connectors["action"], connectors["count"]) == ("create", {"live": 0, "after": 1})


def test_what_differs_is_sent_and_nothing_else() -> None:
    live = {**described(), "healthCheckGracePeriodSeconds": 60, "taskDefinition": "arn:old"}
    service = Service("orchestration-cluster", "ACTIVE", 3, 3, 0, (), definition=live)
    state = ServiceState(service, BROKERS, compare(BROKERS, live, without=["desiredCount"]))
    assert state.in_place == {"healthCheckGracePeriodSeconds": 900}
    assert state.everything == {
        "taskDefinition": "arn:orchestration-cluster:1",
        "healthCheckGracePeriodSeconds": 900,
    }
    assert replace(state, differences=()).everything == {}


def test_what_a_new_stack_will_give_is_unknown_in_the_shape_of_the_definition() -> None:
    first = outputs_after(OUTPUTS, {}, [ResourceChange("Add", "EcsCluster", "T")])
    nothing = dict.fromkeys(first, UNKNOWN)
    rendered = render(DEFINITIONS["orchestration-cluster"], nothing, count=3, tags={})
    network = rendered["networkConfiguration"]["awsvpcConfiguration"]
    assert network["subnets"] == [UNKNOWN]
    assert rendered["taskDefinition"] == UNKNOWN
