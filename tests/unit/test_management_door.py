"""The way to the management API on ELB and EC2, and the fake beside it on the same cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError
from lifecycle.adapters.aws import session as aws
from lifecycle.adapters.aws.management_door import AwsManagementDoor
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.management_access import OPEN_UNTIL, PORT, Listener, ManagementAccess, Rule
from lifecycle.cluster.names import TAG_CLUSTER, TAG_CONTROL_PLANE
from lifecycle.errors import ManageRefused
from moto import mock_aws

from tests.fakes.management_door import FakeManagementDoor
from tests.support.world import CONTROL

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION: Final = "eu-central-1"
UNTIL: Final = "2026-03-01T13:00:00Z"
TAGS: Final = {TAG_CONTROL_PLANE: CONTROL, TAG_CLUSTER: "demo", OPEN_UNTIL: UNTIL}


class OnMoto:
    """A cluster's load balancer, group and target groups in moto."""

    def __init__(self) -> None:
        self.ec2, self.elb = boto3.client("ec2"), boto3.client("elbv2")
        vpc = self.ec2.create_vpc(CidrBlock="10.190.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            self.ec2.create_subnet(
                VpcId=vpc, CidrBlock=f"10.190.{n}.0/24", AvailabilityZone=f"{REGION}{zone}"
            )["Subnet"]["SubnetId"]
            for n, zone in enumerate("ab")
        ]
        self.group = self.ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)[
            "GroupId"
        ]
        self.balancer = self.elb.create_load_balancer(
            Name="web", Subnets=subnets, SecurityGroups=[self.group], Scheme="internal"
        )["LoadBalancers"][0]["LoadBalancerArn"]
        rest, self.management = (
            self.elb.create_target_group(
                Name=name, Protocol="HTTP", Port=port, VpcId=vpc, TargetType="ip"
            )["TargetGroups"][0]["TargetGroupArn"]
            for name, port in (("rest", 8080), ("management", PORT))
        )
        self.listener(80, rest)
        self.outputs = ClusterOutputs(
            {
                "ClusterName": "demo",
                "RestTargetGroupArn": rest,
                "ManagementTargetGroupArn": self.management,
                "ManagementListener": "false",
            }
        )
        self.door = AwsManagementDoor(CONTROL)

    def listener(self, port: int, group: str, **tags: str) -> str:
        made = self.elb.create_listener(
            LoadBalancerArn=self.balancer,
            Port=port,
            Protocol="HTTP",
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
            **({"Tags": [{"Key": k, "Value": v} for k, v in tags.items()]} if tags else {}),  # type: ignore[arg-type]
        )
        return str(made["Listeners"][0]["ListenerArn"])

    def rule(self, cidr: str, **tags: str) -> None:
        self.ec2.authorize_security_group_ingress(
            GroupId=self.group,
            IpPermissions=[
                {
                    "IpProtocol": "tcp",
                    "FromPort": PORT,
                    "ToPort": PORT,
                    "IpRanges": [{"CidrIp": cidr}],
                }
            ],
            TagSpecifications=[
                {
                    "ResourceType": "security-group-rule",
                    "Tags": [{"Key": k, "Value": v} for k, v in tags.items()],
                }
            ]
            if tags
            else [],
        )


@pytest.fixture(autouse=True)
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    aws.client.cache_clear()
    with mock_aws():
        yield
    aws.client.cache_clear()


class OfFake:
    """The fake with the outputs that the adapter needs."""

    def __init__(self) -> None:
        self.door = FakeManagementDoor()
        self.outputs = ClusterOutputs({"ClusterName": "demo", "ManagementListener": "false"})


@pytest.fixture(params=[OnMoto, OfFake])
def cluster(request: pytest.FixtureRequest) -> Any:
    return request.param()


@pytest.fixture
def real() -> OnMoto:
    return OnMoto()


def look(cluster: Any) -> ManagementAccess:
    found = cluster.door.look(cluster.outputs)
    assert isinstance(found, ManagementAccess)
    return found


def test_nothing_is_open_at_first(cluster: Any) -> None:
    seen = look(cluster)
    assert (seen.opened, seen.listener, seen.rules, seen.targets) == (False, None, (), {})
    assert (seen.scheme, len(seen.security_groups), seen.permanent) == ("internal", 1, False)


def test_what_was_opened_is_seen_with_its_end_and_closed(cluster: Any) -> None:
    seen = look(cluster)
    for _ in range(2):  # an attempt is repeated
        cluster.door.register(seen, ["10.190.0.5", "10.190.1.5"])
        cluster.door.allow(seen, ["10.190.0.0/16", "10.1.0.0/16"], TAGS)
    cluster.door.listen(seen, TAGS)  # moto would make a second one, see below
    seen = look(cluster)
    assert seen.listener is not None
    assert set(seen.ends) == {UNTIL}
    assert sorted(rule.source for rule in seen.rules) == ["10.1.0.0/16", "10.190.0.0/16"]
    assert set(seen.targets) == {"10.190.0.5", "10.190.1.5"}
    cluster.door.mark(seen, "2026-03-01T14:00:00Z")
    assert set(look(cluster).ends) == {"2026-03-01T14:00:00Z"}
    for _ in range(2):
        cluster.door.stop_listening(seen.listener.arn)
        cluster.door.revoke(seen, [rule.rule_id for rule in seen.rules])
        cluster.door.deregister(seen, list(seen.targets))
    seen = look(cluster)
    assert (seen.opened, seen.listener, seen.rules) == (False, None, ())
    assert set(seen.targets.values()) <= {"draining"}


def test_one_range_is_removed_and_the_others_stay(cluster: Any) -> None:
    cluster.door.allow(look(cluster), ["10.190.0.0/16", "10.1.0.0/16"], TAGS)
    gone = [rule.rule_id for rule in look(cluster).rules if rule.source == "10.1.0.0/16"]
    cluster.door.revoke(look(cluster), gone)
    assert [rule.source for rule in look(cluster).rules] == ["10.190.0.0/16"]


def test_what_others_made_is_not_ours(real: OnMoto) -> None:
    """The stack's listener and rules, a person's, and those of another control plane."""
    theirs = {TAG_CONTROL_PLANE: "another", TAG_CLUSTER: "demo", OPEN_UNTIL: UNTIL}
    real.rule("10.7.0.0/16")
    real.rule("10.8.0.0/16", **theirs)
    real.rule("10.9.0.0/16", **{**TAGS, TAG_CLUSTER: "other"})
    arn = real.listener(PORT, real.management, **theirs)
    seen = look(real)
    assert (seen.listener, seen.rules) == (Listener(arn, None), ())
    # So that an opening is refused before anything is changed.
    assert seen.taken == ("10.7.0.0/16", "10.8.0.0/16", "10.9.0.0/16")


def test_a_listener_of_the_stack_has_no_end(real: OnMoto) -> None:
    arn = real.listener(PORT, real.management, **{TAG_CONTROL_PLANE: CONTROL, TAG_CLUSTER: "demo"})
    assert look(real).listener == Listener(arn, None)


def test_a_rule_of_others_for_the_same_range_is_no_way_in_of_ours(real: OnMoto) -> None:
    real.rule("10.7.0.0/16")
    with pytest.raises(ManageRefused, match=r"10\.7\.0\.0/16"):
        real.door.allow(look(real), ["10.7.0.0/16"], TAGS)


def test_a_port_that_somebody_took_since_the_look_is_refused(
    real: OnMoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On AWS a second listener on a port is DuplicateListener; moto makes it."""
    seen, api = look(real), boto3.client("elbv2")
    real.listener(PORT, real.management)

    class Taken:
        def create_listener(self, **_: object) -> None:
            error = {"Error": {"Code": "DuplicateListener", "Message": "taken"}}
            raise ClientError(error, "CreateListener")  # type: ignore[arg-type]

        def __getattr__(self, name: str) -> Any:
            return getattr(api, name)

    monkeypatch.setattr(AwsManagementDoor, "_elb", Taken())
    with pytest.raises(ManageRefused, match="another listener"):
        real.door.listen(seen, TAGS)


def test_a_load_balancer_or_a_target_group_that_is_gone(real: OnMoto) -> None:
    real.elb.delete_target_group(TargetGroupArn=real.management)
    assert real.door.look(real.outputs) is None


def test_a_rule_is_named_by_its_id_and_its_range(real: OnMoto) -> None:
    real.door.allow(look(real), ["10.190.0.0/16"], TAGS)
    (rule,) = look(real).rules
    assert rule == Rule(rule.rule_id, "10.190.0.0/16", UNTIL)
    assert rule.rule_id.startswith("sgr-")
