"""A client at work through the load balancers while the cluster's life goes on: nothing is lost.

All that the client was told is there once, by the secondary storage and by the replicas' journals.
Where the desired count is lowered by hand, ECS stops the tasks that it likes least, and the same
check finds what that loses.
"""

from __future__ import annotations

import copy
import json
import os
import signal
import time
import uuid
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest

from local.config import REGION
from tests.support.cloud import FREE_AGAIN, eventually
from tests.support.ledger import read
from tests.support.phone import Phone, physical
from tests.support.site import EARLIER, LATER, Site
from tests.unit.test_retirement import NOTICE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.component import Instance

LONG = pytest.mark.long


@pytest.fixture(scope="module")
def demo(instance: Instance) -> Site:
    return Site(instance, "demo")


@pytest.fixture(scope="module")
def site(instance: Instance) -> Iterator[Site]:
    """A cluster with six partitions, whose life the cases below are, one after the other."""
    made = Site(instance, "work")
    made.provision(Brokers=3, Partitions=6, ReplicationFactor=3, Connectors=1)
    yield made
    made.run("teardown", {"clusterName": "work", "confirm": "work"})


def test_out_and_in_while_a_client_works(demo: Site, tmp_path: Path) -> None:
    demo.given(3)
    with demo.traffic(tmp_path) as client:
        for count in (4, 3):
            assert client.goes_on()
            demo.scale(count)
        demo.nothing_is_lost(client)
    assert all(len(held) == 3 for held in read(demo.data).values())


@pytest.mark.timeout(1000)
def test_brokers_and_connectors_are_restarted_while_a_client_works(
    demo: Site, tmp_path: Path
) -> None:
    """All in turn, then one alone that stands still, then the connectors."""
    demo.given(3)
    with demo.traffic(tmp_path) as client:
        assert client.goes_on()
        before = demo.brokers()
        # Under load the exporters are seen to have caught up in three checks in a row now and then.
        done = demo.run("restart", {"clusterName": "demo", "service": "brokers"}, seconds=600)
        assert done["result"] == "SUCCEEDED", done
        all_new = demo.brokers()
        assert all_new.keys() == before.keys()
        assert all(all_new[node] != pid for node, pid in before.items())
        assert client.goes_on()

        os.kill(all_new[1], signal.SIGSTOP)
        done = demo.run("restart", {"clusterName": "demo", "service": "brokers", "broker": 1})
        assert done["result"] == "SUCCEEDED", done
        one_new = demo.brokers()
        assert {node for node, pid in one_new.items() if pid != all_new[node]} == {1}
        assert client.goes_on()

        done = demo.run("restart", {"clusterName": "demo", "service": "connectors"})
        assert done["result"] == "SUCCEEDED", done
        assert demo.brokers() == one_new
        demo.nothing_is_lost(client)


def test_tasks_that_fargate_will_retire_are_restarted_before(demo: Site) -> None:
    """AWS Health's notice, delivered twice, ends in one restart with a message before and after."""
    phone = Phone(demo.instance)
    told = len(phone.subjects)
    connectors = [one for one in demo.known() if one["service"] == "connectors"]
    now = datetime.now(UTC)
    notice = copy.deepcopy(NOTICE)
    notice |= {
        "time": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "region": REGION,
        "resources": [f"{demo.stack}|connectors", "somebody|connectors"],
    }
    notice["detail"] |= {
        "eventArn": f"{notice['detail']['eventArn']}-{uuid.uuid4().hex}",
        "eventRegion": notice["region"],
        "startTime": format_datetime(now + timedelta(days=7), usegmt=True),
    }
    function = physical(demo.instance, "HandleRetirement")

    def deliver() -> None:
        answer = demo.client("lambda").invoke(
            FunctionName=function, Payload=json.dumps(notice).encode()
        )
        assert "FunctionError" not in answer, answer["Payload"].read()
        (scheduled,) = json.loads(answer["Payload"].read())["scheduled"]
        assert scheduled["service"] == "connectors"

    deliver()
    deliver()
    subjects = [
        "Cluster demo: connectors will be restarted",
        "Cluster demo: connectors restarted before Fargate's retirement",
    ]
    assert eventually(lambda: subjects[1] in phone.subjects[told:], 240), phone.subjects
    after = [one for one in demo.known() if one["service"] == "connectors"]
    assert len(after) == len(connectors)
    assert {one["taskArn"] for one in after}.isdisjoint(one["taskArn"] for one in connectors)
    # The schedule fired and is kept; had it been deleted, people would be told of another restart.
    deliver()
    time.sleep(2)
    # EventBridge delivers at least once, here always twice: the end may be told again.
    # Messages of what went before may still arrive.
    first, *ends = [one for one in phone.subjects[told:] if "connectors" in one]
    assert (first, set(ends)) == (subjects[0], {subjects[1]})


def test_partitions_are_added_while_a_client_works(instance: Instance, tmp_path: Path) -> None:
    """Planned, added, backed up, and kept by the next provisioning, which moves the brokers."""
    name = "grow"
    site = Site(instance, name)
    try:
        site.provision(Brokers=3, Partitions=3, ReplicationFactor=3, Connectors=1)
        planned = site.run("plan", {"clusterName": name, "scale": {"partitions": 5}})["plan"]
        assert (planned["status"], planned["from"], planned["to"]) == ("READY", 3, 5)
        with site.traffic(tmp_path) as client:
            assert client.goes_on()
            done = site.run("scale", planned["apply"])
            assert done["result"] == "SUCCEEDED", done
            assert client.goes_on()
            site.nothing_is_lost(client)
        told = done["verification"]
        assert told["partitions"] == {"before": 3, "after": 5}
        assert told["result"] == "PASS", told["checks"]
        seen = {check["name"]: check["seen"] for check in told["checks"]}
        assert "of all 5 partitions is complete" in seen["backup of all partitions"]
        routing = site.ask(0, "GET", "cluster")["routing"]["requestHandling"]
        assert routing == {"strategy": "AllPartitions", "partitionCount": 5}
        backup = site.ask(0, "GET", "backupRuntime/state")["backupStates"]
        assert {one["partitionId"] for one in backup} == set(range(1, 6))

        assert site.outputs(site.stack)["Partitions"] == "3"
        site.provision()
        assert site.outputs(site.stack)["Partitions"] == "5"
        assert site.ask(0, "GET", "cluster")["routing"]["requestHandling"] == routing
        refused = site.ended(site.start({"clusterName": name, "partitions": 4}, "scale"), 60)
        assert refused["error"] == "ScalingRefused", refused
        assert "partitions only grow: there are 5" in refused["cause"]
    finally:
        site.run("teardown", {"clusterName": name, "confirm": name})


@LONG
def test_by_one_by_two_and_back_on_the_earlier_version(site: Site, tmp_path: Path) -> None:
    _by_one_by_two_and_back(site, tmp_path)


@LONG
def test_by_two_and_back_by_one(site: Site, tmp_path: Path) -> None:
    site.given(3)
    with site.traffic(tmp_path) as client:
        for count in (5, 4):
            assert client.goes_on()
            site.scale(count)
        site.nothing_is_lost(client)


@LONG
def test_a_broker_is_killed(site: Site, tmp_path: Path) -> None:
    site.given(3)
    with site.traffic(tmp_path) as client:
        for broker in (1, 0):
            assert client.goes_on()
            killed = site.brokers()[broker]
            os.kill(killed, signal.SIGKILL)
            assert eventually(lambda: killed not in site.brokers().values(), 60)  # noqa: B023
            assert eventually(lambda: len(site.brokers()) == 3 and site.tasks() == 3, 60)
        site.nothing_is_lost(client)


@LONG
def test_the_coordinator_stands_still_while_partitions_move(site: Site, tmp_path: Path) -> None:
    site.given(3)
    with site.traffic(tmp_path) as client:
        assert client.goes_on()
        execution = site.begin(4)
        coordinator = site.brokers()[0]
        os.kill(coordinator, signal.SIGSTOP)
        time.sleep(8)  # longer than the brokers' patience, shorter than the lease
        os.kill(coordinator, signal.SIGCONT)
        assert site.ended(execution, 240)["status"] == "SUCCEEDED"
        site.nothing_is_lost(client)


@LONG
def test_the_execution_is_aborted_while_partitions_move(site: Site, tmp_path: Path) -> None:
    site.given(5)
    with site.traffic(tmp_path) as client:
        assert client.goes_on()
        execution = site.begin(3)
        site.client("stepfunctions").stop_execution(executionArn=execution)
        assert eventually(lambda: site.locks() == [], FREE_AGAIN)
        assert client.goes_on()
        site.scale(3)
        site.nothing_is_lost(client)


@LONG
@pytest.mark.parametrize("versions", [("8.9.17", "8.9.7"), LATER], ids=["patch", "minor"])
def test_brokers_are_rolled(site: Site, tmp_path: Path, versions: tuple[str, str]) -> None:
    site.given(3)
    with site.traffic(tmp_path) as client:
        assert client.goes_on()
        site.provision(versions)
        site.nothing_is_lost(client)


@LONG
def test_by_one_by_two_and_back_on_the_later_version(site: Site, tmp_path: Path) -> None:
    site.provision(LATER)
    _by_one_by_two_and_back(site, tmp_path)


def _by_one_by_two_and_back(site: Site, tmp_path: Path) -> None:
    site.given(3)
    with site.traffic(tmp_path) as client:
        for count in (4, 6, 3):
            assert client.goes_on()
            site.scale(count)
        site.nothing_is_lost(client)
    assert all(len(held) == 3 for held in read(site.data).values())


@LONG
@pytest.mark.parametrize("versions", [EARLIER, LATER], ids=["8.9", "8.10"])
def test_a_broker_without_partitions(instance: Instance, versions: tuple[str, str]) -> None:
    """A sixth broker has none of three partitions with three replicas each.

    On 8.9 it never is ready, and ECS kills its task again and again; on 8.10 it is.
    """
    name = f"idle{versions[0].split('.')[1]}"
    site = Site(instance, name)
    try:
        site.provision(versions, Brokers=5, Partitions=3, ReplicationFactor=3, Connectors=1)
        site.service(desiredCount=6, healthCheckGracePeriodSeconds=20)
        assert eventually(lambda: site.tasks() == 6, 60)
        site.ask(0, "PATCH", "cluster", {"brokers": {"count": 6}})
        assert eventually(lambda: 5 in site.brokers(), 60)
        first = site.brokers()[5]
        if versions is LATER:
            assert eventually(lambda: site.ready(5), 60)
            time.sleep(25)  # longer than the grace
            assert site.ready(5)
            assert site.brokers()[5] == first
        else:
            assert eventually(lambda: site.brokers().get(5, first) != first, 120)
            assert not site.ready(5)
    finally:
        site.run("teardown", {"clusterName": name, "confirm": name})


@LONG
def test_a_count_lowered_by_hand_loses_majorities(instance: Instance, tmp_path: Path) -> None:
    """ECS stops two of five tasks; those partitions that had both have no majority any more."""
    site = Site(instance, "hurt")
    try:
        site.provision(Brokers=5, Partitions=5, ReplicationFactor=3, Connectors=1)
        with site.traffic(tmp_path) as client:
            assert client.goes_on()
            site.service(desiredCount=3)
            assert eventually(lambda: len(site.brokers()) == 3, 60)
            found = site.verdict(client)
        assert len(found.without_majority) >= 1, found
        assert not found.good
    finally:
        site.run("teardown", {"clusterName": "hurt", "confirm": "hurt"})
