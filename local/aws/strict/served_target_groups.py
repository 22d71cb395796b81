"""A service cannot use a target group that no load balancer forwards to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


def refusal(
    balancers: Iterable[Mapping[str, Any]], served: Collection[str]
) -> tuple[str, str] | None:
    """Why a service cannot have these `loadBalancers`; `served`: groups that listeners forward to.

    A target group that is not there at all is served by none.
    """
    for balancer in balancers:
        group = balancer["targetGroupArn"]
        if group not in served:
            message = (
                f"The target group with targetGroupArn {group} does not have an associated load"
                " balancer."
            )
            return "InvalidParameterException", message
    return None


RULE: Final = Rule(
    name="served-target-groups",
    does="CreateService and UpdateService reject a target group to which no listener or rule of a"
    " load balancer forwards, so these must exist first.",
    source="https://github.com/aws/aws-cdk/issues/34290",
    caught="nothing yet: the services of the cluster stack depend on listeners and rules.",
)
