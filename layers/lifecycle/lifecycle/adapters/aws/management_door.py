"""Listener, security group rules and targets of the management API on ELB and EC2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.elbv2 import ElbTargetGroups
from lifecycle.adapters.aws.session import client, error_code
from lifecycle.cluster.management_access import OPEN_UNTIL, PORT, Listener, ManagementAccess, Rule
from lifecycle.cluster.names import TAG_CLUSTER, TAG_CONTROL_PLANE
from lifecycle.errors import ManageRefused

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from lifecycle.cluster.contract import ClusterOutputs

_GONE: Final = frozenset({"LoadBalancerNotFound", "TargetGroupNotFound"})
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
_NO_RULE: Final = frozenset({"InvalidPermission.NotFound", "InvalidSecurityGroupRuleId.NotFound"})
# What EC2 compares beside the range, to find that a rule is there already.
_OF_PORT: Final = ("tcp", PORT, PORT)
_DESCRIPTION: Final = "Management API for a limited time"


class AwsManagementDoor:
    """The ``ManagementDoor`` port; ``read_timeout`` in seconds.

    The load balancer is the one that REST is served by, so that clusters of every release with
    this contract can be opened. What has another control plane's tag is never listed.
    """

    def __init__(self, control_stack: str, *, read_timeout: int = 20, attempts: int = 8) -> None:
        self._control_stack = control_stack
        self._limits = {"read_timeout": read_timeout, "attempts": attempts}
        self._groups = ElbTargetGroups(read_timeout=read_timeout, attempts=attempts)

    @property
    def _elb(self) -> Any:
        return client("elbv2", **self._limits)

    @property
    def _ec2(self) -> Any:
        return client("ec2", **self._limits)

    def look(self, cluster: ClusterOutputs) -> ManagementAccess | None:
        """Return what there is; None where the load balancer or a target group is gone."""
        group = cluster.required("ManagementTargetGroupArn")
        try:
            rest = self._elb.describe_target_groups(TargetGroupArns=[cluster.rest_target_group])
            arns = rest["TargetGroups"][0]["LoadBalancerArns"]
            if not arns:
                return None
            found = self._elb.describe_load_balancers(LoadBalancerArns=arns[:1])
            balancer = found["LoadBalancers"][0]
            listener = self._listener(arns[0])
            targets = {one.address: one.state for one in self._groups.health(group)}
        except ClientError as error:
            if error_code(error) in _GONE:
                return None
            raise
        groups = tuple(balancer.get("SecurityGroups", ()))
        rules, taken = self._rules(groups, cluster.cluster_name)
        return ManagementAccess(
            balancer=arns[0],
            dns_name=balancer["DNSName"],
            scheme=balancer["Scheme"],
            security_groups=groups,
            target_group=group,
            permanent=cluster.get("ManagementListener") == "true",
            listener=listener,
            rules=rules,
            targets=targets,
            taken=taken,
        )

    def _listener(self, balancer: str) -> Listener | None:
        pages = self._elb.get_paginator("describe_listeners").paginate(LoadBalancerArn=balancer)
        arn = next(
            (
                one["ListenerArn"]
                for page in pages
                for one in page["Listeners"]
                if one["Port"] == PORT
            ),
            None,
        )
        if arn is None:
            return None
        try:
            answer = self._elb.describe_tags(ResourceArns=[arn])
        except ClientError as error:
            # Another function has deleted it since.
            if error_code(error) == "ListenerNotFound":
                return None
            raise
        tags = {tag["Key"]: tag["Value"] for tag in answer["TagDescriptions"][0]["Tags"]}
        ours = tags.get(TAG_CONTROL_PLANE) == self._control_stack
        return Listener(arn, tags.get(OPEN_UNTIL) if ours else None)

    def _rules(
        self, groups: tuple[str, ...], cluster: str
    ) -> tuple[tuple[Rule, ...], tuple[str, ...]]:
        """Return our rules, and the ranges that have a rule of this port which is not ours.

        Ours by their tags, so that none of the stack's or of a person's is among them.
        """
        if not groups:
            return (), ()
        pages = self._ec2.get_paginator("describe_security_group_rules").paginate(
            Filters=[{"Name": "group-id", "Values": list(groups)}]
        )
        ours: list[Rule] = []
        taken: list[str] = []
        for one in (rule for page in pages for rule in page["SecurityGroupRules"]):
            if one["IsEgress"]:
                continue
            tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())}
            source, until = one.get("CidrIpv4", ""), tags.get(OPEN_UNTIL)
            owner = (tags.get(TAG_CONTROL_PLANE), tags.get(TAG_CLUSTER))
            if until is not None and owner == (self._control_stack, cluster):
                ours.append(Rule(one["SecurityGroupRuleId"], source, until))
            elif source and (one["IpProtocol"], one["FromPort"], one["ToPort"]) == _OF_PORT:
                taken.append(source)
        return tuple(ours), tuple(taken)

    def register(self, access: ManagementAccess, addresses: Collection[str]) -> None:
        """Register addresses of brokers as targets."""
        self._elb.register_targets(
            TargetGroupArn=access.target_group,
            Targets=[{"Id": one, "Port": PORT} for one in addresses],
        )

    def deregister(self, access: ManagementAccess, addresses: Collection[str]) -> None:
        """Deregister targets; one that is none would fail a whole call, so that each has its own.

        https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeregisterTargets.html
        """
        for one in addresses:
            try:
                self._elb.deregister_targets(
                    TargetGroupArn=access.target_group, Targets=[{"Id": one, "Port": PORT}]
                )
            except ClientError as error:
                if error_code(error) != "InvalidTarget":
                    raise

    def allow(
        self, access: ManagementAccess, cidrs: Collection[str], tags: Mapping[str, str]
    ) -> None:
        """Let ranges in to the port, one rule for each, so that one that exists hides no other."""
        for cidr in cidrs:
            try:
                self._ec2.authorize_security_group_ingress(
                    GroupId=access.security_groups[0],
                    IpPermissions=[
                        {
                            "IpProtocol": "tcp",
                            "FromPort": PORT,
                            "ToPort": PORT,
                            "IpRanges": [{"CidrIp": cidr, "Description": _DESCRIPTION}],
                        }
                    ],
                    TagSpecifications=[
                        {"ResourceType": "security-group-rule", "Tags": _pairs(tags)}
                    ],
                )
            except ClientError as error:
                if error_code(error) != "InvalidPermission.Duplicate":
                    raise
                # Ours is made by a parallel attempt, and listed at the next look; one without our
                # tag would stay open beyond the end.
                ours, _ = self._rules(access.security_groups, tags[TAG_CLUSTER])
                if cidr not in {rule.source for rule in ours}:
                    raise ManageRefused(
                        f"Security group {access.security_groups[0]} already lets {cidr} in to "
                        f"port {PORT} by a rule that was not made here.",
                        next_step="Remove that rule, or name other ranges; then start again.",
                    ) from error

    def revoke(self, access: ManagementAccess, rule_ids: Collection[str]) -> None:
        """Remove rules; one unknown id would fail the whole call, so that each has its own."""
        for rule_id in rule_ids:
            try:
                self._ec2.revoke_security_group_ingress(
                    GroupId=access.security_groups[0], SecurityGroupRuleIds=[rule_id]
                )
            except ClientError as error:
                if error_code(error) not in _NO_RULE:
                    raise

    def listen(self, access: ManagementAccess, tags: Mapping[str, str]) -> None:
        """Create the listener with these tags. Raises ``ManageRefused`` where the port is taken."""
        try:
            self._elb.create_listener(
                LoadBalancerArn=access.balancer,
                Port=PORT,
                Protocol="HTTP",
                DefaultActions=[{"Type": "forward", "TargetGroupArn": access.target_group}],
                Tags=_pairs(tags),
            )
        except ClientError as error:
            if error_code(error) != "DuplicateListener":
                raise
            found = self._listener(access.balancer)
            if found is None or found.until is None:
                raise ManageRefused(
                    f"Port {PORT} of the web load balancer has another listener since a moment."
                ) from error

    def stop_listening(self, listener: str) -> None:
        """Delete the listener of that ARN."""
        try:
            self._elb.delete_listener(ListenerArn=listener)
        except ClientError as error:
            if error_code(error) != "ListenerNotFound":
                raise

    def mark(self, access: ManagementAccess, until: str) -> None:
        """Write another end into the tag of everything that is open."""
        tag = {"Key": OPEN_UNTIL, "Value": until}
        if access.listener is not None and access.listener.until is not None:
            self._elb.add_tags(ResourceArns=[access.listener.arn], Tags=[tag])
        if access.rules:
            self._ec2.create_tags(Resources=[one.rule_id for one in access.rules], Tags=[tag])


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
