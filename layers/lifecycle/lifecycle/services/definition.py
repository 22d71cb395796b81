"""The ECS services of brokers and connectors: what they are to be, what they are, what differs.

The definitions (``services/*.json``) have the shape of ECS's CreateService, with placeholders for
the outputs of the cluster's stack. The services belong to the machines, not to CloudFormation, so
that no update or rollback of a stack touches a running broker. What UpdateService does with each
property: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from lifecycle.cluster.planned_outputs import UNKNOWN

BROKERS: Final = "orchestration-cluster"
CONNECTORS: Final = "connectors"
NAMES: Final = (BROKERS, CONNECTORS)
"""Names of the services, in the order in which they are created."""
COLLECTOR: Final = "collector"
"""Name of the container that collects metrics in a broker's task, if there is one."""

"""What a plan shows for a value that CloudFormation has not made yet."""

# Failures of tasks in a row, for each broker, after which ECS gives a deployment up. Its default is
# 3 for up to six tasks: three brokers that each fail once would end the creation of a cluster.
FAILURES_FOR_EACH: Final = 3

type Definition = Mapping[str, Any]
"""A service in the shape of CreateService; ``tags`` as a list of ``key`` and ``value``."""

_PLACEHOLDER: Final = re.compile(r"\$\{([A-Za-z]+)(?::(int|bool|list|tags))?\}")
_WHEN: Final = "$when"


class Effect(StrEnum):
    """What it means to give a live service another value of a property."""

    IN_PLACE = "IN_PLACE"
    """Running tasks stay; some properties count only for tasks that start later."""
    DEPLOYS = "DEPLOYS"
    """A deployment: every task is replaced, brokers one at a time."""
    REFUSED = "REFUSED"
    """It would need a new service."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A property that a live service has otherwise, as it is and as it is to be."""

    property: str
    effect: Effect
    live: Any
    rendered: Any

    def __str__(self) -> str:
        return f"{self.property}: {shown(self.live)} → {shown(self.rendered)}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as a plan and a report show it."""
        return {
            "property": self.property,
            "effect": self.effect.value,
            "from": self.live,
            "to": self.rendered,
        }


# --- Rendering ------------------------------------------------------------------------------------


def minimum_healthy_percent(count: int) -> int:
    """Percentage that lets ECS take down at most one of ``count`` tasks at a time.

    floor(100 * (N - 1) / N): 66 for three. A fixed 66 would let two of six go at once.
    """
    return 100 * (count - 1) // count if count > 1 else 0


def configuration_for(present: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return a deployment configuration that fits ``count`` tasks, otherwise as it is.

    UpdateService replaces the whole structure: what is not repeated goes back to a default.
    """
    after = {**present, "minimumHealthyPercent": minimum_healthy_percent(count)}
    breaker = present.get("deploymentCircuitBreaker") or {}
    if (breaker.get("thresholdConfiguration") or {}).get("type") == "COUNT":
        threshold = {"type": "COUNT", "value": FAILURES_FOR_EACH * max(1, count)}
        after["deploymentCircuitBreaker"] = {**breaker, "thresholdConfiguration": threshold}
    return after


def render(
    template: Definition, outputs: Mapping[str, str], *, count: int, tags: Mapping[str, str]
) -> dict[str, Any]:
    """Fill in a definition.

    ``outputs`` are those of the cluster's stack, with ``UNKNOWN`` for what is not made yet;
    ``count`` is the desired count, ``tags`` those of the stack. Raises ``KeyError`` naming an
    output that is missing: a service is never made from half of what it needs.
    """
    values: dict[str, Any] = {
        **outputs,
        "Count": str(count),
        "MinimumHealthyPercent": str(minimum_healthy_percent(count)),
        "BreakerThreshold": str(FAILURES_FOR_EACH * max(1, count)),
        "Tags": tags,
    }
    rendered = _filled(template, values)
    if not isinstance(rendered, dict):
        raise TypeError
    return rendered


def _filled(part: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(part, str):
        return _value(part, values)
    if isinstance(part, Mapping):
        return {key: _filled(one, values) for key, one in part.items() if key != _WHEN}
    if isinstance(part, list):
        return [_filled(one, values) for one in part if _wanted(one, values)]
    return part


def _wanted(part: Any, values: Mapping[str, Any]) -> bool:
    name = part.get(_WHEN) if isinstance(part, Mapping) else None
    return name is None or values[name] == "true"


def _value(text: str, values: Mapping[str, Any]) -> Any:
    found = _PLACEHOLDER.fullmatch(text)
    if found is None:
        return _PLACEHOLDER.sub(lambda one: str(values[one[1]]), text)
    value = values[found[1]]
    if value == UNKNOWN:
        return [UNKNOWN] if found[2] == "list" else UNKNOWN
    match found[2]:
        case "int":
            return int(value)
        case "bool":
            return value == "true"
        case "list":
            return value.split(",")
        case "tags":
            return [{"key": key, "value": value[key]} for key in sorted(value)]
        case _:
            return value


def placeholders(template: Definition) -> frozenset[str]:
    """Names of all values that a definition needs."""
    text = json.dumps(template)
    return frozenset(found[1] for found in _PLACEHOLDER.finditer(text)) | frozenset(
        re.findall(r'"\$when": "([A-Za-z]+)"', text)
    )


# --- Comparison -----------------------------------------------------------------------------------

EFFECTS: Final[Mapping[str, Effect]] = {
    "cluster": Effect.REFUSED,
    "serviceName": Effect.REFUSED,
    "launchType": Effect.REFUSED,
    "schedulingStrategy": Effect.REFUSED,
    # AWS lists a few transitions that are done in place; none of them leads from here anywhere.
    "capacityProviderStrategy": Effect.REFUSED,
    "deploymentController": Effect.REFUSED,
    "vpcLatticeConfigurations": Effect.REFUSED,
    "volumeConfigurations": Effect.REFUSED,
    "taskDefinition": Effect.DEPLOYS,
    "platformVersion": Effect.DEPLOYS,
    "networkConfiguration": Effect.DEPLOYS,
    "loadBalancers": Effect.DEPLOYS,
    "serviceRegistries": Effect.DEPLOYS,
    "serviceConnectConfiguration": Effect.DEPLOYS,
    "desiredCount": Effect.IN_PLACE,
    "deploymentConfiguration": Effect.IN_PLACE,
    "healthCheckGracePeriodSeconds": Effect.IN_PLACE,
    "availabilityZoneRebalancing": Effect.IN_PLACE,
    # Only tasks that start later have it: turned on, it needs a deployment to mean anything.
    "enableExecuteCommand": Effect.IN_PLACE,
    "enableECSManagedTags": Effect.IN_PLACE,
    "propagateTags": Effect.IN_PLACE,
    "tags": Effect.IN_PLACE,
}
"""What another value of each property does."""

_NEVER_RENDERED: Final = (
    "capacityProviderStrategy",
    "deploymentController",
    "vpcLatticeConfigurations",
    "volumeConfigurations",
    "serviceRegistries",
)


def compare(
    rendered: Definition, live: Definition, *, without: Sequence[str] = ()
) -> tuple[Difference, ...]:
    """Find what differs between a service as it is to be and as ECS describes it.

    ``live`` has the shape of CreateService; its Service Connect configuration is that of the
    PRIMARY deployment, for a service does not have one itself. ``without`` are properties that
    belong to another writer, as the brokers' count does. The order in lists means nothing to ECS.
    """
    names = [name for name in (*rendered, *_NEVER_RENDERED) if name not in without]
    found = []
    for name in dict.fromkeys(names):
        wanted, present = rendered.get(name), live.get(name)
        if _canonical(name, wanted, rendered) == _canonical(name, present, rendered):
            continue
        found.append(Difference(name, _effect(name, wanted), present, wanted))
    return tuple(found)


def _effect(name: str, wanted: Any) -> Effect:
    if name == "enableExecuteCommand" and wanted is not False:
        return Effect.DEPLOYS
    return EFFECTS[name]


def _canonical(name: str, value: Any, rendered: Definition) -> Any:
    match name:
        case "networkConfiguration":
            vpc = (value or {}).get("awsvpcConfiguration") or {}
            return (
                frozenset(vpc.get("subnets") or ()),
                frozenset(vpc.get("securityGroups") or ()),
                vpc.get("assignPublicIp") or "DISABLED",
            )
        case "loadBalancers" | "serviceRegistries":
            return frozenset(
                tuple(sorted((k, v) for k, v in one.items() if v is not None))
                for one in value or ()
            )
        case "serviceConnectConfiguration":
            return _connect(value)
        case "deploymentConfiguration":
            return _known_part(value or {}, rendered[name])
        case "deploymentController":
            return (value or {}).get("type", "ECS")
        case "tags":
            return {one["key"]: one["value"] for one in value or ()}
        case "capacityProviderStrategy" | "vpcLatticeConfigurations" | "volumeConfigurations":
            return list(value or ())
        case "cluster":
            return str(value).rsplit("/", 1)[-1]
        case _:
            return value


def _connect(value: Any) -> Any:
    found = value or {}
    if not found.get("enabled"):
        return None
    services = frozenset(
        (
            one.get("portName"),
            one.get("discoveryName") or one.get("portName"),
            frozenset((a.get("dnsName"), a.get("port")) for a in one.get("clientAliases") or ()),
        )
        for one in found.get("services") or ()
    )
    return (str(found.get("namespace")).rsplit("/", 1)[-1], services)


def _known_part(value: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what the definition names: ECS adds defaults of its own to what it describes."""
    return {
        key: _known_part(value.get(key) or {}, one) if isinstance(one, Mapping) else value.get(key)
        for key, one in wanted.items()
    }


def deploys(differences: Iterable[Difference]) -> bool:
    """Return whether any of them replaces tasks."""
    return any(one.effect is Effect.DEPLOYS for one in differences)


def update(differences: Iterable[Difference], effects: frozenset[Effect]) -> dict[str, Any]:
    """Return what UpdateService needs to set the properties of these effects, and nothing else.

    Tags are no part of it: ECS sets them by TagResource and UntagResource.
    """
    chosen = {
        one.property: one.rendered
        for one in differences
        if one.effect in effects and one.property != "tags"
    }
    # `[]` removes what a service has, absent keeps it.
    return {name: [] if value is None else value for name, value in chosen.items()}


def unlike_plan(planned: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return where definitions differ from those of a plan, other than where it marked the unknown.

    Both map a service's name to its definition. The counts are not part of it: machines scale.
    """
    found: list[str] = []
    for name in sorted({*planned, *now}):
        _walk(name, planned.get(name), now.get(name), found)
    return found


_OF_THE_COUNT: Final = frozenset(
    {"desiredCount", "minimumHealthyPercent", "thresholdConfiguration"}
)


def _walk(path: str, planned: Any, now: Any, found: list[str]) -> None:
    if planned in (UNKNOWN, [UNKNOWN]) or planned == now:
        return
    if isinstance(planned, Mapping) and isinstance(now, Mapping):
        for key in sorted({*planned, *now} - _OF_THE_COUNT):
            _walk(f"{path}.{key}", planned.get(key), now.get(key), found)
    elif isinstance(planned, list) and isinstance(now, list) and len(planned) == len(now):
        for number, (before, after) in enumerate(zip(planned, now, strict=True)):
            _walk(f"{path}[{number}]", before, after, found)
    else:
        found.append(f"{path}: planned {shown(planned)}, now {shown(now)}")


def shown(value: Any) -> str:
    """Return a value as a person reads it in a line: never more than 120 characters."""
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    text = text.rsplit("task-definition/", 1)[-1]
    return text if len(text) <= 120 else f"{text[:117]}..."
