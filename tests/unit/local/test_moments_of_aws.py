"""Rules about what takes AWS a while, at the moments on which they decide."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lifecycle.cluster.checks import TargetHealth
from lifecycle.scaling.decision import Action, Memory, decide
from lifecycle.services.startup import StartState, decide_start

from local.aws.strict.capacity_missing import AGAIN_SECONDS, EVENT, MISSING_SECONDS, Shortages
from local.aws.strict.draining_name import refusal
from local.aws.strict.iam_login_settles import SETTLING_SECONDS, settles
from local.aws.strict.initial_targets import REGISTRATION_SECONDS, registration_seconds
from tests.support.scaling import ScalingWorld
from tests.support.world import OUTPUTS, World, operation
from tests.unit.test_scaling import observed
from tests.unit.test_services import SERVICE, stopped

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("status", "message"), [("ACTIVE", "not idempotent"), ("DRAINING", "still Draining")]
)
def test_a_name_is_taken_until_its_service_is_inactive(status: str, message: str) -> None:
    refused = refusal({"status": status})
    assert refused is not None
    assert refused[0] == "InvalidParameterException"
    assert message in refused[1]
    assert refusal({"status": "INACTIVE"}) is refusal(None) is None


def test_capacity_is_missing_once_for_each_deployment_and_each_of_its_counts() -> None:
    shortages = Shortages()
    assert shortages.missing("d1", 3, 100.0)
    assert shortages.missing("d1", 3, 100.0 + MISSING_SECONDS - 0.1)
    assert not shortages.missing("d1", 3, 100.0 + MISSING_SECONDS)
    assert shortages.missing("d1", 4, 200.0)
    assert shortages.missing("d2", 3, 200.0)
    assert not shortages.missing("d1", 3, 300.0), "a task that is replaced is placed at once"


def test_a_membership_has_its_effect_after_a_while() -> None:
    assert settles(0.0)
    assert not settles(SETTLING_SECONDS)
    assert not settles(None), "one that nobody knows the beginning of"


def test_only_a_network_load_balancer_takes_its_time_to_register() -> None:
    assert registration_seconds("TCP") == registration_seconds("TLS") == REGISTRATION_SECONDS
    assert registration_seconds("HTTP") == 0.0


def test_scaling_out_waits_while_capacity_is_missing() -> None:
    world = ScalingWorld()
    world.tasks.desired = 4
    seen = observed(world)
    placements = int(MISSING_SECONDS / AGAIN_SECONDS)
    told = (f"(service orchestration-cluster) {EVENT}",) * placements
    seen = replace(seen, service=replace(seen.service, unplaced=told))
    assert decide(seen, 4, Memory()).action is Action.WAIT


def test_a_start_waits_until_the_brokers_targets_are_registered() -> None:
    world = World()
    world.starter.start(operation(), OUTPUTS)
    world.follower.follow(operation(), OUTPUTS, since="2026-01-01T00:00:00+00:00", polls=0)
    world.bring_up()
    world.targets.by_arn["arn:grpc"] = [
        TargetHealth(f"127.0.0.{n}", "initial", "Elb.RegistrationInProgress") for n in (1, 2, 3)
    ]
    followed = world.follower.follow(
        operation(), OUTPUTS, since="2026-01-01T00:00:00+00:00", polls=1
    )
    assert followed["status"] == "WAITING", world.verifier.verify(operation(), OUTPUTS)["failure"]


def test_a_start_tells_of_tasks_that_failed_their_health_checks() -> None:
    reason = "Task failed container health checks"
    killed = [replace(stopped(n, "ServiceSchedulerInitiated"), reason=reason) for n in (1, 2)]
    decision = decide_start(replace(SERVICE, running=0), killed, "no broker runs yet")
    assert decision.state is StartState.WAITING
    assert reason in decision.reason
