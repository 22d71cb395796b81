"""A Network Load Balancer takes minutes to register a target before it checks its health."""

from __future__ import annotations

from typing import Final

from local.aws.strict import Rule

NAME: Final = "initial-targets"
REGISTRATION_SECONDS: Final = 3.0
"""`A few minutes` on AWS."""


def registration_seconds(protocol: str) -> float:
    """Seconds from a target's registration until its group begins to check it.

    The guide to Application Load Balancers mentions no such time: after one health check that is
    passed a target is healthy.
    """
    return 0.0 if protocol in {"HTTP", "HTTPS"} else REGISTRATION_SECONDS


RULE: Final = Rule(
    name=NAME,
    does="A target of a Network Load Balancer stays `initial` until its registration is complete,"
    " which takes a few minutes; health checks begin only then.",
    source="https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html",
    caught="a start completed when the connectors' targets were healthy: the verification that"
    " followed failed because the brokers' gRPC targets were `initial`.",
)
