"""A port of a load balancer has one listener, and what a listener forwards to cannot be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import alb, ec2, provisioners
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from local.aws.strict import Strictness

_LISTENER: Final = "AWS::ElasticLoadBalancingV2::Listener"
_GROUP: Final = "AWS::ElasticLoadBalancingV2::TargetGroup"
_BALANCER: Final = "AWS::ElasticLoadBalancingV2::LoadBalancer"


def taken(listeners: Iterable[Mapping[str, Any]], balancer: str, port: int) -> str:
    """Why a load balancer gets no further listener on a port; empty if it does."""
    if any(one["LoadBalancerArn"] == balancer and one["Port"] == port for one in listeners):
        return f"A listener already exists on port {port} for load balancer '{balancer}'"
    return ""


def in_use(rules: Iterable[Mapping[str, Any]], group: str) -> str:
    """Why a target group cannot be deleted: an action refers to it; empty if none does."""
    if any(action.get("TargetGroupArn") == group for rule in rules for action in rule["Actions"]):
        return f"Target group '{group}' is currently in use by a listener or a rule"
    return ""


def routing(
    rules: Iterable[Mapping[str, Any]], listeners: Mapping[str, Mapping[str, Any]], group: str
) -> list[str]:
    """The load balancers that route to a target group, by default or by a rule."""
    found = {
        str(listeners[rule["ListenerArn"]]["LoadBalancerArn"])
        for rule in rules
        if rule["ListenerArn"] in listeners and in_use([rule], group)
    }
    return sorted(found)


def allowed_already(permissions: Iterable[Mapping[str, Any]], new: Mapping[str, Any]) -> bool:
    """Whether a security group has a rule for the same range and ports."""

    def key(permission: Mapping[str, Any]) -> tuple[Any, ...]:
        ranges = {one.get("CidrIp") for one in permission.get("IpRanges", [])}
        ends = (permission.get("FromPort"), permission.get("ToPort"))
        return (permission.get("IpProtocol"), *ends, ranges)

    return bool(new.get("IpRanges")) and any(key(one) == key(new) for one in permissions)


def install(_: Strictness) -> None:
    """Refuse what AWS refuses, by its API and by CloudFormation."""
    create, delete = alb.ACTION_MAP["CreateListener"], alb.ACTION_MAP["DeleteTargetGroup"]
    remove = alb.ACTION_MAP["DeleteLoadBalancer"]
    describe = alb.ACTION_MAP["DescribeTargetGroups"]
    authorize = ec2.authorize_sg_ingress

    def create_listener(params: Any) -> Any:
        arn, port = alb.p(params, "LoadBalancerArn"), int(alb.p(params, "Port") or 0)
        if words := taken(alb.listeners.values(), arn, port):
            return alb.error("DuplicateListener", words)
        return create(params)

    def delete_group(params: Any) -> Any:
        if words := in_use(alb.rules.values(), alb.p(params, "TargetGroupArn")):
            return alb.error("ResourceInUse", words)
        return delete(params)

    def delete_balancer(params: Any) -> Any:
        _forget_listeners(alb.p(params, "LoadBalancerArn"))
        return remove(params)

    def describe_groups(params: Any) -> Any:
        for arn, group in alb.tgs.items():
            group["LoadBalancerArns"] = routing(alb.rules.values(), alb.listeners, arn)
        return describe(params)

    def authorize_ingress(params: Any) -> Any:
        group = ec2.security_groups.get(ec2.p(params, "GroupId"))
        given = ec2.parse_ip_permissions(params, "IpPermissions")
        if group and any(allowed_already(group["IpPermissions"], one) for one in given):
            return ec2.error(
                "InvalidPermission.Duplicate", "the specified rule already exists", 400
            )
        return authorize(params)

    alb.ACTION_MAP["CreateListener"] = create_listener
    alb.ACTION_MAP["DescribeTargetGroups"] = describe_groups
    alb.ACTION_MAP["DeleteTargetGroup"] = delete_group
    alb.ACTION_MAP["DeleteLoadBalancer"] = delete_balancer
    ec2.ACTION_MAP["AuthorizeSecurityGroupIngress"] = authorize_ingress
    _by_cloudformation()


def _by_cloudformation() -> None:
    handlers = provisioners.RESOURCE_HANDLERS
    own_create = handlers[_LISTENER]["create"]
    own_delete = handlers[_GROUP]["delete"]
    own_remove = handlers[_BALANCER]["delete"]

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        arn, port = properties.get("LoadBalancerArn", ""), int(properties.get("Port", 0))
        if words := taken(alb.listeners.values(), arn, port):
            raise ValueError(words)
        return own_create(logical_id, properties, stack)

    def delete(physical_id: str, properties: dict[str, Any]) -> None:
        if words := in_use(alb.rules.values(), physical_id):
            raise ValueError(words)
        own_delete(physical_id, properties)

    def remove(physical_id: str, properties: dict[str, Any]) -> None:
        own_remove(physical_id, properties)
        _forget_listeners(physical_id)

    handlers[_LISTENER]["create"] = create
    handlers[_GROUP]["delete"] = delete
    handlers[_BALANCER]["delete"] = remove


def _forget_listeners(balancer: str) -> None:
    """Deleting a load balancer also deletes its listeners."""
    gone = [arn for arn, one in alb.listeners.items() if one["LoadBalancerArn"] == balancer]
    for arn in gone:
        del alb.listeners[arn]
        alb.tags.pop(arn, None)
        for rule in [key for key, one in alb.rules.items() if one["ListenerArn"] == arn]:
            del alb.rules[rule]


RULE: Final = Rule(
    name="balancer-parts",
    does="CreateListener rejects a port that has a listener (`DuplicateListener`),"
    " DeleteTargetGroup one that an action refers to (`ResourceInUse`), also for CloudFormation;"
    " deleting a load balancer deletes its listeners, and a target group names the load balancers"
    " that route to it now. A security group takes no rule twice"
    " (`InvalidPermission.Duplicate`).",
    source="https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteTargetGroup.html",
    caught="a removal of a cluster whose management API was open ended in DELETE_FAILED.",
    install=install,
)
