"""The management API is opened for a limited time on the embedded AWS, answers, and is closed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
from lifecycle.cluster.management_access import OPEN_UNTIL, PORT

from tests.support.cloud import FREE_AGAIN, eventually
from tests.support.phone import physical
from tests.support.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.component import Instance

OPEN = {"action": "open-management", "minutes": 5, "cidrs": ["10.190.0.0/16"]}
CLOSE = {"action": "close-management"}


class Ways(Site):
    """A cluster with what is open to its management API."""

    def manage(self, **given: Any) -> dict[str, Any]:
        done = self.run("manage", {"clusterName": self.cluster, **given})
        return dict(done["managementAccess"])

    def refused(self, machine: str, **given: Any) -> str:
        """Run a machine that refuses; gives the error and the cause."""
        request = {"clusterName": self.cluster, **given}
        ended = self.ended(self.start(request, machine), 240)
        assert ended["status"] == "FAILED", ended
        return f"{ended['error']}: {ended['cause']}"

    @property
    def balancer(self) -> str:
        group = self.outputs(self.stack)["RestTargetGroupArn"]
        found = self.client("elbv2").describe_target_groups(TargetGroupArns=[group])
        return str(found["TargetGroups"][0]["LoadBalancerArns"][0])

    @property
    def listeners(self) -> list[str]:
        found = self.client("elbv2").describe_listeners(LoadBalancerArn=self.balancer)
        return [one["ListenerArn"] for one in found["Listeners"] if one["Port"] == PORT]

    @property
    def rules(self) -> dict[str, str]:
        """Range by id of the rules that have an end."""
        filters = [{"Name": "tag-key", "Values": [OPEN_UNTIL]}]
        found = self.client("ec2").describe_security_group_rules(Filters=filters)
        return {one["SecurityGroupRuleId"]: one["CidrIpv4"] for one in found["SecurityGroupRules"]}

    @property
    def schedules(self) -> list[dict[str, str]]:
        found = self.client("scheduler").list_schedules(NamePrefix=f"ways-{self.cluster}-")
        return [{"Name": one["Name"], "GroupName": one["GroupName"]} for one in found["Schedules"]]

    @property
    def targets(self) -> list[str]:
        group = self.outputs(self.stack)["ManagementTargetGroupArn"]
        found = self.client("elbv2").describe_target_health(TargetGroupArn=group)
        return [one["Target"]["Id"] for one in found["TargetHealthDescriptions"]]

    def answers(self) -> bool:
        """Whether the management API answers through the load balancer."""
        name = self.outputs(self.stack)["WebLoadBalancerDnsName"]
        ((address, port), *_) = self.instance.names.resolve(name, PORT)
        try:
            found = requests.get(f"http://{address}:{port}/actuator/cluster", timeout=5)
        except requests.ConnectionError:
            return False
        return found.status_code == 200

    def end_comes(self) -> None:
        """Let the end of what is open be now, as after minutes without a request."""
        now = datetime.now(UTC)
        tag = [{"Key": OPEN_UNTIL, "Value": f"{now:%Y-%m-%dT%H:%M:%SZ}"}]
        self.client("elbv2").add_tags(ResourceArns=self.listeners, Tags=tag)
        self.client("ec2").create_tags(Resources=list(self.rules), Tags=tag)

    def fire(self) -> None:
        """Let the schedules of this cluster be due now."""
        api = self.client("scheduler")
        at = datetime.now(UTC) + timedelta(seconds=1)
        for one in self.schedules:
            found = api.get_schedule(**one)
            kept = ("Target", "FlexibleTimeWindow", "ActionAfterCompletion")
            api.update_schedule(
                **one,
                **{name: found[name] for name in kept},
                ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
            )

    def codes(self) -> set[str]:
        """Codes of a health check that is made now."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        # A client that does not put "sync-" before the endpoint's host.
        found = self.instance.client("stepfunctions").start_sync_execution(
            stateMachineArn=self.machine.replace("-provision", "-check_health"),
            input=json.dumps({"clusterName": self.cluster, "scheduledAt": at}),
        )
        assert found["status"] == "SUCCEEDED", found
        return {one["code"] for one in json.loads(found["output"])["findings"]}


@pytest.fixture(scope="module")
def ways(instance: Instance) -> Iterator[Ways]:
    made = Ways(instance, "ways")
    made.provision(Brokers=1, Partitions=1, ReplicationFactor=1, Connectors=0)
    yield made
    if made.standing("ways"):
        made.run("teardown", {"clusterName": "ways", "confirm": "ways"})


def test_it_answers_until_its_end_and_nobody_has_to_come_back(ways: Ways) -> None:
    access = ways.manage(**OPEN)
    assert access["url"].endswith(f":{PORT}")
    assert eventually(ways.answers, 20)
    assert set(ways.rules.values()) == {"10.190.0.0/16"}
    assert ways.targets
    assert "MANAGEMENT_OPEN" in ways.codes()
    # Before its end a schedule, or a look at every cluster, closes nothing.
    function = physical(ways.instance, "CloseWays")
    for payload in ({"cluster": "ways"}, {"overdue": "every cluster"}):
        answer = ways.client("lambda").invoke(
            FunctionName=function, Payload=json.dumps(payload).encode()
        )
        assert "FunctionError" not in answer, answer["Payload"].read()
    assert ways.listeners
    ways.end_comes()
    ways.fire()
    assert eventually(lambda: not ways.listeners, 60)
    assert eventually(lambda: not ways.answers(), 20)
    assert (ways.rules, ways.targets) == ({}, [])
    assert eventually(lambda: ways.schedules == [], 20)
    assert not {"MANAGEMENT_OPEN", "MANAGEMENT_OPEN_TOO_LONG"} & ways.codes()


def test_without_its_schedule_the_regular_look_closes_it(ways: Ways) -> None:
    ways.manage(**OPEN)
    for one in ways.schedules:
        ways.client("scheduler").delete_schedule(**one)
    ways.end_comes()
    answer = ways.client("lambda").invoke(
        FunctionName=physical(ways.instance, "CloseWays"),
        Payload=json.dumps({"overdue": "every cluster"}).encode(),
    )
    assert json.loads(answer["Payload"].read()) == {"closed": ["ways"]}
    assert (ways.listeners, ways.rules, ways.targets) == ([], {}, [])


def test_an_execution_that_is_aborted_leaves_an_end_behind(ways: Ways) -> None:
    execution = ways.start({"clusterName": "ways", **OPEN}, "manage", "ways.manage.aborted")
    assert eventually(lambda: bool(ways.schedules), 60)
    ways.client("stepfunctions").stop_execution(executionArn=execution)
    # A function that ran may have opened it meanwhile.
    assert eventually(lambda: not ways.locks(), FREE_AGAIN)
    assert ways.schedules
    ways.end_comes() if ways.listeners else None
    ways.fire()
    assert eventually(lambda: (ways.listeners, ways.rules) == ([], {}), 60)


def test_it_is_closed_by_request_and_moved_by_another_one(ways: Ways) -> None:
    first = ways.manage(**OPEN)
    second = ways.manage(**{**OPEN, "minutes": 60, "cidrs": ["10.1.0.0/16"]})
    assert second["until"] > first["until"]
    assert set(ways.rules.values()) == {"10.1.0.0/16"}
    assert len(ways.listeners) == 1
    assert ways.manage(**CLOSE) == {"open": False, "wasOpen": True}
    assert (ways.listeners, ways.rules, ways.targets) == ([], {}, [])
    assert ways.manage(**CLOSE) == {"open": False, "wasOpen": False}


def test_the_stack_does_not_get_a_listener_on_a_port_that_is_open(ways: Ways) -> None:
    ways.manage(**OPEN)
    parameters = {"ManagementListener": "true"}
    told = ways.refused("provision", parameters=parameters)
    assert told.startswith("PreflightFailed")
    assert "management port" in told
    ways.manage(**CLOSE)


def test_a_cluster_whose_management_api_is_open_is_removed(ways: Ways) -> None:
    ways.manage(**{**OPEN, "minutes": 60})
    assert ways.listeners
    ways.run("teardown", {"clusterName": "ways", "confirm": "ways"})
    assert not ways.standing("ways")
    assert (ways.rules, ways.schedules) == ({}, [])
