"""Service Connect gives tasks the endpoints that were there when their deployment began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

type Configuration = Mapping[str, Any]
"""A `serviceConnectConfiguration`; one that is empty takes no part."""


@dataclass(frozen=True)
class Endpoint:
    """A DNS name in a namespace; what answers to it may change, when it was made does not."""

    name: str
    namespace: str
    created: float
    addresses: tuple[str, ...] = ()


def names(configuration: Configuration) -> tuple[str, ...]:
    """DNS names under which tasks of this configuration are reached."""
    return tuple(
        alias.get("dnsName", entry.get("discoveryName", entry["portName"]))
        for entry in (configuration.get("services") or [] if enabled(configuration) else [])
        for alias in entry.get("clientAliases") or [{}]
    )


def discovery_names(configuration: Configuration) -> tuple[str, ...]:
    """Names under which Cloud Map knows what this configuration serves."""
    services = configuration.get("services") or [] if enabled(configuration) else []
    return tuple(entry.get("discoveryName", entry["portName"]) for entry in services)


def enabled(configuration: Configuration) -> bool:
    """Whether tasks of this configuration have the proxy that knows endpoints."""
    return bool(configuration.get("enabled"))


def seen(
    configuration: Configuration, deployed: float, endpoints: Iterable[Endpoint]
) -> dict[str, list[str]]:
    """What a task of a deployment resolves: `deployed` is when the deployment began.

    "Existing tasks and replacement tasks continue to behave the same as they did after the most
    recent deployment", so it is the deployment's time that counts, not the task's.
    """
    found: dict[str, list[str]] = {}
    for endpoint in endpoints:
        same = enabled(configuration) and endpoint.namespace == configuration.get("namespace", "")
        if same and endpoint.created <= deployed:
            found.setdefault(endpoint.name, []).extend(endpoint.addresses)
    return found


RULE: Final = Rule(
    name="service-connect",
    does="A task resolves only the Service Connect endpoints that its namespace had when its"
    " deployment began, and only new deployments apply a service's own configuration.",
    source="https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-connect-concepts-deploy.html",
    caught="nothing yet: connectors are created after the brokers' service, and starting them is a"
    " new deployment.",
)
