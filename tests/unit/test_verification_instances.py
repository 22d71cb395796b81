"""A process instance on each partition, found again: what counts, and what is said of the rest."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from lifecycle.cluster.checks import Result
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.polling import Wait
from lifecycle.errors import ManagementRefused, ManagementUnavailable
from lifecycle.verification.create_instances import LOOK_SECONDS, InstanceProber
from lifecycle.verification.process_instances import (
    KEY_BITS,
    PATIENCE_SECONDS,
    PROCESS,
    PROCESS_ID,
    RESOURCE,
    Instances,
    check_instances,
    is_over,
    not_checked,
    partition_of,
    read_instances,
)

from tests.fakes.identity import logins
from tests.fakes.management import InMemoryManagement
from tests.fakes.management_simulation import SimulatedCluster
from tests.fakes.processes import FakeProcesses
from tests.support.world import OUTPUTS, Admins

MOST = 200


class Looks:
    """Looks one after the other, each given what the one before told, through JSON."""

    def __init__(self, processes: FakeProcesses, **outputs: str) -> None:
        self.processes = processes
        partitions = str(processes.partitions)
        self.outputs = ClusterOutputs({**OUTPUTS, "Partitions": partitions, **outputs})
        self.told: dict[str, Any] = {}
        self.seconds = 0.0
        self.per_call = 0.0
        self.management = InMemoryManagement(
            SimulatedCluster(3, processes.partitions, 3), running=range(3)
        )

    def monotonic(self) -> float:
        self.seconds += self.per_call
        return self.seconds

    def look(self, times: int = 1) -> Instances:
        prober = InstanceProber(
            management=lambda _: self.management,
            processes=lambda _: self.processes,
            logins=logins(Admins()),
            monotonic=self.monotonic,
        )
        for _ in range(times):
            self.told = prober.query(self.outputs, known=json.loads(json.dumps(self.told)))
        return read_instances(self.told)


def test_the_partition_is_in_the_upper_bits_of_a_key() -> None:
    # The first key that partitions 1, 3 and 200 make.
    assert partition_of(2251799813685249) == 1
    assert partition_of((3 << 51) + 1) == 3
    assert partition_of((200 << 51) + (1 << 51) - 1) == 200


def test_the_process_ends_by_itself_and_says_who_made_it() -> None:
    (process,) = ElementTree.fromstring(PROCESS)  # noqa: S314 - our own
    assert process.get("id") == PROCESS_ID
    assert "camunda-ecs-lifecycle" in str(process.get("name"))
    kinds = [child.tag.rpartition("}")[2] for child in process]
    assert kinds == ["startEvent", "sequenceFlow", "endEvent"]


def test_all_is_found_in_the_second_look_and_nothing_is_done_twice() -> None:
    looks = Looks(FakeProcesses(3))
    first = looks.look()
    assert (first.unmade, first.unfound) == ([], [1, 2, 3])
    assert not is_over(first, Wait("instances", 0), 0)
    second = looks.look()
    assert second.complete
    assert is_over(second, Wait("instances", 0), 0)
    assert check_instances(second).result is Result.PASS
    assert "3 partitions" in check_instances(second).seen
    assert len(looks.processes.instances) == 3
    assert looks.processes.resources == [(RESOURCE, PROCESS.encode())]
    assert looks.processes.deployments == 1


def test_the_number_of_partitions_is_read_once() -> None:
    """A coordinator that is gone for a moment later does not matter any more."""
    looks = Looks(FakeProcesses(3))
    looks.look()
    for node in range(3):
        looks.management.kill_broker(node)
    assert looks.look().complete


def test_the_first_instance_of_each_partition_is_searched() -> None:
    seen = Looks(FakeProcesses(3, silent={3})).look()
    assert seen.attempts == 32
    assert sorted(seen.made.values()) == [(1 << KEY_BITS) + 1, (2 << KEY_BITS) + 2]


def test_the_cause_of_a_missing_instance_is_told_before_that_of_a_search() -> None:
    busy = ManagementUnavailable("No broker could answer: HTTP 503: busy.")
    looks = Looks(FakeProcesses(3, distributed=1, unsearchable="HTTP 503: the database."))
    looks.look()
    looks.processes.errors = [busy]
    seen = looks.look()
    assert seen.problem == "No broker could answer: HTTP 503: busy"
    assert check_instances(seen).seen.count(seen.problem) == 1


def test_a_deployment_that_failed_is_told_as_such_whatever_else_is_known() -> None:
    check = check_instances(Instances(wanted=3, problem="HTTP 503"))
    assert check.seen == f"the process {PROCESS_ID} could not be deployed: HTTP 503"


def test_words_without_an_end_are_cut() -> None:
    assert len(Instances(problem="x" * 5000).as_state()["problem"]) == 500


def test_a_verification_that_is_repeated_deploys_nothing_new() -> None:
    processes = FakeProcesses(3)
    assert Looks(processes).look(2).complete
    assert Looks(processes).look(2).complete
    assert len(processes.resources) == 1


def test_a_partition_that_takes_none_is_named() -> None:
    looks = Looks(FakeProcesses(3, silent={2}))
    seen = looks.look(2)
    assert is_over(seen, Wait("instances", 0), 10), "no further look would tell more"
    check = check_instances(seen)
    assert check.result is Result.FAIL
    assert "partition 2 created no instance in 32 attempts" in check.seen
    assert "leader" in check.remedy
    assert "partition 1" not in check.seen
    assert len(looks.processes.instances) == 32


def test_a_partition_that_exports_nothing_is_named_after_the_patience() -> None:
    looks = Looks(FakeProcesses(3, paused={3}))
    seen = looks.look(5)
    assert not is_over(seen, Wait("instances", 100), 100 + PATIENCE_SECONDS - 1)
    assert is_over(seen, Wait("instances", 100), 100 + PATIENCE_SECONDS)
    check = check_instances(seen)
    assert check.result is Result.FAIL
    assert f"instance {(3 << KEY_BITS) + 3}) was not found" in check.seen
    assert "partition 3 " in check.seen
    assert "exporter" in check.remedy
    assert "secondary storage" in check.remedy
    assert len(looks.processes.instances) == 3


def test_an_exporter_that_goes_on_is_waited_for() -> None:
    looks = Looks(FakeProcesses(3, paused={1, 2, 3}))
    assert looks.look(4).unfound == [1, 2, 3]
    looks.processes.paused.clear()
    assert looks.look(2).complete


def test_both_faults_are_told_together() -> None:
    check = check_instances(Looks(FakeProcesses(3, silent={2}, paused={3})).look(3))
    assert "partition 2 created no instance" in check.seen
    assert "instance of partition 3" in check.seen


@pytest.mark.parametrize("takes", [1, 2, 5])
def test_other_clients_take_turns_at_the_gateway(takes: int) -> None:
    """Every partition is met as long as the turns that are left meet it."""
    looks = Looks(FakeProcesses(7, takes=takes))
    assert looks.look(2).complete


def test_what_is_known_is_told_where_not_every_partition_was_met() -> None:
    looks = Looks(FakeProcesses(4, takes=1))
    seen = looks.look(3)
    assert seen.unmade == [2, 4]
    assert is_over(seen, Wait("instances", 0), 0)
    assert "partitions 2, 4 created no instance in 36 attempts" in check_instances(seen).seen


def test_a_partition_that_has_not_got_the_process_yet_is_asked_in_the_next_look() -> None:
    looks = Looks(FakeProcesses(3, distributed=1))
    seen = looks.look()
    assert "404" in seen.problem
    assert seen.unmade == [2, 3]
    assert not is_over(seen, Wait("instances", 0), 5)
    assert looks.look(3).complete


def test_what_passes_is_not_told_any_more() -> None:
    busy = ManagementUnavailable("No broker could answer: HTTP 503: RESOURCE_EXHAUSTED.")
    looks = Looks(FakeProcesses(3, errors=[busy, busy], paused={3}))
    looks.look(6)
    assert "RESOURCE_EXHAUSTED" not in check_instances(read_instances(looks.told)).seen


def test_a_rejection_that_stays_is_told_in_camundas_words() -> None:
    refusals = [ManagementRefused("HTTP 400: no.")] * 100
    looks = Looks(FakeProcesses(3, errors=list(refusals)))
    check = check_instances(looks.look(40))
    assert "partitions 1, 2, 3 created no instance in 32 attempts: HTTP 400: no" in check.seen


def test_nothing_deployed_is_a_failure_with_the_reason() -> None:
    seen = Looks(FakeProcesses(3, silent={1})).look(2)
    assert not is_over(seen, Wait("instances", 0), PATIENCE_SECONDS - 1)
    check = check_instances(seen)
    assert check.result is Result.FAIL
    assert f"{PROCESS_ID} could not be deployed: No broker could answer" in check.seen


def test_nothing_known_is_a_failure() -> None:
    assert check_instances(read_instances({})).result is Result.FAIL
    assert check_instances(Instances(wanted=0, deployed=True)).result is Result.FAIL


def test_a_user_that_is_refused_names_the_secret() -> None:
    check = check_instances(Looks(FakeProcesses(3, refused=True)).look())
    assert OUTPUTS["AdminUserSecretArn"] in check.seen
    assert "AdminUserSecretArn" in check.remedy
    assert "password" not in check.seen.replace("name and password", "")


def test_a_search_that_fails_is_told() -> None:
    looks = Looks(FakeProcesses(3, unsearchable="HTTP 503: the database is gone."))
    assert "the database is gone" in check_instances(looks.look(2)).seen
    looks.processes.unsearchable = ""
    assert looks.look(2).complete


def test_partitions_that_were_added_are_verified_as_well() -> None:
    looks = Looks(FakeProcesses(6), Partitions="3")
    assert looks.look().wanted == 6


def test_one_that_takes_no_requests_yet_counts_when_the_cluster_was_made_with_it() -> None:
    looks = Looks(FakeProcesses(3), Partitions="4")
    assert looks.look(2).unmade == [4]


def test_a_look_ends_in_time_and_the_next_one_goes_on() -> None:
    looks = Looks(FakeProcesses(MOST))
    looks.per_call = 0.5
    seen = looks.look()
    assert 0 < len(seen.made) <= LOOK_SECONDS / looks.per_call
    assert looks.look(10).complete


def test_it_stays_small_for_the_most_partitions() -> None:
    looks = Looks(FakeProcesses(MOST, paused=set(range(1, MOST + 1))))
    seen = looks.look(2)
    assert seen.unmade == []
    assert len(json.dumps(looks.told)) < 8 * 1024
    assert len(json.dumps(check_instances(seen).as_dict())) < 1024
    assert "and 192 more" in check_instances(seen).seen


def test_what_was_skipped_is_said_and_is_no_pass() -> None:
    check = not_checked()
    assert check.result is Result.WARN
    assert "skipped, not checked: verifyWithProcessInstances is false" in check.seen


@pytest.mark.parametrize(
    ("partitions", "attempts"), [(1, 24), (3, 32), (12, 114), (50, 546), (200, 2460)]
)
def test_attempts_suffice_beside_busy_clients(partitions: int, attempts: int) -> None:
    seen = Instances(wanted=partitions, deployed=True, attempts=attempts - 1)
    assert seen.may_create
    assert not replace(seen, attempts=attempts).may_create


def test_what_the_patience_left_unattempted_is_not_known() -> None:
    made = {one: one << 51 for one in range(1, 200)}
    seen = Instances(wanted=200, deployed=True, attempts=900, made=made, found=frozenset(made))
    assert check_instances(seen).result is Result.WARN
    assert check_instances(replace(seen, attempts=2460)).result is Result.FAIL
    assert check_instances(replace(seen, problem="HTTP 503")).result is Result.FAIL
