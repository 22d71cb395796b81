"""401 and 403 name the secret, and hide nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.api.probe import Prober
from lifecycle.camunda.credentials import Credentials
from lifecycle.cluster.checks import Result
from lifecycle.errors import ManagementUnavailable, ScalingRefused
from lifecycle.scaling.decision import Action, Memory, decide
from lifecycle.scaling.observe import read_brokers
from lifecycle.scaling.probe import ScalingProber
from lifecycle.verification.checks import Front, check_path, check_targets, check_topology

from tests.fakes.identity import InMemoryProvider, logins
from tests.support.health import OUTPUTS, HealthWorld, codes
from tests.support.scaling import ScalingWorld
from tests.unit.test_scaling import observed

if TYPE_CHECKING:
    from tests.fakes.management import InMemoryManagement

CHANGED = Credentials("admin", "the password that somebody set in Camunda")
SECRET = OUTPUTS["AdminUserSecretArn"]


class Users:
    def credentials(self, secret_arn: str, cluster: str) -> Credentials:
        assert (secret_arn, cluster) == (SECRET, "demo")
        return Credentials("admin", "the password of before")


@pytest.fixture
def world() -> HealthWorld:
    return HealthWorld()


def refusing(world: HealthWorld) -> InMemoryManagement:
    world.management._credentials = CHANGED
    return world.management


def test_a_health_check_names_the_secret_and_tells_the_rest(world: HealthWorld) -> None:
    refusing(world)
    world.simulated.exporting = "PAUSED"
    report = world.check()
    assert codes(report) == {"CREDENTIALS_REFUSED", "EXPORTING_PAUSED"}
    (finding,) = [one for one in report["findings"] if one["code"] == "CREDENTIALS_REFUSED"]
    assert "401" in finding["seen"]
    assert SECRET in finding["seen"]
    assert "secret" in finding["remedy"]
    assert "egress" not in finding["remedy"]
    assert "the password" not in str(report)
    world.management._credentials = None
    world.simulated.exporting = "EXPORTING"
    assert world.check()["verdict"] == "HEALTHY"


def test_scaling_is_refused_by_the_secrets_name_and_knows_the_configuration(
    world: HealthWorld,
) -> None:
    prober = ScalingProber(management=lambda _: refusing(world), logins=logins(Users()))
    seen = read_brokers(prober.query(OUTPUTS, brokers=4, partitions=0, backup=0))
    assert seen.topology is None
    assert seen.configuration is not None
    assert seen.plan is not None
    assert SECRET in seen.refused


def test_a_scaling_ends_at_once_where_the_user_is_refused() -> None:
    scaled = ScalingWorld()
    seen = observed(scaled)
    refused = replace(
        seen, brokers=replace(seen.brokers, topology=None, refused=f"HTTP 401; secret {SECRET}")
    )
    with pytest.raises(ScalingRefused, match=f"administrator's user: HTTP 401; secret {SECRET}"):
        decide(refused, 4, Memory())
    # What may pass is waited for.
    silent = replace(seen, brokers=replace(seen.brokers, topology=None, problems=("timed out",)))
    decision = decide(silent, 4, Memory())
    assert decision.action is Action.WAIT
    with pytest.raises(ManagementUnavailable):
        decide(replace(silent, now=silent.now + 60), 4, decision.memory)


def formation(world: HealthWorld, management: Any) -> list[str]:
    prober = Prober(
        management=lambda _: management,
        paths=None,  # type: ignore[arg-type]
        logins=logins(Users()),
        provider=InMemoryProvider(),
        networks=(),
    )
    problems: list[str] = prober.brokers(OUTPUTS, expected=3)["formation"]["problems"]
    return problems


def test_no_broker_answers_is_told_only_when_none_does(world: HealthWorld) -> None:
    world.management._credentials = None
    world.management.kill_broker(0)
    world.management.pass_time(10)
    # Two of three run, and only what they ask the coordinator for is not there.
    (problem,) = formation(world, world.management)
    assert problem.startswith("the cluster configuration: No broker could answer: HTTP 502")
    for node in (1, 2):
        world.management.kill_broker(node)
    assert formation(world, world.management) == ["no broker responds yet"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_verification_names_the_secret_and_no_load_balancer(status: int) -> None:
    seen = f"10.0.0.10 answered HTTP {status}: Unauthorized"
    direct = check_topology({"formed": False, "problems": [seen]})
    behind = check_targets("rest", [], 0)
    path = check_path(
        "rest",
        {"ok": False, "seen": f"http://rest/v2/topology answers {status}"},
        behind=behind,
        direct=False,
        front=Front(tls=False),
        now=0,
    )
    for check in (direct, path):
        assert check.result is Result.FAIL
        assert "AdminUserSecretArn" in check.remedy
    other = check_path(
        "rest",
        {"ok": False, "seen": "HTTP 502"},
        behind=behind,
        direct=False,
        front=Front(tls=False),
        now=0,
    )
    assert "target group" in other.remedy


def test_a_start_names_the_secret(world: HealthWorld) -> None:
    (problem,) = formation(world, refusing(world))
    assert SECRET in problem
