"""One contract of the management API: recordings, fake and local brokers keep it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from lifecycle.adapters.camunda.endpoints import grpc_answers
from lifecycle.adapters.camunda.management import REST_PORT
from lifecycle.camunda.topology import (
    ChangeStatus,
    Member,
    MemberState,
    OperationKind,
    ReadinessState,
    SeenPartition,
    change_status,
    formation,
)
from lifecycle.errors import (
    ChangeInProgress,
    ManagementOutcomeUnknown,
    ManagementRefused,
    ManagementUnavailable,
)

from tests.contract.subjects import Fake, Live, OverHttp, Recorded, Subject, is_formed

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.contract

CLUSTER = "/actuator/cluster"
DRY = f"{CLUSTER}?dryRun=true"
FORCED = f"{DRY}&force=true"
HEALTH = "/actuator/health"


# Cases that only ask


def test_configuration_of_a_cluster_at_rest(quiet: Subject) -> None:
    configuration = quiet.api.configuration()

    assert configuration.broker_ids == tuple(range(quiet.size))
    assert {member.state for member in configuration.members} == {MemberState.ACTIVE}
    assert configuration.pending_change is None
    for partition in range(1, quiet.partitions + 1):
        priorities = [
            replica.priority
            for member in configuration.members
            for replica in member.partitions
            if replica.partition == partition
        ]
        assert sorted(filter(None, priorities)) == list(range(1, quiet.replication_factor + 1))


def test_topology_of_a_cluster_at_rest(quiet: Subject) -> None:
    topology = quiet.api.topology()

    assert topology.cluster_size == quiet.size
    assert topology.partitions_count == quiet.partitions
    assert topology.replication_factor == quiet.replication_factor
    assert topology.gateway_version.startswith(quiet.dialect)
    assert all(broker.host and broker.port for broker in topology.brokers)
    assert is_formed(quiet)


def test_readiness_is_told_of_each_broker(quiet: Subject) -> None:
    states = [quiet.api.readiness(address).state for address in quiet.api.addresses()]

    assert states == [ReadinessState.READY] * quiet.size
    nobody = quiet.api.readiness(quiet.address(200))
    assert nobody.state is ReadinessState.UNREACHABLE


def test_a_dry_run_plans_and_changes_nothing(quiet: Subject) -> None:
    before = quiet.api.configuration()

    plan = quiet.api.plan_brokers(quiet.size + 1)

    added = [step.broker for step in plan.operations if step.kind is OperationKind.BROKER_ADD]
    assert added == [quiet.size]
    assert before.version is not None
    assert plan.change_id == before.version + 1
    assert [member.id for member in plan.current] == list(before.broker_ids)
    assert [member.id for member in plan.expected] == list(range(quiet.size + 1))
    scaling = {OperationKind.PRE_SCALING, OperationKind.POST_SCALING}
    ends = {plan.operations[0].kind, plan.operations[-1].kind}
    assert (ends == scaling) == (quiet.dialect != "8.6")
    assert quiet.api.configuration() == before


def test_the_present_size_is_no_change(quiet: Subject) -> None:
    plan = quiet.api.plan_brokers(quiet.size)

    assert plan.is_noop
    last = quiet.api.configuration().last_change
    assert plan.change_id == (last.id if last else 0)


def test_fewer_brokers_than_replicas_are_refused(quiet: Subject) -> None:
    with pytest.raises(ManagementRefused, match="is less than the replication factor"):
        quiet.api.plan_brokers(quiet.replication_factor - 1)


def test_no_brokers_are_refused(quiet: Subject) -> None:
    with pytest.raises(ManagementRefused, match="no brokers are provided"):
        quiet.api.plan_brokers(0)


def test_refusals_carry_a_message(quiet_http: OverHttp) -> None:
    expected = {
        ("PATCH", DRY, '{"brokers": {"count": 4, "add": [3]}}'): "at the same time",
        ("PATCH", DRY, '{"brokers": {"add": [3], "remove": [3]}}'): "the same member",
        ("PATCH", FORCED, '{"brokers": {"count": 2}}'): "Cannot force change the broker count",
        ("PATCH", FORCED, '{"brokers": {"add": [3]}}'): "Cannot force add brokers",
        ("PATCH", FORCED, "{}"): "Must provide a set of brokers",
        ("DELETE", f"{CLUSTER}/changes/99", None): "because no change is in progress",
        ("DELETE", f"{CLUSTER}/changes/abc", None): "must be a number",
    }

    for request, fragment in expected.items():
        status, answer = quiet_http.raw(*request)
        assert (status, fragment in answer["message"]) == (400, True), request


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("PATCH", DRY, "{bad", 400),
        ("PUT", CLUSTER, {}, 405),
        ("GET", f"{CLUSTER}/brokers", None, 405),
    ],
)
def test_errors_of_the_framework_have_another_shape(
    quiet_http: OverHttp, *, method: str, path: str, body: object, expected: int
) -> None:
    status, answer = quiet_http.raw(method, path, body)

    assert status == expected
    assert set(answer) == {"timestamp", "status", "error", "path"}


def test_a_change_has_to_be_json(quiet_http: OverHttp) -> None:
    status, answer = quiet_http.raw("PATCH", DRY, "{}", kind="text/plain")

    assert (status, answer["error"]) == (415, "Unsupported Media Type")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{CLUSTER}/partitions", [1]),
        ("DELETE", f"{CLUSTER}/changes/1?dryRun=true", None),
    ],
)
def test_what_camunda_did_not_implement_is_plain_text(
    quiet_http: OverHttp, method: str, path: str, body: object
) -> None:
    status, answer = quiet_http.raw(method, path, body)

    assert status == 501
    assert "not supported" in answer


def test_requests_that_change_nothing_are_accepted(quiet_http: OverHttp) -> None:
    highest = quiet_http.size - 1
    for body in ({}, {"foo": 1}, {"brokers": {"remove": [7]}}, {"brokers": {"add": [highest]}}):
        status, answer = quiet_http.raw("PATCH", DRY, body)
        assert (status, answer["plannedChanges"]) == (202, []), body


def test_health_groups(quiet_http: OverHttp) -> None:
    groups = ("readiness", "startup", "status", "liveness")

    statuses = {group: quiet_http.raw("GET", f"{HEALTH}/{group}")[0] for group in groups}

    liveness = 404 if quiet_http.dialect == "8.6" else 200
    assert statuses == {"readiness": 200, "startup": 200, "status": 200, "liveness": liveness}
    _, health = quiet_http.raw("GET", HEALTH)
    assert set(health) == {"status", "components", "groups"}
    newer = set() if quiet_http.dialect == "8.6" else {"nodeIdProviderReady"}
    assert set(health["components"]) == {"brokerReady", "brokerStartup", "brokerStatus", *newer}


def test_status_of_the_rest_api(quiet_http: OverHttp) -> None:
    status, _ = quiet_http.raw("GET", "/v2/status", port=REST_PORT)

    assert status == (404 if quiet_http.dialect == "8.6" else 204)


def test_grpc_is_spoken(quiet_live: Live) -> None:
    assert grpc_answers(quiet_live.address(0), 26500).answers
    assert not grpc_answers(quiet_live.address(0), 9600).answers


def test_phase_of_exporting_is_told_per_broker(quiet_live: Live) -> None:
    status, partitions = quiet_live.raw("GET", "/actuator/partitions")

    assert status == 200
    assert set(partitions) <= {str(number + 1) for number in range(quiet_live.partitions)}
    for partition in partitions.values():
        assert {"role", "exporterPhase", "streamProcessorPhase"} <= set(partition)
        assert partition["role"] in ("LEADER", "FOLLOWER")


# Cases that change the cluster


def test_a_change_onto_a_broker_that_is_not_there_stays_pending(cluster: Subject) -> None:
    cluster.turn_to("pending")

    plan = cluster.api.scale_brokers(cluster.size + 1)
    try:
        configuration = cluster.api.configuration()
        assert change_status(configuration, plan.change_id) is ChangeStatus.PENDING
        assert configuration.pending_change is not None
        assert configuration.pending_change.pending[-1] == plan.operations[-1]
        assert not cluster.until(
            lambda: status_of(cluster, plan.change_id) is not ChangeStatus.PENDING, 1
        )

        with pytest.raises(ChangeInProgress, match=r"is in progress") as refused:
            cluster.api.scale_brokers(cluster.size + 2)
        assert len(refused.value.message) < 400
        if isinstance(cluster, OverHttp):
            status, noop = cluster.raw("PATCH", CLUSTER, {})
            assert (status, noop["plannedChanges"]) == (202, [])
    finally:
        cancel(cluster, plan.change_id)

    assert status_of(cluster, plan.change_id) is ChangeStatus.CANCELLED
    assert cluster.api.configuration().broker_ids == tuple(range(cluster.size))


def test_scale_out_and_in(cluster: Subject) -> None:
    new = cluster.size
    cluster.turn_to("scale-out")
    cluster.start_broker(new)
    if cluster.dialect == "8.6":
        # Running, but not asked to join: it answers and is not ready.
        assert cluster.until(lambda: readiness(cluster, new) is ReadinessState.NOT_READY, 60)
    elif not isinstance(cluster, Recorded):
        # Without a node id it has no port.
        assert not cluster.until(
            lambda: readiness(cluster, new) is not ReadinessState.UNREACHABLE, 1
        )

    out = cluster.api.scale_brokers(cluster.size + 1)

    assert cluster.until(lambda: status_of(cluster, out.change_id) is ChangeStatus.COMPLETED, 90)
    assert placed(cluster.api.configuration().members) == placed(out.expected)
    assert cluster.until(lambda: is_formed(cluster, cluster.size + 1), 60)

    cluster.turn_to("scale-in")
    into = cluster.api.scale_brokers(cluster.size)

    assert cluster.until(lambda: status_of(cluster, into.change_id) is ChangeStatus.COMPLETED, 90)
    configuration = cluster.api.configuration()
    assert configuration.broker_ids == tuple(range(cluster.size))
    assert cluster.until(lambda: is_formed(cluster), 60)
    if cluster.dialect == "8.6":
        # A removed broker goes on running, without partitions, until somebody stops it. The
        # topology is gossip: it may tell of the last replicas after the change has ended.
        assert cluster.until(lambda: replicas_of(cluster, new) == (), 30)
    else:
        assert cluster.until(lambda: new not in topology_ids(cluster), 10)
    if not isinstance(cluster, Recorded):
        cluster.kill_broker(new)
        assert cluster.until(lambda: new not in topology_ids(cluster), 40)


def test_a_dead_broker_leaves_the_topology_but_not_the_configuration(cluster: Subject) -> None:
    cluster.turn_to("dead-broker")
    dead = cluster.size - 1

    cluster.kill_broker(dead)

    assert cluster.until(lambda: dead not in topology_ids(cluster), 40)
    configuration = cluster.api.configuration()
    assert {member.state for member in configuration.members} == {MemberState.ACTIVE}
    formed = formation(
        configuration,
        cluster.api.topology(),
        brokers=cluster.size,
        partitions=cluster.partitions,
        replication_factor=cluster.replication_factor,
    )
    assert not formed.formed
    assert formed.brokers_joined == cluster.size - 1
    assert f"broker {dead} is not in the topology" in formed.problems
    cluster.start_broker(dead)
    assert isinstance(cluster, Recorded) or cluster.until(lambda: is_formed(cluster), 120)


def test_without_the_coordinator_reads_fail_and_writes_are_ambiguous(cluster: Subject) -> None:
    cluster.turn_to("dead-coordinator")
    cluster.kill_broker(0)

    assert cluster.until(lambda: fails(cluster.api.configuration, ManagementUnavailable, "502"), 30)
    with pytest.raises(ManagementUnavailable, match="502"):
        cluster.api.plan_brokers(cluster.size + 1)
    with pytest.raises(ManagementOutcomeUnknown, match="502"):
        cluster.api.scale_brokers(cluster.size + 1)

    cluster.start_broker(0)
    if not isinstance(cluster, Recorded):
        assert cluster.until(lambda: is_formed(cluster), 120)
        assert cluster.api.configuration().pending_change is None


def placed(members: tuple[Member, ...]) -> dict[int | str, dict[int, int | None]]:
    return {
        member.id: {replica.partition: replica.priority for replica in member.partitions}
        for member in members
    }


def status_of(subject: Subject, change_id: int) -> ChangeStatus:
    return change_status(subject.api.configuration(), change_id)


def readiness(subject: Subject, node: int) -> ReadinessState:
    return subject.api.readiness(subject.address(node)).state


def topology_ids(subject: Subject) -> set[int | str]:
    return {broker.node_id for broker in subject.api.topology().brokers}


def replicas_of(subject: Subject, node: int) -> tuple[SeenPartition, ...] | None:
    """Give what the topology shows on a broker; None when it shows no such broker."""
    seen = {broker.node_id: broker for broker in subject.api.topology().brokers}
    return seen[node].partitions if node in seen else None


def fails(call: Callable[[], object], error: type[Exception], fragment: str) -> bool:
    try:
        call()
    except error as raised:
        return fragment in str(raised)
    return False


def cancel(subject: Subject, change_id: int) -> None:
    if isinstance(subject, Fake):
        subject.cluster.cancel(change_id, now=0)
        return
    assert isinstance(subject, OverHttp)
    status, answer = subject.raw("DELETE", f"{CLUSTER}/changes/{change_id}")
    assert status == 200, json.dumps(answer)
