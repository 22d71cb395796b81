"""One thing is broken at a time: the verdict, the finding, and back to healthy."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.cluster.freeze import Freeze
from lifecycle.errors import AwsUnavailable
from lifecycle.health.catalog import KINDS
from lifecycle.health.rules import EXPLAINED, _number
from lifecycle.operation.rehearsal_note import note_of
from lifecycle.operation.scaling_note import ScalingNote

from tests.support.health import SEEDED, HealthWorld, codes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


# Of partitions: the hours at which their ranges begin and end.
type Ranges = dict[int, list[tuple[float, float]]]


@pytest.fixture
def world() -> HealthWorld:
    return HealthWorld()


def kill(world: HealthWorld, *nodes: int) -> None:
    """Kill brokers and let the others notice."""
    for node in nodes:
        world.management.kill_broker(node)
    world.management.pass_time(10)
    world.cloud.brokers |= {"running": 3 - len(nodes)}
    del world.cloud.running[3 - len(nodes) :]


def restart(world: HealthWorld, *nodes: int) -> None:
    for node in nodes:
        world.management.start_broker(node)
    world.management.pass_time(20)
    world.cloud.brokers |= {"running": 3}


def test_a_cluster_that_is_well_is_healthy(world: HealthWorld) -> None:
    report = world.check()
    assert (report["verdict"], codes(report)) == ("HEALTHY", set())
    assert codes(report, "INFO") == {"NODE_ID_LEASES_NOT_IN_USE"}


def test_a_check_counts_the_brokers_that_joined_and_those_that_are_wanted(
    world: HealthWorld,
) -> None:
    world.check()
    record = world.records.find("demo")
    assert record is not None
    assert (record.counts.brokers, record.counts.joined) == (3, 3)
    kill(world, 2)
    world.check()
    record = world.records.find("demo")
    assert record is not None
    assert (record.counts.brokers, record.counts.joined) == (3, 2)


def test_a_dead_broker_that_the_configuration_calls_active(world: HealthWorld) -> None:
    kill(world, 2)
    assert str(world.management.configuration().members[2].state) == "ACTIVE"
    report = world.check()
    assert report["verdict"] == "DEGRADED"
    assert {"BROKER_MISSING", "PARTITION_UNDER_REPLICATED", "SERVICE_BELOW_DESIRED_COUNT"} <= codes(
        report
    )
    restart(world, 2)
    assert world.check()["verdict"] == "HEALTHY"


def test_two_of_three_brokers_gone(world: HealthWorld) -> None:
    kill(world, 1, 2)
    report = world.check()
    assert report["verdict"] == "DOWN"
    assert "PARTITION_WITHOUT_LEADER" in codes(report, "DOWN")


def test_no_broker_at_all(world: HealthWorld) -> None:
    kill(world, 0, 1, 2)
    report = world.check()
    assert report["verdict"] == "DOWN"
    assert {"BROKERS_UNREACHABLE", "NO_HEALTHY_TARGET"} <= codes(report, "DOWN")


def test_the_coordinator_alone_is_gone(world: HealthWorld) -> None:
    kill(world, 0)
    report = world.check()
    assert report["verdict"] == "DEGRADED"
    assert {"BROKER_MISSING", "COORDINATOR_UNREACHABLE"} <= codes(report)


def test_a_broker_that_hangs_does_not_hide_the_others(world: HealthWorld) -> None:
    inside, _ = world.look()
    inside["answers"]["exporting"][1] |= {"problem": "10.0.0.11:9600 did not answer within 3 s"}
    report = world.check(inside=inside)
    assert (report["verdict"], codes(report)) == ("DEGRADED", {"BROKER_UNREACHABLE"})


def test_the_management_port_is_closed(world: HealthWorld) -> None:
    inside, _ = world.look()
    for broker in inside["answers"]["exporting"]:
        broker["problem"] = "10.0.0.10:9600: Connection timed out"
    del inside["answers"]["configuration"]
    inside["problems"]["configuration"] = "No broker could answer."
    report = world.check(inside=inside)
    assert report["verdict"] == "DEGRADED"
    assert codes(report) == {"MANAGEMENT_UNREACHABLE"}


def test_exporting_paused_and_resumed(world: HealthWorld) -> None:
    world.simulated.exporting = "SOFT_PAUSED"
    assert codes(world.check()) == {"EXPORTING_PAUSED"}
    world.simulated.exporting = "EXPORTING"
    assert world.check()["verdict"] == "HEALTHY"


def exported(inside: dict[str, Any], processed: int, position: int) -> dict[str, Any]:
    for broker in inside["answers"]["exporting"]:
        for one in broker["partitions"].values():
            one |= {"processedPosition": processed, "exportedPosition": position}
    return inside


def test_an_exporter_that_does_not_move_while_work_goes_on(world: HealthWorld) -> None:
    reports = [world.check(inside=exported(world.look()[0], 100 + n, 50)) for n in range(4)]
    stuck = {"EXPORTING_STUCK"}
    assert [codes(one) for one in reports] == [set(), set(), stuck, stuck]
    assert codes(world.check(inside=exported(world.look()[0], 200, 51))) == set()


def test_an_exporter_that_is_through_is_not_stuck(world: HealthWorld) -> None:
    for _ in range(6):
        assert codes(world.check(inside=exported(world.look()[0], 100, 100))) == set()


def test_a_change_that_waits_for_a_broker_that_never_starts(world: HealthWorld) -> None:
    world.management.scale_brokers(4)
    world.management.pass_time(20)
    report = world.check()
    assert "CHANGE_STUCK" in codes(report)
    assert "broker 3 does not run" in report["text"]
    world.management.start_broker(3)
    world.management.pass_time(60)
    world.cloud.brokers |= {"desired": 4, "running": 4}
    world.cloud.groups = {}
    assert codes(world.check()) == set()


def test_a_change_that_goes_on_is_a_note_until_it_makes_no_step(world: HealthWorld) -> None:
    inside, _ = world.look()
    inside["answers"]["configuration"]["pendingChange"] = {
        "id": 7,
        "completed": [],
        "pending": [{"operation": "PARTITION_JOIN", "brokerId": 2, "partitionId": 1}],
    }
    assert codes(world.check(inside=inside), "INFO") >= {"CHANGE_PENDING"}
    assert codes(world.check(inside=inside, minutes=29)) == set()
    assert codes(world.check(inside=inside, minutes=1)) == {"CHANGE_STUCK"}


def test_a_failed_change(world: HealthWorld) -> None:
    inside, _ = world.look()
    inside["answers"]["configuration"]["lastChange"] = {"id": 3, "status": "FAILED"}
    assert codes(world.check(inside=inside)) == {"CHANGE_FAILED"}


def test_a_cancelled_change_leaves_brokers_half_way(world: HealthWorld) -> None:
    inside, _ = world.look()
    inside["answers"]["configuration"]["brokers"][2]["state"] = "JOINING"
    assert codes(world.check(inside=inside)) == {"BROKER_NOT_ACTIVE"}


def test_leaders_on_one_broker_are_a_note(world: HealthWorld) -> None:
    inside, _ = world.look()
    for broker in inside["answers"]["topology"]["brokers"]:
        for one in broker["partitions"]:
            one["role"] = "leader" if broker["nodeId"] == 0 else "follower"
    report = world.check(inside=inside)
    assert report["verdict"] == "HEALTHY"
    assert "LEADERSHIP_IMBALANCED" in codes(report, "INFO")


@pytest.mark.parametrize(
    ("change", "code", "verdict"),
    [
        ({"role": "leader"}, "PARTITION_WITH_TWO_LEADERS", "DEGRADED"),
        ({"health": "unhealthy"}, "PARTITION_UNHEALTHY", "DEGRADED"),
    ],
)
def test_a_replica_that_is_not_as_it_should_be(
    world: HealthWorld, change: dict[str, str], code: str, verdict: str
) -> None:
    inside, _ = world.look()
    replicas = inside["answers"]["topology"]["brokers"][0]["partitions"]
    next(one for one in replicas if one["role"] == "follower").update(change)
    report = world.check(inside=inside)
    assert (report["verdict"], codes(report)) == (verdict, {code})


def test_an_unhealthy_leader_is_no_leader(world: HealthWorld) -> None:
    inside, _ = world.look()
    replicas = inside["answers"]["topology"]["brokers"][0]["partitions"]
    next(one for one in replicas if one["role"] == "leader")["health"] = "unhealthy"
    assert codes(world.check(inside=inside)) == {"PARTITION_WITHOUT_LEADER"}


def test_different_versions(world: HealthWorld) -> None:
    inside, _ = world.look()
    inside["answers"]["topology"]["brokers"][0]["version"] = "8.9.17"
    assert codes(world.check(inside=inside)) == {"VERSION_MIXED"}


def ago(world: HealthWorld, minutes: float) -> str:
    """A moment before the next check, which is five minutes from now."""
    return (world.clock.at + timedelta(minutes=5 - minutes)).isoformat()


def change(world: HealthWorld, service: str, **properties: Any) -> None:
    """Let somebody change a live service by hand."""
    live = getattr(world.cloud, service)
    live["definition"] = live["definition"] | properties


@pytest.mark.parametrize(
    ("service", "properties", "seen"),
    [
        ("brokers", {"taskDefinition": "arn:orchestration-cluster:7"}, "taskDefinition: "),
        ("connectors", {"desiredCount": 4}, "desiredCount: 4 → 1"),
        ("brokers", {"loadBalancers": []}, "loadBalancers: [] → "),
        ("connectors", {"serviceConnectConfiguration": None}, "serviceConnectConfiguration: "),
        ("brokers", {"networkConfiguration": {}}, "networkConfiguration: {} → "),
        ("brokers", {"deploymentConfiguration": {}}, "deploymentConfiguration: {} → "),
    ],
)
def test_a_service_that_was_changed_by_hand_is_told_until_it_is_as_its_definition(
    world: HealthWorld, service: str, properties: dict[str, Any], seen: str
) -> None:
    before = getattr(world.cloud, service)["definition"]
    change(world, service, **properties)
    report = world.check()
    assert (report["verdict"], codes(report)) == ("DEGRADED", {"SERVICE_CHANGED"})
    assert f"{service}: {seen}" in report["text"]
    change(world, service, **before)
    assert codes(world.check()) == set()


@pytest.mark.parametrize("machine", ["provision", "scale"])
def test_what_an_operation_changes_of_a_service_is_a_note(world: HealthWorld, machine: str) -> None:
    change(world, "brokers", taskDefinition="arn:orchestration-cluster:7")
    world.hold(machine)
    assert codes(world.check(), "INFO") >= {"SERVICE_CHANGED"}


def test_tags_the_brokers_count_and_an_adopted_cluster_are_not_compared(
    world: HealthWorld,
) -> None:
    change(world, "brokers", tags=[])
    change(world, "connectors", desiredCount=0)
    assert codes(world.check()) == set()
    change(world, "brokers", loadBalancers=[])
    world.outputs["Adopted"] = "true"
    assert codes(world.check()) == set()


def test_a_service_that_could_not_be_compared_is_unknown_and_not_good(world: HealthWorld) -> None:
    del world.outputs["BrokerSecurityGroupId"]
    report = world.check()
    assert (report["verdict"], codes(report)) == ("DEGRADED", {"SOURCE_UNAVAILABLE"})
    assert "the stack has no output BrokerSecurityGroupId" in report["text"]
    world.outputs["BrokerSecurityGroupId"] = "sg-brokers"
    change(world, "brokers")
    world.cloud.brokers["definition"] = {}
    assert codes(world.check()) == {"SOURCE_UNAVAILABLE"}


def failed(world: HealthWorld, service: str, number: float) -> dict[str, str]:
    at = ago(world, 10 * number)
    return {"service": service, "task": f"t{number}", "at": at, "reason": "exit code 1"}


def connectors_keep_stopping(world: HealthWorld) -> None:
    world.cloud.connectors.update(pending=1)
    world.cloud.stopped.extend(failed(world, "connectors", n) for n in range(3))


AWS: list[tuple[str, Callable[[HealthWorld], Any], str]] = [
    (
        "DESIRED_COUNT_MISMATCH",
        lambda w: w.cloud.brokers.update(desired=4, running=4),
        "DEGRADED",
    ),
    (
        "CONNECTORS_STOPPED",
        lambda w: w.cloud.connectors.update(desired=0, running=0),
        "DEGRADED",
    ),
    ("SERVICE_MISSING", lambda w: w.cloud.connectors.update(exists=False), "DOWN"),
    (
        "DEPLOYMENT_FAILED",
        lambda w: w.cloud.brokers["deployments"][0].update(rollout="FAILED", reason="breaker"),
        "DEGRADED",
    ),
    (
        "DEPLOYMENT_SLOW",
        lambda w: w.cloud.brokers["deployments"][0].update(
            rollout="IN_PROGRESS", startedAt=ago(w, 31)
        ),
        "DEGRADED",
    ),
    (
        "BROKERS_AUTOSCALED",
        lambda w: w.cloud.scaled.append(
            {"service": "brokers", "bounds": "1 to 10", "resource": "service/c/brokers"}
        ),
        "DEGRADED",
    ),
    (
        "TASK_CRASH_LOOP",
        connectors_keep_stopping,
        "DEGRADED",
    ),
    (
        "TARGETS_UNHEALTHY",
        lambda w: w.cloud.groups.update(
            {
                "arn:rest": [
                    {"address": f"10.0.0.{n}", "state": state, "reason": ""}
                    for n, state in enumerate(["healthy", "healthy", "unhealthy"])
                ]
            }
        ),
        "DEGRADED",
    ),
    ("NO_HEALTHY_TARGET", lambda w: w.cloud.groups.update({"arn:grpc": []}), "DOWN"),
    ("EFS_MOUNT_TARGET_UNAVAILABLE", lambda w: w.cloud.zones.update(a="deleting"), "DEGRADED"),
    ("EFS_MOUNT_TARGET_UNAVAILABLE", lambda w: w.cloud.zones.clear(), "DEGRADED"),
    (
        "SECRET_MISSING",
        lambda w: w.cloud.lost.update(AdminUserSecretArn="it does not exist"),
        "DEGRADED",
    ),
    ("STACK_FAILED", lambda w: w.stack.update(status="UPDATE_ROLLBACK_FAILED"), "DEGRADED"),
]


@pytest.mark.parametrize("where", ["tag", "table"])
def test_a_frozen_cluster_is_healthy_and_says_so(world: HealthWorld, where: str) -> None:
    if where == "tag":
        world.stack["frozen"] = "audit until Friday"
    else:
        freeze = Freeze("audit until Friday", "2026-01-01T00:00:00Z")
        world.records.freezes[world.outputs["EcsClusterName"]] = freeze
    report = world.check()
    assert report["verdict"] == "HEALTHY"
    assert "CLUSTER_FROZEN" in [one["code"] for one in report["findings"]]
    assert "audit until Friday" in report["text"]


@pytest.mark.parametrize(
    ("code", "breaks", "verdict"), AWS, ids=[f"{n}-{one[0]}" for n, one in enumerate(AWS)]
)
def test_what_aws_says(
    world: HealthWorld, code: str, breaks: Callable[[HealthWorld], Any], verdict: str
) -> None:
    breaks(world)
    report = world.check()
    assert (report["verdict"], codes(report)) == (verdict, {code})


@pytest.mark.parametrize(
    ("limit", "days", "noted"),
    [("90", 89, False), ("90", 90, True), ("0", 900, False), ("", 900, False), ("1", 90, True)],
)
def test_the_age_of_passwords_is_a_note_that_changes_no_verdict(
    world: HealthWorld, limit: str, days: int, noted: bool
) -> None:
    world.outputs["SecretAgeDays"] = limit
    # A check is five minutes after what is now.
    made = world.clock.now() - timedelta(days=days)
    world.cloud.made = {
        "AdminUserSecretArn": made.isoformat(),
        "ConnectorsUserSecretArn": world.clock.now().isoformat(),
    }
    report = world.check()
    assert report["verdict"] == "HEALTHY"
    assert ("SECRET_OLD" in codes(report, "INFO")) == noted
    if noted:
        (one,) = [one for one in report["findings"] if one["code"] == "SECRET_OLD"]
        assert one["seen"] == (f"AdminUserSecretArn: {days} days, ConnectorsUserSecretArn: 0 days")


@pytest.mark.parametrize(
    ("days", "code", "verdict"),
    [(29, "FORMER_DATA", "HEALTHY"), (30, "FORMER_DATA_EXPIRED", "DEGRADED")],
)
def test_what_a_restore_has_replaced_is_a_note_until_it_is_expired(
    world: HealthWorld, days: int, code: str, verdict: str
) -> None:
    now = world.clock.now()
    former = {"status": "available", "copy": False}
    world.outputs["FormerDataDays"] = "30"
    world.cloud.created = (now - timedelta(days=days)).isoformat()
    world.cloud.former_databases = [
        {"name": "former", "created": (now - timedelta(days=90)).isoformat(), **former},
        {"name": "copy", "created": now.isoformat(), **former, "copy": True},
    ]
    report = world.check()
    assert report["verdict"] == verdict
    (one,) = [one for one in report["findings"] if one["code"].startswith("FORMER_DATA")]
    assert (one["code"], one["seen"]) == (code, f"former, replaced {days} days ago")


def test_a_former_database_whose_successor_is_not_known_is_a_note(world: HealthWorld) -> None:
    world.outputs["FormerDataDays"] = "30"
    world.cloud.former_databases = [
        {"name": "former", "status": "available", "created": None, "copy": False}
    ]
    (one,) = [one for one in world.check()["findings"] if one["code"].startswith("FORMER_DATA")]
    assert one["code"] == "FORMER_DATA"
    assert "not known" in one["seen"]


def test_a_cluster_that_was_never_restored_is_not_searched_for_former_data(
    world: HealthWorld,
) -> None:
    world.cloud.errors["former"] = AssertionError("it was searched")
    assert world.check()["verdict"] == "HEALTHY"


def test_connectors_that_scale_by_themselves_are_a_note(world: HealthWorld) -> None:
    world.cloud.scaled.append(
        {"service": "connectors", "bounds": "1 to 4", "resource": "service/x"}
    )
    report = world.check()
    assert report["verdict"] == "HEALTHY"
    assert "CONNECTORS_AUTOSCALED" in codes(report, "INFO")


def note(world: HealthWorld, *, stays: set[str], since: float, until: float) -> ScalingNote:
    """A scaling to three brokers, ``since`` and ``until`` minutes ago when the next check is."""
    at = world.clock.now() + timedelta(minutes=5)
    return ScalingNote(
        "demo.scale.1",
        3,
        at - timedelta(minutes=since),
        at - timedelta(minutes=until),
        frozenset(stays),
    )


def test_brokers_that_a_scaling_took_away_are_no_failures(world: HealthWorld) -> None:
    world.cloud.stopped.extend(failed(world, "brokers", number) for number in range(3))
    world.cloud.brokers.update(pending=1)
    world.scalings["demo"] = note(world, stays={"task-0"}, since=40, until=-3)
    report = world.check()
    assert "TASK_CRASH_LOOP" not in codes(report)
    assert "removed by demo.scale.1" in report["text"]
    assert "TASK_REPLACED" not in codes(report, "INFO")


@pytest.mark.parametrize(
    ("stays", "since", "until"),
    [({"t0", "t1", "t2"}, 40, -3), (set(), 60, 40)],
    ids=["one that stays", "long after it"],
)
def test_what_a_scaling_did_not_take_away_failed(
    world: HealthWorld, stays: set[str], since: float, until: float
) -> None:
    world.cloud.stopped.extend(failed(world, "brokers", 1 + number / 9) for number in range(3))
    for number, one in enumerate(world.cloud.stopped):
        one["task"] = f"t{number}"
    world.cloud.brokers.update(pending=1)
    world.scalings["demo"] = note(world, stays=stays, since=since, until=until)
    assert "TASK_CRASH_LOOP" in codes(world.check())


def test_what_fails_while_brokers_are_added_failed(world: HealthWorld) -> None:
    world.cloud.stopped.extend(failed(world, "brokers", 1 + number / 9) for number in range(3))
    world.cloud.brokers.update(pending=1)
    out = replace(note(world, stays={"task-0"}, since=40, until=-3), takes_away=False)
    world.scalings["demo"] = out
    assert "TASK_CRASH_LOOP" in codes(world.check())


def test_a_count_that_a_stopped_scaling_left_names_it(world: HealthWorld) -> None:
    world.cloud.brokers.update(desired=4, running=4)
    assert "was scaling" not in world.check()["text"]
    world.scalings["demo"] = replace(
        note(world, stays=set(), since=40, until=30), requested=4, operation_id="demo.scale.7"
    )
    assert "demo.scale.7 was scaling to 4" in world.check()["text"]


def test_one_failed_task_that_was_replaced_is_a_note(world: HealthWorld) -> None:
    stop = {"service": "brokers", "task": "t", "at": ago(world, 3), "reason": "exit code 137"}
    world.cloud.stopped.append(stop)
    report = world.check()
    assert report["verdict"] == "HEALTHY"
    assert "exit code 137" in report["text"]
    assert "TASK_REPLACED" not in codes(world.check(minutes=60), "INFO")


def keep_stopping(world: HealthWorld, *, since: float) -> None:
    """Three tasks of the brokers, the last ``since`` minutes ago, and one that starts now."""
    for number in range(3):
        world.cloud.stopped.append(failed(world, "brokers", (since + number) / 10))
    world.cloud.brokers.update(pending=1)


def roll(world: HealthWorld, *, since: float) -> None:
    (deployment,) = world.cloud.brokers["deployments"]
    deployment.update(rollout="IN_PROGRESS", startedAt=ago(world, since))


@pytest.mark.parametrize(("failed_since", "loop"), [(12, False), (1, True)])
def test_failures_before_a_deployment_began_are_none_of_the_tasks_it_starts(
    world: HealthWorld, failed_since: float, loop: bool
) -> None:
    keep_stopping(world, since=failed_since)
    roll(world, since=8)
    assert ("TASK_CRASH_LOOP" in codes(world.check())) is loop


@pytest.mark.parametrize(("failed_since", "loop"), [(12, False), (1, True)])
def test_failures_before_a_scaling_began_are_none_of_the_broker_it_adds(
    world: HealthWorld, failed_since: float, loop: bool
) -> None:
    keep_stopping(world, since=failed_since)
    out = note(world, stays={"task-0"}, since=13, until=-3)
    world.scalings["demo"] = replace(out, takes_away=False)
    report = world.check()
    assert ("TASK_CRASH_LOOP" in codes(report)) is loop
    assert ("TASK_REPLACED" in codes(report, "INFO")) is not loop
    assert "BROKER_LEFT" not in codes(report, "INFO")


def test_a_loop_is_seen_whichever_other_broker_joins_meanwhile(world: HealthWorld) -> None:
    keep_stopping(world, since=2)
    world.cloud.running[1]["startedAt"] = ago(world, 1)
    assert "TASK_CRASH_LOOP" in codes(world.check())


def test_tasks_that_failed_and_were_all_replaced_are_a_note(world: HealthWorld) -> None:
    world.cloud.stopped.extend(failed(world, "brokers", number) for number in range(3))
    assert world.check()["verdict"] == "HEALTHY"


def test_a_crash_loop_is_not_excused_as_a_start(world: HealthWorld) -> None:
    kill(world, 2)
    world.cloud.stopped.extend(failed(world, "brokers", number) for number in range(3))
    for number in range(2):
        world.cloud.running.append(starting(world, 1) | {"task": f"try-{number}"})
        world.check(minutes=1)
        world.cloud.running.pop()
    assert len(world.messages.sent) == 1


def test_a_collector_that_stopped_is_a_note(world: HealthWorld) -> None:
    world.cloud.running[1]["collector"] = "STOPPED"
    report = world.check()
    assert report["verdict"] == "HEALTHY"
    (found,) = [one for one in report["findings"] if one["code"] == "COLLECTOR_STOPPED"]
    assert found["seen"] == f"task {world.cloud.running[1]['task'][:8]}"
    for running in (
        {"collector": "RUNNING"}, {"collector": ""}, {"collector": "STOPPED", "status": "PENDING"}
    ):  # fmt: skip
        world.cloud.running[1].update(running)
        assert "COLLECTOR_STOPPED" not in codes(world.check(), "INFO")


def test_protection_that_was_left_is_a_note(world: HealthWorld) -> None:
    world.cloud.held.append({"task": "task-0", "until": ago(world, -10)})
    assert "TASK_PROTECTED" in codes(world.check(), "INFO")
    assert "TASK_PROTECTED" not in codes(world.check(minutes=10), "INFO")


def test_protection_that_no_operation_set_is_told_with_its_end(world: HealthWorld) -> None:
    """ECS protects for up to two days when told to."""
    until = ago(world, -48 * 60)
    world.cloud.held.append({"task": "connectors-0", "until": until})
    world.cloud.held.append({"task": "task-0", "until": ago(world, -10)})
    report = world.check()
    # Each protection with its own end.
    assert codes(report) == {"TASK_PROTECTION_STALE"}
    assert "TASK_PROTECTED" in codes(report, "INFO")
    (found,) = [one for one in report["findings"] if one["code"] == "TASK_PROTECTION_STALE"]
    assert f"until {datetime.fromisoformat(until):%Y-%m-%d %H:%M} UTC" in found["seen"]
    assert "task-0" not in found["seen"]


@pytest.mark.parametrize(
    ("days", "found"),
    [(13.9, {"CERTIFICATE_EXPIRING"}), (14.1, set()), (-1, {"CERTIFICATE_EXPIRING"})],
)
def test_a_certificate_that_ends(world: HealthWorld, days: float, found: set[str]) -> None:
    world.outputs["CertificateArn"] = "arn:certificate"
    world.cloud.ends = ago(world, -days * 24 * 60)
    assert codes(world.check()) == found


@pytest.mark.parametrize(
    ("minutes", "found"),
    [
        (30, "MANAGEMENT_OPEN"),
        (0, "MANAGEMENT_OPEN"),
        (-4.9, "MANAGEMENT_OPEN"),
        (-5.1, "MANAGEMENT_OPEN_TOO_LONG"),
        (None, "MANAGEMENT_OPEN_TOO_LONG"),
    ],
)
def test_a_way_in_is_noted_until_its_end_and_reported_after_it(
    world: HealthWorld, minutes: float | None, found: str
) -> None:
    world.outputs["ManagementTargetGroupArn"] = "arn:management"
    until = None if minutes is None else ago(world, -minutes)
    world.cloud.access |= {"opened": True, "until": until, "sources": ["10.0.0.0/16"]}
    report = world.check()
    (one,) = [one for one in report["findings"] if one["code"].startswith("MANAGEMENT_OPEN")]
    assert (one["code"], "10.0.0.0/16" in one["seen"]) == (found, True)
    late = found == "MANAGEMENT_OPEN_TOO_LONG"
    assert report["verdict"] == ("DEGRADED" if late else "HEALTHY")


def test_a_permanent_listener_is_no_way_in_with_an_end(world: HealthWorld) -> None:
    world.outputs["ManagementTargetGroupArn"] = "arn:management"
    world.cloud.access |= {"permanent": True}
    assert world.check()["verdict"] == "HEALTHY"


def test_a_way_in_that_cannot_be_read_is_not_closed(world: HealthWorld) -> None:
    world.outputs["ManagementTargetGroupArn"] = "arn:management"
    world.cloud.errors["management"] = AwsUnavailable("throttled")
    assert "SOURCE_UNAVAILABLE" in codes(world.check())


# The database


def test_the_database_is_stopped(world: HealthWorld) -> None:
    world.database.running = False
    world.cloud.status = "stopped"
    report = world.check()
    assert (report["verdict"], codes(report)) == ("DOWN", {"DATABASE_DOWN"})
    world.database.running = True
    world.cloud.status = "available"
    assert world.check()["verdict"] == "HEALTHY"


def test_aurora_says_available_and_nobody_gets_in(world: HealthWorld) -> None:
    world.database.running = False
    assert codes(world.check()) == {"DATABASE_UNREACHABLE"}


def test_the_users_grant_is_revoked(world: HealthWorld) -> None:
    world.database.roles["camunda"] = replace(SEEDED, in_rds_iam=False)
    assert codes(world.check()) == {"DATABASE_LOGIN_REFUSED"}


def test_the_users_privileges_are_revoked(world: HealthWorld) -> None:
    world.database.roles["camunda"] = replace(SEEDED, schema_granted=False)
    assert codes(world.check()) == {"DATABASE_GRANTS_MISSING"}


def test_a_certificate_that_is_not_trusted(world: HealthWorld) -> None:
    world.database.certificate_trusted = False
    assert codes(world.check()) == {"DATABASE_CERTIFICATE"}


def test_a_database_that_is_changed_and_answers(world: HealthWorld) -> None:
    world.cloud.status = "modifying"
    report = world.check()
    assert report["verdict"] == "HEALTHY"
    assert "DATABASE_BUSY" in codes(report, "INFO")


# Node ids and backups


def lease(world: HealthWorld, task: str, seconds: float) -> tuple[str, int]:
    end = world.clock.at + timedelta(minutes=5, seconds=seconds)
    return task, int(end.timestamp() * 1000)


def test_a_fresh_lease_for_each_broker(world: HealthWorld) -> None:
    world.leases.held = {node: lease(world, f"task-{node}", 10) for node in range(3)}
    report = world.check()
    assert (report["verdict"], codes(report, "INFO")) == ("HEALTHY", set())


def test_a_lease_that_is_not_renewed(world: HealthWorld) -> None:
    world.leases.held = {node: lease(world, f"task-{node}", 10) for node in range(3)}
    world.leases.held[1] = lease(world, "task-1", -60)
    assert codes(world.check()) == {"LEASE_STALE"}


def test_two_leases_of_one_task(world: HealthWorld) -> None:
    world.leases.held = {node: lease(world, "task-0", 10) for node in range(2)}
    world.leases.held[2] = lease(world, "task-2", 10)
    assert codes(world.check()) == {"LEASE_SHARED"}


def backups(
    world: HealthWorld,
    hours: dict[int, float],
    ranges: Ranges | None = None,
) -> dict[str, Any]:
    """What the brokers report: when the last backup of each partition was begun, in hours ago.

    ``ranges`` are the hours at which the ranges of each begin and end; one of a week by default.
    """
    inside, _ = world.look()
    latest = [{"partition": p, "at": ago(world, 60 * h)} for p, h in hours.items()]
    spans = {p: [(24 * 7, h)] for p, h in hours.items()} if ranges is None else ranges
    inside["answers"]["backups"] = {
        "supported": True,
        "enabled": True,
        "latest": latest,
        "ranges": [
            {"partition": p, "start": ago(world, 60 * start), "end": ago(world, 60 * end)}
            for p, found in spans.items()
            for start, end in found
        ],
    }
    return inside


def shown(report: Mapping[str, Any], code: str) -> str:
    (one,) = [one for one in report["findings"] if one["code"] == code]
    return str(one["seen"])


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [(None, 3), ("", 3), ("PT1H", 3), ("PT30M", 1.5), ("PT15M", 1), ("PT10M", 1), ("PT5M", 1)],
)
def test_a_backup_is_old_after_three_intervals_of_its_schedule(
    world: HealthWorld, schedule: str | None, hours: float
) -> None:
    if schedule is not None:
        world.outputs["BackupSchedule"] = schedule
    assert codes(world.check(inside=backups(world, dict.fromkeys((1, 2, 3), hours - 0.1)))) == set()
    report = world.check(inside=backups(world, {1: 0.5, 2: hours + 0.1, 3: 0.5}))
    assert codes(report) == {"BACKUP_OLD"}


def test_the_oldest_of_the_last_backups_counts(world: HealthWorld) -> None:
    assert codes(world.check(inside=backups(world, {1: 1, 2: 2, 3: 2.9}))) == set()
    report = world.check(inside=backups(world, {1: 1, 2: 3.1, 3: 1}))
    assert codes(report) == {"BACKUP_OLD"}
    assert "partition 2 (3 hours old)" in report["text"]


def test_a_cluster_gets_time_for_its_first_backup(world: HealthWorld) -> None:
    assert codes(world.check(inside=backups(world, {}))) == set()
    assert codes(world.check(inside=backups(world, {1: 0.1}))) == set()
    assert codes(world.check(inside=backups(world, {}), minutes=181)) == {"BACKUP_OLD"}


def test_partitions_that_were_added_need_a_backup_too(world: HealthWorld) -> None:
    world.check()
    world.check(minutes=181)
    world.simulated.patch({"partitions": {"count": 4}}, now=world.management.now)
    world.management.pass_time(60)
    report = world.check(inside=backups(world, {1: 1, 2: 1, 3: 1}))
    assert codes(report) == {"BACKUP_OLD", "BACKUP_OTHER_PARTITIONS"}
    assert "partition 4 (none)" in report["text"]
    assert shown(report, "BACKUP_OTHER_PARTITIONS") == (
        "the newest backups hold 3 partitions, the cluster has 4: none of partition 4"
    )
    assert codes(world.check(inside=backups(world, {1: 1, 2: 1, 3: 1, 4: 1}))) == set()


def test_a_backup_of_more_partitions_than_there_are(world: HealthWorld) -> None:
    world.check()
    world.check(minutes=181)
    report = world.check(inside=backups(world, dict.fromkeys((1, 2, 3, 4), 1)))
    assert codes(report) == {"BACKUP_OTHER_PARTITIONS"}
    assert "4 partitions, the cluster has 3: one of partition 4 too" in report["text"]


def test_adding_partitions_explains_that_there_is_no_backup_of_them(world: HealthWorld) -> None:
    world.check()
    world.check(minutes=181)
    world.simulated.patch({"partitions": {"count": 4}}, now=world.management.now)
    inside = backups(world, {1: 4, 2: 4, 3: 4})
    assert inside["answers"]["configuration"]["pendingChange"] is not None
    report = world.check(inside=inside)
    assert not {"BACKUP_OLD", "BACKUP_OTHER_PARTITIONS"} & codes(report)
    (old,) = [one for one in report["findings"] if one["code"] == "BACKUP_OLD"]
    assert old["severity"] == "INFO"
    assert "adds partitions" in old["explainedBy"]


def test_moving_partitions_explains_no_old_backup(world: HealthWorld) -> None:
    world.simulated.patch({"brokers": {"count": 4}}, now=world.management.now)
    inside = backups(world, {1: 4, 2: 4, 3: 4})
    assert inside["answers"]["configuration"]["pendingChange"] is not None
    assert "BACKUP_OLD" in codes(world.check(inside=inside))


def test_a_gap_is_noted_until_it_expires(world: HealthWorld) -> None:
    whole: list[tuple[float, float]] = [(24 * 7, 1)]
    recent: Ranges = {1: whole, 2: [(24 * 7, 30), (20, 1)], 3: whole}
    report = world.check(inside=backups(world, dict.fromkeys((1, 2, 3), 1), recent))
    assert codes(report) == set()
    assert "BACKUP_GAP" in codes(report, "INFO")
    assert shown(report, "BACKUP_GAP") == (
        "partition 2 (2025-12-30 18:05 UTC to 2025-12-31 04:05 UTC)"
    )
    old: Ranges = {1: whole, 2: [(24 * 7, 60), (25, 1)], 3: [(24 * 7, 70), (65, 26), (25.5, 1)]}
    report = world.check(inside=backups(world, dict.fromkeys((1, 2, 3), 1), old))
    assert codes(report) == set()
    assert "BACKUP_GAP" in codes(report, "INFO")
    assert shown(report, "BACKUP_GAP").count("UTC to") == 3
    inside = backups(world, dict.fromkeys((1, 2, 3), 1), old)
    inside["answers"]["backups"]["leftOut"] = 7
    assert shown(world.check(inside=inside), "BACKUP_GAP").endswith(
        "; 7 more ranges lie within them"
    )


@pytest.mark.parametrize("lacks", ["all", "one", "the answer"])
def test_a_backup_without_a_range_is_unknown(world: HealthWorld, lacks: str) -> None:
    inside = backups(world, dict.fromkeys((1, 2, 3), 1))
    answer = inside["answers"]["backups"]
    if lacks == "all":
        answer["ranges"] = []
    elif lacks == "one":
        del answer["ranges"][1]
    else:
        del answer["ranges"]
    report = world.check(inside=inside)
    assert codes(report) == {"SOURCE_UNAVAILABLE"}
    assert "no range of the backups of partition" in shown(report, "SOURCE_UNAVAILABLE")


# What both backups can restore


@pytest.fixture
def kept(world: HealthWorld) -> HealthWorld:
    """A cluster that keeps its backups for a week and is watched for longer than that."""
    world.outputs |= {
        "BackupSchedule": "PT15M",
        "BackupRetentionDays": "7",
        "DatabaseBackupRetentionDays": "7",
    }
    world.cloud.days = 7
    world.check()
    world.check(minutes=60 * 24 * 8)
    reach(world, 24 * 7)
    return world


def reach(world: HealthWorld, hours: float, newest: float = 0.1) -> None:
    """Let Aurora be restorable from then until then, in hours ago."""
    world.cloud.earliest, world.cloud.restorable = ago(world, 60 * hours), ago(world, 60 * newest)


def since(world: HealthWorld, hours: float) -> dict[str, Any]:
    """Let the brokers' backups reach back for so many hours."""
    return backups(world, dict.fromkeys((1, 2, 3), 0.2), {one: [(hours, 0.2)] for one in (1, 2, 3)})


def test_both_backups_that_reach_back_for_the_retention_are_fine(kept: HealthWorld) -> None:
    assert codes(kept.check(inside=since(kept, 24 * 7 - 0.5))) == set()
    # What the stack does not promise is not missed.
    assert codes(kept.check(inside=since(kept, 24 * 6))) == set()


@pytest.mark.parametrize(("ours", "theirs"), [(24 * 7, 24), (24, 24 * 7), (30, 24)])
def test_the_shorter_of_both_backups_is_what_can_be_restored(
    kept: HealthWorld, ours: float, theirs: float
) -> None:
    reach(kept, theirs)
    report = kept.check(inside=since(kept, ours))
    assert codes(report) == {"RESTORE_WINDOW_SHORT"}
    assert "24 hours instead of 7 days can be restored" in report["text"]
    reach(kept, 24 * 7)
    assert codes(kept.check(inside=since(kept, 24 * 7))) == set()


def test_backups_that_do_not_overlap_restore_nothing(kept: HealthWorld) -> None:
    reach(kept, 5)
    report = kept.check(inside=backups(kept, dict.fromkeys((1, 2, 3), 6)))
    assert codes(report) == {"BACKUP_OLD", "RESTORE_WINDOW_SHORT"}
    assert "nothing can be restored" in shown(report, "RESTORE_WINDOW_SHORT")


def test_a_partition_with_shorter_backups_shortens_all(kept: HealthWorld) -> None:
    ranges: Ranges = {1: [(24 * 7, 0.2)], 2: [(48.0, 0.2)], 3: [(24 * 7, 0.2)]}
    report = kept.check(inside=backups(kept, dict.fromkeys((1, 2, 3), 0.2), ranges))
    assert codes(report) == {"RESTORE_WINDOW_SHORT"}
    assert "2 days instead of 7 days" in report["text"]


def test_aurora_that_falls_behind_is_reported(kept: HealthWorld) -> None:
    reach(kept, 24 * 7, 0.9)
    assert codes(kept.check(inside=since(kept, 24 * 7))) == set()
    reach(kept, 24 * 7, 3)
    report = kept.check(inside=since(kept, 24 * 7))
    assert codes(report) == {"RESTORE_WINDOW_SHORT"}
    assert "Aurora can be restored to 20" in report["text"]


def test_a_retention_of_aurora_that_was_lowered_by_hand(kept: HealthWorld) -> None:
    kept.cloud.days = 1
    report = kept.check(inside=since(kept, 24 * 7))
    assert codes(report) == {"RESTORE_WINDOW_SHORT"}
    assert shown(report, "RESTORE_WINDOW_SHORT") == "Aurora keeps its backups for 1 of 7 days"
    # Not less than the brokers keep theirs.
    kept.outputs["BackupRetentionDays"] = "1"
    assert codes(kept.check(inside=since(kept, 24))) == set()


def test_a_retention_that_was_raised_is_reached_later(kept: HealthWorld) -> None:
    kept.outputs |= {"BackupRetentionDays": "14", "DatabaseBackupRetentionDays": "14"}
    kept.cloud.days = 14
    assert codes(kept.check(inside=since(kept, 24 * 7))) == set()
    kept.check(minutes=60 * 24 * 3)
    reach(kept, 24 * 10)
    assert codes(kept.check(inside=since(kept, 24 * 10))) == set()
    reach(kept, 24 * 10)
    assert codes(kept.check(inside=since(kept, 24))) == {"RESTORE_WINDOW_SHORT"}


def test_a_database_that_was_just_restored_has_no_past(kept: HealthWorld) -> None:
    kept.cloud.created = ago(kept, 30)
    reach(kept, 0.5)
    assert codes(kept.check(inside=since(kept, 24 * 7))) == set()
    # Its first backups of the brokers are still to come, but not for long.
    old = backups(kept, dict.fromkeys((1, 2, 3), 0.7))
    assert codes(kept.check(inside=old)) == set()


def test_a_new_cluster_has_no_past(world: HealthWorld) -> None:
    world.outputs |= {"BackupRetentionDays": "7", "DatabaseBackupRetentionDays": "7"}
    world.cloud.created = ago(world, 1)
    reach(world, 0)
    assert codes(world.check(inside=since(world, 0.1))) == set()


def test_the_window_is_not_judged_where_the_stack_does_not_show_the_retention(
    kept: HealthWorld,
) -> None:
    del kept.outputs["BackupRetentionDays"]
    assert codes(kept.check(inside=since(kept, 24))) == set()


@pytest.mark.parametrize("lacks", ["earliest", "restorable"])
def test_a_database_that_reports_no_moments_is_unknown(kept: HealthWorld, lacks: str) -> None:
    _, outside = kept.look()
    outside["answers"]["database"][lacks] = None
    report = kept.check(inside=since(kept, 24 * 7), outside=outside)
    assert codes(report) == {"SOURCE_UNAVAILABLE"}
    assert "no moments to which Aurora" in report["text"]
    # One that is stopped is DATABASE_DOWN, and that alone.
    outside["answers"]["database"]["status"] = "stopped"
    report = kept.check(inside=since(kept, 24 * 7), outside=outside)
    assert "SOURCE_UNAVAILABLE" not in codes(report)


def test_backups_that_the_brokers_do_not_make(world: HealthWorld) -> None:
    inside, _ = world.look()
    inside["answers"]["backups"] = {"supported": True, "enabled": False, "latest": []}
    assert codes(world.check(inside=inside)) == {"BACKUP_DISABLED"}


def test_backups_that_nobody_asked_for_are_not_missed(world: HealthWorld) -> None:
    world.outputs["ContinuousBackup"] = "false"
    inside = world.look()[0]
    assert "backups" not in inside["answers"]
    assert codes(world.check(inside=inside)) == set()


# What is not known


def test_one_source_that_fails_is_unknown_and_hides_no_other(world: HealthWorld) -> None:
    kill(world, 2)
    world.cloud.errors["database"] = AwsUnavailable("RDS answered 503")
    report = world.check()
    assert {"SOURCE_UNAVAILABLE", "BROKER_MISSING"} <= codes(report)
    assert codes(report, "UNKNOWN") == {"SOURCE_UNAVAILABLE"}
    (unknown,) = [one for one in report["findings"] if one["code"] == "SOURCE_UNAVAILABLE"]
    assert unknown["seen"] == "database: RDS answered 503"


@pytest.mark.parametrize("side", ["inside", "outside"])
@pytest.mark.parametrize("answer", [{"failed": "States.Timeout"}, "", [], {"answers": 3}, {}])
def test_a_side_that_fails_is_unknown(world: HealthWorld, side: str, answer: object) -> None:
    report = world.check(inside=answer) if side == "inside" else world.check(outside=answer)
    assert report["verdict"] != "HEALTHY"
    assert codes(report) & {"SOURCE_UNAVAILABLE", "BROKERS_UNREACHABLE"}


def test_a_stack_without_outputs_is_not_healthy(world: HealthWorld) -> None:
    world.outputs = {}
    report = world.check(inside={}, outside={})
    assert (report["verdict"], codes(report)) == ("DEGRADED", {"STACK_NOT_READY"})


def test_a_cluster_made_by_other_means_is_checked_by_what_it_has(world: HealthWorld) -> None:
    told = {
        "ContractVersion",
        "ClusterName",
        "EcsClusterName",
        "OrchestrationServiceName",
        "DiscoveryName",
    }
    told |= {"AdminUserSecretArn", "Brokers", "Connectors", "Partitions", "ReplicationFactor"}
    world.outputs = {name: value for name, value in world.outputs.items() if name in told}
    world.outputs["Adopted"] = "true"
    world.cloud.connectors |= {"desired": 0, "running": 0}
    report = world.check()
    assert (report["verdict"], report["findings"]) == ("HEALTHY", [])
    kill(world, 2)
    assert "BROKER_MISSING" in codes(world.check())


# What an operation or a deployment explains


def scaling_out(world: HealthWorld) -> None:
    world.cloud.brokers |= {"desired": 4, "running": 3, "pending": 1}
    world.management.scale_brokers(4)


def test_a_scale_operation_makes_notes_of_what_it_does(world: HealthWorld) -> None:
    scaling_out(world)
    world.hold("scale")
    report = world.check()
    assert (report["verdict"], codes(report)) == ("HEALTHY", set())
    assert codes(report, "INFO") >= {
        "DESIRED_COUNT_MISMATCH",
        "SERVICE_BELOW_DESIRED_COUNT",
        "OPERATION_RUNNING",
    }
    assert "demo.scale.1 is under way" in report["text"]


def test_a_scale_operation_explains_no_dead_survivor(world: HealthWorld) -> None:
    scaling_out(world)
    world.hold("scale")
    kill(world, 1)
    assert "BROKER_MISSING" in codes(world.check())


def test_a_removed_broker_that_the_topology_still_shows_is_not_missed(
    world: HealthWorld,
) -> None:
    inside, _ = world.look()
    answers = inside["answers"]
    shown = {**answers["topology"]["brokers"][0], "nodeId": 3, "host": "10.0.0.99"}
    answers["topology"]["brokers"].append({**shown, "partitions": []})
    silent = {"address": "10.0.0.99", "problem": "10.0.0.99:9600: Connection refused."}
    answers["exporting"].append({**answers["exporting"][0], **silent})
    assert codes(world.check(inside=inside)) == set()
    # A member is missed.
    silent["address"] = answers["exporting"][0]["address"]
    answers["exporting"][0] = {**answers["exporting"][0], **silent}
    assert codes(world.check(inside=inside)) == {"BROKER_UNREACHABLE"}


def test_an_expired_lock_explains_nothing(world: HealthWorld) -> None:
    scaling_out(world)
    world.hold("scale", minutes=4)
    assert "DESIRED_COUNT_MISMATCH" in codes(world.check())


def test_a_cluster_that_starts_is_not_called_healthy_and_wakes_nobody(world: HealthWorld) -> None:
    kill(world, 0, 1, 2)
    for _ in range(5):
        world.hold("provision")
        report = world.check()
        assert (report["verdict"], codes(report)) == ("PROVISIONING", set())
    assert world.messages.sent == []


def test_a_cluster_that_was_healthy_is_not_made_anew_by_a_provision(world: HealthWorld) -> None:
    world.check()
    kill(world, 0, 1, 2)
    world.hold("provision")
    assert world.check()["verdict"] == "DEGRADED"


def test_a_service_that_is_missing_is_explained_only_while_it_is_made(world: HealthWorld) -> None:
    world.cloud.brokers["exists"] = False
    world.hold("provision")
    report = world.check()
    assert (report["verdict"], codes(report)) == ("PROVISIONING", set())
    assert "SERVICE_MISSING" in codes(report, "INFO")
    world.locks.clear()
    report = world.check()
    assert report["verdict"] == "DOWN"
    assert "SERVICE_MISSING" in codes(report)


def test_a_rolling_restart_is_a_note(world: HealthWorld) -> None:
    kill(world, 2)
    world.cloud.brokers["deployments"][0] |= {
        "rollout": "IN_PROGRESS",
        "startedAt": ago(world, 10),
    }
    report = world.check()
    assert (report["verdict"], codes(report)) == ("HEALTHY", set())
    assert codes(report, "INFO") >= {"BROKER_MISSING", "DEPLOYMENT_RUNNING"}


def test_a_deployment_explains_one_broker_and_not_two(world: HealthWorld) -> None:
    kill(world, 1, 2)
    world.cloud.brokers["deployments"][0] |= {
        "rollout": "IN_PROGRESS",
        "startedAt": ago(world, 10),
    }
    assert {"BROKER_MISSING", "PARTITION_WITHOUT_LEADER"} <= codes(world.check())


def starting(world: HealthWorld, minutes: float) -> dict[str, Any]:
    return {
        "task": "task-new",
        "address": "10.0.0.99",
        "status": "RUNNING",
        "startedAt": ago(world, minutes),
    }


def test_a_slow_start_within_its_grace_is_told_and_wakes_nobody(world: HealthWorld) -> None:
    kill(world, 2)
    started = starting(world, 1)
    world.cloud.running.append(started)
    world.cloud.brokers |= {"running": 3}
    reports = [world.check() for _ in range(3)]  # it is 1, 6 and 11 minutes old
    assert [one["verdict"] for one in reports] == ["DEGRADED"] * 3
    assert {one.get("transient") for one in reports[2]["findings"]} >= {"task task-new is starting"}
    assert world.messages.sent == []
    world.check()
    world.check()
    assert [subject for subject, _ in world.messages.sent] == [
        "demo is DEGRADED: brokers are missing"
    ]


def test_one_start_does_not_excuse_two_missing(world: HealthWorld) -> None:
    kill(world, 1, 2)
    world.cloud.running.append(starting(world, 1))
    findings = [one for one in world.check()["findings"] if one["code"] == "BROKER_MISSING"]
    assert "transient" not in findings[0]


def test_what_is_explained_is_a_code_of_the_table() -> None:
    assert {code for explained in EXPLAINED.values() for code in explained} <= set(KINDS)


@pytest.mark.parametrize(
    ("given", "read"),
    [("999999", 999999), ("1000000", 0), ("3", 3), ("", 0), ("-3", 0), ("3.0", 0), ("²", 0)],
)
def test_a_number_of_the_stack_is_read_or_none(given: str, read: int) -> None:
    assert _number({"Brokers": given}, "Brokers") == read
    assert _number({}, "Brokers") == 0


def rehearsed(world: HealthWorld, *, days: float = 0, result: str = "PASS") -> None:
    """Let a rehearsal have ended so many days ago."""
    ended: dict[str, Any] = {"result": "SUCCEEDED", "rehearsal": {"result": result}}
    if result == "FAIL":
        ended = {"result": "FAILED", "rehearsal": {"result": result, "failure": "markers: lost."}}
    ended["rehearsal"] |= {"recoverySeconds": 725, "copied": {"objects": 3, "bytes": 9}}
    note = note_of(ended, "demo.rehearse.1", world.clock.now() - timedelta(days=days))
    assert note is not None
    kept = note.after(world.records.rehearsals.get("demo"))
    assert kept is not None
    world.records.rehearsals["demo"] = kept


class TestRehearsals:
    def test_without_a_schedule_none_is_wanted(self, world: HealthWorld) -> None:
        report = world.check()
        assert (codes(report), report["rehearsal"]) == (set(), None)
        assert "Recovery time" not in report["text"]

    def test_what_it_measured_is_shown(self, world: HealthWorld) -> None:
        world.check()
        rehearsed(world)
        report = world.check(minutes=24 * 60 * 200)
        assert codes(report) & {"REHEARSAL_OLD", "REHEARSAL_FAILED"} == set()
        found = report["rehearsal"]
        assert (found["result"], found["recoverySeconds"]) == ("PASS", 725)
        assert (found["measured"]["objects"], found["measured"]["bytes"]) == (3, 9)
        assert f"12 min 5 s, rehearsed {found['at'][:10]}." in report["text"]
        record = world.records.find("demo")
        assert record is not None
        assert record.rehearsal == found

    def test_one_that_failed_counts_without_a_schedule_too(self, world: HealthWorld) -> None:
        world.check()
        rehearsed(world)
        world.clock.pass_seconds(60)
        rehearsed(world, result="FAIL")
        report = world.check()
        assert (report["verdict"], codes(report)) == ("DEGRADED", {"REHEARSAL_FAILED"})
        seen = shown(report, "REHEARSAL_FAILED")
        assert seen.startswith("demo.rehearse.1 ended at")
        assert seen.endswith(": markers: lost")
        # What was measured before stays the recovery time; a restore that lacks something is none.
        assert report["rehearsal"]["recoverySeconds"] == 725
        world.clock.pass_seconds(60)
        rehearsed(world, result="WARN")
        assert codes(world.check()) == set()

    def test_one_that_failed_alone_has_no_recovery_time(self, world: HealthWorld) -> None:
        world.check()
        rehearsed(world, result="FAIL")
        assert world.check()["rehearsal"]["recoverySeconds"] is None

    def test_one_of_a_cluster_of_that_name_before_is_none(self, world: HealthWorld) -> None:
        rehearsed(world, result="FAIL")
        world.outputs["RehearsalSchedule"] = "monthly"
        report = world.check()
        assert report["rehearsal"] is None
        assert codes(report) == set()

    @pytest.mark.parametrize(("schedule", "days"), [("monthly", 42), ("quarterly", 105)])
    def test_an_absent_one_is_a_note_until_the_first_is_overdue(
        self, world: HealthWorld, schedule: str, days: int
    ) -> None:
        world.check(minutes=24 * 60 * 300)
        world.outputs["RehearsalSchedule"] = schedule
        report = world.check()
        assert codes(report) & {"REHEARSAL_OLD"} == set()
        assert "REHEARSAL_OLD" in codes(report, "INFO")
        assert "there was none" in shown(report, "REHEARSAL_OLD")
        report = world.check(minutes=24 * 60 * days - 1)
        assert "REHEARSAL_OLD" in codes(report, "INFO")
        assert "REHEARSAL_OLD" in codes(world.check(minutes=1))

    def test_one_is_old_after_its_interval_and_a_week(self, world: HealthWorld) -> None:
        world.outputs["RehearsalSchedule"] = "monthly"
        world.check()
        world.clock.pass_seconds(24 * 3600 * 100)
        rehearsed(world)
        assert "REHEARSAL_OLD" not in codes(world.check()) | codes(world.check(), "INFO")
        report = world.check(minutes=24 * 60 * 42)
        assert "REHEARSAL_OLD" in codes(report)
        assert "the last one ended at" in shown(report, "REHEARSAL_OLD")
        # Another schedule begins anew.
        world.outputs["RehearsalSchedule"] = "quarterly"
        assert "REHEARSAL_OLD" not in codes(world.check())
