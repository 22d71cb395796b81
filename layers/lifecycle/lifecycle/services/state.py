"""One ECS service beside its definition: what differs, and how far a machine may change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.errors import StartFailed
from lifecycle.services.definition import (
    BROKERS,
    NAMES,
    Definition,
    Difference,
    Effect,
    compare,
    configuration_for,
    render,
    update,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.services.startup import Service


def changed_by_hand(
    name: str, live: Definition, definitions: Mapping[str, Definition], outputs: ClusterOutputs
) -> tuple[Difference, ...]:
    """Find what a live service has otherwise than its definition, but for its tags.

    ``live`` has the shape of CreateService. Counts are the scale machine's: the brokers' is not
    compared, nor is that of connectors which are stopped. Raises ``KeyError`` naming an output that
    the definition needs and the stack has not.
    """
    desired = int(live.get("desiredCount") or 0)
    own = name == BROKERS
    count = (desired or outputs.brokers) if own else outputs.connectors
    without = ["tags", *(["desiredCount"] if own or not desired else [])]
    rendered = render(definitions[name], outputs, count=count, tags={})
    return compare(rendered, live, without=without)


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A service as ECS describes it, its definition as it is to be, and what differs.

    A service that is not there differs in nothing: it is created.
    """

    service: Service
    rendered: Mapping[str, Any]
    differences: tuple[Difference, ...] = ()

    @property
    def in_place(self) -> dict[str, Any]:
        """Properties to set that replace no task."""
        return update(self.differences, frozenset({Effect.IN_PLACE}))

    @property
    def everything(self) -> dict[str, Any]:
        """Every property to set, for one call."""
        return update(self.differences, frozenset({Effect.IN_PLACE, Effect.DEPLOYS}))

    @property
    def retagged(self) -> bool:
        """Whether tags differ, which are not set by UpdateService."""
        return any(one.property == "tags" for one in self.differences)

    @property
    def tags(self) -> dict[str, str]:
        """Tags that the service is to have."""
        return {one["key"]: one["value"] for one in self.rendered["tags"]}

    def counted(self, count: int) -> dict[str, Any]:
        """Desired count and deployment configuration for ``count`` tasks, as the definition has it.

        For the brokers, whose configuration depends on their number.
        """
        configuration = self.rendered["deploymentConfiguration"]
        return {
            "desiredCount": count,
            "deploymentConfiguration": configuration_for(configuration, count),
        }

    def refuse_new_service(self) -> None:
        """Raise ``StartFailed`` where only another service could be as the definition."""
        refused = [str(one) for one in self.differences if one.effect is Effect.REFUSED]
        if refused:
            raise StartFailed(
                f"The service {self.service.name} would have to be another one: "
                f"{'; '.join(refused)}.",
                next_step="Nothing was changed in ECS. Find out who changed the service and take "
                "that back; then start the same operation again.",
            )


def service_states(
    found: Sequence[Service],
    definitions: Mapping[str, Definition],
    outputs: ClusterOutputs,
    tags: Mapping[str, str],
) -> tuple[ServiceState, ServiceState]:
    """Hold the services of a cluster, brokers first, against their definitions.

    ``outputs`` are those of the stack. The brokers' count belongs to the machines: the definition
    is rendered for the one that the service has. ``tags`` are the stack's.
    """
    ours = {key: value for key, value in tags.items() if not key.startswith("aws:")}
    states = []
    for name, service in zip(NAMES, found, strict=True):
        own = name == BROKERS
        bootstrap = outputs.brokers if own else outputs.connectors
        count = (service.desired or bootstrap) if own else bootstrap
        rendered = render(definitions[name], outputs, count=count, tags=ours)
        differences = (
            compare(rendered, service.definition, without=["desiredCount"] if own else [])
            if service.exists
            else ()
        )
        states.append(ServiceState(service, rendered, differences))
    return states[0], states[1]
