"""What a plan shows of the services: what becomes of each, in words, with the restarts it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lifecycle.services.definition import BROKERS, Effect, deploys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.services.state import ServiceState

_ORDER: Final = "one at a time, the highest node id first, each when the cluster is whole"


def service_plan(
    after: Sequence[ServiceState], now: Sequence[ServiceState]
) -> list[dict[str, Any]]:
    """Return a line for each service.

    ``after`` holds the services against their definitions as the change set leaves them, ``now``
    against those of today (empty where there are none): what differs in both was changed by hand,
    or by an operation that did not come to its end. ``action`` is ``create``, ``start``,
    ``replace tasks``, ``change``, ``none`` or ``refused``.
    """
    already = {
        (one.service.name, difference.property) for one in now for difference in one.differences
    }
    return [_line(state, already) for state in after]


def _line(state: ServiceState, already: set[tuple[str, str]]) -> dict[str, Any]:
    service = state.service
    name = service.name
    restarts = service.desired if deploys(state.differences) else 0
    wanted = state.rendered["desiredCount"]
    return {
        "service": name,
        "action": _action(state),
        "count": {"live": service.desired, "after": wanted if name != BROKERS else None}
        if service.exists and service.desired
        else {"live": 0, "after": wanted},
        "restarts": restarts,
        "order": _ORDER if restarts and name == BROKERS else None,
        "differences": [
            one.as_dict() | {"already": (name, one.property) in already}
            for one in state.differences
        ],
    }


def _action(state: ServiceState) -> str:
    service = state.service
    if not service.exists:
        return "create"
    if any(one.effect is Effect.REFUSED for one in state.differences):
        return "refused"
    if service.desired == 0 and state.rendered["desiredCount"]:
        return "start"
    if deploys(state.differences):
        return "replace tasks"
    return "change" if state.differences else "none"


def refused_services(plan: Sequence[dict[str, Any]]) -> list[str]:
    """Name what could only be changed by making a service anew."""
    return [
        f"{line['service']}: {difference['property']}"
        for line in plan
        for difference in line["differences"]
        if difference["effect"] == Effect.REFUSED.value
    ]


def rendered(states: Sequence[ServiceState]) -> dict[str, Any]:
    """Definitions by service name, as a plan keeps them."""
    return {one.service.name: dict(one.rendered) for one in states}
